//! All the lists that a sweep decides on, together.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::table::{ImageTable, SnapshotTable};
use super::{
    Binned, FastRestore, Instance, InstanceState, LaunchTemplateVersion, List, Listing, Reading,
    Referrer, Snapshot, SnapshotLock, Source, Tags, Volume, VolumeState,
};
use crate::artifact;
use crate::ports::CallError;

/// The lists, each to its last page or marked. An optional one is `None` where every policy
/// declares its source not in use.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// Managed snapshots.
    pub snapshots: List<SnapshotTable>,
    /// Snapshots of one's own that managed images map and that the list of managed ones lacks:
    /// somebody took their tags off.
    pub mapped: Listing<Snapshot>,
    /// Snapshots of one's own in the making, whoever makes them: copies are among them.
    pub pending: Listing<Snapshot>,
    /// One's own images, disabled and deprecated ones included.
    pub images: List<ImageTable>,
    /// Instances in any state.
    pub instances: Listing<Instance>,
    /// Volumes in any state.
    pub volumes: Listing<Volume>,
    /// Launch-template versions, all of them.
    pub templates: Option<Listing<LaunchTemplateVersion>>,
    /// Launch configurations.
    pub launch_configurations: Option<Listing<Referrer>>,
    /// Auto Scaling groups.
    pub auto_scaling: Option<Listing<Referrer>>,
    /// EC2 Fleets, Spot Fleets and Spot requests.
    pub fleets: Option<Listing<Referrer>>,
    /// Fast snapshot restores.
    pub fast_restores: Option<Listing<FastRestore>>,
    /// AMIs and snapshots in the Recycle Bin.
    pub recycle_bin: Option<Listing<Binned>>,
    /// Locked snapshots. EC2 itself refuses to delete these, so a list that could not be read
    /// holds nothing.
    pub locks: Listing<SnapshotLock>,
}

impl Inventory {
    /// An account in which there is nothing, read completely at `read_at`.
    #[must_use]
    pub fn empty(read_at: Timestamp) -> Self {
        fn none<T>(source: Source, read_at: Timestamp) -> Listing<T> {
            Listing::complete(source, Vec::new(), read_at)
        }
        Self {
            snapshots: List::complete(Source::Snapshots, SnapshotTable::default(), read_at),
            mapped: none(Source::Snapshots, read_at),
            pending: none(Source::Snapshots, read_at),
            images: List::complete(Source::Images, ImageTable::default(), read_at),
            instances: none(Source::Instances, read_at),
            volumes: none(Source::Volumes, read_at),
            templates: Some(none(Source::LaunchTemplates, read_at)),
            launch_configurations: Some(none(Source::LaunchConfigurations, read_at)),
            auto_scaling: Some(none(Source::AutoScaling, read_at)),
            fleets: Some(none(Source::Fleets, read_at)),
            fast_restores: Some(none(Source::FastRestore, read_at)),
            recycle_bin: Some(none(Source::RecycleBin, read_at)),
            locks: none(Source::Locks, read_at),
        }
    }

    /// How each list was read; the three of snapshots apart.
    #[must_use]
    pub fn readings(&self) -> Vec<Reading> {
        let always = [
            self.snapshots.reading(),
            self.mapped.reading(),
            self.pending.reading(),
            self.images.reading(),
            self.instances.reading(),
            self.volumes.reading(),
            self.locks.reading(),
        ];
        let declarable = [
            self.templates.as_ref().map(Listing::reading),
            self.launch_configurations.as_ref().map(Listing::reading),
            self.auto_scaling.as_ref().map(Listing::reading),
            self.fleets.as_ref().map(Listing::reading),
            self.fast_restores.as_ref().map(Listing::reading),
            self.recycle_bin.as_ref().map(Listing::reading),
        ];
        let declarable = declarable.into_iter().flatten();
        always.into_iter().chain(declarable).collect()
    }

    /// The error of a run that could not read anything at all: no credentials, no EC2.
    #[must_use]
    pub fn nothing_read(&self) -> Option<&CallError> {
        let pages: u32 = self.readings().iter().map(|reading| reading.pages).sum();
        self.snapshots.error.as_ref().filter(|_| pages == 0)
    }

    /// One's own account.
    ///
    /// The lists were asked for with `self` as the owner, so an owner that all of them name is
    /// EC2's own word for it. Only where they disagree does the caller's word decide.
    #[must_use]
    pub fn own_account<'a>(&'a self, told: Option<&'a str>) -> Option<&'a str> {
        let owners: BTreeSet<&str> = self
            .snapshots
            .items
            .owners()
            .chain(self.images.items.owners())
            .collect();
        match owners.iter().next() {
            Some(owner) if owners.len() == 1 => Some(owner),
            None => told,
            // Lists of one's own that name several owners, and nobody to say which is one's own:
            // then nothing is.
            Some(_) => told.or(Some("unknown")),
        }
    }

    /// Sources that are listed, and whether each is pinned now.
    ///
    /// `None` for those on their way out: EC2 takes the tags off a terminated instance while it is
    /// still listed, so a missing pin says nothing there. Nor does it in a state that Holdfast does
    /// not know.
    #[must_use]
    pub fn listed_pins(&self) -> BTreeMap<&str, Option<bool>> {
        let pinned = |tags: &Tags, dying: bool| match tags.contains_key(artifact::PIN) {
            true => Some(true),
            false if dying => None,
            false => Some(false),
        };
        let volumes = self.volumes.items.iter().map(|volume| {
            let dying = matches!(
                volume.state,
                VolumeState::Deleting | VolumeState::Deleted | VolumeState::Unknown(_)
            );
            (volume.id.as_str(), pinned(&volume.tags, dying))
        });
        let instances = self.instances.items.iter().map(|instance| {
            let dying = matches!(
                instance.state,
                InstanceState::ShuttingDown | InstanceState::Terminated | InstanceState::Unknown(_)
            );
            (instance.id.as_str(), pinned(&instance.tags, dying))
        });
        volumes.chain(instances).collect()
    }
}
