//! `make invoke`: runs a function's real binary once with an event and prints its report.
//!
//! In a shell that has taken the `export` lines of `make local`, the function works on that local
//! AWS; anywhere else on a fresh one in which what the files under `events/` speak of exists.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use holdfast_local_aws::invoke;
use holdfast_local_aws::lambda::{Function, FunctionConfig, Invocation, find_binary};
use holdfast_local_aws::local::LocalAws;
use jiff::Timestamp;
use serde_json::Value;

/// Runs a Lambda function once on the local AWS, in mode `plan`, and prints its report.
#[derive(Parser)]
struct Arguments {
    /// Such as create-snapshots
    function: String,
    /// A file with the event, such as events/create-snapshots/valid/scheduled-event.json
    event: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("invoke: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let event = read(&arguments.event)?;
    // Kept until the function has answered.
    let mut local = None;
    let config = if running_local_aws() {
        FunctionConfig {
            environment: exported().collect(),
            ..FunctionConfig::new(&arguments.function, find_binary(&arguments.function)?)
        }
    } else {
        let started = LocalAws::start(invoke::options(&event, Timestamp::now())).await?;
        local.insert(started).function_config(&arguments.function)?
    };
    let function = Function::start(config)?;
    let outcome = function.invoke(&event).await?;
    drop(local);
    match outcome {
        Invocation::Ok(report) => {
            match writeln!(std::io::stdout(), "{report:#}") {
                // Whoever reads has seen enough.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
                written => written?,
            }
            Ok(ExitCode::SUCCESS)
        }
        Invocation::FunctionError {
            error_type,
            message,
        } => {
            eprintln!("{} answers {error_type}: {message}", arguments.function);
            Ok(ExitCode::FAILURE)
        }
        other => {
            function.kill().await;
            for line in function.logs() {
                eprintln!("{}", line.text);
            }
            Err(format!("{} gave no answer: {other:?}", arguments.function).into())
        }
    }
}

fn read(path: &Path) -> Result<Value, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
    serde_json::from_str(&text).map_err(|error| format!("{shown}: {error}"))
}

/// Whether this shell has the lines that `make local` prints.
fn running_local_aws() -> bool {
    let on_loopback = |value: String| value.starts_with("http://127.0.0.1:");
    let services = ["EC2", "AUTO_SCALING", "KMS", "DYNAMODB"];
    services
        .map(|service| format!("AWS_ENDPOINT_URL_{service}"))
        .iter()
        .all(|name| std::env::var(name).is_ok_and(on_loopback))
}

fn exported() -> impl Iterator<Item = (String, String)> {
    std::env::vars().filter(|(name, _)| {
        let ours = name.starts_with("AWS_") || name.starts_with("HOLDFAST_");
        ours && !name.starts_with("HOLDFAST_BINARY_")
    })
}
