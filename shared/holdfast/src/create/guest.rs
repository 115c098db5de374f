//! Writes held inside a guest while its set is asked for.
//!
//! The pre-script holds them, the call follows, and the post-script lets them go as soon as the call
//! has returned, whatever it returned: the point in time is that of the call, not of the snapshots'
//! completion. A timer inside the guest lets them go when this process dies in between, or when a
//! command is lost. A freeze is never taken over: a run that finds a source unfinished begins anew,
//! with an execution of its own.

use holdfast_core::id::InstanceId;
use holdfast_core::lineage::SlotRecord;
use holdfast_core::lineage::ledger::{self, SlotStep};
use holdfast_core::plan::create::guest::{NotFrozen, Thaw, said, time_needed, unfit};
use holdfast_core::plan::create::{Call, Creation};
use holdfast_core::policy::{Application, OnFailure};
use holdfast_core::ports::guest::{CommandState, GuestCommand, GuestCommands, Script};
use holdfast_core::ports::records::{Records, TableError};
use holdfast_core::ports::{CallError, ErrorClass, ReadEc2, WriteEc2};
use holdfast_core::report::{Action, Item, Outcome, Reason, ReasonCode};
use jiff::SignedDuration;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout_at};
use uuid::Uuid;

use super::Creator;
use super::quiet::Quiet;
use super::work::{Progress, Work};
use crate::aws::CALL_TIMEOUT;

/// Time between two questions after a command, and before it is sent again. Systems Manager does not
/// publish its request rates.
const POLL: Duration = Duration::from_secs(1);

/// How long a command may lie undelivered. One that reaches the guest later finds that its execution
/// is over.
const DELIVERY: SignedDuration = SignedDuration::from_secs(30);

/// What guards the point in time inside the guest.
pub(super) enum Guard {
    /// Nothing, because the policy asks for nothing.
    NotAsked,
    /// Writes are held.
    Frozen(Frozen),
    /// Nothing, although the policy asks for it, because it prefers that to no backup; why.
    Unheld(Reason),
}

/// Writes held in one guest.
pub(super) struct Frozen {
    instance: InstanceId,
    document: String,
    execution: String,
    timeout: SignedDuration,
    since: Instant,
}

/// Whether the call may follow.
pub(super) enum Ready {
    /// It may; with what the report has to say of the guest.
    Go(Guard, Vec<Item>),
    /// It may not.
    Stop(Progress),
}

/// What is known of a command.
enum Ran {
    /// It was refused before anything ran.
    NotSent(CallError),
    /// It ended.
    Ended(CommandState),
    /// Nobody knows; why.
    Unheard(String),
}

impl<E, R> Creator<'_, E, R> {
    /// Whether there is time to begin something that may take this long, by either clock.
    fn has(&self, needed: SignedDuration) -> bool {
        let end = Instant::now() + needed.unsigned_abs();
        self.invocation.has(needed) && self.stop.is_none_or(|at| end < at)
    }
}

impl<E: ReadEc2 + WriteEc2, R: Records> Work<'_, '_, E, R> {
    /// Holds the writes of a set's instance, where the policy asks for it.
    pub(super) async fn freeze(
        &self,
        creation: &Creation,
        before: Option<&SlotRecord>,
    ) -> Result<Ready, TableError> {
        let Some(application) = self.order.policy.consistency.application() else {
            return Ok(Ready::Go(Guard::NotAsked, Vec::new()));
        };
        let stop = |not| self.not_frozen(creation, before, application, not, Vec::new());
        let (Call::Set(request), Some(guests)) = (&creation.call, self.creator.guests) else {
            let detail = "it is attached to no instance, so that nothing can hold writes to it; \
                          select it in a policy of its own, or write on_failure: crash";
            let reason = Reason::with(ReasonCode::NoGuest, detail);
            return stop(NotFrozen::lasting(reason)).await;
        };
        if let Some(words) = creation.shared.first() {
            let detail = format!("{words}, whose writes no freeze here would hold");
            let reason = Reason::with(ReasonCode::NoGuest, detail);
            return stop(NotFrozen::lasting(reason)).await;
        }
        let instance = &request.instance;
        let not = match guests.guest(instance).await {
            Ok(found) => unfit(instance, found.as_ref()),
            Err(error) => Some(NotFrozen::passing(failed(&error))),
        };
        if let Some(not) = not {
            return stop(not).await;
        }
        let needed = time_needed(application, CALL_TIMEOUT);
        if !self.creator.has(needed) {
            let detail = format!(
                "a freeze may take {} s, and this invocation has less left",
                needed.as_secs()
            );
            let reason = Reason::with(ReasonCode::OutOfTime, detail);
            return Ok(Ready::Stop(Progress {
                items: vec![self.item(creation, Outcome::Deferred, reason)],
                complete: false,
            }));
        }
        let frozen = Frozen {
            instance: instance.clone(),
            document: application.document.clone(),
            execution: Uuid::new_v4().to_string(),
            timeout: application.timeout,
            since: Instant::now(),
        };
        let (words, sent) = match frozen.run(guests, Script::Pre).await {
            Ran::Ended(CommandState::Succeeded) => {
                return Ok(Ready::Go(Guard::Frozen(frozen), Vec::new()));
            }
            Ran::NotSent(error) => (error.to_string(), false),
            Ran::Ended(state) => (said(&state), true),
            Ran::Unheard(words) => (words, true),
        };
        let mut told = Vec::new();
        // It may have held some of the writes before it failed, or may still do so.
        if sent && !matches!(frozen.thaw(guests).await, Thaw::Confirmed | Thaw::Early(_)) {
            let detail = format!(
                "the post-script did not succeed either; if {instance} still holds writes, the \
                 timer in it lets them go"
            );
            told.push(self.of_guest(creation, Reason::with(ReasonCode::ThawUnknown, detail)));
        }
        let detail = format!("the pre-script of {}: {words}", frozen.document);
        let reason = Reason::with(ReasonCode::FreezeFailed, detail);
        let not = NotFrozen::passing(reason);
        self.not_frozen(creation, before, application, not, told)
            .await
    }

    /// Lets writes go; what the point in time is worth where the guest has a say in it, and what
    /// the report has to say of the guest.
    pub(super) async fn thaw(
        &self,
        creation: &Creation,
        guard: Guard,
    ) -> (Option<Quiet>, Vec<Item>) {
        let frozen = match guard {
            Guard::NotAsked => return (None, Vec::new()),
            Guard::Unheld(reason) => return (Some(Quiet::Unheld(reason)), Vec::new()),
            Guard::Frozen(frozen) => frozen,
        };
        let thaw = match self.creator.guests {
            Some(guests) => frozen.thaw(guests).await,
            None => Thaw::Unknown("nothing here sends commands".to_owned()),
        };
        match thaw.trouble(&frozen.instance) {
            None => {
                let ms = u32::try_from(frozen.since.elapsed().as_millis()).unwrap_or(u32::MAX);
                (Some(Quiet::Frozen { ms }), Vec::new())
            }
            Some(reason) => {
                let detail = "the policy asks for application; that writes were held over the \
                              point in time was not confirmed";
                let less = Reason::with(ReasonCode::CrashConsistent, detail);
                let told = self.of_guest(creation, reason);
                (Some(Quiet::Unheld(less)), vec![told])
            }
        }
    }

    /// What becomes of a source that is not frozen.
    async fn not_frozen(
        &self,
        creation: &Creation,
        before: Option<&SlotRecord>,
        application: &Application,
        not: NotFrozen,
        told: Vec<Item>,
    ) -> Result<Ready, TableError> {
        match application.on_failure {
            OnFailure::Crash => {
                let why = not.reason.detail.unwrap_or_default();
                let detail = format!("the policy asks for application: {why}");
                let reason = Reason::with(ReasonCode::CrashConsistent, detail);
                Ok(Ready::Go(Guard::Unheld(reason), told))
            }
            OnFailure::Skip => {
                let item = self.item(creation, Outcome::Failed, not.reason);
                let mut progress = self.not_taken(creation, before, item, not.passing).await?;
                progress.items.extend(told);
                Ok(Ready::Stop(progress))
            }
        }
    }

    /// Records a source whose call was not sent; a `passing` reason is tried again by the following
    /// heartbeats.
    pub(super) async fn not_taken(
        &self,
        creation: &Creation,
        before: Option<&SlotRecord>,
        item: Item,
        passing: bool,
    ) -> Result<Progress, TableError> {
        let step = ledger::step(before.map(|r| r.state), SlotStep::Fail);
        if let Some(state) = step.ok().filter(|_| passing || self.may_end(before)) {
            let words = item.reasons.iter().filter_map(|r| r.detail.as_deref());
            let record = SlotRecord {
                state,
                error: Some(words.collect::<Vec<_>>().join("; ")),
                permanent: !passing,
                event_over: !passing && self.trigger.is_some(),
                ..self.blank(&creation.source, before, self.held.token().await.fence)
            };
            self.creator.records.write_slot(&record, before).await?;
        }
        Ok(Progress {
            items: vec![item],
            complete: !passing,
        })
    }

    /// A line of the report on the guest, beside those on its backup.
    fn of_guest(&self, creation: &Creation, reason: Reason) -> Item {
        Item::new(Action::Check, &creation.source, Outcome::Finding)
            .policy(&self.order.policy.name)
            .source(&creation.source)
            .slot(self.order.slot)
            .reason(reason)
    }
}

/// Why a guest could not be asked about.
fn failed(error: &CallError) -> Reason {
    let code = match error.class {
        ErrorClass::Denied => ReasonCode::AccessDenied,
        _ => ReasonCode::GuestOffline,
    };
    let detail = format!("whether Systems Manager reaches it is not known: {error}");
    Reason::with(code, detail)
}

impl Frozen {
    fn until(&self) -> Instant {
        Instant::now() + self.timeout.unsigned_abs()
    }

    /// Runs one script and waits for its end, as long as its time-out allows.
    async fn run(&self, guests: &dyn GuestCommands, script: Script) -> Ran {
        self.run_until(guests, script, self.until()).await
    }

    /// Runs the post-script, again where it did not come to run.
    async fn thaw(&self, guests: &dyn GuestCommands) -> Thaw {
        let until = self.until();
        loop {
            let ran = self.run_until(guests, Script::Post, until).await;
            let again = matches!(
                &ran,
                Ran::Ended(CommandState::Failed {
                    exit_code: None,
                    ..
                })
            );
            if again && Instant::now() + POLL < until {
                sleep_until(Instant::now() + POLL).await;
                continue;
            }
            return match ran {
                Ran::Ended(state) => Thaw::of(&state, ""),
                Ran::Unheard(words) => Thaw::of(&CommandState::UnderWay, &words),
                Ran::NotSent(error) => Thaw::of(&CommandState::UnderWay, &error.to_string()),
            };
        }
    }

    async fn run_until(&self, guests: &dyn GuestCommands, script: Script, until: Instant) -> Ran {
        let command = GuestCommand {
            instance: self.instance.clone(),
            document: self.document.clone(),
            execution: self.execution.clone(),
            script,
            delivery: DELIVERY,
        };
        let late = |last: Option<CallError>| {
            let last = last.map_or_else(String::new, |error| format!(" ({error})"));
            let seconds = self.timeout.as_secs();
            Ran::Unheard(format!(
                "no end of it was heard of within {seconds} s{last}"
            ))
        };
        // Asked again after a lost answer: the scripts know a repetition by its execution.
        let mut last = None;
        let mut heard_nothing = false;
        let id = loop {
            match timeout_at(until, guests.send(&command)).await {
                Ok(Ok(id)) => break id,
                Ok(Err(error)) => match error.class {
                    ErrorClass::Throttled | ErrorClass::Limited => last = Some(error),
                    ErrorClass::UnknownOutcome => {
                        heard_nothing = true;
                        last = Some(error);
                    }
                    _ if heard_nothing => return late(Some(error)),
                    _ => return Ran::NotSent(error),
                },
                Err(_) => return late(last),
            }
            sleep_until(until.min(Instant::now() + POLL)).await;
            if Instant::now() >= until {
                return match last {
                    Some(error) if !heard_nothing => Ran::NotSent(error),
                    last => late(last),
                };
            }
        };
        let mut last = None;
        loop {
            sleep_until(until.min(Instant::now() + POLL)).await;
            match timeout_at(until, guests.state(&id, &self.instance)).await {
                Ok(Ok(CommandState::UnderWay)) => {}
                Ok(Ok(state)) => return Ran::Ended(state),
                Ok(Err(error)) if error.class.is_retryable() => last = Some(error),
                Ok(Err(error)) => return late(Some(error)),
                Err(_) => return late(last),
            }
            if Instant::now() >= until {
                return late(last);
            }
        }
    }
}
