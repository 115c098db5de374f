//! What cannot be restored is refused with what to do instead, and nothing is made.

use holdfast_core::id::SnapshotId;
use holdfast_core::inventory::SnapshotState;
use holdfast_end_to_end::{codes, item_of};
use holdfast_sim::{Retained, RetentionRule};
use serde_json::Value;

use crate::stage::{DATA, MACHINE, backup, count, restore, restored, shown, world};

/// The words of the one reason of an item.
fn words(item: &Value) -> &str {
    item["reasons"][0]["detail"].as_str().unwrap()
}

const KEY: &str = "arn:aws:kms:eu-central-1:111122223333:key/0a1";

#[tokio::test(flavor = "multi_thread")]
async fn an_unusable_backup_is_refused_with_what_to_do_instead() {
    let world = world().await;
    let time = "2026-03-01T03:00:00Z";
    let archived = backup(&world, time, |s| s.tier = Some("archive".into()));
    let failed = backup(&world, time, |s| s.state = Some(SnapshotState::Error));
    let pending = backup(&world, "2026-03-01T23:59:59Z", |s| {
        s.state = Some(SnapshotState::Pending);
    });
    let locked_out = backup(&world, time, |s| {
        s.encrypted = true;
        s.kms_key = Some(KEY.into());
    });
    world.account(|account| account.set_key(KEY, "Disabled"));
    for (id, code, advice) in [
        (archived.as_str(), "archived", "restore-snapshot-tier"),
        (&failed, "failed-backup", "restore another one"),
        (&pending, "pending", "wait for it"),
        (&locked_out, "key-unusable", "enable it first"),
        ("snap-0000000000000dead", "not-found", "holdfast evidence"),
    ] {
        let (report, status) = restore(&world, &["volume", id, "--yes"]);
        assert_eq!(status, 3, "{report:#}");
        let item = item_of(&report, id);
        assert_eq!(item["outcome"], "failed");
        assert_eq!(codes(item), [code]);
        assert!(words(item).contains(advice), "{report:#}");
    }
    let (text, _, status) = shown(&world, &["volume", &archived, "--yes"]);
    assert_eq!(status, 3);
    assert!(
        text.contains("refused") && text.contains("archive"),
        "{text}"
    );
    assert_eq!(restored(&world), []);
    assert_eq!(count(&world.calls(), "CreateVolume"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_in_the_recycle_bin_is_to_be_taken_out_first() {
    let world = holdfast_end_to_end::World::with(
        crate::stage::POLICIES,
        "plan",
        |settings| settings.recycle_bin = vec![RetentionRule::for_region(Retained::Snapshots, 7)],
        |_| {},
    )
    .await;
    let snapshot = backup(&world, "2026-03-01T03:00:00Z", |_| {});
    let request =
        holdfast_sim::request::Request::DeleteSnapshot(holdfast_sim::request::DeleteSnapshot {
            id: snapshot.clone(),
        });
    world.account(|account| account.call(&request)).unwrap();
    let there = world.account(|a| a.snapshot(&SnapshotId::new(&*snapshot)).is_some());
    assert!(!there, "it is in the bin");
    let (report, status) = restore(&world, &["volume", &snapshot, "--yes"]);
    assert_eq!(status, 3, "{report:#}");
    let item = item_of(&report, &snapshot);
    assert_eq!(codes(item), ["in-recycle-bin"]);
    assert!(
        words(item).contains("restore-snapshot-from-recycle-bin"),
        "{report:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_in_use_is_never_taken_away() {
    let world = world().await;
    let snapshot = backup(&world, "2026-03-01T03:00:00Z", |_| {});
    // The guest knows both names as one device.
    for device in ["/dev/sdb", "/dev/xvdb"] {
        let target = format!("{MACHINE}:{device}");
        let (report, status) =
            restore(&world, &["volume", &snapshot, "--attach", &target, "--yes"]);
        assert_eq!(status, 3, "{report:#}");
        let item = item_of(&report, &snapshot);
        assert_eq!(codes(item), ["device-in-use"]);
        assert!(words(item).contains(DATA), "{report:#}");
    }
    let elsewhere = format!("{MACHINE}:/dev/sdf");
    let arguments = [
        "volume",
        &snapshot,
        "--attach",
        &elsewhere,
        "--az",
        "eu-central-1b",
    ];
    let (report, status) = restore(&world, &arguments);
    assert_eq!(
        (codes(item_of(&report, &snapshot)), status),
        (vec!["refused"], 3)
    );
    assert_eq!(restored(&world), []);
    let calls = world.calls();
    for call in ["CreateVolume", "AttachVolume", "DetachVolume"] {
        assert_eq!(count(&calls, call), 0, "{call}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_was_not_read_to_its_end_makes_nothing() {
    let world = world().await;
    backup(&world, "2026-03-01T03:00:00Z", |_| {});
    let error = holdfast_sim::ApiError::new("UnauthorizedOperation", "You are not authorized");
    world.inject(holdfast_sim::FaultRule::next(
        "DescribeSnapshots",
        holdfast_sim::Fault::FailPage(1, error),
    ));
    let at = [
        "volume",
        "--source",
        DATA,
        "--at",
        "2026-03-01T12:00:00Z",
        "--yes",
    ];
    let (_, words, status) = shown(&world, &at);
    assert_eq!(status, 1, "{words}");
    assert!(words.contains("ec2:Describe"), "{words}");
    assert_eq!(restored(&world), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_creation_makes_nothing_and_tells_each_action_that_it_takes() {
    let world = world().await;
    let snapshot = backup(&world, "2026-03-01T03:00:00Z", |_| {});
    let error = holdfast_sim::ApiError::new("UnauthorizedOperation", "You are not authorized");
    let fault = holdfast_sim::Fault::Error(error);
    world.inject(holdfast_sim::FaultRule::next("CreateVolume", fault.clone()));
    let (report, status) = restore(&world, &["volume", &snapshot, "--yes"]);
    assert_eq!(status, 3, "{report:#}");
    let item = item_of(&report, &snapshot);
    assert_eq!(item["outcome"], "failed");
    let detail = item["reasons"][1]["detail"].as_str().unwrap();
    let advice = "allow ec2:CreateVolume and ec2:CreateTags; the same command goes on from here";
    assert!(detail.contains(advice), "{report:#}");
    assert_eq!(restored(&world), []);
    world.inject(holdfast_sim::FaultRule::next("CreateVolume", fault));
    let (_, words, _) = shown(&world, &["volume", &snapshot, "--yes"]);
    let statement = r#"{"Effect": "Allow", "Action": ["ec2:CreateTags", "ec2:CreateVolume"], "#;
    assert!(words.contains(statement), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_without_an_ami_is_told_how_its_volumes_are_restored_and_the_other_way_round() {
    let world = world().await;
    let at = ["--source", MACHINE, "--at", "2026-03-01T12:00:00Z"];
    for (what, other) in [("instance", "set"), ("set", "instance")] {
        let (report, status) = restore(&world, &[&[what], &at[..]].concat());
        assert_eq!(status, 3, "{report:#}");
        let item = item_of(&report, MACHINE);
        assert_eq!(codes(item), ["no-backup"]);
        let advice =
            format!("holdfast restore {other} --source {MACHINE} --at 2026-03-01T12:00:00Z");
        assert!(words(item).contains(&advice), "{report:#}");
    }
}
