//! The log of calls, for tests that assert which calls were made.

use jiff::Timestamp;

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// It was answered.
    Answered,
    /// It was refused with this error code (a dry run: `DryRunOperation`).
    Refused(String),
    /// It was carried out and its response lost.
    ResponseLost,
    /// It was carried out and never answered.
    Hung,
}

/// One call that reached the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRecord {
    /// The service as IAM names it, such as `ec2`.
    pub service: &'static str,
    /// The API operation, such as `CreateSnapshots`.
    pub operation: String,
    /// Identifiers that the request names, in its order.
    pub resources: Vec<String>,
    /// When, on the account's clock.
    pub time: Timestamp,
    /// Identifier of the request.
    pub request_id: String,
    /// How it ended.
    pub outcome: CallOutcome,
}
