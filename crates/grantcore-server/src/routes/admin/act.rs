//! What an administrator does. Each action is first asked for on a page of its own, which names
//! what it is done to and takes the reason. That page's form is protected by the cookie of the
//! browser.

mod ask;
pub(super) mod done;
pub(super) mod steps;

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use grantcore::client::ClientStatus;
use grantcore::value::Overlap;
use grantcore::{Error, RevokedBy, RevokedGrants};
use serde::Deserialize;
use url::form_urlencoded;

use self::ask::{Ask, Asked};
pub(super) use self::done::Shown;
use super::secret::{Made, lead_to};
use super::{Admin, account_path, address, failed, refused, unknown};
use crate::app::App;
use crate::pages::{Nav, Page};
use crate::routes::connected::FORGED;
use crate::routes::login::with_form_cookie;
use crate::store::{BackendError, Ledger as _};

/// A failure of the database, in the library or in the host's own calls.
type Failed = Box<dyn std::error::Error + Send + Sync>;

/// The longest reason, in characters.
pub(crate) const LONGEST_REASON: usize = 200;

/// An action, with what it is done to.
#[derive(Debug, Deserialize)]
#[serde(tag = "act", rename_all = "kebab-case")]
enum Act {
    SuspendClient { client_id: String },
    LiftClient { client_id: String },
    DisconnectClient { client_id: String },
    RotateSecret { client_id: String },
    SuspendAccount { subject: String },
    LiftAccount { subject: String },
    TopUp { subject: String, by: String },
    DisconnectAccount { subject: String },
    DisconnectApp { subject: String, client_id: String },
    DisconnectGrant { grant: String, subject: Option<String> },
}

/// The outcome of an action.
enum Outcome {
    Complete,
    /// Some of the connections could not be ended.
    Partial,
    /// The client, account or connection does not exist.
    Unknown,
    /// The number of calls is none.
    NotANumber,
}

impl From<bool> for Outcome {
    fn from(is_done: bool) -> Self {
        if is_done { Self::Complete } else { Self::Unknown }
    }
}

impl From<RevokedGrants> for Outcome {
    fn from(ended: RevokedGrants) -> Self {
        if ended.is_complete() { Self::Complete } else { Self::Partial }
    }
}

/// `GET /admin/confirm`: asks for the reason, and for the decision.
pub(crate) async fn confirm(
    Admin(nav): Admin,
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    match read(&query.unwrap_or_default()) {
        Ok(act) => ask(nav, &app, &headers, &act, false).await,
        Err(_) => unreadable(nav),
    }
}

/// Shows the page of an action. `is_missing` marks the reason, which was not given.
async fn ask(nav: Nav, app: &App, headers: &HeaderMap, act: &Act, is_missing: bool) -> Response {
    let admin = nav.account.clone().unwrap_or_default();
    match Ask::of(act, app, &admin).await {
        Ok(Asked::Page(ask)) => with_form_cookie(app, headers, |csrf| {
            Page(ask.page(nav, csrf, act, is_missing)).into_response()
        }),
        Ok(Asked::Over(title, message)) => refused(nav, StatusCode::NOT_FOUND, title, message),
        Ok(Asked::Unknown(title, message, asked)) => {
            unknown(nav, StatusCode::NOT_FOUND, title, message, Some(&asked))
        }
        Ok(Asked::Oneself) => oneself(nav),
        Err(error) => failed(nav, &error),
    }
}

/// `POST /admin/act`.
pub(crate) async fn act(
    Admin(nav): Admin,
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let field = |name: &str| {
        form_urlencoded::parse(body.as_bytes())
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.trim().chars().take(LONGEST_REASON).collect::<String>())
            .filter(|value| !value.is_empty())
    };
    if !app.form_cookie.matches(&headers, &field("csrf").unwrap_or_default()) {
        return refused(nav, StatusCode::FORBIDDEN, "Nothing was changed", FORGED);
    }
    let Ok(act) = read(&body) else { return unreadable(nav) };
    let admin = nav.account.clone().unwrap_or_default();
    if matches!(&act, Act::SuspendAccount { subject } if *subject == admin) {
        return oneself(nav);
    }
    let reason = field("reason");
    if act.needs_reason() && reason.is_none() {
        return ask(nav, &app, &headers, &act, true).await;
    }
    if !app.audit_log.admits() {
        return failed(nav, &"the audit log cannot record the step");
    }
    let because = Because {
        note: steps::note(&admin, reason.as_deref()),
        is_security: field("security").is_some(),
    };
    if let Act::RotateSecret { client_id } = &act {
        return rotate(nav, &app, &headers, client_id, &because).await;
    }
    let done = act.run(&app, &because).await;
    match done {
        Ok(Outcome::Complete) => Redirect::to(&act.back(true)).into_response(),
        Ok(Outcome::Unknown) => refused(
            nav,
            StatusCode::NOT_FOUND,
            "Nothing was changed",
            "There is no such client, account or connection.",
        ),
        Ok(Outcome::NotANumber) => refused(
            nav,
            StatusCode::BAD_REQUEST,
            "Nothing was changed",
            "The number of calls is a whole number from 1 to 4,294,967,295.",
        ),
        Ok(Outcome::Partial) => refused(
            nav,
            StatusCode::SERVICE_UNAVAILABLE,
            "Some connections were not disconnected",
            "The audit log shows the cause. Send the form again.",
        ),
        Err(error) => failed(nav, &error),
    }
}

/// Why something is done, for the audit log.
struct Because {
    /// The administrator and the reason.
    note: String,
    /// Whether it is done after a security event.
    is_security: bool,
}

impl Because {
    fn revoked_by(&self) -> RevokedBy<'_> {
        if self.is_security {
            RevokedBy::SecurityEvent(&self.note)
        } else {
            RevokedBy::Administrator(&self.note)
        }
    }
}

/// Replaces the secret of a client of the operator, and leads to the page that shows the new one.
async fn rotate(
    nav: Nav,
    app: &App,
    headers: &HeaderMap,
    client_id: &str,
    because: &Because,
) -> Response {
    let admin = nav.account.clone().unwrap_or_default();
    let act = Act::RotateSecret { client_id: client_id.to_owned() };
    // The page of the action offers it only where it can be done.
    match Ask::of(&act, app, &admin).await {
        Ok(Asked::Page(_)) => {}
        Ok(_) => {
            return refused(
                nav,
                StatusCode::NOT_FOUND,
                "Nothing was changed",
                "The client has no secret that can be replaced here.",
            );
        }
        Err(error) => return failed(nav, &error),
    }
    let overlap = if because.is_security { Overlap::NONE } else { Overlap::default() };
    match app.oauth.rotate_secret_noted(client_id, overlap, &because.note).await {
        Ok(rotated) => {
            let made = if because.is_security { Made::ReplacedAtOnce } else { Made::Replaced };
            let secret = rotated.reveal().to_string();
            lead_to(app, nav, headers, (client_id, secret), made).await
        }
        Err(Error::Refused(refusal)) => {
            tracing::warn!(reason = %refusal.reason(), "a secret was not replaced");
            refused(
                nav,
                StatusCode::CONFLICT,
                "Nothing was changed",
                "The client has no secret that can be replaced here.",
            )
        }
        Err(error) => failed(nav, &error),
    }
}

/// Returns the outcome of a call. A refusal means that nothing was changed.
fn outcome_of<T>(
    result: Result<T, Error<BackendError>>,
    outcome: impl FnOnce(T) -> Outcome,
) -> Result<Outcome, Failed> {
    match result {
        Ok(value) => Ok(outcome(value)),
        Err(Error::Refused(_)) => Ok(Outcome::Unknown),
        Err(error) => Err(error.into()),
    }
}

/// Parses the action of a form. Numbers stay text, because a tagged enum deserializes text only.
fn read(body: &str) -> Result<Act, serde_json::Error> {
    let fields = form_urlencoded::parse(body.as_bytes())
        .map(|(name, value)| (name.into_owned(), value.into_owned().into()));
    serde_json::from_value(serde_json::Value::Object(fields.collect()))
}

fn unreadable(nav: Nav) -> Response {
    refused(
        nav,
        StatusCode::BAD_REQUEST,
        "Nothing was changed",
        "The form is not complete. Go back, reload and try again.",
    )
}

fn oneself(nav: Nav) -> Response {
    refused(
        nav,
        StatusCode::CONFLICT,
        "You cannot suspend your own account",
        "Nothing was changed. Ask another administrator to do it.",
    )
}

impl Act {
    /// Returns the name of the action, and the fields that say what it is done to.
    fn fields(&self) -> (&'static str, Vec<(&'static str, &str)>) {
        fn client(id: &str) -> Vec<(&'static str, &str)> {
            vec![("client_id", id)]
        }
        fn account(subject: &str) -> Vec<(&'static str, &str)> {
            vec![("subject", subject)]
        }
        match self {
            Self::SuspendClient { client_id } => ("suspend-client", client(client_id)),
            Self::LiftClient { client_id } => ("lift-client", client(client_id)),
            Self::DisconnectClient { client_id } => ("disconnect-client", client(client_id)),
            Self::RotateSecret { client_id } => ("rotate-secret", client(client_id)),
            Self::SuspendAccount { subject } => ("suspend-account", account(subject)),
            Self::LiftAccount { subject } => ("lift-account", account(subject)),
            Self::TopUp { subject, by } => ("top-up", vec![("subject", subject), ("by", by)]),
            Self::DisconnectAccount { subject } => ("disconnect-account", account(subject)),
            Self::DisconnectApp { subject, client_id } => {
                ("disconnect-app", vec![("subject", subject), ("client_id", client_id)])
            }
            Self::DisconnectGrant { grant, subject } => {
                let subject = subject.as_deref().map(|subject| ("subject", subject));
                let grant = [("grant", &**grant)];
                ("disconnect-grant", grant.into_iter().chain(subject).collect())
            }
        }
    }

    /// Returns whether the action takes something away, and is not done without a reason.
    fn needs_reason(&self) -> bool {
        !matches!(self, Self::LiftClient { .. } | Self::LiftAccount { .. } | Self::TopUp { .. })
    }

    /// Returns the page that the action belongs to. After the action, the page says what was done.
    fn back(&self, is_done: bool) -> String {
        let done = if is_done { self.fields().0 } else { "" };
        match self {
            Self::SuspendClient { client_id }
            | Self::LiftClient { client_id }
            | Self::DisconnectClient { client_id }
            | Self::RotateSecret { client_id } => {
                address("/admin/client", &[("id", client_id), ("done", done)])
            }
            Self::SuspendAccount { subject }
            | Self::LiftAccount { subject }
            | Self::TopUp { subject, .. }
            | Self::DisconnectAccount { subject } => {
                address(&account_path(subject), &[("done", done)])
            }
            Self::DisconnectApp { subject, client_id: to }
            | Self::DisconnectGrant { subject: Some(subject), grant: to } => {
                let to = if is_done { to } else { "" };
                address(&account_path(subject), &[("done", done), ("to", to)])
            }
            Self::DisconnectGrant { grant, subject: None } => {
                let grant: String = form_urlencoded::byte_serialize(grant.as_bytes()).collect();
                address(&format!("/admin/flow/{grant}"), &[("done", done)])
            }
        }
    }

    /// Runs the action. The steps that the library does not make are recorded here.
    async fn run(&self, app: &App, because: &Because) -> Result<Outcome, Failed> {
        let oauth = &app.oauth;
        let store = oauth.store();
        let note = &because.note;
        let answer = match self {
            Self::SuspendAccount { subject } | Self::LiftAccount { subject } => {
                let suspends = matches!(self, Self::SuspendAccount { .. });
                let is_there = store.set_suspended(subject, suspends).await?;
                if is_there {
                    let kind =
                        if suspends { "account_suspended" } else { "account_suspension_lifted" };
                    steps::of_account(app, kind, subject, note).await;
                }
                return Ok(is_there.into());
            }
            Self::TopUp { subject, by } => {
                let Ok(units) = by.parse::<NonZeroU32>() else { return Ok(Outcome::NotANumber) };
                let is_there = store.ledger().top_up(subject, units.get().into()).await?.is_some();
                if is_there {
                    let note = format!("{note}: {units} calls added");
                    steps::of_account(app, "account_topped_up", subject, &note).await;
                }
                return Ok(is_there.into());
            }
            Self::SuspendClient { client_id } => {
                oauth.set_client_status_noted(client_id, ClientStatus::Deactivated, note).await
            }
            Self::LiftClient { client_id } => {
                oauth.set_client_status_noted(client_id, ClientStatus::Active, note).await
            }
            Self::DisconnectClient { client_id } => {
                oauth.revoke_client(client_id, because.revoked_by()).await
            }
            Self::DisconnectAccount { subject } => {
                let ended = oauth.revoke_user(subject, because.revoked_by()).await;
                return outcome_of(ended, Outcome::from);
            }
            Self::DisconnectApp { subject, client_id } => {
                let ended =
                    oauth.revoke_user_client(subject, client_id, because.revoked_by()).await;
                return outcome_of(ended, Outcome::from);
            }
            Self::DisconnectGrant { grant, .. } => {
                let Ok(grant) = grant.parse() else { return Ok(Outcome::Unknown) };
                oauth.revoke_grant(grant, because.revoked_by()).await
            }
            // It is done apart, because its outcome is a page.
            Self::RotateSecret { .. } => return Ok(Outcome::Unknown),
        };
        outcome_of(answer, |()| Outcome::Complete)
    }
}
