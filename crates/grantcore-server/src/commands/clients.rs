//! `add-client` and `rotate-secret`: clients of the operator in the database.

use grantcore::client::{Authentication, ClientBuilder, StoredSecret};
use grantcore::store::{Commit, Write};
use grantcore::value::{Digest, GrantTypes, Scope, SecretMethod};
use grantcore::{Client, Store as _};

use crate::StartError;
use crate::config::{Config, Method, StoreAt};
use crate::sessions::Token;
use crate::setup;

/// The client that the command line describes.
pub(super) struct Wanted {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) redirect_uris: Vec<String>,
    pub(super) scope: Option<String>,
    pub(super) auth_method: Method,
}

/// Adds a client and prints its secret.
pub(super) async fn add(wanted: Wanted, at: &StoreAt) -> Result<(), StartError> {
    let config = super::settings_with(at)?;
    let Wanted { id, name, redirect_uris, scope, auth_method } = wanted;
    check_undeclared(&config, &id)?;
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
        let scope: Scope = scope.parse().map_err(|error| format!("--scope: {error}"))?;
        builder = builder.scope(scope);
    }
    if redirect_uris.is_empty() && auth_method != Method::None {
        // Such a client can only ask for introspection.
        builder =
            builder.grant_types(GrantTypes { authorization_code: false, refresh_token: false });
    }
    let builder = redirect_uris.into_iter().fold(builder, ClientBuilder::redirect_uri);
    let client = builder.build_under(&setup::redirect_rules(&config.clients))?;
    let backend = super::open(&config).await?;
    if !backend.add_client(client).await? {
        return Err(format!("the client `{id}` exists already; nothing was changed").into());
    }
    if auth_method == Method::None {
        return super::note(&format!("{id} is added. It is a public client and has no secret."));
    }
    super::print(&secret)?;
    super::note(&format!("{id} is added. Its secret is above and is not shown again."))
}

/// Replaces the secret of a client and prints the new one.
pub(super) async fn rotate(id: &str, at: &StoreAt) -> Result<(), StartError> {
    let config = super::settings_with(at)?;
    check_undeclared(&config, id)?;
    super::must_exist(&config.database)?;
    let backend = super::open(&config).await?;
    let secret = draw()?;
    loop {
        let seen = backend.client(id).await?;
        let seen = seen.ok_or_else(|| format!("there is no client `{id}`"))?;
        let Authentication::Confidential { method, .. } = seen.record.authentication() else {
            return Err(format!("the client `{id}` is public and has no secret").into());
        };
        let stored = StoredSecret::Digest(Digest::of(secret.as_bytes()));
        let authentication = Authentication::Confidential { method, secret: stored };
        // The redirect URIs were admitted when they were registered.
        let rules = setup::redirect_rules(&config.clients);
        let edited = Client::clone(&seen.record).edit().authentication(authentication);
        let client = edited.build_under(&rules)?;
        if backend.commit(&Write::client(Some(&seen), client)).await? == Commit::Done {
            break;
        }
    }
    super::print(&secret)?;
    super::note(&format!(
        "The secret of {id} is replaced: the new one is above and is not shown again, \
         and the old one has ended."
    ))
}

/// Refuses a client of the file of settings, which the next start would change back.
fn check_undeclared(config: &Config, id: &str) -> Result<(), StartError> {
    let declared = config.declared.iter().flat_map(|declared| &declared.clients);
    if declared.into_iter().all(|own| own.value.id != id) {
        return Ok(());
    }
    Err(format!(
        "the client `{id}` is declared in the file of settings: change it there, \
         and restart the server"
    )
    .into())
}

/// Draws a secret of 256 random bits.
fn draw() -> Result<String, StartError> {
    let token = Token::draw().map_err(|error| format!("no randomness: {error}"))?;
    Ok(token.reveal())
}
