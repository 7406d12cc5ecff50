//! The kinds of clients: how each proves who it is, and what it needs for the code flow.
//!
//! Each kind has its own fields and no others, so that neither a public client with a secret nor a
//! code flow without a redirect URI can be represented.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::ClientError;
use super::secrets::{Secrets, StoredSecret};
use crate::value::auth_method::{AuthMethod, SecretMethod};
use crate::value::grant_types::GrantTypes;
use crate::value::redirect_uri::{LoopbackPorts, RedirectRules, RegisteredRedirectUri, record};

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Kind {
    /// Identifies itself and proves nothing, so that it can use the code flow only.
    Public(CodeFlow),
    /// Proves itself with a secret.
    Secret {
        method: SecretMethod,
        secrets: Secrets,
        /// `None` for a client that only asks for introspection.
        #[serde(deserialize_with = "Option::deserialize")]
        code_flow: Option<CodeFlow>,
    },
}

/// What a client needs for the code flow.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CodeFlow {
    pub(super) redirect_uris: RedirectUris,
    /// Overrides the policy's rule for this client.
    #[serde(deserialize_with = "Option::deserialize")]
    pub(super) loopback_ports: Option<LoopbackPorts>,
    /// Whether the client gets refresh tokens.
    pub(super) refresh_tokens: bool,
}

/// At least one redirect URI.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct RedirectUris(Vec<RegisteredRedirectUri>);

impl RedirectUris {
    /// Returns `None` for an empty list.
    pub(super) fn new(uris: Vec<RegisteredRedirectUri>) -> Option<Self> {
        (!uris.is_empty()).then_some(Self(uris))
    }

    /// Parses the URIs of a registration under these rules.
    pub(super) fn parse(uris: &[String], rules: &RedirectRules) -> Result<Self, ClientError> {
        let count = uris.len();
        if count > rules.limit {
            return Err(ClientError::RedirectUrisTooMany { count, limit: rules.limit });
        }
        let parse = |uri: &String| {
            RegisteredRedirectUri::parse(uri, rules)
                .map_err(|error| ClientError::RedirectUri { uri: uri.clone(), error })
        };
        let uris = uris.iter().map(parse).collect::<Result<_, _>>()?;
        Self::new(uris).ok_or(ClientError::RedirectUrisMissing)
    }

    pub(super) fn as_slice(&self) -> &[RegisteredRedirectUri] {
        &self.0
    }
}

impl Serialize for RedirectUris {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        record::list::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for RedirectUris {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let uris = record::list::deserialize(deserializer)?;
        Self::new(uris).ok_or_else(|| de::Error::custom("redirect_uris has no URI"))
    }
}

impl Kind {
    pub(super) fn code_flow(&self) -> Option<&CodeFlow> {
        match self {
            Self::Public(code_flow) => Some(code_flow),
            Self::Secret { code_flow, .. } => code_flow.as_ref(),
        }
    }

    /// Returns the grant types that the client is registered for.
    pub(super) fn grant_types(&self) -> GrantTypes {
        let code_flow = self.code_flow();
        GrantTypes {
            authorization_code: code_flow.is_some(),
            refresh_token: code_flow.is_some_and(|code_flow| code_flow.refresh_tokens),
        }
    }

    pub(super) fn authentication(&self) -> Authentication {
        match self {
            Self::Public(_) => Authentication::Public,
            Self::Secret { method, secrets, .. } => {
                Authentication::Confidential { method: *method, secrets: secrets.clone() }
            }
        }
    }
}

/// How a client authenticates at the token endpoint (OAuth 2.1 §2.4).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Authentication {
    /// `none`: the client sends its `client_id`, which proves nothing.
    Public,
    /// The client sends a secret.
    Confidential {
        /// Where the client sends it.
        method: SecretMethod,
        /// What the server keeps of its secrets.
        secrets: Secrets,
    },
}

impl Authentication {
    /// Returns the authentication by this secret alone.
    pub fn by_secret(method: SecretMethod, secret: StoredSecret) -> Self {
        Self::Confidential { method, secrets: secret.into() }
    }

    pub(crate) fn method(&self) -> AuthMethod {
        match self {
            Self::Public => AuthMethod::None,
            Self::Confidential { method, .. } => AuthMethod::Secret(*method),
        }
    }
}
