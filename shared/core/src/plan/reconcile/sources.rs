//! What backups were taken of, and what runs from them: volumes and instances.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::live::Live;
use super::{ABSENT_FOR, Changes, Recorded, Unit, Wanted};
use crate::inventory::{InstanceState, VolumeState};
use crate::lineage::{Edge, EdgeKind, Node, NodeKind, NodeState};
use crate::ports::records::Absence;

/// What stands, as far as it was listed.
struct Standing<'a> {
    present: BTreeSet<&'a str>,
    volumes_complete: bool,
    instances_complete: bool,
}

impl<'a> Standing<'a> {
    fn new(live: &Live<'a>) -> Self {
        let volumes = live.seen.volumes.into_iter().flat_map(|list| &list.items);
        // A terminated instance stays listed for about an hour (EC2 User Guide).
        let instances = live.seen.instances.into_iter().flat_map(|list| &list.items);
        let volumes = volumes
            .filter(|volume| volume.state != VolumeState::Deleted)
            .map(|volume| volume.id.as_str());
        let instances = instances
            .filter(|instance| instance.state != InstanceState::Terminated)
            .map(|instance| instance.id.as_str());
        Self {
            present: volumes.chain(instances).collect(),
            volumes_complete: live.seen.volumes.is_some_and(|list| list.is_complete()),
            instances_complete: live.seen.instances.is_some_and(|list| list.is_complete()),
        }
    }

    /// Whether it certainly is not there.
    fn misses(&self, id: &str) -> bool {
        let complete = match NodeKind::of(id) {
            NodeKind::Volume => self.volumes_complete,
            NodeKind::Instance => self.instances_complete,
            NodeKind::Snapshot | NodeKind::Image | NodeKind::Other => false,
        };
        complete && !self.present.contains(id)
    }
}

fn sources<'l>(live: &'l Live<'_>) -> BTreeSet<&'l str> {
    live.ours
        .values()
        .filter_map(|ours| ours.source())
        .collect()
}

/// Instances that were launched from an AMI of Holdfast's.
fn launches(live: &Live<'_>) -> BTreeSet<Edge> {
    let instances = live.seen.instances.into_iter().flat_map(|list| &list.items);
    instances
        .filter(|instance| instance.state != InstanceState::Terminated)
        .filter_map(|instance| {
            let image = instance.image.as_ref()?.as_str();
            live.ours.get(image)?;
            Some(Edge::new(
                instance.id.as_str(),
                EdgeKind::LaunchedFrom,
                image,
            ))
        })
        .collect()
}

/// Asks for all of their nodes and edges: no roster says which are on record.
pub(super) fn want(live: &Live<'_>, wanted: &mut Wanted) {
    let launches = launches(live);
    wanted
        .nodes
        .extend(sources(live).into_iter().map(str::to_owned));
    wanted
        .nodes
        .extend(launches.iter().map(|edge| edge.from.clone()));
    wanted.edges.extend(launches);
}

/// What is to be written about them.
///
/// A source that is gone stays noted as absent, with the time at which that was certain, until it
/// is listed again or no backup of it is left.
pub(super) fn compare(
    live: &Live<'_>,
    recorded: &Recorded,
    late: bool,
    now: Timestamp,
    wall: Timestamp,
    changes: &mut Changes,
) {
    let standing = Standing::new(live);
    let launches = launches(live);
    let mut units: BTreeMap<String, Unit> = BTreeMap::new();
    let mut ids = sources(live);
    ids.extend(launches.iter().map(|edge| edge.from.as_str()));
    for id in &ids {
        let absence = recorded.absences.get(*id);
        let mut unit = Unit {
            id: (*id).to_owned(),
            ..Unit::default()
        };
        if standing.present.contains(id) {
            unit.nodes
                .extend(becomes(recorded, id, NodeState::Present, wall));
            unit.absence = absence.map(|_| None);
        } else if standing.misses(id) && !late {
            let noted = missed(absence, now);
            if noted.confirmed.is_some() {
                unit.nodes
                    .extend(becomes(recorded, id, NodeState::Gone, wall));
            }
            unit.absence = (absence != Some(&noted)).then_some(Some(noted));
        }
        units.insert((*id).to_owned(), unit);
    }
    for edge in &launches {
        if recorded.edges.contains(edge) {
            continue;
        }
        if let Some(unit) = units.get_mut(&edge.from) {
            unit.edges.push(edge.clone());
        }
    }
    let complete = live.seen.images.is_complete() && live.knows_all_snapshots();
    for id in recorded.absences.keys() {
        let of_source = matches!(NodeKind::of(id), NodeKind::Volume | NodeKind::Instance);
        if of_source && complete && !ids.contains(id.as_str()) {
            let unit = Unit {
                id: id.clone(),
                absence: Some(None),
                ..Unit::default()
            };
            units.insert(id.clone(), unit);
        }
    }
    let told =
        |unit: &Unit| !unit.nodes.is_empty() || !unit.edges.is_empty() || unit.absence.is_some();
    changes.units.extend(units.into_values().filter(told));
}

/// The absence after a reconcile that missed it once more.
pub(super) fn missed(absence: Option<&Absence>, now: Timestamp) -> Absence {
    match absence {
        None => Absence {
            first: now,
            confirmed: None,
        },
        Some(Absence {
            first,
            confirmed: None,
        }) if now.duration_since(*first) >= ABSENT_FOR => Absence {
            first: *first,
            confirmed: Some(now),
        },
        Some(absence) => *absence,
    }
}

/// The node, where `seen` is news.
fn becomes(recorded: &Recorded, id: &str, seen: NodeState, wall: Timestamp) -> Option<Node> {
    if recorded.unreadable.contains(id) {
        return None;
    }
    let known = |node: &Node| node.state.after(seen, node.changed, wall) == node.state;
    let known = recorded.nodes.get(id).is_some_and(known);
    (!known).then(|| Node::new(id, seen, wall))
}
