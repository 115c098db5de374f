//! Which slots a heartbeat has to do.

use jiff::Timestamp;

use crate::policy::{Policy, PolicyFile, PolicyState, Protect};
use crate::ports::records::Begun;

/// A slot that is due.
#[derive(Clone, Debug)]
pub struct Due<'p> {
    /// The policy.
    pub policy: &'p Policy,
    /// The slot.
    pub slot: Timestamp,
    /// Whether the slot was not started before.
    pub fresh: bool,
    /// Slots between the newest started one and this, which nobody will make.
    pub missed: Vec<Timestamp>,
    /// The slot begun before, where it was not finished: it is no longer made, but what was asked
    /// for is still to be taken over.
    pub unfinished: Option<Timestamp>,
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
        let own = begun.heads.get(&policy.name);
        // After a rename, what the policy began under its earlier name is not begun again.
        let earlier = policy
            .formerly
            .iter()
            .filter_map(|name| begun.heads.get(name));
        let head = own.or_else(|| earlier.max_by_key(|head| head.slot));
        let newest = if late { None } else { policy.latest_slot(now) };
        let resumed = own.filter(|head| !head.complete).map(|head| head.slot);
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
                policy,
                slot,
                fresh: true,
                missed,
                unfinished: resumed,
            });
        } else if let Some(slot) = resumed {
            due.push(Due {
                policy,
                slot,
                fresh: false,
                missed: Vec::new(),
                unfinished: None,
            });
        }
    }
    due
}
