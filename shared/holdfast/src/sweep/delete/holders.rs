//! AMIs over Holdfast's snapshots, put on record while EC2 lists them.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::artifact;
use holdfast_core::inventory::{Image, ImageState, Inventory, Snapshot};
use holdfast_core::lineage::{Edge, EdgeKind, Node, NodeState};
use holdfast_core::ports::records::{Records, TableError};
use holdfast_core::ports::{ReadEc2, WriteEc2};
use jiff::Timestamp;

use super::Deleter;
use crate::aws::CALL_TIMEOUT;

impl<E: ReadEc2 + WriteEc2, R: Records> Deleter<'_, E, R> {
    /// Puts the images that hold a managed snapshot into the lineage, whatever the verdict on it:
    /// they outlive our listing of them, and of one in the Recycle Bin EC2 does not tell what it
    /// maps. Those over their own backing snapshots are recorded when they are made.
    pub(super) async fn record_holders(&self, lists: &Inventory) -> Result<(), TableError> {
        let managed: BTreeMap<&str, &Snapshot> = lists
            .snapshots
            .items
            .iter()
            .map(|snapshot| (snapshot.id.as_str(), snapshot))
            .collect();
        let mut holders: BTreeMap<Edge, &Image> = BTreeMap::new();
        for image in &lists.images.items {
            let mapped = image.snapshots().filter_map(|id| managed.get(id.as_str()));
            for snapshot in mapped.filter(|snapshot| !of_its_own(image, snapshot)) {
                let (from, to) = (image.id.as_str(), snapshot.id.as_str());
                holders.insert(Edge::new(from, EdgeKind::BackedBy, to), image);
            }
        }
        if holders.is_empty() {
            return Ok(());
        }
        let edges: Vec<Edge> = holders.keys().cloned().collect();
        let known = self.records.edges(&edges).await?;
        let wall = Timestamp::now();
        let (mut nodes, mut news) = (BTreeMap::new(), BTreeSet::new());
        for (edge, image) in holders {
            if !known.contains(&edge) {
                let node = Node::new(image.id.as_str(), state(image), wall);
                nodes.insert(edge.from.clone(), node);
                news.insert(edge);
            }
        }
        if news.is_empty() {
            return Ok(());
        }
        let lease = self.held.good_for(CALL_TIMEOUT).await?;
        let nodes: Vec<Node> = nodes.into_values().collect();
        let news: Vec<Edge> = news.into_iter().collect();
        self.records.record(&nodes, &news, &lease).await
    }
}

/// Whether the snapshot was made with this very AMI.
fn of_its_own(image: &Image, snapshot: &Snapshot) -> bool {
    let of = |name: &str| {
        let tag = image.tags.get(name);
        tag.is_some() && tag == snapshot.tags.get(name)
    };
    let backing = snapshot.tags.get(artifact::ARTIFACT).map(String::as_str);
    backing == Some("image-snapshot") && of(artifact::MANAGED) && of(artifact::RUN)
}

fn state(image: &Image) -> NodeState {
    match &image.state {
        ImageState::Pending => NodeState::Pending,
        other => match other.as_str() {
            "failed" | "error" | "invalid" => NodeState::Error,
            _ => NodeState::Available,
        },
    }
}
