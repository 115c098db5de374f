//! What will happen at a later virtual time.

use std::collections::BTreeMap;

use holdfast_core::id::{ImageId, InstanceId, SnapshotId, VolumeId};
use holdfast_core::inventory::InstanceState;
use jiff::Timestamp;

/// A change that time brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Transition {
    /// A snapshot completes, or fails where it was made to.
    SnapshotSettles(SnapshotId),
    /// An AMI becomes available, or fails where it was made to.
    ImageSettles(ImageId),
    /// A volume becomes available.
    VolumeReady(VolumeId),
    /// An instance reaches the state it was on its way to.
    InstanceBecomes(InstanceId, InstanceState),
    /// A terminated instance leaves the lists.
    InstanceForgotten(InstanceId),
    /// A deregistered AMI leaves the lists.
    ImageForgotten(ImageId),
    /// A snapshot's stay in the Recycle Bin ends.
    SnapshotLeavesBin(SnapshotId),
    /// An AMI's stay in the Recycle Bin ends.
    ImageLeavesBin(ImageId),
    /// Fast restore of a snapshot in a zone reaches its next state.
    FastRestoreMoves(SnapshotId, String),
    /// Fast restores of a deleted snapshot end.
    FastRestoresOrphaned(SnapshotId),
    /// The tiering of a snapshot that began at this time ends.
    TieringEnds(SnapshotId, Timestamp),
    /// A temporary restore from the archive is over.
    RestoreExpires(SnapshotId),
    /// The time after the end of an AMI's protection from deregistration is over.
    ProtectionEnds(ImageId),
    /// The owner of an AMI is shown that it was launched at this time.
    LaunchShows(ImageId, Timestamp),
    /// The timer in a guest lets go the writes that this execution held.
    GuestThaws(InstanceId, String),
    /// A deregistered AMI lets go of its snapshots.
    SnapshotsReleased(ImageId, Vec<SnapshotId>),
}

/// Transitions by time; at one time, in the order they were asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schedule {
    queue: BTreeMap<(Timestamp, u64), Transition>,
    asked: u64,
}

impl Schedule {
    pub(crate) fn add(&mut self, at: Timestamp, transition: Transition) {
        self.asked += 1;
        self.queue.insert((at, self.asked), transition);
    }

    /// The earliest transition that is due at `now`.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<(Timestamp, Transition)> {
        let entry = self.queue.first_entry()?;
        let at = entry.key().0;
        (at <= now).then(|| (at, entry.remove()))
    }

    /// When the next transition is due.
    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }
}
