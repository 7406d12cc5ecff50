//! A server in memory whose flows produce the records of a real one.
#![allow(dead_code, unreachable_pub, reason = "each test crate uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use grantcore::blocking::{Ready, Server, Store};
use grantcore::grant::Grant;
use grantcore::moment::{SystemClock, SystemEntropy};
use grantcore::policy::Lifetimes;
use grantcore::response::Redirect;
use grantcore::store::AccountSource;
use grantcore::value::ClientId;
use grantcore::{
    AlwaysActive, AuthorizationStep, Choice, Client, ContentType, Error, MemoryStore, Policy,
    Reply, RequestParts, Timestamp, User,
};

/// The verifier and challenge of RFC 7636, appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const CALLBACK: &str = "http://127.0.0.1/callback";
pub const MCP: &str = "https://mcp.example/mcp";

pub type Memory = Server<Arc<MemoryStore>, AlwaysActive>;

/// A usual policy: two scopes and one resource. No refresh family has an absolute end.
pub fn policy() -> Policy {
    let policy = Policy::builder("https://auth.example")
        .scope("notes", "Read the notes on your note pad and add to them")
        .scope("profile", "See who you are on this server")
        .default_scope("notes profile")
        .resource(MCP, "notes profile")
        .lifetimes(Lifetimes::default().with_refresh_absolute(None));
    policy.build().unwrap()
}

/// Returns a server in memory with one client. Its clock is `ahead` seconds ahead.
pub fn memory(ahead: &Arc<AtomicU64>) -> Memory {
    let store = Arc::new(MemoryStore::new());
    let ahead = Arc::clone(ahead);
    store.put_client(client());
    let clock = move || {
        let now = grantcore::moment::Clock::now(&SystemClock).unix_seconds();
        Timestamp::from_unix_seconds(now + ahead.load(Ordering::SeqCst))
    };
    Server::with_sources(policy(), store, AlwaysActive, clock, SystemEntropy).without_rate_limit()
}

pub fn client() -> Client {
    Client::public("gcl_notes-application").name("Notes").redirect_uri(CALLBACK).build().unwrap()
}

pub fn client_id() -> ClientId {
    client().id().clone()
}

pub struct Tokens {
    pub access: String,
    pub refresh: String,
}

/// Returns the request that posts a form.
pub fn posted(form: &str) -> RequestParts<'_> {
    let content_type = ContentType::FORM;
    RequestParts { method: "POST", content_type, body: form.as_bytes(), ..RequestParts::default() }
}

/// Returns the tokens of a response, or `None` if the request was refused.
pub fn tokens<E: std::error::Error>(answer: Result<Reply, Error<E>>) -> Option<Tokens> {
    let reply = match answer {
        Ok(reply) => reply,
        Err(Error::Refused(_)) => return None,
        Err(Error::Failed(failure)) => panic!("{failure}"),
    };
    let text = |name: &str| {
        let (_, rest) = reply.body.split_once(&format!("\"{name}\":\""))?;
        rest.split_once('"').map(|(value, _)| value.to_owned())
    };
    Some(Tokens { access: text("access_token")?, refresh: text("refresh_token")? })
}

pub fn refreshment(token: &str) -> String {
    format!("grant_type=refresh_token&client_id={}&refresh_token={token}", client_id())
}

/// Opens a consent page of this user and returns its ticket.
pub fn ticket<S: Store, A>(server: &Server<S, A>, subject: &str) -> String
where
    Ready<A>: AccountSource<Ready<S>>,
{
    let query = format!(
        "response_type=code&client_id={}&redirect_uri={CALLBACK}\
         &code_challenge={CHALLENGE}&code_challenge_method=S256\
         &state=0123456789abcdef0123456789abcdef&resource={MCP}",
        client_id()
    );
    let incoming =
        RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
    match server.authorize(&incoming, Some(user(subject))).unwrap() {
        AuthorizationStep::NeedsConsent(page) => page.ticket(),
        other => panic!("no consent page but {other:?}"),
    }
}

pub fn user(subject: &str) -> User<'_> {
    User::new(subject, b"a browser").unwrap()
}

/// Approves a consent page and returns the form that redeems its code.
pub fn redemption<S: Store, A>(server: &Server<S, A>, ticket: &str, subject: &str) -> String
where
    Ready<A>: AccountSource<Ready<S>>,
{
    redemption_of(server.consent(ticket, user(subject), Choice::Allow).unwrap())
}

/// Returns the form that redeems the code of this redirect.
pub fn redemption_of(redirect: Redirect) -> String {
    let location = redirect.into_location();
    let (_, query) = location.split_once('?').unwrap();
    let code = query.split('&').find_map(|part| part.strip_prefix("code=")).unwrap();
    format!(
        "grant_type=authorization_code&client_id={}&redirect_uri={CALLBACK}&code={code}\
         &code_verifier={VERIFIER}",
        client_id()
    )
}

/// Runs a flow of this user to its first tokens.
pub fn flow<S: Store, A>(server: &Server<S, A>, subject: &str) -> Tokens
where
    Ready<A>: AccountSource<Ready<S>>,
{
    let form = redemption(server, &ticket(server, subject), subject);
    tokens(server.token(&posted(&form))).unwrap()
}

/// Returns all grants of this user.
pub fn grants_of(server: &Memory, subject: &str) -> Vec<Arc<Grant>> {
    let store = server.store();
    let ids = Store::grants_of(store, subject, None, usize::MAX).unwrap();
    ids.into_iter().map(|id| Store::grant(store, id).unwrap().unwrap().record).collect()
}
