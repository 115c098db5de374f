//! `CreateSnapshot`, `CreateSnapshots`, `DeleteSnapshot`.

use std::collections::BTreeSet;

use holdfast_core::id::{InstanceId, SnapshotId, VolumeId};
use holdfast_core::inventory::{InstanceState, SnapshotState, Tags, VolumeState};
use jiff::SignedDuration;
use serde_json::json;

use super::{description_of, well_formed};
use crate::account::{Account, SnapshotSet};
use crate::error::ApiError;
use crate::model::lock::LockState;
use crate::model::snapshot::Snapshot;
use crate::model::tier::TierHistory;
use crate::request;
use crate::response::Response;
use crate::tag;
use crate::transition::Transition;

/// Least time between the beginnings of two snapshots of one volume `[E]`.
const SPACING: SignedDuration = SignedDuration::from_secs(15);

/// `ExcludeDataVolumeIds` takes at most 40 `[B]`; a set has at most 128 volumes
/// (EBS User Guide, "Create multi-volume snapshots").
const MAX_EXCLUDED: usize = 40;
const MAX_MEMBERS: usize = 128;

impl Account {
    pub(super) fn create_snapshot(
        &mut self,
        r: &request::CreateSnapshot,
    ) -> Result<Response, ApiError> {
        well_formed(&r.volume, "vol-", "InvalidParameterValue")?;
        let description = description_of(r.description.as_ref())?;
        let tags = tag::specified(&r.tags, "snapshot", &["snapshot"])?;
        let volume = VolumeId::new(r.volume.clone());
        self.snapshot_allowed(&volume)?;
        self.room_for(1)?;
        self.mark_snapshot_begun(&volume);
        let id = self.begin_snapshot(&volume, description, tags, None, SignedDuration::ZERO);
        Ok(Response::Snapshot(Box::new(self.pending_answer(&id)?)))
    }

    pub(super) fn create_snapshots(
        &mut self,
        r: &request::CreateSnapshots,
    ) -> Result<Response, ApiError> {
        well_formed(&r.instance, "i-", "InvalidInstanceID.Malformed")?;
        let description = description_of(r.description.as_ref())?;
        let own_tags = tag::specified(&r.tags, "snapshot", &["snapshot"])?;
        let copy = match r.copy_tags_from_source.as_deref() {
            None => false,
            Some("volume") => true,
            Some(other) => {
                return Err(ApiError::invalid_value(format!(
                    "Value ({other}) for parameter CopyTagsFromSource is invalid."
                )));
            }
        };
        let volumes = self.set_volumes(r)?;
        // Everything is checked before the first snapshot: the set is made whole or not at all.
        let mut planned: Vec<(VolumeId, Tags)> = Vec::new();
        for volume in volumes {
            self.snapshot_allowed(&volume)?;
            let tags = match self.volumes.get(&volume) {
                Some(source) if copy => tag::with_copied(&own_tags, &source.tags)?,
                _ => own_tags.clone(),
            };
            planned.push((volume, tags));
        }
        self.room_for(planned.len())?;

        self.sets_made += 1;
        let set = self.sets_made;
        let mut members = Vec::new();
        let mut later = SignedDuration::ZERO;
        for (volume, tags) in planned {
            self.mark_snapshot_begun(&volume);
            members.push(self.begin_snapshot(&volume, description.clone(), tags, Some(set), later));
            later = later.saturating_add(self.settings.set_stagger);
        }
        self.spread_failure(&members);
        self.sets.insert(
            set,
            SnapshotSet {
                members: members.clone(),
                started: self.now,
            },
        );
        let answer: Result<Vec<Snapshot>, ApiError> =
            members.iter().map(|id| self.pending_answer(id)).collect();
        Ok(Response::SnapshotSet(answer?))
    }

    /// When one member of a set fails, all others are moved to `error`
    /// (EBS User Guide, "Create multi-volume snapshots").
    fn spread_failure(&mut self, members: &[SnapshotId]) {
        let cause = members
            .iter()
            .filter_map(|id| self.snapshots.get(id))
            .find_map(|s| s.fails_with.clone());
        let Some(cause) = cause else {
            return;
        };
        for id in members {
            if let Some(snapshot) = self.snapshots.get_mut(id) {
                snapshot.fails_with.get_or_insert_with(|| cause.clone());
            }
        }
    }

    /// The volumes of a set, in the order of the instance's devices.
    fn set_volumes(&self, r: &request::CreateSnapshots) -> Result<Vec<VolumeId>, ApiError> {
        let instance = self
            .instances
            .get(&InstanceId::new(r.instance.clone()))
            .ok_or_else(|| ApiError::instance_not_found(&r.instance))?;
        // Assumed: running and stopped instances are eligible, those on their way are not.
        if !matches!(
            instance.state,
            InstanceState::Running | InstanceState::Stopped
        ) {
            return Err(ApiError::new(
                "IncorrectInstanceState",
                format!(
                    "The instance '{}' is in state '{}'.",
                    instance.id, instance.state
                ),
            ));
        }
        if r.exclude_data_volumes.len() > MAX_EXCLUDED {
            return Err(ApiError::invalid_value(format!(
                "ExcludeDataVolumeIds takes at most {MAX_EXCLUDED} volumes."
            )));
        }
        let root = instance.root_volume();
        let mut excluded = BTreeSet::new();
        for id in &r.exclude_data_volumes {
            let volume = VolumeId::new(id.clone());
            if Some(&volume) == root {
                return Err(ApiError::invalid_value(format!(
                    "{id} is the root volume: use ExcludeBootVolume to exclude it."
                )));
            }
            if !instance.devices.iter().any(|d| d.volume == volume) {
                return Err(ApiError::invalid_value(format!(
                    "{id} is not attached to {}.",
                    instance.id
                )));
            }
            excluded.insert(volume);
        }
        let volumes: Vec<VolumeId> = instance
            .devices
            .iter()
            .map(|d| &d.volume)
            .filter(|v| !excluded.contains(*v))
            .filter(|v| !r.exclude_boot_volume || Some(*v) != root)
            .cloned()
            .collect();
        if volumes.is_empty() {
            return Err(ApiError::invalid_combination(
                "No volumes are left to take snapshots of.",
            ));
        }
        if volumes.len() > MAX_MEMBERS {
            return Err(ApiError::invalid_value(format!(
                "A set has at most {MAX_MEMBERS} volumes."
            )));
        }
        Ok(volumes)
    }

    /// Whether a snapshot of this volume may begin now.
    fn snapshot_allowed(&self, id: &VolumeId) -> Result<(), ApiError> {
        let volume = self
            .volumes
            .get(id)
            .ok_or_else(|| ApiError::volume_not_found(id.as_str()))?;
        // That `in-use` and `available` work is documented; the code for others is assumed.
        if !matches!(volume.state, VolumeState::Available | VolumeState::InUse) {
            return Err(ApiError::new(
                "IncorrectState",
                format!("Volume '{id}' is in state '{}'.", volume.state),
            ));
        }
        if volume
            .last_snapshot
            .is_some_and(|last| self.now.duration_since(last) < SPACING)
        {
            return Err(ApiError::new(
                "SnapshotCreationPerVolumeRateExceeded",
                "The maximum per volume CreateSnapshot request rate has been exceeded. Use an increasing or variable sleep interval between requests.",
            ));
        }
        if volume.pending_snapshots >= volume.pending_limit() {
            return Err(ApiError::new(
                "ConcurrentSnapshotLimitExceeded",
                "Maximum allowed in-progress snapshots for a single volume exceeded.",
            ));
        }
        Ok(())
    }

    /// Whether the account may own so many more snapshots.
    pub(super) fn room_for(&self, more: usize) -> Result<(), ApiError> {
        if self.own_snapshots.saturating_add(more) > self.settings.snapshot_quota {
            return Err(ApiError::new(
                "SnapshotLimitExceeded",
                "The maximum number of snapshots for this account has been reached.",
            ));
        }
        Ok(())
    }

    fn mark_snapshot_begun(&mut self, id: &VolumeId) {
        if let Some(volume) = self.volumes.get_mut(id) {
            volume.last_snapshot = Some(self.now);
        }
    }

    /// Begins a snapshot of a volume that exists; it settles after the usual time and `later`.
    pub(super) fn begin_snapshot(
        &mut self,
        volume_id: &VolumeId,
        description: String,
        tags: Tags,
        set: Option<u64>,
        later: SignedDuration,
    ) -> SnapshotId {
        let id = SnapshotId::new(self.ids.resource(SnapshotId::PREFIX));
        let (size_gib, encrypted, kms_key) = match self.volumes.get_mut(volume_id) {
            Some(volume) => {
                volume.pending_snapshots += 1;
                (volume.size_gib, volume.encrypted, volume.kms_key.clone())
            }
            None => (0, false, None),
        };
        let failure = self
            .failing_snapshots
            .iter()
            .position(|(v, _)| v.as_ref().is_none_or(|v| v == volume_id));
        let fails_with = failure.map(|at| self.failing_snapshots.remove(at).1);
        let snapshot = Snapshot {
            id: id.clone(),
            volume: volume_id.clone(),
            state: SnapshotState::Pending,
            state_message: None,
            started: self.now,
            completed: None,
            owner: self.settings.account_id.clone(),
            owner_alias: None,
            size_gib,
            description,
            tier: "standard".to_owned(),
            encrypted,
            kms_key,
            public: false,
            shared_with: BTreeSet::new(),
            lock: None,
            tiering: TierHistory::default(),
            copied_from: None,
            tags,
            listed_from: self.listed_from(id.as_str()),
            set,
            fails_with,
            delete_when_settled: false,
        };
        self.insert_snapshot(snapshot);
        let at = self.after(self.settings.snapshot_duration.saturating_add(later));
        self.schedule
            .add(at, Transition::SnapshotSettles(id.clone()));
        id
    }

    fn pending_answer(&self, id: &SnapshotId) -> Result<Snapshot, ApiError> {
        self.snapshots
            .get(id)
            .cloned()
            .ok_or_else(ApiError::internal)
    }

    pub(crate) fn insert_snapshot(&mut self, snapshot: Snapshot) {
        let own = self.is_own(&snapshot.owner);
        let before = self.snapshots.insert(snapshot.id.clone(), snapshot);
        if own && before.is_none() {
            self.own_snapshots += 1;
        }
    }

    pub(crate) fn remove_snapshot(&mut self, id: &SnapshotId) {
        if let Some(gone) = self.snapshots.remove(id)
            && self.is_own(&gone.owner)
        {
            self.own_snapshots = self.own_snapshots.saturating_sub(1);
        }
        self.expect_fast_restores_to_end(id);
    }

    pub(super) fn delete_snapshot(
        &mut self,
        r: &request::DeleteSnapshot,
    ) -> Result<Response, ApiError> {
        well_formed(&r.id, "snap-", "InvalidSnapshotID.Malformed")?;
        let id = SnapshotId::new(r.id.clone());
        self.delete_one_snapshot(&id)?;
        Ok(Response::Done)
    }

    /// Deletes a snapshot that no registered image maps.
    ///
    /// Deleting a pending one is accepted and takes effect when it has settled; until then it
    /// counts against the volume's limit `[Q]`.
    pub(super) fn delete_one_snapshot(&mut self, id: &SnapshotId) -> Result<(), ApiError> {
        let users = self
            .images_by_snapshot
            .get(id)
            .and_then(|i| i.first().cloned());
        let now = self.now;
        let locked_code = self.settings.locked_delete_code.clone();
        let snapshot = self.own_snapshot(id.as_str())?;
        // A registered AMI holds its snapshots, also when it is disabled or deprecated `[E]`.
        if let Some(image) = users {
            return Err(ApiError::new(
                "InvalidSnapshot.InUse",
                format!("The snapshot {id} is currently in use by {image}"),
            ));
        }
        if snapshot
            .lock
            .as_ref()
            .is_some_and(|lock| lock.state(now) != LockState::Expired)
        {
            return Err(ApiError::new(
                locked_code,
                format!("The snapshot {id} is locked and cannot be deleted"),
            ));
        }
        // Words and code as cloud-custodian issue #9459 shows them.
        if tag::is_of_backup(&snapshot.tags) {
            return Err(ApiError::invalid_value(
                "This snapshot is managed by the AWS Backup service and cannot be deleted via EC2 APIs. If you wish to delete this snapshot, please do so via the Backup console.",
            ));
        }
        if snapshot.state == SnapshotState::Pending {
            snapshot.delete_when_settled = true;
        } else {
            self.discard_snapshot(id);
        }
        self.emit_api_call(
            "DeleteSnapshot",
            json!({ "snapshotId": id.as_str(), "force": false }),
            None,
        );
        Ok(())
    }
}
