//! `add-account`: adds a line to the accounts file.

use std::path::PathBuf;

use crate::StartError;
use crate::config::At;

/// Adds an account with a password from standard input.
pub(super) fn add(
    name: &str,
    is_admin: bool,
    replaces: bool,
    accounts: Option<PathBuf>,
    at: &At,
) -> Result<(), StartError> {
    let path = match accounts {
        Some(path) => path,
        None => super::settings(at)?.accounts.accounts.ok_or(
            "no accounts file: name it with --accounts FILE, or a file of settings with --config",
        )?,
    };
    let hash = crate::accounts::hash(&super::password()?).map_err(|error| error.to_string())?;
    crate::accounts::add(&path, name, &hash, is_admin, replaces)?;
    let path = path.display();
    super::note(&format!("{name} is in {path}. Restart the server to let the account sign in."))
}
