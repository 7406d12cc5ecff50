//! The records that the conformance suite writes. Each has new keys, and a mark that names the
//! write.

use std::time::Duration;

use crate::client::{Client, ClientError};
use crate::conformance::{Law, Violation};
use crate::grant::{
    Basis, CapturedAccount, Consent, Grant, LoginFacts, PendingConsent, RETENTION,
    RETENTION_DIRECT, RETENTION_PENDING, Terms,
};
use crate::moment::{
    Clock as _, Entropy, EntropySource as _, SystemClock, SystemEntropy, Timestamp,
};
use crate::policy::Policy;
use crate::record::{Stored, Version, Write};
use crate::value::credential::GrantId;
use crate::value::pkce::CodeChallenge;
use crate::value::properties::Properties;
use crate::value::scope::Scope;
use crate::value::secret::Digest;
use crate::value::text::{ClientId, State, Subject};

/// RFC 7636, appendix B.
pub(super) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(super) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub(super) const CALLBACK: &str = "https://app.example/cb";
const MCP: &str = "https://mcp.example/mcp";

pub(super) fn now() -> Timestamp {
    SystemClock.now()
}

pub(super) fn drawn() -> Result<Entropy, Violation> {
    SystemEntropy.draw().map_err(|error| Law::Works.broken(error))
}

/// Returns the id of a new grant.
pub(super) fn new_id() -> Result<GrantId, Violation> {
    Ok(drawn()?.grant_id())
}

/// Returns the subject of a new user.
pub(super) fn new_subject() -> Result<Subject, Violation> {
    Ok(Subject::new(format!("conformance-{}", new_id()?)))
}

/// A grant, by the parts that matter to a store.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) id: GrantId,
    /// `None` for a grant without a user.
    pub(super) subject: Option<Subject>,
    pub(super) client: ClientId,
    /// Names the write.
    pub(super) mark: String,
    /// The version that the record of a consent page begins with. By default it follows from the
    /// mark.
    pub(super) begins: Option<u64>,
    /// Whether the grant is in use, and no longer a consent page.
    pub(super) in_use: bool,
    pub(super) drop_after: Timestamp,
}

impl Draft {
    /// Returns a new grant of a new user, which may be dropped in a day.
    pub(super) fn new() -> Result<Self, Violation> {
        let entropy = drawn()?;
        Ok(Self {
            id: entropy.grant_id(),
            subject: Some(Subject::new(format!("conformance-{}", entropy.grant_id()))),
            client: entropy.client_id(),
            mark: "first".to_owned(),
            begins: None,
            in_use: false,
            drop_after: now().after(DAY),
        })
    }

    pub(super) fn marked(&self, mark: impl Into<String>) -> Self {
        Self { mark: mark.into(), ..self.clone() }
    }

    pub(super) fn until(&self, drop_after: Timestamp) -> Self {
        Self { drop_after, ..self.clone() }
    }

    pub(super) fn of(&self, subject: &Subject) -> Self {
        Self { subject: Some(subject.clone()), ..self.clone() }
    }

    /// Returns the grant of a client that acts on its own behalf.
    pub(super) fn of_nobody(&self) -> Self {
        Self { subject: None, ..self.clone() }
    }

    /// Returns the record.
    pub(super) fn grant(&self) -> Result<Grant, Violation> {
        let unusable = |_| Law::Works.broken("the conformance suite's own record cannot be built");
        let policy = policy(0)?;
        let client = client(self.client.as_str()).map_err(unusable)?;
        let redirect_uri = client
            .verify_redirect(Some(CALLBACK), &policy)
            .map_err(|reason| Law::Works.broken(reason.name()))?;
        let properties = serde_json::json!({ "mark": self.mark, "\u{0}": [1.5, null] });
        // Larger marks than properties may be are in the other fields.
        let properties = Properties::of(&properties)
            .or_else(|_| Properties::parse("{}"))
            .map_err(|error| Law::Works.broken(error))?;
        let basis = match &self.subject {
            Some(subject) => Basis::Consent {
                account: CapturedAccount { subject: subject.clone(), epoch: 7 },
                redirect_uri,
                redirect_uri_sent: true,
                login: Some(LoginFacts { time: now(), acr: Some("mfa".into()) }),
                consent: Consent::Asked,
            },
            None => Basis::Machine,
        };
        let terms = std::sync::Arc::new(Terms {
            client_id: self.client.clone(),
            client_epoch: u64::MAX,
            basis,
            scope: Scope::parse("notes").map_err(|error| Law::Works.broken(error))?,
            resources: std::sync::Arc::new([MCP.into(), self.mark.as_str().into()]),
            created: now(),
            properties: Some(properties),
        });
        if self.subject.is_none() {
            let access = Digest::of(self.mark.as_bytes());
            let expires = before(self.drop_after, RETENTION_DIRECT);
            return Ok(Grant::issued_directly(self.id, terms, access, expires, &policy, now()));
        }
        let code_challenge = CodeChallenge::parse(CHALLENGE).ok_or_else(|| {
            Law::Works.broken("the conformance suite's own challenge cannot be parsed")
        })?;
        let prompt = PendingConsent {
            ticket_digest: self
                .begins
                .map_or(Digest::of(self.mark.as_bytes()), Digest::beginning_with),
            session_digest: Digest::of(b"a browser"),
            code_challenge,
            state: Some(State::new(&self.mark)),
            acr_values: Box::new(["mfa".into()]),
            expires: before(self.drop_after, RETENTION_PENDING),
        };
        let pending = Grant::pending(self.id, terms, prompt, &policy, now());
        Ok(if self.in_use { pending.in_use(before(self.drop_after, RETENTION)) } else { pending })
    }

    /// Returns the commit of this grant over a version.
    pub(super) fn over(&self, seen: Option<Version>) -> Result<Write, Violation> {
        let grant = self.grant()?;
        let seen =
            seen.map(|version| Stored { record: std::sync::Arc::new(grant.clone()), version });
        Ok(Write::grant(seen.as_ref(), grant))
    }
}

pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns the last use of a record that may be dropped at `drop_after` and is kept for this long.
fn before(drop_after: Timestamp, kept: Duration) -> Timestamp {
    if drop_after == Timestamp::NEVER {
        return drop_after;
    }
    Timestamp::from_unix_seconds(drop_after.unix_seconds().saturating_sub(kept.as_secs()))
}

/// Returns a client of the operator's.
pub(super) fn client(id: &str) -> Result<Client, ClientError> {
    Client::public(id).name("A client of the conformance suite").redirect_uri(CALLBACK).build()
}

/// Returns a new client that registered itself, with a random epoch, known until this time.
pub(super) fn new_client(until: Timestamp) -> Result<Client, Violation> {
    let entropy = drawn()?;
    client_again(entropy.client_id().as_str(), until)
}

/// Returns the client of this id, registered again.
pub(super) fn client_again(id: &str, until: Timestamp) -> Result<Client, Violation> {
    client_of_epoch(id, until, drawn()?.epoch())
}

/// Returns the client of this id with this epoch, from which its versions are counted.
pub(super) fn client_of_epoch(id: &str, until: Timestamp, epoch: u64) -> Result<Client, Violation> {
    let owner = new_subject()?;
    let builder = Client::public(id).redirect_uri(CALLBACK).owner(owner).registered(
        None,
        now(),
        until,
        epoch,
    );
    builder.build().map_err(|error| Law::Works.broken(error))
}

/// Returns the commit of a client over a version.
pub(super) fn over(seen: Option<Version>, client: Client) -> Write {
    let seen = seen.map(|version| Stored { record: std::sync::Arc::new(client.clone()), version });
    Write::client(seen.as_ref(), client)
}

/// Returns a policy with a replay window of so many seconds.
pub(super) fn policy(window: u64) -> Result<Policy, Violation> {
    let policy = Policy::builder("https://auth.example")
        .scope("notes", "Read and change your notes")
        .default_scope("notes")
        .resource(MCP, "notes")
        .revocation(crate::policy::RevocationRules::default())
        .replay_window(Duration::from_secs(window));
    policy.build().map_err(|error| Law::Works.broken(error))
}

/// Pseudo-random numbers that are the same at each run (SplitMix64).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    /// Returns a number below `bound`, which is not 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let bound = u64::try_from(bound.max(1)).unwrap_or(u64::MAX);
        usize::try_from((z ^ (z >> 31)) % bound).unwrap_or(0)
    }

    /// Returns one of these.
    pub(super) fn pick<'a, T, const N: usize>(&mut self, of: &'a [T; N]) -> &'a T {
        // The array is never empty.
        of.get(self.below(N)).unwrap_or(&of[0])
    }
}
