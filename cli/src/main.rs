//! `holdfast`, the operator's command line: the library of the functions, under the caller's own
//! AWS credentials.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod account;
mod args;
mod commands;
mod confirm;
mod denied;
mod exit;
mod failure;
mod function;
mod interrupt;
mod nearest;
mod output;

use std::process::ExitCode;

use clap::Parser;
use holdfast::aws::answers::Watcher;

use args::Arguments;
use exit::Exit;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    holdfast::aws::answers::watch(Watcher {
        answered: output::answered,
        put_off: output::put_off,
        denied: denied::put_down,
    });
    let outcome = commands::run(&arguments).await;
    output::waited();
    let exit = match outcome {
        Ok(exit) => {
            denied::tell(None);
            exit
        }
        Err(failure) => {
            output::error(&failure.message);
            denied::tell(Some(&failure.message));
            failure.exit
        }
    };
    exit.into()
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
