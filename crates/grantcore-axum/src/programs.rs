//! The endpoints that clients and resource servers call directly, without a browser.
//!
//! These are called most often. So each is one service, which is shared by its clones: axum clones
//! the service of a route for each request, with the state of its layers.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::{Path, Request};
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::any_service;
use axum::{RequestPartsExt as _, Router};
use grantcore::policy::EndpointUrl;
use grantcore::reason::Endpoint;
use grantcore::{Refusal, Reply};
use tower_layer::Layer as _;
use tower_service::Service;

use crate::body::{BodyError, read};
use crate::cors::{allow_cross_origin, cors};
use crate::endpoints::{BoxFuture, Endpoints, Received};
use crate::router::{RouterError, Routes, escape, internal_error, path_of, respond, source};
use crate::tasks::{Tasks, Work};

/// Mounts the endpoints that are called directly, without a browser.
pub(crate) fn programs(
    endpoints: &Arc<dyn Endpoints>,
    tasks: &Tasks,
    taken: &mut Routes,
) -> Result<Router, RouterError> {
    let mut router = Router::new().without_v07_checks();
    for entry in endpoints.policy().endpoints() {
        let path = match entry.endpoint {
            Endpoint::Authorization => continue,
            Endpoint::Management => {
                let path = path_of(&entry.url);
                format!("{}{{client_id}}", escape(path.strip_suffix("{client_id}").unwrap_or(path)))
            }
            _ => taken.claim(&entry.url)?,
        };
        let program = ProgramService::new(endpoints, tasks, entry.endpoint);
        let preflight = cors().layer(program.clone());
        router = router.route(&path, any_service(program).options_service(preflight));
    }
    Ok(router)
}

/// Returns the endpoints that are called directly and have one path, each with its path.
pub(crate) fn services(
    endpoints: &Arc<dyn Endpoints>,
    tasks: &Tasks,
) -> Vec<(String, ProgramService)> {
    let all = endpoints.policy().endpoints().into_iter().filter(|entry| {
        !matches!(entry.endpoint, Endpoint::Authorization | Endpoint::Management)
            && !entry.url.contains('?')
    });
    let service = |entry: &EndpointUrl| ProgramService::new(endpoints, tasks, entry.endpoint);
    all.map(|entry| (path_of(&entry.url).to_owned(), service(&entry))).collect()
}

/// An endpoint that is called directly.
struct Program {
    endpoints: Arc<dyn Endpoints>,
    tasks: Tasks,
    endpoint: Endpoint,
}

impl Program {
    /// Answers a request.
    async fn answer(&self, mut parts: Parts, body: Body) -> Response {
        let Self { endpoints, tasks, endpoint } = self;
        let client_id = match endpoint {
            // A path that is not UTF-8 names no client: the server refuses the empty id.
            Endpoint::Management => parts.extract().await.map(|Path(id)| id).unwrap_or_default(),
            _ => String::new(),
        };
        let work = match read(body, endpoints.policy()).await {
            Ok(body) => {
                Arc::clone(endpoints).answer(*endpoint, Received { parts, body, client_id })
            }
            Err(error) => self.refuse(error, source(&parts)),
        };
        let mut response = tasks.run_boxed(work).await.map_or_else(internal_error, respond);
        allow_cross_origin(response.headers_mut());
        response
    }

    /// Returns the response to a request whose body could not be read.
    fn refuse(&self, error: BodyError, source: String) -> Work<Reply> {
        let endpoints = Arc::clone(&self.endpoints);
        let refusal = Refusal::plain(error.reason(self.endpoint), self.endpoint);
        Box::pin(async move { endpoints.refuse(refusal, &source).await.reply(endpoints.policy()) })
    }
}

/// An endpoint that clients and resource servers call directly, as a tower service: see
/// [`program_services`](crate::program_services). A clone shares it.
#[derive(Clone)]
pub struct ProgramService(Arc<Program>);

impl ProgramService {
    fn new(endpoints: &Arc<dyn Endpoints>, tasks: &Tasks, endpoint: Endpoint) -> Self {
        let endpoints = Arc::clone(endpoints);
        Self(Arc::new(Program { endpoints, tasks: tasks.clone(), endpoint }))
    }
}

impl fmt::Debug for ProgramService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProgramService").field(&self.0.endpoint).finish()
    }
}

impl Service<Request> for ProgramService {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let program = Arc::clone(&self.0);
        let (parts, body) = request.into_parts();
        Box::pin(async move { Ok(program.answer(parts, body).await) })
    }
}
