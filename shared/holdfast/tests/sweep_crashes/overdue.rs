//! Runs whose time is over before they have read what they decide on.

use futures::future::join_all;
use holdfast::check::reconcile_all;
use holdfast::create::{Means, create};
use holdfast::error::RunError;
use holdfast::explain::explain_in_time;
use holdfast::function::Invocation;
use holdfast_core::event::{CreateEvent, Origin};
use holdfast_core::policy::Protect;
use holdfast_core::report::{Action, Item, Mode, Outcome, ReasonCode, Report};
use jiff::{SignedDuration, Timestamp};

use super::interrupted::gate::{Run, side_by_side};
use super::interrupted::ports::Ports;
use super::stage::{Stage, invocation};
use super::world::world;
use super::{LAGGING, PROMPT};

/// Enough to come to the call that is never answered, which outlasts any time; all wait for theirs
/// at once.
const TIME: SignedDuration = SignedDuration::from_secs(3);

/// Calls before the first deletion, EC2's and the records'.
const BEFORE: [&str; 16] = [
    "snapshots",
    "images",
    "instances",
    "volumes",
    "locks",
    "launch_template_versions",
    "launch_configurations",
    "auto_scaling_groups",
    "fleets",
    "fast_restores",
    "recycle_bin",
    "waiting_orphans",
    "census",
    "condemned",
    "pins",
    "save_census",
];

fn overdue(report: &Report) {
    assert!(!report.run.complete);
    let [item] = &report.items[..] else {
        panic!("{:?}", report.items);
    };
    assert_eq!(
        (item.action, item.outcome),
        (Action::Check, Outcome::Failed)
    );
    assert_eq!(item.reasons[0].code, ReasonCode::OutOfTime);
    let words = item.reasons[0].detail.as_deref().unwrap();
    assert!(
        words.contains("time-out") || words.contains("timeout"),
        "{words}"
    );
}

#[tokio::test]
async fn a_sweep_whose_time_is_over_before_it_deletes_says_so_and_the_next_one_does_it_all() {
    let world = world(0, PROMPT);
    let mut undisturbed = Stage::new(&world, 0);
    undisturbed.sweep(0, None).await.unwrap().unwrap();
    undisturbed.pause(false);
    undisturbed.take_changes();
    undisturbed.sweep(1, None).await.unwrap().unwrap();
    let mut expected = undisturbed.take_changes();
    expected.sort();
    assert!(!expected.is_empty());
    let (world, expected) = (&world, &expected);
    let each = BEFORE.map(async |name| {
        let mut stage = Stage::new(world, 0);
        stage.sweep(0, None).await.unwrap().unwrap();
        stage.pause(false);
        stage.take_changes();
        stage.gate.stall(name);
        stage.time = Some(TIME);
        let report = stage.sweep(1, None).await.unwrap().unwrap();
        assert!(!stage.gate.is_to_stall(), "{name} was not called");
        overdue(&report);
        assert_eq!(report.run.mode, Some(Mode::Enforce));
        assert_eq!(stage.take_changes(), Vec::<String>::new(), "{name}");
        stage.time = None;
        // Its lease was given back: the next need not wait.
        stage.sweep(1, None).await.unwrap().unwrap();
        let mut made = stage.take_changes();
        made.sort();
        assert_eq!(&made, expected, "{name}");
    });
    join_all(each).await;
}

#[tokio::test]
async fn a_sweep_whose_time_is_over_at_the_last_look_leaves_the_rest_to_the_next_one() {
    let world = world(0, PROMPT);
    let mut stage = Stage::new(&world, 0);
    stage.sweep(0, None).await.unwrap().unwrap();
    stage.pause(false);
    stage.gate.stall("snapshot_shares");
    stage.time = Some(TIME);
    let report = stage.sweep(1, None).await.unwrap().unwrap();
    assert!(!stage.gate.is_to_stall());
    assert!(!report.run.complete);
    let over = |item: &&Item| {
        let mut reasons = item.reasons.iter();
        reasons.any(|reason| reason.code == ReasonCode::OutOfTime)
    };
    let left: Vec<&Item> = report.items.iter().filter(over).collect();
    assert!(!left.is_empty());
    assert!(left.iter().all(|item| item.outcome == Outcome::Deferred));
    let census = stage.records.contents().census.unwrap().value;
    let begins = census.resume_at.unwrap();
    assert!(left.iter().any(|item| item.resource == begins), "{begins}");
    stage.time = None;
    stage.sweep(1, None).await.unwrap().unwrap();
    let census = stage.records.contents().census.unwrap().value;
    assert_eq!(census.resume_at, None, "it got through");
}

/// One run with so much time.
async fn run<T>(
    stage: &mut Stage<'_>,
    time: Option<SignedDuration>,
    work: impl AsyncFn(&Ports, &Invocation) -> T,
) -> T {
    let ports = stage.another();
    let invocation = Invocation {
        stop_at: time.map(|time| Timestamp::now() + time),
        operator: None,
        ..invocation(ports.run)
    };
    let run: Run<'_, T> = (
        ports.run,
        Box::pin(async { work(&ports, &invocation).await }),
    );
    let mut ended = side_by_side(&stage.gate, vec![run], |_| 0).await;
    ended.remove(0).unwrap()
}

/// One with little time, of which a call of this name is never answered.
async fn stalled<T>(
    stage: &mut Stage<'_>,
    name: &'static str,
    work: impl AsyncFn(&Ports, &Invocation) -> T,
) -> T {
    stage.gate.stall(name);
    let ended = run(stage, Some(TIME), work).await;
    assert!(!stage.gate.is_to_stall(), "{name} was not called");
    ended
}

#[tokio::test]
async fn a_reconcile_whose_time_is_over_while_it_reads_says_so_and_the_next_one_does_it_all() {
    let world = world(0, LAGGING);
    let world = &world;
    let each = ["snapshots", "images", "instances", "volumes", "roster"].map(async |name| {
        let mut stage = Stage::new(world, 0);
        let reconcile = async |ports: &Ports, invocation: &Invocation| {
            let policies = &world.policies;
            reconcile_all(ports, ports, policies, None, invocation, world.wall).await
        };
        let report = stalled(&mut stage, name, reconcile).await.unwrap();
        overdue(&report);
        let again = run(&mut stage, None, reconcile).await.unwrap();
        assert!(again.run.complete, "{name}");
    });
    join_all(each).await;
}

#[tokio::test]
async fn a_creating_run_whose_time_is_over_while_it_lists_begins_nothing() {
    let world = world(0, LAGGING);
    let world = &world;
    let each = ["instances", "volumes"].map(async |name| {
        let mut stage = Stage::new(world, 0);
        let creating = async |ports: &Ports, invocation: &Invocation| {
            let event = CreateEvent::Heartbeat(Origin {
                time: world.wall,
                account: None,
                region: None,
            });
            let (protect, means) = (Protect::Volumes, Means::default());
            let policies = &world.policies;
            create(protect, ports, ports, policies, means, event, invocation).await
        };
        let ended = stalled(&mut stage, name, creating).await;
        assert!(matches!(ended, Err(RunError::Overdue)), "{ended:?}");
        let records = stage.records.contents();
        assert!(records.slots.is_empty(), "{name}");
        let heads = records.functions.values().all(|f| f.heads.is_empty());
        assert!(heads, "{name}: the slots are due as before");
    });
    join_all(each).await;
}

#[tokio::test]
async fn what_is_asked_about_is_held_where_the_time_is_over_before_all_is_read() {
    let world = world(0, PROMPT);
    let world = &world;
    let id = world.backups[0].parts.first().unwrap();
    let each = ["snapshots", "launch_template_versions", "pins"].map(async |name| {
        let mut stage = Stage::new(world, 0);
        let explaining = async |ports: &Ports, invocation: &Invocation| {
            let (policies, ids) = (&world.policies, [id.clone(), id.clone()]);
            explain_in_time(ports, ports, policies, &ids, None, world.wall, invocation).await
        };
        let explained = stalled(&mut stage, name, explaining).await.unwrap();
        let [item] = &explained.items[..] else {
            panic!("{:?}", explained.items);
        };
        assert_eq!((&item.resource, item.outcome), (id, Outcome::Held));
        assert_eq!(item.reasons[0].code, ReasonCode::OutOfTime);
        assert!(!explained.is_complete());
        let again = run(&mut stage, None, explaining).await.unwrap();
        assert_ne!(again.items[0].reasons[0].code, ReasonCode::OutOfTime);
    });
    join_all(each).await;
}
