//! Failed backups whose slot has not been reopened yet.
//!
//! What EC2 failed is started again by the slot's record, and the record learns of the failure from
//! the artifact as EC2 lists it. Deleted before that, the artifact would take the second attempt
//! with it.

use std::collections::BTreeMap;

use super::judge::Judged;
use super::reconcile::SlotKey;
use crate::lineage::{SlotRecord, SlotState};
use crate::report::ReasonCode;

/// The records of the ledger to be read before these failed backups may go, by artifact.
#[must_use]
pub fn questions(verdicts: &impl Judged) -> BTreeMap<String, Vec<SlotKey>> {
    let failed = |reasons: &[crate::report::Reason]| {
        reasons.iter().any(|r| r.code == ReasonCode::FailedBackup)
    };
    let condemned = verdicts.condemned().into_iter();
    condemned
        .filter(|&v| failed(verdicts.decision(v).reasons()))
        .filter_map(|v| {
            let artifact = verdicts.artifact(v)?;
            let id = verdicts.id(v).into_owned();
            Some((id, SlotKey::candidates(&artifact)))
        })
        .collect()
}

/// Why the failed backup `id` has to stay, given a record of its slot.
#[must_use]
pub fn waits(id: &str, record: &SlotRecord) -> Option<String> {
    let named = record.artifacts.iter().any(|made| made == id);
    (record.state == SlotState::Created && named).then(|| {
        format!(
            "its slot {} has not been reopened yet; the next reconcile does that",
            record.slot
        )
    })
}
