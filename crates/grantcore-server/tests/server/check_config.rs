//! Tests of `check-config`: what it prints of the settings, and which faults it reports.

use std::fs;

use crate::support::commands::{files, private, run, run_with, settings, with_file};

/// A secret of a client.
const SECRET: &str = "kGvYw0mbnZ5yH3s2uQ7fXw";

#[test]
fn check_config_prints_what_would_run_and_writes_nothing() {
    let directory = with_file(&settings(8080, ""));
    let checked = run_with(
        directory.path(),
        &["check-config", "--config", "c.toml"],
        &[("GRANTCORE_DATABASE", "postgres://auth:hunter2@127.0.0.1:9/auth")],
        "",
    );
    assert_eq!(checked.code, Some(0), "{}", checked.errors);
    for part in [
        "issuer     http://127.0.0.1:8080\n",
        "database   postgres://127.0.0.1:9/auth\n",
        "  http://127.0.0.1:8080/oauth/token\n",
        "  http://127.0.0.1:8080/.well-known/oauth-authorization-server\n",
        "  http://127.0.0.1:8080/reports  (Reports)  reports\n",
        "  app  public  all scopes  http://127.0.0.1/callback",
    ] {
        assert!(checked.output.contains(part), "{part}: {}", checked.output);
    }
    assert!(!checked.output.contains("hunter2") && checked.errors.is_empty());
    let checked = run(directory.path(), &["check-config", "--config", "c.toml"]);
    assert!(checked.is_success, "{}", checked.errors);
    assert_eq!(files(directory.path()), ["c.toml"]);
    // Without a file it is the demonstration.
    let protect = [("GRANTCORE_PROTECT", "/x=http://192.0.2.1:3000")];
    let checked = run_with(directory.path(), &["check-config"], &protect, "");
    assert!(checked.output.contains("  demo-public  public"), "{}", checked.output);
    assert!(checked.output.contains("8080/x -> http://192.0.2.1:3000/  x\n"), "{}", checked.output);
    assert!(checked.errors.contains("its calls are not encrypted"), "{}", checked.errors);
    assert!(checked.output.ends_with("\n\nno errors, 1 warning\n"), "{}", checked.output);
}

/// An account that a table names and that does not exist is reported, with the one that was meant.
#[test]
fn check_config_reports_owners_and_members_without_an_account() {
    let directory = with_file(&settings(
        8080,
        "owner = 'alicia'
[[clients]]
id = 'job'
auth_method = 'federated'
machine_scopes = ['reports']
owner = 'oidc:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
[[organizations]]
id = 'acme'
members = ['bob', 'nobody']
[[trusted_issuers]]
issuer = 'https://ci.example'
profile = 'workload'
keys_uri = 'https://ci.example/jwks'
rules = [{ client = 'job', claims = { sub = 'x' } }]
[[protect]]
path = '/x'
upstream = 'http://127.0.0.1:9/'
machines = true",
    ));
    let checked = run(directory.path(), &["check-config", "--config", "c.toml"]);
    assert!(checked.is_success, "{}", checked.errors);
    let warnings: Vec<_> = checked.errors.lines().collect();
    assert_eq!(
        warnings,
        [
            "warning: client `app`: its owner `alicia` has no account, so it is refused; \
             did you mean `alice`?",
            "warning: organization `acme`: its member `nobody` has no account",
        ]
    );
    for part in [
        "8080/x -> http://127.0.0.1:9/  x  also without a user\n",
        "  job  federated  without a user: reports at every resource  with assertions of \
         https://ci.example\n",
        "  app  public  all scopes  http://127.0.0.1/callback\n",
    ] {
        assert!(checked.output.contains(part), "{part}: {}", checked.output);
    }
    assert!(checked.output.ends_with("\n\nno errors, 2 warnings\n"), "{}", checked.output);
}

#[test]
fn check_config_reports_every_error_at_once() {
    let directory = with_file(
        "issuers = 'x'\nrate_limit = 'many'\n[[scopes]]\nname = 'a'\n[[clients]]\nid = 'b'\nname = 1",
    );
    let checked = run(directory.path(), &["check-config", "--config", "c.toml"]);
    assert_eq!((checked.code, checked.output.as_str()), (Some(1), ""));
    let lines: Vec<_> = checked.errors.lines().collect();
    assert_eq!(lines[0], "grantcore-server: the settings have 4 problems");
    for (line, place) in lines[1..].iter().zip(["1:1", "2:14", "3:1", "7:8"]) {
        assert!(line.starts_with(&format!("  c.toml:{place}: ")), "{line}");
    }
    assert!(lines[1].ends_with("unknown key `issuers`; did you mean `issuer`?"), "{}", lines[1]);

    // What only the library and other files show is reported at once too, and the same by the
    // start.
    let directory = with_file(
        "issuer = 'https://auth.example.com'\naccounts = 'none'\ndocument_authority = 'none'\n\
         replay_window = '2h'\n[[resources]]\nurl = 'https://api.example'\n\
         [[clients]]\nid = 'a'\n[[clients]]\nid = 'b'\nsecret_file = 'none'\n\
         [[clients]]\nid = 'c'\nsecret = 'hunter2'\n[[clients]]\nid = 'd'\nauth_method = 'none'\n\
         secret_digest = 'sha256:00'\n[[clients]]\nid = 'e'\nredirect_uris = ['http://a.example']\n\
         [[protect]]\npath = '/login'\nupstream = 'http://a.example'\n\
         [[protect]]\npath = '/x'\nupstream = 'https://a.example'\nca_file = 'none'",
    );
    let checked = run(directory.path(), &["check-config", "--config", "c.toml"]);
    for part in [
        "the settings have 10 problems\n",
        "--accounts none: there is no such file; make it with the first account: \
         `grantcore-server add-account --accounts none NAME`",
        "replay_window 7200s is refused",
        "c.toml:7:1: client `a`: redirect_uris is empty",
        "c.toml:9:1: client `b`: secret_file: none: No such file",
        "c.toml:12:1: client `c`: secret: must be env:NAME",
        "c.toml:15:1: client `d`: secret_digest: must be sha256:",
        "c.toml:19:1: client `e`: redirect URI 'http://a.example' is refused",
        "c.toml:22:1: protect `/login`: this server itself answers at /login",
        "c.toml:25:1: protect `/x`: ca_file: ",
    ] {
        assert!(checked.errors.contains(part), "{part}: {}", checked.errors);
    }
    assert!(!checked.errors.contains("hunter2"), "{}", checked.errors);
    let listen = ["--config", "c.toml", "--listen", "127.0.0.1:0", "--database", "memory:"];
    assert_eq!(run(directory.path(), &listen).errors, checked.errors);
}

/// The way to the database, and the listener of the metrics, are checked before anything is opened.
#[test]
fn what_other_machines_can_read_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let checked = |url: &str, plaintext: &str| {
        let set = [("GRANTCORE_DATABASE", url), ("GRANTCORE_ALLOW_PLAINTEXT_REDIS", plaintext)];
        run_with(directory.path(), &["check-config"], &set, "")
    };
    let local = checked("redis://:hunter2@127.0.0.1:1/", "false");
    assert!(local.output.contains("database   redis://127.0.0.1:1/\n"), "{}", local.output);
    let tls = checked("rediss://:hunter2@r.internal/", "false");
    assert!(tls.output.contains("rediss://r.internal/  with TLS\n"), "{}", tls.output);
    for url in
        ["postgres://u:hunter2@db.internal/n?sslmode=disable", "redis://u:hunter2@r.internal/"]
    {
        let plain = checked(url, "true");
        assert!(plain.output.contains("  in plain text\n"), "{}", plain.output);
        assert!(plain.errors.contains("warning: database: the connection"), "{}", plain.errors);
    }
    let set = [("GRANTCORE_METRICS_LISTEN", "0.0.0.0:9090")];
    let open = run_with(directory.path(), &["check-config"], &set, "");
    assert!(open.errors.contains("warning: metrics_listen: other machines"), "{}", open.errors);
    let refused = checked("redis://u:hunter2@r.internal/", "false");
    assert!(!refused.is_success && refused.errors.contains("--allow-plaintext-redis"));
    assert!(!refused.errors.contains("hunter2"), "{}", refused.errors);
}

/// A resource of a protected upstream can be introspected too, and has the name of its table.
#[test]
fn a_client_introspects_tokens_of_a_protected_upstream() {
    let protect = "introspects = ['http://127.0.0.1:8080/x', 'https://y.example/mcp']
secret_file = 'secret'
[[protect]]
path = '/x'
upstream = 'http://127.0.0.1:9/'
name = 'your notes'
[[protect]]
path = '/y'
upstream = 'http://127.0.0.1:9/'
resource = 'https://y.example/mcp'";
    let directory = with_file(&settings(8080, protect));
    let secret = directory.path().join("secret");
    fs::write(&secret, SECRET).unwrap();
    private(&secret);
    let check = || run(directory.path(), &["check-config", "--config", "c.toml"]);
    let checked = check();
    assert!(checked.is_success, "{}", checked.errors);
    let introspected = "introspects tokens for http://127.0.0.1:8080/x https://y.example/mcp";
    assert!(checked.output.contains(introspected), "{}", checked.output);
    let other = settings(8080, &protect.replace("8080/x'", "8080/other'"));
    fs::write(directory.path().join("c.toml"), other).unwrap();
    let checked = check();
    assert!(checked.errors.contains("127.0.0.1:8080/other` is not declared"), "{}", checked.errors);
    let elsewhere = settings(8080, &protect.replace("127.0.0.1:8080/x'", "other.example/x'"));
    fs::write(directory.path().join("c.toml"), elsewhere).unwrap();
    assert!(!check().is_success, "the path of an upstream at another host");
}
