//! The backups that stand when a simulation begins, and those that stand later.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::inventory::SnapshotState;
use crate::plan::judge::{Evidence, Judged, Subject, Verdict, Verdicts};
use crate::policy::{Limits, Policy, PolicyFile, PolicyState, Retain};
use crate::report::ReasonCode;

/// A good backup that stands when a simulation begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// `snap-…` or `ami-…`.
    pub id: String,
    /// The policy's name at its creation.
    pub policy: String,
    /// Whether it is an AMI.
    pub image: bool,
    /// What the creating call named: `i-…` for an AMI and for a member of a set.
    pub source: String,
    /// What it is of: the volume of a snapshot, the instance of an AMI.
    pub of: String,
    /// The point in time it holds, UTC.
    pub time: Timestamp,
    /// The slot it answers, UTC.
    pub slot: Timestamp,
    /// The run that made it.
    pub run: String,
    /// The retention group's value, where the group is not the source.
    pub group: Option<String>,
    /// Provisioned GiB that it was taken of, where that is known.
    pub size_gib: u32,
    /// Why it is held today, where it is: something needs it, somebody pinned or locked it, or a list
    /// that could tell was not read. The simulation takes it that this stays so.
    pub held: Vec<ReasonCode>,
}

/// A backup that stands at some moment of a simulation. Those of a moment stand in this order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Survivor {
    /// The policy that governs it.
    pub policy: String,
    /// What it is of: the volume of a snapshot, the instance of an AMI.
    pub of: String,
    /// The slot it answers, UTC.
    pub slot: Timestamp,
    /// The point in time it holds, UTC.
    pub time: Timestamp,
}

impl Standing {
    /// The good backups of an account that policies of the file govern.
    ///
    /// What no policy governs, what is pending and what has failed is left out; shares, which are
    /// read just before a deletion only, are not known here.
    #[must_use]
    pub fn of(policies: &PolicyFile, evidence: &Evidence<'_, '_>, now: Timestamp) -> Vec<Self> {
        let keeping_nothing = without_rules(policies);
        let verdicts = Verdicts::judge(&keeping_nothing, evidence, now, None);
        let good = (0..verdicts.count()).filter(|&v| verdicts.is_good(v));
        good.filter_map(|v| {
            let holders = match verdicts.is_condemned(v) {
                true => BTreeSet::new(),
                false => verdicts
                    .decision(v)
                    .reasons()
                    .iter()
                    .map(|one| one.code)
                    .collect(),
            };
            Self::from(&verdicts.get(v)?, holders)
        })
        .collect()
    }

    fn from(verdict: &Verdict, holders: BTreeSet<ReasonCode>) -> Option<Self> {
        let artifact = verdict.artifact.as_ref()?;
        let time = verdict.subject.time()?;
        let of = verdict.subject.source()?.to_owned();
        let gib = |size: Option<i32>| size.and_then(|gib| u32::try_from(gib).ok()).unwrap_or(0);
        let (image, size_gib) = match &verdict.subject {
            Subject::Snapshot(snapshot) => (false, gib(snapshot.size_gib)),
            Subject::Image { snapshots, .. } => {
                let completed = |state: &SnapshotState| *state == SnapshotState::Completed;
                let whole = snapshots.iter().filter(|one| completed(&one.state));
                (true, whole.map(|one| gib(one.size_gib)).sum())
            }
        };
        Some(Self {
            id: verdict.subject.id().to_owned(),
            policy: artifact.policy.clone(),
            image,
            source: artifact.source.clone().unwrap_or_else(|| of.clone()),
            of,
            time,
            slot: artifact.slot.unwrap_or(time),
            run: artifact.run.clone().unwrap_or_else(|| format!("at-{time}")),
            group: artifact.group.clone(),
            size_gib,
            held: holders.into_iter().collect(),
        })
    }
}

/// The same policies with no rule that keeps anything: what is not condemned then is held by
/// something else.
fn without_rules(policies: &PolicyFile) -> PolicyFile {
    let bare = |policy: &Policy| Policy {
        retain: Retain::default(),
        min_copies: 0,
        state: PolicyState::Retired,
        ..policy.clone()
    };
    PolicyFile {
        policies: policies.policies.iter().map(bare).collect(),
        ..policies.clone()
    }
}

/// The same policies with limits that never trip.
pub(super) fn without_limits(policies: &PolicyFile) -> PolicyFile {
    let free = |policy: &Policy| Policy {
        limits: Limits {
            max_shrink_percent: 100,
            free: u32::MAX,
        },
        ..policy.clone()
    };
    PolicyFile {
        policies: policies.policies.iter().map(free).collect(),
        ..policies.clone()
    }
}
