//! What must hold of every plan, over thousands of random worlds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use holdfast_core::artifact::{ArtifactKind, PIN, Stamp};
use holdfast_core::id::{ImageId, InstanceId, LaunchTemplateId, SnapshotId, VolumeId};
use holdfast_core::inventory::{
    Image, ImageMapping, ImageState, Instance, InstanceState, LaunchTemplateVersion, Listing,
    MappingTarget, Snapshot, SnapshotState, Source, Tags, Volume, VolumeState,
};
use holdfast_core::plan::judge::{Decision, Evidence, Verdict, judge};
use holdfast_core::plan::settle::{Recorded, settle};
use holdfast_core::policy::PolicyFile;
use holdfast_core::ports::{CallError, ErrorClass};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

const POLICIES: &str = r#"
version: 1
policies:
  - name: a
    protect: volumes
    select: { volumes: { tags: { Backup: a } } }
    schedule: rate(1 hour)
    retain: { last: 2, daily: 3 }
    min_copies: 2
    limits: { max_shrink: 100%, free: 0 }
  - name: b
    protect: volumes
    select: { volumes: { tags: { Backup: b } } }
    schedule: rate(1 hour)
    timezone: Europe/Berlin
    retain: { within: 30h }
    group: policy
    formerly: [b-old]
    limits: { max_shrink: 30%, free: 3 }
  - name: c
    protect: volumes
    select: { volumes: { tags: { Backup: c } } }
    schedule: rate(1 hour)
    retain: { last: 1 }
    state: paused
"#;

fn now() -> Timestamp {
    "2026-06-15T12:00:00Z".parse().unwrap()
}

fn policies() -> &'static PolicyFile {
    static FILE: LazyLock<PolicyFile> =
        LazyLock::new(|| PolicyFile::parse("policies.yaml", POLICIES, now()).unwrap());
    &FILE
}

#[derive(Clone, Debug)]
struct World {
    snapshots: Vec<Snapshot>,
    images: Vec<Image>,
    instances: Vec<Instance>,
    volumes: Vec<Volume>,
    templates: Vec<LaunchTemplateVersion>,
    failed: Option<Source>,
}

fn list<T: Clone>(items: &[T], source: Source, failed: Option<Source>) -> Listing<T> {
    let mut list = Listing::complete(source, items.to_vec(), now());
    if failed == Some(source) {
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
    fn judge(&self) -> Vec<Verdict> {
        let snapshots = list(&self.snapshots, Source::Snapshots, self.failed);
        let images = list(&self.images, Source::Images, self.failed);
        let instances = list(&self.instances, Source::Instances, self.failed);
        let volumes = list(&self.volumes, Source::Volumes, self.failed);
        let templates = list(&self.templates, Source::LaunchTemplates, self.failed);
        let evidence = Evidence {
            snapshots: &snapshots,
            images: &images,
            instances: &instances,
            volumes: &volumes,
            templates: Some(&templates),
            gone_since: &BTreeMap::new(),
            account: Some("111122223333"),
        };
        judge(policies(), &evidence, now(), None)
    }

    fn settled(&self) -> Vec<Verdict> {
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

fn condemned(verdicts: &[Verdict]) -> BTreeSet<SnapshotId> {
    verdicts
        .iter()
        .filter(|v| v.is_condemned())
        .map(|v| v.snapshot.id.clone())
        .collect()
}

prop_compose! {
    fn snapshot(n: usize)(
        policy in prop::sample::select(vec!["a", "a", "b", "b-old", "c", "gone"]),
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
            description: String::new(),
            tags,
        }
    }
}

fn image(n: usize, state: ImageState, snapshots: Vec<usize>) -> Image {
    Image {
        id: ImageId::new(format!("ami-{n}")),
        name: None,
        state,
        state_reason: None,
        deregistration_protected: false,
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

fn template(n: usize, snapshot: usize) -> LaunchTemplateVersion {
    LaunchTemplateVersion {
        template: LaunchTemplateId::new(format!("lt-{n}")),
        name: None,
        version: 1,
        default: false,
        image: None,
        snapshots: vec![SnapshotId::new(format!("snap-{snapshot:03}"))],
    }
}

fn world() -> impl Strategy<Value = World> {
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
    let pinned = prop::collection::vec(prop::bool::weighted(0.1), 5);
    (snapshots, images, templates, pinned).prop_map(|(snapshots, images, templates, pinned)| {
        let tags = |pinned: bool| {
            if pinned {
                Tags::from([(PIN.to_owned(), "x".to_owned())])
            } else {
                Tags::new()
            }
        };
        World {
            snapshots,
            images: images
                .into_iter()
                .enumerate()
                .map(|(n, (s, m))| image(n, s, m))
                .collect(),
            instances: vec![Instance {
                id: InstanceId::new("i-1"),
                state: InstanceState::Running,
                image: None,
                instance_type: None,
                launched: None,
                root_device: None,
                root_device_type: None,
                devices: vec![],
                tags: tags(pinned[4]),
            }],
            volumes: (0..4)
                .map(|n| Volume {
                    id: VolumeId::new(format!("vol-{n}")),
                    state: VolumeState::Available,
                    volume_type: None,
                    size_gib: None,
                    attachments: vec![],
                    tags: tags(pinned[n]),
                })
                .collect(),
            templates: templates
                .into_iter()
                .enumerate()
                .map(|(n, s)| template(n, s))
                .collect(),
            failed: None,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_is_needed_pinned_or_not_ours_is_condemned(world in world()) {
        let gone = condemned(&world.settled());
        for snapshot in world.snapshots.iter().filter(|s| gone.contains(&s.id)) {
            let mapped = world.images.iter().any(|i| i.snapshots().any(|id| *id == snapshot.id));
            prop_assert!(!mapped, "{} is mapped", snapshot.id);
            let named = world.templates.iter().any(|t| t.snapshots.contains(&snapshot.id));
            prop_assert!(!named, "{} is named by a launch template", snapshot.id);
            prop_assert_eq!(snapshot.tags.get("holdfast:managed").map(String::as_str), Some("true"));
            prop_assert_eq!(snapshot.owner.as_deref(), Some("111122223333"));
            prop_assert!(!snapshot.tags.contains_key(PIN));
            prop_assert!(!snapshot.tags.keys().any(|k| k.starts_with("aws:dlm:")));
            prop_assert!(matches!(
                snapshot.state, SnapshotState::Completed | SnapshotState::Error
            ));
            let pinned = world.volumes.iter()
                .any(|v| Some(&v.id) == snapshot.volume.as_ref() && v.tags.contains_key(PIN));
            prop_assert!(!pinned);
        }
    }

    #[test]
    fn every_group_keeps_its_min_copies(world in world()) {
        let gone = condemned(&world.settled());
        let good = |s: &&Snapshot| {
            s.state == SnapshotState::Completed && s.start.is_some()
                && s.owner.as_deref() == Some("111122223333")
                && s.tags.contains_key("holdfast:managed")
                && s.tags.get("holdfast:artifact").map(String::as_str) == Some("snapshot")
                && s.tags.get("holdfast:policy").map(String::as_str) == Some("a")
                && !s.tags.keys().any(|k| k.starts_with("aws:dlm:"))
        };
        for volume in 0..4 {
            let volume = VolumeId::new(format!("vol-{volume}"));
            let of_volume: Vec<&Snapshot> = world.snapshots.iter()
                .filter(|s| s.volume.as_ref() == Some(&volume)).filter(good).collect();
            let left = of_volume.iter().filter(|s| !gone.contains(&s.id)).count();
            prop_assert!(left >= of_volume.len().min(2), "{left} of {}", of_volume.len());
        }
    }

    #[test]
    fn every_managed_snapshot_has_one_verdict_with_a_reason(world in world()) {
        let verdicts = world.settled();
        let ids: Vec<_> = verdicts.iter().map(|v| v.snapshot.id.clone()).collect();
        let unique: BTreeSet<_> = ids.iter().cloned().collect();
        prop_assert_eq!(unique.len(), ids.len());
        for verdict in &verdicts {
            let (Decision::Keep(reasons) | Decision::Hold(reasons) | Decision::Condemn(reasons)) =
                &verdict.decision;
            prop_assert!(!reasons.is_empty(), "{} has no reason", verdict.snapshot.id);
        }
        for snapshot in &world.snapshots {
            let backing = snapshot.tags.get("holdfast:artifact").map(String::as_str)
                == Some("image-snapshot");
            prop_assert!(backing || unique.contains(&snapshot.id));
        }
    }

    #[test]
    fn the_order_of_the_lists_does_not_matter(
        (world, shuffled) in world().prop_flat_map(|world| {
            let snapshots = Just(world.snapshots.clone()).prop_shuffle();
            let images = Just(world.images.clone()).prop_shuffle();
            (Just(world), snapshots, images).prop_map(|(world, snapshots, images)| {
                (world.clone(), World { snapshots, images, ..world })
            })
        })
    ) {
        let decisions = |world: &World| -> BTreeMap<SnapshotId, Decision> {
            world.settled().into_iter().map(|v| (v.snapshot.id, v.decision)).collect()
        };
        let (one, other) = (decisions(&world), decisions(&shuffled));
        prop_assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
        for (id, decision) in &one {
            // The words may name another member of a kept set; the verdict may not differ.
            prop_assert_eq!(
                std::mem::discriminant(decision), std::mem::discriminant(&other[id]), "{}", id
            );
        }
    }

    #[test]
    fn one_more_reference_never_adds_a_deletion(world in world(), snapshot in 0..40usize) {
        let before = condemned(&world.judge());
        let mut more = world.clone();
        more.images.push(image(99, ImageState::Disabled, vec![snapshot]));
        prop_assert!(condemned(&more.judge()).is_subset(&before));
        let mut more = world;
        more.templates.push(template(99, snapshot));
        prop_assert!(condemned(&more.judge()).is_subset(&before));
    }

    #[test]
    fn a_list_that_ends_early_deletes_nothing(
        world in world(),
        failed in prop::sample::select(vec![
            Source::Snapshots, Source::Images, Source::Instances, Source::Volumes,
            Source::LaunchTemplates,
        ])
    ) {
        let cut = World { failed: Some(failed), ..world };
        prop_assert_eq!(condemned(&cut.settled()), BTreeSet::new());
    }

    #[test]
    fn a_table_that_cannot_be_read_deletes_nothing(world in world()) {
        let mut verdicts = world.judge();
        let recorded = Recorded { error: Some("no answer".into()), ..Recorded::default() };
        settle(policies(), &mut verdicts, &recorded, now(), now());
        prop_assert_eq!(condemned(&verdicts), BTreeSet::new());
    }

    #[test]
    fn a_plan_carried_out_leaves_nothing_more_to_delete(world in world()) {
        // Without the breaker of policy b, whose rest is for another day.
        let gone = condemned(&world.judge());
        let mut after = world;
        after.snapshots.retain(|s| !gone.contains(&s.id));
        prop_assert_eq!(condemned(&after.judge()), BTreeSet::new());
    }
}
