//! Builds a client and checks it: no client exists whose redirect URIs were not judged.

use super::{Authentication, Client, ClientError, ClientStatus, GrantTypes, Registration};
use crate::value::redirect_uri::{LoopbackPorts, RedirectRules, RedirectUriError, RegisteredRedirectUri};
use crate::value::scope::Scope;
use crate::value::text::ClientId;

/// Builds a [`Client`]. Made by [`Client::public`], [`Client::confidential`] and [`Client::edit`]; [`build`](Self::build) checks it.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct ClientBuilder {
    id: String,
    authentication: Authentication,
    redirect_uris: Vec<String>,
    grant_types: GrantTypes,
    scope: Option<Scope>,
    loopback_ports: Option<LoopbackPorts>,
    name: Option<String>,
    uri: Option<String>,
    registration: Registration,
    trusted: Option<bool>,
    status: ClientStatus,
    epoch: u64,
}

impl ClientBuilder {
    pub(super) fn new(id: String, authentication: Authentication) -> Self {
        Self {
            id,
            authentication,
            redirect_uris: Vec::new(),
            grant_types: GrantTypes { authorization_code: true, refresh_token: true },
            scope: None,
            loopback_ports: None,
            name: None,
            uri: None,
            registration: Registration::Operator,
            trusted: None,
            status: ClientStatus::Active,
            epoch: 0,
        }
    }

    pub(super) fn editing(client: Client) -> Self {
        let Client {
            id,
            authentication,
            redirect_uris,
            grant_types,
            scope,
            loopback_ports,
            name,
            uri,
            registration,
            trusted,
            status,
            epoch,
        } = client;
        Self {
            id: id.into(),
            authentication,
            redirect_uris: redirect_uris.iter().map(|uri| uri.as_str().to_owned()).collect(),
            grant_types,
            scope,
            loopback_ports,
            name,
            uri,
            registration,
            trusted: Some(trusted),
            status,
            epoch,
        }
    }

    /// Drops the redirect URIs, to name others.
    pub fn without_redirect_uris(mut self) -> Self {
        self.redirect_uris.clear();
        self
    }

    /// Replaces the way it authenticates, for example by a new secret.
    pub fn authentication(mut self, authentication: Authentication) -> Self {
        self.authentication = authentication;
        self
    }

    /// Adds a redirect URI; requests must name it byte for byte. One that is there already is not added twice.
    pub fn redirect_uri(mut self, uri: impl Into<String>) -> Self {
        let uri = uri.into();
        if !self.redirect_uris.contains(&uri) {
            self.redirect_uris.push(uri);
        }
        self
    }

    /// The grant types it registers for. Default: codes and refresh tokens.
    pub fn grant_types(mut self, grant_types: GrantTypes) -> Self {
        self.grant_types = grant_types;
        self
    }

    /// The most it may ask for. Default: whatever the policy knows.
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// For this client alone, whose loopback port may vary. Default: the policy's rule.
    pub fn loopback_ports(mut self, ports: LoopbackPorts) -> Self {
        self.loopback_ports = Some(ports);
        self
    }

    /// The name the consent page shows, cleaned there.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Its own page; `https` only.
    pub fn uri(mut self, uri: impl Into<String>) -> Self {
        self.uri = Some(uri.into());
        self
    }

    /// How the server came to know it. Default: [`Registration::Operator`].
    pub fn registration(mut self, registration: Registration) -> Self {
        self.registration = registration;
        self
    }

    /// Whether errors may be sent to it without the user's doing (OAuth 2.1 §7.13). Default: only if the operator registered it.
    pub fn trusted(mut self, trusted: bool) -> Self {
        self.trusted = Some(trusted);
        self
    }

    /// Checks and builds under the default [`RedirectRules`].
    ///
    /// # Errors
    /// [`ClientError`], the first thing that is wrong.
    pub fn build(self) -> Result<Client, ClientError> {
        self.build_under(&RedirectRules::default())
    }

    /// Checks and builds under these rules, usually [`Policy::redirect_rules`](crate::Policy::redirect_rules).
    ///
    /// # Errors
    /// [`ClientError`], the first thing that is wrong.
    pub fn build_under(self, rules: &RedirectRules) -> Result<Client, ClientError> {
        let id = ClientId::new(&self.id)?;
        if self.grant_types.refresh_token && !self.grant_types.authorization_code {
            return Err(ClientError::GrantTypes);
        }
        if self.grant_types.authorization_code && self.redirect_uris.is_empty() {
            return Err(RedirectUriError::Missing.into());
        }
        if self.redirect_uris.len() > rules.most {
            return Err(RedirectUriError::TooMany.into());
        }
        if self.uri.as_deref().is_some_and(|uri| !super::is_page(uri)) {
            return Err(ClientError::Uri);
        }
        let redirect_uris =
            self.redirect_uris.iter().map(|uri| RegisteredRedirectUri::parse(uri, rules)).collect::<Result<_, _>>()?;
        Ok(Client {
            id,
            authentication: self.authentication,
            redirect_uris,
            grant_types: self.grant_types,
            scope: self.scope,
            loopback_ports: self.loopback_ports,
            name: self.name,
            uri: self.uri,
            registration: self.registration,
            trusted: self.trusted.unwrap_or(self.registration == Registration::Operator),
            status: self.status,
            epoch: self.epoch,
        })
    }
}
