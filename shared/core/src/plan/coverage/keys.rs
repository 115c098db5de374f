//! Keys without which backups cannot be read.

use std::collections::{BTreeMap, BTreeSet};

use super::Facts;
use super::backups::Backups;
use super::picks::{Picks, picks};
use crate::artifact::Artifact;
use crate::inventory::{KeyState, Snapshot};
use crate::plan::reconcile::Seen;
use crate::policy::{PolicyFile, PolicyState};
use crate::ports::CallError;
use crate::report::{Action, Item, Outcome, Reason, ReasonCode};

/// Volumes, and snapshots, that a finding names before it only counts them.
const NAMED: usize = 3;

/// What is encrypted under one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Under<'a> {
    /// Volumes that are backed up, or are to be.
    pub volumes: BTreeSet<&'a str>,
    /// Holdfast's snapshots; their volumes may be gone.
    pub snapshots: BTreeSet<&'a str>,
}

/// The keys that matter: those of volumes that active policies pick or that have backups, and those
/// of Holdfast's snapshots, by ARN.
#[must_use]
pub fn keys(seen: &Seen<'_>, policies: &PolicyFile) -> BTreeSet<String> {
    let mut volumes = seen.volumes.into_iter().flat_map(|list| &list.items);
    let plain = volumes.all(|volume| volume.kms_key.is_none());
    if plain && snapshots(seen).all(|snapshot| snapshot.kms_key.is_none()) {
        return BTreeSet::new();
    }
    let picks = picks(policies, seen);
    let backups = Backups::new(seen, policies);
    let used = used(seen, policies, &picks, &backups);
    used.into_keys().map(str::to_owned).collect()
}

fn snapshots<'a>(seen: &Seen<'a>) -> impl Iterator<Item = &'a Snapshot> + use<'a> {
    seen.snapshots.items.iter().chain(&seen.named.items)
}

/// What is under each key.
fn used<'a>(
    seen: &Seen<'a>,
    policies: &PolicyFile,
    picks: &[Picks],
    backups: &Backups<'_>,
) -> BTreeMap<&'a str, Under<'a>> {
    let with_backups: BTreeSet<&str> = backups.sources().map(|(source, ..)| source).collect();
    let active = || {
        let policies = policies.policies.iter().zip(picks);
        policies.filter(|(policy, _)| policy.state == PolicyState::Active)
    };
    let mut used: BTreeMap<&str, Under<'_>> = BTreeMap::new();
    for volume in seen.volumes.into_iter().flat_map(|list| &list.items) {
        let Some(key) = volume.kms_key.as_deref() else {
            continue;
        };
        let id = volume.id.as_str();
        // A volume that is in AMIs only has its snapshots counted under its instance.
        let hosts = volume.attachments.iter().map(|a| a.instance.as_str());
        let backed_up = std::iter::once(id)
            .chain(hosts)
            .any(|source| with_backups.contains(source));
        if backed_up || active().any(|(_, picks)| picks.volumes.contains(&volume.id)) {
            used.entry(key).or_default().volumes.insert(id);
        }
    }
    for snapshot in snapshots(seen) {
        let Some(key) = snapshot.kms_key.as_deref() else {
            continue;
        };
        let owner = snapshot.owner.as_deref();
        if Artifact::read(&snapshot.tags, owner, seen.account).is_ok() {
            let under = used.entry(key).or_default();
            under.snapshots.insert(snapshot.id.as_str());
        }
    }
    used
}

/// One finding for each key that cannot be used, and for each of which nobody can say.
pub(super) fn find(facts: &Facts<'_>, picks: &[Picks], backups: &Backups<'_>) -> Vec<Item> {
    let used = used(facts.seen, facts.policies, picks, backups);
    let found = used.into_iter().filter_map(|(key, under)| {
        let reason = unusable(facts.keys.get(key)?, &under)?;
        Some(Item::new(Action::Check, key, Outcome::Finding).reason(reason))
    });
    found.collect()
}

/// Why what is under a key in this state cannot be backed up or restored; none where it can.
#[must_use]
pub fn unusable(key: &Result<KeyState, CallError>, under: &Under<'_>) -> Option<Reason> {
    let what = match under.volumes.is_empty() {
        true => "backups".to_owned(),
        false => format!("backups of {}", some_of(&under.volumes)),
    };
    let standing = match under.snapshots.len() {
        0 => String::new(),
        1 => format!("; 1 snapshot is under it: {}", some_of(&under.snapshots)),
        n => format!(
            "; {n} snapshots are under it: {}",
            some_of(&under.snapshots)
        ),
    };
    let state = match key {
        Ok(KeyState::Enabled | KeyState::Creating | KeyState::Updating) => return None,
        Ok(state) => state,
        Err(error) => {
            let detail = format!(
                "whether the {what} can be restored is not known: {error}; allow \
                 kms:DescribeKey on the key{standing}"
            );
            return Some(Reason::with(ReasonCode::EvidenceIncomplete, detail));
        }
    };
    let then = match state {
        KeyState::PendingDeletion | KeyState::PendingReplicaDeletion => {
            "cancel its deletion, or they are lost for ever"
        }
        KeyState::Disabled => "enable it before they are needed",
        KeyState::Missing => "KMS does not know it any more, and they are lost",
        KeyState::PendingImport => "import its key material again",
        KeyState::Unavailable => "connect its key store again",
        KeyState::Enabled | KeyState::Creating | KeyState::Updating | KeyState::Unknown(_) => {
            "look at the key in KMS"
        }
    };
    let detail = format!("the key is {state}, and {what} cannot be restored: {then}{standing}");
    Some(Reason::with(ReasonCode::KeyUnusable, detail))
}

fn some_of(ids: &BTreeSet<&str>) -> String {
    let named: Vec<&str> = ids.iter().take(NAMED).copied().collect();
    let more = ids.len() - named.len();
    match more {
        0 => named.join(", "),
        _ => format!("{} and {more} more", named.join(", ")),
    }
}
