//! The steps of browsers: authorization requests and consent forms.

use grantcore::{AuthorizationStep, Choice, Error, RequestParts};

use grantcore::Timestamp;
use grantcore::request::{ConsentDecision, Fetch, FetchedDocument, Site};

use super::accounts::properties;
use super::clients::Published;
use super::documents::fetched;
use super::play::{Fault, Kind, Play, USERS, names, redirect};
use super::records::{ABSOLUTE, CODE, CONSENT, Credential, Grant, Phase};
use super::rig::{CLIENTS, SCOPES, call};
use super::rules::{Answer, Request};
use super::steps::{Trouble, user};
use super::store::Broken;
use super::visits::Visit;
use crate::wire::To;

impl Play {
    pub fn authorize(&mut self) -> Result<(), Fault> {
        let mut visit = self.visit();
        if self.random.one_in(12) || self.open(&visit)? {
            // Meanwhile, the document may change.
            match self.random.below(12) {
                0 => self.wait(),
                1 => self.publish(),
                _ => {}
            }
            let document = visit.client.checked_sub(CLIENTS.len());
            let published = document.and_then(|document| self.published.get(document));
            visit.ask.fetched = Some(published.cloned().unwrap_or(Published::Bad));
            self.number += 1;
            self.open(&visit)?;
        }
        Ok(())
    }

    /// Sends an authorization request, and returns whether the host is asked for the document.
    fn open(&mut self, visit: &Visit) -> Result<bool, Fault> {
        let ask = &visit.ask;
        let mut trouble = self.trouble_at(visit.issuer, true, true);
        if self.is_ambiguous(ask.remembered) {
            self.rig.store.fail(&trouble.faults, false, trouble.is_read_broken);
            trouble.call.is_stale = false;
        }
        let issuer = trouble.call.issuer;
        let request = RequestParts {
            method: "GET",
            query: visit.query.as_bytes(),
            site: if ask.is_own_site { Site::SameOrigin } else { Site::CrossSite },
            ..RequestParts::default()
        };
        let signed_in = ask.is_signed_in.then(|| match ask.remembered {
            Some(earlier) => user(ask.user).remembering(self.grant(earlier).1),
            None => user(ask.user),
        });
        let step = match &ask.fetched {
            None => call!(self.rig, issuer, trouble.face, authorize(&request, signed_in)),
            Some(published) => {
                let response = fetched(published, &self.clients[visit.client], &mut self.random);
                let fetch = match &response {
                    Ok(response) => Fetch::Document(FetchedDocument {
                        status: response.status,
                        content_type: response.content_type.as_deref(),
                        fresh_for: response.fresh_for,
                        body: &response.body,
                    }),
                    Err(fetch) => *fetch,
                };
                let face = trouble.face;
                call!(self.rig, issuer, face, authorize_with_document(&request, signed_in, fetch))
            }
        };
        let call = self.ended(&trouble, step.is_some());
        let (expected, target) = if trouble.is_read_broken {
            (Answer::Unavailable, None)
        } else {
            self.model.authorize(ask, call, &trouble.faults)
        };
        self.reach("authorize", &expected, step.is_some());
        self.events(step.is_some(), 1)?;
        self.client_record(visit.client)?;
        let Some(step) = step else { return Ok(false) };
        self.opened(visit, &trouble, step, (expected, target))
    }

    fn opened(
        &mut self,
        visit: &Visit,
        trouble: &Trouble,
        step: Result<AuthorizationStep, Error<Broken>>,
        (expected, target): (Answer, Option<String>),
    ) -> Result<bool, Fault> {
        let issuer = trouble.call.issuer;
        let state = &visit.state;
        let refused = |code: &'static str| target.as_ref().map(|target| (target, code));
        match (step, &expected) {
            (Ok(AuthorizationStep::NeedsLogin(_)), Answer::Login) => Ok(false),
            (Ok(AuthorizationStep::NeedsDocument(document)), Answer::Document)
                if document.url == self.clients[visit.client]
                    && document.no_redirects
                    && document.forbid_special_ips
                    && !document.allow_loopback =>
            {
                Ok(true)
            }
            (Ok(AuthorizationStep::NeedsConsent(page)), Answer::Consent) => {
                self.scan(&format!("{page:?}"))?;
                let owner = (page.client_id(), page.subject());
                if owner != (&*self.clients[visit.client], USERS[visit.ask.user]) {
                    return Err(format!("another's page: {page:?}"));
                }
                let grant = self.pending(visit, issuer, target.unwrap_or_default());
                self.create(grant, state.clone(), &page.ticket())?;
                Ok(false)
            }
            (Ok(AuthorizationStep::Done(to)), Answer::Code(_)) => {
                let target = target.unwrap_or_default();
                let location = to.into_location();
                let (Some(code), None) = redirect(&location, &target, issuer, state)? else {
                    return Err(format!("no code in {location}"));
                };
                let grant = self.silent(visit, issuer, target);
                self.create(grant, state.clone(), &code)?;
                Ok(false)
            }
            (Err(error), Answer::Error(code)) => {
                self.landed(To::Authorize, issuer, &error, refused(code), state)?;
                Ok(false)
            }
            (Err(error), Answer::Page) => {
                self.landed(To::Authorize, issuer, &error, None, state)?;
                Ok(false)
            }
            (Err(error), Answer::Unavailable) => {
                let expected = refused("temporarily_unavailable");
                self.landed(To::Authorize, issuer, &error, expected, state)?;
                let status = error.refusal().status();
                if target.is_none() && status != 503 { Err(format!("{status}")) } else { Ok(false) }
            }
            (step, expected) => {
                let earlier = visit.ask.remembered.map(|id| &self.model.grants[id]);
                let wanted = format!("{expected:?} at {target:?} for {:?}", visit.ask);
                Err(format!("{step:?}, and not {wanted} by {:?} and {earlier:?}", trouble.faults))
            }
        }
    }

    /// Returns the grant of a consent page.
    fn pending(&self, visit: &Visit, issuer: usize, redirect: String) -> Grant {
        let Visit { ask, client, scope, resources, verifier, .. } = visit;
        Grant {
            id: self.model.grants.len(),
            version: 0,
            issuer,
            client: *client,
            user: ask.user,
            scope: *scope,
            left: *scope,
            resources: *resources,
            asked: Some(self.model.clock),
            relies_on: None,
            properties: 0,
            redirect,
            redirect_sent: ask.redirect.is_some(),
            verifier: *verifier,
            seen: self.model.clock,
            end: u64::MAX,
            client_epoch: self.model.clients[*client].epoch,
            user_epoch: self.model.users[ask.user].epoch,
            phase: Phase::Pending { expires: self.model.clock + CONSENT },
            by: self.number,
            minted: 0,
        }
    }

    /// Returns whether a stale read of the grant shows other terms than a fresh one, so that those
    /// of a new grant would depend on the attempt that made it.
    fn is_ambiguous(&self, earlier: Option<usize>) -> bool {
        let terms = |grant: &Grant| (grant.end, grant.properties);
        earlier.is_some_and(|id| {
            let previous = self.model.previous.get(&id);
            previous.is_some_and(|previous| terms(previous) != terms(&self.model.grants[id]))
        })
    }

    /// Returns the grant of a code that was issued without a page.
    fn silent(&self, visit: &Visit, issuer: usize, redirect: String) -> Grant {
        let earlier = visit.ask.remembered.expect("a grant is remembered");
        let own = &self.model.grants[earlier];
        let end = own.end.min(self.model.clock + ABSOLUTE);
        Grant {
            end,
            asked: None,
            relies_on: Some(earlier),
            properties: own.properties,
            phase: Phase::Code { expires: end.min(self.model.clock + CODE) },
            ..self.pending(visit, issuer, redirect)
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
        let chosen = if self.random.one_in(2) { self.random.small(4) } else { 0 };
        let until = match self.random.below(40) {
            0 => Some(self.model.clock),
            1 => Some(self.model.clock + 400),
            2 => Some(self.model.clock + 1_000_000),
            _ => None,
        };
        let bound = (chosen, until);
        let request = Request::Consent { ticket, user: user_index, choice: set, bound };
        let trouble = self.trouble(request.grant(), true);
        let issuer = trouble.call.issuer;
        let face = trouble.face;
        let step = if let Ok(mut decision) = ConsentDecision::new(&text, user(user_index), choice) {
            if let Some(properties) = properties(bound.0) {
                decision = decision.with_properties(properties);
            }
            if let Some(end) = bound.1 {
                decision = decision.until(Timestamp::from_unix_seconds(end));
            }
            call!(self.rig, issuer, face, run(decision))
        } else {
            call!(self.rig, issuer, face, consent(&text, user(user_index), choice))
        };
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
