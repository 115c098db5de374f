//! What is not shown to be free stays: doubts of which each lets an AMI go if it is forgotten.

use std::collections::BTreeMap;

use holdfast_core::dependency::{Moment, References, Words, unread};
use holdfast_core::id::{ImageId, SnapshotId, VolumeId};
use holdfast_core::inventory::{
    ImageMapping, ImageState, InstanceState, Inventory, MappingTarget, Referrer, ReferrerKind,
    SnapshotLock, SnapshotState, Tags, VolumeState,
};
use holdfast_core::plan::census::{count, trips};
use holdfast_core::plan::judge::{Leftover, Subject};
use holdfast_core::plan::settle::{Recorded, TrippedPlan};
use holdfast_core::policy::PolicyFile;
use holdfast_core::report::{Reason, ReasonCode};
use jiff::SignedDuration;

use crate::stage::{self, World, at, backing, day, now};

#[test]
fn an_image_that_a_list_shows_twice_is_one_copy() {
    let mut world = World::of("retain: { last: 2 }", 3);
    world.images.push(world.images[0].clone());
    assert_eq!(world.condemned(), ["ami-2"]);
}

#[test]
fn an_ami_over_a_snapshot_of_another_policy_is_held() {
    let mut world = World::of("retain: { last: 1 }", 2);
    let text = "version: 1\npolicies:\n  - { name: p, protect: instances, select: { instances: { tags: { B: x } } }, schedule: rate(1 hour), retain: { last: 1 } }\n  - { name: q, protect: instances, select: { instances: { tags: { C: x } } }, schedule: rate(1 hour), retain: { last: 1 } }\n";
    world.policies = PolicyFile::parse("p.yaml", text, at("2026-01-01T00:00:00Z")).unwrap();
    world.snapshots[1]
        .tags
        .insert("holdfast:policy".into(), "q".into());
    assert!(world.condemned().is_empty());
    assert!(world.codes("ami-1").contains(&ReasonCode::NotManaged));
}

#[test]
fn a_trip_lets_no_released_part_of_a_former_ami_go_alone() {
    let mut world = World::of("retain: { last: 1 }", 2);
    world.images.remove(1);
    let mut second = backing(1, "i-1");
    second.id = SnapshotId::new("snap-1-1");
    world.snapshots.push(second);
    let mark = |id: &str| (id.to_owned(), now() - SignedDuration::from_hours(8 * 24));
    let released = |ids: &[&str]| TrippedPlan {
        deletions: ids.iter().map(|id| ("p".into(), (*id).into())).collect(),
        ..TrippedPlan::default()
    };
    let recorded = Recorded {
        condemned: BTreeMap::from([mark("snap-1-0"), mark("snap-1-1")]),
        trips: BTreeMap::from([("p".to_owned(), vec![Reason::of(ReasonCode::CircuitBreaker)])]),
        released: released(&["snap-1-0"]),
        ..Recorded::default()
    };
    let (v, _) = world.settled(&recorded, now());
    assert!(v.iter().all(|v| !v.is_condemned()));
    let both = Recorded {
        released: released(&["snap-1-0", "snap-1-1"]),
        ..recorded
    };
    let (v, _) = world.settled(&both, now());
    assert_eq!(v.iter().filter(|v| v.is_condemned()).count(), 2);
}

fn left() -> World {
    let mut world = World::of("retain: { last: 2 }", 2);
    world.snapshots.push(backing(3, "i-1"));
    let leftover = Leftover {
        image: ImageId::new("ami-3"),
        time: day(3),
        tries: 0,
        last: None,
    };
    world.leftovers.insert("snap-3-0".into(), leftover);
    world
}

#[test]
fn a_leftover_without_a_start_is_held() {
    let mut world = left();
    assert_eq!(world.condemned(), ["snap-3-0"]);
    world.snapshots[2].start = None;
    assert!(world.condemned().is_empty());
}

#[test]
fn the_recorded_time_of_a_leftover_may_keep_it() {
    let mut world = left();
    world.leftovers.get_mut("snap-3-0").unwrap().time = now();
    assert!(world.condemned().is_empty());
}

fn second(world: &mut World, n: usize) {
    let mut second = backing(n, "i-1");
    second.id = SnapshotId::new(format!("snap-{n}-1"));
    second.volume = Some(VolumeId::new("vol-2"));
    world.snapshots.push(second);
}

fn former() -> World {
    let mut world = World::of("retain: { last: 1 }", 2);
    world.images.remove(1);
    second(&mut world, 1);
    world
}

fn after_a_week(world: &World) -> Vec<String> {
    let since = now() - SignedDuration::from_hours(8 * 24);
    let mark = |id: &str| (id.to_owned(), since);
    let recorded = Recorded {
        condemned: [mark("snap-1-0"), mark("snap-1-1")].into(),
        ..Recorded::default()
    };
    let (v, _) = world.settled(&recorded, now());
    v.iter()
        .filter(|v| v.is_condemned())
        .map(|v| v.subject.id().to_owned())
        .collect()
}

#[test]
fn an_ami_with_a_device_without_a_snapshot_is_no_good_backup() {
    let mut world = World::of("retain: { last: 1 }", 2);
    let device = "/dev/sdb".into();
    world.images[1].mappings.push(ImageMapping {
        device,
        target: MappingTarget::Ebs(None),
    });
    assert_eq!(world.codes("ami-1"), [ReasonCode::EvidenceIncomplete]);
}

#[test]
fn the_newest_ami_with_a_device_without_a_snapshot_is_no_copy() {
    let mut world = World::of("retain: { last: 1 }", 2);
    let device = "/dev/sdb".into();
    world.images[0].mappings.push(ImageMapping {
        device,
        target: MappingTarget::Ebs(None),
    });
    assert!(world.condemned().is_empty());
}

#[test]
fn a_former_ami_of_which_the_records_know_a_part_has_its_week() {
    let mut world = former();
    let leftover = Leftover {
        image: ImageId::new("ami-1"),
        time: day(1),
        tries: 0,
        last: None,
    };
    world.leftovers.insert("snap-1-0".into(), leftover);
    let (v, _) = world.settled(&Recorded::default(), now());
    assert!(v.iter().all(|v| !v.is_condemned()));
}

#[test]
fn a_former_ami_with_a_part_that_is_otherwise_held_stays_whole() {
    let mut world = former();
    assert_eq!(after_a_week(&world).len(), 2);
    world.snapshots[2].owner_alias = Some("aws-backup-vault".into());
    assert!(after_a_week(&world).is_empty());
}

#[test]
fn a_former_ami_with_a_broken_part_in_another_ami_stays() {
    let mut world = former();
    world.snapshots[2].state = SnapshotState::Error;
    let mut other = stage::ami(1, "i-1");
    other.id = ImageId::new("ami-x");
    other.tags = Tags::new();
    other.mappings[0].target = MappingTarget::Ebs(Some(SnapshotId::new("snap-1-1")));
    world.images.push(other);
    assert!(after_a_week(&world).is_empty());
}

#[test]
fn a_selection_that_picks_nothing_trips_while_only_former_amis_are_left() {
    let mut world = World::of("retain: { last: 1 }", 1);
    world.images.clear();
    world
        .instances
        .push(stage::instance("i-1", InstanceState::Running, None));
    let inventory = world.inventory();
    let current = count(&inventory, &world.policies, now(), now());
    let mut before = current.clone();
    before.picked.insert("p".into(), 1);
    let found = trips(
        Some(&before),
        &current,
        &world.policies,
        &inventory,
        &world.verdicts(),
    );
    assert!(found.contains_key("p"));
}

#[test]
fn images_count_while_they_stand_and_were_read() {
    let mut world = World::of("retain: { last: 1 }", 2);
    let file = world.policies.clone();
    world.images[1].state = ImageState::Deregistered;
    assert_eq!(
        count(&world.inventory(), &file, now(), now()).listed["images"],
        1
    );
    world.images_failed = true;
    assert!(
        !count(&world.inventory(), &file, now(), now())
            .listed
            .contains_key("images")
    );
    let mut inventory = Inventory::empty(now());
    let lock = |id: &str, state: &str| SnapshotLock {
        snapshot: SnapshotId::new(id),
        state: state.into(),
        expires: None,
    };
    inventory.locks.items = vec![lock("snap-1", "expired"), lock("snap-2", "governance")];
    assert_eq!(count(&inventory, &file, now(), now()).listed["locks"], 1);
}

#[test]
fn a_group_that_is_being_deleted_still_holds() {
    let mut inventory = Inventory::empty(now());
    let group = Referrer {
        id: "asg-1".into(),
        kind: ReferrerKind::AutoScalingGroup,
        state: Some("Delete in progress".into()),
        images: vec!["ami-1".into()],
        snapshots: vec![],
        templates: vec![],
        launch_configuration: None,
    };
    inventory.auto_scaling.as_mut().unwrap().items.push(group);
    let image = stage::ami(1, "i-1");
    let holders = References::new(&inventory).holders_of_image(&image, &Words::of(None, now()));
    assert_eq!(holders[0].code, ReasonCode::UsedByAutoScalingGroup);
}

#[test]
fn each_list_of_snapshots_that_ends_early_holds() {
    let subject = Subject::Snapshot(backing(1, "i-1"));
    let held = |change: fn(&mut Inventory)| {
        let mut inventory = Inventory::empty(now());
        change(&mut inventory);
        unread(
            None,
            &subject,
            &inventory.readings(),
            now(),
            Moment::Planning,
        )
        .len()
    };
    assert_eq!(held(|_| {}), 0);
    assert_eq!(held(|i| i.snapshots.error = Some(stage::throttled())), 1);
    assert_eq!(held(|i| i.mapped.error = Some(stage::throttled())), 1);
    assert_eq!(held(|i| i.pending.error = Some(stage::throttled())), 1);
}

#[test]
fn a_source_in_an_unknown_state_does_not_lose_its_recorded_pin() {
    let mut world = World::of("retain: { last: 1 }", 1);
    world.pin_volume("vol-1");
    world.volumes[0].tags.clear();
    assert_eq!(world.inventory().listed_pins()["vol-1"], Some(false));
    world.volumes[0].state = VolumeState::Unknown("new".into());
    assert_eq!(world.inventory().listed_pins()["vol-1"], None);
}
