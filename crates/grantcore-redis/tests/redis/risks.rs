//! Risks in the settings of a server are reported, and none is refused.

use grantcore_redis::{RedisStore, Risk};
use grantcore_testing_servers::Redis;
use redis::cmd;

use crate::place::{Place, everywhere};

async fn risks(settings: &[(&str, &str)]) -> Option<Vec<Risk>> {
    let server = Redis::start(settings)?;
    Some(RedisStore::connect(&server.url()).await.unwrap().risks().await.unwrap())
}

#[tokio::test]
async fn a_durable_server_has_none() {
    everywhere(async |place: Place| {
        assert_eq!(place.store.risks().await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn each_risk_is_reported() {
    let Some(found) = risks(&[("appendonly", "no")]).await else { return };
    assert_eq!(found, [Risk::NoLog]);
    let found =
        risks(&[("appendfsync", "everysec"), ("maxmemory-policy", "allkeys-lru")]).await.unwrap();
    assert_eq!(found, [Risk::Evicts("allkeys-lru".into()), Risk::LateLog("everysec".into())]);
    let warnings: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert!(
        warnings[0].contains("maxmemory-policy is allkeys-lru")
            && warnings[1].contains("appendfsync is everysec"),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn a_risk_of_a_single_cluster_node_is_reported() {
    let Some(cluster) = grantcore_testing_servers::RedisCluster::start() else { return };
    let mut node =
        redis::Client::open(cluster.urls()[1].as_str()).unwrap().get_connection().unwrap();
    cmd("CONFIG").arg("SET").arg("maxmemory-policy").arg("volatile-ttl").exec(&mut node).unwrap();
    let store = RedisStore::connect(&cluster.url()).await.unwrap();
    assert_eq!(store.risks().await.unwrap(), [Risk::Evicts("volatile-ttl".into())]);
}

#[tokio::test]
async fn other_risks_are_reported_without_access_to_the_settings() {
    let Some(server) =
        Redis::start(&[("appendfsync", "everysec"), ("maxmemory-policy", "allkeys-lru")])
    else {
        return;
    };
    let mut host = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    cmd("ACL").arg("SETUSER").arg("default").arg("-config").exec(&mut host).unwrap();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    assert_eq!(store.risks().await.unwrap(), [Risk::Evicts("allkeys-lru".into())]);
}
