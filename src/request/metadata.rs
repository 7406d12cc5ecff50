//! Client metadata (RFC 7591 §2): what a client asks to be registered as, or says of itself in its
//! document.
//!
//! Read from JSON, each member judged by itself, so that a refusal names the member. What a server
//! does not know is ignored.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use crate::client::{About, ApplicationType, Client, ClientBuilder, ClientError, is_page};
use crate::policy::Policy;
use crate::reason::Reason;
use crate::value::auth_method::AuthMethod;
use crate::value::grant_types::GrantTypes;
use crate::value::redirect_uri::{RedirectUriError, RegisteredRedirectUri};
use crate::value::scope::{Scope, ScopeError};

/// Metadata whose every member is of the right form.
#[derive(Clone, Debug)]
pub(crate) struct ClientMetadata {
    redirect_uris: Vec<String>,
    pub(crate) auth_method: Option<AuthMethod>,
    pub(crate) grant_types: Option<GrantTypes>,
    scope: Option<Scope>,
    pub(crate) about: About,
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
    pub(crate) fn read(body: &[u8]) -> Result<Self, Reason> {
        // An array would be read as the members in order.
        let is_object = body.trim_ascii_start().starts_with(b"{");
        let members = if is_object { serde_json::from_slice(body).ok() } else { None };
        members.ok_or(Reason::MetadataNotJson)
    }

    /// Judges each member. What a document lists it may list for other servers; a registration is
    /// for this one.
    pub(crate) fn judge(self, from: Source) -> Result<ClientMetadata, Reason> {
        keys(self.jwks.as_ref(), self.jwks_uri)?;
        Ok(ClientMetadata {
            redirect_uris: texts(self.redirect_uris, Reason::MetadataRedirectUris)?
                .unwrap_or_default(),
            auth_method: auth_method(self.token_endpoint_auth_method)?,
            grant_types: flow(self.grant_types, self.response_types, from)?,
            scope: scope(self.scope)?,
            about: About {
                name: text(self.client_name, Reason::MetadataName)?,
                uri: page(self.client_uri)?,
                logo_uri: page(self.logo_uri)?,
                tos_uri: page(self.tos_uri)?,
                policy_uri: page(self.policy_uri)?,
                contacts: contacts(self.contacts)?,
                application_type: application_type(self.application_type)?,
                software_id: text(self.software_id, Reason::MetadataSoftware)?,
                software_version: text(self.software_version, Reason::MetadataSoftware)?,
            },
        })
    }
}

impl ClientMetadata {
    /// Holds it to the rules for redirect URIs, which have an error code of their own.
    pub(crate) fn check_redirects(&self, from: Source, policy: &Policy) -> Result<(), Reason> {
        if self.redirect_uris.is_empty() {
            return Err(RedirectUriError::Missing.into());
        }
        // One that is named twice is registered once.
        if self.redirect_uris.iter().collect::<BTreeSet<_>>().len() > policy.redirect_rules().most {
            return Err(RedirectUriError::TooMany.into());
        }
        let is_strict = policy.registration().is_some_and(|rules| rules.strict_application_type);
        let loopback_forbidden = is_strict
            && from == Source::Registration
            && self.about.application_type == Some(ApplicationType::Web);
        for uri in &self.redirect_uris {
            let uri = RegisteredRedirectUri::parse(uri, policy.redirect_rules())?;
            if loopback_forbidden && uri.is_loopback() {
                return Err(Reason::RegisteredUriLoopback);
            }
        }
        Ok(())
    }

    /// The scope such a client may ask for: what it named, as far as that is open to it, or else
    /// all that is. What it named wholly in vain is no reason to refuse it, nor to hold it to
    /// less than its next request may need: some register with `offline_access` alone, and then
    /// ask for what the resource lists. The user decides in any case.
    pub(crate) fn narrowed_scope(&self, policy: &Policy) -> Option<Scope> {
        let ceiling = policy.unverified_scope();
        let is_open = |token: &&str| {
            ceiling.map_or_else(|| policy.knows_scope(token), |ceiling| ceiling.contains(token))
        };
        let asked = self
            .scope
            .as_ref()
            .and_then(|asked| Scope::from_tokens(asked.tokens().filter(is_open)).ok());
        asked.or_else(|| ceiling.cloned())
    }

    /// Makes it the metadata of a client.
    pub(crate) fn describe(self, client: ClientBuilder, policy: &Policy) -> Result<Client, Reason> {
        let scope = self.narrowed_scope(policy);
        let client = client.redirecting_to(self.redirect_uris);
        client.about(self.about).limited_to(scope).build_under(policy.redirect_rules()).map_err(
            |error| match error {
                ClientError::RedirectUri(error) => error.into(),
                ClientError::Uri => Reason::MetadataPage,
                ClientError::GrantTypes => Reason::MetadataGrantTypes,
                ClientError::Id(_) => Reason::MetadataClientId,
            },
        )
    }
}

/// A string. An empty one says as little as none.
fn text(value: Option<Value>, wrong: Reason) -> Result<Option<String>, Reason> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
        Some(_) => Err(wrong),
    }
}

fn texts(value: Option<Value>, wrong: Reason) -> Result<Option<Vec<String>>, Reason> {
    value.map(|value| serde_json::from_value(value).map_err(|_| wrong)).transpose()
}

fn contacts(value: Option<Value>) -> Result<Vec<String>, Reason> {
    let named = texts(value, Reason::MetadataContacts)?.unwrap_or_default();
    Ok(named.into_iter().filter(|contact| !contact.is_empty()).collect())
}

fn page(value: Option<Value>) -> Result<Option<String>, Reason> {
    match text(value, Reason::MetadataPage)? {
        Some(uri) if !is_page(&uri) => Err(Reason::MetadataPage),
        uri => Ok(uri),
    }
}

fn auth_method(value: Option<Value>) -> Result<Option<AuthMethod>, Reason> {
    let Some(name) = text(value, Reason::MetadataAuthMethod)? else { return Ok(None) };
    AuthMethod::named(&name).map(Some).ok_or(Reason::MetadataAuthMethod)
}

/// Grant types and response types, which must agree: codes are for `code`, and refresh tokens come
/// with codes (RFC 7591 §2.1).
fn flow(
    grants: Option<Value>,
    responses: Option<Value>,
    from: Source,
) -> Result<Option<GrantTypes>, Reason> {
    let agree = |named: &[String], needed: &str, known: &[&str]| {
        let has_strange = named.iter().any(|own| !known.contains(&own.as_str()));
        named.iter().any(|own| own == needed) && (from == Source::Document || !has_strange)
    };
    let responses = texts(responses, Reason::MetadataResponseTypes)?;
    if responses.is_some_and(|types| !agree(&types, "code", &["code"])) {
        return Err(Reason::MetadataResponseTypes);
    }
    let Some(types) = texts(grants, Reason::MetadataGrantTypes)? else { return Ok(None) };
    if !agree(&types, "authorization_code", &["authorization_code", "refresh_token"]) {
        return Err(Reason::MetadataGrantTypes);
    }
    Ok(Some(GrantTypes {
        authorization_code: true,
        refresh_token: types.iter().any(|own| own == "refresh_token"),
    }))
}

fn scope(value: Option<Value>) -> Result<Option<Scope>, Reason> {
    let Some(text) = text(value, Reason::MetadataScope)? else { return Ok(None) };
    match Scope::parse(&text) {
        Ok(scope) => Ok(Some(scope)),
        Err(ScopeError::Empty) => Ok(None),
        Err(ScopeError::Character | ScopeError::TooMany) => Err(Reason::MetadataScope),
    }
}

fn application_type(value: Option<Value>) -> Result<Option<ApplicationType>, Reason> {
    match text(value, Reason::MetadataApplicationType)?.as_deref() {
        None => Ok(None),
        Some("native") => Ok(Some(ApplicationType::Native)),
        Some("web") => Ok(Some(ApplicationType::Web)),
        Some(_) => Err(Reason::MetadataApplicationType),
    }
}

/// Keys are judged, for an honest client's mistake should not pass unseen, and dropped: nothing
/// here verifies with them.
fn keys(jwks: Option<&Value>, jwks_uri: Option<Value>) -> Result<(), Reason> {
    let uri = text(jwks_uri, Reason::MetadataKeys)?;
    let is_sound = jwks.is_none_or(Value::is_object) && uri.as_deref().is_none_or(is_page);
    if is_sound && (jwks.is_none() || uri.is_none()) { Ok(()) } else { Err(Reason::MetadataKeys) }
}
