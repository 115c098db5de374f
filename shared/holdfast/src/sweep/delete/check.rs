//! The last look at what is about to go: whatever changed since the lists were read is held.

use std::collections::BTreeMap;

use holdfast_core::artifact;
use holdfast_core::dependency::{FRESH, References, Words};
use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::{
    Image, Inventory, LaunchTemplateVersion, Listing, Snapshot, Source, Tags,
};
use holdfast_core::plan::judge::{Subject, Verdict};
use holdfast_core::policy::{EvidenceSource, PolicyFile};
use holdfast_core::ports::{CallError, ImageScope, InstanceScope, ReadEc2, SnapshotScope};
use holdfast_core::report::{Reason, ReasonCode};
use jiff::{SignedDuration, Timestamp};

/// Reads condemned snapshots and their images once more; what changed is held.
pub(super) async fn snapshots<E: ReadEc2>(
    ec2: &E,
    condemned: &[Verdict],
    lists: &Inventory,
) -> Vec<Verdict> {
    let wanted = condemned.iter().filter_map(|v| match &v.subject {
        Subject::Snapshot(snapshot) => Some(snapshot.id.clone()),
        Subject::Image { .. } => None,
    });
    let ids: Vec<SnapshotId> = wanted.collect();
    let (again, mapping) = (SnapshotScope::Ids(ids.clone()), ImageScope::MappingAny(ids));
    let (snapshots, images) = tokio::join!(ec2.snapshots(&again), ec2.images(&mapping));
    let present = by_id(&snapshots);
    let now = Timestamp::now();
    let again = Inventory {
        images,
        ..Inventory::empty(now)
    };
    let (references, words) = (References::new(&again), Words::of(None, now));
    let mut checked = condemned.to_vec();
    for verdict in &mut checked {
        let Subject::Snapshot(snapshot) = verdict.subject.clone() else {
            continue;
        };
        hold_unread(verdict, lists, [&snapshots.error, &again.images.error]);
        for holder in references.holders_of_snapshot(&snapshot.id, &words) {
            verdict.hold(holder);
        }
        let now = present.get(&snapshot.id).copied();
        hold_changed(verdict, &snapshot, now, snapshots.is_complete());
    }
    checked
}

/// How old the list of launch templates may be when images go.
const TEMPLATES_FRESH: SignedDuration = SignedDuration::from_mins(1);

/// Launch-template versions as they are right before images go.
pub(super) struct Templates<'a> {
    /// The policies, some of which may not ask for them.
    pub policies: &'a PolicyFile,
    /// Those of less than a minute ago; `None` when no policy asks for them.
    pub list: Option<&'a Listing<LaunchTemplateVersion>>,
}

impl Templates<'_> {
    fn words(&self, policy: &str, now: Timestamp) -> Words<'_> {
        let policy = self.policies.policies.iter().find(|p| p.name == policy);
        Words::of(policy, now)
    }
}

/// Reads launch-template versions again, unless `read` is from just now.
pub(super) async fn templates_again<E: ReadEc2>(
    ec2: &E,
    lists: &Inventory,
    read: Option<Listing<LaunchTemplateVersion>>,
) -> Option<Listing<LaunchTemplateVersion>> {
    lists.templates.as_ref()?;
    let young = |list: &Listing<LaunchTemplateVersion>| {
        Timestamp::now().duration_since(list.read_at).abs() < TEMPLATES_FRESH
    };
    match read.filter(young) {
        Some(list) => Some(list),
        None => Some(ec2.launch_template_versions().await),
    }
}

/// Reads condemned images, what was launched from them and their snapshots once more; what
/// changed is held.
pub(super) async fn images<E: ReadEc2>(
    ec2: &E,
    condemned: &[Verdict],
    lists: &Inventory,
    templates: &Templates<'_>,
) -> Vec<Verdict> {
    let (mut ids, mut backing): (Vec<ImageId>, Vec<SnapshotId>) = (Vec::new(), Vec::new());
    for verdict in condemned {
        if let Subject::Image { image, snapshots } = &verdict.subject {
            ids.push(image.id.clone());
            backing.extend(snapshots.iter().map(|s| s.id.clone()));
        }
    }
    backing.sort();
    backing.dedup();
    let launched = InstanceScope::LaunchedFrom(ids.clone());
    let (again, backing) = (ImageScope::Ids(ids), SnapshotScope::Ids(backing));
    let (images, instances, snapshots) = tokio::join!(
        ec2.images(&again),
        ec2.instances(&launched),
        ec2.snapshots(&backing),
    );
    let present: BTreeMap<&ImageId, &Image> = images
        .items
        .iter()
        .map(|image| (&image.id, image))
        .collect();
    let backing = by_id(&snapshots);
    let now = Timestamp::now();
    let read_again = Inventory {
        instances,
        templates: templates.list.cloned(),
        ..Inventory::empty(now)
    };
    let references = References::new(&read_again);
    let mut checked = condemned.to_vec();
    for verdict in &mut checked {
        let Subject::Image {
            image,
            snapshots: before,
        } = verdict.subject.clone()
        else {
            continue;
        };
        let errors = [&images.error, &read_again.instances.error, &snapshots.error];
        hold_unread(verdict, lists, errors);
        let words = templates.words(&verdict.policy, now);
        let along = before.iter().map(|snapshot| &snapshot.id);
        for holder in references.holders_of_image_with_snapshots(&image, along, &words) {
            verdict.hold(holder);
        }
        if words.needs(EvidenceSource::LaunchTemplates)
            && let Some(list) = templates.list
        {
            hold_unread(verdict, lists, [&list.error]);
        }
        match present.get(&image.id) {
            None if images.is_complete() => verdict.hold(not_listed(&image.id)),
            None => {}
            Some(now) => {
                if now.deregistration_protected {
                    let detail = "it was protected from deregistration during the sweep";
                    let code = ReasonCode::DeregistrationProtected;
                    verdict.hold(Reason::with(code, detail));
                }
                if now.tags.contains_key(artifact::PIN) {
                    verdict.hold(pinned("it"));
                } else if ours(&now.tags) != ours(&image.tags)
                    || now.state != image.state
                    || now.mappings != image.mappings
                {
                    verdict.hold(changed("its tags, its state or its devices"));
                }
            }
        }
        for snapshot in &before {
            let now = backing.get(&snapshot.id).copied();
            hold_changed(verdict, snapshot, now, snapshots.is_complete());
        }
    }
    checked
}

fn by_id(list: &Listing<Snapshot>) -> BTreeMap<&SnapshotId, &Snapshot> {
    list.items.iter().map(|s| (&s.id, s)).collect()
}

/// Holds what rests on a list that could not be read again, or on one read too long ago.
fn hold_unread<const N: usize>(
    verdict: &mut Verdict,
    lists: &Inventory,
    errors: [&Option<CallError>; N],
) {
    for error in errors.into_iter().flatten() {
        let detail = format!("checking again: {error}");
        verdict.hold(Reason::with(ReasonCode::EvidenceIncomplete, detail));
    }
    if let Some(reason) = stale(lists, Timestamp::now()) {
        verdict.hold(reason);
    }
}

/// Holds the verdict when a snapshot is no longer what it was decided on.
fn hold_changed(verdict: &mut Verdict, before: &Snapshot, now: Option<&Snapshot>, complete: bool) {
    match now {
        None if complete => verdict.hold(not_listed(&before.id)),
        None => {}
        Some(now) if now.tags.contains_key(artifact::PIN) => {
            verdict.hold(pinned(before.id.as_str()));
        }
        Some(now) if ours(&now.tags) != ours(&before.tags) || now.state != before.state => {
            verdict.hold(changed(&format!("tags or state of {}", before.id)));
        }
        Some(_) => {}
    }
}

fn not_listed(id: &impl std::fmt::Display) -> Reason {
    let detail = format!("{id} was not listed again; the next sweep sees whether it is gone");
    Reason::with(ReasonCode::EvidenceIncomplete, detail)
}

fn pinned(what: &str) -> Reason {
    Reason::with(
        ReasonCode::Pinned,
        format!("{what} carries {}", artifact::PIN),
    )
}

fn changed(what: &str) -> Reason {
    let detail = format!("{what} changed during the sweep");
    Reason::with(ReasonCode::EvidenceIncomplete, detail)
}

/// The tags that make an artifact Holdfast's, or another tool's.
fn ours(tags: &Tags) -> Vec<(&String, &String)> {
    let managed = |key: &str| key.starts_with(artifact::PREFIX) || key.starts_with("aws:");
    tags.iter().filter(|(key, _)| managed(key)).collect()
}

/// That a list was read too long ago, where one was.
pub(super) fn stale(lists: &Inventory, wall: Timestamp) -> Option<Reason> {
    let old = lists.readings().into_iter().find(|reading| {
        let age = wall.duration_since(reading.read_at);
        reading.source != Source::Locks && (age > FRESH || age < -FRESH)
    });
    old.map(|reading| {
        let source = reading.source.as_str();
        let detail = format!("{source} was read more than {FRESH:#} ago");
        Reason::with(ReasonCode::EvidenceIncomplete, detail)
    })
}

#[cfg(test)]
mod tests;
