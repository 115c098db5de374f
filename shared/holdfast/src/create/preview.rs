//! What a heartbeat now would create, changing nothing.

use std::collections::BTreeMap;

use holdfast_core::id::VolumeId;
use holdfast_core::inventory::Volume;
use holdfast_core::lineage::ledger::{self, Move};
use holdfast_core::plan::create::Order;
use holdfast_core::plan::due::{self, Due};
use holdfast_core::policy::{PolicyFile, Protect};
use holdfast_core::ports::records::Records;
use holdfast_core::ports::{InstanceScope, ReadEc2};
use holdfast_core::report::Item;
use jiff::Timestamp;

use super::job::{Job, Wanted, creation, planned};
use super::pick::sources;
use super::{Fleet, devices, function_of, missed, whole};
use crate::error::RunError;

/// The items that heartbeats of the creating functions at `now` would make, as `planned`.
///
/// # Errors
/// [`RunError`]: the lists or the ledger could not be read.
pub async fn preview<E: ReadEc2, R: Records>(
    ec2: &E,
    records: &R,
    policies: &PolicyFile,
    now: Timestamp,
) -> Result<Vec<Item>, RunError> {
    let mut due_now = Vec::new();
    for protect in [Protect::Volumes, Protect::Instances] {
        let begun = records.begun(function_of(protect)).await?;
        due_now.extend(due::due(policies, protect, &begun, now));
    }
    if due_now.is_empty() {
        return Ok(Vec::new());
    }
    let (instances, volumes) = tokio::join!(ec2.instances(&InstanceScope::All), ec2.volumes());
    let fleet = Fleet {
        instances: whole(instances)?,
        volumes: whole(volumes)?,
    };
    let mut items = Vec::new();
    for slot in due_now {
        items.extend(missed(&slot));
        items.extend(of_slot(ec2, records, &slot, &fleet).await?);
    }
    Ok(items)
}

async fn of_slot<E: ReadEc2, R: Records>(
    ec2: &E,
    records: &R,
    slot: &Due<'_>,
    fleet: &Fleet,
) -> Result<Vec<Item>, RunError> {
    let volumes: BTreeMap<&VolumeId, &Volume> = fleet.volumes.iter().map(|v| (&v.id, v)).collect();
    let job = Job {
        policy: &slot.policy,
        slot: slot.slot,
        run: "preview",
        wanted: Wanted::All,
        scheduled: true,
        request: None,
        trigger: None,
        look_only: false,
    };
    let order = Order {
        policy: &slot.policy,
        slot: slot.slot,
        run: job.run,
        request: None,
    };
    let (picked, _) = job.pick(fleet);
    let sources = sources(&picked);
    let ids: Vec<String> = sources.iter().map(|s| s.id().to_owned()).collect();
    let policy = &slot.policy.name;
    let known = records.slots(policy, slot.slot, None, &ids).await?;
    let devices = devices::instance_store(ec2, fleet, sources.iter()).await;
    let mut items = Vec::new();
    for source in &sources {
        let record = known.get(source.id());
        if ledger::slot_move(record, Timestamp::now()) == Move::Nothing {
            continue;
        }
        match creation(&order, source, fleet, &volumes, &devices, record) {
            Ok(creation) => items.extend(planned(&job, &creation)),
            Err(refused) => items.extend(refused.items),
        }
    }
    Ok(items)
}
