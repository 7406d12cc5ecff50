//! The open connections: their limits in all and per source, and which of them are closed to make
//! room for others.
//!
//! It costs a stranger nothing to open connections and to send nothing, or half a head or body
//! (Slowloris). So each connection waits for a bounded time. When a limit is reached, the
//! connection that has waited longest is closed. A connection with a complete request is never
//! closed for another until the request is answered.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use grantcore_axum::{Source, TrustedProxies};
use tokio::time::Instant;

use super::activity::{Activity, Times};
use crate::config::Network;

/// The open connections and their limits.
#[derive(Debug)]
pub(crate) struct Connections {
    total: usize,
    per_source: usize,
    times: Times,
    proxies: TrustedProxies,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    count: usize,
    next: u64,
    /// The connections of each source, oldest first. The source of a trusted proxy is its address,
    /// that of any other peer its network.
    sources: HashMap<IpAddr, BTreeMap<u64, Arc<Activity>>>,
}

impl Connections {
    /// Returns the limits of these settings. All connections together get at most three quarters of
    /// `files`, the open files that the process may have.
    pub(crate) fn new(settings: &Network, proxies: TrustedProxies, files: usize) -> Self {
        let times = Times {
            header: settings.header_timeout,
            idle: settings.idle_timeout,
            request: settings.request_timeout,
        };
        let total = settings.max_connections.get().min((files / 4 * 3).max(1));
        let per_source = settings.max_connections_per_source.get();
        Self { total, per_source, times, proxies, open: Mutex::default() }
    }

    /// Admits a connection. At the limit of its source, it takes the place of a waiting connection
    /// of that source; at the limit of all, that of a waiting connection of the site that has the
    /// most. A trusted proxy has no limit of its own. Returns `None` if no such connection waits;
    /// the caller closes the new one then.
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Slot> {
        let is_proxy = self.proxies.contains(peer);
        let source = if is_proxy { peer.to_canonical() } else { Source::from(peer).network() };
        let mut open = self.lock();
        let own = open.sources.get(&source).map_or(0, BTreeMap::len);
        let has_room = is_proxy || own < self.per_source || open.evict(source);
        let has_room = has_room && (open.count < self.total || self.evict_any(&mut open));
        if !has_room {
            return None;
        }
        let activity = Arc::new(Activity::new(self.times));
        let id = open.next;
        open.next += 1;
        open.count += 1;
        open.sources.entry(source).or_default().insert(id, Arc::clone(&activity));
        Some(Slot { connections: Arc::clone(self), source, id, activity })
    }

    /// Closes one waiting connection and returns whether there was one. The site with the most
    /// connections gives way, and within it the source with the most; among equals, the connection
    /// that has waited longest. Connections of a proxy are closed last, because many users are
    /// behind it.
    fn evict_any(&self, open: &mut Open) -> bool {
        let mut sites: HashMap<IpAddr, usize> = HashMap::new();
        for (source, own) in &open.sources {
            if !self.proxies.contains(*source) {
                *sites.entry(Source::from(*source).site()).or_default() += own.len();
            }
        }
        let mut sources: Vec<_> = open
            .sources
            .iter()
            .filter_map(|(source, own)| {
                let longest = longest_waiting(own)?;
                let is_proxy = self.proxies.contains(*source);
                let of_site = sites.get(&Source::from(*source).site());
                Some((is_proxy, Reverse((of_site, own.len())), longest, *source))
            })
            .collect();
        sources.sort_unstable();
        sources.into_iter().any(|(.., source)| open.evict(source))
    }

    /// Closes all connections on which no request has begun, because the server stops. A request
    /// whose body is incomplete has begun.
    pub(crate) fn close_waiting(&self) {
        for activity in self.lock().sources.values().flat_map(BTreeMap::values) {
            activity.close_without_request();
        }
    }

    /// Returns how many connections are open.
    pub(crate) fn count(&self) -> usize {
        self.lock().count
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Closes the connection of this source that has waited longest. Returns `false` if none waits.
    fn evict(&mut self, source: IpAddr) -> bool {
        let Some(own) = self.sources.get(&source) else { return false };
        let Some((_, id)) = longest_waiting(own) else { return false };
        // Its request may have arrived since it was chosen.
        let is_evicted = own.get(&id).is_some_and(|activity| activity.evict());
        if is_evicted {
            self.remove(source, id);
        }
        is_evicted
    }

    fn remove(&mut self, source: IpAddr, id: u64) {
        let Some(own) = self.sources.get_mut(&source) else { return };
        if own.remove(&id).is_some() {
            self.count -= 1;
        }
        if own.is_empty() {
            self.sources.remove(&source);
        }
    }
}

/// Returns the connection that has waited longest, and since when, or `None` if none waits.
fn longest_waiting(own: &BTreeMap<u64, Arc<Activity>>) -> Option<(Instant, u64)> {
    own.iter().filter_map(|(id, activity)| Some((activity.waiting_since()?, *id))).min()
}

/// The place of one connection within the limits. Dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Slot {
    connections: Arc<Connections>,
    source: IpAddr,
    id: u64,
    activity: Arc<Activity>,
}

impl Slot {
    pub(crate) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connections.lock().remove(self.source, self.id);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    pub(in crate::network) fn connections(total: usize, per_source: usize) -> Arc<Connections> {
        let times = Times {
            header: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            request: Duration::from_secs(30),
        };
        let networks = ["10.0.0.0/8", "2001:db8:aaaa::1/128"].map(|text| text.parse().unwrap());
        let proxies = TrustedProxies::new(networks);
        Arc::new(Connections { total, per_source, times, proxies, open: Mutex::default() })
    }

    fn from(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    fn is_evicted(slot: &Slot) -> bool {
        slot.activity.deadline().is_none()
    }

    #[tokio::test(start_paused = true)]
    async fn a8_a_further_connection_takes_the_place_of_the_longest_waiting() {
        let all = connections(100, 2);
        let first = all.admit(from(1)).unwrap();
        let busy = first.activity.begin(false).unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        let second = all.admit(from(1)).unwrap();
        let third = all.admit(from(1)).unwrap();
        assert!(!is_evicted(&first) && is_evicted(&second) && !is_evicted(&third));
        assert!(second.activity.begin(false).is_none(), "nothing is decided on it");
        second.activity.over().await;
        let other = third.activity.begin(false).unwrap();
        assert!(all.admit(from(1)).is_none(), "all are busy");
        assert!(all.admit(from(2)).is_some(), "other sources have their own limit");
        drop(busy);
        let fourth = all.admit(from(1)).unwrap();
        assert!(is_evicted(&first) && !is_evicted(&third));
        drop((first, second, third, fourth, other));
        let open = all.lock();
        assert_eq!((open.count, open.sources.len()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a8_at_the_limit_of_all_the_source_with_the_most_gives_way() {
        let all = connections(6, 4);
        let proxy: IpAddr = Ipv4Addr::new(10, 0, 0, 1).into();
        let proxied = [(); 2].map(|()| all.admit(proxy).unwrap());
        let greedy = [(); 3].map(|()| all.admit(from(1)).unwrap());
        let modest = all.admit(from(2)).unwrap();
        let newcomer = all.admit(from(3)).unwrap();
        assert_eq!(greedy.iter().filter(|slot| is_evicted(slot)).count(), 1);
        let more = [(); 6].map(|()| all.admit(proxy));
        assert_eq!(more.iter().flatten().count(), 6, "a proxy is not limited by itself");
        assert!(greedy.iter().chain([&modest, &newcomer]).all(is_evicted), "strangers' go first");
        assert_eq!(proxied.iter().filter(|slot| is_evicted(slot)).count(), 2, "then its own");
        assert_eq!(all.lock().count, 6);
    }

    #[tokio::test(start_paused = true)]
    async fn a8_at_the_limit_of_all_the_networks_of_one_site_count_together() {
        let all = connections(6, 2);
        let site = |network| IpAddr::from([0x2001, 0xdb8, 1, network, 0, 0, 0, 1]);
        let modest = [(); 2].map(|()| all.admit(from(1)).unwrap());
        tokio::time::advance(Duration::from_secs(1)).await;
        let spread = [1, 2, 3, 4].map(|network| all.admit(site(network)).unwrap());
        let newcomers = [from(2), from(3)].map(|source| all.admit(source).unwrap());
        assert_eq!(spread.iter().filter(|slot| is_evicted(slot)).count(), 2);
        assert!(!modest.iter().chain(&newcomers).any(is_evicted));
    }

    #[tokio::test(start_paused = true)]
    async fn a8_a_proxy_of_ipv6_counts_by_its_address_and_not_by_its_network() {
        let all = connections(4, 1);
        let address = |last| IpAddr::from([0x2001, 0xdb8, 0xaaaa, 0, 0, 0, 0, last]);
        let proxied = [(); 3].map(|()| all.admit(address(1)).unwrap());
        let neighbour = all.admit(address(2)).unwrap();
        let _newcomer = all.admit(from(1)).unwrap();
        assert!(is_evicted(&neighbour) && !proxied.iter().any(is_evicted));
    }

    /// The order of the addresses does not count.
    #[tokio::test(start_paused = true)]
    async fn a8_among_equal_sources_the_longest_waiting_connection_gives_way() {
        let six = IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, 1]);
        for order in [[six, from(1), from(2)], [from(2), six, from(1)], [from(1), from(2), six]] {
            let all = connections(3, 4);
            let mut slots = Vec::new();
            for source in order {
                slots.push(all.admit(source).unwrap());
                tokio::time::advance(Duration::from_secs(1)).await;
            }
            let newcomer = all.admit(from(3)).unwrap();
            assert_eq!(slots.iter().map(is_evicted).collect::<Vec<_>>(), [true, false, false]);
            // The second would be next, but a request began on it.
            let busy = slots[1].activity.begin(false).unwrap();
            let further = all.admit(from(4)).unwrap();
            assert_eq!(slots.iter().map(is_evicted).collect::<Vec<_>>(), [true, false, true]);
            assert!(!is_evicted(&newcomer) && !is_evicted(&further));
            drop(busy);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a8_a_request_keeps_its_place_once_its_body_is_complete() {
        let all = connections(100, 2);
        let whole = all.admit(from(1)).unwrap();
        let _whole = whole.activity.begin(true).unwrap();
        assert!(whole.activity.body_ended());
        let partial = all.admit(from(1)).unwrap();
        let under_way = partial.activity.begin(true).unwrap();
        let _next = all.admit(from(1)).unwrap();
        assert!(!is_evicted(&whole) && is_evicted(&partial));
        assert!(!partial.activity.body_ended(), "nothing is decided on it");
        drop(under_way);
        assert!(is_evicted(&partial), "the end of its request does not reopen it");
    }

    #[tokio::test(start_paused = true)]
    async fn a8_a_stop_closes_only_connections_without_a_request() {
        let all = connections(10, 10);
        let slots = [(); 4].map(|()| all.admit(from(1)).unwrap());
        let _busy = slots[0].activity.begin(false).unwrap();
        drop(slots[1].activity.begin(false));
        let _partial = slots[2].activity.begin(true).unwrap();
        all.close_waiting();
        assert_eq!(slots.each_ref().map(is_evicted), [false, true, false, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn a8_each_phase_has_a_deadline() {
        let all = connections(10, 10);
        let slot = all.admit(from(1)).unwrap();
        let start = Instant::now();
        let waited = || Instant::now().duration_since(start).as_secs();
        slot.activity.received();
        slot.activity.over().await;
        assert_eq!(waited(), 10, "a head that never ends");
        let busy = slot.activity.begin(false).unwrap();
        drop(busy);
        slot.activity.over().await;
        assert_eq!(waited(), 10 + 75, "no further request");
        slot.activity.received();
        slot.activity.over().await;
        assert_eq!(waited(), 10 + 75 + 10, "half a further head");
        let _busy = slot.activity.begin(false).unwrap();
        slot.activity.over().await;
        assert_eq!(waited(), 10 + 75 + 10 + 30 + 75, "a response that nobody receives");
    }
}
