//! One creating call: recorded before it is sent, recorded after it is answered.

use holdfast_core::lineage::ledger::{self, Move, SlotStep};
use holdfast_core::lineage::{SlotRecord, SlotState};
use holdfast_core::plan::create::{Call, Creation, Made, Order};
use holdfast_core::policy::Trigger;
use holdfast_core::ports::records::{Records, TableError, TableErrorKind};
use holdfast_core::ports::{CallError, ErrorClass, ReadEc2, WriteEc2};
use holdfast_core::report::{Action, Item, Outcome, Reason, ReasonCode};
use jiff::Timestamp;

use super::guest::Ready;
use super::late::Late;
use super::quiet::{Before, Quiet};
use super::trace::{FailedTrace, Trace};
use super::{Creator, OUT_OF_TIME};
use crate::aws::CALL_TIMEOUT;
use crate::lease::Held;
use crate::pace::Pace;

/// How often a set is asked for that EC2 refuses for a volume it excludes.
const PARAMETER_ATTEMPTS: u32 = 3;

/// Whether EC2 may have refused because a volume was detached or deleted after it was listed: the
/// next heartbeat lists anew.
fn fleet_moved_on(creation: &Creation, error: &CallError) -> bool {
    let Call::Set(request) = &creation.call else {
        return false;
    };
    let code = error.code.as_deref().unwrap_or_default();
    !request.exclude_data_volumes.is_empty()
        && (code.starts_with("InvalidParameter") || code.starts_with("InvalidVolume"))
}

/// What came of one source in this run.
pub(super) struct Progress {
    pub items: Vec<Item>,
    /// Whether nothing is left to do for it in this slot.
    pub complete: bool,
}

/// What one job's calls share.
pub(super) struct Work<'a, 'c, E, R: Records> {
    pub creator: &'a Creator<'c, E, R>,
    pub held: &'a Held<'a, R>,
    pub order: &'a Order<'a>,
    /// The state change that asked for it, where one did.
    pub trigger: Option<Trigger>,
    /// Take over what an earlier run made, and ask for nothing.
    pub look_only: bool,
    /// What was started later than the policy says.
    pub late: Late,
}

impl<E: ReadEc2 + WriteEc2, R: Records> Work<'_, '_, E, R> {
    pub(super) fn item(&self, creation: &Creation, outcome: Outcome, reason: Reason) -> Item {
        Item::new(Action::Create, &creation.source, outcome)
            .policy(&self.order.policy.name)
            .source(&creation.source)
            .slot(self.order.slot)
            .reason(reason)
    }

    /// A record for a source as it would be written next.
    pub(super) fn blank(
        &self,
        source: &str,
        before: Option<&SlotRecord>,
        fence: u64,
    ) -> SlotRecord {
        SlotRecord {
            policy: self.order.policy.name.clone(),
            slot: self.order.slot,
            source: source.to_owned(),
            request: self.order.request.map(str::to_owned),
            trigger: before.and_then(|r| r.trigger).or(self.trigger),
            scheduled: before.is_some_and(|r| r.scheduled) || self.is_of_slot(),
            state: SlotState::Intended,
            run: self.order.run.to_owned(),
            attempt: before.map_or(0, |r| r.attempt),
            requested_at: before.and_then(|r| r.requested_at),
            rebooted: before.is_some_and(|r| r.rebooted),
            artifacts: Vec::new(),
            lost: before.map_or_else(Vec::new, |r| r.lost.clone()),
            failures: before.map_or(0, |r| r.failures),
            failed_at: before.and_then(|r| r.failed_at),
            error: None,
            permanent: false,
            event_over: false,
            fence,
        }
    }

    /// Makes one source's backup, or finds the one whose making was not heard of.
    pub(super) async fn make(
        &self,
        creation: &Creation,
        before: Option<&SlotRecord>,
        step: Move,
    ) -> Result<Progress, TableError> {
        if !self.creator.has_time() {
            return Ok(self.out_of_time(creation));
        }
        if let (Move::Look { then_ask }, Some(record)) = (step, before) {
            match self.look(creation, record).await {
                Trace::Found(found) => {
                    return Ok(self.keep(creation, record, &found, Quiet::Adopted).await);
                }
                Trace::Part(found) if then_ask => {
                    return Ok(self.keep(creation, record, &found, Quiet::Adopted).await);
                }
                Trace::Unknown(error) => return Ok(self.wait(creation, error.to_string())),
                Trace::Conflict(detail) => {
                    return self.name_taken(creation, record, detail).await;
                }
                Trace::Failed(failed) if then_ask && !self.look_only => {
                    return self.failed_in_ec2(creation, record, &failed).await;
                }
                Trace::Part(_) => {
                    let detail = "an earlier request made a part of the set; the rest is not \
                                  listed yet";
                    return Ok(self.wait(creation, detail.to_owned()));
                }
                Trace::Failed(_) | Trace::Absent if !then_ask => {
                    let detail = "an earlier request left no trace yet; it is asked for again \
                                  when two minutes have passed";
                    return Ok(self.wait(creation, detail.to_owned()));
                }
                Trace::Failed(_) | Trace::Absent => {}
            }
        }
        if self.look_only {
            return self.over(before).await;
        }
        // The turn may be long in coming, and the clock may have been set meanwhile.
        let in_time = self.pace(creation).turn_by(self.creator.stop).await;
        if !in_time || !self.creator.has_time() {
            return Ok(self.out_of_time(creation));
        }
        let seen = match self.before(creation, self.trigger, before).await? {
            Before::Go(seen) => seen,
            Before::Wait(item) => {
                return Ok(Progress {
                    items: vec![item],
                    complete: false,
                });
            }
            Before::MovedOn(item) => return self.give_up(creation, before, item).await,
            Before::NotStopped(item, passing) => {
                return self.not_taken(creation, before, item, passing).await;
            }
        };
        let intended = self.intend(creation, before).await?;
        let before = intended.as_ref().or(before);
        let (guard, mut told) = match self.freeze(creation, before).await? {
            Ready::Go(guard, told) => (guard, told),
            Ready::Stop(progress) => return Ok(progress),
        };
        let asked = self.ask(creation, before).await;
        // Whatever came of the call, and whether or not it was sent.
        let (guarded, thawed) = self.thaw(creation, guard).await;
        told.extend(thawed);
        let progress = match asked {
            Ok(Some((record, Ok(made)))) => {
                let quiet = match guarded {
                    Some(quiet) => quiet,
                    None => self.after(creation, seen, before).await,
                };
                Ok(self.keep(creation, &record, &made, quiet).await)
            }
            Ok(Some((record, Err(error)))) => self.refused(creation, before, &record, &error).await,
            Ok(None) => Ok(Progress {
                items: Vec::new(),
                complete: true,
            }),
            Err(error) => Err(error),
        };
        let mut progress = progress.unwrap_or_else(|error| self.interrupted(creation, &error));
        progress.items.extend(told);
        Ok(progress)
    }

    /// Records what is about to be done where the guest is asked first, which takes its time; none
    /// where the request follows at once, or where an earlier one is on record.
    async fn intend(
        &self,
        creation: &Creation,
        before: Option<&SlotRecord>,
    ) -> Result<Option<SlotRecord>, TableError> {
        let asks = self.order.policy.consistency.application().is_some();
        let step = ledger::step(before.map(|r| r.state), SlotStep::Intend);
        let Some(state) = step.ok().filter(|_| asks) else {
            return Ok(None);
        };
        let lease = self.held.good_for(CALL_TIMEOUT).await?;
        let record = SlotRecord {
            state,
            ..self.blank(&creation.source, before, lease.fence)
        };
        self.creator.records.write_slot(&record, before).await?;
        Ok(Some(record))
    }

    /// Records the request and sends the call; none where the ledger does not allow it.
    ///
    /// The record is written here and not before a freeze: after a crash it is by its time that an
    /// artifact may still turn up, and a freeze would lie between that time and the call.
    async fn ask(
        &self,
        creation: &Creation,
        before: Option<&SlotRecord>,
    ) -> Result<Option<(SlotRecord, Result<Made, CallError>)>, TableError> {
        let lease = self.held.good_for(CALL_TIMEOUT).await?;
        let blank = self.blank(&creation.source, before, lease.fence);
        let Ok(state) = ledger::step(before.map(|r| r.state), SlotStep::Request) else {
            return Ok(None);
        };
        let record = SlotRecord {
            state,
            attempt: blank.attempt + 1,
            requested_at: Some(Timestamp::now()),
            rebooted: blank.rebooted || creation.reboots(),
            ..blank
        };
        self.late.starts(creation, before, self.creator.clock());
        self.creator.records.write_slot(&record, before).await?;
        // The write may have been slow: nothing is sent that could outlast the lease.
        self.held.good_for(CALL_TIMEOUT).await?;
        let ec2 = self.creator.ec2;
        let made = match &creation.call {
            Call::Set(request) => ec2.create_snapshots(request).await.map(Made::Snapshots),
            Call::Single(request) => {
                let made = ec2.create_snapshot(request).await;
                made.map(|one| Made::Snapshots(vec![one]))
            }
            Call::Image(request) => ec2.create_image(request).await.map(|id| Made::Image {
                id,
                created: None,
                run: None,
            }),
        };
        Ok(Some((record, made)))
    }

    fn pace(&self, creation: &Creation) -> &Pace {
        let paces = &self.creator.paces;
        match &creation.call {
            Call::Set(_) => &paces.sets,
            Call::Single(_) => &paces.singles,
            Call::Image(_) => &paces.images,
        }
    }

    fn out_of_time(&self, creation: &Creation) -> Progress {
        let reason = Reason::with(ReasonCode::OutOfTime, OUT_OF_TIME);
        Progress {
            items: vec![self.item(creation, Outcome::Deferred, reason)],
            complete: false,
        }
    }

    /// Ends the record of a request that left no trace, in a slot that is over.
    async fn over(&self, before: Option<&SlotRecord>) -> Result<Progress, TableError> {
        let words = "its slot was over before it was made";
        let missed = before.filter(|_| self.may_end(before));
        if let Some(Ok(record)) = missed.map(|record| record.missed(words)) {
            let record = SlotRecord {
                fence: self.held.token().await.fence,
                event_over: self.trigger.is_some(),
                ..record
            };
            self.creator.records.write_slot(&record, before).await?;
        }
        Ok(Progress {
            items: Vec::new(),
            complete: true,
        })
    }

    async fn refused(
        &self,
        creation: &Creation,
        before: Option<&SlotRecord>,
        record: &SlotRecord,
        error: &CallError,
    ) -> Result<Progress, TableError> {
        // A name that is taken says that it was made before.
        let name_taken = error.code.as_deref() == Some("InvalidAMIName.Duplicate");
        if error.class == ErrorClass::UnknownOutcome || name_taken {
            return match self.look(creation, record).await {
                Trace::Found(found) => {
                    Ok(self.keep(creation, record, &found, Quiet::Adopted).await)
                }
                Trace::Failed(failed) if name_taken => {
                    self.failed_in_ec2(creation, record, &failed).await
                }
                Trace::Conflict(detail) => self.name_taken(creation, record, detail).await,
                Trace::Part(_) | Trace::Failed(_) | Trace::Absent | Trace::Unknown(_) => {
                    Ok(self.wait(creation, error.to_string()))
                }
            };
        }
        if error.class == ErrorClass::Throttled {
            self.pace(creation).surprised();
        }
        // Not what was denied: the SDK does not repeat it, but the operator who reads of it gives the
        // permission back, and then the backup is to be made before the next slot, not after it.
        let permanent = matches!(error.class, ErrorClass::Permanent | ErrorClass::InUse)
            && !(record.attempt < PARAMETER_ATTEMPTS && fleet_moved_on(creation, error));
        if let Ok(state) = ledger::step(Some(record.state), SlotStep::Fail) {
            let failed = SlotRecord {
                state,
                error: Some(error.to_string()),
                permanent,
                // EC2 refused, so nothing was rebooted by this call.
                rebooted: before.is_some_and(|r| r.rebooted),
                ..record.clone()
            };
            self.creator
                .records
                .write_slot(&failed, Some(record))
                .await?;
        }
        let of_instance = matches!(creation.call, Call::Set(_) | Call::Image(_));
        let state_code = if of_instance {
            ReasonCode::InstanceState
        } else {
            ReasonCode::VolumeState
        };
        let (outcome, code) = match error.class {
            ErrorClass::Throttled => (Outcome::Deferred, ReasonCode::Throttled),
            ErrorClass::Limited => (Outcome::Deferred, ReasonCode::ResourceLimit),
            ErrorClass::WrongState | ErrorClass::NotFound => (Outcome::Failed, state_code),
            ErrorClass::Denied => (Outcome::Failed, ReasonCode::AccessDenied),
            ErrorClass::UnknownOutcome => (Outcome::Deferred, ReasonCode::OutcomeUnknown),
            ErrorClass::InUse | ErrorClass::Permanent => (Outcome::Failed, ReasonCode::Refused),
        };
        let mut items = vec![self.item(creation, outcome, Reason::with(code, error.to_string()))];
        items.extend(
            creation
                .notes
                .iter()
                .filter(|n| n.outcome == Outcome::Failed)
                .cloned(),
        );
        Ok(Progress {
            items,
            complete: permanent,
        })
    }

    /// EC2 failed what an earlier run asked for: the record says so, and a later heartbeat starts
    /// it again, as often as that may be done.
    async fn failed_in_ec2(
        &self,
        creation: &Creation,
        record: &SlotRecord,
        found: &FailedTrace,
    ) -> Result<Progress, TableError> {
        let words = &found.words;
        let found = SlotRecord {
            artifacts: found.artifacts.clone(),
            ..record.clone()
        };
        let mut complete = false;
        if let Ok(failed) = found.failed_in_ec2(words, Timestamp::now()) {
            let fence = self.held.token().await.fence;
            let failed = SlotRecord { fence, ..failed };
            let records = self.creator.records;
            records.write_slot(&failed, Some(record)).await?;
            complete = failed.permanent;
        }
        let reason = Reason::with(ReasonCode::FailedBackup, words.as_str());
        Ok(Progress {
            items: vec![self.item(creation, Outcome::Failed, reason)],
            complete,
        })
    }

    /// Somebody else's image has the name: nothing more is done for this slot.
    async fn name_taken(
        &self,
        creation: &Creation,
        record: &SlotRecord,
        detail: String,
    ) -> Result<Progress, TableError> {
        let reason = Reason::with(ReasonCode::NameTaken, detail);
        let item = self.item(creation, Outcome::Failed, reason);
        self.give_up(creation, Some(record), item).await
    }

    /// Ends a source's slot without a backup, for the reason that the item tells.
    async fn give_up(
        &self,
        creation: &Creation,
        before: Option<&SlotRecord>,
        item: Item,
    ) -> Result<Progress, TableError> {
        let words = item.reasons.iter().filter_map(|r| r.detail.as_deref());
        let words = words.collect::<Vec<_>>().join("; ");
        self.end(&creation.source, before, &words).await?;
        Ok(Progress {
            items: vec![item],
            complete: true,
        })
    }

    /// Records that a source gets no backup in this slot, and why.
    pub(super) async fn end(
        &self,
        source: &str,
        before: Option<&SlotRecord>,
        words: &str,
    ) -> Result<(), TableError> {
        let step = ledger::step(before.map(|r| r.state), SlotStep::Fail);
        let Some(state) = step.ok().filter(|_| self.may_end(before)) else {
            return Ok(());
        };
        let fence = self.held.token().await.fence;
        let record = SlotRecord {
            state,
            error: Some(words.to_owned()),
            permanent: true,
            event_over: self.trigger.is_some(),
            ..self.blank(source, before, fence)
        };
        self.creator.records.write_slot(&record, before).await
    }

    fn wait(&self, creation: &Creation, detail: String) -> Progress {
        let reason = Reason::with(ReasonCode::OutcomeUnknown, detail);
        Progress {
            items: vec![self.item(creation, Outcome::Deferred, reason)],
            complete: false,
        }
    }

    /// A source that the table stopped: another run goes on with it, or the next heartbeat.
    pub(super) fn interrupted(&self, creation: &Creation, error: &TableError) -> Progress {
        Progress {
            items: vec![self.stopped(&creation.source, error)],
            complete: false,
        }
    }

    /// The line of the report on it.
    pub(super) fn stopped(&self, source: &str, error: &TableError) -> Item {
        let (outcome, code) = match error.kind {
            TableErrorKind::Fenced => (Outcome::Deferred, ReasonCode::LeaseHeld),
            TableErrorKind::Unavailable => (Outcome::Deferred, ReasonCode::TableFailed),
            TableErrorKind::Missing
            | TableErrorKind::Denied
            | TableErrorKind::Unreadable
            | TableErrorKind::Refused => (Outcome::Failed, ReasonCode::TableFailed),
        };
        Item::new(Action::Create, source, outcome)
            .policy(&self.order.policy.name)
            .source(source)
            .slot(self.order.slot)
            .reason(Reason::with(code, error.to_string()))
    }
}
