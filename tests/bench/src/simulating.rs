//! A year of 500 volumes and an hourly policy, by the release binary of `holdfast`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::goals::{Goals, median};
use crate::{BenchError, process};

/// Fifty machines of eight volumes, and a hundred volumes by themselves.
const FLEET: &str = "version: 1
instances:
  - name: machine
    count: 50
    tags: { Backup: hourly }
    volumes: [ { size_gib: 30, boot: true }, { size_gib: 100 }, { size_gib: 100 }, { size_gib: 100 },
               { size_gib: 100 }, { size_gib: 500 }, { size_gib: 500 }, { size_gib: 500 } ]
volumes:
  - { name: alone, count: 100, size_gib: 200, tags: { Backup: hourly }, changed_gib_per_day: 2 }
";
const POLICIES: &str = "version: 1
policies:
  - name: hourly
    protect: volumes
    select: { instances: { tags: { Backup: hourly } }, volumes: { tags: { Backup: hourly } } }
    schedule: rate(1 hour)
    retain: { hourly: 48, daily: 30, weekly: 8, monthly: 12 }
";
/// 500 volumes times 24 slots times 365 days, and the first slot of all.
const MADE: u64 = 500 * (24 * 365 + 1);

/// Measures it and holds the goals: ten seconds and 512 MiB.
///
/// # Errors
/// It could not be run, or did not make the backups of a year.
pub fn hold(holdfast: &Path, rounds: usize, goals: &mut Goals) -> Result<(), BenchError> {
    println!("simulate: 365 days of 500 volumes, hourly");
    let files = tempfile::tempdir().map_err(BenchError::io("a temporary directory"))?;
    let mut took = Vec::new();
    let mut peaks = Vec::new();
    for _ in 0..rounds.max(1) {
        let (time, peak) = measure(holdfast, files.path())?;
        took.push(time.as_secs_f64());
        peaks.push(peak);
    }
    let took = median(&took).unwrap_or_default();
    let peak = median(&peaks).unwrap_or_default() / 1024;
    let figure = format!("{took:.1} s");
    goals.hold(took < 10.0, "a year in under 10 s", &figure);
    let figure = format!("{peak} MiB");
    goals.hold(peak <= 512, "at most 512 MiB", &figure);
    println!();
    Ok(())
}

fn measure(holdfast: &Path, files: &Path) -> Result<(Duration, u64), BenchError> {
    let write = |name: &str, text: &str| {
        let path = files.join(name);
        std::fs::write(&path, text).map_err(BenchError::io(name))?;
        Ok::<_, BenchError>(path)
    };
    let (policies, fleet) = (
        write("policies.yaml", POLICIES)?,
        write("fleet.yaml", FLEET)?,
    );
    let result = files.join("simulation.json");
    let file = std::fs::File::create(&result).map_err(BenchError::io("simulation.json"))?;
    let began = Instant::now();
    let mut child = Command::new(holdfast)
        .args([
            "simulate",
            "--json",
            "--from",
            "2026-11-23T00:00:00Z",
            "--policies",
        ])
        .arg(&policies)
        .arg("--fleet")
        .arg(&fleet)
        .stdout(Stdio::from(file))
        .stderr(Stdio::null())
        .spawn()
        .map_err(BenchError::io("starting holdfast"))?;
    let mut peak = 0;
    let took = loop {
        // When it has ended, the kernel tells its memory no more.
        if process::has_ended(child.id())? {
            break began.elapsed();
        }
        peak = process::peak_kib(child.id()).map_or(peak, |now| peak.max(now));
        sleep(Duration::from_millis(5));
    };
    child.wait().map_err(BenchError::io("holdfast"))?;
    let text = std::fs::read_to_string(&result).map_err(BenchError::io("simulation.json"))?;
    let wrong = |what: String| BenchError::Wrong {
        who: "holdfast simulate",
        what,
    };
    let json: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let made = &json["simulation"]["policies"][0]["created"];
    if made.as_u64() == Some(MADE) {
        Ok((took, peak))
    } else {
        Err(wrong(format!("it made {made} backups and not {MADE}")))
    }
}
