//! The steps of browsers: authorization requests and consent forms.

use grantcore::{AuthorizationStep, Choice, Error, RequestParts};

use super::play::{Fault, Kind, Play, USERS, VERIFIERS, challenge_of, form, names, redirect};
use super::rig::{Actor, Broken, CLIENTS, RESOURCES, SCOPES, call};
use super::rules::{self, Answer, Credential, Grant, Phase, Request};
use super::steps::user;
use crate::wire::To;

impl Play {
    /// Chooses the redirect URI of a request. Returns it with the place that it leads to.
    fn redirect_uri(&mut self, actor: &Actor) -> (Option<String>, Option<String>) {
        let own = *self.random.pick(actor.redirects);
        let redirect = match self.random.below(20) {
            0 => Some("https://evil.example/cb".to_owned()),
            1 => Some(format!("{own}/")),
            2..5 if actor.redirects.len() == 1 || self.random.one_in(3) => None,
            5..8 => Some(own.replacen("127.0.0.1", "127.0.0.1:49152", 1)),
            _ => Some(own.to_owned()),
        };
        let without_port = |uri: &str| uri.replacen("127.0.0.1:49152", "127.0.0.1", 1);
        let target = match &redirect {
            Some(uri) if actor.redirects.contains(&&*without_port(uri)) => Some(uri.clone()),
            // A loopback URI without a port is no place to go to.
            None if actor.redirects.len() == 1 && !own.starts_with("http:") => Some(own.to_owned()),
            _ => None,
        };
        (redirect, target)
    }

    pub fn authorize(&mut self) -> Result<(), Fault> {
        let trouble = self.trouble(None, true);
        let issuer = self.random.below(2);
        let (client, who) = (self.random.below(CLIENTS.len()), self.random.below(USERS.len()));
        let actor = &CLIENTS[client];
        let is_known = !self.random.one_in(20);
        let (redirect_uri, target) = self.redirect_uri(actor);
        let verifier = self.random.below(VERIFIERS.len());
        let scope = 1 + self.random.small(7);
        let resources = 1 + self.random.small(3);
        let flaw = self.random.below(60);
        let state = format!("{}&é=#{}", self.number, issuer);
        let challenge = challenge_of(VERIFIERS[verifier]);
        let scopes = if flaw == 1 { "unheard-of".to_owned() } else { names(&SCOPES, scope) };
        let mut pairs = vec![
            ("response_type", "code"),
            ("client_id", if is_known { actor.id } else { "nobody" }),
            ("state", &*state),
            ("scope", &*scopes),
            ("code_challenge_method", "S256"),
        ];
        if flaw != 0 {
            pairs.push(("code_challenge", &challenge));
        }
        for (bit, resource) in RESOURCES.iter().enumerate() {
            if resources & 1 << bit != 0 {
                pairs.push(("resource", resource));
            }
        }
        if flaw == 2 {
            pairs.push(("resource", "https://elsewhere.example/"));
        }
        if let Some(uri) = &redirect_uri {
            pairs.push(("redirect_uri", uri));
        }
        let query = form(&pairs);
        let request =
            RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
        let signed_in = (flaw != 3).then(|| user(who));
        let step = call!(self.rig, issuer, trouble.face, authorize(&request, signed_in));
        self.rig.applied();
        self.events(step.is_some(), 1)?;
        let Some(step) = step else { return Ok(()) };
        let is_served = is_known && self.model.clients[client].is_active;
        let expected = match &target {
            Some(target) if is_served => match flaw {
                0 => Err(Some((target, "invalid_request"))),
                1 => Err(Some((target, "invalid_scope"))),
                2 => Err(Some((target, "invalid_target"))),
                3 => Ok(None),
                _ if self.model.users[who].is_suspended => Err(Some((target, "access_denied"))),
                _ if is_made(&trouble.faults) => Ok(Some(target)),
                _ => Err(Some((target, "temporarily_unavailable"))),
            },
            _ => Err(None),
        };
        match (step, expected) {
            (Ok(AuthorizationStep::NeedsLogin(_)), Ok(None)) => Ok(()),
            (Ok(AuthorizationStep::NeedsConsent(page)), Ok(Some(target))) => {
                self.scan(&format!("{page:?}"))?;
                if (page.client_id(), page.subject()) != (actor.id, USERS[who]) {
                    return Err(format!("another's page: {page:?}"));
                }
                let grant = Grant {
                    id: self.model.grants.len(),
                    version: 0,
                    issuer,
                    client,
                    user: who,
                    scope,
                    left: scope,
                    resources,
                    redirect: target.clone(),
                    redirect_sent: redirect_uri.is_some(),
                    verifier,
                    seen: self.model.clock,
                    end: u64::MAX,
                    client_epoch: self.model.clients[client].epoch,
                    user_epoch: self.model.users[who].epoch,
                    phase: Phase::Pending { expires: self.model.clock + rules::CONSENT },
                    by: self.number,
                    minted: 0,
                };
                self.create(grant, state, &page.ticket())
            }
            (Err(error), Err(expected)) => {
                self.landed(To::Authorize, issuer, &error, expected, &state)
            }
            (step, expected) => Err(format!("{step:?}, and not {expected:?}")),
        }
    }

    /// Checks where a refusal sends the browser: nowhere, or to this URI with this error.
    pub fn landed(
        &mut self,
        to: To,
        issuer: usize,
        error: &Error<Broken>,
        expected: Option<(&String, &str)>,
        state: &str,
    ) -> Result<(), Fault> {
        self.refusal(to, issuer, error)?;
        let policy = self.rig.policy(issuer);
        let reply = error.reply(policy);
        let linked = error.refusal().problem(policy).continue_url;
        let location = reply.header("location").map(str::to_owned).or(linked);
        match (location, expected) {
            (None, None) => Ok(()),
            (Some(location), Some((base, code))) => {
                let (_, found) = redirect(&location, base, issuer, state)?;
                if found.as_deref() == Some(code) {
                    Ok(())
                } else {
                    Err(format!("{location}, and not {code}"))
                }
            }
            (location, expected) => Err(format!("{location:?}, and not {expected:?}")),
        }
    }

    pub fn consent(&mut self) -> Result<(), Fault> {
        let (text, ticket) = self.credential(Kind::Ticket);
        let own = ticket.grant().map_or(0, |grant| self.model.grants[grant].user);
        let user_index = if self.random.one_in(10) { self.random.below(2) } else { own };
        let asked = match ticket {
            Credential::Ticket(grant) => self.model.grants[grant].scope,
            _ => 1,
        };
        let part = 1 + self.random.small(7);
        let scopes = names(&SCOPES, part);
        let (choice, set) = match self.random.below(8) {
            0 if self.random.one_in(2) => (Choice::Deny, None),
            1 => (Choice::AllowOnly(&scopes), Some(part)),
            _ => (Choice::Allow, Some(asked)),
        };
        let request = Request::Consent { ticket, user: user_index, choice: set };
        let trouble = self.trouble(request.grant(), true);
        let issuer = trouble.call.issuer;
        let step = call!(self.rig, issuer, trouble.face, consent(&text, user(user_index), choice));
        let expected = self.expected(&request, &trouble, step.is_some());
        self.events(step.is_some(), 1)?;
        if let Some(id) = request.grant() {
            self.record(id)?;
        }
        let (Some(step), Some(expected)) = (step, expected) else { return Ok(()) };
        let id = ticket.grant().unwrap_or_default();
        let place = |play: &Self| (play.model.grants[id].redirect.clone(), play.states[id].clone());
        match (step, expected) {
            (Ok(to), Answer::Code(grant)) => {
                let (base, state) = place(self);
                let location = to.into_location();
                match redirect(&location, &base, issuer, &state)? {
                    (Some(code), None) => self.receive(&code, Credential::Code(grant)),
                    _ => Err(format!("no code in {location}")),
                }
            }
            (Err(error), Answer::Page) => self.landed(To::Consent, issuer, &error, None, ""),
            (Err(error), Answer::Error(code)) => {
                let (base, state) = place(self);
                self.landed(To::Consent, issuer, &error, Some((&base, code)), &state)
            }
            (Err(error), Answer::Unavailable) => {
                let code = self.refusal(To::Consent, issuer, &error)?;
                if code == "temporarily_unavailable" { Ok(()) } else { Err(code) }
            }
            (step, expected) => Err(format!("{step:?}, and not {expected:?}")),
        }
    }
}

/// Returns whether a page is made and answered under these faults.
fn is_made(faults: &[rules::Fault]) -> bool {
    for attempt in 0..rules::ATTEMPTS {
        match faults.get(attempt) {
            None => return true,
            Some(rules::Fault::Conflict) => {}
            // The next attempt finds its own page.
            Some(rules::Fault::AppliedThenConflict) => return attempt + 1 < rules::ATTEMPTS,
            Some(_) => return false,
        }
    }
    false
}
