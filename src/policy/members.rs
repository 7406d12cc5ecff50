//! Members that the operator adds to a metadata document (RFC 8414 §2, RFC 9728 §2).

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// The most members of one document.
const COUNT_LIMIT: usize = 64;
/// The most bytes of all names and values of one document, as JSON.
const SIZE_LIMIT: usize = 16 * 1024;

/// The members of the server's document that the crate writes or may write in a later version.
const OF_SERVER: &[&str] = &[
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "jwks_uri",
    "registration_endpoint",
    "scopes_supported",
    "response_types_supported",
    "response_modes_supported",
    "grant_types_supported",
    "token_endpoint_auth_methods_supported",
    "token_endpoint_auth_signing_alg_values_supported",
    "revocation_endpoint",
    "revocation_endpoint_auth_methods_supported",
    "revocation_endpoint_auth_signing_alg_values_supported",
    "introspection_endpoint",
    "introspection_endpoint_auth_methods_supported",
    "introspection_endpoint_auth_signing_alg_values_supported",
    "code_challenge_methods_supported",
    "authorization_response_iss_parameter_supported",
    "client_id_metadata_document_supported",
    "protected_resources",
    "signed_metadata",
    "acr_values_supported",
    "device_authorization_endpoint",
    "pushed_authorization_request_endpoint",
    "require_pushed_authorization_requests",
    "dpop_signing_alg_values_supported",
    "authorization_details_types_supported",
    "authorization_grant_profiles_supported",
    "tls_client_certificate_bound_access_tokens",
    "userinfo_endpoint",
    "id_token_signing_alg_values_supported",
    "subject_types_supported",
];

/// The members of a resource's document that the crate writes or may write in a later version.
const OF_RESOURCE: &[&str] = &[
    "resource",
    "authorization_servers",
    "jwks_uri",
    "scopes_supported",
    "bearer_methods_supported",
    "resource_signing_alg_values_supported",
    "resource_name",
    "resource_documentation",
    "resource_policy_uri",
    "resource_tos_uri",
    "tls_client_certificate_bound_access_tokens",
    "authorization_details_types_supported",
    "dpop_signing_alg_values_supported",
    "dpop_bound_access_tokens_required",
    "signed_metadata",
];

/// The reason why a member cannot be added to a metadata document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemberError {
    /// The crate writes this member, or may write it in a later version.
    #[error("the document has this member from the other settings, or will have it")]
    Reserved,
    /// The name is empty.
    #[error("the name of a member is not empty")]
    Name,
    /// The name was added before.
    #[error("the member is added twice")]
    Repeated,
    /// The value is null, or is no JSON value. A document has no null members (RFC 8414 §3.2).
    #[error("the value of a member is a JSON value other than null (RFC 8414 §3.2)")]
    Value,
    /// There are too many members.
    #[error("a document has at most 64 added members, of 16 KiB in all")]
    TooMany,
}

/// The document that has the members.
#[derive(Clone, Copy)]
pub(super) enum Document {
    Server,
    Resource,
}

/// Members in the order of their names, and the first one that cannot be added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Members {
    values: BTreeMap<String, Value>,
    fault: Option<(String, MemberError)>,
}

impl Members {
    /// Adds a member. A fault is kept for the check of the policy.
    pub(super) fn add(&mut self, name: String, value: &impl Serialize) {
        let fault = match serde_json::to_value(value) {
            Err(_) | Ok(Value::Null) => MemberError::Value,
            Ok(_) if name.is_empty() => MemberError::Name,
            Ok(_) if self.values.contains_key(&name) => MemberError::Repeated,
            Ok(value) => {
                self.values.insert(name, value);
                return;
            }
        };
        self.fault.get_or_insert((name, fault));
    }

    /// Returns the first member that cannot be part of this document.
    pub(super) fn check(&self, document: Document) -> Result<(), (String, MemberError)> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let reserved = match document {
            Document::Server => OF_SERVER,
            Document::Resource => OF_RESOURCE,
        };
        if let Some(name) = self.values.keys().find(|name| reserved.contains(&name.as_str())) {
            return Err((name.clone(), MemberError::Reserved));
        }
        let size: usize =
            self.values.iter().map(|(name, value)| name.len() + value.to_string().len()).sum();
        match self.values.keys().next() {
            Some(name) if self.values.len() > COUNT_LIMIT || size > SIZE_LIMIT => {
                Err((name.clone(), MemberError::TooMany))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn values(&self) -> &BTreeMap<String, Value> {
        &self.values
    }
}
