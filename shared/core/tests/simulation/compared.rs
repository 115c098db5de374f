//! Two files side by side, and the breaker that a change would trip.

use holdfast_core::policy::PolicyFile;
use holdfast_core::simulation::{AdviceCode, Simulation, simulate};

use super::{nightly, question, volumes};

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
        PolicyFile::parse("new.yaml", &text, super::at(super::START)).unwrap()
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
    let new = PolicyFile::parse("new.yaml", text, super::at(super::START)).unwrap();
    let against = compared(&old, &new, 2, 10).against.unwrap();
    let nightly = &against.policies["nightly"];
    assert_eq!(nightly.no_longer_picked, ["vol-disk-1", "vol-disk-2"]);
    // What they have stays: nothing newer takes its place.
    assert_eq!(nightly.new_at_end, Some(10));
}
