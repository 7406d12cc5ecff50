//! Names, times and durations as people read them.

use grantcore::client::Registration;
use grantcore::value::display_text;
use grantcore::{Client, Timestamp};

/// The longest name in a heading or a sentence, in characters.
const LONGEST_NAME: usize = 50;

/// The longest word that is dropped because a name is cut within it, in characters.
const LONGEST_CUT_WORD: usize = 12;

/// What an application without a name is called, as the library calls one of invisible characters.
const NAMELESS: &str = "An application without a name";

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The name of an application, cleaned and short.
#[derive(Clone, Debug)]
pub(crate) struct AppName {
    /// The name, or a description of an application without one.
    pub(crate) text: String,
    /// Whether the name is the application's own claim, which pages put in quotation marks.
    pub(crate) is_claim: bool,
}

impl AppName {
    /// Returns the name of a client. `name` is its display name, which is the client ID if it has
    /// no name. The operator chose the client ID of a verified client, so it serves as a name.
    pub(crate) fn of(name: &str, client_id: &str, verified: bool) -> Self {
        if !verified && name == display_text(client_id) {
            return Self { text: NAMELESS.into(), is_claim: false };
        }
        Self { text: brief(name), is_claim: !verified && name != NAMELESS }
    }

    /// Returns the name of a client.
    pub(crate) fn of_client(client: &Client) -> Self {
        let is_verified = client.registration() == Registration::Operator;
        Self::of(&client.display_name(), client.id().as_str(), is_verified)
    }

    /// Returns what an application is called whose client is not known any more.
    pub(crate) fn unknown() -> Self {
        Self { text: "The application".into(), is_claim: false }
    }

    /// Returns the name for a title or an attribute, which have no markup.
    pub(crate) fn plain(&self) -> String {
        if self.is_claim { format!("“{}”", self.text) } else { self.text.clone() }
    }
}

/// Returns a clean name of at most [`LONGEST_NAME`] characters. An ellipsis marks a cut.
pub(crate) fn brief(name: &str) -> String {
    let name = display_text(name);
    if name.chars().count() <= LONGEST_NAME {
        return name;
    }
    let mut chars = name.chars();
    let mut kept: String = chars.by_ref().take(LONGEST_NAME - 1).collect();
    // Cuts between words, unless the last word is long.
    if chars.next().is_some_and(|next| next != ' ')
        && let Some((whole, part)) = kept.rsplit_once(' ')
        && part.chars().count() <= LONGEST_CUT_WORD
    {
        kept = whole.to_owned();
    }
    format!("{}…", kept.trim_end())
}

/// Joins words to a list: `a, b and c`.
pub(crate) fn listed(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [only] => only.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// Describes a duration by the largest unit that divides it.
pub(crate) fn spoken(seconds: u64) -> String {
    let units = [("day", DAY), ("hour", HOUR), ("minute", MINUTE)];
    let unit =
        units.into_iter().find(|(_, length)| seconds >= *length && seconds.is_multiple_of(*length));
    let (unit, length) = unit.unwrap_or(("second", 1));
    counted(seconds / length, unit)
}

/// Describes a past time by its largest unit.
pub(crate) fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.seconds_from(at);
    let units = [("day", DAY), ("hour", HOUR), ("minute", MINUTE)];
    match units.into_iter().find(|(_, length)| seconds >= *length) {
        Some((unit, length)) => format!("{} ago", counted(seconds / length, unit)),
        None => "just now".into(),
    }
}

/// Writes a day: `27 November 2026`.
pub(crate) fn day(at: Timestamp) -> String {
    written(at, time::macros::format_description!("[day padding:none] [month repr:long] [year]"))
}

/// Formats a time as users quote it to support.
pub(crate) fn utc(at: Timestamp) -> String {
    let format =
        time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    written(at, format)
}

fn written(at: Timestamp, format: &[time::format_description::BorrowedFormatItem<'_>]) -> String {
    let seconds = i64::try_from(at.unix_seconds()).unwrap_or(i64::MAX);
    time::UtcDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(format).ok())
        .unwrap_or_else(|| "never".into())
}

fn counted(count: u64, unit: &str) -> String {
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_with_an_ellipsis_and_a_missing_one_is_described() {
        assert_eq!(brief(&"a".repeat(50)), "a".repeat(50));
        assert_eq!(brief(&"a".repeat(100)), format!("{}…", "a".repeat(49)));
        assert_eq!(brief(&format!("{} b", "a".repeat(48))), format!("{} b", "a".repeat(48)));
        assert_eq!(brief(&"chars ".repeat(9)), format!("{}…", ["chars"; 8].join(" ")));
        assert_eq!(AppName::of("App", "id", false).plain(), "“App”");
        assert_eq!(AppName::of("App", "id", true).plain(), "App");
        assert_eq!(AppName::of("id", "id", false).plain(), NAMELESS);
        assert_eq!(AppName::of(NAMELESS, "id", false).plain(), NAMELESS);
        assert_eq!(AppName::of("demo-public", "demo-public", true).plain(), "demo-public");
    }

    #[test]
    fn times_are_described_by_their_largest_unit() {
        let at = Timestamp::from_unix_seconds;
        let now = at(1_000_000);
        let cases = [
            (0, "just now"),
            (59, "just now"),
            (60, "1 minute ago"),
            (7199, "1 hour ago"),
            (86_400, "1 day ago"),
            (900_000, "10 days ago"),
        ];
        for (past, words) in cases {
            assert_eq!(ago(at(1_000_000 - past), now), words);
        }
        assert_eq!(ago(at(1_000_100), now), "just now", "the clock was set back");
        let cases = [(90, "90 seconds"), (3600, "1 hour"), (15_552_000, "180 days")];
        for (seconds, words) in cases {
            assert_eq!(spoken(seconds), words);
        }
        assert_eq!(day(at(1_764_272_000)), "27 November 2025");
        assert_eq!(listed(&["a".into(), "b".into(), "c".into()]), "a, b and c");
    }
}
