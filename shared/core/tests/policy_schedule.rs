//! Slots of `cron(…)` and `rate(…)`: EventBridge's dialect, time zones and daylight saving.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_core::policy::schedule::{Schedule, ScheduleError};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn schedule(text: &str) -> Schedule {
    Schedule::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The first `n` slots after `from`, as UTC text.
fn next(text: &str, tz: &str, from: &str, n: usize) -> Vec<String> {
    let (schedule, tz) = (schedule(text), zone(tz));
    std::iter::successors(schedule.next_after(at(from), &tz), |slot| {
        schedule.next_after(*slot, &tz)
    })
    .take(n)
    .map(|slot| slot.to_string())
    .collect()
}

fn latest(text: &str, tz: &str, now: &str) -> Option<String> {
    let slot = schedule(text).latest_at_or_before(at(now), &zone(tz));
    slot.map(|slot| slot.to_string())
}

/// 2026-11-23 is a Monday.
const NOW: &str = "2026-11-23T12:00:00Z";

#[test]
fn the_examples_of_eventbridges_guide_run_when_it_says() {
    let cases: [(&str, &[&str]); 9] = [
        (
            "cron(0 10 * * ? *)",
            &["2026-11-24T10:00:00Z", "2026-11-25T10:00:00Z"],
        ),
        (
            "cron(15 12 * * ? *)",
            &["2026-11-23T12:15:00Z", "2026-11-24T12:15:00Z"],
        ),
        (
            "cron(0 18 ? * MON-FRI *)",
            &["2026-11-23T18:00:00Z", "2026-11-24T18:00:00Z"],
        ),
        (
            "cron(0 8 1 * ? *)",
            &["2026-12-01T08:00:00Z", "2027-01-01T08:00:00Z"],
        ),
        (
            "cron(0/15 * * * ? *)",
            &["2026-11-23T12:15:00Z", "2026-11-23T12:30:00Z"],
        ),
        (
            "cron(0/10 * ? * MON-FRI *)",
            &["2026-11-23T12:10:00Z", "2026-11-23T12:20:00Z"],
        ),
        (
            "cron(0/5 8-17 ? * MON-FRI *)",
            &["2026-11-23T12:05:00Z", "2026-11-23T12:10:00Z"],
        ),
        (
            "cron(0 9 ? * 2#1 *)",
            &["2026-12-07T09:00:00Z", "2027-01-04T09:00:00Z"],
        ),
        (
            "cron(1/10 * * * ? *)",
            &["2026-11-23T12:01:00Z", "2026-11-23T12:11:00Z"],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(next(text, "UTC", NOW, 2), expected, "{text}");
    }
}

#[test]
fn a_range_over_midnight_runs_in_the_named_days_own_early_hours() {
    // The guide: Monday to Friday, 20:00 to 02:30, and "from 12:00 AM on Monday morning".
    let slots = next(
        "cron(0/30 20-2 ? * MON-FRI *)",
        "UTC",
        "2026-11-20T23:10:00Z",
        3,
    );
    assert_eq!(
        slots,
        [
            "2026-11-20T23:30:00Z",
            "2026-11-23T00:00:00Z",
            "2026-11-23T00:30:00Z"
        ]
    );
}

#[test]
fn steps_lists_ranges_and_names_in_any_case_are_read() {
    let cases = [
        ("cron(*/15 3 * * ? *)", "cron(0,15,30,45 3 * * ? *)"),
        (
            "cron(0 3 ? jan-MAR,dec Sun,wEd *)",
            "cron(0 3 ? 1,2,3,12 1,4 *)",
        ),
        ("cron(0 10-20/5 * * ? *)", "cron(0 10,15,20 * * ? *)"),
        ("cron(0 3 ? * FRI-MON *)", "cron(0 3 ? * 1,2,6,7 *)"),
        ("cron(0 3 ? * L *)", "cron(0 3 ? * SAT *)"),
        ("cron(0 3 1/10 * ? *)", "cron(0 3 1,11,21,31 * ? *)"),
        ("cron(0 3 ? * * *)", "cron(0 3 * * ? *)"),
    ];
    for (left, right) in cases {
        assert_eq!(
            next(left, "UTC", NOW, 60),
            next(right, "UTC", NOW, 60),
            "{left}"
        );
    }
}

#[test]
fn l_is_the_last_day_of_the_month_and_lw_its_last_weekday() {
    assert_eq!(
        next("cron(0 3 L * ? *)", "UTC", "2028-01-31T12:00:00Z", 3),
        [
            "2028-02-29T03:00:00Z",
            "2028-03-31T03:00:00Z",
            "2028-04-30T03:00:00Z"
        ]
    );
    // 31 January and 28 February 2026 are Saturdays, 31 May 2026 is a Sunday.
    assert_eq!(
        next("cron(0 3 LW 1,2,5 ? *)", "UTC", "2026-01-01T00:00:00Z", 3),
        [
            "2026-01-30T03:00:00Z",
            "2026-02-27T03:00:00Z",
            "2026-05-29T03:00:00Z"
        ]
    );
}

#[test]
fn w_is_the_nearest_weekday_within_the_same_month() {
    // 15 August 2026 is a Saturday, 15 November a Sunday.
    assert_eq!(
        next(
            "cron(0 3 15W 8,11 ? 2026)",
            "UTC",
            "2026-08-01T00:00:00Z",
            9
        ),
        ["2026-08-14T03:00:00Z", "2026-11-16T03:00:00Z"]
    );
    // 1 August 2026 is a Saturday: not 31 July but 3 August. 31 May is a Sunday: 29 May.
    assert_eq!(
        next("cron(0 3 1W 8 ? 2026)", "UTC", "2026-01-01T00:00:00Z", 9),
        ["2026-08-03T03:00:00Z"]
    );
    assert_eq!(
        next("cron(0 3 31W 4,5 ? 2026)", "UTC", "2026-01-01T00:00:00Z", 9),
        ["2026-05-29T03:00:00Z"]
    );
}

#[test]
fn hash_and_l_pick_weekdays_of_the_month() {
    assert_eq!(
        next("cron(0 3 ? * 6#3 *)", "UTC", "2026-11-01T00:00:00Z", 2),
        ["2026-11-20T03:00:00Z", "2026-12-18T03:00:00Z"]
    );
    assert_eq!(
        next("cron(0 3 ? * 6L *)", "UTC", "2026-11-01T00:00:00Z", 2),
        ["2026-11-27T03:00:00Z", "2026-12-25T03:00:00Z"]
    );
    assert_eq!(
        next("cron(0 3 ? * FRI#5 *)", "UTC", "2026-11-01T00:00:00Z", 2),
        ["2027-01-29T03:00:00Z", "2027-04-30T03:00:00Z"]
    );
    assert_eq!(
        next("cron(0 3 ? * sunL *)", "UTC", "2026-11-01T00:00:00Z", 1),
        ["2026-11-29T03:00:00Z"]
    );
}

#[test]
fn a_local_time_that_daylight_saving_skips_does_not_run() {
    assert_eq!(
        next(
            "cron(30 2 * * ? *)",
            "Europe/Berlin",
            "2026-03-28T00:00:00Z",
            3
        ),
        [
            "2026-03-28T01:30:00Z",
            "2026-03-30T00:30:00Z",
            "2026-03-31T00:30:00Z"
        ]
    );
    assert_eq!(
        latest(
            "cron(30 2 * * ? *)",
            "Europe/Berlin",
            "2026-03-29T12:00:00Z"
        )
        .unwrap(),
        "2026-03-28T01:30:00Z"
    );
    // Lord Howe skips 02:00 to 02:30 on 2026-10-04.
    assert_eq!(
        next(
            "cron(15 2 * * ? *)",
            "Australia/Lord_Howe",
            "2026-10-03T00:00:00Z",
            1
        ),
        ["2026-10-04T15:15:00Z"]
    );
    assert_eq!(
        next(
            "cron(30 2 4 10 ? 2026)",
            "Australia/Lord_Howe",
            "2026-01-01T00:00:00Z",
            1
        ),
        ["2026-10-03T15:30:00Z"]
    );
    // Cairo skips 00:00 to 01:00 on 2026-04-24, São Paulo skipped midnight on 2018-11-04.
    assert_eq!(
        next(
            "cron(0 0 * * ? *)",
            "Africa/Cairo",
            "2026-04-22T23:00:00Z",
            1
        ),
        ["2026-04-24T21:00:00Z"]
    );
    assert_eq!(
        latest(
            "cron(0 0 * * ? *)",
            "America/Sao_Paulo",
            "2018-11-04T12:00:00Z"
        )
        .unwrap(),
        "2018-11-03T03:00:00Z"
    );
}

#[test]
fn a_local_time_that_daylight_saving_repeats_runs_once_at_the_first() {
    assert_eq!(
        next(
            "cron(30 2 * * ? *)",
            "Europe/Berlin",
            "2026-10-24T12:00:00Z",
            2
        ),
        ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
    );
    // 02:15 of the repetition: 02:30 has had its one run already.
    assert_eq!(
        latest(
            "cron(30 2 * * ? *)",
            "Europe/Berlin",
            "2026-10-25T01:15:00Z"
        )
        .unwrap(),
        "2026-10-25T00:30:00Z"
    );
    assert_eq!(
        next(
            "cron(30 1 * * ? *)",
            "America/New_York",
            "2026-10-31T12:00:00Z",
            2
        ),
        ["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"]
    );
    assert_eq!(
        next(
            "cron(45 1 * * ? *)",
            "Australia/Lord_Howe",
            "2026-04-04T12:00:00Z",
            2
        ),
        ["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"]
    );
    // São Paulo repeated 23:00 to 24:00 of 2018-02-17: the date itself had come back.
    assert_eq!(
        latest(
            "cron(30 23 * * ? *)",
            "America/Sao_Paulo",
            "2018-02-18T02:40:00Z"
        )
        .unwrap(),
        "2018-02-18T01:30:00Z"
    );
}

#[test]
fn rate_slots_are_multiples_of_the_period_since_the_epoch_in_every_zone() {
    for tz in ["UTC", "Asia/Kathmandu", "America/New_York"] {
        assert_eq!(
            latest("rate(7 hours)", tz, NOW).unwrap(),
            // Noon is hour 498,732 since the epoch, and 7 × 71,247 = 498,729.
            "2026-11-23T09:00:00Z"
        );
        assert_eq!(next("rate(1 day)", tz, NOW, 1), ["2026-11-24T00:00:00Z"]);
    }
    assert_eq!(latest("rate(1 hour)", "UTC", NOW).unwrap(), NOW);
    assert_eq!(
        next("rate(1 hour)", "UTC", NOW, 1),
        ["2026-11-23T13:00:00Z"]
    );
    assert_eq!(
        latest("rate(1 day)", "UTC", "1969-12-31T23:59:59.5Z").unwrap(),
        "1969-12-31T00:00:00Z"
    );
}

#[test]
fn rare_and_impossible_dates_are_found_or_refused_without_counting_minutes() {
    let leap = "cron(0 0 29 2 ? 2096)";
    assert_eq!(
        next(leap, "Europe/Berlin", NOW, 9),
        ["2096-02-28T23:00:00Z"]
    );
    assert_eq!(latest(leap, "UTC", NOW), None);
    assert_eq!(
        latest(leap, "UTC", "2199-12-31T00:00:00Z").unwrap(),
        "2096-02-29T00:00:00Z"
    );
    assert_eq!(next("cron(0 0 30 2 ? *)", "UTC", NOW, 9), [""; 0]);
    assert_eq!(latest("cron(0 0 30 2 ? *)", "UTC", NOW), None);
    // 2100 is no leap year.
    assert_eq!(
        next("cron(0 0 29 2 ? *)", "UTC", "2096-03-01T00:00:00Z", 1),
        ["2104-02-29T00:00:00Z"]
    );
    assert_eq!(
        next("cron(59 23 31 12 ? *)", "UTC", "2199-12-30T00:00:00Z", 9),
        ["2199-12-31T23:59:00Z"]
    );
}

#[test]
fn what_eventbridge_does_not_have_is_refused() {
    for text in [
        "",
        "cron",
        "cron()",
        "cron(0 3 * * ? *",
        "Cron(0 3 * * ? *)",
        "0 3 * * ? *",
        "cron(0 3 * * ?)",
        "cron(0 0 3 * * ? *)",
        "cron(0 3 * * * *)",
        "cron(0 3 ? * ? *)",
        "cron(0 3 1 * MON *)",
        "cron(? 3 * * ? *)",
        "cron(60 3 * * ? *)",
        "cron(0 24 * * ? *)",
        "cron(0 3 0 * ? *)",
        "cron(0 3 32 * ? *)",
        "cron(0 3 * 13 ? *)",
        "cron(0 3 * 0 ? *)",
        "cron(0 3 ? * 0 *)",
        "cron(0 3 ? * 8 *)",
        "cron(0 3 ? * MO *)",
        "cron(0 3 * * ? 1969)",
        "cron(0 3 * * ? 2200)",
        "cron(0 3 * * ? 2030-2028)",
        "cron(0/0 3 * * ? *)",
        "cron(0/60 3 * * ? *)",
        "cron(/5 3 * * ? *)",
        "cron(1,,2 3 * * ? *)",
        "cron(1- 3 * * ? *)",
        "cron(-1 3 * * ? *)",
        "cron(+1 3 * * ? *)",
        "cron(1-2-3 3 * * ? *)",
        "cron(0 3 W * ? *)",
        "cron(0 3 1-5W * ? *)",
        "cron(0 3 L-3 * ? *)",
        "cron(0 3 6#3 * ? *)",
        "cron(0 3 ? * 6#0 *)",
        "cron(0 3 ? * 6#6 *)",
        "cron(0 3 ? * 3#1,6#3 *)",
        "cron(0 3 ? * 15W *)",
        "cron(99999999999999999999 3 * * ? *)",
        "at(2026-01-01T00:00:00)",
        "rate()",
        "rate(1)",
        "rate(0 minutes)",
        "rate(-5 minutes)",
        "rate(1.5 hours)",
        "rate(1 week)",
        "rate(2 weeks)",
        "rate(5 Minutes)",
        "rate(5minutes)",
        "rate(99999999999 days)",
        "rate(1 hour ago)",
    ] {
        assert!(Schedule::parse(text).is_err(), "{text}");
    }
}

#[test]
fn rate_takes_the_singular_after_one_and_the_plural_after_more() {
    for text in [
        "rate(1 hour)",
        "rate(1 day)",
        "rate(2 hours)",
        "rate(15 minutes)",
        "rate(1 minute)",
    ] {
        assert_eq!(schedule(text).to_string(), text);
    }
    for (text, right) in [
        ("rate(1 hours)", "rate(1 hour)"),
        ("rate(2 day)", "rate(2 days)"),
    ] {
        let error = Schedule::parse(text).unwrap_err();
        assert!(matches!(error, ScheduleError::Plural { .. }), "{text}");
        assert!(error.to_string().contains(right), "{error}");
    }
}

/// A plain field that EventBridge and croner read alike.
fn field(min: u16, max: u16) -> impl Strategy<Value = String> {
    let span = max - min;
    prop_oneof![
        3 => Just("*".to_owned()),
        3 => (min..=max).prop_map(|n| n.to_string()),
        1 => (min..=max, 0..=span).prop_map(move |(a, n)| format!("{a}-{}", (a + n).min(max))),
        1 => prop::collection::vec(min..=max, 1..4)
            .prop_map(|list| list.iter().map(u16::to_string).collect::<Vec<_>>().join(",")),
        1 => (1..=span).prop_map(|n| format!("*/{n}")),
        1 => (min..=max, 0..=span, 1..=span)
            .prop_map(move |(a, n, s)| format!("{a}-{}/{s}", (a + n).min(max))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn plain_fields_agree_with_an_independent_cron(
        minute in field(0, 59), hour in field(0, 23), day in field(1, 31), month in field(1, 12),
        second in 0i64..4_000_000_000, by_week in any::<bool>(), week in 1u16..=7,
    ) {
        let croner = croner::parser::CronParser::new();
        // croner's Sunday is 0 where EventBridge's is 1.
        let (ours, theirs) = if by_week {
            (format!("cron({minute} {hour} ? {month} {week} *)"),
             format!("{minute} {hour} * {month} {}", week - 1))
        } else {
            (format!("cron({minute} {hour} {day} {month} ? *)"),
             format!("{minute} {hour} {day} {month} *"))
        };
        let from = Timestamp::from_second(second).unwrap();
        let zoned = from.to_zoned(TimeZone::UTC);
        let oracle = croner.parse(&theirs).unwrap();
        let horizon = at("2190-01-01T00:00:00Z");
        let next = oracle.find_next_occurrence(&zoned, false).ok().map(|z| z.timestamp());
        prop_assert_eq!(
            schedule(&ours).next_after(from, &TimeZone::UTC).filter(|t| *t < horizon),
            next.filter(|t| *t < horizon), "{}", ours
        );
        let latest = oracle.find_previous_occurrence(&zoned, true).ok().map(|z| z.timestamp());
        let floor = at("1970-01-01T00:00:00Z");
        prop_assert_eq!(
            schedule(&ours).latest_at_or_before(from, &TimeZone::UTC),
            latest.filter(|t| *t >= floor), "{}", ours
        );
    }

    #[test]
    fn latest_and_next_are_neighbours_in_every_zone(
        minute in field(0, 59), hour in field(0, 23), second in 0i64..4_000_000_000,
        tz in prop::sample::select(vec![
            "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo",
            "America/Sao_Paulo", "Pacific/Apia", "Africa/Casablanca",
        ]),
    ) {
        let schedule = schedule(&format!("cron({minute} {hour} * * ? *)"));
        let tz = zone(tz);
        let now = Timestamp::from_second(second).unwrap();
        let next = schedule.next_after(now, &tz).unwrap();
        prop_assert!(next > now);
        prop_assert_eq!(schedule.latest_at_or_before(next, &tz), Some(next));
        if let Some(latest) = schedule.latest_at_or_before(now, &tz) {
            prop_assert!(latest <= now);
            prop_assert_eq!(schedule.next_after(latest, &tz), Some(next));
        }
    }

    #[test]
    fn no_text_and_no_time_panics(
        text in "(cron|rate)\\([0-9*?/,#LWa-z -]{0,30}\\)|\\PC{0,30}|cron\\(([0-9*?/#LW,-]{1,4} ){5}[0-9*]{1,4}\\)",
        second in -377_705_023_201i64..=253_402_207_200,
    ) {
        if let Ok(schedule) = Schedule::parse(&text) {
            let at = Timestamp::from_second(second).unwrap();
            for tz in [TimeZone::UTC, zone("Europe/Berlin")] {
                let _ = schedule.next_after(at, &tz);
                let _ = schedule.latest_at_or_before(at, &tz);
            }
        }
    }
}

#[test]
fn the_ends_of_time_do_not_panic() {
    for text in ["cron(0 3 * * ? *)", "rate(1 day)", "rate(4000000000 days)"] {
        let schedule = schedule(text);
        for tz in ["UTC", "Pacific/Apia", "America/New_York"] {
            let tz = zone(tz);
            assert_eq!(schedule.next_after(Timestamp::MAX, &tz), None, "{text}");
            let _ = schedule.latest_at_or_before(Timestamp::MIN, &tz);
            let _ = schedule.next_after(Timestamp::MIN, &tz);
            let _ = schedule.latest_at_or_before(Timestamp::MAX, &tz);
        }
    }
}
