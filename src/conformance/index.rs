//! The list of a user's grants, and what a sweep leaves of it.

use super::harness::Harness;
use super::keys::{Record, commit};
use super::law::works;
use super::life::sweep;
use super::records::{Draft, new_subject, now};
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
        // The subjects of equal length beside `alice`. They come first, while none of the longer
        // ones sorts between.
        neighbor(&alice, 1),
        neighbor(&alice, -1),
        format!("{alice} "),
        format!("{alice}0"),
        alice.as_str().to_uppercase(),
        format!("{alice}%"),
        String::new(),
    ];
    let mut own = Vec::new();
    for number in 0..others.len() {
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
    // A grant without a user is in no list: neither in that of its client's name, nor in that of an
    // empty one.
    let of_nobody = Draft::new()?.of_nobody();
    let first = put(harness, &store, &of_nobody, None)?;
    put(harness, &other, &of_nobody.marked("later"), Some(first))?;
    for handle in [&store, &other] {
        check_listed(harness, handle, &alice, &own)?;
        check_unlisted(harness, handle, &Subject::new(of_nobody.client.as_str()), of_nobody.id)?;
        check_unlisted(harness, handle, &Subject::new(""), of_nobody.id)?;
    }
    let nobody = new_subject()?;
    check_listed(harness, &store, &nobody, &[])?;
    check_listed(harness, &store, &Subject::new(alice.as_str().get(1..).unwrap_or_default()), &[])
}

/// Returns the subject with its last byte moved by `step`. The last character of the kit's subjects
/// is a letter or a digit, `-` or `_`.
fn neighbor(subject: &Subject, step: i8) -> String {
    let mut bytes = subject.as_str().as_bytes().to_vec();
    if let Some(last) = bytes.last_mut() {
        *last = last.wrapping_add_signed(step);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Checks that a sweep drops a grant together with its entry in the list of its user's grants, and
/// keeps the entries of all other grants. A store that drops records by itself is not checked: its
/// index may lag.
///
/// An entry that [`grants_of`](crate::Store::grants_of) leaves out because its record is gone
/// cannot be seen from outside, unless it takes the place of a grant in a page.
///
/// # Errors
/// The first [`Violation`].
pub fn swept_grants_leave_the_list<H: Harness>(harness: &H) -> Result<(), Violation> {
    let store = harness.open();
    let other = harness.open();
    let alice = new_subject()?;
    let bob = new_subject()?;
    let mut drafts = Vec::new();
    for number in 0..8 {
        drafts.push(Draft { in_use: number % 2 == 1, ..Draft::new()?.of(&alice) });
    }
    drafts.sort_by_key(|draft| draft.id);
    // The grants that stay are the second and the last one. Entries of dropped grants that are read
    // and left out would make a page before them short.
    let stays = |number: usize| matches!(number, 1 | 7);
    let mut kept = Vec::new();
    let mut dropped = Vec::new();
    for (number, draft) in drafts.iter().enumerate() {
        if stays(number) {
            put(harness, &store, draft, None)?;
            kept.push(draft.id);
        } else {
            // It is due only after its second write: the entry was made by the first one.
            let first = put(harness, &store, draft, None)?;
            put(harness, &store, &draft.until(now()).marked("due"), Some(first))?;
            dropped.push(draft.id);
        }
    }
    let of_bob = Draft::new()?.of(&bob);
    put(harness, &store, &of_bob, None)?;
    if !sweep(harness, &store)? {
        return Ok(());
    }
    for handle in [&store, &other] {
        let listed = harness.wait(handle.grants_of(alice.as_str(), None, usize::MAX));
        let listed = works("grants_of", listed)?;
        Law::SweptIndex.holds(!listed.iter().any(|id| dropped.contains(id)), || {
            format!("a sweep dropped {dropped:?}, and grants_of {alice:?} listed {listed:?}")
        })?;
        check_listed(harness, handle, &alice, &kept)?;
        check_listed(harness, handle, &bob, &[of_bob.id])?;
    }
    Ok(())
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

/// Checks that `grants_of` does not list this grant.
fn check_unlisted<H: Harness>(
    harness: &H,
    store: &H::Store,
    subject: &Subject,
    id: GrantId,
) -> Result<(), Violation> {
    let listed = harness.wait(store.grants_of(subject.as_str(), None, usize::MAX));
    let listed = works("grants_of", listed)?;
    Law::Index.holds(!listed.contains(&id), || {
        format!("grants_of {subject:?} listed {id}, a grant without a user")
    })
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
