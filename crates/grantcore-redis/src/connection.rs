//! The way to Redis: one server or a cluster, time-outs, and how a script is run.
//!
//! Never here: what a key means.

use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    Client, Cmd, ErrorKind, FromRedisValue, IntoConnectionInfo, RedisResult, Script,
    ServerErrorKind, cmd,
};

/// How long to wait for a connection.
const CONNECTING: Duration = Duration::from_secs(2);
/// How long to wait for an answer, with all that a cluster's client tries by itself. With
/// `appendfsync always`, each waits for a disk.
const ANSWERING: Duration = Duration::from_secs(3);
/// A connection on which nothing is said is looked at this often, so that one whose other end is
/// gone is noticed.
const SILENCE: Duration = Duration::from_secs(15);

/// Either way to Redis. A clone shares the connections.
#[derive(Clone)]
pub(crate) enum Connection {
    Single(ConnectionManager),
    Cluster(ClusterConnection),
}

/// A script, and the name that a server which has seen it knows it by.
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

    /// One key, so that every cluster knows where to.
    fn call(&self, by_name: bool, key: &str, arguments: &[&[u8]]) -> Cmd {
        let (verb, script) =
            if by_name { ("EVALSHA", self.hash.as_str()) } else { ("EVAL", self.code) };
        cmd(verb).arg(script).arg(1).arg(key).arg(arguments).take()
    }
}

impl Connection {
    pub(crate) async fn open(url: &str) -> RedisResult<Self> {
        #[cfg(feature = "rustls")]
        provide_cryptography();
        match url.split_once("-cluster://") {
            Some((scheme, nodes)) => open_cluster(scheme, nodes).await.map(Self::Cluster),
            None => open_single(url).await.map(Self::Single),
        }
    }

    /// Sends a command, once as far as this crate is concerned. A cluster's client sends it again
    /// by itself.
    pub(crate) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        match self {
            Self::Single(connection) => command.query_async(&mut connection.clone()).await,
            Self::Cluster(connection) => command.query_async(&mut connection.clone()).await,
        }
    }

    /// Sends a command that changes nothing: again, if the connection turns out to be lost, as one
    /// that was idle for long may be.
    pub(crate) async fn read<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        match self.ask(command).await {
            Err(error) if error.is_connection_dropped() => self.ask(command).await,
            answer => answer,
        }
    }

    /// Runs a script by its name, or by its text where it is not known. One that is not known has
    /// not run.
    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        script: &Lua,
        key: &str,
        arguments: &[&[u8]],
    ) -> RedisResult<T> {
        match self.ask(&script.call(true, key, arguments)).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.ask(&script.call(false, key, arguments)).await
            }
            answer => answer,
        }
    }
}

/// The clients say nothing of themselves but addresses; nor does this.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Single(_) => "Single",
            Self::Cluster(_) => "Cluster",
        })
    }
}

async fn open_single(url: &str) -> RedisResult<ConnectionManager> {
    let server = url.into_connection_info()?.set_tcp_settings(tcp());
    let settings = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(CONNECTING))
        .set_response_timeout(Some(ANSWERING))
        .set_number_of_retries(1);
    Client::open(server)?.get_connection_manager_with_config(settings).await
}

async fn open_cluster(scheme: &str, nodes: &str) -> RedisResult<ClusterConnection> {
    let client = ClusterClient::builder(node_urls(scheme, nodes))
        .connection_timeout(CONNECTING)
        .response_timeout(ANSWERING)
        .tcp_settings(tcp())
        .retries(4)
        .min_retry_wait(20)
        .max_retry_wait(500)
        .build()?;
    client.get_async_connection().await
}

/// One URL for each node, with the name and password that stand before the first.
fn node_urls(scheme: &str, nodes: &str) -> Vec<String> {
    let (credentials, hosts) = nodes.rsplit_once('@').unzip();
    let credentials = credentials.map(|given| format!("{given}@")).unwrap_or_default();
    let hosts = hosts.unwrap_or(nodes).trim_end_matches('/').split(',');
    hosts.map(|host| format!("{scheme}://{credentials}{host}/")).collect()
}

/// Small commands leave at once, and a dead connection does not look alive.
fn tcp() -> TcpSettings {
    let settings = TcpSettings::default().set_nodelay(true);
    let settings =
        settings.set_keepalive(TcpKeepalive::new().with_time(SILENCE).with_interval(SILENCE / 3));
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(2 * SILENCE);
    settings
}

/// rustls has no cryptography until the program chose some. What the host chose stays.
#[cfg(feature = "rustls")]
fn provide_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Somebody else may just have done it.
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
