//! Slots closer than 15 minutes are found wherever they lie, and nothing else is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_core::policy::schedule::Schedule;
use holdfast_core::policy::spacing::{TooClose, too_close};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn check(schedules: &[&str], tz: &str) -> Option<TooClose> {
    let schedules: Vec<Schedule> = schedules
        .iter()
        .map(|s| Schedule::parse(s).unwrap())
        .collect();
    too_close(
        &schedules,
        &TimeZone::get(tz).unwrap(),
        at("2026-11-23T12:00:00Z"),
    )
}

fn pair(first: &str, second: &str) -> Option<TooClose> {
    Some(TooClose {
        first: at(first),
        second: at(second),
    })
}

#[test]
fn fifteen_minutes_apart_is_enough() {
    for schedules in [
        &["cron(0/15 * * * ? *)"][..],
        &["rate(15 minutes)"],
        &["rate(1 hour)", "cron(15 3 * * ? *)", "cron(45 23 * * ? *)"],
        &["rate(45 minutes)", "rate(1 hour)"],
        &["rate(75 minutes)", "cron(0/15 * * * ? *)"],
        &[
            "cron(0 3 * * ? *)",
            "cron(0 3 * * ? *)",
            "cron(0 3 ? * SUN *)",
        ],
        &["cron(45 23 L * ? *)", "cron(0 0 1 * ? *)"],
    ] {
        assert_eq!(check(schedules, "UTC"), None, "{schedules:?}");
    }
}

#[test]
fn close_slots_within_one_schedule_are_found() {
    assert!(check(&["rate(14 minutes)"], "UTC").is_some());
    assert!(check(&["rate(1 minute)"], "UTC").is_some());
    assert_eq!(
        check(&["cron(0/10 3 ? * SUN *)"], "UTC"),
        pair("2026-11-29T03:00:00Z", "2026-11-29T03:10:00Z")
    );
    assert_eq!(
        check(&["cron(5,55 0,23 * * ? *)"], "UTC"),
        pair("2026-11-23T23:55:00Z", "2026-11-24T00:05:00Z")
    );
}

#[test]
fn close_slots_over_the_union_are_found_however_rare() {
    assert_eq!(
        check(&["cron(0 3 * * ? *)", "cron(5 3 29 2 ? 2096)"], "UTC"),
        pair("2096-02-29T03:00:00Z", "2096-02-29T03:05:00Z")
    );
    assert_eq!(
        check(&["cron(50 23 L * ? *)", "cron(0 0 1 1 ? *)"], "UTC"),
        pair("2026-12-31T23:50:00Z", "2027-01-01T00:00:00Z")
    );
    // Both on a 29 February that is a Sunday: 2032.
    assert_eq!(
        check(&["cron(0 3 29 2 ? *)", "cron(10 3 ? 2 1#5 *)"], "UTC"),
        pair("2032-02-29T03:00:00Z", "2032-02-29T03:10:00Z")
    );
    assert!(check(&["rate(20 minutes)", "rate(30 minutes)"], "UTC").is_some());
    assert!(check(&["rate(1 hour)", "cron(5 3 * * ? *)"], "UTC").is_some());
    // Kathmandu's hours begin at UTC's quarters to.
    assert_eq!(
        check(&["rate(1 hour)", "cron(0 3 * * ? *)"], "Asia/Kathmandu"),
        None
    );
    assert!(check(&["rate(1 hour)", "cron(50 3 * * ? *)"], "Asia/Kathmandu").is_some());
}

#[test]
fn a_skipped_hour_brings_slots_together_and_is_found() {
    // 01:55 and 03:05 are ten minutes apart on 2027-03-28 in Berlin, and only then.
    let schedules = ["cron(55 1 * * ? *)", "cron(5 3 * * ? *)"];
    assert_eq!(
        check(&schedules, "Europe/Berlin"),
        pair("2027-03-28T00:55:00Z", "2027-03-28T01:05:00Z")
    );
    assert_eq!(check(&schedules, "UTC"), None);
    // Quarters of an hour stay quarters over the gap, and 02:10 does not run in it.
    assert_eq!(check(&["cron(0/15 * * * ? *)"], "Europe/Berlin"), None);
    assert_eq!(
        check(
            &["cron(0 3 28 3 ? 2027)", "cron(10 2 28 3 ? 2027)"],
            "Europe/Berlin"
        ),
        None
    );
    // Midnight does not exist on the Friday on which Cairo's summer begins.
    assert_eq!(
        check(
            &["cron(50 23 * * ? *)", "cron(0 1 * * ? *)"],
            "Africa/Cairo"
        ),
        pair("2027-04-29T21:50:00Z", "2027-04-29T22:00:00Z")
    );
}

#[test]
fn a_repeated_hour_does_not_bring_slots_together() {
    let schedules = [
        "cron(30 2 * * ? *)",
        "cron(45 2 * * ? *)",
        "cron(0 3 * * ? *)",
    ];
    assert_eq!(check(&schedules, "Europe/Berlin"), None);
    // In UTC the second 02:30 of Berlin is not a slot, so only the first can be too close.
    assert_eq!(
        check(
            &["cron(30 2 25 10 ? 2026)", "rate(1 hour)"],
            "Europe/Berlin"
        ),
        None
    );
}

#[test]
fn slots_that_are_over_are_no_reason_to_refuse() {
    assert_eq!(
        check(&["cron(0/5 3 * * ? 2025)", "cron(0 3 * * ? *)"], "UTC"),
        None
    );
}

/// Straight walk over the union's slots of the next 800 days.
fn walked(schedules: &[Schedule], tz: &TimeZone, now: Timestamp) -> bool {
    let end = now + (800 * 24).hours();
    let next = |t: Timestamp| schedules.iter().filter_map(|s| s.next_after(t, tz)).min();
    let mut at = next(now);
    while let Some(slot) = at.filter(|slot| *slot < end) {
        let following = next(slot);
        if following.is_some_and(|f| f.as_second() - slot.as_second() < 900) {
            return true;
        }
        at = following;
    }
    false
}

fn any_schedule() -> impl Strategy<Value = String> {
    let quarter = prop::sample::select(vec![0, 5, 15, 30, 45, 55]);
    let days = prop::sample::select(vec![
        "* * ?", "? * SUN", "L * ?", "1 * ?", "? 3 1L", "29 2 ?",
    ]);
    prop_oneof![
        4 => (quarter, 0..24, days).prop_map(|(m, h, d)| format!("cron({m} {h} {d} *)")),
        1 => prop::sample::select(vec![60, 75, 90, 105, 1440, 10080])
            .prop_map(|m| format!("rate({m} minutes)")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_verdict_is_that_of_a_walk_over_the_slots(
        texts in prop::collection::vec(any_schedule(), 1..4),
        tz in prop::sample::select(vec!["UTC", "Europe/Berlin", "Africa/Cairo", "Asia/Kathmandu"]),
    ) {
        let tz = TimeZone::get(tz).unwrap();
        let now = at("2026-11-23T12:00:00Z");
        let schedules: Vec<Schedule> = texts.iter().map(|s| Schedule::parse(s).unwrap()).collect();
        let found = too_close(&schedules, &tz, now);
        if walked(&schedules, &tz, now) {
            prop_assert!(found.is_some(), "{:?}", texts);
        }
        if let Some(pair) = found {
            // What is found is real: two neighbouring slots of the union.
            let apart = pair.second.as_second() - pair.first.as_second();
            prop_assert!(apart > 0 && apart < 900);
            let before = pair.first - 1.second();
            let next = |t: Timestamp| schedules.iter().filter_map(|s| s.next_after(t, &tz)).min();
            prop_assert_eq!(next(before), Some(pair.first));
            prop_assert_eq!(next(pair.first), Some(pair.second));
        }
    }
}
