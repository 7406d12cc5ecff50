//! The mark of an assertion. Only the crate makes one, so it is read from its text.

use grantcore::store::{Seen, SeenKey};
use serde_json::{Value, json};

fn text() -> Value {
    json!({
        "schema": 1,
        "key": "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc",
        "by": "09090909090909090909090909090909",
        "end": 1_800_000_310,
    })
}

pub(crate) fn mark() -> Seen {
    serde_json::from_value(text()).unwrap()
}

/// It has nothing of the assertion but a digest: no `jti`, no client, no user.
#[test]
fn seen_17_a_mark_holds_its_key_its_request_and_its_end() {
    let mark = mark();
    assert_eq!(mark.key(), &SeenKey::from_bytes([7; 32]));
    assert_eq!(mark.by().as_bytes(), &[9; 16]);
    assert_eq!(mark.end().unix_seconds(), 1_800_000_310);
    assert_eq!(mark.drop_after().unix_seconds(), 1_800_000_910);
    let members: Vec<_> = text().as_object().unwrap().keys().cloned().collect();
    assert_eq!(members, ["by", "end", "key", "schema"]);
    let text = serde_json::to_string(&mark).unwrap();
    assert!((100..160).contains(&text.len()), "{} bytes", text.len());
    assert!(postcard::to_allocvec(&mark).unwrap().len() < 64);
}

/// A mark that could never be dropped is refused, and so is a key or a request of another form.
#[test]
fn seen_17_a_mark_without_an_end_is_refused() {
    for (field, value) in [
        ("end", json!("never")),
        ("end", json!(u64::MAX - 1)),
        ("end", json!(1_u64 << 53)),
        ("end", json!(-1)),
        ("key", json!("BwcH")),
        ("by", json!("0909")),
        ("by", json!("0909090909090909090909090909090A")),
    ] {
        let mut other = text();
        other[field] = value;
        assert!(serde_json::from_value::<Seen>(other.clone()).is_err(), "{other}");
    }
}
