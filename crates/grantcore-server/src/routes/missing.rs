//! Requests to unknown addresses. A resource called with additional slashes is served, and so is
//! its metadata document. Any other address is answered with the addresses of the metadata.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::extract::{OriginalUri, Request, State};
use axum::http::uri::PathAndQuery;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tower::ServiceExt as _;

use grantcore_axum::cors;

use super::path_of;
use crate::app::App;
use crate::pages::answer::{Answer, shown};

/// Returns the fallback of the router. `resources` are the routes of the protected resources and of
/// the metadata documents.
pub(crate) fn fallback(app: &Arc<App>, resources: Router) -> Router {
    // The client may be a page of another origin, and must be able to read the response.
    let nowhere = Router::new().fallback(not_found).layer(cors()).with_state(Arc::clone(app));
    let documents = app.oauth.policy().well_known();
    let documents = documents.iter().map(|own| path_of(&own.url).to_owned()).collect();
    let state = Arc::new(Missing { app: Arc::clone(app), resources, documents, nowhere });
    Router::new().fallback(resource_or_nothing).with_state(state)
}

struct Missing {
    app: Arc<App>,
    resources: Router,
    /// The paths of the metadata documents.
    documents: BTreeSet<String>,
    nowhere: Router,
}

/// Serves a resource whose address has additional slashes, because users append one when they
/// configure a client (F19). The challenge and the tokens are those of the resource without the
/// slash. Such a client looks for the metadata document with the slash as well.
async fn resource_or_nothing(
    State(missing): State<Arc<Missing>>,
    mut request: Request,
) -> Response {
    let path = without_empty_segments(request.uri().path());
    let mut own =
        missing.app.oauth.policy().resources().iter().map(|own| path_of(own.identifier()));
    let is_own = own.any(|own| own == path) || missing.documents.contains(&path);
    let target =
        if is_own && path != request.uri().path() { with_path(request.uri(), &path) } else { None };
    let router = match target {
        Some(target) => {
            *request.uri_mut() = target;
            &missing.resources
        }
        None => &missing.nowhere,
    };
    router.clone().oneshot(request).await.into_response()
}

/// Returns the path without empty segments: `/a/b` for `//a///b/`.
fn without_empty_segments(path: &str) -> String {
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .flat_map(|segment| ["/", segment])
        .collect()
}

fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    Uri::from_parts(parts).ok()
}

/// Answers 404 with the addresses of the metadata documents.
async fn not_found(
    State(app): State<Arc<App>>,
    OriginalUri(uri): OriginalUri,
    request: Request,
) -> Response {
    let policy = app.oauth.policy();
    let server = policy.server_metadata_url();
    let is_named = |name: &str| uri.path().split('/').any(|segment| segment == name);
    let name = |url: &str| path_of(url).rsplit('/').next().unwrap_or_default().to_owned();
    // Otherwise the one whose document is at the root of the host, so that both say the same.
    let meant = policy
        .resources()
        .iter()
        .find(|own| is_named(&name(own.identifier())))
        .or_else(|| policy.main_resource());
    let mut links = vec![("authorization_server_metadata", server.clone())];
    links.extend(meant.map(|own| ("resource_metadata", own.metadata_url().to_owned())));
    let answer = Answer {
        status: StatusCode::NOT_FOUND,
        title: "There is no such page",
        message: Some(
            "The address may be mistyped, or from an older link. If you are connecting an \
             application, the home page has the addresses that it needs."
                .into(),
        ),
        code: "not_found",
        description: format!(
            "There is nothing at {}. The addresses of this server are in its metadata: {server}",
            shown(uri.path().as_bytes()),
        ),
        links,
    };
    answer.to(request.headers())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_additional_slashes_are_removed() {
        for (path, plain) in [
            ("/mcp/", "/mcp"),
            ("//mcp", "/mcp"),
            ("/auth//mcp///", "/auth/mcp"),
            ("/mcp", "/mcp"),
            ("/", ""),
            ("/MCP/", "/MCP"),
            ("/mcp/%2F", "/mcp/%2F"),
            ("/mcp/..", "/mcp/.."),
        ] {
            assert_eq!(without_empty_segments(path), plain);
        }
        let uri = with_path(&"/mcp/?a=/b/".parse().unwrap(), "/mcp").unwrap();
        assert_eq!(uri, "/mcp?a=/b/");
    }
}
