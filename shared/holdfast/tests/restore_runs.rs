//! Restores whose every step goes wrong once: nothing is made twice, and the same command finishes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use holdfast::plan::restore::{Target, VolumeWish};
use holdfast::ports::records::Records;
use holdfast::report::ReasonCode;
use holdfast::restore::{Done, Pace, VolumeFrom, carry_out, volume};
use holdfast_core::id::{InstanceId, SnapshotId, VolumeId};
use holdfast_core::inventory::Tags;
use holdfast_sim::records::InMemoryRecords;
use holdfast_sim::{
    Account, ApiError, Fault, FaultRule, InProcess, InstanceSeed, Settings, SnapshotSeed,
    VolumeSeed,
};
use jiff::SignedDuration;

const SNAPSHOT: &str = "snap-0000000000000000a";

struct Stage {
    ec2: InProcess,
    records: InMemoryRecords,
    wish: VolumeWish,
}

fn stage(change: impl FnOnce(&mut Settings)) -> Stage {
    let mut settings = Settings::default();
    change(&mut settings);
    let mut account = Account::new(settings);
    let source = account.seed_volume(VolumeSeed {
        id: Some(VolumeId::new("vol-0000000000000000a")),
        ..VolumeSeed::default()
    });
    let host = account.seed_instance(InstanceSeed {
        id: Some(InstanceId::new("i-0000000000000000a")),
        ..InstanceSeed::default()
    });
    account.seed_snapshot(SnapshotSeed {
        id: Some(SnapshotId::new(SNAPSHOT)),
        volume: Some(source),
        tags: Tags::from([("holdfast:managed".into(), "true".into())]),
        ..SnapshotSeed::default()
    });
    Stage {
        ec2: InProcess::new(account.shared()),
        records: InMemoryRecords::new(),
        wish: VolumeWish {
            attach: Target::parse(&format!("{host}:/dev/sdf")),
            ..VolumeWish::default()
        },
    }
}

impl Stage {
    /// The command, which looks a few times without a rest.
    async fn run(&self) -> Result<Done, ReasonCode> {
        let stopped = AtomicBool::new(false);
        let pace = Pace {
            every: Duration::ZERO,
            looks: 3,
            stopped: &stopped,
        };
        let from = VolumeFrom::Snapshot(SnapshotId::new(SNAPSHOT));
        let shown = volume(&self.ec2, &self.records, &from, &self.wish).await;
        let shown = shown.unwrap();
        if let Some((_, reason)) = shown.refused {
            return Err(reason.code);
        }
        let tell = |_: &_| {};
        let done = carry_out(&self.ec2, &self.records, &shown.plans, "r", &pace, &tell).await;
        Ok(done.into_iter().next().unwrap())
    }

    /// Identifiers of volumes made of the snapshot, with their attachments.
    fn made(&self) -> Vec<(String, Vec<String>)> {
        let account = self.ec2.account();
        let of =
            |v: &&holdfast_sim::Volume| v.snapshot.as_ref().is_some_and(|s| s.as_str() == SNAPSHOT);
        let all = account.volumes().filter(of).map(|volume| {
            let devices = volume.attachments.iter().map(|a| a.device.clone());
            (volume.id.to_string(), devices.collect())
        });
        all.collect()
    }
}

#[tokio::test]
async fn each_call_that_fails_in_any_way_is_made_good_by_the_same_command() {
    let denied = || Fault::Error(ApiError::new("UnauthorizedOperation", "no"));
    let faults = [
        ("CreateVolume", denied()),
        ("CreateVolume", Fault::AppliedButResponseLost),
        ("CreateVolume", Fault::Error(ApiError::internal())),
        ("AttachVolume", denied()),
        ("AttachVolume", Fault::AppliedButResponseLost),
    ];
    for (call, fault) in faults {
        let stage = stage(|_| {});
        let rule = FaultRule::next(call, fault.clone());
        stage.ec2.account().inject(rule);
        stage.run().await.unwrap();
        let done = stage.run().await.unwrap();
        assert_eq!(done.failed, None, "{call} {fault:?}");
        let made = stage.made();
        assert_eq!(made.len(), 1, "{call} {fault:?}");
        assert_eq!(made[0].1, ["/dev/sdf"], "{call} {fault:?}");
        let known = stage.records.relations(&made[0].0).await.unwrap();
        let kinds: Vec<&str> = known.edges.iter().map(|edge| edge.kind.as_str()).collect();
        assert_eq!(kinds.len(), 2, "{kinds:?}");
        assert!(kinds.contains(&"restored-from") && kinds.contains(&"attached-to"));
    }
}

#[tokio::test]
async fn while_lists_do_not_show_it_yet_the_client_token_makes_nothing_twice() {
    let stage = stage(|settings| settings.list_lag = SignedDuration::from_mins(5));
    for _ in 0..2 {
        let done = stage.run().await.unwrap();
        assert_eq!(done.failed.unwrap().code, ReasonCode::OutOfTime);
        assert_eq!(done.made.unwrap().id, stage.made()[0].0);
    }
    assert_eq!(stage.made().len(), 1);
    stage.ec2.account().advance_by(SignedDuration::from_mins(6));
    let done = stage.run().await.unwrap();
    assert_eq!((done.failed, done.made.unwrap().already), (None, true));
    assert_eq!(stage.made().len(), 1);
    assert_eq!(stage.made()[0].1, ["/dev/sdf"]);
}
