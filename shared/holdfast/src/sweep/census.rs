//! What a sweep counted, kept for the next one to compare itself with.

use std::collections::BTreeMap;

use holdfast_core::inventory::{Inventory, Source};
use holdfast_core::plan::census::{count, next, trips};
use holdfast_core::plan::governed::{governed, marks_from};
use holdfast_core::plan::judge::{Judged, Verdicts};
use holdfast_core::policy::PolicyFile;
use holdfast_core::ports::records::{Census, Lease, Records, TableError};
use holdfast_core::report::{Action, Item, Outcome, Reason, ReasonCode};
use jiff::Timestamp;

use super::{FUNCTION, Sweep};

type Trips = BTreeMap<String, Vec<Reason>>;

/// The counts of this sweep beside those of the last.
#[derive(Clone, Debug)]
pub struct Counted {
    previous: Option<Census>,
    current: Census,
    trips: Trips,
    unreleased: Trips,
    resume_at: Option<String>,
}

impl Counted {
    /// Counts the lists and compares them with the last sweep's counts.
    pub(super) async fn take<R: Records>(
        records: &R,
        sweep: &Sweep<'_>,
        inventory: &Inventory,
        verdicts: &Verdicts<'_>,
        wall: Timestamp,
    ) -> Result<Self, TableError> {
        let previous = records.census().await?;
        let mut current = count(inventory, sweep.policies, sweep.now, wall);
        current.governed = Some(governed(previous.as_ref(), sweep.policies, sweep.now));
        let trips = trips(
            previous.as_ref(),
            &current,
            sweep.policies,
            inventory,
            verdicts,
        );
        Ok(Self {
            resume_at: previous.as_ref().and_then(|one| one.resume_at.clone()),
            previous,
            current,
            unreleased: trips.clone(),
            trips,
        })
    }

    /// From when on the marks of each policy's artifacts count.
    pub(super) fn marks_from(&self) -> BTreeMap<String, Timestamp> {
        let governed = self.current.governed.as_ref();
        governed.map(marks_from).unwrap_or_default()
    }

    /// What trips the policies that this sweep looks at.
    pub(super) fn trips(&self, only: Option<&str>) -> Trips {
        let looked_at = |name: &str| only.is_none_or(|only| only == name);
        let trips = self.trips.iter().filter(|(name, _)| looked_at(name));
        trips.map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// Accepts the counts of the policies that a request released: `standing` is what it did not.
    /// Trips of policies that this sweep did not look at stand.
    pub(super) fn accept(&mut self, only: Option<&str>, standing: &Trips) {
        for name in self.trips(only).keys() {
            if !standing.contains_key(name) {
                self.unreleased.remove(name);
            }
        }
    }

    /// The artifact that the last sweep's time did not suffice for.
    pub(super) fn resume_at(&self) -> Option<&str> {
        self.resume_at.as_deref()
    }

    /// Sets where the next sweep begins; whether that is another place than before.
    pub(super) fn resume(&mut self, at: Option<String>) -> bool {
        let moved = self.resume_at != at;
        self.resume_at = at;
        moved
    }

    /// Keeps the counts, less what the sweep itself takes away: `images` AMIs.
    pub(super) async fn save<R: Records>(
        &self,
        records: &R,
        policies: &PolicyFile,
        images: u64,
        lease: Option<&Lease>,
    ) -> Option<Item> {
        let deleted = BTreeMap::from([(Source::Images.as_str().to_owned(), images)]);
        let mut next = next(
            self.previous.as_ref(),
            &self.current,
            policies,
            &self.trips,
            &self.unreleased,
            &deleted,
        );
        next.resume_at.clone_from(&self.resume_at);
        let error = records.save_census(&next, lease).await.err()?;
        Some(not_kept(&error))
    }
}

/// That the counts could not be kept: the next sweep compares itself with older ones.
pub(super) fn not_kept(error: &TableError) -> Item {
    let detail = format!("what this sweep counted is not on record: {error}");
    let reason = Reason::with(ReasonCode::TableFailed, detail);
    Item::new(Action::Record, FUNCTION, Outcome::Failed).reason(reason)
}

/// How many AMIs these verdicts let go.
pub(super) fn condemned_images(verdicts: &Verdicts<'_>) -> u64 {
    let images = verdicts.condemned().into_iter();
    images.filter(|&v| verdicts.is_image(v)).count() as u64
}

/// How many AMIs these items say are gone.
pub(super) fn deleted_images(items: &[Item]) -> u64 {
    let gone = items
        .iter()
        .filter(|item| item.outcome == Outcome::Deleted && item.resource.starts_with("ami-"));
    gone.count() as u64
}
