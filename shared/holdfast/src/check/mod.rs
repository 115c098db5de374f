//! check-dependencies: keeps the lineage true against EC2, and answers what depends on what.

mod coverage;
mod gather;
mod lost;
mod write;

use std::collections::BTreeSet;

use holdfast_core::event::{self, CheckEvent};
use holdfast_core::plan::due::is_late;
use holdfast_core::plan::reconcile::{Changes, Scope, alarm, reconcile, unread};
use holdfast_core::policy::PolicyFile;
use holdfast_core::ports::ReadEc2;
use holdfast_core::ports::records::Records;
use holdfast_core::report::{
    Action, Item, Outcome, Reason, ReasonCode, Report, Run, SourceEvidence, whole_second,
};
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::error::RunError;
use crate::explain::explain_in_time;
use crate::function::{Context, Invocation};
use crate::lease::Held;
use crate::settings::Settings;

pub use coverage::{Stands, coverage, coverage_of};
use gather::{Lists, known};
use write::{Writer, Written};

/// The function's name in events, reports and records.
pub const FUNCTION: &str = "check-dependencies";
/// How many events may be written down at once.
const EVENT_LEASES: u8 = 16;

/// Handles one invocation of the Lambda function.
///
/// # Errors
/// [`RunError`]: the run as a whole could not be done.
pub async fn handle(
    context: &Context,
    payload: &Value,
    invocation: &Invocation,
) -> Result<Report, RunError> {
    run(
        &context.ec2,
        &context.table,
        &context.settings,
        payload,
        invocation,
    )
    .await
}

async fn run<E: ReadEc2, R: Records>(
    ec2: &E,
    records: &R,
    settings: &Settings,
    payload: &Value,
    invocation: &Invocation,
) -> Result<Report, RunError> {
    let wall = Timestamp::now();
    let event = event::check(FUNCTION, payload)?;
    let origin = match &event {
        CheckEvent::Reconcile(origin) => origin.as_ref(),
        CheckEvent::Artifacts { origin, .. } | CheckEvent::Nothing { origin, .. } => Some(origin),
        CheckEvent::Explain(_) => None,
    };
    let now = whole_second(origin.map_or(wall, |origin| origin.time));
    event::check_now(now, wall, false)?;
    let policies = settings.load_policies(now)?;
    let account = origin.and_then(|origin| origin.account.as_deref());
    let account = account.or(invocation.account.as_deref());
    let checker = Checker {
        ec2,
        records,
        policies: &policies,
        invocation,
        account,
        now,
    };
    let mut evidence = Vec::new();
    let written = match &event {
        CheckEvent::Reconcile(_) => checker.reconcile().await?,
        CheckEvent::Artifacts {
            what,
            ids,
            deregistered,
            ..
        } => {
            tracing::info!("{what}");
            checker.artifacts(ids, *deregistered).await?
        }
        CheckEvent::Nothing { why, .. } => {
            tracing::info!("{why}: nothing to do");
            Written {
                items: Vec::new(),
                complete: true,
            }
        }
        CheckEvent::Explain(ids) => {
            let explained =
                explain_in_time(ec2, records, &policies, ids, account, now, invocation).await?;
            evidence.clone_from(&explained.evidence);
            Written {
                complete: explained.is_complete(),
                items: explained.items,
            }
        }
    };
    let region = origin.and_then(|origin| origin.region.clone());
    Ok(checker.report(region, written, evidence))
}

/// Compares everything with EC2 for `now`. Whoever holds EC2's and the records' ports can do it in
/// his own process. `account` is one's own, where known.
///
/// # Errors
/// [`RunError`]: the run as a whole could not be done.
pub async fn reconcile_all<E: ReadEc2, R: Records>(
    ec2: &E,
    records: &R,
    policies: &PolicyFile,
    account: Option<&str>,
    invocation: &Invocation,
    now: Timestamp,
) -> Result<Report, RunError> {
    let checker = Checker {
        ec2,
        records,
        policies,
        invocation,
        account,
        now,
    };
    let written = checker.reconcile().await?;
    Ok(checker.report(None, written, Vec::new()))
}

/// One invocation's comparison.
struct Checker<'a, E, R> {
    ec2: &'a E,
    records: &'a R,
    policies: &'a PolicyFile,
    invocation: &'a Invocation,
    account: Option<&'a str>,
    now: Timestamp,
}

impl<E: ReadEc2, R: Records> Checker<'_, E, R> {
    fn report(
        &self,
        region: Option<String>,
        written: Written,
        evidence: Vec<SourceEvidence>,
    ) -> Report {
        let run = Run {
            id: self.invocation.id.clone(),
            function: FUNCTION.into(),
            mode: None,
            now: self.now,
            account: self.account.map(str::to_owned),
            region: region.or(self.invocation.region.clone()),
            policy_sha256: Some(self.policies.sha256.clone()),
            plan_hash: None,
            complete: written.complete,
            evidence,
        };
        Report::new(run, written.items)
    }

    /// Compares everything, under the lease from the first list on: what another run learns
    /// meanwhile would be taken for a difference.
    async fn reconcile(&self) -> Result<Written, RunError> {
        let begun = self.records.begin(FUNCTION, self.now).await?;
        let doubts = crate::doubt::doubts(FUNCTION, &begun);
        let held = match self.lease(FUNCTION.to_owned()).await? {
            Ok(held) => held,
            Err(until) => return Ok(busy(until)),
        };
        let done = held.during(self.under_lease(&held, doubts)).await;
        held.release().await;
        done
    }

    async fn under_lease(
        &self,
        held: &Held<'_, R>,
        doubts: Vec<Item>,
    ) -> Result<Written, RunError> {
        // What was known when this run woke may have changed before it got the lease.
        let begun = self.records.begun(FUNCTION).await?;
        let late = is_late(&begun, self.now);
        let reading = Lists::all(self.ec2, self.account);
        let Some(mut lists) = self.invocation.in_time(reading).await else {
            return Ok(overdue());
        };
        let comparing = self.compare(&mut lists, Scope::All { late });
        let Some(compared) = self.invocation.in_time(comparing).await else {
            return Ok(overdue());
        };
        let (changes, failed) = compared?;
        let mut written = self.write(held, changes, failed).await?;
        written.items.extend(doubts);
        if late {
            let highest = begun.highest.unwrap_or(self.now);
            let detail = format!(
                "a reconcile for {highest} was made before; this one learns nothing about absence"
            );
            let reason = Reason::with(ReasonCode::Late, detail);
            let item = Item::new(Action::Check, FUNCTION, Outcome::Skipped).reason(reason);
            written.items.push(item);
        } else {
            // A late one would ask of the present what was promised for the past.
            let seen = lists.seen();
            let looking = coverage_of(self.ec2, &seen, self.policies, self.now);
            let Some(stands) = self.invocation.in_time(looking).await else {
                written.items.extend(overdue().items);
                written.complete = false;
                return Ok(written);
            };
            written.items.extend(stands.findings());
            let (records, policies) = (self.records, self.policies);
            let lost = lost::events(records, policies, &seen, self.invocation, self.now).await?;
            written.items.extend(lost.items);
            written.complete &= lost.complete;
        }
        Ok(written)
    }

    /// Compares what an event named. Most events concern nothing of Holdfast's or tell nothing
    /// new: only what has something to write asks for the lease.
    async fn artifacts(&self, named: &[String], deregistered: bool) -> Result<Written, RunError> {
        let ids: BTreeSet<String> = named.iter().cloned().collect();
        let reading = Lists::of(self.ec2, &ids, self.account);
        let Some(mut lists) = self.invocation.in_time(reading).await else {
            return Ok(overdue());
        };
        let comparing = self.compare(&mut lists, Scope::Artifacts(&ids));
        let Some(compared) = self.invocation.in_time(comparing).await else {
            return Ok(overdue());
        };
        let (mut changes, failed) = compared?;
        if deregistered && !changes.items.is_empty() {
            let (deletions, nodes) =
                tokio::try_join!(self.records.deletions(named), self.records.nodes(named))?;
            alarm(&mut changes, &deletions, &nodes);
        }
        if changes.writes_nothing() {
            let complete = failed.is_empty();
            let items = changes.items.into_iter().chain(failed).collect();
            return Ok(Written { items, complete });
        }
        // Read without the lease, and written all the same: nodes are merged with what stands
        // there, and a step of the ledger only follows the record it was decided on.
        let held = match self.lease(event_lease(&ids)).await? {
            Ok(held) => held,
            Err(until) => return Ok(busy(until)),
        };
        let done = held.during(self.write(&held, changes, failed)).await;
        held.release().await;
        done
    }

    /// What is to be written, and failed items for what could not be read.
    async fn compare(
        &self,
        lists: &mut Lists,
        scope: Scope<'_>,
    ) -> Result<(Changes, Vec<Item>), RunError> {
        if let Some(error) = lists.nothing_read() {
            return Err(RunError::Inventory(error.clone()));
        }
        let known = known(self.ec2, self.records, lists, scope, self.now).await?;
        let seen = lists.seen();
        let mut failed = unread(&seen);
        failed.extend(known.failed);
        let wall = Timestamp::now();
        let changes = reconcile(&seen, &known.recorded, scope, self.now, wall);
        Ok((changes, failed))
    }

    async fn write(
        &self,
        held: &Held<'_, R>,
        changes: Changes,
        failed: Vec<Item>,
    ) -> Result<Written, RunError> {
        let writer = Writer {
            records: self.records,
            held,
            invocation: self.invocation,
        };
        let mut written = writer.write(changes).await?;
        written.complete &= failed.is_empty();
        written.items.extend(failed);
        Ok(written)
    }

    async fn lease(&self, name: String) -> Result<Result<Held<'_, R>, Timestamp>, RunError> {
        let holder = format!("{}#{}", self.invocation.id, Uuid::new_v4());
        Ok(Held::take(self.records, &name, &holder).await?)
    }
}

/// Name of the lease under which an event's findings are written.
///
/// Not the reconcile's, which a burst of events would otherwise keep from its hour; and one of
/// several, so that few events of a burst are left to the reconcile. Two that meet on one record are
/// kept apart by the conditions of each write.
fn event_lease(ids: &BTreeSet<String>) -> String {
    let last = ids.first().and_then(|id| id.bytes().last()).unwrap_or(0);
    format!("{FUNCTION}#events#{}", last % EVENT_LEASES)
}

/// The time was over while it still read. What an event told is made up for by the next reconcile.
fn overdue() -> Written {
    let words = "its time was over while it still read EC2's lists or its own records; the next \
                 reconcile makes up for it. Where that happens again, look for throttled calls or \
                 raise the function's timeout";
    let item = Item::new(Action::Check, FUNCTION, Outcome::Failed)
        .reason(Reason::with(ReasonCode::OutOfTime, words));
    Written {
        items: vec![item],
        complete: false,
    }
}

/// Another run is at work. An event that meets it is lost, and the next reconcile makes up for it.
fn busy(until: Timestamp) -> Written {
    let detail =
        format!("another run is at work until {until}; the next reconcile makes up for it");
    let item = Item::new(Action::Check, FUNCTION, Outcome::Deferred)
        .reason(Reason::with(ReasonCode::LeaseHeld, detail));
    Written {
        items: vec![item],
        complete: false,
    }
}
