//! `make demo`: six weeks of backups, a clean-up and some AMIs, told and checked.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match holdfast_local_aws::demo::story::tell().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}
