//! Tests of an issuer with a path: all routes are under it, and no link leads out of it.

use grantcore_server::Running;
use serde_json::{Value, json};

use super::{call, header};
use crate::support::client::redeem;
use crate::support::{Browser, authorization_url, form, plain_client};

/// Starts a server whose issuer is `http://127.0.0.1:PORT/auth`.
async fn start(more: &[&str]) -> Running {
    let port = grantcore_testing_servers::free_port();
    let listen = format!("127.0.0.1:{port}");
    let issuer = format!("http://{listen}/auth");
    let arguments = ["grantcore-server", "--database", "memory:", "--listen", &listen];
    let arguments = arguments.iter().copied().chain(["--issuer", &issuer]);
    Running::start(arguments.chain(more.iter().copied())).await.unwrap()
}

/// Returns the origin of the issuer.
fn origin(server: &Running) -> &str {
    server.issuer().strip_suffix("/auth").unwrap()
}

async fn document(url: &str) -> Value {
    let response = plain_client(false).get(url).send().await.unwrap();
    assert_eq!(response.status(), 200, "{url}");
    response.json().await.unwrap()
}

#[tokio::test]
async fn f21_the_whole_flow_runs_under_the_path() {
    let server = start(&[]).await;
    let issuer = server.issuer();
    let resource = format!("{issuer}/mcp");
    let http = plain_client(false);

    let refused = http.post(&resource).json(&json!({})).send().await.unwrap();
    assert_eq!(refused.status(), 401);
    let expected = format!(
        "resource_metadata=\"{}/.well-known/oauth-protected-resource/auth/mcp\"",
        origin(&server)
    );
    assert!(header(&refused, "www-authenticate").contains(&expected));
    let metadata =
        document(&format!("{}/.well-known/oauth-protected-resource/auth/mcp", origin(&server)))
            .await;
    assert_eq!(
        (&metadata["resource"], &metadata["authorization_servers"][0]),
        (&json!(resource), &json!(issuer))
    );

    let browser = Browser::new("alice");
    let url = authorization_url(issuer, &resource);
    let unknown = browser.http.get(&url).send().await.unwrap();
    assert!(header(&unknown, "location").starts_with("/auth/login"), "{:?}", unknown.headers());
    let admin = http.get(format!("{issuer}/admin/log?subject=a")).send().await.unwrap();
    assert_eq!(header(&admin, "location"), "/auth/login?next=%2Fadmin%2Flog%3Fsubject%3Da");
    let page = browser.consent_page(&url).await;
    assert_eq!(form(&page).action, "/auth/oauth/consent");
    let redirect = browser.press(&url, &page, "allow").await;
    let tokens = redeem(issuer, "demo-public", &redirect).await;
    let token = tokens["access_token"].as_str().unwrap();
    let refresh = [
        ("grant_type", "refresh_token"),
        ("client_id", "demo-public"),
        ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
    ];
    let rotated = http.post(format!("{issuer}/oauth/token")).form(&refresh).send().await.unwrap();
    assert_eq!(rotated.status(), 200);
    let called = call(&resource, token).await;
    assert_eq!(called.status(), 200);
    assert_eq!(
        called.json::<Value>().await.unwrap()["result"]["serverInfo"]["name"],
        "grantcore-server"
    );

    // Ends the connection by the links and forms of the pages.
    let list = browser.http.get(format!("{issuer}/settings/connected-apps")).send().await.unwrap();
    let list = list.text().await.unwrap();
    let confirm = list.split("href=\"").find(|link| link.contains("/disconnect\"")).unwrap();
    let confirm = format!("{}{}", origin(&server), confirm.split('"').next().unwrap());
    let page = browser.http.get(&confirm).send().await.unwrap().text().await.unwrap();
    let form = form(&page);
    let ended = browser
        .http
        .post(format!("{}{}", origin(&server), form.action))
        .form(&form.fields)
        .send()
        .await
        .unwrap();
    assert!(header(&ended, "location").starts_with("/auth/settings/connected-apps?ended="));
    assert_eq!(call(&resource, token).await.status(), 401);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn f21_every_document_is_at_its_well_known_address_and_names_the_path() {
    let server = start(&[]).await;
    let issuer = server.issuer();
    for path in [
        "/.well-known/oauth-authorization-server/auth",
        "/auth/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server",
    ] {
        let metadata = document(&format!("{}{path}", origin(&server))).await;
        assert_eq!(metadata["issuer"], issuer, "{path}");
        for name in ["authorization", "token", "registration", "revocation", "introspection"] {
            let endpoint = metadata[format!("{name}_endpoint")].as_str().unwrap();
            assert!(endpoint.starts_with(&format!("{issuer}/oauth/")), "{endpoint}");
        }
    }
    for (path, resource) in [
        ("/.well-known/oauth-protected-resource/auth/mcp", "/mcp"),
        ("/.well-known/oauth-protected-resource/auth/api", "/api"),
        ("/.well-known/oauth-protected-resource", "/mcp"),
    ] {
        let metadata = document(&format!("{}{path}", origin(&server))).await;
        assert_eq!(metadata["resource"], format!("{issuer}{resource}"), "{path}");
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn f21_links_forms_redirects_and_cookies_stay_under_the_path() {
    let server = start(&[]).await;
    let admin = Browser::new("admin");
    let start = format!("{}/admin", server.issuer());
    let page = admin.consent_page(&start).await;
    assert!(page.contains("Find a case"), "the login leads back: {page}");

    let mut open = vec!["/auth".to_owned(), "/auth/".to_owned()];
    let mut seen = 0;
    while let Some(path) = open.get(seen).cloned() {
        seen += 1;
        let response = admin.http.get(format!("{}{path}", origin(&server))).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        for cookie in response.headers().get_all("set-cookie") {
            let is_under = cookie.to_str().unwrap().split("; ").any(|part| part == "Path=/auth");
            assert!(is_under, "{path}: {cookie:?}");
        }
        let page = response.text().await.unwrap();
        let own = page.split("href=\"").skip(1).chain(page.split("action=\"").skip(1)).filter_map(
            |rest| {
                let target = rest.split('"').next()?.replace("&#38;", "&").replace("&amp;", "&");
                // Each fragment is of a page that is walked anyway.
                let target = target.split('#').next()?;
                target.starts_with('/').then(|| target.to_owned())
            },
        );
        for target in own {
            let is_own = target == "/auth" || target.starts_with("/auth/");
            assert!(is_own, "{path} leads to {target}");
            // These addresses accept a form only.
            let is_page = !["/auth/admin/act", "/auth/logout"].contains(&&*target);
            if is_page && !open.contains(&target) {
                open.push(target);
            }
        }
    }
    assert!(seen > 8, "the pages were walked: {open:?}");

    for path in ["/", "/login", "/oauth/authorize", "/oauth/token", "/mcp", "/assets/style.css"] {
        let response =
            plain_client(false).get(format!("{}{path}", origin(&server))).send().await.unwrap();
        assert_eq!(response.status(), 404, "{path} is outside of the issuer's path");
    }
    server.stop().await.unwrap();
}

/// Tries addresses outside of the server and outside of its path.
#[tokio::test]
async fn f21_a_login_leads_to_own_pages_only() {
    let server = start(&[]).await;
    for next in [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/auth",
        "/other",
        "/oauth/authorize/../../x",
        "",
    ] {
        let browser = Browser::new("alice");
        let login = format!("{}/login", server.issuer());
        let page = browser.http.get(&login).query(&[("next", next)]).send().await.unwrap();
        let mut form = form(&page.text().await.unwrap());
        assert_eq!(form.action, "/auth/login");
        form.fields
            .extend([("username".into(), "alice".into()), ("password".into(), "alice".into())]);
        let answer = browser.http.post(&login).form(&form.fields).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), header(&answer, "location")),
            (303, "/auth/"),
            "{next}"
        );
    }
    server.stop().await.unwrap();
}
