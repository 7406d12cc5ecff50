//! Client metadata (RFC 7591 §2): what a client asks to be registered as, or says of itself in its
//! document.
//!
//! Read from JSON, each member judged by itself, so that a refusal names the member. What this
//! server does not serve narrows the registration and never ends it: it is left out, and the event
//! names it. Refused is what would leave nothing to serve, and what is dangerous.

mod description;
mod dropped;
mod methods;
mod redirects;

use serde::Deserialize;
use serde_json::Value;

pub(crate) use self::dropped::{Dropped, Sender};
use self::methods::OfferedMethods;
use crate::client::{Client, ClientBuilder, ClientDescription, ClientError, is_page};
use crate::policy::Policy;
use crate::reason::Reason;
use crate::refusal::{Fault, listed, scope_hint};
use crate::value::auth_method::AuthMethod;
use crate::value::grant_types::GrantTypes;
use crate::value::scope::{Scope, ScopeError};

/// Metadata as they are served here.
#[derive(Clone, Debug)]
pub(crate) struct ClientMetadata {
    redirect_uris: Vec<String>,
    /// How the client authenticates, or `None` if it named no method.
    pub(crate) auth_method: Option<AuthMethod>,
    pub(crate) grant_types: Option<GrantTypes>,
    /// What the client may ask for, or `None` for all that the policy knows.
    scope: Option<Scope>,
    pub(crate) description: ClientDescription,
    /// What was named and is left out.
    pub(crate) dropped: Dropped,
}

/// Where metadata come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Registration,
    Document,
}

/// The members that are looked at, as they came. `null` is as good as absent.
#[derive(Deserialize)]
pub(crate) struct Members {
    redirect_uris: Option<Value>,
    token_endpoint_auth_method: Option<Value>,
    token_endpoint_auth_methods_supported: Option<Value>,
    grant_types: Option<Value>,
    response_types: Option<Value>,
    scope: Option<Value>,
    client_name: Option<Value>,
    client_uri: Option<Value>,
    logo_uri: Option<Value>,
    tos_uri: Option<Value>,
    policy_uri: Option<Value>,
    contacts: Option<Value>,
    application_type: Option<Value>,
    software_id: Option<Value>,
    software_version: Option<Value>,
    jwks: Option<Value>,
    jwks_uri: Option<Value>,
    pub(crate) client_id: Option<Value>,
    pub(crate) client_secret: Option<Value>,
    pub(crate) client_secret_expires_at: Option<Value>,
    pub(crate) client_id_issued_at: Option<Value>,
    pub(crate) registration_access_token: Option<Value>,
    pub(crate) registration_client_uri: Option<Value>,
}

impl Members {
    /// Reads one JSON object. A member that is there twice is an error: it is not clear which is
    /// meant.
    pub(crate) fn read(body: &[u8]) -> Result<Self, Fault> {
        // An array would be read as the members in order.
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(Reason::MetadataNotJson.into());
        }
        serde_json::from_slice(body)
            .map_err(|error| Reason::MetadataNotJson.hint(format!("Found: {error}.")))
    }

    /// The name that the client claims, if that is a text.
    pub(crate) fn claimed_name(&self) -> Option<&str> {
        self.client_name.as_ref().and_then(Value::as_str)
    }

    /// Judges each member.
    pub(crate) fn judge(self, from: Source, policy: &Policy) -> Result<ClientMetadata, Fault> {
        let mut dropped = Dropped::default();
        judge_keys(self.jwks.as_ref(), self.jwks_uri)?;
        let methods = OfferedMethods::read(
            self.token_endpoint_auth_method,
            self.token_endpoint_auth_methods_supported,
        )?;
        let description = description::read(
            description::Members {
                name: self.client_name,
                uri: self.client_uri,
                logo_uri: self.logo_uri,
                tos_uri: self.tos_uri,
                policy_uri: self.policy_uri,
                contacts: self.contacts,
                application_type: self.application_type,
                software_id: self.software_id,
                software_version: self.software_version,
            },
            &mut dropped,
        );
        let grant_types = flow(self.grant_types, self.response_types, &mut dropped)?;
        let scope = scope(self.scope, policy, &mut dropped)?;
        let uris = texts(self.redirect_uris, Reason::MetadataRedirectUris)?.unwrap_or_default();
        let application_type =
            description.application_type.filter(|_| from == Source::Registration);
        let redirect_uris = redirects::judge(uris, application_type, policy, &mut dropped)?;
        let auth_method = match from {
            Source::Registration => methods.for_registration(policy.auth_methods())?,
            Source::Document => methods.for_document()?,
        };
        Ok(ClientMetadata { redirect_uris, auth_method, grant_types, scope, description, dropped })
    }
}

impl ClientMetadata {
    /// Makes it the metadata of a client.
    pub(crate) fn describe(self, client: ClientBuilder, policy: &Policy) -> Result<Client, Fault> {
        let client = client.redirecting_to(self.redirect_uris);
        let built = client
            .description(self.description)
            .limited_to(self.scope)
            .build_under(policy.redirect_rules());
        // All that was named has been judged. The client's own id and the operator's limits were
        // checked when they were made.
        built.map_err(|error| match error {
            ClientError::RedirectUri { error, .. } => Reason::from(error).into(),
            ClientError::RedirectUrisMissing => Reason::RedirectUrisMissing.into(),
            ClientError::RedirectUrisTooMany { .. } => Reason::RedirectUrisTooMany.into(),
            ClientError::GrantTypes
            | ClientError::RedirectUriUnused { .. }
            | ClientError::DescriptionUrl { .. }
            | ClientError::Id { .. } => Reason::MetadataGrantTypes.into(),
        })
    }
}

/// The name of a JSON type, for a sentence about a member that has another one.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn other_type(wrong: Reason, value: &Value) -> Fault {
    let found = match value {
        Value::Array(entries) => {
            entries.iter().find(|entry| !entry.is_string()).map_or("an array", type_of)
        }
        other => type_of(other),
    };
    wrong.hint(format!("Received: {found}."))
}

/// A string. An empty one says as little as none.
fn text(value: Option<Value>, wrong: Reason) -> Result<Option<String>, Fault> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
        Some(other) => Err(other_type(wrong, &other)),
    }
}

fn texts(value: Option<Value>, wrong: Reason) -> Result<Option<Vec<String>>, Fault> {
    let Some(value) = value else { return Ok(None) };
    Vec::deserialize(&value).map(Some).map_err(|_| other_type(wrong, &value))
}

/// Grant types and response types that are served here. What is left must agree: codes are for
/// `code`, and refresh tokens come with codes (RFC 7591 §2.1).
fn flow(
    grants: Option<Value>,
    responses: Option<Value>,
    dropped: &mut Dropped,
) -> Result<Option<GrantTypes>, Fault> {
    // Clients without a browser send an empty list of response types. It names none that is wrong.
    let responses = texts(responses, Reason::MetadataResponseTypes)?;
    let responses = responses.filter(|types| !types.is_empty());
    narrow("response_types", responses.as_deref(), &["code"], dropped)
        .map_err(|received| Reason::MetadataResponseTypes.hint(received))?;
    let grants = texts(grants, Reason::MetadataGrantTypes)?;
    narrow("grant_types", grants.as_deref(), &["authorization_code", "refresh_token"], dropped)
        .map_err(|received| Reason::MetadataGrantTypes.hint(received))?;
    Ok(grants.map(|types| GrantTypes {
        authorization_code: true,
        refresh_token: types.iter().any(|own| own == "refresh_token"),
    }))
}

/// Leaves out of a list what is not served. The first of those that are served is the one that the
/// code flow cannot do without; a list that lacks it is returned as a sentence.
fn narrow(
    member: &'static str,
    named: Option<&[String]>,
    served: &[&str],
    dropped: &mut Dropped,
) -> Result<(), String> {
    let Some(named) = named else { return Ok(()) };
    let entries = || named.iter().map(String::as_str);
    if !entries().any(|entry| served.first() == Some(&entry)) {
        return Err(format!("Received: {}.", listed(entries())));
    }
    dropped.values(member, entries().filter(|entry| !served.contains(entry)));
    Ok(())
}

/// The scope that the client may ask for: what it named, if all of that is open to it, or else
/// whatever is open. A list of which anything had to be left out was written for another server, or
/// by habit. As a cap it would lock the client out of what its next request needs; the user decides
/// in any case (AMB-21).
fn scope(
    value: Option<Value>,
    policy: &Policy,
    dropped: &mut Dropped,
) -> Result<Option<Scope>, Fault> {
    let ceiling = policy.unverified_scope();
    let is_open = |token: &str| {
        ceiling.map_or_else(|| policy.knows_scope(token), |ceiling| ceiling.contains(token))
    };
    let Some(asked) = text(value, Reason::MetadataScope)? else { return Ok(ceiling.cloned()) };
    match Scope::parse(&asked) {
        Ok(scope) => {
            let lost: Vec<_> = scope.tokens().filter(|token| !is_open(token)).collect();
            if lost.is_empty() {
                return Ok(Some(scope));
            }
            dropped.scope(&lost);
            Ok(ceiling.cloned())
        }
        Err(ScopeError::Empty) => Ok(ceiling.cloned()),
        Err(error @ (ScopeError::Character | ScopeError::TooMany)) => {
            Err(Reason::MetadataScope.maybe_hint(scope_hint(&asked, error)))
        }
    }
}

/// Keys are judged, for an honest client's mistake should not pass unseen, and left out: nothing
/// here verifies with them.
fn judge_keys(jwks: Option<&Value>, jwks_uri: Option<Value>) -> Result<(), Fault> {
    let uri = text(jwks_uri, Reason::MetadataKeys)?;
    if let Some(uri) = uri.as_deref().filter(|uri| !is_page(uri)) {
        return Err(Reason::MetadataKeys.received(uri));
    }
    match jwks {
        Some(_) if uri.is_some() => Err(Reason::MetadataKeys.hint("Received: both.")),
        Some(jwks) if !jwks.is_object() => Err(other_type(Reason::MetadataKeys, jwks)),
        _ => Ok(()),
    }
}
