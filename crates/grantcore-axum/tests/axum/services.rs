//! Tests of the endpoints for programs as services.

use std::sync::Arc;

use crate::support::{policy, send, server};
use axum::Router;
use axum::http::Request;
use grantcore_axum::{Tasks, program_router, program_services};

#[tokio::test]
async fn meta_07_a_service_answers_as_the_route_of_its_path() {
    let (server, _) = server(policy().build().unwrap());
    let programs = program_router(Arc::clone(&server), &Tasks::default()).unwrap();
    let services = program_services(Arc::clone(&server), &Tasks::default());
    let paths: Vec<_> = services.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["/oauth/token", "/oauth/revoke", "/oauth/introspect", "/oauth/register"]);
    for (path, service) in &services {
        let service = Router::new().fallback_service(service.clone());
        for method in ["GET", "POST", "DELETE"] {
            let ask = async |app: &Router| {
                let request = Request::builder().method(method).uri(path);
                let answer = send(app, request.body("x".into()).unwrap()).await;
                // The HTTP server adds the length if the router has not.
                let mut names: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
                names.retain(|name| name != "content-length");
                names.sort();
                (answer.status, names, answer.body)
            };
            assert_eq!(ask(&service).await, ask(&programs).await, "{method} {path}");
        }
    }
}
