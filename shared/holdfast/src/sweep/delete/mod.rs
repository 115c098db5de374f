//! Carrying out a plan: recorded, checked once more, deleted, recorded.

mod backing;
mod call;
mod check;
mod ground;
mod holders;
mod image;
mod intents;
mod proof;
mod release;
mod sentence;
mod snapshot;
mod turn;

pub(super) use proof::Runner;

use std::collections::VecDeque;

use futures::{StreamExt, stream};
use holdfast_core::inventory::{Inventory, Reading};
use holdfast_core::plan::judge::{Decision, Judged, Subject, Verdict};
use holdfast_core::plan::settle::Settled;
use holdfast_core::ports::records::{Lease, Records};
use holdfast_core::ports::{ReadEc2, WriteEc2};
use holdfast_core::report::{Action, FUNCTION_LIMIT, Item, Items, Outcome, Reason, ReasonCode};
use jiff::Timestamp;

use self::call::deferred;
use self::check::{Look, Looked};
use self::ground::Ground;
use self::image::Deregistered;
use self::proof::Proof;
use self::release::Release;
use self::turn::{first_left, in_turn, next_batch};
use super::census::{Counted, condemned_images, deleted_images, not_kept};
use super::gather::{Planned, Sweep};
use crate::aws::CALL_TIMEOUT;
use crate::error::RunError;
use crate::function::Invocation;
use crate::lease::Held;

/// Snapshots that are checked again together, just before they go: as many as one filter takes.
const SNAPSHOTS_TOGETHER: usize = 200;
/// Images that are: as many as one `DescribeImageReferences` takes (EC2 API Reference), and more only
/// where they share a fate.
const IMAGES_TOGETHER: usize = 10;
/// Deletions under way at once. Each waits for some six answers, a quarter of a second with 40 ms
/// a call, so that these make well over the five a second that EC2 allows.
const AT_ONCE: usize = 8;

pub(super) struct Deleter<'a, E, R: Records> {
    pub ec2: &'a E,
    pub records: &'a R,
    pub held: &'a Held<'a, R>,
    pub invocation: &'a Invocation,
    pub sweep: &'a Sweep<'a>,
    pub runner: &'a Runner,
}

/// What came of carrying out a plan.
pub(super) struct Enforced {
    /// The report's items.
    pub items: Items,
    /// Whether nothing is left to do.
    pub complete: bool,
    /// How the last look read what only it reads.
    pub looked: Vec<Reading>,
}

/// What is known before the first deletion, so that the lists of artifacts can be let go of.
pub(super) struct Prepared {
    condemned: Vec<Verdict>,
    ground: Ground,
    account: Option<String>,
    counted: Option<Counted>,
    /// AMIs that are to go.
    images: u64,
    release: Option<Release>,
    work: Work,
}

impl<E: ReadEc2 + WriteEc2, R: Records> Deleter<'_, E, R> {
    /// Puts on record what must be there before the first deletion, and takes over what the
    /// deletions need of the plan.
    pub(super) async fn prepare(
        &self,
        planned: Planned<'_>,
        lists: &Inventory,
    ) -> Result<Prepared, RunError> {
        let Planned {
            verdicts,
            settled,
            pin,
            unpin,
            on_record,
            marked,
            waiting,
            returned,
            unheard,
            outlived,
            counted,
            release_unknown,
            released,
            ..
        } = planned;
        let hash = self.sweep.release.filter(|_| !release_unknown);
        let mut release = hash.and_then(|hash| Release::new(hash, released, &settled));
        let lease = self.held.good_for(CALL_TIMEOUT).await?;
        let mut items = Items::within(FUNCTION_LIMIT);
        // Before their intents are closed, so that no mark outlives what says that it is void.
        let anew: Vec<String> = unheard.iter().map(|d| d.resource.clone()).collect();
        self.records.set_condemned(&anew, None, &lease).await?;
        items.extend(self.close_refuted(lists).await?);
        self.close_unheard(unheard).await?;
        items.extend(self.put_aside_outlived(outlived, &returned, lists).await?);
        // A pin is on record before anything is deleted, so that it outlives its source.
        self.records.pin(&pin, Some(&lease)).await?;
        self.records.unpin(&unpin, &lease).await?;
        self.records.set_condemned(&returned, None, &lease).await?;
        self.records
            .set_waiting_orphans(&returned, false, &lease)
            .await?;
        // Before they are marked, so that no mark is left that nobody finds.
        self.records
            .set_waiting_orphans(&waiting, true, &lease)
            .await?;
        self.records
            .set_condemned(&settled.grace_begins, Some(self.sweep.now), &lease)
            .await?;
        self.records
            .set_condemned(&settled.freed, None, &lease)
            .await?;
        items.extend(self.save_tripped(&settled, &lease).await);
        self.record_holders(lists).await?;
        // Cut off, this sweep must not look like a collapse to the next.
        let images = condemned_images(&verdicts);
        let not_kept = self.keep_counts(counted.as_ref(), images).await;
        if let Some(release) = release.as_mut().filter(|_| not_kept.is_some()) {
            release.leave();
        }
        items.extend(not_kept);

        let mut condemned = Vec::new();
        let mut complete = true;
        for v in 0..verdicts.len() {
            let decision = verdicts.decision(v);
            if let Some(release) = &mut release {
                release.look(verdicts.policy(v), &verdicts.id(v), decision);
            }
            if matches!(decision, Decision::Condemn(_)) {
                condemned.extend(verdicts.get(v));
                continue;
            }
            let reasons = decision.reasons();
            complete &= reasons.iter().all(|r| r.code != ReasonCode::RetryLater);
            let outcome = decision.outcome(Outcome::Held);
            items.offer(outcome, reasons, || verdicts.item(v, Outcome::Held));
        }
        if let Some(release) = &mut release {
            release.looked(lists, self.sweep.only);
        }
        Ok(Prepared {
            ground: Ground::new(lists, on_record, marked, &condemned),
            condemned,
            account: lists.own_account(self.sweep.account).map(str::to_owned),
            counted,
            images,
            release,
            work: Work {
                items,
                complete,
                settled: 0,
                of: 0,
            },
        })
    }

    /// Deletes what is condemned. Of the lists only those of what may refer to it are looked at.
    pub(super) async fn carry_out(&self, prepared: Prepared, lists: &mut Inventory) -> Enforced {
        let Prepared {
            condemned,
            ground,
            account,
            mut counted,
            images: planned,
            release,
            mut work,
        } = prepared;
        let resume_at = counted.as_ref().and_then(Counted::resume_at);
        work.of = condemned.len();
        let order = in_turn(condemned, resume_at);
        let ids = |part: &Vec<Verdict>| part.iter().map(|v| v.subject.id().to_owned()).collect();
        let ids: Vec<Vec<String>> = order.iter().map(ids).collect();
        let Sweep { policies, now, .. } = *self.sweep;
        let look = Look::new(self.ec2, policies, now, account, &ground.readings);
        for part in order {
            let is_image = |v: &Verdict| matches!(v.subject, Subject::Image { .. });
            if part.first().is_some_and(is_image) {
                self.images(part, &look, &ground, lists, &mut work).await;
            } else {
                self.snapshots(part, &look, &ground, lists, &mut work).await;
            }
        }
        let Work {
            mut items,
            complete,
            ..
        } = work;
        let deleted = deleted_images(items.made());
        let left = first_left(&ids, items.made());
        let moved = counted.as_mut().is_some_and(|counted| {
            // A sweep of one policy that got through says nothing of where the others were.
            (left.is_some() || self.sweep.only.is_none()) && counted.resume(left)
        });
        if deleted != planned || moved {
            items.extend(self.keep_counts(counted.as_ref(), deleted).await);
        }
        if let Some(release) = release.filter(|release| release.is_carried_out(items.made())) {
            items.extend(self.spend(&release).await);
        }
        items.sort();
        Enforced {
            items,
            complete,
            looked: look.readings(),
        }
    }

    async fn images(
        &self,
        images: Vec<Verdict>,
        look: &Look<'_, E>,
        ground: &Ground,
        lists: &mut Inventory,
        work: &mut Work,
    ) {
        let mut images = VecDeque::from(images);
        while !images.is_empty() {
            let together = next_batch(&mut images, IMAGES_TOGETHER);
            let looking = look.images(together.clone(), lists);
            let Some(checked) = self.invocation.in_time(looking).await else {
                work.out_of_time(together.iter().chain(&images));
                return;
            };
            let mut ended: Vec<Deregistered> = stream::iter(checked)
                .map(|looked| self.deregister(looked, ground))
                .buffer_unordered(AT_ONCE)
                .collect()
                .await;
            let failed = self.settle_staying(&mut ended, ground).await;
            work.complete &= failed.is_empty();
            work.items.extend(failed);
            for one in ended {
                self.settled(work, one.item, one.done);
            }
        }
    }

    async fn snapshots(
        &self,
        snapshots: Vec<Verdict>,
        look: &Look<'_, E>,
        ground: &Ground,
        lists: &mut Inventory,
        work: &mut Work,
    ) {
        let mut snapshots = VecDeque::from(snapshots);
        while !snapshots.is_empty() {
            let together = next_batch(&mut snapshots, SNAPSHOTS_TOGETHER);
            let looking = look.snapshots(together.clone(), lists);
            let Some(checked) = self.invocation.in_time(looking).await else {
                work.out_of_time(together.iter().chain(&snapshots));
                return;
            };
            let mut under_way = stream::iter(checked)
                .map(|looked| self.delete(looked, look, ground))
                .buffer_unordered(AT_ONCE);
            while let Some((item, done)) = under_way.next().await {
                self.settled(work, item, done);
            }
        }
    }

    fn settled(&self, work: &mut Work, item: Item, done: bool) {
        work.add(item, done);
        work.settled += 1;
        self.invocation.tell(work.settled, work.of);
    }

    /// Keeps what this sweep counted, less the AMIs that it takes away itself.
    async fn keep_counts(&self, counted: Option<&Counted>, images: u64) -> Option<Item> {
        let counted = counted?;
        match self.held.good_for(CALL_TIMEOUT).await {
            Ok(lease) => {
                let policies = self.sweep.policies;
                counted
                    .save(self.records, policies, images, Some(&lease))
                    .await
            }
            Err(error) => Some(not_kept(&error)),
        }
    }

    /// Stores what a tripped breaker holds, so that it can be released by its hash. A plan too long
    /// for one record is held all the same; only its release is not on offer.
    async fn save_tripped(&self, settled: &Settled, lease: &Lease) -> Option<Item> {
        if settled.tripped.is_empty() {
            return None;
        }
        let offered = settled.offered();
        let (hash, wall) = (&settled.plan_hash, Timestamp::now());
        let saved = self.records.save_tripped(hash, &offered, wall, lease).await;
        let error = saved.err()?;
        let detail = format!("{error}; sweep the policies one by one to release them");
        let reason = Reason::with(ReasonCode::TableFailed, detail);
        Some(Item::new(Action::Check, hash, Outcome::Failed).reason(reason))
    }

    /// Why a call must not be sent now, although all was well when it was prepared.
    fn thawed(&self, ground: &Ground, looked: &Looked) -> Option<Reason> {
        if !self.invocation.has_time() {
            let words = "this invocation's time is over";
            return Some(Reason::with(ReasonCode::OutOfTime, words));
        }
        looked.stale(self.sweep.policies, &ground.readings, Timestamp::now())
    }

    fn proof<'p>(&'p self, ground: &'p Ground) -> Proof<'p> {
        Proof {
            policies: self.sweep.policies,
            runner: self.runner,
            lists: &ground.lists,
            binned_not_on_record: ground.binned_not_on_record,
        }
    }
}

/// What is done so far.
struct Work {
    items: Items,
    complete: bool,
    /// Of how many of the condemned it is known what came of them.
    settled: usize,
    /// How many are condemned.
    of: usize,
}

impl Work {
    fn add(&mut self, item: Item, done: bool) {
        self.items.push(item);
        self.complete &= done;
    }

    fn out_of_time<'v>(&mut self, left: impl Iterator<Item = &'v Verdict>) {
        for verdict in left {
            let words = "this invocation's time is over";
            self.add(deferred(verdict, ReasonCode::OutOfTime, words), false);
        }
    }
}
