//! What is not known for certain, or said by the table alone, deletes nothing.

use std::collections::BTreeMap;

use holdfast_core::id::ImageId;
use holdfast_core::inventory::{ImageState, SnapshotState};
use holdfast_core::plan::judge::{Decision, Subject};
use holdfast_core::plan::settle::{Recorded, settle};
use holdfast_core::report::{Reason, ReasonCode};

use crate::stage::{self, World, at, now, template};

fn five() -> World {
    World::of("retain: { last: 2 }", 5)
}

#[test]
fn copies_out_of_another_region_take_no_place_from_the_originals() {
    // The console proposes the same name; the tags were copied, the snapshots' were not.
    let mut world = World::of("retain: { last: 2 }\n    group: policy", 2);
    for n in [40, 41] {
        let mut copy = stage::ami(n, "i-9");
        copy.source_instance = None;
        copy.created = Some(at("2026-02-10T09:00:00Z"));
        let mut snapshot = stage::backing(n, "i-9");
        snapshot.tags.clear();
        snapshot.volume = None;
        snapshot.start = copy.created;
        world.images.push(copy);
        world.mapped.push(snapshot);
    }
    assert!(world.condemned().is_empty());
    assert_eq!(world.codes("ami-40"), [ReasonCode::EvidenceIncomplete]);
    assert_eq!(world.codes("ami-1"), [ReasonCode::RetainLast]);
}

#[test]
fn a_template_whose_image_no_list_tells_holds_every_ami_and_is_named() {
    let mut world = five();
    world.templates.extend([
        template("lt-1", 2, "resolve:ssm:/golden:7"),
        template("lt-1", 1, "ami-elsewhere"),
    ]);
    assert!(world.condemned().is_empty());
    let reasons = world.verdict("ami-4").reasons().to_vec();
    assert_eq!(reasons.len(), 1);
    assert_eq!(reasons[0].code, ReasonCode::EvidenceIncomplete);
    assert_eq!(reasons[0].path, ["ami-4", "lt-1"]);
    let detail = reasons[0].detail.as_deref().unwrap();
    assert!(detail.starts_with("lt-1 version 2: "), "{detail}");
    // Not where the account is declared to use no launch templates.
    let unused = "retain: { last: 2 }\n    evidence: { launch_templates: not-used }";
    world.policies = stage::policies("instances", unused);
    assert_eq!(world.condemned(), ["ami-4", "ami-3", "ami-2"]);
}

#[test]
fn a_parameter_of_ones_own_holds_every_ami_where_no_image_references_are_read() {
    let mut world = five();
    world
        .templates
        .push(template("lt-1", 1, "resolve:ssm:/golden"));
    assert_eq!(
        world.condemned(),
        ["ami-4", "ami-3", "ami-2"],
        "EC2's image references list parameters"
    );
    let unread = "retain: { last: 2 }\n    evidence: { image_references: not-used }";
    world.policies = stage::policies("instances", unread);
    assert!(world.condemned().is_empty());
    assert_eq!(world.verdict("ami-4").reasons()[0].path, ["ami-4", "lt-1"]);
}

#[test]
fn a_template_that_names_a_public_parameter_of_aws_holds_nothing() {
    let mut world = five();
    let condemned = world.condemned();
    assert!(!condemned.is_empty());
    let public =
        "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64";
    world.templates.push(template("lt-1", 1, public));
    assert_eq!(world.condemned(), condemned);
}

#[test]
fn a_recorded_absence_that_the_newest_ami_contradicts_hastens_nothing() {
    let rules = "retain: { last: 2 }\n    min_copies: 2\n    source_gone: { delete_after: 1y }";
    let mut world = World::of(rules, 3);
    // The newest AMI was made of the living instance nine hours ago.
    let forged = at("2020-01-01T00:00:00Z");
    world.gone_since.insert("i-1".into(), forged);
    assert_eq!(world.condemned(), ["ami-2"]);
    assert_eq!(world.codes("ami-2"), [ReasonCode::Expired]);
    // The time runs from the newest one.
    world.policies = stage::policies("instances", &rules.replace("1y", "9h"));
    assert_eq!(world.condemned(), ["ami-2", "ami-1", "ami-0"]);
    world.policies = stage::policies("instances", &rules.replace("1y", "10h"));
    assert_eq!(world.condemned(), ["ami-2"]);
}

#[test]
fn a_newer_ami_that_lost_its_snapshot_still_shows_that_its_source_was_there() {
    // Found among random worlds: a snapshot that vanished let the last good AMI go.
    let rules = "retain: { last: 2 }\n    source_gone: { delete_after: 24h }";
    let mut world = World::of(rules, 2);
    world
        .gone_since
        .insert("i-1".into(), at("2026-01-01T00:00:00Z"));
    assert!(
        world.condemned().is_empty(),
        "the newest is of nine hours ago"
    );
    world.snapshots.remove(0);
    assert_eq!(world.codes("ami-0"), [ReasonCode::SnapshotMissing]);
    assert_eq!(world.codes("ami-1"), [ReasonCode::RetainLast]);
}

#[test]
fn a_failed_image_newer_than_the_recorded_absence_delays_the_wait() {
    // Found among random worlds, by a second plan: the failed AMI shows that the record is wrong
    // as long as it is listed; then the recorded time and the good AMIs alone count.
    let rules = "retain: { last: 2 }\n    source_gone: { delete_after: 24h }";
    let mut world = World::of(rules, 3);
    world
        .gone_since
        .insert("i-1".into(), at("2026-01-01T00:00:00Z"));
    world.images[0].state = ImageState::Failed;
    assert_eq!(world.condemned(), ["ami-0"]);
    world.images.remove(0);
    world.snapshots.remove(0);
    assert_eq!(world.condemned(), ["ami-2", "ami-1"]);
}

#[test]
fn a_list_that_could_not_be_read_once_does_not_begin_the_grace_anew() {
    let world = World::of("retain: { last: 1 }\n    grace: 24h", 2);
    let recorded = Recorded {
        condemned: BTreeMap::from([("ami-1".into(), at("2026-02-10T06:00:00Z"))]),
        ..Recorded::default()
    };
    let freed = |reason: Reason| {
        let mut verdicts = world.verdicts();
        let condemned = verdicts.iter_mut().find(|v| v.subject.id() == "ami-1");
        condemned.unwrap().decision = Decision::Hold(vec![reason]);
        settle(&world.policies, &mut verdicts, &recorded, now(), now()).freed
    };
    let unread = Reason::with(ReasonCode::EvidenceIncomplete, "images: page 2");
    assert!(freed(unread).is_empty());
    assert_eq!(freed(Reason::of(ReasonCode::UsedByImage)), ["ami-1"]);
}

#[test]
fn a_failed_ami_that_maps_nothing_takes_the_snapshots_of_its_run_along() {
    let along = |world: &World| -> Vec<String> {
        match world.verdict("ami-0").subject {
            Subject::Image { snapshots, .. } => {
                snapshots.iter().map(|s| s.id.to_string()).collect()
            }
            Subject::Snapshot(_) => panic!("not an image"),
        }
    };
    let mut world = World::of("retain: { last: 2 }", 3);
    world.images[0].state = ImageState::Failed;
    world.images[0].mappings.clear();
    world.snapshots[0].state = SnapshotState::Error;
    assert_eq!(world.condemned(), ["ami-0"]);
    let verdicts = world.verdicts();
    assert!(verdicts.iter().all(|v| v.subject.id() != "snap-0-0"));
    assert_eq!(along(&world), ["snap-0-0"]);
    // Perhaps those of a second attempt of that run.
    let mut again = stage::ami(0, "i-1");
    again.id = ImageId::new("ami-again");
    again.state = ImageState::Pending;
    again.mappings.clear();
    world.images.push(again);
    assert!(along(&world).is_empty());
}

#[test]
fn a_good_snapshot_of_the_same_run_is_not_taken_for_a_failed_amis() {
    // The attempts of one request carry the same tags: somebody deregistered the second, good AMI.
    let mut world = World::of("retain: { last: 2 }", 3);
    world.images[0].state = ImageState::Failed;
    world.images[0].mappings.clear();
    assert_eq!(world.condemned(), ["ami-0"]);
    assert_eq!(
        world.codes("snap-0-0"),
        [ReasonCode::RetainLast, ReasonCode::Orphaned]
    );
    match world.verdict("ami-0").subject {
        Subject::Image { snapshots, .. } => assert!(snapshots.is_empty()),
        Subject::Snapshot(_) => panic!("not an image"),
    }
}
