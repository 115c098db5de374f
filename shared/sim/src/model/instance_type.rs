//! Instance types: what matters about them here is their instance-store disks.

use std::borrow::Cow;
use std::collections::BTreeMap;

use holdfast_core::inventory::Tags;

use crate::filter::Filterable;

/// An instance type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceTypeInfo {
    /// Such as `m5d.large`.
    pub name: String,
    /// Number of instance-store disks.
    pub disks: u32,
    /// Size of each disk in GB.
    pub disk_gb: u32,
    /// `ssd` or `hdd`.
    pub disk_kind: String,
    /// Whether the disks are NVMe and so attach whatever the AMI maps.
    pub nvme: bool,
    /// Whether the generation is current.
    pub current: bool,
}

/// A few types as EC2 describes them (instance type pages, 2026). More can be added.
pub(crate) fn known() -> BTreeMap<String, InstanceTypeInfo> {
    let rows: [(&str, u32, u32, &str, bool, bool); 7] = [
        ("i3.large", 1, 475, "ssd", true, true),
        ("m1.large", 2, 420, "hdd", false, false),
        ("m5.large", 0, 0, "ssd", false, true),
        ("m5d.large", 1, 75, "ssd", true, true),
        ("m7g.medium", 0, 0, "ssd", false, true),
        ("r5.xlarge", 0, 0, "ssd", false, true),
        ("t3.micro", 0, 0, "ssd", false, true),
    ];
    rows.into_iter()
        .map(|(name, disks, disk_gb, kind, nvme, current)| {
            (
                name.to_owned(),
                InstanceTypeInfo {
                    name: name.to_owned(),
                    disks,
                    disk_gb,
                    disk_kind: kind.to_owned(),
                    nvme,
                    current,
                },
            )
        })
        .collect()
}

impl Filterable for InstanceTypeInfo {
    const NAMES: &'static [&'static str] = &[
        "current-generation",
        "instance-storage-supported",
        "instance-type",
    ];

    fn values(&self, name: &str) -> Vec<Cow<'_, str>> {
        let truth = |b: bool| Cow::Borrowed(if b { "true" } else { "false" });
        match name {
            "current-generation" => vec![truth(self.current)],
            "instance-storage-supported" => vec![truth(self.disks > 0)],
            "instance-type" => vec![Cow::Borrowed(&self.name)],
            _ => Vec::new(),
        }
    }

    fn filter_tags(&self) -> Option<&Tags> {
        None
    }
}
