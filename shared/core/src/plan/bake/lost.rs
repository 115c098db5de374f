//! Events that never came: found by what a machine is, and has no backup for.

use jiff::{SignedDuration, Timestamp};

use super::cooling;
use super::turn::{is_of, is_started};
use crate::inventory::{Instance, InstanceState};
use crate::lineage::{SlotRecord, SlotState};
use crate::plan::due::tried_until;
use crate::policy::{Policy, Trigger};
use crate::ports::records::OpenSource;
use crate::report::whole_second;

/// For how long after a change its event is waited for before it counts as lost. One that comes
/// later still finds the backup of its change made, and makes none.
const AWAITED: SignedDuration = SignedDuration::from_mins(15);

/// A change of an instance's state that no backup answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// What the event would have been.
    pub trigger: Trigger,
    /// When the change was, where EC2 tells.
    pub at: Option<Timestamp>,
    /// Whether the backup can still be made: the instance is there.
    pub can_be_made: bool,
}

/// Why the bake of the event of `slot` leaves its machine running although the policy reboots; none
/// where it may be rebooted.
///
/// A policy that reboots for a bake after the boot means a machine that is not yet at work. An event
/// that was lost is found a quarter of an hour after the boot at the earliest, and may be found
/// months later; its slot is the time of the finding.
#[must_use]
pub fn not_rebooted(
    trigger: Trigger,
    slot: Timestamp,
    launched: Option<Timestamp>,
) -> Option<&'static str> {
    let fresh = launched.is_some_and(|at| slot.duration_since(at) < AWAITED);
    match trigger {
        Trigger::SpotInterruption => {
            Some("a Spot instance that is about to be interrupted has no time for it")
        }
        Trigger::Running if fresh => None,
        Trigger::Running => Some("its event was lost, and by now the machine may be at work"),
        Trigger::Stopped => Some("it was stopped when its event came"),
    }
}

/// The trigger of the policy that an instance's last change of state would have been, by its state.
#[must_use]
pub fn candidate(policy: &Policy, instance: &Instance) -> Option<Trigger> {
    let has = |trigger: Trigger| policy.triggers.contains(&trigger).then_some(trigger);
    let reclaimed = || {
        let spot = has(Trigger::SpotInterruption)?;
        instance.was_reclaimed().then_some(spot)
    };
    match instance.state {
        InstanceState::Running => has(Trigger::Running),
        InstanceState::Stopped => has(Trigger::Stopped).or_else(reclaimed),
        InstanceState::ShuttingDown | InstanceState::Terminated => reclaimed(),
        InstanceState::Pending | InstanceState::Stopping | InstanceState::Unknown(_) => None,
    }
}

/// Whether the last change of an instance's state has no backup at `now`, and none under way, given
/// the ledger's records of what events asked for of the same policy and instance, and what is left
/// to the heartbeats (`open`): an event that waits there is not lost, record or not.
///
/// A boot is as old as the launch; the time of a stop is advisory (see
/// [`Instance::changed`]), and without one it is taken for old. What was decided for good (refused,
/// or not made because the machine had moved on) is no lost event. An instance that changed before
/// the policy was written has no backup either: like the first slot of a schedule, it gets one.
#[must_use]
pub fn lost(
    policy: &Policy,
    instance: &Instance,
    bakes: &[SlotRecord],
    open: &[OpenSource],
    now: Timestamp,
) -> Option<Lost> {
    let trigger = candidate(policy, instance)?;
    let launched = instance.launched?;
    let told = match instance.state {
        InstanceState::Running => Some(launched),
        _ => instance.changed(),
    };
    let at = told.filter(|at| (launched..=now).contains(at));
    if at.is_some_and(|at| now.duration_since(at) < AWAITED) {
        return None;
    }
    let answers = |b: &&SlotRecord| is_of(b, trigger, Some(launched));
    let is_answered = |b: &SlotRecord| {
        let under_way = || b.failures > 0 || now < tried_until(policy, b.slot, b.trigger);
        match b.state {
            _ if is_started(b) => true,
            SlotState::Failed if b.permanent => true,
            _ => under_way(),
        }
    };
    if bakes.iter().filter(answers).any(is_answered) {
        return None;
    }
    let waits = |open: &OpenSource| {
        let ours = open.policy == policy.name || policy.formerly.contains(&open.policy);
        ours && open.source == instance.id.as_str()
            && open.trigger == Some(trigger)
            && open.slot >= whole_second(launched)
    };
    if open.iter().any(waits) {
        return None;
    }
    if cooling(policy, trigger, now, bakes, now).is_some() {
        return None;
    }
    Some(Lost {
        trigger,
        at,
        can_be_made: !instance.is_ending(),
    })
}
