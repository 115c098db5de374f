//! A restore that is cut off goes on with the same command, and makes nothing twice.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use holdfast_end_to_end::World;
use holdfast_end_to_end::lineage::edges;
use holdfast_local_aws::lambda::find_binary;
use holdfast_sim::{Fault, FaultRule};

use crate::stage::{
    backup, count, creations, made, restore, restored, volume, world, world_with_slow_volumes,
};

const TIME: &str = "2026-03-01T03:00:00Z";

/// The command, begun.
fn begin(world: &World, snapshot: &str) -> Child {
    Command::new(find_binary("holdfast").unwrap())
        .args(["restore", "volume", snapshot, "--yes", "--json"])
        .envs(world.local.environment())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until EC2 has been told to make a volume.
async fn until_made(world: &World) {
    let made = async {
        while restored(world).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), made)
        .await
        .expect("the call arrives");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_the_volume_was_made_the_same_command_finishes() {
    let world = world().await;
    let snapshot = backup(&world, TIME, |_| {});
    world.inject(FaultRule::next("CreateVolume", Fault::AppliedThenHang));
    let mut child = begin(&world, &snapshot);
    until_made(&world).await;
    child.kill().unwrap();
    child.wait().unwrap();
    let (_, id) = restored(&world).remove(0);
    assert!(
        edges(&world, &id, "restored-from").is_empty(),
        "not recorded"
    );
    let (report, status) = restore(&world, &["volume", &snapshot, "--yes"]);
    assert_eq!((made(&report), status), (id.clone(), 0));
    assert_eq!(restored(&world), [(snapshot.clone(), id.clone())]);
    assert_eq!(
        edges(&world, &id, "restored-from"),
        BTreeSet::from([snapshot])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_makes_no_second_volume() {
    let world = world().await;
    let snapshot = backup(&world, TIME, |_| {});
    world.inject(FaultRule::next(
        "CreateVolume",
        Fault::AppliedButResponseLost,
    ));
    let (report, status) = restore(&world, &["volume", &snapshot, "--yes"]);
    assert_eq!(status, 0, "{report:#}");
    let id = made(&report);
    assert_eq!(restored(&world), [(snapshot, id)]);
    assert_eq!(count(&world.calls(), "CreateVolume"), 2, "asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interruption_tells_what_was_made_and_the_same_command_goes_on() {
    let world = world_with_slow_volumes(1).await;
    let snapshot = backup(&world, TIME, |_| {});
    let child = begin(&world, &snapshot);
    until_made(&world).await;
    let (_, id) = restored(&world).remove(0);
    // It waits now, or is about to: the wish to stop is heard from before the call on.
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(sent.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let item = creations(&report)[0];
    assert_eq!(item["resource"], *id, "{report:#}");
    assert_eq!(report["run"]["complete"], false);
    let words = item["reasons"].to_string();
    assert!(words.contains("\"interrupted\""), "{words}");
    assert!(words.contains("same command goes on"), "{words}");
    world.advance("2026-03-02T02:00:00Z");
    let (report, status) = restore(&world, &["volume", &snapshot, "--yes"]);
    assert_eq!((made(&report), status), (id.clone(), 0));
    assert_eq!(restored(&world), [(snapshot, id.clone())]);
    assert_eq!(volume(&world, &id).state.as_str(), "available");
}
