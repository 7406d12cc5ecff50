//! What clients say about themselves: redirect URIs, registrations and documents, as any bytes.

use grantcore::blocking::Server;
use grantcore::policy::{DocumentRules, Limits, RegistrationRules};
use grantcore::request::{Fetch, FetchedDocument};
use grantcore::value::{RedirectRules, RegisteredRedirectUri};
use grantcore::{
    AuthorizationStep, Client, ContentType, FromStore, MemoryStore, Policy, RequestParts,
    Timestamp, User,
};
use serde::de::IgnoredAny;
use serde_json::Value;
use url::Url;

use super::parts;
use crate::cast::{CHALLENGE, MCP};
use crate::errors::is_registered;
use crate::model::play::form;
use crate::wire::To;

const DOCUMENT: &str = "https://client.example/oauth/meta.json";

fn server() -> Server<MemoryStore> {
    let limits = Limits::default()
        .with_registrations_per_minute(u32::MAX)
        .with_all_registrations_per_minute(u32::MAX)
        .with_consent_pages_per_minute(u32::MAX);
    let policy = Policy::builder("https://auth.example")
        .scope("read", "Read your notes")
        .scope("write", "Change your notes")
        .resource(MCP, "read write")
        .registration(RegistrationRules::default())
        .client_documents(DocumentRules::default())
        .limits(limits)
        .build()
        .expect("a policy");
    let draw = || Ok(grantcore::moment::Entropy::from_bytes([9; 128]));
    let now = || Timestamp::from_unix_seconds(1_800_000_000);
    Server::with_sources(policy, MemoryStore::new(), FromStore, now, draw)
}

/// Checks a URI that is registered: a browser reads it as it is written, and goes to no script.
fn check_registered(uri: &str) -> Url {
    assert!(uri.bytes().all(|byte| byte.is_ascii_graphic()), "{uri:?}");
    let parsed = Url::parse(uri).unwrap_or_else(|error| panic!("{uri}: {error}"));
    assert!(!uri.contains('#') && parsed.fragment().is_none(), "{uri} has a fragment");
    assert!(parsed.username().is_empty() && parsed.password().is_none(), "{uri} has a user");
    let scheme = parsed.scheme();
    assert!(!["javascript", "data", "vbscript", "file", "blob"].contains(&scheme), "{uri}");
    if scheme == "http" {
        let host = parsed.host_str().unwrap_or_default();
        assert!(["127.0.0.1", "[::1]", "localhost"].contains(&host), "{uri} is not encrypted");
    } else if scheme != "https" {
        assert!(scheme.contains('.'), "{scheme} is anybody's scheme");
    }
    parsed
}

/// Two URIs, divided by a zero byte: one to register, and one to ask for.
pub fn uris(data: &[u8]) {
    let [own, asked] = parts(data);
    let (Ok(own), Ok(asked)) = (std::str::from_utf8(own), std::str::from_utf8(asked)) else {
        return;
    };
    let parsed = RegisteredRedirectUri::parse(own, &RedirectRules::default());
    let client = Client::public("app").redirect_uri(own).build();
    assert_eq!(parsed.is_ok(), client.is_ok(), "{own:?}");
    let (Ok(parsed), Ok(client)) = (parsed, client) else { return };
    let own_url = check_registered(own);
    assert_eq!(parsed.as_str(), own);
    let server = server();
    server.store().put_client(client);
    let query = form(&[
        ("response_type", "code"),
        ("client_id", "app"),
        ("redirect_uri", asked),
        ("state", "s"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("scope", "unheard-of"),
    ]);
    let request =
        RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
    let alice = User::new("alice", b"alice's browser").expect("a user");
    // The scope is unknown, so that a URI of the client is redirected to at once.
    let error = server.authorize(&request, Some(alice)).expect_err("an unknown scope");
    let policy = server.policy();
    let linked = error.refusal().problem(policy).continue_url;
    let location = error.reply(policy).header("location").map(str::to_owned).or(linked);
    // A parameter without a value counts as omitted (OAuth 2.1 §3.1): the only URI is meant.
    let is_omitted = asked.is_empty();
    let asked = if is_omitted { own } else { asked };
    let Some(location) = location else {
        assert!(asked != own || is_omitted, "{own} leads nowhere");
        return;
    };
    let url = Url::parse(&location).unwrap_or_else(|error| panic!("{location}: {error}"));
    let is_loopback = own.starts_with("http://");
    assert!(asked == own || is_loopback, "{asked} is not {own}");
    assert!(location.starts_with(asked), "{location} does not begin with {asked}");
    assert_eq!(url.scheme(), own_url.scheme());
    assert_eq!(url.host_str(), own_url.host_str(), "{location}");
    assert_eq!(url.path(), own_url.path(), "{location}");
    assert!(url.fragment().is_none() && url.username().is_empty(), "{location}");
    assert!(is_loopback || url.port() == own_url.port(), "{location}");
    let own_pairs: Vec<_> = own_url.query_pairs().into_owned().collect();
    let all: Vec<_> = url.query_pairs().into_owned().collect();
    assert_eq!(all.get(..own_pairs.len()), Some(&*own_pairs), "{location}");
    let mut added: Vec<_> = all[own_pairs.len()..].iter().map(|(name, _)| &**name).collect();
    added.sort_unstable();
    assert_eq!(added, ["error", "error_description", "iss", "state"], "{location}");
}

/// Checks what a registration or a document made of these metadata.
fn check_metadata(sent: &Value, uris: impl Iterator<Item = String>) {
    let listed: Vec<_> = sent["redirect_uris"].as_array().into_iter().flatten().collect();
    let mut count = 0;
    for uri in uris {
        check_registered(&uri);
        assert!(listed.iter().any(|own| own.as_str() == Some(&uri)), "{uri} was not sent");
        count += 1;
    }
    assert!(count > 0, "a client without a redirect URI");
}

/// The bytes are the body of a registration.
pub fn registrations(data: &[u8]) {
    let server = server();
    let request = RequestParts {
        method: "POST",
        content_type: ContentType::JSON,
        source: "192.0.2.7",
        body: data,
        ..RequestParts::default()
    };
    match server.register(&request) {
        Ok(reply) => {
            assert_eq!(reply.status, 201);
            let text = std::str::from_utf8(data).expect("JSON is UTF-8");
            serde_json::from_str::<IgnoredAny>(text).expect("accepted metadata are JSON");
            // A member that is ignored may have half a surrogate pair, which no text has.
            let Ok(sent) = serde_json::from_str::<Value>(text) else { return };
            let own: Value = serde_json::from_str(&reply.body).expect("JSON");
            let uris = own["redirect_uris"].as_array().cloned().unwrap_or_default();
            check_metadata(&sent, uris.iter().filter_map(|uri| uri.as_str().map(str::to_owned)));
            let is_public = own["token_endpoint_auth_method"] == "none";
            assert_eq!(own.get("client_secret").is_none(), is_public);
            // What a stranger says about rights is not taken as it is.
            let id = own["client_id"].as_str().expect("an id");
            assert!(sent["client_id"] != *id, "the stranger chose the id");
            // The response's own metadata describe the same client.
            let client = grantcore::blocking::Store::client(server.store(), id).expect("it works");
            let record = client.expect("it is stored").record;
            let text = serde_json::to_string(&*record).expect("a record");
            let again: Client = serde_json::from_str(&text).expect("a record");
            assert_eq!(again, *record);
        }
        Err(error) => {
            let refusal = error.refusal();
            let code = refusal.code().map_or("", |code| code.as_str());
            assert!(is_registered(To::Register, code, refusal.status()), "{code}");
            let reply = error.reply(server.policy());
            let body: Value = serde_json::from_str(&reply.body).expect("JSON");
            assert_eq!(body["error"], code);
        }
    }
}

/// The bytes are a client metadata document.
pub fn documents(data: &[u8]) {
    let server = server();
    let uri = serde_json::from_slice::<Value>(data).ok();
    let uri = uri.as_ref().and_then(|sent| sent["redirect_uris"][0].as_str()).unwrap_or("x");
    let query = form(&[
        ("response_type", "code"),
        ("client_id", DOCUMENT),
        ("redirect_uri", uri),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("scope", "read"),
    ]);
    let request =
        RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
    let alice = User::new("alice", b"alice's browser").expect("a user");
    let fetched = FetchedDocument {
        status: 200,
        content_type: Some(b"application/json"),
        fresh_for: None,
        body: data,
    };
    let step = server.authorize_with_document(&request, Some(alice), Fetch::Document(fetched));
    match step {
        Ok(AuthorizationStep::NeedsConsent(page)) => {
            let text = std::str::from_utf8(data).expect("JSON is UTF-8");
            serde_json::from_str::<IgnoredAny>(text).expect("an accepted document is JSON");
            let Ok(sent) = serde_json::from_str::<Value>(text) else { return };
            assert_eq!(sent["client_id"], DOCUMENT);
            assert_eq!(page.client_id(), DOCUMENT);
            check_metadata(&sent, std::iter::once(uri.to_owned()));
            let shown = page.client_name();
            let is_invisible = |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c);
            assert!(!shown.contains(is_invisible), "{shown:?}");
        }
        Ok(step) => panic!("{step:?}"),
        Err(error) => {
            let refusal = error.refusal();
            let code = refusal.code().map_or("", |code| code.as_str());
            assert!(is_registered(To::Authorize, code, refusal.status()), "{code}");
        }
    }
}
