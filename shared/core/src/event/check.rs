//! Events of check-dependencies: EBS, AMI and CloudTrail notifications, and its requests.
//!
//! EC2's own events are best effort, so they are hints: they name artifacts to look at, and what
//! they say of their state is never taken for true. Keys of their details are spelled in several
//! ways (`snapshot_id`, `snapshot-id`, `SnapshotId`), identifiers come bare or as ARNs, and in
//! EBS's ARNs the Region stands in the account's place (EBS User Guide, "EventBridge for EBS"):
//! only the text behind the last `/` counts.

use serde::Deserialize;
use serde_json::Value;

use super::{Envelope, EventError, Origin, envelope, kind, request};
use crate::id::{ImageId, SnapshotId};

/// Most identifiers that one request may ask to be explained.
pub const MAX_EXPLAINED: usize = 100;

/// What check-dependencies is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckEvent {
    /// Compare the whole lineage with EC2: a heartbeat, or (without an origin) a request.
    Reconcile(Option<Origin>),
    /// Compare the lineage of these artifacts with EC2.
    Artifacts {
        /// Where and when.
        origin: Origin,
        /// What happened, in short, for people.
        what: String,
        /// The artifacts, `snap-…` or `ami-…`, each once.
        ids: Vec<String>,
        /// Whether the event says that they are AMIs that were deregistered.
        deregistered: bool,
    },
    /// An event that concerns nothing of one's own.
    Nothing {
        /// Where and when.
        origin: Origin,
        /// What happened and why it changes nothing, for people.
        why: String,
    },
    /// The verdict on each of these artifacts.
    Explain(Vec<String>),
}

/// `{"reconcile": true}` or `{"explain": [ID, …]}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    #[serde(default)]
    reconcile: Option<bool>,
    #[serde(default)]
    explain: Option<Vec<String>>,
}

const REQUEST: &str = r#"a request {"reconcile": true} or {"explain": ["snap-…", "ami-…"]}"#;

/// Decodes an event of check-dependencies.
///
/// # Errors
/// [`EventError::Unknown`] and [`EventError::Malformed`].
pub fn check(function: &'static str, payload: &Value) -> Result<CheckEvent, EventError> {
    let Some(event) = envelope(function, payload)? else {
        return asked(request(payload, REQUEST)?);
    };
    match (event.source.as_str(), event.detail_type.as_str()) {
        ("aws.events" | "aws.scheduler", "Scheduled Event") => {
            Ok(CheckEvent::Reconcile(Some(event.origin()?)))
        }
        ("aws.ec2", "EBS Snapshot Notification") => event.snapshot(),
        ("aws.ec2", "EBS Multi-Volume Snapshots Completion Status") => event.set(),
        ("aws.ec2", "EC2 AMI State Change") => {
            let id = event.id_in(&event.detail, "detail", "ImageId", image)?;
            let state = event.word("State").unwrap_or("changed");
            let deregistered = state == "deregistered";
            event.artifacts(format!("{id} is {state}"), vec![id], deregistered)
        }
        ("aws.ec2", "AWS API Call via CloudTrail") => event.call(function),
        _ => Err(event.unknown(function)),
    }
}

fn asked(request: Request) -> Result<CheckEvent, EventError> {
    let malformed = |problem: String| EventError::Malformed {
        what: REQUEST.into(),
        problem,
    };
    match (request.reconcile, request.explain) {
        (Some(true), None) => Ok(CheckEvent::Reconcile(None)),
        (None, Some(ids)) => {
            if ids.is_empty() || ids.len() > MAX_EXPLAINED {
                let found = ids.len();
                return Err(malformed(format!(
                    "explain must name 1 to {MAX_EXPLAINED} identifiers, not {found}"
                )));
            }
            for id in &ids {
                if SnapshotId::parse(id).is_none() && ImageId::parse(id).is_none() {
                    return Err(malformed(format!(
                        "{id:?} is neither a snapshot (snap-…) nor an AMI (ami-…)"
                    )));
                }
            }
            Ok(CheckEvent::Explain(once(ids)))
        }
        (Some(false), None) => Err(malformed("reconcile must be true".into())),
        (Some(_), Some(_)) => Err(malformed("it asks for both at once".into())),
        (None, None) => Err(malformed("it asks for neither".into())),
    }
}

fn once(ids: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for id in ids {
        if !kept.contains(&id) {
            kept.push(id);
        }
    }
    kept
}

fn snapshot(text: &str) -> Option<String> {
    SnapshotId::parse(text).map(|id| id.to_string())
}

fn image(text: &str) -> Option<String> {
    ImageId::parse(text).map(|id| id.to_string())
}

/// The value of a key, whatever its spelling: kebab-case, snake_case or either camel case.
fn spelled<'v>(object: &'v Value, key: &str) -> Option<&'v Value> {
    let plain = |text: &str| text.replace(['-', '_'], "").to_ascii_lowercase();
    let wanted = plain(key);
    let found = object.as_object()?.iter();
    let mut found = found.filter(|(name, _)| plain(name) == wanted);
    found.next().map(|(_, value)| value)
}

impl Envelope {
    /// A word of the detail, where it is there and not empty.
    fn word(&self, key: &str) -> Option<&str> {
        let text = spelled(&self.detail, key)?.as_str()?;
        (!text.is_empty()).then_some(text)
    }

    /// The identifier under a key of `object`, which stands at `place` in the envelope.
    fn id_in(
        &self,
        object: &Value,
        place: &str,
        key: &str,
        parse: fn(&str) -> Option<String>,
    ) -> Result<String, EventError> {
        match spelled(object, key) {
            Some(Value::String(text)) => self.id(text, &format!("{place}.{key}"), parse),
            None | Some(Value::Null) => Err(self.malformed(format!("{place}.{key} is missing"))),
            Some(other) => {
                Err(self.malformed(format!("{place}.{key} is {}, not a string", kind(other))))
            }
        }
    }

    fn id(
        &self,
        text: &str,
        place: &str,
        parse: fn(&str) -> Option<String>,
    ) -> Result<String, EventError> {
        let last = text.rsplit('/').next().unwrap_or(text);
        parse(last)
            .ok_or_else(|| self.malformed(format!("{place} holds no identifier but {text:?}")))
    }

    fn artifacts(
        &self,
        what: String,
        ids: Vec<String>,
        deregistered: bool,
    ) -> Result<CheckEvent, EventError> {
        Ok(CheckEvent::Artifacts {
            origin: self.origin()?,
            what,
            ids: once(ids),
            deregistered,
        })
    }

    fn snapshot(&self) -> Result<CheckEvent, EventError> {
        let id = self.id_in(&self.detail, "detail", "snapshot_id", snapshot)?;
        let event = self.word("event").unwrap_or("an event");
        if event == "shareSnapshot" {
            return Ok(CheckEvent::Nothing {
                origin: self.origin()?,
                why: format!("{id} of another account was shared with this one"),
            });
        }
        let result = self.word("result").unwrap_or("without a result");
        self.artifacts(format!("{event} of {id}: {result}"), vec![id], false)
    }

    fn set(&self) -> Result<CheckEvent, EventError> {
        let members = match spelled(&self.detail, "snapshots") {
            Some(Value::Array(members)) if !members.is_empty() => members,
            Some(Value::Array(_)) => return Err(self.malformed("detail.snapshots is empty")),
            None | Some(Value::Null) => {
                return Err(self.malformed("detail.snapshots is missing"));
            }
            Some(other) => {
                let found = kind(other);
                return Err(self.malformed(format!("detail.snapshots is {found}, not an array")));
            }
        };
        let mut ids = Vec::new();
        for (n, member) in members.iter().enumerate() {
            let place = format!("detail.snapshots[{n}]");
            ids.push(match member {
                Value::String(text) => self.id(text, &place, snapshot)?,
                other => self.id_in(other, &place, "snapshot_id", snapshot)?,
            });
        }
        let result = self.word("result").unwrap_or("without a result");
        let what = format!("a set of {} snapshots: {result}", ids.len());
        self.artifacts(what, ids, false)
    }

    /// A call that CloudTrail saw. Failed ones are events too, with an `errorCode`.
    fn call(&self, function: &'static str) -> Result<CheckEvent, EventError> {
        let name = self.text("eventName")?;
        let unknown = || EventError::Unknown {
            function,
            what: format!("{} of {}: {name}", self.detail_type, self.source),
        };
        // Other services have operations of these names.
        let service = self.word("eventSource").unwrap_or("ec2.amazonaws.com");
        if service.split('.').next() != Some("ec2") {
            return Err(unknown());
        }
        let (key, parse): (_, fn(&str) -> Option<String>) = match name.as_str() {
            "DeregisterImage" => ("imageId", image),
            "DeleteSnapshot" => ("snapshotId", snapshot),
            _ => return Err(unknown()),
        };
        if let Some(code) = self.word("errorCode") {
            return Ok(CheckEvent::Nothing {
                origin: self.origin()?,
                why: format!("a {name} that failed with {code}"),
            });
        }
        let Some(parameters) = spelled(&self.detail, "requestParameters") else {
            return Err(self.malformed("detail.requestParameters is missing"));
        };
        let id = self.id_in(parameters, "detail.requestParameters", key, parse)?;
        let deregistered = name == "DeregisterImage";
        self.artifacts(format!("{name} of {id}"), vec![id], deregistered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const FUNCTION: &str = "check-dependencies";

    fn event(detail_type: &str, detail: Value) -> Value {
        json!({ "version": "0", "id": "1", "detail-type": detail_type, "source": "aws.ec2",
            "account": "111122223333", "time": "2026-11-23T01:00:00Z", "region": "us-east-1",
            "resources": [], "detail": detail })
    }

    fn ids(event: &Value) -> Vec<String> {
        match check(FUNCTION, event) {
            Ok(CheckEvent::Artifacts { ids, .. }) => ids,
            other => panic!("{other:?}"),
        }
    }

    fn refusal(event: &Value) -> String {
        check(FUNCTION, event).unwrap_err().to_string()
    }

    #[test]
    fn a_snapshot_is_found_under_every_spelling_of_key_and_arn() {
        for (key, value) in [
            (
                "snapshot_id",
                "arn:aws:ec2::us-east-1:snapshot/snap-0123456789abcdef0",
            ),
            (
                "snapshot-id",
                "arn:aws:ec2:us-east-1::snapshot/snap-0123456789abcdef0",
            ),
            (
                "snapshot_id",
                "arn:aws-cn:ec2::cn-north-1:snapshot/snap-0123456789abcdef0",
            ),
            (
                "snapshotId",
                "arn:aws-us-gov:ec2:us-gov-west-1:111122223333:snapshot/snap-0123456789abcdef0",
            ),
            ("snapshot_id", "snap-0123456789abcdef0"),
        ] {
            let detail = json!({ "event": "createSnapshot", "result": "succeeded", "cause": "",
                key: value, "startTime": "", "EndTime": "" });
            let event = event("EBS Snapshot Notification", detail);
            assert_eq!(ids(&event), ["snap-0123456789abcdef0"], "{key} {value}");
        }
    }

    #[test]
    fn an_event_value_that_nobody_listed_is_still_about_its_snapshot() {
        let detail = json!({ "event": "restoryExpiry", "snapshot_id": "snap-1" });
        assert_eq!(ids(&event("EBS Snapshot Notification", detail)), ["snap-1"]);
        let detail = json!({ "snapshot_id": "snap-1" });
        assert_eq!(ids(&event("EBS Snapshot Notification", detail)), ["snap-1"]);
    }

    #[test]
    fn a_snapshot_that_somebody_else_shared_is_nothing_to_do() {
        for source in [json!(111_122_223_333_u64), json!("011122223333")] {
            let detail = json!({ "event": "shareSnapshot", "result": "succeeded",
                "snapshot_id": "arn:aws:ec2::us-west-2:snapshot/snap-0123", "source": source });
            let decoded = check(FUNCTION, &event("EBS Snapshot Notification", detail));
            assert!(matches!(decoded, Ok(CheckEvent::Nothing { .. })));
        }
    }

    #[test]
    fn every_member_of_a_set_is_named_once() {
        let member = |id: &str| {
            json!({ "snapshot_id": format!("arn:aws:ec2::us-east-1:snapshot/{id}"),
            "status": "error" })
        };
        let detail = json!({ "event": "createSnapshots", "result": "failed",
            "snapshots": [member("snap-0aa"), member("snap-0bb"), member("snap-0aa")] });
        let event = event("EBS Multi-Volume Snapshots Completion Status", detail);
        assert_eq!(ids(&event), ["snap-0aa", "snap-0bb"]);
    }

    #[test]
    fn an_ami_event_names_its_image() {
        let detail = json!({ "RequestId": "r", "ImageId": "ami-0123456789abcdef0",
            "State": "failed", "ErrorMessage": "text" });
        let event = event("EC2 AMI State Change", detail);
        assert_eq!(ids(&event), ["ami-0123456789abcdef0"]);
    }

    #[test]
    fn only_events_of_a_deregistration_say_that_an_ami_was_deregistered() {
        let says = |event: &Value| match check(FUNCTION, event) {
            Ok(CheckEvent::Artifacts { deregistered, .. }) => deregistered,
            other => panic!("{other:?}"),
        };
        let state = |state: &str| {
            let detail = json!({ "ImageId": "ami-0123", "State": state });
            event("EC2 AMI State Change", detail)
        };
        assert!(says(&state("deregistered")));
        assert!(!says(&state("available")));
        let call = |name: &str| {
            let detail = json!({ "eventSource": "ec2.amazonaws.com", "eventName": name,
                "requestParameters": { "imageId": "ami-0123", "snapshotId": "snap-0123" } });
            event("AWS API Call via CloudTrail", detail)
        };
        assert!(says(&call("DeregisterImage")));
        assert!(!says(&call("DeleteSnapshot")));
    }

    #[test]
    fn a_call_that_failed_changed_nothing_and_one_that_did_not_names_its_artifact() {
        let call = |name: &str, more: Value| {
            let mut detail = json!({ "eventSource": "ec2.amazonaws.com", "eventName": name,
                "requestParameters": { "imageId": "ami-0123", "snapshotId": "snap-0123" } });
            let more = more.as_object().unwrap().clone();
            detail.as_object_mut().unwrap().extend(more);
            event("AWS API Call via CloudTrail", detail)
        };
        assert_eq!(ids(&call("DeregisterImage", json!({}))), ["ami-0123"]);
        assert_eq!(ids(&call("DeleteSnapshot", json!({}))), ["snap-0123"]);
        let failed = json!({ "errorCode": "Client.InvalidSnapshot.InUse",
            "requestParameters": null });
        let decoded = check(FUNCTION, &call("DeleteSnapshot", failed));
        assert!(matches!(decoded, Ok(CheckEvent::Nothing { .. })));
        assert!(refusal(&call("RunInstances", json!({}))).contains("RunInstances"));
        let other = json!({ "eventSource": "fsx.amazonaws.com" });
        assert!(refusal(&call("DeleteSnapshot", other)).contains("DeleteSnapshot"));
    }

    #[test]
    fn a_missing_identifier_is_named_and_never_guessed_from_the_resources() {
        for (detail_type, detail, named) in [
            (
                "EBS Snapshot Notification",
                json!({}),
                "detail.snapshot_id is missing",
            ),
            (
                "EBS Snapshot Notification",
                json!({ "snapshot_id": "" }),
                "detail.snapshot_id",
            ),
            (
                "EBS Snapshot Notification",
                json!({ "snapshot_id": 7 }),
                "a number",
            ),
            (
                "EBS Snapshot Notification",
                json!({ "snapshot_id": "vol-1" }),
                "vol-1",
            ),
            ("EBS Snapshot Notification", json!("{}"), "snapshot_id"),
            (
                "EBS Multi-Volume Snapshots Completion Status",
                json!({ "snapshots": [{ "status": "error" }] }),
                "detail.snapshots[0].snapshot_id is missing",
            ),
            (
                "EBS Multi-Volume Snapshots Completion Status",
                json!({ "snapshots": [] }),
                "detail.snapshots is empty",
            ),
            (
                "EC2 AMI State Change",
                json!({ "State": "available" }),
                "detail.ImageId is missing",
            ),
            (
                "AWS API Call via CloudTrail",
                json!({ "eventName": "DeregisterImage", "requestParameters": {} }),
                "detail.requestParameters.imageId is missing",
            ),
            (
                "AWS API Call via CloudTrail",
                json!({ "eventName": "DeleteSnapshot" }),
                "detail.requestParameters is missing",
            ),
            (
                "AWS API Call via CloudTrail",
                json!({}),
                "detail.eventName is missing",
            ),
        ] {
            let mut event = event(detail_type, detail);
            event["resources"] = json!(["arn:aws:ec2::us-east-1:snapshot/snap-0123"]);
            let refusal = refusal(&event);
            assert!(refusal.contains(named), "{refusal}");
            assert!(refusal.contains(detail_type), "{refusal}");
        }
    }

    #[test]
    fn an_event_of_another_kind_is_refused_by_its_name() {
        for detail_type in [
            "EBS Volume Notification",
            "EBS Fast Snapshot Restore State-change Notification",
        ] {
            let refusal = refusal(&event(detail_type, json!({ "snapshot-id": "snap-1" })));
            assert!(refusal.contains(detail_type), "{refusal}");
        }
        let mut forged = event("EC2 AMI State Change", json!({ "ImageId": "ami-1" }));
        forged["source"] = json!("my.app");
        assert!(refusal(&forged).contains("my.app"));
    }

    #[test]
    fn a_request_says_exactly_one_thing() {
        let decoded = check(FUNCTION, &json!({ "reconcile": true })).unwrap();
        assert_eq!(decoded, CheckEvent::Reconcile(None));
        let decoded = check(
            FUNCTION,
            &json!({ "explain": ["snap-1", "ami-1", "snap-1"] }),
        );
        let ids = vec!["snap-1".to_owned(), "ami-1".to_owned()];
        assert_eq!(decoded, Ok(CheckEvent::Explain(ids)));
        let many: Vec<String> = (0..101).map(|n| format!("snap-{n}")).collect();
        for (request, named) in [
            (json!({}), "neither"),
            (json!({ "reconcile": false }), "must be true"),
            (json!({ "reconcile": true, "explain": ["snap-1"] }), "both"),
            (json!({ "reconcile": true, "dry_run": true }), "dry_run"),
            (json!({ "explain": [] }), "1 to 100"),
            (json!({ "explain": many }), "101"),
            (json!({ "explain": ["vol-1"] }), "vol-1"),
            (json!({ "explain": "snap-1" }), "expected a sequence"),
            (json!({ "run": "nightly" }), "run"),
        ] {
            let refusal = refusal(&request);
            assert!(refusal.contains(named), "{request}: {refusal}");
        }
    }
}
