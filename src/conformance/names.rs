//! The client that a request names: loaded as that one, or not at all.

use super::harness::Harness;
use super::keys::{Key, commit};
use super::law::works;
use super::records::new_client;
use super::{Law, Violation};
use crate::keys::{ClientKey, Keys};
use crate::record::Commit;
use crate::store::AsyncStore as _;

/// `load` brings the client that was named, or none: not the client of the grant, and no other. The
/// client of the grant comes only where none was named. A name that no client can have was named,
/// too (I44).
///
/// # Errors
/// The first [`Violation`].
pub fn a_named_client_is_that_one_or_none<H: Harness>(harness: &H) -> Result<(), Violation> {
    let (store, other) = (harness.open(), harness.open());
    let [_, grant, own] = Key::all()?;
    let [.., another] = Key::all()?;
    let (Key::Grant(draft), Key::Client(own_client), Key::Client(another_client)) =
        (&grant, &own, &another)
    else {
        return Err(Law::Works.broken("the kit's own keys are in another order"));
    };
    for subject in [&grant, &own, &another].into_iter().filter_map(Key::account) {
        harness.sign_up(&store, subject.as_str());
    }
    for key in [&grant, &own, &another] {
        let said = harness.wait(commit(&store, &key.write(None, "named")?))?;
        Law::Progress
            .holds(said == Commit::Done, || format!("a commit of {key:?} was told {said:?}"))?;
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
            // The same name as the client of a request, and as the one that asks about another's.
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
                    format!("of a grant of {own:?}, {keys:?} brought the client {found:?}")
                })?;
            }
        }
    }
    Ok(())
}
