//! The ways in which a client says it can authenticate: `token_endpoint_auth_method` (RFC 7591 §2)
//! and `token_endpoint_auth_methods_supported` (OpenID Connect Relying Party Metadata Choices §2),
//! and the one of them that is used (KEYS-01 to KEYS-08).

use std::collections::BTreeSet;

use serde_json::Value;

use super::{text, texts};
use crate::policy::AuthMethods;
use crate::reason::Reason;
use crate::refusal::{Fault, listed};
use crate::value::auth_method::AuthMethod;

/// How many different methods a list may name.
const MOST_LISTED: usize = 16;

/// Methods by a secret that both sides know. A document is public, and can have none.
const SHARED_SECRETS: [&str; 3] =
    ["client_secret_basic", "client_secret_post", "client_secret_jwt"];

/// What a client offers: one method, a list, or both.
pub(super) struct OfferedMethods {
    single: Option<String>,
    list: Option<BTreeSet<String>>,
}

impl OfferedMethods {
    /// Reads both members. Where both are there, the single method must be in the list.
    pub(super) fn read(single: Option<Value>, list: Option<Value>) -> Result<Self, Fault> {
        let single = text(single, Reason::MetadataAuthMethod)?;
        let list = texts(list, Reason::MetadataAuthMethod)?;
        let list: Option<BTreeSet<_>> = list.map(|names| names.into_iter().collect());
        let offered = Self { single, list };
        match (&offered.single, &offered.list) {
            (_, Some(list)) if list.is_empty() => {
                Err(Reason::MetadataAuthMethod.hint("Received: an empty list."))
            }
            (_, Some(list)) if list.len() > MOST_LISTED => {
                let hint =
                    format!("Received: {} methods. At most {MOST_LISTED} are read.", list.len());
                Err(Reason::MetadataAuthMethod.hint(hint))
            }
            (Some(single), Some(list)) if !list.contains(single) => {
                let hint =
                    "token_endpoint_auth_method is not in token_endpoint_auth_methods_supported.";
                Err(Reason::MetadataAuthMethod.received(single).hint(hint))
            }
            _ => Ok(offered),
        }
    }

    /// The method of a registration: the single one if the server offers it, else the strongest of
    /// the list that it offers. A single method without a list is answered with the nearest one that
    /// is offered (CLIENT-24), except one that needs more than a secret: whoever asks to prove
    /// itself by a key is never registered for less.
    pub(super) fn for_registration(
        &self,
        offered: AuthMethods,
    ) -> Result<Option<AuthMethod>, Fault> {
        let single = self.single.as_deref().and_then(AuthMethod::named);
        let strongest = |list: &BTreeSet<String>| {
            AuthMethod::STRONGEST_FIRST
                .into_iter()
                .find(|method| list.contains(method.name()) && offered.offers(*method))
        };
        let chosen = match (&self.single, &self.list) {
            (None, None) => return Ok(None),
            (Some(_), None) => single.map(|method| offered.nearest(method)),
            (_, Some(list)) => {
                single.filter(|method| offered.offers(*method)).or_else(|| strongest(list))
            }
        };
        chosen.map(Some).ok_or_else(|| {
            let known = listed(offered.offered().map(AuthMethod::name));
            let received = listed(self.names());
            Reason::MetadataAuthMethod.hint(format!("Received: {received}. Offered here: {known}."))
        })
    }

    /// The method of a document, which is `none`: a public document cannot hold a secret, and this
    /// server verifies no keys. A document that names no method means `none` (AMB-30). One that
    /// names others alone shares no method with this server, which is no reason to guess one.
    pub(super) fn for_document(&self) -> Result<Option<AuthMethod>, Fault> {
        if let Some(shared) = self.names().find(|name| SHARED_SECRETS.contains(name)) {
            let hint = "A document is public and can name no method by a shared secret.";
            return Err(Reason::MetadataAuthMethod.received(shared).hint(hint));
        }
        let names_others = self.names().next().is_some();
        if names_others && !self.names().any(|name| name == AuthMethod::None.name()) {
            let hint =
                format!("Received: {}. Offered here for documents: none.", listed(self.names()));
            return Err(Reason::DocumentNoCommonMethod.hint(hint));
        }
        Ok(Some(AuthMethod::None))
    }

    /// Every name in either member.
    fn names(&self) -> impl Iterator<Item = &str> {
        let listed = self.list.iter().flatten().map(String::as_str);
        let single = self.single.as_deref().filter(|_| self.list.is_none());
        single.into_iter().chain(listed)
    }
}
