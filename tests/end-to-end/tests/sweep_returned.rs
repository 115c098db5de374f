//! What is left of somebody else's AMI waits a whole week each time that the AMI goes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_end_to_end::backups;
use holdfast_end_to_end::images::{
    POLICIES, age_attempt, deletion_state, deregister_by_hand, stands, sweep_at, template_over,
    world,
};
use holdfast_end_to_end::lineage::{items_under, recorded};
use holdfast_end_to_end::{World, codes, item_of};
use holdfast_sim::request::{
    DeleteLaunchTemplate, DeleteSnapshot, Request, RestoreImageFromRecycleBin,
    RestoreSnapshotFromRecycleBin,
};
use holdfast_sim::{Retained, RetentionRule};
use serde_json::Value;

fn mark(world: &World, id: &str) -> Value {
    let item = world.item(&format!("delete#{id}"), "mark");
    item.map_or(Value::Null, |item| item["condemned"]["BOOL"].clone())
}

#[tokio::test]
async fn an_ami_that_came_back_and_is_deregistered_again_begins_its_week_anew() {
    let (world, baked) = world("enforce", POLICIES, 3).await;
    let [root, data] = [0, 1].map(|n| baked[2].snapshots[n].as_str());
    deregister_by_hand(&world, &baked[2].id);
    let first = sweep_at(&world, "2026-03-02T10:00:00Z").await;
    assert_eq!(
        codes(item_of(&first, root)),
        ["orphaned", "grace"],
        "{first:#}"
    );
    assert_eq!(
        (mark(&world, root), mark(&world, data)),
        (true.into(), true.into())
    );
    // Somebody registers it again, and thinks better of it four days later.
    let again = world.register_image("again", &[root, data]);
    let standing = sweep_at(&world, "2026-03-04T10:00:00Z").await;
    assert_eq!(
        standing["summary"],
        serde_json::json!({ "held": 2, "kept": 2 }),
        "{standing:#}"
    );
    for id in [root, data] {
        let item = item_of(&standing, id);
        assert_eq!(codes(item), ["orphaned", "used-by-image"]);
        assert_eq!(item["reasons"][1]["path"], serde_json::json!([id, again]));
    }
    assert_eq!(
        (mark(&world, root), mark(&world, data)),
        (false.into(), false.into())
    );
    deregister_by_hand(&world, &again);
    let second = sweep_at(&world, "2026-03-08T10:00:00Z").await;
    assert_eq!(
        codes(item_of(&second, root)),
        ["orphaned", "grace"],
        "{second:#}"
    );
    let week_of_the_first = sweep_at(&world, "2026-03-10T10:00:00Z").await;
    for id in [root, data] {
        assert_eq!(item_of(&week_of_the_first, id)["outcome"], "held");
        assert!(stands(&world, id));
    }
    let over = sweep_at(&world, "2026-03-15T10:00:00Z").await;
    for id in [root, data] {
        assert_eq!(item_of(&over, id)["outcome"], "deleted", "{over:#}");
        assert_eq!(mark(&world, id), Value::Null);
    }
    sweep_at(&world, "2026-03-15T11:00:00Z").await;
    for id in [root, data] {
        assert_eq!(
            world.item("delete#orphans", id),
            None,
            "nothing waits any more"
        );
    }
}

#[tokio::test]
async fn what_the_recycle_bins_ami_holds_waits_its_week_from_when_the_bin_lets_go() {
    let (world, baked) = world("enforce", POLICIES, 3).await;
    let root = baked[2].snapshots[0].as_str();
    deregister_by_hand(&world, &baked[2].id);
    sweep_at(&world, "2026-03-02T10:00:00Z").await;
    assert_eq!(mark(&world, root), true);
    // Registered again under its own name, it goes into the bin for three days.
    let bin = vec![RetentionRule::for_region(Retained::Images, 3)];
    world.account(|account| account.settings_mut().recycle_bin = bin);
    let snapshots: Vec<&str> = baked[2].snapshots.iter().map(String::as_str).collect();
    let name = holdfast_core::artifact::image_name(
        "bake",
        holdfast_end_to_end::images::MACHINE,
        holdfast_end_to_end::at(&holdfast_end_to_end::backups::day(2)),
        2,
    );
    let again = world.register_image(&name, &snapshots);
    deregister_by_hand(&world, &again);
    let held = sweep_at(&world, "2026-03-04T10:00:00Z").await;
    assert!(
        codes(item_of(&held, root)).contains(&"in-recycle-bin"),
        "{held:#}"
    );
    assert_eq!(mark(&world, root), false);
    let out = sweep_at(&world, "2026-03-09T11:00:00Z").await;
    assert_eq!(codes(item_of(&out, root)), ["orphaned", "grace"], "{out:#}");
    let over = sweep_at(&world, "2026-03-16T11:00:00Z").await;
    assert_eq!(item_of(&over, root)["outcome"], "deleted", "{over:#}");
}

/// Lets the Recycle Bin keep everything for a week.
fn bin_everything(world: &World) {
    let rules = [Retained::Images, Retained::Snapshots];
    let rules = rules.map(|kind| RetentionRule::for_region(kind, 7)).into();
    world.account(|account| account.settings_mut().recycle_bin = rules);
}

fn restore(world: &World, id: &str) {
    let id = id.to_owned();
    let request = if id.starts_with("ami-") {
        Request::RestoreImageFromRecycleBin(RestoreImageFromRecycleBin { id })
    } else {
        Request::RestoreSnapshotFromRecycleBin(RestoreSnapshotFromRecycleBin { id })
    };
    world.account(|account| account.call(&request)).unwrap();
}

/// Moves the recorded deletion of an artifact an hour into the past, and its node with it.
fn deleted_an_hour_ago(world: &World, id: &str) {
    age_attempt(world, id, 60);
    let deletion = world.item(&format!("delete#{id}"), "deletion").unwrap();
    world.change(&format!("node#{id}"), "node", |node| {
        node["changed"] = deletion["at"].clone();
    });
}

/// The proofs of an artifact's deletions, as `holdfast evidence` tells them.
fn told(world: &World, id: &str) -> Value {
    let output = world.holdfast(&["evidence", id, "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    item_of(&report, id)["deletion"]["state"].clone()
}

/// The keys under which the proofs of an artifact's deletions lie that were put aside.
fn aside(world: &World, id: &str) -> usize {
    let items = items_under(world, &format!("delete#{id}")).into_iter();
    let keys = items.map(|item| item["sk"]["S"].as_str().unwrap().to_owned());
    keys.filter(|key| key.starts_with("deletion#")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proofs_of_an_ami_and_its_snapshots_that_came_back_are_put_aside_and_still_told() {
    let (world, baked) = world("enforce", POLICIES, 3).await;
    bin_everything(&world);
    let ami = baked[2].id.as_str();
    let all = [&baked[2].snapshots[0], &baked[2].snapshots[1], &baked[2].id];
    let swept = sweep_at(&world, "2026-03-02T10:00:00Z").await;
    assert_eq!(item_of(&swept, ami)["outcome"], "deleted", "{swept:#}");
    // It comes out of the bin, and is in use.
    for id in all {
        restore(&world, id);
    }
    template_over(&world, "again", &[ami]);
    // At once, a list might merely lag.
    sweep_at(&world, "2026-03-02T10:30:00Z").await;
    for id in all {
        assert_eq!(deletion_state(&world, id), "deleted", "{id}");
        deleted_an_hour_ago(&world, id);
    }
    let held = sweep_at(&world, "2026-03-02T11:00:00Z").await;
    assert_eq!(item_of(&held, ami)["outcome"], "held", "{held:#}");
    for id in all {
        assert_eq!(deletion_state(&world, id), Value::Null, "{id}");
        assert_eq!((aside(&world, id), told(&world, id)), (1, "deleted".into()));
    }
}

#[tokio::test]
async fn what_a_person_leaves_of_an_ami_that_came_back_waits_its_week() {
    let (world, baked) = world("enforce", POLICIES, 3).await;
    bin_everything(&world);
    let ami = baked[2].id.as_str();
    let snapshots: Vec<&str> = baked[2].snapshots.iter().map(String::as_str).collect();
    // Somebody's AMI over all of it: Holdfast deregisters its own, and the snapshots stay.
    let golden = world.register_image("golden", &snapshots);
    let swept = sweep_at(&world, "2026-03-02T10:00:00Z").await;
    assert_eq!(item_of(&swept, ami)["outcome"], "deleted", "{swept:#}");
    restore(&world, ami);
    template_over(&world, "again", &[ami]);
    deleted_an_hour_ago(&world, ami);
    let held = sweep_at(&world, "2026-03-02T11:00:00Z").await;
    assert_eq!(item_of(&held, ami)["outcome"], "held", "{held:#}");
    // A person deregisters both, for good.
    let template = Request::DeleteLaunchTemplate(DeleteLaunchTemplate {
        name: Some("again".into()),
        ..DeleteLaunchTemplate::default()
    });
    world.account(|account| account.settings_mut().recycle_bin = Vec::new());
    world.account(|account| account.call(&template)).unwrap();
    deregister_by_hand(&world, &golden);
    deregister_by_hand(&world, ami);
    let left = sweep_at(&world, "2026-03-02T12:00:00Z").await;
    for id in snapshots {
        assert!(stands(&world, id), "{left:#}");
        assert_eq!(codes(item_of(&left, id)), ["orphaned", "grace"], "{left:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loss_of_a_snapshot_that_came_back_is_a_finding_and_not_holdfasts_deletion() {
    let (world, ids) = backups::world("enforce", backups::POLICIES, 3).await;
    bin_everything(&world);
    let id = ids[2].as_str();
    world.reconcile("2026-03-02T09:00:00Z").await;
    let swept = backups::sweep(&world).await;
    assert_eq!(item_of(&swept, id)["outcome"], "deleted", "{swept:#}");
    deleted_an_hour_ago(&world, id);
    restore(&world, id);
    world.reconcile("2026-03-02T10:30:00Z").await;
    assert_eq!(recorded(&world, id).unwrap(), "completed");
    // A person deletes it.
    let delete = Request::DeleteSnapshot(DeleteSnapshot { id: id.into() });
    world.account(|account| account.call(&delete)).unwrap();
    world.reconcile("2026-03-02T11:00:00Z").await;
    let confirmed = world.reconcile("2026-03-02T12:00:00Z").await;
    let item = item_of(&confirmed, id);
    assert_eq!(
        (&item["outcome"], codes(item)),
        (&"finding".into(), vec!["gone"])
    );
    assert_eq!(recorded(&world, id).unwrap(), "gone");
    assert_eq!(told(&world, id), "deleted");
    let output = world.holdfast(&["explain", id, "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let words = item_of(&report, id)["reasons"][0]["detail"]
        .as_str()
        .unwrap();
    assert!(
        words.contains("the lineage has it as gone since"),
        "{words}"
    );
    assert!(!words.contains("Holdfast deleted it"), "{words}");
}
