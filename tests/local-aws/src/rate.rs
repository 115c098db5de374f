//! `rate(…)` expressions of EventBridge schedule rules.

use jiff::SignedDuration;

/// A period between two firings of a rule; always positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(SignedDuration);

/// A schedule expression that is no valid `rate(…)`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no rate expression such as rate(1 hour) or rate(5 minutes)")]
pub struct RateError(pub String);

impl Rate {
    /// Reads `rate(VALUE UNIT)` as EventBridge does: a positive whole number, the unit in the
    /// singular for 1 and in the plural for more.
    ///
    /// # Errors
    ///
    /// Anything else, `cron(…)` included: the local AWS fires heartbeats only, and those are rates.
    pub fn parse(text: &str) -> Result<Self, RateError> {
        let refused = || RateError(text.to_owned());
        let inner = text
            .strip_prefix("rate(")
            .and_then(|rest| rest.strip_suffix(')'))
            .ok_or_else(refused)?;
        let (value, unit) = inner.split_once(' ').ok_or_else(refused)?;
        let value: i64 = value.parse().map_err(|_| refused())?;
        let seconds = match (value, unit) {
            (1, "minute") | (2.., "minutes") => 60,
            (1, "hour") | (2.., "hours") => 3_600,
            (1, "day") | (2.., "days") => 86_400,
            _ => return Err(refused()),
        };
        let total = value.checked_mul(seconds).ok_or_else(refused)?;
        Ok(Self(SignedDuration::from_secs(total)))
    }

    /// The period.
    #[must_use]
    pub fn period(self) -> SignedDuration {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_that_eventbridge_accepts_have_their_period() {
        let period = |text| Rate::parse(text).unwrap().period();
        assert_eq!(period("rate(5 minutes)"), SignedDuration::from_mins(5));
        assert_eq!(period("rate(1 minute)"), SignedDuration::from_mins(1));
        assert_eq!(period("rate(1 hour)"), SignedDuration::from_hours(1));
        assert_eq!(period("rate(2 days)"), SignedDuration::from_hours(48));
    }

    #[test]
    fn what_eventbridge_refuses_is_refused() {
        for text in [
            "rate(1 hours)",
            "rate(5 minute)",
            "rate(0 minutes)",
            "rate(-5 minutes)",
            "rate(5 weeks)",
            "rate(5)",
            "5 minutes",
            "cron(0 3 * * ? *)",
            "rate(9223372036854775807 days)",
        ] {
            assert!(Rate::parse(text).is_err(), "{text}");
        }
    }
}
