//! What the table says of a plan's verdicts: marks, pins, the breaker's window, releases.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::inventory::Inventory;
use holdfast_core::plan::judge::{Judged, Verdicts};
use holdfast_core::plan::reopening::{questions, waits};
use holdfast_core::plan::returned::{parted, returned};
use holdfast_core::plan::settle::{Recorded, WINDOW, marked};
use holdfast_core::ports::records::{Deletion, DeletionState, Records, TableError, TableErrorKind};
use jiff::Timestamp;

use super::Sweep;
use super::census::Counted;
use super::each::each;

/// What the table says, and what the lists say against it.
#[derive(Default)]
pub(super) struct Known {
    pub recorded: Recorded,
    pub pin: Vec<String>,
    pub unpin: Vec<String>,
    pub release_unknown: bool,
    pub waiting: BTreeSet<String>,
    pub returned: Vec<String>,
    pub unheard: Vec<Deletion>,
    pub outlived: Vec<Deletion>,
    pub counted: Option<Counted>,
}

pub(super) async fn known<R: Records>(
    records: &R,
    sweep: &Sweep<'_>,
    inventory: &Inventory,
    verdicts: &Verdicts<'_>,
    wall: Timestamp,
) -> Result<Known, TableError> {
    let mut known = Known::default();
    let recorded = &mut known.recorded;
    let listed = inventory.listed_pins();
    let on_record = records.pins().await?;
    let newly =
        |(id, pinned): &(&&str, &Option<bool>)| **pinned == Some(true) && !on_record.contains(**id);
    let newly: BTreeSet<&str> = listed.iter().filter(newly).map(|(id, _)| *id).collect();
    let sources = of_backups(&newly, verdicts);
    for (source, pinned) in &listed {
        let was = on_record.contains(*source);
        match pinned {
            Some(true) if sources.contains(source) => known.pin.push((*source).into()),
            Some(false) if was => known.unpin.push((*source).into()),
            Some(_) | None => {}
        }
    }
    let taken_off = |id: &String| listed.get(id.as_str()) == Some(&Some(false));
    recorded.pinned = on_record.into_iter().filter(|id| !taken_off(id)).collect();

    let marked = marked(sweep.policies, verdicts);
    if !marked.is_empty() {
        let (condemned, unread) = each(&marked, async |ids| records.condemned(ids).await).await?;
        recorded.condemned = condemned;
        let unread = unread.into_iter();
        recorded.unreadable = unread.map(|(id, error)| (id, error.to_string())).collect();
        let marks: Vec<String> = recorded.condemned.keys().cloned().collect();
        let (refuted, unread) = refuted(records, &marks).await?;
        recorded.unreadable.extend(unread);
        for deletion in &refuted.unheard {
            recorded.condemned.remove(&deletion.resource);
        }
        known.unheard = refuted.unheard;
        known.outlived = refuted.carried_out;
    }
    let condemning: BTreeSet<&str> = verdicts
        .condemned()
        .into_iter()
        .map(|v| verdicts.policy(v))
        .collect();
    let waiting = records.waiting_orphans().await?;
    known.returned = returned(&waiting, inventory);
    if sweep.only.is_none() {
        let parted = parted(&waiting, inventory, verdicts);
        known.returned.extend(parted);
    }
    known.waiting = waiting;
    for policy in &sweep.policies.policies {
        if condemning.contains(policy.name.as_str()) {
            let mut retired = Vec::new();
            for name in std::iter::once(&policy.name).chain(&policy.formerly) {
                retired.extend(records.retired(name, wall - WINDOW, wall).await?);
            }
            recorded.retired.insert(policy.name.clone(), retired);
        }
    }
    recorded.unreopened = unreopened(records, verdicts).await?;
    let counted = Counted::take(records, sweep, inventory, verdicts, wall).await?;
    recorded.trips = counted.trips(sweep.only);
    recorded.marks_from = counted.marks_from();
    known.counted = Some(counted);
    if let Some(hash) = sweep.release {
        // Taken only when it has been carried out: cut off before, it can be asked for again.
        let released = records.tripped(hash, wall, false).await?;
        // The hash was shown to a person; stored deletions that do not have it are not that plan.
        let released = released.filter(|plan| {
            let pairs = plan.deletions.iter();
            let pairs = pairs.map(|(p, r)| (p.as_str(), r.as_str()));
            holdfast_core::plan::settle::plan_hash(pairs) == hash
        });
        known.release_unknown = released.is_none();
        recorded.released = released.unwrap_or_default();
    }
    Ok(known)
}

/// Recorded deletions of marked artifacts, which are listed all the same.
#[derive(Default)]
struct Refuted {
    /// Those of which no answer was heard: taken out of the Recycle Bin since, the artifacts have to be
    /// condemned anew. Of what EC2 has answered the record says so.
    unheard: Vec<Deletion>,
    /// Those that were carried out.
    carried_out: Vec<Deletion>,
}

/// With them, in words, what could not be read.
async fn refuted<R: Records>(
    records: &R,
    marked: &[String],
) -> Result<(Refuted, BTreeMap<String, String>), TableError> {
    let mut refuted = Refuted::default();
    if marked.is_empty() {
        return Ok((refuted, BTreeMap::new()));
    }
    let (found, unread) = each(marked, async |ids| records.deletions(ids).await).await?;
    for (deletion, state) in found.into_values() {
        match state {
            DeletionState::Intended if deletion.refused.is_none() => refuted.unheard.push(deletion),
            DeletionState::Deleted => refuted.carried_out.push(deletion),
            DeletionState::Intended | DeletionState::Refused => {}
        }
    }
    let unread = unread.into_iter();
    let unread = unread.map(|(id, error)| (id, error.to_string())).collect();
    Ok((refuted, unread))
}

/// Those of these sources that some backup was made of.
fn of_backups<'s>(sources: &BTreeSet<&'s str>, verdicts: &Verdicts<'_>) -> BTreeSet<&'s str> {
    let looked_at = if sources.is_empty() {
        0
    } else {
        verdicts.len()
    };
    let named = (0..looked_at).flat_map(|v| verdicts.sources(v));
    named
        .filter_map(|source| sources.get(source.as_str()).copied())
        .collect()
}

/// Failed backups whose slot does not know yet that they failed. A record that cannot be read holds
/// the one that it is about.
async fn unreopened<R: Records>(
    records: &R,
    verdicts: &Verdicts<'_>,
) -> Result<BTreeMap<String, String>, TableError> {
    let mut waiting = BTreeMap::new();
    for (id, keys) in questions(verdicts) {
        for key in keys {
            let source = std::slice::from_ref(&key.source);
            let request = key.request.as_deref();
            let read = records.slots(&key.policy, key.slot, request, source).await;
            let words = match read {
                Ok(found) => found.get(&key.source).and_then(|slot| waits(&id, slot)),
                Err(error) if error.kind == TableErrorKind::Unreadable => Some(error.to_string()),
                Err(error) => return Err(error),
            };
            if let Some(words) = words {
                waiting.insert(id, words);
                break;
            }
        }
    }
    Ok(waiting)
}
