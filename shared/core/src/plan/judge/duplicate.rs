//! Snapshots that were made twice, although one was asked for.
//!
//! EC2's creating calls have no client token. Where a list lags for longer than a request is waited
//! for, one slot of one source may be made again. The older whole backup stays and takes part in
//! retention; the newer is no backup of its own and goes.
//!
//! AMIs are never made twice: their name is unique in the account and Region, and its attempt only
//! grows when EC2 has failed the one before (`InvalidAMIName.Duplicate`, EC2 API Reference).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::report::{Reason, ReasonCode};

use super::retention::Candidate;
use super::{Decision, Subject, Verdict};

/// What one call made: a snapshot, or the members of one set.
///
/// EC2 gives all members of a set one `StartTime` (`CreateSnapshots`, EC2 API Reference), so that
/// the sets of two calls of one run are two.
struct Made {
    run: Option<String>,
    time: Timestamp,
    members: Vec<usize>,
    volumes: BTreeSet<String>,
    /// Identifier of the first member, by which what was made in one second is ordered.
    first: String,
}

/// Policy, slot and source that a call was made for.
type Asked = (String, Timestamp, String);

/// Takes the duplicates out of `candidates`, so that they use up no slot of a rule. The answer is
/// which verdicts they are, with the reason of each.
pub(super) fn set_aside(
    verdicts: &[Verdict],
    candidates: &mut Vec<Candidate<'_>>,
) -> BTreeMap<usize, Reason> {
    let mut duplicates = BTreeMap::new();
    for made in by_what_was_asked(verdicts, candidates).into_values() {
        for (n, newer) in made.iter().enumerate() {
            let covers = |older: &&Made| newer.volumes.is_subset(&older.volumes);
            // The first that has all of it is no duplicate itself: it would be covered by another
            // before it, which has all of this one, too.
            let Some(older) = made[..n].iter().find(covers) else {
                continue;
            };
            for index in &newer.members {
                duplicates.insert(*index, reason(&verdicts[*index], older));
            }
        }
    }
    candidates.retain(|candidate| !duplicates.contains_key(&candidate.index));
    duplicates
}

/// Condemns the duplicates. After the rules, because a kept backup of the same run keeps its set.
pub(super) fn condemn(verdicts: &mut [Verdict], duplicates: BTreeMap<usize, Reason>) {
    for (index, reason) in duplicates {
        verdicts[index].decision = Decision::Condemn(vec![reason]);
    }
}

fn reason(verdict: &Verdict, older: &Made) -> Reason {
    let detail = format!(
        "{} of {} was made for the same slot and source before it",
        older.first, older.time
    );
    Reason {
        code: ReasonCode::Duplicate,
        detail: Some(detail),
        path: vec![verdict.subject.id().to_owned(), older.first.clone()],
    }
}

/// The good backups of each policy, slot and source that is there more than once, oldest first.
fn by_what_was_asked(
    verdicts: &[Verdict],
    candidates: &[Candidate<'_>],
) -> BTreeMap<Asked, Vec<Made>> {
    let mut asked: BTreeMap<Asked, Vec<usize>> = BTreeMap::new();
    for candidate in candidates {
        if let Some(key) = what_was_asked(&verdicts[candidate.index]) {
            asked.entry(key).or_default().push(candidate.index);
        }
    }
    let made = asked.into_iter().map(|(key, members)| {
        let mut made: Vec<Made> = Vec::new();
        for index in members {
            add(&mut made, verdicts, index);
        }
        made.sort_by(|a, b| (a.time, &a.first).cmp(&(b.time, &b.first)));
        (key, made)
    });
    made.filter(|(_, made)| made.len() > 1).collect()
}

fn what_was_asked(verdict: &Verdict) -> Option<Asked> {
    let artifact = verdict.artifact.as_ref()?;
    let is_snapshot = matches!(verdict.subject, Subject::Snapshot(_));
    let source = artifact.source.clone().filter(|_| is_snapshot)?;
    Some((verdict.policy.clone(), artifact.slot?, source))
}

fn add(made: &mut Vec<Made>, verdicts: &[Verdict], index: usize) {
    let verdict = &verdicts[index];
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
            set.members.push(index);
            set.volumes.insert(volume.to_owned());
            set.first = set.first.clone().min(id);
        }
        None => made.push(Made {
            run: artifact.run.clone(),
            time,
            members: vec![index],
            volumes: BTreeSet::from([volume.to_owned()]),
            first: id,
        }),
    }
}
