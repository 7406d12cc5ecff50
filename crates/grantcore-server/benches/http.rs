//! Measures the cost of one request over HTTP: the program as shipped, with its log and its audit
//! log, beside a bare axum handler that returns as many bytes. 16 connections on loopback; only the
//! server's process is counted.
//!
//! `cargo bench -p grantcore-server --bench http` measures processor time. With `-- instructions`,
//! the servers run under Valgrind's callgrind, and their instructions are counted: these do not
//! depend on the load of the machine. Those of the kernel are not among them. The profiles remain
//! in `target/tmp`, for `callgrind_annotate`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a measurement prints its figures, and may fail loudly"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::any;
use support::{Browser, CALLBACK, VERIFIER, authorization_url, install_crypto_provider, param};

const CONNECTIONS: usize = 16;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
/// How often each connection sends its request while instructions are counted, and before.
const COUNTED: usize = 200;
const WARM_UP: usize = 20;
/// What the child process that serves the bare handler is called with.
const BARE: &str = "serve-bare";

/// What is measured of each request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meter {
    /// Microseconds of processor time.
    Time,
    /// Instructions in user space.
    Instructions,
}

fn main() {
    if std::env::args().any(|argument| argument == BARE) {
        return serve_bare();
    }
    let is_counted = std::env::args().any(|argument| argument == "instructions");
    let meter = if is_counted { Meter::Instructions } else { Meter::Time };
    install_crypto_provider();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let bare = Server::bare(meter, directory.path());
    let bare_request = refresh(&bare.address.to_string(), &"x".repeat(111));
    let mut bare_costs = Vec::new();
    let rounds = match meter {
        Meter::Time => ROUNDS,
        Meter::Instructions => 1,
    };
    match meter {
        Meter::Time => {
            println!(
                "microseconds of the server's processor time per request, medians of {rounds}"
            );
        }
        Meter::Instructions => println!("instructions of the server per request"),
    }
    let mut lines = Vec::new();
    for (name, log) in [("as shipped", "info,rmcp=warn"), ("log off", "off")] {
        let server = Server::program(meter, log, directory.path());
        let host = server.address.to_string();
        let issuer = format!("http://{host}");
        let browser = Browser::new("alice");
        let flows = || {
            let flow = |_| runtime.block_on(tokens(&browser, &issuer));
            (0..CONNECTIONS).map(flow).collect::<Vec<_>>()
        };
        // Grants of their own: a grant that is refreshed keeps its latest access tokens only.
        let mut checks: Vec<_> = flows().iter().map(|(_, access)| check(&host, access)).collect();
        let mut renewals: Vec<_> = flows().iter().map(|(token, _)| refresh(&host, token)).collect();
        let mut check_costs = Vec::new();
        let mut refresh_costs = Vec::new();
        for _ in 0..rounds {
            let mut same = vec![bare_request.clone(); CONNECTIONS];
            bare_costs.push(bare.cost(meter, "bare", &mut same, &|_| None));
            check_costs.push(server.cost(meter, &format!("check {name}"), &mut checks, &|_| None));
            let next =
                |body: &str| Some(refresh(&host, between(body, "\"refresh_token\":\"", '"')));
            let label = format!("refresh {name}");
            refresh_costs.push(server.cost(meter, &label, &mut renewals, &next));
        }
        lines.push((format!("check, {name}"), median(check_costs)));
        lines.push((format!("refresh, {name}"), median(refresh_costs)));
    }
    let bare_cost = median(bare_costs);
    println!("{:24} {bare_cost:8.1}", "bare handler");
    for (name, cost) in lines {
        println!("{name:24} {cost:8.1}  {:4.2} x bare", cost / bare_cost);
    }
}

fn check(host: &str, access_token: &str) -> String {
    format!("GET /mcp HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {access_token}\r\n\r\n")
}

fn refresh(host: &str, token: &str) -> String {
    let body = format!("grant_type=refresh_token&client_id=demo-public&refresh_token={token}");
    format!(
        "POST /oauth/token HTTP/1.1\r\nhost: {host}\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Runs a flow, and returns refresh token and access token.
async fn tokens(browser: &Browser, issuer: &str) -> (String, String) {
    let resource = format!("{issuer}/mcp");
    let callback = browser.authorize(&authorization_url(issuer, &resource), "allow").await;
    let code = param(&callback, "code").unwrap();
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", "demo-public"),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
        ("code", &code),
    ];
    let request = support::plain_client(false).post(format!("{issuer}/oauth/token")).form(&form);
    let body = request.send().await.unwrap().text().await.unwrap();
    let field = |name: &str| between(&body, &format!("\"{name}\":\""), '"').to_owned();
    (field("refresh_token"), field("access_token"))
}

/// Returns the request that follows a response with this body, or `None` for the same again.
type Next<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// A connection of the client.
struct Client {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        Self { stream, reader }
    }

    fn send(&mut self, request: &str) {
        self.stream.write_all(request.as_bytes()).unwrap();
    }

    /// Reads the response to a request, which the following one then replaces.
    fn receive(&mut self, request: &mut String, next: Next<'_>) {
        if let Some(following) = next(&response(&mut self.reader)) {
            *request = following;
        }
    }
}

/// A server in a process of its own.
struct Server {
    child: Child,
    address: SocketAddr,
    /// Where callgrind writes its counts.
    counts: PathBuf,
}

impl Server {
    fn bare(meter: Meter, directory: &Path) -> Self {
        let program = std::env::current_exe().unwrap();
        Self::start(meter, &program, &[BARE], directory, Stdio::inherit())
    }

    fn program(meter: Meter, log: &str, directory: &Path) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_grantcore-server"));
        let listen = ["--listen", "127.0.0.1:0", "--database", "memory:", "--log", log];
        let arguments = [&listen[..], &["--rate-limit", "4294967295"]].concat();
        let file = File::create(directory.join("log")).unwrap();
        Self::start(meter, program, &arguments, directory, file.into())
    }

    /// Starts a program, whose first line ends with the address that it listens on.
    fn start(
        meter: Meter,
        program: &Path,
        arguments: &[&str],
        directory: &Path,
        log: Stdio,
    ) -> Self {
        let counts = directory.join("counts");
        let mut command = match meter {
            Meter::Time => Command::new(program),
            Meter::Instructions => {
                let mut valgrind = Command::new("valgrind");
                valgrind.args(["--quiet", "--tool=callgrind", "--instr-atstart=no"]);
                valgrind.arg(format!("--callgrind-out-file={}.%p", counts.display()));
                valgrind.arg(program);
                valgrind
            }
        };
        let command = command.args(arguments).current_dir(directory);
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let address = first.trim().rsplit([' ', '/']).next().unwrap().parse().unwrap();
        let counts = counts.with_extension(child.id().to_string());
        Self { child, address, counts }
    }

    /// Returns the cost of each request. `label` names the profile of its instructions.
    fn cost(&self, meter: Meter, label: &str, requests: &mut [String], next: Next<'_>) -> f64 {
        match meter {
            Meter::Time => self.time(requests, next),
            Meter::Instructions => self.instructions(label, requests, next),
        }
    }

    /// Sends requests on all connections for a round, each as soon as the response before it has
    /// arrived. Returns the microseconds of processor time for each.
    fn time(&self, requests: &mut [String], next: Next<'_>) -> f64 {
        let served = AtomicU64::new(0);
        let before = processor_time(self.child.id());
        let start = Instant::now();
        std::thread::scope(|scope| {
            for request in requests {
                let served = &served;
                scope.spawn(move || {
                    let mut client = Client::connect(self.address);
                    while start.elapsed() < ROUND {
                        client.send(request);
                        client.receive(request, next);
                        served.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        (processor_time(self.child.id()) - before) * 1e6 / served.into_inner() as f64
    }

    /// Sends requests on all connections at once, each time when all responses have arrived.
    /// Returns the instructions for each.
    fn instructions(&self, label: &str, requests: &mut [String], next: Next<'_>) -> f64 {
        let mut clients: Vec<_> = requests.iter().map(|_| Client::connect(self.address)).collect();
        let mut send = |times| {
            for _ in 0..times {
                for (client, request) in clients.iter_mut().zip(&*requests) {
                    client.send(request);
                }
                for (client, request) in clients.iter_mut().zip(&mut *requests) {
                    client.receive(request, next);
                }
            }
        };
        send(WARM_UP);
        self.control("--instr=on");
        self.control("--zero");
        send(COUNTED);
        self.control("--dump");
        self.control("--instr=off");
        // Dumps are numbered.
        let directory = std::fs::read_dir(self.counts.parent().unwrap()).unwrap();
        let mut files = directory.map(|entry| entry.unwrap().path());
        let name = format!("{}.", self.counts.display());
        let dump = files.find(|path| path.to_str().unwrap().starts_with(&name)).unwrap();
        let text = std::fs::read_to_string(&dump).unwrap();
        std::fs::remove_file(dump).unwrap();
        let kept = format!("http {label}.callgrind").replace(' ', "-");
        std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(kept), &text).unwrap();
        let total: f64 = between(&text, "summary: ", '\n').trim().parse().unwrap();
        total / (COUNTED * CONNECTIONS) as f64
    }

    /// Gives a command to the callgrind that this server runs under.
    fn control(&self, command: &str) {
        let process = self.child.id().to_string();
        let status = Command::new("callgrind_control").args([command, &process]).output().unwrap();
        assert!(status.status.success(), "{status:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads one response and returns its body.
fn response(reader: &mut BufReader<TcpStream>) -> String {
    let mut length = 0;
    let mut line = String::new();
    loop {
        line.clear();
        assert!(reader.read_line(&mut line).unwrap() > 0, "the connection ended");
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        assert!(!lower.starts_with("http/1.1 401") && !lower.starts_with("http/1.1 429"), "{line}");
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

/// The processor time of a process, in seconds: of all its threads that live, to the nanosecond.
fn processor_time(process: u32) -> f64 {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let times = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    times.sum::<f64>() / 1e9
}

fn serve_bare() {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        // As many bytes as a token response has.
        let handler = async |_form: String| "y".repeat(280);
        axum::serve(listener, Router::new().route("/oauth/token", any(handler))).await.unwrap();
    });
}

fn between<'a>(text: &'a str, start: &str, end: char) -> &'a str {
    text.split(start).nth(1).unwrap().split(end).next().unwrap()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
