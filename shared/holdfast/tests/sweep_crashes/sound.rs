//! What must hold of a stage, whatever happened on the way.

use std::collections::BTreeSet;

use holdfast_core::ports::records::DeletionState;
use holdfast_core::report::{Outcome, Report};

use jiff::SignedDuration;

use super::interrupted::ports::standing;
use super::stage::Stage;
use super::world::{Backup, World};

/// What must hold at any time.
pub fn safe(world: &World, stage: &Stage<'_>) -> Result<(), String> {
    spared(world, stage)?;
    heeded(stage)?;
    recorded(stage)
}

/// What must hold in the end; `last` is the report of the last sweep.
pub fn sound(world: &World, stage: &Stage<'_>, last: &Report) -> Result<(), String> {
    safe(world, stage)?;
    nothing_orphaned(world, stage, last)
}

/// No sweep's call took away what policies promise, what is locked, and what is not Holdfast's.
///
/// Of a snapshot that several AMIs share the tags name one, and a stranger may deregister another:
/// then nothing alive tells that it was that one's too. What the tags do tell is heeded.
fn spared(world: &World, stage: &Stage<'_>) -> Result<(), String> {
    let (promised, notes) = (world.promised(), stage.notes.lock().unwrap());
    for gone in &notes.gone {
        let id = &gone.resource;
        let of = |backup: &&&Backup| backup.parts.contains(id);
        let shared = world
            .backups
            .iter()
            .filter(|b| b.parts.contains(id))
            .count()
            > 1;
        let told = |backup: &&&Backup| {
            !shared || !stage.bereaved.contains(id) || world.is_made_with(id, backup)
        };
        let promising: Vec<_> = promised.iter().filter(of).filter(told).collect();
        if !promising.is_empty() || world.never.contains(id) {
            return Err(format!("{id} went at {}, of {promising:?}", gone.moment));
        }
    }
    Ok(())
}

/// The policies' limits: within a day no more than `free` went, or of what stood a day before at
/// least three quarters still stand, those made since included.
pub fn limited(world: &World, stage: &Stage<'_>, free: usize) -> Result<(), String> {
    let notes = stage.notes.lock().unwrap();
    let gone: BTreeSet<&String> = notes.gone.iter().map(|gone| &gone.resource).collect();
    let policies = world.policies.policies.iter().map(|policy| &policy.name);
    for policy in policies {
        let of_policy = world.backups.iter();
        let of_policy = of_policy.filter(|backup| backup.policy == policy && backup.good);
        let (mut before, mut lost, mut stands) = (0, 0, 0);
        for backup in of_policy {
            before += usize::from(backup.slot <= world.wall - SignedDuration::from_hours(24));
            // A shared snapshot may outlive its AMI: the AMI is the backup.
            let is_gone = backup.parts.iter().any(|id| gone.contains(id));
            match is_gone {
                true => lost += 1,
                false => stands += 1,
            }
        }
        if lost > free && stands < before - before / 4 {
            return Err(format!(
                "{policy}: of {before} good backups {lost} went in a day"
            ));
        }
    }
    Ok(())
}

/// Nothing went that a reference needed which its run had seen. What needed an AMI has lost it with
/// that, and by that needs its snapshots no more: another run may not have seen it yet.
pub fn heeded(stage: &Stage<'_>) -> Result<(), String> {
    let notes = stage.notes.lock().unwrap();
    for gone in &notes.gone {
        let lost = |target: &String| {
            let mut before = notes.gone.iter().filter(|one| one.moment < gone.moment);
            target.starts_with("ami-") && before.any(|one| one.resource == *target)
        };
        let mut needing = stage.references.iter().filter(|reference| {
            reference.moment < gone.moment
                && reference.protects.contains(&gone.resource)
                && !lost(&reference.target)
        });
        let ignored = needing.find(|reference| {
            notes.looks.iter().any(|look| {
                look.run == gone.run
                    && reference.moment < look.moment
                    && look.moment < gone.moment
                    && reference.kind.is_seen_by(look, &reference.target)
            })
        });
        if let Some(reference) = ignored {
            return Err(format!(
                "{} went at {} although its run had seen {reference:?}; all that went: {:?}",
                gone.resource, gone.moment, notes.gone
            ));
        }
    }
    Ok(())
}

/// Whatever a sweep's call took away was on record before. Where another took its lease while the
/// call was under way, that one saw it stand and may have closed the record.
pub fn recorded(stage: &Stage<'_>) -> Result<(), String> {
    let contents = stage.records.contents();
    let (records, aside) = (contents.deletions, contents.earlier);
    let notes = stage.notes.lock().unwrap();
    for gone in &notes.gone {
        let record = records.get(&gone.resource).map(|record| &record.value);
        let state = record.map(|record| record.state);
        let closed = state == Some(DeletionState::Refused);
        let told = state.is_some() || aside.contains_key(&gone.resource);
        if !told || closed && !stage.lapsed {
            return Err(format!("{} went, on record as {state:?}", gone.resource));
        }
    }
    Ok(())
}

/// Parts of AMIs that a run was deregistering when another took its lease and saw the AMI stand: that
/// one closed the intent, so that what is left is taken for somebody else's doing and stays a week.
pub fn taken_over(world: &World, stage: &Stage<'_>) -> BTreeSet<String> {
    let (records, standing) = (stage.records.contents(), standing(&stage.ec2.account()));
    let closed = |id: &String| {
        let record = records.deletions.get(id);
        let refused = record.is_some_and(|r| r.value.state == DeletionState::Refused);
        refused && stage.lapsed && !standing.contains(id)
    };
    let backups = world.backups.iter();
    let backups = backups.filter(|backup| backup.parts.iter().any(closed));
    backups.flat_map(|backup| backup.parts.clone()).collect()
}

/// No backing snapshot is left without its AMI that had one before, unless something needs it or the
/// last report says why it is held.
pub fn nothing_orphaned(world: &World, stage: &Stage<'_>, last: &Report) -> Result<(), String> {
    let orphans = |account: &holdfast_sim::Account| -> BTreeSet<String> {
        let images = account.images();
        let mapped: BTreeSet<&str> = images
            .flat_map(|image| &image.mappings)
            .filter_map(|device| device.snapshot().map(|id| id.as_str()))
            .collect();
        let snapshots = account.snapshots();
        let backing = snapshots.filter(|snapshot| {
            snapshot.tags.get("holdfast:artifact").map(String::as_str) == Some("image-snapshot")
        });
        backing
            .map(|snapshot| snapshot.id.as_str())
            .filter(|id| !mapped.contains(id))
            .map(str::to_owned)
            .collect()
    };
    let before = orphans(&world.account);
    let needed = |id: &String| stage.references.iter().any(|r| r.protects.contains(id));
    let taken_over = taken_over(world, stage);
    let told = |id: &String| {
        let mut items = last.items.iter();
        items.any(|item| {
            item.resource == *id && matches!(item.outcome, Outcome::Held | Outcome::Kept)
        })
    };
    let excused = |id: &String| {
        let may_stay =
            world.of_failed.contains(id) || stage.bereaved.contains(id) || taken_over.contains(id);
        needed(id) || may_stay && told(id)
    };
    let after = orphans(&stage.ec2.account());
    let left: Vec<&String> = after
        .difference(&before)
        .filter(|id| !excused(id))
        .collect();
    if left.is_empty() {
        Ok(())
    } else {
        let items = last.items.iter();
        let items: Vec<_> = items
            .filter(|item| left.contains(&&item.resource))
            .collect();
        Err(format!(
            "orphaned: {left:?}, and the last sweep says {items:?}"
        ))
    }
}
