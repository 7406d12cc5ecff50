//! Debian's nginx as a process, which ends with its test.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use reqwest::Certificate;

/// The files that [`certify`] writes.
pub const CERTIFICATE: &str = "c.pem";
pub const KEY: &str = "k.pem";
pub const AUTHORITY: &str = "authority.pem";

/// A running nginx.
pub struct Nginx {
    child: Child,
    directory: PathBuf,
}

/// Returns whether nginx is installed. If not, reports on stderr that its tests are skipped, or
/// fails if `GRANTCORE_REQUIRE_NGINX` is `1`.
pub fn is_installed() -> bool {
    if Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_ok() {
        return true;
    }
    let is_required = std::env::var_os("GRANTCORE_REQUIRE_NGINX").is_some_and(|value| value == "1");
    assert!(!is_required, "nginx is not installed, and GRANTCORE_REQUIRE_NGINX is 1");
    let _ = writeln!(std::io::stderr(), "skipped: nginx is not installed");
    false
}

/// Writes a certificate for this host name with its key and its authority into a directory, and
/// returns the authority.
pub fn certify(directory: &Path, name: &str) -> Certificate {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // OpenSSL takes a certificate for self-signed if its subject has the name of its issuer.
    authority.distinguished_name.push(DnType::CommonName, "authority");
    let own = authority.self_signed(&authority_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap();
    let certificate = certificate.signed_by(&key, &Issuer::new(authority, authority_key)).unwrap();
    std::fs::write(directory.join(CERTIFICATE), certificate.pem()).unwrap();
    std::fs::write(directory.join(KEY), key.serialize_pem()).unwrap();
    std::fs::write(directory.join(AUTHORITY), &own).unwrap();
    Certificate::from_pem(own.as_bytes()).unwrap()
}

impl Nginx {
    /// Starts nginx in this directory, with these settings in its block `http`, and waits until it
    /// accepts connections at `port`.
    pub fn start(directory: &Path, http: &str, port: u16) -> Self {
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {kind};"))
            .join(" ");
        // One process, which can read the files of this user's directory.
        let settings = format!(
            "daemon off; master_process off; pid nginx.pid; error_log error.log;
             events {{ worker_connections 4096; }}
             http {{ access_log off; {temporary} {http} }}"
        );
        std::fs::write(directory.join("nginx.conf"), settings).unwrap();
        let child = Command::new("nginx")
            .args(["-e", "error.log", "-c", "nginx.conf", "-p"])
            .arg(directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut nginx = Self { child, directory: directory.to_owned() };
        nginx.wait(port);
        nginx
    }

    /// Waits until nginx accepts connections.
    fn wait(&mut self, port: u16) {
        for _ in 0..600 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "{}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("nginx does not listen: {}", self.log());
    }

    /// Returns the log of errors.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("error.log")).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
