//! Steps of the run ledger that EC2's states ask for: completed, or failed and open again.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::live::{Live, Ours};
use super::{Changes, LOOKED_AT_AGAIN, Recorded, Scope, SlotChange, SlotKey, Wanted};
use crate::artifact::ArtifactKind;
use crate::inventory::SnapshotState;
use crate::lineage::ledger::{MAX_STARTS, SlotStep, step};
use crate::lineage::{Node, NodeKind, NodeState, SlotRecord, SlotState};
use crate::ports::records::OpenSource;
use crate::report::{Action, Item, Outcome, Reason, ReasonCode};

/// Asks for the records of artifacts that have come to an end, where that may be news.
pub(super) fn want(
    live: &Live<'_>,
    recorded: &Recorded,
    scope: Scope<'_>,
    now: Timestamp,
    wanted: &mut Wanted,
) {
    for (_, ours) in ended(live, recorded, scope, now) {
        wanted.slots.extend(SlotKey::candidates(&ours.artifact));
    }
}

/// Artifacts whose slot may not know yet that they have come to an end.
///
/// Failed ones always: they are few, and a slot that is never reopened is a backup missing in
/// silence. Others only while their state is news or they are young, because a large account has a
/// hundred thousand.
fn ended<'l, 'a>(
    live: &'l Live<'a>,
    recorded: &Recorded,
    scope: Scope<'a>,
    now: Timestamp,
) -> Vec<(&'a str, &'l Ours<'a>)> {
    let news = |id: &str, ours: &Ours<'_>| match ours.state {
        Some(NodeState::Error) => true,
        Some(state @ (NodeState::Completed | NodeState::Available)) => {
            recorded.roster.get(id) != Some(&state)
                || ours
                    .time()
                    .is_some_and(|time| now.duration_since(time) <= LOOKED_AT_AGAIN)
        }
        _ => false,
    };
    live.compared(scope)
        .filter(|(id, ours)| news(id, ours))
        .collect()
}

/// The steps; a set has one for all of its members.
pub(super) fn step_slots(
    live: &Live<'_>,
    recorded: &Recorded,
    scope: Scope<'_>,
    now: Timestamp,
    wall: Timestamp,
    changes: &mut Changes,
) {
    let mut exhausted: BTreeSet<SlotKey> = BTreeSet::new();
    for (id, ours) in ended(live, recorded, scope, now) {
        for key in SlotKey::candidates(&ours.artifact) {
            let Some(record) = recorded.slots.get(&key) else {
                continue;
            };
            if changes.slots.contains_key(&key) {
                continue;
            }
            if record.artifacts.iter().any(|made| made == id) {
                let change = end(live, ours, record, wall);
                changes.slots.extend(change.map(|change| (key, change)));
                continue;
            }
            let failed = record.state == SlotState::Failed
                && ours.state == Some(NodeState::Error)
                && record.lost.iter().any(|lost| lost == id);
            if !failed {
                continue;
            }
            if is_exhausted(record) {
                if exhausted.insert(key) {
                    changes.items.push(no_more(record));
                }
            } else if !record.permanent && is_news(recorded, id, wall) {
                // The run that wrote the failure was cut off before it reopened the source, or
                // before it recorded the artifact's state.
                let change = SlotChange {
                    before: record.clone(),
                    after: None,
                    reopen: Some((ours.artifact.kind, reopened(record))),
                    items: Vec::new(),
                };
                changes.slots.insert(key, change);
            }
        }
    }
    for id in &recorded.swept_failures {
        let node = recorded.nodes.get(id);
        for (key, change) in node.into_iter().flat_map(|node| fail(recorded, node, wall)) {
            changes.slots.entry(key).or_insert(change);
        }
    }
}

/// The steps of slots whose failed artifact was swept before they learnt of the failure.
fn fail(recorded: &Recorded, node: &Node, wall: Timestamp) -> Vec<(SlotKey, SlotChange)> {
    let kind = match NodeKind::of(&node.id) {
        NodeKind::Image => ArtifactKind::Image,
        _ => ArtifactKind::Snapshot,
    };
    let change = |record: &SlotRecord| {
        let named = record.artifacts.contains(&node.id);
        if record.state != SlotState::Created || !named {
            return None;
        }
        let words = "EC2 failed it, and it was swept before its slot was reopened";
        let after = record.failed_in_ec2(words, wall).ok()?;
        let mut item = Item::new(Action::Check, &node.id, Outcome::Finding)
            .policy(&record.policy)
            .source(&record.source)
            .slot(record.slot)
            .reason(Reason::with(ReasonCode::FailedBackup, words));
        item.time = node.time;
        let mut items = vec![item];
        items.extend(after.permanent.then(|| no_more(&after)));
        let reopen = (!after.permanent).then(|| (kind, reopened(&after)));
        Some(SlotChange {
            before: record.clone(),
            after: Some(after),
            reopen,
            items,
        })
    };
    let keys = SlotKey::of_node(node).into_iter();
    keys.filter_map(|key| {
        let change = change(recorded.slots.get(&key)?)?;
        Some((key, change))
    })
    .collect()
}

/// Whether the failure is about to be recorded as the artifact's state.
fn is_news(recorded: &Recorded, id: &str, wall: Timestamp) -> bool {
    let error = NodeState::Error;
    let node = recorded.nodes.get(id);
    let stays = node.is_some_and(|node| node.state.after(error, node.changed, wall) == node.state);
    !stays && recorded.roster.get(id) != Some(&error) && !recorded.unreadable.contains(id)
}

/// The step of a slot whose artifacts have come to an end. One that is still being asked for is
/// the creating run's to record.
fn end(
    live: &Live<'_>,
    ours: &Ours<'_>,
    record: &SlotRecord,
    wall: Timestamp,
) -> Option<SlotChange> {
    if record.state != SlotState::Created {
        return None;
    }
    let failed = record
        .artifacts
        .iter()
        .find_map(|id| failure(live, id.as_str()));
    let mut change = SlotChange {
        before: record.clone(),
        after: None,
        reopen: None,
        items: Vec::new(),
    };
    if let Some(words) = failed {
        let after = record.failed_in_ec2(words, wall).ok()?;
        if after.permanent {
            change.items.push(no_more(&after));
        } else {
            change.reopen = Some((ours.artifact.kind, reopened(&after)));
        }
        change.after = Some(after);
        return Some(change);
    }
    let done = record.artifacts.iter().all(|id| completed(live, id));
    let state = step(Some(record.state), SlotStep::Complete).ok()?;
    done.then(|| SlotChange {
        after: Some(SlotRecord {
            state,
            ..record.clone()
        }),
        ..change
    })
}

/// EC2's words on an artifact that failed; EC2 fails a set as a whole.
fn failure<'l>(live: &'l Live<'_>, id: &str) -> Option<&'l str> {
    let ours = live.ours.get(id)?;
    (ours.state == Some(NodeState::Error)).then(|| ours.words())
}

fn completed(live: &Live<'_>, id: &str) -> bool {
    match (live.images.get(id), live.snapshots.get(id)) {
        (Some(image), _) => live.is_whole(image),
        (None, Some(snapshot)) => snapshot.state == SnapshotState::Completed,
        (None, None) => false,
    }
}

fn reopened(record: &SlotRecord) -> OpenSource {
    OpenSource {
        policy: record.policy.clone(),
        slot: record.slot,
        source: record.source.clone(),
        request: record.request.clone(),
        // What a slot promised is started again whatever became of the machine since.
        trigger: record.trigger.filter(|_| !record.scheduled),
        failures: record.failures,
    }
}

fn is_exhausted(record: &SlotRecord) -> bool {
    record.failures >= MAX_STARTS
}

fn no_more(record: &SlotRecord) -> Item {
    let words = record.error.as_deref().unwrap_or("without a reason");
    let detail = format!(
        "EC2 failed its backup {} times, the last time with: {words}; it is not started again for \
         this slot",
        record.failures
    );
    Item::new(Action::Check, &record.source, Outcome::Finding)
        .policy(&record.policy)
        .source(&record.source)
        .slot(record.slot)
        .reason(Reason::with(ReasonCode::AttemptsExhausted, detail))
}
