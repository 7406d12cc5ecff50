//! The host's accounts, and what it decides about a grant that is being refreshed.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use grantcore::account::{GrantChanges, RefreshDecision};
use grantcore::grant::Grant;
use grantcore::value::Properties;
use grantcore::{Account, MemoryStore, Timestamp};

use super::play::{Play, names};
use super::records::{Change, Decision};
use super::rig::SCOPES;

/// The accounts of the reference store, with a decision for the next refresh.
pub struct Host {
    pub inner: Arc<MemoryStore>,
    pub decision: Mutex<RefreshDecision>,
}

impl grantcore::blocking::Accounts for Host {
    type Error = Infallible;

    fn account(&self, subject: &str) -> Result<Option<Account>, Infallible> {
        grantcore::blocking::Accounts::account(&*self.inner, subject)
    }

    fn raise_epoch(&self, subject: &str) -> Result<bool, Infallible> {
        grantcore::blocking::Accounts::raise_epoch(&*self.inner, subject)
    }

    fn refresh_decision(&self, _: &Grant) -> Result<RefreshDecision, Infallible> {
        Ok(self.decision.lock().unwrap().clone())
    }
}

impl grantcore::Accounts for Host {
    type Error = Infallible;

    async fn account(&self, subject: &str) -> Result<Option<Account>, Infallible> {
        grantcore::blocking::Accounts::account(self, subject)
    }

    async fn raise_epoch(&self, subject: &str) -> Result<bool, Infallible> {
        grantcore::blocking::Accounts::raise_epoch(self, subject)
    }

    async fn refresh_decision(&self, grant: &Grant) -> Result<RefreshDecision, Infallible> {
        grantcore::blocking::Accounts::refresh_decision(self, grant)
    }
}

/// Returns the properties of this number. The number 0 stands for none.
pub fn properties(number: u8) -> Option<Properties> {
    let text = format!(r#"{{"tenant":{number}}}"#);
    (number > 0).then(|| Properties::parse(text).expect("properties"))
}

impl Play {
    /// Chooses what the host decides about the next refresh, and tells the servers.
    pub fn decide(&mut self) -> Decision {
        let decision = match self.random.below(16) {
            0 if self.random.one_in(2) => Decision::End,
            1 | 2 => {
                let soon = self.random.below(600);
                let end = self.model.clock + u64::try_from(soon).expect("few seconds");
                Decision::Change(Change {
                    scope: self.random.one_in(2).then(|| 1 + self.random.small(7)),
                    properties: self.random.small(4),
                    end: self.random.one_in(8).then_some(end),
                })
            }
            _ => Decision::Keep,
        };
        *self.rig.host.decision.lock().unwrap() = match &decision {
            Decision::Keep => RefreshDecision::Keep,
            Decision::End => RefreshDecision::End("has left".into()),
            Decision::Change(change) => {
                let mut changes = GrantChanges::default();
                if let Some(scope) = change.scope {
                    let scope = names(&SCOPES, scope).parse().expect("a scope");
                    changes = changes.with_scope(scope);
                }
                if let Some(own) = properties(change.properties) {
                    changes = changes.with_properties(own);
                }
                if let Some(end) = change.end {
                    changes = changes.until(Timestamp::from_unix_seconds(end));
                }
                changes.into()
            }
        };
        decision
    }
}
