//! All volumes of one multi-volume set.

use holdfast_core::artifact::{MANAGED, RUN, SOURCE};
use holdfast_core::id::{InstanceId, SnapshotId, VolumeId};
use holdfast_core::inventory::Tags;
use holdfast_core::lineage::SlotRecord;
use holdfast_core::plan::restore::{
    Keys, Passed, Set, VolumeGround, VolumeWish, plan_volume, sets, usable_snapshot,
    whole as whole_set,
};
use holdfast_core::ports::records::Records;
use holdfast_core::ports::restore::{Stored, StoredScope, Wanted};
use holdfast_core::report::{Reason, ReasonCode, whole_second};
use jiff::Timestamp;

use super::gather::{Reads, absent, doubtful, keys, mark, nodes, whole};
use super::volume::nothing;
use super::{Plan, Prospect};
use crate::error::RunError;

/// Which set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetFrom {
    /// The one that this snapshot is a member of.
    Member(SnapshotId),
    /// The newest whole one of an instance that is not after a time.
    Newest(InstanceId, Timestamp),
}

/// What restoring a set would come to; changes nothing.
///
/// # Errors
/// [`RunError::Inventory`]: EC2 could not be read to the end.
pub async fn set<E: Reads, R: Records>(
    ec2: &E,
    records: &R,
    from: &SetFrom,
    wish: &VolumeWish,
) -> Result<Prospect, RunError> {
    let mut tags = Tags::from([(MANAGED.to_owned(), "true".to_owned())]);
    match from {
        SetFrom::Member(id) => {
            let named = whole(ec2.stored(&StoredScope::Ids(vec![id.clone()])).await)?;
            let Some(named) = named.first() else {
                return Ok(Prospect::refuse(
                    id.as_str(),
                    absent(ec2, id.as_str()).await,
                ));
            };
            for key in [SOURCE, RUN] {
                let value = named.snapshot.tags.get(key).cloned().unwrap_or_default();
                tags.insert(key.to_owned(), value);
            }
        }
        SetFrom::Newest(id, _) => {
            tags.insert(SOURCE.to_owned(), id.to_string());
        }
    }
    let all = whole(ec2.stored(&StoredScope::Tagged(tags)).await)?;
    let keys = keys(ec2, &all).await;
    let mut doubts = doubtful(&keys);
    let sets = sets(&all);
    let (resource, chosen) = match from {
        SetFrom::Member(id) => {
            let holds = |set: &&Set<'_>| set.members.iter().any(|m| m.snapshot.id == *id);
            let Some(set) = sets.iter().find(holds) else {
                let words = "it is no member of a multi-volume set: restore it by itself (holdfast \
                             restore volume)";
                let reason = Reason::with(ReasonCode::Refused, words);
                return Ok(Prospect::refuse(id.as_str(), reason));
            };
            let judged = judge(records, set, &keys, &mut doubts).await;
            match judged {
                Ok(told) => (id.to_string(), Some((set, told, Vec::new()))),
                Err(reason) => return Ok(Prospect::refuse(id.as_str(), reason)),
            }
        }
        SetFrom::Newest(id, at) => {
            let mut passed = Vec::new();
            let mut found = None;
            for set in sets
                .iter()
                .filter(|set| set.time().is_some_and(|t| t <= *at))
            {
                match judge(records, set, &keys, &mut doubts).await {
                    Ok(told) => {
                        found = Some((set, told, std::mem::take(&mut passed)));
                        break;
                    }
                    Err(reason) => passed.push(Passed {
                        id: first(set),
                        time: set.time(),
                        reason,
                    }),
                }
            }
            if found.is_none() {
                let instead = format!(
                    "; an AMI has all disks, too: holdfast restore instance --source {id} --at {}",
                    whole_second(*at)
                );
                return Ok(Prospect {
                    passed,
                    ..Prospect::refuse(id.as_str(), nothing("set of its volumes", *at, &instead))
                });
            }
            (id.to_string(), found)
        }
    };
    let Some((set, told, passed)) = chosen else {
        return Ok(Prospect::default());
    };
    doubts.extend(told);
    let mut prospect = plans(ec2, records, set, wish, doubts).await?;
    prospect.passed = passed;
    if let Some((refused, _)) = &mut prospect.refused {
        *refused = resource;
    }
    Ok(prospect)
}

/// A name for a set in reports: its first member.
fn first(set: &Set<'_>) -> String {
    let member = set.members.first();
    member.map_or_else(|| set.instance.clone(), |m| m.snapshot.id.to_string())
}

/// Whether a set is whole and good, and what is to be said of it.
async fn judge<R: Records>(
    records: &R,
    set: &Set<'_>,
    keys: &Keys,
    doubts: &mut Vec<Reason>,
) -> Result<Option<Reason>, Reason> {
    // Before the table is asked: what cannot be restored needs no count.
    for member in &set.members {
        usable_snapshot(member, keys).map_err(|reason| of_member(member, reason))?;
    }
    let record = record_of(records, set, doubts).await;
    whole_set(set, record.as_ref(), keys)
}

fn of_member(member: &Stored, reason: Reason) -> Reason {
    let words = reason.detail.unwrap_or_default();
    let id = &member.snapshot.id;
    Reason::with(reason.code, format!("member {id}: {words}"))
}

/// The ledger's record of a set: of its slot, or of the request that asked for it, whose identifier
/// is the run's.
async fn record_of<R: Records>(
    records: &R,
    set: &Set<'_>,
    doubts: &mut Vec<Reason>,
) -> Option<SlotRecord> {
    let source = std::slice::from_ref(&set.instance);
    for request in [None, Some(set.run.as_str())] {
        match records.slots(&set.policy, set.slot, request, source).await {
            Ok(mut found) => {
                let made = |record: &SlotRecord| {
                    let mut artifacts = record.artifacts.iter();
                    artifacts.any(|id| set.members.iter().any(|m| m.snapshot.id.as_str() == id))
                };
                if let Some(record) = found.remove(&set.instance).filter(made) {
                    return Some(record);
                }
            }
            Err(error) => {
                let words = format!("the ledger could not be read: {error}");
                doubts.push(Reason::with(ReasonCode::TableFailed, words));
                return None;
            }
        }
    }
    None
}

/// A plan for each member.
async fn plans<E: Reads, R: Records>(
    ec2: &E,
    records: &R,
    set: &Set<'_>,
    wish: &VolumeWish,
    mut doubts: Vec<Reason>,
) -> Result<Prospect, RunError> {
    let ids: Vec<String> = set
        .members
        .iter()
        .map(|m| m.snapshot.id.to_string())
        .collect();
    let recorded = nodes(records, &ids, &mut doubts).await;
    let volumes: Vec<VolumeId> = set
        .members
        .iter()
        .filter_map(|m| m.snapshot.volume.clone())
        .collect();
    let disks = whole(ec2.disks(&Wanted::Ids(volumes)).await)?;
    let instance = InstanceId::new(set.instance.clone());
    let machines = whole(ec2.machines(&Wanted::Ids(vec![instance])).await)?;
    let zone = machines.first().and_then(|m| m.launch.zone.as_deref());
    let mut plans = Vec::new();
    for (member, id) in set.members.iter().zip(&ids) {
        let mark = mark(&wish.token("set", id));
        let made = whole(ec2.disks(&Wanted::Tagged(mark)).await)?;
        let of = member.snapshot.volume.as_ref();
        let disk = disks.iter().find(|disk| Some(&disk.volume.id) == of);
        let planned = plan_volume(&VolumeGround {
            kind: "set",
            stored: member,
            node: recorded.get(id),
            disk,
            zone,
            host: None,
            made: &made,
            wish,
        });
        match planned {
            Ok(mut plan) => {
                plan.notes
                    .extend(disk.and_then(|disk| place(disk, &set.instance)));
                plans.push(Plan::Volume(plan));
            }
            // All of one point in time, or nothing.
            Err(reason) => return Ok(Prospect::refuse(id, of_member(member, reason))),
        }
    }
    Ok(Prospect {
        plans,
        doubts,
        ..Prospect::default()
    })
}

/// Where the source of a member is attached.
fn place(disk: &holdfast_core::ports::restore::Disk, instance: &str) -> Option<String> {
    let mut attachments = disk.volume.attachments.iter();
    let here = attachments.find(|a| a.instance.as_str() == instance)?;
    Some(format!("its source is {} of {instance}", here.device))
}
