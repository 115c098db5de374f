//! Decoding of what wakes a function: EventBridge envelopes and plain requests.
//!
//! A missing field is an error that names it; nothing is defaulted here but what the contract
//! calls optional. Unknown keys of an envelope are ignored (AWS adds some), unknown keys of a
//! request are errors (they are typing mistakes).

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use crate::id::InstanceId;
use crate::policy::Trigger;

/// How far in the future an event may lie before it is refused.
pub const MAX_FUTURE: SignedDuration = SignedDuration::from_mins(5);

/// Longest identifier that a request may give its run.
pub const MAX_ID: usize = 128;

/// What was received cannot be acted on; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Neither an envelope nor a request that this function knows.
    #[error("{function} does not know this event: {what}; nothing was changed")]
    Unknown {
        /// The function.
        function: &'static str,
        /// What was received, in short.
        what: String,
    },
    /// A known event with a part missing or of a wrong shape.
    #[error("{what}: {problem}; nothing was changed")]
    Malformed {
        /// The kind of event.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// `now` lies more than five minutes ahead of the clock.
    #[error(
        "now is {now}, more than five minutes after the clock's {wall}; refused without dry_run"
    )]
    Future {
        /// The event's time.
        now: Timestamp,
        /// The wall clock.
        wall: Timestamp,
    },
}

/// What an envelope tells beside its detail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The event's `time`, UTC.
    pub time: Timestamp,
    /// The account the event comes from.
    pub account: Option<String>,
    /// The Region it comes from.
    pub region: Option<String>,
}

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

#[derive(Deserialize)]
struct Envelope {
    source: String,
    #[serde(rename = "detail-type")]
    detail_type: String,
    time: Option<String>,
    account: Option<String>,
    region: Option<String>,
    #[serde(default)]
    detail: Value,
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

/// Refuses a `now` that lies too far ahead of the wall clock.
///
/// # Errors
/// [`EventError::Future`], unless `dry_run`.
pub fn check_now(now: Timestamp, wall: Timestamp, dry_run: bool) -> Result<(), EventError> {
    if !dry_run && now.duration_since(wall) > MAX_FUTURE {
        return Err(EventError::Future { now, wall });
    }
    Ok(())
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

fn envelope(function: &'static str, payload: &Value) -> Result<Option<Envelope>, EventError> {
    let Value::Object(map) = payload else {
        let what = format!("not a JSON object but {}", kind(payload));
        return Err(EventError::Unknown { function, what });
    };
    if !map.contains_key("detail-type") {
        if map.contains_key("source") || map.contains_key("Records") {
            let keys: Vec<&str> = map.keys().map(String::as_str).take(12).collect();
            let what = format!("an object with the keys {}", keys.join(", "));
            return Err(EventError::Unknown { function, what });
        }
        return Ok(None);
    }
    Envelope::deserialize(payload)
        .map(Some)
        .map_err(|e| EventError::Malformed {
            what: "an EventBridge envelope".into(),
            problem: e.to_string(),
        })
}

fn request<T: for<'a> Deserialize<'a>>(payload: &Value, what: &str) -> Result<T, EventError> {
    T::deserialize(payload).map_err(|e| EventError::Malformed {
        what: what.into(),
        problem: e.to_string(),
    })
}

impl Envelope {
    fn malformed(&self, problem: impl Into<String>) -> EventError {
        EventError::Malformed {
            what: format!("{} of {}", self.detail_type, self.source),
            problem: problem.into(),
        }
    }

    fn unknown(&self, function: &'static str) -> EventError {
        EventError::Unknown {
            function,
            what: format!("{} of {}", self.detail_type, self.source),
        }
    }

    fn origin(&self) -> Result<Origin, EventError> {
        let time = self
            .time
            .as_deref()
            .ok_or_else(|| self.malformed("time is missing"))?;
        let time = time
            .parse()
            .map_err(|e| self.malformed(format!("time {time:?} is not RFC 3339: {e}")))?;
        Ok(Origin {
            time,
            account: self.account.clone(),
            region: self.region.clone(),
        })
    }

    fn text(&self, key: &str) -> Result<String, EventError> {
        match self.detail.get(key) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => {
                Err(self.malformed(format!("detail.{key} is {}, not a string", kind(other))))
            }
            None => Err(self.malformed(format!("detail.{key} is missing"))),
        }
    }

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

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_scheduler_envelope_whose_detail_is_a_string_is_a_heartbeat() {
        let event = json!({ "version": "0", "id": "1", "detail-type": "Scheduled Event",
            "source": "aws.scheduler", "account": "123456789012", "time": "2026-11-23T03:00:00Z",
            "region": "eu-central-1", "resources": [], "detail": "{}" });
        let Ok(CreateEvent::Heartbeat(origin)) = create("create-snapshots", &event) else {
            panic!("not a heartbeat");
        };
        assert_eq!(origin.account.as_deref(), Some("123456789012"));
    }

    #[test]
    fn an_event_of_another_service_is_named_in_the_error() {
        let event = json!({ "detail-type": "Object Created", "source": "aws.s3", "detail": {} });
        let error = create("create-snapshots", &event).unwrap_err().to_string();
        assert!(error.contains("Object Created of aws.s3"), "{error}");
    }

    #[test]
    fn a_misspelt_key_of_a_request_is_an_error_and_not_ignored() {
        let error = create(
            "create-snapshots",
            &json!({ "run": "nightly", "dryrun": true }),
        );
        assert!(error.unwrap_err().to_string().contains("dryrun"));
        let error = sweep("sweep-retention", &json!({ "policy": "nightly" }));
        assert!(error.unwrap_err().to_string().contains("policy"));
    }

    #[test]
    fn an_identifier_that_cannot_be_a_tag_value_is_refused() {
        for id in ["", "a b", "ticket#7", &"x".repeat(129)] {
            let request = json!({ "run": "nightly", "id": id });
            assert!(create("create-snapshots", &request).is_err(), "{id:?}");
        }
        let request = json!({ "run": "nightly", "id": "ticket-7/2026:a" });
        assert!(create("create-snapshots", &request).is_ok());
    }

    #[test]
    fn a_state_that_is_no_trigger_is_an_event_with_nothing_to_do() {
        let event = json!({ "detail-type": "EC2 Instance State-change Notification",
            "source": "aws.ec2", "time": "2026-11-23T03:00:00Z",
            "detail": { "instance-id": "i-0aaa", "state": "pending" } });
        let Ok(CreateEvent::StateChange { trigger, .. }) = create("create-snapshots", &event)
        else {
            panic!("not a state change");
        };
        assert_eq!(trigger, None);
    }

    #[test]
    fn five_minutes_ahead_is_accepted_and_more_is_not() {
        let wall: Timestamp = "2026-11-23T03:00:00Z".parse().unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert!(check_now(at("2026-11-23T03:05:00Z"), wall, false).is_ok());
        assert!(check_now(at("2026-11-23T03:05:01Z"), wall, false).is_err());
        assert!(check_now(at("2027-11-23T03:05:01Z"), wall, true).is_ok());
    }
}
