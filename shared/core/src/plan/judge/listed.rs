//! The lists as verdicts look things up in them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::artifact::{Artifact, ArtifactKind};
use crate::dependency::References;
use crate::id::SnapshotId;
use crate::inventory::table::{ImageTable, SnapshotIndex, SnapshotTable};
use crate::inventory::{ImageState, Inventory, Snapshot, SnapshotState, Tags};

use super::orphan::is_of_one_run;
use super::verdicts::Row;
use super::{Evidence, Subject};

/// What one run of `CreateImage` puts on an AMI and on its snapshots alike.
type Stamp = (String, Option<String>, Option<Timestamp>, Option<String>);

/// The snapshots and images of the lists.
#[derive(Clone, Debug)]
pub(super) struct Listed<'a> {
    inventory: &'a Inventory,
    account: Option<String>,
    snapshots: SnapshotIndex<'a>,
    mapped: BTreeMap<&'a SnapshotId, &'a Snapshot>,
    being_made: BTreeSet<Stamp>,
    failed: BTreeSet<Stamp>,
    /// Backing snapshots in error that no AMI maps, by identifier.
    broken: Vec<(Stamp, Snapshot)>,
}

impl<'a> Listed<'a> {
    pub(super) fn new(evidence: &Evidence<'a, '_>, references: &References<'_>) -> Self {
        let inventory = evidence.inventory;
        let images = &inventory.images.items;
        let listed = Self {
            inventory,
            account: evidence.account.map(str::to_owned),
            snapshots: inventory.snapshots.items.index(),
            mapped: inventory.mapped.items.iter().map(|s| (&s.id, s)).collect(),
            being_made: BTreeSet::new(),
            failed: BTreeSet::new(),
            broken: Vec::new(),
        };
        let stamps = |state: ImageState| -> BTreeSet<Stamp> {
            let images = images.in_state(&state).filter_map(|row| images.get(row));
            let artifacts =
                images.filter_map(|image| listed.artifact(&image.tags, image.owner.as_deref()));
            artifacts.map(|artifact| stamp(&artifact)).collect()
        };
        let (being_made, failed) = (stamps(ImageState::Pending), stamps(ImageState::Failed));
        let broken = listed.find_broken(references);
        Self {
            being_made,
            failed,
            broken,
            ..listed
        }
    }

    fn find_broken(&self, references: &References<'_>) -> Vec<(Stamp, Snapshot)> {
        let managed = self.snapshots();
        let in_error = managed.in_state(&SnapshotState::Error);
        let mut ids: BTreeSet<SnapshotId> = in_error
            .filter_map(|row| managed.id_text(row))
            .map(SnapshotId::new)
            .collect();
        ids.extend(self.mapped.keys().map(|id| (*id).clone()));
        let ours = ids.into_iter().filter_map(|id| {
            let snapshot = self.snapshot(&id)?;
            let artifact = self.artifact(&snapshot.tags, snapshot.owner.as_deref())?;
            let broken = snapshot.state == SnapshotState::Error
                && artifact.kind == ArtifactKind::ImageSnapshot
                && !references.is_mapped(&id);
            broken.then(|| (stamp(&artifact), snapshot))
        });
        ours.collect()
    }

    pub(super) fn snapshots(&self) -> &'a SnapshotTable {
        self.snapshots.table()
    }

    pub(super) fn images(&self) -> &'a ImageTable {
        &self.inventory.images.items
    }

    /// The places of snapshots whose identifier an earlier one has.
    pub(super) fn repeated(&self) -> BTreeSet<u32> {
        self.snapshots.repeated()
    }

    /// What the tags of one's own artifact say.
    pub(super) fn artifact(&self, tags: &Tags, owner: Option<&str>) -> Option<Artifact> {
        Artifact::read(tags, owner, self.account.as_deref()).ok()
    }

    /// A snapshot of one's own by its identifier.
    pub(super) fn snapshot(&self, id: &SnapshotId) -> Option<Snapshot> {
        let managed = self.snapshots.find(id);
        let managed = managed.and_then(|row| self.snapshots().get(row));
        managed.or_else(|| self.mapped.get(id).map(|snapshot| (*snapshot).clone()))
    }

    /// The state of a snapshot of one's own.
    pub(super) fn state(&self, id: &SnapshotId) -> Option<SnapshotState> {
        let managed = self.snapshots.find(id);
        let managed = managed.and_then(|row| self.snapshots().state(row));
        managed.or_else(|| self.mapped.get(id).map(|snapshot| snapshot.state.clone()))
    }

    /// The place of what a verdict may be about.
    pub(super) fn row(&self, id: &str) -> Option<Row> {
        if let Some(row) = self.images().find(id) {
            return Some(Row::Image(u32::try_from(row).ok()?));
        }
        let row = self.snapshots().find(id)?;
        Some(Row::Snapshot(u32::try_from(row).ok()?))
    }

    /// Whether an AMI maps a listed snapshot of another run.
    pub(super) fn maps_of_other_runs(&self, image: usize) -> bool {
        let (images, snapshots) = (self.images(), self.snapshots());
        let mut rows = images
            .snapshots(image)
            .filter_map(|id| self.snapshots.find(&id));
        rows.any(|row| !is_of_one_run(images, image, snapshots, row))
    }

    /// What a verdict is about.
    pub(super) fn subject(&self, row: Row) -> Option<Subject> {
        match row {
            Row::Snapshot(row) => Some(Subject::Snapshot(self.snapshots().get(row as usize)?)),
            Row::Image(row) => {
                let image = self.images().get(row as usize)?;
                let mapped: BTreeSet<&SnapshotId> = image.snapshots().collect();
                let mapped = mapped.into_iter().filter_map(|id| self.snapshot(id));
                let mut snapshots: Vec<Snapshot> = mapped.collect();
                if image.state == ImageState::Failed
                    && let Some(artifact) = self.artifact(&image.tags, image.owner.as_deref())
                {
                    snapshots.extend(self.left_of(&artifact));
                }
                Some(Subject::Image { image, snapshots })
            }
        }
    }

    /// Whether an AMI is being made with the snapshot, or one that failed was.
    ///
    /// A pending AMI may not name its snapshots yet, and a failed one not any more (AWS does not
    /// say), so its tags do. Of a failed one only those in error: the attempts of one request carry
    /// the same tags, and a completed snapshot may be what is left of another, good AMI.
    pub(super) fn is_made_with(&self, snapshot: &Snapshot, artifact: &Artifact) -> bool {
        let stamp = stamp(artifact);
        self.being_made.contains(&stamp)
            || (snapshot.state == SnapshotState::Error && self.failed.contains(&stamp))
    }

    /// The snapshots in error of a failed AMI's run that no AMI maps; none while another of that run
    /// is being made, which may be whose they are.
    fn left_of(&self, artifact: &Artifact) -> impl Iterator<Item = Snapshot> {
        let of_run = stamp(artifact);
        let waits = self.being_made.contains(&of_run);
        let ours = self.broken.iter();
        let ours = ours.filter(move |(stamp, _)| !waits && *stamp == of_run);
        ours.map(|(_, snapshot)| snapshot.clone())
    }
}

fn stamp(artifact: &Artifact) -> Stamp {
    (
        artifact.policy.clone(),
        artifact.source.clone(),
        artifact.slot,
        artifact.run.clone(),
    )
}
