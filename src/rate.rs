//! The rate limit as a pure function: a number of requests in any 60 seconds, counted exactly (RFC
//! 6585 §4; OAuth 2.1 §2.4.1).
//!
//! [`RateWindow`] is the state of one bucket, for any store. `Limiter` keeps windows in memory. The
//! policy chooses the bucket of a request: [`RateRules`](crate::policy::RateRules).

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::moment::Timestamp;

/// The length of the sliding window, in seconds.
const WINDOW: u64 = 60;

/// The requests of one bucket within the last minute, counted by the second. It is plain data of at
/// most 60 entries, less than 1.5 kB as JSON.
///
/// Servers that share a limit remove their own
/// ([`without_rate_limit`](crate::Server::without_rate_limit)), keep the windows in a common store,
/// and change them by compare-and-set.
///
/// ```
/// use grantcore::rate::RateWindow;
/// use grantcore::request::TokenRequest;
/// use grantcore::{ContentType, MemoryStore, Reply, RequestParts, Server};
/// # use std::{collections::BTreeMap, sync::Mutex};
/// # #[derive(Default)]
/// # struct Rows(Mutex<BTreeMap<String, String>>);
/// # impl Rows {
/// #     fn read(&self, key: &str) -> Option<String> { self.0.lock().unwrap().get(key).cloned() }
/// #     fn replace(&self, key: &str, seen: Option<String>, next: String) -> bool {
/// #         let mut rows = self.0.lock().unwrap();
/// #         let same = rows.get(key).cloned() == seen;
/// #         if same { rows.insert(key.to_owned(), next); }
/// #         same
/// #     }
/// # }
///
/// /// Changes the window in this row. Repeats the change after a conflict.
/// fn change<T>(rows: &Rows, key: &str, act: impl Fn(&mut RateWindow) -> T) -> T {
///     loop {
///         let seen = rows.read(key);
///         let mut window = seen.as_deref().map_or_else(RateWindow::default, |row| {
///             serde_json::from_str(row).unwrap()
///         });
///         let result = act(&mut window);
///         if rows.replace(key, seen, serde_json::to_string(&window).unwrap()) {
///             return result;
///         }
///     }
/// }
///
/// async fn token(server: &Server<MemoryStore>, rows: &Rows, request: &RequestParts<'_>) -> Reply {
///     let policy = server.policy();
///     let now = server.now();
///     if let Ok(parsed) = TokenRequest::parse(request, policy) {
///         let bucket = policy.rate_bucket(&parsed.rate_hit(request.source));
///         if let Err(wait) = change(rows, &bucket.key, |window| window.admit(bucket.limit, now)) {
///             return server.rate_limited(&parsed, wait).await.reply(policy);
///         }
///         let reply = server.token(request).await.unwrap_or_else(|error| error.reply(policy));
///         // The limit of failed authentications has refused the request, so it does not count.
///         if reply.status == 429 {
///             change(rows, &bucket.key, |window| window.give_back(now));
///         }
///         return reply;
///     }
///     // A request that cannot be parsed is refused and does not count.
///     server.token(request).await.unwrap_or_else(|error| error.reply(policy))
/// }
/// # let policy = grantcore::Policy::builder("https://auth.example")
/// #     .scope("a", "")
/// #     .resource("https://a.example", "a")
/// #     .limits(grantcore::policy::Limits::default().with_token_requests_per_minute(2))
/// #     .build()
/// #     .unwrap();
/// # let server = Server::new(policy, MemoryStore::default(), grantcore::FromStore)
/// #     .without_rate_limit();
/// # let rows = Rows::default();
/// # let request = RequestParts {
/// #     method: "POST",
/// #     content_type: ContentType::FORM,
/// #     body: b"client_id=app&grant_type=refresh_token&refresh_token=x",
/// #     ..RequestParts::default()
/// # };
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # let status = |()| runtime.block_on(token(&server, &rows, &request)).status;
/// # assert_eq!([(); 3].map(status), [401, 401, 429]);
/// ```
///
/// If only [authenticated](crate::policy::RateRules::authenticated_only) requests count, give a
/// request back after a 401 as well. A row that was not written for a minute can be dropped. The
/// clocks of the servers should agree: a clock that is ahead shortens the minute by the difference.
/// Each server still counts failed authentications and registrations by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct RateWindow(Vec<(Timestamp, u32)>);

/// Refuses data that is not a window. Such a window could grow without limit, or refuse requests
/// forever.
impl<'de> Deserialize<'de> for RateWindow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = Vec::<(Timestamp, u32)>::deserialize(deserializer)?;
        let is_in_order = seconds.is_sorted_by(|(one, _), (next, _)| one < next);
        let ends = seconds.first().zip(seconds.last());
        let is_a_minute = ends.is_none_or(|((first, _), (last, _))| is_recent(*first, *last));
        if is_in_order && is_a_minute {
            Ok(Self(seconds))
        } else {
            Err(D::Error::custom("not the seconds of one minute, in order"))
        }
    }
}

impl RateWindow {
    /// Counts a request if the limit allows it. A refused request is not counted.
    ///
    /// # Errors
    /// The whole seconds until the limit allows another request, 1 to 60. A limit of zero allows
    /// none.
    pub fn admit(&mut self, limit: u32, now: Timestamp) -> Result<(), u32> {
        self.settle(now);
        if let Some(seconds) = self.wait(limit, now) {
            return Err(seconds);
        }
        self.add(now);
        Ok(())
    }

    /// Returns the whole seconds until the limit allows another request, 1 to 60, or `None` if it
    /// allows one now.
    pub fn wait(&self, limit: u32, now: Timestamp) -> Option<u32> {
        let recent = || self.0.iter().filter(|(at, _)| is_recent(*at, now));
        let mut kept = recent().fold(0, |kept: u32, (_, count)| kept.saturating_add(*count));
        let mut wait = (kept >= limit).then_some(WINDOW)?;
        for (at, count) in recent() {
            kept = kept.saturating_sub(*count);
            // After a clock step back, a request can be later than `now`. It counts as one of now.
            wait = WINDOW.saturating_sub(now.seconds_from(*at));
            if kept < limit {
                break;
            }
        }
        u32::try_from(wait).ok()
    }

    /// Counts a request, whatever the limit.
    pub fn count(&mut self, now: Timestamp) {
        self.settle(now);
        self.add(now);
    }

    /// Adds a request to a settled window.
    fn add(&mut self, now: Timestamp) {
        match self.0.last_mut() {
            Some((at, count)) if *at == now => *count = count.saturating_add(1),
            _ => self.0.push((now, 1)),
        }
    }

    /// Takes back a request that was counted at this time. Call it at most once for each counted
    /// request. A request that is older than a minute is not counted any more.
    pub fn give_back(&mut self, at: Timestamp) {
        // After a clock step back, the request is counted at an earlier second.
        if let Some((_, count)) = self.0.iter_mut().rev().find(|(second, _)| *second <= at) {
            *count = count.saturating_sub(1);
        }
        self.0.retain(|(_, count)| *count > 0);
    }

    /// Returns whether no request of the window counts any more.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        !self.0.iter().any(|(at, _)| is_recent(*at, now))
    }

    /// Drops the entries that do not count any more. After a clock step back, later entries are
    /// moved to `now`, so that nobody waits longer than one window.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        // The seconds are in order.
        let old = self.0.iter().take_while(|(at, _)| !is_recent(*at, now)).count();
        self.0.drain(..old);
        if self.0.last().is_some_and(|(at, _)| *at > now) {
            let later = self.0.partition_point(|(at, _)| *at <= now);
            let count =
                self.0.drain(later..).fold(0, |all: u32, (_, count)| all.saturating_add(count));
            match self.0.last_mut() {
                Some((at, own)) if *at == now => *own = own.saturating_add(count),
                _ => self.0.push((now, count)),
            }
        }
    }
}

/// Returns whether a request of that time still counts.
fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    now.seconds_from(at) < WINDOW
}
