//! What a reconcile makes of single differences between EC2 and the records.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod lineage_model;

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::artifact::ArtifactKind;
use holdfast_core::id::SnapshotId;
use holdfast_core::inventory::{
    ImageMapping, ImageState, InstanceState, MappingTarget, SnapshotState, Source, Tags,
};
use holdfast_core::lineage::{Edge, EdgeKind, Node, NodeState, SlotState};
use holdfast_core::plan::reconcile::SlotKey;
use holdfast_core::ports::records::Absence;
use jiff::SignedDuration;
use lineage_model::*;

fn managed(kind: ArtifactKind, source: &str) -> Tags {
    tags(kind, source, ago(600), "r")
}

fn completed(id: &str) -> holdfast_core::inventory::Snapshot {
    let tags = managed(ArtifactKind::Snapshot, "vol-1");
    snapshot(id, "vol-1", SnapshotState::Completed, tags)
}

fn backing(id: &str) -> holdfast_core::inventory::Snapshot {
    let tags = managed(ArtifactKind::ImageSnapshot, "i-1");
    snapshot(id, "vol-1", SnapshotState::Completed, tags)
}

fn ami(state: ImageState, snapshots: &[&str]) -> holdfast_core::inventory::Image {
    image(
        "ami-1",
        "i-1",
        state,
        snapshots,
        managed(ArtifactKind::Image, "i-1"),
    )
}

fn account() -> Account {
    Account {
        volumes: vec![volume("vol-1")],
        instances: vec![instance("i-1", None, InstanceState::Running)],
        ..Account::default()
    }
}

fn on_record(nodes: &[(&str, NodeState)]) -> Table {
    let mut table = Table::default();
    for (id, state) in nodes {
        table.record(Node::new(*id, *state, ago(60)));
    }
    table
}

#[test]
fn a_copys_placeholder_volume_is_no_source() {
    let mut account = account();
    account.snapshots = vec![snapshot(
        "snap-1",
        "vol-ffffffff",
        SnapshotState::Completed,
        managed(ArtifactKind::Snapshot, "vol-1"),
    )];
    let mut table = Table::default();
    for hour in 0..3 {
        let now = now() + SignedDuration::from_hours(hour);
        let changes = compare(&account, &table, false, now);
        table.apply(&changes);
    }
    assert_eq!(table.state("snap-1"), Some(NodeState::Completed));
    assert_eq!(table.edges, BTreeSet::new());
    assert_eq!(table.absences, BTreeMap::new());
}

#[test]
fn an_ami_is_not_available_on_record_before_its_snapshots_are() {
    let mut account = account();
    account.images = vec![ami(ImageState::Available, &["snap-1", "snap-2"])];
    account.snapshots = vec![backing("snap-1"), backing("snap-2")];
    account.snapshots[1].state = SnapshotState::Pending;
    let mut table = Table::default();
    table.apply(&compare(&account, &table, false, now()));
    assert_eq!(table.state("ami-1"), Some(NodeState::Pending));
    account.snapshots[1].state = SnapshotState::Completed;
    account.unread = BTreeSet::from([Source::Snapshots]);
    table.apply(&compare(&account, &table, false, now()));
    assert_eq!(table.state("ami-1"), Some(NodeState::Pending));
    account.unread.clear();
    let changes = compare(&account, &table, false, now());
    let last = changes.units.last().unwrap();
    assert_eq!(last.id, "ami-1", "after its snapshots");
    table.apply(&changes);
    assert_eq!(table.state("ami-1"), Some(NodeState::Available));
    for (from, kind, to) in [
        ("ami-1", EdgeKind::BackedBy, "snap-1"),
        ("ami-1", EdgeKind::BackedBy, "snap-2"),
        ("ami-1", EdgeKind::ImageOf, "i-1"),
        ("snap-2", EdgeKind::SnapshotOf, "vol-1"),
    ] {
        assert!(
            table.edges.contains(&Edge::new(from, kind, to)),
            "{from} {to}"
        );
    }
}

#[test]
fn a_snapshot_whose_tags_were_taken_off_is_not_gone() {
    let mut account = account();
    account.snapshots = vec![completed("snap-1")];
    account.snapshots[0].tags = Tags::new();
    let table = on_record(&[("snap-1", NodeState::Completed)]);
    let changes = compare(&account, &table, false, now());
    assert!(changes.writes_nothing(), "{changes:?}");
    assert_eq!(changes.items, []);
}

#[test]
fn the_second_reconcile_that_misses_it_says_gone_and_not_before_two_minutes() {
    let mut table = on_record(&[("snap-1", NodeState::Completed)]);
    let account = account();
    for (seconds, state) in [
        (0, NodeState::Completed),
        (119, NodeState::Completed),
        (120, NodeState::Gone),
    ] {
        let changes = compare(
            &account,
            &table,
            false,
            now() + SignedDuration::from_secs(seconds),
        );
        let outcome = if state == NodeState::Gone {
            "finding"
        } else {
            "deferred"
        };
        assert_eq!(about(&changes, "snap-1"), [(outcome, vec!["gone"])]);
        table.apply(&changes);
        assert_eq!(table.state("snap-1"), Some(state), "{seconds}");
    }
    assert_eq!(table.absences, BTreeMap::new());
}

#[test]
fn what_is_listed_again_is_not_absent_any_more() {
    let mut table = on_record(&[("snap-1", NodeState::Completed)]);
    let mut account = account();
    table.apply(&compare(&account, &table, false, now()));
    assert!(table.absences.contains_key("snap-1"));
    account.snapshots = vec![completed("snap-1")];
    table.apply(&compare(&account, &table, false, now()));
    assert!(!table.absences.contains_key("snap-1"));
}

#[test]
fn neither_a_late_reconcile_nor_an_event_notes_or_confirms_an_absence() {
    let mut table = on_record(&[("snap-1", NodeState::Completed)]);
    for first in [None, Some(ago(60))] {
        table.absences.clear();
        if let Some(first) = first {
            let absence = Absence {
                first,
                confirmed: None,
            };
            table.absences.insert("snap-1".into(), absence);
        }
        let late = compare(&account(), &table, true, now());
        let event = hear(&account(), &table, &BTreeSet::from(["snap-1".into()]));
        for changes in [late, event] {
            assert!(changes.writes_nothing(), "{changes:?}");
            assert_eq!(about(&changes, "snap-1"), [("deferred", vec!["gone"])]);
        }
    }
}

#[test]
fn a_slot_that_is_still_being_asked_for_is_left_to_the_creating_run() {
    let mut account = account();
    account.snapshots = vec![completed("snap-1")];
    account.snapshots[0].state = SnapshotState::Error;
    for state in [
        SlotState::Intended,
        SlotState::Requested,
        SlotState::Completed,
    ] {
        let mut table = on_record(&[("snap-1", NodeState::Pending)]);
        let mut record = slot_record("vol-1", ago(600), &["snap-1"]);
        record.state = state;
        table.slots.insert(SlotKey::of(&record), record);
        let changes = compare(&account, &table, false, now());
        assert!(changes.slots.is_empty(), "{state:?}");
    }
}

#[test]
fn the_slot_of_a_request_is_found_by_its_run() {
    let mut account = account();
    account.snapshots = vec![completed("snap-1")];
    account.snapshots[0].tags = tags(ArtifactKind::Snapshot, "vol-1", ago(600), "ticket-7");
    let mut table = on_record(&[("snap-1", NodeState::Pending)]);
    // A scheduled slot of the same second is another backup.
    let scheduled = slot_record("vol-1", ago(600), &["snap-0"]);
    let mut requested = slot_record("vol-1", ago(600), &["snap-1"]);
    requested.request = Some("ticket-7".into());
    let keys = [SlotKey::of(&scheduled), SlotKey::of(&requested)];
    for record in [scheduled, requested] {
        table.slots.insert(SlotKey::of(&record), record);
    }
    table.apply(&compare(&account, &table, false, now()));
    assert_eq!(table.slots[&keys[0]].state, SlotState::Created);
    assert_eq!(table.slots[&keys[1]].state, SlotState::Completed);
}

#[test]
fn a_failure_seen_before_its_slot_was_recorded_reopens_it_later() {
    let mut account = account();
    account.snapshots = vec![completed("snap-1")];
    account.snapshots[0].state = SnapshotState::Error;
    account.snapshots[0].state_message = Some("no key".into());
    let mut table = Table::default();
    let changes = compare(&account, &table, false, now());
    assert_eq!(
        about(&changes, "snap-1"),
        [("finding", vec!["failed-backup", "unrecorded"])]
    );
    table.apply(&changes);
    let record = slot_record("vol-1", ago(600), &["snap-1"]);
    let key = SlotKey::of(&record);
    table.slots.insert(key.clone(), record);
    table.apply(&compare(&account, &table, false, now()));
    assert_eq!(table.slots[&key].state, SlotState::Failed);
    assert_eq!(table.slots[&key].error.as_deref(), Some("no key"));
    let open = table.open.first().unwrap();
    assert!(open.failures == 1 && open.source == "vol-1" && open.slot == ago(600));
}

#[test]
fn after_three_failures_nothing_is_reopened_and_it_is_said_as_long_as_it_is_so() {
    let mut account = account();
    account.snapshots = vec![completed("snap-3")];
    account.snapshots[0].state = SnapshotState::Error;
    let mut table = on_record(&[("snap-3", NodeState::Pending)]);
    let mut record = slot_record("vol-1", ago(600), &["snap-3"]);
    record.failures = 2;
    record.lost = vec!["snap-1".into(), "snap-2".into()];
    table.slots.insert(SlotKey::of(&record), record);
    for _ in 0..3 {
        let changes = compare(&account, &table, false, now());
        assert_eq!(
            about(&changes, "vol-1"),
            [("finding", vec!["attempts-exhausted"])]
        );
        table.apply(&changes);
        assert_eq!(table.open, BTreeSet::new());
    }
}

#[test]
fn an_ami_without_all_its_snapshots_does_not_complete_its_slot() {
    let mut account = account();
    account.images = vec![ami(ImageState::Available, &["snap-1", "snap-2"])];
    account.snapshots = vec![backing("snap-1")];
    let mut table = on_record(&[("ami-1", NodeState::Pending)]);
    let record = slot_record("i-1", ago(600), &["ami-1"]);
    let key = SlotKey::of(&record);
    table.slots.insert(key.clone(), record);
    let changes = compare(&account, &table, false, now());
    assert!(about(&changes, "ami-1").contains(&("finding", vec!["snapshot-missing"])));
    table.apply(&changes);
    assert_eq!(table.slots[&key].state, SlotState::Created);
    // Disabling it does not make it whole.
    account.images[0].state = ImageState::Disabled;
    let changes = compare(&account, &table, false, now());
    assert_eq!(
        about(&changes, "ami-1"),
        [("finding", vec!["snapshot-missing"])]
    );
}

#[test]
fn a_snapshot_behind_an_ami_counts_as_there_whatever_its_tags_say() {
    let mut account = account();
    account.images = vec![ami(ImageState::Available, &["snap-1"])];
    account.snapshots = vec![backing("snap-1")];
    account.snapshots[0].tags = Tags::new();
    let mut table = Table::default();
    let changes = compare(&account, &table, false, now());
    assert_eq!(about(&changes, "ami-1"), [("recorded", vec!["unrecorded"])]);
    table.apply(&changes);
    assert_eq!(table.state("snap-1"), Some(NodeState::Completed));
    assert!(compare(&account, &table, false, now()).writes_nothing());
}

#[test]
fn an_ami_that_names_no_snapshot_for_a_device_is_incomplete_evidence() {
    let ebs = |id: Option<&str>| MappingTarget::Ebs(id.map(SnapshotId::new));
    let ephemeral = MappingTarget::InstanceStore("ephemeral0".into());
    for (targets, incomplete) in [
        (vec![], true),
        (vec![ephemeral.clone()], true),
        (vec![ebs(None)], true),
        (vec![ebs(Some("snap-1")), ebs(None)], true),
        (vec![ebs(Some("snap-1")), ephemeral], false),
    ] {
        let mut account = account();
        account.snapshots = vec![backing("snap-1")];
        account.images = vec![ami(ImageState::Available, &[])];
        account.images[0].mappings = targets
            .into_iter()
            .map(|target| ImageMapping {
                device: "/dev/xvda".into(),
                target,
            })
            .collect();
        let table = on_record(&[("ami-1", NodeState::Available)]);
        let said = about(&compare(&account, &table, false, now()), "ami-1");
        let finding = [("finding", vec!["evidence-incomplete"])];
        let expected = if incomplete { &finding[..] } else { &[] };
        assert_eq!(said, expected, "{:?}", account.images[0].mappings);
    }
}

#[test]
fn a_backing_snapshot_is_orphaned_only_when_no_ami_can_be_its_own() {
    let mut orphan = account();
    orphan.snapshots = vec![backing("snap-1")];
    let table = Table::default();
    let found = |account: &Account| {
        let changes = compare(account, &table, false, now());
        about(&changes, "snap-1").contains(&("finding", vec!["orphaned"]))
    };
    assert!(found(&orphan));

    let mut account = orphan.clone();
    account.images = vec![ami(ImageState::Failed, &["snap-1"])];
    assert!(!found(&account), "a failed AMI still maps it");
    account.images = vec![ami(ImageState::Pending, &[])];
    assert!(
        !found(&account),
        "a pending AMI may not show its mapping yet"
    );
    account.images = vec![ami(ImageState::Available, &["snap-2"])];
    assert!(found(&account), "another AMI of the same run does not help");
    account.images = vec![ami(ImageState::Deregistered, &["snap-1"])];
    assert!(
        found(&account),
        "a deregistered one is still listed for a while"
    );
    let mut strange = ami(ImageState::Available, &["snap-1"]);
    strange.tags.clear();
    strange.source_instance = None;
    account.images = vec![strange];
    assert!(found(&account), "a stranger's AMI over it is not its own");

    let mut account = orphan.clone();
    account.unread = BTreeSet::from([Source::Images]);
    assert!(!found(&account), "the list of images ends early");
    let mut account = orphan.clone();
    account.snapshots[0].state = SnapshotState::Pending;
    assert!(!found(&account), "it is being made");
    let mut account = orphan;
    account.snapshots[0].start = Some(ago(1));
    assert!(!found(&account), "its AMI may not be listed yet");
}

#[test]
fn a_terminated_instance_counts_as_absent_and_as_no_user() {
    let mut account = account();
    account.images = vec![ami(ImageState::Available, &["snap-1"])];
    account.snapshots = vec![backing("snap-1")];
    account.instances = vec![
        instance("i-1", Some("ami-1"), InstanceState::Terminated),
        instance("i-2", Some("ami-1"), InstanceState::Stopped),
        instance("i-3", Some("ami-9"), InstanceState::Running),
    ];
    let mut table = Table::default();
    table.apply(&compare(&account, &table, false, now()));
    assert_eq!(table.absences["i-1"].first, now());
    let used = |id: &str| {
        let edge = Edge::new(id, EdgeKind::LaunchedFrom, "ami-1");
        table.edges.contains(&edge)
    };
    assert!(used("i-2") && !used("i-1"));
    assert_eq!(table.state("i-2"), Some(NodeState::Present));
    assert_eq!(table.state("i-3"), None);
    let later = now() + SignedDuration::from_hours(1);
    table.apply(&compare(&account, &table, false, later));
    assert_eq!(table.absences["i-1"].confirmed, Some(later));
    assert_eq!(table.state("i-1"), Some(NodeState::Gone));
}

#[test]
fn an_absence_is_forgotten_with_the_last_backup_of_the_source() {
    let mut account = account();
    account.volumes.clear();
    account.snapshots = vec![completed("snap-1")];
    let mut table = Table::default();
    table.apply(&compare(&account, &table, false, now()));
    assert!(table.absences.contains_key("vol-1"));
    account.snapshots.clear();
    account.unread = BTreeSet::from([Source::Snapshots]);
    table.apply(&compare(&account, &table, false, now()));
    assert!(
        table.absences.contains_key("vol-1"),
        "an unread list proves nothing"
    );
    account.unread.clear();
    table.apply(&compare(&account, &table, false, now()));
    assert!(!table.absences.contains_key("vol-1"));
}

#[test]
fn a_state_that_nobody_knows_is_neither_recorded_nor_taken_for_absence() {
    let mut account = account();
    for state in [
        SnapshotState::Recoverable,
        SnapshotState::Unknown("new".into()),
    ] {
        account.snapshots = vec![completed("snap-1"), completed("snap-2")];
        account.snapshots[0].state = state.clone();
        account.snapshots[1].state = state;
        let mut table = on_record(&[("snap-1", NodeState::Completed)]);
        for hour in 0..3 {
            let now = now() + SignedDuration::from_hours(hour);
            table.apply(&compare(&account, &table, false, now));
        }
        assert_eq!(table.state("snap-1"), Some(NodeState::Completed));
        assert_eq!(table.state("snap-2"), None);
        assert_eq!(table.absences, BTreeMap::new());
    }
}

#[test]
fn an_artifact_that_is_not_ours_is_ignored() {
    let mut account = account();
    let other_owner = {
        let mut snapshot = completed("snap-1");
        snapshot.owner = Some("999999999999".into());
        snapshot
    };
    let by_backup = {
        let mut snapshot = completed("snap-2");
        snapshot
            .tags
            .insert("aws:backup:source-resource".into(), "x".into());
        snapshot
    };
    account.snapshots = vec![other_owner, by_backup];
    let changes = compare(&account, &Table::default(), false, now());
    assert!(changes.writes_nothing(), "{changes:?}");
}
