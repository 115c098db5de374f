//! Which backup exists of which day, source by source.

use std::collections::BTreeMap;

use holdfast::artifact::ARTIFACT;
use holdfast::inventory::{ImageState, SnapshotState};
use holdfast::plan::coverage::{Coverage, Covered};
use holdfast::plan::judge::{Subject, Verdict, governing};
use holdfast::policy::{GroupBy, Policy, PolicyFile, Protect};
use holdfast::report::{Action, Item, Outcome};
use holdfast::retention::{Backup, keep};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

/// Days shown at most, and at least.
const DAYS: (usize, usize) = (366, 14);

/// Counts of a day are written as one digit of this base; its greatest digit is "this many or more".
const BASE: u32 = 36;

/// A day without a backup.
const EMPTY: char = '.';
/// A day whose backup is missing: one of the policy's slots on it would still be kept, and nothing
/// of that day stands.
const MISSING: char = '!';
/// A day of which a backup is being made.
const MAKING: char = '~';

/// The calendar.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Calendar {
    /// The first day.
    pub first: Date,
    /// How many days there are.
    pub days: usize,
    /// A row for each source and policy, what needs attention first.
    pub rows: Vec<Row>,
    /// Rows for which there was no room.
    pub left_out: usize,
}

/// A source under a policy. Times are UTC, days are of the policy's time zone.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The volume or, for AMIs, the instance.
    pub source: String,
    /// The instance in whose set a volume is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The policy.
    pub policy: String,
    /// `finding` where the policy's promise is broken; see `holdfast coverage`.
    pub outcome: &'static str,
    /// How it stands: a reason code.
    pub code: &'static str,
    /// The same in words.
    pub words: String,
    /// The time of its newest good backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<Timestamp>,
    /// How old that may get.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpo: Option<String>,
    /// The policy's next slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
    /// A letter a day.
    pub days: String,
    /// Good backups older than the first day.
    #[serde(skip_serializing_if = "is_zero")]
    pub older: u32,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// What stands of one source under one policy.
#[derive(Debug, Default)]
struct Stock {
    good: Vec<Timestamp>,
    pending: Vec<Timestamp>,
}

/// What the calendar is drawn from.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The policies.
    pub policies: &'a PolicyFile,
    /// How the sources stand.
    pub coverage: &'a Coverage,
    /// The verdicts.
    pub verdicts: &'a [Verdict],
    /// Whether every snapshot was listed.
    pub snapshots_complete: bool,
    /// Whether every AMI was listed.
    pub images_complete: bool,
    /// The time decided for.
    pub now: Timestamp,
}

impl Known<'_> {
    /// Whether a backup of this policy that is not seen is not there.
    fn is_complete_for(&self, policy: &Policy) -> bool {
        let images = policy.protect == Protect::Volumes || self.images_complete;
        self.snapshots_complete && images
    }
}

/// Draws the calendar; `room` is how many bytes it may take on the page, about.
#[must_use]
pub fn calendar(known: &Known<'_>, room: usize) -> Calendar {
    let Known {
        policies,
        coverage,
        verdicts,
        now,
        ..
    } = *known;
    let mut stocks: BTreeMap<(String, String), Stock> = BTreeMap::new();
    for verdict in verdicts {
        let (Some(source), Some(time)) = (verdict.subject.source(), verdict.subject.time()) else {
            continue;
        };
        if !verdict.good && !is_pending(verdict) {
            continue;
        }
        let key = (source.to_owned(), verdict.policy.clone());
        let stock = stocks.entry(key).or_default();
        match verdict.good {
            true => stock.good.push(time),
            false => stock.pending.push(time),
        }
    }
    let mut sources: BTreeMap<(String, String), Option<&Covered>> = BTreeMap::new();
    sources.extend(stocks.keys().cloned().map(|key| (key, None)));
    let covered = coverage.sources.iter();
    sources.extend(covered.map(|one| ((one.source.clone(), one.policy.clone()), Some(one))));

    let span = Span::of(policies, stocks.values(), now);
    let mut slots: BTreeMap<&str, Vec<(usize, Timestamp)>> = BTreeMap::new();
    let nothing = Stock::default();
    let mut rows = Vec::with_capacity(sources.len());
    for ((source, name), covered) in &sources {
        let stock = stocks.get(&(source.clone(), name.clone()));
        let stock = stock.unwrap_or(&nothing);
        let policy = governing(policies, name);
        let slots = match policy {
            Some(policy) => slots
                .entry(&policy.name)
                .or_insert_with(|| span.slots(policy, now))
                .as_slice(),
            None => &[],
        };
        // What may only not have been shown is never called missing.
        let slots = match policy {
            Some(policy) if known.is_complete_for(policy) => slots,
            _ => &[],
        };
        rows.push(span.row((source, name), *covered, policy, stock, slots, now));
    }
    rows.sort_by_key(|row| (row.outcome != Outcome::Finding.as_str(), !row.has_gap()));
    let most = room / (span.days + 250);
    let left_out = rows.len().saturating_sub(most);
    rows.truncate(most);
    Calendar {
        first: span.first,
        days: span.days,
        rows,
        left_out,
    }
}

impl Row {
    /// Whether a backup is missing on any day.
    #[must_use]
    pub fn has_gap(&self) -> bool {
        self.days.contains(MISSING)
    }
}

/// Whether it is in the making.
fn is_pending(verdict: &Verdict) -> bool {
    match &verdict.subject {
        Subject::Snapshot(snapshot) => {
            let backing = snapshot
                .tags
                .get(ARTIFACT)
                .is_some_and(|kind| kind == "image-snapshot");
            snapshot.state == SnapshotState::Pending && !backing
        }
        Subject::Image { image, .. } => image.state == ImageState::Pending,
    }
}

/// The days that are shown.
struct Span {
    first: Date,
    days: usize,
}

impl Span {
    fn of<'s>(
        policies: &PolicyFile,
        stocks: impl Iterator<Item = &'s Stock>,
        now: Timestamp,
    ) -> Self {
        let zones = policies.policies.iter().map(|policy| &policy.timezone);
        let days = zones.map(|zone| zone.to_datetime(now).date());
        let last = days.chain([TimeZone::UTC.to_datetime(now).date()]).max();
        let last = last.unwrap_or_default();
        let oldest = stocks.flat_map(|stock| &stock.good).min();
        // A day more than by UTC: a policy's zone may lie behind it.
        let back = oldest.map_or(0, |oldest| {
            let oldest = TimeZone::UTC.to_datetime(*oldest).date();
            days_between(oldest, last).unwrap_or(0) + 2
        });
        let days = back.clamp(DAYS.1, DAYS.0);
        let back = i64::try_from(days).unwrap_or(1) - 1;
        let first = last.checked_sub(jiff::Span::new().days(back));
        Self {
            first: first.unwrap_or(last),
            days,
        }
    }

    /// Which of the days an instant lies on; none before the first and after the last.
    fn day(&self, time: Timestamp, zone: &TimeZone) -> Option<usize> {
        let day = days_between(self.first, zone.to_datetime(time).date())?;
        (day < self.days).then_some(day)
    }

    /// The last slot of each day that has one, as far as its backup had to be begun by now.
    fn slots(&self, policy: &Policy, now: Timestamp) -> Vec<(usize, Timestamp)> {
        let zone = &policy.timezone;
        let Ok(from) = self.first.to_zoned(zone.clone()) else {
            return Vec::new();
        };
        let upto = policy.start_within.before(now, zone);
        let mut slots: Vec<(usize, Timestamp)> = Vec::new();
        for slot in policy.slots_between(from.timestamp(), upto) {
            let Some(day) = self.day(slot, zone) else {
                continue;
            };
            match slots.last_mut() {
                Some((last, time)) if *last == day => *time = slot,
                _ => slots.push((day, slot)),
            }
        }
        slots
    }

    fn row(
        &self,
        (source, name): (&str, &str),
        covered: Option<&Covered>,
        policy: Option<&Policy>,
        stock: &Stock,
        slots: &[(usize, Timestamp)],
        now: Timestamp,
    ) -> Row {
        let zone = policy.map_or(TimeZone::UTC, |policy| policy.timezone.clone());
        let zone = &zone;
        let mut counts = vec![0u32; self.days];
        let mut older = 0;
        for time in &stock.good {
            match self.day(*time, zone) {
                Some(day) => counts[day] += 1,
                None if zone.to_datetime(*time).date() < self.first => older += 1,
                // Dated after today.
                None => {}
            }
        }
        let mut days: Vec<char> = counts.iter().map(|count| digit(*count)).collect();
        for time in &stock.pending {
            if let Some(day) = self.day(*time, zone)
                && days[day] == EMPTY
            {
                days[day] = MAKING;
            }
        }
        if let Some(policy) = policy.filter(|_| covered.is_some()) {
            for day in missing(policy, stock, &days, slots, now) {
                days[day] = MISSING;
            }
        }
        let newest = stock.good.iter().max().copied();
        let item = covered.map_or_else(|| unpicked(source, name), Covered::item);
        let reason = item.reasons.first();
        Row {
            source: source.to_owned(),
            instance: covered.and_then(|c| c.instance.as_ref().map(ToString::to_string)),
            policy: name.to_owned(),
            outcome: item.outcome.as_str(),
            code: reason.map_or("not-picked", |reason| reason.code.as_str()),
            words: reason.and_then(|r| r.detail.clone()).unwrap_or_default(),
            newest,
            rpo: covered.and_then(|c| c.rpo.map(|rpo| rpo.to_string())),
            next: covered.and_then(|c| c.next_slot),
            days: days.into_iter().collect(),
            older,
        }
    }
}

/// A source that has backups and that no active policy picks: gone, or not selected any more.
fn unpicked(source: &str, policy: &str) -> Item {
    Item::new(Action::Check, source, Outcome::Recorded).policy(policy)
}

/// The days whose backup is missing.
///
/// Every empty day with a slot since the first backup is thought filled; where the policy's rules
/// would keep what is so thought up, it is missing. What retention has retired long since is not.
/// The rules are asked for one source; with another `group` a day is anybody's, and nothing is said.
fn missing(
    policy: &Policy,
    stock: &Stock,
    days: &[char],
    slots: &[(usize, Timestamp)],
    now: Timestamp,
) -> Vec<usize> {
    let Some(first) = stock.good.iter().min() else {
        return Vec::new();
    };
    if policy.group != GroupBy::Source {
        return Vec::new();
    }
    let absent: Vec<&(usize, Timestamp)> = slots
        .iter()
        .filter(|(day, slot)| slot > first && days.get(*day) == Some(&EMPTY))
        .collect();
    if absent.is_empty() {
        return Vec::new();
    }
    let thought = absent.iter().map(|(_, slot)| *slot);
    let all = thought.chain(stock.good.iter().copied());
    let all: Vec<Backup<usize>> = all
        .enumerate()
        .map(|(id, time)| Backup { id, time })
        .collect();
    let kept = keep(
        &policy.retain,
        policy.min_copies,
        &policy.timezone,
        now,
        &all,
    );
    let with_reasons = absent.iter().zip(&kept);
    with_reasons
        .filter(|(_, reasons)| !reasons.is_empty())
        .map(|((day, _), _)| *day)
        .collect()
}

/// A count as a letter.
fn digit(count: u32) -> char {
    match count {
        0 => EMPTY,
        count => char::from_digit(count.min(BASE - 1), BASE).unwrap_or(EMPTY),
    }
}

/// Days from one to another that does not lie before it.
fn days_between(from: Date, to: Date) -> Option<usize> {
    usize::try_from(to.duration_since(from).as_hours() / 24)
        .ok()
        .filter(|_| to >= from)
}

#[cfg(test)]
mod tests;
