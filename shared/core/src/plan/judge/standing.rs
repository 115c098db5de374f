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

    /// Whether an AMI stands that the snapshot backs.
    pub(super) fn backs(&self, snapshot: &Snapshot, claim: &Claim<'_>) -> bool {
        self.references.is_mapped(&snapshot.id)
            || self.listed.is_made_with(snapshot, &claim.artifact())
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
