//! Whether an instance was stopped all the while its AMI was asked for.

use holdfast_core::id::InstanceId;
use holdfast_core::inventory::{Instance, InstanceState};
use holdfast_core::lineage::{Consistency, SlotRecord};
use holdfast_core::plan::create::{Attested, Call, Creation};
use holdfast_core::policy::{RequestedConsistency, Trigger};
use holdfast_core::ports::records::{Records, TableError};
use holdfast_core::ports::{CallError, InstanceScope, ReadEc2, WriteEc2};
use holdfast_core::report::{Item, Outcome, Reason, ReasonCode};

use super::bake::Gate;
use super::work::Work;

/// The state read just before the call.
pub(super) enum Before {
    /// Ask; with the instance where it was seen stopped.
    Go(Option<Box<Instance>>),
    /// Not now.
    Wait(Item),
    /// Not at all: the machine is no longer what the event said.
    MovedOn(Item),
    /// The policy takes only stopped instances, and this one is not; whether that may pass.
    NotStopped(Item, bool),
}

/// What is known of the disks at the moment of the call.
pub(super) enum Quiet {
    /// Nobody looked, because nobody expects it to be quiet.
    NotAsked,
    /// EC2 rebooted the instance.
    Rebooted,
    /// The instance was stopped before and after, without a start in between.
    Stopped,
    /// It was not; why.
    Broken(String),
    /// An earlier run made it; what it saw is not known.
    Adopted,
    /// Writes were held inside the guest over it, for so many milliseconds at most.
    Frozen { ms: u32 },
    /// It is worth less than the policy asks for; why.
    Unheld(Reason),
}

/// Why the disks of a stopped instance are not those of one that was shut down.
fn not_quiet(creation: &Creation, stopped: &Instance) -> Option<String> {
    if stopped.may_be_hibernated() {
        let detail = "it is hibernated, or may be: its disks are those of a running machine, and \
                      what is launched from them may not be reached (EC2 User Guide, \
                      \"Hibernation\")";
        return Some(detail.to_owned());
    }
    let words = creation.shared.first()?;
    Some(format!("{words}, which may write to it"))
}

impl Quiet {
    pub(super) fn consistency(&self) -> Consistency {
        match self {
            Self::Stopped => Consistency::Stopped,
            Self::Rebooted => Consistency::Rebooted,
            Self::Frozen { .. } => Consistency::Application,
            Self::NotAsked | Self::Broken(_) | Self::Adopted | Self::Unheld(_) => {
                Consistency::Crash
            }
        }
    }

    /// What the lineage records of it.
    pub(super) fn attested(&self) -> Attested {
        Attested {
            consistency: self.consistency(),
            frozen_ms: match self {
                Self::Frozen { ms } => Some(*ms),
                _ => None,
            },
        }
    }

    pub(super) fn reason(&self) -> Option<Reason> {
        match self {
            Self::NotAsked | Self::Rebooted | Self::Adopted => None,
            Self::Stopped => {
                let detail = "it was stopped before the call and still after it";
                Some(Reason::with(ReasonCode::Quiet, detail))
            }
            Self::Broken(detail) => Some(Reason::with(ReasonCode::NotQuiet, detail.clone())),
            Self::Frozen { ms } => {
                let detail = format!("writes were held inside the guest for {ms} ms at most");
                Some(Reason::with(ReasonCode::ApplicationConsistent, detail))
            }
            Self::Unheld(reason) => Some(reason.clone()),
        }
    }
}

impl<E: ReadEc2 + WriteEc2, R: Records> Work<'_, '_, E, R> {
    /// Reads the instance's state before the call: where an event asked for it, and where it is to
    /// be, or may be, quiet.
    pub(super) async fn before(
        &self,
        creation: &Creation,
        trigger: Option<Trigger>,
        record: Option<&SlotRecord>,
    ) -> Result<Before, TableError> {
        let needed = self.needs_stopped();
        let instance = match &creation.call {
            Call::Image(request) => &request.instance,
            Call::Set(request) if needed || trigger.is_some() => &request.instance,
            Call::Set(_) | Call::Single(_) => return Ok(Before::Go(None)),
        };
        let is_stopped = |instance: &Instance| instance.state == InstanceState::Stopped;
        if let Some(trigger) = trigger {
            let seen = match self.gate(creation, instance, trigger, record).await? {
                Gate::Open(seen) => seen,
                Gate::Closed(why) => return Ok(why),
            };
            if needed && let Some(detail) = not_quiet(creation, &seen) {
                return Ok(Before::NotStopped(
                    self.not_stopped(creation, &detail),
                    false,
                ));
            }
            return Ok(Before::Go(is_stopped(&seen).then_some(seen)));
        }
        if needed && let Some(words) = creation.shared.first() {
            let detail = format!("{words}, which may write to it");
            let item = self.not_stopped(creation, &detail);
            return Ok(Before::NotStopped(item, false));
        }
        if !creation.stopped {
            return Ok(if needed {
                let detail = "it was not stopped when it was listed; it is never stopped for this";
                Before::NotStopped(self.not_stopped(creation, detail), true)
            } else {
                Before::Go(None)
            });
        }
        let seen = self.read(instance).await;
        if needed {
            let detail = match seen {
                Ok(Some(instance)) if is_stopped(&instance) => {
                    match not_quiet(creation, &instance) {
                        Some(detail) => detail,
                        None => return Ok(Before::Go(Some(Box::new(instance)))),
                    }
                }
                Ok(Some(instance)) => format!("it is {}", instance.state),
                Ok(None) => "it is not listed any more".to_owned(),
                Err(error) => format!("whether it is still stopped is not known: {error}"),
            };
            return Ok(Before::NotStopped(
                self.not_stopped(creation, &detail),
                true,
            ));
        }
        let stopped = seen.ok().flatten().filter(is_stopped);
        Ok(Before::Go(stopped.map(Box::new)))
    }

    /// Reads the instance's state after the call, where it was stopped before.
    pub(super) async fn after(
        &self,
        creation: &Creation,
        seen: Option<Box<Instance>>,
        record: Option<&SlotRecord>,
    ) -> Quiet {
        let Some(before) = seen else {
            if self.needs_stopped() && matches!(creation.call, Call::Single(_)) {
                let detail = "the policy asks for stopped: it was attached to nothing when it was \
                              listed, and whether it stayed so was not looked at";
                return Quiet::Unheld(Reason::with(ReasonCode::CrashConsistent, detail));
            }
            let policy_reboots = self.order.policy.reboot;
            let is_image = matches!(creation.call, Call::Image(_));
            if is_image && policy_reboots && !creation.reboots() {
                let again = record.is_some_and(|record| record.rebooted);
                let why = creation.left_running.filter(|_| !again);
                let why = why.unwrap_or("an earlier call of this slot may have done so");
                return Quiet::Broken(format!("it was not rebooted: {why}"));
            }
            return if creation.reboots() {
                Quiet::Rebooted
            } else {
                Quiet::NotAsked
            };
        };
        if let Some(detail) = not_quiet(creation, &before) {
            return Quiet::Broken(detail);
        }
        match self.read(&before.id).await {
            Ok(Some(now))
                if now.state == InstanceState::Stopped && now.launched == before.launched =>
            {
                Quiet::Stopped
            }
            Ok(Some(now)) if now.state == InstanceState::Stopped => {
                Quiet::Broken("it was started and stopped again during the call".to_owned())
            }
            Ok(Some(now)) => Quiet::Broken(format!("it was {} after the call", now.state)),
            Ok(None) => Quiet::Broken("it was not listed after the call".to_owned()),
            Err(error) => Quiet::Broken(format!("its state after the call is not known: {error}")),
        }
    }

    /// Whether the policy takes only instances that are stopped.
    fn needs_stopped(&self) -> bool {
        self.order.policy.consistency == RequestedConsistency::Stopped
    }

    fn not_stopped(&self, creation: &Creation, detail: &str) -> Item {
        let detail = format!("the policy takes it only stopped: {detail}");
        let reason = Reason::with(ReasonCode::InstanceState, detail);
        self.item(creation, Outcome::Failed, reason)
    }

    pub(super) async fn read(&self, id: &InstanceId) -> Result<Option<Instance>, CallError> {
        let scope = InstanceScope::Ids(vec![id.clone()]);
        let list = self.creator.ec2.instances(&scope).await;
        match list.error {
            Some(error) => Err(error),
            None => Ok(list.items.into_iter().find(|i| i.id == *id)),
        }
    }
}
