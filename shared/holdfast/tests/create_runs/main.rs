//! Creating runs that are killed at any call, overlap, are woken twice, late and out of order, meet
//! EC2's faults, and do not get through in one invocation.
//!
//! Every case follows from one number, which a failure prints. `HOLDFAST_SEED=N` runs that case
//! alone, `HOLDFAST_CASES=N` so many of each kind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod continuation;
mod events;
mod freeze;
#[path = "../interrupted/mod.rs"]
#[allow(
    dead_code,
    reason = "what runs looked at and deleted is for those of the sweep"
)]
mod interrupted;
mod limits;
mod scene;
mod selection;
mod stage;

use holdfast_sim::{Chaos, Fault, FaultRule};
use interrupted::cases::cases;
use interrupted::gate::Cut;
use jiff::SignedDuration;
use stage::Stage;

/// What a run of one heartbeat makes when nothing goes wrong, by its calls.
async fn undisturbed(seed: u64) -> Result<u64, String> {
    let mut stage = Stage::new(seed);
    stage.run(stage.heartbeat(0)).await?;
    stage.truth(&stage.scheduled())?;
    Ok(stage.calls())
}

#[test]
fn a_run_killed_at_each_call_in_turn_ends_with_one_backup_of_each_source() {
    cases("every-call", 2, async |seed| {
        for after in 0..undisturbed(seed).await? {
            for carried_out in [false, true] {
                let cut = Cut { after, carried_out };
                let mut stage = Stage::new(seed);
                stage.runs(vec![stage.heartbeat(0)], Some(cut)).await;
                let end = stage.until_done(5).await;
                let truth = end.and_then(|()| stage.truth(&stage.scheduled()));
                truth.map_err(|words| format!("{cut:?} {:?}: {words}", stage.gate.killed_at()))?;
            }
        }
        Ok(())
    });
}

#[test]
fn an_events_run_killed_at_each_call_in_turn_ends_with_one_backup_of_its_machine() {
    cases("every-call-of-an-event", 2, async |seed| {
        let before = async || {
            let mut stage = Stage::new(seed);
            stage.run(stage.heartbeat(0)).await?;
            stage.pass(SignedDuration::from_mins(7));
            Ok::<Stage, String>(stage)
        };
        let mut undisturbed = before().await?;
        undisturbed.run(undisturbed.stop(7)).await?;
        let mut calls = undisturbed.named().into_iter();
        let count = undisturbed.calls();
        let opens = calls.position(|call| call == "open").unwrap() as u64;
        for after in 0..count {
            for carried_out in [false, true] {
                let cut = Cut { after, carried_out };
                let mut stage = before().await?;
                stage.runs(vec![stage.stop(7)], Some(cut)).await;
                // Lambda delivers it again; from where it is left to the heartbeats, they suffice.
                if after < opens || (after == opens && !carried_out) {
                    stage.pass(SignedDuration::from_mins(1));
                    stage.run(stage.stop(7)).await?;
                }
                let end = stage.until_done(10).await;
                let mut asked = stage.scheduled();
                let slot = stage.start + SignedDuration::from_mins(7);
                asked.insert((slot, stage.stopped.to_string()));
                let truth = end.and_then(|()| stage.truth(&asked));
                truth.map_err(|words| format!("{cut:?} {:?}: {words}", stage.gate.killed_at()))?;
            }
        }
        Ok(())
    });
}

/// A run of one slot asks for backups and is killed; at the next slot the ledger cannot be read.
#[test]
fn what_was_asked_for_in_a_slot_that_is_over_is_not_forgotten_when_the_ledger_fails() {
    cases("table-fails", 2, async |seed| {
        let mut first = Stage::new(seed);
        first.run(first.heartbeat(0)).await?;
        let mut calls = first.named().into_iter();
        let asks = calls.position(|call| call.starts_with("create_")).unwrap();
        let mut stage = Stage::new(seed);
        let cut = Cut {
            after: asks as u64,
            carried_out: true,
        };
        stage.runs(vec![stage.heartbeat(0)], Some(cut)).await;
        let made = stage.asked_for();
        assert_eq!(made.len(), 1, "{made:?}");
        stage.pass(stage.next_slot.duration_since(stage.start));
        stage.gate.refuse("slots");
        let minutes = stage.next_slot.duration_since(stage.start).as_mins();
        let report = stage.run(stage.heartbeat(minutes)).await?;
        assert!(!report.run.complete, "{report:?}");
        stage.until_done(minutes + 5).await?;
        let mut asked = stage.asked_at(stage.next_slot);
        asked.extend(made);
        stage.truth(&asked)
    });
}

#[test]
fn two_heartbeats_at_once_make_one_backup_of_each_source() {
    cases("at-once", 60, async |seed| {
        let mut stage = Stage::new(seed);
        let cut = (stage.numbers.below(3) == 0).then(|| Cut {
            after: stage.numbers.below(40),
            carried_out: stage.numbers.below(2) == 0,
        });
        let later = i64::try_from(stage.numbers.below(2)).unwrap() * 5;
        let events = vec![
            stage.heartbeat(0),
            stage.heartbeat(later),
            stage.heartbeat(0),
        ];
        stage.runs(events, cut).await;
        stage.until_done(5).await?;
        stage.truth(&stage.scheduled())
    });
}

/// What happens, and in which order where it happens at once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// The machine is started again.
    Start,
    /// It is stopped once more.
    Stop,
    /// The event comes that tells of the stop of this minute.
    Told(i64),
    /// A heartbeat for this minute comes.
    Beat(i64),
    /// check-dependencies compares everything.
    Reconcile,
}

#[test]
fn events_that_come_twice_late_or_out_of_order_make_one_backup_of_each_stop_that_still_stands() {
    cases("events", 60, async |seed| {
        let mut stage = Stage::new(seed);
        // One machine that stops, is started again and stops for good; each event comes once to
        // three times, up to an hour late, between heartbeats of which some come twice and one after
        // a younger one.
        let stops = [7, 31];
        let started = 20;
        let mut steps = vec![(started, Step::Start), (30, Step::Stop)];
        for minutes in stops {
            for _ in 0..=stage.numbers.below(3) {
                let late = i64::try_from(stage.numbers.below(60)).unwrap();
                steps.push((minutes + late, Step::Told(minutes)));
            }
        }
        for beat in 0..18 {
            let late = i64::try_from(stage.numbers.below(12)).unwrap();
            steps.push((beat * 5, Step::Beat(beat * 5)));
            if stage.numbers.below(4) == 0 {
                steps.push((beat * 5 + late, Step::Beat(beat * 5)));
            }
        }
        // When the last stop has been awaited, and its cooldown may stand: an event that comes later
        // than this is lost by then, and comes after all.
        let reconciled = 46 + i64::try_from(stage.numbers.below(40)).unwrap();
        steps.push((reconciled, Step::Reconcile));
        steps.sort_unstable();
        // The first stop has its backup where it is told before the machine is started again; the
        // last one always, if only when the cooldown is over.
        let in_time = |(at, step): &(i64, Step)| *step == Step::Told(stops[0]) && *at < started;
        let first = steps.iter().any(in_time);
        let mut clock = 0;
        for (at, step) in steps {
            stage.pass(SignedDuration::from_mins(at - clock));
            clock = at;
            match step {
                Step::Start => stage.start_machine(),
                Step::Stop => stage.stop_machine(),
                Step::Told(minutes) => drop(stage.run(stage.stop(minutes)).await?),
                Step::Beat(minutes) => drop(stage.run(stage.heartbeat(minutes)).await?),
                Step::Reconcile => stage.reconcile(at).await?,
            }
        }
        stage.until_done(100).await?;
        let minute = |minutes| stage.start + SignedDuration::from_mins(minutes);
        let stopped = stage.stopped.to_string();
        let mut asked = stage.scheduled();
        // The other machine has been stopped from the first, and nobody told.
        asked.insert((minute(reconciled), stage.other.to_string()));
        if first {
            asked.insert((minute(stops[0]), stopped.clone()));
        }
        // The last stop has one backup: that of its event, or the one that made up for it.
        let last = [minute(stops[1]), minute(reconciled)];
        let made = stage.asked_for();
        let answers = last.into_iter().map(|slot| (slot, stopped.clone()));
        let answers: Vec<_> = answers.filter(|one| made.contains(one)).collect();
        if answers.len() != 1 {
            return Err(format!("of the last stop there is {answers:?}"));
        }
        asked.extend(answers);
        stage.truth(&asked)
    });
}

/// Faults throughout, of every kind, and runs that are killed and overlap among them.
#[test]
fn under_throttling_lost_answers_and_lagging_lists_there_is_one_backup_of_each_source() {
    cases("faults", 120, async |seed| {
        let mut stage = Stage::new(seed);
        let drawn = Chaos::drawn(stage.numbers.draw());
        let lag = 1 + i64::try_from(stage.numbers.below(110)).unwrap();
        let chaos = Chaos {
            // So many that they meet the few calls of a case.
            throttled: drawn.throttled * 4,
            server_error: drawn.server_error * 4,
            response_lost: drawn.response_lost * 8,
            lagging_list: drawn.lagging_list * 8,
            // Within the two minutes that a request is waited for.
            lag: SignedDuration::from_secs(lag),
            ..drawn
        };
        stage.ec2.account().unleash(chaos);
        for beat in 0..8 {
            let mut events = vec![stage.heartbeat(5 * beat)];
            if beat >= 2 && stage.numbers.below(2) == 0 {
                events.push(stage.stop(8));
            }
            let cut = (stage.numbers.below(3) == 0).then(|| Cut {
                after: stage.numbers.below(40),
                carried_out: stage.numbers.below(2) == 0,
            });
            stage.runs(events, cut).await;
            let seconds = 20 + i64::try_from(stage.numbers.below(280)).unwrap();
            stage.pass(SignedDuration::from_secs(seconds));
        }
        stage.ec2.account().calm();
        let _ = stage.run(stage.stop(8)).await;
        stage.until_done(60).await?;
        let mut asked = stage.scheduled();
        let stop = stage.start + SignedDuration::from_mins(8);
        asked.insert((stop, stage.stopped.to_string()));
        stage.truth(&asked)
    });
}

#[test]
fn a_list_that_misses_what_was_made_half_a_minute_ago_makes_nothing_twice() {
    cases("lag", 2, async |seed| {
        let mut stage = Stage::new(seed);
        stage.ec2.account().settings_mut().list_lag = SignedDuration::from_secs(30);
        for operation in ["CreateSnapshots", "CreateSnapshot", "CreateImage"] {
            let lost = FaultRule::next(operation, Fault::AppliedButResponseLost).times(2);
            stage.ec2.account().inject(lost);
        }
        for _ in 0..3 {
            stage.run(stage.heartbeat(0)).await?;
            stage.pass(SignedDuration::from_secs(9));
        }
        stage.until_done(5).await?;
        stage.truth(&stage.scheduled())
    });
}
