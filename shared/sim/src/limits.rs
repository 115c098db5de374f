//! Request token buckets: one per API, account and Region (EC2 Developer Guide,
//! "Request throttling for the Amazon EC2 API").

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::error::ApiError;
use crate::request::Request;

/// Size of a bucket in tokens and its refill in thousandths of a token per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    tokens: u64,
    refill_milli: u64,
}

const fn size(tokens: u64, refill: u64) -> Size {
    Size {
        tokens,
        refill_milli: refill * 1000,
    }
}

/// One bucket; its level is in thousand-millionths of a token, so that refilling is exact to the
/// microsecond.
#[derive(Clone, Debug)]
struct Bucket {
    size: Size,
    nano: u64,
    at: Timestamp,
}

/// One token: thousandths of a token per second are thousand-millionths per microsecond.
const TOKEN: u64 = 1_000_000_000;

/// The buckets that have been used so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buckets {
    by_name: BTreeMap<String, Bucket>,
}

/// The bucket that a request draws from, and its size, by the table of `[T]`.
fn bucket_of(request: &Request) -> (String, Size) {
    let operation = request.operation();
    let bare = match request {
        // Unfiltered and unpaginated calls of these draw from a smaller bucket of their own.
        Request::DescribeInstances(r) => {
            r.filters.is_empty() && r.ids.is_empty() && r.page.is_whole_list()
        }
        Request::DescribeSnapshots(r) => {
            r.filters.is_empty() && r.ids.is_empty() && r.page.is_whole_list()
        }
        Request::DescribeVolumes(r) => {
            r.filters.is_empty() && r.ids.is_empty() && r.page.is_whole_list()
        }
        Request::DescribeSpotInstanceRequests(r) => {
            r.filters.is_empty() && r.ids.is_empty() && r.page.is_whole_list()
        }
        _ => false,
    };
    if bare {
        return (format!("{operation} unfiltered"), size(50, 10));
    }
    let size = match request {
        r if r.is_read() => size(100, 20),
        Request::CreateSnapshot(_)
        | Request::CreateSnapshots(_)
        | Request::DeleteSnapshot(_)
        | Request::DeregisterImage(_)
        | Request::CreateVolume(_)
        | Request::DeleteVolume(_)
        | Request::ModifyImageAttribute(_)
        | Request::ModifySnapshotAttribute(_)
        | Request::CreateLaunchTemplateVersion(_)
        | Request::TerminateInstances(_) => size(100, 5),
        Request::CopyImage(_) => size(100, 1),
        Request::CreateTags(_) | Request::DeleteTags(_) => size(100, 10),
        Request::RunInstances(_) | Request::StartInstances(_) => size(5, 2),
        _ => size(50, 5),
    };
    (operation.to_owned(), size)
}

impl Buckets {
    /// Takes one token for a request, or refuses it.
    pub(crate) fn take(&mut self, request: &Request, now: Timestamp) -> Result<(), ApiError> {
        let (name, size) = bucket_of(request);
        let full = size.tokens * TOKEN;
        let bucket = self.by_name.entry(name).or_insert(Bucket {
            size,
            nano: full,
            at: now,
        });
        // Whole microseconds, and the clock of the bucket with them: a rest is not lost.
        let passed = now.as_microsecond() - bucket.at.as_microsecond();
        let gained = u64::try_from(passed)
            .unwrap_or(0)
            .saturating_mul(bucket.size.refill_milli);
        bucket.nano = bucket.nano.saturating_add(gained).min(full);
        bucket.at = bucket.at.max(now);
        match bucket.nano.checked_sub(TOKEN) {
            Some(rest) => {
                bucket.nano = rest;
                Ok(())
            }
            None => Err(ApiError::throttled()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request;
    use jiff::SignedDuration;

    #[test]
    fn delete_snapshot_has_a_burst_of_100_and_five_a_second() {
        let mut buckets = Buckets::default();
        let mut now: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
        let request = Request::DeleteSnapshot(request::DeleteSnapshot {
            id: "snap-1".into(),
        });
        let burst = |buckets: &mut Buckets, now| {
            (0..200)
                .take_while(|_| buckets.take(&request, now).is_ok())
                .count()
        };
        assert_eq!(burst(&mut buckets, now), 100);
        now += SignedDuration::from_secs(1);
        assert_eq!(burst(&mut buckets, now), 5);
        now += SignedDuration::from_hours(1);
        assert_eq!(burst(&mut buckets, now), 100);
    }

    #[test]
    fn calls_that_come_often_lose_nothing_of_the_refill() {
        let mut buckets = Buckets::default();
        let mut now: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
        let request = Request::DeleteSnapshot(request::DeleteSnapshot {
            id: "snap-1".into(),
        });
        let mut taken = usize::from(buckets.take(&request, now).is_ok());
        // Ten seconds in steps of 1.9 ms, which is no whole number of milliseconds.
        for _ in 0..5_264 {
            now += SignedDuration::from_micros(1_900);
            taken += usize::from(buckets.take(&request, now).is_ok());
        }
        assert_eq!(taken, 100 + 50);
    }

    #[test]
    fn each_kind_of_call_has_the_bucket_of_the_table() {
        let sizes = |request: Request| {
            let (_, size) = bucket_of(&request);
            (size.tokens, size.refill_milli / 1000)
        };
        for (request, expected) in [
            (Request::CopyImage(Default::default()), (100, 1)),
            (Request::CopySnapshot(Default::default()), (50, 5)),
            (
                Request::ModifySnapshotAttribute(Default::default()),
                (100, 5),
            ),
            (Request::ModifyImageAttribute(Default::default()), (100, 5)),
            (
                Request::DescribeSnapshotAttribute(Default::default()),
                (100, 20),
            ),
            (
                Request::DescribeImageAttribute(Default::default()),
                (100, 20),
            ),
            (
                Request::DescribeImageReferences(Default::default()),
                (100, 20),
            ),
            (
                Request::ListImagesInRecycleBin(Default::default()),
                (100, 20),
            ),
            (Request::LockSnapshot(Default::default()), (50, 5)),
            (
                Request::RestoreImageFromRecycleBin(Default::default()),
                (50, 5),
            ),
            (Request::EnableImageDeprecation(Default::default()), (50, 5)),
            (
                Request::DescribeSpotInstanceRequests(Default::default()),
                (50, 10),
            ),
            (Request::DescribeFleets(Default::default()), (100, 20)),
        ] {
            let operation = request.operation();
            assert_eq!(sizes(request), expected, "{operation}");
        }
    }

    #[test]
    fn an_unfiltered_listing_draws_from_a_smaller_bucket_of_its_own() {
        let now: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
        let mut buckets = Buckets::default();
        let bare = Request::DescribeSnapshots(request::DescribeSnapshots::default());
        let paged = Request::DescribeSnapshots(request::DescribeSnapshots {
            page: request::PageRequest {
                max_results: Some(5),
                next_token: None,
            },
            ..Default::default()
        });
        let count = |buckets: &mut Buckets, r: &Request| {
            (0..200)
                .take_while(|_| buckets.take(r, now).is_ok())
                .count()
        };
        assert_eq!(count(&mut buckets, &bare), 50);
        assert_eq!(count(&mut buckets, &paged), 100);
    }
}
