//! Making what was planned, and waiting until it can be used.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use holdfast_core::id::{InstanceId, VolumeId};
use holdfast_core::inventory::{InstanceState, VolumeState};
use holdfast_core::plan::restore::{InstancePlan, Making, Target, VolumePlan};
use holdfast_core::ports::records::Records;
use holdfast_core::ports::restore::{Disk, Machine, RestoreEc2, Wanted};
use holdfast_core::ports::{CallError, ErrorClass};
use holdfast_core::report::{Reason, ReasonCode};
use jiff::Timestamp;

use super::Plan;
use super::record::Found;
use crate::permissions::actions_of;

/// How long a wish to stop goes unnoticed, at most.
const SLICE: Duration = Duration::from_millis(100);

/// How long is waited, and how often is looked.
#[derive(Clone, Copy, Debug)]
pub struct Pace<'a> {
    /// Time between two looks.
    pub every: Duration,
    /// Looks until the wait is given up.
    pub looks: u32,
    /// Whether somebody wants to stop: nothing new is begun then, and nothing is waited for.
    pub stopped: &'a AtomicBool,
}

impl Pace<'_> {
    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// The time between two looks, cut short when somebody wants to stop.
    async fn rest(&self) {
        let mut left = self.every;
        while !left.is_zero() && !self.is_stopped() {
            let slice = left.min(SLICE);
            tokio::time::sleep(slice).await;
            left -= slice;
        }
    }
}

/// What is going on, for a person who waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// EC2 was told to make something of a backup, or did so before.
    Made {
        /// What.
        id: String,
        /// Of which backup.
        backup: String,
    },
    /// It is waited for.
    Waiting {
        /// How many can be used.
        ready: usize,
        /// Of how many.
        all: usize,
    },
    /// A volume is attached.
    Attached(String),
}

/// Something that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// `vol-…`, `i-…`, or a version of a launch template as `TEMPLATE:NUMBER`.
    pub id: String,
    /// Whether an earlier run of the same command made it.
    pub already: bool,
}

/// What became of one plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// What was made; none: nothing, as far as is known.
    pub made: Option<Made>,
    /// Why it is not made, or not yet as it was to be.
    pub failed: Option<Reason>,
    /// Why it is not in the lineage.
    pub unrecorded: Option<Reason>,
}

/// Carries plans out, in their order: makes all, then waits for all, then attaches. What was made
/// stays whatever comes after: the same command goes on from there.
pub async fn carry_out<E: RestoreEc2, R: Records>(
    ec2: &E,
    records: &R,
    plans: &[Plan],
    holder: &str,
    pace: &Pace<'_>,
    tell: &(dyn Fn(&Step) + Sync),
) -> Vec<Done> {
    let mut all = Vec::new();
    for plan in plans {
        let mut done = Done {
            made: None,
            failed: None,
            unrecorded: None,
        };
        match make(ec2, plan, pace).await {
            Ok(made) => {
                let backup = plan.origin().backup.clone();
                let id = made.id.clone();
                tell(&Step::Made { id, backup });
                done.made = Some(made);
                // At once: whatever ends the command after this, the edge is there.
                let mut found = Found::default();
                origin(plan, &done, &mut found);
                done.unrecorded = found.write(records, holder, pace).await.err();
            }
            Err(reason) => done.failed = Some(reason),
        }
        all.push(done);
    }
    volumes(ec2, plans, &mut all, pace, tell).await;
    for (plan, done) in plans.iter().zip(&mut all) {
        let mut found = Found::default();
        match plan {
            Plan::Volume(plan) => {
                if let (Some(target), Some(made), None) = (&plan.attach, &done.made, &done.failed) {
                    found.attached(&made.id, target.instance.as_str());
                }
            }
            Plan::Instance(plan) => running(ec2, plan, done, &mut found, pace, tell).await,
        }
        let written = found.write(records, holder, pace).await;
        done.unrecorded = done.unrecorded.take().or(written.err());
    }
    all
}

/// The edge from what was made to its backup. Of a version of a launch template there is none: the
/// reference from the template itself holds the AMI.
fn origin(plan: &Plan, done: &Done, found: &mut Found) {
    let Some(made) = &done.made else {
        return;
    };
    let backup = &plan.origin().backup;
    let wall = Timestamp::now();
    match plan {
        Plan::Volume(_) => found.restored(&made.id, backup, wall),
        Plan::Instance(InstancePlan {
            making: Making::Instance(_),
            ..
        }) => {
            found.restored(&made.id, backup, wall);
            found.launched(&made.id, backup);
        }
        Plan::Instance(_) => {}
    }
}

async fn make<E: RestoreEc2>(ec2: &E, plan: &Plan, pace: &Pace<'_>) -> Result<Made, Reason> {
    let already = |id: &str| Made {
        id: id.to_owned(),
        already: true,
    };
    let anew = |id: String| Made { id, already: false };
    match plan {
        Plan::Volume(plan) => {
            if let Some(id) = &plan.made {
                return Ok(already(id.as_str()));
            }
            begin(pace)?;
            let id = ec2.create_volume(&plan.request).await;
            Ok(anew(id.map_err(|e| refused(&e))?.to_string()))
        }
        Plan::Instance(plan) => match &plan.making {
            Making::Instance(request) => {
                if let Some(id) = &plan.made {
                    return Ok(already(id));
                }
                begin(pace)?;
                let id = ec2.launch(request).await;
                Ok(anew(id.map_err(|e| refused(&e))?.to_string()))
            }
            Making::Version(request) => {
                let version = |n: &str| format!("{}:{n}", request.base.template);
                if let Some(number) = &plan.made {
                    return Ok(already(&version(number)));
                }
                begin(pace)?;
                let number = ec2.create_template_version(request).await;
                let number = number.map_err(|e| refused(&e))?;
                Ok(anew(version(&number.to_string())))
            }
        },
    }
}

/// Nothing new is begun once somebody wants to stop.
fn begin(pace: &Pace<'_>) -> Result<(), Reason> {
    if pace.is_stopped() {
        let words = "interrupted before it was made; the same command goes on from here";
        return Err(Reason::with(ReasonCode::Interrupted, words));
    }
    Ok(())
}

/// Waits for the volumes that were made, and attaches those that are to be attached.
async fn volumes<E: RestoreEc2>(
    ec2: &E,
    plans: &[Plan],
    all: &mut [Done],
    pace: &Pace<'_>,
    tell: &(dyn Fn(&Step) + Sync),
) {
    let mut waiting: BTreeMap<VolumeId, (usize, &VolumePlan)> = BTreeMap::new();
    for (n, (plan, done)) in plans.iter().zip(all.iter()).enumerate() {
        if let (Plan::Volume(plan), Some(made)) = (plan, &done.made) {
            waiting.insert(VolumeId::new(made.id.clone()), (n, plan));
        }
    }
    let count = waiting.len();
    let mut trouble: Option<CallError> = None;
    // What was just attached is looked at at once.
    let mut rested = true;
    for _ in 0..=pace.looks {
        if waiting.is_empty() {
            return;
        }
        if !rested {
            pace.rest().await;
        }
        rested = false;
        let ids = waiting.keys().cloned().collect();
        let list = ec2.disks(&Wanted::Ids(ids)).await;
        trouble = list.error;
        for disk in &list.items {
            let Some((n, plan)) = waiting.get(&disk.volume.id).copied() else {
                continue;
            };
            let Some(done) = all.get_mut(n) else {
                continue;
            };
            match ready(ec2, disk, plan.attach.as_ref(), pace, tell).await {
                Ok(Ready::Yes) => {}
                Ok(Ready::NotYet) => continue,
                Ok(Ready::Attaching) => {
                    rested = true;
                    continue;
                }
                Err(reason) => done.failed = Some(reason),
            }
            waiting.remove(&disk.volume.id);
        }
        tell(&Step::Waiting {
            ready: count - waiting.len(),
            all: count,
        });
        if pace.is_stopped() {
            break;
        }
    }
    for (id, (n, _)) in &waiting {
        if let Some(done) = all.get_mut(*n) {
            done.failed = Some(unfinished(id.as_str(), "available", pace, trouble.as_ref()));
        }
    }
}

/// How far a volume is.
enum Ready {
    /// As it was to be.
    Yes,
    /// EC2 is at work.
    NotYet,
    /// It was just asked to be attached.
    Attaching,
}

/// Whether a volume is as it was to be; it is attached on the way.
async fn ready<E: RestoreEc2>(
    ec2: &E,
    disk: &Disk,
    target: Option<&Target>,
    pace: &Pace<'_>,
    tell: &(dyn Fn(&Step) + Sync),
) -> Result<Ready, Reason> {
    let id = &disk.volume.id;
    let here = target.and_then(|target| {
        let mut attachments = disk.volume.attachments.iter();
        attachments.find(|a| a.instance == target.instance && a.device == target.device)
    });
    match (&disk.volume.state, target) {
        (VolumeState::Creating, _) => Ok(Ready::NotYet),
        (VolumeState::Available, Some(_)) if pace.is_stopped() => Ok(Ready::NotYet),
        (VolumeState::Available | VolumeState::InUse, None) => Ok(Ready::Yes),
        (VolumeState::InUse, Some(_)) if here.is_some() => {
            let attached = here.is_some_and(|a| a.state == "attached");
            if attached {
                tell(&Step::Attached(id.to_string()));
                return Ok(Ready::Yes);
            }
            Ok(Ready::NotYet)
        }
        (VolumeState::Available, Some(target)) => {
            let call = ec2.attach_volume(id, &target.instance, &target.device);
            match call.await {
                Ok(()) => Ok(Ready::Attaching),
                // Whether it was carried out shows at the next look.
                Err(error) if error.class == ErrorClass::UnknownOutcome => Ok(Ready::NotYet),
                Err(error) => Err(refused(&error)),
            }
        }
        (VolumeState::InUse, Some(target)) => {
            let words = format!("{id} is attached elsewhere, and not to {target}");
            Err(Reason::with(ReasonCode::VolumeState, words))
        }
        (state, _) => {
            let words = format!(
                "{id} is {state}: EC2 could not make it, mostly because the caller may not use the \
                 key; delete it, and restore with --again LABEL"
            );
            Err(Reason::with(ReasonCode::VolumeState, words))
        }
    }
}

/// Waits until an instance runs, and notes its disks.
async fn running<E: RestoreEc2>(
    ec2: &E,
    plan: &InstancePlan,
    done: &mut Done,
    found: &mut Found,
    pace: &Pace<'_>,
    tell: &(dyn Fn(&Step) + Sync),
) {
    let (Making::Instance(_), Some(made)) = (&plan.making, &done.made) else {
        return;
    };
    let id = InstanceId::new(made.id.clone());
    let mut trouble = None;
    for look in 0..=pace.looks {
        if look > 0 {
            pace.rest().await;
        }
        let list = ec2.machines(&Wanted::Ids(vec![id.clone()])).await;
        trouble = list.error;
        let machine = list.items.first();
        let state = machine.map(|machine| &machine.instance.state);
        match state {
            Some(InstanceState::Running | InstanceState::Stopped | InstanceState::Stopping) => {
                tell(&Step::Waiting { ready: 1, all: 1 });
                if let Some(machine) = machine {
                    disks(plan, machine, found);
                }
                return;
            }
            Some(state @ (InstanceState::ShuttingDown | InstanceState::Terminated)) => {
                let why = machine.and_then(|m| m.instance.lifecycle.code.as_deref());
                let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
                let words = format!("{id} is {state}{why}: EC2 could not start it");
                done.failed = Some(Reason::with(ReasonCode::InstanceState, words));
                return;
            }
            Some(InstanceState::Pending | InstanceState::Unknown(_)) | None => {}
        }
        tell(&Step::Waiting { ready: 0, all: 1 });
        if pace.is_stopped() {
            break;
        }
    }
    done.failed = Some(unfinished(id.as_str(), "running", pace, trouble.as_ref()));
}

/// The disks of a launched instance came from the AMI's snapshots.
fn disks(plan: &InstancePlan, machine: &Machine, found: &mut Found) {
    let wall = Timestamp::now();
    for device in &machine.instance.devices {
        let Some(volume) = &device.volume else {
            continue;
        };
        if let Some(disk) = plan.disks.iter().find(|disk| disk.device == device.name) {
            found.restored(volume.as_str(), &disk.snapshot, wall);
            found.attached(volume.as_str(), machine.instance.id.as_str());
        }
    }
}

/// It is made, and not yet as it was to be.
fn unfinished(id: &str, wanted: &str, pace: &Pace<'_>, trouble: Option<&CallError>) -> Reason {
    let goes_on = "the same command goes on from here";
    if pace.is_stopped() {
        let words = format!("interrupted while waiting for {id}; {goes_on}");
        return Reason::with(ReasonCode::Interrupted, words);
    }
    let words = match trouble {
        Some(error) => format!("whether {id} is {wanted} could not be read: {error}; {goes_on}"),
        None => format!("{id} is made and not {wanted} yet; {goes_on}"),
    };
    Reason::with(ReasonCode::OutOfTime, words)
}

/// What EC2 said to a call, and what to do about it.
fn refused(error: &CallError) -> Reason {
    // `IdempotentParameterMismatch`: EC2 knows the token with other words (EC2 API Reference,
    // "Error codes"); what was filled in from the source has changed since.
    if error.code.as_deref() == Some("IdempotentParameterMismatch") {
        let words = format!(
            "{error}; an earlier run of this command asked for other parameters, because the source \
             has changed since: --again LABEL makes another one"
        );
        return Reason::with(ReasonCode::Refused, words);
    }
    let repeat = "the same command goes on from here";
    let (code, advice) = match error.class {
        ErrorClass::Denied => {
            let actions = actions_of(error.operation).join(" and ");
            // EC2 does not say which of them it is that it denies.
            let role = match error.operation {
                "RunInstances" => ", and iam:PassRole on the role of its instance profile",
                _ => "",
            };
            let advice = format!("; allow {actions}{role}; {repeat}");
            (ReasonCode::AccessDenied, advice)
        }
        ErrorClass::Throttled | ErrorClass::Limited => {
            (ReasonCode::Throttled, format!("; {repeat}"))
        }
        ErrorClass::UnknownOutcome => (
            ReasonCode::OutcomeUnknown,
            format!("; whether it was carried out is not known: {repeat}, and makes nothing twice"),
        ),
        ErrorClass::WrongState
        | ErrorClass::NotFound
        | ErrorClass::InUse
        | ErrorClass::Permanent => (ReasonCode::Refused, String::new()),
    };
    Reason::with(code, format!("{error}{advice}"))
}
