//! The oracle of effects: the changes of grants, and the events.

use std::collections::BTreeMap;

use grantcore::grant::{Grant, GrantState};
use grantcore::store::Stored;
use grantcore::value::GrantId;

use super::{Fault, PREFIXES, authenticated};
use crate::cast::{Cast, USERS, grant_of};
use crate::wire::{Request, To};

/// Checks that the request changed only a grant of its sender, and returns the number of revoked
/// grants.
pub(super) fn changes(
    cast: &Cast,
    request: &Request,
    before: &[Stored<Grant>],
) -> Result<usize, Fault> {
    let known: BTreeMap<GrantId, &Stored<Grant>> =
        before.iter().map(|stored| (stored.record.id(), stored)).collect();
    let mut ended = 0;
    let mut changed = Vec::new();
    for stored in cast.grants() {
        match known.get(&stored.record.id()) {
            Some(own) if own.version == stored.version && own.record == stored.record => {}
            Some(own) => {
                hold!(own.version != stored.version, "a record changed under one version");
                let is_revoked = |grant: &Grant| matches!(grant.state(), GrantState::Revoked(_));
                hold!(!is_revoked(&own.record), "a revoked grant changed");
                ended += usize::from(is_revoked(&stored.record));
                changed.push(stored);
            }
            None => hold_new(request)?,
        }
    }
    hold!(changed.len() <= 1, "{} grants changed", changed.len());
    let Some(stored) = changed.first() else { return Ok(0) };
    let id = stored.record.id();
    let owner = stored.record.client_id().as_str();
    let presented = |name: &str| {
        let value = request.param(name).and_then(|value| String::from_utf8(value).ok());
        value.filter(|value| cast.secrets.contains(value) && grant_of(value) == Some(id))
    };
    match request.to {
        To::Token | To::Revoke => {
            let claim = request.claim();
            let client = authenticated(cast, claim.as_ref())?;
            hold!(client.id == owner, "{} changed a grant of {owner}", client.id);
            let is_named =
                ["code", "refresh_token", "token"].into_iter().any(|n| presented(n).is_some());
            hold!(is_named, "a grant changed although its credential was not presented");
        }
        To::Consent => {
            hold!(grant_of(&request.name) == Some(id), "another page's grant changed");
            let user = USERS[request.user.unwrap_or_default()].0;
            hold!(stored.record.subject().unwrap().as_str() == user, "{user} decided for another");
        }
        // If challenges are single-use, a new page of the same browser replaces the earlier one.
        To::Authorize => {
            let user = request.user.map(|user| USERS[user].0).unwrap_or_default();
            hold!(
                stored.record.subject().unwrap().as_str() == user,
                "{user} replaced another's page"
            );
            hold!(
                stored.record.state() == GrantState::ConsentPending,
                "{:?}",
                stored.record.state()
            );
        }
        _ => return Err(format!("{:?} changed a grant", request.to)),
    }
    Ok(ended)
}

fn hold_new(request: &Request) -> Result<(), Fault> {
    // Only an authorization request creates a grant.
    hold!(request.to == To::Authorize, "{:?} created a grant", request.to);
    Ok(())
}

/// Returns the secrets of a request that no event may repeat. The server's own secrets count in
/// every place; secrets that a client or operator chose count only if they are in no other place.
fn sent_secrets(cast: &Cast, request: &Request) -> Vec<String> {
    let is_own = |value: &[u8]| PREFIXES.iter().any(|own| value.starts_with(own.as_bytes()));
    let params = request.params();
    let is_own_place = |name: &[u8]| name == b"client_secret" || name == b"code_verifier";
    let elsewhere: Vec<_> =
        params.iter().filter(|(name, _)| !is_own_place(name)).map(|(_, value)| value).collect();
    let sent = params.iter().map(|(_, value)| value.clone());
    let claim = request.claim();
    let id = claim.as_ref().map(|claim| claim.id.clone()).unwrap_or_default();
    let secret = claim.map(|claim| claim.secret);
    let is_elsewhere = |value: &Vec<u8>| {
        let holds = |text: &[u8]| text.windows(value.len().max(1)).any(|part| part == value);
        holds(&id) || elsewhere.iter().any(|text| holds(text))
    };
    let name = Some(request.name.clone().into_bytes()).filter(|name| is_own(name));
    sent.chain(secret)
        .chain(name)
        .filter(|value| is_own(value) || !is_elsewhere(value))
        .filter_map(|value| String::from_utf8(value).ok())
        .filter(|value| cast.secrets.contains(value))
        .collect()
}

/// Checks that each call has an event, and that no event has a secret.
pub(super) fn events(cast: &Cast, request: &Request) -> Result<(), Fault> {
    let events = cast.events();
    hold!(events.is_empty() == matches!(request.to, To::Wait(_)), "{} events", events.len());
    let secrets = sent_secrets(cast, request);
    for event in events {
        let text = format!("{event:?}");
        for secret in &secrets {
            hold!(!text.contains(&**secret), "a secret in {text}");
        }
        for prefix in PREFIXES {
            let lower = text.to_ascii_lowercase();
            let leaks = lower.match_indices(prefix).any(|(at, _)| {
                let rest = &lower.as_bytes()[at + prefix.len()..];
                let run = rest
                    .iter()
                    .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
                run.count() >= 16
            });
            hold!(!leaks, "a credential in {text}");
        }
    }
    Ok(())
}
