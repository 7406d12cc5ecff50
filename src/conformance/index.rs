//! The list of a user's grants.

use super::harness::Harness;
use super::keys::{Record, commit};
use super::law::works;
use super::records::{Draft, new_subject};
use super::{Law, Violation};
use crate::record::{Commit, Version};
use crate::store::Store as _;
use crate::value::credential::GrantId;
use crate::value::text::Subject;

/// Checks that `grants_of` lists all grants of a user and no other's, ascending, in pages of any
/// size: from the moment that the first commit of a grant is acknowledged, in every state of it.
///
/// # Errors
/// The first [`Violation`].
pub fn grants_of_lists_every_grant<H: Harness>(harness: &H) -> Result<(), Violation> {
    let store = harness.open();
    let other = harness.open();
    let alice = new_subject()?;
    // An index that compares subjects inexactly would list grants of these under `alice`.
    let others = [
        format!("{alice} "),
        format!("{alice}0"),
        alice.as_str().to_uppercase(),
        format!("{alice}%"),
        String::new(),
    ];
    let mut own = Vec::new();
    for number in 0..7 {
        // A grant that was moved from another store is active at its first commit here.
        let draft = Draft { in_use: number % 2 == 1, ..Draft::new()?.of(&alice) };
        let first = put(harness, &store, &draft, None)?;
        own.push(draft.id);
        own.sort();
        check_listed(harness, &other, &alice, &own)?;
        if let Some(name) = others.get(number) {
            put(harness, &other, &Draft::new()?.of(&Subject::new(name)), None)?;
        }
        // A later state of a grant is listed once.
        put(harness, &other, &draft.marked("later"), Some(first))?;
    }
    for handle in [&store, &other] {
        check_listed(harness, handle, &alice, &own)?;
    }
    let nobody = new_subject()?;
    check_listed(harness, &store, &nobody, &[])?;
    check_listed(harness, &store, &Subject::new(alice.as_str().get(1..).unwrap_or_default()), &[])
}

fn put<H: Harness>(
    harness: &H,
    store: &H::Store,
    draft: &Draft,
    seen: Option<Version>,
) -> Result<Version, Violation> {
    let write = draft.over(seen)?;
    let result = harness.wait(commit(store, &write))?;
    Law::Progress.holds(result == Commit::Done, || {
        format!("a commit of {draft:?} over {seen:?} returned {result:?}")
    })?;
    Ok(Record::of(&write).version())
}

/// Checks that `grants_of` lists these grants, as a whole and in pages.
fn check_listed<H: Harness>(
    harness: &H,
    store: &H::Store,
    subject: &Subject,
    own: &[GrantId],
) -> Result<(), Violation> {
    for limit in [1, 2, 3, own.len().max(1), own.len() + 1, usize::MAX] {
        let mut found = Vec::new();
        let mut after = None;
        // One more page than there can be, so that a list that repeats itself ends.
        for _ in 0..=own.len() {
            let page = harness.wait(store.grants_of(subject.as_str(), after, limit));
            let page = works("grants_of", page)?;
            Law::Index.holds(page.len() <= limit, || {
                format!("grants_of {subject:?} with the limit {limit} listed {}", page.len())
            })?;
            let Some(last) = page.last() else { break };
            after = Some(*last);
            found.extend(page);
        }
        Law::Index.holds(found == own, || {
            format!("grants_of {subject:?} in pages of {limit} listed {found:?}; there are {own:?}")
        })?;
    }
    Ok(())
}
