//! Client authentication at the token endpoint, revocation and introspection (OAuth 2.1 §2.4).

use super::client_assertion::{AssertionProof, Presented, Unproved};
use super::context::Context;
use crate::client::{Authentication, Client, Secrets, StoredSecret, UsedSecret};
use crate::decision::{Decision, SingleUse, usable, with_id};
use crate::event::ClientProof;
use crate::grant::KeyProof;
use crate::moment::Timestamp;
use crate::outside::Need;
use crate::policy::Policy;
use crate::reason::Reason;
use crate::record::{Stored, Write};
use crate::refusal::Fault;
use crate::request::token::{Credentials, PresentedSecret};
use crate::value::auth_method::{AuthMethod, SecretMethod};
use crate::value::secret::Digest;

const SECRET_NEEDED: &str = "A client that was given a client_secret must send it, by the \
    token_endpoint_auth_method of its registration: client_secret_basic if it named none.";
const PROOF_NEEDED: &str = "A client with keys (private_key_jwt) must send a client_assertion. A \
    client that was given a client_secret must send it, by the token_endpoint_auth_method of its \
    registration: client_secret_basic if it named none.";

/// The client of a request, and what it proved itself with.
pub(super) struct Authenticated<'a> {
    pub(super) client: &'a Client,
    /// `None` for a client that proved nothing.
    pub(super) proof: Option<ClientProof>,
    /// The strength of the proof by a key.
    key_proof: KeyProof,
    /// The assertion that proved the client. Every outcome waits for its mark.
    single_use: Option<SingleUse>,
}

/// Why a request has no authenticated client (yet).
pub(super) enum Unauthenticated {
    /// It is refused. The note is for the event alone.
    Refused(Fault, Option<&'static str>),
    /// The host must fetch the client's keys or document first.
    Needs(Box<Need>),
    /// What was read of the client's document must be recorded first.
    Prepares(Box<Write>),
}

impl<'a> Authenticated<'a> {
    /// Returns the proof by a key that the client gave.
    pub(super) fn key_proof(&self) -> KeyProof {
        self.key_proof
    }

    /// Returns whether the client proved itself, with a secret or with a key. A weak proof counts
    /// only where the client may act without one.
    pub(super) fn is_proved(&self) -> bool {
        self.proof.is_some() && self.key_proof != KeyProof::Weak
    }

    /// Returns whether the client proved itself at all. The decision on a request of a client that
    /// did not is [complete](Self::complete) as it is.
    pub(super) fn has_proof(&self) -> bool {
        self.proof.is_some() || self.single_use.is_some()
    }

    /// Completes the decision on a request of this client. The decision waits for the mark of the
    /// assertion, even if it is a refusal. Otherwise an attacker who has the assertion could try it
    /// out (SEEN-06).
    pub(super) fn complete<T>(self, decision: &mut Decision<T>, ctx: &Context<'_>) {
        decision.attribute_to(self.client);
        decision.set_proof(self.proof);
        if let Some(single_use) = &self.single_use {
            ctx.wait_for_mark(decision, single_use);
        }
    }

    fn without_proof(client: &'a Client) -> Self {
        Self { client, proof: None, key_proof: KeyProof::None, single_use: None }
    }
}

impl From<Fault> for Unauthenticated {
    fn from(fault: Fault) -> Self {
        Self::Refused(fault, None)
    }
}

impl From<Reason> for Unauthenticated {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason.into(), None)
    }
}

impl From<Unproved> for Unauthenticated {
    fn from(unproved: Unproved) -> Self {
        match unproved {
            Unproved::Refused(reason, note) => Self::Refused(reason.into(), note),
            Unproved::Needs(need) => Self::Needs(need),
            Unproved::Prepares(write) => Self::Prepares(write),
        }
    }
}

impl Unauthenticated {
    /// Ends the request, or asks the host.
    pub(super) fn decide<T>(self, ctx: &Context<'_>) -> Decision<T> {
        match self {
            Self::Refused(fault, note) => ctx.refuse(fault).with_detail(note.map(Into::into)),
            Self::Needs(need) => ctx.ask(*need),
            Self::Prepares(write) => ctx.prepare(*write),
        }
    }
}

/// Returns the client if it is the one that the request names, is usable, and the credentials are
/// its own. All failures look alike from outside and take comparable work (TOKEN-14).
pub(super) fn authenticate<'a>(
    stored: Option<&'a Stored<Client>>,
    credentials: &Credentials<'_>,
    ctx: &Context<'_>,
) -> Result<Authenticated<'a>, Unauthenticated> {
    // Impersonation: a store that loads another client must not let the request act as that one
    // (I44).
    let stored = with_id(stored, &credentials.id);
    let client = stored.map(|stored| &*stored.record);
    let usable = usable(stored, ctx.policy, ctx.moment.now).map(|client| &**client);
    if let PresentedSecret::Assertion(assertion) = &credentials.secret {
        let presented = Presented { assertion, client_id: &credentials.id, client: usable, ctx };
        let AssertionProof { kid, strength, single_use } = presented.prove()?;
        let client = usable?;
        let proof = Some(ClientProof::Key { kid });
        let single_use = Some(single_use);
        return Ok(Authenticated { client, proof, key_proof: strength, single_use });
    }
    // Timing: the credentials are checked even if the client is deactivated or expired, so that
    // the request takes as long as for an active client.
    let proof = match client {
        Some(client) => check_credentials(client, &credentials.secret, ctx),
        None => Err(Reason::ClientUnknown.into()),
    };
    let authenticated = usable.map_err(Fault::from).and_then(|client| {
        proof.map(|proof| Authenticated { proof, ..Authenticated::without_proof(client) })
    });
    if authenticated.is_err() {
        equalize_timing(client, &credentials.secret, ctx.policy);
    }
    // The hint depends on the request alone, so it discloses nothing about the client. Clients that
    // registered without a method often do not send the secret they were given.
    let has_secret = credentials.has_secret();
    let hint = if ctx.policy.client_keys().is_some() { PROOF_NEEDED } else { SECRET_NEEDED };
    authenticated.map_err(|fault| if has_secret { fault.into() } else { fault.hint(hint).into() })
}

/// Checks the presented secret against the registered ones. Returns what proved the client.
fn check_credentials(
    client: &Client,
    presented: &PresentedSecret<'_>,
    ctx: &Context<'_>,
) -> Result<Option<ClientProof>, Fault> {
    let (registered, secrets) = match (client.authentication(), presented) {
        (Authentication::Confidential { method, secrets }, _) => (method, secrets),
        (Authentication::Public | Authentication::KeysOrNone(_), PresentedSecret::None) => {
            return Ok(None);
        }
        // The client has no credential, so its id proves nothing.
        (Authentication::Federated, PresentedSecret::None) => {
            return Err(Reason::ClientFederated.into());
        }
        (Authentication::Keys(_), PresentedSecret::None) => {
            return Err(Reason::ClientAssertionMissing.into());
        }
        _ => return Err(Reason::ClientSecretUnexpected.into()),
    };
    let (PresentedSecret::Basic(secret) | PresentedSecret::Post(secret)) = presented else {
        return Err(Reason::ClientSecretMissing.into());
    };
    let used = find_secret(&secrets, secret.as_bytes(), ctx.policy, ctx.moment.now)?;
    let is_basic = matches!(presented, PresentedSecret::Basic(_));
    let method = if is_basic { SecretMethod::Basic } else { SecretMethod::Post };
    if method != registered && !ctx.policy.is_lenient_on_method() {
        // The sender has the right secret, so the registered method may be disclosed to it.
        let received = AuthMethod::Secret(method).name();
        let right = AuthMethod::Secret(registered).name();
        let methods = format!("Received by {received}; the client is registered for {right}.");
        return Err(Reason::ClientMethodMismatch.hint(methods));
    }
    Ok(Some(ClientProof::Secret { method, secret: used }))
}

/// Returns which of the client's secrets was presented, if it is accepted now.
///
/// Timing: both are compared whatever the first comparison finds, so that the duration does not
/// disclose which secret is right, or whether one is retiring (KEYS-73). At most one of them has a
/// slow hash.
fn find_secret(
    secrets: &Secrets,
    presented: &[u8],
    policy: &Policy,
    now: Timestamp,
) -> Result<UsedSecret, Reason> {
    let digest = Digest::of(presented);
    let is = |stored: &StoredSecret| match stored {
        StoredSecret::Digest(own) => digest.matches(own),
        StoredSecret::SlowHash(hash) => policy.verify_slow_hash(presented, hash),
    };
    let is_current = is(secrets.current());
    let retiring = secrets.retiring();
    let is_retiring = retiring.is_some_and(|retiring| is(retiring.secret()));
    let is_over = retiring.is_none_or(|retiring| now >= retiring.until());
    match (is_current, is_retiring) {
        (true, _) => Ok(UsedSecret::Current),
        (false, true) if is_over => Err(Reason::ClientSecretRetired),
        (false, true) => Ok(UsedSecret::Retiring),
        (false, false) => Err(Reason::ClientSecretWrong),
    }
}

/// Does the hashing that a failed authentication has skipped, so that its duration does not
/// disclose whether the client exists (enumeration, TOKEN-14). Unknown clients and clients without
/// a slow hash take as long as a client with one.
fn equalize_timing(client: Option<&Client>, presented: &PresentedSecret<'_>, policy: &Policy) {
    let (PresentedSecret::Basic(secret) | PresentedSecret::Post(secret)) = presented else {
        return;
    };
    match client.and_then(Client::secrets) {
        Some(secrets) if secrets.slow_hash().is_some() => {}
        Some(_) => policy.waste_slow_hash(secret.as_bytes()),
        None => {
            // One hash and one comparison, as for a client with a secret.
            let digest = Digest::of(secret.as_bytes());
            std::hint::black_box(digest.matches(&digest));
            policy.waste_slow_hash(secret.as_bytes());
        }
    }
}
