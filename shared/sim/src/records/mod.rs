//! Holdfast's records in memory: the port [`Records`] with the semantics of the DynamoDB table.
//!
//! It exists so that thousands of crashes and interleavings, and `holdfast simulate`, run without
//! HTTP. A test applies random sequences of operations to this and to the real table over an
//! embedded DynamoDB and compares every answer. Two things the table has are not here: records of
//! another schema version, because nothing but this version writes here, and expiry, because what
//! expires is older than any decision looks back.

mod contents;
mod deletion;
mod graph;
mod lease;
mod ledger;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use holdfast_core::lineage::{Edge, Node, NodeState, SlotRecord};
use holdfast_core::plan::settle::{Retired, TrippedPlan};
use holdfast_core::ports::records::{
    Absence, Acquired, Begun, Census, Deletion, DeletionState, Head, Lease, Ledger, OpenSource,
    Readable, Records, Relations, RunRecord, TableError, TableErrorKind,
};
use jiff::{SignedDuration, Timestamp};

pub use contents::{
    Contents, DeletionRecord, Fenced, FunctionRecord, LeaseRecord, NodeRecord, TrippedRecord,
};

/// Name of the table in errors.
const NAME: &str = "in memory";

#[derive(Clone, Debug, Default)]
struct State {
    contents: Contents,
    /// The wall clock, where it is not the machine's.
    wall: Option<Timestamp>,
}

/// Records in memory. A clone is another handle on the same records.
#[derive(Clone, Debug, Default)]
pub struct InMemoryRecords {
    state: Arc<Mutex<State>>,
}

impl InMemoryRecords {
    /// Empty records.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Records of their own that hold the same as these do now.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            state: Arc::new(Mutex::new(self.state().clone())),
        }
    }

    /// Everything recorded.
    #[must_use]
    pub fn contents(&self) -> Contents {
        self.state().contents.clone()
    }

    /// Lets every lease run out, as a minute without its holder does. A holder that comes back
    /// may still renew one that nobody has taken since.
    pub fn expire_leases(&self) {
        for lease in self.state().contents.leases.values_mut() {
            lease.expires = Timestamp::UNIX_EPOCH;
        }
    }

    /// Lets time pass on the wall clock: everything recorded by it lies that much further back. What
    /// is recorded by a run's `now` stays where it is.
    pub fn let_pass(&self, time: SignedDuration) {
        self.state().contents.let_pass(time);
    }

    /// Sets the wall clock by which a function's record is believed or doubted; `None` is the
    /// machine's. Every other operation is told its time.
    pub fn set_wall(&self, wall: Option<Timestamp>) {
        self.state().wall = wall;
    }

    /// The lock is never held over an `await`, and no operation panics half-way.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wall(&self) -> Timestamp {
        self.wall.unwrap_or_else(Timestamp::now)
    }
}

fn failure(operation: &'static str, record: &str, kind: TableErrorKind) -> TableError {
    TableError {
        operation,
        table: NAME.to_owned(),
        record: record.to_owned(),
        kind,
        message: "a newer run wrote it meanwhile".to_owned(),
    }
}

fn fenced(operation: &'static str, record: &str) -> TableError {
    failure(operation, record, TableErrorKind::Fenced)
}

impl Records for InMemoryRecords {
    async fn begin(&self, function: &str, now: Timestamp) -> Result<Begun, TableError> {
        let mut state = self.state();
        let wall = state.wall();
        Ok(ledger::begin(&mut state.contents, function, now, wall))
    }

    async fn begun(&self, function: &str) -> Result<Begun, TableError> {
        let state = self.state();
        Ok(ledger::begun(&state.contents, function, state.wall()))
    }

    async fn acquire(
        &self,
        name: &str,
        holder: &str,
        wall: Timestamp,
    ) -> Result<Acquired, TableError> {
        let contents = &mut self.state().contents;
        Ok(lease::acquire(contents, name, holder, wall))
    }

    async fn renew(&self, lease: &Lease, wall: Timestamp) -> Result<Lease, TableError> {
        lease::renew(&mut self.state().contents, lease, wall)
    }

    async fn release(&self, lease: &Lease) -> Result<(), TableError> {
        lease::release(&mut self.state().contents, lease);
        Ok(())
    }

    async fn set_head(
        &self,
        function: &str,
        policy: &str,
        head: &Head,
        lease: &Lease,
    ) -> Result<(), TableError> {
        let mut state = self.state();
        let wall = state.wall();
        ledger::set_head(&mut state.contents, function, policy, head, lease, wall)
    }

    async fn open_sources(&self, function: &str) -> Result<Readable<Vec<OpenSource>>, TableError> {
        Ok(Readable {
            read: ledger::open_sources(&self.state().contents, function),
            unreadable: Vec::new(),
        })
    }

    async fn open(&self, function: &str, source: &OpenSource) -> Result<(), TableError> {
        ledger::open(&mut self.state().contents, function, source);
        Ok(())
    }

    async fn close(&self, function: &str, source: &OpenSource) -> Result<(), TableError> {
        ledger::close(&mut self.state().contents, function, source);
        Ok(())
    }

    async fn slots(
        &self,
        policy: &str,
        slot: Timestamp,
        request: Option<&str>,
        sources: &[String],
    ) -> Result<BTreeMap<String, SlotRecord>, TableError> {
        let contents = &self.state().contents;
        Ok(ledger::slots(contents, policy, slot, request, sources))
    }

    async fn newest_made(
        &self,
        policy: &str,
        sources: &[String],
    ) -> Result<BTreeMap<String, Timestamp>, TableError> {
        Ok(ledger::newest_made(&self.state().contents, policy, sources))
    }

    async fn bakes(
        &self,
        policy: &str,
        source: &str,
        since: Timestamp,
    ) -> Result<Vec<SlotRecord>, TableError> {
        Ok(ledger::bakes(&self.state().contents, policy, source, since))
    }

    async fn write_slot(
        &self,
        record: &SlotRecord,
        before: Option<&SlotRecord>,
    ) -> Result<(), TableError> {
        ledger::write_slot(&mut self.state().contents, record, before)
    }

    async fn record(
        &self,
        nodes: &[Node],
        edges: &[Edge],
        lease: &Lease,
    ) -> Result<(), TableError> {
        graph::record(&mut self.state().contents, nodes, edges, lease)
    }

    async fn start_run(&self, run: &RunRecord) -> Result<RunRecord, TableError> {
        Ok(ledger::start_run(&mut self.state().contents, run))
    }

    async fn run(&self, function: &str, id: &str) -> Result<Option<RunRecord>, TableError> {
        Ok(ledger::run(&self.state().contents, function, id))
    }

    async fn ledger(&self, since: Timestamp) -> Result<Readable<Ledger>, TableError> {
        Ok(Readable {
            read: self.state().contents.ledger().since(since),
            unreadable: Vec::new(),
        })
    }

    async fn pins(&self) -> Result<BTreeSet<String>, TableError> {
        Ok(graph::pins(&self.state().contents))
    }

    async fn pin(&self, sources: &[String], lease: Option<&Lease>) -> Result<(), TableError> {
        graph::pin(&mut self.state().contents, sources, lease);
        Ok(())
    }

    async fn unpin(&self, sources: &[String], lease: &Lease) -> Result<(), TableError> {
        graph::unpin(&mut self.state().contents, sources, lease);
        Ok(())
    }

    async fn condemned(
        &self,
        resources: &[String],
    ) -> Result<BTreeMap<String, Timestamp>, TableError> {
        Ok(deletion::condemned(&self.state().contents, resources))
    }

    async fn set_condemned(
        &self,
        resources: &[String],
        since: Option<Timestamp>,
        lease: &Lease,
    ) -> Result<(), TableError> {
        deletion::set_condemned(&mut self.state().contents, resources, since, lease)
    }

    async fn waiting_orphans(&self) -> Result<BTreeSet<String>, TableError> {
        Ok(deletion::waiting_orphans(&self.state().contents))
    }

    async fn set_waiting_orphans(
        &self,
        snapshots: &[String],
        waits: bool,
        lease: &Lease,
    ) -> Result<(), TableError> {
        let contents = &mut self.state().contents;
        deletion::set_waiting_orphans(contents, snapshots, waits, lease)
    }

    async fn retired(
        &self,
        policy: &str,
        since: Timestamp,
        wall: Timestamp,
    ) -> Result<Vec<Retired>, TableError> {
        Ok(deletion::retired(
            &self.state().contents,
            policy,
            since,
            wall,
        ))
    }

    async fn intend_deletion(&self, deletion: &Deletion, lease: &Lease) -> Result<(), TableError> {
        deletion::intend(&mut self.state().contents, deletion, lease)
    }

    async fn end_deletion(
        &self,
        deletion: &Deletion,
        refused: Option<&str>,
        lease: &Lease,
    ) -> Result<(), TableError> {
        deletion::end(&mut self.state().contents, deletion, refused, lease)
    }

    async fn put_deletion_aside(
        &self,
        deletion: &Deletion,
        lease: &Lease,
    ) -> Result<(), TableError> {
        deletion::set_aside(&mut self.state().contents, deletion, lease)
    }

    async fn save_tripped(
        &self,
        plan_hash: &str,
        plan: &TrippedPlan,
        wall: Timestamp,
        lease: &Lease,
    ) -> Result<(), TableError> {
        let contents = &mut self.state().contents;
        deletion::save_tripped(contents, plan_hash, plan, wall, lease)
    }

    async fn tripped(
        &self,
        plan_hash: &str,
        wall: Timestamp,
        take: bool,
    ) -> Result<Option<TrippedPlan>, TableError> {
        let contents = &mut self.state().contents;
        Ok(deletion::tripped(contents, plan_hash, wall, take))
    }

    async fn proofs(&self, resource: &str) -> Result<Vec<(Deletion, DeletionState)>, TableError> {
        Ok(deletion::proofs(&self.state().contents, resource))
    }

    async fn deletions(
        &self,
        resources: &[String],
    ) -> Result<BTreeMap<String, (Deletion, DeletionState)>, TableError> {
        Ok(deletion::deletions(&self.state().contents, resources))
    }

    async fn census(&self) -> Result<Option<Census>, TableError> {
        Ok(deletion::census(&self.state().contents))
    }

    async fn save_census(&self, census: &Census, lease: Option<&Lease>) -> Result<(), TableError> {
        deletion::save_census(&mut self.state().contents, census, lease)
    }

    async fn roster(&self) -> Result<BTreeMap<String, NodeState>, TableError> {
        Ok(graph::roster(&self.state().contents))
    }

    async fn nodes(&self, ids: &[String]) -> Result<BTreeMap<String, Node>, TableError> {
        Ok(graph::nodes(&self.state().contents, ids))
    }

    async fn edges(&self, edges: &[Edge]) -> Result<BTreeSet<Edge>, TableError> {
        Ok(graph::edges(&self.state().contents, edges))
    }

    async fn absences(&self) -> Result<BTreeMap<String, Absence>, TableError> {
        Ok(deletion::absences(&self.state().contents))
    }

    async fn set_absences(
        &self,
        changes: &BTreeMap<String, Option<Absence>>,
        lease: &Lease,
    ) -> Result<(), TableError> {
        deletion::set_absences(&mut self.state().contents, changes, lease)
    }

    async fn relations(&self, id: &str) -> Result<Relations, TableError> {
        Ok(graph::relations(&self.state().contents, id))
    }
}
