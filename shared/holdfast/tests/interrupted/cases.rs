//! Cases that follow from one number each, and how a failed one is asked for again.

use std::env;

/// What begins a line of the report of a failure: set to the number, it runs that case alone.
const SEED: &str = "HOLDFAST_SEED";
/// With which number the cases of each kind begin, where it is set: other worlds than always.
const FIRST: &str = "HOLDFAST_FIRST_SEED";
/// How many cases of each kind are run, where it is set.
const CASES: &str = "HOLDFAST_CASES";

fn asked(name: &str) -> Option<u64> {
    env::var(name).ok().map(|n| n.parse().unwrap())
}

/// Runs the cases of one kind: the one that is asked for, or as many as are asked for, or else
/// `usual`. Every run waits on its calls only, so that a timer that has to run out shows as a case
/// that takes long.
pub fn cases(kind: &str, usual: u64, case: impl AsyncFn(u64) -> Result<(), String>) {
    let seeds = match asked(SEED) {
        Some(seed) => seed..seed + 1,
        None => {
            let first = asked(FIRST).unwrap_or(0);
            first..first + asked(CASES).unwrap_or(usual)
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    for seed in seeds {
        if let Err(words) = runtime.block_on(case(seed)) {
            panic!("{words}\nreplay: {SEED}={seed} and the name of this test ({kind})");
        }
    }
}
