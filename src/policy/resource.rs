//! What access tokens are for, and what they allow: the protected resources and scopes of a policy.

use std::borrow::Cow;
use std::sync::Arc;

use super::template::{Instance, Template};
use super::{Audience, Policy, ResourceDescription, ScopeFor};
use crate::value::resource::{self as indicator, well_known};
use crate::value::scope::Scope;
use crate::value::uri::is_server_url;

/// The well-known suffix of a resource's metadata document (RFC 9728 §3).
const SUFFIX: &str = "oauth-protected-resource";

/// A protected resource: an API that access tokens are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    pub(crate) identifier: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) metadata_url: String,
    pub(crate) description: Arc<ResourceDescription>,
    pub(crate) kind: ResourceKind,
}

/// The kind of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ResourceKind {
    /// One resource.
    One,
    /// All resources of a form.
    Template(Arc<Template>),
    /// One resource of a template, with the values of the template's variables.
    Instance { of: Arc<Template>, variables: Vec<(String, String)> },
}

/// The reason why a text is not the resource of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a resource is an https URL with a host, and without user, password, fragment and braces \
     (RFC 9728 §1.2)"
)]
#[non_exhaustive]
pub struct ResourceError;

impl Resource {
    /// Makes a resource that the policy does not know, for
    /// [`AuthorizationRequest::with_resources`](crate::request::AuthorizationRequest::with_resources)
    /// and [`Policy::needs_at`]. `scopes` are the scope tokens that its metadata lists, separated
    /// by spaces.
    ///
    /// ```
    /// use grantcore::policy::Resource;
    ///
    /// let acme = Resource::new("https://mcp.acme.example/", "notes")?;
    /// assert_eq!(acme.identifier(), "https://mcp.acme.example/");
    /// # Ok::<(), grantcore::policy::ResourceError>(())
    /// ```
    ///
    /// # Errors
    /// Returns [`ResourceError`] if the identifier is no URL of a resource. `http` is admitted on a
    /// loopback host, for development.
    pub fn new(identifier: impl Into<String>, scopes: &str) -> Result<Self, ResourceError> {
        let identifier = identifier.into();
        if !is_server_url(&identifier, true) || identifier.contains(['{', '}']) {
            return Err(ResourceError);
        }
        Ok(Self::declared(identifier, scopes))
    }

    /// Makes a resource that a builder was given. The policy checks it.
    pub(super) fn declared(identifier: String, scopes: &str) -> Self {
        Self {
            metadata_url: well_known(&identifier, SUFFIX),
            identifier,
            scopes: scopes.split_ascii_whitespace().map(str::to_owned).collect(),
            description: Arc::default(),
            kind: ResourceKind::One,
        }
    }

    /// Returns the resource identifier (RFC 8707 §2; RFC 9728 §1.2): an absolute URI, best the
    /// exact URL that clients call. That of a template has its variables.
    pub fn identifier(&self) -> &str {
        &self.identifier
    }

    /// Returns the scope tokens that the resource advertises (`scopes_supported`, RFC 9728 §2).
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scopes.iter().map(String::as_str)
    }

    /// Returns the URL of the resource's metadata document (RFC 9728 §3). That of a template has
    /// its variables.
    pub fn metadata_url(&self) -> &str {
        &self.metadata_url
    }

    /// Returns whether this is a template: the form of many resources, and no resource itself.
    pub fn is_template(&self) -> bool {
        self.template().is_some()
    }

    /// Returns the values of the template's variables, in the order of the template. A resource
    /// that is not of a template has none.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        let variables = match &self.kind {
            ResourceKind::Instance { variables, .. } => variables.as_slice(),
            ResourceKind::One | ResourceKind::Template(_) => &[],
        };
        variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the value of one variable.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables().find_map(|(own, value)| (own == name).then_some(value))
    }

    pub(crate) fn template(&self) -> Option<&Arc<Template>> {
        match &self.kind {
            ResourceKind::Template(template) => Some(template),
            ResourceKind::One | ResourceKind::Instance { .. } => None,
        }
    }

    /// Returns the template that this is an instance of.
    pub(crate) fn instance_of(&self) -> Option<&Arc<Template>> {
        match &self.kind {
            ResourceKind::Instance { of, .. } => Some(of),
            ResourceKind::One | ResourceKind::Template(_) => None,
        }
    }

    /// Returns the resource of this template that a URL is of, or is below. Returns `None` for a
    /// URL that matches nothing, and for a resource that is no template.
    ///
    /// The host of the URL must be the one that was called: behind a proxy, the one that the proxy
    /// received.
    ///
    /// ```
    /// let policy = grantcore::Policy::builder("https://auth.example")
    ///     .resource("https://api.example/{org}", "")
    ///     .build()?;
    /// let template = &policy.resources()[0];
    /// let called = template.called_at("https://api.example/acme/notes/7").ok_or("no resource")?;
    /// assert_eq!(called.identifier(), "https://api.example/acme");
    /// assert_eq!(called.variable("org"), Some("acme"));
    /// let needs = policy.needs_at(&called, "")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn called_at(&self, url: &str) -> Option<Self> {
        Some(self.of_instance(self.template()?.instance_above(url)?))
    }

    /// Returns the instance of this template that the text names.
    fn instance(&self, text: &str) -> Option<Self> {
        Some(self.of_instance(self.template()?.instance(text)?))
    }

    fn of_instance(&self, Instance { identifier, variables }: Instance) -> Self {
        let kind = match self.template() {
            Some(of) => ResourceKind::Instance { of: Arc::clone(of), variables },
            None => ResourceKind::One,
        };
        Self {
            metadata_url: well_known(&identifier, SUFFIX),
            identifier,
            scopes: self.scopes.clone(),
            description: Arc::clone(&self.description),
            kind,
        }
    }
}

impl Policy {
    /// Returns the resource that this indicator names (RFC 8707 §2). For an instance of a template,
    /// its identifier has the template's spelling. A template itself is named by no indicator.
    pub fn resource(&self, indicator: &str) -> Option<Cow<'_, Resource>> {
        let one = self
            .resources
            .iter()
            .find(|own| !own.is_template() && self.is_same_resource(&own.identifier, indicator));
        one.map(Cow::Borrowed).or_else(|| self.instance(indicator).map(Cow::Owned))
    }

    /// Returns the resource whose document is at the root of its host too: the default one, or else
    /// the only one. A template is neither.
    pub fn main_resource(&self) -> Option<&Resource> {
        match (self.resources.as_slice(), &self.default_resource) {
            (_, Some(default)) => self.resources.iter().find(|own| own.identifier == *default),
            ([only], None) => Some(only).filter(|only| !only.is_template()),
            (_, None) => None,
        }
    }

    /// Returns the resource of this identifier as it was declared, also if it is a template, or an
    /// instance of a template.
    pub(crate) fn declared_resource(&self, identifier: &str) -> Option<Cow<'_, Resource>> {
        let template =
            self.resources.iter().find(|own| own.is_template() && own.identifier == identifier);
        template.map(Cow::Borrowed).or_else(|| self.resource(identifier))
    }

    fn instance(&self, indicator: &str) -> Option<Resource> {
        let found = self.resources.iter().find_map(|own| own.instance(indicator))?;
        let is_exact = self.check_rules.audience == Audience::Exact;
        (!is_exact || found.identifier == indicator).then_some(found)
    }

    /// Returns the variables of these resources, each with its value.
    pub(crate) fn variables_of<'r>(
        &self,
        resources: impl Iterator<Item = &'r str>,
    ) -> Vec<(String, String)> {
        if !self.resources.iter().any(Resource::is_template) {
            return Vec::new();
        }
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let found = resources.filter_map(|own| self.instance(own));
        found.flat_map(|own| own.variables().map(owned).collect::<Vec<_>>()).collect()
    }

    /// Returns the resources of a request that names none, or `None` if such a request is refused.
    pub(crate) fn assumed_resources(&self) -> Option<&Arc<[Box<str>]>> {
        self.assumed_resources.as_ref()
    }

    /// Returns the resource of a request that names none.
    pub(crate) fn assumed_resource(&self) -> Option<&str> {
        self.assumed_resources().and_then(|assumed| assumed.first()).map(|assumed| &**assumed)
    }

    /// Returns whether two indicators name one resource.
    pub(crate) fn is_same_resource(&self, own: &str, other: &str) -> bool {
        match self.check_rules.audience {
            Audience::Exact => own == other,
            Audience::Canonical | Audience::PathPrefix => indicator::same(own, other),
        }
    }

    /// Returns whether a token for one resource is accepted at another.
    pub(crate) fn is_good_at(&self, token_for: &str, called: &Resource) -> bool {
        match &called.kind {
            ResourceKind::One => {
                let is_by_prefix = self.check_rules.audience == Audience::PathPrefix;
                self.is_same_resource(token_for, &called.identifier)
                    || is_by_prefix && indicator::covers(token_for, &called.identifier)
            }
            // A tenant is never reached by a token for something above it, such as a resource at
            // the root of the host: the user has not agreed to that tenant (I60).
            ResourceKind::Instance { .. } => self.is_same_resource(token_for, &called.identifier),
            ResourceKind::Template(template) => template.instance(token_for).is_some(),
        }
    }

    /// Returns the resource whose metadata document is at this URL, if there is one (RFC 9728 §3).
    pub(crate) fn resource_of_document(&self, url: &str) -> Option<Cow<'_, Resource>> {
        let is_one =
            |own: &&Resource| !own.is_template() && indicator::same(&own.metadata_url, url);
        if let Some(found) = self.resources.iter().find(is_one) {
            return Some(Cow::Borrowed(found));
        }
        let identifier = indicator::identifier_of(url, SUFFIX)?;
        let of_template = |text: &str| self.resources.iter().find_map(|own| own.instance(text));
        // The slash at the end of an identifier is not in the URL of its document.
        let found = of_template(&identifier).or_else(|| of_template(&format!("{identifier}/")));
        found.map(Cow::Owned).or_else(|| {
            let main = self.main_resource()?;
            let root = indicator::at_root(&main.identifier, SUFFIX);
            indicator::same(&root, url).then_some(Cow::Borrowed(main))
        })
    }
}

/// A scope token of the policy, and what it means to the user who is asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeInfo {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) of: ScopeFor,
}

impl ScopeInfo {
    /// Returns the scope token.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns who can be granted the scope token.
    pub fn is_for(&self) -> ScopeFor {
        self.of
    }

    /// Returns what the scope lets a client do, in words for the user.
    pub fn description(&self) -> &str {
        &self.description
    }
}

/// The number of scopes up to which a search one by one is faster.
const FEW_SCOPES: usize = 8;

impl Policy {
    /// Sorts the names of the scopes, for [`find_scope`](Self::find_scope), and joins them. The
    /// policy is checked.
    pub(super) fn order_scopes(&mut self) {
        let mut order: Vec<u16> = (0..=u16::MAX).take(self.scopes.len()).collect();
        let name = |position: &u16| self.scopes.get(usize::from(*position)).map(ScopeInfo::name);
        order.sort_by(|one, other| name(one).cmp(&name(other)));
        self.scope_order = order;
        let names: Vec<_> = self.scopes.iter().map(ScopeInfo::name).collect();
        let listed = names.join(" ");
        self.whole_scope = Scope::parse(&listed).ok().map(|whole| Box::new((listed, whole)));
    }

    /// Returns the scope of all tokens if the text names them in the order of the metadata. Clients
    /// of MCP request all that the metadata lists. To parse and look up two tokens takes 500
    /// instructions of an authorization request.
    pub(crate) fn whole_scope(&self, text: &str) -> Option<&Scope> {
        let (listed, whole) = &**self.whole_scope.as_ref()?;
        (listed == text).then_some(whole)
    }

    /// Returns the scope of this name.
    pub(crate) fn find_scope(&self, name: &str) -> Option<&ScopeInfo> {
        // The order is missing before the policy is built, and for more scopes than it can number.
        if self.scopes.len() <= FEW_SCOPES || self.scope_order.len() != self.scopes.len() {
            return self.scopes.iter().find(|own| own.name == name);
        }
        let found = |position: &u16| self.scopes.get(usize::from(*position));
        let place = self
            .scope_order
            .binary_search_by(|position| found(position).map(ScopeInfo::name).cmp(&Some(name)));
        self.scope_order.get(place.ok()?).and_then(found)
    }

    /// Returns whether a scope token includes another, directly or through others (MCP, Step-Up
    /// Authorization Flow).
    pub fn implies(&self, granted: &str, needed: &str) -> bool {
        self.implied
            .binary_search_by(|(own, included)| {
                (own.as_str(), included.as_str()).cmp(&(granted, needed))
            })
            .is_ok()
    }
}
