//! `CreateImage`: an AMI of an instance, with one backing snapshot per EBS volume.

use std::collections::BTreeSet;

use holdfast_core::id::{ImageId, InstanceId};
use holdfast_core::inventory::{ImageState, InstanceState, VolumeState};
use jiff::SignedDuration;

use super::{description_of, well_formed};
use crate::account::Account;
use crate::error::ApiError;
use crate::model::device::{BlockDevice, DeviceTarget, EbsDevice};
use crate::model::image::{DeregistrationProtection, Image};
use crate::model::instance::{AttachedDevice, Instance};
use crate::request;
use crate::response::Response;
use crate::tag;
use crate::transition::Transition;

/// Types that the tag specifications of `CreateImage` may name `[B]`.
const TAGGABLE: [&str; 2] = ["image", "snapshot"];

impl Account {
    pub(super) fn create_image(&mut self, r: &request::CreateImage) -> Result<Response, ApiError> {
        well_formed(&r.instance, "i-", "InvalidInstanceID.Malformed")?;
        let description = description_of(r.description.as_ref())?;
        let image_tags = tag::specified(&r.tags, "image", &TAGGABLE)?;
        let snapshot_tags = tag::specified(&r.tags, "snapshot", &TAGGABLE)?;
        let instance = self.imageable(&r.instance)?.clone();
        self.free_name(&r.name)?;
        check_changes(&instance, &r.mappings)?;
        if r.no_reboot
            && let Some(limit) = self.settings.no_reboot_images
        {
            let pending = self.images.values().filter(|i| i.no_reboot).count();
            if pending >= limit {
                return Err(ApiError::new(
                    "ConcurrentCreateImageNoRebootLimitExceeded",
                    "The maximum number of concurrent CreateImage requests for the instance has been reached.",
                ));
            }
        }
        let devices: Vec<&AttachedDevice> = instance
            .devices
            .iter()
            .filter(|d| !is_dropped(&r.mappings, &d.device))
            .collect();
        for device in &devices {
            let usable = self
                .volumes
                .get(&device.volume)
                .is_some_and(|v| matches!(v.state, VolumeState::InUse | VolumeState::Available));
            if !usable {
                return Err(ApiError::new(
                    "IncorrectState",
                    format!("Volume '{}' cannot be imaged in its state.", device.volume),
                ));
            }
        }
        self.room_for(devices.len())?;

        let id = ImageId::new(self.ids.resource(ImageId::PREFIX));
        let mut mappings = Vec::new();
        let fails_with = if self.failing_images.is_empty() {
            None
        } else {
            Some(self.failing_images.remove(0))
        };
        for device in devices {
            // Informal text, but stable for years (cloud-custodian's recorded data).
            let text = format!("Created by CreateImage({}) for {id}", instance.id);
            if let Some(message) = &fails_with {
                self.failing_snapshots
                    .insert(0, (Some(device.volume.clone()), message.clone()));
            }
            let snapshot = self.begin_snapshot(
                &device.volume,
                text,
                snapshot_tags.clone(),
                None,
                SignedDuration::ZERO,
            );
            let volume = self.volumes.get(&device.volume);
            mappings.push(BlockDevice {
                device: device.device.clone(),
                target: DeviceTarget::Ebs(EbsDevice {
                    snapshot: Some(snapshot),
                    size_gib: volume.map(|v| v.size_gib),
                    volume_type: volume.map(|v| v.volume_type.clone()),
                    delete_on_termination: Some(
                        changed_termination(&r.mappings, &device.device)
                            .unwrap_or(device.delete_on_termination),
                    ),
                    encrypted: volume.map(|v| v.encrypted),
                }),
            });
        }
        // Instance-store disks stay mapped by name; their data is not saved.
        let kept_virtual = instance
            .virtual_devices
            .iter()
            .filter(|d| !is_dropped(&r.mappings, &d.device))
            .map(|d| BlockDevice::ephemeral(d.device.clone(), d.name.clone()));
        mappings.extend(kept_virtual);
        mappings.extend(
            r.mappings
                .iter()
                .filter(|m| matches!(m.target, DeviceTarget::Virtual(_)))
                .cloned(),
        );

        if !r.no_reboot
            && instance.state == InstanceState::Running
            && let Some(rebooted) = self.instances.get_mut(&instance.id)
        {
            rebooted.reboots += 1;
        }
        let image = Image {
            id: id.clone(),
            name: r.name.clone(),
            description,
            state: ImageState::Pending,
            state_reason: None,
            owner: self.settings.account_id.clone(),
            owner_alias: None,
            public: false,
            shared_with: BTreeSet::new(),
            created: self.now,
            source_instance: Some(instance.id.clone()),
            source_image: Some(instance.image.clone()),
            source_region: Some(self.settings.region.clone()),
            last_launched: None,
            root_device: instance.root_device.clone(),
            root_device_type: "ebs".to_owned(),
            architecture: instance.architecture.clone(),
            mappings,
            protection: DeregistrationProtection::Disabled,
            deprecated_from: None,
            tags: image_tags,
            listed_from: self.listed_from(id.as_str()),
            fails_with,
            no_reboot: r.no_reboot,
        };
        self.insert_image(image);
        let duration = self
            .settings
            .image_duration
            .max(self.settings.snapshot_duration);
        let at = self.after(duration);
        self.schedule.add(at, Transition::ImageSettles(id.clone()));
        Ok(Response::ImageMade(id))
    }

    /// An instance that an image can be made of: EBS-backed, running or stopped
    /// (EC2 User Guide, "Create an Amazon EBS-backed AMI").
    fn imageable(&self, id: &str) -> Result<&Instance, ApiError> {
        let instance = self
            .instances
            .get(&InstanceId::new(id))
            .ok_or_else(|| ApiError::instance_not_found(id))?;
        if instance.root_device_type != "ebs" {
            return Err(ApiError::new(
                "UnsupportedOperation",
                format!("The instance '{id}' is not EBS-backed."),
            ));
        }
        if !matches!(
            instance.state,
            InstanceState::Running | InstanceState::Stopped
        ) {
            return Err(ApiError::new(
                "IncorrectInstanceState",
                format!("The instance '{id}' is in state '{}'.", instance.state),
            ));
        }
        Ok(instance)
    }
}

fn is_dropped(changes: &[BlockDevice], device: &str) -> bool {
    changes
        .iter()
        .any(|c| c.device == device && c.target == DeviceTarget::NoDevice)
}

fn changed_termination(changes: &[BlockDevice], device: &str) -> Option<bool> {
    changes.iter().find_map(|c| match &c.target {
        DeviceTarget::Ebs(ebs) if c.device == device => ebs.delete_on_termination,
        _ => None,
    })
}

/// Of existing devices only `DeleteOnTermination` can be altered `[B]`; `NoDevice` drops one.
/// Not supported here, and so refused: new EBS devices, and dropping the root.
fn check_changes(instance: &Instance, changes: &[BlockDevice]) -> Result<(), ApiError> {
    let refuse = |device: &str, why: &str| {
        Err(ApiError::new(
            "InvalidBlockDeviceMapping",
            format!("Invalid device mapping of '{device}': {why}"),
        ))
    };
    for change in changes {
        let existing = instance.devices.iter().any(|d| d.device == change.device);
        match &change.target {
            DeviceTarget::NoDevice if change.device == instance.root_device => {
                return refuse(&change.device, "the root device cannot be left out");
            }
            DeviceTarget::NoDevice => {}
            DeviceTarget::Virtual(_) if existing => {
                return refuse(&change.device, "the device is an EBS volume");
            }
            DeviceTarget::Virtual(_) => {}
            DeviceTarget::Ebs(_) if !existing => {
                return refuse(&change.device, "the instance has no such device");
            }
            DeviceTarget::Ebs(ebs) => {
                let only_termination = EbsDevice {
                    delete_on_termination: ebs.delete_on_termination,
                    ..EbsDevice::default()
                };
                if *ebs != only_termination {
                    return refuse(&change.device, "only DeleteOnTermination can be changed");
                }
            }
        }
    }
    Ok(())
}
