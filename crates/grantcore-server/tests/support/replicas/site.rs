//! The service that clients use: nginx in front of two replicas of the program, on one PostgreSQL.
//! A third process, which nginx does not know, issues short-lived access tokens.
//!
//! A response that a fault explains is a value here, and so is a request that a fault cut off. A
//! response that no fault explains is a violation.

use std::collections::BTreeMap;
use std::fs::{File, read_to_string};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use grantcore_testing_servers::Postgres;
use reqwest::header::LOCATION;
use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use tempfile::NamedTempFile;
use tokio::time::sleep;

use super::faults::{Fault, Faults};
use super::proxy::settings;
use super::story::{Checked, Story, Violation, must};
use crate::load::lock;
use crate::load::report::Tally;
use crate::support::nginx::Nginx;
use crate::support::program::Program;
use crate::support::{accounts, plain_client};

/// The number of processes: both replicas, and the process with the short-lived access tokens.
pub const PROCESSES: usize = 3;
pub const SHORT: usize = 2;
/// How many users there are. Each has a page of connected apps that lists all of its clients.
pub const USERS: usize = 32;

/// The pause of a client before it sends an unanswered request again.
pub const PAUSE: Duration = Duration::from_millis(100);
const ATTEMPT_LIMIT: usize = 2000;

/// The settings of all processes.
const SETTINGS: [[&str; 2]; 7] = [
    ["--drain", "1s"],
    ["--trusted-proxies", "127.0.0.1"],
    ["--rate-limit", "1000000"],
    ["--registration-rate", "1000000"],
    ["--consent-rate", "1000000"],
    ["--opening-balance", "1000000000"],
    ["--log", "warn"],
];
/// The replicas' window for replays is longer than the run, so that no client is too late for it.
const LONG_LIVED: [[&str; 2]; 2] = [["--access-lifetime", "1h"], ["--replay-window", "10m"]];
/// This process stores with each rotation what a replica needs to answer the refresh again, if the
/// database is killed before its answer. A window is at most the lifetime of access tokens.
const SHORT_LIVED: [[&str; 2]; 2] = [["--access-lifetime", "2s"], ["--replay-window", "2s"]];

/// The counters of lost requests.
const CUT_OFF: &str = "requests lost: 502, a replica was killed";
pub const UNAVAILABLE: &str = "requests lost: 503, the database was killed";
const DOWN: &str = "requests lost: no process at its own address";
pub const PASSED_ON: &str = "requests that nginx passed on to the other replica";

/// The way of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// By nginx with its default settings. It sends a request to the other replica if it could not
    /// send it to the first, or if it failed there and is no POST.
    Proxy,
    /// By nginx with `non_idempotent` for the token and the revocation endpoint. It sends a request
    /// there to the other replica as well if its connection broke.
    RepeatingProxy,
    /// To the address of one process.
    Process(usize),
}

/// Why a request has no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The replica ended. The request may have been decided.
    Ended,
    /// The database did not answer. The request may have been decided.
    Unavailable,
    /// No process listens at the address, or it ended.
    Down,
}

pub struct Reply {
    pub status: u16,
    pub location: Option<String>,
    pub body: String,
    /// The addresses that nginx tried, separated by commas.
    upstream: String,
}

/// Answers of the processes: process, endpoint, and class of the status.
pub type Answered = BTreeMap<(usize, &'static str, &'static str), usize>;

pub struct Site {
    _nginx: Nginx,
    /// The ports of nginx: with its default settings, and with `non_idempotent`.
    ports: [u16; 2],
    processes: [Process; PROCESSES],
    database: Mutex<Postgres>,
    accounts: NamedTempFile,
    directory: PathBuf,
    http: Client,
    pub tally: Tally,
    pub answered: Mutex<Answered>,
    /// A refresh token that its owner, the client of this number, lost to others.
    pub found: Mutex<Option<(usize, String)>>,
    pub faults: Faults,
    under_way: AtomicUsize,
}

struct Process {
    port: u16,
    metrics_port: u16,
    program: Mutex<Option<Program>>,
}

impl Reply {
    /// Returns whether nginx sent the request to one replica, and then to the other.
    pub fn is_passed_on(&self) -> bool {
        self.upstream.contains(", ")
    }

    /// Returns a text member of a JSON body.
    pub fn member(&self, name: &str) -> Option<String> {
        self.value(name)?.as_str().map(str::to_owned)
    }

    pub fn value(&self, name: &str) -> Option<Value> {
        serde_json::from_str::<Value>(&self.body).ok()?.get(name).cloned()
    }

    /// Describes the response in a violation, without its tokens.
    pub fn brief(&self) -> String {
        let error = self.member("error").map(|error| format!(" {error}")).unwrap_or_default();
        format!("{}{error}", self.status)
    }
}

impl Site {
    /// Starts nginx and all processes.
    pub fn start(database: Postgres, directory: &Path) -> Self {
        let users: Vec<String> = (0..USERS).map(user).collect();
        let lines: Vec<_> = users.iter().map(|name| (name.as_str(), name.as_str(), "")).collect();
        let processes = [(); PROCESSES].map(|()| Process {
            port: grantcore_testing_servers::free_port(),
            metrics_port: grantcore_testing_servers::free_port(),
            program: Mutex::new(None),
        });
        let ports =
            [grantcore_testing_servers::free_port(), grantcore_testing_servers::free_port()];
        let settings = settings(ports, [processes[0].port, processes[1].port]);
        let site = Self {
            _nginx: Nginx::start(directory, &settings, ports[0]),
            ports,
            processes,
            database: Mutex::new(database),
            accounts: accounts::file_of(&lines),
            directory: directory.to_owned(),
            http: plain_client(false),
            tally: Tally::default(),
            answered: Mutex::default(),
            found: Mutex::default(),
            faults: Faults::default(),
            under_way: AtomicUsize::new(0),
        };
        for process in 0..PROCESSES {
            site.start_process(process);
        }
        site
    }

    /// Starts one process at its address.
    pub fn start_process(&self, process: usize) {
        let listen = self.address(process);
        let metrics = format!("127.0.0.1:{}", self.processes[process].metrics_port);
        let issuer = self.issuer();
        let database = lock(&self.database).url();
        let log = File::options().create(true).append(true).open(self.log_path(process)).unwrap();
        let own = [
            ["--listen", &listen],
            ["--metrics-listen", &metrics],
            ["--issuer", &issuer],
            ["--database", &database],
            ["--accounts", self.accounts.path().to_str().unwrap()],
        ];
        let lifetimes = if process == SHORT { SHORT_LIVED } else { LONG_LIVED };
        let arguments = [&own[..], &SETTINGS, &lifetimes].concat();
        let started = Program::start(arguments.as_flattened(), &self.directory, log);
        let program = started.unwrap_or_else(|| panic!("no start: {}", self.log(process)));
        *lock(&self.processes[process].program) = Some(program);
    }

    /// Takes the program of a process, to end it.
    pub fn take_process(&self, process: usize) -> Program {
        lock(&self.processes[process].program).take().unwrap()
    }

    pub fn database(&self) -> &Mutex<Postgres> {
        &self.database
    }

    /// Returns how many requests are under way.
    pub fn under_way(&self) -> usize {
        self.under_way.load(SeqCst)
    }

    /// The issuer is the address of nginx.
    pub fn issuer(&self) -> String {
        self.url(Via::Proxy, "")
    }

    fn address(&self, process: usize) -> String {
        format!("127.0.0.1:{}", self.processes[process].port)
    }

    pub fn url(&self, via: Via, path: &str) -> String {
        match via {
            Via::Proxy => format!("http://127.0.0.1:{}{path}", self.ports[0]),
            Via::RepeatingProxy => format!("http://127.0.0.1:{}{path}", self.ports[1]),
            Via::Process(process) => format!("http://{}{path}", self.address(process)),
        }
    }

    pub fn metrics_url(&self, process: usize) -> String {
        format!("http://127.0.0.1:{}/metrics", self.processes[process].metrics_port)
    }

    /// Returns the last lines of a log.
    pub fn log(&self, process: usize) -> String {
        let log = read_to_string(self.log_path(process)).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }

    fn log_path(&self, process: usize) -> PathBuf {
        self.directory.join(format!("process-{process}.log"))
    }

    pub fn post(&self, via: Via, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        self.http.post(self.url(via, path)).form(form)
    }

    /// A call of the API with an access token.
    pub fn api(&self, via: Via, access: &str) -> RequestBuilder {
        self.http.get(self.url(via, "/api")).bearer_auth(access)
    }

    pub fn http(&self) -> &Client {
        &self.http
    }

    /// Sends a request and reads the whole response. A request that was lost without a fault, and a
    /// response that only a fault explains, are violations.
    pub async fn send(&self, via: Via, request: RequestBuilder) -> Checked<Result<Reply, Lost>> {
        let began = Instant::now();
        let (http, request) = request.build_split();
        let request = request.unwrap();
        let what = format!("{} {} by {via:?}", request.method(), request.url().path());
        let endpoint = endpoint(request.url().path());
        self.under_way.fetch_add(1, SeqCst);
        let received = received(http, request).await;
        self.under_way.fetch_sub(1, SeqCst);
        let reply = match received {
            Ok(reply) => reply,
            Err(error) => {
                let is_excused = matches!(via, Via::Process(_))
                    && (self.faults.met(Fault::ReplicaKilled, began)
                        || self.faults.met(Fault::ReplicaRestarted, began));
                must(is_excused, || format!("{what}: without a fault: {error:?}"))?;
                self.tally.count(DOWN);
                return Ok(Err(Lost::Down));
            }
        };
        let upstream = &reply.upstream;
        if reply.status == 502 {
            // A replica that is restarted answers all that nginx sent it.
            let is_excused = self.faults.met(Fault::ReplicaKilled, began);
            let is_repeated = via == Via::RepeatingProxy && endpoint != "account";
            must(is_excused && !is_repeated, || {
                format!("{what}: 502 without a fault, upstream {upstream}")
            })?;
            self.tally.count(CUT_OFF);
            return Ok(Err(Lost::Ended));
        }
        self.count(via, endpoint, &reply);
        if reply.status == 503 {
            let is_excused = self.faults.met(Fault::DatabaseKilled, began);
            must(is_excused, || format!("{what}: 503 without a fault, upstream {upstream}"))?;
            self.tally.count(UNAVAILABLE);
            return Ok(Err(Lost::Unavailable));
        }
        self.tally.count("requests answered");
        Ok(Ok(reply))
    }

    /// Sends a request until it is answered. Returns also how often it was lost before.
    pub async fn until_answered(
        &self,
        via: Via,
        request: RequestBuilder,
        story: &mut Story,
    ) -> Checked<(Reply, usize)> {
        for lost in 0..ATTEMPT_LIMIT {
            match self.send(via, request.try_clone().unwrap()).await? {
                Ok(reply) => {
                    story.note(reply.brief());
                    return Ok((reply, lost));
                }
                Err(why) => story.note(format!("{why:?}")),
            }
            sleep(PAUSE).await;
        }
        Err(Violation("a request was never answered".into()))
    }

    /// Counts the answer of a process.
    fn count(&self, via: Via, endpoint: &'static str, reply: &Reply) {
        if reply.is_passed_on() {
            self.tally.count(PASSED_ON);
        }
        let last = reply.upstream.rsplit(", ").next().unwrap();
        let process = match via {
            Via::Process(process) => process,
            _ => (0..2).find(|process| self.address(*process) == last).unwrap(),
        };
        let class = ["1xx", "2xx", "3xx", "4xx", "5xx"][usize::from(reply.status / 100) - 1];
        *lock(&self.answered).entry((process, endpoint, class)).or_default() += 1;
    }
}

async fn received(http: Client, request: reqwest::Request) -> reqwest::Result<Reply> {
    let answer = http.execute(request).await?;
    let status = answer.status().as_u16();
    let header = |name| {
        answer
            .headers()
            .get(name)
            .map(|value: &reqwest::header::HeaderValue| value.to_str().unwrap().to_owned())
    };
    let location = header(LOCATION.as_str());
    let upstream = header("x-upstream").unwrap_or_default();
    Ok(Reply { status, location, body: answer.text().await?, upstream })
}

/// Returns the endpoint of a path, as the metrics name it.
fn endpoint(path: &str) -> &'static str {
    match path {
        "/oauth/token" => "token",
        "/oauth/revoke" => "revocation",
        "/oauth/register" => "registration",
        "/api" | "/mcp" => "resource",
        path if path.starts_with("/oauth/register/") => "management",
        path if path.starts_with("/settings/") => "account",
        path => panic!("{path} is not counted"),
    }
}

/// Returns the name of a user, which is the password as well.
pub fn user(number: usize) -> String {
    format!("user{number}")
}
