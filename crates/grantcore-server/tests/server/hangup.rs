//! Test of I45 with the running server: clients reset their connection while a token is replayed
//! and while a registration is deleted. Every durable write has its event.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use crate::support::{Browser, CALLBACK, authorization_url, client, plain_client};
use grantcore::blocking::StoreAdministration as _;
use grantcore::grant::GrantState;
use grantcore_server::Running;
use grantcore_sqlite::SqliteStore;
use rusqlite::Connection;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How many clients disconnect, each a bit later than the previous one: after 0.5 ms to about 3 ms.
/// The last client waits for its response.
const HANG_UPS: u64 = 24;

/// Sends these bytes and resets the connection (`SO_LINGER` 0) after this time. Without a time,
/// reads the response.
async fn send(address: SocketAddr, request: &str, reset_after: Option<Duration>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_zero_linger().unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    if let Some(time) = reset_after {
        tokio::time::sleep(time).await;
    } else {
        let mut answer = [0; 16];
        assert!(stream.read(&mut answer).await.unwrap() > 0);
    }
    drop(stream);
}

/// Sends all requests at once, and resets each connection after its time.
async fn hang_up(address: SocketAddr, requests: Vec<String>) {
    let count = requests.len();
    let calls: Vec<_> = requests
        .into_iter()
        .enumerate()
        .map(|(number, request)| {
            let wait = Duration::from_micros(500 + 115 * u64::try_from(number).unwrap());
            let reset = (number + 1 < count).then_some(wait);
            tokio::spawn(async move { send(address, &request, reset).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
}

fn post(path: &str, host: SocketAddr, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

fn column(file: &Connection, sql: &str) -> Vec<String> {
    let mut query = file.prepare(sql).unwrap();
    query.query_map([], |row| row.get(0)).unwrap().map(|value| value.unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i45_a_disconnect_cancels_no_write_and_hides_no_event() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("grants.sqlite");
    let database = format!("sqlite:{}", path.display());
    let arguments = [
        "grantcore-server",
        "--listen",
        "127.0.0.1:0",
        "--database",
        &database,
        "--rate-limit",
        "10000",
    ];
    let server = Running::start(arguments).await.unwrap();
    let address = server.address();
    let issuer = server.issuer().to_owned();
    let http = plain_client(false);

    let browser = Browser::new("alice");
    let mut replays = Vec::new();
    for _ in 0..HANG_UPS {
        let url = authorization_url(&issuer, &format!("{issuer}/api"));
        let redirect = browser.authorize(&url, "allow").await;
        let tokens = client::redeem(&issuer, "demo-public", &redirect).await;
        let token = tokens["refresh_token"].as_str().unwrap();
        let body = format!("grant_type=refresh_token&client_id=demo-public&refresh_token={token}");
        let rotation = http.post(format!("{issuer}/oauth/token"));
        let rotation =
            rotation.header("content-type", "application/x-www-form-urlencoded").body(body.clone());
        assert_eq!(rotation.send().await.unwrap().status(), 200);
        replays.push(post("/oauth/token", address, &body));
    }

    let mut deletions = Vec::new();
    let mut registered = BTreeSet::new();
    for _ in 0..HANG_UPS {
        let metadata = json!({"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"});
        let own = client::register(&issuer, &metadata).await;
        let text = |member: &str| own[member].as_str().unwrap().to_owned();
        let id = text("client_id");
        let token = text("registration_access_token");
        deletions.push(format!(
            "DELETE /oauth/register/{id} HTTP/1.1\r\nHost: {address}\r\n\
             Authorization: Bearer {token}\r\n\r\n"
        ));
        registered.insert(id);
    }

    hang_up(address, replays).await;
    hang_up(address, deletions).await;
    // The server finishes the requests under way before it stops.
    server.stop().await.unwrap();

    let file = Connection::open(&path).unwrap();
    let grants = SqliteStore::open(&path).unwrap().grants(None, usize::MAX).unwrap();
    let is_revoked = |state| matches!(state, GrantState::Revoked(_));
    let revoked = grants.iter().filter(|grant| is_revoked(grant.record.state())).count();
    let recorded =
        column(&file, "SELECT DISTINCT flow FROM audit_log WHERE reason = 'refresh_reused'");
    assert!(revoked >= 1, "the last request was answered");
    assert_eq!(recorded.len(), revoked, "each replay that ended a grant has its event");

    let deleted = column(&file, "SELECT client FROM audit_log WHERE kind = 'client_deleted'");
    let bodies = column(&file, "SELECT id FROM grantcore_clients WHERE drop_after = 0");
    let gone: BTreeSet<_> = bodies.into_iter().filter(|id| registered.contains(id)).collect();
    assert!(!gone.is_empty(), "the last request was answered");
    assert_eq!(deleted.into_iter().collect::<BTreeSet<_>>(), gone, "each deletion has its event");
    let unknown = column(&file, "SELECT kind FROM audit_log WHERE durability = 'unknown'");
    assert_eq!(unknown, [""; 0], "no request was cancelled");
}
