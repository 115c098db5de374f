//! Backing snapshots whose AMI somebody else deregistered: judged as if the AMI still stood.
//!
//! Whoever deregisters all AMIs of a machine has not thereby destroyed its only copies: what is
//! left of a former AMI counts among the copies that rules and `min_copies` keep. It never counts
//! against a real AMI, whose verdict is made without it. Where a real AMI maps what is left of
//! another one, it does not take it along before the policy would have retired that one, too.

mod bin;
mod fate;
mod former;
mod usable;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::artifact::{ARTIFACT, RUN};
use crate::inventory::{ImageState, Snapshot};
use crate::policy::PolicyFile;
use crate::report::{Reason, ReasonCode};

use super::judged::Judged;
use super::retention::{Gone, GroupKey, Groups};
use super::{Decision, Evidence, Leftover, Standing, Subject, Verdict, Verdicts};
use bin::Bin;
use usable::{Usable, decide, usable_of};

pub use fate::share_fate;
pub use former::FormerImage;
pub(super) use former::is_of_one_run;

/// What is left of a former AMI.
#[derive(Debug, Default)]
struct Remains {
    /// Places of the verdicts on its snapshots.
    members: Vec<usize>,
    /// Snapshots of it that other AMIs map, and none of its own run. By identifier.
    in_use: BTreeMap<String, Snapshot>,
    /// Condemned AMIs that would take one of those along: the places of their verdicts.
    along: Vec<(usize, String)>,
    /// Whether an AMI of the same run stands: what is left may be of an attempt that failed.
    attempted: bool,
    /// Whether no rule would keep it, where no member's verdict tells.
    goes: bool,
    /// Whether the records say that Holdfast deregistered it.
    ours: bool,
}

impl Remains {
    /// Whether all that is left of it has become part of other AMIs.
    fn is_taken(&self) -> bool {
        self.members.is_empty()
    }
}

/// All former AMIs of which snapshots are left, and whose doing that was.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    former: BTreeMap<FormerImage, Remains>,
    /// Places of the verdicts on what is left of those that somebody else deregistered.
    pub(super) by_others: BTreeSet<usize>,
}

/// Whether the first look found no AMI over the snapshot and nothing else to say of it.
pub(super) fn is_orphan(decision: &Decision) -> bool {
    matches!(decision, Decision::Hold(reasons)
        if reasons.iter().all(|reason| reason.code == ReasonCode::Orphaned))
}

/// Whether the first look found an AMI over the snapshot.
fn is_in_use(decision: &Decision) -> bool {
    matches!(decision, Decision::Hold(reasons)
        if reasons.iter().any(|reason| reason.code == ReasonCode::UsedByImage))
}

impl Orphans {
    /// Finds them among the first looks, and in what condemned AMIs would take along. The table's
    /// leftovers tell only whose doing it was.
    pub(super) fn find(
        evidence: &Evidence<'_, '_>,
        standing: &Standing<'_, '_>,
        verdicts: &Verdicts<'_>,
        leftovers: &BTreeMap<String, Leftover>,
    ) -> Self {
        let mut former: BTreeMap<FormerImage, Remains> = BTreeMap::new();
        // What another AMI maps is not there for the one that it was.
        let unmapped = |place: &usize| !is_in_use(verdicts.decision(*place));
        for place in verdicts.backing().filter(unmapped) {
            let snapshot = verdicts.snapshot(place);
            if let Some(key) = snapshot.and_then(|snapshot| FormerImage::of(&snapshot.tags)) {
                former.entry(key).or_default().members.push(place);
            }
        }
        let orphan = |&place: &usize| is_orphan(verdicts.decision(place));
        former.retain(|_, remains| remains.members.iter().any(orphan));
        for (place, key, snapshot) in taken_along(standing, verdicts) {
            let remains = former.entry(key).or_default();
            let id = snapshot.id.to_string();
            remains.along.push((place, id.clone()));
            remains.in_use.insert(id, snapshot);
        }
        if former.is_empty() {
            return Self::default();
        }
        let attempts = attempts(standing, &former);
        let list = &evidence.inventory.snapshots.items;
        let backing =
            (0..list.len()).filter(|&row| list.tag(row, ARTIFACT) == Some("image-snapshot"));
        for snapshot in backing.filter_map(|row| list.get(row)) {
            let Some(key) = FormerImage::of(&snapshot.tags) else {
                continue;
            };
            let Some(remains) = former.get_mut(&key) else {
                continue;
            };
            remains.attempted |= attempts.contains(&key);
            let id = snapshot.id.as_str();
            let judged = |&i: &usize| verdicts.id(i) == id;
            if !remains.members.iter().any(judged) && !standing.has_own_over(&snapshot, &key) {
                remains.in_use.insert(id.to_owned(), snapshot);
            }
        }
        let ours = |&i: &usize| leftovers.contains_key(verdicts.id(i).as_ref());
        let left_by_us = |id: &String| leftovers.contains_key(id);
        for remains in former.values_mut() {
            remains.ours = match remains.is_taken() {
                true => remains.in_use.keys().all(left_by_us),
                false => remains.members.iter().all(ours),
            };
        }
        let by_others = former
            .values()
            .filter(|remains| !remains.ours)
            .flat_map(|remains| remains.members.iter().copied())
            .filter(orphan)
            .collect();
        Self { former, by_others }
    }

    /// Decides on what others left, as if each former AMI still stood beside the real ones.
    ///
    /// Returned are holds for those that end up condemned, by place.
    pub(super) fn judge(
        &mut self,
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
        let binned = Bin::new(evidence);
        let mut holds = Vec::new();
        let mut decided: Vec<(usize, Decision)> = Vec::new();
        let mut going: Vec<FormerImage> = Vec::new();
        for ((name, group), formers) in &usable {
            let Some(policy) = policies.policies.iter().find(|p| p.name == *name) else {
                continue;
            };
            let real = groups.backups(name, group, verdicts);
            let decisions = decide(policy, group, &real, formers, gone, now);
            for (former, decision) in formers.iter().zip(decisions) {
                let remains = former.remains;
                for &place in &remains.members {
                    if !self.by_others.contains(&place) {
                        continue;
                    }
                    decided.push((place, decision.clone()));
                    let binned = binned.holds(former.key, &verdicts.id(place));
                    holds.extend(binned.into_iter().map(|reason| (place, reason)));
                }
                if remains.is_taken() && matches!(decision, Decision::Condemn(_)) {
                    going.push(former.key.clone());
                    for (place, _) in &remains.along {
                        let binned = binned.holds(former.key, &verdicts.id(*place));
                        holds.extend(binned.into_iter().map(|reason| (*place, reason)));
                    }
                }
            }
        }
        for &place in &self.by_others {
            let snapshot = verdicts.snapshot(place);
            let former = snapshot.and_then(|snapshot| FormerImage::of(&snapshot.tags));
            verdicts.set_orphan_of(place, former);
        }
        for (place, decision) in decided {
            verdicts.decide(place, decision);
        }
        for key in going {
            if let Some(remains) = self.former.get_mut(&key) {
                remains.goes = true;
            }
        }
        self.go_with_others(verdicts);
        holds
    }

    /// What has become part of one condemned AMI, and would go itself, goes with that: as what is
    /// left of the AMI that it was, which has its week. What stayed when Holdfast deregistered its
    /// own has none: the records can waive that, and nothing else.
    fn go_with_others(&self, verdicts: &mut Verdicts<'_>) {
        let taken = self.former.iter();
        let taken = taken.filter(|(_, r)| r.is_taken() && r.goes && !r.ours);
        for (key, remains) in taken {
            for (place, part) in &remains.along {
                if self.taken_by(*place) > 1 {
                    continue;
                }
                verdicts.set_orphan_of(*place, Some(key.clone()));
                if let Decision::Condemn(mut reasons) = verdicts.decision(*place).clone() {
                    let words = "which no rule would keep and which goes along";
                    reasons.push(part_of(&verdicts.id(*place), part, words));
                    verdicts.decide(*place, Decision::Condemn(reasons));
                }
            }
        }
    }

    /// How many former AMIs that have their week a condemned one would take parts of along.
    fn taken_by(&self, place: usize) -> usize {
        let takes =
            |remains: &&Remains| !remains.ours && remains.along.iter().any(|(by, _)| *by == place);
        self.former.values().filter(takes).count()
    }

    /// Holds real AMIs with which a part of a former one would go that stays, or whose rest is still
    /// there: a snapshot shared by two AMIs goes with the last.
    pub(super) fn keep_parts(&self, verdicts: &mut Verdicts<'_>) {
        for remains in self.former.values() {
            // Of what Holdfast left the policy has the last word, too.
            let rest = match remains.ours {
                true => !remains.members.iter().all(|i| verdicts.is_condemned(*i)),
                false => remains.members.iter().any(|i| self.by_others.contains(i)),
            };
            for (place, part) in &remains.along {
                let words = match (remains.is_taken(), remains.goes) {
                    (false, _) if rest => "of which the rest is still there",
                    (true, false) => "and which stays",
                    (true, true) if !remains.ours && self.taken_by(*place) > 1 => {
                        "and so are others of its snapshots"
                    }
                    (false, _) | (true, true) => continue,
                };
                if verdicts.is_condemned(*place) {
                    let reason = part_of(&verdicts.id(*place), part, words);
                    verdicts.hold(*place, reason);
                }
            }
        }
    }
}

/// That a snapshot of an AMI is part of another one.
fn part_of(image: &str, part: &str, words: &str) -> Reason {
    Reason {
        code: ReasonCode::Orphaned,
        detail: Some(format!(
            "its snapshot {part} is part of an AMI that was deregistered, {words}"
        )),
        path: vec![image.to_owned(), part.to_owned()],
    }
}

/// The snapshots that condemned AMIs would take along although each is of another AMI, which does
/// not stand over it any more.
fn taken_along(
    standing: &Standing<'_, '_>,
    verdicts: &Verdicts<'_>,
) -> Vec<(usize, FormerImage, Snapshot)> {
    let mut along = Vec::new();
    let condemned = verdicts.condemned().into_iter();
    for place in condemned.filter(|&place| verdicts.maps_of_other_runs(place)) {
        let Some(Verdict {
            subject: Subject::Image { snapshots, .. },
            ..
        }) = verdicts.get(place)
        else {
            continue;
        };
        for snapshot in snapshots {
            if let Some(key) = FormerImage::backed_by(&snapshot)
                && !standing.has_own_over(&snapshot, &key)
            {
                along.push((place, key, snapshot));
            }
        }
    }
    along
}

/// Those of the runs of former AMIs of which an AMI stands.
fn attempts(
    standing: &Standing<'_, '_>,
    former: &BTreeMap<FormerImage, Remains>,
) -> BTreeSet<FormerImage> {
    let runs: BTreeSet<&str> = former.keys().map(|key| key.run.as_str()).collect();
    let images = standing.listed.images();
    let of_runs = (0..images.len()).filter(|&row| {
        let run = images.tag(row, RUN);
        run.is_some_and(|run| runs.contains(run))
            && images.state(row) != Some(ImageState::Deregistered)
    });
    let images = of_runs.filter_map(|row| images.get(row));
    images
        .filter_map(|image| FormerImage::of(&image.tags))
        .collect()
}
