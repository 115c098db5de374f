//! A stage for verdicts on AMIs: one instance, daily AMIs of one snapshot each.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::artifact::{ArtifactKind, Stamp, image_name};
use holdfast_core::id::{ImageId, InstanceId, LaunchTemplateId, SnapshotId, VolumeId};
use holdfast_core::inventory::{
    Binned, Image, ImageMapping, ImageState, Instance, InstanceState, Inventory,
    LaunchTemplateVersion, Listing, MappingTarget, Snapshot, SnapshotState, Source, Tags, Volume,
    VolumeState,
};
use holdfast_core::plan::judge::{Evidence, Leftover, OnRecord, Verdict, judge};
use holdfast_core::plan::settle::{Recorded, Settled, settle};
use holdfast_core::policy::PolicyFile;
use holdfast_core::ports::{CallError, ErrorClass};
use holdfast_core::report::ReasonCode;
use jiff::{SignedDuration, Timestamp};

const OWNER: &str = "111122223333";

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// When the sweep is.
pub fn now() -> Timestamp {
    at("2026-02-10T12:00:00Z")
}

/// A file of one policy, `p`.
pub fn policies(protect: &str, more: &str) -> PolicyFile {
    let text = format!(
        "version: 1\npolicies:\n  - name: p\n    protect: {protect}\n    \
         select: {{ instances: {{ tags: {{ B: x }} }} }}\n    \
         schedule: rate(1 hour)\n    {more}\n"
    );
    PolicyFile::parse("p.yaml", &text, at("2026-01-01T00:00:00Z")).unwrap()
}

/// The backup time `n` days before the newest.
pub fn day(n: usize) -> Timestamp {
    at("2026-02-10T03:00:00Z") - SignedDuration::from_hours(24 * n as i64)
}

fn stamp(kind: ArtifactKind, n: usize, source: &str) -> Tags {
    let run = format!("run-{n}");
    let stamp = Stamp {
        kind,
        policy: "p",
        source,
        slot: day(n),
        run: &run,
        group: None,
    };
    stamp.tags()
}

/// The AMI of day `n`, over `snap-n-0`.
pub fn ami(n: usize, source: &str) -> Image {
    Image {
        id: ImageId::new(format!("ami-{n}")),
        name: Some(image_name("p", source, day(n), 1)),
        state: ImageState::Available,
        state_reason: None,
        deregistration_protected: false,
        source_image: None,
        source_region: None,
        last_launched: None,
        deprecated: None,
        public: false,
        owner: Some(OWNER.into()),
        created: Some(day(n)),
        source_instance: Some(InstanceId::new(source)),
        root_device: Some("/dev/xvda".into()),
        mappings: vec![ImageMapping {
            device: "/dev/xvda".into(),
            target: MappingTarget::Ebs(Some(SnapshotId::new(format!("snap-{n}-0")))),
        }],
        tags: stamp(ArtifactKind::Image, n, source),
    }
}

/// A snapshot that backs the AMI of day `n`.
pub fn backing(n: usize, source: &str) -> Snapshot {
    Snapshot {
        id: SnapshotId::new(format!("snap-{n}-0")),
        volume: Some(VolumeId::new("vol-1")),
        state: SnapshotState::Completed,
        start: Some(day(n)),
        owner: Some(OWNER.into()),
        owner_alias: None,
        size_gib: Some(8),
        tier: None,
        state_message: None,
        kms_key: None,
        description: String::new(),
        tags: stamp(ArtifactKind::ImageSnapshot, n, source),
    }
}

pub fn instance(id: &str, state: InstanceState, image: Option<&str>) -> Instance {
    Instance {
        id: InstanceId::new(id),
        state,
        image: image.map(ImageId::new),
        instance_type: None,
        launched: None,
        root_device: None,
        root_device_type: None,
        lifecycle: Default::default(),
        launch: None,
        devices: vec![],
        tags: Tags::new(),
    }
}

pub fn template(id: &str, version: i64, image: &str) -> LaunchTemplateVersion {
    LaunchTemplateVersion {
        resolved: None,
        template: LaunchTemplateId::new(id),
        name: None,
        version,
        default: false,
        image: Some(image.into()),
        snapshots: vec![],
    }
}

pub struct World {
    pub policies: PolicyFile,
    pub snapshots: Vec<Snapshot>,
    pub mapped: Vec<Snapshot>,
    pub mapped_failed: bool,
    pub images: Vec<Image>,
    pub images_failed: bool,
    pub instances: Vec<Instance>,
    pub instances_failed: bool,
    pub volumes: Vec<Volume>,
    pub templates: Vec<LaunchTemplateVersion>,
    pub gone_since: BTreeMap<String, Timestamp>,
    pub leftovers: BTreeMap<String, Leftover>,
    pub bin: Option<Vec<Binned>>,
    pub bin_failed: bool,
    pub binned: BTreeMap<String, BTreeSet<ImageId>>,
}

fn list<T: Clone>(source: Source, items: &[T], failed: bool) -> Listing<T> {
    let mut list = Listing::complete(source, items.to_vec(), now());
    list.error = failed.then(throttled);
    list
}

pub fn throttled() -> CallError {
    CallError {
        operation: "Describe",
        resource: "*".into(),
        code: Some("RequestLimitExceeded".into()),
        class: ErrorClass::Throttled,
        message: "page 2".into(),
    }
}

impl World {
    /// `count` daily AMIs of `i-1`, the newest first, under these rules.
    pub fn of(rules: &str, count: usize) -> Self {
        Self {
            policies: policies("instances", rules),
            snapshots: (0..count).map(|n| backing(n, "i-1")).collect(),
            mapped: vec![],
            mapped_failed: false,
            images: (0..count).map(|n| ami(n, "i-1")).collect(),
            images_failed: false,
            instances: vec![],
            instances_failed: false,
            volumes: vec![],
            templates: vec![],
            gone_since: BTreeMap::new(),
            leftovers: BTreeMap::new(),
            bin: Some(vec![]),
            bin_failed: false,
            binned: BTreeMap::new(),
        }
    }

    /// The AMI of day `n` and its snapshot, as if of another instance.
    pub fn remake(&mut self, n: usize, source: &str) {
        self.images[n] = ami(n, source);
        self.snapshots[n] = backing(n, source);
    }

    /// Tags the oldest of five AMIs.
    pub fn tag(&mut self, key: &str, value: &str) {
        self.images[4].tags.insert(key.into(), value.into());
    }

    pub fn pin_volume(&mut self, id: &str) {
        self.volumes.push(Volume {
            id: VolumeId::new(id),
            state: VolumeState::InUse,
            volume_type: None,
            size_gib: None,
            created: None,
            kms_key: None,
            attachments: vec![],
            tags: Tags::from([("holdfast:pin".into(), "x".into())]),
        });
    }

    pub fn inventory(&self) -> Inventory {
        let snapshots = list(Source::Snapshots, &self.snapshots, false);
        let mapped = list(Source::Snapshots, &self.mapped, self.mapped_failed);
        let images = list(Source::Images, &self.images, self.images_failed);
        let instances = list(Source::Instances, &self.instances, self.instances_failed);
        let volumes = list(Source::Volumes, &self.volumes, false);
        let templates = list(Source::LaunchTemplates, &self.templates, false);
        let bin = self.bin.as_ref();
        Inventory {
            snapshots: snapshots.into_items(),
            mapped,
            images: images.into_items(),
            instances,
            volumes,
            templates: Some(templates),
            recycle_bin: bin.map(|bin| list(Source::RecycleBin, bin, self.bin_failed)),
            ..Inventory::empty(now())
        }
    }

    pub fn verdicts(&self) -> Vec<Verdict> {
        let inventory = self.inventory();
        let on_record = OnRecord {
            gone_since: self.gone_since.clone(),
            leftovers: self.leftovers.clone(),
            binned: self.binned.clone(),
        };
        let evidence = Evidence {
            inventory: &inventory,
            on_record: &on_record,
            account: Some(OWNER),
        };
        judge(&self.policies, &evidence, now(), None)
    }

    /// The verdicts after the guardrails at `now`, as the clock shows it, too.
    pub fn settled(&self, recorded: &Recorded, now: Timestamp) -> (Vec<Verdict>, Settled) {
        let mut verdicts = self.verdicts();
        let settled = settle(&self.policies, &mut verdicts, recorded, now, now);
        (verdicts, settled)
    }

    pub fn verdict(&self, id: &str) -> Verdict {
        let mut all = self.verdicts().into_iter();
        all.find(|v| v.subject.id() == id)
            .unwrap_or_else(|| panic!("no verdict on {id}"))
    }

    pub fn codes(&self, id: &str) -> Vec<ReasonCode> {
        let verdict = self.verdict(id);
        verdict.reasons().iter().map(|r| r.code).collect()
    }

    /// What may go, oldest first.
    pub fn condemned(&self) -> Vec<String> {
        let verdicts = self.verdicts();
        let condemned = verdicts.iter().filter(|v| v.is_condemned());
        condemned.map(|v| v.subject.id().to_owned()).collect()
    }
}
