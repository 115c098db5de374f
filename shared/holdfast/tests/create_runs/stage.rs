//! One account and its records, and the creating runs over them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holdfast::check::reconcile_all;
use holdfast::create::{Means, Paces, create, function_of};
use holdfast::function::Invocation;
use holdfast::pace::Pace;
use holdfast_core::event::{CreateEvent, Origin};
use holdfast_core::id::{InstanceId, VolumeId};
use holdfast_core::inventory::{InstanceState, Tags};
use holdfast_core::policy::{PolicyFile, Protect, Trigger};
use holdfast_core::report::Report;
use holdfast_sim::records::InMemoryRecords;
use holdfast_sim::request::{Request, StartInstances, StopInstances};
use holdfast_sim::{Account, GuestSeed, InProcess, InstanceSeed, Numbers, Settings, VolumeSeed};
use jiff::{SignedDuration, Timestamp};

use super::interrupted::gate::{Cut, Gate, Run, side_by_side};
use super::interrupted::ports::Ports;
use super::interrupted::stamped::Stamped;

/// A policy of each kind, of which a case uses one. No second slot falls into a case.
const POLICIES: &str = "
version: 1
policies:
  - name: volumes
    protect: volumes
    select: { instances: { tags: { Backup: x } }, volumes: { tags: { Backup: x } } }
    schedule: rate(7 days)
    triggers: [stopped]
    retain: { last: 9 }
  - name: instances
    protect: instances
    select: { instances: { tags: { Backup: x } } }
    schedule: rate(7 days)
    triggers: [stopped]
    retain: { last: 9 }
";

/// Writes are held in the guest while the set is asked for.
const FREEZING: &str = "
version: 1
policies:
  - name: volumes
    protect: volumes
    select: { instances: { tags: { Backup: x } } }
    schedule: rate(7 days)
    consistency: application
    application: { document: freeze }
    retain: { last: 9 }
";

/// What one backup is asked for: the slot and the source.
pub type Asked = (Timestamp, String);

pub struct Stage {
    pub protect: Protect,
    pub policies: PolicyFile,
    pub ec2: InProcess,
    pub records: InMemoryRecords,
    pub gate: Gate,
    pub numbers: Numbers,
    /// When the first heartbeat comes.
    pub start: Timestamp,
    /// The slot after the one that the first heartbeat finds due.
    pub next_slot: Timestamp,
    /// An instance that has stopped.
    pub stopped: InstanceId,
    /// Another one, stopped from the first.
    pub other: InstanceId,
    /// How many artifacts each backup has, and the volumes of it.
    sources: BTreeMap<String, BTreeSet<VolumeId>>,
    /// Whether runs can send commands into guests.
    sends_commands: bool,
    runs: usize,
}

fn tags() -> Tags {
    [("Backup".to_owned(), "x".to_owned())].into()
}

/// An instance with so many volumes.
pub fn seed_instance(
    account: &mut Account,
    volumes: usize,
    state: InstanceState,
) -> (InstanceId, BTreeSet<VolumeId>) {
    let devices: Vec<(String, VolumeId)> = (0..volumes)
        .map(|n| {
            let device = if n == 0 {
                "/dev/xvda".to_owned()
            } else {
                format!("/dev/sd{n}")
            };
            (device, account.seed_volume(VolumeSeed::default()))
        })
        .collect();
    let taken = devices.iter().map(|(_, volume)| volume.clone()).collect();
    let id = account.seed_instance(InstanceSeed {
        devices,
        tags: tags(),
        state,
        ..InstanceSeed::default()
    });
    (id, taken)
}

impl Stage {
    /// Two machines of two volumes, and a volume by itself.
    pub fn new(seed: u64) -> Self {
        let mut numbers = Numbers::new(seed);
        let protect = match seed % 2 {
            0 => Protect::Volumes,
            _ => Protect::Instances,
        };
        // A day into the week before the last slot.
        let week = 7 * 86_400;
        let next_slot = Timestamp::from_second(Timestamp::now().as_second() / week * week).unwrap();
        let start = next_slot - SignedDuration::from_hours(6 * 24);
        let mut account = Account::new(Settings {
            start,
            seed: numbers.draw(),
            ..Settings::default()
        });
        let (stopped, volumes) = seed_instance(&mut account, 2, InstanceState::Stopped);
        let mut sources = BTreeMap::from([(stopped.to_string(), volumes)]);
        let (other, volumes) = seed_instance(&mut account, 2, InstanceState::Stopped);
        sources.insert(other.to_string(), volumes);
        let alone = account.seed_volume(VolumeSeed {
            tags: tags(),
            ..VolumeSeed::default()
        });
        if protect == Protect::Volumes {
            sources.insert(alone.to_string(), BTreeSet::from([alone]));
        }
        Self {
            protect,
            policies: PolicyFile::parse("policies.yaml", POLICIES, start).unwrap(),
            ec2: InProcess::new(account.shared()),
            records: InMemoryRecords::new(),
            gate: Gate::default(),
            numbers,
            start,
            next_slot,
            stopped,
            other,
            sources,
            sends_commands: false,
            runs: 0,
        }
    }

    /// One volume of type `sc1` by itself.
    pub fn cold() -> Self {
        let stage = Self::new(0);
        let mut account = Account::new(stage.ec2.account().settings().clone());
        let cold = account.seed_volume(VolumeSeed {
            volume_type: "sc1".to_owned(),
            size_gib: 125,
            tags: tags(),
            ..VolumeSeed::default()
        });
        Self {
            ec2: InProcess::new(account.shared()),
            sources: [(cold.to_string(), BTreeSet::from([cold]))].into(),
            ..stage
        }
    }

    /// One running machine of two volumes, whose writes are held for its set.
    pub fn freezing() -> Self {
        let stage = Self::new(0);
        let mut account = Account::new(stage.ec2.account().settings().clone());
        let (machine, volumes) = seed_instance(&mut account, 2, InstanceState::Running);
        account.seed_document("freeze");
        account.seed_guest(GuestSeed::new(machine.clone()));
        Self {
            policies: PolicyFile::parse("policies.yaml", FREEZING, stage.start).unwrap(),
            ec2: InProcess::new(account.shared()),
            sources: [(machine.to_string(), volumes)].into(),
            sends_commands: true,
            ..stage
        }
    }

    fn policy(&self) -> &'static str {
        match self.protect {
            Protect::Volumes => "volumes",
            Protect::Instances => "instances",
        }
    }

    pub fn function(&self) -> &'static str {
        function_of(self.protect)
    }

    /// What a slot asks for: every source.
    pub fn scheduled(&self) -> BTreeSet<Asked> {
        let policy = self
            .policies
            .policies
            .iter()
            .find(|p| p.protect == self.protect);
        self.asked_at(policy.unwrap().latest_slot(self.start).unwrap())
    }

    /// Every source at this slot.
    pub fn asked_at(&self, slot: Timestamp) -> BTreeSet<Asked> {
        let sources = self.sources.keys();
        sources.map(|source| (slot, source.clone())).collect()
    }

    /// What the account has artifacts of.
    pub fn asked_for(&self) -> BTreeSet<Asked> {
        self.made().into_keys().collect()
    }

    /// A reconcile of check-dependencies, by itself.
    pub async fn reconcile(&self, minutes: i64) -> Result<(), String> {
        let (ec2, records, invocation) = (&self.ec2, &self.records, invocation(0));
        let now = self.origin(minutes).time;
        // The other kind's function never runs here, and would leave what is found for it.
        let mut policies = self.policies.clone();
        policies
            .policies
            .retain(|policy| policy.protect == self.protect);
        let run = reconcile_all(ec2, records, &policies, None, &invocation, now);
        run.await.map(drop).map_err(|error| error.to_string())
    }

    pub fn heartbeat(&self, minutes: i64) -> CreateEvent {
        CreateEvent::Heartbeat(self.origin(minutes))
    }

    pub fn stop(&self, minutes: i64) -> CreateEvent {
        CreateEvent::StateChange {
            origin: self.origin(minutes),
            instance: self.stopped.clone(),
            trigger: Some(Trigger::Stopped),
            state: "stopped".into(),
        }
    }

    /// Starts the machine that has stopped.
    pub fn start_machine(&self) {
        let ids = vec![self.stopped.to_string()];
        let request = Request::StartInstances(StartInstances { ids });
        self.ec2.account().call(&request).unwrap();
    }

    /// Stops it again.
    pub fn stop_machine(&self) {
        let ids = vec![self.stopped.to_string()];
        let request = Request::StopInstances(StopInstances { ids });
        self.ec2.account().call(&request).unwrap();
    }

    fn origin(&self, minutes: i64) -> Origin {
        Origin {
            time: self.start + SignedDuration::from_mins(minutes),
            account: None,
            region: None,
        }
    }

    /// How many calls the last run made.
    pub fn calls(&self) -> u64 {
        self.gate.calls(self.runs - 1)
    }

    /// Their names.
    pub fn named(&self) -> Vec<&'static str> {
        self.gate.named(self.runs - 1)
    }

    /// Runs side by side, one for each event; the first may be cut. `None` for what was cut.
    pub async fn runs(
        &mut self,
        events: Vec<CreateEvent>,
        cut: Option<Cut>,
    ) -> Vec<Option<Result<Report, String>>> {
        let first = self.runs;
        self.runs += events.len();
        if let Some(cut) = cut {
            self.gate.cut(first, cut);
        }
        let (protect, policies) = (self.protect, &self.policies);
        let sends_commands = self.sends_commands;
        let runs: Vec<Run<'_, Result<Report, String>>> = events
            .into_iter()
            .zip(first..)
            .map(|(event, run)| {
                let ports = self.ports(run);
                let work = async move {
                    let invocation = invocation(run);
                    let made = create(
                        protect,
                        &ports,
                        &ports,
                        policies,
                        Means {
                            paces: paces(),
                            guests: sends_commands.then_some(&ports as _),
                        },
                        event,
                        &invocation,
                    );
                    made.await.map_err(|error| error.to_string())
                };
                (run, Box::pin(work) as _)
            })
            .collect();
        let numbers = &mut self.numbers;
        let choose = |waiting: usize| numbers.below(waiting as u64) as usize;
        side_by_side(&self.gate, runs, choose).await
    }

    pub async fn run(&mut self, event: CreateEvent) -> Result<Report, String> {
        self.runs(vec![event], None).await.remove(0).unwrap()
    }

    fn ports(&self, run: usize) -> Ports {
        Ports {
            run,
            gate: self.gate.clone(),
            ec2: Stamped(self.ec2.clone()),
            records: self.records.clone(),
            notes: Arc::default(),
            aged: Arc::default(),
        }
    }

    /// Lets time pass, on EC2's clock and on that by which requests and leases are recorded.
    pub fn pass(&self, time: SignedDuration) {
        self.ec2.account().advance_by(time);
        self.records.let_pass(time);
        self.records.expire_leases();
    }

    /// Heartbeats, five minutes apart, until one leaves nothing to do.
    pub async fn until_done(&mut self, from: i64) -> Result<(), String> {
        let mut last = String::new();
        for beat in 0..40 {
            self.pass(SignedDuration::from_mins(5));
            match self.run(self.heartbeat(from + 5 * beat)).await {
                // What an event left over may be finished by the one after.
                Ok(report) if report.run.complete && beat > 2 => return Ok(()),
                other => last = format!("{other:?}"),
            }
        }
        Err(format!("it never comes to an end: {last}"))
    }

    /// Whether the account holds one whole backup of each, and nothing else, and whether ledger and
    /// lineage say so.
    pub fn truth(&self, asked: &BTreeSet<Asked>) -> Result<(), String> {
        let made = self.made();
        let contents = self.records.contents();
        let expected: BTreeSet<&Asked> = asked.iter().collect();
        let found: BTreeSet<&Asked> = made.keys().collect();
        if expected != found {
            return Err(format!("asked for {expected:#?}, made {found:#?}"));
        }
        for ((slot, source), artifacts) in &made {
            let wrong = |words: String| Err(format!("{source} for {slot}: {words}"));
            let volumes: BTreeSet<VolumeId> = artifacts
                .iter()
                .flat_map(|(_, volumes)| volumes.clone())
                .collect();
            let count: usize = artifacts.iter().map(|(_, volumes)| volumes.len()).sum();
            if volumes != self.sources[source] || count != volumes.len() {
                return wrong(format!("made {artifacts:?}"));
            }
            let key = (self.policy().to_owned(), source.clone());
            let record = contents
                .slots
                .get(&key)
                .and_then(|s| s.get(&slot.to_string()));
            let Some(record) = record else {
                return wrong("the ledger does not know it".into());
            };
            let recorded: BTreeSet<&String> = record.artifacts.iter().collect();
            if !record.state.is_made() || recorded != artifacts.iter().map(|(id, _)| id).collect() {
                return wrong(format!("made {artifacts:?}, the ledger says {record:?}"));
            }
            if let Some((id, _)) = artifacts
                .iter()
                .find(|(id, _)| !contents.nodes.contains_key(id))
            {
                return wrong(format!("no lineage of {id}"));
            }
        }
        let function = &contents.functions[self.function()];
        if !function.heads[self.policy()].value.complete || !contents.open.is_empty() {
            return Err(format!("left: {function:?} {:?}", contents.open));
        }
        Ok(())
    }

    /// What stands in the account: of each slot and source the artifacts, with their volumes.
    #[allow(clippy::type_complexity)]
    fn made(&self) -> BTreeMap<Asked, Vec<(String, BTreeSet<VolumeId>)>> {
        let account = self.ec2.account();
        let asked = |tags: &Tags| {
            let slot = tags["holdfast:slot"].parse().unwrap();
            (slot, tags["holdfast:source"].clone())
        };
        let mut made: BTreeMap<Asked, Vec<_>> = BTreeMap::new();
        for snapshot in account.snapshots() {
            if snapshot.tags["holdfast:artifact"] == "snapshot" {
                let volumes = BTreeSet::from([snapshot.volume.clone()]);
                let one = (snapshot.id.to_string(), volumes);
                made.entry(asked(&snapshot.tags)).or_default().push(one);
            }
        }
        for image in account.images() {
            let source = &image.tags["holdfast:source"];
            let one = (image.id.to_string(), self.sources[source].clone());
            made.entry(asked(&image.tags)).or_default().push(one);
        }
        made
    }
}

/// Buckets that let everything through, and after a refusal nothing more in this invocation: its
/// turn would come after the invocation's time, so nobody waits.
pub fn paces() -> Paces {
    bursts(1e6)
}

/// Buckets that let so many calls through in an invocation, without a wait.
pub fn bursts(calls: f64) -> Paces {
    let pace = || Pace::new(calls, 0.001);
    Paces {
        sets: pace(),
        singles: pace(),
        images: pace(),
    }
}

pub fn invocation(run: usize) -> Invocation {
    Invocation {
        id: format!("run-{run}"),
        account: None,
        region: None,
        stop_at: Some(Timestamp::now() + SignedDuration::from_mins(5)),
        operator: None,
    }
}
