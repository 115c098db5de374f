//! The simulation against the handlers themselves, day by day over the same account.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use holdfast::create::{Means, create};
use holdfast::function::Invocation;
use holdfast::simulation::{Course, Fleet};
use holdfast::sweep::{lists, sweep};
use holdfast_core::event::{CreateEvent, Origin, SweepEvent};
use holdfast_core::id::VolumeId;
use holdfast_core::inventory::Tags;
use holdfast_core::policy::{PolicyFile, Protect};
use holdfast_core::report::{Mode, Outcome, Report};
use holdfast_sim::records::InMemoryRecords;
use holdfast_sim::request::{DeleteVolume, Request};
use holdfast_sim::{Account, InProcess, InstanceSeed, Settings, VolumeSeed};
use jiff::{SignedDuration, Timestamp};

/// How long both go on.
const DAYS: i32 = 40;
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Every rule, both kinds of artifact, sets, a grace, zones with a change of clocks and slots that
/// fall between heartbeats and on a sweep. What the breaker holds depends on the wall clock, so
/// that it is left out.
const POLICIES: &str = "
version: 1
policies:
  - name: sets
    protect: volumes
    select: { instances: { tags: { Backup: x } } }
    schedule: [cron(0 3 * * ? *), cron(2 14 ? * MON-FRI *)]
    timezone: Europe/Berlin
    retain: { last: 2, daily: 5, weekly: 3, monthly: 2 }
    limits: { max_shrink: 100% }
  - name: waiting
    protect: volumes
    select: { volumes: { tags: { Backup: x } } }
    schedule: rate(6 hours)
    retain: { hourly: 3, daily: 2 }
    grace: 31h
    limits: { max_shrink: 100% }
  - name: young
    protect: volumes
    select: { volumes: { tags: { Young: x } } }
    schedule: cron(30 9 * * ? *)
    retain: { within: 4d }
    min_copies: 2
    limits: { max_shrink: 100% }
  - name: images
    protect: instances
    select: { instances: { tags: { Bake: x } } }
    schedule: cron(30 4 * * ? *)
    timezone: America/New_York
    retain: { last: 1, weekly: 2 }
    limits: { max_shrink: 100% }
  - name: idle
    protect: volumes
    select: { volumes: { tags: { Backup: x } } }
    schedule: rate(1 day)
    retain: { last: 1 }
    state: paused
";

fn tags(key: &str) -> Tags {
    [(key.to_owned(), "x".to_owned())].into()
}

fn machine(account: &mut Account, key: &str, volumes: usize) {
    let devices = (0..volumes).map(|number| {
        let device = match number {
            0 => "/dev/xvda".to_owned(),
            number => format!("/dev/sd{number}"),
        };
        (device, account.seed_volume(VolumeSeed::default()))
    });
    let devices = devices.collect();
    account.seed_instance(InstanceSeed {
        devices,
        tags: tags(key),
        ..InstanceSeed::default()
    });
}

fn volume(account: &mut Account, key: &str) -> VolumeId {
    account.seed_volume(VolumeSeed {
        tags: tags(key),
        ..VolumeSeed::default()
    })
}

fn invocation(at: Timestamp) -> Invocation {
    Invocation {
        id: format!("run-{at}"),
        account: Some("111122223333".into()),
        region: Some("eu-central-1".into()),
        stop_at: None,
    }
}

/// The account as the handlers leave it.
struct Handled {
    ec2: InProcess,
    records: InMemoryRecords,
    policies: PolicyFile,
}

impl Handled {
    /// What a deployed stack does at a time: the two creating functions, and at half past the sweep.
    async fn beat(&self, at: Timestamp) {
        self.ec2.account().advance_to(at);
        let origin = || Origin {
            time: at,
            account: None,
            region: None,
        };
        let invocation = invocation(at);
        for protect in [Protect::Volumes, Protect::Instances] {
            let event = CreateEvent::Heartbeat(origin());
            let means = Means::default();
            let (ec2, records, policies) = (&self.ec2, &self.records, &self.policies);
            let made = create(protect, ec2, records, policies, means, event, &invocation).await;
            went_well(&made.unwrap());
        }
        if at.as_second().rem_euclid(3600) == 1800 {
            let event = SweepEvent::Heartbeat(origin());
            let (ec2, records, policies) = (&self.ec2, &self.records, &self.policies);
            let mode = Mode::Enforce;
            let swept = sweep(ec2, records, policies, mode, event, &invocation).await;
            went_well(&swept.unwrap());
        }
    }

    /// What stands: policy, volume or instance, and time.
    fn survivors(&self) -> BTreeSet<(String, String, Timestamp)> {
        let account = self.ec2.account();
        let mut survivors = BTreeSet::new();
        for snapshot in account.snapshots() {
            if snapshot.tags["holdfast:artifact"] == "snapshot" {
                let policy = snapshot.tags["holdfast:policy"].clone();
                survivors.insert((policy, snapshot.volume.to_string(), snapshot.started));
            }
        }
        for image in account.images() {
            let policy = image.tags["holdfast:policy"].clone();
            let of = image.tags["holdfast:source"].clone();
            survivors.insert((policy, of, image.created));
        }
        survivors
    }
}

fn went_well(report: &Report) {
    let wrong = [Outcome::Failed, Outcome::Finding].map(|outcome| report.count(outcome));
    assert_eq!(wrong, [0, 0], "{report:#?}");
    assert!(report.run.complete, "{report:#?}");
}

#[tokio::test]
async fn on_every_day_the_simulation_keeps_what_the_handlers_keep() {
    // Slots that fall into the wall clock's future would be refused.
    let today = Timestamp::now().as_second().div_euclid(86_400) * 86_400;
    let start = Timestamp::from_second(today).unwrap() - DAY * (DAYS + 1);
    let mut account = Account::new(Settings {
        start,
        ..Settings::default()
    });
    // No volume twice: EC2 refuses a second snapshot of one within 15 seconds, and the handlers make
    // it five minutes later.
    machine(&mut account, "Backup", 3);
    machine(&mut account, "Backup", 3);
    machine(&mut account, "Backup", 1);
    machine(&mut account, "Bake", 2);
    machine(&mut account, "Bake", 2);
    volume(&mut account, "Backup");
    volume(&mut account, "Young");
    let leaves = volume(&mut account, "Backup");
    let policies = PolicyFile::parse("policies.yaml", POLICIES, start).unwrap();
    let handled = Handled {
        ec2: InProcess::new(account.shared()),
        records: InMemoryRecords::new(),
        policies,
    };
    // One volume goes on the tenth day and another comes on the twentieth, between two slots.
    let (goes, comes) = (start + DAY * 10, start + DAY * 20);
    let comes_as = VolumeId::new("vol-0123456789abcdef0");
    let inventory = lists::read(&handled.ec2, &handled.policies).await;
    let mut fleet = Fleet::of(&inventory);
    let mut late = None;
    for one in &mut fleet.volumes {
        if one.what.id == leaves {
            one.until = Some(goes);
            let mut other = one.clone();
            other.what.id = comes_as.clone();
            (other.since, other.until) = (Some(comes), None);
            late = Some(other);
        }
    }
    fleet.volumes.extend(late);

    let mut course = Course::new(&handled.policies, &fleet, &[], start, start + DAY * DAYS);
    let mut most = 0;
    let mut at = start;
    for day in 1..=DAYS {
        let end = start + DAY * day;
        while at < end {
            if at == goes {
                let volume = leaves.to_string();
                let request = Request::DeleteVolume(DeleteVolume { volume });
                handled.ec2.account().call(&request).unwrap();
            }
            if at == comes {
                handled.ec2.account().seed_volume(VolumeSeed {
                    id: Some(comes_as.clone()),
                    tags: tags("Backup"),
                    ..VolumeSeed::default()
                });
            }
            handled.beat(at).await;
            at += SignedDuration::from_mins(5);
        }
        course.advance(at - SignedDuration::from_secs(1));
        let (expected, simulated) = (handled.survivors(), course.survivors());
        let only = |one: &BTreeSet<_>, other: &BTreeSet<_>| -> Vec<_> {
            one.difference(other).cloned().collect()
        };
        let lost = only(&expected, &simulated);
        let invented = only(&simulated, &expected);
        assert!(
            lost.is_empty() && invented.is_empty(),
            "day {day}: the handlers alone keep {lost:#?}, the simulation alone {invented:#?}"
        );
        most = most.max(expected.len());
    }
    // Not for want of anything to compare: seven volumes in sets have at least two, five and two
    // more each.
    assert!(most > 63, "{most}");
}
