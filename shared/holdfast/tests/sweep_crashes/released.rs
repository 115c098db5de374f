//! Releases of a tripped breaker that are cut off: the same request, repeated, frees the rest.

use std::collections::BTreeSet;

use futures::future::join_all;
use holdfast_core::report::{Outcome, ReasonCode, Report};
use holdfast_sim::{Chaos, Numbers};
use jiff::SignedDuration;

use super::LIMITED;
use super::interrupted::cases::cases;
use super::interrupted::gate::Cut;
use super::interrupted::ports::standing;
use super::sound::safe;
use super::stage::Stage;
use super::world::{World, world};

/// Sweeps before there is a plan to release: the second finds graces over.
const BEFORE: i64 = 2;

/// Enough to come to the call that is never answered.
const TIME: SignedDuration = SignedDuration::from_secs(3);

/// A stage whose breaker has tripped, and which asks for the plan shown from now on; with it, what
/// the breaker holds.
async fn tripped(world: &World, seed: u64) -> Result<(Stage<'_>, BTreeSet<String>), String> {
    let mut stage = Stage::new(world, seed);
    let (mut hash, mut held) = (None, BTreeSet::new());
    for round in 0..BEFORE {
        let report = stage.sweep(round, None).await.unwrap()?;
        stage.pause(false);
        held = by_breaker(&report);
        hash = report.run.plan_hash;
    }
    stage.release = hash;
    Ok((stage, held))
}

fn by_breaker(report: &Report) -> BTreeSet<String> {
    let held = report.items.iter().filter(|item| {
        let mut reasons = item.reasons.iter();
        item.outcome == Outcome::Held && reasons.any(|r| r.code == ReasonCode::CircuitBreaker)
    });
    held.map(|item| item.resource.clone()).collect()
}

/// Whether a report says that no plan answers to the release that was asked for.
fn is_unknown(report: &Report, hash: Option<&str>) -> bool {
    let mut items = report.items.iter();
    items.any(|item| item.outcome == Outcome::Finding && Some(item.resource.as_str()) == hash)
}

/// One request for the release, and what of this is left after it.
async fn ask(
    stage: &mut Stage<'_>,
    round: i64,
    of: &BTreeSet<String>,
    cut: Option<Cut>,
) -> Result<(Option<Report>, BTreeSet<String>), String> {
    let ended = stage.sweep(round, cut).await.transpose()?;
    stage.pause(false);
    let left = of & &standing(&stage.ec2.account());
    Ok((ended, left))
}

/// The request repeated after it was disturbed is answered until it leaves of what was held what it
/// leaves undisturbed, and then no more. What the disturbed one may have deleted waits its grace anew,
/// which the second repetition finds over.
async fn repeated(
    world: &World,
    stage: &mut Stage<'_>,
    held: &BTreeSet<String>,
    left: &BTreeSet<String>,
) -> Result<(), String> {
    let killed = stage.gate.killed_at();
    for round in BEFORE..BEFORE + 3 {
        let (report, after) = ask(stage, round, held, None).await?;
        if is_unknown(&report.unwrap(), stage.release.as_deref()) {
            if after != *left {
                return Err(format!(
                    "killed at {killed:?}: {after:?} are left and not {left:?}"
                ));
            }
            return safe(world, stage);
        }
    }
    Err(format!("killed at {killed:?}: released again and again"))
}

/// What is left of a tripped plan by an undisturbed release, and after how many calls. `None` where
/// no breaker trips in this world, or nothing comes free.
async fn undisturbed(world: &World, seed: u64) -> Result<Option<(BTreeSet<String>, u64)>, String> {
    let (mut stage, held) = tripped(world, seed).await?;
    if held.is_empty() {
        return Ok(None);
    }
    let (report, left) = ask(&mut stage, BEFORE, &held, None).await?;
    let calls = stage.calls();
    let report = report.unwrap();
    if is_unknown(&report, stage.release.as_deref()) {
        return Err("the plan that was shown is unknown".into());
    }
    repeated(world, &mut stage, &held, &left).await?;
    Ok((left != held).then_some((left, calls)))
}

/// The first world from a number on in which something is released.
async fn releasing(seed: u64) -> Result<(World, BTreeSet<String>, u64), String> {
    for seed in seed.. {
        let world = world(seed, LIMITED);
        if let Some((left, calls)) = undisturbed(&world, seed).await? {
            return Ok((world, left, calls));
        }
    }
    Err("nothing is ever released".into())
}

#[test]
fn a_release_that_is_cut_at_each_call_in_turn_is_taken_by_the_same_request_repeated() {
    cases("release-every-call", 1, async |seed| {
        let (world, left, calls) = releasing(seed).await?;
        for after in 0..calls {
            for carried_out in [false, true] {
                let (mut stage, held) = tripped(&world, seed).await?;
                let cut = Cut { after, carried_out };
                ask(&mut stage, BEFORE, &held, Some(cut)).await?;
                repeated(&world, &mut stage, &held, &left).await?;
            }
        }
        Ok(())
    });
}

#[test]
fn a_release_that_is_cut_anywhere_or_meets_failing_lists_is_taken_by_the_same_request_repeated() {
    cases("release", 60, async |seed| {
        let world = world(seed, LIMITED);
        let Some((left, calls)) = undisturbed(&world, seed).await? else {
            return Ok(());
        };
        let mut numbers = Numbers::new(!seed);
        let (mut stage, held) = tripped(&world, seed).await?;
        for _ in 0..=numbers.below(2) {
            let cut = Cut {
                after: numbers.below(calls),
                carried_out: numbers.below(2) == 0,
            };
            ask(&mut stage, BEFORE, &held, Some(cut)).await?;
        }
        repeated(&world, &mut stage, &held, &left).await?;

        let (mut stage, held) = tripped(&world, seed).await?;
        stage.ec2.account().unleash(Chaos {
            page_failure: 80,
            denied: 80,
            ..Chaos::quiet(seed)
        });
        // One that reads nothing says so.
        ask(&mut stage, BEFORE, &held, None).await.ok();
        stage.ec2.account().calm();
        repeated(&world, &mut stage, &held, &left).await
    });
}

#[tokio::test]
async fn a_release_whose_sweep_runs_out_of_time_is_taken_by_the_same_request_repeated() {
    let (world, left, _) = releasing(0).await.unwrap();
    let (world, left) = (&world, &left);
    let each = ["images", "census", "save_census", "snapshot_shares"].map(async |name| {
        let (mut stage, held) = tripped(world, 0).await.unwrap();
        stage.gate.stall(name);
        stage.time = Some(TIME);
        let (report, _) = ask(&mut stage, BEFORE, &held, None).await.unwrap();
        assert!(!stage.gate.is_to_stall(), "{name} was not called");
        assert!(!report.unwrap().run.complete, "{name}");
        stage.time = None;
        let ended = repeated(world, &mut stage, &held, left).await;
        ended.unwrap_or_else(|words| panic!("{name}: {words}"));
    });
    join_all(each).await;
}
