//! `run` and `events send`.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use holdfast_end_to_end::backups::{self, POLICIES, VOLUME};
use holdfast_end_to_end::{World, items};
use holdfast_local_aws::lambda::find_binary;
use holdfast_sim::{ApiError, Fault, FaultRule};
use serde_json::json;

use super::holdfast;

async fn one_volume(mode: &str) -> World {
    World::new(POLICIES, mode, |account| {
        backups::volume(account, &[("Backup", "nightly")]);
    })
    .await
}

/// Near enough to the wall clock, by which `run` without `--now` reckons.
fn on_the_clock(world: &World) {
    world.advance(&jiff::Timestamp::now().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deployed_function_runs_a_policy_and_a_repeated_command_makes_nothing_twice() {
    let world = one_volume("plan").await;
    on_the_clock(&world);
    world.deploy(&["create-snapshots"]);
    let asked = [
        "run",
        "nightly",
        "--function",
        "create-snapshots",
        "--id",
        "by-hand",
    ];
    let dry: Vec<&str> = [&asked[..4], &["--dry-run", "--json"]].concat();
    let planned = holdfast(&world, &dry);
    assert_eq!(planned.json()["summary"], json!({ "planned": 1 }));
    assert!(world.snapshots().is_empty());

    let first = holdfast(&world, &[&asked[..], &["--json"]].concat());
    let report = first.json();
    assert_eq!(
        (first.status, world.snapshots().len()),
        (0, 1),
        "{report:#}"
    );
    assert_eq!(items(&report, "created")[0]["source"], VOLUME);
    let again = holdfast(&world, &asked);
    assert_eq!(
        (again.status, world.snapshots().len()),
        (0, 1),
        "{}",
        again.err
    );
    assert!(again.out.contains("create-snapshots"), "{}", again.out);

    let runs = holdfast(&world, &["runs", "--json"]).json();
    let request = &holdfast_end_to_end::item_of(&runs, "by-hand")["of_run"]["request"];
    assert!(request["started"].is_string(), "{runs:#}");
}

/// The command in the background, interrupted once EC2 has been asked for this and answers no more.
async fn interrupted(world: &World, arguments: &[&str], waits_for: &str) -> std::process::Output {
    interrupted_after(world, arguments, waits_for, 0).await
}

/// The same once EC2 has answered this so often.
pub(super) async fn interrupted_after(
    world: &World,
    arguments: &[&str],
    waits_for: &str,
    answered: u32,
) -> std::process::Output {
    let child = waiting(world, arguments, waits_for, answered).await;
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(sent.success());
    child.wait_with_output().unwrap()
}

/// The command in the background, which waits for EC2's next answer after so many.
pub(super) async fn waiting(
    world: &World,
    arguments: &[&str],
    waits_for: &str,
    answered: u32,
) -> Child {
    drop(world.calls());
    world.inject(FaultRule::next(waits_for, Fault::AppliedThenHang).after(answered));
    let child = Command::new(find_binary("holdfast").unwrap())
        .args(arguments)
        .envs(world.local.environment())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let asked = async {
        let mut seen = 0;
        while seen <= answered {
            seen += asked_for(world, waits_for);
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), asked)
        .await
        .expect("the call arrives");
    child
}

/// How often EC2 was asked for this since the last question.
fn asked_for(world: &World, operation: &str) -> u32 {
    let calls = world.calls().into_iter();
    calls.map(|call| u32::from(call == operation)).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_begins_nothing_new_and_the_same_run_goes_on_later() {
    let world = one_volume("plan").await;
    on_the_clock(&world);
    let run = ["run", "nightly", "--local", "--id", "by-hand", "--json"];
    let cut = interrupted(&world, &run, "DescribeVolumes").await;
    let said = String::from_utf8(cut.stderr).unwrap();
    assert!(said.contains("interrupted: what is under way"), "{said}");
    assert_eq!(cut.status.code(), Some(1), "{said}");
    assert!(world.snapshots().is_empty());
    let ran = holdfast(&world, &run);
    assert_eq!((ran.status, world.snapshots().len()), (0, 1), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_while_a_function_works_says_that_it_goes_on() {
    let world = one_volume("plan").await;
    on_the_clock(&world);
    world.deploy(&["create-snapshots"]);
    let run = ["run", "nightly", "--function", "create-snapshots"];
    let cut = interrupted(&world, &run, "DescribeVolumes").await;
    let said = String::from_utf8(cut.stderr).unwrap();
    assert!(said.contains("it goes on to its end"), "{said}");
    assert_eq!(cut.status.code(), Some(1), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_this_process_makes_what_the_function_would() {
    let world = one_volume("plan").await;
    on_the_clock(&world);
    let ran = holdfast(&world, &["run", "nightly", "--local", "--json"]);
    let report = ran.json();
    assert_eq!((ran.status, world.snapshots().len()), (0, 1), "{report:#}");
    assert_eq!(report["run"]["function"], "create-snapshots");
    let tags = &world.snapshots()[0].tags;
    assert_eq!(tags["holdfast:run"], report["run"]["id"].as_str().unwrap());
    // Of a source that the policy does not pick nothing is made.
    let other = [
        "run",
        "nightly",
        "--local",
        "--resources",
        "vol-0b",
        "--json",
    ];
    let report = holdfast(&world, &other).json();
    assert_eq!(report["summary"], json!({ "skipped": 1 }));
    assert_eq!(world.snapshots().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_misspelt_or_not_deployed_says_what_to_do() {
    let world = one_volume("plan").await;
    let slip = holdfast(&world, &["run", "nigthly"]);
    assert_eq!(slip.status, 2);
    assert!(slip.err.contains("did you mean nightly?"), "{}", slip.err);
    let nowhere = holdfast(&world, &["run", "nightly"]);
    assert_eq!(nowhere.status, 2);
    for word in [
        "--function",
        "HOLDFAST_FUNCTION_CREATE_SNAPSHOTS",
        "CreateSnapshotsArn",
    ] {
        assert!(nowhere.err.contains(word), "{}", nowhere.err);
    }
    let gone = holdfast(&world, &["run", "nightly", "--function", "not-there"]);
    assert_eq!(gone.status, 1);
    assert!(
        gone.err.contains("ResourceNotFoundException"),
        "{}",
        gone.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_reaches_a_deployed_function_and_its_error_is_told() {
    let world = one_volume("plan").await;
    world.deploy(&["create-snapshots"]);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, event: &serde_json::Value| {
        let path = folder.path().join(name);
        std::fs::write(&path, event.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let beat = path("beat.json", &world.heartbeat("2026-03-03T03:00:00Z"));
    let arn = "arn:aws:lambda:eu-central-1:111122223333:function:create-snapshots";
    let sent = holdfast(
        &world,
        &["events", "send", &beat, "--function", arn, "--json"],
    );
    assert_eq!(sent.json()["summary"], json!({ "created": 1 }));
    assert_eq!(world.snapshots().len(), 1);

    let wrong = path("wrong.json", &json!({ "reconcile": true }));
    let refused = holdfast(&world, &["events", "send", &wrong, "--function", arn]);
    assert_eq!((refused.status, refused.out.as_str()), (1, ""));
    assert!(refused.err.contains("failed: Event"), "{}", refused.err);
    let local = [
        "events",
        "send",
        &beat,
        "--function",
        "sweep-retention",
        "--local",
        "--json",
    ];
    assert_eq!(holdfast(&world, &local).json()["run"]["mode"], "plan");
    let no_json = path("no.json", &json!(null)) + "x";
    let unread = holdfast(&world, &["events", "send", &no_json, "--function", arn]);
    assert_eq!(unread.status, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_call_names_the_action_and_prints_the_statement_to_add() {
    let world = one_volume("plan").await;
    world.deploy(&["create-snapshots"]);
    // The caller's key gets the sweep's role, which may invoke nothing and create nothing.
    let role = world.local.role("sweep-retention").unwrap();
    world.local.gate.give_role("local", role);
    let denied = holdfast(
        &world,
        &["run", "nightly", "--function", "create-snapshots"],
    );
    assert_eq!(denied.status, 1);
    let statement = r#"{"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "#;
    assert!(denied.err.contains(statement), "{}", denied.err);
    let denied = holdfast(&world, &["runs"]);
    let action = r#""Action": "dynamodb:Scan", "Resource": "arn:aws:dynamodb:*:*:table/holdfast""#;
    assert_eq!(denied.status, 1);
    assert!(denied.err.contains(action), "{}", denied.err);

    // What goes on without a list tells at its end what it lacked.
    let denied = ApiError::new("UnauthorizedOperation", "You are not authorized.");
    world
        .local
        .gate
        .give_role("local", world.local.role("check-dependencies").unwrap());
    world.inject(FaultRule::next("DescribeFleets", Fault::Error(denied)));
    let explained = holdfast(&world, &["explain", "snap-0000000000000dead"]);
    let action = r#""Action": "ec2:DescribeFleets", "Resource": "*""#;
    assert!(explained.err.contains(action), "{}", explained.err);
}
