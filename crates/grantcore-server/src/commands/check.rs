//! `check-config`: what would run, or what is wrong.

use std::fmt::Write as _;

use grantcore::Client;
use grantcore::client::Authentication;
use grantcore::value::RegisteredRedirectUri;

use crate::StartError;
use crate::config::{Config, Declared, secrets, similar};
use crate::plan::Plan;
use crate::provider::{Known, is_of_provider};
use crate::store::Transport;

/// Prints what would run with the settings. Fails with every problem that was found.
pub(super) async fn run(config: &Config, online: bool) -> Result<(), StartError> {
    let plan = Plan::of(config, config.listen)?;
    let mut warnings = warnings(config, &plan);
    let known = match plan.provider.as_ref().filter(|_| online) {
        Some(provider) => {
            let known = provider.discover().await;
            Some(known.map_err(|fault| format!("{}: {fault}", provider.issuer()))?)
        }
        None => None,
    };
    if known.as_ref().is_some_and(|known| !known.names_pkce()) {
        warnings.push("the identity provider does not name PKCE (S256) as supported".into());
    }
    for warning in &warnings {
        super::note(&format!("warning: {warning}"))?;
    }
    let result = match warnings.len() {
        0 => "no errors".to_owned(),
        1 => "no errors, 1 warning".to_owned(),
        count => format!("no errors, {count} warnings"),
    };
    super::print(&format!("{}\n\n{result}", report(config, &plan, known.as_ref())?.trim_end()))
}

fn report(config: &Config, plan: &Plan, known: Option<&Known>) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let policy = &plan.policy;
    writeln!(text, "issuer     {}", plan.issuer.as_str())?;
    writeln!(text, "name       {}", plan.issuer.site().name())?;
    writeln!(text, "listen     {}", config.listen)?;
    let protection = match plan.transport {
        Transport::Local => "",
        Transport::Tls => "  with TLS",
        Transport::Plain => "  in plain text",
    };
    writeln!(text, "database   {}{protection}", config.database)?;
    match &config.accounts.accounts {
        Some(path) => {
            writeln!(text, "accounts   {} in {}", plan.accounts.names().count(), path.display())?;
        }
        None if plan.provider.is_some() => writeln!(text, "accounts   those of the provider")?,
        None => writeln!(text, "accounts   those of the demonstration, with known passwords")?,
    }
    if let Some(provider) = &plan.provider {
        writeln!(text, "provider   {} ({})", provider.issuer(), provider.name())?;
        writeln!(text, "           redirect URI {}", provider.redirect_uri())?;
    }
    if let Some(known) = known {
        writeln!(text, "           users sign in at {}", known.authorization_endpoint())?;
    }
    writeln!(text, "\nendpoints")?;
    for endpoint in policy.endpoints() {
        writeln!(text, "  {}", endpoint.url)?;
    }
    writeln!(text, "\ndocuments")?;
    for document in policy.well_known() {
        writeln!(text, "  {}", document.url)?;
    }
    writeln!(text, "\nscopes")?;
    for scope in policy.scopes() {
        writeln!(text, "  {}  {}", scope.name(), scope.description())?;
    }
    writeln!(text, "\nresources")?;
    let declared = config.declared.iter().flat_map(|declared| &declared.resources);
    let declared = declared.map(|own| (own.value.url.clone(), &own.value.name));
    let protected = config.protected().map(|(_, own)| (own.resource(&plan.issuer), &own.name));
    let names: Vec<_> = declared.chain(protected).collect();
    for resource in policy.resources() {
        let scopes = resource.scopes().collect::<Vec<_>>().join(" ");
        let own = names.iter().find(|(url, _)| *url == resource.identifier());
        let name = own.and_then(|(_, name)| name.as_deref());
        let name = name.map(|name| format!("  ({name})")).unwrap_or_default();
        writeln!(text, "  {}{name}  {scopes}", resource.identifier())?;
    }
    if !plan.protected.is_empty() {
        writeln!(text, "\nprotected upstreams")?;
    }
    for upstream in &plan.protected {
        let machines = if upstream.admits_machines() { "  also without a user" } else { "" };
        writeln!(text, "  {upstream}  {}{machines}", upstream.required_scope())?;
    }
    writeln!(text, "\nclients")?;
    for client in &plan.clients {
        writeln!(text, "  {}", line(client, config.declared.as_ref()))?;
    }
    Ok(text)
}

/// Describes a client: how it proves itself, and what it may do.
fn line(client: &Client, declared: Option<&Declared>) -> String {
    let method = match client.authentication() {
        Authentication::Confidential { method, .. } => method.as_str(),
        Authentication::Keys(_) => "private_key_jwt",
        Authentication::KeysOrNone(_) => "private_key_jwt or none",
        Authentication::Federated => "federated",
        _ => "public",
    };
    let id = client.id().as_str();
    let mut parts = vec![id.to_owned(), method.to_owned()];
    if client.grant_types().authorization_code {
        let uris: Vec<_> =
            client.redirect_uris().iter().map(RegisteredRedirectUri::as_str).collect();
        parts.push(client.scope().map_or("all scopes", |scope| scope.as_str()).to_owned());
        parts.push(uris.join(" "));
    }
    if let Some(rights) = client.machine_rights() {
        let places = rights.resources().map(|own| own.collect::<Vec<_>>().join(" "));
        let places = places.unwrap_or_else(|| "every resource".to_owned());
        parts.push(format!("without a user: {} at {places}", rights.scope()));
    }
    let own = declared.iter().flat_map(|own| &own.clients).map(|own| &own.value);
    let introspects = own.filter(|own| own.id == id).flat_map(|own| &own.introspects);
    let introspects: Vec<_> = introspects.map(|url| url.get_ref().as_str()).collect();
    if !introspects.is_empty() {
        parts.push(format!("introspects tokens for {}", introspects.join(" ")));
    }
    let trusted = declared.iter().flat_map(|own| &own.trusted).map(|own| &own.value);
    let speaks = trusted.filter(|own| {
        own.rules.iter().any(|rule| rule.client == id) || own.clients.iter().any(|own| own == id)
    });
    parts.extend(speaks.map(|own| format!("with assertions of {}", own.issuer)));
    parts.join("  ")
}

/// Returns a warning for each account that a table names and that does not exist. Accounts of an
/// identity provider exist from the first sign-in of their user, so they are not known here.
fn unknown_accounts(plan: &Plan, declared: &Declared) -> Vec<String> {
    let known: Vec<&str> = plan.accounts.names().collect();
    let is_unknown = |name: &str| !known.contains(&name) && !is_of_provider(name);
    let hint = |name: &str| similar(name, known.iter().copied());
    let clients = declared.clients.iter().map(|own| &own.value);
    let owners = clients.filter_map(|own| Some((&own.id, own.owner.as_deref()?)));
    let owners = owners.filter(|(_, owner)| is_unknown(owner)).map(|(id, owner)| {
        let hint = hint(owner);
        format!("client `{id}`: its owner `{owner}` has no account, so it is refused{hint}")
    });
    let organizations = declared.organizations.iter().map(|own| &own.value);
    let members = organizations.flat_map(|own| own.members.iter().map(|name| (&own.id, name)));
    let members = members.filter(|(_, name)| is_unknown(name)).map(|(id, name)| {
        format!("organization `{id}`: its member `{name}` has no account{}", hint(name))
    });
    owners.chain(members).collect()
}

/// Returns what is allowed and dangerous all the same.
fn warnings(config: &Config, plan: &Plan) -> Vec<String> {
    let mut warnings: Vec<String> =
        config.declared.iter().flat_map(|declared| unknown_accounts(plan, declared)).collect();
    if let Some(path) = &config.accounts.accounts
        && std::fs::metadata(path).is_ok_and(|metadata| secrets::is_open(&metadata))
    {
        let path = path.display();
        warnings
            .push(format!("{path}: other users can read the hashes of passwords: chmod o= {path}"));
    }
    if plan.transport == Transport::Plain {
        warnings.push("database: the connection to another machine is not encrypted".into());
    }
    if config.operation.metrics_listen.is_some_and(|address| !address.ip().is_loopback()) {
        warnings.push("metrics_listen: other machines can read the metrics".into());
    }
    if config.clients.allow_loopback_documents {
        warnings.push(
            "allow_loopback_documents: client documents are fetched from this machine".into(),
        );
    }
    for (_, protect) in config.protected().filter(|(_, own)| own.upstream.is_in_the_clear()) {
        warnings.push(format!(
            "protect `{}`: its calls are not encrypted between this server and {}",
            protect.path.as_str(),
            protect.upstream.url(),
        ));
    }
    if plan.issuer.is_https() && config.network.trusted_proxies.is_empty() {
        warnings
            .push("trusted_proxies is empty: behind a proxy, all users share its limits".into());
    }
    warnings
}
