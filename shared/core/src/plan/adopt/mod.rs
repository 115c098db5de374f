//! Taking over what another tool made: which tags would make it Holdfast's, or why it must not be.
//!
//! Only what somebody named is looked at, and nothing that its maker may still manage is ever
//! proposed. Tags are all that is written; whether a sweep lets an adopted backup go is decided as
//! for any other.

mod refusal;

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::artifact::{ADOPTED, Artifact, ArtifactKind, POLICY, Stamp};
use crate::id::SnapshotId;
use crate::inventory::{Image, ImageState, Inventory, Listing, MappingTarget, Snapshot, Tags};
use crate::plan::judge::{COPY_PLACEHOLDER, governing};
use crate::policy::{GroupBy, Policy, PolicyFile, Protect};
use crate::report::{Reason, ReasonCode, whole_second};

use refusal::{fits, is_managed, manager, refuse, state_of};

/// What an adoption is decided on.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// The policies.
    pub policies: &'a PolicyFile,
    /// The one that is to govern what is adopted.
    pub policy: &'a Policy,
    /// The lists that a sweep would decide on.
    pub inventory: &'a Inventory,
    /// The AMIs named.
    pub images: &'a Listing<Image>,
    /// The snapshots named, and those behind the AMIs named; one's own alone.
    pub snapshots: &'a Listing<Snapshot>,
    /// One's own account, where it is known.
    pub account: Option<&'a str>,
    /// The run that writes the tags.
    pub run: &'a str,
}

/// One `CreateTags`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagging {
    /// What is tagged.
    pub resources: Vec<String>,
    /// The tags.
    pub tags: Tags,
}

/// What is proposed for one artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proposed {
    /// These tags, in this order: the snapshots of an AMI before the AMI, so that one cut off in
    /// between is not Holdfast's yet.
    Adopt(Vec<Tagging>),
    /// It is the policy's already.
    Already(Reason),
    /// It must not be adopted.
    Refuse(Reason),
}

/// What is proposed for one artifact, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// `snap-…` or `ami-…`.
    pub id: String,
    /// The volume of a snapshot, the instance of an AMI.
    pub source: Option<String>,
    /// The point in time that it holds, UTC.
    pub time: Option<Timestamp>,
    /// What is proposed.
    pub proposed: Proposed,
}

/// A proposal for each of `ids`, each once, in their order.
#[must_use]
pub fn propose(ground: &Ground<'_>, ids: &[String]) -> Vec<Proposal> {
    let mut proposer = Proposer {
        ground,
        planned: BTreeMap::new(),
    };
    let mut proposals: Vec<Proposal> = Vec::new();
    for id in ids {
        if proposals.iter().all(|known| known.id != *id) {
            proposals.push(proposer.one(id));
        }
    }
    proposals
}

/// The account as it would be listed once the tags are written.
#[must_use]
pub fn as_if_adopted(ground: &Ground<'_>, proposals: &[Proposal]) -> Inventory {
    let mut inventory = ground.inventory.clone();
    let taggings = proposals
        .iter()
        .flat_map(|proposal| match &proposal.proposed {
            Proposed::Adopt(taggings) => taggings.as_slice(),
            Proposed::Already(_) | Proposed::Refuse(_) => &[],
        });
    for Tagging { resources, tags } in taggings {
        for id in resources {
            let images = &mut inventory.images.items;
            if let Some(place) = images.find(id) {
                images.update(place, |image| image.tags.extend(tags.clone()));
                continue;
            }
            let managed = &mut inventory.snapshots.items;
            if managed.find(id).is_none() {
                let named = &ground.snapshots.items;
                managed.extend(named.iter().find(|s| s.id.as_str() == id).cloned());
            }
            if let Some(place) = managed.find(id) {
                managed.update(place, |snapshot| snapshot.tags.extend(tags.clone()));
            }
        }
    }
    inventory
}

struct Proposer<'g> {
    ground: &'g Ground<'g>,
    /// Tags that an earlier proposal puts on a backing snapshot.
    planned: BTreeMap<SnapshotId, Tags>,
}

impl Proposer<'_> {
    fn one(&mut self, id: &str) -> Proposal {
        let ground = self.ground;
        let mut images = ground.images.items.iter();
        if let Some(image) = images.find(|i| i.id.as_str() == id) {
            return Proposal {
                id: id.to_owned(),
                source: image.source_instance.as_ref().map(ToString::to_string),
                time: image.created,
                proposed: self.image(image).unwrap_or_else(|proposed| proposed),
            };
        }
        let listed = &ground.snapshots.items;
        let snapshot = listed.iter().find(|s| s.id.as_str() == id);
        let proposed = match snapshot {
            Some(snapshot) => self.snapshot(snapshot).unwrap_or_else(|proposed| proposed),
            None => Proposed::Refuse(self.absent()),
        };
        Proposal {
            id: id.to_owned(),
            source: snapshot.and_then(|s| s.volume.as_ref().map(ToString::to_string)),
            time: snapshot.and_then(|s| s.start),
            proposed,
        }
    }

    fn absent(&self) -> Reason {
        let errors = [
            self.ground.images.error.as_ref(),
            self.ground.inventory.images.error.as_ref(),
            self.ground.snapshots.error.as_ref(),
        ];
        match errors.into_iter().flatten().next() {
            Some(error) => Reason::with(ReasonCode::EvidenceIncomplete, error.to_string()),
            None => Reason::with(
                ReasonCode::NotFound,
                "it is not among this account's own in this Region; what another account owns is \
                 never adopted",
            ),
        }
    }

    /// The proposal, or (`Err`) why there is nothing to adopt.
    fn snapshot(&self, snapshot: &Snapshot) -> Result<Proposed, Proposed> {
        self.makes(Protect::Volumes)?;
        self.free(&snapshot.tags, snapshot.owner_alias.as_deref())?;
        self.own(snapshot.owner.as_deref())?;
        self.unmanaged(&snapshot.tags)?;
        let images = &self.ground.inventory.images;
        if let Some(image) = images
            .items
            .iter()
            .find(|image| image.snapshots().any(|id| *id == snapshot.id))
        {
            return Err(Proposed::Refuse(Reason {
                code: ReasonCode::UsedByImage,
                detail: Some(format!("it backs {}: adopt that AMI instead", image.id)),
                path: vec![snapshot.id.to_string(), image.id.to_string()],
            }));
        }
        if let Some(error) = &images.error {
            let words = format!("an AMI may map it, and not all AMIs were read: {error}");
            return refuse(ReasonCode::EvidenceIncomplete, words);
        }
        self.binned(snapshot)?;
        state_of(snapshot, "")?;
        let volume = snapshot.volume.as_ref().map(AsRef::<str>::as_ref);
        let Some(volume) = volume.filter(|id| *id != COPY_PLACEHOLDER) else {
            let words = "EC2 does not tell which volume it is of; it may be a copy";
            return refuse(ReasonCode::EvidenceIncomplete, words);
        };
        let Some(start) = snapshot.start else {
            return refuse(ReasonCode::EvidenceIncomplete, "EC2 gave it no start time");
        };
        let tags = self.stamp(ArtifactKind::Snapshot, volume, start);
        fits(&snapshot.tags, &tags, snapshot.id.as_str())?;
        Ok(Proposed::Adopt(vec![Tagging {
            resources: vec![snapshot.id.to_string()],
            tags,
        }]))
    }

    /// The proposal, or (`Err`) why there is nothing to adopt.
    fn image(&mut self, image: &Image) -> Result<Proposed, Proposed> {
        self.makes(Protect::Instances)?;
        self.free(&image.tags, None)?;
        self.own(image.owner.as_deref())?;
        self.unmanaged(&image.tags)?;
        match &image.state {
            ImageState::Available => {}
            ImageState::Pending => return refuse(ReasonCode::Pending, "it is being made"),
            ImageState::Failed | ImageState::Error | ImageState::Invalid => {
                let words = format!("its state is {}: it is no backup", image.state);
                return refuse(ReasonCode::FailedBackup, words);
            }
            ImageState::Disabled => {
                return refuse(ReasonCode::Disabled, "enable it first (EnableImage)");
            }
            other => return refuse(ReasonCode::UnknownState, format!("its state is {other}")),
        }
        let Some(source) = &image.source_instance else {
            let words = "EC2 names no instance that it was made of (SourceInstanceId): it was \
                         copied or registered, and whose backup it is nobody can tell";
            return refuse(ReasonCode::EvidenceIncomplete, words);
        };
        let Some(created) = image.created else {
            return refuse(
                ReasonCode::EvidenceIncomplete,
                "EC2 gave it no creation date",
            );
        };
        let backing = self.stamp(ArtifactKind::ImageSnapshot, source.as_str(), created);
        let snapshots = self.backing(image, source.as_str(), &backing)?;
        let mut tags = self.stamp(ArtifactKind::Image, source.as_str(), created);
        tags.insert(ADOPTED.into(), image.id.to_string());
        fits(&image.tags, &tags, image.id.as_str())?;
        let mut taggings = Vec::new();
        if !snapshots.is_empty() {
            for id in &snapshots {
                self.planned.insert(id.clone(), backing.clone());
            }
            taggings.push(Tagging {
                resources: snapshots.iter().map(ToString::to_string).collect(),
                tags: backing,
            });
        }
        taggings.push(Tagging {
            resources: vec![image.id.to_string()],
            tags,
        });
        Ok(Proposed::Adopt(taggings))
    }

    /// The snapshots of an AMI that are to be tagged.
    fn backing(
        &self,
        image: &Image,
        source: &str,
        tags: &Tags,
    ) -> Result<Vec<SnapshotId>, Proposed> {
        let nameless = image
            .mappings
            .iter()
            .find(|m| m.target == MappingTarget::Ebs(None));
        if let Some(mapping) = nameless {
            let words = format!("EC2 names no snapshot for its device {}", mapping.device);
            return refuse(ReasonCode::EvidenceIncomplete, words);
        }
        let mut found: BTreeMap<&SnapshotId, &Snapshot> = BTreeMap::new();
        for id in image.snapshots() {
            let listed = &self.ground.snapshots;
            let Some(snapshot) = listed.items.iter().find(|s| s.id == *id) else {
                return Err(Proposed::Refuse(match &listed.error {
                    Some(error) => {
                        let words = format!("its snapshot {id} was not read: {error}");
                        Reason::with(ReasonCode::EvidenceIncomplete, words)
                    }
                    None => {
                        let words = format!("its snapshot {id} is not among this account's own");
                        Reason::with(ReasonCode::SnapshotMissing, words)
                    }
                }));
            };
            found.insert(id, snapshot);
        }
        if found.is_empty() {
            let words = "none of its devices is made from an EBS snapshot";
            return refuse(ReasonCode::EvidenceIncomplete, words);
        }
        let mut untagged = Vec::new();
        for (id, snapshot) in found {
            self.free(&snapshot.tags, snapshot.owner_alias.as_deref())?;
            self.own(snapshot.owner.as_deref())?;
            state_of(snapshot, &format!("its snapshot {id}: "))?;
            if self.to_be_tagged(image, snapshot, source)? {
                fits(&snapshot.tags, tags, id.as_str())?;
                untagged.push(id.clone());
            }
        }
        Ok(untagged)
    }

    /// Whether a backing snapshot gets tags. One that has those of another AMI of the same source
    /// keeps them; of an adoption that was cut off it gets them anew.
    fn to_be_tagged(
        &self,
        image: &Image,
        snapshot: &Snapshot,
        source: &str,
    ) -> Result<bool, Proposed> {
        let id = &snapshot.id;
        let tags = self.planned.get(id).unwrap_or(&snapshot.tags);
        if !is_managed(tags) {
            return Ok(true);
        }
        let owner = snapshot.owner.as_deref();
        let artifact = Artifact::read(tags, owner, self.ground.account);
        let same = artifact.as_ref().is_ok_and(|artifact| {
            artifact.kind == ArtifactKind::ImageSnapshot
                && artifact.source.as_deref() == Some(source)
                && self.governs(&artifact.policy)
        });
        if !same {
            let words = format!(
                "its snapshot {id} is Holdfast's already, and not as one that backs an AMI of \
                 {source} under {}",
                self.ground.policy.name
            );
            return refuse(ReasonCode::NotPicked, words);
        }
        let images = &self.ground.inventory.images.items;
        let another = images.iter().any(|other| {
            other.id != image.id && is_managed(&other.tags) && other.snapshots().any(|s| s == id)
        });
        Ok(!another && !self.planned.contains_key(id))
    }

    fn makes(&self, protect: Protect) -> Result<(), Proposed> {
        let policy = self.ground.policy;
        if policy.protect == protect {
            return Ok(());
        }
        let (makes, what) = match policy.protect {
            Protect::Volumes => ("snapshots (protect: volumes)", "an AMI"),
            Protect::Instances => ("AMIs (protect: instances)", "a snapshot"),
        };
        let words = format!("{} makes {makes}; this is {what}", policy.name);
        refuse(ReasonCode::NotPicked, words)
    }

    /// Refuses what another service still manages.
    fn free(&self, tags: &Tags, owner_alias: Option<&str>) -> Result<(), Proposed> {
        match manager(tags, owner_alias) {
            Some(words) => refuse(ReasonCode::ManagedByOther, words),
            None => Ok(()),
        }
    }

    fn own(&self, owner: Option<&str>) -> Result<(), Proposed> {
        match (owner, self.ground.account) {
            (Some(owner), Some(account)) if owner == account => Ok(()),
            (Some(owner), Some(account)) => {
                let words = format!("its owner is {owner}, not {account}");
                refuse(ReasonCode::NotManaged, words)
            }
            (_, _) => refuse(
                ReasonCode::EvidenceIncomplete,
                "whose it is, or which account this is, is not known",
            ),
        }
    }

    fn unmanaged(&self, tags: &Tags) -> Result<(), Proposed> {
        if !is_managed(tags) {
            return Ok(());
        }
        let tagged = tags.get(POLICY).map_or("", String::as_str);
        if self.governs(tagged) {
            let words = format!("{} governs it already", self.ground.policy.name);
            return Err(Proposed::Already(Reason::with(ReasonCode::Adopted, words)));
        }
        let words = format!(
            "it is Holdfast's already, of policy {tagged:?}; `formerly` hands a policy's backups \
             over to another"
        );
        refuse(ReasonCode::NotPicked, words)
    }

    fn governs(&self, tagged: &str) -> bool {
        let policy = governing(self.ground.policies, tagged);
        policy.is_some_and(|policy| policy.name == self.ground.policy.name)
    }

    /// Refuses what an AMI in the Recycle Bin may map. EC2 tells no devices of binned AMIs, but
    /// describes a backing snapshot with the AMI that it was made for ("Created by CreateImage(i-…)
    /// for ami-…", EC2 User Guide, "Create an Amazon EBS-backed AMI").
    fn binned(&self, snapshot: &Snapshot) -> Result<(), Proposed> {
        let words = snapshot
            .description
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        let named: Vec<&str> = words.filter(|word| word.starts_with("ami-")).collect();
        let Some(bin) = &self.ground.inventory.recycle_bin else {
            return Ok(());
        };
        if let Some(ami) = bin
            .items
            .iter()
            .find(|one| named.contains(&one.id.as_str()))
        {
            let words = format!("it was made for {}, which lies in the Recycle Bin", ami.id);
            return refuse(ReasonCode::InRecycleBin, words);
        }
        match &bin.error {
            Some(error) if !named.is_empty() => {
                let words = format!(
                    "it was made for {}, which may lie in the Recycle Bin: {error}",
                    named.join(", ")
                );
                refuse(ReasonCode::EvidenceIncomplete, words)
            }
            _ => Ok(()),
        }
    }

    fn stamp(&self, kind: ArtifactKind, source: &str, time: Timestamp) -> Tags {
        let policy = self.ground.policy;
        let group = match &policy.group {
            GroupBy::Source => None,
            GroupBy::Policy => Some(policy.name.as_str()),
            // What the source had at creation nobody knows any more; without a value the source is
            // a group of its own, which keeps more.
            GroupBy::Tag(key) => {
                let tags = self.source_tags(source);
                tags.and_then(|tags| tags.get(key)).map(String::as_str)
            }
        };
        Stamp {
            kind,
            policy: &policy.name,
            source,
            slot: whole_second(time),
            run: self.ground.run,
            group,
        }
        .tags()
    }

    fn source_tags(&self, source: &str) -> Option<&Tags> {
        let inventory = self.ground.inventory;
        let volume = inventory
            .volumes
            .items
            .iter()
            .find(|v| v.id.as_str() == source);
        let instance = inventory
            .instances
            .items
            .iter()
            .find(|i| i.id.as_str() == source);
        volume.map(|v| &v.tags).or(instance.map(|i| &i.tags))
    }
}
