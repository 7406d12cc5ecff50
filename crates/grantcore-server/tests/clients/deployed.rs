//! A new operator follows docs/deploy.md: an MCP server without OAuth, behind this server with an
//! account of its own, behind nginx with TLS.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use grantcore_testing_clients::connect_rmcp_by;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client};
use rmcp::model::CallToolRequestParams;

use super::*;
use crate::support::nginx::{self, AUTHORITY, CERTIFICATE, KEY, Nginx};
use crate::support::program::Program as Server;
use crate::support::{deploy, form, install_crypto_provider};

const SECTION: &str = "From nothing to a protected MCP server";
/// The host in place of `auth.example.com`: every client finds it without a name server.
const HOST: &str = "localhost";

/// What the page has, with the places of this test.
struct Page {
    settings: String,
    accounts: String,
    nginx: String,
}

impl Page {
    /// Reads the page. `upstream` is the MCP server, `port` that of nginx, and `own` that of the
    /// server.
    fn of(directory: &Path, upstream: &str, port: u16, own: u16) -> Self {
        let directory = directory.to_str().unwrap();
        let replace = |text: String, places: &[(&str, &str)]| {
            places.iter().fold(text, |text, (theirs, ours)| {
                assert!(text.contains(theirs), "{theirs} is not in {text}");
                text.replace(theirs, ours)
            })
        };
        let [settings] = <[String; 1]>::try_from(deploy::blocks(SECTION, "toml")).unwrap();
        let [_build, accounts] = <[String; 2]>::try_from(deploy::blocks(SECTION, "sh")).unwrap();
        let [nginx] = <[String; 1]>::try_from(deploy::blocks(SECTION, "nginx")).unwrap();
        Self {
            settings: replace(
                settings,
                &[
                    ("auth.example.com", &format!("{HOST}:{port}")),
                    ("/var/lib/grantcore", directory),
                    ("127.0.0.1:3000", upstream),
                ],
            ),
            // The user of the service does not exist here.
            accounts: replace(
                accounts,
                &[("/etc/grantcore", directory), ("chgrp grantcore", "chgrp $(id -g)")],
            ),
            nginx: replace(
                nginx,
                &[
                    ("listen 443", &format!("listen 127.0.0.1:{port}")),
                    ("server_name auth.example.com", &format!("server_name {HOST}")),
                    ("/etc/ssl/auth.example.com/fullchain.pem", CERTIFICATE),
                    ("/etc/ssl/auth.example.com/key.pem", KEY),
                    ("127.0.0.1:8080", &format!("127.0.0.1:{own}")),
                ],
            ),
        }
    }
}

/// Runs the commands of the page, which end with `check-config`.
fn run(script: &str) {
    let programs = Path::new(env!("CARGO_BIN_EXE_grantcore-server")).parent().unwrap();
    let search = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let done = Command::new("sh").args(["-eu", "-c", script]).env("PATH", search).output().unwrap();
    let errors = String::from_utf8(done.stderr).unwrap();
    let printed = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success() && printed.ends_with("\nno errors\n"), "{printed}{errors}");
}

fn http(authority: &Certificate) -> Client {
    install_crypto_provider();
    let client = Client::builder().redirect(Policy::none()).cookie_store(true);
    client.tls_certs_only([authority.clone()]).build().unwrap()
}

/// The user presses Disconnect for the first connection, and confirms it.
async fn disconnect(browser: &Browser, issuer: &str) {
    let open = async |path: &str| {
        let page = browser.http.get(format!("{issuer}{path}")).send().await.unwrap();
        page.text().await.unwrap()
    };
    let list = open("/settings/connected-apps").await;
    let entry = list.split("<a class=\"button\" href=\"").nth(1).unwrap();
    let confirm = form(&open(entry.split('"').next().unwrap()).await);
    let url = format!("{issuer}{}", confirm.action);
    let ended = browser.http.post(url).form(&confirm.fields).send().await.unwrap();
    assert_eq!(ended.status(), 303);
}

#[tokio::test]
async fn protect_every_client_connects_to_what_the_page_for_operators_sets_up() {
    if !nginx::is_installed() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (port, own) =
        (grantcore_testing_servers::free_port(), grantcore_testing_servers::free_port());
    let upstream = mcp_upstream::start().await;
    let page = Page::of(directory.path(), &upstream.to_string(), port, own);
    let file = directory.path().join("grantcore.toml");
    std::fs::write(&file, &page.settings).unwrap();
    run(&page.accounts);
    let accounts = std::fs::metadata(directory.path().join("accounts")).unwrap();
    assert_eq!(accounts.permissions().mode() & 0o777, 0o640);

    let listen = format!("127.0.0.1:{own}");
    let arguments = ["--config", file.to_str().unwrap(), "--listen", &listen];
    let log = std::fs::File::create(directory.path().join("log")).unwrap();
    let server = Server::start(&arguments, directory.path(), Stdio::from(log)).expect("a start");
    let authority = nginx::certify(directory.path(), HOST);
    let nginx = Nginx::start(directory.path(), &page.nginx, port);
    let http = || http(&authority);
    let ready = http().get(format!("http://{listen}/readyz")).send().await.unwrap();
    assert_eq!(ready.text().await.unwrap().trim(), "ready");

    let issuer = server.issuer.clone();
    let resource = format!("{issuer}/notes");
    let alice = || Browser::with(http(), "alice").password("correct horse battery staple");
    let browser = alice();
    let (service, client) = connect_rmcp_by(&resource, &browser, http()).await;
    check_forwarded(&call(&service, "whoami").await, &client);
    disconnect(&browser, &issuer).await;
    let refused = service.call_tool(CallToolRequestParams::new("whoami")).await;
    assert!(refused.is_err(), "{refused:?}");
    let admin = browser.http.get(format!("{issuer}/admin")).send().await.unwrap();
    assert_eq!(admin.status(), 200);

    let authority = directory.path().join(AUTHORITY);
    for program in [Program::Sdk1, Program::Sdk2, Program::Remote, Program::Python] {
        let arguments =
            Arguments { resource: &resource, tool: "whoami", waits: false, document: None };
        let Some(mut script) = Script::start_trusting(program, &arguments, &authority) else {
            continue;
        };
        let client = script.authorize(&alice(), "allow").await;
        assert_eq!(script.step("tools").await, "whoami", "{program:?}");
        check_forwarded(&script.step("call").await, &client);
        script.end().await;
    }
    drop(nginx);
    assert!(server.stop());
}
