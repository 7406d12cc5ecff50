//! Tests of AUDIT-04 and -05: an event has what was sent, and a response has the id of its event.

use grantcore::client::ClientStatus;
use grantcore::policy::RegistrationRules;
use grantcore::reason::ErrorCode;
use grantcore::{Authorization, Choice, Event, Reason, Reply};

use crate::audit::world;
use crate::support::clients::metadata;
use crate::support::params::Params;
use crate::support::{Outcome, World, json, needs, param, policy};

/// Asserts that an event has the bytes of a reply.
#[track_caller]
fn assert_sent(event: &Event, reply: &Reply) {
    let sent = event.sent.as_ref().expect("a refusal");
    assert_eq!(sent.status, reply.status);
    assert_eq!(sent.challenge.as_deref(), reply.header("www-authenticate"));
    let body = if reply.body.is_empty() { serde_json::json!({}) } else { json(reply) };
    assert_eq!(body.get("error").and_then(|error| error.as_str()), sent.error);
    assert_eq!(
        body.get("error_description").and_then(|text| text.as_str()),
        sent.description.as_deref()
    );
    assert_eq!(event.error(), sent.error);
}

/// A terse server explains nothing to a program. A page explains, since a person reads it.
#[test]
fn audit_04_of_a_terse_server_only_a_page_has_a_description() {
    let world = World::with(policy().terse_errors(true));
    let sent = |params: &Params| {
        drop(world.authorize(params).unwrap_err());
        world.events().pop().unwrap().sent.unwrap()
    };
    let page = sent(&Params::authorize().set("redirect_uri", "https://evil.example/"));
    assert!(page.status == 400 && page.description.is_some(), "{page:?}");
    let redirect = sent(&Params::authorize().set("scope", "nothing"));
    assert!(redirect.status == 303 && redirect.description.is_none(), "{redirect:?}");
}

#[test]
fn audit_04_an_event_has_the_response_byte_for_byte() {
    for terse in [false, true] {
        let world =
            World::with(policy().terse_errors(terse).registration(RegistrationRules::default()));
        let tokens = world.tokens();
        let last = |world: &World| world.events().pop().unwrap();
        for params in [
            Params::refresh("x"),
            Params::refresh("x").set("client_id", "nobody"),
            Params::refresh("x").without("grant_type"),
            Params::redeem("x").by_web().set("client_secret", "wrong"),
        ] {
            let reply = world.token(&params);
            assert_sent(&last(&world), &reply);
        }
        let reply = world.register(&serde_json::json!({ "redirect_uris": [] }));
        assert_sent(&last(&world), &reply);
        let own = world.registered(&metadata());
        let reply = world.manage(
            "GET",
            own["client_id"].as_str().unwrap(),
            "wrong",
            &serde_json::json!({}),
        );
        assert_sent(&last(&world), &reply);
        let policy = world.server.policy();
        for (token, scopes) in
            [("x", &[][..]), (&*tokens.access, &["write", "admin"]), ("a b", &[])]
        {
            let reply = world.check(token, scopes).unwrap_err().reply(policy);
            assert_sent(&last(&world), &reply);
            assert!(last(&world).sent.unwrap().challenge.is_some());
        }
        let needs = needs(policy, 0, "");
        let reply =
            world.server.check(&Authorization::None, &needs).outcome().unwrap_err().reply(policy);
        assert_sent(&last(&world), &reply);
        *world.store.broken_reads.lock().unwrap() = true;
        let failure =
            world.try_token(&Params::refresh(tokens.refresh()), Authorization::None).unwrap_err();
        assert_sent(&last(&world), &failure.reply(policy));
        assert_eq!(failure.failure().unwrap().event.sent, last(&world).sent);
    }
}

#[test]
fn audit_04_the_event_of_a_page_and_of_a_redirect_has_what_was_shown() {
    let world = World::new();
    let refusal =
        world.authorize(&Params::authorize().set("redirect_uri", "https://x.example")).unwrap_err();
    let problem = refusal.problem(world.server.policy());
    let sent = world.events().pop().unwrap().sent.unwrap();
    assert_eq!(
        (sent.status, sent.error, sent.description),
        (400, problem.code.map(ErrorCode::as_str), Some(problem.description))
    );
    // The page of a deactivated client equals that of an unknown one. Only the event has the real
    // reason.
    world.server.set_client_status("app", ClientStatus::Deactivated).unwrap();
    drop(world.authorize(&Params::authorize()));
    let event = world.events().pop().unwrap();
    assert_eq!(
        (event.reason, event.sent.unwrap().description.as_deref()),
        (Some(Reason::ClientDeactivated), Some(Reason::ClientUnknown.description()))
    );
    world.server.set_client_status("app", ClientStatus::Active).unwrap();
    let ticket = world.page(&Params::authorize()).ticket();
    let refusal = world.decide(&ticket, Choice::Deny).unwrap_err();
    let reply = refusal.reply(world.server.policy());
    let sent = world.events().pop().unwrap().sent.unwrap();
    let location = reply.header("location").unwrap();
    assert_eq!((sent.status, reply.status), (303, 303));
    assert_eq!(param(location, "error").as_deref(), sent.error);
    assert_eq!(param(location, "error_description").as_deref(), sent.description.as_deref());
}

#[test]
fn audit_05_each_response_has_the_correlation_id_of_its_event() {
    let world = world();
    let tokens = world.tokens();
    let name = |world: &World| world.events().pop().unwrap().correlation.to_string();
    let reply = world.token(&Params::refresh("x"));
    assert_eq!(reply.header("x-correlation-id"), Some(&*name(&world)));
    let refusal = world.check("x", &[]).unwrap_err();
    assert_eq!(refusal.correlation().unwrap().to_string(), name(&world));
    let access = world.access(&tokens.access);
    assert_eq!(access.correlation().to_string(), name(&world));
    let names: Vec<_> = world.events().iter().map(|event| event.correlation.to_string()).collect();
    assert!(
        names.iter().all(|name| name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit()))
    );
}
