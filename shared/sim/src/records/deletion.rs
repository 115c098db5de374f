//! Deletions: marks, intents with their evidence, ends, and the breaker's window; absences and the
//! census.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::lineage::{Node, NodeState};
use holdfast_core::plan::settle::{Retired, TrippedPlan, WINDOW};
use holdfast_core::ports::records::{
    Absence, COUNTS_AHEAD, Census, Deletion, DeletionState, Lease, TableError,
};
use jiff::{SignedDuration, Timestamp};

use super::contents::{Contents, DeletionRecord, Fenced, TrippedRecord};
use super::{fenced, graph};

/// Writes over what no newer holder wrote.
fn put<V>(
    records: &mut BTreeMap<String, Fenced<V>>,
    key: &str,
    value: V,
    lease: &Lease,
) -> Result<(), TableError> {
    if records.get(key).is_some_and(|r| !r.yields_to(lease)) {
        return Err(fenced("PutItem", key));
    }
    let fence = lease.fence;
    records.insert(key.to_owned(), Fenced { value, fence });
    Ok(())
}

/// Deletes what no newer holder wrote; an absent one is no error.
fn delete<V>(
    records: &mut BTreeMap<String, Fenced<V>>,
    key: &str,
    lease: &Lease,
) -> Result<(), TableError> {
    if records.get(key).is_some_and(|r| !r.yields_to(lease)) {
        return Err(fenced("DeleteItem", key));
    }
    records.remove(key);
    Ok(())
}

pub(super) fn condemned(contents: &Contents, resources: &[String]) -> BTreeMap<String, Timestamp> {
    let mark = |id: &String| Some((id.clone(), contents.marks.get(id)?.value?));
    resources.iter().filter_map(mark).collect()
}

pub(super) fn set_condemned(
    contents: &mut Contents,
    resources: &[String],
    since: Option<Timestamp>,
    lease: &Lease,
) -> Result<(), TableError> {
    resources
        .iter()
        .try_for_each(|id| put(&mut contents.marks, id, since, lease))
}

pub(super) fn waiting_orphans(contents: &Contents) -> BTreeSet<String> {
    contents.orphans.keys().cloned().collect()
}

pub(super) fn set_waiting_orphans(
    contents: &mut Contents,
    snapshots: &[String],
    waits: bool,
    lease: &Lease,
) -> Result<(), TableError> {
    snapshots.iter().try_for_each(|id| match waits {
        true => put(&mut contents.orphans, id, (), lease),
        false => delete(&mut contents.orphans, id, lease),
    })
}

fn day(policy: &str, time: Timestamp) -> (String, String) {
    (policy.to_owned(), time.strftime("%Y-%m-%d").to_string())
}

/// Where a deletion is counted: the policy's day, and the place in it.
pub(super) fn counted_keys(policy: &str, retired: &Retired) -> ((String, String), String) {
    let key = format!("{}#{}", retired.at, retired.resource);
    (day(policy, retired.at), key)
}

fn counted(deletion: &Deletion) -> Retired {
    Retired {
        resource: deletion.resource.clone(),
        time: deletion.time,
        at: deletion.at,
    }
}

pub(super) fn retired(
    contents: &Contents,
    policy: &str,
    since: Timestamp,
    wall: Timestamp,
) -> Vec<Retired> {
    let mut days = vec![day(policy, since)];
    let (mut at, last) = (since, wall + COUNTS_AHEAD);
    while at < last {
        at = (at + SignedDuration::from_hours(24)).min(last);
        days.push(day(policy, at));
    }
    days.dedup();
    let of_days = days.iter().filter_map(|day| contents.retired.get(day));
    of_days
        .flat_map(BTreeMap::values)
        .map(|counted| counted.value.clone())
        .filter(|retired| retired.at > since)
        .collect()
}

/// What may have been deleted counts.
pub(super) fn intend(
    contents: &mut Contents,
    deletion: &Deletion,
    lease: &Lease,
) -> Result<(), TableError> {
    if deletion.good {
        let counted = counted(deletion);
        let (day, key) = counted_keys(&deletion.policy, &counted);
        let of_day = contents.retired.entry(day).or_default();
        put(of_day, &key, counted, lease)?;
    }
    put_aside(contents, deletion, lease)?;
    set_state(contents, deletion.clone(), DeletionState::Intended, lease)
}

/// What tells one deletion of a resource from another.
fn which(deletion: &Deletion) -> (Timestamp, &str) {
    (deletion.at, &deletion.run)
}

/// The proof that stands, as far as `lease` may write over it.
fn proof<'c>(contents: &'c Contents, id: &str, lease: &Lease) -> Option<&'c DeletionRecord> {
    let stands = contents.deletions.get(id).filter(|r| r.yields_to(lease));
    let proof = stands.map(|record| &record.value);
    proof.filter(|proof| proof.state == DeletionState::Deleted)
}

/// Keeps a proof beside the newest record.
fn keep(contents: &mut Contents, proof: DeletionRecord, lease: &Lease) -> Result<(), TableError> {
    let id = proof.deletion.resource.clone();
    let of_resource = contents.earlier.entry(id.clone()).or_default();
    let at = proof.deletion.at;
    if of_resource.get(&at).is_some_and(|r| !r.yields_to(lease)) {
        return Err(fenced("PutItem", &id));
    }
    let (value, fence) = (proof, lease.fence);
    of_resource.insert(at, Fenced { value, fence });
    Ok(())
}

/// Keeps the proof of another deletion that this intent is about to take the place of.
fn put_aside(
    contents: &mut Contents,
    deletion: &Deletion,
    lease: &Lease,
) -> Result<(), TableError> {
    let other = proof(contents, &deletion.resource, lease);
    let other = other.filter(|proof| which(&proof.deletion) != which(deletion));
    other
        .cloned()
        .map_or(Ok(()), |proof| keep(contents, proof, lease))
}

/// Moves the proof of a deletion whose artifact came back.
pub(super) fn set_aside(
    contents: &mut Contents,
    deletion: &Deletion,
    lease: &Lease,
) -> Result<(), TableError> {
    let id = &deletion.resource;
    let stands = contents.deletions.get(id).filter(|record| {
        record.value.state == DeletionState::Deleted
            && which(&record.value.deletion) == which(deletion)
    });
    let Some(stands) = stands else {
        return Ok(());
    };
    if !stands.yields_to(lease) {
        return Err(fenced("PutItem", id));
    }
    keep(contents, stands.value.clone(), lease)?;
    delete(&mut contents.deletions, id, lease)
}

fn set_state(
    contents: &mut Contents,
    deletion: Deletion,
    state: DeletionState,
    lease: &Lease,
) -> Result<(), TableError> {
    let id = deletion.resource.clone();
    let record = DeletionRecord { deletion, state };
    put(&mut contents.deletions, &id, record, lease)
}

pub(super) fn end(
    contents: &mut Contents,
    deletion: &Deletion,
    refused: Option<&str>,
    lease: &Lease,
) -> Result<(), TableError> {
    let ended = Deletion {
        refused: refused.map(str::to_owned),
        ..deletion.clone()
    };
    if refused.is_none() {
        set_state(contents, ended, DeletionState::Deleted, lease)?;
        // Restored from the Recycle Bin, it would have to be condemned anew.
        delete(&mut contents.marks, &deletion.resource, lease)?;
        let node = Node::new(&deletion.resource, NodeState::Deleted, deletion.at);
        return graph::record(contents, &[node], &[], lease);
    }
    set_state(contents, ended, DeletionState::Refused, lease)?;
    let (day, key) = counted_keys(&deletion.policy, &counted(deletion));
    if let Some(of_day) = contents.retired.get_mut(&day).filter(|_| deletion.good) {
        // Nothing went, so it does not count.
        delete(of_day, &key, lease)?;
        contents.retired.retain(|_, of_day| !of_day.is_empty());
    }
    Ok(())
}

pub(super) fn deletions(
    contents: &Contents,
    resources: &[String],
) -> BTreeMap<String, (Deletion, DeletionState)> {
    let recorded = |id: &String| {
        let record = &contents.deletions.get(id)?.value;
        Some((id.clone(), (record.deletion.clone(), record.state)))
    };
    resources.iter().filter_map(recorded).collect()
}

/// All deletions of a resource, the newest first.
pub(super) fn proofs(contents: &Contents, resource: &str) -> Vec<(Deletion, DeletionState)> {
    let newest = contents.deletions.get(resource).map(|record| &record.value);
    let earlier = contents.earlier.get(resource).into_iter();
    let earlier = earlier
        .flat_map(|all| all.values().rev())
        .map(|record| &record.value)
        .filter(|one| newest.is_none_or(|newest| which(&newest.deletion) != which(&one.deletion)));
    let all = newest.into_iter().chain(earlier);
    all.map(|r| (r.deletion.clone(), r.state)).collect()
}

/// Over a plan that was released and not carried out whole, too: it is offered again.
pub(super) fn save_tripped(
    contents: &mut Contents,
    plan_hash: &str,
    plan: &TrippedPlan,
    wall: Timestamp,
    lease: &Lease,
) -> Result<(), TableError> {
    let record = TrippedRecord {
        plan: plan.clone(),
        at: wall,
        taken: false,
    };
    put(&mut contents.tripped, plan_hash, record, lease)
}

/// One that is too old is taken all the same, and not given.
pub(super) fn tripped(
    contents: &mut Contents,
    plan_hash: &str,
    wall: Timestamp,
    take: bool,
) -> Option<TrippedPlan> {
    let record = &mut contents.tripped.get_mut(plan_hash)?.value;
    if record.taken {
        return None;
    }
    record.taken = take;
    (wall.duration_since(record.at) <= WINDOW).then(|| record.plan.clone())
}

pub(super) fn absences(contents: &Contents) -> BTreeMap<String, Absence> {
    let absences = contents.absences.iter();
    absences
        .map(|(id, absence)| (id.clone(), absence.value))
        .collect()
}

pub(super) fn set_absences(
    contents: &mut Contents,
    changes: &BTreeMap<String, Option<Absence>>,
    lease: &Lease,
) -> Result<(), TableError> {
    changes.iter().try_for_each(|(id, absence)| match absence {
        Some(absence) => put(&mut contents.absences, id, *absence, lease),
        None => delete(&mut contents.absences, id, lease),
    })
}

pub(super) fn census(contents: &Contents) -> Option<Census> {
    contents.census.as_ref().map(|census| census.value.clone())
}

pub(super) fn save_census(
    contents: &mut Contents,
    census: &Census,
    lease: Option<&Lease>,
) -> Result<(), TableError> {
    let newer = |stands: &Fenced<Census>| lease.is_some_and(|lease| !stands.yields_to(lease));
    if contents.census.as_ref().is_some_and(newer) {
        return Err(fenced("PutItem", "census"));
    }
    let (mut value, stands) = (census.clone(), contents.census.as_ref());
    let fence = match lease {
        Some(lease) => lease.fence,
        // One that only plans yields to what was counted since, and leaves alone where an enforcing
        // one begins next.
        None if stands.is_some_and(|stands| stands.value.wall > census.wall) => return Ok(()),
        None => {
            value.resume_at = stands.and_then(|stands| stands.value.resume_at.clone());
            stands.map_or(0, |stands| stands.fence)
        }
    };
    contents.census = Some(Fenced { value, fence });
    Ok(())
}
