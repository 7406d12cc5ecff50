//! Who presents an assertion.

use super::super::authenticate::{Authenticated, Unauthenticated, authenticate};
use super::super::context::Context;
use crate::client::{Authentication, Client};
use crate::request::token::Credentials;
use crate::value::document_url::claims_document;

/// Who presents an assertion.
pub(super) enum Presenter<'a> {
    /// The request names no client.
    Nobody,
    /// This client, authenticated by the method that it registered. A public client gave no proof,
    /// and a client that may act without proof may have given a weak one.
    Client(Authenticated<'a>),
    /// The request names a client without a credential of its own, and sends none. The assertion
    /// must be one of its workloads'.
    Federated,
    /// The request names a client by the URL of its document, which was never read here. It is read
    /// only for an assertion that names the client and is verified: otherwise anybody could make
    /// the server fetch URLs (ASSERT-35).
    Held,
}

impl<'a> Presenter<'a> {
    /// Authenticates the client that the request names, if it names one.
    pub(super) fn of(
        credentials: &Credentials<'_>,
        ctx: &Context<'a>,
    ) -> Result<Self, Unauthenticated> {
        if credentials.are_absent() {
            return Ok(Self::Nobody);
        }
        let id = &*credentials.id;
        match ctx.loaded.client_of(id) {
            None if ctx.policy.client_documents().is_some()
                && !ctx.has_foreign_client()
                && claims_document(id) =>
            {
                Ok(Self::Held)
            }
            Some(stored)
                if !credentials.has_proof()
                    && stored.record.authentication() == Authentication::Federated =>
            {
                Ok(Self::Federated)
            }
            _ => authenticate(ctx.loaded.client.as_ref(), credentials, ctx).map(Self::Client),
        }
    }

    /// Returns the client, if it is authenticated.
    pub(super) fn client(&self) -> Option<&'a Client> {
        match self {
            Self::Client(authenticated) => Some(authenticated.client),
            Self::Nobody | Self::Federated | Self::Held => None,
        }
    }

    /// Returns whether the client proved itself.
    pub(super) fn is_proved(&self) -> bool {
        matches!(self, Self::Client(authenticated) if authenticated.is_proved())
    }
}
