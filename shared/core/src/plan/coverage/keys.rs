//! Keys without which backups cannot be read.

use std::collections::{BTreeMap, BTreeSet};

use super::Facts;
use super::backups::Backups;
use super::picks::{Picks, picks};
use crate::inventory::KeyState;
use crate::plan::reconcile::Seen;
use crate::policy::{PolicyFile, PolicyState};
use crate::ports::CallError;
use crate::report::{Action, Item, Outcome, Reason, ReasonCode};

/// Volumes that a finding names before it only counts them.
const NAMED: usize = 3;

/// The keys that matter: those of volumes that active policies pick or that have backups, by ARN.
#[must_use]
pub fn keys(seen: &Seen<'_>, policies: &PolicyFile) -> BTreeSet<String> {
    let mut volumes = seen.volumes.into_iter().flat_map(|list| &list.items);
    if volumes.all(|volume| volume.kms_key.is_none()) {
        return BTreeSet::new();
    }
    let picks = picks(policies, seen);
    let backups = Backups::new(seen, policies);
    let used = used(seen, policies, &picks, &backups);
    used.into_keys().map(str::to_owned).collect()
}

/// The volumes under each key.
fn used<'a>(
    seen: &Seen<'a>,
    policies: &PolicyFile,
    picks: &[Picks],
    backups: &Backups<'_>,
) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let with_backups: BTreeSet<&str> = backups.sources().map(|(source, ..)| source).collect();
    let active = || {
        let policies = policies.policies.iter().zip(picks);
        policies.filter(|(policy, _)| policy.state == PolicyState::Active)
    };
    let mut used: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
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
            used.entry(key).or_default().insert(id);
        }
    }
    used
}

/// One finding for each key that cannot be used, and for each of which nobody can say.
pub(super) fn find(facts: &Facts<'_>, picks: &[Picks], backups: &Backups<'_>) -> Vec<Item> {
    let used = used(facts.seen, facts.policies, picks, backups);
    let found = used.into_iter().filter_map(|(key, volumes)| {
        let reason = unusable(facts.keys.get(key)?, &volumes)?;
        Some(Item::new(Action::Check, key, Outcome::Finding).reason(reason))
    });
    found.collect()
}

/// Why what is under a key in this state cannot be backed up or restored; none where it can.
/// `volumes` are those under it.
#[must_use]
pub fn unusable(key: &Result<KeyState, CallError>, volumes: &BTreeSet<&str>) -> Option<Reason> {
    let what = words(volumes);
    let state = match key {
        Ok(KeyState::Enabled | KeyState::Creating | KeyState::Updating) => return None,
        Ok(state) => state,
        Err(error) => {
            let detail = format!(
                "whether the backups of {what} can be restored is not known: {error}; allow \
                 kms:DescribeKey on the key"
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
    let detail = format!("the key is {state}, and backups of {what} cannot be restored: {then}");
    Some(Reason::with(ReasonCode::KeyUnusable, detail))
}

fn words(volumes: &BTreeSet<&str>) -> String {
    let named: Vec<&str> = volumes.iter().take(NAMED).copied().collect();
    let more = volumes.len() - named.len();
    match more {
        0 => named.join(", "),
        _ => format!("{} and {more} more", named.join(", ")),
    }
}
