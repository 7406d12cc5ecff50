//! The list of accounts, and one account with its connections.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::act::{Shown, done};
use super::{Admin, account_path, address, contains, failed, names, no_account};
use crate::app::App;
use crate::pages::{Account, AccountRow, Accounts, AdminApp, Page};
use crate::routes::connected::{Viewer, by_app};
use crate::routes::login::with_form_cookie;
use crate::store::{self, BackendError};

/// How many accounts are listed on a page.
const AT_ONCE: usize = 50;
/// How many grants are read for one page of connections.
const CONNECTIONS_AT_ONCE: usize = 100;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Listed {
    after: Option<String>,
    q: String,
}

pub(crate) async fn accounts(
    Admin(nav): Admin,
    State(app): State<Arc<App>>,
    Query(listed): Query<Listed>,
) -> Response {
    let typed = listed.q.trim();
    let mut names = match names(&app).await {
        Ok(names) => names,
        Err(error) => return failed(nav, &error),
    };
    let (found, next) = match search(&app, typed, listed.after.as_deref(), &names).await {
        Ok(found) => found,
        Err(error) => return failed(nav, &error),
    };
    let row = |row: store::AccountRow| AccountRow {
        name: names.remove(&row.subject),
        path: account_path(&row.subject),
        change: change(&row, nav.account.as_deref()),
        is_self: nav.account.as_ref() == Some(&row.subject),
        suspended: row.suspended,
        balance: row.balance,
        subject: row.subject,
    };
    Page(Accounts {
        more: next.map(|next| address("/admin/accounts", &[("q", typed), ("after", &next)])),
        is_first: listed.after.is_none(),
        typed: typed.to_owned(),
        listed: found.into_iter().map(row).collect(),
        nav,
    })
    .into_response()
}

/// Returns the accounts whose subject or name contains what was typed, by name, and the name after
/// which the next page begins.
async fn search(
    app: &App,
    typed: &str,
    after: Option<&str>,
    names: &BTreeMap<String, String>,
) -> Result<(Vec<store::AccountRow>, Option<String>), BackendError> {
    let fits = |own: &str| {
        (contains(own, typed) || names.get(own).is_some_and(|name| contains(name, typed)))
            && after.is_none_or(|after| own > after)
    };
    // One more shows whether there is another page.
    let mut rows = app.oauth.store().accounts(fits, AT_ONCE + 1).await?;
    let has_more = rows.len() > AT_ONCE;
    rows.truncate(AT_ONCE);
    let last = rows.last().map(|row| row.subject.clone());
    Ok((rows, last.filter(|_| has_more)))
}

/// Returns the address that asks to suspend an account or to lift its suspension. Nobody suspends
/// themselves.
fn change(row: &store::AccountRow, admin: Option<&str>) -> Option<String> {
    let act = match row.suspended {
        true => "lift-account",
        false if admin == Some(&row.subject) => return None,
        false => "suspend-account",
    };
    Some(address("/admin/confirm", &[("act", act), ("subject", &row.subject)]))
}

pub(crate) async fn account(
    Admin(nav): Admin,
    State(app): State<Arc<App>>,
    Path(subject): Path<String>,
    Query(shown): Query<Shown>,
    headers: HeaderMap,
) -> Response {
    let row = match app.oauth.store().account_row(&subject).await {
        Ok(Some(row)) => row,
        Ok(None) => return no_account(nav, &subject),
        Err(error) => return failed(nav, &error),
    };
    let name = match names(&app).await {
        Ok(mut names) => names.remove(&subject),
        Err(error) => return failed(nav, &error),
    };
    let shown_name = name.as_deref().unwrap_or(&subject);
    let done = match done::to_account(&app, &shown, &subject, shown_name).await {
        Ok(done) => done,
        Err(error) => return failed(nav, &error),
    };
    let after = shown.after.as_deref().and_then(|id| id.parse().ok());
    let found = match app.oauth.connections(&subject, after, CONNECTIONS_AT_ONCE).await {
        Ok(found) => found,
        Err(error) => return failed(nav, &error),
    };
    let apps = by_app(found.entries.iter(), &app, Viewer::Administrator, row.suspended);
    let ask = |act: &str, more: &[(&str, &str)]| {
        address("/admin/confirm", &[&[("act", act), ("subject", &subject)], more].concat())
    };
    let disconnect = (!apps.is_empty() || after.is_some()).then(|| ask("disconnect-account", &[]));
    let apps: Vec<_> = apps
        .into_iter()
        .map(|own| AdminApp {
            path: super::client_path(&own.client_id),
            disconnect: ask("disconnect-app", &[("client_id", &own.client_id)]),
            app: own,
        })
        .collect();
    with_form_cookie(&app, &headers, |csrf| {
        Page(Account {
            csrf,
            name,
            done,
            change: change(&row, nav.account.as_deref()),
            is_self: nav.account.as_ref() == Some(&subject),
            disconnect,
            log: address("/admin/log", &[("subject", &subject)]),
            more: found
                .next
                .map(|next| address(&account_path(&subject), &[("after", &next.to_string())])),
            is_first: after.is_none(),
            suspended: row.suspended,
            balance: row.balance,
            subject,
            apps,
            nav,
        })
        .into_response()
    })
}
