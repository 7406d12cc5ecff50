//! The rules of a platform that speaks for the programs that it runs (MCP, Workload Identity
//! Federation).

use crate::jws::Claims;

/// The most rules of one issuer.
pub(super) const MAX_RULES: usize = 256;

/// The characters that a prefix may end with. Without such a boundary, `repo:acme` is also the
/// beginning of `repo:acmeevil/site`.
pub(super) const SEPARATORS: [char; 4] = ['/', ':', '|', '#'];

/// The rules of a platform whose tokens bring tokens of this server.
///
/// The first rule whose every condition holds names the client. Scope and resources are those of
/// the operator's record of that client
/// ([`Client::federated`](crate::Client::federated)).
#[derive(Clone, Debug, Default)]
#[must_use = "rules do nothing until a policy is built with them"]
pub struct Workload {
    pub(crate) rules: Vec<WorkloadRule>,
    pub(crate) audience: Option<String>,
    pub(crate) reuse: AssertionReuse,
}

/// The number of times that one token of a platform is accepted (AMB-36).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AssertionReuse {
    /// Once. The token must have a `jti`.
    #[default]
    Once,
    /// Until it expires: the platform hands out one token for many uses, such as the file of a
    /// Kubernetes service account. Everybody who copies that token can use it too, as often.
    UntilExpiry,
}

impl Workload {
    /// Adds a rule. The first rule whose every condition holds counts.
    pub fn with_rule(mut self, rule: WorkloadRule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Sets the audience of the platform's tokens, for platforms that fix it. Default: the issuer
    /// or the URL of the token endpoint of this server.
    ///
    /// Every other service with the same audience can use the tokens that it receives at this
    /// server.
    pub fn with_audience(self, audience: impl Into<String>) -> Self {
        Self { audience: Some(audience.into()), ..self }
    }

    /// Sets how often a token of the platform can be used. Default: [`AssertionReuse::Once`].
    pub fn with_reuse(self, reuse: AssertionReuse) -> Self {
        Self { reuse, ..self }
    }

    /// Returns the client of the first rule whose every condition holds.
    pub(crate) fn client_of(&self, claims: &Claims) -> Option<&str> {
        let is_met = |rule: &&WorkloadRule| rule.conditions.iter().all(|own| own.holds(claims));
        self.rules.iter().find(is_met).map(WorkloadRule::client_id)
    }

    /// Returns the rules.
    pub fn rules(&self) -> &[WorkloadRule] {
        &self.rules
    }

    /// Returns the value of [`with_audience`](Self::with_audience).
    pub fn audience(&self) -> Option<&str> {
        self.audience.as_deref()
    }

    getters! {
        reuse: AssertionReuse,
    }
}

/// A rule that names the client of a platform's tokens. Every condition must hold.
///
/// ```
/// use grantcore::policy::{ClaimName, WorkloadRule};
///
/// let rule = WorkloadRule::new("deployer")
///     .starts_with("sub", "repo:acme/")
///     .one_of("ref", ["refs/heads/main", "refs/heads/release"])
///     .equals(ClaimName::within("kubernetes.io", "namespace"), "prod");
/// assert_eq!(rule.client_id(), "deployer");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a rule does nothing until a policy is built with it"]
pub struct WorkloadRule {
    pub(crate) client_id: String,
    pub(crate) conditions: Vec<WorkloadCondition>,
}

/// A condition on a claim.
#[derive(Clone, Debug)]
pub struct WorkloadCondition {
    pub(crate) claim: ClaimName,
    pub(crate) matching: ClaimMatch,
}

/// The name of a claim that is a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimName {
    pub(crate) name: String,
    /// The member of the claim, if the claim is an object.
    pub(crate) member: Option<String>,
}

/// The texts that fit a condition. Letter case counts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClaimMatch {
    /// This text.
    Equals(String),
    /// One of these texts.
    OneOf(Vec<String>),
    /// Every text that begins with this one, which ends in `/`, `:`, `|` or `#`.
    Prefix(String),
}

impl ClaimName {
    /// Names a member of a claim that is an object, such as `namespace` of `kubernetes.io`.
    pub fn within(claim: impl Into<String>, member: impl Into<String>) -> Self {
        Self { name: claim.into(), member: Some(member.into()) }
    }
}

impl<T: Into<String>> From<T> for ClaimName {
    fn from(name: T) -> Self {
        Self { name: name.into(), member: None }
    }
}

impl ClaimMatch {
    fn accepts(&self, text: &str) -> bool {
        match self {
            Self::Equals(own) => own == text,
            Self::OneOf(own) => own.iter().any(|own| own == text),
            Self::Prefix(own) => text.starts_with(own.as_str()),
        }
    }
}

impl WorkloadCondition {
    /// Returns whether the condition holds. A claim that is no text, such as a number or an array
    /// with the text in it, fits nothing.
    fn holds(&self, claims: &Claims) -> bool {
        let ClaimName { name, member } = &self.claim;
        let text = match member {
            None => claims.text(name),
            Some(member) => claims.inner_text(name, member),
        };
        text.ok().flatten().is_some_and(|text| self.matching.accepts(text))
    }

    /// Returns the claim.
    pub fn claim(&self) -> &ClaimName {
        &self.claim
    }

    /// Returns which texts fit.
    pub fn matching(&self) -> &ClaimMatch {
        &self.matching
    }
}

impl WorkloadRule {
    /// Starts a rule for the client of this `client_id`. It needs a condition on the `sub` or on
    /// another claim that says which program it is.
    pub fn new(client_id: impl Into<String>) -> Self {
        Self { client_id: client_id.into(), conditions: Vec::new() }
    }

    /// Adds a condition.
    pub fn when(mut self, claim: impl Into<ClaimName>, matching: ClaimMatch) -> Self {
        self.conditions.push(WorkloadCondition { claim: claim.into(), matching });
        self
    }

    /// Adds the condition that the claim is this text.
    pub fn equals(self, claim: impl Into<ClaimName>, text: impl Into<String>) -> Self {
        self.when(claim, ClaimMatch::Equals(text.into()))
    }

    /// Adds the condition that the claim is one of these texts.
    pub fn one_of(
        self,
        claim: impl Into<ClaimName>,
        texts: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.when(claim, ClaimMatch::OneOf(texts.into_iter().map(Into::into).collect()))
    }

    /// Adds the condition that the claim begins with this text, which ends in `/`, `:`, `|` or `#`.
    pub fn starts_with(self, claim: impl Into<ClaimName>, prefix: impl Into<String>) -> Self {
        self.when(claim, ClaimMatch::Prefix(prefix.into()))
    }

    /// Returns the `client_id` of the client.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Returns the conditions.
    pub fn conditions(&self) -> &[WorkloadCondition] {
        &self.conditions
    }
}
