//! Tests of the seed's first section, "Authorization failed" or stuck on the consent screen, one
//! for each sentence. The client registered itself, so its errors are shown as a banner.

use grantcore::client::Registration;
use grantcore::reason::{Endpoint, ErrorCode};
use grantcore::response::Problem;
use grantcore::{AuthorizationStep, Choice, Client, Reason, Refusal};

use crate::support::params::Params;
use crate::support::refused::{assert_error_url, codes, refused};
use crate::support::{Granted, World, json, param};

const URI: &str = "https://example.com/cb";

fn client(uris: &[&str]) -> Client {
    let client = Client::public("app").name("Connector").registration(Registration::Dynamic);
    uris.iter().fold(client, |client, uri| client.redirect_uri(*uri)).build().unwrap()
}

/// Returns a world with the client that registered [`URI`].
fn world() -> World {
    let world = World::new();
    world.put(client(&[URI]));
    world
}

fn ask() -> Params {
    Params::authorize().set("redirect_uri", URI)
}

/// The operator's texts of a refusal.
struct Operator {
    reason: Reason,
    cause: &'static str,
    fix: &'static str,
}

impl Operator {
    #[track_caller]
    fn reads(&self, world: &World) {
        assert_eq!(world.reason(), Some(self.reason));
        assert_eq!((self.reason.cause(), self.reason.fix()), (self.cause, self.fix));
    }
}

/// Asserts the error banner in place of the Allow button: status 400, this code and description,
/// and no redirect.
#[track_caller]
fn assert_banner(world: &World, refusal: &Refusal, code: &str, description: &str) -> Problem {
    let policy = world.server.policy();
    let reply = refusal.reply(policy);
    let problem = refusal.problem(policy);
    assert_eq!((reply.status, problem.status, reply.header("location")), (400, 400, None));
    assert_eq!(problem.code.map(ErrorCode::as_str), Some(code));
    assert!(problem.description.starts_with(description), "{}", problem.description);
    assert!(reply.body.contains(description) && reply.body.contains(problem.fix), "{}", reply.body);
    assert!(!reply.body.contains("gct_"), "no Allow: {}", reply.body);
    problem
}

/// Asserts a banner whose link leads to the error response for the client.
#[track_caller]
fn assert_banner_with_link(world: &World, params: &Params, description: &str, operator: &Operator) {
    let refusal = refused(world, params);
    operator.reads(world);
    let problem = assert_banner(world, &refusal, "invalid_request", description);
    assert_eq!((problem.cause, problem.fix), (operator.cause, operator.fix));
    assert_error_url(
        &problem.continue_url.unwrap(),
        URI,
        Some("xyz"),
        "invalid_request",
        operator.reason,
    );
    assert_eq!(world.store.commits(), 0);
}

/// Asserts that the whole flow works.
#[track_caller]
fn assert_connects(world: &World, uri: &str) {
    let code = world.code(&ask().set("redirect_uri", uri));
    assert!(
        world.works(
            &Granted::of(&world.token(&Params::redeem(&code).set("redirect_uri", uri))).access
        )
    );
}

const MISSING: Operator = Operator {
    reason: Reason::PkceMissing,
    cause: "code_challenge was left out.",
    fix: "Update the client to one that uses PKCE with S256.",
};

/// "The consent screen … shows an error banner instead of the Allow access button, or the page
/// reloads without progressing."
#[test]
fn seed_s03_an_error_banner_instead_of_allow_and_never_a_silent_reload() {
    let world = world();
    for params in [
        ask().without("code_challenge"),
        ask().set("redirect_uri", "https://example.com/"),
        ask().set("client_id", "x"),
    ] {
        let refusal = refused(&world, &params);
        let code = refusal.code().expect("a page has a code");
        assert_banner(&world, &refusal, code.as_str(), refusal.reason().description());
    }
    let ticket = world.page(&ask()).ticket();
    world.at(600);
    let submitted = world.decide(&ticket, Choice::Allow).unwrap_err();
    assert_banner(
        &world,
        &submitted,
        "consent_expired",
        "The consent page was open for too long. Reload the consent screen.",
    );
}

/// "Missing PKCE code challenge."
#[test]
fn seed_s04_missing_pkce_code_challenge() {
    let bare = ask().without("code_challenge").without("code_challenge_method");
    for params in [bare, ask().without("code_challenge"), ask().set("code_challenge", "")] {
        let description =
            "A code challenge is required. Send code_challenge and code_challenge_method=S256.";
        assert_banner_with_link(&world(), &params, description, &MISSING);
    }
}

/// "… requires PKCE with S256 (RFC 7636); the request must include `code_challenge` and
/// `code_challenge_method=S256`."
#[test]
fn seed_s05_requires_pkce_with_s256() {
    let world = world();
    let without_method = Operator {
        reason: Reason::PkceMethodMissing,
        cause: "The request has a code_challenge without code_challenge_method. The default is \
            plain, which is refused.",
        fix: "Send code_challenge_method=S256.",
    };
    let description = "The code_challenge_method parameter is missing, which means plain. Send \
        code_challenge_method=S256.";
    assert_banner_with_link(
        &world,
        &ask().without("code_challenge_method"),
        description,
        &without_method,
    );
    let malformed = Operator {
        reason: Reason::PkceMalformed,
        cause: "The code challenge has another length, padding, or characters outside base64url.",
        fix: "Send BASE64URL(SHA256(code_verifier)) without padding.",
    };
    let description = "The code_challenge is not 43 base64url characters, as S256 gives.";
    assert_banner_with_link(
        &world,
        &ask().set("code_challenge", "too-short"),
        description,
        &malformed,
    );
    assert_eq!(
        json(&world.server.policy().server_metadata())["code_challenge_methods_supported"],
        serde_json::json!(["S256"])
    );
    assert_connects(&world, URI);
}

/// "Older clients that send `plain` are rejected."
#[test]
fn seed_s06_clients_that_send_plain_are_rejected() {
    let operator = Operator {
        reason: Reason::PkceMethod,
        cause: "The client asked for plain or an unknown code challenge method.",
        fix: "Update the client to one that sends S256.",
    };
    for method in ["plain", "s256", "S512"] {
        let description = "Only code_challenge_method=S256 is supported. Update your client.";
        assert_banner_with_link(
            &world(),
            &ask().set("code_challenge_method", method),
            description,
            &operator,
        );
    }
}

/// "Update your client or use a Claude.ai version released in 2025 or later."
#[test]
fn seed_s07_update_your_client() {
    let world = world();
    let old = [ask().without("code_challenge"), ask().set("code_challenge_method", "plain")];
    for params in old {
        let problem = refused(&world, &params).problem(world.server.policy());
        assert!(problem.fix.starts_with("Update the client"), "{}", problem.fix);
    }
    assert_connects(&world, URI);
}

const MISMATCH: Operator = Operator {
    reason: Reason::RedirectUriMismatch,
    cause: "The redirect URI differs from every registered one. A slash, the case of a letter and \
        a port count; only the port of a loopback URI may differ.",
    fix: "Register exactly this URI for the client, or correct it on the client's side.",
};

/// Asserts that a redirect URI mismatch is shown to the user only.
#[track_caller]
fn assert_mismatch(world: &World, uri: &str) {
    let refusal = refused(world, &ask().set("redirect_uri", uri));
    MISMATCH.reads(world);
    let description =
        "The redirect_uri does not match any URI registered for the client, byte for byte.";
    let problem = assert_banner(world, &refusal, "invalid_request", description);
    assert_eq!((problem.received.as_deref(), problem.continue_url), (Some(uri), None));
    assert_eq!((problem.cause, problem.fix), (MISMATCH.cause, MISMATCH.fix));
}

/// "Redirect URI mismatch."
#[test]
fn seed_s08_redirect_uri_mismatch() {
    assert_mismatch(&world(), "https://evil.example/cb");
}

/// "The `redirect_uri` you pass must byte-exactly match one of the values registered for the
/// client."
#[test]
fn seed_s09_redirect_uri_must_match_byte_for_byte() {
    let world = world();
    for other in [
        "https://EXAMPLE.com/cb",
        "https://example.com:443/cb",
        "https://example.com/cb?",
        "https://example.com/c%62",
    ] {
        assert_mismatch(&world, other);
    }
    assert_connects(&world, URI);
    world.put(client(&["http://127.0.0.1/cb"]));
    assert_connects(&world, "http://127.0.0.1:51004/cb");
    assert_mismatch(&world, "http://127.0.0.1:51004/cb/");
}

/// "`https://example.com/cb` and `https://example.com/cb/` are different."
#[test]
fn seed_s10_a_trailing_slash_makes_another_uri() {
    let world = world();
    assert_mismatch(&world, "https://example.com/cb/");
    world.put(client(&["https://example.com/cb/"]));
    assert_mismatch(&world, URI);
    assert_connects(&world, "https://example.com/cb/");
}

/// "Re-register the client (Dynamic Client Registration is at …/oauth/register) or fix the URI on
/// your side."
#[test]
fn seed_s11_re_register_the_client_or_fix_the_uri() {
    let world = world();
    let moved = "https://example.com/new";
    assert_mismatch(&world, moved);
    assert_connects(&world, URI);
    world.put(client(&[URI, moved]));
    assert_connects(&world, moved);
}

const UNKNOWN: Operator = Operator {
    reason: Reason::ClientUnknown,
    cause: "No active client with this client_id exists.",
    fix: "Correct the client_id, or register the client again. A client of the operator is added by \
          the operator.",
};
const DEACTIVATED: Operator = Operator {
    reason: Reason::ClientDeactivated,
    cause: "The client exists but was deactivated by an administrator.",
    fix: "Reactivate the client, or register it again.",
};

#[track_caller]
fn assert_no_client(world: &World, params: &Params, operator: &Operator) -> Problem {
    let refusal = refused(world, params);
    operator.reads(world);
    let description = "The client is unknown or its authentication failed. Register it again, or ask \
                       the operator who registered it.";
    let problem = assert_banner(world, &refusal, "invalid_client", description);
    assert_eq!(problem.continue_url, None);
    problem
}

/// "Unknown client."
#[test]
fn seed_s12_unknown_client() {
    assert_no_client(&world(), &ask().set("client_id", "ghost"), &UNKNOWN);
}

/// "The `client_id` does not exist or has been deactivated."
#[test]
fn seed_s13_the_client_does_not_exist_or_has_been_deactivated() {
    let world = world();
    let unknown = assert_no_client(&world, &ask().set("client_id", "ghost"), &UNKNOWN);
    let ticket = world.page(&ask()).ticket();
    world.put(client(&[URI]).deactivated());
    let deactivated = assert_no_client(&world, &ask(), &DEACTIVATED);
    assert_eq!(unknown, deactivated, "only the operator sees the difference");
    let refusal = world.decide(&ticket, Choice::Allow).unwrap_err();
    assert_eq!(
        (refusal.reason(), refusal.code()),
        (Reason::ClientDeactivated, Some(ErrorCode::InvalidClient))
    );
    assert_eq!(codes(&world), 0);
}

/// "Re-run client registration."
#[test]
fn seed_s14_re_run_client_registration() {
    let world = World::new();
    let again = |id: &str| {
        Client::public(id).registration(Registration::Dynamic).redirect_uri(URI).build().unwrap()
    };
    world.put(again("old").deactivated());
    assert_no_client(&world, &ask().set("client_id", "old"), &DEACTIVATED);
    world.put(again("new"));
    let code = world.code(&ask().set("client_id", "new"));
    let redeem = Params::redeem(&code).set("client_id", "new").set("redirect_uri", URI);
    assert!(world.works(&Granted::of(&world.token(&redeem)).access));
}

const EXPIRED: Operator = Operator {
    reason: Reason::ConsentExpired,
    cause: "Before the decision came, the page's ticket expired, or the grants of the client or \
        the account were ended.",
    fix: "Reload the consent screen.",
};

/// "Session expired."
#[test]
fn seed_s15_session_expired() {
    let world = world();
    let ticket = world.page(&ask()).ticket();
    world.at(3600);
    for choice in [Choice::Allow, Choice::Deny] {
        let refusal = world.decide(&ticket, choice).unwrap_err();
        EXPIRED.reads(&world);
        let description = "The consent page was open for too long. Reload the consent screen.";
        let problem = assert_banner(&world, &refusal, "consent_expired", description);
        assert_eq!(
            (problem.cause, problem.fix, problem.continue_url),
            (EXPIRED.cause, EXPIRED.fix, None)
        );
    }
    assert_eq!(
        (codes(&world), Reason::ConsentExpired.code(Endpoint::Authorization)),
        (0, Some(ErrorCode::ConsentExpired))
    );
}

/// "If you stayed on the consent page for more than 10 minutes the CSRF nonce expires."
#[test]
fn seed_s16_after_ten_minutes_the_csrf_nonce_expires() {
    for (seconds, expired) in [(0, false), (599, false), (600, true), (601, true)] {
        let world = world();
        let ticket = world.page(&ask()).ticket();
        world.at(seconds);
        let answer = world.decide(&ticket, Choice::Allow);
        assert_eq!((answer.is_err(), codes(&world)), (expired, usize::from(!expired)), "{seconds}");
        assert_eq!(world.reason(), expired.then_some(Reason::ConsentExpired));
    }
}

/// "Reload the consent screen."
#[test]
fn seed_s17_reload_the_consent_screen() {
    let world = world();
    let old = world.page(&ask()).ticket();
    world.at(601);
    assert_eq!(world.decide(&old, Choice::Allow).unwrap_err().reason(), Reason::ConsentExpired);
    let Ok(AuthorizationStep::NeedsConsent(page)) = world.authorize(&ask()) else {
        panic!("no page after a reload")
    };
    let fresh = page.ticket();
    assert_ne!(fresh, old);
    let location = world.decide(&fresh, Choice::Allow).unwrap().into_location();
    assert!(param(&location, "code").is_some());
}
