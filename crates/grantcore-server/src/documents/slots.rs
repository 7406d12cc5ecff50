//! How many documents are fetched at once: anybody can make this server fetch, so what it spends on
//! that is bounded, and strangers cannot use up what the signed-in need.
//!
//! What lives here: counting. What never does: waiting. An asker that finds no slot is refused at
//! once and may ask again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// In all.
const MOST: usize = 32;
/// Of these, for those who are not signed in: they can be many, and leave the rest to users.
const MOST_FOR_STRANGERS: usize = 8;
/// From one host and port: a slow one leaves slots for the others.
const MOST_PER_PLACE: usize = 6;
/// Of these, for strangers: they can name slow documents at the very host of a client that users
/// have.
const MOST_PER_PLACE_FOR_STRANGERS: usize = 2;
/// For one user, or one source of strangers.
const MOST_PER_ASKER: usize = 2;

/// For whom something is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker<'a> {
    /// A user who is signed in, by the account's name.
    User(&'a str),
    /// Somebody who is not, by the network address.
    Stranger(&'a str),
}

/// Why nothing is fetched now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Busy {
    #[error("as many documents are being fetched already as may be")]
    Everywhere,
    #[error("as many documents are being fetched from {0} already as may be")]
    At(String),
    #[error("this user or source has {MOST_PER_ASKER} documents being fetched already")]
    Asker,
    #[error("this user or source has had too many documents fetched within a minute")]
    TooOften,
}

/// The fetches that are under way.
#[derive(Clone, Default)]
pub(super) struct Slots(Arc<Mutex<Vec<Held>>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    place: String,
    asker: String,
    is_stranger: bool,
}

/// Leave to ask one host, given back when it is dropped.
#[must_use = "the slot is free again once this is dropped"]
pub(super) struct Slot {
    held: Held,
    slots: Slots,
}

impl Slots {
    /// Takes a slot for a fetch from this host and port.
    pub(super) fn take(&self, place: &str, asker: Asker<'_>) -> Result<Slot, Busy> {
        let (name, is_stranger) = match asker {
            Asker::User(name) => (name, false),
            Asker::Stranger(name) => (name, true),
        };
        let wanted = Held { place: place.to_owned(), asker: name.to_owned(), is_stranger };
        let mut held = self.lock();
        let count = |fits: &dyn Fn(&Held) -> bool| held.iter().filter(|held| fits(held)).count();
        let at_place = |other: &Held| other.place == wanted.place;
        let of_asker =
            |other: &Held| other.asker == wanted.asker && other.is_stranger == is_stranger;
        if count(&of_asker) >= MOST_PER_ASKER {
            return Err(Busy::Asker);
        }
        let strangers = count(&|other| other.is_stranger);
        if held.len() >= MOST || (is_stranger && strangers >= MOST_FOR_STRANGERS) {
            return Err(Busy::Everywhere);
        }
        let strangers = count(&|other| other.is_stranger && at_place(other));
        if count(&at_place) >= MOST_PER_PLACE
            || (is_stranger && strangers >= MOST_PER_PLACE_FOR_STRANGERS)
        {
            return Err(Busy::At(wanted.place));
        }
        held.push(wanted.clone());
        Ok(Slot { held: wanted, slots: self.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut held = self.slots.lock();
        if let Some(place) = held.iter().position(|other| *other == self.held) {
            held.swap_remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_takes_two_one_host_six_and_all_together_thirty_two() {
        let slots = Slots::default();
        let take = |host: &str, user: usize| slots.take(host, Asker::User(&user.to_string()));
        let mut held: Vec<_> = (0..6).map(|n| take("slow.example:443", n / 2).unwrap()).collect();
        assert_eq!(take("other.example:443", 0).err(), Some(Busy::Asker));
        let full = Busy::At("slow.example:443".to_owned());
        assert_eq!(take("slow.example:443", 3).err(), Some(full));
        held.push(take("slow.example:8443", 3).unwrap());
        held.extend((7..32).map(|n| take(&format!("{n}.example:443"), n).unwrap()));
        assert_eq!(take("other.example:443", 99).err(), Some(Busy::Everywhere));
        drop(held.remove(0));
        assert!(take("slow.example:443", 0).is_ok());
        held.clear();
        assert!(slots.lock().is_empty());
    }

    #[test]
    fn strangers_leave_most_of_each_host_and_of_all_to_users() {
        let slots = Slots::default();
        let stranger = |n: usize, at: usize| {
            slots.take(&format!("{at}.example:443"), Asker::Stranger(&n.to_string()))
        };
        let held: Vec<_> = (0..100).filter_map(|n| stranger(n, 0).ok()).collect();
        assert_eq!(held.len(), 2, "at one host");
        let more: Vec<_> = (0..100).filter_map(|n| stranger(n, n + 1).ok()).collect();
        assert_eq!(more.len(), 6, "at all hosts");
        let user = |n: usize, at: usize| {
            slots.take(&format!("{at}.example:443"), Asker::User(&n.to_string()))
        };
        let users: Vec<_> = (0..4).map(|n| user(n, 0).unwrap()).collect();
        let elsewhere: Vec<_> = (4..24).map(|n| user(n, 1000 + n).unwrap()).collect();
        assert_eq!(users.len() + elsewhere.len(), 24);
    }

    #[test]
    fn a_user_and_a_source_of_the_same_name_are_two() {
        let slots = Slots::default();
        let _users = [0, 1].map(|n| slots.take(&n.to_string(), Asker::User("1.2.3.4")).unwrap());
        assert!(slots.take("2", Asker::Stranger("1.2.3.4")).is_ok());
    }
}
