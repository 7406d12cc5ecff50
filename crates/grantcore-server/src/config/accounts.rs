//! Who may sign in at this server.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Who may sign in.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Accounts")]
pub(crate) struct AccountsFile {
    /// The file of accounts: a line `NAME:HASH` for each, or `NAME:HASH:admin` for an
    /// administrator.
    ///
    /// HASH is an argon2id hash; `grantcore-server hash-password` writes one. Lines that begin with
    /// # are comments. The file is read at the start. An account that is taken out of it cannot
    /// sign in any more, and keeps its connected applications: suspend it first.
    ///
    /// Without a file there are the accounts of the demonstration, under an --issuer on this
    /// machine only.
    #[arg(long, env = "GRANTCORE_ACCOUNTS", value_name = "FILE")]
    pub(crate) accounts: Option<PathBuf>,
}

/// What the program does instead of serving.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Reads a password from standard input and writes its argon2id hash, for the file of
    /// --accounts.
    HashPassword,
}
