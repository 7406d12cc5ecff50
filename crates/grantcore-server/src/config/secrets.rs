//! Where secrets come from: environment variables and files. No error repeats a secret.

use std::fs::{self, Metadata};
use std::path::Path;

/// The largest file with a secret, in bytes.
const LONGEST: u64 = 64 * 1024;

/// Returns the value of the variable NAME for `env:NAME`, and any other text as it is.
pub(crate) fn resolve(text: &str) -> Result<String, String> {
    let Some(name) = text.strip_prefix("env:") else { return Ok(text.to_owned()) };
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Ok(value),
        _ => Err(format!("the environment variable {name} is not set")),
    }
}

/// Reads a file that holds one secret, without the line break at its end. Refuses a file that other
/// users can read.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let refused = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let metadata = fs::metadata(path).map_err(|error| refused(&error))?;
    check_private(path, &metadata)?;
    if metadata.len() > LONGEST {
        return Err(refused(&"too large for a secret"));
    }
    let text = fs::read_to_string(path).map_err(|error| refused(&error))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(refused(&"the file is empty"));
    }
    Ok(secret.to_owned())
}

/// Refuses a file with a secret that users can read or change who are neither its owner nor of its
/// group.
pub(crate) fn check_private(path: &Path, metadata: &Metadata) -> Result<(), String> {
    if !is_open(metadata) {
        return Ok(());
    }
    let path = path.display();
    Err(format!("{path}: other users can read this file, and it has a secret: chmod o= {path}"))
}

/// Returns whether users can read or change a file who are neither its owner nor of its group.
#[cfg(unix)]
pub(crate) fn is_open(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o007 != 0
}

/// The permissions of other systems are not checked.
#[cfg(not(unix))]
pub(crate) fn is_open(_: &Metadata) -> bool {
    false
}
