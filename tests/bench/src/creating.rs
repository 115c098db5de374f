//! One heartbeat of the release binary of `create-snapshots`, under EC2's token buckets.

use std::path::{Path, PathBuf};
use std::time::Duration;

use holdfast_local_aws::lambda::{Function, Invocation};
use holdfast_local_aws::local::{LocalAws, Options};
use holdfast_local_aws::pace::{Clock, Pace};
use holdfast_sim::{InstanceSeed, Settings, VolumeSeed};
use jiff::Timestamp;
use serde_json::json;

use crate::BenchError;

/// Machines, each of which is one set.
pub const SETS: usize = 1000;
/// Lambda's longest time for an invocation (AWS Lambda quotas).
const TIMEOUT: Duration = Duration::from_secs(900);

const POLICIES: &str = "
version: 1
policies:
  - name: nightly
    protect: volumes
    select: { instances: { tags: { Backup: nightly } } }
    schedule: rate(1 day)
    retain: { daily: 7 }
";

/// What one run took.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    /// From the first to the last call that creates.
    pub took: Duration,
    /// Calls that create.
    pub calls: usize,
    /// Those that EC2 refused for their rate.
    pub throttled: usize,
}

/// What the bucket itself allows: 100 calls at once, then 5 a second (EC2 Developer Guide, "Request
/// throttling").
#[must_use]
pub fn limit() -> Duration {
    Duration::from_secs(SETS.saturating_sub(100) as u64 / 5)
}

fn wrong(what: String) -> BenchError {
    BenchError::Wrong {
        who: "create-snapshots",
        what,
    }
}

/// Makes a set of each machine.
///
/// # Errors
/// The local AWS or the binary cannot be had, or not every set was made.
pub async fn run(binary: &Path, folder: &Path) -> Result<Made, BenchError> {
    let policies: PathBuf = folder.join("creating.yaml");
    std::fs::write(&policies, POLICIES).map_err(BenchError::io(policies.display().to_string()))?;
    let local = LocalAws::start(Options {
        settings: Settings {
            throttling: true,
            start: Timestamp::now(),
            ..Settings::default()
        },
        seed: Some(Box::new(|account| {
            for _ in 0..SETS {
                let volume = account.seed_volume(VolumeSeed::default());
                account.seed_instance(InstanceSeed {
                    devices: vec![("/dev/xvda".to_owned(), volume)],
                    tags: [("Backup".to_owned(), "nightly".to_owned())].into(),
                    ..InstanceSeed::default()
                });
            }
        })),
        policies,
        pace: Pace {
            clock: Clock::Machine,
            ..Pace::default()
        },
        ..Options::default()
    })
    .await
    .map_err(|error| wrong(error.to_string()))?;
    let mut config = local
        .function_config_with("create-snapshots", binary.to_owned())
        .map_err(|error| wrong(error.to_string()))?;
    config.timeout = TIMEOUT;
    let function = Function::start(config)?;
    let heartbeat = json!({
        "version": "0", "id": "7f1d2c3b-0000-4000-8000-000000000000",
        "detail-type": "Scheduled Event", "source": "aws.events",
        "account": local.account_id, "time": Timestamp::now().to_string(),
        "region": local.region, "resources": [], "detail": {},
    });
    let outcome = function.invoke(&heartbeat).await?;
    let Invocation::Ok(report) = outcome else {
        return Err(wrong(format!("{outcome:?}")));
    };
    if report["summary"]["created"] != SETS {
        return Err(wrong(format!("the report counts {}", report["summary"])));
    }
    let account = match local.account.lock() {
        Ok(account) => account,
        Err(poisoned) => poisoned.into_inner(),
    };
    let creating = |call: &&holdfast_sim::CallRecord| call.operation == "CreateSnapshots";
    let times: Vec<Timestamp> = account
        .calls()
        .iter()
        .filter(creating)
        .map(|c| c.time)
        .collect();
    let tally = account
        .call_tally()
        .remove("CreateSnapshots")
        .unwrap_or_default();
    let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else {
        return Err(wrong("it made no call".to_owned()));
    };
    Ok(Made {
        took: Duration::try_from(last.duration_since(*first)).unwrap_or_default(),
        calls: tally.calls,
        throttled: tally.throttled,
    })
}
