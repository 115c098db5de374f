//! The account's own types into the ports'.

use holdfast_core::inventory::{
    Attachment, Image, ImageMapping, Instance, InstanceDevice, InstanceType, LaunchParameters,
    LaunchTemplateVersion, Lifecycle, MappingTarget, Snapshot, Volume,
};

use crate::model;
use crate::model::device::DeviceTarget;
use crate::model::image::DeregistrationProtection;

pub(super) fn instance(i: model::instance::Instance) -> Instance {
    let settings = i.launch;
    let launch = LaunchParameters {
        instance_type: Some(i.instance_type.clone()),
        zone: Some(i.zone),
        subnet: settings.subnet,
        security_groups: settings.security_groups,
        key_name: settings.key_name,
        instance_profile: settings.instance_profile,
        metadata_tokens: settings.metadata_tokens,
        ebs_optimized: settings.ebs_optimized,
    };
    Instance {
        id: i.id,
        state: i.state,
        image: Some(i.image),
        instance_type: Some(i.instance_type),
        launched: Some(i.launched),
        root_device: Some(i.root_device),
        root_device_type: Some(i.root_device_type),
        devices: i
            .devices
            .into_iter()
            .map(|d| InstanceDevice {
                name: d.device,
                volume: Some(d.volume),
            })
            .collect(),
        lifecycle: Lifecycle {
            hibernation: i.hibernation,
            code: i.state_reason,
            words: i.transition_reason,
        },
        launch: Some(Box::new(launch)),
        tags: i.tags,
    }
}

pub(super) fn volume(v: model::volume::Volume) -> Volume {
    Volume {
        id: v.id,
        state: v.state,
        volume_type: Some(v.volume_type),
        size_gib: Some(v.size_gib),
        created: Some(v.created),
        kms_key: v.kms_key,
        attachments: v
            .attachments
            .into_iter()
            .map(|a| Attachment {
                instance: a.instance,
                device: a.device,
                state: a.state,
            })
            .collect(),
        tags: v.tags,
    }
}

pub(super) fn snapshot(s: model::snapshot::Snapshot) -> Snapshot {
    Snapshot {
        id: s.id,
        volume: Some(s.volume),
        state: s.state,
        start: Some(s.started),
        owner: Some(s.owner),
        owner_alias: s.owner_alias,
        size_gib: Some(s.size_gib),
        tier: Some(s.tier),
        state_message: s.state_message,
        kms_key: s.kms_key,
        description: s.description,
        tags: s.tags,
    }
}

pub(super) fn image(i: model::image::Image) -> Image {
    Image {
        id: i.id,
        name: Some(i.name),
        state: i.state,
        state_reason: i.state_reason.map(|(_, message)| message),
        deregistration_protected: i.protection != DeregistrationProtection::Disabled,
        owner: Some(i.owner),
        created: Some(i.created),
        source_region: i.source_region,
        source_instance: i.source_instance,
        source_image: i.source_image,
        last_launched: i.last_launched,
        deprecated: i.deprecated_from,
        public: i.public,
        root_device: Some(i.root_device),
        mappings: i
            .mappings
            .into_iter()
            .map(|m| ImageMapping {
                device: m.device,
                target: match m.target {
                    DeviceTarget::Ebs(ebs) => MappingTarget::Ebs(ebs.snapshot),
                    DeviceTarget::Virtual(name) => MappingTarget::InstanceStore(name),
                    DeviceTarget::NoDevice => MappingTarget::NoDevice,
                },
            })
            .collect(),
        tags: i.tags,
    }
}

pub(super) fn template_version(
    v: model::launch_template::LaunchTemplateVersion,
) -> LaunchTemplateVersion {
    LaunchTemplateVersion {
        template: v.template,
        name: Some(v.name),
        version: v.version,
        default: v.default,
        image: v.data.image,
        resolved: None,
        snapshots: v
            .data
            .mappings
            .iter()
            .filter_map(|m| m.snapshot().cloned())
            .collect(),
    }
}

pub(super) fn instance_type(t: model::instance_type::InstanceTypeInfo) -> InstanceType {
    InstanceType {
        name: t.name,
        disks: t.disks,
        nvme: t.nvme,
    }
}
