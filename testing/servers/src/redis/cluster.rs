//! Three servers that share the keys among them.

use std::thread::sleep;

use super::installed;
use super::node::{LOOKS, Node, PAUSE};

/// A cluster of three masters, each with a third of the slots, and no replicas.
#[derive(Debug)]
pub struct RedisCluster([Node; 3]);

/// The slots of each.
const SLOTS: [[&str; 2]; 3] = [["0", "5460"], ["5461", "10922"], ["10923", "16383"]];

/// Every write is in a node's log before it is answered, and a node that is gone is soon missed.
const SETTINGS: [(&str, &str); 4] = [
    ("appendonly", "yes"),
    ("appendfsync", "always"),
    ("save", ""),
    ("cluster-node-timeout", "2000"),
];

impl RedisCluster {
    /// Starts three servers, makes them a cluster and waits until each of them says that it works.
    /// Nothing if Redis is not installed, which fails the test instead if
    /// `GRANTCORE_REQUIRE_SERVERS` is `1`.
    pub fn start() -> Option<Self> {
        let program = installed()?;
        let nodes = [(); 3].map(|()| Node::start(program.clone(), SETTINGS, true));
        for ((node, [first, last]), epoch) in nodes.iter().zip(SLOTS).zip(["1", "2", "3"]) {
            node.ask(&["CLUSTER", "SET-CONFIG-EPOCH", epoch]);
            node.ask(&["CLUSTER", "ADDSLOTSRANGE", first, last]);
        }
        let [head, others @ ..] = &nodes;
        for other in others {
            let (port, bus) =
                (other.port().to_string(), other.bus().expect("it has a bus").to_string());
            head.ask(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
        }
        let cluster = Self(nodes);
        cluster.wait();
        Some(cluster)
    }

    /// Where they listen, as for clients of one server.
    pub fn urls(&self) -> Vec<String> {
        self.0.iter().map(|node| format!("redis://127.0.0.1:{}/", node.port())).collect()
    }

    /// What a client of the cluster connects to.
    pub fn url(&self) -> String {
        let nodes: Vec<_> =
            self.0.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis-cluster://{}", nodes.join(","))
    }

    /// Ends this one of the three with no time for anything (`kill -9`). Its data stays.
    pub fn kill(&mut self, node: usize) {
        self.0.get_mut(node).expect("there is such a node").kill();
    }

    /// Starts this one again, at the same port and with the data it had. When all three run, waits
    /// until the whole works.
    pub fn restart(&mut self, node: usize) {
        self.0.get_mut(node).expect("there is such a node").restart();
        if self.0.iter().all(Node::is_running) {
            self.wait();
        }
    }

    /// Each node judges for itself whether the cluster works.
    fn wait(&self) {
        let works = |node: &Node| {
            let told = node.ask(&["CLUSTER", "INFO"]);
            ["cluster_state:ok\r", "cluster_slots_ok:16384\r", "cluster_known_nodes:3\r"]
                .iter()
                .all(|part| told.contains(part))
        };
        let together = (0..LOOKS).any(|_| {
            sleep(PAUSE);
            self.0.iter().all(works)
        });
        assert!(
            together,
            "the cluster does not come together: {}",
            self.0.each_ref().map(|node| node.ask(&["CLUSTER", "INFO"])).concat()
        );
    }
}
