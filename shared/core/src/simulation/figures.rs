//! What is noted of a run day by day, and what it comes to.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::class::Part;
use super::course::Course;
use super::gaps::widen;
use super::ladder::{Hole, Ladder};
use super::report::{Gap, Late, Point, PolicyCourse, RestorePoint, RestorePoints};
use super::standing::Standing;
use super::{DAY, Question, end};
use crate::policy::PolicyFile;

/// From how many seconds on the last backup of a slot is late.
const LATE: i64 = 60;
/// MiB in a GiB.
const MIB: f64 = 1024.0;

/// What a run came to.
pub(super) struct Figures {
    courses: Vec<PolicyCourse>,
    /// The longest holes, by policy.
    pub(super) holes: Vec<Vec<Hole>>,
}

impl Figures {
    pub(super) fn policies(&self) -> Vec<PolicyCourse> {
        self.courses.clone()
    }

    pub(super) fn course(&self, place: usize) -> &PolicyCourse {
        &self.courses[place]
    }
}

/// Runs a policy file from the question's beginning to its end.
pub(super) fn run<'p>(
    question: &Question<'_>,
    policies: &'p PolicyFile,
    standing: &[Standing],
    at: Timestamp,
    tick: &mut dyn FnMut(),
) -> (Course<'p>, Figures) {
    let days = i32::try_from(question.days).unwrap_or(i32::MAX);
    let end = end(question.from, question.days);
    let mut course = Course::new(policies, question.fleet, standing, question.from, end);
    let count = policies.policies.len();
    let mut series: Vec<Vec<Point>> = vec![Vec::new(); count];
    let mut ladders: Vec<Ladder> = policies
        .policies
        .iter()
        .map(|policy| Ladder::of(policy, question.from))
        .collect();
    let mut at_moment: Option<Moment> = None;
    for day in 0..=days {
        let time = question.from + DAY * day;
        if at_moment.is_none() && at <= time {
            course.advance(at);
            at_moment = Some(Moment::of(&course));
        }
        course.advance(time);
        for (points, point) in series.iter_mut().zip(points(&course, question.price)) {
            points.push(point);
        }
        for (place, ladder) in ladders.iter_mut().enumerate() {
            ladder.look(&course, place);
        }
        if day > 0 {
            tick();
        }
    }
    let moment = at_moment.unwrap_or_default();
    let late = late(&course);
    let courses = series.into_iter().enumerate().map(|(place, series)| {
        let tally = &course.tallies[place];
        PolicyCourse {
            policy: policies.policies[place].name.clone(),
            sources: course.picked(place).len() as u64,
            created: tally.created,
            retired: tally.retired,
            retired_by_first_sweep: tally.first_sweep,
            series,
            restore_points: moment.points.get(&place).cloned().unwrap_or_default(),
            gaps: moment.gaps.get(&place).cloned().unwrap_or_default(),
            worst_gaps: course.gaps.worst(&course.classes, place),
            late: late.get(&place).cloned().unwrap_or_default(),
        }
    });
    let figures = Figures {
        courses: courses.collect(),
        holes: ladders.into_iter().map(Ladder::into_holes).collect(),
    };
    (course, figures)
}

/// What stands of each policy now.
fn points(course: &Course<'_>, price: Option<f64>) -> Vec<Point> {
    let empty = Point {
        time: course.now,
        backups: 0,
        full_gib: 0.0,
        changed_gib: 0.0,
        monthly_cost: None,
    };
    let mut points = vec![empty; course.policies.policies.len()];
    let mut before: HashMap<(usize, usize), Timestamp> = HashMap::new();
    for entry in course.backups.iter().filter(|one| one.is_good(course.now)) {
        let class = &course.classes[entry.class];
        let point = &mut points[class.policy];
        point.backups += class.backups(entry.part);
        let part = &class.parts[entry.part];
        match before.insert((entry.class, entry.part), entry.time) {
            None => point.full_gib += full_gib(part),
            Some(older) => point.changed_gib += changed_gib(part, entry.time.duration_since(older)),
        }
    }
    if let Some(price) = price {
        for point in &mut points {
            point.monthly_cost = Some((point.full_gib + point.changed_gib) * price);
        }
    }
    points
}

/// A count as a figure: none is so large that a part of it is lost.
#[allow(clippy::cast_precision_loss)]
fn figure(count: u64) -> f64 {
    count as f64
}

fn full_gib(part: &Part) -> f64 {
    let disks = part.shapes.iter();
    disks
        .map(|(shape, count)| f64::from(shape.size_gib) * figure(*count))
        .sum()
}

/// What a snapshot stores beside the one before it: what changed since, at most all there is.
fn changed_gib(part: &Part, since: SignedDuration) -> f64 {
    let days = since.as_secs_f64() / DAY.as_secs_f64();
    let disks = part.shapes.iter().filter_map(|(shape, count)| {
        let changed = f64::from(shape.changed_mib?) / MIB * days;
        Some(changed.min(f64::from(shape.size_gib)) * figure(*count))
    });
    disks.sum()
}

/// Restore points and gaps of a moment, by the place of the policy.
#[derive(Default)]
struct Moment {
    points: BTreeMap<usize, Vec<RestorePoints>>,
    gaps: BTreeMap<usize, Vec<Gap>>,
}

impl Moment {
    fn of(course: &Course<'_>) -> Self {
        let kept_by = course.kept_by();
        let mut by_part: BTreeMap<(usize, usize), Vec<RestorePoint>> = BTreeMap::new();
        for entry in course.backups.iter().filter(|one| one.is_good(course.now)) {
            let codes = kept_by.get(entry.id()).into_iter().flatten();
            let points = by_part.entry((entry.class, entry.part)).or_default();
            points.push(RestorePoint {
                time: entry.time,
                slot: entry.slot,
                kept_by: codes.copied().collect(),
            });
        }
        let mut moment = Self::default();
        let mut same: BTreeMap<(usize, Vec<Timestamp>), usize> = BTreeMap::new();
        for ((class, part), mut points) in by_part {
            points.sort_by_key(|point| std::cmp::Reverse(point.time));
            let class = &course.classes[class];
            let members = class.members.iter();
            let sources: Vec<String> = members
                .flat_map(|member| member.parts[part].clone())
                .collect();
            let times: Vec<Timestamp> = points.iter().map(|point| point.time).collect();
            let gaps = moment.gaps.entry(class.policy).or_default();
            widen(gaps, &times, &sources[0], course.now);
            let lists = moment.points.entry(class.policy).or_default();
            let place = *same.entry((class.policy, times)).or_insert(lists.len());
            match lists.get_mut(place) {
                Some(list) => list.sources.extend(sources),
                None => lists.push(RestorePoints { sources, points }),
            }
        }
        for lists in moment.points.values_mut() {
            lists.iter_mut().for_each(|list| list.sources.sort());
        }
        for gaps in moment.gaps.values_mut() {
            gaps.sort_by_key(|gap| gap.from_days);
        }
        moment
    }
}

/// The slots that token buckets stretch out, by the place of the policy.
fn late(course: &Course<'_>) -> BTreeMap<usize, Vec<Late>> {
    let mut late: BTreeMap<usize, Vec<Late>> = BTreeMap::new();
    let mut together: BTreeMap<_, u64> = BTreeMap::new();
    for ((at, bucket, _), calls) in &course.calls {
        *together.entry((*at, *bucket)).or_default() += calls;
    }
    for (at, bucket, policy) in course.calls.keys() {
        let calls = together.get(&(*at, *bucket)).copied().unwrap_or_default();
        let seconds = bucket.late(calls).as_secs();
        if seconds <= LATE {
            continue;
        }
        let found = Late {
            call: bucket.call().to_owned(),
            slots: 1,
            calls,
            seconds,
            worst: *at,
        };
        let known = late.entry(*policy).or_default();
        match known.iter_mut().find(|known| known.call == found.call) {
            None => known.push(found),
            Some(known) => {
                let slots = known.slots + 1;
                if known.seconds < seconds {
                    *known = found;
                }
                known.slots = slots;
            }
        }
    }
    late
}

/// What a simulation takes for granted.
pub(super) fn assumptions(question: &Question<'_>) -> Vec<String> {
    let mut all = of_course();
    all.push(
        "the first snapshot of a volume stores all that is provisioned; each later one what changed \
         since the one before it, where the fleet file says how much that is, else nothing is \
         reckoned"
            .to_owned(),
    );
    if let Some(price) = question.price {
        all.push(format!(
            "a GB-month costs {price}, in the currency that it was given in"
        ));
    }
    if question.against.is_some() && question.standing.is_none() {
        all.push(format!(
            "the other file has been at work for {} days when this one takes its place",
            question.days
        ));
    }
    all
}

/// What decides which backups there are takes this for granted.
pub(super) fn of_course() -> Vec<String> {
    [
        "every call succeeds at its heartbeat, and a backup is complete two minutes later",
        "a sweep runs at half past each hour, in enforce mode",
        "what needs a backup today needs it to the end, and nothing new begins to",
        "a breaker that trips (simulate warns of each) is released at once; what one sweep compares \
         with the last (a list that shrinks to half, a policy that picks nothing any more, a clock \
         that jumps) holds nothing",
        "schedules alone make backups: triggers, the bakes they begin, and requests make none",
        "slots that EC2's limits make late (simulate tells which) are not moved: a late backup \
         counts as made at its heartbeat",
        "what waits today in a grace, or since its source was gone, waits anew",
    ]
    .map(str::to_owned)
    .to_vec()
}
