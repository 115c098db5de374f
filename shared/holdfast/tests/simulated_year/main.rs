//! A year of a small fleet through the real handlers, day by day beside the simulation of it: what
//! `holdfast simulate` says is what the functions do.
#![allow(clippy::unwrap_used)]

mod fleet;
mod random;
mod stage;
#[path = "../interrupted/stamped.rs"]
mod stamped;

use std::collections::BTreeSet;

use fleet::{Piece, changes, simulated};
use holdfast_core::policy::PolicyFile;
use holdfast_core::simulation::{AdviceCode, Course, Question, simulate};
use jiff::{SignedDuration, Timestamp};
use stage::{Backup, Stage};

/// Midnight at the beginning of a Monday; the year after it lies in the past, so that no `now` is
/// refused for being in the future.
const START: &str = "2025-11-17T00:00:00Z";

const NIGHTLY: &str = r#"
  - name: nightly
    protect: volumes
    select: { volumes: { tags: { Backup: nightly } } }
    schedule: cron(30 2 * * ? *)
    timezone: Europe/Berlin
    retain: { daily: 5, weekly: 3, monthly: 4, yearly: 2 }
    min_copies: 2
    grace: 24h
    source_gone: { delete_after: 30d }
"#;

const MACHINES: &str = r#"
  - name: sets
    protect: volumes
    select: { instances: { tags: { Backup: machine } } }
    schedule: rate(6 hours)
    retain: { last: 3, daily: 3, weekly: 2, within: 20h }
  - name: images
    protect: instances
    select: { instances: { tags: { Backup: machine } } }
    schedule: cron(0 6 ? * SUN *)
    retain: { weekly: 3, monthly: 4 }
    limits: { max_shrink: 10%, free: 1 }
    source_gone: { delete_after: 2mo }
"#;

const TEAM: &str = r#"
  - name: team
    protect: volumes
    select: { volumes: { tags: { Team: "*" } } }
    schedule: cron(0 12 ? * MON,THU *)
    retain: { weekly: 4, monthly: 6 }
    group: { tag: Team }
"#;

const HOURLY: &str = r#"
  - name: hourly
    protect: volumes
    select: { volumes: { tags: { Backup: "*" } } }
    schedule: rate(1 hour)
    retain: { last: 2, hourly: 12, daily: 5, weekly: 3 }
    min_copies: 3
    grace: 5h
    source_gone: { delete_after: 36h }
"#;

/// A fleet, its policies, and for how long they are looked at.
struct Case<'a> {
    policies: &'a [&'a str],
    pieces: Vec<Piece>,
    days: u32,
    /// A reconcile and a sweep come every so many hours, at half past.
    sweeps: i64,
    /// The hour at whose end another simulation begins, with what stands then, and takes over.
    begins_anew: Option<i64>,
}

/// Policies whose breaker tripped, and those of which the simulation says so.
struct Breakers {
    tripped: BTreeSet<String>,
    foretold: BTreeSet<String>,
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}

/// What stands in the simulation.
fn survivors(course: &Course<'_>) -> BTreeSet<Backup> {
    let all = course.survivors().into_iter();
    all.map(|one| (one.policy, one.of, one.slot)).collect()
}

impl Case<'_> {
    /// Heartbeats at the full and the half hour, where all slots are; both sides are compared at the
    /// end of each day, and where sweeps come every hour, in each hour.
    async fn run(&self) -> Breakers {
        let start = at(START);
        let text = format!("version: 1\npolicies:{}", self.policies.concat());
        let policies = PolicyFile::parse("policies.yaml", &text, start).unwrap();
        let fleet = simulated(&self.pieces).await;
        let hours = 24 * i64::from(self.days);
        let end = start + SignedDuration::from_hours(hours);
        let mut course = Course::new(&policies, &fleet, &[], start, end);
        let mut stage = Stage::new(&policies, &self.pieces, start);
        let changes = changes(&self.pieces);
        for hour in 0..=hours {
            let now = start + minutes(60 * hour);
            stage.pass(now);
            stage.heartbeat().await;
            if hour % 24 == 0 || self.sweeps == 1 {
                course.advance(now);
                same(now, &survivors(&course), &stage.survivors());
                assert_eq!(stage.remains(), 0, "{now}");
            }
            let quarter = now + minutes(15);
            if changes.contains(&quarter) {
                stage.pass(quarter);
                stage.change(&self.pieces);
            }
            stage.pass(now + minutes(30));
            stage.heartbeat().await;
            if hour % self.sweeps == self.sweeps / 2 {
                stage.reconcile_and_sweep().await;
            }
            if self.begins_anew == Some(hour) {
                let from = now + minutes(45);
                stage.pass(from);
                course = Course::new(&policies, &fleet, &stage.standing().await, from, end);
            }
        }
        let question = Question {
            policies: &policies,
            against: None,
            fleet: &fleet,
            standing: None,
            from: start,
            days: self.days,
            at: None,
            price: None,
        };
        let advice = simulate(&question, &mut |_, _| {}).advice.into_iter();
        let trips = advice.filter(|advice| advice.code == AdviceCode::CircuitBreaker);
        Breakers {
            tripped: stage.tripped,
            foretold: trips.filter_map(|advice| advice.policy).collect(),
        }
    }
}

fn same(now: Timestamp, told: &BTreeSet<Backup>, found: &BTreeSet<Backup>) {
    let only_told: Vec<_> = told.difference(found).collect();
    let only_found: Vec<_> = found.difference(told).collect();
    assert!(
        told == found,
        "{now}: only the simulation has {only_told:#?}, only the account {only_found:#?}"
    );
}

/// Volumes by themselves, machines of one volume and of two, some that come later and some that go,
/// over both changes of the clocks. The simulation sweeps every hour; twice a day comes to the same
/// by midnight, because all waits are of whole days. The breaker of the AMIs trips over those of a machine that is
/// gone, and somebody releases it at once.
#[tokio::test]
async fn a_year_through_the_handlers_leaves_on_every_day_what_the_simulation_says() {
    let (nightly, machine) = (("Backup", "nightly"), ("Backup", "machine"));
    let case = Case {
        policies: &[NIGHTLY, MACHINES],
        pieces: vec![
            Piece::volume("vol-000000b1", nightly),
            Piece::volume("vol-000000b2", nightly).until("2026-03-10T04:15:00Z"),
            Piece::volume("vol-000000b3", nightly).since("2026-02-01T08:15:00Z"),
            Piece::machine("i-000000c0", &["vol-000000c1", "vol-000000c2"], machine),
            Piece::machine("i-000000e0", &["vol-000000e1"], machine).until("2026-05-20T04:15:00Z"),
        ],
        days: 365,
        sweeps: 12,
        begins_anew: None,
    };
    let breakers = case.run().await;
    assert_eq!(breakers.tripped, ["images".to_owned()].into());
    assert_eq!(breakers.foretold, breakers.tripped);
}

/// Each sweep sees every backup come, wait for its grace and go.
#[tokio::test]
async fn weeks_of_hourly_backups_and_sweeps_leave_in_every_hour_what_the_simulation_says() {
    let hourly = ("Backup", "hourly");
    let case = Case {
        policies: &[HOURLY],
        pieces: vec![
            Piece::volume("vol-000000a1", hourly),
            Piece::volume("vol-000000a2", hourly).until("2025-12-01T09:15:00Z"),
            Piece::volume("vol-000000a3", hourly).since("2025-11-20T18:15:00Z"),
        ],
        days: 28,
        sweeps: 1,
        begins_anew: None,
    };
    case.run().await;
}

/// One volume takes the place of the other in the group that both are of.
#[tokio::test]
async fn a_group_that_outlives_its_volume_keeps_on_every_day_what_the_simulation_says() {
    let team = ("Team", "red");
    let case = Case {
        policies: &[TEAM],
        pieces: vec![
            Piece::volume("vol-000000d1", team).until("2026-02-02T15:15:00Z"),
            Piece::volume("vol-000000d2", team).since("2026-02-02T15:15:00Z"),
        ],
        days: 180,
        sweeps: 12,
        begins_anew: None,
    };
    case.run().await;
}

/// A volume that two policies pick for the same time is taken twice, the second time by a later
/// heartbeat.
#[tokio::test]
async fn a_volume_of_two_policies_has_the_backups_of_both() {
    let both = ("Backup", "nightly");
    let case = Case {
        policies: &[NIGHTLY, &NIGHTLY.replacen("nightly", "again", 1)],
        pieces: vec![Piece::volume("vol-000000f1", both)],
        days: 21,
        sweeps: 12,
        begins_anew: None,
    };
    case.run().await;
}

/// What an account has is a beginning like any other: sets, AMIs and the backups of a group go on as
/// they would have.
#[tokio::test]
async fn a_simulation_that_begins_with_what_stands_goes_on_as_the_account_does() {
    let machine = ("Backup", "machine");
    let case = Case {
        policies: &[MACHINES, TEAM],
        pieces: vec![
            Piece::machine("i-000000c0", &["vol-000000c1", "vol-000000c2"], machine),
            Piece::volume("vol-000000d1", ("Team", "red")),
            Piece::volume("vol-000000d2", ("Team", "blue")),
        ],
        days: 70,
        sweeps: 12,
        begins_anew: Some(24 * 35 + 9),
    };
    case.run().await;
}

/// Random policies over random fleets, hour by hour.
#[tokio::test]
async fn whatever_the_policies_and_the_fleet_the_account_has_what_the_simulation_says() {
    for seed in random::seeds() {
        let (policies, pieces) = random::case(seed, at(START));
        let policies: Vec<&str> = policies.iter().map(String::as_str).collect();
        println!("seed {seed}: {}", policies.concat());
        let case = Case {
            policies: &policies,
            pieces,
            days: random::DAYS,
            sweeps: 1,
            begins_anew: None,
        };
        case.run().await;
    }
}
