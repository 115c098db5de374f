//! One account and its records, and the sweeps that are run over them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use holdfast::function::Invocation;
use holdfast::sweep::sweep;
use holdfast_core::event::{SweepEvent, SweepRequest};
use holdfast_core::id::ImageId;
use holdfast_core::inventory::ImageState;
use holdfast_core::report::{Mode, Report};
use holdfast_sim::records::InMemoryRecords;
use holdfast_sim::request::{DeregisterImage, Request};
use holdfast_sim::{InProcess, Numbers};
use jiff::{SignedDuration, Timestamp};

use super::interrupted::gate::{Cut, Gate, Run, side_by_side};
use super::interrupted::ports::{Aged, Notes, Ports, standing};
use super::interrupted::stamped::Stamped;
use super::reference::{Kind, Reference, protected};
use super::world::{LAG, World};

/// A sweep's report, or its error in words; `None` where it was cut.
pub type End = Option<Result<Report, String>>;

pub struct Stage<'w> {
    world: &'w World,
    pub ec2: InProcess,
    pub records: InMemoryRecords,
    pub gate: Gate,
    pub notes: Arc<Mutex<Notes>>,
    aged: Arc<Mutex<Aged>>,
    pub references: Vec<Reference>,
    pub numbers: Numbers,
    /// Parts of AMIs that a stranger deregistered.
    pub bereaved: BTreeSet<String>,
    /// A stranger does something between two calls, once in so many.
    pub stranger: Option<u64>,
    /// The leases run out between two calls, once in so many.
    pub lapse: Option<u64>,
    /// The plan that the sweeps are asked to release, by its hash.
    pub release: Option<String>,
    /// How much time each sweep has, where not for ever.
    pub time: Option<SignedDuration>,
    /// Whether one ever ran out while its holder thought it had it.
    pub lapsed: bool,
    runs: usize,
}

impl<'w> Stage<'w> {
    pub fn new(world: &'w World, seed: u64) -> Self {
        Self {
            world,
            ec2: InProcess::new(world.account.clone().shared()),
            records: InMemoryRecords::new(),
            gate: Gate::default(),
            notes: Arc::default(),
            aged: Arc::default(),
            references: world.references.clone(),
            numbers: Numbers::new(seed),
            bereaved: BTreeSet::new(),
            stranger: None,
            lapse: None,
            release: None,
            time: None,
            lapsed: false,
            runs: 0,
        }
    }

    /// The `now` of a round: each follows the one before by more than the policies' grace.
    fn now(&self, round: i64) -> Timestamp {
        self.world.wall - SignedDuration::from_hours(10) + SignedDuration::from_mins(40 * round)
    }

    /// How many calls the last sweep made.
    pub fn calls(&self) -> u64 {
        self.gate.calls(self.runs - 1)
    }

    /// One sweep for a round.
    pub async fn sweep(&mut self, round: i64, cut: Option<Cut>) -> End {
        self.sweeps(round, 1, cut).await.remove(0)
    }

    /// Several sweeps for a round, side by side; the first may be cut.
    pub async fn sweeps(&mut self, round: i64, count: usize, cut: Option<Cut>) -> Vec<End> {
        let (now, first, policies) = (self.now(round), self.runs, &self.world.policies);
        self.runs += count;
        if let Some(cut) = cut {
            self.gate.cut(first, cut);
        }
        let gate = self.gate.clone();
        let runs: Vec<Run<'w, Result<Report, String>>> = (first..self.runs)
            .map(|run| {
                let (ports, time) = (self.ports(run), self.time);
                let event = SweepEvent::Request(SweepRequest {
                    now: Some(now),
                    release: self.release.clone(),
                    ..SweepRequest::default()
                });
                let work = async move {
                    let stop_at = time.map(|time| Timestamp::now() + time);
                    let invocation = Invocation {
                        stop_at,
                        ..invocation(run)
                    };
                    let mode = Mode::Enforce;
                    let swept = sweep(&ports, &ports, policies, mode, event, &invocation).await;
                    swept.map_err(|error| error.to_string())
                };
                (run, Box::pin(work) as _)
            })
            .collect();
        side_by_side(&gate, runs, |waiting| self.between(waiting)).await
    }

    /// The ports of a run of its own.
    pub fn another(&mut self) -> Ports {
        self.runs += 1;
        self.ports(self.runs - 1)
    }

    fn ports(&self, run: usize) -> Ports {
        Ports {
            run,
            gate: self.gate.clone(),
            ec2: Stamped(self.ec2.clone()),
            records: self.records.clone(),
            notes: self.notes.clone(),
            aged: self.aged.clone(),
        }
    }

    /// What happens between two calls, and which of the waiting ones is next.
    pub fn between(&mut self, waiting: usize) -> usize {
        if self.lapse.is_some_and(|n| self.numbers.below(n) == 0) {
            self.records.expire_leases();
            self.lapsed = true;
        }
        if self.stranger.is_some_and(|n| self.numbers.below(n) == 0) {
            self.interfere();
        }
        self.numbers.below(waiting as u64) as usize
    }

    /// A stranger refers to something that stands, or deregisters an AMI of Holdfast's.
    fn interfere(&mut self) {
        if self.numbers.below(5) == 0 {
            return self.deregister_one();
        }
        let mut account = self.ec2.account();
        let standing: Vec<String> = standing(&account).into_iter().collect();
        if standing.is_empty() {
            return;
        }
        let target = &standing[self.numbers.below(standing.len() as u64) as usize];
        let kinds = match target.starts_with("ami-") {
            true => &Kind::OF_IMAGES[..],
            false => &Kind::OF_SNAPSHOTS[..],
        };
        let kind = kinds[self.numbers.below(kinds.len() as u64) as usize];
        let moment = self.gate.moment();
        let made = kind.add(&mut account, target, moment);
        self.references.extend(made);
    }

    fn deregister_one(&mut self) {
        let mut account = self.ec2.account();
        let ours = |id: &&String| {
            let mut backups = self.world.backups.iter();
            id.starts_with("ami-") && backups.any(|backup| backup.parts.contains(*id))
        };
        let standing = standing(&account);
        let images: Vec<&String> = standing.iter().filter(ours).collect();
        if images.is_empty() {
            return;
        }
        let id = images[self.numbers.below(images.len() as u64) as usize].clone();
        let mapped = protected(&account, &id);
        let deregister = Request::DeregisterImage(DeregisterImage {
            id: id.clone(),
            delete_associated_snapshots: false,
        });
        // What is protected stays; that EC2's answer is lost changes nothing.
        account.call(&deregister).ok();
        if account
            .image(&ImageId::new(&id))
            .is_none_or(|image| image.state == ImageState::Deregistered)
        {
            self.bereaved.extend(mapped);
            // What needed the AMI has lost it; by that it needs the snapshots no more.
            self.references.retain(|reference| reference.target != id);
        }
    }

    /// The time between two sweeps: lags end and leases run out. With `a_day`, what is recorded by
    /// the wall clock lies a day further back, so that what waits for another try has waited.
    pub fn pause(&self, a_day: bool) {
        self.ec2
            .account()
            .advance_by(LAG + SignedDuration::from_secs(5));
        self.records.expire_leases();
        if a_day {
            let day = SignedDuration::from_hours(25);
            self.records.let_pass(day);
            let now = self.ec2.account().now();
            self.aged.lock().unwrap().push((now, day));
        }
    }

    /// How many of EC2's calls changed something, or tried to, since the last time.
    pub fn take_changes(&self) -> Vec<String> {
        let mut account = self.ec2.account();
        let changing = ["DeregisterImage", "DeleteSnapshot"];
        let calls = account.calls().iter();
        let calls = calls.filter(|call| changing.contains(&call.operation.as_str()));
        let named = calls.map(|call| format!("{} of {:?}", call.operation, call.resources));
        let named = named.collect();
        account.clear_calls();
        named
    }
}

pub fn invocation(run: usize) -> Invocation {
    Invocation {
        id: format!("run-{run}"),
        account: Some("111122223333".into()),
        region: Some("eu-central-1".into()),
        stop_at: None,
        operator: None,
    }
}
