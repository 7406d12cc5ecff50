//! The accounts file. It has one account per line: `NAME:HASH`, or `NAME:HASH:admin` for an
//! administrator.
//!
//! `HASH` is an argon2id hash as a PHC string, as `grantcore-server hash-password` prints it. Empty
//! lines and lines that begin with `#` are skipped. No error repeats a hash.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use argon2::Params;
use argon2::password_hash::phc::PasswordHash;

/// The longest name, in bytes.
const LONGEST_NAME: usize = 128;
/// The most memory that one hash may take, in KiB. A mistyped parameter could exhaust the memory of
/// the process.
const MEMORY_LIMIT: u32 = 1024 * 1024;

/// One account of the file.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) hash: PasswordHash,
    pub(super) is_admin: bool,
}

/// Why the accounts cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountsError {
    /// No file is named, and the issuer is not loopback.
    #[error(
        "the demonstration accounts exist only under an issuer on this machine: \
         name the accounts file with --accounts FILE"
    )]
    NotNamed,
    /// No file is named, and other machines can reach the server.
    #[error(
        "--listen {0} can be reached from other machines, \
         and the demonstration accounts exist on this machine only: \
         name the accounts file with --accounts FILE, or --listen on 127.0.0.1"
    )]
    Reachable(SocketAddr),
    /// There is no file at this path.
    #[error(
        "--accounts {0}: there is no such file; make it with the first account: \
         `grantcore-server add-account --accounts {0} NAME`"
    )]
    Missing(PathBuf),
    /// The file cannot be read.
    #[error("--accounts {0}: {1}")]
    Unreadable(PathBuf, #[source] io::Error),
    /// A line is wrong.
    #[error("--accounts {0}, line {1}: {2}")]
    Line(PathBuf, usize, LineError),
    /// The file has no account.
    #[error("--accounts {0}: no account in it; write a line NAME:HASH for each")]
    Empty(PathBuf),
}

/// What is wrong with a line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LineError {
    /// The line does not have two or three parts.
    #[error("must be NAME:HASH or NAME:HASH:admin")]
    Parts,
    /// The name is empty, too long or a step of a path, or has white space or control characters.
    #[error(
        "the name must have 1 to {LONGEST_NAME} bytes, without spaces, colons and control \
         characters, must not begin with #, and is not . or .."
    )]
    Name,
    /// An earlier line has the same name.
    #[error("the account {0} is in the file already")]
    Twice(String),
    /// The hash is malformed or not argon2id.
    #[error("the hash must be argon2id, as `grantcore-server hash-password` writes it")]
    Hash,
    /// The third part is not `admin`.
    #[error("the third part must be `admin`")]
    Role,
}

/// Reads the file.
pub(super) fn read(path: &Path) -> Result<Vec<Listed>, AccountsError> {
    let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => AccountsError::Missing(path.to_owned()),
        _ => AccountsError::Unreadable(path.to_owned(), error),
    })?;
    parse_all(path, &text)
}

/// Parses the text of a file.
pub(super) fn parse_all(path: &Path, text: &str) -> Result<Vec<Listed>, AccountsError> {
    let mut listed = Vec::new();
    let mut names = BTreeSet::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let account = parse(line).and_then(|account| {
            let is_new = names.insert(account.name.clone());
            if is_new { Ok(account) } else { Err(LineError::Twice(account.name)) }
        });
        listed.push(account.map_err(|error| AccountsError::Line(path.to_owned(), number, error))?);
    }
    if listed.is_empty() { Err(AccountsError::Empty(path.to_owned())) } else { Ok(listed) }
}

/// Parses one line that is neither empty nor a comment.
pub(super) fn parse(line: &str) -> Result<Listed, LineError> {
    let mut parts = line.split(':');
    let (Some(name), Some(hash), role, None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(LineError::Parts);
    };
    let is_odd = |c: char| c.is_control() || c.is_whitespace();
    // A browser would leave the page of an account whose address ends in two dots.
    let is_step = matches!(name, "." | "..");
    if name.is_empty() || name.len() > LONGEST_NAME || name.contains(is_odd) || is_step {
        return Err(LineError::Name);
    }
    let is_admin = match role {
        None => false,
        Some("admin") => true,
        Some(_) => return Err(LineError::Role),
    };
    Ok(Listed { name: name.to_owned(), hash: parse_hash(hash)?, is_admin })
}

/// Parses an argon2id hash that has a salt, an output and usable parameters.
fn parse_hash(text: &str) -> Result<PasswordHash, LineError> {
    let hash = PasswordHash::new(text).map_err(|_| LineError::Hash)?;
    let params = Params::try_from(&hash).map_err(|_| LineError::Hash)?;
    let is_whole = hash.salt.is_some() && hash.hash.is_some();
    let is_usable = hash.algorithm.as_str() == "argon2id" && params.m_cost() <= MEMORY_LIMIT;
    if is_whole && is_usable { Ok(hash) } else { Err(LineError::Hash) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$\
                        AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn file(text: &str) -> Result<Vec<Listed>, AccountsError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("accounts");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn accounts_are_read_and_comments_skipped() {
        let text = format!("# people\r\n\r\nalice@example.com:{HASH}\r\n root:{HASH}:admin \n");
        let listed = file(&text).unwrap();
        let names: Vec<_> =
            listed.iter().map(|listed| (listed.name.as_str(), listed.is_admin)).collect();
        assert_eq!(names, [("alice@example.com", false), ("root", true)]);
    }

    #[test]
    fn an_error_names_the_line_and_does_not_repeat_the_hash() {
        let other = |from: &str, to: &str| format!("alice:{}", HASH.replace(from, to));
        for (line, why) in [
            ("alice".to_owned(), LineError::Parts),
            (format!("alice:{HASH}:admin:x"), LineError::Parts),
            (format!(":{HASH}"), LineError::Name),
            (format!("{}:{HASH}", "x".repeat(129)), LineError::Name),
            (format!("al ice:{HASH}"), LineError::Name),
            (format!("al\u{0}ice:{HASH}"), LineError::Name),
            (format!("alice:{HASH}:root"), LineError::Role),
            (format!("alice:{HASH}:"), LineError::Role),
            ("alice:alice".to_owned(), LineError::Hash),
            ("alice:$2b$12$abcdefghijklmnopqrstuv".to_owned(), LineError::Hash),
            (format!("..:{HASH}"), LineError::Name),
            (other("argon2id", "argon2i"), LineError::Hash),
            (other("m=8", "m=4294967295"), LineError::Hash),
            (other("$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", ""), LineError::Hash),
        ] {
            let refusal = file(&format!("bob:{HASH}\n{line}\n")).unwrap_err().to_string();
            assert!(refusal.contains(&format!("line 2: {why}")), "{line}: {refusal}");
            assert!(!refusal.contains('$'), "{refusal}");
        }
        let twice = file(&format!("bob:{HASH}\nbob:{HASH}\n")).unwrap_err().to_string();
        assert!(twice.contains("line 2: the account bob is in the file already"), "{twice}");
    }

    #[test]
    fn an_empty_file_and_a_missing_file_are_refused() {
        for text in ["", "# nobody\n\n"] {
            assert!(file(text).unwrap_err().to_string().contains("no account in it"));
        }
        let missing = read(Path::new("/no/such/file")).unwrap_err().to_string();
        let way = "add-account --accounts /no/such/file NAME";
        assert!(
            missing.starts_with("--accounts /no/such/file: there is no such file"),
            "{missing}"
        );
        assert!(missing.contains(way), "{missing}");
    }
}
