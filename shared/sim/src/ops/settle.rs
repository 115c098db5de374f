//! What time brings.

use holdfast_core::id::{ImageId, InstanceId, SnapshotId};
use holdfast_core::inventory::{ImageState, InstanceState, SnapshotState, VolumeState};

use super::copies::NO_SOURCE;
use crate::account::Account;
use crate::event::SetMember;
use crate::model::image::DeregistrationProtection;
use crate::transition::Transition;

impl Account {
    pub(crate) fn apply(&mut self, transition: Transition) {
        match transition {
            Transition::SnapshotSettles(id) => self.settle_snapshot(&id),
            Transition::ImageSettles(id) => self.settle_image(&id),
            Transition::VolumeReady(id) => {
                if let Some(volume) = self.volumes.get_mut(&id)
                    && volume.state == VolumeState::Creating
                {
                    volume.state = VolumeState::Available;
                }
            }
            Transition::InstanceBecomes(id, state) => self.settle_instance(&id, state),
            Transition::InstanceForgotten(id) => {
                self.instances.remove(&id);
            }
            Transition::ImageForgotten(id) => {
                if !self.is_registered(&id) {
                    self.images.remove(&id);
                }
            }
            Transition::FastRestoreMoves(id, zone) => self.move_fast_restore(&id, &zone),
            Transition::FastRestoresOrphaned(id) => self.end_orphaned_fast_restores(&id),
            Transition::TieringEnds(id, began) => self.end_tiering(&id, began),
            Transition::RestoreExpires(id) => self.expire_restore(&id),
            Transition::SnapshotLeavesBin(id) => self.end_snapshot_stay(&id),
            Transition::ImageLeavesBin(id) => self.end_image_stay(&id),
            Transition::ProtectionEnds(id) => self.end_protection(&id),
            Transition::GuestThaws(id, execution) => self.thaw_by_timer(&id, &execution),
            Transition::LaunchShows(id, launched) => self.show_launch(&id, launched),
            Transition::SnapshotsReleased(image, snapshots) => {
                if !self.is_registered(&image) {
                    self.release_snapshots(&image, &snapshots);
                }
            }
        }
    }

    /// Whether an image is registered; one that was deregistered and restored from the Recycle Bin
    /// is.
    fn is_registered(&self, id: &ImageId) -> bool {
        let image = self.images.get(id);
        image.is_some_and(|i| i.state != ImageState::Deregistered)
    }

    /// Brings a pending snapshot to its end; what it fails with was settled when it began.
    fn settle_snapshot(&mut self, id: &SnapshotId) {
        let now = self.now;
        let source = self.snapshots.get(id).and_then(|s| s.copied_from.clone());
        let lost = source
            .as_ref()
            .is_some_and(|source| !self.snapshots.contains_key(source));
        let Some(snapshot) = self.snapshots.get_mut(id) else {
            return;
        };
        if snapshot.state != SnapshotState::Pending {
            return;
        }
        if lost {
            snapshot
                .fails_with
                .get_or_insert_with(|| NO_SOURCE.to_owned());
        }
        match &snapshot.fails_with {
            Some(message) => {
                snapshot.state = SnapshotState::Error;
                snapshot.state_message = Some(message.clone());
            }
            None => {
                snapshot.state = SnapshotState::Completed;
                snapshot.completed = Some(now);
                if let Some(lock) = &mut snapshot.lock {
                    lock.started = Some(now);
                }
            }
        }
        let settled = snapshot.clone();
        if let Some(volume) = self.volumes.get_mut(&settled.volume) {
            volume.pending_snapshots = volume.pending_snapshots.saturating_sub(1);
        }
        if settled.lock.is_some() {
            self.settle_lock(id, settled.fails_with.is_some());
        }
        if settled.delete_when_settled {
            self.discard_snapshot(id);
        }
        if let Some(source) = &source {
            self.emit_snapshot_copied(id, source, settled.started, settled.fails_with.as_deref());
        } else if settled.set.is_none() || self.settings.set_members_emit {
            self.emit_snapshot_created(
                id,
                &settled.volume,
                settled.started,
                settled.fails_with.as_deref(),
            );
        }
        if let Some(set) = settled.set {
            self.close_set(set);
        }
    }

    /// A pending snapshot's lock starts when it completes, and comes to nothing when it fails
    /// (EBS User Guide, "Monitor snapshot locks"; that the lock is then gone is assumed).
    fn settle_lock(&mut self, id: &SnapshotId, failed: bool) {
        if failed {
            self.emit_snapshot_lock_failed(id);
            if let Some(snapshot) = self.snapshots.get_mut(id) {
                snapshot.lock = None;
            }
        } else {
            self.emit_snapshot_locked(id);
        }
    }

    /// Ends a set when none of its members is pending any more, with the one event it emits.
    fn close_set(&mut self, number: u64) {
        let Some(set) = self.sets.get(&number) else {
            return;
        };
        let members: Vec<_> = set
            .members
            .iter()
            .filter_map(|id| self.snapshots.get(id))
            .collect();
        if members.iter().any(|m| m.state == SnapshotState::Pending) {
            return;
        }
        let started = set.started;
        let failure = members
            .iter()
            .find(|m| m.state == SnapshotState::Error)
            .map(|m| format!("Snapshot {} is in status error", m.id));
        let members: Vec<SetMember> = members
            .into_iter()
            .map(|m| SetMember {
                snapshot: m.id.clone(),
                volume: m.volume.clone(),
                status: m.state.as_str().to_owned(),
            })
            .collect();
        self.sets.remove(&number);
        if !members.is_empty() {
            self.emit_set_created(&members, started, failure.as_deref());
        }
    }

    fn settle_image(&mut self, id: &ImageId) {
        let Some(image) = self.images.get_mut(id) else {
            return;
        };
        if image.state != ImageState::Pending {
            return;
        }
        image.no_reboot = false;
        // Assumed: an image fails with any of its snapshots.
        let failed = image
            .snapshots()
            .filter_map(|s| self.snapshots.get(s))
            .find(|s| s.state == SnapshotState::Error)
            .map(|s| format!("Snapshot {} is in status error", s.id));
        match image.fails_with.clone().or(failed) {
            Some(message) => {
                image.state = ImageState::Failed;
                image.state_reason = Some(("Server.InternalError".to_owned(), message.clone()));
                self.emit_image_state(id, "failed", &message);
            }
            None => {
                image.state = ImageState::Available;
                self.emit_image_state(id, "available", "");
            }
        }
    }

    /// Protection that was enabled again meanwhile stays.
    fn end_protection(&mut self, id: &ImageId) {
        let now = self.now;
        if let Some(image) = self.images.get_mut(id)
            && let DeregistrationProtection::Cooling(until) = image.protection
            && until <= now
        {
            image.protection = DeregistrationProtection::Disabled;
        }
    }

    fn settle_instance(&mut self, id: &InstanceId, state: InstanceState) {
        let Some(instance) = self.instances.get_mut(id) else {
            return;
        };
        let on_its_way = matches!(
            (&instance.state, &state),
            (InstanceState::Pending, InstanceState::Running)
                | (InstanceState::Stopping, InstanceState::Stopped)
                | (InstanceState::ShuttingDown, InstanceState::Terminated)
        );
        if !on_its_way {
            return;
        }
        instance.state = state.clone();
        if state == InstanceState::Terminated {
            self.detach_all(id);
            let forgotten = self.after(self.settings.terminated_visible);
            self.schedule
                .add(forgotten, Transition::InstanceForgotten(id.clone()));
        }
        self.emit_instance_state(id, state.as_str());
    }
}
