//! A run that is killed while it holds the writes of a guest.

use std::collections::BTreeSet;

use futures::future::join_all;
use holdfast_core::lineage::SlotState;
use holdfast_core::ports::records::Records;
use holdfast_core::report::{Outcome, ReasonCode, Report};
use holdfast_sim::Guest;
use jiff::SignedDuration;

use super::interrupted::cases::cases;
use super::interrupted::gate::Cut;
use super::stage::Stage;

fn guest(stage: &Stage) -> Guest {
    let account = stage.ec2.account();
    let machine = account.instances().next().unwrap().id.clone();
    account.guest(&machine).unwrap().clone()
}

/// The executions of the pre-scripts that were sent, in their order.
fn freezes(stage: &Stage) -> Vec<String> {
    let account = stage.ec2.account();
    let commands = account.commands().iter();
    let pre = commands.filter(|command| command.script == "pre-script");
    pre.map(|command| command.execution.clone()).collect()
}

fn creating_calls(stage: &Stage) -> usize {
    let account = stage.ec2.account();
    let calls = account.calls().iter();
    calls
        .filter(|call| call.operation == "CreateSnapshots")
        .count()
}

fn outcomes(report: &Report) -> Vec<(Outcome, ReasonCode)> {
    let items = report.items.iter();
    items
        .map(|item| (item.outcome, item.reasons[0].code))
        .collect()
}

/// What a run that is not disturbed calls, from the pre-script to the call that makes the set.
async fn calls() -> Result<(usize, Vec<&'static str>), String> {
    let mut stage = Stage::freezing();
    stage.run(stage.heartbeat(0)).await?;
    stage.truth(&stage.scheduled())?;
    let calls = stage.named();
    let of = |name: &str| calls.iter().position(|call| *call == name);
    let (pre, create) = (of("pre-script").unwrap(), of("create_snapshots").unwrap());
    Ok((pre, calls[pre..=create].to_vec()))
}

/// Kills a run at one of those calls, and sees what becomes of the guest and of the set.
async fn killed(first: usize, calls: &[&str], at: usize, carried_out: bool) -> Result<(), String> {
    let mut stage = Stage::freezing();
    let cut = Cut {
        after: (first + at) as u64,
        carried_out,
    };
    stage.runs(vec![stage.heartbeat(0)], Some(cut)).await;
    assert_eq!(stage.gate.killed_at(), [calls[at]]);
    let is_held = at > 0 || carried_out;
    assert_eq!(guest(&stage).frozen.is_some(), is_held);

    // Nobody is left to thaw it but the timer in the guest.
    stage.pass(SignedDuration::from_secs(60));
    let before = guest(&stage);
    assert_eq!(before.frozen, None);
    assert_eq!(before.thawed_by_timer.len(), usize::from(is_held));

    let recorded = calls
        .iter()
        .rposition(|call| *call == "write_slot")
        .unwrap();
    let is_asked_for = at > recorded || (at == recorded && carried_out);
    let is_made = at == calls.len() - 1 && carried_out;
    let frozen = freezes(&stage);
    let next = stage.run(stage.heartbeat(1)).await?;
    if is_made {
        let adopted = (Outcome::Created, ReasonCode::Adopted);
        assert_eq!(outcomes(&next), [adopted; 2], "{next:?}");
        assert_eq!(freezes(&stage), frozen);
    } else if is_asked_for {
        // Within two minutes a trace may still turn up, and nothing is held meanwhile.
        let unknown = (Outcome::Deferred, ReasonCode::OutcomeUnknown);
        assert_eq!(outcomes(&next), [unknown], "{next:?}");
        assert_eq!(freezes(&stage), frozen);
    } else {
        assert_eq!(freezes(&stage).len(), frozen.len() + 1);
    }
    stage.until_done(5).await?;
    stage.truth(&stage.scheduled())?;
    assert_eq!(creating_calls(&stage), 1);
    // A freeze is never taken over: each had an execution of its own, and the last was let go.
    let all = freezes(&stage);
    let distinct: BTreeSet<&String> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
    assert_eq!(all.len(), frozen.len() + usize::from(!is_made));
    let after = guest(&stage);
    assert_eq!(
        (after.frozen, after.thawed_by_timer),
        (None, before.thawed_by_timer)
    );
    Ok(())
}

#[test]
fn a_run_killed_between_freeze_and_call_leaves_the_thaw_to_the_guests_timer_and_one_set_is_made() {
    cases("killed-frozen", 1, async |_| {
        let (first, calls) = calls().await?;
        // Side by side: each waits for commands to end as long as any other.
        let cuts = (0..calls.len()).flat_map(|at| [(at, false), (at, true)]);
        let ends = join_all(cuts.map(async |(at, carried_out)| {
            let end = killed(first, &calls, at, carried_out).await;
            end.map_err(|words| format!("{} {carried_out}: {words}", calls[at]))
        }));
        ends.await.into_iter().collect()
    });
}

#[test]
fn what_is_intended_is_on_record_before_a_guest_is_asked() {
    cases("intended", 1, async |_| {
        let (first, _) = calls().await?;
        let mut stage = Stage::freezing();
        let cut = Cut {
            after: first as u64,
            carried_out: false,
        };
        stage.runs(vec![stage.heartbeat(0)], Some(cut)).await;
        assert_eq!(stage.gate.killed_at(), ["pre-script"]);
        let (slot, source) = stage.scheduled().into_iter().next().unwrap();
        let policy = stage.policies.policies[0].name.clone();
        let records = &stage.records;
        let found = records
            .slots(&policy, slot, None, std::slice::from_ref(&source))
            .await;
        let record = &found.unwrap()[&source];
        let state = (record.state, record.attempt, record.requested_at);
        assert_eq!(state, (SlotState::Intended, 0, None));
        Ok(())
    });
}
