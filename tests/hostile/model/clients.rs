//! The model of clients: who is served, which redirect URIs count, and the tables *Authorize* and
//! *Clients* of `docs/decisions.md`.

use super::records::{
    ABSOLUTE, CODE, Claim, Client, Credential, FRESH, Grant, IDLE, Origin, Proof, RETAINED, Set,
    UNUSED,
};
use super::rig::UNDERSTOOD;
use super::rules::{Answer, Call, Fault, Judged, Model, New, Write};
use super::tables::{At, refused};

/// A request to the endpoint of a registration.
#[derive(Clone, Debug)]
pub enum Act {
    Read,
    Delete,
    Update(Update),
}

impl Act {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Delete => "delete",
            Self::Update(_) => "update",
        }
    }
}

/// The metadata of an update, which replace those of the client.
#[derive(Clone, Debug)]
pub struct Update {
    pub redirects: Vec<String>,
    pub scope: Set,
    pub has_secret: bool,
    /// The secret that the update repeats.
    pub sent: Proof,
    /// The error of metadata that no client may have.
    pub flaw: Option<&'static str>,
}

/// What the URL of a document gives.
#[derive(Clone, Debug)]
pub enum Published {
    Document {
        redirects: Vec<String>,
        scope: Set,
        fresh_for: Option<u64>,
    },
    /// Something that is no document of this client, or nothing.
    Bad,
    /// The host has no fetch to spare.
    Busy,
}

/// An authorization request.
#[derive(Clone, Debug)]
pub struct Ask {
    pub client: Option<usize>,
    pub redirect: Option<String>,
    pub user: usize,
    pub is_signed_in: bool,
    pub has_challenge: bool,
    /// `None` has a token that nobody knows.
    pub scope: Option<Set>,
    /// `None` has a resource that nobody knows.
    pub resources: Option<Set>,
    pub prompt: Option<&'static str>,
    /// The earlier grant that the host names.
    pub remembered: Option<usize>,
    /// Whether the browser states that no other site sent it.
    pub is_own_site: bool,
    /// What the host has fetched for this request.
    pub fetched: Option<Published>,
}

impl Ask {
    /// Returns the part of the scope that the resources understand, or all of it if they understand
    /// nothing.
    pub fn understood(&self) -> Option<Set> {
        let (scope, resources) = (self.scope?, self.resources?);
        let named = (0..).zip(UNDERSTOOD).filter(|(bit, _)| resources & 1 << bit != 0);
        match scope & named.fold(0, |all, (_, own)| all | own) {
            0 => Some(scope),
            part => Some(part),
        }
    }
}

/// Returns whether this place is one that the client registered. A loopback URI has any port.
pub fn leads_to(registered: &[String], uri: &str) -> bool {
    let without_port = |uri: &str| uri.replacen("127.0.0.1:49152", "127.0.0.1", 1);
    registered.iter().any(|own| own == uri || *own == without_port(uri))
}

impl Client {
    /// Returns where a request leads.
    pub fn target(&self, sent: Option<&str>) -> Option<String> {
        match (sent, &*self.redirects) {
            (Some(uri), all) => leads_to(all, uri).then(|| uri.to_owned()),
            // A loopback URI without a port is no place to go to.
            (None, [own]) if !own.starts_with("http:") => Some(own.clone()),
            (None, _) => None,
        }
    }

    /// Returns whether the client is on record, and neither deactivated nor expired.
    pub fn is_served_at(&self, now: u64) -> bool {
        self.is_on_record && self.is_active && now < self.expires
    }

    fn is_described_by(&self, ask: &Ask) -> bool {
        let Some(Published::Document { redirects, scope, .. }) = &ask.fetched else { return false };
        (&self.redirects, self.scope) == (redirects, *scope)
    }

    fn needs_document(&self, now: u64) -> bool {
        let Origin::Document(fresh_until) = self.origin else { return false };
        let is_fresh = now < fresh_until && fresh_until <= now + FRESH.1 && now < self.expires;
        !self.is_on_record || self.is_active && !is_fresh
    }
}

impl Model {
    /// Returns whether the client has a record at this issuer, and was not deleted.
    fn exists(&self, client: usize, issuer: usize) -> bool {
        let client = &self.clients[client];
        let is_own = match client.origin {
            Origin::Registered(own) => own == issuer,
            Origin::Operator | Origin::Document(_) => true,
        };
        is_own && client.is_on_record && !client.is_deleted
    }

    /// Ends all grants of a client, and returns whether it exists.
    pub fn raise_epoch(&mut self, client: usize, issuer: usize) -> bool {
        let exists = self.exists(client, issuer);
        let own = &mut self.clients[client];
        if exists {
            (own.version, own.epoch) = (own.version + 1, own.epoch + 1);
        }
        exists
    }

    /// Activates or deactivates a client, and returns whether it exists.
    pub fn set_active(&mut self, client: usize, issuer: usize, is_active: bool) -> bool {
        let exists = self.exists(client, issuer);
        let own = &mut self.clients[client];
        if exists && own.is_active != is_active {
            (own.version, own.is_active) = (own.version + 1, is_active);
        }
        exists
    }

    /// Returns whether the client is known at this issuer, and neither deactivated nor expired.
    pub fn is_served(&self, client: usize, issuer: usize) -> bool {
        self.exists(client, issuer) && self.clients[client].is_served_at(self.clock)
    }

    /// Returns the client renewed, if its record could end before that of a grant with this last
    /// use.
    fn renewal(&self, client: usize, last_use: u64) -> Option<Client> {
        let own = &self.clients[client];
        let end = last_use + RETAINED;
        (own.expires < end).then(|| Client {
            version: own.version + 1,
            expires: end + UNUSED,
            ..own.clone()
        })
    }

    /// Returns the client that a request authenticates as.
    pub fn authenticated(&self, claim: Claim, issuer: usize) -> Option<usize> {
        claim.client.filter(|client| {
            let is_proven = match (self.clients[*client].secret, claim.proof) {
                (None, Proof::None) => true,
                (Some(own), Proof::Secret(sent)) => own == sent,
                _ => false,
            };
            is_proven && self.is_served(*client, issuer)
        })
    }

    /// Returns the answer to an authorization request with the place that it leads to, and makes
    /// its writes.
    pub fn authorize(
        &mut self,
        ask: &Ask,
        call: Call,
        faults: &[Fault],
    ) -> (Answer, Option<String>) {
        let answer =
            self.drive(call, faults, |model, attempt, _| model.judge_ask(ask, call, attempt));
        let is_redirected = matches!(
            answer,
            Answer::Error(_) | Answer::Consent | Answer::Code(_) | Answer::Unavailable
        );
        let client = ask.client.filter(|_| is_redirected);
        let target = client.and_then(|client| self.clients[client].target(ask.redirect.as_deref()));
        let answer = if answer == Answer::Unprepared { Answer::Unavailable } else { answer };
        (answer, target)
    }

    fn judge_ask(&self, ask: &Ask, call: Call, attempt: usize) -> Judged {
        let page = (Answer::Page, None);
        let Some(index) = ask.client else { return page };
        let client = &self.clients[index];
        // A document may be stale again as soon as it is on record.
        let is_stale = call.is_stale && attempt == 0;
        let is_read =
            attempt > 0 && client.is_described_by(ask) && self.is_served(index, call.issuer);
        if client.needs_document(self.clock) && !is_read {
            return match &ask.fetched {
                None => (Answer::Document, None),
                Some(Published::Bad) => page,
                Some(Published::Busy) => (Answer::Unprepared, None),
                Some(Published::Document { redirects, scope, fresh_for }) => {
                    let (least, most) = FRESH;
                    let fresh = fresh_for.map_or(least, |seconds| seconds.clamp(least, most));
                    let is_new = !client.is_on_record;
                    let is_same = (&client.redirects, client.scope) == (redirects, *scope);
                    let described = match (is_new, is_same) {
                        (true, _) => self.clock,
                        (false, true) => client.described,
                        (false, false) => self.clock + 1,
                    };
                    let epoch = if client.is_on_record { client.epoch } else { call.number };
                    let next = Client {
                        version: client.version + 1,
                        origin: Origin::Document(self.clock + fresh),
                        is_on_record: true,
                        epoch,
                        expires: client.expires.max(self.clock + UNUSED),
                        redirects: redirects.clone(),
                        scope: *scope,
                        described,
                        ..client.clone()
                    };
                    (Answer::Document, Some(Write::Prepare(index, next)))
                }
            };
        }
        if !self.is_served(index, call.issuer) || client.target(ask.redirect.as_deref()).is_none() {
            return page;
        }
        let error = |code| (Answer::Error(code), None);
        if !ask.has_challenge {
            return error("invalid_request");
        }
        if ask.scope.is_none_or(|scope| scope & !client.scope != 0) {
            return error("invalid_scope");
        }
        if ask.resources.is_none() {
            return error("invalid_target");
        }
        if !ask.is_signed_in && ask.prompt == Some("none") {
            return error("login_required");
        }
        if !ask.is_signed_in {
            return (Answer::Login, None);
        }
        if self.users[ask.user].is_suspended {
            return error("access_denied");
        }
        self.judge_consent(ask, index, call, is_stale)
    }

    /// The table *Authorize*, lines 10 to 18.
    fn judge_consent(&self, ask: &Ask, client: usize, call: Call, is_stale: bool) -> Judged {
        let code = New::Code(call.number);
        let page = New::Page(call.number);
        let earlier = self.remembered(ask, client, call, is_stale);
        if let Some(earlier) = earlier.filter(|_| !self.has_created(page)) {
            let end = (self.clock + ABSOLUTE).min(earlier.end);
            let write = match self.renewal(client, (self.clock + CODE + IDLE).min(end)) {
                _ if self.has_created(code) => None,
                Some(renewed) => Some(Write::Prepare(client, renewed)),
                None => Some(Write::New(code)),
            };
            return (Answer::Code(self.grants.len()), write);
        }
        if ask.prompt == Some("none") {
            return (Answer::Error("consent_required"), None);
        }
        if self.has_created(code) {
            return (Answer::Unavailable, None);
        }
        (Answer::Consent, (!self.has_created(page)).then_some(Write::New(page)))
    }
}

impl At<'_> {
    /// Returns a write of a grant, or first that of its client if the client's record could end
    /// before that of the grant.
    pub fn unless_renewed(
        &self,
        client: usize,
        last_use: u64,
        (answer, next): (Answer, Grant),
    ) -> Judged {
        let write = match self.model.renewal(client, last_use) {
            Some(renewed) => Write::Prepare(client, renewed),
            None => Write::Grant(next),
        };
        (answer, Some(write))
    }

    /// The table of clients, lines 5 to 10.
    pub fn manage(&self, index: usize, token: Credential, act: &Act) -> Judged {
        let own = &self.model.clients[index];
        let is_right = token == Credential::Management(index);
        if matches!(act, Act::Delete) && self.again && own.is_deleted && is_right {
            return (Answer::Done, None);
        }
        if !is_right || !self.model.is_served(index, self.issuer) {
            return refused("invalid_token");
        }
        let shown = |client: &Client| Answer::Registration {
            client: Box::new(client.clone()),
            secret: client.secret.filter(|secret| *secret == self.number),
        };
        let version = own.version + 1;
        match act {
            Act::Read => (shown(own), None),
            Act::Delete => {
                let (epoch, expires) = (own.epoch + 1, 0);
                let next = Client { version, epoch, expires, is_deleted: true, ..own.clone() };
                (Answer::Done, Some(Write::Client(index, next)))
            }
            Act::Update(update) => {
                if let Some(code) = update.flaw {
                    return refused(code);
                }
                let mut next = Client {
                    version,
                    redirects: update.redirects.clone(),
                    scope: update.scope,
                    secret: update.has_secret.then(|| own.secret.unwrap_or(self.number)),
                    ..own.clone()
                };
                if next != (Client { version, ..own.clone() }) {
                    next.described = self.model.clock + 1;
                }
                let is_own = self.again && next == Client { version, ..own.clone() };
                let is_secret_right = match update.sent {
                    Proof::None => true,
                    Proof::Secret(sent) => own.secret == Some(sent),
                    Proof::Wrong => false,
                };
                if !is_own && !is_secret_right {
                    return refused("invalid_client_metadata");
                }
                (shown(&next), Some(Write::Client(index, next)))
            }
        }
    }
}
