//! The steps of the host: connections of users, and acts of an operator.

use grantcore::client::ClientStatus;
use grantcore::request::Narrowing;
use grantcore::{Error, RevokedBy};

use super::play::{Fault, Play, USERS, names};
use super::records::{Grant, Origin, Phase};
use super::rig::{SCOPES, call};
use super::rules::{Answer, Model, Request};
use super::steps::Trouble;
use super::store::Broken;

impl Play {
    /// Judges a call of the host about a grant.
    pub fn host(
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

    pub fn disconnect(&mut self) -> Result<(), Fault> {
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
        let answer = if let Some(user) = by {
            call!(self.rig, issuer, trouble.face, revoke_connection(USERS[user], id))
        } else {
            let by = RevokedBy::Administrator("ticket 4711");
            call!(self.rig, issuer, trouble.face, revoke_grant(id, by))
        };
        self.host(&request, &trouble, answer)
    }

    pub fn any_grant(&mut self) -> Option<usize> {
        let all: Vec<_> = (0..self.model.grants.len()).collect();
        let is_active = |id: &&usize| matches!(self.model.grants[**id].phase, Phase::Active(_));
        let active: Vec<_> = all.iter().filter(is_active).copied().collect();
        let from = if self.random.one_in(3) || active.is_empty() { &all } else { &active };
        self.random.recent(from).copied()
    }

    pub fn narrow(&mut self) -> Result<(), Fault> {
        let Some(grant) = self.any_grant() else { return Ok(()) };
        let own = self.model.grants[grant].user;
        let by = if self.random.one_in(8) { self.random.below(USERS.len()) } else { own };
        let scope = 1 + self.random.small(7);
        let to = Narrowing::default().with_scope(names(&SCOPES, scope).parse().expect("a scope"));
        let request = Request::Narrow { grant, user: by, scope };
        let trouble = self.trouble(Some(grant), true);
        let id = self.grant(grant).1;
        let issuer = trouble.call.issuer;
        let answer = call!(self.rig, issuer, trouble.face, narrow_connection(USERS[by], id, &to));
        self.host(&request, &trouble, answer)
    }

    /// The host suspends a user, deactivates a client, or ends all grants of one of them.
    pub fn operate(&mut self) -> Result<(), Fault> {
        let issuer = self.random.below(2);
        let client = self.random.below(self.clients.len());
        let who = self.random.below(USERS.len());
        let because = RevokedBy::Administrator("because");
        let server = &self.rig.sites[issuer].blocking;
        let (is_right, done) = match self.random.below(24) {
            0 | 1 => {
                let id = &self.clients[client];
                let is_known = self.model.raise_epoch(client, issuer);
                (is_known, server.revoke_client(id, because))
            }
            2 => {
                self.model.users[who].epoch += 1;
                end_all(&mut self.model, issuer, who);
                (true, server.revoke_user(USERS[who], because).map(drop))
            }
            3..12 => {
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
                let issuer = match self.model.clients[client].origin {
                    Origin::Registered(own) if inactive.is_some() => own,
                    _ => issuer,
                };
                let is_active = inactive.is_some();
                let status =
                    if is_active { ClientStatus::Active } else { ClientStatus::Deactivated };
                let server = &self.rig.sites[issuer].blocking;
                let done = server.set_client_status(&self.clients[client], status).map(drop);
                (self.model.set_active(client, issuer, is_active), done)
            }
        };
        if done.is_ok() != is_right {
            return Err(format!("{done:?} of the host for {client} at {issuer}"));
        }
        self.rig.store.applied();
        self.events(false, 0)?;
        self.records()
    }
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
