//! Builds a client and checks it: no client exists whose redirect URIs were not judged.

use super::{
    Authentication, Client, ClientDescription, ClientError, ClientStatus, Fields, Origin,
    Registration, Restrictions,
};
use crate::moment::Timestamp;
use crate::schema::Schema;
use crate::value::grant_types::GrantTypes;
use crate::value::redirect_uri::{
    LoopbackPorts, RedirectRules, RedirectUriError, RegisteredRedirectUri,
};
use crate::value::scope::Scope;
use crate::value::secret::Digest;
use crate::value::text::{ClientId, Subject};

/// Builds a [`Client`]. Made by [`Client::public`], [`Client::confidential`] and [`Client::edit`];
/// [`build`](Self::build) checks it.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct ClientBuilder {
    id: String,
    authentication: Authentication,
    redirect_uris: Vec<String>,
    grant_types: GrantTypes,
    scope: Option<Scope>,
    restrictions: Restrictions,
    /// What the operator says now. It depends on the origin whether that is the registration itself
    /// or a restriction.
    stated: Restrictions,
    /// Whether the operator lifts the restrictions there were.
    lifts: bool,
    loopback_ports: Option<LoopbackPorts>,
    description: ClientDescription,
    origin: Origin,
    owner: Option<Subject>,
    trusted: Option<bool>,
    status: ClientStatus,
    epoch: u64,
    created: Timestamp,
    expires: Timestamp,
}

impl ClientBuilder {
    pub(super) fn new(id: String, authentication: Authentication) -> Self {
        Self {
            id,
            authentication,
            redirect_uris: Vec::new(),
            grant_types: GrantTypes { authorization_code: true, refresh_token: true },
            scope: None,
            restrictions: Restrictions::default(),
            stated: Restrictions::default(),
            lifts: false,
            loopback_ports: None,
            description: ClientDescription::default(),
            origin: Origin::Operator,
            owner: None,
            trusted: None,
            status: ClientStatus::Active,
            epoch: 0,
            created: Timestamp::EPOCH,
            expires: Timestamp::NEVER,
        }
    }

    pub(super) fn editing(client: Client) -> Self {
        let Fields {
            id,
            authentication,
            redirect_uris,
            grant_types,
            scope,
            restrictions,
            loopback_ports,
            description,
            origin,
            owner,
            trusted,
            status,
            epoch,
            created,
            expires,
            schema: _,
        } = client.0;
        Self {
            id: id.into(),
            authentication,
            redirect_uris: redirect_uris.iter().map(|uri| uri.as_str().to_owned()).collect(),
            grant_types,
            scope,
            restrictions,
            stated: Restrictions::default(),
            lifts: false,
            loopback_ports,
            description,
            origin,
            owner,
            trusted: Some(trusted),
            status,
            epoch,
            created,
            expires,
        }
    }

    /// Drops the redirect URIs, to name others.
    pub fn without_redirect_uris(mut self) -> Self {
        self.redirect_uris.clear();
        self
    }

    /// Replaces the redirect URIs by those the client names. Who vouched for the client vouched for
    /// where its answers go, and for no other place.
    pub(crate) fn redirecting_to(mut self, uris: Vec<String>) -> Self {
        let before = std::mem::take(&mut self.redirect_uris);
        let mut next = uris.into_iter().fold(self, Self::redirect_uri);
        next.trusted = next.trusted.map(|trusted| trusted && next.redirect_uris == before);
        next
    }

    /// Replaces the way it authenticates, for example by a new secret. A client that is not the
    /// operator's own cannot choose another method afterwards.
    pub fn authentication(mut self, authentication: Authentication) -> Self {
        self.stated.auth_method = Some(authentication.method());
        self.authenticating(authentication)
    }

    /// The way in which it registered to authenticate.
    pub(crate) fn authenticating(mut self, authentication: Authentication) -> Self {
        self.authentication = authentication;
        self
    }

    /// Adds a redirect URI; requests must name it byte for byte. One that is there already is not
    /// added twice.
    pub fn redirect_uri(mut self, uri: impl Into<String>) -> Self {
        let uri = uri.into();
        if !self.redirect_uris.contains(&uri) {
            self.redirect_uris.push(uri);
        }
        self
    }

    /// The grant types of the client. Default: codes and refresh tokens. Of a client that is not the
    /// operator's own, those it may use at most, whatever it registers for.
    pub fn grant_types(mut self, grant_types: GrantTypes) -> Self {
        self.stated.grant_types = Some(grant_types);
        self
    }

    /// The grant types it registered for.
    pub(crate) fn registering_for(mut self, grant_types: GrantTypes) -> Self {
        self.grant_types = grant_types;
        self
    }

    /// The most it may ask for. Default: whatever the policy knows. Of a client that is not the
    /// operator's own, a ceiling over whatever scope it registers for.
    pub fn scope(mut self, scope: Scope) -> Self {
        self.stated.scope = Some(scope);
        self
    }

    /// The scope it registered for, or whatever the policy knows.
    pub(crate) fn limited_to(mut self, scope: Option<Scope>) -> Self {
        self.scope = scope;
        self
    }

    /// Lifts the [restrictions](Client::restrictions) that the operator set before: what the client
    /// registered for holds again.
    pub fn without_restrictions(mut self) -> Self {
        self.lifts = true;
        self
    }

    /// For this client alone, whose loopback port may vary. Default: the policy's rule.
    pub fn loopback_ports(mut self, ports: LoopbackPorts) -> Self {
        self.loopback_ports = Some(ports);
        self
    }

    /// The name the consent page shows, cleaned there.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.description.name = Some(name.into());
        self
    }

    /// Its own page; `https` only.
    pub fn uri(mut self, uri: impl Into<String>) -> Self {
        self.description.uri = Some(uri.into());
        self
    }

    /// All that it says of itself, name and page included.
    pub fn description(mut self, description: ClientDescription) -> Self {
        self.description = description;
        self
    }

    /// How the server came to know it. Default: [`Registration::Operator`]. One that the operator
    /// adopts is known for good. A changed one loses what only its former kind has, such as the
    /// token that manages a registration.
    pub fn registration(mut self, registration: Registration) -> Self {
        if registration == Registration::Operator {
            self.expires = Timestamp::NEVER;
        } else if matches!(self.origin, Origin::Operator) {
            // What the operator registered it for is then the most that its own words can reach.
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
        self.origin = match registration {
            Registration::Operator => Origin::Operator,
            Registration::Dynamic => Origin::Dynamic { management: None },
            Registration::MetadataDocument => {
                Origin::MetadataDocument { fresh_until: Timestamp::EPOCH }
            }
        };
        self
    }

    /// The account that answers for it: while that is suspended, so is the client. Default: none.
    pub fn owner(mut self, owner: Subject) -> Self {
        self.owner = Some(owner);
        self
    }

    /// It registered itself: now, and until then it is known unless it is used. Its epoch is drawn,
    /// so that a record that was dropped and comes back has another one, and grants of the old
    /// one stay dead.
    pub(crate) fn registered(
        mut self,
        management: Option<Digest>,
        now: Timestamp,
        until: Timestamp,
        epoch: u64,
    ) -> Self {
        (self.origin, self.created, self.expires, self.epoch) =
            (Origin::Dynamic { management }, now, until, epoch);
        self
    }

    /// It is known by a document that was fetched now.
    pub(crate) fn documented(mut self, fresh_until: Timestamp, until: Timestamp) -> Self {
        (self.origin, self.expires) =
            (Origin::MetadataDocument { fresh_until }, self.expires.max(until));
        self
    }

    /// It is known from now on, under this epoch.
    pub(crate) fn new_at(mut self, now: Timestamp, epoch: u64) -> Self {
        (self.created, self.epoch, self.expires) = (now, epoch, Timestamp::EPOCH);
        self
    }

    /// Whether errors may be sent to it without the user's doing (OAuth 2.1 §7.13). Default: only
    /// if the operator registered it.
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

    /// Checks and builds under these rules, usually
    /// [`Policy::redirect_rules`](crate::Policy::redirect_rules).
    ///
    /// # Errors
    /// [`ClientError`], the first thing that is wrong.
    pub fn build_under(mut self, rules: &RedirectRules) -> Result<Client, ClientError> {
        let id = ClientId::new(&self.id)?;
        self.take_statement();
        let allowed = self.restrictions.grant_types;
        if [Some(self.grant_types), allowed]
            .into_iter()
            .flatten()
            .any(|types| types.refresh_token && !types.authorization_code)
        {
            return Err(ClientError::GrantTypes);
        }
        if self.grant_types.authorization_code && self.redirect_uris.is_empty() {
            return Err(RedirectUriError::Missing.into());
        }
        if self.redirect_uris.len() > rules.limit {
            return Err(RedirectUriError::TooMany.into());
        }
        if !self.description.is_sound() {
            return Err(ClientError::Uri);
        }
        let redirect_uris = self
            .redirect_uris
            .iter()
            .map(|uri| RegisteredRedirectUri::parse(uri, rules))
            .collect::<Result<_, _>>()?;
        Ok(Client(Fields {
            schema: Schema,
            id,
            authentication: self.authentication,
            redirect_uris,
            grant_types: self.grant_types,
            scope: self.scope,
            restrictions: self.restrictions,
            loopback_ports: self.loopback_ports,
            description: self.description,
            trusted: self.trusted.unwrap_or(matches!(self.origin, Origin::Operator)),
            origin: self.origin,
            owner: self.owner,
            status: self.status,
            epoch: self.epoch,
            created: self.created,
            expires: self.expires,
        }))
    }

    /// Puts what the operator states where it belongs. The operator's own client is registered by
    /// these words; any other is restricted by them, or its next update or document would undo them.
    fn take_statement(&mut self) {
        let stated = std::mem::take(&mut self.stated);
        if self.lifts {
            self.restrictions = Restrictions::default();
        }
        if matches!(self.origin, Origin::Operator) {
            if let Some(scope) = stated.scope {
                self.scope = Some(scope);
                self.restrictions.scope = None;
            }
            if let Some(grant_types) = stated.grant_types {
                self.grant_types = grant_types;
                self.restrictions.grant_types = None;
            }
            self.restrictions.auth_method = None;
        } else {
            let before = std::mem::take(&mut self.restrictions);
            self.restrictions = Restrictions {
                scope: stated.scope.or(before.scope),
                grant_types: stated.grant_types.or(before.grant_types),
                auth_method: stated.auth_method.or(before.auth_method),
            };
        }
    }
}
