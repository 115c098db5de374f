//! What a reconcile makes of artifacts that are gone and whose deletion is on record.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod lineage_model;

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::inventory::InstanceState;
use holdfast_core::lineage::{Node, NodeState, SlotState};
use holdfast_core::plan::reconcile::{Changes, OwnDeletion, Scope, SlotKey, alarm};
use holdfast_core::ports::records::{Absence, Deletion, DeletionState};
use lineage_model::*;

fn account() -> Account {
    Account {
        volumes: vec![volume("vol-1")],
        instances: vec![instance("i-1", None, InstanceState::Running)],
        ..Account::default()
    }
}

/// A deletion whose intent was recorded so many minutes ago.
fn own(state: DeletionState, minutes: i64) -> OwnDeletion {
    OwnDeletion {
        state,
        at: ago(minutes),
        refused: false,
    }
}

/// A snapshot on record in this state since so many minutes, whose absence a reconcile confirms.
fn missed(state: NodeState, minutes: i64) -> Table {
    let mut table = Table::default();
    table.record(Node::new("snap-1", state, ago(minutes)));
    let absence = Absence {
        first: ago(60),
        confirmed: None,
    };
    table.absences.insert("snap-1".into(), absence);
    table
}

/// Compares and writes down what the comparison came to.
fn confirmed(table: &mut Table, own: Option<OwnDeletion>) -> Changes {
    let deletions = own.map(|own| ("snap-1".to_owned(), own));
    let deletions = deletions.into_iter().collect();
    let scope = Scope::All { late: false };
    let changes = compared(&account(), table, scope, now(), &deletions);
    table.apply(&changes);
    changes
}

#[test]
fn what_holdfast_deleted_goes_quietly() {
    for (state, deletion) in [
        (NodeState::Deleting, None),
        (NodeState::Completed, Some(own(DeletionState::Deleted, 60))),
        // Two hourly reconciles confirm what an answer that was lost left open.
        (
            NodeState::Completed,
            Some(own(DeletionState::Intended, 120)),
        ),
    ] {
        let mut table = missed(state, 60);
        let changes = confirmed(&mut table, deletion);
        assert_eq!(said(&changes), []);
        assert_eq!(table.state("snap-1"), Some(NodeState::Deleted));
    }
    // Refused by EC2, and gone all the same: that was somebody else. An old intent, and one that EC2
    // refused once, do not tell whose doing it was: it may have been listed since.
    let refused = OwnDeletion {
        refused: true,
        ..own(DeletionState::Intended, 120)
    };
    for (own, words) in [
        (
            own(DeletionState::Refused, 60),
            "Holdfast did not delete it",
        ),
        (own(DeletionState::Intended, 24 * 60), "or somebody else's"),
        (refused, "or somebody else's"),
    ] {
        let mut table = missed(NodeState::Completed, 60);
        let changes = confirmed(&mut table, Some(own));
        assert_eq!(about(&changes, "snap-1"), [("finding", vec!["gone"])]);
        let detail = said(&changes)[0].reasons[0].detail.clone().unwrap();
        assert!(detail.ends_with(words), "{detail}");
        assert_eq!(table.state("snap-1"), Some(NodeState::Gone));
    }
}

#[test]
fn the_loss_of_what_came_back_after_holdfasts_deletion_is_a_finding() {
    // Deleted a day ago; recorded standing two hours ago.
    let mut table = missed(NodeState::Completed, 120);
    let changes = confirmed(&mut table, Some(own(DeletionState::Deleted, 24 * 60)));
    assert_eq!(about(&changes, "snap-1"), [("finding", vec!["gone"])]);
    let detail = said(&changes)[0].reasons[0].detail.clone().unwrap();
    let words = "it had come back after Holdfast's deletion of 2026-06-14T12:00:00Z";
    assert!(detail.ends_with(words), "{detail}");
    assert_eq!(table.state("snap-1"), Some(NodeState::Gone));
    // Recorded standing ten minutes after its deletion, by a list that lagged.
    let mut table = missed(NodeState::Completed, 24 * 60 - 10);
    let changes = confirmed(&mut table, Some(own(DeletionState::Deleted, 24 * 60)));
    assert_eq!(said(&changes), []);
    assert_eq!(table.state("snap-1"), Some(NodeState::Deleted));
}

#[test]
fn somebody_elses_deregistration_of_what_came_back_is_told_at_once() {
    let mut table = Table::default();
    table.record(Node::new("ami-1", NodeState::Available, ago(120)));
    let ids = BTreeSet::from(["ami-1".to_owned()]);
    let told = |state: DeletionState, minutes: i64| {
        let scope = Scope::Artifacts(&ids);
        let mut changes = compared(&account(), &table, scope, now(), &BTreeMap::new());
        let deletion = Deletion {
            resource: "ami-1".into(),
            policy: "p".into(),
            image: None,
            other_images: BTreeSet::new(),
            good: true,
            time: ago(600),
            run: "r".into(),
            evidence: "{}".into(),
            at: ago(minutes),
            tries: 0,
            refused: None,
        };
        let deletions = BTreeMap::from([("ami-1".to_owned(), (deletion, state))]);
        let node = Node::new("ami-1", NodeState::Available, ago(120));
        let nodes = BTreeMap::from([("ami-1".to_owned(), node)]);
        alarm(&mut changes, &deletions, &nodes);
        about(&changes, "ami-1")
    };
    let own = [("deferred", vec!["gone"])];
    let somebody_elses = [("finding", vec!["gone"])];
    assert_eq!(told(DeletionState::Deleted, 24 * 60), somebody_elses);
    assert_eq!(told(DeletionState::Refused, 1), somebody_elses);
    assert_eq!(told(DeletionState::Deleted, 1), own);
    assert_eq!(told(DeletionState::Intended, 1), own);
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
    let deletions = BTreeMap::from([("ami-1".to_owned(), own(DeletionState::Deleted, 30))]);
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
