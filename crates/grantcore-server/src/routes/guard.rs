//! The guard in front of each protected resource: whose call it is, and whether their account pays
//! for it.
//!
//! A billed call costs one unit of the user's one balance, whichever application makes it. The check
//! refuses it when there is nothing left. The unit is drawn by the resource, once it has accepted
//! the call and before it works for it; the guard answers for a call that could not pay then.

use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use grantcore::{Access, Authorization, Endpoint, Needs, Reason, Refusal};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::authorize::{Unread, read};
use crate::app::{App, respond};
use crate::mcp::Identity;
use crate::payment::{Drawn, Payment};

/// How much is left, where that is little.
pub(crate) const LOW_BALANCE: HeaderName = HeaderName::from_static("x-low-balance");

/// What the calls of a route need, and which of them cost something.
pub(crate) struct Guarded {
    pub(crate) app: Arc<App>,
    /// What a free call needs.
    pub(crate) free: Needs,
    /// What a call needs that costs something.
    pub(crate) paid: Needs,
    pub(crate) billed: Billed,
}

/// Which calls cost something.
#[derive(Clone, Copy)]
pub(crate) enum Billed {
    All,
    /// MCP's calls of tools, and not what clients say to find them.
    Tools,
}

/// Lets a call through whose access token is good for this resource and whose account pays, and
/// says whose it is.
pub(crate) async fn guard(
    State(guarded): State<Arc<Guarded>>,
    request: Request,
    next: Next,
) -> Response {
    let Guarded { app, free, paid, billed } = &*guarded;
    let (parts, body) = request.into_parts();
    let (is_billed, body) = billed.of(body).await;
    let values = parts.headers.get_all(header::AUTHORIZATION);
    let authorization: Authorization<'_> = values.iter().map(HeaderValue::as_bytes).collect();
    let needs = if is_billed { paid } else { free };
    let access = match app.oauth.check(&authorization, needs).await {
        Ok(access) => access,
        Err(error) => return app.reply(Err(error)),
    };
    let body = match body {
        Ok(body) => body,
        Err(Unread::TooLarge) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Err(Unread::Broken) => return StatusCode::BAD_REQUEST.into_response(),
    };
    let warns = access.warnings().next().is_some();
    let ledger = app.oauth.store().ledger().clone();
    let payment = Payment::by(access.subject().as_str(), warns, ledger);
    let mut request = Request::from_parts(parts, body);
    request.extensions_mut().insert(identity(&access));
    request.extensions_mut().insert(payment.clone());
    let mut response = next.run(request).await;
    let reason = match payment.drawn() {
        // There was something when it was checked; another call was faster.
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
    respond(app.oauth.refuse(refusal, Some(&access)).await.reply(app.oauth.policy()))
}

fn identity(access: &Access) -> Identity {
    Identity {
        subject: access.subject().to_string(),
        client_id: access.client_id().to_string(),
        scopes: access.scope().map(Into::into).collect(),
        warning: None,
    }
}

impl Billed {
    /// Whether a call with this body costs something, and the body again, or why it was not read.
    async fn of(self, body: Body) -> (bool, Result<Body, Unread>) {
        match self {
            Self::All => (true, Ok(body)),
            Self::Tools => match read(body).await {
                Ok(bytes) => (calls_tool(&bytes), Ok(bytes.into())),
                Err(unread) => (false, Err(unread)),
            },
        }
    }
}

/// Whether a JSON-RPC message, or any one of several, calls a tool. What is no JSON calls nothing:
/// the transport refuses it.
fn calls_tool(body: &[u8]) -> bool {
    serde_json::from_slice(body).is_ok_and(|Messages { call_tool }| call_tool)
}

/// JSON-RPC messages, as far as their price goes by them. Every `method` counts, of a message that
/// has several too: which of them another parser takes is not to decide whether the call is free.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_calls_of_tools_cost_something_however_they_are_written() {
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
            r#"{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"method": "tools/call"}}"#,
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
    async fn the_body_is_put_back_as_it_was() {
        let text = r#"{"method":"tools/call"}"#;
        let (is_billed, body) = Billed::Tools.of(text.into()).await;
        assert!(is_billed);
        assert_eq!(read(body.unwrap()).await.unwrap(), text.as_bytes());
        let (is_billed, body) = Billed::Tools.of(vec![b' '; 64 * 1024 + 1].into()).await;
        assert!(!is_billed && body.err() == Some(Unread::TooLarge));
        let (is_billed, body) = Billed::All.of("x".into()).await;
        assert!(is_billed);
        assert_eq!(read(body.unwrap()).await.unwrap(), b"x");
    }
}
