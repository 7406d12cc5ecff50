//! What the library calls: [`Store`], [`Accounts`] and [`LoadsAccounts`].

use grantcore::blocking::{Accounts, LoadsAccounts, Store};
use grantcore::grant::Grant;
use grantcore::operation::Loaded;
use grantcore::store::{Commit, Keys, Seen, SeenKey, Stored, Write};
use grantcore::value::GrantId;
use grantcore::{Account, Client};

use super::writes::Encoded;
use super::{Result, SqliteError, SqliteStore, reads, writes};

impl Store for SqliteStore {
    type Error = SqliteError;

    fn client(&self, id: &str) -> Result<Option<Stored<Client>>> {
        let row = reads::client(&self.reader(), id)?;
        reads::stored(row)
    }

    fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>> {
        let row = reads::grant(&self.reader(), id)?;
        reads::stored(row)
    }

    fn commit(&self, write: &Write) -> Result<Commit> {
        let write = Encoded::new(write)?;
        self.write(true, move |connection| write.run(connection))
    }

    fn seen(&self, key: &SeenKey) -> Result<Option<Seen>> {
        reads::seen(&self.reader(), key)
    }

    fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>> {
        reads::grants_of(&self.reader(), subject, after, limit)
    }

    fn load(&self, keys: &Keys<'_>) -> Result<Loaded> {
        let mut loaded = reads::load(&self.reader(), keys)?;
        let grant = loaded.grant.as_ref().map(|stored| &*stored.record);
        let owner = loaded.client.as_ref().and_then(|stored| stored.record.owner());
        let payer = keys.payer_id(grant, owner).filter(|_| !keys.skip_accounts);
        loaded.balance = payer.map(|payer| self.balance(payer)).transpose()?;
        Ok(loaded)
    }
}

impl Accounts for SqliteStore {
    type Error = SqliteError;

    fn account(&self, subject: &str) -> Result<Option<Account>> {
        reads::account(&self.reader(), subject).map(Some)
    }

    fn raise_epoch(&self, subject: &str) -> Result<bool> {
        let subject = subject.to_owned();
        self.write(true, move |connection| writes::raise_epoch(connection, &subject))?;
        Ok(true)
    }
}

impl LoadsAccounts for SqliteStore {}
