//! The `Bearer` challenge of a protected resource (RFC 6750 §3; RFC 9728 §5.1).

use crate::policy::Policy;
use crate::reason::ErrorCode;
use crate::refusal::{Challenge, Refusal};

impl Challenge {
    /// `resource_metadata` first: it is what a client that knows nothing needs. No value holds a
    /// quote or a backslash: they were checked when the policy was built and when the
    /// [`Challenge`] was made.
    pub(crate) fn header(&self, refusal: &Refusal, policy: &Policy) -> String {
        let mut header = format!("Bearer resource_metadata=\"{}\"", self.resource_metadata);
        let mut add = |name: &str, value: &str| {
            header.extend([", ", name, "=\"", value, "\""]);
        };
        let code = refusal.code();
        if code == ErrorCode::InvalidToken && !policy.checks().error_in_header {
            return header;
        }
        if code != ErrorCode::None {
            add("error", code.as_str());
            if !policy.is_terse() {
                add("error_description", &refusal.description());
            }
            if let Some(explanation) = refusal.error_uri(policy) {
                add("error_uri", &explanation);
            }
        }
        if matches!(code, ErrorCode::None | ErrorCode::InsufficientScope | ErrorCode::InvalidToken)
            && !self.scope.is_empty()
        {
            add("scope", &self.scope);
        }
        header
    }
}
