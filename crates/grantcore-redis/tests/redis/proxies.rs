//! A cluster whose nodes are only found through proxies, which lose answers on order.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use std::thread::sleep;
use std::time::Duration;

use grantcore_testing_servers::{Fault, Proxy, RedisCluster};
use redis::{Client, Connection, ConnectionAddr, cmd};

/// The cluster, a proxy before each of its nodes, and a way past them.
pub struct Proxies {
    before: Vec<Proxy>,
    nodes: Mutex<Vec<Connection>>,
    _cluster: RedisCluster,
}

impl Proxies {
    /// Returns `None` if Redis is not installed.
    pub fn start() -> Option<Self> {
        let cluster = RedisCluster::start()?;
        let clients: Vec<_> =
            cluster.urls().iter().map(|url| Client::open(url.as_str()).unwrap()).collect();
        let mut nodes: Vec<_> =
            clients.iter().map(|client| client.get_connection().unwrap()).collect();
        let proxies: Vec<_> = clients.iter().map(proxy).collect();
        announce(&mut nodes, &proxies);
        Some(Self { before: proxies, nodes: Mutex::new(nodes), _cluster: cluster })
    }

    /// Where clients of the cluster find it: `host:port` of each node.
    pub fn addresses(&self) -> Vec<String> {
        self.before.iter().map(|proxy| proxy.address().to_string()).collect()
    }

    /// The next request to each node fails so.
    pub fn arm(&self, fault: Fault) {
        for proxy in &self.before {
            proxy.arm(fault);
        }
    }

    /// How many scripts arrived that were called by name, so far.
    pub fn calls(&self) -> u64 {
        let count = |node: &mut Connection| {
            let info: String = cmd("INFO").arg("commandstats").query(node).unwrap();
            let calls = info.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
            calls.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
        };
        self.nodes.lock().unwrap().iter_mut().map(count).sum()
    }
}

fn proxy(node: &Client) -> Proxy {
    let ConnectionAddr::Tcp(_, port) = node.get_connection_info().addr() else {
        panic!("an address of TCP")
    };
    Proxy::start(SocketAddr::from((Ipv4Addr::LOCALHOST, *port)))
}

/// Announces the proxy of each node as its address, and waits until every node knows every proxy.
fn announce(nodes: &mut [Connection], proxies: &[Proxy]) {
    for (node, proxy) in nodes.iter_mut().zip(proxies) {
        cmd("CONFIG")
            .arg("SET")
            .arg("cluster-announce-port")
            .arg(proxy.address().port())
            .exec(node)
            .unwrap();
    }
    for node in nodes {
        let has_all = |nodes: String| {
            proxies.iter().all(|proxy| nodes.contains(&format!("{}@", proxy.address())))
        };
        let is_known = (0..3_000).any(|_| {
            sleep(Duration::from_millis(20));
            has_all(cmd("CLUSTER").arg("NODES").query(node).unwrap())
        });
        assert!(is_known, "every node knows every proxy");
    }
}
