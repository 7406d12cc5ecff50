//! A plain correct store: three tables of rows under one lock. The broken stores are made of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use grantcore::grant::Grant;
use grantcore::store::{Commit, Seen, SeenKey, Stored, Version, Write};
use grantcore::value::GrantId;
use grantcore::{Account, Client, Timestamp};

/// A key of one of the tables.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Id {
    Grant(GrantId),
    Client(String),
    Seen(SeenKey),
}

/// A record of one of the tables, as the text that a database stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub version: u64,
    pub drop_after: Timestamp,
    pub subject: Option<String>,
    pub body: String,
}

#[derive(Default)]
pub struct Rows {
    rows: Mutex<BTreeMap<Id, Row>>,
    epochs: Mutex<BTreeMap<String, u64>>,
}

impl Rows {
    pub fn lock(&self) -> MutexGuard<'_, BTreeMap<Id, Row>> {
        self.rows.lock().unwrap()
    }

    pub fn get(&self, id: &Id) -> Option<Row> {
        self.lock().get(id).cloned()
    }

    pub fn account(&self, subject: &str) -> Account {
        Account {
            suspended: false,
            epoch: self.epochs.lock().unwrap().get(subject).copied().unwrap_or(0),
        }
    }

    pub fn raise(&self, subject: &str) {
        *self.epochs.lock().unwrap().entry(subject.to_owned()).or_default() += 1;
    }

    /// Writes the row if the stored version is `seen`.
    pub fn put(&self, id: Id, seen: Option<u64>, row: Row) -> Commit {
        let mut rows = self.lock();
        if rows.get(&id).map(|row| row.version) != seen {
            return Commit::Conflict;
        }
        rows.insert(id, row);
        Commit::Done
    }

    /// Lists the ids of a user's grants.
    pub fn grants_of(&self, subject: &str, after: Option<GrantId>, limit: usize) -> Vec<GrantId> {
        let rows = self.lock();
        let own = rows.iter().filter(|(_, row)| row.subject.as_deref() == Some(subject));
        let ids = own.filter_map(|(id, _)| if let Id::Grant(id) = id { Some(*id) } else { None });
        ids.filter(|id| Some(*id) > after).take(limit).collect()
    }

    /// Drops rows that are due.
    pub fn sweep(&self, now: Timestamp, limit: usize) -> usize {
        let mut rows = self.lock();
        let over: Vec<_> = rows
            .iter()
            .filter(|(_, row)| now >= row.drop_after)
            .map(|(id, _)| id.clone())
            .take(limit)
            .collect();
        over.iter().filter(|id| rows.remove(id).is_some()).count()
    }
}

/// Returns the key, the version that must be stored, and the row to write.
pub fn split(write: &Write) -> (Id, Option<u64>, Row) {
    let number = |version: Version| version.0;
    match write {
        Write::Grant(change) => {
            let record = change.record();
            let subject = record.subject().map(ToString::to_string);
            let body = serde_json::to_string(record).unwrap();
            let row =
                Row { version: change.version().0, drop_after: change.drop_after(), subject, body };
            (Id::Grant(change.id()), change.seen().map(number), row)
        }
        Write::Client(change) => {
            let body = serde_json::to_string(change.record()).unwrap();
            let row = Row {
                version: change.version().0,
                drop_after: change.drop_after(),
                subject: None,
                body,
            };
            (Id::Client(change.id().to_string()), change.seen().map(number), row)
        }
        // A mark has no version, and replaces nothing.
        Write::Seen(seen) => {
            let body = serde_json::to_string(seen).unwrap();
            let row = Row { version: 0, drop_after: seen.drop_after(), subject: None, body };
            (Id::Seen(*seen.key()), None, row)
        }
    }
}

impl Row {
    pub fn grant(&self) -> Result<Stored<Grant>, serde_json::Error> {
        Ok(Stored {
            record: serde_json::from_str::<Grant>(&self.body)?.into(),
            version: Version(self.version),
        })
    }

    pub fn seen(&self) -> Result<Seen, serde_json::Error> {
        serde_json::from_str(&self.body)
    }

    pub fn client(&self) -> Result<Stored<Client>, serde_json::Error> {
        Ok(Stored {
            record: serde_json::from_str::<Client>(&self.body)?.into(),
            version: Version(self.version),
        })
    }
}
