//! Tests of what pages name: the server, what was done to whom, and how a client proves itself.

use super::admin::Admin;
use super::*;
use crate::support::commands::{private, run, settings, with_file};

/// The page after an action names the client, the account or the connection that it was done to.
#[tokio::test]
async fn the_page_after_an_action_names_what_it_was_done_to() {
    let admin = Admin::start().await;
    let alice = Browser::new("alice");
    tokens(admin.server.issuer(), &alice).await;
    let (_, account) = admin.page("/admin/accounts/alice").await;
    let grant = account.split("/admin/flow/").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let reason = ("reason", "x");
    let client = ("client_id", "demo-public");
    let alice = ("subject", "alice");
    let banner = |page: &str| {
        let rest = page.split("class=\"banner done\" role=\"status\"><p>").nth(1);
        let rest = rest.unwrap_or_else(|| panic!("no banner: {page}"));
        rest.split("</p>").next().unwrap().replace("<bdi>", "").replace("</bdi>", "")
    };
    for (act, fields, sentence) in [
        ("suspend-client", &[client, reason][..], "Demo application is suspended."),
        ("lift-client", &[client], "Demo application is not suspended any more."),
        (
            "disconnect-grant",
            &[("grant", &*grant), alice, reason],
            "Demo application is disconnected. The tokens",
        ),
        ("disconnect-app", &[alice, client, reason], "Demo application is disconnected from this"),
        ("disconnect-client", &[client, reason], "Demo application is disconnected from all"),
        ("top-up", &[alice, ("by", "5")], "alice has more calls"),
        ("suspend-account", &[alice, reason], "alice is suspended."),
        ("lift-account", &[alice], "alice is not suspended any more."),
        ("disconnect-account", &[alice, reason], "alice is disconnected from all clients."),
    ] {
        let form = [&[("act", act)], fields].concat();
        let (status, location, page) = admin.send("/admin/act", &form).await;
        assert_eq!(status, 303, "{act}: {page}");
        let (_, page) = admin.page(&location).await;
        assert!(banner(&page).starts_with(sentence), "{act}: {}", banner(&page));
    }
    for by in ["0", "-5", "abc", "", "4294967296"] {
        let form = [("act", "top-up"), alice, ("by", by)];
        assert_eq!(admin.send("/admin/act", &form).await.0, 400, "{by}");
    }
    // An address repeats no text, and no connection of another account.
    let (_, bob) =
        admin.page(&format!("/admin/accounts/bob?done=disconnect-grant&to={grant}")).await;
    assert!(banner(&bob).starts_with("The application is"), "{bob}");
    let (_, bob) = admin.page("/admin/accounts/bob?done=disconnect-app&to=free+money").await;
    assert!(!bob.contains("free money"), "{bob}");
    admin.server.stop().await.unwrap();
}

/// An unknown address below `/admin` has the tabs and a way on, and so has one whose page is only
/// the answer of a form.
#[tokio::test]
async fn an_unknown_address_of_the_administration_leads_on() {
    let admin = Admin::start().await;
    for path in ["/admin/", "/admin/nothing", "/admin/accounts/a/b", "/admin/act"] {
        let (status, page) = admin.page(path).await;
        assert_eq!(status, 404, "{path}");
        for part in
            ["aria-label=\"Administration\"", "There is no such page", path, "Audit log</a>:"]
        {
            assert!(page.contains(part), "{path}: {part}: {page}");
        }
    }
    let bob = Browser::new("bob");
    tokens(admin.server.issuer(), &bob).await;
    let (status, page) = page(&bob, &format!("{}/admin/nothing", admin.server.issuer())).await;
    assert!(status == 403 && !page.contains("aria-label=\"Administration\""), "{page}");
    admin.server.stop().await.unwrap();
}

/// The pages of a client and of a flow show what a client proves itself with, and no secret.
#[tokio::test]
async fn an_administrator_sees_how_a_client_proves_itself() {
    let admin = Admin::start().await;
    let issuer = admin.server.issuer();
    let new = [("id", "wiki"), ("method", "client_secret_post")];
    admin
        .send(
            "/admin/clients/new",
            &[&new[..], &[("redirect_uris", "https://w.example/")]].concat(),
        )
        .await;
    let (_, once) = admin.page("/admin/client?id=wiki").await;
    assert!(
        once.contains("<dt>Authentication</dt>") && once.contains("client_secret_post"),
        "{once}"
    );
    assert!(once.contains("One secret, of which a digest is kept"), "{once}");
    assert!(!once.contains("The former secret"), "{once}");
    let rotate = [("act", "rotate-secret"), ("client_id", "wiki"), ("reason", "x")];
    admin.send("/admin/act", &rotate).await;
    let (_, twice) = admin.page("/admin/client?id=wiki").await;
    assert!(twice.contains("The former secret works too, until <code>20"), "{twice}");
    admin.send("/admin/act", &[&rotate[..], &[("security", "yes")]].concat()).await;
    let (_, leaked) = admin.page("/admin/client?id=wiki").await;
    assert!(leaked.contains("The former secret does not work any more, since"), "{leaked}");
    let (_, public) = admin.page("/admin/client?id=demo-public").await;
    assert!(public.contains("anybody can use its client ID"), "{public}");

    let token = plain_client(false)
        .post(format!("{issuer}/oauth/token"))
        .basic_auth("demo-machine", Some("demo-confidential-secret"))
        .form(&[("grant_type", "client_credentials"), ("resource", &format!("{issuer}/mcp"))])
        .send()
        .await
        .unwrap();
    assert_eq!(token.status(), 200);
    let (_, log) = admin.page("/admin/log?client=demo-machine").await;
    let flow = log.split("href=\"").find(|rest| rest.starts_with("/admin/flow/")).unwrap();
    let (_, flow) = admin.page(flow.split('"').next().unwrap()).await;
    let proof = "<dt>Authenticated with</dt><dd><code>client_secret_basic (current)</code>";
    assert!(flow.contains(proof), "{flow}");
    admin.server.stop().await.unwrap();
}

/// The pages have the name that the operator chose, or the host of the issuer, and only the
/// demonstration calls itself one.
#[tokio::test]
async fn the_pages_have_the_name_of_the_operators_server() {
    let demo = start().await;
    let host = demo.issuer().strip_prefix("http://").unwrap().to_owned();
    let (_, home) = page(&Browser::new("alice"), demo.issuer()).await;
    assert!(home.contains(&format!("<bdi>{host}</bdi></strong> (demonstration)")), "{home}");
    assert!(home.contains(&format!("<title>Home – {host}</title>")), "{home}");
    demo.stop().await.unwrap();

    let port = grantcore_testing_servers::free_port();
    let directory = with_file(&format!(
        "name = 'Acme Inc.'\naccounts = 'accounts'\n{}",
        settings(port, "").replace("sqlite:grants.sqlite", "memory:")
    ));
    let path = directory.path();
    let add = ["add-account", "--accounts", "accounts", "alice"];
    assert!(crate::support::commands::run_with(path, &add, &[], "correct horse").is_success);
    private(&path.join("accounts"));
    let file = path.join("c.toml");
    let own = Running::start(["test", "--config", file.to_str().unwrap()]).await.unwrap();
    let alice = Browser::new("alice").password("correct horse");
    let url = authorization_url(own.issuer(), &format!("{}/api", own.issuer()));
    let consent = alice.consent_page(&url.replace("demo-public", "app")).await;
    let (_, home) = page(&alice, own.issuer()).await;
    let (_, lost) = page(&alice, &format!("{}/nothing", own.issuer())).await;
    for page in [&home, &consent] {
        assert!(page.contains("<strong><bdi>Acme Inc.</bdi></strong>"), "{page}");
        assert!(page.contains("– Acme Inc.</title>"), "{page}");
        assert!(!page.contains("demonstration") && !page.contains("example server"), "{page}");
    }
    assert!(consent.contains("Signed in as <strong><bdi>alice</bdi></strong>."), "{consent}");
    assert!(!lost.contains("example server"), "{lost}");
    own.stop().await.unwrap();
    let wrong = with_file("name = ''\nissuer = 'http://127.0.0.1:1'\n");
    let checked = run(wrong.path(), &["check-config", "--config", "c.toml"]);
    assert!(
        checked.errors.contains("name: ") && checked.errors.contains("1 to 60"),
        "{}",
        checked.errors
    );
}

/// The page of an operator's client does not advise it to register itself again.
#[tokio::test]
async fn the_advice_for_an_unknown_client_fits_how_it_is_registered() {
    let server = start().await;
    let issuer = server.issuer();
    let alice = Browser::new("alice");
    tokens(issuer, &alice).await;
    let url = authorization_url(issuer, &format!("{issuer}/api"));
    let problem = async |id: &str| page(&alice, &url.replace("demo-public", id)).await.1;
    let portal = problem("portal").await;
    for part in ["to the operator of this server", "add-client", "[[clients]]"] {
        assert!(portal.contains(part), "{part}: {portal}");
    }
    let own = problem("gcl_AAAAAAAAAAAAAAAAAAAAAA").await;
    assert!(own.contains("add it again") && !own.contains("add-client"), "{own}");
    server.stop().await.unwrap();
}
