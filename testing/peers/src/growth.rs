//! How cost grows: with the number of live grants, with the tokens of a scope, with what a sweep
//! finds, and with a second core.

#[path = "../../../benches/support/mod.rs"]
mod support;
mod timing;

use std::hint::black_box;
use std::time::Instant;

use support::floor::{Floor, decode, tokens};
use support::steps::{self, Measured};
use support::{Bench, Form};
use timing::{median, medians, thread_time};

fn main() {
    memory(1_000_000);
    rotations(10_000);
    let sizes = [1_000, 100_000, 1_000_000];
    println!("nanoseconds of processor time, medians\n\nlive grants {:>23}", "");
    for size in sizes {
        grants(size);
    }
    println!("\nauthorize + approve, by tokens in the scope");
    for count in [1, 2, 4, 8, 16, 32] {
        scope(count);
    }
    println!("\nsweep of 100 grants that are due, beside live ones");
    for size in [1_000, 10_000, 100_000, 1_000_000] {
        sweep(size);
    }
    println!("\ntwo cores");
    cores();
}

/// The memory that each active grant takes, with its place in the tables.
fn memory(size: usize) {
    let before = resident();
    let bench = Bench::new();
    bench.fill(size);
    println!("{} bytes for each of {size} active grants\n", (resident() - before) / size);
}

/// The bytes of this process in memory.
fn resident() -> usize {
    const PAGE: usize = 4096;
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * PAGE
}

/// One grant, refreshed every ten minutes: what its last refreshes cost beside earlier ones, with
/// as many access tokens alive.
fn rotations(count: usize) {
    let bench = Bench::with_grants(1_000);
    let mut form = bench.refresh_form().0;
    let mut times = Vec::new();
    for _ in 0..count {
        bench.pass(600);
        let body = {
            let request = bench.token(&form);
            let entropy = bench.entropy();
            let start = thread_time();
            let body = black_box(bench.run_token(&request, entropy));
            times.push(thread_time() - start);
            body
        };
        form = Form::refresh(&tokens(&body).0);
    }
    let (early, late) = (100..200, count - 100..count);
    println!(
        "refreshes of one grant: {:.0} each from the 100th, {:.0} up to the {count}th\n",
        median(&mut times[early]),
        median(&mut times[late])
    );
}

/// Checks and refreshes of grants in no order, so that most are in no cache.
fn grants(size: usize) {
    let (bench, held) = Bench::with_tokens(size);
    let bench: &'static Bench = Box::leak(Box::new(bench));
    let held: &'static [(Form, Form)] = Box::leak(held.into_boxed_slice());
    let mut next = steps::spread(held);
    let check = Measured::new(
        "check",
        "ours",
        move || bench.check(&next().1),
        |request| assert!(black_box(bench.run_check(&request))),
        || {},
    );
    // Each grant is refreshed once: the smallest size has as many as are measured.
    let mut next = steps::spread(held);
    let refresh = Measured::new(
        "refresh",
        "ours",
        move || (bench.token(&next().0), bench.entropy()),
        |(request, entropy)| drop(black_box(bench.run_token(&request, entropy))),
        || {},
    );
    let ours = medians(&mut [check, refresh], 16, 49);

    let mut floor = Floor::default();
    let seeds = Bench::new();
    let request = steps::parsed();
    let held: Vec<_> = (0..size)
        .map(|_| floor.grant(&request, [&seeds.bytes(), &seeds.bytes(), &seeds.bytes()]))
        .collect();
    let held: &'static [(String, String)] = Box::leak(held.into_boxed_slice());
    let mut next = steps::spread(held);
    let mut times = Vec::new();
    for _ in 0..20 {
        let chunk: Vec<_> = (0..49).map(|_| decode(&next().1)).collect();
        let start = thread_time();
        chunk.iter().for_each(|token| assert!(black_box(floor.check(token))));
        times.push((thread_time() - start) / 49.0);
    }
    let floor_check = median(&mut times);
    println!("{size:>9}: check {:6.0} (floor {floor_check:4.0}), refresh {:6.0}", ours[0], ours[1]);
}

fn scope(count: usize) {
    let names: Vec<_> = (0..count).map(|number| format!("scope-{number:02}")).collect();
    let tokens: Vec<_> = names.iter().map(String::as_str).collect();
    let bench: &'static Bench = Box::leak(Box::new(Bench::with_scope(&tokens)));
    let authorize = Measured::new(
        "authorize",
        "ours",
        || {
            let form: &'static Form = Box::leak(Box::new(bench.authorize_form()));
            (bench.authorization(form), (bench.entropy(), bench.entropy()))
        },
        |(request, entropy)| {
            drop(black_box(bench.run_authorization_and_approval(&request, entropy)));
        },
        || bench.drop_new_grants(),
    );
    println!("{count:>9}: {:6.0}", medians(&mut [authorize], 40, 50)[0]);
}

fn sweep(size: usize) {
    let bench = Bench::with_grants(size);
    let mut times: Vec<_> = (0..15)
        .map(|_| {
            (0..100).for_each(|_| drop(bench.redeem_form()));
            let start = thread_time();
            assert_eq!(bench.store().sweep(Bench::when_due(), 1000), 100);
            thread_time() - start
        })
        .collect();
    println!("{size:>9}: {:9.0}", median(&mut times));
}

/// What two threads do in the time in which one does it alone. On a machine that is busy, only the
/// processor time of a call says something.
fn cores() {
    const ROUNDS: usize = 9;
    let (bench, held) = Bench::with_tokens(2_000);
    let (first, second) = held.split_at(1_000);
    let checks = |own: &[(Form, Form)]| {
        let start = thread_time();
        for _ in 0..20 {
            for (_, header) in own {
                assert!(bench.run_check(&bench.check(header)));
            }
        }
        (thread_time() - start) / (20 * own.len()) as f64
    };
    report("checks of one client", ROUNDS, &|| checks(first), &|| checks(second));
    // Each thread rotates its own grants, again and again.
    let refreshes = || {
        let mut held: Vec<_> = (0..200).map(|_| bench.refresh_form().0).collect();
        let start = thread_time();
        for _ in 0..20 {
            for form in &mut held {
                let body = bench.run_token(&bench.token(form), bench.entropy());
                *form = Form::refresh(&tokens(&body).0);
            }
        }
        (thread_time() - start) / (20.0 * 200.0)
    };
    report("refreshes of distinct grants", ROUNDS, &refreshes, &refreshes);
}

fn report(
    name: &str,
    rounds: usize,
    first: &(dyn Fn() -> f64 + Sync),
    second: &(dyn Fn() -> f64 + Sync),
) {
    let (mut alone, mut both, mut speedups) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let start = Instant::now();
        alone.push(first());
        alone.push(second());
        let one_after_the_other = start.elapsed();
        let start = Instant::now();
        std::thread::scope(|scope| {
            let other = scope.spawn(second);
            both.push(first());
            both.push(other.join().unwrap());
        });
        speedups.push(one_after_the_other.as_secs_f64() / start.elapsed().as_secs_f64());
    }
    let (alone, both) = (median(&mut alone), median(&mut both));
    println!(
        "{name:>30}: {alone:6.0} each alone, {both:6.0} each on both cores at once: \
         {:.2} times the work by processor time, {:.2} times by the clock",
        2.0 * alone / both,
        median(&mut speedups)
    );
}
