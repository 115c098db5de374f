//! `holdfast completions`: a script by which a shell completes commands and options.

use clap::CommandFactory;
use clap_complete::generate;

use crate::args::{Arguments, CompletionsArguments};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::print;

/// Runs the command.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(arguments: &CompletionsArguments) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    generate(
        arguments.shell,
        &mut Arguments::command(),
        "holdfast",
        &mut script,
    );
    print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
