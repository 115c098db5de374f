//! What must hold when somebody deregisters AMIs and leaves their snapshots.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::artifact::{ArtifactKind, Stamp, image_name};
use holdfast_core::id::{ImageId, InstanceId, SnapshotId, VolumeId};
use holdfast_core::inventory::{Image, ImageState, Snapshot, SnapshotState};
use holdfast_core::plan::judge::{Decision, Verdict};
use holdfast_core::plan::settle::{Recorded, settle};
use jiff::SignedDuration;
use proptest::prelude::*;

use crate::world::{World, at_least, backing, condemned, image, now, policies, world};

/// A good AMI of policy `m` or `k` over these devices, made so many hours before the sweep.
fn good(n: usize, policy: &str, source: u8, hours: i64, devices: usize) -> (Image, Vec<Snapshot>) {
    let slot = now() - SignedDuration::from_hours(hours);
    let source = format!("i-{source}");
    let run = format!("good-{n}");
    let tags = |kind| {
        let stamp = Stamp {
            kind,
            policy,
            source: &source,
            slot,
            run: &run,
            group: None,
        };
        stamp.tags()
    };
    let snapshots: Vec<Snapshot> = (0..devices)
        .map(|device| {
            let tags = tags(ArtifactKind::ImageSnapshot);
            let at = slot + SignedDuration::from_secs(device as i64);
            let mut snapshot = backing(n, device, SnapshotState::Completed, at, tags);
            snapshot.id = SnapshotId::new(format!("snap-g{n:02}-{device}"));
            snapshot.volume = Some(VolumeId::new(format!("vol-of-{source}-{device}")));
            snapshot
        })
        .collect();
    let mut made = image(n, ImageState::Available, vec![]);
    made.id = ImageId::new(format!("ami-g{n:02}"));
    made.name = Some(image_name(policy, &source, slot, 1));
    made.created = Some(slot);
    made.source_instance = Some(InstanceId::new(&source));
    made.tags = tags(ArtifactKind::Image);
    made.mappings = snapshots
        .iter()
        .map(|s| holdfast_core::inventory::ImageMapping {
            device: "/dev/sdb".into(),
            target: holdfast_core::inventory::MappingTarget::Ebs(Some(s.id.clone())),
        })
        .collect();
    (made, snapshots)
}

/// A world with good AMIs of two machines, and the same world after somebody deregistered some.
#[derive(Clone, Debug)]
struct Before {
    world: World,
    good: Vec<(Image, Vec<Snapshot>)>,
    gone: Vec<bool>,
}

impl Before {
    fn after(&self) -> World {
        let mut world = self.world.clone();
        for ((image, snapshots), gone) in self.good.iter().zip(&self.gone) {
            if !gone {
                world.images.push(image.clone());
            }
            world.snapshots.extend(snapshots.iter().cloned());
        }
        world
    }

    fn orphans(&self) -> impl Iterator<Item = &(Image, Vec<Snapshot>)> {
        let with = self.good.iter().zip(&self.gone);
        with.filter(|(_, gone)| **gone).map(|(one, _)| one)
    }
}

fn before() -> impl Strategy<Value = Before> {
    let policy = prop::sample::select(vec!["m", "m", "k"]);
    let one = (policy, 4..6u8, 0..25i64, any::<bool>());
    (world(), prop::collection::vec(one, 1..12)).prop_map(|(mut world, made)| {
        // `CreateImage` never makes an AMI over another's snapshots.
        for image in &mut world.images {
            image.mappings.retain(|m| m.device != "/dev/sdy");
        }
        let gone = made.iter().map(|(_, _, _, gone)| *gone).collect();
        let numbered = made.into_iter().enumerate();
        // As many devices as the machine has, and no two at one instant.
        let good = numbered.map(|(n, (policy, source, halves, _))| {
            let hours = 1 + 12 * halves + n as i64;
            good(n, policy, source, hours, usize::from(source) - 3)
        });
        Before {
            world,
            good: good.collect(),
            gone,
        }
    })
}

/// Long after the orphans were first condemned: nothing waits any more.
fn settled_late(world: &World) -> Vec<Verdict> {
    let mut verdicts = world.judge();
    let week = SignedDuration::from_hours(8 * 24);
    let marks = verdicts
        .iter()
        .map(|v| (v.subject.id().to_owned(), now() - week));
    let recorded = Recorded {
        condemned: marks.collect(),
        ..Recorded::default()
    };
    settle(policies(), &mut verdicts, &recorded, now(), now());
    verdicts
}

fn decision<'v>(verdicts: &'v [Verdict], id: &str) -> &'v Decision {
    let found = verdicts.iter().find(|v| v.subject.id() == id);
    &found.unwrap().decision
}

proptest! {
    #![proptest_config(at_least(1_000))]

    #[test]
    fn every_machine_keeps_its_min_copies_whichever_amis_somebody_deregistered(
        before in before()
    ) {
        let after = before.after();
        let gone = condemned(&settled_late(&after));
        for source in ["i-4", "i-5"] {
            let of = |(image, _): &&(Image, Vec<Snapshot>)| {
                image.tags["holdfast:source"] == source && image.tags["holdfast:policy"] == "m"
            };
            let copies: Vec<_> = before.good.iter().zip(&before.gone)
                .filter(|(one, _)| of(one)).collect();
            let left = copies.iter().filter(|((image, snapshots), deregistered)| {
                let whole = snapshots.iter().all(|s| !gone.contains(s.id.as_str()));
                if **deregistered { whole } else { !gone.contains(image.id.as_str()) }
            });
            let left = left.count();
            prop_assert!(left >= copies.len().min(2), "{left} of {}", copies.len());
        }
    }

    #[test]
    fn no_verdict_on_a_real_ami_depends_on_what_others_left(before in before()) {
        let mut without = before.after();
        let orphans: BTreeSet<SnapshotId> = before.orphans()
            .flat_map(|(_, snapshots)| snapshots.iter().map(|s| s.id.clone())).collect();
        without.snapshots.retain(|s| !orphans.contains(&s.id));
        let (with, without) = (before.after().judge(), without.judge());
        for verdict in &without {
            let id = verdict.subject.id();
            if id.starts_with("ami-") {
                prop_assert_eq!(&verdict.decision, decision(&with, id), "{}", id);
            }
        }
    }

    #[test]
    fn an_orphan_goes_only_after_a_week_on_record_and_whole(before in before()) {
        let after = before.after();
        let at_once = condemned(&after.settled());
        let late = condemned(&settled_late(&after));
        for (_, snapshots) in before.orphans() {
            let gone = |set: &BTreeSet<String>| {
                snapshots.iter().filter(|s| set.contains(s.id.as_str())).count()
            };
            prop_assert_eq!(gone(&at_once), 0, "the table remembers nothing of it");
            prop_assert!([0, snapshots.len()].contains(&gone(&late)), "half of one goes");
        }
    }

    #[test]
    fn forgetting_what_the_table_says_adds_no_deletion(before in before()) {
        let after = before.after();
        let told = condemned(&settled_late(&after));
        let forgotten = World {
            leftovers: BTreeMap::new(), gone_since: BTreeMap::new(), ..after
        };
        let forgotten = condemned(&forgotten.settled());
        prop_assert!(forgotten.is_subset(&told), "{:?}", forgotten.difference(&told));
    }

    #[test]
    fn an_ami_that_somebody_deregisters_condemns_nothing_else(before in before(), n in 0..12usize) {
        let n = n % before.good.len();
        let mut fewer = before.clone();
        fewer.gone[n] = true;
        let had = condemned(&before.after().judge());
        let own: BTreeSet<&str> = before.good[n].1.iter().map(|s| s.id.as_str()).collect();
        for id in condemned(&fewer.after().judge()) {
            prop_assert!(had.contains(&id) || own.contains(id.as_str()), "{}", id);
        }
    }

    #[test]
    fn the_order_of_the_snapshots_does_not_matter_to_orphans(
        (before, shuffled) in before().prop_flat_map(|before| {
            let shuffled = Just(before.after().snapshots).prop_shuffle();
            (Just(before), shuffled)
        })
    ) {
        let one = before.after();
        let other = World { snapshots: shuffled, ..one.clone() };
        prop_assert_eq!(condemned(&one.judge()), condemned(&other.judge()));
    }

    #[test]
    fn when_the_orphans_that_may_go_are_gone_no_more_may(before in before()) {
        let mut world = before.after();
        let gone: BTreeSet<String> = condemned(&world.judge())
            .into_iter().filter(|id| id.starts_with("snap-g")).collect();
        world.snapshots.retain(|s| !gone.contains(s.id.as_str()));
        let again = condemned(&world.judge());
        prop_assert!(again.iter().all(|id| !id.starts_with("snap-g")), "{again:?}");
    }
}
