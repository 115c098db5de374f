//! Artifacts that are not on record as they are.

use jiff::Timestamp;

use super::live::{Described, Live, Ours, state_of, volume_of};
use super::{Changes, Recorded, Scope, SlotKey, Unit, Wanted};
use crate::artifact::ArtifactKind;
use crate::inventory::{Image, Snapshot};
use crate::lineage::{Edge, EdgeKind, Node, NodeState};
use crate::report::{Action, Item, Outcome, Reason, ReasonCode};

/// Asks for the nodes of those whose state differs from the roster's.
pub(super) fn want(live: &Live<'_>, recorded: &Recorded, scope: Scope<'_>, wanted: &mut Wanted) {
    for (id, ours) in live.compared(scope) {
        if ours.state.is_some() && ours.state.as_ref() != recorded.roster.get(id) {
            wanted.nodes.insert(id.to_owned());
        }
    }
}

/// What is to be written about them; snapshots first.
pub(super) fn compare(
    live: &Live<'_>,
    recorded: &Recorded,
    scope: Scope<'_>,
    wall: Timestamp,
    changes: &mut Changes,
) {
    let (images, snapshots): (Vec<_>, Vec<_>) = live
        .compared(scope)
        .partition(|(_, ours)| ours.image().is_some());
    for (id, ours) in snapshots.into_iter().chain(images) {
        let Some(seen) = ours.state else { continue };
        if recorded.roster.get(id) == Some(&seen) || recorded.unreadable.contains(id) {
            continue;
        }
        let before = recorded.nodes.get(id);
        if before.is_some_and(|node| node.state.after(seen, node.changed, wall) == node.state) {
            continue;
        }
        let quiet = ours.artifact.kind == ArtifactKind::ImageSnapshot
            && (matches!(scope, Scope::Artifacts(_))
                || !live.seen.images.is_complete()
                || live.has_image(id, &ours.artifact));
        let mut unit = unit(live, id, ours, seen, wall);
        if !quiet {
            unit.items.push(item(id, ours, seen, before));
        }
        let keys = SlotKey::candidates(&ours.artifact).into_iter();
        unit.after = keys
            .filter(|key| {
                changes.slots.contains_key(key) || recorded.unreadable_slots.contains(key)
            })
            .collect();
        changes.units.push(unit);
    }
}

fn unit(live: &Live<'_>, id: &str, ours: &Ours<'_>, seen: NodeState, wall: Timestamp) -> Unit {
    let mut unit = Unit {
        id: id.to_owned(),
        ..Unit::default()
    };
    match ours.described {
        Described::Snapshot(snapshot) => unit.edges.extend(snapshot_of(snapshot)),
        Described::Image(image) => {
            let source = ours.source();
            let edge = source.map(|source| Edge::new(id, EdgeKind::ImageOf, source));
            unit.edges.extend(edge);
            back(live, image, wall, &mut unit);
        }
    }
    unit.nodes.push(ours.node(id, seen, wall));
    unit
}

/// Adds the snapshots of an AMI: they are on record when its state is.
fn back(live: &Live<'_>, image: &Image, wall: Timestamp, unit: &mut Unit) {
    for id in image.snapshots() {
        unit.edges.push(Edge::new(
            image.id.as_str(),
            EdgeKind::BackedBy,
            id.as_str(),
        ));
        let Some(snapshot) = live.snapshots.get(id.as_str()) else {
            continue;
        };
        unit.edges.extend(snapshot_of(snapshot));
        let node = match live.ours.get(id.as_str()) {
            // A backup in its own right, which somebody registered an AMI from: its state is news
            // to its slot, too, and is recorded with it.
            Some(ours) if ours.artifact.kind == ArtifactKind::Snapshot => None,
            Some(ours) => ours.state.map(|state| ours.node(id.as_str(), state, wall)),
            None => state_of(snapshot).map(|state| Node {
                time: snapshot.start,
                ..Node::new(id.as_str(), state, wall)
            }),
        };
        unit.nodes.extend(node);
    }
}

fn snapshot_of(snapshot: &Snapshot) -> Option<Edge> {
    let volume = volume_of(snapshot)?;
    Some(Edge::new(
        snapshot.id.as_str(),
        EdgeKind::SnapshotOf,
        volume,
    ))
}

fn item(id: &str, ours: &Ours<'_>, seen: NodeState, before: Option<&Node>) -> Item {
    let mut item = if seen == NodeState::Error {
        ours.item(Action::Check, id, Outcome::Finding)
            .reason(Reason::with(ReasonCode::FailedBackup, ours.words()))
    } else {
        ours.item(Action::Record, id, Outcome::Recorded)
    };
    let detail = match before {
        None => Some("it carries Holdfast's tags and was not on record".to_owned()),
        Some(node) if node.state.is_over() => {
            Some(format!("it was on record as {}", node.state.as_str()))
        }
        Some(_) => None,
    };
    if let Some(detail) = detail {
        item = item.reason(Reason::with(ReasonCode::Unrecorded, detail));
    }
    item
}
