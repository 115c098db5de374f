//! `make bench`: what a sweep takes, beside a plain boto3 script, and what the planner takes alone.
//!
//! It ends with 0 whatever the figures are; a goal that is not reached is printed as MISSED. It fails
//! only when something could not be measured, or did not do the work that it is measured at.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Parser;
use holdfast_bench::fleet::{
    BAKED_ONCE_MORE, BAKES, CRITICAL, DEVICES, Fleet, MACHINES, TEMPLATES,
};
use holdfast_bench::goals::{Goals, median};
use holdfast_bench::pages::Pages;
use holdfast_bench::server::{Server, Terms};
use holdfast_bench::start::{self, Program, Start};
use holdfast_bench::sweep::Asked;
use holdfast_bench::{BenchError, command, creating, policies, script, simulating, sweep};
use jiff::Timestamp;
use serde_json::json;

/// What a sweep of 100,000 snapshots takes.
#[derive(Parser)]
struct Arguments {
    /// Release binary of sweep-retention
    #[arg(long, default_value = "target/release/sweep-retention")]
    sweep: PathBuf,
    /// Release binary of create-snapshots
    #[arg(long, default_value = "target/release/create-snapshots")]
    create: PathBuf,
    /// Release binary of holdfast
    #[arg(long, default_value = "target/release/holdfast")]
    holdfast: PathBuf,
    /// Measure only the simulation
    #[arg(long, conflicts_with = "only_creating")]
    only_simulating: bool,
    /// Python with boto3
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// Rounds of what is compared; medians are shown
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Starts of each function that are compared; medians are shown
    #[arg(long, default_value_t = 30)]
    starts: usize,
    /// Measure the starts of the functions only
    #[arg(long)]
    starts_only: bool,
    /// Leave out the 1,000 deletions and the 1,000 sets under EC2's token buckets, which take three
    /// minutes each
    #[arg(long)]
    without_buckets: bool,
    /// Leave the page of `holdfast report` in this file
    #[arg(long)]
    page: Option<PathBuf>,
    /// Measure only the command line beside the sweep
    #[arg(long, conflicts_with_all = ["without_buckets", "only_creating", "starts_only"])]
    only_commands: bool,
    /// Measure only the 1,000 sets
    #[arg(long, conflicts_with = "without_buckets")]
    only_creating: bool,
}

/// Snapshots of volumes that are condemned: the oldest of each.
const SNAPSHOTS: u64 = (MACHINES * DEVICES) as u64;
/// The four functions, whose executables lie side by side.
const FUNCTIONS: [&str; 4] = [
    "create-snapshots",
    "create-images",
    "sweep-retention",
    "check-dependencies",
];
/// Requests besides pages and launch templates that a sweep may make, whatever the account's size.
const CONSTANT: u64 = 25;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), BenchError> {
    let mut goals = Goals::default();
    if arguments.only_creating {
        let files = tempfile::tempdir().map_err(BenchError::io("a temporary directory"))?;
        create(&arguments.create, files.path(), &mut goals).await?;
        goals.sum_up();
        return Ok(());
    }
    if arguments.only_simulating {
        simulating::hold(&arguments.holdfast, arguments.rounds, &mut goals)?;
        goals.sum_up();
        return Ok(());
    }
    if !arguments.only_commands {
        starting(&arguments, &mut goals).await?;
        if arguments.starts_only {
            goals.sum_up();
            return Ok(());
        }
        planner(&mut goals)?;
        simulating::hold(&arguments.holdfast, arguments.rounds, &mut goals)?;
    }
    eprintln!("Rendering the account.");
    let server = Server::open(Pages::render(Fleet::at(Timestamp::now()))).await?;
    let bench = Bench {
        server,
        arguments,
        files: tempfile::tempdir().map_err(BenchError::io("a temporary directory"))?,
    };
    bench.commands(&mut goals).await?;
    if bench.arguments.only_commands {
        goals.sum_up();
        return Ok(());
    }
    bench.deciding(&mut goals).await?;
    bench.concurrency(&mut goals).await?;
    if !bench.arguments.without_buckets {
        bench.enforcing(&mut goals).await?;
        create(&bench.arguments.create, bench.files.path(), &mut goals).await?;
    }
    goals.sum_up();
    Ok(())
}

/// Starts the functions beside a bare one and one in Python, in turn.
async fn starting(arguments: &Arguments, goals: &mut Goals) -> Result<(), BenchError> {
    let rounds = arguments.starts.max(1);
    println!("A function's start, to its first question for work ({rounds} each, medians)");
    let files = tempfile::tempdir().map_err(BenchError::io("a temporary directory"))?;
    let policies = files.path().join("policies.yaml");
    let written = std::fs::write(&policies, policies::file(BAKES));
    written.map_err(BenchError::io(policies.display().to_string()))?;
    let own = std::env::current_exe().map_err(BenchError::io("this program's own path"))?;
    let bare = own.with_file_name("bare-function");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("function.py");
    let binaries = FUNCTIONS.map(|name| arguments.sweep.with_file_name(name));
    let mut programs = vec![Program {
        name: "bare-function",
        executable: &bare,
        argument: None,
    }];
    for (name, executable) in FUNCTIONS.iter().zip(&binaries) {
        programs.push(Program {
            name,
            executable,
            argument: None,
        });
    }
    programs.push(Program {
        name: "python, boto3",
        executable: &arguments.python,
        argument: Some(&script),
    });
    let mut starts: Vec<Vec<Start>> = vec![Vec::new(); programs.len()];
    // Once without counting: the first start of each reads the executable from the disk.
    for round in 0..=rounds {
        for (program, starts) in programs.iter().zip(&mut starts) {
            let start = start::measure(program, &policies).await?;
            if round > 0 {
                starts.push(start);
            }
        }
    }
    let took = |starts: &[Start]| {
        let times: Vec<Duration> = starts.iter().map(|start| start.took).collect();
        median(&times).unwrap_or_default().as_secs_f64() * 1000.0
    };
    let peak = |starts: &[Start]| {
        mib(median(
            &starts.iter().map(|s| s.peak_kib).collect::<Vec<_>>(),
        ))
    };
    for (program, starts) in programs.iter().zip(&starts) {
        let (took, peak) = (took(starts), peak(starts));
        println!("  {:<18} {took:7.1} ms  {peak:6.1} MiB", program.name);
    }
    let (Some(bare), Some(python)) = (starts.first(), starts.last()) else {
        return Ok(());
    };
    let (bare, python) = (took(bare), took(python));
    let ours = &starts[1..=FUNCTIONS.len()];
    let slowest = ours.iter().map(|starts| took(starts)).fold(0.0, f64::max);
    let largest = ours.iter().map(|starts| peak(starts)).fold(0.0, f64::max);
    let figure = format!("{:.2} times (the slowest of the four)", slowest / bare);
    goals.hold(
        slowest <= bare * 3.0,
        "at most 3 times the bare one",
        &figure,
    );
    let figure = format!("1/{:.1}", python / slowest);
    let goal = "at most 1/15 of the one in Python";
    goals.hold(slowest <= python / 15.0, goal, &figure);
    let figure = format!("{largest:.1} MiB");
    goals.hold(largest <= 16.0, "an idle function: at most 16 MiB", &figure);
    println!();
    Ok(())
}

/// Runs the program beside this one that plans without any I/O.
fn planner(goals: &mut Goals) -> Result<(), BenchError> {
    println!("The planner alone: 1,000,000 snapshots, 100,000 images, 200,000 references");
    let own = std::env::current_exe().map_err(BenchError::io("this program's own path"))?;
    let output = Command::new(own.with_file_name("planner"))
        .output()
        .map_err(BenchError::io("starting the planner"))?;
    let wrong = |what: String| BenchError::Wrong {
        who: "the planner",
        what,
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        return Err(wrong(format!("{} {text}", output.status)));
    }
    let figures: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let number = |key: &str| {
        figures[key]
            .as_f64()
            .ok_or_else(|| wrong(format!("no {key}")))
    };
    let (seconds, peak, given) = (
        number("seconds")?,
        number("peak_mib")?,
        number("given_mib")?,
    );
    goals.hold(seconds < 2.0, "under 2 s", &format!("{seconds:.2} s"));
    let figure = format!("{peak:.0} MiB, of which the lists it is given are {given:.0}");
    goals.hold(peak <= 1024.0, "at most 1 GiB", &figure);
    Ok(())
}

/// 1,000 sets under EC2's buckets.
async fn create(binary: &Path, folder: &Path, goals: &mut Goals) -> Result<(), BenchError> {
    println!(
        "\nMaking {} sets with EC2's token buckets: 100 at once, then 5 a second",
        creating::SETS
    );
    let made = creating::run(binary, folder).await?;
    let (took, limit) = (made.took.as_secs_f64(), creating::limit().as_secs_f64());
    let goal = "within 10 % of the bucket's own limit";
    let figure = format!("{took:.1} s of {limit:.0} s");
    goals.hold(took <= limit * 1.1, goal, &figure);
    let throttled = made.throttled as f64 / made.calls.max(1) as f64;
    let figure = format!("{:.2} % of {}", throttled * 100.0, made.calls);
    goals.hold(throttled < 0.01, "under 1 % of calls throttled", &figure);
    Ok(())
}

struct Bench {
    server: Server,
    arguments: Arguments,
    files: tempfile::TempDir,
}

impl Bench {
    fn policies(&self, images_last: usize) -> Result<PathBuf, BenchError> {
        let path = self.files.path().join(format!("last-{images_last}.yaml"));
        let written = std::fs::write(&path, policies::file(images_last));
        written.map_err(BenchError::io(path.display().to_string()))?;
        Ok(path)
    }

    fn asked<'a>(&'a self, policies: &'a Path, mode: &'a str) -> Asked<'a> {
        Asked {
            binary: &self.arguments.sweep,
            policies,
            mode,
            request: json!({}),
            terms: Terms::default(),
        }
    }

    /// `plan` and `report --html` of the account, beside the sweep, in turn.
    async fn commands(&self, goals: &mut Goals) -> Result<(), BenchError> {
        let rounds = self.arguments.rounds.max(1);
        println!("\nThe command line: 100,000 snapshots, 10,000 images ({rounds} rounds, medians)");
        let policies = self.policies(BAKES)?;
        let file = policies.display().to_string();
        let printed = self.files.path().join("printed");
        let page = self.arguments.page.clone();
        let page = page.unwrap_or_else(|| self.files.path().join("page.html"));
        let page_name = page.display().to_string();
        let plan = ["plan", "--policies", &file, "--json"];
        let report = ["report", "--policies", &file, "--html", &page_name];
        let binary = &self.arguments.holdfast;
        let (mut sweeps, mut plans, mut reports) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let run = sweep::run(&self.server, &self.asked(&policies, "plan")).await?;
            check(&run, "planned", SNAPSHOTS + BAKED_ONCE_MORE as u64)?;
            sweeps.push(run.took);
            plans.push(command::run(&self.server, binary, &plan, &printed).await?);
            reports.push(command::run(&self.server, binary, &report, &printed).await?);
        }
        let of = |times: &[Duration]| median(times).unwrap_or_default().as_secs_f64();
        let (sweep, plan, report) = (of(&sweeps), of(&plans), of(&reports));
        println!("  sweep {sweep:.2} s, plan {plan:.2} s, report {report:.2} s");
        let goal = "plan: at most 1.3 times the sweep";
        let figure = format!("{:.2} times", plan / sweep.max(0.01));
        goals.hold(plan <= sweep * 1.3, goal, &figure);
        goals.hold(report < 5.0, "report: under 5 s", &format!("{report:.2} s"));
        let size = std::fs::metadata(&page).map_err(BenchError::io(page_name))?;
        let size = size.len() as f64 / f64::from(1 << 20);
        let figure = format!("{size:.1} MiB");
        goals.hold(size < 20.0, "its page: under 20 MiB", &figure);
        Ok(())
    }

    /// Listing and deciding, against the script.
    async fn deciding(&self, goals: &mut Goals) -> Result<(), BenchError> {
        let rounds = self.arguments.rounds.max(1);
        println!(
            "\nListing and deciding: 100,000 snapshots, 10,000 images ({rounds} rounds, medians)"
        );
        let policies = self.policies(BAKES)?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let run = sweep::run(&self.server, &self.asked(&policies, "plan")).await?;
            check(&run, "planned", SNAPSHOTS + BAKED_ONCE_MORE as u64)?;
            ours.push(run);
            let run = script::run(&self.server, &self.arguments.python, BAKES, false).await?;
            let (images, snapshots) = (BAKED_ONCE_MORE as u64, SNAPSHOTS);
            if (run.images, run.snapshots) != (images, snapshots) {
                let what = format!(
                    "it would delete {} images, {} snapshots",
                    run.images, run.snapshots
                );
                return Err(BenchError::Wrong {
                    who: "the boto3 script",
                    what,
                });
            }
            theirs.push(run);
        }
        let of = |values: Vec<Duration>| median(&values).unwrap_or_default().as_secs_f64();
        let cpu = of(ours.iter().map(|run| run.cpu).collect());
        let script_cpu = of(theirs.iter().map(|run| run.cpu).collect());
        let took = of(ours.iter().map(|run| run.took).collect());
        let script_took = of(theirs.iter().map(|run| run.took).collect());
        let peak = mib(median(
            &ours.iter().map(|run| run.peak_kib).collect::<Vec<_>>(),
        ));
        let script_peak = mib(median(
            &theirs.iter().map(|run| run.peak_kib).collect::<Vec<_>>(),
        ));
        println!("  sweep-retention  {cpu:7.2} s CPU  {took:7.2} s  {peak:7.1} MiB");
        println!(
            "  boto3 script     {script_cpu:7.2} s CPU  {script_took:7.2} s  {script_peak:7.1} MiB"
        );
        let ratio = script_cpu / cpu.max(0.01);
        let goal = "at most 1/8 of the script's CPU";
        goals.hold(ratio >= 8.0, goal, &format!("1/{ratio:.1}"));
        goals.hold(peak <= 40.0, "at most 40 MiB", &format!("{peak:.1} MiB"));

        let Some(traffic) = ours.last().map(|run| &run.traffic) else {
            return Ok(());
        };
        let pages = self.server.pages();
        let lists = [
            &pages.snapshots,
            &pages.images,
            &pages.instances,
            &pages.volumes,
        ];
        let needed: usize = lists.iter().map(|list| list.pages.len()).sum();
        let rest = traffic.total().saturating_sub((needed + TEMPLATES) as u64);
        let goal = "requests: pages, one per launch template, a constant";
        let figure = format!("{} = {needed} + {TEMPLATES} + {rest}", traffic.total());
        goals.hold(rest <= CONSTANT, goal, &figure);
        for (kind, count) in &traffic.requests {
            println!("    {count:5} {kind}");
        }
        Ok(())
    }

    /// Deletions at 40 ms a call, as many as the bucket lets through at once.
    async fn concurrency(&self, goals: &mut Goals) -> Result<(), BenchError> {
        let latency = Duration::from_millis(40);
        let policies = self.policies(BAKES)?;
        let deletions = (CRITICAL * DEVICES) as u32;
        println!("\nDeleting {deletions} snapshots at 40 ms a call");
        let asked = Asked {
            request: json!({"run": "critical"}),
            terms: Terms {
                latency,
                buckets: false,
            },
            ..self.asked(&policies, "enforce")
        };
        let run = sweep::run(&self.server, &asked).await?;
        check(&run, "deleted", u64::from(deletions))?;
        let (took, sequential) = (run.traffic.deleting(), latency * deletions);
        let figure = format!(
            "{:.2} s for what takes {:.2} s one by one; {} at once",
            took.as_secs_f64(),
            sequential.as_secs_f64(),
            run.traffic.at_once
        );
        let concurrent = run.traffic.at_once > 1 && took < sequential;
        goals.hold(concurrent, "deletions run concurrently", &figure);
        Ok(())
    }

    /// 1,000 deletions under EC2's buckets; and the CPU of the same deletions, against the script.
    async fn enforcing(&self, goals: &mut Goals) -> Result<(), BenchError> {
        println!(
            "\nDeleting {SNAPSHOTS} snapshots with EC2's token buckets: 100 at once, then 5 a second"
        );
        let policies = self.policies(BAKES + 1)?;
        let asked = Asked {
            terms: Terms {
                latency: Duration::ZERO,
                buckets: true,
            },
            ..self.asked(&policies, "enforce")
        };
        let run = sweep::run(&self.server, &asked).await?;
        check(&run, "deleted", SNAPSHOTS)?;
        let limit = SNAPSHOTS.saturating_sub(100) as f64 / 5.0;
        let took = run.traffic.deleting().as_secs_f64();
        let goal = "within 10 % of the bucket's own limit";
        let figure = format!("{took:.1} s of {limit:.0} s");
        goals.hold(took <= limit * 1.1, goal, &figure);
        let throttled = run.traffic.throttled as f64 / run.traffic.deletions().max(1) as f64;
        let figure = format!("{:.2} % of {}", throttled * 100.0, run.traffic.deletions());
        goals.hold(
            throttled < 0.01,
            "under 1 % of deletions throttled",
            &figure,
        );
        let planned = sweep::run(&self.server, &self.asked(&policies, "plan")).await?;
        let reads = run.traffic.reads().saturating_sub(planned.traffic.reads());
        let each = reads as f64 / SNAPSHOTS as f64;
        let figure = format!("{each:.2} ({reads} in all)");
        goals.hold(
            each <= 2.0,
            "at most 2 reads for each deleted artifact",
            &figure,
        );

        let theirs = script::run(&self.server, &self.arguments.python, BAKES + 1, true).await?;
        let (cpu, script_cpu) = (run.cpu.as_secs_f64(), theirs.cpu.as_secs_f64());
        let ratio = script_cpu / cpu.max(0.01);
        println!(
            "  sweep-retention  {cpu:7.2} s CPU  {:7.1} MiB",
            mib(Some(run.peak_kib))
        );
        println!(
            "  boto3 script     {script_cpu:7.2} s CPU  {:7.1} MiB",
            mib(Some(theirs.peak_kib))
        );
        let goal = "listing, deciding and deleting: at most 1/8 of the script's CPU";
        goals.hold(ratio >= 8.0, goal, &format!("1/{ratio:.1}"));
        Ok(())
    }
}

/// A sweep that decided something else is not what is to be measured.
fn check(run: &sweep::Run, outcome: &str, expected: u64) -> Result<(), BenchError> {
    if run.count(outcome) == expected {
        return Ok(());
    }
    let failure = run.failure.as_deref().unwrap_or("no failed item");
    let what = format!(
        "{expected} {outcome} expected, the report counts {}; {failure}",
        run.summary
    );
    Err(BenchError::Wrong {
        who: "sweep-retention",
        what,
    })
}

fn mib(kib: Option<u64>) -> f64 {
    kib.unwrap_or(0) as f64 / 1024.0
}
