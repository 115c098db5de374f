//! One volume from one snapshot.

use holdfast_core::id::{SnapshotId, VolumeId};
use holdfast_core::plan::judge::COPY_PLACEHOLDER;
use holdfast_core::plan::restore::{
    VolumeGround, VolumeWish, newest_snapshot, plan_volume, usable_snapshot,
};
use holdfast_core::ports::records::Records;
use holdfast_core::ports::restore::{StoredScope, Wanted};
use holdfast_core::report::{Reason, ReasonCode, whole_second};
use jiff::Timestamp;

use super::gather::{Reads, absent, doubtful, keys, mark, nodes, whole};
use super::{Plan, Prospect};
use crate::error::RunError;

/// Which snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VolumeFrom {
    /// This one.
    Snapshot(SnapshotId),
    /// The newest good one of a volume that is not after a time.
    Newest(VolumeId, Timestamp),
}

/// What restoring a volume would come to; changes nothing.
///
/// # Errors
/// [`RunError::Inventory`]: EC2 could not be read to the end.
pub async fn volume<E: Reads, R: Records>(
    ec2: &E,
    records: &R,
    from: &VolumeFrom,
    wish: &VolumeWish,
) -> Result<Prospect, RunError> {
    let scope = match from {
        VolumeFrom::Snapshot(id) => StoredScope::Ids(vec![id.clone()]),
        VolumeFrom::Newest(id, _) => StoredScope::OfVolume(id.clone()),
    };
    let all = whole(ec2.stored(&scope).await)?;
    let keys = keys(ec2, &all).await;
    let (stored, passed) = match from {
        VolumeFrom::Snapshot(id) => {
            let Some(stored) = all.first() else {
                return Ok(Prospect::refuse(
                    id.as_str(),
                    absent(ec2, id.as_str()).await,
                ));
            };
            if let Err(reason) = usable_snapshot(stored, &keys) {
                return Ok(Prospect::refuse(id.as_str(), reason));
            }
            (stored, Vec::new())
        }
        VolumeFrom::Newest(id, at) => match newest_snapshot(&all, *at, &keys) {
            Ok(found) => found,
            Err(passed) => {
                return Ok(Prospect {
                    passed,
                    ..Prospect::refuse(id.as_str(), nothing("snapshot of it", *at, ""))
                });
            }
        },
    };
    let snapshot = &stored.snapshot;
    let mut doubts = doubtful(&keys);
    let id = snapshot.id.to_string();
    let recorded = nodes(records, std::slice::from_ref(&id), &mut doubts).await;
    let source = snapshot.volume.iter();
    let source: Vec<VolumeId> = source
        .filter(|volume| volume.as_str() != COPY_PLACEHOLDER)
        .cloned()
        .collect();
    let disks = whole(ec2.disks(&Wanted::Ids(source)).await)?;
    let hosts = wish.attach.iter().map(|target| target.instance.clone());
    let hosts = whole(ec2.machines(&Wanted::Ids(hosts.collect())).await)?;
    let made = mark(&wish.token("volume", &id));
    let made = whole(ec2.disks(&Wanted::Tagged(made)).await)?;
    let planned = plan_volume(&VolumeGround {
        kind: "volume",
        stored,
        node: recorded.get(&id),
        disk: disks.first(),
        zone: None,
        host: hosts.first(),
        made: &made,
        wish,
    });
    Ok(match planned {
        Ok(plan) => Prospect {
            plans: vec![Plan::Volume(plan)],
            passed,
            doubts,
            ..Prospect::default()
        },
        Err(reason) => Prospect {
            passed,
            ..Prospect::refuse(id, reason)
        },
    })
}

/// There is no backup of this kind to restore, and perhaps one of another.
pub(super) fn nothing(what: &str, at: Timestamp, instead: &str) -> Reason {
    let at = whole_second(at);
    let words = format!(
        "holdfast has no good {what} from {at} or before in this account and Region{instead}"
    );
    Reason::with(ReasonCode::NoBackup, words)
}
