//! The trail in Redis: one stream, whose entries are named by Redis' own clock in milliseconds.
//! There is no index: what is not asked for by its time is looked for from the latest event back.

use grantcore::Timestamp;
use grantcore_redis::redis::cmd;

use super::{RedisLedger, Result};
use crate::store::ledger::latest;
use crate::trail::{Entry, Search};

const TRAIL: &str = "grantcore-server:trail";
/// About how many events are kept: each search may read all of them.
const MOST_EVENTS: u32 = 200_000;
/// How many are read at once.
const AT_ONCE: usize = 1000;
/// How far the clocks of this host and of Redis may be apart, and how late an event may be written,
/// in seconds.
const APART: u64 = 600;

const APPEND: &str = "
    for i = 2, #ARGV do redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'event', ARGV[i]) end
    return #ARGV";

impl RedisLedger {
    pub(super) async fn append_all(&self, entries: &[Entry]) -> Result<()> {
        let mut arguments = vec![MOST_EVENTS.to_string()];
        for entry in entries {
            arguments.push(serde_json::to_string(entry)?);
        }
        self.run::<u64>(APPEND, TRAIL, &arguments).await.map(drop)
    }

    pub(super) async fn find_events(&self, search: &Search, most: usize) -> Result<Vec<Entry>> {
        Ok(latest(self.read_back(search, most).await?, most))
    }

    pub(super) async fn flow_events(&self, flow: &str) -> Result<Vec<Entry>> {
        let of_flow = Search { flow: Some(flow.to_owned()), ..Search::default() };
        self.read_back(&of_flow, usize::MAX).await
    }

    /// Those of before this time by Redis' clock.
    pub(super) async fn drop_events(&self, before: Timestamp) -> Result<usize> {
        let first = before.unix_seconds().saturating_mul(1000);
        Ok(self.store.ask(cmd("XTRIM").arg(TRAIL).arg("MINID").arg(first)).await?)
    }

    /// The latest `most` events that fit, in the order they were recorded.
    async fn read_back(&self, search: &Search, most: usize) -> Result<Vec<Entry>> {
        let (mut from, mut until) = ("-".to_owned(), "+".to_owned());
        if let Some((first, end)) = search.span() {
            from = first.unix_seconds().saturating_sub(APART).saturating_mul(1000).to_string();
            until = end.unix_seconds().saturating_add(APART).saturating_mul(1000).to_string();
        }
        let mut found = Vec::new();
        while found.len() < most {
            let range =
                cmd("XREVRANGE").arg(TRAIL).arg(&until).arg(&from).arg("COUNT").arg(AT_ONCE).take();
            let page: Vec<(String, Vec<String>)> = self.store.ask(&range).await?;
            for (_, fields) in &page {
                let [_, event] = &fields[..] else { continue };
                let entry = serde_json::from_str(event)?;
                if search.fits(&entry) {
                    found.push(entry);
                }
            }
            match page.last() {
                Some((oldest, _)) if page.len() == AT_ONCE => until = format!("({oldest}"),
                _ => break,
            }
        }
        found.truncate(most);
        found.reverse();
        Ok(found)
    }
}
