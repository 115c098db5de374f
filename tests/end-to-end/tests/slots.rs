//! Which slots heartbeats make, when, and at what cost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use holdfast_end_to_end::{World, codes, items, report, seed_backup, seed_instance};
use holdfast_local_aws::iam::access_key;
use holdfast_sim::{ApiError, Fault, FaultRule};
use serde_json::{Value, json};

const NIGHTLY: &str = r#"
version: 1
policies:
  - name: nightly
    protect: volumes
    select: { instances: { tags: { Backup: nightly } } }
    schedule: "cron(0 3 * * ? *)"
    retain: { daily: 7 }
"#;

async fn world(policies: &str) -> World {
    World::new(policies, "enforce", |account| {
        seed_instance(account, 0, &[("Backup", "nightly")]);
    })
    .await
}

fn instance(world: &World) -> String {
    world.account(|account| account.instances().next().unwrap().id.to_string())
}

fn findings(report: &Value) -> Vec<Vec<&str>> {
    items(report, "finding").into_iter().map(codes).collect()
}

/// Requests of the function since `before`, by action.
fn since(world: &World, before: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let all = world.local.gate.requests(&access_key("create-snapshots"));
    let new = all.into_iter().map(|(action, count)| {
        let known = before.get(&action).copied().unwrap_or(0);
        (action, count - known)
    });
    new.filter(|(_, count)| *count > 0).collect()
}

#[tokio::test]
async fn a_heartbeat_with_nothing_due_asks_ec2_nothing_and_the_table_twice() {
    let world = world(NIGHTLY).await;
    let create = world.function("create-snapshots");
    report(&create, &world.heartbeat("2026-03-03T03:00:00Z")).await;
    let before = world.local.gate.requests(&access_key("create-snapshots"));
    assert!(before["dynamodb:PutItem"] > 0, "requests are counted");
    let _ = world.calls();
    let quiet = report(&create, &world.heartbeat("2026-03-03T03:05:00Z")).await;
    assert_eq!(quiet["run"]["complete"], true);
    assert_eq!(world.calls(), [""; 0]);
    // One answers with what was known before it wrote, the other lists what events left over.
    let expected = [("dynamodb:Query", 1), ("dynamodb:UpdateItem", 1)];
    let expected = expected.map(|(action, count)| (action.to_owned(), count));
    assert_eq!(since(&world, &before), expected.into());
}

#[tokio::test]
async fn a_slot_that_is_started_later_than_an_hour_after_it_is_made_and_named_as_late() {
    let world = world(NIGHTLY).await;
    let create = world.function("create-snapshots");
    report(&create, &world.heartbeat("2026-03-03T03:00:00Z")).await;
    let late = report(&create, &world.heartbeat("2026-03-04T04:00:01Z")).await;
    assert_eq!(codes(items(&late, "created")[0]), ["late"]);
    assert_eq!(findings(&late), [["late"]]);
    let finding = items(&late, "finding")[0];
    assert_eq!(finding["resource"], "nightly");
    assert_eq!(finding["slot"], "2026-03-04T03:00:00Z");
    let detail = finding["reasons"][0]["detail"].as_str().unwrap();
    assert!(detail.contains(&instance(&world)), "{detail}");
}

#[tokio::test]
async fn start_within_says_how_late_is_late_and_a_first_slot_never_is() {
    let patient = NIGHTLY.replace("retain:", "start_within: 6h\n    retain:");
    let world = world(&patient).await;
    let create = world.function("create-snapshots");
    // Nothing was promised for a slot before the policy was first seen.
    let first = report(&create, &world.heartbeat("2026-03-03T17:00:00Z")).await;
    assert_eq!(items(&first, "created").len(), 1);
    assert_eq!(findings(&first), [[""; 0]; 0]);
    let in_time = report(&create, &world.heartbeat("2026-03-04T08:59:00Z")).await;
    assert_eq!(items(&in_time, "created").len(), 1);
    assert_eq!(findings(&in_time), [[""; 0]; 0]);
}

#[tokio::test]
async fn what_an_event_could_not_make_is_tried_again_until_the_next_slot_is_due() {
    let both = NIGHTLY.replace("retain:", "triggers: [stopped]\n    retain:");
    let world = world(&both).await;
    let create = world.function("create-snapshots");
    report(&create, &world.heartbeat("2026-03-03T03:00:00Z")).await;
    let throttled = ApiError::new("RequestLimitExceeded", "Request limit exceeded.");
    world.inject(FaultRule::next("CreateSnapshots", Fault::Error(throttled)).times(2));
    world.stop("2026-03-03T11:59:30Z", &instance(&world));
    let event = world.state_change("2026-03-03T12:00:00Z", &instance(&world), "stopped");
    report(&create, &event).await;
    report(&create, &world.heartbeat("2026-03-03T12:05:00Z")).await;
    // Long after the event, and before the next slot.
    let last = report(&create, &world.heartbeat("2026-03-04T02:55:00Z")).await;
    assert_eq!(items(&last, "created").len(), 1, "{last:#}");
    assert_eq!(last["items"][0]["slot"], "2026-03-03T12:00:00Z");
}

#[tokio::test]
async fn what_an_event_could_not_make_before_the_next_slot_is_given_up_and_said() {
    let both = NIGHTLY.replace("retain:", "triggers: [stopped]\n    retain:");
    let world = world(&both).await;
    let create = world.function("create-snapshots");
    report(&create, &world.heartbeat("2026-03-03T03:00:00Z")).await;
    let throttled = ApiError::new("RequestLimitExceeded", "Request limit exceeded.");
    world.inject(FaultRule::next("CreateSnapshots", Fault::Error(throttled)));
    world.stop("2026-03-03T11:59:30Z", &instance(&world));
    let event = world.state_change("2026-03-03T12:00:00Z", &instance(&world), "stopped");
    report(&create, &event).await;
    let next = report(&create, &world.heartbeat("2026-03-04T03:00:00Z")).await;
    let made: Vec<&Value> = items(&next, "created");
    assert_eq!(made.len(), 1);
    assert_eq!(made[0]["slot"], "2026-03-04T03:00:00Z");
    let missed = items(&next, "finding");
    assert_eq!(codes(missed[0]), ["slot-missed"]);
    assert_eq!(missed[0]["slot"], "2026-03-03T12:00:00Z");
    assert_eq!(missed[0]["resource"], instance(&world).as_str());
}

#[tokio::test]
async fn of_a_slot_that_was_not_finished_the_next_names_the_sources_and_the_ledger_says_missed() {
    let world = world(NIGHTLY).await;
    let create = world.function("create-snapshots");
    let inside = ApiError::new("InternalError", "An internal error has occurred");
    world.inject(FaultRule::next("CreateSnapshots", Fault::Error(inside)));
    report(&create, &world.heartbeat("2026-03-03T03:00:00Z")).await;
    let instance = instance(&world);
    let slot = "2026-03-03T03:00:00Z";
    world.age_request(
        "nightly",
        &instance,
        slot,
        jiff::SignedDuration::from_hours(24),
    );
    let next = report(&create, &world.heartbeat("2026-03-04T03:00:00Z")).await;
    assert_eq!(items(&next, "created").len(), 1, "{next:#}");
    let missed = items(&next, "finding").into_iter().find(|item| {
        let detail = item["reasons"][0]["detail"].as_str().unwrap();
        codes(item) == ["slot-missed"] && detail.contains(&instance)
    });
    assert_eq!(missed.unwrap()["slot"], slot);
    let record = world
        .item(&format!("slot#nightly#{instance}"), slot)
        .unwrap();
    assert_eq!(record["state"]["S"], "failed");
    assert_eq!(record["permanent"]["BOOL"], true);
}

#[tokio::test]
async fn of_two_backups_of_one_slot_the_sweep_retires_the_newer_and_keeps_the_older() {
    let world = World::new(NIGHTLY, "enforce", |account| {
        let machine = seed_instance(account, 0, &[("Backup", "nightly")]);
        let volume = &machine.volumes[0];
        for (run, time) in [
            ("one", "2026-03-01T03:00:05Z"),
            ("two", "2026-03-01T03:05:00Z"),
        ] {
            let asked = [
                ("holdfast:source", machine.id.as_str()),
                ("holdfast:slot", "2026-03-01T03:00:00Z"),
                ("holdfast:run", run),
            ];
            seed_backup(account, "nightly", volume, time, &asked);
        }
    })
    .await;
    let sweep = world.function("sweep-retention");
    let swept = report(&sweep, &world.heartbeat("2026-03-02T06:00:00Z")).await;
    let deleted = items(&swept, "deleted");
    assert_eq!(deleted.len(), 1, "{swept:#}");
    assert_eq!(codes(deleted[0]), ["duplicate"]);
    assert_eq!(deleted[0]["time"], "2026-03-01T03:05:00Z");
    assert_eq!(swept["summary"], json!({ "deleted": 1, "kept": 1 }));
}
