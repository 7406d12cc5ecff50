//! The trusted issuers of the file of settings, as the library takes them.

use std::path::Path;

use grantcore::jws::{Algorithm, Algorithms, FetchedKeys, KeySet, KeysUrl};
use grantcore::policy::{
    ActorClaim, AssertionReuse, ClaimName, IdJag, IssuerKeys, TrustedIssuer, Workload, WorkloadRule,
};

use super::declared::joined;
use crate::config::{
    Claim, Declared, Entry, Issuer, Profile, ProviderSettings, TrustedIssuerTable,
};

/// Builds the issuers of the file. Each has its own result.
pub(crate) fn issuers_of<'d>(
    declared: &'d Declared,
    own: &'d Issuer,
) -> impl Iterator<Item = (&'d Entry<TrustedIssuerTable>, Result<TrustedIssuer, String>)> {
    declared.trusted.iter().map(move |entry| (entry, build(&entry.value, own)))
}

fn build(table: &TrustedIssuerTable, own: &Issuer) -> Result<TrustedIssuer, String> {
    let algorithms = algorithms(table)?;
    let keys = match (&table.keys_uri, &table.keys_file) {
        (Some(url), None) => {
            let url = KeysUrl::parse(url, own.is_loopback());
            IssuerKeys::At(url.map_err(|error| format!("keys_uri: {error}"))?)
        }
        (None, Some(path)) => IssuerKeys::Inline(
            read_keys(path, algorithms).map_err(|why| format!("keys_file: {why}"))?,
        ),
        _ => return Err("give either keys_file or keys_uri".to_owned()),
    };
    let issuer = match table.profile {
        Profile::IdJag => TrustedIssuer::id_jag(&table.issuer, keys, id_jag(table)?),
        Profile::Workload => TrustedIssuer::workload(&table.issuer, keys, workload(table)?),
    };
    let issuer = issuer.with_algorithms(algorithms);
    let issuer = match table.assertion_lifetime {
        Some(longest) => issuer.with_longest(longest.0),
        None => issuer,
    };
    Ok(match table.access_lifetime {
        Some(longest) => issuer.with_tokens(longest.0),
        None => issuer,
    })
}

/// Returns the error of an issuer that creates accounts although an identity provider has rules
/// about them.
///
/// Privilege escalation: users whom the rules of the provider keep out would get access by an
/// assertion.
pub(crate) fn bypass(table: &TrustedIssuerTable, provider: &ProviderSettings) -> Option<String> {
    match (table.create_accounts, table.bypass_provider_rules) {
        (true, false) if provider.has_rules() => Some(
            "create_accounts would give accounts to users whom provider_domains, provider_claims \
             or provider_subjects keep out. Name the users in `accounts`, or allow it with \
             bypass_provider_rules = true"
                .to_owned(),
        ),
        (false, true) => Some("bypass_provider_rules has no effect without create_accounts".into()),
        _ => None,
    }
}

fn algorithms(table: &TrustedIssuerTable) -> Result<Algorithms, String> {
    let Some(names) = &table.algorithms else { return Ok(Algorithms::ALL) };
    let parsed = names.iter().map(|name| name.parse::<Algorithm>());
    let parsed: Result<Vec<_>, _> = parsed.collect();
    let parsed = parsed.map_err(|error| format!("algorithms: {error}"))?;
    Algorithms::of(parsed).ok_or_else(|| "algorithms: name at least one".to_owned())
}

/// Reads a key set from a file.
pub(super) fn read_keys(path: &Path, algorithms: Algorithms) -> Result<KeySet, String> {
    let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if usize::try_from(length).is_ok_and(|length| length > FetchedKeys::MAX_BYTES) {
        return Err(format!("a key set has at most {} bytes", FetchedKeys::MAX_BYTES));
    }
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    KeySet::parse(&text, algorithms, None).map_err(|error| error.to_string())
}

fn id_jag(table: &TrustedIssuerTable) -> Result<IdJag, String> {
    let is_of_workload = table.audience.is_some() || table.reuse || !table.rules.is_empty();
    if is_of_workload {
        return Err("audience, reuse and rules are keys of the profile `workload`".to_owned());
    }
    let scope = joined(&table.scopes).parse().map_err(|error| format!("scopes: {error}"))?;
    let mut rules = IdJag::new(scope).with_registered_clients(table.registered_clients);
    for client in &table.clients {
        rules = rules.with_client(client);
    }
    for client in &table.public_clients {
        rules = rules.with_public_client(client);
    }
    for tenant in &table.tenants {
        // `accounts` names a user of a tenant as TENANT/SUB.
        if tenant.contains('/') {
            return Err(format!(
                "tenants: `{tenant}` has a slash, but `accounts` separates a tenant and a `sub` \
                 by a slash"
            ));
        }
        rules = rules.with_tenant(tenant);
    }
    if let Some(tenant) = &table.own_tenant {
        rules = rules.with_own_tenant(tenant);
    }
    if table.ignore_actors {
        rules = rules.with_actors(ActorClaim::Ignore);
    }
    Ok(rules)
}

fn workload(table: &TrustedIssuerTable) -> Result<Workload, String> {
    let is_of_people = !table.scopes.is_empty()
        || !table.clients.is_empty()
        || !table.public_clients.is_empty()
        || !table.tenants.is_empty()
        || !table.accounts.is_empty()
        || table.own_tenant.is_some()
        || table.registered_clients
        || table.ignore_actors
        || table.create_accounts
        || table.bypass_provider_rules;
    if is_of_people {
        return Err(
            "scopes, clients, tenants and accounts are keys of the profile `id_jag`. With \
                    `workload`, a program may do what machine_scopes of its client names"
                .to_owned(),
        );
    }
    let mut rules = Workload::default();
    if let Some(audience) = &table.audience {
        rules = rules.with_audience(audience);
    }
    if table.reuse {
        rules = rules.with_reuse(AssertionReuse::UntilExpiry);
    }
    for declared in &table.rules {
        let mut rule = WorkloadRule::new(&declared.client);
        for (claim, value) in &declared.claims {
            rule = match value {
                Claim::Text(text) => rule.equals(claim, text),
                Claim::OneOf(texts) => rule.one_of(claim, texts),
                Claim::Members(members) => members.iter().fold(rule, |rule, (member, text)| {
                    rule.equals(ClaimName::within(claim, member), text)
                }),
            };
        }
        for (claim, prefix) in &declared.prefixes {
            rule = rule.starts_with(claim, prefix);
        }
        rules = rules.with_rule(rule);
    }
    Ok(rules)
}
