//! The steps of a program: each makes a request, sends it on one of the faces, and judges the
//! answer by the model's.

use grantcore::request::Site;
use grantcore::{ContentType, RequestParts, User};

use super::play::{Fault, Kind, Play, SESSIONS, USERS};
use super::records::{ABSOLUTE, Claim, Client, Credential, Grant, Origin, Phase, Proof};
use super::rig::Face;
use super::rules::{self, Answer, Call, Request};

pub fn posted(body: &str) -> RequestParts<'_> {
    RequestParts {
        method: "POST",
        content_type: ContentType::FORM,
        body: body.as_bytes(),
        site: Site::Unknown,
        source: "192.0.2.7",
        ..RequestParts::default()
    }
}

pub fn user(index: usize) -> User<'static> {
    User::new(USERS[index], SESSIONS[index]).expect("a user")
}

/// The circumstances of a request, as the model and the store get them.
pub struct Trouble {
    pub call: Call,
    pub face: Face,
    pub faults: Vec<rules::Fault>,
    pub is_read_broken: bool,
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
            0..11 => self.authorize(),
            11..22 => self.on_the_way(Kind::Ticket),
            22..35 => self.on_the_way(Kind::Code),
            35..54 => self.on_the_way(Kind::Refresh),
            54..57 => self.revoke(),
            57..70 => self.on_the_way(Kind::Access),
            70..73 => self.introspect(),
            73..75 => self.disconnect(),
            75..78 => self.narrow(),
            78..80 => self.register(),
            80..85 => self.manage(),
            85..87 => {
                self.publish();
                Ok(())
            }
            87..94 => {
                self.wait();
                Ok(())
            }
            94..96 => {
                self.model.land();
                self.rig.store.land();
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
            Kind::Ticket | Kind::Management => self.authorize(),
        }
    }

    fn seconds(&mut self, end: usize) -> i64 {
        i64::try_from(self.random.below(end)).expect("few seconds")
    }

    /// Returns the time until something of a grant ends, or a second more or less.
    fn seconds_to_an_end(&mut self) -> i64 {
        let window = self.model.window;
        let ends = |grant: &Grant| match &grant.phase {
            Phase::Pending { expires } | Phase::Code { expires } => vec![*expires],
            Phase::Active(active) => {
                let mut ends = vec![active.idle, grant.end];
                ends.extend(active.kept.iter().map(|entry| entry.expires));
                // Mostly one of the windows.
                ends.extend([active.rotated + window, active.before + window].repeat(4));
                ends
            }
            Phase::Denied | Phase::Revoked => Vec::new(),
        };
        let end_of = |client: &Client| match client.origin {
            Origin::Document(fresh_until) => fresh_until,
            _ => client.expires,
        };
        let of_clients = self.model.clients.iter().map(end_of);
        let of_clients = of_clients.filter(|end| end.abs_diff(self.model.clock) < ABSOLUTE);
        let of_grants = self.model.grants.iter().flat_map(ends);
        let ends: Vec<_> = of_grants.chain(of_clients).collect();
        if ends.is_empty() {
            return 0;
        }
        let end = i64::try_from(*self.random.pick(&ends)).expect("a time");
        let now = i64::try_from(self.model.clock).expect("a time");
        end - now + [0, 0, -1, 1][self.random.below(4)]
    }

    /// Moves the clock: mostly a little, sometimes past the end of something, sometimes back.
    pub fn wait(&mut self) {
        let seconds = match self.random.below(8) {
            0 => -self.seconds(40),
            1 if self.random.one_in(4) => -400,
            2 => 29 + self.seconds(3),
            3 if self.random.one_in(2) => 599 + self.seconds(3),
            4 if self.random.one_in(30) => 100_000,
            4 => 300,
            5 => self.seconds_to_an_end(),
            _ => self.seconds(20),
        };
        self.model.clock = self.model.clock.saturating_add_signed(seconds);
        self.rig.set_clock(self.model.clock);
    }

    /// Returns the circumstances of a request for this grant. `writes` is false for a check.
    pub fn trouble(&mut self, grant: Option<usize>, writes: bool) -> Trouble {
        let own = grant.map_or(0, |grant| self.model.grants[grant].issuer);
        self.trouble_at(own, grant.is_some(), writes)
    }

    /// Returns the circumstances of a request that belongs to this issuer.
    pub fn trouble_at(&mut self, own: usize, reads: bool, writes: bool) -> Trouble {
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
        let is_read_broken = !is_calm && reads && self.random.one_in(12);
        self.rig.store.fail(&faults, is_stale, is_read_broken);
        let call = Call { issuer, number: self.number, is_stale, hung_up: None };
        Trouble { call, face, faults, is_read_broken }
    }

    /// Returns how the call went for the store. A call that was cancelled has made its writes or
    /// not.
    pub fn ended(&self, trouble: &Trouble, is_over: bool) -> Call {
        let applied = self.rig.store.applied();
        Call { hung_up: (!is_over).then_some(applied), ..trouble.call }
    }

    /// Returns the answer of the model.
    pub fn expected(
        &mut self,
        request: &Request,
        trouble: &Trouble,
        is_over: bool,
    ) -> Option<Answer> {
        let call = self.ended(trouble, is_over);
        let answer = if trouble.is_read_broken {
            Answer::Unavailable
        } else {
            self.model.run(request, call, &trouble.faults)
        };
        self.reach(request.name(), &answer, is_over);
        is_over.then_some(answer)
    }

    pub fn reach(&mut self, request: &'static str, answer: &Answer, is_over: bool) {
        let name = if is_over { answer.name() } else { "cancelled" };
        *self.reached.answers.entry((request, name)).or_default() += 1;
    }

    /// Chooses who sends a request for a grant: mostly its client with its proof.
    pub fn claim(&mut self, grant: Option<usize>) -> (Claim, Vec<(&'static str, String)>) {
        let own = grant.map_or(0, |grant| self.model.grants[grant].client);
        let client =
            if self.random.one_in(14) { self.random.below(self.clients.len()) } else { own };
        if self.random.one_in(60) {
            let id = *self.random.pick(&["nobody", "app ", "APP", "\u{e9}", "a\u{0}"]);
            let claim = Claim { client: None, proof: Proof::None };
            return (claim, vec![("client_id", id.to_owned())]);
        }
        let mut pairs = vec![("client_id", self.clients[client].clone())];
        let proof = self.proof(client);
        pairs.extend(self.secret(proof).map(|secret| ("client_secret", secret)));
        (Claim { client: Some(client), proof }, pairs)
    }

    /// Chooses the proof of a client: mostly its own, if a response had it.
    fn proof(&mut self, client: usize) -> Proof {
        let own = self.model.clients[client].secret;
        match (self.random.below(60), own) {
            (0, _) => Proof::Wrong,
            (1, _) => self.stolen(),
            (2, _) | (_, None) => Proof::None,
            (_, Some(own)) if self.secrets.contains_key(&own) => Proof::Secret(own),
            (_, Some(_)) => Proof::Wrong,
        }
    }

    /// Returns a secret that some response had, of any client and of any time.
    pub fn stolen(&mut self) -> Proof {
        let known: Vec<_> = self.secrets.keys().copied().collect();
        Proof::Secret(*self.random.pick(&known))
    }

    /// Returns the text of a proof.
    pub fn secret(&self, proof: Proof) -> Option<String> {
        match proof {
            Proof::None => None,
            Proof::Secret(number) => Some(self.secrets[&number].clone()),
            Proof::Wrong => Some("another-secret-of-nobody-0123456789-0123456789".to_owned()),
        }
    }

    /// Compares the fate of every token at the end, and after everything has expired.
    pub fn end(&mut self) -> Result<(), Fault> {
        self.records()?;
        for later in [0, ABSOLUTE * 3] {
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
