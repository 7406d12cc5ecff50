//! The guard in front of each protected resource: it checks the access token and the balance.
//!
//! A billed call costs one unit of the user's balance, which all applications share. The check
//! refuses the call if the balance is empty. The resource draws the unit after it accepted the call
//! and before it does the work. If the draw fails, the guard refuses the call.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Json;
use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use grantcore::reason::Endpoint;
use grantcore::value::Subject;
use grantcore::{Access, Authorization, Needs, Reason, Refusal, Timestamp};
use grantcore_axum::{Source, allow_cross_origin, cors};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::json;
use tower::{Layer, Service, ServiceExt as _};

use super::authorize::{BodyError, read};
use crate::app::{App, respond};
use crate::call::{Call, Identity};
use crate::organizations;
use crate::pages::ForApplications;
use crate::pages::answer::is_opened;
use crate::payment::{Drawn, Payment};

/// The header with the rest of a low balance.
const LOW_BALANCE: HeaderName = HeaderName::from_static("x-low-balance");
/// The headers that pages of other origins may read: those of the library, and that of the balance.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "retry-after,www-authenticate,mcp-session-id,x-correlation-id,x-low-balance",
);

/// A protected resource, with the scope that it requires and the calls that are billed.
pub(crate) struct Guarded {
    pub(crate) app: Arc<App>,
    /// The identifier of the resource: its URL.
    pub(crate) resource: String,
    /// What a free call needs.
    pub(crate) free: Needs,
    /// What a call needs that costs something.
    pub(crate) paid: Needs,
    pub(crate) billed: Billed,
}

/// Which calls are billed.
#[derive(Clone, Copy)]
pub(crate) enum Billed {
    All,
    None,
    /// Calls of MCP tools. Other MCP messages, such as discovery, are free.
    Tools,
}

/// The layer of a protected resource: it checks the access token and the balance of a call, and
/// passes the [`Call`] on. Web pages of any origin may call it.
#[derive(Clone)]
pub(crate) struct Guard(pub(crate) Arc<Guarded>);

impl<S> Layer<S> for Guard {
    type Service = GuardService<S>;

    fn layer(&self, inner: S) -> GuardService<S> {
        GuardService { guarded: Arc::clone(&self.0), inner }
    }
}

/// The service of the layer [`Guard`].
#[derive(Clone)]
pub(crate) struct GuardService<S> {
    guarded: Arc<Guarded>,
    inner: S,
}

impl<S> Service<Request> for GuardService<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let guarded = Arc::clone(&self.guarded);
        // `poll_ready` was called on `self.inner`: a clone of it may not be ready.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            if request.method() == Method::OPTIONS {
                // On the heap: it is rare, and large.
                return Box::pin(preflight(request)).await;
            }
            let mut response = guarded.answer(request, &mut inner).await;
            allow_cross_origin(response.headers_mut());
            response.headers_mut().insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
            Ok(response)
        })
    }
}

/// Answers what a browser asks before it sends a page's request.
async fn preflight(request: Request) -> Result<Response, Infallible> {
    // The layer answers by itself.
    let never_called = tower::service_fn(async |_| Ok(Response::default()));
    cors().layer(never_called).oneshot(request).await
}

impl Guarded {
    /// Answers a call, with the response of the resource if the call may reach it.
    async fn answer<S>(&self, request: Request, resource: &mut S) -> Response
    where
        S: Service<Request, Response = Response, Error = Infallible>,
    {
        let Self { app, free, paid, billed, .. } = self;
        let (parts, body) = request.into_parts();
        let (is_billed, body) = billed.of(body).await;
        let values = parts.headers.get_all(header::AUTHORIZATION);
        let authorization: Authorization<'_> = values.iter().map(HeaderValue::as_bytes).collect();
        let needs = if is_billed { paid } else { free };
        let access = match app.oauth.check(&authorization, needs).await {
            Ok(access) => access,
            Err(error) => {
                let refused = app.reply(Err(error));
                return if is_opened(&parts.method, &parts.headers) {
                    self.explained(&refused)
                } else {
                    refused
                };
            }
        };
        let body = match body {
            Ok(body) => body,
            Err(BodyError::TooLarge) => {
                return unread(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large.");
            }
            Err(BodyError::Broken) => {
                return unread(StatusCode::BAD_REQUEST, "The body did not arrive whole.");
            }
        };
        let warns = access.warnings().next().is_some();
        let ledger = app.oauth.store().ledger().clone();
        // Without a payer no billed call gets here, and nothing can be drawn.
        let payer = access.payer().map(Subject::as_str).unwrap_or_default();
        let payment = Payment::by(payer, warns, ledger);
        let source = parts.extensions.get::<Source>().copied();
        let mut request = Request::from_parts(parts, body);
        let signed_in = access.auth_time().map(Timestamp::unix_seconds);
        let call = Call { caller: identity(&access), signed_in, payment: payment.clone() };
        request.extensions_mut().insert(call);
        let mut response = match resource.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let reason = match payment.drawn() {
            // The balance was not empty when it was checked, but another call drew the last unit.
            Some(Drawn::Insufficient) => Reason::BalanceInsufficient,
            Some(Drawn::Unavailable) => Reason::StorageUnavailable,
            Some(Drawn::Left(_)) | None => {
                if let Some(left) = payment.low() {
                    response.headers_mut().insert(LOW_BALANCE, left.into());
                }
                return response;
            }
        };
        let refusal = Refusal::plain(reason, Endpoint::Resource);
        let source = source.map(Source::network_text).unwrap_or_default();
        respond(app.oauth.refuse(refusal, Some(&access), &source).await.reply(app.oauth.policy()))
    }
}

fn identity(access: &Access) -> Identity {
    Identity {
        subject: access.subject().cloned(),
        client_id: access.client_id().clone(),
        scopes: access.scope().map(Into::into).collect(),
        organization: organizations::bound(access.properties()),
        warning: None,
    }
}

impl Guarded {
    /// Returns the refusal with a page for a person who opened the address in a browser.
    fn explained(&self, refused: &Response) -> Response {
        let kind = match self.billed {
            Billed::All | Billed::None => "an API",
            Billed::Tools => "an MCP endpoint",
        };
        let name = self.app.resource_name(&self.resource).to_owned();
        ForApplications { name, kind, url: self.resource.clone() }.in_place_of(refused)
    }
}

impl Billed {
    /// Returns whether a call with this body is billed, and the body, or why it was not read.
    async fn of(self, body: Body) -> (bool, Result<Body, BodyError>) {
        match self {
            // It calls no tool.
            Self::Tools if body.is_end_stream() => (false, Ok(body)),
            Self::All => (true, Ok(body)),
            Self::None => (false, Ok(body)),
            Self::Tools => match read(body).await {
                Ok(bytes) => (calls_tool(&bytes), Ok(bytes.into())),
                Err(unread) => (false, Err(unread)),
            },
        }
    }
}

/// Returns whether a JSON-RPC message, or any message of a batch, calls a tool. Invalid JSON calls
/// no tool, because the transport refuses it.
fn calls_tool(body: &[u8]) -> bool {
    serde_json::from_slice(body).is_ok_and(|Messages { call_tool }| call_tool)
}

/// The part of JSON-RPC messages that decides whether a call is billed.
///
/// If a message has several `method` members, each of them counts. Parsers differ in which one they
/// take, and a call must not be free by that difference.
struct Messages {
    call_tool: bool,
}

impl<'de> Deserialize<'de> for Messages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrSeveral;
        impl<'de> Visitor<'de> for OneOrSeveral {
            type Value = Messages;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON-RPC message or several")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut message: A) -> Result<Messages, A::Error> {
                let mut call_tool = false;
                while let Some(name) = message.next_key::<String>()? {
                    if name == "method" {
                        call_tool |= message.next_value::<serde_json::Value>()? == "tools/call";
                    } else {
                        message.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Messages { call_tool })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut messages: A) -> Result<Messages, A::Error> {
                let mut call_tool = false;
                while let Some(message) = messages.next_element::<Messages>()? {
                    call_tool |= message.call_tool;
                }
                Ok(Messages { call_tool })
            }
        }
        deserializer.deserialize_any(OneOrSeveral)
    }
}

/// Returns the error of a call whose body could not be read.
fn unread(status: StatusCode, description: &str) -> Response {
    let body = json!({ "error": "invalid_request", "error_description": description });
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_calls_of_tools_are_billed_in_every_spelling() {
        for billed in [
            r#"{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "whoami"}}"#,
            r#"{"params": {}, "method": "tools\/call"}"#,
            r#"{"m\u0065thod": "tools/call"}"#,
            r#"{"method": "tools/call", "method": "ping"}"#,
            r#"{"method": "ping", "method": "tools/call"}"#,
            r#"[{"method": "ping"}, {"method": "tools/call"}]"#,
        ] {
            assert!(calls_tool(billed.as_bytes()), "{billed}");
        }
        for free in [
            r#"{"jsonrpc": "2.0", "id": 1, "method": "initialize",
                "params": {"method": "tools/call"}}"#,
            r#"{"method": "tools/list"}"#,
            r#"{"jsonrpc": "2.0", "id": 1, "result": {}}"#,
            r#"{"method": ["tools/call"]}"#,
            r#""tools/call""#,
            r#"{"method": "tools/call""#,
            "",
            "\u{feff}{}",
        ] {
            assert!(!calls_tool(free.as_bytes()), "{free}");
        }
        let deep = "[".repeat(60_000);
        assert!(!calls_tool(deep.as_bytes()), "the depth is bounded");
    }

    #[tokio::test]
    async fn the_body_is_passed_on_unchanged() {
        let text = r#"{"method":"tools/call"}"#;
        let (is_billed, body) = Billed::Tools.of(text.into()).await;
        assert!(is_billed);
        assert_eq!(read(body.unwrap()).await.unwrap(), text.as_bytes());
        let (is_billed, body) = Billed::Tools.of(vec![b' '; 64 * 1024 + 1].into()).await;
        assert!(!is_billed && body.err() == Some(BodyError::TooLarge));
        let (is_billed, body) = Billed::All.of("x".into()).await;
        assert!(is_billed);
        assert_eq!(read(body.unwrap()).await.unwrap(), b"x");
    }
}
