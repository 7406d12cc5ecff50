//! Tests of the line of an event: what it has, and that no text of a request or of the host forges a
//! line or a field of it.

use grantcore::{Authorization, Client};

use crate::support::params::Params;
use crate::support::store::Fault;
use crate::support::{CALLBACK, World, user};

/// Returns the line of the latest event, with its random ids replaced.
fn line(world: &World) -> String {
    let event = world.events().pop().unwrap();
    let line = event.to_string().replace(&event.correlation.to_string(), "CORRELATION");
    match event.flow {
        Some(flow) => line.replace(&flow.to_string(), "FLOW"),
        None => line,
    }
}

#[test]
fn audit_01_an_event_has_one_line() {
    let world = World::new();
    let refresh = Params::refresh(world.tokens().refresh());
    drop(world.token(&refresh));
    assert_eq!(
        line(&world),
        "tokens_refreshed client=app subject=alice flow=FLOW correlation=CORRELATION"
    );
    drop(world.token(&Params::refresh("x")));
    assert_eq!(line(&world), "refused reason=refresh_unknown client=app correlation=CORRELATION");
    drop(world.token(&Params::refresh("x").set("client_id", "nobody")));
    assert_eq!(
        line(&world),
        "refused reason=client_unknown claimed=nobody correlation=CORRELATION"
    );
    let refresh = Params::refresh(world.tokens().refresh());
    world.store.fail([Fault::Unacknowledged]);
    drop(world.try_token(&refresh, Authorization::None));
    assert!(line(&world).ends_with(" correlation=CORRELATION unknown"), "{}", line(&world));
}

#[test]
fn audit_07_no_text_forges_a_line_or_a_field() {
    let world = World::new();
    let id = "an \"app\" subject=bob";
    world.put(Client::public(id).redirect_uri(CALLBACK).build().unwrap());
    let request = Params::authorize().set("client_id", id).without("scope");
    let subjects = [
        ("al\nice\u{1b}[31m\u{202e}", r"al\nice\u{1b}[31m\u{202e}".to_owned()),
        ("o\" flow=x \\", r#"o\" flow=x \\"#.to_owned()),
        ("\u{e9}ve", r"\u{e9}ve".to_owned()),
        ("my gat_secret", "my ...".to_owned()),
        (&"y".repeat(300), format!("{}...", "y".repeat(256))),
    ];
    for (subject, shown) in subjects {
        drop(world.authorize_as(&request, Some(user(subject, b"a session"))));
        let line = line(&world);
        let client = r#"client="an \"app\" subject=bob""#;
        assert!(line.contains(&format!(r#" {client} subject="{shown}" "#)), "{line}");
        assert!(line.bytes().all(|b| (b' '..=b'~').contains(&b)), "{line}");
    }
    drop(world.token(&Params::refresh("x").set("client_id", "a\r\nb reason=none")));
    let line = line(&world);
    assert!(line.contains(r#" claimed="a\\r\\nb reason=none" "#), "{line}");
}
