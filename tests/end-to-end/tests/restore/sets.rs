//! All volumes of a multi-volume set.

use std::collections::BTreeSet;

use holdfast_core::id::SnapshotId;
use holdfast_end_to_end::lineage::edges;
use holdfast_end_to_end::{World, codes, item_of, report};
use holdfast_sim::request::{DeleteSnapshot, Request};
use serde_json::json;

use crate::stage::{DATA, MACHINE, ROOT, count, creations, restore, restored, volume, world};

/// The machine with sets of these days, made by the real function.
async fn with_sets(days: &[&str]) -> (World, Vec<Vec<String>>) {
    let world = world().await;
    let create = world.function("create-snapshots");
    let mut sets = Vec::new();
    let mut known = BTreeSet::new();
    for day in days {
        let made = report(&create, &world.heartbeat(&format!("{day}T03:00:00Z"))).await;
        assert_eq!(made["summary"]["created"], 2, "{made:#}");
        world.advance(&format!("{day}T04:00:00Z"));
        let now: BTreeSet<String> = world.snapshots().iter().map(|s| s.id.to_string()).collect();
        sets.push(now.difference(&known).cloned().collect());
        known = now;
    }
    (world, sets)
}

fn delete(world: &World, snapshot: &str) {
    let request = Request::DeleteSnapshot(DeleteSnapshot {
        id: snapshot.to_owned(),
    });
    world.account(|account| account.call(&request)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_members_come_back_from_one_point_in_time_and_once() {
    let (world, sets) = with_sets(&["2026-03-02"]).await;
    let (report, status) = restore(&world, &["set", &sets[0][0], "--yes"]);
    assert_eq!(status, 0, "{report:#}");
    let items = creations(&report);
    assert_eq!(items.len(), 2, "{report:#}");
    let times: BTreeSet<&str> = items.iter().map(|i| i["time"].as_str().unwrap()).collect();
    assert_eq!(times, BTreeSet::from(["2026-03-02T03:00:00Z"]));
    let mut sources = BTreeSet::new();
    for item in items {
        assert_eq!(item["outcome"], "created");
        // The function asked for nothing else, and recorded what it got.
        assert_eq!(item["restore"]["consistency"], "crash");
        let id = item["resource"].as_str().unwrap();
        let snapshot = item["restore"]["backup"].as_str().unwrap();
        sources.insert(item["source"].as_str().unwrap().to_owned());
        assert_eq!(volume(&world, id).snapshot.unwrap().as_str(), snapshot);
        assert_eq!(
            edges(&world, id, "restored-from"),
            BTreeSet::from([snapshot.to_owned()])
        );
        if item["source"] == DATA {
            assert_eq!(volume(&world, id).iops, Some(6000));
        }
    }
    assert_eq!(sources, BTreeSet::from([ROOT.to_owned(), DATA.to_owned()]));
    let first = restored(&world);
    let (report, status) = restore(&world, &["set", &sets[0][1], "--yes"]);
    assert_eq!(status, 0);
    assert!(
        creations(&report)
            .iter()
            .all(|item| codes(item)[0] == "already-created")
    );
    assert_eq!(restored(&world), first);
    assert_eq!(count(&world.calls(), "CreateVolume"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_lost_a_member_is_refused_and_an_earlier_whole_one_is_found() {
    let (world, sets) = with_sets(&["2026-03-02", "2026-03-03"]).await;
    delete(&world, &sets[1][1]);
    let left = sets[1][0].as_str();
    let (report, status) = restore(&world, &["set", left, "--yes"]);
    assert_eq!(status, 3, "{report:#}");
    assert_eq!(codes(item_of(&report, left)), ["incomplete-set"]);
    assert!(report.to_string().contains(&sets[1][1]), "{report:#}");
    assert_eq!(restored(&world), []);
    let newest = [
        "set",
        "--source",
        MACHINE,
        "--at",
        "2026-03-03T12:00:00Z",
        "--yes",
    ];
    let (report, status) = restore(&world, &newest);
    assert_eq!(status, 0, "{report:#}");
    let of: BTreeSet<String> = restored(&world).into_iter().map(|(of, _)| of).collect();
    assert_eq!(of, sets[0].iter().cloned().collect());
    assert_eq!(codes(item_of(&report, left)), ["incomplete-set"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_record_tells_the_number_of_members_that_is_said() {
    let (world, sets) = with_sets(&["2026-03-02"]).await;
    let pk = format!("slot#nightly#{MACHINE}");
    world.change(&pk, "2026-03-02T03:00:00Z", |item| {
        item["artifacts"] = json!({ "L": [] });
    });
    let (report, status) = restore(&world, &["set", &sets[0][0], "--yes"]);
    assert_eq!(status, 3, "{report:#}");
    let items = creations(&report);
    assert!(items.iter().all(|item| item["outcome"] == "created"));
    assert!(
        codes(items[0]).contains(&"evidence-incomplete"),
        "{report:#}"
    );
    assert_eq!(restored(&world).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_member_of_a_set_is_restored_by_itself() {
    let world = world().await;
    let single = crate::stage::backup(&world, "2026-03-01T03:00:00Z", |_| {});
    let (report, status) = restore(&world, &["set", &single, "--yes"]);
    assert_eq!(status, 3, "{report:#}");
    assert_eq!(codes(item_of(&report, &single)), ["refused"]);
    assert!(
        report.to_string().contains("holdfast restore volume"),
        "{report:#}"
    );
    let there = world.account(|a| a.snapshot(&SnapshotId::new(&*single)).is_some());
    assert!(there && restored(&world).is_empty());
}
