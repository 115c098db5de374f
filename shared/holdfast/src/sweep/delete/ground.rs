//! What the deletions of one run stand on, and what they have done so far.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::table::PackedId;
use holdfast_core::inventory::{Inventory, Reading};
use holdfast_core::plan::judge::{FormerImage, OnRecord, Subject, Verdict};
use holdfast_core::report::ReasonCode;
use serde_json::Value;

use super::proof::told;
use crate::pace::Pace;

/// Why a snapshot of a deregistered AMI stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Need {
    pub code: ReasonCode,
    pub words: &'static str,
}

impl Need {
    /// Another AMI maps it.
    pub(super) const IMAGE: Self = Self {
        code: ReasonCode::UsedByImage,
        words: "stays: another AMI uses it",
    };
    /// An AMI in the Recycle Bin maps it, as the lineage has it.
    const BINNED: Self = Self {
        code: ReasonCode::InRecycleBin,
        words: "stays: an AMI in the Recycle Bin needs it",
    };
}

/// The buckets of the APIs that deletions call.
pub(super) struct Paces {
    /// `DeregisterImage`.
    pub images: Pace,
    /// `DeleteSnapshot`.
    pub snapshots: Pace,
}

/// What the deletions of one run stand on.
pub(super) struct Ground {
    /// How the lists were read.
    pub readings: Vec<Reading>,
    /// The same, for the records.
    pub lists: Value,
    /// What the table said before there were verdicts.
    pub on_record: OnRecord,
    /// Artifacts that an earlier sweep condemned.
    pub marked: BTreeSet<String>,
    /// Snapshots each of which stands for the former AMI that it is left of when backups that are
    /// deleted are counted.
    pub counting: BTreeSet<String>,
    /// How many AMIs in the Recycle Bin nobody has recorded over any snapshot of Holdfast's.
    pub binned_not_on_record: usize,
    /// The pace of the calls.
    pub paces: Paces,
    several: BTreeMap<SnapshotId, BTreeSet<ImageId>>,
    gone: Mutex<BTreeSet<ImageId>>,
}

/// The first snapshot that goes of each former AMI: what is left of one is one backup.
fn counting(condemned: &[Verdict]) -> BTreeSet<String> {
    let mut first: BTreeMap<&FormerImage, &str> = BTreeMap::new();
    for verdict in condemned {
        if let (Some(former), Subject::Snapshot(snapshot)) = (&verdict.orphan_of, &verdict.subject)
        {
            first.entry(former).or_insert(snapshot.id.as_str());
        }
    }
    first.into_values().map(str::to_owned).collect()
}

impl Ground {
    pub(super) fn new(
        lists: &Inventory,
        on_record: OnRecord,
        marked: BTreeSet<String>,
        condemned: &[Verdict],
    ) -> Self {
        let readings = lists.readings();
        Self {
            lists: told(&readings),
            readings,
            binned_not_on_record: not_on_record(lists, &on_record),
            on_record,
            marked,
            counting: counting(condemned),
            paces: Paces {
                images: Pace::deregister_image(),
                snapshots: Pace::snapshots(),
            },
            several: mapped_by_several(lists),
            gone: Mutex::default(),
        }
    }

    /// Records that an AMI is deregistered.
    pub(super) fn went(&self, image: &ImageId) {
        lock(&self.gone).insert(image.clone());
    }

    /// The AMIs besides `of` that map a snapshot or mapped it, as far as their deletion can be
    /// Holdfast's doing.
    pub(super) fn other_images(&self, snapshot: &SnapshotId, of: &ImageId) -> BTreeSet<String> {
        let mapping = self.several.get(snapshot).into_iter().flatten();
        let left_by = self.on_record.leftovers.get(snapshot.as_str());
        let others = mapping.chain(left_by.map(|leftover| &leftover.image));
        let others = others.filter(|image| *image != of);
        others.map(ToString::to_string).collect()
    }

    /// What needs a snapshot besides its AMI `of`, which is about to go or gone.
    pub(super) fn needing(&self, snapshot: &str, of: &str) -> Option<Need> {
        let gone = lock(&self.gone);
        let stands = |image: &ImageId| image.as_str() != of && !gone.contains(image);
        let mapping = self.several.get(&SnapshotId::new(snapshot));
        if mapping.is_some_and(|images| images.iter().any(stands)) {
            return Some(Need::IMAGE);
        }
        let binned = self.on_record.binned.get(snapshot);
        binned
            .is_some_and(|images| !images.is_empty())
            .then_some(Need::BINNED)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Of what lies in the Recycle Bin EC2 tells no block devices, so that an AMI which came and went
/// between two sweeps and two reconciles holds nothing; most of these are of other snapshots.
fn not_on_record(lists: &Inventory, on_record: &OnRecord) -> usize {
    let known: BTreeSet<&str> = on_record
        .binned
        .values()
        .flatten()
        .map(AsRef::as_ref)
        .collect();
    let listed = lists.recycle_bin.iter().flat_map(|list| &list.items);
    listed
        .filter(|binned| !known.contains(binned.id.as_str()))
        .count()
}

/// The snapshots that several AMIs of one's own map, each with the AMIs.
fn mapped_by_several(lists: &Inventory) -> BTreeMap<SnapshotId, BTreeSet<ImageId>> {
    let images = &lists.images.items;
    let mut mapped: Vec<(PackedId, usize)> = (0..images.len())
        .flat_map(|row| images.mapped(row).map(move |snapshot| (snapshot, row)))
        .collect();
    mapped.sort_unstable();
    let of_one = mapped.chunk_by(|a, b| a.0 == b.0);
    let mut several: BTreeMap<SnapshotId, BTreeSet<ImageId>> = BTreeMap::new();
    for (snapshot, row) in of_one.filter(|of_one| of_one.len() > 1).flatten() {
        let image = images.id_text(*row).map(ImageId::new);
        several
            .entry(images.snapshot(*snapshot))
            .or_default()
            .extend(image);
    }
    several.retain(|_, images| images.len() > 1);
    several
}
