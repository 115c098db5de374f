//! The absence of a backup, told by check-dependencies and by `holdfast coverage`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use holdfast_core::id::VolumeId;
use holdfast_core::inventory::InstanceState;
use holdfast_end_to_end::{
    World, codes, item_of, items, report, resources, seed_backup, seed_instance, tags,
};
use holdfast_sim::request::{CreateTags, Request};
use holdfast_sim::{Account, ApiError, Fault, FaultRule, InstanceSeed, VolumeSeed};
use serde_json::{Value, json};

/// Once a day: nothing older than 48 hours.
const NIGHTLY: &str = r#"
version: 1
policies:
  - name: nightly
    protect: volumes
    select: { volumes: { tags: { Backup: nightly } } }
    schedule: "cron(0 3 * * ? *)"
    retain: { last: 2 }
"#;

const VOLUME: &str = "vol-0000000000000000a";
const SCRATCH: &str = "vol-0000000000000000b";
const KEY: &str = "arn:aws:kms:eu-central-1:111122223333:key/7f1d2c3b-0000-4000-8000-000000000000";

fn volume(account: &mut Account, key: Option<&str>) {
    account.seed_volume(VolumeSeed {
        id: Some(VolumeId::new(VOLUME)),
        kms_key: key.map(str::to_owned),
        tags: tags(&[("Backup", "nightly")]),
        ..VolumeSeed::default()
    });
}

async fn one_volume(mode: &str) -> World {
    World::new(NIGHTLY, mode, |account| volume(account, None)).await
}

fn retag(world: &World, value: &str) {
    let request = Request::CreateTags(CreateTags {
        resources: vec![VOLUME.to_owned()],
        tags: vec![("Backup".to_owned(), value.to_owned())],
    });
    world.account(|account| account.call(&request)).unwrap();
}

/// `holdfast coverage --json` at a time, and its exit status.
fn coverage(world: &World, now: &str) -> (Value, Option<i32>) {
    let output = world.holdfast(&["coverage", "--now", now, "--json"]);
    let words = String::from_utf8_lossy(&output.stderr);
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {words}"));
    (report, output.status.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_found_until_its_backup_is_made_and_again_when_backups_stop() {
    let world = one_volume("plan").await;
    // Younger than the rpo by a second: nothing was due yet.
    let young = world.reconcile("2026-03-03T23:59:59Z").await;
    assert_eq!(items(&young, "finding"), Vec::<&Value>::new(), "{young:#}");
    let found = world.reconcile("2026-03-04T00:00:00Z").await;
    assert_eq!(codes(item_of(&found, VOLUME)), ["no-backup"], "{found:#}");
    assert_eq!(item_of(&found, VOLUME)["policy"], "nightly");
    assert_eq!(found["summary"]["finding"], 1);

    let create = world.function("create-snapshots");
    report(&create, &world.heartbeat("2026-03-04T03:00:00Z")).await;
    let covered = world.reconcile("2026-03-06T03:00:00Z").await;
    assert_eq!(items(&covered, "finding"), Vec::<&Value>::new());
    let stopped = world.reconcile("2026-03-06T04:00:00Z").await;
    assert_eq!(codes(item_of(&stopped, VOLUME)), ["rpo-exceeded"]);
    let began = item_of(&stopped, VOLUME)["time"].as_str().unwrap();
    assert!(began.starts_with("2026-03-04T03:00:"), "{began}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistyped_tag_does_not_end_protection_in_silence() {
    let world = one_volume("plan").await;
    let create = world.function("create-snapshots");
    report(&create, &world.heartbeat("2026-03-04T03:00:00Z")).await;
    retag(&world, "nightyl");
    let found = world.reconcile("2026-03-04T04:00:00Z").await;
    let mut findings = resources(&items(&found, "finding"));
    findings.sort();
    assert_eq!(findings, ["nightly", VOLUME], "{found:#}");
    assert_eq!(codes(item_of(&found, "nightly")), ["matches-nothing"]);
    assert_eq!(codes(item_of(&found, VOLUME)), ["not-picked"]);
    // The function counts it for the alarm, in the one line that CloudWatch reads.
    let check = world.function("check-dependencies");
    report(&check, &world.heartbeat("2026-03-04T05:00:00Z")).await;
    report(&check, &json!({ "reconcile": true })).await;
    // Standard output is read beside the answers.
    let by_request = r#""run.heartbeat":0"#;
    let last = check.log_containing(by_request, Duration::from_secs(30));
    assert!(last.await.is_some());
    let lines: Vec<Value> = check
        .logs()
        .iter()
        .filter_map(|line| serde_json::from_str(&line.text).ok())
        .filter(|line: &Value| line["_aws"].is_object())
        .collect();
    let told: Vec<_> = lines
        .iter()
        .map(|line| (&line["sources.uncovered"], &line["run.heartbeat"]))
        .collect();
    assert_eq!(told, [(&json!(1), &json!(1)), (&json!(1), &json!(0))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_cannot_be_read_to_its_end_raises_no_false_alarm() {
    let world = one_volume("plan").await;
    let denied = ApiError::new("UnauthorizedOperation", "You are not authorized.");
    for operation in ["DescribeVolumes", "DescribeInstances"] {
        world.inject(FaultRule::next(operation, Fault::Error(denied.clone())));
        let found = world.reconcile("2026-03-06T04:00:00Z").await;
        assert_eq!(items(&found, "finding"), Vec::<&Value>::new(), "{found:#}");
        assert_eq!(items(&found, "failed").len(), 1, "{operation}");
        assert_eq!(found["run"]["complete"], false);
    }
    // Snapshots are not there to be seen, and the volume is not said to have none.
    world.inject(FaultRule::next("DescribeSnapshots", Fault::Error(denied)));
    let found = world.reconcile("2026-03-06T05:00:00Z").await;
    assert_eq!(items(&found, "finding"), Vec::<&Value>::new());
    let unknown = item_of(&found, "coverage");
    assert_eq!(unknown["outcome"], "deferred");
    assert_eq!(codes(unknown), ["evidence-incomplete"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_makes_backups_useless_is_named_before_and_after_and_the_backup_is_made() {
    let world = World::new(NIGHTLY, "plan", |account| {
        volume(account, Some(KEY));
        account.set_key(KEY, "Enabled");
    })
    .await;
    let create = world.function("create-snapshots");
    let made = report(&create, &world.heartbeat("2026-03-03T03:00:00Z")).await;
    assert_eq!(items(&made, "finding"), Vec::<&Value>::new());
    for (day, state, words) in [
        ("2026-03-04", "Disabled", "disabled"),
        ("2026-03-05", "PendingDeletion", "pending deletion"),
    ] {
        world.account(|account| account.set_key(KEY, state));
        let made = report(&create, &world.heartbeat(&format!("{day}T03:00:00Z"))).await;
        let key = item_of(&made, KEY);
        assert_eq!(
            (&key["outcome"], codes(key)),
            (&json!("finding"), vec!["key-unusable"])
        );
        let detail = key["reasons"][0]["detail"].as_str().unwrap();
        assert!(
            detail.contains(words) && detail.contains(VOLUME),
            "{detail}"
        );
        assert_eq!(items(&made, "created").len(), 1, "{made:#}");
        let found = world.reconcile(&format!("{day}T04:00:00Z")).await;
        assert_eq!(codes(item_of(&found, KEY)), ["key-unusable"]);
        assert_eq!(resources(&items(&found, "finding")), [KEY]);
    }
    // A key that the role may not look at is no key that is well.
    let mut role = world.local.role("check-dependencies").unwrap();
    for statement in &mut role.statements {
        statement
            .actions
            .retain(|action| action != "kms:DescribeKey");
    }
    let caller = holdfast_local_aws::iam::access_key("check-dependencies");
    let check = world.function("check-dependencies");
    world.local.gate.give_role(&caller, role);
    let found = report(&check, &world.heartbeat("2026-03-05T05:00:00Z")).await;
    assert_eq!(codes(item_of(&found, KEY)), ["evidence-incomplete"]);
    let detail = item_of(&found, KEY)["reasons"][0]["detail"].as_str();
    assert!(detail.unwrap().contains("kms:DescribeKey"), "{found:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_shows_each_source_and_its_status_says_whether_all_is_well() {
    let both = format!(
        "{NIGHTLY}  - name: golden\n    protect: instances\n    \
         select: {{ instances: {{ tags: {{ Role: web }} }} }}\n    \
         schedule: \"cron(0 3 * * ? *)\"\n    retain: {{ last: 1 }}\n"
    );
    let both = both.replace(
        "Role: web } }",
        "Role: web } }, exclude: { tags: { Scratch: \"*\" } }",
    );
    let world = World::new(&both, "plan", |account| {
        volume(account, None);
        let root = account.seed_volume(VolumeSeed::default());
        let scratch = account.seed_volume(VolumeSeed {
            id: Some(VolumeId::new(SCRATCH)),
            tags: tags(&[("Scratch", "1")]),
            ..VolumeSeed::default()
        });
        account.seed_instance(InstanceSeed {
            state: InstanceState::Stopped,
            instance_type: "m5d.large".into(),
            devices: vec![
                ("/dev/xvda".to_owned(), root),
                ("/dev/sdf".to_owned(), scratch),
            ],
            tags: tags(&[("Role", "web")]),
            ..InstanceSeed::default()
        });
    })
    .await;
    let (before, status) = coverage(&world, "2026-03-04T02:00:00Z");
    assert_eq!(status, Some(3), "{before:#}");
    assert_eq!(before["run"]["function"], "coverage");
    assert_eq!(codes(item_of(&before, VOLUME)), ["no-backup"]);
    assert_eq!(item_of(&before, VOLUME)["coverage"]["rpo"], "48h");

    for name in ["create-snapshots", "create-images"] {
        let beat = world.heartbeat("2026-03-04T03:00:00Z");
        report(&world.function(name), &beat).await;
    }
    world.advance("2026-03-04T05:00:00Z");
    let (after, status) = coverage(&world, "2026-03-04T05:00:00Z");
    assert_eq!(status, Some(0), "{after:#}");
    assert_eq!(after["summary"], json!({ "recorded": 2 }));
    let snapshot = world
        .snapshots()
        .into_iter()
        .find(|s| s.volume.as_str() == VOLUME);
    let of_volume = item_of(&after, VOLUME);
    assert_eq!(of_volume["action"], "check");
    assert_eq!(codes(of_volume), ["covered"]);
    assert_eq!(of_volume["coverage"]["backup"], json!(snapshot.unwrap().id));
    assert_eq!(of_volume["coverage"]["next_slot"], "2026-03-05T03:00:00Z");
    let instance = world.account(|account| account.instances().next().unwrap().id.to_string());
    let of_instance = item_of(&after, &instance);
    assert_eq!(of_instance["policy"], "golden");
    // Taken of a machine that was stopped all the while.
    assert_eq!(of_instance["coverage"]["consistency"], "stopped");
    assert_eq!(of_instance["coverage"]["excluded"], json!([SCRATCH]));
    let lacking = of_instance["coverage"]["not_covered"][0].as_str();
    assert!(lacking.unwrap().contains("m5d.large"), "{after:#}");

    let people = world.holdfast(&["coverage", "--now", "2026-03-07T05:00:00Z"]);
    assert_eq!(people.status.code(), Some(3));
    let text = String::from_utf8(people.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("STATE"), "{text}");
    for (line, source) in [(1, instance.as_str()), (2, VOLUME)] {
        let words: Vec<&str> = lines[line].split_whitespace().collect();
        assert_eq!(words[..2], ["rpo-exceeded", source], "{text}");
    }
    assert!(text.contains("2 without what was promised"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_tells_what_is_required_and_not_picked() {
    let required = NIGHTLY.replace(
        "policies:",
        "require: [{ resource: instances, tags: { Tier: \"*\" } }]\npolicies:",
    );
    let world = World::new(&required, "plan", |account| {
        volume(account, None);
        seed_backup(account, "nightly", VOLUME, "2026-03-01T03:00:00Z", &[]);
        seed_instance(account, 0, &[("Tier", "gold")]);
        seed_instance(account, 0, &[]);
    })
    .await;
    let (report, status) = coverage(&world, "2026-03-02T12:00:00Z");
    assert_eq!(status, Some(3));
    let gold = world.account(|account| {
        let mut instances = account.instances();
        let gold = instances.find(|i| i.tags.contains_key("Tier")).unwrap();
        gold.id.to_string()
    });
    assert_eq!(resources(&items(&report, "finding")), [gold.as_str()]);
    assert_eq!(codes(item_of(&report, &gold)), ["not-picked"]);
    let output = world.holdfast(&["coverage", "--now", "2026-03-02T12:00:00Z"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("`require` names instances tagged Tier"),
        "{text}"
    );
}
