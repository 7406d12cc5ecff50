//! What each key is called. A brace in a name only decides which node of a cluster has it: no two
//! keys must be on the same one.

use grantcore::GrantId;

/// The list of clients, for operators.
pub(crate) const CLIENTS: &str = "grantcore:clients";

pub(crate) fn grant(id: GrantId) -> String {
    format!("grantcore:g:{id}")
}

pub(crate) fn client(id: &str) -> String {
    format!("grantcore:c:{id}")
}

pub(crate) fn account(subject: &str) -> String {
    format!("grantcore:a:{subject}")
}

pub(crate) fn grants_of(subject: &str) -> String {
    format!("grantcore:s:{subject}")
}
