//! The client that a request names: `load` returns that client or none.

use super::harness::Harness;
use super::keys::{Key, commit};
use super::law::works;
use super::records::new_client;
use super::{Law, Violation};
use crate::keys::{ClientKey, Keys};
use crate::record::Commit;
use crate::store::Store as _;

/// Checks that `load` returns the named client or none, and never the client of the grant in its
/// place. The client of the grant is loaded only if none was named. A name that no client can have
/// counts as named (I44).
///
/// # Errors
/// The first [`Violation`].
pub fn load_returns_the_named_client_or_none<H: Harness>(harness: &H) -> Result<(), Violation> {
    let store = harness.open();
    let other = harness.open();
    let [_, grant, own] = Key::all()?;
    let [.., another] = Key::all()?;
    let (Key::Grant(draft), Key::Client(own_client), Key::Client(another_client)) =
        (&grant, &own, &another)
    else {
        return Err(Law::Works.broken("the conformance suite's own keys are in another order"));
    };
    for key in [&grant, &own, &another] {
        let result = harness.wait(commit(&store, &key.write(None, "named")?))?;
        Law::Progress.holds(result == Commit::Done, || {
            format!("a commit of {key:?}, which is new, returned {result:?}")
        })?;
    }
    let own = own_client.id().as_str();
    let another = another_client.id().as_str();
    let absent = new_client(super::records::now())?.id().as_str().to_owned();
    let long = "~".repeat(2_049);
    let named = [
        (ClientKey::Unnamed, Some(own)),
        (ClientKey::named(own), Some(own)),
        (ClientKey::named(another), Some(another)),
        (ClientKey::named(&*absent), None),
        (ClientKey::named("é"), None),
        (ClientKey::named("a\u{0}b"), None),
        (ClientKey::named(""), None),
        (ClientKey::named(&*long), None),
    ];
    for handle in [&store, &other] {
        for (client, expected) in &named {
            // The same name as the client of the request, and as the caller.
            let asked = [
                (Keys { grant: Some(draft.id), client: client.clone(), ..Keys::default() }, false),
                (Keys { grant: Some(draft.id), caller: client.clone(), ..Keys::default() }, true),
            ];
            for (keys, is_caller) in asked {
                let loaded = works("load", harness.wait(handle.load(&keys)))?;
                let found = if is_caller { &loaded.caller } else { &loaded.client };
                let found = found.as_ref().map(|stored| stored.record.id().as_str());
                let is_unnamed_caller = is_caller && *client == ClientKey::Unnamed;
                let expected = expected.filter(|_| !is_unnamed_caller);
                Law::NamedClient.holds(found == expected, || {
                    format!("of a grant of {own:?}, {keys:?} loaded the client {found:?}")
                })?;
            }
        }
    }
    Ok(())
}
