//! What the simulated account itself says, against which the story is checked.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::artifact;
use holdfast_core::id::{SnapshotId, VolumeId};
use holdfast_core::inventory::SnapshotState;
use holdfast_core::policy::PolicyFile;
use holdfast_sim::Account;
use jiff::Timestamp;

use super::fleet::{Fleet, Machine};
use super::golden::GOLDEN;
use super::past::{NIGHTLY, Tally, WEB};
use super::{DemoError, expect};

/// Policy, source and slot of a set.
pub type Key = (String, String, String);

/// Holdfast's snapshots of volumes in the account, by set. Those behind its AMIs are not among them.
#[must_use]
pub fn sets(account: &Account) -> BTreeMap<Key, Vec<(VolumeId, SnapshotId)>> {
    let mut sets: BTreeMap<Key, Vec<_>> = BTreeMap::new();
    for snapshot in account.snapshots() {
        let tag = |key: &str| snapshot.tags.get(key).cloned().unwrap_or_default();
        if tag(artifact::MANAGED) == "true" && tag(artifact::ARTIFACT) == "snapshot" {
            let key = (
                tag(artifact::POLICY),
                tag(artifact::SOURCE),
                tag(artifact::SLOT),
            );
            let member = (snapshot.volume.clone(), snapshot.id.clone());
            sets.entry(key).or_default().push(member);
        }
    }
    for members in sets.values_mut() {
        members.sort();
    }
    sets
}

/// Holdfast's snapshots of volumes in the account.
#[must_use]
pub fn managed(account: &Account) -> BTreeSet<String> {
    let members = sets(account).into_values().flatten();
    members.map(|(_, snapshot)| snapshot.to_string()).collect()
}

/// Checks that every slot of every policy has exactly one whole, completed set of each of its
/// sources, and that there is nothing else; how many sets there are.
///
/// # Errors
///
/// The first difference.
pub fn one_set_for_every_slot(
    account: &Account,
    fleet: &Fleet,
    policies: &PolicyFile,
    tally: &Tally,
) -> Result<usize, DemoError> {
    let wanted = wanted(fleet, policies, tally);
    let found = sets(account);
    for (key, volumes) in &wanted {
        let members = found.get(key).map_or(&[][..], Vec::as_slice);
        let taken: Vec<&VolumeId> = members.iter().map(|(volume, _)| volume).collect();
        let (policy, source, slot) = key;
        expect(taken == volumes.iter().collect::<Vec<_>>(), || {
            format!("{policy}, slot {slot}: {source} has snapshots of {taken:?}")
        })?;
        for (_, id) in members {
            let state = account.snapshot(id).map(|snapshot| snapshot.state.clone());
            expect(state == Some(SnapshotState::Completed), || {
                format!("{policy}, slot {slot}: {id} is {state:?}")
            })?;
        }
    }
    for key in found.keys() {
        expect(wanted.contains_key(key), || {
            format!("nobody asked for a set {key:?}")
        })?;
    }
    Ok(wanted.len())
}

/// The sets that there should be, reckoned from the policy file's slots and the fleet.
fn wanted(
    fleet: &Fleet,
    policies: &PolicyFile,
    tally: &Tally,
) -> BTreeMap<Key, BTreeSet<VolumeId>> {
    let of = |machine: &Machine| {
        let volumes = machine.volumes.iter().map(|(_, volume)| volume.clone());
        (machine.id.to_string(), volumes.collect::<BTreeSet<_>>())
    };
    let mut wanted = BTreeMap::new();
    for policy in &policies.policies {
        let sources: Vec<(String, BTreeSet<VolumeId>)> = match policy.name.as_str() {
            NIGHTLY => vec![of(&fleet.database)],
            WEB => fleet.web.iter().map(of).collect(),
            GOLDEN => vec![],
            _ => vec![(
                fleet.archive.to_string(),
                BTreeSet::from([fleet.archive.clone()]),
            )],
        };
        for slot in slots(policy, tally) {
            for (source, volumes) in &sources {
                let key = (policy.name.clone(), source.clone(), slot.to_string());
                wanted.insert(key, volumes.clone());
            }
        }
    }
    wanted
}

/// The newest slot before the first heartbeat, and every slot since.
fn slots(policy: &holdfast_core::policy::Policy, tally: &Tally) -> Vec<Timestamp> {
    let Some(first) = tally.first else {
        return Vec::new();
    };
    // A slot that no heartbeat has followed yet is not due.
    let beat = super::HEARTBEAT_SECONDS;
    let last = tally.until.as_second().div_euclid(beat) * beat;
    let last = Timestamp::from_second(last).unwrap_or(tally.until);
    let mut slots = policy.slots_between(first, last);
    slots.extend(policy.latest_slot(first));
    slots
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_sim::{Settings, SnapshotSeed};

    #[test]
    fn only_managed_snapshots_of_volumes_are_counted() {
        let mut account = Account::new(Settings::default());
        let mut seed = |managed: &str, kind: &str| {
            let tags = [(artifact::MANAGED, managed), (artifact::ARTIFACT, kind)];
            account.seed_snapshot(SnapshotSeed {
                tags: tags
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .into(),
                ..SnapshotSeed::default()
            })
        };
        let ours = seed("true", "snapshot");
        seed("true", "image-snapshot");
        seed("false", "snapshot");
        assert_eq!(managed(&account), BTreeSet::from([ours.to_string()]));
    }
}
