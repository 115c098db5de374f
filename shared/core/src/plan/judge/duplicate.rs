//! Snapshots that were made twice, although one was asked for.
//!
//! EC2's creating calls have no client token. Where a list lags for longer than a request is waited
//! for, one slot of one source may be made again. The older whole backup stays and takes part in
//! retention; the newer is no backup of its own and goes.
//!
//! AMIs are never made twice: their name is unique in the account and Region, and its attempt only
//! grows when EC2 has failed the one before (`InvalidAMIName.Duplicate`, EC2 API Reference).

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;

use crate::artifact::ADOPTION;
use crate::report::{Reason, ReasonCode};

use super::retention::Groups;
use super::{Decision, Judged, Subject, Verdict, Verdicts};

/// What one call made: a snapshot, or the members of one set.
///
/// EC2 gives all members of a set one `StartTime` (`CreateSnapshots`, EC2 API Reference), so that
/// the sets of two calls of one run are two.
struct Made {
    run: Option<String>,
    time: Timestamp,
    members: Vec<u32>,
    /// The volumes, each with the place of its retention group. A policy's group may be a tag that
    /// the source has changed since: one group's backup stands in for no other's.
    volumes: BTreeSet<(String, usize)>,
    /// Identifier of the first member, by which what was made in one second is ordered.
    first: String,
}

/// Policy, slot and source that a call was made for.
type Asked = (String, Timestamp, String);

/// Takes the duplicates out of `groups`, so that they use up no slot of a rule. The answer is which
/// verdicts they are, with the reason of each. What is dated after `now` is none yet: it is kept.
pub(super) fn set_aside(
    verdicts: &Verdicts<'_>,
    groups: &mut Groups<'_>,
    now: Timestamp,
) -> BTreeMap<u32, Reason> {
    let mut duplicates = BTreeMap::new();
    for mut made in by_what_was_asked(verdicts, groups).into_values() {
        made.retain(|made| made.time <= now);
        for (n, newer) in made.iter().enumerate() {
            let covers = |older: &&Made| newer.volumes.is_subset(&older.volumes);
            // The first that has all of it is no duplicate itself: it would be covered by another
            // before it, which has all of this one, too.
            let Some(older) = made[..n].iter().find(covers) else {
                continue;
            };
            for &place in &newer.members {
                let id = verdicts.id(place as usize).into_owned();
                duplicates.insert(place, reason(id, older));
            }
        }
    }
    groups.without(&duplicates.keys().copied().collect());
    duplicates
}

/// Condemns the duplicates. After the rules, because a kept backup of the same run keeps its set.
pub(super) fn condemn(verdicts: &mut Verdicts<'_>, duplicates: BTreeMap<u32, Reason>) {
    for (place, reason) in duplicates {
        verdicts.decide(place as usize, Decision::Condemn(vec![reason]));
    }
}

fn reason(id: String, older: &Made) -> Reason {
    let detail = format!(
        "{} of {} was made for the same slot and source before it",
        older.first, older.time
    );
    Reason {
        code: ReasonCode::Duplicate,
        detail: Some(detail),
        path: vec![id, older.first.clone()],
    }
}

/// The good backups of each policy, slot and source of which something is there more than once,
/// oldest first.
fn by_what_was_asked(verdicts: &Verdicts<'_>, groups: &Groups<'_>) -> BTreeMap<Asked, Vec<Made>> {
    let mut asked: BTreeMap<Asked, Vec<Made>> = BTreeMap::new();
    for (place, group) in suspects(verdicts, groups) {
        if let Some(verdict) = verdicts.get(place as usize)
            && let Some(key) = what_was_asked(&verdict)
        {
            add(asked.entry(key).or_default(), place, group, &verdict);
        }
    }
    for made in asked.values_mut() {
        made.sort_by(|a, b| (a.time, &a.first).cmp(&(b.time, &b.first)));
    }
    asked.retain(|_, made| made.len() > 1);
    asked
}

/// All of those policies, slots and sources for which one volume was taken more than once by the
/// looks of its snapshots' tags, each with the place of its group. Few among very many, so only these
/// are looked at whole.
fn suspects(verdicts: &Verdicts<'_>, groups: &Groups<'_>) -> BTreeMap<u32, usize> {
    let asked = |place: u32| verdicts.asked(place as usize).map(|asked| hash(&asked));
    let made = |place: u32| {
        let place = place as usize;
        Some(hash(&(verdicts.asked(place)?, verdicts.source(place))))
    };
    let mut seen: Vec<(u64, u64)> = groups
        .grouped()
        .filter_map(|(_, place)| Some((made(place)?, asked(place)?)))
        .collect();
    seen.sort_unstable();
    let twice = seen.windows(2).filter(|two| two[0].0 == two[1].0);
    let twice: BTreeSet<u64> = twice.map(|two| two[0].1).collect();
    if twice.is_empty() {
        return BTreeMap::new();
    }
    groups
        .grouped()
        .filter(|&(_, place)| asked(place).is_some_and(|asked| twice.contains(&asked)))
        .map(|(group, place)| (place, group))
        .collect()
}

fn hash(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

fn what_was_asked(verdict: &Verdict) -> Option<Asked> {
    let artifact = verdict.artifact.as_ref()?;
    let is_snapshot = matches!(verdict.subject, Subject::Snapshot(_));
    let run = artifact.run.as_deref();
    // Its slot is when another tool happened to begin it: nobody asked for that.
    let is_asked = is_snapshot && !run.is_some_and(|run| run.starts_with(ADOPTION));
    let source = artifact.source.clone().filter(|_| is_asked)?;
    Some((verdict.policy.clone(), artifact.slot?, source))
}

fn add(made: &mut Vec<Made>, place: u32, group: usize, verdict: &Verdict) {
    let subject = &verdict.subject;
    let (Some(artifact), Some(time), Some(volume)) =
        (&verdict.artifact, subject.time(), subject.source())
    else {
        return;
    };
    let id = subject.id().to_owned();
    let same = |one: &&mut Made| one.run == artifact.run && one.time == time;
    match made.iter_mut().find(same) {
        Some(set) => {
            set.members.push(place);
            set.volumes.insert((volume.to_owned(), group));
            set.first = set.first.clone().min(id);
        }
        None => made.push(Made {
            run: artifact.run.clone(),
            time,
            members: vec![place],
            volumes: BTreeSet::from([(volume.to_owned(), group)]),
            first: id,
        }),
    }
}
