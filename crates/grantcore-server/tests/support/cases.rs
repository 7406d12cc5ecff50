//! Sends the requests of a file to a server, and compares the responses with the file.
//!
//! A file is a series of cases. Each begins with a line `### NAME`:
//!
//! ```text
//! ### what it is about
//! # flags: --lenient-on-method        how the server is started; a server for each set of flags
//! # given: client {JSON}              registers a client: {CLIENT_ID}, {CLIENT_SECRET}, {BASIC}
//! # given: login alice                the request carries the session of this user
//! # given: token                      {TOKEN}, for /mcp
//! # given: code                       {CODE} of the client, which alice allowed
//! # given: document {JSON}            published at {DOCUMENT} (written in it: {URL})
//! # wanted: 201                       the status
//! # wanted: has TEXT                  in the body
//! # wanted: lacks TEXT                in the body
//! # wanted: json /grant_types ["a"]   the value at this pointer, or `absent`
//! # wanted: header NAME TEXT          the header has the text in it, or is `absent`
//! POST /oauth/register HTTP/1.1
//! Content-Type: application/json
//!
//! {body}
//! ```
//!
//! Other lines that begin with `#` before the request are comments.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grantcore_server::Running;
use reqwest::{Client, Method, Response, Url};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::client::redeem;
use super::{
    Browser, CALLBACK, CHALLENGE, VERIFIER, authorization_url, param, plain_client, start,
};

/// One request, and the conditions on its response.
#[derive(Default)]
struct Case<'a> {
    name: &'a str,
    flags: Vec<&'a str>,
    given: Vec<&'a str>,
    wanted: Vec<&'a str>,
    request_line: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    body: &'a str,
}

/// The values that the text of a case can name in braces.
type Names = HashMap<&'static str, String>;

/// Runs all cases of a file, and fails with all violated conditions.
pub async fn drive(file: &str, text: &str) {
    let mut servers: HashMap<Vec<&str>, Running> = HashMap::new();
    let mut wrong = Vec::new();
    for case in parse(text) {
        if !servers.contains_key(&case.flags) {
            servers.insert(case.flags.clone(), start(&case.flags).await);
        }
        let failures = try_case(&servers[&case.flags], &case).await;
        wrong.extend(failures.into_iter().map(|why| format!("{file}, {}: {why}", case.name)));
    }
    for server in servers.into_values() {
        server.stop().await.unwrap();
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// Starts a server with these flags.
fn parse(text: &str) -> Vec<Case<'_>> {
    let cases = text.split("### ").skip(1).map(parse_case);
    let cases: Vec<_> = cases.collect();
    assert!(!cases.is_empty());
    cases
}

fn parse_case(text: &str) -> Case<'_> {
    let (name, rest) = text.split_once('\n').unwrap();
    let mut case = Case { name, ..Case::default() };
    let (head, body) = rest.split_once("\n\n").unwrap_or((rest, ""));
    for line in head.lines() {
        match line.strip_prefix("# ").map(|line| line.split_once(": ").unwrap_or((line, ""))) {
            Some(("flags", flags)) => case.flags = flags.split(' ').collect(),
            Some(("given", given)) => case.given.push(given),
            Some(("wanted", wanted)) => case.wanted.push(wanted),
            Some(_) => {}
            None if case.request_line.is_empty() => case.request_line = line,
            None => case.headers.push(line.split_once(':').unwrap()),
        }
    }
    assert!(!case.wanted.is_empty(), "{name}: nothing is wanted");
    case.body = body.trim_end_matches('\n');
    case
}

async fn try_case(server: &Running, case: &Case<'_>) -> Vec<String> {
    let mut names = Names::from([
        ("BASE", server.issuer().to_owned()),
        ("HOST", server.address().to_string()),
        ("CHALLENGE", CHALLENGE.to_owned()),
        ("VERIFIER", VERIFIER.to_owned()),
        ("CALLBACK", CALLBACK.to_owned()),
    ]);
    let mut http = plain_client(false);
    for given in &case.given {
        let (what, more) = given.split_once(' ').unwrap_or((given, ""));
        match what {
            "client" => register(server, more, &mut names).await,
            "login" => http = log_in(server, more).await,
            "token" => drop(names.insert("TOKEN", token(server, "mcp").await)),
            "code" => drop(names.insert("CODE", code(server, &names).await)),
            "document" => drop(names.insert("DOCUMENT", publish(more).await)),
            _ => panic!("{}: {given} is not known", case.name),
        }
    }
    judge(send(server, &http, case, &names).await, &case.wanted).await
}

/// Returns the text with the names in braces replaced by their values.
fn filled(text: &str, names: &Names) -> String {
    names
        .iter()
        .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

async fn send(server: &Running, http: &Client, case: &Case<'_>, names: &Names) -> Response {
    let mut line = case.request_line.split(' ');
    let method: Method = line.next().unwrap().parse().unwrap();
    let target = filled(line.next().unwrap(), names);
    let mut request = http.request(method, format!("{}{target}", server.issuer()));
    for (name, value) in &case.headers {
        request = request.header(*name, filled(value.strip_prefix(' ').unwrap_or(value), names));
    }
    request.body(filled(case.body, names)).send().await.unwrap()
}

/// Returns the conditions that a response violates.
async fn judge(response: Response, wanted: &[&str]) -> Vec<String> {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let body = response.text().await.unwrap();
    let json: Value = serde_json::from_str(&body).unwrap_or_default();
    let holds = |wanted: &str| {
        let (what, more) = wanted.split_once(' ').unwrap_or((wanted, ""));
        match what {
            "has" => body.contains(more),
            "lacks" => !body.contains(more),
            "json" => {
                let (pointer, value) = more.split_once(' ').unwrap();
                match value {
                    "absent" => json.is_object() && json.pointer(pointer).is_none(),
                    _ => json.pointer(pointer) == Some(&serde_json::from_str(value).unwrap()),
                }
            }
            "header" => {
                let (name, text) = more.split_once(' ').unwrap();
                match headers.get(name) {
                    Some(value) => value.to_str().unwrap().contains(text),
                    None => text == "absent",
                }
            }
            _ => status == what.parse::<u16>().expect("a status"),
        }
    };
    let missed = wanted.iter().filter(|wanted| !holds(wanted));
    missed.map(|wanted| format!("wanted `{wanted}`, got {status} {headers:?}\n{body}")).collect()
}

async fn register(server: &Running, metadata: &str, names: &mut Names) {
    let answer = plain_client(false)
        .post(format!("{}/oauth/register", server.issuer()))
        .header("content-type", "application/json")
        .body(filled(metadata, names))
        .send()
        .await
        .unwrap();
    let status = answer.status();
    let client: Value = answer.json().await.unwrap();
    assert_eq!(status, 201, "{metadata}: {client}");
    let id = client["client_id"].as_str().unwrap();
    names.insert("CLIENT_ID", id.to_owned());
    names.insert("REDIRECT_URI", client["redirect_uris"][0].as_str().unwrap().to_owned());
    if let Some(secret) = client["client_secret"].as_str() {
        names.insert("CLIENT_SECRET", secret.to_owned());
        names.insert("BASIC", STANDARD.encode(format!("{id}:{secret}")));
        names.insert("WRONG_BASIC", STANDARD.encode(format!("{id}:{secret}x")));
    }
}

/// Returns an HTTP client with cookies in which this user is signed in.
pub async fn log_in(server: &Running, user: &str) -> Client {
    let browser = plain_client(true);
    let url = format!("{}/login", server.issuer());
    let page = browser.get(&url).send().await.unwrap().text().await.unwrap();
    let mut fields = super::form(&page).fields;
    fields.extend([("username".into(), user.into()), ("password".into(), user.into())]);
    assert_eq!(browser.post(&url).form(&fields).send().await.unwrap().status(), 303);
    browser
}

/// Returns an access token of alice for a resource, through the public demo client.
pub async fn token(server: &Running, resource: &str) -> String {
    let url = authorization_url(server.issuer(), &format!("{}/{resource}", server.issuer()));
    let redirect = Browser::new("alice").authorize(&url, "allow").await;
    let tokens = redeem(server.issuer(), "demo-public", &redirect).await;
    tokens["access_token"].as_str().unwrap().to_owned()
}

/// Returns a code of the client of the case, which alice allowed.
async fn code(server: &Running, names: &Names) -> String {
    let parameters = [
        ("response_type", "code"),
        ("client_id", &*names["CLIENT_ID"]),
        ("redirect_uri", &*names["REDIRECT_URI"]),
        ("state", "s"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let url = Url::parse_with_params(&format!("{}/oauth/authorize", server.issuer()), parameters);
    let answer = Browser::new("alice").authorize(url.unwrap().as_str(), "allow").await;
    param(&answer, "code").unwrap()
}

/// Publishes a document on this machine while the test runs, and returns its URL, encoded for a
/// query.
async fn publish(document: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/client.json", listener.local_addr().unwrap());
    let body = document.replace("{URL}", &url);
    let text = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let text = text.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else { return };
                    head.push(byte);
                }
                let _ = stream.write_all(text.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    url.replace(':', "%3A").replace('/', "%2F")
}
