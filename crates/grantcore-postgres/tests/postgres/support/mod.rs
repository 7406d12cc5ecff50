//! A database of each test's own on a real server, and the writes of a grant's life to fill it
//! with.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use grantcore::blocking::{Server, Store};
use grantcore::grant::Grant;
use grantcore::moment::SystemEntropy;
use grantcore::store::{Change, Commit, Stored, Write};
use grantcore::value::GrantId;
use grantcore::{
    AlwaysActive, AuthorizationStep, Choice, Client, ContentType, MemoryStore, Policy,
    RequestParts, Timestamp, User,
};
use grantcore_postgres::PostgresStore;
use grantcore_testing_servers::{Postgres, Proxy};
use tokio_postgres::NoTls;

/// When it all begins: a midnight, so that what happens within hours happens on one day.
pub const T: u64 = 20_000 * 86_400;

/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// One database. The server is that of all tests that run at this time, and ends with the last of
/// them.
pub struct Database {
    server: Arc<Postgres>,
    name: String,
}

impl Database {
    /// An empty one; nothing if there is no PostgreSQL.
    pub async fn new() -> Option<Self> {
        Self::made("").await
    }

    /// An empty one, made with these options.
    pub async fn made(options: &str) -> Option<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let database = Self {
            server: shared()?,
            name: format!("test_{}", NUMBER.fetch_add(1, Ordering::SeqCst)),
        };
        let admin = connect(&database.server.url()).await;
        admin.batch_execute(&format!("CREATE DATABASE {} {options}", database.name)).await.unwrap();
        Some(database)
    }

    pub fn url(&self) -> String {
        self.url_at(self.server.port())
    }

    pub fn url_by(&self, proxy: &Proxy) -> String {
        self.url_at(proxy.address().port())
    }

    fn url_at(&self, port: u16) -> String {
        format!("postgres://postgres@127.0.0.1:{port}/{}", self.name)
    }

    pub fn proxy(&self) -> Proxy {
        Proxy::start(([127, 0, 0, 1], self.server.port()).into())
    }

    pub async fn store(&self) -> PostgresStore {
        PostgresStore::connect(&self.url()).await.unwrap()
    }

    /// A connection beside the store's.
    pub async fn beside(&self) -> tokio_postgres::Client {
        connect(&self.url()).await
    }
}

/// A connection beside a store's.
pub async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn shared() -> Option<Arc<Postgres>> {
    static SERVER: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
    let mut shared = SERVER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(server) = shared.upgrade() {
        return Some(server);
    }
    let server =
        Arc::new(Postgres::start(&[("shared_buffers", "32MB"), ("max_connections", "300")])?);
    *shared = Arc::downgrade(&server);
    Some(server)
}

/// Keeps in memory, and notes what was written.
#[derive(Default)]
struct Recorder {
    inner: MemoryStore,
    writes: Mutex<Vec<Write>>,
}

impl Store for Recorder {
    type Error = std::convert::Infallible;

    fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Self::Error> {
        Store::client(&self.inner, id)
    }

    fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Self::Error> {
        Store::grant(&self.inner, id)
    }

    fn commit(&self, write: &Write) -> Result<Commit, Self::Error> {
        self.writes.lock().unwrap().push(write.clone());
        Store::commit(&self.inner, write)
    }

    fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, Self::Error> {
        Store::grants_of(&self.inner, subject, after, limit)
    }
}

pub fn policy() -> Policy {
    Policy::builder("https://auth.example")
        .scope("notes", "Read notes")
        .resource("https://mcp.example/mcp", "notes")
        .build()
        .unwrap()
}

pub fn app(id: &str) -> Client {
    Client::public(id).name("The App").redirect_uri("https://app.example/cb").build().unwrap()
}

/// The writes of one grant of the client `app`, from its consent page at [`T`] over its code and
/// its first tokens to so many refreshes, ten minutes apart.
pub fn life(subject: &str, state: &str, refreshes: u64) -> Vec<Write> {
    let store = Arc::new(Recorder::default());
    store.inner.put_client(app("app"));
    let now = Arc::new(AtomicU64::new(T));
    let clock = Arc::clone(&now);
    let time = move || Timestamp::from_unix_seconds(clock.load(Ordering::SeqCst));
    let server =
        Server::with_sources(policy(), Arc::clone(&store), AlwaysActive, time, SystemEntropy);
    let user = User::new(subject, b"a browser").unwrap();
    let query = format!(
        "response_type=code&client_id=app&redirect_uri=https://app.example/cb&scope=notes&state={state}\
         &code_challenge={CHALLENGE}&code_challenge_method=S256"
    );
    let request =
        RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
    let AuthorizationStep::NeedsConsent(page) = server.authorize(&request, Some(user)).unwrap()
    else {
        panic!("the user is signed in")
    };
    let location = server.consent(&page.ticket(), user, Choice::Allow).unwrap().into_location();
    let code = between(&location, "code=", "&");
    let redeem = format!(
        "grant_type=authorization_code&redirect_uri=https://app.example/cb&code={code}&code_verifier={VERIFIER}"
    );
    let mut refresh = post(&server, &redeem);
    for _ in 0..refreshes {
        now.fetch_add(600, Ordering::SeqCst);
        refresh = post(&server, &format!("grant_type=refresh_token&refresh_token={refresh}"));
    }
    store.writes.lock().unwrap().clone()
}

/// Posts a form and returns the refresh token of the answer.
fn post(server: &Server<Arc<Recorder>, AlwaysActive>, form: &str) -> String {
    let (body, form_type): (_, &[u8]) =
        (format!("{form}&client_id=app"), b"application/x-www-form-urlencoded");
    let request = RequestParts {
        method: "POST",
        content_type: ContentType::One(form_type),
        body: body.as_bytes(),
        ..RequestParts::default()
    };
    let reply = server.token(&request).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    between(&reply.body, "refresh_token\":\"", "\"").to_owned()
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    text.split(from).nth(1).unwrap().split(to).next().unwrap()
}

pub fn grant(write: &Write) -> &Change<Grant> {
    write.as_grant().expect("a write of a grant")
}

/// All that a record says, for comparing what was written with what is read.
pub fn shown(value: impl std::fmt::Debug) -> String {
    format!("{value:?}")
}
