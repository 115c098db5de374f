//! EventBridge envelopes, exactly as EC2 and EBS word them.

mod lock;
mod storage;

use jiff::Timestamp;
use serde_json::{Value, json};

use holdfast_core::id::{ImageId, InstanceId, SnapshotId, VolumeId};

use crate::account::Account;
use crate::error::ApiError;
use crate::request::Request;

/// A time in events: whole seconds.
fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// One member of a set in its completion event.
pub(crate) struct SetMember {
    pub(crate) snapshot: SnapshotId,
    pub(crate) volume: VolumeId,
    pub(crate) status: String,
}

impl Account {
    fn emit(&mut self, source: &str, detail_type: &str, resources: Vec<String>, detail: Value) {
        let id = self.ids.uuid();
        self.outbox.push(json!({
            "version": "0",
            "id": id,
            "detail-type": detail_type,
            "source": source,
            "account": self.settings.account_id,
            "time": seconds(self.now),
            "region": self.settings.region,
            "resources": resources,
            "detail": detail,
        }));
    }

    /// In EBS's create events the Region stands in the place of the account
    /// (EBS User Guide, "EventBridge for EBS").
    fn ebs_arn(&self, kind: &str, id: &str) -> String {
        format!("arn:aws:ec2::{}:{kind}/{id}", self.settings.region)
    }

    pub(crate) fn emit_instance_state(&mut self, id: &InstanceId, state: &str) {
        let arn = format!(
            "arn:aws:ec2:{}:{}:instance/{id}",
            self.settings.region, self.settings.account_id
        );
        self.emit(
            "aws.ec2",
            "EC2 Instance State-change Notification",
            vec![arn],
            json!({ "instance-id": id.as_str(), "state": state }),
        );
    }

    pub(crate) fn emit_snapshot_created(
        &mut self,
        id: &SnapshotId,
        volume: &VolumeId,
        started: Timestamp,
        failure: Option<&str>,
    ) {
        let arn = self.ebs_arn("snapshot", id.as_str());
        let detail = json!({
            "event": "createSnapshot",
            "result": if failure.is_some() { "failed" } else { "succeeded" },
            "cause": failure.unwrap_or_default(),
            "request-id": "",
            "snapshot_id": arn,
            "source": self.ebs_arn("volume", volume.as_str()),
            "startTime": seconds(started),
            "endTime": seconds(self.now),
        });
        self.emit("aws.ec2", "EBS Snapshot Notification", vec![arn], detail);
    }

    pub(crate) fn emit_set_created(
        &mut self,
        members: &[SetMember],
        started: Timestamp,
        failure: Option<&str>,
    ) {
        let arns: Vec<String> = members
            .iter()
            .map(|m| self.ebs_arn("snapshot", m.snapshot.as_str()))
            .collect();
        let snapshots: Vec<Value> = members
            .iter()
            .zip(&arns)
            .map(|(m, arn)| {
                json!({
                    "snapshot_id": arn,
                    "source": self.ebs_arn("volume", m.volume.as_str()),
                    "status": m.status,
                })
            })
            .collect();
        let detail = json!({
            "event": "createSnapshots",
            "result": if failure.is_some() { "failed" } else { "succeeded" },
            "cause": failure.unwrap_or_default(),
            "request-id": "",
            "startTime": seconds(started),
            "endTime": seconds(self.now),
            "snapshots": snapshots,
        });
        self.emit(
            "aws.ec2",
            "EBS Multi-Volume Snapshots Completion Status",
            arns,
            detail,
        );
    }

    /// `state` is `available`, `failed`, `deregistered` or `disabled` (EC2 User Guide,
    /// "Monitor AMI events").
    pub(crate) fn emit_image_state(&mut self, id: &ImageId, state: &str, message: &str) {
        let arn = format!("arn:aws:ec2:{}::image/{id}", self.settings.region);
        let request_id = self.request_id.clone();
        let mut detail = json!({
            "RequestId": request_id,
            "ImageId": id.as_str(),
            "State": state,
        });
        if !message.is_empty() {
            detail["ErrorMessage"] = json!(message);
        }
        self.emit("aws.ec2", "EC2 AMI State Change", vec![arn], detail);
    }

    /// The event of a refused call, for those operations whose calls are emitted at all. A throttled
    /// one leaves none, so that a burst does not drown the rest (assumed).
    pub(crate) fn emit_refused_call(&mut self, request: &Request, error: &ApiError) {
        if error.code == ApiError::throttled().code || error.code == ApiError::dry_run().code {
            return;
        }
        match request {
            Request::DeleteSnapshot(r) => {
                let parameters = json!({ "snapshotId": r.id, "force": false });
                self.emit_api_call(request.operation(), parameters, Some(error));
            }
            Request::DeregisterImage(r) => {
                let parameters = json!({
                    "imageId": r.id,
                    "deleteAssociatedSnapshots": r.delete_associated_snapshots,
                });
                self.emit_api_call(request.operation(), parameters, Some(error));
            }
            _ => {}
        }
    }

    /// A call as CloudTrail hands it to EventBridge, with the code it was refused with.
    ///
    /// Refused calls are events too (CloudTrail User Guide, "Record contents"); that the code has
    /// `Client.` or `Server.` before it, and what they say of the response, is assumed.
    pub(crate) fn emit_api_call(
        &mut self,
        operation: &str,
        parameters: Value,
        refusal: Option<&ApiError>,
    ) {
        let event_id = self.ids.uuid();
        let request_id = self.request_id.clone();
        let session = self.caller.as_ref().map_or_else(
            || "ops/jo".to_owned(),
            |function| format!("{function}/{function}"),
        );
        let mut detail = json!({
            "eventVersion": "1.09",
            "userIdentity": {
                "type": "AssumedRole",
                "arn": format!("arn:aws:sts::{}:assumed-role/{session}", self.settings.account_id),
                "accountId": self.settings.account_id,
            },
            "eventTime": seconds(self.now),
            "eventSource": "ec2.amazonaws.com",
            "eventName": operation,
            "awsRegion": self.settings.region,
            "sourceIPAddress": "203.0.113.9",
            "userAgent": "aws-sdk-rust",
            "requestParameters": parameters,
            "responseElements": { "requestId": request_id, "_return": true },
            "requestID": request_id,
            "eventID": event_id,
            "readOnly": false,
            "eventType": "AwsApiCall",
            "managementEvent": true,
        });
        if let Some(error) = refusal {
            let side = if error.http_status >= 500 {
                "Server"
            } else {
                "Client"
            };
            detail["errorCode"] = json!(format!("{side}.{}", error.code));
            detail["errorMessage"] = json!(error.message);
            detail["responseElements"] = Value::Null;
        }
        self.emit("aws.ec2", "AWS API Call via CloudTrail", Vec::new(), detail);
    }
}
