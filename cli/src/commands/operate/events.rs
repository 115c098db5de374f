//! `holdfast events send`: one event to one function.

use std::io::Read;
use std::path::Path;

use holdfast::report::Mode;
use serde_json::Value;
use uuid::Uuid;

use crate::account::Account;
use crate::args::{Global, SendArguments};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::function::{Function, handle, invoke};
use crate::output::progress;

/// Runs `events send`.
///
/// # Errors
/// The event cannot be read, or the function could not be invoked or failed.
pub async fn send(global: &Global, arguments: &SendArguments) -> Result<Exit, Failure> {
    let event = read(&arguments.event)?;
    let known = Function::named(&arguments.function);
    let answer = match (arguments.local, known) {
        (true, Some(function)) => {
            let file = &arguments.policies.file;
            let id = Uuid::new_v4().to_string();
            progress(&format!("running {} in this process ...", function.name()));
            // Never more than a plan: a sweep in this process is `holdfast sweep --enforce`, which
            // asks whether this is the deployed policy file.
            handle(global, function, file, Mode::Plan, &event, &id).await?
        }
        (true, None) => {
            return Err(Failure::usage(format!(
                "no function of Holdfast's is named {:?}; with --local it is create-snapshots, \
                 create-images, sweep-retention or check-dependencies",
                arguments.function
            )));
        }
        (false, known) => {
            let deployed = match known {
                Some(function) => function.deployed(None)?,
                None => arguments.function.clone(),
            };
            let config = Account::credentials(global).await?;
            progress(&format!("waiting for {deployed} ..."));
            invoke(&config, &deployed, &event).await?
        }
    };
    answer.show(global.json)
}

fn read(path: &Path) -> Result<Value, Failure> {
    let shown = path.display();
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(|_| ())
    } else {
        std::fs::read_to_string(path).map(|all| text = all)
    };
    read.map_err(|error| Failure::usage(format!("{shown}: cannot be read: {error}")))?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::usage(format!("{shown}: is no JSON: {error}")))
}
