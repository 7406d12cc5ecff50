//! The discovery documents (RFC 8414, RFC 9728): what is on, where it is, and nothing else. The
//! methods that make them extend [`Policy`].

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::reply::Reply;
use crate::policy::{AssertionProfile, Policy, Resource, ScopeInfo};
use crate::value::auth_method::AuthMethod;
use crate::value::grant_types::GrantType;
use crate::value::resource::{self, well_known};

/// The name of the profile of identity providers (ID-JAG §7.2).
const ID_JAG_PROFILE: &str = "urn:ietf:params:oauth:grant-profile:id-jag";

/// The metadata of the authorization server (RFC 8414 §2).
#[derive(Serialize)]
struct ServerMetadata<'a> {
    issuer: &'a str,
    authorization_endpoint: &'a str,
    token_endpoint: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    registration_endpoint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revocation_endpoint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    introspection_endpoint: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<&'a str>,
    response_types_supported: [&'a str; 1],
    response_modes_supported: [&'a str; 1],
    grant_types_supported: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_grant_profiles_supported: Option<[&'a str; 1]>,
    token_endpoint_auth_methods_supported: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_endpoint_auth_signing_alg_values_supported: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revocation_endpoint_auth_methods_supported: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revocation_endpoint_auth_signing_alg_values_supported: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    introspection_endpoint_auth_methods_supported: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    introspection_endpoint_auth_signing_alg_values_supported: Option<Vec<&'a str>>,
    code_challenge_methods_supported: [&'a str; 1],
    authorization_response_iss_parameter_supported: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id_metadata_document_supported: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    acr_values_supported: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    protected_resources: Vec<&'a str>,
    /// OpenID Connect Discovery §3 assumes `true` where it is absent. RFC 8414 knows no such
    /// member.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_uri_parameter_supported: Option<bool>,
    #[serde(flatten)]
    members: &'a BTreeMap<String, Value>,
}

/// The metadata of a protected resource (RFC 9728 §2).
#[derive(Serialize)]
struct ResourceMetadata<'a> {
    resource: &'a str,
    authorization_servers: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<&'a str>,
    bearer_methods_supported: &'a [&'a str],
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_documentation: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_policy_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_tos_uri: Option<&'a str>,
    #[serde(flatten)]
    members: &'a BTreeMap<String, Value>,
}

/// A discovery document, at one of the URLs where clients look for it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WellKnown {
    /// The URL. That of a [pattern](Self::is_pattern) has variables in braces.
    pub url: String,
    /// The response to a GET of the URL. That of a pattern is 404, because no resource is there.
    pub reply: Reply,
    is_pattern: bool,
}

impl WellKnown {
    /// Returns whether the URL is that of a [resource
    /// template](crate::policy::PolicyBuilder::resource): one document for each resource of it. The
    /// response to a request is then [`Policy::resource_document`] of the URL that was called.
    pub fn is_pattern(&self) -> bool {
        self.is_pattern
    }

    /// Returns the path of the URL, with the query of a resource's identifier: where to mount the
    /// document, on the URL's host.
    pub fn path(&self) -> &str {
        resource::path(&self.url)
    }
}

impl Policy {
    /// Returns the authorization server's metadata document (RFC 8414 §3.2).
    pub fn server_metadata(&self) -> Reply {
        self.server_document(false)
    }

    /// Returns the server's document, for an address of OpenID Connect Discovery or of RFC 8414.
    fn server_document(&self, is_openid: bool) -> Reply {
        let is_own = |name| self.metadata_members().values().contains_key(name);
        let says_no_uris = is_openid && !is_own("request_uri_parameter_supported");
        let methods = || self.auth_methods().offered().map(AuthMethod::name).collect();
        let algorithms = || self.client_keys().map(|rules| rules.algorithms.names().collect());
        document(&ServerMetadata {
            issuer: self.issuer(),
            authorization_endpoint: self.authorization_endpoint(),
            token_endpoint: self.token_endpoint(),
            revocation_endpoint: self.revocation_endpoint(),
            introspection_endpoint: self.introspection_endpoint(),
            registration_endpoint: self.registration_endpoint(),
            scopes_supported: self.scopes().iter().map(ScopeInfo::name).collect(),
            response_types_supported: ["code"],
            response_modes_supported: ["query"],
            authorization_grant_profiles_supported: self
                .trusts(AssertionProfile::IdJag)
                .then_some([ID_JAG_PROFILE]),
            grant_types_supported: self.grant_types_supported().map(GrantType::as_str).collect(),
            revocation_endpoint_auth_methods_supported: self.revocation().map(|_| methods()),
            // A public client cannot ask (RFC 7662 §2.1).
            introspection_endpoint_auth_methods_supported: self.introspection().map(|_| {
                let methods =
                    self.auth_methods().offered().filter(|method| *method != AuthMethod::None);
                methods.map(AuthMethod::name).collect()
            }),
            token_endpoint_auth_methods_supported: methods(),
            token_endpoint_auth_signing_alg_values_supported: algorithms(),
            revocation_endpoint_auth_signing_alg_values_supported: self
                .revocation()
                .and_then(|_| algorithms()),
            introspection_endpoint_auth_signing_alg_values_supported: self
                .introspection()
                .and_then(|_| algorithms()),
            code_challenge_methods_supported: ["S256"],
            authorization_response_iss_parameter_supported: true,
            client_id_metadata_document_supported: self.client_documents().map(|_| true),
            acr_values_supported: self.acr_values().collect(),
            protected_resources: self
                .resources()
                .iter()
                .filter(|own| !own.is_template())
                .map(Resource::identifier)
                .collect(),
            request_uri_parameter_supported: says_no_uris.then_some(false),
            members: self.metadata_members().values(),
        })
    }

    /// Returns every URL at which clients look for these documents, with the response to a GET.
    /// Each URL is there once.
    ///
    /// The server's document is served under the well-known suffix between host and path (RFC 8414
    /// §3.1), after the path, and at the root; that of a policy [for another issuer](Self::at) is
    /// not served at the root. With the [OpenID
    /// alias](crate::policy::PolicyBuilder::openid_alias), it is served under
    /// `openid-configuration` in the same three places, with the member
    /// `request_uri_parameter_supported` in addition. A resource's document is served under the
    /// suffix between host and path (RFC 9728 §3.1). That of the default resource, or of the only
    /// one, is served at the root of its host too. A resource on another host than the issuer's has
    /// its documents on its own host. For a resource template there is one
    /// [pattern](WellKnown::is_pattern).
    ///
    /// ```
    /// let policy = grantcore::Policy::builder("https://auth.example")
    ///     .resource("https://mcp.example/mcp", "")
    ///     .build()?;
    /// let urls: Vec<_> = policy.well_known().into_iter().map(|document| document.url).collect();
    /// assert_eq!(
    ///     urls,
    ///     [
    ///         "https://auth.example/.well-known/oauth-authorization-server",
    ///         "https://mcp.example/.well-known/oauth-protected-resource/mcp",
    ///         "https://mcp.example/.well-known/oauth-protected-resource",
    ///     ]
    /// );
    /// # Ok::<(), grantcore::policy::PolicyError>(())
    /// ```
    pub fn well_known(&self) -> Vec<WellKnown> {
        let document = |url, reply| WellKnown { url, reply, is_pattern: false };
        let servers = self.server_document_urls().into_iter().map(|url| {
            let is_openid =
                url.ends_with("/openid-configuration") || url.contains("/openid-configuration/");
            document(url, self.server_document(is_openid))
        });
        let of_resource = |url, own: &Resource| {
            if own.is_template() {
                return WellKnown { url, reply: not_found(), is_pattern: true };
            }
            document(url, self.resource_metadata(own))
        };
        let resources =
            self.resources().iter().map(|own| of_resource(own.metadata_url().to_owned(), own));
        // Last, so that a resource that is a whole origin keeps its own document at the root.
        let root = self.main_resource().map(|own| {
            of_resource(resource::at_root(own.identifier(), "oauth-protected-resource"), own)
        });
        let mut found: Vec<WellKnown> = Vec::new();
        for document in servers.chain(resources).chain(root) {
            if !found.iter().any(|own| own.url == document.url) {
                found.push(document);
            }
        }
        found
    }

    /// Returns the URL of the authorization server's metadata document: the well-known suffix
    /// between host and path (RFC 8414 §3.1).
    pub fn server_metadata_url(&self) -> String {
        well_known(self.issuer(), "oauth-authorization-server")
    }

    /// Returns the metadata document of the resource whose document is at this URL (RFC 9728 §3.2),
    /// or `None` if there is none: respond with status 404. The URL is that of the request, with
    /// the host that was called.
    ///
    /// It is needed for [resource templates](crate::policy::PolicyBuilder::resource). A request can
    /// name any host that matches a template, and learns nothing else from the document.
    ///
    /// ```
    /// let policy = grantcore::Policy::builder("https://auth.example")
    ///     .resource("https://{org}.notes.example/mcp", "")
    ///     .build()?;
    /// let url = "https://acme.notes.example/.well-known/oauth-protected-resource/mcp";
    /// let document = policy.resource_document(url).ok_or("there is no such resource")?;
    /// assert!(document.body.contains(r#""resource":"https://acme.notes.example/mcp""#));
    ///
    /// let other = "https://acme.notes.example.evil/.well-known/oauth-protected-resource/mcp";
    /// assert!(policy.resource_document(other).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resource_document(&self, url: &str) -> Option<Reply> {
        self.resource_of_document(url).map(|own| self.resource_metadata(&own))
    }

    /// Returns a protected resource's metadata document (RFC 9728 §3.2).
    pub fn resource_metadata(&self, resource: &Resource) -> Reply {
        let description = &resource.description;
        let others = description.other_issuers.iter().map(String::as_str);
        let others = others.filter(|other| *other != self.issuer());
        document(&ResourceMetadata {
            resource: resource.identifier(),
            authorization_servers: std::iter::once(self.issuer()).chain(others).collect(),
            scopes_supported: resource.scopes().collect(),
            bearer_methods_supported: if self.check_rules().bearer_in_body {
                &["header", "body"]
            } else {
                &["header"]
            },
            resource_name: description.name.as_deref(),
            resource_documentation: description.documentation.as_deref(),
            resource_policy_uri: description.policy_uri.as_deref(),
            resource_tos_uri: description.tos_uri.as_deref(),
            members: description.members.values(),
        })
    }
}

/// Returns the response where no document is.
fn not_found() -> Reply {
    Reply {
        status: 404,
        headers: vec![("content-type", "application/json".into())],
        body: "{}".to_owned(),
    }
}

/// Returns a document. It can be cached for a while, because it changes with the policy only.
#[expect(clippy::expect_used, reason = "plain structs of texts, booleans and lists serialize")]
fn document(value: &impl Serialize) -> Reply {
    let body = serde_json::to_string(value).expect("metadata serialize");
    Reply {
        status: 200,
        headers: vec![
            ("content-type", "application/json".into()),
            ("cache-control", "max-age=300".into()),
        ],
        body,
    }
}
