//! Tests of the PostgreSQL server: its start, a crash under a connection, and a restart with all
//! acknowledged data.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use std::net::{Ipv4Addr, TcpStream};

use grantcore_testing_servers::Postgres;
use tokio_postgres::{Client, NoTls};

async fn connect(server: &Postgres) -> Client {
    let (client, connection) = tokio_postgres::connect(&server.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test]
async fn acknowledged_data_survive_a_crash() {
    let Some(mut server) = Postgres::start(&[("shared_buffers", "16MB")]) else { return };
    let client = connect(&server).await;
    client.batch_execute("CREATE TABLE kept (number INTEGER)").await.unwrap();
    assert_eq!(client.execute("INSERT INTO kept VALUES (7)", &[]).await.unwrap(), 1);
    let port = server.port();

    server.kill();
    assert!(client.execute("INSERT INTO kept VALUES (8)", &[]).await.unwrap_err().is_closed());
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(), "the port is closed");

    server.restart();
    assert_eq!(server.port(), port);
    let client = connect(&server).await;
    let rows = client.query("SELECT number FROM kept", &[]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>(), [7]);
}

#[tokio::test]
async fn settings_apply_also_after_the_restart_of_a_running_server() {
    let Some(mut server) =
        Postgres::start(&[("application_name", "of the test"), ("fsync", "off")])
    else {
        return;
    };
    for _ in 0..2 {
        let row =
            connect(&server).await.query_one("SELECT current_setting('fsync')", &[]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), "off");
        server.restart();
    }
}

#[tokio::test]
async fn a_dropped_server_leaves_no_process_and_no_directory() {
    let Some(server) = Postgres::start(&[]) else { return };
    let row = connect(&server)
        .await
        .query_one("SELECT current_setting('data_directory')", &[])
        .await
        .unwrap();
    let data = std::path::PathBuf::from(row.get::<_, String>(0));
    let port = server.port();
    assert!(data.exists());
    drop(server);
    assert!(!data.exists());
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
}
