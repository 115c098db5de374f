//! The verdict on every snapshot and AMI, from policy and live evidence.
//!
//! What stands in Holdfast's table can condemn no backup here. It tells two things that policy and
//! live evidence must both bear out: since when a source is gone, and which snapshots one of
//! Holdfast's own deregistrations left behind.

mod duplicate;
mod holds;
mod image;
mod judged;
mod leftover;
mod listed;
mod orphan;
mod retention;
mod sets;
mod snapshot;
mod standing;
mod subject;
mod verdicts;

pub use holds::{Obstacles, PIN_RECORDED, recorded_pin};
pub use judged::{Judged, SetKey};
pub use leftover::{Leftover, without_own_image};
pub use orphan::{FormerImage, share_fate};
pub use snapshot::COPY_PLACEHOLDER;
pub use subject::Subject;
pub use verdicts::Verdicts;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::artifact::Artifact;
use crate::id::ImageId;
use crate::inventory::Inventory;
use crate::inventory::table::blank;
use crate::policy::{Policy, PolicyFile};
use crate::report::{Action, Item, Outcome, Reason, ReasonCode};

use holds::{Pins, Read, holds};
use judged::set_of;
use orphan::Orphans;
use retention::{Gone, GroupKey, Groups};
use sets::Sets;
use standing::Standing;
use verdicts::{First, Row};

/// What a sweep decides on.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a, 'r> {
    /// The lists.
    pub inventory: &'a Inventory,
    /// What Holdfast's table says.
    pub on_record: &'r OnRecord,
    /// One's own account, where it is known.
    pub account: Option<&'r str>,
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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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

impl Decision {
    /// The outcome that the report gives it; a condemned one has the outcome given.
    #[must_use]
    pub fn outcome(&self, condemned: Outcome) -> Outcome {
        match self {
            Self::Keep(_) => Outcome::Kept,
            Self::Hold(_) => Outcome::Held,
            Self::Condemn(_) => condemned,
        }
    }
}

impl Verdict {
    /// Whether it may go.
    #[must_use]
    pub fn is_condemned(&self) -> bool {
        matches!(self.decision, Decision::Condemn(_))
    }

    /// Why.
    #[must_use]
    pub fn reasons(&self) -> &[Reason] {
        self.decision.reasons()
    }

    /// Adds a reason to hold what was condemned; what is kept or held stays so. That somebody
    /// deregistered its AMI is said all the same.
    pub fn hold(&mut self, reason: Reason) {
        self.decision.hold(reason, self.orphan_of.is_some());
    }

    /// What members of one multi-volume set have in common: run, slot and instance. Images are
    /// never members.
    #[must_use]
    pub fn set(&self) -> Option<SetKey> {
        if matches!(self.subject, Subject::Image { .. }) {
            return None;
        }
        set_of(self.artifact.as_ref()?)
    }

    /// The verdict as a line of the report; a condemned one with the outcome given.
    #[must_use]
    pub fn item(&self, condemned: Outcome) -> Item {
        Item {
            action: Action::Delete,
            resource: self.subject.id().to_owned(),
            outcome: self.decision.outcome(condemned),
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

/// What is said first of an artifact, and for a good backup what retention needs to go on.
struct Looked<'p, 's> {
    /// The policy that governs it; the tagged name where none does.
    policy: &'s str,
    decision: Decision,
    candidate: Option<(&'p Policy, GroupKey)>,
}

impl<'p, 's> Looked<'p, 's> {
    fn new(policy: &'s str, decision: Decision) -> Self {
        Self {
            policy,
            decision,
            candidate: None,
        }
    }

    fn held(policy: &'s str, reason: Reason) -> Self {
        Self::new(policy, Decision::Hold(vec![reason]))
    }

    fn condemned(policy: &'s str, reason: Reason) -> Self {
        Self::new(policy, Decision::Condemn(vec![reason]))
    }

    /// A good backup. Its decision waits for retention: condemned with no reason is no verdict.
    fn good(policy: &'p Policy, group: GroupKey) -> Self
    where
        'p: 's,
    {
        Self {
            policy: &policy.name,
            decision: Decision::Condemn(Vec::new()),
            candidate: Some((policy, group)),
        }
    }
}

/// A verdict on every managed snapshot and image, whole, oldest first: what [`Verdicts::judge`]
/// comes to.
#[must_use]
pub fn judge(
    policies: &PolicyFile,
    evidence: &Evidence<'_, '_>,
    now: Timestamp,
    only: Option<&str>,
) -> Vec<Verdict> {
    Verdicts::judge(policies, evidence, now, only)
        .iter()
        .collect()
}

impl<'a> Verdicts<'a> {
    /// A verdict on every managed snapshot and image, oldest first.
    ///
    /// `only` restricts the verdicts to one policy. Backing snapshots of images that still stand are
    /// left out: they take their image's verdict.
    #[must_use]
    pub fn judge<'r>(
        policies: &PolicyFile,
        evidence: &Evidence<'a, 'r>,
        now: Timestamp,
        only: Option<&str>,
    ) -> Self
    where
        'a: 'r,
    {
        let standing = Standing::new(evidence);
        let (mut verdicts, mut groups) = first_looks(policies, evidence, &standing, now, only);
        let gone = Gone::new(evidence, &verdicts);
        let duplicates = duplicate::set_aside(&verdicts, &mut groups, now);
        retention::apply(&mut verdicts, &groups, &gone, now);
        retention::keep_sets(&mut verdicts);
        duplicate::condemn(&mut verdicts, duplicates);
        let leftovers = &evidence.on_record.leftovers;
        let mut orphans = Orphans::find(evidence, &standing, &verdicts, leftovers);
        let waiting = orphans.judge(policies, evidence, &mut verdicts, &groups, &gone, now);
        let by_others = &orphans.by_others;
        leftover::judge(
            policies,
            &mut verdicts,
            &groups,
            leftovers,
            by_others,
            &gone,
            now,
        );

        let pins = Pins::new(evidence);
        let read = Read::new(evidence, now);
        for place in verdicts.condemned() {
            let Some(mut verdict) = verdicts.get(place) else {
                continue;
            };
            for reason in holds(policies, evidence, &standing, &pins, &read, &verdict, now) {
                verdict.hold(reason);
            }
            verdicts.decide(place, verdict.decision);
        }
        for (place, reason) in waiting {
            // The records may have named the same AMI.
            let told = |r: &Reason| (r.code, &r.path) == (reason.code, &reason.path);
            if !verdicts.decision(place).reasons().iter().any(told) {
                verdicts.hold(place, reason);
            }
        }
        share_fate(&mut verdicts);
        orphans.keep_parts(&mut verdicts);
        verdicts
    }
}

/// All that is decided without a comparison with other backups, and the groups of good ones.
fn first_looks<'a: 'r, 'r, 'p>(
    policies: &'p PolicyFile,
    evidence: &Evidence<'a, 'r>,
    standing: &Standing<'a, 'r>,
    now: Timestamp,
    only: Option<&str>,
) -> (Verdicts<'a>, Groups<'p>) {
    let sets = Sets::new(policies, evidence);
    let mut verdicts = Verdicts::new(standing.listed.clone());
    let mut groups = Groups::default();
    // For each verdict the group that it is a good backup of.
    let mut group_of: Vec<Option<u32>> = Vec::new();
    let mut add = |row, looked: Looked<'p, '_>| {
        if only.is_some_and(|name| name != looked.policy) {
            return;
        }
        let group = looked
            .candidate
            .map(|(policy, key)| groups.place(policy, key));
        let first = First {
            policy: looked.policy,
            decision: looked.decision,
            good: group.is_some(),
        };
        verdicts.push(row, first);
        group_of.push(group);
    };
    let (snapshots, images) = (standing.listed.snapshots(), standing.listed.images());
    let (again, images_again) = (standing.listed.repeated(), images.repeated());
    for (row, place) in (0..images.len()).zip(0u32..) {
        if let Some(image) = images.get(row).filter(|_| !images_again.contains(&place))
            && let Some(looked) = image::look(policies, evidence, &standing.listed, &image)
        {
            add(Row::Image(place), looked);
        }
    }
    let mut snapshot = blank();
    for (row, place) in (0..snapshots.len()).zip(0u32..) {
        if !again.contains(&place)
            && snapshots.read_into(row, &mut snapshot)
            && let Some(looked) =
                snapshot::look(policies, evidence, standing, &sets, &snapshot, now)
        {
            add(Row::Snapshot(place), looked);
        }
    }
    let order = verdicts.sort();
    for (place, before) in (0u32..).zip(order) {
        if let Some(group) = group_of[before as usize] {
            groups.join(group, place);
        }
    }
    (verdicts, groups)
}
