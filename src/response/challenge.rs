//! The `Bearer` challenge of a protected resource (RFC 6750 §3; RFC 9728 §5.1).

use crate::policy::Policy;
use crate::reason::ErrorCode;
use crate::refusal::{Challenge, Refusal};

impl Challenge {
    /// Returns the value of `WWW-Authenticate`. `resource_metadata` comes first: a client that
    /// knows nothing yet needs it. No value contains a quote or a backslash, because the values
    /// were checked when the policy was built and when the [`Challenge`] was made.
    pub(crate) fn header(&self, refusal: &Refusal, policy: &Policy) -> String {
        let mut header = format!("Bearer resource_metadata=\"{}\"", self.resource_metadata);
        let mut add = |name: &str, value: &str| {
            header.extend([", ", name, "=\"", value, "\""]);
        };
        let code = refusal.code();
        if code == Some(ErrorCode::InvalidToken) && !policy.check_rules().error_in_header {
            return header;
        }
        if let Some(code) = code {
            add("error", code.as_str());
            if !policy.is_terse() {
                add("error_description", &refusal.description());
            }
            if let Some(explanation) = refusal.error_uri(policy) {
                add("error_uri", &explanation);
            }
        }
        if let Some(login) = &self.login {
            if !login.acr_values.is_empty() {
                add("acr_values", &login.acr_values.join(" "));
            }
            if let Some(seconds) = login.max_age {
                add("max_age", &seconds.to_string());
            }
        }
        let names_scope = matches!(
            code,
            None | Some(
                ErrorCode::InsufficientScope
                    | ErrorCode::InvalidToken
                    | ErrorCode::InsufficientUserAuthentication
            )
        );
        if names_scope && !self.scope.is_empty() {
            add("scope", &self.scope);
        }
        header
    }
}
