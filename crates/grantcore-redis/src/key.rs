//! The names of the keys. A brace in a name only decides which node of a cluster has the key: no
//! two keys must be on the same node.

use grantcore::store::SeenKey;
use grantcore::value::GrantId;

/// The list of clients, for operators.
pub(crate) const CLIENTS: &str = "grantcore:clients";
/// The pattern of the keys of grants.
pub(crate) const GRANTS: &str = "grantcore:g:*";
/// The pattern of the keys of marks.
pub(crate) const MARKS: &str = "grantcore:m:*";
/// The pattern of the keys of accounts.
pub(crate) const ACCOUNTS: &str = "grantcore:a:*";

pub(crate) fn grant(id: GrantId) -> String {
    format!("grantcore:g:{id}")
}

/// Returns the id of the grant that has this key.
pub(crate) fn grant_of(key: &[u8]) -> Option<GrantId> {
    str::from_utf8(key).ok()?.strip_prefix("grantcore:g:")?.parse().ok()
}

pub(crate) fn mark(key: &SeenKey) -> String {
    format!("grantcore:m:{key}")
}

/// Returns the mark's own key of this key.
pub(crate) fn mark_of(key: &[u8]) -> Option<SeenKey> {
    str::from_utf8(key).ok()?.strip_prefix("grantcore:m:")?.parse().ok()
}

pub(crate) fn client(id: &str) -> String {
    format!("grantcore:c:{id}")
}

pub(crate) fn account(subject: &str) -> String {
    format!("grantcore:a:{subject}")
}

/// Returns the subject of the account that has this key.
pub(crate) fn account_of(key: &[u8]) -> Option<String> {
    str::from_utf8(key).ok()?.strip_prefix("grantcore:a:").map(str::to_owned)
}

pub(crate) fn grants_of(subject: &str) -> String {
    format!("grantcore:s:{subject}")
}
