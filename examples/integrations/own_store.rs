//! A store of the host's own on an embedded database, redb: `Store`, `Accounts` and
//! `StoreAdministration`, durable, with an index of each user's grants and one for sweeping.
//! The flow below stops the server, opens the file again, and finds the token still valid.
//!
//! `cargo run -p grantcore-examples --example own_store`
//!
//! redb blocks its caller: a write waits for its turn and for the disk. Most hosts are async, so
//! this store implements the async traits, and makes each call on a thread of tokio's for blocking
//! calls. A host without a runtime implements the traits of `grantcore::blocking` with the same
//! bodies and without `call`. An async server must not use those: they stop its executor.
//!
//! Durability: `commit` returns after redb has called `fsync`, its default. `Commit::Done` survives
//! a crash of the process and of the system, and a power loss as far as the disk keeps its
//! guarantees. After an error of the disk redb refuses every call until the file is opened again:
//! restart the server then. One process at a time can open the file, and each write waits for the
//! disk by itself. For several machines, or thousands of writes per second, take another database.

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use grantcore::grant::Grant;
use grantcore::store::{Change, Commit, Counts, StoreAdministration, Stored, Version, Write};
use grantcore::value::GrantId;
use grantcore::{
    Account, Accounts, Authorization, AuthorizationStep, Choice, Client, Policy, RequestParts,
    Server, Store, Timestamp, User,
};
use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};
use serde::{Serialize, de::DeserializeOwned};

/// The version, `drop_after` and the JSON of each record, by its id.
type Rows = TableDefinition<'static, &'static [u8], (u64, u64, &'static str)>;
/// An index of the records by `drop_after`, so that a sweep reads only what is due. The value is the
/// user of a grant.
type Due = TableDefinition<'static, (u64, &'static [u8]), &'static str>;
type Table = (Rows, Due);

const CLIENTS: Table = (Rows::new("clients"), Due::new("clients_due"));
const GRANTS: Table = (Rows::new("grants"), Due::new("grants_due"));
/// An index of the grants by their users.
const GRANTS_OF: TableDefinition<(&str, &[u8]), ()> = TableDefinition::new("grants_of");
/// The host's users: whether the account is suspended, and its epoch.
const USERS: TableDefinition<&str, (bool, u64)> = TableDefinition::new("users");

/// Redb failed, a record cannot be decoded, or the runtime is stopping. It is then not known what
/// the call has done.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct StoreError(Box<dyn Error + Send + Sync>);

type Result<T, E = StoreError> = std::result::Result<T, E>;
/// The result of a part of a call. redb has an error type for each step.
type Any<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A handle of the database. A clone is another handle of it.
#[derive(Clone)]
pub(crate) struct RedbStore(Arc<Database>);

impl RedbStore {
    /// Opens the file, or creates it with its tables.
    pub(crate) fn open(path: &Path) -> Any<Self> {
        let database = Database::create(path)?;
        let change = database.begin_write()?;
        for (rows, due) in [CLIENTS, GRANTS] {
            change.open_table(rows)?;
            change.open_table(due)?;
        }
        change.open_table(GRANTS_OF)?;
        change.open_table(USERS)?;
        change.commit()?;
        Ok(Self(Arc::new(database)))
    }

    /// Runs `work` on a thread that may block. It runs to its end even if its caller is cancelled.
    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Any<T> + Send + 'static,
    ) -> Result<T> {
        let database = Arc::clone(&self.0);
        match tokio::task::spawn_blocking(move || work(&database)).await {
            Ok(result) => result.map_err(StoreError),
            Err(stopped) => Err(StoreError(stopped.into())),
        }
    }

    /// Writes a user of the host.
    pub(crate) async fn put_user(&self, subject: &str, account: Account) -> Result<()> {
        let subject = subject.to_owned();
        self.call(move |db| {
            let change = db.begin_write()?;
            let row = (account.suspended, account.epoch);
            change.open_table(USERS)?.insert(&*subject, row)?;
            Ok(change.commit()?)
        })
        .await
    }
}

/// A record that cannot be decoded is an error, and never absent.
fn decode<R: DeserializeOwned>((version, _, json): (u64, u64, &str)) -> Any<Stored<R>> {
    Ok(Stored { record: Arc::new(serde_json::from_str(json)?), version: Version(version) })
}

fn read<R: DeserializeOwned>(db: &Database, rows: Rows, id: &[u8]) -> Any<Option<Stored<R>>> {
    let rows = db.begin_read()?.open_table(rows)?;
    rows.get(id)?.map(|row| decode(row.value())).transpose()
}

fn list<R: DeserializeOwned>(
    db: &Database,
    rows: Rows,
    after: &[u8],
    limit: usize,
) -> Any<Vec<Stored<R>>> {
    let rows = db.begin_read()?.open_table(rows)?;
    let later = rows.range::<&[u8]>((Bound::Excluded(after), Bound::Unbounded))?;
    later.take(limit).map(|row| decode(row?.1.value())).collect()
}

/// Compares the version and writes the record with its indexes, in one transaction. redb has one
/// write transaction at a time, so no other write comes in between.
fn write<R: Serialize>(
    db: &Database,
    (rows, due): Table,
    id: &[u8],
    change: &Change<R>,
    drop_after: Timestamp,
    subject: &str,
) -> Any<Commit> {
    let drop_after = drop_after.unix_seconds();
    let transaction = db.begin_write()?;
    {
        let mut rows = transaction.open_table(rows)?;
        let mut due = transaction.open_table(due)?;
        let stored = rows.get(id)?.map(|row| (row.value().0, row.value().1));
        if stored.map(|(version, _)| Version(version)) != change.seen() {
            return Ok(Commit::Conflict); // A transaction that is dropped has written nothing.
        }
        if let Some((_, earlier)) = stored {
            due.remove((earlier, id))?;
        }
        due.insert((drop_after, id), subject)?;
        let json = serde_json::to_string(change.record())?;
        // The version comes with the change. A counter of the store's own would begin again after a
        // sweep, and let a late write replace a record that it was not decided on.
        rows.insert(id, (change.version().0, drop_after, &*json))?;
        if !subject.is_empty() {
            transaction.open_table(GRANTS_OF)?.insert((subject, id), ())?;
        }
    }
    // After an error here the write may or may not be durable: it is an error, and no conflict.
    transaction.commit()?;
    Ok(Commit::Done)
}

/// Drops up to `limit` records of a table that are due, in one transaction.
fn sweep(db: &Database, table: Table, now: Timestamp, limit: usize) -> Any<usize> {
    let transaction = db.begin_write()?;
    let mut dropped = 0;
    {
        let mut rows = transaction.open_table(table.0)?;
        let mut due = transaction.open_table(table.1)?;
        let mut grants_of = transaction.open_table(GRANTS_OF)?;
        // `Timestamp::NEVER` is the greatest number, so that such a record is never in the range.
        let end: (u64, &[u8]) = (now.unix_seconds().saturating_add(1), &[]);
        for entry in due.extract_from_if(..end, |_, _| true)?.take(limit) {
            let (key, subject) = entry?;
            let (_, id) = key.value();
            rows.remove(id)?;
            grants_of.remove((subject.value(), id))?;
            dropped += 1;
        }
    }
    if dropped > 0 {
        transaction.commit()?;
    }
    Ok(dropped)
}

// `Store::load` could read all records of a request on one thread. Its default calls `client` and
// `grant`, which costs a hop to another thread for each record.
impl Store for RedbStore {
    type Error = StoreError;

    async fn client(&self, id: &str) -> Result<Option<Stored<Client>>> {
        let id = id.to_owned();
        self.call(move |db| read(db, CLIENTS.0, id.as_bytes())).await
    }

    async fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>> {
        self.call(move |db| read(db, GRANTS.0, id.as_bytes())).await
    }

    async fn commit(&self, change: &Write) -> Result<Commit> {
        let change = change.clone();
        self.call(move |db| match &change {
            Write::Client(change) => {
                let id = change.id().as_str().as_bytes();
                write(db, CLIENTS, id, change, change.drop_after(), "")
            }
            Write::Grant(change) => {
                let id = change.id();
                let subject = change.record().subject().as_str();
                write(db, GRANTS, id.as_bytes(), change, change.drop_after(), subject)
            }
        })
        .await
    }

    async fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>> {
        let subject = subject.to_owned();
        self.call(move |db| {
            let grants = db.begin_read()?.open_table(GRANTS_OF)?;
            let after = bytes_of(after.as_ref());
            let later = (Bound::Excluded((&*subject, after)), Bound::Unbounded);
            let mut ids = Vec::new();
            for entry in grants.range::<(&str, &[u8])>(later)?.take(limit) {
                let (key, _) = entry?;
                let (of, id) = key.value();
                if of != subject {
                    break;
                }
                ids.push(GrantId::from_bytes(id.try_into()?));
            }
            Ok(ids)
        })
        .await
    }
}

/// The bytes of an id, or none: every id is greater.
fn bytes_of(id: Option<&GrantId>) -> &[u8] {
    id.map_or(&[], |id| id.as_bytes())
}

impl Accounts for RedbStore {
    type Error = StoreError;

    async fn account(&self, subject: &str) -> Result<Option<Account>> {
        let subject = subject.to_owned();
        self.call(move |db| {
            let users = db.begin_read()?.open_table(USERS)?;
            let row = users.get(&*subject)?.map(|row| row.value());
            Ok(row.map(|(suspended, epoch)| Account { suspended, epoch }))
        })
        .await
    }

    async fn raise_epoch(&self, subject: &str) -> Result<bool> {
        let subject = subject.to_owned();
        self.call(move |db| {
            let transaction = db.begin_write()?;
            {
                let mut users = transaction.open_table(USERS)?;
                let Some((suspended, epoch)) = users.get(&*subject)?.map(|row| row.value()) else {
                    return Ok(false);
                };
                users.insert(&*subject, (suspended, epoch + 1))?;
            }
            transaction.commit()?;
            Ok(true)
        })
        .await
    }
}

impl StoreAdministration for RedbStore {
    async fn put_client(&self, client: Client) -> Result<()> {
        let client = Arc::new(client);
        loop {
            let seen = self.client(client.id().as_str()).await?;
            let change = Write::client(seen.as_ref(), Arc::clone(&client));
            if self.commit(&change).await? == Commit::Done {
                return Ok(());
            }
        }
    }

    async fn clients(&self, after: Option<&str>, limit: usize) -> Result<Vec<Stored<Client>>> {
        let after = after.unwrap_or_default().to_owned();
        self.call(move |db| list(db, CLIENTS.0, after.as_bytes(), limit)).await
    }

    async fn grants(&self, after: Option<GrantId>, limit: usize) -> Result<Vec<Stored<Grant>>> {
        self.call(move |db| list(db, GRANTS.0, bytes_of(after.as_ref()), limit)).await
    }

    async fn counts(&self) -> Result<Counts> {
        self.call(|db| {
            let read = db.begin_read()?;
            let clients = read.open_table(CLIENTS.0)?.len()?;
            Ok(Counts::new(clients, read.open_table(GRANTS.0)?.len()?))
        })
        .await
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize> {
        self.call(move |db| {
            let grants = sweep(db, GRANTS, now, limit)?;
            Ok(grants + sweep(db, CLIENTS, now, limit - grants)?)
        })
        .await
    }
}

type OwnServer = Server<RedbStore, RedbStore>;

#[tokio::main]
async fn main() -> Any<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("grants.redb");
    let server = start(&path).await?;
    server.store().put_user("alice", Account::ACTIVE).await?;

    let code = consent(&server).await?;
    let tokens = redeem(&server, &code).await;
    // The access token is the first value of the JSON object.
    let access = tokens.split('"').nth(3).unwrap_or_default();
    println!("before the restart: {}", call(&server, access).await?);
    drop(server); // Closes the file.

    let server = start(&path).await?;
    println!("after the restart: {}", call(&server, access).await?);
    println!("the same code again: {}", redeem(&server, &code).await);
    println!("after that replay: {}", call(&server, access).await?);

    // A host sweeps every few minutes. In 60 days the revoked grant is due.
    let (store, now) = (server.store(), server.now());
    for time in [now, now.after(Duration::from_secs(60 * 24 * 60 * 60))] {
        println!("swept: {}, left: {:?}", store.sweep(time, 100).await?, store.counts().await?);
        println!("grants of alice: {}", store.grants_of("alice", None, 100).await?.len());
    }
    Ok(())
}

/// Opens the store and starts a server on it.
async fn start(path: &Path) -> Any<OwnServer> {
    let policy = Policy::builder("https://auth.example")
        .scope("notes", "Read and change your notes")
        .resource("https://app.example/notes", "notes")
        .build()?;
    let client = Client::public("cli").redirect_uri("https://cli.example/cb").build()?;
    let store = RedbStore::open(path)?;
    // From the second start on this is a conflict. `put_client` would undo a deactivation.
    let _conflict_if_it_exists = store.commit(&Write::client(None, client)).await?;
    Ok(Server::new(policy, store.clone(), store))
}

/// Lets alice allow a request of the client, and returns the code.
async fn consent(server: &OwnServer) -> Any<String> {
    let query = b"response_type=code&client_id=cli&redirect_uri=https://cli.example/cb&scope=notes\
        &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
    let request = RequestParts { method: "GET", query, ..RequestParts::default() };
    let alice = User::new("alice", b"the secret of her browser's session")?;
    let AuthorizationStep::NeedsConsent(page) = server.authorize(&request, Some(alice)).await?
    else {
        return Err("alice is signed in".into());
    };
    let redirect = server.consent(&page.ticket(), alice, Choice::Allow).await?;
    let location = redirect.into_location();
    Ok(location.split(['=', '&']).nth(1).unwrap_or_default().to_owned())
}

/// Redeems the code at the token endpoint, and returns the body of the response.
async fn redeem(server: &OwnServer, code: &str) -> String {
    let form = format!(
        "grant_type=authorization_code&client_id=cli&redirect_uri=https://cli.example/cb&code={code}\
         &code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    );
    let content_type = Some(b"application/x-www-form-urlencoded".as_slice());
    let body = form.as_bytes();
    let request = RequestParts { method: "POST", content_type, body, ..RequestParts::default() };
    server.token(&request).await.unwrap_or_else(|error| error.reply(server.policy())).body
}

/// Calls the resource, and returns what its caller sees.
async fn call(server: &OwnServer, access: &str) -> Any<String> {
    let needs = server.policy().needs("https://app.example/notes", "notes")?;
    let header = format!("Bearer {access}");
    match server.check(&Authorization::One(header.as_bytes()), &needs).await {
        Ok(access) => Ok(format!("accepted, for {}", access.subject())),
        Err(grantcore::Error::Refused(refusal)) => Ok(format!("refused, {refusal}")),
        Err(failed) => Err(failed.into()),
    }
}
