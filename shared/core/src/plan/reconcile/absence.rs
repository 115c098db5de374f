//! Artifacts that are on record and that EC2 does not list.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::live::Live;
use super::sources::missed;
use super::{Changes, OwnDeletion, Recorded, Scope, SlotKey, Unit, Wanted};
use crate::lineage::{Node, NodeKind, NodeState};
use crate::ports::records::{Absence, Deletion, DeletionState};
use crate::report::{Action, Item, Outcome, Reason, ReasonCode, whole_second};

/// How old an intent may be, on the wall clock, for an absence to be its doing: two hourly reconciles
/// confirm it, and the second may come late.
const ANSWERS_AN_INTENT: SignedDuration = SignedDuration::from_hours(3);

/// Whether an artifact is listed; `None` where the lists do not go far enough to say no.
fn listed(live: &Live<'_>, id: &str) -> Option<bool> {
    match NodeKind::of(id) {
        NodeKind::Snapshot if live.snapshots.contains_key(id) => Some(true),
        NodeKind::Snapshot => live.knows_all_snapshots().then_some(false),
        NodeKind::Image if live.images.contains_key(id) => Some(true),
        NodeKind::Image => live.seen.images.is_complete().then_some(false),
        NodeKind::Volume | NodeKind::Instance | NodeKind::Other => None,
    }
}

/// Asks for what is on record of those that are about to be called gone.
pub(super) fn want(
    live: &Live<'_>,
    recorded: &Recorded,
    late: bool,
    now: Timestamp,
    wanted: &mut Wanted,
) {
    for id in recorded.roster.keys() {
        if late || listed(live, id) != Some(false) {
            continue;
        }
        if missed(recorded.absences.get(id), now).confirmed.is_some() {
            wanted.nodes.insert(id.clone());
            wanted.deletions.insert(id.clone());
        }
    }
}

/// What is to be written and said about them.
pub(super) fn compare(
    live: &Live<'_>,
    recorded: &Recorded,
    scope: Scope<'_>,
    now: Timestamp,
    wall: Timestamp,
    changes: &mut Changes,
) {
    let late = match scope {
        Scope::All { late } => late,
        // One sighting by an event is none of the two reconciles that it takes.
        Scope::Artifacts(ids) => {
            for (id, state) in &recorded.roster {
                if ids.contains(id) && listed(live, id) == Some(false) {
                    changes.items.extend(waits(id, *state));
                }
            }
            return;
        }
    };
    for (id, state) in &recorded.roster {
        let absence = recorded.absences.get(id);
        match listed(live, id) {
            Some(true) if absence.is_some() => changes.units.push(forget(id)),
            Some(true) | None => {}
            Some(false) if late => changes.items.extend(waits(id, *state)),
            Some(false) => {
                let noted = missed(absence, now);
                if noted.confirmed.is_none() {
                    changes.items.extend(waits(id, *state));
                    if absence != Some(&noted) {
                        changes.units.push(note(id, noted));
                    }
                } else if !recorded.unreadable.contains(id) {
                    let mut unit = gone(recorded, id, *state, noted, wall);
                    if recorded.swept_failures.contains(id) {
                        // Its slot is found only while it is on the roster.
                        let keys = recorded.nodes.get(id).map(SlotKey::of_node);
                        unit.after = keys.into_iter().flatten().collect();
                        unit.after.retain(|key| {
                            changes.slots.contains_key(key)
                                || recorded.unreadable_slots.contains(key)
                        });
                    }
                    changes.units.push(unit);
                }
            }
        }
    }
    // What is no longer on record is missed by nobody.
    for id in recorded.absences.keys() {
        let artifact = matches!(NodeKind::of(id), NodeKind::Snapshot | NodeKind::Image);
        if artifact && !recorded.roster.contains_key(id) {
            changes.units.push(forget(id));
        }
    }
}

/// Turns what is said of AMIs that EC2 does not list into findings, because an event says that they
/// were deregistered: nobody has to wait for the reconciles to hear of that. What Holdfast itself
/// deregistered, or was about to, is none, unless the AMI was found standing since.
pub fn alarm(
    changes: &mut Changes,
    deletions: &BTreeMap<String, (Deletion, DeletionState)>,
    nodes: &BTreeMap<String, Node>,
) {
    for item in &mut changes.items {
        let image = NodeKind::of(&item.resource) == NodeKind::Image;
        let missed = item.outcome == Outcome::Deferred
            && item.reasons.iter().any(|r| r.code == ReasonCode::Gone);
        let own = deletions.get(&item.resource).is_some_and(|(d, state)| {
            let own = OwnDeletion::of(d, *state);
            own.state == DeletionState::Intended || is_the_end(own, nodes.get(&item.resource))
        });
        if image && missed && !own {
            let detail = "somebody else deregistered it: its snapshots are judged as if it still \
                          stood, and RegisterImage over them restores it";
            item.outcome = Outcome::Finding;
            item.reasons = vec![Reason::with(ReasonCode::Gone, detail)];
        }
    }
}

/// Whether a recorded deletion is how an artifact went that is not listed: it was carried out, and
/// nothing on record shows that the artifact came back after it.
fn is_the_end(own: OwnDeletion, node: Option<&Node>) -> bool {
    own.state == DeletionState::Deleted && !node.is_some_and(|node| node.outlives(own.at))
}

/// Whether an intent whose end nobody heard is so recent that the absence is its doing. No rule of a
/// policy kept the artifact then. An older one proves nothing: the artifact may have been listed
/// since, and have gone by another's hand.
fn is_answered(own: OwnDeletion, wall: Timestamp) -> bool {
    own.state == DeletionState::Intended
        && !own.refused
        && wall.duration_since(own.at) <= ANSWERS_AN_INTENT
}

fn note(id: &str, absence: Absence) -> Unit {
    Unit {
        id: id.to_owned(),
        absence: Some(Some(absence)),
        ..Unit::default()
    }
}

fn forget(id: &str) -> Unit {
    Unit {
        id: id.to_owned(),
        absence: Some(None),
        ..Unit::default()
    }
}

/// The word on one that a single list missed; none where Holdfast is deleting it.
fn waits(id: &str, state: NodeState) -> Option<Item> {
    let detail = "EC2 does not list it; it counts as gone when two reconciles, at least two \
                  minutes apart, have missed it";
    (state != NodeState::Deleting).then(|| {
        Item::new(Action::Check, id, Outcome::Deferred)
            .reason(Reason::with(ReasonCode::Gone, detail))
    })
}

fn gone(recorded: &Recorded, id: &str, state: NodeState, noted: Absence, wall: Timestamp) -> Unit {
    let mut unit = forget(id);
    let node = recorded.nodes.get(id);
    let (before, changed) = node.map_or((state, wall), |node| (node.state, node.changed));
    let deletion = recorded.deletions.get(id).copied();
    let own = deletion.is_some_and(|own| is_the_end(own, node) || is_answered(own, wall));
    let after = if own {
        NodeState::Deleted
    } else {
        before.after(NodeState::Gone, changed, wall)
    };
    unit.nodes.push(Node::new(id, after, wall));
    if after == NodeState::Gone {
        let whose = match deletion.map(|own| (own.state, own.at)) {
            Some((DeletionState::Intended, _)) => {
                "Holdfast was about to delete it and did not hear whether EC2 did, so that may \
                 have been its own doing or somebody else's"
                    .to_owned()
            }
            Some((DeletionState::Deleted, at)) => format!(
                "Holdfast did not delete it: it had come back after Holdfast's deletion of {}",
                whole_second(at)
            ),
            Some((DeletionState::Refused, _)) | None => "Holdfast did not delete it".to_owned(),
        };
        let detail = format!(
            "EC2 does not list it since {} or before, and {whose}",
            noted.first
        );
        let mut item = Item::new(Action::Check, id, Outcome::Finding)
            .reason(Reason::with(ReasonCode::Gone, detail));
        if let Some(node) = node {
            item.policy.clone_from(&node.policy);
            item.source.clone_from(&node.source);
            item.time = node.time;
            item.slot = node.slot;
        }
        unit.items.push(item);
    }
    unit
}
