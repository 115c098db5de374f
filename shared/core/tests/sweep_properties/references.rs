//! What must hold of referrers, of the words that narrow them, and of lists that end early.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::id::ImageId;
use holdfast_core::inventory::{
    Instance, InstanceState, LaunchTemplateVersion, Referrer, ReferrerKind, Source, TemplateName,
};
use holdfast_core::plan::judge::{Decision, Subject, Verdict};
use holdfast_core::policy::{EvidenceSource, TemplateVersions};
use holdfast_core::report::{Reason, ReasonCode};
use jiff::SignedDuration;
use proptest::prelude::*;

use crate::referrers::{Referrers, binned, copy, lock, names, referrer, restore, target, version};
use crate::world::{World, at_least, condemned, now, world};

/// Every list whose early end a sweep may meet.
const LISTS: [Source; 11] = [
    Source::Snapshots,
    Source::Images,
    Source::Instances,
    Source::Volumes,
    Source::LaunchTemplates,
    Source::LaunchConfigurations,
    Source::AutoScaling,
    Source::Fleets,
    Source::FastRestore,
    Source::RecycleBin,
    Source::Locks,
];

/// What would go by this verdict: the artifact, and an AMI's snapshots.
fn going(verdict: &Verdict) -> BTreeSet<String> {
    let mut ids = BTreeSet::from([verdict.subject.id().to_owned()]);
    if let Subject::Image { image, snapshots } = &verdict.subject {
        ids.extend(image.snapshots().map(ToString::to_string));
        ids.extend(snapshots.iter().map(|s| s.id.to_string()));
    }
    ids
}

fn alive(referrer: &Referrer) -> bool {
    let state = referrer.state.as_deref().unwrap_or("active");
    let over: &[&str] = match referrer.kind {
        ReferrerKind::LaunchConfiguration | ReferrerKind::AutoScalingGroup => &[],
        ReferrerKind::Fleet => &["deleted", "failed"],
        ReferrerKind::SpotFleet => &["cancelled", "failed"],
        ReferrerKind::SpotRequest => &["closed", "cancelled", "failed"],
    };
    !over.contains(&state)
}

fn launching(world: &World) -> impl Iterator<Item = &Referrer> {
    let more = &world.referrers;
    let all = more.configurations.iter().chain(&more.groups);
    all.chain(&more.fleets).filter(|one| alive(one))
}

/// Whether something certainly launches this version.
fn is_launched(world: &World, one: &LaunchTemplateVersion) -> bool {
    let versions = || {
        world
            .referrers
            .versions
            .iter()
            .filter(|v| v.template == one.template)
    };
    let latest = versions().all(|v| v.version <= one.version);
    let uses = launching(world).flat_map(|referrer| &referrer.templates);
    let mut uses = uses.filter(|launched| match &launched.template {
        TemplateName::Id(id) => id == one.template.as_str(),
        TemplateName::Name(name) => Some(name) == one.name.as_ref(),
    });
    uses.any(|launched| match launched.version.as_deref() {
        None | Some("$Default") => one.default || !versions().any(|v| v.default),
        Some("$Latest") => latest,
        Some("newest") => true,
        Some(number) => number == one.version.to_string(),
    })
}

/// Whether this version must hold what it names, by the contract's words.
fn holds(world: &World, one: &LaunchTemplateVersion) -> bool {
    let versions = || {
        world
            .referrers
            .versions
            .iter()
            .filter(|v| v.template == one.template)
    };
    let newer: BTreeSet<i64> = versions()
        .map(|v| v.version)
        .filter(|v| *v > one.version)
        .collect();
    let among = |newest: usize| newer.len() < newest || one.default;
    let by_words = match world.words.versions {
        TemplateVersions::All => true,
        TemplateVersions::DefaultAndLatest => among(1),
        TemplateVersions::Newest(count) => among(count as usize),
    };
    by_words || is_launched(world, one)
}

/// Why something that goes is needed, if it is.
fn needed(world: &World, verdict: &Verdict) -> Option<String> {
    let going = going(verdict);
    let more = &world.referrers;
    let names_it = |images: &[String], snapshots: &[holdfast_core::id::SnapshotId]| {
        images.iter().any(|id| going.contains(id))
            || snapshots.iter().any(|id| going.contains(id.as_str()))
    };
    for one in launching(world) {
        if names_it(&one.images, &one.snapshots) {
            return Some(one.id.clone());
        }
    }
    for one in &more.versions {
        let images: Vec<String> = one
            .image
            .iter()
            .cloned()
            .chain(one.resolved.iter().map(ToString::to_string))
            .collect();
        if names_it(&images, &one.snapshots) && holds(world, one) {
            return Some(format!("{} version {}", one.template, one.version));
        }
    }
    let restoring = more
        .restores
        .iter()
        .find(|r| r.state != "disabled" && going.contains(r.snapshot.as_str()));
    let locked = more
        .locks
        .iter()
        .find(|l| l.state != "expired" && going.contains(l.snapshot.as_str()));
    let copied = more.pending.iter().find(|p| {
        going
            .iter()
            .any(|id| p.description == format!("[Copied {id} from eu-central-1]"))
    });
    if restoring.is_some() || locked.is_some() || copied.is_some() {
        return Some(format!("{restoring:?} {locked:?} {copied:?}"));
    }
    if let Some(id) = more.binned.keys().find(|id| going.contains(*id)) {
        return Some(format!("{id} in the Recycle Bin"));
    }
    let Subject::Image { image, .. } = &verdict.subject else {
        return None;
    };
    let recent = world.words.recently.is_some()
        && image
            .last_launched
            .is_some_and(|t| now().duration_since(t) <= SignedDuration::from_hours(36));
    (recent || image.public).then(|| "launched just now, or public".to_owned())
}

/// Whether a list could protect this, by the design's words.
fn protects(source: Source, world: &World, verdict: &Verdict) -> bool {
    let is_image = matches!(verdict.subject, Subject::Image { .. });
    let sources = verdict.subject.sources();
    match source {
        Source::Instances => is_image || sources.iter().any(|id| id.starts_with("i-")),
        Source::Volumes => sources.iter().any(|id| id.starts_with("vol-")),
        Source::AutoScaling => is_image || world.words.versions != TemplateVersions::All,
        Source::FastRestore | Source::RecycleBin => !is_image || going(verdict).len() > 1,
        Source::Locks => is_image && going(verdict).len() > 1,
        _ => true,
    }
}

fn source_gone(verdict: &Verdict) -> bool {
    verdict
        .reasons()
        .iter()
        .any(|r| r.code == ReasonCode::SourceGone)
}

/// One referrer more, of the kind `which`, that holds `target` whatever the words say.
fn one_more(which: u8, target: &str) -> Referrers {
    let mut more = Referrers::default();
    let snapshot = target.starts_with("snap-");
    match which {
        0 => more.versions.push(version("lt-more", 1, target)),
        1 => {
            let kind = ReferrerKind::LaunchConfiguration;
            more.configurations
                .push(referrer(kind, "lc-more", Some(target)));
        }
        2 => more
            .fleets
            .push(referrer(ReferrerKind::Fleet, "fleet-more", Some(target))),
        3 => {
            let kind = ReferrerKind::SpotRequest;
            let mut request = referrer(kind, "sir-more", Some(target));
            request.state = Some("never seen".into());
            more.fleets.push(request);
        }
        4 => more.pending.push(copy("snap-more", target)),
        5 if snapshot => more.restores.push(restore(target, "enabling")),
        6 if snapshot => more.locks.push(lock(target, "compliance-cooloff")),
        7 if snapshot => more.binned = binned(target),
        _ => {
            let kind = ReferrerKind::AutoScalingGroup;
            let mut group = referrer(kind, "asg-more", None);
            (group.images, group.snapshots) = names(target);
            more.groups.push(group);
        }
    }
    more
}

proptest! {
    #![proptest_config(at_least(1_000))]

    #[test]
    fn nothing_that_a_readable_source_refers_to_is_condemned(world in world()) {
        for verdict in world.judge().iter().filter(|v| v.is_condemned()) {
            let needed = needed(&world, verdict);
            prop_assert!(needed.is_none(), "{}: {needed:?}", verdict.subject.id());
        }
    }

    #[test]
    fn one_more_referrer_of_any_kind_holds_what_it_names_and_adds_no_deletion(
        world in world(), which in 0..9u8, target in target()
    ) {
        let before = condemned(&world.judge());
        let mut more = world;
        more.referrers.add(one_more(which, &target));
        let after = more.judge();
        prop_assert!(condemned(&after).is_subset(&before));
        for verdict in after.iter().filter(|v| v.is_condemned()) {
            prop_assert!(!going(verdict).contains(&target), "{} goes", verdict.subject.id());
        }
    }

    #[test]
    fn one_more_copy_of_an_ami_holds_it_and_adds_no_deletion(world in world(), n in 0..14u8) {
        let before = condemned(&world.judge());
        let id = format!("ami-b{n:02}");
        let mut more = world;
        let mut copy = crate::world::image(97, holdfast_core::inventory::ImageState::Pending, vec![]);
        copy.source_image = Some(ImageId::new(&id));
        more.images.push(copy);
        let after = condemned(&more.judge());
        prop_assert!(after.is_subset(&before));
        prop_assert!(!after.contains(&id));
    }

    #[test]
    fn a_list_that_ends_early_adds_no_deletion_and_holds_just_what_it_could_protect(
        world in world(), source in prop::sample::select(LISTS.to_vec())
    ) {
        let before = world.judge();
        let cut = World { failed: BTreeSet::from([source]), ..world.clone() };
        let after = condemned(&cut.judge());
        // EC2 itself refuses to delete what is locked.
        let locked = |id: &String| {
            source == Source::Locks && world.referrers.locks.iter().any(|l| l.snapshot.as_str() == id)
        };
        let condemned_before = condemned(&before);
        let more: Vec<&String> = after.difference(&condemned_before).filter(|id| !locked(id)).collect();
        prop_assert!(more.is_empty(), "{more:?}");
        for verdict in before.iter().filter(|v| v.is_condemned()) {
            let id = verdict.subject.id();
            if protects(source, &world, verdict) {
                prop_assert!(!after.contains(id), "{id} goes without {}", source.as_str());
            } else if !source_gone(verdict) {
                prop_assert!(after.contains(id), "{id} is held for {}", source.as_str());
            }
        }
    }

    #[test]
    fn locks_that_could_not_be_read_hold_amis_and_leave_to_ec2_what_it_refuses(world in world()) {
        let before = condemned(&world.judge());
        let cut = World { failed: BTreeSet::from([Source::Locks]), ..world.clone() };
        for verdict in cut.judge().iter().filter(|v| v.is_condemned()) {
            let going = going(verdict);
            let is_image = matches!(verdict.subject, Subject::Image { .. });
            prop_assert!(!is_image || going.len() == 1, "{}", verdict.subject.id());
            let locked = world.referrers.locks.iter().any(|l| going.contains(l.snapshot.as_str()));
            prop_assert!(locked || before.contains(verdict.subject.id()));
        }
    }

    #[test]
    fn to_declare_a_source_unused_frees_nothing_that_another_one_holds(
        world in world(),
        declared in prop::sample::select(EvidenceSource::ALL.to_vec()),
        failed in prop::sample::subsequence(LISTS.to_vec(), 0..3),
    ) {
        let failed: BTreeSet<Source> = failed.into_iter().collect();
        let required = World { failed, ..world };
        let mut declaring = required.clone();
        declaring.words.not_used.insert(declared);
        let after: BTreeMap<String, Decision> = declaring.judge().into_iter()
            .map(|v| (v.subject.id().to_owned(), v.decision)).collect();
        // What that source's failure alone said is said no more; all else stands as it was. A
        // parameter is looked up by EC2's image references: without these it holds.
        let doubted = |r: &Reason| r.code == ReasonCode::EvidenceIncomplete
            && (r.detail.as_deref().is_some_and(|d| d.starts_with(&format!("{}: ", declared.as_str())))
                || !r.path.is_empty());
        for verdict in required.judge() {
            let id = verdict.subject.id();
            match &verdict.decision {
                Decision::Keep(_) => prop_assert_eq!(&verdict.decision, &after[id]),
                Decision::Hold(reasons) => {
                    // That somebody deregistered its AMI holds an orphan by itself; told beside
                    // another reason it is none.
                    let beside = |r: &Reason| r.code == ReasonCode::Orphaned && reasons.len() > 1;
                    let others: Vec<_> =
                        reasons.iter().filter(|r| !doubted(r) && !beside(r)).collect();
                    if !others.is_empty() {
                        let Decision::Hold(still) = &after[id] else {
                            return Err(TestCaseError::fail(format!("{id} is free")));
                        };
                        // What is left of an AMI is asked only of what nothing else holds.
                        let mut told = others.iter().filter(|r| r.code != ReasonCode::Orphaned);
                        prop_assert!(told.all(|r| still.contains(r)), "{}", id);
                    }
                }
                Decision::Condemn(_) => {
                    let holds_more = declared == EvidenceSource::ImageReferences;
                    prop_assert!(holds_more || verdict.decision == after[id]);
                }
            }
        }
    }

    #[test]
    fn the_order_of_referrers_changes_neither_a_verdict_nor_a_reason(world in world()) {
        let mut reversed = world.clone();
        reversed.referrers = world.referrers.clone().reversed();
        reversed.instances.reverse();
        reversed.templates.reverse();
        let of = |world: &World| -> Vec<(String, Decision)> {
            let verdicts = world.judge().into_iter();
            verdicts.map(|v| (v.subject.id().to_owned(), v.decision)).collect()
        };
        prop_assert_eq!(of(&world), of(&reversed));
    }

    #[test]
    fn stricter_words_never_add_a_deletion(world in world(), n in 0..14u8) {
        let mut launched = world;
        launched.instances.push(Instance {
            id: holdfast_core::id::InstanceId::new("i-stopped"),
            state: InstanceState::Stopped,
            image: Some(ImageId::new(format!("ami-b{n:02}"))),
            ..launched.instances[0].clone()
        });
        let before = condemned(&launched.judge());
        let mut strict = launched.clone();
        strict.words.versions = TemplateVersions::All;
        strict.words.stopped = true;
        strict.words.terminated = true;
        prop_assert!(condemned(&strict.judge()).is_subset(&before));
    }
}

#[test]
fn random_worlds_condemn_and_hold_by_every_kind_of_referrer() {
    // A property over worlds in which nothing is condemned, or nothing refers, would prove nothing.
    use proptest::strategy::{Strategy, ValueTree};
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut freed, mut codes) = (0, BTreeSet::new());
    for _ in 0..300 {
        let world = world().new_tree(&mut runner).unwrap().current();
        for verdict in world.judge() {
            freed += usize::from(verdict.is_condemned());
            if let Decision::Hold(reasons) = &verdict.decision {
                codes.extend(reasons.iter().map(|r| r.code));
            }
        }
    }
    assert!(freed > 300, "{freed} condemned");
    for code in [
        ReasonCode::UsedByImage,
        ReasonCode::UsedByInstance,
        ReasonCode::UsedByLaunchTemplate,
        ReasonCode::UsedByLaunchConfiguration,
        ReasonCode::UsedByAutoScalingGroup,
        ReasonCode::UsedByFleet,
        ReasonCode::CopyInProgress,
        ReasonCode::FastRestoreEnabled,
        ReasonCode::Locked,
        ReasonCode::InRecycleBin,
        ReasonCode::RecentlyLaunched,
        ReasonCode::SharedWithAccount,
        ReasonCode::EvidenceIncomplete,
    ] {
        assert!(codes.contains(&code), "no {code}");
    }
}
