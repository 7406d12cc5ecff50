//! The accounts that may sign in with a password: those of a file, or the demonstration accounts.
//! Those of an identity provider are in `provider.rs`.
//!
//! Here: names, password hashes, which accounts are administrators, and the check of a password.
//! Never here: sessions, balances, and the limit of attempts (`limits.rs`).

mod edit;
mod file;
mod limits;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

pub(crate) use self::edit::add;
pub(crate) use self::file::AccountsError;
pub(crate) use self::limits::{Attempts, Wait};
use crate::provider::is_of_provider;

/// The demonstration accounts: name, password, and whether the account is an administrator.
/// Everybody knows the passwords, so these accounts exist only if the issuer and the listen address
/// are loopback.
const DEMO: [(&str, &str, bool); 3] =
    [("alice", "alice", false), ("bob", "bob", false), ("admin", "admin", true)];

/// How many hashes are computed at once. Each takes a core, and some 19 MiB with the usual
/// parameters.
const HASHES_AT_ONCE: usize = 2;
/// How long an attempt waits for its turn.
const LONGEST_TURN: Duration = Duration::from_secs(10);

/// The accounts, with a semaphore that limits how many passwords are checked at once.
pub(crate) struct Accounts {
    entries: Arc<BTreeMap<String, Entry>>,
    is_demo: bool,
    /// The digest of the rules of the identity provider.
    provider: Option<String>,
    turns: Semaphore,
}

struct Entry {
    password: Password,
    is_admin: bool,
}

enum Password {
    /// The password of a demonstration account.
    Demo,
    /// The hash of a password.
    Hash(Box<PasswordHash>),
}

/// The password was not checked, because too many others wait.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Busy;

impl Accounts {
    /// Returns the demonstration accounts.
    pub(crate) fn demo() -> Self {
        let entry = |(name, _, is_admin): (&str, &str, bool)| {
            (name.to_owned(), Entry { password: Password::Demo, is_admin })
        };
        Self::new(DEMO.into_iter().map(entry).collect(), true)
    }

    /// Returns no accounts, for a server that signs users in with an identity provider alone.
    pub(crate) fn none() -> Self {
        Self::new(BTreeMap::new(), false)
    }

    /// Adds the accounts of an identity provider, with the digest of its rules.
    pub(crate) fn with_provider(self, credential: &str) -> Self {
        Self { provider: Some(credential.to_owned()), ..self }
    }

    /// Returns whether there are accounts with a password.
    pub(crate) fn has_passwords(&self) -> bool {
        !self.entries.is_empty()
    }

    /// Reads the accounts of a file, in the format of [`file`].
    pub(crate) fn read(path: &Path) -> Result<Self, AccountsError> {
        let listed = file::read(path)?.into_iter().map(|listed| {
            let password = Password::Hash(Box::new(listed.hash));
            (listed.name, Entry { password, is_admin: listed.is_admin })
        });
        Ok(Self::new(listed.collect(), false))
    }

    fn new(entries: BTreeMap<String, Entry>, is_demo: bool) -> Self {
        let turns = Semaphore::new(HASHES_AT_ONCE);
        Self { entries: Arc::new(entries), is_demo, provider: None, turns }
    }

    /// Returns the names of all accounts, ascending.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Returns whether the account is an administrator.
    pub(crate) fn is_admin(&self, name: &str) -> bool {
        self.entries.get(name).is_some_and(|entry| entry.is_admin)
    }

    /// Returns a digest of what a sign-in to the account is checked by, in base64url: its password
    /// hash, or the rules of the identity provider. It changes whenever they do. Returns `None` if
    /// there is no such account.
    pub(crate) fn credential(&self, name: &str) -> Option<String> {
        if is_of_provider(name) {
            return self.provider.clone();
        }
        let digest = match &self.entries.get(name)?.password {
            Password::Demo => Sha256::digest("demonstration"),
            Password::Hash(hash) => Sha256::digest(hash.to_string()),
        };
        Some(URL_SAFE_NO_PAD.encode(digest))
    }

    /// The names and passwords that pages and the start message may show: the demonstration's, or
    /// none.
    pub(crate) fn shown(&self) -> Vec<(String, String)> {
        let shown = DEMO.iter().filter(|_| self.is_demo);
        shown.map(|(name, password, _)| ((*name).to_owned(), (*password).to_owned())).collect()
    }

    /// Returns the name of the account if the password is right.
    ///
    /// An unknown name costs the same as a wrong password: the password is compared with the hash
    /// of another account, the same one each time, and then refused. Hashes are computed a few at a
    /// time, outside the threads that serve requests.
    pub(crate) async fn log_in(&self, name: &str, password: &str) -> Result<Option<String>, Busy> {
        if self.is_demo {
            return Ok(check_demo(name, password));
        }
        let turn = tokio::time::timeout(LONGEST_TURN, self.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(Busy) };
        let entries = Arc::clone(&self.entries);
        let name = name.to_owned();
        let password = password.to_owned();
        let checked = tokio::task::spawn_blocking(move || check(&entries, name, &password)).await;
        checked.map_err(|error| {
            tracing::error!(%error, "a password could not be checked");
            Busy
        })
    }
}

/// Returns the name if the password matches the hash of its account.
fn check(entries: &BTreeMap<String, Entry>, name: String, password: &str) -> Option<String> {
    let own = entries.get(&name);
    let Entry { password: Password::Hash(hash), .. } = own.or_else(|| decoy(entries, &name))?
    else {
        return None;
    };
    let is_right = Argon2::default().verify_password(password.as_bytes(), &**hash).is_ok();
    (is_right && own.is_some()).then_some(name)
}

/// Returns the account whose hash is used for an unknown name. The name selects the account, so
/// that an account whose hash costs more or less than others cannot be recognized by its time.
fn decoy<'e>(entries: &'e BTreeMap<String, Entry>, name: &str) -> Option<&'e Entry> {
    let digest = Sha256::digest(name);
    let number = digest.iter().take(4).fold(0, |number, byte| number << 8 | usize::from(*byte));
    entries.values().nth(number.checked_rem(entries.len())?)
}

/// Compares the digests of all accounts, so that the time shows neither which names exist nor how
/// much of a password was right.
fn check_demo(name: &str, password: &str) -> Option<String> {
    let equal = |known: &str, given: &str| Sha256::digest(known).ct_eq(&Sha256::digest(given));
    let mut found = None;
    for (known, secret, _) in DEMO {
        if bool::from(equal(known, name) & equal(secret, password)) {
            found = Some(known.to_owned());
        }
    }
    found
}

/// Hashes a password for a line of the file: argon2id, with the crate's parameters and a new salt.
pub(crate) fn hash(password: &str) -> Result<String, argon2::password_hash::Error> {
    Ok(Argon2::default().hash_password(password.as_bytes())?.to_string())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// Reads accounts from a file with these lines.
    fn listed(lines: &str) -> Result<Accounts, AccountsError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(lines.as_bytes()).unwrap();
        Accounts::read(file.path())
    }

    /// Hashes with the lowest cost, for tests only.
    fn cheap(password: &str) -> String {
        let params = argon2::Params::new(8, 1, 1, None).unwrap();
        Argon2::from(params).hash_password(password.as_bytes()).unwrap().to_string()
    }

    #[tokio::test]
    async fn only_the_right_password_opens_an_account() {
        let file = format!("alice:{}\n\nroot:{}:admin\n", cheap("correct horse"), cheap("admin"));
        for (accounts, right) in [
            (Accounts::demo(), [("alice", "alice"), ("admin", "admin")]),
            (listed(&file).unwrap(), [("alice", "correct horse"), ("root", "admin")]),
        ] {
            for (name, password) in right {
                assert_eq!(accounts.log_in(name, password).await, Ok(Some(name.to_owned())));
            }
            assert!(accounts.is_admin(right[1].0) && !accounts.is_admin("alice"));
            for (name, password) in [
                ("alice", "admin"),
                ("alice", ""),
                ("", ""),
                ("", "admin"),
                ("eve", "correct horse"),
                ("eve", "alice"),
                ("alice ", "alice"),
                ("ALICE", "alice"),
            ] {
                assert_eq!(accounts.log_in(name, password).await, Ok(None), "{name} {password}");
            }
        }
    }

    /// The password of the account whose hash is used for an unknown name is refused.
    #[tokio::test]
    async fn an_unknown_name_is_hashed_and_refused() {
        let accounts = listed(&format!("alice:{}", cheap("known"))).unwrap();
        for name in ["", "eve", "alic", "alice\0"] {
            assert!(decoy(&accounts.entries, name).is_some());
            assert_eq!(accounts.log_in(name, "known").await, Ok(None), "{name}");
        }
    }

    #[test]
    fn decoys_are_spread_over_all_accounts_and_stay_the_same() {
        let lines: Vec<_> = (0..8).map(|n| format!("user{n}:{}", cheap("x"))).collect();
        let accounts = listed(&lines.join("\n")).unwrap();
        let decoy_of = |name: &str| {
            let chosen = decoy(&accounts.entries, name).unwrap();
            accounts.entries.values().position(|entry| std::ptr::eq(entry, chosen)).unwrap()
        };
        let chosen: std::collections::BTreeSet<_> =
            (0..200).map(|n| decoy_of(&format!("nobody{n}"))).collect();
        assert_eq!(chosen.len(), 8);
        assert_eq!(decoy_of("nobody1"), decoy_of("nobody1"));
    }

    #[test]
    fn the_output_of_hash_password_is_accepted_in_the_file() {
        let accounts = listed(&format!("alice:{}", hash("pass:word $1").unwrap())).unwrap();
        let opened = check(&accounts.entries, "alice".to_owned(), "pass:word $1");
        assert_eq!(opened.as_deref(), Some("alice"));
        assert_ne!(hash("x").unwrap(), hash("x").unwrap(), "each has a salt of its own");
    }

    #[test]
    fn passwords_of_a_file_are_never_shown() {
        assert!(listed(&format!("alice:{}", cheap("alice"))).unwrap().shown().is_empty());
        assert_eq!(Accounts::demo().shown().len(), 3);
    }
}
