//! The choice of the redirect URIs of a registration or document that can be used.

use std::collections::BTreeSet;

use super::Dropped;
use crate::client::ApplicationType;
use crate::policy::Policy;
use crate::reason::Reason;
use crate::refusal::{Fault, host_hint, quoted};
use crate::value::redirect_uri::RegisteredRedirectUri;
use crate::value::uri::Uri;

/// Returns the URIs that can be used. Other URIs are left out if at least one can be used. A scheme
/// that runs code or reads files refuses the metadata in any case, because no honest client names
/// one.
pub(super) fn select(
    named: Vec<String>,
    application_type: Option<ApplicationType>,
    admits: impl Fn(&RegisteredRedirectUri) -> bool,
    policy: &Policy,
    dropped: &mut Dropped,
) -> Result<Vec<String>, Fault> {
    if named.is_empty() {
        return Err(Reason::RedirectUrisMissing.into());
    }
    let is_strict = policy.registration().is_some_and(|rules| rules.strict_application_type);
    let is_web = is_strict && application_type == Some(ApplicationType::Web);
    let mut usable = Vec::new();
    let mut seen = BTreeSet::new();
    let mut unusable = Vec::new();
    // A repeated URI is registered once.
    for uri in named.into_iter().filter(|uri| seen.insert(uri.clone())) {
        match RegisteredRedirectUri::parse(&uri, policy.redirect_rules()) {
            Ok(parsed) if is_web && parsed.is_loopback() => {
                unusable.push((uri, Reason::RegisteredUriLoopback));
            }
            Ok(parsed) if !admits(&parsed) => unusable.push((uri, Reason::RedirectHostDenied)),
            Ok(_) => usable.push(uri),
            Err(error) => unusable.push((uri, error.into())),
        }
    }
    let dangerous = unusable.iter().find(|(_, reason)| *reason == Reason::RegisteredUriForbidden);
    let first = unusable.first().filter(|_| usable.is_empty());
    if let Some((uri, reason)) = first.or(dangerous) {
        return Err(fault(uri, *reason));
    }
    let limit = policy.redirect_rules().limit;
    if usable.len() > limit {
        let hint = format!("Received: {}. At most {limit} are registered.", usable.len());
        return Err(Reason::RedirectUrisTooMany.hint(hint));
    }
    dropped.values("redirect_uris", unusable.iter().map(|(uri, _)| uri.as_str()));
    Ok(usable)
}

/// Makes the fault of one URI, with the correction if there is one.
fn fault(uri: &str, reason: Reason) -> Fault {
    let hint = match reason {
        Reason::RegisteredUriLong => Some(format!("It has {} bytes.", uri.len())),
        Reason::RegisteredUriPrivateUse => Uri::split(uri).map(|uri| {
            format!("The setting private_use_schemes does not admit {}.", quoted(uri.scheme()))
        }),
        Reason::RegisteredUriCharacter
        | Reason::RegisteredUriHost
        | Reason::RegisteredUriInsecure => host_hint(uri),
        _ => None,
    };
    reason.received(uri).maybe_hint(hint)
}
