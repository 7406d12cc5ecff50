//! What each operation costs whatever the machine: heap allocations here, instructions under
//! callgrind. From a parsed request to the text of its response, entropy handed in, commits kept in
//! memory.
//!
//! `cargo bench --bench counts` prints the allocations of each operation. For instructions, run it
//! with the name of an operation under `valgrind --tool=callgrind --toggle-collect='*measured*'`
//! and divide by the number of calls it prints.

mod support;

use std::hint::black_box;

use allocation_counter::AllocationInfo;
use support::Bench;

/// How many calls are prepared, and then measured in one go.
const CALLS: u32 = 64;

#[expect(clippy::print_stdout, reason = "it is what this program is for")]
fn main() {
    let wanted = std::env::args().nth(1).filter(|argument| argument != "--bench");
    for operation in ["authorize", "redeem", "refresh", "check", "register"] {
        if wanted.as_deref().is_none_or(|wanted| wanted == operation) {
            let allocations = u32::try_from(run(operation).count_total).unwrap_or(u32::MAX);
            println!(
                "{operation:>10}: {:.2} allocations each in {CALLS} calls",
                f64::from(allocations) / f64::from(CALLS)
            );
        }
    }
}

/// Prepares the calls, runs one of them for the sake of what is done once, and measures the others.
fn run(operation: &str) -> AllocationInfo {
    let bench = Bench::new();
    let prepared: Vec<_> = (0..=CALLS)
        .map(|_| match operation {
            "redeem" => bench.redeem_form(),
            "refresh" => bench.refresh_form().0,
            "check" => bench.refresh_form().1,
            "register" => Bench::register_form(),
            _ => Bench::authorize_form(),
        })
        .collect();
    match operation {
        "authorize" => calls(
            &bench,
            &prepared,
            |form| bench.authorization(form),
            |request, entropy| bench.run_authorization(&request, entropy),
        ),
        "register" => calls(
            &bench,
            &prepared,
            |form| bench.registration(form),
            |request, entropy| bench.run_registration(&request, entropy),
        ),
        "check" => calls(
            &bench,
            &prepared,
            |form| bench.check(form),
            |request, entropy| bench.run_check(&request, entropy),
        ),
        _ => calls(
            &bench,
            &prepared,
            |form| bench.token(form),
            |request, entropy| bench.run_token(&request, entropy),
        ),
    }
}

fn calls<'a, R, T>(
    bench: &Bench,
    forms: &'a [support::Form],
    parse: impl Fn(&'a support::Form) -> R,
    run: impl Fn(R, grantcore::moment::Entropy) -> T,
) -> AllocationInfo {
    let mut requests =
        forms.iter().map(|form| (parse(form), bench.entropy())).collect::<Vec<_>>().into_iter();
    let first = requests.next().map(|(request, entropy)| run(request, entropy));
    drop(black_box(first));
    allocation_counter::measure(|| measured(requests, run))
}

/// What callgrind collects.
#[inline(never)]
fn measured<R, T>(
    requests: impl Iterator<Item = (R, grantcore::moment::Entropy)>,
    run: impl Fn(R, grantcore::moment::Entropy) -> T,
) {
    for (request, entropy) in requests {
        black_box(run(request, entropy));
    }
}
