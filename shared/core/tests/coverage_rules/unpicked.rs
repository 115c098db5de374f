//! What no policy picks, and policies that pick nothing.

use holdfast_core::id::VolumeId;
use holdfast_core::inventory::{Source, VolumeState};

use super::stage::Stage;
use super::{BAKES, GOLDEN, NIGHTLY, PICKED, one_volume};

/// As [`NIGHTLY`], with requirements.
fn required(requirements: &str) -> String {
    NIGHTLY.replace("policies:", &format!("require: {requirements}\npolicies:"))
}

#[test]
fn a_policy_that_picks_nothing_is_found_and_one_that_was_paused_is_not() {
    let stage = Stage::default();
    assert_eq!(stage.found(NIGHTLY), ["nightly nightly matches-nothing"]);
    assert_eq!(stage.found(GOLDEN), ["golden golden matches-nothing"]);
    let paused = NIGHTLY.replace("retain:", "state: paused\n    retain:");
    assert_eq!(stage.found(&paused), [""; 0]);
}

#[test]
fn a_policy_of_triggers_alone_may_pick_nothing_for_a_while_but_not_without_backups() {
    let mut stage = Stage::default();
    assert_eq!(stage.found(BAKES), ["bakes bakes matches-nothing"]);
    stage.image("ami-1", "bakes", "i-gone", "2026-10-01T03:00:00Z");
    assert_eq!(stage.found(BAKES), [""; 0]);
    let with_rpo = |rpo: &str| BAKES.replace("retain:", &format!("rpo: {rpo}\n    retain:"));
    assert_eq!(stage.found(&with_rpo("90d")), [""; 0]);
    assert_eq!(
        stage.found(&with_rpo("30d")),
        ["bakes bakes matches-nothing"]
    );
}

#[test]
fn what_require_names_and_no_active_policy_picks_is_found() {
    let mut stage = one_volume();
    stage.snapshot("snap-1", "nightly", "vol-1", "2026-11-23T03:00:00Z");
    stage.machine("i-1", &["vol-2"], &[("Tier", "gold")]);
    stage.machine("i-2", &["vol-3"], &[]);
    let gold = required("[{ resource: instances, tags: { Tier: gold } }]");
    assert_eq!(stage.found(&gold), ["i-1 - not-picked"]);
    let volumes = required("[{ resource: volumes, tags: {} }]");
    assert_eq!(
        stage.found(&volumes),
        ["vol-2 - not-picked", "vol-3 - not-picked"]
    );
    // Two reasons make one finding.
    let twice = "[{ resource: instances, tags: { Tier: gold } }, \
                  { resource: instances, tags: { Tier: \"*\" } }]";
    assert_eq!(
        stage.found(&required(twice)),
        ["i-1 - not-picked+not-picked"]
    );
    stage.volume_mut("vol-2").state = VolumeState::Deleting;
    assert_eq!(stage.found(&volumes), ["vol-3 - not-picked"]);
}

#[test]
fn a_volume_in_an_ami_is_picked_unless_the_ami_leaves_it_out() {
    let mut stage = Stage::default();
    stage.machine("i-1", &["vol-1", "vol-2"], &PICKED);
    stage.image("ami-1", "golden", "i-1", "2026-11-23T03:00:00Z");
    stage.volume_mut("vol-2").tags = super::stage::tags(&[("Scratch", "1")]);
    let policies = GOLDEN.replace(
        "policies:",
        "require: [{ resource: volumes, tags: {} }]\npolicies:",
    );
    assert_eq!(stage.found(&policies), [""; 0]);
    let leaving_out = policies.replace(
        "select: {",
        "select: { exclude: { tags: { Scratch: \"*\" } },",
    );
    assert_eq!(stage.found(&leaving_out), ["vol-2 - not-picked"]);
    // The root is in the AMI whatever is excluded.
    stage.volume_mut("vol-1").tags = super::stage::tags(&[("Scratch", "1")]);
    assert_eq!(stage.found(&leaving_out), ["vol-2 - not-picked"]);
    let data = policies.replace("select: {", "select: { exclude: { data_volumes: true },");
    assert_eq!(stage.found(&data), ["vol-2 - not-picked"]);
}

#[test]
fn a_volume_that_an_exclusion_ends_the_protection_of_is_found() {
    let mut stage = one_volume();
    stage.snapshot("snap-1", "nightly", "vol-1", "2026-11-23T03:00:00Z");
    let small = NIGHTLY.replace("select: {", "select: { exclude: { larger_than_gib: 500 },");
    stage.volume_mut("vol-1").size_gib = Some(500);
    assert_eq!(stage.found(&small), [""; 0]);
    // It has grown.
    stage.volume_mut("vol-1").size_gib = Some(501);
    let found = ["nightly nightly matches-nothing", "vol-1 - not-picked"];
    assert_eq!(stage.found(&small), found);
}

#[test]
fn a_source_with_backups_that_lost_its_tag_is_found_while_it_exists() {
    let mut stage = one_volume();
    stage.volume("vol-2", &[], &PICKED);
    for (volume, snapshot) in [("vol-1", "snap-1"), ("vol-2", "snap-2")] {
        stage.snapshot(snapshot, "nightly", volume, "2026-11-23T03:00:00Z");
    }
    stage.volume_mut("vol-1").tags = super::stage::tags(&[("Backup", "nightyl")]);
    assert_eq!(stage.found(NIGHTLY), ["vol-1 - not-picked"]);
    let gone = VolumeId::new("vol-1");
    stage.volumes.retain(|volume| volume.id != gone);
    assert_eq!(stage.found(NIGHTLY), [""; 0]);
}

#[test]
fn a_source_whose_policy_is_no_longer_in_the_file_is_found() {
    let mut stage = one_volume();
    stage.snapshot("snap-1", "nightly", "vol-1", "2026-11-23T03:00:00Z");
    stage.volume("vol-2", &[], &[]);
    stage.snapshot("snap-2", "forgotten", "vol-2", "2026-11-23T03:00:00Z");
    assert_eq!(stage.found(NIGHTLY), ["vol-2 - not-picked"]);
    let findings = stage.coverage(NIGHTLY).findings();
    let detail = findings[0].reasons[0].detail.as_deref().unwrap();
    assert!(detail.contains("forgotten"), "{detail}");
}

#[test]
fn a_retired_policy_that_still_picks_it_says_that_an_end_is_meant() {
    let mut stage = one_volume();
    stage.snapshot("snap-1", "nightly", "vol-1", "2026-11-23T03:00:00Z");
    let retired = NIGHTLY.replace("retain:", "state: retired\n    retain:");
    assert_eq!(stage.found(&retired), [""; 0]);
    // It is no promise, though, where one is required.
    let required = retired.replace(
        "policies:",
        "require: [{ resource: volumes, tags: {} }]\npolicies:",
    );
    assert_eq!(stage.found(&required), ["vol-1 - not-picked"]);
}

#[test]
fn nothing_is_called_unpicked_by_half_a_list() {
    for cut in [Source::Instances, Source::Volumes] {
        let mut stage = one_volume();
        stage.volume_mut("vol-1").tags.clear();
        stage.snapshot("snap-1", "nightly", "vol-1", "2026-11-23T03:00:00Z");
        stage.cut.insert(cut);
        let policies = required("[{ resource: volumes, tags: {} }]");
        assert_eq!(stage.found(&policies), [""; 0], "{cut:?}");
    }
}

/// As [`NIGHTLY`], with a monthly policy of other tags.
fn with_monthly() -> String {
    format!(
        "{NIGHTLY}  - name: monthly\n    protect: volumes\n    \
         select: {{ volumes: {{ tags: {{ Keep: long }} }} }}\n    \
         schedule: \"cron(0 3 1 * ? *)\"\n    retain: {{ last: 12 }}\n"
    )
}

#[test]
fn a_source_that_one_policy_picks_no_more_is_found_though_another_does() {
    let mut stage = Stage::default();
    stage.volume("vol-1", &[], &[PICKED[0], ("Keep", "long")]);
    stage.snapshot("snap-1", "nightly", "vol-1", "2026-11-23T03:00:00Z");
    stage.snapshot("snap-2", "monthly", "vol-1", "2026-11-01T03:00:00Z");
    assert_eq!(stage.found(&with_monthly()), [""; 0]);
    stage.volume_mut("vol-1").tags = super::stage::tags(&[PICKED[0], ("Keep", "lnog")]);
    let found = [
        "monthly monthly matches-nothing",
        "vol-1 monthly not-picked",
    ];
    assert_eq!(stage.found(&with_monthly()), found);
    let findings = stage.coverage(&with_monthly()).findings();
    let detail = findings[1].reasons[0].detail.as_deref().unwrap();
    assert!(detail.contains("snap-2"), "{detail}");
    // That it is meant can be said, and is taken for granted after a while.
    let meant = format!(
        "{}  - name: ended\n    protect: volumes\n    state: retired\n    \
         select: {{ volumes: {{ tags: {{ Keep: lnog }} }} }}\n    \
         schedule: \"cron(0 3 1 * ? *)\"\n    retain: {{ last: 1 }}\n",
        with_monthly()
    );
    assert_eq!(stage.found(&meant), found[..1]);
    // Two months and 30 days before the time that it is.
    for (time, told) in [
        ("2026-08-26T03:00:00Z", true),
        ("2026-08-20T03:00:00Z", false),
    ] {
        stage.snapshots[1].start = Some(super::stage::at(time));
        let items = if told { &found[..] } else { &found[..1] };
        assert_eq!(stage.found(&with_monthly()), items, "{time}");
    }
}

#[test]
fn a_volume_that_was_in_an_ami_and_is_left_out_now_is_found() {
    let mut stage = Stage::default();
    stage.machine("i-1", &["vol-1", "vol-2"], &PICKED);
    stage.image("ami-1", "golden", "i-1", "2026-11-23T03:00:00Z");
    stage.snapshots[0].volume = Some(VolumeId::new("vol-2"));
    assert_eq!(stage.found(GOLDEN), [""; 0]);
    let data = GOLDEN.replace("select: {", "select: { exclude: { data_volumes: true },");
    assert_eq!(stage.found(&data), ["vol-2 golden not-picked"]);
    // It is gone, and was not left out.
    stage.volume_mut("vol-2").state = VolumeState::Deleting;
    assert_eq!(stage.found(&data), [""; 0]);
}
