//! What an administrator finds, adds and changes.

use crate::support::Browser;
use grantcore_server::Running;

use super::*;

/// An administrator who is signed in, with the token of a form.
pub(super) struct Admin {
    pub(super) server: Running,
    pub(super) browser: Browser,
    csrf: String,
}

impl Admin {
    pub(super) async fn start() -> Self {
        let server = start().await;
        let browser = Browser::new("admin");
        tokens(server.issuer(), &browser).await;
        let account = format!("{}/admin/accounts/alice", server.issuer());
        let (_, account) = page(&browser, &account).await;
        let csrf = form(&account).fields.into_iter().find(|(name, _)| name == "csrf").unwrap().1;
        Self { server, browser, csrf }
    }

    pub(super) async fn page(&self, path: &str) -> (u16, String) {
        page(&self.browser, &format!("{}{path}", self.server.issuer())).await
    }

    /// Sends a form, and returns the status, the address that it leads to, and the page.
    pub(super) async fn send(&self, path: &str, fields: &[(&str, &str)]) -> (u16, String, String) {
        let form = [fields, &[("csrf", &*self.csrf)]].concat();
        let url = format!("{}{path}", self.server.issuer());
        let answer = self.browser.http.post(url).form(&form).send().await.unwrap();
        let location = answer.headers().get("location");
        let location = location.map(|own| own.to_str().unwrap().to_owned()).unwrap_or_default();
        (answer.status().as_u16(), location, answer.text().await.unwrap())
    }

    /// Returns the status of a token request with this secret in its form.
    pub(super) async fn tries_in_form(&self, client: &str, secret: &str) -> u16 {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", "x"),
            ("client_id", client),
            ("client_secret", secret),
        ];
        let url = format!("{}/oauth/token", self.server.issuer());
        plain_client(false).post(url).form(&form).send().await.unwrap().status().as_u16()
    }

    /// Returns the status of a token request with this secret, and the code of the error.
    async fn tries(&self, client: &str, secret: &str) -> (u16, Value) {
        let answer = plain_client(false)
            .post(format!("{}/oauth/token", self.server.issuer()))
            .basic_auth(client, Some(secret))
            .form(&[("grant_type", "refresh_token"), ("refresh_token", "x")])
            .send()
            .await
            .unwrap();
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.unwrap()["error"].clone())
    }
}

/// Returns the secret that a page shows: the second text to copy, after the client ID.
pub(super) fn secret(page: &str) -> String {
    let copied: Vec<_> = page.split("<code class=\"copy\">").skip(1).collect();
    let [_, secret] = copied[..] else { panic!("no secret: {page}") };
    secret.split('<').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_client_is_added_and_its_secret_is_shown_once() {
    let admin = Admin::start().await;
    let new = "/admin/clients/new";
    let web = [
        ("id", "wiki"),
        ("name", "Wiki ויקי"),
        ("method", "client_secret_basic"),
        ("redirect_uris", " https://wiki.example/cb\r\nhttps://wiki.example/b \n"),
        ("scope", "notes"),
    ];
    let (status, location, _) = admin.send(new, &web).await;
    assert_eq!(status, 303);
    let first = secret(&admin.page(&location).await.1);
    assert_eq!(first.strip_prefix("gcs_").map(str::len), Some(43), "256 random bits");
    assert_eq!(admin.tries("wiki", &first).await, (400, "invalid_grant".into()));
    let (_, client) = admin.page("/admin/client?id=wiki").await;
    for part in [
        "Wiki ויקי",
        "https://wiki.example/cb",
        "https://wiki.example/b",
        "Added by the operator",
        "client_secret_basic",
        "<code>notes</code>",
        "authorization_code",
        "refresh_token",
    ] {
        assert!(client.contains(part), "{part}: {client}");
    }
    assert!(!client.contains("unknown") && !client.contains(&first), "{client}");

    // A new secret, after a reason. The old one has ended.
    let rotate = [("act", "rotate-secret"), ("client_id", "wiki")];
    assert_eq!(admin.send("/admin/act", &rotate).await.0, 400, "without a reason");
    assert_eq!(admin.tries("wiki", &first).await.0, 400);
    let rotate = [&rotate[..], &[("reason", "it was mailed")]].concat();
    let (status, location, _) = admin.send("/admin/act", &rotate).await;
    assert_eq!(status, 303);
    let (_, page) = admin.page(&location).await;
    let second = secret(&page);
    assert!(first != second && !location.contains(&second), "the secret is in no address");
    assert!(page.contains("The old one works for another day."), "{page}");
    assert_eq!(admin.tries("wiki", &first).await, (400, "invalid_grant".into()));
    assert_eq!(admin.tries("wiki", &second).await, (400, "invalid_grant".into()));
    let leaked = [&rotate[..], &[("security", "yes")]].concat();
    let (_, location, _) = admin.send("/admin/act", &leaked).await;
    let (_, page) = admin.page(&location).await;
    assert!(page.contains("The old one has ended."), "{page}");
    let third = secret(&page);
    for old in [&first, &second] {
        assert_eq!(admin.tries("wiki", old).await, (401, "invalid_client".into()));
    }
    assert_eq!(admin.tries("wiki", &third).await, (400, "invalid_grant".into()));
    let (_, log) = admin.page("/admin/log?client=wiki").await;
    for part in ["client_added", "secret_rotated", "by admin: it was mailed"] {
        assert!(log.contains(part), "{part}: {log}");
    }
    for page in [log, admin.page("/admin/clients").await.1] {
        assert!(!page.contains(&first) && !page.contains(&second), "{page}");
    }
    admin.server.stop().await.unwrap();
}

#[tokio::test]
async fn a_fault_of_a_new_client_is_shown_beside_its_field() {
    let admin = Admin::start().await;
    let uri = ("redirect_uris", "https://a.example/cb");
    for (fields, fault) in [
        (vec![uri], "Write an ID."),
        (vec![("id", "ä"), uri], "This ID cannot be used"),
        (vec![("id", "demo-public"), uri], "A client of this ID exists already."),
        (vec![("id", "a")], "A client needs at least one redirect URI."),
        (vec![("id", "a"), ("redirect_uris", "http://a.example/cb")], "is refused"),
        (vec![("id", "a"), ("redirect_uris", "https://a.example/#x")], "is refused"),
        (vec![("id", "a"), ("name", &*"x".repeat(101)), uri], "at most 100 characters"),
    ] {
        let (status, _, page) = admin.send("/admin/clients/new", &fields).await;
        assert_eq!(status, 400, "{fields:?}: {page}");
        assert!(page.contains(fault) && page.contains("aria-invalid"), "{fault}: {page}");
        for (name, value) in fields.iter().filter(|(name, _)| *name == "redirect_uris") {
            assert!(page.contains(value), "{name} is kept: {page}");
        }
        assert!(!page.contains("()"), "no word of the library: {page}");
    }
    for (choice, fault) in [
        // The form was opened before a scope was renamed.
        ([("scope", "notes"), ("scope", "renamed")], "There is no scope renamed."),
        ([("scope", "notes"), ("method", "private")], "Choose one of these methods."),
    ] {
        let fields = [&choice[..], &[("id", "a"), uri]].concat();
        let (status, _, page) = admin.send("/admin/clients/new", &fields).await;
        assert_eq!(status, 400, "{page}");
        assert!(page.contains(&format!("<p class=\"fault\">{fault}</p>")), "{page}");
    }
    assert_eq!(admin.page("/admin/client?id=a").await.0, 404);
    // A secret alone gives no right.
    let secret_alone = [("id", "api"), ("method", "client_secret_post")];
    assert_eq!(admin.send("/admin/clients/new", &secret_alone).await.0, 400);
    admin.server.stop().await.unwrap();
}

/// Only secrets that the operator gave out are replaced.
#[tokio::test]
async fn a_secret_is_replaced_only_where_that_helps() {
    let admin = Admin::start().await;
    let metadata = json!({
        "redirect_uris": ["https://a.example/cb"],
        "token_endpoint_auth_method": "client_secret_basic",
    });
    let registered = register(admin.server.issuer(), &metadata).await;
    let own = registered["client_id"].as_str().unwrap();
    let own_secret = registered["client_secret"].as_str().unwrap();
    for (client, status) in [(own, 404), ("demo-public", 404), ("nobody", 404)] {
        let fields = [("act", "rotate-secret"), ("client_id", client), ("reason", "x")];
        assert_eq!(admin.send("/admin/act", &fields).await.0, status, "{client}");
        let ask = format!("/admin/confirm?act=rotate-secret&client_id={client}");
        assert_eq!(admin.page(&ask).await.0, 404, "{client}");
    }
    assert_eq!(admin.tries(own, own_secret).await.0, 400, "nothing was changed");
    let (_, page) = admin.page(&format!("/admin/client?id={own}")).await;
    assert!(!page.contains("Replace secret") && page.contains("Registered itself"), "{page}");
    admin.server.stop().await.unwrap();
}

#[tokio::test]
async fn clients_are_found_by_name_and_id_and_turned_page_by_page() {
    let admin = Admin::start().await;
    for number in 0..60 {
        let id = format!("app-{number:02}");
        let name = format!("Tool {}", number % 7);
        let fields = [("id", &*id), ("name", &*name), ("redirect_uris", "https://a.example/cb")];
        assert_eq!(admin.send("/admin/clients/new", &fields).await.0, 303);
    }
    let ids = |page: &str| {
        let rows = page.split("role=\"rowheader\"").skip(1);
        rows.map(|row| row.split("<code>").nth(1).unwrap().split('<').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let (_, first) = admin.page("/admin/clients").await;
    assert_eq!(ids(&first).len(), 50);
    let more = first.split("href=\"").find(|rest| rest.contains("after=")).unwrap();
    let (_, second) = admin.page(more.split('"').next().unwrap()).await;
    let all = [ids(&first), ids(&second)].concat();
    assert_eq!(all.len(), 63, "with those of the demonstration: {all:?}");
    assert!(all.is_sorted() && !second.contains("after="), "{all:?}");
    let (_, found) = admin.page("/admin/clients?q=TOOL+3").await;
    assert_eq!(
        ids(&found),
        ["03", "10", "17", "24", "31", "38", "45", "52", "59"]
            .map(|number| format!("app-{number}"))
    );
    let (_, exact) = admin.page("/admin/clients?q=app-07").await;
    assert_eq!(ids(&exact), ["app-07"]);
    let (_, nothing) = admin.page("/admin/clients?q=nothing").await;
    assert!(nothing.contains("No client fits") && nothing.contains("All clients"), "{nothing}");
    let (_, accounts) = admin.page("/admin/accounts?q=LI").await;
    assert!(accounts.contains(">alice<") && !accounts.contains(">bob<"), "{accounts}");
    admin.server.stop().await.unwrap();
}

#[tokio::test]
async fn the_log_is_searched_from_an_empty_form_newest_first_and_by_refusals() {
    let admin = Admin::start().await;
    let issuer = admin.server.issuer();
    let (_, home) = admin.page("/admin").await;
    let search = home.split("<form class=\"search\"").nth(1).unwrap().split("</form>").next();
    assert_eq!(search.unwrap().matches("value=\"\"").count(), 5, "nothing is filled in: {home}");
    for _ in 0..60 {
        assert_eq!(api(issuer, "x").await, 401);
    }
    let kinds = |page: &str| {
        let rows = page.split("data-label=\"Step\"><div>").skip(1);
        let kind = |row: &str| row.split("<code>").nth(1)?.split('<').next().map(str::to_owned);
        rows.map(|row| kind(row).unwrap()).collect::<Vec<_>>()
    };
    let (_, all) = admin.page("/admin/log").await;
    assert_eq!(kinds(&all).first().map(String::as_str), Some("refused"), "the newest first: {all}");
    let (_, refusals) = admin.page("/admin/log?refusals=1").await;
    assert!(kinds(&refusals).iter().all(|kind| kind == "refused"), "{refusals}");
    assert!(refusals.contains("aria-current=\"true\">Refusals only"), "{refusals}");
    let (_, own) = admin.page("/admin/log?subject=admin").await;
    assert_eq!(kinds(&own).last().map(String::as_str), Some("consent_shown"), "{own}");
    // The login, the consent and the redemption of the administrator, without the time of the day.
    assert!(kinds(&own).contains(&"code_redeemed".to_owned()), "{own}");
    let nothing = admin.page("/admin/log?subject=nobody&refusals=1").await.1;
    for way in ["No step fits", "All steps", "The newest steps", "Show everything"] {
        assert!(nothing.contains(way), "{way}: {nothing}");
    }
    admin.server.stop().await.unwrap();
}

/// The head of a flow, and no button once it is over.
#[tokio::test]
async fn a_flow_says_whose_it_is_and_offers_nothing_that_is_over() {
    let admin = Admin::start().await;
    let alice = Browser::new("alice");
    let (access, _) = tokens(admin.server.issuer(), &alice).await;
    let (_, log) = admin.page("/admin/log?subject=alice").await;
    let flow = log.split("href=\"").find(|rest| rest.starts_with("/admin/flow/")).unwrap();
    let flow = flow.split('"').next().unwrap();
    let (_, live) = admin.page(flow).await;
    for part in ["Active: an access token works", "Demo application", ">alice<", ">Disconnect<"] {
        assert!(live.contains(part), "{part}: {live}");
    }
    let grant = flow.rsplit('/').next().unwrap();
    let ask = format!("/admin/confirm?act=disconnect-grant&grant={grant}");
    let (_, question) = admin.page(&ask).await;
    assert!(question.contains("Disconnect Demo application from alice?"), "{question}");
    let fields = [("act", "disconnect-grant"), ("grant", grant), ("reason", "אבד המחשב")];
    let (status, location, _) = admin.send("/admin/act", &fields).await;
    assert_eq!((status, location), (303, format!("{flow}?done=disconnect-grant")));
    assert_eq!(api(admin.server.issuer(), &access).await, 401);
    let (_, over) = admin.page(flow).await;
    for part in ["Ended: disconnected by an administrator.", "by admin: אבד המחשב"] {
        assert!(over.contains(part), "{part}: {over}");
    }
    assert!(!over.contains(">Disconnect<"), "{over}");
    assert_eq!(admin.page(&ask).await.0, 404, "there is nothing to ask");
    let (_, account) = admin.page("/admin/accounts/alice").await;
    assert!(account.contains("No client is connected"), "{account}");
    assert!(!account.contains("Disconnect all"), "{account}");
    let (status, unknown) = admin.page("/admin/flow/x").await;
    assert!(status == 404 && unknown.contains("Nothing is known"), "{unknown}");
    admin.server.stop().await.unwrap();
}

#[tokio::test]
async fn nobody_suspends_themselves_and_what_is_done_is_not_offered_again() {
    let admin = Admin::start().await;
    let ask = async |act: &str| admin.page(&format!("/admin/confirm?act={act}")).await;
    assert_eq!(ask("suspend-account&subject=admin").await.0, 409);
    let (_, own) = admin.page("/admin/accounts/admin").await;
    assert!(!own.contains(">Suspend<") && own.contains("your own account"), "{own}");
    let (status, page) = ask("suspend-account&subject=bob").await;
    assert!(status == 200 && page.contains("Suspend the account bob?"), "{page}");
    let suspend = [("act", "suspend-account"), ("subject", "bob"), ("reason", "x")];
    let (_, location, _) = admin.send("/admin/act", &suspend).await;
    assert_eq!(location, "/admin/accounts/bob?done=suspend-account");
    let (_, bob) = admin.page(&location).await;
    assert!(
        bob.contains("is suspended. Its connections") && bob.contains("Lift suspension"),
        "{bob}"
    );
    assert!(!bob.contains(">Suspend<"), "{bob}");
    for over in ["suspend-account&subject=bob", "lift-account&subject=alice"] {
        assert_eq!(ask(over).await.0, 404, "{over}");
    }
    for over in ["lift-client&client_id=demo-public", "suspend-client&client_id=nobody", "dance"] {
        assert!([400, 404].contains(&ask(over).await.0), "{over}");
    }
    let (_, said) = admin.page("/admin/accounts/bob?done=%3Cb%3E").await;
    assert!(!said.contains("class=\"banner"), "only known words are repeated: {said}");
    admin.server.stop().await.unwrap();
}
