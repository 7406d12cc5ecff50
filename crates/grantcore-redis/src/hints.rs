//! The client and the user of recently loaded grants. Neither ever changes, so all records of a
//! grant's next request can be read at the same time.
//!
//! A hint selects what is read with the grant. The grant decides what is used.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use grantcore::grant::Grant;
use grantcore::value::{ClientId, GrantId, Subject};

/// The number of grants that are remembered. Of two grants with one place, the later one is kept.
const PLACES: u16 = 4096;

/// The client and the user of a grant.
#[derive(Clone)]
pub(crate) struct Hint {
    id: GrantId,
    pub(crate) client: ClientId,
    pub(crate) subject: Option<Subject>,
}

pub(crate) struct Hints(Box<[Mutex<Option<Hint>>]>);

impl Default for Hints {
    fn default() -> Self {
        Self((0..PLACES).map(|_| Mutex::default()).collect())
    }
}

impl Hints {
    pub(crate) fn of(&self, id: GrantId) -> Option<Hint> {
        self.place(id)?.clone().filter(|hint| hint.id == id)
    }

    pub(crate) fn remember(&self, grant: &Grant) {
        let Some(mut place) = self.place(grant.id()) else { return };
        *place = Some(Hint {
            id: grant.id(),
            client: grant.client_id().clone(),
            subject: grant.subject().cloned(),
        });
    }

    /// The bytes of an id are random.
    fn place(&self, id: GrantId) -> Option<MutexGuard<'_, Option<Hint>>> {
        let [first, second, ..] = *id.as_bytes();
        let place = usize::from(u16::from_le_bytes([first, second]) % PLACES);
        Some(self.0.get(place)?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Shows no user.
impl std::fmt::Debug for Hints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hints")
    }
}

/// A clone of the store shares them.
pub(crate) type SharedHints = Arc<Hints>;
