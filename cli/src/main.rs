//! `holdfast`, the operator's command line: the library of the functions, under the caller's own
//! AWS credentials.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod account;
mod args;
mod commands;
mod exit;
mod failure;
mod function;
mod nearest;
mod output;

use std::process::ExitCode;

use clap::Parser;

use args::Arguments;
use exit::Exit;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    holdfast::aws::put_off::watch(output::put_off);
    let exit = match commands::run(&arguments).await {
        Ok(exit) => exit,
        Err(failure) => {
            output::error(&failure.message);
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
