//! Making, attaching, detaching and deleting volumes.

use holdfast_core::id::{InstanceId, SnapshotId, VolumeId};
use holdfast_core::inventory::{InstanceState, VolumeState};

use super::volume_performance::performance;
use super::well_formed;
use crate::account::Account;
use crate::error::ApiError;
use crate::model::instance::AttachedDevice;
use crate::model::volume::{Volume, VolumeAttachment};
use crate::request;
use crate::response::Response;
use crate::tag;
use crate::transition::Transition;

/// Instances that one multi-attach volume may be attached to (EBS User Guide, "Multi-Attach").
const MAX_ATTACHMENTS: usize = 16;

impl Account {
    pub(super) fn create_volume(
        &mut self,
        r: &request::CreateVolume,
    ) -> Result<Response, ApiError> {
        let before = self.made_before("CreateVolume", r.client_token.as_ref(), r)?;
        if let Some(volume) = before
            .and_then(|made| made.first().cloned())
            .and_then(|id| self.volumes.get(&VolumeId::new(id)))
        {
            return Ok(Response::Volume(Box::new(volume.clone())));
        }
        if !r.zone.starts_with(&self.settings.region) {
            return Err(ApiError::new(
                "InvalidZone.NotFound",
                format!("The zone '{}' does not exist.", r.zone),
            ));
        }
        let tags = tag::specified(&r.tags, "volume", &["volume"])?;
        let snapshot = r.snapshot.clone().map(SnapshotId::new);
        let least = match &snapshot {
            Some(id) => Some(self.usable_snapshot(id)?),
            None => None,
        };
        let size_gib = match (r.size_gib, least) {
            (Some(size), Some(least)) if size < least => {
                return Err(ApiError::invalid_value(format!(
                    "Volume of {size}GiB is smaller than the snapshot of {least}GiB."
                )));
            }
            (Some(size), _) | (None, Some(size)) if size > 0 => size,
            (None, None) => return Err(ApiError::missing("size")),
            _ => return Err(ApiError::invalid_value("Volume size must be positive.")),
        };
        let volume_type = r.volume_type.clone().unwrap_or_else(|| "gp2".to_owned());
        if r.multi_attach && !matches!(volume_type.as_str(), "io1" | "io2") {
            return Err(ApiError::invalid_combination(
                "MultiAttachEnabled is for io1 and io2 volumes.",
            ));
        }
        let (iops, throughput) = performance(&volume_type, size_gib, r)?;
        if r.initialization_rate.is_some() && snapshot.is_none() {
            return Err(ApiError::invalid_combination(
                "VolumeInitializationRate is for volumes made from a snapshot.",
            ));
        }
        let encrypted = self.encrypted_volume(r.encrypted, snapshot.as_ref());
        let kms_key = self.key_of(snapshot.as_ref());
        let id = VolumeId::new(self.ids.resource(VolumeId::PREFIX));
        let volume = Volume {
            id: id.clone(),
            state: VolumeState::Creating,
            volume_type,
            size_gib,
            iops,
            throughput,
            initialization_rate: r.initialization_rate,
            zone: r.zone.clone(),
            snapshot,
            created: self.now,
            encrypted,
            kms_key,
            multi_attach: r.multi_attach,
            managed: false,
            attachments: Vec::new(),
            tags,
            listed_from: self.listed_from(id.as_str()),
            last_snapshot: None,
            pending_snapshots: 0,
        };
        self.volumes.insert(id.clone(), volume.clone());
        let at = self.after(self.settings.volume_duration);
        self.schedule.add(at, Transition::VolumeReady(id.clone()));
        self.remember_made(
            "CreateVolume",
            r.client_token.as_ref(),
            r,
            vec![id.as_str().to_owned()],
        );
        Ok(Response::Volume(Box::new(volume)))
    }

    pub(super) fn attach_volume(
        &mut self,
        r: &request::AttachVolume,
    ) -> Result<Response, ApiError> {
        let (volume_id, instance_id) = self.volume_and_instance(&r.volume, &r.instance)?;
        let volume = self
            .volumes
            .get(&volume_id)
            .ok_or_else(|| ApiError::volume_not_found(&r.volume))?;
        let instance = self
            .instances
            .get(&instance_id)
            .ok_or_else(|| ApiError::instance_not_found(&r.instance))?;
        if !matches!(
            instance.state,
            InstanceState::Running | InstanceState::Stopped
        ) {
            return Err(ApiError::new(
                "IncorrectState",
                format!("Instance '{instance_id}' is not 'running'."),
            ));
        }
        if volume.zone != instance.zone {
            return Err(ApiError::new(
                "InvalidVolume.ZoneMismatch",
                format!("The volume '{volume_id}' is not in the instance's Availability Zone."),
            ));
        }
        let free = match volume.state {
            VolumeState::Available => true,
            VolumeState::InUse => {
                volume.multi_attach
                    && volume.attachments.len() < MAX_ATTACHMENTS
                    && !volume.attachments.iter().any(|a| a.instance == instance_id)
            }
            _ => {
                return Err(ApiError::new(
                    "IncorrectState",
                    format!("{volume_id} is not 'available'."),
                ));
            }
        };
        if !free {
            return Err(ApiError::new(
                "VolumeInUse",
                format!("{volume_id} is already attached to an instance"),
            ));
        }
        if instance.devices.iter().any(|d| d.device == r.device) {
            return Err(ApiError::invalid_value(format!(
                "Invalid value '{}' for unixDevice. Attachment point {} is already in use",
                r.device, r.device
            )));
        }
        // Attached later: the volume outlives the instance (EC2 User Guide).
        let attachment = self.attach(&volume_id, &instance_id, &r.device, false);
        Ok(Response::Attachment(attachment))
    }

    fn volume_and_instance(
        &self,
        volume: &str,
        instance: &str,
    ) -> Result<(VolumeId, InstanceId), ApiError> {
        well_formed(volume, "vol-", "InvalidParameterValue")?;
        well_formed(instance, "i-", "InvalidInstanceID.Malformed")?;
        Ok((VolumeId::new(volume), InstanceId::new(instance)))
    }

    /// Records an attachment on both sides; rules were checked by the caller.
    pub(crate) fn attach(
        &mut self,
        volume_id: &VolumeId,
        instance_id: &InstanceId,
        device: &str,
        delete_on_termination: bool,
    ) -> VolumeAttachment {
        let attachment = VolumeAttachment {
            volume: volume_id.clone(),
            instance: instance_id.clone(),
            device: device.to_owned(),
            state: "attached".to_owned(),
            attached: self.now,
            delete_on_termination,
        };
        if let Some(volume) = self.volumes.get_mut(volume_id) {
            volume.state = VolumeState::InUse;
            volume.attachments.push(attachment.clone());
        }
        if let Some(instance) = self.instances.get_mut(instance_id) {
            instance.devices.push(AttachedDevice {
                device: device.to_owned(),
                volume: volume_id.clone(),
                attached: self.now,
                delete_on_termination,
            });
        }
        attachment
    }

    pub(super) fn detach_volume(
        &mut self,
        r: &request::DetachVolume,
    ) -> Result<Response, ApiError> {
        well_formed(&r.volume, "vol-", "InvalidParameterValue")?;
        let volume_id = VolumeId::new(r.volume.clone());
        let volume = self
            .volumes
            .get(&volume_id)
            .ok_or_else(|| ApiError::volume_not_found(&r.volume))?;
        let meant: Vec<&VolumeAttachment> = volume
            .attachments
            .iter()
            .filter(|a| {
                r.instance.as_ref().is_none_or(|i| i == a.instance.as_str())
                    && r.device.as_ref().is_none_or(|d| *d == a.device)
            })
            .collect();
        let attachment = match meant.as_slice() {
            [] => {
                return Err(ApiError::new(
                    "IncorrectState",
                    format!("Volume '{volume_id}' is in the '{}' state.", volume.state),
                ));
            }
            [one] => (*one).clone(),
            _ => return Err(ApiError::missing("InstanceId")),
        };
        let running_root = self.instances.get(&attachment.instance).is_some_and(|i| {
            i.state != InstanceState::Stopped && i.root_device == attachment.device
        });
        if running_root {
            return Err(ApiError::new(
                "OperationNotPermitted",
                format!("Unable to detach root volume '{volume_id}' from a running instance"),
            ));
        }
        self.detach(&volume_id, &attachment.instance);
        Ok(Response::Attachment(VolumeAttachment {
            state: "detaching".to_owned(),
            ..attachment
        }))
    }

    fn detach(&mut self, volume_id: &VolumeId, instance_id: &InstanceId) {
        if let Some(volume) = self.volumes.get_mut(volume_id) {
            volume.attachments.retain(|a| a.instance != *instance_id);
            if volume.attachments.is_empty() && volume.state == VolumeState::InUse {
                volume.state = VolumeState::Available;
            }
        }
        if let Some(instance) = self.instances.get_mut(instance_id) {
            instance.devices.retain(|d| d.volume != *volume_id);
        }
    }

    /// Takes a terminated instance's volumes from it; those that go with it are deleted.
    pub(super) fn detach_all(&mut self, instance_id: &InstanceId) {
        let devices = self
            .instances
            .get(instance_id)
            .map(|i| i.devices.clone())
            .unwrap_or_default();
        for device in devices {
            self.detach(&device.volume, instance_id);
            let unattached = self
                .volumes
                .get(&device.volume)
                .is_some_and(|v| v.attachments.is_empty());
            if device.delete_on_termination && unattached {
                self.remove_volume(&device.volume);
            }
        }
    }

    fn remove_volume(&mut self, id: &VolumeId) {
        let deletion = self.deletion(id.as_str());
        if let Some(gone) = self.volumes.remove(id) {
            self.past.volumes.keep(id, &gone, deletion);
        }
    }

    pub(super) fn delete_volume(
        &mut self,
        r: &request::DeleteVolume,
    ) -> Result<Response, ApiError> {
        well_formed(&r.volume, "vol-", "InvalidParameterValue")?;
        let id = VolumeId::new(r.volume.clone());
        let volume = self
            .volumes
            .get(&id)
            .ok_or_else(|| ApiError::volume_not_found(&r.volume))?;
        match volume.state {
            VolumeState::Available | VolumeState::Error => {
                self.remove_volume(&id);
                Ok(Response::Done)
            }
            VolumeState::InUse => Err(ApiError::new(
                "VolumeInUse",
                format!("Volume {id} is currently attached"),
            )),
            _ => Err(ApiError::new(
                "IncorrectState",
                format!("Volume '{id}' is in state '{}'.", volume.state),
            )),
        }
    }
}
