//! The provider's documents, the redemption of a code, and the ID token.

use std::time::{Duration, SystemTime};

use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreClaimName, CoreClaimType, CoreClientAuthMethod,
    CoreErrorResponseType, CoreGenderClaim, CoreGrantType, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm,
    CoreResponseMode, CoreResponseType, CoreRevocableToken, CoreRevocationErrorResponse,
    CoreSubjectIdentifierType, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AdditionalClaims, AdditionalProviderMetadata, AuthType, AuthorizationCode,
    ClaimsVerificationError, Client, ClientId, ClientSecret, EmptyExtraTokenFields,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, IdToken, IdTokenFields, IdTokenVerifier,
    IssuerUrl, Nonce, PkceCodeVerifier, ProviderMetadata, RedirectUrl, RequestTokenError,
    SignatureVerificationError, StandardErrorResponse, StandardTokenResponse,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::http::Http;
use super::{Attempt, Fault, Provider, shown};
use crate::config::is_safe;

/// The longest `sub`, in characters.
const LONGEST_SUB: usize = 255;
/// How far the provider's clock may be from ours.
const LEEWAY: Duration = Duration::from_secs(60);

/// The claims that are no standard claims.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct OtherClaims(Map<String, Value>);

impl AdditionalClaims for OtherClaims {}

/// The members of the provider's document that the crate does not know.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct OtherMetadata {
    /// RFC 9207, section 3.
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    /// RFC 8414, section 2.
    #[serde(default)]
    code_challenge_methods_supported: Option<Vec<String>>,
}

impl AdditionalProviderMetadata for OtherMetadata {}

type Metadata = ProviderMetadata<
    OtherMetadata,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

type Fields = IdTokenFields<
    OtherClaims,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;

/// An ID token of the provider.
pub(super) type Signed = IdToken<
    OtherClaims,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;

/// This server as a client of the provider.
type Upstream = Client<
    OtherClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<Fields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// What the provider's documents say.
pub(crate) struct Known {
    metadata: Metadata,
    /// The algorithms of ID tokens that are accepted.
    algorithms: Vec<CoreJwsSigningAlgorithm>,
    auth_type: AuthType,
}

impl Known {
    /// Reads the provider's document and its keys, and checks that a sign-in can work with them.
    pub(super) async fn discover(issuer: &IssuerUrl, http: &Http) -> Result<Self, Fault> {
        let read = Metadata::discover_async(issuer.clone(), http).await;
        let metadata = read.map_err(|error| Fault::Unavailable(shown(&with_cause(&error))))?;
        Self::of(metadata).map_err(|why| Fault::Unavailable(why.to_owned()))
    }

    fn of(metadata: Metadata) -> Result<Self, &'static str> {
        // Neither `none` nor HMAC: with HMAC, everyone who has the client's secret could sign.
        let signs = metadata.id_token_signing_alg_values_supported().iter();
        let signs = signs.filter(|algorithm| is_asymmetric(algorithm));
        let algorithms: Vec<_> = signs.cloned().collect();
        if algorithms.is_empty() {
            return Err("its document names no algorithm with public keys for ID tokens");
        }
        if metadata.token_endpoint().is_none() {
            return Err("its document names no token endpoint");
        }
        if !is_safe(metadata.authorization_endpoint().url()) {
            return Err("its authorization endpoint is not https");
        }
        let methods = metadata.token_endpoint_auth_methods_supported();
        let has = |method| methods.is_some_and(|methods| methods.contains(&method));
        let is_post = has(CoreClientAuthMethod::ClientSecretPost)
            && !has(CoreClientAuthMethod::ClientSecretBasic);
        let auth_type = if is_post { AuthType::RequestBody } else { AuthType::BasicAuth };
        Ok(Self { metadata, algorithms, auth_type })
    }

    /// Returns the address that users are sent to.
    pub(crate) fn authorization_endpoint(&self) -> &str {
        self.metadata.authorization_endpoint()
    }

    /// Returns whether the document names PKCE by SHA-256. Providers may support it unnamed.
    pub(crate) fn names_pkce(&self) -> bool {
        let methods = &self.metadata.additional_metadata().code_challenge_methods_supported;
        methods.as_ref().is_some_and(|methods| methods.iter().any(|method| method == "S256"))
    }

    /// Returns whether each response has `iss` (RFC 9207).
    pub(super) fn sends_issuer(&self) -> bool {
        self.metadata.additional_metadata().authorization_response_iss_parameter_supported
    }

    /// Returns this server as a client of the provider.
    pub(super) fn client(
        &self,
        id: &ClientId,
        secret: &ClientSecret,
        redirect_uri: &RedirectUrl,
    ) -> Upstream {
        Upstream::from_provider_metadata(self.metadata.clone(), id.clone(), Some(secret.clone()))
            .set_redirect_uri(redirect_uri.clone())
            .set_auth_type(self.auth_type.clone())
    }
}

fn is_asymmetric(algorithm: &CoreJwsSigningAlgorithm) -> bool {
    !matches!(
        algorithm,
        CoreJwsSigningAlgorithm::None
            | CoreJwsSigningAlgorithm::HmacSha256
            | CoreJwsSigningAlgorithm::HmacSha384
            | CoreJwsSigningAlgorithm::HmacSha512
    )
}

impl Provider {
    /// Redeems a code, and returns the ID token. The other tokens are dropped here.
    pub(super) async fn redeem(
        &self,
        known: &Known,
        code: String,
        attempt: &Attempt,
    ) -> Result<Signed, Fault> {
        let client = known.client(&self.client_id, &self.client_secret, &self.redirect_uri);
        let exchange = client.exchange_code(AuthorizationCode::new(code));
        let exchange = exchange.map_err(|error| Fault::Unavailable(error.to_string()))?;
        let verifier = PkceCodeVerifier::new(attempt.secrets.verifier.clone());
        let answer = exchange.set_pkce_verifier(verifier).request_async(&self.http).await;
        let tokens = answer.map_err(|error| match &error {
            RequestTokenError::ServerResponse(answer) => {
                // The description is not logged: it may name the user.
                let code = shown(answer.error().as_ref());
                match answer.error() {
                    CoreErrorResponseType::InvalidGrant => Fault::Code(code),
                    CoreErrorResponseType::Extension(_) => Fault::Unavailable(code),
                    _ => Fault::Client(code),
                }
            }
            RequestTokenError::Request(_) => Fault::Unavailable(shown(&with_cause(&error))),
            RequestTokenError::Parse(_, body) if has_id_token(body) => {
                Fault::IdToken("the ID token cannot be read".to_owned())
            }
            // A body that cannot be read may have a token in it.
            _ => Fault::Unavailable("the token response cannot be read".to_owned()),
        })?;
        let id_token = tokens.extra_fields().id_token().cloned();
        id_token.ok_or_else(|| Fault::IdToken("the token response has none".to_owned()))
    }

    /// Returns the verifier of ID tokens with the keys of these documents.
    pub(super) fn verifier(&self, known: &Known) -> IdTokenVerifier<'static, CoreJsonWebKey> {
        let (id, issuer) = (self.client_id.clone(), self.issuer.clone());
        let keys = known.metadata.jwks().clone();
        IdTokenVerifier::new_public_client(id, issuer, keys)
            .set_allowed_algs(known.algorithms.iter().cloned())
            .set_time_fn(|| (SystemTime::now() - LEEWAY).into())
    }
}

/// What a valid ID token says about its user.
#[derive(Debug, Clone)]
pub(super) struct Claims {
    pub(super) sub: String,
    /// The e-mail address, if the provider has verified it.
    pub(super) email: Option<String>,
    pub(super) username: Option<String>,
    pub(super) name: Option<String>,
    pub(super) others: Map<String, Value>,
    /// When the user signed in at the provider, if the provider says so.
    pub(super) auth_time: Option<SystemTime>,
}

impl Claims {
    /// Returns whether the provider says that the user signed in before `begun`.
    pub(super) fn signed_in_before(&self, begun: SystemTime) -> bool {
        self.auth_time.is_some_and(|at| at + LEEWAY < begun)
    }
}

/// Why an ID token is not valid.
#[derive(Debug, thiserror::Error)]
pub(super) enum Invalid {
    #[error("it is signed with a key that the provider does not publish")]
    UnknownKey,
    #[error("{0}")]
    Other(String),
}

/// Verifies an ID token: its issuer, audience, signature, algorithm, times, nonce and `sub`.
pub(super) fn verify(
    verifier: &IdTokenVerifier<'_, CoreJsonWebKey>,
    id_token: &Signed,
    nonce: &str,
) -> Result<Claims, Invalid> {
    let nonce = Nonce::new(nonce.to_owned());
    let claims = id_token.claims(verifier, &nonce).map_err(|error| match error {
        ClaimsVerificationError::SignatureVerification(
            SignatureVerificationError::NoMatchingKey,
        ) => Invalid::UnknownKey,
        ClaimsVerificationError::SignatureVerification(cause) => Invalid::Other(cause.to_string()),
        error => Invalid::Other(error.to_string()),
    })?;
    let others = &claims.additional_claims().0;
    let sub = claims.subject().as_str();
    check(sub, claims.issue_time().into(), others).map_err(|why| Invalid::Other(why.to_owned()))?;
    let is_verified = claims.email_verified() == Some(true);
    let email = claims.email().filter(|_| is_verified).map(|email| email.to_string());
    Ok(Claims {
        sub: sub.to_owned(),
        email,
        username: claims.preferred_username().map(|name| name.to_string()),
        name: claims.name().and_then(|names| names.get(None)).map(|name| name.to_string()),
        others: others.clone(),
        auth_time: claims.auth_time().map(Into::into),
    })
}

/// Returns whether a token response that cannot be read has an ID token, which is the cause then:
/// it lacks a claim, or is no JWT.
fn has_id_token(body: &[u8]) -> bool {
    let response: Option<Map<String, Value>> = serde_json::from_slice(body).ok();
    response.is_some_and(|response| response.get("id_token").is_some_and(Value::is_string))
}

/// Checks the claims that the crate leaves to its caller.
fn check(sub: &str, issued: SystemTime, others: &Map<String, Value>) -> Result<(), &'static str> {
    // OpenID Connect Core §2. All users without a `sub` would have one account.
    if sub.is_empty() || sub.len() > LONGEST_SUB || !sub.is_ascii() {
        return Err("its sub is not 1 to 255 ASCII characters");
    }
    let latest = SystemTime::now() + LEEWAY;
    if issued > latest {
        return Err("its iat is ahead");
    }
    // RFC 7519 §4.1.5.
    let latest = latest.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |own| own.as_secs_f64());
    match others.get("nbf") {
        None => Ok(()),
        Some(nbf) if nbf.as_f64().is_some_and(|nbf| nbf <= latest) => Ok(()),
        Some(_) => Err("its nbf is ahead, or is no time"),
    }
}

/// Returns an error with its innermost cause.
fn with_cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let own = next.to_string();
        if !text.contains(&own) {
            text = format!("{text}: {own}");
        }
        cause = next.source();
    }
    text
}
