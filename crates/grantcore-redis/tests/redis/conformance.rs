//! The laws of a store and of its accounts on one server and on a cluster, also with answers lost
//! on the way. Kills are in `crash.rs`.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::proxies::Proxies;
use grantcore::conformance::{
    Damaged, Fault, Faults, Harness, damaged_records_are_errors,
    histories_with_faults_are_linearizable, unknown_results_are_errors,
};
use grantcore_redis::RedisStore;
use grantcore_testing_servers::{Proxy, Redis, RedisCluster};
use redis::aio::ConnectionManagerConfig;
use redis::cluster::ClusterClient;
use redis::{Client, cmd};
use tokio::runtime::Runtime;

/// A server or a cluster, and stores that connect to it by its URL.
struct At<S>(Runtime, String, S);

impl<S> At<S> {
    fn new(url: String, server: S) -> Self {
        Self(Runtime::new().unwrap(), url, server)
    }
}

impl<S: Sync> Harness for At<S> {
    type Store = RedisStore;

    fn open(&self) -> RedisStore {
        self.wait(RedisStore::connect(&self.1)).unwrap()
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}

fn server() -> Option<At<Redis>> {
    Redis::start(&[]).map(|server| At::new(server.url(), server))
}

mod alone {
    grantcore::conformance!(super::server().as_slice());
    grantcore::administration_conformance!(super::server().as_slice());
    grantcore::accounts_conformance!(super::server().as_slice(), FromStore);
}

mod cluster {
    use super::{At, RedisCluster};

    fn cluster() -> Option<At<RedisCluster>> {
        RedisCluster::start().map(|cluster| At::new(cluster.url(), cluster))
    }

    grantcore::conformance!(cluster().as_slice());
    grantcore::administration_conformance!(cluster().as_slice());
    grantcore::accounts_conformance!(cluster().as_slice(), FromStore);
}

#[test]
fn a_damaged_record_is_an_error() {
    let Some(server) = server() else { return };
    let damage = |damaged: Damaged<'_>| {
        let mut host = Client::open(server.2.url()).unwrap().get_connection().unwrap();
        let key = match damaged {
            Damaged::Grant(id) => format!("grantcore:g:{id}"),
            Damaged::Client(id) => format!("grantcore:c:{id}"),
            Damaged::Seen(key) => {
                let key = format!("grantcore:m:{key}");
                let set = cmd("SET").arg(&key).arg("{}").arg("XX").arg("KEEPTTL").take();
                set.exec(&mut host).unwrap();
                return;
            }
        };
        let body: String = cmd("HGET").arg(&key).arg("b").query(&mut host).unwrap();
        cmd("HSET").arg(&key).arg("b").arg(&body[1..]).exec(&mut host).unwrap();
    };
    damaged_records_are_errors(&server, damage).unwrap();
}

/// How long a store waits for an answer here, and the delay of a late answer.
const PATIENCE: Duration = Duration::from_millis(300);
const LATE: Duration = Duration::from_millis(700);

fn fault(fault: Fault) -> grantcore_testing_servers::Fault {
    use grantcore_testing_servers::Fault as Of;
    match fault {
        Fault::DropBefore => Of::DropBefore,
        Fault::DropAfter => Of::DropAfter,
        Fault::Delay => Of::Delay(LATE),
        Fault::Reset => Of::Reset,
    }
}

/// A server behind a proxy, and stores over connections of the host's own.
struct Behind(At<Redis>, Proxy);

impl Behind {
    fn start() -> Option<Self> {
        let server = Redis::start(&[])?;
        let proxy = Proxy::start(SocketAddr::from((Ipv4Addr::LOCALHOST, server.port())));
        Some(Self(At::new(format!("redis://{}/", proxy.address()), server), proxy))
    }
}

impl Harness for Behind {
    type Store = RedisStore;

    fn open(&self) -> RedisStore {
        let settings = ConnectionManagerConfig::new().set_response_timeout(Some(PATIENCE));
        let client = Client::open(self.0.1.as_str()).unwrap();
        RedisStore::single(self.wait(client.get_connection_manager_with_config(settings)).unwrap())
            .unwrap()
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        self.0.wait(future)
    }
}

impl Faults for Behind {
    fn arm(&self, of: Fault) {
        self.1.arm(fault(of));
    }

    fn disarm(&self) {
        self.1.arm(grantcore_testing_servers::Fault::None);
    }
}

/// A cluster behind proxies. Its client sends a lost request again.
struct ClusterBehind {
    runtime: Runtime,
    proxies: Proxies,
    /// The pause before each call.
    pause: Duration,
}

impl ClusterBehind {
    fn start(pause: Duration) -> Option<Self> {
        let proxies = Proxies::start()?;
        Some(Self { runtime: Runtime::new().unwrap(), proxies, pause })
    }
}

impl Harness for ClusterBehind {
    type Store = RedisStore;

    fn open(&self) -> RedisStore {
        let client = ClusterClient::builder(
            self.proxies.addresses().into_iter().map(|node| format!("redis://{node}/")),
        )
        .connection_timeout(Duration::from_secs(30))
        .response_timeout(PATIENCE);
        let client = client
            .overall_response_timeout(Some(3 * PATIENCE))
            .retries(4)
            // The store recognizes a retry until sixteen others have written the record.
            .min_retry_wait(1)
            .max_retry_wait(10);
        RedisStore::cluster(self.wait(client.build().unwrap().get_async_connection()).unwrap())
            .unwrap()
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        std::thread::sleep(self.pause);
        self.runtime.block_on(future)
    }
}

impl Faults for ClusterBehind {
    fn arm(&self, of: Fault) {
        self.proxies.arm(fault(of));
    }

    fn disarm(&self) {
        self.proxies.arm(grantcore_testing_servers::Fault::None);
    }
}

#[test]
fn alone_an_unknown_result_is_an_error() {
    let Some(server) = Behind::start() else { return };
    unknown_results_are_errors(&server).unwrap();
}

#[test]
fn in_a_cluster_an_unknown_result_is_an_error() {
    let Some(cluster) = ClusterBehind::start(Duration::ZERO) else { return };
    unknown_results_are_errors(&cluster).unwrap();
}

#[test]
fn alone_histories_with_faults_are_linearizable() {
    let Some(server) = Behind::start() else { return };
    histories_with_faults_are_linearizable(&server).unwrap();
}

#[test]
fn in_a_cluster_histories_with_faults_are_linearizable() {
    // The other workers must not write sixteen times while a busy machine sends a request again.
    let pause = Duration::from_millis(20);
    let Some(cluster) = ClusterBehind::start(pause) else { return };
    histories_with_faults_are_linearizable(&cluster).unwrap();
}
