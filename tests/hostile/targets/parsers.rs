//! Requests and headers as any bytes, with independent parsers.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock, Mutex};

use grantcore::blocking::Server;
use grantcore::client::StoredSecret;
use grantcore::policy::{IntrospectionRules, Limits, RevocationRules};
use grantcore::request::{
    AuthorizationRequest, IntrospectionRequest, RevocationRequest, Site, TokenRequest,
};
use grantcore::value::{Digest, Scope, SecretMethod};
use grantcore::{
    Authorization, AuthorizationStep, Choice, Client, Event, FromStore, MemoryStore, Policy,
    Refusal, RequestParts, Timestamp, User,
};

use super::parts;
use crate::cast::{CHALLENGE, MCP, VERIFIER};
use crate::errors::is_registered;
use crate::model::scan::challenge;
use crate::wire::{Method, Request, To, pairs};

const SECRET: &str = "a-secret-of-a-confidential-client-0123456789";

fn policy() -> Policy {
    Policy::builder("https://auth.example")
        .scope("read", "Read your notes")
        .scope("write", "Change your notes")
        .resource(MCP, "read write")
        .revocation(RevocationRules::default())
        .introspection(IntrospectionRules::default().with_resource_server("basic", MCP))
        .limits(
            Limits::default()
                .with_token_requests_per_minute(u32::MAX)
                .with_failed_authentications_per_minute(u32::MAX)
                .with_consent_pages_per_minute(u32::MAX),
        )
        .build()
        .expect("a policy")
}

/// A server with a public client, a confidential client for each method, and one access token.
struct Fixture {
    server: Server<MemoryStore>,
    token: String,
    events: Arc<Mutex<Vec<Event>>>,
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let store = MemoryStore::new();
    store.put_client(Client::public("app").redirect_uri("https://app.example/cb").build().unwrap());
    for (id, method) in [("basic", SecretMethod::Basic), ("post", SecretMethod::Post)] {
        let secret = StoredSecret::Digest(Digest::of(SECRET.as_bytes()));
        let client = Client::confidential(id, method, secret);
        store.put_client(client.redirect_uri("https://app.example/cb").build().unwrap());
    }
    let events = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&events);
    let drawn = Mutex::new(crate::random::Random::new(7));
    let draw = move || {
        let mut drawn = drawn.lock().unwrap();
        let bytes = std::array::from_fn(|_| drawn.next().to_le_bytes()[0]);
        Ok(grantcore::moment::Entropy::from_bytes(bytes))
    };
    let now = || Timestamp::from_unix_seconds(1_800_000_000);
    let server = Server::with_sources(policy(), store, FromStore, now, draw)
        .with_observer(move |event| *log.lock().unwrap() = vec![event.clone()]);
    let query = format!(
        "response_type=code&client_id=app&code_challenge={CHALLENGE}&code_challenge_method=S256\
         &scope=read"
    );
    let request =
        RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
    let alice = User::new("alice", b"alice's browser").unwrap();
    let Ok(AuthorizationStep::NeedsConsent(page)) = server.authorize(&request, Some(alice)) else {
        panic!("a consent page")
    };
    let location = server.consent(&page.ticket(), alice, Choice::Allow).unwrap().into_location();
    let code = location.split(['=', '&']).nth(1).unwrap();
    let body =
        format!("grant_type=authorization_code&client_id=app&code={code}&code_verifier={VERIFIER}");
    let reply = server.token(&RequestParts {
        method: "POST",
        content_type: grantcore::ContentType::FORM,
        body: body.as_bytes(),
        ..RequestParts::default()
    });
    let body: serde_json::Value = serde_json::from_str(&reply.unwrap().body).unwrap();
    let token = body["access_token"].as_str().unwrap().to_owned();
    Fixture { server, token, events }
});

/// Checks that a refusal is registered at this endpoint, has the description of its reason, and is
/// written in the characters of its place.
fn check_refusal(to: To, refusal: &Refusal) {
    let code = refusal.code().map_or("", |code| code.as_str());
    let reply = refusal.reply(FIXTURE.server.policy());
    let is_bare = matches!(to, To::Check) && code.is_empty() && refusal.status() == 401;
    assert!(is_bare || is_registered(to, code, refusal.status()), "{} {code:?}", refusal.status());
    assert!(refusal.description().starts_with(refusal.reason().description()));
    for (name, value) in &reply.headers {
        let is_plain = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        assert!(value.bytes().all(is_plain), "{name}: {value:?}");
    }
    if let Some(header) = reply.header("www-authenticate").filter(|own| own.starts_with("Bearer "))
    {
        let found = challenge(header).unwrap_or_else(|fault| panic!("{fault}"));
        let known = ["realm", "resource_metadata", "scope", "error", "error_description"];
        assert!(found.keys().all(|name| known.contains(&&**name)), "{header}");
        assert_eq!(found.get("error").map_or("", |own| own), code, "{header}");
    }
    let has_json = reply.header("content-type") == Some("application/json");
    if has_json && !reply.body.is_empty() {
        let body: serde_json::Value = serde_json::from_str(&reply.body).expect("JSON");
        assert_eq!(body["error"], code);
    }
}

/// The first byte selects the endpoint; then come, each ended by a zero byte, a content type, an
/// `Authorization` header and a query, and the rest is the body.
pub fn forms(data: &[u8]) {
    let (selected, data) = data.split_first().map_or((0, data), |(first, rest)| (*first, rest));
    let [content_type, authorization, query, body] = parts(data);
    let to = [To::Token, To::Revoke, To::Introspect, To::Authorize][usize::from(selected % 4)];
    let mut request = Request::to(to);
    request.query = query.to_vec();
    request.body = body.to_vec();
    if !authorization.is_empty() {
        request.authorization = vec![authorization.to_vec()];
    }
    if selected & 4 != 0 {
        request.method = "GET";
    }
    let mut incoming: RequestParts<'_> = request.incoming();
    incoming.site = Site::Unknown;
    if selected & 8 != 0 {
        incoming.content_type = [content_type].into_iter().collect();
    }
    let policy = FIXTURE.server.policy();
    let parsed = match to {
        To::Token => TokenRequest::parse(&incoming, policy).map(|parsed| {
            assert!(
                !parsed.claimed_client().is_empty()
                    || request.claim().is_none_or(|claim| claim.id.is_empty())
            );
        }),
        To::Revoke => RevocationRequest::parse(&incoming, policy).map(drop),
        To::Introspect => IntrospectionRequest::parse(&incoming, policy).map(drop),
        _ => AuthorizationRequest::parse(&incoming, None, policy).map(drop),
    };
    match &parsed {
        Err(refusal) => check_refusal(to, refusal),
        // What an authorization request repeats is refused later, where its client is known.
        Ok(()) if to != To::Authorize => {
            assert_eq!(incoming.method, "POST");
            let names: Vec<_> =
                pairs(body).into_iter().filter(|(_, value)| !value.is_empty()).collect();
            // What an endpoint does not know it ignores.
            let own: &[&str] = match to {
                To::Token => &["grant_type", "code", "refresh_token", "redirect_uri", "scope"],
                _ => &["token"],
            };
            for name in own.iter().chain(&["client_id", "client_secret"]) {
                let count = names.iter().filter(|(own, _)| own == name.as_bytes()).count();
                assert!(count <= 1, "{name} is accepted {count} times");
            }
        }
        Ok(()) => {}
    }
    FIXTURE.events.lock().unwrap().clear();
    let answer = match to {
        To::Token => FIXTURE.server.token(&incoming),
        To::Revoke => FIXTURE.server.revoke(&incoming),
        To::Introspect => FIXTURE.server.introspect(&incoming),
        _ => return,
    };
    let is_known = |claim: &crate::wire::Claim| match claim.method {
        Method::None => claim.id == b"app",
        Method::Basic => claim.id == b"basic" && claim.secret == SECRET.as_bytes(),
        Method::Post => claim.id == b"post" && claim.secret == SECRET.as_bytes(),
    };
    let claims = request.claim().is_some_and(|claim| is_known(&claim));
    match answer {
        Ok(reply) => assert!(claims && reply.status == 200, "an answer for nobody: {}", reply.body),
        Err(error) => {
            check_refusal(to, error.refusal());
            let code = error.refusal().code().map_or("", |code| code.as_str());
            let is_past_authentication = matches!(
                code,
                "invalid_grant" | "invalid_scope" | "invalid_target" | "unauthorized_client"
            );
            assert!(claims || !is_past_authentication, "{code} for nobody");
        }
    }
}

/// The bytes are an `Authorization` header of a call. `TOKEN` in it stands for a token that is
/// good.
pub fn headers(data: &[u8]) {
    let text = String::from_utf8_lossy(data).replace("TOKEN", &FIXTURE.token);
    let header = if std::str::from_utf8(data).is_ok() { text.as_bytes() } else { data };
    let needs = FIXTURE.server.policy().needs(MCP, "read").expect("a resource");
    let answer = FIXTURE.server.check(&Authorization::One(header), &needs);
    // RFC 6750 §2.1 with RFC 9110 §11.1: the scheme in any case, one or more spaces, a token68.
    let mut words: Vec<_> = header.trim_ascii_end().split(|byte| *byte == b' ').collect();
    // HTTP removes whitespace at the end of a header.
    let scheme = words.remove(0);
    let rest: Vec<_> = words.iter().filter(|word| !word.is_empty()).collect();
    let is_good = scheme.eq_ignore_ascii_case(b"bearer") && rest == [&FIXTURE.token.as_bytes()];
    match answer {
        Ok(access) => {
            assert!(is_good, "accepted: {}", header.escape_ascii());
            let subject = access.subject().map(grantcore::value::Subject::as_str);
            assert_eq!((access.client_id().as_str(), subject), ("app", Some("alice")));
        }
        Err(error) => {
            assert!(!is_good, "refused: {}", header.escape_ascii());
            check_refusal(To::Check, error.refusal());
        }
    }
}

/// The bytes are a scope.
pub fn scopes(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // RFC 6749 §3.3.
    let is_token = |word: &str| {
        let is_right = |b: u8| matches!(b, 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
        !word.is_empty() && word.bytes().all(is_right)
    };
    let words: Vec<_> = text.split(' ').filter(|word| !word.is_empty()).collect();
    let Ok(scope) = Scope::parse(text) else {
        let is_list = !words.is_empty() && words.iter().all(|word| is_token(word));
        let is_short = words.iter().collect::<BTreeSet<_>>().len() <= 64;
        assert!(!is_list || !is_short, "{text:?} is a scope");
        return;
    };
    assert!(words.iter().all(|word| is_token(word)), "{text:?} is no scope");
    let wanted: BTreeSet<_> = words.iter().copied().collect();
    let found: Vec<_> = scope.tokens().collect();
    assert_eq!(found.len(), wanted.len(), "each token once: {text:?}");
    assert_eq!(found.iter().copied().collect::<BTreeSet<_>>(), wanted);
    assert!(words.iter().all(|word| scope.contains(word)));
    let again: Scope = Scope::parse(scope.as_str()).expect("a scope is a scope");
    assert!(again == scope && again.covers(&scope) && scope.covers(&again));
}
