//! One operation of the port, as plain data, and what a store answers to it.

use std::collections::BTreeMap;

use holdfast_core::lineage::{Edge, Node, SlotRecord};
use holdfast_core::plan::settle::TrippedPlan;
use holdfast_core::ports::records::{
    Absence, Census, Deletion, Head, Lease, OpenSource, Records, RunRecord, TableError,
};
use jiff::Timestamp;

/// What a slot is said to have been before it is written.
#[derive(Clone, Debug)]
pub enum Before {
    /// Nothing.
    Nothing,
    /// What stands there.
    Standing,
    /// This.
    Record(Box<SlotRecord>),
}

#[derive(Clone, Debug)]
pub enum Operation {
    Begin(Timestamp),
    Begun,
    Acquire(String, String, Timestamp),
    Renew(Lease, Timestamp),
    Release(Lease),
    SetHead(String, Head, Lease),
    OpenSources,
    Open(OpenSource),
    Close(OpenSource),
    Slots(Timestamp, Option<String>),
    NewestMade,
    Bakes(Timestamp),
    WriteSlot(Box<SlotRecord>, Before),
    Record(Vec<Node>, Vec<Edge>, Lease),
    StartRun(RunRecord),
    Run(String),
    Ledger(Timestamp),
    Pins,
    Pin(Vec<String>, Option<Lease>),
    Unpin(Vec<String>, Lease),
    Condemned(Vec<String>),
    SetCondemned(Vec<String>, Option<Timestamp>, Lease),
    WaitingOrphans,
    SetWaitingOrphans(Vec<String>, bool, Lease),
    Retired(String, Timestamp, Timestamp),
    IntendDeletion(Deletion, Lease),
    EndDeletion(Deletion, Option<String>, Lease),
    PutDeletionAside(Deletion, Lease),
    SaveTripped(String, TrippedPlan, Timestamp, Lease),
    Tripped(String, Timestamp, bool),
    Proofs(String),
    Deletions(Vec<String>),
    Census,
    SaveCensus(Census, Option<Lease>),
    Roster,
    Nodes(Vec<String>),
    Edges(Vec<Edge>),
    Absences,
    SetAbsences(BTreeMap<String, Option<Absence>>, Lease),
    Relations(String),
}

pub const FUNCTION: &str = "sweep-retention";
pub const POLICY: &str = "nightly";
pub const SOURCES: [&str; 2] = ["vol-01", "i-02"];

/// An answer in words: the value, or the kind of the error, whose words are each store's own.
fn words<T: std::fmt::Debug>(answer: Result<T, TableError>) -> String {
    match answer {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("{:?}", error.kind),
    }
}

impl Operation {
    /// What a store answers.
    pub async fn answer<R: Records>(&self, records: &R) -> String {
        match self {
            Self::Begin(now) => begun(records.begin(FUNCTION, *now).await),
            Self::Begun => begun(records.begun(FUNCTION).await),
            Self::Acquire(name, holder, wall) => words(records.acquire(name, holder, *wall).await),
            Self::Renew(lease, wall) => words(records.renew(lease, *wall).await),
            Self::Release(lease) => words(records.release(lease).await),
            Self::SetHead(policy, head, lease) => {
                words(records.set_head(FUNCTION, policy, head, lease).await)
            }
            Self::OpenSources => words(records.open_sources(FUNCTION).await.map(|open| open.read)),
            Self::Open(source) => words(records.open(FUNCTION, source).await),
            Self::Close(source) => words(records.close(FUNCTION, source).await),
            Self::Slots(slot, request) => {
                let sources = SOURCES.map(str::to_owned);
                let request = request.as_deref();
                words(records.slots(POLICY, *slot, request, &sources).await)
            }
            Self::NewestMade => {
                let sources = SOURCES.map(str::to_owned);
                words(records.newest_made(POLICY, &sources).await)
            }
            Self::Bakes(since) => {
                let bakes = SOURCES.map(|source| records.bakes(POLICY, source, *since));
                let [first, second] = bakes;
                format!("{} {}", words(first.await), words(second.await))
            }
            Self::WriteSlot(record, before) => words(write_slot(records, record, before).await),
            Self::Record(nodes, edges, lease) => words(records.record(nodes, edges, lease).await),
            Self::StartRun(run) => words(records.start_run(run).await),
            Self::Run(id) => words(records.run(FUNCTION, id).await),
            Self::Ledger(since) => words(records.ledger(*since).await.map(|all| all.read)),
            Self::Pins => words(records.pins().await),
            Self::Pin(sources, lease) => words(records.pin(sources, lease.as_ref()).await),
            Self::Unpin(sources, lease) => words(records.unpin(sources, lease).await),
            Self::Condemned(ids) => words(records.condemned(ids).await),
            Self::SetCondemned(ids, since, lease) => {
                words(records.set_condemned(ids, *since, lease).await)
            }
            Self::WaitingOrphans => words(records.waiting_orphans().await),
            Self::SetWaitingOrphans(ids, waits, lease) => {
                words(records.set_waiting_orphans(ids, *waits, lease).await)
            }
            Self::Retired(policy, since, wall) => {
                words(records.retired(policy, *since, *wall).await)
            }
            Self::IntendDeletion(deletion, lease) => {
                words(records.intend_deletion(deletion, lease).await)
            }
            Self::EndDeletion(deletion, refused, lease) => {
                let refused = refused.as_deref();
                words(records.end_deletion(deletion, refused, lease).await)
            }
            Self::PutDeletionAside(deletion, lease) => {
                words(records.put_deletion_aside(deletion, lease).await)
            }
            Self::SaveTripped(hash, plan, wall, lease) => {
                words(records.save_tripped(hash, plan, *wall, lease).await)
            }
            Self::Tripped(hash, wall, take) => words(records.tripped(hash, *wall, *take).await),
            Self::Proofs(id) => words(records.proofs(id).await),
            Self::Deletions(ids) => words(records.deletions(ids).await),
            Self::Census => words(records.census().await),
            Self::SaveCensus(census, lease) => {
                words(records.save_census(census, lease.as_ref()).await)
            }
            Self::Roster => words(records.roster().await),
            Self::Nodes(ids) => words(records.nodes(ids).await),
            Self::Edges(edges) => words(records.edges(edges).await),
            Self::Absences => words(records.absences().await),
            Self::SetAbsences(changes, lease) => words(records.set_absences(changes, lease).await),
            Self::Relations(id) => words(records.relations(id).await),
        }
    }
}

/// The doubts are told in no order.
fn begun(answer: Result<holdfast_core::ports::records::Begun, TableError>) -> String {
    words(answer.map(|mut begun| {
        begun.doubts.sort();
        begun
    }))
}

async fn write_slot<R: Records>(
    records: &R,
    record: &SlotRecord,
    before: &Before,
) -> Result<(), TableError> {
    let before = match before {
        Before::Nothing => None,
        Before::Record(before) => Some((**before).clone()),
        Before::Standing => {
            let source = std::slice::from_ref(&record.source);
            let request = record.request.as_deref();
            let slots = records.slots(&record.policy, record.slot, request, source);
            slots.await?.remove(&record.source)
        }
    };
    records.write_slot(record, before.as_ref()).await
}
