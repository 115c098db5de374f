//! The lineage for Graphviz.

use super::graph::Document;

/// The graph in the language DOT, from left to right. An arrow points from what depends to what it
/// depends on.
#[must_use]
pub fn dot(document: &Document) -> String {
    let mut text = String::from(
        "digraph lineage {\n  rankdir=RL;\n  node [fontname=\"monospace\", fontsize=10];\n  \
         edge [fontname=\"monospace\", fontsize=8];\n",
    );
    for node in &document.nodes {
        let label = format!("{}\n{}", node.id, node.state);
        text.push_str(&format!(
            "  {} [shape={}, label={}];\n",
            quoted(&node.id),
            shape(node.kind),
            quoted(&label)
        ));
    }
    for edge in &document.edges {
        text.push_str(&format!(
            "  {} -> {} [label={}];\n",
            quoted(&edge.from),
            quoted(&edge.to),
            quoted(edge.kind)
        ));
    }
    text.push_str("}\n");
    text
}

fn shape(kind: &str) -> &'static str {
    match kind {
        "snapshot" => "note",
        "image" => "box3d",
        "volume" => "cylinder",
        "instance" => "box",
        _ => "ellipse",
    }
}

/// A quoted string of DOT: a backslash begins an escape there, and `\n` is a line break ("The DOT
/// Language", Graphviz).
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            letter if letter.is_control() => quoted.extend(letter.escape_default()),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::super::graph::{Node, Relation};
    use super::*;

    #[test]
    fn an_arrow_points_to_what_it_came_from() {
        let node = |id: &str, kind, state: &str| Node {
            id: id.into(),
            kind,
            state: state.into(),
        };
        let document = Document {
            nodes: vec![
                node("snap-1", "snapshot", "completed"),
                node("vol-1", "volume", "in-use"),
            ],
            edges: vec![Relation {
                from: "snap-1".into(),
                to: "vol-1".into(),
                kind: "snapshot-of",
            }],
        };
        let text = dot(&document);
        assert!(text.contains("\"snap-1\" [shape=note, label=\"snap-1\\ncompleted\"];\n"));
        assert!(text.contains("\"snap-1\" -> \"vol-1\" [label=\"snapshot-of\"];\n"));
        assert!(text.starts_with("digraph lineage {\n") && text.ends_with("}\n"));
    }

    #[test]
    fn a_name_cannot_end_its_quotes() {
        assert_eq!(quoted("a\"];\\b"), "\"a\\\"];\\\\b\"");
    }
}
