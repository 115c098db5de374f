//! The verdict on single artifacts, with every path to what needs them.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::artifact::{Artifact, ArtifactKind};
use holdfast_core::dependency::{References, Words};
use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::{Image, ImageState, Inventory, Listing, Snapshot};
use holdfast_core::lineage::{Consistency, Node, NodeKind};
use holdfast_core::plan::judge::{Decision, Subject, Verdict, governing};
use holdfast_core::policy::PolicyFile;
use holdfast_core::ports::records::{Deletion, DeletionState, Records, TableError};
use holdfast_core::ports::{ImageScope, ReadEc2, SnapshotScope};
use holdfast_core::report::{Action, Item, Outcome, Reason, ReasonCode};
use jiff::Timestamp;

use crate::error::RunError;
use crate::sweep::{Sweep, lists, plan};

/// One item for each of `ids` (`snap-…` or `ami-…`), changing nothing: `deletable`, `held`, or
/// `failed` with `not-found` where EC2 has no such artifact.
///
/// The verdict is the sweep's, with its guardrails; every path to what needs the artifact is told
/// even when a rule keeps it. `now` is the time decided for; `account` one's own, where known.
///
/// # Errors
/// [`RunError::Inventory`]: nothing at all could be read.
pub async fn explain<E: ReadEc2, R: Records>(
    ec2: &E,
    records: &R,
    policies: &PolicyFile,
    ids: &[String],
    account: Option<&str>,
    now: Timestamp,
) -> Result<Vec<Item>, RunError> {
    let sweep = Sweep {
        policies,
        only: None,
        release: None,
        account,
        now,
        take_release: false,
    };
    let lists = lists::read(ec2, policies).await;
    if let Some(error) = lists.nothing_read() {
        return Err(RunError::Inventory(error.clone()));
    }
    let planned = plan(records, &sweep, &lists).await;
    let verdicts: BTreeMap<&str, &Verdict> = planned
        .verdicts
        .iter()
        .map(|verdict| (verdict.subject.id(), verdict))
        .collect();
    let unjudged = |id: &&String| !verdicts.contains_key(id.as_str());
    let (snapshots, images) = unlisted(ec2, ids.iter().filter(unjudged)).await;
    let known = Recorded::read(records, ids).await;
    let all = Everything {
        policies,
        references: References::new(&lists),
        account: lists.own_account(account),
        lists: &lists,
        verdicts,
        snapshots,
        images,
        known,
        now,
    };
    Ok(ids.iter().map(|id| all.one(id)).collect())
}

/// What has no verdict, asked for by identifier: the backing snapshots of AMIs, what Holdfast does
/// not manage, and what is not there.
async fn unlisted<'i, E: ReadEc2>(
    ec2: &E,
    ids: impl Iterator<Item = &'i String>,
) -> (Listing<Snapshot>, Listing<Image>) {
    let (mut snapshots, mut images) = (Vec::new(), Vec::new());
    for id in ids {
        snapshots.extend(SnapshotId::parse(id));
        images.extend(ImageId::parse(id));
    }
    let (snapshots, images) = (SnapshotScope::Ids(snapshots), ImageScope::Ids(images));
    tokio::join!(ec2.snapshots(&snapshots), ec2.images(&images))
}

/// What the table tells of the artifacts asked about.
struct Recorded(Result<(BTreeMap<String, Node>, Deletions), TableError>);

type Deletions = BTreeMap<String, (Deletion, DeletionState)>;

impl Recorded {
    async fn read<R: Records>(records: &R, ids: &[String]) -> Self {
        let (nodes, deletions) = tokio::join!(records.nodes(ids), records.deletions(ids));
        Self(nodes.and_then(|nodes| Ok((nodes, deletions?))))
    }

    fn node(&self, id: &str) -> Option<&Node> {
        self.0.as_ref().ok()?.0.get(id)
    }

    /// What became of an artifact that EC2 does not have, in words.
    fn end_of(&self, id: &str) -> String {
        let (nodes, deletions) = match &self.0 {
            Ok(known) => known,
            Err(error) => return format!("EC2 does not have it; {error}"),
        };
        let ended = deletions.get(id).map(|(deletion, state)| {
            let Deletion {
                run, at, policy, ..
            } = deletion;
            match state {
                DeletionState::Deleted => {
                    format!("Holdfast deleted it at {at} for policy {policy} (run {run})")
                }
                DeletionState::Intended => format!(
                    "Holdfast was about to delete it at {at} for policy {policy} (run {run})"
                ),
                DeletionState::Refused => {
                    format!("EC2 refused to delete it at {at}; it went some other way since")
                }
            }
        });
        let recorded = nodes.get(id).map(|node| {
            format!(
                "the lineage has it as {} since {}",
                node.state.as_str(),
                node.changed
            )
        });
        match ended.or(recorded) {
            Some(words) => format!("EC2 does not have it; {words}"),
            None => "EC2 does not have it among what is yours here, and it is not on record".into(),
        }
    }
}

/// All that a verdict on one artifact is told from.
struct Everything<'a> {
    policies: &'a PolicyFile,
    references: References<'a>,
    account: Option<&'a str>,
    lists: &'a Inventory,
    verdicts: BTreeMap<&'a str, &'a Verdict>,
    snapshots: Listing<Snapshot>,
    images: Listing<Image>,
    known: Recorded,
    now: Timestamp,
}

impl Everything<'_> {
    /// What the policy of that name says of references; the defaults where there is none.
    fn words(&self, policy: &str) -> Words<'_> {
        Words::of(governing(self.policies, policy), self.now)
    }

    fn one(&self, id: &str) -> Item {
        let mut item = if let Some(verdict) = self.verdicts.get(id) {
            self.judged(verdict)
        } else if let Some(snapshot) = self.snapshots.items.iter().find(|s| s.id.as_str() == id) {
            self.snapshot(snapshot)
        } else if let Some(image) = self.images.items.iter().find(|i| i.id.as_str() == id) {
            self.image(image)
        } else {
            return self.absent(id);
        };
        // A list that was not read may hide a path. A verdict that it held says so already.
        let told = |r: &Reason| r.code == ReasonCode::EvidenceIncomplete && r.path.is_empty();
        if !item.reasons.iter().any(told) {
            let unread = lists::unread(self.lists).into_iter();
            item.reasons.extend(unread.flat_map(|list| list.reasons));
        }
        if let Some(level) = self.known.node(id).and_then(|node| node.consistency) {
            tell_consistency(&mut item, level);
        }
        item
    }

    fn judged(&self, verdict: &Verdict) -> Item {
        let words = self.words(&verdict.policy);
        let holders = match &verdict.subject {
            Subject::Snapshot(snapshot) => {
                self.references.holders_of_snapshot(&snapshot.id, &words)
            }
            Subject::Image { image, snapshots } => {
                let along = snapshots.iter().map(|snapshot| &snapshot.id);
                self.references
                    .holders_of_image_with_snapshots(image, along, &words)
            }
        };
        let mut item = Item {
            action: Action::Explain,
            outcome: match verdict.decision {
                Decision::Condemn(_) => Outcome::Deletable,
                Decision::Keep(_) | Decision::Hold(_) => Outcome::Held,
            },
            ..verdict.item(Outcome::Deletable)
        };
        add(&mut item.reasons, holders);
        item
    }

    /// A snapshot without a verdict of its own: it backs an AMI that stands, or is not Holdfast's.
    /// One that goes with every AMI over it may go.
    fn snapshot(&self, snapshot: &Snapshot) -> Item {
        let id = snapshot.id.as_str();
        let mut item = Item::new(Action::Explain, id, Outcome::Held);
        item.time = snapshot.start;
        item.source = snapshot.volume.as_ref().map(ToString::to_string);
        match Artifact::read(&snapshot.tags, snapshot.owner.as_deref(), self.account) {
            Ok(artifact) => {
                let policy = governing(self.policies, &artifact.policy);
                let name = policy.map_or(&artifact.policy, |policy| &policy.name);
                item.policy = Some(name.clone());
                item.slot = artifact.slot;
                let over = self.over(snapshot, &artifact);
                if !over.is_empty() && over.iter().all(|v| v.is_some_and(|v| v.is_condemned())) {
                    item.outcome = Outcome::Deletable;
                    let with = over.into_iter().flatten();
                    add(&mut item.reasons, with.flat_map(|v| through(id, v)));
                    return item;
                }
                add(
                    &mut item.reasons,
                    self.being_made(snapshot, &artifact)
                        .into_iter()
                        .flat_map(|verdict| through(id, verdict)),
                );
            }
            Err(reason) => item.reasons.push(reason),
        }
        let words = self.words(item.policy.as_deref().unwrap_or_default());
        add(
            &mut item.reasons,
            self.references.holders_of_snapshot(&snapshot.id, &words),
        );
        for image in self.references.images_of(&snapshot.id) {
            let Some(verdict) = self.verdicts.get(image.id.as_str()) else {
                continue;
            };
            add(&mut item.reasons, through(id, verdict));
        }
        if item.reasons.is_empty() {
            item.reasons.push(not_judged());
        }
        item
    }

    /// The verdicts on the AMIs over a backing snapshot; none for an AMI that has none.
    fn over(&self, snapshot: &Snapshot, artifact: &Artifact) -> Vec<Option<&Verdict>> {
        if artifact.kind != ArtifactKind::ImageSnapshot {
            return Vec::new();
        }
        let mapping = self.references.images_of(&snapshot.id).iter();
        let mapping = mapping.map(|image| self.verdicts.get(image.id.as_str()).copied());
        let being_made = self.being_made(snapshot, artifact).into_iter();
        mapping.chain(being_made.map(Some)).collect()
    }

    /// The verdicts on AMIs that were made with a snapshot and do not map it: a pending one may not
    /// name it yet, and a failed one not any more.
    fn being_made(&self, snapshot: &Snapshot, artifact: &Artifact) -> Vec<&Verdict> {
        let of_run = |verdict: &&Verdict| match (&verdict.subject, &verdict.artifact) {
            (Subject::Image { image, .. }, Some(of_image)) => {
                artifact.kind == ArtifactKind::ImageSnapshot
                    && matches!(image.state, ImageState::Pending | ImageState::Failed)
                    && image.snapshots().all(|id| *id != snapshot.id)
                    && of_image.is_of_the_same_run(artifact)
            }
            _ => false,
        };
        self.verdicts.values().copied().filter(of_run).collect()
    }

    /// An image without a verdict: not Holdfast's, or deregistered.
    fn image(&self, image: &Image) -> Item {
        let id = image.id.as_str();
        if image.state == ImageState::Deregistered {
            return self.absent(id);
        }
        let mut item = Item::new(Action::Explain, id, Outcome::Held);
        item.time = image.created;
        item.source = image.source_instance.as_ref().map(ToString::to_string);
        let owner = image.owner.as_deref();
        let read = Artifact::read(&image.tags, owner, self.account);
        item.reasons.push(read.err().unwrap_or_else(not_judged));
        let words = Words::of(None, self.now);
        let holders =
            self.references
                .holders_of_image_with_snapshots(image, std::iter::empty(), &words);
        add(&mut item.reasons, holders);
        item
    }

    fn absent(&self, id: &str) -> Item {
        let item = Item::new(Action::Explain, id, Outcome::Held);
        let error = match NodeKind::of(id) {
            NodeKind::Snapshot => self.snapshots.error.as_ref(),
            NodeKind::Image => self.images.error.as_ref(),
            NodeKind::Volume | NodeKind::Instance | NodeKind::Other => {
                let detail = "write the identifier of a snapshot (snap-…) or an AMI (ami-…)";
                return item.reason(Reason::with(ReasonCode::NotFound, detail));
            }
        };
        if let Some(error) = error {
            let reason = Reason::with(ReasonCode::EvidenceIncomplete, error.to_string());
            return item.reason(reason);
        }
        let mut item = item.reason(Reason::with(ReasonCode::NotFound, self.known.end_of(id)));
        if let Some(node) = self.known.node(id) {
            item.policy.clone_from(&node.policy);
            item.source.clone_from(&node.source);
            (item.slot, item.time) = (node.slot, node.time);
        }
        item
    }
}

/// An AMI's reasons as those of one of its snapshots.
fn through(snapshot: &str, verdict: &Verdict) -> Vec<Reason> {
    let image = ImageId::new(verdict.subject.id());
    let reasons = verdict.reasons().iter().cloned();
    reasons
        .map(|mut reason| {
            reason.path = through_image(snapshot, &image, reason.path);
            reason
        })
        .collect()
}

/// The path of an AMI's reason as it leads from one of its snapshots.
fn through_image(snapshot: &str, image: &ImageId, path: Vec<String>) -> Vec<String> {
    let start = [snapshot.to_owned(), image.to_string()];
    let rest: Vec<String> = path.into_iter().skip(1).collect();
    match rest.first() {
        // The AMI's reason was this very snapshot, and what needs it.
        Some(first) if first == snapshot && rest.len() > 1 => rest,
        Some(first) if first == snapshot => start.into(),
        _ => start.into_iter().chain(rest).collect(),
    }
}

/// Holdfast's by its tags, and yet without a verdict: the lists are not of one moment.
fn not_judged() -> Reason {
    let detail = "it was not among the lists that were judged; ask again";
    Reason::with(ReasonCode::EvidenceIncomplete, detail)
}

/// Adds the reasons that are not there yet.
fn add(reasons: &mut Vec<Reason>, more: impl IntoIterator<Item = Reason>) {
    let mut known: BTreeSet<Reason> = reasons.iter().cloned().collect();
    for reason in more {
        if known.insert(reason.clone()) {
            reasons.push(reason);
        }
    }
}

/// Tells what the artifact's point in time is worth, beside the first reason.
fn tell_consistency(item: &mut Item, level: Consistency) {
    let words = format!("its consistency is {}", level.as_str());
    if let Some(first) = item.reasons.first_mut() {
        first.detail = Some(match first.detail.take() {
            Some(detail) => format!("{detail}; {words}"),
            None => words,
        });
    }
}
