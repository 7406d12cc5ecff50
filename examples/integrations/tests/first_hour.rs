//! A reader's first hour: the commands and the program of the README's first section, exactly as a
//! reader copies them, and the MCP clients of other projects that connect to that program.
//!
//! `cargo add` takes the packages of this repository by their paths, as they may not be published.
//! The program listens on a free port. Nothing else differs from the README. The clients and the
//! user's browser are those of `grantcore-testing-clients`; clients that are not installed are
//! skipped, unless `GRANTCORE_REQUIRE_CLIENTS=1`. The commands need the network, for the index of
//! crates.io.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use grantcore_testing_clients::{
    Arguments, Browser, Program, Script, call, connect_rmcp, plain_client,
};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// The port of the README's program.
const PORT: &str = "8080";

/// A fenced block of the README, as GitHub shows it.
struct Block {
    /// What follows the fence: the language, and for rustdoc its attributes.
    info: String,
    /// The number of the fence's line.
    line: usize,
    lines: Vec<String>,
}

impl Block {
    fn is_in(&self, language: &str) -> bool {
        self.attributes().next() == Some(language)
    }

    fn attributes(&self) -> impl Iterator<Item = &str> {
        self.info.split(',').map(str::trim)
    }
}

fn readme() -> String {
    std::fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap()
}

fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in (1..).zip(markdown.lines()) {
        match (open.take(), line.strip_prefix("```")) {
            (None, Some(info)) => {
                open = Some(Block { info: info.to_owned(), line: number, lines: Vec::new() });
            }
            (Some(block), Some(_)) => blocks.push(block),
            (Some(mut block), None) => {
                block.lines.push(line.to_owned());
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence is not closed");
    blocks
}

/// Returns the first block in this language.
fn first(blocks: Vec<Block>, language: &str) -> Block {
    blocks.into_iter().find(|block| block.is_in(language)).expect("a block in this language")
}

/// The packages of this workspace, as their manifests describe them.
struct Workspace(BTreeMap<String, Package>);

struct Package {
    directory: PathBuf,
    features: BTreeSet<String>,
    /// The kind and the name of each target.
    targets: BTreeSet<(String, String)>,
}

impl Workspace {
    fn read() -> Self {
        let output = std::process::Command::new(env!("CARGO"))
            .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
            .current_dir(ROOT)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
        let texts =
            |value: &Value| -> Vec<String> { value.as_array().unwrap().iter().map(text).collect() };
        let packages = metadata["packages"].as_array().unwrap().iter().map(|package| {
            let manifest = PathBuf::from(text(&package["manifest_path"]));
            let targets = package["targets"].as_array().unwrap().iter().flat_map(|target| {
                let name = text(&target["name"]);
                texts(&target["kind"]).into_iter().map(move |kind| (kind, name.clone()))
            });
            let package_of = Package {
                directory: manifest.parent().unwrap().to_owned(),
                features: package["features"].as_object().unwrap().keys().cloned().collect(),
                targets: targets.collect(),
            };
            (text(&package["name"]), package_of)
        });
        Self(packages.collect())
    }

    /// Returns what is wrong with a command of the README: names of packages, targets and features
    /// that this workspace does not have.
    fn faults(&self, command: &str) -> Vec<String> {
        let words: Vec<&str> = command.split_whitespace().collect();
        let values = |options: &[&str]| -> Vec<&str> {
            let pairs = words.windows(2).filter(|pair| options.contains(&pair[0]));
            pairs.map(|pair| pair[1]).collect()
        };
        let mut faults = Vec::new();
        let mut packages = values(&["-p", "--package"]);
        let is_addition = words.starts_with(&["cargo", "add"]);
        if is_addition {
            packages.extend(added(&words).iter().filter(|name| name.starts_with("grantcore")));
        } else if packages.is_empty() && !words.contains(&"--workspace") {
            packages.push("grantcore"); // The package of the root.
        }
        for package in packages {
            let Some(found) = self.0.get(package) else {
                faults.push(format!("there is no package {package}"));
                continue;
            };
            for kind in ["example", "bin", "test", "bench"] {
                for name in values(&[&format!("--{kind}")]) {
                    if !found.targets.contains(&(kind.to_owned(), name.to_owned())) {
                        faults.push(format!("{package} has no {kind} {name}"));
                    }
                }
            }
            for feature in values(&["-F", "--features"]).iter().flat_map(|list| list.split(',')) {
                if !found.features.contains(feature) {
                    faults.push(format!("{package} has no feature {feature}"));
                }
            }
        }
        faults
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Returns the packages that a `cargo add` names: all words up to the first option.
fn added<'a>(words: &[&'a str]) -> Vec<&'a str> {
    words[2..].iter().copied().take_while(|word| !word.starts_with('-')).collect()
}

/// Returns the code spans of lines that are in no block.
fn spans(markdown: &str) -> Vec<&str> {
    let mut is_outside = true;
    let mut spans = Vec::new();
    for line in markdown.lines() {
        if line.starts_with("```") {
            is_outside = !is_outside;
        } else if is_outside {
            spans.extend(line.split('`').skip(1).step_by(2));
        }
    }
    spans
}

/// GitHub shows the lines that rustdoc hides, and `ignore` is code that nothing compiles.
#[test]
fn rust_blocks_are_shown_as_they_are_compiled() {
    let mut faults = Vec::new();
    for block in blocks(&readme()).iter().filter(|block| block.is_in("rust")) {
        if block.attributes().any(|attribute| attribute.starts_with("ignore")) {
            faults.push(format!("line {}: a block that is not compiled", block.line));
        }
        for (number, line) in (block.line + 1..).zip(&block.lines) {
            let line = line.trim_start();
            if line == "#" || line.starts_with("# ") {
                faults.push(format!("line {number}: rustdoc hides it and GitHub shows it"));
            }
        }
    }
    assert!(faults.is_empty(), "README.md: {faults:#?}");
}

#[test]
fn commands_name_what_exists() {
    let readme = readme();
    let workspace = Workspace::read();
    let blocks = blocks(&readme);
    let shell = blocks.iter().filter(|block| block.is_in("sh"));
    let commands: Vec<&str> = shell
        .flat_map(|block| block.lines.iter().flat_map(|line| line.split("&&")))
        .chain(spans(&readme))
        .map(str::trim)
        .filter(|command| command.starts_with("cargo "))
        .collect();
    assert!(commands.len() > 10, "the commands of the README were not found: {commands:?}");
    let faults: Vec<String> = commands
        .iter()
        .flat_map(|command| {
            workspace.faults(command).into_iter().map(move |fault| format!("`{command}`: {fault}"))
        })
        .collect();
    assert!(faults.is_empty(), "README.md: {faults:#?}");
}

/// Returns the commands that do what a line of the README does, with packages of this workspace
/// from its directories.
fn local(line: &str, workspace: &Workspace) -> Vec<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    if !words.starts_with(&["cargo", "add"]) {
        return vec![line.to_owned()];
    }
    let names = added(&words);
    let options = words[2 + names.len()..].join(" ");
    let (own, others): (Vec<_>, Vec<_>) =
        names.into_iter().partition(|name| workspace.0.contains_key(*name));
    let mut commands: Vec<String> = own
        .iter()
        .map(|name| {
            format!("cargo add --path '{}' {options}", workspace.0[*name].directory.display())
        })
        .collect();
    if !others.is_empty() {
        commands.push(format!("cargo add {} {options}", others.join(" ")));
    }
    commands
}

/// Returns a command as a reader's shell would run it, without the variables that `cargo test`
/// sets.
fn command(program: &str, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory).kill_on_drop(true).stdin(Stdio::null());
    // The default, which this repository's `.cargo/config.toml` changes for the folders below it.
    command.env("CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS", "fallback");
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(&*name);
        }
    }
    command
}

async fn run(command: &mut Command) {
    let output = command.output().await.unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{printed}{errors}", output.status);
}

/// Follows the README up to `cargo build`, and returns the path of the program.
async fn build(port: u16) -> PathBuf {
    let blocks = || blocks(&readme());
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // That of the workspace, so that what both need is built once.
    let target = temporary.parent().unwrap();
    let folder = temporary.join("first-hour");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    // `cargo new` adds a package to the workspace around it, which must not be this repository's.
    std::fs::write(folder.join("Cargo.toml"), "[workspace]\nresolver = \"3\"\n").unwrap();

    let workspace = Workspace::read();
    let shell = first(blocks(), "sh");
    let mut commands: Vec<String> =
        shell.lines.iter().flat_map(|line| local(line, &workspace)).collect();
    commands.push("pwd >../pwd".to_owned());
    run(command("sh", &folder).args(["-exc", &commands.join("\n")])).await;
    let package = PathBuf::from(std::fs::read_to_string(folder.join("pwd")).unwrap().trim_end());

    let rust = first(blocks(), "rust").lines.join("\n") + "\n";
    assert_eq!(rust.matches(PORT).count(), 2, "the port of the issuer and of the listener");
    std::fs::write(package.join("src/main.rs"), rust.replace(PORT, &port.to_string())).unwrap();
    // `cargo add` leaves no version in it that its package does not need.
    std::fs::copy(Path::new(ROOT).join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let started = Instant::now();
    run(command("cargo", &package).arg("build").env("CARGO_TARGET_DIR", target)).await;
    report(&format!("the README's program was built in {} s", started.elapsed().as_secs()));
    let name = package.file_name().unwrap().to_str().unwrap();
    target.join("debug").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// A test that passes hides the output of `eprintln`.
fn report(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Starts the program, and waits until it listens.
async fn start(program: &Path, port: u16) -> Child {
    let mut child = command(program.to_str().unwrap(), program.parent().unwrap()).spawn().unwrap();
    for _ in 0..300 {
        if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return child;
        }
        assert_eq!(child.try_wait().unwrap(), None, "the program has ended");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the program does not listen");
}

/// Returns a browser in which nobody is signed in yet.
fn alice() -> Browser {
    Browser::new("alice").password("wonderland")
}

async fn rmcp_connects(resource: &str) {
    let (service, _) = connect_rmcp(resource, &alice()).await;
    let tools = service.list_all_tools().await.unwrap();
    assert_eq!(tools.iter().map(|tool| &*tool.name).collect::<Vec<_>>(), ["greet"]);
    assert_eq!(call(&service, "greet").await, "Hello, alice");
    service.cancel().await.unwrap();
}

/// Returns whether the client is installed.
async fn connects(program: Program, resource: &str) -> bool {
    let arguments = Arguments { resource, tool: "greet", waits: false, document: None };
    let Some(mut script) = Script::start(program, &arguments) else { return false };
    script.authorize(&alice(), "allow").await;
    assert_eq!(script.step("tools").await, "greet");
    assert_eq!(script.step("call").await, "Hello, alice");
    script.end().await;
    true
}

#[tokio::test]
async fn clients_connect_to_the_program_of_the_readme() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let program = build(port).await;
    let _running = start(&program, port).await;
    let resource = format!("http://127.0.0.1:{port}/mcp");

    // The token is asked for at the tool's address and nowhere else.
    let unknown = plain_client(false).get(format!("http://127.0.0.1:{port}/")).send().await;
    assert_eq!(unknown.unwrap().status(), 404);
    rmcp_connects(&resource).await;
    report("Rmcp: Hello, alice");
    for client in [Program::Sdk1, Program::Sdk2, Program::Remote, Program::Python] {
        if connects(client, &resource).await {
            report(&format!("{client:?}: Hello, alice"));
        }
    }
}
