//! A user's grants, and how accounts stand.

use super::harness::Harness;
use super::keys::{Record, commit};
use super::law::works;
use super::records::{Draft, new_subject};
use super::{Law, Violation};
use crate::record::{Commit, Version};
use crate::store::AsyncStore as _;
use crate::value::credential::GrantId;
use crate::value::text::Subject;

/// `grants_of` gives all grants of a user and nobody else's, in the order of their ids, in parts of
/// any size, from the moment that the first commit of a grant is acknowledged, whatever becomes of
/// the grant.
///
/// # Errors
/// The first [`Violation`].
pub fn the_grants_of_a_user_are_found<H: Harness>(harness: &H) -> Result<(), Violation> {
    let (store, other) = (harness.open(), harness.open());
    let alice = new_subject()?;
    // Names that look like hers, to an index that is not exact.
    let others = [
        format!("{alice} "),
        format!("{alice}0"),
        alice.as_str().to_uppercase(),
        format!("{alice}%"),
        String::new(),
    ];
    let mut own = Vec::new();
    for number in 0..7 {
        // A grant that was moved here begins in the middle of its life.
        let draft = Draft { in_use: number % 2 == 1, ..Draft::new()?.of(&alice) };
        let first = put(harness, &store, &draft, None)?;
        own.push(draft.id);
        own.sort();
        is_listed(harness, &other, &alice, &own)?;
        if let Some(name) = others.get(number) {
            put(harness, &other, &Draft::new()?.of(&Subject::new(name)), None)?;
        }
        // A later state of a grant is listed once.
        put(harness, &other, &draft.marked("later"), Some(first))?;
    }
    for handle in [&store, &other] {
        is_listed(harness, handle, &alice, &own)?;
    }
    let nobody = new_subject()?;
    is_listed(harness, &store, &nobody, &[])?;
    is_listed(harness, &store, &Subject::new(alice.as_str().get(1..).unwrap_or_default()), &[])
}

fn put<H: Harness>(
    harness: &H,
    store: &H::Store,
    draft: &Draft,
    seen: Option<Version>,
) -> Result<Version, Violation> {
    let write = draft.over(seen)?;
    let said = harness.wait(commit(store, &write))?;
    Law::Progress.holds(said == Commit::Done, || {
        format!("a commit of {draft:?} over {seen:?} was told {said:?}")
    })?;
    Ok(Record::of(&write).version())
}

/// All of these, as a whole and in parts.
fn is_listed<H: Harness>(
    harness: &H,
    store: &H::Store,
    subject: &Subject,
    own: &[GrantId],
) -> Result<(), Violation> {
    for limit in [1, 2, 3, own.len(), own.len() + 1, usize::MAX] {
        let (mut found, mut after) = (Vec::new(), None);
        // One more part than there can be, so that a list that goes in circles ends.
        for _ in 0..=own.len() {
            let part = works(
                "grants_of",
                harness.wait(store.grants_of(subject.as_str(), after, limit.max(1))),
            )?;
            let told =
                || format!("grants_of at most {limit} of {subject:?} brought {}", part.len());
            Law::Index.holds(part.len() <= limit.max(1), told)?;
            let Some(last) = part.last() else { break };
            after = Some(*last);
            found.extend(part);
        }
        let told = || {
            format!(
                "grants_of {subject:?} in parts of {limit} brought {found:?}; there are {own:?}"
            )
        };
        Law::Index.holds(found == own, told)?;
    }
    Ok(())
}

/// Where a store raises epochs, the raised one is read by every handle at once, and nobody else's
/// changes.
///
/// # Errors
/// The first [`Violation`].
pub fn a_raised_epoch_is_read<H: Harness>(harness: &H) -> Result<(), Violation> {
    let (store, other) = (harness.open(), harness.open());
    let (alice, bob) = (new_subject()?, new_subject()?);
    for subject in [&alice, &bob] {
        harness.sign_up(&store, subject.as_str());
    }
    let read = |handle: &H::Store, subject: &Subject| {
        works("account", harness.wait(handle.account(subject.as_str())))
    };
    let before = (read(&store, &alice)?, read(&other, &bob)?);
    for turn in 1..=3 {
        let raised = works("raise_epoch", harness.wait(store.raise_epoch(alice.as_str())))?;
        let now = read(&other, &alice)?;
        let expected =
            before.0.map(|account| account.epoch.wrapping_add(if raised { turn } else { 0 }));
        let told = || {
            format!(
                "the epoch of {alice:?}, {:?} at first, was raised {turn} times ({raised}), and {now:?} was read",
                before.0
            )
        };
        Law::Epoch.holds(now.map(|account| account.epoch) == expected, told)?;
        Law::Epoch.holds(
            now.map(|account| account.suspended) == before.0.map(|account| account.suspended),
            || format!("raising the epoch of {alice:?} changed how it stands: {now:?}"),
        )?;
    }
    let bobs = read(&store, &bob)?;
    Law::Epoch.holds(bobs == before.1, || {
        format!("raising the epoch of {alice:?} changed {bob:?} to {bobs:?}")
    })
}
