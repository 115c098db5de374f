//! What a restore needs to know besides.

use aws_sdk_ec2::types;
use holdfast_core::ports::restore::{Disk, Machine, Stored, TemplateVersion};

use super::{instance, snapshot, template_version, volume};
use crate::aws::listing::{Unreadable, told};

pub(in crate::aws::ec2) fn stored(from: types::Snapshot) -> Option<Stored> {
    let kms_key = told(from.kms_key_id.clone());
    Some(Stored {
        snapshot: snapshot(from)?,
        kms_key,
    })
}

pub(in crate::aws::ec2) fn disk(from: types::Volume) -> Option<Disk> {
    let (zone, iops) = (told(from.availability_zone.clone()), from.iops);
    let throughput = from.throughput;
    Some(Disk {
        volume: volume(from)?,
        zone,
        iops,
        throughput,
    })
}

pub(in crate::aws::ec2) fn machine(from: types::Instance) -> Option<Machine> {
    let instance = instance(from)?;
    Some(Machine {
        launch: instance.launch.as_deref().cloned().unwrap_or_default(),
        instance,
    })
}

pub(in crate::aws::ec2) fn described_version(
    from: types::LaunchTemplateVersion,
) -> Result<TemplateVersion, Unreadable> {
    let description = told(from.version_description.clone());
    Ok(TemplateVersion {
        version: template_version(from)?,
        description,
    })
}
