//! Holdfast's functions as a command reaches them: deployed, or in this process.

mod answer;
mod deployed;
mod local;

pub use answer::Answer;
pub use deployed::invoke;
pub use local::handle;

use holdfast::policy::Protect;
use holdfast::{check, create, sweep};

use crate::failure::Failure;

/// One of the four functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// create-snapshots.
    CreateSnapshots,
    /// create-images.
    CreateImages,
    /// sweep-retention.
    SweepRetention,
    /// check-dependencies.
    CheckDependencies,
}

impl Function {
    const ALL: [Self; 4] = [
        Self::CreateSnapshots,
        Self::CreateImages,
        Self::SweepRetention,
        Self::CheckDependencies,
    ];

    /// The one that makes what a policy protects its sources by.
    #[must_use]
    pub fn creating(protect: Protect) -> Self {
        match protect {
            Protect::Volumes => Self::CreateSnapshots,
            Protect::Instances => Self::CreateImages,
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// Its name in events and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CreateSnapshots => create::SNAPSHOTS,
            Self::CreateImages => create::IMAGES,
            Self::SweepRetention => sweep::FUNCTION,
            Self::CheckDependencies => check::FUNCTION,
        }
    }

    /// The environment variable that names the deployed one: CloudFormation chooses its name.
    fn variable(self) -> &'static str {
        match self {
            Self::CreateSnapshots => "HOLDFAST_FUNCTION_CREATE_SNAPSHOTS",
            Self::CreateImages => "HOLDFAST_FUNCTION_CREATE_IMAGES",
            Self::SweepRetention => "HOLDFAST_FUNCTION_SWEEP_RETENTION",
            Self::CheckDependencies => "HOLDFAST_FUNCTION_CHECK_DEPENDENCIES",
        }
    }

    /// The stack's output that has its ARN.
    fn output(self) -> &'static str {
        match self {
            Self::CreateSnapshots => "CreateSnapshotsArn",
            Self::CreateImages => "CreateImagesArn",
            Self::SweepRetention => "SweepRetentionArn",
            Self::CheckDependencies => "CheckDependenciesArn",
        }
    }

    /// The name or ARN of the deployed one: as given, else as the environment says.
    ///
    /// # Errors
    /// Neither says it.
    pub fn deployed(self, given: Option<&str>) -> Result<String, Failure> {
        if let Some(given) = given {
            return Ok(given.to_owned());
        }
        let variable = self.variable();
        let set = std::env::var(variable).ok().filter(|name| !name.is_empty());
        set.ok_or_else(|| {
            Failure::usage(format!(
                "nobody said which Lambda function {} is; name it with --function, or set \
                 {variable}, to the stack's output {}",
                self.name(),
                self.output()
            ))
        })
    }
}
