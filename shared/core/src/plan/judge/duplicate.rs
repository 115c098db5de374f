//! Backups that were made twice, although one was asked for.
//!
//! EC2's creating calls have no client token. Where a list lags for longer than a request is waited
//! for, one slot of one source may be made again. The older whole backup stays and takes part in
//! retention; the newer is no backup of its own and goes.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;

use crate::report::{Reason, ReasonCode};

use super::retention::Groups;
use super::{Decision, Judged, Subject, Verdict, Verdicts};

/// What one call made: an AMI, or the members of one set.
///
/// EC2 gives all members of a set one `StartTime` (`CreateSnapshots`, EC2 API Reference), so that
/// the sets of two calls of one run are two.
struct Made {
    run: Option<String>,
    time: Timestamp,
    members: Vec<u32>,
    volumes: BTreeSet<String>,
    /// Identifier of the first member, by which what was made in one second is ordered.
    first: String,
}

/// Policy, slot and source that a call was made for.
type Asked = (String, Timestamp, String);

/// Takes the duplicates out of `groups`, so that they use up no slot of a rule. The answer is which
/// verdicts they are, with the reason of each.
pub(super) fn set_aside(verdicts: &Verdicts<'_>, groups: &mut Groups<'_>) -> BTreeMap<u32, Reason> {
    let mut duplicates = BTreeMap::new();
    for made in by_what_was_asked(verdicts, groups).into_values() {
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
    for place in suspects(verdicts, groups) {
        if let Some(verdict) = verdicts.get(place as usize)
            && let Some(key) = what_was_asked(&verdict)
        {
            add(asked.entry(key).or_default(), place, &verdict);
        }
    }
    for made in asked.values_mut() {
        made.sort_by(|a, b| (a.time, &a.first).cmp(&(b.time, &b.first)));
    }
    asked.retain(|_, made| made.len() > 1);
    asked
}

/// All of those policies, slots and sources for which one volume was taken, or an AMI made, more
/// than once by the looks of their tags. Few among very many, so only these are looked at whole.
fn suspects(verdicts: &Verdicts<'_>, groups: &Groups<'_>) -> Vec<u32> {
    let asked = |place: u32| verdicts.asked(place as usize).map(|asked| hash(&asked));
    let made = |place: u32| {
        let place = place as usize;
        // All AMIs of a source are of the same disks, as far as this first look goes.
        let of = match verdicts.is_image(place) {
            true => None,
            false => verdicts.source(place),
        };
        Some(hash(&(verdicts.asked(place)?, of)))
    };
    let mut seen: Vec<(u64, u64)> = groups
        .members()
        .filter_map(|place| Some((made(place)?, asked(place)?)))
        .collect();
    seen.sort_unstable();
    let twice = seen.windows(2).filter(|two| two[0].0 == two[1].0);
    let twice: BTreeSet<u64> = twice.map(|two| two[0].1).collect();
    if twice.is_empty() {
        return Vec::new();
    }
    let mut suspects: Vec<u32> = groups
        .members()
        .filter(|&place| asked(place).is_some_and(|asked| twice.contains(&asked)))
        .collect();
    suspects.sort_unstable();
    suspects
}

fn hash(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

fn what_was_asked(verdict: &Verdict) -> Option<Asked> {
    let artifact = verdict.artifact.as_ref()?;
    Some((
        verdict.policy.clone(),
        artifact.slot?,
        artifact.source.clone()?,
    ))
}

fn add(made: &mut Vec<Made>, place: u32, verdict: &Verdict) {
    let (Some(artifact), Some(time)) = (&verdict.artifact, verdict.subject.time()) else {
        return;
    };
    let (volumes, alone): (BTreeSet<String>, bool) = match &verdict.subject {
        Subject::Snapshot(snapshot) => (
            snapshot.volume.iter().map(ToString::to_string).collect(),
            false,
        ),
        // Of a copied AMI EC2 names no instance (`SourceInstanceId`, EC2 API Reference): somebody
        // wanted it, with whatever tags.
        Subject::Image { image, .. } if image.source_instance.is_none() => return,
        Subject::Image { snapshots, .. } => {
            let volumes = snapshots.iter().filter_map(|s| s.volume.as_ref());
            (volumes.map(ToString::to_string).collect(), true)
        }
    };
    if volumes.is_empty() {
        return;
    }
    let id = verdict.subject.id().to_owned();
    let same = |one: &&mut Made| !alone && one.run == artifact.run && one.time == time;
    match made.iter_mut().find(same) {
        Some(set) => {
            set.members.push(place);
            set.volumes.extend(volumes);
            set.first = set.first.clone().min(id);
        }
        None => made.push(Made {
            run: artifact.run.clone(),
            time,
            members: vec![place],
            volumes,
            first: id,
        }),
    }
}
