//! The discovery documents (RFC 8414, RFC 9728): what is enabled, where it is, and nothing else.

use serde::Serialize;

use super::reply::Reply;
use crate::policy::{Policy, Resource, ScopeInfo};
use crate::value::resource::well_known;

/// RFC 8414 §2.
#[derive(Serialize)]
struct ServerMetadata<'a> {
    issuer: &'a str,
    authorization_endpoint: &'a str,
    token_endpoint: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<&'a str>,
    response_types_supported: [&'a str; 1],
    response_modes_supported: [&'a str; 1],
    grant_types_supported: [&'a str; 2],
    token_endpoint_auth_methods_supported: [&'a str; 3],
    code_challenge_methods_supported: [&'a str; 1],
    authorization_response_iss_parameter_supported: bool,
    protected_resources: Vec<&'a str>,
}

/// RFC 9728 §2.
#[derive(Serialize)]
struct ResourceMetadata<'a> {
    resource: &'a str,
    authorization_servers: [&'a str; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<&'a str>,
    bearer_methods_supported: [&'a str; 1],
}

impl Policy {
    /// The authorization server's metadata document (RFC 8414 §3.2).
    pub fn server_metadata(&self) -> Reply {
        document(&ServerMetadata {
            issuer: self.issuer(),
            authorization_endpoint: self.authorization_endpoint(),
            token_endpoint: self.token_endpoint(),
            scopes_supported: self.scopes().iter().map(ScopeInfo::name).collect(),
            response_types_supported: ["code"],
            response_modes_supported: ["query"],
            grant_types_supported: ["authorization_code", "refresh_token"],
            token_endpoint_auth_methods_supported: ["none", "client_secret_basic", "client_secret_post"],
            code_challenge_methods_supported: ["S256"],
            authorization_response_iss_parameter_supported: true,
            protected_resources: self.resources().iter().map(Resource::identifier).collect(),
        })
    }

    /// Where the server's document is: the well-known suffix between host and path (RFC 8414 §3.1).
    pub fn server_metadata_url(&self) -> String {
        well_known(self.issuer(), "oauth-authorization-server")
    }

    /// A protected resource's metadata document (RFC 9728 §3.2).
    pub fn resource_metadata(&self, resource: &Resource) -> Reply {
        document(&ResourceMetadata {
            resource: resource.identifier(),
            authorization_servers: [self.issuer()],
            scopes_supported: resource.scopes().filter(|scope| *scope != "offline_access").collect(),
            bearer_methods_supported: ["header"],
        })
    }
}

/// Documents may be cached for a while; they change only with the server's configuration.
fn document(value: &impl Serialize) -> Reply {
    let body = serde_json::to_string(value).unwrap_or_default();
    Reply { status: 200, headers: vec![("content-type", "application/json".into()), ("cache-control", "max-age=300".into())], body }
}
