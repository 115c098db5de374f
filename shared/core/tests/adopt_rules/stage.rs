//! An account in which another tool made backups, and what is asked of it.

use holdfast_core::id::{ImageId, InstanceId, SnapshotId, VolumeId};
use holdfast_core::inventory::{
    Binned, Image, ImageMapping, ImageState, Inventory, Listing, MappingTarget, Snapshot,
    SnapshotState, Source, Tags, Volume, VolumeState,
};
use holdfast_core::plan::adopt::{Ground, Proposal, Proposed, Tagging, as_if_adopted, propose};
use holdfast_core::plan::judge::{Evidence, OnRecord, Verdict, judge};
use holdfast_core::policy::PolicyFile;
use holdfast_core::ports::{CallError, ErrorClass};
use holdfast_core::report::Reason;
use jiff::Timestamp;

pub const OWNER: &str = "111122223333";

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn now() -> Timestamp {
    at("2026-02-10T12:00:00Z")
}

/// A policy of snapshots, `vols`, and one of AMIs, `bake`.
pub fn policies(more: &str) -> PolicyFile {
    let text = format!(
        "version: 1\npolicies:\n  - name: vols\n    protect: volumes\n    \
         select: {{ instances: {{ tags: {{ B: x }} }} }}\n    \
         schedule: rate(1 hour)\n    retain: {{ last: 1 }}\n    {more}\n  \
         - name: bake\n    protect: instances\n    formerly: [oven]\n    \
         select: {{ instances: {{ tags: {{ B: x }} }} }}\n    \
         schedule: rate(1 hour)\n    retain: {{ last: 1 }}\n"
    );
    PolicyFile::parse("p.yaml", &text, at("2026-01-01T00:00:00Z")).unwrap()
}

pub fn tags(pairs: &[(&str, &str)]) -> Tags {
    let pairs = pairs.iter();
    pairs
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

pub fn snapshot(id: &str, volume: &str, time: &str) -> Snapshot {
    Snapshot {
        id: SnapshotId::new(id),
        volume: Some(VolumeId::new(volume)),
        state: SnapshotState::Completed,
        start: Some(at(time)),
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

pub fn ami(id: &str, instance: Option<&str>, snapshots: &[&str], time: &str) -> Image {
    let mappings = snapshots.iter().enumerate().map(|(n, id)| ImageMapping {
        device: format!("/dev/sd{n}"),
        target: MappingTarget::Ebs(Some(SnapshotId::new(*id))),
    });
    Image {
        id: ImageId::new(id),
        name: Some(format!("made by hand {id}")),
        state: ImageState::Available,
        state_reason: None,
        deregistration_protected: false,
        source_image: None,
        source_region: None,
        last_launched: None,
        deprecated: None,
        public: false,
        owner: Some(OWNER.into()),
        created: Some(at(time)),
        source_instance: instance.map(InstanceId::new),
        root_device: Some("/dev/sd0".into()),
        mappings: mappings.collect(),
        tags: Tags::new(),
    }
}

pub fn volume(id: &str, pairs: &[(&str, &str)]) -> Volume {
    Volume {
        id: VolumeId::new(id),
        state: VolumeState::InUse,
        volume_type: None,
        size_gib: None,
        created: None,
        kms_key: None,
        attachments: vec![],
        tags: tags(pairs),
    }
}

pub fn denied() -> CallError {
    CallError {
        operation: "Describe",
        resource: "*".into(),
        code: Some("UnauthorizedOperation".into()),
        class: ErrorClass::Denied,
        message: "no".into(),
    }
}

pub struct Stage {
    pub policies: PolicyFile,
    pub policy: &'static str,
    pub inventory: Inventory,
    /// AMIs that are asked for by name.
    pub images: Listing<Image>,
    /// Snapshots that are asked for by name.
    pub snapshots: Listing<Snapshot>,
}

impl Stage {
    pub fn of(policy: &'static str, snapshots: Vec<Snapshot>, images: Vec<Image>) -> Self {
        let mut inventory = Inventory::empty(now());
        inventory.images.items = images.clone().into();
        Self {
            policies: policies(""),
            policy,
            inventory,
            images: Listing::complete(Source::Images, images, now()),
            snapshots: Listing::complete(Source::Snapshots, snapshots, now()),
        }
    }

    /// A snapshot of volume `vol-1`, changed.
    pub fn snapshot(change: impl FnOnce(&mut Snapshot)) -> Self {
        let mut one = snapshot("snap-1", "vol-1", "2026-02-01T03:00:00.5Z");
        change(&mut one);
        Self::of("vols", vec![one], vec![])
    }

    /// An AMI of `i-1` over two snapshots, changed.
    pub fn image(change: impl FnOnce(&mut Image, &mut Vec<Snapshot>)) -> Self {
        let time = "2026-02-01T03:00:00Z";
        let mut snapshots = vec![
            snapshot("snap-1", "vol-1", time),
            snapshot("snap-2", "vol-2", time),
        ];
        let mut one = ami("ami-1", Some("i-1"), &["snap-1", "snap-2"], time);
        change(&mut one, &mut snapshots);
        Self::of("bake", snapshots, vec![one])
    }

    pub fn bin(&mut self, id: &str) {
        let bin = self.inventory.recycle_bin.as_mut().unwrap();
        bin.items.push(Binned {
            id: id.into(),
            name: None,
            entered: None,
            exits: None,
        });
    }

    fn ground(&self) -> Ground<'_> {
        let mut policies = self.policies.policies.iter();
        Ground {
            policies: &self.policies,
            policy: policies.find(|p| p.name == self.policy).unwrap(),
            inventory: &self.inventory,
            images: &self.images,
            snapshots: &self.snapshots,
            account: Some(OWNER),
            run: "adopt-1",
        }
    }

    pub fn propose(&self, ids: &[&str]) -> Vec<Proposal> {
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        propose(&self.ground(), &ids)
    }

    pub fn taggings(&self, id: &str) -> Vec<Tagging> {
        match self.propose(&[id]).remove(0).proposed {
            Proposed::Adopt(taggings) => taggings,
            other => panic!("{other:?}"),
        }
    }

    pub fn refused(&self, id: &str) -> Reason {
        match self.propose(&[id]).remove(0).proposed {
            Proposed::Refuse(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    /// Verdicts once these are adopted.
    pub fn judged(&self, ids: &[&str]) -> Vec<Verdict> {
        let inventory = as_if_adopted(&self.ground(), &self.propose(ids));
        let evidence = Evidence {
            inventory: &inventory,
            on_record: &OnRecord::default(),
            account: Some(OWNER),
        };
        judge(&self.policies, &evidence, now(), None)
    }
}
