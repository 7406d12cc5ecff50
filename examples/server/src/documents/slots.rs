//! How much is fetched at once: anybody can make this server fetch, so what it spends on that is bounded.
//!
//! What lives here: counting. What never does: waiting. Who finds no slot is told so at once and may ask again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All in all, and from hosts of one name: one that is slow leaves slots for the others.
const MOST: usize = 16;
const MOST_PER_HOST: usize = 2;

/// Why there is no slot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Busy {
    #[error("{MOST} documents are being fetched already")]
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
    pub(super) fn take(&self, host: &str) -> Result<Slot, Busy> {
        let mut asked = self.lock();
        if asked.len() >= MOST {
            return Err(Busy::Everywhere);
        }
        if asked.iter().filter(|other| *other == host).count() >= MOST_PER_HOST {
            return Err(Busy::At(host.to_owned()));
        }
        asked.push(host.to_owned());
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
        let mut held: Vec<_> = (0..2).map(|_| slots.take("slow.example").unwrap()).collect();
        assert_eq!(slots.take("slow.example").err(), Some(Busy::At("slow.example".to_owned())));
        held.extend((2..16).map(|n| slots.take(&format!("{n}.example")).unwrap()));
        assert_eq!(slots.take("other.example").err(), Some(Busy::Everywhere));
        drop(held.remove(0));
        assert!(slots.take("slow.example").is_ok());
        held.clear();
        assert!(slots.lock().is_empty());
    }
}
