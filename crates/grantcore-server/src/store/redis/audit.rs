//! The audit log in Redis: two streams, whose entries are named by Redis' own clock in
//! milliseconds. The events of strangers have a stream of their own, so that they push nothing out
//! of the other. There is no index: a search without a time reads from the latest event back.

use std::borrow::Cow;
use std::collections::HashSet;

use grantcore::Timestamp;
use grantcore_redis::redis::cmd;

use super::{RedisLedger, Result};
use crate::audit::{Entry, Position, Search};

const EVENTS: &str = "grantcore-server:audit";
const STRANGERS: &str = "grantcore-server:audit:strangers";
/// Both, in the order of events with equal ids.
const STREAMS: [&str; 2] = [EVENTS, STRANGERS];
/// About how many events are kept: each search may read all of them.
const EVENT_LIMIT: u32 = 200_000;
/// About how many events of strangers are kept.
const STRANGERS_LIMIT: u32 = 50_000;
/// How many are read at once.
const AT_ONCE: usize = 1000;
/// How far the clocks of this host and of Redis may be apart, and how late an event may be written,
/// in seconds.
const APART: u64 = 600;

const APPEND: &str = "
    for i = 2, #ARGV do redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'event', ARGV[i]) end
    return #ARGV";

impl RedisLedger {
    pub(super) async fn append_all(&self, entries: &[Cow<'_, Entry>]) -> Result<()> {
        for (stream, limit, attributed) in
            [(EVENTS, EVENT_LIMIT, true), (STRANGERS, STRANGERS_LIMIT, false)]
        {
            let mut arguments = vec![limit.to_string()];
            for entry in entries.iter().filter(|entry| entry.attributed == attributed) {
                arguments.push(serde_json::to_string(&**entry)?);
            }
            if arguments.len() > 1 {
                self.run::<u64>(APPEND, stream, &arguments).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn find_events(
        &self,
        search: &Search,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Vec<(Position, Entry)>> {
        let mut found = self.read_back(search, before, limit).await?;
        found.reverse();
        found.truncate(limit);
        Ok(found)
    }

    pub(super) async fn flow_events(&self, flow: &str) -> Result<Vec<Entry>> {
        let of_flow = Search { flow: Some(flow.to_owned()), ..Search::default() };
        let found = self.read_back(&of_flow, None, usize::MAX).await?;
        Ok(found.into_iter().map(|(_, entry)| entry).collect())
    }

    /// Drops the events from before this time by Redis' clock.
    pub(super) async fn drop_events(&self, before: Timestamp) -> Result<usize> {
        let first = before.unix_seconds().saturating_mul(1000);
        let mut dropped = 0;
        for stream in [EVENTS, STRANGERS] {
            let trimmed: usize =
                self.store.ask(cmd("XTRIM").arg(stream).arg("MINID").arg(first)).await?;
            dropped += trimmed;
        }
        Ok(dropped)
    }

    /// Returns the latest `limit` matching events of each stream before this place, in the order
    /// they were recorded. Of events with one correlation and kind only the first, because a step
    /// may arrive twice.
    async fn read_back(
        &self,
        search: &Search,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Vec<(Position, Entry)>> {
        let mut found = Vec::new();
        for stream in STREAMS.into_iter().enumerate() {
            found.extend(self.read_stream(stream, search, before, limit).await?);
        }
        found.sort_by_key(|(position, _)| *position);
        let mut names = HashSet::new();
        found.retain(|(_, entry)| names.insert((entry.correlation.clone(), entry.kind.clone())));
        Ok(found)
    }

    async fn read_stream(
        &self,
        (number, stream): (usize, &str),
        search: &Search,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Vec<(Position, Entry)>> {
        let mut from = "-".to_owned();
        let mut until = "+".to_owned();
        let mut end = u64::MAX;
        if let Some((first, last)) = search.span() {
            from = first.unix_seconds().saturating_sub(APART).saturating_mul(1000).to_string();
            end = last.unix_seconds().saturating_add(APART).saturating_mul(1000);
            until = end.to_string();
        }
        if let Some(before) = before.filter(|before| before.at <= end) {
            until = first_id(before, number);
        }
        let mut found = Vec::new();
        while found.len() < limit {
            let range = cmd("XREVRANGE")
                .arg(stream)
                .arg(&until)
                .arg(&from)
                .arg("COUNT")
                .arg(AT_ONCE)
                .take();
            let page: Vec<(String, Vec<String>)> = self.store.ask(&range).await?;
            for (id, fields) in &page {
                let [_, event] = &fields[..] else { continue };
                let entry = serde_json::from_str(event)?;
                if search.matches(&entry) {
                    found.push((place(id, number), entry));
                }
            }
            match page.last() {
                Some((oldest, _)) if page.len() == AT_ONCE => until = format!("({oldest}"),
                _ => break,
            }
        }
        found.truncate(limit);
        Ok(found)
    }
}

/// Returns the place of an entry: the millisecond in which Redis took it, and its number within the
/// millisecond. Entries of different streams can have equal numbers, and are in the order of their
/// streams then.
fn place(id: &str, stream: usize) -> Position {
    let (time, number) = id.split_once('-').unwrap_or((id, "0"));
    let number: u64 = number.parse().unwrap_or_default();
    let number = number.saturating_mul(STREAMS.len() as u64).saturating_add(stream as u64);
    Position { at: time.parse().unwrap_or_default(), number }
}

/// Returns where a stream is read from, to find the entries before this place.
fn first_id(before: Position, stream: usize) -> String {
    let streams = STREAMS.len() as u64;
    let is_included = (stream as u64) < before.number % streams;
    let exclusive = if is_included { "" } else { "(" };
    format!("{exclusive}{}-{}", before.at, before.number / streams)
}
