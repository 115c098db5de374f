//! Events about locks (EBS User Guide, "Monitor snapshot locks using EventBridge").

use holdfast_core::id::SnapshotId;
use serde_json::{Value, json};

use super::seconds;
use crate::account::Account;
use crate::model::lock::Lock;

impl Account {
    /// The account's number as the documentation shows it: without quotes. With a leading zero
    /// that would be no JSON, so then it has them.
    fn account_number(&self) -> Value {
        let id = &self.settings.account_id;
        match id.parse::<u64>() {
            Ok(number) if number.to_string() == *id => json!(number),
            _ => json!(id),
        }
    }

    fn lock_detail(&self, arn: &str, lock: &Lock, result: &str) -> Value {
        let mut detail = json!({
            "event": "lockSnapshot",
            "result": result,
            "snapshot_id": arn,
            "source": self.account_number(),
            "lockState": lock.state(self.now).as_str(),
            "lockCreatedOn": seconds(lock.created),
            "lockDuration": lock.days(),
        });
        if let Some(expires) = lock.expires() {
            detail["lockExpiresOn"] = json!(seconds(expires));
        }
        if let Some(started) = lock.started {
            detail["lockStartDurationTime"] = json!(seconds(started));
        }
        if let Some((hours, until)) = lock.cool_off {
            // The documentation's spelling.
            detail["cooOffPeriod"] = json!(hours);
            detail["coolOffPeriodExpiresOn"] = json!(seconds(until));
        }
        detail
    }

    pub(crate) fn emit_snapshot_locked(&mut self, id: &SnapshotId) {
        self.emit_lock(id, "succeeded");
    }

    pub(crate) fn emit_snapshot_lock_failed(&mut self, id: &SnapshotId) {
        self.emit_lock(id, "failed");
    }

    fn emit_lock(&mut self, id: &SnapshotId, result: &str) {
        let Some(lock) = self.snapshots.get(id).and_then(|s| s.lock.clone()) else {
            return;
        };
        let arn = self.ebs_arn("snapshot", id.as_str());
        let mut detail = self.lock_detail(&arn, &lock, result);
        if result == "failed" {
            detail["cause"] = json!("snapshot failed");
        }
        self.emit("aws.ec2", "EBS Snapshot Notification", vec![arn], detail);
    }
}
