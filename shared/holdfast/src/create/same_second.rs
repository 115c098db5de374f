//! A scheduled slot and an event of the same second: they share one record and one backup, and the
//! end of the one is not that of the other.

use std::collections::BTreeMap;

use holdfast_core::lineage::SlotRecord;
use holdfast_core::lineage::ledger::{self, Move};
use holdfast_core::plan::create::Refused;
use holdfast_core::ports::records::{Records, TableError};
use holdfast_core::ports::{ReadEc2, WriteEc2};
use jiff::Timestamp;

use super::work::Work;

/// Sources whose record could not be written, and why.
type Unwritten = Vec<(String, TableError)>;

impl<E: ReadEc2 + WriteEc2, R: Records> Work<'_, '_, E, R> {
    /// Whether it is done for a scheduled slot.
    pub(super) fn is_of_slot(&self) -> bool {
        self.trigger.is_none() && self.order.request.is_none()
    }

    /// Whether an end that this job comes to is the record's: that of an event is not where a slot
    /// asks for the same.
    pub(super) fn may_end(&self, before: Option<&SlotRecord>) -> bool {
        self.trigger.is_none() || before.is_none_or(|record| !record.scheduled)
    }

    /// What is to be done about a source.
    pub(super) fn next_move(&self, record: Option<&SlotRecord>, wall: Timestamp) -> Move {
        match self.is_of_slot() {
            true => ledger::slot_move(record, wall),
            false => ledger::next_move(record, wall),
        }
    }

    /// Notes on what the other kind of asking has asked for already that this job counts on it too:
    /// a bake that no record told of would be taken for missing, and what EC2 fails is started again
    /// for everybody who asked.
    pub(super) async fn join(
        &self,
        mut records: BTreeMap<String, SlotRecord>,
    ) -> (BTreeMap<String, SlotRecord>, Unwritten) {
        let mut unwritten = Vec::new();
        for record in records.values_mut() {
            let Some(joined) = record.joined(self.trigger) else {
                continue;
            };
            let fence = self.held.token().await.fence;
            let joined = SlotRecord { fence, ..joined };
            match self.creator.records.write_slot(&joined, Some(record)).await {
                Ok(()) => *record = joined,
                Err(error) => unwritten.push((record.source.clone(), error)),
            }
        }
        (records, unwritten)
    }

    /// Records a source that no call can be made for; whether that is final for the slot.
    pub(super) async fn refuse(
        &self,
        source: &str,
        before: Option<&SlotRecord>,
        refused: &Refused,
    ) -> Result<bool, TableError> {
        let reasons = refused.items.iter().flat_map(|item| &item.reasons);
        let words: Vec<&str> = reasons.filter_map(|r| r.detail.as_deref()).collect();
        if refused.passing || words.is_empty() {
            return Ok(!refused.passing);
        }
        self.end(source, before, &words.join("; ")).await?;
        Ok(true)
    }
}
