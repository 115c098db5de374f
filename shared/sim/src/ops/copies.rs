//! `CopySnapshot`, `CopyImage`.

use std::collections::BTreeSet;

use holdfast_core::id::{ImageId, SnapshotId, VolumeId};
use holdfast_core::inventory::{ImageState, SnapshotState, Tags};

use super::images::unavailable;
use super::{description_of, well_formed};
use crate::account::Account;
use crate::error::ApiError;
use crate::model::device::DeviceTarget;
use crate::model::image::{DeregistrationProtection, Image};
use crate::model::snapshot::Snapshot;
use crate::model::tier::TierHistory;
use crate::request;
use crate::response::Response;
use crate::tag;
use crate::transition::Transition;

/// The volume that a copy names; it means nothing (API Reference, "CopySnapshot").
const NO_VOLUME: &str = "vol-ffffffff";

/// Why a copy fails whose key cannot be used (API Reference, "CopySnapshot": the call succeeds and
/// the copy fails), and one whose source went away (EBS User Guide, "EventBridge for EBS", gives
/// these words; that the source may be deleted meanwhile is assumed).
const NO_KEY: &str = "Given key ID is not accessible";
pub(super) const NO_SOURCE: &str = "Source snapshot ID is not valid";

/// Types that the tag specifications of `CopyImage` may name `[B]`.
const TAGGABLE: [&str; 2] = ["image", "snapshot"];

/// What a copy is to be like.
struct Copying {
    description: String,
    tags: Tags,
    encrypted: bool,
    kms_key: Option<String>,
    fails_with: Option<String>,
}

impl Account {
    /// Only the account's own Region is modelled.
    fn same_region(&self, region: &str) -> Result<(), ApiError> {
        if region == self.settings.region {
            Ok(())
        } else {
            Err(ApiError::new(
                "UnsupportedOperation",
                format!("Copies from or to {region} are not supported by this simulated account."),
            ))
        }
    }

    pub(super) fn copy_snapshot(
        &mut self,
        r: &request::CopySnapshot,
    ) -> Result<Response, ApiError> {
        self.same_region(&r.source_region)?;
        if let Some(region) = &r.destination_region {
            self.same_region(region)?;
        }
        let description = description_of(r.description.as_ref())?;
        let tags = tag::specified(&r.tags, "snapshot", &["snapshot"])?;
        key_needs_encryption(r.encrypted, r.kms_key.as_ref())?;
        let source = SnapshotId::new(r.source.clone());
        // Completed and in the standard tier (EBS User Guide, "Copy a snapshot").
        self.usable_snapshot(&source)?;
        self.room_for_copies(1)?;
        let failure = self.failing_snapshots.iter().position(|(v, _)| v.is_none());
        let copying = Copying {
            description,
            tags: tags.clone(),
            encrypted: r.encrypted,
            kms_key: r.kms_key.clone(),
            fails_with: failure.map(|at| self.failing_snapshots.remove(at).1),
        };
        let id = self.begin_copy(&source, copying)?;
        Ok(Response::SnapshotCopied(id, tags))
    }

    /// Whether so many more copies may be in progress `[Q]`, and the account may own them.
    fn room_for_copies(&self, more: usize) -> Result<(), ApiError> {
        let pending = self
            .snapshots
            .values()
            .filter(|s| s.copied_from.is_some() && s.state == SnapshotState::Pending)
            .count();
        if pending.saturating_add(more) > self.settings.copies_in_progress {
            return Err(ApiError::new(
                "ResourceLimitExceeded",
                "Too many snapshot copies in progress.",
            ));
        }
        self.room_for(more)
    }

    fn begin_copy(
        &mut self,
        source_id: &SnapshotId,
        copying: Copying,
    ) -> Result<SnapshotId, ApiError> {
        let source = self
            .snapshots
            .get(source_id)
            .ok_or_else(|| ApiError::snapshot_not_found(source_id.as_str()))?;
        let (size_gib, encrypted) = (source.size_gib, source.encrypted || copying.encrypted);
        let key = &copying.kms_key;
        let no_key = key
            .as_ref()
            .is_some_and(|key| self.settings.inaccessible_keys.contains(key));
        let id = SnapshotId::new(self.ids.resource(SnapshotId::PREFIX));
        let snapshot = Snapshot {
            id: id.clone(),
            volume: VolumeId::new(NO_VOLUME),
            state: SnapshotState::Pending,
            state_message: None,
            // The copy's beginning, not that of the data (API Reference, "Snapshot").
            started: self.now,
            completed: None,
            owner: self.settings.account_id.clone(),
            owner_alias: None,
            size_gib,
            description: copying.description,
            tier: "standard".to_owned(),
            encrypted,
            kms_key: copying.kms_key,
            public: false,
            shared_with: BTreeSet::new(),
            lock: None,
            tiering: TierHistory::default(),
            copied_from: Some(source_id.clone()),
            // User tags are not copied (EBS User Guide, "Copy a snapshot").
            tags: copying.tags,
            listed_from: self.listed_from(id.as_str()),
            set: None,
            fails_with: copying.fails_with.or(no_key.then(|| NO_KEY.to_owned())),
            delete_when_settled: false,
        };
        self.insert_snapshot(snapshot);
        let at = self.after(self.settings.snapshot_duration);
        self.schedule
            .add(at, Transition::SnapshotSettles(id.clone()));
        Ok(id)
    }

    pub(super) fn copy_image(&mut self, r: &request::CopyImage) -> Result<Response, ApiError> {
        let operation = "CopyImage";
        let before = self.made_before(operation, r.client_token.as_ref(), r)?;
        if let Some(id) = before.and_then(|made| made.first().cloned()) {
            return Ok(Response::ImageMade(ImageId::new(id)));
        }
        self.same_region(&r.source_region)?;
        let description = description_of(r.description.as_ref())?;
        let mut image_tags = tag::specified(&r.tags, "image", &TAGGABLE)?;
        let snapshot_tags = tag::specified(&r.tags, "snapshot", &TAGGABLE)?;
        key_needs_encryption(r.encrypted, r.kms_key.as_ref())?;
        self.free_name(&r.name)?;
        let source = self.copyable_image(&r.source)?.clone();
        // Another account's tags are not taken over (API Reference, "CopyImage").
        if r.copy_image_tags && self.is_own(&source.owner) {
            image_tags = tag::with_copied(&image_tags, &source.tags)?;
        }
        let snapshots: Vec<SnapshotId> = source.snapshots().cloned().collect();
        for snapshot in &snapshots {
            self.usable_snapshot(snapshot)?;
        }
        self.room_for_copies(snapshots.len())?;

        let id = ImageId::new(self.ids.resource(ImageId::PREFIX));
        let fails_with = if self.failing_images.is_empty() {
            None
        } else {
            Some(self.failing_images.remove(0))
        };
        let mut mappings = source.mappings.clone();
        for mapping in &mut mappings {
            let DeviceTarget::Ebs(ebs) = &mut mapping.target else {
                continue;
            };
            let Some(from) = ebs.snapshot.clone() else {
                continue;
            };
            // Informal text, as cloud-custodian's recorded data has it.
            let description = format!(
                "Copied for DestinationAmi {id} from SourceAmi {} for SourceSnapshot {from}. Task created on {}.",
                source.id,
                thousands(self.now.as_millisecond()),
            );
            let copying = Copying {
                description,
                tags: snapshot_tags.clone(),
                encrypted: r.encrypted,
                kms_key: r.kms_key.clone(),
                fails_with: fails_with.clone(),
            };
            let copy = self.begin_copy(&from, copying)?;
            ebs.encrypted = self.snapshots.get(&copy).map(|s| s.encrypted);
            ebs.snapshot = Some(copy);
        }
        let image = Image {
            id: id.clone(),
            name: r.name.clone(),
            description,
            state: ImageState::Pending,
            state_reason: None,
            owner: self.settings.account_id.clone(),
            owner_alias: None,
            // Launch permissions are not copied (EC2 User Guide, "Copy an AMI").
            public: false,
            shared_with: BTreeSet::new(),
            created: self.now,
            source_instance: None,
            source_image: Some(source.id.clone()),
            source_region: Some(r.source_region.clone()),
            last_launched: None,
            root_device: source.root_device.clone(),
            root_device_type: source.root_device_type.clone(),
            architecture: source.architecture.clone(),
            mappings,
            protection: DeregistrationProtection::Disabled,
            deprecated_from: None,
            tags: image_tags,
            listed_from: self.listed_from(id.as_str()),
            fails_with,
            no_reboot: false,
        };
        self.insert_image(image);
        let duration = self
            .settings
            .image_duration
            .max(self.settings.snapshot_duration);
        let at = self.after(duration);
        self.schedule.add(at, Transition::ImageSettles(id.clone()));
        let made = vec![id.as_str().to_owned()];
        self.remember_made(operation, r.client_token.as_ref(), r, made);
        Ok(Response::ImageMade(id))
    }

    /// An image that can be copied: visible, and available (assumed).
    fn copyable_image(&self, id: &str) -> Result<&Image, ApiError> {
        well_formed(id, "ami-", "InvalidAMIID.Malformed")?;
        let image = self
            .images
            .get(&ImageId::new(id))
            .filter(|i| self.may_use_image(i))
            .ok_or_else(|| ApiError::image_not_found(id))?;
        if image.state != ImageState::Available {
            return Err(unavailable(id));
        }
        Ok(image)
    }
}

/// `KmsKeyId` needs `Encrypted` (API Reference, "CopySnapshot").
fn key_needs_encryption(encrypted: bool, key: Option<&String>) -> Result<(), ApiError> {
    if key.is_some() && !encrypted {
        return Err(ApiError::invalid_combination(
            "KmsKeyId is specified without Encrypted.",
        ));
    }
    Ok(())
}

/// A number with a comma between every three digits.
fn thousands(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
