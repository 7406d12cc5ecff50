//! The steps of a program: each makes a request, sends it on one of the faces, and judges the answer
//! by the model's.

use grantcore::client::ClientStatus;
use grantcore::request::{Narrowing, Site};
use grantcore::{
    Authorization, AuthorizationStep, Choice, ContentType, Error, Reply, RequestParts, RevokedBy,
    User,
};

use super::play::{Fault, Kind, Play, SESSIONS, USERS, VERIFIERS, challenge_of, form, names};
use super::rig::{Broken, CLIENTS, Face, ISSUERS, RESOURCES, SCOPES, SECRET, call};
use super::rules::{self, Answer, Call, Claim, Credential, Grant, Model, Phase, Request};
use super::scan::challenge;
use crate::wire::To;

fn posted(body: &str) -> RequestParts<'_> {
    RequestParts {
        method: "POST",
        content_type: ContentType::FORM,
        body: body.as_bytes(),
        site: Site::NotSaid,
        source: "192.0.2.7",
        ..RequestParts::default()
    }
}

fn user(index: usize) -> User<'static> {
    User::new(USERS[index], SESSIONS[index]).expect("a user")
}

/// The circumstances of a request, as the model and the store get them.
struct Trouble {
    call: Call,
    face: Face,
    faults: Vec<rules::Fault>,
    is_read_broken: bool,
}

impl Play {
    /// Makes one step.
    pub fn step(&mut self) -> Result<(), Fault> {
        self.number += 1;
        self.reached.steps += 1;
        let is_somebody_out = self.model.users.iter().any(|user| user.is_suspended)
            || self.model.clients.iter().any(|client| !client.is_active);
        if is_somebody_out && self.random.one_in(8) {
            return self.operate();
        }
        match self.random.below(100) {
            0..10 => self.authorize(),
            10..22 => self.on_the_way(Kind::Ticket),
            22..36 => self.on_the_way(Kind::Code),
            36..58 => self.on_the_way(Kind::Refresh),
            58..62 => self.revoke(),
            62..76 => self.on_the_way(Kind::Access),
            76..79 => self.introspect(),
            79..81 => self.disconnect(),
            81..85 => self.narrow(),
            85..93 => {
                self.wait();
                Ok(())
            }
            93..95 => {
                self.model.land();
                self.rig.land();
                self.records()
            }
            _ => self.operate(),
        }
    }

    /// Presents a credential of this kind, or makes a step towards one.
    fn on_the_way(&mut self, kind: Kind) -> Result<(), Fault> {
        match kind {
            Kind::Refresh if self.is_due(kind) => self.refresh(),
            Kind::Access if self.is_due(kind) => self.check(),
            Kind::Access if self.random.one_in(2) => self.on_the_way(Kind::Refresh),
            Kind::Refresh | Kind::Access => self.on_the_way(Kind::Code),
            Kind::Code if self.is_due(kind) => self.redeem(),
            Kind::Code => self.on_the_way(Kind::Ticket),
            Kind::Ticket if self.is_due(kind) => self.consent(),
            Kind::Ticket => self.authorize(),
        }
    }

    /// Moves the clock: mostly a little, sometimes past the end of something, sometimes back.
    fn wait(&mut self) {
        let seconds = match self.random.below(8) {
            0 => self.random.below(40) as i64 * -1,
            1 if self.random.one_in(4) => -400,
            2 => 29 + self.random.below(3) as i64,
            3 if self.random.one_in(2) => 599 + self.random.below(3) as i64,
            4 => 300,
            5 if self.random.one_in(4) => 2_000,
            5 if self.random.one_in(4) => 5_990,
            _ => self.random.below(20) as i64,
        };
        self.model.clock = self.model.clock.saturating_add_signed(seconds);
        self.rig.set_clock(self.model.clock);
    }

    /// Returns the circumstances of a request for this grant. `writes` is false for a check.
    fn trouble(&mut self, grant: Option<usize>, writes: bool) -> Trouble {
        let own = grant.map_or(0, |grant| self.model.grants[grant].issuer);
        let issuer = if self.random.one_in(12) { self.random.below(2) } else { own };
        let face = self.face();
        let is_calm = self.random.below(3) > 0 || matches!(face, Face::Asynchronous(Some(_)));
        let mut faults = Vec::new();
        while !is_calm && writes && faults.len() < 5 && !self.random.one_in(2) {
            faults.push(*self.random.pick(&[
                rules::Fault::Conflict,
                rules::Fault::Conflict,
                rules::Fault::AppliedThenConflict,
                rules::Fault::Unacknowledged,
                rules::Fault::Dropped,
                rules::Fault::Late,
            ]));
        }
        let is_stale = writes && !is_calm && self.random.one_in(4);
        let is_read_broken = !is_calm && grant.is_some() && self.random.one_in(12);
        self.rig.fail(&faults, is_stale, is_read_broken);
        let call = Call { issuer, number: self.number, is_stale };
        Trouble { call, face, faults, is_read_broken }
    }

    /// Returns the answer of the model. A call that was cancelled has made its write or not.
    fn expected(&mut self, request: &Request, trouble: &Trouble, is_over: bool) -> Option<Answer> {
        let applied = self.rig.applied();
        let answer = match (is_over, trouble.is_read_broken) {
            (true, true) => Some(Answer::Unavailable),
            (true, false) => Some(self.model.run(request, trouble.call, &trouble.faults)),
            (false, _) if applied > 0 => {
                self.model.run(request, trouble.call, &trouble.faults);
                None
            }
            (false, _) => None,
        };
        let name = answer.as_ref().map_or("cancelled", Answer::name);
        *self.reached.answers.entry((request.name(), name)).or_default() += 1;
        answer
    }

    /// Chooses who sends a request for a grant: mostly its client with its proof.
    fn claim(&mut self, grant: Option<usize>) -> (Claim, Vec<(&'static str, String)>) {
        let own = grant.map_or(0, |grant| self.model.grants[grant].client);
        let client = if self.random.one_in(14) { self.random.below(CLIENTS.len()) } else { own };
        if self.random.one_in(60) {
            let id = *self.random.pick(&["nobody", "app ", "APP", "\u{e9}", "a\u{0}"]);
            let claim = Claim { client: None, is_proven: false };
            return (claim, vec![("client_id", id.to_owned())]);
        }
        let actor = &CLIENTS[client];
        let mut pairs = vec![("client_id", actor.id.to_owned())];
        let is_proven = !self.random.one_in(40);
        match (actor.has_secret, is_proven) {
            (true, true) => pairs.push(("client_secret", SECRET.to_owned())),
            (true, false) if self.random.one_in(2) => {}
            (_, false) => pairs.push(("client_secret", format!("{SECRET}x"))),
            (false, true) => {}
        }
        (Claim { client: Some(client), is_proven }, pairs)
    }

    fn send(
        &mut self,
        to: To,
        pairs: &[(&'static str, String)],
        trouble: &Trouble,
    ) -> Option<Result<Reply, Error<Broken>>> {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, &**value)).collect();
        let body = form(&pairs);
        let request = posted(&body);
        let issuer = trouble.call.issuer;
        match to {
            To::Token => call!(self.rig, issuer, trouble.face, token(&request)),
            To::Revoke => call!(self.rig, issuer, trouble.face, revoke(&request)),
            _ => call!(self.rig, issuer, trouble.face, introspect(&request)),
        }
    }

    /// Compares an answer of an endpoint for programs with the model's.
    fn compare(
        &mut self,
        to: To,
        request: &Request,
        trouble: &Trouble,
        answer: Option<Result<Reply, Error<Broken>>>,
    ) -> Result<(), Fault> {
        let expected = self.expected(request, trouble, answer.is_some());
        self.events(answer.is_some(), 1)?;
        if let Some(id) = request.grant() {
            self.record(id)?;
        }
        let (Some(answer), Some(expected)) = (answer, expected) else { return Ok(()) };
        let wrong = |got: String| Err(format!("{got}, and not {expected:?}"));
        match (answer, &expected) {
            (Ok(reply), Answer::Tokens { .. }) if reply.status == 200 => {
                self.tokens(&reply, &expected)
            }
            (Ok(reply), Answer::Done) if reply.status == 200 && reply.body.is_empty() => Ok(()),
            (Ok(reply), Answer::Inactive) if reply.body == r#"{"active":false}"# => Ok(()),
            (Ok(reply), Answer::Active { grant, scope, expires }) => {
                self.scan(&reply.body)?;
                let body: serde_json::Value =
                    serde_json::from_str(&reply.body).map_err(|error| error.to_string())?;
                let own = &self.model.grants[*grant];
                let is_right = body["active"] == true
                    && body["client_id"] == CLIENTS[own.client].id
                    && body["sub"] == USERS[own.user]
                    && body["iss"] == ISSUERS[own.issuer]
                    && body["exp"] == *expires
                    && body["scope"].as_str().unwrap_or_default() == names(&SCOPES, *scope);
                if is_right { Ok(()) } else { wrong(reply.body) }
            }
            (Ok(reply), _) => wrong(format!("{} {}", reply.status, reply.body)),
            (Err(error), expected) => {
                let code = self.refusal(to, trouble.call.issuer, &error)?;
                let reply = error.reply(self.rig.policy(trouble.call.issuer));
                match expected {
                    Answer::Refused(own) if *own == code => Ok(()),
                    Answer::Unavailable if reply.status == 503 => {
                        let is_retryable = code == "temporarily_unavailable"
                            && reply.header("retry-after").is_some();
                        if is_retryable { Ok(()) } else { wrong(code) }
                    }
                    _ => wrong(format!("{code} by {:?}", error.refusal().reason())),
                }
            }
        }
    }

    fn authorize(&mut self) -> Result<(), Fault> {
        let trouble = self.trouble(None, true);
        let issuer = self.random.below(2);
        let (client, who) = (self.random.below(CLIENTS.len()), self.random.below(USERS.len()));
        let actor = &CLIENTS[client];
        let is_known = !self.random.one_in(20);
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
        let verifier = self.random.below(VERIFIERS.len());
        let scope = 1 + self.random.below(7) as u8;
        let resources = 1 + self.random.below(3) as u8;
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
        if let Some(uri) = &redirect {
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
                    redirect_sent: redirect.is_some(),
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
    fn landed(
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
                let (_, found) = self.redirect(&location, base, issuer, state)?;
                if found.as_deref() == Some(code) {
                    Ok(())
                } else {
                    Err(format!("{location}, and not {code}"))
                }
            }
            (location, expected) => Err(format!("{location:?}, and not {expected:?}")),
        }
    }

    fn consent(&mut self) -> Result<(), Fault> {
        let (text, ticket) = self.credential(Kind::Ticket);
        let own = ticket.grant().map_or(0, |grant| self.model.grants[grant].user);
        let user_index = if self.random.one_in(10) { self.random.below(2) } else { own };
        let asked = match ticket {
            Credential::Ticket(grant) => self.model.grants[grant].scope,
            _ => 1,
        };
        let part = 1 + self.random.below(7) as u8;
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
            (Ok(redirect), Answer::Code(grant)) => {
                let (base, state) = place(self);
                let location = redirect.into_location();
                match self.redirect(&location, &base, issuer, &state)? {
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

    fn redeem(&mut self) -> Result<(), Fault> {
        let (text, code) = self.credential(Kind::Code);
        let grant = code.grant();
        let (by, mut pairs) = self.claim(grant);
        let own = grant.map(|grant| self.model.grants[grant].clone());
        let redirect = match self.random.below(16) {
            0 => Some("https://evil.example/cb".to_owned()),
            1 => None,
            _ => own.as_ref().filter(|own| own.redirect_sent).map(|own| own.redirect.clone()),
        };
        let verifier = match &own {
            Some(own) if !self.random.one_in(14) => own.verifier,
            _ => self.random.below(VERIFIERS.len()),
        };
        let resources = if self.random.one_in(4) { self.random.below(4) as u8 } else { 0 };
        pairs.extend([
            ("grant_type", "authorization_code".to_owned()),
            ("code", text),
            ("code_verifier", VERIFIERS[verifier].to_owned()),
        ]);
        pairs.extend(redirect.clone().map(|uri| ("redirect_uri", uri)));
        pairs.extend(resource_pairs(resources));
        let request = Request::Redeem { by, code, redirect, verifier, resources };
        let trouble = self.trouble(request.grant(), true);
        let answer = self.send(To::Token, &pairs, &trouble);
        self.compare(To::Token, &request, &trouble, answer)
    }

    fn refresh(&mut self) -> Result<(), Fault> {
        let (text, token) = self.credential(Kind::Refresh);
        let (by, mut pairs) = self.claim(token.grant());
        let scope = self.random.one_in(4).then(|| 1 + self.random.below(7) as u8);
        let resources = if self.random.one_in(6) { self.random.below(4) as u8 } else { 0 };
        pairs.extend([("grant_type", "refresh_token".to_owned()), ("refresh_token", text)]);
        pairs.extend(scope.map(|scope| ("scope", names(&SCOPES, scope))));
        pairs.extend(resource_pairs(resources));
        let request = Request::Refresh { by, token, scope, resources };
        let trouble = self.trouble(request.grant(), true);
        let answer = self.send(To::Token, &pairs, &trouble);
        self.compare(To::Token, &request, &trouble, answer)
    }

    fn revoke(&mut self) -> Result<(), Fault> {
        let kind = if self.random.one_in(2) { Kind::Access } else { Kind::Refresh };
        let (text, token) = self.credential(kind);
        let (by, mut pairs) = self.claim(token.grant());
        pairs.push(("token", text));
        let request = Request::Revoke { by, token };
        let trouble = self.trouble(request.grant(), true);
        let answer = self.send(To::Revoke, &pairs, &trouble);
        self.compare(To::Revoke, &request, &trouble, answer)
    }

    fn introspect(&mut self) -> Result<(), Fault> {
        let (text, token) = self.credential(Kind::Access);
        // The resource server is the second client.
        let caller = 1;
        let pairs = [
            ("client_id", CLIENTS[caller].id.to_owned()),
            ("client_secret", SECRET.to_owned()),
            ("token", text),
        ];
        let request = Request::Introspect { token };
        let trouble = self.trouble(request.grant(), false);
        let answer = self.send(To::Introspect, &pairs, &trouble);
        if self.model.clients[caller].is_active {
            return self.compare(To::Introspect, &request, &trouble, answer);
        }
        self.rig.applied();
        self.events(answer.is_some(), 1)?;
        match answer {
            Some(Ok(reply)) => Err(format!("a deactivated client got {}", reply.body)),
            _ => Ok(()),
        }
    }

    fn check(&mut self) -> Result<(), Fault> {
        let (text, token) = self.credential(Kind::Access);
        let scope = [0, 0, 1, 2, 4, 7][self.random.below(6)];
        self.checked(&text, token, scope)
    }

    /// Checks a token at the first resource, for a call that needs this scope.
    pub fn checked(&mut self, text: &str, token: Credential, scope: u8) -> Result<(), Fault> {
        let request = Request::Check { token, scope };
        let trouble = self.trouble(request.grant(), false);
        let issuer = trouble.call.issuer;
        let needs = self.rig.policy(issuer).needs(RESOURCES[0], &names(&SCOPES, scope));
        let needs = needs.map_err(|error| error.to_string())?;
        let header = format!("Bearer {text}");
        let header = Authorization::One(header.as_bytes());
        let answer = call!(self.rig, issuer, trouble.face, check(&header, &needs));
        let expected = self.expected(&request, &trouble, answer.is_some());
        self.events(answer.is_some(), 1)?;
        let (Some(answer), Some(expected)) = (answer, expected) else { return Ok(()) };
        match (answer, expected.clone()) {
            (Ok(access), Answer::Active { grant, scope, expires }) => {
                self.scan(&format!("{access:?}"))?;
                let (own, id) = self.grant(grant);
                let is_right = access.client_id().as_str() == CLIENTS[own.client].id
                    && access.subject().as_str() == USERS[own.user]
                    && access.grant_id() == id
                    && access.scope().collect::<Vec<_>>().join(" ") == names(&SCOPES, scope)
                    && access.expires().unix_seconds() == expires;
                if is_right { Ok(()) } else { Err(format!("{access:?}, and not {own:?}")) }
            }
            (Err(error), Answer::Inactive | Answer::Refused(_)) => {
                let code = self.refusal(To::Check, issuer, &error)?;
                let reply = error.reply(self.rig.policy(issuer));
                let found = challenge(reply.header("www-authenticate").unwrap_or_default())?;
                let wanted =
                    if reply.status == 403 { "insufficient_scope" } else { "invalid_token" };
                let metadata = found.get("resource_metadata").map(String::as_str);
                let is_right = code == wanted
                    && (expected == Answer::Refused("insufficient_scope")) == (reply.status == 403)
                    && found.get("error").map(String::as_str) == Some(wanted)
                    && metadata.is_some_and(|url| url.starts_with("https://mcp.example/"));
                if is_right {
                    Ok(())
                } else {
                    Err(format!("{code} {found:?}, and not {expected:?}"))
                }
            }
            (Err(error), Answer::Unavailable) => {
                let status = error.reply(self.rig.policy(issuer)).status;
                if status == 503 { Ok(()) } else { Err(format!("{status}")) }
            }
            (answer, expected) => Err(format!("{answer:?}, and not {expected:?}")),
        }
    }

    /// Judges a call of the host about a grant.
    fn host(
        &mut self,
        request: &Request,
        trouble: &Trouble,
        answer: Option<Result<(), Error<Broken>>>,
    ) -> Result<(), Fault> {
        let expected = self.expected(request, trouble, answer.is_some());
        self.events(answer.is_some(), 1)?;
        if let Some(id) = request.grant() {
            self.record(id)?;
        }
        match (answer, expected) {
            (None, _) | (_, None) | (Some(Ok(())), Some(Answer::Done)) => Ok(()),
            (Some(Err(error)), Some(Answer::NotFound)) if error.failure().is_none() => Ok(()),
            (Some(Err(error)), Some(Answer::Unavailable)) => {
                let status = error.reply(self.rig.policy(trouble.call.issuer)).status;
                if status == 503 { Ok(()) } else { Err(format!("{status}")) }
            }
            (answer, expected) => Err(format!("{answer:?}, and not {expected:?}")),
        }
    }

    fn disconnect(&mut self) -> Result<(), Fault> {
        let Some(grant) = self.any_grant() else { return Ok(()) };
        let own = self.model.grants[grant].user;
        let by = match self.random.below(4) {
            0 => None,
            1 => Some(self.random.below(USERS.len())),
            _ => Some(own),
        };
        let request = Request::Disconnect { grant, user: by };
        let trouble = self.trouble(Some(grant), true);
        let issuer = trouble.call.issuer;
        let id = self.grant(grant).1;
        let answer = match by {
            Some(user) => {
                call!(self.rig, issuer, trouble.face, revoke_connection(USERS[user], id))
            }
            None => {
                let by = RevokedBy::Administrator("ticket 4711");
                call!(self.rig, issuer, trouble.face, revoke_grant(id, by))
            }
        };
        self.host(&request, &trouble, answer)
    }

    fn any_grant(&mut self) -> Option<usize> {
        let all: Vec<_> = (0..self.model.grants.len()).collect();
        let is_active = |id: &&usize| matches!(self.model.grants[**id].phase, Phase::Active(_));
        let active: Vec<_> = all.iter().filter(is_active).copied().collect();
        let from = if self.random.one_in(3) || active.is_empty() { &all } else { &active };
        self.random.recent(from).copied()
    }

    fn narrow(&mut self) -> Result<(), Fault> {
        let Some(grant) = self.any_grant() else { return Ok(()) };
        let own = self.model.grants[grant].user;
        let by = if self.random.one_in(8) { self.random.below(USERS.len()) } else { own };
        let scope = 1 + self.random.below(7) as u8;
        let to = Narrowing::default().with_scope(names(&SCOPES, scope).parse().expect("a scope"));
        let request = Request::Narrow { grant, user: by, scope };
        let trouble = self.trouble(Some(grant), true);
        let id = self.grant(grant).1;
        let issuer = trouble.call.issuer;
        let answer = call!(self.rig, issuer, trouble.face, narrow_connection(USERS[by], id, &to));
        self.host(&request, &trouble, answer)
    }

    /// The host suspends a user, deactivates a client, or ends all grants of one of them.
    fn operate(&mut self) -> Result<(), Fault> {
        let issuer = self.random.below(2);
        let client = self.random.below(CLIENTS.len());
        let who = self.random.below(USERS.len());
        let server = &self.rig.sites[issuer].blocking;
        let because = RevokedBy::Administrator("because");
        let done = match self.random.below(24) {
            0 => {
                self.model.clients[client].epoch += 1;
                server.revoke_client(CLIENTS[client].id, because)
            }
            1 => {
                self.model.users[who].epoch += 1;
                end_all(&mut self.model, issuer, who);
                server.revoke_user(USERS[who], because).map(drop)
            }
            2..12 => {
                // Mostly nobody is suspended, and no client deactivated.
                let suspended = self.model.users.iter().position(|user| user.is_suspended);
                let who = suspended.unwrap_or(who);
                let is_suspended = suspended.is_none();
                self.model.users[who].is_suspended = is_suspended;
                self.rig.suspend(USERS[who], is_suspended);
                return Ok(());
            }
            _ => {
                let inactive = self.model.clients.iter().position(|client| !client.is_active);
                let client = inactive.unwrap_or(client);
                self.model.clients[client].is_active = inactive.is_some();
                let status = if inactive.is_some() {
                    ClientStatus::Active
                } else {
                    ClientStatus::Deactivated
                };
                server.set_client_status(CLIENTS[client].id, status).map(drop)
            }
        };
        done.map_err(|error| format!("{error:?}"))?;
        self.rig.applied();
        self.events(false, 0)?;
        self.records()
    }

    /// Compares the fate of every token at the end, and after everything has expired.
    pub fn end(&mut self) -> Result<(), Fault> {
        self.records()?;
        for later in [0, rules::ABSOLUTE * 3] {
            self.model.clock += later;
            self.rig.set_clock(self.model.clock);
            let tokens = self.model.texts.iter();
            let tokens = tokens.filter(|(_, own)| matches!(own, Credential::Access(..)));
            let tokens: Vec<_> = tokens.map(|(text, own)| (text.clone(), *own)).collect();
            for (text, token) in tokens {
                self.checked(&text, token, 0)?;
            }
        }
        Ok(())
    }
}

fn resource_pairs(resources: u8) -> Vec<(&'static str, String)> {
    let chosen = RESOURCES.iter().enumerate().filter(|(bit, _)| resources & 1 << bit != 0);
    chosen.map(|(_, resource)| ("resource", (*resource).to_owned())).collect()
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

/// Ends each grant of a user at an issuer.
fn end_all(model: &mut Model, issuer: usize, user: usize) {
    for id in 0..model.grants.len() {
        let grant = &model.grants[id];
        let is_over = matches!(grant.phase, Phase::Revoked | Phase::Denied);
        if (grant.issuer, grant.user, is_over) == (issuer, user, false) {
            let seen = model.clock.max(grant.seen);
            let next =
                Grant { version: grant.version + 1, seen, phase: Phase::Revoked, ..grant.clone() };
            let before = std::mem::replace(&mut model.grants[id], next);
            model.previous.insert(id, before);
        }
    }
}
