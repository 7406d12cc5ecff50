//! Tests of the headers of a forwarded call: what a caller sends is not what this server says.

use super::*;

/// Headers that a caller sends so that the upstream takes them for those of this server, or so that
/// those of this server are lost. None of them reaches the upstream.
const HOSTILE: &str = "Grantcore-Subject: root\r\n\
    grantcore-subject: root\r\n\
    GRANTCORE-SUBJECT: root\r\n\
    Grantcore_Subject: root\r\n\
    Grantcore.Subject: root\r\n\
    grantcore-SUBJECT_: root\r\n\
    Grantcore-Client: root\r\n\
    Grantcore-Scope: admin\r\n\
    Grantcore_Scope: admin\r\n\
    Grantcore-Properties: {}\r\n\
    Grantcore-Anything: root\r\n\
    Connection: Grantcore-Subject, grantcore-scope, X-Hop , keep-alive\r\n\
    Connection: x-other-hop\r\n\
    X-Hop: 1\r\n\
    X-Other-Hop: 1\r\n\
    Keep-Alive: timeout=5\r\n\
    Proxy-Connection: keep-alive\r\n\
    Proxy-Authorization: Basic cm9vdA==\r\n\
    Proxy_Authorization: Basic cm9vdA==\r\n\
    TE: trailers\r\n\
    Trailer: Grantcore-Subject\r\n\
    Upgrade: h2c\r\n\
    HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\
    Cookie: grantcore_session=1\r\n\
    Forwarded: for=192.0.2.1\r\n\
    Mcp_Session_Id: 1\r\n\
    X-Forwarded-For: 192.0.2.1\r\n\
    X_Forwarded_Host: evil.example\r\n\
    X-Forwarded-User: root\r\n\
    X-Real-IP: 192.0.2.1\r\n\
    Remote-User: root\r\n\
    Remote_User: root\r\n\
    X-Remote-User: root\r\n\
    X-Auth-Request-User: root\r\n\
    X-Original-URL: /admin\r\n\
    X-Rewrite-URL: /admin\r\n\
    Expect: 100-continue\r\n";

#[tokio::test]
async fn protect_the_upstream_gets_the_caller_and_nothing_that_a_caller_made_up() {
    let setting = Setting::by_flag().await;
    let more = format!(
        "{HOSTILE}Accept: text/event-stream\r\nX-Own: 1\r\nX-Twice: a\r\nX-Twice: b\r\n\
         Via: 1.0 front\r\nContent-Length: 0\r\n"
    );
    let mut caller = setting.call("POST /notes", &more).await;
    let mut upstream = setting.accept().await;
    let (_, lines) = upstream.head().await;
    let host = format!("host: {}", setting.upstream.local_addr().unwrap());
    assert_eq!(
        lines,
        [
            "accept: text/event-stream",
            "content-length: 0",
            "grantcore-client: demo-public",
            "grantcore-scope: notes",
            "grantcore-subject: alice",
            host.as_str(),
            "via: 1.0 front",
            "via: 1.1 grantcore",
            "x-own: 1",
            "x-twice: a",
            "x-twice: b",
        ]
    );
    upstream.send(OK).await;
    assert_eq!(caller.head().await.0, "HTTP/1.1 200 OK");
    setting.server.stop().await.unwrap();
}

/// What the consent bound to the grant reaches the upstream, and nothing else of that name.
#[tokio::test]
async fn host_01_the_upstream_gets_the_organization_of_the_connection() {
    let setting = Setting::by_flag().await;
    let resource = format!("{}/notes", setting.server.issuer());
    let token = token_of("bob", setting.server.issuer(), "demo-public", &resource, None).await;
    let setting = Setting { token, ..setting };
    let hostile = "Grantcore-Properties: {\"organization\":\"globex\"}\r\n";
    let mut caller = setting.call("GET /notes", hostile).await;
    let mut upstream = setting.accept().await;
    let (_, lines) = upstream.head().await;
    let found: Vec<_> =
        lines.iter().filter(|line| line.starts_with("grantcore-properties")).collect();
    assert_eq!(found, ["grantcore-properties: {\"organization\":\"acme\"}"], "{lines:?}");
    upstream.send(OK).await;
    assert_eq!(caller.head().await.0, "HTTP/1.1 200 OK");
    setting.server.stop().await.unwrap();
}

/// A trailer is a header that comes after the checks.
#[tokio::test]
async fn protect_no_trailer_passes_in_either_direction() {
    let setting = Setting::by_flag().await;
    let chunked = "Transfer-Encoding: chunked\r\nTrailer: Grantcore-Subject\r\n";
    let mut caller = setting.call("POST /notes", chunked).await;
    caller.send("2\r\nhi\r\n0\r\nGrantcore-Subject: root\r\n\r\n").await;
    let mut upstream = setting.accept().await;
    let (_, lines) = upstream.head().await;
    assert!(lines.contains(&"transfer-encoding: chunked".to_owned()), "{lines:?}");
    upstream.expect("2\r\nhi\r\n0\r\n\r\n").await;
    upstream
        .send(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Set-Cookie\r\n\r\n\
             2\r\nok\r\n0\r\nSet-Cookie: a=b\r\n\r\n",
        )
        .await;
    let (_, lines) = caller.head().await;
    assert!(!lines.iter().any(|line| line.starts_with("trailer")), "{lines:?}");
    caller.expect("2\r\nok\r\n0\r\n\r\n").await;
    setting.server.stop().await.unwrap();
}

/// A body has one length, whatever a caller says of it.
#[tokio::test]
async fn protect_a_request_cannot_hide_another_one() {
    let setting = Setting::by_flag().await;
    let hidden = "GET /secret HTTP/1.1\r\nHost: x\r\nGrantcore-Subject: root\r\n\r\n";
    let chunk = format!("0\r\n\r\n{hidden}");
    let both = format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", chunk.len());
    let mut caller = setting.call("POST /notes", &both).await;
    caller.send(&chunk).await;
    // A server may also refuse such a request; this one reads the chunks and closes.
    let mut upstream = setting.accept().await;
    let (first, lines) = upstream.head().await;
    assert_eq!(first, "POST /mcp HTTP/1.1");
    assert!(lines.contains(&"grantcore-subject: alice".to_owned()), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("content-length")), "{lines:?}");
    upstream.expect("0\r\n\r\n").await;
    upstream.send(&OK.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")).await;
    assert_eq!(upstream.rest().await, "", "nothing follows");
    for lines in ["Content-Length: 1\r\nContent-Length: 2\r\n", "Content-Length: +1\r\n"] {
        let mut caller = setting.call("POST /notes", lines).await;
        assert_eq!(caller.head().await.0, "HTTP/1.1 400 Bad Request", "{lines}");
    }
    setting.server.stop().await.unwrap();
}

#[tokio::test]
async fn protect_methods_and_protocols_that_are_not_forwarded_are_refused() {
    let setting = Setting::by_flag().await;
    let socket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    for (line, more, expected) in [
        ("GET /notes", socket, "501 Not Implemented"),
        ("GET /notes", "Transfer-Encoding: chunked\r\n", "400 Bad Request"),
        ("HEAD /notes", "Content-Length: 1\r\n", "400 Bad Request"),
        ("TRACE /notes", "", "405 Method Not Allowed"),
        ("CONNECT /notes", "", "405 Method Not Allowed"),
        ("BREW /notes", "", "405 Method Not Allowed"),
    ] {
        let mut caller = setting.call(line, more).await;
        assert_eq!(caller.head().await.0, format!("HTTP/1.1 {expected}"), "{line}");
    }
    setting.server.stop().await.unwrap();
}

/// The settings of a machine of the file, with the scope that the path needs.
const MACHINE: &str = "[[clients]]\nid = 'job'\nmachine_scopes = ['read']\n\
    secret_digest = 'sha256:3325daef9d4973102ec37984fb8a436bc3cea745a7e5e7ea977c3ab793942b09'\n";
const MACHINE_SECRET: &str = "0123456789-a-secret-of-a-machine-0123456789";

/// A machine of the file gets a token on its own behalf. The upstream gets its calls only where the
/// table says so, and without the header of a user.
#[tokio::test]
async fn protect_a_machine_reaches_the_upstream_where_the_table_says_so_and_has_no_subject() {
    for is_served in [false, true] {
        let keys = format!("scopes = ['read']\nmachines = {is_served}\n{MACHINE}");
        let mut setting = Setting::by_file(&keys).await;
        let issuer = setting.server.issuer();
        let form = [("grant_type", "client_credentials"), ("resource", &format!("{issuer}/notes"))];
        let request = plain_client(false).post(format!("{issuer}/oauth/token")).form(&form);
        let answer = request.basic_auth("job", Some(MACHINE_SECRET)).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let tokens: Value = answer.json().await.unwrap();
        assert_eq!((&tokens["scope"], tokens.get("refresh_token")), (&"read".into(), None));
        setting.token = tokens["access_token"].as_str().unwrap().to_owned();
        let mut caller = setting.call("GET /notes", "Grantcore-Subject: alice\r\n").await;
        if is_served {
            let mut upstream = setting.accept().await;
            let (_, lines) = upstream.head().await;
            let own: Vec<_> = lines.iter().filter(|line| line.starts_with("grantcore-")).collect();
            assert_eq!(own, ["grantcore-client: job", "grantcore-scope: read"]);
            upstream.send(OK).await;
            assert_eq!(caller.head().await.0, "HTTP/1.1 200 OK");
        } else {
            let (first, lines) = caller.head().await;
            assert_eq!(first, "HTTP/1.1 403 Forbidden");
            assert!(!lines.iter().any(|line| line.starts_with("www-authenticate")), "{lines:?}");
        }
        setting.server.stop().await.unwrap();
    }
}
