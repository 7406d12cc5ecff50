//! `kill -9` of Redis, again and again, under load: with its log of writes, every acknowledged
//! write survives. With snapshots alone some are lost, and are found.

use std::thread::sleep;
use std::time::Duration;

use grantcore_testing_servers::Redis;

use crate::harmed::Harmed;

/// Starts a server with these settings, which is left alone for this time before it is killed.
fn start(settings: &[(&str, &str)], alone: Duration) -> Option<Harmed<Redis>> {
    let server = Redis::start(settings)?;
    let url = server.url();
    Some(Harmed::by(server, url, move |server| {
        sleep(alone);
        server.kill();
        server.restart();
    }))
}

#[test]
fn with_its_log_acknowledged_writes_survive_crashes() {
    let Some(killed) = start(&[], Duration::ZERO) else { return };
    let crashes = grantcore_testing_servers::crashes();
    let verdict = killed.survive(crashes);
    verdict.holds().unwrap();
    assert!(verdict.acknowledged > 10 * crashes, "{verdict:?}");
}

/// Redis takes a snapshot in each second in which something was written. The writes after the last
/// one are lost, and what they used up is usable again.
#[test]
fn with_snapshots_alone_losses_are_found() {
    let Some(killed) = start(&[("appendonly", "no"), ("save", "1 1")], Duration::from_secs(3))
    else {
        return;
    };
    let verdict = killed.survive(3);
    verdict.holds().unwrap_err();
    // Of a grant that is younger than the snapshot, all is lost, and nothing of it is usable.
    let usable_again = verdict.redeemed_twice + verdict.revived + verdict.accepted_twice;
    assert!(verdict.lost > 0 && usable_again > 0, "{verdict:?}");
}
