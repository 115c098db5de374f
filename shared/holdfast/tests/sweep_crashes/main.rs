//! Sweeps that are killed at any call, that overlap, that strangers interfere with, and beside which
//! backups are made and reconciled.
//!
//! Every case follows from one number, which a failure prints. `HOLDFAST_SEED=N` runs that case
//! alone, `HOLDFAST_CASES=N` so many of each kind, `HOLDFAST_FIRST_SEED=N` those from that number on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod beside;
#[path = "../interrupted/mod.rs"]
mod interrupted;
mod outcome;
mod overdue;
mod reference;
mod released;
mod restored;
mod sound;
mod stage;
mod world;

use holdfast_core::report::Report;
use holdfast_sim::{Chaos, Numbers};
use interrupted::cases::cases;
use interrupted::gate::Cut;
use jiff::SignedDuration;
use outcome::Outcome;
use sound::{limited, safe, sound, taken_over};
use stage::Stage;
use world::{NO_LIMITS, STRICT, Sort, World, world};

/// Worlds as they are.
const LAGGING: Sort = Sort {
    lags: true,
    pending: true,
    limits: NO_LIMITS,
    ago: SignedDuration::ZERO,
};
/// Worlds in which a look shows what is.
const PROMPT: Sort = Sort {
    lags: false,
    ..LAGGING
};
/// Worlds with limits, in which no backup comes to count on the way.
const LIMITED: Sort = Sort {
    pending: false,
    limits: STRICT,
    ..LAGGING
};

/// Rounds in which there is something to do, without faults: marks, then deletions, then what waits
/// for both.
const BUSY: i64 = 3;
/// Rounds after which everything has come to its end.
const LAST: i64 = 12;

/// Sweeps on until two sweeps, with time for a grace between them, find nothing to do.
async fn to_the_end(stage: &mut Stage<'_>) -> Result<Report, String> {
    stage.take_changes();
    let (mut changes, mut quiet) = (Vec::new(), 0);
    for round in BUSY..LAST {
        stage.pause(true);
        let report = stage.sweep(round, None).await.unwrap()?;
        let changed = stage.take_changes();
        quiet = if changed.is_empty() { quiet + 1 } else { 0 };
        if quiet >= 2 && round >= BUSY + 2 {
            return Ok(report);
        }
        changes.push(changed);
    }
    Err(format!("it never comes to an end: {changes:?}"))
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
    let last = to_the_end(&mut stage).await?;
    sound(world, &stage, &last)?;
    Ok((Outcome::of(world, &stage), calls))
}

/// The sweeps of a world of which those of one round are cut, one after the other, against what is
/// expected of them.
async fn cut(
    world: &World,
    seed: u64,
    crashing: usize,
    cuts: &[Cut],
    expected: &Outcome,
) -> Result<(), String> {
    let mut stage = Stage::new(world, seed);
    let mut sweeps = async || {
        for round in 0..BUSY {
            if usize::try_from(round) == Ok(crashing) {
                for cut in cuts {
                    stage.sweep(round, Some(*cut)).await;
                    stage.pause(false);
                }
            }
            stage.sweep(round, None).await.unwrap()?;
            stage.pause(false);
        }
        to_the_end(&mut stage).await
    };
    let last = sweeps().await;
    let ends = |last: Report| {
        sound(world, &stage, &last)?;
        expected.against(&Outcome::of(world, &stage))
    };
    last.and_then(ends).map_err(|words| {
        let killed = stage.gate.killed_at();
        format!("round {crashing}, {cuts:?} at {killed:?}:\n{words}")
    })
}

#[test]
fn a_crash_at_each_call_in_turn_and_a_rerun_come_to_what_the_undisturbed_run_does() {
    cases("every-call", 1, async |seed| {
        let world = world(seed, LAGGING);
        let (expected, calls) = undisturbed(&world).await?;
        for (round, calls) in calls.into_iter().enumerate() {
            for after in 0..calls {
                for carried_out in [false, true] {
                    let at = [Cut { after, carried_out }];
                    cut(&world, seed, round, &at, &expected).await?;
                }
            }
        }
        Ok(())
    });
}

#[test]
fn a_crash_anywhere_and_a_rerun_come_to_what_the_undisturbed_run_does() {
    cases("crash", 250, async |seed| {
        let world = world(seed, LAGGING);
        let (expected, calls) = undisturbed(&world).await?;
        let mut numbers = Numbers::new(!seed);
        let crashing = usize::try_from(numbers.below(calls.len() as u64)).unwrap();
        let times = 1 + usize::from(numbers.below(3) == 0);
        let mut cuts = Vec::new();
        for _ in 0..times {
            cuts.push(Cut {
                after: numbers.below(calls[crashing]),
                carried_out: numbers.below(2) == 0,
            });
        }
        cut(&world, seed, crashing, &cuts, &expected).await
    });
}

#[test]
fn overlapping_runs_come_to_what_one_alone_does() {
    cases("overlap", 130, async |seed| {
        let world = world(seed, LAGGING);
        let (expected, _) = undisturbed(&world).await?;
        let mut stage = Stage::new(&world, seed);
        stage.lapse = Some(20);
        for round in 0..BUSY {
            // Of some the first is killed.
            let cut = Cut {
                after: stage.numbers.below(80),
                carried_out: stage.numbers.below(2) == 0,
            };
            let cut = Some(cut).filter(|_| stage.numbers.below(3) == 0);
            // One that loses its lease may say so.
            stage.sweeps(round, 2, cut).await;
            stage.pause(false);
        }
        stage.lapse = None;
        let last = to_the_end(&mut stage).await?;
        sound(&world, &stage, &last)?;
        // Where one is killed and the other found the lease taken, a sentence begins later.
        let left = taken_over(&world, &stage);
        let outcome = Outcome::of(&world, &stage).without_times().without(&left);
        expected.without_times().without(&left).against(&outcome)
    });
}

#[test]
fn what_a_stranger_did_before_a_look_is_heeded_after_it() {
    cases("stranger", 200, async |seed| {
        let world = world(seed, PROMPT);
        let mut stage = Stage::new(&world, seed);
        stage.lapse = Some(30);
        stage.stranger = Some(8);
        for round in 0..BUSY {
            stage.sweeps(round, 2, None).await;
            stage.pause(false);
        }
        (stage.lapse, stage.stranger) = (None, None);
        let last = to_the_end(&mut stage).await?;
        sound(&world, &stage, &last)
    });
}

#[test]
fn a_crash_anywhere_lets_no_more_go_within_a_day_than_the_limits_allow() {
    cases("limits", 80, async |seed| {
        let world = world(seed, LIMITED);
        let mut stage = Stage::new(&world, seed);
        let mut numbers = Numbers::new(!seed);
        for round in 0..LAST {
            let cut = Cut {
                after: numbers.below(80),
                carried_out: numbers.below(2) == 0,
            };
            stage.sweep(round, Some(cut)).await;
            stage.pause(false);
        }
        stage.sweep(LAST, None).await.unwrap()?;
        safe(&world, &stage)?;
        limited(&world, &stage, 1)
    });
}

#[test]
fn sweeps_that_meet_lost_answers_and_failing_lists_come_to_what_the_undisturbed_run_does() {
    cases("faults", 100, async |seed| {
        let world = world(seed, LAGGING);
        let (expected, _) = undisturbed(&world).await?;
        let mut stage = Stage::new(&world, seed);
        stage.ec2.account().unleash(Chaos {
            server_error: 30,
            response_lost: 80,
            page_failure: 15,
            empty_page: 15,
            denied: 15,
            ..Chaos::quiet(seed)
        });
        for round in 0..BUSY {
            // One that reads nothing says so.
            stage.sweep(round, None).await;
            stage.pause(false);
        }
        stage.ec2.account().calm();
        let last = to_the_end(&mut stage).await?;
        sound(&world, &stage, &last)?;
        // A list that fails lets a sentence begin later.
        let outcome = Outcome::of(&world, &stage).without_times();
        expected.without_times().against(&outcome)
    });
}
