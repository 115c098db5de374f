//! `simulate` over the account's own inventory, and its JSON against the schema.

use std::collections::BTreeSet;

use holdfast_core::id::VolumeId;
use holdfast_core::simulation::AdviceCode;
use holdfast_end_to_end::backups::{NOW, VOLUME, day, volume};
use holdfast_end_to_end::schema::{schema, validator};
use holdfast_end_to_end::{World, seed_backup, tags};
use holdfast_sim::{ApiError, Fault, FaultRule, VolumeSeed};
use serde_json::{Value, json};

use super::{Ran, holdfast};

const POLICIES: &str = r#"
version: 1
prices: { standard: 0.5 }
policies:
  - name: nightly
    protect: volumes
    select: { volumes: { tags: { Backup: nightly } } }
    schedule: "cron(0 3 * * ? *)"
    retain: { last: 3 }
"#;
const NEW: &str = "vol-0000000000000000b";
const FORGOTTEN: &str = "vol-0000000000000000c";

/// A volume with the backups of five nights, of which the oldest is pinned, one without any, and
/// one that no policy picks.
async fn world() -> World {
    World::new(POLICIES, "plan", |account| {
        volume(account, &[("Backup", "nightly")]);
        for (id, tag) in [(NEW, "nightly"), (FORGOTTEN, "none")] {
            account.seed_volume(VolumeSeed {
                id: Some(VolumeId::new(id)),
                tags: tags(&[("Backup", tag)]),
                ..VolumeSeed::default()
            });
        }
        for n in 0..4 {
            seed_backup(account, "nightly", VOLUME, &day(n), &[]);
        }
        seed_backup(
            account,
            "nightly",
            VOLUME,
            &day(4),
            &[("holdfast:pin", "audit")],
        );
    })
    .await
}

fn simulate(world: &World, more: &[&str]) -> Ran {
    let line = ["simulate", "--from", NOW, "--days", "10", "--json"];
    holdfast(world, &[&line[..], more].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulation_begins_with_the_accounts_fleet_and_backups_and_changes_nothing() {
    let world = world().await;
    let before = world.snapshots();
    drop(world.calls());
    let ran = simulate(&world, &["--at", "2026-03-05T12:00:00Z"]);
    // A volume that no policy picks needs attention.
    assert_eq!(ran.status, 3, "{}", ran.err);
    let calls = world.calls();
    let reads = ["Describe", "List", "Get"];
    let reads_only = |call: &String| reads.iter().any(|read| call.starts_with(read));
    assert!(calls.iter().all(reads_only), "{calls:?}");
    assert_eq!(world.snapshots(), before);

    let report = ran.json();
    assert_eq!(report["run"]["complete"], true);
    assert_eq!(report["items"][0]["reasons"][0]["code"], "not-picked");
    let course = &report["simulation"]["policies"][0];
    // Of five the newest three stay by rule and the pinned one by its pin.
    assert_eq!(course["series"][0]["backups"], 5);
    assert_eq!(course["retired_by_first_sweep"], 1);
    assert_eq!(course["sources"], 2);
    // Ten nights of two volumes; of one three are left and the pinned one, of the other three.
    assert_eq!(course["created"], 20);
    assert_eq!(course["series"][10]["backups"], 7);
    let lists = course["restore_points"].as_array().unwrap();
    let times = |source: &str| -> Vec<&str> {
        let of = |list: &&Value| list["sources"] == json!([source]);
        let points = lists.iter().find(of).unwrap()["points"].as_array().unwrap();
        points.iter().map(|p| p["time"].as_str().unwrap()).collect()
    };
    let nights = ["2026-03-05T03:00:00Z", "2026-03-04T03:00:00Z"];
    assert_eq!(times(NEW), [nights[0], nights[1], "2026-03-03T03:00:00Z"]);
    assert_eq!(
        times(VOLUME),
        [nights[0], nights[1], "2026-03-03T03:00:00Z", &day(4)]
    );
    let all = lists
        .iter()
        .flat_map(|list| list["points"].as_array().unwrap());
    let mut pinned = all.filter(|point| point["time"] == day(4));
    assert_eq!(pinned.next().unwrap()["kept_by"], json!(["pinned"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_fleet_is_not_simulated() {
    let world = world().await;
    let denied = ApiError::new("UnauthorizedOperation", "You are not authorized.");
    world.inject(FaultRule::next("DescribeVolumes", Fault::Error(denied)));
    let ran = simulate(&world, &[]);
    assert_eq!((ran.status, ran.out.as_str()), (1, ""), "{}", ran.err);
    assert!(ran.err.contains("ec2:DescribeVolumes"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_read_is_told_before_the_figures_that_are_too_small_for_it() {
    let world = world().await;
    let line = ["simulate", "--from", NOW, "--days", "10"];
    let whole = holdfast(&world, &line);
    assert!(!whole.out.contains("not read"), "{}", whole.out);
    for operation in ["DescribeFastSnapshotRestores", "DescribeFleets"] {
        let denied = ApiError::new("UnauthorizedOperation", "You are not authorized.");
        world.inject(FaultRule::next(operation, Fault::Error(denied)));
    }
    let ran = holdfast(&world, &line);
    assert_eq!(ran.status, 3, "{}", ran.err);
    let (before, figures) = ran.out.split_once("BACKUPS OVER TIME").unwrap();
    for words in [
        "not read: fast_restore (evidence-incomplete (DescribeFastSnapshotRestores",
        "not read: fleets (evidence-incomplete (DescribeFleets",
        "is held from the beginning to the end",
    ] {
        assert!(
            before.contains(words),
            "{words} is not before the figures:\n{before}"
        );
    }
    let statement = r#""Action": ["ec2:DescribeFastSnapshotRestores", "ec2:DescribeFleets"]"#;
    assert!(ran.err.contains(statement), "{}", ran.err);
    // The list that is missing is why, and no rule.
    assert!(figures.contains("evidence-incomplete"), "{figures}");
    let first_sweep = |out: &str| {
        let row = out
            .lines()
            .find(|line| line.starts_with("nightly "))
            .unwrap();
        row.split_whitespace().nth(4).unwrap().to_owned()
    };
    assert_eq!(
        (first_sweep(&whole.out), first_sweep(&ran.out)),
        ("1".into(), "0".into())
    );
}

/// The schema, refusing what it does not tell of.
fn strict(schema: &mut Value) {
    if let Some(object) = schema.as_object_mut() {
        if object.contains_key("properties") {
            object.insert("additionalProperties".into(), json!(false));
        }
        object.values_mut().for_each(strict);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_json_of_a_simulation_fits_its_schema_and_has_no_key_that_the_schema_does_not_tell_of()
{
    let world = world().await;
    let mut strictly = schema("simulation-1.schema.json");
    strict(&mut strictly);
    let strictly = validator(&strictly);
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let old = file(
        "old.yaml",
        &POLICIES.replace("last: 3", "last: 300, daily: 4"),
    );
    // So many at once that EC2's limits make them late.
    let fleet = file(
        "fleet.yaml",
        "version: 1\nvolumes:\n  - { name: many, count: 900, size_gib: 8, changed_gib_per_day: 1, tags: { Backup: nightly } }\n",
    );
    for (more, has) in [
        (&["--against", &old][..], "/against"),
        (&["--fleet", &fleet][..], "/policies/0/late"),
    ] {
        let ran = simulate(&world, more);
        let simulation = ran.json()["simulation"].clone();
        let wrong: Vec<String> = strictly
            .iter_errors(&simulation)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(wrong.is_empty(), "{more:?}: {}", wrong.join("\n"));
        assert!(simulation.pointer(has).is_some(), "{more:?} without {has}");
        for (pointer, instead) in [
            ("/schema", json!(2)),
            ("/from", json!("2026-03-02T10:00:00+01:00")),
            ("/policies/0/created", json!(-1)),
            ("/policies/0/series/0/backups", json!("many")),
            ("/advice/0/code", json!("because")),
            ("/advice/0", json!({ "level": "note" })),
        ] {
            let mut changed = simulation.clone();
            *changed.pointer_mut(pointer).unwrap() = instead;
            assert!(!strictly.is_valid(&changed), "{pointer}");
        }
    }
}

#[test]
fn the_schema_has_every_piece_of_advice_and_no_other() {
    let all = [
        AdviceCode::MatchesNothing,
        AdviceCode::NotPicked,
        AdviceCode::CircuitBreaker,
        AdviceCode::LadderHole,
        AdviceCode::FinerThanKept,
        AdviceCode::TriggersUseUpLast,
        AdviceCode::Late,
        AdviceCode::PolicyUnknown,
        AdviceCode::NoPrice,
        AdviceCode::NoRateOfChange,
    ];
    for code in all {
        // A new one does not compile here until it is named above, too.
        match code {
            AdviceCode::MatchesNothing
            | AdviceCode::NotPicked
            | AdviceCode::CircuitBreaker
            | AdviceCode::LadderHole
            | AdviceCode::FinerThanKept
            | AdviceCode::TriggersUseUpLast
            | AdviceCode::Late
            | AdviceCode::PolicyUnknown
            | AdviceCode::NoPrice
            | AdviceCode::NoRateOfChange => {}
        }
    }
    let words: BTreeSet<String> = all.iter().map(|code| json!(code).to_string()).collect();
    let schema = schema("simulation-1.schema.json");
    let told = schema.pointer("/$defs/advice/properties/code/enum");
    let told = told.and_then(Value::as_array).unwrap().iter();
    let told: BTreeSet<String> = told.map(Value::to_string).collect();
    assert_eq!(told, words);
}
