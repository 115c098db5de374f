//! Properties of what protects snapshots and images, over random interleavings of calls and time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::ImageState;
use holdfast_sim::request::{self, Request};
use holdfast_sim::{
    Account, BlockDevice, ImageSeed, LockState, Response, Retained, RetentionRule, Settings,
    SnapshotSeed,
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

const SNAPSHOTS: usize = 5;
const IMAGES: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Lock(usize, bool, i32),
    Unlock(usize),
    Delete(usize),
    Restore(usize),
    Deregister(usize, bool),
    RestoreImage(usize),
    Disable(usize),
    Archive(usize),
    Copy(usize),
    FastRestore(usize),
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let snapshot = 0..SNAPSHOTS;
    let image = 0..IMAGES;
    prop_oneof![
        (snapshot.clone(), any::<bool>(), 1..4).prop_map(|(n, c, d)| Step::Lock(n, c, d)),
        snapshot.clone().prop_map(Step::Unlock),
        snapshot.clone().prop_map(Step::Delete),
        snapshot.clone().prop_map(Step::Restore),
        (image.clone(), any::<bool>()).prop_map(|(n, with)| Step::Deregister(n, with)),
        image.clone().prop_map(Step::RestoreImage),
        image.prop_map(Step::Disable),
        snapshot.clone().prop_map(Step::Archive),
        snapshot.clone().prop_map(Step::Copy),
        snapshot.prop_map(Step::FastRestore),
        (1_i64..60).prop_map(Step::Wait),
    ]
}

struct World {
    account: Account,
    snapshots: Vec<SnapshotId>,
    images: Vec<(ImageId, Vec<SnapshotId>)>,
}

/// Five snapshots, three images over pairs of them, and retention in the bin of `days`.
fn world(seed: u64, days: u16) -> World {
    let rules = [Retained::Snapshots, Retained::Images].map(|r| RetentionRule::for_region(r, days));
    let mut account = Account::new(Settings {
        seed,
        recycle_bin: if days == 0 {
            Vec::new()
        } else {
            rules.to_vec()
        },
        ..Settings::default()
    });
    let snapshots: Vec<SnapshotId> = (0..SNAPSHOTS)
        .map(|_| account.seed_snapshot(SnapshotSeed::default()))
        .collect();
    let images = (0..IMAGES)
        .map(|n| {
            let maps = vec![snapshots[n].clone(), snapshots[n + 1].clone()];
            let mappings = maps
                .iter()
                .enumerate()
                .map(|(at, s)| BlockDevice::from_snapshot(format!("/dev/sd{at}"), s.clone()))
                .collect();
            let id = account.seed_image(ImageSeed {
                mappings,
                ..Default::default()
            });
            (id, maps)
        })
        .collect();
    World {
        account,
        snapshots,
        images,
    }
}

impl World {
    /// Takes a step; a refusal is as good an end as any.
    fn take(&mut self, step: &Step) -> Option<Response> {
        let snapshot = |n: usize| self.snapshots[n].as_str().to_owned();
        let image = |n: usize| self.images[n].0.as_str().to_owned();
        let request = match *step {
            Step::Wait(hours) => {
                self.account.advance_by(SignedDuration::from_hours(hours));
                return None;
            }
            Step::Lock(n, compliance, days) => Request::LockSnapshot(request::LockSnapshot {
                id: snapshot(n),
                mode: if compliance {
                    "compliance"
                } else {
                    "governance"
                }
                .to_owned(),
                duration_days: Some(days),
                cool_off_hours: compliance.then_some(24),
                expiration: None,
            }),
            Step::Unlock(n) => Request::UnlockSnapshot(request::UnlockSnapshot { id: snapshot(n) }),
            Step::Delete(n) => Request::DeleteSnapshot(request::DeleteSnapshot { id: snapshot(n) }),
            Step::Restore(n) => {
                Request::RestoreSnapshotFromRecycleBin(request::RestoreSnapshotFromRecycleBin {
                    id: snapshot(n),
                })
            }
            Step::Deregister(n, delete_associated_snapshots) => {
                Request::DeregisterImage(request::DeregisterImage {
                    id: image(n),
                    delete_associated_snapshots,
                })
            }
            Step::RestoreImage(n) => {
                Request::RestoreImageFromRecycleBin(request::RestoreImageFromRecycleBin {
                    id: image(n),
                })
            }
            Step::Disable(n) => Request::DisableImage(request::DisableImage { id: image(n) }),
            Step::Archive(n) => Request::ModifySnapshotTier(request::ModifySnapshotTier {
                id: snapshot(n),
                tier: "archive".to_owned(),
            }),
            Step::Copy(n) => Request::CopySnapshot(request::CopySnapshot {
                source_region: self.account.settings().region.clone(),
                source: snapshot(n),
                ..Default::default()
            }),
            Step::FastRestore(n) => {
                Request::EnableFastSnapshotRestores(request::EnableFastSnapshotRestores {
                    zones: vec!["eu-central-1a".to_owned()],
                    ids: vec![snapshot(n)],
                })
            }
        };
        self.account.call(&request).ok()
    }

    /// Exits from the bin by snapshot.
    fn binned(&mut self) -> BTreeMap<SnapshotId, Timestamp> {
        let request = Request::ListSnapshotsInRecycleBin(Default::default());
        match self.account.call(&request).unwrap() {
            Response::BinnedSnapshots(page) => page
                .items
                .into_iter()
                .map(|b| (b.resource.id, b.exits))
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    fn locked(&self, id: &SnapshotId) -> bool {
        let now = self.account.now();
        let lock = self.account.snapshot(id).and_then(|s| s.lock.as_ref());
        lock.is_some_and(|l| l.state(now) != LockState::Expired)
    }
}

proptest! {
    #[test]
    fn what_is_mapped_or_locked_is_never_gone(
        days in 0_u16..4,
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut world = world(1, days);
        for step in &steps {
            let locked: Vec<SnapshotId> =
                world.snapshots.iter().filter(|s| world.locked(s)).cloned().collect();
            let unlocks = matches!(step, Step::Unlock(_));
            world.take(step);
            for id in &locked {
                prop_assert!(world.account.snapshot(id).is_some(), "{id} was locked");
                // Nothing but an unlocking or the end of its time takes a lock away.
                prop_assert!(
                    unlocks || matches!(step, Step::Wait(_) | Step::Lock(..)) || world.locked(id)
                );
            }
            for (image, maps) in &world.images {
                if world.account.image(image).is_some() {
                    for id in maps {
                        prop_assert!(world.account.snapshot(id).is_some(), "{image} maps {id}");
                    }
                }
            }
        }
    }

    #[test]
    fn with_a_rule_a_deleted_snapshot_is_in_the_bin_until_its_exit(
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut world = world(1, 3);
        let mut before = world.binned();
        let mut gone = BTreeSet::new();
        for step in &steps {
            world.take(step);
            let after = world.binned();
            for id in world.snapshots.clone() {
                let here = world.account.snapshot(&id).is_some();
                prop_assert!(!(here && after.contains_key(&id)), "{id} is in two places");
                if !here && !after.contains_key(&id) && gone.insert(id.clone()) {
                    // Gone for good by this step: out of the bin, where its time is over.
                    let exit = before.get(&id);
                    prop_assert!(exit.is_some_and(|at| *at <= world.account.now()), "{id}");
                }
            }
            before = after;
        }
    }

    #[test]
    fn a_snapshot_is_archived_under_no_enabled_image(
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut world = world(1, 2);
        for step in &steps {
            let archived = matches!(step, Step::Archive(_)) && world.take(step).is_some();
            if let (true, Step::Archive(n)) = (archived, step) {
                let id = &world.snapshots[*n];
                let enabled = world.account.images().any(|i| {
                    i.state != ImageState::Disabled && i.snapshots().any(|s| s == id)
                });
                prop_assert!(!enabled);
            } else if !matches!(step, Step::Archive(_)) {
                world.take(step);
            }
        }
    }

    #[test]
    fn the_same_seed_and_steps_give_the_same_answers_and_events(
        seed: u64,
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let run = || {
            let mut world = world(seed, 2);
            let answers: Vec<_> = steps.iter().map(|step| world.take(step)).collect();
            (answers, world.account.drain_events(), world.account.calls().to_vec())
        };
        prop_assert_eq!(run(), run());
    }
}
