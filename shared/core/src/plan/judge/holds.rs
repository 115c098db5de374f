//! What stands in the way of a deletion, from live evidence.

use std::collections::BTreeSet;

use crate::artifact::{self, Artifact, ArtifactKind};
use crate::dependency::unresolved;
use crate::inventory::{Image, Listing, Snapshot, Tags};
use crate::policy::{EvidenceSource, Policy, PolicyFile, PolicyState};
use crate::report::{Reason, ReasonCode};

use super::{Evidence, Standing, Subject, Verdict, governing};

/// Resources that carry `holdfast:pin` now.
pub(super) struct Pins<'a>(BTreeSet<&'a str>);

impl<'a> Pins<'a> {
    pub(super) fn new(evidence: &Evidence<'a>) -> Self {
        let volumes = evidence
            .inventory
            .volumes
            .items
            .iter()
            .filter(|v| pinned(&v.tags));
        let instances = evidence
            .inventory
            .instances
            .items
            .iter()
            .filter(|i| pinned(&i.tags));
        let volumes = volumes.map(|v| v.id.as_str());
        Self(volumes.chain(instances.map(|i| i.id.as_str())).collect())
    }
}

fn pinned(tags: &Tags) -> bool {
    tags.contains_key(artifact::PIN)
}

/// Everything that stands in the way of a deletion; empty when nothing does.
pub(super) fn holds(
    policies: &PolicyFile,
    evidence: &Evidence<'_>,
    standing: &Standing<'_>,
    pins: &Pins<'_>,
    verdict: &Verdict,
) -> Vec<Reason> {
    let mut holds = Vec::new();
    let policy = policies.policies.iter().find(|p| p.name == verdict.policy);
    if policy.is_some_and(|p| p.state == PolicyState::Paused) {
        holds.push(Reason::with(
            ReasonCode::PolicyPaused,
            "a paused policy retires nothing",
        ));
    }
    let subject = &verdict.subject;
    if pinned(subject.tags()) {
        let detail = format!("it carries {}", artifact::PIN);
        holds.push(Reason::with(ReasonCode::Pinned, detail));
    }
    for source in subject.sources() {
        if pins.0.contains(source) {
            holds.push(Reason {
                code: ReasonCode::Pinned,
                detail: Some(format!("its source {source} carries {}", artifact::PIN)),
                path: vec![subject.id().to_owned(), source.to_owned()],
            });
        }
    }
    holds.extend(standing.holders(subject));
    if let Subject::Image { image, snapshots } = subject {
        if image.deregistration_protected {
            holds.push(Reason::with(
                ReasonCode::DeregistrationProtected,
                "it is protected from deregistration; disable the protection to let it go",
            ));
        }
        if !unused(policy) {
            let versions = evidence
                .inventory
                .templates
                .as_ref()
                .map_or(&[][..], |list| &list.items);
            holds.extend(unresolved(versions, &image.id));
        }
        for snapshot in snapshots {
            holds.extend(own_backing(policies, evidence, verdict, image, snapshot));
        }
        if let Some(error) = &evidence.inventory.mapped.error
            && image.snapshots().any(|id| standing.snapshot(id).is_none())
        {
            let detail = format!("not all of its snapshots were read: {error}");
            holds.push(Reason::with(ReasonCode::EvidenceIncomplete, detail));
        }
    }
    holds.extend(unread(evidence, policy));
    holds
}

/// Why a snapshot that would go with its AMI must not.
fn own_backing(
    policies: &PolicyFile,
    evidence: &Evidence<'_>,
    verdict: &Verdict,
    image: &Image,
    snapshot: &Snapshot,
) -> Vec<Reason> {
    let id = &snapshot.id;
    let of = |code, detail: String| Reason {
        code,
        detail: Some(format!("its snapshot {id}: {detail}")),
        path: vec![image.id.to_string(), id.to_string()],
    };
    let mut holds = Vec::new();
    if pinned(&snapshot.tags) {
        let detail = format!("it carries {}", artifact::PIN);
        holds.push(of(ReasonCode::Pinned, detail));
    }
    if snapshot.owner_alias.as_deref() == Some("aws-backup-vault") {
        let detail = "it lies in an AWS Backup vault".to_owned();
        holds.push(of(ReasonCode::ManagedByOther, detail));
    }
    match Artifact::read(&snapshot.tags, snapshot.owner.as_deref(), evidence.account) {
        Err(reason) => holds.push(of(reason.code, reason.detail.unwrap_or_default())),
        Ok(backing) if backing.kind != ArtifactKind::ImageSnapshot => {
            let detail = "it is a backup of its own".to_owned();
            holds.push(of(ReasonCode::NotManaged, detail));
        }
        Ok(backing) => {
            let name = governing(policies, &backing.policy).map_or("", |p| p.name.as_str());
            let source = verdict.artifact.as_ref().and_then(|a| a.source.as_ref());
            // It may be all that is left of an AMI that somebody else deregistered.
            if name != verdict.policy || backing.source.as_ref() != source {
                let detail = "its tags are those of another AMI's".to_owned();
                holds.push(of(ReasonCode::NotManaged, detail));
            }
        }
    }
    holds
}

/// Whether the policy declares that this account uses no launch templates.
fn unused(policy: Option<&Policy>) -> bool {
    policy.is_some_and(|p| {
        p.evidence_not_used
            .contains(&EvidenceSource::LaunchTemplates)
    })
}

/// A reason for each list that could protect something and was not read to its end.
fn unread(evidence: &Evidence<'_>, policy: Option<&Policy>) -> Vec<Reason> {
    fn error<T>(list: &Listing<T>) -> Option<String> {
        list.error.as_ref().map(ToString::to_string)
    }
    let mut missing: Vec<(&str, String)> = [
        (
            evidence.inventory.snapshots.source,
            error(&evidence.inventory.snapshots),
        ),
        (
            evidence.inventory.images.source,
            error(&evidence.inventory.images),
        ),
        (
            evidence.inventory.instances.source,
            error(&evidence.inventory.instances),
        ),
        (
            evidence.inventory.volumes.source,
            error(&evidence.inventory.volumes),
        ),
    ]
    .into_iter()
    .filter_map(|(source, error)| Some((source.as_str(), error?)))
    .collect();
    if !unused(policy) {
        let error = match &evidence.inventory.templates {
            None => Some("was not read".into()),
            Some(list) => error(list),
        };
        missing.extend(error.map(|error| ("launch_templates", error)));
    }
    let missing = missing.into_iter();
    missing
        .map(|(source, error)| {
            Reason::with(ReasonCode::EvidenceIncomplete, format!("{source}: {error}"))
        })
        .collect()
}
