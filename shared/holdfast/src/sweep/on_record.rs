//! What the table says before there are verdicts: sources that are gone, leftovers of Holdfast's own
//! deregistrations, and what AMIs in the Recycle Bin are backed by.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use holdfast_core::id::ImageId;
use holdfast_core::inventory::{Binned, ImageState, Inventory};
use holdfast_core::lineage::EdgeKind;
use holdfast_core::plan::judge::{Leftover, OnRecord, without_own_image};
use holdfast_core::ports::records::{Deletion, DeletionState, Records, TableError};
use jiff::{SignedDuration, Timestamp};

use super::each::each;

/// AMIs in the Recycle Bin whose lineage is read at once.
const BINNED_AT_ONCE: usize = 8;
/// How much later than Holdfast's record of a deregistration the AMI may have entered the Recycle
/// Bin for it to be that deregistration's doing: the call's own time, and differing clocks.
const ENTERS_WITHIN: SignedDuration = SignedDuration::from_hours(1);

/// Reads it.
pub(super) async fn on_record<R: Records>(
    records: &R,
    inventory: &Inventory,
) -> Result<OnRecord, TableError> {
    let absences = records.absences().await?.into_iter();
    let gone_since = absences.filter_map(|(id, absence)| Some((id, absence.confirmed?)));
    Ok(OnRecord {
        gone_since: gone_since.collect(),
        leftovers: leftovers(records, inventory).await?,
        binned: binned(records, inventory).await?,
    })
}

/// The orphans whose AMI Holdfast deregistered or meant to, as the records have it.
async fn leftovers<R: Records>(
    records: &R,
    inventory: &Inventory,
) -> Result<BTreeMap<String, Leftover>, TableError> {
    let orphans: Vec<String> = without_own_image(&inventory.snapshots, &inventory.images)
        .into_iter()
        .collect();
    if orphans.is_empty() {
        return Ok(BTreeMap::new());
    }
    // What was deleted and is listed again, somebody took out of the Recycle Bin.
    // One whose record cannot be read counts as somebody else's doing, and waits.
    let (of_snapshots, _) = each(&orphans, async |ids| records.deletions(ids).await).await?;
    let unfinished: Vec<Deletion> = of_snapshots
        .into_values()
        .filter(|(_, state)| *state != DeletionState::Deleted)
        .map(|(deletion, _)| deletion)
        .collect();
    let images: BTreeSet<String> = unfinished.iter().flat_map(images_of).cloned().collect();
    let images: Vec<String> = images.into_iter().collect();
    let (of_images, _) = each(&images, async |ids| records.deletions(ids).await).await?;
    let (nodes, _) = each(&images, async |ids| records.nodes(ids).await).await?;
    let images = &inventory.images.items;
    let gone: BTreeSet<String> = images
        .in_state(&ImageState::Deregistered)
        .filter_map(|row| images.id_text(row))
        .collect();
    let standing = |image: &String| images.find(image).is_some() && !gone.contains(image);
    // Where EC2 refused, or the AMI came back since, it went some other way.
    let by_holdfast = |image: &String| {
        let (deletion, state) = of_images.get(image)?;
        let is_ours = match state {
            DeletionState::Intended => true,
            DeletionState::Deleted => !nodes.get(image).is_some_and(|n| n.outlives(deletion.at)),
            DeletionState::Refused => false,
        };
        (is_ours && !standing(image)).then_some(deletion)
    };
    let leftover = |deletion: Deletion| {
        let of_image = images_of(&deletion).find_map(by_holdfast)?;
        let leftover = Leftover {
            image: ImageId::new(&of_image.resource),
            time: of_image.time,
            tries: deletion.tries,
            last: Some(deletion.at),
        };
        Some((deletion.resource, leftover))
    };
    Ok(unfinished.into_iter().filter_map(leftover).collect())
}

/// The AMIs whose deregistration may have left a snapshot, the one of its newest intent first.
fn images_of(deletion: &Deletion) -> impl Iterator<Item = &String> {
    deletion.image.iter().chain(&deletion.other_images)
}

/// The AMIs in the Recycle Bin that the lineage says are backed by a snapshot, by the snapshot: EC2
/// tells no block devices of what lies there. Those that Holdfast itself deregistered are left out:
/// what it let go it does not keep for the bin's sake.
async fn binned<R: Records>(
    records: &R,
    inventory: &Inventory,
) -> Result<BTreeMap<String, BTreeSet<ImageId>>, TableError> {
    let list = inventory.recycle_bin.as_ref();
    let list = list.map_or(&[][..], |list| &list.items).iter();
    let images: BTreeMap<&str, &Binned> = list
        .filter(|entry| ImageId::parse(&entry.id).is_some())
        .map(|entry| (entry.id.as_str(), entry))
        .collect();
    if images.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids: Vec<String> = images.keys().map(|id| (*id).to_owned()).collect();
    let (deletions, _) = each(&ids, async |ids| records.deletions(ids).await).await?;
    let foreign = images.into_values().filter(|entry| {
        let ours = deletions.get(&entry.id);
        !ours.is_some_and(|(deletion, state)| entered_by(entry, deletion, *state))
    });
    let relations: Vec<(&str, _)> = stream::iter(foreign)
        .map(|entry| async {
            let id = entry.id.as_str();
            records.relations(id).await.map(|related| (id, related))
        })
        .buffer_unordered(BINNED_AT_ONCE)
        .try_collect()
        .await?;
    let mut binned: BTreeMap<String, BTreeSet<ImageId>> = BTreeMap::new();
    for (id, related) in relations {
        for edge in related.edges {
            if edge.kind == EdgeKind::BackedBy && edge.from == id {
                let needing = binned.entry(edge.to).or_default();
                needing.insert(ImageId::new(id));
            }
        }
    }
    Ok(binned)
}

/// Whether an AMI lies in the Recycle Bin by the recorded deregistration. One that was restored from
/// there and deregistered again entered it later.
fn entered_by(entry: &Binned, deletion: &Deletion, state: DeletionState) -> bool {
    let later = |at: Timestamp| at.duration_since(deletion.at) > ENTERS_WITHIN;
    state != DeletionState::Refused && !entry.entered.is_some_and(later)
}
