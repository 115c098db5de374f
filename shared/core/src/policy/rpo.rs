//! How old the newest good backup of a source may get: `rpo`, or else what the schedules promise.

use std::fmt;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::Policy;
use super::gap::longest_gap;
use super::period::Period;

/// The most that would be lost: how far the newest good backup may lie back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rpo {
    /// As the policy says, by the calendar of its zone.
    Given(Period),
    /// Twice the longest gap between slots.
    FromSchedule(SignedDuration),
}

impl Rpo {
    /// The instant before which the newest good backup is too old at `now`.
    #[must_use]
    pub fn oldest(&self, now: Timestamp, tz: &TimeZone) -> Timestamp {
        match self {
            Self::Given(period) => period.before(now, tz),
            Self::FromSchedule(length) => now.checked_sub(*length).unwrap_or(Timestamp::MIN),
        }
    }
}

impl fmt::Display for Rpo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(period) => write!(f, "{}{}", period.count(), period.unit().suffix()),
            Self::FromSchedule(length) => {
                let minutes = length.as_mins();
                let (days, hours) = (minutes / (24 * 60), minutes / 60);
                if minutes % (24 * 60) == 0 && days > 2 {
                    write!(f, "{days}d")
                } else if minutes % 60 == 0 {
                    write!(f, "{hours}h")
                } else {
                    write!(f, "{minutes}m")
                }
            }
        }
    }
}

impl Policy {
    /// What the policy promises at `now` of the age of each source's newest good backup: its `rpo`,
    /// else twice the longest gap between its slots. None where it says nothing and has no two
    /// slots, as with triggers alone: then no age is too old.
    #[must_use]
    pub fn rpo_at(&self, now: Timestamp) -> Option<Rpo> {
        if let Some(period) = self.rpo {
            return Some(Rpo::Given(period));
        }
        Some(Rpo::FromSchedule(self.longest_gap_at(now)?.checked_mul(2)?))
    }

    /// The longest time between two neighbouring slots in the years around `now`; none where there
    /// are no two.
    pub(crate) fn longest_gap_at(&self, now: Timestamp) -> Option<SignedDuration> {
        longest_gap(&self.schedules, &self.timezone, now)
    }
}
