//! The commands of the program beside serving.

mod accounts;
mod check;
mod clients;
mod moving;

use std::ffi::OsString;
use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};

use grantcore::Client;

use crate::StartError;
use crate::config::{At, Command, Config, Database, LoadError, StoreAt};
use crate::store::Backend;

/// The shortest password, in characters (NIST SP 800-63B).
const SHORTEST_PASSWORD: usize = 8;

/// The longest password that is hashed, in bytes.
const LONGEST_PASSWORD: u64 = 4096;

/// Runs a command.
pub(crate) async fn run(command: Command) -> Result<(), StartError> {
    match command {
        Command::HashPassword => {
            let hash = crate::accounts::hash(&password()?).map_err(|error| error.to_string())?;
            print(&hash)
        }
        Command::CheckConfig { at, online } => check::run(&settings(&at)?, online).await,
        Command::AddAccount { name, admin, replace, accounts, at } => {
            accounts::add(&name, admin, replace, accounts, &at)
        }
        Command::AddClient {
            id,
            name,
            redirect_uris,
            scope,
            auth_method,
            machine,
            machine_resources,
            owner,
            store,
        } => {
            let wanted = clients::Wanted {
                id,
                name,
                redirect_uris,
                scope,
                auth_method,
                machine,
                machine_resources,
                owner,
            };
            clients::add(wanted, &store).await
        }
        Command::RotateSecret { id, overlap, store } => clients::rotate(&id, overlap, &store).await,
        Command::MoveStore { from, to, resume, tls } => moving::run(&from, &to, resume, &tls).await,
    }
}

/// Reads the settings of a command: the environment and the file of settings.
fn settings(at: &At) -> Result<Config, LoadError> {
    let mut arguments = vec![OsString::from("grantcore-server")];
    if let Some(file) = &at.config {
        arguments.extend(["--config".into(), file.into()]);
    }
    Config::load(arguments)
}

/// Returns the settings, with the database of the command line if it names one.
fn settings_with(at: &StoreAt) -> Result<Config, StartError> {
    let mut config = settings(&at.at)?;
    if let Some(database) = &at.database {
        config.database = database.clone();
    }
    if config.database == Database::Memory {
        return Err("`memory:` is lost at exit: name the server's --database".into());
    }
    Ok(config)
}

/// Opens the database of the settings.
async fn open(config: &Config) -> Result<Backend, StartError> {
    let database = &config.database;
    let opened = Backend::open(database, &config.database_tls, config.balances.low_balance).await;
    Ok(opened.map_err(|error| {
        format!("the database cannot be opened: {error} (--database {database})")
    })?)
}

/// Refuses a SQLite file that does not exist, because opening it would create an empty one.
fn must_exist(database: &Database) -> Result<(), StartError> {
    match database {
        Database::Sqlite(path) if !path.exists() => {
            Err(format!("{}: there is no such file", path.display()).into())
        }
        _ => Ok(()),
    }
}

/// Writes a client of the file of settings to the database.
pub(crate) async fn declare(backend: &Backend, client: Client) -> Result<(), StartError> {
    let id = client.id().to_string();
    if backend.declare_client(client).await? {
        return Ok(());
    }
    Err(format!("client `{id}`: a client of this id has registered itself; choose another").into())
}

/// Reads one password from standard input. Refuses a password that is too short.
fn password() -> Result<String, StartError> {
    if std::io::stdin().is_terminal() {
        note("Type the password (it is shown as you type):")?;
    }
    let mut line = String::new();
    std::io::stdin().lock().take(LONGEST_PASSWORD).read_line(&mut line)?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err("no password: write it to standard input, as one line".into());
    }
    let length = password.chars().count();
    if length < SHORTEST_PASSWORD {
        return Err(format!(
            "the password is too short: it has {length} characters, and at least \
             {SHORTEST_PASSWORD} are needed (NIST SP 800-63B). Several words in a row are long and \
             easy to remember"
        )
        .into());
    }
    Ok(password.to_owned())
}

/// Prints a result to standard output.
fn print(text: &str) -> Result<(), StartError> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

/// Prints a remark to standard error, so that a script gets the result alone.
fn note(text: &str) -> Result<(), StartError> {
    Ok(writeln!(std::io::stderr(), "{text}")?)
}
