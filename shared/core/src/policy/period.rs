//! Lengths of time as policy files write them: `90m`, `36h`, `30d`, `8w`, `6mo`, `2y`.

use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// What a [`Period`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeriodUnit {
    /// Exactly 60 seconds, written `m`.
    Minutes,
    /// Exactly 3600 seconds, written `h`.
    Hours,
    /// Calendar days, written `d`: 23 to 25 hours where daylight saving changes.
    Days,
    /// Seven calendar days, written `w`.
    Weeks,
    /// Calendar months, written `mo`.
    Months,
    /// Calendar years, written `y`.
    Years,
}

impl PeriodUnit {
    const ALL: [Self; 6] = [
        Self::Minutes,
        Self::Hours,
        Self::Days,
        Self::Weeks,
        Self::Months,
        Self::Years,
    ];

    /// The unit's suffix in a policy file.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Minutes => "m",
            Self::Hours => "h",
            Self::Days => "d",
            Self::Weeks => "w",
            Self::Months => "mo",
            Self::Years => "y",
        }
    }

    /// The largest count: about a thousand years of any unit, far inside what jiff can span.
    fn max(self) -> u32 {
        match self {
            Self::Minutes => 525_960_000,
            Self::Hours => 8_766_000,
            Self::Days => 365_250,
            Self::Weeks => 52_178,
            Self::Months => 12_000,
            Self::Years => 1_000,
        }
    }
}

/// A count of one unit of time, reckoned in a time zone when it is applied to an instant.
///
/// Days and longer are calendar units: `1d` before noon is noon of the day before, whatever
/// daylight saving did in between, and `1mo` after 31 January is the last day of February.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Period {
    count: u32,
    unit: PeriodUnit,
}

/// Why a text is no [`Period`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// Not a count followed by a unit.
    #[error(
        "`{0}` is not a duration: write a whole number and a unit without a space, \
         m (minutes), h, d, w, mo (months) or y, such as 90m, 36h, 30d, 8w, 6mo, 2y"
    )]
    Shape(String),
    /// Zero where only a positive length has a meaning.
    #[error("`{0}` is zero: a positive duration is needed")]
    Zero(String),
    /// Longer than a thousand years.
    #[error("`{text}` is too long: at most {max}{suffix}")]
    TooLong {
        /// The text.
        text: String,
        /// Largest count of that unit.
        max: u32,
        /// The unit's suffix.
        suffix: &'static str,
    },
}

impl Period {
    /// A period of `count` units; `None` for zero and for more than a thousand years.
    #[must_use]
    pub fn new(count: u32, unit: PeriodUnit) -> Option<Self> {
        (count > 0 && count <= unit.max()).then_some(Self { count, unit })
    }

    /// Reads a positive period.
    ///
    /// # Errors
    ///
    /// When `text` is not a count and a unit, is zero, or is longer than a thousand years.
    pub fn parse(text: &str) -> Result<Self, PeriodError> {
        let period = Self::parse_or_zero(text)?;
        if period.is_zero() {
            return Err(PeriodError::Zero(shown(text)));
        }
        Ok(period)
    }

    /// Reads a period that may be zero, such as the `0h` of `grace`.
    ///
    /// # Errors
    ///
    /// When `text` is not a count and a unit, or is longer than a thousand years.
    pub fn parse_or_zero(text: &str) -> Result<Self, PeriodError> {
        let shape = || PeriodError::Shape(shown(text));
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, suffix) = text.split_at_checked(digits).ok_or_else(shape)?;
        let unit = PeriodUnit::ALL
            .into_iter()
            .find(|u| u.suffix() == suffix)
            .ok_or_else(shape)?;
        if number.is_empty() {
            return Err(shape());
        }
        // A number that does not even fit is as much too long as one above the limit.
        let count = number.parse::<u32>().unwrap_or(u32::MAX);
        if count > unit.max() {
            return Err(PeriodError::TooLong {
                text: shown(text),
                max: unit.max(),
                suffix: unit.suffix(),
            });
        }
        Ok(Self { count, unit })
    }

    /// How many units.
    #[must_use]
    pub fn count(self) -> u32 {
        self.count
    }

    /// What is counted.
    #[must_use]
    pub fn unit(self) -> PeriodUnit {
        self.unit
    }

    /// Whether it is no time at all; only [`Self::parse_or_zero`] makes such a period.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.count == 0
    }

    /// The instant this long before `at`, by the calendar of `tz`; the earliest instant that
    /// can be represented when that lies before it.
    #[must_use]
    pub fn before(&self, at: Timestamp, tz: &TimeZone) -> Timestamp {
        self.shifted(at, tz, -i64::from(self.count))
            .unwrap_or(Timestamp::MIN)
    }

    /// The instant this long after `at`, by the calendar of `tz`; the latest instant that can
    /// be represented when that lies behind it.
    #[must_use]
    pub fn after(&self, at: Timestamp, tz: &TimeZone) -> Timestamp {
        self.shifted(at, tz, i64::from(self.count))
            .unwrap_or(Timestamp::MAX)
    }

    fn shifted(self, at: Timestamp, tz: &TimeZone, count: i64) -> Option<Timestamp> {
        let span = Span::new();
        let span = match self.unit {
            PeriodUnit::Minutes => span.try_minutes(count),
            PeriodUnit::Hours => span.try_hours(count),
            PeriodUnit::Days => span.try_days(count),
            PeriodUnit::Weeks => span.try_weeks(count),
            PeriodUnit::Months => span.try_months(count),
            PeriodUnit::Years => span.try_years(count),
        }
        .ok()?;
        match self.unit {
            PeriodUnit::Minutes | PeriodUnit::Hours => at.checked_add(span).ok(),
            PeriodUnit::Days | PeriodUnit::Weeks | PeriodUnit::Months | PeriodUnit::Years => at
                .to_zoned(tz.clone())
                .checked_add(span)
                .ok()
                .map(|moved| moved.timestamp()),
        }
    }
}

/// `text` cut to what an error message can carry.
fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        Self::parse(text)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.count, self.unit.suffix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn period(text: &str) -> Period {
        Period::parse(text).unwrap()
    }

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").unwrap()
    }

    #[test]
    fn every_documented_form_is_read_and_shown_again() {
        for text in ["90m", "36h", "30d", "8w", "6mo", "2y"] {
            assert_eq!(period(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_count_and_unit_is_refused() {
        for text in [
            "", "h", "5", "5 h", " 5h", "5H", "-5h", "+5h", "1.5h", "5M", "5min", "1h30m", "5ä",
            "٥h",
        ] {
            assert!(
                matches!(Period::parse_or_zero(text), Err(PeriodError::Shape(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn zero_is_a_period_only_where_the_caller_permits_it() {
        assert!(matches!(Period::parse("0h"), Err(PeriodError::Zero(_))));
        assert!(Period::parse_or_zero("0h").unwrap().is_zero());
        assert_eq!(Period::new(0, PeriodUnit::Hours), None);
    }

    #[test]
    fn an_overlong_count_is_refused() {
        assert!(Period::parse("1000y").is_ok());
        for text in ["1001y", "12001mo", "4294967296m", "99999999999999999999d"] {
            assert!(
                matches!(Period::parse(text), Err(PeriodError::TooLong { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn a_calendar_day_keeps_the_wall_clock_and_hours_do_not() {
        // Berlin went from UTC+1 to UTC+2 on 2026-03-29 at 02:00.
        let noon = at("2026-03-29T10:00:00Z");
        assert_eq!(
            period("1d").before(noon, &berlin()),
            at("2026-03-28T11:00:00Z")
        );
        assert_eq!(
            period("1w").before(noon, &berlin()),
            at("2026-03-22T11:00:00Z")
        );
        assert_eq!(
            period("24h").before(noon, &berlin()),
            at("2026-03-28T10:00:00Z")
        );
        assert_eq!(
            period("1440m").after(at("2026-03-28T10:00:00Z"), &berlin()),
            noon
        );
    }

    #[test]
    fn a_month_that_overruns_ends_on_the_last_day() {
        let utc = TimeZone::UTC;
        assert_eq!(
            period("1mo").after(at("2026-01-31T05:00:00Z"), &utc),
            at("2026-02-28T05:00:00Z")
        );
        assert_eq!(
            period("6mo").before(at("2026-08-31T05:00:00Z"), &utc),
            at("2026-02-28T05:00:00Z")
        );
        assert_eq!(
            period("1y").after(at("2028-02-29T05:00:00Z"), &utc),
            at("2029-02-28T05:00:00Z")
        );
    }

    #[test]
    fn arithmetic_saturates_at_the_ends_of_time() {
        assert_eq!(
            period("1000y").before(Timestamp::MIN, &berlin()),
            Timestamp::MIN
        );
        assert_eq!(
            period("1m").after(Timestamp::MAX, &berlin()),
            Timestamp::MAX
        );
        assert_eq!(
            period("1d").after(Timestamp::MAX, &berlin()),
            Timestamp::MAX
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,30}") {
            let _ = Period::parse(&text);
        }

        #[test]
        fn before_never_lies_after_and_after_never_before(
            count in 1u32..1000, unit in 0usize..6, second in -60_000_000_000i64..250_000_000_000i64,
        ) {
            let at = Timestamp::from_second(second).unwrap();
            let period = Period::new(count, PeriodUnit::ALL[unit]).unwrap();
            proptest::prop_assert!(period.before(at, &berlin()) <= at);
            proptest::prop_assert!(period.after(at, &berlin()) >= at);
        }
    }
}
