//! Tests of responses that the framework makes by itself: at the address of a page they are pages,
//! and at the endpoints of programs they are JSON.

use std::time::Duration;

use grantcore_server::Running;
use reqwest::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use reqwest::{Method, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{
    Browser, CALLBACK, authorization_url, form, install_crypto_provider, plain_client, start,
};

const FORM: &str = "application/x-www-form-urlencoded";

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers().get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}

/// Asserts the headers of a page of the authorization endpoint.
#[track_caller]
fn assert_closed(response: &Response, what: &str) {
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(header(response, name), value, "{what}: {response:?}");
    }
    assert!(header(response, "content-security-policy").contains("frame-ancestors 'none'"));
    let crossing =
        response.headers().keys().find(|name| name.as_str().starts_with("access-control"));
    assert_eq!(crossing, None, "{what}");
}

#[tokio::test]
async fn authz_24_a_page_names_the_methods_of_its_own_address() {
    let server = start(&[]).await;
    let http = plain_client(false);
    for (method, path, allowed) in [
        (Method::POST, "/", "GET,HEAD"),
        (Method::POST, "/settings/connected-apps", "GET,HEAD"),
        (Method::POST, "/troubleshooting", "GET,HEAD"),
        (Method::GET, "/logout", "POST"),
        (Method::GET, "/oauth/switch", "POST"),
        (Method::PUT, "/login", "GET,HEAD,POST"),
        (Method::PUT, "/oauth/authorize", "GET, POST"),
    ] {
        let url = format!("{}{path}", server.issuer());
        let refused = http.request(method.clone(), url).send().await.unwrap();
        assert_eq!(refused.status(), 405, "{method} {path}");
        assert_eq!(header(&refused, "allow"), allowed, "{method} {path}");
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn authz_24_every_refusal_at_a_page_is_a_page() {
    let server = start(&[]).await;
    let http = plain_client(false);
    // Sends a request from a page of another site, and returns the page of its refusal.
    let refused = async |method: Method, path: &str, (kind, body): (&str, &[u8]), status: u16| {
        let what = format!("{method} {} {kind} {}", &path[..path.len().min(60)], body.len());
        let request = http.request(method, format!("{}{path}", server.issuer()));
        let request = request.header(CONTENT_TYPE, kind).header("origin", "https://evil.example");
        let response = request.body(body.to_vec()).send().await.unwrap();
        assert_eq!(response.status(), status, "{what}: {response:?}");
        assert_closed(&response, &what);
        assert_eq!(header(&response, "content-type"), "text/html; charset=utf-8", "{what}");
        assert_eq!(header(&response, "allow").contains("POST"), status == 405, "{what}");
        response.text().await.unwrap()
    };
    let forms = [
        "/login",
        "/login/provider",
        "/login/stay",
        "/logout",
        "/oauth/switch",
        "/settings/connected-apps/x/disconnect",
    ];
    let requests = ["/oauth/consent", "/oauth/authorize"];
    let large = vec![b'x'; 3_000_000];
    let large = (FORM, large.as_slice());
    let json = ("application/json", &b"{}"[..]);
    let nothing = (FORM, &b""[..]);

    // Forms and queries that no handler sees.
    let mut unread = vec![(Method::POST, "/oauth/authorize", json)];
    for path in forms {
        unread
            .extend([json, (FORM, b"csrf=a&csrf=b"), large].map(|body| (Method::POST, path, body)));
    }
    for path in requests {
        unread.extend(
            [(FORM, &b"ticket=\xff\xfe"[..]), large].map(|body| (Method::POST, path, body)),
        );
    }
    let long = format!("/oauth/authorize?client_id=x&state={}", "s".repeat(20_000));
    for path in ["/login?request=a&request=b", "/oauth/continue?request=a&request=b", &long] {
        unread.push((Method::GET, path, nothing));
    }
    for (method, path, body) in unread {
        let page = refused(method, path, body, 400).await;
        assert!(page.contains("invalid_request") && page.contains("Reference"), "{path}: {page}");
    }
    // Forms that are read, and refused because a page of another site sent them.
    let forged = (FORM, &b"csrf=%FF\xff"[..]);
    for (path, body, status) in [
        ("/login", forged, 403),
        ("/login/provider", forged, 404),
        ("/login/stay", forged, 403),
        ("/oauth/switch", forged, 403),
        ("/oauth/consent", json, 403),
    ] {
        refused(Method::POST, path, body, status).await;
    }
    for path in forms.iter().chain(&requests) {
        refused(Method::PATCH, path, nothing, 405).await;
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn authz_24_a_foreign_host_learns_nothing_at_a_page() {
    let server = start(&[]).await;
    let http = plain_client(false);
    for (path, is_page) in [
        ("/oauth/authorize", true),
        ("/oauth/consent", true),
        ("/oauth/continue", true),
        ("/oauth/switch", true),
        ("/login", true),
        ("/logout", true),
        ("/", true),
        ("/admin", true),
        ("/oauth/token", false),
        ("/oauth/register", false),
        ("/mcp", false),
        ("/.well-known/oauth-authorization-server", false),
    ] {
        for accept in ["*/*", "text/html"] {
            let request = http.post(format!("{}{path}", server.issuer()));
            let request = request.header("host", "evil.example").header("accept", accept);
            let request = request.header("origin", "https://evil.example");
            let response = request.body("x").send().await.unwrap();
            assert_eq!(response.status(), 403, "{path}");
            if is_page || accept == "text/html" {
                assert_closed(&response, path);
            } else {
                let readable = response.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN);
                assert!(readable, "{path}: a client in a browser reads the error");
            }
            if accept == "*/*" {
                assert_eq!(header(&response, "cache-control"), "no-store", "{path}");
                assert_eq!(header(&response, "pragma"), "no-cache", "{path}");
                assert!(response.text().await.unwrap().contains("\"error\":\"invalid_request\""));
            }
        }
    }
    server.stop().await.unwrap();
}

/// The address is longer than hyper reads, so that no route is reached.
#[tokio::test]
async fn authz_24_a_very_long_address_is_answered_with_a_page() {
    let server = start(&[]).await;
    let url = format!("{}/oauth/authorize?state={}", server.issuer(), "s".repeat(70_000));
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let target = url.strip_prefix(server.issuer()).unwrap();
    let head = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut read = String::new();
    stream.read_to_string(&mut read).await.unwrap();
    assert!(read.starts_with("HTTP/1.1 414 ") && read.ends_with("</html>"), "{read}");
    for part in ["cache-control: no-store", "x-frame-options: DENY", "invalid_request"] {
        assert!(read.contains(part), "{part}: {read}");
    }
    assert!(!read.contains("access-control"), "{read}");
    server.stop().await.unwrap();
}

/// The body never arrives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn token_17_a_request_that_takes_too_long_is_answered_in_the_form_of_its_endpoint() {
    let server = start(&["--request-timeout", "1s"]).await;
    let late = async |path: &str| {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n\
             Content-Type: {FORM}\r\nContent-Length: 50\r\n\r\ngrant_type="
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut read = Vec::new();
        let all = stream.read_to_end(&mut read);
        tokio::time::timeout(Duration::from_secs(60), all).await.unwrap().unwrap();
        String::from_utf8(read).unwrap()
    };
    let programs = ["/oauth/token", "/oauth/revoke", "/oauth/register"];
    let pages = ["/oauth/authorize", "/oauth/consent", "/login", "/oauth/switch"];
    let paths = programs.iter().chain(&pages);
    let mut waiting = Vec::new();
    for path in paths {
        waiting.push(async { (*path, late(path).await) });
    }
    for (path, text) in futures_join(waiting).await {
        assert!(text.starts_with("HTTP/1.1 408 "), "{path}: {text}");
        assert!(text.contains("connection: close\r\n"), "{path}: {text}");
        assert!(text.contains("cache-control: no-store\r\n"), "{path}: {text}");
        let is_readable = text.contains("access-control-allow-origin: *\r\n");
        if pages.contains(&path) {
            assert!(!text.contains("access-control") && text.contains("<!doctype html>"), "{text}");
            assert!(text.contains("x-frame-options: DENY\r\n"), "{path}: {text}");
        } else {
            assert!(
                is_readable && text.contains("\"error\":\"invalid_request\""),
                "{path}: {text}"
            );
            assert!(text.contains("pragma: no-cache\r\n"), "{path}: {text}");
        }
    }
    server.stop().await.unwrap();
}

/// Waits for all of these at the same time.
async fn futures_join<T>(all: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut all: Vec<_> = all.into_iter().map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(|context| {
        let mut is_done = true;
        for (one, result) in &mut all {
            if result.is_none() {
                match one.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => *result = Some(value),
                    std::task::Poll::Pending => is_done = false,
                }
            }
        }
        if is_done { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    all.into_iter().filter_map(|(_, result)| result).collect()
}

#[tokio::test]
async fn consent_02_a_form_that_contradicts_itself_decides_nothing() {
    let server = start(&[]).await;
    let url = authorization_url(server.issuer(), &format!("{}/mcp", server.issuer()));
    let browser = Browser::new("alice");
    let page = browser.consent_page(&url).await;
    let own = form(&page);
    let ticket = own.fields.iter().find(|(name, _)| name == "ticket").unwrap().1.clone();
    let send = async |more: &[(&str, &str)]| {
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let fields: Vec<_> = own.fields.iter().cloned().chain(more).collect();
        let address = format!("{}{}", server.issuer(), own.action);
        browser.http.post(address).form(&fields).send().await.unwrap()
    };
    for more in [
        &[("decision", "allow"), ("decision", "deny")][..],
        &[("decision", "deny"), ("decision", "allow")],
        &[("decision", "allow"), ("decision", "allow")],
        &[("decision", "allow"), ("ticket", "gct_x")],
        &[("decision", "allow"), ("ticket", &ticket)],
        &[],
    ] {
        let refused = send(more).await;
        assert_eq!(refused.status(), 400, "{more:?}");
        let page = refused.text().await.unwrap();
        assert!(page.contains("consent_ticket_missing"), "{more:?}: {page}");
    }
    let allowed = send(&[("decision", "allow")]).await;
    assert!(header(&allowed, "location").starts_with(CALLBACK), "the page is still open");
    server.stop().await.unwrap();
}

/// Another process holds the database's lock for writing. Reads work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authz_25_a_request_that_cannot_be_kept_is_an_error_for_its_client() {
    install_crypto_provider();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("grants.sqlite");
    let database = format!("sqlite:{}", path.display());
    let arguments = ["grantcore-server", "--listen", "127.0.0.1:0", "--database", &database];
    let server = Running::start(arguments).await.unwrap();
    let http = plain_client(true);
    let get = async |url: String| http.get(url).send().await.unwrap();
    let ready = format!("{}/readyz", server.issuer());
    assert_eq!(get(ready.clone()).await.status(), 200);
    let lock = rusqlite::Connection::open(&path).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let not_ready = get(ready.clone()).await;
    assert_eq!(not_ready.status(), 503);
    assert!(not_ready.text().await.unwrap().starts_with("writes: "));
    let url = authorization_url(server.issuer(), &format!("{}/mcp", server.issuer()));
    let refused = get(url.clone()).await;
    assert_eq!(refused.status(), 503, "{refused:?}");
    assert_closed(&refused, "not kept");
    let page = refused.text().await.unwrap();
    for part in ["temporarily_unavailable", "Reference", "error=temporarily_unavailable", CALLBACK]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    lock.execute_batch("ROLLBACK").unwrap();
    assert_eq!(get(ready).await.status(), 200);
    let login = get(url).await;
    let login = format!("{}{}", server.issuer(), header(&login, "location"));
    let mut own = form(&get(login.clone()).await.text().await.unwrap());
    own.fields.push(("username".into(), "alice".into()));
    own.fields.push(("password".into(), "alice".into()));
    // The password is right, and its session cannot be kept.
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = http.post(login).form(&own.fields).send().await.unwrap();
    assert_eq!(refused.status(), 503);
    let page = refused.text().await.unwrap();
    for part in ["temporarily_unavailable", "Reference", "href=\"/oauth/authorize?"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    drop(lock);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn f19_a_metadata_document_is_found_with_the_slash_of_its_resource() {
    let server = start(&[]).await;
    let http = plain_client(false);
    let get = async |path: &str| {
        let response = http.get(format!("{}{path}", server.issuer())).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    for path in
        ["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-authorization-server"]
    {
        let (status, document) = get(path).await;
        assert!(status == 200 && document.starts_with('{'), "{document}");
        for spelling in [format!("{path}/"), format!("/{path}"), format!("{path}//")] {
            assert_eq!(get(&spelling).await, (200, document.clone()), "{spelling}");
        }
    }
    for other in [
        "/.well-known/oauth-protected-resource/mcp/x",
        "/.well-known/oauth-protected-resource/nowhere/",
        "/.well-known/openid-configuration/",
    ] {
        assert_eq!(get(other).await.0, 404, "{other}");
    }
    server.stop().await.unwrap();
}
