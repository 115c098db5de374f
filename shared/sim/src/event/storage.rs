//! Events about fast restore, tiers and copies of snapshots.

use holdfast_core::id::SnapshotId;
use jiff::Timestamp;
use serde_json::json;

use super::seconds;
use crate::account::Account;

impl Account {
    /// In these events the ARN has its regular form (EBS User Guide, "EventBridge for EBS").
    fn snapshot_arn(&self, id: &SnapshotId) -> String {
        format!("arn:aws:ec2:{}::snapshot/{id}", self.settings.region)
    }

    pub(crate) fn emit_fast_restore_state(&mut self, id: &SnapshotId, zone: &str, state: &str) {
        let arn = self.snapshot_arn(id);
        let detail = json!({
            "snapshot-id": id.as_str(),
            "state": state,
            "zone": zone,
            "message": "Client.UserInitiated - Lifecycle state transition",
        });
        self.emit(
            "aws.ec2",
            "EBS Fast Snapshot Restore State-change Notification",
            vec![arn],
            detail,
        );
    }

    /// The end of a copy. One within account and Region is incremental where the encryption stays
    /// (EBS User Guide, "Copy a snapshot").
    pub(crate) fn emit_snapshot_copied(
        &mut self,
        id: &SnapshotId,
        source: &SnapshotId,
        started: Timestamp,
        failure: Option<&str>,
    ) {
        let arn = self.ebs_arn("snapshot", id.as_str());
        let key = |id| {
            let snapshot = self.snapshots.get(id);
            snapshot.map(|s| (s.encrypted, s.kms_key.clone()))
        };
        let incremental = key(id) == key(source);
        let detail = json!({
            "event": "copySnapshot",
            "result": if failure.is_some() { "failed" } else { "succeeded" },
            "cause": failure.unwrap_or_default(),
            "request-id": "",
            "snapshot_id": arn,
            "source": self.ebs_arn("snapshot", source.as_str()),
            "startTime": seconds(started),
            "endTime": seconds(self.now),
            "incremental": incremental.to_string(),
            "transferType": "standard",
            "completionDurationStartTime": "",
            "missedCompletionDurationCause": "",
        });
        self.emit("aws.ec2", "EBS Snapshot Notification", vec![arn], detail);
    }

    /// `event` is `archiveSnapshot`, `permanentRestoreSnapshot`, `temporaryRestoreSnapshot` or
    /// `restoreExpiry` (EBS User Guide, "Monitor snapshot archiving").
    pub(crate) fn emit_tiering(
        &mut self,
        id: &SnapshotId,
        event: &str,
        started: Timestamp,
        restore_expires: Option<Timestamp>,
    ) {
        let arn = self.snapshot_arn(id);
        let mut detail = json!({
            "event": event,
            "result": "succeeded",
            "cause": "",
            "request-id": "",
            "snapshot_id": arn,
            "startTime": seconds(started),
            "endTime": seconds(self.now),
        });
        if let Some(expires) = restore_expires {
            detail["restoreExpiryTime"] = json!(seconds(expires));
        }
        self.emit("aws.ec2", "EBS Snapshot Notification", vec![arn], detail);
    }
}
