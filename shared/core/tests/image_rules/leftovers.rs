//! Backing snapshots that Holdfast's own deregistrations left: they are finished.

use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::{ImageState, InstanceState, SnapshotState};
use holdfast_core::plan::judge::Leftover;
use holdfast_core::plan::settle::{Recorded, retry_after};
use holdfast_core::report::ReasonCode;
use jiff::SignedDuration;

use crate::stage::{World, at, backing, day, instance, now, template};

/// Two AMIs that are kept, and the snapshot of a third, three days old, that has lost its own.
fn orphaned() -> World {
    let mut world = World::of("retain: { last: 2 }", 2);
    world.snapshots.push(backing(3, "i-1"));
    world
}

fn ours(world: &mut World, n: usize) {
    let leftover = Leftover {
        image: ImageId::new(format!("ami-{n}")),
        time: day(n),
        tries: 0,
        last: None,
    };
    world.leftovers.insert(format!("snap-{n}-0"), leftover);
}

#[test]
fn a_snapshot_that_the_list_of_amis_may_be_too_old_for_is_pending_and_no_orphan() {
    let mut world = orphaned();
    let minutes = |n| Some(now() - SignedDuration::from_mins(n));
    world.snapshots[2].start = minutes(9);
    assert_eq!(world.codes("snap-3-0"), [ReasonCode::Pending]);
    world.snapshots[2].start = minutes(10);
    assert_eq!(
        world.codes("snap-3-0"),
        [ReasonCode::RetainLast, ReasonCode::Orphaned],
        "as the newest"
    );
}

#[test]
fn what_holdfast_itself_left_behind_goes_when_no_rule_would_keep_its_ami() {
    let mut world = orphaned();
    ours(&mut world, 3);
    assert_eq!(world.condemned(), ["snap-3-0"]);
    assert_eq!(
        world.codes("snap-3-0"),
        [ReasonCode::Orphaned, ReasonCode::Expired]
    );
    let verdict = world.verdict("snap-3-0");
    assert_eq!(verdict.former_image, Some(ImageId::new("ami-3")));
    assert!(!verdict.good, "its AMI was counted when it went");
}

#[test]
fn the_policy_has_the_last_word_on_a_leftover_and_not_the_table() {
    // One AMI stands and two are to be kept: the second place is the leftover's.
    let mut world = orphaned();
    world.images.remove(1);
    world.snapshots.remove(1);
    ours(&mut world, 3);
    assert_eq!(world.codes("snap-3-0"), [ReasonCode::Orphaned]);
    assert!(world.condemned().is_empty());
    // A leftover takes no place from the AMIs that stand.
    let mut world = World::of("retain: { last: 2 }", 2);
    world.snapshots.push(backing(0, "i-1"));
    world.snapshots[2].id = SnapshotId::new("snap-9-0");
    ours(&mut world, 9);
    world.leftovers.get_mut("snap-9-0").unwrap().time = day(0);
    assert_eq!(world.codes("ami-1"), [ReasonCode::RetainLast]);
    assert!(world.condemned().is_empty());
}

#[test]
fn a_recorded_time_cannot_make_a_leftover_older_than_ec2_says() {
    let mut world = World::of("retain: { last: 2 }", 2);
    world.images[1].created = Some(day(5));
    world.snapshots.push(backing(3, "i-1"));
    ours(&mut world, 3);
    world.leftovers.get_mut("snap-3-0").unwrap().time = day(300);
    assert!(
        world.condemned().is_empty(),
        "by its start it would be the second newest"
    );
}

#[test]
fn a_recorded_time_cannot_move_a_leftover_into_a_period_that_has_a_newer_backup() {
    let goes = |recorded: &str| {
        let mut world = World::of("retain: { monthly: 12 }", 3);
        world.images[1].created = Some(at("2026-02-05T03:00:00Z"));
        world.images[2].created = Some(at("2025-06-05T03:00:00Z"));
        let mut snapshot = backing(30, "i-1");
        snapshot.start = Some(at("2026-01-11T03:00:00Z"));
        world.snapshots.push(snapshot);
        ours(&mut world, 30);
        world.leftovers.get_mut("snap-30-0").unwrap().time = at(recorded);
        world.condemned().contains(&"snap-30-0".to_owned())
    };
    assert!(!goes("2026-01-11T03:00:00Z"), "January has no other");
    assert!(!goes("2026-02-03T03:00:00Z"), "February has a newer one");
}

#[test]
fn all_snapshots_of_a_former_ami_have_one_verdict() {
    let mut world = orphaned();
    let mut second = backing(3, "i-1");
    second.id = SnapshotId::new("snap-3-1");
    world.snapshots.push(second);
    ours(&mut world, 3);
    let leftover = world.leftovers["snap-3-0"].clone();
    world.leftovers.insert("snap-3-1".into(), leftover);
    assert_eq!(world.condemned(), ["snap-3-0", "snap-3-1"]);
}

#[test]
fn whatever_needs_a_leftover_or_is_not_known_holds_it() {
    type Change = fn(&mut World);
    let cases: [(&str, Change, &[ReasonCode]); 6] = [
        (
            "a launch template",
            |w| {
                let mut version = template("lt-1", 1, "ami-x");
                version.snapshots = vec![SnapshotId::new("snap-3-0")];
                w.templates.push(version);
            },
            &[ReasonCode::UsedByLaunchTemplate],
        ),
        (
            "its volume's pin",
            |w| w.pin_volume("vol-1"),
            &[ReasonCode::Pinned],
        ),
        (
            "its instance's pin",
            |w| {
                let mut source = instance("i-1", InstanceState::Running, None);
                source.tags.insert("holdfast:pin".into(), "x".into());
                w.instances.push(source);
            },
            &[ReasonCode::Pinned],
        ),
        (
            "a list",
            |w| w.instances_failed = true,
            &[ReasonCode::EvidenceIncomplete],
        ),
        (
            "its state",
            |w| w.snapshots[2].state = SnapshotState::Pending,
            &[ReasonCode::Orphaned],
        ),
        (
            "its policy is gone",
            |w| {
                let tags = &mut w.snapshots[2].tags;
                tags.insert("holdfast:policy".into(), "elsewhere".into());
            },
            &[ReasonCode::Orphaned, ReasonCode::PolicyUnknown],
        ),
    ];
    for (case, change, codes) in cases {
        let mut world = orphaned();
        ours(&mut world, 3);
        change(&mut world);
        assert!(world.condemned().is_empty(), "{case}");
        assert_eq!(world.codes("snap-3-0"), codes, "{case}");
    }
}

#[test]
fn a_leftover_that_ec2_refused_is_tried_again_after_a_pause_that_grows() {
    let minutes = |n| SignedDuration::from_mins(n);
    // A quarter of an hour, doubled each time, a day at most.
    for (tries, pause) in [
        (0, 0),
        (1, 15),
        (2, 30),
        (3, 60),
        (7, 960),
        (8, 1_440),
        (40, 1_440),
        (u32::MAX, 1_440),
    ] {
        assert_eq!(retry_after(tries, now()), now() + minutes(pause), "{tries}");
    }
    let mut world = orphaned();
    ours(&mut world, 3);
    let leftover = world.leftovers.get_mut("snap-3-0").unwrap();
    (leftover.tries, leftover.last) = (2, Some(now()));
    let codes = |world: &World, after: i64| -> Vec<ReasonCode> {
        let (verdicts, _) = world.settled(&Recorded::default(), now() + minutes(after));
        let found = verdicts.iter().find(|v| v.subject.id() == "snap-3-0");
        found.unwrap().reasons().iter().map(|r| r.code).collect()
    };
    assert_eq!(codes(&world, 29), [ReasonCode::RetryLater]);
    let goes = [ReasonCode::Orphaned, ReasonCode::Expired];
    assert_eq!(codes(&world, 30), goes);
}

#[test]
fn without_the_whole_list_of_images_nothing_is_an_orphan() {
    let mut world = orphaned();
    ours(&mut world, 3);
    world.images_failed = true;
    let verdicts = world.verdicts();
    assert!(verdicts.iter().all(|v| v.subject.id() != "snap-3-0"));
}

#[test]
fn the_snapshots_of_an_ami_in_the_making_are_not_orphans_though_it_does_not_name_them_yet() {
    let mut world = World::of("retain: { last: 2 }", 3);
    world.images[0].state = ImageState::Pending;
    world.images[0].mappings.clear();
    let verdicts = world.verdicts();
    assert!(verdicts.iter().all(|v| v.subject.id() != "snap-0-0"));
}

#[test]
fn a_leftover_of_a_gone_instance_goes_with_the_last_ami() {
    let rules = "retain: { last: 2 }\n    source_gone: { delete_after: 30d }";
    let mut world = World::of(rules, 0);
    world.snapshots.push(backing(40, "i-1"));
    ours(&mut world, 40);
    assert!(world.condemned().is_empty());
    let since = "2026-01-01T00:00:00Z".parse().unwrap();
    world.gone_since.insert("i-1".into(), since);
    assert_eq!(
        world.codes("snap-40-0"),
        [ReasonCode::Orphaned, ReasonCode::SourceGone]
    );
    assert_eq!(world.condemned(), ["snap-40-0"]);
    // The instance was there when its own snapshot, or a newer AMI, was made.
    let start = world.snapshots[0].start.replace(day(3));
    assert!(world.condemned().is_empty(), "seven days old");
    world.snapshots[0].start = start;
    world.images = World::of(rules, 1).images;
    world.snapshots.extend(World::of(rules, 1).snapshots);
    assert!(world.condemned().is_empty(), "an AMI of today stands");
}
