//! sweep-retention: what goes, what stays, and what is said about each.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_core::id::SnapshotId;
use holdfast_core::inventory::{ImageState, SnapshotState};
use holdfast_end_to_end::backups::{
    NOW, POLICIES, VOLUME, day, newest_first, sweep, volume, world,
};
use holdfast_end_to_end::{
    World, at, codes, error, item_of, items, report, resources, seed_backup,
};
use holdfast_sim::{Account, ApiError, Fault, FaultRule, ImageSeed, SnapshotSeed};
use jiff::SignedDuration;
use serde_json::{Value, json};

#[tokio::test]
async fn plan_mode_says_what_would_go_and_touches_nothing() {
    let (world, ids) = world("plan", POLICIES, 5).await;
    let plan = sweep(&world).await;
    assert_eq!(
        plan["summary"],
        json!({ "kept": 2, "planned": 3 }),
        "{plan:#}"
    );
    assert_eq!(plan["run"]["mode"], "plan");
    assert_eq!(codes(item_of(&plan, &ids[0])), ["retain.last"]);
    assert_eq!(
        codes(item_of(&plan, &ids[4])),
        ["expired", "not-yet-checked"]
    );
    assert_eq!(world.snapshots().len(), 5);
    assert!(!world.calls().contains(&"DeleteSnapshot".to_owned()));
}

#[tokio::test]
async fn enforce_deletes_what_no_rule_keeps_and_stores_the_proof() {
    let (world, ids) = world("enforce", POLICIES, 5).await;
    let done = sweep(&world).await;
    assert_eq!(
        done["summary"],
        json!({ "deleted": 3, "kept": 2 }),
        "{done:#}"
    );
    assert_eq!(newest_first(&world), &ids[..2]);
    let proof = world
        .item(&format!("delete#{}", ids[4]), "deletion")
        .unwrap();
    assert_eq!(proof["state"]["S"], "deleted");
    let evidence: Value = serde_json::from_str(proof["evidence"]["S"].as_str().unwrap()).unwrap();
    assert_eq!(evidence["tags"]["holdfast:policy"], "nightly");
    assert_eq!(evidence["verdict"]["reasons"][0]["code"], "expired");
    assert!(
        evidence["lists"]
            .as_array()
            .unwrap()
            .iter()
            .all(|l| l["complete"] == true)
    );
    let node = world.item(&format!("node#{}", ids[4]), "node").unwrap();
    assert_eq!(
        node["state"]["S"], "deleted",
        "the record outlives the snapshot"
    );
    let again = sweep(&world).await;
    assert_eq!(again["summary"], json!({ "kept": 2 }));
}

#[tokio::test]
async fn a_dry_run_in_enforce_deletes_nothing() {
    let (world, _) = world("enforce", POLICIES, 5).await;
    let request = json!({ "run": "nightly", "dry_run": true, "now": NOW });
    let plan = report(&world.function("sweep-retention"), &request).await;
    assert_eq!(plan["summary"], json!({ "kept": 2, "planned": 3 }));
    assert_eq!(plan["run"]["mode"], "plan");
    assert_eq!(world.snapshots().len(), 5);
}

#[tokio::test]
async fn a_snapshot_that_an_ami_in_any_state_maps_is_never_deleted() {
    let states = [
        "available",
        "pending",
        "failed",
        "disabled",
        "deregistered",
        "transient",
    ];
    let (world, ids) = world("enforce", POLICIES, 8).await;
    let mut images = Vec::new();
    for (n, state) in states.iter().enumerate() {
        let mappings = vec![holdfast_end_to_end::device("/dev/xvda", &ids[n + 2])];
        let state = Some(ImageState::parse(state));
        let seed = ImageSeed {
            state,
            mappings,
            ..ImageSeed::default()
        };
        images.push(
            world
                .account(|account| account.seed_image(seed))
                .to_string(),
        );
    }
    let done = sweep(&world).await;
    assert!(!world.calls().contains(&"DeleteSnapshot".to_owned()));
    for (n, image) in images.iter().enumerate() {
        let item = item_of(&done, &ids[n + 2]);
        // `deregistered` images are not listed by EC2 for long; while they are, they hold.
        assert_eq!(item["outcome"], "held", "{} {item:#}", states[n]);
        assert_eq!(item["reasons"][0]["code"], "used-by-image");
        assert_eq!(item["reasons"][0]["path"], json!([ids[n + 2], image]));
        let edge = format!("in#backed-by#{image}");
        assert!(world.item(&format!("node#{}", ids[n + 2]), &edge).is_some());
    }
}

#[tokio::test]
async fn launch_templates_pins_and_strangers_are_left_alone() {
    let world = World::new(POLICIES, "enforce", |account| {
        volume(account, &[("Backup", "nightly")]);
        for n in 0..5 {
            seed_backup(account, "nightly", VOLUME, &day(n), &[]);
        }
        seed_backup(
            account,
            "nightly",
            VOLUME,
            &day(5),
            &[("holdfast:pin", "audit")],
        );
        seed_backup(
            account,
            "nightly",
            VOLUME,
            &day(6),
            &[("aws:backup:source-resource", "x")],
        );
        seed_backup(account, "retired-long-ago", VOLUME, &day(7), &[]);
        seed_backup(
            account,
            "nightly",
            VOLUME,
            &day(8),
            &[("holdfast:managed", "no")],
        );
        account.seed_snapshot(SnapshotSeed {
            started: Some(at(&day(9))),
            ..SnapshotSeed::default()
        });
    })
    .await;
    let ids = newest_first(&world);
    world.launch_template("web", &ids[4]);
    let done = sweep(&world).await;
    assert_eq!(
        resources(&items(&done, "deleted")),
        [ids[3].clone(), ids[2].clone()]
    );
    assert_eq!(codes(item_of(&done, &ids[4])), ["used-by-launch-template"]);
    assert_eq!(
        item_of(&done, &ids[4])["reasons"][0]["path"][0],
        ids[4].as_str()
    );
    assert_eq!(codes(item_of(&done, &ids[5])), ["pinned"]);
    assert_eq!(codes(item_of(&done, &ids[6])), ["managed-by-other"]);
    assert_eq!(codes(item_of(&done, &ids[7])), ["policy-unknown"]);
    let mentioned = resources(&done["items"].as_array().unwrap().iter().collect::<Vec<_>>());
    assert!(
        !mentioned.contains(&ids[8]) && !mentioned.contains(&ids[9]),
        "not ours, not said"
    );
    assert_eq!(world.snapshots().len(), 8);
}

#[tokio::test]
async fn without_credentials_the_sweep_is_an_error_and_not_an_empty_success() {
    let (world, _) = world("enforce", POLICIES, 5).await;
    let refused = ApiError::new(
        "AuthFailure",
        "AWS was not able to validate the credentials",
    );
    world.inject(FaultRule::next("*", Fault::Error(refused)).times(99));
    let function = world.function("sweep-retention");
    let (kind, message) = error(&function, &world.heartbeat(NOW)).await;
    assert_eq!(kind, "Inventory");
    assert!(message.contains("AuthFailure"), "{message}");
    world.account(Account::clear_faults);
    let next = report(&function, &world.heartbeat("2026-03-02T11:00:00Z")).await;
    assert_eq!(items(&next, "deleted").len(), 3, "the lease was given back");
}

#[tokio::test]
async fn the_account_is_ec2s_word_and_not_the_events() {
    let (world, _) = world("enforce", POLICIES, 5).await;
    let mut beat = world.heartbeat(NOW);
    beat["account"] = json!("000000000000");
    let done = report(&world.function("sweep-retention"), &beat).await;
    assert_eq!(
        done["summary"],
        json!({ "deleted": 3, "kept": 2 }),
        "{done:#}"
    );
}

#[tokio::test]
async fn a_second_page_of_snapshots_that_fails_holds_the_first() {
    let (world, _) = world("enforce", POLICIES, 1_200).await;
    let throttled = ApiError::new("RequestLimitExceeded", "Request limit exceeded.");
    world.inject(FaultRule::next("DescribeSnapshots", Fault::FailPage(2, throttled)).times(9));
    let done = sweep(&world).await;
    assert_eq!(world.snapshots().len(), 1_200);
    assert_eq!(done["summary"]["held"], 998, "{}", done["summary"]);
}

#[tokio::test]
async fn an_image_seen_only_by_ec2_itself_still_holds_its_snapshot() {
    let (world, ids) = world("enforce", POLICIES, 3).await;
    // Registered a moment ago: the lists do not show it yet, and EC2 refuses the deletion.
    world.account(|account| account.settings_mut().list_lag = SignedDuration::from_hours(1));
    let image = world.register_image("fresh", &[&ids[2]]);
    let done = sweep(&world).await;
    let item = item_of(&done, &ids[2]);
    assert_eq!(item["outcome"], "held", "{done:#}");
    assert_eq!(codes(item), ["used-by-image"]);
    assert_eq!(world.snapshots().len(), 3);
    assert!(image.starts_with("ami-"));
}

#[tokio::test]
async fn pending_failed_and_unknown_snapshots_use_no_place_and_only_failed_ones_go() {
    let (world, ids) = world("enforce", POLICIES, 4).await;
    let set = |id: &str, state| {
        world.account(|account| account.set_snapshot_state(&SnapshotId::new(id), state, None))
    };
    set(&ids[0], SnapshotState::Pending);
    set(&ids[1], SnapshotState::Error);
    let done = sweep(&world).await;
    assert_eq!(codes(item_of(&done, &ids[0])), ["pending"]);
    assert_eq!(item_of(&done, &ids[1])["outcome"], "deleted");
    assert_eq!(codes(item_of(&done, &ids[1])), ["failed-backup"]);
    assert_eq!(codes(item_of(&done, &ids[2])), ["retain.last"]);
    assert_eq!(codes(item_of(&done, &ids[3])), ["retain.last"]);
}

#[tokio::test]
async fn a_kept_member_keeps_its_whole_set() {
    let world = World::new(POLICIES, "enforce", |account| {
        volume(account, &[]);
        let other = "vol-0000000000000000b";
        let set = [
            ("holdfast:source", "i-00000000000000001"),
            ("holdfast:run", "one"),
        ];
        // The other volume has two newer backups; of `VOLUME` this set is the newest.
        seed_backup(account, "nightly", VOLUME, &day(9), &set);
        seed_backup(account, "nightly", other, &day(9), &set);
        seed_backup(account, "nightly", other, &day(1), &[]);
        seed_backup(account, "nightly", other, &day(2), &[]);
        seed_backup(account, "nightly", other, &day(10), &[]);
    })
    .await;
    let done = sweep(&world).await;
    assert_eq!(items(&done, "deleted").len(), 1, "{done:#}");
    let by_set: Vec<_> = items(&done, "kept")
        .into_iter()
        .filter(|item| codes(item) == ["retain.set"])
        .collect();
    assert_eq!(by_set.len(), 1);
    assert_eq!(by_set[0]["source"], "vol-0000000000000000b");
}

#[tokio::test]
async fn the_breaker_lets_the_first_few_go_holds_the_rest_and_is_released_by_the_shown_plan() {
    let (world, ids) = world("enforce", POLICIES, 60).await;
    let first = sweep(&world).await;
    assert_eq!(
        first["summary"],
        json!({ "deleted": 20, "held": 38, "kept": 2 }),
        "{first:#}"
    );
    assert_eq!(codes(items(&first, "held")[0]), ["circuit-breaker"]);
    assert_eq!(
        resources(&items(&first, "deleted"))[0],
        ids[59],
        "the oldest first"
    );
    let second = sweep(&world).await;
    assert_eq!(
        second["summary"],
        json!({ "held": 38, "kept": 2 }),
        "over all runs of 24 hours"
    );

    let function = world.function("sweep-retention");
    let hash = second["run"]["plan_hash"].as_str().unwrap();
    let wrong = json!({ "run": "nightly", "override": "0".repeat(64), "now": NOW });
    let refused = report(&function, &wrong).await;
    assert_eq!(items(&refused, "deleted").len(), 0);
    assert_eq!(
        codes(items(&refused, "finding")[0]),
        ["circuit-breaker"],
        "said, not ignored"
    );
    let right = json!({ "run": "nightly", "override": hash, "now": NOW });
    let released = report(&function, &right).await;
    assert_eq!(
        released["summary"],
        json!({ "deleted": 38, "kept": 2 }),
        "{released:#}"
    );
    assert_eq!(newest_first(&world), &ids[..2]);
}

#[tokio::test]
async fn a_release_over_two_policies_asked_for_by_one_of_them_still_frees_the_other() {
    let limited = format!("{POLICIES}    limits: {{ free: 1, max_shrink: 1% }}\n");
    let second = limited.split_once("policies:\n").unwrap().1;
    let second = second.replace("nightly", "weekly");
    let other = "vol-0000000000000000b";
    let (world, _) = world("enforce", &format!("{limited}{second}"), 5).await;
    world.account(|account| {
        for n in 0..5 {
            seed_backup(account, "weekly", other, &day(n), &[]);
        }
    });
    let tripped = sweep(&world).await;
    let counts = json!({ "deleted": 2, "held": 4, "kept": 4 });
    assert_eq!(tripped["summary"], counts, "{tripped:#}");
    let mut request = json!({ "override": tripped["run"]["plan_hash"], "now": NOW });
    let function = world.function("sweep-retention");
    for name in ["nightly", "weekly"] {
        request["run"] = json!(name);
        let released = report(&function, &request).await;
        let counts = json!({ "deleted": 2, "kept": 2 });
        assert_eq!(released["summary"], counts, "{released:#}");
    }
    let again = report(&function, &request).await;
    assert_eq!(items(&again, "finding").len(), 1, "used up: {again:#}");
}

#[tokio::test]
async fn a_release_does_not_free_what_something_needs_meanwhile() {
    let (world, ids) = world("enforce", POLICIES, 60).await;
    let first = sweep(&world).await;
    let hash = first["run"]["plan_hash"].as_str().unwrap();
    let image = world.register_image("needed", &[&ids[30]]);
    let request = json!({ "override": hash, "now": NOW });
    let released = report(&world.function("sweep-retention"), &request).await;
    assert_eq!(
        released["summary"],
        json!({ "deleted": 37, "held": 1, "kept": 2 })
    );
    assert_eq!(
        item_of(&released, &ids[30])["reasons"][0]["path"][1],
        image.as_str()
    );
}

#[tokio::test]
async fn grace_condemns_in_one_sweep_and_deletes_in_a_later_one() {
    let policies = POLICIES.replace("retain:", "grace: 24h\n    retain:");
    let (world, ids) = world("enforce", &policies, 4).await;
    let first = sweep(&world).await;
    assert_eq!(
        first["summary"],
        json!({ "held": 2, "kept": 2 }),
        "{first:#}"
    );
    assert_eq!(codes(item_of(&first, &ids[3])), ["grace"]);
    let image = world.register_image("needed", &[&ids[2]]);
    let function = world.function("sweep-retention");
    let early = report(&function, &world.heartbeat("2026-03-03T09:59:00Z")).await;
    assert_eq!(codes(item_of(&early, &ids[3])), ["grace"]);
    assert_eq!(
        codes(item_of(&early, &ids[2])),
        ["used-by-image", "grace"],
        "freed, and said"
    );
    let request =
        holdfast_sim::request::Request::DeregisterImage(holdfast_sim::request::DeregisterImage {
            id: image,
            delete_associated_snapshots: false,
        });
    world.account(|account| account.call(&request)).unwrap();
    let due = report(&function, &world.heartbeat("2026-03-03T10:00:00Z")).await;
    assert_eq!(resources(&items(&due, "deleted")), [ids[3].clone()]);
    assert_eq!(
        codes(item_of(&due, &ids[2])),
        ["grace"],
        "its sentence begins anew"
    );
}

#[tokio::test]
async fn a_lost_answer_to_a_deletion_ends_with_the_next_sweep() {
    let (world, ids) = world("enforce", POLICIES, 3).await;
    world.inject(FaultRule::next("DeleteSnapshot", Fault::AppliedButResponseLost).times(9));
    let first = sweep(&world).await;
    // The SDK may repeat this call: it is then told that the snapshot is not there.
    let item = item_of(&first, &ids[2]);
    assert!(
        item["outcome"] == "deleted" || item["outcome"] == "deferred",
        "{first:#}"
    );
    world.account(Account::clear_faults);
    let second = sweep(&world).await;
    assert_eq!(second["summary"], json!({ "kept": 2 }));
    assert_eq!(world.snapshots().len(), 2);
}

#[tokio::test]
async fn a_late_sweep_only_plans() {
    let (world, _) = world("enforce", POLICIES, 5).await;
    let function = world.function("sweep-retention");
    let paused = POLICIES.replace("retain:", "state: paused\n    retain:");
    world.set_policies(&paused);
    let held = report(&function, &world.heartbeat("2026-03-02T12:00:00Z")).await;
    assert_eq!(codes(items(&held, "held")[0]), ["policy-paused"]);
    world.set_policies(POLICIES);
    let late = report(&function, &world.heartbeat("2026-03-02T11:00:00Z")).await;
    assert_eq!(late["run"]["mode"], "plan");
    assert_eq!(
        late["summary"],
        json!({ "kept": 2, "planned": 3, "skipped": 1 })
    );
    assert_eq!(world.snapshots().len(), 5);
}

#[tokio::test]
async fn a_renamed_policy_governs_what_its_earlier_name_made() {
    let renamed = POLICIES
        .replace("name: nightly", "name: daily-db")
        .replace("retain:", "formerly: [nightly]\n    retain:");
    let (world, _) = world("enforce", &renamed, 5).await;
    let done = sweep(&world).await;
    assert_eq!(done["summary"], json!({ "deleted": 3, "kept": 2 }));
    assert_eq!(done["items"][0]["policy"], "daily-db");
}

#[tokio::test]
async fn while_another_sweep_holds_the_lease_nothing_is_deleted() {
    let (world, _) = world("enforce", POLICIES, 5).await;
    let function = world.function("sweep-retention");
    report(&function, &world.heartbeat(NOW)).await;
    world.change("lease#sweep-retention", "lease", |item| {
        let ahead = jiff::Timestamp::now().as_millisecond() + 50_000;
        item["holder"] = json!({ "S": "another" });
        item["expires_ms"] = json!({ "N": ahead.to_string() });
    });
    let _ = world.calls();
    let busy = report(&function, &world.heartbeat("2026-03-02T11:00:00Z")).await;
    assert_eq!(codes(items(&busy, "deferred")[0]), ["lease-held"]);
    assert_eq!(busy["run"]["complete"], false);
    assert_eq!(world.calls(), [""; 0]);
}
