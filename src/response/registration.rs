//! The client information response (RFC 7591 §3.2.1; RFC 7592 §3): every effective value of a
//! registration, with the defaults and the replaced values. A secret is sent once, when it is made.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use zeroize::Zeroizing;

use super::reply::Reply;
use crate::client::{ApplicationType, Client, ClientDescription, ClientKeys, KeySource};
use crate::jws::{Algorithm, Jwks};
use crate::policy::Policy;
use crate::value::credential::{CredentialText, Issued};
use crate::value::grant_types::GrantType;
use crate::value::redirect_uri::RegisteredRedirectUri;

/// A client that has just been registered.
#[derive(Debug)]
#[must_use = "the secrets in it exist nowhere else"]
pub struct Registered {
    pub(crate) client: Arc<Client>,
    pub(crate) secret: Option<Issued>,
    pub(crate) management: Option<Issued>,
}

/// The result of a request to the endpoint of a registration.
#[derive(Debug)]
#[must_use = "a secret in it exists nowhere else"]
pub struct Managed {
    /// The current registration, or `None` if it was deleted.
    pub(crate) current: Option<CurrentRegistration>,
}

/// A registration, for the holder of its registration access token.
pub(crate) struct CurrentRegistration {
    pub(crate) client: Arc<Client>,
    /// The secret that this request made.
    pub(crate) secret: Option<Issued>,
    /// The token that the request presented.
    pub(crate) token: Zeroizing<Box<str>>,
}

impl fmt::Debug for CurrentRegistration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentRegistration").field("client", &self.client).finish_non_exhaustive()
    }
}

/// The members of the response. A member without a value is left out, because some clients fail on
/// `null` or an empty string.
#[derive(Serialize)]
struct ClientInformation<'a> {
    client_id: &'a str,
    client_id_issued_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<CredentialText>,
    /// 0, because a secret does not expire. The member is there if and only if the client has a
    /// secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret_expires_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    registration_access_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    registration_client_uri: Option<String>,
    redirect_uris: Vec<&'a str>,
    token_endpoint_auth_method: &'a str,
    grant_types: Vec<&'a str>,
    response_types: [&'a str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks: Option<Jwks<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_uri: Option<&'a str>,
    /// The only algorithm that the client signs with. Several are in the next member.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_endpoint_auth_signing_alg: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    token_endpoint_auth_signing_alg_values_supported: Vec<&'a str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logo_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tos_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    contacts: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    application_type: Option<ApplicationType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    software_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    software_version: Option<&'a str>,
}

impl Registered {
    /// Returns the client as it is stored.
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Returns the whole response: 201 with the secrets.
    pub fn reply(self, policy: &Policy) -> Reply {
        let management = self.management.as_ref().map(Issued::reveal);
        let management = management.as_ref().map(CredentialText::as_str);
        Reply::json(201, &information(&self.client, self.secret.as_ref(), management, policy))
    }
}

impl Managed {
    /// Returns the client as it is stored, or `None` if it was deleted.
    pub fn client(&self) -> Option<&Arc<Client>> {
        self.current.as_ref().map(|current| &current.client)
    }

    /// Returns the whole response: 200 with the registration, or 204 if it was deleted.
    pub fn reply(self, policy: &Policy) -> Reply {
        match &self.current {
            Some(CurrentRegistration { client, secret, token }) => {
                Reply::json(200, &information(client, secret.as_ref(), Some(token), policy))
            }
            None => Reply {
                status: 204,
                headers: vec![("cache-control", "no-store".into())],
                body: String::new(),
            },
        }
    }
}

fn information<'a>(
    client: &'a Client,
    secret: Option<&Issued>,
    management: Option<&'a str>,
    policy: &Policy,
) -> ClientInformation<'a> {
    let ClientDescription {
        name,
        uri,
        logo_uri,
        tos_uri,
        policy_uri,
        contacts,
        application_type,
        software_id,
        software_version,
    } = client.description();
    let method = client.authentication().method();
    let source = client.keys().map(ClientKeys::source);
    let mut algorithms: Vec<_> =
        client.keys().into_iter().flat_map(|keys| keys.algorithms().iter()).collect();
    let algorithm = if algorithms.len() == 1 { algorithms.pop() } else { None };
    ClientInformation {
        client_id: client.id().as_str(),
        client_id_issued_at: client.created().unix_seconds(),
        client_secret: secret.map(Issued::reveal),
        client_secret_expires_at: client.secrets().map(|_| 0),
        registration_access_token: management,
        registration_client_uri: management.map(|_| policy.management_url(client.id())),
        redirect_uris: client.redirect_uris().iter().map(RegisteredRedirectUri::as_str).collect(),
        token_endpoint_auth_method: method.name(),
        grant_types: grant_types(client, policy),
        response_types: ["code"],
        jwks: match source {
            Some(KeySource::Inline(keys)) => Some(keys.to_jwks()),
            Some(KeySource::At(_)) | None => None,
        },
        jwks_uri: match source {
            Some(KeySource::At(url)) => Some(url.as_str()),
            Some(KeySource::Inline(_)) | None => None,
        },
        token_endpoint_auth_signing_alg: algorithm.map(Algorithm::as_str),
        token_endpoint_auth_signing_alg_values_supported: algorithms
            .into_iter()
            .map(Algorithm::as_str)
            .collect(),
        scope: client.scope_under(policy),
        client_name: name.as_deref(),
        client_uri: uri.as_deref(),
        logo_uri: logo_uri.as_deref(),
        tos_uri: tos_uri.as_deref(),
        policy_uri: policy_uri.as_deref(),
        contacts,
        application_type: *application_type,
        software_id: software_id.as_deref(),
        software_version: software_version.as_deref(),
    }
}

/// Returns the grant types that the client may use, by its registration and by the operator's word.
fn grant_types(client: &Client, policy: &Policy) -> Vec<&'static str> {
    let own = client.machine_rights_under(policy).map(|_| GrantType::ClientCredentials);
    client.grant_types().iter().chain(own).map(GrantType::as_str).collect()
}
