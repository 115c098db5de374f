//! `holdfast explain` tells all that stands in the way at once, and `holdfast plan` what somebody
//! else has damaged: nothing turns up only when the first obstacle is gone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_end_to_end::images::{POLICIES, deregister_by_hand, launched_from, sweep, world};
use holdfast_end_to_end::{World, backups, codes, item_of, tags};
use holdfast_sim::request::{
    CreateTags, DeleteVolume, EnableImageDeregistrationProtection, Request,
};
use holdfast_sim::{Account, ApiError, Fault, FaultRule};
use serde_json::{Value, json};

const NOW: &str = "2026-03-02T10:00:00Z";

/// The report of `--json`, and the exit status.
fn asked(world: &World, command: &[&str]) -> (Value, i32) {
    let mut arguments = command.to_vec();
    arguments.extend(["--now", NOW, "--json"]);
    let output = world.holdfast(&arguments);
    let text = String::from_utf8_lossy(&output.stdout);
    let report = serde_json::from_str(&text)
        .unwrap_or_else(|e| panic!("{e}: {text}\n{}", String::from_utf8_lossy(&output.stderr)));
    (report, output.status.code().unwrap())
}

fn explained(world: &World, ids: &[&str]) -> Value {
    let mut arguments = vec!["explain"];
    arguments.extend(ids);
    asked(world, &arguments).0
}

fn pin(world: &World, id: &str) {
    let request = Request::CreateTags(CreateTags {
        resources: vec![id.to_owned()],
        tags: tags(&[("holdfast:pin", "legal")]).into_iter().collect(),
    });
    world.account(|account| account.call(&request)).unwrap();
}

fn remedies(item: &Value) -> Vec<&str> {
    let all = item["remedies"].as_array().unwrap().iter();
    all.map(|one| one.as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rule_keeps_tells_its_pin_its_protection_and_its_referrers_too() {
    let (world, baked) = world("plan", POLICIES, 2).await;
    let ami = baked[0].id.as_str();
    pin(&world, ami);
    let protect =
        Request::EnableImageDeregistrationProtection(EnableImageDeregistrationProtection {
            id: ami.to_owned(),
            with_cooldown: false,
        });
    world.account(|account| account.call(&protect)).unwrap();
    let instance = launched_from(&world, ami);
    let report = explained(&world, &[ami]);
    let item = item_of(&report, ami);
    assert_eq!(
        codes(item),
        [
            "retain.last",
            "pinned",
            "used-by-instance",
            "deregistration-protected"
        ]
    );
    let told = remedies(item);
    assert!(told.contains(&format!("remove the tag holdfast:pin from {ami}").as_str()));
    assert!(
        told.iter()
            .any(|words| words.starts_with(&format!("terminate {instance}")))
    );
    assert!(
        told.iter()
            .any(|words| words.contains("disable deregistration protection"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_backing_snapshot_is_named_as_what_carries_the_pin() {
    let (world, baked) = world("plan", POLICIES, 3).await;
    // Of an AMI that a rule keeps, and of one that nothing else would hold.
    for one in [&baked[0], &baked[2]] {
        let (ami, root) = (one.id.as_str(), one.snapshots[0].as_str());
        pin(&world, root);
        let report = explained(&world, &[ami, root]);
        let remove = format!("remove the tag holdfast:pin from {root}");
        for id in [ami, root] {
            let item = item_of(&report, id);
            assert_eq!(item["outcome"], "held");
            assert!(codes(item).contains(&"pinned"), "{item:#}");
            assert!(remedies(item).contains(&remove.as_str()), "{item:#}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_pin_of_a_source_that_is_gone_is_told_of_what_a_rule_keeps() {
    let (world, ids) = backups::world("enforce", backups::POLICIES, 2).await;
    pin(&world, backups::VOLUME);
    backups::sweep(&world).await;
    let request = Request::DeleteVolume(DeleteVolume {
        volume: backups::VOLUME.to_owned(),
    });
    world.account(|account| account.call(&request)).unwrap();
    let report = explained(&world, &[&ids[0]]);
    let item = item_of(&report, &ids[0]);
    assert_eq!(codes(item), ["retain.last", "pinned"]);
    assert_eq!(item["reasons"][1]["path"], json!([ids[0], backups::VOLUME]));
    // The volume is gone, and no tag can be taken off it.
    let told = remedies(item);
    let unpin = format!("`holdfast unpin {}`", backups::VOLUME);
    assert!(told[1].contains(&unpin), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identifier_given_twice_is_explained_once() {
    let (world, baked) = world("plan", POLICIES, 1).await;
    let ami = baked[0].id.as_str();
    let report = explained(&world, &[ami, ami]);
    assert_eq!(report["summary"], json!({ "held": 1 }));
    assert_eq!(report["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_before_a_reconcile_saw_it_still_names_its_policy_and_its_time() {
    let (world, ids) = backups::world("enforce", backups::POLICIES, 3).await;
    let swept = backups::sweep(&world).await;
    assert_eq!(item_of(&swept, &ids[2])["outcome"], "deleted");
    let report = explained(&world, &[&ids[2]]);
    let item = item_of(&report, &ids[2]);
    assert_eq!(codes(item), ["not-found"]);
    assert_eq!(
        (&item["policy"], &item["time"]),
        (&json!("nightly"), &json!(backups::day(2)))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_in_which_somebody_else_deregistered_an_ami_needs_attention() {
    let (world, baked) = world("enforce", POLICIES, 3).await;
    assert_eq!(asked(&world, &["plan"]).1, 0);
    deregister_by_hand(&world, &baked[0].id);
    let (plan, status) = asked(&world, &["plan"]);
    let left = item_of(&plan, &baked[0].snapshots[0]);
    assert!(codes(left).contains(&"orphaned"), "{left:#}");
    assert_eq!(status, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_holdfast_has_yet_to_finish_is_no_drift() {
    let (world, baked) = world("enforce", POLICIES, 3).await;
    let root = baked[2].snapshots[0].as_str();
    // EC2 deregisters, keeps one snapshot, and the answer is lost for good.
    let kept = ApiError::new("InternalError", "An internal error has occurred");
    world.inject(FaultRule::next("DeleteSnapshot", Fault::Error(kept)).on(root));
    world.inject(FaultRule::next("DeregisterImage", Fault::AppliedButResponseLost).times(9));
    sweep(&world).await;
    world.account(Account::clear_faults);
    let (plan, status) = asked(&world, &["plan"]);
    assert_eq!(codes(item_of(&plan, root))[0], "orphaned", "{plan:#}");
    assert_eq!(status, 0);
}
