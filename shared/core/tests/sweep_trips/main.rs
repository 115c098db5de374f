//! When a comparison with the last sweep trips the breaker, case by case.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod released;

use std::collections::BTreeMap;

use holdfast_core::artifact::{ArtifactKind, Stamp};
use holdfast_core::id::{ImageId, InstanceId, SnapshotId, VolumeId};
use holdfast_core::inventory::{
    Instance, InstanceState, Inventory, Listing, Snapshot, SnapshotState, Source, Tags, Volume,
    VolumeState,
};
use holdfast_core::plan::census::{count, next, trips};
use holdfast_core::plan::judge::{Evidence, OnRecord, Verdict, judge};
use holdfast_core::policy::PolicyFile;
use holdfast_core::ports::records::Census;
use holdfast_core::ports::{CallError, ErrorClass};
use holdfast_core::report::{Reason, ReasonCode};
use jiff::{SignedDuration, Timestamp};

fn now() -> Timestamp {
    "2026-02-10T12:00:00Z".parse().unwrap()
}

fn hour_ago() -> Timestamp {
    now() - SignedDuration::from_hours(1)
}

fn policies(more: &str) -> PolicyFile {
    let text = format!(
        "version: 1\npolicies:\n  - name: p\n    protect: volumes\n    \
         select: {{ volumes: {{ tags: {{ B: x }} }} }}\n    schedule: rate(1 hour)\n    \
         retain: {{ last: 1 }}\n    {more}\n"
    );
    PolicyFile::parse("p.yaml", &text, now()).unwrap()
}

fn volume(n: usize, tagged: bool) -> Volume {
    let tags = tagged.then(|| ("B".to_owned(), "x".to_owned()));
    Volume {
        id: VolumeId::new(format!("vol-{n}")),
        state: VolumeState::Available,
        volume_type: None,
        size_gib: None,
        created: None,
        kms_key: None,
        attachments: vec![],
        tags: tags.into_iter().collect(),
    }
}

fn instance(n: usize, state: InstanceState) -> Instance {
    Instance {
        id: InstanceId::new(format!("i-{n}")),
        state,
        image: Some(ImageId::new("ami-elsewhere")),
        instance_type: None,
        launched: None,
        root_device: None,
        root_device_type: None,
        lifecycle: Default::default(),
        launch: None,
        devices: vec![],
        tags: Tags::new(),
    }
}

/// The backup of `vol-0`, so many hours old.
fn backup(hours: i64) -> Snapshot {
    let time = now() - SignedDuration::from_hours(hours);
    let stamp = Stamp {
        kind: ArtifactKind::Snapshot,
        policy: "p",
        source: "vol-0",
        slot: time,
        run: "r",
        group: None,
    };
    Snapshot {
        id: SnapshotId::new(format!("snap-{hours}")),
        volume: Some(VolumeId::new("vol-0")),
        state: SnapshotState::Completed,
        start: Some(time),
        owner: Some("1".into()),
        owner_alias: None,
        size_gib: None,
        tier: None,
        state_message: None,
        kms_key: None,
        description: String::new(),
        tags: stamp.tags(),
    }
}

/// One tagged volume with two backups, of which the older may go, and so many instances.
fn account(instances: usize) -> Inventory {
    let running = |n| instance(n, InstanceState::Running);
    Inventory {
        snapshots: Listing::complete(Source::Snapshots, vec![backup(1), backup(2)], now())
            .into_items(),
        volumes: Listing::complete(Source::Volumes, vec![volume(0, true)], now()),
        instances: Listing::complete(
            Source::Instances,
            (0..instances).map(running).collect(),
            now(),
        ),
        ..Inventory::empty(now())
    }
}

fn census(listed: &[(&str, u64)], picked: &[(&str, u64)]) -> Census {
    let of = |counts: &[(&str, u64)]| counts.iter().map(|(n, c)| ((*n).to_owned(), *c)).collect();
    Census {
        now: hour_ago(),
        wall: hour_ago(),
        listed: of(listed),
        picked: of(picked),
        accepted: BTreeMap::new(),
        governed: None,
        resume_at: None,
    }
}

fn verdicts(policies: &PolicyFile, inventory: &Inventory) -> Vec<Verdict> {
    let evidence = Evidence {
        inventory,
        on_record: &OnRecord::default(),
        account: None,
    };
    judge(policies, &evidence, now(), None)
}

type Trips = BTreeMap<String, Vec<Reason>>;

fn compared(policies: &PolicyFile, before: &Census, inventory: &Inventory) -> Trips {
    compared_at(now(), policies, before, inventory)
}

/// By the wall clock's time.
fn compared_at(
    wall: Timestamp,
    policies: &PolicyFile,
    before: &Census,
    inventory: &Inventory,
) -> Trips {
    let current = count(inventory, policies, now(), wall);
    let verdicts = verdicts(policies, inventory);
    trips(Some(before), &current, policies, inventory, &verdicts)
}

#[test]
fn what_is_listed_and_picked_is_counted_and_what_was_not_read_is_left_out() {
    let mut account = account(3);
    account
        .instances
        .items
        .push(instance(9, InstanceState::Terminated));
    let file = policies("");
    let counted = count(&account, &file, now(), now());
    let expected = [
        ("auto_scaling", 0),
        ("fast_restore", 0),
        ("fleets", 0),
        ("images", 0),
        ("instances", 3),
        ("launch_configurations", 0),
        ("launch_templates", 0),
        ("locks", 0),
        ("volumes", 1),
    ];
    let listed = expected.map(|(name, count)| (name.to_owned(), count));
    assert_eq!(counted.listed, BTreeMap::from(listed));
    assert_eq!(counted.picked, BTreeMap::from([("p".to_owned(), 1)]));
    account.instances.error = Some(CallError {
        operation: "DescribeInstances",
        resource: "*".into(),
        code: None,
        class: ErrorClass::Throttled,
        message: "page 2".into(),
    });
    account.fleets = None;
    let counted = count(&account, &file, now(), now());
    assert!(!counted.listed.contains_key("instances"));
    assert!(!counted.listed.contains_key("fleets"));
    assert!(counted.picked.is_empty(), "who knows what it would pick");
    let retired = policies("state: retired");
    assert!(count(&account, &retired, now(), now()).picked.is_empty());
}

#[test]
fn a_list_that_collapses_trips_with_its_figures() {
    let file = policies("");
    for (before, after, expected) in [(40, 20, false), (40, 19, true), (9, 1, true)] {
        let before = census(&[("instances", before)], &[]);
        let tripped = compared(&file, &before, &account(after));
        assert_eq!(!tripped.is_empty(), expected, "{before:?} then {after}");
    }
    let tripped = compared(&file, &census(&[("instances", 40)], &[]), &account(3));
    let reason = &tripped["p"][0];
    assert_eq!(reason.code, ReasonCode::CircuitBreaker);
    let words = reason.detail.clone().unwrap();
    assert!(words.starts_with("instances: 3 listed now, 40 "), "{words}");
}

#[test]
fn only_a_source_that_the_policy_relies_on_trips_it() {
    let gone = census(&[("fleets", 40)], &[]);
    assert!(compared(&policies(""), &gone, &account(0)).contains_key("p"));
    let unused = policies("evidence: { fleets: not-used }");
    assert!(compared(&unused, &gone, &account(0)).is_empty());
    let paused = policies("state: paused");
    assert!(compared(&paused, &gone, &account(0)).is_empty());
    let retired = policies("state: retired");
    assert!(compared(&retired, &gone, &account(0)).contains_key("p"));
}

#[test]
fn without_a_last_sweep_and_with_an_unread_list_nothing_trips() {
    let file = policies("");
    let mut inventory = account(0);
    let current = count(&inventory, &file, now(), now());
    assert!(trips(None, &current, &file, &inventory, &Vec::<Verdict>::new()).is_empty());
    let before = census(&[("launch_configurations", 40)], &[]);
    inventory.launch_configurations = None;
    assert!(compared(&file, &before, &inventory).is_empty());
}

#[test]
fn a_policy_that_picks_nothing_any_more_trips_while_a_source_of_its_backups_stands() {
    let before = census(&[], &[("p", 1)]);
    let mut mistyped = account(0);
    mistyped.volumes.items = vec![volume(0, false)];
    let tripped = compared(&policies(""), &before, &mistyped);
    let words = tripped["p"][0].detail.clone().unwrap();
    assert!(words.contains("vol-0 still stands"), "{words}");
    // Under its earlier name, too.
    let renamed = census(&[], &[("old", 1)]);
    assert!(compared(&policies("formerly: [old]"), &renamed, &mistyped).contains_key("p"));
    // Gone, or on its way out: that is for `source_gone`.
    let mut gone = account(0);
    gone.volumes.items = vec![];
    assert!(compared(&policies(""), &before, &gone).is_empty());
    gone.volumes.items = vec![volume(0, false)];
    gone.volumes.items[0].state = VolumeState::Deleting;
    assert!(compared(&policies(""), &before, &gone).is_empty());
    // It never picked anything, or is retired and need not.
    assert!(compared(&policies(""), &census(&[], &[("p", 0)]), &mistyped).is_empty());
    assert!(compared(&policies("state: retired"), &before, &mistyped).is_empty());
}

#[test]
fn a_clock_that_jumped_trips_every_policy() {
    let minutes = |n| SignedDuration::from_mins(n);
    let week = SignedDuration::from_hours(7 * 24);
    for (last, expected) in [
        (now() + minutes(5), false),
        (now() + minutes(5) + SignedDuration::from_secs(1), true),
        (now() - week, false),
        (now() - week - SignedDuration::from_secs(1), true),
    ] {
        let mut before = census(&[], &[]);
        before.wall = last;
        let tripped = compared(&policies(""), &before, &account(0));
        assert_eq!(tripped.contains_key("p"), expected, "{last}");
    }
}

#[test]
fn waiting_releases_no_trip() {
    let file = policies("");
    let mut inventory = account(2);
    inventory.volumes.items = vec![volume(0, false)];
    let mut before = census(&[("instances", 40), ("fleets", 3)], &[("p", 1)]);
    before.wall = now() - SignedDuration::from_hours(8 * 24);
    for _ in 0..3 {
        let current = count(&inventory, &file, now(), now());
        let tripped = compared(&file, &before, &inventory);
        assert_eq!(tripped["p"].len(), 3);
        let nothing = BTreeMap::new();
        before = next(Some(&before), &current, &file, &tripped, &tripped, &nothing);
    }
    assert_eq!((before.listed["instances"], before.picked["p"]), (40, 1));
    assert_eq!(before.listed["fleets"], 0, "what did not trip goes on");
    // A sweep of another policy alone does not ask about this one's backups.
    let current = count(&inventory, &file, now(), now());
    let alone = next(
        Some(&before),
        &current,
        &file,
        &Trips::new(),
        &Trips::new(),
        &BTreeMap::new(),
    );
    assert_eq!(alone.picked["p"], 1);
    // Released, today's figures are the new measure.
    let tripped = compared(&file, &before, &inventory);
    let after = next(
        Some(&before),
        &current,
        &file,
        &tripped,
        &Trips::new(),
        &BTreeMap::new(),
    );
    assert_eq!((after.listed["instances"], after.picked["p"]), (2, 0));
    assert_eq!(after.wall, now());
    assert!(compared(&file, &after, &inventory).is_empty());
}

#[test]
fn a_released_policy_does_not_trip_again_over_the_same_while_another_stays_tripped() {
    let mut file = policies("");
    let mut other = file.policies[0].clone();
    other.name = "q".into();
    file.policies.push(other);
    let none = BTreeMap::new();
    let before = census(&[("fleets", 40), ("instances", 0)], &[]);
    let tripped = compared(&file, &before, &account(0));
    assert_eq!(tripped.keys().collect::<Vec<_>>(), ["p", "q"]);
    // A request releases p; q waits.
    let waits: Trips = [("q".to_owned(), tripped["q"].clone())].into();
    let current = |instances| count(&account(instances), &file, now(), now());
    let later = next(Some(&before), &current(0), &file, &tripped, &waits, &none);
    let again = compared(&file, &later, &account(0));
    assert_eq!(again.keys().collect::<Vec<_>>(), ["q"], "p was released");
    assert_eq!(again["q"], tripped["q"], "and waiting releases nothing");
    // What p is compared with goes on meanwhile, so that a new collapse trips it.
    let later = next(Some(&later), &current(20), &file, &again, &again, &none);
    assert_eq!(compared(&file, &later, &account(20)).len(), 1);
    let collapsed = compared(&file, &later, &account(0));
    assert_eq!(collapsed["p"].len(), 1);
    assert!(
        collapsed["p"][0]
            .detail
            .as_ref()
            .unwrap()
            .contains("instances")
    );
    let later = next(
        Some(&later),
        &current(0),
        &file,
        &collapsed,
        &collapsed,
        &none,
    );
    assert_eq!(compared(&file, &later, &account(0))["p"], collapsed["p"]);
    // With the last release there is one measure for all again.
    let later = next(
        Some(&later),
        &current(0),
        &file,
        &collapsed,
        &Trips::new(),
        &none,
    );
    assert!(later.accepted.is_empty());
    assert!(compared(&file, &later, &account(0)).is_empty());
}

#[test]
fn a_clock_that_one_policys_release_accepted_trips_the_others_only() {
    let mut file = policies("");
    let mut other = file.policies[0].clone();
    other.name = "q".into();
    file.policies.push(other);
    let mut before = census(&[], &[]);
    before.wall = now() - SignedDuration::from_hours(8 * 24);
    let tripped = compared(&file, &before, &account(0));
    assert_eq!(tripped.len(), 2);
    let waits: Trips = [("q".to_owned(), tripped["q"].clone())].into();
    let current = count(&account(0), &file, now(), now());
    let none = BTreeMap::new();
    let later = next(Some(&before), &current, &file, &tripped, &waits, &none);
    let again = compared(&file, &later, &account(0));
    assert_eq!(again.keys().collect::<Vec<_>>(), ["q"]);
}

#[test]
fn what_was_not_counted_keeps_its_figure() {
    let file = policies("");
    let before = census(&[("instances", 40)], &[("p", 7)]);
    let current = census(&[("volumes", 1)], &[]);
    let none = Trips::new();
    let after = next(
        Some(&before),
        &current,
        &file,
        &none,
        &none,
        &BTreeMap::new(),
    );
    assert_eq!(after.listed["instances"], 40);
    assert_eq!((after.listed["volumes"], after.picked["p"]), (1, 7));
}

#[test]
fn what_holdfast_itself_deleted_is_no_collapse() {
    let file = policies("");
    let none = Trips::new();
    let counted = census(&[("images", 40)], &[]);
    let deleted = BTreeMap::from([("images".to_owned(), 38)]);
    let after = next(None, &counted, &file, &none, &none, &deleted);
    assert_eq!(after.listed["images"], 2);
}
