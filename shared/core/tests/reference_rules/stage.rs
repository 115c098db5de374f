//! A stage for references: one AMI over one snapshot, a snapshot by itself, and what refers to them.

use holdfast_core::dependency::{References, Words};
use holdfast_core::id::{ImageId, InstanceId, LaunchTemplateId, SnapshotId, VolumeId};
use holdfast_core::inventory::{
    Image, ImageMapping, ImageState, Instance, InstanceState, Inventory, LaunchTemplateVersion,
    MappingTarget, Referrer, ReferrerKind, Snapshot, SnapshotState, Tags, TemplateName,
    TemplateUse,
};
use holdfast_core::plan::judge::Subject;
use holdfast_core::policy::{Policy, PolicyFile};
use holdfast_core::report::{Reason, ReasonCode};
use jiff::Timestamp;

pub const OWNER: &str = "111122223333";

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn now() -> Timestamp {
    at("2026-02-10T12:00:00Z")
}

/// A policy with these words.
pub fn policy(words: &str) -> Policy {
    let text = format!(
        "version: 1\npolicies:\n  - name: p\n    protect: instances\n    \
         select: {{ instances: {{ tags: {{ B: x }} }} }}\n    schedule: rate(1 hour)\n    \
         retain: {{ last: 1 }}\n    {words}\n"
    );
    let file = PolicyFile::parse("p.yaml", &text, at("2026-01-01T00:00:00Z"));
    file.unwrap_or_else(|e| panic!("{e}")).policies.remove(0)
}

pub fn snapshot(id: &str) -> Snapshot {
    Snapshot {
        id: SnapshotId::new(id),
        volume: Some(VolumeId::new("vol-1")),
        state: SnapshotState::Completed,
        start: Some(at("2026-01-01T00:00:00Z")),
        owner: Some(OWNER.into()),
        owner_alias: None,
        size_gib: Some(8),
        tier: None,
        state_message: None,
        kms_key: None,
        description: String::new(),
        tags: Tags::new(),
    }
}

pub fn image(id: &str, snapshots: &[&str]) -> Image {
    let mapping = |id: &&str| ImageMapping {
        device: "/dev/xvda".into(),
        target: MappingTarget::Ebs(Some(SnapshotId::new(*id))),
    };
    Image {
        id: ImageId::new(id),
        name: None,
        state: ImageState::Available,
        state_reason: None,
        deregistration_protected: false,
        owner: Some(OWNER.into()),
        created: Some(at("2026-01-01T00:00:00Z")),
        source_instance: Some(InstanceId::new("i-source")),
        source_image: None,
        source_region: None,
        last_launched: None,
        deprecated: None,
        public: false,
        root_device: None,
        mappings: snapshots.iter().map(mapping).collect(),
        tags: Tags::new(),
    }
}

pub fn instance(id: &str, state: InstanceState, image: &str) -> Instance {
    Instance {
        id: InstanceId::new(id),
        state,
        image: Some(ImageId::new(image)),
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

/// Version `number` of `lt-1`, called `web`, whose version 1 is the default.
pub fn version(number: i64, image: &str) -> LaunchTemplateVersion {
    LaunchTemplateVersion {
        template: LaunchTemplateId::new("lt-1"),
        name: Some("web".into()),
        version: number,
        default: number == 1,
        image: Some(image.into()),
        resolved: None,
        snapshots: vec![],
    }
}

pub fn referrer(kind: ReferrerKind, id: &str) -> Referrer {
    Referrer {
        id: id.into(),
        kind,
        state: None,
        images: vec![],
        snapshots: vec![],
        templates: vec![],
        launch_configuration: None,
    }
}

/// An Auto Scaling group that launches `version` of the template called `web`.
pub fn group(id: &str, version: Option<&str>) -> Referrer {
    let mut group = referrer(ReferrerKind::AutoScalingGroup, id);
    group.templates.push(TemplateUse {
        template: TemplateName::Name("web".into()),
        version: version.map(str::to_owned),
    });
    group
}

/// `ami-1` over `snap-1`, and `snap-9` by itself.
pub struct Stage {
    pub inventory: Inventory,
    pub policy: Policy,
}

/// A code and its path, `>` between its steps.
pub type Told = (ReasonCode, String);

pub fn told(reasons: &[Reason]) -> Vec<Told> {
    let one = |reason: &Reason| (reason.code, reason.path.join(" > "));
    reasons.iter().map(one).collect()
}

impl Stage {
    pub fn new() -> Self {
        let mut inventory = Inventory::empty(now());
        inventory.images.items.push(image("ami-1", &["snap-1"]));
        let snapshots = ["snap-1", "snap-9"].map(snapshot);
        inventory.snapshots.items.extend(snapshots);
        Self {
            inventory,
            policy: policy(""),
        }
    }

    pub fn with_words(words: &str) -> Self {
        Self {
            policy: policy(words),
            ..Self::new()
        }
    }

    pub fn versions(&mut self, versions: impl IntoIterator<Item = LaunchTemplateVersion>) {
        let list = self.inventory.templates.as_mut().unwrap();
        list.items.extend(versions);
    }

    pub fn configurations(&mut self, more: Referrer) {
        let list = self.inventory.launch_configurations.as_mut().unwrap();
        list.items.push(more);
    }

    pub fn groups(&mut self, more: Referrer) {
        self.inventory
            .auto_scaling
            .as_mut()
            .unwrap()
            .items
            .push(more);
    }

    pub fn fleets(&mut self, more: Referrer) {
        self.inventory.fleets.as_mut().unwrap().items.push(more);
    }

    pub fn words(&self) -> Words<'_> {
        Words::of(Some(&self.policy), now())
    }

    /// What needs `ami-1`.
    pub fn ami(&self) -> Vec<Reason> {
        let image = &self.inventory.images.items.get(0).unwrap();
        let graph = References::new(&self.inventory);
        graph.holders_of_image_with_snapshots(image, std::iter::empty(), &self.words())
    }

    /// What needs a snapshot.
    pub fn snapshot(&self, id: &str) -> Vec<Reason> {
        let graph = References::new(&self.inventory);
        graph.holders_of_snapshot(&SnapshotId::new(id), &self.words())
    }

    /// `ami-1` as a verdict is about it.
    pub fn subject(&self) -> Subject {
        Subject::Image {
            image: self.inventory.images.items.get(0).unwrap(),
            snapshots: vec![self.inventory.snapshots.items.get(0).unwrap()],
        }
    }
}
