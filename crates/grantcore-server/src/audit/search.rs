//! The search in the audit log, and the pages of what it finds.

use std::fmt;
use std::str::FromStr;

use grantcore::Timestamp;
use grantcore::audit::AuditQuery;

use super::Entry;

/// A search for entries. An entry matches if it matches every criterion that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Search {
    /// The client id, known or claimed.
    pub(crate) client: Option<String>,
    /// The public error code of the response, or the name of the reason.
    pub(crate) error: Option<String>,
    /// A time in Unix seconds. Finds its minute, the minute before and the minute after.
    pub(crate) around: Option<u64>,
    /// The id of the flow.
    pub(crate) flow: Option<String>,
    /// The correlation id of the request, or the id of its flow.
    pub(crate) reference: Option<String>,
    /// The user.
    pub(crate) subject: Option<String>,
    /// Whether only refusals match.
    pub(crate) refusals: bool,
}

/// The place of an entry in the order of its database, for the page that begins before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// The time: in seconds, and in Redis in milliseconds of its own clock.
    pub(crate) at: u64,
    /// The number of the entry among those of its time.
    pub(crate) number: u64,
}

/// One page of what a search finds, the newest entry first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) entries: Vec<Entry>,
    /// Where the next page begins: before this place. `None` if this is the last page.
    pub(crate) older: Option<Position>,
}

/// A value in SQL.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Text(&'a str),
    Number(u64),
}

/// The kind of an entry that is a refusal.
const REFUSED: &str = "refused";

impl Search {
    /// Returns the time span of the search, the end excluded. Returns `None` if no time is given.
    pub(crate) fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let around = Some(Timestamp::from_unix_seconds(self.around?));
        Some(AuditQuery { around, ..AuditQuery::default() }.span())
    }

    /// Returns the search as the conditions of a SQL statement and their values. `mark` begins the
    /// placeholder of a value, whose number follows. Only names from the source are in the SQL. A
    /// search by error alone has no index, and reads from the latest entry back.
    pub(crate) fn sql(&self, before: Option<Position>, mark: char) -> (String, Vec<Value<'_>>) {
        let mut conditions = Vec::new();
        let mut values = Vec::new();
        let mut value = |value| {
            values.push(value);
            format!("{mark}{}", values.len())
        };
        for (column, wanted) in
            [("client", &self.client), ("flow", &self.flow), ("subject", &self.subject)]
        {
            if let Some(wanted) = wanted {
                conditions.push(format!("{column} = {}", value(Value::Text(wanted))));
            }
        }
        for ([one, other], wanted) in
            [(["error", "reason"], &self.error), (["correlation", "flow"], &self.reference)]
        {
            if let Some(wanted) = wanted {
                let wanted = value(Value::Text(wanted));
                conditions.push(format!("({one} = {wanted} OR {other} = {wanted})"));
            }
        }
        if let Some((from, until)) = self.span() {
            let [from, until] = [from, until].map(|at| value(Value::Number(at.unix_seconds())));
            conditions.push(format!("at >= {from} AND at < {until}"));
        }
        if self.refusals {
            // The text of the partial index.
            conditions.push(format!("kind = '{REFUSED}'"));
        }
        if let Some(Position { at, number }) = before {
            let [at, number] = [at, number].map(|part| value(Value::Number(part)));
            conditions.push(format!("(at, id) < ({at}, {number})"));
        }
        let start = if conditions.is_empty() { "" } else { " WHERE " };
        (format!("{start}{}", conditions.join(" AND ")), values)
    }

    /// Returns the texts that the search names.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        let texts = [&self.client, &self.error, &self.flow, &self.reference, &self.subject];
        texts.into_iter().filter_map(Option::as_deref)
    }

    /// Returns whether an entry matches, for databases that cannot search by all criteria.
    pub(crate) fn matches(&self, entry: &Entry) -> bool {
        let is = |wanted: &Option<String>, own: &[Option<&str>]| {
            wanted.is_none() || own.contains(&wanted.as_deref())
        };
        let at = Timestamp::from_unix_seconds(entry.at);
        self.span().is_none_or(|(from, until)| (from..until).contains(&at))
            && is(&self.client, &[entry.client.as_deref()])
            && is(&self.error, &[entry.error.as_deref(), entry.reason.as_deref()])
            && is(&self.flow, &[entry.flow.as_deref()])
            && is(&self.reference, &[Some(&entry.correlation), entry.flow.as_deref()])
            && is(&self.subject, &[entry.subject.as_deref()])
            && (!self.refusals || entry.kind == REFUSED)
    }
}

impl Found {
    /// Returns the first `limit` of these entries. There is an older page if there are more.
    pub(super) fn page(mut entries: Vec<(Position, Entry)>, limit: usize) -> Self {
        let has_more = entries.len() > limit;
        entries.truncate(limit);
        let older = entries.last().map(|(position, _)| *position).filter(|_| has_more);
        Self { entries: entries.into_iter().map(|(_, entry)| entry).collect(), older }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.at, self.number)
    }
}

impl FromStr for Position {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (at, number) = text.split_once('-').unwrap_or((text, ""));
        Ok(Self { at: at.parse()?, number: number.parse()? })
    }
}
