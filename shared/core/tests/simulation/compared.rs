//! Two files side by side, and the breaker that a change would trip.

use holdfast_core::policy::PolicyFile;
use holdfast_core::simulation::{AdviceCode, Simulation, Standing, simulate};

use super::{START, at, days, nightly, question, stands, volumes};

fn compared(old: &PolicyFile, new: &PolicyFile, count: u32, days: u32) -> Simulation {
    let fleet = volumes(count);
    let mut asked = question(new, &fleet, days);
    asked.against = Some(old);
    simulate(&asked, &mut |_, _| {})
}

#[test]
fn a_tightened_rule_retires_the_difference_on_the_first_sweep() {
    let (old, new) = (
        nightly("retain: { last: 30 }"),
        nightly("retain: { last: 10 }"),
    );
    let simulation = compared(&old, &new, 4, 60);
    let against = simulation.against.unwrap();
    // The sweep at half past midnight: thirty stand of each of four, ten stay.
    assert_eq!(against.retires_on_first_sweep, 80);
    let nightly = &against.policies["nightly"];
    assert_eq!((nightly.standing, nightly.old_first_sweep), (120, 0));
    assert_eq!(
        (nightly.old_at_end, nightly.new_at_end),
        (Some(120), Some(40))
    );
    assert_eq!(simulation.policies[0].retired_by_first_sweep, 80);
    // Sixty nights of four volumes with either file, and what does not stand at the end is retired.
    let (old, new) = (nightly.old.unwrap(), nightly.new.unwrap());
    assert_eq!((old.created, old.retired), (240, 240));
    assert_eq!((new.created, new.retired), (240, 320));
    // A backup is complete two minutes after its night begins, and until then the last one counts.
    let day = Some(86_400 + 120);
    assert_eq!((old.worst_gap_seconds, new.worst_gap_seconds), (day, day));
    assert_eq!((old.late_slots, new.late_slots), (0, 0));
}

#[test]
fn what_a_change_retires_are_the_backups_that_go_and_not_the_difference_of_two_counts() {
    let (old, new) = (
        nightly("retain: { daily: 7, weekly: 4 }"),
        nightly("retain: { last: 10 }"),
    );
    let fleet = volumes(1);
    // The thirty nights from 24 October to 22 November, a Sunday.
    let nights = (1..=30).map(|back| stands(at("2026-11-23T03:00:00Z") - days(back), &[]));
    let nights: Vec<Standing> = nights.collect();
    let mut asked = question(&new, &fleet, 5);
    asked.against = Some(&old);
    asked.standing = Some(&nights);
    let against = simulate(&asked, &mut |_, _| {}).against.unwrap();
    let nightly = &against.policies["nightly"];
    // The old file keeps seven days and the Sundays 15, 8 and 1 November; the new one ten days.
    assert_eq!((nightly.old_first_sweep, nightly.new_first_sweep), (20, 20));
    assert_eq!(against.retires_on_first_sweep, 2);
    assert_eq!(against.keeps_on_first_sweep, 2);
    assert_eq!((nightly.only_new_retires, nightly.only_old_retires), (2, 2));
    let named = against.retired.iter().map(|one| {
        let time = one.time.to_string();
        (one.resource.clone().unwrap(), one.source.as_str(), time)
    });
    let named: Vec<(String, &str, String)> = named.collect();
    let expected = ["2026-11-01", "2026-11-08"].map(|day| {
        let id = format!("snap-{}", day.replace('-', ""));
        (id, "vol-disk", format!("{day}T03:00:00Z"))
    });
    assert_eq!(named, expected);
}

#[test]
fn each_source_of_a_fleet_that_need_not_exist_is_named_without_an_identifier() {
    let (old, new) = (
        nightly("retain: { daily: 2, weekly: 3 }"),
        nightly("retain: { last: 4 }"),
    );
    let fleet = volumes(2);
    let mut asked = question(&new, &fleet, 60);
    // A Thursday, with the backup of this night and before a sweep has seen it: 8, 9 and 10 December
    // and the Sundays 6 December and 29 November stand of each.
    asked.from = at("2026-12-10T03:10:00Z");
    asked.against = Some(&old);
    let against = simulate(&asked, &mut |_, _| {}).against.unwrap();
    let nightly = &against.policies["nightly"];
    assert_eq!(nightly.standing, 10);
    // The old file retires the 8th, the new one the Sunday of November.
    assert_eq!((nightly.old_first_sweep, nightly.new_first_sweep), (2, 2));
    assert_eq!(against.retires_on_first_sweep, 2);
    assert_eq!(against.keeps_on_first_sweep, 2);
    let named = against.retired.iter();
    let named: Vec<_> = named
        .map(|one| (one.resource.as_ref(), one.source.as_str(), one.time))
        .collect();
    let time = at("2026-11-29T03:00:00Z");
    assert_eq!(
        named,
        [(None, "vol-disk-1", time), (None, "vol-disk-2", time)]
    );
}

#[test]
fn of_very_many_only_the_oldest_are_named_and_all_are_counted() {
    let (old, new) = (
        nightly("retain: { last: 30 }"),
        nightly("retain: { last: 10 }"),
    );
    let against = compared(&old, &new, 8, 60).against.unwrap();
    assert_eq!(against.retires_on_first_sweep, 160);
    assert_eq!(against.retired.len(), 100);
    // Thirty nights stand, the first of 24 October, and twenty go: twelve of them whole, and of the
    // thirteenth four of eight, are a hundred.
    let first = at("2026-10-24T03:00:00Z");
    assert_eq!(against.retired[0].time, first);
    assert_eq!(against.retired[99].time, first + days(12));
}

#[test]
fn a_change_that_retires_more_than_the_limits_allow_would_trip_the_breaker() {
    let (old, new) = (
        nightly("retain: { last: 30 }"),
        nightly("retain: { last: 10 }"),
    );
    let trips = |simulation: &Simulation| {
        let mut all = simulation.advice.iter();
        let found = all.find(|one| one.code == AdviceCode::CircuitBreaker);
        found.map(|one| one.text.clone())
    };
    // Of 120, all but the four of the last night stood 24 hours before; of those 116 a quarter, 29,
    // may be missing, and the four new ones make up for as many. The four deletions of the next night
    // trip it again: they come on top of the 80 within 24 hours.
    let text = trips(&compared(&old, &new, 4, 60)).unwrap();
    assert!(
        text.contains("would trip 2 times, first on 2026-11-23"),
        "{text}"
    );
    assert!(text.contains("80 backups would go and 33 may"), "{text}");
    // Of one volume ten go and one more each night, which are free.
    let gentle = nightly("retain: { last: 20 }");
    assert_eq!(trips(&compared(&old, &gentle, 1, 60)), None);
}

#[test]
fn a_policy_that_is_renamed_takes_its_backups_over() {
    let old = nightly("retain: { last: 5 }");
    let renamed = |formerly: &str| {
        let text = format!(
            "version: 1
policies:
  - name: each-night
    protect: volumes
    select: {{ volumes: {{ tags: {{ Backup: x }} }} }}
    schedule: cron(0 3 * * ? *)
    retain: {{ last: 5 }}
    {formerly}"
        );
        PolicyFile::parse("new.yaml", &text, at(START)).unwrap()
    };
    let kept = compared(&old, &renamed("formerly: [nightly]"), 2, 30);
    let against = kept.against.unwrap();
    let both = &against.policies["each-night"];
    assert_eq!((both.standing, both.new_at_end), (10, Some(10)));
    assert_eq!(against.policies.len(), 1);

    let lost = compared(&old, &renamed(""), 2, 30);
    let codes: Vec<AdviceCode> = lost.advice.iter().map(|one| one.code).collect();
    assert!(codes.contains(&AdviceCode::PolicyUnknown), "{codes:?}");
    assert_eq!(lost.against.unwrap().policies["nightly"].new_at_end, None);
}

#[test]
fn sources_that_a_change_of_selection_loses_are_named() {
    let old = nightly("retain: { last: 5 }");
    let text = "version: 1
policies:
  - name: nightly
    protect: volumes
    select: { volumes: { tags: { Backup: other } } }
    schedule: cron(0 3 * * ? *)
    retain: { last: 5 }";
    let new = PolicyFile::parse("new.yaml", text, at(START)).unwrap();
    let against = compared(&old, &new, 2, 10).against.unwrap();
    let nightly = &against.policies["nightly"];
    assert_eq!(nightly.no_longer_picked, ["vol-disk-1", "vol-disk-2"]);
    // What they have stays: nothing newer takes its place.
    assert_eq!(nightly.new_at_end, Some(10));
}
