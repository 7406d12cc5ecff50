//! The actions of an administrator. Each is a form that is protected by the cookie of the browser.
//! An action that cannot be undone is confirmed first.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use grantcore::client::ClientStatus;
use grantcore::value::display_text;
use grantcore::{Error, RevokedBy, RevokedGrants};
use serde::Deserialize;
use url::form_urlencoded;

use super::{Admin, failed, refused};
use crate::app::App;
use crate::pages::{Confirm, Nav, Page};
use crate::routes::connected::forged;
use crate::store::{BackendError, Ledger as _};

/// A failure of the database, in the library or in the host's own calls.
type Failed = Box<dyn std::error::Error + Send + Sync>;

/// The action of a form.
#[derive(Debug, Deserialize)]
#[serde(tag = "act", rename_all = "kebab-case")]
enum Act {
    Deactivate { client_id: String },
    Reactivate { client_id: String },
    EndClient { client_id: String, reason: String },
    Suspend { subject: String },
    Lift { subject: String },
    TopUp { subject: String, by: String },
    EndUser { subject: String, reason: String, security: Option<String> },
    EndUserClient { subject: String, client_id: String, reason: String },
    EndGrant { grant: String, reason: String, subject: Option<String> },
}

/// The outcome of an action.
enum Outcome {
    Complete,
    /// Some of the connections could not be ended.
    Partial,
    /// The client, account or connection does not exist.
    Unknown,
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

/// `/admin/act`.
pub(crate) async fn act(
    Admin(nav): Admin,
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let field = |name: &str| {
        form_urlencoded::parse(body.as_bytes()).find(|(own, _)| own == name).map(|(_, value)| value)
    };
    if !app.form_cookie.matches(&headers, &field("csrf").unwrap_or_default()) {
        return forged(nav);
    }
    let Ok(act) = read(&body) else { return unreadable(nav) };
    if let (Some((question, consequence)), None) = (act.question(), field("confirmed")) {
        return confirm(nav, question, consequence, act.back(), &body);
    }
    match act.run(&app).await {
        Ok(Outcome::Complete) => Redirect::to(&format!("{}?done=1", act.back())).into_response(),
        Ok(Outcome::Unknown) => refused(
            nav,
            StatusCode::NOT_FOUND,
            "Nothing was changed",
            "There is no such client, account or connection.",
        ),
        Ok(Outcome::Partial) => refused(
            nav,
            StatusCode::SERVICE_UNAVAILABLE,
            "Some connections were not ended",
            "The trail shows the cause. Send the form again.",
        ),
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

/// Asks for confirmation with the same form.
fn confirm(nav: Nav, question: String, consequence: &str, back: String, body: &str) -> Response {
    let sent = form_urlencoded::parse(body.as_bytes())
        .map(|(name, value)| (name.into_owned(), value.into_owned()));
    let fields = sent.chain([("confirmed".into(), "yes".into())]).collect();
    Page(Confirm {
        nav,
        question,
        consequence: consequence.into(),
        button: "End",
        action: "/admin/act".into(),
        fields,
        back,
    })
    .into_response()
}

impl Act {
    /// Returns the question and the consequence, if the action cannot be undone.
    fn question(&self) -> Option<(String, &'static str)> {
        let consequence = "Its tokens stop working at once and for good. Users can connect anew.";
        match self {
            Self::EndClient { client_id, .. } => {
                Some((format!("End all connections of the client “{client_id}”?"), consequence))
            }
            Self::EndUser { subject, .. } => {
                Some((format!("End all connections of “{}”?", display_text(subject)), consequence))
            }
            Self::EndUserClient { subject, client_id, .. } => Some((
                format!("End the connections of “{}” with “{client_id}”?", display_text(subject)),
                consequence,
            )),
            Self::EndGrant { .. } => Some(("End this connection?".into(), consequence)),
            Self::Deactivate { .. }
            | Self::Reactivate { .. }
            | Self::Suspend { .. }
            | Self::Lift { .. }
            | Self::TopUp { .. } => None,
        }
    }

    /// Returns the address to go to afterwards.
    fn back(&self) -> String {
        let account = |subject: &str| {
            let subject: String = form_urlencoded::byte_serialize(subject.as_bytes()).collect();
            format!("/admin/accounts/{}", subject.replace('+', "%20"))
        };
        match self {
            Self::Deactivate { .. } | Self::Reactivate { .. } | Self::EndClient { .. } => {
                "/admin/clients".into()
            }
            Self::Suspend { .. } | Self::Lift { .. } | Self::TopUp { .. } => {
                "/admin/accounts".into()
            }
            Self::EndUser { subject, .. }
            | Self::EndUserClient { subject, .. }
            | Self::EndGrant { subject: Some(subject), .. } => account(subject),
            Self::EndGrant { grant, .. } => format!("/admin/flow/{grant}"),
        }
    }

    /// Runs the action.
    async fn run(&self, app: &App) -> Result<Outcome, Failed> {
        let oauth = &app.oauth;
        let store = oauth.store();
        let answer = match self {
            Self::Suspend { subject } => {
                return Ok(store.set_suspended(subject, true).await?.into());
            }
            Self::Lift { subject } => {
                return Ok(store.set_suspended(subject, false).await?.into());
            }
            Self::TopUp { subject, by } => {
                let Ok(by) = by.parse::<u32>() else { return Ok(Outcome::Unknown) };
                return Ok(store.ledger().top_up(subject, by.into()).await?.is_some().into());
            }
            Self::Deactivate { client_id } => {
                oauth.set_client_status(client_id, ClientStatus::Deactivated).await
            }
            Self::Reactivate { client_id } => {
                oauth.set_client_status(client_id, ClientStatus::Active).await
            }
            Self::EndClient { client_id, reason } => {
                oauth.revoke_client(client_id, RevokedBy::Administrator(reason)).await
            }
            Self::EndUser { subject, reason, security } => {
                let revoked_by = if security.is_some() {
                    RevokedBy::SecurityEvent(reason)
                } else {
                    RevokedBy::Administrator(reason)
                };
                let ended = oauth.revoke_user(subject, revoked_by).await;
                return outcome_of(ended, Outcome::from);
            }
            Self::EndUserClient { subject, client_id, reason } => {
                let revoked_by = RevokedBy::Administrator(reason);
                let ended = oauth.revoke_user_client(subject, client_id, revoked_by).await;
                return outcome_of(ended, Outcome::from);
            }
            Self::EndGrant { grant, reason, .. } => {
                let Ok(grant) = grant.parse() else { return Ok(Outcome::Unknown) };
                oauth.revoke_grant(grant, RevokedBy::Administrator(reason)).await
            }
        };
        outcome_of(answer, |()| Outcome::Complete)
    }
}
