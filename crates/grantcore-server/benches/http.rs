//! Measures the processor time of one request over HTTP: the program as shipped, with its log and
//! its audit log, beside a bare axum handler that returns as many bytes. 16 connections on
//! loopback; only the server's process is counted.
//! `cargo bench -p grantcore-server --bench http`.
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

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::any;
use support::program::Program;
use support::{Browser, CALLBACK, VERIFIER, authorization_url, install_crypto_provider, param};

const CONNECTIONS: usize = 16;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
/// What the child process that serves the bare handler is called with.
const BARE: &str = "serve-bare";

fn main() {
    if std::env::args().any(|argument| argument == BARE) {
        return serve_bare();
    }
    install_crypto_provider();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bare = Bare::start();
    let mut bare_time = Vec::new();
    println!("microseconds of the server's processor time per request, medians of {ROUNDS} rounds");
    let mut lines = Vec::new();
    for (name, log) in [("as shipped", "info,rmcp=warn"), ("log off", "off")] {
        let directory = tempfile::tempdir().unwrap();
        let arguments = ["--listen", "127.0.0.1:0", "--database", "memory:", "--log", log];
        let limits = ["--rate-limit", "4294967295"];
        let file = std::fs::File::create(directory.path().join("log")).unwrap();
        let program =
            Program::start(&[&arguments[..], &limits[..]].concat(), directory.path(), file)
                .unwrap();
        let browser = Browser::new("alice");
        let flows = || {
            let flow = |_| runtime.block_on(tokens(&browser, &program.issuer));
            (0..CONNECTIONS).map(flow).collect::<Vec<_>>()
        };
        // Grants of their own: a grant that is refreshed keeps its latest access tokens only.
        let checked = flows();
        let renewed = flows();
        let address: SocketAddr = program.issuer.trim_start_matches("http://").parse().unwrap();
        let host = address.to_string();
        let checks: Vec<_> = checked
            .iter()
            .map(|(_, access)| {
                format!(
                    "GET /mcp HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {access}\r\n\r\n"
                )
            })
            .collect();
        let mut renewals: Vec<_> = renewed.iter().map(|(token, _)| refresh(&host, token)).collect();
        let mut check_times = Vec::new();
        let mut refresh_times = Vec::new();
        for _ in 0..ROUNDS {
            bare_time.push(bare.round());
            check_times.push(round(program.child.id(), address, &mut checks.clone(), &|_| None));
            refresh_times.push(round(program.child.id(), address, &mut renewals, &|body| {
                Some(refresh(&host, between(body, "\"refresh_token\":\"", '"')))
            }));
        }
        lines.push((format!("check, {name}"), median(check_times)));
        lines.push((format!("refresh, {name}"), median(refresh_times)));
    }
    let bare_time = median(bare_time);
    println!("{:24} {bare_time:6.1}", "bare handler");
    for (name, time) in lines {
        println!("{name:24} {time:6.1}  {:4.2} x bare", time / bare_time);
    }
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

/// Sends requests on all connections for a round, each as soon as the response before it has
/// arrived. Returns the processor time of the process for each.
fn round(
    process: u32,
    address: SocketAddr,
    requests: &mut [String],
    next: &(dyn Fn(&str) -> Option<String> + Sync),
) -> f64 {
    let served = AtomicU64::new(0);
    let before = processor_time(process);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for request in requests {
            let served = &served;
            scope.spawn(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.set_nodelay(true).unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                while start.elapsed() < ROUND {
                    stream.write_all(request.as_bytes()).unwrap();
                    let body = response(&mut reader);
                    served.fetch_add(1, Ordering::Relaxed);
                    if let Some(following) = next(&body) {
                        *request = following;
                    }
                }
            });
        }
    });
    (processor_time(process) - before) * 1e6 / served.into_inner() as f64
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

/// The bare handler, in a process of its own.
struct Bare {
    child: Child,
    address: SocketAddr,
}

impl Bare {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg(BARE)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        Self { child, address: first.trim().parse().unwrap() }
    }

    fn round(&self) -> f64 {
        let request = refresh(&self.address.to_string(), &"x".repeat(111));
        let mut requests = vec![request; CONNECTIONS];
        round(self.child.id(), self.address, &mut requests, &|_| None)
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
