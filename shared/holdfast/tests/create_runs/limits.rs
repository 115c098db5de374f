//! EC2's limits on single volumes defer a backup and never fail it.

use holdfast_core::report::{Outcome, ReasonCode};
use holdfast_sim::request::{CreateSnapshot, Request};
use jiff::SignedDuration;

use super::interrupted::cases::cases;
use super::stage::Stage;

/// Somebody else's snapshots of every volume, so many, 15 seconds apart.
fn taken_by_somebody(stage: &Stage, snapshots: usize) {
    let mut account = stage.ec2.account();
    for _ in 0..snapshots {
        account.advance_by(SignedDuration::from_secs(15));
        let volumes: Vec<String> = account
            .volumes()
            .map(|volume| volume.id.to_string())
            .collect();
        for volume in volumes {
            let request = Request::CreateSnapshot(CreateSnapshot {
                volume,
                ..CreateSnapshot::default()
            });
            account.call(&request).unwrap();
        }
    }
}

async fn deferred_then_made(stage: &mut Stage, snapshots: usize) -> Result<(), String> {
    taken_by_somebody(stage, snapshots);
    let report = stage.run(stage.heartbeat(0)).await?;
    assert!(!report.run.complete);
    assert!(!report.items.is_empty());
    for item in &report.items {
        assert_eq!(item.outcome, Outcome::Deferred, "{item:?}");
        assert_eq!(item.reasons[0].code, ReasonCode::ResourceLimit, "{item:?}");
    }
    stage.until_done(5).await
}

fn made(stage: &Stage) -> usize {
    let account = stage.ec2.account();
    let managed = account
        .snapshots()
        .filter(|s| s.tags.contains_key("holdfast:managed"));
    managed.count()
}

#[test]
fn a_volume_taken_less_than_fifteen_seconds_ago_waits_for_the_next_heartbeat() {
    cases("fifteen-seconds", 1, async |_| {
        let mut stage = Stage::new(0);
        deferred_then_made(&mut stage, 1).await?;
        assert_eq!(made(&stage), 5);
        Ok(())
    });
}

#[test]
fn a_volume_with_five_pending_snapshots_waits_until_one_has_completed() {
    cases("five-pending", 1, async |_| {
        let mut stage = Stage::new(0);
        stage.ec2.account().settings_mut().snapshot_duration = SignedDuration::from_mins(4);
        stage.ec2.account().settings_mut().set_stagger = SignedDuration::ZERO;
        taken_by_somebody(&stage, 4);
        deferred_then_made(&mut stage, 1).await?;
        assert_eq!(made(&stage), 5);
        Ok(())
    });
}

#[test]
fn a_cold_volume_waits_for_its_one_pending_snapshot() {
    cases("cold", 1, async |_| {
        let mut stage = Stage::cold();
        stage.ec2.account().settings_mut().snapshot_duration = SignedDuration::from_mins(4);
        taken_by_somebody(&stage, 1);
        stage
            .ec2
            .account()
            .advance_by(SignedDuration::from_secs(20));
        let report = stage.run(stage.heartbeat(0)).await?;
        let [item] = report.items.as_slice() else {
            panic!("{report:?}")
        };
        assert_eq!(item.outcome, Outcome::Deferred);
        assert_eq!(item.reasons[0].code, ReasonCode::ResourceLimit);
        stage.until_done(5).await?;
        assert_eq!(made(&stage), 1);
        Ok(())
    });
}
