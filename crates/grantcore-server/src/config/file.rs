//! The file of settings (`--config`), in TOML.
//!
//! The key of a setting is its flag with `_` for `-`, so that the command line is the only list of
//! settings. A value of the file becomes the default of its flag: the flag and its variable take
//! precedence, and the same parser checks all three. The tables of scopes, resources, clients and
//! protected upstreams are in `declared.rs`.
//!
//! Relative paths of the file are relative to its directory.
//!
//! No error repeats the value of a setting that may be a secret.

use std::ffi::OsString;
use std::path::Path;

use clap::builder::{OsStr, Resettable};
use clap::{Arg, Command, CommandFactory as _, ValueHint};
use serde::de::value::Error as NoValue;
use serde::de::{DeserializeOwned, Error as _, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::declared::{Declared, Entry};
use super::problems::{Invalid, Problem, Problems, similar};
use super::{Config, secrets};

/// The tables of the file that are no flags.
const TABLES: [&str; 5] = ["scopes", "resources", "clients", "organizations", "trusted_issuers"];
/// The settings that may have a secret in them.
const SECRETS: [&str; 3] = ["database", "registration_token", "provider_client_secret"];
/// The flag that names the file. It has no key.
const CONFIG: &str = "config";

/// A file without problems.
#[derive(Debug)]
pub(super) struct File {
    settings: Vec<Setting>,
    pub(super) declared: Declared,
}

/// The values of one setting. `Debug` does not show them.
struct Setting {
    id: String,
    values: Vec<OsStr>,
}

impl std::fmt::Debug for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.id)
    }
}

/// Returns the keys of all settings.
pub(super) fn keys(command: &Command) -> impl Iterator<Item = String> + '_ {
    let flags = command.get_arguments().filter_map(Arg::get_long);
    let flags = flags.filter(|flag| ![CONFIG, "help", "version"].contains(flag));
    flags.map(|flag| flag.replace('-', "_"))
}

impl File {
    /// Reads a file and returns every problem that it has.
    pub(super) fn read(path: &Path) -> Result<Self, Invalid> {
        let opened = std::fs::read_to_string(path).and_then(|text| {
            let metadata = std::fs::metadata(path)?;
            Ok((text, metadata))
        });
        let (text, metadata) = opened.map_err(|error| {
            Invalid(vec![Problem::of(path, None, format!("{error} (--config)"))])
        })?;
        let mut problems = Problems::new(path, &text);
        let (table, errors) = DeTable::parse_recoverable(&text);
        // The whole text of an error would repeat the line, which may have a secret.
        for error in &errors {
            let at = error.span().unwrap_or_default();
            problems.over(at, error.message().lines().collect::<Vec<_>>().join("; "));
        }
        if !errors.is_empty() {
            return Err(Invalid(problems.into_found()));
        }
        let directory = path.parent().unwrap_or(Path::new(""));
        let mut file = Self { settings: Vec::new(), declared: Declared::default() };
        for (key, value) in table.into_inner() {
            file.take(&key, value, directory, &mut problems);
        }
        for client in &mut file.declared.clients {
            for own in [&mut client.value.secret_file, &mut client.value.keys_file] {
                *own = own.take().map(|path| directory.join(path));
            }
        }
        for protect in &mut file.declared.protect {
            let own = &mut protect.value.ca_file;
            *own = own.take().map(|path| directory.join(path));
        }
        for issuer in &mut file.declared.trusted {
            let own = &mut issuer.value.keys_file;
            *own = own.take().map(|path| directory.join(path));
        }
        // The names of a table that cannot be read are not known.
        if !problems.has_tables() {
            file.declared.check(&mut problems);
        }
        if file.has_secret()
            && let Err(why) = secrets::check_private(path, &metadata)
        {
            problems.whole(format!("{why} (or name the secret as env:NAME, or in a file)"));
        }
        match problems.into_found() {
            found if found.is_empty() => Ok(file),
            found => Err(Invalid(found)),
        }
    }

    /// Returns whether the file has this setting.
    pub(super) fn has(&self, id: &str) -> bool {
        self.settings.iter().any(|setting| setting.id == id)
    }

    /// Makes the values of the file the defaults of their flags.
    pub(super) fn apply(&self, command: Command) -> Command {
        self.settings.iter().fold(command, |command, Setting { id, values }| {
            command.mut_arg(id, |arg| arg.default_values(values.clone()))
        })
    }

    /// Returns whether the file itself contains a secret, and not only the place of one.
    fn has_secret(&self) -> bool {
        self.settings.iter().any(|setting| {
            let mut values = setting.values.iter().filter_map(|value| value.to_str());
            match setting.id.as_str() {
                "database" => values.any(|url| url.contains('@')),
                "registration_token" | "provider_client_secret" => {
                    values.any(|secret| !secret.starts_with("env:"))
                }
                _ => false,
            }
        })
    }

    /// Takes one key of the file.
    fn take(
        &mut self,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: Spanned<DeValue<'_>>,
        directory: &Path,
        problems: &mut Problems<'_>,
    ) {
        let name = key.get_ref().as_ref();
        match name {
            "scopes" => self.declared.scopes = entries(name, value, problems),
            "resources" => self.declared.resources = entries(name, value, problems),
            "clients" => self.declared.clients = entries(name, value, problems),
            "organizations" => self.declared.organizations = entries(name, value, problems),
            "trusted_issuers" => self.declared.trusted = entries(name, value, problems),
            // A list of strings is the flag's value.
            "protect" if has_tables(value.get_ref()) => {
                self.declared.protect = entries(name, value, problems);
            }
            _ => self.take_setting(key, &value, directory, problems),
        }
    }

    fn take_setting(
        &mut self,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
        directory: &Path,
        problems: &mut Problems<'_>,
    ) {
        let name = key.get_ref().as_ref();
        let command = bare_command();
        let known: Vec<String> = keys(&command).collect();
        if !known.iter().any(|known| known == name) {
            let names = known.iter().map(String::as_str).chain(TABLES);
            let hint = match name {
                CONFIG => "; a file cannot name another one".to_owned(),
                _ => similar(name, names),
            };
            return problems.over(key.span(), format!("unknown key `{name}`{hint}"));
        }
        let flag = name.replace('_', "-");
        let found = command.get_arguments().find(|arg| arg.get_long() == Some(&flag));
        let Some(arg) = found else { return };
        match texts(arg, value.get_ref()) {
            Ok(values) => {
                let id = arg.get_id().to_string();
                if let Err(why) = check(command.clone(), &flag, arg, &values) {
                    return problems.over(value.span(), format!("{name}: {why}"));
                }
                let values = values.into_iter().map(|value| within(directory, arg, value));
                let values = values.map(OsStr::from).collect();
                self.settings.push(Setting { id, values });
            }
            Err(why) => problems.over(value.span(), format!("{name}: {why}")),
        }
    }
}

/// Returns the command line without its variables.
fn bare_command() -> Command {
    Config::command().mut_args(|arg| arg.env(Resettable::Reset))
}

/// Returns the value of a key as the texts that its flag would have.
fn texts(arg: &Arg, value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let possible = arg.get_possible_values();
    let is_switch = possible.iter().any(|value| value.matches("on", false));
    let is_bool = possible.iter().any(|value| value.matches("true", false));
    let is_list = arg.get_value_delimiter().is_some();
    let text = |value: &DeValue<'_>| match value {
        DeValue::String(text) if !is_bool => Ok(text.clone().into_owned()),
        DeValue::Boolean(is_on) if is_bool => Ok(is_on.to_string()),
        DeValue::Boolean(is_on) if is_switch => Ok(if *is_on { "on" } else { "off" }.to_owned()),
        DeValue::Integer(number) if !is_bool && !is_secret(arg) => {
            let number = i64::from_str_radix(number.as_str(), number.radix());
            number.map(|number| number.to_string()).map_err(|error| error.to_string())
        }
        _ if is_bool => Err("must be true or false".to_owned()),
        _ if is_list => Err("must be a list of strings".to_owned()),
        _ => Err("must be a string".to_owned()),
    };
    match value {
        DeValue::Array(values) if is_list => {
            if values.is_empty() && !arg.get_default_values().is_empty() {
                // An empty list, as on the command line.
                return Ok(vec![String::new()]);
            }
            values.iter().map(|value| text(value.get_ref())).collect()
        }
        value => Ok(vec![text(value)?]),
    }
}

/// Makes a relative path of the file relative to the file's directory.
fn within(directory: &Path, arg: &Arg, value: String) -> OsString {
    if arg.get_value_hint() == ValueHint::AnyPath {
        return directory.join(value).into();
    }
    match value.strip_prefix("sqlite:") {
        Some(path) if arg.get_id() == "database" && Path::new(path).is_relative() => {
            let mut url = OsString::from("sqlite:");
            url.push(directory.join(path));
            url
        }
        _ => value.into(),
    }
}

fn is_secret(arg: &Arg) -> bool {
    SECRETS.contains(&arg.get_id().as_str())
}

/// Checks the values by the parser of the flag, and returns its error in one line.
fn check(command: Command, flag: &str, arg: &Arg, values: &[String]) -> Result<(), String> {
    if values.is_empty() {
        return Ok(());
    }
    let value = match arg.get_value_delimiter() {
        Some(delimiter) => values.join(&delimiter.to_string()),
        None => values.concat(),
    };
    let arguments = [command.get_name().to_owned(), format!("--{flag}={value}")];
    match command.try_get_matches_from(arguments) {
        Ok(_) => Ok(()),
        Err(error) => {
            let text = error.to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text);
            let text = text.split("\n\nFor more").next().unwrap_or(text);
            Err(text.split_whitespace().collect::<Vec<_>>().join(" "))
        }
    }
}

/// Returns whether the value is a table, or an array with one.
fn has_tables(value: &DeValue<'_>) -> bool {
    let is_table = |value: &DeValue<'_>| matches!(value, DeValue::Table(_));
    match value {
        DeValue::Array(values) => values.iter().any(|value| is_table(value.get_ref())),
        value => is_table(value),
    }
}

/// Reads an array of tables, and reports every unknown key and the first other problem of each.
fn entries<T: DeserializeOwned>(
    name: &str,
    value: Spanned<DeValue<'_>>,
    problems: &mut Problems<'_>,
) -> Vec<Entry<T>> {
    let at = value.span();
    let DeValue::Array(tables) = value.into_inner() else {
        problems.in_table(at, format!("{name}: must be tables, each with the header [[{name}]]"));
        return Vec::new();
    };
    let known = fields_of::<T>();
    let mut read = Vec::new();
    for mut table in tables {
        let at = table.span();
        if let DeValue::Table(members) = table.get_mut() {
            let given = std::mem::take(members).into_iter();
            *members = given
                .filter(|(key, _)| {
                    let is_known = known.contains(&key.get_ref().as_ref());
                    if !is_known {
                        let hint = similar(key.get_ref(), known.iter().copied());
                        let text = format!("unknown key `{}` in [[{name}]]{hint}", key.get_ref());
                        problems.in_table(key.span(), text);
                    }
                    is_known
                })
                .collect();
        }
        match T::deserialize(ValueDeserializer::from(table)) {
            Ok(value) => read.push(Entry { place: problems.place(at.start), value }),
            Err(error) => {
                let text = error.message().lines().collect::<Vec<_>>().join("; ");
                problems.in_table(error.span().unwrap_or(at), format!("[[{name}]]: {text}"));
            }
        }
    }
    read
}

/// Returns the names of the fields of a struct that serde reads.
pub(super) fn fields_of<T: DeserializeOwned>() -> &'static [&'static str] {
    struct Asked<'n>(&'n mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for Asked<'_> {
        type Error = NoValue;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, NoValue> {
            Err(NoValue::custom("asked for the names of fields only"))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, NoValue> {
            *self.0 = fields;
            self.deserialize_any(visitor)
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
            option unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier
            ignored_any
        }
    }

    let mut fields: &[&str] = &[];
    let _no_value = T::deserialize(Asked(&mut fields));
    fields
}
