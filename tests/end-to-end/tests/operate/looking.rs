//! `ls` and `runs`.

use holdfast_core::id::VolumeId;
use holdfast_core::inventory::SnapshotState;
use holdfast_end_to_end::backups::{self, NOW, VOLUME};
use holdfast_end_to_end::images::{self, MACHINE};
use holdfast_end_to_end::{codes, item_of, items, report, resources};
use holdfast_sim::request::{DeregisterImage, Request};
use holdfast_sim::{Fault, FaultRule, SnapshotSeed, VolumeSeed};
use serde_json::{Value, json};

use super::holdfast;

fn listed(report: &Value) -> Vec<String> {
    resources(
        &report["items"]
            .as_array()
            .unwrap()
            .iter()
            .collect::<Vec<_>>(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_are_listed_newest_first_and_a_foreign_snapshot_is_none() {
    let (world, ids) = backups::world("plan", backups::POLICIES, 3).await;
    world.account(|account| {
        account.seed_snapshot(SnapshotSeed {
            volume: Some(VolumeId::new(VOLUME)),
            ..SnapshotSeed::default()
        });
    });
    let ran = holdfast(&world, &["ls", "--json"]);
    let report = ran.json();
    assert_eq!(
        (ran.status, listed(&report)),
        (0, ids.clone()),
        "{report:#}"
    );
    let item = item_of(&report, &ids[0]);
    assert_eq!(
        (&item["policy"], &item["source"], &item["time"]),
        (&json!("nightly"), &json!(VOLUME), &json!(backups::day(0)))
    );
    assert_eq!(item["backup"]["state"], "completed");

    let oldest = holdfast(&world, &["ls", "--sort", "age", "--json"]).json();
    assert_eq!(
        listed(&oldest),
        [&ids[2], &ids[1], &ids[0]].map(Clone::clone)
    );
    let since = holdfast(&world, &["ls", "--since", &backups::day(1), "--json"]).json();
    assert_eq!(listed(&since), ids[..2]);
    let other = holdfast(&world, &["ls", "--source", "vol-0b", "--json"]).json();
    assert_eq!(listed(&other), Vec::<String>::new());

    let people = holdfast(&world, &["ls"]);
    assert!(people.out.contains("3 backups"), "{}", people.out);
    assert!(people.out.lines().nth(1).unwrap().starts_with(&ids[0]));
    let slip = holdfast(&world, &["ls", "--policy", "nigthly"]);
    assert_eq!(slip.status, 2);
    assert!(slip.err.contains("did you mean nightly?"), "{}", slip.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ami_is_one_backup_as_large_as_the_snapshots_behind_it_and_a_failed_one_is_told() {
    let (world, baked) = images::world("plan", images::POLICIES, 1).await;
    let failed = world.account(|account| {
        account
            .seed_snapshot(SnapshotSeed {
                volume: Some(VolumeId::new("vol-0000000000000000c")),
                state: Some(SnapshotState::Error),
                tags: holdfast_end_to_end::tags(&[
                    ("holdfast:managed", "true"),
                    ("holdfast:artifact", "snapshot"),
                    ("holdfast:policy", "nightly"),
                ]),
                ..SnapshotSeed::default()
            })
            .to_string()
    });
    let ran = holdfast(&world, &["ls", "--json"]);
    let report = ran.json();
    assert_eq!(ran.status, 3, "{report:#}");
    assert_eq!(listed(&report).len(), 2, "{report:#}");
    let image = item_of(&report, &baked[0].id);
    assert_eq!(image["source"], MACHINE);
    assert_eq!(image["backup"]["snapshots"], json!(baked[0].snapshots));
    let sizes: i64 = world
        .snapshots()
        .iter()
        .filter(|s| baked[0].snapshots.contains(&s.id.to_string()))
        .map(|s| i64::from(s.size_gib))
        .sum();
    assert_eq!(image["backup"]["size_gib"], json!(sizes));
    assert_eq!(codes(item_of(&report, &failed)), ["failed-backup"]);
    let only = holdfast(&world, &["ls", "--state", "error", "--json"]).json();
    assert_eq!(listed(&only), [failed]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_whose_ami_is_gone_is_listed_and_counts_as_no_backup() {
    let (world, baked) = images::world("plan", images::POLICIES, 2).await;
    world.account(|account| {
        let id = baked[0].id.clone();
        let gone = DeregisterImage {
            id,
            delete_associated_snapshots: false,
        };
        account.call(&Request::DeregisterImage(gone)).unwrap();
    });
    let ran = holdfast(&world, &["ls"]);
    assert_eq!(ran.status, 0, "{}", ran.out);
    assert!(ran.out.contains("\n1 backup, of"), "{}", ran.out);
    let orphans = baked[0].snapshots.len();
    let words = format!("{orphans} snapshots of AMIs that are gone are none");
    assert!(ran.out.contains(&words), "{}", ran.out);
    let report = holdfast(&world, &["ls", "--json"]).json();
    for id in &baked[0].snapshots {
        assert_eq!(codes(item_of(&report, id)), ["orphaned"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_name_that_no_backup_has_is_told_from_nothing_of_it_lately() {
    let (world, _) = backups::world("plan", backups::POLICIES, 1).await;
    for (what, name) in [("policy", "of-next-year"), ("source", "vol-0b")] {
        let ran = holdfast(&world, &["ls", &format!("--{what}"), name]);
        assert_eq!((ran.status, ran.out.as_str()), (0, "no backups\n"));
        let words = format!("is of a {what} {name:?}");
        assert!(ran.err.contains(&words), "{}", ran.err);
    }
    let lately = holdfast(
        &world,
        &[
            "ls",
            "--policy",
            "nightly",
            "--since",
            "2100-01-01T00:00:00Z",
        ],
    );
    assert_eq!(lately.err, "");
    let runs = holdfast(&world, &["runs", "--policy", "of-next-year"]);
    assert!(
        runs.err.contains("is on record of a policy"),
        "{}",
        runs.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_tell_what_each_made_failed_at_and_deleted() {
    let (world, ids) = backups::world("enforce", backups::POLICIES, 3).await;
    let swept = backups::sweep(&world).await;
    let create = world.function("create-snapshots");
    let made = report(&create, &world.heartbeat("2026-03-02T10:05:00Z")).await;
    let (swept, made) = (&swept["run"]["id"], &made["run"]["id"]);

    let ran = holdfast(&world, &["runs", "--json"]);
    let list = ran.json();
    assert_eq!(ran.status, 0, "{list:#}");
    let sweep = item_of(&list, swept.as_str().unwrap());
    assert_eq!(
        (
            &sweep["action"],
            &sweep["outcome"],
            &sweep["of_run"]["counts"]
        ),
        (
            &json!("delete"),
            &json!("deleted"),
            &json!({ "deleted": 1 })
        )
    );
    assert_eq!(sweep["of_run"]["function"], "sweep-retention");
    let creation = item_of(&list, made.as_str().unwrap());
    assert_eq!(creation["of_run"]["function"], "create-snapshots");
    assert_eq!(creation["of_run"]["counts"], json!({ "created": 1 }));
    assert_eq!(creation["of_run"]["slots"], json!(["2026-03-02T03:00:00Z"]));

    let whole = holdfast(&world, &["runs", swept.as_str().unwrap(), "--json"]).json();
    assert_eq!(resources(&items(&whole, "deleted")), [ids[2].clone()]);
    let none = holdfast(&world, &["runs", "--since", "+1h"]);
    assert!(none.out.contains("no run did anything"), "{}", none.out);
    let unknown = holdfast(&world, &["runs", "of-nobody"]);
    assert_eq!(unknown.status, 1);
    assert!(unknown.err.contains("leaves no trace"), "{}", unknown.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_failed_needs_attention() {
    let (world, _) = backups::world("plan", backups::POLICIES, 0).await;
    world.account(|account| {
        account.seed_volume(VolumeSeed {
            tags: holdfast_end_to_end::tags(&[("Backup", "nightly")]),
            ..VolumeSeed::default()
        });
    });
    world.inject(FaultRule::next(
        "CreateSnapshot",
        Fault::Error(holdfast_sim::ApiError::new(
            "SnapshotLimitExceeded",
            "no more",
        )),
    ));
    let create = world.function("create-snapshots");
    report(&create, &world.heartbeat(NOW)).await;
    let ran = holdfast(&world, &["runs", "--json"]);
    let list = ran.json();
    assert_eq!(ran.status, 3, "{list:#}");
    assert_eq!(list["summary"], json!({ "failed": 1 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_call_is_told_on_standard_error_and_asked_again() {
    let (world, ids) = backups::world("plan", backups::POLICIES, 1).await;
    let busy = holdfast_sim::ApiError::new("RequestLimitExceeded", "slow down");
    world.inject(FaultRule::next("DescribeSnapshots", Fault::Error(busy)));
    let ran = holdfast(&world, &["ls", "--json"]);
    assert_eq!((ran.status, listed(&ran.json())), (0, ids), "{}", ran.err);
    assert!(ran.err.contains("EC2 puts calls off"), "{}", ran.err);
    let calm = holdfast(&world, &["ls", "--json"]);
    assert_eq!(calm.err, "");
}
