//! The page that asks before an action: what is done to whom, and what follows.

use grantcore::client::{Authentication, ClientStatus, Registration};
use grantcore::value::display_text;
use grantcore::{Client, Store as _};

use super::{Act, Failed};
use crate::app::App;
use crate::pages::{AppName, AskReason, Nav, utc};
use crate::routes::admin::words;
use crate::routes::connected::{Viewer, connection, find};

/// The text of the page.
pub(super) struct Ask {
    question: String,
    consequence: &'static str,
    button: &'static str,
    /// What it is done to: each fact with its value.
    facts: Vec<(&'static str, String)>,
    /// Whether the form has a tick for a security event.
    may_be_security: bool,
}

/// Whether there is something to ask.
pub(super) enum Asked {
    Page(Ask),
    /// There is nothing to do it to, with a title and a sentence.
    Over(&'static str, &'static str),
    /// There is no such client or account: with a title, a sentence and the ID.
    Unknown(&'static str, &'static str, String),
    /// Administrators cannot do it to their own account.
    Oneself,
}

const AT_ONCE: &str = "Its tokens stop working at once and for good. The user can connect it anew.";

impl Ask {
    /// Reads what the action is done to.
    pub(super) async fn of(act: &Act, app: &App, admin: &str) -> Result<Asked, Failed> {
        match act {
            Act::SuspendClient { client_id }
            | Act::LiftClient { client_id }
            | Act::DisconnectClient { client_id }
            | Act::RotateSecret { client_id } => {
                let Some(stored) = app.oauth.store().client(client_id).await? else {
                    return Ok(no_client(client_id));
                };
                Ok(of_client(act, app, &stored.record))
            }
            Act::SuspendAccount { subject } if subject == admin => Ok(Asked::Oneself),
            Act::SuspendAccount { subject }
            | Act::LiftAccount { subject }
            | Act::DisconnectAccount { subject }
            | Act::TopUp { subject, .. } => {
                let Some(row) = app.oauth.store().account_row(subject).await? else {
                    return Ok(no_account(subject));
                };
                Ok(of_account(act, &row.subject, row.suspended))
            }
            Act::DisconnectApp { subject, client_id } => {
                let Some(stored) = app.oauth.store().client(client_id).await? else {
                    return Ok(no_client(client_id));
                };
                let name = AppName::of_client(&stored.record).plain();
                Ok(Asked::Page(Self {
                    question: format!("Disconnect {name} from {}?", display_text(subject)),
                    consequence: "All connections of this client with this account end at once and \
                                  for good. The user can connect it anew.",
                    button: "Disconnect",
                    facts: vec![("Client ID", client_id.clone()), ("Account", subject.clone())],
                    may_be_security: true,
                }))
            }
            Act::DisconnectGrant { grant, .. } => of_grant(app, grant).await,
        }
    }

    /// Returns the page. `is_missing` marks the reason, which was not given.
    pub(super) fn page(self, nav: Nav, csrf: String, act: &Act, is_missing: bool) -> AskReason {
        let (name, target) = act.fields();
        let fields = [("csrf", csrf), ("act", name.to_owned())];
        let target = target.into_iter().map(|(name, value)| (name, value.to_owned()));
        AskReason {
            nav,
            question: self.question,
            consequence: self.consequence,
            button: self.button,
            facts: self.facts,
            needs_reason: act.needs_reason(),
            is_missing,
            may_be_security: self.may_be_security,
            fields: fields.into_iter().chain(target).collect(),
            back: act.back(false),
        }
    }
}

fn no_client(id: &str) -> Asked {
    Asked::Unknown("No such client", "There is no client of this ID.", id.to_owned())
}

fn no_account(subject: &str) -> Asked {
    Asked::Unknown("No such account", "There is no account of this name.", subject.to_owned())
}

fn of_client(act: &Act, app: &App, client: &Client) -> Asked {
    let name = AppName::of_client(client).plain();
    let id = client.id().as_str();
    let facts = vec![
        ("Client ID", id.to_owned()),
        ("Origin", words::origin(client, app.declared_clients.contains(id)).to_owned()),
    ];
    if client.is_expired(app.oauth.now()) {
        return Asked::Over("The client has ended", "It has expired or was deleted.");
    }
    let is_active = client.status() == ClientStatus::Active;
    let (question, consequence, button) = match act {
        Act::SuspendClient { .. } if !is_active => {
            return Asked::Over("Nothing to do", "The client is suspended already.");
        }
        Act::SuspendClient { .. } => (
            format!("Suspend the client {name}?"),
            "It is refused everywhere at once, and so are its tokens. Nothing is deleted: once the \
             suspension is lifted, its connections work again.",
            "Suspend",
        ),
        Act::LiftClient { .. } if is_active => {
            return Asked::Over("Nothing to do", "The client is not suspended.");
        }
        Act::LiftClient { .. } => (
            format!("Lift the suspension of the client {name}?"),
            "It works again at once, with all connections that are not over.",
            "Lift suspension",
        ),
        Act::RotateSecret { .. } => {
            let has_secret = matches!(client.authentication(), Authentication::Confidential { .. });
            let is_operators = client.registration() == Registration::Operator;
            if !has_secret || !is_operators || app.declared_clients.contains(id) {
                return Asked::Over(
                    "Nothing to replace",
                    "The secret of this client cannot be replaced here: it has none, it registered \
                     itself, or the file of settings declares it.",
                );
            }
            (
                format!("Replace the secret of {name}?"),
                "The next page shows the new secret, and only that page. The old one works for a day \
                 more, so that the client can be changed over; after a security event it stops at \
                 once. Connections stay.",
                "Replace secret",
            )
        }
        _ => (
            format!("Disconnect {name} from all accounts?"),
            "Each of its connections ends at once and for good. Users can connect it anew.",
            "Disconnect all",
        ),
    };
    let may_be_security = matches!(act, Act::DisconnectClient { .. } | Act::RotateSecret { .. });
    Asked::Page(Ask { question, consequence, button, facts, may_be_security })
}

fn of_account(act: &Act, subject: &str, suspended: bool) -> Asked {
    let name = display_text(subject);
    let (question, consequence, button) = match act {
        Act::SuspendAccount { .. } if suspended => {
            return Asked::Over("Nothing to do", "The account is suspended already.");
        }
        Act::SuspendAccount { .. } => (
            format!("Suspend the account {name}?"),
            "None of its connections works, and no client can be connected. Nothing is \
             deleted: once the suspension is lifted, its connections work again.",
            "Suspend",
        ),
        Act::LiftAccount { .. } if !suspended => {
            return Asked::Over("Nothing to do", "The account is not suspended.");
        }
        Act::LiftAccount { .. } => (
            format!("Lift the suspension of the account {name}?"),
            "Its connections work again at once, except those that are over.",
            "Lift suspension",
        ),
        Act::TopUp { .. } => (format!("Top up {name}?"), "Its balance grows.", "Top up"),
        _ => (
            format!("Disconnect all clients from {name}?"),
            "Each connection of the account ends at once and for good. The user can connect the \
             clients anew.",
            "Disconnect all",
        ),
    };
    let may_be_security = matches!(act, Act::DisconnectAccount { .. });
    let mut facts = vec![("Account", subject.to_owned())];
    if let Act::TopUp { by, .. } = act {
        facts.push(("Calls to add", by.clone()));
    }
    Asked::Page(Ask { question, consequence, button, facts, may_be_security })
}

async fn of_grant(app: &App, grant: &str) -> Result<Asked, Failed> {
    const OVER: Asked = Asked::Over(
        "This connection has ended",
        "There is nothing to disconnect. It may have ended already.",
    );
    let stored = match grant.parse() {
        Ok(id) => app.oauth.store().grant(id).await?,
        Err(_) => None,
    };
    let Some(record) = stored.map(|stored| stored.record) else { return Ok(OVER) };
    let now = app.oauth.now();
    let client_id = record.client_id().to_string();
    let Some(subject) = record.subject().map(ToString::to_string) else {
        let (_, is_live) = words::phase(&record, now);
        let page = || Ask {
            question: format!("End the access token of {client_id}?"),
            consequence: AT_ONCE,
            button: "End",
            facts: vec![
                ("Client ID", client_id.clone()),
                ("Issued", utc(record.created())),
                ("User", "None: the client acts for itself".to_owned()),
            ],
            may_be_security: true,
        };
        return Ok(if is_live { Asked::Page(page()) } else { OVER });
    };
    let mut facts = vec![("Account", subject.clone()), ("Client ID", client_id.clone())];
    let name = match find(app, &subject, grant).await? {
        Some(own) => {
            let entry = connection(&own, app, Viewer::Administrator);
            facts.extend(entry.organization.map(|name| ("Organization", name)));
            facts.push(("Connected", entry.connected));
            facts.push(("Last refreshed", entry.refreshed));
            facts.push(("Application", entry.place));
            AppName::of_client(own.client()).plain()
        }
        None if words::phase(&record, now).1 => client_id,
        None => return Ok(OVER),
    };
    Ok(Asked::Page(Ask {
        question: format!("Disconnect {name} from {}?", display_text(&subject)),
        consequence: AT_ONCE,
        button: "Disconnect",
        facts,
        may_be_security: true,
    }))
}
