//! Runs each example as a reader does, and checks what it prints.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

mod support;

use std::path::Path;
use std::process::Command;

use support::example;

/// Runs an example, and returns the lines that it printed.
fn lines(binary: impl AsRef<Path>) -> Vec<String> {
    let output = Command::new(binary.as_ref()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {}\n{errors}", binary.as_ref().display(), output.status);
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Checks that these texts are in lines of the output, in this order.
fn assert_in_order(lines: &[String], expected: &[&str]) {
    let mut rest = lines.iter();
    for text in expected {
        let found = rest.any(|line| line.contains(text));
        assert!(found, "{text:?} is not in the output, or not in its place:\n{}", lines.join("\n"));
    }
}

#[test]
fn quickstart() {
    let printed = lines(env!("CARGO_BIN_EXE_quickstart"));
    assert_in_order(
        &printed,
        &[
            "303 https://app.example/cb?code=gac_",
            "200 {\"access_token\":\"gat_",
            "accepted: notes-app calls for alice",
            "event: tokens_refreshed client=notes-app subject=alice",
            "200 {\"access_token\":\"gat_",
            "event: refused reason=refresh_reused",
            "400 {\"error\":\"invalid_grant\"",
            "event: refused reason=token_revoked",
            "the client receives 401 invalid_token",
        ],
    );
}

#[test]
fn blocking() {
    let printed = lines(env!("CARGO_BIN_EXE_blocking"));
    assert_in_order(
        &printed,
        &[
            "without a session: 401",
            "consent page: 200 Allow cli to use",
            "consent: 303 https://cli.example/cb?code=gac_",
            "redemption: 200 {\"access_token\":\"gat_",
            "call: 200 Notes of alice.",
            "call while alice is locked: 401 {\"error\":\"invalid_token\"",
            "call after that: 200 Notes of alice.",
            "redemption of the same code: 400 {\"error\":\"invalid_grant\"",
            "call after the replay: 401 {\"error\":\"invalid_token\"",
        ],
    );
}

#[test]
fn own_store() {
    let printed = lines(example("own_store"));
    assert_in_order(
        &printed,
        &[
            "before the restart: accepted, for alice",
            "after the restart: accepted, for alice",
            "the same code again: {\"error\":\"invalid_grant\"",
            "after that replay: refused, token_revoked",
            "swept: 0, grants of alice: 1",
            "swept: 1, grants of alice: 0",
        ],
    );
}

#[test]
fn tenants() {
    let printed = lines(example("tenants"));
    assert_in_order(
        &printed,
        &[
            "alice is asked for access to acme: Allow",
            "alice is asked for access to globex: Allow",
            "alice is asked for access to initech: Deny",
            "a stranger: None",
            "the token for acme: the notes of alice at acme",
            "the token for acme: 401 at globex",
            "the token for globex: 401 at acme",
            "the token for globex: the notes of alice at globex",
        ],
    );
    for org in ["acme", "globex"] {
        assert!(printed.contains(&format!("connected: https://{org}.notes.example/mcp")));
    }
}
