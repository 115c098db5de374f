//! AMIs that were, by what the tags of their snapshots have in common.

use jiff::Timestamp;

use crate::artifact::{ARTIFACT, POLICY, RUN, SLOT, SOURCE, image_name};
use crate::inventory::table::{ImageTable, SnapshotTable};
use crate::inventory::{Snapshot, Tags};

/// What the marks of former AMIs begin with.
const MARK: &str = "former#";

/// An AMI that was, by what the tags of its snapshots have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FormerImage {
    /// The policy that the tags name.
    pub policy: String,
    /// The instance that it was made of.
    pub source: String,
    /// Its slot, UTC.
    pub slot: Timestamp,
    /// The run that made it.
    pub run: String,
}

impl FormerImage {
    /// The AMI that these tags name: its own, or those of a snapshot that backs it.
    pub(in crate::plan::judge) fn of(tags: &Tags) -> Option<Self> {
        Some(Self {
            policy: tags.get(POLICY)?.clone(),
            source: tags.get(SOURCE)?.clone(),
            slot: tags.get(SLOT)?.parse().ok()?,
            run: tags.get(RUN)?.clone(),
        })
    }

    /// Under what the table keeps since when it would be retired, where all that is left of it has
    /// become part of other AMIs: those have marks of their own, from before it was deregistered.
    #[must_use]
    pub fn mark(&self) -> String {
        let Self {
            policy,
            source,
            slot,
            run,
        } = self;
        format!("{MARK}{policy}#{source}#{slot}#{run}")
    }

    /// Whether it is such a mark, and no identifier of EC2's.
    #[must_use]
    pub fn is_mark(id: &str) -> bool {
        id.starts_with(MARK)
    }

    /// The AMI that a snapshot backs, or backed, by its tags.
    pub(super) fn backed_by(snapshot: &Snapshot) -> Option<Self> {
        let kind = snapshot.tags.get(ARTIFACT).map(String::as_str);
        Self::of(&snapshot.tags).filter(|_| kind == Some("image-snapshot"))
    }

    /// Its name without the attempt, which nobody knows any more.
    pub(super) fn name_start(&self) -> String {
        let name = image_name(&self.policy, &self.source, self.slot, 1);
        start_of(&name).to_owned()
    }
}

/// A name of `CreateImage` without the attempt.
pub(super) fn start_of(name: &str) -> &str {
    name.rfind('/').map_or(name, |slash| &name[..=slash])
}

/// Whether one run of `CreateImage` made an AMI and a snapshot, by the tags that it puts on both.
pub(in crate::plan::judge) fn is_of_one_run(
    images: &ImageTable,
    image: usize,
    snapshots: &SnapshotTable,
    snapshot: usize,
) -> bool {
    let same = |key: &str| images.tag(image, key) == snapshots.tag(snapshot, key);
    [RUN, SOURCE, SLOT, POLICY].into_iter().all(same)
}
