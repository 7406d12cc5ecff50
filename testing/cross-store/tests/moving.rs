//! Moving from one store to another: every token, code and open consent page works afterwards, or
//! not, as it did before.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

mod support;

use std::error::Error;

use grantcore::response::Connection;
use grantcore::store::{Commit, Seen, SeenKey, StoreAdministration, Write};
use grantcore::value::Subject;
use grantcore::{
    Account, Authorization, Choice, FromStore, LoadsAccounts, RevokedBy, Server, Store, blocking,
};
use grantcore_postgres::PostgresStore;
use grantcore_redis::RedisStore;
use grantcore_sqlite::{SqliteStore, TokioSqliteStore};
use grantcore_testing_servers::{Postgres, RedisCluster};
use support::{Tokens, flow, posted, redemption, redemption_of, refreshment, ticket, tokens, user};
use tempfile::TempDir;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A store of this project. Accounts are listed and written by functions of each store's own.
trait Movable: LoadsAccounts + StoreAdministration {
    async fn listed(&self, after: Option<&str>, limit: usize) -> Result<Vec<(Subject, Account)>>;

    async fn put(&self, subject: &str, account: Account) -> Result<()>;
}

impl Movable for TokioSqliteStore {
    async fn listed(&self, after: Option<&str>, limit: usize) -> Result<Vec<(Subject, Account)>> {
        Ok(self.inner().accounts(after, limit)?)
    }

    async fn put(&self, subject: &str, account: Account) -> Result<()> {
        Ok(self.inner().put_account(subject, account)?)
    }
}

impl Movable for PostgresStore {
    async fn listed(&self, after: Option<&str>, limit: usize) -> Result<Vec<(Subject, Account)>> {
        Ok(self.accounts(after, limit).await?)
    }

    async fn put(&self, subject: &str, account: Account) -> Result<()> {
        Ok(self.put_account(subject, account).await?)
    }
}

impl Movable for RedisStore {
    async fn listed(&self, after: Option<&str>, limit: usize) -> Result<Vec<(Subject, Account)>> {
        Ok(self.accounts(after, limit).await?)
    }

    async fn put(&self, subject: &str, account: Account) -> Result<()> {
        Ok(self.put_account(subject, account).await?)
    }
}

const PAGE: usize = 500;

/// The code of docs/stores.md.
async fn copy(from: &impl StoreAdministration, to: &impl Store) -> Result<()> {
    let mut after: Option<String> = None;
    loop {
        let clients = from.clients(after.as_deref(), PAGE).await?;
        let Some(last) = clients.last() else { break };
        after = Some(last.record.id().to_string());
        for client in clients {
            let _conflict_if_copied = to.commit(&Write::client(None, client.record)).await?;
        }
    }
    let mut after = None;
    loop {
        let grants = from.grants(after, PAGE).await?;
        let Some(last) = grants.last() else { break };
        after = Some(last.record.id());
        for grant in grants {
            let _conflict_if_copied = to.commit(&Write::moved(grant.record)).await?;
        }
    }
    let mut after = None;
    loop {
        let marks = from.marks(after, PAGE).await?;
        let Some(last) = marks.last() else { break };
        after = Some(*last.key());
        for mark in marks {
            let _conflict_if_copied = to.commit(&Write::moved_seen(mark)).await?;
        }
    }
    Ok(())
}

async fn copy_accounts(from: &impl Movable, to: &impl Movable) -> Result<()> {
    let mut after: Option<String> = None;
    loop {
        let accounts = from.listed(after.as_deref(), PAGE).await?;
        let Some((last, _)) = accounts.last() else { break };
        after = Some(last.to_string());
        for (subject, account) in accounts {
            to.put(subject.as_str(), account).await?;
        }
    }
    Ok(())
}

/// The tickets, codes and tokens of users and clients when the server moves.
struct Hands {
    /// A consent page, open in alice's browser.
    ticket: String,
    /// A code of alice's on its way.
    redemption: String,
    alive: Tokens,
    /// The token before `alive`, used up.
    spent: String,
    revoked: Tokens,
    /// Of mallory, who is suspended, and of carol, whose grants were ended all at once.
    suspended: Tokens,
    ended: Tokens,
    /// Of dave, whose grants of one client are ended afterwards.
    found: Tokens,
}

/// The marks of 520 assertions that were used, by their records: more than a page of them.
fn marks() -> impl Iterator<Item = Seen> {
    (0..520_u16).map(|number| {
        let mut key = [7; 32];
        key[..2].copy_from_slice(&number.to_be_bytes());
        let key = SeenKey::from_bytes(key);
        let by = "09090909090909090909090909090909";
        let text = format!(r#"{{"schema":1,"key":"{key}","by":"{by}","end":4000000000}}"#);
        serde_json::from_str(&text).unwrap()
    })
}

fn before(store: SqliteStore) -> Hands {
    for mark in marks() {
        let created = blocking::Store::commit(&store, &Write::moved_seen(mark)).unwrap();
        assert_eq!(created, Commit::Done);
    }
    let server = blocking::Server::new(support::policy(), store, FromStore);
    let _new =
        blocking::Store::commit(server.store(), &Write::client(None, support::client())).unwrap();
    let first = flow(&server, "alice");
    let revoked = flow(&server, "alice");
    let connections = server.connections("alice", None, 9).unwrap();
    let alive = tokens(server.token(&posted(&refreshment(&first.refresh)))).unwrap();
    let doomed = connections
        .entries
        .iter()
        .map(Connection::grant_id)
        .find(|grant| is_of(&revoked, *grant))
        .unwrap();
    server.revoke_grant(doomed, RevokedBy::Administrator("a lost device")).unwrap();
    let suspended = flow(&server, "mallory");
    let ended = flow(&server, "carol");
    server.store().set_suspended("mallory", true).unwrap();
    assert!(blocking::Accounts::raise_epoch(server.store(), "carol").unwrap());
    for number in 0..520 {
        // More than a page of them.
        server.store().set_suspended(&format!("user {number}"), number % 2 == 0).unwrap();
    }
    let redemption = redemption(&server, &ticket(&server, "alice"), "alice");
    let found = flow(&server, "dave");
    Hands {
        found,
        ticket: ticket(&server, "alice"),
        redemption,
        alive,
        spent: first.refresh,
        revoked,
        suspended,
        ended,
    }
}

fn is_of(tokens: &Tokens, grant: grantcore::value::GrantId) -> bool {
    // A credential begins with its grant's id: 21 characters of it say nothing else.
    tokens.access.get(4..25) == grant.to_string().get(..21)
}

async fn after(hands: &Hands, store: impl Movable) {
    let server = Server::new(support::policy(), store, FromStore);
    let needs = server.policy().needs(support::MCP, "").unwrap();
    let works = async |tokens: &Tokens| {
        let header = format!("Bearer {}", tokens.access);
        let authorization = Authorization::One(header.as_bytes());
        let checked = server.check(&authorization, &needs).await;
        checked.map_err(|error| assert!(error.failure().is_none(), "{error}")).is_ok()
    };
    let post = async |form: &str| tokens(server.token(&posted(form)).await);

    for mark in marks() {
        assert_eq!(server.store().seen(mark.key()).await.unwrap().as_ref(), Some(&mark));
        let again = server.store().commit(&Write::moved_seen(mark)).await.unwrap();
        assert_eq!(again, Commit::Conflict, "an assertion that was used stays used");
    }

    let redirect = server.consent(&hands.ticket, user("alice"), Choice::Allow).await.unwrap();
    for form in [hands.redemption.clone(), redemption_of(redirect)] {
        assert!(works(&post(&form).await.unwrap()).await);
        assert!(post(&form).await.is_none(), "a code is good once");
    }
    // Alice's page, code, tokens and revoked grant are in the index, too.
    assert_eq!(server.store().grants_of("alice", None, 99).await.unwrap().len(), 4);
    assert!(works(&hands.alive).await && works(&hands.found).await);
    let next = post(&refreshment(&hands.alive.refresh)).await.unwrap();
    assert!(works(&next).await);
    assert!(
        post(&refreshment(&hands.spent)).await.is_none() && !works(&next).await,
        "a replay is known as one"
    );
    for dead in [&hands.revoked, &hands.suspended, &hands.ended] {
        assert!(!works(dead).await && post(&refreshment(&dead.refresh)).await.is_none());
    }
    let revoked_by = RevokedBy::Administrator("asked to");
    let ended = server.revoke_user_client("dave", support::client_id().as_str(), revoked_by).await;
    assert!(ended.unwrap().is_complete());
    assert!(!works(&hands.found).await, "a grant that is looked for by its user is found");
    server.store().put("mallory", Account::ACTIVE).await.unwrap();
    assert!(works(&hands.suspended).await, "a suspension that is lifted leaves what was there");
    let many =
        async |subject: &str| server.store().account(subject).await.unwrap().unwrap().suspended;
    assert!(many("user 518").await && !many("user 519").await);
    let left = server.connections("alice", None, 9).await.unwrap();
    assert_eq!(left.entries.len(), 0, "all of alice's were ended above: {left:?}");
}

async fn moves(from: &impl Movable, to: &impl Movable) {
    copy(from, to).await.unwrap();
    copy_accounts(from, to).await.unwrap();
    assert_eq!(to.counts().await.unwrap(), from.counts().await.unwrap());
}

/// Fills a store in SQLite. The directory is its place.
fn filled() -> (TempDir, TokioSqliteStore, Hands) {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("grants.sqlite")).unwrap();
    let hands = before(store.clone());
    (directory, store.on_tokio(), hands)
}

#[tokio::test]
async fn from_sqlite_to_postgresql() {
    let Some(server) = Postgres::start(&[]) else { return };
    let to = PostgresStore::connect(&server.url()).await.unwrap();
    let (_directory, from, hands) = filled();
    moves(&from, &to).await;
    after(&hands, to).await;
}

#[tokio::test]
async fn from_sqlite_to_a_redis_cluster() {
    let Some(cluster) = RedisCluster::start() else { return };
    let to = RedisStore::connect(&cluster.url()).await.unwrap();
    let (_directory, from, hands) = filled();
    moves(&from, &to).await;
    after(&hands, to).await;
}

#[tokio::test]
async fn from_a_redis_cluster_to_postgresql() {
    let (Some(cluster), Some(server)) = (RedisCluster::start(), Postgres::start(&[])) else {
        return;
    };
    let between = RedisStore::connect(&cluster.url()).await.unwrap();
    let to = PostgresStore::connect(&server.url()).await.unwrap();
    let (_directory, from, hands) = filled();
    moves(&from, &between).await;
    moves(&between, &to).await;
    after(&hands, to).await;
}
