//! The routes of the metadata documents (RFC 8414, RFC 9728).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use grantcore::Policy;
use grantcore::response::WellKnown;

use crate::cors::cors;
use crate::router::{RouterError, Routes, escape, path_of, respond};

/// Returns a router with the metadata documents of the policy's resources, without that of the
/// authorization server.
#[cfg(feature = "introspection")]
pub(crate) fn resource_documents(policy: &Policy) -> Result<Router, RouterError> {
    let documents = policy.well_known().into_iter().filter(is_of_resource);
    mount(documents, policy, &mut Routes::default())
}

/// Returns a router with the documents of the authorization server, and with those of its resources
/// if `resources` is set.
pub(crate) fn documents(
    policy: &Policy,
    resources: bool,
    taken: &mut Routes,
) -> Result<Router, RouterError> {
    let documents = policy.well_known().into_iter().filter(|own| resources || !is_of_resource(own));
    mount(documents, policy, taken)
}

fn is_of_resource(document: &WellKnown) -> bool {
    path_of(&document.url).starts_with("/.well-known/oauth-protected-resource")
}

/// The documents at one path.
struct Documents {
    all: Vec<WellKnown>,
    /// If one of the documents is of a template.
    policy: Option<Policy>,
}

/// Mounts metadata documents. Resources on different hosts can have their documents at the same
/// path. The host of the request then selects one.
fn mount(
    documents: impl IntoIterator<Item = WellKnown>,
    policy: &Policy,
    taken: &mut Routes,
) -> Result<Router, RouterError> {
    let mut by_path: BTreeMap<String, Vec<WellKnown>> = BTreeMap::new();
    for document in documents {
        by_path.entry(route(&document)).or_default().push(document);
    }
    let mut router = Router::new().without_v07_checks();
    for (route, all) in by_path {
        let Some(first) = all.first() else { continue };
        let path = taken.claim_route(&first.url, route)?;
        let policy = all.iter().any(WellKnown::is_pattern).then(|| policy.clone());
        let documents = Arc::new(Documents { all, policy });
        let answer =
            move |uri: Uri, headers: HeaderMap| async move { documents.find(&uri, &headers) };
        router = router.route(&path, get(answer));
    }
    // Not on the fallback: a router that merges this one would take it over for all its paths.
    Ok(router.route_layer(cors()))
}

/// Returns the path of a document as a route of axum. The variables of a template are parameters,
/// named by their position, so that templates of different hosts can share a route.
fn route(document: &WellKnown) -> String {
    let path = path_of(&document.url);
    if !document.is_pattern() {
        return escape(path);
    }
    let segments = path.split('/').enumerate().map(|(position, segment)| {
        if segment.starts_with('{') { format!("{{v{position}}}") } else { segment.to_owned() }
    });
    segments.collect::<Vec<_>>().join("/")
}

impl Documents {
    /// Returns the document for the host of the request. If there is none, returns the first that
    /// is of one resource.
    fn find(&self, uri: &Uri, headers: &HeaderMap) -> Response {
        // HTTP/2 has `:authority` in place of `Host`.
        let host = uri.authority().map(Authority::as_str);
        let host = host.or_else(|| headers.get(HOST)?.to_str().ok()).unwrap_or_default();
        let mut fixed = self.all.iter().filter(|document| !document.is_pattern());
        let of_host = fixed.clone().find(|own| authority_of(&own.url).eq_ignore_ascii_case(host));
        if let Some(document) = of_host {
            return respond(document.reply.clone());
        }
        if let Some(reply) = self.of_template(host, uri.path()) {
            return respond(reply);
        }
        match fixed.next() {
            Some(document) => respond(document.reply.clone()),
            None => StatusCode::NOT_FOUND.into_response(),
        }
    }

    /// Returns the document of an instance of a template.
    fn of_template(&self, host: &str, path: &str) -> Option<grantcore::Reply> {
        let policy = self.policy.as_ref()?;
        self.all.iter().filter(|document| document.is_pattern()).find_map(|document| {
            let (scheme, _) = document.url.split_once("://")?;
            policy.resource_document(&format!("{scheme}://{host}{path}"))
        })
    }
}

/// Returns the authority of a URL.
fn authority_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}
