//! A lease held over a run, renewed as it goes.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use holdfast_core::ports::records::{Acquired, Lease, Records, TableError, TableErrorKind};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

/// With less than this left, a lease is renewed before the next use.
const RENEW_BELOW: SignedDuration = SignedDuration::from_secs(40);

/// How often a lease is looked after while work goes on that needs no call of its own.
const RENEW_EVERY: Duration = Duration::from_secs(15);

/// A lease and the means to renew it.
///
/// EC2 checks no fencing token, so a mutating call is only sent while the lease outlasts the
/// call's own time-out.
#[derive(Debug)]
pub struct Held<'a, R: Records> {
    records: &'a R,
    lease: Mutex<Lease>,
}

impl<'a, R: Records> Held<'a, R> {
    /// Takes a lease; the time until which another holds it otherwise.
    ///
    /// # Errors
    /// The table's.
    pub async fn take(
        records: &'a R,
        name: &str,
        holder: &str,
    ) -> Result<Result<Self, Timestamp>, TableError> {
        match records.acquire(name, holder, Timestamp::now()).await? {
            Acquired::Held(lease) => Ok(Ok(Self {
                records,
                lease: Mutex::new(lease),
            })),
            Acquired::Busy { until } => Ok(Err(until)),
        }
    }

    /// The lease, good for at least `needed` from now on.
    ///
    /// # Errors
    /// [`TableErrorKind::Fenced`] when another has taken it; the table's own.
    pub async fn good_for(&self, needed: SignedDuration) -> Result<Lease, TableError> {
        let mut lease = self.lease.lock().await;
        let wall = Timestamp::now();
        if lease.expires.duration_since(wall) < needed.max(RENEW_BELOW) {
            *lease = self.records.renew(&lease, wall).await?;
            // The answer may have been long in coming, or the process frozen meanwhile.
            if lease.expires.duration_since(Timestamp::now()) < needed {
                return Err(TableError {
                    operation: "UpdateItem",
                    table: "Holdfast's".into(),
                    record: lease.name.clone(),
                    kind: TableErrorKind::Fenced,
                    message: "renewing the lease took longer than the lease lasts".into(),
                });
            }
        }
        Ok(lease.clone())
    }

    /// Does `work` and keeps the lease from running out meanwhile, as far as the table answers.
    ///
    /// A renewal that fails is not reported here: [`Self::good_for`] tells before the next call.
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        // Both are polled side by side: work that holds the lease's lock must be able to go on
        // while a renewal waits for it.
        tokio::select! {
            biased;
            done = Box::pin(work) => done,
            never = self.renew_for_ever() => match never {},
        }
    }

    async fn renew_for_ever(&self) -> Infallible {
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            if let Err(error) = self.good_for(RENEW_BELOW).await {
                tracing::warn!("the lease was not renewed: {error}");
            }
        }
    }

    /// The lease as it is, for writes that its fencing token protects.
    pub async fn token(&self) -> Lease {
        self.lease.lock().await.clone()
    }

    /// Gives the lease back. Where that fails it runs out by itself, within a minute.
    pub async fn release(self) {
        if let Err(error) = self.records.release(&self.lease.into_inner()).await {
            tracing::warn!("the lease was not given back: {error}");
        }
    }
}
