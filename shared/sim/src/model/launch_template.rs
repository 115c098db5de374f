//! Launch templates and their versions.

use std::borrow::Cow;
use std::collections::BTreeMap;

use holdfast_core::id::LaunchTemplateId;
use holdfast_core::inventory::Tags;
use jiff::Timestamp;

use crate::filter::Filterable;
use crate::model::device::BlockDevice;
use crate::model::spell;

/// What a version says of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateData {
    /// An AMI, or `resolve:ssm:…`.
    pub image: Option<String>,
    /// Such as `m5.large`.
    pub instance_type: Option<String>,
    /// Block-device mapping.
    pub mappings: Vec<BlockDevice>,
}

/// One version of a launch template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchTemplateVersion {
    /// The template.
    pub template: LaunchTemplateId,
    /// Its name.
    pub name: String,
    /// Number, from 1.
    pub version: i64,
    /// Whether it is the default version.
    pub default: bool,
    /// Its description.
    pub description: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// What it says.
    pub data: TemplateData,
}

/// A launch template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchTemplate {
    /// Its identifier.
    pub id: LaunchTemplateId,
    /// Its name, unique in account and Region.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// Number of the default version.
    pub default_version: i64,
    /// Number of the latest version.
    pub latest_version: i64,
    /// Its versions by number.
    pub versions: BTreeMap<i64, LaunchTemplateVersion>,
    /// Its tags.
    pub tags: Tags,
    pub(crate) listed_from: Timestamp,
}

impl LaunchTemplate {
    /// The version that `$Latest`, `$Default` or a number names.
    #[must_use]
    pub fn version(&self, name: &str) -> Option<&LaunchTemplateVersion> {
        let number = match name {
            "$Latest" => self.latest_version,
            "$Default" => self.default_version,
            number => number.parse().ok()?,
        };
        self.versions.get(&number)
    }
}

impl Filterable for LaunchTemplate {
    const NAMES: &'static [&'static str] = &["create-time", "launch-template-name"];

    fn values(&self, name: &str) -> Vec<Cow<'_, str>> {
        match name {
            "create-time" => vec![Cow::Owned(spell(self.created))],
            "launch-template-name" => vec![Cow::Borrowed(&self.name)],
            _ => Vec::new(),
        }
    }

    fn filter_tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }
}

impl Filterable for LaunchTemplateVersion {
    const NAMES: &'static [&'static str] = &[
        "create-time",
        "image-id",
        "instance-type",
        "is-default-version",
    ];

    fn values(&self, name: &str) -> Vec<Cow<'_, str>> {
        let text = |t: &'_ Option<String>| t.iter().map(|t| Cow::Owned(t.clone())).collect();
        match name {
            "create-time" => vec![Cow::Owned(spell(self.created))],
            "image-id" => text(&self.data.image),
            "instance-type" => text(&self.data.instance_type),
            "is-default-version" => {
                vec![Cow::Borrowed(if self.default { "true" } else { "false" })]
            }
            _ => Vec::new(),
        }
    }

    fn filter_tags(&self) -> Option<&Tags> {
        None
    }
}
