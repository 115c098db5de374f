//! A function's work done in this process, with the caller's own credentials.

use std::path::Path;

use holdfast::function::{Context, Invocation};
use holdfast::operator::Operator;
use holdfast::report::Mode;
use holdfast::settings::Settings;
use holdfast::{check, create, settings, sweep};
use serde_json::Value;
use tokio::sync::watch;

use super::{Answer, Function};
use crate::account::Account;
use crate::args::Global;
use crate::failure::Failure;
use crate::interrupt::{came, listen};
use crate::output::{progress, settled};

/// Does what the function does with this event, as the run `id`.
///
/// # Errors
/// The run as a whole could not be done.
pub async fn handle(
    global: &Global,
    function: Function,
    policies: &Path,
    mode: Mode,
    event: &Value,
    id: &str,
) -> Result<Answer, Failure> {
    let account = Account::connect(global).await?;
    let settings = Settings {
        table: settings::table()?,
        policies: policies.to_owned(),
        mode,
    };
    let context = Context::new(&account.config, settings);
    let (stop, interrupted) = watch::channel(came());
    let words = "interrupted: what is under way is finished, nothing new is begun; again to end at \
                 once, as by a crash, which the next run makes good";
    let _listening = listen(words, move || {
        // Nobody listens when the run is over.
        let _ = stop.send(true);
    })
    .await;
    let invocation = Invocation {
        id: id.to_owned(),
        account: account.number().await,
        region: account.region.clone(),
        stop_at: None,
        operator: Some(Operator {
            interrupted,
            told: settled,
        }),
    };
    progress(&format!("doing the work of {} here ...", function.name()));
    let report = match function {
        Function::CreateSnapshots => create::snapshots(&context, event, &invocation).await,
        Function::CreateImages => create::images(&context, event, &invocation).await,
        Function::SweepRetention => sweep::handle(&context, event, &invocation).await,
        Function::CheckDependencies => check::handle(&context, event, &invocation).await,
    };
    Answer::of(&report?)
}
