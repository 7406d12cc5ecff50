//! What a client is told of its registration (RFC 7591 §3.2.1; RFC 7592 §3): every value in force,
//! defaults and replaced ones included. A secret is told once, when it is made.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::reply::Reply;
use crate::client::{ApplicationType, Client, ClientDescription};
use crate::policy::{Policy, ScopeInfo};
use crate::value::auth_method::AuthMethod;
use crate::value::credential::Issued;
use crate::value::redirect_uri::RegisteredRedirectUri;

/// A client that has just been registered.
#[derive(Debug)]
#[must_use = "the secrets in it exist nowhere else"]
pub struct Registered {
    pub(crate) client: Arc<Client>,
    pub(crate) secret: Option<Issued>,
    pub(crate) management: Option<Issued>,
}

/// What came of a request to the endpoint of a registration.
#[derive(Debug)]
#[must_use = "a secret in it exists nowhere else"]
pub struct Managed {
    /// The registration as it is now; nothing if it was deleted.
    pub(crate) shown: Option<Shown>,
}

/// A registration, shown to whoever holds its token.
pub(crate) struct Shown {
    pub(crate) client: Arc<Client>,
    /// A secret that was made just now.
    pub(crate) secret: Option<Issued>,
    /// The token that the request came with.
    pub(crate) token: Box<str>,
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").field("client", &self.client).finish_non_exhaustive()
    }
}

/// The members of the response. What there is no value for is left out: some clients die of a
/// `null` or an empty string.
#[derive(Serialize)]
struct ClientInformation<'a> {
    client_id: &'a str,
    client_id_issued_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
    /// 0: a secret does not expire by itself. There exactly if the client has a secret.
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
    /// The client as it is stored.
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// The whole response: 201, with the secrets.
    pub fn reply(self, policy: &Policy) -> Reply {
        let management = self.management.map(Issued::reveal);
        Reply::json(201, information(&self.client, self.secret, management.as_deref(), policy))
    }
}

impl Managed {
    /// The client as it is stored, if there still is one.
    pub fn client(&self) -> Option<&Arc<Client>> {
        self.shown.as_ref().map(|shown| &shown.client)
    }

    /// The whole response: 200 with the registration, or 204.
    pub fn reply(self, policy: &Policy) -> Reply {
        match self.shown {
            Some(shown) => Reply::json(
                200,
                information(&shown.client, shown.secret, Some(&shown.token), policy),
            ),
            None => Reply {
                status: 204,
                headers: vec![("cache-control", "no-store".into())],
                body: String::new(),
            },
        }
    }
}

fn information(
    client: &Client,
    secret: Option<Issued>,
    management: Option<&str>,
    policy: &Policy,
) -> String {
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
    let grants = [
        ("authorization_code", client.grant_types().authorization_code),
        ("refresh_token", client.grant_types().refresh_token),
    ];
    let information = ClientInformation {
        client_id: client.id().as_str(),
        client_id_issued_at: client.created().unix_seconds(),
        client_secret: secret.map(Issued::reveal),
        client_secret_expires_at: (method != AuthMethod::None).then_some(0),
        registration_access_token: management,
        registration_client_uri: management.map(|_| policy.management_url(client.id())),
        redirect_uris: client.redirect_uris().iter().map(RegisteredRedirectUri::as_str).collect(),
        token_endpoint_auth_method: method.name(),
        grant_types: grants
            .into_iter()
            .filter(|(_, granted)| *granted)
            .map(|(name, _)| name)
            .collect(),
        response_types: ["code"],
        scope: effective_scope(client, policy),
        client_name: name.as_deref(),
        client_uri: uri.as_deref(),
        logo_uri: logo_uri.as_deref(),
        tos_uri: tos_uri.as_deref(),
        policy_uri: policy_uri.as_deref(),
        contacts,
        application_type: *application_type,
        software_id: software_id.as_deref(),
        software_version: software_version.as_deref(),
    };
    serde_json::to_string(&information).unwrap_or_default()
}

/// What the client may ask for; where nothing narrows it, all that the server knows.
fn effective_scope(client: &Client, policy: &Policy) -> String {
    let named: Vec<_> = match client.scope() {
        Some(scope) => scope.tokens().collect(),
        None => policy.scopes().iter().map(ScopeInfo::name).collect(),
    };
    named
        .into_iter()
        .filter(|token| client.may_ask_for(token, policy))
        .collect::<Vec<_>>()
        .join(" ")
}
