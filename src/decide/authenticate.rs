//! Client authentication at the token endpoint, revocation and introspection (OAuth 2.1 §2.4).

use super::context::Context;
use crate::client::{Authentication, Client, StoredSecret};
use crate::decision::{usable, with_id};
use crate::policy::Policy;
use crate::reason::Reason;
use crate::record::Stored;
use crate::refusal::Fault;
use crate::request::token::{Credentials, PresentedSecret};
use crate::value::auth_method::{AuthMethod, SecretMethod};
use crate::value::secret::Digest;

const SECRET_NEEDED: &str = "A client that was given a client_secret must send it, by the \
    token_endpoint_auth_method of its registration: client_secret_basic if it named none.";

/// Returns the client if it is the one that the request names, is usable, and the credentials are
/// its own. All failures look alike from outside and take comparable work (TOKEN-14).
pub(super) fn authenticate<'a>(
    stored: Option<&'a Stored<Client>>,
    credentials: &Credentials<'_>,
    ctx: &Context<'_>,
) -> Result<&'a Client, Fault> {
    // Impersonation: a store that loads another client must not let the request act as that one
    // (I44).
    let stored = with_id(stored, &credentials.id);
    let client = stored.map(|stored| &*stored.record);
    // Timing: the credentials are checked even if the client is deactivated or expired, so that
    // the request takes as long as for an active client.
    let proof = match client {
        Some(client) => check_credentials(client, &credentials.secret, ctx.policy),
        None => Err(Reason::ClientUnknown.into()),
    };
    let usable = usable(stored, ctx.policy, ctx.moment.now).map_err(Fault::from);
    let authenticated = usable.and_then(|client| proof.map(|()| &**client));
    if authenticated.is_err() {
        equalize_timing(client, &credentials.secret, ctx.policy);
    }
    // The hint depends on the request alone, so it discloses nothing about the client. Clients that
    // registered without a method often do not send the secret they were given.
    match authenticated {
        Err(fault) if !credentials.has_secret() => Err(fault.hint(SECRET_NEEDED)),
        other => other,
    }
}

/// Checks the presented credentials against the registered ones.
fn check_credentials(
    client: &Client,
    presented: &PresentedSecret<'_>,
    policy: &Policy,
) -> Result<(), Fault> {
    let (registered, stored) = match (client.authentication(), presented) {
        (Authentication::Confidential { method, secret }, _) => (method, secret),
        (Authentication::Public, PresentedSecret::None) => return Ok(()),
        // It has no credential: whoever names it proves nothing.
        (Authentication::Federated, PresentedSecret::None) => {
            return Err(Reason::ClientFederated.into());
        }
        (
            Authentication::Public | Authentication::Federated,
            PresentedSecret::Basic(_) | PresentedSecret::Post(_),
        ) => return Err(Reason::ClientSecretUnexpected.into()),
    };
    let (PresentedSecret::Basic(secret) | PresentedSecret::Post(secret)) = presented else {
        return Err(Reason::ClientSecretMissing.into());
    };
    let is_right = match stored {
        StoredSecret::Digest(digest) => Digest::of(secret.as_bytes()).matches(&digest),
        StoredSecret::SlowHash(hash) => policy.verify_slow_hash(secret.as_bytes(), &hash),
    };
    if !is_right {
        return Err(Reason::ClientSecretWrong.into());
    }
    let is_basic = matches!(presented, PresentedSecret::Basic(_));
    let used = if is_basic { SecretMethod::Basic } else { SecretMethod::Post };
    if used != registered && !policy.is_lenient_on_method() {
        // The sender has the right secret, so the registered method may be disclosed to it.
        let received = AuthMethod::Secret(used).name();
        let right = AuthMethod::Secret(registered).name();
        let methods = format!("Received by {received}; the client is registered for {right}.");
        return Err(Reason::ClientMethodMismatch.hint(methods));
    }
    Ok(())
}

/// Does the hashing that a failed authentication has skipped, so that its duration does not
/// disclose whether the client exists (enumeration, TOKEN-14). Unknown clients and clients without
/// a slow hash take as long as a client with one.
fn equalize_timing(client: Option<&Client>, presented: &PresentedSecret<'_>, policy: &Policy) {
    let (PresentedSecret::Basic(secret) | PresentedSecret::Post(secret)) = presented else {
        return;
    };
    match client.map(Client::authentication) {
        Some(Authentication::Confidential { secret: StoredSecret::SlowHash(_), .. }) => {}
        Some(Authentication::Confidential { .. }) => policy.waste_slow_hash(secret.as_bytes()),
        Some(Authentication::Public | Authentication::Federated) | None => {
            let _ = Digest::of(secret.as_bytes()).matches(&Digest::of(b""));
            policy.waste_slow_hash(secret.as_bytes());
        }
    }
}
