//! The token request (OAuth 2.1 §3.2): who asks, and for what.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::parameters::{Slot, decode, each, refuse_repeated};
use super::parts::{Authorization, RequestParts};
use crate::policy::{Limits, Policy, RateHit};
use crate::reason::{Endpoint, Reason};
use crate::refusal::{Fault, Refusal};
use crate::value::credential::{Credential, GrantId, Kind, RefreshCredential};

/// A token request. What is wrong with its grant is kept inside until the client has proved who it
/// is (TOKEN-06).
pub struct TokenRequest<'a> {
    pub(crate) credentials: Credentials<'a>,
    pub(crate) asked: Asked<'a>,
}

/// What a client says of itself.
pub(crate) struct Credentials<'a> {
    pub(crate) id: Cow<'a, str>,
    pub(crate) secret: Presented<'a>,
}

/// A client secret and where it came.
pub(crate) enum Presented<'a> {
    None,
    Basic(Cow<'a, str>),
    Post(Cow<'a, str>),
}

/// What it asks for, or what is wrong with that.
pub(crate) enum Asked<'a> {
    Refused(Reason),
    Code(Result<Redemption<'a>, Reason>),
    Refresh(Result<Refreshing<'a>, Reason>),
}

/// A code to redeem (OAuth 2.1 §4.1.3).
pub(crate) struct Redemption<'a> {
    pub(crate) code: Credential,
    pub(crate) redirect_uri: Option<Cow<'a, str>>,
    pub(crate) verifier: Cow<'a, str>,
    pub(crate) resources: Vec<Cow<'a, str>>,
}

/// A refresh token to rotate (OAuth 2.1 §4.3).
pub(crate) struct Refreshing<'a> {
    pub(crate) token: RefreshCredential,
    pub(crate) scope: Option<Cow<'a, str>>,
    pub(crate) resources: Vec<Cow<'a, str>>,
}

#[derive(Default)]
struct Form<'a> {
    client_id: Slot<'a>,
    client_secret: Slot<'a>,
    grant_type: Slot<'a>,
    code: Slot<'a>,
    redirect_uri: Slot<'a>,
    code_verifier: Slot<'a>,
    refresh_token: Slot<'a>,
    scope: Slot<'a>,
    resources: Vec<Cow<'a, str>>,
}

impl TokenRequest<'_> {
    /// What a rate limit can go by; `source` as the host has it.
    pub fn rate_hit<'s>(&'s self, source: &'s str) -> RateHit<'s> {
        RateHit { client: self.claimed_client(), grant: self.grant(), source }
    }

    /// The grant that its code or refresh token names.
    pub(crate) fn grant(&self) -> Option<GrantId> {
        match &self.asked {
            Asked::Code(Ok(redemption)) => Some(redemption.code.id),
            Asked::Refresh(Ok(refreshing)) => Some(refreshing.token.id),
            Asked::Code(Err(_)) | Asked::Refresh(Err(_)) | Asked::Refused(_) => None,
        }
    }
}

impl<'a> TokenRequest<'a> {
    /// Reads a POST with a form body, and the client's credentials from header or body.
    ///
    /// # Errors
    /// A [`Refusal`] when the request cannot be read or does not say, in one way, which client it
    /// comes from.
    pub fn parse(incoming: &RequestParts<'a>, policy: &Policy) -> Result<Self, Refusal> {
        Self::read(incoming, policy.limits()).map_err(|fault| Refusal::of(fault, Endpoint::Token))
    }

    /// The `client_id` it claims: what a rate limit goes by.
    pub fn claimed_client(&self) -> &str {
        &self.credentials.id
    }

    fn read(incoming: &RequestParts<'a>, limits: &Limits) -> Result<Self, Fault> {
        if incoming.method != "POST" {
            return Err(Reason::MethodNotAllowed.into());
        }
        refuse_secrets_in_query(incoming.query, limits)?;
        let form = Form::read(incoming.form(limits)?, limits)?;
        let credentials = Credentials::read(
            &incoming.authorization,
            form.client_id.value,
            form.client_secret.value,
            limits,
        )?;
        let asked = match form.grant_type.value.as_deref() {
            None => Asked::Refused(Reason::GrantTypeMissing),
            Some("authorization_code") => Asked::Code(Redemption::read(
                form.code.get(),
                form.redirect_uri.value,
                form.code_verifier.value,
                form.resources,
            )),
            Some("refresh_token") => Asked::Refresh(Refreshing::read(
                form.refresh_token.get(),
                form.scope.value,
                form.resources,
            )),
            Some(_) => Asked::Refused(Reason::GrantTypeUnsupported),
        };
        Ok(Self { credentials, asked })
    }
}

impl<'a> Form<'a> {
    fn read(body: &'a [u8], limits: &Limits) -> Result<Self, Fault> {
        let mut form = Self::default();
        each(body, limits, |name, value| match name {
            "client_id" => form.client_id.put(value),
            "client_secret" => form.client_secret.put(value),
            "grant_type" => form.grant_type.put(value),
            "code" => form.code.put(value),
            "redirect_uri" => form.redirect_uri.put(value),
            "code_verifier" => form.code_verifier.put(value),
            "refresh_token" => form.refresh_token.put(value),
            "scope" => form.scope.put(value),
            "resource" => form.resources.push(value),
            _ => {}
        })?;
        refuse_repeated([
            ("client_id", &form.client_id),
            ("client_secret", &form.client_secret),
            ("grant_type", &form.grant_type),
            ("code", &form.code),
            ("redirect_uri", &form.redirect_uri),
            ("code_verifier", &form.code_verifier),
            ("refresh_token", &form.refresh_token),
            ("scope", &form.scope),
        ])?;
        Ok(form)
    }
}

/// What is in a URL is in logs and histories: such a request is refused, so that its author notices
/// (OAuth 2.1 §2.4.1).
pub(super) fn refuse_secrets_in_query(query: &[u8], limits: &Limits) -> Result<(), Fault> {
    let mut found = false;
    each(query, limits, |name, _| {
        found |=
            matches!(name, "client_secret" | "code" | "refresh_token" | "code_verifier" | "token");
    })?;
    if found { Err(Reason::SecretInUrl.into()) } else { Ok(()) }
}

impl<'a> Credentials<'a> {
    /// Returns whether the request presents a secret, right or wrong. One that presents none is no
    /// guess at one.
    pub(crate) fn has_secret(&self) -> bool {
        !matches!(self.secret, Presented::None)
    }

    pub(super) fn read(
        header: &Authorization<'a>,
        id: Option<Cow<'a, str>>,
        secret: Option<Cow<'a, str>>,
        limits: &Limits,
    ) -> Result<Self, Reason> {
        match (header, secret) {
            (Authorization::Several, _) | (Authorization::One(_), Some(_)) => {
                Err(Reason::SeveralAuthentications)
            }
            (Authorization::One(_), None) => {
                let encoded = header
                    .credentials("Basic")
                    .filter(|encoded| encoded.len() <= limits.value_bytes);
                let (basic_id, secret) =
                    encoded.and_then(basic).ok_or(Reason::CredentialsMalformed)?;
                if id.is_some_and(|id| id != basic_id) {
                    return Err(Reason::SeveralAuthentications);
                }
                Ok(Self { id: basic_id.into(), secret: Presented::Basic(secret.into()) })
            }
            (Authorization::None, secret) => Ok(Self {
                id: id.ok_or(Reason::ClientIdMissing)?,
                secret: secret.map_or(Presented::None, Presented::Post),
            }),
        }
    }
}

/// Both halves of Basic credentials, each form-encoded before base64 (RFC 6749 §2.3.1).
fn basic(encoded: &[u8]) -> Option<(String, String)> {
    let pair = STANDARD.decode(encoded).ok()?;
    let colon = pair.iter().position(|b| *b == b':')?;
    let (id, secret) = pair.split_at_checked(colon)?;
    let half = |raw: &[u8]| decode(raw).map(Cow::into_owned).ok();
    Some((half(id)?, half(secret.get(1..)?)?))
}

impl<'a> Redemption<'a> {
    fn read(
        code: Option<&str>,
        redirect_uri: Option<Cow<'a, str>>,
        verifier: Option<Cow<'a, str>>,
        resources: Vec<Cow<'a, str>>,
    ) -> Result<Self, Reason> {
        let code = code.ok_or(Reason::CodeMissing)?;
        let verifier = verifier.ok_or(Reason::VerifierMissing)?;
        let code = Credential::parse(Kind::Code, code).ok_or(Reason::CodeUnknown)?;
        Ok(Self { code, redirect_uri, verifier, resources })
    }
}

impl<'a> Refreshing<'a> {
    fn read(
        token: Option<&str>,
        scope: Option<Cow<'a, str>>,
        resources: Vec<Cow<'a, str>>,
    ) -> Result<Self, Reason> {
        let token = RefreshCredential::parse(token.ok_or(Reason::RefreshMissing)?)
            .ok_or(Reason::RefreshUnknown)?;
        Ok(Self { token, scope, resources })
    }
}
