//! Tests of a whole scenario on every database that is available, and of a database that goes down
//! and comes back. Tests of a database that is not installed are skipped with a message.

use std::time::Duration;

use crate::support::{Browser, CALLBACK, VERIFIER, authorization_url, form, param, plain_client};
use grantcore_redis::redis::{self, cmd};
use grantcore_server::Running;
use grantcore_testing_servers::{Postgres, Redis, RedisCluster};
use reqwest::{Client, Response};
use serde_json::Value;

/// A server on one database, and a client of it.
struct Fixture {
    server: Running,
    http: Client,
}

impl Fixture {
    async fn start(database: &str) -> Self {
        let arguments =
            ["test", "--listen", "127.0.0.1:0", "--rate-limit", "10000", "--database", database];
        Self { server: Running::start(arguments).await.unwrap(), http: plain_client(false) }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.issuer())
    }

    async fn code(&self, browser: &Browser) -> String {
        let url = authorization_url(self.server.issuer(), &self.url("/api"));
        param(&browser.authorize(&url, "allow").await, "code").unwrap()
    }

    async fn token(&self, fields: &[(&str, &str)]) -> (u16, Value) {
        let form = [fields, &[("client_id", "demo-public")]].concat();
        let answer = self.http.post(self.url("/oauth/token")).form(&form).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn redeem(&self, code: &str) -> (u16, Value) {
        let fields = [
            ("grant_type", "authorization_code"),
            ("redirect_uri", CALLBACK),
            ("code", code),
            ("code_verifier", VERIFIER),
        ];
        self.token(&fields).await
    }

    async fn refresh(&self, token: &str) -> (u16, Value) {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    /// Makes a connection, and returns its access and refresh token.
    async fn connect(&self, browser: &Browser) -> (String, String) {
        let (status, body) = self.redeem(&self.code(browser).await).await;
        assert_eq!(status, 200, "{body}");
        (text(&body, "access_token"), text(&body, "refresh_token"))
    }

    async fn api(&self, access: &str) -> u16 {
        self.http.get(self.url("/api")).bearer_auth(access).send().await.unwrap().status().as_u16()
    }

    async fn page(&self, browser: &Browser, path: &str) -> (u16, String) {
        let answer = browser.http.get(self.url(path)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Submits a confirmed form of the administrator.
    async fn act(&self, admin: &Browser, csrf: &str, fields: &[(&str, &str)]) -> Response {
        let form = [fields, &[("csrf", csrf), ("reason", "because")]].concat();
        admin.http.post(self.url("/admin/act")).form(&form).send().await.unwrap()
    }
}

fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_else(|| panic!("{name}: {body}")).to_owned()
}

async fn whole_scenario(database: &str) {
    let fixture = Fixture::start(database).await;
    let alice = Browser::new("alice");
    let admin = Browser::new("admin");

    let code = fixture.code(&alice).await;
    let (status, first) = fixture.redeem(&code).await;
    assert_eq!(status, 200, "{first}");
    assert_eq!(fixture.api(&text(&first, "access_token")).await, 200);
    let (status, second) = fixture.refresh(&text(&first, "refresh_token")).await;
    assert_eq!((status, fixture.api(&text(&second, "access_token")).await), (200, 200));
    let (status, replay) = fixture.refresh(&text(&first, "refresh_token")).await;
    assert_eq!((status, text(&replay, "error").as_str()), (400, "invalid_grant"));
    assert_eq!(
        fixture.api(&text(&second, "access_token")).await,
        401,
        "the replay ended the grant"
    );

    end_by_user_and_client(&fixture, &alice).await;
    administrate(&fixture, &alice, &admin).await;
    act_without_a_user(&fixture, &admin).await;
    fixture.server.stop().await.unwrap();

    // The next server finds the data of the first.
    if database != "memory:" {
        let next = Fixture::start(database).await;
        next.connect(&admin).await;
        let (status, log) = next.page(&admin, "/admin/log?subject=alice").await;
        assert!(
            status == 200 && log.contains("refresh_reused") && log.contains("code_redeemed"),
            "{status}: {log}"
        );
        let (_, accounts) = next.page(&admin, "/admin/accounts").await;
        assert!(accounts.contains("1234"), "the balance is kept: {accounts}");
        next.server.stop().await.unwrap();
    }
}

/// Ends connections from the list of connected apps, and by revocation.
async fn end_by_user_and_client(fixture: &Fixture, alice: &Browser) {
    let (access, _) = fixture.connect(alice).await;
    let (_, list) = fixture.page(alice, "/settings/connected-apps?active=1").await;
    let path = list
        .split("href=\"")
        .find(|rest| rest.contains("/disconnect\""))
        .unwrap_or_else(|| panic!("no Disconnect button: {list}"));
    let path = path.split('"').next().unwrap();
    let (_, confirm) = fixture.page(alice, path).await;
    let ended =
        alice.http.post(fixture.url(path)).form(&form(&confirm).fields).send().await.unwrap();
    assert_eq!((ended.status().as_u16(), fixture.api(&access).await), (303, 401));
    assert_eq!(fixture.page(alice, path).await.0, 404);

    let (access, refresh) = fixture.connect(alice).await;
    let revoke = [("client_id", "demo-public"), ("token", &*refresh)];
    let revoked =
        fixture.http.post(fixture.url("/oauth/revoke")).form(&revoke).send().await.unwrap();
    assert_eq!((revoked.status().as_u16(), fixture.api(&access).await), (200, 401));
    assert_eq!(fixture.refresh(&refresh).await.0, 400);
}

/// Uses the administrator's pages: clients, accounts, balances, the audit log and one flow of it.
async fn administrate(fixture: &Fixture, alice: &Browser, admin: &Browser) {
    fixture.connect(admin).await;
    let (access, _) = fixture.connect(alice).await;
    let (_, clients) = fixture.page(admin, "/admin/clients").await;
    assert!(clients.contains("demo-public") && clients.contains("demo-confidential"), "{clients}");
    let (_, accounts) = fixture.page(admin, "/admin/accounts").await;
    let names =
        ["admin", "alice", "bob"].map(|name| accounts.find(&format!("/admin/accounts/{name}")));
    assert!(names.iter().all(Option::is_some) && names.is_sorted(), "{accounts}");
    let (_, account) = fixture.page(admin, "/admin/accounts/alice").await;
    let csrf = form(&account).fields.into_iter().find(|(name, _)| name == "csrf").unwrap().1;

    let act =
        async |fields: &[(&str, &str)]| fixture.act(admin, &csrf, fields).await.status().as_u16();
    assert_eq!(
        (
            act(&[("act", "suspend-account"), ("subject", "alice")]).await,
            fixture.api(&access).await
        ),
        (303, 401)
    );
    assert_eq!(
        (act(&[("act", "lift-account"), ("subject", "alice")]).await, fixture.api(&access).await),
        (303, 200)
    );
    assert_eq!(
        (
            act(&[("act", "suspend-client"), ("client_id", "demo-public")]).await,
            fixture.api(&access).await
        ),
        (303, 401)
    );
    assert_eq!(
        (
            act(&[("act", "lift-client"), ("client_id", "demo-public")]).await,
            fixture.api(&access).await
        ),
        (303, 200)
    );
    assert_eq!(act(&[("act", "suspend-account"), ("subject", "nobody")]).await, 404);
    assert_eq!(act(&[("act", "top-up"), ("subject", "bob"), ("by", "234")]).await, 303);
    let (_, accounts) = fixture.page(admin, "/admin/accounts").await;
    assert!(accounts.contains("1234"), "{accounts}");
    let (_, account) = fixture.page(admin, "/admin/accounts/alice").await;
    assert!(account.contains("demo-public"), "{account}");

    let flow = latest_flow(fixture, admin).await;
    assert!(flow.contains("consent_shown") && flow.contains("code_redeemed"), "{flow}");
    assert_eq!(act(&[("act", "disconnect-account"), ("subject", "alice")]).await, 303);
    assert_eq!(fixture.api(&access).await, 401);
    let (_, ended) = fixture.page(admin, "/admin/log?subject=alice").await;
    assert!(ended.contains("account_grants_ended"), "{ended}");
    for step in ["account_suspended", "account_suspension_lifted"] {
        assert!(ended.contains(step), "{step}: {ended}");
    }
    assert!(ended.contains("by admin: because"), "{ended}");
}

/// The demonstration's machine gets a token, calls the tools and nothing of a user's, and is ended
/// on the administrator's pages.
async fn act_without_a_user(fixture: &Fixture, admin: &Browser) {
    let token = async || {
        let form = [("grant_type", "client_credentials")];
        let request = fixture.http.post(fixture.url("/oauth/token")).form(&form);
        let request = request.basic_auth("demo-machine", Some("demo-confidential-secret"));
        let body: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!((&body["scope"], body.get("refresh_token")), (&"notes".into(), None), "{body}");
        text(&body, "access_token")
    };
    let call = async |access: &str| {
        let ping = serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
        let request = fixture.http.post(fixture.url("/mcp")).bearer_auth(access).json(&ping);
        let request = request.header("accept", "application/json, text/event-stream");
        request.send().await.unwrap().status().as_u16()
    };
    let access = token().await;
    assert_eq!((call(&access).await, fixture.api(&access).await), (200, 401), "another resource");
    let (_, page) = fixture.page(admin, "/admin/client?id=demo-machine").await;
    for shown in ["Without a user", "<code>notes</code>", "/mcp</code>", "client_credentials"] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    let csrf = async || {
        let (_, account) = fixture.page(admin, "/admin/accounts/alice").await;
        form(&account).fields.into_iter().find(|(name, _)| name == "csrf").unwrap().1
    };
    let (_, log) = fixture.page(admin, "/admin/log?client=demo-machine").await;
    assert!(log.contains("machine_issued"), "{log}");
    let path = log.split("href=\"").find(|rest| rest.starts_with("/admin/flow/")).unwrap();
    let path = path.split('"').next().unwrap();
    let (_, flow) = fixture.page(admin, path).await;
    assert!(flow.contains("on its own behalf") && flow.contains("disconnect-grant"), "{flow}");
    let grant = path.rsplit('/').next().unwrap();
    let confirm = format!("/admin/confirm?act=disconnect-grant&grant={grant}");
    let (status, asked) = fixture.page(admin, &confirm).await;
    assert!(
        status == 200 && asked.contains("None: the client acts for itself"),
        "{status}: {asked}"
    );
    let fields = [("act", "disconnect-grant"), ("grant", grant)];
    let ended = fixture.act(admin, &csrf().await, &fields).await;
    assert_eq!((ended.status().as_u16(), call(&access).await), (303, 401));
    // The owner's suspension stops the machine.
    let access = token().await;
    let fields = [("act", "suspend-account"), ("subject", "alice")];
    let suspended = fixture.act(admin, &csrf().await, &fields).await;
    assert_eq!((suspended.status().as_u16(), call(&access).await), (303, 401));
    let fields = [("act", "lift-account"), ("subject", "alice")];
    let lifted = fixture.act(admin, &csrf().await, &fields).await;
    assert_eq!((lifted.status().as_u16(), call(&access).await), (303, 200));
}

/// Returns the page of the latest flow.
async fn latest_flow(fixture: &Fixture, admin: &Browser) -> String {
    let (_, log) = fixture.page(admin, "/admin/log?subject=alice").await;
    let path = log
        .split("href=\"")
        .find(|rest| rest.starts_with("/admin/flow/"))
        .unwrap_or_else(|| panic!("{log}"));
    fixture.page(admin, path.split('"').next().unwrap()).await.1
}

#[tokio::test]
async fn in_memory() {
    whole_scenario("memory:").await;
}

#[tokio::test]
async fn in_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    whole_scenario(&format!("sqlite:{}", directory.path().join("grants.sqlite").display())).await;
}

#[tokio::test]
async fn in_postgresql() {
    let Some(postgres) = Postgres::start(&[]) else { return };
    whole_scenario(&postgres.url()).await;
}

#[tokio::test]
async fn in_redis() {
    let Some(redis) = Redis::start(&[]) else { return };
    whole_scenario(&redis.url()).await;
}

#[tokio::test]
async fn in_a_cluster_of_redis() {
    let Some(cluster) = RedisCluster::start() else { return };
    whole_scenario(&cluster.url()).await;
}

/// While the database is down, tokens are answered with a retryable 503. Once it is back, all
/// tokens work as before.
async fn down_and_back<D>(url: &str, database: &mut D, kill: fn(&mut D), restart: fn(&mut D)) {
    let fixture = Fixture::start(url).await;
    let alice = Browser::new("alice");
    let admin = Browser::new("admin");
    let (access, refresh) = fixture.connect(&alice).await;
    fixture.connect(&admin).await;
    let nobody = Browser::new("nobody");
    let mut login = form(&fixture.page(&nobody, "/login").await.1).fields;
    login.extend([("username".into(), "bob".into()), ("password".into(), "bob".into())]);
    let logout = form(&fixture.page(&alice, "/").await.1).fields;
    let forms = [(&nobody, "/login", login), (&alice, "/logout", logout)];
    kill(database);
    for _ in 0..2 {
        assert_eq!(fixture.api(&access).await, 503);
        let (status, body) = fixture.refresh(&refresh).await;
        assert_eq!((status, text(&body, "error").as_str()), (503, "temporarily_unavailable"));
        for path in ["/admin/accounts", "/admin/clients", "/admin/log", "/admin/flow/x"] {
            assert_eq!(fixture.page(&admin, path).await.0, 503, "{path}");
        }
        assert_eq!(fixture.page(&alice, "/settings/connected-apps").await.0, 503);
        for path in ["/", "/troubleshooting"] {
            assert_eq!(fixture.page(&alice, path).await.0, 200, "{path}");
        }
        for (browser, path, fields) in &forms {
            let answer = browser.http.post(fixture.url(path)).form(fields).send().await.unwrap();
            assert_eq!(answer.status(), 503, "{path}");
            assert!(!answer.headers().contains_key("set-cookie"), "{path}");
            assert_eq!(answer.headers()["retry-after"], "5", "{path}");
        }
    }
    restart(database);
    let mut status = fixture.api(&access).await;
    for _ in 0..100 {
        if status == 200 {
            break;
        }
        assert_eq!(status, 503);
        tokio::time::sleep(Duration::from_millis(100)).await;
        status = fixture.api(&access).await;
    }
    assert_eq!((status, fixture.refresh(&refresh).await.0), (200, 200));
    for path in ["/admin/accounts", "/admin/clients", "/admin/log"] {
        assert_eq!(fixture.page(&admin, path).await.0, 200, "{path}");
    }
    let (_, front) = fixture.page(&alice, "/").await;
    assert!(front.contains("/logout"), "still signed in: {front}");
    fixture.server.stop().await.unwrap();
}

#[tokio::test]
async fn postgresql_may_go_down_and_come_back() {
    let Some(mut postgres) = Postgres::start(&[]) else { return };
    down_and_back(&postgres.url(), &mut postgres, Postgres::kill, Postgres::restart).await;
}

#[tokio::test]
async fn redis_may_go_down_and_come_back() {
    let Some(mut redis) = Redis::start(&[]) else { return };
    down_and_back(&redis.url(), &mut redis, Redis::kill, Redis::restart).await;
}

/// A database whose memory is full answers, and accepts a removal of nothing.
#[tokio::test]
async fn a_database_that_is_full_is_not_ready() {
    let Some(redis) = Redis::start(&[]) else { return };
    let fixture = Fixture::start(&redis.url()).await;
    let mut database = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    let mut limit = |bytes: u64| {
        cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).exec(&mut database).unwrap();
    };
    let ready = async || {
        let url = format!("{}/readyz", fixture.server.issuer());
        let answer = plain_client(false).get(url).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(ready().await, (200, "ready\n".to_owned()));
    limit(1);
    for _ in 0..4 {
        let (status, text) = ready().await;
        assert!(status == 503 && text.starts_with("writes: "), "{status} {text}");
    }
    limit(0);
    assert_eq!(ready().await.0, 200);
    fixture.server.stop().await.unwrap();
}

/// While a node is down, some grants cannot be read. Each call is answered correctly or with a
/// retryable 503.
#[tokio::test]
async fn a_node_of_a_cluster_may_go_down_and_come_back() {
    let Some(mut cluster) = RedisCluster::start() else { return };
    let fixture = Fixture::start(&cluster.url()).await;
    let alice = Browser::new("alice");
    let mut connections = Vec::new();
    for _ in 0..6 {
        connections.push(fixture.connect(&alice).await);
    }
    cluster.kill(0);
    for (access, _) in &connections {
        let status = fixture.api(access).await;
        assert!([200, 503].contains(&status), "{status}");
    }
    cluster.restart(0);
    for (access, refresh) in &connections {
        let mut status = fixture.api(access).await;
        for _ in 0..100 {
            if status == 200 {
                break;
            }
            assert_eq!(status, 503);
            tokio::time::sleep(Duration::from_millis(100)).await;
            status = fixture.api(access).await;
        }
        assert_eq!((status, fixture.refresh(refresh).await.0), (200, 200));
    }
    fixture.server.stop().await.unwrap();
}
