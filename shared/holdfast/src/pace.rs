//! Pacing of calls by EC2's documented token buckets.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// How much longer the next call waits for each refusal.
const PAUSE: Duration = Duration::from_secs(1);
/// How long refusals let the next call wait at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// One API's token bucket, assumed full at the start.
///
/// Buckets are per account, Region and API: 100 tokens and 5 a second each for `CreateSnapshot`,
/// `CreateSnapshots`, `DeleteSnapshot` and `DeregisterImage` (EC2 Developer Guide, "Request
/// throttling").
#[derive(Debug)]
pub struct Pace {
    per_second: f64,
    capacity: f64,
    state: Mutex<(f64, Instant)>,
}

impl Pace {
    /// The bucket of the snapshot calls.
    #[must_use]
    pub fn snapshots() -> Self {
        Self::new(100.0, 5.0)
    }

    /// The bucket of `CreateImage`: that of the mutating calls without one of their own.
    #[must_use]
    pub fn create_image() -> Self {
        Self::new(50.0, 5.0)
    }

    /// The bucket of `DeregisterImage`.
    #[must_use]
    pub fn deregister_image() -> Self {
        Self::new(100.0, 5.0)
    }

    /// The bucket of a reading call that is filtered or paged.
    #[must_use]
    pub fn reads() -> Self {
        Self::new(100.0, 20.0)
    }

    /// A full bucket.
    #[must_use]
    pub fn new(capacity: f64, per_second: f64) -> Self {
        Self {
            per_second,
            capacity,
            state: Mutex::new((capacity, Instant::now())),
        }
    }

    /// Waits until a call fits into the bucket.
    pub async fn turn(&self) {
        let wait = self.reserve(Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Waits until a call fits into the bucket, if that is by `end`; whether it did. Without waiting
    /// where it is not, and without taking anything.
    pub async fn turn_by(&self, end: Option<Instant>) -> bool {
        let now = Instant::now();
        let room = end.map(|end| end.saturating_duration_since(now));
        let Some(wait) = self.reserve_within(now, room) else {
            return false;
        };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        true
    }

    /// Tells that EC2 refused a call for which there should have been room: somebody else draws
    /// from the same bucket, or it began emptier. What is thought to be in it is forgotten, and the
    /// next calls wait.
    pub fn surprised(&self) {
        self.empty(Instant::now());
    }

    fn empty(&self, now: Instant) {
        let mut state = match self.state.lock() {
            Ok(state) => state,
            Err(poisoned) => poisoned.into_inner(),
        };
        // Those who wait already keep their turns; of several refusals at once each adds a pause,
        // up to the longest.
        let (tokens, at) = *state;
        let pause = self.per_second * PAUSE.as_secs_f64();
        let longest = self.per_second * LONGEST_PAUSE.as_secs_f64();
        *state = ((tokens.min(0.0) - pause).max(-longest), now.max(at));
    }

    fn reserve(&self, now: Instant) -> Duration {
        self.reserve_within(now, None).unwrap_or_default()
    }

    /// How long to wait for the next token; `None`, and nothing is taken, where that is longer than
    /// `room`.
    fn reserve_within(&self, now: Instant, room: Option<Duration>) -> Option<Duration> {
        let mut state = match self.state.lock() {
            Ok(state) => state,
            Err(poisoned) => poisoned.into_inner(),
        };
        let (tokens, at) = *state;
        let gained = now.saturating_duration_since(at).as_secs_f64() * self.per_second;
        // A negative balance is the queue of those who wait.
        let left = (tokens + gained).min(self.capacity) - 1.0;
        let wait = Duration::try_from_secs_f64(-left / self.per_second).unwrap_or_default();
        if room.is_some_and(|room| wait > room) {
            return None;
        }
        *state = (left, now.max(at));
        Some(wait)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use holdfast_core::id::InstanceId;
    use holdfast_sim::request::{CreateImage, CreateSnapshots, Request};
    use holdfast_sim::{Account, InstanceSeed, Settings, VolumeSeed};
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn a_full_bucket_lets_its_capacity_through_at_once_and_then_its_rate() {
        let pace = Pace::new(3.0, 5.0);
        let now = Instant::now();
        let waits: Vec<u128> = (0..5).map(|_| pace.reserve(now).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 200, 400]);
        let later = now + Duration::from_secs(2);
        assert_eq!(pace.reserve(later).as_millis(), 0);
    }

    #[test]
    fn a_turn_that_would_come_too_late_takes_nothing() {
        let pace = Pace::new(1.0, 5.0);
        let now = Instant::now();
        let room = |ms| Some(Duration::from_millis(ms));
        assert_eq!(pace.reserve_within(now, room(0)), room(0));
        assert_eq!(pace.reserve_within(now, room(199)), None);
        assert_eq!(pace.reserve_within(now, room(200)), room(200));
        assert_eq!(pace.reserve_within(now, room(399)), None);
    }

    /// How long a thousand calls take to be sent, each of which arrives when its turn comes. The
    /// buckets of the simulated account are EC2's documented ones, and none of the calls is refused.
    fn paced(pace: &Pace, call: impl Fn(&InstanceId) -> Request) -> Duration {
        let mut account = Account::new(Settings {
            throttling: true,
            ..Settings::default()
        });
        let (start, begun) = (account.now(), Instant::now());
        let instances: Vec<_> = (0..1000)
            .map(|_| {
                let volume = account.seed_volume(VolumeSeed::default());
                account.seed_instance(InstanceSeed {
                    devices: vec![("/dev/xvda".to_owned(), volume)],
                    ..InstanceSeed::default()
                })
            })
            .collect();
        let mut passed = Duration::ZERO;
        for instance in instances {
            passed += pace.reserve(begun + passed);
            // It takes a millisecond to arrive.
            let arrives =
                SignedDuration::try_from(passed).unwrap() + SignedDuration::from_millis(1);
            account.advance_to(start + arrives);
            let made = account.call(&call(&instance));
            assert!(made.is_ok(), "after {passed:?}: {made:?}");
        }
        passed
    }

    #[test]
    fn a_thousand_sets_come_within_a_tenth_of_the_buckets_limit_and_none_is_refused() {
        let passed = paced(&Pace::snapshots(), |instance| {
            Request::CreateSnapshots(CreateSnapshots {
                instance: instance.to_string(),
                ..CreateSnapshots::default()
            })
        });
        // 100 at once and then five a second.
        let limit = Duration::from_secs(180);
        assert!(passed >= limit - Duration::from_secs(1), "{passed:?}");
        assert!(passed <= limit * 11 / 10, "{passed:?}");
    }

    #[test]
    fn a_thousand_amis_come_within_a_tenth_of_the_buckets_limit_and_none_is_refused() {
        let passed = paced(&Pace::create_image(), |instance| {
            Request::CreateImage(CreateImage {
                instance: instance.to_string(),
                name: format!("ami of {instance}"),
                ..CreateImage::default()
            })
        });
        // 50 at once and then five a second.
        let limit = Duration::from_secs(190);
        assert!(passed >= limit - Duration::from_secs(1), "{passed:?}");
        assert!(passed <= limit * 11 / 10, "{passed:?}");
    }

    #[test]
    fn a_refusal_empties_the_bucket_and_lets_the_next_calls_wait_but_not_for_ever() {
        let pace = Pace::new(100.0, 5.0);
        let now = Instant::now();
        pace.empty(now);
        assert_eq!(pace.reserve(now).as_millis(), 1_200);
        for _ in 0..100 {
            pace.empty(now);
        }
        assert_eq!(pace.reserve(now).as_millis(), 10_200);
    }
}
