//! What an administrator does: one form each, vouched for by the browser's cookie, and confirmed
//! where it cannot be undone.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use grantcore::{ClientStatus, Error, RevokedBy, RevokedGrants, display_text};
use serde::Deserialize;
use url::form_urlencoded;

use super::{Admin, failed, refused};
use crate::app::App;
use crate::pages::{Confirm, Nav, Page};
use crate::routes::connected::forged;
use crate::store::{BackendError, Ledger as _};

/// The database failed, in the library or beside it.
type Failed = Box<dyn std::error::Error + Send + Sync>;

/// What is to be done.
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

/// What came of it.
enum Done {
    All,
    /// Some of the connections to be ended could not be.
    Part,
    /// What it was to be done to is not there.
    Nothing,
}

impl From<bool> for Done {
    fn from(is_done: bool) -> Self {
        if is_done { Self::All } else { Self::Nothing }
    }
}

impl From<RevokedGrants> for Done {
    fn from(ended: RevokedGrants) -> Self {
        if ended.is_complete() { Self::All } else { Self::Part }
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
    if !app.form_cookie.vouches_for(&headers, &field("csrf").unwrap_or_default()) {
        return forged(nav);
    }
    let Ok(act) = read(&body) else { return unreadable(nav) };
    if let (Some((question, consequence)), None) = (act.question(), field("confirmed")) {
        return confirm(nav, question, consequence, act.back(), &body);
    }
    match act.run(&app).await {
        Ok(Done::All) => Redirect::to(&format!("{}?done=1", act.back())).into_response(),
        Ok(Done::Nothing) => refused(
            nav,
            StatusCode::NOT_FOUND,
            "Nothing was changed",
            "What it was to be done to is not there.",
        ),
        Ok(Done::Part) => refused(
            nav,
            StatusCode::SERVICE_UNAVAILABLE,
            "Not everything was ended",
            "Some connections could not be ended. The trail says why. Send the form again.",
        ),
        Err(error) => failed(nav, &error),
    }
}

/// Returns what was done. A refusal means that nothing was.
fn done<T>(
    outcome: Result<T, Error<BackendError>>,
    done: impl FnOnce(T) -> Done,
) -> Result<Done, Failed> {
    match outcome {
        Ok(value) => Ok(done(value)),
        Err(Error::Refused(_)) => Ok(Done::Nothing),
        Err(error) => Err(error.into()),
    }
}

/// The form as what it asks for. Numbers are read where they are used: a tagged form knows text
/// only.
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

/// The same form once more, with a button that means it.
fn confirm(nav: Nav, question: String, consequence: &str, back: String, body: &str) -> Response {
    let sent = form_urlencoded::parse(body.as_bytes())
        .map(|(name, value)| (name.into_owned(), value.into_owned()));
    let fields = sent.chain([("confirmed".into(), "yes".into())]).collect();
    let (button, action, consequence) = ("End", "/admin/act".into(), consequence.into());
    Page(Confirm { nav, question, consequence, button, action, fields, back }).into_response()
}

impl Act {
    /// What to ask before, and what comes of it, where it cannot be undone.
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

    /// Where to go afterwards.
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

    /// Does it.
    async fn run(&self, app: &App) -> Result<Done, Failed> {
        let (oauth, store) = (&app.oauth, app.oauth.store());
        let answer = match self {
            Self::Suspend { subject } => {
                return Ok(store.set_suspended(subject, true).await?.into());
            }
            Self::Lift { subject } => {
                return Ok(store.set_suspended(subject, false).await?.into());
            }
            Self::TopUp { subject, by } => {
                let Ok(by) = by.parse::<u32>() else { return Ok(Done::Nothing) };
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
                return done(ended, Done::from);
            }
            Self::EndUserClient { subject, client_id, reason } => {
                let revoked_by = RevokedBy::Administrator(reason);
                let ended = oauth.revoke_user_client(subject, client_id, revoked_by).await;
                return done(ended, Done::from);
            }
            Self::EndGrant { grant, reason, .. } => {
                let Ok(grant) = grant.parse() else { return Ok(Done::Nothing) };
                oauth.revoke_grant(grant, RevokedBy::Administrator(reason)).await
            }
        };
        done(answer, |()| Done::All)
    }
}
