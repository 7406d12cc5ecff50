//! The times at which a sweep examines records, so that its cost depends on the records that it
//! drops and not on those that it keeps.

use std::collections::BTreeMap;

use crate::moment::Timestamp;

/// The keys of records, each under a time that is not after the record's `drop_after`.
///
/// A use of a record makes it last longer, and leaves its key where it is: moving it would take 700
/// instructions of each refresh. Where a sweep finds the record not to be due, it puts the key to
/// the record's new time. A record is found so about once in each of its lifetimes.
#[derive(Debug)]
pub(super) struct Due<K>(BTreeMap<Timestamp, Vec<K>>);

impl<K> Default for Due<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K> Due<K> {
    /// Notes a record that may be dropped at this time. A record of [`Timestamp::NEVER`] is none.
    pub(super) fn put(&mut self, drop_after: Timestamp, key: K) {
        if drop_after < Timestamp::NEVER {
            self.0.entry(drop_after).or_default().push(key);
        }
    }

    /// Notes a record that was written again, if it may be dropped earlier than before.
    pub(super) fn put_again(&mut self, before: Timestamp, drop_after: Timestamp, key: K) {
        if drop_after < before {
            self.put(drop_after, key);
        }
    }

    /// Returns whether a record is to be looked at.
    pub(super) fn is_any(&self, now: Timestamp) -> bool {
        self.0.first_key_value().is_some_and(|(first, _)| *first <= now)
    }

    /// Removes the key of a record that is to be looked at.
    pub(super) fn take(&mut self, now: Timestamp) -> Option<K> {
        let mut first = self.0.first_entry().filter(|first| *first.key() <= now)?;
        let key = first.get_mut().pop();
        if first.get().is_empty() {
            first.remove();
        }
        key
    }
}

#[cfg(test)]
mod tests {
    use super::Due;
    use crate::moment::Timestamp;

    #[test]
    fn a_record_is_looked_at_when_it_may_be_dropped_and_again_where_it_lasts_longer() {
        let at = Timestamp::from_unix_seconds;
        let mut due = Due::default();
        due.put(at(20), "later");
        due.put(at(10), "soon");
        due.put(Timestamp::NEVER, "never");
        due.put_again(at(20), at(30), "later");
        due.put_again(at(30), at(15), "nearer");
        assert!(!due.is_any(at(9)) && due.is_any(at(10)));
        assert_eq!(
            (due.take(at(9)), due.take(at(15)), due.take(at(15))),
            (None, Some("soon"), Some("nearer"))
        );
        assert_eq!(
            (due.take(at(19)), due.take(at(25)), due.is_any(Timestamp::NEVER)),
            (None, Some("later"), false)
        );
    }
}
