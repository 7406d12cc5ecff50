//! What the caller of a builder states: the registration of a client of the operator, and a
//! restriction of any other client.

use super::{ClientBuilder, Origin, Restrictions};
use crate::value::grant_types::GrantTypes;

impl ClientBuilder {
    /// Makes what the caller stated the registration of a client of the operator, and a restriction
    /// of any other. As a registration, the next update or document of the client would undo it.
    pub(super) fn apply_statement(&mut self) {
        let stated = std::mem::take(&mut self.stated);
        if self.lifts {
            self.restrictions = Restrictions::default();
        }
        if matches!(self.origin, Origin::Operator { .. }) {
            if let Some(scope) = stated.scope {
                self.scope = Some(scope);
                self.restrictions.scope = None;
            }
            if let Some(grant_types) = stated.grant_types {
                self.apply_grant_types(grant_types);
            }
            self.restrictions.auth_method = None;
        } else {
            let before = std::mem::take(&mut self.restrictions);
            self.restrictions = Restrictions {
                scope: stated.scope.or(before.scope),
                grant_types: stated.grant_types.or(before.grant_types),
                auth_method: stated.auth_method.or(before.auth_method),
            };
        }
    }

    /// Registers a client of the operator for these grant types. Without codes the redirect URIs
    /// stay, restricted: a refusal by redirect (AUTHZ-16) needs them.
    fn apply_grant_types(&mut self, grant_types: GrantTypes) {
        if grant_types.authorization_code || self.redirect_uris.is_empty() {
            self.grant_types = grant_types;
            self.restrictions.grant_types = None;
        } else {
            self.restrictions.grant_types = Some(grant_types);
        }
    }
}
