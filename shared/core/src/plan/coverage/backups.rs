//! The newest good backups that stand, by policy and source.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use crate::artifact::{Artifact, ArtifactKind};
use crate::inventory::{Image, ImageState, Snapshot, SnapshotState};
use crate::plan::reconcile::{Seen, has_evidence, volume_of};
use crate::policy::{PolicyFile, Protect};

/// The newest of a source's backups.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Newest<'a> {
    /// The newest good one.
    pub good: Option<(Timestamp, &'a str)>,
    /// When the newest was begun that is being made.
    pub pending: Option<Timestamp>,
}

/// All backups of Holdfast's that are listed.
#[derive(Debug)]
pub(super) struct Backups<'a> {
    /// By the place of the governing policy in the file, and by source.
    newest: HashMap<(usize, &'a str), Newest<'a>>,
    /// The policies that made good backups of a source, as the backups name them.
    makers: BTreeMap<&'a str, BTreeSet<String>>,
    /// The newest good one of a source by any policy, of the file or not.
    of_any: HashMap<&'a str, (Timestamp, &'a str)>,
    /// The newest usable AMI that a volume is in, by the place of the governing policy.
    within: BTreeMap<(usize, &'a str), (Timestamp, &'a str)>,
    snapshots_complete: bool,
    images_complete: bool,
}

impl<'a> Backups<'a> {
    pub(super) fn new(seen: &Seen<'a>, policies: &PolicyFile) -> Self {
        let mut places: HashMap<&str, (usize, Protect)> = HashMap::new();
        for (place, policy) in policies.policies.iter().enumerate() {
            for name in std::iter::once(&policy.name).chain(&policy.formerly) {
                places.insert(name, (place, policy.protect));
            }
        }
        let snapshots_complete = seen.snapshots.is_complete() && seen.named.is_complete();
        let mut backups = Self {
            newest: HashMap::new(),
            makers: BTreeMap::new(),
            of_any: HashMap::new(),
            within: BTreeMap::new(),
            snapshots_complete,
            images_complete: seen.images.is_complete() && snapshots_complete,
        };
        let listed = || seen.snapshots.items.iter().chain(&seen.named.items);
        let completed: HashMap<&str, &Snapshot> = listed()
            .filter(|snapshot| snapshot.state == SnapshotState::Completed)
            .map(|snapshot| (snapshot.id.as_str(), snapshot))
            .collect();
        for snapshot in listed() {
            let owner = snapshot.owner.as_deref();
            let Ok(artifact) = Artifact::read(&snapshot.tags, owner, seen.account) else {
                continue;
            };
            if artifact.kind == ArtifactKind::Snapshot {
                let at = places.get(artifact.policy.as_str()).copied();
                let at = at.filter(|(_, protect)| *protect == Protect::Volumes);
                backups.snapshot(snapshot, at.map(|(place, _)| place), artifact.policy);
            }
        }
        for image in &seen.images.items {
            let owner = image.owner.as_deref();
            let Ok(artifact) = Artifact::read(&image.tags, owner, seen.account) else {
                continue;
            };
            if artifact.kind == ArtifactKind::Image {
                let at = places.get(artifact.policy.as_str()).copied();
                let at = at.filter(|(_, protect)| *protect == Protect::Instances);
                let at = at.map(|(place, _)| place);
                backups.image(image, at, artifact.policy, &completed);
            }
        }
        backups
    }

    /// Whether a source without a listed backup certainly has none.
    pub(super) fn is_complete(&self, protect: Protect) -> bool {
        match protect {
            Protect::Volumes => self.snapshots_complete,
            Protect::Instances => self.images_complete,
        }
    }

    /// A source's newest by the policy at this place of the file.
    pub(super) fn of(&self, place: usize, source: &str) -> Newest<'a> {
        let newest = self.newest.get(&(place, source));
        newest.copied().unwrap_or_default()
    }

    /// The time of the newest good one of a policy.
    pub(super) fn newest_of(&self, place: usize) -> Option<Timestamp> {
        let of_policy = self.newest.iter().filter(|((at, _), _)| *at == place);
        of_policy
            .filter_map(|(_, newest)| newest.good.map(|(time, _)| time))
            .max()
    }

    /// Every source with a good backup: which policies made them, and the newest.
    pub(super) fn sources(
        &self,
    ) -> impl Iterator<Item = (&'a str, &BTreeSet<String>, (Timestamp, &'a str))> {
        self.makers.iter().filter_map(|(source, makers)| {
            let newest = self.of_any.get(source)?;
            Some((*source, makers, *newest))
        })
    }

    /// Every source with a good backup by a policy of the file, at its place there, and the newest;
    /// then every volume in an AMI of one, and that AMI.
    pub(super) fn by_place(&self) -> impl Iterator<Item = (usize, &'a str, (Timestamp, &'a str))> {
        let good = self.newest.iter().filter_map(|((place, source), newest)| {
            let good = newest.good?;
            Some((*place, *source, good))
        });
        let within = self.within.iter();
        good.chain(within.map(|((place, volume), newest)| (*place, *volume, *newest)))
    }

    fn snapshot(&mut self, snapshot: &'a Snapshot, place: Option<usize>, policy: String) {
        let (Some(source), Some(time)) = (volume_of(snapshot), snapshot.start) else {
            return;
        };
        match snapshot.state {
            SnapshotState::Completed => {
                self.good(source, place, policy, (time, snapshot.id.as_str()));
            }
            SnapshotState::Pending => self.pending(source, place, time),
            SnapshotState::Error
            | SnapshotState::Recoverable
            | SnapshotState::Recovering
            | SnapshotState::Unknown(_) => {}
        }
    }

    /// An AMI counts while it can be used: not when it is disabled, nor without a snapshot.
    fn image(
        &mut self,
        image: &'a Image,
        place: Option<usize>,
        policy: String,
        completed: &HashMap<&str, &'a Snapshot>,
    ) {
        let named = image.tags.get(crate::artifact::SOURCE).map(String::as_str);
        let named = named.filter(|source| source.starts_with("i-"));
        let source = image.source_instance.as_ref().map(|id| id.as_str());
        let (Some(source), Some(time)) = (source.or(named), image.created) else {
            return;
        };
        let whole = || {
            let mut snapshots = image.snapshots();
            has_evidence(image) && snapshots.all(|id| completed.contains_key(id.as_str()))
        };
        match image.state {
            ImageState::Available if whole() => {
                let backup = (time, image.id.as_str());
                self.good(source, place, policy, backup);
                let Some(place) = place else { return };
                let snapshots = image.snapshots();
                for volume in snapshots.filter_map(|id| volume_of(completed.get(id.as_str())?)) {
                    let newest = self.within.entry((place, volume)).or_insert(backup);
                    *newest = backup.max(*newest);
                }
            }
            ImageState::Pending => self.pending(source, place, time),
            _ => {}
        }
    }

    fn good(
        &mut self,
        source: &'a str,
        place: Option<usize>,
        policy: String,
        backup: (Timestamp, &'a str),
    ) {
        let any = self.of_any.entry(source).or_insert(backup);
        *any = backup.max(*any);
        self.makers.entry(source).or_default().insert(policy);
        if let Some(place) = place {
            let newest = self.newest.entry((place, source)).or_default();
            newest.good = newest.good.max(Some(backup));
        }
    }

    fn pending(&mut self, source: &'a str, place: Option<usize>, time: Timestamp) {
        if let Some(place) = place {
            let newest = self.newest.entry((place, source)).or_default();
            newest.pending = newest.pending.max(Some(time));
        }
    }
}
