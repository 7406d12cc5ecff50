//! The steps of clients that register themselves, and of the thief with their registration tokens.

use grantcore::value::RegisteredRedirectUri;
use grantcore::{Authorization, ContentType, Error, Reply, RequestParts};
use serde_json::{Value, json};

use super::clients::{Act, Update};
use super::play::{Fault, Kind, Play, names};
use super::records::{Client, Credential, Origin, Proof, UNUSED};
use super::rig::{ISSUERS, SCOPES, call};
use super::rules::{Answer, New, Request, Write};
use super::scan::challenge;
use super::steps::Trouble;
use super::store::Broken;
use crate::wire::To;

/// The redirect URIs that clients register and publish.
pub const REDIRECTS: [&str; 4] = [
    "https://one.example/cb",
    "https://evil.example/cb",
    "https://two.example/cb?x=1&y",
    "http://127.0.0.1/cb",
];

/// A redirect URI that nobody may register.
const UNENCRYPTED: &str = "http://one.example/cb";

impl Play {
    pub fn some_redirects(&mut self) -> Vec<String> {
        if self.random.one_in(2) {
            return vec![(*self.random.pick(&REDIRECTS)).to_owned()];
        }
        let chosen = 1 + self.random.below(15);
        let chosen = REDIRECTS.iter().enumerate().filter(|(bit, _)| chosen & 1 << bit != 0);
        chosen.map(|(_, uri)| (*uri).to_owned()).collect()
    }

    /// Chooses the metadata of a client.
    fn metadata(&mut self, has_secret: bool) -> (Update, Value) {
        let update = Update {
            redirects: self.some_redirects(),
            scope: 1 + self.random.small(7),
            has_secret,
            sent: Proof::None,
            flaw: self.random.one_in(20).then_some("invalid_redirect_uri"),
        };
        let sent = match update.flaw {
            None => update.redirects.clone(),
            Some(_) => vec![UNENCRYPTED.to_owned()],
        };
        let body = json!({
            "client_name": "A client",
            "redirect_uris": sent,
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": if has_secret { "client_secret_post" } else { "none" },
            "scope": names(&SCOPES, update.scope),
        });
        (update, body)
    }

    pub fn register(&mut self) -> Result<(), Fault> {
        let has_secret = self.random.one_in(2);
        let (metadata, body) = self.metadata(has_secret);
        let issuer = self.random.below(ISSUERS.len());
        let trouble = self.trouble_at(issuer, false, true);
        let issuer = trouble.call.issuer;
        let body = body.to_string();
        let request = sent("POST", Authorization::None, &body);
        let answer = call!(self.rig, issuer, trouble.face, register(&request));
        let call = self.ended(&trouble, answer.is_some());
        let client = Client {
            version: 0,
            origin: Origin::Registered(issuer),
            is_on_record: true,
            is_active: true,
            is_deleted: false,
            epoch: 0,
            expires: self.model.clock + UNUSED,
            redirects: metadata.redirects,
            scope: metadata.scope,
            secret: has_secret.then_some(self.number),
            described: self.model.clock,
        };
        let registered =
            Answer::Registration { secret: client.secret, client: Box::new(client.clone()) };
        let expected = self.model.drive(call, &trouble.faults, |model, _, _| match metadata.flaw {
            Some(code) => (Answer::Refused(code), None),
            None if model.has_created(New::Client(call.number)) => (registered.clone(), None),
            None => (registered.clone(), Some(Write::New(New::Client(call.number)))),
        });
        self.reach("register", &expected, answer.is_some());
        self.events(answer.is_some(), 1)?;
        match (answer, expected) {
            (Some(Ok(reply)), Answer::Registration { .. }) if reply.status == 201 => {
                let body = json_of(&reply)?;
                let id = body["client_id"].as_str().unwrap_or_default().to_owned();
                if self.clients.contains(&id) || id.len() < 26 {
                    return Err(format!("{id} is no new id"));
                }
                let index = self.clients.len();
                let token = body["registration_access_token"].as_str().unwrap_or_default();
                self.clients.push(id);
                self.model.clients.push(client.clone());
                self.registration(&body, index, &client, client.secret)?;
                self.receive(token, Credential::Management(index))?;
                self.client_record(index)
            }
            (None, _) => Ok(()),
            (Some(answer), expected) => {
                self.not_registered(To::Register, &trouble, answer, &expected)
            }
        }
    }

    /// Somebody with a token, mostly that of the registration, reads, changes or deletes it.
    pub fn manage(&mut self) -> Result<(), Fault> {
        let (text, token) = match self.busy_registration() {
            Some(known) if !self.random.one_in(3) => known,
            _ => self.credential(Kind::Management),
        };
        let own = match token {
            Credential::Management(client) => client,
            _ => self.random.below(self.clients.len()),
        };
        let client =
            if self.random.one_in(8) { self.random.below(self.clients.len()) } else { own };
        let id = self.clients[client].clone();
        let (act, method, body) = match self.random.below(8) {
            0 => (Act::Delete, "DELETE", String::new()),
            1 | 2 => (Act::Read, "GET", String::new()),
            _ => {
                let (update, body) = self.update(client);
                (Act::Update(update), "PUT", body.to_string())
            }
        };
        let issuer = match self.model.clients[client].origin {
            Origin::Registered(issuer) => issuer,
            Origin::Operator | Origin::Document(_) => 0,
        };
        let trouble = self.trouble_at(issuer, true, !matches!(act, Act::Read));
        let header = format!("Bearer {text}");
        let request = sent(method, Authorization::One(header.as_bytes()), &body);
        let issuer = trouble.call.issuer;
        let answer = call!(self.rig, issuer, trouble.face, manage(&id, &request));
        let request = Request::Manage { client, token, act };
        let expected = self.expected(&request, &trouble, answer.is_some());
        self.events(answer.is_some(), 1)?;
        self.client_record(client)?;
        let (Some(answer), Some(expected)) = (answer, expected) else { return Ok(()) };
        match (answer, expected) {
            (Ok(reply), Answer::Registration { client: own, secret }) if reply.status == 200 => {
                let body = json_of(&reply)?;
                if body["registration_access_token"] != text {
                    return Err(format!("another token in {body}"));
                }
                self.registration(&body, client, &own, secret)
            }
            (Ok(reply), Answer::Done) if reply.status == 204 && reply.body.is_empty() => Ok(()),
            (answer, expected) => self.not_registered(To::Manage, &trouble, answer, &expected),
        }
    }

    /// Returns the registration of a client that somebody has just used.
    fn busy_registration(&mut self) -> Option<(String, Credential)> {
        let used: Vec<_> = self.model.grants.iter().map(|grant| grant.client).collect();
        let own = Credential::Management(*self.random.recent(&used)?);
        let texts = &self.held[Kind::Management as usize];
        let text = texts.iter().find(|text| self.model.texts[*text] == own)?;
        Some((text.clone(), own))
    }

    /// Chooses the metadata of an update, and whether they repeat the client's secret.
    fn update(&mut self, client: usize) -> (Update, Value) {
        let own = self.model.clients[client].secret;
        let has_secret = own.is_some() != self.random.one_in(5);
        let (mut update, mut body) = self.metadata(has_secret);
        update.sent = match own {
            Some(own) if self.random.one_in(4) && self.secrets.contains_key(&own) => {
                Proof::Secret(own)
            }
            _ if self.random.one_in(12) => self.stolen(),
            _ => Proof::None,
        };
        body["client_id"] = json!(self.clients[client]);
        if let Some(secret) = self.secret(update.sent) {
            body["client_secret"] = json!(secret);
        }
        match self.random.below(24) {
            0 => body["client_id"] = json!("app"),
            1 => body["registration_access_token"] = json!("mine"),
            _ => return (update, body),
        }
        update.flaw = Some("invalid_client_metadata");
        (update, body)
    }

    /// Checks a registration as a response shows it, and learns its secret.
    fn registration(
        &mut self,
        body: &Value,
        index: usize,
        own: &Client,
        secret: Option<u64>,
    ) -> Result<(), Fault> {
        let method = if own.secret.is_some() { "client_secret_post" } else { "none" };
        let shown = body["client_secret"].as_str();
        let is_right = body["client_id"] == self.clients[index]
            && body["redirect_uris"] == json!(own.redirects)
            && body["scope"] == names(&SCOPES, own.scope)
            && body["token_endpoint_auth_method"] == method
            && body.get("client_secret_expires_at").is_some() == own.secret.is_some()
            && shown.is_some() == secret.is_some();
        if !is_right {
            return Err(format!("{body}, and not {own:?} with {secret:?}"));
        }
        let (Some(text), Some(number)) = (shown, secret) else { return Ok(()) };
        self.canaries.add(text);
        let is_lost = self.random.one_in(10);
        if !is_lost && self.secrets.insert(number, text.to_owned()).is_some() {
            return Err("a secret is shown again".into());
        }
        Ok(())
    }

    /// Checks an answer that shows no registration.
    fn not_registered(
        &mut self,
        to: To,
        trouble: &Trouble,
        answer: Result<Reply, Error<Broken>>,
        expected: &Answer,
    ) -> Result<(), Fault> {
        let error = match answer {
            Ok(reply) => {
                return Err(format!("{} {}, and not {expected:?}", reply.status, reply.body));
            }
            Err(error) => error,
        };
        let issuer = trouble.call.issuer;
        let code = self.refusal(to, issuer, &error)?;
        let reply = error.reply(self.rig.policy(issuer));
        let is_right = match expected {
            Answer::Refused("invalid_token") => {
                let found = challenge(reply.header("www-authenticate").unwrap_or_default())?;
                reply.status == 401
                    && found.get("error").map(String::as_str) == Some("invalid_token")
            }
            Answer::Refused(own) => *own == code,
            Answer::Unavailable | Answer::Unprepared => reply.status == 503,
            _ => false,
        };
        if is_right { Ok(()) } else { Err(format!("{code} {reply:?}, and not {expected:?}")) }
    }

    /// Checks that the record of a client is what the model says.
    pub fn client_record(&self, index: usize) -> Result<(), Fault> {
        let own = &self.model.clients[index];
        let Some(stored) = self.rig.client(&self.clients[index]) else {
            let fault = format!("no record of {own:?}");
            return if own.is_on_record { Err(fault) } else { Ok(()) };
        };
        let record = &stored.record;
        self.scan(&serde_json::to_string(&**record).map_err(|error| error.to_string())?)?;
        let redirects: Vec<_> =
            record.redirect_uris().iter().map(RegisteredRedirectUri::as_str).collect();
        let is_active = record.status() == grantcore::client::ClientStatus::Active;
        let expires = record.expires().unix_seconds();
        let is_right = own.is_on_record
            && redirects == own.redirects
            && is_active == own.is_active
            && record.secrets().is_some() == own.secret.is_some()
            && (own.origin == Origin::Operator || expires == own.expires);
        if is_right { Ok(()) } else { Err(format!("{record:?} is not {own:?}")) }
    }
}

fn sent<'a>(method: &'a str, authorization: Authorization<'a>, body: &'a str) -> RequestParts<'a> {
    RequestParts {
        method,
        content_type: ContentType::JSON,
        authorization,
        body: body.as_bytes(),
        source: "192.0.2.7",
        ..RequestParts::default()
    }
}

fn json_of(reply: &Reply) -> Result<Value, Fault> {
    if reply.header("cache-control") != Some("no-store") {
        return Err("a secret may be cached".into());
    }
    serde_json::from_str(&reply.body).map_err(|error| error.to_string())
}
