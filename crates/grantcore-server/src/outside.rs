//! What a token request needs from outside the database: the keys of a trusted issuer or a client,
//! a client's document, and the account of a user whom an identity provider names.

use std::collections::BTreeMap;

use grantcore::outside::{DocumentRequest, FetchResult, KeysRequest, Link, Linked};
use grantcore::value::Subject;
use grantcore::{Accounts as _, Outside};
use grantcore_fetch::{Asker, Document, DocumentFetcher, FetchError, as_fetch_result};

use crate::config::{Declared, Profile};
use crate::provider::{shown_name, subject_of};
use crate::store::{Backend, BackendError, Ledger as _};

/// Fetches keys and documents, and finds accounts.
pub(crate) struct Surroundings {
    documents: DocumentFetcher,
    store: Backend,
    opening_balance: u64,
    /// How each identity provider's users have accounts here.
    issuers: BTreeMap<String, Users>,
}

/// The users of an identity provider.
struct Users {
    /// The account of a user, by `sub` or `TENANT/SUB`.
    accounts: BTreeMap<String, String>,
    /// Whether a user without an account gets one.
    creates: bool,
}

impl Surroundings {
    pub(crate) fn new(
        documents: DocumentFetcher,
        store: Backend,
        opening_balance: u64,
        declared: Option<&Declared>,
    ) -> Self {
        let tables = declared.iter().flat_map(|declared| &declared.trusted).map(|own| &own.value);
        let issuers = tables.filter(|own| own.profile == Profile::IdJag).map(|own| {
            let users = Users { accounts: own.accounts.clone(), creates: own.create_accounts };
            (own.issuer.clone(), users)
        });
        Self { documents, store, opening_balance, issuers: issuers.collect() }
    }

    /// Finds the account of a user. Its standing is the library's to judge.
    async fn find(&self, link: &Link) -> Result<Linked, BackendError> {
        let Some(users) = self.issuers.get(&*link.issuer) else { return Ok(Linked::Nobody) };
        let named = match &link.tenant {
            Some(tenant) => format!("{tenant}/{}", link.subject),
            None => (*link.subject).to_owned(),
        };
        if let Some(account) = users.accounts.get(&named) {
            let exists = self.store.account(account).await?.is_some();
            return Ok(if exists {
                Linked::Account(Subject::new(account))
            } else {
                Linked::Nobody
            });
        }
        if !users.creates {
            return Ok(Linked::Nobody);
        }
        let subject = subject_of(&link.issuer, &named);
        let ledger = self.store.ledger();
        ledger.add_account(&subject, self.opening_balance).await?;
        // Each time, and not only for a new account: after a crash in between, the account is there
        // without its name. A name that the user's sign-in gave it stays.
        let name = link.email.as_deref().map(shown_name).filter(|name| !name.is_empty());
        if let Some(name) = name {
            ledger.name_account_once(&subject, &name).await?;
        }
        Ok(Linked::Account(Subject::new(subject)))
    }
}

impl Outside for Surroundings {
    async fn keys(&self, needed: &KeysRequest) -> FetchResult {
        // Each host that clients name, and each issuer's URL, has limits of its own, so that none
        // uses up those of the others.
        let asker = if needed.forbid_special_ips {
            Asker::Stranger(host_of(&needed.url))
        } else {
            Asker::User(&needed.url)
        };
        let fetched = self.documents.fetch_keys(needed, asker).await;
        logged(&needed.url, fetched)
    }

    async fn document(&self, needed: &DocumentRequest) -> FetchResult {
        let asker = Asker::Stranger(host_of(&needed.url));
        let fetched = self.documents.fetch(needed, asker).await;
        logged(&needed.url, fetched)
    }

    async fn account(&self, link: &Link) -> Linked {
        match self.find(link).await {
            Ok(linked) => linked,
            Err(error) => {
                tracing::error!(issuer = %link.issuer, %error, "an account could not be found");
                Linked::Unavailable
            }
        }
    }
}

/// Returns host and port of a URL.
fn host_of(url: &str) -> &str {
    url.split('/').nth(2).unwrap_or_default()
}

/// Logs why a fetch failed. The client learns only that it failed.
fn logged(url: &str, fetched: Result<Document, FetchError>) -> FetchResult {
    if let Err(error) = &fetched {
        tracing::warn!(url, %error, "a fetch for a token request failed");
    }
    as_fetch_result(fetched)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Database, DatabaseTls};

    const IDP: &str = "https://idp.example";

    async fn surroundings() -> Surroundings {
        let tls = DatabaseTls::default();
        let store = Backend::open(&Database::Memory, &tls, 1).await.unwrap();
        let users = Users { accounts: BTreeMap::new(), creates: true };
        let issuers = BTreeMap::from([(IDP.to_owned(), users)]);
        let documents = DocumentFetcher::builder().build().unwrap();
        Surroundings { documents, store, opening_balance: 5, issuers }
    }

    fn link(email: &str) -> Link {
        let mut link = Link::new(IDP, "u-1");
        link.email = Some(email.into());
        link
    }

    /// After a crash between the account and its name, the next assertion names it.
    #[tokio::test]
    async fn an_account_without_its_name_gets_it_with_the_next_assertion() {
        let own = surroundings().await;
        let subject = subject_of(IDP, "u-1");
        own.store.ledger().add_account(&subject, 5).await.unwrap();
        let found = own.find(&link("ann@idp.example")).await.unwrap();
        assert_eq!(found, Linked::Account(Subject::new(&subject)));
        let named = [(subject.clone(), "ann@idp.example".to_owned())];
        assert_eq!(own.store.ledger().account_names().await.unwrap(), named);
        // What the account is called then is no longer the issuer's to say.
        own.find(&link("other@idp.example")).await.unwrap();
        assert_eq!(own.store.ledger().account_names().await.unwrap(), named);
    }
}
