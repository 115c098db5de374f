//! `make witness`: the scenario table against the simulated account and against moto.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use holdfast_witness::compare::judge;
use holdfast_witness::moto::{Moto, MotoError};
use holdfast_witness::scenario::{Scenario, all};
use holdfast_witness::simulated;
use holdfast_witness::table::{Outcome, Table};
use tokio::signal::unix::{SignalKind, signal};

/// Asks the simulated EC2 account and moto the same, and holds the answers against the table of
/// listed differences. Exit status: 0 everything is as listed, 1 it is not, or nothing could be asked.
#[derive(Parser)]
#[command(name = "witness")]
struct Arguments {
    /// The program `moto_server`.
    #[arg(long, value_name = "PATH")]
    moto_server: PathBuf,
    /// Only scenarios whose name contains this.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(signal) => signal,
        Err(error) => {
            eprintln!("witness: {error}");
            return ExitCode::FAILURE;
        }
    };
    // Whichever ends first, moto is dropped with the run, and so killed.
    let table = tokio::select! {
        table = run(&arguments) => table,
        _ = terminate.recv() => return ExitCode::FAILURE,
        _ = tokio::signal::ctrl_c() => return ExitCode::FAILURE,
    };
    match table {
        Ok(table) => {
            println!("{table}");
            if table.is_as_listed() && !table.0.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("witness: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<Table, MotoError> {
    let moto = Moto::start(&arguments.moto_server).await?;
    let mut outcomes = Vec::new();
    for scenario in all() {
        if scenario.name.contains(&arguments.only) {
            outcomes.push(outcome(scenario, &moto).await);
        }
    }
    moto.stop().await;
    Ok(Table(outcomes))
}

async fn outcome(scenario: &'static Scenario, moto: &Moto) -> Outcome {
    let verdicts = match (simulated::play(scenario).await, moto.play(scenario).await) {
        (Ok(by_simulated), Ok(by_moto)) => Ok(judge(scenario.expected, &by_simulated, &by_moto)),
        (Err(failure), _) => Err(("the simulated account", failure)),
        (_, Err(failure)) => Err(("moto", failure)),
    };
    Outcome { scenario, verdicts }
}
