//! What is read for single artifacts, as a sweep reads it right before a deletion: shares, and the
//! references that EC2 itself reports.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use holdfast_core::dependency::{Moment, References, Words, shared, unread};
use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::{
    Image, ImageReference, Listing, Reading, ReferenceScope, Share, Source,
};
use holdfast_core::plan::judge::Subject;
use holdfast_core::policy::{EvidenceSource, Policy, PolicyFile};
use holdfast_core::ports::{CallError, ReadEc2};
use holdfast_core::report::Reason;
use jiff::Timestamp;

/// Reads of shares under way at once.
const AT_ONCE: usize = 8;

/// Who shares an artifact, and when that was read.
type Shares = (Result<Vec<Share>, CallError>, Timestamp);

/// What was read near.
#[derive(Default)]
pub(super) struct Near {
    launches: Option<Listing<ImageReference>>,
    recipes: Option<Listing<ImageReference>>,
    images: BTreeMap<ImageId, Shares>,
    snapshots: BTreeMap<SnapshotId, Shares>,
}

impl Near {
    /// Reads it for these images and snapshots of one's own, at most two reads for each. What every
    /// policy declares not in use is not read.
    pub(super) async fn read<E: ReadEc2>(
        ec2: &E,
        policies: &PolicyFile,
        images: BTreeSet<ImageId>,
        snapshots: BTreeSet<SnapshotId>,
    ) -> Self {
        let wanted = |source| {
            let mut policies = policies.policies.iter();
            !images.is_empty() && policies.any(|p| !p.evidence_not_used.contains(&source))
        };
        let asked: Vec<ImageId> = images.iter().cloned().collect();
        let (launches, recipes) = (
            wanted(EvidenceSource::ImageReferences),
            wanted(EvidenceSource::ImageRecipes),
        );
        let launches = async {
            match launches {
                true => Some(ec2.image_references(&asked, ReferenceScope::Launches).await),
                false => None,
            }
        };
        let recipes = async {
            match recipes {
                true => Some(ec2.image_references(&asked, ReferenceScope::Recipes).await),
                false => None,
            }
        };
        let of_images = stream::iter(images.clone())
            .map(|id| async move {
                let at = Timestamp::now();
                let shares = ec2.image_shares(&id).await;
                (id, (shares, at))
            })
            .buffer_unordered(AT_ONCE)
            .collect();
        let of_snapshots = stream::iter(snapshots)
            .map(|id| async move {
                let at = Timestamp::now();
                let shares = ec2.snapshot_shares(&id).await;
                (id, (shares, at))
            })
            .buffer_unordered(AT_ONCE)
            .collect();
        let (launches, recipes, images, snapshots) =
            tokio::join!(launches, recipes, of_images, of_snapshots);
        Self {
            launches,
            recipes,
            images,
            snapshots,
        }
    }

    /// Who needs an image, as far as only a near look tells: EC2's own references are told with
    /// fewer words than what the lists show of the same referrer.
    pub(super) fn holders_of_image(
        &self,
        image: &Image,
        references: &References<'_>,
        words: &Words<'_>,
        account: Option<&str>,
    ) -> Vec<Reason> {
        let mut holders = Vec::new();
        for list in [&self.launches, &self.recipes].into_iter().flatten() {
            holders.extend(references.referring(&list.items, &image.id, words));
        }
        if !holders.is_empty() {
            let listed = references.holders_of_image(image, words);
            let told = |holder: &Reason| {
                let mut listed = listed.iter();
                listed.any(|known| (known.code, &known.path) == (holder.code, &holder.path))
            };
            holders.retain(|holder| !told(holder));
        }
        if let Some((Ok(shares), _)) = self.images.get(&image.id) {
            holders.extend(shared(image.id.as_str(), shares, account));
        }
        holders
    }

    /// Who besides the owner may use a snapshot.
    pub(super) fn holders_of_snapshot(
        &self,
        snapshot: &SnapshotId,
        account: Option<&str>,
    ) -> Vec<Reason> {
        match self.snapshots.get(snapshot) {
            Some((Ok(shares), _)) => shared(snapshot.as_str(), shares, account),
            Some((Err(_), _)) | None => Vec::new(),
        }
    }

    /// A reason for each source that could protect the subject and was not read as it must be.
    pub(super) fn missing(
        &self,
        policy: Option<&Policy>,
        subject: &Subject,
        lists: &[Reading],
    ) -> Vec<Reason> {
        let mut readings = lists.to_vec();
        readings.extend(self.references());
        let shares: Vec<Reading> = match subject {
            Subject::Snapshot(snapshot) => self.of_snapshots([&snapshot.id]),
            Subject::Image { image, snapshots } => {
                let along = snapshots.iter().map(|s| &s.id).chain(image.snapshots());
                let own = self.images.get(&image.id).map(reading);
                own.into_iter().chain(self.of_snapshots(along)).collect()
            }
        };
        readings.extend(shares);
        unread(policy, subject, &readings, Timestamp::now(), Moment::Acting)
    }

    /// How all of it was read.
    pub(super) fn readings(&self) -> Vec<Reading> {
        let shares = self
            .images
            .values()
            .chain(self.snapshots.values())
            .map(reading);
        self.references().into_iter().chain(shares).collect()
    }

    fn references(&self) -> Vec<Reading> {
        let lists = [&self.launches, &self.recipes].into_iter().flatten();
        lists.map(Listing::reading).collect()
    }

    fn of_snapshots<'s>(&self, ids: impl IntoIterator<Item = &'s SnapshotId>) -> Vec<Reading> {
        let read = ids.into_iter().filter_map(|id| self.snapshots.get(id));
        read.map(reading).collect()
    }
}

fn reading((shares, at): &Shares) -> Reading {
    Reading {
        source: Source::Shares,
        count: shares.as_ref().map_or(0, Vec::len),
        pages: u32::from(shares.is_ok()),
        read_at: *at,
        error: shares.as_ref().err().cloned(),
    }
}
