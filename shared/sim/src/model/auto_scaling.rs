//! Launch configurations and Auto Scaling groups.

use std::borrow::Cow;

use holdfast_core::inventory::Tags;
use jiff::Timestamp;

use crate::filter::Filterable;
use crate::model::device::BlockDevice;
use crate::model::fleet::TemplateChoice;
use crate::request::LaunchTemplateReference;

/// A launch configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchConfiguration {
    /// Its name, unique in account and Region.
    pub name: String,
    /// The identifier in its ARN, a UUID.
    pub unique: String,
    /// The AMI; always there `[B]`.
    pub image: String,
    /// Such as `m5.large`; always there `[B]`.
    pub instance_type: String,
    /// Block-device mapping.
    pub mappings: Vec<BlockDevice>,
    /// When it was made.
    pub created: Timestamp,
}

/// What an Auto Scaling group launches; one of the three.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupLaunch {
    /// A launch configuration, by name.
    Configuration(String),
    /// A launch template.
    Template(LaunchTemplateReference),
    /// A mixed-instances policy.
    Mixed(TemplateChoice),
}

/// An Auto Scaling group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutoScalingGroup {
    /// Its name, unique in account and Region.
    pub name: String,
    /// The identifier in its ARN, a UUID.
    pub unique: String,
    /// What it launches.
    pub launch: GroupLaunch,
    /// Instances it is to have; may be none.
    pub desired: u32,
    /// When it was made.
    pub created: Timestamp,
    /// Its tags.
    pub tags: Tags,
}

/// An instance refresh of an Auto Scaling group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceRefresh {
    /// Its identifier, a UUID.
    pub id: String,
    /// Name of its group.
    pub group: String,
    /// `Pending`, `InProgress`, `Successful`, `Failed`, `Cancelling`, `Cancelled`,
    /// `RollbackInProgress`, `RollbackFailed`, `RollbackSuccessful` or `Baking` `[B]`.
    pub status: String,
    /// What it brings in; none where it replaces instances by what the group launches anyhow.
    pub desired: Option<GroupLaunch>,
    /// When it was started.
    pub started: Timestamp,
}

impl Filterable for AutoScalingGroup {
    const NAMES: &'static [&'static str] = &["tag-value"];

    fn values(&self, name: &str) -> Vec<Cow<'_, str>> {
        match name {
            "tag-value" => self
                .tags
                .values()
                .map(|v| Cow::Borrowed(v.as_str()))
                .collect(),
            _ => Vec::new(),
        }
    }

    fn filter_tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }
}
