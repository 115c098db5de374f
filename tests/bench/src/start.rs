//! A function's start: from the start of its process to its first question for work.
//!
//! Lambda bills it, and whoever waits for the first event waits for it. What is measured is the
//! process alone; fetching the archive and starting the micro-VM are Lambda's and are not seen here.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::time::timeout;

use crate::fleet::REGION;
use crate::{BenchError, process};

/// The path on which a runtime asks for its next invocation (Lambda Runtime API, 2018-06-01).
const NEXT: &str = "GET /2018-06-01/runtime/invocation/next ";
/// Lambda's longest time for the start of a function without snapshots (AWS Lambda, "Lambda runtime
/// environment lifecycle").
const LONGEST: Duration = Duration::from_secs(10);
/// A process that uses no processor for so long is at rest.
const AT_REST: Duration = Duration::from_millis(20);

/// A program that speaks the Runtime API.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// What it is called.
    pub name: &'a str,
    /// The executable.
    pub executable: &'a Path,
    /// What it is started with.
    pub argument: Option<&'a Path>,
}

/// One start.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// From the start of the process to the first byte of its first question for work.
    pub took: Duration,
    /// Highest resident set when it had asked and come to rest, in KiB.
    pub peak_kib: u64,
}

/// Starts it once, and ends it when it has asked for work and come to rest.
///
/// # Errors
/// It cannot be started, or asks for something else, or for nothing in ten seconds.
pub async fn measure(program: &Program<'_>, policies: &Path) -> Result<Start, BenchError> {
    let api = TcpListener::bind(("127.0.0.1", 0)).await;
    let api = api.map_err(BenchError::io("a port for the Runtime API"))?;
    let address = api
        .local_addr()
        .map_err(BenchError::io("the port of the Runtime API"))?;
    let mut command = Command::new(program.executable);
    command
        .args(program.argument)
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", program.name)
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/bench")
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "bench")
        .env("AWS_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", "bench")
        .env("AWS_SECRET_ACCESS_KEY", "bench")
        .env("HOLDFAST_TABLE", "holdfast")
        .env("HOLDFAST_POLICIES", policies)
        .kill_on_drop(true);
    let begun = Instant::now();
    let mut child = command
        .spawn()
        .map_err(BenchError::io(program.executable.display().to_string()))?;
    let asked = timeout(LONGEST, first_question(&api)).await;
    let took = begun.elapsed();
    let wrong = |what: String| BenchError::Wrong {
        who: "a function at its start",
        what: format!("{}: {what}", program.name),
    };
    let asked = asked.map_err(|_| wrong("it asked for nothing".into()))?;
    // Whoever loses the connection ends, and tells nothing of its memory any more.
    let (_connection, asked) = asked.map_err(BenchError::io("the Runtime API"))?;
    if !asked.starts_with(NEXT) {
        return Err(wrong(format!("its first question was {asked:?}")));
    }
    let id = child.id().ok_or_else(|| wrong("it has ended".into()))?;
    rest(id).await?;
    let peak_kib = process::peak_kib(id)?;
    let ended = child.kill().await;
    ended.map_err(BenchError::io("ending a function"))?;
    Ok(Start { took, peak_kib })
}

/// The first bytes of the first request, as many as [`NEXT`] has.
async fn first_question(api: &TcpListener) -> std::io::Result<(TcpStream, String)> {
    let (mut connection, _) = api.accept().await?;
    let mut begin = vec![0; NEXT.len()];
    connection.read_exact(&mut begin).await?;
    Ok((connection, String::from_utf8_lossy(&begin).into_owned()))
}

/// Waits until the process has used no processor for a while: what it does beside asking is done.
async fn rest(process: u32) -> Result<(), BenchError> {
    let mut before = process::ran_for(process)?;
    loop {
        tokio::time::sleep(AT_REST).await;
        let ran_for = process::ran_for(process)?;
        if ran_for == before {
            return Ok(());
        }
        before = ran_for;
    }
}
