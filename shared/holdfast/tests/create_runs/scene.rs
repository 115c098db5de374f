//! A few policies over one account, and what happens to it at given times.

use std::collections::{BTreeMap, BTreeSet};

use holdfast::check::reconcile_all;
use holdfast::create::{Means, Paces, create};
use holdfast_core::event::{CreateEvent, Origin};
use holdfast_core::id::{InstanceId, VolumeId};
use holdfast_core::inventory::{InstanceState, Tags};
use holdfast_core::policy::{PolicyFile, Protect, Trigger};
use holdfast_core::report::Report;
use holdfast_sim::records::InMemoryRecords;
use holdfast_sim::request::{Request, StartInstances, StopInstances};
use holdfast_sim::{Account, InProcess, InstanceSeed, Settings, VolumeSeed};
use jiff::{SignedDuration, Timestamp};

use super::stage::{invocation, paces};

/// A slot of every policy here.
pub const SLOT: &str = "2026-03-03T03:00:00Z";

/// The volumes in the snapshots, and how many artifacts there are, by policy, slot and source.
pub type Made = BTreeMap<(String, String, String), (BTreeSet<String>, usize)>;

pub struct Scene {
    pub policies: PolicyFile,
    pub ec2: InProcess,
    pub records: InMemoryRecords,
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn tags(pairs: &[(&str, &str)]) -> Tags {
    let owned = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
    pairs.iter().map(owned).collect()
}

/// A stopped machine whose volumes have these tags, the first its root.
pub fn machine(account: &mut Account, own: &[(&str, &str)], volumes: &[&[(&str, &str)]]) -> String {
    let names = ["/dev/xvda", "/dev/sdb", "/dev/sdc"];
    let devices = names.iter().zip(volumes);
    let devices: Vec<(String, VolumeId)> = devices
        .map(|(name, own)| {
            let volume = account.seed_volume(VolumeSeed {
                tags: tags(own),
                ..VolumeSeed::default()
            });
            ((*name).to_owned(), volume)
        })
        .collect();
    let id = account.seed_instance(InstanceSeed {
        devices,
        tags: tags(own),
        state: InstanceState::Stopped,
        ..InstanceSeed::default()
    });
    id.to_string()
}

impl Scene {
    /// The policies by what they say of themselves: name, what they protect, and the rest.
    pub fn new(policies: &[(&str, &str, &str)], seed: impl FnOnce(&mut Account)) -> Self {
        let mut text = "version: 1\npolicies:\n".to_owned();
        for (name, protect, words) in policies {
            text += &format!(
                "  - name: {name}\n    protect: {protect}\n    retain: {{ last: 9 }}\n{words}"
            );
        }
        let start = at("2026-03-02T00:00:00Z");
        let mut account = Account::new(Settings {
            start,
            ..Settings::default()
        });
        seed(&mut account);
        Self {
            policies: PolicyFile::parse("policies.yaml", &text, start).unwrap(),
            ec2: InProcess::new(account.shared()),
            records: InMemoryRecords::new(),
        }
    }

    async fn run(
        &self,
        protect: Protect,
        event: CreateEvent,
        paces: Paces,
    ) -> Result<Report, String> {
        let means = Means {
            paces,
            guests: Some(&self.ec2),
        };
        let (ec2, records, invocation) = (&self.ec2, &self.records, invocation(0));
        let run = create(
            protect,
            ec2,
            records,
            &self.policies,
            means,
            event,
            &invocation,
        );
        run.await.map_err(|error| error.to_string())
    }

    pub async fn beat(&self, protect: Protect, time: &str) -> Result<Report, String> {
        self.paced_beat(protect, time, paces()).await
    }

    /// A heartbeat that these buckets let through.
    pub async fn paced_beat(
        &self,
        protect: Protect,
        time: &str,
        paces: Paces,
    ) -> Result<Report, String> {
        self.advance(time);
        let event = CreateEvent::Heartbeat(origin(time));
        self.run(protect, event, paces).await
    }

    pub async fn stop(&self, protect: Protect, time: &str, id: &str) -> Result<Report, String> {
        self.told(Trigger::Stopped, protect, time, id).await
    }

    /// The event that tells of a change of state.
    pub async fn told(
        &self,
        trigger: Trigger,
        protect: Protect,
        time: &str,
        id: &str,
    ) -> Result<Report, String> {
        self.advance(time);
        let event = CreateEvent::StateChange {
            origin: origin(time),
            instance: InstanceId::new(id),
            trigger: Some(trigger),
            state: trigger.as_str().into(),
        };
        self.run(protect, event, paces()).await
    }

    /// Starts a machine; it runs within 20 seconds.
    pub fn start_machine(&self, time: &str, id: &str) {
        let ids = vec![id.to_owned()];
        self.change(time, &Request::StartInstances(StartInstances { ids }));
    }

    /// Stops a machine; it has stopped within 20 seconds.
    pub fn stop_machine(&self, time: &str, id: &str) {
        let ids = vec![id.to_owned()];
        self.change(time, &Request::StopInstances(StopInstances { ids }));
    }

    fn change(&self, time: &str, request: &Request) {
        self.advance(time);
        let mut account = self.ec2.account();
        account.call(request).unwrap();
        account.advance_by(SignedDuration::from_secs(20));
    }

    /// A reconcile of check-dependencies.
    pub async fn reconcile(&self, time: &str) -> Result<Report, String> {
        self.advance(time);
        let (ec2, records, invocation) = (&self.ec2, &self.records, invocation(0));
        let run = reconcile_all(ec2, records, &self.policies, None, &invocation, at(time));
        run.await.map_err(|error| error.to_string())
    }

    fn advance(&self, time: &str) {
        let mut account = self.ec2.account();
        if account.now() < at(time) {
            account.advance_to(at(time));
        }
    }

    pub fn made(&self) -> Made {
        let account = self.ec2.account();
        let mut made = Made::new();
        let key = |tags: &Tags| {
            let of = |name: &str| tags[&format!("holdfast:{name}")].clone();
            (of("policy"), of("slot"), of("source"))
        };
        for snapshot in account.snapshots() {
            if snapshot.tags["holdfast:artifact"] == "snapshot" {
                let (volumes, count) = made.entry(key(&snapshot.tags)).or_default();
                volumes.insert(snapshot.volume.to_string());
                *count += 1;
            }
        }
        for image in account.images() {
            made.entry(key(&image.tags)).or_default().1 += 1;
        }
        made
    }

    /// The volumes of the instance, the root first.
    pub fn volumes(&self, instance: &str) -> Vec<String> {
        let account = self.ec2.account();
        let found = account.instances().find(|i| i.id.as_str() == instance);
        let devices = found.unwrap().devices.iter();
        devices.map(|device| device.volume.to_string()).collect()
    }
}

fn origin(time: &str) -> Origin {
    Origin {
        time: at(time),
        account: None,
        region: None,
    }
}

pub fn key(policy: &str, slot: &str, source: &str) -> (String, String, String) {
    (policy.to_owned(), slot.to_owned(), source.to_owned())
}

pub fn of(volumes: &[&String]) -> (BTreeSet<String>, usize) {
    let distinct: BTreeSet<String> = volumes.iter().map(|id| (*id).clone()).collect();
    (distinct, volumes.len())
}

/// Each kind of backup by a policy of its own.
pub fn each(words: &str) -> (Scene, String) {
    let words = format!("    select: {{ instances: {{ tags: {{ Backup: x }} }} }}\n{words}");
    let policies = [
        ("sets", "volumes", words.as_str()),
        ("amis", "instances", words.as_str()),
    ];
    let mut id = String::new();
    let scene = Scene::new(&policies, |account| {
        id = machine(account, &[("Backup", "x")], &[&[], &[]]);
    });
    (scene, id)
}

pub const BOTH: [Protect; 2] = [Protect::Volumes, Protect::Instances];

/// A slot each night.
pub const NIGHTLY: &str = "    schedule: cron(0 3 * * ? *)\n";
