//! The clients that the operator adds, by a command or on the administrator's pages, and whose
//! secrets the operator replaces by a command.

use std::time::SystemTime;

use grantcore::client::{ClientBuilder, ClientError, StoredSecret};
use grantcore::store::{Commit, Write};
use grantcore::value::{
    Digest, GrantTypes, MachineRights, Overlap, RedirectRules, Scope, SecretMethod, Subject,
};
use grantcore::{Client, Store as _};

use crate::config::{Declared, Method};
use crate::sessions::Token;
use crate::store::{Backend, BackendError};

/// A client to add.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) redirect_uris: Vec<String>,
    /// The widest scope. `None` is every scope of the server.
    pub(crate) scope: Option<Scope>,
    pub(crate) auth_method: Method,
    /// What it may do without a user.
    pub(crate) machine: Option<MachineRights>,
    /// The account that is responsible for it.
    pub(crate) owner: Option<String>,
}

/// Why a client was not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unchanged {
    #[error(
        "the client `{0}` is declared in the file of settings: change it there, \
         and restart the server"
    )]
    Declared(String),
    #[error("the client `{0}` exists already; nothing was changed")]
    Exists(String),
    #[error("there is no client `{0}`")]
    Unknown(String),
    #[error("the client `{0}` is public and has no secret")]
    Public(String),
    #[error(
        "the client `{0}` could do nothing: it needs --redirect-uri URI for access that users give \
         it, or --machine SCOPES to act without a user. A client that only introspects is declared \
         in the file of settings, with `introspects`"
    )]
    Useless(String),
    #[error(transparent)]
    Invalid(#[from] ClientError),
    #[error("no randomness: {0}")]
    Entropy(String),
    #[error(transparent)]
    Store(#[from] BackendError),
}

/// The ids of the clients that the file of settings declares.
pub(crate) fn declared(declared: Option<&Declared>) -> impl Iterator<Item = &str> {
    declared.into_iter().flat_map(|own| &own.clients).map(|own| own.value.id.as_str())
}

/// Adds a client, and returns its secret, or `None` for a public client.
pub(crate) async fn add(
    backend: &Backend,
    wanted: Wanted,
    rules: &RedirectRules,
) -> Result<Option<String>, Unchanged> {
    let Wanted { id, name, redirect_uris, scope, auth_method, machine, owner } = wanted;
    if redirect_uris.is_empty() && machine.is_none() {
        return Err(Unchanged::Useless(id));
    }
    let secret = draw()?;
    let stored = StoredSecret::Digest(Digest::of(secret.as_bytes()));
    let mut builder = match auth_method {
        Method::None => Client::public(&id),
        Method::ClientSecretBasic => Client::confidential(&id, SecretMethod::Basic, stored),
        Method::ClientSecretPost => Client::confidential(&id, SecretMethod::Post, stored),
    };
    if let Some(name) = name {
        builder = builder.name(name);
    }
    if let Some(scope) = scope {
        builder = builder.scope(scope);
    }
    if redirect_uris.is_empty() && auth_method != Method::None {
        // A client without a redirect URI acts on its own behalf only.
        builder =
            builder.grant_types(GrantTypes { authorization_code: false, refresh_token: false });
    }
    if let Some(owner) = owner {
        builder = builder.owner(Subject::new(owner));
    }
    let builder = builder.machine(machine);
    let builder = redirect_uris.into_iter().fold(builder, ClientBuilder::redirect_uri);
    let client = builder.build_under(rules)?;
    if !backend.add_client(client).await? {
        return Err(Unchanged::Exists(id));
    }
    Ok((auth_method != Method::None).then_some(secret))
}

/// Replaces the secret of a client, and returns the new one. The old one ends after the overlap.
pub(crate) async fn rotate_secret(
    backend: &Backend,
    id: &str,
    overlap: Overlap,
) -> Result<String, Unchanged> {
    let secret = draw()?;
    loop {
        let seen = backend.client(id).await?;
        let seen = seen.ok_or_else(|| Unchanged::Unknown(id.to_owned()))?;
        let stored = StoredSecret::Digest(Digest::of(secret.as_bytes()));
        let now = SystemTime::now().into();
        let client = match Client::clone(&seen.record).with_new_secret(stored, overlap, now) {
            Err(ClientError::SecretMissing) => return Err(Unchanged::Public(id.to_owned())),
            client => client?,
        };
        if backend.commit(&Write::client(Some(&seen), client)).await? == Commit::Done {
            return Ok(secret);
        }
    }
}

/// Draws a secret of 256 random bits. Its prefix is that of the library's client secrets, so that
/// logs and scanners for leaked secrets recognize it.
fn draw() -> Result<String, Unchanged> {
    let token = Token::draw().map_err(|error| Unchanged::Entropy(error.to_string()))?;
    Ok(format!("gcs_{}", token.reveal()))
}
