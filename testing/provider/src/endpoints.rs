//! The endpoints of the provider.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use url::Url;

use crate::{CLIENT_ID, CLIENT_SECRET, Fault, Place, Provider, keys as crypto};

pub(crate) async fn document(State(provider): State<Provider>) -> Response {
    if let Some(fault) = provider.fault(Place::Document, "/.well-known/openid-configuration").await
    {
        return fault;
    }
    let issuer = provider.issuer();
    let state = provider.state();
    let is = |fault| state.faults.contains(&fault);
    let algorithms = if is(Fault::WeakAlgorithms) {
        json!(["none", "HS256"])
    } else {
        json!([state.key.algorithm().name(), "HS256", "none"])
    };
    Json(json!({
        "issuer": if is(Fault::DocumentOfOther) { "https://other.example" } else { issuer },
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
        "authorization_response_iss_parameter_supported": true,
        "code_challenge_methods_supported": ["S256"],
    }))
    .into_response()
}

pub(crate) async fn keys(State(provider): State<Provider>) -> Response {
    if let Some(fault) = provider.fault(Place::Keys, "/keys").await {
        return fault;
    }
    let state = provider.state();
    Json(json!({ "keys": [state.key.public(&state.kid())] })).into_response()
}

pub(crate) async fn authorize(
    State(provider): State<Provider>,
    Query(request): Query<HashMap<String, String>>,
) -> Response {
    assert_eq!(request["client_id"], CLIENT_ID);
    assert_eq!(request["code_challenge_method"], "S256");
    let mut state = provider.state();
    let is = |fault| state.faults.contains(&fault);
    let mut back = Url::parse(&request["redirect_uri"]).unwrap();
    back.query_pairs_mut().append_pair("state", &request["state"]);
    if is(Fault::ResponseOfOther) {
        back.query_pairs_mut().append_pair("iss", "https://other.example");
    } else if !is(Fault::ResponseWithoutIssuer) {
        back.query_pairs_mut().append_pair("iss", provider.issuer());
    }
    let refused = |error| {
        let mut back = back.clone();
        back.query_pairs_mut().append_pair("error", error);
        back
    };
    if is(Fault::ServerError) {
        return Redirect::to(refused("server_error").as_str()).into_response();
    }
    let cancelled = refused("access_denied");
    state.codes += 1;
    let code = format!("code-{}", state.codes);
    back.query_pairs_mut().append_pair("code", &code);
    state.requests.insert(code, request);
    if !state.requires_approval {
        return Redirect::to(back.as_str()).into_response();
    }
    let link = |url: &Url, text| {
        format!("<p><a href=\"{}\">{text}</a></p>", url.as_str().replace('&', "&amp;"))
    };
    let links = link(&back, "Approve") + &link(&cancelled, "Cancel");
    let page = "<!doctype html><html lang=\"en\"><title>The provider</title><h1>The provider</h1>";
    Html(format!("{page}{links}")).into_response()
}

pub(crate) async fn token(
    State(provider): State<Provider>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    if let Some(fault) = provider.fault(Place::Token, "/token").await {
        return fault;
    }
    let refused = |status: StatusCode, code: &str| {
        // A description that no log of a server may repeat.
        let body = json!({ "error": code, "error_description": "alice@example.com" });
        (status, Json(body)).into_response()
    };
    let basic = format!("Basic {}", STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}")));
    let is_refused = provider.state().faults.contains(&Fault::RefusesClient);
    if is_refused || headers.get(header::AUTHORIZATION).is_none_or(|own| *own != *basic) {
        return refused(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    let request = provider.state().requests.remove(form.get("code").map_or("", String::as_str));
    let Some(request) = request else {
        return refused(StatusCode::BAD_REQUEST, "invalid_grant");
    };
    let verifier = form.get("code_verifier").map_or("", String::as_str);
    let is_own = crypto::sha256(verifier) == request["code_challenge"]
        && form.get("redirect_uri") == request.get("redirect_uri");
    if !is_own {
        return refused(StatusCode::BAD_REQUEST, "invalid_grant");
    }
    let mut tokens = json!({
        "access_token": "of-the-provider", "token_type": "bearer",
        "id_token": provider.id_token(&request),
    });
    if provider.state().faults.contains(&Fault::NoIdToken) {
        tokens.as_object_mut().unwrap().remove("id_token");
    }
    Json(tokens).into_response()
}
