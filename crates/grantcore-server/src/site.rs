//! The data that all pages have in common: the name of the server, and the path of the issuer, with
//! which all public paths begin.
//!
//! Handlers, sessions and templates use paths of the router, such as `/login`. This module adds the
//! prefix in one place: with the filter `path` in the links and forms of a page, and in the
//! `Location` of a redirect to a page of this server. A page is rendered here too, after its
//! handler, so that no handler depends on the prefix. Addresses of the library (endpoints,
//! documents, resources) are whole URLs, which have the prefix already.

use std::sync::Arc;

use askama::{DynTemplate, Values};
use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

/// The name of the value in which the filter of the templates finds the site.
const SITE: &str = "site";

/// The name of the server, and the path that it is mounted at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Site {
    /// Empty, or for example `/auth`.
    prefix: Arc<str>,
    name: Arc<str>,
    is_demo: bool,
}

impl Site {
    /// Returns the site of this prefix with this name. The prefix is empty, or begins with a slash
    /// and does not end with one.
    pub(crate) fn new(prefix: &str, name: &str) -> Self {
        Self { prefix: prefix.into(), name: name.into(), is_demo: false }
    }

    /// Sets the name.
    pub(crate) fn named(self, name: &str) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Marks the server as the demonstration.
    pub(crate) fn demo(self) -> Self {
        Self { is_demo: true, ..self }
    }

    /// Returns the name of the server for people.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether it is the demonstration.
    pub(crate) fn is_demo(&self) -> bool {
        self.is_demo
    }

    /// Returns the prefix: empty, or for example `/auth`.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the `Path` of cookies, which covers the prefix and all paths below it.
    pub(crate) fn cookie_path(&self) -> &str {
        if self.prefix.is_empty() { "/" } else { &self.prefix }
    }

    /// Returns the public path of a path of the router.
    pub(crate) fn path(&self, own: &str) -> String {
        format!("{}{own}", self.prefix)
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

    /// Writes the public path of a path of the router. If the issuer has a path, a link or form
    /// without this filter leads out of the server. A test looks for such links.
    #[askama::filter_fn]
    pub(crate) fn path(own: impl Display, values: &dyn askama::Values) -> askama::Result<String> {
        let site = askama::get_value::<Site>(values, SITE).ok();
        Ok(format!("{}{own}", site.map_or("", Site::prefix)))
    }

    /// Writes the name of the server, as the operator chose it.
    #[askama::filter_fn]
    pub(crate) fn server(_: impl Display, values: &dyn askama::Values) -> askama::Result<String> {
        let site = askama::get_value::<Site>(values, SITE).ok();
        Ok(grantcore::value::display_text(site.map_or("", Site::name)))
    }

    /// Writes these words if the server is the demonstration, and nothing otherwise.
    #[askama::filter_fn]
    pub(crate) fn in_demo(
        words: impl Display,
        values: &dyn askama::Values,
    ) -> askama::Result<String> {
        let is_demo = askama::get_value::<Site>(values, SITE).is_ok_and(Site::is_demo);
        Ok(if is_demo { words.to_string() } else { String::new() })
    }

    /// Writes a name for people, without characters that are invisible or that reorder others. Form
    /// fields have the name as it is.
    #[askama::filter_fn]
    pub(crate) fn shown(name: impl Display, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(grantcore::value::display_text(&name.to_string()))
    }
}

/// A page that [`finish`] renders. It is an extension of its response.
#[derive(Clone)]
pub(crate) struct Unrendered(pub(crate) Arc<dyn DynTemplate + Send + Sync>);

/// Renders the page of a response, and adds the prefix to the target of a redirect to a page of
/// this server.
pub(crate) fn finish(site: &Site, mut response: Response) -> Response {
    if let Some(location) = response.headers().get(LOCATION).and_then(|own| outside(site, own)) {
        response.headers_mut().insert(LOCATION, location);
    }
    if let Some(Unrendered(page)) = response.extensions_mut().remove::<Unrendered>() {
        match page.dyn_render_with_values(site) {
            Ok(html) => {
                // The router has set the length of the empty body.
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

/// Returns the public `Location` of a redirect to a page of this server, or `None` for a URL with a
/// host.
fn outside(site: &Site, location: &HeaderValue) -> Option<HeaderValue> {
    let own = location.to_str().ok()?;
    let is_own = own.starts_with('/') && !own.starts_with("//");
    let target = is_own.then(|| site.path(own))?;
    HeaderValue::from_str(&target).ok()
}
