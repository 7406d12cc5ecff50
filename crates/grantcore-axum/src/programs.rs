//! The endpoints that clients and resource servers call directly, without a browser.
//!
//! These are called most often. So each is one service, which is shared by its clones: axum clones
//! the service of a route for each request, with the state of its layers.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::{Path, Request};
use axum::response::Response;
use axum::routing::any_service;
use axum::{RequestPartsExt as _, Router};
use grantcore::reason::Endpoint;
use grantcore::{Refusal, RequestParts};
use tower_layer::Layer as _;
use tower_service::Service;

use crate::body::read;
use crate::cors::{allow_cross_origin, cors};
use crate::endpoints::{BoxFuture, Endpoints};
use crate::router::{RouterError, Routes, escape, internal_error, path_of, respond, source};
use crate::tasks::Tasks;

/// Mounts the endpoints that are called directly, without a browser.
pub(crate) fn programs(
    endpoints: &Arc<dyn Endpoints>,
    tasks: &Tasks,
    taken: &mut Routes,
) -> Result<Router, RouterError> {
    let mut router = Router::new().without_v07_checks();
    for entry in endpoints.policy().endpoints() {
        let endpoint = entry.endpoint;
        let path = match endpoint {
            Endpoint::Authorization => continue,
            Endpoint::Management => {
                let path = path_of(&entry.url);
                format!("{}{{client_id}}", escape(path.strip_suffix("{client_id}").unwrap_or(path)))
            }
            _ => taken.claim(&entry.url)?,
        };
        let endpoints = Arc::clone(endpoints);
        let program =
            ProgramService(Arc::new(Program { endpoints, tasks: tasks.clone(), endpoint }));
        let preflight = cors().layer(program.clone());
        router = router.route(&path, any_service(program).options_service(preflight));
    }
    Ok(router)
}

/// An endpoint that is called directly.
struct Program {
    endpoints: Arc<dyn Endpoints>,
    tasks: Tasks,
    endpoint: Endpoint,
}

impl Program {
    /// Answers a request.
    async fn answer(self: Arc<Self>, request: Request) -> Response {
        let (mut parts, body) = request.into_parts();
        let client_id = match self.endpoint {
            // A path that is not UTF-8 names no client: the server refuses the empty id.
            Endpoint::Management => parts.extract().await.map(|Path(id)| id).unwrap_or_default(),
            _ => String::new(),
        };
        let body = read(body, self.endpoints.policy()).await;
        let program = Arc::clone(&self);
        let answered = self.tasks.run(async move {
            let Program { endpoints, endpoint, .. } = &*program;
            let source = source(&parts);
            let body = match body {
                Ok(body) => body,
                Err(error) => {
                    let refusal = Refusal::plain(error.reason(*endpoint), *endpoint);
                    return endpoints.refuse(refusal, &source).await.reply(endpoints.policy());
                }
            };
            let request =
                RequestParts { source: &source, ..RequestParts::from_http(&parts, &body) };
            endpoints.answer(*endpoint, &client_id, &request).await
        });
        answered.await.map_or_else(internal_error, respond)
    }
}

/// The service of an endpoint that is called directly. A clone shares it, because axum clones the
/// service of a route for each request.
#[derive(Clone)]
struct ProgramService(Arc<Program>);

impl Service<Request> for ProgramService {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let answered = Arc::clone(&self.0).answer(request);
        Box::pin(async move {
            let mut response = answered.await;
            allow_cross_origin(response.headers_mut());
            Ok(response)
        })
    }
}
