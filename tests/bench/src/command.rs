//! One run of `holdfast` against the account and an empty table.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use holdfast_local_aws::dynamodb::{DynamoDb, Storage};
use holdfast_local_aws::template::Template;

use crate::BenchError;
use crate::fleet::REGION;
use crate::server::{Server, Terms};

const TABLE: &str = "holdfast";
/// Done, and something needs attention: so does an account whose backups are of the day before.
const ATTENTION: i32 = 3;

/// How long the command takes from its start to its end; what it prints goes into `output`.
///
/// # Errors
/// The binary or the table cannot be had, or the command failed.
pub async fn run(
    server: &Server,
    binary: &Path,
    arguments: &[&str],
    output: &Path,
) -> Result<Duration, BenchError> {
    let template = Template::load(&Template::default_path())?;
    let table = DynamoDb::start(&Storage::Memory, 0, &template, TABLE).await?;
    server.begin(Terms::default());
    let printed = File::create(output).map_err(BenchError::io(output.display().to_string()))?;
    let mut command = Command::new(binary);
    command
        .args(arguments)
        // STS, KMS and Systems Manager refuse there; what they would tell is not needed here.
        .env("AWS_ENDPOINT_URL", server.endpoint())
        .env("AWS_ENDPOINT_URL_DYNAMODB", table.endpoint())
        .env("AWS_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", "bench")
        .env("AWS_SECRET_ACCESS_KEY", "bench")
        .env("HOLDFAST_TABLE", TABLE)
        .stdout(printed)
        .stderr(Stdio::piped());
    let what = format!("{} {}", binary.display(), arguments.join(" "));
    let waiting = tokio::task::spawn_blocking(move || {
        let begun = Instant::now();
        let ended = command.output();
        (begun.elapsed(), ended)
    });
    let (took, ended) = waiting.await.map_err(|error| BenchError::Wrong {
        who: "holdfast",
        what: error.to_string(),
    })?;
    let ended = ended.map_err(BenchError::io(what))?;
    match ended.status.code() {
        Some(0 | ATTENTION) => Ok(took),
        _ => Err(BenchError::Wrong {
            who: "holdfast",
            what: format!(
                "{}: {}",
                ended.status,
                String::from_utf8_lossy(&ended.stderr)
            ),
        }),
    }
}
