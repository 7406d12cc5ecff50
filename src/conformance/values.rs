//! Values of any kind: what a client may send ends in records, and comes back as it was.

use super::harness::Harness;
use super::keys::{Key, Record, came_back, commit};
use super::law::works;
use super::records::{DAY, Draft, client, client_of_epoch, new_client, now, over};
use super::{Law, Violation};
use crate::moment::Timestamp;
use crate::record::{Commit, Version};
use crate::store::AsyncStore as _;
use crate::value::text::{ClientId, Subject};

/// Texts that some column, codec or query language does not like.
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

/// Any text in a record, a very large record, an identifier of any length and case, any version and
/// any time come back as they were.
///
/// # Errors
/// The first [`Violation`].
pub fn values_of_any_kind_come_back<H: Harness>(harness: &H) -> Result<(), Violation> {
    let (store, other) = (harness.open(), harness.open());
    let round = |key: &Key, mark: &str, seen: Option<Version>| -> Result<Version, Violation> {
        let write = key.write(seen, mark)?;
        let said = harness.wait(commit(&store, &write))?;
        Law::Progress
            .holds(said == Commit::Done, || format!("a commit of {key:?} was told {said:?}"))?;
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
    // Versions are of 64 bits, and go round.
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

/// Identifiers that differ in little are different records, and the longest is as good as the
/// shortest.
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
        let client = works("the kit's own client", client(id))?;
        let said = harness.wait(commit(store, &over(None, client)))?;
        Law::Progress
            .holds(said == Commit::Done, || format!("a new client {id:?} was told {said:?}"))?;
    }
    for id in &ids {
        let found = works("a read", harness.wait(store.client(id)))?;
        let same = found.as_ref().is_some_and(|stored| stored.record.id().as_str() == id);
        Law::Faithful.holds(same, || format!("a read of the client {id:?} brought {found:?}"))?;
    }
    let absent = [base[..base.len() - 1].to_owned(), format!("{base}_"), "%".to_owned()];
    for id in &absent {
        let found = works("a read", harness.wait(store.client(id)))?;
        Law::Faithful.holds(found.is_none(), || {
            format!("a read of the client {id:?}, who does not exist, brought {found:?}")
        })?;
    }
    // A grant names its client and its user; both may be of any length and look like anything.
    let client = works("the kit's own client", ClientId::new(&ids[5]))?;
    let draft = Draft { client, ..Draft::new()? }
        .of(&Subject::new(format!("Ünïcode 用户 '\"{{}}%\\ {}", "y".repeat(500))));
    let said = harness.wait(commit(store, &draft.over(None)?))?;
    Law::Progress.holds(said == Commit::Done, || format!("a new grant was told {said:?}"))?;
    let found = works(
        "grants_of",
        harness.wait(store.grants_of(draft.subject.as_str(), None, usize::MAX)),
    )?;
    Law::Index.holds(found.contains(&draft.id), || {
        format!("the grant of {:?} is not among {found:?}", draft.subject)
    })
}
