//! Random referrers: everything beside AMIs and instances that may need an artifact of a world.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::id::{ImageId, LaunchTemplateId, SnapshotId, VolumeId};
use holdfast_core::inventory::{
    FastRestore, LaunchTemplateVersion, Referrer, ReferrerKind, Snapshot, SnapshotLock,
    SnapshotState, Tags, TemplateName, TemplateUse,
};
use proptest::prelude::*;

/// What refers to a world's artifacts.
#[derive(Clone, Debug, Default)]
pub struct Referrers {
    pub versions: Vec<LaunchTemplateVersion>,
    pub configurations: Vec<Referrer>,
    pub groups: Vec<Referrer>,
    pub fleets: Vec<Referrer>,
    pub restores: Vec<FastRestore>,
    pub locks: Vec<SnapshotLock>,
    /// Snapshots in the making.
    pub pending: Vec<Snapshot>,
    /// Recorded of AMIs in the Recycle Bin, by snapshot.
    pub binned: BTreeMap<String, BTreeSet<ImageId>>,
}

impl Referrers {
    pub fn reversed(mut self) -> Self {
        self.versions.reverse();
        self.configurations.reverse();
        self.groups.reverse();
        self.fleets.reverse();
        self.restores.reverse();
        self.locks.reverse();
        self.pending.reverse();
        self
    }

    pub fn add(&mut self, more: Self) {
        self.versions.extend(more.versions);
        self.configurations.extend(more.configurations);
        self.groups.extend(more.groups);
        self.fleets.extend(more.fleets);
        self.restores.extend(more.restores);
        self.locks.extend(more.locks);
        self.pending.extend(more.pending);
        self.binned.extend(more.binned);
    }
}

fn image_name() -> impl Strategy<Value = String> {
    (0..14u8).prop_map(|n| format!("ami-b{n:02}"))
}

fn snapshot_name() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..40u8).prop_map(|n| format!("snap-{n:03}")),
        (0..14u8).prop_map(|n| format!("snap-b{n:02}-0")),
    ]
}

/// An AMI or a snapshot.
pub fn target() -> impl Strategy<Value = String> {
    prop_oneof![image_name(), snapshot_name()]
}

pub fn names(target: &str) -> (Vec<String>, Vec<SnapshotId>) {
    if target.starts_with("ami-") {
        (vec![target.to_owned()], vec![])
    } else {
        (vec![], vec![SnapshotId::new(target)])
    }
}

pub fn version(template: &str, number: i64, target: &str) -> LaunchTemplateVersion {
    let (images, snapshots) = names(target);
    LaunchTemplateVersion {
        template: LaunchTemplateId::new(template),
        name: Some(format!("name-of-{template}")),
        version: number,
        default: number == 1,
        image: images.into_iter().next(),
        resolved: None,
        snapshots,
    }
}

pub fn referrer(kind: ReferrerKind, id: &str, target: Option<&str>) -> Referrer {
    let (images, snapshots) = target.map(names).unwrap_or_default();
    Referrer {
        id: id.to_owned(),
        kind,
        state: None,
        images,
        snapshots,
        templates: vec![],
        launch_configuration: None,
    }
}

/// A template of up to four versions, whose default may not be told.
fn template(n: usize) -> impl Strategy<Value = Vec<LaunchTemplateVersion>> {
    let named = prop::collection::vec((target(), 0..30u8), 1..4);
    (named, 0..4i64, prop::bool::weighted(0.9)).prop_map(move |(named, default, has_name)| {
        let versions = named.into_iter().enumerate().map(|(i, (target, how))| {
            let number = 1 + i as i64;
            let mut version = version(&format!("lt-w{n}"), number, &target);
            version.default = number == default;
            if !has_name {
                version.name = None;
            }
            match (how, version.image.take()) {
                // Through a parameter that EC2 resolved, or that only its image references tell of.
                (0..=4, Some(image)) => {
                    version.image = Some("resolve:ssm:/golden:3".into());
                    version.resolved = Some(ImageId::new(image));
                }
                (5..=7, _) => version.image = Some("resolve:ssm:/golden".into()),
                (8, _) if n == 0 => version.image = Some("resolve:ssm:/golden:3".into()),
                (_, image) => version.image = image,
            }
            version
        });
        versions.collect()
    })
}

fn template_use() -> impl Strategy<Value = TemplateUse> {
    let versions = ["$Latest", "$Default", "1", "2", "9", "newest"];
    let version = prop::option::of(prop::sample::select(versions.to_vec()));
    (0..3u8, any::<bool>(), version).prop_map(|(n, by_name, version)| TemplateUse {
        template: match by_name {
            true => TemplateName::Name(format!("name-of-lt-w{n}")),
            false => TemplateName::Id(format!("lt-w{n}")),
        },
        version: version.map(str::to_owned),
    })
}

/// A launch configuration, group or fleet, alive or not.
fn any_referrer(n: usize) -> impl Strategy<Value = Referrer> {
    let kind = prop::sample::select(vec![
        ReferrerKind::LaunchConfiguration,
        ReferrerKind::AutoScalingGroup,
        ReferrerKind::AutoScalingGroup,
        ReferrerKind::Fleet,
        ReferrerKind::SpotFleet,
        ReferrerKind::SpotRequest,
    ]);
    let state = prop::option::of(prop::sample::select(vec![
        "active",
        "deleted",
        "cancelled",
        "closed",
        "failed",
        "new",
    ]));
    let named = prop::option::weighted(0.6, target());
    let uses = prop::collection::vec(template_use(), 0..2);
    let configuration = prop::option::of(0..4u8);
    (kind, state, named, uses, configuration).prop_map(
        move |(kind, state, named, uses, configuration)| {
            let mut one = referrer(kind, &format!("referrer-{n}"), named.as_deref());
            match kind {
                ReferrerKind::LaunchConfiguration => {}
                ReferrerKind::AutoScalingGroup => {
                    // Its overrides name AMIs and templates, never snapshots.
                    one.snapshots.clear();
                    one.templates = uses;
                    one.launch_configuration = configuration.map(|n| format!("referrer-{n}"));
                }
                ReferrerKind::Fleet | ReferrerKind::SpotFleet | ReferrerKind::SpotRequest => {
                    one.state = state.map(str::to_owned);
                    one.templates = uses;
                }
            }
            one
        },
    )
}

pub fn copy(id: &str, of: &str) -> Snapshot {
    Snapshot {
        id: SnapshotId::new(id),
        volume: Some(VolumeId::new("vol-ffffffff")),
        state: SnapshotState::Pending,
        start: None,
        owner: Some("111122223333".into()),
        owner_alias: None,
        size_gib: Some(8),
        tier: None,
        state_message: None,
        kms_key: None,
        description: format!("[Copied {of} from eu-central-1]"),
        tags: Tags::new(),
    }
}

pub fn restore(snapshot: &str, state: &str) -> FastRestore {
    FastRestore {
        snapshot: SnapshotId::new(snapshot),
        zone: "eu-central-1a".into(),
        state: state.to_owned(),
    }
}

pub fn lock(snapshot: &str, state: &str) -> SnapshotLock {
    SnapshotLock {
        snapshot: SnapshotId::new(snapshot),
        state: state.to_owned(),
        expires: None,
    }
}

pub fn binned(snapshot: &str) -> BTreeMap<String, BTreeSet<ImageId>> {
    let image = ImageId::new("ami-in-the-bin");
    BTreeMap::from([(snapshot.to_owned(), BTreeSet::from([image]))])
}

pub fn referrers() -> impl Strategy<Value = Referrers> {
    let templates = (0..4usize).prop_flat_map(|n| (0..n).map(template).collect::<Vec<_>>());
    let launching = (0..5usize).prop_flat_map(|n| (0..n).map(any_referrer).collect::<Vec<_>>());
    let restores = prop::collection::vec(
        (
            snapshot_name(),
            prop::sample::select(vec!["enabled", "disabled", "new"]),
        ),
        0..2,
    );
    let locks = prop::collection::vec(
        (
            snapshot_name(),
            prop::sample::select(vec!["governance", "expired", "new"]),
        ),
        0..2,
    );
    let copied = prop::collection::vec(target(), 0..2);
    let bin = prop::option::weighted(0.3, snapshot_name());
    (templates, launching, restores, locks, copied, bin).prop_map(
        |(templates, launching, restores, locks, copied, bin)| {
            let of = |kinds: &[ReferrerKind]| {
                let of_kind = launching.iter().filter(|one| kinds.contains(&one.kind));
                of_kind.cloned().collect::<Vec<_>>()
            };
            Referrers {
                versions: templates.into_iter().flatten().collect(),
                configurations: of(&[ReferrerKind::LaunchConfiguration]),
                groups: of(&[ReferrerKind::AutoScalingGroup]),
                fleets: of(&[
                    ReferrerKind::Fleet,
                    ReferrerKind::SpotFleet,
                    ReferrerKind::SpotRequest,
                ]),
                restores: restores.iter().map(|(id, s)| restore(id, s)).collect(),
                locks: locks.iter().map(|(id, s)| lock(id, s)).collect(),
                pending: copied
                    .iter()
                    .enumerate()
                    .map(|(n, of)| copy(&format!("snap-copy-{n}"), of))
                    .collect(),
                binned: bin.map(|id| binned(&id)).unwrap_or_default(),
            }
        },
    )
}
