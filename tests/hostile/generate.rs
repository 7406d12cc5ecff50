//! Generates requests. Each begins as a request that an honest client could send now, and is then
//! changed as an attacker would.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded::byte_serialize;

use crate::cast::{Actor, CHALLENGE, Cast, MCP, USERS, VERIFIER};
use crate::random::Random;
use crate::wire::{Method, Request, To};

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Returns the next request of a case.
pub fn step(cast: &Cast, random: &mut Random) -> Request {
    match random.below(100) {
        0..22 => authorize(cast, random),
        22..42 => consent(cast, random),
        42..58 => {
            let form = redemption(cast, random);
            token(cast, random, form)
        }
        58..72 => {
            let form = refresh(cast, random);
            token(cast, random, form)
        }
        72..79 => token_form(cast, random, To::Revoke),
        79..85 => token_form(cast, random, To::Introspect),
        85..90 => check(cast, random),
        90..93 => register(random),
        93..98 => manage(cast, random),
        _ => {
            let limit = if random.one_in(6) { 16 } else { 7 };
            Request::to(To::Wait(1 << random.below(limit)))
        }
    }
}

fn pair(name: &str, value: &str) -> (Vec<u8>, Vec<u8>) {
    (name.into(), value.into())
}

fn authorize(cast: &Cast, random: &mut Random) -> Request {
    let actor = random.pick(&cast.actors).clone();
    let mut pairs = vec![
        pair("response_type", "code"),
        pair("client_id", &actor.id),
        pair("state", random.word(&["xyz", "a b&c=d", "%3F?", "é", "\u{202e}x"])),
        pair("code_challenge", CHALLENGE),
        pair("code_challenge_method", "S256"),
    ];
    if let Some(uri) = actor.redirects.get(random.below(actor.redirects.len().max(1))) {
        let uri = if random.one_in(4) { with_another_port(uri) } else { uri.clone() };
        pairs.push(pair("redirect_uri", &uri));
    }
    if !random.one_in(3) {
        pairs.push(pair(
            "scope",
            random.word(&["read", "read write", "read write", "write openid", "write", "admin"]),
        ));
    }
    if random.one_in(3) {
        pairs.push(pair("resource", MCP));
    }
    if random.one_in(16) {
        pairs.push(pair("prompt", random.word(&["none", "login", "consent", "select_account x"])));
    }
    if random.one_in(16) {
        pairs.push(pair("max_age", random.word(&["0", "3600", "-1", "x"])));
        pairs.push(pair("login_hint", "alice@example.com"));
        pairs.push(pair("ui_locales", "de en"));
        pairs.push(pair("acr_values", "mfa \""));
    }
    mutate(cast, random, &mut pairs);
    let mut request = Request::to(To::Authorize);
    request.user = (!random.one_in(10)).then(|| random.below(USERS.len()));
    let encoded = encode(random, &pairs);
    if random.one_in(4) {
        request.body = encoded;
    } else {
        request.method = "GET";
        request.content_type = None;
        request.query = encoded;
    }
    request
}

/// Returns a loopback URI with another port, as RFC 8252 §7.3 allows it. Other URIs are unchanged.
fn with_another_port(uri: &str) -> String {
    ["http://127.0.0.1", "http://[::1]"]
        .iter()
        .find_map(|host| Some(format!("{host}:49152{}", uri.strip_prefix(host)?)))
        .unwrap_or_else(|| uri.to_owned())
}

fn consent(cast: &Cast, random: &mut Random) -> Request {
    let mut request = Request::to(To::Consent);
    request.choice = match random.below(6) {
        0 => None,
        1 => Some("read".into()),
        2 => Some("read admin".into()),
        _ => Some(String::new()),
    };
    let ticket = random.recent(&cast.tickets);
    request.user = Some(ticket.map_or(0, |ticket| ticket.user));
    request.name = ticket.map_or_else(String::new, |ticket| ticket.text.clone());
    if random.one_in(6) {
        request.user = Some(random.below(USERS.len()));
    }
    if random.one_in(10) {
        request.name = hostile(cast, random);
    }
    request
}

/// Returns the client and the form of a code redemption, or of a refresh if there is no code.
fn redemption(cast: &Cast, random: &mut Random) -> (Option<Actor>, Pairs) {
    let Some(code) = random.recent(&cast.codes) else { return refresh(cast, random) };
    let mut pairs = vec![
        pair("grant_type", "authorization_code"),
        pair("code", &code.text),
        pair("code_verifier", VERIFIER),
    ];
    pairs.extend(code.redirect.as_ref().map(|uri| pair("redirect_uri", uri)));
    (cast.actor(code.client.as_bytes()).cloned(), pairs)
}

/// Returns the client and the form of a refresh.
fn refresh(cast: &Cast, random: &mut Random) -> (Option<Actor>, Pairs) {
    let mut pairs = vec![pair("grant_type", "refresh_token")];
    let token = random.recent(&cast.refreshes);
    pairs.extend(token.map(|token| pair("refresh_token", &token.text)));
    if random.one_in(8) {
        pairs.push(pair("scope", random.word(&["read", "write", "openid read", "admin"])));
    }
    (token.and_then(|token| cast.actor(token.client.as_bytes())).cloned(), pairs)
}

fn token(cast: &Cast, random: &mut Random, form: (Option<Actor>, Pairs)) -> Request {
    let (actor, pairs) = form;
    authenticated(cast, random, To::Token, actor.as_ref(), pairs)
}

/// Returns a revocation or an introspection of an issued token.
fn token_form(cast: &Cast, random: &mut Random, to: To) -> Request {
    let access = random.recent(&cast.accesses);
    let refresh = random.recent(&cast.refreshes);
    let token = if random.one_in(2) { access.or(refresh) } else { refresh.or(access) };
    let pairs = token.map(|token| pair("token", &token.text)).into_iter().collect();
    let caller = match to {
        To::Introspect => cast.actor(b"resource"),
        _ => token.and_then(|token| cast.actor(token.client.as_bytes())),
    };
    authenticated(cast, random, to, caller, pairs)
}

/// Returns a form request of this client with its credentials, with hostile changes.
fn authenticated(
    cast: &Cast,
    random: &mut Random,
    to: To,
    actor: Option<&Actor>,
    mut pairs: Pairs,
) -> Request {
    let mut request = Request::to(to);
    let actor = actor.unwrap_or(&cast.actors[0]);
    let secret = actor.secret.clone().unwrap_or_default();
    match actor.method {
        Method::None => pairs.push(pair("client_id", &actor.id)),
        Method::Post => {
            pairs.push(pair("client_id", &actor.id));
            pairs.push(pair("client_secret", &secret));
        }
        Method::Basic => {
            request.authorization = vec![basic(actor.id.as_bytes(), secret.as_bytes())];
        }
    }
    mutate(cast, random, &mut pairs);
    request.body = encode(random, &pairs);
    if random.one_in(8) {
        request.authorization = hostile_header(cast, random);
    }
    if random.one_in(40) {
        request.method = random.word(&["GET", "PUT", "post"]);
    }
    if random.one_in(40) {
        request.content_type = *random.pick(&[None, Some("text/plain"), Some("application/json")]);
    }
    if random.one_in(40) {
        request.query = encode(random, &pairs);
    }
    request
}

fn basic(id: &[u8], secret: &[u8]) -> Vec<u8> {
    let half = |raw: &[u8]| byte_serialize(raw).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", half(id), half(secret)))).into_bytes()
}

/// Returns hostile `Authorization` headers.
fn hostile_header(cast: &Cast, random: &mut Random) -> Vec<Vec<u8>> {
    let actor = random.pick(&cast.actors);
    let secret = actor.secret.clone().unwrap_or_else(|| hostile(cast, random));
    match random.below(7) {
        0 => vec![basic(&hostile_id(cast, random), secret.as_bytes())],
        1 => vec![basic(actor.id.as_bytes(), hostile(cast, random).as_bytes())],
        2 => vec![basic(actor.id.as_bytes(), secret.as_bytes()); 2],
        3 => vec![[b"bAsIc  ", &basic(actor.id.as_bytes(), secret.as_bytes())[6..]].concat()],
        4 => vec![format!("Bearer {}", hostile(cast, random)).into_bytes()],
        5 => vec![[&b"Basic "[..], &random.bytes(40)].concat()],
        _ => vec![basic(actor.id.as_bytes(), secret.as_bytes())],
    }
}

fn check(cast: &Cast, random: &mut Random) -> Request {
    let mut request = Request::to(To::Check);
    let token = random.recent(&cast.accesses).map_or_else(String::new, |token| token.text.clone());
    let header = match random.below(8) {
        0 => format!("Bearer {}", hostile(cast, random)).into_bytes(),
        1 => format!("Bearer  {token} x").into_bytes(),
        2 => b"Bearer".to_vec(),
        3 => [&b"Bearer "[..], &random.bytes(60)].concat(),
        _ => format!("bearer {token}").into_bytes(),
    };
    request.authorization = vec![header];
    request
}

fn register(random: &mut Random) -> Request {
    let method = random.word(&["none", "client_secret_post", "client_secret_basic"]);
    let uri =
        random.pick(&["https://dyn.example/cb", "http://127.0.0.1/cb", "https://d.example/?a?"]);
    let body = format!(
        r#"{{"client_name":"Dynamic","redirect_uris":["{uri}"],
            "token_endpoint_auth_method":"{method}",
            "grant_types":["authorization_code","refresh_token"]}}"#
    );
    let mut request = Request::to(To::Register);
    request.content_type = Some("application/json");
    request.body = damaged(random, body.into_bytes());
    request
}

fn manage(cast: &Cast, random: &mut Random) -> Request {
    let mut request = Request::to(To::Manage);
    let managed: Vec<_> = cast.actors.iter().filter(|actor| actor.management.is_some()).collect();
    let token = random.recent(&managed).and_then(|actor| actor.management.clone());
    let actor = random.recent(&managed).map(|actor| (*actor).clone());
    request.name = actor.map_or_else(|| hostile(cast, random), |actor| actor.id);
    request.method = random.word(&["GET", "GET", "PUT", "DELETE"]);
    request.content_type = Some("application/json");
    let token = token.filter(|_| !random.one_in(8)).unwrap_or_else(|| hostile(cast, random));
    request.authorization = vec![format!("Bearer {token}").into_bytes()];
    let body = format!(
        r#"{{"client_id":"{}","redirect_uris":["https://dyn.example/moved"],
            "grant_types":["authorization_code","refresh_token"]}}"#,
        request.name.replace(['"', '\\'], "")
    );
    request.body = damaged(random, body.into_bytes());
    request
}

/// Replaces some bytes of the text in one of eight cases.
fn damaged(random: &mut Random, mut text: Vec<u8>) -> Vec<u8> {
    if random.one_in(8) {
        let at = random.below(text.len());
        let noise = random.bytes(6);
        text.splice(at..(at + noise.len()).min(text.len()), noise);
    }
    text
}

/// Makes zero to three hostile changes to the parameters.
fn mutate(cast: &Cast, random: &mut Random, pairs: &mut Pairs) {
    for _ in 0..[0, 0, 0, 0, 1, 1, 2, 3][random.below(8)] {
        if pairs.is_empty() {
            return;
        }
        let at = random.below(pairs.len());
        match random.below(9) {
            0 | 1 => set(pairs, "client_id", &hostile_id(cast, random)),
            2 => {
                pairs.remove(at);
            }
            3 => pairs.push(pairs[at].clone()),
            4 => pairs[at].1 = hostile(cast, random).into_bytes(),
            5 => pairs[at].1 = random.bytes(30),
            6 => {
                let other = random.below(pairs.len());
                let value = pairs[other].1.clone();
                pairs[at].1 = value;
            }
            7 => set(pairs, "client_secret", hostile(cast, random).as_bytes()),
            _ => pairs[at].1.push(*random.pick(b"/?#&= .%\0A")),
        }
    }
}

/// Sets a parameter, or adds it if it is missing.
fn set(pairs: &mut Pairs, name: &str, value: &[u8]) {
    match pairs.iter_mut().find(|(own, _)| own == name.as_bytes()) {
        Some((_, own)) => *own = value.to_vec(),
        None => pairs.push((name.into(), value.to_vec())),
    }
}

/// Returns a `client_id` of another client, of no client, or one that no client can have.
fn hostile_id(cast: &Cast, random: &mut Random) -> Vec<u8> {
    let own = random.pick(&cast.actors).id.clone();
    match random.below(12) {
        0 => "é".into(),
        1 => b"\0".to_vec(),
        2 => format!("{own}\n").into_bytes(),
        3 => vec![b'x'; 2_049],
        4 => Vec::new(),
        5 => format!(" {own}").into_bytes(),
        6 => own.to_uppercase().into_bytes(),
        7 => format!("{own}\0").into_bytes(),
        8 => hostile(cast, random).into_bytes(),
        9 => b"\xff\xfe".to_vec(),
        _ => own.into_bytes(),
    }
}

/// Returns a text that is dangerous in the wrong place: a credential of another kind or client, or
/// a URI.
fn hostile(cast: &Cast, random: &mut Random) -> String {
    let issued = |list: &[crate::cast::Issued], random: &mut Random| {
        random.recent(list).map_or_else(String::new, |token| token.text.clone())
    };
    match random.below(14) {
        0 => issued(&cast.codes, random),
        1 => issued(&cast.refreshes, random),
        2 => issued(&cast.accesses, random),
        3 => random.recent(&cast.tickets).map_or_else(String::new, |ticket| ticket.text.clone()),
        4 => issued(&cast.refreshes, random).to_uppercase(),
        5 => format!("x {} y", issued(&cast.accesses, random)),
        6 => random.pick(&cast.actors).secret.clone().unwrap_or_default(),
        7 => random.pick(&cast.actors).management.clone().unwrap_or_default(),
        8 => "https://evil.example/cb".into(),
        9 => "javascript:alert(1)".into(),
        10 => "gac_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".into(),
        11 => random.pick(&cast.actors).id.clone(),
        12 => "a".repeat(random.below(5_000)),
        _ => "\u{0}\u{7f}\u{202e}<script>\"'".into(),
    }
}

/// Encodes the parameters as a form, in order. In one of ten forms every byte is escaped. In one of
/// sixty a malformed or empty parameter follows.
fn encode(random: &mut Random, pairs: &Pairs) -> Vec<u8> {
    let escapes_all = random.one_in(10);
    let mut out = Vec::new();
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push(b'&');
        }
        for text in [name, value] {
            if escapes_all {
                out.extend(text.iter().flat_map(|byte| format!("%{byte:02x}").into_bytes()));
            } else {
                out.extend(byte_serialize(text).flat_map(str::bytes));
            }
            out.push(b'=');
        }
        out.pop();
    }
    if random.one_in(60) {
        out.extend(random.pick(&[&b"%"[..], b"&%zz=1", b"&=", b"&&&", b"&a", b"\xff"]).iter());
    }
    out
}
