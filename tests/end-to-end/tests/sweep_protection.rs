//! sweep-retention and what keeps a backup for other reasons than a launch: shares, locks, fast
//! restore, copies and the Recycle Bin.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_end_to_end::images::{self, deregister_by_hand, stands};
use holdfast_end_to_end::{World, backups, codes, item_of};
use holdfast_sim::request::{
    CopyImage, CopySnapshot, EnableFastSnapshotRestores, LockSnapshot, ModifyImageAttribute,
    ModifySnapshotAttribute, Request, UnlockSnapshot,
};
use holdfast_sim::{Grantee, Retained, RetentionRule};
use serde_json::{Value, json};

const LATER: &str = "2026-03-02T11:00:00Z";
const OTHER: &str = "999988887777";

fn call(world: &World, request: Request) {
    world.account(|account| account.call(&request)).unwrap();
}

fn share_snapshot(id: &str, with: Grantee) -> Request {
    Request::ModifySnapshotAttribute(ModifySnapshotAttribute {
        id: id.to_owned(),
        add: vec![with],
        ..ModifySnapshotAttribute::default()
    })
}

/// What holds the oldest of four snapshots after `change`, while the next oldest goes.
async fn snapshot_held(change: impl FnOnce(&World, &str)) -> Value {
    let (world, ids) = backups::world("enforce", backups::POLICIES, 4).await;
    change(&world, &ids[3]);
    let swept = backups::sweep(&world).await;
    let item = item_of(&swept, &ids[3]).clone();
    assert_eq!(item["outcome"], "held", "{swept:#}");
    assert_eq!(item_of(&swept, &ids[2])["outcome"], "deleted", "{swept:#}");
    assert!(stands(&world, &ids[3]));
    item
}

/// What holds the oldest of four AMIs after `change`, while the next oldest goes.
async fn image_held(change: impl FnOnce(&World, &images::Baked)) -> (Value, images::Baked) {
    let (world, baked) = images::world("enforce", images::POLICIES, 4).await;
    change(&world, &baked[3]);
    let swept = images::sweep(&world).await;
    let item = item_of(&swept, &baked[3].id).clone();
    assert_eq!(item["outcome"], "held", "{swept:#}");
    assert_eq!(item_of(&swept, &baked[2].id)["outcome"], "deleted");
    assert!(baked[3].snapshots.iter().all(|id| stands(&world, id)));
    (item, baked[3].clone())
}

#[tokio::test]
async fn a_snapshot_that_is_shared_is_held_whoever_may_use_it() {
    for with in [Grantee::Account(OTHER.to_owned()), Grantee::Everybody] {
        let item = snapshot_held(|world, id| call(world, share_snapshot(id, with))).await;
        assert_eq!(codes(&item), ["shared-with-account"]);
        assert_eq!(item["reasons"][0]["path"][0], item["resource"]);
    }
}

#[tokio::test]
async fn an_ami_that_is_shared_is_held_and_names_the_account() {
    let (item, _) = image_held(|world, ami| {
        let request = Request::ModifyImageAttribute(ModifyImageAttribute {
            id: ami.id.clone(),
            add: vec![Grantee::Account(OTHER.to_owned())],
            ..ModifyImageAttribute::default()
        });
        call(world, request);
    })
    .await;
    assert_eq!(codes(&item), ["shared-with-account"]);
    assert_eq!(item["reasons"][0]["path"], json!([item["resource"], OTHER]));
}

#[tokio::test]
async fn an_ami_whose_snapshot_is_shared_is_held_with_the_path_through_it() {
    let (item, ami) = image_held(|world, ami| {
        let with = Grantee::Account(OTHER.to_owned());
        call(world, share_snapshot(&ami.snapshots[1], with));
    })
    .await;
    assert_eq!(codes(&item), ["shared-with-account"]);
    let path = &item["reasons"][0]["path"];
    assert_eq!(*path, json!([ami.id, ami.snapshots[1], OTHER]));
}

#[tokio::test]
async fn a_locked_snapshot_is_held_until_its_lock_is_taken_off() {
    let (world, ids) = backups::world("enforce", backups::POLICIES, 3).await;
    let id = ids[2].clone();
    let lock = LockSnapshot {
        id: id.clone(),
        mode: "governance".to_owned(),
        duration_days: Some(30),
        ..LockSnapshot::default()
    };
    call(&world, Request::LockSnapshot(lock));
    let held = backups::sweep(&world).await;
    assert_eq!(codes(item_of(&held, &id)), ["locked"], "{held:#}");
    assert!(!world.calls().contains(&"DeleteSnapshot".to_owned()));
    call(
        &world,
        Request::UnlockSnapshot(UnlockSnapshot { id: id.clone() }),
    );
    let free = images::sweep_at(&world, LATER).await;
    assert_eq!(item_of(&free, &id)["outcome"], "deleted", "{free:#}");
}

#[tokio::test]
async fn an_ami_over_a_locked_snapshot_is_held_for_ec2_would_deregister_it() {
    let (item, ami) = image_held(|world, ami| {
        let lock = LockSnapshot {
            id: ami.snapshots[1].clone(),
            mode: "governance".to_owned(),
            duration_days: Some(30),
            ..LockSnapshot::default()
        };
        call(world, Request::LockSnapshot(lock));
    })
    .await;
    assert_eq!(codes(&item), ["locked"]);
    assert_eq!(item["reasons"][0]["path"][1], ami.snapshots[1].as_str());
}

#[tokio::test]
async fn a_snapshot_with_fast_restore_is_held() {
    let fast = |id: &str| {
        Request::EnableFastSnapshotRestores(EnableFastSnapshotRestores {
            zones: vec!["eu-central-1a".to_owned()],
            ids: vec![id.to_owned()],
        })
    };
    let item = snapshot_held(|world, id| call(world, fast(id))).await;
    assert_eq!(codes(&item), ["fast-restore-enabled"]);
    let (item, ami) = image_held(|world, ami| call(world, fast(&ami.snapshots[0]))).await;
    assert_eq!(codes(&item), ["fast-restore-enabled"]);
    assert_eq!(item["reasons"][0]["path"][1], ami.snapshots[0].as_str());
}

#[tokio::test]
async fn a_snapshot_that_is_being_copied_is_held() {
    let copy = |id: &str| {
        Request::CopySnapshot(CopySnapshot {
            source_region: "eu-central-1".to_owned(),
            source: id.to_owned(),
            description: Some(format!("a copy of {id}")),
            ..CopySnapshot::default()
        })
    };
    let (world, ids) = backups::world("enforce", backups::POLICIES, 4).await;
    world.advance(backups::NOW);
    call(&world, copy(&ids[3]));
    let swept = backups::sweep(&world).await;
    assert_eq!(
        codes(item_of(&swept, &ids[3])),
        ["copy-in-progress"],
        "{swept:#}"
    );
    assert_eq!(item_of(&swept, &ids[2])["outcome"], "deleted");
}

#[tokio::test]
async fn an_ami_that_is_being_copied_is_held() {
    let (world, baked) = images::world("enforce", images::POLICIES, 4).await;
    world.advance(backups::NOW);
    let copy = Request::CopyImage(CopyImage {
        name: "copy".to_owned(),
        source_region: "eu-central-1".to_owned(),
        source: baked[3].id.clone(),
        ..CopyImage::default()
    });
    call(&world, copy);
    let swept = images::sweep(&world).await;
    let held = item_of(&swept, &baked[3].id);
    assert!(codes(held).contains(&"copy-in-progress"), "{swept:#}");
    assert_eq!(item_of(&swept, &baked[2].id)["outcome"], "deleted");
}

#[tokio::test]
async fn a_snapshot_that_a_binned_ami_of_somebody_else_maps_is_held_as_long_as_the_bin_has_it() {
    let retain = |settings: &mut holdfast_sim::Settings| {
        settings.recycle_bin = vec![RetentionRule::for_region(Retained::Images, 7)];
    };
    let world = World::with(backups::POLICIES, "enforce", retain, |account| {
        backups::volume(account, &[("Backup", "nightly")]);
        for n in 0..4 {
            let day = backups::day(n);
            holdfast_end_to_end::seed_backup(account, "nightly", backups::VOLUME, &day, &[]);
        }
    })
    .await;
    let ids = backups::newest_first(&world);
    // Over a snapshot that is kept, too: it may expire while the AMI lies in the bin.
    let over_kept = world.register_image("golden-1", &[&ids[1]]);
    // Others stay: no collapse of images.
    for n in 3..5 {
        let _ = world.register_image(&format!("golden-{n}"), &[&ids[0]]);
    }
    let over_expired = world.register_image("golden-2", &[&ids[3]]);
    let first = backups::sweep(&world).await;
    assert_eq!(
        codes(item_of(&first, &ids[3])),
        ["used-by-image"],
        "{first:#}"
    );
    let edge = format!("in#backed-by#{over_kept}");
    assert!(world.item(&format!("node#{}", ids[1]), &edge).is_some());
    deregister_by_hand(&world, &over_kept);
    deregister_by_hand(&world, &over_expired);
    world.set_policies(&backups::POLICIES.replace("last: 2", "last: 1"));
    let held = images::sweep_at(&world, LATER).await;
    for (n, image) in [(1, &over_kept), (3, &over_expired)] {
        let item = item_of(&held, &ids[n]);
        assert_eq!(codes(item), ["in-recycle-bin"], "{held:#}");
        assert_eq!(item["reasons"][0]["path"], json!([ids[n], image]));
    }
    // Seven days later the bin has let them go.
    let free = images::sweep_at(&world, "2026-03-09T12:00:00Z").await;
    for n in [1, 3] {
        assert_eq!(item_of(&free, &ids[n])["outcome"], "deleted", "{free:#}");
    }
}
