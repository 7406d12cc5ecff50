//! The issuers of assertions in the file of settings, as they are written there.
//!
//! Here: the keys. Never here: the rules of an issuer, which the library checks.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::declared::Lifetime;

/// `[[trusted_issuers]]`: an issuer whose assertions bring access tokens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in the file")]
pub(crate) struct TrustedIssuer {
    /// The `iss` of its assertions.
    pub(crate) issuer: String,
    pub(crate) profile: Profile,
    /// Where its keys are fetched from. This or `keys_file`.
    pub(crate) keys_uri: Option<String>,
    /// The file with its key set (RFC 7517).
    pub(crate) keys_file: Option<PathBuf>,
    /// The algorithms of its signatures. Default: all that this server knows.
    pub(crate) algorithms: Option<Vec<String>>,
    /// The longest lifetime of its assertions. Default: 5m, at most 1h.
    pub(crate) assertion_lifetime: Option<Lifetime>,
    /// The longest lifetime of an access token for one of its assertions. Default and at most: 1h.
    pub(crate) access_lifetime: Option<Lifetime>,
    /// `id_jag`: the scopes that its users can have.
    #[serde(default)]
    pub(crate) scopes: Vec<Spanned<String>>,
    /// `id_jag`: the clients that may use its assertions, and prove themselves.
    #[serde(default)]
    pub(crate) clients: Vec<String>,
    /// `id_jag`: the clients that may use its assertions, and prove nothing.
    #[serde(default)]
    pub(crate) public_clients: Vec<String>,
    /// `id_jag`: whether each client that registered itself may use its assertions.
    #[serde(default)]
    pub(crate) registered_clients: bool,
    /// `id_jag`: its tenants whose users are accepted.
    #[serde(default)]
    pub(crate) tenants: Vec<String>,
    /// `id_jag`: what it calls this server's tenant.
    pub(crate) own_tenant: Option<String>,
    /// `id_jag`: whether an actor in an assertion is ignored instead of refused.
    #[serde(default)]
    pub(crate) ignore_actors: bool,
    /// `id_jag`: the account of a user here, by the user's `sub` there, or `TENANT/SUB`.
    #[serde(default)]
    pub(crate) accounts: BTreeMap<String, String>,
    /// `id_jag`: whether a user without an account gets one. It is the account that the user has
    /// with --provider-issuer, if that is the same issuer.
    #[serde(default)]
    pub(crate) create_accounts: bool,
    /// `id_jag`: whether users who could not sign in by the rules of the provider get an account
    /// too. Without it, `create_accounts` is refused where such rules are set.
    #[serde(default)]
    pub(crate) bypass_provider_rules: bool,
    /// `workload`: the audience of its tokens, for platforms that fix it.
    pub(crate) audience: Option<String>,
    /// `workload`: whether one of its tokens can be used until it expires.
    #[serde(default)]
    pub(crate) reuse: bool,
    /// `workload`: which of its tokens are those of which client.
    #[serde(default)]
    pub(crate) rules: Vec<Rule>,
}

/// Whom an issuer speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Profile {
    /// An organization's identity provider, which speaks for its users.
    IdJag,
    /// For the programs that it runs.
    Workload,
}

/// One of `rules`: every claim that it names must fit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// A client with `auth_method = "federated"`.
    pub(crate) client: String,
    /// What a claim is: a text, a list of texts of which it is one, or the members of an object.
    #[serde(default)]
    pub(crate) claims: BTreeMap<String, Claim>,
    /// What a claim begins with.
    #[serde(default)]
    pub(crate) prefixes: BTreeMap<String, String>,
}

/// What a claim is.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Claim {
    Text(String),
    OneOf(Vec<String>),
    Members(BTreeMap<String, String>),
}
