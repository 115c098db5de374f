//! What must hold of every plan, over thousands of random worlds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod images;
mod orphans;
mod policies;
mod references;
mod referrers;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::artifact::PIN;
use holdfast_core::id::VolumeId;
use holdfast_core::inventory::{Image, ImageState, Snapshot, SnapshotState};
use holdfast_core::plan::judge::Decision;
use holdfast_core::plan::settle::{Recorded, settle};
use holdfast_core::report::{Reason, ReasonCode};
use proptest::prelude::*;

use world::{World, at_least, condemned, image, now, policies, template, world};

proptest! {
    #![proptest_config(at_least(2_000))]

    #[test]
    fn nothing_that_is_needed_pinned_or_not_ours_is_condemned(world in world()) {
        let gone = condemned(&world.settled());
        for snapshot in world.snapshots.iter().filter(|s| gone.contains(s.id.as_str())) {
            let mapped = world.images.iter().any(|i| i.snapshots().any(|id| *id == snapshot.id));
            prop_assert!(!mapped, "{} is mapped", snapshot.id);
            let named = world.templates.iter().any(|t| t.snapshots.contains(&snapshot.id));
            prop_assert!(!named, "{} is named by a launch template", snapshot.id);
            prop_assert_eq!(snapshot.tags.get("holdfast:managed").map(String::as_str), Some("true"));
            prop_assert_eq!(snapshot.owner.as_deref(), Some("111122223333"));
            prop_assert!(!snapshot.tags.contains_key(PIN));
            prop_assert!(!snapshot.tags.keys().any(|k| k.starts_with("aws:dlm:")));
            prop_assert!(matches!(
                snapshot.state, SnapshotState::Completed | SnapshotState::Error
            ));
            let pinned = world.volumes.iter()
                .any(|v| Some(&v.id) == snapshot.volume.as_ref() && v.tags.contains_key(PIN));
            prop_assert!(!pinned);
        }
    }

    #[test]
    fn every_group_keeps_its_min_copies(world in world()) {
        let gone = condemned(&world.settled());
        let good = |s: &&Snapshot| {
            s.state == SnapshotState::Completed && s.start.is_some()
                && s.owner.as_deref() == Some("111122223333")
                && s.tags.contains_key("holdfast:managed")
                && s.tags.get("holdfast:artifact").map(String::as_str) == Some("snapshot")
                && s.tags.get("holdfast:policy").map(String::as_str) == Some("a")
                && !s.tags.keys().any(|k| k.starts_with("aws:dlm:"))
        };
        for volume in 0..4 {
            let volume = VolumeId::new(format!("vol-{volume}"));
            let of_volume: Vec<&Snapshot> = world.snapshots.iter()
                .filter(|s| s.volume.as_ref() == Some(&volume)).filter(good).collect();
            let left = of_volume.iter().filter(|s| !gone.contains(s.id.as_str())).count();
            prop_assert!(left >= of_volume.len().min(2), "{left} of {}", of_volume.len());
        }
    }

    #[test]
    fn every_managed_snapshot_has_one_verdict_with_a_reason(world in world()) {
        let verdicts = world.settled();
        let ids: Vec<&str> = verdicts.iter().map(|v| v.subject.id()).collect();
        let unique: BTreeSet<&str> = ids.iter().copied().collect();
        prop_assert_eq!(unique.len(), ids.len());
        for verdict in &verdicts {
            prop_assert!(!verdict.reasons().is_empty(), "{} has no reason", verdict.subject.id());
        }
        // A backing snapshot takes the verdict of a managed AMI that stands over it, or that is
        // being made with it; what a failed one was made with goes with that.
        let managed = |image: &&Image| {
            image.state != ImageState::Deregistered
                && image.tags.get("holdfast:managed").map(String::as_str) == Some("true")
        };
        for snapshot in &world.snapshots {
            let tag = |name: &str| snapshot.tags.get(&format!("holdfast:{name}"));
            let backing = tag("artifact").map(String::as_str) == Some("image-snapshot");
            let made_with = |image: &Image| {
                let of_run = ["policy", "source", "slot", "run"].iter()
                    .all(|name| image.tags.get(&format!("holdfast:{name}")) == tag(name));
                of_run && (image.state == ImageState::Pending
                    || image.state == ImageState::Failed && snapshot.state == SnapshotState::Error)
            };
            let stands = world.images.iter().filter(managed).any(|image| {
                image.snapshots().any(|id| *id == snapshot.id) || made_with(image)
            });
            let told = unique.contains(snapshot.id.as_str());
            prop_assert!(told || backing && stands, "{} is passed over", snapshot.id);
        }
        for image in &world.images {
            let managed = image.tags.get("holdfast:managed").map(String::as_str) == Some("true");
            let item = managed && image.state != ImageState::Deregistered;
            prop_assert_eq!(item, unique.contains(image.id.as_str()), "{}", image.id);
        }
    }

    #[test]
    fn the_order_of_the_lists_does_not_matter(
        (world, shuffled) in world().prop_flat_map(|world| {
            let snapshots = Just(world.snapshots.clone()).prop_shuffle();
            let images = Just(world.images.clone()).prop_shuffle();
            (Just(world), snapshots, images).prop_map(|(world, snapshots, images)| {
                let referrers = world.referrers.clone().reversed();
                (world.clone(), World { snapshots, images, referrers, ..world })
            })
        })
    ) {
        let decisions = |world: &World| -> BTreeMap<String, Decision> {
            let verdicts = world.settled().into_iter();
            verdicts.map(|v| (v.subject.id().to_owned(), v.decision)).collect()
        };
        let (one, other) = (decisions(&world), decisions(&shuffled));
        prop_assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
        for (id, decision) in &one {
            // The words may name another member of a kept set; the verdict may not differ.
            prop_assert_eq!(
                std::mem::discriminant(decision), std::mem::discriminant(&other[id]), "{}", id
            );
        }
    }

    #[test]
    fn one_more_reference_never_adds_a_deletion(world in world(), snapshot in 0..40usize) {
        let before = condemned(&world.judge());
        let mut more = world.clone();
        more.images.push(image(99, ImageState::Disabled, vec![snapshot]));
        prop_assert!(condemned(&more.judge()).is_subset(&before));
        let mut more = world;
        more.templates.push(template(99, snapshot));
        prop_assert!(condemned(&more.judge()).is_subset(&before));
    }

    #[test]
    fn a_table_that_cannot_be_read_deletes_nothing(world in world()) {
        let mut verdicts = world.judge();
        let recorded = Recorded { error: Some("no answer".into()), ..Recorded::default() };
        settle(policies(), &mut verdicts, &recorded, now(), now());
        prop_assert_eq!(condemned(&verdicts), BTreeSet::new());
    }

    #[test]
    fn a_trip_holds_all_of_its_policy_and_nothing_of_others(
        world in world(), policy in prop::sample::select(vec!["a", "b", "m", "k", "g"])
    ) {
        let untripped = condemned(&world.settled());
        let reason = Reason::with(ReasonCode::CircuitBreaker, "fleets: 0 listed now, 40 before");
        let trips = BTreeMap::from([(policy.to_owned(), vec![reason])]);
        let tripped = Recorded { trips, ..Recorded::default() };
        let mut verdicts = world.judge();
        let settled = settle(policies(), &mut verdicts, &tripped, now(), now());
        let of_policy: BTreeSet<&str> = verdicts.iter()
            .filter(|v| v.policy == policy).map(|v| v.subject.id()).collect();
        let others: BTreeSet<String> = untripped.iter()
            .filter(|id| !of_policy.contains(id.as_str())).cloned().collect();
        prop_assert_eq!(condemned(&verdicts), others);
        // A request that names what was shown frees all of it, and only then.
        let released = Recorded { released: settled.offered(), ..tripped };
        let mut verdicts = world.judge();
        let settled = settle(policies(), &mut verdicts, &released, now(), now());
        prop_assert!(settled.trips.is_empty());
        prop_assert!(untripped.is_subset(&condemned(&verdicts)));
    }

    #[test]
    fn a_plan_carried_out_leaves_nothing_more_to_delete(world in world()) {
        // Nothing is made of a source after it went: a record that says otherwise is corrected by
        // what the lists show, and once a failed AMI has gone the lists show less (see
        // `a_failed_image_newer_than_the_recorded_absence_delays_the_wait`).
        let world = world.with_truthful_absences();
        // Without the breaker of policy b, whose rest is for another day.
        let gone = condemned(&world.judge());
        let mut after = world;
        let with_images: BTreeSet<String> = after.images.iter()
            .filter(|i| gone.contains(i.id.as_str()))
            .flat_map(|i| i.snapshots().map(ToString::to_string))
            .collect();
        after.images.retain(|i| !gone.contains(i.id.as_str()));
        let mapped: BTreeSet<String> = after.images.iter()
            .flat_map(|i| i.snapshots().map(ToString::to_string))
            .collect();
        let goes = |s: &Snapshot| {
            let id = s.id.as_str();
            gone.contains(id) || (with_images.contains(id) && !mapped.contains(id))
        };
        after.snapshots.retain(|s| !goes(s));
        prop_assert_eq!(condemned(&after.judge()), BTreeSet::new());
    }
}
