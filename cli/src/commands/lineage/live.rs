//! What EC2 itself tells of a neighbourhood.

use std::collections::{BTreeMap, BTreeSet};

use holdfast::id::{ImageId, SnapshotId};
use holdfast::inventory::{Image, Listing, Snapshot, Source};
use holdfast::lineage::{Edge, EdgeKind, NodeKind};
use holdfast::ports::{CallError, ImageScope, InstanceScope, ReadEc2, SnapshotScope};

use super::graph::Known;

/// EC2 gives this volume identifier to copies (`CopySnapshot`, EC2 API Reference).
const COPY_PLACEHOLDER: &str = "vol-ffffffff";

/// Reads EC2, whole lists at most once.
#[derive(Debug)]
pub struct Live<'a, E> {
    ec2: &'a E,
    whole: BTreeSet<Source>,
    errors: BTreeMap<Source, CallError>,
}

impl<'a, E: ReadEc2> Live<'a, E> {
    /// Nothing read yet.
    pub fn new(ec2: &'a E) -> Self {
        Self {
            ec2,
            whole: BTreeSet::new(),
            errors: BTreeMap::new(),
        }
    }

    /// The lists that were not read to their end.
    #[must_use]
    pub fn errors(&self) -> &BTreeMap<Source, CallError> {
        &self.errors
    }

    /// Adds what EC2 knows of these resources.
    pub async fn ask(&mut self, ids: &[String], known: &mut Known) {
        let snapshots: Vec<SnapshotId> =
            ids.iter().filter_map(|id| SnapshotId::parse(id)).collect();
        let images: Vec<ImageId> = ids.iter().filter_map(|id| ImageId::parse(id)).collect();
        let kinds: BTreeSet<NodeKind> = ids.iter().map(|id| NodeKind::of(id)).collect();
        if !snapshots.is_empty() {
            self.snapshots(snapshots, known).await;
        }
        if !images.is_empty() {
            let list = self.ec2.images(&ImageScope::Ids(images.clone())).await;
            if list.is_complete() {
                let listed: BTreeSet<&ImageId> = list.items.iter().map(|i| &i.id).collect();
                let missing = images.iter().filter(|id| !listed.contains(id));
                missing.for_each(|id| known.miss(id.as_str()));
            }
            self.images(list, known);
        }
        if kinds.contains(&NodeKind::Instance) || kinds.contains(&NodeKind::Image) {
            self.instances(known).await;
        }
        if kinds.contains(&NodeKind::Volume) || kinds.contains(&NodeKind::Instance) {
            self.volumes(known).await;
        }
    }

    /// Adds all that EC2 lists of one's own.
    pub async fn ask_all(&mut self, known: &mut Known) {
        let (snapshots, images) = tokio::join!(
            self.ec2.snapshots(&SnapshotScope::All),
            self.ec2.images(&ImageScope::Own),
        );
        for snapshot in &snapshots.items {
            snapshot_facts(snapshot, known);
        }
        self.note_error(&snapshots);
        self.images(images, known);
        self.instances(known).await;
        self.volumes(known).await;
    }

    async fn snapshots(&mut self, ids: Vec<SnapshotId>, known: &mut Known) {
        let (list, images) = (
            SnapshotScope::Ids(ids.clone()),
            ImageScope::MappingAny(ids.clone()),
        );
        let (list, images) = tokio::join!(self.ec2.snapshots(&list), self.ec2.images(&images));
        for snapshot in &list.items {
            snapshot_facts(snapshot, known);
        }
        if list.is_complete() {
            let listed: BTreeSet<&SnapshotId> = list.items.iter().map(|s| &s.id).collect();
            let missing = ids.iter().filter(|id| !listed.contains(id));
            missing.for_each(|id| known.miss(id.as_str()));
        }
        self.note_error(&list);
        self.images(images, known);
    }

    fn images(&mut self, list: Listing<Image>, known: &mut Known) {
        for image in &list.items {
            image_facts(image, known);
        }
        self.note_error(&list);
    }

    async fn instances(&mut self, known: &mut Known) {
        if !self.whole.insert(Source::Instances) {
            return;
        }
        let list = self.ec2.instances(&InstanceScope::All).await;
        for instance in &list.items {
            let id = instance.id.as_str();
            known.see(id, instance.state.as_str());
            if let Some(image) = &instance.image {
                known.relate(Edge::new(id, EdgeKind::LaunchedFrom, image.as_str()));
            }
            for volume in instance.devices.iter().filter_map(|d| d.volume.as_ref()) {
                known.relate(Edge::new(volume.as_str(), EdgeKind::AttachedTo, id));
            }
        }
        self.note_error(&list);
    }

    async fn volumes(&mut self, known: &mut Known) {
        if !self.whole.insert(Source::Volumes) {
            return;
        }
        let list = self.ec2.volumes().await;
        for volume in &list.items {
            let id = volume.id.as_str();
            known.see(id, volume.state.as_str());
            for attachment in &volume.attachments {
                let instance = attachment.instance.as_str();
                known.relate(Edge::new(id, EdgeKind::AttachedTo, instance));
            }
        }
        self.note_error(&list);
    }

    fn note_error<T>(&mut self, list: &Listing<T>) {
        if let Some(error) = &list.error {
            self.errors
                .entry(list.source)
                .or_insert_with(|| error.clone());
        }
    }
}

fn snapshot_facts(snapshot: &Snapshot, known: &mut Known) {
    let id = snapshot.id.as_str();
    known.see(id, snapshot.state.as_str());
    let volume = snapshot.volume.as_ref().map(AsRef::as_ref);
    if let Some(volume) = volume.filter(|volume| *volume != COPY_PLACEHOLDER) {
        known.relate(Edge::new(id, EdgeKind::SnapshotOf, volume));
    }
}

fn image_facts(image: &Image, known: &mut Known) {
    let id = image.id.as_str();
    known.see(id, image.state.as_str());
    for snapshot in image.snapshots() {
        known.relate(Edge::new(id, EdgeKind::BackedBy, snapshot.as_str()));
    }
    if let Some(instance) = &image.source_instance {
        known.relate(Edge::new(id, EdgeKind::ImageOf, instance.as_str()));
    }
}
