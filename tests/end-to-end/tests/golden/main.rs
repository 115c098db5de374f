//! What every command prints, for people and as JSON, over one small account: compared with the files
//! under `tests/end-to-end/golden`, of which a person has read each.
//!
//! `HOLDFAST_UPDATE_GOLDEN=1 cargo test --test golden` writes them anew; nothing else does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod account;
mod compare;
mod inputs;
mod tokens;

use std::process::Command;

use holdfast_end_to_end::World;
use holdfast_end_to_end::schema::{check, fits, schema};
use holdfast_local_aws::lambda::find_binary;
use serde_json::Value;
use tempfile::TempDir;

use account::{NOW, Named, world};
use compare::Golden;
use tokens::Tokens;

/// What a command prints with `--json`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Json {
    /// The contract's report.
    Report,
    /// The lineage.
    Lineage,
    /// Nothing: it failed before it had anything to report.
    Nothing,
}

/// The stage: the account, the files that commands are given, and what is known of their outputs.
struct Stage {
    world: World,
    folder: TempDir,
    golden: Golden,
    tokens: Tokens,
    /// The caller's access key.
    key: &'static str,
}

/// A caller who may do everything.
const OPERATOR: &str = "local";
/// One who may do what the sweep may, which does not read the whole ledger.
const SWEEPER: &str = "sweeper";

struct Ran {
    status: i32,
    out: String,
    err: String,
}

impl Stage {
    fn new(world: World) -> Self {
        let folder = tempfile::tempdir().unwrap();
        inputs::write(folder.path());
        let variables = world.local.environment();
        let of = |name: &str| {
            let found = variables.iter().find(|(key, _)| key == name);
            found.unwrap().1.clone()
        };
        let literal = vec![
            (of("HOLDFAST_POLICIES"), "policies.yaml"),
            (folder.path().display().to_string(), "<folder>"),
        ];
        Self {
            world,
            folder,
            golden: Golden::open(),
            tokens: Tokens::new(literal),
            key: OPERATOR,
        }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let output = Command::new(find_binary("holdfast").unwrap())
            .args(arguments)
            .envs(self.world.local.environment())
            .env("AWS_ACCESS_KEY_ID", self.key)
            .env("NO_COLOR", "1")
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        Ran {
            status: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// A command for people, and then with `--json`; `wall` where it reckons from the wall clock.
    fn both(&mut self, name: &str, arguments: &[&str], json: Json, wall: bool) {
        self.people(name, arguments, wall);
        self.programs(name, arguments, json);
    }

    fn people(&mut self, name: &str, arguments: &[&str], wall: bool) {
        let ran = self.run(arguments);
        let mut text = format!("$ holdfast {}\n{}", arguments.join(" "), ran.out);
        if !ran.err.is_empty() {
            text.push_str(&format!("-- standard error --\n{}", ran.err));
        }
        text.push_str(&format!("-- exit status {} --\n", ran.status));
        let text = self.tokens.apply(&text, wall);
        self.golden.check(&format!("{name}.txt"), &text);
    }

    /// Help, in which nothing depends on anything: its examples may well be of the day of a test.
    fn help(&mut self, name: &str, arguments: &[&str]) {
        let ran = self.run(&[arguments, &["--help"]].concat());
        assert_eq!((ran.err.as_str(), ran.status), ("", 0), "{name}");
        self.golden.check(&format!("{name}.txt"), &ran.out);
    }

    fn programs(&mut self, name: &str, arguments: &[&str], json: Json) {
        let ran = self.run(&[arguments, &["--json"]].concat());
        if json == Json::Nothing {
            assert_eq!(ran.out, "", "{name}");
            return;
        }
        let value: Value = serde_json::from_str(&ran.out)
            .unwrap_or_else(|e| panic!("{name}: {e}: {}\n{}", ran.out, ran.err));
        match json {
            Json::Report => check(&schema("report-1.schema.json"), name, &value),
            _ => fits(&schema("lineage-1.schema.json"), name, &value),
        }
        if let Some(simulation) = value.get("simulation") {
            fits(&schema("simulation-1.schema.json"), name, simulation);
        }
        let text = self.tokens.apply(&ran.out, false);
        self.golden.check(&format!("{name}.json"), &text);
    }
}

/// All that can be asked for.
const COMMANDS: [&str; 21] = [
    "policies check",
    "retention",
    "plan",
    "simulate",
    "coverage",
    "explain",
    "evidence",
    "adopt",
    "report",
    "lineage",
    "ls",
    "runs",
    "run",
    "sweep",
    "unpin",
    "events send",
    "completions",
    "restore",
    "restore volume",
    "restore set",
    "restore instance",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_command_prints_what_was_read_and_found_right() {
    let (world, named) = world().await;
    let mut stage = Stage::new(world);
    without_aws(&mut stage);
    looking(&mut stage, &named);
    refusing(&mut stage, &named);
    restoring(&mut stage, &named);
    changing(&mut stage, &named);
    sweeping(&mut stage);
    stage.golden.finish();
}

fn without_aws(stage: &mut Stage) {
    let at = ["--now", NOW];
    let check = ["policies", "check", "policies.yaml"];
    stage.both(
        "policies-check",
        &[&check[..], &at].concat(),
        Json::Report,
        false,
    );
    let wrong = ["policies", "check", "wrong.yaml"];
    stage.both("policies-check-wrong", &wrong, Json::Report, false);
    let retention = [
        "retention",
        "--policies",
        "policies.yaml",
        "--policy",
        "nightly",
        "--times",
        "times.txt",
    ];
    stage.both(
        "retention",
        &[&retention[..], &at].concat(),
        Json::Report,
        false,
    );
    let simulate = [
        "simulate",
        "--policies",
        "policies.yaml",
        "--fleet",
        "fleet.yaml",
        "--from",
        NOW,
        "--days",
        "21",
    ];
    stage.both("simulate", &simulate, Json::Report, false);
    let script = stage.run(&["completions", "bash"]);
    assert_eq!((script.status, script.err.as_str()), (0, ""));
    // What it completes is clap's business; that it knows the commands is ours.
    assert!(script.out.contains("coverage") && script.out.contains("--policies"));
    stage.help("help", &[]);
    for command in COMMANDS {
        let words: Vec<&str> = command.split(' ').collect();
        stage.help(&format!("help-{}", words.join("-")), &words);
    }
    stage.people("misspelt", &["explan"], false);
}

fn looking(stage: &mut Stage, named: &Named) {
    let at = ["--now", NOW];
    let explain = [
        "explain",
        named.kept.as_str(),
        &named.expired,
        &named.pinned,
        &named.image,
        &named.foreign,
    ];
    let adopt = ["adopt", "--policy", "ledger", named.foreign.as_str()];
    let event = [
        "events",
        "send",
        "dry-run.json",
        "--function",
        "sweep-retention",
        "--local",
    ];
    let cases: [(&str, &[&str], bool); 9] = [
        ("plan", &["plan"], true),
        ("coverage", &["coverage"], true),
        ("explain", &explain, true),
        ("report", &["report", "--html", "page.html"], true),
        ("adopt", &adopt, true),
        ("run-dry", &["run", "nightly", "--local", "--dry-run"], true),
        ("sweep", &["sweep"], true),
        ("sweep-one-policy", &["sweep", "--policy", "bake"], true),
        ("events-send", &event, false),
    ];
    for (name, arguments, takes_now) in cases {
        let now = if takes_now { &at[..] } else { &[] };
        stage.both(name, &[arguments, now].concat(), Json::Report, false);
    }
    let against = [
        "simulate",
        "--policies",
        "other.yaml",
        "--against",
        "policies.yaml",
        "--from",
        NOW,
        "--days",
        "10",
    ];
    stage.both("simulate-against", &against, Json::Report, false);
    for (name, arguments) in [
        ("ls", &["ls"][..]),
        (
            "ls-filtered",
            &[
                "ls",
                "--policy",
                "nightly",
                "--sort",
                "size",
                "--since",
                "2026-02-24T00:00:00Z",
            ],
        ),
        ("runs", &["runs"]),
        ("unpin", &["unpin", &named.pinned]),
    ] {
        stage.both(name, arguments, Json::Report, true);
    }
    stage.both("lineage", &["lineage", &named.image], Json::Lineage, false);
    stage.people(
        "lineage-table",
        &["lineage", &named.image, "--format", "table"],
        false,
    );
    stage.people(
        "lineage-dot",
        &["lineage", &named.volume, "--format", "dot"],
        false,
    );
}

/// What is asked for in a wrong way, or is not there.
fn refusing(stage: &mut Stage, named: &Named) {
    for (name, arguments) in [
        ("run-misspelt", &["run", "nigthly", "--local"][..]),
        ("run-without-function", &["run", "nightly"]),
        (
            "sweep-enforce-unasked",
            &["sweep", "--enforce", "--function", "sweep-retention"],
        ),
        (
            "events-send-unknown",
            &[
                "events",
                "send",
                "unknown.json",
                "--function",
                "sweep-retention",
                "--local",
            ],
        ),
        ("lineage-unknown", &["lineage", "vol-00000000000000bad"]),
        ("runs-unknown", &["runs", "of-nobody"]),
        ("explain-volume", &["explain", &named.volume]),
    ] {
        stage.both(name, arguments, Json::Nothing, false);
    }
    let unknown = ["evidence", named.kept.as_str()];
    stage.both("evidence-unknown", &unknown, Json::Report, true);
    let refused = ["restore", "volume", "snap-00000000000000210"];
    stage.both("restore-refused", &refused, Json::Report, true);
    let role = stage.world.local.role("sweep-retention").unwrap();
    stage.world.local.gate.give_role(SWEEPER, role);
    stage.key = SWEEPER;
    stage.both("runs-denied", &["runs"], Json::Nothing, false);
    stage.key = OPERATOR;
}

fn restoring(stage: &mut Stage, named: &Named) {
    let at = ["--at", "2026-02-27T12:00:00Z"];
    let volume = ["restore", "volume", "--source", named.volume.as_str()];
    let volume = [&volume[..], &at].concat();
    let set = ["restore", "set", "--source", named.instance.as_str()];
    stage.both("restore-volume", &volume, Json::Report, true);
    stage.both("restore-set", &[&set[..], &at].concat(), Json::Report, true);
    let instance = ["restore", "instance", named.image.as_str()];
    stage.both("restore-instance", &instance, Json::Report, true);
    let template = [&instance[..], &["--into-template", "web"]].concat();
    stage.both("restore-into-template", &template, Json::Report, true);
    // The first makes it, the second finds it made.
    stage.both(
        "restore-volume-yes",
        &[&volume[..], &["--yes"]].concat(),
        Json::Report,
        true,
    );
}

fn changing(stage: &mut Stage, named: &Named) {
    let unpin = ["unpin", named.pinned.as_str(), "--yes"];
    let adopt = [
        "adopt",
        "--policy",
        "ledger",
        named.foreign.as_str(),
        "--yes",
        "--now",
        NOW,
    ];
    let run = [
        "run",
        "ledger",
        "--local",
        "--id",
        "before-the-upgrade",
        "--now",
        NOW,
    ];
    stage.both("unpin-yes", &unpin, Json::Report, true);
    stage.both("adopt-yes", &adopt, Json::Report, false);
    stage.both("run", &run, Json::Report, false);
    stage.both(
        "runs-one",
        &["runs", "before-the-upgrade"],
        Json::Report,
        true,
    );
}

/// On the wall clock, by which alone deletions are carried out.
fn sweeping(stage: &mut Stage) {
    stage.world.advance(&jiff::Timestamp::now().to_string());
    stage.world.deploy(&["sweep-retention"]);
    let enforce = [
        "sweep",
        "--enforce",
        "--yes",
        "--function",
        "sweep-retention",
    ];
    stage.both("sweep-enforce", &enforce, Json::Report, true);
    // By the hash that the sweep told, what the breaker held goes after all.
    let plan = stage.run(&["sweep", "--json"]);
    let plan: Value = serde_json::from_str(&plan.out).unwrap();
    let hash = plan["run"]["plan_hash"].as_str().unwrap();
    let release = [&enforce[..], &["--override", hash]].concat();
    stage.both("sweep-override", &release, Json::Report, true);
    let gone = "snap-00000000000000100";
    let image = "ami-00000000000000440";
    stage.both("evidence", &["evidence", gone, image], Json::Report, true);
    stage.both("runs-after-sweep", &["runs"], Json::Report, true);
}
