//! One flow: who and what it connects, its state, and its steps.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use grantcore::grant::Grant;
use grantcore::value::Subject;
use grantcore::{Accounts as _, Store as _};

use super::act::{Shown, done};
use super::log::step;
use super::{Admin, address, client_path, failed, words};
use crate::app::App;
use crate::organizations;
use crate::pages::{AppName, Flow, FlowHead, Page, Step, utc};
use crate::routes::connected::{Viewer, connection, find};

/// How many steps are shown: the latest.
const STEPS_AT_ONCE: usize = 200;

/// A failure of the database, in the library or in the host's own calls.
type Failed = Box<dyn std::error::Error + Send + Sync>;

pub(crate) async fn flow(
    Admin(nav): Admin,
    State(app): State<Arc<App>>,
    Path(flow): Path<String>,
    Query(shown): Query<Shown>,
) -> Response {
    let mut found = match app.audit_log.flow(&flow).await {
        Ok(found) => found,
        Err(error) => return failed(nav, &error),
    };
    let left_out = found.len().saturating_sub(STEPS_AT_ONCE);
    let named = |text: fn(&crate::audit::Entry) -> Option<&String>| {
        found.iter().rev().find_map(text).cloned()
    };
    let known = (named(|own| own.client.as_ref()), named(|own| own.subject.as_ref()));
    let mut before = None;
    let steps: Vec<Step> = found
        .drain(left_out..)
        .map(|entry| {
            let at = entry.at;
            step(entry, before.replace(at), None)
        })
        .collect();
    let proof = steps.iter().rev().find_map(|step| step.proof.clone());
    let head = match head(&app, &flow, known).await {
        Ok(head) => head.map(|head| FlowHead { proof, ..head }),
        Err(error) => return failed(nav, &error),
    };
    Page(Flow {
        nav,
        done: {
            let name = head.as_ref().and_then(|head| head.client.as_ref()?.0.as_ref());
            done::to_flow(&shown.done, name)
        },
        earlier: (left_out > 0).then(|| address("/admin/log", &[("reference", &flow)])),
        id: flow,
        head,
        steps,
    })
    .into_response()
}

/// Returns the head of a flow: from the records, and if there are none any more, what the steps
/// name. Returns `None` if nothing is known of the flow.
async fn head(
    app: &App,
    flow: &str,
    known: (Option<String>, Option<String>),
) -> Result<Option<FlowHead>, Failed> {
    let grant = match flow.parse() {
        Ok(id) => app.oauth.store().grant(id).await?,
        Err(_) => None,
    };
    let Some(grant) = grant.map(|stored| stored.record) else {
        let (client_id, subject) = known;
        return Ok(client_id.or(subject.clone()).map(|_| FlowHead {
            state: "Ended: its record is gone.",
            client: None,
            subject,
            ..FlowHead::default()
        }));
    };
    of_grant(app, flow, &grant).await.map(Some)
}

async fn of_grant(app: &App, flow: &str, grant: &Grant) -> Result<FlowHead, Failed> {
    let now = app.oauth.now();
    let client_id = grant.client_id().as_str();
    let subject = grant.subject().map(Subject::as_str);
    let client = app.oauth.store().client(client_id).await?;
    let name = client.map(|stored| AppName::of_client(&stored.record));
    let live = match subject {
        Some(subject) => find(app, subject, flow).await?,
        None => None,
    };
    let account = match subject {
        Some(subject) => app.oauth.store().account(subject).await?,
        None => None,
    };
    let is_suspended = account.is_some_and(|account| account.suspended);
    let (state, is_live) = match &live {
        Some(own) => (words::connected(own, is_suspended), true),
        None => words::phase(grant, now),
    };
    let entry = live.as_ref().map(|own| connection(own, app, Viewer::Administrator));
    Ok(FlowHead {
        state,
        client: Some((name, client_id.to_owned(), client_path(client_id))),
        subject: subject.map(str::to_owned),
        scopes: match &live {
            Some(own) => own.scope().map(Into::into).collect(),
            None => grant.scope().tokens().map(Into::into).collect(),
        },
        resources: match &live {
            Some(own) => own.resources().map(Into::into).collect(),
            None => grant.resources().map(Into::into).collect(),
        },
        organization: organizations::bound(grant.properties())
            .map(|id| app.organizations.name(&id).to_owned()),
        created: Some(utc(grant.created())),
        place: entry.as_ref().map(|entry| entry.place.clone()),
        proof: None,
        refreshed: entry.as_ref().map(|entry| entry.refreshed.clone()),
        expires: match (entry, subject) {
            (Some(entry), _) => Some(entry.expires),
            (None, None) => Some(utc(grant.expires())),
            (None, Some(_)) => None,
        },
        disconnect: is_live
            .then(|| address("/admin/confirm", &[("act", "disconnect-grant"), ("grant", flow)])),
    })
}
