//! The verdict on single artifacts, with every path to what needs them.

mod near;
mod paths;
mod recorded;

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::artifact::{Artifact, ArtifactKind};
use holdfast_core::dependency::{References, Words};
use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::{Image, ImageState, Inventory, Listing, Snapshot, Source};
use holdfast_core::lineage::NodeKind;
use holdfast_core::plan::judge::{
    Decision, Evidence, Obstacles, Subject, Verdict, Verdicts, governing,
};
use holdfast_core::plan::remedy::{About, advise};
use holdfast_core::policy::PolicyFile;
use holdfast_core::ports::records::Records;
use holdfast_core::ports::{ImageScope, ReadEc2, SnapshotScope};
use holdfast_core::report::{Action, Item, Outcome, Reason, ReasonCode, SourceEvidence, sources};
use jiff::Timestamp;

use crate::error::RunError;
use crate::function::Invocation;
use crate::sweep::{Sweep, lists, plan};

use near::Near;
use paths::{add, along, not_judged, tell_archived, tell_consistency, through};
use recorded::Recorded;

/// What was asked, explained.
#[derive(Clone, Debug)]
pub struct Explained {
    /// One for each identifier, in their order.
    pub items: Vec<Item>,
    /// How each source was read, for the report's `run.evidence`.
    pub evidence: Vec<SourceEvidence>,
}

impl Explained {
    /// Whether nothing that could matter to what was asked was left unread.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let mut reasons = self.items.iter().flat_map(|item| &item.reasons);
        let unread = [ReasonCode::EvidenceIncomplete, ReasonCode::OutOfTime];
        reasons.all(|reason| !unread.contains(&reason.code))
    }
}

/// One item for each of `ids` (`snap-…` or `ami-…`), each once, changing nothing: `deletable`, or `held`, with
/// `not-found` where EC2 has no such artifact.
///
/// The verdict is the sweep's, with its guardrails and with what a sweep reads only right before a
/// deletion; every path to what needs the artifact is told even when a rule keeps it, what would
/// break, and what would have to change. `now` is the time decided for; `account` one's own, where
/// known.
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
) -> Result<Explained, RunError> {
    let sweep = Sweep {
        policies,
        only: None,
        release: None,
        account,
        now,
        acts: false,
    };
    let mut named = BTreeSet::new();
    let ids: Vec<String> = ids.iter().filter(|id| named.insert(*id)).cloned().collect();
    let ids = ids.as_slice();
    let lists = lists::read(ec2, policies).await;
    if let Some(error) = lists.nothing_read() {
        return Err(RunError::Inventory(error.clone()));
    }
    let planned = plan(records, &sweep, &lists).await;
    let verdicts = &planned.verdicts;
    let unjudged = |id: &&String| verdicts.about(id).is_none();
    let (snapshots, images) = unlisted(ec2, ids.iter().filter(unjudged)).await;
    let known = Recorded::read(records, ids).await;
    let own = lists.own_account(account);
    let evidence = Evidence {
        inventory: &lists,
        on_record: &planned.on_record,
        account: own,
    };
    let mut all = Everything {
        policies,
        obstacles: Obstacles::new(policies, evidence, &planned.pinned, now),
        references: References::new(&lists).with_binned(&planned.on_record.binned),
        account: own,
        lists: &lists,
        verdicts,
        snapshots,
        images,
        known,
        near: Near::default(),
        now,
    };
    let (of_images, of_snapshots) = all.worth_a_near_look(ids);
    all.near = Near::read(ec2, policies, of_images, of_snapshots).await;
    let mut readings = lists.readings();
    readings.extend(all.near.readings());
    Ok(Explained {
        items: ids.iter().map(|id| all.one(id)).collect(),
        evidence: sources(&readings, policies),
    })
}

/// The same within an invocation's time. Where that is over before all is read that may need what is
/// asked about, all of it is `held`, with `out-of-time`.
///
/// # Errors
/// [`RunError::Inventory`]: nothing at all could be read.
pub async fn explain_in_time<E: ReadEc2, R: Records>(
    ec2: &E,
    records: &R,
    policies: &PolicyFile,
    ids: &[String],
    account: Option<&str>,
    now: Timestamp,
    invocation: &Invocation,
) -> Result<Explained, RunError> {
    let explaining = explain(ec2, records, policies, ids, account, now);
    if let Some(explained) = invocation.in_time(explaining).await {
        return explained;
    }
    let held = |id: &String| {
        let words = "the time was over while it still read what may need it; `holdfast explain` has \
                     no time-out";
        let reason = Reason::with(ReasonCode::OutOfTime, words);
        Item::new(Action::Explain, id, Outcome::Held).reason(reason)
    };
    let mut named = BTreeSet::new();
    Ok(Explained {
        items: ids
            .iter()
            .filter(|id| named.insert(*id))
            .map(held)
            .collect(),
        evidence: Vec::new(),
    })
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

/// All that a verdict on one artifact is told from.
struct Everything<'a> {
    policies: &'a PolicyFile,
    obstacles: Obstacles<'a>,
    references: References<'a>,
    account: Option<&'a str>,
    lists: &'a Inventory,
    verdicts: &'a Verdicts<'a>,
    snapshots: Listing<Snapshot>,
    images: Listing<Image>,
    known: Recorded,
    near: Near,
    now: Timestamp,
}

impl Everything<'_> {
    /// What the policy of that name says of references; the defaults where there is none.
    fn words(&self, policy: &str) -> Words<'_> {
        Words::of(governing(self.policies, policy), self.now)
    }

    /// One's own AMIs and snapshots that bear on what was asked: those asked about, the AMIs over
    /// such a snapshot, and the snapshots behind all of these AMIs.
    fn worth_a_near_look(&self, ids: &[String]) -> (BTreeSet<ImageId>, BTreeSet<SnapshotId>) {
        let (mut images, mut snapshots) = (BTreeMap::new(), BTreeSet::new());
        for id in ids {
            let Some(subject) = self.subject(id) else {
                continue;
            };
            match &subject {
                Subject::Image { image, .. } => {
                    images.insert(image.id.clone(), subject);
                }
                Subject::Snapshot(snapshot) => {
                    snapshots.insert(snapshot.id.clone());
                    let mut over: Vec<String> = Vec::new();
                    let mapping = self.references.images_of(&snapshot.id).into_iter();
                    over.extend(mapping.map(|image| image.id.to_string()));
                    let owner = snapshot.owner.as_deref();
                    if let Ok(artifact) = Artifact::read(&snapshot.tags, owner, self.account) {
                        let making = self.being_made(snapshot, &artifact).into_iter();
                        over.extend(making.map(|verdict| verdict.subject.id().to_owned()));
                    }
                    let over = over.iter().filter_map(|id| self.subject(id));
                    images.extend(over.map(|subject| (ImageId::new(subject.id()), subject)));
                }
            }
        }
        // Of what others own EC2 tells no shares.
        let own = |owner: Option<&str>| owner.is_some() && owner == self.account.or(owner);
        images.retain(|_, subject| own(subject.owner()));
        for subject in images.values() {
            if let Subject::Image {
                image,
                snapshots: listed,
            } = subject
            {
                let listed = listed.iter().map(|snapshot| &snapshot.id);
                snapshots.extend(image.snapshots().chain(listed).cloned());
            }
        }
        (images.into_keys().collect(), snapshots)
    }

    /// What an identifier stands for, where EC2 has it.
    fn subject(&self, id: &str) -> Option<Subject> {
        if let Some(verdict) = self.verdicts.about(id) {
            return Some(verdict.subject);
        }
        let snapshot = self.snapshots.items.iter().find(|s| s.id.as_str() == id);
        if let Some(snapshot) = snapshot {
            return Some(Subject::Snapshot(snapshot.clone()));
        }
        let mut images = self.images.items.iter();
        let image = images.find(|image| image.id.as_str() == id).cloned();
        let listed = &self.lists.images.items;
        let image = image.or_else(|| listed.get(listed.find(id)?))?;
        (image.state != ImageState::Deregistered).then(|| Subject::Image {
            image,
            snapshots: Vec::new(),
        })
    }

    fn one(&self, id: &str) -> Item {
        let Some(subject) = self.subject(id) else {
            return self.advised(self.absent(id));
        };
        let mut item = match (self.verdicts.about(id), &subject) {
            (Some(verdict), _) => self.judged(&verdict),
            (None, Subject::Snapshot(snapshot)) => self.snapshot(snapshot),
            (None, Subject::Image { image, .. }) => self.image(image),
        };
        // Advice goes by the reasons' own words.
        item = self.advised(item);
        if let Some(node) = self.known.node(id) {
            tell_consistency(&mut item, node);
        }
        tell_archived(&mut item, &subject);
        item
    }

    /// The item with what would break and what would have to change, unless it may go.
    fn advised(&self, mut item: Item) -> Item {
        if item.outcome != Outcome::Deletable {
            let policy = item.policy.as_deref();
            let about = About {
                id: &item.resource,
                time: item.time,
                policy: policy.and_then(|name| governing(self.policies, name)),
            };
            item.advice = advise(&about, &item.reasons);
        }
        item
    }

    /// What a near look says against a deletion: who needs it, and what could not be read.
    fn late(&self, subject: &Subject, policy: &str) -> Vec<Reason> {
        let words = self.words(policy);
        let mut reasons = self.near_holders(subject, &words);
        let (policy, lists) = (governing(self.policies, policy), self.lists.readings());
        add(&mut reasons, self.near.missing(policy, subject, &lists));
        reasons
    }

    fn near_holders(&self, subject: &Subject, words: &Words<'_>) -> Vec<Reason> {
        let (near, references, account) = (&self.near, &self.references, self.account);
        let mut reasons = Vec::new();
        match subject {
            Subject::Snapshot(snapshot) => {
                let id = snapshot.id.as_str();
                add(
                    &mut reasons,
                    near.holders_of_snapshot(&snapshot.id, account),
                );
                for image in references.images_of(&snapshot.id) {
                    let holders = near.holders_of_image(&image, references, words, account);
                    add(&mut reasons, through(id, image.id.as_str(), holders));
                }
            }
            Subject::Image { image, snapshots } => {
                let holders = near.holders_of_image(image, references, words, account);
                add(&mut reasons, holders);
                let listed = snapshots.iter().map(|snapshot| &snapshot.id);
                for snapshot in image.snapshots().chain(listed) {
                    let holders = near.holders_of_snapshot(snapshot, account);
                    add(&mut reasons, along(&image.id, holders));
                }
            }
        }
        reasons
    }

    /// Whether what has a verdict may go after a near look, and why or why not.
    fn settled(&self, verdict: &Verdict) -> (bool, Vec<Reason>) {
        let late = self.late(&verdict.subject, &verdict.policy);
        match &verdict.decision {
            Decision::Condemn(reasons) if late.is_empty() => (true, reasons.clone()),
            Decision::Condemn(_) => (false, late),
            Decision::Keep(reasons) | Decision::Hold(reasons) => {
                // What a rule keeps, and what is no backup that counts, was not looked at further.
                let mut reasons = reasons.clone();
                add(&mut reasons, self.obstacles.of(verdict));
                add(&mut reasons, late);
                (false, reasons)
            }
        }
    }

    fn judged(&self, verdict: &Verdict) -> Item {
        let (free, reasons) = self.settled(verdict);
        let outcome = if free {
            Outcome::Deletable
        } else {
            Outcome::Held
        };
        Item {
            action: Action::Explain,
            outcome,
            reasons,
            ..verdict.item(outcome)
        }
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
                if let Some(reasons) = self.goes_along(snapshot, &artifact) {
                    item.outcome = Outcome::Deletable;
                    add(&mut item.reasons, reasons);
                    return item;
                }
                for verdict in self.being_made(snapshot, &artifact) {
                    let (_, reasons) = self.settled(&verdict);
                    add(
                        &mut item.reasons,
                        through(id, verdict.subject.id(), reasons),
                    );
                }
            }
            Err(reason) => item.reasons.push(reason),
        }
        let policy = item.policy.clone().unwrap_or_default();
        let words = self.words(&policy);
        add(
            &mut item.reasons,
            self.references.holders_of_snapshot(&snapshot.id, &words),
        );
        for image in self.references.images_of(&snapshot.id) {
            let Some(verdict) = self.verdicts.about(image.id.as_str()) else {
                continue;
            };
            let (free, reasons) = self.settled(&verdict);
            if !free {
                add(&mut item.reasons, through(id, image.id.as_str(), reasons));
            }
        }
        let subject = Subject::Snapshot(snapshot.clone());
        add(&mut item.reasons, self.late(&subject, &policy));
        if item.reasons.is_empty() {
            item.reasons.push(not_judged());
        }
        item
    }

    /// Why a backing snapshot goes, where every AMI over it does and takes it along.
    fn goes_along(&self, snapshot: &Snapshot, artifact: &Artifact) -> Option<Vec<Reason>> {
        if artifact.kind != ArtifactKind::ImageSnapshot {
            return None;
        }
        let mapping = self.references.images_of(&snapshot.id).into_iter();
        let mapping = mapping.map(|image| self.verdicts.about(image.id.as_str()));
        let being_made = self.being_made(snapshot, artifact).into_iter();
        let over: Option<Vec<Verdict>> = mapping.chain(being_made.map(Some)).collect();
        let mut all = Vec::new();
        for verdict in over.filter(|over| !over.is_empty())? {
            let (free, reasons) = self.settled(&verdict);
            if !free {
                return None;
            }
            all.extend(through(snapshot.id.as_str(), verdict.subject.id(), reasons));
        }
        Some(all)
    }

    /// The verdicts on AMIs that were made with a snapshot and do not map it: a pending one may not
    /// name it yet, and a failed one not any more.
    fn being_made(&self, snapshot: &Snapshot, artifact: &Artifact) -> Vec<Verdict> {
        let of_run = |verdict: &Verdict| match (&verdict.subject, &verdict.artifact) {
            (Subject::Image { image, .. }, Some(of_image)) => {
                artifact.kind == ArtifactKind::ImageSnapshot
                    && matches!(image.state, ImageState::Pending | ImageState::Failed)
                    && image.snapshots().all(|id| *id != snapshot.id)
                    && of_image.is_of_the_same_run(artifact)
            }
            _ => false,
        };
        let images = &self.lists.images.items;
        let unsettled = [ImageState::Pending, ImageState::Failed];
        let ids: BTreeSet<String> = unsettled
            .iter()
            .flat_map(|state| images.in_state(state))
            .filter_map(|row| images.id_text(row))
            .collect();
        let verdicts = ids.iter().filter_map(|id| self.verdicts.about(id));
        verdicts.filter(of_run).collect()
    }

    /// An image without a verdict: not Holdfast's.
    fn image(&self, image: &Image) -> Item {
        let id = image.id.as_str();
        let mut item = Item::new(Action::Explain, id, Outcome::Held);
        item.time = image.created;
        item.source = image.source_instance.as_ref().map(ToString::to_string);
        let owner = image.owner.as_deref();
        let read = Artifact::read(&image.tags, owner, self.account);
        let ours = read.is_ok();
        item.reasons.push(read.err().unwrap_or_else(not_judged));
        let words = Words::of(None, self.now);
        let holders =
            self.references
                .holders_of_image_with_snapshots(image, std::iter::empty(), &words);
        add(&mut item.reasons, holders);
        // Who uses another account's AMI is not told to us.
        if ours || owner == self.account {
            let subject = Subject::Image {
                image: image.clone(),
                snapshots: Vec::new(),
            };
            add(&mut item.reasons, self.late(&subject, ""));
        }
        item
    }

    fn absent(&self, id: &str) -> Item {
        let item = Item::new(Action::Explain, id, Outcome::Held);
        let (source, error) = match NodeKind::of(id) {
            NodeKind::Snapshot => (Source::Snapshots, self.snapshots.error.as_ref()),
            NodeKind::Image => (Source::Images, self.images.error.as_ref()),
            NodeKind::Volume | NodeKind::Instance | NodeKind::Other => {
                let detail = "write the identifier of a snapshot (snap-…) or an AMI (ami-…)";
                return item.reason(Reason::with(ReasonCode::NotFound, detail));
            }
        };
        if let Some(error) = error {
            let detail = format!("{}: {error}", source.as_str());
            return item.reason(Reason::with(ReasonCode::EvidenceIncomplete, detail));
        }
        let bin = self.lists.recycle_bin.as_ref();
        let words = self.known.end_of(id, bin);
        let mut item = item.reason(Reason::with(ReasonCode::NotFound, words));
        if let Some(node) = self.known.node(id) {
            item.policy.clone_from(&node.policy);
            item.source.clone_from(&node.source);
            (item.slot, item.time) = (node.slot, node.time);
        }
        // The lineage may have first heard of it when it went.
        if let Some(deletion) = self.known.deletion(id) {
            item.policy.get_or_insert_with(|| deletion.policy.clone());
            item.time.get_or_insert(deletion.time);
        }
        item
    }
}
