//! The scopes, resources and clients of the file of settings, as the library takes them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use grantcore::Client;
use grantcore::client::{ClientBuilder, ClientKeys, ConsentMode, StoredSecret};
use grantcore::jws::{Algorithms, KeysUrl};
use grantcore::policy::{
    IntrospectionRules, LifetimeOverrides, PolicyBuilder, RateRules, ResourceDescription,
};
use grantcore::value::{
    Digest, GrantTypes, LoopbackPorts as Ports, MachineRights, PrivateUseSchemes, RedirectRules,
    Scope, ScopeError, SecretMethod, Subject,
};
use serde::Deserialize as _;
use serde::de::IntoDeserializer;
use serde::de::value::Error as DigestError;
use toml::Spanned;

use super::trusted;
use crate::config::{
    AuthMethod, Builtin, Clients, ConsentName, Declared, DeclaredClient, Entry, GrantTypeName,
    LoopbackPorts, Resource, secrets,
};

/// The shortest secret of a client, in bytes. Only its digest is stored, and a digest of a secret
/// that a person chose can be guessed.
const SHORTEST_SECRET: usize = 22;

/// Adds the scopes and resources of the file, and what it says about single clients.
pub(super) fn apply(
    mut policy: PolicyBuilder,
    declared: &Declared,
    mut rates: RateRules,
) -> PolicyBuilder {
    let mut default_scope = Vec::new();
    for scope in declared.scopes.iter().map(|own| &own.value) {
        policy = policy.scope(&scope.name, &scope.description);
        for included in &scope.includes {
            policy = policy.scope_implies(&scope.name, included.get_ref());
        }
        if scope.default {
            default_scope.push(scope.name.as_str());
        }
    }
    if !default_scope.is_empty() {
        policy = policy.default_scope(default_scope.join(" "));
    }
    for resource in declared.resources.iter().map(|own| &own.value) {
        policy = policy
            .resource(&resource.url, &joined(&resource.scopes))
            .describe_resource(&resource.url, description(resource));
        if resource.default {
            policy = policy.default_resource(&resource.url);
        }
    }
    let mut introspection = None;
    for client in declared.clients.iter().map(|own| &own.value) {
        for resource in &client.introspects {
            let rules: IntrospectionRules = introspection.take().unwrap_or_default();
            introspection = Some(rules.with_resource_server(&client.id, resource.get_ref()));
        }
        if let Some(limit) = client.rate_limit {
            rates = rates.with_client_limit(&client.id, limit.get());
        }
    }
    if let Some(rules) = introspection {
        policy = policy.introspection(rules);
    }
    policy.rate_rules(rates)
}

/// Returns what the metadata of a resource say beside its scopes.
fn description(resource: &Resource) -> ResourceDescription {
    let mut description = ResourceDescription::default();
    if let Some(name) = &resource.name {
        description = description.with_name(name);
    }
    if let Some(url) = &resource.documentation {
        description = description.with_documentation(url);
    }
    if let Some(url) = &resource.policy_uri {
        description = description.with_policy_uri(url);
    }
    if let Some(url) = &resource.tos_uri {
        description = description.with_tos_uri(url);
    }
    for issuer in &resource.also_issued_by {
        description = description.also_issued_by(issuer);
    }
    for (name, value) in &resource.members {
        description = description.with_member(name, value);
    }
    description
}

/// Returns the lifetimes of a client.
fn lifetimes(declared: &DeclaredClient) -> LifetimeOverrides {
    let mut lifetimes = LifetimeOverrides::default();
    if let Some(own) = declared.code_lifetime {
        lifetimes = lifetimes.with_code(own.0);
    }
    if let Some(own) = declared.access_lifetime {
        lifetimes = lifetimes.with_access(own.0);
    }
    if let Some(own) = declared.refresh_idle {
        lifetimes = lifetimes.with_refresh_idle(own.0);
    }
    if let Some(own) = declared.refresh_absolute {
        lifetimes = lifetimes.with_refresh_absolute(own.0);
    }
    lifetimes
}

/// Returns the resources of the demonstration that the file keeps, with identifier and scope.
pub(super) fn builtins(declared: &Declared) -> impl Iterator<Item = (Builtin, String, String)> {
    declared.resources.iter().filter_map(|own| {
        let own = &own.value;
        Some((own.builtin?, own.url.clone(), joined(&own.scopes)))
    })
}

/// Returns the names of the resources that have one, by their identifiers.
pub(super) fn resource_names(declared: &Declared) -> impl Iterator<Item = (String, String)> {
    let resources = declared.resources.iter().map(|own| &own.value);
    resources.filter_map(|own| Some((own.url.clone(), own.name.clone()?)))
}

/// Returns the rules of redirect URIs.
pub(crate) fn redirect_rules(clients: &Clients) -> RedirectRules {
    let named = clients.private_use_schemes.iter().filter(|name| !name.is_empty());
    let schemes = PrivateUseSchemes::ReverseDomainAnd(named.cloned().collect());
    RedirectRules::default()
        .with_private_use_schemes(schemes)
        .with_limit(clients.redirect_uri_limit.get())
}

/// Builds the clients of the file. Each has its own result.
pub(crate) fn clients_of<'d>(
    declared: &'d Declared,
    rules: &'d RedirectRules,
) -> impl Iterator<Item = (&'d Entry<DeclaredClient>, Result<Client, String>)> {
    declared.clients.iter().map(move |entry| (entry, build(&entry.value, rules)))
}

fn build(declared: &DeclaredClient, rules: &RedirectRules) -> Result<Client, String> {
    let secret = secret_of(declared)?;
    if declared.auth_method == Some(AuthMethod::Federated) {
        return federated(declared, secret, rules);
    }
    let keys = keys_of(declared)?;
    let builder = match (declared.auth_method, secret) {
        (Some(AuthMethod::PrivateKeyJwt), None) => {
            let keys =
                keys.ok_or("auth_method `private_key_jwt` needs keys: add keys_file or keys_uri")?;
            Client::with_keys(&declared.id, keys)
        }
        (Some(AuthMethod::PrivateKeyJwt), Some(_)) => {
            return Err("auth_method `private_key_jwt` is for a client without a secret".to_owned());
        }
        _ if keys.is_some() => {
            return Err("keys are for a client with auth_method `private_key_jwt`".to_owned());
        }
        (None | Some(AuthMethod::None), None) => Client::public(&declared.id),
        (Some(AuthMethod::None), Some(_)) => {
            return Err("auth_method `none` is for a client without a secret".to_owned());
        }
        (Some(_), None) => {
            return Err(
                "this auth_method needs a secret: add secret, secret_file or secret_digest"
                    .to_owned(),
            );
        }
        (method, Some(secret)) => {
            let method = match method {
                Some(AuthMethod::ClientSecretPost) => SecretMethod::Post,
                _ => SecretMethod::Basic,
            };
            Client::confidential(&declared.id, method, StoredSecret::Digest(secret))
        }
    };
    registered(builder, declared)?.build_under(rules).map_err(|error| error.to_string())
}

/// Builds a client without a credential of its own.
fn federated(
    declared: &DeclaredClient,
    secret: Option<Digest>,
    rules: &RedirectRules,
) -> Result<Client, String> {
    if secret.is_some() {
        return Err("auth_method `federated` is for a client without a secret".to_owned());
    }
    let scopes = declared.machine_scopes.as_deref().unwrap_or_default();
    let scope = joined(scopes).parse();
    let scope = scope.map_err(|error: ScopeError| format!("machine_scopes: {error}"))?;
    let builder = Client::federated(&declared.id, MachineRights::new(scope));
    registered(builder, declared)?.build_under(rules).map_err(|error| error.to_string())
}

/// Adds what the file says about the client beside its secret.
fn registered(
    mut builder: ClientBuilder,
    declared: &DeclaredClient,
) -> Result<ClientBuilder, String> {
    for uri in &declared.redirect_uris {
        builder = builder.redirect_uri(uri);
    }
    if let Some(name) = &declared.name {
        builder = builder.name(name);
    }
    if let Some(uri) = &declared.uri {
        builder = builder.uri(uri);
    }
    // A client that only asks for introspection, or acts without users, uses no code.
    let is_machine = declared.machine_scopes.is_some();
    let only_introspects =
        declared.redirect_uris.is_empty() && (is_machine || !declared.introspects.is_empty());
    let both = [GrantTypeName::AuthorizationCode, GrantTypeName::RefreshToken];
    let default = if only_introspects { &[][..] } else { &both };
    let names = declared.grant_types.as_deref().unwrap_or(default);
    builder = builder.grant_types(GrantTypes {
        authorization_code: names.contains(&GrantTypeName::AuthorizationCode),
        refresh_token: names.contains(&GrantTypeName::RefreshToken),
    });
    if let Some(scopes) = &declared.scopes {
        let scope: Scope = joined(scopes).parse().map_err(|error| format!("scopes: {error}"))?;
        builder = builder.scope(scope);
    }
    if let Some(scopes) = &declared.machine_scopes {
        let scope = joined(scopes).parse();
        let scope = scope.map_err(|error: ScopeError| format!("machine_scopes: {error}"))?;
        let resources = declared.machine_resources.iter().map(|own| own.get_ref().as_str());
        builder = builder.machine(resources.fold(MachineRights::new(scope), MachineRights::at));
    } else if !declared.machine_resources.is_empty() {
        return Err("machine_resources is for a client with machine_scopes".to_owned());
    }
    if let Some(trusted) = declared.trusted {
        builder = builder.trusted(trusted);
    }
    if let Some(consent) = declared.consent {
        builder = builder.consent(match consent {
            ConsentName::Ask => ConsentMode::Ask,
            ConsentName::Remember => ConsentMode::Remember,
            ConsentName::Skip => ConsentMode::Skip,
        });
    }
    if let Some(ports) = declared.loopback_ports {
        builder = builder.loopback_ports(match ports {
            LoopbackPorts::Off => Ports::Off,
            LoopbackPorts::IpLiterals => Ports::IpLiterals,
            LoopbackPorts::IpLiteralsAndLocalhost => Ports::IpLiteralsAndLocalhost,
        });
    }
    builder = builder.lifetimes(lifetimes(declared));
    if let Some(owner) = &declared.owner {
        builder = builder.owner(Subject::new(owner));
    }
    Ok(builder)
}

/// Returns the keys of the client, or `None` for a client without keys.
fn keys_of(declared: &DeclaredClient) -> Result<Option<ClientKeys>, String> {
    match (&declared.keys_file, &declared.keys_uri) {
        (None, None) => Ok(None),
        (Some(path), None) => {
            let keys = trusted::read_keys(path, Algorithms::ALL);
            Ok(Some(ClientKeys::inline(keys.map_err(|why| format!("keys_file: {why}"))?)))
        }
        (None, Some(url)) => {
            // Nothing is fetched from this machine unless `allow_loopback_documents` is set.
            let url = KeysUrl::parse(url, true);
            Ok(Some(ClientKeys::at(url.map_err(|error| format!("keys_uri: {error}"))?)))
        }
        (Some(_), Some(_)) => Err("give either keys_file or keys_uri".to_owned()),
    }
}

/// Returns the digest of the client's secret, or `None` for a client without one.
fn secret_of(declared: &DeclaredClient) -> Result<Option<Digest>, String> {
    let secret = match (&declared.secret, &declared.secret_file, &declared.secret_digest) {
        (None, None, None) => return Ok(None),
        (None, None, Some(digest)) => return parse_digest(digest.as_str()).map(Some),
        (None, Some(path), None) => {
            secrets::read(path).map_err(|why| format!("secret_file: {why}"))?
        }
        (Some(name), None, None) if name.as_str().starts_with("env:") => {
            secrets::resolve(name.as_str()).map_err(|why| format!("secret: {why}"))?
        }
        (Some(_), None, None) => {
            return Err("secret: must be env:NAME, because other programs read this file too; \
                        or use secret_file or secret_digest"
                .to_owned());
        }
        _ => return Err("give only one of secret, secret_file and secret_digest".to_owned()),
    };
    if secret.len() < SHORTEST_SECRET {
        return Err(format!(
            "the secret must have at least {SHORTEST_SECRET} characters, generated at random"
        ));
    }
    Ok(Some(Digest::of(secret.as_bytes())))
}

/// Parses `sha256:` and 64 hexadecimal digits. The error does not repeat the text, which may be the
/// secret itself.
fn parse_digest(text: &str) -> Result<Digest, String> {
    let bytes = text.strip_prefix("sha256:").filter(|hex| hex.len() == 64).and_then(|hex| {
        let pairs = hex.as_bytes().chunks(2);
        pairs
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect::<Option<Vec<u8>>>()
    });
    let parsed = bytes.and_then(|bytes| {
        let text = URL_SAFE_NO_PAD.encode(bytes);
        Digest::deserialize(IntoDeserializer::<DigestError>::into_deserializer(text)).ok()
    });
    parsed.ok_or_else(|| {
        "secret_digest: must be sha256: and 64 hexadecimal digits, as \
         `printf %s \"$SECRET\" | sha256sum` prints them"
            .to_owned()
    })
}

pub(super) fn joined(names: &[Spanned<String>]) -> String {
    names.iter().map(|name| name.get_ref().as_str()).collect::<Vec<_>>().join(" ")
}
