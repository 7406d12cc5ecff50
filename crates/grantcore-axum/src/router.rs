//! The router: every endpoint of the policy, the metadata documents, and the consent form.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use axum::routing::{any, post};
use grantcore::audit::AuditLog;
use grantcore::response::PAGE_HEADERS;
use grantcore::store::AccountSource;
use grantcore::{Policy, Reply, Server, Store};
#[cfg(feature = "fetch")]
use grantcore_fetch::DocumentFetcher;

use crate::authorize::{authorize, consent};
use crate::documents::documents;
use crate::endpoints::Endpoints;
use crate::pages::{LOCATION_LIMIT, Pages, redirect_page};
use crate::programs::{ProgramService, programs, services};
use crate::source::Source;
use crate::tasks::Tasks;

/// Returns a router with all routes of the server except the login page: the endpoints that the
/// policy turns on, the consent form, and the metadata documents of the server and its resources
/// (RFC 8414, RFC 9728). Each is mounted at the path of its URL.
///
/// It is built by [`OAuthRouter`] with the default settings. Merge it into the application's own
/// router. It needs no state: `with_state(())` makes it a part of a router of any state.
///
/// ```
/// use std::sync::Arc;
///
/// use axum::Router;
/// use grantcore::{AlwaysActive, MemoryStore, Policy, Server};
/// use grantcore_axum::{DemoLogin, router};
///
/// #[derive(Clone)]
/// struct AppState;
///
/// fn app(policy: Policy) -> Result<Router<AppState>, grantcore_axum::RouterError> {
///     let server = Arc::new(Server::new(policy, MemoryStore::new(), AlwaysActive));
///     let oauth = router(server, DemoLogin::new([("alice", "wonderland")]))?;
///     Ok(Router::new().merge(oauth.with_state(())))
/// }
/// # let mcp = "https://mcp.example/mcp";
/// # let policy = Policy::mcp("https://auth.example", mcp, [("notes", "Read your notes")]);
/// # let _router: Router = app(policy.build().unwrap()).unwrap().with_state(AppState);
/// ```
///
/// If a segment of
/// an endpoint's path begins with `:` or `*`, call
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
///
/// # Several issuers on one store
///
/// Each issuer has a server with [its policy](Policy::at), and all can have one store: nothing that
/// was made at one issuer has an effect at another.
///
/// ```
/// use std::sync::Arc;
///
/// use axum::Router;
/// use grantcore::policy::ResourceDescription;
/// use grantcore::{AlwaysActive, MemoryStore, Policy, Server};
/// use grantcore_axum::{DemoLogin, OAuthRouter, router};
///
/// # fn app() -> Result<Router, Box<dyn std::error::Error>> {
/// let mcp = "https://mcp.example/mcp";
/// let rules = Policy::mcp("https://auth.example", mcp, [("notes", "Read your notes")])
///     .describe_resource(mcp, ResourceDescription::default()
///         .also_issued_by("https://auth.example/acme"))
///     .build()?;
/// let acme = rules.at("https://auth.example/acme")?;
/// let store = Arc::new(MemoryStore::new());
/// let rules = Arc::new(Server::new(rules, Arc::clone(&store), AlwaysActive));
/// let acme = Arc::new(Server::new(acme, store, AlwaysActive));
///
/// let login = DemoLogin::new([("alice", "wonderland")]);
/// let of_acme = OAuthRouter::new(acme, login.clone()).resource_documents(false).build()?;
/// let app = router(rules, login.clone())?.merge(of_acme).merge(login.router());
/// # Ok(app)
/// # }
/// # app().unwrap();
/// ```
#[must_use = "settings do nothing until the router is built"]
pub struct OAuthRouter<P> {
    endpoints: Arc<dyn Endpoints>,
    pages: P,
    tasks: Tasks,
    resource_documents: bool,
    #[cfg(feature = "fetch")]
    fetcher: Option<DocumentFetcher>,
}

/// The reason why a router cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RouterError {
    /// The URL of an endpoint or a document has a query, which a route cannot have.
    #[error(
        "{url} cannot be a route: it has a query. Give the endpoint or resource a path of its own."
    )]
    Query {
        /// The URL.
        url: String,
    },
    /// Two endpoints or documents have the same path.
    #[error("two endpoints have the path {path}: give one of them another URL in the policy")]
    Overlap {
        /// The path.
        path: String,
    },
    /// The policy accepts Client ID Metadata Documents, but the feature `fetch` is off.
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
            resource_documents: true,
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

    /// Sets the [`Tasks`] in which requests are decided, so that the program can wait for them
    /// before it ends. Default: tasks of the router's own, which nothing waits for.
    pub fn tasks(self, tasks: Tasks) -> Self {
        Self { tasks, ..self }
    }

    /// Sets whether the metadata documents of the resources are mounted. Default: `true`.
    ///
    /// Where several issuers serve the same resources, one router mounts the documents: axum panics
    /// if two routers with one path are merged. `authorization_servers` then names the others by
    /// [`also_issued_by`](grantcore::policy::ResourceDescription::also_issued_by).
    pub fn resource_documents(self, mount: bool) -> Self {
        Self { resource_documents: mount, ..self }
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
        let documents = documents(policy, self.resource_documents, &mut taken)?;
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

/// Returns a router with the endpoints that clients and resource servers call directly, without a
/// browser: token, revocation, introspection, registration and its management. It is for hosts that
/// write the authorization endpoint themselves.
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

/// Returns the endpoints of [`program_router`] that have a path of their own, each with that path:
/// all but the management of registrations. It is for hosts that choose the route of their most
/// frequent requests themselves, and leave all other requests to a router.
///
/// A service answers every method but `OPTIONS`: preflight requests are for the router.
pub fn program_services<S, A, L>(
    server: Arc<Server<S, A, L>>,
    tasks: &Tasks,
) -> Vec<(String, ProgramService)>
where
    S: Store + 'static,
    A: AccountSource<S> + Send + Sync + 'static,
    L: AuditLog + 'static,
{
    let endpoints: Arc<dyn Endpoints> = server;
    services(&endpoints, tasks)
}

/// Returns a router with the metadata documents of a policy alone (RFC 8414, RFC 9728).
///
/// # Errors
/// [`RouterError`] if the URLs of the policy cannot be mounted.
pub fn well_known_router(policy: &Policy) -> Result<Router, RouterError> {
    documents(policy, true, &mut Routes::default())
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

/// The paths that are mounted. axum panics if a path is mounted twice, so [`claim`](Self::claim)
/// refuses the second.
#[derive(Default)]
pub(crate) struct Routes(BTreeSet<String>);

impl Routes {
    /// Adds the path of this URL, and returns it as a route of axum.
    pub(crate) fn claim(&mut self, url: &str) -> Result<String, RouterError> {
        self.claim_route(url, escape(path_of(url)))
    }

    /// Adds this route for the URL.
    pub(crate) fn claim_route(&mut self, url: &str, path: String) -> Result<String, RouterError> {
        if url.contains('?') {
            return Err(RouterError::Query { url: url.to_owned() });
        }
        if self.0.insert(path.clone()) { Ok(path) } else { Err(RouterError::Overlap { path }) }
    }
}

/// Escapes the braces of a path, which are parameters in a route of axum.
pub(crate) fn escape(path: &str) -> String {
    path.replace('{', "{{").replace('}', "}}")
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
    // After `//` a browser expects a host. It removes the dot segment of `/.//`.
    if path.starts_with("//") { format!("/.{path}") } else { path.to_owned() }
}

/// Returns the network that a request comes from, by which rate limits are kept. Returns an empty
/// text if it is not known.
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
    source.map(Source::network_text).unwrap_or_default()
}

/// Converts a reply of the server into a response, unchanged.
pub(crate) fn respond(reply: Reply) -> Response {
    axum::http::Response::<String>::from(reply).map(Body::from)
}

/// Returns the response after a fault that was logged, such as a panic in the task of a request.
pub(crate) fn internal_error() -> Response {
    let mut response = Response::default();
    *response.status_mut() = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
    response
}

/// Returns the redirect to the client. It is a page if the address is too long for a header: a
/// `state` of 4 KiB can be 12 KiB once it is encoded.
pub(crate) fn redirect_to_client(reply: Reply) -> Response {
    match reply.header("location") {
        Some(location) if location.len() > LOCATION_LIMIT => redirect_page(location),
        _ => respond(reply),
    }
}

/// Adds the headers that every page of the authorization endpoint needs, such as those against
/// framing. A header that the page already has is kept.
pub(crate) fn with_page_headers(mut page: Response) -> Response {
    for (name, value) in PAGE_HEADERS {
        page.headers_mut()
            .entry(HeaderName::from_static(name))
            .or_insert(HeaderValue::from_static(value));
    }
    page
}
