//! A host without an async runtime, on the standard library alone: `grantcore::blocking`.
//! It shows a store and accounts of the host's own, and how a text of HTTP becomes a request of the
//! server. Requests are fed by hand; a host with threads calls `serve` from each of them.
//!
//! `cargo run --example blocking`

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::error::Error;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use grantcore::blocking::{Accounts, Server, Store};
use grantcore::grant::Grant;
use grantcore::response::Redirect;
use grantcore::store::{Change, Commit, Seen, SeenKey, Stored, Write};
use grantcore::value::{ClientId, GrantId};
use grantcore::{Account, AuthorizationStep, Choice, Client, Policy, Reply, RequestParts, User};

/// A store has three reads, one conditional write and one listing. This one forgets everything at
/// its end. `examples/integrations/own_store.rs` is a durable one.
#[derive(Default)]
struct Tables {
    clients: Mutex<BTreeMap<ClientId, Stored<Client>>>,
    grants: Mutex<BTreeMap<GrantId, Stored<Grant>>>,
    seen: Mutex<BTreeMap<SeenKey, Seen>>,
}

impl Store for Tables {
    type Error = Infallible;

    fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Infallible> {
        Ok(lock(&self.clients).get(id).cloned())
    }

    fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Infallible> {
        Ok(lock(&self.grants).get(&id).cloned())
    }

    fn commit(&self, write: &Write) -> Result<Commit, Infallible> {
        Ok(match write {
            Write::Client(change) => replace(&self.clients, change.id().clone(), change),
            Write::Grant(change) => replace(&self.grants, change.id(), change),
            Write::Seen(seen) => match lock(&self.seen).entry(*seen.key()) {
                Entry::Vacant(place) => {
                    place.insert(Seen::clone(seen));
                    Commit::Done
                }
                Entry::Occupied(_) => Commit::Conflict,
            },
        })
    }

    fn seen(&self, key: &SeenKey) -> Result<Option<Seen>, Infallible> {
        Ok(lock(&self.seen).get(key).cloned())
    }

    fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, Infallible> {
        let grants = lock(&self.grants);
        let later =
            grants.range((after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded));
        let own = later.filter(|(_, stored)| {
            stored.record.subject().is_some_and(|own| own.as_str() == subject)
        });
        Ok(own.map(|(id, _)| *id).take(limit).collect())
    }
}

/// Compares the version and writes, under one lock: no other write comes in between.
fn replace<Id: Ord, R>(
    table: &Mutex<BTreeMap<Id, Stored<R>>>,
    id: Id,
    change: &Change<R>,
) -> Commit {
    let mut rows = lock(table);
    if rows.get(&id).map(|stored| stored.version) != change.seen() {
        return Commit::Conflict;
    }
    rows.insert(id, change.stored());
    Commit::Done
}

/// A panic of another thread left no row half written.
fn lock<T>(table: &Mutex<T>) -> MutexGuard<'_, T> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The users of the host: their names, and whether they are locked.
struct Users(Mutex<HashMap<&'static str, bool>>);

impl Accounts for Users {
    type Error = Infallible;

    fn account(&self, subject: &str) -> Result<Option<Account>, Infallible> {
        let suspended = lock(&self.0).get(subject).copied();
        Ok(suspended.map(|suspended| Account { suspended, ..Account::ACTIVE }))
    }
}

/// Answers one HTTP request, given as its text. An error is a fault of the host: it responds 500.
fn serve(server: &Server<Tables, Users>, http: &str) -> Result<Reply, Box<dyn Error>> {
    let (head, body) = http.split_once("\n\n").unwrap_or((http, ""));
    let mut lines = head.lines();
    let mut line = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (line.next().unwrap_or_default(), line.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let header = |name: &'static str| {
        let fields = lines.clone().filter_map(|line| line.split_once(": "));
        fields.filter(move |(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    let request = RequestParts {
        method,
        query: query.as_bytes(),
        content_type: header("content-type").map(str::as_bytes).collect(),
        authorization: header("authorization").map(str::as_bytes).collect(),
        site: header("sec-fetch-site").map(str::as_bytes).collect(),
        source: "192.0.2.1", // The address of the peer. Limits of requests are counted for it.
        body: body.as_bytes(),
    };
    // The login is the host's. Here, a cookie is the session of a user who has signed in before.
    let session = header("cookie").next().filter(|session| *session == "session=alices-browser");
    let user = session.map(|session| User::new("alice", session.as_bytes())).transpose()?;
    let answered = match (path, user) {
        ("/oauth/authorize", _) => server.authorize(&request, user).map(|step| page(server, step)),
        ("/consent", Some(user)) => {
            let ticket = body.strip_prefix("ticket=").unwrap_or_default();
            server.consent(ticket, user, Choice::Allow).map(Redirect::reply)
        }
        ("/oauth/token", _) => server.token(&request),
        ("/notes", _) => {
            let needs = server.policy().needs("https://app.example/notes", "notes")?;
            let checked = server.check_request(&request, &needs);
            checked.map(|access| match access.subject() {
                Some(user) => text(200, format!("Notes of {user}.")),
                None => text(403, "Only for users.".to_owned()),
            })
        }
        _ => Ok(text(404, "There is no such page.".to_owned())),
    };
    // A refusal is a response as well.
    Ok(answered.unwrap_or_else(|error| error.reply(server.policy())))
}

fn page(server: &Server<Tables, Users>, step: AuthorizationStep) -> Reply {
    match step {
        AuthorizationStep::NeedsConsent(page) => {
            let scopes: Vec<_> = page.scopes(server.policy()).map(|(scope, _)| scope).collect();
            let question = format!("Allow {} to use {scopes:?}?", page.client_id());
            text(200, format!("{question} ticket={}", page.ticket()))
        }
        AuthorizationStep::NeedsLogin(_) => text(401, "Sign in first.".to_owned()),
        AuthorizationStep::Done(redirect) => redirect.reply(),
        // The policy accepts no client that is known by a document.
        AuthorizationStep::NeedsDocument(_) => text(404, "There is no such client.".to_owned()),
    }
}

/// A page of the host. No other site may frame it.
fn text(status: u16, body: String) -> Reply {
    Reply::page(status, "text/plain; charset=utf-8", body)
}

fn main() -> Result<(), Box<dyn Error>> {
    let policy = Policy::builder("https://app.example")
        .scope("notes", "Read and change your notes")
        .resource("https://app.example/notes", "notes")
        .build()?;
    let client = Client::public("cli").redirect_uri("https://cli.example/cb").build()?;
    let store = Tables::default();
    let _conflict_if_it_exists = store.commit(&Write::client(None, client))?;
    let server = Server::new(policy, store, Users(Mutex::new([("alice", false)].into())));

    let send = |what: &str, request: &str| -> Result<String, Box<dyn Error>> {
        let reply = serve(&server, request)?;
        let location = reply.header("location").unwrap_or_default();
        println!("{what}: {} {}{location}", reply.status, reply.body);
        Ok(format!("{}{location}", reply.body))
    };
    // The verifier and its challenge are those of RFC 7636, appendix B.
    let authorize = "GET /oauth/authorize?response_type=code&client_id=cli&redirect_uri=https://cli.example/cb\
        &scope=notes&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256 HTTP/1.1";
    send("without a session", authorize)?;
    let page = send("consent page", &format!("{authorize}\nCookie: session=alices-browser"))?;
    let ticket = page.split("ticket=").nth(1).unwrap_or_default();
    let allow =
        format!("POST /consent HTTP/1.1\nCookie: session=alices-browser\n\nticket={ticket}");
    let location = send("consent", &allow)?;
    let code = location.split(['=', '&']).nth(1).unwrap_or_default();
    let redeem = format!(
        "POST /oauth/token HTTP/1.1\nContent-Type: application/x-www-form-urlencoded\n\n\
         grant_type=authorization_code&client_id=cli&redirect_uri=https://cli.example/cb&code={code}\
         &code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    );
    let tokens = send("redemption", &redeem)?;
    // The access token is the first value of the JSON object.
    let access = tokens.split('"').nth(3).unwrap_or_default();
    let call = format!("GET /notes HTTP/1.1\nAuthorization: Bearer {access}");
    send("call", &call)?;

    lock(&server.accounts().0).insert("alice", true);
    send("call while alice is locked", &call)?;
    lock(&server.accounts().0).insert("alice", false);
    send("call after that", &call)?;

    send("redemption of the same code", &redeem)?;
    send("call after the replay", &call)?;
    Ok(())
}
