//! Tests of the Redis servers: their start, their data after a kill, and their end when they are
//! dropped.
//!
//! What never lives here: tests of a store.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use std::io::{Read, Write};
use std::net::TcpStream;

use grantcore_testing_servers::{Redis, RedisCluster};

/// Sends one line and reads one response.
fn say(port: u16, line: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(format!("{line}\r\n").as_bytes()).unwrap();
    let mut answer = [0; 4096];
    let length = stream.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

fn port_of(url: &str) -> u16 {
    url.trim_end_matches('/').rsplit_once(':').unwrap().1.parse().unwrap()
}

#[test]
fn acknowledged_data_survive_a_kill() {
    let Some(mut server) = Redis::start(&[]) else { return };
    let port = server.port();
    assert_eq!(server.url(), format!("redis://127.0.0.1:{port}/"));
    assert_eq!(say(port, "SET kept yes"), "+OK\r\n");
    server.kill();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    server.restart();
    assert_eq!(server.port(), port);
    assert_eq!(say(port, "GET kept"), "$3\r\nyes\r\n");
    drop(server);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn settings_override_the_defaults() {
    let Some(server) = Redis::start(&[("appendonly", "no"), ("maxmemory-policy", "allkeys-lru")])
    else {
        return;
    };
    assert!(say(server.port(), "CONFIG GET appendonly").ends_with("\r\nno\r\n"));
    assert!(say(server.port(), "CONFIG GET appendfsync").ends_with("\r\nalways\r\n"));
    assert!(say(server.port(), "CONFIG GET maxmemory-policy").ends_with("\r\nallkeys-lru\r\n"));
}

#[test]
fn a_cluster_shares_the_keys_and_survives_a_node() {
    let Some(mut cluster) = RedisCluster::start() else { return };
    let ports: Vec<_> = cluster.urls().iter().map(|url| port_of(url)).collect();
    assert_eq!(
        cluster.url(),
        format!(
            "redis-cluster://127.0.0.1:{},127.0.0.1:{},127.0.0.1:{}",
            ports[0], ports[1], ports[2]
        )
    );
    // The keys a, b and c are in slots of the third, the first and the second node.
    for (key, owner) in [("a", 2), ("b", 0), ("c", 1)] {
        for (node, port) in ports.iter().enumerate() {
            let answer = say(*port, &format!("SET {key} yes"));
            assert_eq!(answer.starts_with("+OK"), node == owner, "{answer}");
            assert_eq!(answer.starts_with("-MOVED"), node != owner, "{answer}");
        }
    }
    cluster.kill(2);
    assert!(TcpStream::connect(("127.0.0.1", ports[2])).is_err());
    cluster.restart(2);
    assert_eq!(say(ports[2], "GET a"), "$3\r\nyes\r\n");
    drop(cluster);
    assert!(ports.iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_err()));
}
