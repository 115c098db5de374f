//! The key `exclude` of a selection: what a policy leaves out of what it selects.
//!
//! What EC2 does not tell of a volume excludes it from nothing: a backup too many can be deleted,
//! one too few cannot be made any more.

use std::collections::BTreeSet;

use super::field::{At, Findings};
use super::selection::any_matches;
use super::selector::tags;
use super::{Protect, TagPatterns};
use crate::id::VolumeId;
use crate::inventory::{Instance, Volume};

/// Every volume type (`VolumeType`, EC2 API Reference).
const VOLUME_TYPES: [&str; 7] = ["gp2", "gp3", "io1", "io2", "sc1", "st1", "standard"];

/// The size of the largest volumes, in GiB (EBS User Guide, "Amazon EBS volume types").
const LARGEST_GIB: u32 = 65_536;

/// What a policy leaves out: a volume that any of these names.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Exclude {
    /// Any of these tags on a volume or its instance.
    pub tags: TagPatterns,
    /// Root volumes.
    pub boot_volumes: bool,
    /// Volumes that are attached to an instance and not its root. One that is attached to nothing
    /// is neither a root nor a data volume.
    pub data_volumes: bool,
    /// Volumes of these types, in EC2's spelling.
    pub volume_types: BTreeSet<String>,
    /// Volumes of more than so many GiB, as provisioned.
    pub larger_than_gib: Option<u32>,
    /// Volumes of fewer than so many GiB, as provisioned.
    pub smaller_than_gib: Option<u32>,
}

impl Exclude {
    /// Whether a volume is left out for what it is by itself, whatever it is attached to.
    #[must_use]
    pub fn excludes(&self, volume: &Volume) -> bool {
        let of_type = volume.volume_type.as_ref();
        let gib = volume.size_gib.and_then(|gib| u32::try_from(gib).ok());
        let beyond = |bound: Option<u32>, is: fn(&u32, &u32) -> bool| {
            gib.zip(bound).is_some_and(|(gib, bound)| is(&gib, &bound))
        };
        any_matches(&self.tags, &volume.tags)
            || of_type.is_some_and(|one| self.volume_types.contains(one))
            || beyond(self.larger_than_gib, u32::gt)
            || beyond(self.smaller_than_gib, u32::lt)
    }

    /// Whether a volume is left out for what it is to `instance`, to which it is attached.
    /// `volume` is its description, where it is listed.
    #[must_use]
    pub fn excludes_on(&self, instance: &Instance, id: &VolumeId, volume: Option<&Volume>) -> bool {
        let boot = self.boot_volumes && instance.root_volume() == Some(id);
        boot || (self.data_volumes && !may_be_root(instance, id, volume))
    }
}

/// Whether a volume is the root of `instance` by the account of either.
fn may_be_root(instance: &Instance, id: &VolumeId, volume: Option<&Volume>) -> bool {
    let root = instance.root_device.as_deref();
    let mut attachments = volume.into_iter().flat_map(|volume| &volume.attachments);
    instance.root_volume() == Some(id)
        || attachments.any(|a| a.instance == instance.id && Some(a.device.as_str()) == root)
}

/// Reads `exclude`; `volumes` is whether the policy selects volumes by themselves.
pub(super) fn exclude(
    at: &At<'_>,
    protect: Option<Protect>,
    volumes: bool,
    found: &mut Findings,
) -> Exclude {
    let mut exclude = Exclude::default();
    let expected = "exclusions such as { tags: { Scratch: \"*\" }, boot_volumes: true }";
    let known = [
        "tags",
        "boot_volumes",
        "data_volumes",
        "volume_types",
        "larger_than_gib",
        "smaller_than_gib",
    ];
    let Some(fields) = at.fields(found, &known, expected) else {
        return exclude;
    };
    if let Some(patterns) = fields.get("tags").and_then(|at| tags(at, found)) {
        exclude.tags = patterns;
    }
    if let Some(at) = fields.get("boot_volumes")
        && let Some(boot) = at.boolean(found)
    {
        if boot && protect == Some(Protect::Instances) {
            let message = "an AMI needs its root volume; leave it out with protect: instances";
            at.error(found, message);
        }
        exclude.boot_volumes = boot;
    }
    if let Some(at) = fields.get("data_volumes")
        && let Some(data) = at.boolean(found)
    {
        if data && exclude.boot_volumes && protect == Some(Protect::Volumes) && !volumes {
            let message = "leaves nothing to back up beside boot_volumes: true; drop one of them";
            at.error(found, message);
        }
        exclude.data_volumes = data;
    }
    if let Some(at) = fields.get("volume_types") {
        exclude.volume_types = volume_types(at, found);
    }
    if let Some(at) = fields.get("larger_than_gib") {
        exclude.larger_than_gib = at.integer(found, 1, LARGEST_GIB - 1);
    }
    if let Some(at) = fields.get("smaller_than_gib") {
        exclude.smaller_than_gib = at.integer(found, 2, LARGEST_GIB);
        let bounds = exclude.smaller_than_gib.zip(exclude.larger_than_gib);
        if bounds.is_some_and(|(least, most)| least > most) {
            let message = "leaves no size to back up beside larger_than_gib; a volume is taken \
                           from smaller_than_gib to larger_than_gib, both included";
            at.error(found, message);
        }
    }
    exclude
}

fn volume_types(at: &At<'_>, found: &mut Findings) -> BTreeSet<String> {
    let expected = "a list such as [st1, sc1]";
    let known = VOLUME_TYPES.map(|name| (name, name));
    let mut types = BTreeSet::new();
    let Some(items) = at.list(found, expected) else {
        return types;
    };
    if items.is_empty() {
        let message = "an empty list excludes nothing; write at least one type, or drop the key";
        at.error(found, message);
    }
    for item in items {
        let Some(name) = item.choice(found, &known) else {
            continue;
        };
        if !types.insert(name.to_owned()) {
            item.error(found, "is in the list already");
        }
    }
    if types.len() == VOLUME_TYPES.len() {
        let message = "leaves nothing to back up: these are all types there are; for AMIs of the \
                       root volume alone write data_volumes: true";
        at.error(found, message);
    }
    types
}
