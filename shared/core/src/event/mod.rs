//! Decoding of what wakes a function: EventBridge envelopes and plain requests.
//!
//! A missing field is an error that names it; nothing is defaulted here but what the contract
//! calls optional. Unknown keys of an envelope are ignored (AWS adds some), unknown keys of a
//! request are errors (they are typing mistakes).

mod check;
mod create;
mod sweep;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

pub use check::{CheckEvent, MAX_EXPLAINED, check};
pub use create::{CreateEvent, MAX_ID, RunRequest, create};
pub use sweep::{SweepEvent, SweepRequest, sweep};

/// How far in the future an event may lie before it is refused.
pub const MAX_FUTURE: SignedDuration = SignedDuration::from_mins(5);

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

/// Whether a schedule sent it: EventBridge's rule or EventBridge Scheduler.
#[must_use]
pub fn is_heartbeat(payload: &Value) -> bool {
    payload["detail-type"] == "Scheduled Event"
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
        assert!(is_heartbeat(&event));
        assert!(!is_heartbeat(&json!({ "run": "nightly" })));
        assert!(!is_heartbeat(&json!("Scheduled Event")));
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
