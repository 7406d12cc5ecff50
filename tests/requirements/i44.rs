//! Tests of I44: tokens are issued only to the client that the request named and that
//! authenticated, and only such a request ends a grant. They send arbitrary requests to the token,
//! revocation and introspection endpoints, over a correct store and over stores that load the wrong
//! client.

use std::cell::Cell;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use grantcore::blocking::{Accounts, LoadsAccounts, Server, Store};
use grantcore::client::StoredSecret;
use grantcore::grant::Grant;
use grantcore::operation::Loaded;
use grantcore::policy::{IntrospectionRules, Limits, RevocationRules};
use grantcore::store::{Commit, Keys, Stored, Write};
use grantcore::value::{Digest, GrantId, SecretMethod};
use grantcore::{
    Account, Authorization, AuthorizationStep, Choice, Client, Event, FromStore, MemoryStore,
    Reply, RequestParts, Timestamp,
};

use crate::support::params::Params;
use crate::support::steps::form;
use crate::support::{ALICE, Answered, CALLBACK, MCP, SECRET, T, json, param, policy, seeded};

/// How a store loads the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loads {
    /// As the law requires.
    Correctly,
    /// Always the client of the grant.
    ClientOfGrant,
    /// Always the same client.
    OneClient,
}

/// A store that loads clients in this way, and counts commits.
struct Loading(MemoryStore, Mutex<Loads>, AtomicU64);

impl Store for Loading {
    type Error = Infallible;

    fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Infallible> {
        self.0.client(id)
    }

    fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Infallible> {
        self.0.grant(id)
    }

    fn commit(&self, write: &Write) -> Result<Commit, Infallible> {
        self.2.fetch_add(1, Ordering::SeqCst);
        self.0.commit(write)
    }

    fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, Infallible> {
        self.0.grants_of(subject, after, limit)
    }

    fn load(&self, keys: &Keys<'_>) -> Result<Loaded, Infallible> {
        let mut loaded = self.0.load(keys)?;
        let wrong_client = match *self.1.lock().unwrap() {
            Loads::Correctly => return Ok(loaded),
            Loads::ClientOfGrant => {
                loaded.grant.as_ref().map(|stored| stored.record.client_id().as_str().to_owned())
            }
            Loads::OneClient => Some("app".to_owned()),
        };
        let wrong_client = wrong_client.map(|id| self.0.client(&id)).transpose()?.flatten();
        loaded.client.clone_from(&wrong_client);
        loaded.caller = wrong_client;
        Ok(loaded)
    }
}

impl Accounts for Loading {
    type Error = Infallible;

    fn account(&self, subject: &str) -> Result<Option<Account>, Infallible> {
        self.0.account(subject)
    }
}

impl LoadsAccounts for Loading {}

/// The clients, each with its authentication method.
const CLIENTS: [(&str, Option<SecretMethod>); 5] = [
    ("app", None),
    ("https://client.example/é%", None),
    ("app ", None),
    ("web", Some(SecretMethod::Post)),
    ("server", Some(SecretMethod::Basic)),
];

/// Further names for requests. No client has them.
const STRANGERS: [&str; 9] =
    ["é", "app\u{e9}", "a\u{0}pp", "app\n", "\u{7f}", "", "App", "nobody", "ａｐｐ"];

/// Random numbers that repeat in each run.
struct Dice(Cell<u64>);

impl Dice {
    fn below(&self, bound: usize) -> usize {
        self.0.set(self.0.get().wrapping_add(0x9E37_79B9_7F4A_7C15));
        let mut z = self.0.get();
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(bound).unwrap()).unwrap()
    }

    fn pick<'a, T>(&self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// Form-encodes a text in one of its many spellings.
    fn spelled(&self, text: &[u8]) -> String {
        let every = self.below(3);
        let mut spelled = String::new();
        for byte in text {
            let is_plain = byte.is_ascii_alphanumeric() && (every == 0 || self.below(2) == 0);
            match (is_plain, self.below(2)) {
                (true, _) => spelled.push(char::from(*byte)),
                (false, 0) => write!(spelled, "%{byte:02X}").unwrap(),
                (false, _) => write!(spelled, "%{byte:02x}").unwrap(),
            }
        }
        spelled
    }
}

/// The sender of a request, as the test knows it.
struct Sender {
    /// The client that the request names.
    named: Vec<u8>,
    /// Whether the request authenticates as that client, and the client exists.
    is_proved: bool,
    /// The fields of the form.
    form: String,
    header: Option<Vec<u8>>,
}

struct World {
    server: Server<Loading>,
    clock: Arc<AtomicU64>,
    events: Arc<Mutex<Vec<Event>>>,
    dice: Dice,
    too_long: String,
}

impl World {
    fn new(loads: Loads, seed: u64) -> Self {
        let rules = IntrospectionRules::default().with_resource_server("server", MCP);
        let policy = policy()
            .revocation(RevocationRules::default())
            .introspection(rules)
            .limits(
                Limits::default()
                    .with_token_requests_per_minute(u32::MAX)
                    .with_failed_authentications_per_minute(u32::MAX),
            )
            .build()
            .unwrap();
        let store = MemoryStore::new();
        for (id, method) in CLIENTS {
            let secret = StoredSecret::Digest(Digest::of(secret_of(id).as_bytes()));
            let client = match method {
                // No record has this id, which an attacker might claim.
                None if !id.is_ascii() => continue,
                None => Client::public(id),
                Some(method) => Client::confidential(id, method, secret),
            };
            store.put_client(client.redirect_uri(CALLBACK).build().unwrap());
        }
        let clock = Arc::new(AtomicU64::new(T));
        let time = Arc::clone(&clock);
        let events = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&events);
        let now = move || Timestamp::from_unix_seconds(time.load(Ordering::SeqCst));
        let server = Server::with_sources(
            policy,
            Loading(store, Mutex::new(loads), AtomicU64::new(0)),
            FromStore,
            now,
            seeded(seed),
        )
        .with_observer(move |event| kept.lock().unwrap().push(event.clone()));
        let too_long = "a".repeat(2_049);
        Self { server, clock, events, dice: Dice(Cell::new(seed)), too_long }
    }

    /// Names a client in some way, and authenticates or not.
    fn sender(&self, owner: &str) -> Sender {
        let dice = &self.dice;
        let named = match dice.below(10) {
            0..=4 => owner,
            5..=6 => dice.pick(&CLIENTS).0,
            7 => self.too_long.as_str(),
            _ => *dice.pick(&STRANGERS),
        };
        let secret = match dice.below(8) {
            0 => "wrong".to_owned(),
            1 => secret_of(dice.pick(&CLIENTS).0),
            _ => secret_of(named),
        };
        let registered = CLIENTS.into_iter().find(|(id, _)| *id == named && id.is_ascii());
        let method = match (dice.below(4), registered) {
            (0, _) | (_, None) => {
                [None, Some(SecretMethod::Basic), Some(SecretMethod::Post)][dice.below(3)]
            }
            (_, Some((_, method))) => method,
        };
        let is_proved = registered.is_some_and(|(id, own)| {
            method == own && (method.is_none() || secret == secret_of(id))
        });
        let named_twice = dice.below(2) == 0;
        let id = format!("client_id={}", dice.spelled(named.as_bytes()));
        let (form, header) = match method {
            None => (id, None),
            Some(SecretMethod::Post) => {
                (format!("{id}&client_secret={}", dice.spelled(secret.as_bytes())), None)
            }
            Some(_) => {
                let pair = format!(
                    "{}:{}",
                    dice.spelled(named.as_bytes()),
                    dice.spelled(secret.as_bytes())
                );
                let header = format!("Basic {}", base64(pair.as_bytes()));
                let form = if named_twice && !named.is_empty() { id } else { String::new() };
                (form, Some(header.into_bytes()))
            }
        };
        Sender { named: named.into(), is_proved, form, header }
    }

    fn send(&self, endpoint: Endpoint, sender: &Sender, fields: &str) -> Reply {
        let body = format!("{}&{fields}", sender.form);
        let authorization =
            sender.header.as_deref().map_or(Authorization::None, Authorization::One);
        let incoming = RequestParts { authorization, ..form(&body) };
        let reply = match endpoint {
            Endpoint::Token => self.server.token(&incoming),
            Endpoint::Revoke => self.server.revoke(&incoming),
            Endpoint::Introspect => self.server.introspect(&incoming),
        };
        reply.answered(self.server.policy())
    }

    /// Returns a code of this client, issued while the store loads correctly.
    fn code(&self, client: &str) -> String {
        let loads =
            std::mem::replace(&mut *self.server.store().1.lock().unwrap(), Loads::Correctly);
        let query = Params::authorize().set("client_id", client).encode();
        let incoming =
            RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
        let step = self.server.authorize(&incoming, Some(ALICE)).unwrap();
        let AuthorizationStep::NeedsConsent(page) = step else { panic!("no page: {step:?}") };
        let allowed = self.server.consent(&page.ticket(), ALICE, Choice::Allow).unwrap();
        *self.server.store().1.lock().unwrap() = loads;
        param(&allowed.into_location(), "code").unwrap()
    }

    fn commits(&self) -> u64 {
        self.server.store().2.load(Ordering::SeqCst)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    Token,
    Revoke,
    Introspect,
}

fn secret_of(client: &str) -> String {
    format!("{SECRET}{client}")
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// A presented credential and its owner.
struct Token {
    owner: &'static str,
    field: &'static str,
    text: String,
}

/// Sends `count` requests. Returns how many got tokens, ended a grant, or learned that a token is
/// active.
fn requests(loads: Loads, seed: u64, count: usize) -> [usize; 3] {
    let world = World::new(loads, seed);
    let owners = CLIENTS.iter().map(|(id, _)| *id).filter(|id| id.is_ascii()).collect::<Vec<_>>();
    let mut tokens: Vec<Token> = Vec::new();
    let mut yes = [0; 3];
    for number in 0..count {
        world.clock.fetch_add(1, Ordering::SeqCst);
        // A few grants are alive at any time. Their records are compared before and after each
        // request.
        if tokens.len() < 4 {
            let owner = *world.dice.pick(&owners);
            tokens.push(Token { owner, field: "code", text: world.code(owner) });
        }
        let at = world.dice.below(tokens.len());
        let Token { owner, field, text } = &tokens[at];
        let sender = world.sender(owner);
        let endpoint = match world.dice.below(8) {
            0 => Endpoint::Revoke,
            1..=2 => Endpoint::Introspect,
            _ => Endpoint::Token,
        };
        let fields = match (endpoint, *field) {
            (Endpoint::Token, "code") => {
                let redeem = Params::redeem(text).without("client_id").set("resource", MCP);
                redeem.encode()
            }
            (Endpoint::Token, _) => Params::refresh(text).without("client_id").encode(),
            _ => format!("token={text}"),
        };
        let before = world.commits();
        let reply = world.send(endpoint, &sender, &fields);
        let changed = before != world.commits();
        let shown = || {
            format!(
                "{loads:?} {seed} {number}: {endpoint:?} of the {field} of {owner:?}, named {:?}, \
                 proved {}: {} {}",
                String::from_utf8_lossy(&sender.named),
                sender.is_proved,
                reply.status,
                reply.body
            )
        };
        let is_owner = sender.named == owner.as_bytes() && sender.is_proved;
        let body = if reply.body.is_empty() { serde_json::Value::Null } else { json(&reply) };
        let granted = body.get("access_token").is_some();
        assert!(is_owner || !granted, "tokens for a stranger: {}", shown());
        assert!(is_owner || !changed, "a change by a stranger: {}", shown());
        if body.get("active") == Some(&true.into()) {
            assert!(
                sender.named == b"server" && sender.is_proved,
                "an answer to a stranger: {}",
                shown()
            );
            yes[2] += 1;
        }
        if !sender.is_proved {
            assert!(matches!(reply.status, 400 | 401), "{}", shown());
        }
        yes[1] += usize::from(changed && endpoint == Endpoint::Revoke);
        let event = world.events.lock().unwrap().drain(..).next_back().unwrap();
        if let (false, Some(client)) = (endpoint == Endpoint::Introspect, &event.client) {
            assert_eq!(client.as_str().as_bytes(), sender.named, "{}", shown());
        }
        if granted {
            yes[0] += 1;
            let owner = *owner;
            let text = |member: &str| body[member].as_str().unwrap().to_owned();
            let refresh = Token { owner, field: "refresh", text: text("refresh_token") };
            let access = Token { owner, field: "access", text: text("access_token") };
            tokens.swap_remove(at);
            tokens.extend([refresh, access]);
        } else if changed || world.dice.below(40) == 0 {
            tokens.swap_remove(at);
        }
        tokens.truncate(12);
    }
    yes
}

#[test]
fn i44_tokens_go_only_to_the_client_that_was_named_and_authenticated() {
    let yes = requests(Loads::Correctly, 1, 20_000);
    assert!(yes.iter().all(|count| *count > 200), "too few requests succeeded: {yes:?}");
}

#[test]
fn i44_holds_if_the_store_loads_the_client_of_the_grant() {
    let yes = requests(Loads::ClientOfGrant, 2, 5_000);
    assert!(yes.iter().all(|count| *count > 20), "too few requests succeeded: {yes:?}");
}

#[test]
fn i44_holds_if_the_store_always_loads_the_same_client() {
    let yes = requests(Loads::OneClient, 3, 5_000);
    assert!(yes[0] > 20, "too few requests succeeded: {yes:?}");
}
