//! create-images: one AMI for each policy, slot and instance, and what is said about it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_core::inventory::{InstanceState, VolumeState};
use holdfast_end_to_end::{World, codes, error, item_of, items, report, seed_instance, tags};
use holdfast_sim::request::{
    CreateImage, Request, StartInstances, StopInstances, TagSpecification,
};
use holdfast_sim::{
    Account, ApiError, DeviceTarget, Fault, FaultRule, Image, InstanceSeed, Response,
};
use jiff::SignedDuration;
use serde_json::{Value, json};

const NIGHTLY: &str = r#"
version: 1
policies:
  - name: nightly-web
    protect: instances
    select:
      instances: { tags: { Backup: nightly } }
      exclude: { tags: { Scratch: "*" } }
    schedule: "cron(0 3 * * ? *)"
    retain: { daily: 7 }
"#;
const SLOT: &str = "2026-03-03T03:00:00Z";
const STOPPED_AT: &str = "2026-03-03T12:00:01Z";

fn bake() -> String {
    NIGHTLY.replace("schedule: \"cron(0 3 * * ? *)\"", "triggers: [stopped]")
}

async fn world_of(policies: &str, data: usize) -> (World, String) {
    let world = World::new(policies, "plan", move |account| {
        seed_instance(account, data, &[("Backup", "nightly"), ("Name", "web")]);
    })
    .await;
    let instance = world.account(|account| account.instances().next().unwrap().id.to_string());
    (world, instance)
}

fn images(world: &World) -> Vec<Image> {
    world.account(|account| account.images().cloned().collect())
}

fn name(instance: &str, attempt: u32) -> String {
    format!("holdfast/nightly-web/{instance}/20260303T030000Z/{attempt}")
}

fn stop(world: &World, instance: &str) {
    let ids = vec![instance.to_owned()];
    let request = Request::StopInstances(StopInstances { ids });
    world.account(|account| {
        account.call(&request).unwrap();
        account.advance_by(SignedDuration::from_secs(20));
        let state = &account.instances().next().unwrap().state;
        assert_eq!(*state, InstanceState::Stopped);
    });
}

fn start(instance: &str) -> Request {
    Request::StartInstances(StartInstances {
        ids: vec![instance.to_owned()],
    })
}

fn calls_of(world: &World, operation: &str) -> usize {
    world
        .calls()
        .iter()
        .filter(|call| *call == operation)
        .count()
}

fn slot_record(world: &World, instance: &str, slot: &str) -> Value {
    let pk = format!("slot#nightly-web#{instance}");
    world.item(&pk, slot).unwrap()
}

#[tokio::test]
async fn an_ami_has_the_contracts_name_both_tag_sets_and_is_made_without_a_reboot() {
    let (world, instance) = world_of(NIGHTLY, 2).await;
    let create = world.function("create-images");
    let beat = report(&create, &world.heartbeat("2026-03-03T03:02:00Z")).await;
    assert_eq!(beat["summary"], json!({ "created": 1 }), "{beat:#}");
    assert_eq!(beat["run"]["function"], "create-images");

    let image = images(&world).remove(0);
    assert_eq!(image.name, name(&instance, 1));
    let item = item_of(&beat, image.id.as_str());
    assert_eq!(item["source"], instance.as_str());
    assert_eq!(item["slot"], SLOT);
    let (reboots, snapshots) = world.account(|account| {
        let reboots = account.instances().next().unwrap().reboots;
        (reboots, account.snapshots().cloned().collect::<Vec<_>>())
    });
    assert_eq!(reboots, 0);
    assert_eq!(snapshots.len(), 3);
    for (found, artifact) in std::iter::once((&image.tags, "image"))
        .chain(snapshots.iter().map(|s| (&s.tags, "image-snapshot")))
    {
        assert_eq!(found["holdfast:managed"], "true");
        assert_eq!(found["holdfast:artifact"], artifact);
        assert_eq!(found["holdfast:policy"], "nightly-web");
        assert_eq!(found["holdfast:source"], instance);
        assert_eq!(found["holdfast:slot"], SLOT);
        assert_eq!(found["Name"], "web");
    }
    assert_eq!(
        slot_record(&world, &instance, SLOT)["state"]["S"],
        "created"
    );
    let node = format!("node#{}", image.id);
    let edge = format!("out#image-of#{instance}");
    assert!(world.item(&node, &edge).is_some());
    assert_eq!(world.item(&node, "node").unwrap()["state"]["S"], "pending");

    let quiet = report(&create, &world.heartbeat("2026-03-03T03:07:00Z")).await;
    assert_eq!(quiet["items"], json!([]));
    let snapshots = world.function("create-snapshots");
    let other = report(&snapshots, &world.heartbeat("2026-03-03T03:07:00Z")).await;
    assert_eq!(other["items"], json!([]), "AMIs are not its business");
}

#[tokio::test]
async fn an_excluded_data_volume_is_left_out_and_an_excluded_root_is_not() {
    let (world, instance) = world_of(NIGHTLY, 2).await;
    let devices = world.account(|account| {
        let machine = account.instances().next().unwrap().clone();
        let scratch = |n: usize| machine.devices[n].volume.to_string();
        let request = Request::CreateTags(holdfast_sim::request::CreateTags {
            resources: vec![scratch(0), scratch(2)],
            tags: vec![("Scratch".into(), "yes".into())],
        });
        account.call(&request).unwrap();
        machine.devices
    });
    let create = world.function("create-images");
    let beat = report(&create, &world.heartbeat(SLOT)).await;
    assert_eq!(beat["summary"], json!({ "created": 1 }), "{beat:#}");
    let image = images(&world).remove(0);
    let mapped: Vec<&str> = image.mappings.iter().map(|m| m.device.as_str()).collect();
    assert_eq!(mapped, [&devices[0].device, &devices[1].device]);
    assert_eq!(image.source_instance.unwrap().as_str(), instance);
}

#[tokio::test]
async fn the_same_heartbeat_from_two_processes_makes_one_ami() {
    let (world, _) = world_of(NIGHTLY, 0).await;
    let (one, two) = (
        world.function("create-images"),
        world.function("create-images"),
    );
    let beat = world.heartbeat(SLOT);
    let (first, second) = tokio::join!(report(&one, &beat), report(&two, &beat));
    report(&one, &beat).await;
    assert_eq!(images(&world).len(), 1, "{first:#} {second:#}");
}

#[tokio::test]
async fn a_lost_response_leaves_one_ami_which_is_found_by_its_name() {
    let (world, instance) = world_of(NIGHTLY, 0).await;
    let create = world.function("create-images");
    world.inject(FaultRule::next(
        "CreateImage",
        Fault::AppliedButResponseLost,
    ));
    let beat = report(&create, &world.heartbeat(SLOT)).await;
    assert_eq!(codes(items(&beat, "created")[0]), ["adopted"], "{beat:#}");
    assert_eq!(calls_of(&world, "CreateImage"), 1);
    assert_eq!(images(&world).len(), 1);
    assert_eq!(
        slot_record(&world, &instance, SLOT)["state"]["S"],
        "created"
    );
}

#[tokio::test]
async fn an_ami_that_no_list_shows_yet_is_found_when_its_name_is_refused() {
    let (world, instance) = world_of(NIGHTLY, 0).await;
    let create = world.function("create-images");
    world.account(|account| {
        account.settings_mut().list_lag = SignedDuration::from_mins(8);
        account.inject(FaultRule::next(
            "CreateImage",
            Fault::AppliedButResponseLost,
        ));
    });
    let first = report(&create, &world.heartbeat(SLOT)).await;
    assert_eq!(codes(items(&first, "deferred")[0]), ["outcome-unknown"]);
    // Two minutes without a trace: it is asked for again, under the same name, and EC2 refuses.
    world.age_request("nightly-web", &instance, SLOT, SignedDuration::from_mins(3));
    let second = report(&create, &world.heartbeat("2026-03-03T03:05:00Z")).await;
    assert_eq!(
        codes(items(&second, "deferred")[0]),
        ["outcome-unknown"],
        "{second:#}"
    );
    world.age_request("nightly-web", &instance, SLOT, SignedDuration::from_mins(3));
    let third = report(&create, &world.heartbeat("2026-03-03T03:10:00Z")).await;
    assert_eq!(codes(items(&third, "created")[0]), ["adopted"], "{third:#}");
    assert_eq!(images(&world).len(), 1);
}

#[tokio::test]
async fn a_foreign_image_of_that_name_is_an_error_and_not_taken_over() {
    let (world, instance) = world_of(NIGHTLY, 0).await;
    let taken = name(&instance, 1);
    let (from, foreign) = (instance.clone(), taken.clone());
    world.account(move |account| {
        account
            .call(&Request::CreateImage(CreateImage {
                instance: from,
                name: foreign,
                description: None,
                no_reboot: true,
                mappings: Vec::new(),
                tags: vec![TagSpecification::new("image", [("Owner", "somebody")])],
            }))
            .unwrap();
    });
    let create = world.function("create-images");
    let beat = report(&create, &world.heartbeat(SLOT)).await;
    assert_eq!(codes(items(&beat, "failed")[0]), ["name-taken"], "{beat:#}");
    assert_eq!(beat["run"]["complete"], true, "asking again does not help");
    assert_eq!(images(&world).len(), 1);
    assert_eq!(slot_record(&world, &instance, SLOT)["state"]["S"], "failed");
}

#[tokio::test]
async fn a_failed_ami_found_by_its_name_means_the_next_attempt_a_quarter_of_an_hour_later() {
    let (world, instance) = world_of(NIGHTLY, 0).await;
    let create = world.function("create-images");
    world.account(|account| {
        account.fail_next_image("the volume could not be read");
        account.inject(FaultRule::next("CreateImage", Fault::AppliedThenHang));
    });
    let beat = world.heartbeat(SLOT);
    let running = tokio::spawn({
        let create = create.clone();
        async move { create.invoke(&beat).await.unwrap() }
    });
    let made = async {
        while images(&world).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), made)
        .await
        .unwrap();
    create.kill().await;
    running.await.unwrap();
    world.age_lease("create-images#nightly-web");
    world.age_request("nightly-web", &instance, SLOT, SignedDuration::from_mins(3));

    let failed = report(&create, &world.heartbeat("2026-03-03T03:10:00Z")).await;
    let item = items(&failed, "failed")[0];
    assert_eq!(codes(item), ["failed-backup"]);
    let words = item["reasons"][0]["detail"].as_str().unwrap();
    assert!(words.contains("the volume could not be read"), "{words}");
    let waits = report(&create, &world.heartbeat("2026-03-03T03:15:00Z")).await;
    assert_eq!(codes(items(&waits, "deferred")[0]), ["retry-later"]);
    let pk = format!("slot#nightly-web#{instance}");
    world.change(&pk, SLOT, |item| {
        item["failed_at"] = json!({ "S": "2026-03-03T03:10:00Z" });
    });
    let again = report(&create, &world.heartbeat("2026-03-03T03:30:00Z")).await;
    assert_eq!(items(&again, "created").len(), 1, "{again:#}");
    let names: Vec<String> = images(&world).into_iter().map(|image| image.name).collect();
    assert!(names.contains(&name(&instance, 2)), "{names:?}");
}

#[tokio::test]
async fn where_the_policy_reboots_a_slot_reboots_once_however_often_it_is_asked_for() {
    let policies = NIGHTLY.replace("    retain:", "    reboot: true\n    retain:");
    let (world, instance) = world_of(&policies, 0).await;
    let create = world.function("create-images");
    let refused = ApiError::new("InternalError", "An internal error has occurred.");
    world.inject(FaultRule::next("CreateImage", Fault::Error(refused)));
    let first = report(&create, &world.heartbeat(SLOT)).await;
    assert_eq!(
        codes(items(&first, "deferred")[0]),
        ["outcome-unknown"],
        "{first:#}"
    );
    world.age_request("nightly-web", &instance, SLOT, SignedDuration::from_mins(3));
    report(&create, &world.heartbeat("2026-03-03T03:05:00Z")).await;
    // Nobody knows whether the call without an answer rebooted it, so the second does not.
    let reboots = world.account(|account| account.instances().next().unwrap().reboots);
    assert_eq!((images(&world).len(), reboots), (1, 0));

    let throttled = FaultRule::next("CreateImage", Fault::Error(ApiError::throttled()));
    world.inject(throttled.times(20));
    report(&create, &world.heartbeat("2026-03-04T03:00:00Z")).await;
    world.account(Account::clear_faults);
    report(&create, &world.heartbeat("2026-03-04T03:05:00Z")).await;
    let reboots = world.account(|account| account.instances().next().unwrap().reboots);
    assert_eq!(reboots, 1, "a call that EC2 refused has rebooted nothing");
}

#[tokio::test]
async fn an_instance_that_stops_is_baked_once_however_often_the_event_comes_and_is_quiet() {
    let (world, instance) = world_of(&bake(), 1).await;
    world.advance(STOPPED_AT);
    stop(&world, &instance);
    let event = world.state_change(STOPPED_AT, &instance, "stopped");
    let create = world.function("create-images");
    let first = report(&create, &event).await;
    assert_eq!(codes(items(&first, "created")[0]), ["quiet"], "{first:#}");
    let again = report(&create, &event).await;
    assert_eq!(codes(items(&again, "created")[0]), ["already-created"]);
    let other = report(&world.function("create-images"), &event).await;
    assert_eq!(codes(items(&other, "created")[0]), ["already-created"]);
    assert_eq!(images(&world).len(), 1);
    let node = format!("node#{}", images(&world)[0].id);
    assert_eq!(
        world.item(&node, "node").unwrap()["consistency"]["S"],
        "stopped"
    );
    let beat = report(&create, &world.heartbeat("2026-03-03T12:05:00Z")).await;
    assert_eq!(beat["items"], json!([]));
}

#[tokio::test]
async fn a_machine_that_has_started_again_is_not_baked_for_its_stop() {
    let (world, instance) = world_of(&bake(), 0).await;
    let event = world.state_change(STOPPED_AT, &instance, "stopped");
    let create = world.function("create-images");
    let late = report(&create, &event).await;
    assert_eq!(
        codes(items(&late, "skipped")[0]),
        ["instance-state"],
        "{late:#}"
    );
    assert_eq!(images(&world).len(), 0);
    let beat = report(&create, &world.heartbeat("2026-03-03T12:05:00Z")).await;
    assert_eq!(beat["items"], json!([]));
}

#[tokio::test]
async fn a_start_between_the_call_and_its_answer_is_never_recorded_as_quiet() {
    let (world, instance) = world_of(&bake(), 0).await;
    world.advance(STOPPED_AT);
    stop(&world, &instance);
    world.inject(FaultRule::next(
        "CreateImage",
        Fault::FollowedBy(Box::new(start(&instance))),
    ));
    let create = world.function("create-images");
    let event = world.state_change(STOPPED_AT, &instance, "stopped");
    let baked = report(&create, &event).await;
    assert_eq!(
        codes(items(&baked, "created")[0]),
        ["not-quiet"],
        "{baked:#}"
    );
    let node = format!("node#{}", images(&world)[0].id);
    assert_eq!(
        world.item(&node, "node").unwrap()["consistency"]["S"],
        "crash"
    );
}

#[tokio::test]
async fn an_ami_whose_making_nobody_watched_to_the_end_is_not_called_quiet() {
    let (world, instance) = world_of(&bake(), 0).await;
    world.advance(STOPPED_AT);
    stop(&world, &instance);
    world.inject(FaultRule::next(
        "CreateImage",
        Fault::AppliedButResponseLost,
    ));
    let create = world.function("create-images");
    let event = world.state_change(STOPPED_AT, &instance, "stopped");
    let baked = report(&create, &event).await;
    assert_eq!(codes(items(&baked, "created")[0]), ["adopted"], "{baked:#}");
    let node = format!("node#{}", images(&world)[0].id);
    assert_eq!(
        world.item(&node, "node").unwrap()["consistency"]["S"],
        "crash"
    );
}

#[tokio::test]
async fn an_instance_store_root_is_refused_for_good_and_instance_store_disks_are_named() {
    let world = World::new(NIGHTLY, "plan", |account| {
        let volume = account.seed_volume(Default::default());
        account.seed_instance(InstanceSeed {
            devices: vec![("/dev/xvda".into(), volume)],
            root_device_type: "instance-store".into(),
            tags: tags(&[("Backup", "nightly")]),
            ..InstanceSeed::default()
        });
        let volume = account.seed_volume(Default::default());
        account.seed_instance(InstanceSeed {
            devices: vec![("/dev/xvda".into(), volume)],
            instance_type: "m5d.large".into(),
            tags: tags(&[("Backup", "nightly")]),
            ..InstanceSeed::default()
        });
    })
    .await;
    let create = world.function("create-images");
    let beat = report(&create, &world.heartbeat(SLOT)).await;
    assert_eq!(
        codes(items(&beat, "failed")[0]),
        ["not-covered"],
        "{beat:#}"
    );
    assert_eq!(codes(items(&beat, "finding")[0]), ["not-covered"]);
    assert_eq!(items(&beat, "created").len(), 1);
    assert_eq!(beat["run"]["complete"], true);
    assert_eq!(calls_of(&world, "CreateImage"), 1);
}

#[tokio::test]
async fn a_request_is_one_run_when_repeated_and_belongs_to_the_function_of_its_policy() {
    let (world, instance) = world_of(NIGHTLY, 0).await;
    let create = world.function("create-images");
    world.advance("2026-03-03T12:00:00Z");
    let request = json!({ "run": "nightly-web", "id": "ticket-7", "now": "2026-03-03T12:00:00Z",
        "resources": [instance, "i-0123456789abcdef0"] });
    let dry = json!({ "run": "nightly-web", "dry_run": true });
    let planned = report(&create, &dry).await;
    assert_eq!(planned["summary"], json!({ "planned": 1 }), "{planned:#}");
    let first = report(&create, &request).await;
    assert_eq!(
        first["summary"],
        json!({ "created": 1, "skipped": 1 }),
        "{first:#}"
    );
    let second = report(&create, &request).await;
    let made = items(&second, "created")[0].clone();
    assert_eq!(codes(&made), ["already-created"]);
    assert_eq!(made["source"], instance.as_str());
    assert_eq!(images(&world).len(), 1);
    assert_eq!(images(&world)[0].tags["holdfast:run"], "ticket-7");
    let wrong = error(&world.function("create-snapshots"), &request).await;
    assert!(wrong.1.contains("create-images"), "{}", wrong.1);
}

#[tokio::test]
async fn an_unusable_data_volume_is_left_out_and_named_and_a_machine_on_its_way_is_waited_for() {
    let (world, instance) = world_of(NIGHTLY, 1).await;
    let bad = world.account(|account| {
        let machine = account.instances().next().unwrap().clone();
        let bad = machine.devices[1].volume.clone();
        account.set_volume_state(&bad, VolumeState::Error);
        account.call(&start(&instance)).ok();
        bad.to_string()
    });
    let create = world.function("create-images");
    let beat = report(&create, &world.heartbeat(SLOT)).await;
    assert_eq!(codes(item_of(&beat, &bad)), ["volume-state"], "{beat:#}");
    let image = images(&world).remove(0);
    let ebs = |target: &DeviceTarget| matches!(target, DeviceTarget::Ebs(_));
    assert_eq!(image.mappings.iter().filter(|m| ebs(&m.target)).count(), 1);

    world.advance("2026-03-04T02:59:58Z");
    let ids = vec![instance.clone()];
    world.account(|account| {
        let stopping = Request::StopInstances(StopInstances { ids });
        let answer = account.call(&stopping).unwrap();
        assert!(matches!(answer, Response::StateChanges(_)));
    });
    let beat = report(&create, &world.heartbeat("2026-03-04T03:00:00Z")).await;
    assert_eq!(
        codes(items(&beat, "failed")[0]),
        ["instance-state"],
        "{beat:#}"
    );
    assert_eq!(beat["run"]["complete"], false);
    let next = report(&create, &world.heartbeat("2026-03-04T03:05:00Z")).await;
    assert_eq!(items(&next, "created").len(), 1, "{next:#}");
    assert_eq!(
        codes(items(&next, "created")[0]),
        ["quiet"],
        "found stopped, and still so"
    );
}
