//! The lists and who refers to what, as the first looks need them.

use crate::artifact::Claim;
use crate::dependency::{References, Words};
use crate::inventory::{ImageState, Snapshot};
use crate::report::Reason;

use super::listed::Listed;
use super::{Evidence, FormerImage, Subject};

/// What stands in the account.
pub(super) struct Standing<'a, 'r> {
    pub(super) listed: Listed<'a>,
    references: References<'r>,
}

impl<'a: 'r, 'r> Standing<'a, 'r> {
    pub(super) fn new(evidence: &Evidence<'a, 'r>) -> Self {
        let references = References::new(evidence.inventory);
        let references = references.with_binned(&evidence.on_record.binned);
        Self {
            listed: Listed::new(evidence, &references),
            references,
        }
    }

    /// Whether a managed AMI stands whose verdict the snapshot takes. Over what somebody else
    /// registered, or what EC2 lists as deregistered, there is none.
    pub(super) fn backs(&self, snapshot: &Snapshot, claim: &Claim<'_>) -> bool {
        self.references.has_managed_over(&snapshot.id)
            || self.listed.is_made_with(snapshot, &claim.artifact())
    }

    /// The AMIs that map a snapshot, as what needs it.
    pub(super) fn images_over(&self, snapshot: &Snapshot) -> Vec<Reason> {
        self.references.images_over(&snapshot.id)
    }

    /// Whether an AMI made of this instance stands over a snapshot. `CreateImage` makes snapshots of
    /// its own, and what was registered has no `SourceInstanceId` (EC2 API Reference, Image): it is
    /// the one that the snapshot was made with.
    pub(super) fn has_made_of(&self, snapshot: &Snapshot, instance: Option<&str>) -> bool {
        let over = self.references.images_of(&snapshot.id);
        let mut standing = over.iter().filter(|i| i.state != ImageState::Deregistered);
        standing.any(|image| image.is_made_of(instance))
    }

    /// Whether the AMI that a snapshot was made for stands over it.
    pub(super) fn has_own_over(&self, snapshot: &Snapshot, own: &FormerImage) -> bool {
        let over = self.references.images_of(&snapshot.id).into_iter();
        let mut standing = over.filter(|image| image.state != ImageState::Deregistered);
        standing.any(|image| FormerImage::of(&image.tags).as_ref() == Some(own))
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
