//! Recording what was made.

use holdfast_core::inventory::Snapshot;
use holdfast_core::lineage::SlotRecord;
use holdfast_core::lineage::ledger::{self, SlotStep};
use holdfast_core::plan::create::{self, Attested, Creation, Made};
use holdfast_core::policy::RequestedConsistency;
use holdfast_core::ports::records::{Records, TableError, TableErrorKind};
use holdfast_core::ports::{ReadEc2, WriteEc2};
use holdfast_core::report::{Action, Item, Outcome, Reason, ReasonCode};
use jiff::Timestamp;

use super::quiet::Quiet;
use super::work::{Progress, Work};

impl<E: ReadEc2 + WriteEc2, R: Records> Work<'_, '_, E, R> {
    /// Records what was made: lineage first, so that `created` in the ledger means all is there.
    pub(super) async fn keep(
        &self,
        creation: &Creation,
        record: &SlotRecord,
        made: &Made,
        quiet: Quiet,
    ) -> Progress {
        let written = self.record(creation, record, made, quiet.attested()).await;
        let mut items = match made {
            Made::Snapshots(snapshots) => snapshots.iter().map(|s| self.snapshot(s)).collect(),
            Made::Image { id, created, .. } => {
                let mut item = self.made(id.as_str()).source(&creation.source);
                item.time = *created;
                vec![item]
            }
        };
        let asked = &self.order.policy.consistency;
        for item in &mut items {
            item.reasons.extend(self.late.reason(creation));
            item.reasons.extend(quiet.reason());
            if matches!(quiet, Quiet::Adopted) {
                let detail = "found by what the call wrote on it; an earlier request had made it";
                let reason = Reason::with(ReasonCode::Adopted, detail);
                item.reasons.push(reason);
                // Nobody was there to its end, to see what its point in time is worth.
                if *asked != RequestedConsistency::Crash {
                    let level = asked.as_str();
                    let detail = format!("the policy asks for {level}, which nobody confirmed");
                    let reason = Reason::with(ReasonCode::CrashConsistent, detail);
                    item.reasons.push(reason);
                }
            }
            if let Err(error) = &written {
                let detail = format!("{error}; the next heartbeat records it");
                let reason = Reason::with(ReasonCode::TableFailed, detail);
                item.reasons.push(reason);
            }
        }
        items.extend(creation.notes.iter().cloned());
        Progress {
            items,
            complete: written.is_ok(),
        }
    }

    fn made(&self, id: &str) -> Item {
        Item::new(Action::Create, id, Outcome::Created)
            .policy(&self.order.policy.name)
            .slot(self.order.slot)
    }

    fn snapshot(&self, snapshot: &Snapshot) -> Item {
        let mut item = self.made(snapshot.id.as_str());
        item.source = snapshot.volume.as_ref().map(ToString::to_string);
        item.time = snapshot.start;
        item
    }

    async fn record(
        &self,
        creation: &Creation,
        record: &SlotRecord,
        made: &Made,
        attested: Attested,
    ) -> Result<(), TableError> {
        let lease = self.held.token().await;
        let wall = Timestamp::now();
        let (nodes, edges) = create::lineage(creation, self.order, made, attested, wall);
        self.creator.records.record(&nodes, &edges, &lease).await?;
        let state =
            ledger::step(Some(record.state), SlotStep::Create).map_err(|illegal| TableError {
                operation: "PutItem",
                table: "Holdfast's".into(),
                record: creation.source.clone(),
                kind: TableErrorKind::Refused,
                message: illegal.to_string(),
            })?;
        let created = SlotRecord {
            state,
            artifacts: made.ids(),
            error: None,
            fence: lease.fence,
            ..record.clone()
        };
        self.creator
            .records
            .write_slot(&created, Some(record))
            .await
    }
}
