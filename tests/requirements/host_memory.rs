//! Tests of HOST-26, HOST-41, HOST-43, HOST-44, HOST-46 and I55: the answer without a page, and what memory
//! refers to.

use std::collections::BTreeMap;
use std::time::Duration;

use grantcore::client::{ClientError, ConsentMode, Registration, StoredSecret};
use grantcore::event::EventKind;
use grantcore::grant::GrantState;
use grantcore::policy::{Limits, Remember, Supersede};
use grantcore::request::{AuthorizationRequest, ConsentDecision, Narrowing, Site};
use grantcore::value::{Digest, GrantId, Properties, SecretMethod};
use grantcore::{AuthorizationStep, Choice, Client, Reason, RequestParts};

use crate::host_remember::{Earlier, again, ask_from, assert_asked, remembering, silent};
use crate::support::params::Params;
use crate::support::store::Fault;
use crate::support::{
    ALICE, CALLBACK, Granted, Outcome, SECRET, World, app, param, policy, user, web,
};

/// Returns a world whose client `web` skips the consent page.
fn skipping() -> World {
    let world = World::new();
    world.put(web().edit().consent(ConsentMode::Skip).build().unwrap());
    world
}

#[test]
fn host_22_prompt_none_is_answered_where_no_page_is_needed() {
    let world = skipping();
    let params = again().set("prompt", "none");
    let code = silent(world.authorize(&params));
    Granted::of(&world.token(&Params::redeem(&code).by_web()));
}

#[test]
fn host_26_prompt_consent_shows_the_page_also_where_none_is_needed() {
    let params = again().set("prompt", "consent");
    let world = skipping();
    assert_asked(world.authorize(&params));
    let earlier = Earlier::new(Remember::Confidential);
    assert_asked(earlier.ask(&params, ALICE.remembering(earlier.id)));
}

/// Redeems a code of the client `web`, and returns the id of its grant with its tokens.
fn redeemed(world: &World, code: &str) -> (GrantId, Granted) {
    let tokens = Granted::of(&world.token(&Params::redeem(code).by_web()));
    (world.access(&tokens.access).grant_id(), tokens)
}

#[test]
fn host_41_memory_does_not_feed_itself_and_dies_with_what_it_remembers() {
    let earlier = Earlier::new(Remember::Confidential);
    let world = &earlier.world;
    let (second, tokens) = redeemed(world, &silent(earlier.again()));
    assert_ne!(second, earlier.id);
    assert_asked(earlier.ask(&again(), ALICE.remembering(second)));
    // A list of connections names the grant that was asked, although the other is younger.
    let connections = world.server.connections("alice", None, 10).unwrap();
    assert_eq!(connections.asked("web"), Some(earlier.id));
    world.server.revoke_connection("alice", earlier.id).unwrap();
    assert!(world.works(&tokens.access));
    assert_asked(earlier.again());
    assert_asked(earlier.ask(&again(), ALICE.remembering(second)));
    assert_eq!(world.server.connections("alice", None, 10).unwrap().asked("web"), None);
}

/// The code relies on the earlier page until it is redeemed.
#[test]
fn host_41_a_code_dies_with_the_grant_that_it_relies_on() {
    for ends in [true, false] {
        let earlier = Earlier::new(Remember::Confidential);
        let code = silent(earlier.again());
        let redeem = Params::redeem(&code).by_web();
        if ends {
            earlier.world.server.revoke_connection("alice", earlier.id).unwrap();
            earlier.world.invalid_grant(&redeem, Reason::GrantEnded);
        } else {
            Granted::of(&earlier.world.token(&redeem));
            // A second use is a replay as ever, also if the earlier grant is gone.
            earlier.world.server.revoke_connection("alice", earlier.id).unwrap();
            earlier.world.invalid_grant(&redeem, Reason::CodeReused);
        }
    }
}

#[test]
fn host_43_skip_answers_without_an_earlier_grant() {
    let world = skipping();
    let code = silent(world.authorize(&again()));
    redeemed(&world, &code);
    silent(world.authorize_as(&again(), Some(user("bob", b"bob's browser"))));
    // Nobody is signed in, or not well.
    let step = world.authorize_as(&again(), None);
    assert!(matches!(step, Ok(AuthorizationStep::NeedsLogin(_))), "{step:?}");
    world.store.suspend("alice", true);
    assert_eq!(world.authorize(&again()).unwrap_err().reason(), Reason::AccountSuspended);
    // The mode of one client is not that of another.
    world.store.suspend("alice", false);
    assert_asked(world.authorize(&Params::authorize()));
}

#[test]
fn host_43_skip_is_for_assured_clients_of_the_operator() {
    let skip = |builder: grantcore::client::ClientBuilder| {
        builder.consent(ConsentMode::Skip).build().err()
    };
    let secret = || StoredSecret::Digest(Digest::of(SECRET.as_bytes()));
    let web =
        |uri: &str| Client::confidential("web", SecretMethod::Basic, secret()).redirect_uri(uri);
    let refused = Some(ClientError::ConsentSkipped);
    assert_eq!(skip(web("https://web.example/cb")), None);
    assert_eq!(skip(app().edit()), refused);
    for uri in ["http://127.0.0.1/cb", "https://localhost/cb", "com.example.web:/cb"] {
        assert_eq!(skip(web(uri)), refused, "{uri}");
        assert_eq!(skip(web("https://web.example/cb").redirect_uri(uri)), refused, "{uri}");
    }
    for registration in [Registration::Dynamic, Registration::MetadataDocument] {
        let own = web("https://web.example/cb").registration(registration);
        assert_eq!(skip(own.clone()), refused);
        assert!(own.consent(ConsentMode::Remember).build().is_ok());
    }
    assert!(ClientError::ConsentSkipped.to_string().starts_with("consent Skip is refused: only"));
    // Nor does an edit or a record get there.
    let skipping = web("https://web.example/cb").consent(ConsentMode::Skip).build().unwrap();
    let edited = skipping.clone().edit();
    assert_eq!(edited.clone().registration(Registration::Dynamic).build().err(), refused);
    assert_eq!(edited.redirect_uri("http://127.0.0.1/cb").build().err(), refused);
    let record = serde_json::to_string(&app()).unwrap();
    let forged = record.replace("\"consent\":null", "\"consent\":\"skip\"");
    assert_ne!(forged, record);
    assert!(serde_json::from_str::<Client>(&forged).is_err());
}

/// The commits, the states of alice's grants and the last event.
fn trail(world: &World) -> (usize, Vec<GrantState>, EventKind, Option<String>) {
    let event = world.events().pop().unwrap();
    let states = world.grants().iter().map(|stored| stored.record.state()).collect();
    (world.store.commits(), states, event.kind, event.note.map(Into::into))
}

#[test]
fn host_44_an_answer_without_a_page_is_one_write_and_says_what_it_is() {
    let world = skipping();
    let code = silent(world.authorize(&again()));
    let issued = vec![GrantState::CodeIssued];
    assert_eq!(trail(&world), (1, issued, EventKind::ConsentSkipped, None));
    redeemed(&world, &code);

    let earlier = Earlier::new(Remember::Confidential);
    let commits = earlier.world.store.commits();
    earlier.world.store.calls();
    silent(earlier.again());
    let (after, _, kind, note) = trail(&earlier.world);
    assert_eq!((after, kind), (commits + 1, EventKind::ConsentRemembered));
    assert_eq!(note, Some(earlier.id.to_string()));
    let kinds: Vec<_> = earlier.world.events().iter().map(|event| event.kind).collect();
    let approvals = kinds.iter().filter(|kind| **kind == EventKind::ConsentApproved);
    assert_eq!(approvals.count(), 1, "the page alone was approved");
}

#[test]
fn host_44_a_lost_acknowledgement_gives_the_same_code_again() {
    for remembered in [true, false] {
        let (world, hint) = if remembered {
            let earlier = Earlier::new(Remember::Confidential);
            (earlier.world, Some(earlier.id))
        } else {
            (skipping(), None)
        };
        let alice = hint.map_or(ALICE, |id| ALICE.remembering(id));
        let before = world.grants().len();
        world.store.fail([Fault::AppliedThenConflict]);
        let code = silent(world.authorize_as(&again(), Some(alice)));
        assert_eq!(world.grants().len(), before + 1);
        redeemed(&world, &code);
        // An unknown outcome is a retryable error at the client.
        world.store.fail([Fault::Unacknowledged]);
        let error = world.try_authorize(&again(), Some(alice)).expect_err("the store fails");
        let location = error.refusal().location(world.server.policy()).unwrap();
        assert_eq!(param(&location, "error").as_deref(), Some("temporarily_unavailable"));
    }
}

/// What the user ended between two attempts of the request is not answered.
#[test]
fn host_44_a_lost_acknowledgement_does_not_outlive_the_earlier_grant() {
    let earlier = Earlier::new(Remember::Confidential);
    let id = earlier.id;
    earlier.world.store.fail([Fault::AppliedThenConflict]);
    earlier.world.meanwhile(move |server| {
        server.revoke_connection("alice", id).unwrap();
    });
    let refusal = earlier.again().unwrap_err();
    assert_eq!(refusal.reason(), Reason::Contended);
}

/// Answers without a page count towards the user's limit of consent pages: each is a record.
#[test]
fn host_44_answers_without_a_page_are_limited() {
    let world = World::with(policy().limits(Limits::default().with_consent_pages_per_minute(3)));
    world.put(web().edit().consent(ConsentMode::Skip).build().unwrap());
    for _ in 0..3 {
        silent(world.authorize(&again()));
    }
    assert_eq!(world.authorize(&again()).unwrap_err().reason(), Reason::ConsentPagesLimited);
}

/// With single-use challenges, a request that is sent twice gets one code.
#[test]
fn host_44_a_reused_challenge_gets_no_second_code() {
    let world = World::with(policy().refuse_reused_challenges(true));
    world.put(web().edit().consent(ConsentMode::Skip).build().unwrap());
    let code = silent(world.authorize(&again()));
    assert_eq!(world.authorize(&again()).unwrap_err().reason(), Reason::PkceChallengeReused);
    redeemed(&world, &code);
}

/// A code without a page has no ticket: nothing answers it.
#[test]
fn i22_a_code_without_a_page_is_no_ticket() {
    let world = skipping();
    let code = silent(world.authorize(&again()));
    let ticket = code.replacen("gac_", "gct_", 1);
    for choice in [Choice::Allow, Choice::Deny] {
        let refusal = world.decide(&ticket, choice).unwrap_err();
        assert_eq!(
            (refusal.reason(), refusal.location(world.server.policy())),
            (Reason::TicketUnknown, None)
        );
    }
    redeemed(&world, &code);
}

/// Over random acts, a code goes out without a page only for a grant that its user was asked about,
/// and that is alive; what relies on another grant is never relied on.
#[test]
fn i55_memory_refers_to_a_page_and_is_one_step_long() {
    for seed in 0..40_u64 {
        let world = World::with(remembering(Remember::HttpsRedirect));
        // Each grant with whether its user was asked, and whether it is alive.
        let mut known: BTreeMap<GrantId, (bool, bool)> = BTreeMap::new();
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut below = |limit: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(state >> 33).unwrap() % limit
        };
        for _ in 0..14 {
            let hint = known.keys().copied().nth(below(known.len() + 1));
            match (below(4), hint) {
                (0, Some(id)) => {
                    world.server.revoke_connection("alice", id).unwrap();
                    known.get_mut(&id).unwrap().1 = false;
                }
                (1, _) => {
                    let (id, _) = redeemed(&world, &world.code(&again()));
                    known.insert(id, (true, true));
                }
                (_, hint) => {
                    let alice = hint.map_or(ALICE, |id| ALICE.remembering(id));
                    let may_be_silent = hint.is_some_and(|id| known[&id] == (true, true));
                    let step = ask_from(&world, &again(), alice, Site::None);
                    if may_be_silent {
                        known.insert(redeemed(&world, &silent(step)).0, (false, true));
                    } else {
                        assert_asked(step);
                    }
                }
            }
        }
    }
}

#[test]
fn host_44_the_redirect_has_state_and_issuer() {
    let world = skipping();
    let Ok(AuthorizationStep::Done(redirect)) = world.authorize(&again()) else { panic!("a page") };
    let reply = redirect.reply();
    let location = reply.header("location").unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (303, ""));
    assert!(location.starts_with("https://web.example/cb?"));
    assert_eq!(param(location, "state").as_deref(), Some("xyz"));
    assert_eq!(param(location, "iss").as_deref(), Some(crate::support::ISSUER));
    assert!(!location.contains(CALLBACK));
}

#[test]
fn host_45_a_remembered_answer_carries_the_earlier_grants_properties_and_end() {
    let world = World::with(remembering(Remember::Confidential));
    let end = world.now().after(Duration::from_secs(1000));
    let properties = Properties::parse(r#"{"org":"acme"}"#).unwrap();
    let ticket = world.page(&again()).ticket();
    let decision = ConsentDecision::new(&ticket, ALICE, Choice::Allow).unwrap();
    let decision = decision.with_properties(properties.clone()).until(end);
    let redirect = world.server.run(decision).outcome().unwrap();
    let (id, _) = redeemed(&world, &param(&redirect.into_location(), "code").unwrap());
    world.at(600);
    let alice = ALICE.remembering(id);
    let (silently, tokens) = redeemed(&world, &silent(world.authorize_as(&again(), Some(alice))));
    assert_ne!(silently, id);
    let access = world.access(&tokens.access);
    assert_eq!(access.properties().map(Properties::as_str), Some(properties.as_str()));
    assert_eq!((tokens.expires_in, access.expires()), (400, end));
    world.at(1000);
    world
        .invalid_grant(&Params::refresh(tokens.refresh()).by_web(), Reason::RefreshAbsoluteExpired);
}

#[test]
fn host_45_a_skipped_answer_carries_what_the_host_passes() {
    let world = skipping();
    let query = again().encode();
    let incoming =
        RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
    let request = |end: u64| {
        let policy = world.server.policy();
        let request = AuthorizationRequest::parse(&incoming, Some(ALICE), policy).unwrap();
        let end = world.now().after(Duration::from_secs(end));
        request.with_properties(Properties::parse(r#"{"org":"acme"}"#).unwrap()).until(end)
    };
    let step = world.server.run(request(1000)).outcome();
    let (_, tokens) = redeemed(&world, &silent(step));
    let access = world.access(&tokens.access);
    assert_eq!(access.properties().map(Properties::as_str), Some(r#"{"org":"acme"}"#));
    assert_eq!(tokens.expires_in, 1000);
    assert_asked(world.server.run(request(0)).outcome());
    // A page has its own properties, in its answer.
    let asked = world.grants().into_iter().map(|stored| stored.record);
    assert!(
        asked
            .filter(|grant| grant.state() == GrantState::ConsentPending)
            .all(|grant| { grant.properties().is_none() })
    );
}

/// What the user took away since is asked for again.
#[test]
fn host_38_a_narrowed_grant_covers_what_is_left() {
    let earlier = Earlier::new(Remember::Confidential);
    let read = Narrowing::default().with_scope("read".parse().unwrap());
    earlier.world.server.narrow_connection("alice", earlier.id, &read).unwrap();
    let alice = ALICE.remembering(earlier.id);
    assert_asked(earlier.ask(&again(), alice));
    silent(earlier.ask(&again().set("scope", "read"), alice));
}

/// The grant that is remembered is spared by the one that remembers it.
#[test]
fn host_41_a_silent_grant_does_not_supersede_what_it_remembers() {
    let policy = remembering(Remember::Confidential).supersede(Supersede::SamePlace);
    let earlier = Earlier::with(policy);
    redeemed(&earlier.world, &silent(earlier.again()));
    assert!(earlier.world.works(&earlier.tokens.access));
    // So the next request is answered as well.
    silent(earlier.again());
}

/// Anybody can have made the code that a user types for a device, so each needs a page of its own.
#[test]
fn host_46_no_setting_answers_a_device_flow() {
    for world in [skipping(), Earlier::new(Remember::Confidential).world] {
        let commits = world.store.commits();
        let device = "urn:ietf:params:oauth:grant-type:device_code";
        let params = Params::redeem("x").by_web().set("grant_type", device).set("device_code", "x");
        world.refused(&params, 400, "unsupported_grant_type", Reason::GrantTypeUnsupported);
        assert_eq!(world.store.commits(), commits);
        let metadata = world.server.policy().server_metadata();
        assert!(!metadata.body.contains("device_"), "{}", metadata.body);
    }
}
