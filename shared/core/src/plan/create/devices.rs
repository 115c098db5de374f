//! Instance-store devices, whose data no snapshot holds.

use crate::inventory::{Image, Instance, InstanceType, MappingTarget};

/// The instance-store devices of an instance, each as words for people.
///
/// An instance's own description lists EBS volumes only; classic instance-store disks show in the
/// mappings of its AMI, NVMe ones only in its type (EC2 User Guide, "Instance store").
#[must_use]
pub fn instance_store_devices(
    instance: &Instance,
    image: Option<&Image>,
    instance_type: Option<&InstanceType>,
) -> Vec<String> {
    let own = instance
        .devices
        .iter()
        .filter(|d| d.volume.is_none())
        .map(|d| d.name.clone());
    let mut devices: Vec<String> = own.collect();
    if let Some(kind) = instance_type.filter(|kind| kind.nvme) {
        let disks =
            (1..=kind.disks).map(|n| format!("NVMe disk {n} of {} ({})", kind.disks, kind.name));
        if devices.is_empty() {
            devices.extend(disks);
        }
        return devices;
    }
    // A type without such disks ignores the mappings.
    let limit = instance_type.map_or(usize::MAX, |kind| kind.disks as usize);
    let mapped = image
        .into_iter()
        .flat_map(|image| &image.mappings)
        .filter_map(|mapping| match &mapping.target {
            MappingTarget::InstanceStore(name) => Some((mapping.device.as_str(), name)),
            MappingTarget::Ebs(_) | MappingTarget::NoDevice | MappingTarget::Unknown => None,
        });
    for (device, name) in mapped.take(limit) {
        if !devices.iter().any(|known| known == device) {
            devices.push(format!("{device} ({name})"));
        }
    }
    devices
}
