//! Where this server is mounted: the path of the issuer, which every outside address begins with.
//!
//! Handlers, sessions and templates use addresses of the router, such as `/login`. This module
//! writes them for the outside, in one place: the filter `path` in the links and forms of a page,
//! and the `Location` of a redirect to an own page. A page is rendered here too, after its handler,
//! so that no handler has to know the prefix. Addresses of the library (endpoints, documents,
//! resources) are whole URLs and carry the prefix already.

use std::sync::Arc;

use askama::{DynTemplate, Values};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

/// The name under which the templates' filter finds the site.
const SITE: &str = "site";

/// The path under which the server is reached: empty, or like `/auth`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Site(Arc<str>);

impl Site {
    /// `prefix` is empty, or begins with a slash and does not end with one.
    pub(crate) fn new(prefix: &str) -> Self {
        Self(prefix.into())
    }

    /// The prefix: empty, or like `/auth`.
    pub(crate) fn prefix(&self) -> &str {
        &self.0
    }

    /// The path of the cookies: whatever is below the prefix, and the prefix itself.
    pub(crate) fn cookie_path(&self) -> &str {
        if self.0.is_empty() { "/" } else { &self.0 }
    }

    /// The outside address of one of the router's.
    pub(crate) fn path(&self, own: &str) -> String {
        format!("{}{own}", self.0)
    }
}

impl Values for Site {
    fn get_value<'a>(&'a self, key: &str) -> Option<&'a dyn std::any::Any> {
        (key == SITE).then_some(self)
    }
}

/// The filters of the templates.
#[allow(
    unreachable_pub,
    clippy::inline_always,
    clippy::unused_self,
    clippy::unnecessary_wraps,
    reason = "the macro's form of a filter"
)]
pub(crate) mod filters {
    use std::fmt::Display;

    use super::{SITE, Site};

    /// Writes an address of the router as the outside sees it. A link or form without this filter
    /// leaves the server when the issuer has a path; a test looks for one.
    #[askama::filter_fn]
    pub(crate) fn path(own: impl Display, values: &dyn askama::Values) -> askama::Result<String> {
        let site = askama::get_value::<Site>(values, SITE).ok();
        Ok(format!("{}{own}", site.map_or("", Site::prefix)))
    }

    /// Writes a name for people: without the characters that nobody sees or that reorder others.
    /// Form fields carry the name as it is.
    #[askama::filter_fn]
    pub(crate) fn shown(name: impl Display, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(grantcore::display_text(&name.to_string()))
    }
}

/// A page that waits for [`finish`] to be rendered.
#[derive(Clone)]
pub(crate) struct Unrendered(pub(crate) Arc<dyn DynTemplate + Send + Sync>);

/// Renders the page of a response, and writes the target of a redirect to an own page.
pub(crate) async fn finish(State(site): State<Site>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Some(location) = response.headers().get(LOCATION).and_then(|own| outside(&site, own)) {
        response.headers_mut().insert(LOCATION, location);
    }
    if let Some(Unrendered(page)) = response.extensions_mut().remove::<Unrendered>() {
        match page.dyn_render_with_values(&site) {
            Ok(html) => {
                // A router within the router has counted the empty body.
                response.headers_mut().remove(CONTENT_LENGTH);
                *response.body_mut() = Body::from(html);
            }
            Err(error) => {
                tracing::error!(%error, "a page could not be rendered");
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            }
        }
    }
    response
}

/// The target of a redirect to an own page; `None` for a URL with a host of its own.
fn outside(site: &Site, location: &HeaderValue) -> Option<HeaderValue> {
    let own = location.to_str().ok()?;
    let is_own = own.starts_with('/') && !own.starts_with("//");
    let target = is_own.then(|| site.path(own))?;
    HeaderValue::from_str(&target).ok()
}
