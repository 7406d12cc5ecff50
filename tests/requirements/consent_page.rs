//! Tests of CONSENT-12 to -14 and -16: the contents of the consent page, and error pages from which
//! nothing can be allowed.

use std::time::Duration;

use grantcore::client::{ClientBuilder, ClientError, Registration};
use grantcore::policy::LifetimeOverrides;
use grantcore::response::Problem;
use grantcore::value::GrantTypes;
use grantcore::{AuthorizationStep, Client, ConsentPage, Refusal, Timestamp};
use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;
use serde_json::Value;

use crate::authz_order::{Ask, FAULTS};
use crate::support::clients::{DOCUMENT, ask, document, metadata, with};
use crate::support::params::Params;
use crate::support::refused::states;
use crate::support::{CALLBACK, MCP, T, World, app};

/// Returns the consent page of a request of this client with this redirect URI.
fn page_of(client: Client, uri: &str) -> ConsentPage {
    let world = World::new();
    let params =
        Params::authorize().set("client_id", client.id().as_str()).set("redirect_uri", uri);
    world.put(client);
    world.page(&params)
}

/// Returns a client that registered itself.
fn dynamic() -> ClientBuilder {
    Client::public("app").redirect_uri(CALLBACK).registration(Registration::Dynamic)
}

/// Returns the client's own pages on a consent page: home, logo, terms and privacy policy.
fn links(page: &ConsentPage) -> [Option<&str>; 4] {
    [page.client_uri(), page.logo_uri(), page.tos_uri(), page.policy_uri()]
}

/// Returns the page of a client whose record has this text in place of each URL, as an older
/// version might have stored it.
fn page_of_stored_uri(uri: &str) -> ConsentPage {
    let stored = |uri: &str| {
        let mut record = serde_json::to_value(app()).unwrap();
        for member in ["uri", "logo_uri", "tos_uri", "policy_uri"] {
            record["description"][member] = uri.into();
        }
        page_of(serde_json::from_value(record).unwrap(), CALLBACK)
    };
    let good = "https://notes.example/x";
    assert_eq!(links(&stored(good)), [Some(good); 4], "these are the members of a record");
    stored(uri)
}

#[test]
fn consent_12_the_page_names_the_client_and_what_it_asks_for() {
    let world = World::new();
    world.put(dynamic().name("Notes Helper").uri("https://notes.example/about").build().unwrap());
    let page = world.page(&Params::authorize());
    let policy = world.server.policy();
    assert_eq!(
        (page.client_name(), page.client_id(), page.client_id_host()),
        ("Notes Helper".to_owned(), "app", None)
    );
    assert_eq!(
        (page.registration(), page.client_uri()),
        (Registration::Dynamic, Some("https://notes.example/about"))
    );
    let scopes: Vec<_> = page.scopes(policy).collect();
    assert_eq!(scopes, [("read", "Read your notes"), ("write", "Change your notes")]);
    assert_eq!((page.resources().collect::<Vec<_>>(), page.subject()), (vec![MCP], "alice"));
    let lifetimes = page.lifetimes(policy);
    assert_eq!(
        (lifetimes.access().as_secs(), lifetimes.refresh_idle().as_secs()),
        (3600, 30 * 86_400)
    );
}

/// A page must not promise more than the client gets.
#[test]
fn consent_12_the_page_has_the_lifetimes_of_its_client() {
    let own = LifetimeOverrides::default()
        .with_access(Duration::from_secs(300))
        .with_refresh_idle(Duration::from_secs(1000))
        .with_refresh_absolute(Duration::from_secs(1500));
    let world = World::new();
    world.put(app().edit().lifetimes(own).build_under(world.server.policy()).unwrap());
    let lifetimes = world.page(&Params::authorize()).lifetimes(world.server.policy());
    assert_eq!(
        (lifetimes.access(), lifetimes.refresh_idle(), lifetimes.refresh_absolute()),
        (own.access().unwrap(), own.refresh_idle().unwrap(), own.refresh_absolute())
    );
}

/// Each URL of the metadata is returned by the getter of the same name, for every kind of
/// registration.
#[test]
fn consent_12_the_page_has_the_clients_own_pages() {
    let urls = [
        "https://a.example/",
        "https://a.example/logo.svg",
        "https://a.example/tos",
        "https://b.example/policy?v=1",
    ];
    let members = ["client_uri", "logo_uri", "tos_uri", "policy_uri"];
    let described = |document: Value| {
        let pairs = members.iter().zip(urls);
        pairs.fold(document, |document, (member, url)| with(document, member, url))
    };
    let world = World::open();
    let registered = world.registered(&described(metadata()));
    let page = world.page(&ask(registered["client_id"].as_str().unwrap()));
    assert_eq!((links(&page), page.registration()), (urls.map(Some), Registration::Dynamic));
    let page = world.page_with(&ask(DOCUMENT), &described(document()));
    assert_eq!(
        (links(&page), page.registration()),
        (urls.map(Some), Registration::MetadataDocument)
    );
    assert_eq!(links(&world.page(&Params::authorize())), [None; 4], "a client without pages");
    for (at, member) in members.iter().enumerate() {
        let id = world.registered(&with(metadata(), member, urls[at]))["client_id"]
            .as_str()
            .unwrap()
            .to_owned();
        let mut only = [None; 4];
        only[at] = Some(urls[at]);
        assert_eq!(links(&world.page(&ask(&id))), only, "{member}");
    }
}

/// A client that registered minutes ago is suspicious.
#[test]
fn consent_12_the_page_shows_since_when_the_client_is_known() {
    let world = World::open();
    let id = world.registered(&metadata())["client_id"].as_str().unwrap().to_owned();
    world.page_with(&ask(DOCUMENT), &document());
    world.at(3600);
    assert_eq!(world.page(&ask(&id)).registered(), Timestamp::from_unix_seconds(T));
    assert_eq!(
        world.page_with(&ask(DOCUMENT), &document()).registered(),
        Timestamp::from_unix_seconds(T),
        "first read"
    );
}

#[test]
fn consent_12_the_page_names_the_host_of_a_document() {
    for (id, host) in [
        ("https://client.example/meta.json", "client.example"),
        ("https://client.example:8443/meta?v=1", "client.example:8443"),
        ("https://client.example", "client.example"),
    ] {
        let client = Client::public(id)
            .redirect_uri(CALLBACK)
            .registration(Registration::MetadataDocument)
            .build()
            .unwrap();
        let page = page_of(client, CALLBACK);
        assert_eq!((page.client_id(), page.client_id_host()), (id, Some(host)));
        assert_eq!(page.registration(), Registration::MetadataDocument);
    }
}

/// The host is the only verified part of such a `client_id`. User information before an `@` must
/// not be shown as the host.
#[test]
fn consent_12_the_host_of_a_client_id_cannot_be_spoofed() {
    for id in [
        "https://bank.example@evil.example/",
        "https://bank.example:pw@evil.example/",
        "https://bank.example\\@evil.example/",
    ] {
        let built = Client::public(id)
            .redirect_uri(CALLBACK)
            .registration(Registration::MetadataDocument)
            .build();
        let Ok(client) = built else { continue };
        let page = page_of(client, CALLBACK);
        assert!(
            !page.client_id_host().is_some_and(|host| host.contains("bank.example")),
            "{id} as {:?}",
            page.client_id_host()
        );
    }
}

#[test]
fn consent_13_the_page_always_has_the_redirect_host() {
    for (uri, requested, host) in [
        (CALLBACK, CALLBACK, "app.example"),
        ("https://app.example:8443/cb", "https://app.example:8443/cb", "app.example:8443"),
        ("https://app.example?x=a/b@c", "https://app.example?x=a/b@c", "app.example"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:51004/cb", "127.0.0.1:51004"),
        ("http://[::1]/cb", "http://[::1]:51004/cb", "[::1]:51004"),
        ("http://localhost/cb", "http://localhost/cb", "localhost"),
        ("com.example.app:/cb", "com.example.app:/cb", "com.example.app"),
    ] {
        let client = Client::public("app").redirect_uri(uri).build().unwrap();
        assert_eq!(page_of(client, requested).redirect_host(), host);
    }
}

/// Only an application that claims the scheme gets the response. The text in the place of the host
/// proves nothing.
#[test]
fn consent_13_a_private_use_uri_is_named_by_its_scheme() {
    let uri = "com.evil.app://accounts.bank.example/cb";
    let client = Client::public("app").redirect_uri(uri).build().unwrap();
    assert_eq!(page_of(client, uri).redirect_host(), "com.evil.app");
}

#[test]
fn consent_13_loopback_only_clients_are_flagged() {
    let loopback = ["http://127.0.0.1/cb", "http://[::1]/cb", "http://localhost:3000/cb"];
    for (uris, only) in [
        (&loopback[..1], true),
        (&loopback[..], true),
        (&["http://127.0.0.1/cb", CALLBACK][..], false),
        (&[CALLBACK][..], false),
        (&["com.example.app:/cb"][..], false),
        (&["https://127.0.0.1/cb"][..], true),
    ] {
        let client = uris
            .iter()
            .fold(Client::public("app"), |client, uri| client.redirect_uri(*uri))
            .build()
            .unwrap();
        let page = page_of(client, uris[0]);
        assert_eq!(
            (page.loopback_only(), page.redirects_to_loopback()),
            (only, only || uris.len() > 1),
            "{uris:?}"
        );
        assert!(!page.redirect_host().is_empty());
    }
}

#[test]
fn consent_14_the_name_is_cleaned() {
    let long = "x".repeat(101);
    for (name, shown) in [
        ("Bank\u{202e}knaB", "BankknaB"),
        ("Bank\nof\r\tExample\0", "BankofExample"),
        ("\u{2066}a\u{2069}\u{200b}\u{200f}\u{feff}b\u{61c}", "ab"),
        ("\u{1b}[31mred", "[31mred"),
        ("\u{85}\u{2028}\u{2029}x", "x"),
        ("  padded  ", "padded"),
        ("Größe 学习", "Größe 学习"),
        (&long[..100], &long[..100]),
        (&long, &format!("{}…", &long[..99])),
        (&"é".repeat(200), &format!("{}…", "é".repeat(99))),
        (&format!("{}  ", &long[..100]), &long[..100]),
        ("\u{202e}\n", NAMELESS),
        ("\u{3164}", NAMELESS),
        ("\u{115f}\u{1160}\u{ffa0}\u{17b4}", NAMELESS),
        ("\u{34f}\u{ad}\u{fe0f}\u{e0100}", NAMELESS),
        (" \u{2800}\u{a0}\u{3000}\u{2003}", NAMELESS),
        ("\u{fff9}\u{fffa}\u{fffb}", NAMELESS),
        ("\u{2800}Notes\u{2800}", "Notes"),
        ("No\u{3164}tes", "Notes"),
        (&"\u{200b}".repeat(500), NAMELESS),
        (&format!("{}Notes", "\u{2800}".repeat(200)), "Notes"),
        ("", "app"),
    ] {
        assert_eq!(
            page_of(dynamic().name(name).build().unwrap(), CALLBACK).client_name(),
            shown,
            "{name:?}"
        );
    }
    assert_eq!(page_of(dynamic().build().unwrap(), CALLBACK).client_name(), "app");
}

/// Every character of Unicode is in some name. The expected result follows Unicode's property
/// `Default_Ignorable_Code_Point`.
#[test]
fn consent_14_no_ignorable_character_is_left_in_a_name() {
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    let is_kept = |c: &char| {
        let is_other = matches!(c, '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}');
        !c.is_control() && !is_other && !ignorable.contains(*c)
    };
    let all: Vec<char> = ('\0'..=char::MAX).collect();
    let mut dropped = 0;
    for characters in all.chunks(80) {
        let name: String =
            ['<'].into_iter().chain(characters.iter().copied()).chain(['>']).collect();
        let kept: String = name.chars().filter(is_kept).collect();
        dropped += name.chars().count() - kept.chars().count();
        let client = dynamic().name(name).build().unwrap();
        assert_eq!(page_of(client, CALLBACK).client_name(), kept);
    }
    assert!(dropped > 4000, "{dropped}");
}

#[test]
fn consent_14_the_login_page_cleans_the_name_too() {
    let world = World::new();
    world.put(dynamic().name("Bank\u{202e}\nknaB").build().unwrap());
    let step = world.authorize_as(&Params::authorize(), None);
    let Ok(AuthorizationStep::NeedsLogin(page)) = step else { panic!("{step:?}") };
    assert_eq!(page.client_name(), "BankknaB");
}

#[test]
fn consent_13_the_login_page_says_who_asks_and_where_the_user_is_sent() {
    for (client, is_unverified) in [(app(), false), (dynamic().build().unwrap(), true)] {
        let world = World::new();
        let id = client.id().as_str().to_owned();
        world.put(client);
        let ask = Params::authorize().set("client_id", &id);
        let step = world.authorize_as(&ask, None);
        let Ok(AuthorizationStep::NeedsLogin(page)) = step else { panic!("{step:?}") };
        assert_eq!(
            (page.client_id(), page.redirect_host(), page.is_unverified()),
            (&*id, "app.example", is_unverified)
        );
        assert_eq!(world.page(&ask).is_unverified(), is_unverified);
    }
}

#[test]
fn consent_12_the_page_says_whether_the_client_gets_a_refresh_token() {
    for refresh_token in [false, true] {
        let world = World::new();
        let grant_types = GrantTypes { authorization_code: true, refresh_token };
        world.put(app().edit().grant_types(grant_types).build().unwrap());
        assert_eq!(world.page(&Params::authorize()).gets_refresh_token(), refresh_token);
    }
}

fn refused_page(url: &str) -> ClientError {
    ClientError::DescriptionUrl { member: "client_uri", url: url.to_owned() }
}

#[test]
fn consent_14_urls_are_https() {
    for uri in [
        "http://notes.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "//notes.example/",
        "notes.example",
        " https://a.example",
    ] {
        assert_eq!(dynamic().uri(uri).build().err(), Some(refused_page(uri)), "{uri}");
        assert_eq!(links(&page_of_stored_uri(uri)), [None; 4], "stored {uri}");
    }
}

#[test]
fn consent_14_urls_have_no_invisible_characters() {
    for uri in [
        "https://bank.example/\u{202e}",
        "https://a.example/\n",
        "https://a.example/\"onclick=x",
        "https://a.example/<b>",
        "https://",
    ] {
        assert_eq!(dynamic().uri(uri).build().err(), Some(refused_page(uri)), "{uri:?}");
        assert_eq!(links(&page_of_stored_uri(uri)), [None; 4], "stored {uri:?}");
    }
}

#[test]
fn consent_16_an_error_page_allows_nothing() {
    for fault in FAULTS {
        let (world, answer) = (fault.add)(Ask::good()).send();
        assert_nothing_to_allow(&world, answer);
    }
}

#[test]
fn consent_16_the_banner_of_an_untrusted_client_allows_nothing() {
    for fault in FAULTS {
        let (world, answer) = (fault.add)(Ask::good()).send_as(Registration::Dynamic);
        let problem = assert_nothing_to_allow(&world, answer);
        assert_eq!(
            (problem.status, problem.continue_url.is_some()),
            (400, fault.step > 3),
            "{:?}",
            fault.reason
        );
    }
}

/// The displayed name of a client without a visible name.
const NAMELESS: &str = "An application without a name";

/// Asserts that an error page contains no consent ticket, and that no grant was stored.
#[track_caller]
fn assert_nothing_to_allow(world: &World, answer: Result<AuthorizationStep, Refusal>) -> Problem {
    let refusal = answer.map(|step| panic!("{step:?}")).unwrap_err();
    let reply = refusal.reply(world.server.policy());
    let problem = refusal.problem(world.server.policy());
    let all = format!("{refusal:?} {problem:?} {} {:?}", reply.body, reply.headers);
    assert!(!all.contains("gct_"), "{all}");
    assert_eq!((world.store.commits(), states(world)), (0, vec![]));
    problem
}
