//! Who is asking at the token endpoint (OAuth 2.1 §2.4).

use crate::client::{Authentication, Client, ClientStatus, SecretMethod, StoredSecret};
use crate::policy::Policy;
use crate::reason::Reason;
use crate::request::token::{Credentials, Presented};
use crate::value::secret::Digest;

/// The client, if it proves to be the one it claims. All failures look alike from outside and take comparable work.
pub(crate) fn authenticate<'a>(
    client: Option<&'a Client>,
    credentials: &Credentials<'_>,
    policy: &Policy,
) -> Result<&'a Client, Reason> {
    let Some(client) = client else {
        if let Presented::Basic(secret) | Presented::Post(secret) = &credentials.secret {
            // An unknown client costs the hash and comparison that a known one costs.
            let _ = Digest::of(secret.as_bytes()).matches(&Digest::of(b""));
        }
        return Err(Reason::ClientUnknown);
    };
    let proof = match (client.authentication(), &credentials.secret) {
        (Authentication::Public, Presented::None) => Ok(()),
        (Authentication::Public, _) => Err(Reason::ClientSecretUnexpected),
        (Authentication::Confidential { .. }, Presented::None) => Err(Reason::ClientSecretMissing),
        (Authentication::Confidential { method, secret }, presented) => presented.check(*method, secret, policy),
    };
    // Whatever was proved: one that is deactivated is refused as an unknown one is.
    match client.status() {
        ClientStatus::Active => proof.map(|()| client),
        ClientStatus::Deactivated => Err(Reason::ClientDeactivated),
    }
}

impl Presented<'_> {
    fn check(&self, registered: SecretMethod, stored: &StoredSecret, policy: &Policy) -> Result<(), Reason> {
        let (method, secret) = match self {
            Self::Basic(secret) => (SecretMethod::Basic, secret),
            Self::Post(secret) => (SecretMethod::Post, secret),
            Self::None => return Err(Reason::ClientSecretMissing),
        };
        let right = match stored {
            StoredSecret::Digest(digest) => Digest::of(secret.as_bytes()).matches(digest),
            StoredSecret::SlowHash(hash) => policy.verify_slow_hash(secret.as_bytes(), hash),
        };
        match right {
            false => Err(Reason::ClientSecretWrong),
            true if method != registered && !policy.is_lenient_on_method() => Err(Reason::ClientMethodMismatch),
            true => Ok(()),
        }
    }
}
