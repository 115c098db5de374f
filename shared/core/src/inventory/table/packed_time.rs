//! Times in twelve bytes.

use std::num::NonZeroU32;

use jiff::Timestamp;

/// A point in time; none of it takes no room of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(Rust, packed(4))]
pub(super) struct PackedTime {
    second: i64,
    /// Nanoseconds since that second, plus one.
    nanosecond: NonZeroU32,
}

impl PackedTime {
    pub(super) fn pack(time: Timestamp) -> Self {
        let nanoseconds = time.subsec_nanosecond();
        // Before 1970 a time is so many seconds and nanoseconds earlier.
        let second = time.as_second() - i64::from(nanoseconds < 0);
        let since = nanoseconds.rem_euclid(1_000_000_000).unsigned_abs();
        Self {
            second,
            nanosecond: NonZeroU32::MIN.saturating_add(since),
        }
    }

    pub(super) fn unpack(self) -> Option<Timestamp> {
        let nanosecond = i32::try_from(self.nanosecond.get() - 1).ok()?;
        Timestamp::new(self.second, nanosecond).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_comes_back_as_it_was_in_twelve_bytes() {
        assert_eq!(size_of::<Option<PackedTime>>(), 12);
        for text in [
            "2026-11-23T15:21:14Z",
            "2026-11-23T15:21:14.123Z",
            "1970-01-01T00:00:00Z",
            "1969-12-31T23:59:59.999999999Z",
            "1969-12-31T23:59:59Z",
            "-009998-01-01T00:00:00.5Z",
            "9999-12-30T22:00:00.999999999Z",
        ] {
            let time: Timestamp = text.parse().unwrap();
            assert_eq!(PackedTime::pack(time).unpack(), Some(time), "{text}");
        }
        for time in [Timestamp::MIN, Timestamp::MAX] {
            assert_eq!(PackedTime::pack(time).unpack(), Some(time));
        }
    }
}
