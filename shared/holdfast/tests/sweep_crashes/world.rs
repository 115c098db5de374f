//! Random accounts: backups of every shape, and what refers to them.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::artifact::image_name;
use holdfast_core::id::{ImageId, InstanceId, SnapshotId, VolumeId};
use holdfast_core::inventory::{ImageState, SnapshotState, Tags};
use holdfast_core::policy::PolicyFile;
use holdfast_sim::request::{EnableImageDeregistrationProtection, LockSnapshot, Request};
use holdfast_sim::{
    Account, BlockDevice, ImageSeed, InstanceSeed, Numbers, Retained, RetentionRule, Settings,
    SnapshotSeed, VolumeSeed,
};
use jiff::{SignedDuration, Timestamp};

use super::reference::{Kind, Reference};

/// Limits that never trip: what a breaker holds depends on how much was tried in a day, and a
/// crash may count a try twice.
pub const NO_LIMITS: &str = "{ max_shrink: 100%, free: 0 }";
/// Limits that trip soon.
pub const STRICT: &str = "{ max_shrink: 25%, free: 1 }";

const POLICIES: &str = r#"
version: 1
policies:
  - name: ami
    protect: instances
    select: { instances: { tags: { Backup: ami } } }
    schedule: rate(1 hour)
    retain: { last: 1 }
    limits: LIMITS
  - name: ami-grace
    protect: instances
    select: { instances: { tags: { Backup: ami-grace } } }
    schedule: rate(1 hour)
    retain: { last: 2 }
    grace: 30m
    limits: LIMITS
  - name: vol
    protect: volumes
    select: { volumes: { tags: { Backup: vol } } }
    schedule: rate(1 hour)
    retain: { last: 1 }
    limits: LIMITS
  - name: vol-grace
    protect: volumes
    select: { volumes: { tags: { Backup: vol-grace } } }
    schedule: rate(1 hour)
    retain: { last: 1 }
    grace: 30m
    limits: LIMITS
  - name: set
    protect: volumes
    select: { instances: { tags: { Backup: set } } }
    schedule: rate(1 hour)
    retain: { last: 1 }
    limits: LIMITS
"#;

/// How many of the newest backups of a source each of these policies keeps.
pub const LAST: [(&str, usize); 5] = [
    ("ami", 1),
    ("ami-grace", 2),
    ("vol", 1),
    ("vol-grace", 1),
    ("set", 1),
];

/// How long lists and refusals lag, where they do: less than passes between two runs.
pub const LAG: SignedDuration = SignedDuration::from_secs(30);

/// An account, its policies, and what refers to its backups.
pub struct World {
    pub account: Account,
    pub policies: PolicyFile,
    pub references: Vec<Reference>,
    /// What only failed AMIs map. Where such a snapshot survives the deregistration (EC2 still calls
    /// it in use, or the sweep dies), nothing alive tells it from what is left of a good AMI, and the
    /// records alone choose no deletion: it is held while the policy would keep an AMI of its age.
    pub of_failed: BTreeSet<String>,
    /// What no sweep may delete, whatever happens: locked snapshots, and what is not Holdfast's.
    pub never: BTreeSet<String>,
    pub backups: Vec<Backup>,
    pub wall: Timestamp,
}

/// A backup that a policy made.
#[derive(Debug)]
pub struct Backup {
    pub policy: &'static str,
    /// The instance of an AMI, the volume of a snapshot.
    pub source: String,
    pub slot: Timestamp,
    /// The AMI and what it maps, or the snapshot.
    pub parts: BTreeSet<String>,
    /// Whether it can be restored from, now or when it is complete.
    pub good: bool,
}

impl World {
    /// The newest good backups that each policy promises to keep.
    pub fn promised(&self) -> Vec<&Backup> {
        let mut promised = Vec::new();
        for (policy, last) in LAST {
            let good = self.backups.iter().filter(|b| b.policy == policy && b.good);
            let mut by_source: BTreeMap<&str, Vec<&Backup>> = BTreeMap::new();
            for backup in good {
                by_source.entry(&backup.source).or_default().push(backup);
            }
            for mut backups in by_source.into_values() {
                backups.sort_by_key(|backup| std::cmp::Reverse(backup.slot));
                promised.extend(backups.into_iter().take(last));
            }
        }
        promised
    }

    /// Whether the tags of a snapshot name this backup as the one that it was made with.
    pub fn is_made_with(&self, id: &str, backup: &Backup) -> bool {
        let snapshot = self.account.snapshot(&SnapshotId::new(id));
        let slot = snapshot.and_then(|s| s.tags.get("holdfast:slot"));
        slot.and_then(|slot| slot.parse().ok()) == Some(backup.slot)
    }
}

/// What sort of world.
#[derive(Clone, Copy, Debug)]
pub struct Sort {
    /// Whether lists and refusals may lag.
    pub lags: bool,
    /// Whether some backups are still being made.
    pub pending: bool,
    /// The policies' limits.
    pub limits: &'static str,
    /// How long ago the account's clock begins. One that does not show the present has no Recycle
    /// Bin: when something entered it is told from records by the wall clock.
    pub ago: SignedDuration,
}

/// A world drawn from a number.
pub fn world(seed: u64, sort: Sort) -> World {
    let Sort { lags, limits, .. } = sort;
    let wall = Timestamp::from_second(Timestamp::now().as_second()).unwrap() - sort.ago;
    let policies = POLICIES.replace("LIMITS", limits);
    let policies = PolicyFile::parse("policies.yaml", &policies, wall).unwrap();
    let mut numbers = Numbers::new(seed);
    let mut lag = |of: u64| match lags && numbers.below(of) == 0 {
        true => LAG,
        false => SignedDuration::ZERO,
    };
    let mut settings = Settings {
        seed,
        start: wall,
        in_use_lag: lag(2),
        deleted_visible: lag(3),
        deregistered_visible: lag(3),
        ..Settings::default()
    };
    if numbers.below(4) == 0 && sort.ago.is_zero() {
        settings.recycle_bin = [Retained::Snapshots, Retained::Images]
            .map(|retained| RetentionRule::for_region(retained, 7))
            .to_vec();
    }
    let mut making = Making {
        account: Account::new(settings),
        pending: sort.pending,
        numbers,
        references: Vec::new(),
        backups: Vec::new(),
        never: BTreeSet::new(),
        wall,
    };
    for policy in ["ami", "ami-grace"] {
        for _ in 0..=making.numbers.below(2) {
            making.images(policy);
        }
    }
    for policy in ["vol", "vol-grace"] {
        making.snapshots(policy);
    }
    making.sets("set");
    making.of_others("ami", "image");
    making.of_others("vol", "snapshot");
    World {
        of_failed: of_failed(&making.account),
        account: making.account,
        policies,
        references: making.references,
        backups: making.backups,
        never: making.never,
        wall,
    }
}

fn of_failed(account: &Account) -> BTreeSet<String> {
    let mapped = |failed: bool| -> BTreeSet<String> {
        let images = account.images();
        let images = images.filter(|image| (image.state == ImageState::Failed) == failed);
        let mappings = images.flat_map(|image| &image.mappings);
        let snapshots = mappings.filter_map(|device| device.snapshot());
        snapshots.map(ToString::to_string).collect()
    };
    &mapped(true) - &mapped(false)
}

struct Making {
    account: Account,
    pending: bool,
    numbers: Numbers,
    references: Vec<Reference>,
    backups: Vec<Backup>,
    never: BTreeSet<String>,
    wall: Timestamp,
}

impl Making {
    fn one_in(&mut self, n: u64) -> bool {
        self.numbers.below(n) == 0
    }

    /// The slots of a policy's backups, oldest first, all before the sweeps' time.
    fn slots(&mut self) -> Vec<Timestamp> {
        let count = i64::try_from(self.numbers.below(3)).unwrap() + 2;
        (1..=count)
            .rev()
            .map(|n| self.wall - SignedDuration::from_hours(12 + 5 * n))
            .collect()
    }

    fn machine(&mut self, tag: &str, volumes: u64) -> (InstanceId, Vec<VolumeId>) {
        let volumes: Vec<VolumeId> = (0..volumes)
            .map(|_| self.account.seed_volume(VolumeSeed::default()))
            .collect();
        let names = ["/dev/xvda", "/dev/sdb"];
        let devices = names.iter().zip(&volumes);
        let id = self.account.seed_instance(InstanceSeed {
            devices: devices.map(|(n, v)| ((*n).to_owned(), v.clone())).collect(),
            tags: [("Backup".to_owned(), tag.to_owned())].into(),
            ..InstanceSeed::default()
        });
        (id, volumes)
    }

    fn snapshot(&mut self, volume: &VolumeId, slot: Timestamp, tags: Tags) -> SnapshotId {
        let state = match self.numbers.below(14) {
            0 => SnapshotState::Error,
            1 if self.pending => SnapshotState::Pending,
            _ => SnapshotState::Completed,
        };
        self.account.seed_snapshot(SnapshotSeed {
            volume: Some(volume.clone()),
            started: Some(slot),
            state: Some(state),
            tags,
            ..SnapshotSeed::default()
        })
    }

    /// AMIs of one machine, some over a snapshot of the one before.
    fn images(&mut self, policy: &'static str) {
        let volumes = self.numbers.below(2) + 1;
        let (machine, volumes) = self.machine(policy, volumes);
        let mut before: Vec<SnapshotId> = Vec::new();
        for slot in self.slots() {
            let stamp = |kind| stamp(policy, kind, machine.as_str(), slot);
            let mut snapshots = Vec::new();
            for (n, volume) in volumes.iter().enumerate() {
                let shared = before.get(n).cloned();
                let shared = shared.filter(|_| self.one_in(4));
                let id =
                    shared.unwrap_or_else(|| self.snapshot(volume, slot, stamp("image-snapshot")));
                snapshots.push(id);
            }
            before.clone_from(&snapshots);
            // Somebody deregistered it before.
            if self.one_in(10) {
                continue;
            }
            let state = match self.numbers.below(14) {
                0 => ImageState::Failed,
                1 if self.pending => ImageState::Pending,
                2 => ImageState::Disabled,
                _ => ImageState::Available,
            };
            let names = ["/dev/xvda", "/dev/sdb"];
            let mappings = names.iter().zip(&snapshots);
            let id = self.account.seed_image(ImageSeed {
                name: Some(image_name(policy, machine.as_str(), slot, 1)),
                state: Some(state),
                created: Some(slot),
                source_instance: Some(machine.clone()),
                mappings: mappings
                    .map(|(name, id)| BlockDevice::from_snapshot(*name, id.clone()))
                    .collect(),
                tags: stamp("image"),
                ..ImageSeed::default()
            });
            let state = &self.account.image(&id).unwrap().state;
            let good = matches!(state, ImageState::Available | ImageState::Pending)
                && snapshots.iter().all(|id| self.is_good(id));
            let parts = snapshots.iter().map(ToString::to_string);
            self.backups.push(Backup {
                policy,
                source: machine.to_string(),
                slot,
                parts: parts.chain([id.to_string()]).collect(),
                good,
            });
            self.protect(&id);
            if self.one_in(5) {
                self.refer(&Kind::OF_IMAGES, id.as_str());
            }
            if self.one_in(10) {
                self.refer(&Kind::OF_SNAPSHOTS, snapshots[0].as_str());
            }
        }
    }

    fn protect(&mut self, id: &ImageId) {
        if self.one_in(12) {
            let protection = EnableImageDeregistrationProtection {
                id: id.to_string(),
                with_cooldown: false,
            };
            let request = Request::EnableImageDeregistrationProtection(protection);
            // One that is not available cannot be protected.
            self.account.call(&request).ok();
        }
    }

    /// Snapshots of one volume.
    fn snapshots(&mut self, policy: &'static str) {
        let volume = self.account.seed_volume(VolumeSeed {
            tags: [("Backup".to_owned(), policy.to_owned())].into(),
            ..VolumeSeed::default()
        });
        for slot in self.slots() {
            let tags = stamp(policy, "snapshot", volume.as_str(), slot);
            let id = self.snapshot(&volume, slot, tags);
            self.backup(policy, &volume, slot, &id);
            if self.one_in(6) {
                self.refer(&Kind::OF_SNAPSHOTS, id.as_str());
            }
        }
    }

    fn is_good(&self, id: &SnapshotId) -> bool {
        let state = &self.account.snapshot(id).unwrap().state;
        matches!(state, SnapshotState::Completed | SnapshotState::Pending)
    }

    /// Notes a snapshot of one volume; some are locked.
    fn backup(
        &mut self,
        policy: &'static str,
        volume: &VolumeId,
        slot: Timestamp,
        id: &SnapshotId,
    ) {
        self.backups.push(Backup {
            policy,
            source: volume.to_string(),
            slot,
            parts: [id.to_string()].into(),
            good: self.is_good(id),
        });
        if self.one_in(12) {
            let lock = Request::LockSnapshot(LockSnapshot {
                id: id.to_string(),
                mode: "governance".into(),
                duration_days: Some(30),
                ..LockSnapshot::default()
            });
            // Not every state can be locked.
            if self.account.call(&lock).is_ok() {
                self.never.insert(id.to_string());
            }
        }
    }

    /// What looks like a backup of the policy and is none of Holdfast's.
    fn of_others(&mut self, policy: &str, kind: &str) {
        let slot = self.wall - SignedDuration::from_hours(60);
        let foreign: [fn(&mut Tags); 4] = [
            |tags| drop(tags.remove("holdfast:managed")),
            |tags| drop(tags.insert("holdfast:managed".into(), "false".into())),
            |tags| drop(tags.insert("aws:dlm:managed".into(), "true".into())),
            |tags| {
                let key = "aws:backup:source-resource";
                tags.insert(key.into(), "arn:aws:ec2:eu-central-1::volume/vol-1".into());
            },
        ];
        for change in foreign {
            let (machine, volumes) = self.machine("none", 1);
            let tags = |kind: &str, source: &str| {
                let mut tags = stamp(policy, kind, source, slot);
                change(&mut tags);
                tags
            };
            let source = match kind {
                "image" => machine.as_str(),
                _ => volumes[0].as_str(),
            };
            let backing = match kind {
                "image" => "image-snapshot",
                _ => "snapshot",
            };
            let snapshot = self.account.seed_snapshot(SnapshotSeed {
                volume: Some(volumes[0].clone()),
                started: Some(slot),
                state: Some(SnapshotState::Completed),
                tags: tags(backing, source),
                ..SnapshotSeed::default()
            });
            self.never.insert(snapshot.to_string());
            if kind == "image" {
                let image = self.account.seed_image(ImageSeed {
                    name: Some(image_name(policy, source, slot, 1)),
                    created: Some(slot),
                    source_instance: Some(machine.clone()),
                    mappings: vec![BlockDevice::from_snapshot("/dev/xvda", snapshot)],
                    tags: tags(kind, source),
                    ..ImageSeed::default()
                });
                self.never.insert(image.to_string());
            }
        }
    }

    /// Crash-consistent sets of one machine, some without a member.
    fn sets(&mut self, policy: &'static str) {
        let (machine, volumes) = self.machine(policy, 2);
        for slot in self.slots() {
            for volume in &volumes {
                if self.one_in(10) {
                    continue;
                }
                let tags = stamp(policy, "snapshot", machine.as_str(), slot);
                let id = self.snapshot(volume, slot, tags);
                self.backup(policy, volume, slot, &id);
                if self.one_in(12) {
                    self.refer(&Kind::OF_SNAPSHOTS, id.as_str());
                }
            }
        }
    }

    fn refer(&mut self, kinds: &[Kind], target: &str) {
        let kind = kinds[self.numbers.below(kinds.len() as u64) as usize];
        self.references
            .extend(kind.add(&mut self.account, target, 0));
    }
}

/// The tags of what a policy made.
pub fn stamp(policy: &str, kind: &str, source: &str, slot: Timestamp) -> Tags {
    let run = format!("run-{slot}");
    let slot = slot.to_string();
    [
        ("holdfast:managed", "true"),
        ("holdfast:artifact", kind),
        ("holdfast:policy", policy),
        ("holdfast:source", source),
        ("holdfast:slot", &slot),
        ("holdfast:run", &run),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}
