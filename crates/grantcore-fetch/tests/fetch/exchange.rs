//! What is sent, what is accepted, and which addresses are called.

use std::io::{ErrorKind, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{ALICE, DOCUMENT, TOTAL, answering, count, fetch, head, host, local, request};
use grantcore::request::Fetch;
use grantcore_fetch::{DocumentFetcher, FetchError, as_fetch};

#[tokio::test]
async fn client_15_a_document_comes_with_what_the_server_judges_it_by() {
    let (address, _) = host("127.0.0.1:0", answering(DOCUMENT));
    let fetched = fetch(&local().build().unwrap(), &format!("http://{address}/client")).await;
    let document = fetched.as_ref().unwrap();
    assert_eq!(document.status, 200);
    assert_eq!(document.content_type.as_deref(), Some("application/json"));
    assert_eq!(document.fresh_for, Some(Duration::from_secs(60)));
    assert_eq!(document.body, b"{}");
    let Fetch::Document(document) = as_fetch(&fetched) else { panic!("it was fetched") };
    assert_eq!((document.status, document.body), (200, b"{}".as_slice()));
    assert_eq!(document.content_type, Some(b"application/json".as_slice()));
    assert_eq!(document.fresh_for, Some(Duration::from_secs(60)));
}

#[tokio::test]
async fn client_15_a_request_carries_nothing_of_users_or_earlier_requests() {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&requests);
    let (address, _) = host("127.0.0.1:0", move |mut stream| {
        kept.lock().unwrap().push(head(&mut stream));
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
    });
    let fetcher = local().build().unwrap();
    let url = format!("http://user:password@{address}/a%20b?c=d#e");
    for _ in 0..2 {
        fetch(&fetcher, &url).await.unwrap();
    }
    let mut expected = [
        "GET /a%20b?c=d HTTP/1.1".to_owned(),
        "accept: application/json".to_owned(),
        format!("host: {address}"),
        format!("user-agent: grantcore-fetch/{}", env!("CARGO_PKG_VERSION")),
    ];
    expected.sort();
    for request in &*requests.lock().unwrap() {
        let mut lines: Vec<_> = request.trim_end().lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, expected);
    }
    assert_eq!(requests.lock().unwrap().len(), 2);
}

/// The blocks have tests of their own in `address.rs`. This one is about the ways to write an
/// address in a URL, and checks that no connection is made.
#[tokio::test]
async fn client_15_forbidden_addresses_are_not_called_however_they_are_written() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let fetcher = DocumentFetcher::builder().build().unwrap();
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "0177.0.0.01",
        "127.0.0.1.",
        "%31%32%37.0.0.1",
        "①②⑦.⓪.⓪.①",
        "0",
        "0.0.0.0",
        "169.254.169.254",
        "10.0.0.1",
        "user@127.0.0.1",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fd00:ec2::254]",
        "localhost",
        "LOCALHOST",
    ] {
        let outcome = fetch(&fetcher, &format!("https://{host}:{port}/")).await;
        let is_refused = matches!(&outcome, Err(FetchError::Forbidden(_)));
        assert!(is_refused, "{host}: {outcome:?}");
        assert!(matches!(as_fetch(&outcome), Fetch::Failed), "why is for the log");
    }
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "it was called");
}

/// The server's policy and the fetcher must both allow it.
#[tokio::test]
async fn client_15_loopback_needs_the_request_and_the_fetcher() {
    let (address, connections) = host("127.0.0.1:0", answering(DOCUMENT));
    let permitted = request(&format!("http://{address}/"), 100).await;
    let mut unpermitted = permitted.clone();
    unpermitted.allow_loopback = false;
    let fetcher = local().build().unwrap();
    let strict = DocumentFetcher::builder().build().unwrap();
    for outcome in [fetcher.fetch(&unpermitted, ALICE).await, strict.fetch(&permitted, ALICE).await]
    {
        assert!(matches!(outcome, Err(FetchError::NotHttps)), "{outcome:?}");
    }
    unpermitted.url = format!("https://{address}/");
    let outcome = fetcher.fetch(&unpermitted, ALICE).await;
    assert!(matches!(outcome, Err(FetchError::Forbidden(_))), "{outcome:?}");
    assert_eq!(count(&connections), 0);
    fetcher.fetch(&permitted, ALICE).await.unwrap();
    assert_eq!(count(&connections), 1);
}

#[tokio::test]
async fn client_15_redirects_are_returned_and_not_followed() {
    let (elsewhere, connections) = host("127.0.0.1:0", answering(DOCUMENT));
    for status in [301, 302, 303, 307, 308] {
        let redirect = format!(
            "HTTP/1.1 {status} There\r\nlocation: http://{elsewhere}/\r\ncontent-length: 0\r\n\r\n"
        );
        let (address, _) = host("127.0.0.1:0", answering(redirect));
        let fetched = fetch(&local().build().unwrap(), &format!("http://{address}/")).await;
        assert_eq!(fetched.unwrap().status, status);
    }
    assert_eq!(count(&connections), 0);
}

#[tokio::test]
async fn client_15_a_body_is_read_to_one_byte_over_the_limit() {
    let body = "x".repeat(100_000);
    let whole = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let (address, _) = host("127.0.0.1:0", answering(whole));
    let url = format!("http://{address}/");
    let fetcher = local().build().unwrap();
    for (limit, length) in
        [(0, 1), (10, 11), (99_999, 100_000), (100_000, 100_000), (usize::MAX, 100_000)]
    {
        let document = fetcher.fetch(&request(&url, limit).await, ALICE).await.unwrap();
        assert_eq!(document.body.len(), length, "{limit}");
    }
    let (endless, _) = host("127.0.0.1:0", |mut stream| {
        head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        while stream.write_all(b"4\r\nxxxx\r\n").is_ok() {}
    });
    let endless = request(&format!("http://{endless}/"), 5120).await;
    assert_eq!(fetcher.fetch(&endless, ALICE).await.unwrap().body.len(), 5121);
}

/// The tests' reqwest has gzip turned on, as it may be by another crate of a host.
#[tokio::test]
async fn client_15_a_compressed_body_is_not_expanded() {
    // `{}` in one stored block.
    let body = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x01\x02\0\xfd\xff{}\x43\xbf\xa6\xa3\x02\0\0\0";
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n";
    let head = format!("{head}content-length: {}\r\n\r\n", body.len());
    let response = [head.as_bytes(), body].concat();
    let (address, _) = host("127.0.0.1:0", answering(response));
    let fetched = fetch(&local().build().unwrap(), &format!("http://{address}/")).await;
    assert_eq!(fetched.unwrap().body, body);
}

#[tokio::test]
async fn client_16_a_body_that_breaks_off_is_an_error() {
    let broken = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}";
    let (address, _) = host("127.0.0.1:0", answering(broken));
    let fetched = fetch(&local().build().unwrap(), &format!("http://{address}/")).await;
    assert!(matches!(fetched, Err(FetchError::Exchange(_))), "{fetched:?}");
}

#[tokio::test]
async fn client_16_a_response_with_two_types_has_none() {
    for types in [
        "content-type: application/json\r\ncontent-type: text/html\r\n",
        "content-type: application/json\r\nContent-Type: application/json\r\n",
        "",
    ] {
        let response = DOCUMENT.replace("content-type: application/json\r\n", types);
        let (address, _) = host("127.0.0.1:0", answering(response));
        let fetched = fetch(&local().build().unwrap(), &format!("http://{address}/")).await;
        assert_eq!(fetched.unwrap().content_type, None);
    }
}

#[tokio::test]
async fn client_15_a_host_that_never_answers_or_sends_byte_by_byte_is_given_up() {
    let (silent, _) = host("127.0.0.1:0", std::mem::forget);
    let (dribbling, _) = host("127.0.0.1:0", |mut stream| {
        head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
        while stream.write_all(b"x").is_ok() {
            thread::sleep(TOTAL / 20);
        }
    });
    for url in
        [format!("http://{silent}/"), format!("https://{silent}/"), format!("http://{dribbling}/")]
    {
        let start = Instant::now();
        let fetched = local().build().unwrap().fetch(&request(&url, 1000).await, ALICE).await;
        assert!(matches!(fetched, Err(FetchError::TimedOut(_))), "{url}: {fetched:?}");
        assert!(start.elapsed() < 4 * TOTAL, "{url}");
    }
}
