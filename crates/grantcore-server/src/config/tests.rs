//! Tests of the command line: the values it yields, and the values it refuses.

use clap::CommandFactory;

use super::limits::RateKey;
use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn parse(arguments: &[&str]) -> Result<Config, clap::Error> {
    Config::try_parse_from([&["grantcore-server"], arguments].concat())
}

#[test]
fn every_setting_has_a_default() {
    let config = parse(&[]).unwrap();
    let issuer = config.issuer_at(config.listen).unwrap();
    assert_eq!(issuer.as_str(), "http://127.0.0.1:8080");
    assert_eq!(config.database, Database::Sqlite("grantcore.sqlite".into()));
    assert_eq!(config.log_format, LogFormat::Text);
    let lifetimes = config.lifetimes;
    assert_eq!(lifetimes.access_lifetime, HOUR);
    assert_eq!(lifetimes.code_lifetime, HOUR / 6);
    assert_eq!(lifetimes.consent_lifetime, HOUR / 6);
    assert_eq!(lifetimes.refresh_idle, 30 * 24 * HOUR);
    assert_eq!(lifetimes.refresh_absolute, 180 * 24 * HOUR);
    assert_eq!(lifetimes.replay_window, Duration::ZERO);
    assert_eq!(lifetimes.session_lifetime, 12 * HOUR);
    let network = config.network;
    assert!(network.trusted_proxies.is_empty() && network.allowed_hosts.is_empty());
    let times = [network.header_timeout, network.request_timeout, network.idle_timeout];
    assert_eq!(times.map(|time| time.as_secs()), [10, 30, 75]);
    assert_eq!(network.max_connections.get(), 4096);
    assert_eq!(network.max_connections_per_source.get(), 128);
    assert_eq!(config.limits.rate_limit.get(), 60);
    assert_eq!(config.limits.rate_key, RateKey::ClientAndSource);
    assert_eq!(config.limits.auth_failures.get(), 10);
    assert_eq!((config.balances.opening_balance, config.balances.low_balance), (1000, 10));
    assert_eq!(config.records.audit_retention, 90 * 24 * HOUR);
    assert!(!config.records.audit_fail_closed);
    let both = [GrantType::AuthorizationCode, GrantType::RefreshToken];
    assert_eq!(config.clients.default_grant_types, both);
    assert_eq!(config.clients.unverified_scope, None);
    assert!(!config.clients.lenient_on_method);
}

#[test]
fn every_setting_has_a_variable_a_heading_and_an_explanation() {
    let mut command = Config::command();
    for argument in command.get_arguments() {
        let flag = argument.get_long().unwrap();
        let variable = argument.get_env().unwrap().to_str().unwrap();
        let expected = format!("GRANTCORE_{}", flag.to_uppercase().replace('-', "_"));
        assert!(variable == expected || variable == "RUST_LOG", "{flag}");
        assert!(argument.get_help_heading().is_some(), "{flag}");
        assert!(argument.get_help().is_some(), "{flag}");
    }
    let help = command.render_long_help().to_string();
    assert!(help.starts_with("An OAuth 2.1 authorization server"), "{help}");
    for heading in [
        "Place:",
        "Network:",
        "Accounts:",
        "Identity provider:",
        "Clients:",
        "Lifetimes:",
        "Limits:",
        "Balance:",
        "Audit log:",
        "Log:",
        "Examples:",
    ] {
        assert!(help.lines().any(|line| line == heading), "{heading}");
    }
}

/// Every example is a command line that starts a server. An example behind a proxy needs accounts,
/// and it names the proxy, because otherwise all users are one source.
#[test]
fn the_examples_of_the_help_start_a_server() {
    let whole = EXAMPLES.replace("\\\n", " ");
    let lines = whole.lines().filter_map(|line| line.split_once("grantcore-server"));
    let commands: Vec<_> =
        lines.map(|(_, rest)| rest.split(" (").next().unwrap_or_default()).collect();
    assert!(commands.len() >= 7, "{commands:?}");
    for command in &commands {
        let config = parse(&command.split_whitespace().collect::<Vec<_>>()).expect(command);
        if config.issuer.as_ref().is_some_and(Issuer::is_https) {
            assert!(config.accounts.accounts.is_some(), "{command}");
            assert!(!config.network.trusted_proxies.is_empty(), "{command}");
        }
    }
    assert_eq!(commands.iter().filter(|command| command.contains("https://")).count(), 3);
}

#[test]
fn an_issuer_is_the_one_given_or_a_derived_one_on_this_machine() {
    let at = |config: &Config, bound: &str| config.issuer_at(bound.parse().unwrap());
    for given in ["https://auth.example.com:8443", "http://[::1]:8080", "https://a.example/auth/v1"]
    {
        let config = parse(&["--issuer", given]).unwrap();
        let issuer = at(&config, "0.0.0.0:8080").unwrap();
        assert_eq!(issuer.as_str(), given);
        assert_eq!(issuer.is_https(), given.starts_with("https"));
    }
    let config = parse(&[]).unwrap();
    assert_eq!(at(&config, "127.0.0.1:80").unwrap().as_str(), "http://127.0.0.1");
    assert_eq!(at(&config, "[::1]:9000").unwrap().host(), "[::1]");
    let refusal = at(&config, "0.0.0.0:8080").unwrap_err().to_string();
    assert!(refusal.contains("--issuer https://"), "{refusal}");
}

#[test]
fn values_are_parsed_as_documented() {
    let config = parse(&["--database", "memory:", "--replay-window", "1m 30s"]).unwrap();
    assert_eq!(config.database, Database::Memory);
    assert_eq!(config.lifetimes.replay_window.as_secs(), 90);
    let network = parse(&[
        "--trusted-proxies",
        "10.0.0.7, fd00::/8,::1",
        "--allowed-hosts",
        "Backend,b:80,*",
    ]);
    let Network { trusted_proxies, allowed_hosts, .. } = network.unwrap().network;
    assert_eq!(
        trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["10.0.0.7/32", "fd00::/8", "::1/128"]
    );
    let named = |name: &str| AllowedHost::Named(name.parse().unwrap());
    assert_eq!(allowed_hosts, [named("backend"), named("b:80"), AllowedHost::Any]);
}

#[test]
fn bad_values_are_refused_with_a_hint() {
    for (flag, bad, why) in [
        ("--listen", "localhost:8080", "like 127.0.0.1:8080"),
        ("--issuer", "auth.example.com", "like https://"),
        ("--issuer", "http://auth.example.com", "be https"),
        ("--issuer", "http://127.0.0.1.example.com", "be https"),
        ("--issuer", "https://a.example/", "end: https://a.example\n"),
        ("--issuer", "https://a.example/x/", "end: https://a.example/x\n"),
        ("--issuer", "https://a.example/x?y", "end: https://a.example/x\n"),
        ("--issuer", "https://a.example/./x", "end: https://a.example/x\n"),
        ("--issuer", "https://a.example/a//b", "segments like /auth"),
        ("--issuer", "https://a.example/%61", "segments like /auth"),
        ("--issuer", "https://a.example/{x}", "segments like /auth"),
        ("--issuer", "https://a.example/.well-known", "no .well-known"),
        ("--issuer", "https://u@a.example", ": https://a.example\n"),
        ("--issuer", "https://A.example:443", ": https://a.example\n"),
        ("--trusted-proxies", "proxy.internal", "like 10.0.0.7 or 10.0.0.0/8"),
        ("--trusted-proxies", "10.0.0.0/33", "like 10.0.0.7 or 10.0.0.0/8"),
        ("--allowed-hosts", "https://backend", "like auth.internal, backend:8080 or *"),
        ("--allowed-hosts", "*.example.com", "like auth.internal, backend:8080 or *"),
        ("--header-timeout", "0s", "at least 1s"),
        ("--code-lifetime", "0s", "at least 1s"),
        ("--code-lifetime", "601s", "at most 10m"),
        ("--max-connections", "0", "zero"),
        ("--database", "grants.db", "`memory:`"),
        ("--database", "mysql://db", "store trait"),
        ("--database", "postgres://", "store trait"),
        ("--database", "sqlite:", "`sqlite:PATH`"),
        ("--database", "sqlite::memory:", "`memory:`"),
        ("--access-lifetime", "3600", "like 90s"),
        ("--access-lifetime", "1500ms", "whole seconds"),
        ("--access-lifetime", "99999999999999y", "too large"),
        ("--session-lifetime", "0s", "at least 1s"),
        ("--rate-limit", "0", "zero"),
        ("--rate-key", "source", "[possible values: client, client-and-grant, client-and-source]"),
        ("--low-balance", "few", "invalid digit"),
        ("--audit-retention", "0s", "at least 1s"),
        ("--log-format", "xml", "[possible values: text, json]"),
    ] {
        let refusal = parse(&[flag, bad]).unwrap_err().to_string();
        assert!(refusal.contains(flag) && refusal.contains(why), "{refusal}");
    }
}
