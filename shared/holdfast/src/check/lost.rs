//! Events that never came: what a policy's triggers promised of an instance's last change of state,
//! and no bake answers, is left to the creating function's next heartbeat.

use futures::{StreamExt, stream};
use holdfast_core::inventory::{Instance, InstanceState, Volume};
use holdfast_core::plan::bake::{Lost, candidate, lost, matters_since};
use holdfast_core::plan::reconcile::Seen;
use holdfast_core::policy::{Policy, PolicyFile, PolicyState, Protect, Trigger, selection};
use holdfast_core::ports::records::{OpenSource, Records, TableError};
use holdfast_core::report::{Action, Item, Outcome, Reason, ReasonCode};
use jiff::Timestamp;
use std::collections::BTreeMap;

use super::write::Written;
use crate::create::function_of;
use crate::function::Invocation;

/// Instances whose bakes are asked for at once.
const AT_ONCE: usize = 8;

/// Looks for lost events and opens their sources. Only what both lists show whole is judged: from
/// half a list a wrong selection would follow.
///
/// # Errors
/// The table's, where nothing can be read or written at all.
pub(super) async fn events<R: Records>(
    records: &R,
    policies: &PolicyFile,
    seen: &Seen<'_>,
    invocation: &Invocation,
    now: Timestamp,
) -> Result<Written, TableError> {
    let mut written = Written {
        items: Vec::new(),
        complete: true,
    };
    let (Some(instances), Some(volumes)) = (seen.instances, seen.volumes) else {
        return Ok(written);
    };
    if !instances.is_complete() || !volumes.is_complete() {
        return Ok(written);
    }
    if policies.policies.iter().all(|policy| !is_asked(policy)) {
        return Ok(written);
    }
    let open = match open(records).await {
        Ok(open) => open,
        Err(error) if error.kind.stops_everything() => return Err(error),
        // What waits there would be taken for lost.
        Err(error) => {
            written.complete = false;
            let reason = Reason::with(ReasonCode::TableFailed, error.to_string());
            let item = Item::new(Action::Check, "events", Outcome::Failed);
            written.items.push(item.reason(reason));
            return Ok(written);
        }
    };
    let attached = attached(&instances.items, &volumes.items);
    let active = policies.policies.iter();
    let asked = active
        .filter(|policy| is_asked(policy))
        .flat_map(|policy| {
            instances
                .items
                .iter()
                .map(move |instance| (policy, instance))
        })
        .filter(|(policy, instance)| {
            candidate(policy, instance).is_some() && picks(policy, instance, &attached)
        });
    let mut each = stream::iter(asked)
        .map(async |(policy, instance)| {
            let found = match invocation.has_time() {
                true => one(records, policy, instance, &open, now).await.map(Some),
                false => Ok(None),
            };
            (policy, instance, found)
        })
        .buffer_unordered(AT_ONCE);
    while let Some((policy, instance, found)) = each.next().await {
        match found {
            Ok(Some(Some(lost))) => written.items.push(finding(policy, instance, lost, now)),
            Ok(Some(None)) => {}
            Ok(None) => written.complete = false,
            Err(error) if error.kind.stops_everything() => return Err(error),
            Err(error) => {
                written.complete = false;
                let reason = Reason::with(ReasonCode::TableFailed, error.to_string());
                let item = Item::new(Action::Check, instance.id.as_str(), Outcome::Failed);
                written.items.push(item.policy(&policy.name).reason(reason));
            }
        }
    }
    Ok(written)
}

/// Whether a policy asks for backups by events.
fn is_asked(policy: &Policy) -> bool {
    policy.state == PolicyState::Active && !policy.triggers.is_empty()
}

/// What is left to the creating functions' heartbeats.
async fn open<R: Records>(records: &R) -> Result<Vec<OpenSource>, TableError> {
    let mut open = Vec::new();
    for protect in [Protect::Volumes, Protect::Instances] {
        open.extend(records.open_sources(function_of(protect)).await?.read);
    }
    Ok(open)
}

/// What is attached to each instance: a selection looks at no other volumes.
fn attached(instances: &[Instance], volumes: &[Volume]) -> BTreeMap<String, Vec<Volume>> {
    let by_id: BTreeMap<&str, &Volume> = volumes.iter().map(|v| (v.id.as_str(), v)).collect();
    instances
        .iter()
        .map(|instance| {
            let ids = instance.devices.iter().filter_map(|d| d.volume.as_ref());
            let found = ids.filter_map(|id| by_id.get(id.as_str()).copied().cloned());
            (instance.id.to_string(), found.collect())
        })
        .collect()
}

fn picks(policy: &Policy, instance: &Instance, attached: &BTreeMap<String, Vec<Volume>>) -> bool {
    let volumes = attached
        .get(instance.id.as_str())
        .map_or(&[][..], Vec::as_slice);
    // One on its way out is picked by nobody, and was.
    let before = Instance {
        state: if instance.is_ending() {
            InstanceState::Running
        } else {
            instance.state.clone()
        },
        ..instance.clone()
    };
    // An event of a machine of which nothing is taken leaves no record, and is not lost. One that is
    // gone is attached to nothing any more, and what was taken of it is not known.
    if policy.protect == Protect::Volumes && !instance.is_ending() {
        return selection::pick_set(policy, &before, volumes).is_some();
    }
    selection::picks_instance(policy, &before, volumes)
}

/// Judges one instance, and opens it where its event was lost.
async fn one<R: Records>(
    records: &R,
    policy: &Policy,
    instance: &Instance,
    open: &[OpenSource],
    now: Timestamp,
) -> Result<Option<Lost>, TableError> {
    let since = matters_since(policy, instance.launched, now);
    let mut bakes = Vec::new();
    for name in std::iter::once(&policy.name).chain(&policy.formerly) {
        bakes.extend(records.bakes(name, instance.id.as_str(), since).await?);
    }
    let Some(lost) = lost(policy, instance, &bakes, open, now) else {
        return Ok(None);
    };
    if lost.can_be_made {
        let open = OpenSource {
            policy: policy.name.clone(),
            slot: now,
            source: instance.id.to_string(),
            request: None,
            trigger: Some(lost.trigger),
            failures: 0,
        };
        records.open(function_of(policy.protect), &open).await?;
    }
    Ok(Some(lost))
}

fn finding(policy: &Policy, instance: &Instance, lost: Lost, now: Timestamp) -> Item {
    let what = match lost.trigger {
        Trigger::Stopped => "it stopped",
        Trigger::Running => "it started",
        Trigger::SpotInterruption => "it was interrupted",
    };
    let when = lost.at.map_or_else(String::new, |at| format!(" at {at}"));
    let then = if lost.can_be_made {
        format!(
            "the next heartbeat of {} makes up for it",
            function_of(policy.protect)
        )
    } else {
        format!(
            "it is {}, and nothing of it can be taken any more",
            instance.state
        )
    };
    let detail = format!("{what}{when}, and no backup answers that: {then}");
    let item = Item::new(Action::Check, instance.id.as_str(), Outcome::Finding)
        .policy(&policy.name)
        .source(instance.id.as_str())
        .reason(Reason::with(ReasonCode::EventLost, detail));
    if lost.can_be_made {
        item.slot(now)
    } else {
        item
    }
}
