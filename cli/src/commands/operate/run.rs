//! `holdfast run`: one policy, now.

use holdfast::report::Mode;
use holdfast::settings::load_policies;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::account::Account;
use crate::args::{Global, RunArguments};
use crate::commands::retention::named;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::function::{Function, handle, invoke};
use crate::output::progress;

/// Runs the command.
///
/// # Errors
/// The policy file or the policy's name is wrong, or the function could not be invoked or failed.
pub async fn run(global: &Global, arguments: &RunArguments) -> Result<Exit, Failure> {
    let file = &arguments.policies.file;
    let policies = load_policies(file, arguments.now.or_clock())?;
    let policy = named(&policies, &arguments.policy, file)?;
    let function = Function::creating(policy.protect);
    let id = arguments.id.clone();
    let id = id.unwrap_or_else(|| Uuid::new_v4().to_string());
    let event = event(arguments, &id);
    let answer = if arguments.local {
        progress(&format!("running {} in this process ...", policy.name));
        handle(global, function, file, Mode::Plan, &event, &id).await?
    } else {
        let deployed = function.deployed(arguments.function.as_deref())?;
        let config = Account::credentials(global).await?;
        progress(&format!("waiting for {deployed} ..."));
        invoke(&config, &deployed, &event).await?
    };
    answer.note_other_policies(&policies.sha256);
    answer.show(global.json)
}

/// The request, in which nothing stands that was not asked for.
fn event(arguments: &RunArguments, id: &str) -> Value {
    let mut event = json!({ "run": arguments.policy, "id": id });
    if !arguments.resources.is_empty() {
        event["resources"] = json!(arguments.resources);
    }
    if arguments.dry_run {
        event["dry_run"] = json!(true);
    }
    if let Some(now) = arguments.now.given {
        event["now"] = json!(now);
    }
    event
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Arguments, Command};

    fn of(line: &[&str]) -> Value {
        let parsed = Arguments::try_parse_from(line).unwrap();
        let Command::Run(arguments) = parsed.command else {
            panic!("{parsed:?}");
        };
        event(&arguments, "r-1")
    }

    #[test]
    fn a_request_says_no_more_than_was_asked_for() {
        assert_eq!(
            of(&["holdfast", "run", "nightly"]),
            json!({ "run": "nightly", "id": "r-1" })
        );
        assert_eq!(
            of(&[
                "holdfast",
                "run",
                "nightly",
                "--dry-run",
                "--resources",
                "i-0a1,vol-0b2",
                "--resources",
                "i-0c3",
                "--now",
                "2026-11-23T03:00:00Z",
            ]),
            json!({ "run": "nightly", "id": "r-1", "dry_run": true,
                    "resources": ["i-0a1", "vol-0b2", "i-0c3"], "now": "2026-11-23T03:00:00Z" })
        );
    }
}
