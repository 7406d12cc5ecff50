//! Tests of the file of settings: each flag has its key, the example is complete, and errors have
//! their place.

use std::collections::BTreeSet;
use std::io::Write as _;

use clap::CommandFactory as _;
use tempfile::NamedTempFile;

use super::declared::{DeclaredOrganization, Scope};
use super::file::{fields_of, keys};
use super::trusted::Rule;
use super::*;

const EXAMPLE: &str = include_str!("../../config.example.toml");

/// Values of every setting that are not its default: on the command line, and in the file.
const VALUES: [(&str, &str, &str); 74] = [
    ("listen", "[::1]:9000", r#""[::1]:9000""#),
    ("issuer", "https://a.example", r#""https://a.example""#),
    ("name", " Acme ID", r#""Acme ID""#),
    ("database", "memory:", r#""memory:""#),
    ("database-file", "FILE", r#""FILE""#),
    ("database-authority", "/etc/db.pem", r#""/etc/db.pem""#),
    ("allow-plaintext-redis", "true", "true"),
    ("accounts", "/etc/accounts", r#""/etc/accounts""#),
    ("provider-issuer", "https://idp.example", r#""https://idp.example""#),
    ("provider-name", "Example ID", r#""Example ID""#),
    ("provider-client-id", "us", r#""us""#),
    ("provider-client-secret", "hush", r#""hush""#),
    ("provider-client-secret-file", "FILE", r#""FILE""#),
    ("provider-scopes", "groups", r#"["groups"]"#),
    ("provider-account-name", "preferred_username", r#""preferred_username""#),
    ("provider-everybody", "true", "true"),
    ("provider-domains", "a.example,b.example", r#"["a.example", "b.example"]"#),
    ("provider-claims", "hd=a.example,n=1", r#"["hd=a.example", "n=1"]"#),
    ("provider-subjects", "1,2", r#"["1", "2"]"#),
    ("provider-admin-subjects", "1", r#"["1"]"#),
    ("provider-admin-emails", "a@a.example", r#"["a@a.example"]"#),
    ("provider-authority", "/etc/idp.pem", r#""/etc/idp.pem""#),
    ("trusted-proxies", "10.0.0.7,fd00::/8", r#"["10.0.0.7", "fd00::/8"]"#),
    ("allowed-hosts", "a,b:80", r#"["a", "b:80"]"#),
    ("header-timeout", "11s", r#""11s""#),
    ("request-timeout", "12s", r#""12s""#),
    ("idle-timeout", "13s", r#""13s""#),
    ("max-connections", "14", "14"),
    ("max-connections-per-source", "15", "1_5"),
    ("protect", "/a=http://b/c,/d=https://e", r#"["/a=http://b/c", "/d=https://e"]"#),
    ("max-upstream-calls", "16", "16"),
    ("registration", "off", "false"),
    ("registration-token", "0123456789abcdefghijkl", r#""0123456789abcdefghijkl""#),
    ("registration-token-file", "FILE", r#""FILE""#),
    ("client-documents", "off", r#""off""#),
    ("allow-loopback-documents", "true", "true"),
    ("denied-document-domains", "a.example,*.b.example", r#"["a.example", "*.b.example"]"#),
    ("allowed-document-domains", "c.example", r#"["c.example"]"#),
    ("trusted-document-domains", "d.example", r#"["d.example"]"#),
    ("redirect-hosts", "e.example", r#"["e.example"]"#),
    ("document-authority", "/etc/ca.pem", r#""/etc/ca.pem""#),
    ("private-use-schemes", "", "[]"),
    ("redirect-uri-limit", "3", "3"),
    ("default-grant-types", "authorization_code", r#"["authorization_code"]"#),
    ("unverified-scope", "a b", r#""a b""#),
    ("registered-scope", "default", r#""default""#),
    ("lenient-on-method", "true", "true"),
    ("error-delivery", "page", r#""page""#),
    ("drop-unknown-scopes", "true", "true"),
    ("openid-alias", "true", "true"),
    ("remember-consent", "confidential", r#""confidential""#),
    ("remember-consent-for", "7d", r#""7d""#),
    ("access-lifetime", "1h 30m", r#""1h 30m""#),
    ("code-lifetime", "2m", r#""2m""#),
    ("consent-lifetime", "3m", r#""3m""#),
    ("refresh-idle", "4d", r#""4d""#),
    ("refresh-absolute", "5d", r#""5d""#),
    ("replay-window", "6s", r#""6s""#),
    ("unused-client-lifetime", "7h", r#""7h""#),
    ("session-lifetime", "8h", r#""8h""#),
    ("rate-limit", "9", "9"),
    ("rate-key", "client", r#""client""#),
    ("auth-failures", "11", "0x0b"),
    ("registration-rate", "12", "12"),
    ("consent-rate", "13", "13"),
    ("opening-balance", "14", "14"),
    ("low-balance", "15", "15"),
    ("audit-retention", "16d", r#""16d""#),
    ("audit-events", "1700", "1700"),
    ("audit-fail-closed", "true", "true"),
    ("metrics-listen", "127.0.0.1:9090", r#""127.0.0.1:9090""#),
    ("drain", "18s", r#""18s""#),
    ("log-format", "json", r#""json""#),
    ("log", "debug", r#""debug""#),
];

fn written(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn load(arguments: &[&str]) -> Result<Config, LoadError> {
    Config::load([&["grantcore-server"], arguments].concat())
}

/// Loads a file with this text and these flags.
fn load_file(text: &str, more: &[&str]) -> Result<Config, LoadError> {
    let file = written(text);
    let named = ["--config", file.path().to_str().unwrap()];
    load(&[&named[..], more].concat())
}

/// Returns the settings as text, without those of the file itself.
fn shown(config: Config) -> String {
    let database = config.database.clone();
    let config = Config { file: None, declared: None, ..config };
    let token = config.clients.registration_token.as_ref().map(|token| token.as_bytes().to_vec());
    let secret =
        config.provider.provider_client_secret.as_ref().map(provider::ProviderSecret::reveal);
    format!("{config:?} {database} {token:?} {secret:?}")
}

/// Returns the problems of a file, without its name.
fn problems(text: &str) -> Vec<String> {
    let file = written(text);
    let path = file.path().to_str().unwrap();
    let Err(LoadError::Invalid(Invalid(problems))) = load(&["--config", path]) else {
        panic!("the file is accepted: {text}")
    };
    let place = format!("{path}:");
    problems.iter().map(|problem| problem.to_string().replace(&place, "")).collect()
}

#[test]
fn every_flag_has_its_key_and_every_key_its_flag() {
    let command = Config::command();
    let flags: BTreeSet<_> = command.get_arguments().filter_map(|arg| arg.get_long()).collect();
    let tried: BTreeSet<_> = VALUES.iter().map(|(flag, ..)| *flag).chain(["config"]).collect();
    assert_eq!(tried, flags, "each setting is tried below");
    let expected: BTreeSet<_> = VALUES.iter().map(|(flag, ..)| flag.replace('-', "_")).collect();
    assert_eq!(keys(&command).collect::<BTreeSet<_>>(), expected);
    let secret = written("memory:");
    let token = written("0123456789abcdefghijkl\n");
    for (flag, value, toml) in VALUES {
        let path = if flag == "database-file" { secret.path() } else { token.path() };
        let [value, toml] = [value, toml].map(|text| text.replace("FILE", path.to_str().unwrap()));
        let by_flag = load(&[&format!("--{flag}={value}")]).unwrap();
        let by_key = load_file(&format!("{} = {toml}", flag.replace('-', "_")), &[]).unwrap();
        let default = shown(load(&[]).unwrap());
        assert_ne!(shown(by_flag.clone()), default, "--{flag}={value} is not the default");
        assert_eq!(shown(by_key), shown(by_flag), "{flag}");
    }
}

#[test]
fn a_flag_takes_precedence_over_the_file() {
    let text = "rate_limit = 1\nopenid_alias = true\nregistration = false\nallowed_hosts = [\"a\"]";
    let config = load_file(text, &[]).unwrap();
    assert_eq!((config.limits.rate_limit.get(), config.authorization.openid_alias), (1, true));
    assert_eq!(config.limits.auth_failures.get(), 10, "the default of a key that is not there");
    let flags =
        ["--rate-limit=2", "--openid-alias=false", "--registration=on", "--allowed-hosts=b,c"];
    let config = load_file(text, &flags).unwrap();
    assert_eq!((config.limits.rate_limit.get(), config.authorization.openid_alias), (2, false));
    assert_eq!(config.clients.registration, Switch::On);
    assert_eq!(config.network.allowed_hosts.len(), 2);
    assert!(load(&["--openid-alias"]).unwrap().authorization.openid_alias);
    // A secret in a file gives way to a flag, and takes precedence over a default.
    let secret = written("sqlite:/by/file");
    let key = format!("database_file = {:?}", secret.path());
    let database = |config: Config| config.database.to_string();
    assert_eq!(database(load_file(&key, &[]).unwrap()), "sqlite:/by/file");
    assert_eq!(database(load_file(&key, &["--database=memory:"]).unwrap()), "memory:");
    let flag = ["--database-file", secret.path().to_str().unwrap()];
    assert_eq!(database(load_file("database = 'memory:'", &flag).unwrap()), "sqlite:/by/file");
    let both = load_file(&format!("{key}\ndatabase = 'memory:'"), &[]).unwrap_err().to_string();
    assert!(both.contains("--database and --database-file are both given"), "{both}");
}

#[test]
fn relative_paths_of_a_file_are_relative_to_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c.toml");
    std::fs::write(&path, "accounts = 'a/b'\ndatabase = 'sqlite:x.db'").unwrap();
    let config = load(&["--config", path.to_str().unwrap()]).unwrap();
    assert_eq!(config.accounts.accounts, Some(directory.path().join("a/b")));
    assert_eq!(config.database, Database::Sqlite(directory.path().join("x.db")));
    std::fs::write(&path, "database = 'sqlite:/x.db'").unwrap();
    let config = load(&["--config", path.to_str().unwrap()]).unwrap();
    assert_eq!(config.database, Database::Sqlite("/x.db".into()));
}

/// The lines `# key = value` of the example are the defaults, and with the others they are all
/// settings. An indented line is an alternative to another one.
#[test]
fn the_example_has_every_key_with_its_default() {
    let settings = EXAMPLE.split("[[scopes]]").next().unwrap();
    let is_key = |line: &&str| line.contains(" = ") && !line.contains('`');
    let defaults = settings.lines().filter_map(|line| line.strip_prefix("# ")).filter(is_key);
    let defaults: Vec<_> = defaults.filter(|line| !line.starts_with(' ')).collect();
    let by_file = load_file(&defaults.join("\n"), &[]).unwrap();
    assert_eq!(shown(by_file), shown(load(&[]).unwrap()));
    let lines = settings.lines().map(|line| line.trim_start_matches(['#', ' ']));
    let named: BTreeSet<_> = lines
        .filter(is_key)
        .filter_map(|line| line.split_once(" = "))
        .map(|(key, _)| key.to_owned())
        .filter(|key| !key.contains(' '))
        .collect();
    assert_eq!(named, keys(&Config::command()).collect());
}

/// The page for operators names every key of the file, each under its table, and the defaults of
/// all lifetimes.
#[test]
fn the_page_for_operators_names_every_key() {
    let page = include_str!("../../../../docs/deploy.md");
    let (_, section) = page.split_once("\n### Every key\n").unwrap();
    let section = section.split("\n### ").next().unwrap();
    let rows = |header: &str| {
        let own = section.split("\n**").find(|own| own.starts_with(header));
        let own = own.unwrap_or_else(|| panic!("{header} is missing"));
        let rows = own.lines().filter_map(|line| line.strip_prefix("| `"));
        rows.map(|row| row.split('`').next().unwrap()).collect::<Vec<_>>()
    };
    let tables: [(&str, &[&str]); 7] = [
        ("`[[scopes]]`", fields_of::<Scope>()),
        ("`[[resources]]`", fields_of::<Resource>()),
        ("`[[clients]]`", fields_of::<DeclaredClient>()),
        ("`[[protect]]`", fields_of::<Protect>()),
        ("`[[organizations]]`", fields_of::<DeclaredOrganization>()),
        ("`[[trusted_issuers]]`", fields_of::<TrustedIssuerTable>()),
        ("`rules`", fields_of::<Rule>()),
    ];
    for (header, fields) in tables {
        assert_eq!(rows(header), fields, "{header}");
    }
    let lifetimes = rows("Lifetimes");
    let command = Config::command();
    let is_lifetime = |arg: &&clap::Arg| arg.get_help_heading() == Some("Lifetimes");
    let flags = command.get_arguments().filter(is_lifetime).filter_map(clap::Arg::get_long);
    assert_eq!(lifetimes, flags.map(|flag| flag.replace('-', "_")).collect::<Vec<_>>());
    for arg in command.get_arguments().filter(is_lifetime) {
        let key = arg.get_long().unwrap().replace('-', "_");
        let default = arg.get_default_values()[0].to_str().unwrap();
        assert!(section.contains(&format!("| `{key}` | {default} |")), "{key}: {default}");
    }
    let named = keys(&command).filter(|key| !page.contains(key.as_str()));
    assert_eq!(named.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn problems_have_their_line_their_column_and_a_suggestion() {
    let mut wrong = Vec::new();
    for (text, expected) in [
        ("issuers = 1", "1:1: unknown key `issuers`; did you mean `issuer`?"),
        (
            "\n  access-lifetime = 1",
            "2:3: unknown key `access-lifetime`; did you mean `access_lifetime`?",
        ),
        ("client = 1", "1:1: unknown key `client`; did you mean `clients`?"),
        ("qqq = 1", "1:1: unknown key `qqq`"),
        ("config = 'x'", "1:1: unknown key `config`; a file cannot name another one"),
        ("[limits]\nrate_limit = 1", "1:2: unknown key `limits`"),
        (
            "listen = 8080",
            "1:10: listen: invalid value '8080' for '--listen <IP:PORT>': not an address and port; write it like 127.0.0.1:8080 or [::1]:8080",
        ),
        (
            "rate_limit = 0",
            "1:14: rate_limit: invalid value '0' for '--rate-limit <COUNT>': number would be zero for non-zero type",
        ),
        (
            "rate_key = 'zzz'",
            "1:12: rate_key: invalid value 'zzz' for '--rate-key <KEY>' [possible values: client, client-and-grant, client-and-source]",
        ),
        ("openid_alias = 'true'", "1:16: openid_alias: must be true or false"),
        ("allowed_hosts = [1.5]", "1:17: allowed_hosts: must be a list of strings"),
        ("log = ['a']", "1:7: log: must be a string"),
        ("log = 'a'\nlog = 'b'", "2:1: duplicate key"),
        (
            "scopes = [{name = 'ü', description = '', defaults = true}]",
            "1:42: unknown key `defaults` in [[scopes]]; did you mean `default`?",
        ),
        ("scopes = 1", "1:10: scopes: must be tables, each with the header [[scopes]]"),
        ("[scopes]\nname = 'a'", "1:1: scopes: must be tables, each with the header [[scopes]]"),
        ("[[scopes]]\nname = 'a'", "1:1: [[scopes]]: missing field `description`"),
        (
            "[[scopes]]\nname = 'a'\ndescription = 'A'\nincludes = ['b']",
            "4:13: the scope `b` is not declared",
        ),
        (
            "[[resources]]\nurl = 'https://a.example'\nscope = ['b']",
            "3:1: unknown key `scope` in [[resources]]; did you mean `scopes`?",
        ),
        (
            "[[resources]]\nurl = 'https://a.example'\nbuiltin = 'x'",
            "3:11: [[resources]]: unknown variant `x`, expected `mcp` or `api`",
        ),
        ("[[clients]]\nid = 'a'\nscopes = ['b']", "3:11: the scope `b` is not declared"),
        ("[[clients]]\nid = 'a'\nintrospects = ['b']", "3:16: the resource `b` is not declared"),
        ("[[clients]]\nid = 'a'\n[[clients]]\nid = 'a'", "3:1: the client `a` is declared twice"),
        ("[[clients]]\nid = 'a'\nsecret = 12345678", "3:10: [[clients]]: must be a string"),
        ("protect = [1.5]", "1:11: protect: must be a list of strings"),
        (
            "protect = ['/a']",
            "1:11: protect: invalid value '/a' for '--protect </PATH=URL,...>': write it like /notes=http://127.0.0.1:3000/mcp",
        ),
        (
            "[[protect]]\npath = '/a'\nupstream = 'http://b'\nscopes = ['c']",
            "4:11: the scope `c` is not declared",
        ),
        (
            "[[protect]]\npath = '/a/'\nupstream = 'http://b'",
            "2:8: [[protect]]: the path must have segments like /notes or /a/b, of letters, digits, `-`, `_`, `.` and `~`, and no .well-known",
        ),
        (
            "[[protect]]\npath = '/a'\nupstream = 'ftp://b'",
            "3:12: [[protect]]: the upstream must be an http or https URL",
        ),
        (
            "[[protect]]\npath = '/a'\nupstream = 'http://b'\nidle_timeout = '0s'",
            "4:16: [[protect]]: must be at least 1s",
        ),
        (
            "[[protect]]\npath = '/a'\nupstream = 'http://b'\nmax_bodies = 1",
            "4:1: unknown key `max_bodies` in [[protect]]; did you mean `max_body`?",
        ),
        (
            "database = 'env:GRANTCORE_NO_SUCH'",
            "1:12: database: invalid value for '--database <URL>': the environment variable GRANTCORE_NO_SUCH is not set",
        ),
    ] {
        let found = problems(text).first().unwrap().trim().to_owned();
        if found != expected {
            wrong.push(format!("{text}\n found    {found}\n expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let several = problems("a = 1\nrate_limit = 'x'\n[[scopes]]\nlabel = 'a'\n[[clients]]\nd = 1");
    let lines: Vec<_> = several.iter().map(|text| text.split(':').next().unwrap()).collect();
    assert_eq!(lines, ["1", "2", "3", "4", "5", "6"], "{several:?}");
}

/// No error has a value that may be a secret.
#[test]
fn a_problem_shows_no_secret() {
    let digest = format!("secret_digest = 'sha256:{}hunter2'", "0".repeat(57));
    for text in [
        "registration_token = 'hunter2'",
        "registration_token = ['hunter2']",
        "registration_token = 'hunter2",
        "registration_token = hunter2",
        "database = 'postgre://u:hunter2@h/n'",
        "database = ['hunter2']",
        "[[clients]]\nid = 'a'\nsecret = ['hunter2']",
        "[[clients]]\nid = 'a'\nsecret = 'hunter2",
        "[[clients]]\nid = 'a'\nsecret = {a = 'hunter2'}",
        "[[clients]]\nid = 'a'\npassword = 'hunter2'",
        "[[protect]]\npath = '/a'\nupstream = 'http://u:hunter2@b'",
        "[[protect]]\npath = '/a'\nupstream = 'http://b?hunter2'",
    ] {
        let shown = problems(text).join("\n");
        assert!(!shown.is_empty() && !shown.contains("hunter2"), "{shown}");
    }
    let config = load_file(&format!("[[clients]]\nid = 'a'\n{digest}"), &[]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    for flag in ["--registration-token", "--database"] {
        let error = load(&[flag, "hunter2"]).unwrap_err().to_string();
        assert!(error.contains(flag) && !error.contains("hunter2"), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_secret_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let secret = written("0123456789abcdefghijkl");
    let by_file = format!("registration_token_file = {:?}", secret.path());
    for (text, has_secret) in [
        ("registration_token = '0123456789abcdefghijkl'", true),
        ("database = 'postgres://u:p@h/n'", true),
        ("database = 'postgres://h/n'", false),
        ("rate_limit = 1", false),
        (&by_file, false),
    ] {
        let file = written(text);
        for (mode, is_open) in [(0o600, false), (0o640, false), (0o644, true), (0o602, true)] {
            let changed = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(file.path(), changed).unwrap();
            let loaded = load(&["--config", file.path().to_str().unwrap()]);
            assert_eq!(loaded.is_err(), has_secret && is_open, "{mode:o} {text}");
            if let Err(error) = loaded {
                assert!(error.to_string().contains("chmod o= "), "{error}");
            }
        }
    }
    std::fs::set_permissions(secret.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = load_file(&by_file, &[]).unwrap_err().to_string();
    assert!(error.contains("chmod o= "), "{error}");
}

/// The scope of a protected path is added with the path, and a client can name it.
#[test]
fn a_client_can_name_the_scope_of_a_protected_path() {
    let protect = "[[protect]]\npath = '/a/b'\nupstream = 'http://127.0.0.1:1'\n";
    let client = |scope: &str| format!("{protect}[[clients]]\nid = 'a'\nscopes = ['{scope}']\n");
    load_file(&client("a.b"), &[]).unwrap();
    let other = problems(&client("a.c")).join("\n");
    assert!(other.contains("the scope `a.c` is not declared; did you mean `a.b`?"), "{other}");
}
