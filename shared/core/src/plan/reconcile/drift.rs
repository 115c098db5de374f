//! What is not as it should be and stays so until somebody does something about it.

use jiff::Timestamp;

use super::live::{Live, Ours, has_evidence};
use super::{ABSENT_FOR, Changes, PENDING_AT_MOST, Scope};
use crate::artifact::ArtifactKind;
use crate::inventory::{Image, ImageState, SnapshotState};
use crate::lineage::NodeState;
use crate::report::{Action, Outcome, Reason, ReasonCode};

/// Adds the findings.
pub(super) fn find(live: &Live<'_>, scope: Scope<'_>, now: Timestamp, changes: &mut Changes) {
    let all = matches!(scope, Scope::All { .. });
    for (id, ours) in live.compared(scope) {
        let reasons = match ours.image() {
            Some(image) => of_image(live, image, now),
            None if all => orphaned(live, id, ours, now).into_iter().collect(),
            None => Vec::new(),
        };
        if !reasons.is_empty() {
            let mut item = ours.item(Action::Check, id, Outcome::Finding);
            item.reasons = reasons;
            changes.items.push(item);
        }
    }
}

fn of_image(live: &Live<'_>, image: &Image, now: Timestamp) -> Vec<Reason> {
    match image.state {
        ImageState::Pending => {
            let since = image
                .created
                .filter(|at| now.duration_since(*at) > PENDING_AT_MOST);
            let slow = since.map(|at| {
                let detail = format!("it is pending since {at}; EC2 needs 24 hours at most");
                Reason::with(ReasonCode::Pending, detail)
            });
            slow.into_iter().collect()
        }
        ImageState::Available | ImageState::Disabled => {
            let mut reasons = missing(live, image);
            if !has_evidence(image) {
                let detail = "its mapping does not name a snapshot for each EBS device: what it \
                              would restore is not known";
                reasons.push(Reason::with(ReasonCode::EvidenceIncomplete, detail));
            }
            reasons
        }
        _ => Vec::new(),
    }
}

/// An AMI whose snapshot went through the Recycle Bin, or failed, still describes as available.
fn missing(live: &Live<'_>, image: &Image) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for id in image.snapshots() {
        let problem = match live.snapshots.get(id.as_str()) {
            Some(snapshot) if snapshot.state == SnapshotState::Error => "is in state error",
            Some(_) => continue,
            None if live.knows_all_snapshots() => "is not listed",
            None => continue,
        };
        reasons.push(Reason {
            code: ReasonCode::SnapshotMissing,
            detail: Some(format!("{id} {problem}: nothing can be launched from it")),
            path: vec![image.id.to_string(), id.to_string()],
        });
    }
    reasons
}

fn orphaned(live: &Live<'_>, id: &str, ours: &Ours<'_>, now: Timestamp) -> Option<Reason> {
    // An AMI and its snapshots do not turn up in the lists at one moment.
    let young = ours
        .time()
        .is_some_and(|start| now.duration_since(start) < ABSENT_FOR);
    let settled = matches!(ours.state, Some(NodeState::Completed | NodeState::Error));
    let orphan = ours.artifact.kind == ArtifactKind::ImageSnapshot
        && settled
        && !young
        && live.seen.images.is_complete()
        && !live.has_own_image(id, &ours.artifact);
    orphan.then(|| {
        let detail = "it backed an AMI, and no AMI of one's own maps it";
        Reason::with(ReasonCode::Orphaned, detail)
    })
}
