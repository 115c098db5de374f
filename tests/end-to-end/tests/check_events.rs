//! Events bring the records where a reconcile would bring them, sooner; and nowhere else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use holdfast_end_to_end::lineage::{
    create_image, deregister, edges, items_under, record_created, recorded,
};
use holdfast_end_to_end::{
    World, at, codes, error, item_of, items, report, resources, seed_instance,
};
use holdfast_local_aws::lambda::Function;
use serde_json::{Value, json};

const POLICIES: &str = r#"
version: 1
policies:
  - name: nightly
    protect: volumes
    select: { instances: { tags: { Backup: nightly } } }
    schedule: "cron(0 3 * * ? *)"
    retain: { daily: 7 }
"#;
const SLOT: &str = "2026-03-03T03:00:00Z";
const LATER: &str = "2026-03-03T03:10:00Z";

async fn world(data: usize) -> (World, String) {
    let world = World::new(POLICIES, "plan", move |account| {
        seed_instance(account, data, &[("Backup", "nightly")]);
    })
    .await;
    let instance = world.account(|account| account.instances().next().unwrap().id.to_string());
    (world, instance)
}

/// What the account has emitted up to `time` that is of interest to check-dependencies.
fn emitted(world: &World, time: &str) -> Vec<Value> {
    world.advance(time);
    let mut events = world.account(|account| account.drain_events());
    events.retain(|event| {
        let kind = event["detail-type"].as_str().unwrap();
        kind.starts_with("EBS ") || kind == "EC2 AMI State Change" || kind.contains("CloudTrail")
    });
    events
}

async fn deliver(check: &Function, events: &[Value]) -> Vec<Value> {
    let mut reports = Vec::new();
    for event in events {
        reports.push(report(check, event).await);
    }
    reports
}

/// The records but for what says when and by whom they were written.
fn records(world: &World) -> BTreeSet<String> {
    let items = ["node#", "slot#", "roster#", "open#", "absent"]
        .into_iter()
        .flat_map(|prefix| items_under(world, prefix));
    let plain = |mut item: Value| {
        let map = item.as_object_mut().unwrap();
        let passing = ["changed", "run", "requested_at", "failed_at"];
        map.retain(|key, _| !passing.contains(&key.as_str()) && !key.starts_with("fence"));
        item.to_string()
    };
    items.map(plain).collect()
}

fn envelope(world: &World, detail_type: &str, detail: Value) -> Value {
    json!({
        "version": "0", "id": "7f1d2c3b-0000-4000-8000-000000000002",
        "detail-type": detail_type, "source": "aws.ec2", "account": world.local.account_id,
        "time": LATER, "region": world.local.region, "resources": [], "detail": detail,
    })
}

#[derive(Clone, Copy)]
enum Order {
    AsEmitted,
    Backwards,
    Twice,
    OnlyTheLast,
    Dropped,
}

/// The records after the events, and again after one reconcile.
async fn after(order: Order, fails: bool) -> (BTreeSet<String>, BTreeSet<String>) {
    let (world, _) = world(2).await;
    if fails {
        world.account(|account| account.fail_next_snapshot(None, "no key"));
    }
    report(&world.function("create-snapshots"), &world.heartbeat(SLOT)).await;
    let mut events = emitted(&world, LATER);
    assert_eq!(events.len(), 4, "each member and the set");
    match order {
        Order::AsEmitted => {}
        Order::Backwards => events.reverse(),
        Order::Twice => events.extend(events.clone()),
        Order::OnlyTheLast => events = events.split_off(3),
        Order::Dropped => events.clear(),
    }
    let check = world.function("check-dependencies");
    deliver(&check, &events).await;
    let by_events = records(&world);
    report(&check, &world.heartbeat("2026-03-03T04:00:00Z")).await;
    (by_events, records(&world))
}

#[tokio::test]
async fn events_in_any_order_twice_or_lost_end_in_the_records_of_the_reconcile_alone() {
    for fails in [false, true] {
        let (_, alone) = after(Order::Dropped, fails).await;
        let state = if fails { "failed" } else { "completed" };
        let says = |records: &BTreeSet<String>| {
            let slot = |record: &&String| record.contains("slot#");
            records.iter().find(slot).unwrap().contains(state)
        };
        assert!(says(&alone));
        for order in [
            Order::AsEmitted,
            Order::Backwards,
            Order::Twice,
            Order::OnlyTheLast,
        ] {
            let (by_events, with_reconcile) = after(order, fails).await;
            assert!(says(&by_events), "the events alone settle the slot");
            assert_eq!(with_reconcile, alone);
        }
    }
}

#[tokio::test]
async fn the_templates_rules_bring_the_events_to_the_function() {
    let (world, instance) = world(1).await;
    let (create, check) = (
        world.function("create-snapshots"),
        world.function("check-dependencies"),
    );
    let mut bus = world.local.bus(&[create, check]).unwrap();
    let quiet = bus
        .advance_to_when(at("2026-03-03T02:59:00Z"), |_| false)
        .await
        .unwrap();
    assert_eq!(quiet.attempts.len(), 0);
    let progress = bus
        .advance_to_when(at("2026-03-03T03:20:00Z"), |beat| {
            beat.function == "create-snapshots"
        })
        .await
        .unwrap();
    assert_eq!(progress.answers("check-dependencies").count(), 3);
    assert!(!progress.attempts.iter().any(|attempt| attempt.given_up));
    let slot = world
        .item(&format!("slot#nightly#{instance}"), SLOT)
        .unwrap();
    assert_eq!(slot["state"]["S"], "completed");
}

#[tokio::test]
async fn the_last_members_event_completes_the_slot_of_a_set() {
    let (world, instance) = world(2).await;
    report(&world.function("create-snapshots"), &world.heartbeat(SLOT)).await;
    let mut members = emitted(&world, LATER);
    members.retain(|event| event["detail-type"] == "EBS Snapshot Notification");
    let check = world.function("check-dependencies");
    let first = deliver(&check, &members[..1]).await;
    // What EC2 shows counts, not what the event says: by now all are completed.
    assert_eq!(first[0]["summary"], json!({ "recorded": 1 }), "{first:#?}");
    let slot = world
        .item(&format!("slot#nightly#{instance}"), SLOT)
        .unwrap();
    assert_eq!(slot["state"]["S"], "completed");
    let again = deliver(&check, &members[..1]).await;
    assert_eq!(again[0]["items"], json!([]));
}

#[tokio::test]
async fn an_amis_event_fills_in_its_snapshots_and_completes_its_slot() {
    let (world, instance) = world(2).await;
    world.advance(SLOT);
    let image = create_image(&world, "golden", &instance, SLOT);
    record_created(&world, "golden", &instance, SLOT, &[&image]);
    let mut events = emitted(&world, LATER);
    events.retain(|event| event["detail-type"] == "EC2 AMI State Change");
    let check = world.function("check-dependencies");
    let seen = deliver(&check, &events).await;
    assert_eq!(resources(&items(&seen[0], "recorded")), [image.as_str()]);
    let backing = edges(&world, &image, "backed-by");
    assert_eq!(backing.len(), 3);
    for snapshot in &backing {
        assert_eq!(recorded(&world, snapshot).unwrap(), "completed");
    }
    assert_eq!(recorded(&world, &image).unwrap(), "available");
    let slot = world
        .item(&format!("slot#golden#{instance}"), SLOT)
        .unwrap();
    assert_eq!(slot["state"]["S"], "completed");
}

#[tokio::test]
async fn an_ami_that_somebody_deregisters_is_a_finding_at_once_and_not_gone_by_one_event() {
    let (world, instance) = world(0).await;
    world.advance(SLOT);
    let image = create_image(&world, "golden", &instance, SLOT);
    let check = world.function("check-dependencies");
    deliver(&check, &emitted(&world, LATER)).await;
    deregister(&world, &image);
    let events = emitted(&world, LATER);
    assert_eq!(events.len(), 2, "EC2's and CloudTrail's");
    for seen in deliver(&check, &events).await {
        let item = item_of(&seen, &image);
        assert_eq!(item["outcome"], "finding");
        assert_eq!(codes(item), ["gone"]);
    }
    assert_eq!(recorded(&world, &image).unwrap(), "available");
    // Nor is it said of one that Holdfast itself was about to deregister.
    let intended = json!({
        "pk": { "S": format!("delete#{image}") }, "sk": { "S": "deletion" },
        "id": { "S": image }, "policy": { "S": "golden" }, "good": { "BOOL": true },
        "time": { "S": SLOT }, "run": { "S": "r" }, "evidence": { "S": "{}" },
        "at": { "S": LATER }, "tries": { "N": "0" }, "state": { "S": "intended" },
        "fence": { "N": "1" }, "schema": { "N": "1" },
    });
    world.local.dynamodb.put_item(intended).unwrap();
    for seen in deliver(&check, &events).await {
        assert_eq!(item_of(&seen, &image)["outcome"], "deferred");
    }
}

#[tokio::test]
async fn events_about_nothing_of_ours_change_no_record() {
    let (world, _) = world(0).await;
    let shared = json!({ "event": "shareSnapshot", "result": "succeeded",
        "snapshot_id": "arn:aws:ec2::eu-central-1:snapshot/snap-0123456789abcdef0",
        "source": 111_122_223_333_u64, "startTime": "", "endTime": "" });
    let failed = |name: &str| {
        json!({ "eventSource": "ec2.amazonaws.com", "eventName": name,
            "errorCode": "Client.InvalidSnapshot.InUse", "requestParameters": null })
    };
    let foreign = world.account(|account| {
        account
            .seed_snapshot(holdfast_sim::SnapshotSeed {
                tags: holdfast_end_to_end::tags(&[("made-by", "somebody")]),
                ..holdfast_sim::SnapshotSeed::default()
            })
            .to_string()
    });
    let of_foreign = json!({ "event": "createSnapshot", "result": "succeeded",
        "snapshot_id": format!("arn:aws:ec2::eu-central-1:snapshot/{foreign}") });
    let unknown = json!({ "ImageId": "ami-0123456789abcdef0", "State": "deregistered" });
    let before = world.local.dynamodb.items().unwrap();
    let check = world.function("check-dependencies");
    for (detail_type, detail) in [
        ("EBS Snapshot Notification", shared),
        ("EBS Snapshot Notification", of_foreign),
        ("AWS API Call via CloudTrail", failed("DeleteSnapshot")),
        ("AWS API Call via CloudTrail", failed("DeregisterImage")),
        ("EC2 AMI State Change", unknown),
    ] {
        let seen = report(&check, &envelope(&world, detail_type, detail)).await;
        assert_eq!(seen["items"], json!([]), "{seen:#}");
        assert_eq!(seen["run"]["complete"], true);
    }
    assert_eq!(world.local.dynamodb.items().unwrap(), before);
}

#[tokio::test]
async fn what_is_not_understood_is_an_error_that_names_it_and_changes_nothing() {
    let (world, _) = world(0).await;
    let before = world.local.dynamodb.items().unwrap();
    let check = world.function("check-dependencies");
    let volume = json!({ "event": "createVolume", "result": "available" });
    let call = json!({ "eventName": "RunInstances", "requestParameters": {} });
    for (event, named) in [
        (
            envelope(&world, "EBS Volume Notification", volume),
            "EBS Volume Notification",
        ),
        (
            envelope(&world, "AWS API Call via CloudTrail", call),
            "RunInstances",
        ),
        (
            envelope(&world, "EBS Snapshot Notification", json!({})),
            "detail.snapshot_id",
        ),
        (json!({ "run": "nightly" }), "run"),
        (json!({ "explain": [] }), "explain"),
        (json!("reconcile"), "a string"),
    ] {
        let (kind, message) = error(&check, &event).await;
        assert_eq!(kind, "Event", "{message}");
        assert!(message.contains(named), "{message}");
        assert!(message.contains("nothing was changed"), "{message}");
    }
    assert_eq!(world.local.dynamodb.items().unwrap(), before);
    assert_eq!(world.calls(), [""; 0]);
}

#[tokio::test]
async fn an_event_that_meets_another_run_is_left_to_the_next_reconcile() {
    let (world, _) = world(0).await;
    report(&world.function("create-snapshots"), &world.heartbeat(SLOT)).await;
    let check = world.function("check-dependencies");
    report(&check, &world.heartbeat("2026-03-03T03:00:10Z")).await;
    let soon = jiff::Timestamp::now().as_millisecond() + 50_000;
    for n in 0..16 {
        let lease = json!({
            "pk": { "S": format!("lease#check-dependencies#events#{n}") }, "sk": { "S": "lease" },
            "holder": { "S": "another" }, "expires_ms": { "N": soon.to_string() },
            "fence": { "N": "1" }, "schema": { "N": "1" },
        });
        world.local.dynamodb.put_item(lease).unwrap();
    }
    let id = world.snapshots()[0].id.to_string();
    for seen in deliver(&check, &emitted(&world, LATER)).await {
        assert_eq!(codes(items(&seen, "deferred")[0]), ["lease-held"]);
        assert_eq!(seen["run"]["complete"], false);
    }
    assert_eq!(recorded(&world, &id).unwrap(), "pending");
    // The reconcile is not kept waiting by events.
    report(&check, &world.heartbeat("2026-03-03T04:00:00Z")).await;
    assert_eq!(recorded(&world, &id).unwrap(), "completed");
}

#[tokio::test]
async fn explain_answers_for_each_identifier() {
    let (world, _) = world(0).await;
    report(&world.function("create-snapshots"), &world.heartbeat(SLOT)).await;
    let id = world.snapshots()[0].id.to_string();
    let check = world.function("check-dependencies");
    let seen = report(&check, &json!({ "explain": [id, "ami-0123456789abcdef0"] })).await;
    let ids: Vec<&str> = seen["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            assert_eq!(item["action"], "explain");
            item["resource"].as_str().unwrap()
        })
        .collect();
    assert_eq!(ids, [id.as_str(), "ami-0123456789abcdef0"]);
    assert_eq!(item_of(&seen, &id)["outcome"], "held");
}
