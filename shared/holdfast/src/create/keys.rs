//! Keys that make a backup useless, named before it is made.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use holdfast_core::id::VolumeId;
use holdfast_core::inventory::{KeyState, Volume};
use holdfast_core::plan::coverage::{Under, unusable};
use holdfast_core::ports::ReadEc2;
use holdfast_core::report::{Action, Item, Outcome};

use super::job::Job;

/// Keys asked about at once.
const AT_ONCE: usize = 4;

/// A finding for each key of these volumes that cannot be used.
///
/// The backup is asked for all the same: a key that is enabled again, or whose deletion is
/// cancelled, makes it readable, and a slot that passed without one cannot be made up. What cannot
/// be asked about is left to check-dependencies, which says so.
pub(super) async fn findings<'v, E: ReadEc2>(
    ec2: &E,
    job: &Job<'_>,
    ids: impl Iterator<Item = &'v VolumeId>,
    volumes: &BTreeMap<&VolumeId, &Volume>,
) -> Vec<Item> {
    let mut under: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for id in ids {
        let key = volumes.get(id).and_then(|volume| volume.kms_key.as_deref());
        if let Some(key) = key {
            under.entry(key).or_default().push(id.as_str());
        }
    }
    let mut states: Vec<(&str, KeyState)> = stream::iter(under.keys().copied())
        .map(async |key| ec2.key_state(key).await.ok().map(|state| (key, state)))
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    states.sort();
    let found = states.into_iter().filter_map(|(key, state)| {
        let under = Under {
            volumes: under.get(key)?.iter().copied().collect(),
            ..Under::default()
        };
        let reason = unusable(&Ok(state), &under)?;
        let item = Item::new(Action::Check, key, Outcome::Finding);
        Some(item.policy(&job.policy.name).slot(job.slot).reason(reason))
    });
    found.collect()
}
