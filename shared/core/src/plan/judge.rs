//! The verdict on every snapshot, from policy and live evidence.
//!
//! Nothing that stands in Holdfast's table can condemn a backup here, but the time since which a
//! source is known to be gone, which the policy must ask for.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use crate::artifact::{self, Artifact, ArtifactKind};
use crate::dependency::References;
use crate::id::SnapshotId;
use crate::inventory::{
    Image, Instance, LaunchTemplateVersion, Listing, Snapshot, SnapshotState, Tags, Volume,
};
use crate::policy::{EvidenceSource, GroupBy, Policy, PolicyFile, PolicyState, Protect};
use crate::report::{Action, Item, Outcome, Reason, ReasonCode};
use crate::retention::{self, Backup};

/// EC2 gives this volume identifier to copies (`CopySnapshot`, EC2 API Reference).
const COPY_PLACEHOLDER: &str = "vol-ffffffff";

/// The lists that a sweep decides on.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// Managed snapshots.
    pub snapshots: &'a Listing<Snapshot>,
    /// One's own images, disabled and deprecated ones included.
    pub images: &'a Listing<Image>,
    /// Instances in any state.
    pub instances: &'a Listing<Instance>,
    /// Volumes in any state.
    pub volumes: &'a Listing<Volume>,
    /// Launch-template versions; `None` when no policy asked for them.
    pub templates: Option<&'a Listing<LaunchTemplateVersion>>,
    /// Since when a source is recorded as gone, by identifier.
    pub gone_since: &'a BTreeMap<String, Timestamp>,
    /// One's own account, where it is known.
    pub account: Option<&'a str>,
}

/// What is to become of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A rule keeps it.
    Keep(Vec<Reason>),
    /// No rule keeps it, but it must not go.
    Hold(Vec<Reason>),
    /// It may go.
    Condemn(Vec<Reason>),
}

/// The verdict on one snapshot.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The policy that governs it; the tagged name where none does.
    pub policy: String,
    /// What its tags say, where they could be read.
    pub artifact: Option<Artifact>,
    /// Whether it is a backup that counts: completed.
    pub good: bool,
    /// What is to become of it.
    pub decision: Decision,
}

impl Verdict {
    /// Whether it may go.
    #[must_use]
    pub fn is_condemned(&self) -> bool {
        matches!(self.decision, Decision::Condemn(_))
    }

    /// Adds a reason to hold what was condemned; what is kept or held stays so.
    pub fn hold(&mut self, reason: Reason) {
        match &mut self.decision {
            Decision::Condemn(_) => self.decision = Decision::Hold(vec![reason]),
            Decision::Hold(reasons) => reasons.push(reason),
            Decision::Keep(_) => {}
        }
    }

    /// The sources whose pin or absence matters: the volume and what the call named.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        let volume = self.snapshot.volume.as_ref().map(AsRef::as_ref);
        let named = self.artifact.as_ref().and_then(|a| a.source.as_deref());
        volume
            .into_iter()
            .chain(named.filter(|named| Some(*named) != volume))
    }

    /// What members of one multi-volume set have in common: run, slot and instance.
    #[must_use]
    pub fn set(&self) -> Option<(String, Timestamp, String)> {
        let artifact = self.artifact.as_ref()?;
        let source = artifact.source.as_ref().filter(|s| s.starts_with("i-"))?;
        Some((artifact.run.clone()?, artifact.slot?, source.clone()))
    }

    /// The verdict as a line of the report; a condemned one with the outcome given.
    #[must_use]
    pub fn item(&self, condemned: Outcome) -> Item {
        let (outcome, reasons) = match &self.decision {
            Decision::Keep(reasons) => (Outcome::Kept, reasons),
            Decision::Hold(reasons) => (Outcome::Held, reasons),
            Decision::Condemn(reasons) => (condemned, reasons),
        };
        Item {
            action: Action::Delete,
            resource: self.snapshot.id.to_string(),
            outcome,
            policy: Some(self.policy.clone()),
            source: self.snapshot.volume.as_ref().map(ToString::to_string),
            time: self.snapshot.start,
            slot: self.artifact.as_ref().and_then(|a| a.slot),
            reasons: reasons.clone(),
        }
    }
}

/// The policy that governs backups tagged with `name`.
#[must_use]
pub fn governing<'p>(policies: &'p PolicyFile, name: &str) -> Option<&'p Policy> {
    let by_name = policies.policies.iter().find(|p| p.name == name);
    by_name.or_else(|| {
        policies
            .policies
            .iter()
            .find(|p| p.formerly.iter().any(|f| f == name))
    })
}

/// A verdict on every managed snapshot, oldest first.
///
/// `only` restricts the verdicts to one policy. Backing snapshots of images that still stand are
/// left out: they take their image's verdict.
#[must_use]
pub fn judge(
    policies: &PolicyFile,
    evidence: &Evidence<'_>,
    now: Timestamp,
    only: Option<&str>,
) -> Vec<Verdict> {
    let templates = evidence.templates.map_or(&[][..], |list| &list.items);
    let references = References::new(&evidence.images.items, &evidence.instances.items, templates);

    let mut verdicts: Vec<Verdict> = Vec::with_capacity(evidence.snapshots.items.len());
    let mut candidates: Vec<Candidate<'_>> = Vec::new();
    let mut seen: BTreeSet<&SnapshotId> = BTreeSet::new();
    for snapshot in &evidence.snapshots.items {
        if !seen.insert(&snapshot.id) {
            continue;
        }
        let (verdict, candidate) = first_look(policies, evidence, &references, snapshot);
        let Some(verdict) = verdict else { continue };
        if only.is_some_and(|name| name != verdict.policy) {
            continue;
        }
        if let Some((policy, group)) = candidate {
            candidates.push(Candidate {
                index: verdicts.len(),
                policy,
                group,
            });
        }
        verdicts.push(verdict);
    }

    apply_retention(&mut verdicts, &candidates, evidence, now);
    keep_sets(&mut verdicts);

    let pins = Pins::new(evidence);
    for verdict in &mut verdicts {
        if verdict.is_condemned() {
            for reason in holds(policies, evidence, &references, &pins, verdict) {
                verdict.hold(reason);
            }
        }
    }
    verdicts.sort_by(|a, b| {
        (a.snapshot.start, &a.snapshot.id).cmp(&(b.snapshot.start, &b.snapshot.id))
    });
    verdicts
}

/// A good backup of a policy, up for retention.
struct Candidate<'p> {
    index: usize,
    policy: &'p Policy,
    group: GroupKey,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum GroupKey {
    Policy,
    Source(String),
    Value(String),
}

/// Decides all that needs no comparison with other backups. `None` for what is no item.
fn first_look<'p>(
    policies: &'p PolicyFile,
    evidence: &Evidence<'_>,
    references: &References<'_>,
    snapshot: &Snapshot,
) -> (Option<Verdict>, Option<(&'p Policy, GroupKey)>) {
    let verdict = |policy: &str, artifact: Option<Artifact>, good, decision| Verdict {
        snapshot: snapshot.clone(),
        policy: policy.to_owned(),
        artifact,
        good,
        decision,
    };
    let tagged = snapshot
        .tags
        .get(artifact::POLICY)
        .map_or("", String::as_str);
    let artifact = match Artifact::read(&snapshot.tags, snapshot.owner.as_deref(), evidence.account)
    {
        Ok(artifact) => artifact,
        Err(reason) => {
            return (
                Some(verdict(tagged, None, false, Decision::Hold(vec![reason]))),
                None,
            );
        }
    };
    if snapshot.owner_alias.as_deref() == Some("aws-backup-vault") {
        let reason = Reason::with(ReasonCode::ManagedByOther, "it lies in an AWS Backup vault");
        return (
            Some(verdict(
                tagged,
                Some(artifact),
                false,
                Decision::Hold(vec![reason]),
            )),
            None,
        );
    }
    let policy = governing(policies, &artifact.policy);
    let name = policy.map_or(tagged, |p| p.name.as_str()).to_owned();
    let held = |artifact, reason| {
        (
            Some(verdict(
                &name,
                Some(artifact),
                false,
                Decision::Hold(vec![reason]),
            )),
            None,
        )
    };
    match artifact.kind {
        ArtifactKind::Snapshot => {}
        ArtifactKind::ImageSnapshot => {
            if !references.images_of(&snapshot.id).is_empty() || !evidence.images.is_complete() {
                return (None, None);
            }
            let reason = Reason::with(
                ReasonCode::Orphaned,
                "it backed an AMI that somebody deregistered; it is kept",
            );
            return held(artifact, reason);
        }
        ArtifactKind::Image => {
            let reason = Reason::with(
                ReasonCode::NotManaged,
                "a snapshot whose tag says it is an image",
            );
            return held(artifact, reason);
        }
    }
    let Some(policy) = policy else {
        let reason = Reason::with(
            ReasonCode::PolicyUnknown,
            format!("no policy named or formerly named {tagged:?} is in the policy file"),
        );
        return held(artifact, reason);
    };
    if policy.protect != Protect::Volumes {
        let reason = Reason::with(
            ReasonCode::PolicyChanged,
            format!("{name} now protects instances; this snapshot is from before"),
        );
        return held(artifact, reason);
    }
    match &snapshot.state {
        SnapshotState::Completed => {}
        SnapshotState::Pending => {
            return held(artifact, Reason::of(ReasonCode::Pending));
        }
        SnapshotState::Error => {
            let reason = Reason::with(ReasonCode::FailedBackup, "EC2 could not complete it");
            let decision = Decision::Condemn(vec![reason]);
            return (Some(verdict(&name, Some(artifact), false, decision)), None);
        }
        other => {
            let reason = Reason::with(ReasonCode::UnknownState, format!("its state is {other}"));
            return held(artifact, reason);
        }
    }
    if snapshot.start.is_none() {
        let reason = Reason::with(ReasonCode::EvidenceIncomplete, "EC2 gave it no start time");
        return held(artifact, reason);
    }
    let Some(group) = group_of(policy, snapshot, &artifact) else {
        let reason = Reason::with(
            ReasonCode::EvidenceIncomplete,
            "EC2 does not tell which volume it is of; it may be a copy",
        );
        return held(artifact, reason);
    };
    // A placeholder until retention has spoken: condemned with no reason is not a verdict.
    let decision = Decision::Condemn(Vec::new());
    (
        Some(verdict(&name, Some(artifact), true, decision)),
        Some((policy, group)),
    )
}

fn group_of(policy: &Policy, snapshot: &Snapshot, artifact: &Artifact) -> Option<GroupKey> {
    let volume = snapshot.volume.as_ref().map(AsRef::as_ref);
    // A copy holds another point in time than its own: in no group may it crowd out the originals.
    let volume = volume.filter(|id| *id != COPY_PLACEHOLDER)?;
    let source = || Some(GroupKey::Source(volume.to_owned()));
    match &policy.group {
        GroupBy::Source => source(),
        GroupBy::Policy => Some(GroupKey::Policy),
        // A source without the tag is a group of its own: smaller groups keep more.
        GroupBy::Tag(_) => match &artifact.group {
            Some(value) => Some(GroupKey::Value(value.clone())),
            None => source(),
        },
    }
}

fn apply_retention(
    verdicts: &mut [Verdict],
    candidates: &[Candidate<'_>],
    evidence: &Evidence<'_>,
    now: Timestamp,
) {
    let mut groups: BTreeMap<(&str, &GroupKey), Vec<&Candidate<'_>>> = BTreeMap::new();
    for candidate in candidates {
        let key = (candidate.policy.name.as_str(), &candidate.group);
        groups.entry(key).or_default().push(candidate);
    }
    for ((_, group), members) in groups {
        let Some(policy) = members.first().map(|m| m.policy) else {
            continue;
        };
        if let Some(since) = gone_long_enough(policy, group, evidence.gone_since, now) {
            for member in members {
                verdicts[member.index].decision = Decision::Condemn(vec![Reason::with(
                    ReasonCode::SourceGone,
                    format!("its source is gone since {since}"),
                )]);
            }
            continue;
        }
        let backups: Vec<Backup> = members
            .iter()
            .filter_map(|m| {
                let snapshot = &verdicts[m.index].snapshot;
                Some(Backup {
                    id: snapshot.id.to_string(),
                    time: snapshot.start?,
                })
            })
            .collect();
        let kept = retention::keep(
            &policy.retain,
            policy.min_copies,
            &policy.timezone,
            now,
            &backups,
        );
        for (member, reasons) in members.iter().zip(kept) {
            verdicts[member.index].decision = if reasons.is_empty() {
                Decision::Condemn(vec![Reason::with(
                    ReasonCode::Expired,
                    format!("no rule of {} keeps it", policy.name),
                )])
            } else {
                Decision::Keep(reasons)
            };
        }
    }
}

fn gone_long_enough(
    policy: &Policy,
    group: &GroupKey,
    gone_since: &BTreeMap<String, Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    let GroupKey::Source(source) = group else {
        return None;
    };
    let since = *gone_since.get(source)?;
    let wait = policy.source_gone_delete_after?;
    (wait.after(since, &policy.timezone) <= now).then_some(since)
}

/// A kept member of a multi-volume set keeps the whole set.
fn keep_sets(verdicts: &mut [Verdict]) {
    let key = |verdict: &Verdict| Some((verdict.policy.clone(), verdict.set()?));
    let mut keeper: HashMap<_, SnapshotId> = HashMap::new();
    for verdict in verdicts.iter() {
        if let (Decision::Keep(_), Some(key)) = (&verdict.decision, key(verdict)) {
            keeper
                .entry(key)
                .or_insert_with(|| verdict.snapshot.id.clone());
        }
    }
    for verdict in verdicts.iter_mut() {
        if verdict.good
            && verdict.is_condemned()
            && let Some(member) = key(verdict).and_then(|key| keeper.get(&key))
        {
            verdict.decision = Decision::Keep(vec![Reason {
                code: ReasonCode::RetainSet,
                detail: Some(format!("{member} of the same set is kept")),
                path: vec![verdict.snapshot.id.to_string(), member.to_string()],
            }]);
        }
    }
}

/// Resources that carry `holdfast:pin` now.
struct Pins<'a>(BTreeSet<&'a str>);

impl<'a> Pins<'a> {
    fn new(evidence: &Evidence<'a>) -> Self {
        let pinned = |tags: &Tags| tags.contains_key(artifact::PIN);
        let volumes = evidence.volumes.items.iter().filter(|v| pinned(&v.tags));
        let instances = evidence.instances.items.iter().filter(|i| pinned(&i.tags));
        let volumes = volumes.map(|v| v.id.as_str());
        Self(volumes.chain(instances.map(|i| i.id.as_str())).collect())
    }
}

/// Everything that stands in the way of a deletion, from live evidence.
fn holds(
    policies: &PolicyFile,
    evidence: &Evidence<'_>,
    references: &References<'_>,
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
    let snapshot = &verdict.snapshot;
    if snapshot.tags.contains_key(artifact::PIN) {
        let detail = format!("it carries {}", artifact::PIN);
        holds.push(Reason::with(ReasonCode::Pinned, detail));
    }
    for source in verdict.sources().filter(|source| pins.0.contains(source)) {
        holds.push(Reason {
            code: ReasonCode::Pinned,
            detail: Some(format!("its source {source} carries {}", artifact::PIN)),
            path: vec![snapshot.id.to_string(), source.to_owned()],
        });
    }
    holds.extend(references.holders_of_snapshot(&snapshot.id));

    let mut missing = |source: &str, error: Option<String>| {
        let error = error.unwrap_or_else(|| "was not read".into());
        holds.push(Reason::with(
            ReasonCode::EvidenceIncomplete,
            format!("{source}: {error}"),
        ));
    };
    fn error<T>(list: &Listing<T>) -> Option<Option<String>> {
        list.error.as_ref().map(|e| Some(e.to_string()))
    }
    for (source, error) in [
        (evidence.snapshots.source, error(evidence.snapshots)),
        (evidence.images.source, error(evidence.images)),
        (evidence.instances.source, error(evidence.instances)),
        (evidence.volumes.source, error(evidence.volumes)),
    ] {
        if let Some(error) = error {
            missing(source.as_str(), error);
        }
    }
    let unused = policy.is_some_and(|p| {
        p.evidence_not_used
            .contains(&EvidenceSource::LaunchTemplates)
    });
    if !unused {
        match evidence.templates.map(error) {
            None => missing("launch_templates", None),
            Some(Some(error)) => missing("launch_templates", error),
            Some(None) => {}
        }
    }
    holds
}
