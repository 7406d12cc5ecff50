//! The settings of accounts.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// The accounts that may sign in.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Accounts")]
pub(crate) struct AccountsFile {
    /// The accounts file. It has a line `NAME:HASH` for each account, or `NAME:HASH:admin` for an
    /// administrator.
    ///
    /// HASH is an argon2id hash, as `grantcore-server hash-password` prints it. Lines that begin
    /// with # are comments. The file is read at the start. An account that is removed from the file
    /// can no longer sign in, but its connected applications stay: suspend the account first.
    ///
    /// Without a file, the server has demonstration accounts, under an --issuer on this machine
    /// only.
    #[arg(long, env = "GRANTCORE_ACCOUNTS", value_name = "FILE")]
    pub(crate) accounts: Option<PathBuf>,
}

/// What the program can do besides serving.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Reads a password from standard input and prints its argon2id hash, for the --accounts file.
    HashPassword,
}
