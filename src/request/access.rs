//! A call to a protected resource (OAuth 2.1 §5.1.1): its bearer token, and what the operation
//! needs.

mod error;

pub use self::error::NeedsError;
use super::login::Login;
use super::parameters::{Parameter, for_each_parameter};
use super::parts::{Authorization, RequestParts};
use crate::grant::Principal;
use crate::moment::Timestamp;
use crate::policy::{Policy, Resource};
use crate::reason::{Endpoint, Reason};
use crate::refusal::{NeededLogin, Refusal};
use crate::value::acr::is_acr;
use crate::value::credential::{Credential, Kind};

/// The check of an access token: whether it is good for what an operation of a resource needs.
#[derive(Debug)]
pub struct AccessCheck<'a> {
    pub(crate) token: Option<Credential>,
    pub(crate) needs: &'a Needs,
}

/// The needs of an operation of a protected resource: the resource, the scope, and whether the call
/// is billed.
///
/// [`Policy::needs`] builds it once, when the host starts, and refuses what the policy does not
/// know. It owns what it names, so that a host keeps it beside its server. A check borrows it.
///
/// ```
/// use grantcore::blocking::Server;
/// use grantcore::{Access, Authorization, Error, FromStore, MemoryStore, Needs, Policy};
///
/// struct Notes {
///     server: Server<MemoryStore>,
///     read: Needs,
///     export: Needs,
/// }
///
/// impl Notes {
///     fn new() -> Result<Self, Box<dyn std::error::Error>> {
///         let mcp = "https://mcp.example/mcp";
///         let policy = Policy::builder("https://auth.example")
///             .scope("notes:read", "Read your notes")
///             .resource(mcp, "notes:read")
///             .build()?;
///         Ok(Self {
///             read: policy.needs(mcp, "notes:read")?,
///             export: policy.needs(mcp, "notes:read")?.billed(),
///             server: Server::new(policy, MemoryStore::new(), FromStore),
///         })
///     }
///
///     fn read(&self, header: &[u8]) -> Result<Access, Error<std::convert::Infallible>> {
///         self.server.check(&Authorization::One(header), &self.read)
///     }
/// }
/// # let notes = Notes::new()?;
/// # assert!(notes.read(b"Bearer x").is_err() && notes.export.is_billed());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    pub(crate) resource: Resource,
    pub(crate) scopes: Vec<String>,
    pub(crate) billed: bool,
    pub(crate) login: Option<Box<NeededLogin>>,
    /// Whether calls without a user are served.
    pub(crate) machines: bool,
    /// The classes of logins that the policy declares.
    declared_acr: Box<[String]>,
}

impl Policy {
    /// Returns the needs of an operation of this resource, for
    /// [`Server::check`](crate::Server::check): a token whose scope has each of these tokens, which
    /// are separated by spaces, or tokens that
    /// [include](crate::policy::PolicyBuilder::scope_implies) them. With an empty scope, any token
    /// for the resource suffices.
    ///
    /// A resource of a [template](crate::policy::PolicyBuilder::resource) is named by its own URL,
    /// with the values of the variables. Take the tenant from the URL that was called, never from
    /// the token.
    ///
    /// # Errors
    /// Returns [`NeedsError`] if the policy has no such resource, or does not declare a scope
    /// token. Such an operation would refuse every call.
    pub fn needs(&self, resource: &str, scope: &str) -> Result<Needs, NeedsError> {
        match self.resource(resource) {
            Some(own) => self.needs_at(&own, scope),
            None if self.declared_resource(resource).is_some() => {
                Err(NeedsError::Template { resource: resource.to_owned() })
            }
            None => Err(NeedsError::ResourceUnknown { resource: resource.to_owned() }),
        }
    }

    /// Returns the needs of an operation of a resource that the policy does not know, such as one
    /// of [`AuthorizationRequest::with_resources`](super::AuthorizationRequest::with_resources). A
    /// resource of the policy is [named](Self::needs).
    ///
    /// # Errors
    /// Returns [`NeedsError`] if the resource is a template, or the policy does not declare a scope
    /// token.
    pub fn needs_at(&self, resource: &Resource, scope: &str) -> Result<Needs, NeedsError> {
        if resource.is_template() {
            return Err(NeedsError::Template { resource: resource.identifier().to_owned() });
        }
        let mut scopes: Vec<String> = Vec::new();
        for token in scope.split(' ').filter(|token| !token.is_empty()) {
            if !self.knows_scope(token) {
                return Err(NeedsError::ScopeUndeclared { scope: token.to_owned() });
            }
            if token == "offline_access" {
                return Err(NeedsError::OfflineAccess);
            }
            if scopes.iter().all(|named| named != token) {
                scopes.push(token.to_owned());
            }
        }
        let declared_acr = self.acr_values().map(str::to_owned).collect();
        Ok(Needs {
            resource: resource.clone(),
            scopes,
            billed: false,
            login: None,
            machines: self.check_rules().machines,
            declared_acr,
        })
    }
}

impl Needs {
    /// Makes the call a billed one: the account's [balance](crate::Accounts::balance) must suffice.
    /// Default: calls are free.
    #[must_use = "the needs of a billed call are the ones returned"]
    pub fn billed(self) -> Self {
        Self { billed: true, ..self }
    }

    /// Serves clients that act on their own behalf as well, and workloads
    /// ([`Principal`](crate::grant::Principal)). Default: only calls on behalf of a user are served
    /// (RFC 9700 §4.15), unless the policy
    /// [serves machines everywhere](crate::policy::CheckRules::with_machines).
    ///
    /// The operation then gets calls without a [subject](crate::Access::subject). An operation that
    /// needs a login never serves them.
    #[must_use = "the needs that serve machines are the ones returned"]
    pub fn machines(self) -> Self {
        Self { machines: true, ..self }
    }

    /// Adds classes of logins (`acr`), of which the user's must be one (RFC 9470 §3). Default: any
    /// login suffices.
    ///
    /// A token whose user signed in otherwise is answered with the challenge
    /// `insufficient_user_authentication`, from which the client learns what to ask for. It works
    /// only if the host [passes the class](crate::User::with_login) of each login: a grant without
    /// one is never served.
    ///
    /// # Errors
    /// [`NeedsError::AcrUnknown`] if the policy declares classes, and one of these is none of them.
    pub fn acr(mut self, values: &[&str]) -> Result<Self, NeedsError> {
        for acr in values {
            let is_declared =
                self.declared_acr.is_empty() || self.declared_acr.iter().any(|own| own == acr);
            if !is_acr(acr) || !is_declared {
                return Err(NeedsError::AcrUnknown { acr: (*acr).to_owned() });
            }
        }
        let login = self.login.get_or_insert_default();
        login.acr_values.extend(values.iter().map(|acr| (*acr).to_owned()));
        Ok(self)
    }

    /// Sets for how many seconds after the user's last login the call is served (RFC 9470 §3).
    /// Default: any login suffices, however long ago.
    ///
    /// No refresh makes a login newer: the client has to authorize again. A grant whose login has
    /// no known time is never served.
    #[must_use = "the needs with the recency are the ones returned"]
    pub fn max_age(mut self, seconds: u32) -> Self {
        self.login.get_or_insert_default().max_age = Some(seconds);
        self
    }

    /// Returns the resource.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// Returns the scope tokens, all of which are needed. None: any token for the resource
    /// suffices.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scopes.iter().map(String::as_str)
    }

    /// Returns whether calls without a user are served.
    pub fn serves_machines(&self) -> bool {
        self.machines && self.login.is_none()
    }

    /// Returns whether the call is billed.
    pub fn is_billed(&self) -> bool {
        self.billed
    }

    /// Judges an access token that its authorization server has described as active (RFC 7662
    /// §2.2), by its audience, whom it speaks for, its user's login and its scope. It is for a
    /// resource in another process. `login` is the response's `auth_time` and `acr` (RFC 9470
    /// §6.2), and `now` the time of the call.
    ///
    /// # Errors
    /// Returns the [`Refusal`] if the token is for other resources, the operation does not serve
    /// the principal, or the login or the scope does not suffice.
    pub fn judge<'t>(
        &self,
        policy: &Policy,
        audience: impl IntoIterator<Item = &'t str>,
        principal: Principal<'_>,
        login: Option<Login<'_>>,
        scope: &'t str,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        // Replay by a resource: a token that it received is not valid at another one (OAuth 2.1
        // §7.1.4).
        let own = &self.resource;
        if !audience.into_iter().any(|token_for| policy.is_good_at(token_for, own)) {
            return Err(self.refuse(Reason::AudienceMismatch));
        }
        if principal.person().is_none() && !self.serves_machines() {
            return Err(self.refuse(Reason::PrincipalMismatch));
        }
        if !self.are_met_by(login, now) {
            return Err(self.refuse(Reason::LoginInsufficient));
        }
        if !self.are_within(policy, || scope.split(' ')) {
            return Err(self.refuse(Reason::ScopeInsufficient));
        }
        Ok(())
    }

    /// Returns whether the login is of a class and as recent as is needed. What is not known does
    /// not suffice.
    pub(crate) fn are_met_by(&self, login: Option<Login<'_>>, now: Timestamp) -> bool {
        let Some(needed) = &self.login else { return true };
        let Some(login) = login else { return false };
        let is_recent =
            needed.max_age.is_none_or(|seconds| now.seconds_from(login.time) <= u64::from(seconds));
        let is_of_class = needed.acr_values.is_empty()
            || login.acr.is_some_and(|own| needed.acr_values.iter().any(|acr| acr == own));
        is_recent && is_of_class
    }

    /// Returns whether a granted scope has every token that is needed, or one that includes it
    /// (RS-11). `granted` returns the granted tokens from the start.
    pub(crate) fn are_within<'t, I: Iterator<Item = &'t str>>(
        &self,
        policy: &Policy,
        granted: impl Fn() -> I,
    ) -> bool {
        let is_granted = |needed: &String| {
            granted().any(|granted| granted == needed || policy.implies(granted, needed))
        };
        self.scopes.iter().all(is_granted)
    }

    /// Makes the refusal of a call, with the challenge for these needs (RFC 6750 §3). It is for a
    /// host that judges calls by more than [`Server::check`](crate::Server::check), such as a
    /// resource that introspects its tokens or draws from a balance.
    pub fn refuse(&self, reason: Reason) -> Refusal {
        // Another token of the same client would not help: a challenge would send it for one.
        if reason == Reason::PrincipalMismatch {
            return Refusal::plain(reason, Endpoint::Resource);
        }
        let refusal = Refusal::challenge(reason, &self.resource, &self.scopes);
        match &self.login {
            // What is needed is disclosed only for a token that is good in all else so far (RFC
            // 9470 §9).
            Some(login) if reason == Reason::LoginInsufficient => {
                refusal.needing(NeededLogin::clone(login))
            }
            _ => refusal,
        }
    }
}

impl<'a> AccessCheck<'a> {
    /// Reads the `Authorization` header. Tokens in the query or the body are ignored (OAuth 2.1
    /// §5.1).
    ///
    /// # Errors
    /// Returns a [`Refusal`] with the challenge if there is no bearer credential, or a malformed
    /// one.
    pub fn parse(authorization: &Authorization<'_>, needs: &'a Needs) -> Result<Self, Refusal> {
        match authorization.credentials("Bearer") {
            None if matches!(authorization, Authorization::Several) => {
                Err(needs.refuse(Reason::BearerMalformed))
            }
            // A client that has stored no token sends the scheme alone. Only a 401 makes it
            // authorize anew (RS-03).
            None | Some([]) => Err(needs.refuse(Reason::TokenMissing)),
            Some(token) => Self::of(token, needs),
        }
    }

    /// Reads the `Authorization` header. If the policy [allows
    /// it](crate::policy::CheckRules::with_bearer_in_body), the token can be in the form body
    /// instead, as `access_token` (OAuth 2.1 §5.1.2). The query is ignored.
    ///
    /// # Errors
    /// Returns a [`Refusal`] with the challenge if there is no bearer credential, a malformed one,
    /// or one in both places.
    pub fn of_request(
        incoming: &RequestParts<'_>,
        needs: &'a Needs,
        policy: &Policy,
    ) -> Result<Self, Refusal> {
        let parameter = token_in_body(incoming, policy);
        match (&parameter.value, &incoming.authorization) {
            (None, _) => Self::parse(&incoming.authorization, needs),
            (Some(token), header) if !parameter.repeated && !has_credentials(header) => {
                Self::of(token.as_bytes(), needs)
            }
            (Some(_), _) => Err(needs.refuse(Reason::BearerMalformed)),
        }
    }

    fn of(token: &[u8], needs: &'a Needs) -> Result<Self, Refusal> {
        let parsed = std::str::from_utf8(token)
            .ok()
            .and_then(|token| Credential::parse(Kind::Access, token));
        // An access token of this server is well-formed: no character of it is looked at again.
        if parsed.is_none() && !is_token68(token) {
            return Err(needs.refuse(Reason::BearerMalformed));
        }
        Ok(Self { token: parsed, needs })
    }
}

/// Returns whether the header has a credential. The scheme `Bearer` alone is none.
fn has_credentials(authorization: &Authorization<'_>) -> bool {
    let is_bare = authorization.credentials("Bearer").is_some_and(<[u8]>::is_empty);
    !matches!(authorization, Authorization::None) && !is_bare
}

/// Returns `access_token` of the form body, if the policy and the method allow one there. A body
/// that is not a form, or that breaks a limit, has none.
fn token_in_body<'a>(incoming: &RequestParts<'a>, policy: &Policy) -> Parameter<'a> {
    let mut parameter = Parameter::default();
    let has_body = matches!(incoming.method, "POST" | "PUT" | "PATCH");
    if let (true, true, Ok(body)) =
        (policy.check_rules().bearer_in_body, has_body, incoming.form(policy.limits()))
    {
        let read = for_each_parameter(body, policy.limits(), |name, value| {
            if name == "access_token" {
                parameter.set(value);
            }
        });
        if read.is_err() {
            return Parameter::default();
        }
    }
    parameter
}

/// Returns whether this is a `token68`: token characters, then any padding (RFC 9110 §11.2).
fn is_token68(text: &[u8]) -> bool {
    let is_token =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
    let padding = text.iter().skip_while(|b| is_token(b)).all(|b| *b == b'=');
    text.first().is_some_and(is_token) && padding
}
