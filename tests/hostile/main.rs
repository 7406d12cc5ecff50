//! Hostile requests against a whole [`Server`](grantcore::Server), judged by an oracle that shares
//! no code with the crate.
//!
//! A case is a list of numbers. Each number seeds one step: a request that an honest client could
//! send at this point, with zero to three changes. The oracle parses the bytes of the request
//! itself, knows the owner of each credential from earlier responses, and compares the store before
//! and after. A failing case is reduced to the shortest list that still fails.
//!
//! `GRANTCORE_HOSTILE_REQUESTS` sets the number of requests: 20,000 by default, more in CI.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]
#![allow(unreachable_pub, reason = "one crate, several modules")]

mod cast;
mod errors;
mod generate;
mod model;
mod oracle;
mod proofs;
mod random;
mod targets;
mod wire;

use crate::cast::Cast;
use crate::oracle::Seen;
use crate::random::Random;

/// The number of steps in one world.
const STEPS: usize = 250;

#[allow(clippy::disallowed_methods, reason = "CI runs more of them than a developer")]
fn requests() -> usize {
    std::env::var("GRANTCORE_HOSTILE_REQUESTS")
        .map_or(20_000, |wanted| wanted.parse().expect("GRANTCORE_HOSTILE_REQUESTS is a number"))
}

/// Runs the steps in a new world.
fn run(world: u64, steps: &[u64]) -> Result<Seen, String> {
    let mut cast = Cast::new(Random::new(world));
    let mut seen = Seen::default();
    for step in steps {
        let request = generate::step(&cast, &mut Random::new(*step));
        let counted = oracle::judge(&mut cast, &request)
            .map_err(|fault| format!("{fault}\nin {request:?}"))?;
        seen = seen.and(counted);
    }
    Ok(seen)
}

/// Returns the shortest failing list of steps that it finds. Parts are left out, halves first.
fn shrunk(mut steps: Vec<u64>, fails: impl Fn(&[u64]) -> bool) -> Vec<u64> {
    let mut part = steps.len() / 2;
    while part > 0 {
        let mut at = 0;
        while at < steps.len() {
            let mut fewer = steps.clone();
            fewer.drain(at..(at + part).min(steps.len()));
            if fails(&fewer) {
                steps = fewer;
            } else {
                at += part;
            }
        }
        part /= 2;
    }
    steps
}

/// Checks I1, I2, I4, I6, I7, I9, I21, I22, I25, I30 and I44 over arbitrary sequences of requests.
#[test]
fn i44_tokens_go_only_to_the_client_that_the_request_named_and_that_authenticated() {
    let mut seeds = Random::new(44);
    let mut seen = Seen::default();
    while seen.requests < requests() {
        let world = seeds.next();
        let steps: Vec<u64> = (0..STEPS).map(|_| seeds.next()).collect();
        let Ok(counted) = run(world, &steps) else {
            let steps = shrunk(steps, |steps| run(world, steps).is_err());
            let fault = run(world, &steps).expect_err("it fails");
            panic!("{fault}\nafter {} steps: run({world}, &{steps:?})", steps.len());
        };
        seen = seen.and(counted);
    }
    println!("{seen:?}");
    // If all requests were refused, the run would prove nothing.
    assert!(seen.tokens * 50 > seen.requests, "{seen:?}");
    assert!(seen.ended * 200 > seen.requests, "{seen:?}");
    assert!(seen.redirects * 50 > seen.requests, "{seen:?}");
    assert!(seen.refused * 4 > seen.requests, "{seen:?}");
}

#[allow(clippy::disallowed_methods, reason = "CI runs more of them than a developer")]
fn programs() -> usize {
    std::env::var("GRANTCORE_MODEL_PROGRAMS")
        .map_or(40, |wanted| wanted.parse().expect("GRANTCORE_MODEL_PROGRAMS is a number"))
}

/// Answers that programs must reach, each at least once in so many steps.
const REACHED: [(&str, &str, usize); 26] = [
    ("authorize", "consent", 50),
    ("authorize", "page", 100),
    ("authorize", "document", 200),
    ("authorize", "code", 1_500),
    ("consent", "invalid_scope", 5_000),
    ("register", "registration", 200),
    ("read", "registration", 1_000),
    ("update", "registration", 500),
    ("update", "invalid_token", 500),
    ("delete", "done", 2_000),
    ("consent", "code", 50),
    ("consent", "access_denied", 500),
    ("consent", "page", 100),
    ("redeem", "tokens", 100),
    ("redeem", "invalid_grant", 50),
    ("redeem", "unavailable", 1_000),
    ("refresh", "tokens", 50),
    ("refresh", "invalid_grant", 50),
    ("refresh", "invalid_client", 200),
    ("refresh", "invalid_scope", 500),
    ("refresh", "unavailable", 1_000),
    ("check", "active", 100),
    ("check", "insufficient_scope", 500),
    ("introspect", "active", 500),
    ("revoke", "done", 100),
    ("disconnect", "done", 200),
];

/// Checks I6 to I13, I17 to I23, I25, I29, I44, I47 and I50 over random programs, on both faces, with
/// every fault of a store.
#[test]
fn i22_i29_i50_every_answer_of_a_random_program_is_that_of_the_model() {
    let mut seeds = Random::new(22);
    let mut all = model::play::Reached::default();
    for _ in 0..programs() {
        let world = seeds.next();
        let steps: Vec<u64> = (0..STEPS).map(|_| seeds.next()).collect();
        let reached = model::run(world, &steps).unwrap_or_else(|_| {
            let steps = shrunk(steps, |steps| model::run(world, steps).is_err());
            let fault = model::run(world, &steps).expect_err("it fails");
            panic!("{fault}\nafter {} steps: model::run({world}, &{steps:?})", steps.len());
        });
        all.add(&reached);
    }
    println!("{all:#?}");
    // If everything was refused, the programs would prove nothing.
    for (request, answer, share) in REACHED {
        let count = all.answers.get(&(request, answer)).copied().unwrap_or_default();
        assert!(count * share > all.steps, "{request} had {answer} {count} times: {all:#?}");
    }
}

/// Answers that programs of machines and assertions must reach.
const REACHED_BY_PROOFS: [(&str, &str, usize); 15] = [
    ("keys", "anew", 1_000),
    ("keys", "stale", 2_000),
    ("keys", "missing", 500),
    ("keys", "unreachable", 200),
    ("machine", "tokens", 50),
    ("machine", "invalid_client", 50),
    ("machine", "unauthorized_client", 200),
    ("machine", "unavailable", 500),
    ("exchange", "tokens", 50),
    ("exchange", "invalid_grant", 20),
    ("exchange", "invalid_client", 50),
    ("exchange", "unauthorized_client", 5_000),
    ("exchange", "unavailable", 500),
    ("check", "active", 100),
    ("check", "inactive", 100),
];

/// Checks I32, I33, I37, I39, I42 and I44 over random programs at four nodes, with a thief who sends
/// every assertion again, and with every fault of a store.
#[test]
fn i32_i39_i44_a_stolen_assertion_is_worth_nothing_at_any_node() {
    let mut seeds = Random::new(32);
    let mut all = model::play::Reached::default();
    for _ in 0..programs() {
        let world = seeds.next();
        let steps: Vec<u64> = (0..STEPS).map(|_| seeds.next()).collect();
        let reached = proofs::run(world, &steps).unwrap_or_else(|_| {
            let steps = shrunk(steps, |steps| proofs::run(world, steps).is_err());
            let fault = proofs::run(world, &steps).expect_err("it fails");
            panic!("{fault}\nafter {} steps: proofs::run({world}, &{steps:?})", steps.len());
        });
        all.add(&reached);
    }
    println!("{all:#?}");
    for (request, answer, share) in REACHED_BY_PROOFS {
        let count = all.answers.get(&(request, answer)).copied().unwrap_or_default();
        assert!(count * share > all.steps, "{request} had {answer} {count} times: {all:#?}");
    }
}

/// The planted fault: no mark is kept.
#[test]
fn i32_the_model_finds_a_store_that_forgets_its_marks() {
    let mut seeds = Random::new(33);
    let found = (0..10).any(|_| {
        let world = seeds.next();
        let steps: Vec<u64> = (0..STEPS).map(|_| seeds.next()).collect();
        let fault = proofs::run_without_marks(world, &steps).err();
        fault.is_some_and(|fault| fault.contains("and not Refused"))
    });
    assert!(found, "a replay is not noticed");
}

/// Replays the inputs that fuzzers have found, and those from which they begin.
#[test]
#[expect(clippy::disallowed_methods, reason = "the inputs are files of this repository")]
fn i30_the_corpora_of_the_fuzz_targets_hold() {
    let corpora = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    for (name, target) in targets::TARGETS {
        let files = std::fs::read_dir(corpora.join(name)).unwrap();
        let mut count = 0;
        for file in files {
            let file = file.unwrap().path();
            println!("{}", file.display());
            target(&std::fs::read(&file).unwrap());
            count += 1;
        }
        assert!(count > 2, "{name} has {count} inputs");
    }
}
