//! The model of key sets at URLs, from the rows KEYS-32 to KEYS-37: how long a node uses a set, and
//! when it fetches one.

/// The places of key sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The keys of the client `Keyed`.
    Client,
    /// The keys of the identity provider.
    Provider,
}

pub const PLACES: [Place; 2] = [Place::Client, Place::Provider];

/// The bounds of a set's freshness, and the freshness without a stated one.
const FRESH: (u64, u64, u64) = (60, 3_600, 300);
/// How long a set is used after its freshness while no other can be had.
const STALE: u64 = 3_600;
/// A URL is fetched at most once in this time.
const COOL_DOWN: u64 = 60;

/// What a URL gives now.
#[derive(Clone, Debug)]
pub struct Published {
    /// The numbers of the keys. The owner signs with the last one.
    pub keys: Vec<u64>,
    pub is_up: bool,
    pub fresh_for: Option<u64>,
}

impl Default for Published {
    fn default() -> Self {
        Self { keys: vec![1], is_up: true, fresh_for: None }
    }
}

impl Published {
    pub fn signs_with(&self) -> u64 {
        self.keys.last().copied().unwrap_or_default()
    }
}

/// What a node has of a URL.
#[derive(Clone, Debug, Default)]
pub struct Slot {
    held: Option<Held>,
    /// Before this time no fetch begins.
    cool_until: u64,
    has_failed: bool,
}

#[derive(Clone, Debug)]
struct Held {
    keys: Vec<u64>,
    /// The number of the fetch.
    fetch: u64,
    fresh_until: u64,
    stale_until: u64,
}

/// How a request got on with a key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The key is in the first set.
    AtOnce,
    /// The key is in a newer set than the first one.
    Anew,
    /// The set is stale, and no other can be had.
    Stale,
    Missing,
    Unreachable,
}

/// What a node gets.
enum Got {
    Set(Held),
    /// There is none that is newer.
    Current,
    Unavailable,
}

impl Slot {
    /// Looks for the key with this number.
    pub fn find(
        &mut self,
        number: u64,
        published: &Published,
        now: u64,
        fetches: &mut u64,
    ) -> Found {
        let first = match self.get(None, published, now, fetches) {
            Got::Set(held) if held.keys.contains(&number) => {
                return if now < held.fresh_until { Found::AtOnce } else { Found::Stale };
            }
            Got::Set(held) => held.fetch,
            Got::Current | Got::Unavailable => return Found::Unreachable,
        };
        match self.get(Some(first), published, now, fetches) {
            Got::Set(held) if held.keys.contains(&number) => Found::Anew,
            Got::Set(_) | Got::Current => Found::Missing,
            Got::Unavailable => Found::Unreachable,
        }
    }

    /// Returns a set, and a newer one than that of this fetch if one is named.
    fn get(
        &mut self,
        than: Option<u64>,
        published: &Published,
        now: u64,
        fetches: &mut u64,
    ) -> Got {
        let serves = |held: &Held| than.is_none_or(|than| held.fetch > than);
        if let Some(held) = self.held.clone().filter(|held| serves(held) && now < held.fresh_until)
        {
            return Got::Set(held);
        }
        if now >= self.cool_until {
            *fetches += 1;
            self.cool_until = now + COOL_DOWN;
            self.has_failed = !published.is_up;
            if published.is_up {
                let (least, most, usual) = FRESH;
                let fresh = published.fresh_for.map_or(usual, |time| time.clamp(least, most));
                self.held = Some(Held {
                    keys: published.keys.clone(),
                    fetch: *fetches,
                    fresh_until: now + fresh,
                    stale_until: now + fresh + STALE,
                });
            }
        }
        match self.held.clone().filter(|held| serves(held) && now < held.stale_until) {
            Some(held) => Got::Set(held),
            None if self.has_failed => Got::Unavailable,
            None => Got::Current,
        }
    }
}
