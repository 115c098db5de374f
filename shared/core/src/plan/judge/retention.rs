//! Groups of good backups and what the policy's rules keep of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use crate::artifact::Artifact;
use crate::policy::{GroupBy, Policy};
use crate::report::{Reason, ReasonCode};
use crate::retention::{self, Backup};

use super::{Decision, Evidence, Verdict};

/// A good backup of a policy, up for retention.
pub(super) struct Candidate<'p> {
    pub(super) index: usize,
    pub(super) policy: &'p Policy,
    pub(super) group: GroupKey,
}

/// What tells one retention group of a policy from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum GroupKey {
    Policy,
    Source(String),
    Value(String),
}

impl GroupKey {
    pub(super) fn of(by: &GroupBy, source: &str, artifact: &Artifact) -> Self {
        let source = || Self::Source(source.to_owned());
        match by {
            GroupBy::Source => source(),
            GroupBy::Policy => Self::Policy,
            // A source without the tag is a group of its own: smaller groups keep more.
            GroupBy::Tag(_) => artifact
                .group
                .as_ref()
                .map_or_else(source, |value| Self::Value(value.clone())),
        }
    }
}

/// Sources that are recorded as gone, unless a list shows them or was not read to its end.
pub(super) struct Gone<'a> {
    since: &'a BTreeMap<String, Timestamp>,
    listed: Option<BTreeSet<&'a str>>,
    /// The newest artifact of each of them that is listed, good or not: it shows that the source
    /// was there.
    newest: BTreeMap<String, Timestamp>,
}

impl<'a> Gone<'a> {
    pub(super) fn new(evidence: &Evidence<'a>, verdicts: &[Verdict]) -> Self {
        let since = &evidence.on_record.gone_since;
        let mut newest: BTreeMap<String, Timestamp> = BTreeMap::new();
        for verdict in verdicts {
            if let (Some(source), Some(time)) = (verdict.subject.source(), verdict.subject.time())
                && since.contains_key(source)
            {
                let known = newest.entry(source.to_owned()).or_insert(time);
                *known = time.max(*known);
            }
        }
        let complete =
            evidence.inventory.volumes.is_complete() && evidence.inventory.instances.is_complete();
        let volumes = evidence
            .inventory
            .volumes
            .items
            .iter()
            .map(|v| v.id.as_str());
        let instances = evidence
            .inventory
            .instances
            .items
            .iter()
            .map(|i| i.id.as_str());
        Self {
            since,
            listed: complete.then(|| volumes.chain(instances).collect()),
            newest,
        }
    }

    /// Since when the group's source is gone, where the policy lets its last backups go by now.
    ///
    /// A source was there when its newest backup, of the time `last`, was taken, and when anything
    /// else was made of it, whatever is recorded: the table can delay this and never hasten it.
    pub(super) fn long_enough(
        &self,
        policy: &Policy,
        group: &GroupKey,
        last: Timestamp,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let GroupKey::Source(source) = group else {
            return None;
        };
        let newest = self.newest.get(source).copied();
        let since = (*self.since.get(source)?)
            .max(last)
            .max(newest.unwrap_or(last));
        if self.listed.as_ref()?.contains(source.as_str()) {
            return None;
        }
        let wait = policy.source_gone_delete_after?;
        (wait.after(since, &policy.timezone) <= now).then_some(since)
    }
}

/// The good backups of one group.
pub(super) struct Group<'c, 'p> {
    pub(super) policy: &'p Policy,
    pub(super) members: Vec<&'c Candidate<'p>>,
}

/// The groups by policy and key.
pub(super) fn groups<'c, 'p>(
    candidates: &'c [Candidate<'p>],
) -> BTreeMap<(&'p str, &'c GroupKey), Group<'c, 'p>> {
    let mut groups: BTreeMap<(&'p str, &'c GroupKey), Group<'c, 'p>> = BTreeMap::new();
    for candidate in candidates {
        let key = (candidate.policy.name.as_str(), &candidate.group);
        let group = groups.entry(key).or_insert_with(|| Group {
            policy: candidate.policy,
            members: Vec::new(),
        });
        group.members.push(candidate);
    }
    groups
}

impl Group<'_, '_> {
    /// The members as retention takes them, in their order.
    pub(super) fn backups(&self, verdicts: &[Verdict]) -> Vec<Backup> {
        let members = self.members.iter();
        members
            .filter_map(|member| {
                let subject = &verdicts[member.index].subject;
                Some(Backup {
                    id: subject.id().to_owned(),
                    time: subject.time()?,
                })
            })
            .collect()
    }
}

/// The reasons that the policy has to keep each of `backups`.
pub(super) fn kept(policy: &Policy, now: Timestamp, backups: &[Backup]) -> Vec<Vec<Reason>> {
    retention::keep(
        &policy.retain,
        policy.min_copies,
        &policy.timezone,
        now,
        backups,
    )
}

/// Decides every candidate: kept by a rule, or condemned.
pub(super) fn apply(
    verdicts: &mut [Verdict],
    candidates: &[Candidate<'_>],
    gone: &Gone<'_>,
    now: Timestamp,
) {
    for ((_, key), group) in groups(candidates) {
        let policy = group.policy;
        let backups = group.backups(verdicts);
        let last = backups.iter().map(|backup| backup.time).max();
        let since = last.and_then(|last| gone.long_enough(policy, key, last, now));
        if let Some(since) = since {
            for member in group.members {
                let verdict = &mut verdicts[member.index];
                let future = verdict.subject.time().is_some_and(|time| time > now);
                verdict.decision = if future {
                    Decision::Keep(vec![Reason::of(ReasonCode::FutureDated)])
                } else {
                    Decision::Condemn(vec![source_gone(since)])
                };
            }
            continue;
        }
        let kept = kept(policy, now, &backups);
        for (member, reasons) in group.members.iter().zip(kept) {
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

pub(super) fn source_gone(since: Timestamp) -> Reason {
    let detail = format!("its source is gone since {since}");
    Reason::with(ReasonCode::SourceGone, detail)
}

/// A kept member of a multi-volume set keeps the whole set.
pub(super) fn keep_sets(verdicts: &mut [Verdict]) {
    let key = |verdict: &Verdict| Some((verdict.policy.clone(), verdict.set()?));
    let mut keeper: HashMap<_, String> = HashMap::new();
    for verdict in verdicts.iter() {
        if let (Decision::Keep(_), Some(key)) = (&verdict.decision, key(verdict)) {
            keeper
                .entry(key)
                .or_insert_with(|| verdict.subject.id().to_owned());
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
                path: vec![verdict.subject.id().to_owned(), member.clone()],
            }]);
        }
    }
}
