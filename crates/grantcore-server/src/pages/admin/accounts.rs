//! The pages of the accounts.

use askama::Template;

use crate::pages::{App, Done, Nav, Screen, Usable, filters};

/// One page of the list of accounts.
#[derive(Debug, Template)]
#[template(path = "admin_accounts.html", whitespace = "minimize")]
pub(crate) struct Accounts {
    pub(crate) nav: Nav,
    /// What is searched for; empty without a search.
    pub(crate) typed: String,
    pub(crate) listed: Vec<AccountRow>,
    /// The address of the next page.
    pub(crate) more: Option<String>,
    /// Whether this is the first page.
    pub(crate) is_first: bool,
}

impl Screen for Accounts {}

/// One account in the list.
#[derive(Debug)]
pub(crate) struct AccountRow {
    pub(crate) subject: String,
    /// The name for people, if it is not the subject.
    pub(crate) name: Option<String>,
    /// The address of its page.
    pub(crate) path: String,
    pub(crate) suspended: bool,
    pub(crate) balance: u64,
    /// Whether it is the administrator's own.
    pub(crate) is_self: bool,
    /// The address that asks to suspend it, or to lift its suspension.
    pub(crate) change: Option<String>,
}

/// One account and its connections.
#[derive(Debug, Template)]
#[template(path = "admin_account.html", whitespace = "minimize")]
pub(crate) struct Account {
    pub(crate) nav: Nav,
    pub(crate) csrf: String,
    /// What was just done.
    pub(crate) done: Option<Done>,
    pub(crate) subject: String,
    /// The name for people, if it is not the subject.
    pub(crate) name: Option<String>,
    pub(crate) suspended: bool,
    pub(crate) balance: u64,
    pub(crate) is_self: bool,
    pub(crate) change: Option<String>,
    /// The address that asks to disconnect all applications, if there are any.
    pub(crate) disconnect: Option<String>,
    /// The address of the account's audit log.
    pub(crate) log: String,
    pub(crate) apps: Vec<AdminApp>,
    /// The address of the next page of connections.
    pub(crate) more: Option<String>,
    /// Whether this is the first page of connections.
    pub(crate) is_first: bool,
}

impl Screen for Account {}

/// An application of an account.
#[derive(Debug)]
pub(crate) struct AdminApp {
    pub(crate) app: App,
    /// The address of the client's page.
    pub(crate) path: String,
    /// The address that asks to end all its connections with the account.
    pub(crate) disconnect: String,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::pages::connected::tests::app;

    pub(crate) fn accounts(text: &str) -> Accounts {
        let row = |suspended: bool, is_self: bool| AccountRow {
            subject: text.into(),
            name: suspended.then(|| text.into()),
            path: text.into(),
            suspended,
            balance: 7,
            is_self,
            change: (!is_self).then(|| text.into()),
        };
        Accounts {
            nav: Nav { is_admin: true, ..Nav::of(Some(text)) },
            typed: text.into(),
            listed: vec![row(true, false), row(false, false), row(false, true)],
            more: Some(text.into()),
            is_first: false,
        }
    }

    pub(crate) fn account(text: &str) -> Account {
        let own = AdminApp { app: app(text), path: text.into(), disconnect: text.into() };
        Account {
            nav: Nav { is_admin: true, ..Nav::of(Some(text)) },
            csrf: text.into(),
            done: Some(crate::pages::admin::tests::done(text)),
            subject: text.into(),
            name: Some(text.into()),
            suspended: false,
            balance: 1,
            is_self: false,
            change: Some(text.into()),
            disconnect: Some(text.into()),
            log: text.into(),
            apps: vec![own],
            more: Some(text.into()),
            is_first: false,
        }
    }

    #[test]
    fn the_lists_have_a_way_on_when_they_are_empty() -> askama::Result<()> {
        let nobody = Accounts { listed: Vec::new(), ..accounts("plain") };
        assert!(nobody.render()?.contains("Show all accounts"));
        let page = Account {
            name: None,
            apps: Vec::new(),
            disconnect: None,
            is_first: true,
            ..account("x")
        };
        let html = page.render()?;
        assert!(html.contains("No client is connected") && !html.contains("Disconnect all"));
        Ok(())
    }

    #[test]
    fn ones_own_account_has_no_button_that_suspends_it() -> askama::Result<()> {
        let html = accounts("plain").render()?;
        let count = |text: &str| html.matches(text).count();
        assert_eq!((count(">Suspend<"), count(">Lift suspension<"), count("(you)")), (1, 1, 1));
        Ok(())
    }
}
