//! The keys of a client in its metadata (KEYS-13 to KEYS-16): `jwks` or `jwks_uri`, and the
//! algorithms that the client signs with.

use serde_json::Value;
use serde_json::value::RawValue;

use super::{Source, other_type, text, texts};
use crate::client::{ClientKeys, preferred};
use crate::jws::{Algorithms, KeySet, KeySetError, KeysUrl};
use crate::policy::{KeyRules, Policy};
use crate::reason::Reason;
use crate::refusal::Fault;
use crate::value::uri::is_page;

/// The members as they were sent.
pub(super) struct Members {
    pub(super) jwks: Option<Box<RawValue>>,
    pub(super) jwks_uri: Option<Value>,
    pub(super) signing_alg: Option<Value>,
    pub(super) signing_algs: Option<Value>,
}

/// The keys or their URL, as they were sent.
enum Sent {
    Inline(Box<RawValue>),
    At(String),
}

impl Members {
    /// Checks the members, so that the author of the client notices a mistake, and reads the keys
    /// if the client offers to prove itself with them. Returns `None` if there are no keys.
    pub(super) fn read(
        self,
        offers_keys: bool,
        from: Source,
        policy: &Policy,
    ) -> Result<Option<ClientKeys>, Fault> {
        let uri = text(self.jwks_uri, Reason::MetadataKeys)?;
        let sent = match (self.jwks, uri) {
            (Some(_), Some(_)) => return Err(Reason::MetadataKeys.hint("Received: both.")),
            (Some(jwks), None) if !jwks.get().starts_with('{') => {
                let other = serde_json::from_str(jwks.get()).unwrap_or_default();
                return Err(other_type(Reason::MetadataKeys, &other));
            }
            (Some(jwks), None) => Some(Sent::Inline(jwks)),
            (None, Some(uri)) => Some(Sent::At(uri)),
            (None, None) => None,
        };
        let rules = policy.client_keys().filter(|_| offers_keys);
        let (Some(rules), Some(sent)) = (rules, sent.as_ref()) else {
            // The client does not use them.
            return match sent {
                Some(Sent::At(uri)) if !is_page(&uri) => Err(Reason::MetadataKeys.received(&uri)),
                Some(Sent::Inline(jwks)) => match key_set(&jwks, Algorithms::ALL) {
                    // Its author must hear of a secret that is shown (KEYS-21).
                    Err(KeySetError::Private) => Err(unusable(KeySetError::Private)),
                    _ => Ok(None),
                },
                _ => Ok(None),
            };
        };
        let algorithms = algorithms(self.signing_alg, self.signing_algs, rules)?;
        let keys = match sent {
            Sent::Inline(jwks) => ClientKeys::inline(key_set(jwks, algorithms).map_err(unusable)?),
            Sent::At(uri) => ClientKeys::at(keys_url(uri, from, rules)?),
        };
        Ok(Some(keys.with_algorithms(algorithms)))
    }
}

/// Reads the algorithms that the client signs with: those that it names and the policy accepts, or
/// all that the policy accepts if it names none.
fn algorithms(
    single: Option<Value>,
    list: Option<Value>,
    rules: &KeyRules,
) -> Result<Algorithms, Fault> {
    let single = text(single, Reason::MetadataKeys)?;
    let list = texts(list, Reason::MetadataKeys)?;
    if let (Some(single), Some(list)) = (&single, &list) {
        if !list.contains(single) {
            let hint = "token_endpoint_auth_signing_alg is not in \
                token_endpoint_auth_signing_alg_values_supported.";
            return Err(Reason::MetadataKeys.received(single).hint(hint));
        }
    }
    let is_named = single.is_some() || list.is_some();
    let names = || single.iter().chain(list.iter().flatten());
    // A client that would sign with a symmetric key, or not at all, is refused whatever else it
    // names (RFC 8725 §3.1).
    let is_forbidden = |name: &&String| *name == "none" || name.starts_with("HS");
    if let Some(forbidden) = names().find(is_forbidden) {
        return Err(Reason::MetadataKeys.received(forbidden));
    }
    if !is_named {
        return Ok(rules.algorithms);
    }
    let known = Algorithms::of(names().filter_map(|name| name.parse().ok()));
    known.and_then(|known| known.common(rules.algorithms)).ok_or_else(|| {
        let received = names().next().map_or("", String::as_str);
        Reason::MetadataKeys.received(received).hint("No signature algorithm in common.")
    })
}

/// Reads the set from the text that was sent: a parser of values would hide a repeated member.
fn key_set(jwks: &RawValue, algorithms: Algorithms) -> Result<KeySet, KeySetError> {
    KeySet::parse(jwks.get().as_bytes(), algorithms, preferred(algorithms))
}

fn unusable(error: KeySetError) -> Fault {
    Reason::MetadataKeys.hint(format!("{error}."))
}

/// Reads the URL of a key set. That of a registration is refused unless the policy allows it:
/// anybody can register, and the host would fetch what they name (server-side request forgery).
fn keys_url(uri: &str, from: Source, rules: &KeyRules) -> Result<KeysUrl, Fault> {
    if from == Source::Registration && !rules.registered_key_urls {
        return Err(Reason::MetadataKeysAtUrl.received(uri));
    }
    KeysUrl::parse(uri, rules.allow_loopback).map_err(|_| Reason::MetadataKeys.received(uri))
}
