//! `holdfast report --html` against the local AWS. The pages stay under `target/tmp/report`, where
//! `make test-report` opens them in a browser.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use holdfast_core::id::{ImageId, InstanceId, VolumeId};
use holdfast_end_to_end::backups::day;
use holdfast_end_to_end::images::{MACHINE, seed_image};
use holdfast_end_to_end::{World, at, seed_backup, tags};
use holdfast_sim::{Account, ApiError, Fault, FaultRule, InstanceSeed, Settings, VolumeSeed};
use serde_json::{Value, json};

const POLICIES: &str = r#"
version: 1
policies:
  - name: nightly
    protect: volumes
    select: { volumes: { tags: { Backup: nightly } } }
    schedule: "cron(0 3 * * ? *)"
    retain: { daily: 14, weekly: 3 }
  - name: bake
    protect: instances
    select: { instances: { tags: { Bake: nightly } } }
    schedule: "cron(0 3 * * ? *)"
    retain: { last: 3 }
"#;
const NOW: &str = "2026-03-02T10:00:00Z";
const DATABASE: &str = "vol-0000000000000000c";
const EMPTY: &str = "vol-0000000000000000d";
const USER: &str = "i-0000000000000000b";
const HOSTILE: &str = "</script><script>window.hacked = 1</script><!--";
/// Days before the sweep's on which no backup was made.
const MISSED: [i64; 2] = [4, 9];

fn volume(account: &mut Account, id: &str, pairs: &[(&str, &str)]) -> VolumeId {
    account.seed_volume(VolumeSeed {
        id: Some(VolumeId::new(id)),
        tags: tags(pairs),
        ..VolumeSeed::default()
    })
}

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// What the page carries.
fn data(page: &str) -> Value {
    let (_, rest) = page.split_once("id=\"data\">").unwrap();
    let (data, _) = rest.split_once("</script>").unwrap();
    serde_json::from_str(data).unwrap()
}

fn text(data: &Value, place: &Value) -> String {
    let place = place.as_i64().unwrap();
    usize::try_from(place).map_or(String::new(), |place| {
        data["words"]["texts"][place].as_str().unwrap().to_owned()
    })
}

/// The node of an identifier.
fn node<'d>(data: &'d Value, id: &str) -> &'d Value {
    let nodes = data["graph"]["nodes"].as_array().unwrap();
    let node = nodes.iter().find(|node| text(data, &node[0]) == id);
    node.unwrap_or_else(|| panic!("{id} is not drawn"))
}

/// Codes and paths of a list of reasons.
fn reasons(data: &Value, list: &Value) -> Vec<(String, Vec<String>)> {
    let words = &data["words"];
    let Ok(list) = usize::try_from(list.as_i64().unwrap()) else {
        return Vec::new();
    };
    let reasons = words["lists"][list].as_array().unwrap().iter();
    reasons
        .map(|place| {
            let reason = &words["reasons"][usize::try_from(place.as_u64().unwrap()).unwrap()];
            let path = reason[2].as_array().unwrap().iter();
            (
                text(data, &reason[0]),
                path.map(|id| text(data, id)).collect(),
            )
        })
        .collect()
}

async fn world() -> (World, Vec<holdfast_end_to_end::images::Baked>) {
    // Volumes are as old as the account's clock: old enough to be missed.
    let earlier = |settings: &mut Settings| settings.start = at("2026-02-20T00:00:00Z");
    let world = World::with(POLICIES, "plan", earlier, |account| {
        let root = volume(account, "vol-0000000000000000a", &[]);
        let second = volume(account, "vol-0000000000000000b", &[]);
        account.seed_instance(InstanceSeed {
            id: Some(InstanceId::new(MACHINE)),
            devices: vec![("/dev/xvda".into(), root), ("/dev/sdb".into(), second)],
            tags: tags(&[("Bake", "nightly"), ("Name", "web-1")]),
            ..InstanceSeed::default()
        });
        volume(
            account,
            DATABASE,
            &[("Backup", "nightly"), ("Name", HOSTILE)],
        );
        volume(
            account,
            EMPTY,
            &[("Backup", "nightly"), ("Name", "forgotten")],
        );
        for n in (0..40).filter(|n| !MISSED.contains(n)) {
            seed_backup(account, "nightly", DATABASE, &day(n), &[]);
        }
    })
    .await;
    let bake = |n| world.account(|account| seed_image(account, &day(n), &[]));
    let baked: Vec<_> = (0..6).map(bake).collect();
    let oldest = ImageId::new(&baked[5].id);
    world.account(|account| {
        account.seed_instance(InstanceSeed {
            id: Some(InstanceId::new(USER)),
            image: Some(oldest),
            tags: tags(&[("Name", "legacy")]),
            ..InstanceSeed::default()
        })
    });
    (world, baked)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_the_verdicts_of_the_plan_with_their_paths_and_the_days_that_are_missing() {
    let (world, baked) = world().await;
    let before = world.local.dynamodb.items().unwrap();
    let file = folder().join("page.html");
    let file = file.to_str().unwrap();
    let output = world.holdfast(&["report", "--html", file, "--now", NOW, "--json"]);
    let words = String::from_utf8_lossy(&output.stderr);
    // A source without any backup needs attention.
    assert_eq!(output.status.code(), Some(3), "{words}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let plan = world.holdfast(&["plan", "--now", NOW, "--json"]);
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
    for outcome in ["kept", "held", "planned"] {
        assert_eq!(
            report["summary"][outcome], plan["summary"][outcome],
            "{outcome}"
        );
    }
    assert_eq!(report["run"]["plan_hash"], plan["run"]["plan_hash"]);
    assert_eq!(world.local.dynamodb.items().unwrap(), before);

    let page = std::fs::read_to_string(file).unwrap();
    assert!(!page.contains("<script>window.hacked"));
    let data = data(&page);
    let held = node(&data, &baked[5].id);
    assert_eq!(text(&data, &held[5]), "held");
    let path = vec![baked[5].id.clone(), USER.to_owned()];
    assert_eq!(
        reasons(&data, &held[6]),
        [("used-by-instance".to_owned(), path)]
    );
    // Kept by a rule; who uses it is told beside that.
    let kept = node(&data, &baked[0].id);
    assert_eq!(text(&data, &kept[5]), "kept");
    let of = |id: &str| {
        let nodes = data["graph"]["nodes"].as_array().unwrap();
        nodes.iter().position(|n| text(&data, &n[0]) == id).unwrap()
    };
    let edges: Vec<(u64, u64, String)> = data["graph"]["edges"]
        .as_array()
        .unwrap()
        .chunks(3)
        .map(|e| {
            (
                e[0].as_u64().unwrap(),
                e[1].as_u64().unwrap(),
                text(&data, &e[2]),
            )
        })
        .collect();
    let backing = &baked[5].snapshots[0];
    for (from, to, kind) in [
        (USER, baked[5].id.as_str(), "launched-from"),
        (baked[5].id.as_str(), backing.as_str(), "backed-by"),
        (backing.as_str(), "vol-0000000000000000a", "snapshot-of"),
        ("vol-0000000000000000a", MACHINE, "attached-to"),
        (baked[5].id.as_str(), MACHINE, "image-of"),
    ] {
        let edge = (of(from) as u64, of(to) as u64, kind.to_owned());
        assert!(edges.contains(&edge), "{from} {kind} {to}");
    }

    let rows = data["calendar"]["rows"].as_array().unwrap();
    let row = |source: &str| rows.iter().find(|row| row["source"] == source).unwrap();
    assert_eq!(rows[0]["source"], EMPTY);
    assert_eq!(
        (&rows[0]["outcome"], &rows[0]["code"]),
        (&json!("finding"), &json!("no-backup"))
    );
    let strip: Vec<char> = row(DATABASE)["days"]
        .as_str()
        .unwrap()
        .chars()
        .rev()
        .collect();
    for n in 0..14 {
        let expected = if MISSED.contains(&n) { '!' } else { '1' };
        assert_eq!(strip[usize::try_from(n).unwrap()], expected, "{n} days ago");
    }
    assert_eq!(data["run"]["region"], "eu-central-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_five_thousand_snapshots_is_small_and_says_how_many_it_shows() {
    const VOLUMES: i64 = 100;
    const EACH: i64 = 50;
    let world = World::new(POLICIES, "plan", |account| {
        for v in 0..VOLUMES {
            let id = format!("vol-{v:017x}");
            let name = format!("data-{v:03}");
            volume(account, &id, &[("Backup", "nightly"), ("Name", &name)]);
            for n in 0..EACH {
                seed_backup(account, "nightly", &id, &day(n), &[]);
            }
        }
    })
    .await;
    let file = folder().join("large.html");
    let file = file.to_str().unwrap();
    let output = world.holdfast(&["report", "--html", file, "--now", NOW]);
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{words}");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("100 sources, 5000 backups"), "{told}");
    let page = std::fs::read_to_string(file).unwrap();
    // 200 bytes a snapshot would make 20 MiB of 100,000.
    assert!(page.len() < 1_048_576, "{}", page.len());
    let data = data(&page);
    assert_eq!(data["graph"]["nodes"].as_array().unwrap().len(), 5100);
    assert_eq!(data["graph"]["left_out"], json!({}));
    // At first all that stand. At the end, a Tuesday, 14 of each volume: the Sundays that weekly: 3
    // keeps are among those.
    let simulated = &data["simulation"]["policies"];
    assert_eq!(simulated[0]["name"], "nightly");
    let days = simulated[0]["days"].as_array().unwrap();
    assert_eq!((days.len(), &days[0]), (366, &json!(5000)));
    assert_eq!(days[365], json!(1400));
    // Nothing is of the other policy.
    assert_eq!(simulated[1]["days"], json!(vec![0; 366]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_in_part_is_not_simulated_and_the_page_says_so() {
    let (world, _) = world().await;
    let denied = ApiError::new("UnauthorizedOperation", "You are not authorized.");
    world.inject(FaultRule::next("DescribeImages", Fault::Error(denied)).times(9));
    let file = folder().join("part.html");
    let file = file.to_str().unwrap();
    let output = world.holdfast(&["report", "--html", file, "--now", NOW]);
    assert_eq!(output.status.code(), Some(3));
    let data = data(&std::fs::read_to_string(file).unwrap());
    let said = data["simulation"]["said"].as_str().unwrap();
    assert!(said.starts_with("Not simulated"), "{said}");
    assert_eq!(data["simulation"]["policies"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_not_there_is_refused() {
    let (world, _) = world().await;
    let none = folder().join("none/page.html");
    let none = none.to_str().unwrap();
    let output = world.holdfast(&["report", "--html", none, "--now", NOW]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("none/page.html"));
    assert!(output.stdout.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_lineage_is_told_for_people_for_programs_and_for_graphviz() {
    let (world, baked) = world().await;
    let whole = world.holdfast(&["lineage"]);
    assert_eq!(whole.status.code(), Some(0));
    let whole: Value = serde_json::from_slice(&whole.stdout).unwrap();
    let edge = json!({ "from": USER, "to": baked[5].id, "kind": "launched-from" });
    assert!(whole["edges"].as_array().unwrap().contains(&edge));
    let empty = json!({ "id": EMPTY, "kind": "volume", "state": "available" });
    assert!(whole["nodes"].as_array().unwrap().contains(&empty));
    // 38 of the volume and 12 behind AMIs, 6 AMIs, 4 volumes, 2 instances.
    let drawn = whole["nodes"].as_array().unwrap().iter();
    let ours = drawn.filter(|node| node["kind"] == "snapshot").count();
    assert_eq!(ours, 38 + 12);

    let dot = world.holdfast(&["lineage", &baked[5].id, "--format", "dot"]);
    let dot = String::from_utf8(dot.stdout).unwrap();
    let arrow = format!(
        "\"{USER}\" -> \"{}\" [label=\"launched-from\"];",
        baked[5].id
    );
    assert!(dot.contains(&arrow), "{dot}");
    let table = world.holdfast(&["lineage", &baked[5].id, "--format", "table"]);
    let table = String::from_utf8(table.stdout).unwrap();
    let relation = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words == [USER, "running", "launched-from", &baked[5].id, "available"]
    };
    assert!(table.lines().any(relation), "{table}");
    let both = world.holdfast(&["lineage", "--json", "--format", "dot"]);
    assert_eq!(both.status.code(), Some(2));
}
