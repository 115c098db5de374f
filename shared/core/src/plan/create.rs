//! The calls that make a policy's backups, built from what it picks.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::artifact::{self, ArtifactKind, MAX_TAGS, Stamp};
use crate::id::{InstanceId, VolumeId};
use crate::inventory::{Image, Instance, InstanceType, MappingTarget, Tags, Volume, VolumeState};
use crate::lineage::{Edge, EdgeKind, Node, NodeState};
use crate::policy::selection::{self, PickedSet, PickedVolume};
use crate::policy::{GroupBy, Policy};
use crate::ports::{SetRequest, SnapshotRequest};
use crate::report::{Action, Item, Outcome, Reason, ReasonCode};

/// Most data volumes that one `CreateSnapshots` call can leave out
/// (`InstanceSpecification.ExcludeDataVolumeIds`, EC2 API Reference).
pub const MAX_EXCLUSIONS: usize = 40;

/// One call and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creation {
    /// What the call names: an instance or a volume.
    pub source: String,
    /// The call.
    pub call: Call,
    /// The tags by which its artifacts are found again.
    pub trace: Tags,
    /// The volumes it takes.
    pub volumes: Vec<VolumeId>,
    /// The source's tags that go into lineage because they do not fit on the artifact.
    pub leftover: BTreeMap<VolumeId, Tags>,
    /// Volumes and devices that the call does not cover, as lines of the report.
    pub notes: Vec<Item>,
}

/// A creating call of EC2's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// `CreateSnapshots` of one instance's volumes.
    Set(SetRequest),
    /// `CreateSnapshot` of one volume.
    Single(SnapshotRequest),
}

/// What the calls are made for.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// The slot.
    pub slot: Timestamp,
    /// The run.
    pub run: &'a str,
    /// The on-demand request, where it is one.
    pub request: Option<&'a str>,
}

impl Order<'_> {
    fn item(&self, resource: &str, outcome: Outcome, reason: Reason) -> Item {
        Item::new(Action::Create, resource, outcome)
            .policy(&self.policy.name)
            .slot(self.slot)
            .reason(reason)
    }

    fn description(&self, source: &str) -> String {
        format!("Holdfast {} {} of {source}", self.policy.name, self.slot)
    }

    fn unusable(&self, volume: &VolumeId, state: &VolumeState) -> Item {
        let reason = Reason::with(ReasonCode::VolumeState, format!("{volume} is {state}"));
        self.item(volume.as_str(), Outcome::Failed, reason)
            .source(volume.as_str())
    }

    fn stamp<'s>(&'s self, source: &'s str, group: Option<&'s str>) -> Stamp<'s> {
        Stamp {
            kind: ArtifactKind::Snapshot,
            policy: &self.policy.name,
            source,
            slot: self.slot,
            run: self.run,
            group,
        }
    }

    /// A request's artifacts carry its identifier as their run, and a scheduled slot of the same
    /// second is not theirs.
    fn trace(&self, stamp: &Stamp<'_>) -> Tags {
        let mut trace = stamp.trace();
        if let Some(request) = self.request {
            trace.insert(artifact::RUN.into(), request.into());
        }
        trace
    }

    fn group(&self, source_tags: &Tags) -> Option<String> {
        match &self.policy.group {
            GroupBy::Source => None,
            GroupBy::Policy => Some(self.policy.name.clone()),
            GroupBy::Tag(key) => source_tags.get(key).cloned(),
        }
    }

    /// The call for one instance's picked volumes.
    ///
    /// # Errors
    /// The lines of the report when no call can be made.
    pub fn set(
        &self,
        picked: &PickedSet,
        instance: &Instance,
        volumes: &BTreeMap<&VolumeId, &Volume>,
        devices: &[String],
    ) -> Result<Creation, Vec<Item>> {
        let source = picked.instance.as_str();
        let mut notes: Vec<Item> = picked
            .unusable
            .iter()
            .map(|(id, state)| self.unusable(id, state))
            .collect();
        if picked.volumes.is_empty() {
            return Err(notes);
        }
        let root = instance.root_volume();
        // What is not there at all cannot be excluded.
        let gone = selection::missing();
        let unusable = picked
            .unusable
            .iter()
            .filter(|(_, state)| *state != gone)
            .map(|(id, _)| id);
        let mut excluded: Vec<&VolumeId> = picked.not_picked.iter().chain(unusable).collect();
        excluded.sort();
        excluded.dedup();
        // The root volume may only be left out by its own switch (EC2 API Reference).
        let exclude_boot_volume =
            picked.boot_excluded || root.is_some_and(|root| excluded.contains(&root));
        excluded.retain(|id| Some(*id) != root);
        if excluded.len() > MAX_EXCLUSIONS {
            let detail = format!(
                "{} data volumes would have to be left out and one call leaves out at most \
                 {MAX_EXCLUSIONS}; none was taken",
                excluded.len()
            );
            let reason = Reason::with(ReasonCode::TooManyExclusions, detail);
            notes.push(self.item(source, Outcome::Failed, reason).source(source));
            return Err(notes);
        }
        for device in devices {
            let reason = Reason::with(
                ReasonCode::NotCovered,
                format!("{device} is instance store; no snapshot holds its data"),
            );
            notes.push(self.item(source, Outcome::Finding, reason).source(source));
        }

        let group = self.group(&instance.tags);
        let stamp = self.stamp(source, group.as_deref());
        let members: Vec<(&VolumeId, &Tags)> = picked
            .volumes
            .iter()
            .filter_map(|id| Some((id, &volumes.get(id)?.tags)))
            .collect();
        let (tags, copy_tags_from_volume, leftover) = set_tags(stamp.tags(), &members);
        Ok(Creation {
            source: source.to_owned(),
            call: Call::Set(SetRequest {
                instance: picked.instance.clone(),
                exclude_boot_volume,
                exclude_data_volumes: excluded.into_iter().cloned().collect(),
                description: self.description(source),
                tags,
                copy_tags_from_volume,
            }),
            trace: self.trace(&stamp),
            volumes: picked.volumes.clone(),
            leftover,
            notes,
        })
    }

    /// The call for one volume that is attached to nothing.
    ///
    /// # Errors
    /// The line of the report when the volume cannot be used.
    pub fn single(&self, picked: &PickedVolume, volume: &Volume) -> Result<Creation, Vec<Item>> {
        if let Some(state) = &picked.unusable {
            return Err(vec![self.unusable(&picked.volume, state)]);
        }
        let source = volume.id.as_str();
        let group = self.group(&volume.tags);
        let stamp = self.stamp(source, group.as_deref());
        let mut tags = stamp.tags();
        let mut left = Tags::new();
        for (key, value) in artifact::copied(&volume.tags) {
            let into = if tags.len() < MAX_TAGS {
                &mut tags
            } else {
                &mut left
            };
            into.insert(key.clone(), value.clone());
        }
        let mut leftover = BTreeMap::new();
        if !left.is_empty() {
            leftover.insert(volume.id.clone(), left);
        }
        Ok(Creation {
            source: source.to_owned(),
            call: Call::Single(SnapshotRequest {
                volume: volume.id.clone(),
                description: self.description(source),
                tags,
            }),
            trace: self.trace(&stamp),
            volumes: vec![volume.id.clone()],
            leftover,
            notes: Vec::new(),
        })
    }
}

/// Tags of a multi-volume call: EC2 copies each volume's own where that is safe, else the tags
/// common to all members go into the call and the rest into lineage.
fn set_tags(ours: Tags, members: &[(&VolumeId, &Tags)]) -> (Tags, bool, BTreeMap<VolumeId, Tags>) {
    let copying_is_safe = members.iter().all(|(_, tags)| {
        let theirs = tags.keys().filter(|key| !key.starts_with("aws:")).count();
        theirs + ours.len() <= MAX_TAGS && !tags.keys().any(|key| key.starts_with(artifact::PREFIX))
    });
    if copying_is_safe {
        return (ours, true, BTreeMap::new());
    }
    let mut tags = ours;
    if let Some((_, first)) = members.first() {
        for (key, value) in artifact::copied(first) {
            let common = members.iter().all(|(_, tags)| tags.get(key) == Some(value));
            if common && tags.len() < MAX_TAGS {
                tags.insert(key.clone(), value.clone());
            }
        }
    }
    let mut leftover = BTreeMap::new();
    for (id, theirs) in members {
        let rest: Tags = artifact::copied(theirs)
            .filter(|(key, _)| !tags.contains_key(*key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        if !rest.is_empty() {
            leftover.insert((*id).clone(), rest);
        }
    }
    (tags, false, leftover)
}

/// The instance-store devices of an instance, each as words for people.
///
/// An instance's own description lists EBS volumes only; classic instance-store disks show in the
/// mappings of its AMI, NVMe ones only in its type (EC2 User Guide, "Instance store").
#[must_use]
pub fn instance_store_devices(
    instance: &Instance,
    image: Option<&Image>,
    instance_type: Option<&InstanceType>,
) -> Vec<String> {
    let own = instance
        .devices
        .iter()
        .filter(|d| d.volume.is_none())
        .map(|d| d.name.clone());
    let mut devices: Vec<String> = own.collect();
    if let Some(kind) = instance_type.filter(|kind| kind.nvme) {
        let disks =
            (1..=kind.disks).map(|n| format!("NVMe disk {n} of {} ({})", kind.disks, kind.name));
        if devices.is_empty() {
            devices.extend(disks);
        }
        return devices;
    }
    // A type without such disks ignores the mappings.
    let limit = instance_type.map_or(usize::MAX, |kind| kind.disks as usize);
    let mapped = image
        .into_iter()
        .flat_map(|image| &image.mappings)
        .filter_map(|mapping| match &mapping.target {
            MappingTarget::InstanceStore(name) => Some((mapping.device.as_str(), name)),
            MappingTarget::Ebs(_) | MappingTarget::Other => None,
        });
    for (device, name) in mapped.take(limit) {
        if !devices.iter().any(|known| known == device) {
            devices.push(format!("{device} ({name})"));
        }
    }
    devices
}

/// The lineage of snapshots that a call made: nodes and edges, to be written before the ledger
/// says `created`.
#[must_use]
pub fn lineage(
    creation: &Creation,
    order: &Order<'_>,
    snapshots: &[crate::inventory::Snapshot],
    wall: Timestamp,
) -> (Vec<Node>, Vec<Edge>) {
    let mut nodes = Vec::new();
    let mut edges = Vec::new();
    let instance = InstanceId::parse(&creation.source);
    if let Some(instance) = &instance {
        nodes.push(Node::new(instance.as_str(), NodeState::Present, wall));
    }
    for snapshot in snapshots {
        let state = match snapshot.state {
            crate::inventory::SnapshotState::Completed => NodeState::Completed,
            crate::inventory::SnapshotState::Error => NodeState::Error,
            _ => NodeState::Pending,
        };
        let mut node = Node::new(snapshot.id.as_str(), state, wall);
        node.policy = Some(order.policy.name.clone());
        node.slot = Some(order.slot);
        node.run = snapshot
            .tags
            .get(artifact::RUN)
            .cloned()
            .or(Some(order.run.to_owned()));
        node.source = Some(creation.source.clone());
        node.time = snapshot.start;
        if let Some(volume) = &snapshot.volume {
            node.tags = creation.leftover.get(volume).cloned().unwrap_or_default();
            nodes.push(Node::new(volume.as_str(), NodeState::Present, wall));
            edges.push(Edge::new(
                snapshot.id.as_str(),
                EdgeKind::SnapshotOf,
                volume.as_str(),
            ));
            if let Some(instance) = &instance {
                edges.push(Edge::new(
                    volume.as_str(),
                    EdgeKind::AttachedTo,
                    instance.as_str(),
                ));
            }
        }
        nodes.push(node);
    }
    (nodes, edges)
}
