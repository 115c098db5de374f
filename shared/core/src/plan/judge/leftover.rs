//! Backing snapshots that one of Holdfast's own deregistrations left behind.
//!
//! What somebody else left is judged beside these (see `orphan`). What Holdfast began it finishes;
//! but the table that says so only lets a snapshot be considered. Whether it goes is the policy's
//! word, on live evidence: only if the AMI that it was would not be kept today.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::artifact::{ARTIFACT, ArtifactKind, RUN, SLOT, SOURCE};
use crate::id::ImageId;
use crate::inventory::table::{ImageTable, PackedId, SnapshotTable};
use crate::inventory::{ImageState, List, SnapshotState};
use crate::plan::settle::retry_after;
use crate::policy::{Policy, PolicyFile, Protect};
use crate::report::{Reason, ReasonCode};
use crate::retention::Backup;

use super::judged::Judged;
use super::orphan::{is_of_one_run, is_orphan};
use super::retention::{Gone, GroupKey, Groups, kept, source_gone};
use super::{Decision, Subject, Verdict, Verdicts};

/// What the records say of a snapshot whose AMI Holdfast deregistered, or meant to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// The AMI that it backed.
    pub image: ImageId,
    /// The AMI's creation date as recorded, UTC.
    pub time: Timestamp,
    /// How often its deletion was tried without success.
    pub tries: u32,
    /// When it was last tried, on the wall clock.
    pub last: Option<Timestamp>,
}

/// The listed backing snapshots over which no AMI of their own run stands: those worth a question to
/// the records. Other AMIs may.
///
/// None while the list of images is not complete.
#[must_use]
pub fn without_own_image(
    snapshots: &List<SnapshotTable>,
    images: &List<ImageTable>,
) -> BTreeSet<String> {
    if !images.is_complete() {
        return BTreeSet::new();
    }
    let (snapshots, images) = (&snapshots.items, &images.items);
    let mut mapped: Vec<(PackedId, usize)> = (0..images.len())
        .flat_map(|image| images.mapped(image).map(move |id| (id, image)))
        .collect();
    mapped.sort_unstable();
    let backing =
        (0..snapshots.len()).filter(|&row| snapshots.tag(row, ARTIFACT) == Some("image-snapshot"));
    let without = backing.filter(|&row| {
        let id = snapshots.id(row).filter(|id| id.is_shaped());
        let Some(id) = id.or_else(|| images.pack(&snapshots.snapshot_id(row)?)) else {
            return true;
        };
        let from = mapped.partition_point(|(mapped, _)| *mapped < id);
        let over = mapped[from..]
            .iter()
            .take_while(|(mapped, _)| *mapped == id);
        !over.into_iter().any(|&(_, image)| {
            is_of_one_run(images, image, snapshots, row)
                && images.state(image) != Some(ImageState::Deregistered)
        })
    });
    without.filter_map(|row| snapshots.id_text(row)).collect()
}

/// Condemns what the policy would not keep if it were still the AMI that it was.
///
/// Each former AMI is tried by itself against the real ones, whose verdicts stay untouched.
pub(super) fn judge(
    policies: &PolicyFile,
    verdicts: &mut Verdicts<'_>,
    groups: &Groups<'_>,
    leftovers: &BTreeMap<String, Leftover>,
    by_others: &BTreeSet<usize>,
    gone: &Gone<'_>,
    now: Timestamp,
) {
    if leftovers.is_empty() {
        return;
    }
    let mut former: BTreeMap<Former, Vec<(usize, Verdict)>> = BTreeMap::new();
    for place in verdicts
        .backing()
        .filter(|place| !by_others.contains(place))
    {
        let verdict = verdicts.get(place);
        if let Some(verdict) = verdict.filter(|v| leftovers.contains_key(v.subject.id()))
            && let Some(key) = former_image(&verdict, leftovers)
        {
            former.entry(key).or_default().push((place, verdict));
        }
    }
    for (key, members) in former {
        let Some(policy) = policies.policies.iter().find(|p| p.name == key.policy) else {
            continue;
        };
        if policy.protect != Protect::Instances {
            continue;
        }
        // EC2's times, and what is recorded: a time may keep a snapshot, and none may condemn it
        // against another. Even a later one could, in a period of which a newer backup stands.
        let mut times: BTreeSet<Timestamp> = BTreeSet::new();
        for (_, Verdict { subject, .. }) in &members {
            times.extend(subject.time());
            times.extend(leftovers.get(subject.id()).map(|leftover| leftover.time));
        }
        if members.iter().any(|(_, v)| v.subject.time().is_none()) {
            continue;
        }
        let Some(newest) = times.last().copied() else {
            continue;
        };
        let Some(group) = key.group(policy, &members[0].1) else {
            continue;
        };
        let backups = groups.backups(&policy.name, &group, verdicts);
        let last = backups.iter().map(|backup| backup.time).max();
        let last = last.map_or(newest, |last| last.max(newest));
        let reason = match gone.long_enough(policy, &group, last, now) {
            Some(since) => (newest <= now).then(|| source_gone(since)),
            None => {
                let kept_at = |time: &Timestamp| {
                    let mut with = backups.clone();
                    with.push(Backup {
                        id: key.image.to_string(),
                        time: *time,
                    });
                    let reasons = kept(policy, now, &with).pop();
                    reasons.is_none_or(|reasons| !reasons.is_empty())
                };
                (!times.iter().any(kept_at)).then(|| {
                    let detail = format!("no rule of {} would keep its AMI", policy.name);
                    Reason::with(ReasonCode::Expired, detail)
                })
            }
        };
        for (place, Verdict { subject, .. }) in members {
            let image = &key.image;
            verdicts.set_former_image(place, image.clone());
            let retry_at = leftovers.get(subject.id()).and_then(|leftover| {
                let last = leftover.last?;
                Some(retry_after(leftover.tries, last))
            });
            verdicts.set_retry_at(place, retry_at);
            let decision = match &reason {
                Some(reason) => Decision::Condemn(vec![
                    Reason {
                        code: ReasonCode::Orphaned,
                        detail: Some(format!(
                            "its AMI {image} was deregistered by an earlier sweep"
                        )),
                        path: vec![subject.id().to_owned(), image.to_string()],
                    },
                    reason.clone(),
                ]),
                None => Decision::Hold(vec![Reason::with(
                    ReasonCode::Orphaned,
                    format!(
                        "its AMI {image} was deregistered by an earlier sweep, but {} would keep \
                         that AMI now",
                        policy.name
                    ),
                )]),
            };
            verdicts.decide(place, decision);
        }
    }
}

/// An AMI that was: what its snapshots have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Former {
    policy: String,
    image: ImageId,
    source: String,
    slot: String,
    run: String,
}

impl Former {
    fn group(&self, policy: &Policy, verdict: &Verdict) -> Option<GroupKey> {
        let artifact = verdict.artifact.as_ref()?;
        let value = artifact.group.as_deref();
        Some(GroupKey::of(&policy.group, &self.source, value))
    }
}

/// The AMI that an orphan was part of, when it is one of Holdfast's own leftovers and usable.
fn former_image(verdict: &Verdict, leftovers: &BTreeMap<String, Leftover>) -> Option<Former> {
    let Subject::Snapshot(snapshot) = &verdict.subject else {
        return None;
    };
    let leftover = leftovers.get(snapshot.id.as_str())?;
    let artifact = verdict.artifact.as_ref()?;
    let orphaned = artifact.kind == ArtifactKind::ImageSnapshot && is_orphan(&verdict.decision);
    let settled = matches!(
        snapshot.state,
        SnapshotState::Completed | SnapshotState::Error
    );
    let tag = |name: &str| snapshot.tags.get(name).cloned();
    (orphaned && settled).then_some(Former {
        policy: verdict.policy.clone(),
        image: leftover.image.clone(),
        source: tag(SOURCE)?,
        slot: tag(SLOT)?,
        run: tag(RUN)?,
    })
}
