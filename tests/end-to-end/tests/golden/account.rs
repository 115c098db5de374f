//! The account that the golden files show: small, fixed, and with one of everything.

use holdfast_core::artifact::image_name;
use holdfast_core::id::{ImageId, InstanceId, SnapshotId, VolumeId};
use holdfast_core::inventory::{InstanceState, SnapshotState};
use holdfast_end_to_end::images::{deregister_by_hand, template_over};
use holdfast_end_to_end::{World, at, device, report, tags};
use holdfast_sim::{
    Account, Grantee, ImageSeed, InstanceSeed, LaunchSettings, Settings, SnapshotSeed, VolumeSeed,
};

/// Four policies: sets and single snapshots, AMIs with a trigger, one whose breaker trips, and one
/// that is paused.
pub const POLICIES: &str = r#"version: 1
require: [{ resource: volumes, tags: { Tier: gold } }]
prices: { standard: 0.05 }
policies:
  - name: nightly
    protect: volumes
    select:
      instances: { tags: { Backup: nightly } }
      volumes: { tags: { Backup: nightly } }
    schedule: "cron(0 3 * * ? *)"
    timezone: Europe/Berlin
    retain: { last: 2, weekly: 1 }
  - name: bake
    protect: instances
    select: { instances: { tags: { Bake: "yes" } } }
    schedule: "cron(30 3 * * ? *)"
    triggers: [stopped]
    retain: { last: 2 }
    evidence: { fleets: not-used }
  - name: ledger
    protect: volumes
    select: { volumes: { tags: { Backup: ledger } } }
    schedule: "rate(12 hours)"
    retain: { last: 1 }
    limits: { max_shrink: 10%, free: 0 }
  - name: archive
    protect: volumes
    select: { volumes: { tags: { Backup: archive } } }
    schedule: "cron(0 5 ? * SUN *)"
    retain: { weekly: 4, monthly: 12 }
    state: paused
"#;

/// The time of everything that can be asked for a time.
pub const NOW: &str = "2026-03-02T10:30:00Z";
const DATABASE: &str = "i-0000000000000d00d";
const ROOT: &str = "vol-0000000000000da01";
const DATA: &str = "vol-0000000000000da02";
const WEB: &str = "i-00000000000000eb0";
const WEB_ROOT: &str = "vol-00000000000000eb1";
const WEB_DATA: &str = "vol-00000000000000eb2";
const LEDGER: &str = "vol-00000000000001ed0";
const GOLD: &str = "vol-0000000000000901d";
const GONE: &str = "vol-0000000000000dead";

/// What the commands name.
pub struct Named {
    /// A member of a set that a rule keeps.
    pub kept: String,
    /// A member of a set that no rule keeps.
    pub expired: String,
    /// One that is pinned.
    pub pinned: String,
    /// One that another tool made.
    pub foreign: String,
    /// A single volume with backups.
    pub volume: String,
    /// The instance whose volumes are taken in sets.
    pub instance: String,
    /// An AMI that a launch template names.
    pub image: String,
}

/// An identifier of these seeds: those that EC2 chooses do not begin with zeros.
fn id(kind: &str, number: u32) -> String {
    format!("{kind}-{number:017x}")
}

fn stamp(
    artifact: &str,
    policy: &str,
    source: &str,
    time: &str,
) -> std::collections::BTreeMap<String, String> {
    tags(&[
        ("holdfast:managed", "true"),
        ("holdfast:artifact", artifact),
        ("holdfast:policy", policy),
        ("holdfast:source", source),
        ("holdfast:slot", time),
        ("holdfast:run", &format!("run-{time}")),
    ])
}

fn volume(account: &mut Account, id: &str, size_gib: i32, pairs: &[(&str, &str)]) -> VolumeId {
    account.seed_volume(VolumeSeed {
        id: Some(VolumeId::new(id)),
        size_gib,
        tags: tags(pairs),
        ..VolumeSeed::default()
    })
}

fn snapshot(account: &mut Account, number: u32, seed: SnapshotSeed) -> String {
    let id = id("snap", number);
    account.seed_snapshot(SnapshotSeed {
        id: Some(SnapshotId::new(&id)),
        ..seed
    });
    id
}

/// A backup of one volume, with more tags.
fn backup(
    account: &mut Account,
    number: u32,
    of: (&str, &str, i32),
    time: &str,
    more: &[(&str, &str)],
) -> String {
    let (policy, volume, size_gib) = of;
    let mut all = stamp("snapshot", policy, volume, time);
    all.extend(tags(more));
    let seed = SnapshotSeed {
        volume: Some(VolumeId::new(volume)),
        started: Some(at(time)),
        size_gib: Some(size_gib),
        tags: all,
        ..SnapshotSeed::default()
    };
    snapshot(account, number, seed)
}

fn machines(account: &mut Account) {
    let root = volume(account, ROOT, 8, &[("Name", "db root")]);
    let data = volume(account, DATA, 100, &[("Name", "db data")]);
    account.seed_instance(InstanceSeed {
        id: Some(InstanceId::new(DATABASE)),
        devices: vec![("/dev/xvda".into(), root), ("/dev/sdb".into(), data)],
        tags: tags(&[("Backup", "nightly"), ("Name", "db")]),
        ..InstanceSeed::default()
    });
    let root = volume(account, WEB_ROOT, 8, &[]);
    let data = volume(account, WEB_DATA, 20, &[]);
    account.seed_instance(InstanceSeed {
        id: Some(InstanceId::new(WEB)),
        instance_type: "m5d.large".into(),
        devices: vec![("/dev/xvda".into(), root), ("/dev/sdb".into(), data)],
        launch: LaunchSettings {
            subnet: Some("subnet-0a1".into()),
            security_groups: vec!["sg-0a1".into()],
            key_name: Some("ops".into()),
            instance_profile: Some("arn:aws:iam::111122223333:instance-profile/web".into()),
            metadata_tokens: true,
            ebs_optimized: true,
        },
        tags: tags(&[("Bake", "yes"), ("Name", "web")]),
        ..InstanceSeed::default()
    });
    volume(account, LEDGER, 50, &[("Backup", "ledger")]);
    volume(account, GOLD, 200, &[("Tier", "gold")]);
}

/// Daily sets of the database's volumes, the newest four days old: the younger ones were missed.
fn sets(account: &mut Account) {
    for (n, day) in (0x100..).step_by(0x10).zip(["22", "23", "24", "25", "26"]) {
        let time = format!("2026-02-{day}T02:00:00Z");
        for (member, (volume, size_gib)) in (n..).zip([(ROOT, 8), (DATA, 100)]) {
            let mut seed = SnapshotSeed {
                volume: Some(VolumeId::new(volume)),
                started: Some(at(&time)),
                size_gib: Some(size_gib),
                tags: stamp("snapshot", "nightly", DATABASE, &time),
                ..SnapshotSeed::default()
            };
            if (day, volume) == ("23", DATA) {
                let pin = ("holdfast:pin".to_owned(), "audit 2026".to_owned());
                seed.tags.extend([pin]);
            }
            snapshot(account, member, seed);
        }
    }
}

/// Backups of the ledger, of a volume that is gone, one that failed, and another tool's.
fn singles(account: &mut Account) {
    let ledger = ("ledger", LEDGER, 50);
    for (n, day) in (0x200..).zip(["26", "27", "28"]) {
        let time = format!("2026-02-{day}T12:00:00Z");
        backup(account, n, ledger, &time, &[]);
    }
    let gone = ("nightly", GONE, 30);
    for (n, day) in (0x300..).zip(["10", "11", "12", "13"]) {
        let time = format!("2026-02-{day}T02:00:00Z");
        backup(account, n, gone, &time, &[]);
    }
    let time = "2026-03-01T12:00:00Z";
    let failed = SnapshotSeed {
        volume: Some(VolumeId::new(LEDGER)),
        started: Some(at(time)),
        size_gib: Some(50),
        state: Some(SnapshotState::Error),
        tags: stamp("snapshot", "ledger", LEDGER, time),
        ..SnapshotSeed::default()
    };
    snapshot(account, 0x210, failed);
    let foreign = SnapshotSeed {
        volume: Some(VolumeId::new(LEDGER)),
        started: Some(at("2026-02-27T18:00:00Z")),
        size_gib: Some(50),
        tags: tags(&[("Name", "before the upgrade")]),
        ..SnapshotSeed::default()
    };
    snapshot(account, 0x220, foreign);
}

/// A daily AMI of the web server, with its two snapshots and a disk that none holds.
fn image(account: &mut Account, number: u32, day: &str, shared: bool) -> String {
    let time = format!("2026-02-{day}T03:30:00Z");
    let mut snapshots = Vec::new();
    for (n, (volume, size_gib)) in (number + 1..).zip([(WEB_ROOT, 8), (WEB_DATA, 20)]) {
        let seed = SnapshotSeed {
            volume: Some(VolumeId::new(volume)),
            started: Some(at(&time)),
            size_gib: Some(size_gib),
            tags: stamp("image-snapshot", "bake", WEB, &time),
            ..SnapshotSeed::default()
        };
        snapshots.push(snapshot(account, n, seed));
    }
    let id = id("ami", number);
    let grantee = Grantee::Account("444455556666".into());
    account.seed_image(ImageSeed {
        id: Some(ImageId::new(&id)),
        name: Some(image_name("bake", WEB, at(&time), 1)),
        created: Some(at(&time)),
        source_instance: Some(InstanceId::new(WEB)),
        mappings: vec![
            device("/dev/xvda", &snapshots[0]),
            device("/dev/sdb", &snapshots[1]),
            holdfast_sim::BlockDevice::ephemeral("/dev/sdc", "ephemeral0"),
        ],
        shared_with: shared.then_some(grantee).into_iter().collect(),
        tags: stamp("image", "bake", WEB, &time),
        ..ImageSeed::default()
    });
    id
}

/// The account as its seeds and the functions left it, at [`NOW`].
pub async fn world() -> (World, Named) {
    let earlier = |settings: &mut Settings| {
        settings.start = at("2026-02-20T00:00:00Z");
        settings.instance_duration = jiff::SignedDuration::ZERO;
    };
    let world = World::with(POLICIES, "plan", earlier, |account| {
        machines(account);
        sets(account);
        singles(account);
    })
    .await;
    let images: Vec<String> = world.account(|account| {
        let days = ["21", "22", "23", "24", "25", "26", "27"];
        let images = (0x400..).step_by(0x10).zip(days);
        images
            .map(|(n, day)| image(account, n, day, day == "22"))
            .collect()
    });
    // In use: the oldest by an instance, the third by a launch template. The fourth was deregistered
    // by somebody who left its snapshots.
    world.account(|account| {
        account.seed_instance(InstanceSeed {
            id: Some(InstanceId::new("i-00000000000001e9a")),
            image: Some(ImageId::new(&images[0])),
            state: InstanceState::Stopped,
            tags: tags(&[("Name", "legacy")]),
            ..InstanceSeed::default()
        })
    });
    template_over(&world, "web", &[&images[2], &images[6]]);
    world.reconcile("2026-03-02T08:00:00Z").await;
    deregister_by_hand(&world, &images[3]);
    run(&world).await;
    let named = Named {
        kept: id("snap", 0x141),
        expired: id("snap", 0x100),
        pinned: id("snap", 0x111),
        foreign: id("snap", 0x220),
        volume: LEDGER.to_owned(),
        instance: DATABASE.to_owned(),
        image: images[2].clone(),
    };
    (world, named)
}

/// The functions at work: a bake of the web server's stop, the slots that are due, and a reconcile.
async fn run(world: &World) {
    world.stop("2026-03-02T09:00:00Z", WEB);
    let stopped = world.state_change("2026-03-02T09:00:20Z", WEB, "stopped");
    let images = world.function("create-images");
    report(&images, &stopped).await;
    let beat = world.heartbeat("2026-03-02T09:05:00Z");
    report(&world.function("create-snapshots"), &beat).await;
    world.reconcile("2026-03-02T10:00:00Z").await;
    world.advance(NOW);
}
