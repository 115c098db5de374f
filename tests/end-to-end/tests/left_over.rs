//! What runs leave over is finished once, under the name and as the call it was begun.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_core::id::VolumeId;
use holdfast_end_to_end::lineage::items_under;
use holdfast_end_to_end::{World, codes, item_of, items, report, seed_instance, tags};
use holdfast_sim::request::{Request, StopInstances};
use holdfast_sim::{Account, ApiError, Fault, FaultRule, InstanceSeed, VolumeSeed};
use jiff::SignedDuration;
use serde_json::json;

const POLICIES: &str = r#"
version: 1
policies:
  - name: nightly
    protect: volumes
    select: { instances: { tags: { Backup: nightly } } }
    schedule: "cron(0 3 * * ? *)"
    retain: { daily: 7 }
  - name: quarter
    protect: volumes
    select: { instances: { tags: { Backup: quarter } } }
    schedule: "rate(15 minutes)"
    retain: { last: 7 }
  - name: golden
    protect: instances
    select: { instances: { tags: { Backup: golden } } }
    schedule: "cron(0 3 * * ? *)"
    reboot: true
    retain: { daily: 7 }
  - name: bake
    protect: instances
    select: { instances: { tags: { Backup: bake } } }
    triggers: [stopped]
    retain: { last: 7 }
"#;
const SLOT: &str = "2026-03-03T03:00:00Z";
const STOPPED_AT: &str = "2026-03-03T12:00:30Z";

async fn world(policy: &'static str, machines: usize) -> (World, Vec<String>) {
    let world = World::new(POLICIES, "plan", move |account| {
        for _ in 0..machines {
            seed_instance(account, 0, &[("Backup", policy)]);
        }
    })
    .await;
    let ids = world.account(|account| account.instances().map(|i| i.id.to_string()).collect());
    (world, ids)
}

fn rename(world: &World, from: &str) {
    let (old, new) = (format!("- name: {from}\n"), "- name: renamed\n");
    let formerly = format!("{new}    formerly: [{from}]\n");
    world.set_policies(&POLICIES.replace(&old, &formerly));
}

fn throttled(operation: &str) -> FaultRule {
    FaultRule::next(operation, Fault::Error(ApiError::throttled())).times(50)
}

fn stop(world: &World, ids: &[String]) {
    world.advance("2026-03-03T12:00:00Z");
    let request = Request::StopInstances(StopInstances { ids: ids.to_vec() });
    world.account(|account| account.call(&request)).unwrap();
}

fn reboots(world: &World) -> u32 {
    world.account(|account| account.instances().map(|i| i.reboots).sum())
}

#[tokio::test]
async fn a_renamed_policy_neither_skips_the_wait_nor_reboots_again() {
    let (world, ids) = world("golden", 1).await;
    let create = world.function("create-images");
    world.account(|account| account.fail_next_image("an internal error"));
    report(&create, &world.heartbeat(SLOT)).await;
    world.reconcile("2026-03-03T03:10:00Z").await;
    rename(&world, "golden");
    let soon = report(&create, &world.heartbeat("2026-03-03T03:11:00Z")).await;
    assert_eq!(
        codes(items(&soon, "deferred")[0]),
        ["retry-later"],
        "{soon:#}"
    );
    world.age_failure("golden", &ids[0], SLOT);
    let again = report(&create, &world.heartbeat("2026-03-03T03:30:00Z")).await;
    assert_eq!(items(&again, "created").len(), 1, "{again:#}");
    assert_eq!(reboots(&world), 1);
    let names: Vec<String> =
        world.account(|account| account.images().map(|i| i.name.clone()).collect());
    let second = format!("holdfast/golden/{}/20260303T030000Z/2", ids[0]);
    assert!(names.contains(&second), "{names:?}");
}

#[tokio::test]
async fn a_rename_after_a_lost_answer_makes_no_second_ami_of_the_event() {
    let (world, ids) = world("bake", 1).await;
    stop(&world, &ids);
    let event = world.state_change(STOPPED_AT, &ids[0], "stopped");
    world.account(|account| account.settings_mut().list_lag = SignedDuration::from_secs(20));
    world.inject(FaultRule::next(
        "CreateImage",
        Fault::AppliedButResponseLost,
    ));
    let create = world.function("create-images");
    let first = report(&create, &event).await;
    assert_eq!(
        codes(items(&first, "deferred")[0]),
        ["outcome-unknown"],
        "{first:#}"
    );
    rename(&world, "bake");
    let beat = report(&create, &world.heartbeat("2026-03-03T12:05:00Z")).await;
    assert_eq!(codes(items(&beat, "created")[0]), ["adopted"], "{beat:#}");
    assert_eq!(world.account(|account| account.images().count()), 1);
}

#[tokio::test]
async fn a_slot_that_was_begun_under_an_earlier_name_is_finished() {
    let (world, ids) = world("nightly", 2).await;
    let create = world.function("create-snapshots");
    world.inject(throttled("CreateSnapshots").on(ids[1].clone()));
    let first = report(&create, &world.heartbeat(SLOT)).await;
    assert_eq!(first["run"]["complete"], false, "{first:#}");
    world.account(Account::clear_faults);
    rename(&world, "nightly");
    let beat = report(&create, &world.heartbeat("2026-03-03T03:05:00Z")).await;
    assert_eq!(items(&beat, "created").len(), 1, "{beat:#}");
    assert_eq!(world.snapshots().len(), 2);
    let over = report(&create, &world.heartbeat("2026-03-03T03:10:00Z")).await;
    assert_eq!(over["items"], json!([]));
    let next = report(&create, &world.heartbeat("2026-03-04T03:00:00Z")).await;
    assert_eq!(items(&next, "created").len(), 2, "{next:#}");
    let missed = items(&next, "finding");
    assert!(
        missed.iter().all(|item| item["policy"] == "quarter"),
        "{next:#}"
    );
}

#[tokio::test]
async fn an_older_slot_is_never_made_when_a_newer_has_begun() {
    let (world, ids) = world("quarter", 1).await;
    let create = world.function("create-snapshots");
    let broken = ApiError::new("InternalError", "An internal error has occurred.");
    world.inject(FaultRule::next("CreateSnapshots", Fault::Error(broken)));
    let first = report(&create, &world.heartbeat("2026-03-03T03:10:00Z")).await;
    assert_eq!(codes(items(&first, "deferred")[0]), ["outcome-unknown"]);
    let second = report(&create, &world.heartbeat("2026-03-03T03:15:00Z")).await;
    assert_eq!(items(&second, "created").len(), 1, "{second:#}");
    world.age_request("quarter", &ids[0], SLOT, SignedDuration::from_mins(3));
    let third = report(&create, &world.heartbeat("2026-03-03T03:20:00Z")).await;
    assert_eq!(items(&third, "created").len(), 0, "{third:#}");
    assert_eq!(codes(item_of(&third, &ids[0])), ["slot-missed"]);
    assert_eq!(world.snapshots().len(), 1);
    assert_eq!(items_under(&world, "open#create-snapshots").len(), 0);
}

#[tokio::test]
async fn a_duplicate_of_the_event_does_not_take_back_a_promised_attempt() {
    let (world, ids) = world("bake", 1).await;
    stop(&world, &ids);
    world.account(|account| account.fail_next_image("an internal error"));
    let create = world.function("create-images");
    let event = world.state_change(STOPPED_AT, &ids[0], "stopped");
    report(&create, &event).await;
    world.reconcile("2026-03-03T12:55:00Z").await;
    report(&create, &event).await;
    world.age_failure("bake", &ids[0], STOPPED_AT);
    let beat = report(&create, &world.heartbeat("2026-03-03T13:10:00Z")).await;
    assert_eq!(items(&beat, "created").len(), 1, "{beat:#}");
}

#[tokio::test]
async fn a_shared_volume_that_another_set_holds_is_not_taken_again_with_a_failed_one() {
    let world = World::new(POLICIES, "plan", |account| {
        let shared = account.seed_volume(VolumeSeed {
            multi_attach: true,
            volume_type: "io2".into(),
            ..VolumeSeed::default()
        });
        for _ in 0..2 {
            let root = account.seed_volume(VolumeSeed::default());
            account.seed_instance(InstanceSeed {
                devices: vec![
                    ("/dev/xvda".into(), root),
                    ("/dev/sdb".into(), shared.clone()),
                ],
                tags: tags(&[("Backup", "nightly")]),
                ..InstanceSeed::default()
            });
        }
    })
    .await;
    let hosts: Vec<(String, VolumeId)> = world.account(|account| {
        let of = |i: &holdfast_sim::Instance| (i.id.to_string(), i.devices[0].volume.clone());
        account.instances().map(of).collect()
    });
    let (second, root) = hosts.into_iter().max().unwrap();
    world.account(|account| account.fail_next_snapshot(Some(root), "an internal error"));
    let create = world.function("create-snapshots");
    let first = report(&create, &world.heartbeat(SLOT)).await;
    assert_eq!(items(&first, "created").len(), 3, "{first:#}");
    world.reconcile("2026-03-03T03:10:00Z").await;
    world.age_failure("nightly", &second, SLOT);
    let beat = report(&create, &world.heartbeat("2026-03-03T03:30:00Z")).await;
    assert_eq!(items(&beat, "created").len(), 1, "{beat:#}");
}

#[tokio::test]
async fn one_record_of_another_schema_is_named_and_stops_nothing_else() {
    let (world, _) = world("nightly", 1).await;
    let create = world.function("create-snapshots");
    let foreign = json!({ "pk": { "S": "open#create-snapshots" }, "sk": { "S": "x#i-1#y" },
        "schema": { "N": "2" } });
    world.local.dynamodb.put_item(foreign.clone()).unwrap();
    let beat = report(&create, &world.heartbeat(SLOT)).await;
    assert_eq!(items(&beat, "created").len(), 1, "{beat:#}");
    assert_eq!(codes(item_of(&beat, "x#i-1#y")), ["table-failed"]);
    let stands = world.item("open#create-snapshots", "x#i-1#y");
    assert_eq!(stands, Some(foreign));
}

#[tokio::test]
async fn what_a_request_left_is_finished_by_heartbeats_for_just_what_it_named() {
    let (world, ids) = world("nightly", 2).await;
    let create = world.function("create-snapshots");
    report(&create, &world.heartbeat(SLOT)).await;
    world.inject(throttled("CreateSnapshots"));
    world.advance("2026-03-03T12:00:00Z");
    let request = json!({ "run": "nightly", "id": "ticket-7", "now": "2026-03-03T12:00:00Z",
        "resources": [ids[0]] });
    let asked = report(&create, &request).await;
    assert_eq!(
        codes(items(&asked, "deferred")[0]),
        ["throttled"],
        "{asked:#}"
    );
    world.account(Account::clear_faults);
    let beat = report(&create, &world.heartbeat("2026-03-03T12:05:00Z")).await;
    assert_eq!(items(&beat, "created").len(), 1, "{beat:#}");
    assert_eq!(items(&beat, "created")[0]["slot"], "2026-03-03T12:00:00Z");
    let made = world.snapshots();
    let made = made.iter().find(|s| s.tags["holdfast:run"] == "ticket-7");
    assert_eq!(made.unwrap().tags["holdfast:source"], ids[0]);
    assert_eq!(items_under(&world, "open#create-snapshots").len(), 0);
}

#[tokio::test]
async fn records_that_lie_in_the_future_are_not_believed_and_do_not_end_the_backups() {
    let (world, _) = world("nightly", 1).await;
    let create = world.function("create-snapshots");
    report(&create, &world.heartbeat(SLOT)).await;
    let far = json!({ "S": "2999-01-01T00:00:00Z" });
    let far_second = json!({ "N": "32472144000" });
    world.change("head#create-snapshots", "head", |item| {
        item["highest_now"] = far.clone();
        item["highest_second"] = far_second.clone();
        item["policy:nightly"]["M"]["slot"] = far;
        item["policy:nightly"]["M"]["second"] = far_second;
    });
    world.change("lease#create-snapshots#nightly", "lease", |item| {
        item["holder"] = json!({ "S": "another" });
        item["expires_ms"] = json!({ "N": "9000000000000000" });
    });
    let beat = report(&create, &world.heartbeat("2026-03-04T03:00:00Z")).await;
    assert_eq!(items(&beat, "created").len(), 1, "{beat:#}");
    let doubt = item_of(&beat, "create-snapshots");
    assert_eq!(
        (doubt["outcome"].as_str(), codes(doubt)),
        (Some("finding"), vec!["table-failed"])
    );
    let quiet = report(&create, &world.heartbeat("2026-03-04T03:05:00Z")).await;
    assert_eq!(quiet["items"], json!([]), "the damage is mended");
}

#[tokio::test]
async fn a_slot_whose_retry_is_due_together_with_the_next_slot_is_not_made_beside_it() {
    let (world, ids) = world("nightly", 1).await;
    let create = world.function("create-snapshots");
    world.account(|account| account.fail_next_snapshot(None, "an internal error"));
    report(&create, &world.heartbeat(SLOT)).await;
    world.reconcile("2026-03-03T03:10:00Z").await;
    world.age_failure("nightly", &ids[0], SLOT);
    let beat = report(&create, &world.heartbeat("2026-03-04T03:00:00Z")).await;
    let slots: Vec<&str> = items(&beat, "created")
        .into_iter()
        .map(|item| item["slot"].as_str().unwrap())
        .collect();
    assert_eq!(slots, ["2026-03-04T03:00:00Z"], "{beat:#}");
    let missed = items(&beat, "finding");
    let missed = missed.iter().find(|item| item["policy"] == "nightly");
    assert_eq!(codes(missed.unwrap()), ["slot-missed"]);
}
