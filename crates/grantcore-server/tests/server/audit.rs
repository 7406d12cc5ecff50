//! Tests of the audit log and of balances, over real HTTP and on a SQLite file that the tests read
//! too.

mod balance;

use crate::support::{Browser, CALLBACK, VERIFIER, authorization_url, param, plain_client};
use grantcore_server::Running;
use reqwest::Response;
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

struct Fixture {
    server: Running,
    directory: TempDir,
}

impl Fixture {
    async fn start(more: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = format!("sqlite:{}", directory.path().join("grants.sqlite").display());
        let arguments = ["grantcore-server", "--listen", "127.0.0.1:0", "--database", &database];
        let server = Running::start(arguments.iter().chain(more).copied()).await.unwrap();
        Self { server, directory }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.issuer())
    }

    /// Opens the database file.
    fn file(&self) -> Connection {
        open(&self.directory)
    }

    /// Returns access and refresh token of a demo client.
    async fn tokens(&self, client: &str, user: &'static str, resource: &str) -> (String, String) {
        let url = authorization_url(self.server.issuer(), &self.url(resource))
            .replace("demo-public", client);
        let code = param(&Browser::new(user).authorize(&url, "allow").await, "code").unwrap();
        let tokens: Value = self.redeem(client, &code).await.json().await.unwrap();
        let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
        (text("access_token"), text("refresh_token"))
    }

    async fn redeem(&self, client: &str, code: &str) -> Response {
        let form = [
            ("grant_type", "authorization_code"),
            ("redirect_uri", CALLBACK),
            ("code", code),
            ("code_verifier", VERIFIER),
        ];
        let post = plain_client(false).post(self.url("/oauth/token"));
        let post = match client {
            "demo-confidential" => {
                post.basic_auth(client, Some("demo-confidential-secret")).form(&form)
            }
            _ => post.form(&[&form[..], &[("client_id", client)]].concat()),
        };
        post.send().await.unwrap()
    }

    async fn api(&self, access: &str) -> Response {
        plain_client(false).get(self.url("/api")).bearer_auth(access).send().await.unwrap()
    }

    async fn mcp(&self, access: &str, method: &str, params: Value) -> Response {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let call = plain_client(false).post(self.url("/mcp")).bearer_auth(access);
        call.header("accept", "application/json, text/event-stream")
            .json(&message)
            .send()
            .await
            .unwrap()
    }

    /// Stops the server, and returns the directory of its database.
    async fn stop(self) -> TempDir {
        self.server.stop().await.unwrap();
        self.directory
    }
}

/// Returns the values of a column of the audit log, in order.
fn events(directory: &TempDir, column: &str, condition: &str) -> Vec<String> {
    let file = open(directory);
    let mut query = file
        .prepare(&format!(
            "SELECT CAST({column} AS TEXT) FROM audit_log WHERE {condition} ORDER BY id"
        ))
        .unwrap();
    query.query_map([], |row| row.get(0)).unwrap().map(|value| value.unwrap()).collect()
}

fn open(directory: &TempDir) -> Connection {
    Connection::open(directory.path().join("grants.sqlite")).unwrap()
}

#[tokio::test]
async fn audit_02_a_stopped_server_has_written_the_whole_flow() {
    let fixture = Fixture::start(&[]).await;
    let (access, refresh) = fixture.tokens("demo-public", "alice", "/api").await;
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", "demo-public"),
        ("refresh_token", &refresh),
    ];
    for status in [200, 400] {
        let answer =
            plain_client(false).post(fixture.url("/oauth/token")).form(&form).send().await.unwrap();
        assert_eq!(answer.status(), status);
    }
    assert_eq!(fixture.api(&access).await.status(), 401);
    let left = fixture.stop().await;
    let kinds = events(&left, "kind", "flow IS NOT NULL");
    assert_eq!(
        kinds,
        [
            "consent_shown",
            "consent_approved",
            "code_redeemed",
            "tokens_refreshed",
            "refused",
            "refused"
        ]
    );
    assert_eq!(events(&left, "count(DISTINCT flow)", "subject = 'alice'"), ["1"]);
    let challenged = "status = 401 AND challenge LIKE 'Bearer %error=\"invalid_token\"%'";
    assert_eq!(events(&left, "reason", challenged), ["token_revoked"]);
}

#[tokio::test]
async fn audit_01_a_request_that_is_too_large_is_one_event_with_its_correlation_id() {
    let fixture = Fixture::start(&[]).await;
    let large = vec![b'x'; 64 * 1024 + 1];
    let paths = [
        "/oauth/token",
        "/oauth/revoke",
        "/oauth/register",
        "/oauth/register/x",
        "/oauth/authorize",
    ];
    for path in paths {
        let before = events(&fixture.directory, "id", "true").len();
        let post = plain_client(false)
            .post(fixture.url(path))
            .header("content-type", "application/x-www-form-urlencoded");
        let answer = post.body(large.clone()).send().await.unwrap();
        let name = answer.headers()["x-correlation-id"].to_str().unwrap().to_owned();
        let status = answer.status().as_str().to_owned();
        let condition = format!("correlation = '{name}' AND reason = 'request_too_large'");
        // The event is written after the response.
        let mut found = Vec::new();
        for _ in 0..100 {
            found = events(&fixture.directory, "status", &condition);
            if !found.is_empty() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert_eq!(found, [status], "{path}");
        assert_eq!(events(&fixture.directory, "id", "true").len(), before + 1, "{path}");
    }
    fixture.stop().await;
}

#[tokio::test]
async fn audit_08_without_an_audit_log_requests_are_served_unless_it_is_required() {
    for (required, status) in [(false, 400), (true, 503)] {
        let more: &[&str] = if required { &["--audit-fail-closed"] } else { &[] };
        let fixture = Fixture::start(more).await;
        assert_eq!(fixture.redeem("demo-public", "gac_none").await.status(), 400);
        fixture.file().execute_batch("ALTER TABLE audit_log RENAME TO gone").unwrap();
        let answer = fixture.redeem("demo-public", "gac_none").await;
        assert_eq!(answer.status(), status);
        if required {
            assert_eq!(answer.json::<Value>().await.unwrap()["error"], "temporarily_unavailable");
        }
        fixture.file().execute_batch("ALTER TABLE gone RENAME TO audit_log").unwrap();
        assert_eq!(fixture.redeem("demo-public", "gac_none").await.status(), 400);
        fixture.stop().await;
    }
}

/// If the audit log fails, a rotation is refused before its write, so the retry is no replay.
#[tokio::test]
async fn audit_08_a_failing_audit_log_prevents_rotation_and_the_retry_succeeds() {
    let fixture = Fixture::start(&["--audit-fail-closed"]).await;
    let (_, refresh) = fixture.tokens("demo-public", "alice", "/api").await;
    let rotate = async || {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", "demo-public"),
            ("refresh_token", &refresh),
        ];
        plain_client(false).post(fixture.url("/oauth/token")).form(&form).send().await.unwrap()
    };
    fixture.file().execute_batch("ALTER TABLE audit_log RENAME TO gone").unwrap();
    // After the first event that cannot be written, no place is reserved.
    assert_eq!(fixture.redeem("demo-public", "gac_none").await.status(), 503);
    for _ in 0..3 {
        let answer = rotate().await;
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.json::<Value>().await.unwrap()["error"], "temporarily_unavailable");
    }
    fixture.file().execute_batch("ALTER TABLE gone RENAME TO audit_log").unwrap();
    // One refusal shows that events can be written again.
    assert_eq!(rotate().await.status(), 503);
    assert_eq!(rotate().await.status(), 200);
    let left = fixture.stop().await;
    assert_eq!(events(&left, "kind", "kind = 'tokens_refreshed'").len(), 1);
    assert_eq!(events(&left, "kind", "reason = 'refresh_reused'").len(), 0);
}

/// Four connections send refusals as fast as they can while tokens are replayed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i46_a_flood_of_refusals_hides_no_replay_and_adds_a_bounded_number_of_rows() {
    const EACH: usize = 500;
    const REPLAYS: usize = 5;
    /// The bound of --audit-events and one count for each reason, in each of two minutes.
    const BOUND: usize = 2 * (300 + 200);
    let fixture = Fixture::start(&["--rate-limit", "10000"]).await;
    let mut used = Vec::new();
    for _ in 0..REPLAYS {
        let (_, refresh) = fixture.tokens("demo-public", "alice", "/api").await;
        used.push(refresh);
    }
    let post = |token: &str| {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", "demo-public"),
            ("refresh_token", token),
        ];
        plain_client(false).post(fixture.url("/oauth/token")).form(&form)
    };
    for refresh in &used {
        assert_eq!(post(refresh).send().await.unwrap().status(), 200);
    }
    let floods: Vec<_> = (0..4)
        .map(|_| {
            let http = plain_client(false);
            let url = fixture.url("/oauth/token");
            tokio::spawn(async move {
                for number in 0..EACH {
                    let token = format!("nothing {number}");
                    let form = [
                        ("grant_type", "refresh_token"),
                        ("client_id", "demo-public"),
                        ("refresh_token", &token),
                    ];
                    assert_eq!(http.post(&url).form(&form).send().await.unwrap().status(), 400);
                }
            })
        })
        .collect();
    for refresh in &used {
        assert_eq!(post(refresh).send().await.unwrap().status(), 400);
    }
    for flood in floods {
        flood.await.unwrap();
    }
    let left = fixture.stop().await;
    assert_eq!(events(&left, "kind", "reason = 'refresh_reused'").len(), REPLAYS);
    let rows = events(&left, "id", "NOT attributed").len();
    assert!(rows <= BOUND, "{rows} unattributed rows");
    let refused = "NOT attributed AND kind = 'refused'";
    let all = events(&left, "sum(CASE count WHEN 0 THEN 1 ELSE count END)", refused);
    assert_eq!(all, [(4 * EACH).to_string()], "each refusal is counted");
}

#[tokio::test]
async fn a_suspended_account_is_refused_until_the_suspension_is_lifted() {
    let fixture = Fixture::start(&[]).await;
    let (access, _) = fixture.tokens("demo-public", "bob", "/api").await;
    for (suspended, status) in [(1, 401), (0, 200)] {
        let sql = "INSERT INTO grantcore_accounts VALUES ('bob', ?, 0) \
                   ON CONFLICT DO UPDATE SET suspended = excluded.suspended";
        fixture.file().execute(sql, [suspended]).unwrap();
        assert_eq!(fixture.api(&access).await.status(), status);
    }
    fixture
        .file()
        .execute("UPDATE grantcore_accounts SET epoch = epoch + 1 WHERE subject = 'bob'", [])
        .unwrap();
    assert_eq!(fixture.api(&access).await.status(), 401, "all grants have ended");
    fixture.stop().await;
}
