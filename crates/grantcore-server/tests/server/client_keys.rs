//! Clients that prove themselves with keys over HTTP. The assertions are signed by another library
//! than the one that verifies them, and the keys are fetched from an https server.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use grantcore_server::Running;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::assertions::{Signer, signer};
use crate::support::commands::{run, with_file};
use crate::support::publisher::Publisher;
use crate::support::{Browser, CALLBACK, CHALLENGE, VERIFIER, param, plain_client};
use reqwest::Url;

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Returns a key set with the key of this signer, by the name `1`.
fn keys_of(signer: &Signer) -> Value {
    let mut key = signer.jwk();
    key["kid"] = json!("1");
    json!([key])
}

/// Publishes the document of a client that proves itself with keys. The host responds alike at each
/// path, so that the document is its own key set.
fn publish(publisher: &Publisher, signer: &Signer) {
    publisher.publish(&json!({
        "client_id": publisher.url(),
        "client_name": "Keyed Client",
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks_uri": format!("https://localhost:{}/oauth/jwks.json", publisher.address.port()),
        "keys": keys_of(signer),
    }));
}

/// Two servers with one database.
async fn nodes(directory: &Path, port: u16, more: &[&str]) -> [Running; 2] {
    let database = format!("sqlite:{}", directory.join("grants.sqlite").display());
    let start = async |port: u16| {
        let listen = format!("--listen=127.0.0.1:{port}");
        let issuer = format!("--issuer=http://127.0.0.1:{}", directory_port(directory));
        let own = ["grantcore-server", "--database", &database, &listen, &issuer];
        Running::start(own.iter().chain(more).copied()).await.unwrap()
    };
    [start(port).await, start(0).await]
}

fn directory_port(directory: &Path) -> String {
    fs::read_to_string(directory.join("port")).unwrap()
}

fn claims(client: &str, issuer: &str, jti: &str) -> Value {
    json!({"iss": client, "sub": client, "aud": issuer, "jti": jti, "iat": now(), "exp": now() + 300})
}

fn sign(signer: &Signer, claims: &Value) -> String {
    let header = Header { kid: Some("1".into()), ..Header::new(signer.algorithm) };
    encode(&header, claims, signer.key()).unwrap()
}

/// Sends a form with this assertion to a node.
async fn send(node: &Running, form: &[(&str, &str)], assertion: &str) -> (u16, Value) {
    let proof = [("client_assertion_type", JWT_BEARER), ("client_assertion", assertion)];
    let form: Vec<_> = form.iter().copied().chain(proof).collect();
    let url = format!("http://{}/oauth/token", node.address());
    let answer = plain_client(false).post(url).form(&form).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

fn error(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["error"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn a_client_with_a_document_proves_itself_with_the_keys_at_its_url() {
    let (own, thief) = (signer("ec"), signer("other-ec"));
    let publisher = Publisher::start(&[CALLBACK]).await;
    publish(&publisher, &own);
    let directory = tempfile::tempdir().unwrap();
    let port = grantcore_testing_servers::free_port();
    fs::write(directory.path().join("port"), port.to_string()).unwrap();
    let authority = publisher.authority();
    let flags = ["--allow-loopback-documents", "--document-authority", authority.to_str().unwrap()];
    let nodes = nodes(directory.path(), port, &flags).await;
    let issuer = nodes[0].issuer().to_string();
    let id = publisher.url();
    let assertion = |signer: &Signer, jti: &str| sign(signer, &claims(&id, &issuer, jti));

    let resource = format!("{issuer}/mcp");
    let parameters = [
        ("response_type", "code"),
        ("client_id", &*id),
        ("redirect_uri", CALLBACK),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("resource", &*resource),
    ];
    let url = Url::parse_with_params(&format!("{issuer}/oauth/authorize"), parameters).unwrap();
    let answer = Browser::new("alice").authorize(url.as_str(), "allow").await;
    let code = param(&answer, "code").unwrap();
    let redeem = [
        ("grant_type", "authorization_code"),
        ("redirect_uri", CALLBACK),
        ("code", &*code),
        ("code_verifier", VERIFIER),
    ];
    assert_eq!(publisher.connections(), 1, "the document alone");

    // Each fault is refused, and the code is still good.
    let mut other = claims(&id, &issuer, "x1");
    other["aud"] = json!("https://other.example");
    let mut ended = claims(&id, &issuer, "x2");
    ended["exp"] = json!(now() - 60);
    let swapped = {
        let secret = EncodingKey::from_secret(keys_of(&own).to_string().as_bytes());
        let header = Header { kid: Some("1".into()), ..Header::new(Algorithm::HS256) };
        encode(&header, &claims(&id, &issuer, "x3"), &secret).unwrap()
    };
    let mut bodies = Vec::new();
    for bad in [sign(&own, &other), sign(&own, &ended), swapped, assertion(&thief, "x4")] {
        let answer = send(&nodes[0], &redeem, &bad).await;
        assert_eq!(error(&answer), (401, "invalid_client"));
        bodies.push(answer.1);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "they look alike: {bodies:?}");
    assert_eq!(publisher.connections(), 2, "one fetch, by the first good form");

    // Stolen, and sent in the name of another client: it stays good for its own.
    let first = assertion(&own, "1");
    let stolen = [&redeem[..], &[("client_id", "demo-public")]].concat();
    assert_eq!(error(&send(&nodes[0], &stolen, &first).await), (400, "invalid_request"));
    let (status, tokens) = send(&nodes[0], &redeem, &first).await;
    assert_eq!(status, 200, "{tokens}");
    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
    // The same assertion at another node.
    assert_eq!(error(&send(&nodes[1], &refresh, &first).await), (401, "invalid_client"));
    let (status, tokens) = send(&nodes[1], &refresh, &assertion(&own, "2")).await;
    assert_eq!(status, 200, "{tokens}");
    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];

    // A flood of unknown keys is no further fetch within the cool-down.
    let before = publisher.connections();
    for n in 0..20 {
        let header = Header { kid: Some(format!("kid-{n}")), ..Header::new(own.algorithm) };
        let unknown = claims(&id, &issuer, &format!("flood-{n}"));
        let unknown = encode(&header, &unknown, own.key()).unwrap();
        assert_eq!(error(&send(&nodes[0], &refresh, &unknown).await), (401, "invalid_client"));
    }
    assert_eq!(publisher.connections(), before);
    // Nobody is locked out by it: neither the client nor another one.
    for node in &nodes {
        assert_eq!(machine(node).await, 200);
    }
    let (status, tokens) = send(&nodes[0], &refresh, &assertion(&own, "2a")).await;
    assert_eq!(status, 200, "{tokens}");
    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];

    // The first assertion again, after a restart.
    for node in nodes {
        node.stop().await.unwrap();
    }
    let fresh = self::nodes(directory.path(), port, &flags).await;
    assert_eq!(error(&send(&fresh[0], &refresh, &first).await), (401, "invalid_client"));
    // A node that reads the keys now does not know the one that was withdrawn.
    publish(&publisher, &thief);
    let withdrawn = send(&fresh[1], &refresh, &assertion(&own, "3")).await;
    assert_eq!(error(&withdrawn), (401, "invalid_client"));
    assert_eq!(send(&fresh[1], &refresh, &assertion(&thief, "4")).await.0, 200);
    for node in fresh {
        node.stop().await.unwrap();
    }
    // The audit log has each refusal with its reason, which the responses do not disclose.
    let audited = refusals(directory.path());
    for fault in ["algorithm", "audience", "expired", "key", "replayed", "signature"] {
        let reason = format!("client_assertion_{fault}");
        assert!(audited.contains(&reason), "{reason} is not in {audited:?}");
    }
}

/// Returns the status of a token request of the demonstration's machine.
async fn machine(node: &Running) -> u16 {
    let url = format!("http://{}/oauth/token", node.address());
    let form = [("grant_type", "client_credentials")];
    let request = plain_client(false).post(url).form(&form);
    let request = request.basic_auth("demo-machine", Some("demo-confidential-secret"));
    request.send().await.unwrap().status().as_u16()
}

/// Returns the reasons in the audit log.
pub(crate) fn refusals(directory: &Path) -> BTreeSet<String> {
    let file = rusqlite::Connection::open(directory.join("grants.sqlite")).unwrap();
    let mut query = file.prepare("SELECT reason FROM audit_log WHERE reason IS NOT NULL").unwrap();
    query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// The settings of a server with a client that has its keys in a file.
const SETTINGS: &str = "issuer = 'http://127.0.0.1:7999'\nlisten = '127.0.0.1:0'
database = 'memory:'\n[[scopes]]\nname = 'a'\ndescription = 'A'\n[[resources]]
url = 'http://127.0.0.1:7999/a'\nscopes = ['a']\n[[clients]]\nid = 'job'
redirect_uris = ['https://job.example/cb']\n";

#[test]
fn the_file_of_settings_names_the_keys_of_a_client() {
    let check = |table: &str| {
        let directory = with_file(&format!("{SETTINGS}{table}"));
        let keys = json!({"keys": keys_of(&signer("ed"))}).to_string();
        fs::write(directory.path().join("keys.json"), keys).unwrap();
        fs::write(directory.path().join("bad.json"), r#"{"keys": []}"#).unwrap();
        run(directory.path(), &["check-config", "--config", "c.toml"])
    };
    for place in ["keys_file = 'keys.json'", "keys_uri = 'https://job.example/jwks.json'"] {
        let good = check(&format!("auth_method = 'private_key_jwt'\n{place}"));
        assert!(good.is_success && good.output.contains("private_key_jwt"), "{}", good.errors);
    }
    for (table, why) in [
        ("auth_method = 'private_key_jwt'", "add keys_file or keys_uri"),
        ("auth_method = 'private_key_jwt'\nkeys_file = 'bad.json'", "keys_file: "),
        ("auth_method = 'private_key_jwt'\nkeys_uri = 'http://job.example/k'", "keys_uri: "),
        (
            "auth_method = 'private_key_jwt'\nkeys_file = 'keys.json'\nkeys_uri = 'https://a.example/k'",
            "give either keys_file or keys_uri",
        ),
        ("keys_file = 'keys.json'", "auth_method `private_key_jwt`"),
    ] {
        let refused = check(table);
        assert!(!refused.is_success && refused.errors.contains(why), "{table}: {}", refused.errors);
    }
}
