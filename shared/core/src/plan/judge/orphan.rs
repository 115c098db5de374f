//! Backing snapshots whose AMI somebody else deregistered: judged as if the AMI still stood.
//!
//! Whoever deregisters all AMIs of a machine has not thereby destroyed its only copies: what is
//! left of a former AMI counts among the copies that rules and `min_copies` keep. It never counts
//! against a real AMI, whose verdict is made without it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use crate::artifact::{ARTIFACT, POLICY, RUN, SLOT, SOURCE, image_name, is_image_name_of};
use crate::inventory::{Binned, Snapshot, SnapshotState, Tags};
use crate::policy::{Policy, PolicyFile, Protect};
use crate::report::{Reason, ReasonCode};
use crate::retention::Backup;

use super::judged::Judged;
use super::retention::{Gone, GroupKey, Groups, kept, source_gone};
use super::snapshot::COPY_PLACEHOLDER;
use super::{Decision, Evidence, Leftover, Subject, Verdict, Verdicts};

/// An AMI that was, by what the tags of its snapshots have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FormerImage {
    /// The policy that the tags name.
    pub policy: String,
    /// The instance that it was made of.
    pub source: String,
    /// Its slot, UTC.
    pub slot: Timestamp,
    /// The run that made it.
    pub run: String,
}

impl FormerImage {
    fn of(tags: &Tags) -> Option<Self> {
        Some(Self {
            policy: tags.get(POLICY)?.clone(),
            source: tags.get(SOURCE)?.clone(),
            slot: tags.get(SLOT)?.parse().ok()?,
            run: tags.get(RUN)?.clone(),
        })
    }

    /// Its name without the attempt, which nobody knows any more.
    fn name_start(&self) -> String {
        let name = image_name(&self.policy, &self.source, self.slot, 1);
        start_of(&name).to_owned()
    }
}

fn start_of(name: &str) -> &str {
    name.rfind('/').map_or(name, |slash| &name[..=slash])
}

/// What is left of a former AMI.
#[derive(Debug, Default)]
struct Remains {
    /// Indices of the verdicts on its snapshots.
    members: Vec<usize>,
    /// Snapshots of it that some AMI maps, so that they have no verdict.
    in_use: BTreeSet<String>,
    /// Whether one of those is not complete.
    broken: bool,
}

/// All former AMIs of which snapshots are left, and whose doing that was.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    former: BTreeMap<FormerImage, Remains>,
    /// Indices of the verdicts on what is left of those that somebody else deregistered.
    pub(super) by_others: BTreeSet<usize>,
}

/// Whether the first look found no AMI over the snapshot and nothing else to say of it.
fn is_orphan(decision: &Decision) -> bool {
    matches!(decision, Decision::Hold(reasons)
        if reasons.iter().all(|reason| reason.code == ReasonCode::Orphaned))
}

impl Orphans {
    /// Finds them among the first looks. The table's leftovers tell only whose doing it was.
    pub(super) fn find(
        evidence: &Evidence<'_, '_>,
        verdicts: &Verdicts<'_>,
        leftovers: &BTreeMap<String, Leftover>,
    ) -> Self {
        let mut former: BTreeMap<FormerImage, Remains> = BTreeMap::new();
        for place in verdicts.backing() {
            let snapshot = verdicts.snapshot(place);
            if let Some(key) = snapshot.and_then(|snapshot| FormerImage::of(&snapshot.tags)) {
                former.entry(key).or_default().members.push(place);
            }
        }
        let orphan = |&place: &usize| is_orphan(verdicts.decision(place));
        former.retain(|_, remains| remains.members.iter().any(orphan));
        if former.is_empty() {
            return Self::default();
        }
        let list = &evidence.inventory.snapshots.items;
        let backing =
            (0..list.len()).filter(|&row| list.tag(row, ARTIFACT) == Some("image-snapshot"));
        for snapshot in backing.filter_map(|row| list.get(row)) {
            let key = FormerImage::of(&snapshot.tags);
            if let Some(remains) = key.and_then(|key| former.get_mut(&key)) {
                let id = snapshot.id.as_str();
                let judged = |&i: &usize| verdicts.id(i) == id;
                if !remains.members.iter().any(judged) {
                    remains.in_use.insert(id.to_owned());
                    remains.broken |= !is_complete(&snapshot);
                }
            }
        }
        let ours = |&i: &usize| leftovers.contains_key(verdicts.id(i).as_ref());
        let by_others = former
            .values()
            .filter(|remains| !remains.members.iter().all(ours))
            .flat_map(|remains| remains.members.iter().copied())
            .filter(orphan)
            .collect();
        Self { former, by_others }
    }

    /// Decides on what others left, as if each former AMI still stood beside the real ones.
    ///
    /// Returned are holds for those that end up condemned, by index.
    pub(super) fn judge(
        &self,
        policies: &PolicyFile,
        evidence: &Evidence<'_, '_>,
        verdicts: &mut Verdicts<'_>,
        groups: &Groups<'_>,
        gone: &Gone<'_>,
        now: Timestamp,
    ) -> Vec<(usize, Reason)> {
        if self.former.is_empty() {
            return Vec::new();
        }
        let mut usable: BTreeMap<(&str, GroupKey), Vec<Usable<'_>>> = BTreeMap::new();
        for (key, remains) in &self.former {
            if let Some((policy, group, one)) = usable_of(policies, verdicts, key, remains) {
                usable.entry((policy, group)).or_default().push(one);
            }
        }
        for &index in &self.by_others {
            let snapshot = verdicts.snapshot(index);
            let former = snapshot.and_then(|snapshot| FormerImage::of(&snapshot.tags));
            verdicts.set_orphan_of(index, former);
        }
        let binned = Bin::new(evidence);
        let mut holds = Vec::new();
        let mut decided: Vec<(usize, Decision)> = Vec::new();
        for ((name, group), formers) in &usable {
            let Some(policy) = policies.policies.iter().find(|p| p.name == *name) else {
                continue;
            };
            let real = groups.backups(name, group, verdicts);
            let decisions = decide(policy, group, &real, formers, gone, now);
            for (former, decision) in formers.iter().zip(decisions) {
                for &index in &former.remains.members {
                    if !self.by_others.contains(&index) {
                        continue;
                    }
                    decided.push((index, decision.clone()));
                    let binned = binned.holds(former.key, &verdicts.id(index));
                    holds.extend(binned.into_iter().map(|reason| (index, reason)));
                }
            }
        }
        for (index, decision) in decided {
            verdicts.decide(index, decision);
        }
        holds
    }

    /// Holds real AMIs with which a part of a former one would go that stays: a snapshot shared by
    /// two AMIs goes with the last.
    pub(super) fn keep_parts(&self, verdicts: &mut Verdicts<'_>) {
        let stays = |i: &usize| self.by_others.contains(i) && !verdicts.is_condemned(*i);
        let staying = self.former.values().filter(|r| r.members.iter().any(stays));
        let parts: BTreeSet<&str> = staying
            .flat_map(|remains| remains.in_use.iter().map(String::as_str))
            .collect();
        if parts.is_empty() {
            return;
        }
        for place in verdicts.condemned() {
            let Some(Subject::Image { image, .. }) = verdicts.get(place).map(|v| v.subject) else {
                continue;
            };
            let part = image.snapshots().find(|id| parts.contains(id.as_str()));
            if let Some(part) = part {
                let reason = Reason {
                    code: ReasonCode::Orphaned,
                    detail: Some(format!(
                        "its snapshot {part} is part of an AMI that somebody else deregistered and \
                         of which the rest stays"
                    )),
                    path: vec![image.id.to_string(), part.to_string()],
                };
                verdicts.hold(place, reason);
            }
        }
    }
}

/// A former AMI that could be registered again.
struct Usable<'o> {
    key: &'o FormerImage,
    remains: &'o Remains,
    /// Its place among others of one instant. Letters of snapshots come after those of AMIs, so
    /// that it counts as newer than a real AMI of that instant: that keeps more.
    id: String,
    /// How many snapshots are left of it. One of fewer takes no place from one of more: part of an
    /// AMI is no copy of a whole one, and how many there were is not known.
    size: usize,
    /// When it may have been made, ascending.
    times: Vec<Timestamp>,
}

impl Usable<'_> {
    /// As retention takes it, at one of its times; the last where it has fewer.
    fn at(&self, pass: usize) -> Option<Backup> {
        let time = self.times.get(pass).or(self.times.last())?;
        Some(Backup {
            id: self.id.clone(),
            time: *time,
        })
    }

    /// The same at the last of its times that is not after `newest`.
    fn until(&self, newest: Timestamp) -> Option<Backup> {
        let times = self.times.iter().rev();
        let time = times.copied().find(|time| *time <= newest)?;
        Some(Backup {
            id: self.id.clone(),
            time,
        })
    }
}

/// A former AMI of which all that is listed is there and completed, with its group.
fn usable_of<'p, 'o>(
    policies: &'p PolicyFile,
    verdicts: &Verdicts<'_>,
    key: &'o FormerImage,
    remains: &'o Remains,
) -> Option<(&'p str, GroupKey, Usable<'o>)> {
    let members = remains.members.iter().filter_map(|&i| verdicts.get(i));
    let members: Vec<Verdict> = members.collect();
    let first = members.first()?;
    let policy = policies.policies.iter().find(|p| p.name == first.policy)?;
    let artifact = first.artifact.as_ref()?;
    let group = |verdict: &Verdict| verdict.artifact.as_ref().map(|a| a.group.clone());
    let whole = members.iter().all(|verdict| {
        let complete = matches!(&verdict.subject, Subject::Snapshot(s) if is_complete(s));
        complete && is_orphan(&verdict.decision) && group(verdict) == Some(artifact.group.clone())
    });
    if !whole || remains.broken || policy.protect != Protect::Instances {
        return None;
    }
    let times: BTreeSet<Timestamp> = members.iter().filter_map(|v| v.subject.time()).collect();
    let ids = members.iter().map(|verdict| verdict.subject.id());
    let usable = Usable {
        key,
        remains,
        id: ids.min()?.to_owned(),
        size: remains.members.len() + remains.in_use.len(),
        times: times.into_iter().collect(),
    };
    let group = GroupKey::of(&policy.group, &key.source, artifact.group.as_deref());
    Some((policy.name.as_str(), group, usable))
}

/// A copy is none: it holds another point in time than its own.
fn is_complete(snapshot: &Snapshot) -> bool {
    let volume = snapshot.volume.as_ref().map(AsRef::<str>::as_ref);
    snapshot.state == SnapshotState::Completed
        && snapshot.start.is_some()
        && volume.is_some_and(|volume| volume != COPY_PLACEHOLDER)
}

/// What would become of each former AMI of a group if all of them still stood.
///
/// Nobody recorded when such an AMI was made, only when its snapshots were: any of these times at
/// which it would be kept keeps it.
fn decide(
    policy: &Policy,
    group: &GroupKey,
    real: &[Backup],
    formers: &[Usable<'_>],
    gone: &Gone<'_>,
    now: Timestamp,
) -> Vec<Decision> {
    let times = formers.iter().flat_map(|former| former.times.iter());
    let last = times.chain(real.iter().map(|backup| &backup.time)).max();
    let since = last.and_then(|last| gone.long_enough(policy, group, *last, now));
    if let Some(since) = since {
        let future = |former: &Usable<'_>| former.times.last().is_some_and(|time| *time > now);
        let decide = |former: &Usable<'_>| match future(former) {
            true => Decision::Keep(vec![Reason::of(ReasonCode::FutureDated), orphaned()]),
            false => Decision::Condemn(vec![orphaned(), source_gone(since)]),
        };
        return formers.iter().map(decide).collect();
    }
    let mut reasons: Vec<Vec<Reason>> = vec![Vec::new(); formers.len()];
    let sizes: BTreeSet<usize> = formers.iter().map(|former| former.size).collect();
    for size in sizes {
        let rivals: Vec<usize> = (0..formers.len())
            .filter(|&n| formers[n].size >= size)
            .collect();
        let count = rivals.iter().map(|&n| formers[n].times.len()).max();
        let mut passes: Vec<Vec<Backup>> = (0..count.unwrap_or(0))
            .map(|pass| rivals.iter().filter_map(|&n| formers[n].at(pass)).collect())
            .collect();
        // `within` is measured from the newest: each as late as may be while that is as old as it
        // may be.
        let firsts = rivals.iter().filter_map(|&n| formers[n].times.first());
        if let Some(newest) = firsts.chain(real.iter().map(|backup| &backup.time)).max() {
            let until = rivals.iter().filter_map(|&n| formers[n].until(*newest));
            passes.push(until.collect());
        }
        for at_pass in passes {
            let all: Vec<Backup> = real.iter().cloned().chain(at_pass).collect();
            let kept = kept(policy, now, &all).split_off(real.len());
            for (&n, kept) in rivals.iter().zip(kept) {
                if formers[n].size == size && reasons[n].is_empty() {
                    reasons[n] = kept;
                }
            }
        }
    }
    let decide = |mut reasons: Vec<Reason>| {
        if reasons.is_empty() {
            let detail = format!("no rule of {} would keep its AMI", policy.name);
            return Decision::Condemn(vec![orphaned(), Reason::with(ReasonCode::Expired, detail)]);
        }
        reasons.push(orphaned());
        Decision::Keep(reasons)
    };
    reasons.into_iter().map(decide).collect()
}

fn orphaned() -> Reason {
    let detail = "its AMI is gone: somebody else deregistered it; RegisterImage over its snapshots \
                  restores it";
    Reason::with(ReasonCode::Orphaned, detail)
}

/// The Recycle Bin's AMIs by the start of their names: of what lies in it EC2 tells neither tags nor
/// block devices, and the records may not know the AMI.
struct Bin<'a>(HashMap<&'a str, Vec<(&'a str, &'a Binned)>>);

impl<'a> Bin<'a> {
    fn new(evidence: &Evidence<'a, '_>) -> Self {
        let mut by_start: HashMap<&str, Vec<(&str, &Binned)>> = HashMap::new();
        let list = evidence.inventory.recycle_bin.iter();
        for binned in list.flat_map(|list| &list.items) {
            if let Some(name) = binned.name.as_deref() {
                let same = by_start.entry(start_of(name)).or_default();
                same.push((name, binned));
            }
        }
        Self(by_start)
    }

    /// Why what is left of a former AMI must stay: out of the Recycle Bin the AMI comes without its
    /// snapshots.
    fn holds(&self, former: &FormerImage, snapshot: &str) -> Vec<Reason> {
        let named = self.0.get(former.name_start().as_str());
        let named = named.into_iter().flatten().filter(|(name, _)| {
            is_image_name_of(name, &former.policy, &former.source, former.slot)
        });
        named
            .map(|(_, binned)| {
                let image = &binned.id;
                let until = binned.exits.map(|exits| format!(" until {exits}"));
                let until = until.unwrap_or_default();
                Reason {
                    code: ReasonCode::InRecycleBin,
                    detail: Some(format!("its AMI {image} lies in the Recycle Bin{until}")),
                    path: vec![snapshot.to_owned(), image.clone()],
                }
            })
            .collect()
    }
}

/// Holds all that is left of an AMI that somebody else deregistered when one part of it is held:
/// half an AMI restores nothing.
pub fn share_fate(verdicts: &mut impl Judged) {
    let mut held: HashMap<FormerImage, (String, Reason)> = HashMap::new();
    for place in 0..verdicts.count() {
        let (Some(former), Decision::Hold(reasons)) =
            (verdicts.orphan_of(place), verdicts.decision(place))
        else {
            continue;
        };
        let why = reasons.iter().find(|r| r.code != ReasonCode::Orphaned);
        let Some(why) = why.or(reasons.first()) else {
            continue;
        };
        let id = verdicts.id(place);
        let first = held
            .get(former)
            .is_none_or(|(other, _)| id.as_ref() < other.as_str());
        if first {
            held.insert(former.clone(), (id.into_owned(), why.clone()));
        }
    }
    if held.is_empty() {
        return;
    }
    for place in verdicts.condemned() {
        let former = verdicts.orphan_of(place);
        let Some((member, why)) = former.and_then(|former| held.get(former)) else {
            continue;
        };
        let words = why.detail.as_deref().unwrap_or(why.code.as_str());
        let start = [verdicts.id(place).into_owned(), member.clone()];
        let reason = Reason {
            code: why.code,
            detail: Some(format!("{member} of the same AMI: {words}")),
            path: start
                .into_iter()
                .chain(why.path.iter().skip(1).cloned())
                .collect(),
        };
        verdicts.hold(place, reason);
    }
}
