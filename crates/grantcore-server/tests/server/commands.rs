//! Tests of the commands: accounts and clients are added, and a store is moved.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::support::commands::{
    authenticates, connect, files, refresh, run, run_with, settings, start, with_file,
};
use crate::support::program::Program;
use crate::support::{Browser, param, plain_client};

#[cfg(unix)]
#[tokio::test]
async fn add_account_replaces_the_file_at_once_and_keeps_its_permissions() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let add = |more: &[&str], password: &str| {
        let arguments = [&["add-account", "--accounts", "link"], more].concat();
        run_with(path, &arguments, &[], password)
    };
    symlink("accounts", path.join("link")).unwrap();
    fs::write(path.join("accounts"), "# those of the office\n").unwrap();
    let real = path.join("accounts");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    let before = fs::metadata(&real).unwrap();
    let added = add(&["alice"], "correct horse\n");
    assert!(added.is_success && added.output.is_empty(), "{}", added.errors);
    // A third file could have the number of the first, which is free again.
    assert_ne!(fs::metadata(&real).unwrap().ino(), before.ino(), "the file is another one");
    assert!(add(&["root", "--admin"], "battery staple").is_success);
    let after = fs::metadata(&real).unwrap();
    assert_eq!(
        (after.mode(), after.uid(), after.gid()),
        (before.mode(), before.uid(), before.gid())
    );
    assert!(fs::symlink_metadata(path.join("link")).unwrap().is_symlink());
    let text = fs::read_to_string(&real).unwrap();
    assert!(text.starts_with("# those of the office\nalice:$argon2id$"), "{text}");
    assert!(text.ends_with(":admin\n") && !text.contains("correct horse"), "{text}");
    // What is refused changes nothing, and leaves no file behind.
    for (arguments, password, why) in [
        (&["alice"][..], "another one", "exists already"),
        (&["al ice"], "another one", "without spaces, "),
        (&["a:b"], "another one", "colons"),
        (&["#c"], "another one", "not begin with #"),
        (&["bob"], "\n", "no password"),
        (&["bob"], "ünïcöd\n", "it has 6 characters, and at least 8 are needed"),
    ] {
        let refused = add(arguments, password);
        assert_eq!(refused.code, Some(1), "{arguments:?}");
        assert!(refused.errors.contains(why), "{arguments:?}: {}", refused.errors);
        assert_eq!(fs::read_to_string(&real).unwrap(), text);
    }
    assert_eq!(files(path), ["accounts", "link"]);
    assert!(add(&["alice", "--replace"], "new horse").is_success);
    let replaced = fs::read_to_string(&real).unwrap();
    assert_eq!(replaced.lines().count(), text.lines().count());

    // A missing file is for its owner only.
    let new = ["add-account", "--accounts", "new", "alice"];
    assert!(run_with(path, &new, &[], "8 letters").is_success);
    assert_eq!(fs::metadata(path.join("new")).unwrap().mode() & 0o777, 0o600);
    assert!(!run_with(path, &["add-account", "alice"], &[], "8 letters").is_success);

    // Accounts that are added at once are all there.
    let names: Vec<_> = (0..6).map(|number| format!("user{number}")).collect();
    std::thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| assert!(add(&[name], "password").is_success));
        }
    });
    let text = fs::read_to_string(&real).unwrap();
    assert!(names.iter().all(|name| text.contains(&format!("{name}:$"))), "{text}");

    // The accounts can sign in.
    let flags = ["--listen", "127.0.0.1:0", "--database", "memory:", "--accounts", "accounts"];
    let program = Program::start(&flags, path, Stdio::null()).unwrap();
    let (issuer, resource) = (program.issuer.clone(), format!("{}/api", program.issuer));
    let url = crate::support::authorization_url(&issuer, &resource);
    let at = Browser::new("alice").password("new horse").authorize(&url, "allow").await;
    assert!(param(&at, "code").is_some(), "{at}");
    assert!(program.stop());
}

#[tokio::test]
async fn a_client_is_added_and_its_secret_rotated_while_the_server_runs() {
    let port = grantcore_testing_servers::free_port();
    let directory = with_file(&settings(port, ""));
    let path = directory.path();
    let program = start(path);
    let issuer = program.issuer.clone();
    let database = ["--database", "sqlite:grants.sqlite"];
    let uri = "https://wiki.example/cb";
    let add = ["add-client", "wiki", "--name", "Wiki", "--redirect-uri", uri];
    let added = run(path, &[&add[..], &database].concat());
    assert!(added.is_success && !added.errors.contains(added.output.trim()), "{}", added.errors);
    let secret = added.output.trim();
    assert!(secret.len() == 47 && secret.starts_with("gcs_"), "{secret}");
    assert!(authenticates(&issuer, "wiki", secret).await);

    let config = ["--config", "c.toml"];
    let rotated = run(path, &[&["rotate-secret", "wiki"][..], &config].concat());
    assert!(rotated.is_success && rotated.errors.contains("ends in 1day"), "{}", rotated.errors);
    assert!(authenticates(&issuer, "wiki", secret).await, "the old secret works for a day");
    let second = rotated.output.trim();
    assert!(second.len() == 47 && second.starts_with("gcs_"), "one form: {second}");
    assert!(authenticates(&issuer, "wiki", second).await);
    let at_once = ["rotate-secret", "wiki", "--overlap", "0s"];
    let rotated = run(path, &[&at_once[..], &config].concat());
    assert!(rotated.is_success, "{}", rotated.errors);
    for old in [secret, second] {
        assert!(!authenticates(&issuer, "wiki", old).await, "it ends at once");
    }
    assert!(authenticates(&issuer, "wiki", rotated.output.trim()).await);
    assert!(program.stop());

    let public = ["add-client", "tool", "--auth-method", "none", "--redirect-uri"];
    let public = run(path, &[&public[..], &["http://127.0.0.1/cb"], &config].concat());
    assert!(public.is_success && public.output.is_empty(), "{}", public.errors);
    let server =
        run(path, &[&["add-client", "server", "--machine", "reports"][..], &config].concat());
    assert!(server.is_success && server.output.trim().len() == 47, "{}", server.errors);
    for (arguments, why) in [
        (&["add-client", "wiki", "--redirect-uri", uri][..], "exists already"),
        (&["add-client", "x", "--auth-method", "none"], "needs --redirect-uri URI"),
        (&["add-client", "x", "--redirect-uri", "http://a.example"], "is refused"),
        (&["add-client", "x", "--scope", "a\"b"], "--scope: "),
        (&["add-client", "app", "--redirect-uri", uri], "declared in the file"),
        (&["rotate-secret", "app"], "declared in the file"),
        (&["rotate-secret", "nobody"], "there is no client `nobody`"),
        (&["rotate-secret", "tool"], "is public"),
        (
            &["rotate-secret", "wiki", "--overlap", "31d"],
            "at most 30 days, in whole seconds. Write",
        ),
        (
            &["add-client", "x"],
            "needs --redirect-uri URI for access that users give it, or --machine",
        ),
        (
            &["add-client", "x", "--redirect-uri", uri, "--scope", "reports report"],
            "--scope: `report` is no scope of c.toml; did you mean `reports`?",
        ),
        (
            &["add-client", "x", "--machine", "admin"],
            "--machine: `admin` is no scope of c.toml; declared: reports",
        ),
        (
            &["add-client", "x", "--machine", "reports", "--machine-resource", "https://x.example"],
            "--machine-resource: `https://x.example` is no resource of c.toml; d",
        ),
        (
            &["add-client", "x", "--machine", "reports", "--owner", "alicia"],
            "--owner: `alicia` is no account of c.toml; did you mean `alice`?",
        ),
        (&["rotate-secret", "wiki", "--database", "sqlite:none.sqlite"], "no such file"),
        (&["add-client", "x", "--database", "memory:"], "lost at exit"),
    ] {
        let refused = run(path, &[arguments, &config].concat());
        assert_eq!((refused.code, refused.output.as_str()), (Some(1), ""), "{arguments:?}");
        assert!(refused.errors.contains(why), "{arguments:?}: {}", refused.errors);
    }
    assert!(!path.join("none.sqlite").exists());
}

/// Adds the mark of an assertion that was used, by its record.
fn add_mark(database: &Path) {
    let mark = r#"{"schema":1,"key":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc","by":"09090909090909090909090909090909","end":4000000000}"#;
    let database = rusqlite::Connection::open(database).unwrap();
    let values = rusqlite::params![[7_u8; 32], 4_000_000_600_u64.cast_signed(), mark];
    database.execute("INSERT INTO grantcore_seen VALUES (?, ?, ?)", values).unwrap();
}

/// Moves to each database that is installed, and serves what was moved.
#[tokio::test]
async fn a_moved_store_has_the_connections_the_clients_and_the_accounts() {
    let port = grantcore_testing_servers::free_port();
    let directory = with_file(&settings(port, ""));
    let path = directory.path();
    let program = start(path);
    let issuer = program.issuer.clone();
    let resource = format!("{issuer}/api");
    let tokens = connect(&issuer, &resource).await;
    let spent = plain_client(false)
        .get(&resource)
        .bearer_auth(tokens["access_token"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(spent.status(), 200);
    let admin = Browser::new("admin");
    let _signed_in = admin.authorize(&authorization(&issuer, &resource), "allow").await;
    let page = admin.http.get(format!("{issuer}/admin/accounts/bob")).send().await.unwrap();
    let page = page.text().await.unwrap();
    let csrf =
        crate::support::form(&page).fields.into_iter().find(|(name, _)| name == "csrf").unwrap().1;
    let form = [("act", "suspend-account"), ("subject", "bob"), ("csrf", &*csrf), ("reason", "x")];
    let act = admin.http.post(format!("{issuer}/admin/act")).form(&form).send().await.unwrap();
    assert_eq!(act.status(), 303);
    assert!(program.stop());
    let secret = run(
        path,
        &["add-client", "wiki", "--redirect-uri", "https://w.example/", "--config", "c.toml"],
    );
    let secret = secret.output.trim();
    add_mark(&path.join("grants.sqlite"));

    let postgres = grantcore_testing_servers::Postgres::start(&[]);
    let redis = grantcore_testing_servers::Redis::start(&[]);
    let mut targets = vec!["sqlite:moved.sqlite".to_owned()];
    targets.extend(postgres.as_ref().map(grantcore_testing_servers::Postgres::url));
    targets.extend(redis.as_ref().map(grantcore_testing_servers::Redis::url));
    let mut refresh_token = tokens["refresh_token"].as_str().unwrap().to_owned();
    let mut from = "sqlite:grants.sqlite".to_owned();
    for to in targets {
        let set = [("OLD", from.as_str()), ("NEW", to.as_str())];
        let command = ["move-store", "--from", "env:OLD", "--to", "env:NEW"];
        let moved = run_with(path, &command, &set, "");
        assert!(moved.is_success, "{}", moved.errors);
        assert!(moved.output.starts_with("moved 2 clients, "), "{}", moved.output);
        assert!(
            moved.output.contains(" grants, 1 marks and 4 accounts (1 suspended or ended) to "),
            "{}",
            moved.output
        );
        // Again: refused without --resume, and with it the same.
        let again = run_with(path, &command, &set, "");
        assert!(again.code == Some(1) && again.errors.contains("is not empty"), "{}", again.errors);
        let resumed = || run_with(path, &[&command[..], &["--resume"]].concat(), &set, "");
        let again = resumed();
        assert!(again.is_success && again.output == moved.output, "{}", again.errors);
        if let Some(file) = to.strip_prefix("sqlite:") {
            // As if the move had been interrupted between any two records.
            for part in [
                "DELETE FROM balances WHERE subject <> 'alice'",
                "DELETE FROM grantcore_accounts; DELETE FROM balances",
                "DELETE FROM grantcore_seen",
                "DELETE FROM grantcore_grants WHERE rowid = (SELECT min(rowid) FROM grantcore_grants)",
                "DELETE FROM grantcore_grants; DELETE FROM grantcore_clients WHERE id <> 'app'",
            ] {
                let there = rusqlite::Connection::open(path.join(file)).unwrap();
                there.execute_batch(part).unwrap();
                drop(there);
                let again = resumed();
                assert!(again.is_success && again.output == moved.output, "{}", again.errors);
            }
        }

        let flags = ["--config", "c.toml", "--database", &to];
        let program = Program::start(&flags, path, Stdio::null()).unwrap();
        let next = refresh(&issuer, &refresh_token).await;
        refresh_token =
            next["refresh_token"].as_str().unwrap_or_else(|| panic!("{to}: {next}")).to_owned();
        assert!(authenticates(&issuer, "wiki", secret).await);
        let _signed_in = admin.authorize(&authorization(&issuer, &resource), "deny").await;
        let page = admin.http.get(format!("{issuer}/admin/accounts/bob")).send().await.unwrap();
        let page = page.text().await.unwrap();
        assert!(page.contains("Suspended"), "{page}");
        let page = admin.http.get(format!("{issuer}/admin/accounts/alice")).send().await.unwrap();
        assert!(page.text().await.unwrap().contains("999"), "one unit of the balance was spent");
        assert!(program.stop());

        // The target was served, and has other records now.
        let late = resumed();
        assert!(late.code == Some(1) && late.errors.contains("differ"), "{}", late.errors);
        from = to;
    }
    for (from, to, why) in [
        ("sqlite:none.sqlite", "sqlite:new.sqlite", "no such file"),
        ("sqlite:grants.sqlite", "sqlite:grants.sqlite", "the same database"),
        ("memory:", "sqlite:new.sqlite", "lost at exit"),
    ] {
        let refused = run(path, &["move-store", "--from", from, "--to", to]);
        assert!(refused.code == Some(1) && refused.errors.contains(why), "{}", refused.errors);
        assert!(!path.join("new.sqlite").exists() && !path.join("none.sqlite").exists());
    }
    let wrong = run(path, &["move-store", "--from", "postgre://u:hunter2@h/", "--to", "memory:"]);
    assert!(
        wrong.errors.contains("--from") && !wrong.errors.contains("hunter2"),
        "{}",
        wrong.errors
    );
}

fn authorization(issuer: &str, resource: &str) -> String {
    crate::support::authorization_url(issuer, resource).replace("demo-public", "app")
}
