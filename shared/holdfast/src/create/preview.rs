//! What a heartbeat now would create, changing nothing.

use std::collections::BTreeMap;

use holdfast_core::id::VolumeId;
use holdfast_core::inventory::Volume;
use holdfast_core::lineage::ledger::{self, Move};
use holdfast_core::plan::create::Order;
use holdfast_core::plan::due;
use holdfast_core::policy::{PolicyFile, Protect};
use holdfast_core::ports::records::Records;
use holdfast_core::ports::{InstanceScope, ReadEc2};
use holdfast_core::report::Item;
use jiff::Timestamp;

use super::job::{Job, Wanted, creation, planned, sources};
use super::{FUNCTION, Fleet, devices, missed, whole};
use crate::error::RunError;

/// The items that a heartbeat of create-snapshots at `now` would make, as `planned`.
///
/// # Errors
/// [`RunError`]: the lists or the ledger could not be read.
pub async fn preview<E: ReadEc2, R: Records>(
    ec2: &E,
    records: &R,
    policies: &PolicyFile,
    now: Timestamp,
) -> Result<Vec<Item>, RunError> {
    let begun = records.begun(FUNCTION).await?;
    let due = due::due(policies, Protect::Volumes, &begun, now);
    if due.is_empty() {
        return Ok(Vec::new());
    }
    let (instances, volumes) = tokio::join!(ec2.instances(&InstanceScope::All), ec2.volumes());
    let fleet = Fleet {
        instances: whole(instances)?,
        volumes: whole(volumes)?,
    };
    let by_id: BTreeMap<&VolumeId, &Volume> = fleet.volumes.iter().map(|v| (&v.id, v)).collect();
    let mut items = Vec::new();
    for slot in due {
        items.extend(missed(&slot));
        let job = Job {
            policy: slot.policy,
            slot: slot.slot,
            run: "preview",
            wanted: Wanted::All,
            scheduled: true,
            request: None,
            look_only: false,
        };
        let (picked, _) = job.pick(&fleet);
        let sources = sources(&picked);
        let ids: Vec<String> = sources
            .iter()
            .map(|source| source.id().to_owned())
            .collect();
        let known = records
            .slots(&slot.policy.name, slot.slot, None, &ids)
            .await?;
        let order = Order {
            policy: slot.policy,
            slot: slot.slot,
            run: job.run,
            request: None,
        };
        let devices = devices::instance_store(ec2, &fleet, sources.iter()).await;
        for source in &sources {
            if ledger::next_move(known.get(source.id()), Timestamp::now()) == Move::Nothing {
                continue;
            }
            match creation(&order, source, &fleet, &by_id, &devices) {
                Ok(creation) => items.extend(planned(&job, &creation)),
                Err(refused) => items.extend(refused),
            }
        }
    }
    Ok(items)
}
