//! Tests of the additions to a reason's stable description: the received value and the right one.

use std::cell::Cell;

use grantcore::policy::{Limits, PolicyError};
use grantcore::{Authorization, Policy, Reason, Refusal};
use proptest::prelude::*;

use crate::support::params::Params;
use crate::support::property::check;
use crate::support::refused::refused;
use crate::support::steps::form;
use crate::support::{Answered, ISSUER, MCP, Outcome, World, json, needs, param, policy};

const PAGE: &str = "https://auth.example/troubleshooting";

fn described(world: &World, params: &Params) -> String {
    refused(world, params).description().into_owned()
}

fn ask() -> Params {
    Params::authorize()
}

/// Requests, each with the addition to its description.
const NAMED: &[(&str, &str, &str)] = &[
    (
        "scope",
        "read openai email2",
        " Unknown: 'email2', 'openai'. Known: 'read', 'write', 'admin'.",
    ),
    (
        "scope",
        "read,write",
        " Unknown: 'read,write'. Known: 'read', 'write', 'admin'. Separate scope tokens by \
         spaces, not by commas.",
    ),
    ("scope", "read b\u{fc}cher", " Not a scope token: 'b%C3%BCcher'."),
    (
        "scope",
        "1 2 3 4 5 6 7",
        " Unknown: '1', '2', '3', '4', '5' and 2 more. Known: 'read', 'write', 'admin'.",
    ),
    ("redirect_uri", "https://app.example/cb/", " Received: 'https://app.example/cb/'."),
    (
        "redirect_uri",
        "https://b\u{fc}cher.example/cb",
        " Received: 'https://b%C3%BCcher.example/cb'. A browser writes its host as \
         'xn--bcher-kva.example'.",
    ),
    (
        "redirect_uri",
        "https://0x7f.1/cb",
        " Received: 'https://0x7f.1/cb'. A browser writes its host as '127.0.0.1'.",
    ),
    ("response_type", "id_token \"x\"", " Received: 'id_token %22x%22'."),
    ("response_mode", "form_post", " Received: 'form_post'."),
    ("code_challenge_method", "plain", " Received: 'plain'."),
    (
        "code_challenge",
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c",
        " The one received has 42 characters.",
    ),
    (
        "code_challenge",
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM",
        " The one received has a character outside base64url.",
    ),
    (
        "code_challenge",
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c\u{e9}",
        " The one received has a character outside base64url.",
    ),
    (
        "code_challenge",
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM=",
        " The one received has 44 characters, and one of them is outside base64url.",
    ),
    (
        "resource",
        "https://mcp.example/other",
        " Received: 'https://mcp.example/other'. Known: 'https://mcp.example/mcp'.",
    ),
    ("resource", "mcp.example", " Received: 'mcp.example'."),
];

#[test]
fn authz_18_descriptions_name_the_received_and_the_right_value() {
    for (name, value, added) in NAMED {
        let world = World::new();
        let refusal = refused(&world, &ask().set(name, value));
        let description = refusal.description();
        let stable = refusal.reason().description();
        assert_eq!(description, format!("{stable}{added}"));
        assert_eq!(refusal.detail().as_deref(), Some(added.trim_start()));
        // The page, the redirect and the audit log have it too.
        let problem = refusal.problem(world.server.policy());
        assert_eq!(problem.description, description);
        let location = refusal.location(world.server.policy());
        let sent = location.map(|url| param(&url, "error_description").unwrap());
        assert!(sent.is_none_or(|sent| sent == description));
        let event = world.events().pop().unwrap();
        assert_eq!(event.detail.as_deref(), Some(added.trim_start()));
        assert_eq!(event.sent.unwrap().description, Some(description));
    }
}

#[test]
fn authz_18_the_number_of_scope_tokens_is_named() {
    let many: Vec<_> = (0..65).map(|number| format!("s{number}")).collect();
    let description = described(&World::new(), &ask().set("scope", &many.join(" ")));
    assert!(
        description.ends_with(" Received: 65 scope tokens. At most 64 are possible."),
        "{description}"
    );
}

#[test]
fn authz_12_the_repeated_parameter_is_named() {
    let world = World::new();
    for name in ["scope", "state", "response_type", "code_challenge"] {
        let description = described(&world, &ask().and(name, "x"));
        assert!(description.ends_with(&format!(" Repeated: '{name}'.")), "{description}");
    }
}

/// Returns whether a description has only allowed characters.
fn is_clean(text: &str) -> bool {
    text.len() <= 1_200
        && text.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E))
}

#[test]
fn token_18_a_repeated_value_has_allowed_characters_and_is_bounded() {
    let names = prop::sample::select(vec![
        "scope",
        "redirect_uri",
        "response_type",
        "response_mode",
        "code_challenge",
        "code_challenge_method",
        "resource",
    ]);
    let value = prop_oneof![
        "\\PC{1,60}",
        "[\\x00-\\x7f]{1,60}",
        prop::collection::vec(any::<char>(), 1..900)
            .prop_map(|chars| chars.into_iter().collect::<String>()),
    ];
    let detailed = Cell::new(0);
    check(&(names, value), |(name, value)| {
        let world = World::new();
        if let Err(refusal) = world.authorize(&ask().set(name, &value)) {
            let description = refusal.description();
            prop_assert!(is_clean(&description), "{}", description);
            prop_assert!(description.starts_with(refusal.reason().description()));
            detailed.set(detailed.get() + usize::from(refusal.detail().is_some()));
        }
        Ok(())
    });
    assert!(detailed.get() > 100, "{}", detailed.get());
}

/// Spells the prefix of a credential differently: some characters are percent-encoded, some are in
/// upper case.
fn respelled(token: &str, choices: &[u8]) -> String {
    let spell = |(position, c): (usize, char)| match choices.get(position).map_or(0, |own| own % 3)
    {
        1 if position < 4 => format!("%{:02X}", c as u32),
        2 if position < 4 => c.to_ascii_uppercase().to_string(),
        _ => c.to_string(),
    };
    token.chars().enumerate().map(spell).collect()
}

#[test]
fn i25_no_credential_is_in_a_description_or_an_event() {
    let places = prop::sample::select(vec![
        ("scope", "read ", " write"),
        ("redirect_uri", "https://app.example/cb?t=", "&x=1"),
        ("response_type", "", ""),
        ("response_mode", "x", ""),
        ("code_challenge_method", "S256 ", ""),
        ("resource", "https://mcp.example/", "/mcp"),
    ]);
    let seen = Cell::new(0);
    check(&(places, 0_usize..3, any::<[u8; 4]>()), |((name, before, after), which, choices)| {
        let world = World::new();
        let code = world.code(&ask());
        let granted = world.tokens();
        let token = [&*code, &granted.access, granted.refresh()][which].to_owned();
        let sent = format!("{before}{}{after}", respelled(&token, &choices));
        let refusal = refused(&world, &ask().set(name, &sent));
        let event = world.events().pop().unwrap();
        let reply = refusal.reply(world.server.policy());
        let location = reply.header("location").unwrap_or_default();
        let secret = &token[4..];
        for text in
            [format!("{event:?}"), format!("{refusal:?}"), reply.body.clone(), location.to_owned()]
        {
            prop_assert!(!text.contains(secret), "{}", text);
        }
        prop_assert!(refusal.description().contains("..."), "{}", refusal.description());
        seen.set(seen.get() + 1);
        Ok(())
    });
    assert_eq!(seen.get(), 256);
}

fn explained() -> World {
    World::with(policy().troubleshooting_url(PAGE))
}

#[test]
fn token_19_an_error_names_the_page_that_explains_it() {
    let world = explained();
    let uri = |reason: Reason| format!("{PAGE}#{}", reason.name());
    // RFC 6749 §4.1.2.1.
    let refusal = refused(&world, &ask().set("scope", "x"));
    let location = refusal.location(world.server.policy()).unwrap();
    assert_eq!(param(&location, "error_uri"), Some(uri(Reason::ScopeUnknown)));
    // RFC 6749 §5.2.
    let reply = world.token(&Params::redeem("x").without("code_verifier"));
    assert_eq!(json(&reply)["error_uri"], uri(world.reason().unwrap()));
    // RFC 6750 §3.
    let needs = needs(world.server.policy(), 0, "");
    let refusal: Refusal =
        world.server.check(&Authorization::One(b"Bearer nonsense"), &needs).outcome().unwrap_err();
    let reply = refusal.reply(world.server.policy());
    let header = reply.header("www-authenticate").unwrap();
    let named = format!("error_uri=\"{}\"", uri(refusal.reason()));
    assert!(header.contains(&named) && header.matches("error_uri").count() == 1, "{header}");
}

/// An `error_uri` does not reveal more than the description.
#[test]
fn token_19_equal_descriptions_have_equal_error_uris() {
    let world = explained();
    let at = |reason: Reason, endpoint| {
        let reply = Refusal::plain(reason, endpoint).reply(world.server.policy());
        (reply.status < 500 || !reply.body.is_empty()).then(|| json(&reply)["error_uri"].clone())
    };
    for one in Reason::ALL {
        for other in Reason::ALL {
            let endpoint = grantcore::reason::Endpoint::Token;
            let both = [one, other].iter().all(|own| own.endpoints().contains(&endpoint));
            if both && one.description() == other.description() {
                assert_eq!(at(*one, endpoint), at(*other, endpoint), "{one:?} {other:?}");
            }
        }
    }
}

#[test]
fn token_19_without_a_page_and_in_terse_errors_there_is_no_error_uri() {
    for world in [World::new(), World::with(policy().troubleshooting_url(PAGE).terse_errors(true))]
    {
        let refusal = refused(&world, &ask().set("scope", "x"));
        let location = refusal.location(world.server.policy()).unwrap();
        assert_eq!(param(&location, "error_uri"), None);
        let reply = world.token(&Params::redeem("x"));
        assert_eq!(json(&reply).get("error_uri"), None);
    }
    for bad in ["", "/troubleshooting", "http://auth.example/t", "https://auth.example/t#x"] {
        let built = Policy::builder(ISSUER)
            .scope("read", "Read")
            .resource(MCP, "read")
            .troubleshooting_url(bad)
            .build();
        assert_eq!(built.err(), Some(PolicyError::TroubleshootingUrl { url: bad.into() }));
    }
}

/// The description of a limit names the limit and the received number. The description of a
/// repeated parameter names it.
#[test]
fn token_18_a_limit_and_a_repeated_parameter_are_named() {
    let world = World::with(policy().limits(
        Limits::default().with_request_bytes(4_000).with_parameters(20).with_value_bytes(1_000),
    ));
    let long = format!("client_id=app&state={}", "x".repeat(1_001));
    let body = "x".repeat(4_001);
    let many = "a=b&".repeat(21);
    let too_large = Reason::RequestTooLarge;
    let repeated = Reason::ParameterRepeated;
    for (form_body, reason, hint) in [
        (&*body, too_large, "Received: 4001 bytes. At most 4000 are accepted."),
        (&*many, too_large, "Received: 21 parameters. At most 20 are accepted."),
        (&*long, too_large, "Received: 1001 bytes in one parameter. At most 1000 are accepted."),
        ("client_id=app&scope=a&scope=b", repeated, "Repeated: 'scope'."),
        ("client_id=app&token=a&token=b", repeated, "Repeated: 'token'."),
    ] {
        let incoming = form(form_body);
        let reply = if form_body.contains("token") {
            world.server.revoke(&incoming).answered(world.server.policy())
        } else {
            world.server.token(&incoming).answered(world.server.policy())
        };
        let wanted = format!("{} {hint}", reason.description());
        assert_eq!(json(&reply)["error_description"], *wanted, "{form_body:.40}");
    }
    let incoming = grantcore::RequestParts { method: "GET", query: long.as_bytes(), ..form("") };
    let refusal = world.server.authorize(&incoming, None).outcome().unwrap_err();
    assert!(refusal.description().ends_with("At most 1000 are accepted."));
}
