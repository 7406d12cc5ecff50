//! The authorization requests of browsers: of new users, and of users who come back.

use super::clients::{Ask, Published};
use super::play::{Play, USERS, VERIFIERS, challenge_of, form, names};
use super::records::{Grant, Origin, Phase, Set};
use super::registration::REDIRECTS;
use super::rig::{CLIENTS, DOCUMENTS, RESOURCES, SCOPES};

/// An authorization request, with what the model does not see of it.
pub struct Visit {
    pub ask: Ask,
    pub query: String,
    pub state: String,
    pub client: usize,
    pub issuer: usize,
    pub scope: u8,
    pub resources: u8,
    pub verifier: usize,
}

/// What a user wants of a client.
struct Wish {
    client: usize,
    user: usize,
    issuer: usize,
    redirect: Option<String>,
    scope: Set,
    resources: Set,
    remembered: Option<usize>,
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

    /// Chooses a request of a user to a client, and a grant that the host could remember for it.
    fn wish(&mut self) -> Wish {
        let (client, user) = (self.any_client(), self.random.below(USERS.len()));
        let own = self.model.clients[client].scope;
        let scope = match (1 + self.random.small(7)) & own {
            0 => 1 + self.random.small(7),
            part if !self.random.one_in(12) => part,
            _ => 1 + self.random.small(7),
        };
        let any: Vec<_> = (0..self.model.grants.len()).collect();
        Wish {
            client,
            user,
            issuer: match self.model.clients[client].origin {
                Origin::Registered(issuer) => issuer,
                Origin::Operator | Origin::Document(_) => self.random.below(2),
            },
            redirect: self.redirect_uri(client),
            scope,
            resources: 1 + self.random.small(3),
            remembered: self.random.recent(&any).copied().filter(|_| self.random.one_in(4)),
        }
    }

    /// Chooses a request that repeats a part of what its user has granted before, and sometimes a
    /// little more.
    fn wish_again(&mut self) -> Option<Wish> {
        let is_alive = |grant: &&Grant| {
            matches!(grant.phase, Phase::Active(_)) && grant.redirect.starts_with("https:")
        };
        let alive: Vec<_> = self.model.grants.iter().filter(is_alive).map(|own| own.id).collect();
        let own = self.model.grants[*self.random.recent(&alive)?].clone();
        let part = |all: u8, chosen: u8| if all & chosen == 0 { all } else { all & chosen };
        let (scope, resources) = (1 + self.random.small(7), 1 + self.random.small(3));
        let (scope, resources) = match self.random.below(8) {
            0 => (scope, resources),
            _ => (part(own.left, scope), part(own.resources, resources)),
        };
        let user = if self.random.one_in(12) { self.random.below(USERS.len()) } else { own.user };
        let redirect = match self.random.below(10) {
            0 => self.redirect_uri(own.client),
            1 => None,
            _ => Some(own.redirect),
        };
        Some(Wish {
            client: own.client,
            user,
            issuer: own.issuer,
            redirect,
            scope,
            resources,
            remembered: Some(own.id),
        })
    }

    pub fn visit(&mut self) -> Visit {
        let again = if self.random.one_in(3) { self.wish_again() } else { None };
        let Wish { client, user, issuer, redirect, scope, resources, remembered } =
            again.unwrap_or_else(|| self.wish());
        let is_known = !self.random.one_in(20);
        let verifier = self.random.below(VERIFIERS.len());
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
        let prompt = [Some("none"), Some("consent"), None][self.random.below(16).min(2)];
        pairs.extend(prompt.map(|word| ("prompt", word)));
        let query = form(&pairs);
        let ask = Ask {
            client: is_known.then_some(client),
            redirect,
            user,
            is_signed_in: flaw != 3,
            has_challenge: flaw != 0,
            scope: (flaw != 1).then_some(scope),
            resources: (flaw != 2).then_some(resources),
            prompt,
            remembered,
            is_own_site: self.random.one_in(2),
            fetched: None,
        };
        let scope = ask.understood().unwrap_or_default();
        Visit { ask, query, state, client, issuer, scope, resources, verifier }
    }
}
