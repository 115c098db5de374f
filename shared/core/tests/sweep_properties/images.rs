//! What must hold of AMIs and their snapshots.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::artifact::{PIN, image_name};
use holdfast_core::id::InstanceId;
use holdfast_core::inventory::{
    Image, ImageState, Instance, InstanceState, LaunchTemplateVersion, MappingTarget, Snapshot,
    SnapshotState,
};
use holdfast_core::plan::judge::{Decision, Subject, Verdict};
use holdfast_core::report::ReasonCode;
use holdfast_core::retention::{self, Backup};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::world::{World, at_least, condemned, image, now, policies, template, world};

fn mapped<'w>(world: &'w World, image: &Image) -> Vec<&'w Snapshot> {
    let all = || world.snapshots.iter().chain(&world.mapped);
    let found = image.snapshots().map(|id| all().find(|s| s.id == *id));
    found.flatten().collect()
}

fn tag<'a>(tags: &'a holdfast_core::inventory::Tags, name: &str) -> &'a str {
    tags.get(&format!("holdfast:{name}"))
        .map_or("", String::as_str)
}

/// When the good images of a policy and a source were made.
fn good_times(world: &World, policy: &str, source: &str) -> Vec<(String, Timestamp)> {
    let good = world
        .images
        .iter()
        .filter(|image| tag(&image.tags, "source") == source && is_good_of(world, image, policy));
    good.map(|image| (image.id.to_string(), image.created.unwrap()))
        .collect()
}

/// Whether an image is a backup of policy `m` that counts, by the contract's words.
fn is_good(world: &World, image: &Image) -> bool {
    is_good_of(world, image, "m")
}

fn is_good_of(world: &World, image: &Image, policy: &str) -> bool {
    let ebs =
        |m: &&holdfast_core::inventory::ImageMapping| matches!(m.target, MappingTarget::Ebs(_));
    let devices = image.mappings.iter().filter(ebs).count();
    let snapshots = mapped(world, image);
    let slot: Result<Timestamp, _> = tag(&image.tags, "slot").parse();
    let source = tag(&image.tags, "source");
    image.state == ImageState::Available
        && tag(&image.tags, "managed") == "true"
        && tag(&image.tags, "policy") == policy
        && image.owner.as_deref() == Some("111122223333")
        && image.created.is_some()
        && devices > 0
        && snapshots.len() == devices
        && snapshots
            .iter()
            .all(|s| s.state == SnapshotState::Completed)
        && image.source_instance == Some(InstanceId::new(source))
        && slot.is_ok_and(|slot| image.name == Some(image_name(policy, source, slot, 1)))
}

fn decisions(verdicts: Vec<Verdict>) -> BTreeMap<String, Decision> {
    let of = verdicts.into_iter();
    of.map(|v| (v.subject.id().to_owned(), v.decision))
        .collect()
}

proptest! {
    #![proptest_config(at_least(1_000))]

    #[test]
    fn no_image_goes_that_is_needed_pinned_protected_or_not_ours(world in world()) {
        let gone = condemned(&world.settled());
        for image in world.images.iter().filter(|i| gone.contains(i.id.as_str())) {
            let id = &image.id;
            prop_assert!(matches!(image.state, ImageState::Available | ImageState::Failed));
            prop_assert_eq!(tag(&image.tags, "managed"), "true");
            prop_assert_eq!(image.owner.as_deref(), Some("111122223333"));
            prop_assert!(!image.deregistration_protected && !image.tags.contains_key(PIN));
            let launched = |i: &&Instance| i.image.as_ref() == Some(id);
            let needs = |i: &Instance| match i.state {
                InstanceState::Terminated => world.words.terminated,
                InstanceState::Stopped => world.words.stopped,
                _ => true,
            };
            prop_assert!(!world.instances.iter().filter(launched).any(needs));
            for template in &world.templates {
                prop_assert!(template.image.as_deref() != Some(id.as_str()));
                prop_assert!(!image.snapshots().any(|s| template.snapshots.contains(s)));
            }
            let source = tag(&image.tags, "source");
            let pinned = world.instances.iter()
                .any(|i| i.id.as_str() == source && i.tags.contains_key(PIN));
            prop_assert!(!pinned);
            // What goes with it is ours and a part of such an AMI.
            for snapshot in mapped(&world, image) {
                prop_assert_eq!(tag(&snapshot.tags, "managed"), "true", "{}", snapshot.id);
                prop_assert_eq!(tag(&snapshot.tags, "artifact"), "image-snapshot");
                prop_assert!(!snapshot.tags.contains_key(PIN));
                prop_assert!(!snapshot.tags.keys().any(|k| k.starts_with("aws:")));
                let pinned = world.volumes.iter()
                    .any(|v| Some(&v.id) == snapshot.volume.as_ref() && v.tags.contains_key(PIN));
                prop_assert!(!pinned);
            }
            if image.state == ImageState::Available {
                prop_assert!(tag(&image.tags, "policy") != "m" || is_good(&world, image));
            }
        }
    }

    #[test]
    fn every_source_keeps_its_min_copies_of_good_images(world in world()) {
        let gone = condemned(&world.settled());
        for source in 0..3 {
            let source = format!("i-{source}");
            let good: Vec<&Image> = world.images.iter()
                .filter(|i| tag(&i.tags, "source") == source && is_good(&world, i))
                .collect();
            let left = good.iter().filter(|i| !gone.contains(i.id.as_str())).count();
            prop_assert!(left >= good.len().min(2), "{left} of {}", good.len());
        }
    }

    #[test]
    fn one_more_user_of_an_image_holds_it_and_adds_no_deletion(world in world(), n in 0..14usize) {
        let before = condemned(&world.judge());
        let id = format!("ami-b{n:02}");
        let mut launched = world.clone();
        launched.instances.push(Instance {
            id: InstanceId::new("i-one-more"),
            state: InstanceState::Stopping,
            image: Some(holdfast_core::id::ImageId::new(&id)),
            ..world.instances[0].clone()
        });
        let mut named = world.clone();
        named.templates.push(LaunchTemplateVersion { resolved: None,
            image: Some(id.clone()), snapshots: vec![], ..template(99, 0)
        });
        let mut direct = world.clone();
        direct.templates.push(LaunchTemplateVersion { resolved: None,
            snapshots: vec![holdfast_core::id::SnapshotId::new(format!("snap-b{n:02}-0"))],
            ..template(99, 0)
        });
        for more in [launched, named] {
            let after = condemned(&more.judge());
            prop_assert!(after.is_subset(&before));
            prop_assert!(!after.contains(&id));
        }
        prop_assert!(condemned(&direct.judge()).is_subset(&before));
        // Another image over its snapshot, which stays with that one.
        let mut over = world;
        let mut other = image(98, ImageState::Available, vec![]);
        other.mappings = over.images.iter().find(|i| i.id.as_str() == id)
            .map_or_else(Vec::new, |i| i.mappings.clone());
        over.images.push(other);
        prop_assert!(condemned(&over.judge()).is_subset(&before));
    }

    #[test]
    fn less_evidence_never_adds_a_deletion(world in world(), n in 0..14usize) {
        let verdicts = world.judge();
        let before = condemned(&verdicts);
        let mut unread = world.clone();
        unread.mapped_failed = true;
        prop_assert!(condemned(&unread.judge()).is_subset(&before));
        // One backing snapshot that vanished makes its image no backup: others take its place.
        let vanished = format!("snap-b{n:02}-0");
        let mut less = world;
        less.snapshots.retain(|s| s.id.as_str() != vanished);
        let after = condemned(&less.judge());
        let failed: BTreeSet<String> = less.images.iter()
            .filter(|i| i.state == ImageState::Failed).map(|i| i.id.to_string()).collect();
        // What held it held the rest of its former AMI, too: half of one restores nothing.
        let of = |id: &str| verdicts.iter().find(|v| v.subject.id() == id)?.orphan_of.clone();
        let rest_of_it = |id: &String| of(&vanished).is_some() && of(id) == of(&vanished);
        let added: Vec<&String> = after.iter()
            .filter(|&id| !before.contains(id) && !failed.contains(id) && !rest_of_it(id))
            .collect();
        prop_assert!(added.is_empty(), "{added:?}");
    }

    #[test]
    fn the_records_of_leftovers_touch_no_other_verdict(world in world()) {
        let with = decisions(world.judge());
        let without = World { leftovers: BTreeMap::new(), ..world.clone() };
        let without = decisions(without.judge());
        for (id, decision) in &with {
            if world.leftovers.contains_key(id) {
                continue;
            }
            prop_assert_eq!(decision, &without[id], "{}", id);
        }
    }

    #[test]
    fn a_backing_snapshot_goes_by_itself_only_as_holdfasts_own_leftover(world in world()) {
        for verdict in world.settled().iter().filter(|v| v.is_condemned()) {
            let Subject::Snapshot(snapshot) = &verdict.subject else { continue };
            if tag(&snapshot.tags, "artifact") == "image-snapshot" {
                prop_assert!(world.leftovers.contains_key(snapshot.id.as_str()));
                prop_assert!(!verdict.good);
                prop_assert!(["m", "g"].contains(&tag(&snapshot.tags, "policy")));
            }
        }
    }

    #[test]
    fn what_the_records_say_of_a_leftover_chooses_no_deletion_that_policy_would_not(
        world in world()
    ) {
        for verdict in world.judge().iter().filter(|v| v.is_condemned()) {
            let Subject::Snapshot(snapshot) = &verdict.subject else { continue };
            let source = tag(&snapshot.tags, "source");
            let expired = verdict.reasons().iter().any(|r| r.code == ReasonCode::Expired);
            if verdict.former_image.is_none() || !expired {
                continue;
            }
            let policy = policies().policies.iter().find(|p| p.name == verdict.policy).unwrap();
            let mut backups: Vec<Backup> = good_times(&world, &policy.name, source)
                .into_iter()
                .map(|(id, time)| Backup { id, time })
                .collect();
            let live = Backup { id: "ami-was".into(), time: snapshot.start.unwrap() };
            backups.push(live);
            let kept = retention::keep(
                &policy.retain, policy.min_copies, &policy.timezone, now(), &backups,
            );
            prop_assert!(kept.last().unwrap().is_empty(), "{:?}", kept.last());
        }
    }

    #[test]
    fn a_source_is_gone_no_longer_than_since_its_newest_backup(world in world()) {
        let wait = SignedDuration::from_hours(48);
        for verdict in world.judge().iter().filter(|v| v.is_condemned()) {
            if !verdict.reasons().iter().any(|r| r.code == ReasonCode::SourceGone) {
                continue;
            }
            prop_assert_eq!(&verdict.policy, "g");
            let source = tag(verdict.subject.tags(), "source");
            prop_assert_eq!(source, "i-3", "the others are listed");
            let times = good_times(&world, "g", source);
            let newest = times.iter().map(|(_, time)| *time).chain(verdict.subject.time()).max();
            prop_assert!(newest.unwrap() + wait <= now());
            prop_assert!(world.gone_since[source] + wait <= now());
        }
    }
}
