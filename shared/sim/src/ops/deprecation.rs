//! `EnableImageDeprecation`, `DisableImageDeprecation`.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::account::Account;
use crate::error::ApiError;
use crate::request;
use crate::response::Response;

impl Account {
    /// Not in the past, at most 10 years ahead, and for a public image at most 2 years after it
    /// was made; rounded to the minute (API Reference, "EnableImageDeprecation"; the code is
    /// assumed).
    pub(super) fn enable_image_deprecation(
        &mut self,
        r: &request::EnableImageDeprecation,
    ) -> Result<Response, ApiError> {
        let now = self.now;
        let image = self.own_image(&r.id)?;
        let latest = if image.public {
            years_after(image.created, 2)
        } else {
            years_after(now, 10)
        };
        if r.at < now || r.at > latest {
            return Err(ApiError::invalid_value(format!(
                "Value ({}) for parameter DeprecateAt is invalid.",
                r.at
            )));
        }
        image.deprecated_from = Some(to_the_minute(r.at));
        Ok(Response::Done)
    }

    pub(super) fn disable_image_deprecation(&mut self, id: &str) -> Result<Response, ApiError> {
        self.own_image(id)?.deprecated_from = None;
        Ok(Response::Done)
    }
}

fn years_after(time: Timestamp, years: i64) -> Timestamp {
    time.to_zoned(TimeZone::UTC)
        .checked_add(years.years())
        .map_or(Timestamp::MAX, |zoned| zoned.timestamp())
}

fn to_the_minute(time: Timestamp) -> Timestamp {
    let minutes = (time.as_second() + 30).div_euclid(60);
    Timestamp::from_second(minutes * 60).unwrap_or(time)
}
