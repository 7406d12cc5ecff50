//! The tables of `docs/decisions.md`, line by line, over the model's own records.

use super::clients::leads_to;
use super::records::{
    ABSOLUTE, ACCESS, Active, CODE, Credential, Decision, Entry, Grant, IDLE, KEPT, Phase, Set,
};
use super::rules::{Answer, Judged, Model, Write};

/// One attempt to decide a request.
pub struct At<'a> {
    pub model: &'a Model,
    /// By the record's time.
    pub now: u64,
    pub number: u64,
    pub issuer: usize,
    pub again: bool,
}

pub fn refused(code: &'static str) -> Judged {
    (Answer::Refused(code), None)
}

impl At<'_> {
    fn next(&self, grant: &Grant, phase: Phase) -> Grant {
        Grant { version: grant.version + 1, seen: self.now, phase, ..grant.clone() }
    }

    fn writes(&self, answer: Answer, grant: &Grant, phase: Phase) -> Judged {
        (answer, Some(Write::Grant(self.next(grant, phase))))
    }

    /// The consent table, lines 1 to 16.
    pub fn consent(
        &self,
        grant: Option<&Grant>,
        user: usize,
        choice: Option<Set>,
        (properties, until): (u8, Option<u64>),
    ) -> Judged {
        let page = (Answer::Page, None);
        let denied = Answer::Error("access_denied");
        let Some(grant) = grant else { return page };
        if matches!(grant.phase, Phase::Active(_) | Phase::Revoked) || grant.user != user {
            return page;
        }
        let client = &self.model.clients[grant.client];
        if !self.model.is_served(grant.client, self.issuer)
            || !leads_to(&client.redirects, &grant.redirect)
        {
            return page;
        }
        if choice.is_some() && self.model.users[user].is_suspended {
            return (denied, None);
        }
        match (&grant.phase, choice) {
            (Phase::Code { .. }, Some(_)) if grant.by == self.number => {
                return (Answer::Code(grant.id), None);
            }
            (Phase::Denied, None) => return (denied, None),
            (Phase::Pending { expires }, _) if self.now < *expires => {}
            _ => return page,
        }
        if self.model.is_ended(grant) {
            return page;
        }
        let Some(scope) = choice else {
            return self.writes(denied, grant, Phase::Denied);
        };
        if scope & !grant.scope != 0 || scope == 0 {
            return page;
        }
        if until.is_some_and(|end| end <= self.now) {
            return page;
        }
        if scope & !client.scope != 0 {
            return (Answer::Error("invalid_scope"), None);
        }
        let end = until.unwrap_or(u64::MAX).min(self.now + ABSOLUTE);
        let phase = Phase::Code { expires: (self.now + CODE).min(end) };
        let next = Grant {
            scope,
            left: scope,
            end,
            properties,
            by: self.number,
            ..self.next(grant, phase)
        };
        let last_use = (self.now + CODE + IDLE).min(next.end);
        self.unless_renewed(grant.client, last_use, (Answer::Code(grant.id), next))
    }

    /// The redeem table, lines 1 to 7.
    pub fn redeem(
        &self,
        grant: Option<&Grant>,
        client: usize,
        redirect: Option<&str>,
        verifier: usize,
        resources: Set,
    ) -> Judged {
        let Some(grant) = grant else { return refused("invalid_grant") };
        let is_redirect_right = match redirect {
            Some(uri) => uri == grant.redirect,
            None => !grant.redirect_sent,
        };
        if client != grant.client || !is_redirect_right || verifier != grant.verifier {
            return refused("invalid_grant");
        }
        let expires = match &grant.phase {
            Phase::Active(active) if grant.by == self.number => {
                return (self.tokens(grant, active), None);
            }
            Phase::Active(_) => {
                return self.writes(Answer::Refused("invalid_grant"), grant, Phase::Revoked);
            }
            Phase::Code { expires } => *expires,
            _ => return refused("invalid_grant"),
        };
        let is_over = self.now >= expires || self.now >= grant.end;
        let relies_on = grant.relies_on.map(|earlier| &self.model.grants[earlier].phase);
        if relies_on.is_some_and(|phase| !matches!(phase, Phase::Active(_))) {
            return refused("invalid_grant");
        }
        if is_over || self.model.is_ended(grant) || self.model.users[grant.user].is_suspended {
            return refused("invalid_grant");
        }
        if resources & !grant.resources != 0 {
            return refused("invalid_target");
        }
        let active = Active {
            generation: 0,
            idle: (self.now + IDLE).min(grant.end),
            rotated: self.now,
            before: self.now,
            kept: Vec::new(),
        };
        self.mint(grant, active, grant.left, resources)
    }

    /// Adds an access token, and returns the answer with the next record.
    fn mint(&self, grant: &Grant, mut active: Active, scope: Set, resources: Set) -> Judged {
        active.kept.retain(|entry| self.now < entry.expires);
        while active.kept.len() >= KEPT {
            // No token outlives the grant, so that of several the oldest makes room.
            let end = |entry: &Entry| (entry.expires.min(grant.end), entry.number);
            let first = active.kept.iter().map(end).min();
            active.kept.retain(|entry| Some(end(entry)) != first);
        }
        let number = grant.minted + 1;
        let expires = (self.now + ACCESS).min(grant.end);
        let resources = if resources == 0 { grant.resources } else { resources };
        active.kept.push(Entry { number, expires, scope, resources });
        let answer = Answer::Tokens {
            grant: grant.id,
            generation: active.generation,
            number,
            entry: active.kept.last().cloned(),
            lives: expires - self.now,
        };
        let last_use = last_use(&active);
        let next = self.next(grant, Phase::Active(active));
        let next = Grant { minted: number, by: self.number, ..next };
        self.unless_renewed(grant.client, last_use, (answer, next))
    }

    /// Returns the tokens that the record has already.
    fn tokens(&self, grant: &Grant, active: &Active) -> Answer {
        let entry = active.kept.iter().find(|entry| entry.number == grant.minted);
        Answer::Tokens {
            grant: grant.id,
            generation: active.generation,
            number: grant.minted,
            entry: entry.cloned(),
            lives: entry.map_or(0, |entry| entry.expires.saturating_sub(self.now)),
        }
    }

    /// The refresh table, lines 1 to 12.
    pub fn refresh(
        &self,
        grant: Option<&Grant>,
        client: usize,
        token: Credential,
        (scope, resources): (Option<Set>, Set),
        decision: &Decision,
    ) -> Judged {
        let (Some(grant), Credential::Refresh(_, presented)) = (grant, token) else {
            return refused("invalid_grant");
        };
        let Phase::Active(active) = &grant.phase else { return refused("invalid_grant") };
        if client != grant.client || self.now >= grant.end || self.model.is_ended(grant) {
            return refused("invalid_grant");
        }
        // Line 5, for a token that would get tokens.
        let fault = |left: Set| {
            if self.now >= active.idle || self.model.users[grant.user].is_suspended {
                Some("invalid_grant")
            } else if scope.is_some_and(|scope| scope & !left != 0) {
                Some("invalid_scope")
            } else if resources & !grant.resources != 0 {
                Some("invalid_target")
            } else {
                None
            }
        };
        if presented == active.generation {
            if let Some(code) = fault(grant.left) {
                return refused(code);
            }
            let Some(changed) = self.adjusted(grant, decision) else {
                return self.writes(Answer::Refused("invalid_grant"), grant, Phase::Revoked);
            };
            if scope.is_some_and(|scope| scope & changed.left == 0) {
                return refused("invalid_scope");
            }
            let next = Active {
                generation: active.generation + 1,
                idle: (self.now + IDLE).min(changed.end),
                rotated: self.now,
                before: active.rotated,
                kept: active.kept.clone(),
            };
            let scope = scope.unwrap_or(changed.left) & changed.left;
            return self.mint(&changed, next, scope, resources);
        }
        let is_predecessor = presented + 1 == active.generation;
        let is_own = is_predecessor && grant.by == self.number;
        if is_own || is_predecessor && self.now < active.rotated + self.model.window {
            return match fault(grant.scope) {
                Some(code) => refused(code),
                None if self.adjusted(grant, decision).is_none() => {
                    self.writes(Answer::Refused("invalid_grant"), grant, Phase::Revoked)
                }
                None => (self.tokens(grant, active), None),
            };
        }
        if self.now < active.before + self.model.window {
            return refused("invalid_grant");
        }
        if self.model.window > 0 && self.again {
            return (Answer::Unavailable, None);
        }
        self.writes(Answer::Refused("invalid_grant"), grant, Phase::Revoked)
    }

    /// Returns the grant as the host leaves it, or `None` if the host ends it.
    fn adjusted(&self, grant: &Grant, decision: &Decision) -> Option<Grant> {
        let change = match decision {
            Decision::Keep => return Some(grant.clone()),
            Decision::End => return None,
            Decision::Change(change) => change,
        };
        let left = grant.left & change.scope.unwrap_or(grant.left);
        let end = change.end.unwrap_or(u64::MAX).min(grant.end);
        let properties = if change.properties == 0 { grant.properties } else { change.properties };
        (left != 0 && self.now < end).then(|| Grant { left, end, properties, ..grant.clone() })
    }

    /// The revocation table, lines 1 to 6.
    pub fn revoke(&self, grant: Option<&Grant>, client: usize, token: Credential) -> Judged {
        let done = (Answer::Done, None);
        let Some(grant) = grant else { return done };
        let Phase::Active(active) = &grant.phase else { return done };
        match token {
            Credential::Refresh(..) => {
                let is_over = self.now >= grant.end || self.now >= last_use(active);
                if is_over {
                    return done;
                }
                if client != grant.client {
                    return refused("invalid_grant");
                }
                self.writes(Answer::Done, grant, Phase::Revoked)
            }
            Credential::Access(_, number) => {
                let is_live = |entry: &Entry| entry.number == number && self.now < entry.expires;
                if !active.kept.iter().any(is_live) {
                    return done;
                }
                if client != grant.client {
                    return refused("invalid_grant");
                }
                let mut next = active.clone();
                next.kept.retain(|entry| entry.number != number);
                self.writes(Answer::Done, grant, Phase::Active(next))
            }
            _ => done,
        }
    }

    /// The check and introspection table.
    pub fn check(&self, grant: Option<&Grant>, token: Credential, scope: Option<Set>) -> Answer {
        let (Some(grant), Credential::Access(id, number)) = (grant, token) else {
            return Answer::Inactive;
        };
        let Phase::Active(active) = &grant.phase else { return Answer::Inactive };
        let Some(entry) = active.kept.iter().find(|entry| entry.number == number) else {
            return Answer::Inactive;
        };
        let is_over = self.now >= entry.expires || self.now >= grant.end;
        if is_over
            || self.model.is_ended(grant)
            || !self.model.clients[grant.client].is_active
            || self.model.users[grant.user].is_suspended
            || entry.resources & 1 == 0
        {
            return Answer::Inactive;
        }
        let own = entry.scope & grant.left;
        if scope.is_some_and(|needed| needed & !own != 0) {
            return Answer::Refused("insufficient_scope");
        }
        let properties = grant.properties;
        let expires = entry.expires.min(grant.end);
        Answer::Active { grant: id, scope: own, expires, properties }
    }

    pub fn disconnect(&self, grant: Option<&Grant>, user: Option<usize>) -> Judged {
        let Some(grant) = grant else {
            return (if user.is_some() { Answer::NotFound } else { Answer::Done }, None);
        };
        if user.is_some_and(|user| user != grant.user) {
            return (Answer::NotFound, None);
        }
        match grant.phase {
            Phase::Revoked | Phase::Denied => (Answer::Done, None),
            _ => self.writes(Answer::Done, grant, Phase::Revoked),
        }
    }

    pub fn narrow(&self, grant: Option<&Grant>, user: usize, scope: Set) -> Judged {
        let Some(grant) = grant.filter(|grant| grant.user == user) else {
            return (Answer::NotFound, None);
        };
        let Phase::Active(active) = &grant.phase else { return (Answer::NotFound, None) };
        if self.now >= grant.end || self.now >= last_use(active) {
            return (Answer::NotFound, None);
        }
        if scope & !grant.scope != 0 || scope & grant.left == 0 {
            return (Answer::NotFound, None);
        }
        if grant.left & !scope == 0 {
            return (Answer::Done, None);
        }
        let left = grant.left & scope;
        let next = Grant { left, ..self.next(grant, grant.phase.clone()) };
        (Answer::Done, Some(Write::Grant(next)))
    }
}

/// Returns when the last credential of the grant ends.
fn last_use(active: &Active) -> u64 {
    let entries = active.kept.iter().map(|entry| entry.expires);
    entries.chain([active.idle]).max().unwrap_or(active.idle)
}
