//! approve, deny: the one answer of one consent page (RFC 6749 §10.12; OAuth 2.1 §4.1.2).

use super::authorization::is_of;
use super::renew::renewal;
use crate::event::EventKind;
use crate::grant::{Grant, PendingConsent, Phase, RevocationCause};
use crate::keys::Keys;
use crate::moment::Moment;
use crate::operation::{Decision, Loaded, Operation};
use crate::policy::Policy;
use crate::reason::{Endpoint, Reason};
use crate::record::Write;
use crate::refusal::{Redirectable, Refusal};
use crate::request::consent::{Choice, ConsentDecision};
use crate::response::redirect::Redirect;
use crate::value::credential::{Issued, Kind};
use crate::value::scope::Scope;

impl Operation for ConsentDecision<'_> {
    type Response = Redirect;

    fn keys(&self, _: &Policy, _: &Moment) -> Keys<'_> {
        Keys { grant: Some(self.ticket.id), ..Keys::default() }
    }

    fn decide(&self, loaded: &Loaded, policy: &Policy, moment: &Moment) -> Decision<Redirect> {
        decide(self, loaded, policy, moment)
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Authorization
    }
}

fn decide(
    request: &ConsentDecision<'_>,
    loaded: &Loaded,
    policy: &Policy,
    moment: &Moment,
) -> Decision<Redirect> {
    let refuse = |refusal| Decision::refuse_by(refusal, loaded, moment);
    let page = |reason| refuse(Refusal::plain(reason, Endpoint::Authorization));
    let Some(stored) = &loaded.grant else { return page(Reason::TicketUnknown) };
    let grant = &*stored.record;
    // The page that was made, whatever has become of it since.
    let (prompt, pending) = match grant.phase() {
        Phase::ConsentPending(prompt) => (prompt, true),
        Phase::CodeIssued(issued) => (&issued.consent, false),
        Phase::Revoked(revoked) => match &revoked.denied {
            Some(prompt) => (prompt, false),
            None => return page(Reason::ConsentUsed),
        },
        Phase::Active(_) => return page(Reason::ConsentUsed),
    };
    if let Err(reason) = is_asked(request, grant, prompt) {
        return page(reason);
    }
    if let Err(reason) = client_fits(grant, loaded, policy, moment) {
        return page(reason);
    }
    let told = |reason| {
        let to =
            Redirectable::after_user_action(&grant.terms().redirect_uri, prompt.state.as_deref());
        Refusal::redirectable(reason, to)
    };
    let tell = |reason| refuse(told(reason));
    // A denial needs no standing: it grants nothing, and must last.
    if let (Err(reason), Choice::Allow | Choice::AllowOnly(_)) =
        (loaded.check_accounts(), request.choice)
    {
        return tell(reason);
    }
    let code = moment.entropy.secret().digest();
    let approved = || {
        let code = Issued::one(Kind::Code, grant.id(), moment.entropy.secret());
        let redirect =
            Redirect::with_code(&grant.terms().redirect_uri, code, prompt.state.as_deref(), policy);
        Decision::allow(EventKind::ConsentApproved, redirect, loaded, moment)
    };
    if !pending {
        // Its own answer come back late is its answer; so is the same denial again.
        return match (grant.phase(), request.choice) {
            (Phase::CodeIssued(issued), Choice::Allow | Choice::AllowOnly(_))
                if issued.code.matches(&code) =>
            {
                approved()
            }
            (Phase::Revoked(revoked), Choice::Deny) if revoked.cause == RevocationCause::Denied => {
                tell(Reason::AccessDenied)
            }
            _ => page(Reason::ConsentUsed),
        };
    }
    let now = grant.now(moment.now);
    if now >= prompt.expires || !loaded.is_of_epoch(grant) {
        return page(Reason::ConsentExpired);
    }
    let part = match granted_scope(request.choice, grant) {
        Err(reason) => return page(reason),
        Ok(Granted::Nothing) => {
            let denied = Write::grant(Some(stored), grant.denied(prompt, now));
            return tell(Reason::AccessDenied)
                .writing(denied)
                .or_unsaved(told(Reason::StorageUnavailable));
        }
        Ok(Granted::All) => None,
        Ok(Granted::Part(scope)) => Some(scope),
    };
    // What the page showed may have been taken from the client, or from the policy, since.
    if let Err(reason) = is_open(part.as_ref().unwrap_or(grant.scope()), grant, loaded, policy) {
        return tell(reason);
    }
    let next = grant.approved(prompt, code, part, policy, now);
    // The code may be redeemed at its last moment, and the tokens then be used for their whole
    // life.
    let last_use = now
        .after(policy.lifetimes().code)
        .after(policy.lifetimes().refresh_idle)
        .min(next.expires());
    let decision = match renewal(loaded, last_use, policy) {
        Some(renewed) => Decision::prepare(renewed, Endpoint::Authorization, loaded, moment),
        None => approved().writing(Write::grant(Some(stored), next)),
    };
    decision.or_unsaved(told(Reason::StorageUnavailable))
}

/// Whether this is the page's ticket, sent by the user and from the session it was made for.
fn is_asked(
    request: &ConsentDecision<'_>,
    grant: &Grant,
    prompt: &PendingConsent,
) -> Result<(), Reason> {
    if !request.ticket.secret.digest().matches(&prompt.ticket) {
        return Err(Reason::TicketUnknown);
    }
    if is_of(prompt, grant, &request.user) { Ok(()) } else { Err(Reason::ConsentSessionMismatch) }
}

/// Whether the client is still served and still registered for the redirect URI.
fn client_fits(
    grant: &Grant,
    loaded: &Loaded,
    policy: &Policy,
    moment: &Moment,
) -> Result<(), Reason> {
    let client = loaded.served(grant.client_id().as_str(), moment.now)?;
    let named = grant.terms().redirect_uri_sent.then(|| grant.terms().redirect_uri.as_str());
    let still = client.verify_redirect(named, policy)?;
    if still == grant.terms().redirect_uri { Ok(()) } else { Err(Reason::RedirectUriMismatch) }
}

/// Returns whether the client may still be granted this scope by a code.
fn is_open(scope: &Scope, grant: &Grant, loaded: &Loaded, policy: &Policy) -> Result<(), Reason> {
    let Some(stored) = loaded.client_of(grant.client_id().as_str()) else {
        return Err(Reason::ClientUnknown);
    };
    if !stored.record.grant_types().authorization_code {
        return Err(Reason::CodeFlowUnauthorized);
    }
    if !scope.tokens().all(|token| policy.knows_scope(token)) {
        return Err(Reason::ScopeUnknown);
    }
    let is_open = scope.tokens().all(|token| stored.record.may_ask_for(token, policy));
    if is_open { Ok(()) } else { Err(Reason::ScopeForbidden) }
}

enum Granted {
    Nothing,
    All,
    Part(Scope),
}

fn granted_scope(choice: Choice<'_>, grant: &Grant) -> Result<Granted, Reason> {
    let tokens = match choice {
        Choice::Deny => return Ok(Granted::Nothing),
        Choice::Allow => return Ok(Granted::All),
        Choice::AllowOnly(tokens) => tokens,
    };
    let scope = Scope::parse(tokens).map_err(|_| Reason::ConsentScope)?;
    match grant.scope().covers(&scope) {
        true if scope == *grant.scope() => Ok(Granted::All),
        true => Ok(Granted::Part(scope)),
        false => Err(Reason::ConsentScope),
    }
}
