//! The lineage of what a call made.

use jiff::Timestamp;

use super::{Creation, Order};
use crate::artifact;
use crate::id::{ImageId, InstanceId};
use crate::inventory::Snapshot;
use crate::lineage::{Consistency, Edge, EdgeKind, Node, NodeState};

/// What a creating call made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made {
    /// Snapshots: one, or a set.
    Snapshots(Vec<Snapshot>),
    /// An AMI, of which EC2 tells nothing else until it is listed.
    Image {
        /// The AMI.
        id: ImageId,
        /// `CreationDate`, where it was listed.
        created: Option<Timestamp>,
        /// The run that its tags name; the present one where it was not listed.
        run: Option<String>,
    },
}

/// What is known of the point in time of what was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attested {
    /// What it is worth.
    pub consistency: Consistency,
    /// For how long writes were held inside the guest for it, in milliseconds, at most.
    pub frozen_ms: Option<u32>,
}

impl Made {
    /// Identifiers of the artifacts.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        match self {
            Self::Snapshots(snapshots) => snapshots.iter().map(|s| s.id.to_string()).collect(),
            Self::Image { id, .. } => vec![id.to_string()],
        }
    }
}

/// Nodes and edges of what was made, to be written before the ledger says `created`.
///
/// All of it is recorded as pending, also what was found complete long after it was asked for: by a
/// state that differs from EC2's the reconcile knows what it has to bring up to date, the ledger and
/// an AMI's snapshots with it.
#[must_use]
pub fn lineage(
    creation: &Creation,
    order: &Order<'_>,
    made: &Made,
    attested: Attested,
    wall: Timestamp,
) -> (Vec<Node>, Vec<Edge>) {
    let mut nodes = Vec::new();
    let mut edges = Vec::new();
    let instance = InstanceId::parse(&creation.source);
    if let Some(instance) = &instance {
        nodes.push(Node::new(instance.as_str(), NodeState::Present, wall));
    }
    let artifact = |id: &str, time, run: Option<String>| Node {
        policy: Some(order.policy.name.clone()),
        slot: Some(order.slot),
        run: run.or(Some(order.run.to_owned())),
        source: Some(creation.source.clone()),
        time,
        consistency: Some(attested.consistency),
        frozen_ms: attested.frozen_ms,
        excluded: creation.excluded.iter().map(ToString::to_string).collect(),
        not_covered: creation.not_covered.clone(),
        ..Node::new(id, NodeState::Pending, wall)
    };
    let left = |source: &str| creation.leftover.get(source).cloned().unwrap_or_default();
    let mut volume = |id: &str| {
        nodes.push(Node::new(id, NodeState::Present, wall));
        if let Some(instance) = &instance {
            edges.push(Edge::new(id, EdgeKind::AttachedTo, instance.as_str()));
        }
    };
    match made {
        Made::Snapshots(snapshots) => {
            for of in snapshots.iter().filter_map(|s| s.volume.as_ref()) {
                volume(of.as_str());
            }
            for snapshot in snapshots {
                let run = snapshot.tags.get(artifact::RUN).cloned();
                let id = snapshot.id.as_str();
                let mut node = artifact(id, snapshot.start, run);
                if let Some(of) = &snapshot.volume {
                    node.tags = left(of.as_str());
                    edges.push(Edge::new(id, EdgeKind::SnapshotOf, of.as_str()));
                }
                nodes.push(node);
            }
        }
        Made::Image { id, created, run } => {
            for of in &creation.volumes {
                volume(of.as_str());
            }
            let mut node = artifact(id.as_str(), *created, run.clone());
            node.launch = creation.launch.clone();
            node.tags = left(&creation.source);
            edges.push(Edge::new(id.as_str(), EdgeKind::ImageOf, &creation.source));
            nodes.push(node);
        }
    }
    (nodes, edges)
}
