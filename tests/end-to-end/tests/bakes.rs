//! Backups that a change of an instance's state asks for: made once, put off by the cooldown, found
//! where the event was lost, and never made of a machine that has moved on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_core::id::InstanceId;
use holdfast_core::inventory::InstanceState;
use holdfast_end_to_end::{World, codes, item_of, items, report, tags};
use holdfast_sim::request::{Request, StartInstances, TerminateInstances};
use holdfast_sim::{Image, InstanceSeed, VolumeSeed};
use jiff::SignedDuration;
use serde_json::{Value, json};

const ID: &str = "i-0aaa1111bbb2222cc";
const BAKES: &str = r#"
version: 1
policies:
  - name: bakes
    protect: instances
    select: { instances: { tags: { Backup: nightly } } }
    triggers: [stopped, running, spot-interruption]
    retain: { last: 7 }
"#;

/// A machine with one volume, changed as the test needs it.
async fn world(policies: &str, change: impl FnOnce(&mut InstanceSeed) + Send + 'static) -> World {
    World::new(policies, "plan", |account| {
        let volume = account.seed_volume(VolumeSeed::default());
        let mut seed = InstanceSeed {
            id: Some(InstanceId::new(ID)),
            devices: vec![("/dev/xvda".to_owned(), volume)],
            tags: tags(&[("Backup", "nightly")]),
            ..InstanceSeed::default()
        };
        change(&mut seed);
        account.seed_instance(seed);
    })
    .await
}

fn only(trigger: &str) -> String {
    BAKES.replace(
        "triggers: [stopped, running, spot-interruption]",
        &format!("triggers: [{trigger}]"),
    )
}

fn images(world: &World) -> Vec<Image> {
    world.account(|account| account.images().cloned().collect())
}

/// A call at this time and what comes of it within 20 seconds.
fn call(world: &World, time: &str, request: &Request) {
    world.advance(time);
    world.account(|account| {
        account.call(request).unwrap();
        account.advance_by(SignedDuration::from_secs(20));
    });
}

fn stop(world: &World, time: &str) {
    world.stop(time, ID);
}

fn start(world: &World, time: &str) {
    let ids = vec![ID.to_owned()];
    call(
        world,
        time,
        &Request::StartInstances(StartInstances { ids }),
    );
}

fn warning(world: &World, time: &str, action: &str) -> Value {
    let mut event = world.state_change(time, ID, "");
    event["detail-type"] = json!("EC2 Spot Instance Interruption Warning");
    event["detail"] = json!({ "instance-id": ID, "instance-action": action });
    event
}

fn level(world: &World) -> String {
    let node = format!("node#{}", images(world)[0].id);
    let node = world.item(&node, "node").unwrap();
    node["consistency"]["S"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn ten_restarts_within_the_cooldown_make_two_backups_the_last_of_the_last_stop() {
    let world = world(&only("stopped"), |_| {}).await;
    let create = world.function("create-images");
    let mut created = 0;
    for n in 0..10 {
        let minute = 6 * n;
        stop(&world, &format!("2026-03-03T10:{minute:02}:00Z"));
        let event = world.state_change(&format!("2026-03-03T10:{minute:02}:10Z"), ID, "stopped");
        let told = report(&create, &event).await;
        created += items(&told, "created").len();
        if n > 0 {
            assert_eq!(codes(items(&told, "deferred")[0]), ["cooldown"], "{told:#}");
            assert_eq!(told["run"]["complete"], false);
        }
        if n < 9 {
            start(&world, &format!("2026-03-03T10:{:02}:00Z", minute + 3));
        }
    }
    assert_eq!((created, images(&world).len()), (1, 1));
    // The stops after which it was started again are over, and said; the last one waits.
    let beat = report(&create, &world.heartbeat("2026-03-03T10:59:00Z")).await;
    let over = items(&beat, "skipped");
    assert_eq!(over.len(), 8, "{beat:#}");
    assert!(over.iter().all(|item| codes(item) == ["cooldown"]));
    assert_eq!(codes(items(&beat, "deferred")[0]), ["cooldown"]);
    // The first was for 10:00:10, and the cooldown is an hour.
    let beat = report(&create, &world.heartbeat("2026-03-03T11:00:09Z")).await;
    assert_eq!(codes(items(&beat, "deferred")[0]), ["cooldown"]);
    let beat = report(&create, &world.heartbeat("2026-03-03T11:00:10Z")).await;
    let made = items(&beat, "created");
    assert_eq!(made.len(), 1, "{beat:#}");
    assert_eq!(made[0]["slot"], "2026-03-03T10:54:10Z");
    assert_eq!(codes(made[0]), ["quiet"]);
    let beat = report(&create, &world.heartbeat("2026-03-03T11:05:00Z")).await;
    assert_eq!(beat["items"], json!([]));
    assert_eq!(images(&world).len(), 2);
}

#[tokio::test]
async fn what_the_cooldown_holds_when_the_next_slot_is_due_is_left_to_that_slot() {
    let both = only("stopped").replace("retain:", "schedule: \"cron(30 10 * * ? *)\"\n    retain:");
    let world = world(&both, |_| {}).await;
    let create = world.function("create-images");
    report(&create, &world.heartbeat("2026-03-03T09:00:00Z")).await;
    stop(&world, "2026-03-03T10:00:00Z");
    let event = world.state_change("2026-03-03T10:00:10Z", ID, "stopped");
    assert_eq!(items(&report(&create, &event).await, "created").len(), 1);
    start(&world, "2026-03-03T10:10:00Z");
    stop(&world, "2026-03-03T10:20:00Z");
    let event = world.state_change("2026-03-03T10:20:10Z", ID, "stopped");
    let told = report(&create, &event).await;
    assert_eq!(codes(items(&told, "deferred")[0]), ["cooldown"]);
    let beat = report(&create, &world.heartbeat("2026-03-03T10:30:00Z")).await;
    assert_eq!(items(&beat, "created")[0]["slot"], "2026-03-03T10:30:00Z");
    assert_eq!(codes(items(&beat, "skipped")[0]), ["cooldown"], "{beat:#}");
    assert_eq!(items(&beat, "finding").len(), 0);
    // The ledger has that it was decided, so nobody takes it for a lost event.
    let record = world.item(&format!("slot#bakes#{ID}"), "2026-03-03T10:20:10Z");
    assert_eq!(record.unwrap()["state"]["S"], "failed");
    let checked = world.reconcile("2026-03-03T12:00:00Z").await;
    assert_eq!(items(&checked, "finding").len(), 0, "{checked:#}");
}

#[tokio::test]
async fn a_machine_is_baked_after_its_boot_and_not_when_it_has_stopped_since() {
    let world = world(&only("running"), |seed| seed.state = InstanceState::Stopped).await;
    let create = world.function("create-images");
    start(&world, "2026-03-03T10:00:00Z");
    let event = world.state_change("2026-03-03T10:00:10Z", ID, "running");
    let told = report(&create, &event).await;
    assert_eq!(items(&told, "created").len(), 1, "{told:#}");
    stop(&world, "2026-03-03T12:00:00Z");
    start(&world, "2026-03-03T12:10:00Z");
    stop(&world, "2026-03-03T12:20:00Z");
    let late = world.state_change("2026-03-03T12:10:10Z", ID, "running");
    let told = report(&create, &late).await;
    assert_eq!(
        codes(items(&told, "skipped")[0]),
        ["instance-state"],
        "{told:#}"
    );
    assert_eq!(images(&world).len(), 1);
}

#[tokio::test]
async fn a_late_stop_takes_no_snapshots_of_a_machine_that_runs_again() {
    let volumes = only("stopped").replace("protect: instances", "protect: volumes");
    let world = world(&volumes, |_| {}).await;
    stop(&world, "2026-03-03T10:00:00Z");
    start(&world, "2026-03-03T10:05:00Z");
    let late = world.state_change("2026-03-03T10:00:10Z", ID, "stopped");
    let create = world.function("create-snapshots");
    let told = report(&create, &late).await;
    assert_eq!(
        codes(items(&told, "skipped")[0]),
        ["instance-state"],
        "{told:#}"
    );
    // Stopped once more: the event of the first stop is not that of this one.
    stop(&world, "2026-03-03T10:30:00Z");
    let told = report(&create, &late).await;
    assert_eq!(items(&told, "created").len(), 0, "{told:#}");
    assert_eq!(world.snapshots().len(), 0);
}

#[tokio::test]
async fn two_events_of_one_stop_make_one_backup() {
    let world = world(&only("stopped"), |_| {}).await;
    stop(&world, "2026-03-03T10:00:00Z");
    let create = world.function("create-images");
    for (time, outcome, code) in [
        ("2026-03-03T10:00:10Z", "created", "quiet"),
        ("2026-03-03T10:00:11Z", "skipped", "already-created"),
        ("2026-03-03T14:00:00Z", "skipped", "already-created"),
    ] {
        let event = world.state_change(time, ID, "stopped");
        let told = report(&create, &event).await;
        assert_eq!(codes(items(&told, outcome)[0]), [code], "{told:#}");
    }
    assert_eq!(images(&world).len(), 1);
}

#[tokio::test]
async fn an_interruption_is_baked_at_once_whatever_the_cooldown_and_without_a_reboot() {
    let reboots = BAKES.replace("retain:", "reboot: true\n    retain:");
    let world = world(&reboots, |seed| seed.state = InstanceState::Stopped).await;
    let create = world.function("create-images");
    start(&world, "2026-03-03T10:00:00Z");
    let event = world.state_change("2026-03-03T10:00:10Z", ID, "running");
    assert_eq!(items(&report(&create, &event).await, "created").len(), 1);
    world.advance("2026-03-03T10:20:00Z");
    let told = report(&create, &warning(&world, "2026-03-03T10:20:00Z", "stop")).await;
    assert_eq!(codes(items(&told, "created")[0]), ["not-quiet"], "{told:#}");
    let reboots = |world: &World| world.account(|a| a.instances().next().unwrap().reboots);
    assert_eq!((images(&world).len(), reboots(&world)), (2, 1));
}

#[tokio::test]
async fn an_interruption_that_finds_the_machine_terminated_is_a_failed_item() {
    let world = world(BAKES, |_| {}).await;
    let ids = vec![ID.to_owned()];
    let terminate = Request::TerminateInstances(TerminateInstances { ids });
    call(&world, "2026-03-03T10:02:00Z", &terminate);
    let create = world.function("create-images");
    let told = report(
        &create,
        &warning(&world, "2026-03-03T10:00:00Z", "terminate"),
    )
    .await;
    assert_eq!(
        codes(items(&told, "failed")[0]),
        ["instance-state"],
        "{told:#}"
    );
    let stop = world.state_change("2026-03-03T10:01:00Z", ID, "stopped");
    let told = report(&create, &stop).await;
    assert_eq!(
        codes(items(&told, "skipped")[0]),
        ["instance-state"],
        "{told:#}"
    );
    assert_eq!(told["run"]["complete"], true);
    assert_eq!(images(&world).len(), 0);
}

#[tokio::test]
async fn a_lost_event_is_found_made_up_for_once_and_not_made_again_when_it_comes_after_all() {
    for protect in ["instances", "volumes"] {
        let policies =
            only("stopped").replace("protect: instances", &format!("protect: {protect}"));
        let world = world(&policies, |_| {}).await;
        let name = if protect == "volumes" {
            "create-snapshots"
        } else {
            "create-images"
        };
        let create = world.function(name);
        report(&create, &world.heartbeat("2026-03-03T09:55:00Z")).await;
        stop(&world, "2026-03-03T10:00:00Z");
        let early = world.reconcile("2026-03-03T10:10:00Z").await;
        assert_eq!(items(&early, "finding").len(), 0, "{early:#}");
        let found = world.reconcile("2026-03-03T11:00:00Z").await;
        assert_eq!(codes(item_of(&found, ID)), ["event-lost"], "{found:#}");
        assert_eq!(item_of(&found, ID)["outcome"], "finding");
        let beat = report(&create, &world.heartbeat("2026-03-03T11:05:00Z")).await;
        let made = items(&beat, "created");
        assert_eq!(
            (made.len(), &made[0]["slot"]),
            (1, &json!("2026-03-03T11:00:00Z"))
        );
        let after = world.reconcile("2026-03-03T12:00:00Z").await;
        let findings: Vec<_> = items(&after, "finding");
        assert_eq!(findings.len(), 0, "{after:#}");
        let late = world.state_change("2026-03-03T10:00:10Z", ID, "stopped");
        let told = report(&create, &late).await;
        assert_eq!(
            codes(items(&told, "skipped")[0]),
            ["already-created"],
            "{told:#}"
        );
        let beat = report(&create, &world.heartbeat("2026-03-03T12:05:00Z")).await;
        assert_eq!(beat["items"], json!([]));
        assert_eq!(world.snapshots().len(), 1);
    }
}

#[tokio::test]
async fn a_put_off_stop_is_no_lost_event() {
    let long = only("stopped").replace("retain:", "cooldown: 4h\n    retain:");
    let world = world(&long, |_| {}).await;
    let create = world.function("create-images");
    for (time, again) in [("10:00", true), ("10:20", false)] {
        stop(&world, &format!("2026-03-03T{time}:00Z"));
        let event = world.state_change(&format!("2026-03-03T{time}:10Z"), ID, "stopped");
        report(&create, &event).await;
        if again {
            start(&world, "2026-03-03T10:10:00Z");
        }
    }
    let checked = world.reconcile("2026-03-03T13:00:00Z").await;
    assert_eq!(items(&checked, "finding").len(), 0, "{checked:#}");
    // More than an hour after its event, and made all the same.
    let beat = report(&create, &world.heartbeat("2026-03-03T14:00:10Z")).await;
    let made = items(&beat, "created");
    assert_eq!(made[0]["slot"], "2026-03-03T10:20:10Z", "{beat:#}");
    assert_eq!(items(&beat, "finding").len(), 0);
}

#[tokio::test]
async fn an_instance_of_an_auto_scaling_group_is_baked_and_never_rebooted() {
    let reboots = only("running").replace("retain:", "reboot: true\n    retain:");
    let world = world(&reboots, |seed| {
        let group = ("aws:autoscaling:groupName".to_owned(), "web".to_owned());
        seed.tags.extend([group]);
    })
    .await;
    let create = world.function("create-images");
    let event = world.state_change("2026-03-03T10:00:00Z", ID, "running");
    let told = report(&create, &event).await;
    assert_eq!(codes(items(&told, "created")[0]), ["not-quiet"], "{told:#}");
    let words = items(&told, "created")[0]["reasons"][0]["detail"].as_str();
    assert!(words.unwrap().contains("Auto Scaling group"), "{words:?}");
    let reboots = world.account(|account| account.instances().next().unwrap().reboots);
    assert_eq!((images(&world).len(), reboots), (1, 0));
}

#[tokio::test]
async fn a_hibernated_machine_is_baked_and_never_called_quiet() {
    let world = world(&only("stopped"), |seed| {
        seed.state = InstanceState::Stopped;
        seed.hibernation = true;
        seed.state_reason = Some("Client.UserInitiatedHibernate".to_owned());
    })
    .await;
    let create = world.function("create-images");
    let event = world.state_change("2026-03-03T10:00:00Z", ID, "stopped");
    let told = report(&create, &event).await;
    assert_eq!(codes(items(&told, "created")[0]), ["not-quiet"], "{told:#}");
    assert_eq!(level(&world), "crash");
    // One that takes stopped machines alone refuses it.
    let strict = only("stopped")
        .replace("name: bakes", "name: strict")
        .replace("retain:", "consistency: stopped\n    retain:");
    world.set_policies(&strict);
    let told = report(&create, &event).await;
    assert_eq!(
        codes(items(&told, "failed")[0]),
        ["instance-state"],
        "{told:#}"
    );
    assert_eq!(images(&world).len(), 1);
}

#[tokio::test]
async fn an_instance_store_root_that_boots_is_refused_for_good() {
    let world = world(&only("running"), |seed| {
        seed.root_device_type = "instance-store".to_owned();
    })
    .await;
    let create = world.function("create-images");
    let event = world.state_change("2026-03-03T10:00:00Z", ID, "running");
    let told = report(&create, &event).await;
    assert_eq!(
        codes(items(&told, "failed")[0]),
        ["not-covered"],
        "{told:#}"
    );
    assert_eq!(told["run"]["complete"], true);
    // Decided, and so no lost event.
    let checked = world.reconcile("2026-03-03T12:00:00Z").await;
    let lost = items(&checked, "finding");
    assert!(
        lost.iter().all(|item| codes(item) != ["event-lost"]),
        "{checked:#}"
    );
}

#[tokio::test]
async fn a_bake_that_ec2_fails_is_made_under_the_next_name_whatever_the_cooldown() {
    let world = world(&only("stopped"), |_| {}).await;
    stop(&world, "2026-03-03T10:00:00Z");
    world.account(|account| account.fail_next_image("Internal error"));
    let create = world.function("create-images");
    let slot = "2026-03-03T10:00:10Z";
    report(&create, &world.state_change(slot, ID, "stopped")).await;
    let checked = world.reconcile("2026-03-03T10:30:00Z").await;
    assert!(
        items(&checked, "finding")
            .iter()
            .any(|i| codes(i) == ["failed-backup"]),
        "{checked:#}"
    );
    let record = world.item(&format!("slot#bakes#{ID}"), slot).unwrap();
    assert_eq!(record["error"]["S"], "Internal error");
    world.age_failure("bakes", ID, slot);
    let beat = report(&create, &world.heartbeat("2026-03-03T10:35:00Z")).await;
    assert_eq!(items(&beat, "created").len(), 1, "{beat:#}");
    let mut names: Vec<String> = images(&world).into_iter().map(|i| i.name).collect();
    names.sort();
    let name = |attempt| format!("holdfast/bakes/{ID}/20260303T100010Z/{attempt}");
    assert_eq!(names, [name(1), name(2)]);
}
