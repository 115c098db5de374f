//! sweep-retention: retires what no rule keeps and nothing depends on.

mod delete;
mod gather;
pub mod lists;

pub use gather::{Sweep, plan};

use holdfast_core::event::{self, Origin, SweepEvent, SweepRequest};
use holdfast_core::plan::due::is_late;
use holdfast_core::policy::PolicyFile;
use holdfast_core::ports::records::Records;
use holdfast_core::ports::{ReadEc2, WriteEc2};
use holdfast_core::report::{
    Action, Item, Mode, Outcome, Reason, ReasonCode, Report, Run, whole_second,
};
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

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
        take_release: enforce,
    };
    let reading = async {
        let lists = lists::read(ec2, policies).await;
        let planned = plan(records, &sweep, &lists).await;
        (lists, planned)
    };
    let (lists, planned) = match &held {
        Some(held) => held.during(reading).await,
        None => reading.await,
    };
    if let Some(error) = lists.nothing_read() {
        if let Some(held) = held {
            held.release().await;
        }
        return Err(RunError::Inventory(error.clone()));
    }
    let release_unknown = planned.release_unknown;
    let plan_hash = planned.settled.plan_hash.clone();
    let done = match held.as_ref().filter(|_| enforce) {
        None => {
            let pinned = match request.dry_run {
                true => Ok(()),
                false => records.pin(&planned.pin, None).await,
            };
            let verdicts = planned.verdicts.iter();
            let items: Vec<Item> = verdicts.map(|v| v.item(Outcome::Planned)).collect();
            pinned.map(|()| (items, true)).map_err(RunError::from)
        }
        Some(held) => {
            let deleter = delete::Deleter {
                ec2,
                records,
                held,
                invocation,
                sweep: &sweep,
            };
            held.during(deleter.enforce(planned, &lists)).await
        }
    };
    if let Some(held) = held {
        held.release().await;
    }
    let (mut items, complete) = done?;
    // A list that failed on its first page leaves no item that could say so.
    let unread = lists::unread(&lists);
    let complete = complete && unread.is_empty();
    items.extend(unread);
    items.extend(crate::doubt::doubts(FUNCTION, &begun));
    if release_unknown {
        let detail = "no plan of that hash tripped within 24 hours, or it was released before";
        let reason = Reason::with(ReasonCode::CircuitBreaker, detail);
        let hash = request.release.clone().unwrap_or_default();
        items.push(Item::new(Action::Check, hash, Outcome::Finding).reason(reason));
    }
    if late {
        let highest = begun.highest.unwrap_or(now);
        let detail = format!("a sweep for {highest} was made before; this one only plans");
        let reason = Reason::with(ReasonCode::Late, detail);
        items.push(Item::new(Action::Check, FUNCTION, Outcome::Skipped).reason(reason));
    }
    let run = Run {
        mode: Some(if enforce { Mode::Enforce } else { Mode::Plan }),
        plan_hash: Some(plan_hash),
        complete,
        ..run_info(invocation, now, origin.as_ref(), &policies.sha256)
    };
    Ok(Report::new(run, items))
}

/// One's own account: the envelope's word for it, which EventBridge writes; else Lambda's.
fn account<'a>(invocation: &'a Invocation, origin: Option<&'a Origin>) -> Option<&'a str> {
    let envelope = origin.and_then(|origin| origin.account.as_deref());
    envelope.or(invocation.account.as_deref())
}

fn run_info(
    invocation: &Invocation,
    now: Timestamp,
    origin: Option<&Origin>,
    policy_sha256: &str,
) -> Run {
    Run {
        id: invocation.id.clone(),
        function: FUNCTION.into(),
        mode: None,
        now,
        account: account(invocation, origin).map(str::to_owned),
        region: origin
            .and_then(|o| o.region.clone())
            .or(invocation.region.clone()),
        policy_sha256: Some(policy_sha256.to_owned()),
        plan_hash: None,
        complete: true,
        evidence: Vec::new(),
    }
}

fn busy(
    until: Timestamp,
    invocation: &Invocation,
    now: Timestamp,
    origin: Option<&Origin>,
    policy_sha256: &str,
) -> Report {
    let detail = format!("another sweep is at work until {until}");
    let item = Item::new(Action::Check, FUNCTION, Outcome::Deferred)
        .reason(Reason::with(ReasonCode::LeaseHeld, detail));
    let run = Run {
        mode: Some(Mode::Enforce),
        complete: false,
        ..run_info(invocation, now, origin, policy_sha256)
    };
    Report::new(run, vec![item])
}
