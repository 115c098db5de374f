//! The longest time that a policy's schedules leave between two neighbouring slots.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::cron::{Cron, FIRST_YEAR, LAST_YEAR, at_minute};
use super::schedule::{Rate, Schedule, instant};

/// Years before and after `now` whose slots are looked at: a slot on 29 February, the rarest that
/// recurs, comes every four years, but for the one around 1900, 2100 and so on.
const YEARS: i16 = 5;

const DAY: i64 = 24 * 60 * 60;

/// The longest gap between two neighbouring slots of the union of `schedules` in the years around
/// `now`; none where there are no two.
#[must_use]
pub(super) fn longest_gap(
    schedules: &[Schedule],
    tz: &TimeZone,
    now: Timestamp,
) -> Option<SignedDuration> {
    let mut union = Union::default();
    for schedule in schedules {
        match schedule {
            Schedule::Cron(cron) => union.crons.push(cron),
            Schedule::Rate(rate) => union.rates.push(*rate),
        }
    }
    let in_years = union.longest_gap(tz, now).unwrap_or_default();
    // Of a rate so slow that it has no two slots in these years, the period is known all the same.
    let slow = union.rates.iter().map(|rate| rate.minutes() * 60).min();
    let seconds = in_years.or(slow)?;
    Some(SignedDuration::from_secs(seconds))
}

#[derive(Default)]
struct Union<'a> {
    crons: Vec<&'a Cron>,
    rates: Vec<Rate>,
}

impl Union<'_> {
    /// In seconds. The outer option is of the calendar, the inner one of the slots.
    fn longest_gap(&self, tz: &TimeZone, now: Timestamp) -> Option<Option<i64>> {
        let middle = tz.to_datetime(now).date();
        let first = middle.saturating_sub(YEARS.years());
        let last = middle.saturating_add(YEARS.years());
        let first = first.max(Date::new(FIRST_YEAR, 1, 1).ok()?);
        let last = last.min(Date::new(LAST_YEAR, 12, 31).ok()?);
        let begins = |day: Date| day.to_zoned(tz.clone()).ok().map(|at| at.timestamp());
        let (mut before, mut longest) = (None, None);
        let mut day = first;
        let mut midnight = begins(day)?.as_second();
        while day <= last {
            let next = day.tomorrow().ok()?;
            let end = begins(next)?.as_second();
            for slot in self.slots_of(day, midnight, end, tz) {
                let gap = before.map(|before: i64| slot - before);
                longest = longest.max(gap);
                before = Some(slot);
            }
            (day, midnight) = (next, end);
        }
        Some(longest)
    }

    /// The slots of a day that lasts from `midnight` to `end`, ascending; all as seconds since the
    /// epoch.
    fn slots_of(&self, day: Date, midnight: i64, end: i64, tz: &TimeZone) -> Vec<i64> {
        let even = end - midnight == DAY;
        let mut slots = Vec::new();
        for cron in self.crons.iter().filter(|cron| cron.runs_on(day)) {
            let minutes = cron.minutes_of_day();
            if even {
                slots.extend(minutes.map(|minute| midnight + 60 * i64::from(minute)));
            } else {
                let local = minutes.filter_map(|minute| instant(at_minute(day, minute), tz));
                slots.extend(local.map(|slot| slot.as_second()));
            }
        }
        for period in self.rates.iter().map(|rate| rate.minutes() * 60) {
            let first = midnight + (-midnight).rem_euclid(period);
            let step = usize::try_from(period).unwrap_or(usize::MAX);
            slots.extend((first..end).step_by(step));
        }
        slots.sort_unstable();
        slots.dedup();
        slots
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(schedules: &[&str], zone: &str) -> Option<i64> {
        let schedules: Vec<Schedule> = schedules
            .iter()
            .map(|text| Schedule::parse(text).unwrap())
            .collect();
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        let gap = longest_gap(&schedules, &TimeZone::get(zone).unwrap(), now)?;
        assert_eq!(gap.as_secs() % 3600, 0, "{gap:?}");
        Some(gap.as_hours())
    }

    #[test]
    fn the_longest_gap_is_that_over_the_night_the_weekend_or_the_longest_month() {
        for (schedule, gap) in [
            ("rate(1 hour)", 1),
            ("rate(7 hours)", 7),
            ("rate(10000 days)", 240_000),
            ("cron(0 3 * * ? *)", 24),
            ("cron(0 8-18 * * ? *)", 14),
            ("cron(0 3 ? * MON-FRI *)", 72),
            ("cron(0 3 1 * ? *)", 31 * 24),
            ("cron(0 3 1 1 ? *)", 366 * 24),
            ("cron(0 3 29 2 ? *)", 1461 * 24),
        ] {
            assert_eq!(hours(&[schedule], "UTC"), Some(gap), "{schedule}");
        }
    }

    #[test]
    fn several_schedules_fill_each_others_gaps() {
        let weekdays = "cron(0 3 ? * MON-FRI *)";
        assert_eq!(hours(&[weekdays, "cron(0 3 ? * SAT *)"], "UTC"), Some(48));
        let noon = "cron(0 12 * * ? *)";
        assert_eq!(hours(&[noon, "rate(1 day)"], "UTC"), Some(12));
    }

    #[test]
    fn the_longest_gap_is_reckoned_in_time_that_passes_where_clocks_change() {
        assert_eq!(hours(&["cron(0 3 * * ? *)"], "Europe/Berlin"), Some(25));
        // Midnight does not exist in Beirut on a day in March: from noon to noon are 23 hours.
        assert_eq!(hours(&["cron(0 0/12 * * ? *)"], "Asia/Beirut"), Some(23));
    }

    #[test]
    fn a_schedule_of_one_slot_has_no_gap() {
        assert_eq!(hours(&["cron(0 3 1 1 ? 2027)"], "UTC"), None);
    }
}
