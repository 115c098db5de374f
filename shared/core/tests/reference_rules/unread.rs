//! What may not go while a source is unread, cut short or stale.

use holdfast_core::dependency::{FRESH, Moment, unread};
use holdfast_core::id::SnapshotId;
use holdfast_core::inventory::{ImageReference, Listing, Reading, Share, Source};
use holdfast_core::plan::judge::Subject;
use holdfast_core::policy::Policy;
use holdfast_core::ports::{CallError, ErrorClass};
use jiff::SignedDuration;

use crate::stage::{Stage, now, policy, snapshot};

const SOURCES: [Source; 14] = [
    Source::Instances,
    Source::Volumes,
    Source::Snapshots,
    Source::Images,
    Source::LaunchTemplates,
    Source::LaunchConfigurations,
    Source::AutoScaling,
    Source::Fleets,
    Source::ImageReferences,
    Source::ImageRecipes,
    Source::RecycleBin,
    Source::FastRestore,
    Source::Shares,
    Source::Locks,
];

/// How everything was read, completely.
fn readings() -> Vec<Reading> {
    let late = [
        Listing::<ImageReference>::complete(Source::ImageReferences, vec![], now()).reading(),
        Listing::<ImageReference>::complete(Source::ImageRecipes, vec![], now()).reading(),
        Listing::<Share>::complete(Source::Shares, vec![], now()).reading(),
    ];
    let lists = Stage::new().inventory.readings().into_iter();
    lists.chain(late).collect()
}

fn denied() -> CallError {
    CallError {
        operation: "Describe",
        resource: "*".into(),
        code: Some("UnauthorizedOperation".into()),
        class: ErrorClass::Denied,
        message: "not you".into(),
    }
}

/// The sources whose failure holds the subject, each failing alone; the reason names it.
fn needed(policy: &Policy, subject: &Subject) -> Vec<&'static str> {
    let fails = |source: &Source| {
        let mut readings = readings();
        for reading in readings.iter_mut().filter(|r| r.source == *source) {
            reading.error = Some(denied());
        }
        let reasons = unread(Some(policy), subject, &readings, now(), Moment::Acting);
        for reason in &reasons {
            let detail = reason.detail.as_deref().unwrap();
            assert!(
                detail.starts_with(&format!("{}: ", source.as_str())),
                "{detail}"
            );
        }
        assert!(reasons.len() <= 1, "{reasons:?}");
        !reasons.is_empty()
    };
    SOURCES
        .into_iter()
        .filter(fails)
        .map(Source::as_str)
        .collect()
}

fn of_volume() -> Subject {
    Subject::Snapshot(snapshot("snap-9"))
}

fn of_set() -> Subject {
    let mut member = snapshot("snap-9");
    member.tags.insert("holdfast:source".into(), "i-1".into());
    Subject::Snapshot(member)
}

#[test]
fn evidence_that_is_whole_and_fresh_holds_nothing() {
    for subject in [Stage::new().subject(), of_volume(), of_set()] {
        let reasons = unread(None, &subject, &readings(), now(), Moment::Acting);
        assert_eq!(reasons, []);
    }
}

#[test]
fn each_source_holds_just_what_it_could_protect() {
    let all = [
        "instances",
        "volumes",
        "snapshots",
        "images",
        "launch_templates",
        "launch_configurations",
        "auto_scaling",
        "fleets",
        "image_references",
        "image_recipes",
        "recycle_bin",
        "fast_restore",
        "shares",
        // EC2 refuses to delete a locked snapshot, and deregisters the AMI over it.
        "locks",
    ];
    assert_eq!(needed(&policy(""), &Stage::new().subject()), all);
    let of_one = [
        "volumes",
        "snapshots",
        "images",
        "launch_templates",
        "launch_configurations",
        "fleets",
        "recycle_bin",
        "fast_restore",
        "shares",
    ];
    assert_eq!(needed(&policy(""), &of_volume()), of_one);
    // A pin on the instance of a set keeps all of it.
    let mut of_many = of_one.to_vec();
    of_many.insert(0, "instances");
    assert_eq!(needed(&policy(""), &of_set()), of_many);
    // Where old versions go, only a group tells which of them it launches.
    let narrow = policy("launch_template_versions: { newest: 1 }");
    assert!(needed(&narrow, &of_volume()).contains(&"auto_scaling"));
}

#[test]
fn an_ami_without_snapshots_needs_nothing_that_concerns_snapshots() {
    let mut bare = Stage::new();
    bare.inventory
        .images
        .items
        .update(0, |i| i.mappings.clear());
    let Subject::Image { image, .. } = bare.subject() else {
        unreachable!()
    };
    let subject = Subject::Image {
        image,
        snapshots: vec![],
    };
    let needed = needed(&policy(""), &subject);
    assert!(!needed.contains(&"recycle_bin") && !needed.contains(&"fast_restore"));
    assert!(!needed.contains(&"volumes"));
}

#[test]
fn what_a_policy_declares_unused_it_does_not_miss_and_all_else_it_does() {
    let subject = Stage::new().subject();
    let all = needed(&policy(""), &subject);
    for source in [
        "launch_templates",
        "launch_configurations",
        "auto_scaling",
        "fleets",
        "image_references",
        "image_recipes",
        "recycle_bin",
        "fast_restore",
    ] {
        let declaring = policy(&format!("evidence: {{ {source}: not-used }}"));
        let rest: Vec<&str> = all.iter().copied().filter(|s| *s != source).collect();
        assert_eq!(needed(&declaring, &subject), rest, "{source}");
    }
}

#[test]
fn evidence_of_more_than_fifteen_minutes_ago_justifies_nothing() {
    let subject = of_volume();
    let aged = |age: SignedDuration| {
        let mut readings = readings();
        for reading in readings.iter_mut().filter(|r| r.source == Source::Fleets) {
            reading.read_at = now() - age;
        }
        unread(None, &subject, &readings, now(), Moment::Acting)
    };
    assert_eq!(FRESH, SignedDuration::from_mins(15));
    assert!(aged(FRESH).is_empty());
    let second = SignedDuration::from_secs(1);
    let stale = aged(FRESH + second);
    assert!(
        stale[0].detail.as_deref().unwrap().starts_with("fleets: "),
        "{stale:?}"
    );
    // Read in a time to come: the clock was set back, and tells no age.
    assert_eq!(aged(-FRESH - second).len(), 1);
}

#[test]
fn a_source_that_nobody_read_is_missed_and_one_read_late_only_when_it_is_due() {
    let subject = Stage::new().subject();
    let lists = Stage::new().inventory.readings();
    assert!(unread(None, &subject, &lists, now(), Moment::Planning).is_empty());
    let acting = unread(None, &subject, &lists, now(), Moment::Acting);
    let named: Vec<&str> = acting.iter().filter_map(|r| r.detail.as_deref()).collect();
    assert_eq!(
        named,
        [
            "image_references: was not read",
            "image_recipes: was not read",
            "shares: was not read",
        ]
    );
    let mut unlisted = Stage::new();
    unlisted.inventory.fleets = None;
    let readings = unlisted.inventory.readings();
    let planning = unread(None, &subject, &readings, now(), Moment::Planning);
    assert_eq!(planning[0].detail.as_deref(), Some("fleets: was not read"));
}

#[test]
fn one_bad_reading_of_a_source_is_not_made_good_by_another() {
    let mut stage = Stage::new();
    stage.inventory.pending.error = Some(denied());
    let subject = Subject::Snapshot(snapshot("snap-9"));
    let readings = stage.inventory.readings();
    let reasons = unread(None, &subject, &readings, now(), Moment::Planning);
    assert_eq!(reasons.len(), 1, "a copy may be among the pending");
    assert_eq!(subject.id(), SnapshotId::new("snap-9").as_str());
}
