//! Sessions outlive the server that opened them, and are shared by all servers on one database.
//! What is not installed is skipped, plainly.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::{authorization_url, form, param, plain_client};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use grantcore_server::Running;
use grantcore_testing_servers::{Postgres, Redis, RedisCluster};
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, Response, Url};
use sha2::{Digest as _, Sha256};

/// The issuer of all servers here: two behind one address.
const ISSUER: &str = "http://localhost";
/// As many sessions as an account may have.
const LIMIT: usize = 100;

async fn start(database: &str) -> Running {
    let arguments = ["test", "--listen", "127.0.0.1:0", "--issuer", ISSUER, "--database", database];
    Running::start(arguments).await.unwrap()
}

fn url(server: &Running, path: &str) -> Url {
    format!("http://{}{path}", server.address()).parse().unwrap()
}

/// Posts the first form of a page with these fields in addition.
async fn submit(http: &Client, server: &Running, page: &str, more: &[(&str, &str)]) -> Response {
    let form = form(page);
    let mut fields = form.fields;
    fields.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    http.post(url(server, &form.action)).form(&fields).send().await.unwrap()
}

async fn text(http: &Client, server: &Running, path: &str) -> String {
    http.get(url(server, path)).send().await.unwrap().text().await.unwrap()
}

/// Signs in, and returns the name and value of the session's cookie with its attributes.
async fn sign_in(http: &Client, server: &Running, user: &str) -> (String, BTreeSet<String>) {
    // A browser that is signed in gets no form at the login page.
    let page = text(&plain_client(false), server, "/login").await;
    let mut fields = form(&page).fields;
    let csrf = fields.iter().find(|(name, _)| name == "csrf").unwrap().1.clone();
    fields.extend([("username".into(), user.into()), ("password".into(), user.into())]);
    let own = format!("grantcore-form={csrf}");
    let answer = http.post(url(server, "/login")).header(COOKIE, own).form(&fields);
    let answer = answer.send().await.unwrap();
    assert_eq!(answer.status(), 303);
    cookie(&answer)
}

fn cookie(response: &Response) -> (String, BTreeSet<String>) {
    let mut parts = response.headers()[SET_COOKIE].to_str().unwrap().split("; ").map(str::to_owned);
    (parts.next().unwrap(), parts.collect())
}

async fn sign_out(http: &Client, server: &Running) -> Response {
    let front = text(http, server, "/").await;
    submit(http, server, &front, &[]).await
}

/// Returns whether this server knows the browser.
async fn is_signed_in(http: &Client, server: &Running) -> bool {
    holds(&http.get(url(server, "/settings/connected-apps")).send().await.unwrap())
}

/// Returns whether this cookie is one of a session, whichever browser has it.
async fn is_good(cookie: &str, server: &Running) -> bool {
    let request = plain_client(false).get(url(server, "/settings/connected-apps"));
    holds(&request.header(COOKIE, cookie).send().await.unwrap())
}

fn holds(response: &Response) -> bool {
    match response.status().as_u16() {
        200 => true,
        303 => false,
        other => panic!("{other}"),
    }
}

/// The consent page that a server shows to a browser that is signed in.
async fn consent_page(http: &Client, server: &Running) -> String {
    let asked = authorization_url(ISSUER, &format!("{ISSUER}/api"));
    let page = text(http, server, asked.strip_prefix(ISSUER).unwrap()).await;
    assert!(page.contains("Allow access"), "{page}");
    page
}

/// The consent page of one server, bound to a session, is answered at another.
async fn allow(http: &Client, server: &Running, page: &str) {
    let answer = submit(http, server, page, &[("decision", "allow")]).await;
    let location = answer.headers()[LOCATION].to_str().unwrap();
    assert!(param(&location.parse().unwrap(), "code").is_some(), "{location}");
}

#[tokio::test]
async fn a_session_survives_a_restart_of_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", directory.path().join("grants.sqlite").display());
    let first = start(&database).await;
    let alice = plain_client(true);
    let bob = plain_client(true);
    sign_in(&alice, &first, "alice").await;
    let (bobs, _) = sign_in(&bob, &first, "bob").await;
    let page = consent_page(&alice, &first).await;
    assert_eq!(sign_out(&bob, &first).await.status(), 303);
    first.stop().await.unwrap();

    let next = start(&database).await;
    assert!(is_signed_in(&alice, &next).await);
    assert!(!is_good(&bobs, &next).await, "a sign-out survives as well");
    allow(&alice, &next, &page).await;
    next.stop().await.unwrap();
}

#[tokio::test]
async fn the_database_holds_no_token_of_a_session() {
    let directory = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", directory.path().join("grants.sqlite").display());
    let server = start(&database).await;
    let (cookie, _) = sign_in(&plain_client(true), &server, "alice").await;
    let token = cookie.split_once('=').unwrap().1;
    let bits = URL_SAFE_NO_PAD.decode(token).unwrap();
    let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(&bits));
    let bytes = files(directory.path());
    let holds = |what: &[u8]| bytes.windows(what.len()).any(|window| window == what);
    assert!(holds(digest.as_bytes()), "its digest is there");
    assert!(!holds(token.as_bytes()) && !holds(&bits));
    server.stop().await.unwrap();
}

/// The bytes of all files of a directory.
fn files(directory: &Path) -> Vec<u8> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.flat_map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
}

#[tokio::test]
async fn a_sign_in_sets_a_new_cookie_each_time_and_a_sign_out_clears_it() {
    let server = start("memory:").await;
    let alice = plain_client(true);
    let (first, attributes) = sign_in(&alice, &server, "alice").await;
    let lax = ["Path=/", "HttpOnly", "SameSite=Lax"];
    let all = |age: &str| lax.iter().chain([&age]).map(|part| (*part).to_owned()).collect();
    assert!(first.starts_with("grantcore-session="), "{first}");
    assert_eq!(attributes, all("Max-Age=43200"));
    // The browser that signs in once more sends the cookie that it has.
    let front = text(&alice, &server, "/").await;
    let csrf = form(&front).fields.into_iter().find(|(name, _)| name == "csrf").unwrap().1;
    let fields = [("csrf", &*csrf), ("username", "alice"), ("password", "alice")];
    let again = alice.post(url(&server, "/login")).form(&fields).send().await.unwrap();
    assert_eq!(again.status(), 303);
    let (second, _) = cookie(&again);
    assert_ne!(first, second);
    assert!(!is_good(&first, &server).await && is_good(&second, &server).await);
    let (cleared, attributes) = cookie(&sign_out(&alice, &server).await);
    assert_eq!((cleared.as_str(), attributes), ("grantcore-session=", all("Max-Age=0")));
    assert!(!is_good(&second, &server).await);
    server.stop().await.unwrap();
}

/// The form of a page that was opened before the user signed in anew in another tab.
#[tokio::test]
async fn a_sign_out_that_does_nothing_says_so() {
    let server = start("memory:").await;
    let alice = plain_client(true);
    let (session, _) = sign_in(&alice, &server, "alice").await;
    for csrf in ["", "x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        let answer = alice.post(url(&server, "/logout")).form(&[("csrf", csrf)]).send().await;
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 403);
        assert!(answer.text().await.unwrap().contains("Nothing was changed"));
        assert!(is_good(&session, &server).await);
    }
    assert_eq!(sign_out(&alice, &server).await.status(), 303);
    let nobody = plain_client(false).post(url(&server, "/logout")).form(&[("csrf", "x")]).send();
    assert_eq!(nobody.await.unwrap().headers()[LOCATION], "/");
    server.stop().await.unwrap();
}

/// Two servers on one database are one to a browser.
async fn shared(database: &str) {
    let one = start(database).await;
    let other = start(database).await;
    let alice = plain_client(true);
    let (session, _) = sign_in(&alice, &one, "alice").await;
    assert!(is_signed_in(&alice, &other).await, "{database}");
    let page = consent_page(&alice, &one).await;
    allow(&alice, &other, &page).await;
    assert_eq!(sign_out(&alice, &other).await.status(), 303);
    for server in [&one, &other] {
        assert!(!is_good(&session, server).await, "{database}: signed out at both");
    }

    let bob = plain_client(true);
    sign_in(&bob, &one, "bob").await;
    let mut sessions = Vec::new();
    for number in 0..=LIMIT {
        let server = [&one, &other][number % 2];
        sessions.push(sign_in(&plain_client(true), server, "alice").await.0);
    }
    assert!(is_signed_in(&bob, &other).await, "{database}: alice's sign-ins end alice's sessions");
    assert!(!is_good(&sessions[0], &other).await, "{database}: the oldest made room");
    for session in [&sessions[1], &sessions[LIMIT]] {
        assert!(is_good(session, &one).await && is_good(session, &other).await, "{database}");
    }
    one.stop().await.unwrap();
    other.stop().await.unwrap();
}

#[tokio::test]
async fn two_servers_share_the_sessions_of_one_sqlite_file() {
    let directory = tempfile::tempdir().unwrap();
    shared(&format!("sqlite:{}", directory.path().join("grants.sqlite").display())).await;
}

#[tokio::test]
async fn two_servers_share_the_sessions_of_one_postgresql() {
    let Some(postgres) = Postgres::start(&[]) else { return };
    shared(&postgres.url()).await;
}

#[tokio::test]
async fn two_servers_share_the_sessions_of_one_redis() {
    let Some(redis) = Redis::start(&[]) else { return };
    shared(&redis.url()).await;
}

#[tokio::test]
async fn two_servers_share_the_sessions_of_one_redis_cluster() {
    let Some(cluster) = RedisCluster::start() else { return };
    shared(&cluster.url()).await;
}
