//! Sources that several policies pick, and slots of one policy that fall together.

use std::collections::{BTreeMap, BTreeSet};

use holdfast::create::{Means, create};
use holdfast_core::event::{CreateEvent, Origin};
use holdfast_core::id::{InstanceId, VolumeId};
use holdfast_core::inventory::{InstanceState, Tags};
use holdfast_core::policy::{PolicyFile, Protect, Trigger};
use holdfast_core::report::Report;
use holdfast_sim::records::InMemoryRecords;
use holdfast_sim::{Account, InProcess, InstanceSeed, Settings, VolumeSeed};
use jiff::Timestamp;

use super::interrupted::cases::cases;
use super::stage::{invocation, paces};

/// A slot of every policy here.
const SLOT: &str = "2026-03-03T03:00:00Z";

/// The volumes in the snapshots, and how many artifacts there are, by policy, slot and source.
type Made = BTreeMap<(String, String, String), (BTreeSet<String>, usize)>;

struct Scene {
    policies: PolicyFile,
    ec2: InProcess,
    records: InMemoryRecords,
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn tags(pairs: &[(&str, &str)]) -> Tags {
    let owned = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
    pairs.iter().map(owned).collect()
}

/// A stopped machine whose volumes have these tags, the first its root.
fn machine(account: &mut Account, own: &[(&str, &str)], volumes: &[&[(&str, &str)]]) -> String {
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
    fn new(policies: &[(&str, &str, &str)], seed: impl FnOnce(&mut Account)) -> Self {
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

    async fn run(&self, protect: Protect, event: CreateEvent) -> Result<Report, String> {
        let means = Means {
            paces: paces(),
            guests: None,
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

    async fn beat(&self, protect: Protect, time: &str) -> Result<Report, String> {
        self.advance(time);
        self.run(protect, CreateEvent::Heartbeat(origin(time)))
            .await
    }

    async fn stop(&self, protect: Protect, time: &str, id: &str) -> Result<Report, String> {
        self.advance(time);
        let event = CreateEvent::StateChange {
            origin: origin(time),
            instance: InstanceId::new(id),
            trigger: Some(Trigger::Stopped),
            state: "stopped".into(),
        };
        self.run(protect, event).await
    }

    fn advance(&self, time: &str) {
        let mut account = self.ec2.account();
        if account.now() < at(time) {
            account.advance_to(at(time));
        }
    }

    fn made(&self) -> Made {
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
    fn volumes(&self, instance: &str) -> Vec<String> {
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

fn key(policy: &str, slot: &str, source: &str) -> (String, String, String) {
    (policy.to_owned(), slot.to_owned(), source.to_owned())
}

fn of(volumes: &[&String]) -> (BTreeSet<String>, usize) {
    let distinct: BTreeSet<String> = volumes.iter().map(|id| (*id).clone()).collect();
    (distinct, volumes.len())
}

const NIGHTLY: &str = "    schedule: cron(0 3 * * ? *)\n";

#[test]
fn a_source_that_two_policies_pick_gets_a_backup_of_each() {
    cases("two-policies", 1, async |_| {
        let select = "    select: { instances: { tags: { Backup: x } } }\n";
        let words = format!("{select}{NIGHTLY}");
        let policies = [
            ("a", "volumes", words.as_str()),
            ("b", "volumes", words.as_str()),
            ("c", "instances", words.as_str()),
            ("d", "instances", words.as_str()),
        ];
        let mut id = String::new();
        let scene = Scene::new(&policies, |account| {
            id = machine(account, &[("Backup", "x")], &[&[], &[]]);
        });
        // EC2 takes a volume once in fifteen seconds: the second policy comes with the next.
        for time in [SLOT, "2026-03-03T03:05:00Z", "2026-03-03T03:10:00Z"] {
            scene.beat(Protect::Volumes, time).await?;
            scene.beat(Protect::Instances, time).await?;
        }
        let volumes = scene.volumes(&id);
        let whole = of(&[&volumes[0], &volumes[1]]);
        let ami = (BTreeSet::new(), 1);
        let expected = Made::from([
            (key("a", SLOT, &id), whole.clone()),
            (key("b", SLOT, &id), whole),
            (key("c", SLOT, &id), ami.clone()),
            (key("d", SLOT, &id), ami),
        ]);
        assert_eq!(scene.made(), expected);
        Ok(())
    });
}

#[test]
fn a_volume_on_an_instance_of_another_policy_is_taken_for_itself_and_with_its_instance() {
    cases("another-policys-instance", 1, async |_| {
        let machines =
            format!("    select: {{ instances: {{ tags: {{ Backup: x }} }} }}\n{NIGHTLY}");
        let disks = format!("    select: {{ volumes: {{ tags: {{ Db: x }} }} }}\n{NIGHTLY}");
        let policies = [
            ("machines", "volumes", machines.as_str()),
            ("disks", "volumes", disks.as_str()),
        ];
        let mut ids = Vec::new();
        let scene = Scene::new(&policies, |account| {
            // Both policies; the one of the disks alone; the one of the machines alone.
            ids.push(machine(account, &[("Backup", "x")], &[&[], &[("Db", "x")]]));
            ids.push(machine(
                account,
                &[],
                &[&[], &[("Db", "x")], &[("Db", "x")]],
            ));
            ids.push(machine(account, &[("Backup", "x")], &[&[], &[]]));
        });
        for time in [SLOT, "2026-03-03T03:05:00Z"] {
            scene.beat(Protect::Volumes, time).await?;
        }
        let [both, disks, machines] = [0, 1, 2].map(|n| scene.volumes(&ids[n]));
        let expected = Made::from([
            (key("machines", SLOT, &ids[0]), of(&[&both[0], &both[1]])),
            (key("disks", SLOT, &ids[0]), of(&[&both[1]])),
            (key("disks", SLOT, &ids[1]), of(&[&disks[1], &disks[2]])),
            (
                key("machines", SLOT, &ids[2]),
                of(&[&machines[0], &machines[1]]),
            ),
        ]);
        assert_eq!(scene.made(), expected);
        Ok(())
    });
}

/// Each kind of backup by a policy of its own.
fn each(words: &str) -> (Scene, String) {
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

const BOTH: [Protect; 2] = [Protect::Volumes, Protect::Instances];

#[test]
fn one_backup_serves_two_slots_of_one_policy_that_coincide() {
    cases("coinciding-slots", 1, async |_| {
        let schedules = "    schedule: [cron(0 3 * * ? *), rate(1 hour)]\n";
        let (scene, id) = each(schedules);
        let next = "2026-03-03T04:00:00Z";
        for time in [SLOT, "2026-03-03T03:05:00Z", next, "2026-03-03T04:05:00Z"] {
            for protect in BOTH {
                scene.beat(protect, time).await?;
            }
        }
        let volumes = scene.volumes(&id);
        let whole = of(&[&volumes[0], &volumes[1]]);
        let ami = (BTreeSet::new(), 1);
        let expected = Made::from([
            (key("sets", SLOT, &id), whole.clone()),
            (key("sets", next, &id), whole),
            (key("amis", SLOT, &id), ami.clone()),
            (key("amis", next, &id), ami),
        ]);
        assert_eq!(scene.made(), expected);
        Ok(())
    });
}

#[test]
fn one_backup_serves_a_slot_and_an_event_of_the_same_second() {
    cases("slot-and-event", 1, async |_| {
        let words = format!("{NIGHTLY}    triggers: [stopped]\n");
        for event_first in [false, true] {
            let (scene, id) = each(&words);
            for protect in BOTH {
                for event in [event_first, !event_first] {
                    let done = match event {
                        true => scene.stop(protect, SLOT, &id).await,
                        false => scene.beat(protect, SLOT).await,
                    };
                    assert!(done?.run.complete);
                }
                scene.beat(protect, "2026-03-03T03:05:00Z").await?;
            }
            let volumes = scene.volumes(&id);
            let expected = Made::from([
                (key("sets", SLOT, &id), of(&[&volumes[0], &volumes[1]])),
                (key("amis", SLOT, &id), (BTreeSet::new(), 1)),
            ]);
            assert_eq!(scene.made(), expected, "event first: {event_first}");
        }
        Ok(())
    });
}
