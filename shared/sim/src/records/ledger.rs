//! The run ledger: heads, openings, slots and on-demand runs.

use std::collections::BTreeMap;

use holdfast_core::event::MAX_FUTURE;
use holdfast_core::lineage::SlotRecord;
use holdfast_core::ports::records::{
    Begun, Head, LOOKED_BACK, Lease, OpenSource, RunRecord, TableError,
};
use jiff::{SignedDuration, Timestamp};

use super::contents::{Contents, Fenced, FunctionRecord};
use super::fenced;

/// By how much the clocks of two runs may differ.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// The latest time that an honest record can hold: an event of more than [`MAX_FUTURE`] ahead of the
/// clock is refused.
fn latest(wall: Timestamp) -> Timestamp {
    wall + MAX_FUTURE + SKEW
}

/// Times in the future are doubts and not knowledge: believed, they would end all creation.
fn known(record: &FunctionRecord, wall: Timestamp) -> Begun {
    let latest = latest(wall);
    let mut begun = Begun {
        highest: record.highest,
        ..Begun::default()
    };
    if let Some(highest) = begun.highest.take_if(|highest| *highest > latest) {
        begun.doubts.push(format!("a run for {highest}"));
    }
    for (policy, Fenced { value: head, .. }) in &record.heads {
        if head.slot > latest {
            begun.doubts.push(format!("slot {} of {policy}", head.slot));
        } else {
            begun.heads.insert(policy.clone(), head.clone());
        }
    }
    begun
}

pub(super) fn begin(
    contents: &mut Contents,
    function: &str,
    now: Timestamp,
    wall: Timestamp,
) -> Begun {
    let record = contents.functions.entry(function.to_owned()).or_default();
    let before = known(record, wall);
    // To the second, as schedules are.
    let rises = record.highest.is_none_or(|highest| {
        let highest = highest.as_second();
        highest <= now.as_second() || highest > latest(wall).as_second()
    });
    if rises {
        record.highest = Some(now);
    }
    before
}

pub(super) fn begun(contents: &Contents, function: &str, wall: Timestamp) -> Begun {
    let record = contents.functions.get(function);
    record.map(|r| known(r, wall)).unwrap_or_default()
}

pub(super) fn set_head(
    contents: &mut Contents,
    function: &str,
    policy: &str,
    head: &Head,
    lease: &Lease,
    wall: Timestamp,
) -> Result<(), TableError> {
    let record = contents.functions.entry(function.to_owned()).or_default();
    if let Some(stands) = record.heads.get(policy) {
        let second = stands.value.slot.as_second();
        let newer = second <= head.slot.as_second() || second > latest(wall).as_second();
        if !stands.yields_to(lease) || !newer {
            return Err(fenced("UpdateItem", function));
        }
    }
    let head = Fenced {
        value: head.clone(),
        fence: lease.fence,
    };
    record.heads.insert(policy.to_owned(), head);
    Ok(())
}

pub(super) fn open_sources(contents: &Contents, function: &str) -> Vec<OpenSource> {
    let open = contents.open.get(function);
    open.into_iter()
        .flat_map(BTreeMap::values)
        .cloned()
        .collect()
}

fn open_key(source: &OpenSource) -> String {
    let slot = slot_key(source.slot, source.request.as_deref());
    format!("{}#{}#{slot}", source.policy, source.source)
}

/// An opening for a later failure of EC2's stands.
fn stands_against(open: &BTreeMap<String, OpenSource>, source: &OpenSource) -> bool {
    let stands = open.get(&open_key(source));
    stands.is_some_and(|stands| stands.failures > source.failures)
}

pub(super) fn open(contents: &mut Contents, function: &str, source: &OpenSource) {
    let open = contents.open.entry(function.to_owned()).or_default();
    if !stands_against(open, source) {
        open.insert(open_key(source), source.clone());
    }
}

pub(super) fn close(contents: &mut Contents, function: &str, source: &OpenSource) {
    let Some(open) = contents.open.get_mut(function) else {
        return;
    };
    if !stands_against(open, source) {
        open.remove(&open_key(source));
    }
    contents.open.retain(|_, open| !open.is_empty());
}

/// An on-demand request has records of its own.
fn slot_key(slot: Timestamp, request: Option<&str>) -> String {
    match request {
        Some(id) => format!("{slot}#{id}"),
        None => slot.to_string(),
    }
}

pub(super) fn slots(
    contents: &Contents,
    policy: &str,
    slot: Timestamp,
    request: Option<&str>,
    sources: &[String],
) -> BTreeMap<String, SlotRecord> {
    let key = slot_key(slot, request);
    let of = |source: &String| {
        let records = contents.slots.get(&(policy.to_owned(), source.clone()))?;
        Some((source.clone(), records.get(&key)?.clone()))
    };
    sources.iter().filter_map(of).collect()
}

pub(super) fn newest_made(
    contents: &Contents,
    policy: &str,
    sources: &[String],
) -> BTreeMap<String, Timestamp> {
    let of = |source: &String| {
        let records = contents.slots.get(&(policy.to_owned(), source.clone()))?;
        let mut newest = records.values().rev().take(LOOKED_BACK);
        let made = newest.find(|record| record.state.is_made())?;
        Some((source.clone(), made.requested_at.unwrap_or(made.slot)))
    };
    sources.iter().filter_map(of).collect()
}

pub(super) fn bakes(
    contents: &Contents,
    policy: &str,
    source: &str,
    since: Timestamp,
) -> Vec<SlotRecord> {
    let of_source = (policy.to_owned(), source.to_owned());
    let records = contents.slots.get(&of_source).into_iter();
    let asked = |r: &&SlotRecord| r.trigger.is_some() && r.slot >= since;
    let mut bakes: Vec<SlotRecord> = records
        .flat_map(BTreeMap::values)
        .filter(asked)
        .cloned()
        .collect();
    bakes.sort_by_key(|record| record.slot);
    bakes
}

/// A write whose answer was lost is repeated, and finds its own record: that is success.
pub(super) fn write_slot(
    contents: &mut Contents,
    record: &SlotRecord,
    before: Option<&SlotRecord>,
) -> Result<(), TableError> {
    let key = slot_key(record.slot, record.request.as_deref());
    let of_source = (record.policy.clone(), record.source.clone());
    let records = contents.slots.entry(of_source).or_default();
    let stands = records.get(&key);
    let allowed = match (before, stands) {
        (None, stands) => stands.is_none(),
        (Some(_), None) => false,
        (Some(before), Some(stands)) => {
            let decided_on = (stands.state, stands.attempt, stands.fence)
                == (before.state, before.attempt, before.fence);
            decided_on && stands.fence <= record.fence
        }
    };
    if allowed {
        records.insert(key, record.clone());
    } else if stands != Some(record) {
        return Err(fenced("PutItem", &record.source));
    }
    Ok(())
}

pub(super) fn start_run(contents: &mut Contents, run: &RunRecord) -> RunRecord {
    let key = (run.function.clone(), run.id.clone());
    let first = contents.runs.entry(key).or_insert_with(|| run.clone());
    first.clone()
}

pub(super) fn run(contents: &Contents, function: &str, id: &str) -> Option<RunRecord> {
    let key = (function.to_owned(), id.to_owned());
    contents.runs.get(&key).cloned()
}
