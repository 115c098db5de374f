//! Sweeps that are killed at any call, that overlap, and that strangers interfere with.
//!
//! Every case follows from one number, which a failure prints. `HOLDFAST_SEED=N` runs that case
//! alone, `HOLDFAST_CASES=N` so many of each kind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod gate;
mod outcome;
mod ports;
mod reference;
mod stage;
mod world;

use gate::Cut;
use holdfast_core::report::Report;
use holdfast_sim::Numbers;
use outcome::{Outcome, heeded, nothing_orphaned, recorded};
use stage::Stage;
use world::{World, world};

/// Rounds in which there is something to do, without faults: marks, then deletions, then what waits
/// for both.
const BUSY: i64 = 3;
/// Rounds after which everything has come to its end.
const LAST: i64 = 12;

/// Runs the cases of one kind; the case that is asked for, or as many as are.
fn cases(kind: &str, usual: u64, case: impl AsyncFn(u64) -> Result<(), String>) {
    let asked = |name: &str| std::env::var(name).ok().map(|n| n.parse::<u64>().unwrap());
    let seeds = match asked("HOLDFAST_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..asked("HOLDFAST_CASES").unwrap_or(usual),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    for seed in seeds {
        if let Err(words) = runtime.block_on(case(seed)) {
            panic!("HOLDFAST_SEED={seed} {kind}:\n{words}");
        }
    }
}

/// Sweeps on until a sweep finds nothing to do.
async fn to_the_end(stage: &mut Stage<'_>, from: i64) -> Result<Report, String> {
    stage.take_changes();
    for round in from..LAST {
        stage.pause(true);
        let report = stage.sweep(round, None).await.unwrap()?;
        if stage.take_changes().is_empty() && round >= BUSY + 2 {
            return Ok(report);
        }
        if round + 1 == LAST {
            return Err(format!("it never comes to an end: {:?}", report.items));
        }
    }
    Err("there are no rounds left".into())
}

/// What the sweeps of a world come to when nothing goes wrong, and how many calls each busy one
/// made.
async fn undisturbed(world: &World) -> Result<(Outcome, Vec<u64>), String> {
    let mut stage = Stage::new(world, 0);
    let mut calls = Vec::new();
    for round in 0..BUSY {
        stage.sweep(round, None).await.unwrap()?;
        calls.push(stage.calls());
        stage.pause(false);
    }
    let last = to_the_end(&mut stage, BUSY).await?;
    heeded(&stage)?;
    recorded(&stage)?;
    nothing_orphaned(world, &stage, &last)?;
    Ok((Outcome::of(world, &stage), calls))
}

/// Somewhere among so many calls.
fn anywhere(numbers: &mut Numbers, calls: u64) -> Cut {
    Cut {
        after: numbers.below(calls),
        carried_out: numbers.below(2) == 0,
    }
}

#[test]
fn a_crash_anywhere_and_a_rerun_come_to_what_the_undisturbed_run_does() {
    cases("crash", 150, async |seed| {
        let world = world(seed, true);
        let (expected, calls) = undisturbed(&world).await?;
        let mut numbers = Numbers::new(!seed);
        let crashing = i64::try_from(numbers.below(BUSY as u64)).unwrap();
        let mut stage = Stage::new(&world, seed);
        for round in 0..BUSY {
            if round == crashing {
                let cut = anywhere(&mut numbers, calls[round as usize]);
                let last = to_the_end(&mut stage, BUSY).await?;
        heeded(&stage)?;
    recorded(&stage)?;
        nothing_orphaned(&world, &stage, &last)?;
        expected.against(&Outcome::of(&world, &stage))
    });
}

#[test]
fn overlapping_runs_come_to_what_one_alone_does() {
    cases("overlap", 100, async |seed| {
        let world = world(seed, true);
        let (expected, _) = undisturbed(&world).await?;
        let mut stage = Stage::new(&world, seed);
        stage.lapse = Some(20);
        for round in 0..BUSY {
            // One that loses its lease may say so.
            stage.sweeps(round, 2, None).await;
            stage.pause(false);
        }
        stage.lapse = None;
        let last = to_the_end(&mut stage, BUSY).await?;
        heeded(&stage)?;
    recorded(&stage)?;
        nothing_orphaned(&world, &stage, &last)?;
        expected.against(&Outcome::of(&world, &stage))
    });
}

#[test]
fn what_a_stranger_did_before_a_look_is_heeded_after_it() {
    cases("stranger", 150, async |seed| {
        let world = world(seed, false);
        let mut stage = Stage::new(&world, seed);
        stage.lapse = Some(30);
        stage.stranger = Some(8);
        for round in 0..BUSY {
            stage.sweeps(round, 2, None).await;
            stage.pause(false);
        }
        (stage.lapse, stage.stranger) = (None, None);
        let last = to_the_end(&mut stage, BUSY).await?;
        heeded(&stage)?;
    recorded(&stage)?;
        nothing_orphaned(&world, &stage, &last)
    });
}
