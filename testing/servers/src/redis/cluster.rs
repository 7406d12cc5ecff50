//! A cluster of three servers that share the keys, each with a replica or without.

use std::process::Command;
use std::thread::sleep;

use super::installed;
use super::node::{ATTEMPTS, INTERVAL, Node};

/// A cluster of three masters, each with a third of the slots.
#[derive(Debug)]
pub struct RedisCluster {
    /// The masters at the start, and then their replicas in the same order, if there are any.
    nodes: Vec<Node>,
}

/// The number of masters.
const MASTERS: usize = 3;

/// The slots of each node.
const SLOTS: [[&str; 2]; MASTERS] = [["0", "5460"], ["5461", "10922"], ["10923", "16383"]];

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
        Self::of(MASTERS)
    }

    /// Starts a cluster like [`start`](Self::start) with a replica of each of the three, which takes
    /// its place if it dies.
    pub fn start_with_replicas() -> Option<Self> {
        let cluster = Self::of(2 * MASTERS)?;
        let (masters, replicas) = cluster.nodes.split_at(MASTERS);
        for (master, replica) in masters.iter().zip(replicas) {
            replica.ask(&["CLUSTER", "REPLICATE", &id(master)]);
        }
        cluster.wait();
        Some(cluster)
    }

    /// Starts a cluster of so many servers, of which the first three are the masters.
    fn of(size: usize) -> Option<Self> {
        let program = installed()?;
        let start = |_| Node::start(program.clone(), SETTINGS, true);
        let cluster = Self { nodes: (0..size).map(start).collect() };
        let nodes = &cluster.nodes;
        for ((node, [first, last]), epoch) in nodes.iter().zip(SLOTS).zip(["1", "2", "3"]) {
            node.ask(&["CLUSTER", "SET-CONFIG-EPOCH", epoch]);
            node.ask(&["CLUSTER", "ADDSLOTSRANGE", first, last]);
        }
        for other in nodes.iter().skip(1) {
            let port = other.port().to_string();
            let bus = other.bus().expect("a node of a cluster has a bus").to_string();
            cluster.node(0).ask(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
        }
        cluster.wait();
        Some(cluster)
    }

    fn node(&self, node: usize) -> &Node {
        self.nodes.get(node).expect("there is such a node")
    }

    fn node_mut(&mut self, node: usize) -> &mut Node {
        self.nodes.get_mut(node).expect("there is such a node")
    }

    /// Returns the URLs of the three servers that were masters at the start, for clients of one
    /// server.
    pub fn urls(&self) -> Vec<String> {
        let masters = self.nodes.iter().take(MASTERS);
        masters.map(|node| format!("redis://127.0.0.1:{}/", node.port())).collect()
    }

    /// Returns the URL for clients of the cluster.
    pub fn url(&self) -> String {
        let nodes: Vec<_> =
            self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis-cluster://{}", nodes.join(","))
    }

    /// Kills one of the nodes (`kill -9`). Its data stay on disk.
    pub fn kill(&mut self, node: usize) {
        self.node_mut(node).kill();
    }

    /// Starts one node again on the same port and data. If all run, waits until the cluster works.
    pub fn restart(&mut self, node: usize) {
        self.node_mut(node).restart();
        if self.nodes.iter().all(Node::is_running) {
            self.wait();
        }
    }

    /// Kills the master of a third of the slots and waits until the cluster has promoted its
    /// replica. Starts the old master again, which becomes the replica. The cluster has replicas.
    pub fn fail_over(&mut self, third: usize) {
        let is_master = |node: &Node| node.ask(&["INFO", "replication"]).contains("role:master\r");
        let pair = [third, third + MASTERS];
        let [old, new] = if is_master(self.node(third)) { pair } else { [third + MASTERS, third] };
        self.kill(old);
        let is_promoted = (0..ATTEMPTS).any(|_| {
            sleep(INTERVAL);
            is_master(self.node(new))
        });
        assert!(is_promoted, "no promotion: {}", self.node(new).ask(&["CLUSTER", "NODES"]));
        self.restart(old);
    }

    /// Moves so many slots with their keys from one of the three thirds to the next one, as an
    /// operator does: with `redis-cli`. Returns how many keys were moved.
    pub fn move_slots(&self, from: usize, count: usize) -> usize {
        let [source, target] = [from, (from + 1) % MASTERS].map(|node| id(self.node(node)));
        let program = self.node(0).program();
        let name = program.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let tool = program.with_file_name(name.replace("-server", "-cli"));
        let any = format!("127.0.0.1:{}", self.node(0).port());
        let count = count.to_string();
        let moved = Command::new(tool)
            .args(["--cluster", "reshard", &any, "--cluster-from", &source])
            .args(["--cluster-to", &target, "--cluster-slots", &count, "--cluster-yes"])
            .output()
            .expect("redis-cli runs");
        let printed = String::from_utf8_lossy(&moved.stdout);
        assert!(moved.status.success(), "slots were not moved: {:?}", printed.lines().next_back());
        self.wait();
        // A line ends with a dot for each key of its slot.
        let dots = |line: &str| line.len() - line.trim_end_matches('.').len();
        printed.lines().filter(|line| line.starts_with("Moving slot")).map(dots).sum()
    }

    /// Waits until every node reports that the cluster works, and every replica has all data.
    fn wait(&self) {
        let known = format!("cluster_known_nodes:{}\r", self.nodes.len());
        let works = |node: &Node| {
            let info = node.ask(&["CLUSTER", "INFO"]);
            let is_whole = ["cluster_state:ok\r", "cluster_slots_ok:16384\r", &known]
                .iter()
                .all(|part| info.contains(part));
            is_whole && !node.ask(&["INFO", "replication"]).contains("master_link_status:down")
        };
        let together = (0..ATTEMPTS).any(|_| {
            sleep(INTERVAL);
            self.nodes.iter().all(works)
        });
        let infos = || self.nodes.iter().map(|node| node.ask(&["CLUSTER", "INFO"]));
        assert!(together, "the cluster does not work: {}", infos().collect::<String>());
    }
}

/// Returns the name of a node in its cluster.
fn id(node: &Node) -> String {
    node.ask(&["CLUSTER", "MYID"]).trim().to_owned()
}
