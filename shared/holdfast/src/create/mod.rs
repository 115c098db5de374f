//! create-snapshots and create-images: backups of what the policies pick, exactly once.

mod agenda;
mod bake;
mod devices;
mod finish;
mod guest;
mod job;
mod keys;
mod late;
mod left;
mod missed;
mod on_demand;
mod pick;
mod preview;
mod quiet;
mod record;
mod same_second;
mod state_change;
mod trace;
mod work;

pub use preview::preview;

use holdfast_core::event::{self, CreateEvent, Origin};
use holdfast_core::inventory::{Instance, Listing, Volume};
use holdfast_core::plan::due;
use holdfast_core::policy::{Policy, PolicyFile, Protect};
use holdfast_core::ports::guest::GuestCommands;
use holdfast_core::ports::records::{OpenSource, Records};
use holdfast_core::ports::{InstanceScope, ReadEc2, WriteEc2};
use holdfast_core::report::{
    Action, Item, Mode, Outcome, Reason, ReasonCode, Report, Run, whole_second,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::time::Instant;

use crate::doubt::doubts;
use crate::error::RunError;
use crate::function::{Context, Invocation};
use crate::pace::Pace;
use agenda::Agenda;
use job::{Job, JobEnd, Wanted};
use missed::{missed, unmade};

/// The name of the function that makes snapshots, in events, reports and records.
pub const SNAPSHOTS: &str = "create-snapshots";
/// The name of the function that makes AMIs.
pub const IMAGES: &str = "create-images";

/// The words of what is left to the next heartbeat.
const OUT_OF_TIME: &str = "this invocation's time is over";

/// The function that makes what a policy protects its sources by.
#[must_use]
pub fn function_of(protect: Protect) -> &'static str {
    match protect {
        Protect::Volumes => SNAPSHOTS,
        Protect::Instances => IMAGES,
    }
}

/// Handles one invocation of create-snapshots.
///
/// # Errors
/// [`RunError`]: the run as a whole could not be done.
pub async fn snapshots(
    context: &Context,
    payload: &Value,
    invocation: &Invocation,
) -> Result<Report, RunError> {
    let guests = context.guests();
    handle(Protect::Volumes, context, Some(guests), payload, invocation).await
}

/// Handles one invocation of create-images.
///
/// # Errors
/// [`RunError`]: the run as a whole could not be done.
pub async fn images(
    context: &Context,
    payload: &Value,
    invocation: &Invocation,
) -> Result<Report, RunError> {
    handle(Protect::Instances, context, None, payload, invocation).await
}

async fn handle(
    protect: Protect,
    context: &Context,
    guests: Option<&dyn GuestCommands>,
    payload: &Value,
    invocation: &Invocation,
) -> Result<Report, RunError> {
    let event = event::create(function_of(protect), payload)?;
    let now = now_of(&event, Timestamp::now())?;
    let policies = context.settings.load_policies(now)?;
    let (ec2, records) = (&context.ec2, &context.table);
    let means = Means {
        paces: Paces::default(),
        guests,
    };
    create(protect, ec2, records, &policies, means, event, invocation).await
}

/// What a run has besides EC2 and the records.
#[derive(Default)]
pub struct Means<'a> {
    /// The account's token buckets.
    pub paces: Paces,
    /// Commands in guests; none for a function that sends none.
    pub guests: Option<&'a dyn GuestCommands>,
}

/// The time that an event asks to create for.
fn now_of(event: &CreateEvent, wall: Timestamp) -> Result<Timestamp, RunError> {
    let (now, dry_run) = match event {
        CreateEvent::Heartbeat(origin) => (origin.time, false),
        CreateEvent::StateChange { origin, .. } => (whole_second(origin.time), false),
        CreateEvent::OnDemand(request) => (request.now.unwrap_or(wall), request.dry_run),
    };
    event::check_now(now, wall, dry_run)?;
    Ok(now)
}

/// One run of the creating function of `protect`: makes what the event asks for. Whoever holds EC2's
/// and the records' ports can run it in his own process.
///
/// # Errors
/// [`RunError`]: the run as a whole could not be done.
pub async fn create<E: ReadEc2 + WriteEc2, R: Records>(
    protect: Protect,
    ec2: &E,
    records: &R,
    policies: &PolicyFile,
    means: Means<'_>,
    event: CreateEvent,
    invocation: &Invocation,
) -> Result<Report, RunError> {
    let wall = Timestamp::now();
    let began = Instant::now();
    let left = invocation.stop_at.map(|at| at.duration_since(wall));
    let creator = Creator {
        protect,
        ec2,
        guests: means.guests,
        records,
        policies,
        invocation,
        now: now_of(&event, wall)?,
        began,
        stop: left.map(|left| began + Duration::try_from(left).unwrap_or_default()),
        paces: means.paces,
        agenda: OnceLock::new(),
    };
    creator.run(event).await
}

/// Token buckets of one invocation. Heartbeats are minutes apart, so each finds them full.
#[derive(Debug)]
pub struct Paces {
    /// `CreateSnapshots`.
    pub sets: Pace,
    /// `CreateSnapshot`.
    pub singles: Pace,
    /// `CreateImage`.
    pub images: Pace,
}

impl Default for Paces {
    /// The buckets that every account has; AWS raises them on request.
    fn default() -> Self {
        Self {
            sets: Pace::snapshots(),
            singles: Pace::snapshots(),
            images: Pace::create_image(),
        }
    }
}

struct Creator<'a, E, R> {
    protect: Protect,
    ec2: &'a E,
    /// Commands in guests; none for a function that sends none.
    guests: Option<&'a dyn GuestCommands>,
    records: &'a R,
    policies: &'a PolicyFile,
    invocation: &'a Invocation,
    /// The event's time.
    now: Timestamp,
    began: Instant,
    /// When to stop starting new work, whatever is done to the wall clock meanwhile.
    stop: Option<Instant>,
    paces: Paces,
    /// What a heartbeat knows of the policies that are due.
    agenda: OnceLock<Agenda>,
}

struct Fleet {
    instances: Vec<Instance>,
    volumes: Vec<Volume>,
}

impl<E: ReadEc2 + WriteEc2, R: Records> Creator<'_, E, R> {
    fn function(&self) -> &'static str {
        function_of(self.protect)
    }

    /// The event's time and what has passed since: slots are reckoned in it.
    fn clock(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.began.elapsed());
        passed.map_or(self.now, |passed| self.now + passed)
    }

    /// Whether there is time to begin something more.
    fn has_time(&self) -> bool {
        self.invocation.has_time() && self.stop.is_none_or(|at| Instant::now() < at)
    }

    async fn run(&self, event: CreateEvent) -> Result<Report, RunError> {
        match event {
            CreateEvent::Heartbeat(origin) => self.heartbeat(&origin).await,
            CreateEvent::StateChange {
                origin,
                instance,
                trigger,
                ..
            } => self.state_change(&origin, &instance, trigger).await,
            CreateEvent::OnDemand(request) => self.on_demand(&request).await,
        }
    }

    async fn heartbeat(&self, origin: &Origin) -> Result<Report, RunError> {
        let now = origin.time;
        let policies = self.policies;
        let begun = self.records.begin(self.function(), now).await?;
        let mut due = due::due(policies, self.protect, &begun, now);
        let open = self.records.open_sources(self.function()).await?;
        let left = left::group(policies, self.protect, &begun, &open.read, now);
        let mut end = JobEnd::of(doubts(self.function(), &begun), true);
        for (record, error) in &open.unreadable {
            let reason = Reason::with(ReasonCode::TableFailed, error.to_string());
            let item = Item::new(Action::Check, record, Outcome::Failed);
            end.items.push(item.reason(reason));
        }
        if due::is_late(&begun, now) {
            let highest = begun.highest.unwrap_or(now);
            let detail = format!(
                "a heartbeat for {highest} was handled before; this one only finishes what was begun"
            );
            let reason = Reason::with(ReasonCode::Late, detail);
            let item = Item::new(Action::Check, self.function(), Outcome::Skipped);
            end.items.push(item.reason(reason));
        }
        if due.is_empty() && left.is_empty() {
            return Ok(self.report(&self.invocation.id, now, Some(origin), None, policies, end));
        }
        let fleet = self.fleet().await?;
        let agenda = self.agenda(&due, &fleet).await;
        agenda.sort(&mut due);
        // Set once: a run handles one event.
        let _ = self.agenda.set(agenda);
        for slot in due {
            end.items.extend(missed(&slot));
            if let Some((policy, begun)) = &slot.unfinished {
                let newer = slot.slot;
                let put_off = self
                    .take_over(policy, *begun, newer, &fleet, &mut end)
                    .await?;
                // The head stays where it is until what it began was looked for.
                if put_off {
                    continue;
                }
            }
            let job = Job {
                policy: &slot.policy,
                slot: slot.slot,
                run: &self.invocation.id,
                wanted: Wanted::All,
                scheduled: true,
                request: None,
                trigger: None,
                look_only: false,
            };
            end.add(self.one_of_many(&job, &fleet).await?);
        }
        // Grouped anew: a slot that this very heartbeat has begun ends what older ones left over.
        let begun = self.records.begun(self.function()).await?;
        let left = left::group(policies, self.protect, &begun, &open.read, now);
        for group in &left {
            end.add(self.finish(group, &fleet).await?);
        }
        Ok(self.report(&self.invocation.id, now, Some(origin), None, policies, end))
    }

    /// Takes over what was asked for in a slot that is over: what an earlier run never heard of is
    /// not lost with its slot. Whether that has to wait for another run.
    async fn take_over(
        &self,
        policy: &Policy,
        slot: Timestamp,
        newer: Timestamp,
        fleet: &Fleet,
        end: &mut JobEnd,
    ) -> Result<bool, RunError> {
        let look = Job {
            policy,
            slot,
            run: &self.invocation.id,
            wanted: Wanted::All,
            scheduled: false,
            request: None,
            trigger: None,
            look_only: true,
        };
        let looked = self.one_of_many(&look, fleet).await?;
        for source in &looked.left {
            let open = OpenSource {
                policy: policy.name.clone(),
                slot,
                source: source.clone(),
                request: None,
                trigger: None,
                failures: 0,
            };
            self.records.open(self.function(), &open).await?;
        }
        end.items.extend(unmade(&look, &looked.unmade, newer));
        let put_off = looked.put_off;
        end.add(looked);
        Ok(put_off)
    }

    /// A job of a heartbeat: one policy's trouble is not the other policies'.
    async fn one_of_many(&self, job: &Job<'_>, fleet: &Fleet) -> Result<JobEnd, RunError> {
        if !self.has_time() {
            let (code, detail) = (ReasonCode::OutOfTime, OUT_OF_TIME.to_owned());
            return Ok(put_off(job, Outcome::Deferred, code, detail));
        }
        match self.job(job, fleet).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(until)) => {
                let detail = format!("another run of it is at work until {until}");
                let code = ReasonCode::LeaseHeld;
                Ok(put_off(job, Outcome::Deferred, code, detail))
            }
            Err(RunError::Table(error)) if !error.kind.stops_everything() => {
                let code = ReasonCode::TableFailed;
                Ok(put_off(job, Outcome::Failed, code, error.to_string()))
            }
            Err(error) => Err(error),
        }
    }

    /// Everything that can be picked, or an error: from half a list, half a backup would follow. Its
    /// time over, nothing was begun, and the slots are due as before.
    async fn fleet(&self) -> Result<Fleet, RunError> {
        let reading =
            async { tokio::join!(self.ec2.instances(&InstanceScope::All), self.ec2.volumes()) };
        let read = self.invocation.in_time(reading).await;
        let (instances, volumes) = read.ok_or(RunError::Overdue)?;
        Ok(Fleet {
            instances: whole(instances)?,
            volumes: whole(volumes)?,
        })
    }

    fn report(
        &self,
        id: &str,
        now: Timestamp,
        origin: Option<&Origin>,
        mode: Option<Mode>,
        policies: &PolicyFile,
        end: JobEnd,
    ) -> Report {
        let run = Run {
            id: id.to_owned(),
            function: self.function().into(),
            mode,
            now,
            account: origin
                .and_then(|o| o.account.clone())
                .or(self.invocation.account.clone()),
            region: origin
                .and_then(|o| o.region.clone())
                .or(self.invocation.region.clone()),
            policy_sha256: Some(policies.sha256.clone()),
            plan_hash: None,
            complete: end.complete,
            evidence: Vec::new(),
        };
        Report::new(run, end.items)
    }
}

fn whole<T>(list: Listing<T>) -> Result<Vec<T>, RunError> {
    match list.error {
        None => Ok(list.items),
        Some(error) => Err(RunError::Inventory(error)),
    }
}

/// A policy whose slot is left for the next heartbeat.
fn put_off(job: &Job<'_>, outcome: Outcome, code: ReasonCode, detail: String) -> JobEnd {
    let item = Item::new(Action::Create, &job.policy.name, outcome)
        .policy(&job.policy.name)
        .slot(job.slot)
        .reason(Reason::with(code, detail));
    JobEnd {
        put_off: true,
        ..JobEnd::of(vec![item], false)
    }
}

/// The policy of that name.
///
/// # Errors
/// [`RunError::UnknownPolicy`] lists the names there are.
pub fn named<'p>(policies: &'p PolicyFile, name: &str) -> Result<&'p Policy, RunError> {
    policies
        .policies
        .iter()
        .find(|p| p.name == name)
        .ok_or_else(|| {
            let known: Vec<&str> = policies.policies.iter().map(|p| p.name.as_str()).collect();
            RunError::UnknownPolicy {
                name: name.to_owned(),
                known: known.join(", "),
            }
        })
}
