//! A store of the host's own on an embedded database, redb: `Store` and `StoreAdministration`,
//! durable, with an index of each user's grants and one for sweeping. The flow at the end stops the
//! server, opens the file again, and finds the token still valid.
//!
//! `cargo run -p grantcore-examples --example own_store`
//!
//! redb blocks its caller: a write waits for its turn and for the disk. The store implements the
//! traits of `grantcore::blocking`, and `OnThreads` makes each call on a thread of tokio's for
//! blocking calls. A host without a runtime takes the store as it is, with `blocking::Server`.
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

use grantcore::blocking::{OnThreads, Store, StoreAdministration};
use grantcore::grant::Grant;
use grantcore::store::{Change, Commit, Counts, Record, Seen, SeenKey, Stored, Version, Write};
use grantcore::value::GrantId;
use grantcore::{
    AlwaysActive, Authorization, AuthorizationStep, Choice, Client, ContentType, Policy,
    RequestParts, Server, Timestamp, User,
};
use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};

/// The version, `drop_after` and the JSON of each record, by its key.
type Rows = TableDefinition<'static, &'static [u8], (u64, u64, &'static str)>;
/// An index of the records by `drop_after`, so that a sweep reads only what is due. The value is
/// the user of a grant.
type Due = TableDefinition<'static, (u64, &'static [u8]), &'static str>;
type Table = (Rows, Due);

const CLIENTS: Table = (Rows::new("clients"), Due::new("clients_due"));
const GRANTS: Table = (Rows::new("grants"), Due::new("grants_due"));
const SEEN: Table = (Rows::new("seen"), Due::new("seen_due"));
/// An index of the grants by their users.
const GRANTS_OF: TableDefinition<(&str, &[u8]), ()> = TableDefinition::new("grants_of");

/// Redb failed, or a record cannot be decoded. It is then not known what the call has done.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct StoreError(#[from] Box<dyn Error + Send + Sync>);

type Result<T, E = StoreError> = std::result::Result<T, E>;
/// The result of a part of a call. redb has an error type for each step.
type Any<T> = Result<T, Box<dyn Error + Send + Sync>>;

pub(crate) struct RedbStore(Database);

impl RedbStore {
    /// Opens the file, or creates it with its tables.
    pub(crate) fn open(path: &Path) -> Any<OnThreads<Self>> {
        let database = Database::create(path)?;
        let change = database.begin_write()?;
        for (rows, due) in [CLIENTS, GRANTS, SEEN] {
            change.open_table(rows)?;
            change.open_table(due)?;
        }
        change.open_table(GRANTS_OF)?;
        change.commit()?;
        Ok(OnThreads::new(Self(database), |work| drop(tokio::task::spawn_blocking(work))))
    }

    fn read<R: Record>(&self, (rows, _): Table, key: &[u8]) -> Any<Option<Stored<R>>> {
        let rows = self.0.begin_read()?.open_table(rows)?;
        rows.get(key)?.map(|row| decode(row.value())).transpose()
    }

    fn list<R: Record>(&self, (rows, _): Table, after: &[u8], limit: usize) -> Any<Vec<Stored<R>>> {
        let rows = self.0.begin_read()?.open_table(rows)?;
        let later = rows.range::<&[u8]>((Bound::Excluded(after), Bound::Unbounded))?;
        later.take(limit).map(|row| decode(row?.1.value())).collect()
    }

    /// Compares the version and writes the record with its indexes, in one transaction. redb has
    /// one write transaction at a time, so no other write comes in between.
    fn write<R: Record>(&self, (rows, due): Table, change: &Change<R>) -> Any<Commit> {
        let key = change.key();
        let drop_after = change.drop_after().unix_seconds();
        let transaction = self.0.begin_write()?;
        {
            let mut rows = transaction.open_table(rows)?;
            let mut due = transaction.open_table(due)?;
            let stored = rows.get(key)?.map(|row| (row.value().0, row.value().1));
            if stored.map(|(version, _)| Version(version)) != change.seen() {
                return Ok(Commit::Conflict); // A transaction that is dropped has written nothing.
            }
            if let Some((_, earlier)) = stored {
                due.remove((earlier, key))?;
            }
            due.insert((drop_after, key), change.subject().map_or("", |user| user.as_str()))?;
            let json = serde_json::to_string(change.record())?;
            // The version comes with the change. A counter of the store's own would begin again
            // after a sweep, and let a late write replace a record that it was not decided on.
            rows.insert(key, (change.version().0, drop_after, &*json))?;
            if let Some(user) = change.subject() {
                transaction.open_table(GRANTS_OF)?.insert((user.as_str(), key), ())?;
            }
        }
        // After an error here the write may or may not be durable: it is an error, and no conflict.
        transaction.commit()?;
        Ok(Commit::Done)
    }

    /// Creates a mark unless one of its key exists. It has no version, and nothing replaces it.
    fn create(&self, seen: &Seen) -> Any<Commit> {
        let (rows, due) = SEEN;
        let key: &[u8] = seen.key().as_bytes();
        let drop_after = seen.drop_after().unix_seconds();
        let transaction = self.0.begin_write()?;
        {
            let mut rows = transaction.open_table(rows)?;
            if rows.get(key)?.is_some() {
                return Ok(Commit::Conflict);
            }
            rows.insert(key, (0, drop_after, &*serde_json::to_string(seen)?))?;
            transaction.open_table(due)?.insert((drop_after, key), "")?;
        }
        transaction.commit()?;
        Ok(Commit::Done)
    }

    /// Drops up to `limit` records of a table that are due, with their indexes, in one transaction.
    fn drop_due(&self, (rows, due): Table, now: Timestamp, limit: usize) -> Any<usize> {
        let transaction = self.0.begin_write()?;
        let mut dropped = 0;
        {
            let mut rows = transaction.open_table(rows)?;
            let mut due = transaction.open_table(due)?;
            let mut grants_of = transaction.open_table(GRANTS_OF)?;
            // `Timestamp::NEVER` is the greatest number: such a record is never in the range.
            let end: (u64, &[u8]) = (now.unix_seconds().saturating_add(1), &[]);
            for entry in due.extract_from_if(..end, |_, _| true)?.take(limit) {
                let (due, user) = entry?;
                let (_, key) = due.value();
                rows.remove(key)?;
                grants_of.remove((user.value(), key))?;
                dropped += 1;
            }
        }
        transaction.commit()?;
        Ok(dropped)
    }

    fn ids_of(&self, user: &str, after: &[u8], limit: usize) -> Any<Vec<GrantId>> {
        let grants = self.0.begin_read()?.open_table(GRANTS_OF)?;
        let end: (&str, &[u8]) = (user, &[0xFF; 16]);
        let later = (Bound::Excluded((user, after)), Bound::Included(end));
        let entries = grants.range::<(&str, &[u8])>(later)?.take(limit);
        entries.map(|entry| Ok(GrantId::from_bytes(entry?.0.value().1.try_into()?))).collect()
    }
}

/// A record that cannot be decoded is an error, and never absent.
fn decode<R: Record>((version, _, json): (u64, u64, &str)) -> Any<Stored<R>> {
    Ok(Stored { record: Arc::new(serde_json::from_str(json)?), version: Version(version) })
}

/// The bytes of an id, or none: every id is greater.
fn bytes_of(id: Option<&GrantId>) -> &[u8] {
    id.map_or(&[], |id| id.as_bytes())
}

impl Store for RedbStore {
    type Error = StoreError;

    fn client(&self, id: &str) -> Result<Option<Stored<Client>>> {
        Ok(self.read(CLIENTS, id.as_bytes())?)
    }

    fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>> {
        Ok(self.read(GRANTS, id.as_bytes())?)
    }

    fn commit(&self, write: &Write) -> Result<Commit> {
        Ok(match write {
            Write::Client(change) => self.write(CLIENTS, change)?,
            Write::Grant(change) => self.write(GRANTS, change)?,
            Write::Seen(seen) => self.create(seen)?,
        })
    }

    fn seen(&self, key: &SeenKey) -> Result<Option<Seen>> {
        Ok(self.read(SEEN, key.as_bytes())?.map(|stored| Seen::clone(&stored.record)))
    }

    fn grants_of(&self, user: &str, after: Option<GrantId>, limit: usize) -> Result<Vec<GrantId>> {
        Ok(self.ids_of(user, bytes_of(after.as_ref()), limit)?)
    }
}

impl StoreAdministration for RedbStore {
    fn clients(&self, after: Option<&str>, limit: usize) -> Result<Vec<Stored<Client>>> {
        Ok(self.list(CLIENTS, after.unwrap_or_default().as_bytes(), limit)?)
    }

    fn grants(&self, after: Option<GrantId>, limit: usize) -> Result<Vec<Stored<Grant>>> {
        Ok(self.list(GRANTS, bytes_of(after.as_ref()), limit)?)
    }

    fn marks(&self, after: Option<SeenKey>, limit: usize) -> Result<Vec<Seen>> {
        let after: &[u8] = after.as_ref().map_or(&[], |key| key.as_bytes());
        let listed = self.list(SEEN, after, limit)?;
        Ok(listed.iter().map(|stored| Seen::clone(&stored.record)).collect())
    }

    fn counts(&self) -> Result<Counts> {
        let count = || -> Any<_> {
            let read = self.0.begin_read()?;
            let clients = read.open_table(CLIENTS.0)?.len()?;
            let counts = Counts::new(clients, read.open_table(GRANTS.0)?.len()?);
            Ok(counts.with_marks(read.open_table(SEEN.0)?.len()?))
        };
        Ok(count()?)
    }

    fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize> {
        let mut dropped = 0;
        for table in [GRANTS, CLIENTS, SEEN] {
            dropped += self.drop_due(table, now, limit - dropped)?;
        }
        Ok(dropped)
    }
}

type OwnServer = Server<OnThreads<RedbStore>, AlwaysActive>;

#[tokio::main]
async fn main() -> Any<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("grants.redb");
    let server = start(&path).await?;
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
    let (store, now) = (server.store().clone(), server.now());
    for time in [now, now.after(Duration::from_secs(60 * 24 * 60 * 60))] {
        let swept = store.call(move |store| store.sweep(time, 100)).await?;
        let grants = store.call(|store| store.grants_of("alice", None, 100)).await?;
        println!("swept: {swept}, grants of alice: {}", grants.len());
    }
    Ok(())
}

/// Opens the store and starts a server on it.
async fn start(path: &Path) -> Any<OwnServer> {
    let policy = Policy::builder("https://auth.example")
        .scope("notes", "Read and change your notes")
        .resource("https://app.example/notes", "notes");
    let client = Client::public("cli").redirect_uri("https://cli.example/cb").build()?;
    let store = RedbStore::open(path)?;
    // From the second start on the client exists, and stays as an administrator left it.
    store.call(|store| store.add_client(client)).await?;
    Ok(Server::new(policy.build()?, store, AlwaysActive))
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
    Ok(redirect.into_location().split(['=', '&']).nth(1).unwrap_or_default().to_owned())
}

/// Redeems the code at the token endpoint, and returns the body of the response.
async fn redeem(server: &OwnServer, code: &str) -> String {
    let form = format!(
        "grant_type=authorization_code&client_id=cli&redirect_uri=https://cli.example/cb&code={code}\
         &code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    );
    let (content_type, body) = (ContentType::FORM, form.as_bytes());
    let request = RequestParts { method: "POST", content_type, body, ..RequestParts::default() };
    server.token(&request).await.unwrap_or_else(|error| error.reply(server.policy())).body
}

/// Calls the resource, and returns what its caller sees.
async fn call(server: &OwnServer, access: &str) -> Any<String> {
    let needs = server.policy().needs("https://app.example/notes", "notes")?;
    let header = format!("Bearer {access}");
    match server.check(&Authorization::One(header.as_bytes()), &needs).await {
        Ok(access) => {
            let user = access.subject().ok_or("a call without a user")?;
            Ok(format!("accepted, for {user}"))
        }
        Err(grantcore::Error::Refused(refusal)) => Ok(format!("refused, {refusal}")),
        Err(failed) => Err(failed.into()),
    }
}
