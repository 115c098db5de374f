//! `consistency` of create-snapshots and create-images: what runs in the guest and when, what is
//! taken and what is not, and what is said about it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_core::id::InstanceId;
use holdfast_core::inventory::InstanceState;
use holdfast_end_to_end::{
    DOCUMENT, World, codes, item_of, items, report, resources, seed_instance, tags,
};
use holdfast_sim::{
    Account, ApiError, Conduct, Fault, FaultRule, GuestSeed, InstanceSeed, VolumeSeed,
};
use serde_json::{Value, json};

const SLOT: &str = "2026-03-03T03:00:00Z";

fn policy(words: &str) -> String {
    format!(
        r#"
version: 1
policies:
  - name: nightly
    protect: volumes
    select:
      instances: {{ tags: {{ Backup: nightly }} }}
      volumes: {{ tags: {{ Backup: nightly }} }}
      exclude: {{ tags: {{ Scratch: "*" }} }}
    schedule: "cron(0 3 * * ? *)"
    retain: {{ daily: 7 }}
    {words}
"#
    )
}

fn application(on_failure: &str) -> String {
    policy(&format!(
        "consistency: application\n    \
         application: {{ document: {DOCUMENT}, timeout: 10s, on_failure: {on_failure} }}"
    ))
}

/// A world with one machine of two volumes, whose guest is as `change` leaves it; none where it has
/// no guest.
async fn world(policies: &str, change: impl FnOnce(&mut GuestSeed) + Send + 'static) -> World {
    World::new(policies, "plan", |account| {
        let machine = seed_instance(account, 1, &[("Backup", "nightly")]);
        let mut guest = GuestSeed::new(InstanceId::new(machine.id));
        change(&mut guest);
        account.seed_document(DOCUMENT);
        account.seed_guest(guest);
    })
    .await
}

fn machine(world: &World) -> String {
    world.account(|account| account.instances().next().unwrap().id.to_string())
}

/// The calls that matter for the order, in their order.
fn order(world: &World) -> Vec<String> {
    let shown = |account: &mut Account| {
        let calls = account.calls().iter();
        let calls = calls.filter_map(|call| match call.operation.as_str() {
            "SendCommand" => Some(call.resources[1].clone()),
            "CreateSnapshots" | "CreateSnapshot" => Some(call.operation.clone()),
            _ => None,
        });
        calls.collect()
    };
    world.account(shown)
}

fn frozen(world: &World) -> bool {
    let id = InstanceId::new(machine(world));
    world.account(|account| account.guest(&id).unwrap().frozen.is_some())
}

/// The level that the lineage has of an artifact.
fn level(world: &World, id: &str) -> String {
    let node = world.item(&format!("node#{id}"), "node").unwrap();
    node["consistency"]["S"].as_str().unwrap().to_owned()
}

fn slot(world: &World) -> Value {
    let pk = format!("slot#nightly#{}", machine(world));
    world.item(&pk, SLOT).unwrap_or(Value::Null)
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_held_before_the_call_and_let_go_right_after_it() {
    let world = world(&application("skip"), |guest| guest.late_answers = 1).await;
    let create = world.patient_function("create-snapshots");
    let first = report(&create, &world.heartbeat(SLOT)).await;
    assert_eq!(first["summary"], json!({ "created": 2 }), "{first:#}");
    assert_eq!(
        order(&world),
        ["pre-script", "CreateSnapshots", "post-script"]
    );
    assert!(!frozen(&world));
    // Both halves are of one execution, a UUID.
    let executions = world.account(|account| {
        let commands = account.commands().iter();
        commands.map(|c| c.execution.clone()).collect::<Vec<_>>()
    });
    assert_eq!(executions.len(), 2);
    assert_eq!(executions[0], executions[1]);
    assert_eq!(executions[0].len(), 36);
    let after = "2026-03-03T04:00:00Z";
    world.advance(after);
    let output = world.holdfast(&["coverage", "--now", after, "--json"]);
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    for item in items(&first, "created") {
        assert_eq!(codes(item), ["application-consistent"]);
        let id = item["resource"].as_str().unwrap();
        assert_eq!(level(&world, id), "application");
        let node = world.item(&format!("node#{id}"), "node").unwrap();
        let ms: u32 = node["frozen_ms"]["N"].as_str().unwrap().parse().unwrap();
        let newest = &item_of(&shown, item["source"].as_str().unwrap())["coverage"];
        assert_eq!(newest["consistency"], "application", "{shown:#}");
        assert_eq!(newest["frozen_ms"], json!(ms));
        // Two scripts, each asked about after a second at the earliest.
        assert!((2_000..20_000).contains(&ms), "{ms}");
    }
    for snapshot in world.snapshots() {
        assert_eq!(snapshot.tags["holdfast:consistency"], "application");
    }
    let id = world.snapshots()[0].id.to_string();
    let explained = world.holdfast(&["explain", &id, "--json"]);
    let text = String::from_utf8(explained.stdout).unwrap();
    assert!(text.contains("its consistency is application"), "{text}");
    assert!(text.contains("writes were held for"), "{text}");
}

#[tokio::test]
async fn a_failed_pre_script_is_followed_by_the_post_script_and_no_snapshot_and_is_tried_again() {
    let world = world(&application("skip"), |guest| {
        guest.pre = Conduct::Fails(201);
    })
    .await;
    let create = world.patient_function("create-snapshots");
    let failed = report(&create, &world.heartbeat(SLOT)).await;
    let item = item_of(&failed, &machine(&world));
    assert_eq!(item["outcome"], "failed");
    assert_eq!(codes(item), ["freeze-failed"]);
    let detail = item["reasons"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("201"), "{detail}");
    assert_eq!(failed["run"]["complete"], false);
    assert_eq!(order(&world), ["pre-script", "post-script"]);
    assert_eq!(world.snapshots().len(), 0);
    assert_eq!(slot(&world)["state"]["S"], "failed");

    let id = InstanceId::new(machine(&world));
    world.account(|account| account.guest_mut(&id).unwrap().seed.pre = Conduct::Succeeds);
    let again = report(&create, &world.heartbeat("2026-03-03T03:05:00Z")).await;
    assert_eq!(again["summary"], json!({ "created": 2 }), "{again:#}");
    assert_eq!(again["run"]["complete"], true);
    // A freeze of its own, not the one that failed.
    let executions = world.account(|account| {
        let commands = account.commands().iter();
        commands.map(|c| c.execution.clone()).collect::<Vec<_>>()
    });
    assert_eq!(executions.len(), 4);
    assert_ne!(executions[0], executions[2]);
}

#[tokio::test]
async fn a_pre_script_that_never_ends_is_given_up_and_what_it_holds_is_let_go() {
    let world = world(&application("skip"), |guest| guest.pre = Conduct::Hangs).await;
    let create = world.patient_function("create-snapshots");
    let failed = report(&create, &world.heartbeat(SLOT)).await;
    assert_eq!(failed["summary"], json!({ "failed": 1 }), "{failed:#}");
    assert_eq!(codes(item_of(&failed, &machine(&world))), ["freeze-failed"]);
    assert_eq!(order(&world), ["pre-script", "post-script"]);
    assert!(!frozen(&world));
    assert_eq!(world.snapshots().len(), 0);
}

#[tokio::test]
async fn with_on_failure_crash_the_backup_is_taken_and_says_what_it_is_not() {
    let world = world(&application("crash"), |guest| {
        guest.pre = Conduct::Fails(206);
    })
    .await;
    let create = world.patient_function("create-snapshots");
    let taken = report(&create, &world.heartbeat(SLOT)).await;
    let created = items(&taken, "created");
    assert_eq!(created.len(), 2, "{taken:#}");
    for item in created {
        assert_eq!(codes(item), ["crash-consistent"]);
        let detail = item["reasons"][0]["detail"].as_str().unwrap();
        assert!(detail.contains("206"), "{detail}");
        assert_eq!(level(&world, item["resource"].as_str().unwrap()), "crash");
    }
    // What was asked for, beside what the lineage says was reached.
    for snapshot in world.snapshots() {
        assert_eq!(snapshot.tags["holdfast:consistency"], "application");
    }
    assert_eq!(
        order(&world),
        ["pre-script", "post-script", "CreateSnapshots"]
    );
}

#[tokio::test]
async fn an_instance_that_cannot_be_frozen_fails_with_the_reason_before_anything_is_sent() {
    for (ping, platform, code, complete) in [
        ("ConnectionLost", "Linux", "guest-offline", false),
        ("Online", "Windows", "guest-unsupported", true),
    ] {
        let world = world(&application("skip"), move |guest| {
            guest.ping = ping.to_owned();
            guest.platform = platform.to_owned();
        })
        .await;
        let create = world.patient_function("create-snapshots");
        let failed = report(&create, &world.heartbeat(SLOT)).await;
        let item = item_of(&failed, &machine(&world));
        assert_eq!(item["outcome"], "failed");
        assert_eq!(codes(item), [code]);
        // An agent may come back; Windows stays Windows.
        assert_eq!(failed["run"]["complete"], complete, "{platform}");
        assert_eq!(order(&world), [""; 0]);
        assert_eq!(world.snapshots().len(), 0);
    }
}

#[tokio::test]
async fn an_instance_without_agent_and_a_detached_volume_are_refused_or_taken_as_the_policy_says() {
    for (on_failure, outcome) in [("skip", "failed"), ("crash", "created")] {
        let world = World::new(&application(on_failure), "plan", |account| {
            seed_instance(account, 0, &[("Backup", "nightly")]);
            account.seed_volume(VolumeSeed {
                tags: tags(&[("Backup", "nightly")]),
                ..VolumeSeed::default()
            });
        })
        .await;
        let create = world.patient_function("create-snapshots");
        let report = report(&create, &world.heartbeat(SLOT)).await;
        let found = items(&report, outcome);
        assert_eq!(found.len(), 2, "{report:#}");
        let mut all: Vec<&str> = found.iter().flat_map(|item| codes(item)).collect();
        all.sort_unstable();
        let expected = match on_failure {
            "skip" => ["guest-offline", "no-guest"],
            _ => ["crash-consistent", "crash-consistent"],
        };
        assert_eq!(all, expected);
        assert!(!order(&world).contains(&"pre-script".to_owned()));
    }
}

#[tokio::test]
async fn a_lost_post_script_is_told_and_the_guests_own_timer_lets_writes_go() {
    let world = world(&application("skip"), |guest| guest.post = Conduct::Lost).await;
    let create = world.patient_function("create-snapshots");
    let taken = report(&create, &world.heartbeat(SLOT)).await;
    // The backup is there and is kept; what it is worth was not confirmed.
    let created = items(&taken, "created");
    assert_eq!(created.len(), 2, "{taken:#}");
    for item in created {
        assert_eq!(codes(item), ["crash-consistent"]);
        assert_eq!(level(&world, item["resource"].as_str().unwrap()), "crash");
    }
    let machine = machine(&world);
    let finding = item_of(&taken, &machine);
    assert_eq!(finding["outcome"], "finding");
    assert_eq!(codes(finding), ["thaw-unknown"]);
    assert!(frozen(&world));
    world.advance("2026-03-03T03:01:00Z");
    assert!(!frozen(&world));
    let id = InstanceId::new(machine);
    let by_timer = world.account(|a| a.guest(&id).unwrap().thawed_by_timer.len());
    assert_eq!(by_timer, 1);
}

#[tokio::test]
async fn writes_are_let_go_when_the_call_is_refused_or_its_answer_lost() {
    let busy = ApiError::new("SnapshotLimitExceeded", "too many");
    for (fault, snapshots) in [(Fault::Error(busy), 0), (Fault::AppliedButResponseLost, 2)] {
        let world = world(&application("skip"), |_| {}).await;
        world.inject(FaultRule::next("CreateSnapshots", fault));
        let create = world.patient_function("create-snapshots");
        let report = report(&create, &world.heartbeat(SLOT)).await;
        assert_eq!(
            order(&world),
            ["pre-script", "CreateSnapshots", "post-script"]
        );
        assert!(!frozen(&world));
        assert_eq!(world.snapshots().len(), snapshots, "{report:#}");
        // Found again by its tags; nobody saw when EC2 took it.
        for item in items(&report, "created") {
            assert_eq!(codes(item), ["adopted", "crash-consistent"]);
        }
    }
}

#[tokio::test]
async fn a_lost_answer_to_a_command_is_asked_for_again_with_the_same_execution() {
    let world = world(&application("skip"), |_| {}).await;
    let lost = FaultRule::next("SendCommand", Fault::AppliedButResponseLost);
    world.inject(lost);
    let create = world.patient_function("create-snapshots");
    let taken = report(&create, &world.heartbeat(SLOT)).await;
    assert_eq!(taken["summary"], json!({ "created": 2 }), "{taken:#}");
    let sent = ["pre-script", "pre-script", "CreateSnapshots", "post-script"];
    assert_eq!(order(&world), sent);
    let commands = world.account(|account| account.commands().to_vec());
    let first = &commands[0].execution;
    assert!(commands.iter().all(|command| command.execution == *first));
    assert!(!frozen(&world));
}

#[tokio::test]
async fn nothing_is_frozen_with_less_time_left_than_a_freeze_may_take() {
    let slow = application("skip").replace("timeout: 10s", "timeout: 60s");
    let world = world(&slow, |_| {}).await;
    let mut config = world.local.function_config("create-snapshots").unwrap();
    // Half of it is kept for the end; the other half is less than 60 + 20 + 60 seconds.
    config.timeout = std::time::Duration::from_secs(120);
    let create = holdfast_local_aws::lambda::Function::start(config).unwrap();
    let put_off = report(&create, &world.heartbeat(SLOT)).await;
    let item = item_of(&put_off, &machine(&world));
    assert_eq!(item["outcome"], "deferred");
    assert_eq!(codes(item), ["out-of-time"]);
    assert_eq!(put_off["run"]["complete"], false);
    assert_eq!(order(&world), [""; 0]);
}

#[tokio::test]
async fn stopped_takes_stopped_instances_and_no_others_until_they_stop() {
    let world = World::new(&policy("consistency: stopped"), "plan", |account| {
        for state in [InstanceState::Stopped, InstanceState::Running] {
            let volume = account.seed_volume(VolumeSeed::default());
            let scratch = account.seed_volume(VolumeSeed {
                tags: tags(&[("Scratch", "yes")]),
                ..VolumeSeed::default()
            });
            let devices = vec![
                ("/dev/xvda".to_owned(), volume),
                ("/dev/sdb".to_owned(), scratch),
            ];
            account.seed_instance(InstanceSeed {
                state,
                devices,
                tags: tags(&[("Backup", "nightly")]),
                ..InstanceSeed::default()
            });
        }
    })
    .await;
    let running = world.account(|account| {
        let mut all = account.instances();
        let running = all.find(|i| i.state == InstanceState::Running);
        running.unwrap().id.clone()
    });
    let create = world.patient_function("create-snapshots");
    let first = report(&create, &world.heartbeat(SLOT)).await;
    let created = items(&first, "created");
    assert_eq!(created.len(), 1, "{first:#}");
    assert_eq!(codes(created[0]), ["quiet"]);
    let id = created[0]["resource"].as_str().unwrap();
    assert_eq!(level(&world, id), "stopped");
    let node = world.item(&format!("node#{id}"), "node").unwrap();
    assert_eq!(node["excluded"]["L"].as_array().unwrap().len(), 1);
    let failed = item_of(&first, running.as_str());
    assert_eq!(failed["outcome"], "failed");
    assert_eq!(codes(failed), ["instance-state"]);
    assert_eq!(first["run"]["complete"], false);
    assert_eq!(world.snapshots()[0].tags["holdfast:consistency"], "stopped");
    assert!(!world.calls().iter().any(|call| call == "StopInstances"));

    let stop =
        holdfast_sim::request::Request::StopInstances(holdfast_sim::request::StopInstances {
            ids: vec![running.to_string()],
        });
    world.account(|account| account.call(&stop)).unwrap();
    let later = report(&create, &world.heartbeat("2026-03-03T03:20:00Z")).await;
    assert_eq!(resources(&items(&later, "created")).len(), 1, "{later:#}");
    assert_eq!(later["run"]["complete"], true);
}

#[tokio::test]
async fn an_ami_carries_the_level_that_was_asked_for_and_is_made_of_a_stopped_instance_only() {
    let text = r#"
version: 1
policies:
  - name: golden
    protect: instances
    select: { instances: { tags: { Backup: nightly } } }
    schedule: "cron(0 3 * * ? *)"
    retain: { last: 2 }
    consistency: stopped
"#;
    let world = World::new(text, "plan", |account| {
        seed_instance(account, 0, &[("Backup", "nightly")]);
    })
    .await;
    let create = world.function("create-images");
    let failed = report(&create, &world.heartbeat(SLOT)).await;
    assert_eq!(
        codes(item_of(&failed, &machine(&world))),
        ["instance-state"]
    );
    let images = |world: &World| world.account(|a| a.images().cloned().collect::<Vec<_>>());
    assert!(images(&world).is_empty());
    world.set_policies(&text.replace("    consistency: stopped\n", ""));
    report(&create, &world.heartbeat("2026-03-03T03:05:00Z")).await;
    let made = images(&world);
    assert_eq!(made[0].tags["holdfast:consistency"], "crash");
    for snapshot in world.snapshots() {
        assert_eq!(snapshot.tags["holdfast:consistency"], "crash");
    }
}
