//! sweep-retention cut off, throttled, lagged behind and told too late: it ends in one state.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Mutex;

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use holdfast::aws::dynamodb::Table;
use holdfast::function::Invocation;
use holdfast::operator::{Operator, Settled};
use holdfast::sweep;
use holdfast_core::event::{SweepEvent, SweepRequest};
use holdfast_core::id::ImageId;
use holdfast_core::policy::PolicyFile;
use holdfast_core::report::Mode;
use holdfast_end_to_end::backups::{NOW, day};
use holdfast_end_to_end::images::{
    Baked, MACHINE, POLICIES, age_attempt, deletion_state, registered, seed_image, stands,
    sweep_at, tries, world,
};
use holdfast_end_to_end::{
    World, at, backups, codes, device, item_of, items, report, resources, seed_backup,
};
use holdfast_sim::request::{CreateTags, DeleteTags, Request};
use holdfast_sim::{
    Account, ApiError, Fault, FaultRule, ImageSeed, InProcess, Retained, RetentionRule, Settings,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::watch;

const LATER: &str = "2026-03-02T11:00:00Z";
const LATEST: &str = "2026-03-02T12:00:00Z";

/// One more AMI, older than all, that maps a snapshot of another too.
fn seed_over(world: &World, age: i64, shared: &str) -> Baked {
    world.account(|account| {
        let mut baked = seed_image(account, &day(age), &[]);
        let mut image = account.image(&ImageId::new(&baked.id)).unwrap().clone();
        image.mappings.push(device("/dev/sdf", shared));
        account.seed_image(ImageSeed {
            id: Some(image.id),
            name: Some(image.name),
            created: Some(image.created),
            source_instance: image.source_instance,
            mappings: image.mappings,
            tags: image.tags,
            ..ImageSeed::default()
        });
        baked.snapshots.push(shared.to_owned());
        baked
    })
}

fn proof(world: &World, id: &str) -> Value {
    let record = world.item(&format!("delete#{id}"), "deletion").unwrap();
    serde_json::from_str(record["evidence"]["S"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_snapshot_shared_by_two_amis_that_go_in_different_sweeps_goes_with_the_last() {
    let graced = POLICIES.replace("last: 2", "last: 3");
    let (world, baked) = world("enforce", &graced, 3).await;
    let shared = baked[2].snapshots[0].clone();
    let oldest = seed_over(&world, 3, &shared);
    let first = sweep_at(&world, NOW).await;
    let item = item_of(&first, &oldest.id);
    assert_eq!(item["outcome"], "deleted", "{first:#}");
    assert_eq!(codes(item), ["expired", "used-by-image"]);
    assert_eq!(item["reasons"][1]["path"], json!([oldest.id, shared]));
    assert_eq!(first["run"]["complete"], true);
    assert!(stands(&world, &shared));
    assert!(oldest.snapshots[..2].iter().all(|id| !stands(&world, id)));
    world.set_policies(POLICIES);
    let second = sweep_at(&world, LATER).await;
    assert_eq!(item_of(&second, &baked[2].id)["outcome"], "deleted");
    assert!(!stands(&world, &shared));
    assert_eq!(deletion_state(&world, &shared), "deleted");
    let third = sweep_at(&world, LATEST).await;
    assert_eq!(third["summary"], json!({ "kept": 2 }), "{third:#}");
}

/// A sweep killed between the intent for the second AMI over a snapshot and its deregistration left a
/// record that tells of the second only; what it had left of the first was taken for a stranger's doing.
#[tokio::test]
async fn an_intent_that_came_to_nothing_does_not_hide_whose_doing_an_earlier_deregistration_was() {
    let (world, baked) = world("enforce", POLICIES, 3).await;
    let shared = baked[2].snapshots[0].clone();
    let second = seed_over(&world, 3, &shared);
    let pin = Request::CreateTags(CreateTags {
        resources: vec![second.id.clone()],
        tags: vec![("holdfast:pin".to_owned(), "audit".to_owned())],
    });
    world.account(|account| account.call(&pin)).unwrap();
    let swept = sweep_at(&world, NOW).await;
    assert_eq!(item_of(&swept, &baked[2].id)["outcome"], "deleted");
    assert!(stands(&world, &shared), "{swept:#}");
    let unpin = Request::DeleteTags(DeleteTags {
        resources: vec![second.id.clone()],
        tags: vec![("holdfast:pin".to_owned(), None)],
    });
    world.account(|account| account.call(&unpin)).unwrap();
    let lost = ApiError::new("InternalError", "An internal error has occurred");
    world.inject(FaultRule::next("DeregisterImage", Fault::Error(lost)).times(9));
    let cut = sweep_at(&world, LATER).await;
    let item = item_of(&cut, &second.id);
    assert_eq!(codes(item), ["expired", "outcome-unknown"], "{cut:#}");
    let record = world.item(&format!("delete#{shared}"), "deletion").unwrap();
    assert_eq!(record["image"]["S"], json!(second.id), "{record:#}");
    world.account(Account::clear_faults);
    let done = sweep_at(&world, LATEST).await;
    assert_eq!(item_of(&done, &second.id)["outcome"], "deleted", "{done:#}");
    assert!(!stands(&world, &shared), "{done:#}");
}

#[tokio::test]
async fn while_ec2_says_in_use_after_a_deregistration_the_intent_stays_and_is_tried_again() {
    let (world, baked) = world("enforce", POLICIES, 3).await;
    let [root, data] = [&baked[2].snapshots[0], &baked[2].snapshots[1]];
    // A foreign AMI over the root, so that the snapshots go one by one.
    let other = world.register_image("golden", &[root]);
    let lag = SignedDuration::from_mins(90);
    world.account(|account| account.settings_mut().in_use_lag = lag);
    let first = sweep_at(&world, NOW).await;
    let item = item_of(&first, &baked[2].id);
    assert_eq!(item["outcome"], "deleted", "{first:#}");
    assert_eq!(codes(item), ["expired", "orphaned", "used-by-image"]);
    assert_eq!(first["run"]["complete"], false);
    assert_eq!(deletion_state(&world, &baked[2].id), "deleted");
    assert_eq!(
        (deletion_state(&world, data), tries(&world, data)),
        (json!("intended"), json!("1"))
    );
    assert_eq!(
        deletion_state(&world, root),
        "refused",
        "it stays with the other AMI"
    );
    let waiting = sweep_at(&world, LATER).await;
    assert_eq!(
        codes(item_of(&waiting, data)).last(),
        Some(&"retry-later"),
        "{waiting:#}"
    );
    assert_eq!(waiting["run"]["complete"], false);
    age_attempt(&world, data, 16);
    let done = sweep_at(&world, LATEST).await;
    assert_eq!(item_of(&done, data)["outcome"], "deleted", "{done:#}");
    assert!(!stands(&world, data) && stands(&world, root));
    assert!(registered(&world).contains(&other));
}

#[tokio::test]
async fn a_throttled_call_did_nothing_and_is_sent_again_in_the_same_sweep() {
    let throttled = || Fault::Error(ApiError::throttled());
    let (images, baked) = world("enforce", POLICIES, 3).await;
    images.inject(FaultRule::next("DeregisterImage", throttled()));
    let swept = sweep_at(&images, NOW).await;
    assert_eq!(
        item_of(&swept, &baked[2].id)["outcome"],
        "deleted",
        "{swept:#}"
    );
    let calls = images.calls();
    assert_eq!(calls.iter().filter(|c| *c == "DeregisterImage").count(), 2);

    let (snapshots, ids) = backups::world("enforce", backups::POLICIES, 3).await;
    snapshots.inject(FaultRule::next("DeleteSnapshot", throttled()));
    let swept = backups::sweep(&snapshots).await;
    assert_eq!(item_of(&swept, &ids[2])["outcome"], "deleted", "{swept:#}");
    assert_eq!(swept["run"]["complete"], true);
}

#[tokio::test]
async fn the_record_of_a_deletion_says_what_was_read_when_and_who_ran_it() {
    let (world, baked) = world("enforce", POLICIES, 3).await;
    let swept = sweep_at(&world, NOW).await;
    let proof = proof(&world, &baked[2].id);
    assert_eq!(proof["verdict"]["reasons"][0]["code"], "expired");
    assert_eq!(proof["tags"]["holdfast:source"], MACHINE);
    assert_eq!(proof["policy_sha256"], swept["run"]["policy_sha256"]);
    let mapping = proof["mapping"].as_array().unwrap();
    assert_eq!(mapping[0]["snapshot"], baked[2].snapshots[0].as_str());
    assert_eq!(mapping[2]["virtual"], "ephemeral0");
    let sources = |key: &str| -> Vec<String> {
        let read = proof[key].as_array().unwrap().iter();
        read.map(|one| {
            assert_eq!(one["complete"], true, "{one:#}");
            let read_at: Timestamp = one["read_at"].as_str().unwrap().parse().unwrap();
            assert!(Timestamp::now().duration_since(read_at) < SignedDuration::from_mins(15));
            one["source"].as_str().unwrap().to_owned()
        })
        .collect()
    };
    let lists = sources("lists");
    for source in [
        "images",
        "snapshots",
        "instances",
        "volumes",
        "fleets",
        "recycle_bin",
    ] {
        assert!(lists.contains(&source.to_owned()), "{source} in {lists:?}");
    }
    let last_look = sources("last_look");
    for source in [
        "image_references",
        "image_recipes",
        "shares",
        "images",
        "instances",
    ] {
        assert!(
            last_look.contains(&source.to_owned()),
            "{source} in {last_look:?}"
        );
    }
    assert_eq!(proof["run"]["id"], swept["run"]["id"]);
    assert_eq!(proof["run"]["asked_by"], "heartbeat");
    assert_eq!(proof["run"]["function"], "sweep-retention");
    assert_eq!(proof["run"]["released"], Value::Null);
    let backing = self::proof(&world, &baked[2].snapshots[1]);
    assert_eq!(backing["image"], baked[2].id.as_str());
    assert_eq!(backing["volume"], "vol-0000000000000000b");
    assert_eq!(backing["tags"]["holdfast:artifact"], "image-snapshot");
}

#[tokio::test]
async fn the_record_of_a_released_deletion_names_the_plan() {
    let (world, ids) = backups::world("enforce", backups::POLICIES, 30).await;
    let tripped = backups::sweep(&world).await;
    let hash = &tripped["run"]["plan_hash"];
    let held = resources(&items(&tripped, "held"));
    let request = json!({ "override": hash, "now": NOW });
    let released = report(&world.function("sweep-retention"), &request).await;
    assert_eq!(
        items(&released, "deleted").len(),
        held.len(),
        "{released:#}"
    );
    assert_eq!(proof(&world, &held[0])["run"]["released"], *hash);
    assert_eq!(proof(&world, &held[0])["run"]["asked_by"], "request");
    assert_eq!(proof(&world, &ids[29])["run"]["released"], Value::Null);
}

#[tokio::test]
async fn a_reference_that_the_last_look_finds_frees_from_the_sentence_and_missing_evidence_does_not()
 {
    let graced = POLICIES.replace("retain:", "grace: 1h\n    retain:");
    let (world, baked) = world("enforce", &graced, 4).await;
    let [needed, unread] = [&baked[2].id, &baked[3].id];
    let first = sweep_at(&world, NOW).await;
    assert_eq!(codes(item_of(&first, needed)), ["grace"], "{first:#}");
    world.account(|account| account.seed_parameter("/golden", needed.as_str()));
    let denied = ApiError::new("UnauthorizedOperation", "You are not authorized");
    let rule = FaultRule::next("DescribeImageAttribute", Fault::Error(denied));
    world.inject(rule.on(unread).times(9));
    let second = sweep_at(&world, LATER).await;
    assert_eq!(
        codes(item_of(&second, needed)),
        ["used-by-parameter", "grace"],
        "{second:#}"
    );
    assert_eq!(codes(item_of(&second, unread)), ["evidence-incomplete"]);
    world.account(|account| {
        account.clear_faults();
        account.remove_parameter("/golden");
    });
    let third = sweep_at(&world, LATEST).await;
    assert_eq!(
        codes(item_of(&third, needed)),
        ["grace"],
        "it begins anew: {third:#}"
    );
    assert_eq!(item_of(&third, unread)["outcome"], "deleted");
    let fourth = sweep_at(&world, "2026-03-02T13:00:00Z").await;
    assert_eq!(item_of(&fourth, needed)["outcome"], "deleted", "{fourth:#}");
}

#[tokio::test]
async fn what_is_left_of_somebody_elses_ami_goes_whole_or_not_at_all() {
    let (world, baked) = world("enforce", POLICIES, 3).await;
    holdfast_end_to_end::images::deregister_by_hand(&world, &baked[2].id);
    sweep_at(&world, NOW).await;
    let [one, other] = [&baked[2].snapshots[0], &baked[2].snapshots[1]];
    let denied = ApiError::new("UnauthorizedOperation", "You are not authorized");
    let rule = FaultRule::next("DescribeSnapshotAttribute", Fault::Error(denied));
    world.inject(rule.on(other).times(9));
    let week = "2026-03-09T11:00:00Z";
    let held = sweep_at(&world, week).await;
    for id in [one, other] {
        let item = item_of(&held, id);
        assert_eq!(item["outcome"], "held", "{held:#}");
        assert_eq!(codes(item), ["orphaned", "evidence-incomplete"], "{item:#}");
        assert!(stands(&world, id));
    }
    world.account(holdfast_sim::Account::clear_faults);
    let gone = sweep_at(&world, "2026-03-09T12:00:00Z").await;
    for id in [one, other] {
        assert_eq!(item_of(&gone, id)["outcome"], "deleted", "{gone:#}");
    }
}

#[tokio::test]
async fn an_ami_that_holdfast_deregistered_into_the_recycle_bin_keeps_nothing_from_going() {
    let (world, baked) = world("enforce", POLICIES, 3).await;
    let bin = vec![RetentionRule::for_region(Retained::Images, 7)];
    world.account(|account| account.settings_mut().recycle_bin = bin);
    let root = baked[2].snapshots[0].as_str();
    let in_use = ApiError::new("InvalidSnapshot.InUse", "The snapshot is currently in use");
    world.inject(FaultRule::next("DeleteSnapshot", Fault::Error(in_use)).on(root));
    sweep_at(&world, NOW).await;
    assert!(stands(&world, root));
    age_attempt(&world, root, 16);
    let second = sweep_at(&world, LATER).await;
    assert_eq!(item_of(&second, root)["outcome"], "deleted", "{second:#}");
}

/// A sweep in this process, so that the invocation's time can be over whenever a test wants it.
async fn in_process(world: &World, mode: Mode, stop_at: Option<Timestamp>) -> Value {
    let invocation = Invocation {
        id: "in-process".to_owned(),
        account: None,
        region: None,
        stop_at,
        operator: None,
    };
    in_process_as(world, mode, &invocation).await
}

async fn in_process_as(world: &World, mode: Mode, invocation: &Invocation) -> Value {
    let policies = PolicyFile::parse("p.yaml", backups::POLICIES, at(NOW)).unwrap();
    let environment: BTreeMap<String, String> = world.local.environment().into_iter().collect();
    let credentials = Credentials::new("local", "local", None, None, "test");
    let config = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(environment["AWS_REGION"].clone()))
        .endpoint_url(environment["AWS_ENDPOINT_URL_DYNAMODB"].clone())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .load()
        .await;
    let table = Table::new(&config, environment["HOLDFAST_TABLE"].clone());
    let ec2 = InProcess::new(world.local.account.clone());
    let request = SweepRequest {
        now: Some(at(NOW)),
        ..SweepRequest::default()
    };
    let event = SweepEvent::Request(request);
    let report = sweep::sweep(&ec2, &table, &policies, mode, event, invocation).await;
    serde_json::to_value(report.unwrap()).unwrap()
}

#[tokio::test]
async fn who_waits_for_a_sweep_is_told_after_each_deletion_how_many_there_are() {
    static TOLD: Mutex<Vec<Settled>> = Mutex::new(Vec::new());
    let today = |settings: &mut Settings| settings.start = Timestamp::now();
    let world = World::with(backups::POLICIES, "enforce", today, |account| {
        backups::volume(account, &[("Backup", "nightly")]);
        for n in 0..5 {
            seed_backup(account, "nightly", backups::VOLUME, &day(n), &[]);
        }
    })
    .await;
    let (_stop, interrupted) = watch::channel(false);
    let invocation = Invocation {
        id: "in-process".to_owned(),
        account: None,
        region: None,
        stop_at: None,
        operator: Some(Operator {
            interrupted,
            told: |settled| TOLD.lock().unwrap().push(settled),
        }),
    };
    let report = in_process_as(&world, Mode::Enforce, &invocation).await;
    assert_eq!(report["summary"]["deleted"], 3, "{report:#}");
    let told = [1, 2, 3].map(|done| Settled { done, of: 3 });
    assert_eq!(*TOLD.lock().unwrap(), told);
}

#[tokio::test]
async fn a_sweep_whose_time_is_over_sends_no_more_calls_and_the_next_resumes_within_the_same_window()
 {
    // 30 backups, two kept: 20 may go in 24 hours.
    // In process the account's clock is the one that evidence ages by.
    let today = |settings: &mut Settings| settings.start = Timestamp::now();
    let world = World::with(backups::POLICIES, "enforce", today, |account| {
        backups::volume(account, &[("Backup", "nightly")]);
        for n in 0..30 {
            seed_backup(account, "nightly", backups::VOLUME, &day(n), &[]);
        }
    })
    .await;
    in_process(&world, Mode::Plan, None).await;
    let _ = world.calls();
    let over = in_process(&world, Mode::Enforce, Some(Timestamp::now())).await;
    assert_eq!(over["summary"], json!({ "failed": 1 }), "{over:#}");
    assert_eq!(codes(items(&over, "failed")[0]), ["out-of-time"]);
    assert_eq!(over["run"]["complete"], false);
    let calls = world.calls();
    for call in ["DeleteSnapshot", "DescribeSnapshotAttribute"] {
        assert!(!calls.contains(&call.to_owned()), "{call}");
    }
    // It resumes at the first that an earlier one's time did not suffice for.
    let ids = backups::newest_first(&world);
    let resume_at = |world: &World| world.item("census", "census").unwrap()["resume_at"].clone();
    world.change("census", "census", |item| {
        item["resume_at"] = json!({ "S": ids[15] });
    });
    let resumed = in_process(&world, Mode::Enforce, None).await;
    let first = world.account(|account| {
        let mut calls = account.calls().iter();
        let first = calls.find(|call| call.operation == "DeleteSnapshot");
        first.unwrap().resources[0].clone()
    });
    let (newest, oldest) = (&ids[10..=15], &ids[28..]);
    assert!(
        newest.contains(&first) || oldest.contains(&first),
        "of eight at once from the sixteenth on, round to the oldest, {first} is none"
    );
    assert_eq!(resume_at(&world), Value::Null, "it got through");
    assert_eq!(
        resumed["summary"],
        json!({ "deleted": 20, "held": 8, "kept": 2 }),
        "{resumed:#}"
    );
    let again = in_process(&world, Mode::Enforce, None).await;
    assert_eq!(
        again["summary"],
        json!({ "held": 8, "kept": 2 }),
        "the window goes on"
    );
}
