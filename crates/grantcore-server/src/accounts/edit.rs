//! Changes of the accounts file. The new file replaces the old one at once: a reader finds either,
//! and never a part.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;

use super::file::{self, AccountsError, LineError};

/// Why an account was not added. The file is as it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EditError {
    #[error("the account {0} exists already: --replace replaces its password")]
    Exists(String),
    #[error("{0}")]
    Name(LineError),
    #[error("{0}")]
    Broken(#[from] AccountsError),
    #[error("--accounts {0}: {1}")]
    File(String, #[source] io::Error),
}

/// Adds an account, or replaces the line of one that exists. A missing file is created for its
/// owner only; a file that exists keeps its owner and permissions. A symbolic link stays one.
pub(crate) fn add(
    path: &Path,
    name: &str,
    hash: &str,
    is_admin: bool,
    replaces: bool,
) -> Result<(), EditError> {
    let failed = |error| EditError::File(path.display().to_string(), error);
    let role = if is_admin { ":admin" } else { "" };
    let added = format!("{name}:{hash}{role}");
    if name.contains(':') || name.starts_with('#') {
        return Err(EditError::Name(LineError::Name));
    }
    file::parse(&added).map_err(EditError::Name)?;
    let target = match fs::canonicalize(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => path.to_owned(),
        found => found.map_err(failed)?,
    };
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Of two commands at once, the second reads what the first wrote. The file itself cannot be
    // locked: it is replaced.
    let lock = File::open(directory).map_err(failed)?;
    lock.lock().map_err(failed)?;
    let (text, metadata) = match fs::read_to_string(&target) {
        Ok(text) => (text, Some(fs::metadata(&target).map_err(failed)?)),
        Err(error) if error.kind() == ErrorKind::NotFound => (String::new(), None),
        Err(error) => return Err(failed(error)),
    };
    let is_own = |line: &str| file::parse(line.trim()).is_ok_and(|listed| listed.name == name);
    let exists = text.lines().any(is_own);
    if exists && !replaces {
        return Err(EditError::Exists(name.to_owned()));
    }
    let mut lines: Vec<&str> =
        text.lines().map(|line| if is_own(line) { added.as_str() } else { line }).collect();
    if !exists {
        lines.push(&added);
    }
    let text = lines.join("\n") + "\n";
    // What the server would refuse is not written.
    file::parse_all(path, &text)?;
    replace(directory, &target, &text, metadata.as_ref()).map_err(failed)?;
    lock.sync_all().map_err(failed)
}

/// Writes the file beside the old one, and renames it once it is on the disk.
fn replace(
    directory: &Path,
    target: &Path,
    text: &str,
    before: Option<&Metadata>,
) -> io::Result<()> {
    // Readable by its owner only.
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(text.as_bytes())?;
    if let Some(before) = before {
        keep_owner(file.as_file(), before)?;
        file.as_file().set_permissions(before.permissions())?;
    }
    file.as_file().sync_all()?;
    file.persist(target)?;
    Ok(())
}

/// Gives the new file the owner and the group of the old one, if it has others.
#[cfg(unix)]
fn keep_owner(file: &File, before: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let new = file.metadata()?;
    if (new.uid(), new.gid()) == (before.uid(), before.gid()) {
        return Ok(());
    }
    fchown(file, Some(before.uid()), Some(before.gid()))
}

#[cfg(not(unix))]
fn keep_owner(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}
