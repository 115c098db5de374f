//! When a policy makes a backup: `cron(…)` and `rate(…)`, and the instants they mean.
//!
//! `rate(…)` slots are multiples of the period since the Unix epoch, whatever the time zone.
//! `cron(…)` slots are wall-clock times of a zone: one that daylight saving skips does not run,
//! one that it repeats runs once, at its first occurrence.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, Timestamp, ToSpan};

pub use super::cron::{Cron, CronError};
use super::cron::{FIRST_YEAR, LAST_YEAR};
pub use super::cron_field::FieldError;

/// Schedules of one policy may not call for two backups closer than this.
pub const MIN_SPACING_MINUTES: i64 = 15;

/// A schedule in EventBridge's syntax.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Wall-clock times.
    Cron(Cron),
    /// Every so many minutes, hours or days since the Unix epoch.
    Rate(Rate),
}

/// The period of a `rate(…)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    count: u32,
    unit: RateUnit,
}

/// What a [`Rate`] counts; a day is 24 hours of 60 minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RateUnit {
    Minute,
    Hour,
    Day,
}

/// Why a text is no [`Schedule`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Neither `cron(…)` nor `rate(…)`.
    #[error(
        "`{0}` is not a schedule: write cron(minute hour day-of-month month day-of-week year), \
         rate(1 hour) or rate(N minutes|hours|days)"
    )]
    Shape(String),
    /// A cron expression that is not understood.
    #[error(transparent)]
    Cron(#[from] CronError),
    /// A rate that is not understood.
    #[error(
        "`{0}` is not a rate: write a positive number and minutes, hours or days \
         (minute, hour or day after 1), such as rate(1 hour) or rate(30 minutes)"
    )]
    Rate(String),
    /// A rate's word does not fit its number.
    #[error("`{text}`: EventBridge wants the {wanted} here, rate({count} {word})")]
    Plural {
        /// The expression.
        text: String,
        /// `singular` or `plural`.
        wanted: &'static str,
        /// The number.
        count: u32,
        /// The word that is right.
        word: &'static str,
    },
}

impl Schedule {
    /// Reads `cron(…)` or `rate(…)`.
    ///
    /// # Errors
    ///
    /// When `text` is neither, or not as EventBridge has it.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let text = text.trim();
        let inner = |name: &str| -> Option<&str> {
            text.strip_prefix(name)?
                .strip_prefix('(')?
                .strip_suffix(')')
        };
        if let Some(fields) = inner("cron") {
            Ok(Self::Cron(Cron::parse(fields)?))
        } else if let Some(rate) = inner("rate") {
            Ok(Self::Rate(Rate::parse(rate, text)?))
        } else {
            Err(ScheduleError::Shape(shown(text)))
        }
    }

    /// The newest slot at or before `now`.
    ///
    /// None when a cron expression names only later times.
    #[must_use]
    pub fn latest_at_or_before(&self, now: Timestamp, tz: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Cron(cron) => {
                // A first occurrence that has passed may stand later on the clock than `now`
                // does in its repetition, hence the day more.
                cron.backward_from(reachable_date(now, tz, 1.day())?)
                    .filter_map(|local| instant(local, tz))
                    .find(|slot| *slot <= now)
            }
            Self::Rate(rate) => rate.multiple(rate.index(now)),
        }
    }

    /// The first slot after `after`.
    ///
    /// None when there is none before the end of the year 2199 (cron) or of representable
    /// time (rate).
    #[must_use]
    pub fn next_after(&self, after: Timestamp, tz: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Cron(cron) => cron
                .forward_from(reachable_date(after, tz, -1.day())?)
                .filter_map(|local| instant(local, tz))
                .find(|slot| *slot > after),
            Self::Rate(rate) => rate.multiple(rate.index(after).checked_add(1)?),
        }
    }
}

impl Rate {
    fn parse(inner: &str, text: &str) -> Result<Self, ScheduleError> {
        let wrong = || ScheduleError::Rate(shown(text));
        let mut words = inner.split_ascii_whitespace();
        let (Some(number), Some(word), None) = (words.next(), words.next(), words.next()) else {
            return Err(wrong());
        };
        if !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        let count = number.parse::<u32>().ok().filter(|n| *n > 0);
        let count = count.ok_or_else(wrong)?;
        let (unit, singular) = match word {
            "minute" => (RateUnit::Minute, true),
            "minutes" => (RateUnit::Minute, false),
            "hour" => (RateUnit::Hour, true),
            "hours" => (RateUnit::Hour, false),
            "day" => (RateUnit::Day, true),
            "days" => (RateUnit::Day, false),
            _ => return Err(wrong()),
        };
        let rate = Self { count, unit };
        if singular != (count == 1) {
            return Err(ScheduleError::Plural {
                text: shown(text),
                wanted: if count == 1 { "singular" } else { "plural" },
                count,
                word: rate.word(),
            });
        }
        Ok(rate)
    }

    /// Minutes from one slot to the next.
    #[must_use]
    pub fn minutes(self) -> i64 {
        let unit = match self.unit {
            RateUnit::Minute => 1,
            RateUnit::Hour => 60,
            RateUnit::Day => 24 * 60,
        };
        i64::from(self.count) * unit
    }

    /// How many whole periods lie between the epoch and `at`.
    fn index(self, at: Timestamp) -> i64 {
        // Nanoseconds, because whole seconds would round towards the epoch before 1970.
        let period = i128::from(self.minutes()) * 60_000_000_000;
        i64::try_from(at.as_nanosecond().div_euclid(period)).unwrap_or(i64::MAX)
    }

    fn multiple(self, index: i64) -> Option<Timestamp> {
        let second = index.checked_mul(self.minutes().checked_mul(60)?)?;
        Timestamp::from_second(second).ok()
    }

    fn word(self) -> &'static str {
        match (self.unit, self.count) {
            (RateUnit::Minute, 1) => "minute",
            (RateUnit::Minute, _) => "minutes",
            (RateUnit::Hour, 1) => "hour",
            (RateUnit::Hour, _) => "hours",
            (RateUnit::Day, 1) => "day",
            (RateUnit::Day, _) => "days",
        }
    }
}

/// The instant of a wall-clock time; none when daylight saving skips it, the first when
/// daylight saving repeats it.
pub(super) fn instant(local: DateTime, tz: &TimeZone) -> Option<Timestamp> {
    match tz.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(local).ok(),
        AmbiguousOffset::Gap { .. } => None,
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(local).ok(),
    }
}

/// The date of `at` in `tz`, moved by `margin` and brought into the years of cron expressions.
fn reachable_date(at: Timestamp, tz: &TimeZone, margin: Span) -> Option<Date> {
    let first = Date::new(FIRST_YEAR, 1, 1).ok()?;
    let last = Date::new(LAST_YEAR, 12, 31).ok()?;
    let date = tz.to_datetime(at).date().saturating_add(margin);
    if margin.is_negative() {
        Some(date.max(first))
    } else {
        Some(date.min(last))
    }
}

fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        Self::parse(text)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron(cron) => write!(f, "cron({})", cron.as_str()),
            Self::Rate(rate) => write!(f, "rate({} {})", rate.count, rate.word()),
        }
    }
}
