//! `/admin`: the pages of the administrators. Here: who may see them, and what they share. The
//! audit log is in `admin/log.rs`, the clients in `admin/clients.rs`, the accounts in
//! `admin/accounts.rs`, and what an administrator does to them in `admin/act.rs`.

mod accounts;
mod act;
mod clients;
mod flow;
mod log;
mod new_client;
mod proof;
mod secret;
mod words;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use axum::extract::{FromRequestParts, OriginalUri};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use grantcore::Accounts as _;
use url::form_urlencoded;

pub(crate) use self::accounts::{account, accounts};
pub(crate) use self::act::{act, confirm};
pub(crate) use self::clients::{client, clients};
pub(crate) use self::flow::flow;
pub(crate) use self::log::{home, log};
pub(crate) use self::new_client::{create, form as new_client};
pub(crate) use self::secret::secret;
use super::authorize::log_in_first;
use crate::app::App;
use crate::pages::{Nav, Page, Refused};
use crate::store::{BackendError, Ledger as _};

/// The longest ID that the page of an unknown one repeats, in characters.
const LONGEST_ASKED: usize = 200;
/// The longest address that the login leads back to, in bytes.
const LONGEST_ADDRESS: usize = 1000;
const HERE: &str = "/admin";

/// The navigation of a signed-in administrator. The extractor refuses everybody else before the
/// body is read.
pub(crate) struct Admin(Nav);

impl FromRequestParts<Arc<App>> for Admin {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let session = app.session(&parts.headers).await.map_err(IntoResponse::into_response)?;
        let session = session.ok_or_else(|| log_in_first(wanted(parts)))?;
        let nav = app.nav(Some(&session));
        if !nav.is_admin {
            return Err(refused(
                nav,
                StatusCode::FORBIDDEN,
                "Not for you",
                "Only administrators can see this page.",
            ));
        }
        match app.oauth.store().account(&session.subject).await {
            Ok(Some(account)) if !account.suspended => Ok(Self(nav)),
            Ok(_) => Err(refused(
                nav,
                StatusCode::FORBIDDEN,
                "Not for you",
                "This account is suspended.",
            )),
            Err(error) => Err(failed(nav, &error)),
        }
    }
}

/// Returns the address of the page that is opened. A form is not sent again after the login.
fn wanted(parts: &Parts) -> &str {
    let address = parts.uri.path_and_query().map_or(HERE, |own| own.as_str());
    let is_page = parts.method == Method::GET && address.len() <= LONGEST_ADDRESS;
    if is_page { address } else { HERE }
}

/// Refuses a request. Who is no administrator gets no tabs.
fn refused(nav: Nav, status: StatusCode, title: &'static str, message: &'static str) -> Response {
    unknown(nav, status, title, message, None)
}

/// Refuses a request, and shows what it asked for.
fn unknown(
    nav: Nav,
    status: StatusCode,
    title: &'static str,
    message: &'static str,
    asked: Option<&str>,
) -> Response {
    let asked = asked.map(|asked| asked.chars().take(LONGEST_ASKED).collect());
    let is_admins = nav.is_admin;
    Page(Refused { is_admins, asked, ..Refused::new(nav, status, title, message) }).into_response()
}

fn failed(nav: Nav, error: &dyn Display) -> Response {
    tracing::error!(%error, "the database failed");
    refused(
        nav,
        StatusCode::SERVICE_UNAVAILABLE,
        "Temporarily unavailable",
        "The database cannot answer now. See the server's log for the cause.",
    )
}

fn no_client(nav: Nav, id: &str) -> Response {
    unknown(
        nav,
        StatusCode::NOT_FOUND,
        "No such client",
        "There is no client of this ID. It may have been forgotten because nobody used it.",
        Some(id),
    )
}

fn no_account(nav: Nav, subject: &str) -> Response {
    unknown(
        nav,
        StatusCode::NOT_FOUND,
        "No such account",
        "There is no account of this name. A name is upper and lower case as it was registered.",
        Some(subject),
    )
}

/// Answers an unknown address below `/admin`, and a page that is only the answer of a form.
pub(crate) async fn nowhere(Admin(nav): Admin, OriginalUri(uri): OriginalUri) -> Response {
    unknown(
        nav,
        StatusCode::NOT_FOUND,
        "There is no such page",
        "The address may be mistyped, or from an older link.",
        Some(uri.path()),
    )
}

/// Returns the names for people of accounts whose subjects are not for people.
async fn names(app: &App) -> Result<BTreeMap<String, String>, BackendError> {
    Ok(app.oauth.store().ledger().account_names().await?.into_iter().collect())
}

/// Returns an address with these parameters, of which the empty ones are left out.
fn address(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters.iter().filter(|(_, value)| !value.is_empty()));
    match query.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

/// Returns the address of an account's page.
fn account_path(subject: &str) -> String {
    let subject: String = form_urlencoded::byte_serialize(subject.as_bytes()).collect();
    format!("/admin/accounts/{}", subject.replace('+', "%20"))
}

/// Returns the address of a client's page. An ID may be a URL, whose slashes a path cannot hold.
fn client_path(client_id: &str) -> String {
    address("/admin/client", &[("id", client_id)])
}

/// Returns whether a name or ID contains what was typed, in upper or lower case.
fn contains(text: &str, typed: &str) -> bool {
    text.to_lowercase().contains(&typed.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_back_to_the_name_that_it_was_made_of() {
        assert_eq!(address("/a", &[("b", ""), ("c", "")]), "/a");
        assert_eq!(
            client_path("https://a.example/c?d=1&e"),
            "/admin/client?id=https%3A%2F%2Fa.example%2Fc%3Fd%3D1%26e"
        );
        assert_eq!(account_path("a b/+ö"), "/admin/accounts/a%20b%2F%2B%C3%B6");
        assert!(contains("Demo Ünit", "üNIT") && !contains("Demo", "demos"));
    }
}
