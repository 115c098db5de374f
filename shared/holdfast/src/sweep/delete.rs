//! Carrying out a plan: recorded, checked once more, deleted, recorded.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use holdfast_core::artifact;
use holdfast_core::dependency::References;
use holdfast_core::id::SnapshotId;
use holdfast_core::inventory::{Image, Listing, Snapshot};
use holdfast_core::lineage::{Edge, EdgeKind, Node, NodeState};
use holdfast_core::plan::judge::{Decision, Verdict};
use holdfast_core::ports::records::{Deletion, Records, TableError};
use holdfast_core::ports::{ErrorClass, ImageScope, ReadEc2, SnapshotScope, WriteEc2};
use holdfast_core::report::{Action, Item, Outcome, Reason, ReasonCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::gather::{Lists, Planned, Sweep};
use crate::aws::CALL_TIMEOUT;
use crate::error::RunError;
use crate::function::Invocation;
use crate::lease::Held;
use crate::pace::Pace;

/// Candidates that are checked again together, just before they go: as many as one filter takes.
const CHECKED_TOGETHER: usize = 200;
/// Deletions under way at once.
const AT_ONCE: usize = 4;
/// Evidence older than this justifies no deletion.
const FRESH: SignedDuration = SignedDuration::from_mins(15);

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
        lists: &Lists,
    ) -> Result<(Vec<Item>, bool), RunError> {
        let Planned {
            verdicts,
            settled,
            pin,
            unpin,
            ..
        } = planned;
        let lease = self.held.good_for(CALL_TIMEOUT).await?;
        let mut notes = Vec::new();
        // A pin is on record before anything is deleted, so that it outlives its source.
        self.records.pin(&pin, Some(&lease)).await?;
        self.records.unpin(&unpin, &lease).await?;
        let ids = |list: &[SnapshotId]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let begins = ids(&settled.grace_begins);
        self.records
            .set_condemned(&begins, Some(self.sweep.now), &lease)
            .await?;
        self.records
            .set_condemned(&ids(&settled.freed), None, &lease)
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
        let pace = Pace::snapshots();
        let evidence = lists.summary();
        for together in condemned.chunks(CHECKED_TOGETHER) {
            let checked = self.check_again(together, lists).await;
            let mut under_way = stream::iter(checked)
                .map(|verdict| self.delete(verdict, &evidence, &pace))
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
    async fn record_holders(&self, verdicts: &[Verdict], lists: &Lists) -> Result<(), TableError> {
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
                let id = verdict.snapshot.id.as_str();
                edges.insert(Edge::new(image, EdgeKind::BackedBy, id));
            }
        }
        let lease = self.held.good_for(CALL_TIMEOUT).await?;
        let edges: Vec<Edge> = edges.into_iter().collect();
        self.records.record(&nodes, &edges, &lease).await
    }

    /// Reads the candidates and their images once more; what changed is held.
    async fn check_again(&self, condemned: &[Verdict], lists: &Lists) -> Vec<Verdict> {
        let ids: Vec<SnapshotId> = condemned.iter().map(|v| v.snapshot.id.clone()).collect();
        let (again, mapping) = (SnapshotScope::Ids(ids.clone()), ImageScope::MappingAny(ids));
        let (snapshots, images) =
            tokio::join!(self.ec2.snapshots(&again), self.ec2.images(&mapping));
        let present: BTreeMap<&SnapshotId, &Snapshot> =
            snapshots.items.iter().map(|s| (&s.id, s)).collect();
        let references = References::new(&images.items, &lists.instances.items, &[]);
        let wall = Timestamp::now();
        let stale = stale(lists, wall);
        let mut checked = condemned.to_vec();
        for verdict in &mut checked {
            for error in [&snapshots.error, &images.error].into_iter().flatten() {
                let detail = format!("checking again: {error}");
                verdict.hold(Reason::with(ReasonCode::EvidenceIncomplete, detail));
            }
            if let Some(source) = stale {
                let detail = format!("{source} was read more than {FRESH:#} ago");
                verdict.hold(Reason::with(ReasonCode::EvidenceIncomplete, detail));
            }
            for holder in references.holders_of_snapshot(&verdict.snapshot.id) {
                verdict.hold(holder);
            }
            let now = present.get(&verdict.snapshot.id);
            if now.is_none() && snapshots.is_complete() {
                let detail = "it was not listed again; the next sweep sees whether it is gone";
                verdict.hold(Reason::with(ReasonCode::EvidenceIncomplete, detail));
            }
            if let Some(now) = now {
                if now.tags.contains_key(artifact::PIN) {
                    let detail = format!("it carries {}", artifact::PIN);
                    verdict.hold(Reason::with(ReasonCode::Pinned, detail));
                } else if ours(now) != ours(&verdict.snapshot)
                    || now.state != verdict.snapshot.state
                {
                    let detail = "its tags or its state changed during the sweep";
                    verdict.hold(Reason::with(ReasonCode::EvidenceIncomplete, detail));
                }
            }
        }
        checked
    }

    /// One deletion; its line of the report, and whether nothing of it is left to do.
    async fn delete(
        &self,
        verdict: Verdict,
        evidence: &serde_json::Value,
        pace: &Pace,
    ) -> (Item, bool) {
        let deferred = |code, detail: String| {
            let mut item = verdict.item(Outcome::Deferred);
            item.reasons.push(Reason::with(code, detail));
            (item, false)
        };
        if !verdict.is_condemned() {
            return (verdict.item(Outcome::Held), true);
        }
        if !self.invocation.has_time() {
            let words = "this invocation's time is over".to_owned();
            return deferred(ReasonCode::OutOfTime, words);
        }
        pace.turn().await;
        match self.delete_recorded(&verdict, evidence).await {
            Ok((mut item, reason)) => {
                item.reasons.extend(reason);
                let done = item.outcome != Outcome::Deferred;
                (item, done)
            }
            Err(error) => deferred(ReasonCode::TableFailed, error.to_string()),
        }
    }

    async fn delete_recorded(
        &self,
        verdict: &Verdict,
        evidence: &serde_json::Value,
    ) -> Result<(Item, Option<Reason>), TableError> {
        let snapshot = &verdict.snapshot;
        let lease = self.held.good_for(CALL_TIMEOUT).await?;
        let deletion = Deletion {
            resource: snapshot.id.to_string(),
            policy: verdict.policy.clone(),
            good: verdict.good,
            time: snapshot.start.unwrap_or(Timestamp::UNIX_EPOCH),
            run: self.invocation.id.clone(),
            evidence: json!({
                "verdict": verdict.item(Outcome::Planned),
                "tags": snapshot.tags,
                "state": snapshot.state.as_str(),
                "policy_sha256": self.sweep.policies.sha256,
                "now": self.sweep.now.to_string(),
                "lists": evidence,
            })
            .to_string(),
            at: Timestamp::now(),
        };
        self.records.intend_deletion(&deletion, &lease).await?;
        self.held.good_for(CALL_TIMEOUT).await?;
        match self.ec2.delete_snapshot(&snapshot.id).await {
            Ok(()) => {
                let ended = self.records.end_deletion(&deletion, None, &lease).await;
                let reason = ended.err().map(|error| {
                    Reason::with(ReasonCode::TableFailed, format!("it is gone, but {error}"))
                });
                Ok((verdict.item(Outcome::Deleted), reason))
            }
            // Somebody was faster, or an earlier answer was lost.
            Err(error) if error.class == ErrorClass::NotFound => {
                self.records.end_deletion(&deletion, None, &lease).await?;
                let reason = Reason::with(ReasonCode::Expired, "it was gone already");
                Ok((verdict.item(Outcome::Deleted), Some(reason)))
            }
            // Nobody knows: the intent stays, and the next sweep sees whether it is still there.
            Err(error) if error.class == ErrorClass::UnknownOutcome => {
                let reason = Reason::with(ReasonCode::OutcomeUnknown, error.to_string());
                Ok((verdict.item(Outcome::Deferred), Some(reason)))
            }
            Err(error) => {
                let words = error.to_string();
                self.records
                    .end_deletion(&deletion, Some(&words), &lease)
                    .await?;
                let (outcome, code) = match error.class {
                    ErrorClass::InUse => (Outcome::Held, ReasonCode::UsedByImage),
                    ErrorClass::Throttled | ErrorClass::Limited => {
                        (Outcome::Deferred, ReasonCode::Throttled)
                    }
                    ErrorClass::Denied => (Outcome::Failed, ReasonCode::AccessDenied),
                    _ => (Outcome::Failed, ReasonCode::Refused),
                };
                let mut item = verdict.item(outcome);
                // What EC2 says replaces what was thought.
                item.reasons.clear();
                Ok((item, Some(Reason::with(code, words))))
            }
        }
    }
}

/// The tags that make an artifact Holdfast's.
fn ours(snapshot: &Snapshot) -> Vec<(&String, &String)> {
    let managed = |key: &str| key.starts_with(artifact::PREFIX) || key.starts_with("aws:");
    snapshot
        .tags
        .iter()
        .filter(|(key, _)| managed(key))
        .collect()
}

fn stale(lists: &Lists, wall: Timestamp) -> Option<&'static str> {
    fn old<T>(list: &Listing<T>, wall: Timestamp) -> Option<&'static str> {
        let age = wall.duration_since(list.read_at);
        (age > FRESH || age < -FRESH).then(|| list.source.as_str())
    }
    old(&lists.snapshots, wall)
        .or_else(|| old(&lists.images, wall))
        .or_else(|| old(&lists.instances, wall))
        .or_else(|| old(&lists.volumes, wall))
        .or_else(|| lists.templates.as_ref().and_then(|list| old(list, wall)))
}
