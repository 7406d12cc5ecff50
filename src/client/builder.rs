//! Builds and checks a client. Only a record that is read comes into being in another way.

mod assertions;
mod machine;
mod operator;
mod origin;
mod statement;

pub use self::operator::ClientRules;
use super::kind::{RedirectUris, Rights};
use super::restrictions::check_grant_types;
use super::{
    Authentication, Client, ClientDescription, ClientError, ClientStatus, CodeFlow, ConsentMode,
    Fields, Kind, Origin, Registration, Restrictions,
};
use crate::moment::Timestamp;
use crate::policy::LifetimeOverrides;
use crate::schema::Schema;
use crate::value::grant_types::GrantTypes;
use crate::value::machine_rights::MachineRights;
use crate::value::redirect_uri::{LoopbackPorts, RedirectRules};
use crate::value::scope::Scope;
use crate::value::text::{ClientId, Subject};

/// Builds a [`Client`].
///
/// [`Client::public`], [`Client::confidential`] and [`Client::edit`] return one, and
/// [`build`](Self::build) checks it.
///
/// ```
/// use grantcore::Client;
/// use grantcore::client::ClientError;
///
/// let app = Client::public("notes-app").name("Notes").uri("https://app.example");
/// assert!(matches!(app.clone().build(), Err(ClientError::RedirectUrisMissing)));
/// let app = app.redirect_uri("https://app.example/cb").redirect_uri("http://127.0.0.1/cb").build()?;
/// # Ok::<(), ClientError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct ClientBuilder {
    id: String,
    authentication: Authentication,
    redirect_uris: Vec<String>,
    loopback_ports: Option<LoopbackPorts>,
    /// What the client is registered for.
    grant_types: GrantTypes,
    /// What the client may do on its own behalf.
    machine: Option<MachineRights>,
    /// Whether the client may exchange assertions.
    assertions: bool,
    scope: Option<Scope>,
    restrictions: Restrictions,
    /// What the caller stated in this builder. The origin decides whether that is the registration
    /// or a restriction.
    stated: Restrictions,
    /// Whether the restrictions that the record had are lifted.
    lifts: bool,
    description: ClientDescription,
    origin: Origin,
    /// What the caller stated in this builder.
    issuer: Option<String>,
    lifetimes: Option<LifetimeOverrides>,
    owner: Option<Subject>,
    trusted: Option<bool>,
    pub(super) consent: Option<ConsentMode>,
    status: ClientStatus,
    epoch: u64,
    created: Timestamp,
    described: Timestamp,
    expires: Timestamp,
}

impl ClientBuilder {
    pub(super) fn new(id: String, authentication: Authentication) -> Self {
        Self {
            id,
            authentication,
            redirect_uris: Vec::new(),
            loopback_ports: None,
            grant_types: GrantTypes { authorization_code: true, refresh_token: true },
            machine: None,
            assertions: false,
            scope: None,
            restrictions: Restrictions::default(),
            stated: Restrictions::default(),
            lifts: false,
            description: ClientDescription::default(),
            origin: Origin::Operator { issuer: None },
            issuer: None,
            lifetimes: None,
            owner: None,
            trusted: None,
            consent: None,
            status: ClientStatus::Active,
            epoch: 0,
            created: Timestamp::EPOCH,
            described: Timestamp::EPOCH,
            expires: Timestamp::NEVER,
        }
    }

    pub(super) fn editing(client: Client) -> Self {
        let Fields {
            id,
            kind,
            scope,
            restrictions,
            lifetimes,
            description,
            origin,
            owner,
            trusted,
            consent,
            status,
            epoch,
            created,
            described,
            expires,
            schema: _,
        } = client.0;
        let code_flow = kind.code_flow();
        let uris = code_flow.map_or(&[][..], |code_flow| code_flow.redirect_uris.as_slice());
        Self {
            id: id.into(),
            authentication: kind.authentication(),
            redirect_uris: uris.iter().map(|uri| uri.as_str().to_owned()).collect(),
            loopback_ports: code_flow.and_then(|code_flow| code_flow.loopback_ports),
            grant_types: kind.grant_types(),
            machine: kind.machine().cloned(),
            assertions: kind.may_use_assertions(),
            scope,
            restrictions,
            stated: Restrictions::default(),
            lifts: false,
            description,
            origin,
            issuer: None,
            lifetimes,
            owner,
            trusted: Some(trusted),
            consent,
            status,
            epoch,
            created,
            described,
            expires,
        }
    }

    /// Drops the redirect URIs.
    pub fn without_redirect_uris(mut self) -> Self {
        self.redirect_uris.clear();
        self
    }

    /// Replaces how the client authenticates, for example by a new secret. A client that the
    /// operator did not register cannot choose another method afterwards.
    pub fn authentication(mut self, authentication: Authentication) -> Self {
        self.stated.auth_method = Some(authentication.method());
        self.authentication = authentication;
        self
    }

    /// Sets how the client registered to authenticate.
    pub(crate) fn authenticating(mut self, authentication: Authentication) -> Self {
        // Who gives up proving itself gives up what needs the proof.
        if authentication == Authentication::Public {
            self.machine = None;
            self.assertions = false;
        }
        self.authentication = authentication;
        self
    }

    /// Adds a redirect URI (OAuth 2.1 §2.3.1). Requests must name it byte for byte; the port of a
    /// loopback URI may differ as [`LoopbackPorts`] says. A URI that is there already is not added
    /// again. Default: none.
    pub fn redirect_uri(mut self, uri: impl Into<String>) -> Self {
        let uri = uri.into();
        if !self.redirect_uris.contains(&uri) {
            self.redirect_uris.push(uri);
        }
        self
    }

    /// Sets the grant types (RFC 7591 §2). Default: codes and refresh tokens. For a client that the
    /// operator did not register, they are the most that the client may use, whatever it registers
    /// for.
    ///
    /// A client of the operator that has redirect URIs keeps them without `authorization_code`: its
    /// authorization requests are then refused by redirect, until this is called again. A client
    /// with a secret and without redirect URIs can still ask for introspection.
    pub fn grant_types(mut self, grant_types: GrantTypes) -> Self {
        self.stated.grant_types = Some(grant_types);
        self
    }

    /// Sets the grant types that the client registered for.
    pub(crate) fn registering_for(mut self, grant_types: GrantTypes) -> Self {
        self.grant_types = grant_types;
        self
    }

    /// Sets the widest scope that the client may ask for. Default: every scope of the policy, so
    /// that a client that leaks can do whatever its users agree to. For a client that the operator
    /// did not register, this limits whatever scope it registers for.
    pub fn scope(mut self, scope: Scope) -> Self {
        self.stated.scope = Some(scope);
        self
    }

    /// Sets the scope that the client registered for. `None` is every scope of the policy.
    pub(crate) fn limited_to(mut self, scope: Option<Scope>) -> Self {
        self.scope = scope;
        self
    }

    /// Lifts the [restrictions](Client::restrictions) that the operator set before, so that the
    /// client may use all that it registered for.
    pub fn without_restrictions(mut self) -> Self {
        self.lifts = true;
        self
    }

    /// Sets for this client which loopback ports may differ (RFC 8252 §7.3). Default: the policy's
    /// rule. Without redirect URIs it has no effect.
    ///
    /// The wider the choice, the more programs of the user's own device can receive a code.
    pub fn loopback_ports(mut self, ports: LoopbackPorts) -> Self {
        self.loopback_ports = Some(ports);
        self
    }

    /// Sets the name that the consent page shows. It is cleaned there. Default: none, and the page
    /// shows the `client_id`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.description.name = Some(name.into());
        self
    }

    /// Sets the URL of the client's home page, `https` only. Default: none.
    pub fn uri(mut self, uri: impl Into<String>) -> Self {
        self.description.uri = Some(uri.into());
        self
    }

    /// Sets the whole description, with the name and the home page.
    pub fn description(mut self, description: ClientDescription) -> Self {
        self.description = description;
        self
    }

    /// Sets how the server came to know the client. Default: [`Registration::Operator`], which
    /// never expires. A change drops what only the former registration has, such as the
    /// registration access token.
    pub fn registration(mut self, registration: Registration) -> Self {
        if registration == Registration::Operator {
            self.expires = Timestamp::NEVER;
        } else if matches!(self.origin, Origin::Operator { .. }) {
            // The client may register anew from now on. What the operator registered it for stays
            // the most that it can get.
            self.stated.scope = self.stated.scope.take().or_else(|| self.scope.take());
            let all = GrantTypes { authorization_code: true, refresh_token: true };
            if self.grant_types != all {
                self.stated.grant_types.get_or_insert(self.grant_types);
            }
            let is_document = registration == Registration::MetadataDocument;
            if is_document && self.authentication != Authentication::Public {
                self.stated.auth_method.get_or_insert(self.authentication.method());
            }
        }
        let issuer = match &mut self.origin {
            Origin::Operator { issuer } | Origin::Dynamic { issuer, .. } => issuer.take(),
            Origin::MetadataDocument { .. } => None,
        };
        self.origin = match registration {
            Registration::Operator => Origin::Operator { issuer },
            Registration::Dynamic => {
                Origin::Dynamic { issuer, registration_access_token_digest: None }
            }
            Registration::MetadataDocument => {
                Origin::MetadataDocument { asked: Timestamp::EPOCH, fresh_until: Timestamp::EPOCH }
            }
        };
        self
    }

    /// Sets the account that is responsible for the client. While that account is suspended, the
    /// client is refused. Default: none, so that no suspension ends the client's access.
    pub fn owner(mut self, owner: Subject) -> Self {
        self.owner = Some(owner);
        self
    }

    /// Sets whether errors are sent to the client by redirect without an action of the user (OAuth
    /// 2.1 §7.13). Default: only if the operator registered the client.
    ///
    /// Any link can send a signed-in user to a trusted client by way of this server.
    pub fn trusted(mut self, trusted: bool) -> Self {
        self.trusted = Some(trusted);
        self
    }

    /// Checks and builds the client under the default [`RedirectRules`].
    ///
    /// # Errors
    /// Returns [`ClientError`] for the first rule that is broken.
    pub fn build(self) -> Result<Client, ClientError> {
        self.build_under(&RedirectRules::default())
    }

    /// Checks and builds the client under these rules: a [`Policy`](crate::Policy), or its
    /// [redirect rules](crate::Policy::redirect_rules) alone.
    ///
    /// # Errors
    /// Returns [`ClientError`] for the first rule that is broken.
    pub fn build_under<'r>(
        mut self,
        rules: impl Into<ClientRules<'r>>,
    ) -> Result<Client, ClientError> {
        let rules = rules.into();
        let id = ClientId::new(&self.id)
            .map_err(|error| ClientError::Id { id: self.id.clone(), error })?;
        self.drop_unused_code_flow();
        self.apply_statement();
        check_grant_types(self.grant_types)?;
        self.restrictions.check()?;
        self.bind()?;
        self.check_lifetimes(&rules)?;
        self.check_machine(&rules)?;
        self.check_assertions()?;
        let code_flow = self.code_flow(rules.redirects)?;
        self.description.check()?;
        let is_documented = matches!(self.origin, Origin::MetadataDocument { .. });
        let rights = Rights { code: code_flow, machine: self.machine, assertions: self.assertions };
        let kind = Kind::of(self.authentication, rights, is_documented)?;
        let fields = Fields {
            schema: Schema,
            id,
            kind,
            scope: self.scope,
            restrictions: self.restrictions,
            lifetimes: self.lifetimes,
            description: self.description,
            trusted: self.trusted.unwrap_or(matches!(self.origin, Origin::Operator { .. })),
            origin: self.origin,
            owner: self.owner,
            consent: self.consent,
            status: self.status,
            epoch: self.epoch,
            created: self.created,
            described: self.described,
            expires: self.expires,
        };
        fields.check_consent()?;
        Ok(Client(fields))
    }

    /// Parses the redirect URIs. Returns `None` if the client is not registered for the code flow.
    fn code_flow(&self, rules: &RedirectRules) -> Result<Option<CodeFlow>, ClientError> {
        if !self.grant_types.authorization_code {
            return match self.redirect_uris.first() {
                Some(uri) => Err(ClientError::RedirectUriUnused { uri: uri.clone() }),
                None => Ok(None),
            };
        }
        Ok(Some(CodeFlow {
            redirect_uris: RedirectUris::parse(&self.redirect_uris, rules)?,
            loopback_ports: self.loopback_ports,
            refresh_tokens: self.grant_types.refresh_token,
        }))
    }
}
