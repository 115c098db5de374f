//! A stage for sweeps: one volume with daily backups.

use holdfast_core::id::VolumeId;
use holdfast_sim::{Account, VolumeSeed};
use jiff::SignedDuration;
use serde_json::Value;

use crate::{World, at, report, seed_backup, tags};

/// One policy that keeps the newest two.
pub const POLICIES: &str = r#"
version: 1
policies:
  - name: nightly
    protect: volumes
    select: { volumes: { tags: { Backup: nightly } } }
    schedule: "cron(0 3 * * ? *)"
    retain: { last: 2 }
"#;
/// The volume that is backed up.
pub const VOLUME: &str = "vol-0000000000000000a";
/// When the sweep is.
pub const NOW: &str = "2026-03-02T10:00:00Z";

/// Puts the volume into the account.
pub fn volume(account: &mut Account, pairs: &[(&str, &str)]) {
    account.seed_volume(VolumeSeed {
        id: Some(VolumeId::new(VOLUME)),
        tags: tags(pairs),
        ..VolumeSeed::default()
    });
}

/// The backup time `n` days before the sweep's day.
#[must_use]
pub fn day(n: i64) -> String {
    (at("2026-03-02T03:00:00Z") - SignedDuration::from_hours(24 * n)).to_string()
}

/// `count` daily backups of one volume, the newest first.
pub async fn world(mode: &str, policies: &str, count: i64) -> (World, Vec<String>) {
    let world = World::new(policies, mode, move |account| {
        volume(account, &[("Backup", "nightly")]);
        for n in 0..count {
            seed_backup(account, "nightly", VOLUME, &day(n), &[]);
        }
    })
    .await;
    let ids = newest_first(&world);
    (world, ids)
}

/// The account's snapshots, the newest first.
#[must_use]
pub fn newest_first(world: &World) -> Vec<String> {
    let mut all = world.snapshots();
    all.sort_by_key(|s| std::cmp::Reverse(s.started));
    all.iter().map(|s| s.id.to_string()).collect()
}

/// A sweep by heartbeat at [`NOW`].
pub async fn sweep(world: &World) -> Value {
    report(&world.function("sweep-retention"), &world.heartbeat(NOW)).await
}
