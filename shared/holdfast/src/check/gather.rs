//! Reading what a comparison needs: EC2's lists, and the records that they call for.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::id::{ImageId, InstanceId, SnapshotId, VolumeId};
use holdfast_core::inventory::{Image, Instance, Listing, Snapshot, Source, Volume};
use holdfast_core::lineage::SlotRecord;
use holdfast_core::plan::reconcile::{
    OwnDeletion, Recorded, Scope, Seen, SlotKey, Wanted, siblings, swept, unlisted, wanted,
};
use holdfast_core::ports::records::{DeletionState, Records, TableError, TableErrorKind};
use holdfast_core::ports::{CallError, ImageScope, InstanceScope, ReadEc2, SnapshotScope};
use holdfast_core::report::{Action, Item, Outcome, Reason, ReasonCode};
use jiff::Timestamp;

/// Records that cannot be read before the run as a whole is given up: then it is not a few
/// damaged ones, but a table that another version keeps.
const UNREADABLE_AT_MOST: usize = 20;

/// EC2's lists.
#[derive(Debug)]
pub(super) struct Lists {
    snapshots: Listing<Snapshot>,
    named: Listing<Snapshot>,
    images: Listing<Image>,
    instances: Option<Listing<Instance>>,
    volumes: Option<Listing<Volume>>,
    account: Option<String>,
}

impl Lists {
    /// Everything that the lineage is about, at once.
    pub(super) async fn all<E: ReadEc2>(ec2: &E, account: Option<&str>) -> Self {
        let (snapshots, images, instances, volumes) = tokio::join!(
            ec2.snapshots(&SnapshotScope::Managed),
            ec2.images(&ImageScope::Own),
            ec2.instances(&InstanceScope::All),
            ec2.volumes(),
        );
        // Asked for with `self` as the owner: an owner that all of them name is EC2's own word.
        let owners: BTreeSet<&str> = snapshots
            .items
            .iter()
            .filter_map(|snapshot| snapshot.owner.as_deref())
            .chain(images.items.iter().filter_map(|i| i.owner.as_deref()))
            .collect();
        let owner = match owners.first() {
            Some(owner) if owners.len() == 1 => Some((*owner).to_owned()),
            _ => account.map(str::to_owned),
        };
        Self {
            snapshots,
            named: none(),
            images,
            instances: Some(instances),
            volumes: Some(volumes),
            account: owner,
        }
    }

    /// What an event named.
    pub(super) async fn of<E: ReadEc2>(
        ec2: &E,
        ids: &BTreeSet<String>,
        account: Option<&str>,
    ) -> Self {
        let snapshots: Vec<SnapshotId> = ids.iter().filter_map(|i| SnapshotId::parse(i)).collect();
        let images: Vec<ImageId> = ids.iter().filter_map(|id| ImageId::parse(id)).collect();
        let (snapshots, images) = (SnapshotScope::Ids(snapshots), ImageScope::Ids(images));
        let (snapshots, images) = tokio::join!(ec2.snapshots(&snapshots), ec2.images(&images));
        Self {
            snapshots,
            named: none(),
            images,
            instances: None,
            volumes: None,
            account: account.map(str::to_owned),
        }
    }

    pub(super) fn seen(&self) -> Seen<'_> {
        Seen {
            snapshots: &self.snapshots,
            named: &self.named,
            images: &self.images,
            instances: self.instances.as_ref(),
            volumes: self.volumes.as_ref(),
            account: self.account.as_deref(),
        }
    }

    /// The error of a run that could not read anything at all: no credentials, no EC2.
    pub(super) fn nothing_read(&self) -> Option<&CallError> {
        let pages = self.snapshots.pages
            + self.images.pages
            + self.instances.as_ref().map_or(0, |list| list.pages)
            + self.volumes.as_ref().map_or(0, |list| list.pages);
        let error = self.snapshots.error.as_ref().or(self.images.error.as_ref());
        error.filter(|_| pages == 0)
    }

    /// Asks once more for what a complete list lacks: AMIs that are on record, by their
    /// identifiers, and sources that an earlier reconcile missed, before this one confirms it.
    /// Snapshots are asked for by name in any case.
    async fn look_again<E: ReadEc2>(&mut self, ec2: &E, recorded: &Recorded) {
        if self.images.is_complete() {
            let listed: BTreeSet<&str> = self.images.items.iter().map(|i| i.id.as_str()).collect();
            let missed = recorded.roster.keys().filter_map(|id| ImageId::parse(id));
            let missed: Vec<ImageId> = missed.filter(|id| !listed.contains(id.as_str())).collect();
            if !missed.is_empty() {
                let again = ec2.images(&ImageScope::Ids(missed)).await;
                self.images.items.extend(again.items);
                self.images.error = again.error;
            }
        }
        let unconfirmed = recorded.absences.iter();
        let unconfirmed: BTreeSet<&str> = unconfirmed
            .filter(|(_, absence)| absence.confirmed.is_none())
            .map(|(id, _)| id.as_str())
            .collect();
        if let Some(list) = self.instances.as_mut().filter(|list| list.is_complete()) {
            let listed: BTreeSet<&str> = list.items.iter().map(|i| i.id.as_str()).collect();
            let missed = unconfirmed.iter().filter_map(|id| InstanceId::parse(id));
            let missed: Vec<InstanceId> =
                missed.filter(|id| !listed.contains(id.as_str())).collect();
            if !missed.is_empty() {
                let again = ec2.instances(&InstanceScope::Ids(missed)).await;
                list.items.extend(again.items);
                list.error = again.error;
            }
        }
        if let Some(list) = self.volumes.as_mut().filter(|list| list.is_complete()) {
            let listed: BTreeSet<&str> = list.items.iter().map(|v| v.id.as_str()).collect();
            let mut missed = unconfirmed.iter().filter_map(|id| VolumeId::parse(id));
            if missed.any(|id| !listed.contains(id.as_str())) {
                let again = ec2.volumes().await;
                let new = |volume: &Volume| !listed.contains(volume.id.as_str());
                let new: Vec<Volume> = again.items.into_iter().filter(new).collect();
                list.items.extend(new);
                list.error = again.error;
            }
        }
    }

    /// Lists further snapshots by their identifiers.
    pub(super) async fn name<E: ReadEc2>(&mut self, ec2: &E, ids: BTreeSet<SnapshotId>) {
        if ids.is_empty() {
            return;
        }
        let scope = SnapshotScope::Ids(ids.into_iter().collect());
        let more = ec2.snapshots(&scope).await;
        self.named.items.extend(more.items);
        self.named.pages += more.pages;
        self.named.error = self.named.error.take().or(more.error);
    }
}

fn none() -> Listing<Snapshot> {
    Listing {
        pages: 0,
        ..Listing::complete(Source::Snapshots, Vec::new(), Timestamp::now())
    }
}

/// What is on record, and a failed item for each record that could not be read.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub recorded: Recorded,
    pub failed: Vec<Item>,
}

/// Reads the records that the lists call for, and the snapshots that the records call for.
///
/// # Errors
/// The table's, where it is more than a few records.
pub(super) async fn known<E: ReadEc2, R: Records>(
    ec2: &E,
    records: &R,
    lists: &mut Lists,
    scope: Scope<'_>,
    now: Timestamp,
) -> Result<Known, TableError> {
    let mut known = Known::default();
    match scope {
        Scope::All { .. } => {
            known.recorded.roster = records.roster().await?;
            known.recorded.absences = records.absences().await?;
        }
        // Reading the roster of a large account for each of a night's events would be far more
        // work than the events are.
        Scope::Artifacts(ids) => {
            known.nodes(records, ids).await?;
            let standing = known.recorded.nodes.values();
            known.recorded.roster = standing
                .filter(|node| !node.state.is_over())
                .map(|node| (node.id.clone(), node.state))
                .collect();
        }
    }
    if matches!(scope, Scope::All { .. }) {
        lists.look_again(ec2, &known.recorded).await;
    }
    let ids = unlisted(&lists.seen(), &known.recorded.roster, scope);
    lists.name(ec2, ids).await;
    let wanted = wanted(&lists.seen(), &known.recorded, scope, now);
    known.read(records, &wanted).await?;
    known.slots(records, &swept(&known.recorded)).await?;
    let ids = siblings(&lists.seen(), &known.recorded.slots);
    lists.name(ec2, ids).await;
    Ok(known)
}

impl Known {
    async fn read<R: Records>(&mut self, records: &R, wanted: &Wanted) -> Result<(), TableError> {
        let nodes = wanted.nodes.iter();
        let unread = |id: &&String| !self.recorded.nodes.contains_key(*id);
        let nodes = nodes.filter(unread).cloned().collect();
        self.nodes(records, &nodes).await?;

        let edges: Vec<_> = wanted.edges.iter().cloned().collect();
        let (parts, failed) = around(&edges, async |part| records.edges(part).await).await?;
        self.recorded.edges = parts.into_iter().flatten().collect();
        for (edge, error) in failed {
            // Written again, it is refused by the record that stands there.
            self.failed.push(unreadable(&edge.from, &error));
            self.recorded.edges.insert(edge);
        }

        let deletions: Vec<String> = wanted.deletions.iter().cloned().collect();
        let read = async |part: &[String]| records.deletions(part).await;
        let (parts, failed) = around(&deletions, read).await?;
        let parts = parts.into_iter().flatten();
        for (id, (deletion, state)) in parts {
            // A backup that counted has `good`, and a snapshot that went with an AMI names that.
            let failed = !deletion.good && deletion.image.is_none();
            if failed && state != DeletionState::Refused {
                self.recorded.swept_failures.insert(id.clone());
            }
            let own = OwnDeletion::of(&deletion, state);
            self.recorded.deletions.insert(id, own);
        }
        for (id, error) in failed {
            self.failed.push(unreadable(&id, &error));
            self.recorded.unreadable.insert(id);
        }
        self.slots(records, &wanted.slots).await
    }

    async fn nodes<R: Records>(
        &mut self,
        records: &R,
        ids: &BTreeSet<String>,
    ) -> Result<(), TableError> {
        let ids: Vec<String> = ids.iter().cloned().collect();
        let (parts, failed) = around(&ids, async |part| records.nodes(part).await).await?;
        self.recorded.nodes.extend(parts.into_iter().flatten());
        for (id, error) in failed {
            self.failed.push(unreadable(&id, &error));
            self.recorded.unreadable.insert(id);
        }
        Ok(())
    }

    async fn slots<R: Records>(
        &mut self,
        records: &R,
        wanted: &BTreeSet<SlotKey>,
    ) -> Result<(), TableError> {
        let mut groups: BTreeMap<(&str, Timestamp, Option<&str>), Vec<String>> = BTreeMap::new();
        for key in wanted {
            let group = (key.policy.as_str(), key.slot, key.request.as_deref());
            groups.entry(group).or_default().push(key.source.clone());
        }
        for ((policy, slot, request), sources) in groups {
            let read = async |part: &[String]| records.slots(policy, slot, request, part).await;
            let (parts, failed) = around(&sources, read).await?;
            let read = parts.into_iter().flat_map(BTreeMap::into_values);
            let keyed = read.map(|record: SlotRecord| (SlotKey::of(&record), record));
            self.recorded.slots.extend(keyed);
            for (source, error) in failed {
                self.failed
                    .push(unreadable(&source, &error).policy(policy).slot(slot));
                self.recorded.unreadable_slots.insert(SlotKey {
                    policy: policy.to_owned(),
                    slot,
                    source,
                    request: request.map(str::to_owned),
                });
            }
        }
        Ok(())
    }
}

fn unreadable(id: &str, error: &TableError) -> Item {
    Item::new(Action::Record, id, Outcome::Failed)
        .reason(Reason::with(ReasonCode::TableFailed, error.to_string()))
}

/// Reads records around those that cannot be read, which would hide all others of their batch.
async fn around<K: Clone, T>(
    keys: &[K],
    read: impl AsyncFn(&[K]) -> Result<T, TableError>,
) -> Result<(Vec<T>, Vec<(K, TableError)>), TableError> {
    let mut parts = Vec::new();
    let mut failed = Vec::new();
    let mut left = vec![keys];
    while let Some(part) = left.pop() {
        if part.is_empty() {
            continue;
        }
        match read(part).await {
            Ok(found) => parts.push(found),
            Err(error) if error.kind != TableErrorKind::Unreadable => return Err(error),
            Err(error) => match part {
                [key] if failed.len() < UNREADABLE_AT_MOST => failed.push((key.clone(), error)),
                [_] => return Err(error),
                _ => {
                    let (one, other) = part.split_at(part.len() / 2);
                    left.extend([one, other]);
                }
            },
        }
    }
    Ok((parts, failed))
}
