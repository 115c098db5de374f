//! What event-triggered runs left over, for a heartbeat to finish.

use std::collections::BTreeMap;

use holdfast_core::policy::{Policy, PolicyFile, PolicyState, Protect};
use holdfast_core::ports::records::OpenSource;
use holdfast_core::report::{Action, Item, Outcome, Reason, ReasonCode};
use jiff::{SignedDuration, Timestamp};

/// For how long after its slot a run that no schedule repeats is still finished: later, the
/// machine has moved on from what the event said of it.
const FINISHED_WITHIN: SignedDuration = SignedDuration::from_hours(1);

/// The open sources of one policy and slot.
pub(super) struct Group<'p> {
    pub policy: &'p Policy,
    pub slot: Timestamp,
    pub open: Vec<OpenSource>,
    /// Too old to be made.
    pub give_up: bool,
}

/// Groups open sources; those of a policy that is gone or rests are left alone.
pub(super) fn group<'p>(
    policies: &'p PolicyFile,
    open: &[OpenSource],
    now: Timestamp,
) -> Vec<Group<'p>> {
    let mut groups: BTreeMap<(&str, Timestamp), Vec<OpenSource>> = BTreeMap::new();
    for source in open {
        groups
            .entry((&source.policy, source.slot))
            .or_default()
            .push(source.clone());
    }
    let active = |name: &str| {
        policies.policies.iter().find(|p| {
            p.name == name && p.protect == Protect::Volumes && p.state == PolicyState::Active
        })
    };
    groups
        .into_iter()
        .filter_map(|((name, slot), open)| {
            let give_up = now.duration_since(slot) > FINISHED_WITHIN;
            Some(Group {
                policy: active(name)?,
                slot,
                open,
                give_up,
            })
        })
        .collect()
}

impl Group<'_> {
    fn item(&self, open: &OpenSource, outcome: Outcome, reason: Reason) -> Item {
        Item::new(Action::Create, &open.source, outcome)
            .policy(&self.policy.name)
            .source(&open.source)
            .slot(self.slot)
            .reason(reason)
    }

    /// The finding that a source is given up.
    pub(super) fn given_up(&self, open: &OpenSource) -> Item {
        let detail = format!(
            "its backup for {} could not be made within {FINISHED_WITHIN:#} and is given up",
            self.slot
        );
        let reason = Reason::with(ReasonCode::SlotMissed, detail);
        self.item(open, Outcome::Finding, reason)
    }

    /// The word on a source that turned out not to be picked.
    pub(super) fn not_picked(&self, open: &OpenSource) -> Item {
        let detail = format!("{} does not pick it, or no longer", self.policy.name);
        let reason = Reason::with(ReasonCode::NotPicked, detail);
        self.item(open, Outcome::Skipped, reason)
    }
}
