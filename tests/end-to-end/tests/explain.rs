//! `holdfast explain`: the verdict on a backup, with every path to what needs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Output;

use holdfast_core::id::ImageId;
use holdfast_core::inventory::ImageState;
use holdfast_end_to_end::backups;
use holdfast_end_to_end::images::{
    POLICIES, deregister_by_hand, launched_from, sweep, template_over, world,
};
use holdfast_end_to_end::{World, codes, item_of};
use holdfast_sim::{ApiError, Fault, FaultRule, ImageSeed};
use serde_json::{Value, json};

const NOW: &str = "2026-03-02T10:00:00Z";

fn explain(world: &World, ids: &[&str]) -> Output {
    let mut arguments = vec!["explain", "--now", NOW];
    arguments.extend(ids);
    world.holdfast(&arguments)
}

/// The report of `--json`, and the exit status.
fn explained(world: &World, ids: &[&str]) -> (Value, i32) {
    let mut all = ids.to_vec();
    all.push("--json");
    let output = explain(world, &all);
    let text = String::from_utf8_lossy(&output.stdout);
    let report = serde_json::from_str(&text)
        .unwrap_or_else(|e| panic!("{e}: {text}\n{}", String::from_utf8_lossy(&output.stderr)));
    (report, output.status.code().unwrap())
}

fn paths(item: &Value) -> Vec<Value> {
    let reasons = item["reasons"].as_array().unwrap().iter();
    reasons
        .filter(|reason| !reason["path"].is_null())
        .map(|reason| reason["path"].clone())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_ami_tells_its_rule_and_every_path_all_the_same() {
    let (world, baked) = world("plan", POLICIES, 3).await;
    let id = baked[0].id.as_str();
    let instance = launched_from(&world, id);
    let template = template_over(&world, "web", &[id, &baked[1].id, id]);
    let (report, status) = explained(&world, &[id]);
    let item = item_of(&report, id);
    assert_eq!(
        (&item["action"], &item["outcome"]),
        (&json!("explain"), &json!("held"))
    );
    assert_eq!(
        codes(item),
        ["retain.last", "used-by-instance", "used-by-launch-template"]
    );
    assert_eq!(paths(item), [json!([id, instance]), json!([id, template])]);
    assert_eq!(status, 3);

    let text = String::from_utf8(explain(&world, &[id]).stdout).unwrap();
    let line = format!("{id} <- {template} versions 1, 3");
    assert!(text.contains(&line), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_needs_and_no_rule_keeps_is_deletable() {
    let (world, baked) = world("enforce", POLICIES, 3).await;
    let before = world.local.dynamodb.items().unwrap();
    let (report, status) = explained(&world, &[&baked[2].id]);
    let item = item_of(&report, &baked[2].id);
    assert_eq!(
        (&item["outcome"], codes(item)),
        (&json!("deletable"), vec!["expired"])
    );
    assert_eq!(status, 0);
    let (report, status) = explained(&world, &[&baked[2].id, &baked[0].id]);
    assert_eq!(report["summary"], json!({ "deletable": 1, "held": 1 }));
    assert_eq!(status, 3, "one that may not go is enough");
    assert_eq!(world.local.dynamodb.items().unwrap(), before);
    assert_eq!(world.snapshots().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backing_snapshot_tells_its_ami_what_needs_that_and_why_it_stays() {
    let (world, baked) = world("plan", POLICIES, 3).await;
    let (ami, root) = (baked[2].id.as_str(), baked[2].snapshots[0].as_str());
    let instance = launched_from(&world, ami);
    let (report, status) = explained(&world, &[root]);
    let item = item_of(&report, root);
    assert_eq!(item["outcome"], "held");
    assert_eq!(codes(item), ["used-by-image", "used-by-instance"]);
    assert_eq!(
        paths(item),
        [json!([root, ami]), json!([root, ami, instance])]
    );
    assert_eq!((item["policy"].as_str(), status), (Some("bake"), 3));
    // Of a kept AMI it tells the rule, with the path to the AMI.
    let kept = baked[0].snapshots[1].as_str();
    let (report, _) = explained(&world, &[kept]);
    let item = item_of(&report, kept);
    assert_eq!(codes(item), ["used-by-image", "retain.last"]);
    assert_eq!(item["reasons"][1]["path"], json!([kept, baked[0].id]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backing_snapshot_may_go_when_every_ami_over_it_may() {
    let renamed = POLICIES.replace("- name: bake", "- name: golden\n    formerly: [bake]");
    let (world, baked) = world("plan", &renamed, 3).await;
    let (ami, root) = (baked[2].id.as_str(), baked[2].snapshots[0].as_str());
    let (report, status) = explained(&world, &[root]);
    let item = item_of(&report, root);
    assert_eq!(
        (&item["outcome"], codes(item), status),
        (&json!("deletable"), vec!["expired"], 0)
    );
    assert_eq!(paths(item), [json!([root, ami])]);
    assert_eq!(item["policy"], "golden", "the policy that governs it");
    // An AMI over it that is not Holdfast's keeps it.
    let other = world.register_image("golden", &[root]);
    let (report, status) = explained(&world, &[root]);
    let item = item_of(&report, root);
    assert_eq!((&item["outcome"], status), (&json!("held"), 3));
    assert!(paths(item).contains(&json!([root, other])));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_snapshots_of_an_ami_in_the_making_tell_the_path_to_it() {
    let (world, baked) = world("plan", POLICIES, 1).await;
    let (ami, root) = (baked[0].id.as_str(), baked[0].snapshots[0].as_str());
    world.account(|account| {
        let image = account.image(&ImageId::new(ami)).unwrap().clone();
        account.seed_image(ImageSeed {
            id: Some(image.id),
            name: Some(image.name),
            state: Some(ImageState::Pending),
            created: Some(image.created),
            source_instance: image.source_instance,
            mappings: Vec::new(),
            tags: image.tags,
            ..ImageSeed::default()
        });
    });
    let (report, _) = explained(&world, &[root]);
    let item = item_of(&report, root);
    assert_eq!(
        (&item["outcome"], codes(item)),
        (&json!("held"), vec!["pending"])
    );
    assert_eq!(paths(item), [json!([root, ami])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volumes_snapshot_tells_the_way_through_an_ami_to_a_launch_template() {
    let (world, ids) = backups::world("plan", backups::POLICIES, 3).await;
    let image = world.register_image("golden", &[&ids[2]]);
    let template = template_over(&world, "web", &[&image, "ami-00000000000000bad", &image]);
    let (report, status) = explained(&world, &[&ids[2]]);
    let item = item_of(&report, &ids[2]);
    assert_eq!(codes(item), ["used-by-image", "used-by-launch-template"]);
    assert_eq!(paths(item)[1], json!([ids[2], image, template]));
    assert_eq!(status, 3);
    let text = String::from_utf8(explain(&world, &[&ids[2]]).stdout).unwrap();
    let line = format!("{} <- {image} <- {template} versions 1, 3", ids[2]);
    assert!(text.contains(&line), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holdfast_does_not_manage_is_held_with_what_needs_it() {
    let (world, ids) = backups::world("plan", backups::POLICIES, 1).await;
    let stranger = world.account(|account| account.seed_snapshot(Default::default()));
    let image = world.register_image("golden", &[stranger.as_str()]);
    let instance = launched_from(&world, &image);
    let (report, status) = explained(&world, &[stranger.as_str(), &image]);
    let item = item_of(&report, stranger.as_str());
    assert_eq!(
        codes(item),
        ["not-managed", "used-by-image", "used-by-instance"]
    );
    assert_eq!(paths(item)[1], json!([stranger, image, instance]));
    let item = item_of(&report, &image);
    assert_eq!(codes(item), ["not-managed", "used-by-instance"]);
    assert_eq!(
        (report["summary"].clone(), status),
        (json!({ "held": 2 }), 3)
    );
    assert_eq!(ids.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_not_found_with_what_the_table_knows_of_it() {
    let (world, baked) = world("enforce", POLICIES, 3).await;
    sweep(&world).await;
    let (ami, unknown) = (baked[2].id.as_str(), "snap-0000000000000dead");
    let (report, status) = explained(&world, &[ami, unknown]);
    for id in [ami, unknown] {
        let item = item_of(&report, id);
        assert_eq!(
            (&item["outcome"], codes(item)),
            (&json!("held"), vec!["not-found"])
        );
    }
    let detail = |id| {
        item_of(&report, id)["reasons"][0]["detail"]
            .as_str()
            .unwrap()
    };
    assert!(
        detail(ami).contains("Holdfast deleted it at "),
        "{}",
        detail(ami)
    );
    assert!(
        detail(unknown).contains("not on record"),
        "{}",
        detail(unknown)
    );
    assert_eq!(status, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_and_an_unread_list_are_said() {
    let (world, baked) = world("plan", POLICIES, 3).await;
    deregister_by_hand(&world, &baked[2].id);
    let root = baked[2].snapshots[0].as_str();
    let (report, _) = explained(&world, &[root]);
    assert_eq!(codes(item_of(&report, root)), ["orphaned", "grace"]);
    let denied = ApiError::new("UnauthorizedOperation", "You are not authorized");
    world.inject(FaultRule::next("DescribeInstances", Fault::FailPage(1, denied)).times(9));
    let (report, status) = explained(&world, &[&baked[0].id]);
    let item = item_of(&report, &baked[0].id);
    assert_eq!(
        codes(item),
        ["retain.last", "evidence-incomplete"],
        "a path may be missing"
    );
    assert_eq!((&report["run"]["complete"], status), (&json!(false), 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_consistency_of_a_backup_is_told() {
    let (world, ids) = backups::world("plan", backups::POLICIES, 1).await;
    let node = json!({
        "pk": { "S": format!("node#{}", ids[0]) }, "sk": { "S": "node" },
        "schema": { "N": "1" }, "id": { "S": ids[0] }, "kind": { "S": "snapshot" },
        "state": { "S": "completed" }, "changed": { "S": NOW }, "fence": { "N": "0" },
        "consistency": { "S": "stopped" },
    });
    world.local.dynamodb.put_item(node).unwrap();
    let (report, _) = explained(&world, &[&ids[0]]);
    let detail = item_of(&report, &ids[0])["reasons"][0]["detail"]
        .as_str()
        .unwrap();
    assert!(detail.ends_with("; its consistency is stopped"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_a_newer_version_is_named_and_hides_no_other() {
    let (world, ids) = backups::world("enforce", backups::POLICIES, 4).await;
    backups::sweep(&world).await;
    // Two stand, and two were deleted; of each pair one record is a newer version's.
    for (id, schema) in [(&ids[0], "2"), (&ids[1], "1")] {
        let node = json!({
            "pk": { "S": format!("node#{id}") }, "sk": { "S": "node" },
            "schema": { "N": schema }, "id": { "S": id }, "kind": { "S": "snapshot" },
            "state": { "S": "completed" }, "changed": { "S": NOW }, "fence": { "N": "0" },
            "consistency": { "S": "stopped" },
        });
        world.local.dynamodb.put_item(node).unwrap();
    }
    let pk = format!("delete#{}", ids[3]);
    world.change(&pk, "deletion", |item| item["schema"] = json!({ "N": "2" }));
    let before = world.local.dynamodb.items().unwrap();
    let (report, status) = explained(&world, &[&ids[0], &ids[1], &ids[2], &ids[3]]);
    let told = |n: usize| {
        let item = item_of(&report, &ids[n]);
        assert_eq!(item["outcome"], "held", "{item}");
        let detail = item["reasons"][0]["detail"].as_str().unwrap();
        (codes(item), detail)
    };
    let (held, detail) = told(1);
    assert_eq!(held, ["retain.last"]);
    assert!(detail.ends_with("; its consistency is stopped"), "{detail}");
    let (held, detail) = told(0);
    assert_eq!(held, ["retain.last"]);
    assert!(!detail.contains("consistency"), "{detail}");
    let (held, detail) = told(2);
    assert_eq!(held, ["not-found"]);
    assert!(detail.contains("Holdfast deleted it at "), "{detail}");
    let (held, detail) = told(3);
    assert_eq!(held, ["not-found"]);
    for part in [pk.as_str(), "schema version is 2"] {
        assert!(detail.contains(part), "{part} in {detail}");
    }
    assert_eq!(status, 3);
    assert_eq!(world.local.dynamodb.items().unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_snapshots_and_amis_can_be_explained() {
    let (world, _) = backups::world("plan", backups::POLICIES, 1).await;
    for wrong in [&["vol-0a1"][..], &["i-0a1"], &["lt-0a1"], &[]] {
        let output = explain(&world, wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(output.stdout.is_empty());
    }
}
