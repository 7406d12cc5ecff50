//! Responses that no handler makes: the framework's refusals of a form, a query or a method at the
//! address of a page, and the end of a request that takes too long.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use grantcore::Reason;

use crate::app::{App, source_of};
use crate::pages::{Notice, Page};
use crate::site::{Site, Unrendered};

/// The first segments of the addresses of pages. Their responses have no cross-origin access
/// (AUTHZ-24).
const PAGES: [&str; 7] = ["login", "logout", "settings", "admin", "troubleshooting", "assets", ""];
/// The pages of the authorization endpoint.
const OF_REQUESTS: [&str; 4] = ["authorize", "consent", "continue", "switch"];

/// Returns whether this is the address of a page, or below one.
pub(crate) fn is_page(site: &Site, path: &str) -> bool {
    let below = path.strip_prefix(site.prefix());
    let Some(own) = below.filter(|own| own.is_empty() || own.starts_with('/')) else {
        return false;
    };
    let mut segments = own.trim_start_matches('/').split('/');
    match (segments.next().unwrap_or_default(), segments.next()) {
        ("oauth", Some(second)) => OF_REQUESTS.contains(&second),
        (first, _) => PAGES.contains(&first),
    }
}

/// Puts a page in the place of a refusal that the framework made, as plain text or without a body.
pub(super) async fn as_pages(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    let source = source_of(request.extensions());
    let response = next.run(request).await;
    let status = response.status();
    let is_page = response.extensions().get::<Unrendered>().is_some();
    if is_page || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let reason = match status {
        StatusCode::PAYLOAD_TOO_LARGE => Reason::RequestTooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Reason::ContentType,
        StatusCode::METHOD_NOT_ALLOWED => Reason::MethodNotAllowed,
        status if status.is_server_error() => {
            let message = "The server cannot answer now. Try again later.";
            return (status, Page(Notice::new("Not now", message))).into_response();
        }
        _ => Reason::RequestUndecodable,
    };
    let mut page = app.refuse(reason, &source).await;
    // The framework adds the methods of this address to a response that names none.
    match response.headers().get(header::ALLOW) {
        Some(methods) => _ = page.headers_mut().insert(header::ALLOW, methods.clone()),
        None => _ = page.headers_mut().remove(header::ALLOW),
    }
    page
}

/// Returns the page of a request that took too long.
pub(super) async fn late_page(response: Response) -> Response {
    if response.status() != StatusCode::REQUEST_TIMEOUT {
        return response;
    }
    let message = "Your request did not arrive in time. Go back and try again.";
    let page = Page(Notice::new("This took too long", message));
    (StatusCode::REQUEST_TIMEOUT, [CLOSE], page).into_response()
}

/// Returns the error of a request that took too long. Pages of other origins can read it: it is
/// made outside of the layers of the routes.
pub(super) fn late_error() -> Response {
    let body = serde_json::json!({
        "error": "invalid_request",
        "error_description": "The request did not arrive in time.",
    });
    (StatusCode::REQUEST_TIMEOUT, [CLOSE], ERROR_HEADERS, Json(body)).into_response()
}

/// The headers of an error for programs.
const ERROR_HEADERS: [(HeaderName, HeaderValue); 3] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::PRAGMA, HeaderValue::from_static("no-cache")),
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
];
/// The rest of the request may still arrive.
const CLOSE: (HeaderName, HeaderValue) = (header::CONNECTION, HeaderValue::from_static("close"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authz_24_pages_are_distinguished_from_the_endpoints_of_programs() {
        let root = Site::default();
        for page in [
            "",
            "/",
            "/login",
            "/login/provider",
            "/login/stay",
            "/logout",
            "/settings/connected-apps/x/disconnect",
            "/admin",
            "/admin/act",
            "/oauth/authorize",
            "/oauth/consent",
            "/oauth/continue",
            "/oauth/switch",
            "/troubleshooting",
            "/assets/style.css",
        ] {
            assert!(is_page(&root, page), "{page}");
        }
        for other in [
            "/oauth/token",
            "/oauth/register/x",
            "/oauth/revoke",
            "/oauth/introspect",
            "/oauth",
            "/mcp",
            "/.well-known/oauth-authorization-server",
            "/nowhere",
        ] {
            assert!(!is_page(&root, other), "{other}");
        }
        let mounted = Site::new("/auth", "");
        for (path, expected) in [
            ("/auth", true),
            ("/auth/", true),
            ("/auth/login", true),
            ("/auth/oauth/consent", true),
            ("/authlogin", false),
            ("/login", false),
            ("/auth/oauth/token", false),
        ] {
            assert_eq!(is_page(&mounted, path), expected, "{path}");
        }
    }
}
