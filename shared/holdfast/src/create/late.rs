//! Backups that are started later than their policy promises (`start_within`).
//!
//! It is reckoned in the time of the event that woke the run and what has passed since. The first
//! slot of a policy that the ledger does not know is made whenever it is first seen: nothing was
//! promised for it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use holdfast_core::lineage::SlotRecord;
use holdfast_core::plan::create::Creation;
use holdfast_core::plan::due::start_by;
use holdfast_core::report::{Action, Item, Outcome, Reason, ReasonCode};
use jiff::Timestamp;

use super::agenda::Agenda;
use super::job::Job;
use super::missed::some_of;

/// What of one job was started late.
pub(super) struct Late {
    /// Until when a start is on time; `None` where nothing was promised.
    by: Option<Timestamp>,
    started: Mutex<BTreeMap<String, Timestamp>>,
}

impl Late {
    pub(super) fn new(job: &Job<'_>, agenda: Option<&Agenda>) -> Self {
        let first = agenda.is_some_and(|agenda| agenda.is_first(&job.policy.name));
        let promised = job.request.is_none() && !job.look_only && !(job.scheduled && first);
        Self {
            by: promised.then(|| start_by(job.policy, job.slot, job.trigger)),
            started: Mutex::default(),
        }
    }

    fn started(&self) -> MutexGuard<'_, BTreeMap<String, Timestamp>> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a source that is about to be asked for; a repeated request was in time or was told.
    pub(super) fn starts(
        &self,
        creation: &Creation,
        before: Option<&SlotRecord>,
        clock: Timestamp,
    ) {
        let fresh = before.is_none_or(|record| record.requested_at.is_none());
        if fresh && self.by.is_some_and(|by| clock > by) {
            self.started().insert(creation.source.clone(), clock);
        }
    }

    /// Why a backup is late, if it is.
    pub(super) fn reason(&self, creation: &Creation) -> Option<Reason> {
        let at = *self.started().get(&creation.source)?;
        let by = self.by?;
        let detail = format!("it was started at {at}; start_within promises {by}");
        Some(Reason::with(ReasonCode::Late, detail))
    }

    /// One finding for all sources that were started late, and those that `waiting` names, which are
    /// not started although the time is over.
    pub(super) fn finding<'s>(
        &self,
        job: &Job<'_>,
        waiting: impl Iterator<Item = &'s String>,
        clock: Timestamp,
    ) -> Option<Item> {
        let by = self.by?;
        let started: Vec<String> = self.started().keys().cloned().collect();
        let waits = |id: &&String| clock > by && !started.contains(id);
        let waiting: Vec<String> = waiting.filter(waits).cloned().collect();
        let told = [(&started, "started late"), (&waiting, "not started yet")];
        let told: Vec<String> = told
            .iter()
            .filter(|(sources, _)| !sources.is_empty())
            .map(|(sources, what)| {
                format!("{} sources {what}: {}", sources.len(), some_of(sources))
            })
            .collect();
        let detail = format!(
            "its backups for {} were to be started by {by} (start_within): {}",
            job.slot,
            told.join("; ")
        );
        let item = Item::new(Action::Check, &job.policy.name, Outcome::Finding)
            .policy(&job.policy.name)
            .slot(job.slot)
            .reason(Reason::with(ReasonCode::Late, detail));
        (!told.is_empty()).then_some(item)
    }
}
