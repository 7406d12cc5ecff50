//! Tests of protected upstreams. The upstream is the test itself: it reads the bytes that the
//! server sends, and answers with bytes of its own.

mod bodies;
mod failures;
mod headers;
mod sessions;

use std::io::Write as _;

use grantcore_server::Running;
use serde_json::Value;
use tempfile::NamedTempFile;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::{header, start};
use crate::support::client::redeem;
use crate::support::{Browser, CALLBACK, authorization_url, plain_client};

/// A connection, by its bytes.
struct Wire(BufReader<TcpStream>);

impl Wire {
    fn of(stream: TcpStream) -> Self {
        Self(BufReader::new(stream))
    }

    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads a head: its first line, and the others in order.
    async fn head(&mut self) -> (String, Vec<String>) {
        let first = self.line().await;
        let mut lines = Vec::new();
        loop {
            match self.line().await {
                line if line.is_empty() => break,
                line => lines.push(line),
            }
        }
        lines.sort();
        (first, lines)
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        assert!(line.ends_with("\r\n"), "the connection ended in {line:?}");
        line.trim_end().to_owned()
    }

    /// Reads as many bytes as this text has, and compares them.
    async fn expect(&mut self, text: &str) {
        let mut read = vec![0; text.len()];
        self.0.read_exact(&mut read).await.unwrap();
        assert_eq!(String::from_utf8(read).unwrap(), text);
    }

    /// Reads to the end of the connection.
    async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        // A reset is an end too.
        let _ = self.0.read_to_end(&mut rest).await;
        String::from_utf8(rest).unwrap()
    }
}

/// A server with an upstream behind `/notes`, and an access token for it.
struct Setting {
    server: Running,
    upstream: TcpListener,
    token: String,
}

/// The body of the response that an upstream sends if nothing else matters.
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

impl Setting {
    /// Starts a server by the flag alone, with `/mcp` of the upstream behind the path.
    async fn by_flag() -> Self {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let flag = format!("/notes=http://{}/mcp", upstream.local_addr().unwrap());
        let server = start(&["--protect", &flag]).await;
        let token = token(server.issuer(), "demo-public", "/notes", None).await;
        Self { server, upstream, token }
    }

    /// Starts a server by a file with further keys of the table.
    async fn by_file(keys: &str) -> Self {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", upstream.local_addr().unwrap());
        let server = start_by_file(&url, keys).await;
        let named = keys.split_once("resource = '").and_then(|(_, rest)| rest.split('\'').next());
        let own = format!("{}/notes", server.issuer());
        let token = token_for(server.issuer(), "app", named.unwrap_or(&own), None).await;
        Self { server, upstream, token }
    }

    async fn connect(&self) -> Wire {
        Wire::of(TcpStream::connect(self.server.address()).await.unwrap())
    }

    /// Sends a request line with the access token and further lines of a head.
    async fn call(&self, line: &str, more: &str) -> Wire {
        let mut wire = self.connect().await;
        let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\n{more}");
        wire.send(&format!("{head}Authorization: Bearer {}\r\n\r\n", self.token)).await;
        wire
    }

    /// Accepts the next connection of the server.
    async fn accept(&self) -> Wire {
        Wire::of(self.upstream.accept().await.unwrap().0)
    }

    /// Calls the path, and lets the upstream answer with these bytes and close the connection.
    async fn answered(&self, answer: &str) -> (String, Vec<String>, String) {
        let mut caller = self.call("GET /notes", "Connection: close\r\n").await;
        let mut upstream = self.accept().await;
        upstream.head().await;
        upstream.send(answer).await;
        drop(upstream);
        let (first, lines) = caller.head().await;
        (first, lines, caller.rest().await)
    }
}

/// Starts a server with a file of settings that protects one upstream.
async fn start_by_file(url: &str, keys: &str) -> Running {
    let mut file = NamedTempFile::new().unwrap();
    write!(
        file,
        "[[scopes]]\nname = 'read'\ndescription = 'Read'\ndefault = true\n\
         [[scopes]]\nname = 'write'\ndescription = 'Write'\ndefault = true\n\
         [[clients]]\nid = 'app'\nredirect_uris = ['{CALLBACK}']\n\
         [[protect]]\npath = '/notes'\nupstream = '{url}'\nname = 'the notes'\n{keys}\n"
    )
    .unwrap();
    start(&["--config", file.path().to_str().unwrap()]).await
}

/// Connects a client as alice, and returns its access token for a path of the issuer.
async fn token(issuer: &str, client: &str, path: &str, scope: Option<&str>) -> String {
    token_for(issuer, client, &format!("{issuer}{path}"), scope).await
}

async fn token_for(issuer: &str, client: &str, resource: &str, scope: Option<&str>) -> String {
    token_of("alice", issuer, client, resource, scope).await
}

/// Connects a client as this user, and returns its access token.
async fn token_of(
    user: &'static str,
    issuer: &str,
    client: &str,
    resource: &str,
    scope: Option<&str>,
) -> String {
    let url = authorization_url(issuer, resource);
    let url = url.replace("demo-public", client);
    let url = scope.iter().fold(url, |url, scope| format!("{url}&scope={scope}"));
    let answer = Browser::new(user).authorize(&url, "allow").await;
    redeem(issuer, client, &answer).await["access_token"].as_str().unwrap().to_owned()
}

/// Without a token for the path, nothing reaches the upstream, and clients learn what they need.
#[tokio::test]
async fn protect_a_call_without_a_token_for_the_path_is_challenged() {
    let keys = "scopes = ['write']\noptional_scopes = ['read']";
    let setting = Setting::by_file(keys).await;
    let issuer = setting.server.issuer();
    let http = plain_client(false);
    let document = format!("{issuer}/.well-known/oauth-protected-resource/notes");
    let challenge = format!("Bearer resource_metadata=\"{document}\", scope=\"write\"");
    for path in ["/notes", "/notes/", "/notes/deep?q"] {
        let refused = http.post(format!("{issuer}{path}")).body("x").send().await.unwrap();
        assert_eq!(refused.status(), 401, "{path}");
        assert_eq!(header(&refused, "www-authenticate"), challenge, "{path}");
    }
    let metadata: Value = http.get(&document).send().await.unwrap().json().await.unwrap();
    assert_eq!(metadata["resource"], format!("{issuer}/notes"));
    assert_eq!(metadata["scopes_supported"], serde_json::json!(["write", "read"]));
    let read = token(issuer, "app", "/notes", Some("read")).await;
    let refused = http.get(format!("{issuer}/notes")).bearer_auth(read).send().await.unwrap();
    assert_eq!(refused.status(), 403);
    assert!(header(&refused, "www-authenticate").contains("error=\"insufficient_scope\""));
    assert!(header(&refused, "www-authenticate").contains("scope=\"write\""));

    // The first connection is that of the call with the right token.
    let mut caller = setting.call("GET /notes", "").await;
    let mut upstream = setting.accept().await;
    let (_, lines) = upstream.head().await;
    assert!(lines.contains(&"grantcore-scope: write read".to_owned()), "{lines:?}");
    upstream.send(OK).await;
    assert_eq!(caller.head().await.0, "HTTP/1.1 200 OK");
    setting.server.stop().await.unwrap();
}

/// The proxy in front may give the path another URL, which is the resource then. Its host is one of
/// this server's.
#[tokio::test]
async fn protect_a_resource_may_have_a_host_of_its_own() {
    let setting = Setting::by_file("resource = 'https://notes.example.com/mcp'").await;
    let document = "https://notes.example.com/.well-known/oauth-protected-resource/mcp";
    let get = async |host: &str, path: &str| {
        let mut wire = setting.connect().await;
        let line = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        wire.send(&line).await;
        let (first, lines) = wire.head().await;
        (first, lines, wire.rest().await)
    };
    let (first, lines, _) = get("notes.example.com", "/notes").await;
    assert_eq!(first, "HTTP/1.1 401 Unauthorized");
    let challenge = lines.iter().find(|line| line.starts_with("www-authenticate")).unwrap();
    assert!(challenge.contains(&format!("resource_metadata=\"{document}\"")), "{challenge}");
    let path = document.strip_prefix("https://notes.example.com").unwrap();
    let (_, _, metadata) = get("notes.example.com", path).await;
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    assert_eq!(metadata["resource"], "https://notes.example.com/mcp");
    assert_eq!(get("other.example.com", "/notes").await.0, "HTTP/1.1 403 Forbidden");
    let redirect = "HTTP/1.1 307 T\r\nLocation: /mcp/\r\nContent-Length: 0\r\n\r\n";
    let (_, lines, _) = setting.answered(redirect).await;
    let location = "location: https://notes.example.com/mcp/".to_owned();
    assert!(lines.contains(&location), "{lines:?}");
    setting.server.stop().await.unwrap();
}

/// A protected path is at the root of the host, and not below the issuer.
#[tokio::test]
async fn protect_a_path_is_not_below_the_path_of_the_issuer() {
    let listen = format!("127.0.0.1:{}", grantcore_testing_servers::free_port());
    let issuer = format!("http://{listen}/auth");
    let flags =
        ["--listen", &listen, "--issuer", &issuer, "--protect", "/notes=http://127.0.0.1:9"];
    let arguments = ["grantcore-server", "--database", "memory:"];
    let server = Running::start(arguments.iter().chain(&flags).copied()).await.unwrap();
    let get = async |path: &str| {
        plain_client(false).get(format!("http://{listen}{path}")).send().await.unwrap()
    };
    let refused = get("/notes").await;
    assert_eq!(refused.status(), 401);
    let document = "/.well-known/oauth-protected-resource/notes";
    assert!(header(&refused, "www-authenticate").contains(document));
    let metadata: Value = get(document).await.json().await.unwrap();
    assert_eq!(metadata["resource"], format!("http://{listen}/notes"));
    assert_eq!(metadata["authorization_servers"][0], issuer);
    assert_eq!(get("/auth/notes").await.status(), 404);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn protect_a_token_of_another_resource_is_refused() {
    let setting = Setting::by_flag().await;
    let issuer = setting.server.issuer();
    let other = token(issuer, "demo-public", "/mcp", None).await;
    let call = |path: &str, token: &str| {
        plain_client(false).get(format!("{issuer}{path}")).bearer_auth(token).send()
    };
    assert_eq!(call("/notes", &other).await.unwrap().status(), 401);
    assert_eq!(call("/api", &setting.token).await.unwrap().status(), 401);
    setting.server.stop().await.unwrap();
}

#[tokio::test]
async fn protect_the_request_target_is_mapped_byte_for_byte() {
    let setting = Setting::by_flag().await;
    for hostile in ["/..", "/%2e%2e/x", "/..%2fx", "/a%5cb", "//x", "/%252e%252e/x", "/x%00"] {
        let mut caller = setting.call(&format!("GET /notes{hostile}"), "").await;
        assert_eq!(caller.head().await.0, "HTTP/1.1 400 Bad Request", "{hostile}");
    }
    for (target, expected) in [
        ("/notes", "/mcp"),
        ("/notes?a=%2F..'&b=/../", "/mcp?a=%2F..'&b=/../"),
        ("/notes/x?y", "/mcp/x?y"),
        ("/notes/", "/mcp/"),
        ("http://localhost/notes/a%20b", "/mcp/a%20b"),
        ("//notes", "/mcp"),
    ] {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
            let mut caller = setting.call(&format!("{method} {target}"), "").await;
            let mut upstream = setting.accept().await;
            let (first, _) = upstream.head().await;
            assert_eq!(first, format!("{method} {expected} HTTP/1.1"));
            upstream.send(if method == "HEAD" { OK.trim_end_matches("ok") } else { OK }).await;
            let (first, lines) = caller.head().await;
            assert_eq!(first, "HTTP/1.1 200 OK", "{method} {target}");
            assert!(lines.contains(&"content-length: 2".to_owned()), "{lines:?}");
        }
    }
    setting.server.stop().await.unwrap();
}

#[tokio::test]
async fn protect_pages_of_other_origins_may_call() {
    let setting = Setting::by_flag().await;
    let mut page = setting.connect().await;
    page.send(
        "OPTIONS /notes HTTP/1.1\r\nHost: localhost\r\nOrigin: https://app.example\r\n\
         Access-Control-Request-Method: POST\r\n\
         Access-Control-Request-Headers: authorization,mcp-session-id\r\n\r\n",
    )
    .await;
    let (first, lines) = page.head().await;
    assert_eq!(first, "HTTP/1.1 200 OK");
    for (name, value) in [("origin", "*"), ("headers", "mcp-session-id"), ("methods", "DELETE")] {
        let start = format!("access-control-allow-{name}: ");
        let line = lines.iter().find(|line| line.starts_with(&start)).unwrap();
        assert!(line.contains(value), "{line}");
    }
    let origin = "Origin: https://app.example\r\n";
    for more in [origin, ""] {
        let mut page = setting.call("POST /notes", more).await;
        let mut upstream = setting.accept().await;
        let (_, lines) = upstream.head().await;
        assert!(!lines.iter().any(|line| line.starts_with("origin")), "{lines:?}");
        upstream.send(&OK.replace("\r\n\r\n", "\r\nAccess-Control-Allow-Origin: x\r\n\r\n")).await;
        let (_, lines) = page.head().await;
        let allowed: Vec<_> =
            lines.iter().filter(|line| line.starts_with("access-control-allow-origin")).collect();
        assert_eq!(allowed, ["access-control-allow-origin: *"]);
        let exposed = lines.iter().find(|line| line.starts_with("access-control-expose-headers"));
        let exposed = exposed.unwrap();
        assert!(exposed.contains("www-authenticate") && exposed.contains("mcp-session-id"));
    }
    setting.server.stop().await.unwrap();
}
