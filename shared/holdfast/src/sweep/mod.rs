//! sweep-retention: retires what no rule keeps and nothing depends on.

mod answer;
mod census;
mod delete;
pub(crate) mod each;
mod gather;
mod known;
pub mod lists;
mod on_record;

pub use census::Counted;
pub use gather::{Planned, Sweep, plan};

use holdfast_core::event::{self, SweepEvent, SweepRequest};
use holdfast_core::inventory::{Inventory, List};
use holdfast_core::plan::census::findings;
use holdfast_core::plan::due::is_late;
use holdfast_core::plan::judge::{Judged, Verdict, Verdicts};
use holdfast_core::policy::PolicyFile;
use holdfast_core::ports::records::Records;
use holdfast_core::ports::{ReadEc2, WriteEc2};
use holdfast_core::report::{
    FUNCTION_LIMIT, Items, Mode, Outcome, Report, Run, sources, whole_second,
};
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use self::answer::{account, busy, region, run_info};
use self::delete::{Enforced, Runner};
use crate::create::named;
use crate::error::RunError;
use crate::function::{Context, Invocation};
use crate::lease::Held;

/// The function's name in events, reports and records.
pub const FUNCTION: &str = "sweep-retention";

/// Handles one invocation of the Lambda function.
///
/// # Errors
/// [`RunError`]: the run as a whole could not be done.
pub async fn handle(
    context: &Context,
    payload: &Value,
    invocation: &Invocation,
) -> Result<Report, RunError> {
    let event = event::sweep(FUNCTION, payload)?;
    let now = now_of(&event, Timestamp::now())?;
    let policies = context.settings.load_policies(now)?;
    let mode = context.settings.mode;
    sweep(
        &context.ec2,
        &context.table,
        &policies,
        mode,
        event,
        invocation,
    )
    .await
}

/// The time that an event asks the sweep to decide for, in whole seconds.
fn now_of(event: &SweepEvent, wall: Timestamp) -> Result<Timestamp, RunError> {
    let (asked, dry_run) = match event {
        SweepEvent::Heartbeat(origin) => (Some(origin.time), false),
        SweepEvent::Request(request) => (request.now, request.dry_run),
    };
    let now = whole_second(asked.unwrap_or(wall));
    event::check_now(now, wall, dry_run)?;
    Ok(now)
}

/// One sweep: plans, and in [`Mode::Enforce`] deletes what is free to go. Whoever holds EC2's and
/// the records' ports can run it in his own process.
///
/// # Errors
/// [`RunError`]: the run as a whole could not be done.
pub async fn sweep<E: ReadEc2 + WriteEc2, R: Records>(
    ec2: &E,
    records: &R,
    policies: &PolicyFile,
    mode: Mode,
    event: SweepEvent,
    invocation: &Invocation,
) -> Result<Report, RunError> {
    let now = now_of(&event, Timestamp::now())?;
    let (origin, request) = match event {
        SweepEvent::Heartbeat(origin) => (Some(origin), SweepRequest::default()),
        SweepEvent::Request(request) => (None, request),
    };
    if let Some(name) = &request.run {
        named(policies, name)?;
    }
    let mut begun = if request.dry_run {
        records.begun(FUNCTION).await?
    } else {
        records.begin(FUNCTION, now).await?
    };
    let mut late = is_late(&begun, now);
    let mut enforce = mode == Mode::Enforce && !request.dry_run && !late;

    let held = if enforce {
        let holder = format!("{}#{}", invocation.id, Uuid::new_v4());
        match Held::take(records, FUNCTION, &holder).await? {
            Ok(held) => Some(held),
            Err(until) => {
                let report = busy(until, invocation, now, origin.as_ref(), &policies.sha256);
                return Ok(report);
            }
        }
    } else {
        None
    };

    if held.is_some() {
        // What was known when this run woke may have changed before it got the lease.
        begun = records.begun(FUNCTION).await?;
        late = is_late(&begun, now);
        enforce = !late;
    }
    let sweep = Sweep {
        policies,
        only: request.run.as_deref(),
        release: request.release.as_deref(),
        account: account(invocation, origin.as_ref()),
        now,
        acts: enforce,
    };
    let overdue = || answer::overdue(invocation, now, origin.as_ref(), policies, enforce);
    let reading = invocation.in_time(lists::read(ec2, policies));
    let Some(mut lists) = while_held(held.as_ref(), reading).await else {
        release(held).await;
        return Ok(overdue());
    };
    let planning = invocation.in_time(plan(records, &sweep, &lists));
    let Some(planned) = while_held(held.as_ref(), planning).await else {
        release(held).await;
        return Ok(overdue());
    };
    if let Some(error) = lists.nothing_read() {
        release(held).await;
        return Err(RunError::Inventory(error.clone()));
    }
    let release_unknown = planned.release_unknown;
    let plan_hash = planned.settled.plan_hash.clone();
    let mut readings = lists.readings();
    // A list that failed on its first page leaves no item that could say so.
    let unread = lists::unread(&lists);
    let tripped = findings(&planned.settled.trips);
    let done = match held.as_ref().filter(|_| enforce) {
        None => {
            let keeps = match (request.dry_run, late) {
                (true, _) => Keeps::Nothing,
                (false, true) => Keeps::Pins,
                (false, false) => Keeps::All,
            };
            let planned = only_plan(records, policies, planned, keeps);
            planned.await.map(Some)
        }
        Some(held) => {
            let runner = Runner {
                run: invocation.id.clone(),
                asked_by: if origin.is_some() {
                    "heartbeat"
                } else {
                    "request"
                },
                released: request.release.clone().filter(|_| !release_unknown),
                account: account(invocation, origin.as_ref()).map(str::to_owned),
                region: region(invocation, origin.as_ref()),
                now,
            };
            let deleter = delete::Deleter {
                ec2,
                records,
                held,
                invocation,
                sweep: &sweep,
                runner: &runner,
            };
            let preparing = invocation.in_time(deleter.prepare(planned, &lists));
            match held.during(preparing).await {
                Some(Ok(prepared)) => {
                    forget_artifacts(&mut lists);
                    Ok(Some(
                        held.during(deleter.carry_out(prepared, &mut lists)).await,
                    ))
                }
                Some(Err(error)) => Err(error),
                None => Ok(None),
            }
        }
    };
    release(held).await;
    let Some(done) = done? else {
        return Ok(overdue());
    };
    let Enforced {
        mut items,
        complete,
        looked,
    } = done;
    let unseen = lists::unread_of(&looked);
    let complete = complete && unread.is_empty() && unseen.is_empty();
    items.extend(tripped);
    items.extend(unread);
    items.extend(unseen);
    readings.extend(looked);
    items.extend(crate::doubt::doubts(FUNCTION, &begun));
    if release_unknown {
        items.push(answer::release_unknown(request.release.as_deref()));
    }
    if late {
        items.push(answer::late(begun.highest.unwrap_or(now)));
    }
    let run = Run {
        mode: Some(if enforce { Mode::Enforce } else { Mode::Plan }),
        plan_hash: Some(plan_hash),
        complete,
        evidence: sources(&readings, policies),
        ..run_info(invocation, now, origin.as_ref(), &policies.sha256)
    };
    Ok(Report::of(run, items))
}

/// Does something, and keeps the lease meanwhile.
async fn while_held<R: Records, T>(held: Option<&Held<'_, R>>, work: impl Future<Output = T>) -> T {
    match held {
        Some(held) => held.during(work).await,
        None => work.await,
    }
}

async fn release<R: Records>(held: Option<Held<'_, R>>) {
    if let Some(held) = held {
        held.release().await;
    }
}

/// Lets go of the lists of what may be deleted and of what it was made of. Those of what may refer
/// to it stay.
fn forget_artifacts(lists: &mut Inventory) {
    fn forget<I: Default>(list: &mut List<I>) {
        list.items = I::default();
    }
    forget(&mut lists.snapshots);
    forget(&mut lists.mapped);
    forget(&mut lists.pending);
    forget(&mut lists.images);
    forget(&mut lists.volumes);
}

/// The report's lines on these verdicts, as far as there is room: a plan says of what may go what
/// is looked at only just before.
fn planned_items(verdicts: &Verdicts<'_>) -> Items {
    let mut items = Items::within(FUNCTION_LIMIT);
    for v in 0..verdicts.len() {
        let outcome = verdicts.outcome(v, Outcome::Planned);
        let make = || verdicts.get(v).as_ref().map(Verdict::planned);
        items.offer(outcome, verdicts.decision(v).reasons(), make);
    }
    items
}

/// What a sweep that deletes nothing keeps of what it learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeps {
    /// A dry run.
    Nothing,
    /// One that comes late: by its old `now`, policies would seem to have governed for longer than
    /// they have, and a wait that has begun since would be over.
    Pins,
    /// Any other: it can only hold later deletions back.
    All,
}

/// What a sweep that deletes nothing says, and keeps.
async fn only_plan<R: Records>(
    records: &R,
    policies: &PolicyFile,
    planned: Planned<'_>,
    keeps: Keeps,
) -> Result<Enforced, RunError> {
    let mut items = planned_items(&planned.verdicts);
    if keeps != Keeps::Nothing {
        records.pin(&planned.pin, None).await?;
    }
    if let Some(counted) = planned.counted.as_ref().filter(|_| keeps == Keeps::All) {
        items.extend(counted.save(records, policies, 0, None).await);
    }
    Ok(Enforced {
        items,
        complete: true,
        looked: Vec::new(),
    })
}
