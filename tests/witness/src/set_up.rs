//! What scenarios set their stage with: the same API calls for both sides.

use aws_sdk_ec2::types::{
    BlockDeviceMapping, EbsBlockDevice, Filter, InstanceType, ResourceType, Tag, TagSpecification,
    VolumeType,
};

use crate::stage::{Stage, Stop, ZONE, made};

/// Size of every volume that does not say otherwise, in GiB.
pub(crate) const SIZE: i32 = 8;

/// Root device of every image; the one name that moto's registered images have.
pub(crate) const ROOT: &str = "/dev/sda1";

/// A well-formed identifier that nothing has, behind its prefix.
pub(crate) const NOTHING: &str = "0123456789abcdef0";

/// An instance that is running, and its volumes, the root volume first.
pub(crate) struct Machine {
    pub(crate) id: String,
    pub(crate) image: String,
    pub(crate) volumes: Vec<String>,
}

/// A tag.
pub(crate) fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

/// Tags for what a call creates.
pub(crate) fn tagged(kind: ResourceType, tags: &[(&str, &str)]) -> TagSpecification {
    TagSpecification::builder()
        .resource_type(kind)
        .set_tags(Some(tags.iter().map(|(k, v)| tag(k, v)).collect()))
        .build()
}

/// A filter.
pub(crate) fn filter(name: &str, values: &[&str]) -> Filter {
    Filter::builder()
        .name(name)
        .set_values(Some(values.iter().map(|v| (*v).to_owned()).collect()))
        .build()
}

/// A device made from a snapshot.
pub(crate) fn from_snapshot(device: &str, snapshot: &str) -> BlockDeviceMapping {
    BlockDeviceMapping::builder()
        .device_name(device)
        .ebs(EbsBlockDevice::builder().snapshot_id(snapshot).build())
        .build()
}

/// A new device that goes with its instance.
fn new_device(device: &str) -> BlockDeviceMapping {
    let ebs = EbsBlockDevice::builder()
        .volume_size(SIZE)
        .delete_on_termination(true)
        .build();
    BlockDeviceMapping::builder()
        .device_name(device)
        .ebs(ebs)
        .build()
}

/// Tags in the order of their keys, as `a=1 b=2`; `none` where there are none.
pub(crate) fn spell(tags: &[Tag]) -> String {
    let mut all: Vec<String> = tags
        .iter()
        .map(|t| format!("{}={}", t.key().unwrap_or("?"), t.value().unwrap_or("?")))
        .collect();
    all.sort();
    if all.is_empty() {
        "none".to_owned()
    } else {
        all.join(" ")
    }
}

/// Words in alphabetical order, each once with its count: `2 completed, 1 error`; `none`.
pub(crate) fn counted<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> String {
    let mut counts = std::collections::BTreeMap::new();
    for word in words {
        *counts.entry(word.as_ref().to_owned()).or_insert(0_usize) += 1;
    }
    let all: Vec<String> = counts.iter().map(|(w, n)| format!("{n} {w}")).collect();
    if all.is_empty() {
        "none".to_owned()
    } else {
        all.join(", ")
    }
}

/// `yes` or `no`.
pub(crate) fn yes(truth: bool) -> &'static str {
    if truth { "yes" } else { "no" }
}

/// What an answer must have for the next call.
pub(crate) fn got(value: Option<&str>, what: &'static str) -> Result<String, Stop> {
    value.map(str::to_owned).ok_or(Stop::Lacking(what))
}

impl Stage {
    /// A new, unattached volume.
    pub(crate) async fn volume(&self) -> Result<String, Stop> {
        let call = self.ec2.create_volume().availability_zone(ZONE).size(SIZE);
        let volume = made(call.volume_type(VolumeType::Gp3).send().await)?;
        self.settle();
        got(volume.volume_id(), "volume id")
    }

    /// A completed snapshot of a volume.
    pub(crate) async fn snapshot_of(&self, volume: &str) -> Result<String, Stop> {
        let snapshot = made(self.ec2.create_snapshot().volume_id(volume).send().await)?;
        self.settle();
        got(snapshot.snapshot_id(), "snapshot id")
    }

    /// A completed snapshot of a new volume, with tags.
    pub(crate) async fn snapshot(&self, tags: &[(&str, &str)]) -> Result<String, Stop> {
        let volume = self.volume().await?;
        let mut call = self.ec2.create_snapshot().volume_id(volume);
        if !tags.is_empty() {
            call = call.tag_specifications(tagged(ResourceType::Snapshot, tags));
        }
        let snapshot = made(call.send().await)?;
        self.settle();
        got(snapshot.snapshot_id(), "snapshot id")
    }

    /// An image registered over a snapshot.
    pub(crate) async fn register(&self, name: &str, snapshot: &str) -> Result<String, Stop> {
        let call = self.ec2.register_image().name(name).root_device_name(ROOT);
        let call = call.block_device_mappings(from_snapshot(ROOT, snapshot));
        got(made(call.send().await)?.image_id(), "image id")
    }

    /// An image registered over a new snapshot.
    pub(crate) async fn image(&self, name: &str) -> Result<String, Stop> {
        let snapshot = self.snapshot(&[]).await?;
        self.register(name, &snapshot).await
    }

    /// A running instance of a new image, with so many data volumes.
    pub(crate) async fn instance(&self, data: usize) -> Result<Machine, Stop> {
        let image = self.image("base").await?;
        self.instance_of(&image, data).await
    }

    /// A running instance of an image, with so many data volumes.
    pub(crate) async fn instance_of(&self, image: &str, data: usize) -> Result<Machine, Stop> {
        let mut devices = vec![ROOT.to_owned()];
        devices.extend((1..=data).map(|n| format!("/dev/sdf{n}")));
        let mappings = devices.iter().map(|d| new_device(d)).collect();
        let call = self
            .ec2
            .run_instances()
            .image_id(image)
            .instance_type(InstanceType::M5Large)
            .min_count(1)
            .max_count(1)
            .set_block_device_mappings(Some(mappings));
        let launched = made(call.send().await)?;
        self.settle();
        let id = launched.instances().first().and_then(|i| i.instance_id());
        let id = got(id, "instance id")?;
        let listed = made(self.ec2.describe_instances().instance_ids(&id).send().await)?;
        let mapped: Vec<_> = listed
            .reservations()
            .iter()
            .flat_map(|r| r.instances())
            .flat_map(|i| i.block_device_mappings())
            .collect();
        let mut volumes = Vec::new();
        for device in &devices {
            let volume = mapped
                .iter()
                .find(|m| m.device_name() == Some(device))
                .and_then(|m| m.ebs()?.volume_id());
            volumes.push(got(volume, "volume of the instance")?);
        }
        Ok(Machine {
            id,
            image: image.to_owned(),
            volumes,
        })
    }

    /// An available image of an instance, made by `CreateImage` without a reboot.
    pub(crate) async fn image_of(&self, instance: &str, name: &str) -> Result<String, Stop> {
        let call = self.ec2.create_image().instance_id(instance).name(name);
        let image = made(call.no_reboot(true).send().await)?;
        self.settle();
        got(image.image_id(), "image id")
    }

    /// The snapshots that an image maps, in the order of its devices, the root's first.
    pub(crate) async fn snapshots_of(&self, image: &str) -> Result<Vec<String>, Stop> {
        let listed = made(self.ec2.describe_images().image_ids(image).send().await)?;
        let image = listed.images().first().ok_or(Stop::Lacking("image"))?;
        let root = image.root_device_name();
        let mut mapped: Vec<_> = image
            .block_device_mappings()
            .iter()
            .filter_map(|m| Some((m.device_name(), m.ebs()?.snapshot_id()?.to_owned())))
            .collect();
        mapped.sort_by_key(|(device, _)| (*device != root, device.map(str::to_owned)));
        Ok(mapped.into_iter().map(|(_, s)| s).collect())
    }
}
