//! Reading the lists that a sweep decides on.

use std::collections::BTreeSet;
use std::future::Future;

use holdfast_core::artifact;
use holdfast_core::id::SnapshotId;
use holdfast_core::inventory::table::{ImageTable, SnapshotTable};
use holdfast_core::inventory::{Inventory, Reading, Source};
use holdfast_core::policy::{EvidenceSource, PolicyFile};
use holdfast_core::ports::{ImageScope, InstanceScope, ReadEc2, SnapshotScope};
use holdfast_core::report::{Action, Item, Outcome, Reason, ReasonCode};

/// Reads them all, at once but for what only the others tell to ask for. What every policy declares
/// not in use is not read.
pub async fn read<E: ReadEc2>(ec2: &E, policies: &PolicyFile) -> Inventory {
    let (snapshots, pending, images, instances, volumes, locks) = (
        ec2.snapshot_table(&SnapshotScope::Managed),
        ec2.snapshots(&SnapshotScope::Pending),
        ec2.image_table(&ImageScope::Own),
        ec2.instances(&InstanceScope::All),
        ec2.volumes(),
        ec2.locks(),
    );
    let wanted = |source| {
        let mut policies = policies.policies.iter();
        policies.any(|policy| !policy.evidence_not_used.contains(&source))
    };
    let templates = when(
        wanted(EvidenceSource::LaunchTemplates),
        ec2.launch_template_versions(),
    );
    let launch_configurations = when(
        wanted(EvidenceSource::LaunchConfigurations),
        ec2.launch_configurations(),
    );
    let auto_scaling = when(
        wanted(EvidenceSource::AutoScaling),
        ec2.auto_scaling_groups(),
    );
    let fleets = when(wanted(EvidenceSource::Fleets), ec2.fleets());
    let fast_restores = when(wanted(EvidenceSource::FastRestore), ec2.fast_restores());
    let recycle_bin = when(wanted(EvidenceSource::RecycleBin), ec2.recycle_bin());
    let (snapshots, pending, images, instances, volumes, locks) =
        tokio::join!(snapshots, pending, images, instances, volumes, locks);
    let (templates, launch_configurations, auto_scaling, fleets, fast_restores, recycle_bin) = tokio::join!(
        templates,
        launch_configurations,
        auto_scaling,
        fleets,
        fast_restores,
        recycle_bin
    );
    let mut instances = instances;
    for instance in &mut instances.items {
        // No verdict needs it, and thousands of them would take room.
        instance.launch = None;
    }
    let rest = SnapshotScope::Ids(unlisted(&images.items, &snapshots.items));
    let mapped = ec2.snapshots(&rest).await;
    Inventory {
        snapshots,
        mapped,
        pending,
        images,
        instances,
        volumes,
        templates,
        launch_configurations,
        auto_scaling,
        fleets,
        fast_restores,
        recycle_bin,
        locks,
    }
}

async fn when<T>(wanted: bool, list: impl Future<Output = T>) -> Option<T> {
    if wanted { Some(list.await) } else { None }
}

/// A failed item for each source that was not read to its end.
#[must_use]
pub fn unread(inventory: &Inventory) -> Vec<Item> {
    unread_of(&inventory.readings())
}

/// The same, of readings.
pub(super) fn unread_of(readings: &[Reading]) -> Vec<Item> {
    let mut told: BTreeSet<Source> = BTreeSet::new();
    let mut items = Vec::new();
    for reading in readings {
        let Some(error) = &reading.error else {
            continue;
        };
        if !told.insert(reading.source) {
            continue;
        }
        let detail = format!("{error}; what it could protect is held");
        let reason = Reason::with(ReasonCode::EvidenceIncomplete, detail);
        let item = Item::new(Action::Check, reading.source.as_str(), Outcome::Failed);
        items.push(item.reason(reason));
    }
    items
}

/// What managed images map and the list of managed snapshots lacks.
fn unlisted(images: &ImageTable, snapshots: &SnapshotTable) -> Vec<SnapshotId> {
    let listed = snapshots.index();
    let managed = |row: &usize| images.tag(*row, artifact::MANAGED) == Some("true");
    let mapped = (0..images.len())
        .filter(managed)
        .flat_map(|row| images.snapshots(row));
    let missing: BTreeSet<SnapshotId> = mapped.filter(|id| listed.find(id).is_none()).collect();
    missing.into_iter().collect()
}
