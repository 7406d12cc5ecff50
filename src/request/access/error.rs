//! Why the needs of an operation cannot be built.

use crate::value::text::log_text;

/// The reason why a policy has nothing that satisfies these needs.
///
/// The message names the value, the rule that it breaks and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NeedsError {
    /// The resource is not one of the policy's: no token is for it.
    #[error(
        "resource '{}' is refused: the policy has no such resource, so that no token could be for \
         it. Name one of the policy's resources, or add it with PolicyBuilder::resource().",
        log_text(resource)
    )]
    ResourceUnknown {
        /// The identifier as it was given.
        resource: String,
    },
    /// The resource is a template. A token is for one resource of it, and a call is to one.
    #[error(
        "resource '{}' is refused: it is a template, and a call is to one resource of it. Name the \
         resource that is called, with the values of the variables.",
        log_text(resource)
    )]
    Template {
        /// The template.
        resource: String,
    },
    /// The policy does not declare the scope token: no client can be granted it.
    #[error(
        "scope '{}' is refused: the policy does not declare it, so that no client could be granted \
         it. Correct it, or declare it with PolicyBuilder::scope().",
        log_text(scope)
    )]
    ScopeUndeclared {
        /// The token as it was given.
        scope: String,
    },
    /// The scope has `offline_access` (MCP, Scope Selection Strategy).
    #[error(
        "scope 'offline_access' is refused: it asks the authorization server for a refresh token and \
         means nothing to a resource (MCP, Scope Selection Strategy). Leave it out."
    )]
    OfflineAccess,
    /// The class of a login cannot be one, or the policy declares classes and this is none of them.
    #[error(
        "acr '{}' is refused: it is none of the classes of logins that the policy declares, or \
         cannot be one (RFC 9470 §3), so that no login could have it. Correct it, or declare it \
         with PolicyBuilder::acr_values().",
        log_text(acr)
    )]
    AcrUnknown {
        /// The class as it was given.
        acr: String,
    },
}
