//! The operator's list of clients: in pages, with all that exist and without those that are gone.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use grantcore::Store;
use grantcore::store::{Commit, StoreAdministration as _, Write};
use grantcore_redis::RedisStore;
use grantcore_testing_servers::{Fault, Proxy, Redis};
use redis::cmd;

use crate::place::{Place, client, days, everywhere, now, passing, stored};

async fn create(store: &RedisStore, id: &str) {
    assert_eq!(store.commit(&Write::client(None, client(id))).await.unwrap(), Commit::Done);
}

async fn paged(store: &RedisStore, limit: usize) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    loop {
        let page = store.clients(all.last().map(String::as_str), limit).await.unwrap();
        assert!(page.len() <= limit);
        if page.is_empty() {
            return all;
        }
        all.extend(page.iter().map(|stored| stored.record.id().as_str().to_owned()));
    }
}

#[tokio::test]
async fn it_comes_in_pages_in_the_order_of_the_ids() {
    everywhere(async |place: Place| {
        let store = &place.store;
        let mut ids: Vec<_> = (0..150).map(|number| format!("app-{number}")).collect();
        ids.extend(
            ["https://client.example/meta.json", "{app}", "(app", "[app", "+", "-", " ", "~"]
                .map(str::to_owned),
        );
        for id in &ids {
            create(store, id).await;
        }
        ids.sort_unstable();
        for limit in [1, 7, 64, 65, ids.len(), usize::MAX] {
            assert_eq!(paged(store, limit).await, ids, "{limit} to a page");
        }
        assert!(store.clients(None, 0).await.unwrap().is_empty());
        let after = store.clients(Some("app-2~"), 1).await.unwrap();
        assert_eq!(after[0], store.client("app-3").await.unwrap().unwrap());
    })
    .await;
}

#[tokio::test]
async fn those_that_are_gone_leave_it() {
    everywhere(async |place: Place| {
        let store = &place.store;
        let entries = async || {
            place.raw::<Vec<String>>(cmd("ZRANGE").arg("grantcore:clients").arg(0).arg(-1)).await
        };
        for number in 0..70 {
            let going = passing(&format!("app-{number}"), now().after(days(1)));
            let create = Write::client(None, going.clone());
            assert_eq!(store.commit(&create).await.unwrap(), Commit::Done);
            let delete = Write::client(Some(&stored(create.as_client())), going.deleted());
            assert_eq!(store.commit(&delete).await.unwrap(), Commit::Done);
            // As Redis does some seconds later.
            assert_eq!(
                place.raw::<u64>(cmd("DEL").arg(format!("grantcore:c:app-{number}"))).await,
                1
            );
        }
        create(store, "here").await;
        assert_eq!(entries().await.len(), 71);
        // A page is full although more than a page of those before it are gone.
        assert_eq!(store.clients(None, 1).await.unwrap()[0].record.id().as_str(), "here");
        assert_eq!(entries().await, ["here"]);
        create(store, "app-7").await;
        assert_eq!(paged(store, 10).await, ["app-7", "here"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_that_is_created_while_it_is_read_is_in_it() {
    everywhere(async |place: Place| {
        let reader = place.store.clone();
        let writer = RedisStore::connect(&place.url).await.unwrap();
        let creating = tokio::spawn(async move {
            for number in 0..300 {
                create(&writer, &format!("app-{number:03}")).await;
            }
        });
        while !creating.is_finished() {
            reader.clients(None, usize::MAX).await.unwrap();
        }
        creating.await.unwrap();
        let all: Vec<_> = (0..300).map(|number| format!("app-{number:03}")).collect();
        assert_eq!(paged(&reader, 100).await, all);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_whose_entry_was_removed_before_its_record_came_is_in_it_again() {
    let Some(server) = Redis::start(&[]) else { return };
    let proxy = Proxy::start(SocketAddr::from((Ipv4Addr::LOCALHOST, server.port())));
    let writer = RedisStore::connect(&format!("redis://{}/", proxy.address())).await.unwrap();
    let reader = Place::at(&server.url()).await;
    // The entry exists at once, and its creator is answered late.
    proxy.arm(Fault::Delay(Duration::from_secs(1)));
    let creating = tokio::spawn(async move { create(&writer, "late").await });
    let entry = async || {
        reader.raw::<Option<String>>(cmd("ZSCORE").arg("grantcore:clients").arg("late")).await
    };
    while entry().await.is_none() && !creating.is_finished() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    reader.store.clients(None, 10).await.unwrap();
    creating.await.unwrap();
    assert_eq!(paged(&reader.store, 10).await, ["late"]);
}
