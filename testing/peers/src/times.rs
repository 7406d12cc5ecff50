//! The time of each step in one run: the floor of the design, ours, and the peers.

#[cfg(feature = "peers")]
mod peers;
#[path = "../../../benches/support/mod.rs"]
mod support;
mod timing;

use support::steps;

const ROUNDS: usize = 60;
const CALLS: usize = 1000;

fn main() {
    let mut all = steps::floor();
    all.extend(steps::ours().into_iter().filter(|measured| measured.step != "register"));
    all.extend(steps::ours_from_bytes());
    all.extend(steps::ours_with_system_entropy());
    #[cfg(feature = "peers")]
    all.extend(peers::all());
    let times = timing::medians(&mut all, ROUNDS, CALLS);
    println!("{:10} {:24} {:>9} {:>9}", "step", "", "ns", "x floor");
    for step in ["authorize", "redeem", "refresh", "check"] {
        let floor = all.iter().position(|measured| measured.step == step).map(|at| times[at]);
        for (measured, time) in all.iter().zip(&times).filter(|(own, _)| own.step == step) {
            let ratio = time / floor.unwrap_or(f64::NAN);
            println!("{step:10} {:24} {time:9.0} {ratio:9.2}", measured.who);
        }
    }
}
