//! The way of every request to its route, and of the response back: the source, the log, the
//! metrics, the host, and what all pages have in common.
//!
//! axum has layers for such steps. For each request, it clones the boxed services of all layers of
//! a route, and each layer clones those within it once more. With ten layers, that is 55 boxes. So
//! these steps are one service that is borrowed, and a layer is for what only some routes have.
//!
//! The endpoints that programs call most often are found by their paths before the router, which
//! takes as long for one of them as a check of a token.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use axum::response::Response;
use grantcore_axum::TrustedProxies;
use tower::Service;

use super::Connection;
use super::hosts::Hosts;
use super::serve::Application;
use crate::metrics::Measured;
use crate::routes::health;
use crate::routes::time_out::within;
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
    /// The endpoints that are called most often, which are among the routes too.
    pub(crate) direct: Direct,
    pub(crate) routes: Router,
    /// The routes of `health.rs`, which take no other step.
    pub(crate) health: Router,
}

/// The endpoints that are found by their paths, each with its path.
pub(crate) struct Direct {
    endpoints: Vec<(String, Box<dyn Endpoint>)>,
    /// The time-out of each.
    limit: Duration,
}

impl Direct {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { endpoints: Vec::new(), limit }
    }

    pub(crate) fn add(&mut self, path: &str, endpoint: impl Endpoint + 'static) {
        self.endpoints.push((path.to_owned(), Box::new(endpoint)));
    }

    /// Returns the endpoint of a request. Requests with other methods, such as those of preflights,
    /// are for the router.
    fn find(&self, request: &Request) -> Option<&dyn Endpoint> {
        let path = request.uri().path();
        let (_, found) = self.endpoints.iter().find(|(own, _)| own == path)?;
        matches!(*request.method(), Method::GET | Method::POST).then_some(&**found)
    }
}

/// A service that is always ready, and whose future is on the heap.
pub(crate) trait Endpoint: Send + Sync {
    fn respond(&self, request: Request) -> Answer;
}

pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

impl<S> Endpoint for S
where
    S: Service<Request, Response = Response, Error = Infallible, Future = Answer>,
    S: Clone + Send + Sync,
{
    fn respond(&self, request: Request) -> Answer {
        self.clone().call(request)
    }
}

impl Front {
    pub(crate) fn new(steps: Steps) -> Self {
        Self(Arc::new(steps))
    }
}

impl Application for Front {
    async fn respond(&self, mut request: Request, connection: &Arc<Connection>) -> Response {
        let Steps { proxies, metrics, hosts, site, direct, routes, health } = &*self.0;
        if health::is_own(request.uri().path()) {
            return health.respond(request, connection).await;
        }
        let measured = metrics.as_ref().map(|own| own.begin(request.uri().path()));
        let source = proxies.source(connection.peer, request.headers());
        request.extensions_mut().insert(source);
        let logged = LoggedRequest::of(&request);
        let answered = async {
            let response = if let Some(refusal) = hosts.refusal(&request, connection.local) {
                refusal
            } else if let Some(endpoint) = direct.find(&request) {
                within(direct.limit, endpoint.respond(request)).await
            } else {
                request.extensions_mut().insert(Arc::clone(connection));
                routes.respond(request, connection).await
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
