//! What no active policy picks although it should be, by `require` or because it had backups, and
//! what one policy has ended to pick although another still does.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::backups::Backups;
use super::picks::Picks;
use super::{Facts, selects_surely};
use crate::inventory::{Instance, InstanceState, Tags, Volume, VolumeState};
use crate::policy::Policy;
use crate::policy::selection::all_match;
use crate::policy::{PolicyState, RequiredResource, Requirement};
use crate::report::{Action, Item, Outcome, Reason, ReasonCode};

/// For how many days beyond a policy's rpo it is told that it has ended to pick a source. A volume
/// may have been moved from one policy to another on purpose, and with `min_copies` the former one
/// keeps a backup of it for ever.
const TOLD_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// One finding for each resource that nothing protects, and for each that a policy has left.
pub(super) fn find(facts: &Facts<'_>, picks: &[Picks], backups: &Backups<'_>) -> Vec<Item> {
    // What an unlisted instance would pick cannot be told from what nobody picks.
    if !selects_surely(facts.seen) {
        return Vec::new();
    }
    let (mut active, mut dormant) = (BTreeSet::new(), BTreeSet::new());
    for (policy, picks) in facts.policies.policies.iter().zip(picks) {
        let picked = match policy.state {
            PolicyState::Active => &mut active,
            PolicyState::Paused | PolicyState::Retired => &mut dormant,
        };
        picked.extend(picks.instances.iter().map(|id| id.as_str()));
        picked.extend(picks.volumes.iter().map(|id| id.as_str()));
    }
    let mut found: BTreeMap<&str, Item> = BTreeMap::new();
    let standing = standing(facts);
    for (id, (resource, tags)) in &standing {
        if active.contains(id) {
            continue;
        }
        for requirement in &facts.policies.require {
            if requirement.resource == *resource && all_match(&requirement.tags, tags) {
                let item = found.entry(id).or_insert_with(|| finding(id));
                item.reasons.push(required(requirement));
            }
        }
    }
    for (source, makers, (time, newest)) in backups.sources() {
        // A policy that was paused or retired on purpose and still picks it is the operator's word.
        let meant = active.contains(source) || dormant.contains(source);
        if meant || !standing.contains_key(source) {
            continue;
        }
        let makers: Vec<&str> = makers.iter().map(String::as_str).collect();
        let detail = format!(
            "it has backups of {}, the newest {newest}, it still exists, and no policy picks it \
             any more: were its tags changed, or is it excluded? A policy in state: retired that picks it says that \
             this is meant",
            makers.join(", ")
        );
        let item = found.entry(source).or_insert_with(|| finding(source));
        item.time = Some(time);
        let reason = Reason::with(ReasonCode::NotPicked, detail);
        item.reasons.push(reason);
    }
    let meant = |source: &str| dormant.contains(source);
    let mut left = BTreeMap::new();
    for (place, source, newest) in backups.by_place() {
        let maker = facts.policies.policies.get(place).zip(picks.get(place));
        let Some((policy, picks)) = maker.filter(|(p, _)| p.state == PolicyState::Active) else {
            continue;
        };
        let gone = !standing.contains_key(source) || meant(source) || found.contains_key(source);
        if !gone && !picks.takes(source) && is_recent(policy, newest.0, facts.now) {
            left.insert((source, place), left_by(policy, source, newest));
        }
    }
    found.into_values().chain(left.into_values()).collect()
}

/// Whether a policy's newest backup of a source it picks no more is still worth telling.
fn is_recent(policy: &Policy, newest: Timestamp, now: Timestamp) -> bool {
    let then = now.checked_sub(TOLD_FOR).unwrap_or(Timestamp::MIN);
    let oldest = policy
        .rpo_at(now)
        .map(|rpo| rpo.oldest(then, &policy.timezone));
    newest >= oldest.unwrap_or(then)
}

/// A policy has ended to pick what it has backups of.
fn left_by(policy: &Policy, source: &str, (time, newest): (Timestamp, &str)) -> Item {
    let detail = format!(
        "{newest} of {} is the newest that {} has of it; it still exists, and {} leaves it out now: \
         were its tags changed, was it detached, or is it excluded? This is told until 30 days \
         after the next was to be there; a policy in state: retired that picks it says that this is \
         meant",
        time, policy.name, policy.name
    );
    let mut item = finding(source).policy(&policy.name);
    item.time = Some(time);
    item.reason(Reason::with(ReasonCode::NotPicked, detail))
}

/// Instances and volumes that exist and are not on their way out.
fn standing<'a>(facts: &Facts<'a>) -> BTreeMap<&'a str, (RequiredResource, &'a Tags)> {
    let instances = facts.seen.instances.into_iter().flat_map(|l| &l.items);
    let volumes = facts.seen.volumes.into_iter().flat_map(|list| &list.items);
    let instances = instances.filter(|i| is_there(i)).map(|instance| {
        let about = (RequiredResource::Instances, &instance.tags);
        (instance.id.as_str(), about)
    });
    let volumes = volumes.filter(|v| exists(v)).map(|volume| {
        let about = (RequiredResource::Volumes, &volume.tags);
        (volume.id.as_str(), about)
    });
    instances.chain(volumes).collect()
}

fn is_there(instance: &Instance) -> bool {
    !matches!(
        instance.state,
        InstanceState::ShuttingDown | InstanceState::Terminated
    )
}

fn exists(volume: &Volume) -> bool {
    !matches!(volume.state, VolumeState::Deleting | VolumeState::Deleted)
}

fn finding(id: &str) -> Item {
    Item::new(Action::Check, id, Outcome::Finding)
}

fn required(requirement: &Requirement) -> Reason {
    let keys: Vec<&str> = requirement.tags.keys().map(String::as_str).collect();
    let with = match keys.is_empty() {
        true => String::new(),
        false => format!(" tagged {}", keys.join(" and ")),
    };
    let detail = format!(
        "`require` names {}{with}, and no active policy picks it",
        requirement.resource.as_str()
    );
    Reason::with(ReasonCode::NotPicked, detail)
}
