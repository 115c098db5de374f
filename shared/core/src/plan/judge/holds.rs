//! What stands in the way of a deletion, from live evidence.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::artifact::{self, Artifact, ArtifactKind};
use crate::dependency::{Moment, Words, unread};
use crate::inventory::{Image, Reading, Snapshot, Tags};
use crate::policy::{PolicyFile, PolicyState};
use crate::report::{Reason, ReasonCode};

use super::{Evidence, Standing, Subject, Verdict, governing};

/// What the reason for a recorded pin says of the source.
pub const PIN_RECORDED: &str = "was pinned when last seen";

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

/// What stands in the way of a deletion whatever a rule says: for those who ask about a backup that a
/// rule keeps, or that is held for something else, and want to know all that would have to change.
pub struct Obstacles<'a> {
    policies: &'a PolicyFile,
    evidence: Evidence<'a, 'a>,
    /// Sources recorded as pinned.
    pinned: &'a BTreeSet<String>,
    standing: Standing<'a, 'a>,
    pins: Pins<'a>,
    read: Read,
    now: Timestamp,
}

impl<'a> Obstacles<'a> {
    /// Looks things up in the evidence that the verdicts rest on, at the same `now`; `pinned` are the
    /// sources that are recorded as pinned.
    #[must_use]
    pub fn new(
        policies: &'a PolicyFile,
        evidence: Evidence<'a, 'a>,
        pinned: &'a BTreeSet<String>,
        now: Timestamp,
    ) -> Self {
        Self {
            policies,
            evidence,
            pinned,
            standing: Standing::new(&evidence),
            pins: Pins::new(&evidence),
            read: Read::new(&evidence, now),
            now,
        }
    }

    /// All of them, empty where there are none. A verdict that holds has those among its reasons
    /// that the judge came to.
    #[must_use]
    pub fn of(&self, verdict: &Verdict) -> Vec<Reason> {
        let mut all = holds(
            self.policies,
            &self.evidence,
            &self.standing,
            &self.pins,
            &self.read,
            verdict,
            self.now,
        );
        let subject = &verdict.subject;
        all.extend(recorded_pin(subject.id(), subject.sources(), self.pinned));
        all
    }
}

/// The hold of a pin that is recorded of one of these sources of `subject`, also after that source is
/// gone.
#[must_use]
pub fn recorded_pin<'s>(
    subject: &str,
    sources: impl IntoIterator<Item = &'s str>,
    pinned: &BTreeSet<String>,
) -> Option<Reason> {
    let source = sources.into_iter().find(|id| pinned.contains(*id))?;
    Some(Reason {
        code: ReasonCode::Pinned,
        detail: Some(format!("its source {source} {PIN_RECORDED}")),
        path: vec![subject.to_owned(), source.to_owned()],
    })
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
