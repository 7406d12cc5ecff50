//! Where the tests run: a server and a cluster of their own, with a way past the store; and flows
//! decided by hand.

use std::sync::Arc;
use std::time::Duration;

use grantcore::grant::Grant;
use grantcore::moment::{Clock, Entropy, Moment, SystemClock};
use grantcore::operation::{Loaded, Operation};
use grantcore::request::{AuthorizationRequest, ConsentDecision};
use grantcore::store::{Change, Commit, Stored, Version, Write};
use grantcore::{
    Account, AuthorizationStep, Choice, Client, Policy, RequestParts, Timestamp, User,
};
use grantcore_redis::RedisStore;
use grantcore_testing_servers::{Redis, RedisCluster};
use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, FromRedisValue, RedisResult};
use serde_json::Value;

/// A store, and a connection beside it.
pub struct Place {
    pub store: RedisStore,
    pub url: String,
    raw: Raw,
}

enum Raw {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Place {
    pub async fn at(url: &str) -> Self {
        let raw = match url.strip_prefix("redis-cluster://") {
            None => Raw::Single(
                redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap(),
            ),
            Some(nodes) => {
                let client =
                    ClusterClient::new(nodes.split(',').map(|node| format!("redis://{node}/")))
                        .unwrap();
                Raw::Cluster(client.get_async_connection().await.unwrap())
            }
        };
        Self { store: RedisStore::connect(url).await.unwrap(), url: url.to_owned(), raw }
    }

    pub async fn try_raw<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        match &self.raw {
            Raw::Single(connection) => command.query_async(&mut connection.clone()).await,
            Raw::Cluster(connection) => command.query_async(&mut connection.clone()).await,
        }
    }

    /// Sends a command past the store.
    pub async fn raw<T: FromRedisValue>(&self, command: &Cmd) -> T {
        self.try_raw(command).await.unwrap()
    }

    /// What Redis takes for the time.
    pub async fn time(&self) -> u64 {
        let (seconds, _): (u64, u64) = self.raw(&redis::cmd("TIME")).await;
        seconds
    }
}

/// Runs a test on a server and on a cluster, each its own.
pub async fn everywhere(test: impl AsyncFn(Place)) {
    if let Some(server) = Redis::start(&[]) {
        test(Place::at(&server.url()).await).await;
    }
    if let Some(cluster) = RedisCluster::start() {
        test(Place::at(&cluster.url()).await).await;
    }
}

pub fn now() -> Timestamp {
    SystemClock.now()
}

pub fn days(count: u64) -> Duration {
    Duration::from_secs(count * 24 * 60 * 60)
}

pub fn policy() -> Policy {
    Policy::builder("https://auth.example")
        .scope("notes", "Read notes")
        .resource("https://mcp.example/mcp", "notes")
        .build()
        .unwrap()
}

/// A client of the operator's, who never lets it go.
pub fn client(id: &str) -> Client {
    Client::public(id).redirect_uri("https://app.example/cb").build().unwrap()
}

/// The same record with this member changed in its stored form.
pub fn with(client: &Client, member: &str, value: Value) -> Client {
    let mut record = serde_json::to_value(client).unwrap();
    record[member] = value;
    serde_json::from_value(record).unwrap()
}

/// A client that registered itself and may go at that time.
pub fn passing(id: &str, expires: Timestamp) -> Client {
    let dynamic = with(
        &client(id),
        "origin",
        serde_json::json!({"dynamic": {
            "issuer": "https://auth.example",
            "registration_access_token_digest": null
        }}),
    );
    with(&dynamic, "expires", expires.unix_seconds().into())
}

/// What is stored once a write is done.
pub fn stored<T>(change: Option<&Change<T>>) -> Stored<T> {
    change.unwrap().stored()
}

pub fn at<T>(stored: &Stored<T>, version: u64) -> Stored<T> {
    Stored { record: Arc::clone(&stored.record), version: Version(version) }
}

/// The same entropy for the same seed, another for another.
pub fn moment(seed: u64, now: Timestamp) -> Moment {
    let mut bytes = [0; 128];
    for (place, chunk) in (0_u64..).zip(bytes.chunks_exact_mut(8)) {
        // SplitMix64's step: no two seeds or places come to the same.
        let mixed = (seed << 8 | place).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        chunk.copy_from_slice(
            &(mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9).to_be_bytes(),
        );
    }
    Moment::new(now, Entropy::from_bytes(bytes))
}

/// A consent page: the write that makes it, and its ticket.
pub fn pending(policy: &Policy, subject: &str, seed: u64, now: Timestamp) -> (Write, String) {
    pending_with(policy, subject, "af0if", seed, now)
}

pub fn pending_with(
    policy: &Policy,
    subject: &str,
    state: &str,
    seed: u64,
    now: Timestamp,
) -> (Write, String) {
    let query = format!(
        "response_type=code&client_id=app&redirect_uri=https://app.example/cb&scope=notes&state={state}\
         &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"
    );
    let incoming =
        RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
    let request = AuthorizationRequest::parse(&incoming, Some(user(subject)), policy).unwrap();
    let client = Stored { record: Arc::new(client("app")), version: Version::FIRST };
    let loaded =
        Loaded { client: Some(client), account: Some(Account::ACTIVE), ..Loaded::default() };
    let decision = request.decide(&loaded, policy, &moment(seed, now));
    let write = decision.write().unwrap().clone();
    let AuthorizationStep::NeedsConsent(page) =
        decision.settle(Commit::Done).unwrap().outcome.unwrap()
    else {
        panic!("a consent page");
    };
    (write, page.ticket())
}

/// The user's approval of a page as it was read. Another seed gives another code.
pub fn approval(
    policy: &Policy,
    page: &Stored<Grant>,
    ticket: &str,
    seed: u64,
    now: Timestamp,
) -> Write {
    let decision =
        ConsentDecision::new(ticket, user(page.record.subject().unwrap().as_str()), Choice::Allow)
            .unwrap();
    let client = Stored { record: Arc::new(client("app")), version: Version::FIRST };
    let loaded = Loaded {
        grant: Some(page.clone()),
        client: Some(client),
        account: Some(Account::ACTIVE),
        ..Loaded::default()
    };
    decision.decide(&loaded, policy, &moment(seed, now)).write().unwrap().clone()
}

pub fn user(subject: &str) -> User<'_> {
    User::new(subject, b"a session").unwrap()
}
