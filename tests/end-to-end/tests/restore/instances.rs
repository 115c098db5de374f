//! An instance, or a version of a launch template.

use std::collections::BTreeSet;

use holdfast_core::id::{ImageId, InstanceId, LaunchTemplateId, SnapshotId};
use holdfast_core::inventory::InstanceState;
use holdfast_end_to_end::images::template_over;
use holdfast_end_to_end::lineage::edges;
use holdfast_end_to_end::{World, at, codes, device, item_of, items, report, resources, tags};
use holdfast_sim::request::{DisableImage, Request, TerminateInstances};
use holdfast_sim::{BlockDevice, ImageSeed, Instance};
use serde_json::json;

use crate::stage::{MACHINE, backup, count, creations, made, restore, shown, world};

/// An AMI of the machine as create-images tags it, with an instance-store disk that none holds.
fn bake(world: &World, time: &str) -> (String, Vec<String>) {
    let snapshots: Vec<String> = (0..2)
        .map(|_| {
            backup(world, time, |s| {
                s.tags
                    .insert("holdfast:artifact".into(), "image-snapshot".into());
            })
        })
        .collect();
    let seed = ImageSeed {
        created: Some(at(time)),
        source_instance: Some(InstanceId::new(MACHINE)),
        mappings: vec![
            device("/dev/xvda", &snapshots[0]),
            device("/dev/sdb", &snapshots[1]),
            BlockDevice::ephemeral("/dev/sdc", "ephemeral0"),
        ],
        tags: tags(&[
            ("holdfast:managed", "true"),
            ("holdfast:artifact", "image"),
            ("holdfast:policy", "bake"),
            ("holdfast:source", MACHINE),
            ("holdfast:slot", time),
            ("holdfast:run", "run-1"),
        ]),
        ..ImageSeed::default()
    };
    let id = world.account(|account| account.seed_image(seed).to_string());
    (id, snapshots)
}

fn instance(world: &World, id: &str) -> Instance {
    let id = InstanceId::new(id);
    world.account(|account| account.instance(&id).unwrap().clone())
}

fn launched(world: &World) -> usize {
    world.account(|account| account.instances().count()) - 1
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_launched_as_its_source_was_and_once() {
    let world = world().await;
    let (image, snapshots) = bake(&world, "2026-03-01T03:00:00Z");
    let before = instance(&world, MACHINE);
    let (report, status) = restore(&world, &["instance", &image, "--yes"]);
    assert_eq!(status, 0, "{report:#}");
    let id = made(&report);
    let new = instance(&world, &id);
    assert_eq!(new.state, InstanceState::Running);
    assert_eq!(new.image.as_str(), image);
    assert_eq!(new.instance_type, before.instance_type);
    assert_eq!(new.launch, before.launch);
    assert_eq!(new.tags["holdfast:restored-from"], image);
    assert!(!new.tags.contains_key("holdfast:managed"), "{:?}", new.tags);
    assert_eq!(instance(&world, MACHINE), before);
    let missing = item_of(&report, &id)["restore"]["missing"].to_string();
    assert!(missing.contains("/dev/sdc"), "{missing}");
    for kind in ["restored-from", "launched-from"] {
        assert_eq!(
            edges(&world, &id, kind),
            BTreeSet::from([image.clone()]),
            "{kind}"
        );
    }
    let of_disks: BTreeSet<String> = new
        .devices
        .iter()
        .flat_map(|d| edges(&world, d.volume.as_str(), "restored-from"))
        .collect();
    assert_eq!(of_disks, snapshots.into_iter().collect());
    let (report, status) = restore(&world, &["instance", &image, "--yes"]);
    assert_eq!((made(&report), status), (id.clone(), 0));
    assert_eq!(codes(creations(&report)[0])[0], "already-created");
    assert_eq!(
        (launched(&world), count(&world.calls(), "RunInstances")),
        (1, 1)
    );

    // One that was terminated since is not quietly taken for the restored one.
    let request = Request::TerminateInstances(TerminateInstances {
        ids: vec![id.clone()],
    });
    world.account(|account| account.call(&request)).unwrap();
    let (report, status) = restore(&world, &["instance", &image, "--yes"]);
    assert_eq!(status, 3, "{report:#}");
    assert_eq!(codes(item_of(&report, &image)), ["instance-state"]);
    assert!(report.to_string().contains("--again"), "{report:#}");
    let (report, status) = restore(&world, &["instance", &image, "--again", "2", "--yes"]);
    assert_eq!(status, 0, "{report:#}");
    assert_ne!(made(&report), id);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_source_the_newest_good_image_is_taken_and_a_disabled_one_passed_over() {
    let world = world().await;
    let (_older, _) = bake(&world, "2026-02-26T03:00:00Z");
    let (good, _) = bake(&world, "2026-02-27T03:00:00Z");
    let (disabled, _) = bake(&world, "2026-02-28T03:00:00Z");
    let request = Request::DisableImage(DisableImage {
        id: disabled.clone(),
    });
    world.account(|account| account.call(&request)).unwrap();
    let (lost, snapshots) = bake(&world, "2026-03-01T03:00:00Z");
    world.account(|account| {
        let mut gone = account.image(&ImageId::new(&*lost)).unwrap().clone();
        gone.mappings
            .push(device("/dev/sdz", "snap-0000000000000dead"));
        account.seed_image(ImageSeed {
            id: Some(gone.id.clone()),
            created: Some(gone.created),
            source_instance: gone.source_instance.clone(),
            mappings: gone.mappings.clone(),
            tags: gone.tags.clone(),
            ..ImageSeed::default()
        });
    });
    assert_eq!(snapshots.len(), 2);
    let newest = [
        "instance",
        "--source",
        MACHINE,
        "--at",
        "2026-03-01T12:00:00Z",
        "--yes",
    ];
    let (report, status) = restore(&world, &newest);
    assert_eq!(status, 0, "{report:#}");
    assert_eq!(instance(&world, &made(&report)).image.as_str(), good);
    assert_eq!(codes(item_of(&report, &disabled)), ["disabled"]);
    assert_eq!(codes(item_of(&report, &lost)), ["snapshot-missing"]);
    let (report, status) = restore(&world, &["instance", &disabled, "--yes"]);
    assert_eq!(
        (codes(item_of(&report, &disabled)), status),
        (vec!["disabled"], 3)
    );
    assert!(report.to_string().contains("enable-image"), "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_gone_is_launched_as_the_lineage_recorded_it() {
    let world = world().await;
    let create = world.function("create-images");
    let baked = report(&create, &world.heartbeat("2026-03-02T03:00:00Z")).await;
    let image = resources(&items(&baked, "created")).remove(0);
    let before = instance(&world, MACHINE);
    world.account(|account| {
        let request = Request::TerminateInstances(TerminateInstances {
            ids: vec![MACHINE.to_owned()],
        });
        account.call(&request).unwrap();
        account.advance_to(at("2026-03-04T00:00:00Z"));
        assert!(account.instance(&InstanceId::new(MACHINE)).is_none());
    });
    let (report, status) = restore(&world, &["instance", &image, "--yes"]);
    assert_eq!(status, 0, "{report:#}");
    let new = instance(&world, &made(&report));
    assert_eq!(new.image.as_str(), image);
    assert_eq!(new.instance_type, before.instance_type);
    assert_eq!(new.launch, before.launch);
    assert!(report.to_string().contains("by the lineage"), "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_source_nothing_is_invented_and_a_launch_template_tells_how() {
    let world = world().await;
    let (image, _) = bake(&world, "2026-03-01T03:00:00Z");
    let orphan = world.account(|account| {
        let seed = ImageSeed {
            source_instance: Some(InstanceId::new("i-0000000000000dead")),
            mappings: account
                .image(&ImageId::new(&*image))
                .unwrap()
                .mappings
                .clone(),
            ..ImageSeed::default()
        };
        account.seed_image(seed).to_string()
    });
    let (report, status) = restore(&world, &["instance", &orphan, "--yes"]);
    assert_eq!(status, 3, "{report:#}");
    assert_eq!(codes(item_of(&report, &orphan)), ["launch-unknown"]);
    assert_eq!(launched(&world), 0);
    world.account(|account| {
        let request = holdfast_sim::request::CreateLaunchTemplate {
            name: "web".into(),
            data: holdfast_sim::TemplateData {
                image: Some("ami-0000000000000dead".into()),
                instance_type: Some("m5d.large".into()),
                ..Default::default()
            },
            ..Default::default()
        };
        account
            .call(&Request::CreateLaunchTemplate(request))
            .unwrap();
    });
    let arguments = ["instance", &orphan, "--launch-template", "web", "--yes"];
    let (report, status) = restore(&world, &arguments);
    assert_eq!(status, 0, "{report:#}");
    let new = instance(&world, &made(&report));
    assert_eq!(
        (new.image.as_str(), &*new.instance_type),
        (&*orphan, "m5d.large")
    );
    let arguments = ["instance", &orphan, "--launch-template", "no-such", "--yes"];
    let (report, status) = restore(&world, &arguments);
    assert_eq!(
        (codes(item_of(&report, &orphan)), status),
        (vec!["not-found"], 3)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn into_a_template_goes_one_version_from_its_latest_and_the_default_stays() {
    let world = world().await;
    let (image, _) = bake(&world, "2026-03-01T03:00:00Z");
    let (old, _) = bake(&world, "2026-02-01T03:00:00Z");
    let template = template_over(&world, "web", &[&old, &old]);
    let _by_the_stage = world.calls();
    let arguments = ["instance", &image, "--into-template", &template, "--yes"];
    let (text, _, status) = shown(&world, &arguments[..4]);
    assert_eq!(status, 0);
    assert!(text.contains("instance refresh"), "{text}");
    let (report, status) = restore(&world, &arguments);
    assert_eq!(status, 0, "{report:#}");
    assert_eq!(made(&report), format!("{template}:3"));
    let id = LaunchTemplateId::new(&*template);
    let stands = || world.account(|account| account.launch_template(&id).unwrap().clone());
    let made_now = stands();
    assert_eq!(made_now.default_version, 1);
    assert_eq!(made_now.versions[&3].data.image.as_deref(), Some(&*image));
    let (report, status) = restore(&world, &arguments);
    assert_eq!((made(&report), status), (format!("{template}:3"), 0));
    assert_eq!(stands(), made_now);
    assert_eq!(launched(&world), 0);
    assert_eq!(count(&world.calls(), "CreateLaunchTemplateVersion"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_whose_own_disks_would_take_the_place_of_the_backups_is_refused() {
    let world = world().await;
    let (image, _) = bake(&world, "2026-03-01T03:00:00Z");
    let other = backup(&world, "2026-01-01T03:00:00Z", |_| {});
    world.launch_template("web", &other);
    for option in ["--launch-template", "--into-template"] {
        let (report, status) = restore(&world, &["instance", &image, option, "web", "--yes"]);
        assert_eq!(status, 3, "{report:#}");
        let item = item_of(&report, &image);
        assert_eq!(
            (codes(item), &item["outcome"]),
            (vec!["refused"], &json!("failed"))
        );
        assert!(report.to_string().contains(&other), "{report:#}");
    }
    assert_eq!(launched(&world), 0);
    let there = world.account(|a| a.snapshot(&SnapshotId::new(&*other)).is_some());
    assert!(there);
}
