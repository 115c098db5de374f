//! sweep-retention and counts that collapse against the last sweep's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_end_to_end::backups::{NOW, POLICIES, VOLUME, day};
use holdfast_end_to_end::images::{self, sweep_at};
use holdfast_end_to_end::{World, codes, item_of, items, report, seed_backup};
use holdfast_sim::{InstanceSeed, TemplateData};

use holdfast_sim::request::{
    CreateLaunchTemplate, DeleteLaunchTemplate, Request, TerminateInstances,
};
use serde_json::{Value, json};

const LATER: &str = "2026-03-02T11:00:00Z";
const LATEST: &str = "2026-03-02T12:00:00Z";

fn census(world: &World) -> Value {
    let item = world.item("census", "census").expect("a census");
    serde_json::from_str(item["listed"]["S"].as_str().unwrap()).unwrap()
}

/// Three backups of one volume, two of which stay, beside twelve instances; what was launched.
async fn with_instances(mode: &str) -> (World, Vec<String>) {
    let world = World::new(POLICIES, mode, |account| {
        holdfast_end_to_end::backups::volume(account, &[("Backup", "nightly")]);
        for n in 0..2 {
            seed_backup(account, "nightly", VOLUME, &day(n), &[]);
        }
    })
    .await;
    let launch =
        |_| world.account(|account| account.seed_instance(InstanceSeed::default()).to_string());
    let instances = (0..12).map(launch).collect();
    (world, instances)
}

fn terminate(world: &World, ids: &[String]) {
    let ids = ids.to_vec();
    let request = Request::TerminateInstances(TerminateInstances { ids });
    world.account(|account| account.call(&request)).unwrap();
}

#[tokio::test]
async fn a_collapse_of_what_is_listed_holds_everything_until_the_shown_plan_is_released() {
    let (world, instances) = with_instances("enforce").await;
    let first = sweep_at(&world, NOW).await;
    assert_eq!(first["summary"], json!({ "kept": 2 }), "{first:#}");
    assert_eq!(census(&world)["instances"], 12);
    terminate(&world, &instances[..8]);
    world.account(|account| seed_backup(account, "nightly", VOLUME, &day(5), &[]));
    for time in [LATER, LATEST] {
        let tripped = sweep_at(&world, time).await;
        let held = items(&tripped, "held");
        assert_eq!(held.len(), 1, "{tripped:#}");
        assert_eq!(codes(held[0]), ["circuit-breaker"]);
        assert_eq!(codes(item_of(&tripped, "nightly")), ["circuit-breaker"]);
        assert_eq!(census(&world)["instances"], 12, "waiting releases nothing");
        let hash = tripped["run"]["plan_hash"].clone();
        if time == LATEST {
            let request = json!({ "override": hash, "now": LATEST });
            let released = report(&world.function("sweep-retention"), &request).await;
            assert_eq!(items(&released, "deleted").len(), 1, "{released:#}");
        }
    }
    assert_eq!(
        census(&world)["instances"],
        4,
        "the release accepts the counts"
    );
    let next = sweep_at(&world, "2026-03-02T13:00:00Z").await;
    assert_eq!(next["summary"], json!({ "kept": 2 }), "{next:#}");
}

/// A request for the release of a plan.
async fn release(world: &World, plan: &Value, time: &str) -> Value {
    let request = json!({ "override": plan["run"]["plan_hash"], "now": time });
    report(&world.function("sweep-retention"), &request).await
}

fn backup(world: &World, days: i64) {
    world.account(|account| seed_backup(account, "nightly", VOLUME, &day(days), &[]));
}

#[tokio::test]
async fn a_release_accepts_no_collapse_and_no_deletion_that_came_after_what_was_shown() {
    let (world, instances) = with_instances("enforce").await;
    let template = |n: usize| format!("template-{n}");
    for n in 0..8 {
        let request = Request::CreateLaunchTemplate(CreateLaunchTemplate {
            name: template(n),
            description: None,
            data: TemplateData::default(),
            tags: Vec::new(),
            client_token: None,
        });
        world.account(|account| account.call(&request)).unwrap();
    }
    sweep_at(&world, NOW).await;
    terminate(&world, &instances[..8]);
    backup(&world, 5);
    let first = sweep_at(&world, LATER).await;
    assert_eq!(items(&first, "held").len(), 1, "{first:#}");
    // After it was shown, the launch templates go, and one more backup is condemned.
    backup(&world, 6);
    for n in 0..7 {
        let request = Request::DeleteLaunchTemplate(DeleteLaunchTemplate {
            id: None,
            name: Some(template(n)),
        });
        world.account(|account| account.call(&request)).unwrap();
    }
    let released = release(&world, &first, LATER).await;
    let counts = json!({ "deleted": 1, "held": 1, "kept": 2, "finding": 2 });
    assert_eq!(released["summary"], counts, "{released:#}");
    let held = items(&first, "held")[0]["resource"].clone();
    assert_eq!(items(&released, "deleted")[0]["resource"], held);
    assert_eq!(census(&world)["instances"], 12);
    assert_eq!(census(&world)["launch_templates"], 8);
    // Nobody asked for anything since.
    let next = sweep_at(&world, LATEST).await;
    let counts = json!({ "held": 1, "kept": 2, "finding": 2 });
    assert_eq!(next["summary"], counts, "{next:#}");
    let again = release(&world, &first, LATEST).await;
    assert_eq!(items(&again, "deleted").len(), 0, "used up: {again:#}");
    // All of it has been shown by now.
    let released = release(&world, &next, LATEST).await;
    let counts = json!({ "deleted": 1, "kept": 2 });
    assert_eq!(released["summary"], counts, "{released:#}");
    assert_eq!(census(&world)["instances"], 4);
    assert_eq!(census(&world)["launch_templates"], 1);
}

#[tokio::test]
async fn a_release_of_what_an_earlier_version_stored_accepts_no_counts() {
    let (world, instances) = with_instances("enforce").await;
    sweep_at(&world, NOW).await;
    terminate(&world, &instances[..8]);
    backup(&world, 5);
    let tripped = sweep_at(&world, LATER).await;
    let hash = tripped["run"]["plan_hash"].as_str().unwrap();
    world.change(&format!("tripped#{hash}"), "tripped", |item| {
        let stored = item.as_object_mut().unwrap();
        stored.remove("comparisons").expect("what tripped it");
    });
    let released = release(&world, &tripped, LATEST).await;
    let counts = json!({ "deleted": 1, "kept": 2, "finding": 1 });
    assert_eq!(released["summary"], counts, "{released:#}");
    assert_eq!(census(&world)["instances"], 12);
}

#[tokio::test]
async fn a_sweep_that_only_plans_keeps_its_counts_and_a_dry_run_does_not() {
    let (world, _) = with_instances("plan").await;
    let request = json!({ "dry_run": true, "now": NOW });
    report(&world.function("sweep-retention"), &request).await;
    assert_eq!(world.item("census", "census"), None);
    sweep_at(&world, NOW).await;
    assert_eq!(census(&world)["instances"], 12);
}

#[tokio::test]
async fn a_late_sweep_keeps_no_counts_by_which_a_wait_would_seem_to_be_over() {
    let graced = POLICIES.replace("retain:", "grace: 1d\n    retain:");
    let world = World::new(&graced, "enforce", |account| {
        holdfast_end_to_end::backups::volume(account, &[("Backup", "nightly")]);
    })
    .await;
    // The policy leaves the file and comes back: what it governs, it governs since then.
    world.set_policies(&graced.replace("nightly", "weekly"));
    sweep_at(&world, NOW).await;
    world.set_policies(&graced);
    sweep_at(&world, LATEST).await;
    let kept = world.item("census", "census").unwrap();
    let governed: Value = serde_json::from_str(kept["governed"]["S"].as_str().unwrap()).unwrap();
    assert_eq!(governed["nightly"]["graced"], LATEST, "{governed:#}");
    let late = sweep_at(&world, LATER).await;
    assert_eq!(late["run"]["mode"], "plan");
    assert_eq!(world.item("census", "census").unwrap(), kept);
}

#[tokio::test]
async fn a_sweep_that_only_plans_leaves_alone_where_an_enforcing_one_begins_next() {
    let (world, _) = with_instances("plan").await;
    sweep_at(&world, NOW).await;
    world.change("census", "census", |item| {
        item["resume_at"] = json!({ "S": "snap-0000000000000000f" });
        item["fence"] = json!({ "N": "7" });
    });
    sweep_at(&world, LATER).await;
    let kept = world.item("census", "census").unwrap();
    assert_eq!(kept["now"]["S"], LATER);
    assert_eq!(kept["resume_at"]["S"], "snap-0000000000000000f");
    assert_eq!(kept["fence"]["N"], "7");
    // What was counted since stands.
    world.change("census", "census", |item| {
        item["wall"] = json!({ "S": "2999-01-01T00:00:00Z" });
    });
    let kept = world.item("census", "census").unwrap();
    sweep_at(&world, LATEST).await;
    assert_eq!(world.item("census", "census").unwrap(), kept);
}

#[tokio::test]
async fn what_the_sweep_itself_deregistered_is_no_collapse() {
    let generous = images::POLICIES.replace("retain:", "limits: { free: 50 }\n    retain:");
    let (world, _) = images::world("enforce", &generous, 22).await;
    let first = images::sweep(&world).await;
    assert_eq!(
        first["summary"],
        json!({ "deleted": 20, "kept": 2 }),
        "{}",
        first["summary"]
    );
    assert_eq!(census(&world)["images"], 2);
    let second = sweep_at(&world, LATER).await;
    assert_eq!(second["summary"], json!({ "kept": 2 }), "{second:#}");
}
