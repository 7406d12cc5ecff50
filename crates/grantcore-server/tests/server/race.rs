//! Tests of parallel requests on the SQLite file: of 20 redemptions of one code or refreshes of one
//! token, one succeeds, and no second family of tokens stays valid.

use std::collections::BTreeSet;

use crate::support::client::redemption;
use crate::support::{Browser, authorization_url, param, plain_client};
use grantcore_server::Running;
use serde_json::Value;
use tempfile::TempDir;

const AT_ONCE: usize = 20;

struct Fixture {
    server: Running,
    _directory: TempDir,
}

async fn start(replay_window: &str) -> Fixture {
    let directory = TempDir::new().unwrap();
    let database = format!("sqlite:{}", directory.path().join("grants.sqlite").display());
    let server = Running::start([
        "grantcore-server",
        "--listen",
        "127.0.0.1:0",
        "--database",
        &database,
        "--rate-limit",
        "1000",
        "--replay-window",
        replay_window,
    ]);
    Fixture { server: server.await.unwrap(), _directory: directory }
}

impl Fixture {
    async fn code(&self) -> String {
        let url = authorization_url(self.server.issuer(), &self.mcp());
        param(&Browser::new("alice").authorize(&url, "allow").await, "code").unwrap()
    }

    fn mcp(&self) -> String {
        format!("{}/mcp", self.server.issuer())
    }

    /// Posts the same form many times in parallel, each over its own connection, and returns status
    /// and body of each response.
    async fn all_at_once(&self, form: &[(&str, &str)]) -> Vec<(u16, Value)> {
        let body: Vec<(String, String)> =
            form.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let gate = std::sync::Arc::new(tokio::sync::Barrier::new(AT_ONCE));
        let calls = (0..AT_ONCE).map(|_| {
            let http = plain_client(false);
            let url = format!("{}/oauth/token", self.server.issuer());
            let body = body.clone();
            let gate = gate.clone();
            tokio::spawn(async move {
                gate.wait().await;
                let answer = http.post(url).form(&body).send().await.unwrap();
                (answer.status().as_u16(), answer.json().await.unwrap())
            })
        });
        let mut answers = Vec::new();
        for call in calls.collect::<Vec<_>>() {
            answers.push(call.await.unwrap());
        }
        answers
    }

    async fn works(&self, access: &str) -> bool {
        let answer = plain_client(false)
            .post(self.mcp())
            .bearer_auth(access)
            .body("{}")
            .send()
            .await
            .unwrap();
        answer.status() != 401
    }

    async fn first_tokens(&self) -> Value {
        let code = self.code().await;
        let answer = plain_client(false)
            .post(format!("{}/oauth/token", self.server.issuer()))
            .form(&redeem(&code))
            .send()
            .await
            .unwrap();
        answer.json().await.unwrap()
    }
}

fn redeem(code: &str) -> [(&str, &str); 5] {
    redemption("demo-public", code)
}

fn refresh(token: &str) -> [(&str, &str); 3] {
    [("grant_type", "refresh_token"), ("client_id", "demo-public"), ("refresh_token", token)]
}

fn text<'a>(body: &'a Value, name: &str) -> &'a str {
    body[name].as_str().unwrap()
}

/// Returns the successful responses, and checks that all others are `invalid_grant`.
fn successes(answers: &[(u16, Value)]) -> Vec<&Value> {
    for (status, body) in answers.iter().filter(|(status, _)| *status != 200) {
        assert_eq!((*status, text(body, "error")), (400, "invalid_grant"));
    }
    answers.iter().filter(|(status, _)| *status == 200).map(|(_, body)| body).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn code_07_one_of_twenty_redemptions_succeeds_and_the_replays_revoke() {
    let fixture = start("0s").await;
    let code = fixture.code().await;
    let answers = fixture.all_at_once(&redeem(&code)).await;
    let winners = successes(&answers);
    assert_eq!(winners.len(), 1);
    assert!(
        !fixture.works(text(winners[0], "access_token")).await,
        "a second valid redemption revokes the tokens of the first"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn refresh_14_without_a_window_at_most_one_rotates_and_the_grant_is_revoked() {
    let fixture = start("0s").await;
    let first = fixture.first_tokens().await;
    let answers = fixture.all_at_once(&refresh(text(&first, "refresh_token"))).await;
    let winners = successes(&answers);
    assert!(winners.len() <= 1);
    for tokens in winners.into_iter().chain([&first]) {
        assert!(!fixture.works(text(tokens, "access_token")).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn refresh_14_within_the_window_all_get_the_same_successor() {
    let fixture = start("30s").await;
    let first = fixture.first_tokens().await;
    let answers = fixture.all_at_once(&refresh(text(&first, "refresh_token"))).await;
    let (retry, answered): (Vec<_>, Vec<_>) =
        answers.iter().partition(|(status, _)| *status == 503);
    assert!(retry.len() < AT_ONCE, "at least one request succeeds");
    let pairs: BTreeSet<_> = answered
        .iter()
        .map(|(status, body)| {
            assert_eq!(*status, 200, "{body}");
            (text(body, "refresh_token"), text(body, "access_token"))
        })
        .collect();
    assert_eq!(pairs.len(), 1);
    for (_, access) in pairs {
        assert!(fixture.works(access).await);
    }
}
