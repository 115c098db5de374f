//! The lineage for people.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::{Document, Node};
use crate::output::table::Look;

/// A relation a line, then what stands alone.
#[must_use]
pub fn table(look: Look, document: &Document) -> String {
    let states: BTreeMap<&str, &Node> = document
        .nodes
        .iter()
        .map(|node| (node.id.as_str(), node))
        .collect();
    let state = |id: &str| states.get(id).map_or("-", |node| node.state.as_str());
    let mut related: BTreeSet<&str> = BTreeSet::new();
    let mut rows = Vec::new();
    for edge in &document.edges {
        related.extend([edge.from.as_str(), edge.to.as_str()]);
        rows.push(vec![
            look.plain(&edge.from),
            look.plain(state(&edge.from)),
            look.plain(edge.kind),
            look.plain(&edge.to),
            look.plain(state(&edge.to)),
        ]);
    }
    for node in &document.nodes {
        if !related.contains(node.id.as_str()) {
            rows.push(vec![
                look.plain(&node.id),
                look.plain(&node.state),
                look.plain("-"),
                look.plain("-"),
                look.plain("-"),
            ]);
        }
    }
    if rows.is_empty() {
        return "there is nothing\n".to_owned();
    }
    look.table(&["FROM", "STATE", "RELATION", "TO", "STATE"], rows)
}
