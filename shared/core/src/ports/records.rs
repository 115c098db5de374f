//! The port to Holdfast's own records: lineage graph, run ledger, leases.
//!
//! Every read that a decision rests on is strongly consistent; every write carries the fencing
//! token of the lease under which it is made, where there is one.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use jiff::{SignedDuration, Timestamp};

use crate::lineage::{Edge, Node, NodeState, SlotRecord};
use crate::plan::governed::Governed;
use crate::plan::settle::{Retired, TrippedPlan};
use crate::policy::Trigger;

pub use super::ledger::Ledger;
pub use super::table_error::{TableError, TableErrorKind};

/// For how long a lease is valid after it was taken or renewed, on the wall clock.
pub const LEASE_TIME: SignedDuration = SignedDuration::from_mins(1);

/// How many of a source's records [`Records::newest_made`] looks at.
pub const LOOKED_BACK: usize = 16;

/// How far ahead of one's own clock the deletions of a run whose clock was ahead are looked for. A
/// clock that was further ahead trips the breaker when the next sweep counts.
pub const COUNTS_AHEAD: SignedDuration = SignedDuration::from_mins(10);

/// A lease that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What it is for.
    pub name: String,
    /// Who holds it: unique to the run.
    pub holder: String,
    /// Grows with every change of holder.
    pub fence: u64,
    /// When it ends, on the wall clock.
    pub expires: Timestamp,
}

/// What came of asking for a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// It is ours.
    Held(Lease),
    /// Another holds it until then.
    Busy {
        /// When it ends unless it is renewed, on the wall clock.
        until: Timestamp,
    },
}

/// How far a policy's newest slot has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The newest slot that was started.
    pub slot: Timestamp,
    /// Whether nothing of it is left to do.
    pub complete: bool,
    /// Whether it is the policy's first, for which nothing was promised: it is made whenever it is
    /// first seen, and may take more than one run.
    pub first: bool,
}

/// What the ledger knows of a function when it wakes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Begun {
    /// The highest `now` seen before.
    pub highest: Option<Timestamp>,
    /// The policies' newest slots.
    pub heads: BTreeMap<String, Head>,
    /// What is on record with a time in the future, and so not believed; in words.
    pub doubts: Vec<String>,
}

/// An on-demand or event-triggered run, by its identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRecord {
    /// The function.
    pub function: String,
    /// The identifier that makes a repeated request the same run.
    pub id: String,
    /// The policy.
    pub policy: String,
    /// The slot of this run.
    pub slot: Timestamp,
    /// When it was first asked for, on the wall clock.
    pub started: Timestamp,
    /// The sources that it was restricted to.
    pub resources: Option<Vec<String>>,
}

/// What could be read, and an error for each record that could not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readable<T> {
    /// What was read.
    pub read: T,
    /// Records that this version cannot read, each under the name by which it was asked for.
    pub unreadable: Vec<(String, TableError)>,
}

/// A source that a heartbeat has to finish although its slot is no longer due: an event left it
/// over, or EC2 failed its backup after it was started.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpenSource {
    /// The policy.
    pub policy: String,
    /// The slot of the run.
    pub slot: Timestamp,
    /// What the call names.
    pub source: String,
    /// The on-demand request, where it was one.
    pub request: Option<String>,
    /// The trigger of the event that left it over.
    pub trigger: Option<Trigger>,
    /// How often EC2 has failed its backup; zero where an event or a request left it over. A newer
    /// failure opens the same source anew, and closing an older opening leaves that one.
    pub failures: u32,
}

/// A deletion, from its intent to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// What goes.
    pub resource: String,
    /// The policy that lets it go.
    pub policy: String,
    /// The AMI that it backs, for a snapshot that goes with one.
    pub image: Option<String>,
    /// Further AMIs that it backs or backed: this intent may have taken the place of theirs, and one of
    /// them may be gone by it while `image` stands.
    pub other_images: BTreeSet<String>,
    /// Whether it was a backup that counted, or stands for one: a snapshot of each AMI that somebody
    /// else deregistered does.
    pub good: bool,
    /// The point in time it held.
    pub time: Timestamp,
    /// The run.
    pub run: String,
    /// Why, and on which evidence, as JSON for people.
    pub evidence: String,
    /// When the intent was recorded, on the wall clock.
    pub at: Timestamp,
    /// How often the call was sent before, without success.
    pub tries: u32,
    /// Why it was not carried out when the call was last due: EC2's code and words, or the sweep's.
    pub refused: Option<String>,
}

/// How a recorded deletion ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeletionState {
    /// The call was about to be sent; its end was not heard of.
    Intended,
    /// It is gone.
    Deleted,
    /// EC2 refused.
    Refused,
}

/// Since when a resource is missing from complete lists, by reconciles' `now`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absence {
    /// The first reconcile that missed it.
    pub first: Timestamp,
    /// The first one that missed it long enough after that.
    pub confirmed: Option<Timestamp>,
}

/// What a sweep counted, for the next one to compare itself with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Census {
    /// The sweep's `now`.
    pub now: Timestamp,
    /// The wall clock at that sweep.
    pub wall: Timestamp,
    /// How much each source listed, by the source's name in reports.
    pub listed: BTreeMap<String, u64>,
    /// How many sources each policy picked.
    pub picked: BTreeMap<String, u64>,
    /// What a request accepted for single policies, by name, while the figures above wait for
    /// another policy's release.
    pub accepted: BTreeMap<String, Accepted>,
    /// Since when each policy governs, by name; none in records from before it was noted.
    pub governed: Option<BTreeMap<String, Governed>>,
    /// The artifact that the last sweep's time did not suffice for; the next one begins there.
    pub resume_at: Option<String>,
}

/// The figures that one policy's release accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The wall clock.
    pub wall: Timestamp,
    /// How much each source listed.
    pub listed: BTreeMap<String, u64>,
}

/// The lineage of one resource as recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Relations {
    /// The resource itself, where recorded.
    pub node: Option<Node>,
    /// Edges from it and to it.
    pub edges: BTreeSet<Edge>,
}

/// Holdfast's records.
pub trait Records: Send + Sync {
    /// Records that `function` woke for `now` and says what was known before; a lower `now` than
    /// the highest leaves that as it is.
    fn begin(
        &self,
        function: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<Begun, TableError>> + Send;

    /// What [`Self::begin`] would say, without recording anything.
    fn begun(&self, function: &str) -> impl Future<Output = Result<Begun, TableError>> + Send;

    /// Takes the lease `name` until [`LEASE_TIME`] after `wall`.
    fn acquire(
        &self,
        name: &str,
        holder: &str,
        wall: Timestamp,
    ) -> impl Future<Output = Result<Acquired, TableError>> + Send;

    /// Extends a lease; [`TableErrorKind::Fenced`] when it has passed to another.
    fn renew(
        &self,
        lease: &Lease,
        wall: Timestamp,
    ) -> impl Future<Output = Result<Lease, TableError>> + Send;

    /// Gives a lease back; one that has passed to another is left alone.
    fn release(&self, lease: &Lease) -> impl Future<Output = Result<(), TableError>> + Send;

    /// Sets a policy's newest slot; an older one than recorded is left as it is.
    fn set_head(
        &self,
        function: &str,
        policy: &str,
        head: &Head,
        lease: &Lease,
    ) -> impl Future<Output = Result<(), TableError>> + Send;

    /// The sources of event-triggered runs that are left to heartbeats.
    fn open_sources(
        &self,
        function: &str,
    ) -> impl Future<Output = Result<Readable<Vec<OpenSource>>, TableError>> + Send;

    /// Leaves a source to the heartbeats. Repeating it changes nothing, and it is written before
    /// any lease is asked for, so that a run that never gets one is not forgotten. One that EC2 has
    /// failed since stays as it is.
    fn open(
        &self,
        function: &str,
        source: &OpenSource,
    ) -> impl Future<Output = Result<(), TableError>> + Send;

    /// Takes a source from the heartbeats again, unless EC2 has failed it since.
    fn close(
        &self,
        function: &str,
        source: &OpenSource,
    ) -> impl Future<Output = Result<(), TableError>> + Send;

    /// The ledger's records of these sources for one slot, or for one request.
    fn slots(
        &self,
        policy: &str,
        slot: Timestamp,
        request: Option<&str>,
        sources: &[String],
    ) -> impl Future<Output = Result<BTreeMap<String, SlotRecord>, TableError>> + Send;

    /// When the newest backup of each of these sources that the ledger knows to be made was asked
    /// for, on the wall clock, looking at each one's [`LOOKED_BACK`] newest records; none of those
    /// without. It decides whose turn is first and nothing else, so it may be a moment behind.
    fn newest_made(
        &self,
        policy: &str,
        sources: &[String],
    ) -> impl Future<Output = Result<BTreeMap<String, Timestamp>, TableError>> + Send;

    /// The ledger's records of what events asked for of one source, with slots from `since` on,
    /// oldest first.
    fn bakes(
        &self,
        policy: &str,
        source: &str,
        since: Timestamp,
    ) -> impl Future<Output = Result<Vec<SlotRecord>, TableError>> + Send;

    /// Writes a record if it still is what `before` was and no newer lease wrote it;
    /// [`TableErrorKind::Fenced`] otherwise.
    fn write_slot(
        &self,
        record: &SlotRecord,
        before: Option<&SlotRecord>,
    ) -> impl Future<Output = Result<(), TableError>> + Send;

    /// Writes nodes and edges, both directions; repeating it changes nothing.
    fn record(
        &self,
        nodes: &[Node],
        edges: &[Edge],
        lease: &Lease,
    ) -> impl Future<Output = Result<(), TableError>> + Send;

    /// Records a run, or says what the run of that identifier was.
    fn start_run(
        &self,
        run: &RunRecord,
    ) -> impl Future<Output = Result<RunRecord, TableError>> + Send;

    /// The recorded run of an identifier.
    fn run(
        &self,
        function: &str,
        id: &str,
    ) -> impl Future<Output = Result<Option<RunRecord>, TableError>> + Send;

    /// What the ledger holds from `since` on. It reads the whole table, page by page: for a person who
    /// asks, never for a function.
    fn ledger(
        &self,
        since: Timestamp,
    ) -> impl Future<Output = Result<Readable<Ledger>, TableError>> + Send;

    /// Sources recorded as pinned.
    fn pins(&self) -> impl Future<Output = Result<BTreeSet<String>, TableError>> + Send;

    /// Records sources as pinned, so that a pin outlives its source. It can only keep backups, so
    /// it needs no lease.
    fn pin(
        &self,
        sources: &[String],
        lease: Option<&Lease>,
    ) -> impl Future<Output = Result<(), TableError>> + Send;

    /// Records that sources are no longer pinned, unless a newer run recorded that they are.
    fn unpin(
        &self,
        sources: &[String],
        lease: &Lease,
    ) -> impl Future<Output = Result<(), TableError>> + Send;

    /// When these artifacts were first condemned.
    fn condemned(
        &self,
        resources: &[String],
    ) -> impl Future<Output = Result<BTreeMap<String, Timestamp>, TableError>> + Send;

    /// Records that artifacts are condemned since `since`, or (`None`) free again.
    fn set_condemned(
        &self,
        resources: &[String],
        since: Option<Timestamp>,
        lease: &Lease,
    ) -> impl Future<Output = Result<(), TableError>> + Send;

    /// That of which [`Self::set_waiting_orphans`] said that it waits.
    fn waiting_orphans(&self) -> impl Future<Output = Result<BTreeSet<String>, TableError>> + Send;

    /// Records that what is marked by [`Self::set_condemned`] waits, or (`waits` false) that it does
    /// so no more. Said before it is marked, it finds the marks of snapshots whose AMI came back, and
    /// of what is gone.
    fn set_waiting_orphans(
        &self,
        snapshots: &[String],
        waits: bool,
        lease: &Lease,
    ) -> impl Future<Output = Result<(), TableError>> + Send;

    /// Deletions of good backups of a policy since `since`, on the wall clock.
    fn retired(
        &self,
        policy: &str,
        since: Timestamp,
        wall: Timestamp,
    ) -> impl Future<Output = Result<Vec<Retired>, TableError>> + Send;

    /// Records the intent to delete, before the call; again after a call that EC2 refused and that
    /// is to be tried again, with the words. The proof of an earlier deletion of the same resource,
    /// which the Recycle Bin gave back, stays on record beside it.
    fn intend_deletion(
        &self,
        deletion: &Deletion,
        lease: &Lease,
    ) -> impl Future<Output = Result<(), TableError>> + Send;

    /// Records how a deletion ended: gone, or (with the words, which take the place of
    /// [`Deletion::refused`]) not.
    fn end_deletion(
        &self,
        deletion: &Deletion,
        refused: Option<&str>,
        lease: &Lease,
    ) -> impl Future<Output = Result<(), TableError>> + Send;

    /// Puts the proof of a deletion aside, because what it deleted came back: [`Self::deletions`] no
    /// longer tells it, [`Self::proofs`] does. Only where that very deletion, carried out, still is
    /// the newest one on record; otherwise, and when repeated, it changes nothing.
    fn put_deletion_aside(
        &self,
        deletion: &Deletion,
        lease: &Lease,
    ) -> impl Future<Output = Result<(), TableError>> + Send;

    /// Stores what tripped breakers hold, and why, under its hash.
    fn save_tripped(
        &self,
        plan_hash: &str,
        plan: &TrippedPlan,
        wall: Timestamp,
        lease: &Lease,
    ) -> impl Future<Output = Result<(), TableError>> + Send;

    /// The plan stored under a hash within the last 24 hours, unless its release is used up; with
    /// `take` it is from now on. One that an earlier version stored names no comparison.
    fn tripped(
        &self,
        plan_hash: &str,
        wall: Timestamp,
        take: bool,
    ) -> impl Future<Output = Result<Option<TrippedPlan>, TableError>> + Send;

    /// Every deletion of a resource on record, the newest first: more than one where the Recycle Bin
    /// gave it back, those that [`Self::put_deletion_aside`] put aside included.
    fn proofs(
        &self,
        resource: &str,
    ) -> impl Future<Output = Result<Vec<(Deletion, DeletionState)>, TableError>> + Send;

    /// What is recorded of the newest deletions of these resources; nothing of one that was put aside.
    fn deletions(
        &self,
        resources: &[String],
    ) -> impl Future<Output = Result<BTreeMap<String, (Deletion, DeletionState)>, TableError>> + Send;

    /// What the last sweep counted.
    fn census(&self) -> impl Future<Output = Result<Option<Census>, TableError>> + Send;

    /// Replaces what the last sweep counted. It can only hold deletions back, so a sweep that only
    /// plans writes it without a lease.
    fn save_census(
        &self,
        census: &Census,
        lease: Option<&Lease>,
    ) -> impl Future<Output = Result<(), TableError>> + Send;

    /// Every artifact that the lineage says exists, with its state. Kept by [`Self::record`] and
    /// [`Self::end_deletion`]: an artifact recorded as deleted or gone is off the roster.
    fn roster(
        &self,
    ) -> impl Future<Output = Result<BTreeMap<String, NodeState>, TableError>> + Send;

    /// The recorded nodes of these resources.
    fn nodes(
        &self,
        ids: &[String],
    ) -> impl Future<Output = Result<BTreeMap<String, Node>, TableError>> + Send;

    /// Which of these edges are on record, seen from both ends.
    fn edges(
        &self,
        edges: &[Edge],
    ) -> impl Future<Output = Result<BTreeSet<Edge>, TableError>> + Send;

    /// Resources that reconciles miss.
    fn absences(
        &self,
    ) -> impl Future<Output = Result<BTreeMap<String, Absence>, TableError>> + Send;

    /// Sets (`Some`) or forgets (`None`) absences.
    fn set_absences(
        &self,
        changes: &BTreeMap<String, Option<Absence>>,
        lease: &Lease,
    ) -> impl Future<Output = Result<(), TableError>> + Send;

    /// Everything recorded about one resource.
    fn relations(&self, id: &str) -> impl Future<Output = Result<Relations, TableError>> + Send;
}
