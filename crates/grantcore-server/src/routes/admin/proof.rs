//! How a client proves itself, in words for administrators.

use grantcore::client::{Authentication, ClientKeys, KeySource, Secrets, StoredSecret};
use grantcore::jws::Algorithms;
use grantcore::{Client, Timestamp};

use crate::pages::{ClientProof, utc};

/// Describes how a client proves itself. The description has no secret, and no digest of a secret.
pub(super) fn of(client: &Client, now: Timestamp) -> ClientProof {
    match client.authentication() {
        Authentication::Confidential { method, secrets } => {
            ClientProof { method: method.as_str(), facts: of_secrets(&secrets, now) }
        }
        Authentication::Keys(keys) => {
            ClientProof { method: "private_key_jwt", facts: of_keys(&keys) }
        }
        Authentication::KeysOrNone(keys) => {
            ClientProof { method: "private_key_jwt or none", facts: of_keys(&keys) }
        }
        Authentication::Federated => ClientProof {
            method: "federated",
            facts: vec![("It has no credential: a rule of a trusted issuer names it", None)],
        },
        _ => ClientProof {
            method: "none",
            facts: vec![("It has no secret: anybody can use its client ID", None)],
        },
    }
}

fn of_secrets(secrets: &Secrets, now: Timestamp) -> Vec<(&'static str, Option<String>)> {
    let kept = match secrets.current() {
        StoredSecret::SlowHash(_) => "One secret, of which a slow hash is kept",
        _ => "One secret, of which a digest is kept",
    };
    let retiring = secrets.retiring().map(|former| match former.until() {
        end if now < end => ("The former secret works too, until", Some(utc(end))),
        end => ("The former secret does not work any more, since", Some(utc(end))),
    });
    std::iter::once((kept, None)).chain(retiring).collect()
}

fn of_keys(keys: &ClientKeys) -> Vec<(&'static str, Option<String>)> {
    let mut facts = match keys.source() {
        KeySource::Inline(set) => set
            .iter()
            .map(|key| {
                let name = key.kid().unwrap_or("without a name");
                (
                    "Key in the record:",
                    Some(format!("{name} ({})", key.algorithm().names().join(" or "))),
                )
            })
            .collect(),
        KeySource::At(url) => vec![("Keys fetched from", Some(url.as_str().to_owned()))],
    };
    if keys.algorithms() != Algorithms::default() {
        let names: Vec<_> = keys.algorithms().names().collect();
        facts.push(("Signs with", Some(names.join(" "))));
    }
    facts
}
