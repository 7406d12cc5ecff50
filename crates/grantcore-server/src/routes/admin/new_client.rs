//! `/admin/clients/new`: adds a client of the operator. Its secret is shown by `secret.rs`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use grantcore::client::ClientError;
use grantcore::value::Scope;
use url::form_urlencoded;

use super::act::steps;
use super::secret::{Made, lead_to};
use super::{Admin, address, failed, refused};
use crate::app::App;
use crate::clients::{self, Unchanged, Wanted};
use crate::config::Method;
use crate::pages::{Nav, NewClient, Page};
use crate::routes::connected::FORGED;
use crate::routes::login::with_form_cookie;

/// The longest name of a client, in characters: as many as its users see.
const LONGEST_NAME: usize = 100;

/// The form, as typed.
#[derive(Clone, Debug, Default)]
struct Typed {
    csrf: String,
    id: String,
    name: String,
    /// One URI on each line.
    redirect_uris: String,
    scopes: Vec<String>,
    method: String,
}

/// A field of the form, and what is wrong with it.
type Wrong = (&'static str, String);

pub(crate) async fn form(
    Admin(nav): Admin,
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Response {
    let typed = Typed { method: "none".to_owned(), ..Typed::default() };
    show(nav, &app, &headers, typed, None)
}

/// Shows the form, with what was typed before and what was wrong with it.
fn show(nav: Nav, app: &App, headers: &HeaderMap, typed: Typed, wrong: Option<Wrong>) -> Response {
    let known = app.oauth.policy().scopes().iter();
    let scopes = known.map(|own| {
        let name = own.name().to_owned();
        let is_ticked = typed.scopes.contains(&name);
        (name, own.description().to_owned(), is_ticked)
    });
    let scopes = scopes.collect();
    with_form_cookie(app, headers, |csrf| {
        Page(NewClient {
            nav,
            csrf,
            id: typed.id,
            name: typed.name,
            redirect_uris: typed.redirect_uris,
            method: typed.method,
            scopes,
            wrong,
        })
        .into_response()
    })
}

pub(crate) async fn create(
    Admin(nav): Admin,
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let typed = Typed::of(&body);
    if !app.form_cookie.matches(&headers, &typed.csrf) {
        return refused(nav, StatusCode::FORBIDDEN, "Nothing was changed", FORGED);
    }
    let wanted = match typed.wanted(&app) {
        Ok(wanted) => wanted,
        Err(wrong) => return show(nav, &app, &headers, typed, Some(wrong)),
    };
    if !app.audit_log.admits() {
        return failed(nav, &"the audit log cannot record the step");
    }
    let id = wanted.id.clone();
    let rules = app.oauth.policy().redirect_rules();
    match clients::add(app.oauth.store(), wanted, rules).await {
        Ok(secret) => {
            let admin = nav.account.clone().unwrap_or_default();
            steps::added(&app, &id, &steps::note(&admin, None)).await;
            if let Some(secret) = secret {
                return lead_to(&app, nav, &headers, (&id, secret), Made::Added).await;
            }
            let added = [("id", &*id), ("done", "add-client")];
            Redirect::to(&address("/admin/client", &added)).into_response()
        }
        Err(Unchanged::Store(error)) => failed(nav, &error),
        Err(error @ Unchanged::Entropy(_)) => failed(nav, &error),
        Err(error) => show(nav, &app, &headers, typed, Some(wrong(&error))),
    }
}

impl Typed {
    fn of(body: &str) -> Self {
        let mut typed = Self::default();
        for (name, value) in form_urlencoded::parse(body.as_bytes()) {
            let value = value.into_owned();
            match &*name {
                "csrf" => typed.csrf = value,
                "id" => value.trim().clone_into(&mut typed.id),
                "name" => value.trim().clone_into(&mut typed.name),
                "redirect_uris" => typed.redirect_uris = value,
                "scope" => typed.scopes.push(value),
                "method" => typed.method = value,
                _ => {}
            }
        }
        typed
    }

    fn wanted(&self, app: &App) -> Result<Wanted, Wrong> {
        let auth_method = match &*self.method {
            // A form without a choice makes a client without a secret.
            "" | "none" => Method::None,
            "client_secret_basic" => Method::ClientSecretBasic,
            "client_secret_post" => Method::ClientSecretPost,
            _ => return Err(("method", "Choose one of these methods.".into())),
        };
        if self.id.is_empty() {
            return Err(("id", "Write an ID.".into()));
        }
        if app.declared_clients.contains(&self.id) {
            return Err(("id", "The file of settings declares a client of this ID.".into()));
        }
        if self.name.chars().count() > LONGEST_NAME {
            return Err(("name", format!("A name has at most {LONGEST_NAME} characters.")));
        }
        let uris: Vec<String> = self.redirect_uris.split_whitespace().map(str::to_owned).collect();
        let known = app.oauth.policy().scopes();
        // A client without a scope may ask for each: a scope that has been renamed since must not
        // be left out.
        if let Some(other) =
            self.scopes.iter().find(|own| known.iter().all(|known| known.name() != own.as_str()))
        {
            let other = crate::pages::answer::shown(other.as_bytes());
            return Err(("scope", format!("There is no scope {other}.")));
        }
        let scope = match &*self.scopes.join(" ") {
            "" => None,
            scope => Some(scope.parse::<Scope>().map_err(|error| ("scope", error.to_string()))?),
        };
        Ok(Wanted {
            id: self.id.clone(),
            name: Some(self.name.clone()).filter(|name| !name.is_empty()),
            redirect_uris: uris,
            scope,
            auth_method,
            machine: None,
            owner: None,
        })
    }
}

/// Returns the field that is wrong and what is right, without names of the library.
fn wrong(error: &Unchanged) -> Wrong {
    match error {
        Unchanged::Exists(_) => ("id", "A client of this ID exists already.".into()),
        Unchanged::Invalid(ClientError::Id { error, .. }) => {
            ("id", format!("This ID cannot be used: {error}."))
        }
        Unchanged::Useless(_) | Unchanged::Invalid(ClientError::RedirectUrisMissing) => {
            ("redirect_uris", "A client needs at least one redirect URI.".into())
        }
        Unchanged::Invalid(ClientError::RedirectUrisTooMany { count, limit }) => {
            ("redirect_uris", format!("These are {count} redirect URIs; {limit} are allowed."))
        }
        Unchanged::Invalid(ClientError::RedirectUri { uri, error }) => {
            let fix = grantcore::Reason::from(*error).fix();
            let uri = crate::pages::answer::shown(uri.as_bytes());
            ("redirect_uris", format!("{uri} is refused: {error}. {fix}"))
        }
        error => ("id", error.to_string()),
    }
}
