//! `holdfast plan` and `holdfast lineage` against what the functions made.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_end_to_end::{World, at, codes, item_of, items, report, seed_backup, seed_instance};
use jiff::SignedDuration;
use serde_json::{Value, json};

const NIGHTLY: &str = r#"
version: 1
policies:
  - name: nightly
    protect: volumes
    select: { instances: { tags: { Backup: nightly } } }
    schedule: "cron(0 3 * * ? *)"
    retain: { last: 2 }
"#;

fn json_of(output: &std::process::Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text)
        .unwrap_or_else(|e| panic!("{e}: {text}\n{}", String::from_utf8_lossy(&output.stderr)))
}

#[tokio::test(flavor = "multi_thread")]
async fn lineage_shows_a_set_its_machine_and_the_ami_that_somebody_made_of_it() {
    let world = World::new(NIGHTLY, "plan", |account| {
        seed_instance(account, 1, &[("Backup", "nightly")]);
    })
    .await;
    let create = world.function("create-snapshots");
    report(&create, &world.heartbeat("2026-03-03T03:00:00Z")).await;
    world.advance("2026-03-03T04:00:00Z");
    let (instance, snapshot) = world.account(|account| {
        let instance = account.instances().next().unwrap().id.to_string();
        (instance, account.snapshots().next().unwrap().clone())
    });
    let image = world.register_image("from-backup", &[snapshot.id.as_str()]);
    let output = world.holdfast(&["lineage", snapshot.id.as_str()]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let graph = json_of(&output);
    let edge = |from: &str, kind: &str, to: &str| {
        let edges = graph["edges"].as_array().unwrap();
        edges.contains(&json!({ "from": from, "to": to, "kind": kind }))
    };
    assert!(
        edge(
            snapshot.id.as_str(),
            "snapshot-of",
            snapshot.volume.as_str()
        ),
        "{graph:#}"
    );
    assert!(
        edge(snapshot.volume.as_str(), "attached-to", &instance),
        "{graph:#}"
    );
    assert!(edge(&image, "backed-by", snapshot.id.as_str()), "{graph:#}");
    let node = |id: &str, kind: &str, state: &str| {
        let nodes = graph["nodes"].as_array().unwrap();
        nodes.contains(&json!({ "id": id, "kind": kind, "state": state }))
    };
    assert!(
        node(snapshot.id.as_str(), "snapshot", "completed"),
        "{graph:#}"
    );
    assert!(node(&image, "image", "available"), "{graph:#}");
    // Somebody deletes it past Holdfast; the record stays and says that EC2 lists it no more.
    world.account(|account| account.vanish_snapshot(&snapshot.id));
    let graph = json_of(&world.holdfast(&["lineage", snapshot.id.as_str()]));
    let lost = json!({ "id": snapshot.id, "kind": "snapshot", "state": "not-listed" });
    assert!(
        graph["nodes"].as_array().unwrap().contains(&lost),
        "{graph:#}"
    );
    let unknown = world.holdfast(&["lineage", "snap-0000000000000dead"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(unknown.stdout.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lineage_of_a_deleted_snapshot_is_still_told() {
    let world = World::new(NIGHTLY, "enforce", |account| {
        seed_instance(account, 0, &[("Backup", "nightly")]);
    })
    .await;
    let create = world.function("create-snapshots");
    for day in 3..6 {
        report(
            &create,
            &world.heartbeat(&format!("2026-03-0{day}T03:00:00Z")),
        )
        .await;
    }
    let oldest = world
        .snapshots()
        .into_iter()
        .min_by_key(|s| s.started)
        .unwrap();
    let sweep = world.function("sweep-retention");
    let swept = report(&sweep, &world.heartbeat("2026-03-05T04:00:00Z")).await;
    assert_eq!(
        item_of(&swept, oldest.id.as_str())["outcome"],
        "deleted",
        "{swept:#}"
    );
    let graph = json_of(&world.holdfast(&["lineage", oldest.id.as_str()]));
    let deleted = json!({ "id": oldest.id, "kind": "snapshot", "state": "deleted" });
    assert!(
        graph["nodes"].as_array().unwrap().contains(&deleted),
        "{graph:#}"
    );
    let edge = json!({ "from": oldest.id, "to": oldest.volume, "kind": "snapshot-of" });
    assert!(
        graph["edges"].as_array().unwrap().contains(&edge),
        "{graph:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_tells_what_a_run_would_create_retire_keep_and_hold_and_changes_nothing() {
    let volume = "vol-0000000000000000a";
    let world = World::new(NIGHTLY, "enforce", move |account| {
        seed_instance(account, 1, &[("Backup", "nightly")]);
        for n in 0..4 {
            let time = at("2026-03-02T03:00:00Z") - SignedDuration::from_hours(24 * n);
            seed_backup(account, "nightly", volume, &time.to_string(), &[]);
        }
    })
    .await;
    let mut ids: Vec<_> = world.snapshots();
    ids.sort_by_key(|s| s.started);
    let image = world.register_image("needed", &[ids[1].id.as_str()]);
    let before = world.local.dynamodb.items().unwrap();
    let output = world.holdfast(&["plan", "--now", "2026-03-02T12:00:00Z", "--json"]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let plan = json_of(&output);
    assert_eq!(
        plan["summary"],
        json!({ "held": 1, "kept": 2, "planned": 3 }),
        "{plan:#}"
    );
    let (create, delete): (Vec<_>, Vec<_>) = items(&plan, "planned")
        .into_iter()
        .partition(|item| item["action"] == "create");
    assert_eq!((create.len(), delete.len()), (2, 1));
    assert_eq!(delete[0]["resource"], ids[0].id.as_str());
    let held = item_of(&plan, ids[1].id.as_str());
    assert_eq!(codes(held), ["used-by-image"]);
    assert_eq!(held["reasons"][0]["path"][1], image.as_str());
    assert_eq!(world.snapshots().len(), 4);
    assert_eq!(world.local.dynamodb.items().unwrap(), before);

    // What the sweep itself says is the same.
    let sweep = world.function("sweep-retention");
    let request = json!({ "dry_run": true, "now": "2026-03-02T12:00:00Z" });
    let swept = report(&sweep, &request).await;
    assert_eq!(swept["run"]["plan_hash"], plan["run"]["plan_hash"]);
    assert_eq!(
        codes(item_of(&swept, ids[1].id.as_str())),
        ["used-by-image"]
    );
}
