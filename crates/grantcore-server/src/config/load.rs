//! The precedence of settings: command line, environment, file, default.

use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};

use super::file::File;
use super::problems::{Invalid, Problem};
use super::{Config, Database, secrets};

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The command line or a variable is wrong, or it asks for help.
    #[error(transparent)]
    CommandLine(#[from] clap::Error),
    /// The file, or a file with a secret, is wrong.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

impl Config {
    /// Reads the command line, the environment and the file that `--config` names.
    pub(crate) fn load(
        arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> Result<Self, LoadError> {
        let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
        let matches = Self::command().try_get_matches_from(&arguments)?;
        let config = Self::from_arg_matches(&matches)?;
        let Some(path) = &config.file else { return config.with_secrets(&matches, None) };
        let file = File::read(path)?;
        let matches = file.apply(Self::command()).try_get_matches_from(&arguments)?;
        let mut config = Self::from_arg_matches(&matches)?.with_secrets(&matches, Some(&file))?;
        config.declared = Some(file.declared);
        Ok(config)
    }

    /// Reads the secrets of the files that flags such as `--database-file` name.
    fn with_secrets(
        mut self,
        matches: &ArgMatches,
        file: Option<&File>,
    ) -> Result<Self, LoadError> {
        let mut problems = Vec::new();
        let mut secret = |id: &str, path: &Option<std::path::PathBuf>| {
            let path = path.as_ref()?;
            let file_id = format!("{id}_file");
            let (direct, by_file) = (rank(matches, file, id), rank(matches, file, &file_id));
            if by_file < direct {
                return None;
            }
            let flag = id.replace('_', "-");
            if by_file == direct {
                let text = format!("--{flag} and --{flag}-file are both given");
                problems.push(Problem::new(text));
                return None;
            }
            match secrets::read(path) {
                Ok(secret) => Some(secret),
                Err(why) => {
                    problems.push(Problem::new(format!("--{flag}-file {why}")));
                    None
                }
            }
        };
        let database = secret("database", &self.database_file);
        let token = secret("registration_token", &self.clients.registration_token_file);
        let provider = secret("provider_client_secret", &self.provider.provider_client_secret_file);
        match database.as_deref().map(Database::given) {
            Some(Ok(database)) => self.database = database,
            Some(Err(why)) => problems.push(Problem::new(format!("--database-file: {why}"))),
            None => {}
        }
        match token.as_deref().map(str::parse) {
            Some(Ok(token)) => self.clients.registration_token = Some(token),
            Some(Err(why)) => {
                problems.push(Problem::new(format!("--registration-token-file: {why}")));
            }
            None => {}
        }
        if let Some(secret) = provider {
            self.provider.provider_client_secret = Some(secret.into());
        }
        if problems.is_empty() { Ok(self) } else { Err(Invalid(problems).into()) }
    }
}

/// Returns the precedence of where a value comes from.
fn rank(matches: &ArgMatches, file: Option<&File>, id: &str) -> u8 {
    match matches.value_source(id) {
        Some(ValueSource::CommandLine) => 3,
        Some(ValueSource::EnvVariable) => 2,
        Some(_) if file.is_some_and(|file| file.has(id)) => 1,
        _ => 0,
    }
}
