//! Verdicts by the hundred thousand, in little memory.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexSet;
use jiff::Timestamp;

use crate::artifact::{ARTIFACT, Artifact, RUN, SLOT, SOURCE};
use crate::id::ImageId;
use crate::inventory::Snapshot;
use crate::inventory::table::{PackedId, add, blank};
use crate::report::{Item, Outcome};

use super::judged::Judged;
use super::listed::Listed;
use super::{Decision, FormerImage, Subject, Verdict};

/// The place of what a verdict is about, in the lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    Snapshot(u32),
    Image(u32),
}

/// A verdict as it is kept.
#[derive(Clone, Copy, Debug)]
struct Entry {
    row: Row,
    policy: u32,
    decision: u32,
    good: bool,
}

/// What few verdicts have.
#[derive(Clone, Debug, Default)]
struct Rare {
    former_image: Option<ImageId>,
    orphan_of: Option<FormerImage>,
    retry_at: Option<Timestamp>,
}

/// Verdicts on what the lists tell of, oldest first. Each is made whole when it is asked for.
#[derive(Clone, Debug)]
pub struct Verdicts<'a> {
    listed: Listed<'a>,
    policies: IndexSet<Box<str>>,
    /// What is decided of many is kept once.
    decisions: IndexSet<Decision>,
    entries: Vec<Entry>,
    rare: BTreeMap<usize, Rare>,
}

/// What is said first of an artifact.
pub(super) struct First<'s> {
    pub(super) policy: &'s str,
    pub(super) decision: Decision,
    pub(super) good: bool,
}

impl<'a> Verdicts<'a> {
    pub(super) fn new(listed: Listed<'a>) -> Self {
        Self {
            listed,
            policies: IndexSet::new(),
            decisions: IndexSet::new(),
            entries: Vec::new(),
            rare: BTreeMap::new(),
        }
    }

    pub(super) fn push(&mut self, row: Row, first: First<'_>) {
        let policy = match self.policies.get_index_of(first.policy) {
            Some(place) => place,
            None => self.policies.insert_full(first.policy.into()).0,
        };
        let entry = Entry {
            row,
            policy: place(policy),
            decision: self.kept_once(first.decision),
            good: first.good,
        };
        add(&mut self.entries, entry);
    }

    /// Puts them in the order of their times and identifiers; answered is for each new place the
    /// old one.
    pub(super) fn sort(&mut self) -> Vec<u32> {
        // Of hundreds of thousands: what is sorted is as small as it can be.
        let mut keys: Vec<(i64, i32, u32)> = Vec::with_capacity(self.entries.len());
        keys.extend((0u32..).zip(&self.entries).map(|(at, entry)| {
            let time = self.time_of(entry.row);
            let second = time.map_or(i64::MIN, Timestamp::as_second);
            (second, time.map_or(0, Timestamp::subsec_nanosecond), at)
        }));
        let packed = |at: u32| self.packed(self.entries[at as usize].row);
        keys.sort_unstable_by(|a, b| {
            let same_time = || match (packed(a.2), packed(b.2)) {
                (Some(a), Some(b)) if a.is_shaped() && b.is_shaped() => a.cmp(&b),
                _ => self.id(a.2 as usize).cmp(&self.id(b.2 as usize)),
            };
            (a.0, a.1).cmp(&(b.0, b.1)).then_with(same_time)
        });
        let order: Vec<u32> = keys.into_iter().map(|(_, _, at)| at).collect();
        let sorted = order.iter().map(|&at| self.entries[at as usize]);
        self.entries = sorted.collect();
        order
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The one at a place, whole.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<Verdict> {
        let entry = self.entries.get(place)?;
        let subject = self.listed.subject(entry.row)?;
        let rare = self.rare.get(&place).cloned().unwrap_or_default();
        let artifact = self.listed.artifact(subject.tags(), subject.owner());
        Some(Verdict {
            policy: self.policy(place).to_owned(),
            artifact,
            good: entry.good,
            former_image: rare.former_image,
            orphan_of: rare.orphan_of,
            retry_at: rare.retry_at,
            decision: self.decision(place).clone(),
            subject,
        })
    }

    /// Every one in its order, whole.
    pub fn iter(&self) -> impl Iterator<Item = Verdict> {
        (0..self.len()).filter_map(|place| self.get(place))
    }

    /// The one about an artifact, whole.
    #[must_use]
    pub fn about(&self, id: &str) -> Option<Verdict> {
        let row = self.listed.row(id)?;
        let place = self.entries.iter().position(|entry| entry.row == row)?;
        self.get(place)
    }

    /// The outcome that the report gives the one at a place; a condemned one has the outcome given.
    #[must_use]
    pub fn outcome(&self, place: usize, condemned: Outcome) -> Outcome {
        self.decision(place).outcome(condemned)
    }

    /// The one at a place as a line of the report; a condemned one with the outcome given.
    #[must_use]
    pub fn item(&self, place: usize, condemned: Outcome) -> Option<Item> {
        Some(self.get(place)?.item(condemned))
    }

    /// The snapshot at a place; none for an AMI.
    pub(super) fn snapshot(&self, place: usize) -> Option<Snapshot> {
        let Row::Snapshot(row) = self.entries.get(place)?.row else {
            return None;
        };
        self.listed.snapshots().get(row as usize)
    }

    /// The places of those on snapshots that back an AMI, or did.
    pub(super) fn backing(&self) -> impl Iterator<Item = usize> {
        (0..self.len()).filter(|&place| {
            let Row::Snapshot(row) = self.entries[place].row else {
                return false;
            };
            self.listed.snapshots().tag(row as usize, ARTIFACT) == Some("image-snapshot")
        })
    }

    /// Whether it is on an AMI that maps a listed snapshot of another run.
    pub(super) fn maps_of_other_runs(&self, place: usize) -> bool {
        let Some(Row::Image(row)) = self.entries.get(place).map(|entry| entry.row) else {
            return false;
        };
        self.listed.maps_of_other_runs(row as usize)
    }

    /// The run that its tags name, of a snapshot.
    pub(super) fn run(&self, place: usize) -> Option<&str> {
        let Row::Snapshot(row) = self.entries.get(place)?.row else {
            return None;
        };
        self.listed.snapshots().tag(row as usize, RUN)
    }

    /// The policy that governs a snapshot, and the slot and source that its tags name.
    pub(super) fn asked(&self, place: usize) -> Option<(u32, &str, &str)> {
        let entry = self.entries.get(place)?;
        let Row::Snapshot(row) = entry.row else {
            return None;
        };
        let tag = |key| self.listed.snapshots().tag(row as usize, key);
        Some((entry.policy, tag(SLOT)?, tag(SOURCE)?))
    }

    pub(super) fn set_former_image(&mut self, place: usize, image: ImageId) {
        self.rare.entry(place).or_default().former_image = Some(image);
    }

    pub(super) fn set_orphan_of(&mut self, place: usize, former: Option<FormerImage>) {
        self.rare.entry(place).or_default().orphan_of = former;
    }

    pub(super) fn set_retry_at(&mut self, place: usize, at: Option<Timestamp>) {
        self.rare.entry(place).or_default().retry_at = at;
    }

    fn kept_once(&mut self, decision: Decision) -> u32 {
        place(match self.decisions.get_index_of(&decision) {
            Some(place) => place,
            None => self.decisions.insert_full(decision).0,
        })
    }

    fn packed(&self, row: Row) -> Option<PackedId> {
        match row {
            Row::Snapshot(row) => self.listed.snapshots().id(row as usize),
            Row::Image(row) => self.listed.images().id(row as usize),
        }
    }

    fn time_of(&self, row: Row) -> Option<Timestamp> {
        match row {
            Row::Snapshot(row) => self.listed.snapshots().start(row as usize),
            Row::Image(row) => self.listed.images().created(row as usize),
        }
    }
}

/// Of more than 2^32 the last would share one place, which no account has room for.
fn place(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

impl Judged for Verdicts<'_> {
    fn count(&self) -> usize {
        self.len()
    }

    fn id(&self, place: usize) -> Cow<'_, str> {
        let text = match self.entries[place].row {
            Row::Snapshot(row) => self.listed.snapshots().id_text(row as usize),
            Row::Image(row) => self.listed.images().id_text(row as usize),
        };
        text.unwrap_or_default().into()
    }

    fn is_image(&self, place: usize) -> bool {
        matches!(self.entries[place].row, Row::Image(_))
    }

    fn policy(&self, place: usize) -> &str {
        let policy = self.entries[place].policy as usize;
        self.policies.get_index(policy).map_or("", |name| name)
    }

    fn time(&self, place: usize) -> Option<Timestamp> {
        self.time_of(self.entries[place].row)
    }

    fn is_good(&self, place: usize) -> bool {
        self.entries[place].good
    }

    fn source(&self, place: usize) -> Option<Cow<'_, str>> {
        let source = match self.entries[place].row {
            Row::Snapshot(row) => self.listed.snapshots().volume(row as usize),
            Row::Image(row) => {
                let (images, row) = (self.listed.images(), row as usize);
                let made_of = images.source_instance(row);
                made_of.or_else(|| images.tag(row, SOURCE))
            }
        };
        source.map(Cow::from)
    }

    fn sources(&self, place: usize) -> BTreeSet<String> {
        let subject = self.listed.subject(self.entries[place].row);
        let sources = subject.as_ref().map(Subject::sources).unwrap_or_default();
        sources.into_iter().map(str::to_owned).collect()
    }

    fn artifact(&self, place: usize) -> Option<Cow<'_, Artifact>> {
        let artifact = match self.entries[place].row {
            Row::Snapshot(row) => {
                let mut snapshot = blank();
                self.listed
                    .snapshots()
                    .read_into(row as usize, &mut snapshot);
                self.listed
                    .artifact(&snapshot.tags, snapshot.owner.as_deref())
            }
            Row::Image(row) => {
                let image = self.listed.images().get(row as usize)?;
                self.listed.artifact(&image.tags, image.owner.as_deref())
            }
        };
        artifact.map(Cow::Owned)
    }

    fn orphan_of(&self, place: usize) -> Option<&FormerImage> {
        self.rare.get(&place)?.orphan_of.as_ref()
    }

    fn former_image(&self, place: usize) -> Option<&ImageId> {
        self.rare.get(&place)?.former_image.as_ref()
    }

    fn retry_at(&self, place: usize) -> Option<Timestamp> {
        self.rare.get(&place)?.retry_at
    }

    fn decision(&self, place: usize) -> &Decision {
        let decision = self.entries[place].decision as usize;
        &self.decisions[decision]
    }

    fn decide(&mut self, place: usize, decision: Decision) {
        let decision = self.kept_once(decision);
        self.entries[place].decision = decision;
    }
}
