//! Requests that cause each reason about a login once, for `reasons_reached.rs`.

use grantcore::request::{Login, LoginFailure};
use grantcore::{Authorization, AuthorizationStep, Choice, Reason, RequestParts, Timestamp, User};

use crate::reasons_reached::{Provoke, Refused};
use crate::support::params::Params;
use crate::support::{ALICE, Outcome, T, World, needs};

pub(crate) const LOGINS: &[(Reason, Provoke)] = &[
    (Reason::MaxAgeMalformed, || {
        let world = World::new();
        let refusal = world.authorize(&Params::authorize().set("max_age", "-1")).unwrap_err();
        (world, Refused::By(refusal))
    }),
    (Reason::LoginChoiceRequired, || given_up(LoginFailure::AccountSelection)),
    (Reason::LoginInteractionRequired, || given_up(LoginFailure::Interaction)),
    (Reason::LoginClassUnmet, || given_up(LoginFailure::Unmet)),
    (Reason::ConsentLoginOlder, || {
        let world = World::new();
        let Ok(AuthorizationStep::NeedsConsent(page)) =
            world.authorize_as(&Params::authorize(), Some(known()))
        else {
            panic!("no page")
        };
        let allowed = world.server.consent(&page.ticket(), ALICE, Choice::Allow);
        let refusal = allowed.outcome().unwrap_err();
        (world, Refused::By(refusal))
    }),
    (Reason::LoginInsufficient, || {
        let world = World::new();
        let header = format!("Bearer {}", world.tokens().access);
        let needs = needs(world.server.policy(), 0, "").max_age(60);
        let checked = world.server.check(&Authorization::One(header.as_bytes()), &needs);
        let refusal = checked.outcome().unwrap_err();
        (world, Refused::By(refusal))
    }),
];

fn known() -> User<'static> {
    ALICE.with_login(Login::at(Timestamp::from_unix_seconds(T)))
}

fn given_up(failure: LoginFailure) -> (World, Refused) {
    let world = World::new();
    let query = Params::authorize().encode();
    let request =
        RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
    let refusal = world.server.give_up_login(&request, Some(ALICE), failure).into_refusal();
    (world, Refused::By(refusal))
}
