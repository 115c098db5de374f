//! `holdfast evidence`: the proof of a deletion, after the resource is gone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Output;

use holdfast_end_to_end::backups::{self, VOLUME, day};
use holdfast_end_to_end::images::{MACHINE, POLICIES, stands, sweep, sweep_at, world};
use holdfast_end_to_end::{World, codes, item_of, seed_backup};
use holdfast_sim::request::{Request, RestoreSnapshotFromRecycleBin};
use holdfast_sim::{Retained, RetentionRule};
use serde_json::{Value, json};

fn evidence(world: &World, arguments: &[&str]) -> (String, Output) {
    let mut all = vec!["evidence"];
    all.extend(arguments);
    let output = world.holdfast(&all);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    (text, output)
}

fn shown(world: &World, ids: &[&str]) -> (Value, i32) {
    let mut all = ids.to_vec();
    all.push("--json");
    let (text, output) = evidence(world, &all);
    let words = String::from_utf8_lossy(&output.stderr);
    let report = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}\n{words}"));
    (report, output.status.code().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_ami_and_its_snapshots_tell_why_they_went_and_what_was_read() {
    let (world, baked) = world("enforce", POLICIES, 3).await;
    let swept = sweep(&world).await;
    let (ami, root) = (baked[2].id.as_str(), baked[2].snapshots[0].as_str());
    assert_eq!(item_of(&swept, ami)["outcome"], "deleted", "{swept:#}");
    assert!(!stands(&world, root));
    let _ = world.calls();

    let (report, status) = shown(&world, &[ami, root, ami]);
    assert_eq!(
        (status, &report["summary"]),
        (0, &json!({ "deleted": 2 })),
        "{report:#}"
    );
    assert_eq!(
        (&report["schema"], &report["run"]["function"]),
        (&json!(1), &json!("evidence"))
    );
    let item = item_of(&report, ami);
    assert_eq!(
        (&item["action"], &item["outcome"]),
        (&json!("delete"), &json!("deleted"))
    );
    assert_eq!(
        (&item["policy"], &item["source"]),
        (&json!("bake"), &json!(MACHINE))
    );
    assert_eq!(codes(item), ["expired"]);
    assert_eq!(item["deletion"]["state"], "deleted");
    assert_eq!(item["deletion"]["run"], swept["run"]["id"]);
    let proof = &item["evidence"];
    assert_eq!(proof["snapshots"], json!(baked[2].snapshots));
    assert_eq!(proof["tags"]["holdfast:policy"], "bake");
    assert_eq!(proof["policy_sha256"], swept["run"]["policy_sha256"]);
    let lists = proof["lists"].as_array().unwrap();
    let instances = lists
        .iter()
        .find(|one| one["source"] == "instances")
        .unwrap();
    assert_eq!(
        (&instances["complete"], &instances["count"]),
        (&json!(true), &json!(1))
    );
    assert!(instances["read_at"].is_string());
    assert_eq!(item_of(&report, root)["deletion"]["image"], ami);
    assert_eq!(world.calls(), Vec::<String>::new(), "EC2 is not asked");

    let (text, output) = evidence(&world, &[ami]);
    assert_eq!(output.status.code(), Some(0));
    for words in [
        format!("{ami}: deleted"),
        "expired: no rule of bake keeps it".into(),
        "holdfast:policy=bake".into(),
        "lists:".into(),
        "instances".into(),
    ] {
        assert!(text.contains(&words), "{words:?} in\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_on_record_says_so_and_needs_attention_and_the_rest_is_shown() {
    let (world, baked) = world("enforce", POLICIES, 3).await;
    sweep(&world).await;
    let unknown = "snap-0000000000000dead";
    let (report, status) = shown(&world, &[&baked[2].id, unknown, &baked[0].id]);
    assert_eq!(status, 3);
    assert_eq!(report["summary"], json!({ "deleted": 1, "failed": 2 }));
    for id in [unknown, &baked[0].id] {
        let item = item_of(&report, id);
        assert_eq!(codes(item), ["not-found"]);
        assert!(item["evidence"].is_null() && item["deletion"].is_null());
    }
    let (text, output) = evidence(&world, &[unknown]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text.contains("not on record") && text.contains("no deletion of it is on record"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_read_hides_no_other() {
    let (world, baked) = world("enforce", POLICIES, 3).await;
    sweep(&world).await;
    let (ami, root) = (baked[2].id.as_str(), baked[2].snapshots[0].as_str());
    let newer = |item: &mut Value| item["schema"] = json!({ "N": "99" });
    world.change(&format!("delete#{root}"), "deletion", newer);
    let (report, status) = shown(&world, &[ami, root]);
    assert_eq!(item_of(&report, ami)["deletion"]["state"], "deleted");
    let unread = item_of(&report, root);
    assert_eq!(unread["outcome"], "failed", "{report:#}");
    assert_eq!(codes(unread), ["table-failed"]);
    assert_eq!(status, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_whose_end_nobody_heard_needs_attention_and_a_refused_one_does_not() {
    let (world, baked) = world("enforce", POLICIES, 3).await;
    sweep(&world).await;
    let key = format!("delete#{}", baked[2].id);
    for (state, outcome, code, expected) in [
        ("intended", "deferred", "outcome-unknown", 3),
        ("refused", "held", "refused", 0),
    ] {
        world.change(&key, "deletion", |item| {
            item["state"] = json!({ "S": state })
        });
        let (report, status) = shown(&world, &[&baked[2].id]);
        let item = item_of(&report, &baked[2].id);
        assert_eq!(item["outcome"], outcome);
        assert_eq!(codes(item), ["expired", code]);
        assert_eq!(status, expected, "{state}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_out_of_the_recycle_bin_and_went_again_shows_both_proofs() {
    let world = World::with(
        backups::POLICIES,
        "enforce",
        |settings| {
            settings.recycle_bin = vec![RetentionRule::for_region(Retained::Snapshots, 7)];
        },
        |account| {
            backups::volume(account, &[("Backup", "nightly")]);
            for n in 0..3 {
                seed_backup(account, "nightly", VOLUME, &day(n), &[]);
            }
        },
    )
    .await;
    let id = backups::newest_first(&world)[2].clone();
    let first = backups::sweep(&world).await;
    assert_eq!(item_of(&first, &id)["outcome"], "deleted", "{first:#}");
    let restore = RestoreSnapshotFromRecycleBin { id: id.clone() };
    let request = Request::RestoreSnapshotFromRecycleBin(restore);
    world.account(|account| account.call(&request)).unwrap();
    let _ = world.calls();
    let second = sweep_at(&world, "2026-03-02T11:00:00Z").await;
    assert_eq!(item_of(&second, &id)["outcome"], "deleted", "{second:#}");

    let (report, status) = shown(&world, &[&id]);
    assert_eq!((status, &report["summary"]), (0, &json!({ "deleted": 1 })));
    let item = item_of(&report, &id);
    let earlier = item["earlier"].as_array().unwrap();
    assert_eq!(earlier.len(), 1, "{item:#}");
    for (proof, swept) in [(item, &second), (&earlier[0], &first)] {
        assert_eq!(proof["outcome"], "deleted");
        assert_eq!(proof["deletion"]["run"], swept["run"]["id"]);
        assert_eq!(proof["evidence"]["run"]["id"], swept["run"]["id"]);
        assert_eq!(codes(proof), ["expired"]);
    }
    let (text, _) = evidence(&world, &[&id]);
    let heads = text.lines().filter(|line| line.starts_with(&id));
    let expected = [
        format!("{id}: deleted"),
        format!("{id}: deleted, before it came back"),
    ];
    assert_eq!(heads.collect::<Vec<_>>(), expected);
    let runs = world.holdfast(&["runs", "--since", "2d", "--json"]);
    let runs: Value = serde_json::from_slice(&runs.stdout).unwrap();
    for swept in [&first, &second] {
        let run = item_of(&runs, swept["run"]["id"].as_str().unwrap());
        assert_eq!(run["of_run"]["counts"]["deleted"], 1, "{runs:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_snapshots_and_amis_have_deletions() {
    let (world, _) = world("plan", POLICIES, 1).await;
    for wrong in [&["vol-0a1"][..], &["i-0a1"], &[]] {
        let (text, output) = evidence(&world, wrong);
        assert_eq!(
            (output.status.code(), text.as_str()),
            (Some(2), ""),
            "{wrong:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_ec2_refused_shows_its_code_and_words() {
    use holdfast_sim::{ApiError, Fault, FaultRule};
    let (world, ids) = backups::world("enforce", backups::POLICIES, 3).await;
    let refused = ApiError::new("OperationNotPermitted", "The snapshot is held by the law");
    world.inject(FaultRule::next("DeleteSnapshot", Fault::Error(refused)));
    backups::sweep(&world).await;
    let (report, _) = shown(&world, &[&ids[2]]);
    let item = item_of(&report, &ids[2]);
    assert_eq!(
        (&item["outcome"], codes(item)),
        (&json!("held"), vec!["expired", "refused"])
    );
    let words = item["deletion"]["refused"].as_str().unwrap();
    let told = item["reasons"][1]["detail"].as_str().unwrap();
    for part in ["OperationNotPermitted", "The snapshot is held by the law"] {
        assert!(
            words.contains(part) && told.contains(part),
            "{words}; {told}"
        );
    }
    let (text, _) = evidence(&world, &[&ids[2]]);
    assert!(
        text.contains("OperationNotPermitted: The snapshot is held by the law"),
        "{text}"
    );
}
