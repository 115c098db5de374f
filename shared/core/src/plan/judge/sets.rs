//! Multi-volume sets of which a member failed, and that another run made again.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::artifact::{Artifact, ArtifactKind, Claim, SLOT};
use crate::inventory::{Snapshot, SnapshotState};
use crate::policy::PolicyFile;
use crate::report::{Reason, ReasonCode};

use super::snapshot::{COPY_PLACEHOLDER, IN_VAULT};
use super::{Evidence, governing};

/// One call's snapshots: governing policy, slot, source, run.
type Run = (String, Timestamp, String, String);

/// What is listed of a run.
#[derive(Debug, Default)]
struct Made {
    failed: BTreeSet<String>,
    /// Whether all that is listed has completed.
    whole: bool,
    /// Completed snapshots by their volume.
    completed: BTreeMap<String, String>,
}

/// The runs of those slots in which a set has a failed member.
#[derive(Debug, Default)]
pub(super) struct Sets {
    runs: BTreeMap<Run, Made>,
}

impl Sets {
    pub(super) fn new(policies: &PolicyFile, evidence: &Evidence<'_, '_>) -> Self {
        let list = &evidence.inventory.snapshots.items;
        let slot = |row: usize| list.tag(row, SLOT)?.parse::<Timestamp>().ok();
        let failed = list.in_state(&SnapshotState::Error);
        let slots: BTreeSet<Timestamp> = failed.filter_map(slot).collect();
        let mut runs: BTreeMap<Run, Made> = BTreeMap::new();
        if slots.is_empty() {
            return Self { runs };
        }
        let in_question = |row: &usize| slot(*row).is_some_and(|slot| slots.contains(&slot));
        for snapshot in (0..list.len())
            .filter(in_question)
            .filter_map(|row| list.get(row))
        {
            let owner = snapshot.owner.as_deref();
            let Ok(artifact) = Artifact::read(&snapshot.tags, owner, evidence.account) else {
                continue;
            };
            let Some(run) = run_of(policies, &artifact) else {
                continue;
            };
            let made = runs.entry(run).or_insert_with(|| Made {
                whole: true,
                ..Made::default()
            });
            made.whole &= snapshot.state == SnapshotState::Completed;
            if snapshot.state == SnapshotState::Error {
                made.failed.insert(snapshot.id.to_string());
            }
            if let Some(volume) = good_volume(&snapshot) {
                made.completed
                    .insert(volume.to_owned(), snapshot.id.to_string());
            }
        }
        Self { runs }
    }

    /// Why a completed snapshot is no good backup: its set has a failed member, and another run
    /// made the same volume's backup of the same slot in a set that is whole.
    pub(super) fn replaced(
        &self,
        policies: &PolicyFile,
        snapshot: &Snapshot,
        claim: &Claim<'_>,
    ) -> Option<Reason> {
        if self.runs.is_empty() {
            return None;
        }
        let run = run_of(policies, &claim.artifact())?;
        let made = self.runs.get(&run)?;
        let (policy, slot, source, name) = &run;
        if made.failed.is_empty() || !source.starts_with("i-") {
            return None;
        }
        let volume = good_volume(snapshot)?;
        // The runs of one slot lie side by side.
        let from = (policy.clone(), *slot, String::new(), String::new());
        let others = self.runs.range(from..);
        let mut others = others.take_while(|(other, _)| (&other.0, &other.1) == (policy, slot));
        let (other, again) = others.find_map(|(other, made)| {
            let again = made.completed.get(volume).filter(|_| made.whole)?;
            (*other != run).then_some((other, again))
        })?;
        let failed: Vec<&str> = made.failed.iter().map(String::as_str).collect();
        let rest: Vec<&str> = made.completed.values().map(String::as_str).collect();
        let detail = format!(
            "run {name} of {source} for {slot} failed in {}; of it {} are complete; run {} made \
             {volume} again in a whole set, {again}",
            failed.join(", "),
            rest.join(", "),
            other.3
        );
        Some(Reason {
            code: ReasonCode::FailedBackup,
            detail: Some(detail),
            path: vec![snapshot.id.to_string(), again.clone()],
        })
    }
}

fn run_of(policies: &PolicyFile, artifact: &Artifact) -> Option<Run> {
    if artifact.kind != ArtifactKind::Snapshot {
        return None;
    }
    let policy = governing(policies, &artifact.policy)?;
    let (source, run) = (artifact.source.clone()?, artifact.run.clone()?);
    Some((policy.name.clone(), artifact.slot?, source, run))
}

/// The volume of a snapshot that is a good backup of it.
fn good_volume(snapshot: &Snapshot) -> Option<&str> {
    let good = snapshot.state == SnapshotState::Completed
        && snapshot.start.is_some()
        && snapshot.owner_alias.as_deref() != Some(IN_VAULT);
    let volume = snapshot.volume.as_ref().filter(|_| good)?.as_str();
    (volume != COPY_PLACEHOLDER).then_some(volume)
}
