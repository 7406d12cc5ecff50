//! Clients that have keys: how a request proves its client, and the invariant that a proof is not
//! given up (I38).

use std::sync::Arc;

use grantcore::client::{Authentication, ClientKeys, Registration};
use grantcore::grant::Grant;
use grantcore::policy::{KeyRules, PolicyBuilder};
use grantcore::store::Change;
use grantcore::{Client, Reason};
use serde_json::json;

use crate::broken::Rule;
use crate::judge::{Seen, Verdict, must};
use crate::request::Ask;
use crate::state::{Answer, Entry, Name, Record};
use crate::support::keyed::JWT_BEARER;
use crate::support::toy_issuers::{KEY, ToyVerifier};
use crate::support::{CALLBACK, ISSUER, T, app};

/// The proof by a key that a request gives, in ascending order of strength.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Proof {
    #[default]
    None,
    /// An assertion for the token endpoint, which another server may have passed on.
    Weak,
    /// An assertion for the issuer.
    Strong,
}

/// How the client of a scenario is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registered {
    Public,
    /// With keys, which it need not use.
    Either,
    /// With keys alone.
    Keys,
}

/// The id of the client that need not use its keys.
const EITHER: &str = "https://app.example/oauth/client.json";

impl Registered {
    pub fn has_keys(self) -> bool {
        self != Self::Public
    }

    pub fn id(self) -> &'static str {
        if self == Self::Either { EITHER } else { "app" }
    }

    pub fn client(self) -> Client {
        let keys = || ClientKeys::inline(KEY.key_set());
        let keyed = |id| Client::with_keys(id, keys()).redirect_uri(CALLBACK);
        match self {
            Self::Public => app(),
            Self::Keys => keyed("app").build().expect("a client"),
            Self::Either => keyed(EITHER)
                .registration(Registration::MetadataDocument)
                .build()
                .expect("a client")
                .edit()
                .without_restrictions()
                .authentication(Authentication::KeysOrNone(keys()))
                .build()
                .expect("a client"),
        }
    }

    pub fn policy(self, policy: PolicyBuilder) -> PolicyBuilder {
        if self.has_keys() {
            policy.client_keys(KeyRules::default()).verifier(ToyVerifier::default())
        } else {
            policy
        }
    }

    /// Returns the bytes of a request of this client, with this proof. Each request has an assertion
    /// of its own.
    pub fn send(self, bytes: String, by: Name, proof: Proof) -> String {
        let own = format!("client_id={}", self.id().replace(':', "%3A").replace('/', "%2F"));
        let form = if self == Self::Either { bytes.replace("client_id=app", &own) } else { bytes };
        let audience = match proof {
            Proof::None => return form,
            Proof::Weak => format!("{ISSUER}/oauth/token"),
            Proof::Strong => ISSUER.to_owned(),
        };
        let claims = json!({
            "iss": self.id(), "sub": self.id(), "aud": audience, "exp": T + 600,
            "jti": format!("{by:?}"),
        });
        let assertion = KEY.sign(&json!({"alg": "EdDSA", "kid": KEY.kid}), &claims);
        let kind = JWT_BEARER.replace(':', "%3A");
        format!("{form}&client_assertion_type={kind}&client_assertion={assertion}")
    }
}

/// Returns the proof that a request sends, if this rule is left out.
pub fn sent(proof: Proof, ask: Ask, without: Option<Rule>) -> Proof {
    match without {
        Some(Rule::ProofKept) if ask.presents_to_client() => Proof::Strong,
        Some(Rule::ProofAtRedemption) if matches!(ask, Ask::Redeem(_)) => Proof::None,
        Some(Rule::TwoStrengths) if proof == Proof::Weak => Proof::Strong,
        _ => proof,
    }
}

impl Ask {
    /// Returns whether the client authenticates, and presents a code or a refresh token.
    pub fn presents_to_client(self) -> bool {
        matches!(self, Self::Redeem(_) | Self::Refresh(..) | Self::Revoke)
    }
}

/// Returns whether the write changes nothing but the proof that the grant has.
pub fn raises_proof(before: Option<&Record>, write: &Change<Grant>) -> bool {
    let digest = |grant: &Grant| {
        let record = serde_json::to_value(grant).expect("a record");
        let family = "/phase/active/issued_from/code/refresh_family/current_digest";
        record.pointer(family).cloned()
    };
    let current = digest(write.record());
    let is_same = |before: &Record| digest(&before.0.record) == current;
    current.is_some() && before.is_some_and(is_same)
}

/// Returns the strongest proof that was given for the grant with this history.
pub fn strongest(history: &[Entry]) -> Proof {
    history.iter().map(|entry| entry.proof).max().unwrap_or_default()
}

/// I38: once the client has proved itself for a grant, no request of it without as strong a proof
/// advances or ends the grant. A proof that was answered counts.
pub fn i38(seen: &Seen<'_>) -> Verdict {
    if let Some(decided) = seen.decided().filter(|decided| decided.ask.presents_to_client()) {
        let needed = strongest(seen.history(decided));
        if decided.proof >= needed {
            return Verdict::Silent;
        }
        // What has ended is revoked again with the same answer.
        let is_refused = match &decided.answer {
            Some(Answer::No(reason)) => !reason.revokes(),
            Some(Answer::Yes(tokens)) => tokens.is_empty(),
            None => false,
        };
        return must(is_refused && decided.wrote.is_none(), || {
            format!(
                "a grant with {needed:?} proof was presented with {:?}: {:?} was written, {:?}",
                decided.proof, decided.wrote, decided.answer
            )
        });
    }
    let Some((actor, Answer::Yes(_))) = seen.leaving() else { return Verdict::Silent };
    if actor.proof == Proof::None || !(actor.redeems() || actor.refreshes()) {
        return Verdict::Silent;
    }
    let kept = strongest(&seen.after.history);
    must(kept >= actor.proof, || format!("{:?} was answered, and {kept:?} is kept", actor.proof))
}

/// Returns whether the request is refused because its proof is too weak for the grant.
pub fn is_dropped(answer: &Answer) -> bool {
    *answer == Answer::No(Reason::ClientProofDropped)
}

/// The registered client and the proofs of the requests of a scenario, in their order. A request
/// beyond the last one has no proof.
#[derive(Clone, Copy)]
pub struct Proofs {
    pub client: Registered,
    pub of: &'static [Proof],
}

impl Proofs {
    pub const NONE: Self = Self { client: Registered::Public, of: &[] };

    pub fn get(&self, actor: usize) -> Proof {
        self.of.get(actor).copied().unwrap_or_default()
    }
}

/// Shares the record of the client.
pub fn registered(client: Registered) -> Arc<Client> {
    Arc::new(client.client())
}
