//! AMIs over Holdfast's snapshots, put on record while EC2 lists them.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::artifact;
use holdfast_core::inventory::{ImageState, Inventory};
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
        let (images, snapshots) = (&lists.images.items, &lists.snapshots.items);
        let managed = snapshots.index();
        let mut holders: BTreeMap<Edge, usize> = BTreeMap::new();
        for image in 0..images.len() {
            let mapped = images.snapshots(image).filter_map(|id| managed.find(&id));
            for snapshot in mapped {
                if !of_its_own(
                    |tag| images.tag(image, tag),
                    |tag| snapshots.tag(snapshot, tag),
                ) && let Some(from) = images.id_text(image)
                    && let Some(to) = snapshots.id_text(snapshot)
                {
                    holders.insert(Edge::new(&from, EdgeKind::BackedBy, &to), image);
                }
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
                let node = Node::new(&edge.from, state(images.state(image)), wall);
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

/// Whether a snapshot was made with this very AMI, by the tags of both.
fn of_its_own<'t>(
    image: impl Fn(&str) -> Option<&'t str>,
    snapshot: impl Fn(&str) -> Option<&'t str>,
) -> bool {
    let same = |name: &str| image(name).is_some() && image(name) == snapshot(name);
    snapshot(artifact::ARTIFACT) == Some("image-snapshot")
        && same(artifact::MANAGED)
        && same(artifact::RUN)
}

fn state(image: Option<ImageState>) -> NodeState {
    match image {
        Some(ImageState::Pending) => NodeState::Pending,
        Some(ImageState::Failed | ImageState::Error | ImageState::Invalid) => NodeState::Error,
        Some(_) | None => NodeState::Available,
    }
}
