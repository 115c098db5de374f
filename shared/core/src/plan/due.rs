//! Which slots a heartbeat has to do.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};

use crate::policy::{Policy, PolicyFile, PolicyState, Protect, Trigger};
use crate::ports::records::Begun;

/// For how long what an event left over is tried again under a policy without a schedule.
const TRIED_WITHOUT_SCHEDULE: SignedDuration = SignedDuration::from_hours(1);

/// A slot that is due.
#[derive(Clone, Debug)]
pub struct Due<'p> {
    /// The policy, under the name by which the slot was begun.
    pub policy: Cow<'p, Policy>,
    /// The slot.
    pub slot: Timestamp,
    /// Whether the slot was not started before.
    pub fresh: bool,
    /// Whether the ledger knows no slot of the policy: what lies before its first is not late.
    pub first: bool,
    /// Slots between the newest started one and this, which nobody will make.
    pub missed: Vec<Timestamp>,
    /// The slot begun before, where it was not finished, with the name by which it was begun: it is
    /// no longer made, but what was asked for is still to be taken over.
    pub unfinished: Option<(Cow<'p, Policy>, Timestamp)>,
}

/// Whether an event of this time is older than one that the function has already handled.
#[must_use]
pub fn is_late(begun: &Begun, now: Timestamp) -> bool {
    begun
        .highest
        .is_some_and(|highest| now.as_second() < highest.as_second())
}

/// The slots to do or to resume at `now`, at most one a policy.
///
/// Of several missed slots only the newest is due; a slot older than one already started never is.
/// A late heartbeat only resumes what was begun. A policy that the ledger does not know has its
/// newest past slot due, so that a first deployment makes a first backup.
#[must_use]
pub fn due<'p>(
    policies: &'p PolicyFile,
    protect: Protect,
    begun: &Begun,
    now: Timestamp,
) -> Vec<Due<'p>> {
    let late = is_late(begun, now);
    let mut due = Vec::new();
    for policy in &policies.policies {
        if policy.protect != protect || policy.state != PolicyState::Active {
            continue;
        }
        // After a rename, what the policy began under an earlier name is not begun again, and what
        // it did not finish is finished under that name: records and tags carry it.
        let names = std::iter::once(&policy.name).chain(&policy.formerly);
        let begun_as = names.filter_map(|name| Some((name, begun.heads.get(name)?)));
        let newest_begun = begun_as.reduce(|a, b| if b.1.slot > a.1.slot { b } else { a });
        let head = newest_begun.map(|(_, head)| head);
        let newest = if late { None } else { policy.latest_slot(now) };
        let resumed = newest_begun
            .filter(|(_, head)| !head.complete)
            .map(|(name, head)| (as_named(policy, name), head.slot));
        let fresh = newest.filter(|slot| head.is_none_or(|head| *slot > head.slot));
        if let Some(slot) = fresh {
            let mut missed = match head {
                Some(head) => policy.slots_between(head.slot, slot),
                None => Vec::new(),
            };
            missed.retain(|missed| *missed < slot && head.is_some_and(|head| *missed > head.slot));
            // What was begun and not finished is not finished any more either.
            missed.splice(
                0..0,
                head.filter(|head| !head.complete).map(|head| head.slot),
            );
            due.push(Due {
                policy: Cow::Borrowed(policy),
                slot,
                fresh: true,
                first: head.is_none(),
                missed,
                unfinished: resumed,
            });
        } else if let Some((policy, slot)) = resumed {
            due.push(Due {
                policy,
                slot,
                fresh: false,
                first: head.is_some_and(|head| head.first),
                missed: Vec::new(),
                unfinished: None,
            });
        }
    }
    due
}

/// Until when a backup for `slot` is on time; that of an event may be put off by the cooldown first.
#[must_use]
pub fn start_by(policy: &Policy, slot: Timestamp, trigger: Option<Trigger>) -> Timestamp {
    let from = match trigger {
        Some(_) => policy.cooldown.after(slot, &policy.timezone),
        None => slot,
    };
    policy.start_within.after(from, &policy.timezone)
}

/// Until when a source that an event or a request left over is tried again: until the policy's next
/// slot is due; an hour where it has no schedule, and for an event an hour after the cooldown that
/// may have put it off.
#[must_use]
pub fn tried_until(policy: &Policy, slot: Timestamp, trigger: Option<Trigger>) -> Timestamp {
    policy.next_slot(slot).unwrap_or_else(|| {
        let from = match trigger {
            Some(_) => policy.cooldown.after(slot, &policy.timezone),
            None => slot,
        };
        from + TRIED_WITHOUT_SCHEDULE
    })
}

/// The policy under one of its names, as its records and artifacts carry it.
#[must_use]
pub fn as_named<'p>(policy: &'p Policy, name: &str) -> Cow<'p, Policy> {
    if policy.name == name {
        return Cow::Borrowed(policy);
    }
    let mut earlier = policy.clone();
    earlier.name = name.to_owned();
    Cow::Owned(earlier)
}
