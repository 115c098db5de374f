//! Putting things into the account without calls: for tests, demo and benchmarks.
//!
//! Seeding emits no events, is in no call log, and keeps no limits; what is seeded is listed at
//! once.

mod auto_scaling;
mod fleets;
mod outside;

pub use auto_scaling::AutoScalingGroupSeed;
pub use fleets::{FleetSeed, SpotFleetSeed, SpotRequestSeed};

use std::collections::BTreeSet;

use holdfast_core::id::{ImageId, InstanceId, LaunchTemplateId, SnapshotId, VolumeId};
use holdfast_core::inventory::{ImageState, InstanceState, SnapshotState, Tags, VolumeState};
use jiff::Timestamp;

use crate::account::Account;
use crate::model::device::BlockDevice;
use crate::model::image::{DeregistrationProtection, Image};
use crate::model::instance::{Instance, LaunchSettings, VirtualDevice};
use crate::model::instance_type::InstanceTypeInfo;
use crate::model::permission::Grantee;
use crate::model::snapshot::Snapshot;
use crate::model::tier::TierHistory;
use crate::model::volume::Volume;
use crate::transition::Transition;

/// A volume to be. The default is an available gp3 of 8 GiB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeSeed {
    /// Its identifier; none: a new one.
    pub id: Option<VolumeId>,
    /// Its state; attaching it makes it `in-use`.
    pub state: VolumeState,
    /// Such as `gp3`.
    pub volume_type: String,
    /// Size in GiB.
    pub size_gib: i32,
    /// Provisioned IOPS.
    pub iops: Option<i32>,
    /// Provisioned throughput in MiB/s.
    pub throughput: Option<i32>,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// ARN of the customer's key it is encrypted under; none: the account's default key.
    pub kms_key: Option<String>,
    /// Whether several instances may attach it.
    pub multi_attach: bool,
    /// Whether an AWS service manages it.
    pub managed: bool,
    /// Its tags.
    pub tags: Tags,
}

impl Default for VolumeSeed {
    fn default() -> Self {
        Self {
            id: None,
            state: VolumeState::Available,
            volume_type: "gp3".to_owned(),
            size_gib: 8,
            iops: None,
            throughput: None,
            encrypted: false,
            kms_key: None,
            multi_attach: false,
            managed: false,
            tags: Tags::new(),
        }
    }
}

/// An instance to be. The default is a running, EBS-backed m5.large without volumes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceSeed {
    /// Its identifier; none: a new one.
    pub id: Option<InstanceId>,
    /// Its state.
    pub state: InstanceState,
    /// The AMI it was launched from; none: one that no longer exists.
    pub image: Option<ImageId>,
    /// Such as `m5d.large`.
    pub instance_type: String,
    /// What else it was launched with.
    pub launch: LaunchSettings,
    /// Name of the root device.
    pub root_device: String,
    /// `ebs` or `instance-store`.
    pub root_device_type: String,
    /// Device names with volumes that exist. The root volume goes with the instance, others stay.
    pub devices: Vec<(String, VolumeId)>,
    /// Instance-store disks mapped at launch.
    pub virtual_devices: Vec<VirtualDevice>,
    /// Whether an AWS service manages it.
    pub managed: bool,
    /// Whether it is enabled for hibernation.
    pub hibernation: bool,
    /// `StateReason.Code` of its last change of state.
    pub state_reason: Option<String>,
    /// `StateTransitionReason` of its last change of state.
    pub transition_reason: Option<String>,
    /// Its tags.
    pub tags: Tags,
}

impl Default for InstanceSeed {
    fn default() -> Self {
        Self {
            id: None,
            state: InstanceState::Running,
            image: None,
            instance_type: "m5.large".to_owned(),
            launch: LaunchSettings::default(),
            root_device: "/dev/xvda".to_owned(),
            root_device_type: "ebs".to_owned(),
            devices: Vec::new(),
            virtual_devices: Vec::new(),
            managed: false,
            hibernation: false,
            state_reason: None,
            transition_reason: None,
            tags: Tags::new(),
        }
    }
}

/// A snapshot to be. The default is one's own, completed, begun now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotSeed {
    /// Its identifier; none: a new one.
    pub id: Option<SnapshotId>,
    /// The volume, which need not exist; none: `vol-ffffffff`, as a copy has it.
    pub volume: Option<VolumeId>,
    /// Its state; none: `completed`. A pending one settles after the usual time.
    pub state: Option<SnapshotState>,
    /// When it was begun; none: now.
    pub started: Option<Timestamp>,
    /// Who owns it; none: the account.
    pub owner: Option<String>,
    /// Alias of the owner.
    pub owner_alias: Option<String>,
    /// Size in GiB; none: 8.
    pub size_gib: Option<i32>,
    /// `standard` or `archive`; none: `standard`.
    pub tier: Option<String>,
    /// Its description.
    pub description: String,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// ARN of the customer's key it is encrypted under; none: the account's default key.
    pub kms_key: Option<String>,
    /// Whether everybody may use it.
    pub public: bool,
    /// Accounts that may use it.
    pub shared_with: BTreeSet<String>,
    /// Its tags.
    pub tags: Tags,
}

/// An image to be. The default is one's own, available, made now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageSeed {
    /// Its identifier; none: a new one.
    pub id: Option<ImageId>,
    /// Its name; none: its identifier.
    pub name: Option<String>,
    /// Its state; none: `available`. A pending one stays pending.
    pub state: Option<ImageState>,
    /// Who owns it; none: the account.
    pub owner: Option<String>,
    /// Alias of the owner.
    pub owner_alias: Option<String>,
    /// Whether everybody may launch it.
    pub public: bool,
    /// Who else may launch it.
    pub shared_with: BTreeSet<Grantee>,
    /// When it was made; none: now.
    pub created: Option<Timestamp>,
    /// The instance it was made of.
    pub source_instance: Option<InstanceId>,
    /// Name of the root device; none: `/dev/xvda`.
    pub root_device: Option<String>,
    /// Its devices; the snapshots need not exist.
    pub mappings: Vec<BlockDevice>,
    /// The image that instance was launched from; its Region is the account's.
    pub source_image: Option<ImageId>,
    /// When it was last used to launch an instance, as its owner is told.
    pub last_launched: Option<Timestamp>,
    /// Since when it is deprecated.
    pub deprecated_from: Option<Timestamp>,
    /// Its tags.
    pub tags: Tags,
}

impl Account {
    /// Puts a volume into the account.
    pub fn seed_volume(&mut self, seed: VolumeSeed) -> VolumeId {
        let id = seed
            .id
            .unwrap_or_else(|| VolumeId::new(self.ids.resource(VolumeId::PREFIX)));
        let volume = Volume {
            id: id.clone(),
            state: seed.state,
            volume_type: seed.volume_type,
            size_gib: seed.size_gib,
            iops: seed.iops,
            throughput: seed.throughput,
            initialization_rate: None,
            zone: format!("{}a", self.settings.region),
            snapshot: None,
            created: self.now,
            encrypted: seed.encrypted || seed.kms_key.is_some(),
            kms_key: seed.kms_key,
            multi_attach: seed.multi_attach,
            managed: seed.managed,
            attachments: Vec::new(),
            tags: seed.tags,
            listed_from: Timestamp::MIN,
            last_snapshot: None,
            pending_snapshots: 0,
        };
        self.volumes.insert(id.clone(), volume);
        id
    }

    /// Puts an instance into the account and attaches its volumes.
    pub fn seed_instance(&mut self, seed: InstanceSeed) -> InstanceId {
        let id = seed
            .id
            .unwrap_or_else(|| InstanceId::new(self.ids.resource(InstanceId::PREFIX)));
        let image = seed
            .image
            .unwrap_or_else(|| ImageId::new(self.ids.resource(ImageId::PREFIX)));
        let instance = Instance {
            id: id.clone(),
            reservation: self.ids.resource("r-"),
            state: seed.state,
            image,
            instance_type: seed.instance_type,
            architecture: "x86_64".to_owned(),
            zone: format!("{}a", self.settings.region),
            launched: self.now,
            launch: seed.launch,
            root_device: seed.root_device.clone(),
            root_device_type: seed.root_device_type,
            devices: Vec::new(),
            virtual_devices: seed.virtual_devices,
            managed: seed.managed,
            hibernation: seed.hibernation,
            state_reason: seed.state_reason,
            transition_reason: seed.transition_reason,
            reboots: 0,
            tags: seed.tags,
            listed_from: Timestamp::MIN,
        };
        self.instances.insert(id.clone(), instance);
        for (device, volume) in seed.devices {
            self.attach(&volume, &id, &device, device == seed.root_device);
        }
        id
    }

    /// Puts a snapshot into the account.
    pub fn seed_snapshot(&mut self, seed: SnapshotSeed) -> SnapshotId {
        let id = seed
            .id
            .unwrap_or_else(|| SnapshotId::new(self.ids.resource(SnapshotId::PREFIX)));
        let state = seed.state.unwrap_or(SnapshotState::Completed);
        let started = seed.started.unwrap_or(self.now);
        let duration = self.settings.snapshot_duration;
        let end = started.checked_add(duration).unwrap_or(started);
        let volume = seed.volume.unwrap_or_else(|| VolumeId::new("vol-ffffffff"));
        if state == SnapshotState::Pending {
            if let Some(volume) = self.volumes.get_mut(&volume) {
                volume.pending_snapshots += 1;
            }
            self.schedule
                .add(end.max(self.now), Transition::SnapshotSettles(id.clone()));
        }
        let snapshot = Snapshot {
            id: id.clone(),
            volume,
            completed: (state == SnapshotState::Completed).then_some(end),
            state,
            state_message: None,
            started,
            owner: seed
                .owner
                .unwrap_or_else(|| self.settings.account_id.clone()),
            owner_alias: seed.owner_alias,
            size_gib: seed.size_gib.unwrap_or(8),
            description: seed.description,
            tier: seed.tier.unwrap_or_else(|| "standard".to_owned()),
            encrypted: seed.encrypted,
            kms_key: seed.kms_key,
            public: seed.public,
            shared_with: seed.shared_with,
            lock: None,
            tiering: TierHistory::default(),
            copied_from: None,
            tags: seed.tags,
            listed_from: Timestamp::MIN,
            set: None,
            fails_with: None,
            delete_when_settled: false,
        };
        self.insert_snapshot(snapshot);
        id
    }

    /// Puts an image into the account.
    pub fn seed_image(&mut self, seed: ImageSeed) -> ImageId {
        let id = seed
            .id
            .unwrap_or_else(|| ImageId::new(self.ids.resource(ImageId::PREFIX)));
        let image = Image {
            name: seed.name.unwrap_or_else(|| id.as_str().to_owned()),
            id: id.clone(),
            description: String::new(),
            state: seed.state.unwrap_or(ImageState::Available),
            state_reason: None,
            owner: seed
                .owner
                .unwrap_or_else(|| self.settings.account_id.clone()),
            owner_alias: seed.owner_alias,
            public: seed.public,
            shared_with: seed.shared_with,
            created: seed.created.unwrap_or(self.now),
            source_instance: seed.source_instance,
            source_region: seed
                .source_image
                .as_ref()
                .map(|_| self.settings.region.clone()),
            source_image: seed.source_image,
            last_launched: seed.last_launched,
            root_device: seed.root_device.unwrap_or_else(|| "/dev/xvda".to_owned()),
            root_device_type: "ebs".to_owned(),
            architecture: "x86_64".to_owned(),
            mappings: seed.mappings,
            protection: DeregistrationProtection::Disabled,
            deprecated_from: seed.deprecated_from,
            tags: seed.tags,
            listed_from: Timestamp::MIN,
            fails_with: None,
            no_reboot: false,
        };
        self.insert_image(image);
        id
    }

    /// Adds or replaces an instance type.
    pub fn seed_instance_type(&mut self, info: InstanceTypeInfo) {
        self.instance_types.insert(info.name.clone(), info);
    }

    /// Sets the state of a volume; says whether there is one.
    pub fn set_volume_state(&mut self, id: &VolumeId, state: VolumeState) -> bool {
        self.volumes.get_mut(id).map(|v| v.state = state).is_some()
    }

    /// Sets the state of a snapshot that is not pending; says whether there is one.
    pub fn set_snapshot_state(
        &mut self,
        id: &SnapshotId,
        state: SnapshotState,
        message: Option<String>,
    ) -> bool {
        match self.snapshots.get_mut(id) {
            Some(s) if s.state != SnapshotState::Pending => {
                s.state = state;
                s.state_message = message;
                true
            }
            _ => false,
        }
    }

    /// Sets a launch template's default version; says whether there is such a version.
    pub fn set_default_version(&mut self, id: &LaunchTemplateId, version: i64) -> bool {
        match self.launch_templates.get_mut(id) {
            Some(t) if t.versions.contains_key(&version) => {
                t.default_version = version;
                for (number, v) in &mut t.versions {
                    v.default = *number == version;
                }
                true
            }
            _ => false,
        }
    }

    /// Lets the next snapshot of `volume`, or of any volume, end in `error` with this message;
    /// in a multi-volume set the whole set does.
    pub fn fail_next_snapshot(&mut self, volume: Option<VolumeId>, message: impl Into<String>) {
        self.failing_snapshots.push((volume, message.into()));
    }

    /// Lets the next `CreateImage` end in `failed` with this message.
    pub fn fail_next_image(&mut self, message: impl Into<String>) {
        self.failing_images.push(message.into());
    }

    /// Removes a snapshot whatever holds it, as the end of a stay in the Recycle Bin does; says
    /// whether there was one.
    pub fn vanish_snapshot(&mut self, id: &SnapshotId) -> bool {
        let existed = self.snapshots.contains_key(id);
        self.remove_snapshot(id);
        existed
    }
}
