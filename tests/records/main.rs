//! Tests of I31: a stored record is decoded unchanged, today and by every later version, or it is
//! refused. `src/schema.rs` has the rule.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

#[path = "../support/mod.rs"]
mod support;

mod clients;
mod contradictions;
mod damage;
mod golden;
mod grants;
mod growth;
mod json;
mod rule;
mod seen;
mod walks;

use grantcore::Client;
use grantcore::grant::Grant;
use grantcore::store::Seen;

/// A grant, a client or a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Record {
    Grant(Box<Grant>),
    Client(Box<Client>),
    Seen(Box<Seen>),
}

impl Record {
    /// Decodes another record of the same table.
    fn read(&self, text: &str) -> serde_json::Result<Self> {
        match self {
            Self::Grant(_) => serde_json::from_str(text).map(Self::Grant),
            Self::Client(_) => serde_json::from_str(text).map(Self::Client),
            Self::Seen(_) => serde_json::from_str(text).map(Self::Seen),
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Grant(grant) => serde_json::to_string(grant).unwrap(),
            Self::Client(client) => serde_json::to_string(client).unwrap(),
            Self::Seen(seen) => serde_json::to_string(seen).unwrap(),
        }
    }

    fn read_binary(&self, bytes: &[u8]) -> postcard::Result<Self> {
        match self {
            Self::Grant(_) => postcard::from_bytes(bytes).map(Self::Grant),
            Self::Client(_) => postcard::from_bytes(bytes).map(Self::Client),
            Self::Seen(_) => postcard::from_bytes(bytes).map(Self::Seen),
        }
    }

    fn write_binary(&self) -> Vec<u8> {
        match self {
            Self::Grant(grant) => postcard::to_allocvec(grant).unwrap(),
            Self::Client(client) => postcard::to_allocvec(client).unwrap(),
            Self::Seen(seen) => postcard::to_allocvec(seen).unwrap(),
        }
    }
}

impl From<Grant> for Record {
    fn from(grant: Grant) -> Self {
        Self::Grant(Box::new(grant))
    }
}

impl From<Client> for Record {
    fn from(client: Client) -> Self {
        Self::Client(Box::new(client))
    }
}

/// Returns one record of each kind, with the name of its file.
fn records() -> Vec<(&'static str, Record)> {
    let grants = grants::grants().into_iter().map(|(name, grant)| (name, grant.into()));
    grants
        .chain(clients::clients().into_iter().map(|(name, client)| (name, client.into())))
        .chain([("seen", Record::Seen(Box::new(seen::mark())))])
        .collect()
}
