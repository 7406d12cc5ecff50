//! `check-config`: what would run, or what is wrong.

use std::fmt::Write as _;

use grantcore::client::Authentication;
use grantcore::value::RegisteredRedirectUri;

use crate::StartError;
use crate::config::{Config, secrets};
use crate::plan::Plan;
use crate::provider::Known;
use crate::store::Transport;

/// Prints what would run with the settings. Fails with every problem that was found.
pub(super) async fn run(config: &Config, online: bool) -> Result<(), StartError> {
    let plan = Plan::of(config, config.listen)?;
    for warning in warnings(config, &plan) {
        super::note(&format!("warning: {warning}"))?;
    }
    let known = match plan.provider.as_ref().filter(|_| online) {
        Some(provider) => {
            let known = provider.discover().await;
            Some(known.map_err(|fault| format!("{}: {fault}", provider.issuer()))?)
        }
        None => None,
    };
    if known.as_ref().is_some_and(|known| !known.names_pkce()) {
        super::note("warning: the identity provider does not name PKCE (S256) as supported")?;
    }
    super::print(report(config, &plan, known.as_ref())?.trim_end())
}

fn report(config: &Config, plan: &Plan, known: Option<&Known>) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let policy = &plan.policy;
    writeln!(text, "issuer     {}", plan.issuer.as_str())?;
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
        writeln!(text, "  {upstream}  {}", upstream.required_scope())?;
    }
    writeln!(text, "\nclients")?;
    for client in &plan.clients {
        let method = match client.authentication() {
            Authentication::Confidential { method, .. } => method.as_str(),
            Authentication::Keys(_) | Authentication::KeysOrNone(_) => "private_key_jwt",
            _ => "public",
        };
        let uris: Vec<_> =
            client.redirect_uris().iter().map(RegisteredRedirectUri::as_str).collect();
        let scope = client.scope().map_or("all scopes", |scope| scope.as_str());
        let machine =
            client.machine_rights().map(|rights| format!("  without a user: {}", rights.scope()));
        let machine = machine.unwrap_or_default();
        writeln!(text, "  {}  {method}  {scope}  {}{machine}", client.id(), uris.join(" "))?;
    }
    Ok(text)
}

/// Returns what is allowed and dangerous all the same.
fn warnings(config: &Config, plan: &Plan) -> Vec<String> {
    let mut warnings = Vec::new();
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
