//! Client metadata (RFC 7591 §2), of a registration or of a client's metadata document.
//!
//! Each member of the JSON object is checked by itself, so that a refusal names the member. A value
//! that this server does not support is left out of the registration, and the event names it. The
//! metadata are refused if no supported value remains, or if they are dangerous.

mod description;
mod dropped;
mod keys;
mod methods;
mod redirects;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

pub(crate) use self::dropped::{Dropped, Sender};
pub(crate) use self::methods::ClientAuth;
use self::methods::OfferedMethods;
use crate::client::{Client, ClientBuilder, ClientDescription, ClientError};
use crate::policy::{Policy, RegisteredScope};
use crate::reason::Reason;
use crate::refusal::{Fault, listed, scope_hint};
use crate::value::grant_types::{GrantType, GrantTypes};
use crate::value::redirect_uri::RegisteredRedirectUri;
use crate::value::scope::{Scope, ScopeError};

/// Metadata as far as this server supports them.
#[derive(Clone, Debug)]
pub(crate) struct ClientMetadata {
    redirect_uris: Vec<String>,
    pub(crate) auth: ClientAuth,
    pub(crate) grant_types: Option<GrantTypes>,
    /// The scope that the client may request, or `None` for all that the policy knows.
    pub(crate) scope: Option<Scope>,
    /// Whether the metadata name a scope.
    pub(crate) names_scope: bool,
    pub(crate) description: ClientDescription,
    /// The values that are left out.
    pub(crate) dropped: Dropped,
}

/// The source of metadata.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Registration,
    Document,
}

/// The members that are read, with their values as sent. `null` counts as absent.
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
    jwks: Option<Box<RawValue>>,
    jwks_uri: Option<Value>,
    token_endpoint_auth_signing_alg: Option<Value>,
    token_endpoint_auth_signing_alg_values_supported: Option<Value>,
    pub(crate) client_id: Option<Value>,
    pub(crate) client_secret: Option<Value>,
    pub(crate) client_secret_expires_at: Option<Value>,
    pub(crate) client_id_issued_at: Option<Value>,
    pub(crate) registration_access_token: Option<Value>,
    pub(crate) registration_client_uri: Option<Value>,
}

impl Members {
    /// Reads one JSON object. A repeated member is an error: parsers disagree about the value that
    /// counts.
    pub(crate) fn read(body: &[u8]) -> Result<Self, Fault> {
        // The derived parser reads an array as the members in their order.
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(Reason::MetadataNotJson.into());
        }
        // JSON is UTF-8 (RFC 8259 §8.1). The parser does not check that in members which it skips.
        let text = std::str::from_utf8(body)
            .map_err(|error| Reason::MetadataNotJson.hint(format!("Found: {error}.")))?;
        serde_json::from_str(text)
            .map_err(|error| Reason::MetadataNotJson.hint(format!("Found: {error}.")))
    }

    /// Returns the name that the client claims, if it is a string.
    pub(crate) fn claimed_name(&self) -> Option<&str> {
        self.client_name.as_ref().and_then(Value::as_str)
    }

    /// Checks each member.
    pub(crate) fn check(self, from: Source, policy: &Policy) -> Result<ClientMetadata, Fault> {
        let mut dropped = Dropped::default();
        let methods = OfferedMethods::read(
            self.token_endpoint_auth_method,
            self.token_endpoint_auth_methods_supported,
        )?;
        let keys = keys::Members {
            jwks: self.jwks,
            jwks_uri: self.jwks_uri,
            signing_alg: self.token_endpoint_auth_signing_alg,
            signing_algs: self.token_endpoint_auth_signing_alg_values_supported,
        };
        let keys = keys.read(methods.has_keys(), from, policy)?;
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
            from,
            &mut dropped,
        )?;
        let grant_types = flow(self.grant_types, self.response_types, &mut dropped)?;
        let names_scope = self.scope.is_some();
        let scope = scope(self.scope, policy, &mut dropped)?;
        let uris = texts(self.redirect_uris, Reason::MetadataRedirectUris)?.unwrap_or_default();
        let application_type =
            description.application_type.filter(|_| from == Source::Registration);
        let document = self.client_id.as_ref().and_then(Value::as_str).unwrap_or_default();
        let admits = |uri: &RegisteredRedirectUri| match from {
            Source::Registration => {
                policy.registration().is_none_or(|rules| rules.admits_redirect(uri))
            }
            Source::Document => {
                policy.client_documents().is_none_or(|rules| rules.admits_redirect(document, uri))
            }
        };
        let redirect_uris =
            redirects::select(uris, application_type, admits, policy, &mut dropped)?;
        let auth = match from {
            Source::Registration => {
                dropped.values("token_endpoint_auth_method", methods.unknown());
                methods.for_registration(policy.auth_methods(), keys)?
            }
            Source::Document => methods.for_document(policy.auth_methods(), keys)?,
        };
        Ok(ClientMetadata {
            redirect_uris,
            auth,
            grant_types,
            scope,
            names_scope,
            description,
            dropped,
        })
    }
}

impl ClientMetadata {
    /// Builds a client with these metadata.
    pub(crate) fn describe(self, client: ClientBuilder, policy: &Policy) -> Result<Client, Fault> {
        let client = client.redirecting_to(self.redirect_uris);
        let built = client
            .description(self.description)
            .limited_to(self.scope)
            .build_under(policy.redirect_rules());
        // `check` has accepted every member. The id of the client and the operator's limits were
        // checked when they were made.
        built.map_err(|error| match error {
            ClientError::RedirectUri { error, .. } => Reason::from(error).into(),
            ClientError::RedirectUrisMissing => Reason::RedirectUrisMissing.into(),
            ClientError::RedirectUrisTooMany { .. } => Reason::RedirectUrisTooMany.into(),
            ClientError::GrantTypes
            | ClientError::Lifetime { .. }
            | ClientError::LifetimeTooLong { .. }
            | ClientError::Issuer { .. }
            | ClientError::RedirectUriUnused { .. }
            | ClientError::DescriptionUrl { .. }
            | ClientError::ConsentSkipped
            | ClientError::KeysOrNone
            | ClientError::SecretMissing
            | ClientError::SlowSecrets
            | ClientError::AssertionsUnproved
            | ClientError::MachineUnproved
            | ClientError::MachineScope { .. }
            | ClientError::MachineResource { .. }
            | ClientError::Federated
            | ClientError::Id { .. } => Reason::MetadataGrantTypes.into(),
        })
    }
}

/// Returns the name of the value's JSON type, for a sentence about a member of the wrong type.
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

/// Makes the fault of a member of the wrong type. For an array, it names the first entry that is
/// not a string.
fn other_type(wrong: Reason, value: &Value) -> Fault {
    let found = match value {
        Value::Array(entries) => {
            entries.iter().find(|entry| !entry.is_string()).map_or("an array", type_of)
        }
        other => type_of(other),
    };
    wrong.hint(format!("Received: {found}."))
}

/// Reads a string. An empty string counts as absent.
fn text(value: Option<Value>, wrong: Reason) -> Result<Option<String>, Fault> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
        Some(other) => Err(other_type(wrong, &other)),
    }
}

/// Reads an array of strings.
fn texts(value: Option<Value>, wrong: Reason) -> Result<Option<Vec<String>>, Fault> {
    let Some(value) = value else { return Ok(None) };
    Vec::deserialize(&value).map(Some).map_err(|_| other_type(wrong, &value))
}

/// Reads grant types and response types. The code flow must remain: `code` among the response types
/// and `authorization_code` among the grant types (RFC 7591 §2.1).
fn flow(
    grants: Option<Value>,
    responses: Option<Value>,
    dropped: &mut Dropped,
) -> Result<Option<GrantTypes>, Fault> {
    // Clients without a browser send an empty list of response types. It counts as absent.
    let responses = texts(responses, Reason::MetadataResponseTypes)?;
    let responses = responses.filter(|types| !types.is_empty());
    narrow("response_types", responses.as_deref(), &["code"], dropped)
        .map_err(|received| Reason::MetadataResponseTypes.hint(received))?;
    let grants = texts(grants, Reason::MetadataGrantTypes)?;
    // What a client does on its own behalf, only the operator gives it (MACHINE-03).
    let served = [GrantType::AuthorizationCode, GrantType::RefreshToken].map(GrantType::as_str);
    narrow("grant_types", grants.as_deref(), &served, dropped)
        .map_err(|received| Reason::MetadataGrantTypes.hint(received))?;
    Ok(grants.map(|types| GrantTypes {
        authorization_code: true,
        refresh_token: types.iter().any(|own| own == GrantType::RefreshToken.as_str()),
    }))
}

/// Leaves the values out of a list that are not served. The code flow needs the first served value;
/// a list without it is an error, returned as a sentence.
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

/// Returns the scope that the client may request: the named scope if all of it is open to the
/// client, or else everything that is open.
///
/// A list with tokens that are not open was written for another server or by habit. As a limit, it
/// would refuse the scope that the client's next request needs. The user decides in any case
/// (AMB-21).
fn scope(
    value: Option<Value>,
    policy: &Policy,
    dropped: &mut Dropped,
) -> Result<Option<Scope>, Fault> {
    let ceiling = policy.unverified_scope();
    let is_open = |token: &str| {
        policy.is_for_people(token)
            && ceiling.map_or_else(|| policy.knows_scope(token), |ceiling| ceiling.contains(token))
    };
    // A scope that the client did not name is no default of it. The policy's limit holds anyway.
    let open = match policy.registered_scope() {
        RegisteredScope::Limit => ceiling,
        RegisteredScope::Default => None,
    };
    let Some(named) = text(value, Reason::MetadataScope)? else { return Ok(open.cloned()) };
    match Scope::parse(&named) {
        Ok(scope) => {
            let closed: Vec<_> = scope.tokens().filter(|token| !is_open(token)).collect();
            if closed.is_empty() {
                return Ok(Some(scope));
            }
            dropped.scope(&closed);
            Ok(open.cloned())
        }
        Err(ScopeError::Empty) => Ok(open.cloned()),
        Err(error @ (ScopeError::Character | ScopeError::TooMany)) => {
            Err(Reason::MetadataScope.maybe_hint(scope_hint(&named, error)))
        }
    }
}
