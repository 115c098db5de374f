//! Which backups of one group a policy's rules keep.
//!
//! The semantics are restic's `forget` (`internal/data/snapshot_policy.go`), but that backups
//! dated after `now` are kept without using up a rule, and ties are broken by identifier.
//! Only good backups may be handed in; what is pending or failed is decided elsewhere.

use jiff::civil::DateTime;
use jiff::{Timestamp, tz::TimeZone};

use crate::policy::Retain;
use crate::report::{Reason, ReasonCode};

/// A good backup of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup<I = String> {
    /// Its identifier, or whatever stands in the order of identifiers: it breaks ties.
    pub id: I,
    /// The point in time it holds.
    pub time: Timestamp,
}

/// For each backup, in the order given, the reasons that keep it; none means it has expired.
#[must_use]
pub fn keep<I: Ord>(
    retain: &Retain,
    min_copies: u32,
    timezone: &TimeZone,
    now: Timestamp,
    backups: &[Backup<I>],
) -> Vec<Vec<Reason>> {
    let mut reasons = vec![Vec::new(); backups.len()];
    let mut order: Vec<usize> = Vec::with_capacity(backups.len());
    for (i, backup) in backups.iter().enumerate() {
        if backup.time > now {
            reasons[i].push(Reason::of(ReasonCode::FutureDated));
        } else {
            order.push(i);
        }
    }
    order.sort_by(|&a, &b| {
        let (a, b) = (&backups[a], &backups[b]);
        b.time.cmp(&a.time).then_with(|| b.id.cmp(&a.id))
    });

    let Some(&newest) = order.first() else {
        return reasons;
    };
    let cutoff = retain
        .within
        .map(|d| (d, d.before(backups[newest].time, timezone)));
    let mut rules = rules(retain);
    rules.retain(|rule| rule.left > 0);
    let last = order.len() - 1;
    for (position, &i) in order.iter().enumerate() {
        let local = timezone.to_datetime(backups[i].time);
        for rule in &mut rules {
            if let Some(reason) = rule.consider(position, position == last, local) {
                reasons[i].push(reason);
            }
        }
        if let Some((within, cutoff)) = cutoff
            && backups[i].time > cutoff
        {
            reasons[i].push(Reason::with(
                ReasonCode::RetainWithin,
                format!("younger than {within}, from {}", backups[newest].time),
            ));
        }
        if reasons[i].is_empty() && position < min_copies as usize {
            reasons[i].push(Reason::with(
                ReasonCode::MinCopies,
                format!("one of the newest {min_copies} of its group"),
            ));
        }
    }
    reasons
}

struct Rule {
    code: ReasonCode,
    left: u32,
    period: fn(usize, DateTime) -> Period,
    previous: Option<Period>,
}

/// What a rule counts: a position for `last`, else the parts of the local time that name a period.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Period {
    Position(usize),
    Hour(i16, i8, i8, i8),
    Day(i16, i8, i8),
    Week(i16, i8),
    Month(i16, i8),
    Year(i16),
}

impl Rule {
    fn consider(&mut self, position: usize, oldest: bool, local: DateTime) -> Option<Reason> {
        if self.left == 0 {
            return None;
        }
        let period = (self.period)(position, local);
        let new = self.previous != Some(period);
        if !new && !oldest {
            return None;
        }
        self.previous = Some(period);
        self.left -= 1;
        Some(match (new, period) {
            (true, period) => Reason::with(self.code, period.to_string()),
            (false, _) => Reason::with(self.code, "the oldest, while periods are left"),
        })
    }
}

impl std::fmt::Display for Period {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Position(n) => write!(f, "number {} from the newest", n + 1),
            Self::Hour(y, m, d, h) => write!(f, "newest of {y:04}-{m:02}-{d:02} {h:02}h"),
            Self::Day(y, m, d) => write!(f, "newest of {y:04}-{m:02}-{d:02}"),
            Self::Week(y, w) => write!(f, "newest of week {y:04}-W{w:02}"),
            Self::Month(y, m) => write!(f, "newest of {y:04}-{m:02}"),
            Self::Year(y) => write!(f, "newest of {y:04}"),
        }
    }
}

fn rules(retain: &Retain) -> Vec<Rule> {
    let rule = |code, left, period: fn(usize, DateTime) -> Period| Rule {
        code,
        left,
        period,
        previous: None,
    };
    vec![
        rule(ReasonCode::RetainLast, retain.last, |n, _| {
            Period::Position(n)
        }),
        rule(ReasonCode::RetainHourly, retain.hourly, |_, t| {
            Period::Hour(t.year(), t.month(), t.day(), t.hour())
        }),
        rule(ReasonCode::RetainDaily, retain.daily, |_, t| {
            Period::Day(t.year(), t.month(), t.day())
        }),
        rule(ReasonCode::RetainWeekly, retain.weekly, |_, t| {
            // The ISO year belongs to the ISO week: 2027-01-01 lies in week 53 of 2026.
            let week = t.date().iso_week_date();
            Period::Week(week.year(), week.week())
        }),
        rule(ReasonCode::RetainMonthly, retain.monthly, |_, t| {
            Period::Month(t.year(), t.month())
        }),
        rule(ReasonCode::RetainYearly, retain.yearly, |_, t| {
            Period::Year(t.year())
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backups(times: &[&str]) -> Vec<Backup> {
        times
            .iter()
            .enumerate()
            .map(|(i, t)| Backup {
                id: format!("snap-{i}"),
                time: t.parse().unwrap(),
            })
            .collect()
    }

    fn kept(retain: &Retain, tz: &str, now: &str, times: &[&str]) -> Vec<usize> {
        let tz = TimeZone::get(tz).unwrap();
        keep(retain, 1, &tz, now.parse().unwrap(), &backups(times))
            .iter()
            .enumerate()
            .filter(|(_, reasons)| !reasons.is_empty())
            .map(|(i, _)| i)
            .collect()
    }

    #[test]
    fn a_backup_from_the_future_is_kept_and_uses_up_no_rule() {
        let retain = Retain {
            last: 1,
            ..Retain::default()
        };
        let times = [
            "2026-01-03T00:00:00Z",
            "2026-01-01T00:00:00Z",
            "2025-12-31T00:00:00Z",
        ];
        assert_eq!(kept(&retain, "UTC", "2026-01-02T00:00:00Z", &times), [0, 1]);
    }

    #[test]
    fn of_two_backups_of_one_instant_the_greater_identifier_counts_as_newer() {
        let retain = Retain {
            last: 1,
            ..Retain::default()
        };
        let times = ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"];
        assert_eq!(kept(&retain, "UTC", "2026-01-02T00:00:00Z", &times), [1]);
    }

    #[test]
    fn within_is_measured_from_the_newest_backup_not_from_the_clock() {
        let retain = Retain {
            within: Some("48h".parse().unwrap()),
            ..Retain::default()
        };
        // Exactly 48 hours is not younger than 48 hours.
        let times = [
            "2020-01-03T00:00:00Z",
            "2020-01-01T00:00:01Z",
            "2020-01-01T00:00:00Z",
        ];
        assert_eq!(kept(&retain, "UTC", "2026-01-02T00:00:00Z", &times), [0, 1]);
    }

    #[test]
    fn the_turn_of_the_year_does_not_split_an_iso_week() {
        let retain = Retain {
            weekly: 2,
            ..Retain::default()
        };
        // 2027-01-03 is the Sunday of 2026-W53, 2026-12-28 its Monday, 2026-12-27 is in W52.
        let times = [
            "2027-01-03T12:00:00Z",
            "2026-12-28T12:00:00Z",
            "2026-12-27T12:00:00Z",
            "2026-12-20T12:00:00Z",
        ];
        assert_eq!(kept(&retain, "UTC", "2027-01-10T00:00:00Z", &times), [0, 2]);
    }

    #[test]
    fn a_day_is_a_day_in_the_policys_time_zone() {
        let retain = Retain {
            daily: 2,
            ..Retain::default()
        };
        // 23:30 and 22:30 UTC are 00:30 and 23:30 in Berlin: two days there, one in UTC.
        let times = [
            "2026-01-01T23:30:00Z",
            "2026-01-01T22:30:00Z",
            "2026-01-01T21:30:00Z",
        ];
        assert_eq!(
            kept(&retain, "Europe/Berlin", "2026-01-03T00:00:00Z", &times),
            [0, 1]
        );
        assert_eq!(kept(&retain, "UTC", "2026-01-03T00:00:00Z", &times), [0, 2]);
    }

    #[test]
    fn min_copies_keeps_the_newest_of_a_source_whose_rules_keep_less() {
        let retain = Retain {
            last: 1,
            ..Retain::default()
        };
        let tz = TimeZone::UTC;
        let times = [
            "2026-01-03T00:00:00Z",
            "2026-01-02T00:00:00Z",
            "2026-01-01T00:00:00Z",
        ];
        let now = "2026-02-01T00:00:00Z".parse().unwrap();
        let codes: Vec<Vec<ReasonCode>> = keep(&retain, 2, &tz, now, &backups(&times))
            .iter()
            .map(|r| r.iter().map(|r| r.code).collect())
            .collect();
        assert_eq!(
            codes,
            [
                vec![ReasonCode::RetainLast],
                vec![ReasonCode::MinCopies],
                vec![]
            ]
        );
    }
}
