//! TLS to PostgreSQL and Redis, with real servers: what a URL asks for, and which server
//! certificates are accepted.

use std::path::{Path, PathBuf};

use deadpool_postgres::tokio_postgres::{self, NoTls};
use grantcore_postgres::PostgresStore;
use grantcore_testing_servers::{Postgres, Redis, free_port};
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::super::transport::{self, Transport};
use super::*;

/// The files of one authority, with the certificate and key of a server with this name.
struct Files {
    directory: TempDir,
    certificate: String,
    key: String,
}

impl Files {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap().pem();
        let directory = tempfile::tempdir().unwrap();
        let files = Self { directory, certificate, key: key.serialize_pem() };
        std::fs::write(files.authority(), issuer.pem()).unwrap();
        files
    }

    fn authority(&self) -> PathBuf {
        self.directory.path().join("authority.pem")
    }

    /// Writes the certificate and the key of the server, and returns their paths.
    fn of_server(&self) -> [String; 2] {
        [("server.pem", &self.certificate), ("server.key", &self.key)].map(|(name, text)| {
            let path = self.directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        })
    }
}

fn trusting(authority: &Path) -> DatabaseTls {
    DatabaseTls { database_authority: Some(authority.to_owned()), ..DatabaseTls::default() }
}

/// Opens a database, and returns the error if it fails.
async fn opened(url: &str, tls: &DatabaseTls) -> std::result::Result<Backend, String> {
    let database = Database::read(url).unwrap();
    Backend::open(&database, tls, 10).await.map_err(|error| error.to_string())
}

/// Checks that the store of this URL works.
async fn works(url: &str, tls: &DatabaseTls) {
    let backend = opened(url, tls).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    backend.ledger().add_account("alice", 5).await.unwrap();
    assert_eq!(backend.ledger().balance("alice").await.unwrap(), Some(5));
    assert!(backend.client("none").await.unwrap().is_none());
}

async fn is_refused(url: &str, tls: &DatabaseTls, why: &str) {
    let Err(error) = opened(url, tls).await else { panic!("{url} was opened") };
    assert!(error.contains(why) && !error.contains("hunter2"), "{url}: {error}");
}

#[tokio::test]
async fn postgres_is_reached_by_tls_if_its_authority_and_its_name_are_right() {
    let files = Files::new("localhost");
    let Some(server) = Postgres::start_with_tls(&[], &files.certificate, &files.key) else {
        return;
    };
    let port = server.port();
    let right = trusting(&files.authority());
    let url =
        |host: &str, query: &str| format!("postgres://postgres@{host}:{port}/postgres{query}");
    for mode in ["verify-full", "verify-ca", "require"] {
        works(&url("localhost", &format!("?sslmode={mode}")), &right).await;
        // Another authority of the same name.
        let other = Files::new("localhost");
        let query = format!("?sslmode={mode}");
        is_refused(&url("localhost", &query), &trusting(&other.authority()), "BadSignature").await;
        is_refused(&url("localhost", &query), &DatabaseTls::default(), "UnknownIssuer").await;
        // The name is verified in every mode.
        is_refused(&url("127.0.0.1", &query), &right, "not valid for").await;
    }
    // With an address beside the name, the name is verified.
    let elsewhere = "?hostaddr=127.0.0.1&sslmode=verify-full";
    is_refused(&url("db.internal", elsewhere), &right, "not valid for").await;

    let (client, connection) = tokio_postgres::connect(&url("127.0.0.1", ""), NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let rows = client
        .query(
            "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE application_name = 'grantcore'",
            &[],
        )
        .await
        .unwrap();
    assert!(rows.iter().all(|row| row.get::<_, bool>(0)), "each connection had TLS");

    // Channel binding needs a password: the server proves that it sees the same certificate.
    client.batch_execute("CREATE ROLE bound LOGIN SUPERUSER PASSWORD 'hunter2'").await.unwrap();
    let rules: String = client.query_one("SHOW hba_file", &[]).await.unwrap().get(0);
    let old = std::fs::read_to_string(&rules).unwrap();
    std::fs::write(&rules, format!("hostssl all bound all scram-sha-256\n{old}")).unwrap();
    client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let bound = |query: &str| {
        format!("postgres://bound:hunter2@localhost:{port}/postgres?channel_binding=require{query}")
    };
    works(&bound("&sslmode=verify-full"), &right).await;
    is_refused(&bound("&sslmode=disable"), &right, "channel binding").await;
    drop(client);
    connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_postgres_without_tls_is_refused_where_tls_is_asked_for() {
    let Some(server) = Postgres::start(&[]) else { return };
    let files = Files::new("localhost");
    let url = format!("{}?sslmode=verify-full", server.url());
    is_refused(&url, &trusting(&files.authority()), "sslmode=disable in the URL accepts").await;
    works(&server.url(), &DatabaseTls::default()).await;
    // The library's own connection with TLS does not fall back either.
    let tls = transport::connector(&trusting(&files.authority())).unwrap();
    for (query, opens) in [("", false), ("?sslmode=prefer", false), ("?sslmode=disable", true)] {
        let url = format!("{}{query}", server.url());
        let opened = PostgresStore::connect_with_tls(&url, tls.clone()).await;
        assert_eq!(opened.is_ok(), opens, "{query}");
    }
}

#[tokio::test]
async fn redis_is_reached_by_tls_if_its_authority_and_its_name_are_right() {
    let files = Files::new("localhost");
    let [certificate, key] = files.of_server();
    let port = free_port().to_string();
    let settings = [
        ("tls-port", port.as_str()),
        ("tls-cert-file", &certificate),
        ("tls-key-file", &key),
        ("tls-ca-cert-file", files.authority().to_str().unwrap()),
        ("tls-auth-clients", "no"),
    ]
    .map(|(name, value)| (name, value.to_owned()));
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let Some(_server) = Redis::start(&settings) else { return };
    let right = trusting(&files.authority());
    works(&format!("rediss://localhost:{port}/"), &right).await;
    let other = Files::new("localhost");
    is_refused(
        &format!("rediss://localhost:{port}/"),
        &trusting(&other.authority()),
        "BadSignature",
    )
    .await;
    is_refused(&format!("rediss://127.0.0.1:{port}/"), &right, "not valid for").await;
    is_refused(&format!("rediss://localhost:{port}/#insecure"), &right, "`#insecure`").await;
    // The port has TLS only.
    assert!(opened(&format!("redis://127.0.0.1:{port}/"), &right).await.is_err());
}

/// Returns what `check-config` finds about a URL: the transport, or the error.
fn checked(url: &str, tls: &DatabaseTls) -> std::result::Result<Transport, String> {
    transport::check(&Database::read(url).unwrap(), tls).map_err(|error| error.to_string())
}

#[test]
fn plain_text_to_another_machine_must_be_written_out() {
    let files = Files::new("localhost");
    let tls = trusting(&files.authority());
    let p = "postgres://u:hunter2@";
    for (url, transport) in [
        (format!("{p}127.0.0.1/n"), Transport::Local),
        (format!("{p}[::1]:5433/n"), Transport::Local),
        (format!("{p}localhost/n?sslmode=disable"), Transport::Local),
        ("postgresql:///n?host=/run/postgresql".to_owned(), Transport::Local),
        (format!("{p}localhost/n?sslmode=verify-full"), Transport::Tls),
        (format!("{p}db.internal/n"), Transport::Tls),
        (format!("{p}10.0.0.7/n?application_name=a"), Transport::Tls),
        (format!("{p}localhost,db.internal/n"), Transport::Tls),
        (format!("{p}localhost/n?hostaddr=10.0.0.7"), Transport::Tls),
        (format!("{p}localhost.example/n"), Transport::Tls),
        (format!("{p}db.internal/n?ssl%6Dode=disable"), Transport::Plain),
        ("postgres://u:a?sslmode=disable@db.internal/n".to_owned(), Transport::Tls),
        ("redis://:hunter2@127.0.0.1/".to_owned(), Transport::Local),
        ("redis-cluster://u:hunter2@[::1]:1,localhost:2".to_owned(), Transport::Local),
        ("rediss://:hunter2@r.internal".to_owned(), Transport::Tls),
        ("rediss-cluster://u:hunter2@a:1,b:2".to_owned(), Transport::Tls),
        ("memory:".to_owned(), Transport::Local),
    ] {
        assert_eq!(checked(&url, &tls).as_ref(), Ok(&transport), "{url}");
    }
    for (url, why) in [
        (format!("{p}db.internal/n?sslmode=prefer"), "turn TLS off"),
        (format!("{p}localhost/n?sslmode=allow"), "turn TLS off"),
        (format!("{p}localhost/n?sslmode=verify_full"), "must be verify-full"),
        (format!("{p}h/n?sslmode=verify-full&sslmode=disable"), "twice"),
        (format!("{p}h/n?sslmode=verify-full&sslrootcert=a.pem"), "--database-authority"),
        ("redis://:hunter2@r.internal/".to_owned(), "needs TLS"),
        ("redis-cluster://u:hunter2@127.0.0.1:1,b:2".to_owned(), "needs TLS"),
        ("rediss://:hunter2@r.internal/#insecure".to_owned(), "check of the server's"),
    ] {
        let error = checked(&url, &tls).unwrap_err();
        assert!(error.contains(why) && !error.contains("hunter2"), "{url}: {error}");
    }
    let plain = DatabaseTls { allow_plaintext_redis: true, ..DatabaseTls::default() };
    assert_eq!(checked("redis://r.internal", &plain), Ok(Transport::Plain));
    // A file without a certificate trusts nobody, and is an error before anything is opened.
    std::fs::write(files.authority(), "none").unwrap();
    for url in ["postgres://db.internal/n", "rediss://r.internal"] {
        assert!(checked(url, &tls).unwrap_err().contains("has no certificate"), "{url}");
    }
}
