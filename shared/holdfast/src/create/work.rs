//! One creating call: recorded before it is sent, recorded after it is answered.

use holdfast_core::artifact::{Artifact, ArtifactKind};
use holdfast_core::inventory::{Snapshot, SnapshotState};
use holdfast_core::lineage::ledger::{self, Move, SlotStep};
use holdfast_core::lineage::{SlotRecord, SlotState};
use holdfast_core::plan::create::{self, Call, Creation, Order};
use holdfast_core::ports::records::{Records, TableError, TableErrorKind};
use holdfast_core::ports::{CallError, ErrorClass, ReadEc2, SnapshotScope, WriteEc2};
use holdfast_core::report::{Action, Item, Outcome, Reason, ReasonCode};
use jiff::Timestamp;

use super::Creator;
use crate::aws::CALL_TIMEOUT;
use crate::lease::Held;

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
    /// Take over what an earlier run made, and ask for nothing.
    pub look_only: bool,
}

/// What a search by tags found.
enum Trace {
    /// Everything that was asked for.
    Found(Vec<Snapshot>),
    /// A part: the members of a set become visible one by one.
    Part(Vec<Snapshot>),
    /// Only artifacts that EC2 failed to complete.
    Failed,
    Absent,
    Unknown(CallError),
}

impl<E: ReadEc2 + WriteEc2, R: Records> Work<'_, '_, E, R> {
    fn item(&self, creation: &Creation, outcome: Outcome, reason: Reason) -> Item {
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
        if let (Move::Look { then_ask }, Some(record)) = (step, before) {
            let trace = self.look(creation).await;
            match trace {
                Trace::Found(found) => return Ok(self.keep(creation, record, &found, true).await),
                Trace::Part(found) if then_ask => {
                    return Ok(self.keep(creation, record, &found, true).await);
                }
                Trace::Unknown(error) => return Ok(self.wait(creation, error.to_string())),
                Trace::Failed if then_ask && !self.look_only => {
                    return self.failed_in_ec2(creation, record).await;
                }
                Trace::Part(_) => {
                    let detail = "an earlier request made a part of the set; the rest is not \
                                  listed yet";
                    return Ok(self.wait(creation, detail.to_owned()));
                }
                Trace::Failed | Trace::Absent if !then_ask => {
                    let detail = "an earlier request left no trace yet; it is asked for again \
                                  when two minutes have passed";
                    return Ok(self.wait(creation, detail.to_owned()));
                }
                Trace::Failed | Trace::Absent => {}
            }
        }
        if self.look_only {
            return Ok(Progress {
                items: Vec::new(),
                complete: true,
            });
        }
        if !self.creator.invocation.has_time() {
            let reason = Reason::with(ReasonCode::OutOfTime, "this invocation's time is over");
            let items = vec![self.item(creation, Outcome::Deferred, reason)];
            return Ok(Progress {
                items,
                complete: false,
            });
        }
        match &creation.call {
            Call::Set(_) => self.creator.paces.sets.turn().await,
            Call::Single(_) => self.creator.paces.singles.turn().await,
        }
        let lease = self.held.good_for(CALL_TIMEOUT).await?;
        let blank = self.blank(&creation.source, before, lease.fence);
        let Ok(state) = ledger::step(before.map(|r| r.state), SlotStep::Request) else {
            return Ok(Progress {
                items: Vec::new(),
                complete: true,
            });
        };
        let record = SlotRecord {
            state,
            attempt: blank.attempt + 1,
            requested_at: Some(Timestamp::now()),
            ..blank
        };
        self.creator.records.write_slot(&record, before).await?;
        // The write may have been slow: nothing is sent that could outlast the lease.
        self.held.good_for(CALL_TIMEOUT).await?;
        let made = match &creation.call {
            Call::Set(request) => self.creator.ec2.create_snapshots(request).await,
            Call::Single(request) => self
                .creator
                .ec2
                .create_snapshot(request)
                .await
                .map(|one| vec![one]),
        };
        match made {
            Ok(made) => Ok(self.keep(creation, &record, &made, false).await),
            Err(error) => self.refused(creation, &record, &error).await,
        }
    }

    async fn refused(
        &self,
        creation: &Creation,
        record: &SlotRecord,
        error: &CallError,
    ) -> Result<Progress, TableError> {
        if error.class == ErrorClass::UnknownOutcome {
            return Ok(match self.look(creation).await {
                Trace::Found(found) => self.keep(creation, record, &found, true).await,
                Trace::Part(_) | Trace::Failed | Trace::Absent | Trace::Unknown(_) => {
                    self.wait(creation, error.to_string())
                }
            });
        }
        let permanent = matches!(error.class, ErrorClass::Permanent | ErrorClass::InUse)
            && !(record.attempt < PARAMETER_ATTEMPTS && fleet_moved_on(creation, error));
        if let Ok(state) = ledger::step(Some(record.state), SlotStep::Fail) {
            let failed = SlotRecord {
                state,
                error: Some(error.to_string()),
                permanent,
                ..record.clone()
            };
            self.creator
                .records
                .write_slot(&failed, Some(record))
                .await?;
        }
        let of_instance = matches!(creation.call, Call::Set(_));
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

    /// EC2 failed what an earlier run asked for: the record says so, and a later heartbeat asks
    /// again.
    async fn failed_in_ec2(
        &self,
        creation: &Creation,
        record: &SlotRecord,
    ) -> Result<Progress, TableError> {
        let words = "EC2 could not complete the snapshot";
        if let Ok(state) = ledger::step(Some(record.state), SlotStep::Fail) {
            let fence = self.held.token().await.fence;
            let failed = SlotRecord {
                state,
                error: Some(words.into()),
                fence,
                ..record.clone()
            };
            self.creator
                .records
                .write_slot(&failed, Some(record))
                .await?;
        }
        let reason = Reason::with(ReasonCode::FailedBackup, words);
        Ok(Progress {
            items: vec![self.item(creation, Outcome::Failed, reason)],
            complete: false,
        })
    }

    fn wait(&self, creation: &Creation, detail: String) -> Progress {
        let reason = Reason::with(ReasonCode::OutcomeUnknown, detail);
        Progress {
            items: vec![self.item(creation, Outcome::Deferred, reason)],
            complete: false,
        }
    }

    /// Looks for what an earlier request may have made, by the tags written in the call itself.
    async fn look(&self, creation: &Creation) -> Trace {
        let scope = SnapshotScope::Tagged(creation.trace.clone());
        let list = self.creator.ec2.snapshots(&scope).await;
        if let Some(error) = list.error {
            return Trace::Unknown(error);
        }
        // The list is of one's own snapshots already; a doubt here would make a second one.
        let ours: Vec<Snapshot> = list
            .items
            .into_iter()
            .filter(|snapshot| {
                Artifact::read(&snapshot.tags, snapshot.owner.as_deref(), None)
                    .is_ok_and(|artifact| artifact.kind == ArtifactKind::Snapshot)
            })
            .collect();
        if ours.is_empty() {
            return Trace::Absent;
        }
        let usable: Vec<Snapshot> = ours
            .into_iter()
            .filter(|s| s.state != SnapshotState::Error)
            .collect();
        let whole = creation
            .volumes
            .iter()
            .all(|volume| usable.iter().any(|s| s.volume.as_ref() == Some(volume)));
        match (usable.is_empty(), whole) {
            (true, _) => Trace::Failed,
            (false, true) => Trace::Found(usable),
            (false, false) => Trace::Part(usable),
        }
    }

    /// Records what was made: lineage first, so that `created` in the ledger means all is there.
    async fn keep(
        &self,
        creation: &Creation,
        record: &SlotRecord,
        made: &[Snapshot],
        adopted: bool,
    ) -> Progress {
        let written = self.record(creation, record, made).await;
        let mut items: Vec<Item> = made
            .iter()
            .map(|snapshot| {
                let mut item = Item::new(Action::Create, snapshot.id.as_str(), Outcome::Created)
                    .policy(&self.order.policy.name)
                    .slot(self.order.slot);
                item.source = snapshot.volume.as_ref().map(ToString::to_string);
                item.time = snapshot.start;
                if adopted {
                    let detail = "found by its tags; an earlier request had made it";
                    item = item.reason(Reason::with(ReasonCode::Adopted, detail));
                }
                if let Err(error) = &written {
                    let detail = format!("{error}; the next heartbeat records it");
                    item = item.reason(Reason::with(ReasonCode::TableFailed, detail));
                }
                item
            })
            .collect();
        items.extend(creation.notes.iter().cloned());
        Progress {
            items,
            complete: written.is_ok(),
        }
    }

    async fn record(
        &self,
        creation: &Creation,
        record: &SlotRecord,
        made: &[Snapshot],
    ) -> Result<(), TableError> {
        let lease = self.held.token().await;
        let (nodes, edges) = create::lineage(creation, self.order, made, Timestamp::now());
        self.creator.records.record(&nodes, &edges, &lease).await?;
        let state =
            ledger::step(Some(record.state), SlotStep::Create).map_err(|illegal| TableError {
                operation: "PutItem",
                table: "Holdfast's".into(),
                record: creation.source.clone(),
                kind: TableErrorKind::Refused,
                message: illegal.to_string(),
            })?;
        let created = SlotRecord {
            state,
            artifacts: made.iter().map(|s| s.id.to_string()).collect(),
            error: None,
            fence: lease.fence,
            ..record.clone()
        };
        self.creator
            .records
            .write_slot(&created, Some(record))
            .await
    }

    /// A source that the table stopped: another run goes on with it, or the next heartbeat.
    pub(super) fn interrupted(&self, creation: &Creation, error: &TableError) -> Progress {
        let (outcome, code) = match error.kind {
            TableErrorKind::Fenced => (Outcome::Deferred, ReasonCode::LeaseHeld),
            TableErrorKind::Unavailable => (Outcome::Deferred, ReasonCode::TableFailed),
            TableErrorKind::Missing
            | TableErrorKind::Denied
            | TableErrorKind::Unreadable
            | TableErrorKind::Refused => (Outcome::Failed, ReasonCode::TableFailed),
        };
        let reason = Reason::with(code, error.to_string());
        Progress {
            items: vec![self.item(creation, outcome, reason)],
            complete: false,
        }
    }
}
