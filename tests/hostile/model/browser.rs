//! The steps of browsers: authorization requests and consent forms.

use grantcore::{AuthorizationStep, Choice, Error, RequestParts};

use grantcore::request::{Fetch, FetchedDocument};

use super::clients::{Ask, Published};
use super::documents::fetched;
use super::play::{Fault, Kind, Play, USERS, VERIFIERS, challenge_of, form, names, redirect};
use super::records::{CONSENT, Credential, Grant, Origin, Phase};
use super::registration::REDIRECTS;
use super::rig::{CLIENTS, DOCUMENTS, RESOURCES, SCOPES, call};
use super::rules::{Answer, Request};
use super::steps::{Trouble, user};
use super::store::Broken;
use crate::wire::To;

/// An authorization request, with what the model does not see of it.
struct Visit {
    ask: Ask,
    query: String,
    state: String,
    client: usize,
    scope: u8,
    resources: u8,
    verifier: usize,
}

impl Play {
    /// Chooses the redirect URI of a request: mostly one of its client.
    fn redirect_uri(&mut self, client: usize) -> Option<String> {
        let mut own = self.model.clients[client].redirects.clone();
        if let Some(Published::Document { redirects, .. }) =
            client.checked_sub(CLIENTS.len()).and_then(|document| self.published.get(document))
        {
            own.extend(redirects.iter().cloned());
        }
        let count = own.len();
        let own =
            if own.is_empty() { REDIRECTS[0].to_owned() } else { self.random.pick(&own).clone() };
        match self.random.below(24) {
            0 => Some("https://evil.example/cb".to_owned()),
            1 => Some(format!("{own}/")),
            2..5 if count == 1 || self.random.one_in(3) => None,
            9..12 if count == 1 => None,
            5..8 => Some(own.replacen("127.0.0.1", "127.0.0.1:49152", 1)),
            8 => Some((*self.random.pick(&REDIRECTS)).to_owned()),
            _ => Some(own),
        }
    }

    /// Chooses a client: one of the operator, of a document, or one that registered itself.
    fn any_client(&mut self) -> usize {
        let known = CLIENTS.len() + DOCUMENTS.len();
        let registered: Vec<_> = (known..self.clients.len()).collect();
        match self.random.recent(&registered) {
            Some(client) if self.random.one_in(2) => *client,
            _ => self.random.below(known),
        }
    }

    fn visit(&mut self) -> Visit {
        let (client, user) = (self.any_client(), self.random.below(USERS.len()));
        let is_known = !self.random.one_in(20);
        let redirect = self.redirect_uri(client);
        let verifier = self.random.below(VERIFIERS.len());
        let own = self.model.clients[client].scope;
        let scope = match (1 + self.random.small(7)) & own {
            0 => 1 + self.random.small(7),
            part if !self.random.one_in(12) => part,
            _ => 1 + self.random.small(7),
        };
        let resources = 1 + self.random.small(3);
        let flaw = self.random.below(60);
        let state = format!("{}&é=#", self.number);
        let challenge = challenge_of(VERIFIERS[verifier]);
        let scopes = if flaw == 1 { "unheard-of".to_owned() } else { names(&SCOPES, scope) };
        let mut pairs = vec![
            ("response_type", "code"),
            ("client_id", if is_known { &*self.clients[client] } else { "nobody" }),
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
        pairs.extend(redirect.as_deref().map(|uri| ("redirect_uri", uri)));
        let query = form(&pairs);
        let ask = Ask {
            client: is_known.then_some(client),
            redirect,
            user,
            is_signed_in: flaw != 3,
            has_challenge: flaw != 0,
            scope: (flaw != 1).then_some(scope),
            has_known_resources: flaw != 2,
            fetched: None,
        };
        Visit { ask, query, state, client, scope, resources, verifier }
    }

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
        let own = match self.model.clients[visit.client].origin {
            Origin::Registered(issuer) => issuer,
            Origin::Operator | Origin::Document(_) => self.random.below(2),
        };
        let trouble = self.trouble_at(own, true, true);
        let issuer = trouble.call.issuer;
        let request = RequestParts {
            method: "GET",
            query: visit.query.as_bytes(),
            ..RequestParts::default()
        };
        let signed_in = ask.is_signed_in.then(|| user(ask.user));
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
            (step, expected) => Err(format!("{step:?}, and not {expected:?} at {target:?}")),
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
