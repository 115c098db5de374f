//! Everything that each function does, so that every call it makes is seen.

use holdfast_core::id::SnapshotId;
use holdfast_core::inventory::SnapshotState;
use holdfast_end_to_end::{World, report, seed_backup};
use holdfast_local_aws::template::Trigger;
use holdfast_sim::request::{CreateTags, Request};
use holdfast_sim::{Account, ApiError, Fault, FaultRule};
use serde_json::json;

use super::{POLICIES, VOLUME, instance};

/// Slots done, resumed and made up, events, and requests, with a lost answer and a refusal.
async fn exercise_creation(world: &World, name: &str, policy: &str, operation: &str) {
    let function = world.patient_function(name);
    let instance = instance(world);
    report(&function, &world.heartbeat("2026-03-03T03:00:00Z")).await;
    world.inject(FaultRule::next(operation, Fault::AppliedButResponseLost).on(&instance));
    report(&function, &world.heartbeat("2026-03-04T03:00:00Z")).await;
    let busy = ApiError::new("RequestLimitExceeded", "Request limit exceeded.");
    world.inject(FaultRule::next(operation, Fault::Error(busy)).on(&instance));
    report(&function, &world.heartbeat("2026-03-05T03:00:00Z")).await;
    report(&function, &world.heartbeat("2026-03-05T03:05:00Z")).await;
    if name == "create-snapshots" {
        // Held inside the guest, by the one policy that asks for it.
        report(&function, &world.heartbeat("2026-03-05T04:00:00Z")).await;
    }
    // Taken at the first event of a stop, and done at the second.
    world.stop("2026-03-05T08:59:00Z", &instance);
    for time in ["2026-03-05T09:00:00Z", "2026-03-05T09:00:01Z"] {
        let stopped = world.state_change(time, &instance, "stopped");
        report(&function, &stopped).await;
    }
    for request in [
        json!({ "run": policy, "now": "2026-03-05T10:00:00Z", "dry_run": true }),
        json!({ "run": policy, "now": "2026-03-05T10:00:00Z", "id": "once" }),
        json!({ "run": policy, "now": "2026-03-05T10:00:00Z", "id": "once" }),
    ] {
        report(&function, &request).await;
    }
    // A request that EC2 puts off is finished by a heartbeat.
    let busy = ApiError::new("RequestLimitExceeded", "Request limit exceeded.");
    world.inject(FaultRule::next(operation, Fault::Error(busy)).on(&instance));
    world.advance("2026-03-05T11:00:00Z");
    let request = json!({ "run": policy, "now": "2026-03-05T11:00:00Z", "id": "put-off" });
    report(&function, &request).await;
    report(&function, &world.heartbeat("2026-03-05T11:05:00Z")).await;
}

async fn exercise_sweep(world: &World) {
    let function = world.function("sweep-retention");
    // A failed backup waits until the ledger says that its slot was reopened.
    world.account(|account| {
        let failed = seed_backup(account, "nightly", VOLUME, "2026-03-02T03:00:00Z", &[]);
        let id = SnapshotId::new(failed);
        account.set_snapshot_state(&id, SnapshotState::Error, None);
    });
    report(&function, &json!({ "dry_run": true })).await;
    // A breaker trips and is released, for one that has to wait all the same.
    let last = "retain: { last: 1 }";
    let tight = format!("{last}\n    limits: {{ max_shrink: 1%, free: 0 }}\n    grace: 1h");
    world.set_policies(&POLICIES.replace(last, &tight));
    report(&function, &world.heartbeat("2026-03-05T00:00:00Z")).await;
    let tripped = report(&function, &world.heartbeat("2026-03-05T02:00:00Z")).await;
    let mut release = json!({ "run": "nightly", "override": tripped["run"]["plan_hash"],
                              "now": "2026-03-05T02:00:00Z", "dry_run": true });
    report(&function, &release).await;
    release["dry_run"] = json!(false);
    report(&function, &release).await;
    world.set_policies(POLICIES);
    // A policy and its AMIs are deleted in one sweep, and what that leaves over in the next.
    for time in ["2026-03-06T00:00:00Z", "2026-03-06T01:00:00Z"] {
        report(&function, &world.heartbeat(time)).await;
    }
    let pin = Request::CreateTags(CreateTags {
        resources: vec![VOLUME.to_owned()],
        tags: vec![("holdfast:pin".to_owned(), "audit".to_owned())],
    });
    world.account(|account| account.call(&pin)).unwrap();
    report(&function, &world.heartbeat("2026-03-06T02:00:00Z")).await;
}

async fn exercise_checks(world: &World) {
    // Sets and an AMI that complete, and some that EC2 fails, of which this function alone hears.
    let creators = ["create-snapshots", "create-images"].map(|name| world.function(name));
    for create in &creators {
        report(create, &world.heartbeat("2026-03-03T03:00:00Z")).await;
    }
    world.account(|account| account.fail_next_snapshot(None, "Volume is in error state"));
    world.account(|account| account.fail_next_image("Internal error"));
    for create in &creators {
        report(create, &world.heartbeat("2026-03-04T03:00:00Z")).await;
    }
    world.advance("2026-03-05T00:00:00Z");
    let function = world.function("check-dependencies");
    let rules = world.local.template().functions().unwrap();
    let rules = rules.into_iter().find(|f| f.name == "check-dependencies");
    let rules = rules.unwrap().rules;
    for event in world.account(Account::drain_events) {
        let routed = rules.iter().any(|rule| match &rule.trigger {
            Trigger::Pattern(pattern) => pattern.matches(&event),
            Trigger::Schedule(_) => false,
        });
        if routed {
            report(&function, &event).await;
        }
    }
    let ids = |account: &mut Account| {
        let snapshot = account.snapshots().next().map(|s| s.id.to_string());
        let image = account.images().next().map(|i| i.id.to_string());
        (snapshot.unwrap(), image.unwrap())
    };
    let (snapshot, image) = world.account(ids);
    // A stop that no event told.
    world.stop("2026-03-06T00:00:00Z", &instance(world));
    report(&function, &world.heartbeat("2026-03-07T00:00:00Z")).await;
    // What is gone is found gone by the second reconcile that misses it.
    let gone = SnapshotId::new(snapshot.as_str());
    world.account(|account| account.vanish_snapshot(&gone));
    for time in ["2026-03-07T01:00:00Z", "2026-03-07T02:00:00Z"] {
        report(&function, &world.heartbeat(time)).await;
    }
    report(&function, &json!({ "reconcile": true })).await;
    report(&function, &json!({ "explain": [snapshot, image] })).await;
}

/// Runs everything that a function does.
pub async fn exercise(world: &World, name: &str) {
    match name {
        "create-snapshots" => exercise_creation(world, name, "nightly", "CreateSnapshots").await,
        "create-images" => exercise_creation(world, name, "golden", "CreateImage").await,
        "sweep-retention" => exercise_sweep(world).await,
        "check-dependencies" => exercise_checks(world).await,
        other => panic!("{other} has no scenario: nobody knows what it calls"),
    }
}
