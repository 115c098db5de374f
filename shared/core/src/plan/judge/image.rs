//! What can be said of an AMI without looking at other backups.

use std::collections::BTreeSet;

use crate::artifact::{self, Artifact, ArtifactKind, is_image_name_of};
use crate::id::SnapshotId;
use crate::inventory::{Image, ImageState, SnapshotState};
use crate::policy::{PolicyFile, Protect};
use crate::report::{Reason, ReasonCode};

use super::listed::Listed;
use super::retention::GroupKey;
use super::{Evidence, Looked, governing};

/// Decides all that needs no comparison with other backups. `None` for what is no item: an image
/// without Holdfast's tag, and one that is deregistered and merely still listed.
pub(super) fn look<'p: 's, 's>(
    policies: &'p PolicyFile,
    evidence: &Evidence<'_, '_>,
    listed: &Listed<'_>,
    image: &'s Image,
) -> Option<Looked<'p, 's>> {
    let managed = image.tags.get(artifact::MANAGED).map(String::as_str) == Some("true");
    if !managed || image.state == ImageState::Deregistered {
        return None;
    }
    let mapped: BTreeSet<&SnapshotId> = image.snapshots().collect();
    let tagged = image.tags.get(artifact::POLICY).map_or("", String::as_str);
    let artifact = match Artifact::read(&image.tags, image.owner.as_deref(), evidence.account) {
        Ok(artifact) => artifact,
        Err(reason) => {
            return Some(Looked::held(tagged, reason));
        }
    };
    let policy = governing(policies, &artifact.policy);
    let name = policy.map_or(tagged, |p| p.name.as_str());
    let held = |reason| Some(Looked::held(name, reason));
    if artifact.kind != ArtifactKind::Image {
        let detail = format!("an image whose tag {} says otherwise", artifact::ARTIFACT);
        return held(Reason::with(ReasonCode::NotManaged, detail));
    }
    let Some(policy) = policy else {
        let reason = Reason::with(
            ReasonCode::PolicyUnknown,
            format!("no policy named or formerly named {tagged:?} is in the policy file"),
        );
        return held(reason);
    };
    if policy.protect != Protect::Instances {
        let reason = Reason::with(
            ReasonCode::PolicyChanged,
            format!("{name} now protects volumes; this image is from before"),
        );
        return held(reason);
    }
    match &image.state {
        ImageState::Available => {}
        ImageState::Pending => return held(Reason::of(ReasonCode::Pending)),
        ImageState::Failed => {
            let why = image.state_reason.as_deref().unwrap_or("no reason given");
            let detail = format!("EC2 could not make it: {why}");
            let reason = Reason::with(ReasonCode::FailedBackup, detail);
            return Some(Looked::condemned(name, reason));
        }
        ImageState::Disabled => {
            let detail = "somebody disabled it; enabled again it is judged again";
            return held(Reason::with(ReasonCode::Disabled, detail));
        }
        other => {
            let reason = Reason::with(ReasonCode::UnknownState, format!("its state is {other}"));
            return held(reason);
        }
    }
    if let Some(reason) = flaw(evidence, listed, image, &mapped) {
        return held(reason);
    }
    if let Some(doubt) = may_be_copy(image, &artifact) {
        return held(Reason::with(ReasonCode::EvidenceIncomplete, doubt));
    }
    // `may_be_copy` has seen the source.
    let source = artifact.source.clone()?;
    let group = GroupKey::of(&policy.group, &source, artifact.group.as_deref());
    Some(Looked::good(policy, group))
}

/// Why an available image is no good backup: a machine cannot be made of it, or nobody knows.
///
/// Such an image describes as `available` all the same (its snapshots left the Recycle Bin before
/// it did); only the launch would fail.
fn flaw(
    evidence: &Evidence<'_, '_>,
    listed: &Listed<'_>,
    image: &Image,
    mapped: &BTreeSet<&SnapshotId>,
) -> Option<Reason> {
    if let Some(mapping) = image.untold_device() {
        let detail = format!("EC2 names no snapshot for its device {}", mapping.device);
        return Some(Reason::with(ReasonCode::EvidenceIncomplete, detail));
    }
    if mapped.is_empty() {
        let detail = "none of its devices is made from an EBS snapshot";
        return Some(Reason::with(ReasonCode::EvidenceIncomplete, detail));
    }
    let of = |snapshot: &SnapshotId, code, detail: String| Reason {
        code,
        detail: Some(detail),
        path: vec![image.id.to_string(), snapshot.to_string()],
    };
    for id in mapped {
        let Some(state) = listed.state(id) else {
            return Some(match &evidence.inventory.mapped.error {
                Some(error) => {
                    let detail = format!("its snapshot {id} was not read: {error}");
                    of(id, ReasonCode::EvidenceIncomplete, detail)
                }
                None => {
                    let detail = format!("its snapshot {id} is not among one's own");
                    of(id, ReasonCode::SnapshotMissing, detail)
                }
            });
        };
        let code = match state {
            SnapshotState::Completed => continue,
            SnapshotState::Pending => ReasonCode::Pending,
            SnapshotState::Error => ReasonCode::FailedBackup,
            _ => ReasonCode::UnknownState,
        };
        return Some(of(
            id,
            code,
            format!("its snapshot {id} is in state {state}"),
        ));
    }
    if image.created.is_none() {
        let detail = "EC2 gave it no creation date";
        return Some(Reason::with(ReasonCode::EvidenceIncomplete, detail));
    }
    None
}

/// Why an image may be a copy, whose creation date is not that of what it holds.
///
/// `CopyImage` can carry the tags over (`CopyImageTags`) and be given the same name in another
/// Region, but never the source instance: EC2 tells that of images made by `CreateImage` only
/// (`SourceInstanceId`, EC2 API Reference, Image). An adopted AMI has the name that its maker gave
/// it; the identifier in its tags is its own, and a copy's is not.
fn may_be_copy(image: &Image, artifact: &Artifact) -> Option<String> {
    let (Some(source), Some(slot)) = (&artifact.source, artifact.slot) else {
        return Some("its tags do not name source and slot; it may be a copy".into());
    };
    match &image.source_instance {
        None => {
            return Some("EC2 names no instance that it was made of; it may be a copy".into());
        }
        Some(made_of) if made_of.as_str() != source => {
            return Some(format!(
                "EC2 made it of {made_of}, its tags say {source}; it may be a copy"
            ));
        }
        Some(_) => {}
    }
    if let Some(adopted) = image.tags.get(artifact::ADOPTED) {
        return (adopted != image.id.as_str()).then(|| {
            format!(
                "its tag {} names {adopted}; it may be a copy",
                artifact::ADOPTED
            )
        });
    }
    let name = image.name.as_deref().unwrap_or("");
    if !is_image_name_of(name, &artifact.policy, source, slot) {
        return Some(format!(
            "its name {name:?} is not the one that its tags call for; it may be a copy"
        ));
    }
    None
}
