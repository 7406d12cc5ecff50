//! The steps of programs: requests of clients for tokens, and calls of resources.

use grantcore::{Authorization, Error, Reply};

use super::accounts::properties;
use super::play::{Fault, Kind, Play, USERS, VERIFIERS, form, names};
use super::records::Credential;
use super::rig::{CLIENTS, ISSUERS, RESOURCES, SCOPES, SECRET, call};
use super::rules::{Answer, Request};
use super::scan::challenge;
use super::steps::{Trouble, posted};
use super::store::Broken;
use crate::wire::To;

impl Play {
    pub fn send(
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
    pub fn compare(
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
            (Ok(reply), Answer::Active { grant, scope, expires, .. }) => {
                self.scan(&reply.body)?;
                let body: serde_json::Value =
                    serde_json::from_str(&reply.body).map_err(|error| error.to_string())?;
                let own = &self.model.grants[*grant];
                let is_right = body["active"] == true
                    && body["client_id"] == self.clients[own.client]
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

    pub fn redeem(&mut self) -> Result<(), Fault> {
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
        let resources = if self.random.one_in(4) { self.random.small(4) } else { 0 };
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

    pub fn refresh(&mut self) -> Result<(), Fault> {
        let (text, token) = self.credential(Kind::Refresh);
        let (by, mut pairs) = self.claim(token.grant());
        let scope = self.random.one_in(4).then(|| 1 + self.random.small(7));
        let resources = if self.random.one_in(6) { self.random.small(4) } else { 0 };
        pairs.extend([("grant_type", "refresh_token".to_owned()), ("refresh_token", text)]);
        pairs.extend(scope.map(|scope| ("scope", names(&SCOPES, scope))));
        pairs.extend(resource_pairs(resources));
        let decision = self.decide();
        let request = Request::Refresh { by, token, scope, resources, decision };
        let trouble = self.trouble(request.grant(), true);
        let answer = self.send(To::Token, &pairs, &trouble);
        self.compare(To::Token, &request, &trouble, answer)
    }

    pub fn revoke(&mut self) -> Result<(), Fault> {
        let kind = if self.random.one_in(2) { Kind::Access } else { Kind::Refresh };
        let (text, token) = self.credential(kind);
        let (by, mut pairs) = self.claim(token.grant());
        pairs.push(("token", text));
        let request = Request::Revoke { by, token };
        let trouble = self.trouble(request.grant(), true);
        let answer = self.send(To::Revoke, &pairs, &trouble);
        self.compare(To::Revoke, &request, &trouble, answer)
    }

    pub fn introspect(&mut self) -> Result<(), Fault> {
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
        self.rig.store.applied();
        self.events(answer.is_some(), 1)?;
        match answer {
            Some(Ok(reply)) => Err(format!("a deactivated client got {}", reply.body)),
            _ => Ok(()),
        }
    }

    pub fn check(&mut self) -> Result<(), Fault> {
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
            (Ok(access), Answer::Active { grant, scope, expires, properties: bound }) => {
                self.scan(&format!("{access:?}"))?;
                let (own, id) = self.grant(grant);
                let is_right = access.client_id().as_str() == self.clients[own.client]
                    && access.subject().map(grantcore::value::Subject::as_str)
                        == Some(USERS[own.user])
                    && access.grant_id() == id
                    && access.properties() == properties(bound).as_ref()
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
}

fn resource_pairs(resources: u8) -> Vec<(&'static str, String)> {
    let chosen = RESOURCES.iter().enumerate().filter(|(bit, _)| resources & 1 << bit != 0);
    chosen.map(|(_, resource)| ("resource", (*resource).to_owned())).collect()
}
