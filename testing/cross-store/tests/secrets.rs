//! The content of each store after flows of every kind: digests, and no credential.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

mod support;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use grantcore::grant::Grant;
use grantcore::store::Write;
use grantcore::{Store, blocking};
use grantcore_postgres::PostgresStore;
use grantcore_redis::RedisStore;
use grantcore_sqlite::SqliteStore;
use grantcore_testing_servers::{Postgres, Redis};
use support::{VERIFIER, grants_of, memory, posted, redemption, refreshment, ticket, tokens};

/// Returns a grant of each state, and all secrets that were disclosed on the way.
fn flows() -> (Vec<Arc<Grant>>, Vec<String>) {
    let server = memory(&Arc::default());
    let post = |form: &str| tokens(server.token(&posted(form)));
    let mut secrets = vec![VERIFIER.to_owned()];
    let users = ["waits", "approved", "redeemed", "refreshed", "replayed"];
    for (stage, user) in users.iter().enumerate() {
        let ticket = ticket(&server, user);
        secrets.push(ticket.clone());
        if stage == 0 {
            continue;
        }
        let form = redemption(&server, &ticket, user);
        secrets.extend(
            form.split('&').filter_map(|part| part.strip_prefix("code=")).map(str::to_owned),
        );
        let mut held = if stage == 1 { None } else { post(&form) };
        if stage == 3 {
            let before = held.unwrap();
            held = post(&refreshment(&before.refresh));
            secrets.extend([before.access, before.refresh]);
        }
        if stage == 4 {
            assert!(post(&form).is_none());
        }
        secrets.extend(held.into_iter().flat_map(|held| [held.access, held.refresh]));
    }
    let grants: Vec<_> = users.iter().flat_map(|user| grants_of(&server, user)).collect();
    assert_eq!((grants.len(), secrets.len()), (5, 1 + 5 + 4 + 2 + 2 + 4));
    (grants, secrets)
}

/// Asserts that no secret is in the dump: as text, as bytes, in hexadecimal or in base64.
fn is_free_of(dump: &[u8], secrets: &[String], store: &str) {
    let has = |text: &[u8]| dump.windows(text.len()).any(|part| part == text);
    for secret in secrets {
        assert!(!has(secret.as_bytes()), "{store} has {secret}");
        let Some(bytes) = secret
            .get(4..)
            .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
            .filter(|bytes| bytes.len() >= 48)
        else {
            continue;
        };
        // The grant id is not secret. The secrets after it have 32 bytes each.
        for part in bytes[16..].chunks(32) {
            let hex = hex(part);
            let forms = [part.to_vec(), hex.to_uppercase().into(), hex.into()];
            let encoded =
                [URL_SAFE_NO_PAD.encode(part).into(), STANDARD_NO_PAD.encode(part).into()];
            for form in forms.into_iter().chain(encoded) {
                assert!(!has(&form), "{store} has a secret of {secret}");
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Asserts that the dump has the records: it contains their public parts.
fn is_whole(dump: &[u8], store: &str) {
    for user in ["waits", "replayed"] {
        assert!(
            dump.windows(user.len()).any(|part| part == user.as_bytes()),
            "{store} has nothing of {user}"
        );
    }
}

async fn fill(store: &impl Store, grants: &[Arc<Grant>]) {
    for grant in grants {
        let _done = store.commit(&Write::moved(Arc::clone(grant))).await.unwrap();
    }
}

#[test]
fn store_04_no_secret_is_in_sqlite() {
    let (grants, secrets) = flows();
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("grants.sqlite")).unwrap();
    for grant in grants {
        let _done = blocking::Store::commit(&store, &Write::moved(grant)).unwrap();
    }
    let files = std::fs::read_dir(directory.path()).unwrap();
    let dump: Vec<u8> =
        files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
    is_whole(&dump, "SQLite");
    is_free_of(&dump, &secrets, "SQLite");
}

#[tokio::test]
async fn store_04_no_secret_is_in_postgresql() {
    let Some(server) = Postgres::start(&[]) else { return };
    let (grants, secrets) = flows();
    let store = PostgresStore::connect(&server.url()).await.unwrap();
    fill(&store, &grants).await;
    let rows = store.rows("SELECT row::text FROM grantcore_grants AS row", &[]).await.unwrap();
    let dump: String = rows.iter().map(|row| row.get::<_, String>(0)).collect();
    is_whole(dump.as_bytes(), "PostgreSQL");
    is_free_of(dump.as_bytes(), &secrets, "PostgreSQL");
}

#[tokio::test]
async fn store_04_no_secret_is_in_redis() {
    let Some(server) = Redis::start(&[]) else { return };
    let (grants, secrets) = flows();
    fill(&RedisStore::connect(&server.url()).await.unwrap(), &grants).await;
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<Vec<u8>> =
        redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
    let mut dump = keys.concat();
    for key in keys {
        let is_record = key.starts_with(b"grantcore:g:");
        let read = if is_record {
            redis::cmd("HVALS").arg(&key).take()
        } else {
            redis::cmd("ZRANGE").arg(&key).arg(0).arg(-1).take()
        };
        let values: Vec<Vec<u8>> = read.query_async(&mut connection).await.unwrap();
        dump.extend(values.concat());
    }
    is_whole(&dump, "Redis");
    is_free_of(&dump, &secrets, "Redis");
}

#[test]
#[should_panic(expected = "has a secret of")]
fn the_search_finds_a_secret() {
    let (_, secrets) = flows();
    let bytes = URL_SAFE_NO_PAD.decode(&secrets[1][4..]).unwrap();
    is_free_of(hex(&bytes).as_bytes(), &secrets, "this");
}
