//! The lineage of what was made.

use std::time::Duration;

use holdfast_core::lineage::{Edge, EdgeKind, Node, NodeState};
use holdfast_core::ports::records::Records;
use holdfast_core::report::{Reason, ReasonCode};
use jiff::Timestamp;

use super::carry_out::Pace;
use crate::lease::Held;

/// The lease under which restores write: held for a write at a time.
const LEASE: &str = "restore";
/// How often it is asked for before the record is left to a repeated command.
const ATTEMPTS: u32 = 5;

/// What was made, and how it hangs together with the rest.
#[derive(Debug, Default)]
pub(super) struct Found {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

impl Found {
    /// `id` was restored from `backup`.
    pub(super) fn restored(&mut self, id: &str, backup: &str, wall: Timestamp) {
        self.nodes.push(Node::new(id, NodeState::Present, wall));
        self.edges
            .push(Edge::new(id, EdgeKind::RestoredFrom, backup));
    }

    /// `instance` was launched from `image`.
    pub(super) fn launched(&mut self, instance: &str, image: &str) {
        self.edges
            .push(Edge::new(instance, EdgeKind::LaunchedFrom, image));
    }

    /// `volume` is attached to `instance`.
    pub(super) fn attached(&mut self, volume: &str, instance: &str) {
        self.edges
            .push(Edge::new(volume, EdgeKind::AttachedTo, instance));
    }

    /// Writes it; repeating it changes nothing.
    ///
    /// # Errors
    /// Why it is not on record.
    pub(super) async fn write<R: Records>(
        &self,
        records: &R,
        holder: &str,
        pace: &Pace<'_>,
    ) -> Result<(), Reason> {
        if self.edges.is_empty() {
            return Ok(());
        }
        let failed = |words: String| {
            let words = format!("{words}; the same command records it");
            Reason::with(ReasonCode::TableFailed, words)
        };
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(pace.every.min(Duration::from_secs(2))).await;
            }
            let taken = Held::take(records, LEASE, holder).await;
            let Ok(held) = taken.map_err(|error| failed(error.to_string()))? else {
                continue;
            };
            let token = held.token().await;
            let written = records.record(&self.nodes, &self.edges, &token).await;
            held.release().await;
            return written.map_err(|error| failed(error.to_string()));
        }
        Err(failed("another restore is writing to the lineage".into()))
    }
}
