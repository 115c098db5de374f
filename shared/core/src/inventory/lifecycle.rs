//! What an instance tells of its last change of state.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::{Instance, InstanceState};

/// The tag that EC2 Auto Scaling puts on the instances of a group (Auto Scaling User Guide, "Tag
/// Auto Scaling groups and instances").
const GROUP: &str = "aws:autoscaling:groupName";

/// `StateReason.Code` of an instance that was told to hibernate (EC2 API Reference, `StateReason`).
const HIBERNATED: &str = "Client.UserInitiatedHibernate";
/// Codes of an instance that was shut down, and so did not hibernate (same place).
const SHUT_DOWN: [&str; 3] = [
    "Client.UserInitiatedShutdown",
    "Client.InstanceInitiatedShutdown",
    "Server.ScheduledStop",
];
/// Codes of an instance that EC2 stopped or terminated to reclaim Spot capacity (same place).
const RECLAIMED: [&str; 2] = [
    "Server.SpotInstanceShutdown",
    "Server.SpotInstanceTermination",
];

/// What `DescribeInstances` tells of an instance's last change of state. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lifecycle {
    /// Whether the instance is enabled for hibernation (`HibernationOptions.Configured`).
    pub hibernation: bool,
    /// `StateReason.Code`.
    pub code: Option<String>,
    /// `StateTransitionReason`, words such as `User initiated (2026-03-02 10:00:00 GMT)`; EC2 may
    /// leave it empty.
    pub words: Option<String>,
}

impl Instance {
    /// When the last change of state was, by EC2's own words; none where they tell no time, which
    /// they need not. Nothing may rest on it but the question whether an event is still to come.
    #[must_use]
    pub fn changed(&self) -> Option<Timestamp> {
        let words = self.lifecycle.words.as_deref()?;
        let (_, inside) = words.split_once('(')?;
        let time = inside.split_once(')')?.0.strip_suffix(" GMT")?;
        let time = DateTime::strptime("%Y-%m-%d %H:%M:%S", time).ok()?;
        Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
    }

    /// Whether it is stopped and its memory may lie on its root volume: the disks are then those of
    /// a running machine. One that may hibernate and does not say why it stopped may have done so.
    #[must_use]
    pub fn may_be_hibernated(&self) -> bool {
        if self.state != InstanceState::Stopped {
            return false;
        }
        let code = self.lifecycle.code.as_deref();
        let shut_down = code.is_some_and(|code| SHUT_DOWN.contains(&code));
        code == Some(HIBERNATED) || (self.lifecycle.hibernation && !shut_down)
    }

    /// Whether EC2 stopped or terminated it to reclaim Spot capacity.
    #[must_use]
    pub fn was_reclaimed(&self) -> bool {
        let code = self.lifecycle.code.as_deref();
        code.is_some_and(|code| RECLAIMED.contains(&code))
    }

    /// Whether it is on its way out or gone.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        matches!(
            self.state,
            InstanceState::ShuttingDown | InstanceState::Terminated
        )
    }

    /// The Auto Scaling group that it belongs to.
    #[must_use]
    pub fn auto_scaling_group(&self) -> Option<&str> {
        self.tags.get(GROUP).map(String::as_str)
    }
}
