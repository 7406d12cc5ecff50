//! The authentication methods that a client offers, and the choice of one (KEYS-01 to KEYS-08). The
//! members are `token_endpoint_auth_method` (RFC 7591 §2) and
//! `token_endpoint_auth_methods_supported` (OpenID Connect Relying Party Metadata Choices §2).

use std::collections::BTreeSet;

use serde_json::Value;

use super::{text, texts};
use crate::client::{Authentication, ClientKeys};
use crate::policy::{AuthMethods, DocumentMethod, Policy};
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

/// The method that a client gets, by its metadata and by what the server offers.
#[derive(Clone, Debug)]
pub(crate) struct ClientAuth {
    /// `None` if the client named none.
    pub(crate) method: Option<AuthMethod>,
    /// The keys, if the client offers them and the server accepts them.
    pub(crate) keys: Option<ClientKeys>,
    /// Whether a document offers `none` too.
    may_be_public: bool,
}

impl ClientAuth {
    /// Returns how the client of a document authenticates, or `None` if it stays as it is. The
    /// method that the operator imposed counts more than what the document offers (I47).
    pub(crate) fn of_document(
        &self,
        imposed: Option<AuthMethod>,
        policy: &Policy,
    ) -> Option<Authentication> {
        let rules = policy.client_keys();
        let is_either =
            self.may_be_public && rules.is_some_and(|own| own.documents == DocumentMethod::Either);
        match (imposed, self.keys.clone()) {
            (Some(AuthMethod::PrivateKeyJwt), Some(keys)) => Some(Authentication::Keys(keys)),
            (Some(_), _) => None,
            (None, Some(keys)) if is_either => Some(Authentication::KeysOrNone(keys)),
            (None, Some(keys)) => Some(Authentication::Keys(keys)),
            (None, None) => Some(Authentication::Public),
        }
    }
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

    /// Returns whether the client offers to prove itself with keys.
    pub(super) fn has_keys(&self) -> bool {
        self.names().any(|name| name == AuthMethod::PrivateKeyJwt.name())
    }

    /// Returns how a registration authenticates: by the single method if the server offers it, or
    /// else by the strongest method of the list that the server offers. Keys are not offered by a
    /// client that has none.
    ///
    /// A single method without a list is replaced by the nearest method that the server offers, and
    /// an unknown method is ignored (CLIENT-24). Keys are refused where they are off: a weaker
    /// method would be a downgrade (KEYS-06).
    pub(super) fn for_registration(
        &self,
        offered: AuthMethods,
        keys: Option<ClientKeys>,
    ) -> Result<ClientAuth, Fault> {
        let single = self.single.as_deref().and_then(AuthMethod::named);
        let common = |method: AuthMethod| {
            offered.offers(method) && (method != AuthMethod::PrivateKeyJwt || keys.is_some())
        };
        let strongest = |list: &BTreeSet<String>| {
            AuthMethod::STRONGEST_FIRST
                .into_iter()
                .find(|method| list.contains(method.name()) && common(*method))
        };
        let method = match (&self.single, &self.list) {
            (None, None) => None,
            (Some(_), None) => {
                single.map(|single| self.alone(single, offered, keys.as_ref())).transpose()?
            }
            (_, Some(list)) => {
                let chosen = single.filter(|method| common(*method)).or_else(|| strongest(list));
                Some(chosen.ok_or_else(|| self.no_common(offered))?)
            }
        };
        Ok(ClientAuth { method, keys, may_be_public: false })
    }

    /// Returns the single method without a list, if this server does not know it.
    pub(super) fn unknown(&self) -> Option<&str> {
        let single = self.single.as_deref().filter(|_| self.list.is_none());
        single.filter(|name| AuthMethod::named(name).is_none())
    }

    /// Returns the method of a registration with a single method and no list.
    fn alone(
        &self,
        single: AuthMethod,
        offered: AuthMethods,
        keys: Option<&ClientKeys>,
    ) -> Result<AuthMethod, Fault> {
        match offered.nearest(single).ok_or_else(|| self.no_common(offered))? {
            AuthMethod::PrivateKeyJwt if keys.is_none() => {
                Err(Reason::MetadataKeys.hint("Received: neither."))
            }
            method => Ok(method),
        }
    }

    fn no_common(&self, offered: AuthMethods) -> Fault {
        let known = listed(offered.offered().map(AuthMethod::name));
        let received = listed(self.names());
        Reason::MetadataAuthMethod.hint(format!("Received: {received}. Offered here: {known}."))
    }

    /// Returns how a client with a document authenticates: by `none`, by keys, or by either. A
    /// public document cannot contain a secret. A document without a method means `none` (AMB-30).
    /// A document that names other methods only is refused.
    pub(super) fn for_document(
        &self,
        offered: AuthMethods,
        keys: Option<ClientKeys>,
    ) -> Result<ClientAuth, Fault> {
        if let Some(shared) = self.names().find(|name| SHARED_SECRETS.contains(name)) {
            let hint = "A document is public and can name no method by a shared secret.";
            return Err(Reason::MetadataAuthMethod.received(shared).hint(hint));
        }
        let names = |method: AuthMethod| self.names().any(|name| name == method.name());
        let names_none = self.names().next().is_none() || names(AuthMethod::None);
        let may_be_public = names_none && offered.offers(AuthMethod::None);
        let is_keyed =
            names(AuthMethod::PrivateKeyJwt) && offered.offers(AuthMethod::PrivateKeyJwt);
        let only_keys =
            is_keyed && self.names().all(|name| name == AuthMethod::PrivateKeyJwt.name());
        match keys.filter(|_| is_keyed) {
            Some(keys) => {
                let method = Some(AuthMethod::PrivateKeyJwt);
                Ok(ClientAuth { method, keys: Some(keys), may_be_public })
            }
            None if may_be_public => {
                let method = Some(AuthMethod::None);
                Ok(ClientAuth { method, keys: None, may_be_public })
            }
            None if only_keys => Err(Reason::MetadataKeys.hint("Received: neither.")),
            None => {
                let known = offered.offered().filter(|own| !matches!(own, AuthMethod::Secret(_)));
                let known = known.map(AuthMethod::name).collect::<Vec<_>>().join(" and ");
                let received = listed(self.names());
                let hint = format!("Received: {received}. Offered here for documents: {known}.");
                Err(Reason::DocumentNoCommonMethod.hint(hint))
            }
        }
    }

    /// Returns the names of both members, each once.
    fn names(&self) -> impl Iterator<Item = &str> {
        let listed = self.list.iter().flatten().map(String::as_str);
        let single = self.single.as_deref().filter(|_| self.list.is_none());
        single.into_iter().chain(listed)
    }
}
