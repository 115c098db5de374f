//! One policy and one slot: who is picked, what is left to do, and doing it.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use holdfast_core::id::{InstanceId, VolumeId};
use holdfast_core::inventory::Volume;
use holdfast_core::lineage::ledger::Move;
use holdfast_core::lineage::{Edge, EdgeKind, SlotRecord, SlotState};
use holdfast_core::plan::create::{Call, Creation, Order, Refused};
use holdfast_core::policy::{Policy, Trigger};
use holdfast_core::ports::records::{
    Head, OpenSource, Readable, Records, TableError, TableErrorKind,
};
use holdfast_core::ports::{ReadEc2, WriteEc2};
use holdfast_core::report::{Action, Item, Outcome, Reason, ReasonCode};
use jiff::Timestamp;
use uuid::Uuid;

use super::late::Late;
use super::pick::{Source, sources};
use super::work::{Progress, Work};
use super::{Creator, Fleet, devices, keys};
use crate::error::RunError;
use crate::lease::Held;

/// Creating calls under way at once.
const AT_ONCE: usize = 8;

/// Which of the picked sources a job is about.
#[derive(Clone, Copy)]
pub(super) enum Wanted<'a> {
    /// All; what is done already is not mentioned.
    All,
    /// All, by request; what the same run did before is mentioned.
    Everything,
    /// One instance's set.
    Instance(&'a InstanceId),
    /// What the request names.
    Resources(&'a [String]),
    /// Sources that were left over; what is done already is not mentioned.
    Left {
        open: &'a [OpenSource],
        /// What the request that left them over named.
        only: Option<&'a [String]>,
    },
}

/// One policy and one slot.
pub(super) struct Job<'a> {
    pub policy: &'a Policy,
    pub slot: Timestamp,
    pub run: &'a str,
    pub wanted: Wanted<'a>,
    /// Whether it is a scheduled slot, which the policy's head stands for.
    pub scheduled: bool,
    /// The on-demand request, where it is one.
    pub request: Option<&'a str>,
    /// The state change that asked for it, where one did.
    pub trigger: Option<Trigger>,
    /// Take over what an earlier run made, and ask for nothing.
    pub look_only: bool,
}

/// What came of a job.
pub(super) struct JobEnd {
    pub items: Vec<Item>,
    pub complete: bool,
    /// Sources that a later heartbeat has to finish.
    pub left: Vec<String>,
    /// Sources whose backup is there.
    pub made: Vec<String>,
    /// Sources that have no backup of a slot that is over.
    pub unmade: Vec<String>,
    /// Sources of which the items tell why they have none.
    pub told: Vec<String>,
    /// Whether nothing was looked at: another run had the lease, the table failed, or there was no
    /// time.
    pub put_off: bool,
}

impl JobEnd {
    pub(super) fn of(items: Vec<Item>, complete: bool) -> Self {
        Self {
            items,
            complete,
            left: Vec::new(),
            made: Vec::new(),
            unmade: Vec::new(),
            told: Vec::new(),
            put_off: false,
        }
    }

    fn source(&mut self, id: &str, items: Vec<Item>, complete: bool) {
        if items.iter().any(|item| item.outcome == Outcome::Created) {
            self.made.push(id.to_owned());
        }
        self.items.extend(items);
        self.complete &= complete;
        if !complete {
            self.left.push(id.to_owned());
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.items.extend(other.items);
        self.complete &= other.complete;
    }
}

impl Job<'_> {
    pub(super) fn item(&self, resource: &str, outcome: Outcome, reason: Reason) -> Item {
        Item::new(Action::Create, resource, outcome)
            .policy(&self.policy.name)
            .slot(self.slot)
            .reason(reason)
    }
}

impl<E: ReadEc2 + WriteEc2, R: Records> Creator<'_, E, R> {
    /// Does a job under the policy's lease; the time until which another run holds it otherwise.
    pub(super) async fn job(
        &self,
        job: &Job<'_>,
        fleet: &Fleet,
    ) -> Result<Result<JobEnd, Timestamp>, RunError> {
        let name = format!("{}#{}", self.function(), job.policy.name);
        let holder = format!("{}#{}", self.invocation.id, Uuid::new_v4());
        let held = match Held::take(self.records, &name, &holder).await? {
            Ok(held) => held,
            Err(until) => return Ok(Err(until)),
        };
        let end = held.during(self.under_lease(job, fleet, &held)).await;
        held.release().await;
        Ok(Ok(end?))
    }

    async fn under_lease(
        &self,
        job: &Job<'_>,
        fleet: &Fleet,
        held: &Held<'_, R>,
    ) -> Result<JobEnd, RunError> {
        let set_head = async |complete: bool| {
            let agenda = self.agenda.get();
            let head = Head {
                slot: job.slot,
                complete,
                first: agenda.is_some_and(|agenda| agenda.is_first(&job.policy.name)),
            };
            let lease = held.token().await;
            self.records
                .set_head(self.function(), &job.policy.name, &head, &lease)
                .await
        };
        if job.scheduled {
            // What was known when this run woke may have changed before it got the lease.
            let begun = self.records.begun(self.function()).await?;
            let head = begun.heads.get(&job.policy.name);
            let over =
                |head: &Head| head.slot > job.slot || (head.slot == job.slot && head.complete);
            if head.is_some_and(over) {
                return Ok(JobEnd::of(Vec::new(), true));
            }
            if head.is_none_or(|head| head.slot < job.slot) {
                set_head(false).await?;
            }
        }
        let (picked, items) = job.pick(fleet);
        let mut end = JobEnd::of(items, true);
        let sources = sources(&picked);
        let ids: Vec<String> = sources
            .iter()
            .map(|source| source.id().to_owned())
            .collect();
        let Readable {
            read: records,
            unreadable,
        } = self.slots_of(job, &ids).await?;
        for (source, error) in unreadable {
            let reason = Reason::with(ReasonCode::TableFailed, error.to_string());
            let item = job.item(&source, Outcome::Failed, reason).source(&source);
            end.source(&source, vec![item], false);
        }
        let order = Order {
            policy: job.policy,
            slot: job.slot,
            run: job.run,
            request: job.request,
        };
        let work = Work {
            creator: self,
            held,
            order: &order,
            trigger: job.trigger,
            look_only: job.look_only,
            late: Late::new(job, self.agenda.get()),
        };
        let (records, unwritten) = work.join(records).await;
        for (source, error) in unwritten {
            end.source(&source, vec![work.stopped(&source, &error)], false);
        }
        let wall = Timestamp::now();
        let mut open = Vec::new();
        let mut over = Vec::new();
        for source in &sources {
            if end.left.iter().any(|id| id == source.id()) {
                continue;
            }
            let record = records.get(source.id());
            match work.next_move(record, wall) {
                Move::Ask | Move::Wait(_) if job.look_only => over.push((source.id(), record)),
                Move::Wait(until) => {
                    let detail = format!("EC2 failed it; it is started again from {until}");
                    let reason = Reason::with(ReasonCode::RetryLater, detail);
                    let item = job.item(source.id(), Outcome::Deferred, reason);
                    end.source(source.id(), vec![item.source(source.id())], false);
                }
                Move::Nothing => {
                    if record.is_some_and(|r| r.state != SlotState::Failed) {
                        end.made.push(source.id().to_owned());
                    }
                    let by_request = !matches!(job.wanted, Wanted::All | Wanted::Left { .. });
                    if let Some(record) = record.filter(|_| by_request) {
                        end.items.extend(self.done_before(job, record).await?);
                    }
                }
                step => open.push((source, record, step)),
            }
        }
        let devices = devices::instance_store(self.ec2, fleet, open.iter().map(|(s, ..)| *s)).await;
        let volumes: BTreeMap<&VolumeId, &Volume> =
            fleet.volumes.iter().map(|v| (&v.id, v)).collect();
        let mut ready = Vec::new();
        for (source, record, step) in open {
            match creation(&order, source, fleet, &volumes, &devices, record) {
                Ok(mut creation) => {
                    work.spare(&mut creation, fleet);
                    ready.push((creation, record, step));
                }
                Err(_) if job.look_only => over.push((source.id(), record)),
                Err(refused) => {
                    let done = work.refuse(source.id(), record, &refused).await;
                    let mut items = refused.items;
                    let complete = done.unwrap_or_else(|error| {
                        items.push(work.stopped(source.id(), &error));
                        false
                    });
                    end.source(source.id(), items, complete);
                }
            }
        }
        for (source, record) in over {
            match work.event_over(source, record).await {
                Ok(None) => end.unmade.push(source.to_owned()),
                Ok(Some(item)) => {
                    end.told.push(source.to_owned());
                    end.items.push(item);
                }
                Err(error) => end.source(source, vec![work.stopped(source, &error)], false),
            }
        }
        ready.sort_by_key(|(creation, record, _)| self.rank(job, creation, *record));
        if !job.look_only {
            let taken = ready.iter().flat_map(|(creation, ..)| &creation.volumes);
            let found = keys::findings(self.ec2, job, taken, &volumes).await;
            end.items.extend(found);
        }
        let (mut settled, of) = (0, ready.len());
        let mut under_way = stream::iter(ready)
            .map(async |(creation, record, step)| {
                let progress = work.make(&creation, record, step).await;
                (creation, progress)
            })
            .buffer_unordered(AT_ONCE);
        while let Some((creation, progress)) = under_way.next().await {
            settled += 1;
            self.invocation.tell(settled, of);
            let Progress { items, complete } =
                progress.unwrap_or_else(|error| work.interrupted(&creation, &error));
            if job.look_only && complete && items.is_empty() {
                end.unmade.push(creation.source.clone());
            }
            end.source(&creation.source, items, complete);
        }
        let waiting = end.left.iter().filter(|id| {
            let record = records.get(id.as_str());
            record.is_none_or(|record| record.requested_at.is_none())
        });
        end.items
            .extend(work.late.finding(job, waiting, self.clock()));
        if job.scheduled && end.complete {
            match set_head(true).await {
                // A newer run has taken over; what this one made stands in its report.
                Err(error) if error.kind == TableErrorKind::Fenced => end.complete = false,
                done => done?,
            }
        }
        Ok(end)
    }

    /// What the same run made before, said again for a repeated request.
    async fn done_before(
        &self,
        job: &Job<'_>,
        record: &SlotRecord,
    ) -> Result<Vec<Item>, TableError> {
        if record.state == SlotState::Failed {
            let detail = record.error.clone().unwrap_or_else(|| "it failed".into());
            let reason = Reason::with(ReasonCode::Refused, detail);
            let item = job.item(&record.source, Outcome::Failed, reason);
            return Ok(vec![item.source(&record.source)]);
        }
        let mut items = Vec::new();
        for id in &record.artifacts {
            let known = self.records.relations(id).await?;
            let of = |edge: &Edge| {
                matches!(edge.kind, EdgeKind::SnapshotOf | EdgeKind::ImageOf) && edge.from == *id
            };
            let source = known
                .edges
                .iter()
                .find(|edge| of(edge))
                .map(|edge| edge.to.clone());
            let words = format!("by run {}", record.run);
            let reason = Reason::with(ReasonCode::AlreadyCreated, words);
            let mut item = job.item(id, Outcome::Created, reason);
            item.source = source;
            item.time = known.node.and_then(|node| node.time);
            items.push(item);
        }
        Ok(items)
    }

    /// The ledger's records of a job's sources. One that this version cannot read stops its own
    /// source and no other.
    async fn slots_of(
        &self,
        job: &Job<'_>,
        ids: &[String],
    ) -> Result<Readable<BTreeMap<String, SlotRecord>>, TableError> {
        let (policy, slot, request) = (&job.policy.name, job.slot, job.request);
        let mut found = Readable {
            read: BTreeMap::new(),
            unreadable: Vec::new(),
        };
        match self.records.slots(policy, slot, request, ids).await {
            Ok(read) => found.read = read,
            Err(error) if error.kind == TableErrorKind::Unreadable => {
                let mut each = stream::iter(ids)
                    .map(async |id| {
                        let one = std::slice::from_ref(id);
                        (id, self.records.slots(policy, slot, request, one).await)
                    })
                    .buffer_unordered(AT_ONCE);
                while let Some((id, read)) = each.next().await {
                    match read {
                        Ok(read) => found.read.extend(read),
                        Err(error) if error.kind == TableErrorKind::Unreadable => {
                            found.unreadable.push((id.clone(), error));
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
            Err(error) => return Err(error),
        }
        Ok(found)
    }

    /// What a job would do, from what is listed now; the ledger is not asked.
    pub(super) async fn plan_job(&self, job: &Job<'_>, fleet: &Fleet) -> JobEnd {
        let (picked, mut items) = job.pick(fleet);
        let order = Order {
            policy: job.policy,
            slot: job.slot,
            run: job.run,
            request: job.request,
        };
        let volumes: BTreeMap<&VolumeId, &Volume> =
            fleet.volumes.iter().map(|v| (&v.id, v)).collect();
        let sources = sources(&picked);
        let devices = devices::instance_store(self.ec2, fleet, sources.iter()).await;
        for source in &sources {
            match creation(&order, source, fleet, &volumes, &devices, None) {
                Ok(creation) => items.extend(planned(job, &creation)),
                Err(refused) => items.extend(refused.items),
            }
        }
        JobEnd::of(items, true)
    }
}

pub(super) fn creation(
    order: &Order<'_>,
    source: &Source<'_>,
    fleet: &Fleet,
    volumes: &BTreeMap<&VolumeId, &Volume>,
    devices: &BTreeMap<InstanceId, Vec<String>>,
    record: Option<&SlotRecord>,
) -> Result<Creation, Refused> {
    let nothing = || Refused {
        items: Vec::new(),
        passing: false,
    };
    let listed = |id: &InstanceId| {
        let instance = fleet.instances.iter().find(|i| i.id == *id);
        instance.ok_or_else(nothing)
    };
    let devices = |id: &InstanceId| devices.get(id).map_or(&[][..], Vec::as_slice);
    match source {
        Source::Machine(id) => order.image(listed(id)?, volumes, devices(id), record),
        Source::Set(set) => {
            let instance = listed(&set.instance)?;
            order.set(set, instance, volumes, devices(&set.instance))
        }
        Source::Single(single) => {
            let volume = volumes.get(&single.volume).ok_or_else(nothing)?;
            order.single(single, volume)
        }
    }
}

pub(super) fn planned(job: &Job<'_>, creation: &Creation) -> Vec<Item> {
    let planned = |resource: &str, detail: String| {
        let reason = Reason::with(ReasonCode::SlotDue, detail);
        let item = job.item(resource, Outcome::Planned, reason);
        item.source(resource)
    };
    let mut items: Vec<Item> = match &creation.call {
        Call::Image(request) => {
            let reboot = if request.no_reboot {
                ""
            } else {
                "; it is rebooted"
            };
            let volumes = creation.volumes.len();
            let detail = format!("an AMI with {volumes} backing snapshots{reboot}");
            vec![planned(&creation.source, detail)]
        }
        Call::Set(_) | Call::Single(_) => {
            let source = &creation.source;
            let detail = |volume| format!("a snapshot of {volume}, asked for by {source}");
            let volumes = creation.volumes.iter();
            volumes
                .map(|volume| planned(volume.as_str(), detail(volume)))
                .collect()
        }
    };
    items.extend(creation.notes.iter().cloned());
    items
}
