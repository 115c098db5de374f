//! How late EC2's token buckets make the last call of a slot.

use jiff::SignedDuration;

/// The bucket of a creating call: tokens at once and tokens a second (EC2 Developer Guide, "Request
/// throttling"; `CreateImage` has the one of the mutating calls without one of their own).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bucket {
    /// `CreateSnapshots`.
    Sets,
    /// `CreateSnapshot`.
    Singles,
    /// `CreateImage`.
    Images,
}

/// Seconds from one heartbeat to the next.
const HEARTBEAT: u64 = 5 * 60;
/// Seconds that one invocation makes calls for: Lambda's maximum of 15 minutes, which the template
/// has, less the 30 seconds that it stops ahead of its deadline.
const AT_WORK: u64 = 15 * 60 - 30;

impl Bucket {
    /// The call's name.
    pub(super) fn call(self) -> &'static str {
        match self {
            Self::Sets => "CreateSnapshots",
            Self::Singles => "CreateSnapshot",
            Self::Images => "CreateImage",
        }
    }

    fn at_once(self) -> u64 {
        match self {
            Self::Sets | Self::Singles => 100,
            Self::Images => 50,
        }
    }

    fn a_second(self) -> u64 {
        5
    }

    /// How long after the first the last of so many calls is made.
    pub(super) fn late(self, calls: u64) -> SignedDuration {
        let in_one = self.at_once() + self.a_second() * AT_WORK;
        let whole = calls.saturating_sub(1) / in_one;
        let rest = calls - whole * in_one;
        // The heartbeat that goes on is the first one after the invocation's end; by then the bucket
        // is full again.
        let until_next = AT_WORK.div_ceil(HEARTBEAT) * HEARTBEAT;
        let waits = rest
            .saturating_sub(self.at_once())
            .div_ceil(self.a_second());
        let seconds = whole * until_next + waits;
        SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lets_its_burst_through_at_once_and_then_five_a_second() {
        for (calls, late) in [(1, 0), (100, 0), (101, 1), (600, 100), (4450, 870)] {
            assert_eq!(Bucket::Sets.late(calls).as_secs(), late, "{calls}");
        }
        assert_eq!(Bucket::Images.late(100).as_secs(), 10);
    }

    #[test]
    fn what_one_invocation_does_not_get_done_waits_for_the_heartbeat_after_its_end() {
        // 100 + 5 * 870 calls in the first, the next begins at 15 minutes with a full bucket.
        assert_eq!(Bucket::Sets.late(4451).as_secs(), 900);
        assert_eq!(Bucket::Sets.late(4451 + 100).as_secs(), 901);
        assert_eq!(Bucket::Sets.late(2 * 4450 + 1).as_secs(), 1800);
    }
}
