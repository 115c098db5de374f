//! What a reconcile makes of artifacts that are gone and whose deletion is on record.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod lineage_model;

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::inventory::InstanceState;
use holdfast_core::lineage::{Node, NodeState, SlotState};
use holdfast_core::plan::reconcile::{Scope, SlotKey};
use holdfast_core::ports::records::{Absence, DeletionState};
use lineage_model::*;

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
fn what_holdfast_deleted_goes_quietly() {
    let absence = Absence {
        first: ago(60),
        confirmed: None,
    };
    for (state, deletion) in [
        (NodeState::Deleting, None),
        (NodeState::Completed, Some(DeletionState::Deleted)),
    ] {
        let mut table = on_record(&[("snap-1", state)]);
        table.absences.insert("snap-1".into(), absence);
        let deletions = deletion.map(|state| ("snap-1".to_owned(), state));
        let deletions = deletions.into_iter().collect();
        let scope = Scope::All { late: false };
        let changes = compared(&account(), &table, scope, now(), &deletions);
        assert_eq!(said(&changes), []);
        table.apply(&changes);
        assert_eq!(table.state("snap-1"), Some(NodeState::Deleted));
    }
    // Refused by EC2, and gone all the same: that was somebody else. An intent alone does not tell
    // whose doing it was: it may have been listed since.
    for (state, words) in [
        (DeletionState::Refused, "Holdfast did not delete it"),
        (DeletionState::Intended, "or somebody else's"),
    ] {
        let mut table = on_record(&[("snap-1", NodeState::Completed)]);
        table.absences.insert("snap-1".into(), absence);
        let deletions = BTreeMap::from([("snap-1".to_owned(), state)]);
        let scope = Scope::All { late: false };
        let changes = compared(&account(), &table, scope, now(), &deletions);
        assert_eq!(about(&changes, "snap-1"), [("finding", vec!["gone"])]);
        let detail = said(&changes)[0].reasons[0].detail.clone().unwrap();
        assert!(detail.ends_with(words), "{detail}");
        table.apply(&changes);
        assert_eq!(table.state("snap-1"), Some(NodeState::Gone));
    }
}

#[test]
fn a_failed_ami_that_was_swept_first_reopens_its_slot_all_the_same() {
    let mut table = Table::default();
    table.record(Node {
        policy: Some("p".into()),
        slot: Some(ago(600)),
        source: Some("i-1".into()),
        ..Node::new("ami-1", NodeState::Pending, ago(60))
    });
    let first = ago(60);
    let confirmed = None;
    table
        .absences
        .insert("ami-1".into(), Absence { first, confirmed });
    let record = slot_record("i-1", ago(600), &["ami-1"]);
    let key = SlotKey::of(&record);
    table.slots.insert(key.clone(), record);
    let deletions = BTreeMap::from([("ami-1".to_owned(), DeletionState::Deleted)]);
    let scope = Scope::All { late: false };
    // A good one that retention deleted opens nothing.
    let changes = compared(&account(), &table, scope, now(), &deletions);
    assert!(changes.slots.is_empty());
    table.swept_failures.insert("ami-1".into());
    let changes = compared(&account(), &table, scope, now(), &deletions);
    assert_eq!(
        about(&changes, "ami-1"),
        [("finding", vec!["failed-backup"])]
    );
    assert_eq!(changes.units[0].after, BTreeSet::from([key.clone()]));
    table.apply(&changes);
    assert_eq!(table.slots[&key].state, SlotState::Failed);
    assert_eq!(table.slots[&key].lost, ["ami-1"]);
    let open = table.open.first().unwrap();
    assert_eq!((open.source.as_str(), open.slot), ("i-1", ago(600)));
    assert_eq!(table.state("ami-1"), Some(NodeState::Deleted));
}
