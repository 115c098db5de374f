//! What stands in the way of a deletion, from live evidence.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::artifact::{self, Artifact, ArtifactKind};
use crate::dependency::{Moment, Words, unread};
use crate::inventory::{Image, Reading, Snapshot, Tags};
use crate::policy::{PolicyFile, PolicyState};
use crate::report::{Reason, ReasonCode};

use super::{Evidence, Standing, Subject, Verdict, governing};

/// Resources that carry `holdfast:pin` now.
pub(super) struct Pins<'a>(BTreeSet<&'a str>);

impl<'a> Pins<'a> {
    pub(super) fn new(evidence: &Evidence<'a, '_>) -> Self {
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

/// How the lists were read.
pub(super) struct Read {
    readings: Vec<Reading>,
    /// When the last of them was begun: the wall clock, as far as a plan knows it.
    newest: Timestamp,
}

impl Read {
    pub(super) fn new(evidence: &Evidence<'_, '_>, now: Timestamp) -> Self {
        let readings = evidence.inventory.readings();
        let newest = readings.iter().map(|reading| reading.read_at).max();
        Self {
            readings,
            newest: newest.unwrap_or(now),
        }
    }
}

fn pinned(tags: &Tags) -> bool {
    tags.contains_key(artifact::PIN)
}

/// Everything that stands in the way of a deletion; empty when nothing does.
pub(super) fn holds(
    policies: &PolicyFile,
    evidence: &Evidence<'_, '_>,
    standing: &Standing<'_, '_>,
    pins: &Pins<'_>,
    read: &Read,
    verdict: &Verdict,
    now: Timestamp,
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
    holds.extend(standing.holders(subject, &Words::of(policy, now)));
    if let Subject::Image { image, snapshots } = subject {
        if image.deregistration_protected {
            holds.push(Reason::with(
                ReasonCode::DeregistrationProtected,
                "it is protected from deregistration; disable the protection to let it go",
            ));
        }
        for snapshot in snapshots {
            holds.extend(own_backing(policies, evidence, verdict, image, snapshot));
        }
    }
    let wall = read.newest;
    holds.extend(unread(
        policy,
        subject,
        &read.readings,
        wall,
        Moment::Planning,
    ));
    holds
}

/// Why a snapshot that would go with its AMI must not.
fn own_backing(
    policies: &PolicyFile,
    evidence: &Evidence<'_, '_>,
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
