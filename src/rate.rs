//! The token endpoint's limits as a pure step: so many requests in any 60 seconds, exactly (RFC
//! 6585 §4; OAuth 2.1 §2.4.1).
//!
//! [`RateWindow`] is the state of one bucket and can live in any store; `Limiter` keeps them in
//! memory. Which bucket a request falls into is the policy's: [`RateRules`](crate::RateRules).

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::moment::Timestamp;

/// The length of the sliding window, in seconds.
const WINDOW: u64 = 60;

/// The requests of one bucket within the last minute, counted by the second: plain data of at most
/// 60 entries, under a kilobyte and a half as JSON.
///
/// Servers that share a limit take their own away
/// ([`without_rate_limit`](crate::Server::without_rate_limit)), keep the windows where they
/// share the rest, and change them as they change a grant: by compare-and-set.
///
/// ```
/// use grantcore::{MemoryStore, RateWindow, Reply, RequestParts, Server, TokenRequest};
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
/// /// Changes the window in this row, again until nobody else was faster.
/// fn change<T>(rows: &Rows, key: &str, act: impl Fn(&mut RateWindow) -> T) -> T {
///     loop {
///         let seen = rows.read(key);
///         let mut window: RateWindow =
///             seen.as_deref().map_or_else(RateWindow::default, |row| serde_json::from_str(row).unwrap());
///         let result = act(&mut window);
///         if rows.replace(key, seen, serde_json::to_string(&window).unwrap()) {
///             return result;
///         }
///     }
/// }
///
/// async fn token(server: &Server<MemoryStore>, rows: &Rows, request: &RequestParts<'_>) -> Reply {
///     let (policy, now) = (server.policy(), server.now());
///     if let Ok(parsed) = TokenRequest::parse(request, policy) {
///         let bucket = policy.rate_bucket(&parsed.rate_hit(request.source));
///         if let Err(wait) = change(rows, &bucket.key, |window| window.admit(bucket.limit, now)) {
///             return server.rate_limited(&parsed, wait).await.reply(policy);
///         }
///         let reply = server.token(request).await.unwrap_or_else(|error| error.reply(policy));
///         // The limit of failed authentications has refused it: it takes no place.
///         if reply.status == 429 {
///             change(rows, &bucket.key, |window| window.give_back(now));
///         }
///         return reply;
///     }
///     // A request that cannot be parsed is refused, and takes no place.
///     server.token(request).await.unwrap_or_else(|error| error.reply(policy))
/// }
/// # let policy = grantcore::Policy::builder("https://auth.example").scope("a", "").resource("https://a.example", "a");
/// # let policy = policy.limits(grantcore::Limits::default().with_token_requests_per_minute(2)).build().unwrap();
/// # let (server, rows) = (Server::new(policy, MemoryStore::default(), grantcore::FromStore).without_rate_limit(), Rows::default());
/// # let (form, body): (&[u8], &[u8]) = (b"application/x-www-form-urlencoded", b"client_id=app&grant_type=refresh_token&refresh_token=x");
/// # let incoming = RequestParts { method: "POST", content_type: Some(form), body, ..RequestParts::default() };
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # assert_eq!([(); 3].map(|()| runtime.block_on(token(&server, &rows, &incoming)).status), [401, 401, 429]);
/// ```
///
/// Where only [authenticated](crate::RateRules::authenticated_only) requests are to count, a 401
/// gives its place back as well. A row that was not written for a minute says nothing any more and
/// can be dropped. The servers' clocks should agree: by what one is ahead, a minute may be shorter.
/// Each server still counts failed authentications and registrations by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct RateWindow(Vec<(Timestamp, u32)>);

/// What no window can be is not taken for one: it would grow, or make somebody wait for ever.
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
    /// Counts a request if it is admissible. A refused one takes no place.
    ///
    /// # Errors
    /// Whole seconds until another is admissible if none comes between, 1 to 60. A limit of zero
    /// admits nothing, ever.
    pub fn admit(&mut self, limit: u32, now: Timestamp) -> Result<(), u32> {
        self.settle(now);
        if let Some(seconds) = self.wait(limit, now) {
            return Err(seconds);
        }
        self.count(now);
        Ok(())
    }

    /// Whole seconds until another request is admissible, 1 to 60; nothing if it is now.
    pub fn wait(&self, limit: u32, now: Timestamp) -> Option<u32> {
        let recent = || self.0.iter().filter(|(at, _)| is_recent(*at, now));
        let mut kept = recent().fold(0, |kept: u32, (_, count)| kept.saturating_add(*count));
        let mut wait = (kept >= limit).then_some(WINDOW)?;
        for (at, count) in recent() {
            kept = kept.saturating_sub(*count);
            // One from the future counts as one of now.
            wait = WINDOW.saturating_sub(now.seconds_from(*at));
            if kept < limit {
                break;
            }
        }
        u32::try_from(wait).ok()
    }

    /// Counts a request, admissible or not.
    pub fn count(&mut self, now: Timestamp) {
        self.settle(now);
        match self.0.last_mut() {
            Some((at, count)) if *at == now => *count = count.saturating_add(1),
            _ => self.0.push((now, 1)),
        }
    }

    /// Takes a request back that was counted at this time, as one that does not count after all.
    /// Once for each that was counted; one that is over a minute old is gone already.
    pub fn give_back(&mut self, at: Timestamp) {
        // It stands at an earlier second where the clock stepped back meanwhile.
        if let Some((_, count)) = self.0.iter_mut().rev().find(|(second, _)| *second <= at) {
            *count = count.saturating_sub(1);
        }
        self.0.retain(|(_, count)| *count > 0);
    }

    /// Returns whether nothing in it counts any more.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        !self.0.iter().any(|(at, _)| is_recent(*at, now))
    }

    /// Drops what is over. After a clock step back, later entries are moved to `now`, so that nobody
    /// waits longer than one window.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        self.0.retain(|(at, _)| is_recent(*at, now));
        let later = self.0.partition_point(|(at, _)| *at <= now);
        if later < self.0.len() {
            let count =
                self.0.drain(later..).fold(0, |all: u32, (_, count)| all.saturating_add(count));
            match self.0.last_mut() {
                Some((at, own)) if *at == now => *own = own.saturating_add(count),
                _ => self.0.push((now, count)),
            }
        }
    }
}

/// Whether a request of that time still counts.
fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    now.seconds_from(at) < WINDOW
}
