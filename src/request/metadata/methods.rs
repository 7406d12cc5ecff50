//! The authentication methods that a client offers, and the choice of one (KEYS-01 to KEYS-08). The
//! members are `token_endpoint_auth_method` (RFC 7591 §2) and
//! `token_endpoint_auth_methods_supported` (OpenID Connect Relying Party Metadata Choices §2).

use std::collections::BTreeSet;

use serde_json::Value;

use super::{text, texts};
use crate::policy::AuthMethods;
use crate::reason::Reason;
use crate::refusal::{Fault, listed};
use crate::value::auth_method::AuthMethod;

/// The most different methods of a list.
const MAX_LISTED: usize = 16;

/// The methods by a shared secret. A metadata document is public and cannot contain one.
const SHARED_SECRETS: [&str; 3] =
    ["client_secret_basic", "client_secret_post", "client_secret_jwt"];

/// The methods that a client offers: one method, a list, or both.
pub(super) struct OfferedMethods {
    single: Option<String>,
    list: Option<BTreeSet<String>>,
}

impl OfferedMethods {
    /// Reads both members. If both are there, the list must contain the single method.
    pub(super) fn read(single: Option<Value>, list: Option<Value>) -> Result<Self, Fault> {
        let single = text(single, Reason::MetadataAuthMethod)?;
        let list = texts(list, Reason::MetadataAuthMethod)?;
        let list: Option<BTreeSet<_>> = list.map(|names| names.into_iter().collect());
        let offered = Self { single, list };
        match (&offered.single, &offered.list) {
            (_, Some(list)) if list.is_empty() => {
                Err(Reason::MetadataAuthMethod.hint("Received: an empty list."))
            }
            (_, Some(list)) if list.len() > MAX_LISTED => {
                let hint =
                    format!("Received: {} methods. At most {MAX_LISTED} are read.", list.len());
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

    /// Returns the method of a registration: the single method if the server offers it, or else the
    /// strongest method of the list that the server offers.
    ///
    /// A single method without a list gets the nearest method that the server offers (CLIENT-24). A
    /// method that the crate does not support, such as one by a key, is refused: a weaker one would
    /// be a downgrade.
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

    /// Returns the method of a document, which is `none`: a public document cannot contain a
    /// secret, and this server verifies no keys. A document without a method means `none` (AMB-30).
    /// A document that names other methods only is refused.
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

    /// Returns the names of both members, each once.
    fn names(&self) -> impl Iterator<Item = &str> {
        let listed = self.list.iter().flatten().map(String::as_str);
        let single = self.single.as_deref().filter(|_| self.list.is_none());
        single.into_iter().chain(listed)
    }
}
