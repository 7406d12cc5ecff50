//! The service that clients use: two processes on one database, with one issuer and an address
//! each. A lost request is a value here. The flow judges the responses.

use std::fs::{File, read_to_string};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use reqwest::header::LOCATION;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::Value;

use super::report::Tally;
use super::soak::Times;
use crate::support::plain_client;
use crate::support::program::Program;

/// The issuer of both processes. Requests are sent to their addresses.
pub const ISSUER: &str = "http://localhost";
/// The flag for W.
const REPLAY_WINDOW: &str = "30s";

/// The counters of requests that were lost because a process did not run.
pub const LOST_IN_A_CRASH: [&str; 2] =
    ["requests lost: no process listened", "requests lost: the connection broke"];

pub struct Service {
    nodes: [Node; 2],
    http: Client,
    database: String,
    directory: PathBuf,
    pub tally: Tally,
    pub times: Times,
}

struct Node {
    port: u16,
    program: Mutex<Option<Program>>,
    kills: AtomicUsize,
    under_way: AtomicUsize,
}

/// Why a request has no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// No process listens, so the request was not sent.
    Refused,
    /// The connection broke. The request may have been decided.
    Broken,
    /// The response is 503. The request may have been decided.
    Unavailable,
}

pub struct Reply {
    pub status: u16,
    pub location: Option<String>,
    pub body: String,
}

impl Reply {
    /// Returns a text member of a JSON body.
    pub fn member(&self, name: &str) -> Option<String> {
        serde_json::from_str::<Value>(&self.body).ok()?.get(name)?.as_str().map(str::to_owned)
    }

    /// Describes the response in a violation, without its tokens.
    pub fn brief(&self) -> String {
        let error = self.member("error").map(|error| format!(" {error}")).unwrap_or_default();
        format!("{}{error}", self.status)
    }
}

impl Service {
    /// Starts both processes, one after the other.
    pub fn start(database: &str, directory: &Path) -> Self {
        let node = |port| Node {
            port,
            program: Mutex::new(None),
            kills: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
        };
        let nodes = [
            node(grantcore_testing_servers::free_port()),
            node(grantcore_testing_servers::free_port()),
        ];
        let service = Self {
            nodes,
            http: plain_client(false),
            database: database.to_owned(),
            directory: directory.to_owned(),
            tally: Tally::default(),
            times: Times::default(),
        };
        service.start_node(0);
        service.start_node(1);
        service
    }

    /// Starts one process at its address.
    pub fn start_node(&self, node: usize) {
        let listen = format!("127.0.0.1:{}", self.nodes[node].port);
        let log = File::options().create(true).append(true).open(self.log_path(node)).unwrap();
        let arguments = [
            ["--listen", &listen],
            ["--issuer", ISSUER],
            ["--database", &self.database],
            ["--replay-window", REPLAY_WINDOW],
            ["--rate-limit", "1000000"],
            ["--consent-rate", "1000000"],
            ["--opening-balance", "1000000000"],
            ["--log", "warn"],
        ];
        let started = Program::start(arguments.as_flattened(), &self.directory, log);
        let program = started.unwrap_or_else(|| panic!("no start: {}", self.log(node)));
        *self.nodes[node].program.lock().unwrap_or_else(PoisonError::into_inner) = Some(program);
    }

    /// Kills one process.
    pub fn kill(&self, node: usize) {
        self.nodes[node].kills.fetch_add(1, SeqCst);
        self.nodes[node]
            .program
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .unwrap()
            .kill();
    }

    /// Stops one process as a service manager does. Its sessions are lost as well.
    pub fn stop(&self, node: usize) {
        self.nodes[node].kills.fetch_add(1, SeqCst);
        let program =
            self.nodes[node].program.lock().unwrap_or_else(PoisonError::into_inner).take();
        assert!(program.unwrap().stop(), "it stops without an error");
    }

    /// Returns the id of one process.
    pub fn process(&self, node: usize) -> Option<u32> {
        let program = self.nodes[node].program.lock().unwrap_or_else(PoisonError::into_inner);
        Some(program.as_ref()?.child.id())
    }

    /// Returns how often the process was killed. Each kill loses its sessions.
    pub fn kills(&self, node: usize) -> usize {
        self.nodes[node].kills.load(SeqCst)
    }

    pub fn is_up(&self, node: usize) -> bool {
        self.nodes[node].program.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Returns how many requests are under way at the process.
    pub fn under_way(&self, node: usize) -> usize {
        self.nodes[node].under_way.load(SeqCst)
    }

    pub fn url(&self, node: usize, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.nodes[node].port)
    }

    /// Returns the last lines of the log.
    pub fn log(&self, node: usize) -> String {
        let log = read_to_string(self.log_path(node)).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }

    fn log_path(&self, node: usize) -> PathBuf {
        self.directory.join(format!("process-{node}.log"))
    }

    pub async fn post(
        &self,
        node: usize,
        path: &str,
        form: &[(&str, &str)],
    ) -> Result<Reply, Lost> {
        self.send(node, self.http.post(self.url(node, path)).form(form)).await
    }

    /// Calls the API with an access token.
    pub async fn api(&self, node: usize, access: &str) -> Result<Reply, Lost> {
        self.send(node, self.http.get(self.url(node, "/api")).bearer_auth(access)).await
    }

    /// Sends a request and reads the whole response.
    pub async fn send(&self, node: usize, request: RequestBuilder) -> Result<Reply, Lost> {
        let _under_way = UnderWay::new(&self.nodes[node].under_way);
        let before = Instant::now();
        let reply = reply(request)
            .await
            .map_err(|error| if error.is_connect() { Lost::Refused } else { Lost::Broken });
        let lost = match &reply {
            Ok(reply) if reply.status == StatusCode::SERVICE_UNAVAILABLE => Lost::Unavailable,
            Ok(_) => {
                self.times.add(before.elapsed());
                self.tally.count("requests answered");
                return reply;
            }
            Err(lost) => *lost,
        };
        self.tally.count(match lost {
            Lost::Refused => LOST_IN_A_CRASH[0],
            Lost::Broken => LOST_IN_A_CRASH[1],
            Lost::Unavailable => "requests lost: answered 503",
        });
        Err(lost)
    }
}

async fn reply(request: RequestBuilder) -> reqwest::Result<Reply> {
    let answer = request.send().await?;
    let status = answer.status().as_u16();
    let location =
        answer.headers().get(LOCATION).map(|location| location.to_str().unwrap().to_owned());
    Ok(Reply { status, location, body: answer.text().await? })
}

/// Counts a request while it is under way, also if its future is dropped.
struct UnderWay<'c>(&'c AtomicUsize);

impl<'c> UnderWay<'c> {
    fn new(count: &'c AtomicUsize) -> Self {
        count.fetch_add(1, SeqCst);
        Self(count)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}
