//! Reading what a sweep decides on, and deciding.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::id::ImageId;
use holdfast_core::inventory::{ImageState, Inventory};
use holdfast_core::plan::judge::{Evidence, Leftover, OnRecord, Verdict, judge, unmapped};
use holdfast_core::plan::reopening::{questions, waits};
use holdfast_core::plan::settle::{Recorded, Settled, WINDOW, marked, settle};
use holdfast_core::policy::PolicyFile;
use holdfast_core::ports::records::{DeletionState, Records, TableError, TableErrorKind};
use jiff::Timestamp;

/// What a sweep is asked to decide.
#[derive(Clone, Copy, Debug)]
pub struct Sweep<'a> {
    /// The policies.
    pub policies: &'a PolicyFile,
    /// Only this one.
    pub only: Option<&'a str>,
    /// Hash of a plan whose tripped breaker is released.
    pub release: Option<&'a str>,
    /// One's own account, where it is known.
    pub account: Option<&'a str>,
    /// The time it decides for.
    pub now: Timestamp,
    /// Whether a release is used up.
    pub take_release: bool,
}

/// A plan: verdicts, and what the guardrails did.
#[derive(Debug)]
pub struct Planned {
    /// One for each managed artifact, oldest first.
    pub verdicts: Vec<Verdict>,
    /// What the guardrails did.
    pub settled: Settled,
    /// Sources to be recorded as pinned.
    pub pin: Vec<String>,
    /// Sources recorded as pinned that no longer are.
    pub unpin: Vec<String>,
    /// Whether a release was asked for that no stored plan answers to.
    pub release_unknown: bool,
}

/// Decides, changing nothing. A table that cannot be read holds everything.
pub async fn plan<R: Records>(records: &R, sweep: &Sweep<'_>, inventory: &Inventory) -> Planned {
    let (foreknown, unread) = match foreknown(records, inventory).await {
        Ok(foreknown) => (foreknown, None),
        Err(error) => (OnRecord::default(), Some(error)),
    };
    let evidence = Evidence {
        inventory,
        on_record: &foreknown,
        account: inventory.own_account(sweep.account),
    };
    let mut verdicts = judge(sweep.policies, &evidence, sweep.now, sweep.only);
    let wall = Timestamp::now();
    let known = match unread {
        Some(error) => Err(error),
        None => known(records, sweep, inventory, &verdicts, wall).await,
    };
    let mut known = known.unwrap_or_else(|error| Known {
        recorded: Recorded {
            error: Some(error.to_string()),
            ..Recorded::default()
        },
        ..Known::default()
    });
    let recorded = std::mem::take(&mut known.recorded);
    let settled = settle(sweep.policies, &mut verdicts, &recorded, sweep.now, wall);
    Planned {
        verdicts,
        settled,
        pin: known.pin,
        unpin: known.unpin,
        release_unknown: known.release_unknown,
    }
}

async fn foreknown<R: Records>(records: &R, inventory: &Inventory) -> Result<OnRecord, TableError> {
    let absences = records.absences().await?.into_iter();
    let gone_since = absences.filter_map(|(id, absence)| Some((id, absence.confirmed?)));
    Ok(OnRecord {
        gone_since: gone_since.collect(),
        leftovers: leftovers(records, inventory).await?,
        binned: BTreeMap::new(),
    })
}

/// The orphans whose AMI Holdfast deregistered or meant to, as the records have it.
async fn leftovers<R: Records>(
    records: &R,
    inventory: &Inventory,
) -> Result<BTreeMap<String, Leftover>, TableError> {
    let orphans: Vec<String> = unmapped(&inventory.snapshots, &inventory.images)
        .into_iter()
        .collect();
    if orphans.is_empty() {
        return Ok(BTreeMap::new());
    }
    // What was deleted and is listed again, somebody took out of the Recycle Bin.
    let of_snapshots = records.deletions(&orphans).await?.into_iter();
    let unfinished: Vec<(String, Leftover)> = of_snapshots
        .filter(|(_, (_, state))| *state != DeletionState::Deleted)
        .filter_map(|(id, (deletion, _))| {
            let leftover = Leftover {
                image: ImageId::new(deletion.image?),
                time: deletion.time,
                tries: deletion.tries,
                last: Some(deletion.at),
            };
            Some((id, leftover))
        })
        .collect();
    let images: BTreeSet<String> = unfinished
        .iter()
        .map(|(_, leftover)| leftover.image.to_string())
        .collect();
    let of_images = records
        .deletions(&images.into_iter().collect::<Vec<_>>())
        .await?;
    let standing = |image: &ImageId| {
        let mut images = inventory.images.items.iter();
        images.any(|i| i.id == *image && i.state != ImageState::Deregistered)
    };
    // Where EC2 refused, the AMI went some other way.
    let by_holdfast = |image: &ImageId| {
        if standing(image) {
            return false;
        }
        let state = of_images.get(image.as_str()).map(|(_, state)| *state);
        matches!(
            state,
            Some(DeletionState::Intended | DeletionState::Deleted)
        )
    };
    let unfinished = unfinished
        .into_iter()
        .filter(|(_, leftover)| by_holdfast(&leftover.image));
    Ok(unfinished.collect())
}

/// What the table says, and what the lists say against it.
#[derive(Default)]
struct Known {
    recorded: Recorded,
    pin: Vec<String>,
    unpin: Vec<String>,
    release_unknown: bool,
}

async fn known<R: Records>(
    records: &R,
    sweep: &Sweep<'_>,
    inventory: &Inventory,
    verdicts: &[Verdict],
    wall: Timestamp,
) -> Result<Known, TableError> {
    let mut known = Known::default();
    let recorded = &mut known.recorded;
    let listed = inventory.listed_pins();
    let on_record = records.pins().await?;
    let sources: BTreeSet<&str> = verdicts.iter().flat_map(|v| v.subject.sources()).collect();
    for (source, pinned) in &listed {
        let was = on_record.contains(*source);
        match pinned {
            Some(true) if !was && sources.contains(source) => known.pin.push((*source).into()),
            Some(false) if was => known.unpin.push((*source).into()),
            Some(_) | None => {}
        }
    }
    let taken_off = |id: &String| listed.get(id.as_str()) == Some(&Some(false));
    recorded.pinned = on_record.into_iter().filter(|id| !taken_off(id)).collect();

    let marked = marked(sweep.policies, verdicts);
    if !marked.is_empty() {
        recorded.condemned = records.condemned(&marked).await?;
    }
    for policy in &sweep.policies.policies {
        let of_policy: Vec<&Verdict> = verdicts
            .iter()
            .filter(|v| v.policy == policy.name)
            .collect();
        if of_policy.iter().any(|v| v.is_condemned()) {
            let mut retired = Vec::new();
            for name in std::iter::once(&policy.name).chain(&policy.formerly) {
                retired.extend(records.retired(name, wall - WINDOW, wall).await?);
            }
            recorded.retired.insert(policy.name.clone(), retired);
        }
    }
    recorded.unreopened = unreopened(records, verdicts).await?;
    if let Some(hash) = sweep.release {
        let released = records.tripped(hash, wall, sweep.take_release).await?;
        // The hash was shown to a person; a stored list that does not have it is not that plan.
        let released = released.filter(|list| {
            let pairs = list.iter().map(|(p, r)| (p.as_str(), r.as_str()));
            holdfast_core::plan::settle::plan_hash(pairs) == hash
        });
        known.release_unknown = released.is_none();
        recorded.released = released.into_iter().flatten().collect();
    }
    Ok(known)
}

/// Failed backups whose slot does not know yet that they failed. A record that cannot be read holds
/// the one that it is about.
async fn unreopened<R: Records>(
    records: &R,
    verdicts: &[Verdict],
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
