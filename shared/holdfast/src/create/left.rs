//! What is left to heartbeats although no slot is due: sources that events left over, and backups
//! that EC2 failed after they were started.

use std::borrow::Cow;
use std::collections::BTreeMap;

use holdfast_core::inventory::InstanceState;
use holdfast_core::plan::due::{as_named, tried_until};
use holdfast_core::plan::judge::governing;
use holdfast_core::policy::{Policy, PolicyFile, PolicyState, Protect, Trigger};
use holdfast_core::ports::records::{Begun, OpenSource, TableError};
use holdfast_core::report::{Action, Item, Outcome, Reason, ReasonCode};
use jiff::{SignedDuration, Timestamp};

/// For how long after its slot a source that EC2 does not list may still turn up.
const LISTED_WITHIN: SignedDuration = SignedDuration::from_hours(1);

/// The open sources of one policy and slot.
pub(super) struct Group<'p> {
    /// Under the name by which the slot was begun.
    pub policy: Cow<'p, Policy>,
    pub slot: Timestamp,
    /// The on-demand request, where it was one.
    pub request: Option<&'p str>,
    pub trigger: Option<Trigger>,
    pub open: Vec<OpenSource>,
    /// Why it is not made any more, if so.
    pub give_up: Option<String>,
    /// Whether its time is over: a source that is not listed by now is not waited for.
    pub over: bool,
}

/// Groups open sources; those of a policy that is gone or rests are left alone.
pub(super) fn group<'p>(
    policies: &'p PolicyFile,
    protect: Protect,
    begun: &Begun,
    open: &'p [OpenSource],
    now: Timestamp,
) -> Vec<Group<'p>> {
    type Key<'p> = (&'p str, Timestamp, Option<&'p str>, Option<Trigger>, bool);
    let mut groups: BTreeMap<Key<'_>, Vec<OpenSource>> = BTreeMap::new();
    for source in open {
        let key = (
            source.policy.as_str(),
            source.slot,
            source.request.as_deref(),
            source.trigger,
            source.failures > 0,
        );
        groups.entry(key).or_default().push(source.clone());
    }
    let active = |name: &str| {
        let policy = governing(policies, name)?;
        let wanted = policy.protect == protect && policy.state == PolicyState::Active;
        wanted.then_some(policy)
    };
    groups
        .into_iter()
        .filter_map(|((name, slot, request, trigger, failed), open)| {
            let policy = active(name)?;
            let names = policy.formerly.iter().chain([&policy.name]);
            let newer = names
                .filter_map(|name| begun.heads.get(name))
                .find(|head| head.slot > slot);
            let scheduled = request.is_none() && trigger.is_none();
            let over = now.duration_since(slot) > LISTED_WITHIN;
            let until = tried_until(policy, slot, trigger);
            let give_up = match newer {
                // A slot older than one already started is never made.
                Some(head) if scheduled => Some(format!("{} has begun", head.slot)),
                _ if now >= until && !failed => {
                    Some(format!("it could not be made before {until}"))
                }
                _ => None,
            };
            Some(Group {
                policy: as_named(policy, name),
                slot,
                request,
                trigger,
                open,
                give_up,
                over,
            })
        })
        .collect()
}

/// The word on an instance that ends before its event's backup was made. That of an interruption was
/// promised, and is missing.
pub(super) fn ending(
    policy: &str,
    (slot, trigger): (Timestamp, Option<Trigger>),
    instance: &str,
    state: &InstanceState,
) -> Item {
    let outcome = match trigger {
        Some(Trigger::SpotInterruption) => Outcome::Failed,
        _ => Outcome::Skipped,
    };
    let detail = format!("it is {state}, and nothing of it can be taken any more");
    Item::new(Action::Create, instance, outcome)
        .policy(policy)
        .source(instance)
        .slot(slot)
        .reason(Reason::with(ReasonCode::InstanceState, detail))
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
    pub(super) fn given_up(&self, open: &OpenSource, why: &str) -> Item {
        let detail = format!("its backup for {} is given up: {why}", self.slot);
        let reason = Reason::with(ReasonCode::SlotMissed, detail);
        self.item(open, Outcome::Finding, reason)
    }

    /// The failed item of a group whose request cannot be read: what it named is not known.
    pub(super) fn unread(&self, error: &TableError) -> Item {
        let reason = Reason::with(ReasonCode::TableFailed, error.to_string());
        Item::new(Action::Create, &self.policy.name, Outcome::Failed)
            .policy(&self.policy.name)
            .slot(self.slot)
            .reason(reason)
    }

    /// The finding that a source is no longer there to be backed up.
    pub(super) fn unlisted(&self, open: &OpenSource) -> Item {
        self.given_up(open, "EC2 does not list it any more")
    }

    /// The word on a source that is on its way out: nothing of it can be taken any more.
    pub(super) fn ending(&self, open: &OpenSource, state: &InstanceState) -> Item {
        ending(
            &self.policy.name,
            (self.slot, self.trigger),
            &open.source,
            state,
        )
    }

    /// The word on a source that turned out not to be picked.
    pub(super) fn not_picked(&self, open: &OpenSource) -> Item {
        let detail = format!("{} does not pick it, or no longer", self.policy.name);
        let reason = Reason::with(ReasonCode::NotPicked, detail);
        self.item(open, Outcome::Skipped, reason)
    }
}
