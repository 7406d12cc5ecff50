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
mod walks;

use grantcore::Client;
use grantcore::grant::Grant;

/// A grant or a client.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Record {
    Grant(Box<Grant>),
    Client(Box<Client>),
}

impl Record {
    /// Decodes another record of the same table.
    fn read(&self, text: &str) -> serde_json::Result<Self> {
        match self {
            Self::Grant(_) => serde_json::from_str(text).map(Self::Grant),
            Self::Client(_) => serde_json::from_str(text).map(Self::Client),
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Grant(grant) => serde_json::to_string(grant).unwrap(),
            Self::Client(client) => serde_json::to_string(client).unwrap(),
        }
    }

    fn read_binary(&self, bytes: &[u8]) -> postcard::Result<Self> {
        match self {
            Self::Grant(_) => postcard::from_bytes(bytes).map(Self::Grant),
            Self::Client(_) => postcard::from_bytes(bytes).map(Self::Client),
        }
    }

    fn write_binary(&self) -> Vec<u8> {
        match self {
            Self::Grant(grant) => postcard::to_allocvec(grant).unwrap(),
            Self::Client(client) => postcard::to_allocvec(client).unwrap(),
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
        .collect()
}
