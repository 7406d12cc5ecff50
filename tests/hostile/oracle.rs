//! The oracle: judges the response to a request, its events and its effect on the store.

use std::convert::Infallible;

use grantcore::{Error, Refusal, Reply};
use serde_json::Value;

use self::browser::{authorize, consent};
use self::effects::{changes, events};
use crate::cast::{Actor, Cast, Issued, MCP, VERIFIER};
use crate::errors::is_registered;
use crate::wire::{Claim, Method, Request, To};

/// Counts of outcomes, to prove that a run was not trivial.
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

/// The prefixes of the server's own secrets.
const PREFIXES: [&str; 6] = ["gct_", "gac_", "gat_", "grt_", "gcs_", "gcm_"];

/// Why a response, an event or a change is wrong.
type Fault = String;

macro_rules! hold {
    ($condition:expr, $($why:tt)+) => {
        let holds = $condition;
        if !holds {
            return Err(format!($($why)+));
        }
    };
}

mod browser;
mod effects;

/// Sends the request, and judges the response, the events and the change of the store.
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

/// Judges a refusal: its code and status belong to the endpoint, and its description is plain.
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

/// Returns the outcome of a call. The store does not fail.
fn outcome<T>(result: Result<T, Error<Infallible>>) -> Result<T, Refusal> {
    result.map_err(|error| match error {
        Error::Refused(refusal) => refusal,
        Error::Failed(failure) => panic!("the store works: {failure}"),
    })
}

fn reply(cast: &Cast, result: Result<Reply, Error<Infallible>>) -> Reply {
    outcome(result).unwrap_or_else(|refusal| refusal.reply(cast.server.policy()))
}

/// Returns the client that the request names and authenticates as.
fn authenticated<'c>(cast: &'c Cast, claim: Option<&Claim>) -> Result<&'c Actor, Fault> {
    let claim = claim.ok_or("the request names no client")?;
    let actor = cast.actor(&claim.id).ok_or("the request names a client that does not exist")?;
    hold!(!actor.is_deleted, "the client {} is deleted", actor.id);
    hold!(actor.method == claim.method, "{} authenticates by another method", actor.id);
    let secret = actor.secret.as_deref().unwrap_or_default();
    hold!(secret.as_bytes() == claim.secret, "the secret of {} differs", actor.id);
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
