//! The routes of the server, and the cross-origin rules of each.

mod admin;
mod api;
mod authorize;
mod clients;
mod connected;
mod consent;
mod guard;
pub(crate) mod health;
mod help;
mod login;
mod missing;
pub(crate) mod plain;
mod provider;
mod resume;
pub(crate) mod time_out;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::routing::{any, any_service, get, post};
use grantcore::Needs;
use grantcore::reason::Endpoint;
use grantcore_axum::{
    RouterError, TrustedProxies, cors, program_router, program_services, well_known_router,
};
use tower::Layer as _;
use tower_http::timeout::TimeoutLayer;

use self::guard::{Billed, Guard, Guarded};
use self::time_out::TimeOut;
use crate::app::App;
use crate::config::{Builtin, Config};
use crate::mcp::McpService;
use crate::metrics::HttpMetrics;
use crate::network::front::{Direct, Front, Steps};
use crate::network::hosts::Hosts;
use crate::pages;
use crate::protect::{self, Upstream};
use crate::provider::CALLBACK;
use crate::site::Site;
use crate::stop::Stop;
use crate::tasks::run_to_the_end;

/// The largest body that is read. It is far above the library's limit, so that the library refuses
/// a large request and records it.
pub(crate) const BODY_LIMIT: usize = 64 * 1024;

/// Returns the routes of the pages. They have no cross-origin access and no frames.
fn pages() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(login::home))
        .route("/login", get(login::page).post(login::submit))
        .route("/login/provider", post(provider::begin))
        .route(CALLBACK, get(provider::callback))
        .route("/login/stay", post(resume::stay))
        .route("/logout", post(login::logout))
        .route("/settings/connected-apps", get(connected::list))
        .route(
            "/settings/connected-apps/disconnect-all",
            get(connected::confirm_all).post(connected::disconnect_all),
        )
        .route(
            "/settings/connected-apps/{grant}/disconnect",
            get(connected::confirm).post(connected::disconnect),
        )
        .route("/admin", get(admin::home))
        .route("/admin/clients", get(admin::clients))
        .route("/admin/clients/new", get(admin::new_client).post(admin::create))
        .route("/admin/client", get(admin::client))
        .route("/admin/secret", get(admin::secret))
        .route("/admin/accounts", get(admin::accounts))
        .route("/admin/accounts/{subject}", get(admin::account))
        .route("/admin/log", get(admin::log))
        .route("/admin/flow/{flow}", get(admin::flow))
        .route("/admin/confirm", get(admin::confirm))
        .route("/admin/act", get(admin::nowhere).post(admin::act))
        .route("/admin/", get(admin::nowhere))
        .route("/admin/{*below}", get(admin::nowhere))
        .route("/troubleshooting", get(help::troubleshooting))
        .route("/oauth/authorize", any(authorize::authorize))
        .route("/oauth/continue", get(resume::resume))
        .route("/oauth/switch", post(resume::switch))
        .route("/oauth/consent", post(consent::consent).fallback(consent::again))
        .route(
            "/assets/style.css",
            get(|| async { ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], pages::STYLE) }),
        )
        .layer(DefaultBodyLimit::max(64 * 1024))
}

/// Builds the whole server behind its listener. `builtins` are the resources that it serves itself,
/// with the scope that each requires. `protected` are the upstreams that it puts OAuth in front of.
pub(crate) fn front(
    app: &Arc<App>,
    builtins: &[(Builtin, String, String)],
    protected: Vec<Upstream>,
    config: &Config,
    stop: &Stop,
    metrics: Option<&HttpMetrics>,
) -> Result<Front, RouterError> {
    let network = &config.network;
    let site = app.issuer.site();
    // The library's whole URLs contain the path of the issuer already.
    let programs = program_router(Arc::clone(&app.oauth), &app.tasks)?;
    let documents = well_known_router(app.oauth.policy())?;
    let mut direct = Direct::new(network.request_timeout);
    for (path, program) in program_services(Arc::clone(&app.oauth), &app.tasks) {
        direct.add(&path, program);
    }
    let resources = resources(app, builtins, stop, &mut direct);
    // Bounds how long a request with an incomplete body holds its connection, and delays a stop of
    // the server.
    let limit = network.request_timeout;
    let bounded = |router: Router| router.layer(TimeOut(limit));
    // A resource may have a host of its own.
    let hosts = protected.iter().filter_map(Upstream::host);
    let hosts: Vec<_> = network.allowed_hosts.iter().cloned().chain(hosts).collect();
    let hosts = Hosts::new(&app.issuer, &hosts, site);
    let served = builtins.iter().map(|(_, url, _)| path_of(url).to_owned());
    let served: Vec<_> = served.chain(protected.iter().map(Upstream::path)).collect();
    // Their calls have time-outs of their own.
    let protected =
        protect::router(app, protected, config.upstreams.max_upstream_calls, stop.ending());
    let elsewhere = bounded(resources.clone()).merge(protected.clone()).merge(documents.clone());
    let missing = missing::fallback(app, elsewhere);
    let written = middleware::from_fn_with_state(app.tasks.clone(), run_to_the_end);
    let as_pages = middleware::from_fn_with_state(Arc::clone(app), plain::as_pages);
    let timeout = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, limit);
    let pages = mounted(site, pages().layer(written))
        .layer(as_pages)
        .layer(timeout)
        .layer(middleware::map_response(plain::late_page))
        .with_state(Arc::clone(app));
    let own = programs.merge(endpoints_that_are_off(app)).merge(documents).merge(resources);
    let routes = bounded(own).merge(pages).merge(protected).fallback_service(missing);
    Ok(Front::new(Steps {
        proxies: TrustedProxies::new(network.trusted_proxies.iter().copied()),
        metrics: metrics.map(|metrics| metrics.of(site, served)),
        hosts,
        site: site.clone(),
        direct,
        routes,
        health: health::router(app, stop),
    }))
}

/// Returns the routes of the resources that the server serves itself. Adds the endpoint of MCP to
/// those that are found by their paths.
fn resources(
    app: &Arc<App>,
    builtins: &[(Builtin, String, String)],
    stop: &Stop,
    direct: &mut Direct,
) -> Router {
    let mut resources = Router::new();
    for (builtin, identifier, scope) in builtins {
        let path = path_of(identifier);
        #[expect(clippy::expect_used, reason = "the policy has the resource and its scopes")]
        let free = app.oauth.policy().needs(identifier, scope).expect("a known resource");
        let guard = |free: Needs, billed| {
            let paid = free.clone().billed();
            let resource = identifier.to_owned();
            Guard(Arc::new(Guarded { app: Arc::clone(app), resource, free, paid, billed }))
        };
        let route = match builtin {
            // The tools serve machines as well. What the API returns is a user's.
            Builtin::Mcp => {
                let guard = guard(free.machines(), Billed::Tools);
                let service = guard.layer(McpService::new(stop.ending().clone()));
                direct.add(path, service.clone());
                any_service(service)
            }
            Builtin::Api => {
                let recent = guard(free.clone().max_age(api::RECENT_LOGIN), Billed::None);
                let export = post(api::export).layer(recent);
                resources = resources.route(&format!("{path}/export"), export);
                get(api::whoami).layer(guard(free, Billed::All))
            }
        };
        resources = resources.route(path, route);
    }
    resources
}

/// Mounts the router under the path of the issuer. The front page is at the path with and without a
/// slash.
fn mounted(site: &Site, router: Router<Arc<App>>) -> Router<Arc<App>> {
    match site.prefix() {
        "" => router,
        prefix => Router::new().nest(prefix, router).route(&site.path("/"), get(login::home)),
    }
}

/// Returns routes for the endpoints of features that are off, which say so.
fn endpoints_that_are_off(app: &Arc<App>) -> Router {
    let on = app.oauth.policy().endpoints();
    let all = [
        (Endpoint::Revocation, "/oauth/revoke"),
        (Endpoint::Introspection, "/oauth/introspect"),
        (Endpoint::Registration, "/oauth/register"),
        (Endpoint::Management, "/oauth/register/{client_id}"),
    ];
    let is_off = |endpoint| on.iter().all(|own| own.endpoint != endpoint);
    let mut router = Router::new();
    for (endpoint, path) in all.into_iter().filter(|(endpoint, _)| is_off(*endpoint)) {
        let off = any(clients::off).with_state((Arc::clone(app), endpoint));
        router = router.route(&app.issuer.site().path(path), off);
    }
    // Without a route, `route_layer` panics, and `layer` would be on the fallback too.
    if router.has_routes() { router.route_layer(cors()) } else { router }
}

/// Returns the part of a URL after its origin.
fn path_of(url: &str) -> &str {
    let authority = url.find("://").map_or(0, |at| at + 3);
    url.get(authority..)
        .and_then(|rest| rest.find('/'))
        .and_then(|at| url.get(authority + at..))
        .unwrap_or("/")
}
