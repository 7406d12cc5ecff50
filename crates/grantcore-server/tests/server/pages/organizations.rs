//! The organization that a connection is for: who is asked, and which answers count.

use std::io::Write as _;

use super::*;

/// Answers a consent page with Allow and further fields, and returns status, address and page.
async fn answer(
    browser: &Browser,
    issuer: &str,
    page: &str,
    more: &[(&str, &str)],
) -> (u16, String, String) {
    let mut fields = form(page).fields;
    let mut add = |name: &str, value: &str| {
        fields.retain(|(own, _)| own != name);
        fields.push((name.to_owned(), value.to_owned()));
    };
    add("decision", "allow");
    for (name, value) in more {
        add(name, value);
    }
    let url = format!("{issuer}/oauth/consent");
    let answer = browser.http.post(url).form(&fields).send().await.unwrap();
    let location = answer.headers().get("location");
    let location = location.map(|own| own.to_str().unwrap().to_owned()).unwrap_or_default();
    (answer.status().as_u16(), location, answer.text().await.unwrap())
}

/// Redeems the code in this address, and returns the access token.
async fn redeem(issuer: &str, location: &str) -> String {
    let location = location.parse().unwrap();
    let tokens = crate::support::client::redeem(issuer, "demo-public", &location).await;
    tokens["access_token"].as_str().unwrap().to_owned()
}

/// Returns what the API says of the caller.
async fn whoami(issuer: &str, token: &str) -> Value {
    let call = plain_client(false).get(format!("{issuer}/api")).bearer_auth(token);
    call.send().await.unwrap().json().await.unwrap()
}

/// Two pages at once keep their own answers, and both are shown to the user and to the operator.
#[tokio::test]
async fn host_02_each_page_binds_the_organization_that_was_chosen_on_it() {
    let server = start().await;
    let issuer = server.issuer();
    let carol = Browser::new("carol");
    let url = authorization_url(issuer, &format!("{issuer}/api"));
    let one = carol.consent_page(&url).await;
    let two = carol.consent_page(&url).await;
    for page in [&one, &two] {
        for part in ["For which organization?", "Acme", "Globex", "Allow access"] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }
    let (_, second, _) = answer(&carol, issuer, &two, &[("organization", "globex")]).await;
    let (_, first, _) = answer(&carol, issuer, &one, &[("organization", "acme")]).await;
    for (location, id) in [(first, "acme"), (second, "globex")] {
        let token = redeem(issuer, &location).await;
        assert_eq!(whoami(issuer, &token).await["organization"], id);
    }
    let (_, list) = page(&carol, &format!("{issuer}/settings/connected-apps")).await;
    assert!(list.contains("Acme") && list.contains("Globex"), "{list}");

    let admin = Browser::new("admin");
    tokens(issuer, &admin).await;
    let (_, log) = page(&admin, &format!("{issuer}/admin/log?subject=carol")).await;
    let flow = log.split("href=\"/admin/flow/").nth(1).unwrap().split('"').next().unwrap();
    let (_, flow) = page(&admin, &format!("{issuer}/admin/flow/{flow}")).await;
    assert!(flow.contains("Organization</dt><dd><bdi>"), "{flow}");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn host_01_who_has_not_chosen_is_asked_again_in_words() {
    let server = start().await;
    let issuer = server.issuer();
    let carol = Browser::new("carol");
    let url =
        format!("{}&scope=notes+profile", authorization_url(issuer, &format!("{issuer}/api")));
    let asked = carol.consent_page(&url).await;
    assert!(!asked.contains("Choose the organization"), "{asked}");
    let (status, _, again) =
        answer(&carol, issuer, &asked, &[("scope", "profile"), ("organization", "")]).await;
    assert_eq!(status, 200);
    assert!(again.contains("Choose the organization that the access is for."), "{again}");
    let ticked = form(&again).fields.into_iter().filter(|(name, _)| name == "scope");
    let ticked: Vec<_> = ticked.map(|(_, value)| value).collect();
    assert_eq!(ticked, ["profile"], "what was not ticked stays so");
    let (_, location, _) = answer(&carol, issuer, &again, &[("organization", "acme")]).await;
    assert_eq!(whoami(issuer, &redeem(issuer, &location).await).await["organization"], "acme");
    // Without a choice, nobody needs one to deny.
    let asked = carol.consent_page(&url).await;
    let denied = carol.press(&url, &asked, "deny").await;
    assert_eq!(param(&denied, "error").as_deref(), Some("access_denied"));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn host_03_a_form_written_by_hand_names_no_organization_of_others() {
    let server = start().await;
    let issuer = server.issuer();
    let url = authorization_url(issuer, &format!("{issuer}/api"));
    for (user, foreign, shown, own) in
        [("alice", "acme", None, Value::Null), ("bob", "globex", Some("Acme"), "acme".into())]
    {
        let browser = Browser::new(user);
        let page = browser.consent_page(&url).await;
        assert!(!page.contains("For which organization?"), "there is no choice: {page}");
        assert_eq!(shown.is_some(), page.contains("The access is for"), "{page}");
        assert!(shown.is_none_or(|name| page.contains(name)), "{page}");
        for foreign in [foreign, "nothing", "ACME"] {
            let (status, _, refused) =
                answer(&browser, issuer, &page, &[("organization", foreign)]).await;
            assert_eq!(status, 403, "{refused}");
            assert!(refused.contains("does not belong to this organization"), "{refused}");
        }
        let (_, location, _) = answer(&browser, issuer, &page, &[]).await;
        let token = redeem(issuer, &location).await;
        assert_eq!(whoami(issuer, &token).await["organization"], own, "{user}");
    }
    server.stop().await.unwrap();
}

/// A template of the file of settings: each organization has a document, and only its members can
/// connect a client to its resource, whatever a form says.
#[tokio::test]
async fn tenant_08_the_resource_of_an_organization_is_for_its_members() {
    let issuer = format!("http://127.0.0.1:{}", grantcore_testing_servers::free_port());
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(
        file,
        "listen = '{}'\n\
         [[scopes]]\nname = 'read'\ndescription = 'Read'\ndefault = true\n\
         [[resources]]\nurl = '{issuer}/{{org}}/mcp'\nname = 'the notes'\nscopes = ['read']\n\
         [[resources]]\nurl = '{issuer}/api'\nscopes = ['read']\nbuiltin = 'api'\n\
         [[organizations]]\nid = 'acme'\nname = 'Acme'\nmembers = ['bob']\n\
         [[organizations]]\nid = 'globex'\nname = 'Globex'\nmembers = ['alice']\n\
         [[clients]]\nid = 'demo-public'\nredirect_uris = ['{CALLBACK}']\n",
        issuer.trim_start_matches("http://")
    )
    .unwrap();
    let config = file.path().to_str().unwrap();
    let server =
        Running::start(["test", "--database", "memory:", "--config", config]).await.unwrap();
    for id in ["acme", "globex"] {
        let document = format!("{issuer}/.well-known/oauth-protected-resource/{id}/mcp");
        let document = plain_client(false).get(document).send().await.unwrap();
        let document: Value = document.json().await.unwrap();
        assert_eq!(document["resource"], format!("{issuer}/{id}/mcp"));
        assert_eq!(document["authorization_servers"], json!([issuer]));
    }

    let bob = Browser::new("bob");
    let own = authorization_url(&issuer, &format!("{issuer}/acme/mcp"));
    let foreign = authorization_url(&issuer, &format!("{issuer}/globex/mcp"));
    let page = bob.consent_page(&own).await;
    assert!(page.contains("</span> the notes</h1>") && page.contains("Acme"), "{page}");
    let (_, location, _) = answer(&bob, &issuer, &page, &[]).await;
    redeem(&issuer, &location).await;

    let stranger = bob.consent_page(&foreign).await;
    assert!(stranger.contains("this account does not belong to it"), "{stranger}");
    assert!(!stranger.contains("Allow access") && !stranger.contains("Globex"), "{stranger}");
    let reload = own.trim_start_matches(&issuer);
    for more in [
        &[][..],
        &[("organization", "acme")],
        &[("organization", "globex")],
        // The address of a request that would be allowed.
        &[("reload", reload)],
        &[("reload", reload), ("organization", "acme")],
    ] {
        let (status, location, _) = answer(&bob, &issuer, &stranger, more).await;
        assert_eq!((status, &*location), (403, ""), "{more:?}");
    }
    let denied = bob.press(&foreign, &stranger, "deny").await;
    assert_eq!(param(&denied, "error").as_deref(), Some("access_denied"));
    server.stop().await.unwrap();
}
