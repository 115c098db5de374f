//! The verdict on every snapshot and AMI, from policy and live evidence.
//!
//! What stands in Holdfast's table can condemn no backup here. It tells two things that policy and
//! live evidence must both bear out: since when a source is gone, and which snapshots one of
//! Holdfast's own deregistrations left behind.

mod holds;
mod image;
mod leftover;
mod orphan;
mod retention;
mod sets;
mod snapshot;
mod standing;
mod subject;

pub use holds::{Obstacles, PIN_RECORDED, recorded_pin};
pub use leftover::{Leftover, unmapped};
pub use orphan::{FormerImage, share_fate};
pub use snapshot::COPY_PLACEHOLDER;
pub use subject::Subject;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::artifact::Artifact;
use crate::id::ImageId;
use crate::inventory::Inventory;
use crate::policy::{Policy, PolicyFile};
use crate::report::{Action, Item, Outcome, Reason, ReasonCode};

use holds::{Pins, Read, holds};
use orphan::Orphans;
use retention::{Candidate, Gone, GroupKey};
use sets::Sets;
use standing::Standing;

/// What a sweep decides on.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The lists.
    pub inventory: &'a Inventory,
    /// What Holdfast's table says.
    pub on_record: &'a OnRecord,
    /// One's own account, where it is known.
    pub account: Option<&'a str>,
}

/// What Holdfast's table says that the judge looks at. It condemns nothing by itself.
#[derive(Clone, Debug, Default)]
pub struct OnRecord {
    /// Since when a source is recorded as gone, by identifier.
    pub gone_since: BTreeMap<String, Timestamp>,
    /// Backing snapshots that no image maps, by identifier.
    pub leftovers: BTreeMap<String, Leftover>,
    /// AMIs in the Recycle Bin that are recorded as backed by a snapshot, by the snapshot.
    pub binned: BTreeMap<String, BTreeSet<ImageId>>,
}

/// What is to become of an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A rule keeps it.
    Keep(Vec<Reason>),
    /// No rule keeps it, but it must not go.
    Hold(Vec<Reason>),
    /// It may go.
    Condemn(Vec<Reason>),
}

/// The verdict on one artifact.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What it is about.
    pub subject: Subject,
    /// The policy that governs it; the tagged name where none does.
    pub policy: String,
    /// What its tags say, where they could be read.
    pub artifact: Option<Artifact>,
    /// Whether it is a backup that counts: a completed snapshot, or an available image whose
    /// snapshots all are.
    pub good: bool,
    /// The AMI that it backed, for a snapshot that an earlier sweep left behind.
    pub former_image: Option<ImageId>,
    /// The AMI that it backed, for a snapshot whose AMI somebody else deregistered.
    pub orphan_of: Option<FormerImage>,
    /// Before when its deletion is not tried again, on the wall clock: EC2 has refused it.
    pub retry_at: Option<Timestamp>,
    /// What is to become of it.
    pub decision: Decision,
}

impl Verdict {
    /// A verdict on what is no good backup.
    fn new(subject: Subject, policy: &str, artifact: Option<Artifact>, decision: Decision) -> Self {
        Self {
            subject,
            policy: policy.to_owned(),
            artifact,
            good: false,
            former_image: None,
            orphan_of: None,
            retry_at: None,
            decision,
        }
    }

    /// Whether it may go.
    #[must_use]
    pub fn is_condemned(&self) -> bool {
        matches!(self.decision, Decision::Condemn(_))
    }

    /// Why.
    #[must_use]
    pub fn reasons(&self) -> &[Reason] {
        match &self.decision {
            Decision::Keep(reasons) | Decision::Hold(reasons) | Decision::Condemn(reasons) => {
                reasons
            }
        }
    }

    /// Adds a reason to hold what was condemned; what is kept or held stays so. That somebody
    /// deregistered its AMI is said all the same.
    pub fn hold(&mut self, reason: Reason) {
        match &mut self.decision {
            Decision::Condemn(reasons) => {
                let mut held = std::mem::take(reasons);
                held.retain(|r| self.orphan_of.is_some() && r.code == ReasonCode::Orphaned);
                held.push(reason);
                self.decision = Decision::Hold(held);
            }
            Decision::Hold(reasons) => reasons.push(reason),
            Decision::Keep(_) => {}
        }
    }

    /// What members of one multi-volume set have in common: run, slot and instance. Images are
    /// never members.
    #[must_use]
    pub fn set(&self) -> Option<(String, Timestamp, String)> {
        if matches!(self.subject, Subject::Image { .. }) {
            return None;
        }
        let artifact = self.artifact.as_ref()?;
        let source = artifact.source.as_ref().filter(|s| s.starts_with("i-"))?;
        Some((artifact.run.clone()?, artifact.slot?, source.clone()))
    }

    /// The verdict as a line of the report; a condemned one with the outcome given.
    #[must_use]
    pub fn item(&self, condemned: Outcome) -> Item {
        let outcome = match &self.decision {
            Decision::Keep(_) => Outcome::Kept,
            Decision::Hold(_) => Outcome::Held,
            Decision::Condemn(_) => condemned,
        };
        Item {
            action: Action::Delete,
            resource: self.subject.id().to_owned(),
            outcome,
            policy: Some(self.policy.clone()),
            source: self.subject.source().map(str::to_owned),
            time: self.subject.time(),
            slot: self.artifact.as_ref().and_then(|a| a.slot),
            reasons: self.reasons().to_vec(),
            advice: None,
        }
    }

    /// The verdict as a line of a plan that nobody carries out: what may go says what is looked at
    /// only just before.
    #[must_use]
    pub fn planned(&self) -> Item {
        let item = self.item(Outcome::Planned);
        if !self.is_condemned() {
            return item;
        }
        let detail = match self.subject {
            Subject::Image { .. } => "shares and image references are read just before deletion",
            Subject::Snapshot(_) => "shares are read just before deletion",
        };
        item.reason(Reason::with(ReasonCode::NotYetChecked, detail))
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

/// A verdict, and for a good backup what retention needs to go on.
struct Looked<'p> {
    verdict: Verdict,
    candidate: Option<(&'p Policy, GroupKey)>,
}

impl<'p> Looked<'p> {
    /// A good backup. Its decision waits for retention: condemned with no reason is no verdict.
    fn good(mut verdict: Verdict, policy: &'p Policy, group: GroupKey) -> Self {
        verdict.good = true;
        Self {
            verdict,
            candidate: Some((policy, group)),
        }
    }
}

impl From<Verdict> for Looked<'_> {
    fn from(verdict: Verdict) -> Self {
        Self {
            verdict,
            candidate: None,
        }
    }
}

/// A verdict on every managed snapshot and image, oldest first.
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
    let standing = Standing::new(evidence);
    let sets = Sets::new(policies, evidence);
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut looked: Vec<Looked<'_>> = Vec::new();
    for image in &evidence.inventory.images.items {
        if seen.insert(image.id.as_str()) {
            looked.extend(image::look(policies, evidence, &standing, image));
        }
    }
    for snapshot in &evidence.inventory.snapshots.items {
        if seen.insert(snapshot.id.as_str()) {
            let verdict = snapshot::look(policies, evidence, &standing, &sets, snapshot, now);
            looked.extend(verdict);
        }
    }

    let mut verdicts: Vec<Verdict> = Vec::with_capacity(looked.len());
    let mut candidates: Vec<Candidate<'_>> = Vec::new();
    for Looked { verdict, candidate } in looked {
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

    let gone = Gone::new(evidence, &verdicts);
    retention::apply(&mut verdicts, &candidates, &gone, now);
    retention::keep_sets(&mut verdicts);
    let leftovers = &evidence.on_record.leftovers;
    let orphans = Orphans::find(evidence, &verdicts, leftovers);
    let by_others = &orphans.by_others;
    let waiting = orphans.judge(policies, evidence, &mut verdicts, &candidates, &gone, now);
    leftover::judge(
        policies,
        &mut verdicts,
        &candidates,
        leftovers,
        by_others,
        &gone,
        now,
    );

    let pins = Pins::new(evidence);
    let read = Read::new(evidence, now);
    for verdict in &mut verdicts {
        if verdict.is_condemned() {
            for reason in holds(policies, evidence, &standing, &pins, &read, verdict, now) {
                verdict.hold(reason);
            }
        }
    }
    for (index, reason) in waiting {
        // The records may have named the same AMI.
        let told = |r: &Reason| (r.code, &r.path) == (reason.code, &reason.path);
        if !verdicts[index].reasons().iter().any(told) {
            verdicts[index].hold(reason);
        }
    }
    share_fate(&mut verdicts);
    orphans.keep_parts(&mut verdicts);
    verdicts.sort_by(|a, b| {
        let key = |v: &Verdict| (v.subject.time(), v.subject.id().to_owned());
        key(a).cmp(&key(b))
    });
    verdicts
}
