//! Cases F04: a call is billed once it is accepted. A call that is refused for its form draws
//! nothing.

use grantcore_server::Running;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::cases::token;
use crate::support::{plain_client, start};

/// The parts of a call that the cases vary.
#[derive(Clone)]
struct Call {
    path: &'static str,
    method: Method,
    host: Option<&'static str>,
    accept: &'static str,
    content_type: &'static str,
    version: Option<&'static str>,
    body: Value,
}

impl Call {
    fn tool(name: &str) -> Self {
        let params = json!({"name": name, "arguments": {}});
        Self {
            path: "/mcp",
            method: Method::POST,
            host: None,
            accept: "application/json, text/event-stream",
            content_type: "application/json",
            version: None,
            body: json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}),
        }
    }

    fn api() -> Self {
        Self { path: "/api", method: Method::GET, ..Self::tool("whoami") }
    }

    async fn send(&self, server: &Running, token: &str) -> Response {
        let url = format!("{}{}", server.issuer(), self.path);
        let mut request = plain_client(false)
            .request(self.method.clone(), url)
            .bearer_auth(token)
            .header("accept", self.accept)
            .header("content-type", self.content_type);
        if let Some(host) = self.host {
            request = request.header("host", host);
        }
        if let Some(version) = self.version {
            request = request.header("mcp-protocol-version", version);
        }
        if self.path == "/mcp" {
            request = request.body(self.body.to_string());
        }
        request.send().await.unwrap()
    }
}

fn rpc(method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

/// With these flags every response has the rest of the balance.
const FLAGS: [&str; 4] = ["--opening-balance", "1000", "--low-balance", "2000"];

/// Makes a call that draws one unit, and returns the rest of the balance.
async fn draw_one(server: &Running, api_token: &str) -> u64 {
    let answer = Call::api().send(server, api_token).await;
    assert_eq!(answer.status(), 200);
    answer.headers()["x-low-balance"].to_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn f04_a_call_that_is_refused_for_its_form_draws_nothing() {
    let server = start(&FLAGS).await;
    let mcp_token = token(&server, "mcp").await;
    let api_token = token(&server, "api").await;
    let good = || Call::tool("whoami");
    let call = |name: &str| json!({"name": name, "arguments": {}});
    let mut notification = good().body;
    notification.as_object_mut().unwrap().remove("id");
    let mcp = [
        (403, Call { host: Some("grantcore:8080"), ..good() }),
        (403, Call { host: Some("evil.example"), ..good() }),
        (406, Call { accept: "text/html", ..good() }),
        (406, Call { accept: "application/json", ..good() }),
        (415, Call { content_type: "text/plain", ..good() }),
        (415, Call { content_type: "application/x-www-form-urlencoded", ..good() }),
        (400, Call { version: Some("1999-01-01"), ..good() }),
        (400, Call { version: Some("latest"), ..good() }),
        (405, Call { method: Method::PUT, ..good() }),
        (405, Call { method: Method::DELETE, ..good() }),
        (405, Call { method: Method::GET, ..good() }),
        (405, Call { method: Method::PATCH, ..good() }),
        (200, Call { body: rpc("tools/call", &call("none")), ..good() }),
        (200, Call { body: rpc("tools/call", &json!({"name": "note_add"})), ..good() }),
        (200, Call { body: rpc("tools/list", &json!({})), ..good() }),
        (202, Call { body: notification, ..good() }),
    ];
    let api = [
        (405, Call { method: Method::POST, ..Call::api() }),
        (405, Call { method: Method::DELETE, ..Call::api() }),
        (405, Call { method: Method::PUT, ..Call::api() }),
    ];
    let mut left = draw_one(&server, &api_token).await;
    let calls = mcp.iter().map(|call| (call, &mcp_token));
    for ((status, call), token) in calls.chain(api.iter().map(|call| (call, &api_token))) {
        let answer = call.send(&server, token).await;
        let sent = format!("{} {} {}", call.method, call.path, call.body);
        let got = answer.status().as_u16();
        assert_eq!(got, *status, "{sent}: {}", answer.text().await.unwrap());
        let then = draw_one(&server, &api_token).await;
        assert_eq!(left - then, 1, "{status} {sent}: only the call that reads the balance draws");
        left = then;
    }
    for (cost, body) in [
        (1, rpc("tools/call", &call("whoami"))),
        (1, rpc("tools/call", &call("note_list"))),
        (1, rpc("tools/call", &json!({"name": "note_add", "arguments": {"text": ""}}))),
    ] {
        let sent = body.to_string();
        assert_eq!(Call { body, ..good() }.send(&server, &mcp_token).await.status(), 200);
        let then = draw_one(&server, &api_token).await;
        assert_eq!(left - then, 1 + cost, "{sent}: a tool that ran is paid");
        left = then;
    }
    server.stop().await.unwrap();
}

/// Parallel calls with a balance of one: one is served, and the others are refused before the tool
/// runs.
#[tokio::test]
async fn f04_of_concurrent_calls_for_the_last_unit_one_is_served() {
    let server = start(&["--opening-balance", "1"]).await;
    let token = token(&server, "mcp").await;
    let refused = Call { accept: "text/html", ..Call::tool("whoami") };
    assert_eq!(refused.send(&server, &token).await.status(), 406);
    let params = json!({"name": "note_add", "arguments": {"text": "one"}});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let call = Call { body, ..Call::tool("note_add") };
    let (one, two, three, four) = tokio::join!(
        call.send(&server, &token),
        call.send(&server, &token),
        call.send(&server, &token),
        call.send(&server, &token)
    );
    let mut statuses = [one, two, three, four].map(|answer| answer.status().as_u16());
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 402, 402, 402]);
    let free = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    assert_eq!(Call { body: free, ..call }.send(&server, &token).await.status(), 200);
    server.stop().await.unwrap();
}
