//! Which part of the lineage belongs to one resource.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use holdfast::lineage::{Edge, NodeKind};
use holdfast::ports::records::Relations;
use serde::Serialize;

/// The state of a resource that is neither recorded nor listed.
const UNKNOWN: &str = "unknown";

/// The state of a resource that is recorded as standing and that EC2 does not list.
const NOT_LISTED: &str = "not-listed";

/// What is known of a neighbourhood.
#[derive(Debug, Default)]
pub struct Known {
    edges: BTreeSet<Edge>,
    recorded: BTreeMap<String, &'static str>,
    live: BTreeMap<String, String>,
    missed: BTreeSet<String>,
}

/// A part of the lineage, as it is printed.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Document {
    /// Resources, by identifier.
    pub nodes: Vec<Node>,
    /// Relations among them.
    pub edges: Vec<Relation>,
}

/// A resource.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its identifier.
    pub id: String,
    /// `snapshot`, `image`, `volume` or `instance`.
    pub kind: &'static str,
    /// EC2's word for its state, else the recorded one.
    pub state: String,
}

/// A relation.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Relation {
    /// The dependent one.
    pub from: String,
    /// What it came from.
    pub to: String,
    /// How.
    pub kind: &'static str,
}

impl Known {
    /// Adds what is recorded about a resource.
    pub fn record(&mut self, id: &str, relations: Relations) {
        if let Some(node) = relations.node {
            self.recorded.insert(id.to_owned(), node.state.as_str());
        }
        self.edges.extend(relations.edges);
    }

    /// Adds the state of a resource that EC2 lists.
    pub fn see(&mut self, id: &str, state: &str) {
        let state = if state.is_empty() { UNKNOWN } else { state };
        self.live.insert(id.to_owned(), state.to_owned());
    }

    /// Notes that EC2 was asked for a resource and did not list it.
    ///
    /// That alone is no proof that it is gone: lists lag behind.
    pub fn miss(&mut self, id: &str) {
        self.missed.insert(id.to_owned());
    }

    /// Adds a relation.
    pub fn relate(&mut self, edge: Edge) {
        self.edges.insert(edge);
    }

    /// Whether anything is known of a resource.
    #[must_use]
    pub fn knows(&self, id: &str) -> bool {
        self.live.contains_key(id)
            || self.recorded.contains_key(id)
            || self
                .edges
                .iter()
                .any(|edge| edge.from == id || edge.to == id)
    }

    /// `start`, all it came from, and all that came from it.
    ///
    /// The two directions are never mixed: what else came from an ancestor is a neighbour's
    /// business, and an instance's volumes would otherwise lead to all backups of all of them.
    #[must_use]
    pub fn reached(&self, start: &str) -> BTreeSet<String> {
        let mut origins: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut results: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for edge in &self.edges {
            origins.entry(&edge.from).or_default().push(&edge.to);
            results.entry(&edge.to).or_default().push(&edge.from);
        }
        let mut reached = closure(start, &origins);
        reached.extend(closure(start, &results));
        reached.into_iter().map(str::to_owned).collect()
    }

    /// That part of the lineage, with every known relation among its resources.
    #[must_use]
    pub fn document(&self, start: &str) -> Document {
        self.document_of(self.reached(start))
    }

    /// Everything that is known.
    #[must_use]
    pub fn whole(&self) -> Document {
        let ends = self.edges.iter().flat_map(|edge| [&edge.from, &edge.to]);
        let ids = self.live.keys().chain(self.recorded.keys()).chain(ends);
        self.document_of(ids.cloned().collect())
    }

    fn document_of(&self, reached: BTreeSet<String>) -> Document {
        let edges = self
            .edges
            .iter()
            .filter(|edge| reached.contains(&edge.from) && reached.contains(&edge.to))
            .map(|edge| Relation {
                from: edge.from.clone(),
                to: edge.to.clone(),
                kind: edge.kind.as_str(),
            })
            .collect();
        let nodes = reached
            .into_iter()
            .map(|id| Node {
                kind: kind(&id),
                state: self.state(&id).to_owned(),
                id,
            })
            .collect();
        Document { nodes, edges }
    }

    fn state(&self, id: &str) -> &str {
        let live = self.live.get(id).map(String::as_str);
        let recorded = self.recorded.get(id).copied();
        let recorded = match recorded {
            Some("deleting" | "deleted" | "gone") | None => recorded,
            Some(_) if self.missed.contains(id) => Some(NOT_LISTED),
            Some(_) => recorded,
        };
        live.or(recorded).unwrap_or(UNKNOWN)
    }
}

fn closure<'a>(start: &'a str, next: &BTreeMap<&'a str, Vec<&'a str>>) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::from([start]);
    let mut queue = VecDeque::from([start]);
    while let Some(id) = queue.pop_front() {
        for neighbour in next.get(id).into_iter().flatten() {
            if seen.insert(neighbour) {
                queue.push_back(neighbour);
            }
        }
    }
    seen
}

fn kind(id: &str) -> &'static str {
    match NodeKind::of(id) {
        NodeKind::Snapshot => "snapshot",
        NodeKind::Image => "image",
        NodeKind::Volume => "volume",
        NodeKind::Instance => "instance",
        NodeKind::Other => "other",
    }
}

#[cfg(test)]
mod tests {
    use holdfast::lineage::EdgeKind::{
        self, AttachedTo, BackedBy, ImageOf, LaunchedFrom, SnapshotOf,
    };
    use holdfast::lineage::{self, NodeState};
    use jiff::Timestamp;

    use super::*;

    fn known(edges: &[(&str, EdgeKind, &str)]) -> Known {
        let mut known = Known::default();
        for (from, kind, to) in edges {
            known.relate(Edge::new(*from, *kind, *to));
        }
        known
    }

    fn ids(known: &Known, start: &str) -> Vec<String> {
        known.reached(start).into_iter().collect()
    }

    /// An instance of two volumes with two snapshots each, and an AMI of one of these.
    fn neighbourhood() -> Known {
        known(&[
            ("vol-1", AttachedTo, "i-1"),
            ("vol-2", AttachedTo, "i-1"),
            ("snap-1a", SnapshotOf, "vol-1"),
            ("snap-1b", SnapshotOf, "vol-1"),
            ("snap-2a", SnapshotOf, "vol-2"),
            ("ami-1", BackedBy, "snap-1a"),
            ("ami-1", BackedBy, "snap-2a"),
            ("i-9", LaunchedFrom, "ami-1"),
        ])
    }

    #[test]
    fn a_snapshot_leads_to_its_origins_and_its_results_and_to_no_sibling() {
        let reached = ids(&neighbourhood(), "snap-1a");
        assert_eq!(reached, ["ami-1", "i-1", "i-9", "snap-1a", "vol-1"]);
    }

    #[test]
    fn a_volume_leads_to_its_own_backups_only() {
        let reached = ids(&neighbourhood(), "vol-2");
        assert_eq!(reached, ["ami-1", "i-1", "i-9", "snap-2a", "vol-2"]);
    }

    #[test]
    fn an_ami_leads_back_to_every_volume_it_holds() {
        let reached = ids(&neighbourhood(), "ami-1");
        let all = [
            "ami-1", "i-1", "i-9", "snap-1a", "snap-2a", "vol-1", "vol-2",
        ];
        assert_eq!(reached, all);
    }

    #[test]
    fn a_circle_ends() {
        // An instance launched from an image of itself: the image restored it in place.
        let known = known(&[("ami-1", ImageOf, "i-1"), ("i-1", LaunchedFrom, "ami-1")]);
        assert_eq!(ids(&known, "i-1"), ["ami-1", "i-1"]);
        assert_eq!(known.document("i-1").edges.len(), 2);
    }

    #[test]
    fn a_relation_between_two_resources_shown_is_shown_though_no_walk_took_it() {
        let known = known(&[
            ("snap-1", SnapshotOf, "vol-1"),
            ("vol-1", AttachedTo, "i-1"),
            ("ami-1", BackedBy, "snap-1"),
            ("ami-1", ImageOf, "i-1"),
            ("ami-2", ImageOf, "i-1"),
        ]);
        let document = known.document("snap-1");
        let edges: Vec<(&str, &str)> = document
            .edges
            .iter()
            .map(|edge| (edge.from.as_str(), edge.kind))
            .collect();
        let expected = [
            ("ami-1", "image-of"),
            ("ami-1", "backed-by"),
            ("snap-1", "snapshot-of"),
            ("vol-1", "attached-to"),
        ];
        assert_eq!(edges, expected);
    }

    #[test]
    fn the_live_state_wins_over_the_recorded_one_and_neither_is_invented() {
        let mut known = known(&[("snap-1", SnapshotOf, "vol-1")]);
        let node = |id| lineage::Node::new(id, NodeState::Completed, Timestamp::UNIX_EPOCH);
        for id in ["snap-1", "snap-2"] {
            let relations = Relations {
                node: Some(node(id)),
                ..Relations::default()
            };
            known.record(id, relations);
        }
        known.see("snap-1", "error");
        let document = known.document("snap-1");
        let states: Vec<(&str, &str, &str)> = document
            .nodes
            .iter()
            .map(|n| (n.id.as_str(), n.kind, n.state.as_str()))
            .collect();
        let expected = [
            ("snap-1", "snapshot", "error"),
            ("vol-1", "volume", "unknown"),
        ];
        assert_eq!(states, expected);
        assert_eq!(known.document("snap-2").nodes[0].state, "completed");
    }

    #[test]
    fn only_what_is_recorded_listed_or_related_is_known() {
        let mut known = known(&[("snap-1", SnapshotOf, "vol-1")]);
        known.see("i-1", "running");
        assert!(known.knows("vol-1") && known.knows("i-1"));
        assert!(!known.knows("vol-2"));
    }

    #[test]
    fn the_printed_shape_is_the_contracts() {
        let mut known = known(&[("snap-1", SnapshotOf, "vol-1")]);
        known.see("snap-1", "completed");
        known.see("vol-1", "in-use");
        let expected = serde_json::json!({
            "nodes": [
                { "id": "snap-1", "kind": "snapshot", "state": "completed" },
                { "id": "vol-1", "kind": "volume", "state": "in-use" },
            ],
            "edges": [{ "from": "snap-1", "to": "vol-1", "kind": "snapshot-of" }],
        });
        let document = serde_json::to_value(known.document("vol-1")).unwrap();
        assert_eq!(document, expected);
    }
}
