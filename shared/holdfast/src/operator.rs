//! The person who waits for a run, where there is one: told how far it is, and able to end it. A Lambda
//! function has none.

use tokio::sync::watch;

/// Who waits for this run.
#[derive(Clone, Debug)]
pub struct Operator {
    /// Tells when they have had enough of it; then nothing new is begun.
    pub interrupted: watch::Receiver<bool>,
    /// Called whenever one thing more is settled: how many are, and how many there are.
    pub told: fn(Settled),
}

/// How far a run is with what it makes or deletes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Sources whose backup was asked for, or backups that were deleted; or not, for a reason that
    /// the report has.
    pub done: usize,
    /// How many there are in all, of the policy and slot or the sweep that is under way.
    pub of: usize,
}
