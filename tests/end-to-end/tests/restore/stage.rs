//! A machine whose disks are backed up, and the command line.

use holdfast_core::id::{InstanceId, SnapshotId, VolumeId};
use holdfast_end_to_end::{World, at, tags};
use holdfast_sim::{Account, InstanceSeed, LaunchSettings, SnapshotSeed, Volume, VolumeSeed};
use jiff::SignedDuration;
use serde_json::Value;

/// Daily sets of the machine's volumes, and AMIs of it.
pub const POLICIES: &str = r#"
version: 1
policies:
  - name: nightly
    protect: volumes
    select: { instances: { tags: { Backup: nightly } } }
    schedule: "cron(0 3 * * ? *)"
    retain: { last: 9 }
  - name: bake
    protect: instances
    select: { instances: { tags: { Backup: nightly } } }
    schedule: "cron(0 3 * * ? *)"
    retain: { last: 9 }
"#;
pub const MACHINE: &str = "i-0000000000000000a";
pub const ROOT: &str = "vol-0000000000000000a";
pub const DATA: &str = "vol-0000000000000000b";
pub const ZONE: &str = "eu-central-1a";

fn seed(account: &mut Account) {
    for (id, size_gib, iops, throughput) in [(ROOT, 8, 3000, 125), (DATA, 100, 6000, 250)] {
        account.seed_volume(VolumeSeed {
            id: Some(VolumeId::new(id)),
            size_gib,
            iops: Some(iops),
            throughput: Some(throughput),
            tags: tags(&[("Name", id)]),
            ..VolumeSeed::default()
        });
    }
    account.seed_instance(InstanceSeed {
        id: Some(InstanceId::new(MACHINE)),
        devices: vec![
            ("/dev/xvda".to_owned(), VolumeId::new(ROOT)),
            ("/dev/sdb".to_owned(), VolumeId::new(DATA)),
        ],
        launch: LaunchSettings {
            subnet: Some("subnet-0a1".into()),
            security_groups: vec!["sg-0a1".into(), "sg-0b2".into()],
            key_name: Some("ops".into()),
            instance_profile: Some("arn:aws:iam::111122223333:instance-profile/db".into()),
            metadata_tokens: true,
            ebs_optimized: true,
        },
        tags: tags(&[("Backup", "nightly")]),
        ..InstanceSeed::default()
    });
}

/// The machine, in an account where instances start at once.
pub async fn world() -> World {
    World::with(
        POLICIES,
        "plan",
        |settings| settings.instance_duration = SignedDuration::ZERO,
        seed,
    )
    .await
}

/// The same, where volumes take as long to be made.
pub async fn world_with_slow_volumes(hours: i64) -> World {
    World::with(
        POLICIES,
        "plan",
        move |settings| settings.volume_duration = SignedDuration::from_hours(hours),
        seed,
    )
    .await
}

/// A completed backup of the data volume, as create-snapshots tags it.
pub fn backup(world: &World, time: &str, change: impl FnOnce(&mut SnapshotSeed)) -> String {
    let mut seed = SnapshotSeed {
        volume: Some(VolumeId::new(DATA)),
        started: Some(at(time)),
        size_gib: Some(100),
        tags: tags(&[
            ("holdfast:managed", "true"),
            ("holdfast:artifact", "snapshot"),
            ("holdfast:policy", "nightly"),
            ("holdfast:source", DATA),
            ("holdfast:slot", time),
            ("holdfast:run", &format!("run-{time}")),
            ("Name", "data"),
        ]),
        ..SnapshotSeed::default()
    };
    change(&mut seed);
    world.account(|account| account.seed_snapshot(seed).to_string())
}

/// The report of `holdfast restore … --json`, and the exit status.
pub fn restore(world: &World, arguments: &[&str]) -> (Value, i32) {
    let mut all = vec!["restore"];
    all.extend(arguments);
    all.push("--json");
    let output = world.holdfast(&all);
    let text = String::from_utf8_lossy(&output.stdout);
    let report = serde_json::from_str(&text)
        .unwrap_or_else(|e| panic!("{e}: {text}\n{}", String::from_utf8_lossy(&output.stderr)));
    (report, output.status.code().unwrap())
}

/// Standard output, standard error and exit status of `holdfast restore …` for people.
pub fn shown(world: &World, arguments: &[&str]) -> (String, String, i32) {
    let mut all = vec!["restore"];
    all.extend(arguments);
    let output = world.holdfast(&all);
    (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
        output.status.code().unwrap(),
    )
}

/// The items about what is made.
pub fn creations(report: &Value) -> Vec<&Value> {
    let items = report["items"].as_array().unwrap();
    items
        .iter()
        .filter(|item| item["action"] == "create")
        .collect()
}

/// The identifier of the one thing that was made.
pub fn made(report: &Value) -> String {
    let all = creations(report);
    assert_eq!(all.len(), 1, "{report:#}");
    assert_eq!(all[0]["outcome"], "created", "{report:#}");
    all[0]["resource"].as_str().unwrap().to_owned()
}

pub fn volume(world: &World, id: &str) -> Volume {
    let id = VolumeId::new(id);
    world.account(|account| account.volume(&id).unwrap().clone())
}

/// Volumes that a restore made, by the snapshot they are of.
pub fn restored(world: &World) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = world.account(|account| {
        let volumes = account.volumes().filter_map(|volume| {
            let of: &SnapshotId = volume.snapshot.as_ref()?;
            Some((of.to_string(), volume.id.to_string()))
        });
        volumes.collect()
    });
    all.sort();
    all
}

/// How often a call was made since the last time this was asked.
pub fn count(calls: &[String], operation: &str) -> usize {
    calls.iter().filter(|call| *call == operation).count()
}
