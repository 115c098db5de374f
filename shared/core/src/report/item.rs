//! A line of the report, and its reasons.

use jiff::Timestamp;
use serde::Serialize;

use super::{Action, Outcome, ReasonCode};

/// One reason of a verdict.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Reason {
    /// Fixed code, for machines.
    pub code: ReasonCode,
    /// Words, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// From the artifact to what needs it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
}

impl Reason {
    /// A reason without further words.
    #[must_use]
    pub fn of(code: ReasonCode) -> Self {
        Self {
            code,
            detail: None,
            path: Vec::new(),
        }
    }

    /// A reason with words for people.
    pub fn with(code: ReasonCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: Some(detail.into()),
            path: Vec::new(),
        }
    }
}

/// What follows from a verdict for the one who asked to have it explained.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// What would break if the artifact went, one for each path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub breaks: Vec<String>,
    /// What would have to change for it to become deletable, one for each reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remedies: Vec<String>,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// What it is about.
    pub action: Action,
    /// The artifact, or the resource where there is no artifact.
    pub resource: String,
    /// What became of it.
    pub outcome: Outcome,
    /// The policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The volume of a snapshot, the instance of an AMI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The point in time the backup holds, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// The slot it answers, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<Timestamp>,
    /// Why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// `breaks` and `remedies`, which only an explanation has: boxed, because a sweep has an item
    /// for every backup.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub advice: Option<Box<Advice>>,
}

impl Item {
    /// An item with nothing but what every item has.
    pub fn new(action: Action, resource: impl Into<String>, outcome: Outcome) -> Self {
        Self {
            action,
            resource: resource.into(),
            outcome,
            policy: None,
            source: None,
            time: None,
            slot: None,
            reasons: Vec::new(),
            advice: None,
        }
    }

    /// The item with its policy.
    #[must_use]
    pub fn policy(mut self, policy: impl Into<String>) -> Self {
        self.policy = Some(policy.into());
        self
    }

    /// The item with its source.
    #[must_use]
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The item with its slot.
    #[must_use]
    pub fn slot(mut self, slot: Timestamp) -> Self {
        self.slot = Some(slot);
        self
    }

    /// The item with one more reason.
    #[must_use]
    pub fn reason(mut self, reason: Reason) -> Self {
        self.reasons.push(reason);
        self
    }
}
