//! Whether a policy's slots are ever closer than 15 minutes, decided for all time to come.
//!
//! On a day without a change of the clock, the slots depend only on which cron expressions run
//! on it and on the next day, and on where in their periods the rates stand at its midnight.
//! Each such pattern is looked at once, so that walking over all days is cheap. A day with a
//! change of the clock, where local and elapsed time differ, is looked at instant by instant.

use std::collections::HashSet;

use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone, TimeZoneFollowingTransitions};
use jiff::{Timestamp, ToSpan};

use super::cron::{Cron, FIRST_YEAR, LAST_YEAR};
use super::schedule::{MIN_SPACING_MINUTES, Rate, Schedule, instant};

/// Two neighbouring slots that are too close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooClose {
    /// The earlier slot.
    pub first: Timestamp,
    /// The later slot, less than 15 minutes after it.
    pub second: Timestamp,
}

const DAY: i64 = 24 * 60;

/// Years after which every pattern of days has come by: the calendar's years are of 14 kinds
/// (leap or not, seven first weekdays), and all occur within 28 years, 40 around 2100.
const YEARS_OF_PATTERNS: i16 = 41;

/// Two slots of the union of `schedules` from the day of `now` on that are less than 15
/// minutes apart; none when there are no such two up to the end of the year 2199.
#[must_use]
pub fn too_close(schedules: &[Schedule], tz: &TimeZone, now: Timestamp) -> Option<TooClose> {
    let mut crons = Vec::new();
    let mut rates = Vec::new();
    for schedule in schedules {
        match schedule {
            Schedule::Cron(cron) if !crons.contains(&cron) => crons.push(cron),
            Schedule::Rate(rate) if !rates.contains(rate) => rates.push(*rate),
            Schedule::Cron(_) | Schedule::Rate(_) => {}
        }
    }
    let union = Union { crons, rates, tz };
    union.first_pair(now)
}

/// The offsets of a zone on ascending days.
struct Clock<'a> {
    tz: &'a TimeZone,
    changes: TimeZoneFollowingTransitions<'a>,
    /// Local date of the next change, or of the last one for as long as it is near.
    change: Option<Date>,
    /// The offset since the last change, once it was asked for.
    offset: Option<Offset>,
}

impl<'a> Clock<'a> {
    /// Begins two days before `at`.
    fn new(tz: &'a TimeZone, at: Timestamp) -> Self {
        let before = at.checked_sub(48.hours()).unwrap_or(at);
        let mut clock = Self {
            tz,
            changes: tz.following(before),
            change: None,
            offset: None,
        };
        clock.advance();
        clock
    }

    fn advance(&mut self) {
        let change = self.changes.next();
        self.change = change.map(|change| self.tz.to_datetime(change.timestamp()).date());
        self.offset = None;
    }

    /// The offset of all of `day` and the day after; none when the clock changes near them, or
    /// when the offset is not of whole minutes.
    fn steady_offset(&mut self, day: Date) -> Option<Offset> {
        // A change may move the date itself by a day, hence two days on either side.
        while self
            .change
            .is_some_and(|c| c.saturating_add(2.days()) < day)
        {
            self.advance();
        }
        if self
            .change
            .is_some_and(|c| c.saturating_sub(2.days()) <= day)
        {
            return None;
        }
        let offset = match self.offset {
            Some(offset) => offset,
            None => self.tz.to_offset(instant(day.at(12, 0, 0, 0), self.tz)?),
        };
        self.offset = Some(offset);
        (offset.seconds() % 60 == 0).then_some(offset)
    }
}

struct Union<'a> {
    crons: Vec<&'a Cron>,
    rates: Vec<Rate>,
    tz: &'a TimeZone,
}

/// What decides the slots of a day without a change of the clock and of the next day's start.
#[derive(PartialEq, Eq, Hash)]
struct Pattern {
    today: Vec<usize>,
    tomorrow: Vec<usize>,
    /// Minutes from the last slot of each rate to midnight.
    phases: Vec<i64>,
}

impl Union<'_> {
    fn first_pair(&self, now: Timestamp) -> Option<TooClose> {
        let first = Date::new(FIRST_YEAR, 1, 1).ok()?;
        let start = self.tz.to_datetime(now).date().max(first);
        let now = instant(start.at(12, 0, 0, 0), self.tz).unwrap_or(now);
        let end = self.end(start)?;
        let mut clock = Clock::new(self.tz, now);
        let mut seen = HashSet::new();
        let mut day = start;
        let mut today = self.running(day);
        while day <= end {
            let next = day.tomorrow().ok()?;
            let tomorrow = self.running(next);
            if !today.is_empty() || !self.rates.is_empty() {
                let pair = match clock.steady_offset(day) {
                    Some(offset) => {
                        let pattern = Pattern {
                            today: today.clone(),
                            tomorrow: tomorrow.clone(),
                            phases: self.phases(day, offset),
                        };
                        if seen.contains(&pattern) {
                            None
                        } else {
                            let pair = self.steady_pair(day, offset, &pattern);
                            seen.insert(pattern);
                            pair
                        }
                    }
                    None => self.exact_pair(day, next),
                };
                if pair.is_some() {
                    return pair;
                }
            }
            day = next;
            today = tomorrow;
        }
        None
    }

    /// The last day to look at.
    fn end(&self, start: Date) -> Option<Date> {
        let last = Date::new(LAST_YEAR, 12, 31).ok()?;
        let repeats = self.crons.iter().all(|cron| cron.every_year())
            && self.rates.iter().all(|rate| DAY % rate.minutes() == 0);
        if !repeats {
            return Some(last);
        }
        let year = start.year().saturating_add(YEARS_OF_PATTERNS);
        Some(Date::new(year, 12, 31).map_or(last, |end| end.min(last)))
    }

    /// Places of the cron expressions that run on `day`.
    fn running(&self, day: Date) -> Vec<usize> {
        self.crons
            .iter()
            .enumerate()
            .filter(|(_, cron)| cron.runs_on(day))
            .map(|(place, _)| place)
            .collect()
    }

    fn phases(&self, day: Date, offset: Offset) -> Vec<i64> {
        let midnight = offset
            .to_timestamp(day.at(0, 0, 0, 0))
            .map_or(0, |at| at.as_second().div_euclid(60));
        self.rates
            .iter()
            .map(|rate| midnight.rem_euclid(rate.minutes()))
            .collect()
    }

    /// The first close pair of a day whose clock runs evenly, in minutes after its midnight.
    fn steady_pair(&self, day: Date, offset: Offset, pattern: &Pattern) -> Option<TooClose> {
        let until = DAY + MIN_SPACING_MINUTES;
        let mut minutes: Vec<i64> = Vec::new();
        for (places, start) in [(&pattern.today, 0), (&pattern.tomorrow, DAY)] {
            for cron in places.iter().filter_map(|place| self.crons.get(*place)) {
                minutes.extend(cron.minutes_of_day().map(|m| start + i64::from(m)));
            }
        }
        for (rate, phase) in self.rates.iter().zip(&pattern.phases) {
            let first = (rate.minutes() - phase) % rate.minutes();
            let step = usize::try_from(rate.minutes()).unwrap_or(usize::MAX);
            minutes.extend((first..until).step_by(step));
        }
        minutes.retain(|m| *m < until);
        minutes.sort_unstable();
        minutes.dedup();
        let close = minutes.windows(2).find_map(|pair| match pair {
            [a, b] if b - a < MIN_SPACING_MINUTES => Some((*a, *b)),
            _ => None,
        })?;
        let midnight = offset.to_timestamp(day.at(0, 0, 0, 0)).ok()?;
        Some(TooClose {
            first: midnight.checked_add(close.0.minutes()).ok()?,
            second: midnight.checked_add(close.1.minutes()).ok()?,
        })
    }

    /// The first close pair of a day on which the clock changes.
    fn exact_pair(&self, day: Date, next: Date) -> Option<TooClose> {
        let mut slots: Vec<Timestamp> = Vec::new();
        for cron in &self.crons {
            for date in [day, next].into_iter().filter(|d| cron.runs_on(*d)) {
                slots.extend(
                    cron.minutes_of_day()
                        .filter_map(|m| instant(super::cron::at_minute(date, m), self.tz)),
                );
            }
        }
        let start = day.to_zoned(self.tz.clone()).ok()?.timestamp();
        // To the end of the next day, whatever the clock does until then.
        let until = start.checked_add(52.hours()).ok()?;
        for rate in &self.rates {
            let rate = Schedule::Rate(*rate);
            let mut at = start.checked_sub(1.hour()).ok()?;
            while let Some(slot) = rate.next_after(at, self.tz).filter(|s| *s < until) {
                slots.push(slot);
                at = slot;
            }
        }
        slots.sort_unstable();
        slots.dedup();
        slots.windows(2).find_map(|pair| match pair {
            [a, b] if b.as_second() - a.as_second() < MIN_SPACING_MINUTES * 60 => Some(TooClose {
                first: *a,
                second: *b,
            }),
            _ => None,
        })
    }
}
