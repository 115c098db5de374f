//! Carrying out a plan: recorded, checked once more, deleted, recorded.

mod check;
mod image;
mod intents;
mod snapshot;

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use holdfast_core::inventory::{Image, Inventory, Tags};
use holdfast_core::lineage::{Edge, EdgeKind, Node, NodeState};
use holdfast_core::plan::judge::{Decision, Subject, Verdict};
use holdfast_core::ports::records::{Records, TableError};
use holdfast_core::ports::{CallError, ErrorClass, ReadEc2, WriteEc2};
use holdfast_core::report::{Action, Item, Outcome, Reason, ReasonCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use self::image::Deregistered;

use super::gather::{Planned, Sweep};
use crate::aws::CALL_TIMEOUT;
use crate::error::RunError;
use crate::function::Invocation;
use crate::lease::Held;
use crate::pace::Pace;

/// Snapshots that are checked again together, just before they go: as many as one filter takes.
const SNAPSHOTS_TOGETHER: usize = 200;
/// Images that are: fewer, because each brings up to 128 snapshots along.
const IMAGES_TOGETHER: usize = 20;
/// Deletions under way at once.
const AT_ONCE: usize = 4;

pub(super) struct Deleter<'a, E, R: Records> {
    pub ec2: &'a E,
    pub records: &'a R,
    pub held: &'a Held<'a, R>,
    pub invocation: &'a Invocation,
    pub sweep: &'a Sweep<'a>,
}

impl<E: ReadEc2 + WriteEc2, R: Records> Deleter<'_, E, R> {
    /// Deletes what is condemned; the report's items, and whether nothing is left to do.
    pub(super) async fn enforce(
        &self,
        planned: Planned,
        lists: &Inventory,
    ) -> Result<(Vec<Item>, bool), RunError> {
        let Planned {
            verdicts,
            settled,
            pin,
            unpin,
            ..
        } = planned;
        let lease = self.held.good_for(CALL_TIMEOUT).await?;
        let mut notes = self.close_refuted(lists).await?;
        // A pin is on record before anything is deleted, so that it outlives its source.
        self.records.pin(&pin, Some(&lease)).await?;
        self.records.unpin(&unpin, &lease).await?;
        self.records
            .set_condemned(&settled.grace_begins, Some(self.sweep.now), &lease)
            .await?;
        self.records
            .set_condemned(&settled.freed, None, &lease)
            .await?;
        if !settled.tripped.is_empty() {
            let held: Vec<(String, String)> = settled
                .tripped
                .iter()
                .flat_map(|(policy, ids)| ids.iter().map(|id| (policy.clone(), id.clone())))
                .collect();
            let (hash, wall) = (&settled.plan_hash, Timestamp::now());
            // A plan too long for one record is held all the same; only its release is not on offer.
            let saved = self.records.save_tripped(hash, &held, wall, &lease).await;
            if let Err(error) = saved {
                let detail = format!("{error}; sweep the policies one by one to release them");
                notes.push(
                    Item::new(Action::Check, hash, Outcome::Failed)
                        .reason(Reason::with(ReasonCode::TableFailed, detail)),
                );
            }
        }
        self.record_holders(&verdicts, lists).await?;

        let (condemned, others): (Vec<Verdict>, Vec<Verdict>) =
            verdicts.into_iter().partition(Verdict::is_condemned);
        let mut items: Vec<Item> = others.iter().map(|v| v.item(Outcome::Held)).collect();
        items.extend(notes);
        let mut complete = true;
        let evidence = super::lists::summary(lists);
        let (images, snapshots): (Vec<Verdict>, Vec<Verdict>) = condemned
            .into_iter()
            .partition(|v| matches!(v.subject, Subject::Image { .. }));
        // An AMI goes before its snapshots: EC2 refuses the other order.
        let pace = Pace::deregister_image();
        let mut templates = None;
        for together in images.chunks(IMAGES_TOGETHER) {
            templates = check::templates_again(self.ec2, lists, templates).await;
            let now = check::Templates {
                policies: self.sweep.policies,
                list: templates.as_ref(),
            };
            let checked = check::images(self.ec2, together, lists, &now).await;
            let ended: Vec<Deregistered> = stream::iter(checked)
                .map(|verdict| self.deregister(verdict, lists, &evidence, &pace))
                .buffer_unordered(AT_ONCE)
                .collect()
                .await;
            complete &= ended.iter().all(|one| one.done);
            items.extend(ended.iter().map(|one| one.item.clone()));
            let unclosed = self.close_shared(ended).await;
            complete &= unclosed.is_empty();
            items.extend(unclosed);
        }
        let pace = Pace::snapshots();
        for together in snapshots.chunks(SNAPSHOTS_TOGETHER) {
            let checked = check::snapshots(self.ec2, together, lists).await;
            let mut under_way = stream::iter(checked)
                .map(|verdict| self.delete(verdict, lists, &evidence, &pace))
                .buffer_unordered(AT_ONCE);
            while let Some((item, done)) = under_way.next().await {
                items.push(item);
                complete &= done;
            }
        }
        items.sort_by(|a, b| (a.time, &a.resource).cmp(&(b.time, &b.resource)));
        Ok((items, complete))
    }

    /// Puts the images that hold a backup into the lineage: they outlive our listing of them.
    async fn record_holders(
        &self,
        verdicts: &[Verdict],
        lists: &Inventory,
    ) -> Result<(), TableError> {
        let images: BTreeMap<&str, &Image> = lists
            .images
            .items
            .iter()
            .map(|image| (image.id.as_str(), image))
            .collect();
        let wall = Timestamp::now();
        let (mut nodes, mut edges) = (Vec::new(), BTreeSet::new());
        for verdict in verdicts {
            let Decision::Hold(reasons) = &verdict.decision else {
                continue;
            };
            for reason in reasons.iter().filter(|r| r.code == ReasonCode::UsedByImage) {
                let Some(image) = reason.path.get(1) else {
                    continue;
                };
                let known = images.get(image.as_str()).map(|i| i.state.as_str());
                let state = match known {
                    Some("pending") => NodeState::Pending,
                    Some("failed" | "error" | "invalid") => NodeState::Error,
                    _ => NodeState::Available,
                };
                nodes.push(Node::new(image, state, wall));
                edges.insert(Edge::new(image, EdgeKind::BackedBy, verdict.subject.id()));
            }
        }
        let lease = self.held.good_for(CALL_TIMEOUT).await?;
        let edges: Vec<Edge> = edges.into_iter().collect();
        self.records.record(&nodes, &edges, &lease).await
    }

    /// Why a call must not be sent now, although all was well when it was prepared: the process may
    /// have been frozen in between, for as long as Lambda likes.
    fn thawed(&self, lists: &Inventory) -> Option<Reason> {
        if !self.invocation.has_time() {
            let words = "this invocation's time is over";
            return Some(Reason::with(ReasonCode::OutOfTime, words));
        }
        check::stale(lists, Timestamp::now())
    }

    /// Why something goes, and on which evidence, as JSON for people; `more` is its kind's own.
    fn proof(&self, verdict: &Verdict, tags: &Tags, more: Value, lists: &Value) -> String {
        let mut proof = json!({
            "verdict": verdict.item(Outcome::Planned),
            "tags": tags,
            "state": verdict.subject.state(),
            "policy_sha256": self.sweep.policies.sha256,
            "now": self.sweep.now.to_string(),
            "lists": lists,
        });
        if let (Value::Object(proof), Value::Object(more)) = (&mut proof, more) {
            proof.extend(more);
        }
        proof.to_string()
    }
}

/// A line of the report for what is left to a later sweep.
fn deferred(verdict: &Verdict, code: ReasonCode, words: impl Into<String>) -> Item {
    let item = verdict.item(Outcome::Deferred);
    item.reason(Reason::with(code, words))
}

/// EC2's code for what a lock or a protection forbids (EC2 API Reference, "Error codes"). Which code
/// a locked snapshot gets is not documented; any other stays a failure.
const NOT_PERMITTED: &str = "OperationNotPermitted";

/// A line of the report for what EC2 refused: its words replace what was thought.
fn refusal(verdict: &Verdict, error: &CallError) -> Item {
    let words = error.to_string();
    let (outcome, code) = match error.class {
        ErrorClass::Permanent if error.code.as_deref() == Some(NOT_PERMITTED) => {
            let code = match verdict.subject {
                Subject::Image { .. } => ReasonCode::DeregistrationProtected,
                Subject::Snapshot(_) => ReasonCode::Locked,
            };
            (Outcome::Held, code)
        }
        ErrorClass::InUse => (Outcome::Held, ReasonCode::UsedByImage),
        ErrorClass::Throttled | ErrorClass::Limited => (Outcome::Deferred, ReasonCode::Throttled),
        ErrorClass::Denied => (Outcome::Failed, ReasonCode::AccessDenied),
        ErrorClass::UnknownOutcome
        | ErrorClass::WrongState
        | ErrorClass::NotFound
        | ErrorClass::Permanent => (Outcome::Failed, ReasonCode::Refused),
    };
    let mut item = verdict.item(outcome);
    item.reasons.clear();
    item.reason(Reason::with(code, words))
}
