//! One artifact set for each policy, slot and source, whatever happens between call and record.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::time::Duration;

use holdfast_end_to_end::{World, codes, items, report, seed_instance};
use holdfast_local_aws::lambda::Invocation;
use holdfast_sim::{ApiError, Fault, FaultRule};
use jiff::SignedDuration;
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
const SLOT: &str = "2026-03-03T03:00:00Z";
const LEASE: &str = "create-snapshots#nightly";

async fn world() -> (World, String) {
    let world = World::new(NIGHTLY, "plan", |account| {
        seed_instance(account, 2, &[("Backup", "nightly")]);
    })
    .await;
    let instance = world.account(|account| account.instances().next().unwrap().id.to_string());
    (world, instance)
}

/// One complete set and a ledger and lineage that say so.
fn assert_one_recorded_set(world: &World, instance: &str) {
    let snapshots = world.snapshots();
    assert_eq!(snapshots.len(), 3);
    let volumes: BTreeSet<_> = snapshots.iter().map(|s| s.volume.clone()).collect();
    assert_eq!(volumes.len(), 3);
    let slot = world
        .item(&format!("slot#nightly#{instance}"), SLOT)
        .unwrap();
    assert_eq!(slot["state"]["S"], "created");
    assert_eq!(slot["artifacts"]["L"].as_array().unwrap().len(), 3);
    for snapshot in &snapshots {
        let node = format!("node#{}", snapshot.id);
        assert!(
            world.item(&node, "node").is_some(),
            "no node of {}",
            snapshot.id
        );
        let volume = snapshot.volume.as_str();
        assert!(
            world
                .item(&node, &format!("out#snapshot-of#{volume}"))
                .is_some()
        );
        let back = format!("in#snapshot-of#{}", snapshot.id);
        assert!(world.item(&format!("node#{volume}"), &back).is_some());
        let attached = format!("in#attached-to#{volume}");
        assert!(world.item(&format!("node#{instance}"), &attached).is_some());
    }
    let head = world.item("head#create-snapshots", "head").unwrap();
    assert_eq!(head["policy:nightly"]["M"]["complete"]["BOOL"], true);
}

fn created(report: &Value) -> usize {
    items(report, "created").len()
}

#[tokio::test]
async fn a_lost_response_makes_one_set_which_is_found_by_its_tags() {
    let (world, instance) = world().await;
    let create = world.function("create-snapshots");
    world.inject(FaultRule::next(
        "CreateSnapshots",
        Fault::AppliedButResponseLost,
    ));
    let beat = report(&create, &world.heartbeat(SLOT)).await;
    assert_eq!(created(&beat), 3, "{beat:#}");
    assert_eq!(codes(items(&beat, "created")[0]), ["adopted"]);
    assert_one_recorded_set(&world, &instance);
    let calls = world.calls();
    assert_eq!(calls.iter().filter(|c| *c == "CreateSnapshots").count(), 1);
}

#[tokio::test]
async fn killed_between_the_call_and_the_record_it_ends_with_one_set_and_a_whole_lineage() {
    let (world, instance) = world().await;
    let create = world.function("create-snapshots");
    world.inject(FaultRule::next("CreateSnapshots", Fault::AppliedThenHang));
    let beat = world.heartbeat(SLOT);
    let running = tokio::spawn({
        let (create, beat) = (create.clone(), beat.clone());
        async move { create.invoke(&beat).await.unwrap() }
    });
    // EC2 has carried the call out and the process waits for an answer that never comes.
    let made = async {
        while world.snapshots().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), made)
        .await
        .expect("the call arrives");
    create.kill().await;
    assert!(matches!(running.await.unwrap(), Invocation::Crashed { .. }));
    let slot = world
        .item(&format!("slot#nightly#{instance}"), SLOT)
        .unwrap();
    assert_eq!(slot["state"]["S"], "requested", "recorded before the call");

    let busy = report(&create, &world.heartbeat("2026-03-03T03:05:00Z")).await;
    assert_eq!(codes(items(&busy, "deferred")[0]), ["lease-held"]);
    assert_eq!(busy["run"]["complete"], false);

    world.age_lease(LEASE);
    let again = report(&create, &world.heartbeat("2026-03-03T03:10:00Z")).await;
    assert_eq!(created(&again), 3, "{again:#}");
    assert_one_recorded_set(&world, &instance);
}

#[tokio::test]
async fn a_set_that_the_list_does_not_show_yet_is_waited_for_and_not_made_again() {
    let (world, instance) = world().await;
    let create = world.function("create-snapshots");
    world.account(|account| {
        account.settings_mut().list_lag = SignedDuration::from_mins(8);
        account.inject(FaultRule::next(
            "CreateSnapshots",
            Fault::AppliedButResponseLost,
        ));
    });
    let first = report(&create, &world.heartbeat(SLOT)).await;
    assert_eq!(codes(items(&first, "deferred")[0]), ["outcome-unknown"]);
    assert_eq!(first["run"]["complete"], false);
    let second = report(&create, &world.heartbeat("2026-03-03T03:05:00Z")).await;
    assert_eq!(codes(items(&second, "deferred")[0]), ["outcome-unknown"]);
    let third = report(&create, &world.heartbeat("2026-03-03T03:10:00Z")).await;
    assert_eq!(created(&third), 3, "{third:#}");
    assert_one_recorded_set(&world, &instance);
}

#[tokio::test]
async fn a_request_that_left_no_trace_is_repeated_only_after_two_minutes() {
    let (world, instance) = world().await;
    let create = world.function("create-snapshots");
    // An error inside EC2 says nothing about whether the call was carried out.
    let inside = ApiError::new("InternalError", "An internal error has occurred");
    world.inject(FaultRule::next("CreateSnapshots", Fault::Error(inside)));
    report(&create, &world.heartbeat(SLOT)).await;
    let soon = report(&create, &world.heartbeat("2026-03-03T03:05:00Z")).await;
    assert_eq!(codes(items(&soon, "deferred")[0]), ["outcome-unknown"]);
    assert_eq!(world.snapshots().len(), 0);

    world.age_request("nightly", &instance, SLOT, SignedDuration::from_secs(121));
    let later = report(&create, &world.heartbeat("2026-03-03T03:10:00Z")).await;
    assert_eq!(created(&later), 3, "{later:#}");
    assert_one_recorded_set(&world, &instance);
    let slot = world
        .item(&format!("slot#nightly#{instance}"), SLOT)
        .unwrap();
    assert_eq!(slot["attempt"]["N"], "2");
}

#[tokio::test]
async fn a_throttled_call_was_not_carried_out_and_comes_with_the_next_heartbeat() {
    let (world, instance) = world().await;
    let create = world.function("create-snapshots");
    let throttled = ApiError::new("RequestLimitExceeded", "Request limit exceeded.");
    world.inject(FaultRule::next("CreateSnapshots", Fault::Error(throttled)));
    let first = report(&create, &world.heartbeat(SLOT)).await;
    assert_eq!(codes(items(&first, "deferred")[0]), ["throttled"]);
    let calls = world.calls();
    assert_eq!(
        calls.iter().filter(|c| *c == "CreateSnapshots").count(),
        1,
        "no retry"
    );
    let second = report(&create, &world.heartbeat("2026-03-03T03:05:00Z")).await;
    assert_eq!(created(&second), 3);
    assert_one_recorded_set(&world, &instance);
}

#[tokio::test]
async fn an_instance_that_vanished_after_it_was_listed_fails_by_name_and_the_rest_goes_on() {
    let world = World::new(NIGHTLY, "plan", |account| {
        seed_instance(account, 0, &[("Backup", "nightly")]);
        seed_instance(account, 0, &[("Backup", "nightly")]);
    })
    .await;
    let gone = world.account(|account| account.instances().next().unwrap().id.to_string());
    let create = world.function("create-snapshots");
    let error = ApiError::new(
        "InvalidInstanceID.NotFound",
        "The instance ID does not exist",
    );
    world.inject(FaultRule::next("CreateSnapshots", Fault::Error(error)).on(&gone));
    let beat = report(&create, &world.heartbeat(SLOT)).await;
    assert_eq!(beat["summary"], json!({ "created": 1, "failed": 1 }));
    let failed = items(&beat, "failed")[0];
    assert_eq!(failed["resource"], gone.as_str());
    assert_eq!(codes(failed), ["instance-state"]);
    assert!(
        failed["reasons"][0]["detail"]
            .as_str()
            .unwrap()
            .contains("InvalidInstanceID")
    );
}

#[tokio::test]
async fn a_refusal_for_good_is_not_asked_again_in_the_same_slot_but_in_the_next() {
    let (world, _) = world().await;
    let create = world.function("create-snapshots");
    let refused = ApiError::new("SnapshotLimitExceeded", "You have exceeded your quota");
    world.inject(FaultRule::next("CreateSnapshots", Fault::Error(refused)));
    let first = report(&create, &world.heartbeat(SLOT)).await;
    assert_eq!(codes(items(&first, "failed")[0]), ["refused"]);
    let _ = world.calls();
    report(&create, &world.heartbeat("2026-03-03T03:05:00Z")).await;
    assert_eq!(world.calls(), [""; 0]);
    let next = report(&create, &world.heartbeat("2026-03-04T03:00:00Z")).await;
    assert_eq!(created(&next), 3);
}

#[tokio::test]
async fn a_call_sees_its_record_before_it_is_sent_and_no_tag_call_follows() {
    let (world, instance) = world().await;
    let create = world.function("create-snapshots");
    let denied = ApiError::new("UnauthorizedOperation", "You are not authorized");
    world.inject(FaultRule::next("CreateSnapshots", Fault::Error(denied)));
    let beat = report(&create, &world.heartbeat(SLOT)).await;
    assert_eq!(codes(items(&beat, "failed")[0]), ["access-denied"]);
    let slot = world
        .item(&format!("slot#nightly#{instance}"), SLOT)
        .unwrap();
    assert_eq!(slot["state"]["S"], "failed");
    assert!(slot["requested_at"]["S"].is_string());
    // The permission is repaired: the slot is not lost.
    let next = report(&create, &world.heartbeat("2026-03-03T03:05:00Z")).await;
    assert_eq!(created(&next), 3);
    assert!(!world.calls().contains(&"CreateTags".to_owned()));
}

#[tokio::test]
async fn what_an_event_could_not_make_is_made_by_the_next_heartbeat() {
    let triggered = NIGHTLY.replace("schedule: \"cron(0 3 * * ? *)\"", "triggers: [stopped]");
    let world = World::new(&triggered, "plan", |account| {
        seed_instance(account, 2, &[("Backup", "nightly")]);
    })
    .await;
    let instance = world.account(|account| account.instances().next().unwrap().id.to_string());
    let create = world.function("create-snapshots");
    let limited = ApiError::new(
        "ConcurrentSnapshotLimitExceeded",
        "Too many pending snapshots",
    );
    world.inject(FaultRule::next("CreateSnapshots", Fault::Error(limited)).times(2));
    world.stop("2026-03-03T11:59:30Z", &instance);
    let event = world.state_change("2026-03-03T12:00:00Z", &instance, "stopped");
    let first = report(&create, &event).await;
    assert_eq!(codes(items(&first, "deferred")[0]), ["resource-limit"]);
    let second = report(&create, &world.heartbeat("2026-03-03T12:05:00Z")).await;
    assert_eq!(codes(items(&second, "deferred")[0]), ["resource-limit"]);
    let third = report(&create, &world.heartbeat("2026-03-03T12:10:00Z")).await;
    assert_eq!(created(&third), 3, "{third:#}");
    assert_eq!(third["items"][0]["slot"], "2026-03-03T12:00:00Z");
    let _ = world.calls();
    report(&create, &world.heartbeat("2026-03-03T12:15:00Z")).await;
    assert_eq!(world.calls(), [""; 0], "nothing is left over");
    assert_eq!(world.snapshots().len(), 3);
}

#[tokio::test]
async fn what_an_event_left_over_for_too_long_is_given_up_and_said() {
    let triggered = NIGHTLY.replace("schedule: \"cron(0 3 * * ? *)\"", "triggers: [stopped]");
    let world = World::new(&triggered, "plan", |account| {
        seed_instance(account, 0, &[("Backup", "nightly")]);
    })
    .await;
    let instance = world.account(|account| account.instances().next().unwrap().id.to_string());
    let create = world.function("create-snapshots");
    let throttled = ApiError::new("RequestLimitExceeded", "Request limit exceeded.");
    world.inject(FaultRule::next("CreateSnapshots", Fault::Error(throttled)));
    world.stop("2026-03-03T11:59:30Z", &instance);
    report(
        &create,
        &world.state_change("2026-03-03T12:00:00Z", &instance, "stopped"),
    )
    .await;
    // An hour after the cooldown that might have put it off, which is an hour too.
    let late = report(&create, &world.heartbeat("2026-03-03T14:00:01Z")).await;
    assert_eq!(codes(items(&late, "finding")[0]), ["slot-missed"]);
    assert_eq!(items(&late, "finding")[0]["resource"], instance.as_str());
    assert_eq!(world.snapshots().len(), 0);
    let quiet = report(&create, &world.heartbeat("2026-03-03T14:05:00Z")).await;
    assert_eq!(quiet["items"], json!([]));
}

#[tokio::test]
async fn an_event_that_finds_its_policy_busy_is_not_lost() {
    let triggered = NIGHTLY.replace("retain:", "triggers: [stopped]\n    retain:");
    let world = World::new(&triggered, "plan", |account| {
        seed_instance(account, 2, &[("Backup", "nightly")]);
    })
    .await;
    let instance = world.account(|account| account.instances().next().unwrap().id.to_string());
    let create = world.function("create-snapshots");
    report(&create, &world.heartbeat(SLOT)).await;
    world.change(&format!("lease#{LEASE}"), "lease", |item| {
        let ahead = jiff::Timestamp::now().as_millisecond() + 55_000;
        item["holder"] = json!({ "S": "another" });
        item["expires_ms"] = json!({ "N": ahead.to_string() });
    });
    world.stop("2026-03-03T11:59:30Z", &instance);
    let event = world.state_change("2026-03-03T12:00:00Z", &instance, "stopped");
    let busy = report(&create, &event).await;
    assert_eq!(codes(items(&busy, "deferred")[0]), ["lease-held"]);
    let still = report(&create, &world.heartbeat("2026-03-03T12:02:00Z")).await;
    assert_eq!(
        codes(items(&still, "deferred")[0]),
        ["lease-held"],
        "{still:#}"
    );
    assert_eq!(world.snapshots().len(), 3);
    world.age_lease(LEASE);
    let next = report(&create, &world.heartbeat("2026-03-03T12:05:00Z")).await;
    assert_eq!(created(&next), 3, "{next:#}");
    assert_eq!(next["items"][0]["slot"], "2026-03-03T12:00:00Z");
}

#[tokio::test]
async fn a_request_that_falls_on_a_scheduled_slot_does_not_stand_for_it() {
    let (world, instance) = world().await;
    let create = world.function("create-snapshots");
    let data = world.account(|account| {
        let machine = account.instances().next().unwrap();
        machine
            .devices
            .iter()
            .find(|d| d.device != "/dev/xvda")
            .unwrap()
            .volume
            .to_string()
    });
    world.advance(SLOT);
    let request = json!({ "run": "nightly", "now": SLOT, "resources": [data] });
    assert_eq!(created(&report(&create, &request).await), 1);
    // A later clock, so that the volume may be taken again.
    let beat = report(&create, &world.heartbeat("2026-03-03T03:05:00Z")).await;
    assert_eq!(created(&beat), 3, "{beat:#}");
    let slot = world
        .item(&format!("slot#nightly#{instance}"), SLOT)
        .unwrap();
    assert_eq!(slot["artifacts"]["L"].as_array().unwrap().len(), 3);
    assert_eq!(world.snapshots().len(), 4);
}

#[tokio::test]
async fn a_part_of_a_set_is_not_taken_for_the_whole() {
    let (world, instance) = world().await;
    let create = world.function("create-snapshots");
    world.inject(FaultRule::next(
        "CreateSnapshots",
        Fault::AppliedButResponseLost,
    ));
    world.inject(FaultRule::next(
        "DescribeSnapshots",
        Fault::Error(ApiError::new("UnauthorizedOperation", "not yet")),
    ));
    report(&create, &world.heartbeat(SLOT)).await;
    // Of the three members one is not listed: EC2 shows the members of a set one by one.
    let hidden = world.snapshots()[0].clone();
    world.account(|account| account.vanish_snapshot(&hidden.id));
    let part = report(&create, &world.heartbeat("2026-03-03T03:05:00Z")).await;
    assert_eq!(
        codes(items(&part, "deferred")[0]),
        ["outcome-unknown"],
        "{part:#}"
    );
    let slot = world
        .item(&format!("slot#nightly#{instance}"), SLOT)
        .unwrap();
    assert_eq!(slot["state"]["S"], "requested");
    // After two minutes, what is there is what there is, and it is not asked for again.
    world.age_request("nightly", &instance, SLOT, SignedDuration::from_secs(121));
    let settled = report(&create, &world.heartbeat("2026-03-03T03:10:00Z")).await;
    assert_eq!(created(&settled), 2, "{settled:#}");
    let calls = world.calls();
    assert_eq!(calls.iter().filter(|c| *c == "CreateSnapshots").count(), 1);
}

#[tokio::test]
async fn what_was_asked_for_in_a_slot_that_is_over_is_still_taken_over() {
    let (world, instance) = world().await;
    let create = world.function("create-snapshots");
    world.account(|account| {
        account.settings_mut().list_lag = SignedDuration::from_mins(30);
        account.inject(FaultRule::next(
            "CreateSnapshots",
            Fault::AppliedButResponseLost,
        ));
    });
    report(&create, &world.heartbeat(SLOT)).await;
    let next_day = report(&create, &world.heartbeat("2026-03-04T03:00:00Z")).await;
    assert_eq!(created(&next_day), 6, "{next_day:#}");
    let slot = world
        .item(&format!("slot#nightly#{instance}"), SLOT)
        .unwrap();
    assert_eq!(slot["state"]["S"], "created");
    assert_eq!(world.snapshots().len(), 6);
}

#[tokio::test]
async fn a_volume_detached_after_it_was_listed_does_not_close_its_machines_slot() {
    let excluding = NIGHTLY.replace(
        "select: { instances: { tags: { Backup: nightly } } }",
        "select: { instances: { tags: { Backup: nightly } }, \
         exclude: { tags: { Scratch: \"*\" } } }",
    );
    let world = World::new(&excluding, "plan", |account| {
        let scratch = account.seed_volume(holdfast_sim::VolumeSeed {
            tags: holdfast_end_to_end::tags(&[("Scratch", "yes")]),
            ..holdfast_sim::VolumeSeed::default()
        });
        let root = account.seed_volume(holdfast_sim::VolumeSeed::default());
        account.seed_instance(holdfast_sim::InstanceSeed {
            devices: vec![("/dev/xvda".into(), root), ("/dev/sdb".into(), scratch)],
            tags: holdfast_end_to_end::tags(&[("Backup", "nightly")]),
            ..holdfast_sim::InstanceSeed::default()
        });
    })
    .await;
    let create = world.function("create-snapshots");
    let moved = ApiError::new("InvalidParameterValue", "The volume is not attached");
    world.inject(FaultRule::next("CreateSnapshots", Fault::Error(moved)));
    let first = report(&create, &world.heartbeat(SLOT)).await;
    assert_eq!(codes(items(&first, "failed")[0]), ["refused"]);
    assert_eq!(first["run"]["complete"], false);
    let second = report(&create, &world.heartbeat("2026-03-03T03:05:00Z")).await;
    assert_eq!(created(&second), 1, "{second:#}");
}

#[tokio::test]
async fn a_second_host_of_a_shared_volume_is_taken_when_it_stops() {
    let triggered = NIGHTLY.replace("schedule: \"cron(0 3 * * ? *)\"", "triggers: [stopped]");
    let volumes = triggered.replace(
        "instances: { tags: { Backup: nightly } }",
        "volumes: { tags: { Backup: nightly } }",
    );
    let world = World::new(&volumes, "plan", |account| {
        let shared = account.seed_volume(holdfast_sim::VolumeSeed {
            multi_attach: true,
            volume_type: "io2".into(),
            tags: holdfast_end_to_end::tags(&[("Backup", "nightly")]),
            ..holdfast_sim::VolumeSeed::default()
        });
        for _ in 0..2 {
            let root = account.seed_volume(holdfast_sim::VolumeSeed::default());
            account.seed_instance(holdfast_sim::InstanceSeed {
                devices: vec![
                    ("/dev/xvda".into(), root),
                    ("/dev/sdb".into(), shared.clone()),
                ],
                ..holdfast_sim::InstanceSeed::default()
            });
        }
    })
    .await;
    let hosts: Vec<String> =
        world.account(|account| account.instances().map(|i| i.id.to_string()).collect());
    let create = world.function("create-snapshots");
    for host in &hosts {
        world.stop("2026-03-03T11:59:00Z", host);
    }
    for (n, host) in hosts.iter().enumerate() {
        let event = world.state_change(&format!("2026-03-03T12:0{n}:00Z"), host, "stopped");
        assert_eq!(created(&report(&create, &event).await), 1, "{host}");
    }
    assert_eq!(world.snapshots().len(), 2);
}
