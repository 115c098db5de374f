//! `cron(…)` of six fields in EventBridge's dialect, as a set of wall-clock times.
//!
//! Fields and wildcards follow EventBridge's user guide ("Creating a rule that runs on a
//! schedule"): minutes, hours, day of month, month, day of week, year; `, - * /` everywhere,
//! `?` in the day fields, `L` and `W` for days of the month, `L` and `#` for days of the week.

use jiff::civil::{Date, DateTime, Weekday};

use super::cron_field::{FieldError, NumberField, Numbers};

/// First year that EventBridge knows.
pub(super) const FIRST_YEAR: i16 = 1970;
/// Last year that EventBridge knows.
pub(super) const LAST_YEAR: i16 = 2199;

const MINUTE: NumberField = NumberField::new("minute", 0, 59, &[]);
const HOUR: NumberField = NumberField::new("hour", 0, 23, &[]);
const MONTH_DAY: NumberField = NumberField::new("day-of-month", 1, 31, &[]);
const MONTH: NumberField = NumberField::new(
    "month",
    1,
    12,
    &[
        "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
    ],
);
const WEEK_DAY: NumberField = NumberField::new(
    "day-of-week",
    1,
    7,
    &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
);
const YEAR: NumberField = NumberField::linear("year", FIRST_YEAR as u16, LAST_YEAR as u16);

/// Days of the month or of the week on which a cron expression runs.
#[derive(Clone, Debug, PartialEq, Eq)]
enum DayRule {
    Month {
        /// Plain days 1–31.
        days: Numbers,
        /// `L`: the last day.
        last: bool,
        /// `LW`: the last day from Monday to Friday.
        last_weekday: bool,
        /// `15W`: the day from Monday to Friday nearest to this day, within its month.
        nearest: Numbers,
    },
    Week {
        /// Plain days, 1 = Sunday.
        days: Numbers,
        /// `6L`: the month's last Friday.
        last: Numbers,
        /// `6#3`: the month's third Friday.
        nth: Option<(u16, u16)>,
    },
}

/// The wall-clock times of one `cron(…)` expression, without a time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    text: String,
    minutes: Numbers,
    hours: Numbers,
    days: DayRule,
    months: Numbers,
    years: Numbers,
}

/// Why six fields are no cron expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// Not six fields.
    #[error(
        "cron(…) has {0} fields where six are needed: \
         minute hour day-of-month month day-of-week year"
    )]
    FieldCount(usize),
    /// Both day fields are `?`, or neither is.
    #[error(
        "exactly one of day-of-month and day-of-week must be `?`, \
         as in cron(0 3 * * ? *) or cron(0 3 ? * SUN *)"
    )]
    QuestionMarks,
    /// A field that is not understood.
    #[error("{0}")]
    Field(#[from] FieldError),
    /// `#` with anything beside it.
    #[error("`{0}` in day-of-week: `#` stands alone, such as 6#3 for the third Friday")]
    NthStandsAlone(String),
    /// Something that is no day of the month or week.
    #[error("`{text}` in {field}: {reason}")]
    Day {
        /// The item.
        text: String,
        /// The field's name.
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl Cron {
    /// Reads the six fields between the parentheses of `cron(…)`.
    ///
    /// # Errors
    ///
    /// When there are not six fields, when not exactly one day field is `?`, and when a field
    /// holds something that EventBridge does not allow there.
    pub fn parse(fields: &str) -> Result<Self, CronError> {
        let parts: Vec<&str> = fields.split_ascii_whitespace().collect();
        let &[minute, hour, month_day, month, week_day, year] = parts.as_slice() else {
            return Err(CronError::FieldCount(parts.len()));
        };
        let minutes = MINUTE.parse(minute)?;
        let hours = HOUR.parse(hour)?;
        let days = match (month_day, week_day) {
            ("?", "?") => return Err(CronError::QuestionMarks),
            (_, "?") => month_days(month_day)?,
            ("?", _) => week_days(week_day)?,
            _ => return Err(CronError::QuestionMarks),
        };
        Ok(Self {
            text: parts.join(" "),
            minutes,
            hours,
            days,
            months: MONTH.parse(month)?,
            years: YEAR.parse(year)?,
        })
    }

    /// The six fields, separated by single spaces.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether every year that EventBridge knows is meant.
    pub(super) fn every_year(&self) -> bool {
        self.years.len() == YEAR.size()
    }

    /// Whether the expression runs on `date`.
    pub(super) fn runs_on(&self, date: Date) -> bool {
        let (Ok(year), Ok(month), Ok(day)) = (
            u16::try_from(date.year()),
            u16::try_from(date.month()),
            u16::try_from(date.day()),
        ) else {
            return false;
        };
        self.years.contains(year) && self.months.contains(month) && self.days.matches(date, day)
    }

    /// Minutes after midnight at which it runs on a day that it runs on, ascending.
    pub(super) fn minutes_of_day(&self) -> impl DoubleEndedIterator<Item = u16> + '_ {
        self.hours
            .iter()
            .flat_map(|hour| self.minutes.iter().map(move |minute| hour * 60 + minute))
    }

    /// The wall-clock times from `start`'s date on, ascending.
    pub(super) fn forward_from(&self, start: Date) -> impl Iterator<Item = DateTime> + '_ {
        self.years
            .iter()
            .filter(move |y| i32::from(*y) >= i32::from(start.year()))
            .flat_map(|year| self.months.iter().map(move |month| (year, month)))
            .flat_map(|(year, month)| days_of(year, month))
            .filter(move |date| *date >= start && self.runs_on(*date))
            .flat_map(|date| self.minutes_of_day().map(move |m| at_minute(date, m)))
    }

    /// The wall-clock times up to the end of `start`'s date, descending.
    pub(super) fn backward_from(&self, start: Date) -> impl Iterator<Item = DateTime> + '_ {
        self.years
            .iter()
            .rev()
            .filter(move |y| i32::from(*y) <= i32::from(start.year()))
            .flat_map(|year| self.months.iter().rev().map(move |month| (year, month)))
            .flat_map(|(year, month)| days_of(year, month).rev())
            .filter(move |date| *date <= start && self.runs_on(*date))
            .flat_map(|date| self.minutes_of_day().rev().map(move |m| at_minute(date, m)))
    }
}

/// The wall-clock time `minute` minutes after midnight; `minute` is below 1440.
pub(super) fn at_minute(date: Date, minute: u16) -> DateTime {
    let part = |n: u16| i8::try_from(n).unwrap_or(0);
    date.at(part(minute / 60), part(minute % 60), 0, 0)
}

fn days_of(year: u16, month: u16) -> impl DoubleEndedIterator<Item = Date> {
    let first = i16::try_from(year)
        .ok()
        .zip(i8::try_from(month).ok())
        .and_then(|(year, month)| Date::new(year, month, 1).ok());
    first.into_iter().flat_map(|first| {
        (1..=first.days_in_month())
            .filter_map(move |day| Date::new(first.year(), first.month(), day).ok())
    })
}

impl DayRule {
    fn matches(&self, date: Date, day: u16) -> bool {
        match self {
            Self::Month {
                days,
                last,
                last_weekday,
                nearest,
            } => {
                days.contains(day)
                    || (*last && date.day() == date.days_in_month())
                    || (*last_weekday && nearest_weekday(date.last_of_month()) == date)
                    || nearest.iter().any(|wanted| {
                        i8::try_from(wanted)
                            .ok()
                            .and_then(|d| Date::new(date.year(), date.month(), d).ok())
                            .is_some_and(|wanted| nearest_weekday(wanted) == date)
                    })
            }
            Self::Week { days, last, nth } => {
                let week_day = week_day_number(date.weekday());
                let in_last_week = date.day() + 7 > date.days_in_month();
                days.contains(week_day)
                    || (in_last_week && last.contains(week_day))
                    || nth.is_some_and(|(wanted, n)| wanted == week_day && n == (day - 1) / 7 + 1)
            }
        }
    }
}

/// EventBridge's number of a weekday, 1 = Sunday.
fn week_day_number(day: Weekday) -> u16 {
    match day {
        Weekday::Sunday => 1,
        Weekday::Monday => 2,
        Weekday::Tuesday => 3,
        Weekday::Wednesday => 4,
        Weekday::Thursday => 5,
        Weekday::Friday => 6,
        Weekday::Saturday => 7,
    }
}

/// The day from Monday to Friday nearest to `date` that lies in the same month.
fn nearest_weekday(date: Date) -> Date {
    let shift: i8 = match date.weekday() {
        Weekday::Saturday if date.day() == 1 => 2,
        Weekday::Saturday => -1,
        Weekday::Sunday if date.day() == date.days_in_month() => -2,
        Weekday::Sunday => 1,
        _ => 0,
    };
    Date::new(date.year(), date.month(), date.day() + shift).unwrap_or(date)
}

fn month_days(text: &str) -> Result<DayRule, CronError> {
    let mut days = Numbers::default();
    let mut nearest = Numbers::default();
    let (mut last, mut last_weekday) = (false, false);
    for item in text.split(',') {
        let upper = item.to_ascii_uppercase();
        let wrong = |reason| CronError::Day {
            text: item.chars().take(20).collect(),
            field: "day-of-month",
            reason,
        };
        if upper == "L" {
            last = true;
        } else if upper == "LW" || upper == "WL" {
            last_weekday = true;
        } else if let Some(day) = upper.strip_suffix('W') {
            let day = MONTH_DAY
                .number(day)
                .map_err(|_| wrong("`W` follows one day of the month, such as 15W"))?;
            nearest.insert(day);
        } else if upper.contains('L') {
            return Err(wrong("`L` is the last day of the month and stands alone"));
        } else if upper.contains('#') {
            return Err(wrong("`#` belongs into day-of-week"));
        } else {
            MONTH_DAY.parse_item(item, &mut days)?;
        }
    }
    Ok(DayRule::Month {
        days,
        last,
        last_weekday,
        nearest,
    })
}

fn week_days(text: &str) -> Result<DayRule, CronError> {
    let wrong = |item: &str, reason| CronError::Day {
        text: item.chars().take(20).collect(),
        field: "day-of-week",
        reason,
    };
    if let Some((day, n)) = text.split_once('#') {
        if text.contains(',') {
            return Err(CronError::NthStandsAlone(text.chars().take(20).collect()));
        }
        let day = WEEK_DAY.number(day)?;
        let n = match n.as_bytes() {
            [digit @ b'1'..=b'5'] => u16::from(digit - b'0'),
            _ => {
                return Err(wrong(
                    text,
                    "after `#` comes which one of the month, 1 to 5",
                ));
            }
        };
        return Ok(DayRule::Week {
            days: Numbers::default(),
            last: Numbers::default(),
            nth: Some((day, n)),
        });
    }
    let mut days = Numbers::default();
    let mut last = Numbers::default();
    for item in text.split(',') {
        let upper = item.to_ascii_uppercase();
        if upper == "L" {
            // The last day of the week, which ends on Saturday.
            days.insert(7);
        } else if let Some(day) = upper.strip_suffix('L') {
            let day = WEEK_DAY
                .number(day)
                .map_err(|_| wrong(item, "`L` follows one day of the week, such as 6L"))?;
            last.insert(day);
        } else {
            WEEK_DAY.parse_item(item, &mut days)?;
        }
    }
    Ok(DayRule::Week {
        days,
        last,
        nth: None,
    })
}
