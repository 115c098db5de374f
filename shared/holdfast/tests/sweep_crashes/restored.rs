//! What comes out of the Recycle Bin is condemned anew, whoever put it there.

use std::collections::BTreeSet;

use holdfast_sim::request::{DeleteSnapshot, Request, RestoreSnapshotFromRecycleBin};
use holdfast_sim::{Account, Retained, RetentionRule, Settings, SnapshotSeed, VolumeSeed};
use jiff::SignedDuration;

use super::interrupted::gate::Cut;
use super::interrupted::ports::standing;
use super::stage::Stage;
use super::world::{Backup, NO_LIMITS, Sort, World, stamp, world};

/// One volume under a policy with a grace, two backups of it, and a Recycle Bin that keeps snapshots.
fn binned() -> World {
    let mut world = world(
        0,
        Sort {
            lags: false,
            pending: false,
            limits: NO_LIMITS,
            ago: SignedDuration::ZERO,
        },
    );
    world.account = Account::new(Settings {
        start: world.wall,
        recycle_bin: vec![RetentionRule::for_region(Retained::Snapshots, 7)],
        ..Settings::default()
    });
    let volume = world.account.seed_volume(VolumeSeed {
        tags: [("Backup".to_owned(), "vol-grace".to_owned())].into(),
        ..VolumeSeed::default()
    });
    let backups = [50, 100].map(|hours| {
        let slot = world.wall - SignedDuration::from_hours(hours);
        let id = world.account.seed_snapshot(SnapshotSeed {
            volume: Some(volume.clone()),
            started: Some(slot),
            tags: stamp("vol-grace", "snapshot", volume.as_str(), slot),
            ..SnapshotSeed::default()
        });
        Backup {
            policy: "vol-grace",
            source: volume.to_string(),
            slot,
            parts: [id.to_string()].into(),
            good: true,
        }
    });
    World {
        references: Vec::new(),
        of_failed: BTreeSet::new(),
        never: BTreeSet::new(),
        backups: backups.into(),
        ..world
    }
}

/// Its stage, and the older backup.
fn stage(world: &World) -> (Stage<'_>, String) {
    let backups = world.backups.iter();
    let older = backups.min_by_key(|backup| backup.slot).unwrap();
    let id = older.parts.first().unwrap().clone();
    (Stage::new(world, 0), id)
}

async fn sweep(stage: &mut Stage<'_>, round: i64, cut: Option<Cut>) {
    if let Some(end) = stage.sweep(round, cut).await {
        end.unwrap();
    }
    stage.pause(false);
}

fn stands(stage: &Stage<'_>, id: &str) -> bool {
    standing(&stage.ec2.account()).contains(id)
}

fn restore(stage: &Stage<'_>, id: &str) {
    let restore = RestoreSnapshotFromRecycleBin { id: id.to_owned() };
    let request = Request::RestoreSnapshotFromRecycleBin(restore);
    stage.ec2.account().call(&request).unwrap();
    stage.pause(false);
}

/// Restored, it stays for a whole grace, which passes between two sweeps, and goes then.
async fn waits_anew(stage: &mut Stage<'_>, id: &str, round: i64) {
    restore(stage, id);
    sweep(stage, round, None).await;
    assert!(stands(stage, id), "its grace began before it was deleted");
    sweep(stage, round + 1, None).await;
    assert!(!stands(stage, id));
}

#[tokio::test]
async fn what_a_stranger_deleted_and_somebody_restored_has_its_whole_grace() {
    let world = binned();
    let (mut stage, id) = stage(&world);
    sweep(&mut stage, 0, None).await;
    let delete = Request::DeleteSnapshot(DeleteSnapshot { id: id.clone() });
    stage.ec2.account().call(&delete).unwrap();
    stage.pause(false);
    sweep(&mut stage, 1, None).await;
    waits_anew(&mut stage, &id, 2).await;
}

#[tokio::test]
async fn what_holdfast_deleted_without_hearing_of_it_and_somebody_restored_has_its_whole_grace() {
    let world = binned();
    let (mut undisturbed, id) = stage(&world);
    sweep(&mut undisturbed, 0, None).await;
    sweep(&mut undisturbed, 1, None).await;
    assert!(!stands(&undisturbed, &id));
    let mut deleted = 0;
    for after in 0..undisturbed.calls() {
        let (mut stage, id) = stage(&world);
        sweep(&mut stage, 0, None).await;
        let cut = Cut {
            after,
            carried_out: true,
        };
        sweep(&mut stage, 1, Some(cut)).await;
        if !stands(&stage, &id) {
            deleted += 1;
            waits_anew(&mut stage, &id, 2).await;
        }
    }
    assert!(deleted > 0, "it is cut after the deletion, too");
}
