//! The oracle of the endpoints for browsers: authorization and consent.

use std::collections::BTreeMap;

use grantcore::reason::ErrorCode;
use grantcore::{AuthorizationStep, Choice, Refusal};
use url::Url;

use super::{Fault, Seen, outcome};
use crate::cast::{Actor, Cast, Issued, Ticket, USERS};
use crate::errors::is_registered;
use crate::wire::Request;

pub(super) fn authorize(cast: &mut Cast, request: &Request) -> Result<Seen, Fault> {
    let user = request.user.map(Cast::user);
    let answer = outcome(cast.server.authorize(&request.incoming(), user));
    let named = request.param("client_id");
    match answer {
        Ok(AuthorizationStep::NeedsConsent(page)) => {
            let named = named.ok_or("a page for a request that names no client")?;
            let actor =
                cast.actor(&named).ok_or("a page for a client that does not exist")?.clone();
            hold!(actor.id == page.client_id(), "a page of {}", page.client_id());
            hold!(!actor.is_deleted, "a page of a deleted client");
            let user = request.user.ok_or("a page without a user")?;
            hold!(page.subject() == USERS[user].0, "a page for {}", page.subject());
            hold!(request.param("code_challenge").is_some(), "a page without a challenge");
            let sent = request.param("redirect_uri");
            let redirect = match &sent {
                Some(uri) => String::from_utf8(uri.clone()).map_err(|_| "no text")?,
                None => actor.redirects.first().ok_or("nowhere to go")?.clone(),
            };
            hold!(is_registered_uri(&actor, &redirect), "a page for {redirect}");
            let ticket = Ticket {
                text: page.ticket(),
                client: actor.id,
                user,
                redirect,
                redirect_sent: sent.is_some(),
                state: request.param("state"),
            };
            cast.learn(&ticket.text);
            cast.tickets.push(ticket);
            Ok(Seen::default())
        }
        // No policy of the cast remembers or skips a consent.
        Ok(AuthorizationStep::Done(_)) => Err("a code without a page".into()),
        Ok(AuthorizationStep::NeedsLogin(_) | AuthorizationStep::NeedsDocument(_)) => {
            Ok(Seen::default())
        }
        Err(refusal) => {
            let to = named.as_deref().and_then(|named| cast.actor(named));
            let sent = request.param("redirect_uri");
            let landed = refused_in_browser(cast, request, &refusal, |location| {
                let actor = to.ok_or("a redirect for an unknown client")?;
                let base = match sent {
                    Some(uri) => String::from_utf8(uri).map_err(|_| "no text")?,
                    None => actor.redirects.first().ok_or("nowhere to go")?.clone(),
                };
                let state = request.param("state");
                lands(actor, &base, location, state.as_deref(), false)
            })?;
            Ok(Seen { refused: 1, redirects: usize::from(landed), ..Seen::default() })
        }
    }
}

/// Judges a refusal at the authorization endpoint: a page, or a redirect that `lands` accepts.
/// Returns whether it is a redirect.
fn refused_in_browser(
    cast: &Cast,
    request: &Request,
    refusal: &Refusal,
    lands: impl FnOnce(&str) -> Result<(), Fault>,
) -> Result<bool, Fault> {
    let policy = cast.server.policy();
    let reply = refusal.reply(policy);
    let problem = refusal.problem(policy);
    let status = refusal.status();
    let code = problem.code.map_or("", ErrorCode::as_str);
    hold!(is_registered(request.to, code, status), "{status} {code:?}");
    match (reply.header("location"), problem.continue_url) {
        (Some(location), _) => lands(location).map(|()| true),
        (None, Some(location)) => lands(&location).map(|()| true),
        (None, None) => Ok(false),
    }
}

pub(super) fn consent(cast: &mut Cast, request: &Request) -> Result<Seen, Fault> {
    let user = request.user.unwrap_or_default();
    let choice = match request.choice.as_deref() {
        None => Choice::Deny,
        Some("") => Choice::Allow,
        Some(scope) => Choice::AllowOnly(scope),
    };
    let answer = outcome(cast.server.consent(&request.name, Cast::user(user), choice));
    let ticket = cast.tickets.iter().find(|ticket| ticket.text == request.name).cloned();
    let owner = ticket.as_ref().filter(|ticket| ticket.user == user);
    let actor = owner.and_then(|ticket| cast.actor(ticket.client.as_bytes())).cloned();
    match answer {
        Ok(redirect) => {
            let ticket = owner.ok_or("a decision about another user's page")?;
            let actor = actor.ok_or("a decision for an unknown client")?;
            hold!(request.choice.is_some(), "a code for a denial");
            let location = redirect.into_location();
            lands(&actor, &ticket.redirect, &location, ticket.state.as_deref(), true)?;
            let code = last_param(&location, "code").ok_or("no code")?;
            cast.learn(&code);
            let redirect = ticket.redirect_sent.then(|| ticket.redirect.clone());
            cast.codes.push(Issued { redirect, ..Issued::new(&code, &actor.id) });
            Ok(Seen { redirects: 1, ..Seen::default() })
        }
        Err(refusal) => {
            let landed = refused_in_browser(cast, request, &refusal, |location| {
                let ticket = owner.ok_or("a redirect for another user's page")?;
                let actor = actor.ok_or("a redirect for an unknown client")?;
                lands(&actor, &ticket.redirect, location, ticket.state.as_deref(), false)
            })?;
            Ok(Seen { refused: 1, redirects: usize::from(landed), ..Seen::default() })
        }
    }
}

/// Returns whether the URI is registered byte for byte, or except for the port of an http loopback
/// URI.
fn is_registered_uri(actor: &Actor, uri: &str) -> bool {
    let without_port = |uri: &str| {
        let host = ["http://127.0.0.1", "http://[::1]", "http://localhost"]
            .into_iter()
            .find(|host| uri.starts_with(host))?;
        let rest = uri[host.len()..].strip_prefix(':').unwrap_or(&uri[host.len()..]);
        Some((host, rest.trim_start_matches(|c: char| c.is_ascii_digit()).to_owned()))
    };
    actor.redirects.iter().any(|own| {
        own == uri || without_port(own).is_some_and(|own| Some(own) == without_port(uri))
    })
}

/// Checks that the location is the registered URI, with its registered parameters and the
/// response's parameters, each separate.
fn lands(
    actor: &Actor,
    base: &str,
    location: &str,
    state: Option<&[u8]>,
    is_code: bool,
) -> Result<(), Fault> {
    hold!(is_registered_uri(actor, base), "{base} is not registered");
    hold!(location.starts_with(base), "{location} does not begin with {base}");
    let wanted = Url::parse(base).map_err(|error| format!("{error}"))?;
    let found = Url::parse(location).map_err(|error| format!("{error}"))?;
    let place = |url: &Url| {
        let host = url.host_str().map(str::to_owned);
        (url.scheme().to_owned(), host, url.port(), url.path().to_owned())
    };
    hold!(place(&wanted) == place(&found), "{location} is elsewhere than {base}");
    hold!(found.fragment().is_none() && found.username().is_empty(), "{location}");
    let pairs = |url: &Url| url.query_pairs().into_owned().collect::<Vec<_>>();
    let registered = pairs(&wanted);
    let mut all = pairs(&found);
    hold!(all.len() >= registered.len(), "{location} lost parameters of {base}");
    let own = all.split_off(registered.len());
    hold!(all == registered, "{location} changed the parameters of {base}");
    let own: BTreeMap<_, _> = own.into_iter().collect();
    let count = pairs(&found).len() - registered.len();
    hold!(own.len() == count, "a parameter is in {location} twice");
    hold!(own.contains_key("code") == is_code, "{location}");
    hold!(own.contains_key("error") != is_code, "{location}");
    hold!(own.get("iss").map(String::as_str) == Some("https://auth.example"), "{location}");
    let expected = state.map(|state| String::from_utf8_lossy(state).into_owned());
    hold!(
        own.get("state") == expected.as_ref() || !is_code && !own.contains_key("state"),
        "{location}"
    );
    let known = ["code", "iss", "state", "error", "error_description", "error_uri"];
    hold!(own.keys().all(|name| known.contains(&&**name)), "{location}");
    Ok(())
}

fn last_param(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    url.query_pairs().filter(|(own, _)| own == name).last().map(|(_, value)| value.into_owned())
}
