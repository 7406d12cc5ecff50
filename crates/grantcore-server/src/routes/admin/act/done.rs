//! The sentence on the page after an action, with the name of the client, account or connection
//! that the action changed.

use grantcore::Store as _;
use grantcore::value::display_text;
use serde::Deserialize;

use super::Failed;
use crate::app::App;
use crate::pages::{AppName, Done};

/// The state of a page beside its subject: the position in its list, and the last action.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Shown {
    pub(in crate::routes::admin) after: Option<String>,
    pub(in crate::routes::admin) done: String,
    /// The client or connection that the action changed, if it is not the subject of the page.
    pub(in crate::routes::admin) to: String,
}

/// Returns what an action did to a client.
pub(in crate::routes::admin) fn to_client(act: &str, name: &AppName) -> Option<Done> {
    let text = match act {
        "add-client" => "is added.",
        "suspend-client" => "is suspended. It is refused from now on.",
        "lift-client" => "is not suspended any more. It works again.",
        "disconnect-client" => "is disconnected from all accounts.",
        _ => return None,
    };
    Some(Done { to: name.clone(), text })
}

/// Returns what an action did to a connection of this client, or `None` if the client is not known.
pub(in crate::routes::admin) fn to_flow(act: &str, client: Option<&AppName>) -> Option<Done> {
    let to = client.cloned().unwrap_or_else(AppName::unknown);
    let text = "is disconnected. The tokens of this connection no longer work.";
    (act == "disconnect-grant").then_some(Done { to, text })
}

/// Returns what an action did to an account, or to one of its connections. `name` is the name of
/// the account for people.
pub(in crate::routes::admin) async fn to_account(
    app: &App,
    shown: &Shown,
    subject: &str,
    name: &str,
) -> Result<Option<Done>, Failed> {
    let text = match &*shown.done {
        "suspend-account" => "is suspended. Its connections do not work from now on.",
        "lift-account" => "is not suspended any more. Its connections work again.",
        "top-up" => "has more calls: the balance is topped up.",
        "disconnect-account" => "is disconnected from all clients.",
        "disconnect-app" => "is disconnected from this account.",
        "disconnect-grant" => "is disconnected. The tokens of this connection no longer work.",
        _ => return Ok(None),
    };
    let to = match &*shown.done {
        "disconnect-app" => of_client(app, &shown.to).await?,
        "disconnect-grant" => of_grant(app, &shown.to, subject).await?,
        _ => AppName { text: display_text(name), is_claim: false },
    };
    Ok(Some(Done { to, text }))
}

/// Returns the name of a client. An address can name any client, so only a client that exists is
/// repeated.
async fn of_client(app: &App, id: &str) -> Result<AppName, Failed> {
    let client = app.oauth.store().client(id).await?;
    Ok(client.map_or_else(AppName::unknown, |stored| AppName::of_client(&stored.record)))
}

/// Returns the name of the client of a connection of this account.
async fn of_grant(app: &App, grant: &str, subject: &str) -> Result<AppName, Failed> {
    let Ok(id) = grant.parse() else { return Ok(AppName::unknown()) };
    let grant = app.oauth.store().grant(id).await?;
    let own = grant.filter(|own| own.record.subject().is_some_and(|own| own.as_str() == subject));
    match own {
        Some(own) => of_client(app, own.record.client_id().as_str()).await,
        None => Ok(AppName::unknown()),
    }
}
