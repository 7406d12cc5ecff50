//! How much is fetched at once: anybody can make this server fetch, so what it spends on that is
//! bounded.
//!
//! What lives here: counting. What never does: waiting. Who finds no slot is told so at once and
//! may ask again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All in all, and from hosts of one name: one that is slow leaves slots for the others.
const MOST: usize = 16;
const MOST_PER_HOST: usize = 2;
/// Of these, for those who are not signed in: they can be many, and cannot take all.
const MOST_FOR_STRANGERS: usize = 8;

/// For whom something is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    User,
    Stranger,
}

/// Why there is no slot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Busy {
    #[error("as many documents are being fetched already as may be")]
    Everywhere,
    #[error("{MOST_PER_HOST} documents are being fetched from {0} already")]
    At(String),
}

/// The hosts that are being asked, each as often as it is.
#[derive(Default)]
pub(super) struct Slots(Arc<Mutex<Vec<String>>>);

/// Leave to ask one host, given back when it is dropped.
#[must_use = "the slot is free again once this is dropped"]
pub(super) struct Slot {
    host: String,
    slots: Slots,
}

impl Slots {
    pub(super) fn take(&self, host: &str, asker: Asker) -> Result<Slot, Busy> {
        let mut held = self.lock();
        let most = if asker == Asker::User { MOST } else { MOST_FOR_STRANGERS };
        if held.len() >= most {
            return Err(Busy::Everywhere);
        }
        if held.iter().filter(|other| *other == host).count() >= MOST_PER_HOST {
            return Err(Busy::At(host.to_owned()));
        }
        held.push(host.to_owned());
        Ok(Slot { host: host.to_owned(), slots: Self(Arc::clone(&self.0)) })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut asked = self.slots.lock();
        if let Some(place) = asked.iter().position(|host| *host == self.host) {
            asked.swap_remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_takes_two_and_all_together_sixteen() {
        let slots = Slots::default();
        let take = |host: &str| slots.take(host, Asker::User);
        let mut held: Vec<_> = (0..2).map(|_| take("slow.example").unwrap()).collect();
        assert_eq!(take("slow.example").err(), Some(Busy::At("slow.example".to_owned())));
        held.extend((2..16).map(|n| take(&format!("{n}.example")).unwrap()));
        assert_eq!(take("other.example").err(), Some(Busy::Everywhere));
        drop(held.remove(0));
        assert!(take("slow.example").is_ok());
        held.clear();
        assert!(slots.lock().is_empty());
    }

    #[test]
    fn strangers_leave_half_to_users() {
        let slots = Slots::default();
        let take = |n: usize, asker| slots.take(&format!("{n}.example"), asker);
        let held: Vec<_> = (0..16).map(|n| take(n, Asker::Stranger)).collect();
        assert_eq!(held.iter().filter(|slot| slot.is_ok()).count(), 8);
        assert!(
            (16..24).map(|n| take(n, Asker::User)).collect::<Vec<_>>().iter().all(Result::is_ok)
        );
    }
}
