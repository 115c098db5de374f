//! Events of the creating functions.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{Envelope, EventError, Origin, envelope, request};
use crate::id::InstanceId;
use crate::policy::Trigger;

/// Longest identifier that a request may give its run.
pub const MAX_ID: usize = 128;

/// What the creating functions are asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateEvent {
    /// Do or resume every slot that is due.
    Heartbeat(Origin),
    /// An instance changed its state.
    StateChange {
        /// Where and when.
        origin: Origin,
        /// The instance.
        instance: InstanceId,
        /// The trigger this state is, if it is one.
        trigger: Option<Trigger>,
        /// EC2's word for the state.
        state: String,
    },
    /// Run one policy now.
    OnDemand(RunRequest),
}

/// `{"run": "POLICY", …}`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    /// The policy.
    pub run: String,
    /// Only these sources.
    #[serde(default)]
    pub resources: Option<Vec<String>>,
    /// Change nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Decide for this time instead of the clock's.
    #[serde(default)]
    pub now: Option<Timestamp>,
    /// Makes a repeated request the same run.
    #[serde(default)]
    pub id: Option<String>,
}

/// Decodes an event of a creating function.
///
/// # Errors
/// [`EventError::Unknown`] and [`EventError::Malformed`].
pub fn create(function: &'static str, payload: &Value) -> Result<CreateEvent, EventError> {
    match envelope(function, payload)? {
        None => {
            let asked: RunRequest = request(payload, r#"a request {"run": …}"#)?;
            check_id(asked.id.as_deref())?;
            Ok(CreateEvent::OnDemand(asked))
        }
        Some(event) => match (event.source.as_str(), event.detail_type.as_str()) {
            ("aws.events" | "aws.scheduler", "Scheduled Event") => {
                Ok(CreateEvent::Heartbeat(event.origin()?))
            }
            ("aws.ec2", "EC2 Instance State-change Notification") => {
                let state = event.text("state")?;
                let trigger = match state.as_str() {
                    "stopped" => Some(Trigger::Stopped),
                    "running" => Some(Trigger::Running),
                    _ => None,
                };
                event.state_change(trigger, state)
            }
            ("aws.ec2", "EC2 Spot Instance Interruption Warning") => {
                let action = event.text("instance-action")?;
                event.state_change(Some(Trigger::SpotInterruption), action)
            }
            _ => Err(event.unknown(function)),
        },
    }
}

/// A run's identifier becomes a tag value and part of a key: EC2's tag characters, and not long.
fn check_id(id: Option<&str>) -> Result<(), EventError> {
    let Some(id) = id else { return Ok(()) };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.:/=+-@".contains(&b);
    if !id.is_empty() && id.len() <= MAX_ID && id.bytes().all(plain) {
        return Ok(());
    }
    Err(EventError::Malformed {
        what: "a request".into(),
        problem: format!(
            "id must be 1 to {MAX_ID} letters, digits or characters of _.:/=+-@, not {id:?}"
        ),
    })
}

impl Envelope {
    fn state_change(
        &self,
        trigger: Option<Trigger>,
        state: String,
    ) -> Result<CreateEvent, EventError> {
        let id = self.text("instance-id")?;
        let instance = InstanceId::parse(&id)
            .ok_or_else(|| self.malformed(format!("{id:?} is not an instance identifier")))?;
        Ok(CreateEvent::StateChange {
            origin: self.origin()?,
            instance,
            trigger,
            state,
        })
    }
}
