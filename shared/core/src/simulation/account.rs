//! The backups of a simulated account, and the lists that a sweep would read of them.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::class::Class;
use crate::artifact::{ArtifactKind, Stamp, image_name};
use crate::id::{ImageId, InstanceId, SnapshotId, VolumeId};
use crate::inventory::table::blank;
use crate::inventory::{
    Image, ImageMapping, ImageState, Inventory, MappingTarget, Snapshot, SnapshotState,
};
use crate::report::ReasonCode;

/// The owner of everything.
const OWNER: &str = "simulated";

/// How long a backup is pending: what the simulated account of the tests takes for an AMI. Real
/// ones take as long as their blocks do; a longer time delays retirements and changes no choice.
pub(super) const PENDING: SignedDuration = SignedDuration::from_mins(2);

/// A snapshot, or an AMI with the one that backs it.
#[derive(Clone, Debug)]
enum Artifact {
    Snapshot(Box<Snapshot>),
    Image(Box<(Image, Snapshot)>),
}

/// One backup of the first member of a class.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    artifact: Artifact,
    /// The place of the class.
    pub(super) class: usize,
    /// The place of the part.
    pub(super) part: usize,
    /// The point in time it holds.
    pub(super) time: Timestamp,
    pub(super) slot: Timestamp,
    /// From when on it is complete.
    ready: Timestamp,
    /// Why it is held, where it is.
    pub(super) held: Vec<ReasonCode>,
}

impl Entry {
    /// Whether it counts as a backup at a time.
    pub(super) fn is_good(&self, at: Timestamp) -> bool {
        self.ready <= at
    }

    /// `snap-…` or `ami-…`.
    pub(super) fn id(&self) -> &str {
        match &self.artifact {
            Artifact::Snapshot(snapshot) => snapshot.id.as_str(),
            Artifact::Image(both) => both.0.id.as_str(),
        }
    }
}

/// What a call makes one backup of.
pub(super) struct Made<'a> {
    pub(super) class: usize,
    pub(super) part: usize,
    /// Whether it is an AMI.
    pub(super) image: bool,
    pub(super) policy: &'a str,
    /// What the call names.
    pub(super) source: &'a str,
    /// The volume of a snapshot, the instance of an AMI.
    pub(super) of: &'a str,
    pub(super) group: Option<&'a str>,
    pub(super) slot: Timestamp,
    pub(super) run: &'a str,
    pub(super) time: Timestamp,
    pub(super) ready: Timestamp,
    pub(super) held: &'a [ReasonCode],
    /// Its identifier; a new one, where there is none yet.
    pub(super) id: Option<&'a str>,
}

/// The backups, in the order of their making.
#[derive(Clone, Debug, Default)]
pub(super) struct Backups {
    entries: BTreeMap<u64, Entry>,
    /// Those whose identifiers were not given here.
    named: HashMap<String, u64>,
    next: u64,
}

impl Backups {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    pub(super) fn find(&self, id: &str) -> Option<&Entry> {
        self.entries.get(&self.serial(id)?)
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<Entry> {
        let serial = self.serial(id)?;
        self.named.remove(id);
        self.entries.remove(&serial)
    }

    fn serial(&self, id: &str) -> Option<u64> {
        if let Some(serial) = self.named.get(id) {
            return Some(*serial);
        }
        let (_, digits) = id.split_once('-')?;
        u64::from_str_radix(digits, 16).ok()
    }

    /// Adds what stands at the start.
    pub(super) fn add_standing(&mut self, class: (usize, &Class), policy: &str) {
        let (place, class) = class;
        for stood in &class.standing {
            let one = &stood.what;
            self.add(&Made {
                class: place,
                part: stood.part,
                image: one.image,
                policy,
                source: &class.first().sources[stood.source],
                of: class.id(stood.part),
                group: one.group.as_deref(),
                slot: one.slot,
                run: &one.run,
                time: one.time,
                ready: one.time,
                held: &one.held,
                id: Some(&one.id),
            });
        }
    }

    /// Adds one.
    pub(super) fn add(&mut self, made: &Made<'_>) {
        let serial = self.next;
        self.next += 1;
        if let Some(id) = made.id {
            self.named.insert(id.to_owned(), serial);
        }
        let id = |prefix: &str| match made.id {
            Some(id) if id.starts_with(prefix) => id.to_owned(),
            // In the order of their making, as far as time goes; EC2's are random.
            _ => format!("{prefix}{serial:017x}"),
        };
        let stamp = |kind| Stamp {
            kind,
            policy: made.policy,
            source: made.source,
            slot: made.slot,
            run: made.run,
            group: made.group,
        };
        let snapshot = |kind, volume: String| Snapshot {
            id: SnapshotId::new(id(SnapshotId::PREFIX)),
            volume: Some(VolumeId::new(volume)),
            state: SnapshotState::Completed,
            start: Some(made.time),
            owner: Some(OWNER.to_owned()),
            tags: stamp(kind).tags(),
            ..blank()
        };
        let artifact = if made.image {
            let backing = snapshot(ArtifactKind::ImageSnapshot, format!("vol-of-{}", made.of));
            let image = Image {
                id: ImageId::new(id(ImageId::PREFIX)),
                name: Some(image_name(made.policy, made.source, made.slot, 1)),
                state: ImageState::Available,
                state_reason: None,
                deregistration_protected: false,
                owner: Some(OWNER.to_owned()),
                created: Some(made.time),
                source_instance: Some(InstanceId::new(made.of)),
                source_image: None,
                source_region: None,
                last_launched: None,
                deprecated: None,
                public: false,
                root_device: Some("/dev/xvda".to_owned()),
                mappings: vec![ImageMapping {
                    device: "/dev/xvda".to_owned(),
                    target: MappingTarget::Ebs(Some(backing.id.clone())),
                }],
                tags: stamp(ArtifactKind::Image).tags(),
            };
            Artifact::Image(Box::new((image, backing)))
        } else {
            Artifact::Snapshot(Box::new(snapshot(
                ArtifactKind::Snapshot,
                made.of.to_owned(),
            )))
        };
        let entry = Entry {
            artifact,
            class: made.class,
            part: made.part,
            time: made.time,
            slot: made.slot,
            ready: made.ready,
            held: made.held.to_vec(),
        };
        self.entries.insert(serial, entry);
    }

    /// What a sweep would list: the backups, and nothing that refers to them.
    pub(super) fn inventory(&self, now: Timestamp) -> Inventory {
        let mut inventory = Inventory::empty(now);
        let (snapshots, images) = (&mut inventory.snapshots.items, &mut inventory.images.items);
        for entry in self.entries.values() {
            match &entry.artifact {
                Artifact::Snapshot(snapshot) if entry.is_good(now) => {
                    snapshots.push(snapshot.as_ref())
                }
                Artifact::Snapshot(snapshot) => snapshots.push(Snapshot {
                    state: SnapshotState::Pending,
                    ..snapshot.as_ref().clone()
                }),
                Artifact::Image(both) => {
                    let (image, backing) = both.as_ref();
                    snapshots.push(backing);
                    if entry.is_good(now) {
                        images.push(image);
                    } else {
                        images.push(Image {
                            state: ImageState::Pending,
                            ..image.clone()
                        });
                    }
                }
            }
        }
        inventory
    }
}
