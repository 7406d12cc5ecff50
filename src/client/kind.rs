//! The kinds of clients: how each proves who it is, and what it may do.
//!
//! Each kind has its own fields and no others, so that neither a public client with a machine right
//! nor a code flow without a redirect URI can be represented.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::ClientError;
use super::client_keys::ClientKeys;
use super::secrets::{Secrets, StoredSecret};
use crate::value::auth_method::{AuthMethod, SecretMethod};
use crate::value::grant_types::GrantTypes;
use crate::value::machine_rights::MachineRights;
use crate::value::redirect_uri::{LoopbackPorts, RedirectRules, RegisteredRedirectUri, record};

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Kind {
    /// Identifies itself and proves nothing, so that it can use the code flow only.
    Public(CodeFlow),
    /// Proves itself.
    Proved { by: Proof, may: Rights },
    /// May prove itself with a key, and need not. Its metadata document offers both.
    Either { keys: ClientKeys, code_flow: CodeFlow },
    /// Has no credential of its own: a workload proves itself for it.
    Federated(MachineRights),
}

/// The credentials that a client proves itself by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Proof {
    Secret { method: SecretMethod, secrets: Secrets },
    Keys(ClientKeys),
}

/// The rights of a client that proves itself. A client with none of them can only introspect.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rights {
    /// Access on behalf of users.
    #[serde(deserialize_with = "Option::deserialize")]
    pub(super) code: Option<CodeFlow>,
    /// Access on its own behalf.
    #[serde(deserialize_with = "Option::deserialize")]
    pub(super) machine: Option<MachineRights>,
    /// Access on behalf of the users of an identity provider that the policy trusts.
    pub(super) assertions: bool,
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
    /// Returns the kind of a client with these fields.
    pub(super) fn of(
        authentication: Authentication,
        may: Rights,
        is_documented: bool,
    ) -> Result<Self, ClientError> {
        let by = match authentication {
            Authentication::Confidential { method, secrets } => Proof::Secret { method, secrets },
            Authentication::Keys(keys) => Proof::Keys(keys),
            Authentication::KeysOrNone(keys) => {
                let code_flow = may.code.filter(|_| is_documented && may.machine.is_none());
                let code_flow = code_flow.ok_or(ClientError::KeysOrNone)?;
                return Ok(Self::Either { keys, code_flow });
            }
            Authentication::Public => {
                return match (may.code, may.machine) {
                    (_, Some(_)) => Err(ClientError::MachineUnproved),
                    (Some(code_flow), None) => Ok(Self::Public(code_flow)),
                    (None, None) => Err(ClientError::RedirectUrisMissing),
                };
            }
            Authentication::Federated => {
                return match (may.code, may.machine) {
                    (None, Some(machine)) => Ok(Self::Federated(machine)),
                    _ => Err(ClientError::Federated),
                };
            }
        };
        Ok(Self::Proved { by, may })
    }

    pub(super) fn code_flow(&self) -> Option<&CodeFlow> {
        match self {
            Self::Public(code_flow) | Self::Either { code_flow, .. } => Some(code_flow),
            Self::Proved { may, .. } => may.code.as_ref(),
            Self::Federated(_) => None,
        }
    }

    /// Returns what the client may do on its own behalf.
    pub(super) fn machine(&self) -> Option<&MachineRights> {
        match self {
            Self::Public(_) | Self::Either { .. } => None,
            Self::Proved { may, .. } => may.machine.as_ref(),
            Self::Federated(rights) => Some(rights),
        }
    }

    /// Returns whether the client may exchange the assertions of identity providers.
    pub(super) fn may_use_assertions(&self) -> bool {
        matches!(self, Self::Proved { may: Rights { assertions: true, .. }, .. })
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
            Self::Federated(_) => Authentication::Federated,
            Self::Proved { by: Proof::Secret { method, secrets }, .. } => {
                Authentication::Confidential { method: *method, secrets: secrets.clone() }
            }
            Self::Proved { by: Proof::Keys(keys), .. } => Authentication::Keys(keys.clone()),
            Self::Either { keys, .. } => Authentication::KeysOrNone(keys.clone()),
        }
    }

    /// Returns the secrets of a client that proves itself by one.
    pub(super) fn secrets(&self) -> Option<&Secrets> {
        match self {
            Self::Proved { by: Proof::Secret { secrets, .. }, .. } => Some(secrets),
            Self::Proved { .. } | Self::Public(_) | Self::Either { .. } | Self::Federated(_) => {
                None
            }
        }
    }

    /// Returns the keys that the client may prove itself with.
    pub(super) fn keys(&self) -> Option<&ClientKeys> {
        match self {
            Self::Proved { by: Proof::Keys(keys), .. } | Self::Either { keys, .. } => Some(keys),
            Self::Proved { .. } | Self::Public(_) | Self::Federated(_) => None,
        }
    }

    pub(super) fn keys_mut(&mut self) -> Option<&mut ClientKeys> {
        match self {
            Self::Proved { by: Proof::Keys(keys), .. } | Self::Either { keys, .. } => Some(keys),
            Self::Proved { .. } | Self::Public(_) | Self::Federated(_) => None,
        }
    }

    /// Returns whether the client always proves who it is.
    pub(super) fn is_proved(&self) -> bool {
        matches!(self, Self::Proved { .. })
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
    /// `private_key_jwt`: the client signs an assertion with its key (RFC 7523 §2.2).
    Keys(ClientKeys),
    /// `private_key_jwt` or `none`, as the client chooses at each request. Only a client with a
    /// metadata document that offers both has it.
    KeysOrNone(ClientKeys),
    /// The client has no credential, and authenticates nowhere.
    Federated,
}

impl Authentication {
    /// Returns the authentication by this secret alone.
    pub fn by_secret(method: SecretMethod, secret: StoredSecret) -> Self {
        Self::Confidential { method, secrets: secret.into() }
    }

    pub(crate) fn method(&self) -> AuthMethod {
        match self {
            Self::Public | Self::Federated => AuthMethod::None,
            Self::Confidential { method, .. } => AuthMethod::Secret(*method),
            Self::Keys(_) | Self::KeysOrNone(_) => AuthMethod::PrivateKeyJwt,
        }
    }
}
