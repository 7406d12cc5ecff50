//! The rules of an identity provider that speaks for its users
//! (draft-ietf-oauth-identity-assertion-authz-grant).

use crate::value::scope::Scope;

/// The rules of an identity provider whose assertions bring tokens of its users (ID-JAG).
///
/// The scope of a token is never wider than the ceiling, than what the assertion says, than what
/// the client may have and than what it asks for. No assertion is accepted of a client without the
/// right: the rules name the client, or the operator's record of it has
/// [`assertions`](crate::client::ClientBuilder::assertions).
///
/// ```
/// use grantcore::policy::IdJag;
///
/// let rules = IdJag::new("notes:read notes:write".parse()?)
///     .with_client("https://assistant.example/client.json")
///     .with_tenant("acme");
/// assert!(rules.clients().eq(["https://assistant.example/client.json"]));
/// # Ok::<(), grantcore::value::ScopeError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "rules do nothing until a policy is built with them"]
pub struct IdJag {
    pub(crate) ceiling: Scope,
    pub(crate) clients: Vec<String>,
    pub(crate) public_clients: Vec<String>,
    pub(crate) registered_clients: bool,
    pub(crate) tenants: Vec<String>,
    pub(crate) own_tenant: Option<String>,
    pub(crate) actors: ActorClaim,
}

/// The handling of the claim `act`, which names who acts for the user (AMB-97).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ActorClaim {
    /// The assertion is refused: the call of an agent would look like the user's own.
    #[default]
    Refuse,
    /// The claim is ignored. The event says that there was one.
    Ignore,
}

impl IdJag {
    /// Makes the rules of an identity provider whose tokens have at most this scope.
    pub fn new(ceiling: Scope) -> Self {
        Self {
            ceiling,
            clients: Vec::new(),
            public_clients: Vec::new(),
            registered_clients: false,
            tenants: Vec::new(),
            own_tenant: None,
            actors: ActorClaim::default(),
        }
    }

    /// Gives a client the right, by its `client_id`. The client must prove itself.
    pub fn with_client(mut self, client_id: impl Into<String>) -> Self {
        self.clients.push(client_id.into());
        self
    }

    /// Gives the right to a client that proves nothing, by its `client_id`.
    ///
    /// Everybody who gets an assertion for such a client can use it (ID-JAG §8.1).
    pub fn with_public_client(mut self, client_id: impl Into<String>) -> Self {
        self.public_clients.push(client_id.into());
        self
    }

    /// Sets whether each client that registered itself and proves itself has the right. Default:
    /// `false`.
    ///
    /// Anybody can register. The assertion still has to name the client.
    pub fn with_registered_clients(self, allow: bool) -> Self {
        Self { registered_clients: allow, ..self }
    }

    /// Accepts users of this tenant of the identity provider. Once a tenant is named, an assertion
    /// must name one of them. Default: none, and an assertion with a `tenant` is refused.
    ///
    /// The same `sub` of two tenants is two users.
    pub fn with_tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenants.push(tenant.into());
        self
    }

    /// Sets what the identity provider calls this server's tenant. An assertion must then have it
    /// as its `aud_tenant`. Default: none, and an assertion with one is refused.
    pub fn with_own_tenant(self, tenant: impl Into<String>) -> Self {
        Self { own_tenant: Some(tenant.into()), ..self }
    }

    /// Sets what is done with an assertion that names an actor. Default: [`ActorClaim::Refuse`].
    pub fn with_actors(self, actors: ActorClaim) -> Self {
        Self { actors, ..self }
    }

    /// Returns the widest scope of a token.
    pub fn ceiling(&self) -> &Scope {
        &self.ceiling
    }

    /// Returns the clients that have the right and prove themselves.
    pub fn clients(&self) -> impl Iterator<Item = &str> {
        self.clients.iter().map(String::as_str)
    }

    /// Returns the clients that have the right and prove nothing.
    pub fn public_clients(&self) -> impl Iterator<Item = &str> {
        self.public_clients.iter().map(String::as_str)
    }

    /// Returns the tenants whose users are accepted.
    pub fn tenants(&self) -> impl Iterator<Item = &str> {
        self.tenants.iter().map(String::as_str)
    }

    /// Returns the value of [`with_own_tenant`](Self::with_own_tenant).
    pub fn own_tenant(&self) -> Option<&str> {
        self.own_tenant.as_deref()
    }

    getters! {
        registered_clients: bool,
        actors: ActorClaim,
    }
}
