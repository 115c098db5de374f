//! What a simulation tells, against cases reckoned by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod compared;
mod curves;
mod fleet_file;
mod told;

use holdfast_core::policy::PolicyFile;
use holdfast_core::report::ReasonCode;
use holdfast_core::simulation::{
    Course, Fleet, PolicyCourse, Question, Simulation, Standing, simulate,
};
use jiff::{SignedDuration, Timestamp};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn days(count: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * count)
}

fn policies(text: &str) -> PolicyFile {
    let text = format!("version: 1\npolicies:\n{text}");
    PolicyFile::parse("policies.yaml", &text, at("2026-11-23T00:00:00Z")).unwrap()
}

fn fleet(text: &str) -> Fleet {
    Fleet::parse("fleet.yaml", &format!("version: 1\n{text}")).unwrap()
}

/// Volumes with the tag `Backup: x`, attached to nothing.
fn volumes(count: u32) -> Fleet {
    fleet(&format!(
        "volumes: [ {{ name: disk, count: {count}, size_gib: 100, tags: {{ Backup: x }} }} ]"
    ))
}

/// A policy named `nightly` over those volumes, at 03:00 UTC, with these keys besides.
fn nightly(keys: &str) -> PolicyFile {
    policies(&format!(
        "  - name: nightly
    protect: volumes
    select: {{ volumes: {{ tags: {{ Backup: x }} }} }}
    schedule: cron(0 3 * * ? *)
    {keys}"
    ))
}

/// The backup of `vol-disk` of one night, which `nightly` made.
fn stands(time: Timestamp, held: &[ReasonCode]) -> Standing {
    Standing {
        id: format!("snap-{}", time.strftime("%Y%m%d")),
        policy: "nightly".into(),
        image: false,
        source: "vol-disk".into(),
        of: "vol-disk".into(),
        time,
        slot: time,
        run: format!("run-{time}"),
        group: None,
        size_gib: 100,
        held: held.to_vec(),
    }
}

/// Midnight at the beginning of a Monday.
const START: &str = "2026-11-23T00:00:00Z";

fn question<'a>(policies: &'a PolicyFile, fleet: &'a Fleet, days: u32) -> Question<'a> {
    Question {
        policies,
        against: None,
        fleet,
        standing: None,
        from: at(START),
        days,
        at: None,
        price: None,
    }
}

fn simulated(policies: &PolicyFile, fleet: &Fleet, days: u32) -> Simulation {
    simulate(&question(policies, fleet, days), &mut |_, _| {})
}

fn counts(course: &PolicyCourse) -> Vec<u64> {
    course.series.iter().map(|point| point.backups).collect()
}

/// The times of what stands of a source.
fn standing(course: &Course<'_>, source: &str) -> Vec<String> {
    let all = course.survivors().into_iter();
    let of_source = all.filter(|one| one.of == source);
    of_source.map(|one| one.time.to_string()).collect()
}

#[test]
fn a_first_deployment_makes_a_first_backup_and_each_night_adds_one_until_the_rules_are_full() {
    let (policies, fleet) = (nightly("retain: { last: 3 }"), volumes(2));
    let simulation = simulated(&policies, &fleet, 5);
    let course = &simulation.policies[0];
    // At midnight of the first day the slot of the night before is made, complete after the moment
    // of the first point. Then one a night; the fourth retires the first.
    assert_eq!(counts(course), [0, 4, 6, 6, 6, 6]);
    assert_eq!((course.sources, course.created, course.retired), (2, 12, 6));
}

#[test]
fn the_restore_points_of_a_source_are_those_that_its_rules_keep() {
    let (policies, fleet) = (nightly("retain: { daily: 2, weekly: 2 }"), volumes(1));
    let mut course = Course::new(&policies, &fleet, &[], at(START), at(START) + days(20));
    course.advance(at("2026-12-10T12:00:00Z"));
    // Thursday: the newest of the last two days; the newest of this week is today's, and of the
    // week before Sunday's.
    let kept = [
        "2026-12-06T03:00:00Z",
        "2026-12-09T03:00:00Z",
        "2026-12-10T03:00:00Z",
    ];
    assert_eq!(standing(&course, "vol-disk"), kept);
}

#[test]
fn what_is_condemned_waits_for_the_grace_and_goes_with_the_first_sweep_after_it() {
    let policies = nightly("retain: { last: 1 }\n    grace: 36h");
    let fleet = volumes(1);
    let mut course = Course::new(&policies, &fleet, &[], at(START), at(START) + days(9));
    // The one of the first midnight is condemned at 03:30 on the first day, and goes at 15:30 on
    // the second.
    course.advance(at("2026-11-24T15:29:00Z"));
    assert_eq!(standing(&course, "vol-disk").len(), 3);
    course.advance(at("2026-11-24T15:30:00Z"));
    let left = ["2026-11-23T03:00:00Z", "2026-11-24T03:00:00Z"];
    assert_eq!(standing(&course, "vol-disk"), left);
}

#[test]
fn a_source_that_is_gone_keeps_its_last_backups_until_the_policy_lets_them_go() {
    let policies = nightly("retain: { last: 2 }\n    source_gone: { delete_after: 3d }");
    let fleet = fleet(
        "volumes: [ { name: disk, size_gib: 1, tags: { Backup: x }, until: 2026-11-25T12:00:00Z } ]",
    );
    let mut course = Course::new(&policies, &fleet, &[], at(START), at(START) + days(9));
    // Two reconciles have missed it at 13:30 on the 25th; three days later they go.
    course.advance(at("2026-11-28T13:29:00Z"));
    let left = ["2026-11-24T03:00:00Z", "2026-11-25T03:00:00Z"];
    assert_eq!(standing(&course, "vol-disk"), left);
    course.advance(at("2026-11-28T13:30:00Z"));
    assert!(standing(&course, "vol-disk").is_empty());
}

#[test]
fn a_volume_that_comes_later_is_backed_up_from_the_next_slot_on() {
    let policies = nightly("retain: { last: 9 }");
    let fleet =
        fleet("volumes: [ { name: disk, size_gib: 1, tags: { Backup: x }, since: 2026-11-25 } ]");
    let mut course = Course::new(&policies, &fleet, &[], at(START), at(START) + days(9));
    course.advance(at("2026-11-26T00:00:00Z"));
    assert_eq!(standing(&course, "vol-disk"), ["2026-11-25T03:00:00Z"]);
}

#[test]
fn the_volumes_of_an_instance_are_one_set_and_an_ami_is_one_backup() {
    let text = "  - name: sets
    protect: volumes
    select: { instances: { tags: { Backup: x } }, exclude: { boot_volumes: true } }
    schedule: rate(1 day)
    retain: { last: 2 }
  - name: images
    protect: instances
    select: { instances: { tags: { Backup: x } } }
    schedule: rate(1 day)
    retain: { last: 2 }";
    let machines = "instances: [ { name: web, count: 5, tags: { Backup: x }, volumes: [
        { size_gib: 8, boot: true }, { size_gib: 100 }, { size_gib: 200 } ] } ]";
    let simulation = simulated(&policies(text), &fleet(machines), 10);
    let [sets, images] = &simulation.policies[..] else {
        panic!()
    };
    // Two data volumes of five machines, twice; five machines, twice.
    assert_eq!(sets.series.last().unwrap().backups, 20);
    assert_eq!(images.series.last().unwrap().backups, 10);
    // The AMI holds the boot volume, too.
    assert_eq!(sets.series.last().unwrap().full_gib, 1500.0);
    assert_eq!(images.series.last().unwrap().full_gib, 1540.0);
    assert_eq!((sets.sources, images.sources), (10, 5));
}

#[test]
fn a_group_wider_than_a_source_keeps_so_many_of_all_its_sources_together() {
    let policies = nightly("retain: { last: 3 }\n    group: policy");
    let simulation = simulated(&policies, &volumes(5), 4);
    assert_eq!(counts(&simulation.policies[0]), [0, 3, 3, 3, 3]);
}

#[test]
fn paused_and_retired_policies_make_nothing() {
    for (state, made) in [("active", 4), ("paused", 0), ("retired", 0)] {
        let policies = nightly(&format!("retain: {{ last: 1 }}\n    state: {state}"));
        let simulation = simulated(&policies, &volumes(1), 3);
        assert_eq!(simulation.policies[0].created, made, "{state}");
    }
}

#[test]
fn sources_that_fare_the_same_come_to_the_same_as_each_by_itself() {
    let policies = nightly("retain: { daily: 3, weekly: 2 }\n    grace: 12h");
    let together = volumes(40);
    let mut whole = Course::new(&policies, &together, &[], at(START), at(START) + days(30));
    // The same volumes with a tag of their own each: nothing takes them together but the policy.
    let mut apart = together.clone();
    apart.volumes.truncate(1);
    let mut one = Course::new(&policies, &apart, &[], at(START), at(START) + days(30));
    for day in 1..=30 {
        whole.advance(at(START) + days(day));
        one.advance(at(START) + days(day));
        let alone = standing(&one, "vol-disk-1");
        for number in 1..=40 {
            assert_eq!(
                standing(&whole, &format!("vol-disk-{number}")),
                alone,
                "day {day}"
            );
        }
    }
}
