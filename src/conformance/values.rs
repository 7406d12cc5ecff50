//! Values of any kind: a record holds what a client sent, and is read as it was written.

use super::harness::Harness;
use super::keys::{Key, Record, came_back, commit};
use super::law::works;
use super::records::{DAY, Draft, client, client_of_epoch, new_client, now, over};
use super::{Law, Violation};
use crate::moment::Timestamp;
use crate::record::{Commit, Version};
use crate::store::Store as _;
use crate::value::text::{ClientId, Subject};

/// Texts that some columns, codecs or query languages reject or change.
const TEXTS: [&str; 10] = [
    "",
    "\0\u{1}\u{1f}\u{7f}",
    "'; DROP TABLE grants; --",
    "\\x00 \\u0000 %00 %s {0} ${x} {slot}",
    "\r\n\r\nSET x 1\r\n",
    "\"}],\"schema\":9,",
    "ﬀ Ⅷ İ ß ẞ e\u{301} é",
    "\u{feff}\u{202e}\u{10ffff}",
    "  leading and trailing blanks  ",
    "NULL",
];

/// Checks that any text in a record, a very large record, identifiers of any length and case, any
/// version and any time are read as they were written.
///
/// # Errors
/// The first [`Violation`].
pub fn values_of_any_kind_are_kept<H: Harness>(harness: &H) -> Result<(), Violation> {
    let store = harness.open();
    let other = harness.open();
    let round = |key: &Key, mark: &str, seen: Option<Version>| -> Result<Version, Violation> {
        let write = key.write(seen, mark)?;
        let result = harness.wait(commit(&store, &write))?;
        Law::Progress.holds(result == Commit::Done, || {
            format!("a commit of {key:?} over {seen:?} returned {result:?}")
        })?;
        came_back(&Record::of(&write), harness.wait(key.read(&other))?.as_ref(), None)?;
        Ok(Record::of(&write).version())
    };
    let large = "x\"\\é".repeat(50_000);
    for key in Key::all()? {
        let mut seen = None;
        for mark in TEXTS.into_iter().chain([large.as_str(), "small again"]) {
            seen = Some(round(&key, mark, seen)?);
        }
    }
    for end in [
        Timestamp::NEVER,
        Timestamp::from_unix_seconds(u64::MAX - 1),
        Timestamp::from_unix_seconds(1 << 40),
    ] {
        for key in Key::all()? {
            round(&key.until(end), "ends late", None)?;
        }
    }
    // Versions have 64 bits and wrap.
    let id = new_client(now())?.id().as_str().to_owned();
    let client = Key::Client(Box::new(client_of_epoch(&id, now().after(DAY), u64::MAX - 2)?));
    let grant = Key::Grant(Draft { begins: Some(u64::MAX - 1), ..Draft::new()? });
    for key in [client, grant] {
        let mut seen = None;
        for mark in ["the last but one", "the last", "the first again"] {
            seen = Some(round(&key, mark, seen)?);
        }
    }
    identifiers(harness, &store)
}

/// Checks that similar identifiers name different records, and that the longest is kept.
fn identifiers<H: Harness>(harness: &H, store: &H::Store) -> Result<(), Violation> {
    let base = new_client(now())?.id().as_str().to_owned();
    let long = format!("{base}{}", "~".repeat(2048 - base.len()));
    let ids = [
        base.clone(),
        base.to_uppercase(),
        format!("{base} "),
        format!("{base}%"),
        format!("{{{base}}}:'\"\\*?[a]"),
        long,
    ];
    for id in &ids {
        let client = works("building a client", client(id))?;
        let result = harness.wait(commit(store, &over(None, client)))?;
        Law::Progress.holds(result == Commit::Done, || {
            format!("a commit of the client {id:?}, which is new, returned {result:?}")
        })?;
    }
    for id in &ids {
        let found = works("a read", harness.wait(store.client(id)))?;
        let same = found.as_ref().is_some_and(|stored| stored.record.id().as_str() == id);
        Law::Faithful.holds(same, || format!("a read of the client {id:?} returned {found:?}"))?;
    }
    let absent = [base[..base.len() - 1].to_owned(), format!("{base}_"), "%".to_owned()];
    for id in &absent {
        let found = works("a read", harness.wait(store.client(id)))?;
        Law::Faithful.holds(found.is_none(), || {
            format!("a read of the client {id:?}, which does not exist, returned {found:?}")
        })?;
    }
    // A grant names its client and its user. Both may be long and have any characters.
    let client = works("building a client", ClientId::new(&ids[5]))?;
    let draft = Draft { client, ..Draft::new()? }
        .of(&Subject::new(format!("Ünïcode 用户 '\"{{}}%\\ {}", "y".repeat(500))));
    let result = harness.wait(commit(store, &draft.over(None)?))?;
    Law::Progress
        .holds(result == Commit::Done, || format!("a commit of a new grant returned {result:?}"))?;
    let subject = draft.subject.as_ref().map(Subject::as_str).unwrap_or_default();
    let found = works("grants_of", harness.wait(store.grants_of(subject, None, usize::MAX)))?;
    Law::Index.holds(found.contains(&draft.id), || {
        format!("the grant of {:?} is not listed in {found:?}", draft.subject)
    })
}
