//! How many fetches run at the same time. Anybody can cause a fetch, so what the host spends on
//! them is bounded, and strangers cannot take all of it.
//!
//! Nothing waits here: an asker that finds no slot is refused at once, and may try again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Asker;
use crate::error::Busy;

/// The most fetches at the same time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotLimits {
    pub(crate) total: usize,
    /// Of the total.
    pub(crate) strangers: usize,
    /// From one host and port.
    pub(crate) per_host: usize,
    /// Of those from one host and port.
    pub(crate) per_host_for_strangers: usize,
    /// For one user, or for one network address of strangers.
    pub(crate) per_asker: usize,
}

impl Default for SlotLimits {
    fn default() -> Self {
        Self { total: 32, strangers: 8, per_host: 6, per_host_for_strangers: 2, per_asker: 2 }
    }
}

/// The slots that are taken. A clone shares them.
#[derive(Clone)]
pub(crate) struct Slots {
    limits: SlotLimits,
    taken: Arc<Mutex<Vec<Taken>>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Taken {
    host: String,
    asker: String,
    is_stranger: bool,
}

/// The permission for one fetch. It is given back when it is dropped.
#[must_use = "the slot is free again once this is dropped"]
pub(crate) struct Slot {
    taken: Taken,
    slots: Slots,
}

impl Slots {
    pub(crate) fn new(limits: SlotLimits) -> Self {
        Self { limits, taken: Arc::default() }
    }

    /// Takes a slot for a fetch from this host and port.
    pub(crate) fn take(&self, host: &str, asker: Asker<'_>) -> Result<Slot, Busy> {
        let (name, is_stranger) = match asker {
            Asker::User(name) => (name, false),
            Asker::Stranger(address) => (address, true),
        };
        let wanted = Taken { host: host.to_owned(), asker: name.to_owned(), is_stranger };
        let limits = self.limits;
        let mut taken = self.lock();
        let count = |matches: &dyn Fn(&Taken) -> bool| taken.iter().filter(|t| matches(t)).count();
        let of_asker = count(&|t| t.asker == wanted.asker && t.is_stranger == is_stranger);
        if of_asker >= limits.per_asker {
            return Err(Busy::Asker);
        }
        let of_strangers = count(&|t| t.is_stranger);
        if taken.len() >= limits.total || (is_stranger && of_strangers >= limits.strangers) {
            return Err(Busy::Total);
        }
        let at_host = count(&|t| t.host == wanted.host);
        let of_strangers = count(&|t| t.host == wanted.host && t.is_stranger);
        if at_host >= limits.per_host
            || (is_stranger && of_strangers >= limits.per_host_for_strangers)
        {
            return Err(Busy::Host(wanted.host));
        }
        taken.push(wanted.clone());
        Ok(Slot { taken: wanted, slots: self.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.lock();
        if let Some(index) = taken.iter().position(|other| *other == self.taken) {
            taken.swap_remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_has_two_slots_one_host_six_and_all_together_thirty_two() {
        let slots = Slots::new(SlotLimits::default());
        let take = |host: &str, user: usize| slots.take(host, Asker::User(&user.to_string()));
        let mut held: Vec<_> = (0..6).map(|n| take("slow.example:443", n / 2).unwrap()).collect();
        assert_eq!(take("other.example:443", 0).err(), Some(Busy::Asker));
        let full = Busy::Host("slow.example:443".to_owned());
        assert_eq!(take("slow.example:443", 3).err(), Some(full));
        held.push(take("slow.example:8443", 3).unwrap());
        held.extend((7..32).map(|n| take(&format!("{n}.example:443"), n).unwrap()));
        assert_eq!(take("other.example:443", 99).err(), Some(Busy::Total));
        drop(held.remove(0));
        assert!(take("slow.example:443", 0).is_ok());
        held.clear();
        assert!(slots.lock().is_empty());
    }

    #[test]
    fn strangers_leave_most_slots_of_each_host_and_of_all_to_users() {
        let slots = Slots::new(SlotLimits::default());
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
    fn a_user_and_an_address_of_the_same_name_are_two_askers() {
        let slots = Slots::new(SlotLimits::default());
        let _users = [0, 1].map(|n| slots.take(&n.to_string(), Asker::User("1.2.3.4")).unwrap());
        assert!(slots.take("2", Asker::Stranger("1.2.3.4")).is_ok());
    }
}
