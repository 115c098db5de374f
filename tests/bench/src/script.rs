//! One run of the boto3 script.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use crate::fleet::REGION;
use crate::policies::SNAPSHOTS_LAST;
use crate::server::{Server, Terms};
use crate::traffic::Traffic;
use crate::{BenchError, process};

/// What one run took.
#[derive(Clone, Debug)]
pub struct Run {
    /// User and system time of the process.
    pub cpu: Duration,
    /// Highest resident set, in KiB.
    pub peak_kib: u64,
    /// From its start to its end.
    pub took: Duration,
    /// Images that it deleted or would.
    pub images: u64,
    /// Snapshots that it deleted or would, besides those behind the images.
    pub snapshots: u64,
    /// What reached the account.
    pub traffic: Traffic,
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sweep.py")
}

/// Runs the script with `python`.
///
/// # Errors
/// Python cannot be started, or the script failed.
pub async fn run(
    server: &Server,
    python: &Path,
    images_last: usize,
    delete: bool,
) -> Result<Run, BenchError> {
    let wrong = |what: String| BenchError::Wrong {
        who: "the boto3 script",
        what,
    };
    server.begin(Terms::default());
    let begun = Instant::now();
    let mut command = Command::new(python);
    command
        .arg(path())
        .args(["--snapshots-last", &SNAPSHOTS_LAST.to_string()])
        .args(["--images-last", &images_last.to_string()])
        .args(delete.then_some("--delete"))
        .env("AWS_ENDPOINT_URL_EC2", server.endpoint())
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", "local")
        .env("AWS_SECRET_ACCESS_KEY", "local")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command
        .spawn()
        .map_err(BenchError::io(python.display().to_string()))?;
    let id = child
        .id()
        .ok_or_else(|| wrong("it has no process".into()))?;
    let mut text = String::new();
    if let Some(mut output) = child.stdout.take() {
        let reading = output.read_to_string(&mut text).await;
        reading.map_err(BenchError::io("reading what the script says"))?;
    }
    // It has closed its output, so it is ending; once it has, and before it is waited for, its
    // account is final.
    while !process::has_ended(id)? {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = begun.elapsed();
    let cpu = process::cpu(id)?;
    let status = child.wait().await.map_err(BenchError::io("waiting"))?;
    if !status.success() {
        return Err(wrong(status.to_string()));
    }
    let result: Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let number = |key: &str| {
        let value = result[key].as_u64();
        value.ok_or_else(|| wrong(format!("no {key} in {text}")))
    };
    Ok(Run {
        cpu,
        peak_kib: number("peak_kib")?,
        took,
        images: number("images")?,
        snapshots: number("snapshots")?,
        traffic: server.traffic(),
    })
}
