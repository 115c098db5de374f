//! Registering, deregistering, disabling and protecting images.

use std::collections::BTreeSet;

use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::{ImageState, SnapshotState};
use jiff::SignedDuration;
use serde_json::json;

use super::{description_of, well_formed};
use crate::account::Account;
use crate::error::ApiError;
use crate::fault::Fault;
use crate::model::device::{BlockDevice, DeviceTarget};
use crate::model::image::{DeregistrationProtection, Image};
use crate::model::permission::Grantee;
use crate::request;
use crate::response::{DeletedSnapshot, Response};
use crate::tag;
use crate::transition::Transition;

impl Account {
    /// Refuses a name of another form, or one that another image of the account has.
    ///
    /// 3 to 128 characters: letters, digits, and `( ) [ ] . / - ' @ _` and space `[B]`. A failed
    /// image keeps its name until it is deregistered (assumed).
    pub(super) fn free_name(&self, name: &str) -> Result<(), ApiError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "()[]./-'@_ ".contains(c);
        if !(3..=128).contains(&name.len()) || !name.chars().all(plain) {
            return Err(ApiError::new(
                "InvalidAMIName.Malformed",
                "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, '(', ')', '.', '-', '/' and '_'",
            ));
        }
        let taken = self.images.values().find(|i| {
            i.name == name && self.is_own(&i.owner) && i.state != ImageState::Deregistered
        });
        match taken {
            Some(image) => Err(ApiError::new(
                "InvalidAMIName.Duplicate",
                format!("AMI name {name} is already in use by AMI {}", image.id),
            )),
            None => Ok(()),
        }
    }

    pub(super) fn register_image(
        &mut self,
        r: &request::RegisterImage,
    ) -> Result<Response, ApiError> {
        self.free_name(&r.name)?;
        let description = description_of(r.description.as_ref())?;
        let tags = tag::specified(&r.tags, "image", &["image"])?;
        let root = r
            .root_device
            .clone()
            .ok_or_else(|| ApiError::missing("rootDeviceName"))?;
        let mut mappings = r.mappings.clone();
        for mapping in &mut mappings {
            if let DeviceTarget::Ebs(ebs) = &mut mapping.target {
                if let Some(snapshot) = &ebs.snapshot {
                    let size = self.usable_snapshot(snapshot)?;
                    ebs.size_gib.get_or_insert(size);
                }
                ebs.volume_type.get_or_insert_with(|| "gp2".to_owned());
                ebs.delete_on_termination.get_or_insert(true);
            }
        }
        let root_is_snapshot = mappings
            .iter()
            .any(|m| m.device == root && m.snapshot().is_some());
        if !root_is_snapshot {
            return Err(ApiError::new(
                "InvalidBlockDeviceMapping",
                "The root device must be made from a snapshot.",
            ));
        }
        let id = ImageId::new(self.ids.resource(ImageId::PREFIX));
        let image = Image {
            id: id.clone(),
            name: r.name.clone(),
            description,
            state: ImageState::Available,
            state_reason: None,
            owner: self.settings.account_id.clone(),
            owner_alias: None,
            public: false,
            shared_with: BTreeSet::new(),
            created: self.now,
            source_instance: None,
            source_image: None,
            source_region: None,
            last_launched: None,
            root_device: root,
            root_device_type: "ebs".to_owned(),
            architecture: r.architecture.clone().unwrap_or_else(|| "i386".to_owned()),
            mappings,
            protection: DeregistrationProtection::Disabled,
            deprecated_from: None,
            tags,
            listed_from: self.listed_from(id.as_str()),
            fails_with: None,
            no_reboot: false,
        };
        self.insert_image(image);
        self.emit_image_state(&id, "available", "");
        Ok(Response::ImageMade(id))
    }

    /// Size of a snapshot that something can be made from: visible, completed, not archived
    /// (EBS User Guide, "Archive snapshots"; the codes are assumed).
    pub(super) fn usable_snapshot(&self, id: &SnapshotId) -> Result<i32, ApiError> {
        well_formed(id.as_str(), "snap-", "InvalidSnapshotID.Malformed")?;
        let snapshot = self
            .snapshots
            .get(id)
            .filter(|s| self.may_see_snapshot(s))
            .ok_or_else(|| ApiError::snapshot_not_found(id.as_str()))?;
        if snapshot.state != SnapshotState::Completed || snapshot.tier != "standard" {
            return Err(ApiError::new(
                "IncorrectState",
                format!(
                    "Snapshot {id} is in state '{}', tier '{}'.",
                    snapshot.state, snapshot.tier
                ),
            ));
        }
        Ok(snapshot.size_gib)
    }

    /// Whether a volume is encrypted that is made from a snapshot, as the request wants it: one
    /// made from an encrypted snapshot always is (`[B]`, `Encrypted` of CreateVolume).
    pub(super) fn encrypted_volume(
        &self,
        wanted: Option<bool>,
        snapshot: Option<&SnapshotId>,
    ) -> bool {
        let source = snapshot.and_then(|id| self.snapshots.get(id));
        wanted == Some(true) || source.is_some_and(|s| s.encrypted)
    }

    /// The customer's key of a volume that is made from a snapshot: the snapshot's.
    pub(super) fn key_of(&self, snapshot: Option<&SnapshotId>) -> Option<String> {
        let source = snapshot.and_then(|id| self.snapshots.get(id));
        source.and_then(|snapshot| snapshot.kms_key.clone())
    }

    pub(crate) fn insert_image(&mut self, image: Image) {
        for snapshot in image.snapshots() {
            self.images_by_snapshot
                .entry(snapshot.clone())
                .or_default()
                .insert(image.id.clone());
        }
        self.images.insert(image.id.clone(), image);
    }

    pub(super) fn release_snapshots(&mut self, image: &ImageId, snapshots: &[SnapshotId]) {
        for snapshot in snapshots {
            if let Some(users) = self.images_by_snapshot.get_mut(snapshot) {
                users.remove(image);
                if users.is_empty() {
                    self.images_by_snapshot.remove(snapshot);
                }
            }
        }
    }

    /// What a call is refused with that needs an image which is not there: a deregistered one is
    /// no longer available, which is not the same as one that never was `[E]`.
    pub(super) fn no_image(&self, id: &str) -> ApiError {
        if self.deregistered.contains(&ImageId::new(id)) {
            unavailable(id)
        } else {
            ApiError::image_not_found(id)
        }
    }

    /// An image of one's own that is still registered.
    pub(super) fn own_image(&mut self, id: &str) -> Result<&mut Image, ApiError> {
        well_formed(id, "ami-", "InvalidAMIID.Malformed")?;
        let account = self.settings.account_id.clone();
        let missing = self.no_image(id);
        let image = self.images.get_mut(&ImageId::new(id)).ok_or(missing)?;
        if image.owner != account {
            let seen = image.public || image.shared_with.contains(&Grantee::Account(account));
            return Err(if seen {
                ApiError::not_owner(id)
            } else {
                ApiError::image_not_found(id)
            });
        }
        if image.state == ImageState::Deregistered {
            return Err(unavailable(id));
        }
        Ok(image)
    }

    pub(super) fn deregister_image(
        &mut self,
        r: &request::DeregisterImage,
    ) -> Result<Response, ApiError> {
        let now = self.now;
        let image = self.own_image(&r.id)?;
        if image.is_protected(now) {
            // The code is assumed; OperationNotPermitted is EC2's generic one.
            return Err(ApiError::new(
                "OperationNotPermitted",
                format!("{} is protected from deregistration.", r.id),
            ));
        }
        // Refused (API Reference, "DeregisterImage"); the code is assumed to be that for snapshots.
        if tag::is_of_backup(&image.tags) {
            return Err(ApiError::invalid_value(
                "This image is managed by the AWS Backup service and cannot be deleted via EC2 APIs.",
            ));
        }
        let id = image.id.clone();
        let mut snapshots: Vec<SnapshotId> = Vec::new();
        for snapshot in image.snapshots() {
            if !snapshots.contains(snapshot) {
                snapshots.push(snapshot.clone());
            }
        }
        let retained = image.clone();
        image.state = ImageState::Deregistered;
        let deletion = self.deletion(id.as_str());
        self.past.images.keep(&id, &retained, deletion);
        self.deregistered.insert(id.clone());
        let listed = self.settings.deregistered_visible;
        let lag = self.lag_of(id.as_str(), self.settings.in_use_lag);
        if listed.is_zero() {
            self.images.remove(&id);
        } else {
            let at = self.after(listed);
            self.schedule
                .add(at, Transition::ImageForgotten(id.clone()));
        }
        // DeleteAssociatedSnapshots is EC2's own and does not meet the lag of its answers.
        if lag.is_zero() || r.delete_associated_snapshots {
            self.release_snapshots(&id, &snapshots);
        } else {
            let at = self.after(lag);
            self.schedule.add(
                at,
                Transition::SnapshotsReleased(id.clone(), snapshots.clone()),
            );
        }
        self.retain_image(retained);
        self.emit_image_state(&id, "deregistered", "");
        self.emit_api_call(
            "DeregisterImage",
            json!({
                "imageId": id.as_str(),
                "deleteAssociatedSnapshots": r.delete_associated_snapshots,
            }),
            None,
        );
        let deleted = if r.delete_associated_snapshots {
            snapshots
                .into_iter()
                .map(|snapshot| DeletedSnapshot {
                    return_code: self.delete_associated(&snapshot),
                    id: snapshot,
                })
                .collect()
        } else {
            Vec::new()
        };
        Ok(Response::Deregistered(deleted))
    }

    /// Deletes a snapshot of a deregistered image. The call as a whole succeeds whatever becomes
    /// of the snapshots `[B]`; a fault rule for `DeleteSnapshot` meets them too.
    fn delete_associated(&mut self, id: &SnapshotId) -> &'static str {
        if self.images_by_snapshot.contains_key(id) {
            return "skipped";
        }
        let fault = self
            .faults
            .take("DeleteSnapshot", &[id.as_str().to_owned()], None);
        let failure = match fault {
            Some(Fault::Error(error)) => Some(error),
            Some(_) => None,
            None => self.strike_associated(),
        };
        let result = match failure {
            Some(error) => Err(error),
            None => self.delete_one_snapshot(id),
        };
        match result {
            Ok(()) => "success",
            Err(e) if e.code == "UnauthorizedOperation" => "missing-permissions",
            Err(e) if e.http_status >= 500 => "internal-error",
            Err(_) => "client-error",
        }
    }

    pub(super) fn disable_image(&mut self, id: &str) -> Result<Response, ApiError> {
        let image = self.own_image(id)?;
        match image.state {
            ImageState::Available => {
                image.state = ImageState::Disabled;
                // Launch permissions are wiped (EC2 User Guide, "Disable an AMI").
                image.public = false;
                image.shared_with.clear();
                let id = image.id.clone();
                self.emit_image_state(&id, "disabled", "");
                Ok(Response::Done)
            }
            ImageState::Disabled => Ok(Response::Done),
            _ => Err(unavailable(id)),
        }
    }

    pub(super) fn enable_image(&mut self, id: &str) -> Result<Response, ApiError> {
        let image = self.own_image(id)?;
        match image.state {
            ImageState::Disabled => {
                // Archived snapshots must be restored first (EC2 User Guide, "Disable an AMI").
                let snapshots: Vec<SnapshotId> = image.snapshots().cloned().collect();
                for snapshot in &snapshots {
                    self.usable_snapshot(snapshot)?;
                }
                let image = self.own_image(id)?;
                image.state = ImageState::Available;
                let id = image.id.clone();
                self.emit_image_state(&id, "available", "");
                Ok(Response::Done)
            }
            ImageState::Available => Ok(Response::Done),
            _ => Err(unavailable(id)),
        }
    }

    pub(super) fn protect_image(&mut self, id: &str, cooldown: bool) -> Result<Response, ApiError> {
        self.own_image(id)?.protection = DeregistrationProtection::Enabled { cooldown };
        Ok(Response::Done)
    }

    pub(super) fn unprotect_image(&mut self, id: &str) -> Result<Response, ApiError> {
        let until = self.after(SignedDuration::from_hours(24));
        let image = self.own_image(id)?;
        image.protection = match image.protection {
            DeregistrationProtection::Enabled { cooldown: true } => {
                let id = image.id.clone();
                image.protection = DeregistrationProtection::Cooling(until);
                self.schedule.add(until, Transition::ProtectionEnds(id));
                return Ok(Response::Done);
            }
            DeregistrationProtection::Enabled { cooldown: false } => {
                DeregistrationProtection::Disabled
            }
            other => other,
        };
        Ok(Response::Done)
    }
}

pub(super) fn unavailable(id: &str) -> ApiError {
    ApiError::new(
        "InvalidAMIID.Unavailable",
        format!("The image id '[{id}]' is no longer available"),
    )
}

/// Lays `changes` over `base`, device by device: an entry of `base` is dropped, altered or kept,
/// new ones are added (EC2 User Guide, "Block device mappings").
pub(super) fn overlay(base: &[BlockDevice], changes: &[BlockDevice]) -> Vec<BlockDevice> {
    let mut result = base.to_vec();
    for change in changes {
        let at = result.iter().position(|b| b.device == change.device);
        match (&change.target, at) {
            (DeviceTarget::NoDevice, Some(at)) => {
                result.remove(at);
            }
            (DeviceTarget::NoDevice, None) => {}
            (DeviceTarget::Ebs(new), Some(at)) => match &mut result[at].target {
                DeviceTarget::Ebs(old) => {
                    if new.snapshot.is_some() {
                        old.snapshot.clone_from(&new.snapshot);
                        old.size_gib = None;
                    }
                    old.size_gib = new.size_gib.or(old.size_gib);
                    old.delete_on_termination =
                        new.delete_on_termination.or(old.delete_on_termination);
                    old.encrypted = new.encrypted.or(old.encrypted);
                    if new.volume_type.is_some() {
                        old.volume_type.clone_from(&new.volume_type);
                    }
                }
                other => *other = change.target.clone(),
            },
            (DeviceTarget::Virtual(_), Some(at)) => result[at] = change.clone(),
            (_, None) => result.push(change.clone()),
        }
    }
    result
}
