//! Tests of AUTHZ-01 to -04 and -12 to -14: how the parameters of an authorization request are
//! read.

use std::sync::atomic::Ordering;

use grantcore::policy::Limits;
use grantcore::{AuthorizationStep, Choice, ContentType, Error, Reason, Refusal, RequestParts};

use crate::support::params::Params;
use crate::support::refused::{assert_page, assert_redir, assert_redir_to, refused, wire};
use crate::support::store::Broken;
use crate::support::{ALICE, CALLBACK, MCP, Outcome, World, param, policy};

const FORM: &[u8] = b"application/x-www-form-urlencoded";

fn get(world: &World, query: &[u8]) -> Result<AuthorizationStep, Refusal> {
    let answer: Result<_, Error<Broken>> = world
        .server
        .authorize(&RequestParts { method: "GET", query, ..RequestParts::default() }, Some(ALICE));
    answer.outcome()
}

fn post(world: &World, body: &[u8]) -> Result<AuthorizationStep, Refusal> {
    let incoming = RequestParts {
        method: "POST",
        content_type: ContentType::One(FORM),
        body,
        ..RequestParts::default()
    };
    world.server.authorize(&incoming, Some(ALICE)).outcome()
}

/// Returns the refusal of a request that is expected to fail.
#[track_caller]
fn error(answer: Result<AuthorizationStep, Refusal>) -> Refusal {
    answer.map(|step| panic!("not refused but {step:?}")).unwrap_err()
}

/// Returns the whole response as text, with the record and the ticket.
fn response_text(world: &World, answer: Result<AuthorizationStep, Refusal>) -> String {
    match answer {
        Ok(AuthorizationStep::NeedsConsent(page)) => format!("{page:?} ") + &page.ticket(),
        Ok(step) => format!("{step:?}"),
        Err(refusal) => wire(&refusal.reply(world.server.policy())),
    }
}

/// Sends a valid request, allows it, and returns the location.
pub(crate) fn allowed(world: &World, params: &Params) -> String {
    let ticket = world.page(params).ticket();
    world.decide(&ticket, Choice::Allow).expect("allowed").into_location()
}

/// Returns a valid query, padded with unknown parameters.
fn padded(pads: &[usize]) -> Params {
    pads.iter().fold(Params::authorize(), |params, length| params.and("pad", &"x".repeat(*length)))
}

#[test]
fn authz_01_get_and_post_are_equal() {
    let good = Params::authorize();
    for params in [
        good.clone(),
        good.clone().set("client_id", "ghost"),
        good.clone().set("redirect_uri", "https://evil.example/"),
        good.clone().without("code_challenge"),
        good.clone().set("state", "a b+c&d=%20é"),
    ] {
        let first = World::new();
        let second = World::new();
        let query = params.encode();
        let by_get = response_text(&first, get(&first, query.as_bytes()));
        assert_eq!(by_get, response_text(&second, post(&second, query.as_bytes())));
    }
}

#[test]
fn authz_01_other_methods_are_not_allowed() {
    let query = Params::authorize().encode();
    for method in ["PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"] {
        let world = World::new();
        let incoming = RequestParts {
            method,
            query: query.as_bytes(),
            content_type: ContentType::One(FORM),
            body: b"x=1",
            ..RequestParts::default()
        };
        let refusal = error(world.server.authorize(&incoming, Some(ALICE)).outcome());
        assert_page(&world, &refusal, 405, "invalid_request", Reason::MethodNotAllowed);
        assert_eq!(
            refusal.reply(world.server.policy()).header("allow"),
            Some("GET, POST"),
            "{method}"
        );
    }
}

#[test]
fn authz_02_undecodable_input_is_shown_to_the_user() {
    let world = World::new();
    for bad in [
        "x=%ZZ",
        "x=%",
        "x=%4",
        "x=a%",
        "%ZZ=x",
        "x=%FF",
        "x=%C3%28",
        "x=%ED%A0%80",
        "state=%00%",
        "\u{e9}=%g0",
    ] {
        let query = format!("{}&{bad}", Params::authorize().encode());
        assert_page(
            &world,
            &error(get(&world, query.as_bytes())),
            400,
            "invalid_request",
            Reason::RequestUndecodable,
        );
        assert_page(
            &world,
            &error(post(&world, query.as_bytes())),
            400,
            "invalid_request",
            Reason::RequestUndecodable,
        );
    }
    let raw = [Params::authorize().encode().as_bytes(), b"&x=\xff"].concat();
    assert_page(
        &world,
        &error(get(&world, &raw)),
        400,
        "invalid_request",
        Reason::RequestUndecodable,
    );
}

#[test]
fn authz_02_values_are_decoded_exactly_once() {
    let world = World::new();
    for (sent, meant) in [
        ("a%2520b", "a%20b"),
        ("a%20b", "a b"),
        ("a+b", "a b"),
        ("a%2Bb", "a+b"),
        ("%C3%A9", "é"),
        ("é", "é"),
    ] {
        let query = format!("{}&state={sent}", Params::authorize().without("state").encode());
        let Ok(AuthorizationStep::NeedsConsent(page)) = get(&world, query.as_bytes()) else {
            panic!("{sent}")
        };
        let location = world.decide(&page.ticket(), Choice::Allow).unwrap().into_location();
        assert_eq!(param(&location, "state").as_deref(), Some(meant));
    }
}

#[test]
fn authz_03_unknown_parameters_change_nothing() {
    let answer = |params: Params| {
        let world = World::new();
        response_text(&world, world.authorize(&params))
    };
    for params in [Params::authorize(), Params::authorize().without("code_challenge")] {
        let without = answer(params.clone());
        assert_eq!(without, answer(params.clone().and("foo", "1")));
        assert_eq!(without, answer(params.and("foo", "1").and("foo", "2").and("Scope", "admin")));
    }
}

#[test]
fn authz_03_an_empty_value_counts_as_absent() {
    for name in [
        "client_id",
        "redirect_uri",
        "response_type",
        "response_mode",
        "scope",
        "state",
        "resource",
        "request",
        "request_uri",
        "code_challenge",
        "code_challenge_method",
    ] {
        let absent = World::new();
        let empty = World::new();
        let without = absent.authorize(&Params::authorize().without(name));
        let with = empty.authorize(&Params::authorize().set(name, ""));
        assert_eq!(response_text(&absent, without), response_text(&empty, with), "{name}");
        assert_eq!(absent.reason(), empty.reason(), "{name}");
    }
    let location = allowed(&World::new(), &Params::authorize().set("state", ""));
    assert_eq!(param(&location, "state"), None);
}

#[test]
fn authz_04_input_over_a_cap_is_refused_before_any_work() {
    let base = Params::authorize().encode().len();
    let last = 16 * 1024 - base - 3 * (4096 + "&pad=".len()) - "&pad=".len();
    let cases = [
        (padded(&[4096, 4096, 4096, last]), padded(&[4096, 4096, 4096, last + 1])),
        (padded(&[1; 57]), padded(&[1; 58])),
        (padded(&[4096]), padded(&[4097])),
        (
            Params::authorize().set("state", &"é".repeat(2048)),
            Params::authorize().set("state", &"é".repeat(2049)),
        ),
    ];
    assert_eq!((cases[0].0.encode().len(), cases[1].0.0.len()), (16 * 1024, 64));
    for (at, over) in cases {
        let world = World::new();
        let refusal = refused(&world, &over);
        assert_page(&world, &refusal, 400, "invalid_request", Reason::RequestTooLarge);
        assert_eq!((world.store.reads.load(Ordering::SeqCst), world.store.commits()), (0, 0));
        let by_post = error(post(&world, over.encode().as_bytes()));
        assert_page(&world, &by_post, 400, "invalid_request", Reason::RequestTooLarge);
        world.page(&at);
    }
}

#[test]
fn authz_04_the_caps_are_configured() {
    let world = World::with(policy().limits(Limits::default().with_value_bytes(43)));
    world.page(&Params::authorize().set("state", &"x".repeat(43)));
    let refusal = refused(&world, &Params::authorize().set("state", &"x".repeat(44)));
    assert_page(&world, &refusal, 400, "invalid_request", Reason::RequestTooLarge);
}

#[test]
fn authz_12_a_repeated_parameter_is_an_error() {
    let world = World::new();
    for (name, value) in [
        ("response_type", "code"),
        ("scope", "read"),
        ("code_challenge", "x"),
        ("code_challenge_method", "S256"),
        ("response_mode", "query"),
        ("request", "x"),
        ("request_uri", "x"),
        // Defined elsewhere, and ignored here if sent once.
        ("authorization_details", "[]"),
        ("claims", "{}"),
        ("claims_locales", "en"),
        ("display", "page"),
        ("dpop_jkt", "x"),
        ("id_token_hint", "x"),
        ("nonce", "x"),
        ("registration", "{}"),
        ("vtr", "x"),
    ] {
        let once = Params::authorize().set(name, value);
        assert_redir(
            &world,
            &refused(&world, &once.and(name, value)),
            "invalid_request",
            Reason::ParameterRepeated,
        );
    }
    assert_eq!(world.store.commits(), 0);
    world.page(&Params::authorize().set("nonce", "x").set("display", "page").and("nonce", ""));
}

#[test]
fn authz_12_resource_alone_may_repeat() {
    let files = "https://files.example/";
    let twice = Params::authorize().and("resource", MCP).and("resource", files);
    let world = World::with(policy().resource(files, "read"));
    assert_eq!(world.page(&twice).resources().collect::<Vec<_>>(), [MCP, files]);
    assert_eq!(
        world.page(&twice.clone().and("resource", MCP)).resources().collect::<Vec<_>>(),
        [MCP, files]
    );
    let world = World::new();
    assert_redir(&world, &refused(&world, &twice), "invalid_target", Reason::ResourceUnknown);
}

#[test]
fn authz_13_a_repeated_state_is_not_sent_back() {
    let world = World::new();
    for second in ["xyz", "other"] {
        let refusal = refused(&world, &Params::authorize().and("state", second));
        assert_redir_to(
            &world,
            &refusal,
            CALLBACK,
            None,
            "invalid_request",
            Reason::ParameterRepeated,
        );
    }
}

#[test]
fn authz_14_state_is_returned_byte_for_byte() {
    let world = World::new();
    for state in
        ["a b+c&d=%20é~\"<", "%", "#", "?code=1", "a\r\nb\0", "'; -- \u{1f980}", &"s".repeat(4096)]
    {
        let params = Params::authorize().set("state", state);
        assert_eq!(param(&allowed(&world, &params), "state").as_deref(), Some(state));
        let denied = world.decide(&world.page(&params).ticket(), Choice::Deny).unwrap_err();
        assert_redir_to(
            &world,
            &denied,
            CALLBACK,
            Some(state),
            "access_denied",
            Reason::AccessDenied,
        );
        let refusal = refused(&world, &params.without("code_challenge"));
        assert_redir_to(
            &world,
            &refusal,
            CALLBACK,
            Some(state),
            "invalid_request",
            Reason::PkceMissing,
        );
    }
}

#[test]
fn authz_14_no_state_is_returned_if_none_was_received() {
    let world = World::new();
    let params = Params::authorize().without("state");
    assert_eq!(param(&allowed(&world, &params), "state"), None);
    let refusal = refused(&world, &params.without("code_challenge"));
    assert_redir_to(&world, &refusal, CALLBACK, None, "invalid_request", Reason::PkceMissing);
}
