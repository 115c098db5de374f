//! Backing snapshots whose AMI somebody else deregistered: judged as if the AMI still stood.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::artifact::image_name;
use holdfast_core::id::{ImageId, SnapshotId, VolumeId};
use holdfast_core::inventory::{Binned, ImageState, SnapshotState};
use holdfast_core::plan::judge::{Decision, Leftover, Verdict};
use holdfast_core::plan::settle::{Recorded, marked};
use holdfast_core::report::{Outcome, ReasonCode};
use jiff::{SignedDuration, Timestamp};

use crate::stage::{World, at, backing, day, now, policies, template};

/// Daily AMIs of which somebody deregistered those of these days, the newest being day 0.
fn deregistered(rules: &str, count: usize, days: &[usize]) -> World {
    let mut world = World::of(rules, count);
    let gone: Vec<String> = days.iter().map(|n| format!("ami-{n}")).collect();
    world
        .images
        .retain(|image| !gone.contains(&image.id.to_string()));
    world
}

/// Gives the former AMI of day `n` a second snapshot, `snap-n-1`.
fn second(world: &mut World, n: usize) {
    let mut second = backing(n, "i-1");
    second.id = SnapshotId::new(format!("snap-{n}-1"));
    second.volume = Some(VolumeId::new("vol-2"));
    world.snapshots.push(second);
}

fn binned(world: &mut World, name: &str) {
    world.bin.get_or_insert_default().push(Binned {
        id: "ami-binned".into(),
        name: Some(name.to_owned()),
        entered: None,
        exits: Some(at("2026-03-01T00:00:00Z")),
    });
}

fn codes_of(verdicts: &[Verdict], id: &str) -> Vec<ReasonCode> {
    let found = verdicts.iter().find(|v| v.subject.id() == id).unwrap();
    found.reasons().iter().map(|r| r.code).collect()
}

fn marks(ids: &[&str], since: Timestamp) -> Recorded {
    Recorded {
        condemned: ids.iter().map(|id| ((*id).to_owned(), since)).collect(),
        ..Recorded::default()
    }
}

#[test]
fn whoever_deregisters_all_amis_of_a_machine_has_not_destroyed_its_copies() {
    let rules = "retain: { last: 2 }\n    min_copies: 3";
    let world = deregistered(rules, 5, &[0, 1, 2, 3, 4]);
    for n in 0..2 {
        assert_eq!(
            world.codes(&format!("snap-{n}-0")),
            [ReasonCode::RetainLast, ReasonCode::Orphaned]
        );
    }
    assert_eq!(
        world.codes("snap-2-0"),
        [ReasonCode::MinCopies, ReasonCode::Orphaned]
    );
    assert!(matches!(
        world.verdict("snap-2-0").decision,
        Decision::Keep(_)
    ));
    assert_eq!(world.condemned(), ["snap-4-0", "snap-3-0"]);
    assert_eq!(
        world.codes("snap-4-0"),
        [ReasonCode::Orphaned, ReasonCode::Expired]
    );
    assert!(!world.verdict("snap-4-0").good);
    let item = world.verdict("snap-0-0").item(Outcome::Planned);
    assert_eq!(item.outcome, Outcome::Kept);
    let words = item.reasons[1].detail.clone().unwrap();
    assert!(words.contains("RegisterImage"), "{words}");
}

#[test]
fn within_is_measured_from_when_the_newest_may_have_been_made_at_the_earliest() {
    // Each was made while its snapshots were: the second of them a second after the first. Made then,
    // the older one is a second less than a day older than the first snapshot of the newer one.
    let mut world = deregistered("retain: { within: 24h }", 2, &[0, 1]);
    for n in 0..2 {
        second(&mut world, n);
        let second = world.snapshots.last_mut().unwrap();
        second.start = Some(day(n) + SignedDuration::from_secs(1));
    }
    for id in ["snap-0-0", "snap-1-0", "snap-1-1"] {
        let kept = [ReasonCode::RetainWithin, ReasonCode::Orphaned];
        assert_eq!(world.codes(id), kept, "{id}");
    }
}

#[test]
fn what_the_policy_would_have_retired_waits_seven_days_and_is_named_at_once() {
    let world = deregistered("retain: { last: 1 }", 2, &[1]);
    let (verdicts, settled) = world.settled(&Recorded::default(), now());
    assert_eq!(
        codes_of(&verdicts, "snap-1-0"),
        [ReasonCode::Orphaned, ReasonCode::Grace]
    );
    assert_eq!(settled.grace_begins, ["snap-1-0"]);
    assert_eq!(marked(&world.policies, &verdicts), ["snap-1-0"]);
    let week = SignedDuration::from_hours(7 * 24);
    let second = SignedDuration::from_secs(1);
    let at = |now: Timestamp, policy: &str| -> Vec<ReasonCode> {
        let mut world = deregistered("retain: { last: 1 }", 2, &[1]);
        world.policies = policies("instances", policy);
        let (verdicts, settled) = world.settled(&marks(&["snap-1-0"], self::now()), now);
        assert!(settled.grace_begins.is_empty());
        codes_of(&verdicts, "snap-1-0")
    };
    let waits = [ReasonCode::Orphaned, ReasonCode::Grace];
    let goes = [ReasonCode::Orphaned, ReasonCode::Expired];
    for rules in ["retain: { last: 1 }", "retain: { last: 1 }\n    grace: 24h"] {
        assert_eq!(at(now() + week - second, rules), waits);
        assert_eq!(at(now() + week, rules), goes);
    }
    // A longer grace is waited for, too.
    let rules = "retain: { last: 1 }\n    grace: 9d";
    assert_eq!(at(now() + week, rules), waits);
    assert_eq!(
        at(now() + week + SignedDuration::from_hours(48), rules),
        goes
    );
}

#[test]
fn an_orphan_never_makes_a_real_ami_expire() {
    // Older than the oldest real one, it would be the oldest that unused periods keep.
    let rules = "retain: { monthly: 3 }";
    let world = deregistered(rules, 4, &[3]);
    let without = World::of(rules, 3);
    for n in 0..3 {
        let id = format!("ami-{n}");
        assert_eq!(world.verdict(&id).decision, without.verdict(&id).decision);
    }
    assert_eq!(without.codes("ami-2"), [ReasonCode::RetainMonthly]);
    assert_eq!(
        world.codes("snap-3-0"),
        [ReasonCode::RetainMonthly, ReasonCode::Orphaned]
    );
    // And a newer one takes no place from a real one.
    let world = deregistered("retain: { last: 1 }", 2, &[0]);
    assert_eq!(world.codes("ami-1"), [ReasonCode::RetainLast]);
    assert!(world.condemned().is_empty());
}

#[test]
fn the_recycle_bin_holds_what_its_ami_needs_for_as_long_as_it_has_it() {
    let expired = || deregistered("retain: { last: 1 }", 2, &[1]);
    let held = [ReasonCode::Orphaned, ReasonCode::InRecycleBin];
    let mut world = expired();
    binned(&mut world, &image_name("p", "i-1", day(1), 2));
    assert_eq!(world.codes("snap-1-0"), held);
    let reason = world.verdict("snap-1-0").reasons()[1].clone();
    assert_eq!(reason.path, ["snap-1-0", "ami-binned"]);
    // By the records, whatever it is named.
    let mut world = expired();
    world.binned = BTreeMap::from([(
        "snap-1-0".to_owned(),
        BTreeSet::from([ImageId::new("ami-1")]),
    )]);
    assert_eq!(world.codes("snap-1-0"), held);
    // Another AMI in the bin holds nothing here.
    let mut world = expired();
    binned(&mut world, &image_name("p", "i-2", day(1), 1));
    binned(&mut world, &image_name("p", "i-1", day(2), 1));
    assert_eq!(world.condemned(), ["snap-1-0"]);
}

#[test]
fn a_recycle_bin_that_nobody_read_holds_orphans_unless_it_is_declared_unused() {
    let unread = [ReasonCode::Orphaned, ReasonCode::EvidenceIncomplete];
    let mut world = deregistered("retain: { last: 1 }", 2, &[1]);
    world.bin_failed = true;
    assert_eq!(world.codes("snap-1-0"), unread);
    world.bin_failed = false;
    world.bin = None;
    assert_eq!(world.codes("snap-1-0"), unread);
    // A mark that stands is not lost by one hour without evidence.
    let (_, settled) = world.settled(&marks(&["snap-1-0"], day(5)), now());
    assert!(settled.freed.is_empty());
    let rules = "retain: { last: 1 }\n    evidence: { recycle_bin: not-used }";
    world.policies = policies("instances", rules);
    assert_eq!(world.condemned(), ["snap-1-0"]);
}

/// Found by `less_evidence_never_adds_a_deletion`.
#[test]
fn what_holds_one_part_of_a_former_ami_holds_the_others_for_as_long_as_that_part_is_there() {
    let mut world = deregistered("retain: { last: 1 }", 2, &[1]);
    second(&mut world, 1);
    world.binned = BTreeMap::from([(
        "snap-1-0".to_owned(),
        BTreeSet::from([ImageId::new("ami-other")]),
    )]);
    let held = [ReasonCode::Orphaned, ReasonCode::InRecycleBin];
    assert_eq!(world.codes("snap-1-0"), held);
    assert_eq!(world.codes("snap-1-1"), held);
    world.snapshots.retain(|s| s.id.as_str() != "snap-1-0");
    assert_eq!(world.condemned(), ["snap-1-1"]);
}

#[test]
fn all_that_is_left_of_one_ami_shares_its_fate() {
    type Change = fn(&mut World);
    let cases: [(&str, Change, ReasonCode); 3] = [
        (
            "a pinned member",
            |w| {
                let snapshot = w.snapshots.iter_mut().find(|s| s.id.as_str() == "snap-1-1");
                let tags = &mut snapshot.unwrap().tags;
                tags.insert("holdfast:pin".into(), "x".into());
            },
            ReasonCode::Pinned,
        ),
        (
            "a member that a launch template names",
            |w| {
                let mut version = template("lt-1", 1, "ami-x");
                version.snapshots = vec![SnapshotId::new("snap-1-1")];
                w.templates.push(version);
            },
            ReasonCode::UsedByLaunchTemplate,
        ),
        (
            "the volume of one",
            |w| w.pin_volume("vol-2"),
            ReasonCode::Pinned,
        ),
    ];
    for (case, change, code) in cases {
        let mut world = deregistered("retain: { last: 1 }", 2, &[1]);
        second(&mut world, 1);
        assert_eq!(world.condemned(), ["snap-1-0", "snap-1-1"]);
        change(&mut world);
        for id in ["snap-1-0", "snap-1-1"] {
            assert_eq!(world.codes(id), [ReasonCode::Orphaned, code], "{case} {id}");
        }
        let path = world.verdict("snap-1-0").reasons()[1].path.clone();
        assert_eq!(path[..2], ["snap-1-0", "snap-1-1"], "{case}");
    }
    // What the table says of one holds the other, too.
    let mut world = deregistered("retain: { last: 1 }", 2, &[1]);
    second(&mut world, 1);
    let recorded = Recorded {
        pinned: BTreeSet::from(["vol-2".to_owned()]),
        ..marks(&["snap-1-0", "snap-1-1"], day(9))
    };
    let (verdicts, _) = world.settled(&recorded, now());
    let held = [ReasonCode::Orphaned, ReasonCode::Pinned];
    assert_eq!(codes_of(&verdicts, "snap-1-0")[..2], held);
    // Of two marks the later one counts for both.
    let mut recorded = marks(&["snap-1-0"], day(9));
    recorded.condemned.insert("snap-1-1".into(), day(1));
    let (verdicts, _) = world.settled(&recorded, now());
    assert!(verdicts.iter().all(|v| !v.is_condemned()));
}

#[test]
fn any_of_the_times_of_its_snapshots_keeps_a_former_ami() {
    // A day's newest is kept: the second snapshot started after midnight.
    let rules = "retain: { daily: 2 }";
    let mut world = deregistered(rules, 3, &[2]);
    second(&mut world, 2);
    assert_eq!(world.condemned(), ["snap-2-0", "snap-2-1"]);
    let last = world.snapshots.last_mut().unwrap();
    last.start = Some(day(1) + SignedDuration::from_mins(1));
    assert!(world.condemned().is_empty(), "by it the newest of its day");
    assert_eq!(
        world.codes("snap-2-0"),
        [ReasonCode::RetainDaily, ReasonCode::Orphaned]
    );
}

#[test]
fn what_is_no_whole_ami_is_held_and_counts_against_none() {
    type Spoil = fn(&mut World);
    let cases: [(&str, Spoil); 4] = [
        ("not completed", |w| {
            w.snapshots[0].state = SnapshotState::Pending;
        }),
        ("failed", |w| w.snapshots[0].state = SnapshotState::Error),
        ("a copy", |w| {
            w.snapshots[0].volume = Some(VolumeId::new("vol-ffffffff"));
        }),
        ("without a time", |w| w.snapshots[0].start = None),
    ];
    for (case, spoil) in cases {
        let mut world = deregistered("retain: { last: 1 }", 2, &[0, 1]);
        second(&mut world, 0);
        spoil(&mut world);
        for id in ["snap-0-0", "snap-0-1"] {
            assert_eq!(world.codes(id), [ReasonCode::Orphaned], "{case} {id}");
        }
        assert_eq!(
            world.codes("snap-1-0"),
            [ReasonCode::RetainLast, ReasonCode::Orphaned],
            "{case}"
        );
    }
}

#[test]
fn part_of_an_ami_takes_no_place_from_a_whole_one() {
    // Both had two snapshots; somebody deleted one of the newer.
    let mut world = deregistered("retain: { last: 1 }", 2, &[0, 1]);
    second(&mut world, 1);
    for id in ["snap-0-0", "snap-1-0", "snap-1-1"] {
        assert_eq!(
            world.codes(id),
            [ReasonCode::RetainLast, ReasonCode::Orphaned],
            "{id}"
        );
    }
    second(&mut world, 0);
    assert_eq!(world.condemned(), ["snap-1-0", "snap-1-1"]);
}

#[test]
fn a_snapshot_that_a_kept_former_ami_shares_with_a_real_one_does_not_go_with_that() {
    let mut world = deregistered("retain: { last: 2 }", 3, &[0]);
    second(&mut world, 0);
    world.images.push(crate::stage::ami(9, "i-1"));
    world.snapshots.push(backing(9, "i-1"));
    assert_eq!(world.condemned(), ["ami-9"]);
    let shared = world.images[2].mappings[0].clone();
    world.images[2].mappings.push(shared);
    world.images[2].mappings[1].target =
        holdfast_core::inventory::MappingTarget::Ebs(Some(SnapshotId::new("snap-0-1")));
    assert_eq!(world.codes("ami-9"), [ReasonCode::Orphaned]);
    let reason = world.verdict("ami-9").reasons()[0].clone();
    assert_eq!(reason.path, ["ami-9", "snap-0-1"]);
}

/// A stranger's AMI over the snapshot of day `n`.
fn registered_by_a_stranger(world: &mut World, n: usize) {
    let mut strange = crate::stage::ami(n, "i-1");
    strange.id = ImageId::new("ami-strange");
    strange.source_instance = None;
    strange.tags.clear();
    world.images.push(strange);
}

#[test]
fn an_orphan_over_which_a_stranger_registered_an_ami_is_held_and_named() {
    // Of two snapshots the stranger took one; the newest AMI stands.
    let mut world = deregistered("retain: { last: 1 }", 3, &[1, 2]);
    second(&mut world, 2);
    registered_by_a_stranger(&mut world, 2);
    let taken = world.verdict("snap-2-0");
    assert_eq!(taken.item(Outcome::Planned).outcome, Outcome::Held);
    assert_eq!(
        world.codes("snap-2-0"),
        [ReasonCode::Orphaned, ReasonCode::UsedByImage]
    );
    assert_eq!(taken.reasons()[1].path, ["snap-2-0", "ami-strange"]);
    // What is left of it beside is judged as before: as part of what was that AMI.
    assert!(world.codes("snap-2-1").contains(&ReasonCode::Orphaned));
    assert!(
        world
            .verdicts()
            .iter()
            .all(|v| v.subject.id() != "snap-0-0")
    );
}

#[test]
fn what_an_earlier_sweep_left_and_an_ami_still_maps_is_held_and_no_alarm() {
    let mut world = deregistered("retain: { last: 1 }", 3, &[2]);
    let leftover = Leftover {
        image: ImageId::new("ami-2"),
        time: day(2),
        tries: 0,
        last: None,
    };
    world.leftovers.insert("snap-2-0".into(), leftover);
    registered_by_a_stranger(&mut world, 2);
    let held = world.verdict("snap-2-0");
    assert_eq!(held.item(Outcome::Planned).outcome, Outcome::Held);
    assert_eq!(world.codes("snap-2-0"), [ReasonCode::UsedByImage]);
}

#[test]
fn while_another_ami_of_the_same_run_is_being_made_nothing_is_an_orphan() {
    let mut world = deregistered("retain: { last: 1 }", 2, &[1]);
    let mut again = crate::stage::ami(1, "i-1");
    again.state = ImageState::Pending;
    again.mappings.clear();
    world.images.push(again);
    let verdicts = world.verdicts();
    assert!(verdicts.iter().all(|v| v.subject.id() != "snap-1-0"));
}

#[test]
fn orphans_of_a_policy_that_left_or_changed_stay_and_say_so() {
    let mut world = deregistered("retain: { last: 1 }", 2, &[1]);
    let tags = &mut world.snapshots[1].tags;
    tags.insert("holdfast:policy".into(), "elsewhere".into());
    assert_eq!(
        world.codes("snap-1-0"),
        [ReasonCode::Orphaned, ReasonCode::PolicyUnknown]
    );
    let mut world = deregistered("retain: { last: 1 }", 2, &[1]);
    world.policies = policies("volumes", "retain: { last: 1 }");
    assert_eq!(
        world.codes("snap-1-0"),
        [ReasonCode::Orphaned, ReasonCode::PolicyChanged]
    );
}

#[test]
fn orphans_of_a_gone_machine_go_with_its_last_amis_after_their_week() {
    let rules = "retain: { last: 2 }\n    source_gone: { delete_after: 30d }";
    let mut world = deregistered(rules, 1, &[0]);
    world.snapshots[0].start = Some(day(40));
    assert!(world.condemned().is_empty());
    let since = at("2026-01-01T00:00:00Z");
    world.gone_since.insert("i-1".into(), since);
    assert_eq!(
        world.codes("snap-0-0"),
        [ReasonCode::Orphaned, ReasonCode::SourceGone]
    );
    let (verdicts, _) = world.settled(&Recorded::default(), now());
    let waits = [ReasonCode::Orphaned, ReasonCode::Grace];
    assert_eq!(codes_of(&verdicts, "snap-0-0"), waits);
}

#[test]
fn a_plan_says_what_is_looked_at_only_just_before_a_deletion() {
    let world = deregistered("retain: { last: 1 }", 3, &[2]);
    for id in ["ami-1", "snap-2-0"] {
        let reasons = world.verdict(id).planned().reasons;
        assert_eq!(reasons.last().unwrap().code, ReasonCode::NotYetChecked);
        let carried_out = world.verdict(id).item(Outcome::Deleted).reasons;
        assert!(
            carried_out
                .iter()
                .all(|r| r.code != ReasonCode::NotYetChecked)
        );
    }
    let kept = world.verdict("ami-0").planned().reasons;
    assert!(kept.iter().all(|r| r.code != ReasonCode::NotYetChecked));
}
