//! Waiting, as a person sees it.

use std::io::{self, IsTerminal};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use holdfast::restore::{Pace, Step};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::{plain, waited};

/// Time between two looks at what is being made.
const EVERY: Duration = Duration::from_secs(2);
/// Looks until the wait is given up: ten minutes. A volume is usable within seconds, for its blocks
/// load later; an instance runs within minutes.
const LOOKS: u32 = 300;

/// How long is waited.
pub(super) fn pace(stopped: &AtomicBool) -> Pace<'_> {
    Pace {
        every: EVERY,
        looks: LOOKS,
        stopped,
    }
}

/// Tells on standard error what is going on: what was made as lines, the wait as a bar that only a
/// terminal shows.
pub(super) struct Teller {
    bar: ProgressBar,
}

impl Teller {
    pub(super) fn new(all: usize) -> Self {
        waited();
        let target = match io::stderr().is_terminal() {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let all = u64::try_from(all).unwrap_or(u64::MAX);
        let bar = ProgressBar::with_draw_target(Some(all), target);
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} ready: {pos} of {len}, {elapsed}")
        {
            bar.set_style(style);
        }
        Self { bar }
    }

    pub(super) fn tell(&self, step: &Step) {
        match step {
            Step::Made { id, backup } => self.line(&format!("{id} is of {backup}")),
            Step::Attached(id) => self.line(&format!("{id} is attached")),
            Step::Waiting { ready, .. } => {
                self.bar.tick();
                self.bar
                    .set_position(u64::try_from(*ready).unwrap_or(u64::MAX));
            }
        }
    }

    fn line(&self, text: &str) {
        self.bar.suspend(|| plain(text));
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
