//! Whether an instance was stopped all the while its AMI was asked for.

use holdfast_core::id::InstanceId;
use holdfast_core::inventory::{Instance, InstanceState};
use holdfast_core::lineage::Consistency;
use holdfast_core::plan::create::{Attested, Call, Creation};
use holdfast_core::policy::{RequestedConsistency, Trigger};
use holdfast_core::ports::records::Records;
use holdfast_core::ports::{CallError, InstanceScope, ReadEc2, WriteEc2};
use holdfast_core::report::{Item, Outcome, Reason, ReasonCode};
use jiff::{SignedDuration, Timestamp};

use super::work::Work;

/// For how long after an event EC2's own description may still lag behind it.
const LAG: SignedDuration = SignedDuration::from_mins(2);

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
    /// Reads the instance's state before the call, where its AMI is to be, or may be, quiet.
    pub(super) async fn before(&self, creation: &Creation, trigger: Option<Trigger>) -> Before {
        let needed = self.needs_stopped();
        let instance = match &creation.call {
            Call::Image(request) => &request.instance,
            Call::Set(request) if needed => &request.instance,
            Call::Set(_) | Call::Single(_) => return Before::Go(None),
        };
        let promised = trigger == Some(Trigger::Stopped);
        if needed && let Some(words) = creation.shared.first() {
            let detail = format!("{words}, which may write to it");
            return Before::NotStopped(self.not_stopped(creation, &detail), false);
        }
        if !promised && !creation.stopped {
            return if needed {
                let detail = "it was not stopped when it was listed; it is never stopped for this";
                Before::NotStopped(self.not_stopped(creation, detail), true)
            } else {
                Before::Go(None)
            };
        }
        let seen = self.read(instance).await;
        if needed && !promised {
            let detail = match seen {
                Ok(Some(instance)) if instance.state == InstanceState::Stopped => {
                    return Before::Go(Some(Box::new(instance)));
                }
                Ok(Some(instance)) => format!("it is {}", instance.state),
                Ok(None) => "it is not listed any more".to_owned(),
                Err(error) => format!("whether it is still stopped is not known: {error}"),
            };
            return Before::NotStopped(self.not_stopped(creation, &detail), true);
        }
        if !promised {
            let stopped = seen
                .ok()
                .flatten()
                .filter(|i| i.state == InstanceState::Stopped);
            return Before::Go(stopped.map(Box::new));
        }
        let not_now = |detail: String| {
            let reason = Reason::with(ReasonCode::InstanceState, detail);
            Before::Wait(self.item(creation, Outcome::Deferred, reason))
        };
        match seen {
            Err(error) => not_now(format!("whether it is still stopped is not known: {error}")),
            Ok(Some(instance)) if instance.state == InstanceState::Stopped => {
                Before::Go(Some(Box::new(instance)))
            }
            Ok(Some(instance)) if instance.state == InstanceState::Stopping => {
                not_now("it is still stopping".to_owned())
            }
            Ok(found) => {
                let state = found.map_or("not listed".to_owned(), |i| format!("{}", i.state));
                if Timestamp::now().duration_since(self.order.slot) < LAG {
                    return not_now(format!("it is {state} although its event says stopped"));
                }
                let detail = format!(
                    "it had stopped and is {state} again: an AMI of it now would not be quiet"
                );
                let reason = Reason::with(ReasonCode::InstanceState, detail);
                Before::MovedOn(self.item(creation, Outcome::Skipped, reason))
            }
        }
    }

    /// Reads the instance's state after the call, where it was stopped before.
    pub(super) async fn after(&self, creation: &Creation, seen: Option<Box<Instance>>) -> Quiet {
        let Some(before) = seen else {
            if self.needs_stopped() && matches!(creation.call, Call::Single(_)) {
                let detail = "the policy asks for stopped: it was attached to nothing when it was \
                              listed, and whether it stayed so was not looked at";
                return Quiet::Unheld(Reason::with(ReasonCode::CrashConsistent, detail));
            }
            let policy_reboots = self.order.policy.reboot;
            let is_image = matches!(creation.call, Call::Image(_));
            if is_image && policy_reboots && !creation.reboots() {
                let detail = "it was not rebooted: an earlier call of this slot may have done so";
                return Quiet::Broken(detail.to_owned());
            }
            return if creation.reboots() {
                Quiet::Rebooted
            } else {
                Quiet::NotAsked
            };
        };
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

    async fn read(&self, id: &InstanceId) -> Result<Option<Instance>, CallError> {
        let scope = InstanceScope::Ids(vec![id.clone()]);
        let list = self.creator.ec2.instances(&scope).await;
        match list.error {
            Some(error) => Err(error),
            None => Ok(list.items.into_iter().find(|i| i.id == *id)),
        }
    }
}
