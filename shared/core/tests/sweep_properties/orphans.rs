//! What must hold when somebody deregisters AMIs and leaves their snapshots.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::artifact::{ArtifactKind, Stamp, image_name};
use holdfast_core::id::{ImageId, InstanceId, SnapshotId, VolumeId};
use holdfast_core::inventory::{
    Image, ImageMapping, ImageState, MappingTarget, Snapshot, SnapshotState,
};
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
    made.mappings = snapshots.iter().map(|s| maps(s.id.to_string())).collect();
    (made, snapshots)
}

fn maps(snapshot: String) -> ImageMapping {
    ImageMapping {
        device: "/dev/sdb".into(),
        target: MappingTarget::Ebs(Some(SnapshotId::new(snapshot))),
    }
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
    // Which other one's first snapshot it maps too: none is made so, but anybody can register one.
    let over = prop::option::weighted(0.3, 0..12usize);
    let one = (policy, 4..6u8, 0..25i64, any::<bool>(), over);
    (world(), prop::collection::vec(one, 1..12)).prop_map(|(world, made)| {
        let gone = made.iter().map(|(_, _, _, gone, _)| *gone).collect();
        let count = made.len();
        let numbered = made.into_iter().enumerate();
        // As many devices as the machine has, and no two at one instant.
        let good = numbered.map(|(n, (policy, source, halves, _, over))| {
            let hours = 1 + 12 * halves + n as i64;
            let (mut image, snapshots) = good(n, policy, source, hours, usize::from(source) - 3);
            if let Some(other) = over.map(|over| over % count).filter(|other| *other != n) {
                image.mappings.push(maps(format!("snap-g{other:02}-0")));
            }
            (image, snapshots)
        });
        Before {
            world,
            good: good.collect(),
            gone,
        }
    })
}

/// What of the world's snapshots is gone when this has been carried out: a snapshot that several AMIs
/// share goes with the last.
fn gone_with(world: &World, condemned: &BTreeSet<String>) -> BTreeSet<String> {
    let goes = |image: &&Image| condemned.contains(image.id.as_str());
    let of = |images: Vec<&Image>| -> BTreeSet<String> {
        let mapped = images.into_iter().flat_map(Image::snapshots);
        mapped.map(ToString::to_string).collect()
    };
    let (going, staying) = world.images.iter().partition(goes);
    let (along, needed) = (of(going), of(staying));
    let along = along.difference(&needed).cloned();
    condemned.iter().cloned().chain(along).collect()
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
        let gone = gone_with(&after, &condemned(&settled_late(&after)));
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
        let after = before.after();
        let orphans: BTreeSet<SnapshotId> = before.orphans()
            .flat_map(|(_, snapshots)| snapshots.iter().map(|s| s.id.clone())).collect();
        // What has become part of a real one is that one's, too.
        let taken = |image: &&Image| image.snapshots().any(|id| orphans.contains(id));
        let over: Vec<&Image> = after.images.iter().filter(taken).collect();
        let needed: BTreeSet<&SnapshotId> = over.iter().flat_map(|i| i.snapshots()).collect();
        let mut without = after.clone();
        without.snapshots.retain(|s| !orphans.contains(&s.id) || needed.contains(&s.id));
        let (with, without) = (after.judge(), without.judge());
        for verdict in &without {
            let id = verdict.subject.id();
            if id.starts_with("ami-") && !over.iter().any(|image| image.id.as_str() == id) {
                prop_assert_eq!(&verdict.decision, decision(&with, id), "{}", id);
            }
        }
    }

    #[test]
    fn an_orphan_goes_only_after_a_week_on_record_and_whole(before in before()) {
        let after = before.after();
        let at_once = gone_with(&after, &condemned(&after.settled()));
        let late = gone_with(&after, &condemned(&settled_late(&after)));
        let standing = |set: &BTreeSet<String>| -> BTreeSet<String> {
            let standing = after.images.iter().filter(|i| !set.contains(i.id.as_str()));
            standing.flat_map(Image::snapshots).map(ToString::to_string).collect()
        };
        let needed = standing(&late);
        for (_, snapshots) in before.orphans() {
            let gone = |set: &BTreeSet<String>| {
                snapshots.iter().filter(|s| set.contains(s.id.as_str())).count()
            };
            prop_assert_eq!(gone(&at_once), 0, "the table remembers nothing of it");
            // One that a real AMI shares goes with that.
            let alone = snapshots.iter().filter(|s| !needed.contains(s.id.as_str())).count();
            prop_assert!([0, alone].contains(&gone(&late)), "half of one goes");
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
        // What it shares with another that is gone was not judged while it stood over it.
        let own: BTreeSet<&str> = before.good[n].0.snapshots().map(|id| id.as_str()).collect();
        // And it is a copy of its own again, in the place of an older one that somebody left, too.
        let group = |image: &Image| {
            ["policy", "source"].map(|key| image.tags[&format!("holdfast:{key}")].clone())
        };
        let back: Vec<_> = before.orphans()
            .filter(|(_, parts)| parts.iter().any(|s| own.contains(s.id.as_str())))
            .map(|(image, _)| group(image)).collect();
        let in_place_of: BTreeSet<&str> = before.orphans()
            .filter(|(image, _)| back.contains(&group(image)))
            .flat_map(|(_, parts)| parts.iter().map(|s| s.id.as_str())).collect();
        for id in condemned(&fewer.after().judge()) {
            let id = id.as_str();
            let may = had.contains(id) || own.contains(id) || in_place_of.contains(id);
            prop_assert!(may, "{}", id);
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
