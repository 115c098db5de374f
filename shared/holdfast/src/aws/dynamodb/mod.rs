//! Holdfast's records in one DynamoDB table.
//!
//! | partition key | sort key | record |
//! |---|---|---|
//! | `node#ID` | `node` | a resource of the lineage graph |
//! | `node#FROM` | `out#KIND#TO` | an edge, seen from the dependent one |
//! | `node#TO` | `in#KIND#FROM` | the same edge, seen from the other end |
//! | `slot#POLICY#SOURCE` | `SLOT`, `SLOT#REQUEST` | ledger: one creation |
//! | `slot#POLICY#SOURCE#bakes` | `bakes` | ledger: which of a source's slots are of events |
//! | `head#FUNCTION` | `head` | ledger: highest `now`, newest slot of each policy |
//! | `open#FUNCTION` | `POLICY#SOURCE#SLOT` | ledger: a source left over by an event, or reopened |
//! | `run#FUNCTION#ID` | `run` | ledger: an on-demand run |
//! | `lease#NAME` | `lease` | who may work now |
//! | `delete#ID` | `mark` | condemned since |
//! | `delete#ID` | `deletion` | intent, evidence and end of the newest deletion |
//! | `delete#ID` | `deletion#AT` | the same of an earlier one: it came back, and was deleted again |
//! | `delete#orphans` | snapshot | marked as left of an AMI that somebody else deregistered |
//! | `retired#POLICY#DAY` | `TIME#ID` | deletions of one UTC day, for the breaker |
//! | `tripped#HASH` | `tripped` | what a tripped breaker held, and why |
//! | `pins` | source | sources that are pinned |
//! | `roster#SHARD` | artifact | artifacts that the graph says exist, with their state |
//! | `census` | `census` | what the last sweep counted |
//! | `absent` | resource | since when reconciles miss it |
//!
//! Both directions of the graph are base-table reads, always strongly consistent: no index is
//! ever asked. The first word of the partition key is what `dynamodb:LeadingKeys` limits per role.

mod attribute;
mod bakes;
mod census;
mod deletion;
mod graph;
mod history;
mod lease;
mod ledger;
mod newest;
mod read;
mod roster;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use holdfast_core::lineage::{Edge, Node, NodeState, SlotRecord};
use holdfast_core::plan::settle::{Retired, TrippedPlan};
use holdfast_core::ports::records::{
    Absence, Acquired, Begun, Census, Deletion, DeletionState, Head, Lease, Ledger, OpenSource,
    Readable, Records, Relations, RunRecord, TableError, TableErrorKind,
};
use jiff::Timestamp;

use attribute::Item;

use crate::aws::answers::Watch;
use crate::aws::chain;

/// Version of the records' format; a record of a higher one is refused and never overwritten.
const SCHEMA: i64 = 1;
/// That what is overwritten or removed is none of another version's records.
const THIS_SCHEMA: &str = "(attribute_not_exists(pk) OR #schema = :schema)";

/// The table of one deployment.
#[derive(Clone, Debug)]
pub struct Table {
    client: Client,
    name: String,
}

impl Table {
    /// The table `name`, with the SDK's configuration.
    pub fn new(config: &SdkConfig, name: impl Into<String>) -> Self {
        Self {
            client: Client::from_conf(Builder::from(config).interceptor(Watch("DynamoDB")).build()),
            name: name.into(),
        }
    }

    fn error<E>(
        &self,
        operation: &'static str,
        record: &str,
        error: &SdkError<E, HttpResponse>,
    ) -> TableError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let kind = match (error, error.code()) {
            (_, Some("ResourceNotFoundException")) => TableErrorKind::Missing,
            (
                _,
                Some(
                    "AccessDeniedException"
                    | "UnrecognizedClientException"
                    | "InvalidSignatureException"
                    | "MissingAuthenticationToken"
                    | "ExpiredTokenException"
                    | "IncompleteSignature",
                ),
            ) => TableErrorKind::Denied,
            (
                _,
                Some(
                    "ProvisionedThroughputExceededException"
                    | "ThrottlingException"
                    | "RequestLimitExceeded"
                    | "TransactionInProgressException"
                    | "InternalServerError",
                ),
            ) => TableErrorKind::Unavailable,
            (SdkError::ServiceError(service), _) if service.raw().status().as_u16() < 500 => {
                TableErrorKind::Refused
            }
            (SdkError::ConstructionFailure(_), _) => TableErrorKind::Refused,
            _ => TableErrorKind::Unavailable,
        };
        let message = match error.message() {
            Some(message) => message.to_owned(),
            None => chain(error),
        };
        self.failure(operation, record, kind, message)
    }

    fn failure(
        &self,
        operation: &'static str,
        record: &str,
        kind: TableErrorKind,
        message: impl Into<String>,
    ) -> TableError {
        TableError {
            operation,
            table: self.name.clone(),
            record: record.to_owned(),
            kind,
            message: message.into(),
        }
    }

    /// What a failed condition means, told by the record that stood in the way.
    fn fenced(&self, operation: &'static str, record: &str, stands: Option<&Item>) -> TableError {
        // A record that is not there at all is no older version's.
        let stands = stands.filter(|item| !item.0.is_empty());
        if let Some(Err(error)) = stands.map(|item| self.readable(operation, record, item)) {
            return error;
        }
        self.failure(
            operation,
            record,
            TableErrorKind::Fenced,
            "a newer run wrote it meanwhile",
        )
    }

    /// What a failed conditional update means.
    fn update_error(
        &self,
        record: &str,
        error: &SdkError<UpdateItemError, HttpResponse>,
    ) -> TableError {
        match attribute::standing_update(error) {
            Some(stands) => self.fenced("UpdateItem", record, Some(&stands)),
            None => self.error("UpdateItem", record, error),
        }
    }

    /// Refuses a record of another schema version.
    fn readable(
        &self,
        operation: &'static str,
        record: &str,
        item: &Item,
    ) -> Result<(), TableError> {
        match item.number("schema") {
            Some(SCHEMA) => Ok(()),
            other => {
                let shown = other.map_or("none".to_owned(), |n| n.to_string());
                let message = format!("its schema version is {shown}, not {SCHEMA}");
                Err(self.failure(operation, record, TableErrorKind::Unreadable, message))
            }
        }
    }
}

impl Records for Table {
    async fn begin(&self, function: &str, now: Timestamp) -> Result<Begun, TableError> {
        ledger::begin(self, function, now).await
    }

    async fn begun(&self, function: &str) -> Result<Begun, TableError> {
        ledger::begun(self, function).await
    }

    async fn acquire(
        &self,
        name: &str,
        holder: &str,
        wall: Timestamp,
    ) -> Result<Acquired, TableError> {
        lease::acquire(self, name, holder, wall).await
    }

    async fn renew(&self, lease: &Lease, wall: Timestamp) -> Result<Lease, TableError> {
        lease::renew(self, lease, wall).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), TableError> {
        lease::release(self, lease).await
    }

    async fn set_head(
        &self,
        function: &str,
        policy: &str,
        head: &Head,
        lease: &Lease,
    ) -> Result<(), TableError> {
        ledger::set_head(self, function, policy, head, lease).await
    }

    async fn open_sources(&self, function: &str) -> Result<Readable<Vec<OpenSource>>, TableError> {
        ledger::open_sources(self, function).await
    }

    async fn open(&self, function: &str, source: &OpenSource) -> Result<(), TableError> {
        ledger::open(self, function, source).await
    }

    async fn close(&self, function: &str, source: &OpenSource) -> Result<(), TableError> {
        ledger::close(self, function, source).await
    }

    async fn slots(
        &self,
        policy: &str,
        slot: Timestamp,
        request: Option<&str>,
        sources: &[String],
    ) -> Result<BTreeMap<String, SlotRecord>, TableError> {
        ledger::slots(self, policy, slot, request, sources).await
    }

    async fn bakes(
        &self,
        policy: &str,
        source: &str,
        since: Timestamp,
    ) -> Result<Vec<SlotRecord>, TableError> {
        bakes::since(self, policy, source, since).await
    }

    async fn newest_made(
        &self,
        policy: &str,
        sources: &[String],
    ) -> Result<BTreeMap<String, Timestamp>, TableError> {
        newest::made(self, policy, sources).await
    }

    async fn write_slot(
        &self,
        record: &SlotRecord,
        before: Option<&SlotRecord>,
    ) -> Result<(), TableError> {
        ledger::write_slot(self, record, before).await
    }

    async fn record(
        &self,
        nodes: &[Node],
        edges: &[Edge],
        lease: &Lease,
    ) -> Result<(), TableError> {
        graph::record(self, nodes, edges, lease).await
    }

    async fn start_run(&self, run: &RunRecord) -> Result<RunRecord, TableError> {
        ledger::start_run(self, run).await
    }

    async fn run(&self, function: &str, id: &str) -> Result<Option<RunRecord>, TableError> {
        ledger::run(self, function, id).await
    }

    async fn ledger(&self, since: Timestamp) -> Result<Readable<Ledger>, TableError> {
        history::ledger(self, since).await
    }

    async fn pins(&self) -> Result<BTreeSet<String>, TableError> {
        graph::pins(self).await
    }

    async fn pin(&self, sources: &[String], lease: Option<&Lease>) -> Result<(), TableError> {
        graph::pin(self, sources, lease).await
    }

    async fn unpin(&self, sources: &[String], lease: &Lease) -> Result<(), TableError> {
        graph::unpin(self, sources, lease).await
    }

    async fn condemned(
        &self,
        resources: &[String],
    ) -> Result<BTreeMap<String, Timestamp>, TableError> {
        deletion::condemned(self, resources).await
    }

    async fn set_condemned(
        &self,
        resources: &[String],
        since: Option<Timestamp>,
        lease: &Lease,
    ) -> Result<(), TableError> {
        deletion::set_condemned(self, resources, since, lease).await
    }

    async fn waiting_orphans(&self) -> Result<BTreeSet<String>, TableError> {
        deletion::waiting_orphans(self).await
    }

    async fn set_waiting_orphans(
        &self,
        snapshots: &[String],
        waits: bool,
        lease: &Lease,
    ) -> Result<(), TableError> {
        deletion::set_waiting_orphans(self, snapshots, waits, lease).await
    }

    async fn retired(
        &self,
        policy: &str,
        since: Timestamp,
        wall: Timestamp,
    ) -> Result<Vec<Retired>, TableError> {
        deletion::retired(self, policy, since, wall).await
    }

    async fn intend_deletion(&self, deletion: &Deletion, lease: &Lease) -> Result<(), TableError> {
        deletion::intend(self, deletion, lease).await
    }

    async fn end_deletion(
        &self,
        deletion: &Deletion,
        refused: Option<&str>,
        lease: &Lease,
    ) -> Result<(), TableError> {
        deletion::end(self, deletion, refused, lease).await
    }

    async fn put_deletion_aside(
        &self,
        deletion: &Deletion,
        lease: &Lease,
    ) -> Result<(), TableError> {
        deletion::set_aside(self, deletion, lease).await
    }

    async fn save_tripped(
        &self,
        plan_hash: &str,
        plan: &TrippedPlan,
        wall: Timestamp,
        lease: &Lease,
    ) -> Result<(), TableError> {
        deletion::save_tripped(self, plan_hash, plan, wall, lease).await
    }

    async fn tripped(
        &self,
        plan_hash: &str,
        wall: Timestamp,
        take: bool,
    ) -> Result<Option<TrippedPlan>, TableError> {
        deletion::tripped(self, plan_hash, wall, take).await
    }

    async fn proofs(&self, resource: &str) -> Result<Vec<(Deletion, DeletionState)>, TableError> {
        deletion::proofs(self, resource).await
    }

    async fn deletions(
        &self,
        resources: &[String],
    ) -> Result<BTreeMap<String, (Deletion, DeletionState)>, TableError> {
        deletion::recorded(self, resources).await
    }

    async fn census(&self) -> Result<Option<Census>, TableError> {
        census::read(self).await
    }

    async fn save_census(&self, census: &Census, lease: Option<&Lease>) -> Result<(), TableError> {
        census::save(self, census, lease).await
    }

    async fn roster(&self) -> Result<BTreeMap<String, NodeState>, TableError> {
        roster::read(self).await
    }

    async fn nodes(&self, ids: &[String]) -> Result<BTreeMap<String, Node>, TableError> {
        graph::nodes(self, ids).await
    }

    async fn edges(&self, edges: &[Edge]) -> Result<BTreeSet<Edge>, TableError> {
        graph::edges(self, edges).await
    }

    async fn absences(&self) -> Result<BTreeMap<String, Absence>, TableError> {
        roster::absences(self).await
    }

    async fn set_absences(
        &self,
        changes: &BTreeMap<String, Option<Absence>>,
        lease: &Lease,
    ) -> Result<(), TableError> {
        roster::set_absences(self, changes, lease).await
    }

    async fn relations(&self, id: &str) -> Result<Relations, TableError> {
        graph::relations(self, id).await
    }
}
