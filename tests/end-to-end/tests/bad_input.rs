//! What is wrong is named, changes nothing, and does not stop what is right.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_end_to_end::{World, codes, error, item_of, items, report, seed_instance};
use holdfast_sim::{ApiError, Fault, FaultRule};
use serde_json::json;

const NIGHTLY: &str = r#"
version: 1
policies:
  - name: nightly
    protect: volumes
    select: { instances: { tags: { Backup: nightly } } }
    schedule: "cron(0 3 * * ? *)"
    triggers: [stopped, running, spot-interruption]
    retain: { daily: 7 }
"#;

async fn world() -> World {
    World::new(NIGHTLY, "enforce", |account| {
        seed_instance(account, 1, &[("Backup", "nightly")]);
    })
    .await
}

#[tokio::test]
async fn a_wrong_policy_file_applies_no_policy_and_every_invocation_says_where() {
    let world = world().await;
    world.set_policies(&NIGHTLY.replace("daily: 7", "dayly: 7"));
    for name in ["create-snapshots", "sweep-retention"] {
        let (kind, message) = error(
            &world.function(name),
            &world.heartbeat("2026-03-03T03:00:00Z"),
        )
        .await;
        assert_eq!(kind, "PolicyFileWrong");
        assert!(
            message.contains("policies.yaml:9:") && message.contains("dayly"),
            "{message}"
        );
    }
    world.remove_policies();
    let (kind, message) = error(
        &world.function("create-snapshots"),
        &world.heartbeat("2026-03-03T03:00:00Z"),
    )
    .await;
    assert_eq!(kind, "PolicyFileMissing");
    assert!(message.contains("HOLDFAST_POLICIES"), "{message}");
    assert_eq!(world.snapshots().len(), 0);
}

#[tokio::test]
async fn a_missing_table_is_named_with_what_to_do() {
    let world = world().await;
    for name in ["create-snapshots", "sweep-retention"] {
        // Its role allows one table, so that to the function itself any other is forbidden.
        let forbidden = world.function_with(name, &[("HOLDFAST_TABLE", "nowhere")]);
        let (kind, message) = error(&forbidden, &world.heartbeat("2026-03-03T03:00:00Z")).await;
        assert_eq!(kind, "Table");
        assert!(message.contains("table/nowhere"), "{message}");
        let administrator = ("AWS_ACCESS_KEY_ID", "administrator");
        let missing = [("HOLDFAST_TABLE", "nowhere"), administrator];
        let function = world.function_with(name, &missing);
        let (kind, message) = error(&function, &world.heartbeat("2026-03-03T03:00:00Z")).await;
        assert_eq!(kind, "Table");
        assert!(
            message.contains("nowhere") && message.contains("HOLDFAST_TABLE"),
            "{message}"
        );
        let unset = world.function_with(name, &[("HOLDFAST_TABLE", "")]);
        let (kind, message) = error(&unset, &world.heartbeat("2026-03-03T03:00:00Z")).await;
        assert_eq!(kind, "Setting");
        assert!(message.contains("HOLDFAST_TABLE"), "{message}");
    }
    assert_eq!(world.snapshots().len(), 0);
}

#[tokio::test]
async fn refused_permissions_stop_a_creation_run_with_the_operation_named() {
    let world = world().await;
    let denied = ApiError::new("UnauthorizedOperation", "You are not authorized");
    world.inject(FaultRule::next("DescribeVolumes", Fault::Error(denied)));
    let create = world.function("create-snapshots");
    let (kind, message) = error(&create, &world.heartbeat("2026-03-03T03:00:00Z")).await;
    assert_eq!(kind, "Inventory");
    assert!(message.contains("DescribeVolumes"), "{message}");
    assert!(message.contains("UnauthorizedOperation"), "{message}");
    // The slot is still due.
    let next = report(&create, &world.heartbeat("2026-03-03T03:05:00Z")).await;
    assert_eq!(items(&next, "created").len(), 2);
}

#[tokio::test]
async fn an_event_from_the_future_is_refused_unless_it_is_a_dry_run() {
    let world = world().await;
    let create = world.function("create-snapshots");
    let future = "2099-01-01T00:00:00Z";
    let mut beat = world.heartbeat("2026-03-03T03:00:00Z");
    beat["time"] = json!(future);
    let (kind, message) = error(&create, &beat).await;
    assert_eq!(kind, "Event");
    assert!(message.contains(future), "{message}");
    let dry = json!({ "run": "nightly", "now": future, "dry_run": true });
    assert_eq!(items(&report(&create, &dry).await, "planned").len(), 2);
}

#[tokio::test]
async fn a_record_of_a_later_schema_is_refused_by_name_and_never_overwritten() {
    let world = world().await;
    let create = world.function("create-snapshots");
    report(&create, &world.heartbeat("2026-03-03T03:00:00Z")).await;
    world.change("head#create-snapshots", "head", |item| {
        item["schema"] = json!({ "N": "2" })
    });
    let before = world.item("head#create-snapshots", "head");
    let (kind, message) = error(&create, &world.heartbeat("2026-03-04T03:00:00Z")).await;
    assert_eq!(kind, "Table");
    assert!(message.contains("schema version is 2"), "{message}");
    assert_eq!(world.item("head#create-snapshots", "head"), before);
}

#[tokio::test]
async fn a_damaged_slot_record_stops_its_source_only_and_is_not_taken_for_a_missing_one() {
    let other = NIGHTLY[NIGHTLY.find("  - name").unwrap()..].replace("nightly", "other");
    let world = World::new(&(NIGHTLY.to_owned() + &other), "enforce", |account| {
        seed_instance(account, 1, &[("Backup", "nightly")]);
        seed_instance(account, 0, &[("Backup", "other")]);
    })
    .await;
    let create = world.function("create-snapshots");
    report(&create, &world.heartbeat("2026-03-03T03:00:00Z")).await;
    let instance = world.account(|account| {
        account
            .instances()
            .find(|i| i.tags["Backup"] == "nightly")
            .unwrap()
            .id
            .to_string()
    });
    let slot = format!("slot#nightly#{instance}");
    world.change(&slot, "2026-03-03T03:00:00Z", |item| {
        item["state"] = json!({ "S": "done?" })
    });
    world.change("head#create-snapshots", "head", |item| {
        item["policy:nightly"]["M"]["complete"] = json!({ "BOOL": false });
        item["policy:other"]["M"]["second"] = json!({ "N": "0" });
        item["policy:other"]["M"]["slot"] = json!({ "S": "1970-01-01T00:00:00Z" });
    });
    let damaged = world.item(&slot, "2026-03-03T03:00:00Z");
    let next = report(&create, &world.heartbeat("2026-03-03T03:05:00Z")).await;
    let failed = item_of(&next, &instance);
    assert_eq!(codes(failed), ["table-failed"], "{next:#}");
    assert!(
        failed["reasons"][0]["detail"]
            .as_str()
            .unwrap()
            .contains(&slot)
    );
    assert_eq!(next["run"]["complete"], false);
    assert_eq!(world.item(&slot, "2026-03-03T03:00:00Z"), damaged);
    assert_eq!(
        world.snapshots().len(),
        3,
        "neither a second set nor a lost one"
    );
    let head = world.item("head#create-snapshots", "head").unwrap();
    assert_eq!(
        head["policy:other"]["M"]["complete"]["BOOL"], true,
        "the other went on"
    );
}

#[tokio::test]
async fn a_snapshot_taken_away_during_the_sweep_counts_as_gone() {
    let world = World::new(
        &NIGHTLY.replace("daily: 7", "last: 1"),
        "enforce",
        |account| {
            let volume = "vol-0000000000000000a";
            let first = "2026-03-01T03:00:00Z";
            holdfast_end_to_end::seed_backup(account, "nightly", volume, first, &[]);
            let second = "2026-03-02T03:00:00Z";
            holdfast_end_to_end::seed_backup(account, "nightly", volume, second, &[]);
        },
    )
    .await;
    let gone = ApiError::new("InvalidSnapshot.NotFound", "The snapshot does not exist.");
    world.inject(FaultRule::next("DeleteSnapshot", Fault::Error(gone)));
    let sweep = world.function("sweep-retention");
    let done = report(&sweep, &world.heartbeat("2026-03-03T03:00:00Z")).await;
    assert_eq!(items(&done, "deleted").len(), 1, "{done:#}");
    assert!(codes(items(&done, "deleted")[0]).contains(&"expired"));
}

#[tokio::test]
async fn the_last_slot_of_a_schedule_that_runs_out_is_made_before_the_file_is_an_error() {
    let finite = NIGHTLY
        .replace("cron(0 3 * * ? *)", "cron(0 3 3 3 ? 2026)")
        .replace("    triggers: [stopped, running, spot-interruption]\n", "");
    let world = World::new(&finite, "plan", |account| {
        seed_instance(account, 0, &[("Backup", "nightly")]);
    })
    .await;
    let create = world.function("create-snapshots");
    let last = report(&create, &world.heartbeat("2026-03-03T03:05:00Z")).await;
    assert_eq!(items(&last, "created").len(), 1, "{last:#}");
    let (kind, _) = error(&create, &world.heartbeat("2026-03-05T03:05:00Z")).await;
    assert_eq!(kind, "PolicyFileWrong");
}

#[tokio::test]
async fn missing_credentials_are_an_error_that_names_them() {
    let world = world().await;
    for name in ["create-snapshots", "sweep-retention"] {
        let none = [("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")];
        let function = world.function_with(name, &none);
        let (kind, message) = error(&function, &world.heartbeat("2026-03-03T03:00:00Z")).await;
        assert_eq!(kind, "Setting", "{message}");
        assert!(message.contains("credentials"), "{message}");
    }
}
