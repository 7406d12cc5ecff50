//! The URL of the database. Nothing is opened here.
//!
//! A URL can have a password in it. No error repeats the value, `Debug` does not show it, and
//! `--help` does not repeat the variable.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command};

use super::secrets;

/// The database to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Database {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// The memory of the process, lost at exit.
    Memory,
    /// A PostgreSQL server.
    Postgres(Address),
    /// A Redis server or cluster.
    Redis(Address),
}

/// A URL that may have a password in it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Address(String);

impl Address {
    /// Returns the whole URL, with its password, to connect with.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.split("://").next().unwrap_or_default())
    }
}

/// Names the database without its password, because the text is logged.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Memory => f.write_str("memory:"),
            Self::Postgres(address) | Self::Redis(address) => address.fmt(f),
        }
    }
}

impl fmt::Display for Address {
    /// Writes the scheme, the hosts and the name of the database, if the URL can be split with
    /// certainty. Otherwise writes the scheme alone, because the rest may contain a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or_default();
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or_default();
        let hosts = authority.split_once('@').map_or(authority, |(_, hosts)| hosts);
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let is_plain = |text: &str, more: &[u8]| {
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
        };
        let is_certain = is_plain(hosts, b"-_.:,[]") && is_plain(path, b"-_./");
        if is_certain
            && rest.bytes().filter(|byte| *byte == b'@').count() == authority.matches('@').count()
        {
            write!(f, "{scheme}://{hosts}{path}")
        } else {
            write!(f, "{scheme}:")
        }
    }
}

impl Database {
    /// Parses a database URL, or `env:NAME` for the URL in the variable NAME. The error does not
    /// repeat the URL.
    pub(crate) fn given(text: &str) -> Result<Self, String> {
        let url = secrets::resolve(text)?;
        Self::read(&url).ok_or_else(|| DATABASES.to_owned())
    }

    /// Parses a database URL. `sqlite://PATH` is accepted too, because other programs write it.
    pub(crate) fn read(text: &str) -> Option<Self> {
        if text == "memory:" {
            return Some(Self::Memory);
        }
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            // SQLite takes these for private databases, which are lost at exit.
            return (!["", ":memory:"].contains(&path)).then(|| Self::Sqlite(path.into()));
        }
        let address = Address(text.to_owned());
        match text.split_once("://")? {
            (_, "") => None,
            ("postgres" | "postgresql", _) => Some(Self::Postgres(address)),
            ("redis" | "rediss" | "redis-cluster" | "rediss-cluster", _) => {
                Some(Self::Redis(address))
            }
            _ => None,
        }
    }
}

const DATABASES: &str = "possible are `sqlite:PATH` (like sqlite:/var/lib/grantcore/grants.sqlite), `memory:`, \
    `postgres://USER:PASSWORD@HOST/NAME`, `redis://HOST:PORT`, `rediss://HOST:PORT` and \
    `redis-cluster://HOST:PORT,HOST:PORT`, or `env:NAME` for the value of a variable; for another \
    database, implement the library's store trait";

/// Parses the URL. Unlike clap's own parsers, it does not repeat a wrong value, which may contain a
/// password.
#[derive(Clone, Copy)]
pub(super) struct Reader;

impl TypedValueParser for Reader {
    type Value = Database;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Database, clap::Error> {
        let refused = |message: String| {
            let flag = arg.map_or_else(|| "--database <URL>".to_owned(), ToString::to_string);
            let message = format!("invalid value for '{flag}': {message}\n");
            clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
        };
        let text = value.to_str().unwrap_or_default();
        Database::given(text).map_err(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;
    use clap::Parser as _;

    fn parse(url: &str) -> Result<Config, clap::Error> {
        Config::try_parse_from(["grantcore-server", "--database", url])
    }

    #[test]
    fn the_scheme_selects_the_database() {
        for (url, database) in [
            ("sqlite:/b/a.db", Database::Sqlite("/b/a.db".into())),
            ("sqlite://a.db", Database::Sqlite("a.db".into())),
            ("memory:", Database::Memory),
        ] {
            assert_eq!(parse(url).unwrap().database, database);
        }
        for url in
            ["postgres://u@h:5433/n?connect_timeout=3", "postgresql:///n?host=/run/postgresql"]
        {
            let database = parse(url).unwrap().database;
            assert!(matches!(database, Database::Postgres(address) if address.reveal() == url));
        }
        for url in [
            "redis://h:6380/",
            "rediss://h",
            "redis-cluster://a:1,b:2,c:3",
            "rediss-cluster://a:1,b:2",
        ] {
            let database = parse(url).unwrap().database;
            assert!(matches!(database, Database::Redis(address) if address.reveal() == url));
        }
    }

    #[test]
    fn a_database_is_named_without_its_password() {
        for (url, name) in [
            ("sqlite:/b/a.db", "sqlite:/b/a.db"),
            ("memory:", "memory:"),
            ("postgres://u:hunter2@h:5433/n?password=hunter2", "postgres://h:5433/n"),
            ("postgresql:///n?host=/run/postgresql", "postgresql:///n"),
            ("redis://:hunter2@[::1]:6380/0", "redis://[::1]:6380/0"),
            ("redis://h", "redis://h"),
            ("redis-cluster://u:hunter2@a:1,b:2", "redis-cluster://a:1,b:2"),
            ("postgres://u:hunter@2@h/n", "postgres:"),
            ("postgres://u:9/hunter2@h/n", "postgres:"),
            ("postgres://u:9?hunter2@h/n", "postgres:"),
            ("postgres://u:9#hunter2@h/n", "postgres:"),
            ("postgres://h/n?password=hunter2@x", "postgres:"),
        ] {
            assert_eq!(parse(url).unwrap().database.to_string(), name, "{url}");
        }
    }

    #[test]
    fn a_password_is_in_no_error_and_in_no_debug() {
        for url in [
            "postgre://u:hunter2@h/n",
            "postgres:u:hunter2@h",
            "http://u:hunter2@h",
            "redis-sentinel://u:hunter2@h",
            "hunter2",
        ] {
            let refusal = parse(url).unwrap_err();
            assert!(!format!("{refusal} {refusal:?}").contains("hunter2"), "{refusal}");
            assert!(
                refusal.to_string().contains("`redis-cluster://HOST:PORT,HOST:PORT`"),
                "{refusal}"
            );
        }
        for url in ["postgres://u:hunter2@h/n", "redis://:hunter2@h"] {
            let config = format!("{:?}", parse(url).unwrap());
            assert!(config.contains("database: ") && !config.contains("hunter2"), "{config}");
        }
    }
}
