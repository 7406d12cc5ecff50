//! An accounts file for a server whose issuer is not on this machine. It has the demonstration
//! accounts: alice, bob and the administrator `admin`, each with its name as password.

use std::io::Write as _;

use argon2::{Argon2, Params, PasswordHasher as _};
use tempfile::NamedTempFile;

/// Writes a file with these accounts: name, password, and the rest of the line.
pub fn file_of(accounts: &[(&str, &str, &str)]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    for (name, password, rest) in accounts {
        writeln!(file, "{name}:{}{rest}", hash(password)).unwrap();
    }
    file
}

/// Writes a file with the demonstration accounts.
pub fn file() -> NamedTempFile {
    file_of(&[("alice", "alice", ""), ("bob", "bob", ""), ("admin", "admin", ":admin")])
}

/// Hashes with the smallest parameters, to be fast.
fn hash(password: &str) -> String {
    let cheap = Argon2::from(Params::new(8, 1, 1, None).unwrap());
    cheap.hash_password(password.as_bytes()).unwrap().to_string()
}
