//! Reading what plans rest on.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::artifact::RESTORE;
use holdfast_core::inventory::{Listing, Tags};
use holdfast_core::lineage::Node;
use holdfast_core::plan::restore::{Keys, binned};
use holdfast_core::ports::records::Records;
use holdfast_core::ports::restore::{RestoreEc2, Stored};
use holdfast_core::ports::{CallError, ErrorClass, ReadEc2};
use holdfast_core::report::{Reason, ReasonCode};

use crate::error::RunError;

/// The items of a list that was read to its end: what was not read could be newer, or be what an
/// earlier run of the same command made.
pub(super) fn whole<T>(list: Listing<T>) -> Result<Vec<T>, RunError> {
    match list.error {
        None => Ok(list.items),
        Some(error) => Err(RunError::Inventory(error)),
    }
}

/// The states of the keys of these snapshots.
pub(super) async fn keys<E: ReadEc2>(ec2: &E, stored: &[Stored]) -> Keys {
    let arns: BTreeSet<&String> = stored.iter().filter_map(|s| s.kms_key.as_ref()).collect();
    let mut keys = Keys::new();
    for arn in arns {
        keys.insert(arn.clone(), ec2.key_state(arn).await);
    }
    keys
}

/// Says of keys whose state could not be read that nobody knows.
pub(super) fn doubtful(keys: &Keys) -> Vec<Reason> {
    let unread = keys.iter().filter_map(|(key, state)| {
        let error = state.as_ref().err()?;
        let words = format!(
            "whether the key {key} can be used is not known: {error}; allow kms:DescribeKey on it"
        );
        Some(Reason::with(ReasonCode::EvidenceIncomplete, words))
    });
    unread.collect()
}

/// What the lineage tells of backups. A restore goes on without it: at worst, less is known of what
/// the backup is worth.
pub(super) async fn nodes<R: Records>(
    records: &R,
    ids: &[String],
    doubts: &mut Vec<Reason>,
) -> BTreeMap<String, Node> {
    match records.nodes(ids).await {
        Ok(nodes) => nodes,
        Err(error) => {
            let words = format!("the lineage could not be read: {error}");
            doubts.push(Reason::with(ReasonCode::TableFailed, words));
            BTreeMap::new()
        }
    }
}

/// Why something that was named is not listed.
pub(super) async fn absent<E: ReadEc2>(ec2: &E, id: &str) -> Reason {
    // A bin that cannot be read hides nothing that could be restored from here.
    binned(id, &ec2.recycle_bin().await.items)
}

/// The tag by which an earlier run's work is found.
pub(super) fn mark(token: &str) -> Tags {
    Tags::from([(RESTORE.to_owned(), token.to_owned())])
}

/// Whether EC2 said that what was named does not exist.
pub(super) fn is_missing(error: &CallError) -> bool {
    error.class == ErrorClass::NotFound
}

/// EC2 as a restore needs it.
pub trait Reads: ReadEc2 + RestoreEc2 {}

impl<E: ReadEc2 + RestoreEc2> Reads for E {}
