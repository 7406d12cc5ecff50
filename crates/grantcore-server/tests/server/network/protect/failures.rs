//! Tests of upstreams that fail, redirect, or speak for this server.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::*;

const BAD_GATEWAY: &str = "HTTP/1.1 502 Bad Gateway";

#[tokio::test]
async fn protect_an_answer_that_is_none_is_502_and_the_call_is_not_repeated() {
    let setting = Setting::by_flag().await;
    for answer in [
        "",
        "HTTP/1.1 200 OK\r\n",
        "SSH-2.0-x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA b: c\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"x\"\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 407 Proxy\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: https://evil.example/\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 307 Temporary\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n",
    ] {
        let (first, lines, body) = setting.answered(answer).await;
        assert_eq!(first, BAD_GATEWAY, "{answer}");
        assert!(lines.contains(&"content-type: application/json".to_owned()), "{lines:?}");
        assert!(!lines.iter().any(|line| line.contains("authenticate: ")), "{lines:?}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["error"], "bad_gateway");
        assert!(!body.to_string().contains("127.0.0.1"), "{body} names no address");
    }
    // A repeated call would be a further connection, ahead of this one.
    let mut caller = setting.call("POST /notes/last", "").await;
    let mut upstream = setting.accept().await;
    assert_eq!(upstream.head().await.0, "POST /mcp/last HTTP/1.1");
    upstream.send(OK).await;
    assert_eq!(caller.head().await.0, "HTTP/1.1 200 OK");
    let address = setting.upstream.local_addr().unwrap();
    drop(setting.upstream);
    for _ in 0..2 {
        let url = format!("{}/notes", setting.server.issuer());
        let down = plain_client(false).get(&url).bearer_auth(&setting.token).send().await.unwrap();
        assert_eq!(down.status(), 502, "nothing listens at {address}");
    }
    setting.server.stop().await.unwrap();
}

#[tokio::test]
async fn protect_an_answer_is_passed_on_without_what_speaks_for_this_server() {
    let setting = Setting::by_flag().await;
    let hostile = "Set-Cookie: grantcore_session=1; Path=/\r\nWWW-Authenticate: Basic\r\n\
        Access-Control-Allow-Credentials: true\r\nClear-Site-Data: \"*\"\r\n\
        X-Accel-Redirect: /secret\r\nConnection: X-Hop\r\nX-Hop: 1\r\nCache-Control: public\r\n";
    let answer = format!(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n\
         HTTP/1.1 403 No\r\n{hostile}X-Own: 1\r\nMcp-Session-Id: 2\r\nContent-Length: 2\r\n\r\nno"
    );
    let (first, lines, body) = setting.answered(&answer).await;
    assert_eq!((first.as_str(), body.as_str()), ("HTTP/1.1 403 Forbidden", "no"));
    let names: Vec<_> = lines.iter().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(
        names,
        [
            "access-control-allow-origin",
            "access-control-expose-headers",
            "cache-control",
            "connection",
            "content-length",
            "date",
            "mcp-session-id",
            "x-content-type-options",
            "x-own",
        ]
    );
    let issuer = setting.server.issuer().to_owned();
    for (status, location, expected) in [
        ("307 Temporary Redirect", "/mcp/", Some("/notes/")),
        ("302 Found", "/mcp/x?y#z", Some("/notes/x?y#z")),
        ("201 Created", "/mcp/1", Some("/notes/1")),
        ("201 Created", "http://127.0.0.1:1/1", None),
        ("304 Not Modified", "/mcp", Some("/notes")),
    ] {
        let answer =
            format!("HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let (first, lines, _) = setting.answered(&answer).await;
        let found = lines.iter().find_map(|line| line.strip_prefix("location: "));
        assert_eq!(found, expected.map(|path| format!("{issuer}{path}")).as_deref(), "{location}");
        assert_eq!(first, format!("HTTP/1.1 {status}"));
    }
    setting.server.stop().await.unwrap();
}

#[tokio::test]
async fn protect_an_upstream_that_does_not_answer_in_time_is_504() {
    let setting = Setting::by_file("response_timeout = '1s'").await;
    let mut caller = setting.call("POST /notes", "Content-Length: 2\r\n").await;
    caller.send("hi").await;
    let mut upstream = setting.accept().await;
    upstream.head().await;
    upstream.expect("hi").await;
    let (first, _) = caller.head().await;
    assert_eq!(first, "HTTP/1.1 504 Gateway Timeout");
    assert_eq!(upstream.rest().await, "", "its connection is closed");
    // A body that does not arrive is not the upstream's fault.
    let mut caller = setting.call("POST /notes", "Content-Length: 2\r\n").await;
    let _upstream = setting.accept().await;
    assert_eq!(caller.head().await.0, "HTTP/1.1 408 Request Timeout");
    setting.server.stop().await.unwrap();
}

#[tokio::test]
async fn protect_an_https_upstream_is_called_if_its_certificate_is_right() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let provider = ring::default_provider();
    let tls = ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(std::sync::Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(OK.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(cert.pem().as_bytes()).unwrap();
    let right = format!("ca_file = {:?}", file.path());
    let mut other = NamedTempFile::new().unwrap();
    let stranger = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    other.write_all(stranger.cert.pem().as_bytes()).unwrap();
    let wrong = format!("ca_file = {:?}", other.path());
    for (keys, expected) in [(&right, 200), (&wrong, 502)] {
        let server = start_by_file(&format!("https://{address}/mcp"), keys).await;
        let token = token(server.issuer(), "app", "/notes", None).await;
        let url = format!("{}/notes", server.issuer());
        let called = plain_client(false).get(url).bearer_auth(token).send().await.unwrap();
        assert_eq!(called.status(), expected, "{keys}");
        server.stop().await.unwrap();
    }
}

/// An upstream that asks for more scope: its client steps up at this server, and learns of no
/// other.
#[tokio::test]
async fn protect_an_upstream_asks_for_more_scope() {
    let setting = Setting::by_file("scopes = ['read']\noptional_scopes = ['write']").await;
    let issuer = setting.server.issuer();
    let asked = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\
        WWW-Authenticate: Basic realm=\"the upstream\"\r\n\
        WWW-Authenticate: Bearer realm=\"x\", error=\"insufficient_scope\", \
        scope=\"write admin\", resource_metadata=\"https://evil.example/\"\r\n\r\n";
    let (first, lines, _) = setting.answered(asked).await;
    assert_eq!(first, "HTTP/1.1 403 Forbidden");
    let document = format!("{issuer}/.well-known/oauth-protected-resource/notes");
    let challenges: Vec<_> =
        lines.iter().filter(|line| line.starts_with("www-authenticate")).collect();
    let expected = format!(
        "www-authenticate: Bearer resource_metadata=\"{document}\", \
         error=\"insufficient_scope\", scope=\"read write\""
    );
    assert_eq!(challenges, [&expected]);

    // The client does what the challenge says, and the upstream sees the scope.
    let metadata: Value =
        plain_client(false).get(&document).send().await.unwrap().json().await.unwrap();
    let resource = metadata["resource"].as_str().unwrap();
    let token = token_for(issuer, "app", resource, Some("read write")).await;
    let setting = Setting { token, ..setting };
    let mut caller = setting.call("GET /notes", "").await;
    let mut upstream = setting.accept().await;
    let (_, lines) = upstream.head().await;
    assert!(lines.contains(&"grantcore-scope: read write".to_owned()), "{lines:?}");
    upstream.send(OK).await;
    assert_eq!(caller.head().await.0, "HTTP/1.1 200 OK");

    let other = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\
        WWW-Authenticate: Bearer error=\"invalid_token\", scope=\"write\"\r\n\r\n";
    let (_, lines, _) = setting.answered(other).await;
    assert!(!lines.iter().any(|line| line.starts_with("www-authenticate")), "{lines:?}");
    setting.server.stop().await.unwrap();
}

/// A person who opens the address sees what it is. A program is challenged as before.
#[tokio::test]
async fn rs_02_a_protected_address_is_explained_in_a_browser() {
    let setting = Setting::by_file("scopes = ['read']").await;
    let issuer = setting.server.issuer();
    let get = async |path: &str, accept: &str, token: Option<&str>| {
        let call = plain_client(false).get(format!("{issuer}{path}")).header("accept", accept);
        let call = match token {
            Some(token) => call.bearer_auth(token),
            None => call,
        };
        let answer = call.send().await.unwrap();
        let challenge = header(&answer, "www-authenticate").to_owned();
        (answer.status().as_u16(), challenge, answer.text().await.unwrap())
    };
    for path in ["/notes", "/notes/", "/notes/deep"] {
        let (status, challenge, body) = get(path, "*/*", None).await;
        assert!(status == 401 && challenge.contains("resource_metadata"), "{challenge}");
        assert!(!body.contains('<'), "{body}");
        let (opened, same, page) = get(path, "text/html,*/*;q=0.8", None).await;
        assert_eq!((opened, same), (status, challenge));
        for part in
            ["This is an address for applications", "the notes", &*format!("{issuer}/notes")]
        {
            assert!(page.contains(part), "{part}: {page}");
        }
        let (status, _, body) = get(path, "text/html", Some("x")).await;
        assert!(status == 401 && !body.contains("<!doctype"), "a token is a program's: {body}");
    }
    setting.server.stop().await.unwrap();
}
