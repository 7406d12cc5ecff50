//! The checks of every assertion, in their order (ASSERT-12): issuer, type, algorithm, claims, and
//! last the signature. A fault here leaves the assertion unused.

use super::super::context::Context;
use super::Stop;
use super::issuer_keys::issuer_key;
use crate::decision::SingleUse;
use crate::jws::{AcceptedTypes, Claims, Fault, Jws, TimeRules, Verified, is_issuer};
use crate::moment::Timestamp;
use crate::policy::{ActorClaim, AssertionReuse, Policy, Profile, TrustedIssuer, Workload};
use crate::reason::Reason;
use crate::request::jwt_bearer::AssertionExchange;
use crate::value::seen_key::AssertionUse;

/// Claims that narrow a token in a way that this server cannot honour (ASSERT-17).
const NARROWING: [&str; 3] = ["cnf", "authorization_details", "crit"];

/// The longest name of a workload, in bytes: it is kept (ASSERT-57).
const MAX_WORKLOAD: usize = 255;

/// An assertion that is verified, and has no fault of its own.
pub(super) struct Checked<'a> {
    pub(super) issuer: &'a TrustedIssuer,
    pub(super) claims: Verified<&'a Claims>,
    /// Whom the issuer speaks of, by the issuer's name.
    pub(super) subject: &'a str,
    /// `None` if the assertion can be used until it expires.
    pub(super) single_use: Option<SingleUse>,
}

impl<'a> Checked<'a> {
    pub(super) fn of(
        jws: &'a Jws<'_>,
        exchange: &AssertionExchange<'_>,
        ctx: &Context<'a>,
    ) -> Result<Self, Stop> {
        let policy = ctx.policy;
        let claimed = jws.claims().as_claimed();
        let issuer = policy.trusted_issuer(claimed.iss()?).ok_or(Fault::Issuer)?;
        jws.header().check_type(accepted_types(issuer))?;
        jws.header().algorithm(issuer.algorithms)?;
        check_audience(issuer, claimed, policy)?;
        let end = check_times(issuer, claimed, ctx)?;
        let subject = check_subject(issuer, claimed)?;
        let single_use = if is_used_once(issuer) {
            Some(SingleUse::new(
                policy.issuer(),
                AssertionUse::Grant,
                issuer.issuer(),
                claimed.jti()?,
                end,
                Reason::AssertionReplayed,
            ))
        } else {
            None
        };
        refuse_narrowing(issuer, claimed)?;
        let key = issuer_key(issuer, jws.header(), ctx)?;
        // A policy that trusts an issuer has a verifier.
        let verifier = policy.verifier().ok_or(Fault::Signature)?;
        let claims = jws.verify(&key, &exchange.verifier(verifier))?;
        Ok(Self { issuer, claims, subject, single_use })
    }
}

fn accepted_types(issuer: &TrustedIssuer) -> AcceptedTypes {
    match issuer.profile {
        Profile::IdJag(_) => AcceptedTypes::ID_JAG,
        Profile::Workload(_) => AcceptedTypes::WORKLOAD,
    }
}

fn is_used_once(issuer: &TrustedIssuer) -> bool {
    match &issuer.profile {
        Profile::IdJag(_) => true,
        Profile::Workload(rules) => rules.reuse == AssertionReuse::Once,
    }
}

/// Audience injection: an assertion is for this server alone, or another server that got it could
/// use it here.
fn check_audience(issuer: &TrustedIssuer, claimed: &Claims, policy: &Policy) -> Result<(), Fault> {
    let audience = claimed.sole_audience()?;
    let is_own = match &issuer.profile {
        Profile::IdJag(_) => is_issuer(audience, policy.issuer()),
        Profile::Workload(Workload { audience: Some(fixed), .. }) => audience == fixed,
        Profile::Workload(_) => {
            is_issuer(audience, policy.issuer()) || audience == policy.token_endpoint()
        }
    };
    if is_own { Ok(()) } else { Err(Fault::Audience) }
}

/// Checks the times. Returns the time from which the assertion is expired for this server.
fn check_times(
    issuer: &TrustedIssuer,
    claimed: &Claims,
    ctx: &Context<'_>,
) -> Result<Timestamp, Stop> {
    let rules = TimeRules::new(issuer.leeway, issuer.longest).counted_from_issue();
    // A request that has tried its main write was judged before. Judged again, it would lose its
    // own commit to the assertion's end (I17).
    let end = if ctx.moment.is_retry {
        claimed.exp()?.ok_or(Fault::Expired)?.after(issuer.leeway)
    } else {
        claimed.check_times(rules, ctx.moment.assertion_now())?
    };
    match issuer.profile {
        Profile::IdJag(_) if claimed.iat()?.is_none() => Err(Stop::claim("iat")),
        Profile::IdJag(_) | Profile::Workload(_) => Ok(end),
    }
}

fn check_subject<'c>(issuer: &TrustedIssuer, claimed: &'c Claims) -> Result<&'c str, Fault> {
    let subject = claimed.sub()?;
    let is_kept = match issuer.profile {
        Profile::IdJag(_) => true,
        Profile::Workload(_) => {
            subject.len() <= MAX_WORKLOAD && !subject.chars().any(char::is_control)
        }
    };
    if is_kept { Ok(subject) } else { Err(Fault::Subject) }
}

/// A token that ignores what narrows the assertion is wider than what the issuer signed. A value of
/// `null` is a value.
fn refuse_narrowing(issuer: &TrustedIssuer, claimed: &Claims) -> Result<(), Stop> {
    if let Some(name) = NARROWING.into_iter().find(|name| claimed.has(name)) {
        return Err(Stop::claim(name));
    }
    let ignores_actors = match &issuer.profile {
        Profile::IdJag(rules) => rules.actors == ActorClaim::Ignore,
        Profile::Workload(_) => false,
    };
    if claimed.has("act") && !ignores_actors { Err(Stop::claim("act")) } else { Ok(()) }
}
