//! What the environment says, and the policy file it names.

use std::path::PathBuf;

use holdfast_core::policy::PolicyFile;
use holdfast_core::report::Mode;
use jiff::{SignedDuration, Timestamp};

use crate::error::RunError;

/// Names the DynamoDB table.
pub const TABLE: &str = "HOLDFAST_TABLE";
/// Names the policy file.
pub const POLICIES: &str = "HOLDFAST_POLICIES";
/// `plan` or `enforce`.
pub const MODE: &str = "HOLDFAST_MODE";
/// Where the policy layer puts the file.
pub const DEFAULT_POLICIES: &str = "/opt/holdfast/policies.yaml";

/// For how long after its last slot a schedule that has run out is not yet an error.
const LAST_SLOT: SignedDuration = SignedDuration::from_hours(24);

/// The settings of a function.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The DynamoDB table.
    pub table: String,
    /// The policy file.
    pub policies: PathBuf,
    /// Whether the sweep may delete.
    pub mode: Mode,
}

impl Settings {
    /// Reads the environment.
    ///
    /// # Errors
    /// [`RunError::Setting`] names the variable that is missing or wrong.
    pub fn from_environment() -> Result<Self, RunError> {
        let table = table()?;
        let policies =
            std::env::var_os(POLICIES).map_or_else(|| DEFAULT_POLICIES.into(), PathBuf::from);
        let mode = match std::env::var(MODE).ok().as_deref() {
            None | Some("" | "plan") => Mode::Plan,
            Some("enforce") => Mode::Enforce,
            Some(other) => {
                return Err(RunError::Setting {
                    name: MODE,
                    problem: format!("is {other:?}; it must be plan or enforce"),
                });
            }
        };
        Ok(Self {
            table,
            policies,
            mode,
        })
    }

    /// Reads and checks the policy file.
    ///
    /// A schedule must have slots after `now`, but one that ran out within the last day still
    /// counts: its last slot is made by a heartbeat at or after that slot.
    ///
    /// # Errors
    /// [`RunError::PolicyFile`] and [`RunError::Policies`].
    pub fn load_policies(&self, now: Timestamp) -> Result<PolicyFile, RunError> {
        load_policies(&self.policies, now - LAST_SLOT)
    }
}

/// The table that the environment names.
///
/// # Errors
/// [`RunError::Setting`] when it names none.
pub fn table() -> Result<String, RunError> {
    let name = std::env::var(TABLE).ok().filter(|name| !name.is_empty());
    name.ok_or_else(|| RunError::Setting {
        name: TABLE,
        problem: "is not set; set it to the name of Holdfast's DynamoDB table".into(),
    })
}

/// Reads and checks a policy file, whose schedules must have slots after `now`.
///
/// # Errors
/// [`RunError::PolicyFile`] and [`RunError::Policies`].
pub fn load_policies(path: &std::path::Path, now: Timestamp) -> Result<PolicyFile, RunError> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| RunError::PolicyFile {
        path: shown.clone(),
        source,
    })?;
    Ok(PolicyFile::parse(&shown, &text, now)?)
}
