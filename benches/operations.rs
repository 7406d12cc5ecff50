//! Time of each operation, from a parsed request to the text of its response, entropy handed in,
//! grants in memory. Commits are acknowledged but not kept, so that one request can be run again
//! and again; `counts` keeps them.
//!
//! `cargo bench --bench operations`

mod support;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use support::Bench;

fn operations(criterion: &mut Criterion) {
    let bench = Bench::new();
    let (authorize, redeem, (refresh, header)) =
        (Bench::authorize_form(), bench.redeem_form(), bench.refresh_form());
    let authorization = bench.authorization(&authorize);
    let redemption = bench.token(&redeem);
    let refreshing = bench.token(&refresh);
    let check = bench.check(&header);
    let registration = bench.registration(&Bench::register_form());
    bench.frozen.store(true, std::sync::atomic::Ordering::Relaxed);
    let entropy = || bench.entropy();
    let size = BatchSize::SmallInput;
    criterion.bench_function("authorize", |timer| {
        timer.iter_batched(
            entropy,
            |entropy| black_box(bench.run_authorization(&authorization, entropy)),
            size,
        );
    });
    criterion.bench_function("redeem", |timer| {
        timer.iter_batched(
            entropy,
            |entropy| black_box(bench.run_token(&redemption, entropy)),
            size,
        );
    });
    criterion.bench_function("refresh", |timer| {
        timer.iter_batched(
            entropy,
            |entropy| black_box(bench.run_token(&refreshing, entropy)),
            size,
        );
    });
    criterion.bench_function("check", |timer| {
        timer.iter_batched(entropy, |entropy| black_box(bench.run_check(&check, entropy)), size);
    });
    criterion.bench_function("register", |timer| {
        timer.iter_batched(
            entropy,
            |entropy| black_box(bench.run_registration(&registration, entropy)),
            size,
        );
    });
}

criterion_group!(benches, operations);
criterion_main!(benches);
