//! The way of every request to its route, and of the response back: the source, the log, the
//! metrics, the host, and what all pages have in common.
//!
//! axum has layers for such steps. For each request, it clones the boxed services of all layers of
//! a route, and each layer clones those within it once more. With ten layers, that is 55 boxes. So
//! these steps are one service that is borrowed, and a layer is for what only some routes have.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use grantcore_axum::TrustedProxies;

use super::Connection;
use super::hosts::Hosts;
use super::serve::Application;
use crate::metrics::Measured;
use crate::routes::health;
use crate::site::{self, Site};
use crate::telemetry::LoggedRequest;

/// The whole server behind its listener. A clone shares it.
#[derive(Clone)]
pub(crate) struct Front(Arc<Steps>);

/// The steps of a request.
pub(crate) struct Steps {
    pub(crate) proxies: TrustedProxies,
    /// `None` if nothing is measured.
    pub(crate) metrics: Option<Measured>,
    pub(crate) hosts: Hosts,
    pub(crate) site: Site,
    pub(crate) routes: Router,
    /// The routes of `health.rs`, which take no other step.
    pub(crate) health: Router,
}

impl Front {
    pub(crate) fn new(steps: Steps) -> Self {
        Self(Arc::new(steps))
    }
}

impl Application for Front {
    async fn respond(&self, mut request: Request) -> Response {
        let Steps { proxies, metrics, hosts, site, routes, health } = &*self.0;
        if health::is_own(request.uri().path()) {
            return health.respond(request).await;
        }
        let measured = metrics.as_ref().map(|own| own.begin(request.uri().path()));
        let connection = request.extensions().get::<Arc<Connection>>();
        if let Some(peer) = connection.map(|own| own.peer) {
            let source = proxies.source(peer, request.headers());
            request.extensions_mut().insert(source);
        }
        let logged = LoggedRequest::of(&request);
        let answered = async {
            let response = match hosts.refusal(&request) {
                Some(refusal) => refusal,
                None => routes.respond(request).await,
            };
            site::finish(site, response)
        };
        let response = logged.answer(answered).await;
        if let Some(measured) = measured {
            measured.end(response.status());
        }
        response
    }
}
