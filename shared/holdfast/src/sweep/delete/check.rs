//! The last look at what is about to go: whatever changed since the lists were read is held, and
//! what no list tells (shares, and the references that EC2 itself knows) is read now.

mod changes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::{StreamExt, stream};
use holdfast_core::dependency::{Moment, References, Words, shared, unread};
use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::{
    Image, ImageReference, Inventory, Listing, Reading, ReferenceScope, Share, Snapshot, Source,
};
use holdfast_core::plan::judge::{Decision, Subject, Verdict, share_fate};
use holdfast_core::policy::{EvidenceSource, Policy, PolicyFile};
use holdfast_core::ports::{CallError, ImageScope, InstanceScope, ReadEc2, SnapshotScope};
use holdfast_core::report::{Reason, ReasonCode, together};
use jiff::{SignedDuration, Timestamp};

use crate::pace::Pace;

/// How old the last look's list of launch templates may be.
const TEMPLATES_FRESH: SignedDuration = SignedDuration::from_mins(1);
/// Shares that are read at once.
const SHARES_AT_ONCE: usize = 8;

/// A verdict, and how the last look read what it rests on.
#[derive(Clone, Debug)]
pub(super) struct Looked {
    pub verdict: Verdict,
    pub readings: Vec<Reading>,
}

impl Looked {
    /// Whether missing evidence holds it, and nothing else does. That its AMI is gone holds nothing.
    pub(super) fn unread(&self) -> bool {
        let Decision::Hold(reasons) = &self.verdict.decision else {
            return false;
        };
        let holds = reasons.iter().filter(|r| r.code != ReasonCode::Orphaned);
        let mut holds = holds.peekable();
        holds.peek().is_some() && holds.all(|r| r.code == ReasonCode::EvidenceIncomplete)
    }

    /// Why the evidence does not justify the deletion any more: it has grown too old.
    pub(super) fn stale(
        &self,
        policies: &PolicyFile,
        lists: &[Reading],
        wall: Timestamp,
    ) -> Option<Reason> {
        let missing = self.missing(policies, lists, wall, Moment::Acting);
        missing.into_iter().next()
    }

    fn missing(
        &self,
        policies: &PolicyFile,
        lists: &[Reading],
        wall: Timestamp,
        moment: Moment,
    ) -> Vec<Reason> {
        let readings = [lists, &self.readings].concat();
        let policy = policy(policies, &self.verdict);
        unread(policy, &self.verdict.subject, &readings, wall, moment)
    }
}

fn policy<'p>(policies: &'p PolicyFile, verdict: &Verdict) -> Option<&'p Policy> {
    policies.policies.iter().find(|p| p.name == verdict.policy)
}

/// Whether it is part of what is left of an AMI, or takes such along.
fn is_part(looked: &Looked) -> bool {
    looked.verdict.orphan_of.is_some()
}

/// Holds those with which a part of a former AMI would go of which another is held.
fn hold_parts(checked: &mut [Looked]) {
    let parts: Vec<&mut Looked> = checked.iter_mut().filter(|one| is_part(one)).collect();
    let mut verdicts: Vec<Verdict> = parts.iter().map(|one| one.verdict.clone()).collect();
    share_fate(&mut verdicts);
    for (part, verdict) in parts.into_iter().zip(verdicts) {
        part.verdict = verdict;
    }
}

/// The means of the last look.
pub(super) struct Look<'a, E> {
    ec2: &'a E,
    policies: &'a PolicyFile,
    now: Timestamp,
    account: Option<String>,
    lists: &'a [Reading],
    image_shares: Pace,
    snapshot_shares: Pace,
    read: Mutex<BTreeMap<Source, Reading>>,
    templates_read: Mutex<Option<Timestamp>>,
}

impl<'a, E: ReadEc2> Look<'a, E> {
    /// `now` is the sweep's, `account` one's own; `lists` is how the lists that the verdicts rest on
    /// were read.
    pub(super) fn new(
        ec2: &'a E,
        policies: &'a PolicyFile,
        now: Timestamp,
        account: Option<String>,
        lists: &'a [Reading],
    ) -> Self {
        Self {
            ec2,
            policies,
            now,
            account,
            lists,
            image_shares: Pace::reads(),
            snapshot_shares: Pace::reads(),
            read: Mutex::default(),
            templates_read: Mutex::default(),
        }
    }

    /// How all of it read shares and EC2's own references, one reading a source.
    pub(super) fn readings(self) -> Vec<Reading> {
        let read = self.read.into_inner();
        let read = read.unwrap_or_else(PoisonError::into_inner);
        read.into_values().collect()
    }

    fn remember(&self, reading: &Reading) {
        let mut read = lock(&self.read);
        let before = read.remove(&reading.source).into_iter();
        let both = together(reading.source, before.chain([reading.clone()]));
        read.extend(both.map(|both| (both.source, both)));
    }

    /// Reads condemned snapshots, the images over them and the launch templates once more; what
    /// changed is held. Their shares are left to [`Self::shares`], right before each goes.
    pub(super) async fn snapshots(
        &self,
        condemned: Vec<Verdict>,
        lists: &mut Inventory,
    ) -> Vec<Looked> {
        let wanted = condemned.iter().filter_map(|v| match &v.subject {
            Subject::Snapshot(snapshot) => Some(snapshot.id.clone()),
            Subject::Image { .. } => None,
        });
        let ids: Vec<SnapshotId> = wanted.collect();
        let (again, mapping) = (SnapshotScope::Ids(ids.clone()), ImageScope::MappingAny(ids));
        let (snapshots, images, ()) = tokio::join!(
            self.ec2.snapshots(&again),
            self.ec2.images(&mapping),
            self.templates_again(lists),
        );
        let mut readings = vec![snapshots.reading(), images.reading()];
        readings.extend(lists.templates.as_ref().map(Listing::reading));
        lists.images = images.into_items();
        let references = References::new(lists);
        let mut present = by_id(snapshots);
        let checked = condemned.into_iter().map(|mut verdict| {
            let Subject::Snapshot(before) = verdict.subject.clone() else {
                return self.finish(verdict, readings.clone());
            };
            for holder in self.holders(&references, &verdict) {
                verdict.hold(holder);
            }
            let now = present.items.remove(&before.id);
            changes::snapshot(&mut verdict, &before, now.as_ref(), present.complete);
            if let Some(now) = now {
                verdict.subject = Subject::Snapshot(now);
            }
            self.finish(verdict, readings.clone())
        });
        let mut checked: Vec<Looked> = checked.collect();
        self.share_fate(&mut checked).await;
        checked
    }

    /// Half of what is left of an AMI restores nothing: its parts go together or not at all, so that
    /// their shares are read before the first of them goes.
    async fn share_fate(&self, checked: &mut [Looked]) {
        stream::iter(checked.iter_mut().filter(|looked| is_part(looked)))
            .for_each_concurrent(SHARES_AT_ONCE, |looked| self.shares(looked))
            .await;
        hold_parts(checked);
    }

    /// Reads condemned images, what was launched from them, what refers to them and who may use
    /// them; what changed and what is needed is held.
    pub(super) async fn images(
        &self,
        condemned: Vec<Verdict>,
        lists: &mut Inventory,
    ) -> Vec<Looked> {
        let (ids, backing) = named(&condemned);
        let (launched, again) = (
            InstanceScope::LaunchedFrom(ids.clone()),
            ImageScope::Ids(ids.clone()),
        );
        let backing = SnapshotScope::Ids(backing.into_iter().collect());
        let (images, instances, snapshots, locks, launches, recipes, ()) = tokio::join!(
            self.ec2.images(&again),
            self.ec2.instances(&launched),
            self.ec2.snapshots(&backing),
            // EC2 deregisters the AMI over a locked snapshot, and leaves that behind.
            self.ec2.locks(),
            self.references(&condemned, ReferenceScope::Launches),
            self.references(&condemned, ReferenceScope::Recipes),
            self.templates_again(lists),
        );
        let mut readings = vec![
            images.reading(),
            instances.reading(),
            snapshots.reading(),
            locks.reading(),
        ];
        lists.locks = locks;
        readings.extend(lists.templates.as_ref().map(Listing::reading));
        let told: Vec<Listing<ImageReference>> = launches.into_iter().chain(recipes).collect();
        for list in &told {
            self.remember(&list.reading());
            readings.push(list.reading());
        }
        let told: Vec<ImageReference> = told.into_iter().flat_map(|list| list.items).collect();
        // What was launched since the lists were read, and in which state the others are now.
        let of_these = |image: &Option<ImageId>| image.as_ref().is_some_and(|id| ids.contains(id));
        let lists_instances = &mut lists.instances.items;
        lists_instances.retain(|instance| instances.error.is_some() || !of_these(&instance.image));
        lists_instances.extend(instances.items);
        let complete = images.is_complete();
        let present: BTreeMap<ImageId, Image> = images
            .items
            .iter()
            .map(|image| (image.id.clone(), image.clone()))
            .collect();
        lists.images = images.into_items();
        let references = References::new(lists);
        let backing = by_id(snapshots);
        let mut checked: Vec<Looked> = Vec::with_capacity(condemned.len());
        for mut verdict in condemned {
            let Subject::Image {
                image,
                snapshots: before,
            } = verdict.subject.clone()
            else {
                checked.push(self.finish(verdict, readings.clone()));
                continue;
            };
            let now = present.get(&image.id);
            if let Some(now) = now {
                // What it says of its own use is judged as it is now.
                verdict.subject = Subject::Image {
                    image: now.clone(),
                    snapshots: before.clone(),
                };
            }
            let mut holders = self.holders(&references, &verdict);
            let reported = references.referring(&told, &image.id, &self.words(&verdict));
            // What EC2 reports the lists mostly tell too, and with more words.
            let news = reported.into_iter().filter(|one| !told_of(&holders, one));
            let news: Vec<Reason> = news.collect();
            holders.extend(news);
            for holder in holders {
                verdict.hold(holder);
            }
            changes::image(&mut verdict, &image, now, complete);
            let mut snapshots = Vec::with_capacity(before.len());
            for snapshot in before {
                let now = backing.items.get(&snapshot.id);
                changes::snapshot(&mut verdict, &snapshot, now, backing.complete);
                snapshots.push(now.cloned().unwrap_or(snapshot));
            }
            verdict.subject = Subject::Image {
                image: now.cloned().unwrap_or(image),
                snapshots,
            };
            checked.push(self.finish(verdict, readings.clone()));
        }
        stream::iter(&mut checked)
            .for_each_concurrent(SHARES_AT_ONCE, |looked| self.shares(looked))
            .await;
        // Several may take parts of one former AMI along.
        hold_parts(&mut checked);
        checked
    }

    /// Reads who besides oneself may use what is about to go and its snapshots; a share holds.
    pub(super) async fn shares(&self, looked: &mut Looked) {
        let read = |reading: &Reading| reading.source == Source::Shares;
        if !looked.verdict.is_condemned() || looked.readings.iter().any(read) {
            return;
        }
        let read_at = Timestamp::now();
        let (image, snapshots) = match &looked.verdict.subject {
            Subject::Snapshot(snapshot) => (None, vec![&snapshot.id]),
            Subject::Image { image, snapshots } => {
                let backing = snapshots.iter().map(|snapshot| &snapshot.id);
                (Some(&image.id), backing.collect())
            }
        };
        let of_image = async {
            let id = image?;
            self.image_shares.turn().await;
            Some((id.to_string(), self.ec2.image_shares(id).await))
        };
        let of_snapshots = stream::iter(snapshots)
            .map(|id| async {
                self.snapshot_shares.turn().await;
                (id.to_string(), self.ec2.snapshot_shares(id).await)
            })
            .buffered(SHARES_AT_ONCE)
            .collect::<Vec<_>>();
        let (of_image, of_snapshots) = tokio::join!(of_image, of_snapshots);
        let answers: Vec<(String, Result<Vec<Share>, CallError>)> =
            of_image.into_iter().chain(of_snapshots).collect();
        let mut reading = Reading {
            source: Source::Shares,
            count: 0,
            pages: u32::try_from(answers.len()).unwrap_or(u32::MAX),
            read_at,
            error: None,
        };
        let subject = looked.verdict.subject.id().to_owned();
        for (id, answer) in answers {
            let shares = match answer {
                Ok(shares) => shares,
                Err(error) => {
                    reading.error.get_or_insert(error);
                    continue;
                }
            };
            reading.count += shares.len();
            for mut reason in shared(&id, &shares, self.account.as_deref()) {
                if id != subject {
                    reason.path.insert(0, subject.clone());
                }
                looked.verdict.hold(reason);
            }
        }
        self.remember(&reading);
        looked.readings.push(reading);
        self.hold_missing(looked, Moment::Acting);
    }

    /// Everything that needs the subject by the lists as they are now, each with its path.
    fn holders(&self, references: &References<'_>, verdict: &Verdict) -> Vec<Reason> {
        let words = self.words(verdict);
        match &verdict.subject {
            Subject::Snapshot(snapshot) => references.holders_of_snapshot(&snapshot.id, &words),
            Subject::Image { image, snapshots } => {
                let along = snapshots.iter().map(|snapshot| &snapshot.id);
                references.holders_of_image_with_snapshots(image, along, &words)
            }
        }
    }

    fn words(&self, verdict: &Verdict) -> Words<'a> {
        Words::of(policy(self.policies, verdict), self.now)
    }

    fn finish(&self, verdict: Verdict, readings: Vec<Reading>) -> Looked {
        let mut looked = Looked { verdict, readings };
        self.hold_missing(&mut looked, Moment::Planning);
        looked
    }

    /// Holds what rests on a list that could not be read again, or on one read too long ago.
    fn hold_missing(&self, looked: &mut Looked, moment: Moment) {
        for reason in looked.missing(self.policies, self.lists, Timestamp::now(), moment) {
            looked.verdict.hold(reason);
        }
    }

    /// What EC2 itself knows to refer to these images, where a policy of theirs asks for it.
    async fn references(
        &self,
        condemned: &[Verdict],
        scope: ReferenceScope,
    ) -> Option<Listing<ImageReference>> {
        let source = match scope {
            ReferenceScope::Launches => EvidenceSource::ImageReferences,
            ReferenceScope::Recipes => EvidenceSource::ImageRecipes,
        };
        let asked = condemned.iter().filter(|verdict| {
            policy(self.policies, verdict).is_none_or(|p| !p.evidence_not_used.contains(&source))
        });
        let ids: Vec<ImageId> = asked
            .filter_map(|verdict| match &verdict.subject {
                Subject::Image { image, .. } => Some(image.id.clone()),
                Subject::Snapshot(_) => None,
            })
            .collect();
        if ids.is_empty() {
            return None;
        }
        Some(self.ec2.image_references(&ids, scope).await)
    }

    /// Reads launch-template versions again, unless the last look did so just now; of templates that
    /// did not change not more than that.
    async fn templates_again(&self, lists: &mut Inventory) {
        let now = Timestamp::now();
        let young = |at: &Timestamp| now.duration_since(*at).abs() < TEMPLATES_FRESH;
        let Some(known) = &lists.templates else {
            return;
        };
        if lock(&self.templates_read).as_ref().is_some_and(young) {
            return;
        }
        let again = match known.is_complete() {
            true => self.ec2.launch_template_versions_again(&known.items).await,
            false => self.ec2.launch_template_versions().await,
        };
        *lock(&self.templates_read) = again.is_complete().then_some(again.read_at);
        lists.templates = Some(again);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a referrer is told of by these reasons already.
fn told_of(reasons: &[Reason], reported: &Reason) -> bool {
    let told = |reason: &Reason| {
        reason.code == reported.code && reason.path.get(1) == reported.path.get(1)
    };
    reasons.iter().any(told)
}

fn named(condemned: &[Verdict]) -> (Vec<ImageId>, BTreeSet<SnapshotId>) {
    let (mut ids, mut backing) = (Vec::new(), BTreeSet::new());
    for verdict in condemned {
        if let Subject::Image { image, snapshots } = &verdict.subject {
            ids.push(image.id.clone());
            backing.extend(snapshots.iter().map(|s| s.id.clone()));
        }
    }
    (ids, backing)
}

/// Snapshots as they are now.
struct Present {
    items: BTreeMap<SnapshotId, Snapshot>,
    complete: bool,
}

fn by_id(list: Listing<Snapshot>) -> Present {
    let complete = list.is_complete();
    let items = list.items.into_iter();
    Present {
        items: items.map(|s| (s.id.clone(), s)).collect(),
        complete,
    }
}

#[cfg(test)]
mod tests;
