//! What a policy says of the references that hold its backups.

use jiff::Timestamp;

use crate::inventory::InstanceState;
use crate::policy::period::Period;
use crate::policy::{EvidenceSource, Policy, TemplateVersions};

/// A policy's words on what holds, at a time.
#[derive(Clone, Copy, Debug)]
pub struct Words<'p> {
    policy: Option<&'p Policy>,
    now: Timestamp,
}

impl<'p> Words<'p> {
    /// The words of `policy` for a decision of `now`; the defaults where no policy governs.
    #[must_use]
    pub fn of(policy: Option<&'p Policy>, now: Timestamp) -> Self {
        Self { policy, now }
    }

    /// Which versions of a launch template hold.
    #[must_use]
    pub fn versions(&self) -> TemplateVersions {
        self.policy
            .map_or(TemplateVersions::All, |p| p.launch_template_versions)
    }

    /// Whether an instance in this state holds the AMI that it was launched from.
    #[must_use]
    pub fn holds(&self, state: &InstanceState) -> bool {
        match state {
            InstanceState::Stopped => self.policy.is_none_or(|p| p.stopped_instances_hold),
            InstanceState::Terminated => self.policy.is_some_and(|p| p.terminated_instances_hold),
            InstanceState::Pending
            | InstanceState::Running
            | InstanceState::Stopping
            | InstanceState::ShuttingDown
            | InstanceState::Unknown(_) => true,
        }
    }

    /// For how long a launch at this time holds, where it still does.
    #[must_use]
    pub fn recent(&self, launched: Timestamp) -> Option<Period> {
        let policy = self.policy?;
        let period = policy.recently_launched?;
        (period.after(launched, &policy.timezone) >= self.now).then_some(period)
    }

    /// Whether the policy needs this source's evidence.
    #[must_use]
    pub fn needs(&self, source: EvidenceSource) -> bool {
        self.policy
            .is_none_or(|p| !p.evidence_not_used.contains(&source))
    }
}
