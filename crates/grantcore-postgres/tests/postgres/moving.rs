//! All that is in a store is listed in pages, and can be written to another.

use std::sync::Arc;

use crate::support::{Database, app, grant, life};
use grantcore::store::{Change, Commit, Counts, StoreAdministration as _, Write};
use grantcore::{Account, Accounts, Store};

#[tokio::test]
async fn what_is_listed_here_can_be_written_there() {
    let (Some(from), Some(to)) = (Database::new().await, Database::new().await) else { return };
    let from = from.store().await;
    let to = to.store().await;
    let mut last = Vec::new();
    for subject in ["alice", "bob", "carol"] {
        let writes = life(subject, "s", 1);
        for write in &writes {
            assert_eq!(from.commit(write).await.unwrap(), Commit::Done);
        }
        last.push(grant(writes.last().unwrap()).stored());
    }
    last.sort_by_key(|stored| stored.record.id());
    assert_eq!(from.commit(&Write::client(None, app("app"))).await.unwrap(), Commit::Done);
    for subject in ["", "bob", "Bob"] {
        assert!(from.raise_epoch(subject).await.unwrap());
    }
    from.set_suspended("bob", true).await.unwrap();
    let raised = Account { suspended: false, epoch: 1 };
    let accounts = [("", raised), ("Bob", raised), ("bob", Account { suspended: true, epoch: 1 })];
    let accounts =
        accounts.map(|(subject, account)| (grantcore::value::Subject::new(subject), account));

    assert_eq!(from.grants(None, 2).await.unwrap(), last[..2]);
    assert_eq!(from.grants(Some(last[1].record.id()), 2).await.unwrap(), last[2..]);
    assert_eq!(from.accounts(None, 2).await.unwrap(), accounts[..2]);
    assert_eq!(from.accounts(Some("Bob"), 2).await.unwrap(), accounts[2..]);
    assert_eq!(from.accounts(Some(""), 9).await.unwrap(), accounts[1..]);

    for stored in from.grants(None, 9).await.unwrap() {
        assert_eq!(to.commit(&Write::moved(stored.record)).await.unwrap(), Commit::Done);
    }
    to.set_suspended("Bob", true).await.unwrap();
    for (subject, account) in from.accounts(None, 9).await.unwrap() {
        to.put_account(subject.as_str(), account).await.unwrap();
    }
    assert_eq!(from.counts().await.unwrap(), Counts::new(1, 3));
    assert_eq!(to.counts().await.unwrap(), Counts::new(0, 3));
    let moved = to.grants(None, 9).await.unwrap();
    for stored in &moved {
        let moved = Write::moved(Arc::clone(&stored.record));
        assert_eq!(Some(stored.version), moved.as_grant().map(Change::version));
    }
    assert!(moved.iter().map(|stored| &stored.record).eq(last.iter().map(|stored| &stored.record)));
    assert_eq!(to.accounts(None, 9).await.unwrap(), accounts);
}

#[tokio::test]
async fn an_epoch_of_any_size_is_kept() {
    let Some(database) = Database::new().await else { return };
    let store = database.store().await;
    for epoch in [0, 1 << 62, i64::MAX.unsigned_abs() + 1, u64::MAX] {
        let account = Account { suspended: epoch == 0, epoch };
        store.put_account("alice", account).await.unwrap();
        assert_eq!(store.account("alice").await.unwrap(), Some(account));
    }
}
