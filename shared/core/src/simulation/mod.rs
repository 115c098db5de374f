//! What a policy file will do to a fleet, before it does it.
//!
//! A virtual clock goes from slot to slot and from sweep to sweep. What is made and what goes is
//! decided by the very functions that decide for the handlers: the policy's own slots and
//! selection, [`crate::plan::judge`] and [`crate::plan::settle`], over the lists that a sweep would
//! read. So the simulation cannot drift from them. Pure: no clock, no I/O.
//!
//! Exact, with these exceptions, which [`Simulation::assumptions`] tells:
//! - every call succeeds at its heartbeat, and a backup is complete within two minutes: what token
//!   buckets delay is told as late and not moved, and where two policies pick a volume for one time,
//!   the second backup, which EC2 puts off to the next heartbeat, is not either;
//! - schedules alone make backups: triggers, the bakes that they begin, and requests make none;
//! - sweeps come at half past each hour; one that would find what the last one found is left out;
//! - sources that a policy cannot tell apart are simulated once (see the module `class`), and of
//!   backups of one instant in a group wider than a source, the identifiers choose, which EC2 gives
//!   at random: there the number that stays is right, and which they are is not;
//! - what needs a backup today goes on to do so, and nothing else begins to;
//! - nothing is known of the table: what waits in a grace at the beginning, or since its source was
//!   gone, waits anew;
//! - a breaker that would trip is reckoned with the counts of all sources, told, and taken as
//!   released at once; the comparisons of a sweep with the last one are not made.
//!
//! A test runs a year through the handlers beside it and finds the same backups on every day.

mod account;
mod advice;
mod against;
mod class;
mod clock;
mod course;
mod curves;
mod figures;
mod fleet;
mod fleet_file;
mod gaps;
mod ladder;
mod pace;
mod report;
mod standing;

pub use course::Course;
pub use curves::{Curve, Curves, curves};
pub use fleet::{Fleet, Lasting};
pub use report::{
    Advice, AdviceCode, Against, Difference, Gap, Late, Level, Point, PolicyCourse, RestorePoint,
    RestorePoints, Retired, Simulation, Total,
};
pub use standing::{Standing, Survivor};

use jiff::{SignedDuration, Timestamp};

use crate::policy::PolicyFile;

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The policy file.
    pub policies: &'a PolicyFile,
    /// The file that it is compared with.
    pub against: Option<&'a PolicyFile>,
    /// Instances and volumes.
    pub fleet: &'a Fleet,
    /// What stands at the beginning. None, and another file to compare with: what that file's
    /// policies come to have stands.
    pub standing: Option<&'a [Standing]>,
    /// When it begins.
    pub from: Timestamp,
    /// How many days it lasts, of 24 hours.
    pub days: u32,
    /// The moment whose restore points are told: the end, where it is not said. What lies outside is
    /// taken for the nearer end.
    pub at: Option<Timestamp>,
    /// The price of a GB-month of standard storage, where one is known.
    pub price: Option<f64>,
}

/// A day of a simulation.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// When a simulation ends that begins at `from` and lasts so many days.
#[must_use]
pub fn end(from: Timestamp, days: u32) -> Timestamp {
    from + DAY * i32::try_from(days).unwrap_or(i32::MAX)
}

/// Answers it. `progress` is told how many of how many days are done.
pub fn simulate(question: &Question<'_>, progress: &mut dyn FnMut(u64, u64)) -> Simulation {
    let Question { from, days, .. } = *question;
    let to = end(from, days);
    let at = question.at.unwrap_or(to).clamp(from, to);
    let mut total = u64::from(days);
    let mut done = 0;
    let mut known = Vec::new();
    if let Some(old) = question.against {
        total += u64::from(days);
        if question.standing.is_none() {
            total += u64::from(days);
            known = against::history(question, old, &mut || {
                done += 1;
                progress(done, total);
            });
        }
    }
    let standing = question.standing.unwrap_or(&known);
    let mut tick = || {
        done += 1;
        progress(done, total);
    };
    let (course, figures) = figures::run(question, question.policies, standing, at, &mut tick);
    let compared = question.against.map(|old| {
        let (before, of_old) = figures::run(question, old, standing, at, &mut tick);
        let known = question.standing.is_some();
        against::compare((&before, &of_old), (&course, &figures), standing, known)
    });
    let advice = advice::advice(question, &course, &figures, standing);
    Simulation {
        schema: 1,
        from,
        to,
        at,
        assumptions: figures::assumptions(question),
        policies: figures.policies(),
        against: compared,
        advice,
    }
}
