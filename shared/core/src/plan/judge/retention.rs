//! Groups of good backups and what the policy's rules keep of them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use indexmap::IndexMap;
use jiff::Timestamp;

use crate::policy::{GroupBy, Policy};
use crate::report::{Reason, ReasonCode};
use crate::retention::{self, Backup};

use super::judged::{Judged, SetKey};
use super::{Decision, Evidence, Verdicts};

/// What tells one retention group of a policy from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum GroupKey {
    Policy,
    Source(String),
    Value(String),
}

impl GroupKey {
    pub(super) fn of(by: &GroupBy, source: &str, group: Option<&str>) -> Self {
        let source = || Self::Source(source.to_owned());
        match by {
            GroupBy::Source => source(),
            GroupBy::Policy => Self::Policy,
            // A source without the tag is a group of its own: smaller groups keep more.
            GroupBy::Tag(_) => group.map_or_else(source, |value| Self::Value(value.to_owned())),
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
    pub(super) fn new<'i: 'a>(evidence: &Evidence<'i, 'a>, verdicts: &Verdicts<'_>) -> Self {
        let since = &evidence.on_record.gone_since;
        let mut newest: BTreeMap<String, Timestamp> = BTreeMap::new();
        let looked_at = if since.is_empty() { 0 } else { verdicts.len() };
        for place in 0..looked_at {
            if let (Some(source), Some(time)) = (verdicts.source(place), verdicts.time(place))
                && since.contains_key(source.as_ref())
            {
                let known = newest.entry(source.into_owned()).or_insert(time);
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
#[derive(Debug)]
pub(super) struct Group<'p> {
    policy: &'p Policy,
    /// The places of the verdicts on them, ascending.
    members: Vec<u32>,
}

/// The groups by policy and key.
#[derive(Debug, Default)]
pub(super) struct Groups<'p>(IndexMap<(&'p str, GroupKey), Group<'p>>);

impl<'p> Groups<'p> {
    /// The place of a group.
    pub(super) fn place(&mut self, policy: &'p Policy, key: GroupKey) -> u32 {
        let entry = self.0.entry((policy.name.as_str(), key));
        let place = entry.index();
        entry.or_insert_with(|| Group {
            policy,
            members: Vec::new(),
        });
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    /// Adds the verdict on a backup to a group.
    pub(super) fn join(&mut self, group: u32, verdict: u32) {
        if let Some((_, group)) = self.0.get_index_mut(group as usize) {
            group.members.push(verdict);
        }
    }

    /// The place of its group and its own, of every verdict on a good backup.
    pub(super) fn grouped(&self) -> impl Iterator<Item = (usize, u32)> {
        let groups = self.0.values().enumerate();
        groups.flat_map(|(group, all)| all.members.iter().map(move |&place| (group, place)))
    }

    /// Takes verdicts out of their groups.
    pub(super) fn without(&mut self, verdicts: &BTreeSet<u32>) {
        for group in self.0.values_mut() {
            group.members.retain(|place| !verdicts.contains(place));
        }
    }

    /// The backups of a group as retention takes them, oldest first.
    pub(super) fn backups(
        &self,
        policy: &'p str,
        key: &GroupKey,
        verdicts: &Verdicts<'_>,
    ) -> Vec<Backup> {
        let members = self.0.get(&(policy, key.clone()));
        let members = members.map_or(&[][..], |group| &group.members);
        let backup = |&place: &u32| {
            Some(Backup {
                id: verdicts.id(place as usize).into_owned(),
                time: verdicts.time(place as usize)?,
            })
        };
        members.iter().filter_map(backup).collect()
    }
}

/// The reasons that the policy has to keep each of `backups`.
pub(super) fn kept<I: Ord>(
    policy: &Policy,
    now: Timestamp,
    backups: &[Backup<I>],
) -> Vec<Vec<Reason>> {
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
    verdicts: &mut Verdicts<'_>,
    groups: &Groups<'_>,
    gone: &Gone<'_>,
    now: Timestamp,
) {
    for ((_, key), group) in &groups.0 {
        let policy = group.policy;
        // Verdicts of one instant stand in the order of their identifiers.
        let members = group
            .members
            .iter()
            .map(|&id| (id, verdicts.time(id as usize)));
        let backups: Vec<Backup<u32>> = members
            .filter_map(|(id, time)| Some(Backup { id, time: time? }))
            .collect();
        let last = backups.iter().map(|backup| backup.time).max();
        let since = last.and_then(|last| gone.long_enough(policy, key, last, now));
        if let Some(since) = since {
            for Backup { id, time } in backups {
                let decision = if time > now {
                    Decision::Keep(vec![Reason::of(ReasonCode::FutureDated)])
                } else {
                    Decision::Condemn(vec![source_gone(since)])
                };
                verdicts.decide(id as usize, decision);
            }
            continue;
        }
        let kept = kept(policy, now, &backups);
        for (backup, reasons) in backups.iter().zip(kept) {
            let decision = if reasons.is_empty() {
                Decision::Condemn(vec![Reason::with(
                    ReasonCode::Expired,
                    format!("no rule of {} keeps it", policy.name),
                )])
            } else {
                Decision::Keep(reasons)
            };
            verdicts.decide(backup.id as usize, decision);
        }
    }
}

pub(super) fn source_gone(since: Timestamp) -> Reason {
    let detail = format!("its source is gone since {since}");
    Reason::with(ReasonCode::SourceGone, detail)
}

/// A kept member of a multi-volume set keeps the whole set.
pub(super) fn keep_sets(verdicts: &mut Verdicts<'_>) {
    let mut parted: HashMap<(String, SetKey), Vec<usize>> = HashMap::new();
    for place in verdicts.condemned() {
        if verdicts.is_good(place)
            && let Some(set) = verdicts.set(place)
        {
            let key = (verdicts.policy(place).to_owned(), set);
            parted.entry(key).or_default().push(place);
        }
    }
    let runs: HashSet<String> = parted.keys().map(|(_, (run, ..))| run.clone()).collect();
    let mut keepers: Vec<(usize, Vec<usize>)> = Vec::new();
    for place in 0..verdicts.len() {
        // Most sets have no condemned member.
        let in_question = verdicts.run(place).is_some_and(|run| runs.contains(run));
        if in_question
            && matches!(verdicts.decision(place), Decision::Keep(_))
            && let Some(set) = verdicts.set(place)
            && let Some(members) = parted.remove(&(verdicts.policy(place).to_owned(), set))
        {
            keepers.push((place, members));
        }
    }
    for (keeper, members) in keepers {
        let keeper = verdicts.id(keeper).into_owned();
        for place in members {
            let id = verdicts.id(place).into_owned();
            let reason = Reason {
                code: ReasonCode::RetainSet,
                detail: Some(format!("{keeper} of the same set is kept")),
                path: vec![id, keeper.clone()],
            };
            verdicts.decide(place, Decision::Keep(vec![reason]));
        }
    }
}
