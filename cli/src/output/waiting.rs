//! What a person who waits sees: what is being done, how many answers came, and for how long. On
//! standard error, and only where that is a terminal.

use std::io::{self, IsTerminal};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use holdfast::operator::Settled;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often it is drawn anew while nothing is heard.
const TICK: Duration = Duration::from_millis(250);

/// What is over sooner is not told.
const SOON: Duration = Duration::from_secs(1);

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
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    let style = ProgressStyle::with_template("{spinner} {msg} {pos} answers, {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.set_message(message.to_owned());
    let drawn = bar.clone();
    std::thread::spawn(move || {
        std::thread::sleep(SOON);
        if !drawn.is_finished() {
            drawn.set_draw_target(ProgressDrawTarget::stderr());
            drawn.enable_steady_tick(TICK);
        }
    });
    *shown() = Some(bar);
}

/// Counts an answer of AWS's, as long as nothing better is known of how far it is.
pub fn answered() {
    if let Some(bar) = shown().as_ref()
        && bar.length().is_none()
    {
        bar.inc(1);
    }
}

/// Tells how far it is, and from then on how long it will take yet.
pub fn settled(settled: Settled) {
    let shown = shown();
    let Some(bar) = shown.as_ref() else { return };
    let [done, of] = [settled.done, settled.of].map(|n| u64::try_from(n).unwrap_or(u64::MAX));
    if bar.length() != Some(of) {
        let style = ProgressStyle::with_template("{spinner} {msg} {pos} of {len}, {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_length(of);
        bar.set_position(0);
        bar.reset_eta();
    }
    bar.set_position(done);
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
