//! Events of the sweep.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{EventError, Origin, envelope, request};

/// What the sweep is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SweepEvent {
    /// Sweep all policies.
    Heartbeat(Origin),
    /// Sweep as asked.
    Request(SweepRequest),
}

/// `{"run": "POLICY"?, …}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepRequest {
    /// Only this policy.
    #[serde(default)]
    pub run: Option<String>,
    /// Change nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Decide for this time instead of the clock's.
    #[serde(default)]
    pub now: Option<Timestamp>,
    /// Hash of a shown plan whose tripped breaker is released once.
    #[serde(default, rename = "override")]
    pub release: Option<String>,
}

/// Decodes an event of the sweep.
///
/// # Errors
/// [`EventError::Unknown`] and [`EventError::Malformed`].
pub fn sweep(function: &'static str, payload: &Value) -> Result<SweepEvent, EventError> {
    match envelope(function, payload)? {
        None => Ok(SweepEvent::Request(request(payload, "a sweep request")?)),
        Some(event) => match (event.source.as_str(), event.detail_type.as_str()) {
            ("aws.events" | "aws.scheduler", "Scheduled Event") => {
                Ok(SweepEvent::Heartbeat(event.origin()?))
            }
            _ => Err(event.unknown(function)),
        },
    }
}
