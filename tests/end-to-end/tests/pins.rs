//! Pins: what they keep, and for how long.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_core::id::VolumeId;
use holdfast_end_to_end::backups::{POLICIES, VOLUME, day, sweep, world};
use holdfast_end_to_end::{World, codes, item_of, items, report, resources, seed_backup, tags};
use serde_json::json;

#[tokio::test]
async fn a_pin_on_the_source_outlives_the_source() {
    let (world, ids) = world("enforce", POLICIES, 3).await;
    let volume = VolumeId::new(VOLUME);
    let request = holdfast_sim::request::Request::CreateTags(holdfast_sim::request::CreateTags {
        resources: vec![VOLUME.to_owned()],
        tags: tags(&[("holdfast:pin", "legal")]).into_iter().collect(),
    });
    world.account(|account| account.call(&request)).unwrap();
    let pinned = sweep(&world).await;
    assert_eq!(codes(item_of(&pinned, &ids[2])), ["pinned"]);
    assert!(world.item("pins", VOLUME).is_some());
    let request =
        holdfast_sim::request::Request::DeleteVolume(holdfast_sim::request::DeleteVolume {
            volume: volume.to_string(),
        });
    world.account(|account| account.call(&request)).unwrap();
    let gone = report(
        &world.function("sweep-retention"),
        &world.heartbeat("2026-03-02T11:00:00Z"),
    )
    .await;
    assert_eq!(codes(item_of(&gone, &ids[2])), ["pinned"], "{gone:#}");
    assert_eq!(world.snapshots().len(), 3);
}

#[tokio::test]
async fn a_pinned_machine_that_is_terminated_keeps_its_backups_though_its_tags_are_gone() {
    let machine = "i-0000000000000000a";
    let world = World::new(POLICIES, "enforce", move |account| {
        account.seed_instance(holdfast_sim::InstanceSeed {
            id: Some(holdfast_core::id::InstanceId::new(machine)),
            tags: tags(&[("holdfast:pin", "legal")]),
            ..holdfast_sim::InstanceSeed::default()
        });
        for n in 0..3 {
            seed_backup(
                account,
                "nightly",
                VOLUME,
                &day(n),
                &[("holdfast:source", machine)],
            );
        }
    })
    .await;
    sweep(&world).await;
    // EC2 takes the tags off a terminated instance and goes on listing it for about an hour.
    let untag = holdfast_sim::request::Request::DeleteTags(holdfast_sim::request::DeleteTags {
        resources: vec![machine.to_owned()],
        tags: vec![("holdfast:pin".to_owned(), None)],
    });
    let terminate = holdfast_sim::request::Request::TerminateInstances(
        holdfast_sim::request::TerminateInstances {
            ids: vec![machine.to_owned()],
        },
    );
    world.account(|account| {
        account.call(&untag).unwrap();
        account.call(&terminate).unwrap();
    });
    let function = world.function("sweep-retention");
    let after = report(&function, &world.heartbeat("2026-03-02T10:30:00Z")).await;
    assert_eq!(codes(items(&after, "held")[0]), ["pinned"], "{after:#}");
    assert_eq!(world.snapshots().len(), 3);
}

#[tokio::test]
async fn a_pin_seen_in_plan_mode_outlives_its_source_too() {
    let (world, ids) = world("plan", POLICIES, 3).await;
    let request = holdfast_sim::request::Request::CreateTags(holdfast_sim::request::CreateTags {
        resources: vec![VOLUME.to_owned()],
        tags: vec![("holdfast:pin".to_owned(), "legal".to_owned())],
    });
    world.account(|account| account.call(&request)).unwrap();
    sweep(&world).await;
    let request =
        holdfast_sim::request::Request::DeleteVolume(holdfast_sim::request::DeleteVolume {
            volume: VOLUME.to_owned(),
        });
    world.account(|account| account.call(&request)).unwrap();
    let enforce = world.function_with("sweep-retention", &[("HOLDFAST_MODE", "enforce")]);
    let gone = report(&enforce, &world.heartbeat("2026-03-02T11:00:00Z")).await;
    assert_eq!(codes(item_of(&gone, &ids[2])), ["pinned"], "{gone:#}");
}

#[tokio::test]
async fn a_pin_taken_off_a_living_source_lets_its_backups_go() {
    let (world, ids) = world("enforce", POLICIES, 3).await;
    let tag = |on: bool| {
        if on {
            holdfast_sim::request::Request::CreateTags(holdfast_sim::request::CreateTags {
                resources: vec![VOLUME.to_owned()],
                tags: vec![("holdfast:pin".to_owned(), "legal".to_owned())],
            })
        } else {
            holdfast_sim::request::Request::DeleteTags(holdfast_sim::request::DeleteTags {
                resources: vec![VOLUME.to_owned()],
                tags: vec![("holdfast:pin".to_owned(), None)],
            })
        }
    };
    world.account(|account| account.call(&tag(true))).unwrap();
    sweep(&world).await;
    world.account(|account| account.call(&tag(false))).unwrap();
    let function = world.function("sweep-retention");
    let after = report(&function, &world.heartbeat("2026-03-02T11:00:00Z")).await;
    assert_eq!(
        resources(&items(&after, "deleted")),
        [ids[2].clone()],
        "{after:#}"
    );
}

/// A record of a pin whose `pinned` cannot be read, of a source that is gone: what it says nobody knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_pin_on_record_that_cannot_be_read_keeps_and_the_advice_says_how_it_comes_off() {
    let (world, ids) = world("enforce", POLICIES, 3).await;
    let request =
        holdfast_sim::request::Request::DeleteVolume(holdfast_sim::request::DeleteVolume {
            volume: VOLUME.to_owned(),
        });
    world.account(|account| account.call(&request)).unwrap();
    let pin = |pinned: serde_json::Value| {
        let mut item = json!({
            "pk": { "S": "pins" }, "sk": { "S": VOLUME }, "schema": { "N": "1" },
            "pinned": pinned, "fence": { "N": "0" },
        });
        if item["pinned"].is_null() {
            item.as_object_mut().unwrap().remove("pinned");
        }
        world.local.dynamodb.put_item(item).unwrap();
    };
    let node = json!({
        "pk": { "S": format!("node#{}", ids[2]) }, "sk": { "S": "node" },
        "schema": { "N": "1" }, "id": { "S": ids[2] }, "kind": { "S": "snapshot" },
        "state": { "S": "completed" }, "changed": { "S": day(2) }, "fence": { "N": "0" },
        "consistency": { "S": "stopped" },
    });
    world.local.dynamodb.put_item(node).unwrap();
    for pinned in [json!(null), json!({ "S": "true" })] {
        pin(pinned);
        let swept = sweep(&world).await;
        assert_eq!(codes(item_of(&swept, &ids[2])), ["pinned"], "{swept:#}");
    }
    let explained = world.holdfast(&["explain", "--json", &ids[2]]);
    let explained: serde_json::Value = serde_json::from_slice(&explained.stdout).unwrap();
    let item = item_of(&explained, &ids[2]);
    let told = item["reasons"][0]["detail"].as_str().unwrap();
    assert!(told.ends_with("; its consistency is stopped"), "{told}");
    let unpin = format!("`holdfast unpin {VOLUME}`");
    let remedy = item["remedies"][0].as_str().unwrap();
    assert!(remedy.contains(&unpin), "{item:#}");
    pin(json!({ "BOOL": false }));
    let swept = sweep(&world).await;
    assert_eq!(item_of(&swept, &ids[2])["outcome"], "deleted", "{swept:#}");
}
