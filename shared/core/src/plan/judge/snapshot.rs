//! What can be said of a snapshot without looking at other backups.

use jiff::{SignedDuration, Timestamp};

use crate::artifact::{self, ArtifactKind, Claim};
use crate::inventory::{Snapshot, SnapshotState};
use crate::policy::{Policy, PolicyFile, Protect};
use crate::report::{Reason, ReasonCode};

use super::retention::GroupKey;
use super::sets::Sets;
use super::{Decision, Evidence, Looked, Standing, governing};

/// EC2 gives this volume identifier to copies (`CopySnapshot`, EC2 API Reference).
pub const COPY_PLACEHOLDER: &str = "vol-ffffffff";

/// The owner alias of what lies in an AWS Backup vault (`OwnerAlias`, EC2 API Reference, Snapshot).
pub(super) const IN_VAULT: &str = "aws-backup-vault";

/// For how long after its start a snapshot's AMI may be missing from a list of images.
const NEW_FOR: SignedDuration = SignedDuration::from_mins(10);

/// Decides all that needs no comparison with other backups. `None` for what is no item.
pub(super) fn look<'a: 'r, 'r, 'p: 's, 's>(
    policies: &'p PolicyFile,
    evidence: &Evidence<'a, 'r>,
    standing: &Standing<'a, 'r>,
    sets: &Sets,
    snapshot: &'s Snapshot,
    now: Timestamp,
) -> Option<Looked<'p, 's>> {
    let tagged = snapshot
        .tags
        .get(artifact::POLICY)
        .map_or("", String::as_str);
    let claim = match Claim::read(&snapshot.tags, snapshot.owner.as_deref(), evidence.account) {
        Ok(claim) => claim,
        Err(reason) => {
            return Some(Looked::held(tagged, reason));
        }
    };
    if snapshot.owner_alias.as_deref() == Some(IN_VAULT) {
        let reason = Reason::with(ReasonCode::ManagedByOther, "it lies in an AWS Backup vault");
        return Some(Looked::held(tagged, reason));
    }
    let policy = governing(policies, claim.policy);
    let name = policy.map_or(tagged, |p| p.name.as_str());
    let held = |reason| Some(Looked::held(name, reason));
    match claim.kind {
        ArtifactKind::Snapshot => {}
        ArtifactKind::ImageSnapshot => {
            if !evidence.inventory.images.is_complete() || standing.backs(snapshot, &claim) {
                return None;
            }
            // The lists are read side by side: that of AMIs may be from before it was made.
            let start = snapshot.start;
            if start.is_some_and(|start| now.duration_since(start) < NEW_FOR) {
                let reason = Reason::with(ReasonCode::Pending, "its AMI may not be listed yet");
                return held(reason);
            }
            let over = standing.images_over(snapshot);
            let words = match over.is_empty() {
                true => {
                    "it backed an AMI that somebody deregistered, and is no whole AMI with what \
                     else is left of it; it is kept"
                }
                false => "it backed an AMI that somebody deregistered",
            };
            let by_us = evidence
                .on_record
                .leftovers
                .contains_key(snapshot.id.as_str());
            let orphaned = Reason::with(ReasonCode::Orphaned, words);
            // No alarm: what Holdfast itself has still to finish, and an AMI that stands and merely
            // lacks its tags, as one that is being adopted does.
            let calm = by_us || standing.has_made_of(snapshot, claim.artifact().source.as_deref());
            let orphaned = Some(orphaned).filter(|_| over.is_empty() || !calm);
            let mut reasons: Vec<Reason> = orphaned.into_iter().chain(over).collect();
            reasons.extend(ungoverned(policy, tagged, Protect::Instances));
            return Some(Looked::new(name, Decision::Hold(reasons)));
        }
        ArtifactKind::Image => {
            let reason = Reason::with(
                ReasonCode::NotManaged,
                "a snapshot whose tag says it is an image",
            );
            return held(reason);
        }
    }
    if let Some(reason) = ungoverned(policy, tagged, Protect::Volumes) {
        return held(reason);
    }
    // `ungoverned` has seen the policy.
    let policy = policy?;
    match &snapshot.state {
        SnapshotState::Completed => {}
        SnapshotState::Pending => {
            return held(Reason::of(ReasonCode::Pending));
        }
        SnapshotState::Error => {
            let reason = Reason::with(ReasonCode::FailedBackup, "EC2 could not complete it");
            return Some(Looked::condemned(name, reason));
        }
        other => {
            let reason = Reason::with(ReasonCode::UnknownState, format!("its state is {other}"));
            return held(reason);
        }
    }
    if snapshot.start.is_none() {
        let reason = Reason::with(ReasonCode::EvidenceIncomplete, "EC2 gave it no start time");
        return held(reason);
    }
    if let Some(reason) = sets.replaced(policies, snapshot, &claim) {
        return Some(Looked::condemned(name, reason));
    }
    let Some(group) = group_of(policy, snapshot, &claim) else {
        let reason = Reason::with(
            ReasonCode::EvidenceIncomplete,
            "EC2 does not tell which volume it is of; it may be a copy",
        );
        return held(reason);
    };
    Some(Looked::good(policy, group))
}

/// Why no policy of the file says anything about what the policy named `tagged` made.
fn ungoverned(policy: Option<&Policy>, tagged: &str, made: Protect) -> Option<Reason> {
    let Some(policy) = policy else {
        let detail = format!("no policy named or formerly named {tagged:?} is in the policy file");
        return Some(Reason::with(ReasonCode::PolicyUnknown, detail));
    };
    let now = match policy.protect {
        protect if protect == made => return None,
        Protect::Volumes => "volumes",
        Protect::Instances => "instances",
    };
    let detail = format!(
        "{} now protects {now}; this snapshot is from before",
        policy.name
    );
    Some(Reason::with(ReasonCode::PolicyChanged, detail))
}

fn group_of(policy: &Policy, snapshot: &Snapshot, claim: &Claim<'_>) -> Option<GroupKey> {
    let volume = snapshot.volume.as_ref().map(AsRef::as_ref);
    // A copy holds another point in time than its own: in no group may it crowd out the originals.
    let volume = volume.filter(|id| *id != COPY_PLACEHOLDER)?;
    Some(GroupKey::of(&policy.group, volume, claim.group()))
}
