//! Tokens by assertions of other issuers: an organization's identity provider, and a platform that
//! runs programs. The assertions are signed by another library than the one that verifies them.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::routing::get;
use grantcore_server::Running;
use jsonwebtoken::{Algorithm, Header, encode};
use serde_json::{Value, json};

use crate::assertions::{Signer, signer};
use crate::client_keys::refusals;
use crate::support::commands::{private, run, with_file};
use crate::support::{form, plain_client};

const IDP: &str = "https://idp.example";
const CLUSTER: &str = "https://cluster.example";
/// The secret of the client `assistant`.
const SECRET: &str = "kGvYw0mbnZ5yH3s2uQ7fXw";

/// Where the keys of the platform are published.
struct Keys {
    url: String,
    fetches: Arc<AtomicUsize>,
    published: Arc<Mutex<Value>>,
}

impl Keys {
    async fn publish(signer: &Signer) -> Self {
        let fetches = Arc::new(AtomicUsize::new(0));
        let published = Arc::new(Mutex::new(set_of(signer)));
        let (count, keys) = (Arc::clone(&fetches), Arc::clone(&published));
        let answer = move || {
            count.fetch_add(1, Ordering::SeqCst);
            let keys = keys.lock().unwrap().to_string();
            async move { keys }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let router = Router::new().route("/keys", get(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, fetches, published }
    }
}

/// Returns a key set with the key of this signer, by the name `1`.
fn set_of(signer: &Signer) -> Value {
    let mut key = signer.jwk();
    key["kid"] = json!("1");
    json!({ "keys": [key] })
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn sign(signer: &Signer, typ: &str, kid: &str, claims: &Value) -> String {
    let header =
        Header { typ: Some(typ.into()), kid: Some(kid.into()), ..Header::new(signer.algorithm) };
    encode(&header, claims, signer.key()).unwrap()
}

/// The settings of a server that trusts both issuers.
fn settings(issuer: &str, keys: &Keys) -> String {
    format!(
        "issuer = '{issuer}'
[[scopes]]
name = 'reports'
description = 'Read your reports'
default = true
[[scopes]]
name = 'reports:write'
description = 'Change your reports'
[[resources]]
url = '{issuer}/api'
scopes = ['reports']
builtin = 'api'
[[clients]]
id = 'assistant'
name = 'Assistant'
redirect_uris = ['https://assistant.example/cb']
secret_file = 'secret'
[[clients]]
id = 'deployer'
auth_method = 'federated'
machine_scopes = ['reports']
[[trusted_issuers]]
issuer = '{IDP}'
profile = 'id_jag'
keys_file = 'idp.json'
scopes = ['reports']
clients = ['assistant']
create_accounts = true
[trusted_issuers.accounts]
'u-1' = 'alice'
[[trusted_issuers]]
issuer = '{CLUSTER}'
profile = 'workload'
keys_uri = '{}'
rules = [{{ client = 'deployer', prefixes = {{ sub = 'repo:acme/' }} }}]",
        keys.url,
    )
}

/// An identity provider, a platform, and two servers that share one database.
struct World {
    people: Signer,
    programs: Signer,
    keys: Keys,
    issuer: String,
    nodes: [Running; 2],
    _directory: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let (people, programs) = (signer("ec"), signer("rsa"));
        let keys = Keys::publish(&programs).await;
        let port = grantcore_testing_servers::free_port();
        let issuer = format!("http://127.0.0.1:{port}");
        let directory = with_file(&settings(&issuer, &keys));
        let path = directory.path();
        fs::write(path.join("idp.json"), set_of(&people).to_string()).unwrap();
        fs::write(path.join("secret"), SECRET).unwrap();
        private(&path.join("secret"));
        let nodes = [node(path, port).await, node(path, 0).await];
        Self { people, programs, keys, issuer, nodes, _directory: directory }
    }

    fn id_jag(&self, jti: &str) -> Value {
        json!({
            "iss": IDP, "sub": "u-1", "aud": self.issuer, "client_id": "assistant",
            "jti": jti, "iat": now(), "exp": now() + 300, "scope": "reports",
            "resource": format!("{}/api", self.issuer),
        })
    }

    fn workload(&self, jti: &str) -> Value {
        json!({
            "iss": CLUSTER, "sub": "repo:acme/site", "aud": format!("{}/oauth/token", self.issuer),
            "jti": jti, "iat": now(), "exp": now() + 300,
        })
    }

    /// Sends an assertion of the identity provider to a node, as `assistant`.
    async fn person(&self, node: usize, assertion: &str) -> (u16, Value) {
        self.send(node, assertion, Some("assistant")).await
    }

    async fn send(&self, node: usize, assertion: &str, client: Option<&str>) -> (u16, Value) {
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", assertion),
        ];
        let url = format!("http://{}/oauth/token", self.nodes[node].address());
        let request = plain_client(false).post(url).form(&form);
        let request = match client {
            Some(client) => request.basic_auth(client, Some(SECRET)),
            None => request,
        };
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn api(&self, token: &Value) -> u16 {
        let url = format!("http://{}/api", self.nodes[1].address());
        let request =
            plain_client(false).get(url).bearer_auth(token["access_token"].as_str().unwrap());
        request.send().await.unwrap().status().as_u16()
    }
}

async fn node(directory: &Path, port: u16) -> Running {
    let config = directory.join("c.toml");
    let database = format!("sqlite:{}", directory.join("grants.sqlite").display());
    let listen = format!("--listen=127.0.0.1:{port}");
    let config = config.to_str().unwrap();
    let arguments = ["grantcore-server", "--config", config, "--database", &database, &listen];
    Running::start(arguments).await.unwrap()
}

/// Signs a user in, and returns the page of the connected applications.
async fn connected_apps(issuer: &str, user: &str) -> String {
    let http = plain_client(true);
    let page = http.get(format!("{issuer}/login")).send().await.unwrap().text().await.unwrap();
    let form = form(&page);
    let mut fields = form.fields;
    fields.extend([("username".into(), user.into()), ("password".into(), user.into())]);
    let url = format!("{issuer}{}", form.action);
    assert_eq!(http.post(url).form(&fields).send().await.unwrap().status(), 303);
    let list = http.get(format!("{issuer}/settings/connected-apps")).send().await.unwrap();
    list.text().await.unwrap()
}

fn error(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["error"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn an_identity_provider_connects_its_users_and_a_platform_its_programs() {
    let world = World::start().await;
    let jag = sign(&world.people, "oauth-id-jag+jwt", "1", &world.id_jag("1"));
    let (status, token) = world.person(0, &jag).await;
    assert_eq!((status, &token["scope"]), (200, &json!("reports")), "{token}");
    assert_eq!(token["resource"], format!("{}/api", world.issuer));
    assert!(token.get("refresh_token").is_none());
    assert_eq!(world.api(&token).await, 200);
    // The same assertion at another node.
    assert_eq!(error(&world.person(1, &jag).await), (400, "invalid_grant"));

    let workload = sign(&world.programs, "JWT", "1", &world.workload("1"));
    let (status, token) = world.send(0, &workload, None).await;
    assert_eq!((status, &token["scope"]), (200, &json!("reports")), "{token}");
    assert_eq!(error(&world.send(1, &workload, None).await), (400, "invalid_grant"));
    // A program is nobody whom the API serves.
    assert_eq!(world.api(&token).await, 403);

    // Alice sees the connection, and ends it.
    let page = connected_apps(&world.issuer, "alice").await;
    assert!(page.contains("By your organization (https://idp.example)"), "{page}");

    // A user without an account gets one, the same at each node.
    let new = |jti: &str| {
        let mut claims = world.id_jag(jti);
        claims["sub"] = json!("u-2");
        sign(&world.people, "oauth-id-jag+jwt", "1", &claims)
    };
    for (node, jti) in [(0, "2"), (1, "3")] {
        let (status, token) = world.person(node, &new(jti)).await;
        assert_eq!(status, 200, "{token}");
        assert_eq!(world.api(&token).await, 200);
    }
}

#[tokio::test]
async fn what_is_stolen_forged_or_for_another_server_is_refused() {
    let world = World::start().await;
    let good = world.id_jag("1");
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        sign(&world.people, "oauth-id-jag+jwt", "1", &claims)
    };
    let jag = sign(&world.people, "oauth-id-jag+jwt", "1", &good);
    let mut bodies = Vec::new();
    for (what, assertion) in [
        ("for another server", with("aud", json!("https://other.example"))),
        ("of another issuer", with("iss", json!("https://evil.example"))),
        ("for another client", with("client_id", json!("deployer"))),
        ("an ID token", sign(&world.people, "JWT", "1", &good)),
        ("signed with another key", sign(&signer("other-ec"), "oauth-id-jag+jwt", "1", &good)),
        ("another algorithm", sign(&world.programs, "oauth-id-jag+jwt", "1", &good)),
        ("an unknown key", sign(&world.people, "oauth-id-jag+jwt", "2", &good)),
        ("expired", with("exp", json!(now() - 60))),
    ] {
        let answer = world.person(0, &assertion).await;
        assert_eq!(error(&answer), (400, "invalid_grant"), "{what}");
        bodies.push(answer.1);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "they look alike: {bodies:?}");
    // HMAC with the public key as its secret.
    let secret =
        jsonwebtoken::EncodingKey::from_secret(set_of(&world.people).to_string().as_bytes());
    let header = Header {
        typ: Some("oauth-id-jag+jwt".into()),
        kid: Some("1".into()),
        ..Header::new(Algorithm::HS256)
    };
    let swapped = encode(&header, &good, &secret).unwrap();
    assert_eq!(error(&world.person(0, &swapped).await), (400, "invalid_grant"));
    // Whoever steals it is not its client. The client's own use comes through afterwards.
    assert_eq!(error(&world.send(0, &jag, None).await), (401, "invalid_client"));
    assert_eq!(world.person(0, &jag).await.0, 200);
    assert_eq!(error(&world.person(1, &jag).await), (400, "invalid_grant"));
    // The audit log has each refusal with its reason, which the responses do not disclose.
    let World { nodes, _directory: directory, .. } = world;
    for node in nodes {
        node.stop().await.unwrap();
    }
    let audited = refusals(directory.path());
    for fault in [
        "algorithm",
        "audience",
        "claim",
        "expired",
        "issuer",
        "key",
        "replayed",
        "signature",
        "typ",
    ] {
        let reason = format!("assertion_{fault}");
        assert!(audited.contains(&reason), "{reason} is not in {audited:?}");
    }
}

#[tokio::test]
async fn keys_are_fetched_once_whatever_strangers_send() {
    let world = World::start().await;
    let workload = |jti: &str, kid: &str| sign(&world.programs, "JWT", kid, &world.workload(jti));
    assert_eq!(world.send(0, &workload("1", "1"), None).await.0, 200);
    for n in 0..20 {
        let answer = world.send(0, &workload(&format!("x{n}"), &format!("kid-{n}")), None).await;
        assert_eq!(error(&answer), (400, "invalid_grant"));
    }
    assert_eq!(world.keys.fetches.load(Ordering::SeqCst), 1);
    // Nobody is locked out by it: neither the issuer nor another one.
    assert_eq!(world.send(0, &workload("1a", "1"), None).await.0, 200);
    let jag = sign(&world.people, "oauth-id-jag+jwt", "1", &world.id_jag("1"));
    assert_eq!(world.person(0, &jag).await.0, 200);
    // A key that is withdrawn is not known to a node that reads the keys now.
    *world.keys.published.lock().unwrap() = set_of(&signer("other-rsa"));
    let answer = world.send(1, &workload("2", "1"), None).await;
    assert_eq!(error(&answer), (400, "invalid_grant"));
    assert_eq!(world.keys.fetches.load(Ordering::SeqCst), 2);
}

#[test]
fn a_table_of_an_issuer_that_cannot_work_is_refused() {
    let base = "issuer = 'http://127.0.0.1:7999'\nlisten = '127.0.0.1:0'\ndatabase = 'memory:'
        [[scopes]]\nname = 'a'\ndescription = 'A'\n[[resources]]\nurl = 'http://127.0.0.1:7999/a'
        scopes = ['a']\n[[trusted_issuers]]\n";
    for (table, what) in [
        (
            "issuer = 'https://idp.example'\nprofile = 'id_jag'\nscopes = ['a']",
            "either keys_file or keys_uri",
        ),
        (
            "issuer = 'https://idp.example'\nprofile = 'id_jag'\nscopes = ['b']\n\
             keys_uri = 'https://idp.example/keys'",
            "`b` is not declared",
        ),
        (
            "issuer = 'http://127.0.0.1:7999'\nprofile = 'id_jag'\nscopes = ['a']\n\
             keys_uri = 'https://idp.example/keys'",
            "this server's own issuer",
        ),
        (
            "issuer = 'https://idp.example'\nprofile = 'workload'\nscopes = ['a']\n\
             keys_uri = 'https://idp.example/keys'",
            "are keys of the profile `id_jag`",
        ),
        (
            "issuer = 'https://idp.example'\nprofile = 'workload'\n\
             keys_uri = 'https://idp.example/keys'\nrules = [{ client = 'x', prefixes = { sub = 'repo' } }]",
            "a prefix ends in",
        ),
        (
            "issuer = 'https://idp.example'\nprofile = 'id_jag'\nscopes = ['a']\n\
             keys_uri = 'https://idp.example/keys'\nbypass_provider_rules = true",
            "no effect without create_accounts",
        ),
    ] {
        let directory = with_file(&format!("{base}{table}"));
        let ran = run(directory.path(), &["check-config", "--config", "c.toml"]);
        let text = [ran.output, ran.errors].concat();
        assert!(!ran.is_success && text.contains(what), "{table}: {text}");
    }
}

/// Whom the rules of the provider keep out does not come in by an assertion, unless the operator
/// says so.
#[test]
fn an_issuer_that_creates_accounts_does_not_bypass_the_rules_of_the_provider() {
    let base = "issuer = 'http://127.0.0.1:7999'\nlisten = '127.0.0.1:0'\ndatabase = 'memory:'
        provider_issuer = 'https://login.example'\nprovider_client_id = 'x'
        provider_client_secret = 'env:HOME'";
    let rest = "[[scopes]]\nname = 'a'\ndescription = 'A'\n[[resources]]
        url = 'http://127.0.0.1:7999/a'\nscopes = ['a']\n[[trusted_issuers]]
        issuer = 'https://idp.example'\nprofile = 'id_jag'\nscopes = ['a']
        keys_uri = 'https://idp.example/keys'";
    let creates = "create_accounts = true";
    let bypasses = "create_accounts = true\nbypass_provider_rules = true";
    let domains = "provider_domains = ['a.example']";
    let claims = "provider_claims = ['groups=staff']";
    let subjects = "provider_subjects = ['u-1']";
    let everybody = "provider_everybody = true";
    for (rules, accounts, is_accepted) in [
        (domains, creates, false),
        (claims, creates, false),
        (subjects, creates, false),
        (everybody, creates, true),
        (domains, bypasses, true),
        (domains, "[trusted_issuers.accounts]\n'u-1' = 'alice'", true),
    ] {
        let directory = with_file(&format!("{base}\n{rules}\n{rest}\n{accounts}"));
        let checked = run(directory.path(), &["check-config", "--config", "c.toml"]);
        assert_eq!(checked.is_success, is_accepted, "{rules}, {accounts}: {}", checked.errors);
        if !is_accepted {
            let errors = checked.errors;
            assert!(errors.contains("trusted issuer `https://idp.example`"), "{errors}");
            assert!(errors.contains("bypass_provider_rules = true"), "{errors}");
            let started = run(directory.path(), &["--config", "c.toml"]);
            assert!(!started.is_success && started.errors.contains("create_accounts"));
        }
    }
}
