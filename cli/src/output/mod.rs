//! What people and programs read: results on standard output, messages on standard error.

pub mod age;
pub mod items;
pub mod lines;
pub mod table;
mod waiting;

pub use waiting::{answered, end as waited, progress, settled};

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use holdfast::report::Report;

use crate::failure::Failure;

/// How often it is said at most that calls are put off.
const PUT_OFF_EVERY: Duration = Duration::from_secs(5);

/// Prints a result.
///
/// A reader that has seen enough (`holdfast … | head`) is no failure.
///
/// # Errors
/// Standard output cannot be written, such as a file on a full disk.
pub fn print(text: &str) -> Result<(), Failure> {
    waiting::end();
    let mut out = anstream::stdout().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let written = write!(out, "{text}{end}").and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Text of somebody else's as a terminal may show it: a tag, a name or an error that carries control
/// characters could move the cursor over a verdict. They stand as `\u{1b}`; a line break stays.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    let control = |c: char| c.is_control() && c != '\n';
    if !text.contains(control) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| match control(c) {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    Cow::Owned(text.chars().map(shown).collect())
}

/// Prints a report as JSON.
///
/// # Errors
/// Standard output cannot be written.
pub fn print_json<T: serde::Serialize>(value: &T) -> Result<(), Failure> {
    match serde_json::to_string_pretty(value) {
        Ok(text) => print(&text),
        Err(error) => Err(Failure::failed(format!("no JSON can be made: {error}"))),
    }
}

/// Prints a report as JSON, or as what `people` make of it.
///
/// # Errors
/// Standard output cannot be written.
pub fn print_report(
    json: bool,
    report: &Report,
    people: impl FnOnce() -> String,
) -> Result<(), Failure> {
    if json {
        print_json(report)
    } else {
        print(&people())
    }
}

/// Says that a command could not be done.
pub fn error(message: &str) {
    let style = AnsiColor::Red.on_default().bold();
    say(style, "error", &visible(message));
}

/// Says that something is missing from what was done.
pub fn warn(message: &str) {
    let style = AnsiColor::Yellow.on_default().bold();
    say(style, "warning", message);
}

/// Says something worth knowing.
pub fn note(message: &str) {
    say(Style::new().bold(), "note", message);
}

/// Says that a service put a call off, at most every few seconds.
pub fn put_off(service: &'static str) {
    static LAST: Mutex<Option<Instant>> = Mutex::new(None);
    let Ok(mut last) = LAST.lock() else { return };
    if last.is_none_or(|at| at.elapsed() >= PUT_OFF_EVERY) {
        *last = Some(Instant::now());
        note(&format!(
            "{service} puts calls off (too many of them, or not available): waiting and asking again"
        ));
    }
}

/// Says something in a format of its own.
pub fn plain(message: &str) {
    // Nobody is left to hear of a standard error that cannot be written.
    waiting::aside(|| drop(writeln!(anstream::stderr(), "{message}")));
}

fn say(style: Style, word: &str, message: &str) {
    plain(&format!("{style}{word}{style:#}: {message}"));
}
