//! The requests of a client: its registration, and its form for the token endpoint.

use reqwest::Url;
use serde_json::Value;

use super::{CALLBACK, VERIFIER, param, plain_client};

/// Returns the form that redeems a code of a public client that is redirected to [`CALLBACK`].
pub fn redemption<'f>(client_id: &'f str, code: &'f str) -> [(&'f str, &'f str); 5] {
    [
        ("grant_type", "authorization_code"),
        ("client_id", client_id),
        ("redirect_uri", CALLBACK),
        ("code", code),
        ("code_verifier", VERIFIER),
    ]
}

/// Sends a form to the token endpoint, and returns the status and the body of the response.
pub async fn token(issuer: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let url = format!("{issuer}/oauth/token");
    let answer = plain_client(false).post(url).form(form).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// Redeems the code in the redirect to a public client, and returns the token response.
pub async fn redeem(issuer: &str, client_id: &str, redirect: &Url) -> Value {
    let code = param(redirect, "code").unwrap_or_else(|| panic!("no code: {redirect}"));
    let (status, body) = token(issuer, &redemption(client_id, &code)).await;
    assert_eq!(status, 200, "{body}");
    body
}

/// Registers a client with these metadata, and returns the response.
pub async fn register(issuer: &str, metadata: &Value) -> Value {
    let url = format!("{issuer}/oauth/register");
    let answer = plain_client(false).post(url).json(metadata).send().await.unwrap();
    let status = answer.status();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(status, 201, "{body}");
    body
}
