//! The log of calls, for tests that assert which calls were made.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::chaos::ChaosFault;

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
    /// What chaos did to it.
    pub chaos: Option<ChaosFault>,
}

/// How the calls of one operation ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallTally {
    /// All of them.
    pub calls: usize,
    /// Refused for the rate of requests.
    pub throttled: usize,
    /// Refused for anything else.
    pub refused: usize,
    /// Carried out without an answer.
    pub unanswered: usize,
}

/// Codes of a refusal for the rate of requests: EC2's, Auto Scaling's and Systems Manager's.
const THROTTLED: [&str; 3] = ["RequestLimitExceeded", "Throttling", "ThrottlingException"];

/// Counts calls by operation.
pub(crate) fn tally(calls: &[CallRecord]) -> BTreeMap<String, CallTally> {
    let mut all: BTreeMap<String, CallTally> = BTreeMap::new();
    for call in calls {
        let tally = all.entry(call.operation.clone()).or_default();
        tally.calls += 1;
        match &call.outcome {
            CallOutcome::Answered => {}
            CallOutcome::Refused(code) if THROTTLED.contains(&code.as_str()) => {
                tally.throttled += 1;
            }
            CallOutcome::Refused(_) => tally.refused += 1,
            CallOutcome::ResponseLost | CallOutcome::Hung => tally.unanswered += 1,
        }
    }
    all
}
