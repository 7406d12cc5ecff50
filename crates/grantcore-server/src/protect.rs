//! Protected upstreams: OAuth in front of HTTP servers that have none. A call with an access token
//! for the resource of a path is forwarded to the upstream, as a stream in both directions.
//!
//! - `challenge.rs` makes the challenge anew by which an upstream asks for more scope.
//! - `headers.rs` says which headers pass, and which this server sets.
//! - `session.rs` ties the MCP sessions of an upstream to the connections that they were made for.
//! - `path.rs` maps paths and redirects.
//! - `body.rs` has the limits and time-outs of bodies.
//! - `client.rs` is the client of upstreams, with TLS.
//!
//! Never here: the check of access tokens, which is the layer `RequireToken`, and the settings
//! (`config/protect.rs`).
//!
//! A call is sent once, on a connection of its own. It is never repeated: an upstream that failed
//! may have done the work. A caller that hangs up closes the connection to the upstream.

mod body;
mod challenge;
mod client;
mod failure;
mod headers;
mod path;
mod session;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::any;
use grantcore_axum::{Caller, RequireToken, cors};
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use self::body::{Download, Fault, LimitedUpload, Progress};
use self::client::{Client, ClientError};
use self::failure::Failure;
use self::path::Mapping;
use self::session::Seal;
use crate::app::App;
use crate::config::{AllowedHost, Issuer, Protect, UpstreamUrl};
use crate::network::Connection;
use crate::pages::ForApplications;
use crate::pages::answer::is_opened;

/// The methods that are forwarded. `OPTIONS` is a preflight, which this server answers itself.
const METHODS: [Method; 6] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// A protected upstream.
pub(crate) struct Upstream {
    url: UpstreamUrl,
    mapping: Mapping,
    client: Client,
    resource: String,
    required_scope: String,
    /// Whether calls without a user are forwarded.
    machines: bool,
    /// The greatest age of the user's sign-in at a call, in seconds.
    max_age: Option<u32>,
    max_body: u64,
    max_calls: usize,
    response_timeout: Duration,
    idle_timeout: Duration,
}

impl Upstream {
    /// Returns the upstream of these settings. No connection is made.
    pub(crate) fn new(protect: &Protect, issuer: &Issuer) -> Result<Self, ClientError> {
        let resource = protect.resource(issuer);
        let ca_file = protect.ca_file.as_deref();
        Ok(Self {
            mapping: Mapping::new(protect.path.as_str(), protect.upstream.url(), &resource),
            client: client::client(&protect.upstream, ca_file, protect.connect_timeout)?,
            url: protect.upstream.clone(),
            resource,
            required_scope: protect.required_scope(),
            machines: protect.machines,
            max_age: protect.max_age.map(|age| u32::try_from(age.as_secs()).unwrap_or(u32::MAX)),
            max_body: protect.max_body,
            max_calls: protect.max_calls.get(),
            response_timeout: protect.response_timeout,
            idle_timeout: protect.idle_timeout,
        })
    }

    /// Returns the scope that every call needs.
    pub(crate) fn required_scope(&self) -> &str {
        &self.required_scope
    }

    /// Returns whether calls of clients without a user are forwarded.
    pub(crate) fn admits_machines(&self) -> bool {
        self.machines
    }

    /// Returns the path whose calls are forwarded, with those below it.
    pub(crate) fn path(&self) -> String {
        self.mapping.path().to_owned()
    }

    /// Returns the host of the resource, which requests have as `Host`.
    pub(crate) fn host(&self) -> Option<AllowedHost> {
        let url = url::Url::parse(&self.resource).ok()?;
        url.host_str()?.parse().ok()
    }
}

/// Shows where the calls of which resource go.
impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.resource, self.url.url())
    }
}

/// Returns the routes of all protected paths, each behind the check of its access tokens.
pub(crate) fn router(
    app: &Arc<App>,
    upstreams: Vec<Upstream>,
    max_calls: NonZeroUsize,
    stop: &CancellationToken,
) -> Router {
    let all_places = Arc::new(Semaphore::new(max_calls.get().min(Semaphore::MAX_PERMITS)));
    let mut router = Router::new();
    for upstream in upstreams {
        #[expect(clippy::expect_used, reason = "the policy has the resource and its scopes")]
        let needs = app
            .oauth
            .policy()
            .needs(&upstream.resource, &upstream.required_scope)
            .expect("a known resource");
        let needs = if upstream.machines { needs.machines() } else { needs };
        let needs = match upstream.max_age {
            Some(seconds) => needs.max_age(seconds),
            None => needs,
        };
        let check = RequireToken::new(Arc::clone(&app.oauth), needs);
        let path = upstream.mapping.path().to_owned();
        let own_places = Semaphore::new(upstream.max_calls.min(Semaphore::MAX_PERMITS));
        let places = [Arc::clone(&all_places), Arc::new(own_places)];
        let app = Arc::clone(app);
        let state = Arc::new(Forwarding { app, upstream, places, stop: stop.clone() });
        let explain = middleware::from_fn_with_state(Arc::clone(&state), explain);
        let route = any(forward).with_state(state).layer(check).layer(explain);
        for below in ["", "/", "/{*rest}"] {
            router = router.route(&format!("{path}{below}"), route.clone());
        }
    }
    // Without a route, `route_layer` panics, and `layer` would be on the fallback too.
    if router.has_routes() { router.route_layer(cors()) } else { router }
}

/// What the calls of one path share.
struct Forwarding {
    app: Arc<App>,
    upstream: Upstream,
    /// The calls that may be under way at all upstreams, and at this one.
    places: [Arc<Semaphore>; 2],
    stop: CancellationToken,
}

/// Shows a page to a person who opened the address in a browser, in place of the refusal.
async fn explain(State(state): State<Arc<Forwarding>>, request: Request, next: Next) -> Response {
    let is_opened = is_opened(request.method(), request.headers());
    let response = next.run(request).await;
    if !is_opened || response.status() != StatusCode::UNAUTHORIZED {
        return response;
    }
    let url = state.upstream.resource.clone();
    let name = state.app.resource_name(&url).to_owned();
    ForApplications { name, kind: "an interface", url }.in_place_of(&response)
}

/// Forwards a call whose access token was accepted.
async fn forward(
    State(state): State<Arc<Forwarding>>,
    caller: Caller,
    request: Request,
) -> Response {
    match state.forward(&caller, request).await {
        Ok(response) => response,
        Err(failure) => failure.response(&state.upstream),
    }
}

impl Forwarding {
    async fn forward(&self, caller: &Caller, request: Request) -> Result<Response, Failure> {
        let Self { upstream, .. } = self;
        let (parts, body) = request.into_parts();
        if !METHODS.contains(&parts.method) {
            return Err(Failure::Method);
        }
        if headers::is_websocket(&parts.headers) {
            return Err(Failure::WebSocket);
        }
        let target = upstream.mapping.target(&parts.uri).ok_or(Failure::Path)?;
        let is_empty = body.is_end_stream();
        // RFC 9110 §9.3.1: such a body may be a request in hiding.
        if !is_empty && matches!(parts.method, Method::GET | Method::HEAD) {
            return Err(Failure::Content);
        }
        if body.size_hint().lower() > upstream.max_body {
            return Err(Failure::TooLarge);
        }
        let permits = self.places()?;
        if let Some(connection) = parts.extensions.get::<Arc<Connection>>() {
            connection.allow_silence(upstream.response_timeout.max(upstream.idle_timeout));
        }
        let progress = Arc::new(Progress::default());
        let mut sent = Request::new(Body::new(LimitedUpload::new(
            body,
            upstream.max_body,
            Arc::clone(&progress),
        )));
        *sent.method_mut() = parts.method.clone();
        *sent.uri_mut() = target.clone();
        let scope = self.scope_of(caller);
        *sent.headers_mut() = headers::to_upstream(&parts.headers, caller, &scope, parts.version);
        // This server checks its tokens itself, so that it knows each connection.
        let seal = caller.access().map(|access| Seal::of(access, upstream.url.url().as_str()));
        if let Some(seal) = &seal {
            let tied = seal.to_upstream(&parts.headers, sent.headers_mut());
            tied.map_err(|_| Failure::ForeignSession)?;
        }
        if is_empty && parts.headers.contains_key(header::CONTENT_LENGTH) {
            // The client sends no length of an empty body, and some servers ask for one.
            sent.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let response = self.head(sent, &progress).await?;
        let mut response = self.respond(&parts.method, &target, response, permits)?;
        if let Some(seal) = &seal {
            seal.to_caller(response.headers_mut());
        }
        Ok(response)
    }

    /// Returns the scopes of the resource that the access token allows, with those that its scopes
    /// include. The others of the token are none of the upstream's business.
    fn scope_of(&self, caller: &Caller) -> String {
        let policy = self.app.oauth.policy();
        let resource = policy.resource(&self.upstream.resource);
        let own = resource.iter().flat_map(|own| own.scopes());
        let covers = |token: &str, own: &str| token == own || policy.implies(token, own);
        let own = own.filter(|own| caller.scope().any(|token| covers(token, own)));
        own.collect::<Vec<_>>().join(" ")
    }

    /// Returns the places of one call, or the failure if all are taken.
    fn places(&self) -> Result<Vec<OwnedSemaphorePermit>, Failure> {
        let places = self.places.iter().map(|places| Arc::clone(places).try_acquire_owned());
        places.collect::<Result<_, _>>().map_err(|_| Failure::Busy)
    }

    /// Sends a call, and returns its response when the head is there. The time-out counts from the
    /// latest part of the body.
    async fn head(
        &self,
        request: Request,
        progress: &Progress,
    ) -> Result<Response<Incoming>, Failure> {
        let sending = self.upstream.client.request(request);
        tokio::pin!(sending);
        loop {
            let deadline = progress.latest() + self.upstream.response_timeout;
            tokio::select! {
                biased;
                response = &mut sending => return response.map_err(|error| {
                    match progress.fault() {
                        Some(Fault::TooLarge) => Failure::TooLarge,
                        Some(Fault::Incomplete) => Failure::Incomplete,
                        None if client::is_timeout(&error) => Failure::Timeout,
                        None => Failure::Unreachable(client::causes(&error)),
                    }
                }),
                () = tokio::time::sleep_until(deadline) => {
                    if progress.latest() + self.upstream.response_timeout <= deadline {
                        let waits = progress.waits_for_caller();
                        return Err(if waits { Failure::SlowCaller } else { Failure::Timeout });
                    }
                }
            }
        }
    }

    /// Returns the response for the caller.
    fn respond(
        &self,
        method: &Method,
        target: &Uri,
        response: Response<Incoming>,
        permits: Vec<OwnedSemaphorePermit>,
    ) -> Result<Response, Failure> {
        let (parts, body) = response.into_parts();
        match parts.status {
            // A challenge of the upstream would send the caller's client away from this server.
            StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                return Err(Failure::AsksForCredentials);
            }
            status if status.is_informational() => return Err(Failure::Upgraded),
            _ => {}
        }
        let is_stream = headers::is_event_stream(&parts.headers);
        let mut own = headers::to_caller(&parts.headers);
        let policy = self.app.oauth.policy();
        if parts.status == StatusCode::FORBIDDEN
            && let Some(resource) = policy.resource(&self.upstream.resource)
            && let Some(challenge) =
                challenge::for_more_scope(&parts.headers, &resource, &self.upstream.required_scope)
        {
            own.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(location) = parts.headers.get(header::LOCATION) {
            own.remove(header::LOCATION);
            match self.upstream.mapping.location(target, location) {
                Some(location) => _ = own.insert(header::LOCATION, location),
                None if parts.status.is_redirection() => return Err(Failure::Redirect),
                None => {}
            }
        }
        // A stream that a client listens on has no end, so a stop of this server would wait for it.
        let stop = (is_stream && *method == Method::GET).then(|| self.stop.clone());
        let upstream = self.upstream.to_string();
        let body = Download::new(body, self.upstream.idle_timeout, stop, permits, upstream);
        let mut response = Response::new(Body::new(body));
        *response.status_mut() = parts.status;
        *response.headers_mut() = own;
        Ok(response)
    }
}
