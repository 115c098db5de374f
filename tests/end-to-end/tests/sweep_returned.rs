//! What is left of somebody else's AMI waits a whole week each time that the AMI goes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_end_to_end::images::{POLICIES, deregister_by_hand, stands, sweep_at, world};
use holdfast_end_to_end::{World, codes, item_of};
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
