//! The newest good backup that is not after a time.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::usable::{Keys, usable_image, usable_snapshot};
use crate::artifact::MANAGED;
use crate::inventory::{Image, Tags};
use crate::ports::restore::Stored;
use crate::report::Reason;

/// A newer backup that could not be taken, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// The backup.
    pub id: String,
    /// The point in time it would hold.
    pub time: Option<Timestamp>,
    /// Why not.
    pub reason: Reason,
}

/// Holdfast's newest good snapshot not after `at`, those behind AMIs included: they hold a volume's
/// data as well. With it, or instead of it, the newer ones that are not good.
///
/// Two of one instant are ordered by identifier.
///
/// # Errors
/// There is none; the ones that are not good.
pub fn newest_snapshot<'a>(
    all: &'a [Stored],
    at: Timestamp,
    keys: &Keys,
) -> Result<(&'a Stored, Vec<Passed>), Vec<Passed>> {
    let candidates = all.iter().filter_map(|stored| {
        let snapshot = &stored.snapshot;
        let start = snapshot.start?;
        let ours = start <= at && managed(&snapshot.tags);
        ours.then(|| (start, snapshot.id.as_str(), stored))
    });
    newest(candidates.collect(), |stored| usable_snapshot(stored, keys))
}

/// Holdfast's newest good AMI not after `at`, and the newer ones that are not good.
///
/// # Errors
/// There is none; the ones that are not good.
pub fn newest_image<'a>(
    all: &'a [Image],
    stored: &BTreeMap<&str, &Stored>,
    at: Timestamp,
    keys: &Keys,
) -> Result<(&'a Image, Vec<Passed>), Vec<Passed>> {
    let candidates = all.iter().filter_map(|image| {
        let created = image.created?;
        let ours = created <= at && managed(&image.tags);
        ours.then(|| (created, image.id.as_str(), image))
    });
    newest(candidates.collect(), |image| {
        usable_image(image, stored, keys)
    })
}

fn newest<'a, T>(
    mut candidates: Vec<(Timestamp, &str, &'a T)>,
    usable: impl Fn(&T) -> Result<(), Reason>,
) -> Result<(&'a T, Vec<Passed>), Vec<Passed>> {
    candidates.sort_unstable_by_key(|(time, id, _)| std::cmp::Reverse((*time, *id)));
    let mut passed = Vec::new();
    for (time, id, candidate) in candidates {
        match usable(candidate) {
            Ok(()) => return Ok((candidate, passed)),
            Err(reason) => passed.push(Passed {
                id: id.to_owned(),
                time: Some(time),
                reason,
            }),
        }
    }
    Err(passed)
}

pub(super) fn managed(tags: &Tags) -> bool {
    tags.get(MANAGED).map(String::as_str) == Some("true")
}
