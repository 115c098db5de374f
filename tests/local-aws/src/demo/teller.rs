//! How the story is told: numbered steps on standard output, progress on standard error.

use std::io::{IsTerminal, Write};

use anstream::{eprint, eprintln, println};
use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use jiff::tz::TimeZone;

const HEAD: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const DIM: Style = Style::new().dimmed();

/// Tells steps, in colour only where a terminal shows it.
#[derive(Debug, Default)]
pub struct Teller {
    step: u32,
}

impl Teller {
    /// A line without indentation.
    pub fn head(&self, text: &str) {
        println!("{HEAD}{text}{HEAD:#}");
    }

    /// Begins the next step.
    pub fn step(&mut self, title: &str) {
        self.step += 1;
        println!("\n{HEAD}{}. {title}{HEAD:#}", self.step);
    }

    /// A line.
    pub fn line(&self, text: impl AsRef<str>) {
        println!("   {}", text.as_ref());
    }

    /// A line of less weight.
    pub fn aside(&self, text: impl AsRef<str>) {
        println!("   {DIM}{}{DIM:#}", text.as_ref());
    }

    /// Something that has been checked.
    pub fn checked(&self, text: impl AsRef<str>) {
        println!("   {GOOD}ok{GOOD:#} {}", text.as_ref());
    }
}

/// A time for the eye: minutes, UTC.
#[must_use]
pub fn minute(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A time of day for the eye, UTC.
#[must_use]
pub fn clock(time: Timestamp) -> String {
    time.strftime("%H:%M").to_string()
}

/// A day for the eye, UTC.
#[must_use]
pub fn day(time: Timestamp) -> String {
    time.strftime("%a %Y-%m-%d").to_string()
}

/// The progress of the weeks on standard error.
#[derive(Debug)]
pub struct Progress {
    begin: Timestamp,
    end: Timestamp,
    terminal: bool,
    week: i64,
}

impl Progress {
    /// Progress from `begin` to `end`.
    #[must_use]
    pub fn new(begin: Timestamp, end: Timestamp) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self {
            begin,
            end,
            terminal,
            week: 0,
        }
    }

    /// The clock stands at `now`.
    pub fn at(&mut self, now: Timestamp) {
        const WEEK: i64 = 7 * 86_400;
        let passed = now.duration_since(self.begin).as_secs();
        let whole = self.end.duration_since(self.begin).as_secs().max(1);
        let (week, weeks) = (passed / WEEK, whole / WEEK);
        let date = TimeZone::UTC.to_datetime(now).date();
        if self.terminal {
            let full = usize::try_from(passed * 30 / whole).unwrap_or(0).min(30);
            let bar = format!("{}{}", "#".repeat(full), ".".repeat(30 - full));
            eprint!("\r   {DIM}[{bar}] {date}{DIM:#} ");
            // Progress that cannot be shown is no reason to stop.
            let _shown = std::io::stderr().flush();
        } else if week > self.week {
            self.week = week;
            eprintln!("   week {week} of {weeks} has passed: {date}");
        }
    }

    /// Leaves no trace on a terminal.
    pub fn done(self) {
        if self.terminal {
            eprint!("\r{}\r", " ".repeat(60));
        }
    }
}
