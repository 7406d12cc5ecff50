//! Who is asking at the token endpoint (OAuth 2.1 §2.4).

use crate::client::{Authentication, Client, StoredSecret};
use crate::moment::Timestamp;
use crate::operation::{of_id, served};
use crate::policy::Policy;
use crate::reason::Reason;
use crate::record::Stored;
use crate::refusal::Fault;
use crate::request::token::{Credentials, Presented};
use crate::value::auth_method::{AuthMethod, SecretMethod};
use crate::value::secret::Digest;

/// Returns the client if the record is that of the client that the request names, and the request
/// proves to come from it. All failures look alike from outside and take comparable work.
pub(crate) fn authenticate<'a>(
    stored: Option<&'a Stored<Client>>,
    credentials: &Credentials<'_>,
    policy: &Policy,
    now: Timestamp,
) -> Result<&'a Client, Fault> {
    // A store that loads another client must not make the request act as that one.
    let stored = of_id(stored, &credentials.id);
    let client = stored.map(|stored| &*stored.record);
    let proof = match client {
        Some(client) => prove(client, &credentials.secret, policy),
        None => Err(Reason::ClientUnknown.into()),
    };
    // Whatever was proved: one that is deactivated, or over, is refused as an unknown one is.
    let proved = served(stored, now).map_err(Fault::from).and(proof);
    if proved.is_err() {
        level(client, &credentials.secret, policy);
    }
    // Nothing was proved, so the sentence depends on the request alone: a client that left its
    // method out of its registration was given a secret, and often does not send it.
    proved.map_err(|fault| if credentials.has_secret() { fault } else { fault.hint(SECRET_NEEDED) })
}

const SECRET_NEEDED: &str = "A client that was given a client_secret must send it, by the \
    token_endpoint_auth_method of its registration: client_secret_basic if it named none.";

fn prove<'a>(
    client: &'a Client,
    presented: &Presented<'_>,
    policy: &Policy,
) -> Result<&'a Client, Fault> {
    let (registered, stored) = match (client.authentication(), presented) {
        (Authentication::Public, Presented::None) => return Ok(client),
        (Authentication::Public, _) => return Err(Reason::ClientSecretUnexpected.into()),
        (Authentication::Confidential { method, secret }, _) => (*method, secret),
    };
    let (method, secret) = match presented {
        Presented::None => return Err(Reason::ClientSecretMissing.into()),
        Presented::Basic(secret) => (SecretMethod::Basic, secret.as_bytes()),
        Presented::Post(secret) => (SecretMethod::Post, secret.as_bytes()),
    };
    let right = match stored {
        StoredSecret::Digest(digest) => Digest::of(secret).matches(digest),
        StoredSecret::SlowHash(hash) => policy.verify_slow_hash(secret, hash),
    };
    match right {
        false => Err(Reason::ClientSecretWrong.into()),
        true if method != registered && !policy.is_lenient_on_method() => {
            // The secret was right, so it gives nothing away to say how it should have come.
            let [received, right] =
                [method, registered].map(|method| AuthMethod::Secret(method).name());
            let methods = format!("Received by {received}; the client is registered for {right}.");
            Err(Reason::ClientMethodMismatch.hint(methods))
        }
        true => Ok(client),
    }
}

/// The work of a failure that was too quick: unknown clients, and those without a slow hash, cost
/// what the dearest one costs.
fn level(client: Option<&Client>, presented: &Presented<'_>, policy: &Policy) {
    let (Presented::Basic(secret) | Presented::Post(secret)) = presented else { return };
    match client.map(Client::authentication) {
        Some(Authentication::Confidential { secret: StoredSecret::SlowHash(_), .. }) => {}
        Some(Authentication::Confidential { .. }) => policy.waste_slow_hash(secret.as_bytes()),
        Some(Authentication::Public) | None => {
            let _ = Digest::of(secret.as_bytes()).matches(&Digest::of(b""));
            policy.waste_slow_hash(secret.as_bytes());
        }
    }
}
