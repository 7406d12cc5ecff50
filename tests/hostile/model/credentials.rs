//! The credentials that everybody has: which one is presented next, and what a response adds.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::play::{Fault, Kind, Play};
use super::records::{Credential, Entry, Phase};
use crate::cast::grant_of;

/// The generation of a refresh token that was never issued.
const OLD: u64 = u64::MAX - 1;

impl Play {
    /// Returns a credential: mostly a recent one of this kind, sometimes any other, sometimes one
    /// that was changed.
    pub fn credential(&mut self, kind: Kind) -> (String, Credential) {
        let list = if self.random.one_in(14) { self.random.below(5) } else { kind as usize };
        let good = self.good(list);
        let good = match self.predecessor(kind) {
            Some(text) if self.random.one_in(4) => Some(text),
            _ => good,
        };
        let text = match (self.random.below(8), good) {
            (0..6, Some(text)) => text,
            (6, _) if !self.held[list].is_empty() => self.random.pick(&self.held[list]).clone(),
            _ => match self.random.recent(&self.held[list]) {
                Some(text) => text.clone(),
                None => return ("x".into(), Credential::Junk),
            },
        };
        let known = self.model.texts[&text];
        if !self.random.one_in(14) {
            return (text, known);
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(&text[4..]).expect("a credential is base64url");
        let at = self.random.below(bytes.len());
        bytes[at] ^= 1 << self.random.below(8);
        let changed = format!("{}{}", &text[..4], URL_SAFE_NO_PAD.encode(bytes));
        // A refresh token has the secret of its family before its own. The right family with
        // another secret is no forgery but an old token.
        let known = match known {
            Credential::Refresh(grant, _) if at >= 48 => Credential::Refresh(grant, OLD),
            _ => Credential::Junk,
        };
        (changed, known)
    }

    /// Returns the newest credential of this kind that an honest client would present now.
    fn good(&self, list: usize) -> Option<String> {
        let good = |text: &&String| self.is_good(self.model.texts[*text]);
        self.held[list].iter().rev().find(good).cloned()
    }

    /// Returns the refresh token that was rotated last, which a client whose response was lost sends
    /// again.
    fn predecessor(&self, kind: Kind) -> Option<String> {
        let is_last = |text: &&String| match self.model.texts[*text] {
            Credential::Refresh(grant, generation) => match &self.model.grants[grant].phase {
                Phase::Active(active) => generation + 1 == active.generation,
                _ => false,
            },
            _ => false,
        };
        let Kind::Refresh = kind else { return None };
        self.held[kind as usize].iter().rev().find(is_last).cloned()
    }

    /// Returns whether a step with this kind of credential is worth while: mostly only if an honest
    /// client has one to present.
    pub fn is_due(&mut self, kind: Kind) -> bool {
        self.good(kind as usize).is_some() || self.random.one_in(12)
    }

    /// Returns whether an honest client would present the credential now.
    fn is_good(&self, credential: Credential) -> bool {
        if let Credential::Management(client) = credential {
            return self.model.clients[client].is_served_at(self.model.clock);
        }
        let Some(id) = credential.grant() else { return false };
        let grant = &self.model.grants[id];
        let now = self.model.clock.max(grant.seen);
        let is_alive = now < grant.end && !self.model.is_ended(grant);
        is_alive
            && match (credential, &grant.phase) {
                (Credential::Ticket(_), Phase::Pending { expires })
                | (Credential::Code(_), Phase::Code { expires }) => now < *expires,
                (Credential::Access(_, number), Phase::Active(active)) => {
                    let is_own = |entry: &&Entry| entry.number == number;
                    active.kept.iter().find(is_own).is_some_and(|entry| now < entry.expires)
                }
                (Credential::Refresh(_, generation), Phase::Active(active)) => {
                    generation == active.generation && now < active.idle
                }
                _ => false,
            }
    }

    /// Adds a text that a response had. One text is one credential, and one credential one text.
    pub fn learn(&mut self, text: &str, credential: Credential) -> Result<(), Fault> {
        let known = self.model.texts.iter().find(|(_, own)| **own == credential);
        if known.is_some_and(|(own, _)| own != text) {
            return Err(format!("{credential:?} has two texts"));
        }
        if known.is_some() {
            return Ok(());
        }
        if self.model.texts.insert(text.to_owned(), credential).is_some() {
            return Err(format!("the text of {credential:?} is another's"));
        }
        let grant = credential.grant().map(|grant| self.grant(grant).1);
        if grant.is_some() && grant_of(text) != grant {
            return Err(format!("{credential:?} names another grant"));
        }
        let (kind, prefix) = match credential {
            Credential::Ticket(_) => (Kind::Ticket, "gct_"),
            Credential::Code(_) => (Kind::Code, "gac_"),
            Credential::Access(..) => (Kind::Access, "gat_"),
            Credential::Management(_) => (Kind::Management, "gcm_"),
            _ => (Kind::Refresh, "grt_"),
        };
        if !text.starts_with(prefix) {
            return Err(format!("{credential:?} has another prefix"));
        }
        self.canaries.add(text);
        self.held[kind as usize].push(text.to_owned());
        Ok(())
    }

    /// Learns a text, unless its response gets lost on the way.
    pub fn receive(&mut self, text: &str, credential: Credential) -> Result<(), Fault> {
        if self.random.one_in(10) {
            self.canaries.add(text);
            return Ok(());
        }
        self.learn(text, credential)
    }
}
