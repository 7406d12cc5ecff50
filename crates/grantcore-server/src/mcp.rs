//! A protected resource: an MCP endpoint with three tools.
//!
//! Here: the tools, their notes, and the settings of the transport. Never here: access tokens. The
//! guard of the route checks the token and puts a [`Call`] into the request's extensions. The
//! token is removed before a tool can see it, because a tool that holds a token can pass it on
//! (MCP, Security, §Token Passthrough). A request without a call is not answered, so a route
//! mounted without its guard is closed, not open.
//!
//! A tool draws the cost of its call before it does anything else. A call that the transport
//! refuses, or that has wrong arguments, costs nothing.
//!
//! **Stateless, answered in JSON.** Every POST is complete in itself: there is no `Mcp-Session-Id`
//! and no stream, and GET is 405. The tools answer at once and never call back. A session would be
//! state to bound and to lose at a restart, and rmcp would let any caller who learns its id
//! continue it. Without sessions, any replica serves any request. MCP's revision 2026-07-28 has no
//! sessions; the SDKs for Rust, TypeScript (1.x and 2.x) and Python work over this transport with
//! that revision and with earlier ones.
//!
//! **Hosts, not origins.** A web page that rebinds its own name to this machine sends that name as
//! `Host`, and is refused before any route is chosen (`network/hosts.rs`). Origins are not
//! restricted: no cookie is read here, so a page can do no more than its token allows, and browser
//! clients on unknown origins are welcome.

mod notes;

use std::convert::Infallible;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{ALLOW, AUTHORIZATION};
use axum::http::{Method, StatusCode, request::Parts};
use axum::response::{IntoResponse, Response};
use rmcp::handler::server::common::FromContextPart;
use rmcp::handler::server::{tool::ToolCallContext, wrapper::Parameters};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
};
use rmcp::{ErrorData, Json, ServerHandler, schemars, tool, tool_handler, tool_router};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tower::Service;

use self::notes::{NotePad, Owner};
use crate::call::{Call, Identity};
use crate::payment::Unpaid;

/// The largest request, far above what the tools can use.
const MAX_REQUEST_BYTES: usize = 64 * 1024;

impl FromContextPart<ToolCallContext<'_, Tools>> for Call {
    fn from_context_part(context: &mut ToolCallContext<'_, Tools>) -> Result<Self, ErrorData> {
        let parts = context.request_context.extensions.get::<Parts>();
        let call = parts.and_then(|parts| parts.extensions.get::<Self>()).cloned();
        call.ok_or_else(|| ErrorData::internal_error("the request has no caller", None))
    }
}

/// Pays for a call. The arguments have been read before, so the tool can do its work.
async fn paid(call: Call) -> Result<Identity, ErrorData> {
    // The guard replaces this error.
    call.pay().await.map_err(|Unpaid| ErrorData::internal_error("the call is not paid", None))
}

/// The endpoint. Wrap it in a layer that inserts a [`Call`]. A clone shares it, because axum
/// clones the service of a route for each request.
#[derive(Clone)]
pub(crate) struct McpService(Arc<Transport>);

type Transport = StreamableHttpService<Tools, NeverSessionManager>;

impl McpService {
    /// Cancelling `stop` ends requests that are still being answered.
    pub(crate) fn new(stop: CancellationToken) -> Self {
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .with_json_response(true)
            .with_max_request_body_bytes(MAX_REQUEST_BYTES)
            .disable_allowed_hosts()
            .with_cancellation_token(stop);
        let tools = Tools::default();
        let sessions = Arc::new(NeverSessionManager::default());
        Self(Arc::new(StreamableHttpService::new(move || Ok(tools.clone()), sessions, config)))
    }
}

impl Service<Request> for McpService {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Some(request) = without_token(request) else {
            return Box::pin(ready(Ok(StatusCode::INTERNAL_SERVER_ERROR.into_response())));
        };
        // Clients try whether there is a stream. The future of the transport has kilobytes.
        if request.method() != Method::POST {
            let refused = (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "POST")], "Method Not Allowed");
            return Box::pin(ready(Ok(refused.into_response())));
        }
        let transport = Arc::clone(&self.0);
        Box::pin(async move { Ok(transport.handle(request).await.map(Body::new)) })
    }
}

/// Returns a request without its token, or `None` if it has no caller.
fn without_token(mut request: Request) -> Option<Request> {
    if request.extensions().get::<Call>().is_none() {
        tracing::error!("the MCP route is mounted without a guard that inserts a call");
        return None;
    }
    request.headers_mut().remove(AUTHORIZATION);
    Some(request)
}

#[derive(Clone, Default)]
struct Tools {
    notes: Arc<NotePad>,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
struct NewNote {
    /// The note, at most 500 bytes.
    text: String,
}

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
struct Notes {
    /// The notes, oldest first.
    notes: Vec<String>,
    /// The warning that the balance is low.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

#[tool_router]
impl Tools {
    /// Returns the user of this connection, the application and its scopes.
    #[tool(annotations(read_only_hint = true, open_world_hint = false))]
    async fn whoami(&self, call: Call) -> Result<Json<Identity>, ErrorData> {
        Ok(Json(paid(call).await?))
    }

    /// Adds a note to the user's note pad, which keeps the latest 32.
    #[tool(annotations(destructive_hint = false, open_world_hint = false))]
    async fn note_add(
        &self,
        call: Call,
        Parameters(note): Parameters<NewNote>,
    ) -> Result<Result<Json<Notes>, String>, ErrorData> {
        let caller = paid(call).await?;
        let added = self.notes.add(Owner::of(&caller), note.text);
        Ok(added.map(|notes| Json(Notes { notes, warning: caller.warning })))
    }

    /// Lists the notes on the user's note pad.
    #[tool(annotations(read_only_hint = true, open_world_hint = false))]
    async fn note_list(&self, call: Call) -> Result<Json<Notes>, ErrorData> {
        let caller = paid(call).await?;
        Ok(Json(Notes { notes: self.notes.list(&Owner::of(&caller)), warning: caller.warning }))
    }
}

#[tool_handler(
    name = "grantcore-server",
    instructions = "A note pad per user, shared by all applications that the user connected. An \
                    application that acts without a user has a note pad of its own."
)]
impl ServerHandler for Tools {}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::to_bytes;
    use axum::http::header;
    use grantcore::value::{ClientId, Subject};
    use serde_json::{Value, json};
    use tower::ServiceExt;

    use super::*;
    use crate::payment::{Drawn, Payment};
    use crate::store::{AnyLedger, Ledger as _};

    fn call_of(subject: &str, payment: Payment) -> Call {
        let caller = Identity {
            subject: Some(Subject::new(subject)),
            client_id: ClientId::new("c1").unwrap(),
            scopes: vec!["notes".to_owned()],
            organization: None,
            warning: None,
        };
        Call { caller, signed_in: None, payment }
    }

    /// Returns a call that is not billed.
    fn free_call() -> Call {
        call_of("alice", Payment::by("alice", false, AnyLedger::memory()))
    }

    fn app() -> Router {
        Router::new().route_service("/mcp", McpService::new(CancellationToken::new()))
    }

    fn request(host: &str, method: &str, params: &Value) -> Request {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        Request::post("/mcp")
            .header(header::HOST, host)
            .header(header::ACCEPT, "application/json, text/event-stream")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .unwrap()
    }

    async fn call(app: &Router, subject: &str, tool: &str, arguments: Value) -> Value {
        let ledger = AnyLedger::memory();
        ledger.add_account(subject, 1).await.unwrap();
        call_by(app, &Payment::by(subject, false, ledger), subject, tool, arguments).await
    }

    async fn call_by(
        app: &Router,
        payment: &Payment,
        subject: &str,
        tool: &str,
        arguments: Value,
    ) -> Value {
        let params = json!({"name": tool, "arguments": arguments});
        let mut request = request("127.0.0.1:8080", "tools/call", &params);
        request.extensions_mut().insert(call_of(subject, payment.clone()));
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let mut answer: Value = serde_json::from_slice(&body).unwrap();
        answer["result"].take()
    }

    #[tokio::test]
    async fn a_tool_knows_who_calls() {
        let result = call(&app(), "alice", "whoami", json!({})).await;
        let expected = json!({"subject": "alice", "client_id": "c1", "scopes": ["notes"]});
        assert_eq!(result["structuredContent"], expected);
    }

    #[tokio::test]
    async fn every_tool_passes_a_warning_on() {
        let app = app();
        for (tool, arguments) in
            [("whoami", json!({})), ("note_add", json!({"text": "x"})), ("note_list", json!({}))]
        {
            let ledger = AnyLedger::memory();
            ledger.add_account("alice", 6).await.unwrap();
            let payment = Payment::by("alice", true, ledger);
            let result = call_by(&app, &payment, "alice", tool, arguments.clone()).await;
            let warning = result["structuredContent"]["warning"].as_str().unwrap();
            assert!(warning.contains("is low: 5 left"), "{tool}: {warning}");
            let result = call(&app, "alice", tool, arguments).await;
            assert_eq!(result["structuredContent"].get("warning"), None, "{tool}");
        }
    }

    /// Wrong arguments, unknown tools and an empty balance do nothing. A call that was not accepted
    /// is not paid.
    #[tokio::test]
    async fn f04_a_tool_is_paid_once_it_has_its_arguments_and_before_it_works() {
        let app = app();
        let ledger = AnyLedger::memory();
        ledger.add_account("alice", 1).await.unwrap();
        let payment = || Payment::by("alice", false, ledger.clone());
        for (tool, arguments) in [
            ("note_add", json!({})),
            ("note_add", json!({"text": 1})),
            ("note_take", json!({})),
            ("", json!({})),
        ] {
            let refused = payment();
            call_by(&app, &refused, "alice", tool, arguments).await;
            assert_eq!(refused.drawn(), None, "{tool}");
        }
        let paid = payment();
        call_by(&app, &paid, "alice", "note_add", json!({"text": "x"})).await;
        assert_eq!(paid.drawn(), Some(Drawn::Left(0)));
        let unpaid = payment();
        let result = call_by(&app, &unpaid, "alice", "note_add", json!({"text": "y"})).await;
        assert_eq!((unpaid.drawn(), result), (Some(Drawn::Insufficient), Value::Null));
        let notes = call(&app, "alice", "note_list", json!({})).await;
        assert_eq!(notes["structuredContent"]["notes"], json!(["x"]));
    }

    #[tokio::test]
    async fn a_request_without_an_identity_is_refused() {
        for method in ["initialize", "tools/list", "ping"] {
            let request = request("127.0.0.1", method, &json!({}));
            let response = app().oneshot(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        }
    }

    #[test]
    fn no_tool_sees_the_token() {
        let mut request = request("127.0.0.1", "ping", &json!({}));
        request.extensions_mut().insert(free_call());
        request.headers_mut().insert(AUTHORIZATION, "Bearer SECRET".parse().unwrap());
        let request = without_token(request).unwrap();
        assert!(!request.headers().contains_key(AUTHORIZATION));
    }

    #[tokio::test]
    async fn there_are_no_sessions_and_no_streams() {
        let client = json!({"name": "test", "version": "1"});
        let params =
            json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
        let mut initialize = request("127.0.0.1", "initialize", &params);
        initialize.extensions_mut().insert(free_call());
        let response = app().oneshot(initialize).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        assert!(!response.headers().contains_key("mcp-session-id"));

        let mut stream = request("127.0.0.1", "ping", &json!({}));
        *stream.method_mut() = Method::GET;
        stream.extensions_mut().insert(free_call());
        let response = app().oneshot(stream).await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    }

    #[tokio::test]
    async fn notes_belong_to_their_user_and_are_bounded() {
        let app = app();
        for number in 0..40 {
            call(&app, "alice", "note_add", json!({"text": number.to_string()})).await;
        }
        let result = call(&app, "alice", "note_list", json!({})).await;
        let kept: Vec<_> = (8..40).map(|number| number.to_string()).collect();
        assert_eq!(result["structuredContent"]["notes"], json!(kept));
        let result = call(&app, "bob", "note_list", json!({})).await;
        assert_eq!(result["structuredContent"]["notes"], json!([]));

        for text in [String::new(), "x".repeat(501)] {
            let result = call(&app, "bob", "note_add", json!({"text": text})).await;
            assert_eq!(result["isError"], true);
        }
        for number in 1..NotePad::PADS {
            call(&app, &number.to_string(), "note_add", json!({"text": "x"})).await;
        }
        let add = async |subject| call(&app, subject, "note_add", json!({"text": "x"})).await;
        assert_eq!(add("one too many").await["isError"], true);
        assert_eq!(add("alice").await["isError"], false);
    }
}
