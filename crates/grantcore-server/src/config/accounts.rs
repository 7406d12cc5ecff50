//! The settings of accounts.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::database::{Database, Reader};
use super::operations::DatabaseTls;

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
    /// Without a file and without a --provider-issuer, the server has demonstration accounts, under
    /// an --issuer on this machine only.
    #[arg(long, env = "GRANTCORE_ACCOUNTS", value_name = "FILE")]
    pub(crate) accounts: Option<PathBuf>,
}

/// What the program can do besides serving.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Reads a password from standard input and prints its argon2id hash, for the --accounts file.
    HashPassword,

    /// Prints what would run with these settings, or every error in them. Starts nothing.
    CheckConfig {
        #[command(flatten)]
        at: At,
        /// Read the documents of the --provider-issuer as well.
        #[arg(long)]
        online: bool,
    },

    /// Adds an account to the --accounts file, with a password from standard input.
    ///
    /// The file is replaced in one step and keeps its permissions; a missing file is created for
    /// its owner only. A running server reads the file at its next start.
    AddAccount {
        /// The name of the account.
        name: String,
        /// Make the account an administrator.
        #[arg(long)]
        admin: bool,
        /// Replace the password of an account that exists.
        #[arg(long)]
        replace: bool,
        /// The accounts file [default: that of the settings].
        #[arg(long, value_name = "FILE")]
        accounts: Option<PathBuf>,
        #[command(flatten)]
        at: At,
    },

    /// Adds a client to the database.
    ///
    /// Standard output is the generated secret, which is not shown again. A public client has none.
    AddClient {
        /// The `client_id`.
        id: String,
        /// The account that is responsible for the client, and whose balance pays for what the
        /// client does on its own behalf. While the account is suspended, the client is refused.
        #[arg(long)]
        name: Option<String>,
        /// An address that responses may be sent to. Give the flag once for each.
        #[arg(long = "redirect-uri", value_name = "URI")]
        redirect_uris: Vec<String>,
        /// The scopes that the client may ask for, separated by spaces [default: all].
        #[arg(long, value_name = "SCOPES")]
        scope: Option<String>,
        /// How the client authenticates.
        #[arg(long, value_name = "METHOD", default_value = "client_secret_basic")]
        auth_method: Method,
        /// The scopes that the client has on its own behalf, without a user (`client_credentials`),
        /// separated by spaces [default: none].
        #[arg(long, value_name = "SCOPES")]
        machine: Option<String>,
        /// A resource that the client may call on its own behalf. Give the flag once for each
        /// [default: all].
        #[arg(long = "machine-resource", value_name = "URL", requires = "machine")]
        machine_resources: Vec<String>,
        /// The account that is responsible for the client, and whose balance pays for what it does
        /// on its own behalf. While it is suspended, the client is refused.
        #[arg(long, value_name = "ACCOUNT")]
        owner: Option<String>,
        #[command(flatten)]
        store: StoreAt,
    },

    /// Replaces the secret of a client by a generated one.
    ///
    /// Standard output is the new secret, which is not shown again. The old secret is accepted
    /// until the --overlap is over. If an older secret was still accepted, it ends at once.
    RotateSecret {
        /// The `client_id`.
        id: String,
        /// How long the old secret is still accepted: `0s` after a leak, at most `30d`.
        #[arg(long, value_name = "DURATION", default_value = "24h")]
        overlap: humantime::Duration,
        #[command(flatten)]
        store: StoreAt,
    },

    /// Copies clients, grants and accounts from one database to another.
    ///
    /// Stop all servers before. Sessions and the audit log stay in the old database. Nothing is
    /// deleted or overwritten.
    MoveStore {
        /// The database to read, like --database of the server; `env:NAME` is the URL in a
        /// variable.
        #[arg(long, value_name = "URL", value_parser = Reader)]
        from: Database,
        /// The database to write.
        #[arg(long, value_name = "URL", value_parser = Reader)]
        to: Database,
        /// Write to a database that is not empty, to finish an interrupted move. Records that are
        /// there already must be the same.
        #[arg(long)]
        resume: bool,
        #[command(flatten)]
        tls: DatabaseTls,
    },
}

/// Which settings a command uses.
#[derive(Debug, Clone, Args)]
pub(crate) struct At {
    /// The file of settings.
    #[arg(long, env = "GRANTCORE_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// Which database a command uses.
#[derive(Debug, Clone, Args)]
pub(crate) struct StoreAt {
    #[command(flatten)]
    pub(crate) at: At,
    /// The database [default: that of the settings].
    #[arg(long, value_name = "URL", value_parser = Reader)]
    pub(crate) database: Option<Database>,
}

/// How a client authenticates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Method {
    None,
    ClientSecretBasic,
    ClientSecretPost,
}
