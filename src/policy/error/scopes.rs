//! The errors of a policy's scopes.

use crate::value::scope::ScopeError;
use crate::value::text::log_text;

/// The reason for which a declared scope token, or a setting that names scope tokens, is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScopesError {
    /// A declared scope is not one scope token (OAuth 2.1 App. A.4).
    #[error(
        "scope '{}' is refused: a scope token is printable ASCII without space, quote and backslash \
         (OAuth 2.1 App. A.4). Declare each token with a scope() of its own.",
        log_text(scope)
    )]
    Token {
        /// The token as it was given.
        scope: String,
    },
    /// A scope is declared twice.
    #[error("scope '{}' is refused: it is declared twice. Leave one scope() out.", log_text(scope))]
    Repeated {
        /// The token.
        scope: String,
    },
    /// A setting names a list of scope tokens that is not one.
    #[error(
        "{setting} '{}' is refused: {error}. Name declared scope tokens, separated by spaces, or \
         leave {setting}() out.",
        log_text(scope)
    )]
    List {
        /// The setter, such as `default_scope`.
        setting: &'static str,
        /// The list as it was given.
        scope: String,
        /// The rule.
        error: ScopeError,
    },
    /// A setting names a scope token that the policy does not declare.
    #[error(
        "scope '{}' in {setting}() is refused: the policy does not declare it. Declare it with \
         scope(), or leave it out there.",
        log_text(scope)
    )]
    Undeclared {
        /// The setter, such as `resource`.
        setting: &'static str,
        /// The token.
        scope: String,
    },
    /// A setting names a scope token that no user can grant.
    #[error(
        "scope '{}' in {setting}() is refused: it is for machines only, and no user grants it. \
         Leave it out there, or correct scope_for().",
        log_text(scope)
    )]
    ForMachines {
        /// The setter.
        setting: &'static str,
        /// The token.
        scope: String,
    },
    /// A scope token includes another that its holders cannot be granted.
    #[error(
        "scope '{}' in scope_implies() is refused: it includes '{}', which is not for all whom it \
         is for. Mark both alike with scope_for().",
        log_text(scope),
        log_text(included)
    )]
    ForImplied {
        /// The wider token.
        scope: String,
        /// The narrower token.
        included: String,
    },
    /// No scope is left for a client that the operator did not register and that names none.
    #[error(
        "unverified_scope '{}' is refused: it has no token of default_scope '{}', so that a client \
         of {feature} that names no scope could not connect. Add one to unverified_scope(), or \
         change default_scope().",
        log_text(unverified_scope),
        log_text(default_scope)
    )]
    Unverified {
        /// The setter that admits such clients, such as `registration`.
        feature: &'static str,
        /// The most that such clients can ask for.
        unverified_scope: String,
        /// The scope of a request that names none.
        default_scope: String,
    },
}
