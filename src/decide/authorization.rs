//! authorize: from a request to a login, a consent page, or the first rule it breaks (OAuth 2.1
//! §4.1.1).
//!
//! The order is fixed (AUTHZ-05). Until client and redirect URI are verified, errors are told to
//! the user only.

use std::sync::Arc;

use super::document::{Found, dropped, find};
use super::terms::{dropped_scope, requested_resources, requested_scope};
use crate::client::Client;
use crate::event::EventKind;
use crate::grant::{Grant, PendingConsent, Phase, Terms};
use crate::keys::{ClientKey, Keys};
use crate::moment::Moment;
use crate::operation::{Decision, Loaded, Operation};
use crate::policy::Policy;
use crate::reason::{Endpoint, Reason};
use crate::record::Write;
use crate::refusal::{Fault, Redirectable, Refusal, host_hint, quoted};
use crate::request::authorization::{AuthorizationRequest, User};
use crate::response::authorization::{AuthorizationStep, ConsentPage, LoginPage};
use crate::value::credential::{Issued, Kind};
use crate::value::pkce::CodeChallenge;
use crate::value::prompt::PromptWords;
use crate::value::redirect_uri::VerifiedRedirectUri;
use crate::value::scope::Scope;
use crate::value::secret::Digest;
use crate::value::text::Subject;

/// What a request asks for, once nothing is wrong with it.
struct Asked {
    challenge: CodeChallenge,
    scope: Scope,
    resources: Box<[Box<str>]>,
    prompt: PromptWords,
}

impl Operation for AuthorizationRequest<'_> {
    type Response = AuthorizationStep;

    fn keys(&self, _: &Policy, moment: &Moment) -> Keys<'_> {
        Keys {
            // Under an id it has just drawn, only a request that lost a race can find a record.
            grant: (moment.again || self.challenge_once && self.user.is_some())
                .then(|| self.grant_id(moment)),
            client: ClientKey::named(&*self.client_id),
            subject: self.user.as_ref().map(|user| user.subject),
            ..Keys::default()
        }
    }

    fn decide(
        &self,
        loaded: &Loaded,
        policy: &Policy,
        moment: &Moment,
    ) -> Decision<AuthorizationStep> {
        let decision = authorize(self, loaded, policy, moment);
        match dropped(self, loaded, policy, moment) {
            Some(dropped) => decision.narrowed(&dropped, None),
            None => decision,
        }
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Authorization
    }
}

fn authorize(
    request: &AuthorizationRequest<'_>,
    loaded: &Loaded,
    policy: &Policy,
    moment: &Moment,
) -> Decision<AuthorizationStep> {
    let refuse =
        |refusal| Decision::refuse_by(refusal, loaded, moment).claimed_by(&request.client_id);
    let client = match find(request, loaded, policy, moment) {
        Ok(Found::Client(client)) => client,
        Ok(Found::Unread(document)) => {
            let step = AuthorizationStep::NeedMetadata(document);
            return Decision::allow(EventKind::DocumentNeeded, step, loaded, moment)
                .claimed_by(&request.client_id);
        }
        Ok(Found::Read(write)) => {
            return Decision::prepare(write, Endpoint::Authorization, loaded, moment);
        }
        Err(refusal) => return refuse(refusal),
    };
    let redirect_uri = match redirect_uri(request, client, policy) {
        Ok(uri) => uri,
        Err(reason) => {
            let sent = request.redirect_uri.get().unwrap_or_default();
            let fault = reason.received(sent).maybe_hint(host_hint(sent));
            return refuse(Refusal::of(fault, Endpoint::Authorization));
        }
    };
    // A state that came twice has no value that could be sent back.
    let state = request.state.get().filter(|_| !request.state.repeated);
    // Whoever sends `prompt=none` expects an answer and no page: a trusted client gets it whether
    // or not somebody is signed in. To any other client nobody is sent without a click, or this
    // would be an open redirector (OAuth 2.1 §7.13; RFC 9700 §4.11.2).
    let is_silent = prompt_words(request).is_ok_and(|prompt| prompt.none);
    let tell = |fault: Fault| {
        let to = Redirectable::of(
            redirect_uri.clone(),
            state,
            request.user.is_some() || is_silent && client.is_trusted(),
            client.is_trusted(),
            policy,
        );
        Refusal::redirectable(fault, to)
    };
    let asked = match judge(request, client, policy) {
        Ok(asked) => asked,
        Err(fault) => return refuse(tell(fault)),
    };
    let dropped = || dropped_scope(request.scope.get(), policy);
    let user = match &request.user {
        Some(user) if !asked.prompt.asks_for_sign_in() => user,
        // A sign-in made for another request, or before this one, is none that this one asked for.
        Some(user) if user.signed_in_for.is_some_and(|own| own.matches(&request.digest())) => user,
        None if asked.prompt.none => return refuse(tell(Reason::LoginRequired.into())),
        _ => {
            let page = LoginPage {
                client: Arc::clone(client),
                request: request.digest(),
                prompt: asked.prompt,
            };
            let step = AuthorizationStep::NeedsLogin(page);
            return Decision::allow(EventKind::LoginNeeded, step, loaded, moment)
                .noticing(dropped());
        }
    };
    if let Err(reason) = loaded.check_accounts() {
        return refuse(tell(reason.into()));
    }
    if asked.prompt.none {
        return refuse(tell(Reason::ConsentRequired.into()));
    }
    let ticket = moment.entropy.secret();
    let id = request.grant_id(moment);
    let page = |grant| {
        let page = ConsentPage {
            ticket: Issued::one(Kind::Ticket, id, ticket),
            client: Arc::clone(client),
            grant,
        };
        Decision::allow(
            EventKind::ConsentShown,
            AuthorizationStep::NeedsConsent(page),
            loaded,
            moment,
        )
        .noticing(dropped())
    };
    if let Some(stored) = &loaded.grant {
        match occupant(&stored.record, user, moment) {
            Occupant::Own => return page(Arc::clone(&stored.record)),
            Occupant::Reload if request.challenge_once => {}
            _ if request.challenge_once => return refuse(tell(Reason::PkceChallengeReused.into())),
            _ => return refuse(tell(Reason::Contended.into())),
        }
    }
    let grant =
        pending(request, user, client, loaded, redirect_uri.clone(), asked, state, policy, moment);
    let next = Arc::new(grant);
    let write = Write::grant(loaded.grant.as_ref(), Arc::clone(&next));
    page(next).writing(write).or_unsaved(tell(Reason::StorageUnavailable.into()))
}

/// What a record is that stands where this request would put its own.
enum Occupant {
    /// This very request's, come back late.
    Own,
    /// A page of the same browser that nobody has answered.
    Reload,
    Other,
}

fn occupant(grant: &Grant, user: &User<'_>, moment: &Moment) -> Occupant {
    match grant.phase() {
        Phase::ConsentPending(prompt)
            if prompt.ticket.matches(&moment.entropy.secret().digest()) =>
        {
            Occupant::Own
        }
        Phase::ConsentPending(prompt) if is_of(prompt, grant, user) => Occupant::Reload,
        _ => Occupant::Other,
    }
}

/// Whether a page was made for this user in this browser session.
pub(super) fn is_of(prompt: &PendingConsent, grant: &Grant, user: &User<'_>) -> bool {
    user.subject == grant.subject().as_str() && Digest::of(user.session).matches(&prompt.session)
}

fn redirect_uri(
    request: &AuthorizationRequest<'_>,
    client: &Client,
    policy: &Policy,
) -> Result<VerifiedRedirectUri, Reason> {
    if request.redirect_uri.repeated {
        return Err(Reason::RedirectUriRepeated);
    }
    client.verify_redirect(request.redirect_uri.get(), policy)
}

/// Steps 4 to 11: what is wrong with a request whose answer has somewhere to go.
fn judge(
    request: &AuthorizationRequest<'_>,
    client: &Client,
    policy: &Policy,
) -> Result<Asked, Fault> {
    if let Some(name) = request.repeated() {
        return Err(Reason::ParameterRepeated.hint(format!("Repeated: {}.", quoted(name))));
    }
    if request.request.get().is_some() {
        return Err(Reason::RequestObject.into());
    }
    if request.request_uri.get().is_some() {
        return Err(Reason::RequestUri.into());
    }
    match request.response_type.get() {
        None => return Err(Reason::ResponseTypeMissing.into()),
        Some("code") => {}
        Some(other) => return Err(Reason::ResponseTypeUnsupported.received(other)),
    }
    if !client.grant_types().authorization_code {
        return Err(Reason::CodeFlowUnauthorized.into());
    }
    match request.response_mode.get() {
        None | Some("query") => {}
        Some(other) => return Err(Reason::ResponseModeUnsupported.received(other)),
    }
    let challenge = code_challenge(request)?;
    let scope = requested_scope(request.scope.get(), client, policy)?;
    let resources = requested_resources(&request.resources, policy)?;
    let prompt = prompt_words(request)?;
    Ok(Asked { challenge, scope, resources, prompt })
}

/// Reads `prompt`. `none` beside another known word contradicts itself.
fn prompt_words(request: &AuthorizationRequest<'_>) -> Result<PromptWords, Fault> {
    let text = request.prompt.get().unwrap_or_default();
    PromptWords::parse(text).ok_or_else(|| Reason::PromptContradiction.received(text))
}

/// PKCE with S256, for every client (OAuth 2.1 §7.5.1).
fn code_challenge(request: &AuthorizationRequest<'_>) -> Result<CodeChallenge, Fault> {
    let challenge = request.code_challenge.get().ok_or(Reason::PkceMissing)?;
    match request.code_challenge_method.get() {
        None => Err(Reason::PkceMethodMissing.into()),
        Some("S256") => CodeChallenge::parse(challenge).ok_or_else(|| {
            let length = challenge.chars().count();
            Reason::PkceMalformed.hint(format!("The one received has {length} characters."))
        }),
        Some(other) => Err(Reason::PkceMethod.received(other)),
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "one record, gathered in one place from all that it is made of"
)]
fn pending(
    request: &AuthorizationRequest<'_>,
    user: &User<'_>,
    client: &Client,
    loaded: &Loaded,
    redirect_uri: VerifiedRedirectUri,
    asked: Asked,
    state: Option<&str>,
    policy: &Policy,
    moment: &Moment,
) -> Grant {
    let now = loaded.grant.as_ref().map_or(moment.now, |stored| stored.record.now(moment.now));
    let terms = Terms {
        client: client.id().clone(),
        subject: Subject::new(user.subject),
        redirect_uri,
        redirect_uri_sent: request.redirect_uri.get().is_some(),
        scope: asked.scope,
        resources: asked.resources,
        client_epoch: client.epoch(),
        account_epoch: loaded.account.map_or(0, |account| account.epoch),
        created: now,
    };
    let prompt = PendingConsent {
        ticket: moment.entropy.secret().digest(),
        session: Digest::of(user.session),
        challenge: asked.challenge,
        state: state.map(Into::into),
        expires: now.after(policy.lifetimes().consent),
    };
    Grant::pending(request.grant_id(moment), terms, prompt, now)
}
