//! AMIs over snapshots that were made for another AMI, which somebody else deregistered.

use std::collections::BTreeSet;

use holdfast_core::id::{ImageId, SnapshotId, VolumeId};
use holdfast_core::inventory::{Binned, ImageMapping, ImageState, MappingTarget};
use holdfast_core::plan::judge::{Decision, Leftover, without_own_image};
use holdfast_core::plan::returned::{parted, returned};
use holdfast_core::plan::settle::{Recorded, marked};
use holdfast_core::report::{Reason, ReasonCode};
use jiff::SignedDuration;

use crate::stage::{World, ami, backing, day, now};

/// The mark of the AMI of day 1.
const FORMER: &str = "former#p#i-1#2026-02-09T03:00:00Z#run-1";

/// Daily AMIs, of which somebody deregistered that of day `gone` after its snapshot had become part
/// of the oldest, too.
fn shared(rules: &str, count: usize, gone: usize) -> World {
    let mut world = World::of(rules, count);
    add_part(&mut world, count - 1, &format!("snap-{gone}-0"));
    let gone = ImageId::new(format!("ami-{gone}"));
    world.images.retain(|image| image.id != gone);
    world
}

/// Lets the AMI of day `n` map another snapshot.
fn add_part(world: &mut World, n: usize, snapshot: &str) {
    let id = ImageId::new(format!("ami-{n}"));
    let image = world.images.iter_mut().find(|image| image.id == id);
    image.unwrap().mappings.push(ImageMapping {
        device: "/dev/sdb".into(),
        target: MappingTarget::Ebs(Some(SnapshotId::new(snapshot))),
    });
}

fn leftover(n: usize) -> Leftover {
    Leftover {
        image: ImageId::new(format!("ami-{n}")),
        time: day(n),
        tries: 0,
        last: None,
    }
}

#[test]
fn an_ami_stays_while_it_maps_all_that_is_left_of_one_that_a_rule_would_keep() {
    let world = shared("retain: { last: 2 }", 4, 0);
    assert_eq!(world.codes("ami-3"), [ReasonCode::Orphaned]);
    let verdict = world.verdict("ami-3");
    assert!(matches!(verdict.decision, Decision::Hold(_)));
    assert_eq!(verdict.reasons()[0].path, ["ami-3", "snap-0-0"]);
    // The same of one that failed.
    let mut failed = shared("retain: { last: 2 }", 4, 0);
    failed.images[2].state = ImageState::Failed;
    assert_eq!(failed.codes("ami-3"), [ReasonCode::Orphaned]);
    // With its own AMI over it the snapshot stays behind, and holds nothing.
    let mut world = World::of("retain: { last: 2 }", 4);
    add_part(&mut world, 3, "snap-0-0");
    assert_eq!(world.condemned(), ["ami-3", "ami-2"]);
}

#[test]
fn min_copies_counts_the_ami_of_which_another_maps_all_that_is_left() {
    // Three are to be kept: days 0, 2 and 3. As if that of day 1 still stood, it is one of them.
    let rules = "retain: { last: 1 }\n    min_copies: 3";
    let world = shared(rules, 5, 1);
    assert_eq!(world.codes("ami-4"), [ReasonCode::Orphaned]);
    // That of day 3 would be the fourth.
    let world = shared(rules, 5, 3);
    let goes = [ReasonCode::Expired, ReasonCode::Orphaned];
    assert_eq!(world.codes("ami-4"), goes);
    assert_eq!(world.condemned(), ["ami-4"]);
}

#[test]
fn what_would_have_been_retired_has_its_week_before_it_goes_with_another_ami() {
    let world = shared("retain: { last: 1 }", 3, 1);
    let (verdicts, settled) = world.settled(&Recorded::default(), now());
    assert_eq!(settled.grace_begins, [FORMER]);
    assert_eq!(marked(&world.policies, &verdicts), [FORMER]);
    let recorded = Recorded {
        condemned: [(FORMER.to_owned(), now())].into(),
        ..Recorded::default()
    };
    let week = SignedDuration::from_hours(7 * 24);
    for (now, goes) in [
        (now() + week - SignedDuration::from_secs(1), false),
        (now() + week, true),
    ] {
        let (verdicts, _) = world.settled(&recorded, now);
        let verdict = verdicts.iter().find(|v| v.subject.id() == "ami-2");
        assert_eq!(verdict.unwrap().is_condemned(), goes, "{now}");
    }
}

#[test]
fn the_week_of_a_former_ami_does_not_begin_with_the_grace_of_the_one_that_takes_it_along() {
    // The oldest was condemned ten days before somebody deregistered the one whose snapshot it maps.
    let world = shared("retain: { last: 1 }\n    grace: 14d", 3, 1);
    let days = |n: i64| now() + SignedDuration::from_hours(24 * n);
    let mut recorded = Recorded {
        condemned: [("ami-2".to_owned(), now())].into(),
        ..Recorded::default()
    };
    let held = |recorded: &Recorded, now| {
        let (verdicts, settled) = world.settled(recorded, now);
        let verdict = verdicts.into_iter().find(|v| v.subject.id() == "ami-2");
        let verdict = verdict.unwrap();
        let grace = |r: &Reason| r.code == ReasonCode::Grace;
        let held = verdict.reasons().iter().any(grace);
        assert_ne!(held, verdict.is_condemned());
        (held, settled.grace_begins)
    };
    assert_eq!(held(&recorded, days(15)), (true, vec![FORMER.to_owned()]));
    recorded.condemned.insert(FORMER.to_owned(), days(10));
    let verdicts = world.verdicts();
    assert_eq!(
        marked(&world.policies, &verdicts),
        ["ami-2", FORMER, "ami-0"]
    );
    for (day, waits) in [(13, true), (16, true), (17, false)] {
        assert_eq!(held(&recorded, days(day)), (waits, vec![]), "{day}");
    }
    // The grace may be the longer one, too.
    recorded.condemned.insert(FORMER.to_owned(), days(0));
    recorded.condemned.insert("ami-2".to_owned(), days(1));
    assert_eq!(held(&recorded, days(14)), (true, vec![]));
    assert_eq!(held(&recorded, days(15)), (false, vec![]));
}

#[test]
fn the_week_of_a_former_ami_is_over_when_nothing_takes_it_along_any_more() {
    let waiting: BTreeSet<String> = [FORMER.to_owned(), "snap-1-0".to_owned()].into();
    let over = |world: &World| parted(&waiting, &world.inventory(), &world.verdicts());
    let mut world = shared("retain: { last: 1 }", 3, 1);
    assert!(over(&world).is_empty());
    let mut back = World::of("retain: { last: 1 }", 3);
    add_part(&mut back, 2, "snap-1-0");
    assert_eq!(over(&back), [FORMER], "its AMI is back");
    back.images_failed = true;
    assert!(over(&back).is_empty(), "nobody knows");
    world.images.retain(|image| image.id.as_str() != "ami-2");
    assert_eq!(over(&world), [FORMER], "it is left by itself");
    assert!(returned(&waiting, &world.inventory()).is_empty());
}

#[test]
fn what_stayed_when_holdfast_deregistered_its_ami_goes_with_the_last_ami_over_it() {
    let mut world = shared("retain: { last: 1 }", 3, 1);
    world.leftovers.insert("snap-1-0".into(), leftover(1));
    assert_eq!(world.codes("ami-2"), [ReasonCode::Expired]);
    let (verdicts, settled) = world.settled(&Recorded::default(), now());
    assert!(settled.grace_begins.is_empty());
    assert!(verdicts.iter().any(|v| v.is_condemned()));
}

#[test]
fn the_records_waive_the_week_of_what_stayed_and_never_the_policys_word_on_it() {
    // Holdfast deregistered the newest once; taken out of the Recycle Bin and deregistered again by
    // a stranger, it is still said to be Holdfast's doing.
    let mut world = shared("retain: { last: 2 }", 4, 0);
    world.leftovers.insert("snap-0-0".into(), leftover(0));
    assert_eq!(world.codes("ami-3"), [ReasonCode::Orphaned]);
    assert_eq!(
        world.verdict("ami-3").reasons()[0].path,
        ["ami-3", "snap-0-0"]
    );
    // The same where a part of it is left alone and another is part of the oldest.
    let mut second = backing(0, "i-1");
    second.id = SnapshotId::new("snap-0-1");
    second.volume = Some(VolumeId::new("vol-2"));
    world.snapshots.push(second);
    world.leftovers.insert("snap-0-1".into(), leftover(0));
    assert_eq!(world.codes("snap-0-1"), [ReasonCode::Orphaned]);
    assert_eq!(world.codes("ami-3"), [ReasonCode::Orphaned]);
    assert!(world.condemned().is_empty());
}

#[test]
fn the_recycle_bin_holds_what_another_ami_would_take_along_whatever_the_records_say() {
    let mut world = shared("retain: { last: 1 }", 3, 1);
    world.leftovers.insert("snap-1-0".into(), leftover(1));
    assert_eq!(world.condemned(), ["ami-2"]);
    world.bin.get_or_insert_default().push(Binned {
        id: "ami-1".into(),
        name: ami(1, "i-1").name,
        entered: None,
        exits: None,
    });
    assert_eq!(world.codes("ami-2"), [ReasonCode::InRecycleBin]);
}

#[test]
fn an_ami_stays_until_the_rest_of_the_one_of_which_it_maps_a_part_has_gone() {
    let mut world = shared("retain: { last: 1 }", 3, 1);
    let mut second = backing(1, "i-1");
    second.id = SnapshotId::new("snap-1-1");
    second.volume = Some(VolumeId::new("vol-2"));
    world.snapshots.push(second);
    assert_eq!(world.condemned(), ["snap-1-1"]);
    assert_eq!(world.codes("ami-2"), [ReasonCode::Orphaned]);
}

#[test]
fn an_ami_over_what_is_left_of_several_others_stays() {
    let mut world = shared("retain: { last: 1 }", 4, 1);
    add_part(&mut world, 3, "snap-2-0");
    let goes = [ReasonCode::Expired, ReasonCode::Orphaned];
    assert_eq!(world.codes("ami-3"), goes, "the other one stands");
    world.images.retain(|image| image.id.as_str() != "ami-2");
    let verdict = world.verdict("ami-3");
    assert!(matches!(verdict.decision, Decision::Hold(_)));
    let codes = world.codes("ami-3");
    assert!(codes.iter().all(|code| *code == ReasonCode::Orphaned));
}

#[test]
fn the_recycle_bin_holds_an_ami_with_which_a_part_of_a_binned_one_would_go() {
    let mut world = shared("retain: { last: 1 }", 3, 1);
    world.bin.get_or_insert_default().push(Binned {
        id: "ami-1".into(),
        name: ami(1, "i-1").name,
        entered: None,
        exits: None,
    });
    let held = [ReasonCode::Orphaned, ReasonCode::InRecycleBin];
    assert_eq!(world.codes("ami-2"), held);
}

#[test]
fn the_records_are_asked_of_what_no_ami_of_its_own_run_maps() {
    let asked = |world: &World| -> Vec<String> {
        let inventory = world.inventory();
        let asked = without_own_image(&inventory.snapshots, &inventory.images);
        asked.into_iter().collect()
    };
    assert_eq!(asked(&shared("retain: { last: 1 }", 3, 1)), ["snap-1-0"]);
    let mut both = World::of("retain: { last: 1 }", 3);
    add_part(&mut both, 2, "snap-1-0");
    assert!(asked(&both).is_empty());
    let mut listed = World::of("retain: { last: 1 }", 3);
    listed.images[1].state = ImageState::Deregistered;
    assert_eq!(asked(&listed), ["snap-1-0"], "it stands no more");
    both.images.retain(|image| image.id.as_str() == "ami-0");
    assert_eq!(asked(&both), ["snap-1-0", "snap-2-0"]);
}

#[test]
fn what_is_left_of_a_failed_attempt_takes_no_place_from_a_former_ami() {
    // Of day 0 the second attempt stands, and a snapshot is left of the first. Two are to be kept:
    // that AMI, and the one of day 1 that somebody deregistered.
    let mut world = World::of("retain: { last: 2 }", 2);
    let mut left = backing(0, "i-1");
    left.id = SnapshotId::new("snap-0-1");
    left.volume = Some(VolumeId::new("vol-2"));
    world.snapshots.push(left);
    world.images.retain(|image| image.id.as_str() == "ami-0");
    let kept = [ReasonCode::RetainLast, ReasonCode::Orphaned];
    assert_eq!(world.codes("snap-1-0"), kept);
}
