//! `make invoke`: one event, one function, and an account in which what the files under `events/`
//! speak of exists.

use std::path::{Path, PathBuf};

use holdfast_core::id::{ImageId, InstanceId, SnapshotId, VolumeId};
use holdfast_core::inventory::{InstanceState, Tags};
use holdfast_sim::{
    Account, BlockDevice, ImageSeed, InstanceSeed, Settings, SnapshotSeed, VolumeSeed,
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde_json::Value;

use crate::local::Options;

/// The instance of the files under `events/`.
pub const INSTANCE: &str = "i-0aaa1111bbb2222cc";
/// Its root volume.
pub const VOLUME: &str = "vol-0fedcba9876543210";
/// The newest backup of that volume.
pub const SNAPSHOT: &str = "snap-0123456789abcdef0";
/// The newest AMI of the instance.
pub const IMAGE: &str = "ami-0123456789abcdef0";

/// How many days of backups there are.
const DAYS: i64 = 6;

/// A local AWS for one invocation with this event: its clock is the event's, and the instance is in
/// the state that the event tells of.
#[must_use]
pub fn options(event: &Value, wall: Timestamp) -> Options {
    let time = ["time", "now"].iter().find_map(|key| event[*key].as_str());
    let now = time.and_then(|text| text.parse().ok()).unwrap_or(wall);
    let state = event["detail"]["state"].as_str().unwrap_or("running");
    let state = InstanceState::parse(state);
    Options {
        settings: Settings {
            start: now,
            ..Settings::default()
        },
        seed: Some(Box::new(move |account| seed(account, now, state))),
        policies: policies_path(),
        ..Options::default()
    }
}

/// The policies that the requests name.
#[must_use]
pub fn policies_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("invoke/policies.yaml")
}

fn seed(account: &mut Account, now: Timestamp, state: InstanceState) {
    let volume = account.seed_volume(VolumeSeed {
        id: Some(VolumeId::new(VOLUME)),
        ..VolumeSeed::default()
    });
    account.seed_instance(InstanceSeed {
        id: Some(InstanceId::new(INSTANCE)),
        state,
        devices: vec![("/dev/xvda".to_owned(), volume)],
        tags: tags(&[("Name", "web-1"), ("Backup", "nightly"), ("Role", "web")]),
        ..InstanceSeed::default()
    });
    for day in 1..=DAYS {
        backups(
            account,
            now - SignedDuration::from_hours(24 * day),
            day == 1,
        );
    }
}

/// One snapshot and one AMI, as Holdfast's functions make them.
fn backups(account: &mut Account, time: Timestamp, newest: bool) {
    let snapshot = |artifact, policy| SnapshotSeed {
        volume: Some(VolumeId::new(VOLUME)),
        started: Some(time),
        tags: own_tags(artifact, policy, time),
        ..SnapshotSeed::default()
    };
    account.seed_snapshot(SnapshotSeed {
        id: newest.then(|| SnapshotId::new(SNAPSHOT)),
        ..snapshot("snapshot", "nightly-db")
    });
    let backing = account.seed_snapshot(snapshot("image-snapshot", "golden-web"));
    let stamp = time.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ");
    account.seed_image(ImageSeed {
        id: newest.then(|| ImageId::new(IMAGE)),
        name: Some(format!("holdfast/golden-web/{INSTANCE}/{stamp}/1")),
        created: Some(time),
        source_instance: Some(InstanceId::new(INSTANCE)),
        root_device: Some("/dev/xvda".to_owned()),
        mappings: vec![BlockDevice::from_snapshot("/dev/xvda", backing)],
        tags: own_tags("image", "golden-web", time),
        ..ImageSeed::default()
    });
}

fn own_tags(artifact: &str, policy: &str, time: Timestamp) -> Tags {
    let slot = time.to_string();
    tags(&[
        ("holdfast:managed", "true"),
        ("holdfast:artifact", artifact),
        ("holdfast:policy", policy),
        ("holdfast:source", INSTANCE),
        ("holdfast:slot", &slot),
        ("holdfast:run", &format!("run-{slot}")),
    ])
}

fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}
