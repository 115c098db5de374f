//! Coverage: reading what it is judged from.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use holdfast_core::plan::coverage::{Coverage, Facts, coverage as judge, keys};
use holdfast_core::plan::reconcile::{Scope, Seen, unlisted, unread};
use holdfast_core::policy::PolicyFile;
use holdfast_core::ports::ReadEc2;
use holdfast_core::report::Item;
use jiff::Timestamp;

use super::gather::Lists;
use crate::error::RunError;

/// Keys asked about at once. KMS shares one quota of requests among all of its callers (KMS
/// Developer Guide, "Request quotas").
const AT_ONCE: usize = 4;

/// How everything stands, and a failed item for each list that ended early.
#[derive(Clone, Debug)]
pub struct Stands {
    /// The coverage.
    pub coverage: Coverage,
    /// What was not read.
    pub unread: Vec<Item>,
}

/// Reads EC2 and judges whether what the policies promise at `now` exists. `account` is one's own,
/// where known.
///
/// # Errors
/// [`RunError::Inventory`]: nothing at all could be read.
pub async fn coverage<E: ReadEc2>(
    ec2: &E,
    policies: &PolicyFile,
    account: Option<&str>,
    now: Timestamp,
) -> Result<Stands, RunError> {
    let mut lists = Lists::all(ec2, account).await;
    if let Some(error) = lists.nothing_read() {
        return Err(RunError::Inventory(error.clone()));
    }
    // What an AMI maps may have lost its tags.
    let scope = Scope::All { late: false };
    let mapped = unlisted(&lists.seen(), &BTreeMap::new(), scope);
    lists.name(ec2, mapped).await;
    let seen = lists.seen();
    Ok(Stands {
        coverage: coverage_of(ec2, &seen, policies, now).await,
        unread: unread(&seen),
    })
}

/// The coverage of what is listed already, for whoever has read the lists for another purpose; only
/// KMS is asked, for the state of the keys.
pub async fn coverage_of<E: ReadEc2>(
    ec2: &E,
    seen: &Seen<'_>,
    policies: &PolicyFile,
    now: Timestamp,
) -> Coverage {
    let states = stream::iter(keys(seen, policies))
        .map(async |key| {
            let state = ec2.key_state(&key).await;
            (key, state)
        })
        .buffer_unordered(AT_ONCE);
    judge(&Facts {
        seen,
        policies,
        keys: &states.collect().await,
        now,
    })
}
