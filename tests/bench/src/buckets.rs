//! EC2's token buckets for the calls that delete.

use std::collections::HashMap;
use std::time::Instant;

/// Tokens of a full bucket, of `DeleteSnapshot` and of `DeregisterImage` each (EC2 Developer Guide,
/// "Request throttling").
pub(crate) const BURST: f64 = 100.0;
/// What comes back in a second (same source).
pub(crate) const PER_SECOND: f64 = 5.0;

/// One bucket for each operation, full at first.
#[derive(Debug, Default)]
pub(crate) struct Buckets(HashMap<String, (f64, Instant)>);

impl Buckets {
    /// Takes a token, if there is one.
    pub(crate) fn take(&mut self, operation: &str, now: Instant) -> bool {
        let (tokens, at) = self.0.entry(operation.to_owned()).or_insert((BURST, now));
        let gained = now.saturating_duration_since(*at).as_secs_f64() * PER_SECOND;
        *tokens = (*tokens + gained).min(BURST);
        *at = now;
        let granted = *tokens >= 1.0;
        if granted {
            *tokens -= 1.0;
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_grants_its_burst_and_then_its_rate() {
        let mut buckets = Buckets::default();
        let now = Instant::now();
        let granted = (0..120)
            .filter(|_| buckets.take("DeleteSnapshot", now))
            .count();
        assert_eq!(granted, 100);
        assert!(buckets.take("DeregisterImage", now));
        let later = now + Duration::from_secs(2);
        let granted = (0..120)
            .filter(|_| buckets.take("DeleteSnapshot", later))
            .count();
        assert_eq!(granted, 10);
    }
}
