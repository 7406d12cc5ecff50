//! Clients in processes of their own.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::Browser;

/// How long one step of a client may take, including the wait for the expiry.
const STEP: Duration = Duration::from_secs(90);

/// A client of another project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "each test names its clients")]
pub enum Program {
    /// `@modelcontextprotocol/sdk`, of npm.
    Sdk1,
    /// `@modelcontextprotocol/client`, of npm.
    Sdk2,
    /// `mcp-remote`, of npm: what an editor without OAuth starts.
    Remote,
    /// `mcp`, of `PyPI`.
    Python,
}

/// What a client does.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs, reason = "tests fill it in")]
pub struct Arguments<'a> {
    /// The URL of the MCP endpoint.
    pub resource: &'a str,
    /// The tool that it calls, without arguments.
    pub tool: &'a str,
    /// Whether it waits until its access token expires, and calls again.
    pub waits: bool,
    /// The URL of the client's metadata document, if it has one and does not register.
    /// [`Program::Remote`] always registers.
    pub document: Option<&'a str>,
}

/// A client that runs.
#[derive(Debug)]
pub struct Script {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// The working directory, which has the file of standard error.
    directory: TempDir,
}

impl Script {
    /// Starts a client. Returns `None` if it is not installed.
    pub fn start(program: Program, arguments: &Arguments<'_>) -> Option<Self> {
        let (command, directory) = prepared(program, arguments)?;
        Some(Self::run(command, directory))
    }

    /// Starts a client that trusts the certificate authority in this file (PEM). Returns `None` if
    /// the client is not installed.
    pub fn start_trusting(
        program: Program,
        arguments: &Arguments<'_>,
        authority: &Path,
    ) -> Option<Self> {
        let (mut command, directory) = prepared(program, arguments)?;
        // The variables of Node.js and of Python.
        command.env("NODE_EXTRA_CA_CERTS", authority).env("SSL_CERT_FILE", authority);
        Some(Self::run(command, directory))
    }

    /// Starts a client that acts on its own behalf, with this `client_id` and this secret. Returns
    /// `None` if it is not installed, or cannot do that.
    pub fn start_machine(
        program: Program,
        resource: &str,
        tool: &str,
        (client, secret): (&str, &str),
    ) -> Option<Self> {
        let (mut command, directory) = match program {
            Program::Sdk1 => node("machine1.mjs")?,
            Program::Sdk2 => node("machine2.mjs")?,
            Program::Python => python("machine.py")?,
            Program::Remote => return None,
        };
        command.args([resource, tool, client, secret]);
        Some(Self::run(command, directory))
    }

    /// Starts the 2.x client of an organization, whose identity provider signs with this key
    /// (PKCS#8, P-256). Returns `None` if it is not installed.
    pub fn start_enterprise(
        (server, resource): (&str, &str),
        tool: &str,
        (client, secret): (&str, &str),
        (idp, key): (&str, &str),
    ) -> Option<Self> {
        let (mut command, directory) = node("enterprise2.mjs")?;
        command.args([resource, tool, client, secret]);
        command.env("SERVER", server).env("IDP_ISSUER", idp).env("IDP_KEY", key);
        Some(Self::run(command, directory))
    }

    fn run(mut command: Command, directory: TempDir) -> Self {
        let errors = std::fs::File::create(directory.path().join("errors")).unwrap();
        command.current_dir(directory.path()).kill_on_drop(true);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, directory }
    }

    /// Waits for the next step, which must be this one, and returns its text.
    pub async fn step(&mut self, step: &str) -> String {
        let errors = || std::fs::read_to_string(self.directory.path().join("errors")).unwrap();
        let line = timeout(STEP, self.lines.next_line())
            .await
            .unwrap_or_else(|_| panic!("no `{step}` in time; {}", errors()))
            .unwrap();
        let text = line.as_deref().and_then(|line| line.strip_prefix(step)?.strip_prefix(' '));
        text.unwrap_or_else(|| panic!("not `{step}` but {line:?}; {}", errors())).to_owned()
    }

    /// Opens the authorization URL of the client, passes the address of the redirect to the client,
    /// and returns the client id.
    pub async fn authorize(&mut self, browser: &Browser, decision: &str) -> String {
        let url = self.step("authorize").await;
        let (client, answer) = browser.decide(&url, decision).await;
        self.child.stdin.take().unwrap().write_all(format!("{answer}\n").as_bytes()).await.unwrap();
        client
    }

    /// Checks that the script prints nothing more and succeeds.
    pub async fn end(mut self) {
        let line = timeout(STEP, self.lines.next_line()).await.expect("an end in time").unwrap();
        assert_eq!(line, None);
        assert!(timeout(STEP, self.child.wait()).await.expect("an end in time").unwrap().success());
    }
}

/// Returns the command of a client, and the directory that it runs in.
fn prepared(program: Program, arguments: &Arguments<'_>) -> Option<(Command, TempDir)> {
    let (mut command, directory) = match program {
        Program::Sdk1 => node("sdk1.mjs")?,
        Program::Sdk2 => node("sdk2.mjs")?,
        Program::Remote => node("remote.mjs")?,
        Program::Python => python("client.py")?,
    };
    let waits = if arguments.waits { "wait" } else { "once" };
    command.args([arguments.resource, arguments.tool, waits]).args(arguments.document);
    Some((command, directory))
}

/// Returns the command of a script for Node.js. The scripts are copied below the packages, so that
/// Node.js finds the packages.
fn node(name: &str) -> Option<(Command, TempDir)> {
    let place = installed("node", include_str!("../node/package-lock.json"))?;
    let directory = tempfile::tempdir_in(place).unwrap();
    for file in ["app.mjs", name] {
        std::fs::copy(sources("node").join(file), directory.path().join(file)).unwrap();
    }
    let mut command = Command::new("node");
    command.arg(name);
    Some((command, directory))
}

/// Returns axe-core, which checks the accessibility of a page in its browser, or `None` if it is
/// not installed.
pub fn axe_core() -> Option<String> {
    let place = installed("node", include_str!("../node/package-lock.json"))?;
    Some(std::fs::read_to_string(place.join("node_modules/axe-core/axe.min.js")).unwrap())
}

fn python(name: &str) -> Option<(Command, TempDir)> {
    let place = installed("python", include_str!("../python/requirements.txt"))?;
    let mut command = Command::new(place.join("bin/python"));
    command.arg(sources("python").join(name));
    Some((command, tempfile::tempdir().unwrap()))
}

fn sources(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(kind)
}

/// Returns the directory of the clients of this kind, if the versions that `wanted` names are
/// installed.
fn installed(kind: &str, wanted: &str) -> Option<PathBuf> {
    // As in `install`, which runs from the root of the repository.
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let place = root.join(target).join("clients").join(kind);
    if std::fs::read_to_string(place.join("installed")).is_ok_and(|installed| installed == wanted) {
        return Some(place.canonicalize().unwrap());
    }
    let why =
        format!("the clients for {kind} are not installed; testing/clients/install installs them");
    assert!(std::env::var("GRANTCORE_REQUIRE_CLIENTS").as_deref() != Ok("1"), "{why}");
    // A test that passes hides the output of `eprintln`.
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
    None
}
