//! What launches machines by itself, or says what they are launched from: launch configurations,
//! Auto Scaling groups, fleets and Spot requests.

use crate::id::SnapshotId;

/// What kind of referrer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReferrerKind {
    /// A launch configuration.
    LaunchConfiguration,
    /// An Auto Scaling group. What an instance refresh of its own that is under way brings in is
    /// among what it names.
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

/// Whether an instance refresh in this state (`InstanceRefreshStatus`, Auto Scaling API Reference)
/// launches nothing any more. One in a state that Holdfast does not know still may.
#[must_use]
pub fn refresh_is_over(status: &str) -> bool {
    matches!(
        status,
        "Successful" | "Failed" | "Cancelled" | "RollbackFailed" | "RollbackSuccessful"
    )
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

#[cfg(test)]
mod tests {
    use super::refresh_is_over;

    #[test]
    fn a_refresh_is_over_in_the_states_that_end_it_and_in_no_other() {
        for over in [
            "Successful",
            "Failed",
            "Cancelled",
            "RollbackFailed",
            "RollbackSuccessful",
        ] {
            assert!(refresh_is_over(over), "{over}");
        }
        for under_way in [
            "Pending",
            "InProgress",
            "Cancelling",
            "RollbackInProgress",
            "Baking",
            "successful",
            "",
        ] {
            assert!(!refresh_is_over(under_way), "{under_way:?}");
        }
    }
}
