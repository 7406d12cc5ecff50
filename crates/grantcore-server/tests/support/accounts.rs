//! A file of accounts for a server whose issuer is not on this machine: alice, bob and the
//! administrator `admin`, each with the own name as password, as the demonstration has them.

use std::io::Write as _;

use argon2::{Argon2, Params, PasswordHasher as _};
use tempfile::NamedTempFile;

/// A file with these accounts: name, password, and the rest of the line.
pub fn file_of(accounts: &[(&str, &str, &str)]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    for (name, password, rest) in accounts {
        writeln!(file, "{name}:{}{rest}", hash(password)).unwrap();
    }
    file
}

/// The accounts of the demonstration, as a file.
pub fn file() -> NamedTempFile {
    file_of(&[("alice", "alice", ""), ("bob", "bob", ""), ("admin", "admin", ":admin")])
}

/// With the smallest parameters: a test waits for nobody to guess.
fn hash(password: &str) -> String {
    let cheap = Argon2::from(Params::new(8, 1, 1, None).unwrap());
    cheap.hash_password(password.as_bytes()).unwrap().to_string()
}
