//! Random worlds: snapshots, AMIs over them, and what refers to both.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::artifact::{ArtifactKind, PIN, Stamp, image_name};
use holdfast_core::id::{ImageId, InstanceId, LaunchTemplateId, SnapshotId, VolumeId};
use holdfast_core::inventory::{
    Image, ImageMapping, ImageState, Instance, InstanceState, Inventory, LaunchTemplateVersion,
    Listing, MappingTarget, Snapshot, SnapshotState, Source, Tags, Volume, VolumeState,
};
use holdfast_core::plan::judge::{Evidence, Leftover, OnRecord, Verdict, judge};
use holdfast_core::plan::settle::{Recorded, settle};
use holdfast_core::policy::PolicyFile;
use holdfast_core::ports::{CallError, ErrorClass};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

pub use crate::policies::policies;
use crate::policies::{Words, words};
use crate::referrers::{Referrers, referrers};

pub fn now() -> Timestamp {
    "2026-06-15T12:00:00Z".parse().unwrap()
}

/// This many random worlds, or as many more as `PROPTEST_CASES` asks for.
pub fn at_least(cases: u32) -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig {
        cases: asked.cases.max(cases),
        ..asked
    }
}

#[derive(Clone, Debug)]
pub struct World {
    pub snapshots: Vec<Snapshot>,
    /// Backing snapshots whose tags somebody took off.
    pub mapped: Vec<Snapshot>,
    pub images: Vec<Image>,
    pub instances: Vec<Instance>,
    pub volumes: Vec<Volume>,
    pub templates: Vec<LaunchTemplateVersion>,
    pub leftovers: BTreeMap<String, Leftover>,
    pub gone_since: BTreeMap<String, Timestamp>,
    pub referrers: Referrers,
    pub words: Words,
    /// Lists that end early: after half of it.
    pub failed: BTreeSet<Source>,
    pub mapped_failed: bool,
}

pub fn list<T: Clone>(items: &[T], source: Source, failed: &BTreeSet<Source>) -> Listing<T> {
    let mut list = Listing::complete(source, items.to_vec(), now());
    if failed.contains(&source) {
        list.items.truncate(items.len() / 2);
        list.error = Some(CallError {
            operation: "Describe",
            resource: "*".into(),
            code: Some("RequestLimitExceeded".into()),
            class: ErrorClass::Throttled,
            message: "page 2".into(),
        });
    }
    list
}

impl World {
    /// The policies, with the world's words in each.
    pub fn policies(&self) -> PolicyFile {
        self.words.in_each()
    }

    pub fn inventory(&self) -> Inventory {
        let failed = &self.failed;
        let mut mapped = failed.clone();
        mapped.extend(self.mapped_failed.then_some(Source::Snapshots));
        let versions = [&self.templates[..], &self.referrers.versions].concat();
        let more = &self.referrers;
        Inventory {
            snapshots: list(&self.snapshots, Source::Snapshots, failed).into_items(),
            mapped: list(&self.mapped, Source::Snapshots, &mapped),
            pending: list(&more.pending, Source::Snapshots, failed),
            images: list(&self.images, Source::Images, failed).into_items(),
            instances: list(&self.instances, Source::Instances, failed),
            volumes: list(&self.volumes, Source::Volumes, failed),
            templates: Some(list(&versions, Source::LaunchTemplates, failed)),
            launch_configurations: Some(list(
                &more.configurations,
                Source::LaunchConfigurations,
                failed,
            )),
            auto_scaling: Some(list(&more.groups, Source::AutoScaling, failed)),
            fleets: Some(list(&more.fleets, Source::Fleets, failed)),
            fast_restores: Some(list(&more.restores, Source::FastRestore, failed)),
            recycle_bin: Some(list(&[], Source::RecycleBin, failed)),
            locks: list(&more.locks, Source::Locks, failed),
        }
    }

    /// The world in which no source is recorded as gone before the newest that was made of it.
    pub fn with_truthful_absences(mut self) -> Self {
        for verdict in self.judge() {
            let source = verdict.subject.source().map(str::to_owned);
            let recorded = source.and_then(|source| self.gone_since.get_mut(&source));
            if let (Some(recorded), Some(time)) = (recorded, verdict.subject.time()) {
                *recorded = time.max(*recorded);
            }
        }
        self
    }

    pub fn judge(&self) -> Vec<Verdict> {
        let inventory = self.inventory();
        let on_record = OnRecord {
            gone_since: self.gone_since.clone(),
            leftovers: self.leftovers.clone(),
            binned: self.referrers.binned.clone(),
        };
        let evidence = Evidence {
            inventory: &inventory,
            on_record: &on_record,
            account: Some("111122223333"),
        };
        judge(&self.policies(), &evidence, now(), None)
    }

    pub fn settled(&self) -> Vec<Verdict> {
        let mut verdicts = self.judge();
        settle(
            policies(),
            &mut verdicts,
            &Recorded::default(),
            now(),
            now(),
        );
        verdicts
    }
}

pub fn condemned(verdicts: &[Verdict]) -> BTreeSet<String> {
    verdicts
        .iter()
        .filter(|v| v.is_condemned())
        .map(|v| v.subject.id().to_owned())
        .collect()
}

prop_compose! {
    fn snapshot(n: usize)(
        policy in prop::sample::select(vec![
            "a", "a", "b", "b-old", "c", "gone", "m", "m", "g",
        ]),
        volume in 0..4u8,
        set in prop::bool::weighted(0.3),
        hours in -20..1_500i64,
        state in prop::sample::select(vec![
            SnapshotState::Completed, SnapshotState::Completed, SnapshotState::Completed,
            SnapshotState::Completed, SnapshotState::Pending, SnapshotState::Error,
            SnapshotState::Unknown("new".into()),
        ]),
        kind in prop::sample::select(vec![
            ArtifactKind::Snapshot, ArtifactKind::Snapshot, ArtifactKind::Snapshot,
            ArtifactKind::ImageSnapshot,
        ]),
        broken in 0..24u8,
    ) -> Snapshot {
        // Sets share run and slot by the hour they were taken in.
        let slot = now() - SignedDuration::from_hours(hours);
        let source = if set { "i-1".to_owned() } else { format!("vol-{volume}") };
        let stamp = Stamp {
            kind, policy, source: &source, slot, run: &format!("run-{hours}"), group: None,
        };
        let mut tags: Tags = stamp.tags();
        let mut owner = Some("111122223333".to_owned());
        match broken {
            0 => { tags.remove("holdfast:managed"); }
            1 => { tags.insert(PIN.into(), "keep".into()); }
            2 => owner = Some("999999999999".into()),
            3 => { tags.insert("aws:dlm:lifecycle-policy-id".into(), "policy-1".into()); }
            4 => { tags.insert("holdfast:artifact".into(), "mystery".into()); }
            _ => {}
        }
        Snapshot {
            id: SnapshotId::new(format!("snap-{n:03}")),
            volume: Some(VolumeId::new(format!("vol-{volume}"))),
            state,
            start: if broken == 5 { None } else { Some(slot) },
            owner,
            owner_alias: None,
            size_gib: Some(8),
            tier: None,
            state_message: None,
            kms_key: None,
            description: String::new(),
            tags,
        }
    }
}

pub fn image(n: usize, state: ImageState, snapshots: Vec<usize>) -> Image {
    Image {
        id: ImageId::new(format!("ami-{n}")),
        name: None,
        state,
        state_reason: None,
        deregistration_protected: false,
        source_image: None,
        source_region: None,
        last_launched: None,
        deprecated: None,
        public: false,
        owner: Some("111122223333".into()),
        created: None,
        source_instance: None,
        root_device: None,
        mappings: snapshots
            .into_iter()
            .map(|s| ImageMapping {
                device: "/dev/sdb".into(),
                target: MappingTarget::Ebs(Some(SnapshotId::new(format!("snap-{s:03}")))),
            })
            .collect(),
        tags: Tags::new(),
    }
}

pub fn template(n: usize, snapshot: usize) -> LaunchTemplateVersion {
    LaunchTemplateVersion {
        resolved: None,
        template: LaunchTemplateId::new(format!("lt-{n}")),
        name: None,
        version: 1,
        default: false,
        image: None,
        snapshots: vec![SnapshotId::new(format!("snap-{snapshot:03}"))],
    }
}

/// One run of `CreateImage`: the AMI, its snapshots, and what came to depend on it.
#[derive(Clone, Debug)]
struct Baked {
    image: Image,
    snapshots: Vec<Snapshot>,
    mapped: Vec<Snapshot>,
    instance: Option<Instance>,
    template: Option<LaunchTemplateVersion>,
}

fn machine(id: String, state: InstanceState, image: Option<ImageId>, tags: Tags) -> Instance {
    Instance {
        id: InstanceId::new(id),
        state,
        image,
        instance_type: None,
        launched: None,
        root_device: None,
        root_device_type: None,
        lifecycle: Default::default(),
        launch: None,
        devices: vec![],
        tags,
    }
}

pub fn backing(
    n: usize,
    device: usize,
    state: SnapshotState,
    time: Timestamp,
    tags: Tags,
) -> Snapshot {
    Snapshot {
        id: SnapshotId::new(format!("snap-b{n:02}-{device}")),
        volume: Some(VolumeId::new(format!("vol-{device}"))),
        state,
        start: Some(time),
        owner: Some("111122223333".into()),
        owner_alias: None,
        size_gib: Some(8),
        tier: None,
        state_message: None,
        kms_key: None,
        description: String::new(),
        tags,
    }
}

prop_compose! {
    fn baked(n: usize)(
        policy in prop::sample::select(vec!["m", "m", "m", "k", "k", "g", "g", "a", "gone"]),
        // The last of them is in no list of instances.
        source in 0..4u8,
        hours in -10..200i64,
        state in prop::sample::select(vec![
            ImageState::Available, ImageState::Available, ImageState::Available,
            ImageState::Available, ImageState::Available, ImageState::Pending,
            ImageState::Failed, ImageState::Disabled, ImageState::Deregistered,
            ImageState::Unknown("new".into()),
        ]),
        devices in 1..3usize,
        backing_state in prop::sample::select(vec![
            SnapshotState::Completed, SnapshotState::Completed, SnapshotState::Completed,
            SnapshotState::Completed, SnapshotState::Completed, SnapshotState::Completed,
            SnapshotState::Pending, SnapshotState::Error,
        ]),
        shared in prop::bool::weighted(0.15),
        broken in 0..40u8,
        launched in prop::option::weighted(0.15, prop::sample::select(vec![
            InstanceState::Running, InstanceState::Stopped, InstanceState::Terminated,
            InstanceState::ShuttingDown,
        ])),
        named in prop::bool::weighted(0.1),
        last_launched in prop::option::weighted(0.2, 0..100i64),
    ) -> Baked {
        let slot = now() - SignedDuration::from_hours(hours);
        let machine_id = format!("i-{source}");
        let run = format!("run-{n}");
        let tags = |kind| Stamp {
            kind, policy, source: &machine_id, slot, run: &run, group: None,
        }.tags();
        let mut snapshots: Vec<Snapshot> = (0..devices).map(|device| backing(
            n, device, backing_state.clone(), slot, tags(ArtifactKind::ImageSnapshot),
        )).collect();
        let mut mappings: Vec<ImageMapping> = snapshots.iter().map(|s| ImageMapping {
            device: "/dev/sdb".into(), target: MappingTarget::Ebs(Some(s.id.clone())),
        }).collect();
        mappings.push(ImageMapping {
            device: "/dev/sdz".into(), target: MappingTarget::InstanceStore("ephemeral0".into()),
        });
        if shared && n > 0 {
            let other = SnapshotId::new(format!("snap-b{:02}-0", n - 1));
            let target = MappingTarget::Ebs(Some(other));
            mappings.push(ImageMapping { device: "/dev/sdy".into(), target });
        }
        let id = ImageId::new(format!("ami-b{n:02}"));
        let mut image = Image {
            id: id.clone(),
            name: Some(image_name(policy, &machine_id, slot, 1)),
            state, state_reason: None, deregistration_protected: false, source_image: None, source_region: None,
            last_launched: last_launched.map(|h| now() - SignedDuration::from_hours(h)),
            deprecated: None, public: false,
            owner: Some("111122223333".into()), created: Some(slot),
            source_instance: Some(InstanceId::new(machine_id.clone())),
            root_device: None, mappings, tags: tags(ArtifactKind::Image),
        };
        let mut mapped = Vec::new();
        match broken {
            0 => { image.tags.remove("holdfast:managed"); }
            1 => { image.tags.insert(PIN.into(), "keep".into()); }
            2 => image.owner = Some("999999999999".into()),
            3 => image.deregistration_protected = true,
            4 => image.name = Some("golden copy".into()),
            5 => image.source_instance = Some(InstanceId::new("i-9")),
            6 => image.mappings[0].target = MappingTarget::Ebs(None),
            7 => { snapshots.remove(0); }
            8 => { snapshots[0].tags.insert(PIN.into(), "keep".into()); }
            9 => { snapshots[0].tags.insert("aws:backup:source-resource".into(), "x".into()); }
            10 => {
                let mut bare = snapshots.remove(0);
                bare.tags.clear();
                mapped.push(bare);
            }
            11 => { snapshots[0].tags.insert("holdfast:artifact".into(), "snapshot".into()); }
            12 => image.created = None,
            13 => image.mappings.clear(),
            14 => image.public = true,
            _ => {}
        }
        Baked {
            instance: launched.map(|state| {
                machine(format!("i-from-{n}"), state, Some(id.clone()), Tags::new())
            }),
            template: named.then(|| LaunchTemplateVersion { resolved: None,
                image: Some(id.to_string()), snapshots: vec![], ..template(100 + n, 0)
            }),
            image, snapshots, mapped,
        }
    }
}

pub fn world() -> impl Strategy<Value = World> {
    let snapshots =
        (1..40usize).prop_flat_map(|count| (0..count).map(snapshot).collect::<Vec<_>>());
    let states = prop::sample::select(vec![
        ImageState::Available,
        ImageState::Pending,
        ImageState::Disabled,
        ImageState::Failed,
        ImageState::Deregistered,
        ImageState::Unknown("new".into()),
    ]);
    let images = prop::collection::vec((states, prop::collection::vec(0..40usize, 0..3)), 0..4);
    let templates = prop::collection::vec(0..40usize, 0..3);
    let pinned = prop::collection::vec(prop::bool::weighted(0.1), 8);
    let baked = (0..14usize).prop_flat_map(|count| (0..count).map(baked).collect::<Vec<_>>());
    let leftovers = prop::collection::vec((0..40usize, 0..1_500i64), 0..6);
    // What is recorded as gone may stand in a list, and may have been forged.
    let absent = prop::sample::select(vec!["i-0", "i-1", "i-3", "vol-0", "vol-3"]);
    let gone = prop::collection::btree_map(absent, 0..4_000i64, 0..4);
    let more = (referrers(), words());
    let all = (
        snapshots, images, templates, pinned, baked, leftovers, gone, more,
    );
    all.prop_map(
        |(snapshots, images, templates, pinned, baked, leftovers, gone, (referrers, words))| {
            let tags = |pinned: bool| {
                if pinned {
                    Tags::from([(PIN.to_owned(), "x".to_owned())])
                } else {
                    Tags::new()
                }
            };
            let machines = (0..3).map(|n| {
                let id = format!("i-{n}");
                machine(id, InstanceState::Running, None, tags(pinned[4 + n]))
            });
            let mut world = World {
                snapshots,
                mapped: vec![],
                images: images
                    .into_iter()
                    .enumerate()
                    .map(|(n, (s, m))| image(n, s, m))
                    .collect(),
                instances: machines.collect(),
                volumes: (0..4)
                    .map(|n| Volume {
                        id: VolumeId::new(format!("vol-{n}")),
                        state: VolumeState::Available,
                        volume_type: None,
                        size_gib: None,
                        created: None,
                        kms_key: None,
                        attachments: vec![],
                        tags: tags(pinned[n]),
                    })
                    .collect(),
                templates: templates
                    .into_iter()
                    .enumerate()
                    .map(|(n, s)| template(n, s))
                    .collect(),
                leftovers: BTreeMap::new(),
                gone_since: BTreeMap::new(),
                referrers,
                words,
                failed: BTreeSet::new(),
                mapped_failed: false,
            };
            for one in baked {
                world.images.push(one.image);
                world.snapshots.extend(one.snapshots);
                world.mapped.extend(one.mapped);
                world.instances.extend(one.instance);
                world.templates.extend(one.template);
            }
            for (id, hours) in gone {
                let since = now() - SignedDuration::from_hours(hours);
                world.gone_since.insert(id.to_owned(), since);
            }
            for (n, hours) in leftovers {
                let leftover = Leftover {
                    image: ImageId::new(format!("ami-was-{n}")),
                    time: now() - SignedDuration::from_hours(hours),
                    tries: 0,
                    last: None,
                };
                world.leftovers.insert(format!("snap-{n:03}"), leftover);
            }
            world
        },
    )
}
