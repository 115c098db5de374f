//! `sweep`.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use holdfast_end_to_end::backups::{POLICIES, newest_first, world};
use holdfast_end_to_end::{World, items, resources};
use holdfast_local_aws::lambda::find_binary;

use super::holdfast;
use super::running::{interrupted_after, waiting};

const ENFORCE: [&str; 5] = [
    "sweep",
    "--enforce",
    "--yes",
    "--function",
    "sweep-retention",
];

fn on_the_clock(world: &World) {
    world.advance(&jiff::Timestamp::now().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_plans_and_deletes_when_it_is_told_to() {
    let (world, ids) = world("plan", POLICIES, 4).await;
    on_the_clock(&world);
    world.deploy(&["sweep-retention"]);
    let plan = holdfast(&world, &["sweep", "--json"]);
    let report = plan.json();
    assert_eq!(report["run"]["mode"], "plan", "{report:#}");
    assert_eq!(items(&report, "planned").len(), 2, "{report:#}");
    assert_eq!(newest_first(&world).len(), 4);

    let done = holdfast(&world, &[&ENFORCE[..], &["--json"]].concat());
    let report = done.json();
    let mut gone = resources(&items(&report, "deleted"));
    gone.sort();
    let mut wanted = ids[2..].to_vec();
    wanted.sort();
    assert_eq!((done.status, gone), (0, wanted), "{report:#}\n{}", done.err);
    assert_eq!(newest_first(&world), ids[..2]);
}

/// The command on a terminal of its own (`script` of util-linux), at which this is typed when it asks;
/// its status, and all that it showed.
fn typed(world: &World, answer: &str) -> (i32, String) {
    let line = format!(
        "{} sweep --enforce --function sweep-retention",
        find_binary("holdfast").unwrap().display()
    );
    let mut terminal = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .envs(world.local.environment())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut keys = terminal.stdin.take().unwrap();
    let mut screen = terminal.stdout.take().unwrap();
    let mut shown = Vec::new();
    let mut byte = [0];
    while !shown.ends_with(b"to have it done:") && screen.read(&mut byte).unwrap() == 1 {
        shown.extend(byte);
    }
    keys.write_all(answer.as_bytes()).unwrap();
    screen.read_to_end(&mut shown).unwrap();
    let status = terminal.wait().unwrap();
    drop(keys);
    (status.code().unwrap(), String::from_utf8(shown).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_terminal_only_the_number_of_deletions_typed_back_has_them_done() {
    let (world, ids) = world("plan", POLICIES, 4).await;
    on_the_clock(&world);
    world.deploy(&["sweep-retention"]);
    for wrong in ["y\n", "4\n"] {
        let (status, shown) = typed(&world, wrong);
        assert_eq!(status, 0, "{shown}");
        assert!(shown.contains("type 2 to have it done"), "{shown}");
        assert!(shown.contains("nothing was changed"), "{shown}");
        assert_eq!(newest_first(&world).len(), 4);
    }
    let (status, shown) = typed(&world, "2\n");
    assert_eq!(status, 0, "{shown}");
    assert!(shown.contains("2 deleted"), "{shown}");
    assert_eq!(newest_first(&world), ids[..2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_at_the_question_ends_the_command_and_deletes_nothing() {
    let (world, _) = world("plan", POLICIES, 4).await;
    on_the_clock(&world);
    world.deploy(&["sweep-retention"]);
    let (status, shown) = typed(&world, "\x03");
    assert_eq!(status, 130, "{shown}");
    assert_eq!(newest_first(&world).len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_while_the_plan_is_read_deletes_nothing_of_what_a_release_allows() {
    let policies = format!("{POLICIES}    limits: {{ free: 1, max_shrink: 1% }}\n");
    for released in [false, true] {
        let (world, _) = world("enforce", &policies, 5).await;
        on_the_clock(&world);
        world.deploy(&["sweep-retention"]);
        let tripped = holdfast(&world, &[&ENFORCE[..], &["--json"]].concat()).json();
        assert_eq!(items(&tripped, "deleted").len(), 1, "{tripped:#}");
        let mut asked = ENFORCE.to_vec();
        if released {
            let hash = tripped["run"]["plan_hash"].as_str().unwrap();
            asked.extend(["--override", hash]);
        }
        let left = newest_first(&world);
        // The first look is the deployed function's own.
        let cut = interrupted_after(&world, &asked, "DescribeVolumes", 1).await;
        let said = String::from_utf8(cut.stderr).unwrap();
        assert!(said.contains("interrupted; nothing was deleted"), "{said}");
        assert_eq!(cut.status.code(), Some(1), "{said}");
        assert_eq!(newest_first(&world), left, "{said}");
        if released {
            let done = holdfast(&world, &asked);
            assert_eq!(newest_first(&world).len(), 2, "{}", done.out);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_another_one_kept_from_its_turn_has_not_done_what_it_was_asked_for() {
    let (world, _) = world("enforce", POLICIES, 4).await;
    on_the_clock(&world);
    world.deploy(&["sweep-retention"]);
    let mut other = waiting(&world, &ENFORCE, "DescribeSnapshotAttribute", 0).await;
    let busy = holdfast(&world, &[&ENFORCE[..], &["--json"]].concat());
    other.kill().unwrap();
    other.wait().unwrap();
    let report = busy.json();
    assert_eq!(busy.status, 1, "{report:#}");
    assert_eq!(report["items"][0]["reasons"][0]["code"], "lease-held");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_file_that_is_not_the_deployed_one_deletes_nothing() {
    let (world, _) = world("enforce", POLICIES, 4).await;
    on_the_clock(&world);
    world.deploy(&["sweep-retention"]);
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.yaml");
    std::fs::write(&other, POLICIES.replace("last: 2", "last: 1")).unwrap();
    let other = other.to_str().unwrap();
    let refused = holdfast(&world, &[&ENFORCE[..], &["--policies", other]].concat());
    assert_eq!((refused.status, refused.out.as_str()), (2, ""));
    assert!(
        refused.err.contains("is not the deployed policy file"),
        "{}",
        refused.err
    );
    assert_eq!(newest_first(&world).len(), 4);
    // Nor one of which nobody can say.
    let alone = holdfast(&world, &["sweep", "--enforce", "--yes"]);
    assert_eq!(alone.status, 2);
    assert!(alone.err.contains("SweepRetentionArn"), "{}", alone.err);
    let missing = holdfast(
        &world,
        &["sweep", "--enforce", "--yes", "--function", "gone"],
    );
    assert_eq!(missing.status, 1);
    assert_eq!(newest_first(&world).len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_person_who_types_the_count_nothing_goes() {
    let (world, _) = world("enforce", POLICIES, 4).await;
    on_the_clock(&world);
    world.deploy(&["sweep-retention"]);
    let refused = holdfast(
        &world,
        &["sweep", "--enforce", "--function", "sweep-retention"],
    );
    assert_eq!(refused.status, 2);
    assert!(refused.err.contains("--yes"), "{}", refused.err);
    assert_eq!(newest_first(&world).len(), 4);
    let ahead = holdfast(&world, &["sweep", "--enforce", "--yes", "--now", "+1d"]);
    assert_eq!(ahead.status, 2, "a deletion is for now");
    let slip = holdfast(&world, &["sweep", "--policy", "nigthly"]);
    assert!(slip.err.contains("did you mean nightly?"), "{}", slip.err);
}
