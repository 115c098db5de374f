//! Restoring: what would be made of which backup, and the making of it.
//!
//! A repeated command makes nothing twice. What an earlier run made is found by the tag that it
//! carries, and EC2 knows the client token of a call whose effect is not listed yet: each covers the
//! other's gap, for lists lag behind and how long EC2 remembers the token of a volume is documented
//! nowhere (unverified; for instances, EC2 Developer Guide, "Ensuring idempotency").

mod carry_out;
mod gather;
mod image;
mod record;
mod set;
mod volume;

pub use carry_out::{Done, Made, Pace, Step, carry_out};
pub use gather::Reads;
pub use image::{ImageFrom, instance};
pub use set::{SetFrom, set};
pub use volume::{VolumeFrom, volume};

use holdfast_core::plan::restore::{InstancePlan, Origin, Passed, VolumePlan};
use holdfast_core::report::Reason;

/// Something that would be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// A volume.
    Volume(VolumePlan),
    /// An instance, or a version of a launch template.
    Instance(InstancePlan),
}

impl Plan {
    /// What it is made from.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        match self {
            Self::Volume(plan) => &plan.origin,
            Self::Instance(plan) => &plan.origin,
        }
    }

    /// What the person should know.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        match self {
            Self::Volume(plan) => &plan.notes,
            Self::Instance(plan) => &plan.notes,
        }
    }
}

/// What a restore would come to. Either there are plans, or there is a refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prospect {
    /// What would be made.
    pub plans: Vec<Plan>,
    /// What cannot be restored, and why, with what to do instead.
    pub refused: Option<(String, Reason)>,
    /// Newer backups that were passed over, and why.
    pub passed: Vec<Passed>,
    /// What could not be found out, and matters for the one who decides.
    pub doubts: Vec<Reason>,
}

impl Prospect {
    fn refuse(resource: impl Into<String>, reason: Reason) -> Self {
        Self {
            refused: Some((resource.into(), reason)),
            ..Self::default()
        }
    }
}
