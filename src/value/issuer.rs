//! The issuer of a record (RFC 8414 §2).

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// An issuer identifier. A policy makes it, and a record keeps it, byte for byte. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Issuer(Arc<str>);

impl Issuer {
    pub(crate) fn new(text: impl AsRef<str>) -> Self {
        Self(text.as_ref().into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether both are the same issuer. The records that a policy makes share its text,
    /// which is then not compared.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self == other
    }
}

/// A record without an issuer would belong to every issuer or to none.
impl TryFrom<String> for Issuer {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        if text.is_empty() { Err("an issuer is empty") } else { Ok(Self(text.into())) }
    }
}

impl From<Issuer> for String {
    fn from(issuer: Issuer) -> Self {
        (*issuer.0).to_owned()
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
