//! Judges what the server answered to a request and did to its store.

use std::collections::BTreeMap;
use std::convert::Infallible;

use grantcore::{
    AuthorizationStep, Choice, Error, ErrorCode, Grant, GrantId, GrantState, Refusal, Reply, Stored,
};
use serde_json::Value;
use url::Url;

use crate::cast::{Actor, Cast, Issued, MCP, Ticket, USERS, VERIFIER, grant_of};
use crate::errors::is_registered;
use crate::wire::{Claim, Method, Request, To};

/// What was seen, so that a run proves that it went somewhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub requests: usize,
    pub tokens: usize,
    pub ended: usize,
    pub redirects: usize,
    pub refused: usize,
}

impl Seen {
    pub fn and(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            tokens: self.tokens + other.tokens,
            ended: self.ended + other.ended,
            redirects: self.redirects + other.redirects,
            refused: self.refused + other.refused,
        }
    }
}

/// What each of the server's own secrets begins with.
const PREFIXES: [&str; 6] = ["gct_", "gac_", "gat_", "grt_", "gcs_", "gcm_"];

/// Why an answer is wrong.
type Fault = String;

macro_rules! hold {
    ($condition:expr, $($why:tt)+) => {
        let holds = $condition;
        if !holds {
            return Err(format!($($why)+));
        }
    };
}

/// Sends the request and judges the answer, the events and the change of the store.
pub fn judge(cast: &mut Cast, request: &Request) -> Result<Seen, Fault> {
    let before = cast.grants();
    let mut seen = match request.to {
        To::Wait(seconds) => {
            cast.wait(seconds);
            Seen::default()
        }
        To::Authorize => authorize(cast, request)?,
        To::Consent => consent(cast, request)?,
        To::Token => token(cast, request)?,
        To::Revoke | To::Introspect => token_form(cast, request)?,
        To::Register | To::Manage => registration(cast, request)?,
        To::Check => check(cast, request)?,
    };
    seen.requests = 1;
    seen.ended += changes(cast, request, &before)?;
    events(cast, request)?;
    Ok(seen)
}

/// A refusal that is one of the endpoint's own.
fn refused(request: &Request, reply: &Reply) -> Result<(), Fault> {
    let status = reply.status;
    if reply.body.is_empty() {
        hold!(matches!(status, 401), "{status} without a body");
        return Ok(());
    }
    let body: Value = serde_json::from_str(&reply.body).map_err(|error| format!("{error}"))?;
    let code = body["error"].as_str().unwrap_or_default();
    hold!(is_registered(request.to, code, status), "{status} {code:?} at {:?}", request.to);
    let description = body["error_description"].as_str().unwrap_or_default();
    let is_plain =
        description.bytes().all(|byte| matches!(byte, b' '..=b'!' | b'#'..=b'[' | b']'..=b'~'));
    hold!(is_plain && description.len() < 1_000, "error_description: {description:?}");
    Ok(())
}

/// The outcome of a call. The store works.
fn outcome<T>(result: Result<T, Error<Infallible>>) -> Result<T, Refusal> {
    result.map_err(|error| match error {
        Error::Refused(refusal) => refusal,
        Error::Failed(failure) => panic!("the store works: {failure}"),
    })
}

fn reply(cast: &Cast, result: Result<Reply, Error<Infallible>>) -> Reply {
    outcome(result).unwrap_or_else(|refusal| refusal.reply(cast.server.policy()))
}

fn authorize(cast: &mut Cast, request: &Request) -> Result<Seen, Fault> {
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
            let user = request.user.ok_or("a page for nobody")?;
            hold!(page.subject() == USERS[user].0, "a page for {}", page.subject());
            hold!(request.param("code_challenge").is_some(), "a page without a challenge");
            let sent = request.param("redirect_uri");
            let redirect = match &sent {
                Some(uri) => String::from_utf8(uri.clone()).map_err(|_| "no text")?,
                None => actor.redirects.first().ok_or("nowhere to go")?.clone(),
            };
            hold!(is_registered_uri(&actor, &redirect), "a page for {redirect}");
            let ticket = Ticket {
                text: page.into_ticket(),
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
        Ok(_) => Ok(Seen::default()),
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

/// A refusal at the authorization endpoint: a page, or a redirect that `lands` where it must.
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

fn consent(cast: &mut Cast, request: &Request) -> Result<Seen, Fault> {
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
            let ticket = owner.ok_or("a decision of somebody else's page")?;
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
                let ticket = owner.ok_or("a redirect for somebody else's page")?;
                let actor = actor.ok_or("a redirect for an unknown client")?;
                lands(&actor, &ticket.redirect, location, ticket.state.as_deref(), false)
            })?;
            Ok(Seen { refused: 1, redirects: usize::from(landed), ..Seen::default() })
        }
    }
}

/// Whether the URI is registered byte for byte, or but for the port of an http loopback URI.
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

/// Whether a browser that follows the location arrives at the registered URI, with the registered
/// parameters and this server's, each a parameter of its own.
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

/// The client that the request names and proves to be.
fn authenticated<'c>(cast: &'c Cast, claim: Option<&Claim>) -> Result<&'c Actor, Fault> {
    let claim = claim.ok_or("the request names no client")?;
    let actor = cast.actor(&claim.id).ok_or("the request names a client that does not exist")?;
    hold!(!actor.is_deleted, "the client {} is deleted", actor.id);
    hold!(actor.method == claim.method, "{} authenticates by another method", actor.id);
    let secret = actor.secret.as_deref().unwrap_or_default();
    hold!(secret.as_bytes() == claim.secret, "the secret of {} is another", actor.id);
    Ok(actor)
}

fn token(cast: &mut Cast, request: &Request) -> Result<Seen, Fault> {
    let reply = reply(cast, cast.server.token(&request.incoming()));
    if reply.status != 200 {
        refused(request, &reply)?;
        return Ok(Seen { refused: 1, ..Seen::default() });
    }
    let claim = request.claim();
    let client = authenticated(cast, claim.as_ref())?.id.clone();
    let text = |name| request.param(name).and_then(|value| String::from_utf8(value).ok());
    if text("grant_type").as_deref() == Some("authorization_code") {
        let code = text("code").ok_or("tokens without a code")?;
        let redirect = text("redirect_uri");
        let own = cast.codes.iter_mut().find(|own| own.text == code).ok_or("an unknown code")?;
        hold!(own.client == client, "a code of {} was redeemed by {client}", own.client);
        hold!(!own.is_redeemed, "a code was redeemed twice");
        hold!(text("code_verifier").as_deref() == Some(VERIFIER), "another verifier");
        hold!(own.redirect.is_none() || own.redirect == redirect, "another redirect URI");
        own.is_redeemed = true;
    } else {
        hold!(text("grant_type").as_deref() == Some("refresh_token"), "tokens for no grant type");
        let token = text("refresh_token").ok_or("tokens without a refresh token")?;
        let own = cast.refreshes.iter().find(|own| own.text == token);
        let own = own.ok_or("an unknown refresh token")?;
        hold!(own.client == client, "a refresh token of {} was used by {client}", own.client);
    }
    let body: Value = serde_json::from_str(&reply.body).map_err(|error| format!("{error}"))?;
    let access = body["access_token"].as_str().ok_or("no access token")?;
    cast.learn(access);
    cast.accesses.push(Issued::new(access, &client));
    if let Some(refresh) = body["refresh_token"].as_str() {
        cast.learn(refresh);
        cast.refreshes.push(Issued::new(refresh, &client));
    }
    Ok(Seen { tokens: 1, ..Seen::default() })
}

fn token_form(cast: &Cast, request: &Request) -> Result<Seen, Fault> {
    let incoming = request.incoming();
    let result = match request.to {
        To::Revoke => cast.server.revoke(&incoming),
        _ => cast.server.introspect(&incoming),
    };
    let reply = reply(cast, result);
    if reply.status != 200 {
        refused(request, &reply)?;
        return Ok(Seen { refused: 1, ..Seen::default() });
    }
    let claim = request.claim();
    let caller = authenticated(cast, claim.as_ref())?;
    if request.to == To::Introspect {
        hold!(caller.id == "resource", "{} may introspect", caller.id);
        let body: Value = serde_json::from_str(&reply.body).map_err(|error| format!("{error}"))?;
        if body["active"] == true {
            let token = request.param("token").unwrap_or_default();
            let own = cast.accesses.iter().find(|own| own.text.as_bytes() == token);
            let own = own.ok_or("an unknown token is active")?;
            hold!(body["client_id"] == *own.client, "the token of {} is another's", own.client);
        }
    }
    Ok(Seen::default())
}

fn registration(cast: &mut Cast, request: &Request) -> Result<Seen, Fault> {
    let incoming = request.incoming();
    let result = match request.to {
        To::Register => cast.server.register(&incoming),
        _ => cast.server.manage(&request.name, &incoming),
    };
    let reply = reply(cast, result);
    let body = serde_json::from_str::<Value>(&reply.body).unwrap_or_default();
    let text = |member: &str| body[member].as_str().map(str::to_owned);
    for secret in ["client_secret", "registration_access_token"] {
        cast.secrets.extend(text(secret));
    }
    let redirects = || {
        let uris = body["redirect_uris"].as_array().cloned().unwrap_or_default();
        uris.iter().filter_map(|uri| uri.as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let method = match text("token_endpoint_auth_method").as_deref() {
        Some("client_secret_basic") => Method::Basic,
        Some("client_secret_post") => Method::Post,
        _ => Method::None,
    };
    match (request.to, reply.status) {
        (To::Register, 201) => {
            let id = text("client_id").ok_or("no client_id")?;
            hold!(cast.actor(id.as_bytes()).is_none(), "{id} was registered twice");
            hold!((method == Method::None) == text("client_secret").is_none(), "secret of {id}");
            let actor = Actor {
                id,
                method,
                secret: text("client_secret"),
                redirects: redirects(),
                management: text("registration_access_token"),
                is_deleted: false,
            };
            cast.actors.push(actor);
            Ok(Seen::default())
        }
        (To::Manage, 200 | 204) => {
            let [header] = &*request.authorization else { return Err("several tokens".into()) };
            let actor = cast.actors.iter_mut().find(|actor| actor.id == request.name);
            let actor = actor.ok_or("an unknown registration was managed")?;
            let token = actor.management.clone().ok_or("it has no token")?;
            hold!(header.ends_with(token.as_bytes()), "managed with another token");
            hold!(!actor.is_deleted, "a deleted registration was managed");
            if reply.status == 204 {
                actor.is_deleted = true;
            } else {
                actor.redirects = redirects();
                actor.method = method;
                if let Some(secret) = text("client_secret") {
                    actor.secret = Some(secret);
                }
                if method == Method::None {
                    actor.secret = None;
                }
            }
            Ok(Seen::default())
        }
        _ => {
            refused(request, &reply)?;
            Ok(Seen { refused: 1, ..Seen::default() })
        }
    }
}

fn check(cast: &Cast, request: &Request) -> Result<Seen, Fault> {
    let policy = cast.server.policy();
    let needs = policy.needs(MCP, "").map_err(|error| error.to_string())?;
    let answer = outcome(cast.server.check(&request.header(), &needs));
    match answer {
        Ok(access) => {
            let [header] = &*request.authorization else { return Err("several tokens".into()) };
            let header = header.trim_ascii();
            let own = cast.accesses.iter().find(|own| header.ends_with(own.text.as_bytes()));
            let own = own.ok_or("an unknown token was accepted")?;
            hold!(access.client_id().as_str() == own.client, "the token of {}", own.client);
            Ok(Seen::default())
        }
        Err(refusal) => {
            refused(request, &refusal.reply(policy))?;
            Ok(Seen { refused: 1, ..Seen::default() })
        }
    }
}

/// Whether only what the request's sender may change has changed; how many grants it ended.
fn changes(cast: &Cast, request: &Request, before: &[Stored<Grant>]) -> Result<usize, Fault> {
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
            hold!(is_named, "a grant changed whose credential was not presented");
        }
        To::Consent => {
            hold!(grant_of(&request.name) == Some(id), "another page's grant changed");
            let user = USERS[request.user.unwrap_or_default()].0;
            hold!(stored.record.subject().as_str() == user, "{user} decided for another");
        }
        // A challenge of one use: the same browser's page is made anew in its place.
        To::Authorize => {
            let user = request.user.map(|user| USERS[user].0).unwrap_or_default();
            hold!(stored.record.subject().as_str() == user, "{user} replaced another's page");
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
    // A page's grant is known from its ticket on, and no other request makes one.
    hold!(request.to == To::Authorize, "{:?} made a grant", request.to);
    Ok(())
}

/// The secrets in a request that nothing may repeat: the server's own wherever they stand, and
/// those that a client or operator chose where they stand in their own place and in no other.
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

/// Whether each call left an event, and no secret in any.
fn events(cast: &Cast, request: &Request) -> Result<(), Fault> {
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
