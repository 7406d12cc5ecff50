//! The list of clients, and one client.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use grantcore::client::{Authentication, ConsentMode, Registration};
use grantcore::policy::Remember;
use grantcore::store::Stored;
use grantcore::value::GrantTypes;
use grantcore::{Accounts as _, Client, Policy, Store as _};
use serde::Deserialize;

use super::act::done;
use super::{Admin, address, contains, failed, no_client, proof, words};
use crate::app::App;
use crate::pages::{AppName, ClientPage, ClientRow, Clients, Page, Standing, utc};
use crate::store::BackendError;

/// How many clients are listed on a page.
const AT_ONCE: usize = 50;
/// How many clients are read at once for a search.
const READ_AT_ONCE: usize = 500;
/// How many clients a search reads, at most. Its page then names where to continue.
const READ: usize = 5_000;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Listed {
    after: Option<String>,
    q: String,
}

pub(crate) async fn clients(
    Admin(nav): Admin,
    State(app): State<Arc<App>>,
    Query(listed): Query<Listed>,
) -> Response {
    let typed = listed.q.trim();
    let (found, next) = match search(&app, typed, listed.after.as_deref()).await {
        Ok(found) => found,
        Err(error) => return failed(nav, &error),
    };
    let rows = found.iter().map(|stored| row(&app, &stored.record)).collect();
    Page(Clients {
        nav,
        more: next.map(|next| address("/admin/clients", &[("q", typed), ("after", &next)])),
        is_first: listed.after.is_none(),
        typed: typed.to_owned(),
        listed: rows,
    })
    .into_response()
}

/// Returns the clients whose name or ID contains what was typed, ascending by ID, and the ID after
/// which the next page begins. The client of exactly this ID comes first.
async fn search(
    app: &App,
    typed: &str,
    after: Option<&str>,
) -> Result<(Vec<Stored<Client>>, Option<String>), BackendError> {
    let store = app.oauth.store();
    let mut found: Vec<Stored<Client>> = Vec::new();
    if !typed.is_empty() && after.is_none() {
        found.extend(store.client(typed).await?);
    }
    let mut after = after.map(str::to_owned);
    let batch = if typed.is_empty() { AT_ONCE + 1 } else { READ_AT_ONCE };
    let mut read = 0;
    loop {
        let listed = store.clients(after.as_deref(), batch).await?;
        let is_last = listed.len() < batch;
        read += listed.len();
        for stored in listed {
            if found.len() >= AT_ONCE {
                return Ok((found, after));
            }
            let client = &stored.record;
            let id = client.id().as_str();
            after = Some(id.to_owned());
            if (contains(id, typed) || contains(&client.display_name(), typed)) && id != typed {
                found.push(stored);
            }
        }
        if is_last {
            return Ok((found, None));
        }
        if found.len() >= AT_ONCE || read >= READ {
            return Ok((found, after));
        }
    }
}

fn row(app: &App, client: &Client) -> ClientRow {
    let id = client.id().as_str();
    ClientRow {
        id: id.to_owned(),
        path: super::client_path(id),
        name: AppName::of_client(client),
        origin: words::origin(client, app.declared_clients.contains(id)),
        created: registered(client),
        standing: words::standing(client, app.oauth.now()),
        change: change(client, app),
    }
}

/// Returns when the client became known. Of an operator's client nothing is recorded.
fn registered(client: &Client) -> Option<String> {
    (client.registration() != Registration::Operator).then(|| utc(client.created()))
}

/// Returns the address that asks to suspend the client or to lift its suspension.
fn change(client: &Client, app: &App) -> Option<String> {
    let act = match words::standing(client, app.oauth.now()) {
        Standing::Active => "suspend-client",
        Standing::Suspended => "lift-client",
        Standing::Over => return None,
    };
    Some(ask(act, client))
}

fn ask(act: &str, client: &Client) -> String {
    address("/admin/confirm", &[("act", act), ("client_id", client.id().as_str())])
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Chosen {
    id: String,
    done: String,
}

pub(crate) async fn client(
    Admin(nav): Admin,
    State(app): State<Arc<App>>,
    Query(chosen): Query<Chosen>,
) -> Response {
    let store = app.oauth.store();
    let client = match store.client(&chosen.id).await {
        Ok(Some(stored)) => stored.record,
        Ok(None) => return no_client(nav, &chosen.id),
        Err(error) => return failed(nav, &error),
    };
    let owner = match client.owner() {
        None => None,
        Some(owner) => match store.account(owner.as_str()).await {
            Ok(account) => {
                let is_served = account.is_some_and(|account| !account.suspended);
                Some((owner.to_string(), is_served))
            }
            Err(error) => return failed(nav, &error),
        },
    };
    let id = client.id().as_str();
    let is_declared = app.declared_clients.contains(id);
    let is_operators = client.registration() == Registration::Operator;
    let standing = words::standing(&client, app.oauth.now());
    let has_secret = matches!(client.authentication(), Authentication::Confidential { .. });
    let is_served = standing != Standing::Over;
    let description = client.description();
    let pages = [
        ("Website", &description.uri),
        ("Privacy", &description.policy_uri),
        ("Terms", &description.tos_uri),
    ];
    let pages = pages.into_iter().filter_map(|(what, url)| Some((what, url.clone()?)));
    let name = AppName::of_client(&client);
    Page(ClientPage {
        done: done::to_client(&chosen.done, &name),
        name,
        whole_name: description.name.clone(),
        standing,
        owner,
        origin: words::origin(&client, is_declared),
        created: registered(&client),
        expires: (!is_operators && is_served).then(|| utc(client.expires())),
        redirect_uris: client.redirect_uris().iter().map(|uri| uri.as_str().to_owned()).collect(),
        grant_types: grant_types(client.grant_types()),
        scopes: client.scope().map(|scope| scope.tokens().map(Into::into).collect()),
        machine: client.machine_rights().map(|rights| {
            let resources = rights.resources().map(|own| own.map(str::to_owned).collect());
            (rights.scope().tokens().map(str::to_owned).collect(), resources)
        }),
        restrictions: restrictions(&client),
        proof: proof::of(&client, app.oauth.now()),
        pages: pages.collect(),
        software: description.software_version.clone(),
        consent: consent(&client, app.oauth.policy()),
        is_trusted: client.is_trusted(),
        is_declared,
        change: change(&client, &app),
        disconnect: is_served.then(|| ask("disconnect-client", &client)),
        rotate: (has_secret && is_operators && !is_declared && is_served)
            .then(|| ask("rotate-secret", &client)),
        log: address("/admin/log", &[("client", id)]),
        id: id.to_owned(),
        nav,
    })
    .into_response()
}

/// Says whether the users of a client are asked at each request.
fn consent(client: &Client, policy: &Policy) -> &'static str {
    let is_remembered = match policy.consent_rules().remember() {
        Remember::Never => false,
        Remember::Confidential => !matches!(client.authentication(), Authentication::Public),
        _ => true,
    };
    match client.consent() {
        Some(ConsentMode::Skip) => "Its users are never asked.",
        Some(ConsentMode::Remember) => REMEMBERED,
        None if is_remembered => REMEMBERED,
        _ => "Its users are asked at each request.",
    }
}

const REMEMBERED: &str = "Its users are asked once: an earlier answer counts while it is \
                          remembered.";

fn grant_types(types: GrantTypes) -> Vec<&'static str> {
    let named =
        [(types.authorization_code, "authorization_code"), (types.refresh_token, "refresh_token")];
    named.into_iter().filter_map(|(has, name)| has.then_some(name)).collect()
}

/// Describes what the operator set on a client that registered itself or has a document.
fn restrictions(client: &Client) -> Vec<String> {
    let limits = client.restrictions();
    let scope = limits.scope().map(|scope| format!("scope {scope}"));
    let types = limits.grant_types().map(|types| {
        let names = grant_types(types);
        if names.is_empty() { "no grant types".into() } else { names.join(" ") }
    });
    let method = limits.auth_method().map(|method| format!("authentication by {method}"));
    [scope, types, method].into_iter().flatten().collect()
}
