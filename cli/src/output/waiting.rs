//! What a person who waits sees: what is being done, how many answers came, and for how long. On
//! standard error, and only where that is a terminal.

use std::io::{self, IsTerminal};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often it is drawn anew while nothing is heard.
const TICK: Duration = Duration::from_millis(250);

static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

fn shown() -> MutexGuard<'static, Option<ProgressBar>> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says what takes long, until [`end`] or the next such word.
pub fn progress(message: &str) {
    if !io::stderr().is_terminal() {
        return;
    }
    end();
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{spinner} {msg} {pos} answers, {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.set_message(message.to_owned());
    bar.enable_steady_tick(TICK);
    *shown() = Some(bar);
}

/// Counts an answer of AWS's.
pub fn answered() {
    if let Some(bar) = shown().as_ref() {
        bar.inc(1);
    }
}

/// Says something beside it.
pub(super) fn aside(say: impl FnOnce()) {
    match shown().as_ref() {
        Some(bar) => bar.suspend(say),
        None => say(),
    }
}

/// Takes it off: the waiting is over.
pub fn end() {
    if let Some(bar) = shown().take() {
        bar.finish_and_clear();
    }
}
