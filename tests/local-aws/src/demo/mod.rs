//! The demo: a small fleet, six weeks of its backups through the real Lambda binaries, and the
//! story of what a sweep then does. `make demo` tells it, `make local` starts where it ends.
//!
//! What is told is checked against the simulated account, not against the functions' own reports.

pub mod command;
pub mod fleet;
pub mod past;
pub mod report;
pub mod story;
pub mod teller;
pub mod witness;

use std::path::{Path, PathBuf};

use holdfast_core::policy::PolicyErrors;
use holdfast_sim::CallFailure;
use jiff::{SignedDuration, Timestamp};

use crate::lambda::{BinaryNotFound, HostError};
use crate::local::LocalAwsError;

/// How many weeks pass.
pub const WEEKS: i64 = 6;

/// Heartbeats of the creating functions are this far apart (`infra/template.yaml`).
const HEARTBEAT_SECONDS: i64 = 300;

/// The demo could not go on, or something was not as it tells.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The local AWS.
    #[error(transparent)]
    Local(#[from] LocalAwsError),
    /// The Lambda host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A binary that is not built.
    #[error(transparent)]
    Binary(#[from] BinaryNotFound),
    /// The simulated account refused a call of the demo's own.
    #[error("the simulated account: {0}")]
    Call(#[from] CallFailure),
    /// The policy file is wrong.
    #[error(transparent)]
    Policies(#[from] PolicyErrors),
    /// A file, or a process.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Something is not as the demo tells it.
    #[error("not as it should be: {0}")]
    Unexpected(String),
}

/// Fails with `told` unless `holds`.
///
/// # Errors
///
/// [`DemoError::Unexpected`].
pub fn expect(holds: bool, told: impl FnOnce() -> String) -> Result<(), DemoError> {
    if holds {
        Ok(())
    } else {
        Err(DemoError::Unexpected(told()))
    }
}

/// The demo's policy file.
#[must_use]
pub fn policies_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/policies.yaml")
}

/// Where the weeks that end at `end` begin: on a heartbeat's beat.
#[must_use]
pub fn begin(end: Timestamp) -> Timestamp {
    let begin = end - SignedDuration::from_hours(24 * 7 * WEEKS);
    let beat = begin.as_second().div_euclid(HEARTBEAT_SECONDS) * HEARTBEAT_SECONDS;
    Timestamp::from_second(beat).unwrap_or(begin)
}
