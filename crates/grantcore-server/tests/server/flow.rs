//! Tests of the whole flow over real HTTP. The client is the `oauth2` crate, and it starts from the
//! URL of the resource.

use crate::support::client::redemption;
use crate::support::{Browser, CALLBACK, authorization_url, form, param, plain_client, start};
use oauth2::basic::{BasicClient, BasicErrorResponseType};
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
    PkceCodeChallenge, RedirectUrl, RefreshToken, RequestTokenError, TokenResponse, TokenUrl,
};
use serde_json::{Value, json};

type Oauth = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

async fn document(url: &str) -> Value {
    let response = plain_client(false).get(url).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &"application/json".parse().unwrap())
    );
    response.json().await.unwrap()
}

/// Returns the server's metadata, found as a client finds them: by an unauthenticated call.
async fn discover(resource: &str) -> Value {
    let refused = plain_client(false).post(resource).json(&json!({})).send().await.unwrap();
    assert_eq!(refused.status(), 401);
    let challenge = refused.headers()["www-authenticate"].to_str().unwrap();
    assert!(!challenge.contains("error="), "{challenge}");
    let metadata =
        challenge.strip_prefix("Bearer resource_metadata=\"").unwrap().split('"').next().unwrap();
    let resource_document = document(metadata).await;
    assert_eq!(resource_document["resource"], resource);
    let issuer = resource_document["authorization_servers"][0].as_str().unwrap();
    let server_document =
        document(&format!("{issuer}/.well-known/oauth-authorization-server")).await;
    assert_eq!(server_document["issuer"], issuer);
    server_document
}

fn client(metadata: &Value, id: &str) -> Oauth {
    let url = |name: &str| metadata[name].as_str().unwrap().to_owned();
    BasicClient::new(ClientId::new(id.into()))
        .set_auth_uri(AuthUrl::new(url("authorization_endpoint")).unwrap())
        .set_token_uri(TokenUrl::new(url("token_endpoint")).unwrap())
        .set_redirect_uri(RedirectUrl::new(CALLBACK.into()).unwrap())
}

async fn mcp(resource: &str, token: &str) -> reqwest::Response {
    let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"}}});
    let call = plain_client(false)
        .post(resource)
        .bearer_auth(token)
        .header("accept", "application/json, text/event-stream");
    call.json(&initialize).send().await.unwrap()
}

/// Authorizes and redeems the code, and returns access and refresh token.
async fn tokens(
    oauth: &Oauth,
    issuer: &str,
    resource: &str,
    user: &'static str,
) -> (String, String) {
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state) = oauth
        .authorize_url(CsrfToken::new_random)
        .set_pkce_challenge(challenge)
        .add_extra_param("resource", resource)
        .url();
    let answer = Browser::new(user).authorize(url.as_str(), "allow").await;
    assert!(answer.as_str().starts_with(CALLBACK), "{answer}");
    assert_eq!(
        (param(&answer, "state").as_deref(), param(&answer, "iss").as_deref()),
        (Some(&**state.secret()), Some(issuer))
    );
    let code = AuthorizationCode::new(param(&answer, "code").unwrap());
    let http = http();
    let granted =
        oauth.exchange_code(code).set_pkce_verifier(verifier).request_async(&http).await.unwrap();
    assert_eq!(granted.expires_in().unwrap().as_secs(), 3600);
    (granted.access_token().secret().clone(), granted.refresh_token().unwrap().secret().clone())
}

fn http() -> oauth2::reqwest::Client {
    oauth2::reqwest::Client::builder()
        .redirect(oauth2::reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

#[tokio::test]
async fn from_a_refused_call_to_a_revoked_family() {
    let server = start(&[]).await;
    let issuer = server.issuer().to_owned();
    let resource = format!("{issuer}/mcp");
    let metadata = discover(&resource).await;
    let oauth = client(&metadata, "demo-public");
    let (access, refresh) = tokens(&oauth, &issuer, &resource, "alice").await;
    let answer = mcp(&resource, &access).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.json::<Value>().await.unwrap()["result"]["serverInfo"]["name"],
        "grantcore-server"
    );

    let old = RefreshToken::new(refresh);
    let renewed = oauth.exchange_refresh_token(&old).request_async(&http()).await.unwrap();
    let newest = renewed.access_token().secret().clone();
    assert_eq!(
        (
            mcp(&resource, &access).await.status().as_u16(),
            mcp(&resource, &newest).await.status().as_u16()
        ),
        (200, 200)
    );

    let replay = oauth.exchange_refresh_token(&old).request_async(&http()).await;
    let Err(RequestTokenError::ServerResponse(error)) = replay else {
        panic!("a replay was accepted: {replay:?}")
    };
    assert_eq!(error.error(), &BasicErrorResponseType::InvalidGrant);
    for dead in [access, newest] {
        let refused = mcp(&resource, &dead).await;
        assert_eq!(refused.status(), 401);
        assert!(
            refused.headers()["www-authenticate"]
                .to_str()
                .unwrap()
                .contains("error=\"invalid_token\"")
        );
        assert_eq!(refused.json::<Value>().await.unwrap()["error"], "invalid_token");
    }
    let successor = renewed.refresh_token().unwrap();
    assert!(oauth.exchange_refresh_token(successor).request_async(&http()).await.is_err());
    server.stop().await.unwrap();
}

#[tokio::test]
async fn the_confidential_client_needs_its_secret() {
    let server = start(&[]).await;
    let resource = format!("{}/api", server.issuer());
    let metadata =
        document(&format!("{}/.well-known/oauth-authorization-server", server.issuer())).await;
    let oauth = client(&metadata, "demo-confidential");
    let proved =
        oauth.clone().set_client_secret(ClientSecret::new("demo-confidential-secret".into()));
    let (access, refresh) = tokens(&proved, server.issuer(), &resource, "bob").await;
    let me: Value = plain_client(false)
        .get(&resource)
        .bearer_auth(&access)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(me["subject"], "bob");
    assert_eq!(me["client_id"], "demo-confidential");

    let unproved = oauth
        .exchange_refresh_token(&RefreshToken::new(refresh.clone()))
        .request_async(&http())
        .await;
    let Err(RequestTokenError::ServerResponse(error)) = unproved else {
        panic!("the request was accepted without a secret: {unproved:?}")
    };
    assert_eq!(error.error(), &BasicErrorResponseType::InvalidClient);
    assert!(
        proved
            .exchange_refresh_token(&RefreshToken::new(refresh))
            .request_async(&http())
            .await
            .is_ok()
    );
    server.stop().await.unwrap();
}

#[tokio::test]
async fn each_resource_refuses_the_others_tokens() {
    let server = start(&[]).await;
    let mcp_url = format!("{}/mcp", server.issuer());
    let api_url = format!("{}/api", server.issuer());
    let metadata = discover(&mcp_url).await;
    let oauth = client(&metadata, "demo-public");
    let (for_mcp, _) = tokens(&oauth, server.issuer(), &mcp_url, "alice").await;
    let (for_api, _) = tokens(&oauth, server.issuer(), &api_url, "alice").await;
    let api = async |token: &str| {
        plain_client(false).get(&api_url).bearer_auth(token).send().await.unwrap().status().as_u16()
    };
    assert_eq!((mcp(&mcp_url, &for_mcp).await.status().as_u16(), api(&for_api).await), (200, 200));
    assert_eq!((mcp(&mcp_url, &for_api).await.status().as_u16(), api(&for_mcp).await), (401, 401));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_denial_redirects_and_a_bad_request_shows_a_page() {
    let server = start(&[]).await;
    let url = authorization_url(server.issuer(), &format!("{}/mcp", server.issuer()));
    let browser = Browser::new("alice");
    let answer = browser.authorize(&url, "deny").await;
    assert_eq!(param(&answer, "error").as_deref(), Some("access_denied"));
    assert_eq!((param(&answer, "state").as_deref(), param(&answer, "code")), (Some("xyz"), None));

    for (change, code) in [
        ("client_id=nobody", "invalid_client"),
        ("redirect_uri=https%3A%2F%2Fevil.example%2F", "invalid_request"),
    ] {
        let name = change.split('=').next().unwrap();
        let kept: Vec<_> = url
            .split('&')
            .flat_map(|part| part.split('?'))
            .filter(|part| !part.starts_with(name))
            .collect();
        let bad = format!("{}?{}&{change}", kept[0], kept[1..].join("&"));
        let page = browser.http.get(&bad).send().await.unwrap();
        assert_eq!(
            (page.status().as_u16(), page.headers().get("location")),
            (400, None),
            "{change}"
        );
        assert!(
            page.headers()["content-security-policy"]
                .to_str()
                .unwrap()
                .contains("frame-ancestors 'none'")
        );
        assert_eq!(
            (&page.headers()["x-frame-options"], &page.headers()["cache-control"]),
            (&"DENY".parse().unwrap(), &"no-store".parse().unwrap())
        );
        let html = page.text().await.unwrap();
        assert!(
            html.contains(code) && !html.contains("Allow") && !html.contains("<form"),
            "{html}"
        );
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_refused_method_is_answered_with_the_allowed_methods_and_a_correlation_id() {
    let server = start(&[]).await;
    for (path, allowed) in [("/oauth/authorize", "GET, POST"), ("/oauth/token", "POST")] {
        let answer =
            plain_client(false).put(format!("{}{path}", server.issuer())).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.headers()["allow"].to_str().unwrap()),
            (405, allowed)
        );
        assert_eq!(answer.headers()["x-correlation-id"].len(), 32);
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_consent_page_works_once_and_only_in_its_own_browser() {
    let server = start(&[]).await;
    let url = authorization_url(server.issuer(), &format!("{}/mcp", server.issuer()));
    let alice = Browser::new("alice");
    let bob = Browser::new("bob");
    let page = alice.consent_page(&url).await;
    let other = bob.consent_page(&url).await;
    assert_ne!(form(&page).fields, form(&other).fields);
    let stolen = bob.submit(&url, &page, "allow").await;
    assert_eq!((stolen.status().as_u16(), stolen.headers().get("location")), (400, None));
    assert!(param(&alice.press(&url, &page, "allow").await, "code").is_some());
    let again = alice.submit(&url, &page, "allow").await;
    assert_eq!(again.status(), 400);
    assert!(again.text().await.unwrap().contains("consent_used"));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn the_user_may_leave_a_scope_out() {
    let server = start(&[]).await;
    let url = authorization_url(server.issuer(), &format!("{}/api", server.issuer()));
    let browser = Browser::new("alice");
    let page = browser.consent_page(&url).await;
    let mut fields = form(&page).fields;
    // Unticked.
    fields.retain(|(name, value)| (&**name, &**value) != ("scope", "notes"));
    fields.push(("decision".into(), "allow".into()));
    let answer = browser
        .http
        .post(format!("{}/oauth/consent", server.issuer()))
        .form(&fields)
        .send()
        .await
        .unwrap();
    let location = reqwest::Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap();
    let code = param(&location, "code").unwrap();
    let tokens = plain_client(false)
        .post(format!("{}/oauth/token", server.issuer()))
        .form(&redemption("demo-public", &code))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (tokens.status().as_u16(), &tokens.headers()["cache-control"]),
        (200, &"no-store".parse().unwrap())
    );
    assert_eq!(tokens.json::<Value>().await.unwrap()["scope"], "profile");
    server.stop().await.unwrap();
}
