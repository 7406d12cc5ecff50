//! Tests of balances over HTTP: which calls cost a unit, and who pays.

use reqwest::Response;
use serde_json::{Value, json};

use super::{Fixture, events};
use crate::support::plain_client;

fn low_balance(response: &Response) -> Option<&str> {
    response.headers().get("x-low-balance").map(|value| value.to_str().unwrap())
}

async fn warning(response: Response) -> Option<String> {
    response.json::<Value>().await.unwrap()["warning"].as_str().map(str::to_owned)
}

/// Checks that the response is 402 without a challenge.
async fn is_out_of_balance(response: Response) {
    assert_eq!(
        (response.status().as_u16(), response.headers().get("www-authenticate")),
        (402, None)
    );
    assert_eq!(response.json::<Value>().await.unwrap()["error"], "insufficient_balance");
}

#[tokio::test]
async fn rs_16_two_clients_of_one_account_share_one_balance() {
    let fixture = Fixture::start(&["--opening-balance", "3", "--low-balance", "3"]).await;
    let (public, _) = fixture.tokens("demo-public", "bob", "/api").await;
    let (confidential, _) = fixture.tokens("demo-confidential", "bob", "/api").await;
    let (alice, _) = fixture.tokens("demo-public", "alice", "/api").await;

    let first = fixture.api(&public).await;
    assert_eq!((first.status().as_u16(), low_balance(&first)), (200, None));
    assert_eq!(warning(first).await, None);
    for (access, left) in [(&confidential, "1"), (&public, "0")] {
        let answer = fixture.api(access).await;
        assert_eq!((answer.status().as_u16(), low_balance(&answer)), (200, Some(left)));
        assert!(warning(answer).await.unwrap().contains(&format!(" {left} left")));
    }
    for access in [&public, &confidential] {
        is_out_of_balance(fixture.api(access).await).await;
    }
    assert_eq!(fixture.api(&alice).await.status(), 200, "another account");

    fixture
        .file()
        .execute("UPDATE balances SET balance = balance + 4 WHERE subject = 'bob'", [])
        .unwrap();
    let again = fixture.api(&confidential).await;
    assert_eq!((again.status().as_u16(), low_balance(&again)), (200, None), "the same token works");
    fixture.stop().await;
}

#[tokio::test]
async fn calls_of_tools_cost_one_unit_and_other_mcp_messages_are_free() {
    let fixture = Fixture::start(&["--opening-balance", "1"]).await;
    let (mcp, _) = fixture.tokens("demo-public", "bob", "/mcp").await;
    let (api, _) = fixture.tokens("demo-public", "bob", "/api").await;
    let free = async || {
        let client = json!({"name": "test", "version": "1"});
        let params =
            json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
        for (method, params) in
            [("initialize", params), ("tools/list", json!({})), ("ping", json!({}))]
        {
            let answer = fixture.mcp(&mcp, method, params).await;
            assert_eq!((answer.status().as_u16(), low_balance(&answer)), (200, None), "{method}");
        }
    };
    let whoami =
        async || fixture.mcp(&mcp, "tools/call", json!({"name": "whoami", "arguments": {}})).await;
    free().await;
    let called = whoami().await;
    assert_eq!((called.status().as_u16(), low_balance(&called)), (200, Some("0")));
    let result = called.json::<Value>().await.unwrap()["result"]["structuredContent"].take();
    assert_eq!(result["subject"], "bob");
    assert!(result["warning"].as_str().unwrap().contains(" 0 left"), "{result}");
    is_out_of_balance(whoami().await).await;
    is_out_of_balance(fixture.api(&api).await).await;
    free().await;
    fixture.stop().await;
}

#[tokio::test]
async fn an_unreadable_mcp_request_is_refused_and_costs_nothing() {
    let fixture = Fixture::start(&["--opening-balance", "1"]).await;
    let (mcp, _) = fixture.tokens("demo-public", "bob", "/mcp").await;
    let params = json!({"name": "whoami", "arguments": {}});
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let call = call.to_string();
    let large = format!("{}{call}", " ".repeat(64 * 1024));
    for body in ["", "no JSON", &call[1..], &large] {
        let post =
            plain_client(false).post(fixture.url("/mcp")).bearer_auth(&mcp).body(body.to_owned());
        let headers = [
            ("accept", "application/json, text/event-stream"),
            ("content-type", "application/json"),
        ];
        let post = headers.into_iter().fold(post, |post, (name, value)| post.header(name, value));
        let refused = post.send().await.unwrap();
        let status = refused.status();
        assert!(
            status.is_client_error() && status != 401 && status != 402,
            "{status} for {} bytes",
            body.len()
        );
        assert_eq!(status == 413, body.len() > 64 * 1024);
        if status == 413 {
            let error = refused.json::<Value>().await.unwrap();
            assert_eq!(error["error_description"], "The body is too large.");
        }
    }
    let balance: i64 = fixture
        .file()
        .query_row("SELECT balance FROM balances WHERE subject = 'bob'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(balance, 1);
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_calls_are_served_only_as_far_as_the_balance_goes() {
    let fixture = Fixture::start(&["--opening-balance", "5"]).await;
    let (access, _) = fixture.tokens("demo-public", "bob", "/api").await;
    // The lock delays the draws, so all calls are checked while the balance is not empty.
    let file = fixture.file();
    file.execute_batch("BEGIN IMMEDIATE").unwrap();
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let call = plain_client(false).get(fixture.url("/api")).bearer_auth(&access);
            tokio::spawn(async move {
                loop {
                    let status = call.try_clone().unwrap().send().await.unwrap().status().as_u16();
                    // On a busy machine, the lock may be held for longer than a call waits.
                    if status != 503 {
                        return status;
                    }
                }
            })
        })
        .collect();
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    file.execute_batch("COMMIT").unwrap();
    let mut statuses = Vec::new();
    for call in calls {
        statuses.push(call.await.unwrap());
    }
    let (served, refused): (Vec<_>, Vec<_>) =
        statuses.into_iter().partition(|status| *status == 200);
    assert_eq!((served.len(), refused), (5, vec![402; 15]));
    let left = fixture.stop().await;
    let condition = "reason = 'insufficient_balance' AND status = 402 \
                     AND client = 'demo-public' AND subject = 'bob'";
    assert_eq!(
        events(&left, "flow", condition).len(),
        15,
        "each refusal is one event, of its flow"
    );
}
