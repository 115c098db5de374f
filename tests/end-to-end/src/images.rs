//! A stage for sweeps of AMIs: one instance with daily AMIs of two volumes.

use holdfast_core::artifact::image_name;
use holdfast_core::id::{ImageId, InstanceId, SnapshotId, VolumeId};
use holdfast_sim::request::{CreateLaunchTemplate, CreateLaunchTemplateVersion};
use holdfast_sim::request::{DeregisterImage, Request};
use holdfast_sim::{Account, ImageSeed, InstanceSeed, Response, SnapshotSeed, TemplateData};
use serde_json::Value;

use crate::backups::{NOW, day};
use crate::{World, at, device, report, tags};

/// One policy that keeps the newest two AMIs of each instance.
pub const POLICIES: &str = r#"
version: 1
policies:
  - name: bake
    protect: instances
    select: { instances: { tags: { Bake: nightly } } }
    schedule: "cron(0 3 * * ? *)"
    retain: { last: 2 }
"#;
/// The instance that is backed up.
pub const MACHINE: &str = "i-0000000000000000a";

/// An AMI and the snapshots behind it.
#[derive(Clone, Debug)]
pub struct Baked {
    /// The AMI.
    pub id: String,
    /// Its snapshots, the root's first.
    pub snapshots: Vec<String>,
}

/// An available AMI of [`MACHINE`] as `create-images` names and tags it: `CreateImage` with a
/// snapshot for each of two volumes, and an instance-store disk that none holds.
pub fn seed_image(account: &mut Account, time: &str, more: &[(&str, &str)]) -> Baked {
    let stamp = |artifact: &str| {
        let mut all = tags(&[
            ("holdfast:managed", "true"),
            ("holdfast:artifact", artifact),
            ("holdfast:policy", "bake"),
            ("holdfast:source", MACHINE),
            ("holdfast:slot", time),
            ("holdfast:run", &format!("run-{time}")),
        ]);
        all.extend(tags(more));
        all
    };
    let mut snapshots = Vec::new();
    for volume in ["vol-0000000000000000a", "vol-0000000000000000b"] {
        let id = account.seed_snapshot(SnapshotSeed {
            volume: Some(VolumeId::new(volume)),
            started: Some(at(time)),
            tags: stamp("image-snapshot"),
            ..SnapshotSeed::default()
        });
        snapshots.push(id.to_string());
    }
    let id = account.seed_image(ImageSeed {
        name: Some(image_name("bake", MACHINE, at(time), 1)),
        created: Some(at(time)),
        source_instance: Some(InstanceId::new(MACHINE)),
        mappings: vec![
            device("/dev/xvda", &snapshots[0]),
            device("/dev/sdb", &snapshots[1]),
            holdfast_sim::BlockDevice::ephemeral("/dev/sdc", "ephemeral0"),
        ],
        tags: stamp("image"),
        ..ImageSeed::default()
    });
    Baked {
        id: id.to_string(),
        snapshots,
    }
}

/// `count` daily AMIs of one instance, the newest first.
pub async fn world(mode: &str, policies: &str, count: i64) -> (World, Vec<Baked>) {
    let world = World::new(policies, mode, |account| {
        account.seed_instance(InstanceSeed {
            id: Some(InstanceId::new(MACHINE)),
            tags: tags(&[("Bake", "nightly")]),
            ..InstanceSeed::default()
        });
    })
    .await;
    let bake = |n| world.account(|account| seed_image(account, &day(n), &[]));
    let baked = (0..count).map(bake).collect();
    (world, baked)
}

/// A sweep by heartbeat at [`NOW`].
pub async fn sweep(world: &World) -> Value {
    sweep_at(world, NOW).await
}

/// A sweep by heartbeat at another time.
pub async fn sweep_at(world: &World, time: &str) -> Value {
    report(&world.function("sweep-retention"), &world.heartbeat(time)).await
}

/// The AMIs that are registered.
#[must_use]
pub fn registered(world: &World) -> Vec<String> {
    world.account(|account| account.images().map(|i| i.id.to_string()).collect())
}

/// Whether there is such a snapshot.
#[must_use]
pub fn stands(world: &World, snapshot: &str) -> bool {
    world.account(|account| account.snapshot(&SnapshotId::new(snapshot)).is_some())
}

/// How the recorded deletion of an artifact stands; null where there is none.
#[must_use]
pub fn deletion_state(world: &World, id: &str) -> Value {
    let item = world.item(&format!("delete#{id}"), "deletion");
    item.map_or(Value::Null, |item| item["state"]["S"].clone())
}

/// How often the recorded deletion of an artifact was tried without success.
#[must_use]
pub fn tries(world: &World, id: &str) -> Value {
    let item = world.item(&format!("delete#{id}"), "deletion").unwrap();
    item["tries"]["N"].clone()
}

/// Moves the last attempt of a recorded deletion this many minutes into the past.
pub fn age_attempt(world: &World, id: &str, minutes: i64) {
    world.change(&format!("delete#{id}"), "deletion", |item| {
        let old = at(item["at"]["S"].as_str().unwrap());
        let older = old - jiff::SignedDuration::from_mins(minutes);
        item["at"] = serde_json::json!({ "S": older.to_string() });
    });
}

/// Somebody deregisters an AMI and leaves its snapshots, as the console does unless told.
pub fn deregister_by_hand(world: &World, image: &str) {
    let request = Request::DeregisterImage(DeregisterImage {
        id: image.to_owned(),
        delete_associated_snapshots: false,
    });
    world.account(|account| account.call(&request)).unwrap();
}

/// An instance that was launched from an AMI.
pub fn launched_from(world: &World, image: &str) -> String {
    world.account(|account| {
        let id = account.seed_instance(InstanceSeed {
            image: Some(ImageId::new(image)),
            state: holdfast_core::inventory::InstanceState::Stopped,
            ..InstanceSeed::default()
        });
        id.to_string()
    })
}

/// A launch template whose versions name these AMIs, the first as version 1.
pub fn template_over(world: &World, name: &str, images: &[&str]) -> String {
    let data = |image: &str| TemplateData {
        image: Some(image.to_owned()),
        ..TemplateData::default()
    };
    let first = Request::CreateLaunchTemplate(CreateLaunchTemplate {
        name: name.to_owned(),
        description: None,
        data: data(images[0]),
        tags: Vec::new(),
        client_token: None,
    });
    world.account(|account| account.call(&first)).unwrap();
    for image in &images[1..] {
        let next = Request::CreateLaunchTemplateVersion(CreateLaunchTemplateVersion {
            name: Some(name.to_owned()),
            data: data(image),
            ..CreateLaunchTemplateVersion::default()
        });
        world.account(|account| account.call(&next)).unwrap();
    }
    let list = Request::DescribeLaunchTemplates(Default::default());
    match world.account(|account| account.call(&list)).unwrap() {
        Response::LaunchTemplates(page) => {
            let found = page.items.into_iter().find(|t| t.name == name);
            found.unwrap().id.to_string()
        }
        other => panic!("{other:?}"),
    }
}
