//! Tests of HOST-21, HOST-27 to HOST-30 and I56: how recent and how strong a login must be, and how
//! a host gives one up.

use grantcore::policy::{ErrorDelivery, RegistrationRules};
use grantcore::request::{Login, LoginFailure, UserError};
use grantcore::{AuthorizationStep, Choice, LoginPage, Reason, RequestParts, Timestamp, User};

use crate::support::params::Params;
use crate::support::refused::{assert_page, assert_redir};
use crate::support::{ALICE, Granted, Outcome, T, World, json, param, policy};

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(T + seconds)
}

/// Alice, who signed in this many seconds after the beginning.
fn alice(seconds: u64) -> User<'static> {
    ALICE.with_login(Login::at(at(seconds)))
}

fn alice_by(seconds: u64, acr: &'static str) -> User<'static> {
    ALICE.with_login(Login::at(at(seconds)).with_acr(acr).unwrap())
}

fn aged(seconds: &str) -> Params {
    Params::authorize().set("max_age", seconds)
}

#[track_caller]
fn login(world: &World, params: &Params, user: User<'_>) -> LoginPage {
    match world.authorize_as(params, Some(user)) {
        Ok(AuthorizationStep::NeedsLogin(page)) => page,
        other => panic!("no login page but {other:?}"),
    }
}

#[track_caller]
fn assert_consent(world: &World, params: &Params, user: User<'_>) -> String {
    match world.authorize_as(params, Some(user)) {
        Ok(AuthorizationStep::NeedsConsent(page)) => page.ticket(),
        other => panic!("no consent page but {other:?}"),
    }
}

#[test]
fn host_28_max_age_compares_with_the_last_active_sign_in() {
    let world = World::new();
    world.at(1000);
    assert_consent(&world, &aged("60"), alice(940));
    assert_consent(&world, &aged("60"), alice(1005));
    let page = login(&world, &aged("60"), alice(939));
    assert!(page.fresh() && !page.choose_account());
    assert_eq!((page.max_age(), page.needed_acr_values().count()), (Some(60), 0));
    assert!(login(&world, &aged("60"), ALICE).fresh(), "an unknown time is too old");
    assert_eq!(world.store.commits(), 2, "two consent pages");
    // Without the demand, any login suffices.
    assert_consent(&world, &Params::authorize(), ALICE);
}

#[test]
fn host_28_a_malformed_max_age_is_refused() {
    let world = World::new();
    for value in ["-1", "x", "1.5", "+1", " 1", "1e3", "0x10", "18446744073709551616"] {
        let refusal = world.authorize_as(&aged(value), Some(alice(0))).unwrap_err();
        assert_redir(&world, &refusal, "invalid_request", Reason::MaxAgeMalformed);
    }
    assert_consent(&world, &aged("18446744073709551615"), alice(0));
    assert_consent(&world, &aged("007"), alice(0));
}

#[test]
fn host_28_max_age_0_is_one_login_and_no_loop() {
    let world = World::new();
    world.at(10);
    let page = login(&world, &aged("0"), alice(9));
    assert!(page.fresh());
    // The user has signed in, and time passed until the request came again.
    assert_consent(&world, &aged("0"), alice(9).signed_in_for(page.request()));
    assert_consent(&world, &aged("0"), ALICE.signed_in_for(page.request()));
    // A sign-in for another request does not count.
    let other = login(&world, &aged("00"), alice(9));
    assert!(login(&world, &aged("0"), alice(9).signed_in_for(other.request())).fresh());
    // Nor does one of the same second, or of a clock that is ahead.
    for time in [10, 11] {
        assert!(login(&world, &aged("0"), alice(time)).fresh(), "{time}");
        assert!(login(&world, &aged("000"), alice(time)).fresh(), "{time}");
    }
    assert_consent(&world, &aged("0"), alice(10).signed_in_for(page.request()));
}

#[test]
fn host_21_prompt_none_with_a_login_that_is_too_old_or_too_weak_is_an_error() {
    let world = World::with(policy().acr_values("pwd mfa"));
    world.at(1000);
    let silent = |params: Params| params.set("prompt", "none");
    for (params, user) in [
        (aged("60"), alice(900)),
        (aged("60"), ALICE),
        (Params::authorize().set("acr_values", "mfa"), alice_by(1000, "pwd")),
        (Params::authorize().set("acr_values", "mfa"), alice(1000)),
    ] {
        let refusal = world.authorize_as(&silent(params), Some(user)).unwrap_err();
        assert_redir(&world, &refusal, "login_required", Reason::LoginRequired);
    }
    let params = silent(aged("60")).set("acr_values", "mfa");
    let refusal = world.authorize_as(&params, Some(alice_by(990, "mfa"))).unwrap_err();
    assert_redir(&world, &refusal, "consent_required", Reason::ConsentRequired);
    assert_eq!(world.store.commits(), 0);
}

#[test]
fn host_25_a_choice_and_a_new_login_are_asked_together() {
    let world = World::with(policy().acr_values("pwd mfa"));
    world.at(1000);
    let params = aged("60").set("prompt", "select_account").set("acr_values", "mfa");
    let page = login(&world, &params, alice_by(0, "pwd"));
    assert!(page.fresh() && page.choose_account());
    assert!(page.needed_acr_values().eq(["mfa"]));
    // The digest answers the choice and the age, and not the class.
    let answered = alice_by(0, "pwd").signed_in_for(page.request());
    let page = login(&world, &params, answered);
    assert!(!page.fresh() && !page.choose_account() && page.needed_acr_values().eq(["mfa"]));
    let answered = alice_by(1000, "mfa").signed_in_for(page.request());
    assert_consent(&world, &params, answered);
}

#[test]
fn host_30_a_requested_class_is_necessary_where_classes_are_declared() {
    let world = World::with(policy().acr_values(" a  b c "));
    let ask = |values: &str| Params::authorize().set("acr_values", values);
    let page = login(&world, &ask("b"), alice_by(0, "a"));
    assert!(page.needed_acr_values().eq(["b"]) && !page.fresh());
    // In the policy's order, and without what it does not declare.
    let page = login(&world, &ask("z c b"), ALICE);
    assert!(page.needed_acr_values().eq(["b", "c"]));
    assert!(page.acr_values().eq(["z", "c", "b"]));
    let ticket = assert_consent(&world, &ask("z b"), alice_by(0, "b"));
    // The class is judged again when the user allows.
    let commits = world.store.commits();
    for user in [alice_by(1, "a"), alice(1)] {
        let refusal = world.server.consent(&ticket, user, Choice::Allow).outcome().unwrap_err();
        let code = "unmet_authentication_requirements";
        assert_redir(&world, &refusal, code, Reason::LoginClassUnmet);
        assert_eq!(world.store.commits(), commits, "no code");
    }
    drop(world.server.consent(&ticket, alice_by(1, "b"), Choice::Allow).outcome().unwrap());
    // A class that nobody declared is refused at once, signed in or not.
    for user in [None, Some(alice_by(0, "a"))] {
        for values in ["z", "A", "z \"", &"z".repeat(200)] {
            let refusal = world.authorize_as(&ask(values), user).unwrap_err();
            assert_eq!(refusal.reason(), Reason::LoginClassUnmet);
        }
    }
    let metadata = json(&world.server.policy().server_metadata());
    assert_eq!(metadata["acr_values_supported"], serde_json::json!(["a", "b", "c"]));
}

#[test]
fn host_30_without_declared_classes_they_are_handed_over() {
    let world = World::new();
    assert_consent(&world, &Params::authorize().set("acr_values", "b"), ALICE);
    let metadata = json(&world.server.policy().server_metadata());
    assert!(metadata.get("acr_values_supported").is_none());
}

#[test]
fn host_30_a_declared_class_can_be_one() {
    use grantcore::policy::PolicyError;
    let declared = |values: &str| policy().acr_values(values).build().err();
    let error = |acr: &str| Some(PolicyError::AcrValue { acr: acr.to_owned() });
    assert_eq!(declared("a b"), None);
    assert_eq!(declared("a \"b"), error("\"b"));
    assert_eq!(declared("a\tb"), error("a\tb"));
    assert_eq!(declared("é"), error("é"));
    assert_eq!(declared("a b a"), Some(PolicyError::AcrRepeated { acr: "a".to_owned() }));
    assert_eq!(
        declared("é").unwrap().to_string(),
        "acr value '\\u{e9}' is refused: the class of a login is 1 to 128 printable ASCII characters \
         without a quote and a backslash (RFC 9470 §3). Correct the argument of acr_values()."
    );
    for text in ["", "two words", "\"", "é", &"x".repeat(129)] {
        assert_eq!(Login::at(at(0)).with_acr(text).err(), Some(UserError::Acr));
    }
    let message = UserError::Acr.to_string();
    assert!(message.starts_with("the acr is refused: the class of a login is 1 to 128"));
}

/// The login of a grant, as its check returns it.
fn kept(world: &World, tokens: &Granted) -> (Option<Timestamp>, Option<String>) {
    let access = world.access(&tokens.access);
    (access.auth_time(), access.acr().map(str::to_owned))
}

/// Allows the page of this user's request, as the second user, and redeems the code.
fn granted(world: &World, shown: User<'_>, allows: User<'_>) -> Granted {
    let ticket = assert_consent(world, &Params::authorize(), shown);
    let redirect = world.server.consent(&ticket, allows, Choice::Allow).outcome().unwrap();
    let code = param(&redirect.into_location(), "code").unwrap();
    Granted::of(&world.token(&Params::redeem(&code)))
}

#[test]
fn host_29_the_login_of_the_user_who_allows_is_kept() {
    let world = World::new();
    world.at(100);
    let known = |seconds, acr: &str| (Some(at(seconds)), Some(acr.to_owned()));
    let tokens = granted(&world, alice_by(50, "pwd"), alice_by(60, "mfa"));
    assert_eq!(kept(&world, &tokens), known(60, "mfa"));
    let tokens = granted(&world, alice_by(50, "pwd"), alice_by(50, "pwd"));
    assert_eq!(kept(&world, &tokens), known(50, "pwd"));
    let tokens = granted(&world, alice(50), alice(50));
    assert_eq!(kept(&world, &tokens), (Some(at(50)), None));
    let tokens = granted(&world, ALICE, alice_by(50, "pwd"));
    assert_eq!(kept(&world, &tokens), known(50, "pwd"));
    let tokens = granted(&world, ALICE, ALICE);
    assert_eq!(kept(&world, &tokens), (None, None));
}

#[test]
fn host_29_an_older_login_does_not_approve() {
    let world = World::new();
    world.at(100);
    for older in [alice(49), alice_by(49, "mfa"), ALICE] {
        let ticket = assert_consent(&world, &Params::authorize(), alice(50));
        let allow = |user| world.server.consent(&ticket, user, Choice::Allow).outcome();
        let commits = world.store.commits();
        let refusal = allow(older).unwrap_err();
        assert_page(&world, &refusal, 400, "invalid_request", Reason::ConsentLoginOlder);
        assert_eq!(world.store.commits(), commits);
        // The page can still be answered. A denial needs no newer login.
        drop(allow(alice(50)).unwrap());
        let ticket = assert_consent(&world, &Params::authorize(), alice(50));
        let denied = world.server.consent(&ticket, older, Choice::Deny).outcome();
        assert_eq!(denied.unwrap_err().reason(), Reason::AccessDenied);
    }
}

/// `max_age` is judged when the page is made: reading it takes time (AMB-76).
#[test]
fn host_29_a_page_that_is_read_slowly_is_answered() {
    let world = World::new();
    let ticket = assert_consent(&world, &aged("5"), alice(0));
    world.at(500);
    drop(world.server.consent(&ticket, alice(0), Choice::Allow).outcome().unwrap());
}

/// Whatever happens to the grant, its login stays.
#[test]
fn i56_the_login_of_a_grant_never_changes() {
    let world = World::new();
    let mut tokens = granted(&world, alice_by(0, "mfa"), alice_by(0, "mfa"));
    let first = kept(&world, &tokens);
    assert_eq!(first, (Some(at(0)), Some("mfa".to_owned())));
    for step in 1..=20_u64 {
        world.at(step * 3000);
        // Newer logins of the same user are for other grants.
        granted(&world, alice_by(step * 3000, "pwd"), alice_by(step * 3000, "pwd"));
        let refresh = Params::refresh(tokens.refresh());
        let narrowed = if step % 2 == 0 { refresh.set("scope", "read") } else { refresh };
        tokens = Granted::of(&world.token(&narrowed));
        assert_eq!(kept(&world, &tokens), first);
    }
}

fn give_up(
    world: &World,
    params: &Params,
    user: Option<User<'_>>,
    failure: LoginFailure,
) -> grantcore::Refusal {
    let query = params.encode();
    let request =
        RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
    world.server.give_up_login(&request, user, failure).into_refusal()
}

const FAILURES: [(LoginFailure, &str, Reason); 4] = [
    (LoginFailure::LoginRequired, "login_required", Reason::LoginRequired),
    (LoginFailure::AccountSelection, "account_selection_required", Reason::LoginChoiceRequired),
    (LoginFailure::Interaction, "interaction_required", Reason::LoginInteractionRequired),
    (LoginFailure::Unmet, "unmet_authentication_requirements", Reason::LoginClassUnmet),
];

#[test]
fn host_27_the_client_gets_an_error_for_a_login_that_is_given_up() {
    let world = World::new();
    for (failure, code, reason) in FAILURES {
        let refusal = give_up(&world, &Params::authorize(), Some(ALICE), failure);
        assert_redir(&world, &refusal, code, reason);
    }
    assert_eq!(world.store.commits(), 0);
    // The first fault of the request goes before.
    let request = Params::authorize().set("scope", "x");
    let refusal = give_up(&world, &request, Some(ALICE), LoginFailure::Unmet);
    assert_redir(&world, &refusal, "invalid_scope", Reason::ScopeUnknown);
}

#[test]
fn host_27_no_error_is_sent_before_client_and_redirect_uri_are_verified() {
    let world = World::new();
    for (failure, ..) in FAILURES {
        for (params, code, reason) in [
            (
                Params::authorize().set("client_id", "nobody"),
                "invalid_client",
                Reason::ClientUnknown,
            ),
            (
                Params::authorize().set("redirect_uri", "https://evil.example/"),
                "invalid_request",
                Reason::RedirectUriMismatch,
            ),
            (Params::authorize().without("client_id"), "invalid_request", Reason::ClientIdMissing),
        ] {
            let refusal = give_up(&world, &params, Some(ALICE), failure);
            assert_page(&world, &refusal, 400, code, reason);
        }
    }
    // An untrusted client gets a link, as with any other error (AMB-05).
    let open = policy().registration(RegistrationRules::default());
    let world = World::with(open.error_delivery(ErrorDelivery::Auto));
    let registered = world.registered(&crate::support::clients::metadata());
    let own = Params::authorize().set("client_id", registered["client_id"].as_str().unwrap());
    let refusal = give_up(&world, &own, Some(ALICE), LoginFailure::LoginRequired);
    let problem = refusal.problem(world.server.policy());
    assert_eq!(refusal.location(world.server.policy()), None);
    assert_eq!(param(&problem.continue_url.unwrap(), "error").as_deref(), Some("login_required"));
}

/// A document that is stale by now is not fetched: the login page was shown for the client.
#[test]
fn host_27_a_client_with_a_stale_document_gets_the_error_as_well() {
    use grantcore::policy::DocumentRules;
    use serde_json::json;
    let world = World::with(policy().client_documents(DocumentRules::default()));
    let id = "https://editor.example/client.json";
    let uri = "https://editor.example/cb";
    let document = json!({ "client_id": id, "client_name": "Editor", "redirect_uris": [uri] });
    let params = Params::authorize().set("client_id", id).set("redirect_uri", uri);
    world.page_with(&params, &document);
    world.at(23 * 3600);
    world.needed(&params);
    let refusal = give_up(&world, &params, Some(ALICE), LoginFailure::Interaction);
    assert_eq!(refusal.reason(), Reason::LoginInteractionRequired);
}

/// doorkeeper-gem/doorkeeper-openid_connect#61: errors of `prompt=none` went to an unverified URI.
#[test]
fn doorkeeper_openid_connect_61_no_error_of_a_login_goes_to_an_unverified_uri() {
    let world = World::with(policy().acr_values("a"));
    let faults: [fn(Params) -> Params; 5] = [
        |params| params.set("redirect_uri", "https://evil.example/"),
        |params| params.set("redirect_uri", "https://app.example/cb/"),
        |params| params.and("redirect_uri", "https://evil.example/"),
        |params| params.set("client_id", "nobody"),
        |params| params.without("client_id"),
    ];
    let demands: [fn(Params) -> Params; 5] = [
        |params| params.set("prompt", "none"),
        |params| params.set("prompt", "none login"),
        |params| params.set("prompt", "none").set("max_age", "0"),
        |params| params.set("max_age", "-1"),
        |params| params.set("acr_values", "z"),
    ];
    for fault in faults {
        for demand in demands {
            for user in [None, Some(ALICE)] {
                let refusal = world.authorize_as(&demand(fault(Params::authorize())), user);
                let refusal = refusal.unwrap_err();
                let policy = world.server.policy();
                let problem = refusal.problem(policy);
                assert_eq!((refusal.location(policy), problem.continue_url), (None, None));
            }
        }
    }
}
