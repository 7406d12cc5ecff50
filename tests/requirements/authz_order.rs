//! Tests of AUTHZ-05 and -11: the order of the checks, and that no response redirects before client
//! and redirect URI are verified.

use std::cell::Cell;

use grantcore::client::{ClientBuilder, Registration};
use grantcore::policy::PolicyBuilder;
use grantcore::reason::{Endpoint, ErrorCode};
use grantcore::value::{GrantTypes, Scope};
use grantcore::{AuthorizationStep, Choice, Client, Policy, Reason, Refusal, RequestParts};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::support::params::Params;
use crate::support::property::check;
use crate::support::refused::refused;
use crate::support::{ALICE, CALLBACK, ISSUER, MCP, Outcome, World, app};

/// A request to which faults are added, and its world.
pub(crate) struct Ask {
    pub(crate) params: Params,
    /// The text that is appended to the encoded query.
    raw: &'static str,
    suspended: bool,
}

/// A fault, with the step of the order that finds it.
pub(crate) struct Fault {
    pub(crate) step: u8,
    pub(crate) reason: Reason,
    pub(crate) add: fn(Ask) -> Ask,
}

const fn fault(step: u8, reason: Reason, add: fn(Ask) -> Ask) -> Fault {
    Fault { step, reason, add }
}

pub(crate) const FAULTS: &[Fault] = &[
    fault(1, Reason::RequestUndecodable, |ask| Ask { raw: "&x=%ZZ", ..ask }),
    fault(1, Reason::RequestTooLarge, |ask| ask.with(|params| params.and("x", &"x".repeat(4097)))),
    fault(2, Reason::ClientIdMissing, |ask| ask.with(|params| params.without("client_id"))),
    fault(2, Reason::ClientIdRepeated, |ask| ask.with(|params| params.and("client_id", "app"))),
    fault(2, Reason::ClientUnknown, |ask| ask.with(|params| params.set("client_id", "ghost"))),
    fault(2, Reason::ClientDeactivated, |ask| ask.with(|params| params.set("client_id", "gone"))),
    fault(3, Reason::RedirectUriMissing, |ask| ask.with(|params| params.without("redirect_uri"))),
    fault(3, Reason::RedirectUriRepeated, |ask| {
        ask.with(|params| params.and("redirect_uri", CALLBACK))
    }),
    fault(3, Reason::RedirectUriMismatch, |ask| {
        ask.with(|params| params.set("redirect_uri", "https://evil.example/"))
    }),
    fault(3, Reason::RedirectUriMismatch, |ask| {
        ask.with(|params| params.set("redirect_uri", "nonsense"))
    }),
    fault(4, Reason::ParameterRepeated, |ask| ask.with(|params| params.and("state", "again"))),
    fault(5, Reason::RequestObject, |ask| ask.with(|params| params.set("request", "x"))),
    fault(5, Reason::RequestUri, |ask| ask.with(|params| params.set("request_uri", "x"))),
    fault(6, Reason::ResponseTypeMissing, |ask| ask.with(|params| params.without("response_type"))),
    fault(6, Reason::ResponseTypeUnsupported, |ask| {
        ask.with(|params| params.set("response_type", "token"))
    }),
    fault(7, Reason::CodeFlowUnauthorized, |ask| {
        ask.with(|params| params.set("client_id", "codeless"))
    }),
    fault(8, Reason::ResponseModeUnsupported, |ask| {
        ask.with(|params| params.set("response_mode", "fragment"))
    }),
    fault(9, Reason::PkceMissing, |ask| ask.with(|params| params.without("code_challenge"))),
    fault(9, Reason::PkceMethodMissing, |ask| {
        ask.with(|params| params.without("code_challenge_method"))
    }),
    fault(9, Reason::PkceMethod, |ask| {
        ask.with(|params| params.set("code_challenge_method", "plain"))
    }),
    fault(9, Reason::PkceMalformed, |ask| ask.with(|params| params.set("code_challenge", "short"))),
    fault(10, Reason::ScopeMissing, |ask| ask.with(|params| params.without("scope"))),
    fault(10, Reason::ScopeMalformed, |ask| ask.with(|params| params.set("scope", "a\"b"))),
    fault(10, Reason::ScopeUnknown, |ask| ask.with(|params| params.set("scope", "x"))),
    fault(10, Reason::ScopeForbidden, |ask| ask.with(|params| params.set("scope", "admin"))),
    fault(11, Reason::ResourceMissing, |ask| ask.with(|params| params.without("resource"))),
    fault(11, Reason::ResourceMalformed, |ask| {
        ask.with(|params| params.set("resource", "mcp.example"))
    }),
    fault(11, Reason::ResourceUnknown, |ask| {
        ask.with(|params| params.set("resource", "https://other.example/"))
    }),
    fault(12, Reason::PromptContradiction, |ask| {
        ask.with(|params| params.set("prompt", "none login"))
    }),
    fault(13, Reason::AccountSuspended, |ask| Ask { suspended: true, ..ask }),
];

impl Ask {
    pub(crate) fn good() -> Self {
        Self { params: Params::authorize().and("resource", MCP), raw: "", suspended: false }
    }

    fn with(self, change: impl FnOnce(Params) -> Params) -> Self {
        Self { params: change(self.params), ..self }
    }

    /// Sends the request with clients of the operator.
    pub(crate) fn send(&self) -> (World, Result<AuthorizationStep, Refusal>) {
        self.send_as(Registration::Operator)
    }

    /// Sends the request to a world in which every fault can occur: no default scope, two
    /// resources, and clients with restrictions.
    pub(crate) fn send_as(
        &self,
        registration: Registration,
    ) -> (World, Result<AuthorizationStep, Refusal>) {
        let world = World::with(strict());
        let uris = |client: ClientBuilder| {
            client.redirect_uri(CALLBACK).redirect_uri("https://app.example/2")
        };
        let own = |id: &str| uris(Client::public(id)).registration(registration);
        let none = GrantTypes { authorization_code: false, refresh_token: false };
        world.put(own("app").scope(Scope::parse("read write").unwrap()).build().unwrap());
        world.put(own("gone").build().unwrap().deactivated());
        world.put(
            own("codeless")
                .scope(Scope::parse("read write").unwrap())
                .grant_types(none)
                .build()
                .unwrap(),
        );
        world.store.suspend("alice", self.suspended);
        let query = self.params.encode() + self.raw;
        let incoming =
            RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
        let answer = world.server.authorize(&incoming, Some(ALICE)).outcome();
        (world, answer)
    }
}

fn strict() -> PolicyBuilder {
    let scopes = Policy::builder(ISSUER)
        .scope("read", "Read")
        .scope("write", "Write")
        .scope("admin", "Manage");
    scopes.resource(MCP, "read write").resource("https://files.example/", "read")
}

#[track_caller]
fn assert_found(fault: &Fault, ask: &Ask) {
    let (world, answer) = ask.send();
    let refusal = answer.map(|step| panic!("{step:?}")).unwrap_err();
    let code = fault.reason.code(Endpoint::Authorization);
    assert_eq!((world.reason(), refusal.code()), (Some(fault.reason), code), "{:?}", ask.params);
    let location = refusal.location(world.server.policy());
    assert_eq!(location.is_some(), fault.step > 3, "{:?} at {location:?}", fault.reason);
    assert_eq!(world.store.commits(), 0);
}

#[test]
fn authz_05_each_fault_is_found() {
    assert!(Ask::good().send().1.is_ok());
    for fault in FAULTS {
        assert_found(fault, &(fault.add)(Ask::good()));
    }
}

#[test]
fn authz_05_of_two_faults_the_earlier_is_reported() {
    let pairs = FAULTS.iter().flat_map(|first| FAULTS.iter().map(move |second| (first, second)));
    for (first, second) in pairs.filter(|(first, second)| first.step < second.step) {
        assert_found(first, &(first.add)((second.add)(Ask::good())));
    }
}

#[test]
fn authz_05_the_account_is_checked_last() {
    // After every fault of the request.
    for fault in FAULTS.iter().filter(|fault| fault.reason != Reason::AccountSuspended) {
        assert_found(fault, &(fault.add)(Ask { suspended: true, ..Ask::good() }));
    }
    // After the sign-in: a login page is shown, or its absence reported, as for any other user.
    let world = World::new();
    world.store.suspend("alice", true);
    for (user, params) in [
        (None, Params::authorize()),
        (Some(ALICE), Params::authorize().set("prompt", "login")),
        (Some(ALICE), Params::authorize().set("max_age", "0")),
    ] {
        let step = world.authorize_as(&params, user);
        assert!(matches!(step, Ok(AuthorizationStep::NeedsLogin(_))), "{params:?}: {step:?}");
    }
    let unasked = Params::authorize().set("prompt", "none");
    let refusal = world.authorize_as(&unasked, None).unwrap_err();
    assert_eq!(refusal.code(), Some(ErrorCode::LoginRequired));
    // And before the consent: no page is made, and `prompt=none` does not hide the suspension.
    for params in [Params::authorize(), unasked] {
        assert_eq!(refused(&world, &params).code(), Some(ErrorCode::AccessDenied), "{params:?}");
    }
    assert!(world.grants().is_empty());
}

/// Authlib, CVE-2026-44681: errors were sent to an unverified redirect URI.
#[test]
fn cve_2026_44681_no_error_is_sent_to_an_unverified_redirect_uri() {
    for fault in FAULTS {
        for bad in [
            "https://evil.example/cb",
            "https://app.example/cb/",
            "https://app.example@evil.example/",
            "javascript:alert(1)",
        ] {
            let ask = (fault.add)(Ask::good()).with(|params| params.set("redirect_uri", bad));
            let (world, answer) = ask.send();
            let refusal = answer.map(|step| panic!("{step:?}")).unwrap_err();
            let policy = world.server.policy();
            let reply = refusal.reply(policy);
            let problem = refusal.problem(policy);
            assert_eq!(
                (refusal.location(policy), reply.header("location"), problem.continue_url),
                (None, None, None)
            );
        }
    }
}

/// workers-oauth-provider, CVE-2025-4143: the redirect URI was checked only at the redemption of
/// the code.
#[test]
fn cve_2025_4143_redirect_uri_is_checked_before_anything_is_shown() {
    let world = World::new();
    let ask = Params::authorize().set("redirect_uri", "https://evil.example/cb");
    for user in [Some(ALICE), None] {
        let refusal = world.authorize_as(&ask, user).unwrap_err();
        assert_eq!((refusal.status(), refusal.location(world.server.policy())), (400, None));
        assert_eq!((world.reason(), world.store.commits()), (Some(Reason::RedirectUriMismatch), 0));
    }
}

/// Spring Authorization Server, CVE-2024-22258, and workers-oauth-provider, CVE-2025-4144: a
/// request without a challenge was not protected by PKCE.
#[test]
fn cve_2024_22258_no_client_may_leave_pkce_out() {
    let world = World::new();
    for params in [Params::authorize(), Params::authorize().by_web()] {
        world.page(&params);
        let bare = params.clone().without("code_challenge").without("code_challenge_method");
        for downgraded in [
            bare,
            params.clone().without("code_challenge"),
            params.set("code_challenge_method", "plain"),
        ] {
            assert_eq!(refused(&world, &downgraded).code(), Some(ErrorCode::InvalidRequest));
        }
    }
    assert_eq!(world.store.commits(), 2);
}

const WORDS: &[&str] = &[
    "",
    "app",
    "gone",
    "codeless",
    "ghost",
    "phone",
    "native",
    "code",
    "token",
    "read",
    "S256",
    "plain",
    MCP,
    CALLBACK,
    "https://app.example/cb/",
    "https://app.example/cb?x=1",
    "https://app.example/cb#",
    "https://evil.example/cb",
    "//evil.example/cb",
    "javascript:alert(1)",
    "com.example.phone:/cb",
    "http://127.0.0.1:51004/cb",
    "http://127.0.0.1:51004@evil.example/cb",
    "http://localhost:51004/cb",
];

const NAMES: &[&str] = &[
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "request",
    "request_uri",
    "resource",
    "error",
];

/// Generates requests close to a valid one: some parameters are changed, added or left out.
fn requests() -> impl Strategy<Value = Params> {
    let value =
        prop_oneof![4 => prop::sample::select(WORDS).prop_map(str::to_owned), 1 => ".{0,20}"];
    let change = (prop::sample::select(NAMES), value, 0..4_u8);
    let uris = prop::sample::select(vec![
        ("app", CALLBACK),
        ("codeless", CALLBACK),
        ("gone", CALLBACK),
        ("phone", "com.example.phone:/cb"),
        ("native", "http://127.0.0.1:51004/cb"),
    ]);
    (uris, prop::collection::vec(change, 0..4)).prop_map(|((client, uri), changes)| {
        let good = Params::authorize().set("client_id", client).set("redirect_uri", uri);
        changes.into_iter().fold(good, |params, (name, value, how)| match how {
            0 => params.without(name),
            1 => params.and(name, &value),
            _ => params.set(name, &value),
        })
    })
}

/// Returns whether the URL is a registered redirect URI of an active client with an added query.
fn is_registered(url: &str) -> bool {
    let digits = |c: char| c.is_ascii_digit();
    let native = url
        .strip_prefix("http://127.0.0.1:")
        .and_then(|rest| rest.trim_start_matches(digits).strip_prefix("/cb"));
    let rest =
        [CALLBACK, "com.example.phone:/cb"].iter().find_map(|uri| url.strip_prefix(uri)).or(native);
    rest.is_some_and(|rest| rest.starts_with('?'))
}

/// Returns every URL to which a response could send a browser.
fn urls(world: &World, params: &Params) -> Vec<String> {
    let policy = world.server.policy();
    let of = |refusal: &Refusal| {
        let header = refusal.reply(policy).header("location").map(str::to_owned);
        [refusal.location(policy), header, refusal.problem(policy).continue_url]
            .into_iter()
            .flatten()
            .collect()
    };
    match world.authorize(params) {
        Ok(AuthorizationStep::NeedsConsent(page)) => {
            vec![world.decide(&page.ticket(), Choice::Allow).unwrap().into_location()]
        }
        Ok(AuthorizationStep::Done(redirect)) => vec![redirect.into_location()],
        Ok(AuthorizationStep::NeedsLogin(_) | AuthorizationStep::NeedsDocument(_)) => Vec::new(),
        Err(refusal) => of(&refusal),
    }
}

#[test]
fn authz_11_a_redirect_goes_to_a_registered_uri_of_an_active_client() {
    let redirected = Cell::new(0);
    let shown = Cell::new(0);
    check(&requests(), |params| {
        let world = World::new();
        let own = |id: &str, uri: &str| Client::public(id).redirect_uri(uri);
        let none = GrantTypes { authorization_code: false, refresh_token: false };
        world.put(app());
        world.put(own("gone", CALLBACK).build().unwrap().deactivated());
        world.put(own("codeless", CALLBACK).grant_types(none).build().unwrap());
        world.put(own("phone", "com.example.phone:/cb").build().unwrap());
        world.put(own("native", "http://127.0.0.1/cb").build().unwrap());
        let urls = urls(&world, &params);
        let count = if urls.is_empty() { &shown } else { &redirected };
        count.set(count.get() + 1);
        match urls.iter().find(|url| !is_registered(url)) {
            None => Ok(()),
            Some(url) => Err(TestCaseError::fail(format!("{url} by {params:?}"))),
        }
    });
    assert!(redirected.get() > 50 && shown.get() > 50, "{redirected:?} {shown:?}");
}
