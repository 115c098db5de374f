//! The lists as the verdicts look things up in them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::artifact::{Artifact, ArtifactKind};
use crate::dependency::{References, Words};
use crate::id::SnapshotId;
use crate::inventory::{ImageState, Snapshot, SnapshotState};
use crate::report::Reason;

use super::{Evidence, Subject};

/// What one run of `CreateImage` puts on an AMI and on its snapshots alike.
type Stamp = (String, Option<String>, Option<Timestamp>, Option<String>);

/// What stands in the account.
pub(super) struct Standing<'a> {
    references: References<'a>,
    snapshots: BTreeMap<&'a SnapshotId, &'a Snapshot>,
    being_made: BTreeSet<Stamp>,
    failed: BTreeSet<Stamp>,
    account: Option<&'a str>,
}

impl<'a> Standing<'a> {
    pub(super) fn new(evidence: &Evidence<'a>) -> Self {
        let images = &evidence.inventory.images.items;
        let listed = evidence
            .inventory
            .mapped
            .items
            .iter()
            .chain(&evidence.inventory.snapshots.items);
        let stamps = |state: ImageState| {
            let images = images.iter().filter(move |i| i.state == state);
            images.filter_map(|image| {
                let owner = image.owner.as_deref();
                let artifact = Artifact::read(&image.tags, owner, evidence.account).ok()?;
                Some(stamp(&artifact))
            })
        };
        Self {
            references: References::new(evidence.inventory).with_binned(&evidence.on_record.binned),
            snapshots: listed.map(|snapshot| (&snapshot.id, snapshot)).collect(),
            being_made: stamps(ImageState::Pending).collect(),
            failed: stamps(ImageState::Failed).collect(),
            account: evidence.account,
        }
    }

    /// A snapshot of one's own by its identifier.
    pub(super) fn snapshot(&self, id: &SnapshotId) -> Option<&'a Snapshot> {
        self.snapshots.get(id).copied()
    }

    /// Whether an AMI stands that the snapshot backs.
    ///
    /// A pending AMI may not name its snapshots yet, and a failed one not any more (AWS does not
    /// say), so its tags do. Of a failed one only those in error: the attempts of one request carry
    /// the same tags, and a completed snapshot may be what is left of another, good AMI.
    pub(super) fn backs(&self, snapshot: &Snapshot, artifact: &Artifact) -> bool {
        let stamp = stamp(artifact);
        !self.references.images_of(&snapshot.id).is_empty()
            || self.being_made.contains(&stamp)
            || (snapshot.state == SnapshotState::Error && self.failed.contains(&stamp))
    }

    /// The snapshots in error of a failed AMI's run that no AMI maps; none while another of that run
    /// is being made, which may be whose they are.
    pub(super) fn left_of(&self, artifact: &Artifact) -> Vec<&'a Snapshot> {
        let of_run = stamp(artifact);
        if self.being_made.contains(&of_run) {
            return Vec::new();
        }
        let unmapped = self
            .snapshots
            .values()
            .filter(|snapshot| self.references.images_of(&snapshot.id).is_empty());
        let broken = unmapped.filter(|snapshot| snapshot.state == SnapshotState::Error);
        let ours = broken.filter(|snapshot| {
            let owner = snapshot.owner.as_deref();
            Artifact::read(&snapshot.tags, owner, self.account).is_ok_and(|backing| {
                backing.kind == ArtifactKind::ImageSnapshot && stamp(&backing) == of_run
            })
        });
        ours.copied().collect()
    }

    /// Everything that needs the subject by a policy's words, each with its path.
    pub(super) fn holders(&self, subject: &Subject, words: &Words<'_>) -> Vec<Reason> {
        match subject {
            Subject::Snapshot(snapshot) => self.references.holders_of_snapshot(&snapshot.id, words),
            Subject::Image { image, snapshots } => {
                let along = snapshots.iter().map(|snapshot| &snapshot.id);
                self.references
                    .holders_of_image_with_snapshots(image, along, words)
            }
        }
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
