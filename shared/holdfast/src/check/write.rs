//! Writing what a comparison came to, as far as time and table allow.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use holdfast_core::artifact::ArtifactKind;
use holdfast_core::lineage::NodeKind;
use holdfast_core::plan::reconcile::{Changes, SlotChange, SlotKey, Unit};
use holdfast_core::ports::records::{Absence, Records, TableError, TableErrorKind};
use holdfast_core::report::{Action, Item, Outcome, Reason, ReasonCode};

use super::FUNCTION;
use crate::aws::CALL_TIMEOUT;
use crate::create;
use crate::function::Invocation;
use crate::lease::Held;

/// Nodes written together, unless one resource alone has more.
const TOGETHER: usize = 50;
/// Writes under way at once.
const AT_ONCE: usize = 4;

/// Writes under a lease.
pub(super) struct Writer<'a, R: Records> {
    pub records: &'a R,
    pub held: &'a Held<'a, R>,
    pub invocation: &'a Invocation,
}

/// What was written.
#[derive(Default)]
pub(super) struct Written {
    pub items: Vec<Item>,
    /// Whether nothing is left for the next run.
    pub complete: bool,
}

/// What became of a part.
enum Done {
    Written,
    /// The next run finds it again: another was faster, or time is over.
    Left,
    /// The record refuses it.
    Failed(TableError),
}

impl<R: Records> Writer<'_, R> {
    /// Writes everything: steps of the ledger, then nodes and edges, images last, then absences.
    ///
    /// # Errors
    /// The table's, where nothing can be written at all.
    pub(super) async fn write(&self, changes: Changes) -> Result<Written, TableError> {
        let mut written = Written {
            items: changes.items,
            complete: true,
        };
        let settled = self.slots(changes.slots, &mut written).await?;
        let (ready, left): (Vec<Unit>, Vec<Unit>) = changes
            .units
            .into_iter()
            .partition(|unit| unit.after.is_subset(&settled));
        written.complete &= left.is_empty();
        let mut absences: BTreeMap<String, Option<Absence>> = BTreeMap::new();
        let (images, others): (Vec<Unit>, Vec<Unit>) = ready
            .into_iter()
            .partition(|unit| NodeKind::of(&unit.id) == NodeKind::Image);
        // Apart, because an image's snapshots are written with it and on their own.
        for units in [others, images] {
            self.units(units, &mut absences, &mut written).await?;
        }
        self.absences(&absences, &mut written).await?;
        if !written.complete && !self.invocation.has_time() {
            let detail = "this invocation's time is over; the next reconcile writes the rest";
            let reason = Reason::with(ReasonCode::OutOfTime, detail);
            let item = Item::new(Action::Record, FUNCTION, Outcome::Deferred).reason(reason);
            written.items.push(item);
        }
        Ok(written)
    }

    /// Writes the ledger's steps; the keys of those that stand.
    async fn slots(
        &self,
        slots: BTreeMap<SlotKey, SlotChange>,
        written: &mut Written,
    ) -> Result<BTreeSet<SlotKey>, TableError> {
        let mut settled = BTreeSet::new();
        let mut under_way = stream::iter(slots)
            .map(async |(key, change)| {
                let done = self.slot(&change).await;
                (key, change, done)
            })
            .buffer_unordered(AT_ONCE);
        while let Some((key, change, done)) = under_way.next().await {
            match done? {
                Done::Written => {
                    written.items.extend(change.items);
                    settled.insert(key);
                }
                Done::Left => written.complete = false,
                Done::Failed(error) => {
                    written.complete = false;
                    let item = failed(&key.source, &error)
                        .policy(key.policy)
                        .slot(key.slot);
                    written.items.push(item);
                }
            }
        }
        Ok(settled)
    }

    async fn slot(&self, change: &SlotChange) -> Result<Done, TableError> {
        if !self.invocation.has_time() {
            return Ok(Done::Left);
        }
        if let Some(after) = &change.after {
            let wrote = self.records.write_slot(after, Some(&change.before)).await;
            if let Err(error) = wrote {
                return done(error);
            }
        }
        // After the failure is on record: a creating run that finds the source open and its slot
        // still made would close it.
        if let Some((kind, open)) = &change.reopen {
            let function = match kind {
                ArtifactKind::Snapshot => create::SNAPSHOTS,
                ArtifactKind::Image | ArtifactKind::ImageSnapshot => create::IMAGES,
            };
            if let Err(error) = self.records.open(function, open).await {
                return done(error);
            }
        }
        Ok(Done::Written)
    }

    async fn units(
        &self,
        units: Vec<Unit>,
        absences: &mut BTreeMap<String, Option<Absence>>,
        written: &mut Written,
    ) -> Result<(), TableError> {
        let mut under_way = stream::iter(parts(units))
            .map(async |part| self.part(part).await)
            .buffer_unordered(AT_ONCE);
        while let Some(part) = under_way.next().await {
            for (unit, done) in part? {
                match done {
                    Done::Written => {
                        absences.extend(unit.absence.map(|absence| (unit.id, absence)));
                        written.items.extend(unit.items);
                    }
                    Done::Left => written.complete = false,
                    Done::Failed(error) => {
                        written.complete = false;
                        written.items.push(failed(&unit.id, &error));
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes a part at once, or one by one where a single record refuses.
    async fn part(&self, units: Vec<Unit>) -> Result<Vec<(Unit, Done)>, TableError> {
        let all = self.record(&units).await?;
        match all {
            Done::Written => Ok(units.into_iter().map(|u| (u, Done::Written)).collect()),
            Done::Left => Ok(units.into_iter().map(|u| (u, Done::Left)).collect()),
            Done::Failed(_) => {
                let mut each = Vec::with_capacity(units.len());
                for unit in units {
                    let done = self.record(std::slice::from_ref(&unit)).await?;
                    each.push((unit, done));
                }
                Ok(each)
            }
        }
    }

    async fn record(&self, units: &[Unit]) -> Result<Done, TableError> {
        let nodes: Vec<_> = units.iter().flat_map(|u| u.nodes.clone()).collect();
        let edges: Vec<_> = units.iter().flat_map(|u| u.edges.clone()).collect();
        if nodes.is_empty() && edges.is_empty() {
            return Ok(Done::Written);
        }
        if !self.invocation.has_time() {
            return Ok(Done::Left);
        }
        let recorded = match self.held.good_for(CALL_TIMEOUT).await {
            Ok(lease) => self.records.record(&nodes, &edges, &lease).await,
            Err(error) => Err(error),
        };
        recorded.map_or_else(done, |()| Ok(Done::Written))
    }

    async fn absences(
        &self,
        absences: &BTreeMap<String, Option<Absence>>,
        written: &mut Written,
    ) -> Result<(), TableError> {
        if absences.is_empty() {
            return Ok(());
        }
        let set = match self.held.good_for(CALL_TIMEOUT).await {
            Ok(lease) => self.records.set_absences(absences, &lease).await,
            Err(error) => Err(error),
        };
        let Err(error) = set else { return Ok(()) };
        written.complete = false;
        if let Done::Failed(error) = done(error)? {
            written.items.push(failed("absences", &error));
        }
        Ok(())
    }
}

/// What an error means for one part; the error again where it means the end of all.
fn done(error: TableError) -> Result<Done, TableError> {
    match error.kind {
        kind if kind.stops_everything() => Err(error),
        TableErrorKind::Fenced => Ok(Done::Left),
        _ => Ok(Done::Failed(error)),
    }
}

fn failed(id: &str, error: &TableError) -> Item {
    Item::new(Action::Record, id, Outcome::Failed)
        .reason(Reason::with(ReasonCode::TableFailed, error.to_string()))
}

fn parts(units: Vec<Unit>) -> Vec<Vec<Unit>> {
    let mut parts: Vec<Vec<Unit>> = Vec::new();
    let mut nodes = 0;
    for unit in units {
        nodes += unit.nodes.len();
        match parts.last_mut() {
            Some(part) if nodes <= TOGETHER => part.push(unit),
            _ => {
                nodes = unit.nodes.len();
                parts.push(vec![unit]);
            }
        }
    }
    parts
}
