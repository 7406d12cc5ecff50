//! A test of the whole flow.

use grantcore::Reason;

use crate::support::params::Params;
use crate::support::{Granted, World, assert_refused};

#[test]
fn authorize_redeem_refresh_replay() {
    let world = World::new();
    let first = world.tokens();
    assert!(world.works(&first.access));
    let second = Granted::of(&world.token(&Params::refresh(first.refresh())));
    assert!(world.works(&first.access) && world.works(&second.access));
    assert_refused(
        &world,
        &world.token(&Params::refresh(first.refresh())),
        400,
        "invalid_grant",
        Reason::RefreshReused,
    );
    assert!(!world.works(&first.access) && !world.works(&second.access));
}
