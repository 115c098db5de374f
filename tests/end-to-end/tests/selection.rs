//! What policies pick and leave out, as the real binaries ask EC2 for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::id::VolumeId;
use holdfast_end_to_end::{World, codes, items, report, tags};
use holdfast_sim::{Account, InstanceSeed, VolumeSeed};
use serde_json::json;

const SLOT: &str = "2026-03-03T03:00:00Z";

fn policy(name: &str, words: &str) -> String {
    format!(
        "  - name: {name}\n    schedule: [cron(0 3 * * ? *), rate(1 hour)]\n    \
         retain: {{ daily: 7 }}\n    {words}\n"
    )
}

fn policies(all: &[(&str, &str)]) -> String {
    let all = all.iter().map(|(name, words)| policy(name, words));
    format!("version: 1\npolicies:\n{}", all.collect::<String>())
}

fn volume(account: &mut Account, id: &str, seed: VolumeSeed) -> (String, VolumeId) {
    let id = format!("vol-0000000000000000{id}");
    let volume = account.seed_volume(VolumeSeed {
        id: Some(VolumeId::new(id)),
        ..seed
    });
    let device = match volume.as_str() {
        "vol-00000000000000001" => "/dev/xvda".to_owned(),
        other => format!("/dev/sd{}", &other[other.len() - 1..]),
    };
    (device, volume)
}

fn of(volume_type: &str, size_gib: i32) -> VolumeSeed {
    VolumeSeed {
        volume_type: volume_type.to_owned(),
        size_gib,
        ..VolumeSeed::default()
    }
}

/// Last digits of the volumes in the snapshots of each policy.
fn taken(world: &World) -> BTreeMap<String, Vec<String>> {
    let mut taken: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for snapshot in world.snapshots() {
        let volume = snapshot.volume.as_str();
        let of = taken.entry(snapshot.tags["holdfast:policy"].clone());
        of.or_default().push(volume[volume.len() - 1..].to_owned());
    }
    for volumes in taken.values_mut() {
        volumes.sort();
    }
    taken
}

#[tokio::test]
async fn volumes_are_left_out_by_type_by_size_and_as_data_and_an_ami_keeps_its_root() {
    let excluding = |protect: &str, exclude: &str| {
        format!(
            "protect: {protect}\n    select: {{ instances: {{ tags: {{ Backup: x }} }}, \
             exclude: {{ {exclude} }} }}"
        )
    };
    let types = excluding("volumes", "volume_types: [st1]");
    let sizes = excluding("volumes", "larger_than_gib: 125, smaller_than_gib: 9");
    let roots = excluding("volumes", "data_volumes: true");
    let amis = excluding("instances", "volume_types: [gp3, st1]");
    let world = World::new(
        &policies(&[
            ("types", &types),
            ("sizes", &sizes),
            ("roots", &roots),
            ("amis", &amis),
        ]),
        "plan",
        |account| {
            let devices = vec![
                volume(account, "1", of("gp3", 8)),
                volume(account, "2", of("st1", 125)),
                volume(account, "3", of("gp3", 126)),
                volume(account, "4", of("io2", 9)),
            ];
            account.seed_instance(InstanceSeed {
                devices,
                tags: tags(&[("Backup", "x")]),
                ..InstanceSeed::default()
            });
        },
    )
    .await;
    let create = world.function("create-snapshots");
    // EC2 takes a volume once in fifteen seconds.
    for minute in ["00", "05", "10"] {
        let beat = world.heartbeat(&format!("2026-03-03T03:{minute}:00Z"));
        report(&create, &beat).await;
    }
    let expected = [
        ("types", vec!["1", "3", "4"]),
        ("sizes", vec!["2", "4"]),
        ("roots", vec!["1"]),
    ];
    let expected = expected.map(|(policy, ids)| {
        let ids: Vec<String> = ids.into_iter().map(str::to_owned).collect();
        (policy.to_owned(), ids)
    });
    assert_eq!(taken(&world), BTreeMap::from(expected));

    let images = world.function("create-images");
    let made = report(&images, &world.heartbeat("2026-03-03T03:10:00Z")).await;
    assert_eq!(made["summary"], json!({ "created": 1 }), "{made:#}");
    let mapped: Vec<String> = world.account(|account| {
        let image = account.images().next().unwrap();
        image.mappings.iter().map(|m| m.device.clone()).collect()
    });
    assert_eq!(mapped, ["/dev/xvda", "/dev/sd4"]);
}

#[tokio::test]
async fn two_policies_take_a_volume_each_and_one_set_serves_schedules_that_coincide() {
    let world = World::new(
        &policies(&[
            (
                "machines",
                "protect: volumes\n    select: { instances: { tags: { Backup: x } } }",
            ),
            (
                "disks",
                "protect: volumes\n    select: { volumes: { tags: { Db: x } } }",
            ),
        ]),
        "plan",
        |account| {
            let db = VolumeSeed {
                tags: tags(&[("Db", "x")]),
                ..VolumeSeed::default()
            };
            let devices = vec![
                volume(account, "1", VolumeSeed::default()),
                volume(account, "2", db),
            ];
            account.seed_instance(InstanceSeed {
                devices,
                tags: tags(&[("Backup", "x")]),
                ..InstanceSeed::default()
            });
        },
    )
    .await;
    let create = world.function("create-snapshots");
    let first = report(&create, &world.heartbeat(SLOT)).await;
    assert_eq!(codes(items(&first, "deferred")[0]), ["resource-limit"]);
    let next = report(&create, &world.heartbeat("2026-03-03T03:05:00Z")).await;
    assert_eq!(next["run"]["complete"], true, "{next:#}");
    let quiet = report(&create, &world.heartbeat("2026-03-03T03:10:00Z")).await;
    assert_eq!(quiet["items"], json!([]));
    let expected = [
        ("machines".to_owned(), vec!["1".to_owned(), "2".to_owned()]),
        ("disks".to_owned(), vec!["2".to_owned()]),
    ];
    assert_eq!(taken(&world), BTreeMap::from(expected));
    let slots: BTreeSet<String> = world
        .snapshots()
        .iter()
        .map(|snapshot| snapshot.tags["holdfast:slot"].clone())
        .collect();
    assert_eq!(slots, BTreeSet::from([SLOT.to_owned()]));
}

/// EC2 hides these from whoever does not ask for them.
#[tokio::test]
async fn what_aws_services_manage_is_backed_up_like_anything_else() {
    let world = World::new(
        &policies(&[(
            "all",
            "protect: volumes\n    select: { instances: { tags: { Backup: x } }, \
             volumes: { tags: { Backup: x } } }",
        )]),
        "plan",
        |account| {
            let managed = VolumeSeed {
                managed: true,
                ..VolumeSeed::default()
            };
            let devices = vec![volume(account, "1", managed.clone())];
            account.seed_instance(InstanceSeed {
                devices,
                managed: true,
                tags: tags(&[("Backup", "x")]),
                ..InstanceSeed::default()
            });
            volume(
                account,
                "2",
                VolumeSeed {
                    tags: tags(&[("Backup", "x")]),
                    ..managed
                },
            );
        },
    )
    .await;
    let create = world.function("create-snapshots");
    let made = report(&create, &world.heartbeat(SLOT)).await;
    assert_eq!(made["summary"], json!({ "created": 2 }), "{made:#}");
    let sources: BTreeSet<String> = world
        .snapshots()
        .iter()
        .map(|snapshot| snapshot.tags["holdfast:source"].clone())
        .collect();
    // As a set of its instance, and by itself.
    assert!(sources.contains("vol-00000000000000002"), "{sources:?}");
    assert!(sources.iter().any(|source| source.starts_with("i-")));
}
