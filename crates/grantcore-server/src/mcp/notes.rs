//! The notes of the tools, in memory.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use super::Identity;

/// Whose note pad it is. A user whose name is the `client_id` of an application has another one.
#[derive(PartialEq, Eq, Hash)]
pub(super) enum Owner {
    User(String),
    Application(String),
}

impl Owner {
    pub(super) fn of(caller: &Identity) -> Self {
        match &caller.subject {
            Some(subject) => Self::User(subject.to_string()),
            None => Self::Application(caller.client_id.to_string()),
        }
    }
}

/// The notes of all. Bounded: 256 note pads, 32 notes each, 500 bytes each.
#[derive(Default)]
pub(super) struct NotePad(Mutex<HashMap<Owner, VecDeque<String>>>);

impl NotePad {
    pub(super) const PADS: usize = 256;
    const NOTES: usize = 32;
    const BYTES: usize = 500;

    pub(super) fn add(&self, owner: Owner, text: String) -> Result<Vec<String>, String> {
        if text.is_empty() || text.len() > Self::BYTES {
            return Err(format!("a note has 1 to {} bytes", Self::BYTES));
        }
        let mut pads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pads.len() >= Self::PADS && !pads.contains_key(&owner) {
            return Err("all note pads are taken".to_owned());
        }
        let pad = pads.entry(owner).or_default();
        if pad.len() >= Self::NOTES {
            pad.pop_front();
        }
        pad.push_back(text);
        Ok(pad.iter().cloned().collect())
    }

    pub(super) fn list(&self, owner: &Owner) -> Vec<String> {
        let pads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pad = pads.get(owner);
        pad.into_iter().flatten().cloned().collect()
    }
}
