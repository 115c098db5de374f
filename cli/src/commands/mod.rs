//! The commands, one file each.

mod adopt;
mod coverage;
mod evidence;
mod explain;
mod lineage;
mod operate;
mod plan;
mod policies;
mod report;
mod restore;
mod retention;
mod simulate;

pub(crate) use evidence::reasons as recorded_reasons;

use holdfast::report::Run;
use jiff::Timestamp;
use uuid::Uuid;

use crate::args::{Arguments, Command, EventsCommand, PoliciesCommand};
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
        Command::Simulate(simulate) => Box::pin(simulate::run(global, simulate)).await,
        Command::Coverage(coverage) => Box::pin(coverage::run(global, coverage)).await,
        Command::Explain(explain) => Box::pin(explain::run(global, explain)).await,
        Command::Evidence(evidence) => Box::pin(evidence::run(global, evidence)).await,
        Command::Adopt(adopt) => Box::pin(adopt::run(global, adopt)).await,
        Command::Report(report) => Box::pin(report::run(global, report)).await,
        Command::Lineage(lineage) => Box::pin(lineage::run(global, lineage)).await,
        Command::Ls(ls) => Box::pin(operate::ls::run(global, ls)).await,
        Command::Runs(runs) => Box::pin(operate::runs::run(global, runs)).await,
        Command::Run(run) => Box::pin(operate::run::run(global, run)).await,
        Command::Sweep(sweep) => Box::pin(operate::sweep::run(global, sweep)).await,
        Command::Unpin(unpin) => Box::pin(operate::unpin::run(global, unpin)).await,
        Command::Events(EventsCommand::Send(send)) => {
            Box::pin(operate::events::send(global, send)).await
        }
        Command::Completions(completions) => operate::completions::run(completions),
        Command::Restore(restore) => Box::pin(restore::run(global, restore)).await,
    }
}

/// The head of a command's report.
pub(crate) fn head(function: &str, now: Timestamp) -> Run {
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
