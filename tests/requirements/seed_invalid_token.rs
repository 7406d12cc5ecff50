//! Tests of the seed's sections on `invalid_token` and on support: each symptom, its cause, its
//! fix, and how support finds it.

use grantcore::audit::AuditQuery;
use grantcore::client::ClientStatus;
use grantcore::value::Subject;
use grantcore::{Authorization, Choice, Event, Reason, Reply};

use crate::resource_server_challenge::challenge;
use crate::support::clients::metadata;
use crate::support::params::Params;
use crate::support::{ALICE, Granted, ISSUER, MCP, Outcome, T, World, app, json, needs, user};

/// Calls the gateway with this token, expects a refusal, and returns it.
fn refused(world: &World, token: &str) -> Reply {
    world.check(token, &[]).expect_err("refused").reply(world.server.policy())
}

/// Asserts the symptom: 401, `WWW-Authenticate: Bearer resource_metadata="…"`, body
/// `{"error":"invalid_token"…}`.
#[track_caller]
fn symptom(reply: &Reply) {
    assert_eq!((reply.status, json(reply)["error"].as_str()), (401, Some("invalid_token")));
    assert!(
        reply
            .header("www-authenticate")
            .unwrap()
            .starts_with("Bearer resource_metadata=\"https://")
    );
}

#[test]
fn seed_s35_the_gateway_says_invalid_token_and_where_to_read_on() {
    let world = World::new();
    symptom(&refused(&world, "x"));
    let needs = needs(world.server.policy(), 0, "");
    let none = world
        .server
        .check(&Authorization::None, &needs)
        .outcome()
        .unwrap_err()
        .reply(world.server.policy());
    assert!(
        none.header("www-authenticate").unwrap().starts_with("Bearer resource_metadata=\"https://")
    );
}

#[test]
fn seed_s36_s37_s38_a_token_expires_after_an_hour_and_the_refresh_token_mints_a_new_one() {
    let world = World::new();
    let tokens = world.tokens();
    assert_eq!(tokens.expires_in, 3600);
    world.at(3599);
    assert!(world.works(&tokens.access));
    world.at(3600);
    symptom(&refused(&world, &tokens.access));
    assert_eq!(world.reason(), Some(Reason::TokenExpired));
    assert!(world.works(&world.refreshed(tokens.refresh()).access));
}

#[test]
fn seed_s39_s40_revoked_by_the_user_or_an_administrator_and_authorized_again() {
    let world = World::new();
    let by_user = |world: &World, grant| world.server.revoke_connection("alice", grant).unwrap();
    let by_admin = |world: &World, grant| {
        world.server.revoke_grant(grant, grantcore::RevokedBy::Administrator("x")).unwrap();
    };
    for revoke in [by_user, by_admin] {
        let tokens = world.tokens();
        let grant = world.access(&tokens.access).grant_id();
        revoke(&world, grant);
        symptom(&refused(&world, &tokens.access));
        assert_eq!(world.reason(), Some(Reason::TokenRevoked));
        assert!(world.works(&world.tokens().access), "re-authorised");
    }
}

#[test]
fn seed_s41_s42_a_suspended_account_makes_the_connection_inactive_until_it_is_lifted() {
    // "The client account associated with the OAuth client" may be the user's account or that of
    // the client's owner.
    for (who, reason) in [("alice", Reason::AccountSuspended), ("maker", Reason::OwnerSuspended)] {
        let world = World::new();
        world.put(app().edit().owner(Subject::new("maker")).build().unwrap());
        let tokens = world.tokens();
        world.store.suspend(who, true);
        symptom(&refused(&world, &tokens.access));
        assert_eq!(world.reason(), Some(reason));
        world.invalid_grant(&Params::refresh(tokens.refresh()), reason);
        world.store.suspend(who, false);
        assert!(world.works(&tokens.access));
        world.refreshed(tokens.refresh());
    }
}

/// A client that knows only the address of the resource finds this server.
#[test]
fn seed_s44_the_challenge_leads_to_the_authorization_server() {
    let world = World::new();
    let reply = refused(&world, "x");
    let url = &challenge(reply.header("www-authenticate").unwrap())[0].1;
    let documents = world.server.policy().well_known();
    let document = json(&documents.iter().find(|document| document.url == *url).unwrap().reply);
    assert_eq!(
        (document["resource"].as_str(), document["authorization_servers"][0].as_str()),
        (Some(MCP), Some(ISSUER))
    );
    let server = json(
        &documents
            .iter()
            .find(|document| document.url == world.server.policy().server_metadata_url())
            .unwrap()
            .reply,
    );
    assert_eq!(server["issuer"], ISSUER);
    assert_eq!(server["token_endpoint"], world.server.policy().token_endpoint());
}

/// The report of a user: the error and its description or the challenge, the `client_id`, and the
/// minute.
struct Letter {
    error: String,
    description: Option<String>,
    challenge: Option<String>,
    client_id: String,
    minute: u64,
}

impl Letter {
    fn of(reply: &Reply, client_id: &str, now: u64) -> Self {
        let response = json(reply);
        let description = response["error_description"].as_str().map(str::to_owned);
        let challenge = reply.header("www-authenticate").map(str::to_owned);
        let error = response["error"].as_str().unwrap().to_owned();
        Self {
            error,
            description,
            challenge,
            client_id: client_id.to_owned(),
            minute: now / 60 * 60,
        }
    }

    /// Returns the events that match the report.
    fn lead(&self, all: &[Event]) -> Vec<Event> {
        let around = Some(grantcore::Timestamp::from_unix_seconds(self.minute));
        let query = AuditQuery {
            client: Some(&self.client_id),
            error: Some(&self.error),
            around,
            ..AuditQuery::default()
        };
        all.iter().filter(|event| query.matches(event)).cloned().collect()
    }

    fn matches(&self, event: &Event) -> bool {
        let sent = event.sent.as_ref().unwrap();
        (sent.error, sent.description.as_deref(), sent.challenge.as_deref())
            == (Some(self.error.as_str()), self.description.as_deref(), self.challenge.as_deref())
    }
}

/// Each case is found among other traffic by the three pieces, and leads to the whole flow.
#[test]
fn seed_s53_s54_s55_s56_s57_support_finds_every_case_by_the_three_pieces() {
    type Case = (Reason, fn(&World, &Granted) -> Reply);
    let cases: [Case; 6] = [
        (Reason::TokenRevoked, |world, tokens| {
            world
                .server
                .revoke_connection("alice", world.access(&tokens.access).grant_id())
                .unwrap();
            refused(world, &tokens.access)
        }),
        (Reason::TokenExpired, |world, tokens| {
            world.at(3600 + 12);
            refused(world, &tokens.access)
        }),
        (Reason::AccountSuspended, |world, tokens| {
            world.store.suspend("alice", true);
            let reply = refused(world, &tokens.access);
            world.store.suspend("alice", false);
            reply
        }),
        (Reason::RefreshReused, |world, tokens| {
            world.refreshed(tokens.refresh());
            world.token(&Params::refresh(tokens.refresh()))
        }),
        (Reason::ClientDeactivated, |world, tokens| {
            world.server.set_client_status("app", ClientStatus::Deactivated).unwrap();
            let reply = refused(world, &tokens.access);
            world.server.set_client_status("app", ClientStatus::Active).unwrap();
            reply
        }),
        (Reason::ScopeInsufficient, |world, tokens| {
            world.check(&tokens.access, &["admin"]).unwrap_err().reply(world.server.policy())
        }),
    ];
    for (reason, happening) in cases {
        let world = World::open();
        noise(&world);
        world.at(12);
        let tokens = world.tokens();
        let reply = happening(&world, &tokens);
        let letter = Letter::of(&reply, "app", world.now().unix_seconds());
        world.at(world.now().unix_seconds() - T + 600);
        noise(&world);
        let found = letter.lead(&world.events());
        let case: Vec<_> = found.iter().filter(|event| letter.matches(event)).collect();
        assert_eq!(case.len(), 1, "{reason:?}: {found:?}");
        assert_eq!(case[0].reason, Some(reason), "what happened, in the operator's words");
        assert_eq!(reply.header("x-correlation-id"), Some(&*case[0].correlation.to_string()));
        let events = world.events();
        let flow: Vec<_> = events
            .iter()
            .filter(|event| event.flow == case[0].flow)
            .map(|event| event.kind.name())
            .collect();
        assert_eq!(flow[..3], ["consent_shown", "consent_approved", "code_redeemed"], "{reason:?}");
    }
}

/// Produces other traffic: another user of the same client, another client, and an unauthenticated
/// request.
fn noise(world: &World) {
    let bob = user("bob", b"bob's browser");
    let page = match world.authorize_as(&Params::authorize(), Some(bob)).unwrap() {
        grantcore::AuthorizationStep::NeedsConsent(page) => page.ticket(),
        other => panic!("{other:?}"),
    };
    drop(world.server.consent(&page, bob, Choice::Allow).outcome());
    drop(world.server.consent(&page, ALICE, Choice::Allow).outcome());
    let own = world.own(&metadata());
    let _ = world.tokens_of(&own.id);
    drop(world.token(&Params::refresh("x").set("client_id", "nobody")));
    drop(world.token(&Params::refresh("x").without("grant_type")));
}
