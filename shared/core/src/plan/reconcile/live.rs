//! What EC2 shows, by identifier, and which of it is Holdfast's.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::{COPY_PLACEHOLDER, Scope, Seen};
use crate::artifact::{Artifact, ArtifactKind, MANAGED};
use crate::inventory::{Image, ImageState, MappingTarget, Snapshot, SnapshotState};
use crate::lineage::{Node, NodeState};
use crate::report::{Action, Item, Outcome};

/// An artifact as EC2 describes it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Described<'a> {
    Snapshot(&'a Snapshot),
    Image(&'a Image),
}

/// One of Holdfast's artifacts.
#[derive(Debug)]
pub(super) struct Ours<'a> {
    pub artifact: Artifact,
    pub described: Described<'a>,
    /// What goes on record; none for a state that says nothing about it.
    pub state: Option<NodeState>,
}

/// The account by identifiers.
pub(super) struct Live<'a> {
    pub seen: Seen<'a>,
    pub snapshots: BTreeMap<&'a str, &'a Snapshot>,
    /// Without those that are deregistered and still listed.
    pub images: BTreeMap<&'a str, &'a Image>,
    pub ours: BTreeMap<&'a str, Ours<'a>>,
    mapped: BTreeMap<&'a str, Vec<&'a Image>>,
    /// Listed AMIs of Holdfast's by what their tags have in common with their snapshots'.
    kin: HashMap<Kin, bool>,
}

type Kin = (String, Option<String>, Option<Timestamp>, Option<String>);

fn kin(artifact: &Artifact) -> Kin {
    (
        artifact.policy.clone(),
        artifact.source.clone(),
        artifact.slot,
        artifact.run.clone(),
    )
}

impl<'a> Live<'a> {
    pub(super) fn new(seen: Seen<'a>) -> Self {
        let listed = seen.snapshots.items.iter().chain(&seen.named.items);
        let snapshots: BTreeMap<&str, &Snapshot> = listed.map(|s| (s.id.as_str(), s)).collect();
        let images: BTreeMap<&str, &Image> = seen
            .images
            .items
            .iter()
            .filter(|image| image.state != ImageState::Deregistered)
            .map(|image| (image.id.as_str(), image))
            .collect();
        let mut live = Self {
            seen,
            mapped: BTreeMap::new(),
            snapshots,
            images,
            ours: BTreeMap::new(),
            kin: HashMap::new(),
        };
        for image in live.images.values() {
            for id in image.snapshots() {
                live.mapped.entry(id.as_str()).or_default().push(image);
            }
        }
        let mut ours = BTreeMap::new();
        for (id, snapshot) in &live.snapshots {
            let owner = snapshot.owner.as_deref();
            let Ok(artifact) = Artifact::read(&snapshot.tags, owner, seen.account) else {
                continue;
            };
            if artifact.kind == ArtifactKind::Image {
                continue;
            }
            ours.insert(
                *id,
                Ours {
                    artifact,
                    described: Described::Snapshot(snapshot),
                    state: state_of(snapshot),
                },
            );
        }
        for (id, image) in &live.images {
            let owner = image.owner.as_deref();
            let Ok(artifact) = Artifact::read(&image.tags, owner, seen.account) else {
                continue;
            };
            if artifact.kind != ArtifactKind::Image {
                continue;
            }
            let pending = image.state == ImageState::Pending;
            *live.kin.entry(kin(&artifact)).or_default() |= pending;
            let state = live.image_state(image);
            ours.insert(
                *id,
                Ours {
                    artifact,
                    described: Described::Image(image),
                    state,
                },
            );
        }
        live.ours = ours;
        live
    }

    /// Whether a snapshot that is not among [`Self::snapshots`] certainly does not exist.
    pub(super) fn knows_all_snapshots(&self) -> bool {
        self.seen.snapshots.is_complete() && self.seen.named.is_complete()
    }

    /// An AMI's state for the record.
    ///
    /// It is usable when its snapshots are; until they are known to be, it counts as being made,
    /// so that `available` on record means that they and the edges to them are on record too.
    fn image_state(&self, image: &Image) -> Option<NodeState> {
        match image.state {
            ImageState::Pending => Some(NodeState::Pending),
            ImageState::Failed | ImageState::Error => Some(NodeState::Error),
            ImageState::Available | ImageState::Disabled => {
                let known = |id: &str| match self.snapshots.get(id) {
                    Some(snapshot) => snapshot.state != SnapshotState::Pending,
                    None => self.knows_all_snapshots(),
                };
                let settled = image.snapshots().all(|id| known(id.as_str()));
                Some(if settled {
                    NodeState::Available
                } else {
                    NodeState::Pending
                })
            }
            ImageState::Deregistered
            | ImageState::Invalid
            | ImageState::Transient
            | ImageState::Unknown(_) => None,
        }
    }

    /// Whether an AMI is a good backup: usable, with all of its snapshots there and completed.
    pub(super) fn is_whole(&self, image: &Image) -> bool {
        let completed = |id: &str| {
            let found = self.snapshots.get(id);
            found.is_some_and(|s| s.state == SnapshotState::Completed)
        };
        matches!(image.state, ImageState::Available | ImageState::Disabled)
            && has_evidence(image)
            && image.snapshots().all(|id| completed(id.as_str()))
    }

    /// Those of Holdfast's artifacts that are compared, by identifier.
    pub(super) fn compared(&self, scope: Scope<'a>) -> impl Iterator<Item = (&'a str, &Ours<'a>)> {
        let within = move |id: &str| match scope {
            Scope::All { .. } => true,
            Scope::Artifacts(ids) => ids.contains(id),
        };
        let ours = self.ours.iter().map(|(id, ours)| (*id, ours));
        ours.filter(move |(id, _)| within(id))
    }

    /// Whether a backing snapshot's AMI is listed, or may be listed soon: a pending one may not
    /// show its snapshots yet (`aws-sdk-ec2` does not say).
    pub(super) fn has_image(&self, id: &str, artifact: &Artifact) -> bool {
        self.mapped.contains_key(id) || self.may_be_listed_soon(artifact)
    }

    /// Whether that is an AMI of one's own: a managed one, or the one that it was made with.
    pub(super) fn has_own_image(&self, id: &str, artifact: &Artifact) -> bool {
        let own = |image: &&Image| {
            image.tags.get(MANAGED).map(String::as_str) == Some("true")
                || image.is_made_of(artifact.source.as_deref())
        };
        let mut over = self.mapped.get(id).into_iter().flatten().copied();
        over.any(|image| own(&image)) || self.may_be_listed_soon(artifact)
    }

    fn may_be_listed_soon(&self, artifact: &Artifact) -> bool {
        self.kin.get(&kin(artifact)) == Some(&true)
    }
}

/// Whether an AMI's mapping names a snapshot for each of its EBS devices, and one at least.
pub(in crate::plan) fn has_evidence(image: &Image) -> bool {
    let nameless = image
        .mappings
        .iter()
        .any(|mapping| mapping.target == MappingTarget::Ebs(None));
    !nameless && image.snapshots().next().is_some()
}

/// A snapshot's state for the record.
pub(super) fn state_of(snapshot: &Snapshot) -> Option<NodeState> {
    match snapshot.state {
        SnapshotState::Pending => Some(NodeState::Pending),
        SnapshotState::Completed => Some(NodeState::Completed),
        SnapshotState::Error => Some(NodeState::Error),
        SnapshotState::Recoverable | SnapshotState::Recovering | SnapshotState::Unknown(_) => None,
    }
}

/// The volume that a snapshot was taken of; none for a copy.
pub(in crate::plan) fn volume_of(snapshot: &Snapshot) -> Option<&str> {
    let volume = snapshot.volume.as_ref()?.as_str();
    (volume != COPY_PLACEHOLDER).then_some(volume)
}

impl<'a> Ours<'a> {
    pub(super) fn image(&self) -> Option<&'a Image> {
        match self.described {
            Described::Image(image) => Some(image),
            Described::Snapshot(_) => None,
        }
    }

    /// The point in time that it holds.
    pub(super) fn time(&self) -> Option<Timestamp> {
        match self.described {
            Described::Snapshot(snapshot) => snapshot.start,
            Described::Image(image) => image.created,
        }
    }

    /// The volume of a snapshot, the instance of an AMI.
    pub(super) fn source(&self) -> Option<&str> {
        match self.described {
            Described::Snapshot(snapshot) => volume_of(snapshot),
            Described::Image(image) => {
                let instance = image.source_instance.as_ref().map(|id| id.as_str());
                let named = self.artifact.source.as_deref();
                instance.or(named.filter(|source| source.starts_with("i-")))
            }
        }
    }

    /// EC2's words on its failure.
    pub(super) fn words(&self) -> &str {
        let words = match self.described {
            Described::Snapshot(snapshot) => snapshot.state_message.as_deref(),
            Described::Image(image) => image.state_reason.as_deref(),
        };
        words
            .filter(|text| !text.is_empty())
            .unwrap_or("EC2 failed it and gave no reason")
    }

    /// Its node in this state.
    pub(super) fn node(&self, id: &str, state: NodeState, wall: Timestamp) -> Node {
        Node {
            policy: Some(self.artifact.policy.clone()),
            slot: self.artifact.slot,
            run: self.artifact.run.clone(),
            source: self.artifact.source.clone(),
            time: self.time(),
            ..Node::new(id, state, wall)
        }
    }

    /// A line of the report about it.
    pub(super) fn item(&self, action: Action, id: &str, outcome: Outcome) -> Item {
        Item {
            policy: Some(self.artifact.policy.clone()),
            source: self.source().map(str::to_owned),
            time: self.time(),
            slot: self.artifact.slot,
            ..Item::new(action, id, outcome)
        }
    }
}
