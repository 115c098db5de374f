//! Taking over backups that another tool made: what it would come to, and the writing of the tags.
//!
//! Nothing is recorded here: the next reconcile finds what carries Holdfast's tags and is not on
//! record, and records it.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::{Image, Inventory, Listing, Snapshot};
use holdfast_core::plan::adopt::{Ground, Proposal, Proposed, Tagging, as_if_adopted, propose};
use holdfast_core::plan::judge::{Judged, Verdict, Verdicts};
use holdfast_core::policy::{Policy, PolicyFile};
use holdfast_core::ports::records::Records;
use holdfast_core::ports::{CallError, ImageScope, ReadEc2, SnapshotScope, WriteEc2};
use holdfast_core::report::{Item, Outcome, SourceEvidence, sources};
use jiff::Timestamp;

use crate::error::RunError;
use crate::sweep::{Sweep, lists, plan};

/// What is to be adopted.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The policies.
    pub policies: &'a PolicyFile,
    /// The one that is to govern it.
    pub policy: &'a Policy,
    /// `snap-…` and `ami-…`.
    pub ids: &'a [String],
    /// One's own account, where it is known.
    pub account: Option<&'a str>,
    /// The run that the tags name.
    pub run: &'a str,
    /// The time for which verdicts are decided.
    pub now: Timestamp,
}

/// What an adoption would come to.
#[derive(Clone, Debug)]
pub struct Prospect {
    /// One for each artifact that was named.
    pub proposals: Vec<Proposal>,
    /// The verdict that each adopted one would get from a sweep, in their order.
    pub verdicts: Vec<Item>,
    /// Backups that the policy has, with the verdict they would get, where it differs from the one
    /// that they get now.
    pub changed: Vec<Changed>,
    /// A failed item for each list that was not read to its end.
    pub unread: Vec<Item>,
    /// How each source was read, for the report's `run.evidence`.
    pub evidence: Vec<SourceEvidence>,
}

/// A backup of the policy's whose verdict an adoption changes.
#[derive(Clone, Debug)]
pub struct Changed {
    /// What becomes of it now.
    pub before: Outcome,
    /// The verdict it would get.
    pub item: Item,
}

/// What adopting would come to, changing nothing.
///
/// # Errors
/// [`RunError::Inventory`]: nothing at all could be read.
pub async fn prospect<E: ReadEc2, R: Records>(
    ec2: &E,
    records: &R,
    asked: &Asked<'_>,
) -> Result<Prospect, RunError> {
    let inventory = lists::read(ec2, asked.policies).await;
    if let Some(error) = inventory.nothing_read() {
        return Err(RunError::Inventory(error.clone()));
    }
    // Whole, with everybody's tags: these are looked at more closely than the lists keep.
    let named = ImageScope::Ids(own_images(asked.ids, &inventory));
    let images = ec2.images(&named).await;
    let named = SnapshotScope::Ids(snapshots_of(asked.ids, &images));
    let snapshots = ec2.snapshots(&named).await;
    let account = own_account(&inventory, &snapshots, asked.account);
    let ground = Ground {
        policies: asked.policies,
        policy: asked.policy,
        inventory: &inventory,
        images: &images,
        snapshots: &snapshots,
        account: account.as_deref(),
        run: asked.run,
    };
    let proposals = propose(&ground, asked.ids);
    let then = as_if_adopted(&ground, &proposals);
    let sweep = Sweep {
        policies: asked.policies,
        only: Some(&asked.policy.name),
        release: None,
        account: account.as_deref(),
        now: asked.now,
        acts: false,
    };
    let before = plan(records, &sweep, &inventory).await.verdicts;
    let after = plan(records, &sweep, &then).await.verdicts;
    let adopted: BTreeSet<&str> = proposals
        .iter()
        .filter(|proposal| matches!(proposal.proposed, Proposed::Adopt(_)))
        .map(|proposal| proposal.id.as_str())
        .collect();
    let of_adopted = |verdict: &Verdict| adopted.contains(verdict.subject.id());
    let verdicts = after.iter().filter(of_adopted);
    let verdicts = verdicts.map(|verdict| verdict.planned());
    Ok(Prospect {
        verdicts: verdicts.collect(),
        changed: changed(&before, &after, &adopted),
        unread: lists::unread(&inventory),
        evidence: sources(&inventory.readings(), asked.policies),
        proposals,
    })
}

/// Writes one artifact's tags, in the order proposed.
///
/// # Errors
/// The call that failed. What was tagged before it stays so: asking again finishes.
pub async fn write<E: WriteEc2>(ec2: &E, taggings: &[Tagging]) -> Result<(), CallError> {
    for Tagging { resources, tags } in taggings {
        ec2.tag(resources, tags).await?;
    }
    Ok(())
}

/// The AMIs named that are one's own.
fn own_images(ids: &[String], inventory: &Inventory) -> Vec<ImageId> {
    let named: BTreeSet<ImageId> = ids.iter().filter_map(|id| ImageId::parse(id)).collect();
    let listed = &inventory.images.items;
    let own = named
        .into_iter()
        .filter(|id| listed.find(id.as_str()).is_some());
    own.collect()
}

/// The snapshots named, and those behind the AMIs named.
fn snapshots_of(ids: &[String], images: &Listing<Image>) -> Vec<SnapshotId> {
    let mut wanted: BTreeSet<SnapshotId> =
        ids.iter().filter_map(|id| SnapshotId::parse(id)).collect();
    wanted.extend(images.items.iter().flat_map(Image::snapshots).cloned());
    wanted.into_iter().collect()
}

/// One's own account; where no list names it yet, the snapshots that were asked for do, which were
/// asked for with `self` as their owner.
fn own_account(
    inventory: &Inventory,
    snapshots: &Listing<Snapshot>,
    told: Option<&str>,
) -> Option<String> {
    if let Some(known) = inventory.own_account(told) {
        return Some(known.to_owned());
    }
    let owners: BTreeSet<&String> = snapshots
        .items
        .iter()
        .filter_map(|s| s.owner.as_ref())
        .collect();
    let mut owners = owners.into_iter();
    match (owners.next(), owners.next()) {
        (Some(owner), None) => Some(owner.clone()),
        _ => None,
    }
}

fn changed(before: &Verdicts<'_>, after: &Verdicts<'_>, adopted: &BTreeSet<&str>) -> Vec<Changed> {
    let outcome = |verdicts: &Verdicts<'_>, v| verdicts.outcome(v, Outcome::Planned);
    let outcomes: BTreeMap<_, Outcome> = (0..before.len())
        .map(|v| (before.id(v), outcome(before, v)))
        .collect();
    let present = (0..after.len()).filter(|&v| !adopted.contains(after.id(v).as_ref()));
    present
        .filter_map(|v| {
            let before = *outcomes.get(&after.id(v))?;
            let item = after
                .get(v)
                .filter(|_| outcome(after, v) != before)?
                .planned();
            Some(Changed { before, item })
        })
        .collect()
}
