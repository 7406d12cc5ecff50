//! The routes of the server, and the cross-origin rules of each.

mod admin;
mod api;
mod authorize;
mod clients;
mod connected;
mod consent;
mod guard;
mod health;
mod help;
mod login;
mod missing;
pub(crate) mod plain;
mod provider;
mod resume;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::routing::{any, get, post};
use grantcore::Needs;
use grantcore::reason::Endpoint;
use grantcore_axum::{RouterError, TrustedProxies, cors, program_router, well_known_router};
use tower_http::timeout::TimeoutLayer;

use self::guard::{Billed, Guarded};
use crate::app::App;
use crate::config::{Builtin, Config};
use crate::metrics::{HttpMetrics, measure};
use crate::network::hosts::{self, Hosts};
use crate::protect::{self, Upstream};
use crate::provider::CALLBACK;
use crate::site::{self, Site};
use crate::stop::Stop;
use crate::tasks::run_to_the_end;
use crate::{mcp, pages, telemetry};

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

/// Builds the router of the whole server. `builtins` are the resources that it serves itself, with
/// the scope that each requires. `protected` are the upstreams that it puts OAuth in front of.
pub(crate) fn router(
    app: &Arc<App>,
    builtins: &[(Builtin, String, String)],
    protected: Vec<Upstream>,
    config: &Config,
    stop: &Stop,
    metrics: Option<&HttpMetrics>,
) -> Result<Router, RouterError> {
    let network = &config.network;
    let site = app.issuer.site();
    // The library's whole URLs contain the path of the issuer already.
    let programs = program_router(Arc::clone(&app.oauth), &app.tasks)?;
    let documents = well_known_router(app.oauth.policy())?;
    let mut resources = Router::new();
    for (builtin, identifier, scope) in builtins {
        let path = path_of(identifier);
        let (billed, route) = match builtin {
            Builtin::Mcp => (Billed::Tools, mcp::service(stop.ending().clone())),
            Builtin::Api => (Billed::All, get(api::whoami)),
        };
        #[expect(clippy::expect_used, reason = "the policy has the resource and its scopes")]
        let free = app.oauth.policy().needs(identifier, scope).expect("a known resource");
        // The tools serve machines as well. What the API returns is a user's.
        let free = if *builtin == Builtin::Mcp { free.machines() } else { free };
        let guarded = |needs: Needs, billed| {
            let paid = needs.clone().billed();
            let resource = identifier.to_owned();
            let app = Arc::clone(app);
            let guarded = Arc::new(Guarded { app, resource, free: needs, paid, billed });
            middleware::from_fn_with_state(guarded, guard::guard)
        };
        if *builtin == Builtin::Api {
            let recent = free.clone().max_age(api::RECENT_LOGIN);
            let export = post(api::export).layer(guarded(recent, Billed::None));
            resources = resources.route(&format!("{path}/export"), export);
        }
        resources = resources.route(path, route.layer(guarded(free, billed)));
    }
    let resources = resources.layer(cors().expose_headers([
        header::RETRY_AFTER,
        header::WWW_AUTHENTICATE,
        header::HeaderName::from_static("mcp-session-id"),
        header::HeaderName::from_static("x-correlation-id"),
        guard::LOW_BALANCE,
    ]));

    // Bounds how long a request with an incomplete body holds its connection, and delays a stop of
    // the server.
    let timeout =
        TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, network.request_timeout);
    let bounded =
        |router: Router| router.layer(timeout).layer(middleware::map_response(plain::late_error));
    // A resource may have a host of its own.
    let hosts = protected.iter().filter_map(Upstream::host);
    let hosts: Vec<_> = network.allowed_hosts.iter().cloned().chain(hosts).collect();
    let hosts = Hosts::new(&app.issuer, &hosts, site);
    let proxies = TrustedProxies::new(network.trusted_proxies.iter().copied());
    let served = builtins.iter().map(|(_, url, _)| path_of(url).to_owned());
    let served: Vec<_> = served.chain(protected.iter().map(Upstream::path)).collect();
    // Their calls have time-outs of their own.
    let protected =
        protect::router(app, protected, config.upstreams.max_upstream_calls, stop.ending());
    let elsewhere = bounded(resources.clone()).merge(protected.clone()).merge(documents.clone());
    let missing = missing::fallback(app, elsewhere);
    let written = middleware::from_fn_with_state(app.tasks.clone(), run_to_the_end);
    let as_pages = middleware::from_fn_with_state(Arc::clone(app), plain::as_pages);
    let pages = mounted(site, pages().layer(written))
        .layer(as_pages)
        .layer(timeout)
        .layer(middleware::map_response(plain::late_page))
        .with_state(Arc::clone(app));
    let own = programs.merge(endpoints_that_are_off(app)).merge(documents).merge(resources);
    let router = bounded(own)
        .merge(pages)
        .merge(protected)
        .fallback_service(missing)
        .layer(middleware::from_fn_with_state(hosts, hosts::admit))
        .layer(middleware::from_fn_with_state(site.clone(), site::finish))
        .layer(telemetry::http())
        .layer(proxies);
    let router = match metrics {
        Some(metrics) => {
            router.layer(middleware::from_fn_with_state(metrics.of(site, served), measure))
        }
        None => router,
    };
    Ok(router.merge(health::router(app, stop)))
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
