//! The breaker's limits, where AMIs are gone and their snapshots are not.

use std::collections::BTreeMap;

use holdfast_core::id::{ImageId, SnapshotId, VolumeId};
use holdfast_core::inventory::ImageState;
use holdfast_core::plan::judge::{Leftover, Verdict};
use holdfast_core::plan::settle::{Recorded, Retired, Settled};
use holdfast_core::report::ReasonCode;
use jiff::SignedDuration;

use crate::stage::{World, ami, backing, day, now};

const RULES: &str = "retain: { last: 1 }\n    limits: { max_shrink: 0%, free: 1 }";

/// Five daily AMIs, of which all but the newest are gone, and the marks of what is left of them,
/// whose week is over.
fn left() -> (World, Recorded) {
    let mut world = World::of(RULES, 5);
    world.images.truncate(1);
    let since = now() - SignedDuration::from_hours(8 * 24);
    let marks = (0..5).flat_map(|n| (0..2).map(move |part| format!("snap-{n}-{part}")));
    let recorded = Recorded {
        condemned: marks.map(|id| (id, since)).collect(),
        ..Recorded::default()
    };
    (world, recorded)
}

/// That of day `n` was deregistered by Holdfast.
fn ours(world: &mut World, n: usize) {
    let leftover = Leftover {
        image: ImageId::new(format!("ami-{n}")),
        time: day(n),
        tries: 0,
        last: None,
    };
    world.leftovers.insert(format!("snap-{n}-0"), leftover);
}

fn goes(world: &World, recorded: &Recorded) -> (Vec<String>, Vec<String>) {
    let (verdicts, settled): (Vec<Verdict>, Settled) = world.settled(recorded, now());
    let of = |wanted: &dyn Fn(&Verdict) -> bool| -> Vec<String> {
        let found = verdicts.iter().filter(|v| wanted(v));
        found.map(|v| v.subject.id().to_owned()).collect()
    };
    let tripped = |v: &Verdict| {
        let mut reasons = v.reasons().iter();
        reasons.any(|r| r.code == ReasonCode::CircuitBreaker)
    };
    let held = of(&tripped);
    let listed = settled.tripped.get("p").cloned().unwrap_or_default();
    assert_eq!(listed, held, "what is held is what a request can release");
    (of(&Verdict::is_condemned), held)
}

#[test]
fn what_is_left_of_an_ami_counts_as_one_backup_against_the_limits() {
    let (mut world, recorded) = left();
    let mut second = backing(4, "i-1");
    second.id = SnapshotId::new("snap-4-1");
    second.volume = Some(VolumeId::new("vol-2"));
    world.snapshots.push(second);
    let (gone, held) = goes(&world, &recorded);
    assert_eq!(gone, ["snap-4-0", "snap-4-1"]);
    assert_eq!(held, ["snap-3-0", "snap-2-0", "snap-1-0"]);
    // A quarter of the four that are older than a day, and one more that is newer.
    let (mut world, recorded) = left();
    let quarter = RULES.replace("0%, free: 1", "25%, free: 0");
    world.policies = crate::stage::policies("instances", &quarter);
    let (gone, _) = goes(&world, &recorded);
    assert_eq!(gone, ["snap-4-0", "snap-3-0"]);
}

#[test]
fn what_earlier_sweeps_of_the_day_deleted_counts_against_what_is_left_of_amis() {
    let (world, mut recorded) = left();
    let retired = Retired {
        resource: "ami-9".into(),
        time: day(9),
        at: now() - SignedDuration::from_hours(1),
    };
    recorded.retired = BTreeMap::from([("p".to_owned(), vec![retired])]);
    let (gone, held) = goes(&world, &recorded);
    assert!(gone.is_empty(), "{gone:?}");
    assert_eq!(held.len(), 4);
}

#[test]
fn a_trip_holds_what_is_no_backup_too() {
    let (mut world, recorded) = left();
    let mut failed = ami(7, "i-1");
    failed.state = ImageState::Failed;
    failed.mappings.clear();
    world.images.push(failed);
    let (gone, held) = goes(&world, &recorded);
    assert_eq!(gone, ["snap-4-0"]);
    assert_eq!(held, ["ami-7", "snap-3-0", "snap-2-0", "snap-1-0"]);
    // Without a trip it goes.
    world.snapshots.retain(|s| s.id.as_str() == "snap-0-0");
    let (gone, held) = goes(&world, &recorded);
    assert_eq!((gone, held), (vec!["ami-7".to_owned()], vec![]));
}

#[test]
fn what_holdfast_began_within_the_day_is_finished_and_what_it_left_before_counts() {
    let (mut world, mut recorded) = left();
    ours(&mut world, 1);
    let (gone, held) = goes(&world, &recorded);
    assert_eq!(gone, ["snap-4-0"]);
    assert_eq!(held, ["snap-3-0", "snap-2-0", "snap-1-0"]);
    let retired = Retired {
        resource: "ami-1".into(),
        time: day(1),
        at: now() - SignedDuration::from_hours(1),
    };
    recorded.retired = BTreeMap::from([("p".to_owned(), vec![retired])]);
    let (gone, held) = goes(&world, &recorded);
    assert_eq!(gone, ["snap-1-0"], "its AMI was counted");
    assert_eq!(held, ["snap-4-0", "snap-3-0", "snap-2-0"]);
}

#[test]
fn a_release_of_a_part_frees_nothing_of_the_ami_and_a_release_of_all_frees_it() {
    let (mut world, mut recorded) = left();
    let mut second = backing(1, "i-1");
    second.id = SnapshotId::new("snap-1-1");
    second.volume = Some(VolumeId::new("vol-2"));
    world.snapshots.push(second);
    let pair = |id: &str| ("p".to_owned(), id.to_owned());
    recorded.released.deletions = [pair("snap-1-0")].into();
    let (gone, _) = goes(&world, &recorded);
    assert_eq!(gone, ["snap-4-0"]);
    recorded.released.deletions.insert(pair("snap-1-1"));
    let (gone, _) = goes(&world, &recorded);
    assert_eq!(gone, ["snap-4-0", "snap-1-0", "snap-1-1"]);
}

/// Found by `a_crash_anywhere_lets_no_more_go_within_a_day_than_the_limits_allow`.
#[test]
fn what_is_left_of_amis_lets_no_more_of_the_others_go() {
    // A quarter of three is none, and with what is left of a fourth it would be one.
    let rules = "retain: { last: 2 }\n    limits: { max_shrink: 25%, free: 0 }";
    let mut world = World::of(rules, 5);
    world.images.retain(|image| image.id.as_str() != "ami-1");
    let kept = |world: &World| {
        let (gone, held) = goes(world, &Recorded::default());
        assert_eq!(held, ["ami-3"]);
        gone
    };
    assert_eq!(kept(&world), ["ami-4"], "one is newer than a day");
    world.snapshots[1].start = Some(now() - SignedDuration::from_mins(30));
    assert_eq!(kept(&world), ["ami-4"]);
}
