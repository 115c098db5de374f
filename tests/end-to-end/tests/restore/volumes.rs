//! One volume.

use std::collections::BTreeSet;

use holdfast_core::inventory::{SnapshotState, VolumeState};
use holdfast_end_to_end::lineage::{edges, recorded};
use holdfast_end_to_end::{codes, item_of, tags};
use serde_json::json;

use crate::stage::{
    DATA, MACHINE, ZONE, backup, count, creations, made, restore, restored, shown, volume, world,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_comes_back_as_its_source_was_and_the_source_stays_as_it_is() {
    let world = world().await;
    let snapshot = backup(&world, "2026-03-01T03:00:00Z", |_| {});
    let before = volume(&world, DATA);
    let (report, status) = restore(&world, &["volume", &snapshot, "--yes"]);
    assert_eq!(status, 0, "{report:#}");
    let id = made(&report);
    let new = volume(&world, &id);
    assert_eq!(new.snapshot.as_ref().map(|s| s.as_str()), Some(&*snapshot));
    assert_eq!(
        (&*new.volume_type, new.iops, new.throughput, &*new.zone),
        ("gp3", Some(6000), Some(250), ZONE)
    );
    assert_eq!(new.state, VolumeState::Available);
    let item = item_of(&report, &id);
    assert_eq!(codes(item), ["restored-from"]);
    assert_eq!(
        (&item["source"], &item["time"], &item["policy"]),
        (
            &json!(DATA),
            &json!("2026-03-01T03:00:00Z"),
            &json!("nightly")
        )
    );
    assert_eq!(item["reasons"][0]["path"], json!([id, snapshot, DATA]));
    let token = item["restore"]["token"].as_str().unwrap();
    // Nothing that would make it an artifact, and none of the user's tags unasked.
    assert_eq!(
        new.tags,
        tags(&[
            ("holdfast:restored-from", &snapshot),
            ("holdfast:restore", token)
        ])
    );
    assert_eq!(
        edges(&world, &id, "restored-from"),
        BTreeSet::from([snapshot])
    );
    assert_eq!(recorded(&world, &id).as_deref(), Some("present"));
    assert_eq!(volume(&world, DATA), before);
    let (lineage, _) = {
        let output = world.holdfast(&["lineage", &id]);
        (String::from_utf8(output.stdout).unwrap(), output.status)
    };
    assert!(lineage.contains("restored-from"), "{lineage}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_yes_it_shows_what_it_would_make_and_makes_nothing() {
    let world = world().await;
    let snapshot = backup(&world, "2026-03-01T03:00:00Z", |_| {});
    let records = world.local.dynamodb.items().unwrap();
    let (report, status) = restore(&world, &["volume", &snapshot]);
    assert_eq!(status, 0, "{report:#}");
    let item = creations(&report)[0];
    assert_eq!(
        (&item["outcome"], &item["resource"]),
        (&json!("planned"), &json!(snapshot))
    );
    let (text, words, status) = shown(&world, &["volume", &snapshot]);
    assert_eq!(status, 0, "{words}");
    for said in [
        "2026-03-01T03:00:00Z",
        "100 GiB",
        "6000 IOPS",
        ZONE,
        "consistency:",
        "blocks load",
        "--initialization-rate",
    ] {
        assert!(text.contains(said), "{said} in {text}");
    }
    assert!(
        words.contains("nothing was made; --yes makes it"),
        "{words}"
    );
    assert_eq!(restored(&world), []);
    assert_eq!(count(&world.calls(), "CreateVolume"), 0);
    assert_eq!(world.local.dynamodb.items().unwrap(), records);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_command_again_makes_nothing_twice_and_another_label_makes_another_one() {
    let world = world().await;
    let snapshot = backup(&world, "2026-03-01T03:00:00Z", |_| {});
    let first = made(&restore(&world, &["volume", &snapshot, "--yes"]).0);
    // Without its source nobody knows the zone any more; the command is still the same.
    world.account(|account| {
        let request =
            holdfast_sim::request::Request::DetachVolume(holdfast_sim::request::DetachVolume {
                volume: DATA.into(),
                instance: None,
                device: None,
            });
        account.call(&request).unwrap();
        let request =
            holdfast_sim::request::Request::DeleteVolume(holdfast_sim::request::DeleteVolume {
                volume: DATA.into(),
            });
        account.call(&request).unwrap();
    });
    let (report, status) = restore(&world, &["volume", &snapshot, "--yes"]);
    assert_eq!((made(&report), status), (first.clone(), 0));
    let (report, status) = restore(&world, &["volume", &snapshot, "--again", "2", "--yes"]);
    assert_eq!(
        (codes(item_of(&report, &snapshot)), status),
        (vec!["refused"], 3)
    );
    let (report, status) = restore(&world, &["volume", &snapshot, "--az", ZONE, "--yes"]);
    assert_eq!(status, 0, "{report:#}");
    let by_zone = made(&report);
    assert_ne!(by_zone, first, "--az is a word of the request");
    let (report, status) = restore(&world, &["volume", &snapshot, "--az", ZONE, "--yes"]);
    assert_eq!((made(&report), status), (by_zone.clone(), 0));
    assert_eq!(
        codes(creations(&report)[0]),
        ["already-created", "restored-from"]
    );
    assert_eq!(restored(&world).len(), 2);
    let again = ["volume", &snapshot, "--az", ZONE, "--again", "two", "--yes"];
    let third = made(&restore(&world, &again).0);
    assert!(third != first && third != by_zone);
    assert_eq!(made(&restore(&world, &again).0), third);
    assert_eq!(restored(&world).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_source_the_newest_good_backup_not_after_the_time_is_taken() {
    let world = world().await;
    let _older = backup(&world, "2026-02-25T03:00:00Z", |_| {});
    let good = backup(&world, "2026-02-26T03:00:00Z", |_| {});
    let archived = backup(&world, "2026-02-27T03:00:00Z", |s| {
        s.tier = Some("archive".into());
    });
    let failed = backup(&world, "2026-02-28T03:00:00Z", |s| {
        s.state = Some(SnapshotState::Error);
    });
    let later = backup(&world, "2026-03-01T03:00:00Z", |_| {});
    let foreign = backup(&world, "2026-02-28T04:00:00Z", |s| s.tags.clear());
    let at = |time| ["volume", "--source", DATA, "--at", time, "--yes"];
    let (report, status) = restore(&world, &at("2026-03-01T02:59:59Z"));
    assert_eq!(status, 0, "{report:#}");
    let of = |id: &str| volume(&world, id).snapshot.unwrap().to_string();
    assert_eq!(of(&made(&report)), good);
    assert_eq!(codes(item_of(&report, &archived)), ["archived"]);
    assert_eq!(codes(item_of(&report, &failed)), ["failed-backup"]);
    let items = report["items"].as_array().unwrap();
    assert!(!items.iter().any(|item| item["resource"] == *foreign));
    let (report, _) = restore(&world, &at("2026-03-01T03:00:00Z"));
    assert_eq!(of(&made(&report)), later);
    let (report, status) = restore(&world, &at("2026-02-20T00:00:00Z"));
    assert_eq!(status, 3);
    assert_eq!(codes(item_of(&report, DATA)), ["no-backup"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_attached_where_it_was_asked_for_once() {
    let world = world().await;
    let snapshot = backup(&world, "2026-03-01T03:00:00Z", |_| {});
    let target = format!("{MACHINE}:/dev/sdf");
    let arguments = ["volume", &snapshot, "--attach", &target, "--yes"];
    let (report, status) = restore(&world, &arguments);
    assert_eq!(status, 0, "{report:#}");
    let id = made(&report);
    let attached = volume(&world, &id).attachments;
    assert_eq!(attached.len(), 1);
    assert_eq!(
        (attached[0].instance.as_str(), &*attached[0].device),
        (MACHINE, "/dev/sdf")
    );
    assert_eq!(
        edges(&world, &id, "attached-to"),
        BTreeSet::from([MACHINE.to_owned()])
    );
    let (report, status) = restore(&world, &arguments);
    assert_eq!((made(&report), status), (id, 0));
    let calls = world.calls();
    assert_eq!(count(&calls, "CreateVolume"), 1);
    assert_eq!(count(&calls, "AttachVolume"), 1);
    assert_eq!(count(&calls, "DetachVolume"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_wins_over_the_source() {
    let world = world().await;
    let snapshot = backup(&world, "2026-03-01T03:00:00Z", |_| {});
    let (report, status) = restore(
        &world,
        &[
            "volume",
            &snapshot,
            "--az",
            "eu-central-1b",
            "--type",
            "io2",
            "--iops",
            "9000",
            "--initialization-rate",
            "200",
            "--copy-tags",
            "--yes",
        ],
    );
    assert_eq!(status, 0, "{report:#}");
    let new = volume(&world, &made(&report));
    assert_eq!(
        (&*new.volume_type, new.iops, new.throughput, &*new.zone),
        ("io2", Some(9000), None, "eu-central-1b")
    );
    assert_eq!(new.initialization_rate, Some(200));
    assert_eq!(new.tags["Name"], "data");
    assert!(!new.tags.contains_key("holdfast:managed"), "{:?}", new.tags);
    assert!(!new.tags.contains_key("holdfast:source"), "{:?}", new.tags);
}
