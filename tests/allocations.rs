//! Counts the heap allocations of one call, from the parsed request to the text of its response, so
//! that an increase is noticed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

#[path = "../benches/support/mod.rs"]
mod support;

use grantcore::value::Properties;
use support::Bench;

#[test]
fn redeem_allocates_three_times_refresh_four_times_and_a_check_never() {
    let bench = Bench::new();
    let redeem = bench.redeem_form();
    let (refresh, header) = bench.refresh_form();
    let redemption = bench.token(&redeem);
    let refreshing = bench.token(&refresh);
    let check = bench.check(&header);
    let count = |run: &dyn Fn()| allocation_counter::measure(run).count_total;
    assert_eq!(count(&|| assert!(bench.run_check(&check))), 0);
    // The record, the headers, and the body.
    assert_eq!(count(&|| drop(bench.run_token(&redemption, bench.entropy()))), 3);
    // The valid access tokens as well: a record has room for one.
    assert_eq!(count(&|| drop(bench.run_token(&refreshing, bench.entropy()))), 4);
}

/// The properties are borrowed from the record.
#[test]
fn host_04_a_check_with_properties_of_4_kib_allocates_nothing() {
    let bench = Bench::new();
    let text = format!("{{\"a\":\"{}\"}}", "x".repeat(Properties::DEFAULT_BYTES - 8));
    let redeem = bench.redeem_form_with(Some(Properties::parse(text).unwrap()));
    let (refresh, header) = bench.refresh_form_of(&redeem);
    let refreshing = bench.token(&refresh);
    let check = bench.check(&header);
    let count = |run: &dyn Fn()| allocation_counter::measure(run).count_total;
    let is_whole = || bench.check_properties(&check) == Properties::DEFAULT_BYTES;
    assert_eq!(count(&|| assert!(is_whole())), 0);
    // A refresh that leaves the properties as they are shares them.
    assert_eq!(count(&|| drop(bench.run_token(&refreshing, bench.entropy()))), 4);
}
