//! Resources as XML.

use std::io;

use holdfast_core::inventory::{InstanceState, Tags};
use holdfast_sim::{
    BlockDevice, DeregistrationProtection, DeviceTarget, Image, Instance, InstanceTypeInfo,
    LaunchSettings, LaunchTemplate, LaunchTemplateVersion, Snapshot, Volume, VolumeAttachment,
};
use jiff::Timestamp;

use super::encode::Context;
use crate::query::xml::Xml;

/// EC2's spelling of a time: UTC with milliseconds.
pub(super) fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

pub(super) fn truth(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

pub(super) fn tags(xml: &mut Xml, tags: &Tags) -> io::Result<()> {
    if tags.is_empty() {
        return Ok(());
    }
    xml.list("tagSet", tags, |xml, (key, value)| {
        xml.leaf("key", key)?;
        xml.leaf("value", value)
    })
}

pub(super) fn snapshot(xml: &mut Xml, s: &Snapshot) -> io::Result<()> {
    xml.leaf("status", s.state.as_str())?;
    snapshot_common(xml, s)?;
    xml.maybe("ownerAlias", s.owner_alias.as_ref())?;
    xml.leaf("storageTier", &s.tier)?;
    xml.maybe("restoreExpiryTime", s.tiering.restore_expires.map(time))?;
    xml.maybe("completionTime", s.completed.map(time))
}

/// A member of a set: the same but for the name of its state.
pub(super) fn snapshot_info(xml: &mut Xml, s: &Snapshot) -> io::Result<()> {
    xml.leaf("state", s.state.as_str())?;
    snapshot_common(xml, s)
}

fn snapshot_common(xml: &mut Xml, s: &Snapshot) -> io::Result<()> {
    xml.leaf("snapshotId", &s.id)?;
    xml.leaf("volumeId", &s.volume)?;
    xml.leaf("startTime", time(s.started))?;
    xml.leaf("progress", s.progress())?;
    xml.leaf("ownerId", &s.owner)?;
    xml.leaf("volumeSize", s.size_gib.to_string())?;
    xml.leaf("description", &s.description)?;
    xml.leaf("encrypted", truth(s.encrypted))?;
    xml.maybe("kmsKeyId", s.kms_key.as_ref())?;
    tags(xml, &s.tags)
}

pub(super) fn attachment(xml: &mut Xml, a: &VolumeAttachment) -> io::Result<()> {
    xml.leaf("volumeId", &a.volume)?;
    xml.leaf("instanceId", &a.instance)?;
    xml.leaf("device", &a.device)?;
    xml.leaf("status", &a.state)?;
    xml.leaf("attachTime", time(a.attached))?;
    xml.leaf("deleteOnTermination", truth(a.delete_on_termination))
}

pub(super) fn volume(xml: &mut Xml, v: &Volume) -> io::Result<()> {
    xml.leaf("volumeId", &v.id)?;
    xml.leaf("size", v.size_gib.to_string())?;
    xml.leaf("snapshotId", v.snapshot.as_ref().map_or("", |s| s.as_str()))?;
    xml.leaf("availabilityZone", &v.zone)?;
    xml.leaf("status", v.state.as_str())?;
    xml.leaf("createTime", time(v.created))?;
    xml.list("attachmentSet", &v.attachments, attachment)?;
    xml.leaf("volumeType", &v.volume_type)?;
    xml.maybe("iops", v.iops.map(|n| n.to_string()))?;
    xml.maybe("throughput", v.throughput.map(|n| n.to_string()))?;
    xml.maybe(
        "volumeInitializationRate",
        v.initialization_rate.map(|n| n.to_string()),
    )?;
    xml.leaf("encrypted", truth(v.encrypted))?;
    xml.maybe("kmsKeyId", v.kms_key.as_ref())?;
    xml.leaf("multiAttachEnabled", truth(v.multi_attach))?;
    tags(xml, &v.tags)
}

pub(super) fn instance_state(xml: &mut Xml, name: &str, state: &InstanceState) -> io::Result<()> {
    xml.element(name, |xml| {
        xml.leaf("code", Instance::state_code(state).to_string())?;
        xml.leaf("name", state.as_str())
    })
}

/// Instances in their reservations; those of one reservation that follow one another share it.
pub(super) fn reservations(
    xml: &mut Xml,
    context: &Context<'_>,
    instances: &[Instance],
) -> io::Result<()> {
    let groups = instances.chunk_by(|a, b| a.reservation == b.reservation);
    xml.list("reservationSet", groups, |xml, group| {
        xml.maybe(
            "reservationId",
            group.first().map(|i| i.reservation.as_str()),
        )?;
        xml.leaf("ownerId", context.account_id)?;
        xml.list("instancesSet", group, instance)
    })
}

pub(super) fn instance(xml: &mut Xml, i: &Instance) -> io::Result<()> {
    xml.leaf("instanceId", &i.id)?;
    xml.leaf("imageId", &i.image)?;
    instance_state(xml, "instanceState", &i.state)?;
    xml.leaf("instanceType", &i.instance_type)?;
    xml.maybe("reason", i.transition_reason.as_ref())?;
    xml.leaf("launchTime", time(i.launched))?;
    xml.element("placement", |xml| xml.leaf("availabilityZone", &i.zone))?;
    xml.leaf("architecture", &i.architecture)?;
    xml.leaf("rootDeviceType", &i.root_device_type)?;
    xml.leaf("rootDeviceName", &i.root_device)?;
    xml.list("blockDeviceMapping", &i.devices, |xml, d| {
        xml.leaf("deviceName", &d.device)?;
        xml.element("ebs", |xml| {
            xml.leaf("volumeId", &d.volume)?;
            xml.leaf("status", "attached")?;
            xml.leaf("attachTime", time(d.attached))?;
            xml.leaf("deleteOnTermination", truth(d.delete_on_termination))
        })
    })?;
    xml.leaf("virtualizationType", "hvm")?;
    launch_settings(xml, &i.launch)?;
    if let Some(code) = &i.state_reason {
        xml.element("stateReason", |xml| {
            xml.leaf("code", code)?;
            xml.leaf("message", format!("{code}: the last change of state"))
        })?;
    }
    xml.element("hibernationOptions", |xml| {
        xml.leaf("configured", truth(i.hibernation))
    })?;
    tags(xml, &i.tags)
}

/// What an instance was launched with.
fn launch_settings(xml: &mut Xml, launch: &LaunchSettings) -> io::Result<()> {
    xml.maybe("subnetId", launch.subnet.as_ref())?;
    xml.maybe("keyName", launch.key_name.as_ref())?;
    xml.leaf("ebsOptimized", truth(launch.ebs_optimized))?;
    xml.list("groupSet", &launch.security_groups, |xml, id| {
        xml.leaf("groupId", id)
    })?;
    if let Some(arn) = &launch.instance_profile {
        xml.element("iamInstanceProfile", |xml| xml.leaf("arn", arn))?;
    }
    let tokens = match launch.metadata_tokens {
        true => "required",
        false => "optional",
    };
    xml.element("metadataOptions", |xml| xml.leaf("httpTokens", tokens))
}

pub(super) fn block_device(xml: &mut Xml, m: &BlockDevice) -> io::Result<()> {
    xml.leaf("deviceName", &m.device)?;
    match &m.target {
        DeviceTarget::Ebs(ebs) => xml.element("ebs", |xml| {
            xml.maybe("snapshotId", ebs.snapshot.as_ref())?;
            xml.maybe("volumeSize", ebs.size_gib.map(|n| n.to_string()))?;
            xml.maybe("volumeType", ebs.volume_type.as_ref())?;
            xml.maybe("deleteOnTermination", ebs.delete_on_termination.map(truth))?;
            xml.maybe("encrypted", ebs.encrypted.map(truth))
        }),
        DeviceTarget::Virtual(name) => xml.leaf("virtualName", name),
        DeviceTarget::NoDevice => xml.leaf("noDevice", ""),
    }
}

pub(super) fn image(xml: &mut Xml, context: &Context<'_>, i: &Image) -> io::Result<()> {
    xml.leaf("imageId", &i.id)?;
    xml.leaf("imageLocation", format!("{}/{}", i.owner, i.name))?;
    xml.leaf("imageState", i.state.as_str())?;
    xml.leaf("imageOwnerId", &i.owner)?;
    xml.leaf("creationDate", time(i.created))?;
    xml.leaf("isPublic", truth(i.public))?;
    xml.leaf("architecture", &i.architecture)?;
    xml.leaf("imageType", "machine")?;
    xml.leaf("name", &i.name)?;
    xml.leaf("description", &i.description)?;
    xml.leaf("rootDeviceType", &i.root_device_type)?;
    xml.leaf("rootDeviceName", &i.root_device)?;
    xml.list("blockDeviceMapping", &i.mappings, block_device)?;
    xml.leaf("virtualizationType", "hvm")?;
    if let Some((code, message)) = &i.state_reason {
        xml.element("stateReason", |xml| {
            xml.leaf("code", code)?;
            xml.leaf("message", message)
        })?;
    }
    xml.maybe("deprecationTime", i.deprecated_from.map(time))?;
    xml.maybe("sourceInstanceId", i.source_instance.as_ref())?;
    if let Some(source) = &i.source_image {
        xml.leaf("sourceImageId", source)?;
    }
    xml.maybe("sourceImageRegion", i.source_region.as_ref())?;
    xml.maybe("imageOwnerAlias", i.owner_alias.as_ref())?;
    if i.owner == context.account_id {
        // Its owner alone is told.
        xml.maybe("lastLaunchedTime", i.last_launched.map(time))?;
    }
    xml.leaf(
        "deregistrationProtection",
        match i.protection {
            DeregistrationProtection::Disabled => "disabled",
            DeregistrationProtection::Enabled { cooldown: false } => "enabled-without-cooldown",
            DeregistrationProtection::Enabled { cooldown: true }
            | DeregistrationProtection::Cooling(_) => "enabled-with-cooldown",
        },
    )?;
    tags(xml, &i.tags)
}

fn created_by(context: &Context<'_>) -> String {
    format!("arn:aws:iam::{}:root", context.account_id)
}

pub(super) fn launch_template(
    xml: &mut Xml,
    context: &Context<'_>,
    t: &LaunchTemplate,
) -> io::Result<()> {
    xml.leaf("launchTemplateId", &t.id)?;
    xml.leaf("launchTemplateName", &t.name)?;
    xml.leaf("createTime", time(t.created))?;
    xml.leaf("createdBy", created_by(context))?;
    xml.leaf("defaultVersionNumber", t.default_version.to_string())?;
    xml.leaf("latestVersionNumber", t.latest_version.to_string())?;
    tags(xml, &t.tags)
}

pub(super) fn launch_template_version(
    xml: &mut Xml,
    context: &Context<'_>,
    v: &LaunchTemplateVersion,
) -> io::Result<()> {
    xml.leaf("launchTemplateId", &v.template)?;
    xml.leaf("launchTemplateName", &v.name)?;
    xml.leaf("versionNumber", v.version.to_string())?;
    xml.maybe("versionDescription", v.description.as_ref())?;
    xml.leaf("createTime", time(v.created))?;
    xml.leaf("createdBy", created_by(context))?;
    xml.leaf("defaultVersion", truth(v.default))?;
    xml.element("launchTemplateData", |xml| {
        xml.maybe("imageId", v.data.image.as_ref())?;
        xml.maybe("instanceType", v.data.instance_type.as_ref())?;
        if v.data.mappings.is_empty() {
            return Ok(());
        }
        xml.list("blockDeviceMappingSet", &v.data.mappings, block_device)
    })
}

pub(super) fn instance_type(xml: &mut Xml, t: &InstanceTypeInfo) -> io::Result<()> {
    xml.leaf("instanceType", &t.name)?;
    xml.leaf("currentGeneration", truth(t.current))?;
    xml.leaf("instanceStorageSupported", truth(t.disks > 0))?;
    if t.disks == 0 {
        return Ok(());
    }
    xml.element("instanceStorageInfo", |xml| {
        let total = u64::from(t.disks) * u64::from(t.disk_gb);
        xml.leaf("totalSizeInGB", total.to_string())?;
        xml.list("disks", [t], |xml, t| {
            xml.leaf("sizeInGB", t.disk_gb.to_string())?;
            xml.leaf("count", t.disks.to_string())?;
            xml.leaf("type", &t.disk_kind)
        })?;
        xml.leaf(
            "nvmeSupport",
            if t.nvme { "required" } else { "unsupported" },
        )
    })
}
