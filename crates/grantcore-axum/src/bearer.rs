//! The layer that checks the bearer tokens of a protected resource, and the extractor of the
//! caller.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::Response;
use grantcore::audit::AuditLog;
use grantcore::store::AccountSource;
use grantcore::{Access, Needs, Reply, Server, Store, Timestamp};
#[cfg(feature = "rmcp")]
use rmcp::{
    ErrorData,
    handler::server::{common::FromContextPart, tool::ToolCallContext},
};
use tower_layer::Layer;
use tower_service::Service;

use crate::BoxError;
use crate::endpoints::{BoxFuture, Endpoints};
#[cfg(feature = "introspection")]
use crate::introspection::{Introspection, Token};
use crate::router::respond;

/// The layer that checks the access token of each call to a protected resource (OAuth 2.1 §5.2).
///
/// A call with a valid token reaches the resource with a [`Caller`] among its extensions. Its
/// `Authorization` header is removed, so that the resource cannot pass the token on (MCP, Security,
/// Token Passthrough). Any other call is refused with a `WWW-Authenticate` challenge, from which
/// the client finds the authorization server (RFC 9728 §5.1).
///
/// The layer fits any tower service: routes of axum, rmcp's `StreamableHttpService`, tonic. A token
/// in the query or the body is not accepted.
///
/// In axum, add it with [`route_layer`](axum::Router::route_layer). `layer` would add it to the
/// fallback too, which an application takes over when it merges the router: every unknown path
/// would then answer 401, and clients that probe the well-known paths would give up.
///
/// ```
/// use std::sync::Arc;
///
/// use axum::Router;
/// use axum::routing::{get, post};
/// use grantcore::{AlwaysActive, MemoryStore, Policy, Server};
/// use grantcore_axum::{Caller, RequireToken, cors};
///
/// async fn list(caller: Caller) -> String {
///     format!("the notes of {}", caller.subject())
/// }
///
/// async fn add(caller: Caller) -> String {
///     format!("a note of {}", caller.subject())
/// }
///
/// let api = "https://api.example/v1";
/// let scopes = [("notes:read", "Read your notes"), ("notes:write", "Change your notes")];
/// let policy = Policy::mcp("https://auth.example", api, scopes).build()?;
/// let read = policy.needs(api, "notes:read")?;
/// let write = policy.needs(api, "notes:write")?;
/// let server = Arc::new(Server::new(policy, MemoryStore::new(), AlwaysActive));
///
/// // Two methods of one path, each with needs of its own.
/// let app: Router = Router::new()
///     .route("/v1/notes", get(list).route_layer(RequireToken::new(Arc::clone(&server), read)))
///     .route("/v1/notes", post(add).route_layer(RequireToken::new(server, write)))
///     .route_layer(cors());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct RequireToken {
    check: Arc<dyn Check>,
}

/// The check of a call's access token.
trait Check: Send + Sync {
    fn check<'a>(&'a self, headers: &'a HeaderMap) -> BoxFuture<'a, Result<Caller, Reply>>;
}

/// The check of a resource in the process of its authorization server.
struct Local {
    endpoints: Arc<dyn Endpoints>,
    needs: Needs,
}

impl Check for Local {
    fn check<'a>(&'a self, headers: &'a HeaderMap) -> BoxFuture<'a, Result<Caller, Reply>> {
        Box::pin(async move {
            let access = self.endpoints.check(headers.into(), &self.needs).await;
            let access = access.map_err(|refusal| refusal.reply(self.endpoints.policy()))?;
            Ok(Caller(Kind::Checked(access)))
        })
    }
}

/// The check of a resource in another process.
#[cfg(feature = "introspection")]
struct Remote {
    introspection: Introspection,
    needs: Needs,
}

#[cfg(feature = "introspection")]
impl Check for Remote {
    fn check<'a>(&'a self, headers: &'a HeaderMap) -> BoxFuture<'a, Result<Caller, Reply>> {
        Box::pin(async move {
            let token = self.introspection.check(&headers.into(), &self.needs).await;
            token
                .map(|token| Caller(Kind::Introspected(token)))
                .map_err(|refusal| refusal.reply(self.introspection.policy()))
        })
    }
}

impl RequireToken {
    /// Returns the layer of a resource in the same process as its authorization server. Each call
    /// is checked against the records, so a revocation takes effect at the next call.
    pub fn new<S, A, L>(server: Arc<Server<S, A, L>>, needs: Needs) -> Self
    where
        S: Store + 'static,
        A: AccountSource<S> + Send + Sync + 'static,
        L: AuditLog + 'static,
    {
        Self { check: Arc::new(Local { endpoints: server, needs }) }
    }

    /// Returns the layer of a resource in another process than its authorization server. Tokens are
    /// introspected there (RFC 7662).
    #[cfg(feature = "introspection")]
    pub fn introspected(introspection: Introspection, needs: Needs) -> Self {
        Self { check: Arc::new(Remote { introspection, needs }) }
    }
}

impl fmt::Debug for RequireToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireToken").finish_non_exhaustive()
    }
}

impl<S> Layer<S> for RequireToken {
    type Service = RequireTokenService<S>;

    fn layer(&self, inner: S) -> RequireTokenService<S> {
        RequireTokenService { check: Arc::clone(&self.check), inner }
    }
}

/// The service of the layer [`RequireToken`].
#[derive(Clone)]
pub struct RequireTokenService<S> {
    check: Arc<dyn Check>,
    inner: S,
}

impl<S> fmt::Debug for RequireTokenService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireTokenService").finish_non_exhaustive()
    }
}

impl<S, B, R> Service<Request<B>> for RequireTokenService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let check = Arc::clone(&self.check);
        // `poll_ready` was called on `self.inner`: a clone of it may not be ready.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            // A `Caller` of an outer layer was accepted for other needs than those of this one.
            request.extensions_mut().remove::<Caller>();
            let checked = check.check(request.headers()).await;
            let caller = match checked {
                Ok(caller) => caller,
                Err(reply) => return Ok(respond(reply)),
            };
            request.headers_mut().remove(AUTHORIZATION);
            request.extensions_mut().insert(caller);
            Ok(inner.call(request).await?.map(Body::new))
        })
    }
}

/// The user and the client of a call whose access token was accepted by [`RequireToken`].
///
/// Handlers of axum take it as an extractor, and rmcp's tools as an argument (feature `rmcp`).
/// Other services find it in the extensions of the request.
///
/// A handler that extracts it on a route without the layer responds with 500, so that a forgotten
/// layer leaves no route open.
#[derive(Clone, Debug)]
pub struct Caller(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Checked(Access),
    #[cfg(feature = "introspection")]
    Introspected(Arc<Token>),
}

impl Caller {
    /// Returns the `sub` of the access token: the account on whose behalf the client calls.
    pub fn subject(&self) -> &str {
        match &self.0 {
            Kind::Checked(access) => access.subject().as_str(),
            #[cfg(feature = "introspection")]
            Kind::Introspected(token) => &token.subject,
        }
    }

    /// Returns the `client_id` of the client that calls.
    pub fn client_id(&self) -> &str {
        match &self.0 {
            Kind::Checked(access) => access.client_id().as_str(),
            #[cfg(feature = "introspection")]
            Kind::Introspected(token) => &token.client_id,
        }
    }

    /// Returns the scope tokens of the access token.
    pub fn scope(&self) -> impl Iterator<Item = &str> {
        let (checked, introspected) = match &self.0 {
            Kind::Checked(access) => (Some(access.scope()), None),
            #[cfg(feature = "introspection")]
            Kind::Introspected(token) => (None, Some(token.scope.split_ascii_whitespace())),
        };
        #[cfg(not(feature = "introspection"))]
        let introspected: Option<std::str::SplitAsciiWhitespace<'_>> = introspected;
        checked.into_iter().flatten().chain(introspected.into_iter().flatten())
    }

    /// Returns whether the access token has exactly this scope token. Tokens that it
    /// [includes](grantcore::policy::PolicyBuilder::scope_implies) are considered by the [`Needs`]
    /// of the layer, and not here.
    pub fn has_scope(&self, token: &str) -> bool {
        self.scope().any(|own| own == token)
    }

    /// Returns when the access token expires.
    pub fn expires(&self) -> Timestamp {
        match &self.0 {
            Kind::Checked(access) => access.expires(),
            #[cfg(feature = "introspection")]
            Kind::Introspected(token) => token.expires,
        }
    }

    /// Returns when the user last signed in before the consent, if that is known.
    pub fn auth_time(&self) -> Option<Timestamp> {
        match &self.0 {
            Kind::Checked(access) => access.auth_time(),
            #[cfg(feature = "introspection")]
            Kind::Introspected(token) => token.login().map(|login| login.time()),
        }
    }

    /// Returns the class of that login (`acr`), if it is known.
    pub fn acr(&self) -> Option<&str> {
        match &self.0 {
            Kind::Checked(access) => access.acr(),
            #[cfg(feature = "introspection")]
            Kind::Introspected(token) => token.login().and_then(|login| login.acr()),
        }
    }

    /// Returns the result of the check if the token was checked in this process, or `None` if it
    /// was introspected.
    pub fn access(&self) -> Option<&Access> {
        match &self.0 {
            Kind::Checked(access) => Some(access),
            #[cfg(feature = "introspection")]
            Kind::Introspected(_) => None,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts.extensions.get().cloned().ok_or_else(|| {
            tracing::error!(path = parts.uri.path(), "the route has no RequireToken layer");
            StatusCode::INTERNAL_SERVER_ERROR
        })
    }
}

/// Makes the caller an argument of a tool, over rmcp's streamable HTTP transport.
#[cfg(feature = "rmcp")]
impl<S> FromContextPart<ToolCallContext<'_, S>> for Caller {
    fn from_context_part(context: &mut ToolCallContext<'_, S>) -> Result<Self, ErrorData> {
        let parts = context.request_context.extensions.get::<Parts>();
        let caller = parts.and_then(|parts| parts.extensions.get()).cloned();
        caller.ok_or_else(|| {
            tracing::error!("the MCP service has no RequireToken layer");
            ErrorData::internal_error("the request has no caller", None)
        })
    }
}

/// Asserts that the layer adds no error: over routes of axum, which cannot fail, it cannot either.
const _: fn(RequireTokenService<axum::Router>) = |service| {
    fn assert<S: Service<Request<Body>, Error = Infallible>>(_: S) {}
    assert(service);
};
