//! The steps of a program: each makes a request, sends it on one of the faces, and judges the
//! answer by the model's.

use grantcore::request::Site;
use grantcore::{ContentType, RequestParts, User};

use super::play::{Fault, Kind, Play, SESSIONS, USERS};
use super::rig::{CLIENTS, Face, SECRET};
use super::rules::{self, Answer, Call, Claim, Credential, Grant, Phase, Request};

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
        let ends: Vec<_> = self.model.grants.iter().flat_map(ends).collect();
        if ends.is_empty() {
            return 0;
        }
        let end = i64::try_from(*self.random.pick(&ends)).expect("a time");
        let now = i64::try_from(self.model.clock).expect("a time");
        end - now + [0, 0, -1, 1][self.random.below(4)]
    }

    /// Moves the clock: mostly a little, sometimes past the end of something, sometimes back.
    fn wait(&mut self) {
        let seconds = match self.random.below(8) {
            0 => -self.seconds(40),
            1 if self.random.one_in(4) => -400,
            2 => 29 + self.seconds(3),
            3 if self.random.one_in(2) => 599 + self.seconds(3),
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
    pub fn expected(
        &mut self,
        request: &Request,
        trouble: &Trouble,
        is_over: bool,
    ) -> Option<Answer> {
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
    pub fn claim(&mut self, grant: Option<usize>) -> (Claim, Vec<(&'static str, String)>) {
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
