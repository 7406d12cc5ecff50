//! Settings of logins and consent.

use super::PolicyBuilder;
use crate::policy::ConsentRules;

/// # Logins and consent
///
/// Which classes of logins clients can ask for, and whose consent is remembered.
///
/// ```
/// use grantcore::Policy;
/// use grantcore::policy::{ConsentRules, Remember};
///
/// let policy = Policy::builder("https://auth.example")
///     .scope("notes", "Read and change your notes")
///     .resource("https://mcp.example/mcp", "notes")
///     .acr_values("password mfa")
///     .consent_rules(ConsentRules::default().with_remember(Remember::Confidential))
///     .build()?;
/// # Ok::<(), grantcore::policy::PolicyError>(())
/// ```
impl PolicyBuilder {
    /// Declares the classes of logins (`acr`) that the host distinguishes, separated by spaces.
    /// Default: none, and `acr_values` of a request is only handed over.
    ///
    /// Once they are declared, a class that a request asks for is necessary: the request gets a
    /// user whose login has it, or an error (RFC 9470 §5, §7). The metadata list them. A class says
    /// what the host says: one that is declared and not enforced at the login protects nothing.
    pub fn acr_values(mut self, values: &str) -> Self {
        let values = values.split(' ').filter(|value| !value.is_empty());
        self.policy.acr_values = values.map(str::to_owned).collect();
        self
    }

    /// Sets whose consent is remembered. Default: nobody's, every request is asked (OAuth 2.1
    /// §7.3.1).
    pub fn consent_rules(mut self, rules: ConsentRules) -> Self {
        self.policy.consent_rules = rules;
        self
    }
}
