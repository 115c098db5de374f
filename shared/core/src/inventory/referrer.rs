//! What launches machines by itself, or says what they are launched from: launch configurations,
//! Auto Scaling groups, fleets and Spot requests.

use crate::id::SnapshotId;

/// What kind of referrer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReferrerKind {
    /// A launch configuration.
    LaunchConfiguration,
    /// An Auto Scaling group.
    AutoScalingGroup,
    /// An EC2 Fleet.
    Fleet,
    /// A Spot Fleet request.
    SpotFleet,
    /// A Spot Instance request.
    SpotRequest,
}

/// How a launch template is named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TemplateName {
    /// `lt-…`.
    Id(String),
    /// By its name.
    Name(String),
}

/// A use of a launch template.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TemplateUse {
    /// The template.
    pub template: TemplateName,
    /// `$Latest`, `$Default` or a number; none is the default version.
    pub version: Option<String>,
}

/// One referrer, with all that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// Identifier or name.
    pub id: String,
    /// What kind it is.
    pub kind: ReferrerKind,
    /// Its state as EC2 spells it, where it has one. Whether it still needs what it names is the
    /// reference graph's to decide.
    pub state: Option<String>,
    /// What it names as images itself: AMIs, or `resolve:ssm:…`.
    pub images: Vec<String>,
    /// Snapshots that its block-device mappings name.
    pub snapshots: Vec<SnapshotId>,
    /// Launch templates that it launches from, its overrides included.
    pub templates: Vec<TemplateUse>,
    /// The launch configuration that it launches from.
    pub launch_configuration: Option<String>,
}
