//! A call of a protected resource whose access token was accepted, as the guard of the route passes
//! it on.
//!
//! It is one extension of the request, because each extension is a place on the heap.

use grantcore::value::{ClientId, Subject};
use rmcp::schemars;
use serde::Serialize;

use crate::payment::{Payment, Unpaid};

/// Who calls, and the payment for the call.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) caller: Identity,
    /// When the user signed in for the connection, in seconds since 1970, if it is known.
    pub(crate) signed_in: Option<u64>,
    pub(crate) payment: Payment,
}

impl Call {
    /// Pays for the call, and returns the caller with the warning about a low balance.
    pub(crate) async fn pay(self) -> Result<Identity, Unpaid> {
        let low = self.payment.draw().await?;
        Ok(self.caller.with_warning(low))
    }
}

/// The user, if there is one, and the client of an access token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
pub(crate) struct Identity {
    /// The user, if the application acts for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub(crate) subject: Option<Subject>,
    /// The application.
    #[schemars(with = "String")]
    pub(crate) client_id: ClientId,
    /// What the application may do.
    pub(crate) scopes: Vec<String>,
    /// The organization that the application acts for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) organization: Option<String>,
    /// The warning that the balance is low.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) warning: Option<String>,
}

impl Identity {
    /// Adds the warning about a low balance. `low` is what is left, if a warning is due.
    fn with_warning(self, low: Option<u64>) -> Self {
        let warning = low.map(|left| {
            format!(
                "The balance of this account is low: {left} left for all its applications. \
                 Top it up."
            )
        });
        Self { warning, ..self }
    }
}
