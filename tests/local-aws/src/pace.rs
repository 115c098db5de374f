//! How fast a door answers, and by which clock the account behind it lives.

use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use holdfast_sim::SharedAccount;
use jiff::SignedDuration;

use crate::query::lock;

/// What moves the account's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clock {
    /// Only whoever holds the account.
    #[default]
    Virtual,
    /// The machine's clock as well, from where the account's stands when the local AWS starts: token
    /// buckets refill while a benchmark runs.
    Machine,
}

/// How the doors of EC2 and Auto Scaling answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// What passes before a call is carried out; calls wait side by side.
    pub latency: Duration,
    /// The account's clock.
    pub clock: Clock,
}

/// The router of a door, at this pace.
pub(crate) fn paced(router: Router, account: &SharedAccount, pace: Pace) -> Router {
    if pace == Pace::default() {
        return router;
    }
    let begin = (Instant::now(), lock(account).now());
    let account = SharedAccount::clone(account);
    router.layer(from_fn(move |request: Request, next: Next| {
        let account = SharedAccount::clone(&account);
        async move {
            if !pace.latency.is_zero() {
                tokio::time::sleep(pace.latency).await;
            }
            if pace.clock == Clock::Machine {
                let passed = SignedDuration::try_from(begin.0.elapsed());
                let now = passed.ok().and_then(|p| begin.1.checked_add(p).ok());
                if let Some(now) = now {
                    lock(&account).advance_to(now);
                }
            }
            next.run(request).await
        }
    }))
}
