//! create-snapshots: what is picked, how it is asked for, what is said about it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use holdfast_end_to_end::{
    World, at, codes, error, item_of, items, report, resources, seed_instance, tags,
};
use holdfast_sim::{InstanceSeed, VolumeSeed};
use serde_json::json;

const NIGHTLY: &str = r#"
version: 1
policies:
  - name: nightly
    protect: volumes
    select:
      instances: { tags: { Backup: nightly } }
      volumes: { tags: { Backup: nightly } }
      exclude: { tags: { Scratch: "*" } }
    schedule: "cron(0 3 * * ? *)"
    retain: { daily: 7 }
"#;

#[tokio::test]
async fn a_heartbeat_takes_one_set_an_instance_and_one_snapshot_a_detached_volume() {
    let world = World::new(NIGHTLY, "plan", |account| {
        seed_instance(account, 2, &[("Backup", "nightly")]);
        seed_instance(account, 1, &[("Backup", "weekly")]);
        account.seed_volume(VolumeSeed {
            tags: tags(&[("Backup", "nightly"), ("Name", "archive"), ("aws:x", "y")]),
            ..VolumeSeed::default()
        });
    })
    .await;
    let create = world.function("create-snapshots");
    let report = report(&create, &world.heartbeat("2026-03-03T03:02:00Z")).await;

    assert_eq!(report["summary"], json!({ "created": 4 }), "{report:#}");
    assert_eq!(report["run"]["complete"], true);
    assert_eq!(report["run"]["account"], "111122223333");
    let snapshots = world.snapshots();
    let (set, single): (Vec<_>, Vec<_>) = snapshots
        .iter()
        .partition(|s| s.tags["holdfast:source"].starts_with("i-"));
    assert_eq!((set.len(), single.len()), (3, 1));
    assert_eq!(
        set.iter().map(|s| s.started).collect::<BTreeSet<_>>().len(),
        1
    );
    assert_eq!(
        set.iter()
            .map(|s| &s.tags["holdfast:run"])
            .collect::<BTreeSet<_>>()
            .len(),
        1
    );
    for snapshot in &snapshots {
        assert_eq!(snapshot.tags["holdfast:managed"], "true");
        assert_eq!(snapshot.tags["holdfast:artifact"], "snapshot");
        assert_eq!(snapshot.tags["holdfast:policy"], "nightly");
        assert_eq!(snapshot.tags["holdfast:slot"], "2026-03-03T03:00:00Z");
        assert!(!snapshot.tags.contains_key("holdfast:group"));
    }
    assert_eq!(single[0].tags["holdfast:source"], single[0].volume.as_str());
    assert_eq!(single[0].tags["Name"], "archive");
    assert!(!single[0].tags.contains_key("aws:x"));
    let calls = world.calls();
    assert_eq!(calls.iter().filter(|c| *c == "CreateSnapshots").count(), 1);
    assert_eq!(calls.iter().filter(|c| *c == "CreateSnapshot").count(), 1);
    assert!(!calls.contains(&"CreateTags".to_owned()));
}

#[tokio::test]
async fn a_first_deployment_makes_the_newest_past_slot_and_a_quiet_heartbeat_asks_ec2_nothing() {
    let world = World::new(NIGHTLY, "plan", |account| {
        seed_instance(account, 0, &[("Backup", "nightly")]);
    })
    .await;
    let create = world.function("create-snapshots");
    let first = report(&create, &world.heartbeat("2026-03-03T17:00:00Z")).await;
    assert_eq!(items(&first, "created").len(), 1);
    assert_eq!(first["items"][0]["slot"], "2026-03-03T03:00:00Z");
    let _ = world.calls();
    let quiet = report(&create, &world.heartbeat("2026-03-03T17:05:00Z")).await;
    assert_eq!(quiet["items"], json!([]));
    assert_eq!(quiet["run"]["complete"], true);
    assert_eq!(world.calls(), [""; 0]);
}

#[tokio::test]
async fn the_same_heartbeat_three_times_even_at_once_makes_one_set_an_instance() {
    let world = World::new(NIGHTLY, "plan", |account| {
        for _ in 0..4 {
            seed_instance(account, 1, &[("Backup", "nightly")]);
        }
    })
    .await;
    let (one, two) = (
        world.function("create-snapshots"),
        world.function("create-snapshots"),
    );
    let beat = world.heartbeat("2026-03-03T03:00:00Z");
    let (first, second) = tokio::join!(report(&one, &beat), report(&two, &beat));
    let third = report(&one, &beat).await;
    assert_eq!(world.snapshots().len(), 8);
    let created: usize = [&first, &second, &third]
        .iter()
        .map(|r| items(r, "created").len())
        .sum();
    assert_eq!(created, 8, "{first:#} {second:#} {third:#}");
}

#[tokio::test]
async fn of_several_missed_slots_only_the_newest_is_made_and_the_others_are_named() {
    let world = World::new(NIGHTLY, "plan", |account| {
        seed_instance(account, 0, &[("Backup", "nightly")]);
    })
    .await;
    let create = world.function("create-snapshots");
    report(&create, &world.heartbeat("2026-03-03T03:00:00Z")).await;
    let after = report(&create, &world.heartbeat("2026-03-07T09:00:00Z")).await;
    assert_eq!(resources(&items(&after, "created")).len(), 1);
    let finding = item_of(&after, "nightly");
    assert_eq!(codes(finding), ["slot-missed"]);
    let detail = finding["reasons"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("3 slots from 2026-03-04T03:00:00Z to 2026-03-06T03:00:00Z"));
    let slots: Vec<_> = world
        .snapshots()
        .iter()
        .map(|s| s.tags["holdfast:slot"].clone())
        .collect();
    assert!(
        slots.contains(&"2026-03-07T03:00:00Z".to_owned()),
        "{slots:?}"
    );
    assert_eq!(slots.len(), 2);
}

#[tokio::test]
async fn a_late_heartbeat_begins_nothing() {
    let world = World::new(NIGHTLY, "plan", |account| {
        seed_instance(account, 0, &[("Backup", "nightly")]);
    })
    .await;
    let create = world.function("create-snapshots");
    report(&create, &world.heartbeat("2026-03-05T02:00:00Z")).await;
    assert_eq!(world.snapshots().len(), 1);
    let late = report(&create, &world.heartbeat("2026-03-03T03:00:00Z")).await;
    assert_eq!(late["summary"], json!({ "skipped": 1 }));
    assert_eq!(codes(items(&late, "skipped")[0]), ["late"]);
    assert_eq!(world.snapshots().len(), 1);
}

#[tokio::test]
async fn volumes_that_are_not_picked_are_left_out_in_the_call_itself() {
    let policies = NIGHTLY.replace(
        r#"{ Scratch: "*" }"#,
        r#"{ Scratch: "*" }, boot_volumes: true"#,
    );
    let world = World::new(&policies, "plan", |account| {
        let scratch = account.seed_volume(VolumeSeed {
            tags: tags(&[("Scratch", "yes")]),
            ..VolumeSeed::default()
        });
        let (root, data) = (
            account.seed_volume(VolumeSeed::default()),
            account.seed_volume(VolumeSeed::default()),
        );
        account.seed_instance(InstanceSeed {
            devices: vec![
                ("/dev/xvda".into(), root),
                ("/dev/sdb".into(), data),
                ("/dev/sdc".into(), scratch),
            ],
            tags: tags(&[("Backup", "nightly")]),
            ..InstanceSeed::default()
        });
    })
    .await;
    let create = world.function("create-snapshots");
    let report = report(&create, &world.heartbeat("2026-03-03T03:00:00Z")).await;
    assert_eq!(report["summary"], json!({ "created": 1 }), "{report:#}");
}

#[tokio::test]
async fn a_volume_in_error_is_reported_and_the_rest_of_the_machine_is_taken() {
    let world = World::new(NIGHTLY, "plan", |account| {
        let broken = account.seed_volume(VolumeSeed::default());
        let root = account.seed_volume(VolumeSeed::default());
        account.seed_instance(InstanceSeed {
            devices: vec![
                ("/dev/xvda".into(), root),
                ("/dev/sdb".into(), broken.clone()),
            ],
            tags: tags(&[("Backup", "nightly")]),
            ..InstanceSeed::default()
        });
        account.set_volume_state(&broken, holdfast_core::inventory::VolumeState::Error);
    })
    .await;
    let create = world.function("create-snapshots");
    let beat = report(&create, &world.heartbeat("2026-03-03T03:00:00Z")).await;
    assert_eq!(
        beat["summary"],
        json!({ "created": 1, "failed": 1 }),
        "{beat:#}"
    );
    assert_eq!(codes(items(&beat, "failed")[0]), ["volume-state"]);
    assert!(
        items(&beat, "failed")[0]["resource"]
            .as_str()
            .unwrap()
            .starts_with("vol-")
    );
}

/// A machine whose root is not picked either, with one picked volume and so many others.
async fn with_others(others: usize) -> World {
    let policies = NIGHTLY.replace("      instances: { tags: { Backup: nightly } }\n", "");
    World::new(&policies, "plan", move |account| {
        let mut devices = vec![(
            "/dev/xvda".to_owned(),
            account.seed_volume(VolumeSeed::default()),
        )];
        for n in 0..=others {
            let picked = match n {
                0 => tags(&[("Backup", "nightly")]),
                _ => tags(&[]),
            };
            let volume = account.seed_volume(VolumeSeed {
                tags: picked,
                ..VolumeSeed::default()
            });
            devices.push((format!("/dev/sd{n}"), volume));
        }
        account.seed_instance(InstanceSeed {
            devices,
            ..InstanceSeed::default()
        });
    })
    .await
}

#[tokio::test]
async fn more_exclusions_than_the_api_takes_make_no_snapshot_and_are_named() {
    let world = with_others(41).await;
    let create = world.function("create-snapshots");
    let beat = report(&create, &world.heartbeat("2026-03-03T03:00:00Z")).await;
    assert_eq!(beat["summary"], json!({ "failed": 1 }), "{beat:#}");
    assert_eq!(codes(&beat["items"][0]), ["too-many-exclusions"]);
    assert_eq!(world.snapshots().len(), 0);
    // Nobody has to read that report: the volume is found to have no backup.
    let found = world.reconcile("2026-03-05T04:00:00Z").await;
    let picked = world.account(|account| {
        let mut volumes = account.volumes().filter(|v| !v.tags.is_empty());
        volumes.next().unwrap().id.to_string()
    });
    assert_eq!(codes(item_of(&found, &picked)), ["no-backup"], "{found:#}");
}

#[tokio::test]
async fn as_many_exclusions_as_the_api_takes_leave_the_picked_volume_alone() {
    let world = with_others(40).await;
    let create = world.function("create-snapshots");
    let beat = report(&create, &world.heartbeat("2026-03-03T03:00:00Z")).await;
    assert_eq!(beat["summary"], json!({ "created": 1 }), "{beat:#}");
    assert_eq!(world.snapshots().len(), 1);
    assert_eq!(world.snapshots()[0].tags["Backup"], "nightly");
}

#[tokio::test]
async fn instance_store_disks_of_a_picked_instance_are_named_as_not_covered() {
    let world = World::new(NIGHTLY, "plan", |account| {
        let root = account.seed_volume(VolumeSeed::default());
        account.seed_instance(InstanceSeed {
            instance_type: "m5d.large".into(),
            devices: vec![("/dev/xvda".into(), root)],
            tags: tags(&[("Backup", "nightly")]),
            ..InstanceSeed::default()
        });
    })
    .await;
    let create = world.function("create-snapshots");
    let dry = json!({ "run": "nightly", "dry_run": true });
    let foretold = report(&create, &dry).await;
    assert_eq!(codes(items(&foretold, "finding")[0]), ["not-covered"]);
    let beat = report(&create, &world.heartbeat("2026-03-03T03:00:00Z")).await;
    let finding = items(&beat, "finding")[0];
    assert_eq!(codes(finding), ["not-covered"]);
    assert!(finding["resource"].as_str().unwrap().starts_with("i-"));
    let detail = finding["reasons"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("NVMe disk 1 of 1 (m5d.large)"), "{detail}");
}

#[tokio::test]
async fn a_member_with_a_holdfast_tag_is_not_copied_over_the_sets_own_tags() {
    let world = World::new(NIGHTLY, "plan", |account| {
        let restored = account.seed_volume(VolumeSeed {
            tags: tags(&[("holdfast:policy", "evil"), ("Team", "db"), ("Disk", "a")]),
            ..VolumeSeed::default()
        });
        let root = account.seed_volume(VolumeSeed {
            tags: tags(&[("Team", "db"), ("Disk", "root")]),
            ..VolumeSeed::default()
        });
        account.seed_instance(InstanceSeed {
            devices: vec![("/dev/xvda".into(), root), ("/dev/sdb".into(), restored)],
            tags: tags(&[("Backup", "nightly")]),
            ..InstanceSeed::default()
        });
    })
    .await;
    let create = world.function("create-snapshots");
    report(&create, &world.heartbeat("2026-03-03T03:00:00Z")).await;
    for snapshot in world.snapshots() {
        assert_eq!(snapshot.tags["holdfast:policy"], "nightly");
        assert_eq!(snapshot.tags["Team"], "db", "common to all members");
        assert!(
            !snapshot.tags.contains_key("Disk"),
            "differs between members"
        );
        let node = world
            .item(&format!("node#{}", snapshot.id), "node")
            .unwrap();
        assert!(
            node["tags"]["M"]["Disk"]["S"].is_string(),
            "the rest is in lineage: {node:#}"
        );
    }
}

#[tokio::test]
async fn a_second_policy_on_the_same_volume_waits_for_ec2s_limit_and_comes_with_the_next_heartbeat()
{
    let both = NIGHTLY.to_owned()
        + &NIGHTLY[NIGHTLY.find("  - name").unwrap()..].replace("name: nightly", "name: second");
    let world = World::new(&both, "plan", |account| {
        account.seed_volume(VolumeSeed {
            tags: tags(&[("Backup", "nightly")]),
            ..VolumeSeed::default()
        });
    })
    .await;
    let create = world.function("create-snapshots");
    let first = report(&create, &world.heartbeat("2026-03-03T03:00:00Z")).await;
    assert_eq!(
        first["summary"],
        json!({ "created": 1, "deferred": 1 }),
        "{first:#}"
    );
    assert_eq!(codes(items(&first, "deferred")[0]), ["resource-limit"]);
    assert_eq!(first["run"]["complete"], false);
    let next = report(&create, &world.heartbeat("2026-03-03T03:05:00Z")).await;
    assert_eq!(next["summary"], json!({ "created": 1 }), "{next:#}");
    assert_eq!(next["items"][0]["slot"], "2026-03-03T03:00:00Z");
}

#[tokio::test]
async fn a_request_takes_what_is_picked_skips_the_rest_and_is_one_run_when_repeated() {
    let world = World::new(NIGHTLY, "plan", |account| {
        seed_instance(account, 1, &[("Backup", "nightly")]);
        seed_instance(account, 0, &[]);
    })
    .await;
    let (ours, other) = world.account(|account| {
        let (ours, other): (Vec<_>, Vec<_>) = account
            .instances()
            .cloned()
            .partition(|i| i.tags.contains_key("Backup"));
        (ours[0].clone(), other[0].id.to_string())
    });
    let create = world.function("create-snapshots");
    world.advance("2026-03-03T12:00:00Z");
    let data = ours
        .devices
        .iter()
        .find(|d| d.device != "/dev/xvda")
        .unwrap()
        .volume
        .to_string();
    let request = json!({ "run": "nightly", "id": "ticket-7", "now": "2026-03-03T12:00:00Z",
        "resources": [data, other] });
    let first = report(&create, &request).await;
    assert_eq!(
        first["summary"],
        json!({ "created": 1, "skipped": 1 }),
        "{first:#}"
    );
    assert_eq!(item_of(&first, &other)["outcome"], "skipped");
    assert_eq!(world.snapshots()[0].volume.to_string(), data);
    assert_eq!(world.snapshots()[0].tags["holdfast:run"], "ticket-7");
    let mut again = request.clone();
    again["now"] = json!("2026-03-03T12:10:00Z");
    let second = report(&create, &again).await;
    assert_eq!(world.snapshots().len(), 1);
    assert_eq!(second["run"]["id"], "ticket-7");
    let id = world.snapshots()[0].id.clone();
    let (told, again) = (item_of(&first, id.as_str()), item_of(&second, id.as_str()));
    assert_eq!(codes(again), ["already-created"]);
    for key in ["resource", "outcome", "policy", "source", "slot", "time"] {
        assert_eq!(told[key], again[key], "{key}");
    }
}

#[tokio::test]
async fn a_dry_run_changes_neither_account_nor_table_and_reads_every_page() {
    let world = World::new(NIGHTLY, "plan", |account| {
        for _ in 0..1_100 {
            seed_instance(account, 0, &[("Backup", "nightly")]);
        }
    })
    .await;
    let create = world.function("create-snapshots");
    let before = world.local.dynamodb.items().unwrap();
    let plan = report(&create, &json!({ "run": "nightly", "dry_run": true })).await;
    assert_eq!(plan["summary"], json!({ "planned": 1_100 }));
    assert_eq!(plan["run"]["mode"], "plan");
    assert_eq!(world.snapshots().len(), 0);
    assert_eq!(world.local.dynamodb.items().unwrap(), before);
}

#[tokio::test]
async fn an_instance_that_stops_is_taken_once_however_often_the_event_comes() {
    let policies = NIGHTLY.replace("schedule: \"cron(0 3 * * ? *)\"", "triggers: [stopped]");
    let world = World::new(&policies, "plan", |account| {
        seed_instance(account, 1, &[("Backup", "nightly")]);
        seed_instance(account, 1, &[]);
    })
    .await;
    let ids = world.account(|account| {
        account
            .instances()
            .map(|i| (i.id.to_string(), !i.tags.is_empty()))
            .collect::<Vec<_>>()
    });
    let create = world.function("create-snapshots");
    for (id, _) in &ids {
        world.stop("2026-03-03T11:59:00Z", id);
    }
    for (id, picked) in ids {
        for _ in 0..2 {
            let event = world.state_change("2026-03-03T12:00:01Z", &id, "stopped");
            report(&create, &event).await;
            let running = world.state_change("2026-03-03T12:00:01Z", &id, "running");
            assert_eq!(report(&create, &running).await["items"], json!([]));
        }
        let of_it = world
            .snapshots()
            .iter()
            .filter(|s| s.tags["holdfast:source"] == id)
            .count();
        assert_eq!(of_it, if picked { 2 } else { 0 });
    }
    assert_eq!(
        world.snapshots()[0].tags["holdfast:slot"],
        "2026-03-03T12:00:01Z"
    );
    assert_eq!(at("2026-03-03T12:00:01Z"), world.snapshots()[0].started);
}

#[tokio::test]
async fn a_paused_policy_creates_nothing_and_an_unknown_one_is_named_with_those_there_are() {
    let paused = NIGHTLY.replace("    retain:", "    state: paused\n    retain:");
    let world = World::new(&paused, "plan", |account| {
        seed_instance(account, 0, &[("Backup", "nightly")]);
    })
    .await;
    let create = world.function("create-snapshots");
    report(&create, &world.heartbeat("2026-03-03T03:00:00Z")).await;
    let asked = report(&create, &json!({ "run": "nightly" })).await;
    assert_eq!(asked["summary"], json!({ "skipped": 1 }));
    assert_eq!(world.snapshots().len(), 0);
    let (kind, message) = error(&create, &json!({ "run": "nightyl" })).await;
    assert_eq!(kind, "UnknownPolicy");
    assert!(
        message.contains("nightyl") && message.contains("nightly"),
        "{message}"
    );
}
