//! The connection to Redis: one server or a cluster, time-outs, and scripts.
//!
//! Never here: what a key means.

use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

#[cfg(feature = "rustls")]
use redis::TlsCertificates;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo, SingleNodeRoutingInfo};
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    Client, Cmd, ErrorKind, FromRedisValue, IntoConnectionInfo, RedisError, RedisResult, Script,
    ServerErrorKind, Value, cmd, from_redis_value,
};

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an answer may take, with the retries of a cluster's client. With `appendfsync always`,
/// each write waits for a disk.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);
/// How often a silent connection is probed, so that a lost peer is noticed.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// A connection to one server or to a cluster. A clone shares it.
#[derive(Clone)]
pub(crate) enum Connection {
    Single(ConnectionManager),
    Cluster(ClusterConnection),
}

/// A node that has keys: the one server, or a primary of a cluster.
pub(crate) enum Node {
    Single,
    Primary { host: String, port: u16 },
}

/// A script, and its hash, by which a server that has seen it knows it.
pub(crate) struct Lua {
    code: &'static str,
    hash: String,
}

pub(crate) static COMMIT: LazyLock<Lua> =
    LazyLock::new(|| Lua::new(include_str!("../scripts/commit.lua")));
pub(crate) static INDEX: LazyLock<Lua> =
    LazyLock::new(|| Lua::new(include_str!("../scripts/index.lua")));

impl Lua {
    fn new(code: &'static str) -> Self {
        Self { code, hash: Script::new(code).get_hash().to_owned() }
    }

    /// Returns a call by the hash of the script.
    fn call_by_hash(&self, key: &str, arguments: &[&[u8]]) -> Cmd {
        call("EVALSHA", &self.hash, key, arguments)
    }

    /// Returns a call with the text of the script.
    fn call_by_text(&self, key: &str, arguments: &[&[u8]]) -> Cmd {
        call("EVAL", self.code, key, arguments)
    }
}

/// Returns a call of a script that has one key, which decides the node of a cluster.
fn call(command: &str, script: &str, key: &str, arguments: &[&[u8]]) -> Cmd {
    cmd(command).arg(script).arg(1).arg(key).arg(arguments).take()
}

impl Connection {
    pub(crate) async fn open(url: &str) -> RedisResult<Self> {
        #[cfg(feature = "rustls")]
        provide_cryptography();
        let Some((scheme, nodes)) = url.split_once("-cluster://") else {
            let server = url.into_connection_info()?.set_tcp_settings(tcp());
            return open_single(&Client::open(server)?).await.map(Self::Single);
        };
        open_cluster(cluster(scheme, nodes)).await.map(Self::Cluster)
    }

    /// Opens a connection with TLS. A URL without TLS is an error.
    #[cfg(feature = "rustls")]
    pub(crate) async fn open_with_tls(
        url: &str,
        certificates: TlsCertificates,
    ) -> RedisResult<Self> {
        provide_cryptography();
        let Some((scheme, nodes)) = url.split_once("-cluster://") else {
            let server = url.into_connection_info()?.set_tcp_settings(tcp());
            let client = Client::build_with_tls(server, certificates)?;
            return open_single(&client).await.map(Self::Single);
        };
        if scheme != "rediss" {
            let why = "a cluster with TLS has a URL with `rediss-cluster://`";
            return Err((ErrorKind::InvalidClientConfig, why).into());
        }
        open_cluster(cluster(scheme, nodes).certs(certificates)).await.map(Self::Cluster)
    }

    /// Sends a command. This crate sends it once. A cluster's client may send it again.
    pub(crate) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        match self {
            Self::Single(connection) => command.query_async(&mut connection.clone()).await,
            Self::Cluster(connection) => command.query_async(&mut connection.clone()).await,
        }
    }

    /// Sends a command that changes nothing. If the connection was lost, as after a long silence,
    /// it is sent again.
    pub(crate) async fn read<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        match self.ask(command).await {
            Err(error) if error.is_connection_dropped() => self.ask(command).await,
            answer => answer,
        }
    }

    /// Returns the nodes that have keys.
    pub(crate) async fn nodes(&self) -> RedisResult<Vec<Node>> {
        let Self::Cluster(connection) = self else { return Ok(vec![Node::Single]) };
        let primaries = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
        let answer = connection.clone().route_command(cmd("PING"), primaries).await?;
        let Value::Map(answers) = answer else { return Err(unexpected_nodes()) };
        let node = |(address, _): (Value, Value)| {
            let address: String = from_redis_value(address)?;
            let (host, port) = address.rsplit_once(':').ok_or_else(unexpected_nodes)?;
            let port = port.parse().map_err(|_| unexpected_nodes())?;
            Ok(Node::Primary { host: host.to_owned(), port })
        };
        answers.into_iter().map(node).collect()
    }

    /// Sends a command that changes nothing to this node.
    pub(crate) async fn read_from<T: FromRedisValue>(
        &self,
        node: &Node,
        command: &Cmd,
    ) -> RedisResult<T> {
        match (self, node) {
            (Self::Cluster(connection), Node::Primary { host, port }) => {
                let route = SingleNodeRoutingInfo::ByAddress { host: host.clone(), port: *port };
                let route = RoutingInfo::SingleNode(route);
                let answer = connection.clone().route_command(command.clone(), route).await?;
                Ok(from_redis_value(answer)?)
            }
            _ => self.read(command).await,
        }
    }

    /// Runs a script by its hash. A server that does not know the hash has run nothing, and gets
    /// the text.
    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        script: &Lua,
        key: &str,
        arguments: &[&[u8]],
    ) -> RedisResult<T> {
        match self.ask(&script.call_by_hash(key, arguments)).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.ask(&script.call_by_text(key, arguments)).await
            }
            answer => answer,
        }
    }
}

/// Shows no address: it may contain a password.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Single(_) => "Single",
            Self::Cluster(_) => "Cluster",
        })
    }
}

fn unexpected_nodes() -> RedisError {
    (ErrorKind::UnexpectedReturnType, "the cluster did not name its primaries").into()
}

async fn open_single(client: &Client) -> RedisResult<ConnectionManager> {
    let settings = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
        .set_number_of_retries(1);
    client.get_connection_manager_with_config(settings).await
}

fn cluster(scheme: &str, nodes: &str) -> ClusterClientBuilder {
    ClusterClient::builder(node_urls(scheme, nodes))
        .connection_timeout(CONNECT_TIMEOUT)
        .response_timeout(RESPONSE_TIMEOUT)
        .tcp_settings(tcp())
        .retries(4)
        .min_retry_wait(20)
        .max_retry_wait(500)
}

async fn open_cluster(cluster: ClusterClientBuilder) -> RedisResult<ClusterConnection> {
    cluster.build()?.get_async_connection().await
}

/// Returns one URL for each node, with the name and password that stand before the first host.
fn node_urls(scheme: &str, nodes: &str) -> Vec<String> {
    let (credentials, hosts) = nodes.rsplit_once('@').unzip();
    let credentials = credentials.map(|given| format!("{given}@")).unwrap_or_default();
    let hosts = hosts.unwrap_or(nodes).trim_end_matches('/').split(',');
    hosts.map(|host| format!("{scheme}://{credentials}{host}/")).collect()
}

/// Sends small commands at once, and notices a dead connection.
fn tcp() -> TcpSettings {
    let settings = TcpSettings::default().set_nodelay(true);
    let settings = settings
        .set_keepalive(TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 3));
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(2 * KEEPALIVE);
    settings
}

/// Chooses the cryptography of rustls, unless the host has chosen one.
#[cfg(feature = "rustls")]
fn provide_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another thread may just have chosen one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

#[cfg(test)]
mod tests {
    use super::node_urls;

    #[test]
    fn each_node_has_a_url_with_the_credentials() {
        assert_eq!(node_urls("redis", "a:1,b:2"), ["redis://a:1/", "redis://b:2/"]);
        assert_eq!(
            node_urls("rediss", "me:p%40ss@a:1,b:2/"),
            ["rediss://me:p%40ss@a:1/", "rediss://me:p%40ss@b:2/"]
        );
    }
}
