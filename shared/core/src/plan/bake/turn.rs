//! Whether an event's backup is made now, later or not at all, by what was made before.

use jiff::{SignedDuration, Timestamp};

use super::LAG;
use crate::lineage::{SlotRecord, SlotState};
use crate::policy::{Policy, Trigger};
use crate::report::whole_second;

/// What is to be done about an event whose machine is as it said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Its backup is made.
    Due,
    /// Another event told the same change, and that one's backup was started.
    Done {
        /// The other event.
        slot: Timestamp,
    },
    /// The backup of a newer event was started, which shows all that this one's would.
    Superseded {
        /// The newer event.
        slot: Timestamp,
    },
    /// Another was started less than the policy's `cooldown` before.
    PutOff {
        /// The event of that one.
        slot: Timestamp,
        /// When the cooldown is over.
        until: Timestamp,
    },
    /// It seems to be done, by a description that may still be that of an earlier change.
    Unsure {
        /// The event of the backup that seems to be this one's.
        slot: Timestamp,
    },
}

/// Whether a backup has been started that may exist: one that failed holds nobody back.
pub(super) fn is_started(record: &SlotRecord) -> bool {
    match record.state {
        SlotState::Requested | SlotState::Created | SlotState::Completed => true,
        SlotState::Intended | SlotState::Failed => false,
    }
}

/// Whether a bake is the one of an instance's change since its launch that `trigger` names.
pub(super) fn is_of(record: &SlotRecord, trigger: Trigger, launched: Option<Timestamp>) -> bool {
    record.trigger == Some(trigger) && launched.is_some_and(|at| record.slot >= whole_second(at))
}

/// The newest bake that holds an event back at `now`, and when that ends.
///
/// The cooldown counts from the event of the newest bake that was started for any trigger of the
/// policy. The warning of an interruption is never held back: it is the last chance of a machine
/// that is terminated, and comes at most once a launch.
#[must_use]
pub fn cooling(
    policy: &Policy,
    trigger: Trigger,
    slot: Timestamp,
    bakes: &[SlotRecord],
    now: Timestamp,
) -> Option<(Timestamp, Timestamp)> {
    if trigger == Trigger::SpotInterruption {
        return None;
    }
    let started = bakes
        .iter()
        .filter(|b| is_started(b) && b.slot != slot && b.slot <= slot.max(now));
    let newest = started.map(|b| b.slot).max()?;
    let until = policy.cooldown.after(newest, &policy.timezone);
    (now < until).then_some((newest, until))
}

/// What is to be done about the event of `slot` at `now`, given the ledger's records of what events
/// asked for of the same policy and instance, and since when the instance has been launched.
///
/// `wall` is the wall clock, by which EC2's lag is reckoned.
#[must_use]
pub fn turn(
    policy: &Policy,
    (trigger, slot): (Trigger, Timestamp),
    launched: Option<Timestamp>,
    bakes: &[SlotRecord],
    now: Timestamp,
    wall: Timestamp,
) -> Turn {
    let others = || bakes.iter().filter(|b| is_started(b) && b.slot != slot);
    let same = others().find(|b| is_of(b, trigger, launched));
    if let Some(same) = same {
        let recent = wall.duration_since(slot) < LAG && same.slot < slot;
        return if recent {
            Turn::Unsure { slot: same.slot }
        } else {
            Turn::Done { slot: same.slot }
        };
    }
    let newest = others().map(|b| b.slot).max();
    if let Some(newer) = newest.filter(|newest| *newest > slot) {
        return Turn::Superseded { slot: newer };
    }
    match cooling(policy, trigger, slot, bakes, now) {
        Some((slot, until)) => Turn::PutOff { slot, until },
        None => Turn::Due,
    }
}

/// Since when the records of earlier bakes matter to a question asked at `now`.
#[must_use]
pub fn matters_since(policy: &Policy, launched: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let cooldown = policy.cooldown.before(now, &policy.timezone);
    let since = launched.map_or(cooldown, |launched| launched.min(cooldown));
    since
        .checked_sub(SignedDuration::from_secs(1))
        .unwrap_or(since)
}
