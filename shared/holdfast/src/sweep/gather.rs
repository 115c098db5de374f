//! Reading what a sweep decides on, and deciding.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::artifact;
use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::{
    Image, ImageState, Instance, InstanceState, LaunchTemplateVersion, Listing, Snapshot, Tags,
    Volume, VolumeState,
};
use holdfast_core::plan::judge::{Evidence, Leftover, Verdict, judge, unmapped};
use holdfast_core::plan::reopening::{questions, waits};
use holdfast_core::plan::settle::{Recorded, Settled, WINDOW, settle};
use holdfast_core::policy::{EvidenceSource, PolicyFile};
use holdfast_core::ports::records::{DeletionState, Records, TableError, TableErrorKind};
use holdfast_core::ports::{CallError, ImageScope, InstanceScope, ReadEc2, SnapshotScope};
use holdfast_core::report::{Action, Item, Outcome, Reason, ReasonCode};
use jiff::Timestamp;

/// What a sweep is asked to decide.
#[derive(Clone, Copy, Debug)]
pub struct Sweep<'a> {
    /// The policies.
    pub policies: &'a PolicyFile,
    /// Only this one.
    pub only: Option<&'a str>,
    /// Hash of a plan whose tripped breaker is released.
    pub release: Option<&'a str>,
    /// One's own account, where it is known.
    pub account: Option<&'a str>,
    /// The time it decides for.
    pub now: Timestamp,
    /// Whether a release is used up.
    pub take_release: bool,
}

/// The lists, each to its last page or marked.
#[derive(Debug)]
pub struct Lists {
    /// Managed snapshots.
    pub snapshots: Listing<Snapshot>,
    /// Snapshots that managed images map and that are not among the managed ones.
    pub mapped: Listing<Snapshot>,
    /// One's own images.
    pub images: Listing<Image>,
    /// Instances.
    pub instances: Listing<Instance>,
    /// Volumes.
    pub volumes: Listing<Volume>,
    /// Launch-template versions, unless every policy declares them not in use.
    pub templates: Option<Listing<LaunchTemplateVersion>>,
}

impl Lists {
    /// Reads them all, at once but for what only the others tell to ask for.
    pub async fn read<E: ReadEc2>(ec2: &E, sweep: &Sweep<'_>) -> Self {
        let unused = EvidenceSource::LaunchTemplates;
        let wanted = sweep
            .policies
            .policies
            .iter()
            .any(|p| !p.evidence_not_used.contains(&unused));
        let templates = async {
            if wanted {
                Some(ec2.launch_template_versions().await)
            } else {
                None
            }
        };
        let (snapshots, images, instances, volumes, templates) = tokio::join!(
            ec2.snapshots(&SnapshotScope::Managed),
            ec2.images(&ImageScope::Own),
            ec2.instances(&InstanceScope::All),
            ec2.volumes(),
            templates,
        );
        let rest = SnapshotScope::Ids(unlisted(&images, &snapshots));
        let mapped = ec2.snapshots(&rest).await;
        Self {
            snapshots,
            mapped,
            images,
            instances,
            volumes,
            templates,
        }
    }

    /// The evidence for the judge.
    fn evidence<'a>(&'a self, account: Option<&'a str>, records: &'a Foreknown) -> Evidence<'a> {
        Evidence {
            snapshots: &self.snapshots,
            mapped: &self.mapped,
            images: &self.images,
            instances: &self.instances,
            volumes: &self.volumes,
            templates: self.templates.as_ref(),
            gone_since: &records.gone_since,
            leftovers: &records.leftovers,
            account: self.own_account(account),
        }
    }

    /// What was read, for the record of a deletion.
    #[must_use]
    pub fn summary(&self) -> serde_json::Value {
        fn of<T>(list: &Listing<T>) -> serde_json::Value {
            serde_json::json!({
                "source": list.source.as_str(), "count": list.items.len(),
                "pages": list.pages, "read_at": list.read_at.to_string(),
                "complete": list.is_complete(),
            })
        }
        let mut all = vec![
            of(&self.snapshots),
            of(&self.mapped),
            of(&self.images),
            of(&self.instances),
            of(&self.volumes),
        ];
        all.extend(self.templates.as_ref().map(of));
        all.into()
    }

    /// The error of a run that could not read anything at all: no credentials, no EC2.
    #[must_use]
    pub fn nothing_read(&self) -> Option<&CallError> {
        let pages = self.snapshots.pages
            + self.images.pages
            + self.instances.pages
            + self.volumes.pages
            + self.templates.as_ref().map_or(0, |list| list.pages);
        self.snapshots.error.as_ref().filter(|_| pages == 0)
    }

    /// One's own account.
    ///
    /// The lists were asked for with `self` as the owner, so an owner that all of them name is
    /// EC2's own word for it. Only where they disagree does the caller's word decide.
    pub(crate) fn own_account<'a>(&'a self, told: Option<&'a str>) -> Option<&'a str> {
        let snapshots = self
            .snapshots
            .items
            .iter()
            .filter_map(|s| s.owner.as_deref());
        let images = self.images.items.iter().filter_map(|i| i.owner.as_deref());
        let owners: BTreeSet<&str> = snapshots.chain(images).collect();
        match owners.iter().next() {
            Some(owner) if owners.len() == 1 => Some(owner),
            None => told,
            // Lists of one's own that name several owners, and nobody to say which is one's own:
            // then nothing is.
            Some(_) => told.or(Some("unknown")),
        }
    }

    /// A failed item for each list that was not read to its end.
    #[must_use]
    pub fn unread(&self) -> Vec<Item> {
        fn of<T>(list: &Listing<T>) -> Option<Item> {
            let error = list.error.as_ref()?;
            let detail = format!("{error}; what it could protect is held");
            Some(
                Item::new(Action::Check, list.source.as_str(), Outcome::Failed)
                    .reason(Reason::with(ReasonCode::EvidenceIncomplete, detail)),
            )
        }
        [
            // Both are lists of snapshots; one line says so.
            of(&self.snapshots).or_else(|| of(&self.mapped)),
            of(&self.images),
            of(&self.instances),
            of(&self.volumes),
            self.templates.as_ref().and_then(of),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Sources that are listed, and whether each is pinned now.
    ///
    /// `None` for those on their way out: EC2 takes the tags off a terminated instance while it is
    /// still listed, so a missing pin says nothing there.
    pub(super) fn listed_pins(&self) -> BTreeMap<&str, Option<bool>> {
        let pinned = |tags: &Tags, dying: bool| match tags.contains_key(artifact::PIN) {
            true => Some(true),
            false if dying => None,
            false => Some(false),
        };
        let volumes = self.volumes.items.iter().map(|volume| {
            let dying = matches!(volume.state, VolumeState::Deleting | VolumeState::Deleted);
            (volume.id.as_str(), pinned(&volume.tags, dying))
        });
        let instances = self.instances.items.iter().map(|instance| {
            let dying = matches!(
                instance.state,
                InstanceState::ShuttingDown | InstanceState::Terminated
            );
            (instance.id.as_str(), pinned(&instance.tags, dying))
        });
        volumes.chain(instances).collect()
    }
}

/// What managed images map and the list of managed snapshots lacks.
fn unlisted(images: &Listing<Image>, snapshots: &Listing<Snapshot>) -> Vec<SnapshotId> {
    let listed: BTreeSet<&SnapshotId> = snapshots.items.iter().map(|s| &s.id).collect();
    let managed =
        |image: &&Image| image.tags.get(artifact::MANAGED).map(String::as_str) == Some("true");
    let mapped = images
        .items
        .iter()
        .filter(managed)
        .flat_map(Image::snapshots);
    let missing: BTreeSet<&SnapshotId> = mapped.filter(|id| !listed.contains(id)).collect();
    missing.into_iter().cloned().collect()
}

/// A plan: verdicts, and what the guardrails did.
#[derive(Debug)]
pub struct Planned {
    /// One for each managed artifact, oldest first.
    pub verdicts: Vec<Verdict>,
    /// What the guardrails did.
    pub settled: Settled,
    /// Sources to be recorded as pinned.
    pub pin: Vec<String>,
    /// Sources recorded as pinned that no longer are.
    pub unpin: Vec<String>,
    /// Whether a release was asked for that no stored plan answers to.
    pub release_unknown: bool,
}

/// Decides, changing nothing. A table that cannot be read holds everything.
pub async fn plan<R: Records>(records: &R, sweep: &Sweep<'_>, lists: &Lists) -> Planned {
    let (foreknown, unread) = match foreknown(records, lists).await {
        Ok(foreknown) => (foreknown, None),
        Err(error) => (Foreknown::default(), Some(error)),
    };
    let evidence = lists.evidence(sweep.account, &foreknown);
    let mut verdicts = judge(sweep.policies, &evidence, sweep.now, sweep.only);
    let wall = Timestamp::now();
    let known = match unread {
        Some(error) => Err(error),
        None => known(records, sweep, lists, &verdicts, wall).await,
    };
    let mut known = known.unwrap_or_else(|error| Known {
        recorded: Recorded {
            error: Some(error.to_string()),
            ..Recorded::default()
        },
        ..Known::default()
    });
    let recorded = std::mem::take(&mut known.recorded);
    let settled = settle(sweep.policies, &mut verdicts, &recorded, sweep.now, wall);
    Planned {
        verdicts,
        settled,
        pin: known.pin,
        unpin: known.unpin,
        release_unknown: known.release_unknown,
    }
}

/// What the judge asks of the records.
#[derive(Debug, Default)]
struct Foreknown {
    gone_since: BTreeMap<String, Timestamp>,
    leftovers: BTreeMap<String, Leftover>,
}

async fn foreknown<R: Records>(records: &R, lists: &Lists) -> Result<Foreknown, TableError> {
    let absences = records.absences().await?.into_iter();
    let gone_since = absences.filter_map(|(id, absence)| Some((id, absence.confirmed?)));
    Ok(Foreknown {
        gone_since: gone_since.collect(),
        leftovers: leftovers(records, lists).await?,
    })
}

/// The orphans whose AMI Holdfast deregistered or meant to, as the records have it.
async fn leftovers<R: Records>(
    records: &R,
    lists: &Lists,
) -> Result<BTreeMap<String, Leftover>, TableError> {
    let orphans: Vec<String> = unmapped(&lists.snapshots, &lists.images)
        .into_iter()
        .collect();
    if orphans.is_empty() {
        return Ok(BTreeMap::new());
    }
    // What was deleted and is listed again, somebody took out of the Recycle Bin.
    let of_snapshots = records.deletions(&orphans).await?.into_iter();
    let unfinished: Vec<(String, ImageId, Timestamp)> = of_snapshots
        .filter(|(_, (_, state))| *state != DeletionState::Deleted)
        .filter_map(|(id, (deletion, _))| Some((id, ImageId::new(deletion.image?), deletion.time)))
        .collect();
    let images: BTreeSet<String> = unfinished
        .iter()
        .map(|(_, ami, _)| ami.to_string())
        .collect();
    let of_images = records
        .deletions(&images.into_iter().collect::<Vec<_>>())
        .await?;
    let standing = |image: &ImageId| {
        let mut images = lists.images.items.iter();
        images.any(|i| i.id == *image && i.state != ImageState::Deregistered)
    };
    // Where EC2 refused, the AMI went some other way.
    let by_holdfast = |image: &ImageId| {
        if standing(image) {
            return false;
        }
        let state = of_images.get(image.as_str()).map(|(_, state)| *state);
        matches!(
            state,
            Some(DeletionState::Intended | DeletionState::Deleted)
        )
    };
    let unfinished = unfinished
        .into_iter()
        .filter(|(_, image, _)| by_holdfast(image));
    Ok(unfinished
        .map(|(id, image, time)| (id, Leftover { image, time }))
        .collect())
}

/// What the table says, and what the lists say against it.
#[derive(Default)]
struct Known {
    recorded: Recorded,
    pin: Vec<String>,
    unpin: Vec<String>,
    release_unknown: bool,
}

async fn known<R: Records>(
    records: &R,
    sweep: &Sweep<'_>,
    lists: &Lists,
    verdicts: &[Verdict],
    wall: Timestamp,
) -> Result<Known, TableError> {
    let mut known = Known::default();
    let recorded = &mut known.recorded;
    let listed = lists.listed_pins();
    let on_record = records.pins().await?;
    let sources: BTreeSet<&str> = verdicts.iter().flat_map(|v| v.subject.sources()).collect();
    for (source, pinned) in &listed {
        let was = on_record.contains(*source);
        match pinned {
            Some(true) if !was && sources.contains(source) => known.pin.push((*source).into()),
            Some(false) if was => known.unpin.push((*source).into()),
            Some(_) | None => {}
        }
    }
    let taken_off = |id: &String| listed.get(id.as_str()) == Some(&Some(false));
    recorded.pinned = on_record.into_iter().filter(|id| !taken_off(id)).collect();

    for policy in &sweep.policies.policies {
        let of_policy: Vec<&Verdict> = verdicts
            .iter()
            .filter(|v| v.policy == policy.name)
            .collect();
        if policy.grace.is_some() && !of_policy.is_empty() {
            let ids: Vec<String> = of_policy
                .iter()
                .map(|v| v.subject.id().to_owned())
                .collect();
            recorded.condemned.extend(records.condemned(&ids).await?);
        }
        if of_policy.iter().any(|v| v.is_condemned()) {
            let mut retired = Vec::new();
            for name in std::iter::once(&policy.name).chain(&policy.formerly) {
                retired.extend(records.retired(name, wall - WINDOW, wall).await?);
            }
            recorded.retired.insert(policy.name.clone(), retired);
        }
    }
    recorded.unreopened = unreopened(records, verdicts).await?;
    if let Some(hash) = sweep.release {
        let released = records.tripped(hash, wall, sweep.take_release).await?;
        // The hash was shown to a person; a stored list that does not have it is not that plan.
        let released = released.filter(|list| {
            let pairs = list.iter().map(|(p, r)| (p.as_str(), r.as_str()));
            holdfast_core::plan::settle::plan_hash(pairs) == hash
        });
        known.release_unknown = released.is_none();
        recorded.released = released.into_iter().flatten().collect();
    }
    Ok(known)
}

/// Failed backups whose slot does not know yet that they failed. A record that cannot be read holds
/// the one that it is about.
async fn unreopened<R: Records>(
    records: &R,
    verdicts: &[Verdict],
) -> Result<BTreeMap<String, String>, TableError> {
    let mut waiting = BTreeMap::new();
    for (id, keys) in questions(verdicts) {
        for key in keys {
            let source = std::slice::from_ref(&key.source);
            let request = key.request.as_deref();
            let read = records.slots(&key.policy, key.slot, request, source).await;
            let words = match read {
                Ok(found) => found.get(&key.source).and_then(|slot| waits(&id, slot)),
                Err(error) if error.kind == TableErrorKind::Unreadable => Some(error.to_string()),
                Err(error) => return Err(error),
            };
            if let Some(words) = words {
                waiting.insert(id, words);
                break;
            }
        }
    }
    Ok(waiting)
}
