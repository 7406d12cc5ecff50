//! A cluster of three servers that share the keys.

use std::thread::sleep;

use super::installed;
use super::node::{ATTEMPTS, INTERVAL, Node};

/// A cluster of three masters, each with a third of the slots, and no replicas.
#[derive(Debug)]
pub struct RedisCluster([Node; 3]);

/// The slots of each node.
const SLOTS: [[&str; 2]; 3] = [["0", "5460"], ["5461", "10922"], ["10923", "16383"]];

/// The settings: every write is in the log before the response, and a missing node is soon
/// detected.
const SETTINGS: [(&str, &str); 4] = [
    ("appendonly", "yes"),
    ("appendfsync", "always"),
    ("save", ""),
    ("cluster-node-timeout", "2000"),
];

impl RedisCluster {
    /// Starts three servers, joins them to a cluster and waits until each of them reports that the
    /// cluster works. If Redis is not installed, returns `None`, or panics if
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
            let port = other.port().to_string();
            let bus = other.bus().expect("a node of a cluster has a bus").to_string();
            head.ask(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
        }
        let cluster = Self(nodes);
        cluster.wait();
        Some(cluster)
    }

    /// Returns the URLs of the nodes, for clients of one server.
    pub fn urls(&self) -> Vec<String> {
        self.0.iter().map(|node| format!("redis://127.0.0.1:{}/", node.port())).collect()
    }

    /// Returns the URL for clients of the cluster.
    pub fn url(&self) -> String {
        let nodes: Vec<_> =
            self.0.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis-cluster://{}", nodes.join(","))
    }

    /// Kills one of the three nodes (`kill -9`). Its data stay on disk.
    pub fn kill(&mut self, node: usize) {
        self.0.get_mut(node).expect("there is such a node").kill();
    }

    /// Starts one node again on the same port and data. If all three run, waits until the cluster
    /// works.
    pub fn restart(&mut self, node: usize) {
        self.0.get_mut(node).expect("there is such a node").restart();
        if self.0.iter().all(Node::is_running) {
            self.wait();
        }
    }

    /// Waits until every node reports that the cluster works.
    fn wait(&self) {
        let works = |node: &Node| {
            let info = node.ask(&["CLUSTER", "INFO"]);
            ["cluster_state:ok\r", "cluster_slots_ok:16384\r", "cluster_known_nodes:3\r"]
                .iter()
                .all(|part| info.contains(part))
        };
        let together = (0..ATTEMPTS).any(|_| {
            sleep(INTERVAL);
            self.0.iter().all(works)
        });
        assert!(
            together,
            "the cluster does not work: {}",
            self.0.each_ref().map(|node| node.ask(&["CLUSTER", "INFO"])).concat()
        );
    }
}
