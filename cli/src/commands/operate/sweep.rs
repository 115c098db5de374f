//! `holdfast sweep`: what would go, and, when it is wanted, its going.

use std::collections::BTreeSet;

use holdfast::policy::PolicyFile;
use holdfast::report::{Action, Item, Mode, Outcome, ReasonCode};
use holdfast::settings::load_policies;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::account::Account;
use crate::args::{Global, SweepArguments};
use crate::commands::retention::named;
use crate::confirm::{Question, asks_a_person};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::function::{Answer, Function, handle, invoke};
use crate::interrupt::came;
use crate::output::{plain, progress};

/// Runs the command.
///
/// # Errors
/// The policy file or the policy's name is wrong, EC2 or the table cannot be read, the deployed policy
/// file is another one, or what was shown is no longer so.
pub async fn run(global: &Global, arguments: &SweepArguments) -> Result<Exit, Failure> {
    let file = &arguments.policies.file;
    let now = arguments.now.or_clock();
    let policies = load_policies(file, now)?;
    if let Some(name) = &arguments.policy {
        named(&policies, name, file)?;
    }
    if !arguments.enforce {
        return plan(global, arguments, now).await?.show(global.json);
    }
    if !arguments.yes && (global.json || !asks_a_person()) {
        return Err(Failure::usage(
            "nothing was deleted: nobody is there to type the number of deletions back; --yes \
             does without",
        ));
    }
    same_policies(global, arguments, &policies).await?;
    let shown = plan(global, arguments, now).await?;
    goes_on()?;
    let planned = deletions(&shown);
    if planned.is_empty() && arguments.release.is_none() {
        plain("nothing is to be deleted");
        return shown.show(global.json);
    }
    if !arguments.yes {
        shown.show(false)?;
        let question = format!(
            "this deletes {}; type {} to have it done:",
            counted(&planned),
            planned.len()
        );
        let asking = Question {
            words: &question,
            expected: &[&planned.len().to_string()],
            otherwise: "nothing was changed",
        };
        let still = async || {
            // The deployment may have changed, too.
            same_policies(global, arguments, &policies).await?;
            let again = plan(global, arguments, now).await?;
            goes_on()?;
            Ok(deletions(&again) == planned)
        };
        if !asking.ask(still).await? {
            return Ok(Exit::Done);
        }
    }
    progress("deleting, each after a last look ...");
    let request = request(arguments, now, false);
    let done = sweep(global, arguments, Mode::Enforce, &request).await?;
    if done.run("policy_sha256") != Some(&policies.sha256) {
        plain("the policy file changed while this ran");
    }
    let exit = done.show(global.json)?;
    let busy = |item: &Item| {
        let mut reasons = item.reasons.iter();
        reasons.any(|reason| reason.code == ReasonCode::LeaseHeld)
    };
    // Nothing of what was asked for was done.
    match done.items().iter().any(busy) {
        true => Ok(exit.merge(Exit::Failed)),
        false => Ok(exit),
    }
}

/// An interrupt of what was read for the plan ends the command before anything is deleted.
fn goes_on() -> Result<(), Failure> {
    match came() {
        true => Err(Failure::failed("interrupted; nothing was deleted")),
        false => Ok(()),
    }
}

/// Refuses a policy file that is not the deployed one: by another, what the deployed one keeps might
/// go. Asked is the function itself, in a dry run.
async fn same_policies(
    global: &Global,
    arguments: &SweepArguments,
    policies: &PolicyFile,
) -> Result<(), Failure> {
    let function = Function::SweepRetention.deployed(arguments.function.as_deref())?;
    let config = Account::credentials(global).await?;
    progress(&format!("asking {function} for its policy file ..."));
    let deployed = invoke(&config, &function, &json!({ "dry_run": true })).await?;
    if deployed.run("function") != Some(Function::SweepRetention.name()) {
        return Err(Failure::usage(format!(
            "{function} is not sweep-retention; nothing was deleted"
        )));
    }
    match deployed.run("policy_sha256") {
        Some(sha256) if sha256 == policies.sha256 => Ok(()),
        other => Err(Failure::usage(format!(
            "{}: is not the deployed policy file (SHA-256 {}, deployed is {}); nothing was deleted: \
             deploy this file, or name the deployed one with --policies",
            arguments.policies.file.display(),
            policies.sha256,
            other.unwrap_or("one of which the function does not tell")
        ))),
    }
}

async fn plan(
    global: &Global,
    arguments: &SweepArguments,
    now: Timestamp,
) -> Result<Answer, Failure> {
    progress("reading EC2 and the ledger ...");
    sweep(
        global,
        arguments,
        Mode::Plan,
        &request(arguments, now, true),
    )
    .await
}

async fn sweep(
    global: &Global,
    arguments: &SweepArguments,
    mode: Mode,
    request: &Value,
) -> Result<Answer, Failure> {
    let id = format!("sweep-{}", Uuid::new_v4());
    let file = &arguments.policies.file;
    handle(global, Function::SweepRetention, file, mode, request, &id).await
}

fn request(arguments: &SweepArguments, now: Timestamp, dry_run: bool) -> Value {
    let mut request = json!({ "now": now, "dry_run": dry_run });
    if let Some(policy) = &arguments.policy {
        request["run"] = json!(policy);
    }
    if let Some(hash) = &arguments.release {
        request["override"] = json!(hash);
    }
    request
}

/// What a plan would delete.
fn deletions(plan: &Answer) -> BTreeSet<String> {
    plan.items()
        .iter()
        .filter(|item| (item.action, item.outcome) == (Action::Delete, Outcome::Planned))
        .map(|item| item.resource.clone())
        .collect()
}

fn counted(planned: &BTreeSet<String>) -> String {
    let images = planned.iter().filter(|id| id.starts_with("ami-")).count();
    let word = |count: usize, one: &str| match count {
        1 => format!("1 {one}"),
        n => format!("{n} {one}s"),
    };
    format!(
        "{} ({}, {} with their snapshots)",
        word(planned.len(), "backup"),
        word(planned.len() - images, "snapshot"),
        word(images, "AMI")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_counts_snapshots_and_amis_apart() {
        let ids = ["snap-1", "snap-2", "ami-1"].map(str::to_owned).into();
        assert_eq!(
            counted(&ids),
            "3 backups (2 snapshots, 1 AMI with their snapshots)"
        );
    }
}
