//! EC2 Fleets, Spot Fleet requests and Spot Instance requests.

use std::borrow::Cow;

use holdfast_core::id::InstanceId;
use holdfast_core::inventory::Tags;
use jiff::Timestamp;

use crate::filter::Filterable;
use crate::model::device::BlockDevice;
use crate::model::launch_template::TemplateData;
use crate::model::spell;
use crate::request::LaunchTemplateReference;

/// What a fleet or group launches instead of its template's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaunchOverride {
    /// Such as `m5.large`.
    pub instance_type: Option<String>,
    /// An AMI; EC2 Fleets and Auto Scaling groups only.
    pub image: Option<String>,
    /// Block-device mapping; EC2 Fleets only.
    pub mappings: Vec<BlockDevice>,
    /// Another launch template; Auto Scaling groups only.
    pub template: Option<LaunchTemplateReference>,
}

/// A launch template with overrides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateChoice {
    /// The launch template.
    pub template: LaunchTemplateReference,
    /// What differs from it.
    pub overrides: Vec<LaunchOverride>,
}

/// An EC2 Fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// Its identifier, `fleet-…`.
    pub id: String,
    /// `submitted`, `active`, `deleted`, `failed`, `deleted_running`, `deleted_terminating` or
    /// `modifying`.
    pub state: String,
    /// `request`, `maintain` or `instant`.
    pub kind: String,
    /// When it was made.
    pub created: Timestamp,
    /// What it launches.
    pub choices: Vec<TemplateChoice>,
    /// Its tags.
    pub tags: Tags,
}

impl Filterable for Fleet {
    const NAMES: &'static [&'static str] = &["fleet-state", "type"];

    fn values(&self, name: &str) -> Vec<Cow<'_, str>> {
        match name {
            // Filters have hyphens where answers have underscores `[B]`.
            "fleet-state" => vec![Cow::Owned(self.state.replace('_', "-"))],
            "type" => vec![Cow::Borrowed(&self.kind)],
            _ => Vec::new(),
        }
    }

    fn filter_tags(&self) -> Option<&Tags> {
        None
    }
}

/// A Spot Fleet request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpotFleet {
    /// Its identifier, `sfr-…`.
    pub id: String,
    /// `submitted`, `active`, `cancelled`, `failed`, `cancelled_running`, `cancelled_terminating`
    /// or `modifying`.
    pub state: String,
    /// When it was made.
    pub created: Timestamp,
    /// What it launches without a launch template.
    pub specifications: Vec<TemplateData>,
    /// What it launches by launch templates.
    pub choices: Vec<TemplateChoice>,
    /// Its tags.
    pub tags: Tags,
}

/// A Spot Instance request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpotRequest {
    /// Its identifier, `sir-…`.
    pub id: String,
    /// `open`, `active`, `closed`, `cancelled`, `failed` or `disabled`.
    pub state: String,
    /// `one-time` or `persistent`.
    pub kind: String,
    /// When it was made.
    pub created: Timestamp,
    /// What it launches.
    pub specification: TemplateData,
    /// The instance that fulfilled it.
    pub instance: Option<InstanceId>,
    /// Its tags.
    pub tags: Tags,
}

impl Filterable for SpotRequest {
    const NAMES: &'static [&'static str] = &[
        "create-time",
        "instance-id",
        "launch.block-device-mapping.snapshot-id",
        "launch.image-id",
        "launch.instance-type",
        "spot-instance-request-id",
        "state",
        "type",
    ];

    fn values(&self, name: &str) -> Vec<Cow<'_, str>> {
        let some = |text: &'_ Option<String>| text.iter().cloned().map(Cow::Owned).collect();
        match name {
            "create-time" => vec![Cow::Owned(spell(self.created))],
            "instance-id" => self
                .instance
                .iter()
                .map(|i| Cow::Borrowed(i.as_str()))
                .collect(),
            "launch.block-device-mapping.snapshot-id" => self
                .specification
                .mappings
                .iter()
                .filter_map(BlockDevice::snapshot)
                .map(|s| Cow::Borrowed(s.as_str()))
                .collect(),
            "launch.image-id" => some(&self.specification.image),
            "launch.instance-type" => some(&self.specification.instance_type),
            "spot-instance-request-id" => vec![Cow::Borrowed(&self.id)],
            "state" => vec![Cow::Borrowed(&self.state)],
            "type" => vec![Cow::Borrowed(&self.kind)],
            _ => Vec::new(),
        }
    }

    fn filter_tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }
}
