//! What EC2 fails after it was started is started again: by the creating functions, when
//! check-dependencies has seen the failure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_end_to_end::lineage::items_under;
use holdfast_end_to_end::{World, codes, items, report, seed_instance};
use holdfast_sim::request::{Request, StartInstances, StopInstances};
use serde_json::json;

const POLICIES: &str = r#"
version: 1
policies:
  - name: nightly
    protect: volumes
    select: { instances: { tags: { Backup: nightly } } }
    schedule: "cron(0 3 * * ? *)"
    retain: { daily: 7 }
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

async fn world(policy: &'static str) -> (World, String) {
    let world = World::new(POLICIES, "plan", move |account| {
        seed_instance(account, 0, &[("Backup", policy)]);
    })
    .await;
    let instance = world.account(|account| account.instances().next().unwrap().id.to_string());
    (world, instance)
}

fn image_names(world: &World) -> Vec<String> {
    let names = |account: &mut holdfast_sim::Account| {
        let mut names: Vec<String> = account.images().map(|i| i.name.clone()).collect();
        names.sort();
        names
    };
    world.account(names)
}

fn state(world: &World, policy: &str, source: &str, slot: &str) -> String {
    let record = world.item(&format!("slot#{policy}#{source}"), slot);
    record.unwrap()["state"]["S"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_failed_ami_is_made_under_the_next_name_and_reboots_only_the_first_time() {
    let (world, instance) = world("golden").await;
    let create = world.function("create-images");
    world.account(|account| account.fail_next_image("an internal error"));
    let first = report(&create, &world.heartbeat(SLOT)).await;
    assert_eq!(items(&first, "created").len(), 1, "{first:#}");
    let seen = world.reconcile("2026-03-03T03:10:00Z").await;
    assert_eq!(
        codes(items(&seen, "finding")[0]),
        ["failed-backup"],
        "{seen:#}"
    );

    let soon = report(&create, &world.heartbeat("2026-03-03T03:15:00Z")).await;
    assert_eq!(
        codes(items(&soon, "deferred")[0]),
        ["retry-later"],
        "{soon:#}"
    );
    world.age_failure("golden", &instance, SLOT);
    let again = report(&create, &world.heartbeat("2026-03-03T03:30:00Z")).await;
    assert_eq!(items(&again, "created").len(), 1, "{again:#}");
    let name = |attempt| format!("holdfast/golden/{instance}/20260303T030000Z/{attempt}");
    assert_eq!(image_names(&world), [name(1), name(2)]);
    let reboots = world.account(|account| account.instances().next().unwrap().reboots);
    assert_eq!(reboots, 1);

    world.reconcile("2026-03-03T03:40:00Z").await;
    assert_eq!(state(&world, "golden", &instance, SLOT), "completed");
    assert_eq!(items_under(&world, "open#create-images").len(), 0);
    let quiet = report(&create, &world.heartbeat("2026-03-03T03:45:00Z")).await;
    assert_eq!(quiet["items"], json!([]));
}

#[tokio::test]
async fn a_failed_backup_whose_next_slot_has_begun_is_named_and_not_made() {
    let (world, instance) = world("nightly").await;
    let create = world.function("create-snapshots");
    world.account(|account| account.fail_next_snapshot(None, "Given key ID is not accessible"));
    report(&create, &world.heartbeat(SLOT)).await;
    world.reconcile("2026-03-03T03:10:00Z").await;
    world.age_failure("nightly", &instance, SLOT);
    let next = report(&create, &world.heartbeat("2026-03-04T03:00:00Z")).await;
    assert_eq!(items(&next, "created").len(), 1, "{next:#}");
    let later = report(&create, &world.heartbeat("2026-03-04T03:05:00Z")).await;
    let missed: Vec<_> = items(&next, "finding")
        .into_iter()
        .chain(items(&later, "finding"))
        .map(|item| (codes(item), item["slot"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(missed, [(vec!["slot-missed"], SLOT.to_owned())]);
    assert_eq!(items_under(&world, "open#create-snapshots").len(), 0);
    let mut slots: Vec<String> = world
        .snapshots()
        .iter()
        .map(|s| s.tags["holdfast:slot"].clone())
        .collect();
    slots.sort();
    assert_eq!(slots, [SLOT, "2026-03-04T03:00:00Z"]);
}

#[tokio::test]
async fn a_request_that_ec2_failed_is_finished_by_heartbeats_as_the_same_run() {
    let (world, instance) = world("nightly").await;
    let create = world.function("create-snapshots");
    report(&create, &world.heartbeat(SLOT)).await;
    world.advance("2026-03-03T12:00:00Z");
    world.account(|account| account.fail_next_snapshot(None, "Given key ID is not accessible"));
    let request = json!({ "run": "nightly", "id": "ticket-7", "now": "2026-03-03T12:00:00Z" });
    let asked = report(&create, &request).await;
    assert_eq!(items(&asked, "created").len(), 1, "{asked:#}");
    world.reconcile("2026-03-03T12:10:00Z").await;
    let slot = "2026-03-03T12:00:00Z#ticket-7";
    assert_eq!(state(&world, "nightly", &instance, slot), "failed");
    world.age_failure("nightly", &instance, slot);
    let beat = report(&create, &world.heartbeat("2026-03-03T12:30:00Z")).await;
    let made: Vec<_> = items(&beat, "created")
        .into_iter()
        .filter(|item| item["slot"] == "2026-03-03T12:00:00Z")
        .collect();
    assert_eq!(made.len(), 1, "{beat:#}");
    let id = made[0]["resource"].as_str().unwrap();
    let snapshots = world.snapshots();
    let again = snapshots.iter().find(|s| s.id.as_str() == id).unwrap();
    assert_eq!(again.tags["holdfast:run"], "ticket-7");
    assert_eq!(state(&world, "nightly", &instance, slot), "created");
}

#[tokio::test]
async fn a_bake_that_ec2_failed_is_repeated_only_while_the_machine_is_still_stopped() {
    for stays in [true, false] {
        let (world, instance) = world("bake").await;
        let ids = vec![instance.clone()];
        world.advance("2026-03-03T12:00:00Z");
        world.account(|account| {
            let stop = Request::StopInstances(StopInstances { ids: ids.clone() });
            account.call(&stop).unwrap();
            account.fail_next_image("an internal error");
        });
        let slot = "2026-03-03T12:00:30Z";
        let event = world.state_change(slot, &instance, "stopped");
        let create = world.function("create-images");
        let first = report(&create, &event).await;
        assert_eq!(codes(items(&first, "created")[0]), ["quiet"], "{first:#}");
        world.reconcile("2026-03-03T12:10:00Z").await;
        world.age_failure("bake", &instance, slot);
        if !stays {
            let start = Request::StartInstances(StartInstances { ids });
            world.account(|account| account.call(&start)).unwrap();
        }
        let beat = report(&create, &world.heartbeat("2026-03-03T12:30:00Z")).await;
        let (outcome, code) = if stays {
            ("created", "quiet")
        } else {
            ("skipped", "instance-state")
        };
        assert_eq!(codes(items(&beat, outcome)[0]), [code], "{beat:#}");
        assert_eq!(image_names(&world).len(), if stays { 2 } else { 1 });
        let over = report(&create, &world.heartbeat("2026-03-03T12:35:00Z")).await;
        assert_eq!(over["items"], json!([]));
    }
}

#[tokio::test]
async fn a_policy_that_was_renamed_meanwhile_still_repeats_what_ec2_failed() {
    let (world, instance) = world("nightly").await;
    let create = world.function("create-snapshots");
    world.account(|account| account.fail_next_snapshot(None, "Given key ID is not accessible"));
    report(&create, &world.heartbeat(SLOT)).await;
    world.reconcile("2026-03-03T03:10:00Z").await;
    world.age_failure("nightly", &instance, SLOT);
    let renamed = "- name: every-night\n    formerly: [nightly]";
    world.set_policies(&POLICIES.replace("- name: nightly", renamed));
    let beat = report(&create, &world.heartbeat("2026-03-03T03:30:00Z")).await;
    assert_eq!(items(&beat, "created").len(), 1, "{beat:#}");
    assert_eq!(items_under(&world, "open#create-snapshots").len(), 0);
}

#[tokio::test]
async fn a_failed_backup_stays_until_its_slot_is_reopened_and_goes_then() {
    for policy in ["nightly", "golden"] {
        let world = World::new(POLICIES, "enforce", move |account| {
            seed_instance(account, 0, &[("Backup", policy)]);
        })
        .await;
        let instance = world.account(|account| account.instances().next().unwrap().id.to_string());
        world.account(|account| {
            account.fail_next_snapshot(None, "Given key ID is not accessible");
            account.fail_next_image("an internal error");
        });
        let create = match policy {
            "nightly" => world.function("create-snapshots"),
            _ => world.function("create-images"),
        };
        let made = report(&create, &world.heartbeat(SLOT)).await;
        let id = items(&made, "created")[0]["resource"].as_str().unwrap();
        let sweep = world.function("sweep-retention");
        let first = report(&sweep, &world.heartbeat("2026-03-03T03:10:00Z")).await;
        let held = holdfast_end_to_end::item_of(&first, id);
        assert_eq!(
            (&held["outcome"], codes(held)),
            (&json!("held"), vec!["failed-backup"]),
            "{first:#}"
        );
        let words = held["reasons"][0]["detail"].as_str().unwrap();
        assert!(words.contains("has not been reopened yet"), "{words}");

        // A record that cannot be read holds it, too.
        let key = format!("slot#{policy}#{instance}");
        world.change(&key, SLOT, |item| item["schema"] = json!({ "N": "2" }));
        let unread = report(&sweep, &world.heartbeat("2026-03-03T03:15:00Z")).await;
        assert_eq!(holdfast_end_to_end::item_of(&unread, id)["outcome"], "held");
        world.change(&key, SLOT, |item| item["schema"] = json!({ "N": "1" }));

        world.reconcile("2026-03-03T03:20:00Z").await;
        assert_eq!(state(&world, policy, &instance, SLOT), "failed");
        assert_eq!(items_under(&world, "open#create-").len(), 1);
        let second = report(&sweep, &world.heartbeat("2026-03-03T03:30:00Z")).await;
        let gone = holdfast_end_to_end::item_of(&second, id);
        assert_eq!(gone["outcome"], "deleted", "{second:#}");
        world.age_failure(policy, &instance, SLOT);
        let again = report(&create, &world.heartbeat("2026-03-03T03:35:00Z")).await;
        assert_eq!(items(&again, "created").len(), 1, "{again:#}");
    }
}
