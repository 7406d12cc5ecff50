//! A PostgreSQL server in a temporary directory, which a test can crash and start again.

mod pair;

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{fs, thread};

use tempfile::TempDir;

pub use self::pair::PostgresPair;
use crate::process::{self, User};
use crate::{free_port, in_path, skipped};

/// The name of the server in messages, and the user it runs as if root runs the tests, because
/// PostgreSQL refuses root.
const NAME: &str = "PostgreSQL";
const USER: &str = "postgres";

/// How often the server is polled until it accepts connections, and how often it is started again
/// if it ends.
const POLLS: usize = 600;
const STARTED: usize = 30;
const INTERVAL: Duration = Duration::from_millis(100);

/// A running PostgreSQL. Everybody may connect as `postgres`. Dropping it stops the server and
/// removes its directory.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    directory: TempDir,
    settings: Vec<String>,
    user: Option<User>,
    port: u16,
    process: Option<Child>,
}

impl Postgres {
    /// Creates a database cluster and starts its server with these settings. Returns `None` if
    /// PostgreSQL is not installed.
    pub fn start(settings: &[(&str, &str)]) -> Option<Self> {
        Self::start_as(settings, None)
    }

    /// Starts a server like [`start`](Self::start) that has TLS, with this certificate and key in
    /// PEM. Connections without TLS are accepted too.
    pub fn start_with_tls(settings: &[(&str, &str)], certificate: &str, key: &str) -> Option<Self> {
        Self::start_as(settings, Some((certificate, key)))
    }

    fn start_as(settings: &[(&str, &str)], tls: Option<(&str, &str)>) -> Option<Self> {
        let Some(programs) = programs() else {
            skipped(NAME);
            return None;
        };
        let mut server = Self::empty(programs);
        server.settings = settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        server.make();
        if let Some((certificate, key)) = tls {
            server.add_tls(certificate, key);
        }
        server.run(free_port);
        Some(server)
    }

    /// Returns a server that has a directory and no data yet.
    fn empty(programs: PathBuf) -> Self {
        let user = process::is_root()
            .then(|| User::named(USER).expect("a user for PostgreSQL, which refuses root"));
        let directory = TempDir::new().expect("a temporary directory");
        if let Some(user) = user {
            chown(directory.path(), Some(user.uid), Some(user.gid))
                .expect("root may give a directory away");
        }
        Self { programs, directory, settings: Vec::new(), user, port: free_port(), process: None }
    }

    /// Returns the URL of the server: `postgres://postgres@127.0.0.1:PORT/postgres`.
    pub fn url(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/postgres", self.port)
    }

    /// Returns the port of the server.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills the server and all its processes at once. Nothing is flushed, as in a crash.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process::crash(&mut process);
        }
    }

    /// Starts the server again on the same port and data. Kills it first if it still runs.
    pub fn restart(&mut self) {
        self.kill();
        let port = self.port;
        self.run(|| port);
    }

    fn make(&self) {
        let mut command = self.command("initdb");
        command.args([
            "--username",
            USER,
            "--auth",
            "trust",
            "--encoding",
            "UTF8",
            "--no-locale",
            "--no-sync",
            "--pgdata",
        ]);
        let made = command.arg(self.data()).output().expect("initdb runs");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
    }

    /// Turns TLS on. Only the user of the server may read the key.
    fn add_tls(&mut self, certificate: &str, key: &str) {
        for (name, text) in [("server.crt", certificate), ("server.key", key)] {
            let path = self.data().join(name);
            fs::write(&path, text).expect("a file of the cluster");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its own file");
            if let Some(user) = self.user {
                chown(&path, Some(user.uid), Some(user.gid)).expect("root may give a file away");
            }
        }
        self.settings.push("ssl=on".to_owned());
    }

    /// Starts the server, repeatedly, until it accepts connections. It ends by itself if another
    /// program took the port, or if the shared memory of a killed server is still in use.
    fn run(&mut self, mut port: impl FnMut() -> u16) {
        for _ in 0..STARTED {
            self.port = port();
            let mut process = self.spawn();
            let accepts = self.accepts(&mut process);
            self.process = Some(process);
            if accepts {
                return;
            }
            self.kill();
            thread::sleep(INTERVAL);
        }
        panic!("PostgreSQL does not start: {}", self.log());
    }

    fn spawn(&self) -> Child {
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).arg("-p").arg(self.port.to_string());
        command.args(["-c", "listen_addresses=127.0.0.1", "-c"]);
        command.arg(format!("unix_socket_directories={}", self.directory.path().display()));
        for setting in &self.settings {
            command.arg("-c").arg(setting);
        }
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_file())
            .expect("a file for its log");
        command.stdout(Stdio::null()).stderr(log).spawn().expect("postgres runs")
    }

    /// Waits until the server accepts connections. Returns `false` if it ended.
    fn accepts(&self, process: &mut Child) -> bool {
        for _ in 0..POLLS {
            if process.try_wait().expect("a child can be waited for").is_some() {
                return false;
            }
            if self.is_ready().unwrap_or(false) {
                return true;
            }
            thread::sleep(INTERVAL);
        }
        false
    }

    /// Sends a start-up message of protocol version 3, and returns whether the server accepted it:
    /// it answers `R` (authenticated) or `E` (starting up).
    fn is_ready(&self) -> std::io::Result<bool> {
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        connection.set_read_timeout(Some(Duration::from_secs(5)))?;
        connection.write_all(b"\0\0\0\x17\0\x03\0\0user\0postgres\0\0")?;
        let mut answer = [0];
        connection.read_exact(&mut answer)?;
        Ok(answer == *b"R")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .env("LC_ALL", "C")
            .env_remove("PGDATA");
        if let Some(user) = self.user {
            command.uid(user.uid).gid(user.gid);
        }
        command
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn log_file(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    fn log(&self) -> String {
        let mut log = fs::read_to_string(self.log_file()).unwrap_or_default();
        if log.is_empty() {
            let _ = write!(log, "the log is empty");
        }
        log
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns the directory of PostgreSQL's programs: in `PATH`, or Debian's directory of the newest
/// version.
fn programs() -> Option<PathBuf> {
    let both = |directory: &Path| {
        ["initdb", "postgres"].iter().all(|program| directory.join(program).is_file())
    };
    // A link in `PATH` may stand alone; the other programs are beside the file that it names.
    let of_path = in_path("initdb").and_then(|program| program.canonicalize().ok());
    let of_path = of_path.and_then(|program| Some(program.parent()?.to_owned()));
    of_path.filter(|directory| both(directory)).or_else(|| {
        let versions = fs::read_dir("/usr/lib/postgresql").ok()?.filter_map(Result::ok);
        let numbered = versions.filter_map(|entry| {
            Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path()))
        });
        let installed = numbered
            .map(|(version, path)| (version, path.join("bin")))
            .filter(|(_, directory)| both(directory));
        installed.max().map(|(_, directory)| directory)
    })
}
