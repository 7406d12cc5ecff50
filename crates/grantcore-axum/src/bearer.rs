//! The layer that checks the bearer tokens of a protected resource, and the extractor of the
//! caller.

mod checks;

use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use grantcore::audit::AuditLog;
use grantcore::grant::Principal;
use grantcore::policy::Resource;
use grantcore::request::NeedsError;
use grantcore::store::AccountSource;
use grantcore::value::Subject;
use grantcore::{Access, Needs, Server, Store, Timestamp};
#[cfg(feature = "rmcp")]
use rmcp::{
    ErrorData,
    handler::server::{common::FromContextPart, tool::ToolCallContext},
};
use tower_layer::Layer;
use tower_service::Service;

#[cfg(feature = "introspection")]
use self::checks::Remote;
use self::checks::{Check, Local, OfTemplate};
use crate::BoxError;
use crate::body::{Head, leave};
use crate::endpoints::BoxFuture;
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
/// use axum::http::StatusCode;
/// use axum::routing::{get, post};
/// use grantcore::{AlwaysActive, MemoryStore, Policy, Server};
/// use grantcore_axum::{Caller, RequireToken, cors};
///
/// // Only calls on behalf of a user reach the handlers: `Needs::machines` would let others in.
/// async fn list(caller: Caller) -> Result<String, StatusCode> {
///     let user = caller.subject().ok_or(StatusCode::FORBIDDEN)?;
///     Ok(format!("the notes of {user}"))
/// }
///
/// async fn add(caller: Caller) -> Result<String, StatusCode> {
///     let user = caller.subject().ok_or(StatusCode::FORBIDDEN)?;
///     Ok(format!("a note of {user}"))
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

    /// Returns the layer of the resources of a
    /// [template](grantcore::policy::PolicyBuilder::resource), in the same process as their
    /// authorization server. Each call is checked for the resource that it is at or below, by the
    /// host and the path of the request. A call that is at none is answered with 404.
    ///
    /// Handlers take the tenant from [`Caller::resource`], which was checked, and not from the
    /// request. For a template with a variable in its host, `Host` must be the host that was
    /// called: a proxy must pass it on.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use axum::Router;
    /// use axum::http::StatusCode;
    /// use axum::routing::get;
    /// use grantcore::{AlwaysActive, MemoryStore, Policy, Server};
    /// use grantcore_axum::{Caller, RequireToken};
    ///
    /// async fn notes(caller: Caller) -> Result<String, StatusCode> {
    ///     let user = caller.subject().ok_or(StatusCode::FORBIDDEN)?;
    ///     let org = caller.resource().and_then(|own| own.variable("org"));
    ///     let org = org.ok_or(StatusCode::NOT_FOUND)?;
    ///     Ok(format!("the notes of {user} at {org}"))
    /// }
    ///
    /// let api = "https://api.example/{org}";
    /// let policy = Policy::mcp("https://auth.example", api, [("notes", "Read notes")]).build()?;
    /// let server = Arc::new(Server::new(policy, MemoryStore::new(), AlwaysActive));
    /// let app: Router = Router::new()
    ///     .route("/{org}/notes", get(notes))
    ///     .route_layer(RequireToken::of_template(server, api, "notes")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`NeedsError`] if the policy has no such template, or does not declare a scope token.
    pub fn of_template<S, A, L>(
        server: Arc<Server<S, A, L>>,
        template: &str,
        scope: &str,
    ) -> Result<Self, NeedsError>
    where
        S: Store + 'static,
        A: AccountSource<S> + Send + Sync + 'static,
        L: AuditLog + 'static,
    {
        let policy = server.policy();
        let mut templates = policy.resources().iter().filter(|own| own.is_template());
        let Some(template) = templates.find(|own| own.identifier() == template).cloned() else {
            return Err(NeedsError::ResourceUnknown { resource: template.to_owned() });
        };
        // The scope is checked now and not at each call. It does not depend on the resource.
        if let Ok(any) = Resource::new("https://scope.invalid/", "") {
            policy.needs_at(&any, scope)?;
        }
        let scope = scope.to_owned();
        Ok(Self { check: Arc::new(OfTemplate { endpoints: server, template, scope }) })
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
            let checked = check.check(request.headers(), request.uri()).await;
            let caller = match checked {
                Ok(caller) => caller,
                Err(reply) => {
                    let mut response = respond(reply);
                    let head = Head::of(&request);
                    // A server of axum passes this type. Another service may pass a type that is no
                    // body.
                    let body: Box<dyn Any + Send> = Box::new(request.into_body());
                    if let Ok(body) = body.downcast::<Body>() {
                        leave(head, *body, &mut response);
                    }
                    return Ok(response);
                }
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
pub struct Caller {
    kind: Kind,
    resource: Option<Arc<Resource>>,
}

#[derive(Clone, Debug)]
enum Kind {
    Checked(Access),
    #[cfg(feature = "introspection")]
    Introspected(Arc<Token>),
}

impl Caller {
    /// Returns who the access token speaks for: a user, or the client itself if the layer
    /// [serves machines](Needs::machines).
    pub fn principal(&self) -> Principal<'_> {
        match &self.kind {
            Kind::Checked(access) => access.principal(),
            #[cfg(feature = "introspection")]
            Kind::Introspected(token) => token.principal(),
        }
    }

    /// Returns the user on whose behalf the client calls. `None` if the client acts on its own
    /// behalf, which happens only if the layer [serves machines](Needs::machines).
    pub fn subject(&self) -> Option<&str> {
        self.principal().person().map(Subject::as_str)
    }

    /// Returns the `client_id` of the client that calls.
    pub fn client_id(&self) -> &str {
        match &self.kind {
            Kind::Checked(access) => access.client_id().as_str(),
            #[cfg(feature = "introspection")]
            Kind::Introspected(token) => &token.client_id,
        }
    }

    /// Returns the scope tokens of the access token.
    pub fn scope(&self) -> impl Iterator<Item = &str> {
        let (checked, introspected) = match &self.kind {
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
        match &self.kind {
            Kind::Checked(access) => access.expires(),
            #[cfg(feature = "introspection")]
            Kind::Introspected(token) => token.expires,
        }
    }

    /// Returns the resource that was called, with the values of its variables, if the layer is of a
    /// [template](RequireToken::of_template).
    pub fn resource(&self) -> Option<&Resource> {
        self.resource.as_deref()
    }

    /// Returns when the user last signed in before the consent, if that is known.
    pub fn auth_time(&self) -> Option<Timestamp> {
        match &self.kind {
            Kind::Checked(access) => access.auth_time(),
            #[cfg(feature = "introspection")]
            Kind::Introspected(token) => token.login().map(|login| login.time()),
        }
    }

    /// Returns the class of that login (`acr`), if it is known.
    pub fn acr(&self) -> Option<&str> {
        match &self.kind {
            Kind::Checked(access) => access.acr(),
            #[cfg(feature = "introspection")]
            Kind::Introspected(token) => token.login().and_then(|login| login.acr()),
        }
    }

    /// Returns the result of the check if the token was checked in this process, or `None` if it
    /// was introspected.
    pub fn access(&self) -> Option<&Access> {
        match &self.kind {
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
