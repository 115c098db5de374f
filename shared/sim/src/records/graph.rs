//! The lineage graph, the roster of its artifacts, and pins.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::lineage::{Edge, Node, NodeKind, NodeState};
use holdfast_core::ports::records::{Lease, Relations, TableError, TableErrorKind};

use super::contents::{Contents, Fenced, NodeRecord};
use super::failure;

/// Most nodes that are written all or not at all: a transaction has 100 actions (DynamoDB API
/// Reference), one for a source, two for an artifact and its place in the roster.
const SOURCES_TOGETHER: usize = 100;
const ARTIFACTS_TOGETHER: usize = 50;

pub(super) fn record(
    contents: &mut Contents,
    nodes: &[Node],
    edges: &[Edge],
    lease: &Lease,
) -> Result<(), TableError> {
    let mut merged: BTreeMap<&str, Node> = BTreeMap::new();
    for node in nodes {
        let before = merged.get(node.id.as_str());
        let before = before.or(contents.nodes.get(&node.id).map(|stored| &stored.node));
        merged.insert(&node.id, Node::merged(before, node));
    }
    let changed = merged.into_values().filter(|node| {
        let stored = contents.nodes.get(&node.id);
        stored.map(|stored| &stored.node) != Some(node)
    });
    let (mut artifacts, sources): (Vec<Node>, Vec<Node>) = changed.partition(Node::is_artifact);
    // An image after its snapshots, and both after the edges: an artifact's state, by which the
    // reconcile tells what is left to do, is written when everything it depends on is there.
    artifacts.sort_by_key(|node| node.kind() == NodeKind::Image);
    contents.edges.extend(edges.iter().cloned());
    for part in sources.chunks(SOURCES_TOGETHER) {
        write(contents, part, lease)?;
    }
    for part in artifacts.chunks(ARTIFACTS_TOGETHER) {
        write(contents, part, lease)?;
    }
    Ok(())
}

/// All of them, or none where a newer holder of this lease wrote one.
fn write(contents: &mut Contents, nodes: &[Node], lease: &Lease) -> Result<(), TableError> {
    let newer = |node: &&Node| {
        let stored = contents.nodes.get(&node.id);
        let fence = stored.and_then(|stored| stored.fences.get(&lease.name));
        fence.is_some_and(|fence| *fence > lease.fence)
    };
    if let Some(node) = nodes.iter().find(newer) {
        // The table cannot tell this from a writer that was merely faster, whose record it would
        // read and merge again.
        let kind = TableErrorKind::Unavailable;
        return Err(failure("TransactWriteItems", &node.id, kind));
    }
    for node in nodes {
        let stored = contents.nodes.entry(node.id.clone());
        let stored = stored.or_insert_with(|| NodeRecord {
            node: node.clone(),
            fences: BTreeMap::new(),
        });
        stored.node = node.clone();
        stored.fences.insert(lease.name.clone(), lease.fence);
        if !node.is_artifact() {
            continue;
        }
        if node.state.is_over() {
            contents.roster.remove(&node.id);
        } else {
            contents.roster.insert(node.id.clone(), node.state);
        }
    }
    Ok(())
}

pub(super) fn nodes(contents: &Contents, ids: &[String]) -> BTreeMap<String, Node> {
    let stored = |id: &String| Some((id.clone(), contents.nodes.get(id)?.node.clone()));
    ids.iter().filter_map(stored).collect()
}

pub(super) fn edges(contents: &Contents, edges: &[Edge]) -> BTreeSet<Edge> {
    let recorded = edges.iter().filter(|edge| contents.edges.contains(edge));
    recorded.cloned().collect()
}

pub(super) fn relations(contents: &Contents, id: &str) -> Relations {
    let touching = contents.edges.iter().filter(|e| e.from == id || e.to == id);
    Relations {
        node: contents.nodes.get(id).map(|stored| stored.node.clone()),
        edges: touching.cloned().collect(),
    }
}

pub(super) fn roster(contents: &Contents) -> BTreeMap<String, NodeState> {
    contents.roster.clone()
}

pub(super) fn pins(contents: &Contents) -> BTreeSet<String> {
    let pinned = contents.pins.iter().filter(|(_, pin)| pin.value);
    pinned.map(|(source, _)| source.clone()).collect()
}

/// Without a lease the token of the last holder stays.
pub(super) fn pin(contents: &mut Contents, sources: &[String], lease: Option<&Lease>) {
    for source in sources {
        let before = contents.pins.get(source).map_or(0, |pin| pin.fence);
        let pin = Fenced {
            value: true,
            fence: lease.map_or(before, |lease| lease.fence),
        };
        contents.pins.insert(source.clone(), pin);
    }
}

/// A newer run that pinned it knows better.
pub(super) fn unpin(contents: &mut Contents, sources: &[String], lease: &Lease) {
    for source in sources {
        let stands = contents.pins.get(source);
        if stands.is_none_or(|stands| stands.yields_to(lease)) {
            let fence = lease.fence;
            let pin = Fenced {
                value: false,
                fence,
            };
            contents.pins.insert(source.clone(), pin);
        }
    }
}
