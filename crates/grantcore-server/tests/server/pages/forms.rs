//! Tests of forms that are sent twice, too late, by somebody else, or while the database is down.

use super::admin::{Admin, secret};
use super::*;
use crate::support::form_to;

/// What a page says of a text between the tags.
fn plain(page: &str) -> String {
    let parts = page.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text));
    parts.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Sends the form of a page with these fields in the place of its own.
async fn send(browser: &Browser, issuer: &str, page: &str, more: &[(&str, &str)]) -> (u16, String) {
    let mut fields = form(page).fields;
    for (name, value) in more {
        fields.retain(|(own, _)| own != name);
        fields.push(((*name).to_owned(), (*value).to_owned()));
    }
    let url = format!("{issuer}/oauth/consent");
    let answer = browser.http.post(url).form(&fields).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// A reload of the page of a secret repeats nothing, and nobody else sees the secret.
#[tokio::test]
async fn keys_70_a_reload_of_the_page_of_a_secret_repeats_no_rotation() {
    let admin = Admin::start().await;
    let new = [
        ("id", "wiki"),
        ("method", "client_secret_post"),
        ("redirect_uris", "https://wiki.example/cb"),
    ];
    let (status, added, _) = admin.send("/admin/clients/new", &new).await;
    assert_eq!(status, 303);
    let rotate = [("act", "rotate-secret"), ("client_id", "wiki"), ("reason", "x")];
    let security = [&rotate[..], &[("security", "yes")]].concat();
    let (status, rotated, _) = admin.send("/admin/act", &security).await;
    assert_eq!(status, 303);
    let issuer = admin.server.issuer();
    for (address, title) in [(&added, "The client is added"), (&rotated, "The secret is replaced")]
    {
        // Another administrator's browser learns nothing from the address, and takes nothing.
        let other = Browser::new("admin");
        tokens(issuer, &other).await;
        let (status, page) = page(&other, &format!("{issuer}{address}")).await;
        assert!(status == 410 && page.contains("This secret was shown already"), "{page}");
        let (status, page) = admin.page(address).await;
        assert!(status == 200 && page.contains(title), "{page}");
        let shown = secret(&page);
        assert!(!address.contains(&shown), "{address}");
        for _ in 0..2 {
            let (status, again) = admin.page(address).await;
            assert_eq!(status, 410);
            assert!(again.contains("A secret is shown once"), "{again}");
            assert!(again.contains("wiki") && !again.contains(&shown), "{again}");
        }
        let expected = if address == &rotated { 400 } else { 401 };
        assert_eq!(admin.tries_in_form("wiki", &shown).await, expected, "{title}");
    }
    let (_, log) = admin.page("/admin/log?client=wiki").await;
    assert_eq!(log.matches("<code>secret_rotated</code>").count(), 1, "{log}");
    let strange = admin.page("/admin/secret?id=wiki&show=x").await;
    assert!(strange.0 == 410 && strange.1.contains("shown already"), "{}", strange.1);
    admin.server.stop().await.unwrap();
}

/// A ticket is judged before the organization that it would be for.
#[tokio::test]
async fn consent_05_and_06_a_bad_ticket_is_refused_before_an_organization_is_asked_for() {
    let server = start().await;
    let issuer = server.issuer();
    let url = authorization_url(issuer, &format!("{issuer}/api"));
    let [carol, elsewhere] = [(); 2].map(|()| Browser::new("carol"));
    let page = carol.consent_page(&url).await;
    elsewhere.consent_page(&url).await;
    for more in [&[][..], &[("organization", "acme")], &[("organization", "other")]] {
        let more = [&[("decision", "allow")], more].concat();
        let (status, refused) = send(&elsewhere, issuer, &page, &more).await;
        assert_eq!(status, 400, "{more:?}: {refused}");
        assert!(refused.contains("consent_session_mismatch"), "{more:?}: {refused}");
        assert!(!refused.contains("For which organization?"), "{more:?}: {refused}");
    }
    // The owner can still use it, once.
    let (status, again) = send(&carol, issuer, &page, &[("decision", "allow")]).await;
    assert!(status == 200 && again.contains("Choose the organization"), "{again}");
    let denied = carol.press(&url, &page, "deny").await;
    assert_eq!(param(&denied, "error").as_deref(), Some("access_denied"));
    for more in [&[][..], &[("organization", "acme")], &[("organization", "other")]] {
        let more = [&[("decision", "allow")], more].concat();
        let (status, used) = send(&carol, issuer, &page, &more).await;
        assert!(status == 400 && used.contains("consent_used"), "{more:?}: {used}");
    }
    server.stop().await.unwrap();
}

/// The rows of a signed-in user's requests name the user, and a denial is recorded as the user's.
#[tokio::test]
async fn audit_01_the_rows_of_consent_forms_name_the_user_and_the_denial() {
    let admin = Admin::start().await;
    let issuer = admin.server.issuer();
    let url = authorization_url(issuer, &format!("{issuer}/api"));
    let bob = Browser::new("bob");
    let page = bob.consent_page(&url).await;
    for more in [&[("decision", "")][..], &[("decision", "allow"), ("ticket", "x")]] {
        let (status, refused) = send(&bob, issuer, &page, more).await;
        assert!(status == 400 && refused.contains("consent_ticket_missing"), "{refused}");
    }
    bob.press(&url, &page, "deny").await;
    let (_, log) = admin.page("/admin/log?subject=bob").await;
    assert_eq!(log.matches("#consent_ticket_missing").count(), 2, "{log}");
    assert!(log.contains("The user denied"), "{log}");
    let flow = log.split("href=\"/admin/flow/").nth(1).unwrap().split('"').next().unwrap();
    let (_, flow) = admin.page(&format!("/admin/flow/{flow}")).await;
    assert!(flow.contains("<dt>Resource</dt>") && !flow.contains("<dt>Where</dt>"), "{flow}");
    let (_, ask) = admin.page("/admin/confirm?act=suspend-account&subject=bob").await;
    assert!(ask.contains("Reason (required)") && ask.contains(" required"), "{ask}");
    admin.server.stop().await.unwrap();
}

/// If the database fails while Allow is pressed, the page leads back to the request.
#[tokio::test]
async fn authz_22_a_failure_at_allow_leads_back_to_the_request() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("grants.sqlite");
    let database = format!("sqlite:{}", file.display());
    let server =
        Running::start(["test", "--listen", "127.0.0.1:0", "--database", &database]).await.unwrap();
    let issuer = server.issuer();
    let alice = Browser::new("alice");
    let url = authorization_url(issuer, &format!("{issuer}/api"));
    let page = alice.consent_page(&url).await;
    let sql = rusqlite::Connection::open(&file).unwrap();
    for table in ["sessions", "grantcore_grants"] {
        sql.execute(&format!("ALTER TABLE {table} RENAME TO away"), []).unwrap();
        let (status, failed) = send(&alice, issuer, &page, &[("decision", "allow")]).await;
        assert_eq!(status, 503, "{table}: {failed}");
        for part in ["Nothing was shared", "Open the request again", "Client ID: demo-public"] {
            assert!(failed.contains(part), "{table}: {part}: {failed}");
        }
        assert!(failed.contains("Reference: "), "{failed}");
        sql.execute(&format!("ALTER TABLE away RENAME TO {table}"), []).unwrap();
        let link = failed.split("class=\"button primary\" href=\"").nth(1).unwrap();
        let link = link.split('"').next().unwrap().replace("&#38;", "&");
        let opened = alice.consent_page(&format!("{issuer}{link}")).await;
        assert!(opened.contains("Allow access"), "{opened}");
    }
    server.stop().await.unwrap();
}

/// The login page says why it asks, and takes the name that the application suggests.
#[tokio::test]
async fn host_18_and_24_the_login_page_says_why_and_for_whom_it_asks() {
    let server = start().await;
    let issuer = server.issuer();
    let url = authorization_url(issuer, &format!("{issuer}/api"));
    let open = async |browser: &Browser, url: &str| {
        let asked = browser.http.get(url).send().await.unwrap();
        let login = asked.headers()["location"].to_str().unwrap();
        page(browser, &format!("{issuer}{login}")).await.1
    };
    let alice = Browser::new("alice");
    let consent = alice.consent_page(&url).await;
    let again = open(&alice, &format!("{url}&prompt=login")).await;
    let words = "Demo application asks you to sign in again. You are signed in as alice.";
    assert!(plain(&again).contains(words), "{again}");

    // The session ends while the consent page is open.
    let (_, home) = page(&alice, issuer).await;
    let out = form_to(&home, "/logout");
    alice.http.post(format!("{issuer}/logout")).form(&out.fields).send().await.unwrap();
    let mut fields = form(&consent).fields;
    fields.push(("decision".into(), "allow".into()));
    let sent = alice.http.post(format!("{issuer}/oauth/consent")).form(&fields).send().await;
    let login = sent.unwrap().headers()["location"].to_str().unwrap().to_owned();
    let (_, login) = page(&alice, &format!("{issuer}{login}")).await;
    assert!(login.contains("You were signed out. Nothing was shared yet."), "{login}");
    let stranger = Browser::new("bob");
    let login = open(&stranger, &url).await;
    assert!(!login.contains("signed out") && !login.contains("signed in as"), "{login}");

    for (hint, shown) in [
        ("bob%40example.com", "value=\"bob@example.com\""),
        ("%22%3E%3Cb%3E", "value=\"&#34;&#62;&#60;b&#62;\""),
        ("a%0Ab", "name=\"username\" value=\"\""),
        (&"x".repeat(257), "name=\"username\" value=\"\""),
    ] {
        let login = open(&stranger, &format!("{url}&login_hint={hint}")).await;
        assert!(login.contains(shown), "{hint}: {login}");
    }
    server.stop().await.unwrap();
}

/// A suspended user and the administrator see that the account is suspended. All connections of one
/// application end with one button.
#[tokio::test]
async fn connected_apps_say_that_the_account_is_suspended_and_end_together() {
    let admin = Admin::start().await;
    let issuer = admin.server.issuer();
    let alice = Browser::new("alice");
    let mut access = Vec::new();
    for _ in 0..2 {
        access.push(tokens(issuer, &alice).await.0);
    }
    let apps = format!("{issuer}/settings/connected-apps");
    let (_, list) = page(&alice, &apps).await;
    assert!(list.contains("Disconnect all 2 of Demo application"), "{list}");
    assert!(!list.contains("suspended") && !list.contains("got its last token"), "{list}");

    let suspend = [("act", "suspend-account"), ("subject", "alice"), ("reason", "x")];
    assert_eq!(admin.send("/admin/act", &suspend).await.0, 303);
    let (_, list) = page(&alice, &apps).await;
    for part in ["Your account is suspended.", "Your connections do not work", "operator of this"] {
        assert!(list.contains(part), "{part}: {list}");
    }
    assert!(list.contains("<strong>Suspended:") && !list.contains("Dormant"), "{list}");
    let (_, account) = admin.page("/admin/accounts/alice").await;
    assert!(account.contains("Suspended</strong> with the account"), "{account}");
    assert!(!account.contains("Dormant"), "{account}");
    let flow = account.split("/admin/flow/").nth(1).unwrap().split('"').next().unwrap();
    let (_, flow) = admin.page(&format!("/admin/flow/{flow}")).await;
    assert!(flow.contains("Suspended: no access token works while the account"), "{flow}");
    let end_of_it = [("act", "lift-account"), ("subject", "alice")];
    assert_eq!(admin.send("/admin/act", &end_of_it).await.0, 303);

    let all = format!("{apps}/disconnect-all");
    let (status, ask) = page(&alice, &format!("{all}?client_id=demo-public")).await;
    assert!(status == 200 && ask.contains("Disconnect all 2 of Demo application?"), "{ask}");
    let bob = Browser::new("bob");
    tokens(issuer, &bob).await;
    let fields = form(&ask).fields;
    let forged = bob.http.post(&all).form(&fields).send().await.unwrap();
    assert_eq!(forged.status(), 403, "the form of another browser");
    for token in &access {
        assert_eq!(api(issuer, token).await, 200);
    }
    let done = alice.http.post(&all).form(&fields).send().await.unwrap();
    assert_eq!(done.status(), 303);
    let back = format!("{issuer}{}", done.headers()["location"].to_str().unwrap());
    let (_, list) = page(&alice, &back).await;
    assert!(plain(&list).contains("Demo application is disconnected"), "{list}");
    assert!(list.contains("No application is connected"), "{list}");
    for token in &access {
        assert_eq!(api(issuer, token).await, 401);
    }
    // Sent again, it finds nothing to end.
    assert_eq!(alice.http.post(&all).form(&fields).send().await.unwrap().status(), 404);
    assert_eq!(page(&alice, &format!("{all}?client_id=nobody")).await.0, 404);
    let (_, theirs) = page(&bob, &apps).await;
    assert!(theirs.contains("Demo application") && !theirs.contains("Disconnect all"), "{theirs}");
    admin.server.stop().await.unwrap();
}
