//! The demo: a small fleet, six weeks of its backups through the real Lambda binaries, what a sweep
//! then does, and two hours of AMIs of a machine that stops. `make demo` tells it; `make local`
//! starts where it ends, but for the sweeps.
//!
//! What is told is checked against the simulated account and the table; from the reports come the
//! words and the verdicts.

pub mod command;
pub mod fleet;
pub mod golden;
pub mod images;
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

/// How long before the present the weeks end. The AMIs come about in between: the functions refuse
/// a time that is ahead of the machine's clock, and the account's clock only moves forward.
pub const AFTER_THE_WEEKS: SignedDuration = SignedDuration::from_hours(2);

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

/// Where the weeks end that are told at `now`: on a heartbeat's beat, [`AFTER_THE_WEEKS`] before.
#[must_use]
pub fn end(now: Timestamp) -> Timestamp {
    let end = now - AFTER_THE_WEEKS;
    let beat = end.as_second().div_euclid(HEARTBEAT_SECONDS) * HEARTBEAT_SECONDS;
    Timestamp::from_second(beat).unwrap_or(end)
}

/// Where the weeks that end at `end` begin.
#[must_use]
pub fn begin(end: Timestamp) -> Timestamp {
    end - SignedDuration::from_hours(24 * 7 * WEEKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_weeks_end_on_a_beat_of_the_heartbeat_two_hours_before_the_present() {
        for (now, wanted) in [
            ("2026-11-23T07:34:59.5Z", "2026-11-23T05:30:00Z"),
            ("2026-11-23T07:35:00Z", "2026-11-23T05:35:00Z"),
            ("2026-11-23T01:02:03Z", "2026-11-22T23:00:00Z"),
        ] {
            let end = end(now.parse().unwrap());
            assert_eq!(end.to_string(), wanted);
            let passed = end.duration_since(begin(end));
            assert_eq!(passed, SignedDuration::from_hours(6 * 7 * 24));
        }
    }
}
