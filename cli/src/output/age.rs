//! How far a time is from now, in words.

use jiff::Timestamp;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Such as `53d ago`, `in 4h 12m`, `now`; two units at most, rounded towards `now`.
#[must_use]
pub fn relative(at: Timestamp, now: Timestamp) -> String {
    let seconds = at.as_second() - now.as_second();
    let length = match seconds.abs() {
        0 => return "now".into(),
        s @ 1..MINUTE => format!("{s}s"),
        s @ MINUTE..HOUR => format!("{}m", s / MINUTE),
        s @ HOUR..DAY => two(s, HOUR, 'h', MINUTE, 'm'),
        s if s < 10 * DAY => two(s, DAY, 'd', HOUR, 'h'),
        s => format!("{}d", s / DAY),
    };
    if seconds < 0 {
        format!("{length} ago")
    } else {
        format!("in {length}")
    }
}

fn two(seconds: i64, big: i64, big_name: char, small: i64, small_name: char) -> String {
    let (whole, rest) = (seconds / big, seconds % big / small);
    if rest == 0 {
        format!("{whole}{big_name}")
    } else {
        format!("{whole}{big_name} {rest}{small_name}")
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn ages_have_two_units_at_most() {
        for (seconds, words) in [
            (0, "now"),
            (-59, "59s ago"),
            (-60, "1m ago"),
            (4 * HOUR + 12 * MINUTE + 30, "in 4h 12m"),
            (2 * HOUR, "in 2h"),
            (-(3 * DAY + 4 * HOUR), "3d 4h ago"),
            (-53 * DAY - HOUR, "53d ago"),
        ] {
            let now = Timestamp::UNIX_EPOCH;
            assert_eq!(
                relative(now + SignedDuration::from_secs(seconds), now),
                words
            );
        }
    }
}
