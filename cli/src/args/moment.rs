//! Times as they are written on the command line.

use holdfast::policy::period::Period;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A time as written: RFC 3339, `now`, or a length of time as policy files write them, counted from
/// the clock: `7d`, `-7d` and `7d ago` lie back, `+2h` and `in 2h` ahead. Days are UTC's.
///
/// # Errors
/// Words that say what to write.
pub fn parse(text: &str) -> Result<Timestamp, String> {
    from(text, Timestamp::now())
}

fn from(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    if text == "now" {
        return Ok(now);
    }
    let ahead = text.strip_prefix('+').or_else(|| text.strip_prefix("in "));
    let back = text.strip_prefix('-').or_else(|| text.strip_suffix(" ago"));
    let length = ahead.or(back).unwrap_or(text);
    let length = Period::parse(length.trim()).map_err(|_| {
        "write an RFC 3339 time, such as 2026-11-23T03:00:00Z, or a time from now, such as 7d \
         (seven days ago) or +2h"
            .to_owned()
    })?;
    Ok(match ahead {
        Some(_) => length.after(now, &TimeZone::UTC),
        None => length.before(now, &TimeZone::UTC),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_counted_from_now_and_back_unless_it_says_ahead() {
        let now: Timestamp = "2026-11-23T03:00:00Z".parse().unwrap();
        for (text, time) in [
            ("2026-03-02T00:00:00Z", "2026-03-02T00:00:00Z"),
            ("2026-03-02T01:00:00+01:00", "2026-03-02T00:00:00Z"),
            ("now", "2026-11-23T03:00:00Z"),
            ("7d", "2026-11-16T03:00:00Z"),
            ("-7d", "2026-11-16T03:00:00Z"),
            ("90m ago", "2026-11-23T01:30:00Z"),
            ("+2h", "2026-11-23T05:00:00Z"),
            ("in 1mo", "2026-12-23T03:00:00Z"),
        ] {
            assert_eq!(from(text, now), Ok(time.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_what_to_write() {
        for wrong in ["", "yesterday", "7", "7 days", "0d", "2026-11-23", "+-7d"] {
            let words = from(wrong, Timestamp::UNIX_EPOCH).unwrap_err();
            assert!(words.contains("RFC 3339"), "{wrong}: {words}");
        }
    }
}
