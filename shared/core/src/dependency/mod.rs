//! The reference graph: what needs a snapshot or an AMI, with the path to it.
//!
//! Built from lists that are already here; it never fetches. What it does not find is proof of
//! nothing unless the lists were complete and fresh, which [`unread`] tells. What a list shows
//! holds, also for a policy that declares that list's source not in use.

mod copies;
mod named_image;
mod over;
mod protects;
mod reported;
mod templates;
mod words;

pub use protects::{FRESH, Moment, unread};
pub use reported::shared;
pub use words::Words;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::id::{ImageId, SnapshotId};
use crate::inventory::table::PackedId;
use crate::inventory::{
    FastRestore, Image, Instance, Inventory, LaunchTemplateVersion, Listing, Referrer,
    ReferrerKind, SnapshotLock,
};
use crate::policy::EvidenceSource;
use crate::report::{Reason, ReasonCode};

use copies::Copies;
use named_image::NamedImage;
use over::over_snapshot;
use templates::{Templates, by_template};

/// Who refers to what.
#[derive(Debug)]
pub struct References<'a> {
    inventory: &'a Inventory,
    /// Places of images behind what they map, ascending.
    images: Vec<(PackedId, u32)>,
    instances: HashMap<&'a ImageId, Vec<&'a Instance>>,
    /// Of which EC2 does not tell what they were launched from.
    imageless: Vec<&'a Instance>,
    /// By the AMI or the snapshot that they name.
    versions: HashMap<&'a str, Vec<&'a LaunchTemplateVersion>>,
    /// By the AMI or the snapshot that they name; none that is over.
    referrers: HashMap<&'a str, Vec<&'a Referrer>>,
    groups_by_configuration: HashMap<&'a str, Vec<&'a Referrer>>,
    templates: Templates<'a>,
    hidden: Vec<Hidden<'a>>,
    copies: Copies,
    fast_restores: HashMap<&'a SnapshotId, Vec<&'a FastRestore>>,
    locks: HashMap<&'a SnapshotId, &'a SnapshotLock>,
    binned: Option<&'a BTreeMap<String, BTreeSet<ImageId>>>,
}

/// What names no AMI but a way to find one, and nobody has asked which AMI that is.
#[derive(Clone, Copy, Debug)]
struct Hidden<'a> {
    by: HiddenBy<'a>,
    /// Whether `DescribeImageReferences` tells of it.
    listed: bool,
}

#[derive(Clone, Copy, Debug)]
enum HiddenBy<'a> {
    Version(&'a LaunchTemplateVersion),
    Referrer(&'a Referrer),
}

impl<'a> References<'a> {
    /// The graph over these lists.
    #[must_use]
    pub fn new(inventory: &'a Inventory) -> Self {
        fn items<T>(list: Option<&Listing<T>>) -> &[T] {
            list.map_or(&[], |list| &list.items)
        }
        let versions = items(inventory.templates.as_ref());
        let referrers = [
            &inventory.launch_configurations,
            &inventory.auto_scaling,
            &inventory.fleets,
        ];
        let referrers = || {
            let all = referrers.into_iter().flat_map(|list| items(list.as_ref()));
            all.filter(|referrer| !is_over(referrer))
        };
        let mut graph = Self {
            inventory,
            images: Vec::new(),
            instances: HashMap::new(),
            imageless: Vec::new(),
            versions: HashMap::new(),
            referrers: HashMap::new(),
            groups_by_configuration: HashMap::new(),
            templates: Templates::new(versions, referrers()),
            hidden: Vec::new(),
            copies: Copies::new(inventory),
            fast_restores: HashMap::new(),
            locks: HashMap::new(),
            binned: None,
        };
        let account = inventory.own_account(None);
        let images = &inventory.images.items;
        for (row, place) in (0..images.len()).zip(0u32..) {
            let mapped = images.mapped(row);
            graph
                .images
                .extend(mapped.map(|snapshot| (snapshot, place)));
        }
        graph.images.sort_unstable();
        for instance in &inventory.instances.items {
            match &instance.image {
                Some(image) => push(&mut graph.instances, image, instance),
                None => graph.imageless.push(instance),
            }
        }
        for version in versions {
            graph.add_version(version, account);
        }
        for referrer in referrers() {
            graph.add_referrer(referrer, account);
        }
        for restore in items(inventory.fast_restores.as_ref()) {
            if restore.state != "disabled" {
                push(&mut graph.fast_restores, &restore.snapshot, restore);
            }
        }
        for lock in &inventory.locks.items {
            if lock.state != "expired" {
                graph.locks.insert(&lock.snapshot, lock);
            }
        }
        graph
    }

    /// The graph with AMIs in the Recycle Bin that are recorded as backed by a snapshot, by the
    /// snapshot.
    #[must_use]
    pub fn with_binned(mut self, binned: &'a BTreeMap<String, BTreeSet<ImageId>>) -> Self {
        self.binned = Some(binned);
        self
    }

    fn add_version(&mut self, version: &'a LaunchTemplateVersion, account: Option<&str>) {
        for snapshot in &version.snapshots {
            push(&mut self.versions, snapshot.as_str(), version);
        }
        if let Some(image) = &version.resolved {
            push(&mut self.versions, image.as_str(), version);
        }
        let Some(named) = &version.image else { return };
        match NamedImage::read(named, account) {
            NamedImage::Image(image) => push(&mut self.versions, image, version),
            NamedImage::Parameter | NamedImage::Hidden if version.resolved.is_some() => {}
            NamedImage::Public => {}
            named => self.hidden.push(Hidden {
                by: HiddenBy::Version(version),
                listed: named == NamedImage::Parameter,
            }),
        }
    }

    fn add_referrer(&mut self, referrer: &'a Referrer, account: Option<&str>) {
        for snapshot in &referrer.snapshots {
            push(&mut self.referrers, snapshot.as_str(), referrer);
        }
        for named in &referrer.images {
            match NamedImage::read(named, account) {
                NamedImage::Image(image) => push(&mut self.referrers, image, referrer),
                NamedImage::Public => {}
                named => self.hidden.push(Hidden {
                    by: HiddenBy::Referrer(referrer),
                    listed: named == NamedImage::Parameter,
                }),
            }
        }
        if let Some(configuration) = &referrer.launch_configuration {
            push(
                &mut self.groups_by_configuration,
                configuration.as_str(),
                referrer,
            );
        }
    }

    /// Everything that needs a snapshot, each with its path; empty when nothing does. An image that
    /// maps it needs it in whatever state it is: disabled, deprecated or pending.
    #[must_use]
    pub fn holders_of_snapshot(&self, snapshot: &SnapshotId, words: &Words<'_>) -> Vec<Reason> {
        let mut holders = self.direct_holders(snapshot, words);
        for image in self.images_of(snapshot) {
            holders.push(over_snapshot(snapshot, &image));
            let of_image = self.holders_of_image(&image, words).into_iter();
            holders.extend(of_image.map(|holder| through(snapshot.as_str(), holder)));
        }
        tidied(holders)
    }

    /// Everything that needs an image, or a snapshot that would go with it, other images excepted:
    /// `snapshots` are those, beside the ones that it maps.
    ///
    /// Another image over the same snapshot is no holder: the snapshot stays with that one
    /// (`DeleteSnapshotReturnCode` `skipped`, EC2 API Reference).
    #[must_use]
    pub fn holders_of_image_with_snapshots<'s>(
        &self,
        image: &'s Image,
        snapshots: impl Iterator<Item = &'s SnapshotId>,
        words: &Words<'_>,
    ) -> Vec<Reason> {
        let mut holders = self.holders_of_image(image, words);
        let along: BTreeSet<&SnapshotId> = image.snapshots().chain(snapshots).collect();
        for snapshot in along {
            let named = self.direct_holders(snapshot, words).into_iter();
            holders.extend(named.map(|holder| through(image.id.as_str(), holder)));
        }
        tidied(holders)
    }

    /// What needs a snapshot itself, not through an image.
    fn direct_holders(&self, snapshot: &SnapshotId, words: &Words<'_>) -> Vec<Reason> {
        let id = snapshot.as_str();
        let mut holders = self.namers(id, words);
        holders.extend(self.copies.of(id));
        let restores = self.fast_restores.get(snapshot).into_iter().flatten();
        holders.extend(restores.map(|restore| Reason {
            code: ReasonCode::FastRestoreEnabled,
            detail: Some(format!(
                "fast snapshot restore is {} in {}",
                restore.state, restore.zone
            )),
            path: vec![id.to_owned()],
        }));
        if let Some(lock) = self.locks.get(snapshot) {
            let until = lock.expires.map(|t| format!(" until {t}"));
            holders.push(Reason {
                code: ReasonCode::Locked,
                detail: Some(format!(
                    "it is locked ({}){}",
                    lock.state,
                    until.unwrap_or_default()
                )),
                path: vec![id.to_owned()],
            });
        }
        let binned = self.binned.and_then(|binned| binned.get(id));
        holders.extend(binned.into_iter().flatten().map(|image| Reason {
            code: ReasonCode::InRecycleBin,
            detail: Some(format!("{image} lies in the Recycle Bin and is made of it")),
            path: vec![id.to_owned(), image.to_string()],
        }));
        holders
    }

    /// Everything that needs an image, each with its path; empty when nothing does.
    #[must_use]
    pub fn holders_of_image(&self, image: &Image, words: &Words<'_>) -> Vec<Reason> {
        let id = image.id.as_str();
        let mut holders = Vec::new();
        for instance in self.instances.get(&image.id).into_iter().flatten() {
            let path = vec![id.to_owned(), instance.id.to_string()];
            if words.holds(&instance.state) {
                holders.push(Reason {
                    code: ReasonCode::UsedByInstance,
                    detail: Some(format!(
                        "{} ({}) was launched from it",
                        instance.id, instance.state
                    )),
                    path: path.clone(),
                });
            }
            holders.extend(recently(words, instance.launched, path));
        }
        holders.extend(recently(words, image.last_launched, vec![id.to_owned()]));
        if image.public {
            holders.push(reported::everybody(id));
        }
        holders.extend(self.namers(id, words));
        holders.extend(self.copies.of(id));
        holders.extend(self.unresolved(id, words));
        tidied(holders)
    }

    /// What names an AMI or a snapshot to launch from it.
    fn namers(&self, id: &str, words: &Words<'_>) -> Vec<Reason> {
        let versions = self.versions.get(id).map_or(&[][..], Vec::as_slice);
        let holding = versions.iter().filter(|v| self.templates.holds(v, words));
        let mut holders = by_template(holding.copied(), id);
        for version in versions {
            let template = version.template.as_str();
            for user in self.templates.users(version) {
                holders.push(Reason {
                    code: code(user.kind),
                    detail: Some(format!(
                        "{} launches {template} version {}",
                        title(user),
                        version.version
                    )),
                    path: vec![id.to_owned(), template.to_owned(), user.id.clone()],
                });
            }
        }
        for referrer in self.referrers.get(id).into_iter().flatten() {
            holders.push(Reason {
                code: code(referrer.kind),
                detail: Some(format!("{} names it", title(referrer))),
                path: vec![id.to_owned(), referrer.id.clone()],
            });
            if referrer.kind != ReferrerKind::LaunchConfiguration {
                continue;
            }
            let groups = self.groups_by_configuration.get(referrer.id.as_str());
            for group in groups.into_iter().flatten() {
                holders.push(Reason {
                    code: code(group.kind),
                    detail: Some(format!("{} launches {}", title(group), title(referrer))),
                    path: vec![id.to_owned(), referrer.id.clone(), group.id.clone()],
                });
            }
        }
        holders
    }

    /// A reason for each referrer whose image may be any AMI: an instance of which EC2 does not tell
    /// it, and a parameter that nobody resolved and no other source tells of.
    fn unresolved(&self, id: &str, words: &Words<'_>) -> Vec<Reason> {
        let listed = words.needs(EvidenceSource::ImageReferences);
        let doubtful = || self.hidden.iter().filter(|h| !(h.listed && listed));
        let versions = doubtful().filter_map(|hidden| match hidden.by {
            HiddenBy::Version(version) => Some(version),
            HiddenBy::Referrer(_) => None,
        });
        let needed = words.needs(EvidenceSource::LaunchTemplates);
        let versions = versions.filter(|v| needed && self.templates.counts(v, words));
        let mut reasons: Vec<Reason> = by_template(versions, id)
            .into_iter()
            .map(|reason| doubt(reason.detail.unwrap_or_default(), UNRESOLVED, reason.path))
            .collect();
        let imageless = self.imageless.iter().filter(|i| words.holds(&i.state));
        reasons.extend(imageless.map(|instance| {
            let who = format!("{} ({})", instance.id, instance.state);
            let path = vec![id.to_owned(), instance.id.to_string()];
            doubt(who, "EC2 does not tell what it was launched from", path)
        }));
        for hidden in doubtful() {
            if let HiddenBy::Referrer(referrer) = hidden.by
                && words.needs(source(referrer.kind))
            {
                let path = vec![id.to_owned(), referrer.id.clone()];
                reasons.push(doubt(title(referrer), UNRESOLVED, path));
            }
        }
        reasons
    }
}

fn push<K: std::hash::Hash + Eq, V>(index: &mut HashMap<K, Vec<V>>, key: K, value: V) {
    index.entry(key).or_default().push(value);
}

/// Whether a referrer launches nothing any more and needs nothing that it names. A state that
/// Holdfast does not know needs it still.
fn is_over(referrer: &Referrer) -> bool {
    let Some(state) = referrer.state.as_deref() else {
        return false;
    };
    match referrer.kind {
        ReferrerKind::LaunchConfiguration | ReferrerKind::AutoScalingGroup => false,
        ReferrerKind::Fleet => matches!(state, "deleted" | "failed"),
        ReferrerKind::SpotFleet => matches!(state, "cancelled" | "failed"),
        ReferrerKind::SpotRequest => matches!(state, "closed" | "cancelled" | "failed"),
    }
}

fn code(kind: ReferrerKind) -> ReasonCode {
    match kind {
        ReferrerKind::LaunchConfiguration => ReasonCode::UsedByLaunchConfiguration,
        ReferrerKind::AutoScalingGroup => ReasonCode::UsedByAutoScalingGroup,
        ReferrerKind::Fleet | ReferrerKind::SpotFleet | ReferrerKind::SpotRequest => {
            ReasonCode::UsedByFleet
        }
    }
}

fn source(kind: ReferrerKind) -> EvidenceSource {
    match kind {
        ReferrerKind::LaunchConfiguration => EvidenceSource::LaunchConfigurations,
        ReferrerKind::AutoScalingGroup => EvidenceSource::AutoScaling,
        ReferrerKind::Fleet | ReferrerKind::SpotFleet | ReferrerKind::SpotRequest => {
            EvidenceSource::Fleets
        }
    }
}

/// A referrer in words.
fn title(referrer: &Referrer) -> String {
    let kind = match referrer.kind {
        ReferrerKind::LaunchConfiguration => "launch configuration",
        ReferrerKind::AutoScalingGroup => "Auto Scaling group",
        ReferrerKind::Fleet => "EC2 Fleet",
        ReferrerKind::SpotFleet => "Spot Fleet",
        ReferrerKind::SpotRequest => "Spot request",
    };
    match &referrer.state {
        Some(state) => format!("{kind} {} ({state})", referrer.id),
        None => format!("{kind} {}", referrer.id),
    }
}

fn recently(
    words: &Words<'_>,
    launched: Option<jiff::Timestamp>,
    path: Vec<String>,
) -> Option<Reason> {
    let launched = launched?;
    let period = words.recent(launched)?;
    Some(Reason {
        code: ReasonCode::RecentlyLaunched,
        detail: Some(format!(
            "it was launched at {launched}; recently_launched is {period}"
        )),
        path,
    })
}

/// What the reason says of a referrer whose image may be any AMI.
pub(crate) const UNRESOLVED: &str = "its image is a parameter that is not resolved";

fn doubt(who: String, why: &str, path: Vec<String>) -> Reason {
    Reason {
        code: ReasonCode::EvidenceIncomplete,
        detail: Some(format!("{who}: {why}")),
        path,
    }
}

/// A reason as it leads from what the first of its path is part of.
fn through(from: &str, mut reason: Reason) -> Reason {
    reason.path.insert(0, from.to_owned());
    reason
}

fn tidied(mut reasons: Vec<Reason>) -> Vec<Reason> {
    reasons.sort();
    reasons.dedup();
    reasons
}
