//! Events that never came: found by what a machine is, and has no backup for.

use jiff::{SignedDuration, Timestamp};

use super::cooling;
use super::turn::{is_of, is_started};
use crate::inventory::{Instance, InstanceState};
use crate::lineage::{SlotRecord, SlotState};
use crate::plan::due::tried_until;
use crate::policy::{Policy, Trigger};

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
/// the ledger's records of what events asked for of the same policy and instance.
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
    if cooling(policy, trigger, now, bakes, now).is_some() {
        return None;
    }
    Some(Lost {
        trigger,
        at,
        can_be_made: !instance.is_ending(),
    })
}
