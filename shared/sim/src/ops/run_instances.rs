//! `RunInstances`.

use holdfast_core::id::{ImageId, InstanceId, SnapshotId, VolumeId};
use holdfast_core::inventory::{ImageState, InstanceState, Tags, VolumeState};
use jiff::Timestamp;

use super::images::{overlay, unavailable};
use super::list_templates::version_not_found;
use super::well_formed;
use crate::account::Account;
use crate::error::ApiError;
use crate::model::device::{BlockDevice, DeviceTarget};
use crate::model::image::Image;
use crate::model::instance::{Instance, LaunchSettings, VirtualDevice};
use crate::model::instance_type::InstanceTypeInfo;
use crate::model::launch_template::TemplateData;
use crate::model::volume::Volume;
use crate::request::{self, LaunchTemplateReference};
use crate::response::Response;
use crate::tag;
use crate::transition::Transition;

/// A volume that a launch makes.
struct NewVolume {
    device: String,
    snapshot: Option<SnapshotId>,
    size_gib: i32,
    volume_type: String,
    encrypted: bool,
    delete_on_termination: bool,
}

impl Account {
    pub(super) fn run_instances(
        &mut self,
        r: &request::RunInstances,
    ) -> Result<Response, ApiError> {
        if let Some(made) = self.made_before("RunInstances", r.client_token.as_ref(), r)? {
            let instances = made
                .into_iter()
                .filter_map(|id| self.instances.get(&InstanceId::new(id)).cloned())
                .collect();
            return Ok(Response::Launched(instances));
        }
        if r.min_count < 1 || r.max_count < r.min_count {
            return Err(ApiError::invalid_value(
                "MinCount must be at least 1 and at most MaxCount.",
            ));
        }
        let instance_tags = tag::specified(&r.tags, "instance", &["instance", "volume"])?;
        let volume_tags = tag::specified(&r.tags, "volume", &["instance", "volume"])?;
        let template = match &r.launch_template {
            Some(reference) => self.template_data(reference)?,
            None => TemplateData::default(),
        };
        let image = self.launchable(r.image.clone().or(template.image))?.clone();
        let type_name = r
            .instance_type
            .clone()
            .or(template.instance_type)
            .ok_or_else(|| ApiError::missing("InstanceType"))?;
        let instance_type = self
            .instance_types
            .get(&type_name)
            .cloned()
            .ok_or_else(|| {
                ApiError::invalid_value(format!("Invalid value '{type_name}' for InstanceType."))
            })?;
        let zone = r
            .zone
            .clone()
            .unwrap_or_else(|| format!("{}a", self.settings.region));
        let mappings = overlay(&overlay(&image.mappings, &template.mappings), &r.mappings);
        // Everything that may refuse the launch comes before the first instance.
        let mut volumes = Vec::new();
        for mapping in &mappings {
            volumes.extend(self.new_volume(mapping, &image.root_device)?);
        }
        let virtual_devices = virtual_devices(&mappings, &instance_type);
        let launch = LaunchSettings {
            subnet: r.subnet.clone(),
            security_groups: r.security_groups.clone(),
            key_name: r.key_name.clone(),
            instance_profile: r.instance_profile.clone(),
            metadata_tokens: r.metadata_tokens.unwrap_or(false),
            ebs_optimized: r.ebs_optimized.unwrap_or(false),
        };
        let reservation = self.ids.resource("r-");
        let mut launched = Vec::new();
        for _ in 0..r.max_count {
            let id = InstanceId::new(self.ids.resource(InstanceId::PREFIX));
            let instance = Instance {
                id: id.clone(),
                reservation: reservation.clone(),
                state: InstanceState::Pending,
                image: image.id.clone(),
                instance_type: type_name.clone(),
                architecture: image.architecture.clone(),
                zone: zone.clone(),
                launched: self.now,
                launch: launch.clone(),
                root_device: image.root_device.clone(),
                root_device_type: image.root_device_type.clone(),
                devices: Vec::new(),
                virtual_devices: virtual_devices.clone(),
                managed: false,
                hibernation: false,
                state_reason: None,
                transition_reason: None,
                reboots: 0,
                tags: instance_tags.clone(),
                listed_from: self.listed_from(id.as_str()),
            };
            self.instances.insert(id.clone(), instance);
            for volume in &volumes {
                let made = self.make_volume(volume, &zone, volume_tags.clone());
                self.attach(&made, &id, &volume.device, volume.delete_on_termination);
            }
            let at = self.after(self.settings.instance_duration);
            self.schedule.add(
                at,
                Transition::InstanceBecomes(id.clone(), InstanceState::Running),
            );
            self.emit_instance_state(&id, "pending");
            launched.extend(self.instances.get(&id).cloned());
        }
        self.note_launch(&image.id);
        let made = launched.iter().map(|i| i.id.as_str().to_owned()).collect();
        self.remember_made("RunInstances", r.client_token.as_ref(), r, made);
        Ok(Response::Launched(launched))
    }

    /// Brings a launch to the notice of the image's owner, when it is due.
    fn note_launch(&mut self, image: &ImageId) {
        let launched = self.now;
        let at = self.after(self.settings.last_launched_delay);
        if at <= launched {
            self.show_launch(image, launched);
        } else {
            self.schedule
                .add(at, Transition::LaunchShows(image.clone(), launched));
        }
    }

    pub(super) fn show_launch(&mut self, image: &ImageId, launched: Timestamp) {
        if let Some(image) = self.images.get_mut(image) {
            image.last_launched = image.last_launched.max(Some(launched));
        }
    }

    fn template_data(&self, reference: &LaunchTemplateReference) -> Result<TemplateData, ApiError> {
        let template = self.find_template(reference.id.as_ref(), reference.name.as_ref())?;
        let version = reference.version.as_deref().unwrap_or("$Default");
        template
            .version(version)
            .map(|v| v.data.clone())
            .ok_or_else(|| version_not_found(template, version))
    }

    /// An image that can be launched now.
    fn launchable(&self, id: Option<String>) -> Result<&Image, ApiError> {
        let id = id.ok_or_else(|| ApiError::missing("ImageId"))?;
        let id = self.resolved_image(&id)?;
        well_formed(&id, "ami-", "InvalidAMIID.Malformed")?;
        let image = self
            .images
            .get(&ImageId::new(id.clone()))
            .filter(|i| self.may_use_image(i))
            .ok_or_else(|| self.no_image(&id))?;
        if image.state != ImageState::Available {
            return Err(unavailable(&id));
        }
        Ok(image)
    }

    /// The volume that a mapping makes at launch. `DeleteOnTermination` defaults to true for
    /// volumes that the API makes at launch (EC2 User Guide, "Preserve data").
    fn new_volume(&self, mapping: &BlockDevice, root: &str) -> Result<Option<NewVolume>, ApiError> {
        let DeviceTarget::Ebs(ebs) = &mapping.target else {
            return Ok(None);
        };
        let least = match &ebs.snapshot {
            Some(id) => Some(self.usable_snapshot(id)?),
            None if mapping.device == root => {
                return Err(ApiError::new(
                    "InvalidBlockDeviceMapping",
                    "The root device has no snapshot.",
                ));
            }
            None => None,
        };
        let size_gib = ebs.size_gib.or(least).ok_or_else(|| {
            ApiError::new(
                "MissingParameter",
                "The request must contain the parameter size or snapshotId",
            )
        })?;
        if least.is_some_and(|least| size_gib < least) {
            return Err(ApiError::new(
                "InvalidBlockDeviceMapping",
                format!("Volume of size {size_gib}GB is smaller than its snapshot"),
            ));
        }
        Ok(Some(NewVolume {
            device: mapping.device.clone(),
            snapshot: ebs.snapshot.clone(),
            size_gib,
            volume_type: ebs.volume_type.clone().unwrap_or_else(|| "gp2".to_owned()),
            encrypted: self.encrypted_volume(ebs.encrypted, ebs.snapshot.as_ref()),
            delete_on_termination: ebs.delete_on_termination.unwrap_or(true),
        }))
    }

    fn make_volume(&mut self, new: &NewVolume, zone: &str, tags: Tags) -> VolumeId {
        let id = VolumeId::new(self.ids.resource(VolumeId::PREFIX));
        let volume = Volume {
            id: id.clone(),
            state: VolumeState::Available,
            volume_type: new.volume_type.clone(),
            size_gib: new.size_gib,
            iops: None,
            throughput: None,
            initialization_rate: None,
            zone: zone.to_owned(),
            snapshot: new.snapshot.clone(),
            created: self.now,
            encrypted: new.encrypted,
            kms_key: self.key_of(new.snapshot.as_ref()),
            multi_attach: false,
            managed: false,
            attachments: Vec::new(),
            tags,
            listed_from: self.listed_from(id.as_str()),
            last_snapshot: None,
            pending_snapshots: 0,
        };
        self.volumes.insert(id.clone(), volume);
        id
    }
}

/// Instance-store disks that the mappings attach: only as many as the type has; NVMe disks attach
/// by themselves and their mappings have no effect (EC2 User Guide, "Instance store").
fn virtual_devices(mappings: &[BlockDevice], kind: &InstanceTypeInfo) -> Vec<VirtualDevice> {
    if kind.nvme {
        return Vec::new();
    }
    mappings
        .iter()
        .filter_map(|m| match &m.target {
            DeviceTarget::Virtual(name) => Some(VirtualDevice {
                device: m.device.clone(),
                name: name.clone(),
            }),
            DeviceTarget::Ebs(_) | DeviceTarget::NoDevice => None,
        })
        .filter(|d| {
            d.name
                .strip_prefix("ephemeral")
                .and_then(|n| n.parse::<u32>().ok())
                .is_some_and(|n| n < kind.disks)
        })
        .collect()
}
