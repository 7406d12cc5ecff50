//! Tests of HOST-20 to HOST-26: the effects of `prompt` on the login and the consent page.

use std::collections::BTreeSet;

use grantcore::client::Registration;
use grantcore::policy::{ErrorDelivery, RegistrationRules};
use grantcore::reason::ErrorCode;
use grantcore::value::RequestDigest;
use grantcore::{AuthorizationStep, Client, LoginPage, Reason, User};

use crate::support::params::Params;
use crate::support::refused::{assert_page, assert_redir, refused};
use crate::support::{ALICE, CALLBACK, World, param, policy, user};

fn ask(prompt: &str) -> Params {
    Params::authorize().set("prompt", prompt)
}

fn step(world: &World, params: &Params, user: Option<User<'_>>) -> AuthorizationStep {
    world.authorize_as(params, user).unwrap()
}

#[track_caller]
fn login(world: &World, params: &Params, user: Option<User<'_>>) -> LoginPage {
    match step(world, params, user) {
        AuthorizationStep::NeedsLogin(page) => page,
        other => panic!("no login page but {other:?}"),
    }
}

#[track_caller]
fn assert_consent(step: &AuthorizationStep) {
    assert!(matches!(step, AuthorizationStep::NeedsConsent(_)), "{step:?}");
}

/// Returns the outcome of a prompt: an error, a login page for a new sign-in or a choice, or the
/// consent page.
fn outcome(prompt: &str) -> String {
    match World::new().authorize(&ask(prompt)) {
        Ok(AuthorizationStep::NeedsLogin(page)) => {
            format!("login fresh={} choose={}", page.fresh(), page.choose_account())
        }
        Ok(AuthorizationStep::NeedsConsent(_)) => "consent".to_owned(),
        Ok(other) => panic!("{other:?}"),
        Err(refusal) => refusal.reason().name().to_owned(),
    }
}

#[test]
fn host_20_prompt_is_a_set_of_words_and_none_excludes_others() {
    for (prompt, wanted) in [
        ("none login", "prompt_contradiction"),
        ("login none", "prompt_contradiction"),
        ("none consent", "prompt_contradiction"),
        ("none select_account", "prompt_contradiction"),
        ("none", "consent_required"),
        ("none none", "consent_required"),
        ("none create", "consent_required"),
        ("consent consent", "consent"),
        ("consent", "consent"),
        ("foo consent", "consent"),
        ("foo", "consent"),
        ("", "consent"),
        ("NONE", "consent"),
        ("Login", "consent"),
        ("login", "login fresh=true choose=false"),
        (" login  login", "login fresh=true choose=false"),
        ("select_account", "login fresh=false choose=true"),
        ("consent select_account login foo", "login fresh=true choose=true"),
        ("login\tnone", "consent"),
    ] {
        assert_eq!(outcome(prompt), wanted, "{prompt:?}");
    }
    let world = World::new();
    let refusal = refused(&world, &ask("none login"));
    assert_redir(&world, &refusal, "invalid_request", Reason::PromptContradiction);
    let refusal = refused(&world, &ask("login").and("prompt", "login"));
    assert_redir(&world, &refusal, "invalid_request", Reason::ParameterRepeated);
    assert_eq!(world.store.commits(), 0);
}

#[test]
fn host_21_without_a_user_prompt_none_is_an_error_and_no_login() {
    let world = World::new();
    // A trusted client gets a response at once, also without a signed-in user (AMB-51).
    let refusal = world.authorize_as(&ask("none"), None).unwrap_err();
    assert_redir(&world, &refusal, "login_required", Reason::LoginRequired);
    // A self-registered client does not: otherwise anybody could redirect users through this
    // server.
    world.put(
        Client::public("app")
            .redirect_uri(CALLBACK)
            .registration(Registration::Dynamic)
            .build()
            .unwrap(),
    );
    let refusal = world.authorize_as(&ask("none"), None).unwrap_err();
    let policy = world.server.policy();
    let code = refusal.code();
    assert_eq!((refusal.location(policy), code), (None, Some(ErrorCode::LoginRequired)));
    let link = refusal.problem(policy).continue_url.unwrap();
    assert_eq!(param(&link, "error").as_deref(), Some("login_required"));
    assert_eq!((param(&link, "state").as_deref(), world.store.commits()), (Some("xyz"), 0));
}

#[test]
fn host_21_the_operator_chooses_how_the_error_is_delivered() {
    for (delivery, redirects) in
        [(ErrorDelivery::AlwaysRedirect, true), (ErrorDelivery::AlwaysBanner, false)]
    {
        let world = World::with(policy().error_delivery(delivery));
        for user in [None, Some(ALICE)] {
            let refusal = world.authorize_as(&ask("none"), user).unwrap_err();
            let location = refusal.location(world.server.policy());
            assert_eq!(location.is_some(), redirects, "{delivery:?}");
        }
    }
}

/// A user who is not signed in is never redirected to an untrusted client, with any delivery of
/// errors.
#[test]
fn host_21_an_untrusted_client_is_no_open_redirector() {
    let open = policy().registration(RegistrationRules::default());
    let world = World::with(open.error_delivery(ErrorDelivery::AlwaysRedirect));
    let registered = world.registered(&crate::support::clients::metadata());
    let request = ask("none").set("client_id", registered["client_id"].as_str().unwrap());
    let refusal = world.authorize_as(&request, None).unwrap_err();
    assert_eq!(refusal.reason(), Reason::LoginRequired);
    assert_eq!(refusal.location(world.server.policy()), None);
    let refusal = world.authorize_as(&request, Some(ALICE)).unwrap_err();
    assert!(refusal.location(world.server.policy()).is_some());
}

#[test]
fn host_22_prompt_none_is_an_error_if_consent_is_needed() {
    let world = World::new();
    let refusal = refused(&world, &ask("none"));
    assert_redir(&world, &refusal, "consent_required", Reason::ConsentRequired);
    assert_eq!((world.store.commits(), world.grants().len()), (0, 0));
    // An earlier grant of the same client changes nothing, because consent is not remembered.
    world.tokens();
    let commits = world.store.commits();
    let refusal = refused(&world, &ask("none"));
    assert_redir(&world, &refusal, "consent_required", Reason::ConsentRequired);
    assert_eq!(world.store.commits(), commits);
}

#[test]
fn host_23_an_error_of_prompt_none_goes_to_a_verified_redirect_uri_only() {
    for user in [None, Some(ALICE)] {
        let world = World::new();
        for (params, code, reason) in [
            (ask("none").without("client_id"), "invalid_request", Reason::ClientIdMissing),
            (ask("none").and("client_id", "app"), "invalid_request", Reason::ClientIdRepeated),
            (ask("none").set("client_id", "nobody"), "invalid_client", Reason::ClientUnknown),
            (
                ask("none").set("redirect_uri", "https://evil.example/"),
                "invalid_request",
                Reason::RedirectUriMismatch,
            ),
            (
                ask("none").and("redirect_uri", CALLBACK),
                "invalid_request",
                Reason::RedirectUriRepeated,
            ),
        ] {
            let refusal = world.authorize_as(&params, user).unwrap_err();
            assert_page(&world, &refusal, 400, code, reason);
        }
    }
}

#[test]
fn host_24_prompt_login_accepts_only_a_sign_in_for_this_request() {
    for (prompt, fresh, choose) in [
        ("login", true, false),
        ("select_account", false, true),
        ("login select_account", true, true),
    ] {
        let world = World::new();
        let params = ask(prompt);
        let page = login(&world, &params, Some(ALICE));
        assert_eq!((page.fresh(), page.choose_account()), (fresh, choose));
        assert_eq!(world.store.commits(), 0);
        assert_consent(&step(&world, &params, Some(ALICE.signed_in_for(page.request()))));
        // The digest is the same for every user and every encoding.
        assert_eq!(login(&world, &params, None).request(), page.request());
        for other in [
            params.clone().set("state", "other"),
            params.clone().set("code_challenge", &"A".repeat(43)),
            params.clone().set("scope", "read"),
            params.clone().without("state"),
        ] {
            let page = login(&world, &other, Some(ALICE));
            let elsewhere = login(&world, &params, Some(ALICE.signed_in_for(page.request())));
            assert_ne!(elsewhere.request(), page.request());
        }
    }
}

#[test]
fn host_24_the_digest_depends_on_every_parameter() {
    let world = World::new();
    world.put(
        Client::public("app")
            .redirect_uri(CALLBACK)
            .redirect_uri("https://app.example/2")
            .build()
            .unwrap(),
    );
    let params = ask("login");
    let variants = [
        params.clone(),
        params.clone().set("redirect_uri", "https://app.example/2"),
        params.clone().set("state", "xy"),
        params.clone().set("state", "login"),
        params.clone().without("state"),
        params.clone().set("scope", "read"),
        params.clone().without("scope"),
        params.clone().set("response_mode", "query"),
        params.clone().set("prompt", "login consent"),
        params.clone().set("code_challenge", &"B".repeat(43)),
        params.clone().and("resource", crate::support::MCP),
        params.clone().and("resource", crate::support::MCP).and("resource", crate::support::MCP),
    ];
    let digests: Vec<RequestDigest> =
        variants.iter().map(|params| login(&world, params, Some(ALICE)).request()).collect();
    let distinct: BTreeSet<_> =
        digests.iter().map(|digest| serde_json::to_string(digest).unwrap()).collect();
    assert_eq!(distinct.len(), variants.len());
    // Parameters that are not read do not count.
    let other = login(&world, &params.and("ui_theme", "dark"), Some(ALICE));
    assert_eq!(other.request(), digests[0]);
}

#[test]
fn host_25_prompt_select_account_needs_a_choice_for_this_request() {
    let world = World::new();
    let params = ask("select_account");
    let page = login(&world, &params, Some(ALICE));
    assert!(page.choose_account() && !page.fresh());
    // The user chose another account than the one that was signed in.
    let bob = user("bob", b"bob's browser").signed_in_for(page.request());
    let AuthorizationStep::NeedsConsent(page) = step(&world, &params, Some(bob)) else {
        panic!("no consent page")
    };
    assert_eq!(page.subject(), "bob");
}

#[test]
fn host_26_prompt_consent_shows_the_page() {
    let world = World::new();
    world.tokens();
    assert_consent(&step(&world, &ask("consent"), Some(ALICE)));
}

#[test]
fn host_24_the_digest_of_a_request_survives_a_session_that_keeps_text() {
    let page = login(&World::new(), &ask("login"), Some(ALICE));
    let text = page.request().to_string();
    assert_eq!(text.parse(), Ok(page.request()));
    assert_eq!(serde_json::to_string(&page.request()).unwrap(), format!("\"{text}\""));
    for other in ["", "x", &text[1..], &format!("{text}="), &format!("{text}A")] {
        assert!(other.parse::<RequestDigest>().is_err(), "{other}");
    }
}

/// The digest of a request keeps its parameters apart, also if their values are the same one after
/// the other.
#[test]
fn host_24_no_two_requests_have_one_digest() {
    let world = World::new();
    let digest = |hint: Option<&str>, locales: Option<&str>| {
        let mut params = Params::authorize();
        for (name, value) in [("login_hint", hint), ("ui_locales", locales)] {
            if let Some(value) = value {
                params = params.set(name, value);
            }
        }
        match world.authorize_as(&params, None) {
            Ok(AuthorizationStep::NeedsLogin(page)) => page.request(),
            other => panic!("{other:?}"),
        }
    };
    let all = [
        digest(None, None),
        digest(Some("a"), Some("b\u{1}c")),
        digest(Some("a\u{1}b"), Some("c")),
        digest(Some("ab"), Some("c")),
        digest(Some("a"), Some("bc")),
        digest(Some("abc"), None),
        digest(None, Some("abc")),
    ];
    for (at, one) in all.iter().enumerate() {
        assert!(all[at + 1..].iter().all(|other| other != one), "{at}");
    }
    assert_eq!(digest(Some("a"), None), digest(Some("a"), None));
}
