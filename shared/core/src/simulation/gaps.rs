//! The longest time between neighbouring restore points: at a moment, and in the whole of a run.
//!
//! A gap ends where the next backup is complete, and begins anew where a sweep takes one out between
//! two others; looked at once a day, the longest would be missed. So each is followed from the moment
//! at which it opens to that at which it closes.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::class::Class;
use super::report::Gap;

/// Ages in days that part the gaps.
const BANDS: [u32; 6] = [0, 1, 7, 28, 90, 365];

/// Notes the gaps of one source, newest first, where they are longer than what is known.
pub(super) fn widen(gaps: &mut Vec<Gap>, times: &[Timestamp], source: &str, now: Timestamp) {
    let newer = std::iter::once(now).chain(times.iter().copied());
    for (newer, older) in newer.zip(times) {
        let age = now.duration_since(newer);
        let Some(band) = BANDS.iter().rposition(|from| days(*from) <= age) else {
            continue;
        };
        let between = Between {
            older: *older,
            newer,
            at: now,
        };
        longest(gaps, between.gap(band, source));
    }
}

/// Keeps the longer one of each band, of two as long as each other the one that was known.
fn longest(gaps: &mut Vec<Gap>, gap: Gap) {
    let mut known = gaps.iter_mut();
    match known.find(|known| known.from_days == gap.from_days) {
        Some(known) if known.seconds < gap.seconds => *known = gap,
        Some(_) => {}
        None => gaps.push(gap),
    }
}

fn days(count: u32) -> SignedDuration {
    SignedDuration::from_hours(24 * i64::from(count))
}

/// The time between two restore points, or from one to a moment without a newer one.
#[derive(Clone, Copy, Debug)]
struct Between {
    older: Timestamp,
    newer: Timestamp,
    /// The moment that it is looked at.
    at: Timestamp,
}

impl Between {
    fn length(&self) -> SignedDuration {
        self.newer.duration_since(self.older)
    }

    fn gap(&self, band: usize, source: &str) -> Gap {
        Gap {
            from_days: BANDS[band],
            to_days: BANDS.get(band + 1).copied(),
            seconds: self.length().as_secs(),
            source: source.to_owned(),
            older: self.older,
            newer: self.newer,
            at: self.at,
        }
    }
}

/// A time to which a source can be restored.
#[derive(Clone, Copy, Debug)]
struct Restorable {
    /// How many backups hold it.
    backups: u32,
    /// From when on it and the one before it are there with none between them.
    since: Timestamp,
}

/// The restore points of one part of a class as time passes.
#[derive(Clone, Debug, Default)]
struct Line {
    points: BTreeMap<Timestamp, Restorable>,
    /// The longest ones, by band.
    worst: [Option<Between>; BANDS.len()],
}

impl Line {
    fn before(&self, time: Timestamp) -> Option<Timestamp> {
        let mut before = self.points.range(..time);
        before.next_back().map(|(time, _)| *time)
    }

    fn after(&self, time: Timestamp) -> Option<(Timestamp, Restorable)> {
        let mut after = self.points.range(time..);
        let found = after.find(|(other, _)| **other != time);
        found.map(|(time, point)| (*time, *point))
    }

    fn note(&mut self, band: usize, found: Between) {
        let known = self.worst[band];
        if known.is_none_or(|known| known.length() < found.length()) {
            self.worst[band] = Some(found);
        }
    }

    /// Nothing is newer than `older` at this moment.
    fn open(&mut self, older: Timestamp, at: Timestamp) {
        let newer = at;
        if older < newer {
            self.note(0, Between { older, newer, at });
        }
    }

    /// Two were neighbours from `since` on until just before `until`; the newer one has grown older
    /// meanwhile.
    fn neighbours(
        &mut self,
        older: Timestamp,
        newer: Timestamp,
        since: Timestamp,
        until: Timestamp,
    ) {
        for (band, from) in BANDS.iter().enumerate() {
            let at = since.max(newer + days(*from));
            let to = BANDS.get(band + 1);
            let end = to.map_or(until, |to| until.min(newer + days(*to)));
            if at < end {
                self.note(band, Between { older, newer, at });
            }
        }
    }

    /// A backup of `time` is complete from `ready` on; one that stood before, from the beginning on.
    fn came(&mut self, time: Timestamp, ready: Timestamp, stood: bool) {
        if let Some(known) = self.points.get_mut(&time) {
            known.backups += 1;
            return;
        }
        let before = self.before(time);
        let after = self.after(time).filter(|(_, after)| after.since <= ready);
        match (before, after) {
            (Some(before), Some((after, point))) => {
                self.neighbours(before, after, point.since, ready);
            }
            (Some(before), None) if !stood => self.open(before, ready),
            _ => {}
        }
        if let Some((after, _)) = after {
            self.follows(after, ready);
        }
        let (backups, since) = (1, ready);
        self.points.insert(time, Restorable { backups, since });
    }

    /// Another one is before this one from now on.
    fn follows(&mut self, time: Timestamp, now: Timestamp) {
        if let Some(point) = self.points.get_mut(&time) {
            point.since = point.since.max(now);
        }
    }

    fn went(&mut self, time: Timestamp, now: Timestamp) {
        let Some(point) = self.points.get_mut(&time) else {
            return;
        };
        point.backups -= 1;
        if point.backups > 0 {
            return;
        }
        let since = point.since;
        self.points.remove(&time);
        let before = self.before(time);
        if let Some(before) = before {
            self.neighbours(before, time, since, now);
        }
        match self.after(time) {
            Some((after, point)) if point.since <= now => {
                self.neighbours(time, after, point.since, now);
                self.follows(after, now);
            }
            // The next one is not complete yet, if there is one.
            after => {
                self.open(time, now);
                if let (Some(before), Some((_, point))) = (before, after) {
                    self.open(before, point.since);
                }
            }
        }
    }

    /// The longest ones when it all ends.
    fn ended(mut self, end: Timestamp) -> [Option<Between>; BANDS.len()] {
        let points: Vec<_> = self
            .points
            .iter()
            .map(|(time, point)| (*time, *point))
            .collect();
        let mut complete = points.iter().filter(|(_, point)| point.since <= end);
        if let Some((newest, _)) = complete.next_back() {
            self.open(*newest, end);
        }
        let after_it = end + SignedDuration::from_secs(1);
        for pair in points.windows(2) {
            let [(older, _), (newer, point)] = pair else {
                continue;
            };
            self.neighbours(*older, *newer, point.since, after_it);
        }
        self.worst
    }
}

/// The restore points of every class as time passes.
#[derive(Clone, Debug)]
pub(super) struct Gaps {
    /// By the places of the class and of the part.
    lines: Vec<Vec<Line>>,
    end: Timestamp,
}

impl Gaps {
    /// None yet, of a run that ends at `end`.
    pub(super) fn new(classes: &[Class], end: Timestamp) -> Self {
        let lines = classes.iter();
        Self {
            lines: lines
                .map(|class| vec![Line::default(); class.parts.len()])
                .collect(),
            end,
        }
    }

    fn line(&mut self, class: usize, part: usize) -> Option<&mut Line> {
        self.lines.get_mut(class)?.get_mut(part)
    }

    /// A backup of `time` stands at the beginning.
    pub(super) fn stood(&mut self, class: usize, part: usize, time: Timestamp, start: Timestamp) {
        if let Some(line) = self.line(class, part) {
            line.came(time, start.max(time), true);
        }
    }

    /// A backup of `time` is made, and complete from `ready` on.
    pub(super) fn came(&mut self, class: usize, part: usize, time: Timestamp, ready: Timestamp) {
        if ready > self.end {
            return;
        }
        if let Some(line) = self.line(class, part) {
            line.came(time, ready, false);
        }
    }

    /// A backup of `time` is retired.
    pub(super) fn went(&mut self, class: usize, part: usize, time: Timestamp, now: Timestamp) {
        if let Some(line) = self.line(class, part) {
            line.went(time, now);
        }
    }

    /// The longest gap of each age that a policy had at any time.
    pub(super) fn worst(&self, classes: &[Class], policy: usize) -> Vec<Gap> {
        let mut worst = Vec::new();
        let of_policy = classes.iter().zip(&self.lines);
        for (class, lines) in of_policy.filter(|(class, _)| class.policy == policy) {
            for (part, line) in lines.iter().enumerate() {
                let longest_of = line.clone().ended(self.end);
                for (band, found) in longest_of.into_iter().enumerate() {
                    if let Some(found) = found {
                        longest(&mut worst, found.gap(band, class.id(part)));
                    }
                }
            }
        }
        worst.sort_by_key(|gap| gap.from_days);
        worst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Three nights' backups, each complete two minutes after its heartbeat.
    fn three() -> Line {
        let mut line = Line::default();
        for day in 1..=3 {
            let time = at(&format!("2026-12-0{day}T03:00:00Z"));
            line.came(time, time + SignedDuration::from_mins(2), false);
        }
        line
    }

    fn minutes(line: Line, end: &str) -> Vec<Option<i64>> {
        let worst = line.ended(at(end)).into_iter();
        worst.map(|one| one.map(|b| b.length().as_mins())).collect()
    }

    const DAY: i64 = 24 * 60;

    #[test]
    fn what_a_sweep_takes_out_of_the_middle_joins_its_neighbours() {
        let mut line = three();
        line.went(at("2026-12-02T03:00:00Z"), at("2026-12-03T03:30:00Z"));
        let worst = minutes(line, "2026-12-04T00:00:00Z");
        // The newer one is less than a day old to the end; before, the second night was older.
        assert_eq!(worst[..2], [Some(2 * DAY), Some(DAY)]);
    }

    #[test]
    fn what_goes_within_one_sweep_leaves_no_gap_between() {
        let mut line = three();
        let sweep = at("2026-12-12T03:30:00Z");
        for night in ["2026-12-02T03:00:00Z", "2026-12-01T03:00:00Z"] {
            line.went(at(night), sweep);
        }
        let worst = minutes(line, "2026-12-12T04:00:00Z");
        // None came after the third night; before the sweep all gaps were of a day, after it there are none.
        assert_eq!(worst[..3], [Some(9 * DAY + 60), Some(DAY), Some(DAY)]);
    }

    #[test]
    fn while_the_next_one_is_not_complete_a_gap_reaches_back_to_what_is_left() {
        let mut line = three();
        // The heartbeat of the third night is the sweep's moment, too.
        line.went(at("2026-12-02T03:00:00Z"), at("2026-12-03T03:00:00Z"));
        let worst = minutes(line, "2026-12-03T03:01:00Z");
        assert_eq!(worst[0], Some(2 * DAY + 2));
    }
}
