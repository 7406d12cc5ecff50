//! Tests of edge cases: secrets in wrong places, deactivated clients, lost scopes, recreated
//! records, and bounds of storage.

use std::sync::atomic::{AtomicUsize, Ordering};

use grantcore::blocking::Store as _;
use grantcore::client::StoredSecret;
use grantcore::grant::GrantState;
use grantcore::policy::{CheckRules, Limits, RegistrationRules};
use grantcore::value::SecretMethod;
use grantcore::{
    Authorization, AuthorizationStep, Choice, Client, ContentType, Reason, RequestParts, User,
};
use proptest::prelude::*;

use crate::support::clients::{metadata, posting};
use crate::support::params::Params;
use crate::support::property::check;
use crate::support::refused::{assert_page, assert_redir, states};
use crate::support::steps::form;
use crate::support::{
    Answered, CALLBACK, Outcome, SECRET, World, assert_refused, needs, policy, user,
};

/// Spells a text in one of many ways: letter case, and percent-encoding once or twice.
fn spelled(text: &str, choices: &[u8]) -> String {
    let mut choices = choices.iter().cycle();
    let spell = |c: char| match choices.next().map_or(0, |choice| choice % 5) {
        0 => c.to_ascii_uppercase().to_string(),
        1 => format!("%{:02x}", u32::from(c)),
        2 => format!("%25{:02X}", u32::from(c)),
        _ => c.to_string(),
    };
    text.chars().map(spell).collect()
}

/// A client sends a credential of this server as its client id. No event has any part of the
/// credential.
#[test]
fn i25_a_credential_in_the_wrong_place_is_not_recorded() {
    let kinds = prop::sample::select(vec!["gct_", "gac_", "gat_", "grt_", "gcs_", "gcm_"]);
    let spelling = prop::collection::vec(any::<u8>(), 4);
    let cases = (kinds, "[ -~é]{0,40}", "[A-Za-z0-9_-]{30,60}", spelling);
    let world = World::with(
        policy()
            .registration(RegistrationRules::default())
            .limits(Limits::default().with_consent_pages_per_minute(u32::MAX)),
    );
    check(&cases, |(prefix, before, secret, spelling)| {
        let sent = format!("{before}{}{secret}", spelled(prefix, &spelling));
        let first = world.events().len();
        drop(world.token(&Params::refresh("x").set("client_id", &sent)));
        drop(world.token(&Params::refresh("x").set("client_id", &sent).set("client_secret", "x")));
        drop(world.authorize(&Params::authorize().set("client_id", &sent)));
        for name in ["redirect_uri", "scope", "response_type", "code_challenge_method", "prompt"] {
            drop(world.authorize(&Params::authorize().set(name, &sent)));
        }
        drop(world.authorize(&Params::authorize().set("resource", &sent)));
        let body = Params(Vec::new()).set("client_id", &sent).set("token", "x").encode();
        drop(world.server.revoke(&form(&body)).answered(world.server.policy()));
        let own = Params::refresh("x").set("scope", &sent).set("resource", &sent);
        drop(world.token(&own));
        drop(world.manage("GET", &sent, "x", &serde_json::json!({})));
        let events = world.events();
        prop_assert!(events.len() >= first + 11);
        let lines: Vec<_> = events[first..].iter().map(ToString::to_string).collect();
        let shown = format!("{:?} {lines:?}", &events[first..]);
        prop_assert!(!shown.contains(&secret[..12]), "{sent}: {shown}");
        Ok(())
    });
}

/// The time of the response does not show that the secret of a deactivated client was right.
#[test]
fn token_14_a_right_secret_of_a_deactivated_client_costs_what_a_wrong_one_does() {
    static HASHED: AtomicUsize = AtomicUsize::new(0);
    let verify = |secret: &[u8], _: &str| {
        HASHED.fetch_add(1, Ordering::SeqCst);
        secret == SECRET.as_bytes()
    };
    let world = World::with(policy().slow_hash(verify, "dummy"));
    let slow = StoredSecret::SlowHash("hash".into());
    let slow = Client::confidential("slow", SecretMethod::Post, slow).redirect_uri(CALLBACK);
    let slow = slow.build().unwrap();
    let gone = |client: Client, id: &str| {
        let served = Client::confidential(id, SecretMethod::Post, secret_of(&client));
        world.put(served.redirect_uri(CALLBACK).build().unwrap().deactivated());
    };
    gone(crate::support::web(), "fast gone");
    gone(slow, "slow gone");
    let cost = |client: &str, secret: &str| {
        let before = HASHED.load(Ordering::SeqCst);
        let params = Params::refresh("x").set("client_id", client).set("client_secret", secret);
        assert_eq!(world.token(&params).status, 401);
        HASHED.load(Ordering::SeqCst) - before
    };
    for client in ["fast gone", "slow gone", "web", "nobody"] {
        for secret in [SECRET, "wrong"] {
            if client != "web" || secret != SECRET {
                assert_eq!(cost(client, secret), 1, "{client} {secret}");
            }
        }
    }
}

fn secret_of(client: &Client) -> StoredSecret {
    client.secrets().expect("a client with a secret").current().clone()
}

/// A page shows the scope that the client could request when the page was made. Scope that the
/// client has lost since is not granted (I4).
#[test]
fn i4_scope_that_a_client_lost_after_the_page_is_not_granted() {
    let world = World::new();
    let ticket = world.page(&Params::authorize().set("scope", "read write")).ticket();
    let narrowed = crate::support::app()
        .edit()
        .scope(grantcore::value::Scope::parse("read").unwrap())
        .build()
        .unwrap();
    world.put(narrowed);
    let refusal = world.decide(&ticket, Choice::Allow).unwrap_err();
    assert_redir(&world, &refusal, "invalid_scope", Reason::ScopeForbidden);
    assert_eq!(states(&world), [GrantState::ConsentPending]);
    // The rest can be granted, and a denial is always possible.
    let location = world.decide(&ticket, Choice::AllowOnly("read")).unwrap().into_location();
    assert!(location.contains("code="));

    let ticket = world.page(&Params::authorize().set("scope", "read")).ticket();
    let none = grantcore::value::GrantTypes { authorization_code: false, refresh_token: false };
    world.put(crate::support::app().edit().grant_types(none).build().unwrap());
    let refusal = world.decide(&ticket, Choice::Allow).unwrap_err();
    assert_redir(&world, &refusal, "unauthorized_client", Reason::CodeFlowUnauthorized);
    let refusal = world.decide(&ticket, Choice::Deny).unwrap_err();
    assert_redir(&world, &refusal, "access_denied", Reason::AccessDenied);
}

/// A record whose id is derived from the challenge is created again after it was dropped. A delayed
/// write for the old record is not applied to the new one.
#[test]
fn store_01_a_delayed_write_is_not_applied_to_a_recreated_record() {
    let world = World::with(policy().refuse_reused_challenges(true));
    let store = &world.store.inner;
    let page = |world: &World| {
        let ticket = world.page(&Params::authorize()).ticket();
        let ids = store.grants_of("alice", None, 2).unwrap();
        assert_eq!(ids.len(), 1);
        (ticket, store.grant(ids[0]).unwrap().unwrap())
    };
    let (_, first) = page(&world);
    world.at(2 * 24 * 60 * 60);
    assert_eq!(store.sweep(world.now(), 10), 1);
    let (_, second) = page(&world);
    assert_eq!(first.record.id(), second.record.id());
    assert_ne!(first.version, second.version);
    // The versions of delayed writes for the old record: its first version and the following ones.
    let near = first.version.0.wrapping_sub(8)..first.version.0.wrapping_add(8);
    assert!(!near.contains(&second.version.0));
}

#[test]
fn client_08_all_sources_together_have_a_limit() {
    let rules = policy().registration(RegistrationRules::default());
    let world = World::with(rules.limits(Limits::default().with_all_registrations_per_minute(5)));
    let from = |source: &str| {
        let body = metadata().to_string();
        world
            .server
            .register(&RequestParts { source, ..posting(body.as_bytes()) })
            .answered(world.server.policy())
    };
    for number in 0..5 {
        assert_eq!(from(&format!("192.0.2.{number}")).status, 201);
    }
    for number in 0..9 {
        let reply = from(&format!("192.0.2.{number}"));
        assert_refused(&world, &reply, 429, "too_many_requests", Reason::RegistrationLimited);
        assert_eq!(reply.header("retry-after"), Some("60"));
    }
    world.at(60);
    assert_eq!(from("192.0.2.1").status, 201, "a refused registration took no place");
}

/// Any site can make a signed-in browser request pages, and each page is stored.
#[test]
fn consent_08_one_users_pages_are_limited_in_a_minute() {
    const BOB: User<'static> = user("bob", b"bob's browser");
    let world = World::with(policy().limits(Limits::default().with_consent_pages_per_minute(3)));
    for _ in 0..3 {
        drop(world.page(&Params::authorize()));
        // A request that makes no page does not count.
        drop(world.authorize(&Params::authorize().without("code_challenge")));
        drop(world.authorize_as(&Params::authorize(), None));
    }
    let refusal = world.authorize(&Params::authorize()).unwrap_err();
    let page = 429;
    let limited = Reason::ConsentPagesLimited;
    assert_page(&world, &refusal, page, "too_many_requests", limited);
    assert_eq!(refusal.reply(world.server.policy()).header("retry-after"), Some("60"));
    assert_eq!(world.grants().len(), 3);
    // What is no request at all is refused for that.
    let malformed = world.authorize(&Params::authorize().and("client_id", "app")).unwrap_err();
    assert_eq!(malformed.reason(), Reason::ClientIdRepeated);
    let step = world.authorize_as(&Params::authorize(), Some(BOB)).unwrap();
    assert!(matches!(step, AuthorizationStep::NeedsConsent(_)));
    world.at(60);
    drop(world.page(&Params::authorize()));
    let zero = policy().limits(Limits::default().with_consent_pages_per_minute(0));
    let limit = "consent_pages_per_minute";
    assert_eq!(zero.build().unwrap_err(), grantcore::policy::PolicyError::Limit { limit });
}

/// Unanswered pages are not connections. However many exist, they do not hide a connection in the
/// list of connected apps.
#[test]
fn revoke_06_pages_without_an_answer_push_no_connection_off_the_list() {
    let world =
        World::with(policy().limits(Limits::default().with_consent_pages_per_minute(u32::MAX)));
    let mut own = Vec::new();
    for _ in 0..7 {
        world.tokens();
    }
    own.extend(world.grants().iter().map(|stored| stored.record.id()));
    for _ in 0..20_000 {
        drop(world.page(&Params::authorize()));
    }
    let page = world.server.connections("alice", None, 10).unwrap();
    let found: Vec<_> =
        page.entries.iter().map(grantcore::response::Connection::grant_id).collect();
    assert_eq!((found, page.next), (own.clone(), None));
    // A list in several pages has each connection once.
    let mut found = Vec::new();
    let mut after = None;
    for _ in 0..9 {
        let page = world.server.connections("alice", after, 2).unwrap();
        assert!(page.entries.len() <= 2);
        found.extend(page.entries.iter().map(grantcore::response::Connection::grant_id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((found, after), (own, None));
}

/// A list of media types that has the form's type as an element, and values that only resemble it.
#[test]
fn token_02_a_list_of_media_types_is_a_form_if_the_forms_is_among_them() {
    let world = World::new();
    let body = Params::refresh("x").encode();
    let form_type = "application/x-www-form-urlencoded";
    for (content_type, is_form) in [
        ("application/x-www-form-urlencoded, application/json".to_owned(), true),
        ("application/json,Application/X-WWW-Form-URLencoded ; charset=utf-8".to_owned(), true),
        (format!("{form_type}, {form_type}"), true),
        (format!("text/plain; a=\"b, c\", {form_type}"), true),
        (format!("text/plain; a=\", {form_type};\""), false),
        (format!("text/plain; a=\"\\\", {form_type};\""), false),
        (format!("text/plain {form_type}"), false),
        ("application/json, text/plain".to_owned(), false),
        (",".to_owned(), false),
    ] {
        let incoming =
            RequestParts { content_type: ContentType::One(content_type.as_bytes()), ..form(&body) };
        let reply = world.server.token(&incoming).answered(world.server.policy());
        let reason = if is_form { Reason::RefreshUnknown } else { Reason::ContentType };
        assert_eq!((reply.status, world.reason()), (400, Some(reason)), "{content_type}");
    }
}

/// Several headers that differ are no form, whatever their order: another part of the way of the
/// request may read another one of them.
#[test]
fn token_02_headers_that_differ_name_no_media_type() {
    let world = World::new();
    let body = Params::refresh("x").encode();
    let form_type = &b"application/x-www-form-urlencoded"[..];
    for (values, is_form) in [
        (vec![form_type], true),
        (vec![form_type, form_type], true),
        (vec![form_type, b"text/plain"], false),
        (vec![b"text/plain", form_type], false),
        (vec![form_type, form_type, b""], false),
        (vec![], false),
    ] {
        let content_type = values.iter().copied().collect();
        let incoming = RequestParts { content_type, ..form(&body) };
        let reply = world.server.token(&incoming).answered(world.server.policy());
        let reason = if is_form { Reason::RefreshUnknown } else { Reason::ContentType };
        assert_eq!((reply.status, world.reason()), (400, Some(reason)), "{values:?}");
    }
}

/// With the right secret, the response names both methods. With a wrong one, it depends on the
/// request alone.
#[test]
fn token_08_with_the_right_secret_the_error_names_the_registered_method() {
    use base64::Engine as _;
    let world = World::new();
    let registered = |id: &str, method| {
        let secret = StoredSecret::Digest(grantcore::value::Digest::of(SECRET.as_bytes()));
        world.put(Client::confidential(id, method, secret).redirect_uri(CALLBACK).build().unwrap());
    };
    registered("post", SecretMethod::Post);
    registered("basic", SecretMethod::Basic);
    let response = |id: &str, method: Option<SecretMethod>, secret: &str| {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}"));
        let header = format!("Basic {pair}");
        let params = Params::refresh("x").set("client_id", id);
        let reply = match method {
            None => world.token(&params),
            Some(SecretMethod::Post) => world.token(&params.set("client_secret", secret)),
            Some(SecretMethod::Basic) => world.token_with(&params, header.as_bytes()),
        };
        assert_eq!(reply.status, 401);
        let body = crate::support::json(&reply);
        assert_eq!(body["error"], "invalid_client");
        body["error_description"].as_str().unwrap().to_owned()
    };
    let by = |received: &str, right: &str| {
        format!(
            "{} Received by {received}; the client is registered for {right}.",
            Reason::ClientMethodMismatch.description()
        )
    };
    assert_eq!(
        response("post", Some(SecretMethod::Basic), SECRET),
        by("client_secret_basic", "client_secret_post")
    );
    assert_eq!(
        response("basic", Some(SecretMethod::Post), SECRET),
        by("client_secret_post", "client_secret_basic")
    );
    // A client that acts as a public one reads what is missing, and so does any other name.
    let missing = response("basic", None, "");
    assert!(missing.contains("client_secret_basic if it named none"), "{missing}");
    for id in ["post", "nobody", "é"] {
        assert_eq!(response(id, None, ""), missing);
    }
    for method in [SecretMethod::Basic, SecretMethod::Post] {
        let wrong = response("nobody", Some(method), SECRET);
        for id in ["post", "basic", "app", "é"] {
            assert_eq!(response(id, Some(method), "wrong"), wrong);
        }
    }
}

#[test]
fn rs_03_a_scheme_without_a_credential_is_no_credential() {
    let world = World::with(policy().check_rules(CheckRules::default().with_bearer_in_body(true)));
    let token = world.tokens().access;
    let needs = needs(world.server.policy(), 0, "");
    let bare = world.server.check(&Authorization::None, &needs).outcome().unwrap_err();
    let bare = crate::support::refused::wire(&bare.reply(world.server.policy()));
    assert!(bare.starts_with("401 ") && !bare.contains("error"), "{bare}");
    for header in [&b"Bearer"[..], b"Bearer ", b"bearer   ", b"BEARER\t"] {
        let refusal =
            world.server.check(&Authorization::One(header), &needs).outcome().unwrap_err();
        assert_eq!(crate::support::refused::wire(&refusal.reply(world.server.policy())), bare);
        let incoming =
            RequestParts { authorization: Authorization::One(header), ..RequestParts::default() };
        let refusal = world.server.check_request(&incoming, &needs).outcome().unwrap_err();
        assert_eq!(crate::support::refused::wire(&refusal.reply(world.server.policy())), bare);
        // If a token may come in the body, an empty header does not prevent it.
        let body = format!("access_token={token}");
        let incoming = RequestParts { authorization: Authorization::One(header), ..form(&body) };
        assert!(world.server.check_request(&incoming, &needs).outcome().is_ok());
    }
}
