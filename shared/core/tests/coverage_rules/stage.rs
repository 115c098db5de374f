//! An account with machines and backups, seen by a reconcile.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::artifact::{ArtifactKind, Stamp};
use holdfast_core::id::{ImageId, InstanceId, SnapshotId, VolumeId};
use holdfast_core::inventory::{
    Attachment, Image, ImageMapping, ImageState, Instance, InstanceDevice, InstanceState, KeyState,
    Listing, MappingTarget, Snapshot, SnapshotState, Source, Tags, Volume, VolumeState,
};
use holdfast_core::plan::coverage::{Coverage, Facts, coverage, keys};
use holdfast_core::plan::reconcile::Seen;
use holdfast_core::policy::PolicyFile;
use holdfast_core::ports::{CallError, ErrorClass};
use holdfast_core::report::{Item, Outcome};
use jiff::Timestamp;

pub const ACCOUNT: &str = "111122223333";

/// A Monday.
pub const NOW: &str = "2026-11-23T12:00:00Z";

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn tags(pairs: &[(&str, &str)]) -> Tags {
    let owned = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
    pairs.iter().map(owned).collect()
}

/// A call that AWS refused.
pub fn refused(class: ErrorClass) -> CallError {
    CallError {
        operation: "Describe",
        resource: "*".into(),
        code: Some("Code".into()),
        class,
        message: "no".into(),
    }
}

/// The account.
#[derive(Default)]
pub struct Stage {
    pub snapshots: Vec<Snapshot>,
    pub images: Vec<Image>,
    pub instances: Vec<Instance>,
    pub volumes: Vec<Volume>,
    pub keys: BTreeMap<String, Result<KeyState, CallError>>,
    /// Lists that end early.
    pub cut: BTreeSet<Source>,
}

impl Stage {
    /// A running machine with these volumes, the first its root, all made in 2025.
    pub fn machine(&mut self, id: &str, volumes: &[&str], own: &[(&str, &str)]) {
        let device = |(n, volume): (usize, &&str)| InstanceDevice {
            name: format!("/dev/sd{n}"),
            volume: Some(VolumeId::new(*volume)),
        };
        self.instances.push(Instance {
            id: InstanceId::new(id),
            state: InstanceState::Running,
            image: None,
            instance_type: None,
            launched: Some(at("2025-01-01T00:00:00Z")),
            root_device: Some("/dev/sd0".into()),
            root_device_type: Some("ebs".into()),
            lifecycle: Default::default(),
            launch: None,
            devices: volumes.iter().enumerate().map(device).collect(),
            tags: tags(own),
        });
        for volume in volumes {
            self.volume(volume, &[id], &[]);
        }
    }

    /// A volume made in 2025.
    pub fn volume(&mut self, id: &str, instances: &[&str], own: &[(&str, &str)]) {
        let attachment = |instance: &&str| Attachment {
            instance: InstanceId::new(*instance),
            device: "/dev/sdf".into(),
            state: "attached".into(),
        };
        self.volumes.push(Volume {
            id: VolumeId::new(id),
            state: VolumeState::InUse,
            volume_type: None,
            size_gib: None,
            created: Some(at("2025-01-01T00:00:00Z")),
            kms_key: None,
            attachments: instances.iter().map(attachment).collect(),
            tags: tags(own),
        });
    }

    /// The volume of this identifier.
    pub fn volume_mut(&mut self, id: &str) -> &mut Volume {
        let mut volumes = self.volumes.iter_mut();
        volumes.find(|volume| volume.id.as_str() == id).unwrap()
    }

    /// A completed snapshot of a volume by a policy.
    pub fn snapshot(&mut self, id: &str, policy: &str, volume: &str, time: &str) -> &mut Snapshot {
        let stamp = stamp(ArtifactKind::Snapshot, policy, volume, time);
        self.snapshots.push(Snapshot {
            id: SnapshotId::new(id),
            volume: Some(VolumeId::new(volume)),
            state: SnapshotState::Completed,
            start: Some(at(time)),
            owner: Some(ACCOUNT.into()),
            owner_alias: None,
            size_gib: None,
            tier: None,
            state_message: None,
            kms_key: None,
            description: String::new(),
            tags: stamp,
        });
        self.snapshots.last_mut().unwrap()
    }

    /// An available AMI of an instance by a policy, with one completed snapshot.
    pub fn image(&mut self, id: &str, policy: &str, instance: &str, time: &str) -> &mut Image {
        let backing = id.replace("ami-", "snap-");
        let snapshot = self.snapshot(&backing, policy, "vol-of-image", time);
        snapshot.tags = stamp(ArtifactKind::ImageSnapshot, policy, instance, time);
        self.images.push(Image {
            id: ImageId::new(id),
            name: None,
            state: ImageState::Available,
            state_reason: None,
            deregistration_protected: false,
            owner: Some(ACCOUNT.into()),
            created: Some(at(time)),
            source_instance: Some(InstanceId::new(instance)),
            source_image: None,
            source_region: None,
            last_launched: None,
            deprecated: None,
            public: false,
            root_device: None,
            mappings: vec![ImageMapping {
                device: "/dev/sd0".into(),
                target: MappingTarget::Ebs(Some(SnapshotId::new(backing))),
            }],
            tags: stamp(ArtifactKind::Image, policy, instance, time),
        });
        self.images.last_mut().unwrap()
    }

    fn list<T: Clone>(&self, source: Source, items: &[T]) -> Listing<T> {
        let mut list = Listing::complete(source, items.to_vec(), at(NOW));
        if self.cut.contains(&source) {
            list.error = Some(refused(ErrorClass::Throttled));
        }
        list
    }

    fn with_seen<T>(&self, then: impl FnOnce(&Seen<'_>) -> T) -> T {
        let snapshots = self.list(Source::Snapshots, &self.snapshots);
        let named = Listing::complete(Source::Snapshots, Vec::new(), at(NOW));
        let images = self.list(Source::Images, &self.images);
        let instances = self.list(Source::Instances, &self.instances);
        let volumes = self.list(Source::Volumes, &self.volumes);
        then(&Seen {
            snapshots: &snapshots,
            named: &named,
            images: &images,
            instances: Some(&instances),
            volumes: Some(&volumes),
            account: Some(ACCOUNT),
        })
    }

    /// How everything stands under these policies.
    pub fn coverage(&self, policies: &str) -> Coverage {
        let policies = parse(policies);
        self.with_seen(|seen| {
            coverage(&Facts {
                seen,
                policies: &policies,
                keys: &self.keys,
                now: at(NOW),
            })
        })
    }

    /// What is found, as `resource policy code`, an item without a policy as `resource - code`.
    pub fn found(&self, policies: &str) -> Vec<String> {
        let coverage = self.coverage(policies);
        let items = coverage.findings();
        items.iter().map(words).collect()
    }

    /// The keys that are asked about.
    pub fn keys(&self, policies: &str) -> BTreeSet<String> {
        let policies = parse(policies);
        self.with_seen(|seen| keys(seen, &policies))
    }
}

fn words(item: &Item) -> String {
    assert_ne!(item.outcome, Outcome::Recorded, "{item:?}");
    let policy = item.policy.as_deref().unwrap_or("-");
    let codes: Vec<&str> = item.reasons.iter().map(|r| r.code.as_str()).collect();
    format!("{} {policy} {}", item.resource, codes.join("+"))
}

fn stamp(kind: ArtifactKind, policy: &str, source: &str, time: &str) -> Tags {
    Stamp {
        kind,
        policy,
        source,
        slot: at(time),
        run: time,
        group: None,
    }
    .tags()
}

fn parse(policies: &str) -> PolicyFile {
    PolicyFile::parse("p.yaml", policies, at(NOW)).unwrap_or_else(|e| panic!("{e}"))
}
