//! Whether a backup can be restored, and what to do where it cannot.

use std::collections::BTreeMap;

use crate::inventory::{Binned, Image, ImageState, KeyState, MappingTarget, SnapshotState};
use crate::ports::CallError;
use crate::ports::restore::Stored;
use crate::report::{Reason, ReasonCode};

/// States of KMS keys by ARN.
pub type Keys = BTreeMap<String, Result<KeyState, CallError>>;

/// Refuses a snapshot of which no volume can be made. What could not be found out of its key is no
/// refusal: whoever restores sees at once whether EC2 can read it.
///
/// # Errors
/// Why, and what to do instead.
pub fn usable_snapshot(stored: &Stored, keys: &Keys) -> Result<(), Reason> {
    let snapshot = &stored.snapshot;
    let id = &snapshot.id;
    match &snapshot.state {
        SnapshotState::Completed => {}
        SnapshotState::Pending => {
            let words = "it is not complete yet: wait for it, or restore an earlier one (--source and \
                         --at)";
            return refuse(ReasonCode::Pending, words);
        }
        SnapshotState::Error => {
            let why = snapshot.state_message.as_deref();
            let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
            let words = format!("it failed{why} and was never a backup: restore another one");
            return refuse(ReasonCode::FailedBackup, words);
        }
        SnapshotState::Recoverable | SnapshotState::Recovering => {
            return Err(in_bin(id.as_str()));
        }
        state @ SnapshotState::Unknown(_) => {
            let words = format!("its state is {state}, which holdfast does not know");
            return refuse(ReasonCode::UnknownState, words);
        }
    }
    // An archived snapshot feeds neither a volume nor an AMI's device until it is restored to the
    // standard tier, which takes up to 72 hours (EBS User Guide, "Archive Amazon EBS snapshots").
    if let Some(tier) = snapshot.tier.as_deref().filter(|tier| *tier != "standard") {
        let words = format!(
            "it lies in the {tier} tier: bring it back first, which takes up to 72 hours (aws ec2 \
             restore-snapshot-tier --snapshot-id {id} --temporary-restore-days 7), or restore \
             another one"
        );
        return refuse(ReasonCode::Archived, words);
    }
    match stored
        .kms_key
        .as_ref()
        .and_then(|key| Some((key, keys.get(key)?)))
    {
        Some((key, Ok(state))) => key_usable(key, state),
        _ => Ok(()),
    }
}

fn key_usable(key: &str, state: &KeyState) -> Result<(), Reason> {
    let then = match state {
        KeyState::Enabled | KeyState::Creating | KeyState::Updating => return Ok(()),
        KeyState::Disabled => "enable it first (aws kms enable-key)",
        KeyState::PendingDeletion | KeyState::PendingReplicaDeletion => {
            "cancel its deletion at once (aws kms cancel-key-deletion) and enable it"
        }
        KeyState::PendingImport => "import its key material again",
        KeyState::Unavailable => "connect its key store again",
        KeyState::Missing => "without it nobody can read the backup: restore one under another key",
        KeyState::Unknown(_) => "look at the key in KMS",
    };
    let words = format!("its key {key} is {state}: {then}");
    refuse(ReasonCode::KeyUnusable, words)
}

/// Refuses an AMI that cannot be launched, or not with all of its disks. `stored` are its own
/// account's snapshots as far as they exist.
///
/// # Errors
/// Why, and what to do instead.
pub fn usable_image(
    image: &Image,
    stored: &BTreeMap<&str, &Stored>,
    keys: &Keys,
) -> Result<(), Reason> {
    let id = &image.id;
    let (code, words) = match &image.state {
        ImageState::Available => return disks_usable(image, stored, keys),
        ImageState::Pending => (
            ReasonCode::Pending,
            "it is not complete yet: wait for it, or restore an earlier one (--source and --at)"
                .to_owned(),
        ),
        ImageState::Disabled => (
            ReasonCode::Disabled,
            format!(
                "it is disabled: enable it first (aws ec2 enable-image --image-id {id}), or \
                 restore another one"
            ),
        ),
        ImageState::Failed | ImageState::Error | ImageState::Invalid => {
            let why = image.state_reason.as_deref();
            let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
            (
                ReasonCode::FailedBackup,
                format!("it failed{why} and was never a backup: restore another one"),
            )
        }
        ImageState::Deregistered => (
            ReasonCode::Gone,
            "it is deregistered: where its snapshots are still there, restore the volumes (holdfast \
             restore volume snap-…)"
                .to_owned(),
        ),
        state @ (ImageState::Transient | ImageState::Unknown(_)) => (
            ReasonCode::UnknownState,
            format!("its state is {state}: wait, or restore another one"),
        ),
    };
    refuse(code, words)
}

/// An AMI is listed as available although a snapshot of it is gone, archived or unreadable; its
/// launch then fails.
fn disks_usable(
    image: &Image,
    stored: &BTreeMap<&str, &Stored>,
    keys: &Keys,
) -> Result<(), Reason> {
    for mapping in &image.mappings {
        let MappingTarget::Ebs(snapshot) = &mapping.target else {
            continue;
        };
        let device = &mapping.device;
        let Some(stored) = snapshot.as_ref().and_then(|id| stored.get(id.as_str())) else {
            let which = snapshot.as_ref().map_or("a snapshot", |id| id.as_str());
            let words = format!(
                "{which} behind {device} is not there, so that a launch fails: look in the Recycle \
                 Bin, restore another AMI, or the other volumes one by one (holdfast restore \
                 volume snap-…)"
            );
            return refuse(ReasonCode::SnapshotMissing, words);
        };
        usable_snapshot(stored, keys).map_err(|reason| {
            let words = reason.detail.unwrap_or_default();
            Reason::with(
                reason.code,
                format!("{} behind {device}: {words}", stored.snapshot.id),
            )
        })?;
    }
    Ok(())
}

/// Why something that is not listed cannot be restored: it lies in the Recycle Bin, or nobody knows
/// it.
#[must_use]
pub fn binned(id: &str, bin: &[Binned]) -> Reason {
    if bin.iter().any(|one| one.id == id) {
        return in_bin(id);
    }
    let words = "it is not in this account and Region; holdfast evidence tells whether it was \
                 deleted, and why";
    Reason::with(ReasonCode::NotFound, words)
}

fn in_bin(id: &str) -> Reason {
    let call = match id.starts_with("ami-") {
        true => format!("restore-image-from-recycle-bin --image-id {id}"),
        false => format!("restore-snapshot-from-recycle-bin --snapshot-id {id}"),
    };
    let words = format!("it lies in the Recycle Bin: take it out first (aws ec2 {call})");
    Reason::with(ReasonCode::InRecycleBin, words)
}

fn refuse(code: ReasonCode, words: impl Into<String>) -> Result<(), Reason> {
    Err(Reason::with(code, words))
}
