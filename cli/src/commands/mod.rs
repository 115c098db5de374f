//! The commands, one file each.

mod adopt;
mod coverage;
mod evidence;
mod explain;
mod lineage;
mod plan;
mod policies;
mod report;
mod retention;

use holdfast::report::Run;
use jiff::Timestamp;
use uuid::Uuid;

use crate::args::{Arguments, Command, PoliciesCommand};
use crate::exit::Exit;
use crate::failure::Failure;

/// Does what was asked for.
///
/// # Errors
/// It could not be done.
pub async fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let global = &arguments.global;
    match &arguments.command {
        Command::Policies(PoliciesCommand::Check(check)) => policies::check(global, check),
        Command::Retention(retention) => retention::run(global, retention),
        // Boxed: the futures of the SDK's operations are large.
        Command::Plan(plan) => Box::pin(plan::run(global, plan)).await,
        Command::Coverage(coverage) => Box::pin(coverage::run(global, coverage)).await,
        Command::Explain(explain) => Box::pin(explain::run(global, explain)).await,
        Command::Evidence(evidence) => Box::pin(evidence::run(global, evidence)).await,
        Command::Adopt(adopt) => Box::pin(adopt::run(global, adopt)).await,
        Command::Report(report) => Box::pin(report::run(global, report)).await,
        Command::Lineage(lineage) => Box::pin(lineage::run(global, lineage)).await,
    }
}

/// The head of a command's report.
fn head(function: &str, now: Timestamp) -> Run {
    Run {
        id: Uuid::new_v4().to_string(),
        function: function.into(),
        mode: None,
        now,
        account: None,
        region: None,
        policy_sha256: None,
        plan_hash: None,
        complete: true,
        evidence: Vec::new(),
    }
}
