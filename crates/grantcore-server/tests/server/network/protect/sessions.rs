//! Tests of the MCP sessions of an upstream, of upstreams that cannot be connected, and of sign-ins
//! that are too old.

use tokio::net::TcpSocket;

use super::*;

/// The session of an upstream belongs to the connection that it was made for. Another user who
/// learns its ID gets what MCP has for a session that does not exist, and the upstream gets
/// nothing.
#[tokio::test]
async fn protect_a_session_is_tied_to_its_user() {
    let setting = Setting::by_flag().await;
    let resource = format!("{}/notes", setting.server.issuer());
    let bob = token_of("bob", setting.server.issuer(), "demo-public", &resource, None).await;
    let answer = OK.replace("\r\n\r\n", "\r\nMcp-Session-Id: s-1\r\n\r\n");
    let (_, lines, _) = setting.answered(&answer).await;
    let own = lines.iter().find_map(|line| line.strip_prefix("mcp-session-id: ")).unwrap();
    assert!(!own.contains("s-1"), "the upstream's own ID is not shown: {own}");
    // Whose call, its headers, and whether the upstream gets the session.
    let calls = [
        (&setting.token, format!("Mcp-Session-Id: {own}\r\n"), true),
        (&bob, format!("Mcp-Session-Id: {own}\r\n"), false),
        (&setting.token, "Mcp-Session-Id: s-1\r\n".to_owned(), false),
        (&setting.token, format!("Mcp-Session-Id: {own}\r\nMcp-Session-Id: {own}\r\n"), false),
        (&setting.token, "Mcp-Session-Id: \r\n".to_owned(), false),
    ];
    for (token, more, is_own) in calls {
        let mut caller = setting.connect().await;
        let head = format!("POST /notes HTTP/1.1\r\nHost: localhost\r\n{more}");
        caller.send(&format!("{head}Authorization: Bearer {token}\r\n\r\n")).await;
        if is_own {
            let mut upstream = setting.accept().await;
            let (_, lines) = upstream.head().await;
            assert!(lines.contains(&"mcp-session-id: s-1".to_owned()), "{lines:?}");
            upstream.send(OK).await;
            assert_eq!(caller.head().await.0, "HTTP/1.1 200 OK");
        } else {
            assert_eq!(caller.head().await.0, "HTTP/1.1 404 Not Found", "{more}");
        }
    }
    // The next connection of the upstream is that of a call without a session.
    let mut caller = setting.call("GET /notes/last", "").await;
    let mut upstream = setting.accept().await;
    let (first, lines) = upstream.head().await;
    assert_eq!(first, "GET /mcp/last HTTP/1.1");
    assert!(!lines.iter().any(|line| line.starts_with("mcp-session-id")), "{lines:?}");
    upstream.send(OK).await;
    assert_eq!(caller.head().await.0, "HTTP/1.1 200 OK");
    setting.server.stop().await.unwrap();
}

/// The upstream learns what a token allows at it, and nothing of what it allows elsewhere.
#[tokio::test]
async fn protect_the_upstream_gets_the_scopes_that_it_understands() {
    let keys = "scopes = ['read']\noptional_scopes = ['admin']
[[scopes]]
name = 'owner'
description = 'Own'
includes = ['read', 'admin']
default = true
[[scopes]]
name = 'admin'
description = 'Administer'";
    for (scope, expected) in [("owner+write", "read admin"), ("read+write", "read")] {
        let mut setting = Setting::by_file(keys).await;
        let issuer = setting.server.issuer();
        setting.token = token(issuer, "app", "/notes", Some(scope)).await;
        let mut caller = setting.call("GET /notes", "").await;
        let mut upstream = setting.accept().await;
        let (_, lines) = upstream.head().await;
        let own = lines.iter().find_map(|line| line.strip_prefix("grantcore-scope: "));
        assert_eq!(own, Some(expected), "{scope}");
        upstream.send(OK).await;
        assert_eq!(caller.head().await.0, "HTTP/1.1 200 OK");
        setting.server.stop().await.unwrap();
    }
}

/// A queue that is full drops the first packet of a connection, as a firewall does.
#[tokio::test]
async fn protect_an_upstream_that_cannot_be_connected_in_time_is_504() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let upstream = socket.listen(0).unwrap();
    let address = upstream.local_addr().unwrap();
    let mut waiting = Vec::new();
    let short = std::time::Duration::from_millis(300);
    while let Ok(stream) = tokio::time::timeout(short, TcpStream::connect(address)).await {
        waiting.push(stream.unwrap());
    }
    // Without the limit of a connection, the call would wait for a response for a minute.
    let keys = "connect_timeout = '1s'\nresponse_timeout = '60s'";
    let server = start_by_file(&format!("http://{address}/mcp"), keys).await;
    let token = token(server.issuer(), "app", "/notes", None).await;
    let call = plain_client(false).post(format!("{}/notes", server.issuer())).bearer_auth(token);
    let called = tokio::time::timeout(std::time::Duration::from_secs(30), call.send()).await;
    assert_eq!(called.expect("the connection is given up").unwrap().status(), 504);
    server.stop().await.unwrap();
}

/// A user who signed in too long ago has to sign in again (RFC 9470).
#[tokio::test]
async fn host_31_protect_a_sign_in_that_is_too_old_is_challenged() {
    let setting = Setting::by_file("max_age = '1h'").await;
    let mut caller = setting.call("GET /notes", "").await;
    let mut upstream = setting.accept().await;
    upstream.head().await;
    upstream.send(OK).await;
    assert_eq!(caller.head().await.0, "HTTP/1.1 200 OK", "a new sign-in");
    setting.server.stop().await.unwrap();

    let setting = Setting::by_file("max_age = '1s'").await;
    // Whole seconds are compared.
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    let mut caller = setting.call("GET /notes", "").await;
    let (first, lines) = caller.head().await;
    assert_eq!(first, "HTTP/1.1 401 Unauthorized");
    let challenge = lines.iter().find(|line| line.starts_with("www-authenticate")).unwrap();
    for part in ["insufficient_user_authentication", "max_age=\"1\""] {
        assert!(challenge.contains(part), "{challenge}");
    }
    setting.server.stop().await.unwrap();
    let file =
        "[[protect]]\npath = '/x'\nupstream = 'http://a.example'\nmachines = true\nmax_age = '1h'";
    let directory = crate::support::commands::with_file(file);
    let arguments = ["check-config", "--config", "c.toml"];
    let checked = crate::support::commands::run(directory.path(), &arguments);
    assert!(checked.errors.contains("max_age is for calls of users"), "{}", checked.errors);
}
