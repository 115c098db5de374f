//! sweep-retention and evidence that is missing: each source holds what it could protect, by name,
//! and the rest goes on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_end_to_end::images::{self, stands, template_over};
use holdfast_end_to_end::{World, backups, codes, item_of, items, report, resources};
use holdfast_sim::request::LaunchTemplateReference;
use holdfast_sim::{ApiError, AutoScalingGroupSeed, Fault, FaultRule, GroupLaunch};
use serde_json::{Value, json};

const LATER: &str = "2026-03-02T11:00:00Z";

fn denied() -> ApiError {
    ApiError::new("UnauthorizedOperation", "You are not authorized")
}

/// What each call reads, whether that could protect a snapshot of a volume, and an AMI.
const CALLS: [(&str, &str, bool, bool); 20] = [
    ("DescribeSnapshots", "snapshots", true, true),
    ("DescribeImages", "images", true, true),
    ("DescribeInstances", "instances", false, true),
    ("DescribeVolumes", "volumes", true, true),
    ("DescribeLaunchTemplates", "launch_templates", true, true),
    (
        "DescribeLaunchTemplateVersions",
        "launch_templates",
        true,
        true,
    ),
    (
        "DescribeLaunchConfigurations",
        "launch_configurations",
        true,
        true,
    ),
    ("DescribeAutoScalingGroups", "auto_scaling", false, true),
    ("DescribeInstanceRefreshes", "auto_scaling", false, true),
    ("DescribeFleets", "fleets", true, true),
    ("DescribeSpotFleetRequests", "fleets", true, true),
    ("DescribeSpotInstanceRequests", "fleets", true, true),
    ("DescribeFastSnapshotRestores", "fast_restore", true, true),
    ("ListImagesInRecycleBin", "recycle_bin", true, true),
    ("ListSnapshotsInRecycleBin", "recycle_bin", true, true),
    ("DescribeLockedSnapshots", "locks", false, true),
    ("DescribeSnapshotAttribute", "shares", true, true),
    ("DescribeImageAttribute", "shares", false, true),
    ("DescribeImageReferences", "image_references", false, true),
    ("DescribeImageReferences", "image_recipes", false, true),
];

/// A template and a group that launch nothing of Holdfast's, so that there are versions and
/// instance refreshes to ask for.
fn launchers(world: &World) {
    let template = template_over(world, "base", &["ami-00000000000000fff"]);
    let launch = GroupLaunch::Template(LaunchTemplateReference {
        id: Some(template),
        ..LaunchTemplateReference::default()
    });
    let group = AutoScalingGroupSeed::new("web", launch);
    world.account(|account| account.seed_auto_scaling_group(group));
}

/// Refuses a call for good: at once, or, of a list, from the second page on.
fn refuse(world: &World, operation: &str, later_page: bool) {
    let rule = |fault| FaultRule::next(operation, fault).times(99);
    if later_page {
        world.inject(rule(Fault::FailPage(2, denied())));
        world.inject(rule(Fault::EmptyPage));
    } else {
        world.inject(rule(Fault::Error(denied())));
    }
}

/// Whether a call is one of a list, which has pages.
fn is_list(operation: &str) -> bool {
    !operation.ends_with("Attribute")
}

/// The report's entry of a source.
fn evidence<'r>(report: &'r Value, source: &str) -> &'r Value {
    let entries = report["run"]["evidence"].as_array().unwrap();
    let found = entries.iter().find(|entry| entry["source"] == source);
    found.unwrap_or_else(|| panic!("no evidence of {source} in {report:#}"))
}

fn names(item: &Value, source: &str) -> bool {
    let reasons = item["reasons"].as_array().unwrap().iter();
    let mut details = reasons.filter_map(|reason| reason["detail"].as_str());
    details.any(|detail| detail.starts_with(&format!("{source}: ")))
}

/// What came of a sweep in which a call is refused for good.
fn assert_held(report: &Value, resource: &str, operation: &str, source: &str, protects: bool) {
    // Without the list of snapshots there is nothing to have a verdict on, and an AMI whose own
    // list failed has none either.
    let listed = report["items"].as_array().unwrap().iter();
    let mut listed = listed.filter(|item| item["resource"] == resource);
    if protects {
        if let Some(item) = listed.next() {
            assert_eq!(item["outcome"], "held", "{operation} {report:#}");
            let codes = codes(item);
            assert!(
                codes.iter().all(|c| *c == "evidence-incomplete"),
                "{operation} {item:#}"
            );
            // An AMI whose snapshots were not read names them rather than the list.
            let named = names(item, source) || operation == "DescribeSnapshots";
            assert!(named, "{operation} {item:#}");
        }
        assert_eq!(items(report, "deleted").len(), 0, "{operation}");
        let failed = resources(&items(report, "failed"));
        assert!(
            failed.contains(&source.to_owned()),
            "{operation}: {failed:?}"
        );
        assert_eq!(evidence(report, source)["complete"], false);
        assert_eq!(report["run"]["complete"], false);
    } else {
        let item = listed.next().expect("it was listed");
        assert_eq!(item["outcome"], "deleted", "{operation} {report:#}");
    }
}

#[tokio::test]
async fn a_refused_source_holds_the_snapshots_that_it_could_protect_and_no_others() {
    for (operation, source, protects, _) in CALLS {
        let (world, ids) = backups::world("enforce", backups::POLICIES, 3).await;
        launchers(&world);
        refuse(&world, operation, false);
        let swept = backups::sweep(&world).await;
        assert_held(&swept, &ids[2], operation, source, protects);
        assert_eq!(stands(&world, &ids[2]), protects, "{operation}");
    }
}

#[tokio::test]
async fn a_refused_source_holds_the_amis_that_it_could_protect_and_no_others() {
    for (operation, source, _, protects) in CALLS {
        let (world, baked) = images::world("enforce", images::POLICIES, 3).await;
        launchers(&world);
        refuse(&world, operation, false);
        let swept = images::sweep(&world).await;
        assert_held(&swept, &baked[2].id, operation, source, protects);
        let registered = images::registered(&world).contains(&baked[2].id);
        assert_eq!(registered, protects, "{operation}");
    }
}

#[tokio::test]
async fn a_list_that_breaks_off_in_the_middle_holds_the_snapshots_that_it_could_protect() {
    for (operation, source, protects, _) in CALLS.into_iter().filter(|c| is_list(c.0)) {
        let (world, ids) = backups::world("enforce", backups::POLICIES, 3).await;
        launchers(&world);
        refuse(&world, operation, true);
        let swept = backups::sweep(&world).await;
        assert_held(&swept, &ids[2], operation, source, protects);
        assert_eq!(stands(&world, &ids[2]), protects, "{operation}");
    }
}

#[tokio::test]
async fn a_list_that_breaks_off_in_the_middle_holds_the_amis_that_it_could_protect() {
    for (operation, source, _, protects) in CALLS.into_iter().filter(|c| is_list(c.0)) {
        let (world, baked) = images::world("enforce", images::POLICIES, 3).await;
        launchers(&world);
        refuse(&world, operation, true);
        let swept = images::sweep(&world).await;
        assert_held(&swept, &baked[2].id, operation, source, protects);
        let registered = images::registered(&world).contains(&baked[2].id);
        assert_eq!(registered, protects, "{operation}");
    }
}

#[tokio::test]
async fn a_source_throttled_out_at_the_last_look_holds_and_a_later_sweep_goes_on() {
    for operation in ["DescribeImageReferences", "DescribeImageAttribute"] {
        let (world, baked) = images::world("enforce", images::POLICIES, 3).await;
        // Three attempts of the SDK's for each of two questions.
        let throttled = Fault::Error(ApiError::throttled());
        world.inject(FaultRule::next(operation, throttled).times(99));
        let held = images::sweep(&world).await;
        let item = item_of(&held, &baked[2].id);
        assert_eq!(item["outcome"], "held", "{operation} {held:#}");
        assert_eq!(codes(item)[0], "evidence-incomplete");
        assert_eq!(held["run"]["complete"], false);
        world.account(holdfast_sim::Account::clear_faults);
        let free = images::sweep_at(&world, LATER).await;
        assert_eq!(item_of(&free, &baked[2].id)["outcome"], "deleted");
    }
}

#[tokio::test]
async fn shares_that_cannot_be_read_of_one_snapshot_hold_that_one_alone() {
    let (world, ids) = backups::world("enforce", backups::POLICIES, 5).await;
    let rule = FaultRule::next("DescribeSnapshotAttribute", Fault::Error(denied()));
    world.inject(rule.on(&ids[3]).times(9));
    let swept = backups::sweep(&world).await;
    assert_eq!(codes(item_of(&swept, &ids[3])), ["evidence-incomplete"]);
    assert_eq!(
        swept["summary"],
        json!({ "deleted": 2, "failed": 1, "held": 1, "kept": 2 }),
        "{swept:#}"
    );
    assert_eq!(codes(item_of(&swept, "shares")), ["evidence-incomplete"]);
    assert!(stands(&world, &ids[3]));
}

#[tokio::test]
async fn a_source_that_a_policy_declares_not_in_use_holds_nothing_of_that_policy_and_is_told() {
    let declared = images::POLICIES.replace(
        "retain:",
        "evidence: { image_references: not-used, fleets: not-used }\n    retain:",
    );
    let (world, baked) = images::world("enforce", &declared, 3).await;
    // A second policy does without fleets alone, so that they are read for its sake.
    let both = declared.clone()
        + "  - name: other
    protect: volumes
    select: { volumes: { tags: { A: b } } }
    schedule: rate(1 hour)
    retain: { last: 1 }
    evidence: { image_references: not-used }
";
    world.set_policies(&both);
    for operation in ["DescribeFleets", "DescribeImageReferences"] {
        let rule = FaultRule::next(operation, Fault::Error(denied()));
        world.inject(rule.times(99));
    }
    let swept = images::sweep(&world).await;
    // Recipes are asked for by the same call.
    let held = item_of(&swept, &baked[2].id);
    assert_eq!(codes(held), ["evidence-incomplete"], "{swept:#}");
    assert!(names(held, "image_recipes"), "{held:#}");
    assert_eq!(evidence(&swept, "fleets")["not_used_by"], json!(["bake"]));
    assert_eq!(
        *evidence(&swept, "image_references"),
        json!({ "source": "image_references", "complete": false,
                "not_used_by": ["bake", "other"] })
    );
    world.set_policies(&both.replace("fleets:", "image_recipes: not-used, fleets:"));
    let free = images::sweep_at(&world, LATER).await;
    assert_eq!(
        item_of(&free, &baked[2].id)["outcome"],
        "deleted",
        "{free:#}"
    );
    let record = world.item(&format!("delete#{}", baked[2].id), "deletion");
    let proof = record.unwrap()["evidence"]["S"]
        .as_str()
        .unwrap()
        .to_owned();
    let proof: Value = serde_json::from_str(&proof).unwrap();
    assert_eq!(proof["not_used"]["by"], "bake");
    assert_eq!(
        proof["not_used"]["sources"],
        json!(["fleets", "image_references", "image_recipes"])
    );
}

#[tokio::test]
async fn a_plan_says_what_is_not_yet_checked_and_how_each_list_was_read() {
    let (world, baked) = images::world("plan", images::POLICIES, 3).await;
    let plan = images::sweep(&world).await;
    let item = item_of(&plan, &baked[2].id);
    assert_eq!(codes(item), ["expired", "not-yet-checked"], "{plan:#}");
    let images = evidence(&plan, "images");
    assert_eq!((&images["count"], &images["pages"]), (&json!(3), &json!(1)));
    assert_eq!(images["complete"], true);
    let calls = world.calls();
    for late in ["DescribeImageReferences", "DescribeImageAttribute"] {
        assert!(
            !calls.contains(&late.to_owned()),
            "a plan asks nobody: {late}"
        );
    }
}

/// While deleting: at most two reads for each AMI and snapshot that goes.
#[tokio::test]
async fn the_last_look_costs_at_most_two_reads_an_artifact() {
    let (world, baked) = images::world("enforce", images::POLICIES, 22).await;
    let _ = world.calls();
    let function = world.function("sweep-retention");
    let swept = report(&function, &world.heartbeat(backups::NOW)).await;
    assert_eq!(swept["summary"]["deleted"], 20, "{}", swept["summary"]);
    let calls = world.calls();
    let count = |name: &str| calls.iter().filter(|call| *call == name).count();
    let gone = baked.len() - 2;
    assert_eq!(count("DeregisterImage"), gone);
    assert_eq!(count("DescribeImageAttribute"), gone);
    assert_eq!(count("DescribeSnapshotAttribute"), 2 * gone);
    // Two batches of ten, each asked about launches and about recipes.
    assert_eq!(count("DescribeImageReferences"), 4);
    let reads = |call: &&String| call.starts_with("Describe") || call.starts_with("List");
    let reads = calls.iter().filter(reads).count();
    // The lists of the plan, fourteen calls here, come on top.
    assert!(
        reads <= 2 * 3 * gone + 20,
        "{reads} reads for {} artifacts",
        3 * gone
    );
}
