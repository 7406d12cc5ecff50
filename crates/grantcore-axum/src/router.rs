//! The router: every endpoint of the policy, its discovery documents, and the consent form.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use axum::response::Response;
use axum::routing::{any, get, post};
use grantcore::audit::AuditLog;
use grantcore::reason::Endpoint;
use grantcore::response::{PAGE_HEADERS, WellKnown};
use grantcore::store::AccountSource;
use grantcore::{Policy, Refusal, Reply, RequestParts, Server, Store};
#[cfg(feature = "fetch")]
use grantcore_fetch::DocumentFetcher;

use crate::authorize::{authorize, consent};
use crate::body::read;
use crate::cors::cors;
use crate::endpoints::Endpoints;
use crate::pages::{LONGEST_LOCATION, Pages, onward};
use crate::source::Source;
use crate::tasks::Tasks;

/// Returns a router with everything that the server needs but login: the endpoints that the policy
/// has on, the consent form, and the discovery documents of the server and its resources, at the
/// paths of their URLs.
///
/// It is an [`OAuthRouter`] with the default settings. Merge it into the application's own router,
/// after that has got its state by [`with_state`](axum::Router::with_state).
/// If a segment of an endpoint's path begins with `:` or `*`, call
/// [`without_v07_checks`](Router::without_v07_checks) on that router first.
///
/// # Errors
/// Those of [`OAuthRouter::build`].
pub fn router<S, A, L>(
    server: Arc<Server<S, A, L>>,
    pages: impl Pages,
) -> Result<Router, RouterError>
where
    S: Store + 'static,
    A: AccountSource<S> + Send + Sync + 'static,
    L: AuditLog + 'static,
{
    OAuthRouter::new(server, pages).build()
}

/// The settings of a [`router`].
#[must_use = "settings do nothing until the router is built"]
pub struct OAuthRouter<P> {
    endpoints: Arc<dyn Endpoints>,
    pages: P,
    tasks: Tasks,
    #[cfg(feature = "fetch")]
    fetcher: Option<DocumentFetcher>,
}

/// Why there is no router.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RouterError {
    /// The URL of an endpoint or a document cannot be a route.
    #[error(
        "{url} cannot be a route: it has a query. Give the endpoint or resource a path of its own."
    )]
    Query {
        /// The URL.
        url: String,
    },
    /// Two endpoints or documents have one path.
    #[error("two endpoints have the path {path}: give one of them another URL in the policy")]
    Overlap {
        /// The path.
        path: String,
    },
    /// The policy accepts Client ID Metadata Documents, and nothing can fetch them.
    #[error(
        "the policy accepts client metadata documents, and the feature `fetch` is off: turn it on, \
         or leave PolicyBuilder::client_documents out"
    )]
    NoFetcher,
    /// The fetcher of client metadata documents cannot be built.
    #[cfg(feature = "fetch")]
    #[error("client metadata documents cannot be fetched: {0}")]
    Fetcher(#[from] grantcore_fetch::BuildError),
}

impl<P: Pages> OAuthRouter<P> {
    /// Returns the default settings for this server and these pages.
    pub fn new<S, A, L>(server: Arc<Server<S, A, L>>, pages: P) -> Self
    where
        S: Store + 'static,
        A: AccountSource<S> + Send + Sync + 'static,
        L: AuditLog + 'static,
    {
        Self {
            endpoints: server,
            pages,
            tasks: Tasks::default(),
            #[cfg(feature = "fetch")]
            fetcher: None,
        }
    }

    /// Sets the fetcher of client metadata documents. Default: one with the default limits, if the
    /// policy accepts such documents.
    #[cfg(feature = "fetch")]
    pub fn fetcher(self, fetcher: DocumentFetcher) -> Self {
        Self { fetcher: Some(fetcher), ..self }
    }

    /// Decides requests in these tasks. Default: tasks of the router's own, which nothing waits for
    /// when the program ends.
    pub fn tasks(self, tasks: Tasks) -> Self {
        Self { tasks, ..self }
    }

    /// Builds the router.
    ///
    /// # Errors
    /// [`RouterError`] if the URLs of the policy cannot be mounted, or if client metadata documents
    /// cannot be fetched.
    pub fn build(self) -> Result<Router, RouterError> {
        let policy = self.endpoints.policy();
        let mut taken = Routes::default();
        let page = taken.claim(policy.authorization_endpoint())?;
        let consent_url = format!("{}/consent", policy.authorization_endpoint());
        let form = taken.claim(&consent_url)?;
        let documents = documents(policy, &mut taken)?;
        #[cfg(feature = "fetch")]
        let fetcher = match self.fetcher {
            None if policy.client_documents().is_some() => {
                Some(DocumentFetcher::builder().build()?)
            }
            fetcher => fetcher,
        };
        #[cfg(not(feature = "fetch"))]
        if policy.client_documents().is_some() {
            return Err(RouterError::NoFetcher);
        }
        let programs = programs(&self.endpoints, &self.tasks, &mut taken)?;
        let app = Arc::new(App {
            action: reference_to(&consent_url),
            endpoints: self.endpoints,
            pages: self.pages,
            tasks: self.tasks,
            #[cfg(feature = "fetch")]
            fetcher,
        });
        let pages = Router::new()
            .without_v07_checks()
            .route(&page, any(authorize::<P>))
            .route(&form, post(consent::<P>))
            .with_state(app);
        Ok(pages.merge(programs).merge(documents))
    }
}

impl<P> std::fmt::Debug for OAuthRouter<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OAuthRouter").field("tasks", &self.tasks).finish_non_exhaustive()
    }
}

/// Returns a router with the endpoints for programs alone: token, revocation, introspection,
/// registration and its management. It is for hosts that write the authorization endpoint
/// themselves.
///
/// # Errors
/// [`RouterError`] if the URLs of the policy cannot be mounted.
pub fn program_router<S, A, L>(
    server: Arc<Server<S, A, L>>,
    tasks: &Tasks,
) -> Result<Router, RouterError>
where
    S: Store + 'static,
    A: AccountSource<S> + Send + Sync + 'static,
    L: AuditLog + 'static,
{
    let mut taken = Routes::default();
    let endpoints: Arc<dyn Endpoints> = server;
    programs(&endpoints, tasks, &mut taken)
}

/// Returns a router with the discovery documents of a policy alone (RFC 8414, RFC 9728).
///
/// # Errors
/// [`RouterError`] if the URLs of the policy cannot be mounted.
pub fn well_known_router(policy: &Policy) -> Result<Router, RouterError> {
    documents(policy, &mut Routes::default())
}

/// The state of the authorization endpoint.
pub(crate) struct App<P> {
    pub(crate) endpoints: Arc<dyn Endpoints>,
    pub(crate) pages: P,
    pub(crate) tasks: Tasks,
    /// The path of the consent form.
    pub(crate) action: String,
    #[cfg(feature = "fetch")]
    pub(crate) fetcher: Option<DocumentFetcher>,
}

/// The paths that are taken. axum panics if a path is mounted twice, so it is refused before.
#[derive(Default)]
struct Routes(BTreeSet<String>);

impl Routes {
    /// Takes the path of this URL, as axum writes it.
    fn claim(&mut self, url: &str) -> Result<String, RouterError> {
        if url.contains('?') {
            return Err(RouterError::Query { url: url.to_owned() });
        }
        let path = escape(path_of(url));
        if self.0.insert(path.clone()) { Ok(path) } else { Err(RouterError::Overlap { path }) }
    }
}

/// Returns a path as a route. Braces would be parameters.
fn escape(path: &str) -> String {
    path.replace('{', "{{").replace('}', "}}")
}

fn programs(
    endpoints: &Arc<dyn Endpoints>,
    tasks: &Tasks,
    taken: &mut Routes,
) -> Result<Router, RouterError> {
    let mut router = Router::new().without_v07_checks();
    for own in endpoints.policy().endpoints() {
        let endpoint = own.endpoint;
        let path = match endpoint {
            Endpoint::Authorization => continue,
            Endpoint::Management => {
                let path = path_of(&own.url);
                format!("{}{{client_id}}", escape(path.strip_suffix("{client_id}").unwrap_or(path)))
            }
            _ => taken.claim(&own.url)?,
        };
        let state = Program { endpoints: Arc::clone(endpoints), tasks: tasks.clone(), endpoint };
        router = router.route(&path, any(program).with_state(state));
    }
    // Not on the fallback: a router that merges this one would take it over for all its paths.
    Ok(router.route_layer(cors()))
}

/// The state of an endpoint for programs.
#[derive(Clone)]
struct Program {
    endpoints: Arc<dyn Endpoints>,
    tasks: Tasks,
    endpoint: Endpoint,
}

async fn program(
    State(Program { endpoints, tasks, endpoint }): State<Program>,
    client_id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = read(body, endpoints.policy()).await;
    let answered = tasks.run(async move {
        let body = match body {
            Ok(body) => body,
            Err(error) => {
                let refusal = Refusal::plain(error.reason(endpoint), endpoint);
                return endpoints.refuse(refusal).await.reply(endpoints.policy());
            }
        };
        let source = source(&parts);
        let request = RequestParts { source: &source, ..RequestParts::from_http(&parts, &body) };
        // A path that is no text names no client.
        let client_id = client_id.map(|Path(id)| id).unwrap_or_default();
        endpoints.answer(endpoint, &client_id, &request).await
    });
    answered.await.map_or_else(interrupted, respond)
}

/// Returns a router with the discovery documents of the policy's resources, without those of the
/// authorization server.
#[cfg(feature = "introspection")]
pub(crate) fn resource_documents(policy: &Policy) -> Result<Router, RouterError> {
    let is_of_resource =
        |own: &WellKnown| path_of(&own.url).starts_with("/.well-known/oauth-protected-resource");
    let documents = policy.well_known().into_iter().filter(is_of_resource);
    mount_documents(documents, &mut Routes::default())
}

fn documents(policy: &Policy, taken: &mut Routes) -> Result<Router, RouterError> {
    mount_documents(policy.well_known(), taken)
}

/// Mounts discovery documents. Resources of several hosts may have their documents at one path:
/// the host of the request decides then.
fn mount_documents(
    documents: impl IntoIterator<Item = WellKnown>,
    taken: &mut Routes,
) -> Result<Router, RouterError> {
    let mut by_path: BTreeMap<String, Vec<WellKnown>> = BTreeMap::new();
    for document in documents {
        by_path.entry(path_of(&document.url).to_owned()).or_default().push(document);
    }
    let mut router = Router::new().without_v07_checks();
    for documents in by_path.into_values() {
        let Some(first) = documents.first() else { continue };
        let path = taken.claim(&first.url)?;
        let documents = Arc::new(documents);
        let answer =
            move |uri: Uri, headers: HeaderMap| async move { document(&documents, &uri, &headers) };
        router = router.route(&path, get(answer));
    }
    // Not on the fallback: a router that merges this one would take it over for all its paths.
    Ok(router.route_layer(cors()))
}

/// Returns the document for the host that was called, or the first.
fn document(documents: &[WellKnown], uri: &Uri, headers: &HeaderMap) -> Response {
    // Requests of HTTP/2 have no `Host`.
    let host = uri.authority().map(Authority::as_str);
    let host = host.or_else(|| headers.get(HOST)?.to_str().ok()).unwrap_or_default();
    let is_of_host = |own: &&WellKnown| authority_of(&own.url).eq_ignore_ascii_case(host);
    let found = documents.iter().find(is_of_host).or(documents.first());
    found.map_or_else(interrupted, |own| respond(own.reply.clone()))
}

/// Returns the authority of a URL.
fn authority_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

/// Returns the part of a URL after its origin.
pub(crate) fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find(['/', '?'])
        .and_then(|at| rest.get(at..))
        .filter(|path| path.starts_with('/'))
        .unwrap_or("/")
}

/// Returns the path of a URL of this server, as a browser resolves it on a page of this server.
pub(crate) fn reference_to(url: &str) -> String {
    let path = path_of(url);
    // A browser takes `//` for the beginning of a host. It removes a dot segment.
    if path.starts_with("//") { format!("/.{path}") } else { path.to_owned() }
}

/// Returns the source of a request, as limits go by it.
pub(crate) fn source(parts: &axum::http::request::Parts) -> String {
    let source = Source::of(&parts.extensions);
    if source.is_none() {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            tracing::warn!(
                "requests have no source, so that all callers share one rate limit: serve with \
                 Router::into_make_service_with_connect_info::<SocketAddr>()"
            );
        });
    }
    source.map(|source| source.network().to_string()).unwrap_or_default()
}

/// Converts a reply of the server into a response, unchanged.
pub(crate) fn respond(reply: Reply) -> Response {
    axum::http::Response::<String>::from(reply).map(Body::from)
}

/// Returns the response to a request whose task did not end, which is logged there.
pub(crate) fn interrupted() -> Response {
    let mut response = Response::default();
    *response.status_mut() = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
    response
}

/// Redirects to the client. A state of 4 KiB can be 12 KiB once it is encoded.
pub(crate) fn to_client(reply: Reply) -> Response {
    match reply.header("location") {
        Some(location) if location.len() > LONGEST_LOCATION => onward(location),
        _ => respond(reply),
    }
}

/// Adds the headers of every page of the authorization endpoint. A header that the page has stays.
pub(crate) fn as_page(mut page: Response) -> Response {
    for (name, value) in PAGE_HEADERS {
        page.headers_mut()
            .entry(HeaderName::from_static(name))
            .or_insert(HeaderValue::from_static(value));
    }
    page
}
