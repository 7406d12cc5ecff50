//! The policy that most MCP servers need, as a builder.

use std::time::Duration;

use super::{
    DocumentRules, Policy, PolicyBuilder, RateKey, RateRules, RegistrationRules, RevocationRules,
};
use crate::value::grant_types::GrantTypes;
use crate::value::redirect_uri::{EDITOR_SCHEMES, PrivateUseSchemes, RedirectRules};

impl Policy {
    /// Starts the policy of an authorization server for one MCP server: the issuer, the URL that
    /// users give to their client, and the scopes, each with what it permits in the words of the
    /// consent page.
    ///
    /// It is a builder with these settings, and with the defaults of [`builder`](Self::builder) for
    /// the rest. A later call changes any of them.
    ///
    /// | setting | value | reason |
    /// |---|---|---|
    /// | [`scope`](PolicyBuilder::scope), [`resource`](PolicyBuilder::resource), [`default_scope`](PolicyBuilder::default_scope) | the resource, with all scopes | some clients ask for no scope |
    /// | [`client_documents`](PolicyBuilder::client_documents) | on | recommended by MCP; the host must fetch documents |
    /// | [`registration`](PolicyBuilder::registration) | open | most clients need it today |
    /// | [`revocation`](PolicyBuilder::revocation) | on | clients end their tokens when they are disconnected |
    /// | [`default_grant_types`](PolicyBuilder::default_grant_types) | code and refresh token | some clients forget to ask for refresh tokens |
    /// | [`redirect_rules`](PolicyBuilder::redirect_rules) | the schemes of [`EDITOR_SCHEMES`] too | editors register `cursor://…`; [`PrivateUseSchemes::Deny`] is MCP's own rule |
    /// | [`drop_unknown_scopes`](PolicyBuilder::drop_unknown_scopes) | `true` | clients repeat the scopes of other servers |
    /// | [`replay_window`](PolicyBuilder::replay_window) | 30 s | several processes of a client share one refresh token |
    /// | [`rate_rules`](PolicyBuilder::rate_rules) | [`RateKey::ClientAndGrant`] | all users of a product can share one `client_id` |
    ///
    /// ```
    /// use grantcore::Policy;
    ///
    /// let scopes = [("notes:read", "Read your notes"), ("notes:write", "Change your notes")];
    /// let policy = Policy::mcp("https://auth.example", "https://mcp.example/mcp", scopes).build()?;
    ///
    /// let read = policy.needs("https://mcp.example/mcp", "notes:read")?;
    /// assert!(policy.registration_endpoint().is_some());
    /// # let _ = read;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn mcp<Name: Into<String>, Description: Into<String>>(
        issuer: impl Into<String>,
        resource: impl Into<String>,
        scopes: impl IntoIterator<Item = (Name, Description)>,
    ) -> PolicyBuilder {
        let mut policy = Self::builder(issuer);
        let mut tokens: Vec<String> = Vec::new();
        for (name, description) in scopes {
            let name = name.into();
            tokens.push(name.clone());
            policy = policy.scope(name, description);
        }
        let all = tokens.join(" ");
        let schemes = EDITOR_SCHEMES.map(str::to_owned).to_vec();
        let redirect_rules = RedirectRules::default()
            .with_private_use_schemes(PrivateUseSchemes::ReverseDomainAnd(schemes));
        policy
            .resource(resource, &all)
            .default_scope(all)
            .client_documents(DocumentRules::default())
            .registration(RegistrationRules::default())
            .revocation(RevocationRules::default())
            .default_grant_types(GrantTypes { authorization_code: true, refresh_token: true })
            .redirect_rules(redirect_rules)
            .drop_unknown_scopes(true)
            .replay_window(Duration::from_secs(30))
            .rate_rules(RateRules::default().with_key(RateKey::ClientAndGrant))
    }
}
