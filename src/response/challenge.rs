//! The `Bearer` challenge of a protected resource (RFC 6750 §3; RFC 9728 §5.1).

use crate::policy::Policy;
use crate::reason::{Code, Reason, Surface};
use crate::refusal::Challenge;

impl Challenge {
    /// `resource_metadata` first: it is what a client that knows nothing needs. No value holds a
    /// quote or a backslash: they were checked when the policy was built and when the
    /// [`Challenge`] was made.
    pub(crate) fn header(&self, reason: Reason, policy: &Policy) -> String {
        let mut header = format!("Bearer resource_metadata=\"{}\"", self.resource_metadata);
        let mut add = |name: &str, value: &str| {
            header.extend([", ", name, "=\"", value, "\""]);
        };
        let code = reason.code(Surface::Resource);
        if code == Code::InvalidToken && !policy.checks().error_in_header {
            return header;
        }
        if code != Code::None {
            add("error", code.as_str());
            if !policy.is_terse() {
                add("error_description", reason.description());
            }
        }
        if matches!(code, Code::None | Code::InsufficientScope | Code::InvalidToken)
            && !self.scope.is_empty()
        {
            add("scope", &self.scope);
        }
        header
    }
}
