//! The token request (OAuth 2.1 §3.2): the client's credentials, and the code or refresh token that
//! it exchanges.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::{Zeroize as _, ZeroizeOnDrop, Zeroizing};

use super::client_assertion::{AssertionParameters, ClientAssertion};
use super::jwt_bearer::AssertionExchange;
use super::parameters::{Parameter, decode, for_each_parameter, refuse_repeated};
use super::parts::{Authorization, RequestParts};
use crate::policy::{Limits, Policy, RateHit};
use crate::reason::{Endpoint, Reason};
use crate::refusal::{Fault, Refusal};
use crate::value::credential::{Credential, GrantId, Kind, RefreshCredential};
use crate::value::grant_types::GrantType;

/// A token request. An error in its grant is kept until the client has authenticated, so that a
/// stranger does not learn it (TOKEN-06).
pub struct TokenRequest<'a> {
    pub(crate) credentials: Credentials<'a>,
    pub(crate) exchange: Exchange<'a>,
}

/// The credentials that a client presents.
pub(crate) struct Credentials<'a> {
    pub(crate) id: Cow<'a, str>,
    pub(crate) secret: PresentedSecret<'a>,
}

/// The proof of its client that a request presents: a secret, by the place where it was sent, or an
/// assertion.
pub(crate) enum PresentedSecret<'a> {
    None,
    Basic(SecretText<'a>),
    Post(SecretText<'a>),
    /// The assertion that the client has signed, in place of a secret.
    Assertion(Box<ClientAssertion<'a>>),
}

/// The text of a presented client secret. A decoded copy is wiped when it is dropped. A borrowed
/// text is part of the request, which the host owns.
pub(crate) struct SecretText<'a>(Cow<'a, str>);

/// The grant that the request exchanges for tokens, or the rule that it breaks.
pub(crate) enum Exchange<'a> {
    Invalid(Reason),
    Code(Result<CodeExchange<'a>, Reason>),
    Refresh(Result<RefreshExchange<'a>, Reason>),
    Machine(MachineExchange<'a>),
    Assertion(AssertionExchange<'a>),
}

/// A code to redeem (OAuth 2.1 §4.1.3).
pub(crate) struct CodeExchange<'a> {
    pub(crate) code: Credential,
    pub(crate) redirect_uri: Option<Cow<'a, str>>,
    pub(crate) verifier: Cow<'a, str>,
    pub(crate) resources: Vec<Cow<'a, str>>,
}

/// A refresh token to rotate (OAuth 2.1 §4.3).
pub(crate) struct RefreshExchange<'a> {
    pub(crate) token: RefreshCredential,
    pub(crate) scope: Option<Cow<'a, str>>,
    pub(crate) resources: Vec<Cow<'a, str>>,
}

/// The scope and the resources that a client asks for on its own behalf (OAuth 2.1 §4.2).
pub(crate) struct MachineExchange<'a> {
    pub(crate) scope: Option<Cow<'a, str>>,
    pub(crate) resources: Vec<Cow<'a, str>>,
}

#[derive(Default)]
struct Form<'a> {
    client_id: Parameter<'a>,
    client_secret: Parameter<'a>,
    client_assertion: AssertionParameters<'a>,
    grant_type: Parameter<'a>,
    code: Parameter<'a>,
    redirect_uri: Parameter<'a>,
    code_verifier: Parameter<'a>,
    refresh_token: Parameter<'a>,
    assertion: Parameter<'a>,
    scope: Parameter<'a>,
    resources: Vec<Cow<'a, str>>,
}

impl TokenRequest<'_> {
    /// Returns what a rate limit can count this request by. `source` is the source of the request
    /// as the host knows it.
    pub fn rate_hit<'s>(&'s self, source: &'s str) -> RateHit<'s> {
        RateHit { client: self.claimed_client(), grant: self.grant(), source }
    }

    /// Returns the name that only the assertion of this request gives: the client of a program, or
    /// the issuer. Returns `None` if the request names a client itself.
    pub(crate) fn asserted_name<'p>(&self, policy: &'p Policy) -> Option<&'p str> {
        match &self.exchange {
            Exchange::Assertion(exchange) if self.credentials.are_absent() => {
                exchange.rate_name(policy)
            }
            _ => None,
        }
    }

    /// Returns the grant that the code or the refresh token names.
    pub(crate) fn grant(&self) -> Option<GrantId> {
        match &self.exchange {
            Exchange::Code(Ok(exchange)) => Some(exchange.code.id),
            Exchange::Refresh(Ok(exchange)) => Some(exchange.token.id),
            Exchange::Code(Err(_))
            | Exchange::Refresh(Err(_))
            | Exchange::Machine(_)
            | Exchange::Assertion(_)
            | Exchange::Invalid(_) => None,
        }
    }
}

impl<'a> TokenRequest<'a> {
    /// Reads a POST with a form body, and the client's credentials from header or body.
    ///
    /// # Errors
    /// A [`Refusal`] if the request cannot be read, or does not identify its client in exactly one
    /// way.
    pub fn parse(request: &RequestParts<'a>, policy: &Policy) -> Result<Self, Refusal> {
        Self::read(request, policy).map_err(|fault| Refusal::of(fault, Endpoint::Token))
    }

    /// Returns the `client_id` that the request claims. It is not authenticated.
    pub fn claimed_client(&self) -> &str {
        &self.credentials.id
    }

    fn read(request: &RequestParts<'a>, policy: &Policy) -> Result<Self, Fault> {
        let limits = policy.limits();
        if request.method != "POST" {
            return Err(Reason::MethodNotAllowed.into());
        }
        refuse_secrets_in_query(request.query, limits)?;
        let form = Form::read(request.form(limits)?, limits)?;
        let grant_type = form.read_grant_type(policy);
        let is_assertion = grant_type == Ok(GrantType::JwtBearer);
        let credentials = if is_assertion && form.names_no_client(&request.authorization) {
            // The assertion can name the client.
            Credentials::absent()
        } else {
            Credentials::read(
                &request.authorization,
                form.client_id.value,
                form.client_secret.value,
                form.client_assertion,
                policy,
            )?
        };
        let exchange = match grant_type {
            Err(reason) => Exchange::Invalid(reason),
            Ok(GrantType::AuthorizationCode) => Exchange::Code(CodeExchange::read(
                form.code.get(),
                form.redirect_uri.value,
                form.code_verifier.value,
                form.resources,
            )),
            Ok(GrantType::RefreshToken) => Exchange::Refresh(RefreshExchange::read(
                form.refresh_token.get(),
                form.scope.value,
                form.resources,
            )),
            Ok(GrantType::ClientCredentials) => Exchange::Machine(MachineExchange {
                scope: form.scope.value,
                resources: form.resources,
            }),
            Ok(GrantType::JwtBearer) => Exchange::Assertion(AssertionExchange::new(
                form.assertion.value.ok_or(Reason::AssertionMissing)?,
                form.scope.value,
                form.resources,
            )),
        };
        Ok(Self { credentials, exchange })
    }
}

/// Shows the claimed client and the grant. The credentials are left out.
impl fmt::Debug for TokenRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRequest")
            .field("claimed_client", &self.claimed_client())
            .field("grant", &self.grant())
            .finish_non_exhaustive()
    }
}

impl<'a> Form<'a> {
    fn read(body: &'a [u8], limits: &Limits) -> Result<Self, Fault> {
        let mut form = Self::default();
        for_each_parameter(body, limits, |name, value| match name {
            "client_id" => form.client_id.set(value),
            "client_secret" => form.client_secret.set(value),
            "grant_type" => form.grant_type.set(value),
            "code" => form.code.set(value),
            "redirect_uri" => form.redirect_uri.set(value),
            "code_verifier" => form.code_verifier.set(value),
            "refresh_token" => form.refresh_token.set(value),
            "assertion" => form.assertion.set(value),
            "client_assertion" | "client_assertion_type" => {
                form.client_assertion.take(name, value);
            }
            "scope" => form.scope.set(value),
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
            ("assertion", &form.assertion),
            ("client_assertion", &form.client_assertion.assertion),
            ("client_assertion_type", &form.client_assertion.kind),
            ("scope", &form.scope),
        ])?;
        Ok(form)
    }

    /// Returns the grant type. Assertions are a supported one if the policy trusts an issuer.
    fn read_grant_type(&self, policy: &Policy) -> Result<GrantType, Reason> {
        let name = self.grant_type.get().ok_or(Reason::GrantTypeMissing)?;
        match GrantType::from_name(name) {
            Some(GrantType::JwtBearer) if policy.trusted_issuers().is_empty() => {
                Err(Reason::GrantTypeUnsupported)
            }
            known => known.ok_or(Reason::GrantTypeUnsupported),
        }
    }

    /// Returns whether neither the form nor the header names or authenticates a client.
    fn names_no_client(&self, header: &Authorization<'_>) -> bool {
        matches!(header, Authorization::None)
            && self.client_id.value.is_none()
            && self.client_secret.value.is_none()
            && self.client_assertion.assertion.value.is_none()
            && self.client_assertion.kind.value.is_none()
    }
}

/// Refuses a request with a secret in its query (OAuth 2.1 §2.4.1). Queries are in logs and
/// histories, so the secret is disclosed already; a refusal makes its author notice.
pub(super) fn refuse_secrets_in_query(query: &[u8], limits: &Limits) -> Result<(), Fault> {
    let mut found = false;
    for_each_parameter(query, limits, |name, _| {
        found |= matches!(
            name,
            "client_secret"
                | "code"
                | "refresh_token"
                | "code_verifier"
                | "token"
                | "assertion"
                | "client_assertion"
                | "subject_token"
                | "actor_token"
        );
    })?;
    if found { Err(Reason::SecretInUrl.into()) } else { Ok(()) }
}

impl<'a> Credentials<'a> {
    /// Returns whether the request presents a secret, right or wrong. A request without a secret is
    /// not counted as an attempt to guess one.
    pub(crate) fn has_secret(&self) -> bool {
        matches!(self.secret, PresentedSecret::Basic(_) | PresentedSecret::Post(_))
    }

    /// Returns whether the request presents anything that could prove its client.
    pub(crate) fn has_proof(&self) -> bool {
        !matches!(self.secret, PresentedSecret::None)
    }

    /// Returns the credentials of a request that names no client.
    fn absent() -> Self {
        Self { id: Cow::Borrowed(""), secret: PresentedSecret::None }
    }

    /// Returns whether the request names no client.
    pub(crate) fn are_absent(&self) -> bool {
        self.id.is_empty() && !self.has_proof()
    }

    /// Reads the credentials from the header or the form. A request with both is refused (OAuth 2.1
    /// §2.4).
    pub(super) fn read(
        header: &Authorization<'a>,
        id: Option<Cow<'a, str>>,
        secret: Option<Cow<'a, str>>,
        assertion: AssertionParameters<'a>,
        policy: &Policy,
    ) -> Result<Self, Reason> {
        let secret = secret.map(SecretText);
        let has_assertion = policy.client_keys().is_some() && assertion.is_sent();
        match (header, secret) {
            (Authorization::Several, _) | (Authorization::One(_), Some(_)) => {
                Err(Reason::SeveralAuthentications)
            }
            // One way for each request (OAuth 2.1 §2.4): a good assertion must not let a wrong
            // secret pass, nor the reverse (KEYS-42).
            (Authorization::One(_), _) | (_, Some(_)) if has_assertion => {
                Err(Reason::SeveralAuthentications)
            }
            (Authorization::One(_), None) => {
                let encoded = header
                    .credentials("Basic")
                    .filter(|encoded| encoded.len() <= policy.limits().value_bytes);
                let (basic_id, secret) =
                    encoded.and_then(decode_basic).ok_or(Reason::CredentialsMalformed)?;
                if id.is_some_and(|id| id != basic_id) {
                    return Err(Reason::SeveralAuthentications);
                }
                Ok(Self { id: basic_id.into(), secret: PresentedSecret::Basic(secret) })
            }
            (Authorization::None, Some(secret)) => Ok(Self {
                id: id.ok_or(Reason::ClientIdMissing)?,
                secret: PresentedSecret::Post(secret),
            }),
            (Authorization::None, None) => match assertion.read(policy)? {
                Some(assertion) => Self::by_assertion(id, assertion),
                None => Ok(Self {
                    id: id.ok_or(Reason::ClientIdMissing)?,
                    secret: PresentedSecret::None,
                }),
            },
        }
    }
}

impl SecretText<'_> {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Drop for SecretText<'_> {
    fn drop(&mut self) {
        if let Cow::Owned(text) = &mut self.0 {
            text.zeroize();
        }
    }
}

impl ZeroizeOnDrop for SecretText<'_> {}

/// Decodes both parts of Basic credentials, each form-encoded before base64 (RFC 6749 §2.3.1).
fn decode_basic(encoded: &[u8]) -> Option<(String, SecretText<'static>)> {
    let pair = Zeroizing::new(STANDARD.decode(encoded).ok()?);
    let colon = pair.iter().position(|b| *b == b':')?;
    let (id, secret) = pair.split_at_checked(colon)?;
    let part = |raw: &[u8]| decode(raw).map(Cow::into_owned).ok();
    let id = part(id)?;
    let secret = part(secret.get(1..)?)?;
    Some((id, SecretText(Cow::Owned(secret))))
}

impl<'a> CodeExchange<'a> {
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

impl<'a> RefreshExchange<'a> {
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
