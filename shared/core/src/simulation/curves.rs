//! How many backups each policy has, day by day, for as long as there is time to reckon it.

use jiff::{SignedDuration, Timestamp};

use super::course::Course;
use super::figures::of_course;
use super::{DAY, Question, end};

/// The curves of a simulation that may have been ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Curves {
    /// Its beginning, UTC.
    pub from: Timestamp,
    /// The days that were asked for.
    pub asked: u32,
    /// The days that were simulated: each of them ended.
    pub days: u32,
    /// What it takes for granted, in words.
    pub assumptions: Vec<String>,
    /// Each policy, in the order of the file.
    pub policies: Vec<Curve>,
}

/// One policy's curve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Curve {
    /// Its name.
    pub policy: String,
    /// Complete backups at the beginning and at the end of each day.
    pub backups: Vec<u64>,
}

/// Simulates hour by hour for as long as `go_on` says so. It is asked before each hour: how long one
/// takes depends on how many backups there are that nothing takes together.
///
/// Of the question, the file that is compared with, `at` and the price count for nothing.
pub fn curves(question: &Question<'_>, go_on: &mut dyn FnMut() -> bool) -> Curves {
    let Question { from, days, .. } = *question;
    let end = end(from, days);
    let standing = question.standing.unwrap_or_default();
    let mut course = Course::new(question.policies, question.fleet, standing, from, end);
    let policies = question.policies.policies.iter();
    let mut curves = Curves {
        from,
        asked: days,
        days: 0,
        assumptions: of_course(),
        policies: policies
            .map(|policy| Curve {
                policy: policy.name.clone(),
                backups: Vec::new(),
            })
            .collect(),
    };
    course.advance(from);
    curves.note(&course);
    let mut day = from;
    while day < end {
        for hour in 1..=24 {
            if !go_on() {
                return curves;
            }
            course.advance(day + SignedDuration::from_hours(hour));
        }
        day += DAY;
        curves.days += 1;
        curves.note(&course);
    }
    curves
}

impl Curves {
    fn note(&mut self, course: &Course<'_>) {
        for (place, curve) in self.policies.iter_mut().enumerate() {
            curve.backups.push(course.count(place));
        }
    }
}
