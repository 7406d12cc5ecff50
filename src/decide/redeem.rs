//! redeem: a code becomes tokens, once (OAuth 2.1 §4.1.3). A second redemption that is valid in all
//! else revokes the grant.

use std::sync::Arc;

use super::renew::renewal;
use super::terms::narrowed_resources;
use crate::client::Client;
use crate::event::EventKind;
use crate::grant::{Grant, IssuedCode, Minted, Phase, RevocationCause, Terms};
use crate::moment::Moment;
use crate::operation::{Decision, Loaded};
use crate::policy::{Policy, TokenRedirectUri};
use crate::reason::{Endpoint, Reason};
use crate::record::Write;
use crate::refusal::Fault;
use crate::request::token::Redemption;
use crate::response::token::Tokens;
use crate::value::credential::{Issued, Kind};
use crate::value::pkce::{CodeChallenge, CodeVerifier};
use crate::value::scope::Subset;

pub(crate) fn redeem(
    request: &Redemption<'_>,
    client: &Client,
    loaded: &Loaded,
    policy: &Policy,
    moment: &Moment,
) -> Decision<Tokens> {
    let refuse = |reason| Decision::refuse(reason, Endpoint::Token, loaded, moment);
    let Some(stored) = &loaded.grant else { return refuse(Reason::CodeUnknown) };
    let grant = &*stored.record;
    let (code, challenge) = match grant.phase() {
        Phase::ConsentPending(_) => return refuse(Reason::CodeUnknown),
        Phase::Revoked(_) => return refuse(Reason::GrantRevoked),
        Phase::CodeIssued(issued) => (&issued.code, &issued.consent.challenge),
        Phase::Active(active) => (&active.code, &active.challenge),
    };
    if !request.code.secret.digest().matches(code) {
        return refuse(Reason::CodeUnknown);
    }
    if let Err(reason) = is_owners(request, client, grant.terms(), challenge, policy) {
        return refuse(reason);
    }
    let now = grant.now(moment.now);
    let issued = match grant.phase() {
        Phase::CodeIssued(issued) => issued,
        Phase::Active(active)
            if active.current.matches(&moment.entropy.refresh_secret().digest()) =>
        {
            // This request's own commit come back late: its answer is in the record.
            let access = active.find(&moment.entropy.access_secret().digest());
            let (scope, expires) =
                access.map_or((Subset::ALL, now), |live| (live.scope, live.expires));
            let expires_in = expires.seconds_from(now).max(1);
            return Decision::allow(
                EventKind::CodeRedeemed,
                tokens(client, grant, scope, expires_in, moment),
                loaded,
                moment,
            );
        }
        _ => {
            let revoked = grant.revoked(RevocationCause::Replay, now);
            return refuse(Reason::CodeReused).writing(Write::grant(Some(stored), revoked));
        }
    };
    let resources = match is_alive(request, issued, grant, loaded, policy, now) {
        Ok(resources) => resources,
        Err(fault) => {
            return Decision::refuse(fault, Endpoint::Token, loaded, moment);
        }
    };
    let minted = Minted {
        refresh: moment.entropy.refresh_secret().digest(),
        access: moment.entropy.access_secret().digest(),
        scope: Subset::ALL,
        resources,
    };
    let family = moment.entropy.secret().digest();
    let next =
        grant.redeemed(issued, family, &minted, client.grant_types().refresh_token, policy, now);
    // Already done when it was approved, unless the policy's lifetimes have grown since.
    if let Some(renewed) = renewal(loaded, next.last_use(), policy) {
        return Decision::prepare(renewed, Endpoint::Token, loaded, moment);
    }
    let expires_in = now.after(policy.lifetimes().access).min(grant.expires()).seconds_from(now);
    let tokens = tokens(client, grant, Subset::ALL, expires_in, moment);
    Decision::allow(EventKind::CodeRedeemed, tokens, loaded, moment)
        .writing(Write::grant(Some(stored), next))
}

/// Whether the code was this client's to redeem: client, redirect URI and verifier (OAuth 2.1
/// §4.1.3, §7.5.2).
fn is_owners(
    request: &Redemption<'_>,
    client: &Client,
    terms: &Terms,
    challenge: &CodeChallenge,
    policy: &Policy,
) -> Result<(), Reason> {
    if client.id() != &terms.client {
        return Err(Reason::CodeClientMismatch);
    }
    match &request.redirect_uri {
        Some(uri) if uri != terms.redirect_uri.as_str() => {
            return Err(Reason::TokenRedirectUriMismatch);
        }
        None if terms.redirect_uri_sent
            && policy.token_redirect_uri() == TokenRedirectUri::RequiredIfSent =>
        {
            return Err(Reason::TokenRedirectUriMissing);
        }
        _ => {}
    }
    match CodeVerifier::parse(&request.verifier) {
        Some(verifier) if challenge.verify(&verifier) => Ok(()),
        // A challenge is itself a well-formed verifier, so the commonest mistake arrives here.
        _ if challenge.is(&request.verifier) => Err(Reason::VerifierIsChallenge),
        Some(_) => Err(Reason::VerifierMismatch),
        None => Err(Reason::VerifierMalformed),
    }
}

/// Whether a code that was not redeemed still can be, and for which resources.
fn is_alive(
    request: &Redemption<'_>,
    issued: &IssuedCode,
    grant: &Grant,
    loaded: &Loaded,
    policy: &Policy,
    now: crate::moment::Timestamp,
) -> Result<Subset, Fault> {
    if now >= issued.expires || now >= grant.expires() {
        return Err(Reason::CodeExpired.into());
    }
    if !loaded.is_of_epoch(grant) {
        return Err(Reason::GrantEnded.into());
    }
    loaded.check_accounts()?;
    narrowed_resources(&request.resources, grant.terms(), policy)
}

fn tokens(
    client: &Client,
    grant: &Grant,
    scope: Subset,
    expires_in: u64,
    moment: &Moment,
) -> Tokens {
    let entropy = &moment.entropy;
    let refresh = || Issued::refresh(grant.id(), entropy.secret(), entropy.refresh_secret());
    Tokens {
        access: Issued::one(Kind::Access, grant.id(), entropy.access_secret()),
        refresh: client.grant_types().refresh_token.then(refresh),
        expires_in,
        terms: Arc::clone(grant.terms()),
        scope,
    }
}
