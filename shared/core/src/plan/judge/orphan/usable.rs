//! What would become of former AMIs if they still stood.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::former::FormerImage;
use super::{Remains, is_orphan};
use crate::artifact::GROUP;
use crate::inventory::{Snapshot, SnapshotState};
use crate::plan::judge::retention::{Gone, GroupKey, kept, source_gone};
use crate::plan::judge::snapshot::COPY_PLACEHOLDER;
use crate::plan::judge::{Decision, Judged, Verdicts, governing};
use crate::policy::{Policy, PolicyFile, Protect};
use crate::report::{Reason, ReasonCode};
use crate::retention::Backup;

/// A former AMI that could be registered again.
pub(super) struct Usable<'o> {
    pub(super) key: &'o FormerImage,
    pub(super) remains: &'o Remains,
    /// Its place among others of one instant. Letters of snapshots come after those of AMIs, so
    /// that it counts as newer than a real AMI of that instant: that keeps more.
    id: String,
    /// How many snapshots are left of it.
    size: usize,
    /// The most snapshots that another one may have of which it takes a place: as many as it has
    /// itself, because part of an AMI is no copy of a whole one, and how many there were is not
    /// known. None where it may be no AMI at all: another attempt's stands, or what is left has
    /// become part of other AMIs.
    rank: usize,
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
pub(super) fn usable_of<'p, 'o>(
    policies: &'p PolicyFile,
    verdicts: &Verdicts<'_>,
    key: &'o FormerImage,
    remains: &'o Remains,
) -> Option<(&'p str, GroupKey, Usable<'o>)> {
    let members = || remains.members.iter();
    let left = members().filter_map(|&place| verdicts.snapshot(place));
    let mut left: Vec<Snapshot> = left.collect();
    let taken = left.is_empty();
    if taken {
        left.extend(remains.in_use.values().cloned());
    }
    let policy = governing(policies, &key.policy)?;
    let value = left.first()?.tags.get(GROUP);
    let orphans = members().all(|&place| is_orphan(verdicts.decision(place)));
    let whole = left.iter().chain(remains.in_use.values()).all(is_complete)
        && left
            .iter()
            .all(|snapshot| snapshot.tags.get(GROUP) == value);
    if !orphans || !whole || policy.protect != Protect::Instances {
        return None;
    }
    let times: BTreeSet<Timestamp> = left.iter().filter_map(|one| one.start).collect();
    let ids = left.iter().map(|snapshot| snapshot.id.as_str());
    let size = remains.members.len() + remains.in_use.len();
    let group = GroupKey::of(&policy.group, &key.source, value.map(String::as_str));
    let usable = Usable {
        key,
        remains,
        id: ids.min()?.to_owned(),
        size,
        rank: if taken || remains.attempted { 0 } else { size },
        times: times.into_iter().collect(),
    };
    Some((policy.name.as_str(), group, usable))
}

/// A copy is none: it holds another point in time than its own.
pub(super) fn is_complete(snapshot: &Snapshot) -> bool {
    let volume = snapshot.volume.as_ref().map(AsRef::<str>::as_ref);
    snapshot.state == SnapshotState::Completed
        && snapshot.start.is_some()
        && volume.is_some_and(|volume| volume != COPY_PLACEHOLDER)
}

/// What would become of each former AMI of a group if all of them still stood.
///
/// Nobody recorded when such an AMI was made, only when its snapshots were: any of these times at
/// which it would be kept keeps it.
pub(super) fn decide(
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
    for (judged, rivals) in rounds(formers) {
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
            for (n, kept) in rivals.iter().zip(kept) {
                if judged.contains(n) && reasons[*n].is_empty() {
                    reasons[*n] = kept;
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

/// Which of them are judged together, and beside which: all that take a place from one of their
/// size, themselves included.
fn rounds(formers: &[Usable<'_>]) -> Vec<(Vec<usize>, Vec<usize>)> {
    let all = 0..formers.len();
    let beside = |size: usize| all.clone().filter(move |&n| formers[n].rank >= size);
    let (ranked, others): (Vec<usize>, Vec<usize>) =
        all.clone().partition(|&n| formers[n].rank > 0);
    let sizes: BTreeSet<usize> = ranked.iter().map(|&n| formers[n].size).collect();
    let of_size = |size: usize| {
        ranked
            .iter()
            .copied()
            .filter(move |&n| formers[n].size == size)
    };
    let together = sizes
        .iter()
        .map(|&size| (of_size(size).collect(), beside(size).collect()));
    let single = others.iter().map(|&n| {
        let rivals = beside(formers[n].size).chain([n]);
        (vec![n], rivals.collect())
    });
    together.chain(single).collect()
}

fn orphaned() -> Reason {
    let detail = "its AMI is gone: somebody else deregistered it; RegisterImage over its snapshots \
                  restores it";
    Reason::with(ReasonCode::Orphaned, detail)
}
